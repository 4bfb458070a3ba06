"""The folder of results: what is promised when a run is killed, the disk is full, or somebody edits a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dojo import environment
from hypothesis import example, given
from hypothesis import strategies as st
from people import contents, index

from grader.base.errors import DojoError
from grader.batch import disk, results
from grader.batch.disk import file_name
from grader.batch.results import Results, counting


def graded(score: int) -> dict[str, object]:
    return {"schema": 1, "submissions": [{"score": score, "max_score": 26}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def writer(folder: Path) -> Iterator[Results]:
    with Results.start(folder, {"seed": 3}) as opened:
        yield opened


def test_what_was_added_is_read_back(folder: Path, writer: Results) -> None:
    added = writer.add("ann", graded(20), source="s/ann.py", content="c", seconds=0.25, student="Ann", student_id="7")
    refused = writer.add("bob", {"schema": 1, "submissions": [], "refused": "bob.py: the file is empty"})
    broken = writer.add("cy", {"schema": 1, "submissions": [], "grader_error": "Traceback"})
    read = Results(folder)
    assert read.entries() == [added, refused, broken]
    assert [entry.status for entry in read.entries()] == ["graded", "refused", "grader-error"]
    assert (added.score, added.max_score, added.student, added.student_id) == (20, 26, "Ann", "7")
    assert read.report(added) == graded(20)
    assert read.parameters["seed"] == 3
    assert read.problems == []


def test_a_resubmission_counts_and_the_old_result_stays(folder: Path, writer: Results) -> None:
    first = writer.add("ann", graded(20), content="old")
    second = writer.add("ann", graded(26), content="new")
    read = Results(folder)
    assert read.entries() == [second]
    assert read.report(first) == graded(20), "the old one is whole"
    assert first.file != second.file


def test_of_one_exercise_in_several_files_one_counts(writer: Results) -> None:
    two = {"schema": 1, "submissions": [{"score": 3, "max_score": 26, "counts": False}, {"score": 4, "max_score": 26}]}
    entry = writer.add("ann", two)
    assert (entry.score, entry.max_score) == (4, 26)
    assert counting(two) == two["submissions"][1:]


class Killed(BaseException):
    """As far as the folder can tell, the process is gone here."""


@pytest.mark.parametrize(("step", "kept"), [("write_flushed", False), ("append_flushed", False), ("replace", True)])
def test_killed_before_each_step_of_a_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, kept: bool
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    with Results.start(folder, {}) as writer:
        writer.add("ann", graded(1))
        with monkeypatch.context() as patched:
            patched.setattr(*((Path, "replace") if step == "replace" else (results, step)), killed)
            with pytest.raises(Killed):
                writer.add("bob", graded(2), content="b")
    if kept:  # a reader need not wait for the next batch
        read = Results(folder)
        assert [read.report(entry) for entry in read.entries()] == [graded(1), graded(2)]
    with Results.start(folder, {}) as again:
        assert [entry.submission for entry in again.entries()] == ["ann", "bob"][: 1 + kept]
        assert again.problems == []
        assert not list((folder / "results").glob(".*")), "no half file is left over"
        again.add("bob", graded(2), content="b")
        assert again.report(again.entries()[1]) == graded(2)
    assert list(contents(folder)) == ["ann.json", "bob.json"]


def test_a_last_line_that_is_torn(folder: Path) -> None:
    with Results.start(folder, {}) as writer:
        writer.add("ann", graded(1))
        writer.add("bob", graded(2))
    path = folder / "index.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert [entry.submission for entry in Results(folder).entries()] == ["ann"]
    with Results.start(folder, {}) as again:
        assert any("cut short" in problem for problem in again.problems)
        assert again.entry("bob") is None
        again.add("bob", graded(2))
    assert [line["submission"] for line in index(folder)] == ["ann", "bob"]


def test_a_result_that_has_no_line_is_told_and_kept_aside(folder: Path) -> None:
    with Results.start(folder, {}) as writer:
        writer.add("ann", graded(1))
        (folder / "results" / "bob.json").write_text("{}")
    with Results.start(folder, {}) as again:
        assert any("bob.json: has no line" in problem for problem in again.problems)
    assert (folder / "results" / "bob.json.bak").read_text() == "{}"


@pytest.mark.parametrize("damage", ["edited", "missing"])
def test_a_result_that_is_not_what_the_index_says(folder: Path, damage: str) -> None:
    with Results.start(folder, {}) as writer:
        entry = writer.add("ann", graded(1), content="c")
    path = folder / entry.file
    path.write_text("mine") if damage == "edited" else path.unlink()
    with pytest.raises(DojoError, match="missing, or changed since"):
        Results(folder).report(entry)
    with Results.start(folder, {}) as again:
        assert any("ann.json" in problem and "graded again" in problem for problem in again.problems)
        assert again.entry("ann") is None
        assert again.add("ann", graded(1), content="c").file == entry.file
    assert (folder / "results" / "ann.json.bak").exists() == (damage == "edited")
    assert Results(folder).report(entry) == graded(1)


def test_lines_that_mean_nothing_are_passed_over_and_told(folder: Path) -> None:
    with Results.start(folder, {}) as writer:
        entry = writer.add("ann", graded(1))
    line = json.loads((folder / "index.jsonl").read_text())
    outside = [json.dumps({**line, "submission": "eve", "file": f}) for f in ("../x.json", "results/../../x", "/x")]
    with (folder / "index.jsonl").open("a") as file:
        file.write("\n".join(["{", "[1]", '{"submission": "x"}', *outside]) + "\n")
    read = Results(folder)
    assert read.entries() == [entry]
    assert len(read.problems) == 6


def test_a_second_writer_is_refused(folder: Path, writer: Results) -> None:
    with pytest.raises(DojoError, match="another `dojo batch` is writing"):
        Results.start(folder, {})
    there, here = os.pipe()
    pid = os.fork()
    if pid == 0:  # a process that the writer forked must not keep the lock when the writer is killed
        signal.alarm(30)
        os.write(here, b".")
        signal.pause()
    os.read(there, 1)
    writer.close()
    try:
        Results.start(folder, {}).close()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_folder_of_other_things_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DojoError, match="holds other files"):
        Results.start(tmp_path, {})
    with pytest.raises(DojoError, match="not a folder of results"):
        Results(tmp_path)


def test_parameters_of_a_folder_with_results_stay(folder: Path) -> None:
    Results.start(folder, {"seed": 1}).close()
    with Results.start(folder, {"seed": 2}) as writer:
        assert writer.parameters["seed"] == 2, "nothing was graded with the first"
        writer.add("ann", graded(1))
    with Results.start(folder, {"seed": 3}) as writer:
        assert writer.parameters["seed"] == 2


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from grader.batch.results import Results
from grader.base.errors import DojoError

with Results.start(Path(sys.argv[1]), {}) as writer:
    writer.add("ann", {"submissions": []})
    room = (writer.folder / "index.jsonl").stat().st_size + int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        writer.add("bob", {"submissions": [], "refused": "x" * int(sys.argv[3])})
    except DojoError as error:
        print(error)
"""


@pytest.mark.parametrize(("room", "length"), [(0, 5), (100, 5), (100, 5000)])
def test_a_full_disk_leaves_what_was_there_whole(folder: Path, room: int, length: int) -> None:
    """The kernel stops the write of the index's line, or of the result, in the middle."""
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), str(room), str(length)],
        env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "cannot be written" in ran.stdout, ran.stderr
    assert [line["submission"] for line in index(folder)] == ["ann"]
    assert (folder / "index.jsonl").read_bytes().endswith(b"\n")
    with Results.start(folder, {}) as again:
        assert again.problems == []
        again.add("bob", {"submissions": []})
    assert list(contents(folder)) == ["ann.json", "bob.json"]


# ---- Names of files ----


@given(st.text(min_size=1))
@example("../../etc/passwd")
@example("a/b")
@example("con")
@example("\ud800\x1b[31m")
@example("x" * 5000)
def test_any_name_gives_a_file_name_that_is_safe(name: str) -> None:
    made = file_name(name)
    assert len(made) < 120
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.~-")
    assert made[0].isalnum()


@given(st.lists(st.text(st.sampled_from("aAbB~_./ v2é1"), min_size=1, max_size=6), unique=True))
@example(["a", "A"])
@example(["a", "a~v2"])
def test_no_two_names_share_a_file_even_where_case_does_not_count(names: list[str]) -> None:
    files = [file_name(name, version).casefold() for name in names for version in (1, 2, 3)]
    assert len(set(files)) == len(files)


def test_names_whose_digests_collide_get_files_of_their_own(
    folder: Path, writer: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = disk.sha256
    monkeypatch.setattr(disk, "sha256", lambda content: "0" * 16 + real(content))
    files = {writer.add(name, graded(1)).file for name in ("Ann", "ANN", "ann")}
    assert len({file.casefold() for file in files}) == 3


def test_strange_text_in_a_report_is_written_and_read(writer: Results) -> None:
    report = {"schema": 1, "submissions": [], "refused": "\ud800 \x00 é \u2028"}
    assert writer.report(writer.add("x\ud800", report)) == report


def test_half_a_pair_in_a_notebook_has_a_digest() -> None:
    """JSON may hold half of an emoji, as "\\\\ud83d": one such file ended a whole course's run."""
    said = [b'{"cells": [{"source": "# thanks %s"}]}' % half for half in (b"\\ud83d", b"\\ud83e", b"\\ud83d")]
    first, other, same = (disk.text_digest([content]) for content in said)
    assert first == same != other
