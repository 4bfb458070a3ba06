"""Typical slips in every lesson of every track: each is refused, blamed on its own gradient, and named rightly.

The slips are made from a lesson's own answers: a path left out, a sum over another dimension, a forgotten mask. Plain
torch says which of them are wrong; `make mutants` does the same for some thousands.
"""

from __future__ import annotations

import random

import pytest

from grader.judging.grade import Grader
from tests.mutation.grading import SEED, Figures, Graded, grade_here
from tests.mutation.mutate import lessons, typical

AT_MOST = 12
UNNAMED = 0.05
"""The share of a lesson's slips that may go without a name, or two of few; none may get another slip's name."""


def check(found: Figures) -> None:
    assert found.nameable
    assert not found.accepted, words(found.accepted)
    assert not found.refused_equal, words(found.refused_equal)
    assert not found.misblamed, words(found.misblamed)
    assert len(found.unnamed) <= max(2, UNNAMED * len(found.nameable)), words(found.unnamed)
    assert not found.misnamed, words(found.misnamed)


def words(found: list[Graded]) -> str:
    return "\n".join(f"{graded.mutant.kind}: {graded.mutant.said}\n    {graded.spoken}" for graded in found)


@pytest.mark.parametrize("lesson", lessons())
def test_typical_slips_are_refused_blamed_and_named(lesson: str, grader: Grader) -> None:
    check(Figures.of(grade_here(typical(lesson, AT_MOST, random.Random(SEED)), grader)))
