"""What each gradient is worth: `[tool.dojo.points]` in a TOML file."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any

from grader.base.errors import DojoError
from grader.base.files import read_text
from grader.lesson.exercise import all_exercises, short_id_of
from grader.report.records import Points, Report, whole

SHAPE_SHARE = "shape-share"
TABLE = "[tool.dojo.points]"
DEFAULT_FILE = Path("pyproject.toml")


@dataclass(frozen=True)
class PointsTable:
    """Points by key, `logits` for every exercise that grades it or `makemore/ex2.logits` for one; what is not in it
    is worth one point.

    `shape_share`, from 0 to 1, is the part that a gradient of the wrong shape earns.
    """

    points: Mapping[str, Points] = field(default_factory=dict)
    shape_share: float = 0.0

    def of(self, exercise: str, name: str) -> Points:
        """What the gradient `name` of the exercise `makemore/ex2_cross_entropy` is worth."""
        return self.points.get(f"{short_id_of(exercise)}.{name}", self.points.get(name, 1))

    def apply(self, report: Report) -> None:
        """Give every verdict of the report its points."""
        for submission in report.submissions:
            for verdict in submission.verdicts:
                verdict.max_points = self.of(submission.exercise, verdict.name)
                verdict.shape_share = self.shape_share


def read_points(path: Path | None) -> PointsTable:
    """The table of `path`; without a path, that of pyproject.toml in this folder, where it has one.

    Raises:
        DojoError: the file is no TOML or has no such table, or a key or a value in it is not right.
    """
    table = stated_table(path, "points")
    return PointsTable() if table is None else _checked(path or DEFAULT_FILE, dict(_flat(table)))


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        DojoError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DojoError(f"{path}: not a TOML file ({error})") from None


def stated_table(path: Path | None, name: str) -> dict[str, Any] | None:
    """`[tool.dojo.NAME]` of `path`; without a path that of pyproject.toml in this folder, None where there is none.

    Raises:
        DojoError: the file is no TOML or has no such table.
    """
    if path is None and not DEFAULT_FILE.is_file():
        return None
    file = path or DEFAULT_FILE
    table: Any = read_toml(file)
    for key in ("tool", "dojo", name):
        table = table.get(key) if isinstance(table, dict) else None
    if not isinstance(table, dict) and not (table is None and path is None):
        raise DojoError(f"{file}: has no [tool.dojo.{name}] table")
    return table


def as_written(value: object) -> str:
    """A value of a TOML file as people wrote it there, and not as Python does: 23:59:00."""
    return str(value) if isinstance(value, (date, time)) else repr(value)


def is_amount(value: object) -> bool:
    """True for a number from 0 up, as points and days are."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    # `ex2.logits = 5` without quotes is a table in a table for TOML, and the same for people.
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _checked(file: Path, table: dict[str, Any]) -> PointsTable:
    points: dict[str, Points] = {}
    known = _known_keys()
    for key, value in table.items():
        meant = known.get(key, [])
        if key != SHAPE_SHARE and len(meant) != 1:
            nearest = meant or difflib.get_close_matches(key, [SHAPE_SHARE, *known], n=1, cutoff=0.0)
            problem = "an ambiguous" if meant else "an unknown"
            said = f"write one of {', '.join(meant)}" if meant else f"the nearest right one is {nearest[0]!r}"
            raise DojoError(f"{file}: {TABLE} has {problem} key {key!r}; {said}")
        if not is_amount(value):
            raise DojoError(f"{file}: {TABLE} {key} = {as_written(value)} is not a number of points; give 0 or more")
        if key != SHAPE_SHARE:
            points[meant[0]] = whole(value)
    share = table.get(SHAPE_SHARE, 0.0)
    if share > 1:
        raise DojoError(f"{file}: {TABLE} {SHAPE_SHARE} = {share!r} is more than all; give a part from 0 to 1")
    return PointsTable(points, float(share))


def _known_keys() -> dict[str, list[str]]:
    """What each key means: `logits` itself, `makemore/ex2.logits` itself, `ex2.logits` that of each track with it."""
    known: dict[str, list[str]] = {}
    for exercise in all_exercises():
        for name in exercise.graded:
            own = f"{exercise.short_id}.{name}"
            known |= {name: [name], own: [own]}
            known.setdefault(f"{exercise.number}.{name}", []).append(own)
    return known
