"""To which exercise an attempt belongs, where one file holds several."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from grader.lesson.exercise import Exercise
from grader.reading.attempts import Analysis, Attempt
from grader.syntax.source import Cell, Source

_HEADING = re.compile(r"^[\s#*_>=\"']*(?:exercise|ex|stage|part)[\s.:#_-]*(\d)\s*(?:$|[^\w\s])", re.IGNORECASE)
_BORROWED = re.compile(r"^[\w.]+\.grad(\.clone\(\)|\.detach\(\))*$")

Allocation = dict[Exercise, dict[str, Attempt]]


def allocate(analysis: Analysis, exercises: Sequence[Exercise], asked: Exercise | None = None) -> Allocation:
    """Give each attempt to the exercise that it belongs to; the last one of each gradient counts.

    A notebook of the lecture solves several exercises in one namespace and defines `dlogits` and `dhprebn`
    again. A heading decides; without one, the way an attempt is written and whether others go on from it.
    An attempt that nothing goes on from also serves the exercise that was `asked` for.
    """
    allocated: Allocation = {exercise: {} for exercise in exercises}
    numbers = stage_numbers(analysis.source)
    for tensor, versions in analysis.attempts.items():
        own = [attempt for attempt in versions if not borrowed(analysis, attempt)] or versions
        graders = [e for e in exercises if tensor in e.graded and not e.is_training]
        for position, attempt in enumerate(own):
            until = own[position + 1].writers[0] if position + 1 < len(own) else len(analysis.statements)
            number = numbers[attempt.writers[0]]
            owner = _owner(analysis, attempt, until, graders, exercises, number)
            if owner is not None:
                allocated[owner][tensor] = attempt
        if asked in graders and tensor not in allocated[asked]:
            last = own[-1]
            if numbers[last.writers[0]] is None and not _goes_on(analysis, last, len(analysis.statements)):
                allocated[asked][tensor] = last
    return allocated


def borrowed(analysis: Analysis, attempt: Attempt) -> bool:
    """True where the value is just taken from PyTorch, as one does to go on past a gradient."""
    values = [getattr(analysis.statements[index].node, "value", None) for index in attempt.writers]
    return all(isinstance(value, ast.expr) and _BORROWED.match(ast.unparse(value)) for value in values)


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
    if named and (named[0] in graders or named[0].is_training):
        return named[0] if named[0] in graders else None
    chain = max(graders, key=lambda e: len(e.graded))
    single = next(e for e in graders if e is not chain)
    if _goes_on(analysis, attempt, until):
        return chain
    upstream = set().union(*(analysis.gradients_read(i) for i in attempt.writers)) - {attempt.tensor}
    direct = upstream <= set(single.given) and not _among_many(analysis, attempt)
    first = analysis.attempts[attempt.tensor][0]
    again = first is not attempt and _goes_on(analysis, first, attempt.writers[0])
    return single if direct or again else chain


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


def stage_numbers(source: Source) -> list[int | None]:
    """For each statement the number in the nearest heading above, such as "Exercise 2"."""
    marks: Mapping[int, list[tuple[int, int]]] = {id(cell): list(_marks(cell)) for cell in source.cells}
    numbers: list[int | None] = []
    current: int | None = None
    statements = iter(source.statements)
    pending = next(statements, None)
    for cell in source.cells:
        found = marks[id(cell)]
        while pending is not None and pending.cell is cell:
            above = [number for line, number in found if line <= pending.line - cell.line]
            numbers.append(above[-1] if above else current)
            pending = next(statements, None)
        current = found[-1][1] if found else current
    return numbers


def _marks(cell: Cell) -> Iterator[tuple[int, int]]:
    """(line, number) for each block of prose that names one exercise; a list of several marks none."""
    block: list[tuple[int, int]] = []
    for line, text in enumerate([*cell.text.split("\n"), ""]):
        prose = cell.kind != "code" or text.lstrip().startswith(("#", '"""', "'''", "Exercise", "EXERCISE"))
        if prose and text.strip():
            if found := _HEADING.match(text):
                block.append((line, int(found[1])))
            continue
        if cell.kind == "code" or line == cell.text.count("\n") + 1:
            if len({number for _, number in block}) == 1:
                yield block[0]
            block = []
