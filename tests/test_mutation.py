"""The figures of `make mutants`, held on a sample: wrong answers are refused, blamed and named rightly."""

from __future__ import annotations

import random

import pytest
from conftest import sampled

from grader.judging.grade import Grader
from tests.mutation.equivalence import weigh
from tests.mutation.grading import SEED, Figures, grade_here, words
from tests.mutation.mutate import ATOMS, BATCHNORM, CROSS_ENTROPY, EXERCISES, TRAINING, double, single

AT_LEAST = {ATOMS: 400, CROSS_ENTROPY: 60, BATCHNORM: 60, TRAINING: 60}
SAMPLE = {ATOMS: 100, CROSS_ENTROPY: 40, BATCHNORM: 40, TRAINING: 20}
PAIRS = 20
NAMED = {ATOMS: 0.95, CROSS_ENTROPY: 0.85, BATCHNORM: 0.85, TRAINING: 0.90}
"""What `make mutants` gives for all mutants of an exercise, rounded down; 90% is asked for over all exercises."""


@pytest.mark.parametrize("exercise", EXERCISES)
def test_there_are_enough_mutants_and_no_text_twice(exercise: str) -> None:
    texts = [mutant.text for mutant in single(exercise, random.Random(SEED))]
    assert len(texts) == len(set(texts)) >= AT_LEAST[exercise]


def test_a_seed_gives_the_same_mutants_again() -> None:
    first, second = ([m.text for m in single(BATCHNORM, random.Random(1))] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("exercise", sampled(4, EXERCISES))
def test_wrong_answers_are_refused_blamed_and_named(exercise: str, grader: Grader) -> None:
    mutants = single(exercise, random.Random(SEED))[: SAMPLE[exercise]]
    found = Figures.of(grade_here(mutants, grader))
    assert not found.accepted, words(found.accepted)
    assert not found.refused_equal, words(found.refused_equal)
    assert not found.refused_notes, words(found.refused_notes)
    assert found.blamed_share >= 0.99, words(found.misblamed)
    assert found.named_share >= NAMED[exercise], words(found.unnamed)
    assert len(found.misnamed) <= max(1, 0.02 * len(found.wrong)), words(found.misnamed)


def test_two_edits_blame_both_gradients(grader: Grader) -> None:
    draw = random.Random(SEED)
    wrong = [mutant for mutant in single(ATOMS, draw) if weigh(mutant).standing == "wrong"]
    found = Figures.of(grade_here(double(wrong, PAIRS, draw), grader))
    assert not found.accepted, words(found.accepted)
    assert not found.misblamed, words(found.misblamed)
