"""One file never ends a run, and never costs more than its limit: whatever is wrong with it is told of it alone."""

from __future__ import annotations

import json
import signal
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from answers.build import SOFTMAX_MINUS_ONE
from dojo import dojo, dojo_here

from grader.base.boundary import Clock, one_file
from grader.base.errors import DojoError, NotGradedError
from grader.batch.person import Task, Terms, grade_person
from grader.integrations.outputs import FORMAT_NAMES, FORMATS, OF_STRANGERS, deliver, parts_of
from grader.judging import grade
from grader.judging.grade import Grader, Settings
from grader.reading import submission
from grader.reading.submission import find_parts
from grader.report.points import PointsTable
from grader.report.records import Refusal, Report
from grader.running.limits import Limits
from grader.syntax.source import read_source


def cells(*sources: str) -> str:
    listed = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": source} for source in sources]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": listed})


STRANGE = {
    "ex2_a.py": "dlogits = torch.zeros(0x" + "f" * 4300 + ")\n",
    "ex2_b.py": "dlogits = h\ncmp('logits', *x, logits)\n",
    "ex2_c.ipynb": cells("\r", "x = (\r)\rdlogits = )"),
    "ex2_d.py": "dlogits = torch.zeros([1] * 70)\n",
    "ex2_e.py": "",
    "ex2_f.py": "def (",
    "ex2_g.ipynb": cells("\rdlogits = (\r"),
    "ex2_h\ufffe.py": "dlogits = h\n",
    "ex2_i.py": "dlogits = " + "-" * 20_000 + "h\n",
    "ex2_j.py": "\0",
    "ex2_k.py": "dlogits = h\x0c\n\x0b",
    "ex2_l.ipynb": cells("\r", "a\rdlogits = h"),
    "ex2_m.py": "dlogits = 0x" + "f" * 4300 + "\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A right answer between files that readers stumble over, and a folder with the name of a script."""
    for name, text in STRANGE.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "ex2_folder.py").mkdir()
    (tmp_path / "ex2_z.py").write_text(SOFTMAX_MINUS_ONE)
    return tmp_path


def endless(*_: object) -> None:
    while True:
        pass


def breaking(*_: object) -> None:
    raise ZeroDivisionError("secret of the grader")


def hungry(*_: object) -> None:
    bytearray(1 << 40)


# ---- From outside ----


@pytest.mark.parametrize("kind", FORMAT_NAMES)
def test_a_right_answer_is_graded_beside_any_file(kind: str, folder: Path) -> None:
    student = folder
    if kind == "nbgrader":
        student = folder / "submitted" / "ann" / "ps1"
        student.mkdir(parents=True)
        for file in folder.glob("ex2_*"):
            file.rename(student / file.name)
    call = ("grade", student, "--exercise", "ex2", "--format", kind)
    alone = kind in ("terminal", "gradescope")  # as these two are called, at the level that each has by itself
    ran = dojo(folder, *call) if alone else dojo_here(folder, *call, "--isolation", "basic")
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "ex2_e.py: the file is empty" in ran.stderr
    assert "ex2_a.py:1: not a line of it can be read: a number in it has more than 1,000 digits" in ran.stderr
    assert "the grader itself broke" not in ran.stderr
    told = {"nbgrader": ",ann,", "github": "Points 1/", "classroom50": '"score": 1,'}
    expected = told.get(kind, "ex2_z.py")
    assert "".join(expected.split()) in "".join(ran.stdout.split())  # a long path is wrapped, and the rest indented
    if kind == "json":
        report = json.loads(ran.stdout)
        assert {entry["path"].split("/")[-1]: entry["score"] for entry in report["submissions"]}["ex2_z.py"] == 1
        assert len(report["problems"]) + len(report["submissions"]) == len(STRANGE) + 1


@pytest.mark.parametrize("broken", [True, False])
def test_where_no_file_can_be_graded_the_command_says_so_in_a_line(
    broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ex2.py").write_text(SOFTMAX_MINUS_ONE if broken else STRANGE["ex2_a.py"])
    if broken:
        monkeypatch.setattr(submission, "analyse", breaking)
    ran = dojo_here(tmp_path, "grade", "ex2.py")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert ("ex2.py: the grader itself broke on this file (ZeroDivisionError" in ran.stderr) == broken


@pytest.mark.slow
def test_pytest_goes_on_past_any_file(folder: Path) -> None:
    from test_pytest_plugin import run_pytest

    ran = run_pytest(folder, "--dojo", ".", "--dojo-exercise", "ex2", "--junitxml=report.xml")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "INTERNALERROR" not in ran.stdout
    tests = ElementTree.parse(folder / "report.xml").getroot().iter("testcase")
    passed = [test.get("classname") for test in tests if test.find("failure") is None]
    assert passed == ["ex2_z"]
    assert "ex2_a.py:1: not a line of it can be read: a number in it has more than 1,000 digits" in ran.stdout
    assert "the grader itself broke" not in ran.stdout


@pytest.mark.parametrize("kind", FORMAT_NAMES)
def test_how_to_force_a_reading_is_told_to_who_calls_and_to_no_student(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("submitted/ann/ps1/hello.py")
    file.parent.mkdir(parents=True)
    file.write_text("print('hello')\n")
    try:
        _, refused = parts_of([file], kind, named=[file])
        said = refused[0].sentence
    except DojoError as error:
        said = str(error)
    assert "hello.py: assigns no gradient that an exercise grades (such as dlogits), so it holds no exercise" in said
    assert ("--as ID" in said) == (kind not in OF_STRANGERS)


@pytest.mark.parametrize("kind", [name for name in FORMAT_NAMES if name != "terminal"])
def test_integrations_refuse_links(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "submitted" / "ann" / "ps1"
    folder.mkdir(parents=True)
    (tmp_path / "secret.py").write_text(SOFTMAX_MINUS_ONE)
    (folder / "ex2.py").symlink_to(tmp_path / "secret.py")
    try:
        parts, refused = parts_of([Path("submitted/ann/ps1/ex2.py")], kind)
    except DojoError as error:  # where no integration waits for a result
        parts, refused = [], [Refusal("", str(error))]
    assert parts == []
    assert [one.sentence.split("ps1/")[1] for one in refused] == ["ex2.py: is a link; hand in the file itself"]


def test_pytest_refuses_links_and_what_lies_behind_linked_folders(tmp_path: Path) -> None:
    from test_pytest_plugin import run_pytest

    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "ex2.py").write_text(SOFTMAX_MINUS_ONE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "ex2.py").symlink_to(tmp_path / "others" / "ex2.py")
    (tmp_path / "mine" / "folder").symlink_to(tmp_path / "others")
    ran = run_pytest(tmp_path, "--dojo", "mine")
    assert ran.stdout.count("is a link; hand in the file itself") >= 2, ran.stdout
    assert "2 failed" in ran.stdout
    assert "passed" not in ran.stdout


# ---- The boundary ----


def read(tmp_path: Path, seconds: float = 60.0) -> list[Any]:
    (tmp_path / "ex2.py").write_text(SOFTMAX_MINUS_ONE)
    return find_parts(read_source(tmp_path / "ex2.py", seconds=seconds))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (endless, "takes too long to grade, more than 1 s"),
        (breaking, r"the grader itself broke on this file \(ZeroDivisionError, test_boundary.py, line \d+\)"),
        (hungry, "takes too much memory"),
    ],
)
def test_reading_and_judging_are_bounded(
    harm: Callable[..., None], said: str, tmp_path: Path, grader: Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = read(tmp_path, seconds=1)
    with monkeypatch.context() as patched:
        patched.setattr(submission, "analyse", harm)
        with pytest.raises(NotGradedError, match=said):
            read(tmp_path, seconds=1)
    hasty = Grader(Settings(seed=1, limits=Limits(seconds=0.5)), grader.launcher)
    with monkeypatch.context() as patched:
        patched.setattr(grade, "make_plan", harm)
        patched.setattr(grade, "OWN_SECONDS", 0.5)
        with pytest.raises(NotGradedError, match=said):
            hasty.grade_part(parts[0])
    assert grader.grade_part(read(tmp_path)[0]).all_passed


def test_what_reading_took_is_taken_from_the_limit(tmp_path: Path, grader: Grader) -> None:
    (part,) = read(tmp_path)
    part.analysis.source.clock._used = 59.0
    hasty = Grader(Settings(seed=1, limits=Limits(seconds=20)), grader.launcher)
    with pytest.raises(NotGradedError, match="takes too long"):
        hasty.grade_part(part)


def test_a_broken_grader_is_a_grader_error_in_a_batch_and_a_slow_file_a_refusal(
    grader: Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task("ann", (("ex2.py", SOFTMAX_MINUS_ONE.encode()),))
    monkeypatch.setattr(submission, "analyse", breaking)
    report = grade_person(grader, task, Terms(seed=1)).report
    assert "ZeroDivisionError: secret of the grader" in report["grader_error"]
    monkeypatch.setattr(submission, "analyse", endless)
    report = grade_person(grader, task, Terms(seed=1, limits=Limits(seconds=0.3))).report
    assert report["refused"] == "ex2.py: takes too long to grade, more than 0 s"


def test_a_report_is_written_without_the_submission_that_breaks_it(
    tmp_path: Path, grader: Grader, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = (grader.grade_part(read(tmp_path)[0]) for _ in range(2))
    one.path = "broken.py"
    render = FORMATS["json"]

    def fragile(report: Report) -> str:
        if one in report.submissions:
            raise ValueError
        return render(report)

    monkeypatch.setitem(FORMATS, "json", fragile)
    report = Report([one, other])
    deliver(report, "json", None, None, PointsTable())
    assert [one.sentence for one in report.refused] == ["broken.py: the report cannot be written (ValueError)"]
    assert len(json.loads(capsys.readouterr().out)["submissions"]) == 1


def test_an_alarm_that_was_set_before_stays(tmp_path: Path) -> None:
    heard: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with one_file(tmp_path, Clock(30)):
            while not heard:
                pass
        signal.setitimer(signal.ITIMER_REAL, 30)
        with pytest.raises(NotGradedError), one_file(tmp_path, Clock(0.1)):
            endless()
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 20
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
