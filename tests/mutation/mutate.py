"""Wrong answers by the hundred: the solutions' answers with one edit, or two."""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from grader.lesson.exercise import find_exercise
from tests.mutation import training
from tests.mutation.edits import edits
from tests.mutation.kinds import KINDS
from tests.mutation.program import Line, Program, Shapes, joined, shapes_of
from tests.mutation.statement import Scope

ATOMS, CROSS_ENTROPY, BATCHNORM, TRAINING = (
    "makemore/ex1_atoms",
    "makemore/ex2_cross_entropy",
    "makemore/ex3_batchnorm",
    "makemore/ex4_training",
)
EXERCISES = (ATOMS, CROSS_ENTROPY, BATCHNORM, TRAINING)
_LABEL_KINDS = {
    "sign": "label-sign",
    "constant": "label-constant",
    "drop-path": "label-missing",
    "twice-the-path": "label-twice",
    "overwrite": "label-overwrite",
    "zeros": "label-missing",
    "extra-constant": "label-constant",
}
_LABEL_TERM = {"inner-sign": "label-sign", "drop-inner-term": "label-or-softmax"}
PER_LINE = 3
_LONGHAND = """\
shifted = logits - logits.max(1, keepdim=True).values
exponentials = shifted.exp()
softmax = exponentials / exponentials.sum(1, keepdim=True)
dlogits = (softmax - F.one_hot(Yb, num_classes=logits.shape[1])) / n"""
"""Exercise 2 as people write it who do not know F.softmax."""


@dataclass(frozen=True)
class Change:
    """What happens to one line of a program: other lines in its place, or a move to above another line."""

    kind: str
    at: int
    lines: tuple[str, ...]
    before: int | None = None


@dataclass(frozen=True)
class Mutant:
    """A wrong answer. `blamed` are the tensors whose lines were edited; `ids` name it rightly (None: no id can)."""

    exercise: str
    blamed: frozenset[str]
    kind: str
    ids: frozenset[str] | None
    text: str
    said: str
    program: Program
    changes: tuple[Change, ...]


@lru_cache
def programs(exercise: str) -> tuple[Program, ...]:
    """The right answers that are edited. Of two answers to one gradient (dC) each makes a program."""
    if exercise == TRAINING:
        return (training.program(),)
    cells = find_exercise(exercise).code_cells("backward")
    lines = [[Line(ast.unparse(node), _written(node)) for node in ast.parse(cell.text).body] for cell in cells]
    first = next((cell for cell in lines if sum(cell[0].tensor == other[0].tensor for other in lines) > 1), None)
    if first is None:
        found = [Program(exercise, tuple(line for cell in lines for line in cell))]
    else:
        twice = [cell for cell in lines if cell[0].tensor == first[0].tensor]
        kept = [cell for cell in lines if cell not in twice]
        found = [
            Program(exercise, tuple(line for cell in [*kept, cell] for line in cell), len(kept) and start)
            for cell, start in ((twice[-1], 0), (twice[0], sum(map(len, kept))))
        ]
    if exercise == CROSS_ENTROPY:
        found.append(Program(exercise, tuple(Line(text, "logits") for text in _LONGHAND.split("\n"))))
    return tuple(found)


def _written(node: ast.stmt) -> str:
    """The tensor whose gradient a statement writes."""
    known = (leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name) and leaf.id[0] == "d")
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    if target is not None and not isinstance(node, ast.For):
        known = (leaf.id for leaf in ast.walk(target) if isinstance(leaf, ast.Name))
    if isinstance(node, ast.For):
        known = (leaf.target.value.id for leaf in ast.walk(node) if isinstance(leaf, ast.AugAssign))
    return next(known)[1:]


def single(exercise: str, draw: random.Random) -> list[Mutant]:
    """Mutants with one edit, each text once, at most `PER_LINE` of a kind on a line, in an order that `draw` gives."""
    found: dict[str, Mutant] = {}
    for program in programs(exercise):
        listed = list(_changes(program, shapes_of(program)))
        draw.shuffle(listed)
        taken: Counter[tuple[str, int]] = Counter()
        for change in listed:
            mutant = _mutant(program, [change])
            if taken[change.kind, change.at] < PER_LINE or program.lines[change.at].given:
                taken[change.kind, change.at] += mutant.text not in found
                found.setdefault(mutant.text, mutant)
        found.pop(joined(program, []), None)
    chosen = list(found.values())
    draw.shuffle(chosen)
    return chosen


def double(singles: Sequence[Mutant], count: int, draw: random.Random) -> list[Mutant]:
    """`count` mutants with two edits of different statements, each taken from `singles`."""
    found: dict[str, Mutant] = {}
    while len(found) < count:
        one, other = draw.sample(singles, 2)
        first, second = one.changes[0], other.changes[0]
        apart = first.at != second.at and second.at != first.before and first.at != second.before
        if one.program is other.program and apart:
            mutant = _mutant(one.program, [first, second])
            found.setdefault(mutant.text, mutant)
    return list(found.values())


def _mutant(program: Program, changes: list[Change]) -> Mutant:
    changes.sort(key=lambda change: change.at)
    lines = [program.lines[change.at] for change in changes]
    blamed = frozenset(line.tensor for line in lines)
    ids = KINDS[changes[0].kind] if len(changes) == 1 else None
    said = "; ".join(_said(program, change) for change in changes)
    edited = [(change.at, change.lines, change.before) for change in changes]
    kind = " + ".join(change.kind for change in changes)
    text = joined(program, edited)
    return Mutant(program.exercise, blamed, kind, ids, text, said, program, tuple(changes))


def _said(program: Program, change: Change) -> str:
    old, new = program.lines[change.at].text, " / ".join(change.lines) or "(dropped)"
    if change.before is not None:
        return f"moved up: {old}"
    return f"{old}  ->  {new}"


def _changes(program: Program, shapes: Shapes) -> Iterator[Change]:
    for at, line in enumerate(program.lines):
        if at < program.editable_from or line.given:
            continue
        scope = Scope(shapes.tensors, shapes.gradients, program.finished(at), shapes.own)
        label = program.exercise == CROSS_ENTROPY and line.text.startswith("dlogits[")
        special = _LABEL_KINDS if label else _LABEL_TERM if re.search(r"one_hot.Yb", line.text) else {}
        for kind, text in edits(line.text, scope):
            yield Change(special.get(kind, kind), at, (text,))
        for kind, lines in _whole_lines(program, at):
            yield Change(special.get(kind, kind), at, lines)
        if (before := _unfinished(program, at)) is not None:
            yield Change("stale", at, (line.text,), before)
        writers = program.writers(line.tensor)
        if len(writers) > 1 and at == writers[-1] and not shapes.own:
            yield Change("label-late" if "/=" in line.text else "too-early", at, (line.text,), writers[-2])
    if program.exercise == CROSS_ENTROPY:
        yield from _exponentials(program)
    yield from (Change(*change) for change in training.changes(program))


def _whole_lines(program: Program, at: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    line = program.lines[at]
    writers = program.writers(line.tensor)
    adds = line.text.split(" = ")[0] != "d" + line.tensor
    if len(writers) == 1:
        yield "drop-whole", ()
    elif not adds or not line.text.startswith("d" + line.tensor):
        yield "drop-first", ()
    elif "/=" in line.text:
        yield "drop-division", ()
    else:
        yield "drop-path" if " += " in line.text or " -= " in line.text else "drop-write", ()
    twice = "duplicate"
    if "/=" in line.text or "index_add_" in line.text or line.text.startswith("for "):
        twice = "extra-constant"
    elif adds and "] = " not in line.text and line.text.startswith("d" + line.tensor):
        twice = "twice-the-path"
    yield twice, (line.text, line.text)
    if len(writers) > 1 and at == writers[-1] and program.lines[writers[0]].text.startswith("d"):
        again = program.lines[writers[0]].text
        yield "restart-zeros" if "zeros_like" in again else "restart", (line.text, again)


def _unfinished(program: Program, at: int) -> int | None:
    """The last write of a gradient that line `at` reads and that has several; None where there is none."""
    read = {leaf.id for leaf in ast.walk(ast.parse(program.lines[at].text)) if isinstance(leaf, ast.Name)}
    for tensor in sorted({line.tensor for line in program.lines[:at]} - {program.lines[at].tensor}):
        writers = program.writers(tensor)
        ready = program.finished(writers[-1]) | {"d" + tensor}
        if len(writers) > 1 and "d" + tensor in read and read & program.gradients <= ready:
            return writers[-1]
    return None


def _exponentials(program: Program) -> Iterator[Change]:
    for at, line in enumerate(program.lines):
        if line.text.startswith("softmax = "):
            yield Change("mixed-exponentials", at, ("softmax = exponentials / logits.exp().sum(1, keepdim=True)",))
            yield Change("mixed-exponentials", at, ("softmax = logits.exp() / exponentials.sum(1, keepdim=True)",))
