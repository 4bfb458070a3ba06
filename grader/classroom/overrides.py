"""Changes by hand that survive regrading: RESULTS/overrides.toml, which `dojo batch` never touches.

[[override]]
person = "leeann_1001"          # as the submission, the student or the id is called
gradient = "makemore/ex1.logits"  # or exercise = "makemore/ex1"; without either the whole grade
points = 1
comment = "Right, but for the file's encoding."

[[override]]
person = "Bo Xu"
due = 2026-10-21T23:59:00+02:00 # a due date of one's own
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from grader.base.errors import DojoError
from grader.base.words import counted
from grader.lesson.exercise import Exercise, exercises_called, find_exercise
from grader.report.points import read_toml
from grader.report.records import Points, whole

FILE = "overrides.toml"
_KEYS = {"person", "exercise", "gradient", "points", "comment", "due"}


@dataclass(frozen=True)
class Override:
    """One change for one person. Without `exercise`, `points` are the whole grade on the assignment's scale."""

    person: str
    exercise: str | None = None
    gradient: str | None = None
    points: Points | None = None
    comment: str = ""
    due: datetime | None = None

    @property
    def scope(self) -> tuple[str, ...]:
        """What its points are for, from the widest: () is the whole grade."""
        return tuple(name for name in (self.exercise, self.gradient) if name is not None)

    def words(self) -> str:
        """What it changes, for people."""
        found = find_exercise(self.exercise) if self.exercise is not None else None
        where = found.short_id if found else "the grade"
        where = f"{found.label(self.gradient)} of {where}" if found and self.gradient else where
        changed = [f"{where}: {counted(self.points, 'point')} by hand"] if self.points is not None else []
        changed += [f"due {self.due:%Y-%m-%d %H:%M %Z}"] if self.due else []
        return ". ".join([*changed, *([self.comment] if self.comment else [])])


def outdone(changes: Sequence[Override]) -> Iterator[tuple[Override, Override]]:
    """Each of one person's changes that has no effect, and that which counts in its place: a later or a wider one."""
    for number, change in enumerate(changes):
        dated = [other for other in changes[number + 1 :] if change.due and other.due]
        pointed = [other for other in changes if None not in (change.points, other.points)]
        wider = [other for other in pointed if other.scope in (change.scope[:1], ()) and other.scope != change.scope]
        same = [other for other in changes[number + 1 :] if other in pointed and other.scope == change.scope]
        if others := dated + same + wider:
            yield change, min(reversed(others), key=lambda other: len(other.scope))


def read_overrides(folder: Path, asked: Collection[str] = ()) -> list[Override]:
    """The overrides of a results folder; none where there is no such file. `asked` are the assignment's exercises.

    Raises:
        DojoError: it is no TOML, or an entry is not right, or does not say of which track its exercise is.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    data = read_toml(path)
    if unknown := data.keys() - {"override"}:
        raise DojoError(f"{path}: {min(unknown)!r} is unknown there; write each change as a table [[override]]")
    entries: Any = data.get("override", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DojoError(f"{path}: write each change as a table [[override]]")
    return [_checked(entry, asked, f"{path}: [[override]] {number}") for number, entry in enumerate(entries, start=1)]


def _checked(entry: Mapping[str, Any], asked: Collection[str], where: str) -> Override:
    if unknown := entry.keys() - _KEYS:
        raise DojoError(f"{where} has an unknown key {min(unknown)!r}; there are {', '.join(sorted(_KEYS))}")
    points, due = entry.get("points"), entry.get("due")
    number = isinstance(points, (int, float)) and not isinstance(points, bool) and 0 <= points < 1e9
    person, comment = entry.get("person"), entry.get("comment", "")
    if not isinstance(person, str) or not person or not isinstance(comment, str):
        raise DojoError(f"{where}: person and comment are texts in quotes, and person must be there")
    if (points is None and due is None) or (points is not None and not number):
        raise DojoError(f"{where}: give points, 0 or more, or a due date")
    if due is not None and (not isinstance(due, datetime) or due.tzinfo is None):
        raise DojoError(f"{where}: due is a time with its offset, such as 2026-10-21T23:59:00+02:00")
    exercise, gradient = entry.get("exercise"), entry.get("gradient")
    if isinstance(gradient, str) and "." in gradient:
        exercise, gradient = gradient.rsplit(".", 1)
    try:
        found = _meant(str(exercise), asked) if exercise is not None else None
    except DojoError as error:
        raise DojoError(f"{where}: {error}") from None
    if gradient is not None:
        if found is None:
            raise DojoError(f"{where}: of which exercise is {gradient!r}? Write gradient = 'makemore/ex1.{gradient}'")
        gradient = gradient if gradient in found.graded else str(gradient).removeprefix("d")
        if gradient not in found.graded:
            raise DojoError(f"{where}: {found.id} grades no {gradient!r}; it grades {', '.join(found.graded)}")
    exercise_id = found.id if found else None
    worth = whole(points) if points is not None else None
    return Override(person, exercise_id, gradient, worth, comment, due)


def _meant(name: str, asked: Collection[str]) -> Exercise:
    """The one exercise of the assignment that goes by `name`; where none is of it, the one of all."""
    called = exercises_called(name)
    found = [exercise for exercise in called if exercise.id in asked] or called
    if len(found) > 1:
        raise DojoError(f"exercise {name!r} may be any of {', '.join(e.short_id for e in found)}; write one of them")
    return found[0]
