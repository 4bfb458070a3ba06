"""One-token edits of a line in a loop, where no detector knows what is wrong with its gradient."""

from __future__ import annotations

import ast
import time

from grader.diagnosing import Diagnosis, combined
from grader.diagnosing.repair import variants, vocabulary_of
from grader.judging.judge import Judge
from grader.lesson.trials import Trial, namespace_of
from grader.reading.attempts import Attempt
from grader.reading.loop_plan import LoopPlan
from grader.reading.plan import Plan, Step
from grader.running.sandbox import Launcher
from grader.syntax.source import Cell, Statement
from grader.truth.autograd import backpropagate, cut_forward
from grader.truth.truths import KnownTruths, Truth

MOST_VARIANTS = 240


def repair_line(
    launcher: Launcher, plan: LoopPlan, gradient: str, message: str, trial: Trial, deadline: float
) -> Diagnosis | None:
    """Explain the line of the loop that assigns `gradient` (such as `dhprebn`) by an edit that makes it right."""
    statement = _assignment(plan, gradient)
    if statement is None:
        return None
    tensor, exercise = gradient[1:], plan.exercise
    forward = cut_forward(exercise, namespace_of(exercise, trial.parameters))
    gradients = backpropagate(forward)
    truth = Truth(plan.exercise, trial, gradients, gradients.total, forward)
    line_plan = Plan(
        exercise=exercise,
        steps=[Step(0, statement, (tensor,), {tensor: gradient}, frozenset())],
        attempts={tensor: Attempt(tensor, gradient, [0])},
        aliases={f"d{name}": name for name in gradients.total},
        slices={tensor: {0}},
        statements=[statement],
    )
    judge = Judge(launcher, line_plan, KnownTruths(), deadline - time.monotonic())
    try:
        tried = variants([statement.text], vocabulary_of(exercise, forward, gradients.total), MOST_VARIANTS)
        right = judge.right_variants(tensor, [variant.statements for variant in tried], truth)
    finally:
        judge.close()
    return combined([tried[number].diagnosis for number in right], message)


def _assignment(plan: LoopPlan, gradient: str) -> Statement | None:
    """The loop's only plain assignment of `gradient`, as a statement of its own; None where there are more."""
    found = [
        leaf
        for leaf in ast.walk(plan.statement.node)
        if isinstance(leaf, ast.Assign) and any(isinstance(t, ast.Name) and t.id == gradient for t in leaf.targets)
    ]
    if len(found) != 1:
        return None
    text = ast.unparse(found[0])
    (node,) = ast.parse(text).body
    if ast.dump(node) != ast.dump(found[0]) or not plan.check.admits(text):
        return None  # as a statement of its own it may mean something else: a name that is local to a function
    return Statement(node, Cell("code", text))
