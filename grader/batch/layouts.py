"""How a course's software lays out what people handed in: whose is the file at this path?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath

import yaml

from grader.base.errors import DojoError
from grader.batch.items import Item

_MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_")
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<id>\d+)_(?P<file>\d+)_.+", re.DOTALL)
_GRADESCOPE = re.compile(r"submission_\d+")
_NBGRADER = "submitted"


@dataclass(frozen=True)
class Person:
    """Whose a file is. `depth` is how many parts of its path tell so."""

    name: str
    student: str = ""
    student_id: str = ""
    depth: int = 1


PlaceOf = Callable[[Item], Person | None]
"""Whose a file or a folder is; None for what is nobody's."""


def layout_of(items: Sequence[Item], root: str = "", packed: bool = False) -> PlaceOf:
    """The layout that these files are in: nbgrader's, Moodle's, Canvas's, Gradescope's, or one person each.

    `root` is the name of the folder that holds them; one folder at the top of a zip (`packed`) is nobody's name.
    """
    shown = [item for item in items if item.is_visible and not item.problem]
    tops = {item.parts[0] for item in shown}
    files = [item.parts for item in shown if not item.is_folder]
    if root == _NBGRADER and files and min(map(len, files)) > 1 and max(map(len, files)) > 2:
        return _nbgrader
    if _NBGRADER in tops and any(len(parts) > 3 for parts in files if parts[0] == _NBGRADER):
        inside = [item.below(1) for item in items if len(item.parts) > 1 and item.parts[0] == _NBGRADER]
        return partial(_below, _NBGRADER, layout_of(inside, _NBGRADER), lambda _: None)
    if any(_MOODLE.match(top) for top in tops):
        return _moodle
    if any(_GRADESCOPE.fullmatch(top) for top in tops) and (people := _metadata(items)) is not None:
        return partial(_gradescope, people)
    if _is_canvas(tops, files):
        return _canvas
    if len(tops) == 1 and files and min(map(len, files)) > 1:
        (wrapper,) = tops
        inner = layout_of([item.below(1) for item in items if len(item.parts) > 1 and item.parts[0] == wrapper])
        if packed or inner is not _plain:
            return partial(_below, wrapper, inner, _plain)
    return _plain


def _is_canvas(tops: set[str], files: Sequence[tuple[str, ...]]) -> bool:
    found = [match for parts in files if len(parts) == 1 and (match := _CANVAS.fullmatch(parts[0]))]
    # A file's number is its own on Canvas. hw_3_1_ann.py and hw_3_1_bob.py are not from there.
    return bool(found) and len(found) == len(tops) == len({match["file"] for match in found})


def _plain(item: Item) -> Person:
    top = item.parts[0]
    alone = len(item.parts) == 1 and not item.is_folder
    name = top[: -len(suffix)] if alone and (suffix := PurePosixPath(top).suffix) else top
    return Person(name, name)


def _below(wrapper: str, inner: PlaceOf, outside: PlaceOf, item: Item) -> Person | None:
    if item.parts[0] != wrapper:
        return outside(item)
    if len(item.parts) == 1:
        return None
    person = inner(item.below(1))
    return person and replace(person, depth=person.depth + 1)


def _nbgrader(item: Item) -> Person | None:
    student = item.parts[0]
    if len(item.parts) > 2 or (len(item.parts) == 2 and item.is_folder):
        return Person(f"{student}/{item.parts[1]}", student, student, depth=2)
    return None if item.is_folder else Person(student, student, student)


def _moodle(item: Item) -> Person:
    match = _MOODLE.match(item.parts[0])
    if match is None:
        return _plain(item)
    return Person(f"{match['name']}_{match['id']}", match["name"], match["id"])


def _canvas(item: Item) -> Person:
    match = _CANVAS.fullmatch(item.parts[0])
    if match is None:
        return _plain(item)
    return Person(f"{match['name']}_{match['id']}", match["name"], match["id"])


def _gradescope(people: Mapping[str, tuple[str, str]], item: Item) -> Person | None:
    top = item.parts[0]
    return Person(top, *people.get(top, ("", ""))) if _GRADESCOPE.fullmatch(top) else None


def _metadata(items: Sequence[Item]) -> dict[str, tuple[str, str]] | None:
    """Names and ids of those behind each `submission_N`, from Gradescope's own file; None where there is none."""
    item = next((item for item in items if item.parts == ("submission_metadata.yml",) and not item.problem), None)
    if item is None:
        return None
    try:
        # Every value stays text, and libyaml reads 10,000 people in a second, not a minute.
        data = yaml.load(item.read(), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DojoError(f"{item.label}: not a readable YAML file ({str(error).splitlines()[0]})") from None
    found = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        listed = value.get(":submitters") if isinstance(value, dict) else None
        who = [one for one in listed or () if isinstance(one, dict)]
        names = ", ".join(str(one.get(":name", "")) for one in who)
        found[str(key)] = names, str(who[0].get(":sid") or who[0].get(":email") or "") if who else ""
    return found
