"""The list of names: what is read, what is refused, how it is split, and the examples made of it."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import random
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from grader.base.bundle import bundled
from grader.base.errors import DojoError
from grader.lesson import names
from grader.lesson.data_files import data_file
from grader.lesson.names import (
    ALPHABET,
    MAKEMORE_SHA256,
    MAKEMORE_URL,
    build_dataset,
    cached_makemore_path,
    fetch_makemore_names,
    load_names,
    split_names,
)

TWELVE = ["ada", "bea", "cleo", "dan", "eva", "finn", "gus", "hana", "ida", "jo", "kai", "zoe"]


@pytest.fixture(autouse=True)
def _no_chosen_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOJO_NAMES", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write_list(content: str | bytes) -> Path:
        path = tmp_path / "list.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_list


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DojoError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__cause__ is None
    return message


def examples_by_loop(words: list[str], block_size: int, alphabet: str) -> tuple[list[list[int]], list[int]]:
    """The lecture's loop, one example at a time."""
    index_of = {symbol: index for index, symbol in enumerate("." + alphabet)}
    contexts, labels = [], []
    for word in words:
        context = [0] * block_size
        for symbol in word + ".":
            contexts.append(context)
            labels.append(index_of[symbol])
            context = [*context[1:], index_of[symbol]]
    return contexts, labels


# ---- The list that comes with the project ----


def test_project_list_is_large_distinct_sorted_and_uses_every_letter() -> None:
    path = bundled("data") / "names.txt"
    listed = path.read_text(encoding="ascii").splitlines()
    assert load_names(path) == listed
    assert len(listed) >= 3_000
    assert listed == sorted(set(listed))
    assert set("".join(listed)) == set(ALPHABET)


def test_project_list_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_file("names") == bundled("data") / "names.txt"
    assert load_names() == load_names(bundled("data") / "names.txt")
    monkeypatch.setenv("DOJO_NAMES", "")
    assert data_file("names") == bundled("data") / "names.txt"


def test_a_cached_makemore_list_is_not_chosen_by_itself(cache: Path) -> None:
    cache.mkdir()
    cached_makemore_path().write_text("\n".join(TWELVE))
    assert data_file("names") == bundled("data") / "names.txt"


def test_dojo_names_chooses_another_list(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("\n".join(TWELVE))
    monkeypatch.setenv("DOJO_NAMES", str(path))
    assert data_file("names") == path
    assert load_names() == TWELVE


@pytest.mark.parametrize("name", ["gone.txt", "x" * 300])
def test_dojo_names_must_exist(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOJO_NAMES", str(tmp_path / name))
    assert refusal(lambda: data_file("names")).startswith(f"DOJO_NAMES={tmp_path / name}: ")


# ---- Reading a list ----


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(TWELVE) + "\n",
        "\n".join(TWELVE),
        "\r\n".join(TWELVE) + "\r\n",
        "\ufeff" + "\n".join(TWELVE) + "\n",
        "\ufeff" + "\r\n".join(TWELVE),
        "\n".join(TWELVE) + "\n\n \n\t\n",
    ],
    ids=["plain", "no final newline", "CRLF", "BOM", "BOM and CRLF", "blank lines at the end"],
)
def test_forms_of_a_good_list(content: str, write: Any) -> None:
    assert load_names(write(content)) == TWELVE
    assert load_names(str(write(content))) == TWELVE


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"", None, "empty"),
        (b"\xef\xbb\xbf", None, "empty"),
        (b"\n\r\n  \n", None, "empty"),
        (b"ada\nbea\n\ncleo\n", 3, "blank line"),
        (b"\nada\n", 1, "blank line"),
        (b"ada\n \t\ncleo\n", 2, "blank line"),
        (b"ada\r\nbea\r\nDan\r\n", 3, "'D' is not one of the letters a-z"),
        (b"ada\nbea \n", 2, "' ' is not"),
        (b"ada\nzo\xc3\xab\n", 2, "'ë' is not"),
        (b"ada\nbea,12\n", 2, "',' is not"),
        (b"ada\nbea\x00\n", 2, r"'\x00' is not"),
        (b"ada\nbea\xe2\x80\xa8cleo\n", 2, r"'\u2028' is not"),
        (b"ada\nbea\nzo\xeb\n", 3, "not UTF-8"),
        ("ada\nbea\n".encode("utf-16"), 1, "not UTF-8"),
        (b"ada\n", None, "1 name; "),
        ("\n".join(TWELVE[:9]).encode(), None, "9 names; a split into 80/10/10 needs at least 10"),
    ],
)
def test_a_bad_list_is_one_line_with_file_and_line(content: bytes, line: int | None, said: str, write: Any) -> None:
    path = write(content)
    message = refusal(lambda: load_names(path))
    assert message.startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert said in message


def test_a_missing_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.txt", tmp_path, tmp_path / "gone" / "names.txt"):
        assert refusal(lambda path=path: load_names(path)).startswith(f"{path}: cannot be read (")


def test_alphabet_keeps_the_names_written_in_it(write: Any) -> None:
    path = write("\n".join([*TWELVE, "yz", "xyz"]))
    assert load_names(path, ALPHABET[:-1]) == TWELVE[:-1]
    assert load_names(path, ALPHABET[::-1]) == [*TWELVE, "yz", "xyz"]
    message = refusal(lambda: load_names(path, "xyz"))
    assert message.startswith(f"{path}: 2 names in the letters 'xyz'; ")


def test_a_loaded_list_belongs_to_the_caller(write: Any) -> None:
    path = write("\n".join(TWELVE))
    load_names(path).clear()
    assert load_names(path) == TWELVE


def test_an_edited_list_is_read_again(write: Any) -> None:
    path = write("\n".join(TWELVE))
    assert load_names(path) == TWELVE
    write("\n".join(TWELVE[::-1]))
    os.utime(path, ns=(1, 1))
    assert load_names(path) == TWELVE[::-1]
    write("\n".join(TWELVE[1:]))
    os.utime(path, ns=(1, 1))
    assert load_names(path) == TWELVE[1:]


def test_a_list_is_parsed_once(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("\n".join(TWELVE))
    load_names(path)
    monkeypatch.setattr(names, "read_text", lambda path: pytest.fail("read again"))
    assert load_names(path) == TWELVE
    assert load_names(path, ALPHABET[:-1]) == TWELVE[:-1]


# ---- Split ----


@pytest.mark.parametrize("seed", [42, 7])
def test_split_is_the_shuffle_of_the_lecture(seed: int) -> None:
    words = [f"w{number}" for number in range(237)]
    before = list(words)
    shuffled = list(words)
    random.Random(seed).shuffle(shuffled)
    expected = shuffled[:189], shuffled[189:213], shuffled[213:]
    assert split_names(words, seed) == expected
    assert split_names(words, seed) == expected
    assert words == before


def test_split_uses_seed_42_by_default() -> None:
    assert split_names(TWELVE) == split_names(TWELVE, 42) != split_names(TWELVE, 43)


def test_split_parts_belong_to_the_caller() -> None:
    for part in split_names(TWELVE):
        part.clear()
    assert sorted(word for part in split_names(TWELVE) for word in part) == TWELVE


def test_no_part_is_empty_from_ten_names_on() -> None:
    for count in range(10, 500):
        assert all(split_names(["a"] * count))


# ---- Examples ----


@pytest.mark.parametrize("block_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("alphabet", [ALPHABET, ALPHABET[:20], "zyxwvutsrqponmlkjihgfedcba"])
def test_examples_equal_those_of_the_loop(block_size: int, alphabet: str) -> None:
    draw = random.Random(block_size)
    words = ["".join(draw.choices(alphabet, k=draw.randint(1, 9))) for _ in range(200)]
    contexts, labels = examples_by_loop(words, block_size, alphabet)
    X, Y = build_dataset(words, block_size, alphabet)
    assert X.dtype == Y.dtype == torch.int64
    assert X.shape == (len(labels), block_size)
    assert Y.shape == (len(labels),)
    assert X.is_contiguous()
    assert Y.is_contiguous()
    assert X.tolist() == contexts
    assert Y.tolist() == labels


@pytest.mark.parametrize("words", [["a"], [""], ["", "ab", "", "", "c", ""], ["abcdef"] * 3])
def test_examples_of_short_long_and_empty_words(words: list[str]) -> None:
    for block_size in (1, 3, 8):
        X, Y = build_dataset(words, block_size)
        assert (X.tolist(), Y.tolist()) == examples_by_loop(words, block_size, ALPHABET)


def test_examples_of_one_name() -> None:
    X, Y = build_dataset(("ann",))
    assert X.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 14], [1, 14, 14]]
    assert Y.tolist() == [1, 14, 14, 0]


def test_no_words_give_no_examples_in_the_same_shapes() -> None:
    X, Y = build_dataset([], 4)
    assert (X.shape, X.dtype, Y.shape, Y.dtype) == ((0, 4), torch.int64, (0,), torch.int64)


def test_an_alphabet_beyond_ascii() -> None:
    X, Y = build_dataset(["žaž"], 2, "až")
    assert X.tolist() == [[0, 0], [0, 2], [2, 1], [1, 2]]
    assert Y.tolist() == [2, 1, 2, 0]


def test_examples_belong_to_the_caller() -> None:
    for tensor in build_dataset(TWELVE):
        tensor.fill_(-1)
    assert all(bool((tensor >= 0).all()) for tensor in build_dataset(TWELVE))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((["ada", "zoe"], 3, "abcde"), "the name 'zoe' has 'z', which is not in the alphabet 'abcde'"),
        ((["ada", "a.b"],), "the name 'a.b' has '.'"),
        ((["ada", "Zoe"],), "the name 'Zoe' has 'Z'"),
        ((["ada", "zo\U0010ffff"],), r"'\U0010ffff'"),
        ((["a"], 3, ""), "the name 'a' has 'a'"),
        ((["a"], 3, "abca"), "'abca' has a letter twice"),
        ((["a"], 3, ".a"), "'.a' has a letter twice, or '.'"),
        ((["a"], 0), "block_size is 0"),
        ((["a"], -1), "block_size is -1"),
    ],
)
def test_bad_arguments_of_build_dataset_are_one_line(arguments: Any, said: str) -> None:
    assert said in refusal(lambda: build_dataset(*arguments))


# ---- The list of the makemore lectures ----


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(names.platformdirs, "user_cache_path", lambda *names, **choices: folder)
    return folder


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Content that stands for the list of the lectures: the tests need no copy of it, nor a network."""
    content = "\n".join(TWELVE).encode()
    monkeypatch.setattr(names, "MAKEMORE_SHA256", hashlib.sha256(content).hexdigest())
    return content


class Opener:
    def __init__(self, content: bytes = b"", error: Exception | None = None) -> None:
        self.content = content
        self.error = error
        self.calls: list[tuple[str, float]] = []

    def __call__(self, url: str, timeout: float) -> io.BytesIO:
        self.calls.append((url, timeout))
        if self.error:
            raise self.error
        return io.BytesIO(self.content)


def unreachable(url: str, timeout: float) -> io.BytesIO:
    pytest.fail("the network is used")


def test_cache_is_the_users_own() -> None:
    assert "backprop-dojo" in cached_makemore_path().parts


def test_fetch_keeps_a_good_list_and_nothing_else(cache: Path, served: bytes) -> None:
    opener = Opener(served)
    path = fetch_makemore_names(opener, timeout=3.5)
    assert opener.calls == [(MAKEMORE_URL, 3.5)]
    assert path == cached_makemore_path()
    assert list(cache.iterdir()) == [path]
    assert path.read_bytes() == served
    assert load_names(path) == TWELVE


def test_fetch_returns_at_once_with_a_valid_copy(cache: Path, served: bytes) -> None:
    path = fetch_makemore_names(Opener(served))
    assert fetch_makemore_names(unreachable) == path


def test_fetch_replaces_a_damaged_copy(cache: Path, served: bytes) -> None:
    cache.mkdir()
    cached_makemore_path().write_bytes(served[:-3])
    assert fetch_makemore_names(Opener(served)).read_bytes() == served


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"\n".join(name.encode() for name in TWELVE[1:])])
def test_fetch_refuses_a_wrong_checksum(content: bytes, cache: Path, served: bytes) -> None:
    message = refusal(lambda: fetch_makemore_names(Opener(content)))
    assert "checksum" in message
    assert message.endswith("; the embedded list goes on serving")
    assert not cache.exists()


class BreaksOff(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise http.client.IncompleteRead(b"ada")


@pytest.mark.parametrize(
    ("open_url", "reason"),
    [
        (
            Opener(error=urllib.error.URLError(OSError(-2, "Name or service not known"))),
            "Name or service not known",
        ),
        (Opener(error=TimeoutError()), "TimeoutError"),
        (Opener(error=ConnectionResetError(104, "reset\nby peer")), "reset by peer"),
        (lambda url, timeout: BreaksOff(), "IncompleteRead"),
    ],
    ids=["no network", "too slow", "several lines", "breaks off"],
)
def test_fetch_without_network_is_one_line(open_url: Any, reason: str, cache: Path, served: bytes) -> None:
    message = refusal(lambda: fetch_makemore_names(open_url))
    assert MAKEMORE_URL in message
    assert reason in message
    assert message.endswith("; the embedded list goes on serving")
    assert not cache.exists()


def test_fetch_into_a_cache_that_cannot_be_written_is_one_line(cache: Path, served: bytes) -> None:
    cache.write_text("a file where the folder should be")
    message = refusal(lambda: fetch_makemore_names(Opener(served)))
    assert str(cache) in message
    assert message.endswith("; the embedded list goes on serving")


def test_fetch_that_fails_at_the_end_leaves_nothing(
    cache: Path, served: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_makemore_path().mkdir(parents=True)  # a file cannot replace a folder
    refusal(lambda: fetch_makemore_names(Opener(served)))
    assert list(cache.iterdir()) == [cached_makemore_path()]


def test_address_and_checksum_of_the_lectures() -> None:
    assert MAKEMORE_URL == "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt"
    assert MAKEMORE_SHA256 == "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"


@pytest.fixture(scope="module")
def full_list() -> Path:
    chosen = os.environ.get("DOJO_FULL_NAMES")
    path = Path(chosen) if chosen else cached_makemore_path()
    if not path.is_file():
        pytest.skip("needs the list of the makemore lectures: set DOJO_FULL_NAMES to it, or fetch it")
    return path


def test_full_list_has_the_names_of_the_lecture(full_list: Path) -> None:
    assert hashlib.sha256(full_list.read_bytes()).hexdigest() == MAKEMORE_SHA256
    listed = load_names(full_list)
    assert len(listed) == 32_033
    assert max(map(len, listed)) == 15


def test_full_list_is_a_valid_copy_for_fetch(full_list: Path, cache: Path) -> None:
    cache.mkdir()
    cached_makemore_path().write_bytes(full_list.read_bytes())
    assert fetch_makemore_names(unreachable) == cached_makemore_path()


def test_full_list_gives_the_examples_of_the_lecture(full_list: Path) -> None:
    parts = split_names(load_names(full_list))
    for part, count in zip(parts, (182_625, 22_655, 22_866), strict=True):
        X, Y = build_dataset(part)
        assert (tuple(X.shape), tuple(Y.shape)) == ((count, 3), (count,))
    contexts, labels = examples_by_loop(parts[1], 3, ALPHABET)
    X, Y = build_dataset(parts[1])
    assert (X.tolist(), Y.tolist()) == (contexts, labels)


# ---- Speed ----


def lines_run(call: Callable[[], object]) -> int:
    """How many lines of Python a call runs: what grows with a list shows a loop over it, on a busy machine too."""
    count = 0

    def trace(frame: object, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def made_up_names(count: int) -> list[str]:
    draw = random.Random(0)
    return ["".join(draw.choices(ALPHABET, k=draw.randint(3, 9))) for _ in range(count)]


def test_examples_are_made_without_a_loop_over_the_names() -> None:
    few, many = made_up_names(100), made_up_names(3_300)
    assert lines_run(lambda: build_dataset(many)) == lines_run(lambda: build_dataset(few))


def test_the_same_list_is_not_read_again(write: Any) -> None:
    path = write("\n".join(made_up_names(3_300)))
    assert lines_run(lambda: load_names(path)) > 3_300
    assert lines_run(lambda: load_names(path)) < 330
