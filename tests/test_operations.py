"""The note on an answer that repeats the atoms where one formula is asked for."""

from __future__ import annotations

import ast

import pytest
from answers.build import BATCHNORM_IN_ONE, LINES, SOFTMAX_MINUS_ONE

from grader.lesson.exercise import find_exercise
from grader.reading.operations import count_operations, shortest

ATOMS = "\n".join(
    LINES[name] for name in ("dbnraw", "dbnvar_inv", "dbnvar", "dbndiff2", "dbndiff", "dbnmeani", "dhprebn")
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("x = a * b", 1),
        ("x = -a.sum(0)", 2),
        ("x = n / (n - 1) * a", 1),
        ("x = a.clone()\nx += b", 2),
        ("x = F.softmax(a, 1)", 1),
        (BATCHNORM_IN_ONE, 11),
    ],
)
def test_operations_are_counted(text: str, count: int) -> None:
    assert count_operations(ast.parse(text).body, {"n"}) == count


def test_the_solution_is_the_measure() -> None:
    assert shortest(find_exercise("makemore/ex3")) == 11


def test_repeated_atoms_pass_with_a_note_that_counts(grade_text) -> None:
    (report,) = grade_text(ATOMS, exercise="ex3")
    (verdict,) = report.verdicts
    assert verdict.passed
    own = count_operations(ast.parse(ATOMS).body, {"n"})
    assert own > 20
    assert f"takes {own} tensor operations. One formula takes 11." in verdict.message


@pytest.mark.parametrize(("text", "exercise"), [(BATCHNORM_IN_ONE, "ex3"), (SOFTMAX_MINUS_ONE, "ex2")])
def test_one_formula_gets_no_note(text: str, exercise: str, grade_text) -> None:
    (report,) = grade_text(text, exercise=exercise)
    (verdict,) = report.verdicts
    assert verdict.passed
    assert not verdict.message
