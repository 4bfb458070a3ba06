"""Points: what each gradient is worth, where it is read from, and that every view counts alike."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from answers.build import SOFTMAX_MINUS_ONE, notebook, with_lines
from dojo import dojo_here

from grader.base.errors import DojoError
from grader.lesson.exercise import all_exercises
from grader.report.assignment import read_assignment
from grader.report.points import PointsTable, read_points
from grader.report.records import Report, SubmissionReport, Verdict

TABLE = "[tool.dojo.points]\n"


def read(tmp_path: Path, text: str) -> PointsTable:
    path = tmp_path / "points.toml"
    path.write_text(text)
    return read_points(path)


def scored(table: PointsTable, exercise: str = "makemore/ex1_atoms", **statuses: str) -> SubmissionReport:
    verdicts = [Verdict(name, status=status) for name, status in statuses.items()]  # type: ignore[arg-type]
    report = SubmissionReport("a.py", exercise, "title", 1, "2", "cpu", "basic", verdicts)
    table.apply(Report([report]))
    return report


def test_one_point_each_unless_told_otherwise() -> None:
    report = scored(PointsTable(), logits="pass", h="shape", W2="wrong")
    assert (report.score, report.max_score) == (1, 3)
    assert type(report.score) is int
    assert not report.in_points


def test_a_key_with_an_exercise_goes_before_one_without(tmp_path: Path) -> None:
    table = read(tmp_path, TABLE + 'logits = 2\n"ex2.logits" = 5\n')
    assert table.of("makemore/ex1_atoms", "logits") == 2
    assert table.of("makemore/ex2_cross_entropy", "logits") == 5
    assert table.of("makemore/ex1_atoms", "h") == 1
    assert read(tmp_path, TABLE + "logits = 2\nex2.logits = 5\n") == table


def test_a_wrong_shape_earns_its_share_and_is_no_pass(tmp_path: Path) -> None:
    report = scored(read(tmp_path, TABLE + "shape-share = 0.5\nlogits = 3\n"), logits="shape", h="shape", W2="pass")
    assert (report.score, report.max_score) == (3, 5)
    assert type(report.score) is int
    assert scored(read(tmp_path, TABLE + "shape-share = 0.5\n"), h="shape").score == 0.5
    assert not scored(read(tmp_path, TABLE + "shape-share = 1\n"), h="shape").all_passed


def test_tenths_add_up_without_noise(tmp_path: Path) -> None:
    report = scored(read(tmp_path, TABLE + "logits = 0.1\nh = 0.2\nW2 = 0.7\n"), logits="pass", h="pass", W2="pass")
    assert report.score == report.max_score == 1
    assert scored(read(tmp_path, TABLE + "logits = 0.1\nh = 0.2\n"), logits="pass", h="pass").score == 0.3


def test_all_passed_is_about_verdicts_whatever_they_are_worth(tmp_path: Path) -> None:
    table = read(tmp_path, TABLE + "logits = 0\n")
    assert not scored(table, logits="wrong", h="pass").all_passed
    assert scored(table, logits="pass").all_passed
    assert not SubmissionReport("a.py", "ex", "title", 1, "2", "cpu", "basic").all_passed


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dlogits = 2", "unknown key 'dlogits'; the nearest right one is 'logits'"),
        ("bnmean = 2", "unknown key 'bnmean'; the nearest right one is 'bnmeani'"),
        ('"ex2.logit" = 2', "the nearest right one is 'ex2.logits'"),
        ('"ex9.logits" = 2', "is 'ex"),
        ("shape_share = 0.5", "the nearest right one is 'shape-share'"),
        ("logits = -1", "logits = -1 is not a number of points; give 0 or more"),
        ("logits = true", "is not a number of points"),
        ('logits = "2"', "is not a number of points"),
        ("logits = nan", "is not a number of points"),
        ("logits = [1]", "is not a number of points"),
        ("shape-share = 1.5", "is more than all; give a part from 0 to 1"),
        ("logits =", "not a TOML file"),
    ],
)
def test_what_is_wrong_in_the_table_is_told_in_a_sentence(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(DojoError, match=re.escape(said)) as error:
        read(tmp_path, TABLE + line + "\n")
    assert "points.toml" in str(error.value)


def test_a_named_file_must_have_the_table(tmp_path: Path) -> None:
    with pytest.raises(DojoError, match=r"has no \[tool.dojo.points\] table"):
        read(tmp_path, "[tool.other]\n")
    with pytest.raises(DojoError, match="cannot be read"):
        read_points(tmp_path / "none.toml")


def test_every_gradient_has_its_key(tmp_path: Path) -> None:
    lines = [f'"{exercise.short_id}.{name}" = 2' for exercise in all_exercises() for name in exercise.graded]
    table = read(tmp_path, TABLE + "\n".join(lines))
    assert len(table.points) == sum(len(exercise.graded) for exercise in all_exercises()) > 0


def test_pyproject_of_this_folder_is_read_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_points(None) == PointsTable()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read_points(None) == PointsTable()
    (tmp_path / "pyproject.toml").write_text(TABLE + "logits = 2\n")
    assert read_points(None).of("makemore/ex1_atoms", "logits") == 2
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert read_points(None) == PointsTable()


def test_every_format_gives_the_same_points(tmp_path: Path) -> None:
    """23 of the 26 of exercise 1 are right, one of them worth 5; half a point for a shape; exercise 2 is worth 4."""
    mistakes = {"dh": "dh = -dlogits @ W2.T", "dbnmeani": "dbnmeani = -dbndiff.sum(0)", "dprobs": "dprobs = ..."}
    folder = tmp_path / "submitted" / "ada" / "ps1"
    folder.mkdir(parents=True)
    (folder / "p.ipynb").write_text(notebook(with_lines(mistakes), SOFTMAX_MINUS_ONE))
    (tmp_path / "p.toml").write_text(TABLE + 'W2 = 5\n"ex2.logits" = 4\nshape-share = 0.5\n')
    shown = {}
    for name in ("terminal", "json", "html", "github", "gradescope", "nbgrader"):
        call = ("grade", "submitted", "--points", "p.toml", "--format", name, "--all", "--isolation", "basic")
        ran = dojo_here(tmp_path, *call)
        assert ran.returncode == 1
        assert (ran.stderr == "") == (name != "nbgrader")  # there is no timestamp.txt, and no stated assignment
        shown[name] = ran.stdout
    for name in ("terminal", "html"):
        assert "27.5 of 30 points" in shown[name]
        assert "4 of 4 points" in shown[name]
    listed = json.loads(shown["json"])["submissions"]
    assert [(one["score"], one["max_score"]) for one in listed] == [(27.5, 30), (4, 4)]
    assert [sum(v["points"] for v in one["verdicts"]) for one in listed] == [27.5, 4]
    assert "Points 31.5/34\n" in shown["github"]
    results = json.loads(shown["gradescope"])
    assert results["score"] == sum(test["score"] for test in results["tests"]) == 31.5
    assert sum(test["max_score"] for test in results["tests"]) == 34
    assert ",31.5,0,31.5,34\n" in shown["nbgrader"]


def test_a_value_is_told_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "hw.toml"
    path.write_text('[tool.dojo.assignment]\nexercises = ["makemore/ex1"]\ndue = 23:59:00\n')
    with pytest.raises(DojoError, match=r"\[tool\.dojo\.assignment\] due = 23:59:00: give a time such as 2026"):
        read_assignment(path)
    path.write_text("[tool.dojo.points]\nlogits = 2026-01-02\n")
    with pytest.raises(DojoError, match="logits = 2026-01-02 is not a number of points"):
        read_points(path)
