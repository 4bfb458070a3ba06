"""How a course's software lays out what people handed in: whose is the file at this path?

`LAYOUTS` is the table. What most names at the top say decides, so that one odd entry does not make strangers of all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import yaml

from grader.base.errors import DojoError
from grader.base.visible import printable
from grader.batch.items import Item

_NBGRADERS = "nbgrader's"
CANVAS = "Canvas's"
"""The layout of Canvas's download with names, whose numbers are its own ids."""

_METADATA, _SUBMITTED, _TIMESTAMP = "submission_metadata.yml", "submitted", "timestamp.txt"
_MOST_TIME_BYTES = 200


@dataclass(frozen=True)
class Person:
    """Whose a file is. `depth` is how many parts of its path tell so.

    `members` are name and id of each of a group. `extra`: what lies there is beside the work, such as a text typed in.
    """

    name: str
    student: str = ""
    student_id: str = ""
    depth: int = 1
    handed_in: str = ""
    marked_late: bool = False
    members: tuple[tuple[str, str], ...] = ()
    extra: bool = False

    def about(self) -> dict[str, Any]:
        """What an entry of the index says of the person."""
        return {
            "student": printable(self.student),
            "student_id": printable(self.student_id),
            "handed_in": printable(self.handed_in),
            "marked_late": self.marked_late,
            "members": tuple((printable(name), printable(number)) for name, number in self.members),
        }


PlaceOf = Callable[[Item], Person | None]
"""Whose a file or a folder is; None for what is nobody's."""


@dataclass(frozen=True)
class Layout:
    """`top` matches the name of a file or folder at the top; `files` that it stands for files only.

    Groups: `name` and `id` of the person, `late` where it is marked so, `file`, a number that each file has for its
    own, and `extra`.
    """

    name: str
    top: re.Pattern[str]
    files: bool = False

    def of(self, item: Item) -> Person:
        """Whose file it is, read from its name in this layout."""
        match = self.top.fullmatch(item.parts[0])
        if match is None:
            return _plain(item)
        found = match.groupdict()
        student, number = found["name"], found["id"]
        late, extra = bool(found.get("late")), bool(found.get("extra"))
        return Person(f"{student}_{number}", student, number, marked_late=late, extra=extra)

    def fits(self, tops: Mapping[str, bool]) -> bool:
        """True where most of `tops` are in this form; the value says whether it is a folder."""
        able = [top for top, is_folder in tops.items() if not (self.files and is_folder)]
        found = [match for top in able if (match := self.top.fullmatch(top))]
        # A file's number is its own. hw_3_1_ann.py and hw_3_1_bo.py are not from Canvas.
        numbers = [match["file"] for match in found if match.groupdict().get("file")]
        return 2 * len(found) > len(tops) and 2 * len(set(numbers)) >= len(numbers) + bool(numbers[1:])


_OF_CANVAS = r"(?P<name>{})(?P<late>_LATE)?_(?P<id>{})_(?:(?P<file>\d+)_.+|(?P<extra>text|link)\.html)"
LAYOUTS = (
    Layout(
        "Moodle's",
        re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|(?P<extra>onlinetext))(?:_.*)?", re.DOTALL),
    ),
    Layout("Canvas's, anonymous", re.compile(_OF_CANVAS.format("anon", "[^_]+"), re.DOTALL), files=True),
    Layout(CANVAS, re.compile(_OF_CANVAS.format(".+?", r"\d+"), re.DOTALL), files=True),
)
"""The layouts that a name at the top tells; the others are found by what lies where, see `layout_of`."""

_NAMES_END_IN_NUMBERS = Layout(CANVAS, re.compile(_OF_CANVAS.format(r".+_\d+", r"\d+"), re.DOTALL), files=True)
_GRADESCOPE = re.compile(r"submission_\d+")


@dataclass(frozen=True)
class Found:
    """The layout of these files: what people call it, whose a file is, and the names at the top that do not fit."""

    name: str
    place_of: PlaceOf
    odd: tuple[str, ...] = ()


def layout_of(items: Sequence[Item], root: str = "", packed: bool = False) -> Found:
    """The layout that most of these files are in: nbgrader's, Gradescope's, one of `LAYOUTS`, or one person each.

    `root` is the name of the folder that holds them; one folder at the top of a zip (`packed`) is nobody's name.

    Raises:
        DojoError: Gradescope's own file about the people cannot be read.
    """
    shown = [item for item in items if item.is_visible and not item.problem]
    files = [item.parts for item in shown if not item.is_folder]
    tops = {item.parts[0]: False for item in shown}
    tops |= {item.parts[0]: True for item in shown if item.is_folder or len(item.parts) > 1}
    if root == _SUBMITTED and 2 * sum(len(parts) > 2 for parts in files) > len(files):
        return Found(_NBGRADERS, _nbgrader(items), tuple(parts[0] for parts in files if len(parts) == 1))
    if _SUBMITTED in tops:
        inner = layout_of(_below(items, _SUBMITTED), _SUBMITTED)
        if inner.name == _NBGRADERS:
            return replace(inner, place_of=_inside(_SUBMITTED, inner.place_of, lambda _: None))
    if 2 * sum(bool(_GRADESCOPE.fullmatch(top)) for top in tops) > len(tops):
        people = _metadata(items)
        if people is not None:
            odd = tuple(top for top in tops if not _GRADESCOPE.fullmatch(top))
            return Found("Gradescope's", lambda item: people.get(item.parts[0], _unnamed(item)), odd)
    for layout in LAYOUTS:
        if layout.fits(tops):
            chosen = _told_apart(layout, tops)
            return Found(chosen.name, chosen.of, tuple(top for top in tops if not chosen.top.fullmatch(top)))
    if len(tops) == 1 and files and min(map(len, files)) > 1:
        (wrapper,) = tops
        inner = layout_of(_below(items, wrapper))
        if packed or inner.place_of is not _plain:
            return replace(inner, place_of=_inside(wrapper, inner.place_of, _plain))
    return Found("a file or a folder for each person", _plain)


def _told_apart(layout: Layout, tops: Mapping[str, bool]) -> Layout:
    """Where names of people end in numbers, as in student_07_1007_5007_hw.py, these are not their ids."""
    if layout.name != _NAMES_END_IN_NUMBERS.name or not _NAMES_END_IN_NUMBERS.fits(tops):
        return layout
    read = [_NAMES_END_IN_NUMBERS.top.fullmatch(top) for top in tops]
    numbers = [match["file"] for match in read if match and match["file"]]
    return _NAMES_END_IN_NUMBERS if len(set(numbers)) == len(numbers) else layout


def _plain(item: Item) -> Person:
    top = item.parts[0]
    alone = len(item.parts) == 1 and not item.is_folder
    name = top[: -len(suffix)] if alone and (suffix := PurePosixPath(top).suffix) else top
    return Person(name, name)


def _unnamed(item: Item) -> Person | None:
    """A folder of Gradescope's whose people its file does not name."""
    return Person(item.parts[0]) if _GRADESCOPE.fullmatch(item.parts[0]) else None


def _below(items: Sequence[Item], wrapper: str) -> list[Item]:
    return [item.below(1) for item in items if len(item.parts) > 1 and item.parts[0] == wrapper]


def _inside(wrapper: str, inner: PlaceOf, outside: PlaceOf) -> PlaceOf:
    """A layout in a folder that holds everybody; what lies beside that folder is for `outside` to say."""

    def place_of(item: Item) -> Person | None:
        if item.parts[0] != wrapper:
            return outside(item)
        person = inner(item.below(1)) if len(item.parts) > 1 else None
        return person and replace(person, depth=person.depth + 1)

    return place_of


def _nbgrader(items: Sequence[Item]) -> PlaceOf:
    """STUDENT/ASSIGNMENT/..., each with the time of submission in a file."""
    times = {item.parts[:2]: _time_in(item) for item in items if item.parts[2:] == (_TIMESTAMP,)}

    def place_of(item: Item) -> Person | None:
        student = item.parts[0]
        if len(item.parts) > 2 or (len(item.parts) == 2 and item.is_folder):
            handed_in = times.get(item.parts[:2], "")
            return Person(f"{student}/{item.parts[1]}", student, student, depth=2, handed_in=handed_in)
        return None if item.is_folder else Person(student, student, student)

    return place_of


def _time_in(item: Item) -> str:
    try:
        return item.read()[:_MOST_TIME_BYTES].decode("utf-8", "replace").strip() if not item.problem else ""
    except DojoError:
        return ""


def _metadata(items: Sequence[Item]) -> dict[str, Person] | None:
    """Those behind each `submission_N`, from Gradescope's own file; None where there is none."""
    item = next((item for item in items if item.parts == (_METADATA,) and not item.problem), None)
    if item is None:
        return None
    try:
        # Every value stays text, and libyaml reads 10,000 people in a second, not a minute.
        data = yaml.load(item.read(), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        why = str(error).splitlines()[0]
        raise DojoError(f"{item.label}: not a readable YAML file ({why}); export it from Gradescope again") from None
    found = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        fields = value if isinstance(value, dict) else {}
        listed = fields.get(":submitters")
        who = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        people = tuple((_text(one, ":name"), _text(one, ":sid", ":email")) for one in who)
        first = people[0][1] if people else ""
        group = people if len(people) > 1 else ()
        names, at = ", ".join(name for name, _ in people), _text(fields, ":created_at")
        if isinstance(key, str):
            found[key] = Person(key, names, first, handed_in=at, members=group)
    return found


def _text(fields: Mapping[str, Any], *names: str) -> str:
    """The first of these that is a text: one of lists within lists, by YAML's aliases, has more letters than atoms."""
    return next((found for name in names if isinstance(found := fields.get(name), str) and found), "")
