"""Digits and text: what is embedded, other files, and what is refused with file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from dojo import dojo

from grader import load_digits, load_names, load_text
from grader.base.errors import DojoError


@pytest.fixture(autouse=True)
def own_data(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOJO_NAMES", "DOJO_DATA", "DOJO_TEXT"):
        monkeypatch.delenv(name, raising=False)


def test_the_embedded_digits_are_1797_images_of_64_pixels() -> None:
    pixels, labels = load_digits()
    assert (pixels.shape, pixels.dtype, labels.shape, labels.dtype) == ((1797, 64), np.uint8, (1797,), np.int64)
    assert (int(pixels.min()), int(pixels.max())) == (0, 16)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    pixels[:] = 0
    assert load_digits()[0].max() == 16


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
@pytest.mark.parametrize("titles", ["", "label,pixel0,pixel1\n"])
def test_other_digits_come_from_a_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, titles: str
) -> None:
    path, raw = tmp_path / f"mnist{suffix}", f"{titles}7,0,255\n0,3,9\n".encode()
    path.write_bytes(gzip.compress(raw) if suffix == ".csv.gz" else raw)
    monkeypatch.setenv("DOJO_DATA", str(path))
    pixels, labels = load_digits()
    assert (pixels.tolist(), labels.tolist()) == ([[0, 255], [3, 9]], [7, 0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "digits.csv: holds no image"),
        ("label,a,b\n", "digits.csv: holds no image"),
        ("7,0,255\n1,2\n", "digits.csv:2: 2 columns, not 3"),
        ("7\n1\n", "digits.csv:1: 1 columns, not 2"),
        ("7,0,255\n10,0,1\n", "digits.csv:2: the label is '10'; give a whole number from 0 to 9"),
        ("label,a,b\n7,0,256\n", "digits.csv:2: pixel 2 is '256'"),
        ("7,0,1\n-1,0,1\n", "digits.csv:2: the label is '-1'"),
        ("7,0,1\n1,0,0.5\n", "digits.csv:2: pixel 2 is '0.5'"),
        ("7,0,1\n1,0,99999\n", "digits.csv:2: pixel 2 is '99999'"),
        ("7,0,1\n\n1,0,#\n", "digits.csv:2: 1 columns, not 3"),
        ("\x00\x01\x02", "digits.csv:1: 1 columns"),
    ],
)
def test_digits_that_are_none_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "digits.csv"
    path.write_text(text)
    with pytest.raises(DojoError) as refused:
        load_digits(path)
    assert said in str(refused.value)


def test_a_file_that_is_no_gzip_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "digits.csv.gz"
    path.write_bytes(b"7,0,1\n")
    with pytest.raises(DojoError, match=r"digits\.csv\.gz: cannot be read"):
        load_digits(path)
    with pytest.raises(DojoError, match=r"nowhere\.csv: cannot be read"):
        load_digits(tmp_path / "nowhere.csv")
    with pytest.raises(DojoError, match=r"cannot be read \(it is a folder\)"):
        load_digits(tmp_path)
    with pytest.raises(DojoError, match=r"cannot be read \(it is no regular file\)"):
        load_digits("/dev/zero")


def test_the_text_is_the_names_unless_another_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = load_text().split("\n")
    assert sorted(lines) == sorted([*load_names(), ""])
    assert lines != [*load_names(), ""]  # shuffled
    assert lines == load_text().split("\n")  # each time alike
    assert len(set(load_text())) == 27
    path = tmp_path / "play.txt"
    path.write_text("To be, or not to be.\n" * 50)
    monkeypatch.setenv("DOJO_TEXT", str(path))
    assert load_text() == "To be, or not to be.\n" * 50


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "play.txt: the file is empty"),
        (" \n", "play.txt: the file is empty"),
        ("short", "play.txt: 5 characters"),
        ("line\n" * 300 + "a\0b", "play.txt:301: '\\x00' is not a symbol of a text"),
    ],
)
def test_a_text_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "play.txt"
    path.write_text(text)
    with pytest.raises(DojoError) as refused:
        load_text(path)
    assert said in str(refused.value)


def test_symbols_outside_the_alphabet_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "play.txt"
    path.write_text("abc\n" * 300 + "abd")
    with pytest.raises(DojoError, match=r"play\.txt:301: 'd' is not in the alphabet"):
        load_text(path, alphabet="abc\n")
    assert load_text(path, alphabet="abcd\n")


def test_a_bad_file_is_told_before_grading_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("dlogits = 1\n")
    (tmp_path / "bad.csv").write_text("1,2\n3\n")
    refused = dojo(tmp_path, "grade", "a.py", "--data", "bad.csv")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "bad.csv:2: 1 columns, not 2" in refused.stderr
    refused = dojo(tmp_path, "grade", "a.py", DOJO_TEXT="nowhere.txt")
    assert refused.stderr.startswith("dojo: DOJO_TEXT=nowhere.txt: ")
