"""`dojo watch` as a process of its own: saves of every kind, the keys, and how it ends."""

from __future__ import annotations

import contextlib
import os
import platform
import pty
import re
import select
import signal
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import psutil
import pytest
import warm

from grader.base.errors import DojoError
from grader.judging.grade import Grader, settings
from grader.learner import saves
from grader.learner.saves import Files, read_when_whole
from grader.learner.watch import Session
from grader.lesson.exercise import Exercise, find_exercise
from grader.reading.submission import Part
from grader.report.records import Report, SubmissionReport, Verdict
from grader.running.memory import most_held

ROOT = Path(__file__).resolve().parents[1]
SOLUTION = (ROOT / "solutions/makemore/ex1_atoms.py").read_text()
STUBS = (ROOT / "exercises/makemore/ex1_atoms.py").read_text()

PATIENCE = 60.0
"""Seconds to wait for something that must come; a busy machine takes its time."""

RIGHT_LINE = "dprobs = dlogprobs / probs"


def answered(line: str) -> str:
    """The solution of exercise 1 with this in the place of the answer for dprobs."""
    assert SOLUTION.count(RIGHT_LINE) == 1
    return SOLUTION.replace(RIGHT_LINE, line)


class Watched:
    """A running `dojo watch` whose output, a pipe or a terminal, can be read as it comes."""

    def __init__(self, folder: Path, *arguments: str, terminal: bool = False) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HOME": str(folder),
            "TERM": "dumb",
            "COLUMNS": "100",
        }
        self.inside = -1
        if terminal:
            self.output, self.inside = pty.openpty()
            self.before = termios.tcgetattr(self.inside)
            stdin = stdout = self.inside
        else:
            self.output, stdout = os.pipe()
            stdin = os.open(os.devnull, os.O_RDONLY)
        wishes, streams = {"session": True, "heeds_interrupts": True}, (stdin, stdout, stdout)
        self.process = warm.Process(["-m", "grader", "watch", *arguments], folder, environment, streams, **wishes)
        if not terminal:
            os.close(stdin)
            os.close(stdout)
        self.text = ""

    def until(self, words: str) -> str:
        """What was written up to the end of the line with `words`; the rest is left for the next call."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if found := re.search(rf"[^\n]*{re.escape(words)}[^\n]*\n", self.text):
                told, self.text = self.text[: found.end()], self.text[found.end() :]
                return told
            assert time.monotonic() < deadline, f"no {words!r} in {self.text!r}"
            if select.select([self.output], [], [], 0.2)[0]:
                written = os.read(self.output, 65536).decode(errors="replace")
                assert written, f"it ended before {words!r}: {self.text!r}"
                self.text += written.replace("\r", "")

    def rest(self) -> str:
        """What else was written so far."""
        while select.select([self.output], [], [], 0)[0]:
            self.text += os.read(self.output, 65536).decode(errors="replace")
        return self.text

    def press(self, key: str) -> None:
        os.write(self.output, key.encode())

    def end(self) -> int:
        """Wait for its end; fail where a process of its group is left."""
        code = self.process.wait(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while _group_lives(self.process.pid):
            assert time.monotonic() < deadline, "a process is left"
            time.sleep(0.05)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.output, self.inside):
            if descriptor >= 0:
                os.close(descriptor)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Start `dojo watch` in a folder of its own; killed at the end of the test where it still runs."""
    started: list[Watched] = []

    def start(*arguments: str, terminal: bool = False) -> Watched:
        started.append(Watched(tmp_path, *arguments, terminal=terminal))
        return started[-1]

    yield start
    for watched in started:
        watched.close()


# ---- Without a terminal ----


def test_every_kind_of_save_is_graded(watching: Callable[..., Watched], tmp_path: Path) -> None:
    path = tmp_path / "ex1.py"
    path.write_text(STUBS)
    watched = watching("ex1.py")
    opening = watched.until("Watching 1 file")
    assert "0 of 26" in opening
    assert "Next: dlogprobs" in opening
    assert "h hint" not in opening, "there are no keys without a terminal"

    path.write_text(SOLUTION)
    assert "First thing" not in watched.until("All right.")

    path.write_text(answered("dprobs = -dlogprobs / probs"))
    told = watched.until("Hint:")
    assert "25 of 26" in told
    assert re.search(r"dprobs: wrong.*ex1\.py:\d+", told)
    assert "dprobs = -dlogprobs / probs" in told
    assert "dojo hint dprobs" in told

    # Editors that write beside the file and rename, twice: the watch must not stay with the first inode.
    for factor in (3, 4):
        beside = tmp_path / ".ex1.py.new"
        beside.write_text(answered(f"dprobs = {factor} * dlogprobs / probs"))
        beside.replace(path)
        assert f"dprobs = {factor} * dlogprobs" in watched.until("Hint:")

    # Editors that write twice: one verdict, and it is on what stands there in the end.
    for _ in range(2):
        path.write_text(answered("dprobs = 5 * dlogprobs / probs"))
    assert "dprobs = 5 * dlogprobs" in watched.until("Hint:")
    path.write_text(answered("dprobs = 6 * dlogprobs / probs"))
    told = watched.until("Hint:")
    assert "dprobs = 6 * dlogprobs" in told
    assert told.count(" of 26") == 1
    time.sleep(1.1)  # until then the second of two writes is passed over in silence
    path.write_text(answered("dprobs = 6 * dlogprobs / probs"))
    assert " of 26" not in watched.until("saved, the same as before")
    path.write_text(answered("dprobs = 7 * dlogprobs / probs"))
    path.write_text(SOLUTION)
    watched.until("All right.")

    # Half a file, then the rest.
    text = answered("dprobs = 8 * dlogprobs / probs")
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        file.write(text[len(text) // 2 :])
    told = watched.until("Hint:")
    assert "25 of 26" in told
    assert "dprobs = 8 * dlogprobs" in told

    path.unlink()
    watched.until("gone; graded again when it is back")
    path.write_text(text)
    assert "dprobs = 8 * dlogprobs" in watched.until("Hint:"), "the same text again is graded again"

    # What stays broken is told, and the watch goes on.
    path.write_text("")
    assert "the file is empty" in watched.until("dojo: ")
    path.write_text(answered("dprobs = dlogprobs / (probs"))
    told = watched.until("Hint:")
    assert "25 of 26" in told
    assert "dprobs" in told
    path.write_text(SOLUTION)
    watched.until("All right.")

    watched.process.send_signal(signal.SIGINT)
    assert watched.end() == 0


def test_a_folder_is_watched_with_its_new_files(watching: Callable[..., Watched], tmp_path: Path) -> None:
    folder = tmp_path / "exercises" / "makemore"
    folder.mkdir(parents=True)
    (folder / "ex1_atoms.py").write_text(STUBS)
    watched = watching()
    watched.until("Watching 1 file")
    solution = (ROOT / "solutions/makemore/ex2_cross_entropy.py").read_text()
    (folder / "ex2_cross_entropy.py").write_text(solution)
    assert "ex2_cross_entropy.py" in watched.until("1 of 1")
    # The whole folder goes and comes back, as with `git stash`: its watch went with it.
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    watched.until("ex1_atoms.py: gone")
    folder.mkdir()
    (folder / "ex1_atoms.py").write_text(SOLUTION)
    watched.until("26 of 26")
    watched.process.terminate()
    assert watched.end() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nowhere.py"], "no such file"), ([], "no exercises/ folder"), (["ex1.py", "--exercise", "ex9"], "ex9")],
)
def test_a_bad_call_ends_at_once(
    arguments: list[str], words: str, watching: Callable[..., Watched], tmp_path: Path
) -> None:
    (tmp_path / "ex1.py").write_text(STUBS)
    watched = watching(*arguments)
    assert words in watched.until("dojo: ")
    assert watched.end() == 2


# ---- With a terminal ----


def test_the_keys(watching: Callable[..., Watched], tmp_path: Path) -> None:
    folder = tmp_path / "exercises" / "makemore"
    folder.mkdir(parents=True)
    path = folder / "ex1_atoms.py"
    path.write_text(answered("dprobs = -dlogprobs / probs"))
    for name in ("ex2_cross_entropy.py", "ex3_batchnorm.py"):
        (folder / name).write_text((ROOT / "exercises/makemore" / name).read_text())
    watched = watching(terminal=True)
    assert "dprobs: wrong" in watched.until("q quit")

    watched.press("h")
    watched.until("dprobs in makemore/ex1, hint 1 of 3")
    watched.press("\x1b[q")  # an escape sequence that ends in a letter is no command
    watched.press("h")
    watched.until("dprobs in makemore/ex1, hint 2 of 3")

    watched.press("l")
    table = watched.until("Hint:")
    assert re.search(r"dlogprobs +\S+ +True .* right", table)
    assert re.search(r"dprobs +\S+ +False .* wrong", table)

    watched.press("n")
    assert "Next: dlogits in exercises/makemore/ex2_cross_entropy.py" in watched.until("Hint:")
    watched.press("n")
    watched.until("ex3_batchnorm.py")
    watched.until("Hint:")
    watched.press("n")
    assert "dprobs: wrong" in watched.until("Hint:"), "after the last exercise comes the first"

    watched.press("rn")
    assert "[y/N] no" in watched.until("nothing changed")
    assert path.read_text() == answered("dprobs = -dlogprobs / probs")
    watched.press("ry")
    assert "[y/N] yes" in watched.until("put back")
    assert "0 of 26" in watched.until("Next: dlogprobs")
    assert path.read_text() == STUBS
    assert "-dlogprobs" in path.with_name("ex1_atoms.py.bak").read_text()

    path.write_text(answered("dprobs = dlogprobs / probs"))
    assert "+26: dlogprobs, dprobs, dcounts_sum_inv and 23 more" in watched.until("are right now")

    assert termios.tcgetattr(watched.inside) != watched.before, "keys are read one by one"
    watched.press("q")
    assert watched.end() == 0
    assert termios.tcgetattr(watched.inside) == watched.before


def test_ctrl_c_while_an_answer_runs_cleans_up(watching: Callable[..., Watched], tmp_path: Path) -> None:
    path = tmp_path / "ex1.py"
    path.write_text(STUBS)
    watched = watching("ex1.py", terminal=True)
    watched.until("q quit")
    path.write_text(answered("while True:\n    dprobs = 1"))
    deadline, at_first = time.monotonic() + PATIENCE, dict[int, float]()
    while True:  # a worker that is prepared for the next save waits
        family = psutil.Process(watched.process.pid).children(recursive=True)
        used = {process.pid: _seconds_used(process) for process in family}
        at_first = used | at_first
        if any(seconds > at_first[pid] + 0.5 for pid, seconds in used.items()):
            break
        assert time.monotonic() < deadline, "no answer runs"
        time.sleep(0.02)
    watched.press("\x03")
    assert watched.end() == 0
    assert psutil.wait_procs(family, PATIENCE)[1] == []
    assert termios.tcgetattr(watched.inside) == watched.before
    assert "Traceback" not in watched.rest()


def _seconds_used(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        return float(process.cpu_times().user)
    return 0.0


# ---- What is prepared while nothing is saved ----


@pytest.mark.parametrize("name", ["foundations/ex1", "makemore/ex4", "makemore/ex5"])
def test_what_is_prepared_is_used_and_no_verdict_depends_on_it(name: str) -> None:
    exercise = find_exercise(name)
    with Grader(settings(7, "cpu")) as grader:
        (before,) = grader.grade_file(exercise.path, exercise.id)
        for _ in grader.prepare(exercise):
            pass
        with mock.patch.object(grader.launcher, "_fork", side_effect=AssertionError("a second worker")):
            (after,) = grader.grade_file(exercise.path, exercise.id)
        assert after == before
        assert after.all_passed


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory is kept through glibc's malloc")
def test_what_large_tensors_took_is_at_hand_for_the_next_save() -> None:
    exercise = find_exercise("foundations/ex3")
    with Grader(settings(7, "cpu")) as grader:
        grader.grade_file(exercise.path, exercise.id)
        for _ in grader.prepare(exercise):
            pass
        worker = grader.launcher.start()  # it is there once it has the memory
        assert worker._held < most_held(worker.pid) - 250e6
        worker.close()
        small = find_exercise("makemore/ex1")
        grader.grade_file(small.path, small.id)
        for _ in grader.prepare(small):
            pass
        worker = grader.launcher.start()
        assert worker._held > most_held(worker.pid) - 50e6
        worker.close()


@pytest.mark.parametrize("ready", [True, False])
def test_a_worker_that_ended_while_it_waited_is_nobodys_mistake(ready: bool) -> None:
    exercise = find_exercise("makemore/ex4")  # a lost worker would be a lost loop
    with Grader(settings(7, "cpu")) as grader:
        for _ in grader.prepare(exercise):
            pass
        worker = grader.launcher._prepared
        assert worker is not None
        if ready:
            assert worker.channel._readable.poll(PATIENCE * 1000)
        process = psutil.Process(worker.pid)
        process.kill()
        psutil.wait_procs([process], PATIENCE)
        (report,) = grader.grade_file(exercise.path, exercise.id)
        assert report.all_passed


# ---- Half-written files, on a clock of their own ----


class Clock:
    """Time that passes only where `read_when_whole` sleeps; `at` says what happens when."""

    def __init__(self, at: dict[float, Callable[[], object]]) -> None:
        self.now = 0.0
        self.at = dict(sorted(at.items()))

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.at.pop(moment)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Clock]:
    def start(at: dict[float, Callable[[], object]] | None = None) -> Clock:
        running = Clock(at or {})
        monkeypatch.setattr(saves, "time", running)
        return running

    return start


def test_a_whole_file_is_taken_at_once(clock: Callable[..., Clock], tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("a = 1\nb = 3\n")
    running = clock()
    for before in (None, "a = 2\nb = 3\n"):
        reading = read_when_whole(path, before)
        assert reading is not None
        assert reading.text == "a = 1\nb = 3\n"
    assert running.now == 0.0


@pytest.mark.parametrize(
    ("name", "half", "whole"),
    [
        ("a.py", "", "a = 1\nb = 3\n"),
        ("a.py", "a = (1", "a = (1)\nb = 3\n"),
        ("a.py", "a = (1\nb = 3\n", "a = (1)\nb = 3\n"),
        ("a.py", "a = 1\n", "a = 1\nb = 3\n"),
        ("a.ipynb", '{"nbformat": 4, "cel', '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}\n'),
    ],
)
def test_a_half_written_file_is_read_again(
    name: str, half: str, whole: str, clock: Callable[..., Clock], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(half)
    clock({0.1: lambda: path.write_text(whole)})
    reading = read_when_whole(path, whole.replace("1", "2"))
    assert reading is not None
    assert reading.text == whole


def test_a_file_that_stays_broken_is_taken_as_it_is(clock: Callable[..., Clock], tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("a = (1\nb = 2\n")
    running = clock()
    reading = read_when_whole(path, "a = 1\nb = 2\n")
    assert reading is not None
    assert [bad.line for bad in reading.source.bad_lines] == [1]
    assert saves.SETTLE_SECONDS <= running.now < 2 * saves.SETTLE_SECONDS
    path.write_text("")
    with pytest.raises(DojoError, match="empty"):
        read_when_whole(path, None)


def test_a_file_that_is_away_for_a_moment_is_not_gone(clock: Callable[..., Clock], tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    clock({0.4: lambda: path.write_text("a = 1\n")})
    reading = read_when_whole(path, "a = 2\n")
    assert reading is not None
    path.unlink()
    clock()
    assert read_when_whole(path, "a = 1\n") is None


def test_a_reading_knows_when_the_file_changed_under_it(clock: Callable[..., Clock], tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("a = 1\n")
    files = Files([path])
    assert files.changed() == [path]
    assert files.changed() == []
    clock()
    reading = read_when_whole(path, None)
    assert reading is not None
    assert reading.stamp == files.stamps[path]
    path.write_text("a = 10\n")
    assert files.changed() == [path]
    assert reading.stamp != files.stamps[path]
    path.unlink()
    assert files.changed() == [path]
    assert files.changed() == []


def test_no_verdict_is_shown_on_a_text_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ex1.py"
    path.write_text(SOLUTION)
    graded: list[str] = []

    class SavesMeanwhile:
        def grade_part(self, part: Part) -> SubmissionReport:
            graded.append(path.read_text())
            if len(graded) == 1:
                path.write_text(STUBS)  # as by a learner who saves again while the grader works
            verdicts = [Verdict(name, "pass" if part.attempts else "missing") for name in part.exercise.graded]
            return SubmissionReport(str(path), part.exercise.id, "", 1, "", "cpu", "basic", verdicts)

        def prepare(self, exercise: Exercise) -> Iterator[None]:
            return iter(())

    shown: list[int] = []

    class Shows:
        def verdicts(self, report: Report, changes: object = ()) -> None:
            shown.extend(submission.score for submission in report.submissions)

    monkeypatch.setattr("grader.learner.watch.remember", lambda report: None)
    session = Session(SavesMeanwhile(), Shows(), Files([path]), None)  # type: ignore[arg-type]
    session.begin()
    assert graded == [SOLUTION, STUBS]
    assert shown == [0]
