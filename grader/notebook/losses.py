"""A short check of a training loop in a notebook: its first losses beside those of the same loop by autograd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from numbers import Real
from typing import Any

from grader.base.words import counted
from grader.judging.verdicts import NOT_ATTEMPTED
from grader.lesson.exercise import Exercise, all_exercises
from grader.lesson.trials import Trial
from grader.truth.autograd import cut_forward
from grader.truth.loop import LoopReference

STEPS = 20
_NEAR = 1e-3
"""Relative: in float32 twenty steps of a right loop stay a hundred times closer."""


def show_losses(name: str, losses: Any, namespace: Mapping[str, Any]) -> bool:
    """Print whether the first losses are those of the lesson's loop, else the first step that is wrong."""
    loops = [e for e in all_exercises() if e.can_train and namespace.keys() >= {*e.network_names, *e.trained}]
    exercise = max(loops, key=lambda e: len(e.network_names), default=None)
    if losses is ... or exercise is None:
        print(f"{name:15s} | {NOT_ATTEMPTED if losses is ... else 'run the set-up cells of the lesson first'}")
        return False
    mine = list(losses[:STEPS]) if isinstance(losses, Sequence) else []
    if not mine or not all(isinstance(loss, Real) for loss in mine):
        print(f"{name:15s} | no list of numbers: append loss.item() in each step")
        return False
    apart: int | None = 0
    true: list[float] = []
    for cell_ran in (True, False):  # the lesson's forward cell may have drawn a batch before the loop, or not
        way = list(islice(_true_losses(exercise, namespace, cell_ran), len(mine)))
        place = _first_apart(mine, way)
        if not true or place is None or (apart is not None and place > apart):
            apart, true = place, way
        if apart is None:
            break
    off = max(abs(a - b) for a, b in zip(mine, true, strict=True))
    figures = f"exact: {mine == true!s:5s} | approximate: {apart is None!s:5s} | maxdiff: {off}"
    print(f"{name:15s} | {figures} | the first {counted(len(mine), 'step')}")
    if apart is not None:
        print(f"  Step {apart} is the first that is wrong: {mine[apart]:.6f}, and it should be {true[apart]:.6f}.")
        print("  A loop goes on from where the last one ended: run the cells from the top before you run it again.")
    return apart is None


def _true_losses(exercise: Exercise, namespace: Mapping[str, Any], cell_ran: bool) -> Iterator[float]:
    """The losses of the lesson's loop; `cell_ran`: its forward cell has run once before, and drawn a batch."""
    chosen = {name: namespace.get(name, value) for name, value in exercise.parameter_values.items()}
    reference = LoopReference(exercise, Trial("as written", chosen, decides=False))
    if cell_ran:
        cut_forward(exercise, reference.namespace)
    for position in range(STEPS):
        yield float(reference.step(position, {}).after["loss"])


def _first_apart(mine: Sequence[float], true: Sequence[float]) -> int | None:
    pairs = enumerate(zip(mine, true, strict=True))
    return next((place for place, (a, b) in pairs if not abs(a - b) <= _NEAR * max(1.0, abs(b))), None)
