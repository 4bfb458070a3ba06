"""Answers in forms that once were judged wrongly: the files beside this one hold them, and each new one goes there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import GradeText, sampled

HERE = Path(__file__).parent


def blocks(file: str) -> pytest.MarkDecorator:
    """A test's `head` and `text`, from each block."""
    found = re.split(r"(?m)^#=== (.*)\n", (HERE / file).read_text(encoding="utf-8"))[1:]
    pairs = list(zip(found[::2], found[1::2], strict=True))
    return pytest.mark.parametrize(("head", "text"), sampled(3, pairs), ids=found[::2])


@blocks("right_forms.txt")
def test_a_right_answer_passes_without_a_word(head: str, text: str, grade_text: GradeText) -> None:
    (report,) = grade_text(text, exercise=head.split()[0])
    written = [verdict for verdict in report.verdicts if verdict.status != "missing"]
    assert written
    assert [(verdict.name, verdict.message) for verdict in written if not verdict.passed or verdict.message] == []


@blocks("slipped_forms.txt")
def test_a_slip_costs_one_gradient_and_is_named(head: str, text: str, grade_text: GradeText) -> None:
    form, _, expected = head.partition(": ")
    (report,) = grade_text(text, exercise=form.split()[0])
    (wrong,) = (verdict for verdict in report.verdicts if verdict.status not in ("pass", "missing"))
    name, mistake, *line = expected.split()
    assert (wrong.name, wrong.mistake) == (name, mistake)
    assert not line or wrong.line == int(line[0])
