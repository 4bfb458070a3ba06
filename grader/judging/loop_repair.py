"""Edits of the lines in a loop that make a gradient: one that makes it right shows what is wrong, and where."""

from __future__ import annotations

import ast
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial

from grader.diagnosing import Diagnosis
from grader.diagnosing.repair import mending_edit, vocabulary_of
from grader.judging.judge import Judge
from grader.lesson.trials import Trial, namespace_of
from grader.reading.attempts import Attempt
from grader.reading.loop_lines import Spot
from grader.reading.loop_plan import LoopPlan
from grader.reading.plan import Plan, Step
from grader.running.sandbox import Launcher
from grader.syntax.source import Cell, Statement
from grader.truth.autograd import backpropagate, cut_forward
from grader.truth.truths import KnownTruths, Truth

MOST_VARIANTS = 240


def repair_lines(
    launcher: Launcher,
    plan: LoopPlan,
    tensor: str,
    spots: Sequence[Spot],
    message: str,
    trial: Trial,
    deadline: float,
) -> tuple[Diagnosis | None, int | None]:
    """An edit of a line at `spots`, which write the gradient of `tensor`, that makes it right; and which line."""
    statements = _statements(spots)
    if not statements:
        return None, None
    exercise, gradient = plan.exercise, f"d{tensor}"
    forward = cut_forward(exercise, namespace_of(exercise, trial.parameters))
    gradients = backpropagate(forward)
    truth = Truth(plan.exercise, trial, gradients, gradients.total, forward)
    indexes = range(len(statements))
    line_plan = Plan(
        exercise=exercise,
        steps=[
            Step(i, statement, (tensor,), {tensor: gradient}, frozenset()) for i, statement in enumerate(statements)
        ],
        attempts={tensor: Attempt(tensor, gradient, list(indexes))},
        aliases={f"d{name}": name for name in gradients.total},
        slices={tensor: set(indexes)},
        statements=statements,
    )
    texts, words = [statement.text for statement in statements], vocabulary_of(exercise, forward, gradients.total)
    with closing(Judge(launcher, line_plan, KnownTruths(), deadline - time.monotonic())) as judge:
        right = partial(judge.right_variants, tensor, truth=truth)
        found, place = mending_edit(texts, words, MOST_VARIANTS, right, message)
    return found, None if place is None else place[0]


def _statements(spots: Sequence[Spot]) -> list[Statement]:
    """Statements of the loop, each by itself; none where one would mean something else."""
    found = []
    for spot in spots:
        text = ast.unparse(spot.node)
        (node,) = ast.parse(text).body
        if ast.dump(node) != ast.dump(spot.node):
            return []  # a name that is local to a function, for one
        found.append(Statement(node, Cell("code", text)))
    return found
