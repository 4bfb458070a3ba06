"""A lesson as a program: all that a process needs to run it, and no answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

from grader.lesson.exercise import SETUP_TAGS, Atom, Exercise, track_of

LESSON = "lesson"
"""What tracebacks call the file of a lesson's code: a worker knows no path."""


@dataclass(frozen=True)
class SetupCell:
    """One cell that runs before the forward pass; after a `parameters` cell a trial puts its own values."""

    text: str
    line: int
    overridable: bool


@dataclass(frozen=True)
class ForwardLine:
    """One atom of the forward pass, and the names that it binds."""

    text: str
    line: int
    binds: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """A lesson without its answers: what runs above them, and which names mean what.

    `forward` is the lesson's forward pass, `further` those of the track's other lessons. Of the names, `kept` are
    put right between two statements of a submission, `given` are the tensors whose gradients it is given, and
    `trained` the entries of `parameters`.
    """

    lesson: str
    setup: tuple[SetupCell, ...]
    forward: tuple[ForwardLine, ...]
    further: tuple[ForwardLine, ...] = ()
    kept: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()


class TrialSetup(NamedTuple):
    """What a worker sets up before the first statement: a lesson, a trial's parameters, and whether a loop runs."""

    program: Program
    parameters: Mapping[str, Any]
    loop: bool


@lru_cache(maxsize=64)
def program_of(exercise: Exercise) -> Program:
    """What a worker is sent of a lesson: its cells of code, its forward lines, and what is graded."""
    cells = exercise.code_cells(*SETUP_TAGS)
    # A forward pass that a loop makes anew draws another batch in each step, so no other lesson reads its tensors.
    others = [atom for e in track_of(exercise) if e is not exercise and not e.can_train for atom in e.atoms]
    return Program(
        lesson=exercise.id,
        setup=tuple(SetupCell(cell.text, cell.line, "parameters" in cell.tags) for cell in cells),
        forward=tuple(map(_line, exercise.atoms)),
        further=tuple(map(_line, others)),
        kept=tuple(sorted({*exercise.forward_names, *exercise.network_names, *exercise.fixed_parameters})),
        given=exercise.given,
        trained=exercise.trained,
    )


def set_up(program: Program, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Run the setup with `parameters` in place of the lesson's own; the names that it binds."""
    import torch  # a process that only hands a program on needs none

    namespace: dict[str, Any] = {"__name__": "exercise"}
    with torch.no_grad():
        for cell in program.setup:
            exec(compiled(cell.text, cell.line), namespace)
            if cell.overridable:
                namespace.update(parameters)
    return namespace


@lru_cache(maxsize=2048)
def compiled(text: str, line: int) -> CodeType:
    """Code of a lesson, with the lines of its file."""
    return compile("\n" * (line - 1) + text, LESSON, "exec")


def _line(atom: Atom) -> ForwardLine:
    return ForwardLine(atom.text, atom.line, atom.binds)
