"""`dojo batch` from end to end: what is written, said and returned, and that it goes on where it was stopped."""

from __future__ import annotations

import json
import multiprocessing.connection
import os
import random
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import breaking
import pytest
import warm
from answers.build import with_lines
from dojo import dojo, dojo_here, dojo_started, environment
from people import BATCHNORM, RIGHT, WRONG, class_of, contents, hand_in, index
from rich.console import Console

from grader.base.errors import DojoError
from grader.batch import jobs as local_jobs
from grader.batch import judges
from grader.batch.parameters import Options
from grader.batch.person import Terms
from grader.batch.results import Results
from grader.batch.run import run_batch
from grader.judging import judge
from grader.report.points import PointsTable
from grader.running.confine import highest_isolation

BASIC = ("--isolation", "basic")


def batch(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return dojo(folder, "batch", *arguments)


def in_process(submissions: Path, out: Path, jobs: int = 1, **more: object) -> tuple[int, str]:
    """Exit code, and all that was said. Only where this process may start judges: without threads of its own."""
    said: list[str] = []
    with (out.parent / "said.txt").open("w") as file:
        asked = {"seed": 3, "isolation": "basic", **more}
        options = Options(submissions, out, jobs=jobs, **asked)  # type: ignore[arg-type]
        code = run_batch(options, Console(file=file, width=200), said.append)
    return code, "\n".join([(out.parent / "said.txt").read_text(), *said])


def test_a_class_is_graded(tmp_path: Path) -> None:
    hand_in(tmp_path / "all", {
        "ann.py": RIGHT, "bo/ex2.py": WRONG, "cy/empty.py": "", "../outside.py": RIGHT, "dee/essay.pdf": "",
        "eve/ex2.py": RIGHT, "eve/ex3.py": BATCHNORM, "eve/helpers.py": "x = 1\n",
    })  # fmt: skip
    ran = dojo_started(tmp_path, "batch", *"all --out out --exercise ex2 --seed 7 --jobs 2".split(), *BASIC)
    assert ran.returncode == 0, ran.stderr
    assert "3 graded, 2 refused, 0 grader errors; median score 1 of 1" in ran.stdout
    assert "ISOLATION IS ONLY BASIC" in ran.stderr
    results = Results(tmp_path / "out")
    found = {entry.submission: (entry.status, entry.score) for entry in results.entries()}
    assert found == {
        "ann": ("graded", 1), "bo": ("graded", 0), "cy": ("refused", 0), "dee": ("refused", 0), "eve": ("graded", 1),
    }  # fmt: skip
    reports = {entry.submission: results.report(entry) for entry in results.entries()}
    assert reports["cy"]["refused"] == "cy/empty.py: the file is empty"
    assert reports["ann"]["submissions"][0]["path"] == "ann.py"
    assert {entry.source for entry in results.entries() if entry.submission == "bo"} == {"all/bo"}


def test_a_result_is_what_dojo_grade_gives(tmp_path: Path) -> None:
    hand_in(tmp_path / "all", {"ann/ex1.py": with_lines({"dbnvar_inv": "dbnvar_inv = dbnraw.sum(0, keepdim=True)"})})
    alone = dojo(tmp_path / "all", "grade", "ann/ex1.py", "--seed", "7", "--format", "json", *BASIC)
    assert batch(tmp_path, "all", "--out", "out", "--seed", "7", *BASIC).returncode == 0
    assert json.loads((tmp_path / "out/results/ann.json").read_text()) == json.loads(alone.stdout)


def test_the_highest_isolation_is_taken_and_one_that_is_not_there_refused(tmp_path: Path) -> None:
    hand_in(tmp_path / "all", {"ann/ex2.py": RIGHT})
    ran = dojo(tmp_path, "batch", "all", "--out", "out")
    assert f"isolation {highest_isolation()}" in ran.stderr
    assert Results(tmp_path / "out").report(Results(tmp_path / "out").entries()[0])["submissions"][0]["score"] == 1
    if highest_isolation() != "full":
        assert batch(tmp_path, "all", "--out", "other", "--require-isolation", "full").returncode == 2
        assert not (tmp_path / "other").exists()


HANDS_OUT = """
import sys
from grader.cli.main import main
try:
    main(["batch", "all", "--out", "out", "--jobs", "1"])
finally:
    print("torch" in sys.modules)
"""


@pytest.mark.slow
def test_the_process_that_hands_submissions_out_loads_no_torch(tmp_path: Path) -> None:
    """Its judges and the process that their workers are forked from load it at the same time."""
    hand_in(tmp_path / "all", {"ann/ex2.py": RIGHT})
    command = [sys.executable, "-c", HANDS_OUT]
    ran = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120)
    assert "1 graded, 0 refused, 0 grader errors; median score 1 of 1" in ran.stdout
    assert ran.stdout.endswith("False\n")


@pytest.mark.slow
def test_any_number_of_jobs_gives_the_same_bytes(tmp_path: Path) -> None:
    class_of(tmp_path / "all", 12)
    for jobs in (1, 3):
        assert in_process(tmp_path / "all", tmp_path / str(jobs), jobs)[0] == 0
    assert contents(tmp_path / "1") == contents(tmp_path / "3")
    assert len(contents(tmp_path / "1")) == 12


def test_a_judge_shows_first_that_the_confined_can_be_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_runs(*_: object) -> None:
        raise DojoError("no answer runs")

    monkeypatch.setattr(judge, "prove", nothing_runs)
    ours, theirs = multiprocessing.Pipe()
    requests, workers = socket.socketpair()
    ours.close()
    with theirs, requests, workers, pytest.raises(DojoError, match="no answer runs"):
        judges._serve_terms(theirs, requests, Terms(seed=1, isolation="partial"))


def test_of_two_files_with_one_exercise_the_best_counts(tmp_path: Path) -> None:
    hand_in(tmp_path / "all", {"ann/a.py": WRONG, "ann/b.py": RIGHT, "ann/broken.ipynb": "{"})
    assert in_process(tmp_path / "all", tmp_path / "out")[0] == 0
    (entry,) = Results(tmp_path / "out").entries()
    report = Results(tmp_path / "out").report(entry)
    assert [(s["path"], s["score"], s.get("counts", True)) for s in report["submissions"]] == [
        ("ann/a.py", 0, False), ("ann/b.py", 1, True),
    ]  # fmt: skip
    assert (entry.score, entry.max_score) == (1, 1)
    assert "broken.ipynb" in report["problems"][0]


# ---- Going on ----


def test_what_is_graded_is_not_graded_again_unless_it_changed(tmp_path: Path) -> None:
    class_of(tmp_path / "all", 4)
    in_process(tmp_path / "all", tmp_path / "out")
    first = contents(tmp_path / "out")
    hand_in(tmp_path / "all", {"student001/ex2.py": RIGHT, "zoe.py": RIGHT})
    code, said = in_process(tmp_path / "all", tmp_path / "out")
    assert code == 0
    assert "5 graded, 3 of them before" in said
    assert len(index(tmp_path / "out")) == 4 + 2
    assert contents(tmp_path / "out").items() > first.items(), "the old result of student001 is still there"
    assert {e.submission: e.score for e in Results(tmp_path / "out").entries()}["student001"] == 1
    assert "5 graded, 5 of them before" in in_process(tmp_path / "all", tmp_path / "out")[1]


def test_the_seed_is_drawn_once_for_everyone(tmp_path: Path) -> None:
    class_of(tmp_path / "all", 2)
    in_process(tmp_path / "all", tmp_path / "out", seed=None)
    hand_in(tmp_path / "all", {"zoe.py": RIGHT})
    assert in_process(tmp_path / "all", tmp_path / "out", seed=None)[0] == 0
    seeds = {json.loads(text)["submissions"][0]["seed"] for text in contents(tmp_path / "out").values()}
    assert len(seeds) == 1


def test_other_terms_are_not_mixed_into_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "\n".join(f"{a}{b}" for a in "abcdef" for b in "xyz") + "\n"
    hand_in(tmp_path, {"all/ann/ex2.py": RIGHT, "names.txt": names})
    in_process(tmp_path / "all", tmp_path / "out", exercise="ex2")
    before = index(tmp_path / "out")
    others: list[dict[str, object]] = [
        {"seed": 8}, {"exercise": "ex3"}, {"seconds": 9.0}, {"memory": 1 << 30},
        {"points": PointsTable({"logits": 2})},
    ]  # fmt: skip
    for other in others:
        with pytest.raises(DojoError, match="was begun with"):
            in_process(tmp_path / "all", tmp_path / "out", **other)
    monkeypatch.setenv("DOJO_NAMES", str(tmp_path / "names.txt"))
    with pytest.raises(DojoError, match="another list of names"):
        in_process(tmp_path / "all", tmp_path / "out")
    assert index(tmp_path / "out") == before
    monkeypatch.delenv("DOJO_NAMES")
    code, _ = in_process(tmp_path / "all", tmp_path / "out", seed=None, isolation=None, retry_errors=True)
    assert code == 0, "what is left out is as it was"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone", "--out", "out"), "gone: no such file or folder"),
        (("all", "--out", "all/out"), "lies among the submissions"),
        (("all", "--out", "out", "--limit-memory", "much"), "512M"),
        (("all", "--out", "out", "--limit-time", "0"), "above 0"),
        (("all", "--out", "out", "--exercise", "ex9"), "ex9"),
        (("all", "--out", "out", "--device", "abacus"), "abacus"),
        (("all", "--out", "out", "--isolation", "total"), "total"),
        (("all", "--out", "all/ann.py"), "all/ann.py: is a file"),
        (("all", "--out", "out", "--feedback", "all/pages"), "all/pages: lies among the submissions"),
        (("all", "--out", "out", "--feedback", "all/ann.py"), "all/ann.py: is a file"),
    ],
)
def test_bad_calls_are_one_line_and_write_nothing(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    hand_in(tmp_path, {"all/ann.py": RIGHT})
    before = sorted(tmp_path.rglob("*"))
    ran = dojo_here(tmp_path, "batch", *arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


# ---- What breaks the grader ----


class Clock:
    """Time as it is; but where only the judge that hangs is waited for, the rest of the patience passes at once."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def wait(self, connections: list[Connection], patience: float) -> list[object]:
        if len(connections) > 1:
            return list(multiprocessing.connection.wait(connections, patience))
        self.ahead += patience
        return []


@pytest.fixture
def breaking_judges(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(judges, "_serve_forked", breaking.serve)
    if "[hangs" in request.node.name:
        clock = Clock()
        for module in (judges, local_jobs):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(local_jobs, "wait", clock.wait)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("raises", "ValueError: a defect of the grader"),
        ("crashes", "signal 11 (SIGSEGV)"),
        ("starved", "may have run out of memory"),
        ("hangs", "said nothing for too long"),
        ("unable", "no worker could be started"),
    ],
)
@pytest.mark.usefixtures("breaking_judges")
def test_what_breaks_the_grader_is_recorded_and_the_rest_go_on(tmp_path: Path, kind: str, said: str) -> None:
    hand_in(tmp_path / "all", {"ann/ex2.py": RIGHT, f"bo/{kind}_ex2.py": RIGHT, "cy/ex2.py": RIGHT})
    code, words = in_process(tmp_path / "all", tmp_path / "out", jobs=2)
    assert code == 1
    assert "2 graded, 0 refused, 1 grader error;" in words
    results = Results(tmp_path / "out")
    assert [entry.status for entry in results.entries()] == ["graded", "grader-error", "graded"]
    report = results.report(results.entries()[1])
    assert report["submissions"] == []
    assert said in report["grader_error"]
    assert in_process(tmp_path / "all", tmp_path / "out")[0] == 1, "it is not graded again"
    assert len(index(tmp_path / "out")) == 3


def test_grader_errors_are_graded_again_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(tmp_path / "all", {"ann/ex2.py": RIGHT, "bo/raises_ex2.py": RIGHT})
    with monkeypatch.context() as patched:
        patched.setattr(judges, "_serve_forked", breaking.serve)
        assert in_process(tmp_path / "all", tmp_path / "out")[0] == 1
    code, words = in_process(tmp_path / "all", tmp_path / "out", retry_errors=True)
    assert code == 0
    assert "2 graded, 1 of them before" in words


@pytest.mark.usefixtures("breaking_judges")
def test_where_nothing_can_be_graded_the_batch_stops(tmp_path: Path) -> None:
    hand_in(tmp_path / "all", {f"p{number}/unable_ex2.py": RIGHT for number in range(9)})
    with pytest.raises(DojoError, match="no worker could be started"):
        in_process(tmp_path / "all", tmp_path / "out")
    assert len(index(tmp_path / "out")) < 3


# ---- Killed, and stopped ----


def started(folder: Path, *arguments: str) -> warm.Process:
    """In a session of its own; what it says stands in said.txt."""
    with (folder / "said.txt").open("w") as said, Path(os.devnull).open() as nothing:
        streams, command = (nothing.fileno(), said.fileno(), said.fileno()), ["-m", "grader", "batch", *arguments]
        wishes = {"session": True, "heeds_interrupts": True, "wholly": True}
        return warm.Process(command, folder, environment(), streams, **wishes)


def wait_for_lines(process: warm.Process, out: Path, count: int) -> None:
    """Until the index has `count` lines, or the process is done."""
    deadline = time.monotonic() + 120
    while len(index(out)) < count and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def descendants(session: int) -> list[str]:
    """What still runs of a session; workers have sessions of their own, and are looked for by their parents' names."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def is_gone(session: int, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while descendants(session):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_ctrl_c_keeps_what_is_graded_and_leaves_nothing_running(tmp_path: Path) -> None:
    class_of(tmp_path / "all", 60)
    process = started(tmp_path, "all", "--out", "out", *BASIC, "--jobs", "2")
    wait_for_lines(process, tmp_path / "out", 3)
    os.killpg(process.pid, signal.SIGINT)
    code, said = process.wait(60), (tmp_path / "said.txt").read_text()
    assert code == 130, said
    assert "stopped; what was graded is kept in out" in said
    assert "Traceback" not in said
    graded = len(index(tmp_path / "out"))
    assert 3 <= graded < 60
    assert is_gone(process.pid)
    results = Results(tmp_path / "out")
    assert len([results.report(entry) for entry in results.entries()]) == graded


KILLS = 30


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_thirty_times_it_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """The main process is killed, every other time within a moment of a result, else anywhere from its start on."""
    class_of(tmp_path / "all", 150)
    call = ("all", "--out", "killed", "--seed", "3", *BASIC, "--jobs", "2")
    assert batch(tmp_path, "all", "--out", "whole", "--seed", "3", *BASIC).returncode == 0
    random_moment = random.Random(20)
    out, before = tmp_path / "killed", 0
    for number in range(KILLS):
        process = started(tmp_path, *call)
        if number % 2:
            wait_for_lines(process, out, before + 1)
            time.sleep(random_moment.uniform(0, 0.05))
        else:
            time.sleep(random_moment.uniform(0, 0.3))
        assert process.poll() is None, f"done too early: {(tmp_path / 'said.txt').read_text()}"
        process.kill()
        process.wait()
        lines = index(out)
        assert len(lines) >= before, "what was graded is kept"
        before = len(lines)
        assert is_gone(process.pid), descendants(process.pid)
    assert 15 <= before < 150, "kills must fall between results"
    ran = batch(tmp_path, *call)
    broken = [text for text in contents(out).values() if b"grader_error" in text]
    assert ran.returncode == 0, (ran.stderr, broken)
    assert contents(out) == contents(tmp_path / "whole")
    names = [line["submission"] for line in index(out)]
    assert sorted(names) == sorted(set(names)), "none was graded twice"
    assert len(names) == 150
    without_seconds = [{k: v for k, v in line.items() if k != "seconds"} for line in index(out)]
    uninterrupted = [{k: v for k, v in line.items() if k != "seconds"} for line in index(tmp_path / "whole")]
    assert sorted(without_seconds, key=str) == sorted(uninterrupted, key=str)


def test_a_second_batch_at_the_same_time_is_refused(tmp_path: Path) -> None:
    class_of(tmp_path / "all", 3)
    assert batch(tmp_path, "all", "--out", "out", *BASIC).returncode == 0
    with Results.start(tmp_path / "out", {}):
        ran = batch(tmp_path, "all", "--out", "out")
    assert ran.returncode == 2
    assert "another `dojo batch` is writing" in ran.stderr
