"""The people of a course, from the CSV that Canvas or Moodle exports, and which submission is whose."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.base.errors import DojoError
from grader.base.files import read_text
from grader.classroom.statistics import Student

IDS = ("id", "sis user id", "identifier", "id number", "user id", "student id", "sid")
LOGINS = ("sis login id", "username", "login", "email address", "email")
NAMES = ("student", "full name", "name")
FIRST, LAST = ("first name",), ("last name", "surname")
_NOT_PEOPLE = ("points possible", "student, test", "test student")


@dataclass(frozen=True)
class Person:
    """One row of the roster, and what a submission may call this person, by the kind of key."""

    row: Mapping[str, str]
    keys: Mapping[str, frozenset[str]]

    @property
    def name(self) -> str:
        named = _first(self.row, NAMES) or f"{_first(self.row, FIRST)} {_first(self.row, LAST)}".strip()
        return named or _first(self.row, LOGINS) or _first(self.row, IDS)


@dataclass(frozen=True)
class Roster:
    """`columns` in the file's order; `possible` is Canvas's row of points, where there is one."""

    path: Path
    columns: tuple[str, ...]
    people: tuple[Person, ...]
    possible: Mapping[str, str] = field(default_factory=dict)

    def column(self, names: Sequence[str]) -> str | None:
        """The file's own spelling of the first of `names` (in small letters) that it has."""
        spelled = {column.casefold(): column for column in self.columns}
        return next((spelled[name] for name in names if name in spelled), None)


@dataclass
class Matches:
    """Who is who. `unmatched` gives the reason for each submission; `by` counts the kinds of key that decided."""

    people: dict[int, Person] = field(default_factory=dict)
    unmatched: list[tuple[Student, str]] = field(default_factory=list)
    absent: list[Person] = field(default_factory=list)
    by: dict[str, int] = field(default_factory=dict)


def read_roster(path: Path) -> Roster:
    """Read an export of Canvas (gradebook) or Moodle (grades, participants, or an assignment's grading worksheet).

    Raises:
        DojoError: it cannot be read, or has no column that says who is who.
    """
    text = read_text(path)
    heading = text.lstrip("\n").split("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, restval="")
    try:
        columns = tuple(column.strip() for column in reader.fieldnames or ())
        reader.fieldnames = list(columns)
        rows = [{key: (value or "").strip() for key, value in row.items() if key is not None} for row in reader]
    except csv.Error as error:
        raise DojoError(f"{path}: not a CSV file ({error})") from None
    known = (*IDS, *LOGINS, *NAMES, *FIRST, *LAST)
    if not any(column.casefold() in known for column in columns):
        raise DojoError(
            f"{path}: no column says who is who; give the CSV that Canvas or Moodle exports, with a heading such as "
            f"Student, ID, SIS Login ID, Full name or Email address (found: {', '.join(columns)[:200]})"
        )
    possible = next((row for row in rows if _first(row, NAMES).casefold() == "points possible"), {})
    people = [Person(row, _keys(row)) for row in rows if _first(row, NAMES).casefold() not in _NOT_PEOPLE]
    return Roster(path, columns, tuple(person for person in people if any(person.keys.values())), possible)


def _first(row: Mapping[str, str], names: Sequence[str]) -> str:
    return next((value for key, value in row.items() if key.casefold() in names and value), "")


def _all(row: Mapping[str, str], names: Sequence[str]) -> list[str]:
    return [value for key, value in row.items() if key.casefold() in names and value]


def _keys(row: Mapping[str, str]) -> dict[str, frozenset[str]]:
    ids = {_plain(value) for value in _all(row, IDS)}
    ids |= {value.removeprefix("participant ") for value in ids}
    names = {_letters(value) for value in _all(row, NAMES)}
    names |= {_letters("".join(reversed(value.split(",", 1)))) for value in _all(row, NAMES)}
    first, last = _first(row, FIRST), _first(row, LAST)
    names |= {_letters(first + last), _letters(last + first)} if first and last else set()
    logins = {_plain(value) for value in _all(row, LOGINS)}
    return {"id": frozenset(ids), "login": frozenset(logins), "name": frozenset(names - {""})}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _letters(text: str) -> str:
    """A name without spaces, commas, marks and case: Canvas writes `lovelaceada` for Lovelace, Ada."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


def match(students: Iterable[Student], roster: Roster) -> Matches:
    """Find each submission's person by id, login or name; nobody where two keys disagree or a key fits two people."""
    indexes: dict[str, dict[str, list[int]]] = {}
    for kind in ("id", "login", "name"):
        indexes[kind] = defaultdict(list)
        for number, person in enumerate(roster.people):
            for key in person.keys[kind]:
                indexes[kind][key].append(number)
    found: dict[int, list[tuple[int, Student, str]]] = defaultdict(list)
    matches = Matches()
    for place, student in enumerate(students):
        hits = {kind: _hits(student, kind, index) for kind, index in indexes.items()}
        decisive = next((kind for kind, people in hits.items() if people), None)
        if decisive is None:
            matches.unmatched.append((student, "nobody on the roster has this id, login or name"))
            continue
        agreed = set.intersection(*(people for people in hits.values() if people))
        if len(agreed) != 1:
            named = ", ".join(sorted(roster.people[number].name for number in set().union(*hits.values()))[:4])
            matches.unmatched.append((student, f"fits several people: {named}"))
            continue
        found[agreed.pop()].append((place, student, decisive))
    for number, owners in found.items():
        if len(owners) > 1:
            both = ", ".join(student.submission for _, student, _ in owners[:4])
            for _, student, _ in owners:
                name = roster.people[number].name
                matches.unmatched.append((student, f"{len(owners)} submissions fit {name}: {both}"))
            continue
        place, _, kind = owners[0]
        matches.people[place] = roster.people[number]
        matches.by[kind] = matches.by.get(kind, 0) + 1
    matches.absent = [person for number, person in enumerate(roster.people) if number not in found]
    return matches


def _hits(student: Student, kind: str, index: Mapping[str, list[int]]) -> set[int]:
    said = [student.student_id, student.submission] if kind != "name" else [student.student, student.submission]
    if kind == "login":
        said.append(student.student)
    form = _letters if kind == "name" else _plain
    return {number for text in said if text for number in index.get(form(text), ())}
