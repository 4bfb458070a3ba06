"""A lesson run as a notebook runs it, in a plain namespace of this process, without a kernel."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from grader.lesson.exercise import Exercise, find_exercise
from grader.lesson.trials import use_exact_arithmetic
from grader.notebook.judging import judge
from grader.report.records import Verdict
from grader.syntax.source import Cell, percent_cells


@lru_cache
def _prepared(exercise: Exercise) -> dict[str, Any]:
    """The names after the cell with loss.backward()."""
    use_exact_arithmetic()
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in exercise.cells:
        if cell.kind == "code":
            exec(compile(cell.text, exercise.path.name, "exec"), namespace)
            if "loss.backward()" in cell.text:
                break
    return namespace


def prepared(exercise_id: str) -> dict[str, Any]:
    """A namespace in which setup, forward pass and loss.backward() of an exercise have run."""
    return dict(_prepared(find_exercise(exercise_id)))


def fresh(exercise_id: str) -> dict[str, Any]:
    """The same, run anew: for tests that change it."""
    _prepared.cache_clear()
    return prepared(exercise_id)


def run(text: str, namespace: dict[str, Any], cmp: Callable[..., bool] | None = None) -> None:
    """Run the given and backward cells and the calls of `cmp` in a lesson's text; go on where a cell fails."""
    if cmp is not None:
        namespace["cmp"] = cmp
    ran = namespace["In"] = [*namespace.get("In", ())]
    for cell in percent_cells(text):
        if cell.kind == "code" and _is_answer(cell):
            ran.append(cell.text)
            with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
                exec(compile(cell.text, "<cell>", "exec"), namespace)


def _is_answer(cell: Cell) -> bool:
    return bool({"given", "backward"} & set(cell.tags)) or cell.text.startswith("cmp(")


def verdicts_in(text: str, exercise_id: str) -> dict[str, Verdict]:
    """What `cmp` says of each gradient as the cells run from top to end; of two calls the wrong one counts."""
    found: dict[str, Verdict] = {}
    namespace = prepared(exercise_id)

    def cmp(name: str, d: Any, t: Any) -> bool:
        verdict = judge(name, d, t, namespace).verdict
        if name not in found or found[name].passed:  # dC is asked for twice
            found[name] = verdict
        return verdict.passed

    run(text, namespace, cmp)
    return found
