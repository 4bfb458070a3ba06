"""Typical slips in every lesson of every track: each is refused, blamed on its own gradient, and named rightly.

The slips are made from a lesson's own answers: a path left out, a sum over another dimension, a forgotten mask. Plain
torch says which of them are wrong; `make mutants` does the same for some thousands.
"""

from __future__ import annotations

import ast
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from answers.tracks import TRACKS
from answers.wrong import WRONG
from conftest import GradeText, sampled
from uses import HEAD, OTHER_NAMES, RIGHT_LINE, SLIP, USES, VALUE, WRITTEN, answers

from grader.judging.grade import Grader
from grader.lesson.exercise import all_exercises, find_exercise
from tests.mutation.grading import SEED, Figures, grade_here, words
from tests.mutation.mutate import TYPICAL, lessons, single, typical

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


@pytest.mark.parametrize("lesson", sampled(5, lessons()))
def test_typical_slips_are_refused_blamed_and_named(lesson: str, grader: Grader) -> None:
    check(Figures.of(grade_here(typical(lesson, AT_MOST, random.Random(SEED)), grader)))


def without_a_statement(text: str) -> Iterator[str]:
    """The text without one of its statements, each in turn, wherever it stands."""
    bodies = [node.body for node in ast.walk(ast.parse(text)) if hasattr(node, "body")]
    for number, body in enumerate(bodies):
        for place in range(len(body)):
            tree = ast.parse(text)
            held = [node.body for node in ast.walk(tree) if hasattr(node, "body")][number]
            del held[place]
            held += [] if held else [ast.Pass()]
            yield ast.unparse(tree)


@pytest.mark.parametrize("lesson", sampled(5, (e.id for e in all_exercises() if e.graded_gradients)))
def test_a_line_left_out_is_graded_wherever_it_stood(lesson: str, grade_text: GradeText) -> None:
    answers = "\n".join(cell.text for cell in find_exercise(lesson).code_cells("backward"))
    for text in without_a_statement(answers):
        assert len(grade_text(text, exercise=lesson)) == 1


# ---- How many, and of which kinds ----

AT_LEAST = 4
BY_HAND = Counter((answer.exercise, answer.variable) for answer in [*TRACKS, *WRONG])


@pytest.mark.parametrize("lesson", lessons())
def test_every_gradient_has_slips_of_its_own(lesson: str) -> None:
    made = Counter(blamed for m in single(lesson, random.Random(SEED)) if m.kind in TYPICAL for blamed in m.blamed)
    graded = find_exercise(lesson).graded
    assert {
        name: made[name] + BY_HAND[lesson, name] for name in graded if made[name] + BY_HAND[lesson, name] < AT_LEAST
    } == {}


def test_every_function_and_class_has_slips_of_its_own() -> None:
    written = [(exercise.id, name) for exercise in all_exercises() for name in exercise.definitions]
    assert {place: BY_HAND[place] for place in written if BY_HAND[place] < AT_LEAST} == {}


@pytest.mark.parametrize(
    ("mistake", "lesson", "name", "said"),
    [
        ("mean over the wrong count", "transformer/ex4_block", "logits", "scale"),
        ("mask forgotten", "classifier/ex4_dropout", "A1", "missing-mask"),
        ("mask redrawn", "classifier/ex4_dropout", "A1", "wrong-mask"),
        ("softmax over the wrong dimension", "transformer/ex1_softmax", "o", "wrong-dimension"),
        ("softmax as if each number stood alone", "transformer/ex1_softmax", "o", "missing-softmax-sum"),
        ("row for column layout", "classifier/ex1_digits", "W2", "transposed"),
        ("1/(E-1) for 1/E", "transformer/ex2_layernorm", "diff2", "scale"),
        ("residual path lost", "transformer/ex4_block", "x1", "missing-path"),
        ("heads not put back in order", "transformer/ex3_attention", "qs", "unmoved-dimensions"),
        ("position table not summed over the batch", "transformer/ex4_block", "pos", "missing-sum"),
        ("decay on biases", "classifier/ex3_weight_decay", "b1", "decayed-bias"),
        ("mean of means", "transformer/ex6_data_parallel", "rank_losses", "wrong-count"),
    ],
)
def test_the_new_mistakes_are_among_the_slips_that_are_named(mistake: str, lesson: str, name: str, said: str) -> None:
    """Those of an optimiser, such as decay inside Adam's moments and a bias correction forgotten: in test_loops."""
    assert (lesson, name, said) in {(answer.exercise, answer.variable, answer.kind) for answer in TRACKS}, mistake


@pytest.mark.parametrize("how", sampled(5, USES))
def test_a_slip_costs_one_gradient_however_it_is_used_further_down(how: str, grade_text: GradeText) -> None:
    text = HEAD + USES[how]
    (right,) = grade_text(text, exercise="transformer/ex3")
    written = [verdict for verdict in right.verdicts if verdict.status != "missing"]
    assert len(written) == 11
    assert all(verdict.passed and not verdict.message for verdict in written)
    (slipped,) = grade_text(text.replace(RIGHT_LINE, SLIP), exercise="transformer/ex3")
    (wrong,) = (verdict for verdict in slipped.verdicts if verdict.status not in ("pass", "missing"))
    assert (wrong.name, wrong.mistake, wrong.code) == ("q", "scale", SLIP)
    assert [v.name for v in slipped.verdicts if v.message and v.passed] == []


@pytest.mark.parametrize(
    ("lesson", "how"), sampled(5, [(lesson, how) for lesson, (forms, _) in WRITTEN.items() for how in forms])
)
def test_a_slip_costs_one_gradient_however_another_is_written(lesson: str, how: str, grade_text: GradeText) -> None:
    forms, slips = WRITTEN[lesson]
    text = answers(lesson, *forms[how])
    (right,) = grade_text(text, exercise=lesson)
    assert [(v.name, v.message) for v in right.verdicts if not v.passed or v.message] == []
    for tensor, (line, slip) in slips.items():
        if tensor != forms[how][0]:
            assert text.count(line) == 1
            (slipped,) = grade_text(text.replace(line, slip), exercise=lesson)
            assert [(v.name, v.code) for v in slipped.verdicts if not v.passed or v.message] == [(tensor, slip)]


@pytest.mark.parametrize("how", sampled(5, OTHER_NAMES))
def test_a_slip_in_what_is_written_under_another_name_is_named_and_costs_one_gradient(
    how: str, grade_text: GradeText
) -> None:
    lines = OTHER_NAMES[how].replace("VALUE", f"({VALUE}) / n")
    (slipped,) = grade_text(answers("makemore/ex1", "W1", lines), exercise="makemore/ex1")
    (wrong,) = (verdict for verdict in slipped.verdicts if not verdict.passed or verdict.message)
    assert (wrong.name, wrong.mistake) == ("W1", "scale")
