"""What a lesson's own reference gives in each case on which a function or class is graded."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from grader.base.errors import DojoError
from grader.lesson.exercise import Exercise
from grader.lesson.numbers import as_numbers
from grader.lesson.program import compiled
from grader.lesson.trials import Trial, draw_seed, namespace_of


@dataclass(frozen=True)
class Case:
    """A program that uses the learner's names and leaves `result`, and what `result` should be, in float64.

    `parts` are the expressions of a `result` that is written as a list: `("b.data", "a.grad")`.
    """

    label: str
    program: str
    expected: Tensor
    parts: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """The names that the program reads."""
        return {leaf.id for leaf in ast.walk(ast.parse(self.program)) if isinstance(leaf, ast.Name)}


def cases_of(exercise: Exercise, trial: Trial) -> dict[str, tuple[Case, ...]]:
    """The cases of each function and class that the exercise grades, in a trial.

    A case belongs to every definition whose name its program uses.

    Raises:
        DojoError: the grading cell has no `cases`, one gives no numbers, or a definition has no case.
    """
    with trial.default_dtype():
        found = list(_run(exercise, trial))
    cases = {name: tuple(case for case in found if name in case.names) for name in sorted(exercise.definitions)}
    if lonely := [name for name, own in cases.items() if not own]:
        raise DojoError(f"{exercise.path}: the grading cell has no case that uses {lonely[0]}")
    return cases


def _run(exercise: Exercise, trial: Trial) -> Iterator[Case]:
    namespace = namespace_of(exercise, trial.parameters)
    with torch.no_grad():
        for atom in exercise.atoms:
            exec(compiled(atom.text, atom.line), namespace)
    bound = exercise.grading.run(namespace)
    if not callable(bound.get("cases")):
        raise DojoError(f"{exercise.path}: a lesson that grades a function or class has `cases` in its grading cell")
    generator = torch.Generator().manual_seed(draw_seed(int(trial.parameters.get("seed", 0)), "cases"))
    for label, program in bound["cases"](generator):
        scope = dict(bound)
        try:
            exec(compiled(program, 1), scope)
            expected = as_numbers(scope["result"])
        except Exception as error:
            raise DojoError(
                f"{exercise.path}: the case {label!r} raises {type(error).__name__}: {error} with the reference"
            ) from None
        if expected is None:
            raise DojoError(f"{exercise.path}: the case {label!r} leaves no numbers in `result`")
        yield Case(str(label), str(program), expected.detach().cpu().double(), _parts(program))


def _parts(program: str) -> tuple[str, ...]:
    last = ast.parse(program).body[-1]
    value = last.value if isinstance(last, ast.Assign) else None
    return tuple(map(ast.unparse, value.elts)) if isinstance(value, (ast.List, ast.Tuple)) else ()
