"""The people of a course, from the CSV that Canvas or Moodle exports, and which submission is whose."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from grader.base.errors import DojoError
from grader.batch.tables import read_table
from grader.classroom.dates import TIME, moments
from grader.classroom.statistics import Student
from grader.report.assignment import Assignment

IDS = ("id", "sis user id", "identifier", "id number", "user id", "student id", "sid")
LOGINS = ("sis login id", "username", "login", "email address", "email")
NAMES = ("student", "full name", "name")
FIRST, LAST = ("first name", "firstname"), ("last name", "surname", "lastname")
_NOT_PEOPLE = ("points possible", "manual posting", "student, test", "test student")
_BLANK = "; neither a grade nor a 0 is written"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True)
class Row:
    """One person of the roster, and what a submission may call this person, by the kind of key."""

    cells: Mapping[str, str]
    keys: Mapping[str, frozenset[str]]

    @property
    def name(self) -> str:
        """The person's name, however the columns of this roster are called."""
        return _named(self.cells) or next((value for value in list(self.cells.values())[1::-1] if value), "")


@dataclass(frozen=True)
class Worksheet:
    """Which columns of an assignment's grading worksheet from Moodle are which; its headings are the site's language.

    `most` is the assignment's greatest grade, `comma` the mark that the site writes decimals with, and `handed_in` the
    column that says when each submission was last changed.
    """

    identifier: str
    grade: str
    feedback: str | None
    most: float | None
    comma: str
    handed_in: str | None = None


@dataclass(frozen=True)
class Roster:
    """`columns` in the file's order; `possible` is Canvas's row of points, where there is one; `guess` says how letters
    were read that may be others.
    """

    path: Path
    columns: tuple[str, ...]
    people: tuple[Row, ...]
    possible: Mapping[str, str] = field(default_factory=dict)
    worksheet: Worksheet | None = None
    guess: str = ""

    def misread(self, place: int) -> bool:
        """True where this person may be called otherwise: the letters are a guess."""
        return bool(self.guess) and not all(map(str.isascii, self.people[place].cells.values()))

    def column(self, *names: str) -> str | None:
        """The file's own spelling of the first of `names` (in small letters) that it has."""
        spelled = {column.casefold(): column for column in self.columns}
        return next((spelled[name] for name in names if name in spelled), None)

    def called(self, place: int) -> str:
        """The name of the person there; with a login or an id where others have the same name."""
        row = self.people[place]
        own = _first(row.cells, LOGINS) or _first(row.cells, IDS)
        return f"{row.name} ({own})" if own and self._names[row.name] > 1 else row.name

    @cached_property
    def _names(self) -> Counter[str]:
        return Counter(row.name for row in self.people)


@dataclass
class Matches:
    """Who is who. `unmatched` gives the reason for each submission; `by` counts the kinds of key that decided.

    `absent` are those whom no submission fits, not even one that fits others too.
    """

    people: dict[int, Student] = field(default_factory=dict)
    unmatched: list[tuple[str, str]] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)
    by: dict[str, int] = field(default_factory=dict)


def read_roster(path: Path) -> Roster:
    """Read an export of Canvas (gradebook) or Moodle (grades, participants, or an assignment's grading worksheet).

    Raises:
        DojoError: it cannot be read, or has no column that says who is who.
    """
    table = read_table(path)
    columns, rows = table.columns, table.rows
    worksheet = _worksheet(columns, rows)
    known = (*IDS, *LOGINS, *NAMES, *FIRST, *LAST)
    if worksheet is None and not any(column.casefold() in known for column in columns):
        raise DojoError(
            f"{path}: no column says who is who; give the CSV that Canvas or Moodle exports, with a heading such as "
            f"Student, ID, SIS Login ID, Full name or Email address (found: {', '.join(columns)[:200]})"
        )
    possible = next((row for row in rows if _named(row).casefold() == "points possible"), {})
    people = [Row(row, _keys(row, columns, worksheet)) for row in rows if _named(row).casefold() not in _NOT_PEOPLE]
    return Roster(
        path, columns, tuple(row for row in people if any(row.keys.values())), possible, worksheet, table.guess
    )


def _worksheet(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> Worksheet | None:
    """By the form of its cells: "Participant 7" first in every row, and the same greatest grade right of the grade."""
    if len(columns) < 3 or not rows or columns[0].casefold() in NAMES:
        return None
    identifiers = [re.fullmatch(r"(\D+)\d+", row[columns[0]]) for row in rows]
    if len({found[1] if found else None for found in identifiers}) != 1 or identifiers[0] is None:
        return None
    for grade, most in pairwise(columns[1:]):
        greatest = {row[most] for row in rows}
        graded = all(not row[grade].strip("-") or _NUMBER.fullmatch(row[grade]) for row in rows)
        named = grade.casefold() == "grade"
        if named or (graded and len(greatest) == 1 and _NUMBER.fullmatch(next(iter(greatest)))):
            written = next(iter(greatest)) if len(greatest) == 1 else ""
            last = columns[-1]
            dates = any(row[last] == "-" or re.search(r"\d:\d\d", row[last]) for row in rows)
            feedback = last if columns.index(last) > columns.index(most) + 1 and not dates else None
            comma = "," if "," in written else "."
            right = columns[columns.index(most) + 1 :]
            return Worksheet(columns[0], grade, feedback, number_of(written), comma, _first_of_two_dates(right, rows))
    return None


def _first_of_two_dates(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str | None:
    """The first column of times, where there are two: the submission's stands left of the grade's, in any language."""
    written = {c: [row[c] for row in rows] for c in columns if any(row[c] for row in rows)}
    dates = [c for c, texts in written.items() if all(not t.strip("- ") or TIME.search(t) for t in texts)]
    return dates[0] if len(dates) > 1 and any(map(TIME.search, written[dates[0]])) else None


def take_times(roster: Roster, students: Sequence[Student], assignment: Assignment) -> str | None:
    """Note when each submission was handed in, where the roster is a worksheet that says it; what is to be said.

    Moodle writes the time of the site, or of whoever downloads, so it is taken as that of the due date's time zone.
    """
    column = roster.worksheet.handed_in if roster.worksheet else None
    if column is None:
        return None
    read = moments({row.cells[column] for row in roster.people if row.cells[column].strip("- ")})
    if read is None:
        return f"{roster.path}: the times in {column!r} cannot be read, so nobody counts as late by them"
    zone = (assignment.due.tzinfo if assignment.due else None) or UTC
    for place, student in match(students, roster).people.items():
        moment = read.get(roster.people[place].cells[column])
        if moment is not None and not student.handed_in:
            student.handed_in = moment.replace(tzinfo=zone).isoformat(" ", "minutes")
    return f"when people handed in stands in {roster.path}, {column!r}, and is taken as the time of {zone}"


def is_number(text: str) -> bool:
    """True for a grade in digits, 0 too; "EX" and its like are none."""
    return _NUMBER.fullmatch(text) is not None


def number_of(text: str) -> float | None:
    """A number of points above 0, as people write it; None for anything else."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _named(row: Mapping[str, str]) -> str:
    return _first(row, NAMES) or f"{_first(row, FIRST)} {_first(row, LAST)}".strip()


def _first(row: Mapping[str, str], names: Sequence[str]) -> str:
    return next(iter(_all(row, names)), "")


def _all(row: Mapping[str, str], names: Sequence[str]) -> list[str]:
    return [value for key, value in row.items() if key.casefold() in names and value]


def _keys(row: Mapping[str, str], columns: Sequence[str], worksheet: Worksheet | None) -> dict[str, frozenset[str]]:
    ids = {_plain(value) for value in _all(row, IDS)}
    ids |= {value.removeprefix("participant ") for value in ids}
    said = _all(row, NAMES)
    if worksheet is not None:
        ids.add(re.sub(r"\D", "", row[worksheet.identifier]))
        said = said or [row[columns[1]]]
    names = {_letters(value) for value in said}
    names |= {_letters("".join(reversed(value.split(",", 1)))) for value in said}
    first, last = _first(row, FIRST), _first(row, LAST)
    names |= {_letters(first + last), _letters(last + first)} if first and last else set()
    logins = {_plain(value) for value in _all(row, LOGINS)}
    return {"id": frozenset(ids), "login": frozenset(logins), "name": frozenset(names - {""})}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _letters(text: str) -> str:
    """A name without spaces, commas, marks and case: Canvas writes `lovelaceada` for Lovelace, Ada."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


def match(students: Iterable[Student], roster: Roster, *, groups: bool = True) -> Matches:
    """Find each submission's person by id, login or name; nobody where two keys disagree or a key fits two people.

    Of a group everyone is looked for; without `groups` its work is nobody's.
    """
    indexes: dict[str, dict[str, list[int]]] = {kind: defaultdict(list) for kind in ("id", "login", "name")}
    for number, row in enumerate(roster.people):
        for kind, index in indexes.items():
            for key in row.keys[kind]:
                index[key].append(number)
    found: dict[int, list[tuple[Student, str]]] = defaultdict(list)
    fitted: set[int] = set()
    matches = Matches()
    for student in students:
        alone = groups or not student.members
        if not alone:
            matches.unmatched.append(
                (student.submission, f"handed in by several people, and each was to work alone{_BLANK}")
            )
        for name, own_id in student.members or ((student.student, student.student_id),):
            called = f"{student.submission}: {name}" if student.members else student.submission
            submission = "" if student.members else student.submission
            hits = {kind: _hits(kind, index, name, own_id, submission) for kind, index in indexes.items()}
            fitted |= (fits := set().union(*hits.values()))
            if not alone:
                continue
            decisive = next((kind for kind, people in hits.items() if people), None)
            if decisive is None:
                matches.unmatched.append((called, "nobody on the roster has this id, login or name"))
                continue
            agreed = set.intersection(*(people for people in hits.values() if people))
            if len(agreed) != 1:
                named = sorted({roster.called(place) for place in fits})
                what = f"fits several people: {', '.join(named[:4])}" if named[1:] else f"{named[0]} stands there twice"
                matches.unmatched.append((called, f"{what}{_BLANK}"))
                continue
            found[agreed.pop()].append((student, decisive))
    for place, owners in found.items():
        if len(owners) > 1:
            both = ", ".join(student.submission for student, _ in owners[:4])
            reason = f"{len(owners)} submissions fit {roster.called(place)}: {both}{_BLANK}"
            matches.unmatched += [(student.submission, reason) for student, _ in owners]
            continue
        ((matches.people[place], kind),) = owners
        matches.by[kind] = matches.by.get(kind, 0) + 1
    matches.absent = [place for place in range(len(roster.people)) if place not in fitted]
    return matches


def _hits(kind: str, index: Mapping[str, list[int]], name: str, number: str, submission: str) -> set[int]:
    said = [name, submission] if kind == "name" else [number, submission]
    if kind == "login":
        said.append(name)
    form = _letters if kind == "name" else _plain
    return {place for text in said if text for place in index.get(form(text), ())}
