"""A right answer line by line, and the trial in which its lines run without autograd and without the grader."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.lesson.exercise import find_exercise
from grader.lesson.trials import Trial, namespace_of


@dataclass(frozen=True)
class Line:
    """One statement and the tensor whose gradient it writes; `given` ones are never edited."""

    text: str
    tensor: str
    given: bool = False


@dataclass(frozen=True, eq=False)
class Program:
    """A right answer."""

    exercise: str
    lines: tuple[Line, ...]
    head: str = ""
    indent: str = ""

    def writers(self, tensor: str) -> list[int]:
        return [at for at, line in enumerate(self.lines) if line.tensor == tensor]

    @cached_property
    def given(self) -> frozenset[str]:
        return frozenset("d" + name for name in find_exercise(self.exercise).given)

    @cached_property
    def gradients(self) -> frozenset[str]:
        written = {"d" + line.tensor for line in self.lines if line.text.startswith(("d" + line.tensor, "for "))}
        return self.given | written

    def finished(self, at: int) -> frozenset[str]:
        """The gradients that are complete before line `at`."""
        late = {"d" + line.tensor for line in self.lines[at:]}
        return self.gradients - late


Edited = tuple[int, tuple[str, ...], int | None]


def ordered(program: Program, edited: Iterable[Edited]) -> list[tuple[str, str]]:
    """(tensor, statement) in the order in which they run, with some lines replaced or moved above another."""
    replaced = {at: (lines, before) for at, lines, before in edited}
    result: list[tuple[str, str]] = []
    for at, line in enumerate(program.lines):
        for moved, (lines, before) in replaced.items():
            if before == at:
                result += [(program.lines[moved].tensor, text) for text in lines]
        lines, before = replaced.get(at, ((line.text,), None))
        if before is None:
            result += [(line.tensor, text) for text in lines]
    return result


def joined(program: Program, edited: Iterable[Edited]) -> str:
    """The text of a submission."""
    lines = [line for _, text in ordered(program, edited) for line in text.split("\n")]
    return "# %%\n" + program.head + "\n".join(program.indent + line for line in lines) + "\n"


@lru_cache(maxsize=16)
def forward_values(exercise: str, seed: int) -> Mapping[str, Any]:
    """Everything that the exercise's setup and forward pass bind, in float64."""
    found = find_exercise(exercise)
    trial = Trial("float64", {"dtype": "float64", "seed": seed})
    with trial.default_dtype():
        values = namespace_of(found, trial.parameters)
        for atom in found.atoms:
            exec(atom.code, values)
    return {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}


def is_numbers(value: object) -> bool:
    """True for a tensor or an array of real numbers, and for a single real number."""
    if isinstance(value, Tensor):
        return value.is_floating_point()
    return isinstance(value, (float, np.floating)) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")


def copied(value: Any) -> Any:
    """A tensor or an array of its own; any other value as it is."""
    return value.clone() if isinstance(value, Tensor) else value.copy() if isinstance(value, np.ndarray) else value


@dataclass(frozen=True)
class Shapes:
    """The shapes of all tensors that a program can name; which are gradients; which are the learner's own."""

    tensors: Mapping[str, tuple[int, ...]]
    gradients: frozenset[str]
    own: frozenset[str]
    sizes: tuple[str, ...] = ("n",)


@lru_cache
def shapes_of(program: Program) -> Shapes:
    exercise = find_exercise(program.exercise)
    values = dict(forward_values(program.exercise, 1))
    before = set(values)
    for gradient in program.given:
        values[gradient] = 0 * values[gradient[1:]]
    with torch.no_grad():
        if program.head:
            values["tqdm"] = lambda _: [0]
            exec(joined(program, []), values)
        else:
            for _, text in ordered(program, []):
                exec(text, values)
    written = {line.text.split(" ")[0] for line in program.lines}
    known = {*exercise.forward_names, *exercise.network_names, *program.gradients} & set(values) | (
        written & set(values)
    )
    tensors = {
        name: tuple(np.shape(value))
        for name, value in values.items()
        if name in known and is_numbers(value) and name != exercise.forward_names[-1]
    }
    own = (tensors.keys() - before) - program.gradients
    counted = [name for atom in exercise.atoms for name in atom.reads]
    counted += [
        leaf.id for line in program.lines for leaf in ast.walk(ast.parse(line.text)) if isinstance(leaf, ast.Name)
    ]
    sizes = [name for name in dict.fromkeys(counted) if type(values.get(name)) is int and values[name] > 1]
    return Shapes(tensors, program.gradients, frozenset(own), tuple(sizes) or ("n",))
