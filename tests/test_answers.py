"""Right answers in any clothes pass fully; wrong ones are refused, and only for the gradient that is wrong."""

from __future__ import annotations

import pytest
from answers.right import HARDCODED_SIZES, RIGHT, RightAnswer
from answers.tracks import TRACKS
from answers.wrong import UNSEEN, WRONG, WrongAnswer, edited
from conftest import sampled

from grader.judging.grade import Grader
from grader.report.records import SubmissionReport

NOTES = {None, "vanishing", "hardcoded-size"}
"""What a right answer may be told: nothing, or that it holds for this loss or at these sizes only."""


def gradients(reports: list[SubmissionReport]) -> list[SubmissionReport]:
    return [report for report in reports if not report.exercise.endswith("training")]


@pytest.mark.parametrize("answer", sampled(3, RIGHT), ids=lambda answer: answer.id)
def test_a_right_answer_passes_in_any_clothes(answer: RightAnswer, grade_text) -> None:
    reports = gradients(grade_text(answer.text, answer.suffix, answer.exercise))
    expected = 1 if answer.exercise else 3
    assert len(reports) == expected
    for report in reports:
        failed = [(v.name, v.status, v.mistake, v.message) for v in report.verdicts if not v.passed]
        assert not failed
        assert {verdict.mistake for verdict in report.verdicts} <= NOTES


@pytest.mark.parametrize("answer", HARDCODED_SIZES, ids=lambda answer: answer.id)
def test_a_size_written_in_passes_with_a_note(answer: RightAnswer, grade_text) -> None:
    (report,) = gradients(grade_text(answer.text, answer.suffix, answer.exercise))
    assert report.all_passed
    assert "hardcoded-size" in {verdict.mistake for verdict in report.verdicts}


@pytest.mark.parametrize("answer", sampled(8, [*WRONG, *TRACKS]), ids=lambda a: f"{a.exercise}-{a.variable}-{a.kind}")
def test_a_wrong_answer_costs_its_own_gradient(answer: WrongAnswer, grade_text) -> None:
    (report,) = grade_text(edited(answer))
    assert [verdict.name for verdict in report.verdicts if not verdict.passed] == [answer.variable]
    (blamed,) = (verdict for verdict in report.verdicts if not verdict.passed)
    assert blamed.mistake == answer.kind if answer in TRACKS else blamed.mistake
    assert blamed.message
    assert blamed.line is not None


@pytest.mark.parametrize("answer", UNSEEN, ids=lambda a: f"{a.variable}-{a.new[:30]}")
def test_what_only_other_losses_show_passes_with_a_note(answer: WrongAnswer, grade_text) -> None:
    (report,) = grade_text(edited(answer))
    assert report.all_passed
    assert {v.name: v.mistake for v in report.verdicts if v.mistake} == {answer.variable: "vanishing"}


def test_the_tables_are_as_long_as_promised(grader: Grader) -> None:
    counts = {exercise.split("/")[1][:3]: 0 for exercise in {a.exercise for a in WRONG}}
    for answer in WRONG:
        counts[answer.exercise.split("/")[1][:3]] += 1
    assert counts["ex1"] >= 60
    assert min(counts["ex2"], counts["ex3"]) >= 10
    assert len(RIGHT) >= 40
