"""Wrong answers by the hundred: the solutions' answers with one edit, or two."""

from __future__ import annotations

import ast
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice, zip_longest

from grader.lesson.exercise import Exercise, all_exercises, find_exercise
from tests.mutation import training
from tests.mutation.edits import edits
from tests.mutation.kinds import KINDS, TYPICAL
from tests.mutation.program import Line, Program, Shapes, joined, shapes_of
from tests.mutation.statement import Scope

ATOMS, CROSS_ENTROPY, BATCHNORM, TRAINING = (
    "makemore/ex1_atoms",
    "makemore/ex2_cross_entropy",
    "makemore/ex3_batchnorm",
    "makemore/ex4_training",
)
EXERCISES = (ATOMS, CROSS_ENTROPY, BATCHNORM, TRAINING)


def lessons() -> list[str]:
    """Every lesson that grades gradients, of every track."""
    gradients = [e for e in all_exercises() if e.graded_gradients and not e.code_cells("training")]
    edited = [e.id for e in gradients if e.code_cells("backward")]
    return [name for name in edited if any(not line.given for program in programs(name) for line in program.lines)]


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
PER_LINE, PER_GRADIENT = 3, 8
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
    """The right answers that are edited. Of two answers to one gradient, such as dC, each makes a program."""
    if exercise == TRAINING:
        return (training.program(),)
    cells = find_exercise(exercise).code_cells("backward")
    lines = [_lines(find_exercise(exercise), cell.text) for cell in cells]
    lines = [cell for cell in lines if cell]
    cells_of = Counter(tensor for cell in lines for tensor in {line.tensor for line in cell})
    last, before = _last_answers(lines), _last_answers(lines[::-1])[::-1]
    found = [Program(exercise, tuple(line for cell in last for line in cell))]
    if before != last:
        once = [[replace(line, given=line.given or cells_of[line.tensor] == 1) for line in cell] for cell in before]
        found.append(Program(exercise, tuple(line for cell in once for line in cell)))
    if exercise == CROSS_ENTROPY:
        found.append(Program(exercise, tuple(Line(text, "logits") for text in _LONGHAND.split("\n"))))
    return tuple(found)


def _last_answers(cells: list[list[Line]]) -> list[list[Line]]:
    """Of several cells that answer one gradient, the last."""
    return [
        cell
        for at, cell in enumerate(cells)
        if not {line.tensor for line in cell} & {line.tensor for later in cells[at + 1 :] for line in later}
    ]


def _lines(exercise: Exercise, text: str) -> list[Line]:
    """The statements of a cell. A line for a name of its own, such as `d = dy * gain`, counts for the gradient that
    is written next; where more than one reads it, it is not edited. Functions and classes are left out."""
    found: list[Line] = []
    helpers: list[ast.stmt] = []
    body = [node for node in ast.parse(text).body if not isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    for node in body:
        tensor = _written(node)
        if tensor not in exercise.graded_gradients:
            helpers.append(node)
            continue
        for helper in helpers:
            own = {
                leaf.id for leaf in ast.walk(helper) if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store)
            }
            readers = {_written(other) for other in body if own & _read(other)} & set(exercise.graded_gradients)
            looped = any(isinstance(other, ast.For) and (other is helper or own & _read(other)) for other in body)
            found.append(Line(ast.unparse(helper), tensor, given=len(readers) > 1 or looped))
        helpers = []
        inside = [leaf for part in getattr(node, "body", []) for leaf in ast.walk(part)]
        several = any(isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store) for leaf in inside)
        found.append(Line(ast.unparse(node), tensor, given=several))  # such a loop makes more than one gradient
    return found


def _read(node: ast.stmt) -> set[str]:
    return {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Load)}


def _written(node: ast.stmt) -> str:
    """The tensor whose gradient a statement writes."""
    known = (leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name) and leaf.id[0] == "d")
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    if target is not None and not isinstance(node, ast.For):
        known = (leaf.id for leaf in ast.walk(target) if isinstance(leaf, ast.Name))
    if isinstance(node, ast.For):
        known = (leaf.target.value.id for leaf in ast.walk(node) if isinstance(leaf, ast.AugAssign))
    return next(known, "?")[1:]


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


def typical(exercise: str, most: int, draw: random.Random) -> list[Mutant]:
    """Slips that people make, of each gradient of a lesson in turn: `most` of them, and `PER_GRADIENT` of each."""
    by_gradient: dict[frozenset[str], list[Mutant]] = defaultdict(list)
    for mutant in single(exercise, draw):
        if mutant.kind in TYPICAL and _reads_a_tensor(mutant.program, mutant.changes[0]):
            by_gradient[mutant.blamed].append(mutant)
    rounds = zip_longest(*(mutants[:PER_GRADIENT] for mutants in by_gradient.values()))
    return list(islice((mutant for of_each in rounds for mutant in of_each if mutant is not None), most))


def _reads_a_tensor(program: Program, change: Change) -> bool:
    """False for a line such as `dx = 1 / n`, of which nothing is left."""
    read = set().union(*(_read(node) for line in change.lines for node in ast.parse(line).body))
    return not change.lines or bool(read & shapes_of(program).tensors.keys())


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
        if line.given:
            continue
        scope = Scope(shapes.tensors, shapes.gradients, program.finished(at), shapes.own, shapes.sizes)
        label = line.text.startswith("dlogits[range(")
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
