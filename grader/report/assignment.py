"""The stated assignment: which exercises count, for how many points, until when. All that hands out grades goes by it.

[tool.dojo.assignment]
title = "Homework 3"
exercises = ["makemore/ex1", "makemore/ex2"]
points = 10                      # full marks; left out, the sum of what the gradients are worth
due = 2026-10-14T23:59:00
time-zone = "Europe/Berlin"
group = "everyone"               # of a group everyone gets the grade; "alone": work of a group is not accepted
require-isolation = "full"

[tool.dojo.assignment.late]
grace-minutes = 15
per-day = 0.1                    # part of the grade that each day begun takes
at-most = 0.5                    # and the most that is taken
last-day = 7                     # what comes later counts 0
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from grader.base.errors import DojoError
from grader.lesson.exercise import exercises_called, find_exercise
from grader.report.points import DEFAULT_FILE, PointsTable, as_written, is_amount, stated_table
from grader.report.records import Points, Report, whole

TABLE = "[tool.dojo.assignment]"
DEFAULT_TITLE = "Backprop Dojo"
GROUP_RULES = ("everyone", "alone")
_LEVELS = ("basic", "partial", "full")
_KEYS = ("title", "exercises", "points", "due", "time-zone", "group", "require-isolation", "late")
_LATE_KEYS = ("grace-minutes", "per-day", "at-most", "last-day")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)?\s*(Z|[+-]\d\d:?\d\d|[A-Za-z][\w+/-]*)?")


@dataclass(frozen=True)
class LatePolicy:
    """What late work costs. `per_day` and `at_most` are parts of the grade, `last_day` the last day that counts."""

    grace_minutes: float = 0.0
    per_day: float = 0.0
    at_most: float = 1.0
    last_day: float | None = None

    def taken(self, days: int) -> float:
        """The part of the grade that so many days begun take."""
        if self.last_day is not None and days > self.last_day:
            return 1.0
        return min(self.per_day * days, self.at_most)


@dataclass(frozen=True)
class Lateness:
    """How late one submission is: the part of the grade that it takes, and how late it is in words."""

    taken: float
    words: str


@dataclass(frozen=True)
class Assignment:
    """What counts. `exercises` are ids in order; `points` are full marks, None for the sum of the gradients' points.

    `due` has its time zone. `stated` is False where nobody stated it and the majority of a class decided.
    """

    exercises: tuple[str, ...]
    title: str = DEFAULT_TITLE
    points: Points | None = None
    due: datetime | None = None
    late: LatePolicy = field(default_factory=LatePolicy)
    group: str = "everyone"
    require_isolation: str | None = None
    stated: bool = True

    def worth(self, table: PointsTable) -> dict[str, Points]:
        """The points of each exercise, before they are scaled to `points`."""
        return {
            name: whole(sum(table.of(name, tensor) for tensor in find_exercise(name).graded)) for name in self.exercises
        }

    def apply(self, report: Report, table: PointsTable) -> None:
        """Make one person's report go by it: what is not asked for is left out, what is missing counts 0."""
        worth = self.worth(table)
        report.submissions = [one for one in report.submissions if one.exercise in worth]
        held = {one.exercise for one in report.submissions}
        report.missing = {name: points for name, points in worth.items() if name not in held}
        report.out_of = self.points

    def lateness(self, handed_in: str, marked: bool, due: datetime | None = None) -> Lateness | None:
        """How late work is that was handed in then, or that the course's software `marked` late; None if in time.

        `due` takes the place of the assignment's own.
        """
        until, moment = due or self.due, read_time(handed_in)
        if moment is not None and until is not None:
            late = moment - until - timedelta(minutes=self.late.grace_minutes)
            if late <= timedelta():
                return None
            days = math.ceil(late / timedelta(days=1))
            return self._late(days, f"{_duration(moment - until)} late")
        if marked and due is None:
            return self._late(1, "marked late" + (", counted as one day" if self.late.taken(1) else ""))
        return None

    def _late(self, days: int, words: str) -> Lateness:
        taken = self.late.taken(days)
        return Lateness(taken, f"{words}, which takes {taken * 100:g} %" if taken else words)

    def as_data(self) -> dict[str, Any]:
        """As JSON can hold it; `from_data` reads it back."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Assignment:
        """What `as_data` gave.

        Raises:
            DojoError: it is something else.
        """
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError:
            raise DojoError("batch.json: its assignment cannot be read; put the file back, or begin anew") from None


def chosen_exercises(
    stated: Assignment | None, selected: str | None, forced: str | None
) -> tuple[Assignment | None, tuple[str, ...], str | None]:
    """The assignment with what --exercise leaves of it; the ids that are graded, () for all; the id that --as names.

    Raises:
        DojoError: there is no such exercise, or it is not of the assignment.
    """
    wanted = stated.exercises if stated else ()
    for option, name in (("--exercise", selected), ("--as", forced)):
        if name is None:
            continue
        called = tuple(exercise.id for exercise in exercises_called(name))
        found = tuple(one for one in called if not wanted or one in wanted)
        if not found:
            raise DojoError(f"{option} {name}: is not of the assignment, which asks for {', '.join(wanted)}")
        if option == "--exercise":
            wanted = found
        elif len(found) == 1:
            forced = found[0]
    return (replace(stated, exercises=wanted) if stated else None), wanted, forced


def of_majority(handed_in: Iterable[Collection[str]]) -> Assignment:
    """Without a stated assignment: the exercises that more than half of these people handed in, else the commonest."""
    counts: Counter[str] = Counter()
    people = 0
    for exercises in handed_in:
        people += bool(exercises)
        counts.update(set(exercises))
    most = max(counts.values(), default=0)
    chosen = [name for name, count in counts.items() if 2 * count > people or (2 * most <= people and count == most)]
    return Assignment(tuple(sorted(chosen)), stated=False)


def unstated(exercises: Collection[str]) -> str:
    """The warning where no assignment is stated, and how to state it."""
    listed = ", ".join(f'"{name}"' for name in exercises or ["makemore/ex1"])
    return (
        f"no assignment is stated, so these exercises count, which most handed in: {', '.join(exercises) or 'none'}. "
        "State it in pyproject.toml or --assignment FILE, so that what is missing counts: "
        f"{TABLE} exercises = [{listed}]"
    )


def read_assignment(path: Path | None) -> Assignment | None:
    """The assignment of `path`; without a path that of pyproject.toml in this folder; None where none is stated.

    Raises:
        DojoError: the file is no TOML or has no such table, or a key or a value in it is not right.
    """
    table = stated_table(path, "assignment")
    return None if table is None else _Reader(path or DEFAULT_FILE, table).assignment()


class _Reader:
    """Reads the table of one file, and says what is wrong with it."""

    def __init__(self, file: Path, table: Mapping[str, Any]) -> None:
        self.file, self.table = file, table

    def assignment(self) -> Assignment:
        self._refuse_unknown(self.table, _KEYS)
        late = self._get("late", dict) or {}
        self._refuse_unknown(late, _LATE_KEYS)
        numbers = {key.replace("-", "_"): self._number(f"late.{key}", value) for key, value in late.items()}
        for key in ("per_day", "at_most"):
            if numbers.get(key, 0) > 1:
                raise self._wrong(f"late.{key.replace('_', '-')}", numbers[key], "give a part from 0 to 1")
        points = self.table.get("points")
        if points is not None and not self._number("points", points):
            raise self._wrong("points", points, "give a number above 0")
        return Assignment(
            exercises=self._exercises(),
            title=self._get("title", str) or DEFAULT_TITLE,
            points=None if points is None else whole(points),
            due=self._due(),
            late=LatePolicy(**numbers),
            group=self._choice("group", GROUP_RULES) or GROUP_RULES[0],
            require_isolation=self._choice("require-isolation", _LEVELS),
        )

    def _exercises(self) -> tuple[str, ...]:
        listed = self._get("exercises", list)
        if not listed:
            raise DojoError(f'{self.file}: {TABLE} has no exercises; list them, such as exercises = ["makemore/ex1"]')
        try:
            return tuple(dict.fromkeys(find_exercise(str(name)).id for name in listed))
        except DojoError as error:
            raise DojoError(f"{self.file}: {TABLE} exercises: {error}") from None

    def _due(self) -> datetime | None:
        due, name = self.table.get("due"), self._get("time-zone", str)
        zone = None if name is None else _zone_of(name)
        if name is not None and zone is None:
            raise self._wrong("time-zone", name, "give one such as Europe/Berlin, America/New_York or UTC")
        if isinstance(due, str):
            try:
                due = datetime.fromisoformat(due)
            except ValueError:
                raise self._wrong("due", due, "give a time such as 2026-10-14T23:59:00") from None
        if isinstance(due, date) and not isinstance(due, datetime):
            due = datetime.combine(due, time(23, 59, 59))
        if due is None:
            return None
        if not isinstance(due, datetime):
            raise self._wrong("due", due, "give a time such as 2026-10-14T23:59:00")
        if due.tzinfo is not None:
            return due
        if zone is None:
            raise self._wrong("due", due.isoformat(), 'say of which time zone, such as time-zone = "Europe/Berlin"')
        return due.replace(tzinfo=zone)

    def _get(self, key: str, kind: type) -> Any:
        value = self.table.get(key)
        if value is not None and not isinstance(value, kind):
            what = {"str": "a text in quotes", "list": "a list in brackets", "dict": "a table"}[kind.__name__]
            raise self._wrong(key, value, f"give {what}")
        return value

    def _choice(self, key: str, choices: Collection[str]) -> str | None:
        value = self._get(key, str)
        if value is not None and value not in choices:
            raise self._wrong(key, value, f"choose one of: {', '.join(choices)}")
        return str(value) if value is not None else None

    def _number(self, key: str, value: Any) -> float:
        if not is_amount(value):
            raise self._wrong(key, value, "give a number, 0 or more")
        return float(value)

    def _refuse_unknown(self, table: Mapping[str, Any], known: Collection[str]) -> None:
        for key in table:
            if key not in known:
                nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                raise DojoError(f"{self.file}: {TABLE} has an unknown key {key!r}; the nearest is {nearest!r}")

    def _wrong(self, key: str, value: object, what_to_do: str) -> DojoError:
        shown = value if isinstance(value, str) else as_written(value)
        return DojoError(f"{self.file}: {TABLE} {key} = {shown}: {what_to_do}")


def read_time(text: str) -> datetime | None:
    """A moment as course software writes it down, in UTC where it says no zone; None where it is none."""
    match = _TIME.match(text.strip())
    if match is None:
        return None
    day, hour, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{hour}")
        if zone and zone[0] in "+-":
            return datetime.fromisoformat(f"{day}T{hour}{zone[:3]}:{zone[-2:]}")
    except ValueError:
        return None
    return moment.replace(tzinfo=(_zone_of(zone) if zone and zone != "Z" else UTC) or UTC)


def _zone_of(name: str) -> tzinfo | None:
    if name in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _duration(late: timedelta) -> str:
    minutes = max(1, math.ceil(late / timedelta(minutes=1)))
    days, rest = divmod(minutes, 24 * 60)
    parts = [(days, "d"), (rest // 60, "h"), (rest % 60, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
