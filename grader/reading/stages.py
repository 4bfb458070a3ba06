"""To which exercise an attempt belongs, where one file holds several."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from grader.lesson.exercise import Exercise
from grader.reading.attempts import Analysis, Attempt
from grader.syntax.source import Cell, Source

_HEADING = re.compile(r"^[\s#*_>=\"']*(exercise|ex|stage|part)[\s.:#_-]*(\d)\s*(?:$|[^\w\s])", re.IGNORECASE)
_BORROWED = re.compile(r"^[\w.]+\.grad(\.clone\(\)|\.detach\(\))*$")

Allocation = dict[Exercise, dict[str, Attempt]]


def allocate(analysis: Analysis, exercises: Sequence[Exercise], asked: Exercise | None = None) -> Allocation:
    """Give each attempt to the exercise that it belongs to; the last one of each gradient counts.

    A notebook of the lecture solves several exercises in one namespace and defines `dlogits` and `dhprebn`
    again. A heading decides; without one, the way an attempt is written and whether others go on from it.
    An attempt that nothing goes on from also serves the exercise that was `asked` for. An exercise whose every
    attempt another one explains as well is none of those that the file holds.
    """
    allocated = _allocated(analysis, exercises, asked)
    held = [e for e in exercises if not e.assigned or e is asked or e in _held(analysis, allocated)]
    if not {e for e, attempts in allocated.items() if attempts} <= {*held}:
        allocated = {e: {} for e in exercises} | _allocated(analysis, held, asked)
    return {e: attempts | analysis.attempt_by_loop(e) for e, attempts in allocated.items()}


def _allocated(analysis: Analysis, exercises: Sequence[Exercise], asked: Exercise | None) -> Allocation:
    allocated: Allocation = {exercise: {} for exercise in exercises}
    numbers = _numbers(analysis, exercises)
    for tensor, versions in analysis.attempts.items():
        own = [attempt for attempt in versions if not borrowed(analysis, attempt)] or versions
        graders = [e for e in exercises if tensor in e.assigned]
        graders += [e for e in exercises if graders and tensor in e.given and len(e.assigned) > 1]
        for position, attempt in enumerate(own):
            until = own[position + 1].writers[0] if position + 1 < len(own) else len(analysis.statements)
            number = numbers[attempt.writers[0]]
            owner = _owner(analysis, attempt, until, graders, exercises, number)
            if owner is not None and tensor in owner.assigned:
                allocated[owner][tensor] = attempt
        if asked in graders and tensor not in allocated[asked]:
            last = own[-1]
            if numbers[last.writers[0]] is None and not _goes_on(analysis, last, len(analysis.statements)):
                allocated[asked][tensor] = last
    return allocated


def _held(analysis: Analysis, allocated: Allocation) -> set[Exercise]:
    """The fewest exercises that explain every attempt, and those that something else speaks for."""
    attempted = {e: attempts for e, attempts in allocated.items() if attempts}
    meant = {e: attempts for e, attempts in attempted.items() if not _in_passing(analysis, e, attempts)}
    found = meant or attempted
    candidates = [e for e in allocated if e.assigned]
    read = {name for effects in analysis.effects for name in (*effects.reads, *effects.writes, *effects.fields)}
    waiting, held = set[str]().union(*found.values()), set[Exercise]()

    def fit(exercise: Exercise) -> tuple[int, int, float]:
        shared, known = len(read & names_of(exercise)), len(names_of(exercise))
        explained = waiting & {*exercise.assigned, *exercise.given} if waiting & {*exercise.assigned} else ()
        return len(explained), shared, shared / max(known, 1)

    while waiting:
        best = max(candidates, key=fit)
        held.add(best)
        waiting -= {*best.assigned, *best.given}
    numbers = _numbers(analysis, list(allocated))
    for exercise, attempts in found.items():
        by_heading = any(exercise.number == f"ex{numbers[attempt.writers[0]]}" for attempt in attempts.values())
        if by_heading or len(exercise.assigned) == 1 or _is_second(exercise, found):
            held.add(exercise)
    return held


def _in_passing(analysis: Analysis, exercise: Exercise, attempts: Mapping[str, Attempt]) -> bool:
    """True where less than half of an exercise is there, and that under names of a function or an object: any layer
    may have a `dW`."""
    own = (a in analysis.hidden.get(tensor, ()) or "." in a.place for tensor, a in attempts.items())
    return len(attempts) < len(exercise.assigned) / 2 and all(own)


def _is_second(exercise: Exercise, found: Allocation) -> bool:
    """True for an exercise that is there from its first gradient to its last, each of which is there once more."""
    attempts = found[exercise]
    again = all(any(tensor in other for e, other in found.items() if e is not exercise) for tensor in attempts)
    return again and attempts.keys() == {*exercise.assigned}


@lru_cache(maxsize=64)
def names_of(exercise: Exercise) -> frozenset[str]:
    """The names that an exercise gives a meaning: tensors and their gradients, data, and what it asks to define."""
    return frozenset(gradients_of(exercise).union(exercise.definitions, exercise.forward_names, exercise.network_names))


def gradients_of(exercise: Exercise) -> set[str]:
    """`dlogits` and its like: what is graded or given, and what a loop needs for the update."""
    return {f"d{name}" for name in (*exercise.named_gradients, *exercise.after_a_step.values())}


def borrowed(analysis: Analysis, attempt: Attempt) -> bool:
    """True where the value is just taken from PyTorch, as one does to go on past a gradient."""
    values = [getattr(analysis.statements[index].node, "value", None) for index in attempt.writers]
    return all(isinstance(value, (ast.Attribute, ast.Call)) and _BORROWED.match(ast.unparse(value)) for value in values)


def _owner(
    analysis: Analysis,
    attempt: Attempt,
    until: int,
    graders: Sequence[Exercise],
    exercises: Sequence[Exercise],
    number: int | None,
) -> Exercise | None:
    if len(graders) <= 1:
        return graders[0] if graders else None
    named = [e for e in exercises if e.number == f"ex{number}"]
    if named and (named[0] in graders or named[0].after_a_step):
        return named[0] if named[0] in graders else None
    chain = max(graders, key=lambda e: len(e.assigned))
    single = next(e for e in graders if e is not chain)
    if len(single.assigned) > 1:
        return max(graders, key=partial(_nearness, analysis, attempt, graders))
    if _goes_on(analysis, attempt, until):
        return chain
    upstream = set().union(*(analysis.gradients_read(i) for i in attempt.writers)) - {attempt.tensor}
    direct = upstream <= set(single.given) and not _among_many(analysis, attempt)
    first = analysis.attempts[attempt.tensor][0]
    again = first is not attempt and _goes_on(analysis, first, attempt.writers[0])
    return single if direct or again else chain


def _nearness(analysis: Analysis, attempt: Attempt, graders: Sequence[Exercise], exercise: Exercise) -> tuple[int, int]:
    """How near an attempt stands to what this exercise alone names; how much of what it reads the exercise knows."""
    own = names_of(exercise).difference(*(names_of(e) for e in graders if e is not exercise))
    apart = [abs(i - attempt.writers[0]) for i, e in enumerate(analysis.effects) if own & {*e.reads, *e.writes}]
    read = set[str]().union(*(analysis.effects[index].reads for index in attempt.writers))
    return -min(apart, default=len(analysis.statements)), len(read & names_of(exercise))


def _among_many(analysis: Analysis, attempt: Attempt) -> bool:
    """True where the statements that write this gradient write several others too."""
    writers = set(attempt.writers)
    others = {
        tensor
        for tensor, versions in analysis.attempts.items()
        if any(writers & set(version.writers) for version in versions)
    }
    return len(others) > 1


def _goes_on(analysis: Analysis, attempt: Attempt, until: int) -> bool:
    """True where another gradient is computed from this one before statement `until`."""
    return any(
        attempt.tensor in analysis.gradients_read(index) and analysis.gradients_written(index) - {attempt.tensor}
        for index in range(attempt.writers[-1] + 1, until)
        if index not in analysis.training
    )


def _numbers(analysis: Analysis, exercises: Sequence[Exercise]) -> list[int | None]:
    """For each statement the number of the exercise that the nearest heading above speaks of.

    "Part 3" may be the third part of a lesson too: parts speak of exercises where these grade all that stands there.
    """
    graded = {e.number: {*e.graded} for e in exercises}
    marks = _marks_above(analysis.source, ())
    under: dict[_Mark, set[str]] = {}
    for tensor, versions in analysis.attempts.items():
        for attempt in versions:
            if (mark := marks[attempt.writers[0]]) is not None:
                under.setdefault(mark, set()).add(tensor)
    parts = {mark for mark in marks if mark is not None and mark.part}
    if not all(under.get(mark, set()) <= graded.get(f"ex{mark.number}", set()) for mark in parts):
        marks = _marks_above(analysis.source, parts)
    return [None if mark is None else mark.number for mark in marks]


@dataclass(frozen=True)
class _Mark:
    """A heading that names an exercise, such as "Exercise 2", or a part, such as "Part 2"."""

    line: int
    number: int
    part: bool


def _marks_above(source: Source, left_out: Collection[_Mark]) -> list[_Mark | None]:
    found: list[_Mark | None] = []
    current: _Mark | None = None
    statements = iter(source.statements)
    pending = next(statements, None)
    first = 0
    for cell in source.cells:
        marks = [mark for mark in _marks(cell, first) if mark not in left_out]
        while pending is not None and pending.cell is cell:
            above = [mark for mark in marks if mark.line - first <= pending.line - cell.line]
            found.append(above[-1] if above else current)
            pending = next(statements, None)
        current = marks[-1] if marks else current
        first += cell.text.count("\n") + 1
    return found


def _marks(cell: Cell, first: int) -> Iterator[_Mark]:
    """One for each block of prose that names one exercise; a list of several marks none. `first` is its first line.

    In markdown a heading or the first line of a paragraph counts, and not what a sentence happens to begin a line with.
    """
    block: list[tuple[_Mark, bool]] = []
    begins = True
    for line, text in enumerate([*cell.text.split("\n"), ""]):
        prose = cell.kind != "code" or text.lstrip().startswith(("#", '"""', "'''", "Exercise", "EXERCISE"))
        if prose and text.strip():
            heading = cell.kind != "code" and text.startswith("#")
            if (found := _HEADING.match(text)) and (cell.kind == "code" or heading or begins):
                block.append((_Mark(first + line, int(found[2]), found[1].lower() in ("part", "stage")), heading))
            begins = False
            continue
        begins = True
        if cell.kind == "code" or line == cell.text.count("\n") + 1:
            named = [mark for mark, heading in block if heading] or [mark for mark, _ in block]
            if len({mark.number for mark in named}) == 1:
                yield named[0]
            block = []
