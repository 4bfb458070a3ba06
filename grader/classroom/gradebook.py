"""Gradebooks in the forms that Canvas and Moodle import."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grader.base.errors import DojoError
from grader.classroom.roster import LOGINS, Matches, Person, Roster, match
from grader.classroom.statistics import CourseSummary, Student
from grader.classroom.tables import csv_text
from grader.report.records import Points, whole

CANVAS_HEAD = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
_MOODLE_IDS = (
    "Identifier",
    "User ID",
    "ID number",
    "Username",
    "Email address",
    "First name",
    "Last name",
    "Surname",
    "Full name",
)


@dataclass(frozen=True)
class Gradebook:
    """A file's text, and what is to be said about it, a sentence each."""

    text: str
    remarks: list[str]


def canvas_gradebook(summary: CourseSummary, assignment: str, roster: Roster | None, most: float | None) -> Gradebook:
    """`Student, ID, SIS User ID, SIS Login ID, Section, <assignment>`, with the row of points possible.

    An assignment that the roster has a column for keeps that column's heading, by which Canvas knows it, and its
    points. Without a roster only the results of a Canvas download have ids.

    Raises:
        DojoError: there is no roster and no id, or the roster is not Canvas's.
    """
    if roster is None:
        return _canvas_by_names(summary, assignment, most)
    if roster.column(("student",)) is None or roster.column(("id",)) is None:
        raise DojoError(f"{roster.path}: has no columns Student and ID; export the gradebook from Canvas")
    column = next((c for c in roster.columns if c == assignment or c.startswith(f"{assignment} (")), None)
    possible = _number(roster.possible.get(column or "", ""))
    grade = _Grade(summary, most if most is not None else possible)
    matches, remarks = _matched(summary, roster)
    remarks += grade.remarks
    head: list[object] = [*CANVAS_HEAD, column or assignment]
    rows: list[list[object]] = [head, ["    Points Possible", "", "", "", "", grade.most]]
    for person, student in _in_order(matches, summary):
        rows.append(
            [*(person.row.get(roster.column((name.casefold(),)) or "", "") for name in CANVAS_HEAD), grade(student)]
        )
    return Gradebook(_verbatim(rows), remarks)


def _canvas_by_names(summary: CourseSummary, assignment: str, most: float | None) -> Gradebook:
    known = [one for one in summary.students if one.student_id.isdigit() and one.student_id != one.submission]
    if not known:
        raise DojoError(
            "--canvas: these results have no ids of Canvas; add --roster FILE, the gradebook exported from Canvas"
        )
    grade = _Grade(summary, most)
    graded = [one for one in known if one.graded]
    rows: list[list[object]] = [[*CANVAS_HEAD, assignment], ["    Points Possible", "", "", "", "", grade.most]]
    rows += [[one.student, one.student_id, "", "", "", grade(one)] for one in graded]
    remarks = [f"no --roster: ids are those in the names of the submissions ({len(graded)} students)"]
    without = [one.submission for one in summary.students if one.graded and one not in known]
    return Gradebook(
        csv_text(rows), remarks + _listed("has no id in its name", without) + _ungraded(summary) + grade.remarks
    )


def moodle_gradebook(summary: CourseSummary, assignment: str, roster: Roster | None, most: float | None) -> Gradebook:
    """The columns that identify a person, as the roster has them, and the grade.

    An assignment's grading worksheet (columns Identifier and Grade) is given back whole with Grade filled in, on the
    scale of its Maximum Grade. Without a roster the identifier is the participant's number of a Moodle download, or
    else what the submission is called.
    """
    if roster is None:
        return _moodle_by_names(summary, assignment, most)
    worksheet = roster.column(("grade",)) if roster.column(("identifier",)) else None
    maximum = _maximum_grade(roster) if worksheet else None
    grade = _Grade(summary, most if most is not None else maximum)
    matches, remarks = _matched(summary, roster)
    owners = {id(person): student for person, student in _in_order(matches, summary)}
    rows: list[list[object]]
    if worksheet:
        rows = [list(roster.columns)]
        for person in roster.people:
            filled = {worksheet: grade(owners[id(person)])} if id(person) in owners else {}
            rows.append([filled.get(column, person.row.get(column, "")) for column in roster.columns])
    else:
        kept = [column for column in roster.columns if column.casefold() in {name.casefold() for name in _MOODLE_IDS}]
        if not {column.casefold() for column in kept} & {*LOGINS, "id number", "user id", "identifier"}:
            raise DojoError(
                f"{roster.path}: has no column by which Moodle knows people, such as Email address or ID number"
            )
        rows = [[*kept, assignment]]
        rows += [
            [*(person.row[c] for c in kept), grade(owners[id(person)])]
            for person in roster.people
            if id(person) in owners
        ]
    return Gradebook(_verbatim(rows), remarks + grade.remarks)


def _moodle_by_names(summary: CourseSummary, assignment: str, most: float | None) -> Gradebook:
    grade = _Grade(summary, most)
    rows: list[list[object]] = [["Identifier", "Full name", assignment]]
    rows += [[one.student_id, one.student, grade(one)] for one in summary.students if one.graded]
    remarks = ["no --roster: Identifier is what the submissions are called; compare it with Moodle's before importing"]
    return Gradebook(csv_text(rows), remarks + _ungraded(summary) + grade.remarks)


class _Grade:
    """From a student to the number in the file, on a scale of `most` points."""

    def __init__(self, summary: CourseSummary, most: float | None) -> None:
        total = summary.max_score
        if not total:
            raise DojoError("no submission was graded: there is nothing for a gradebook")
        self.most: Points = whole(total if most is None else most)
        self._factor = self.most / total
        parts = ", ".join(f"{exercise.short_id} {exercise.max_score}" for exercise in summary.exercises.values())
        scaled = "" if self.most == total else f", scaled to {self.most}"
        self.remarks = [f"points possible: {total} ({parts}){scaled}; what was not handed in counts 0"]

    def __call__(self, student: Student) -> Points:
        return whole(round(student.score * self._factor, 2))


def _matched(summary: CourseSummary, roster: Roster) -> tuple[Matches, list[str]]:
    matches = match(summary.students, roster)
    how = ", ".join(f"{count} by {kind}" for kind, count in matches.by.items())
    remarks = [
        f"matched {len(matches.people)} of {len(summary.students)} submissions with the roster"
        + (f" ({how})" if how else "")
    ]
    remarks += _listed("not matched", [f"{student.submission} ({reason})" for student, reason in matches.unmatched])
    remarks += _listed("on the roster without a submission", [person.name for person in matches.absent])
    return matches, remarks + _ungraded(summary)


def _in_order(matches: Matches, summary: CourseSummary) -> Iterator[tuple[Person, Student]]:
    for place, person in matches.people.items():
        if summary.students[place].graded:
            yield person, summary.students[place]


def _ungraded(summary: CourseSummary) -> list[str]:
    return _listed(
        "no grade written, look at them yourself",
        [f"{student.submission} ({student.status})" for student in summary.students if not student.graded],
    )


def _listed(what: str, names: list[str]) -> list[str]:
    return [f"{what}: {len(names)}", *(f"  {name}" for name in names)] if names else []


def _maximum_grade(roster: Roster) -> float | None:
    column = roster.column(("maximum grade",))
    found = {_number(person.row.get(column, "")) for person in roster.people} - {None} if column else set()
    return found.pop() if len(found) == 1 else None


def _number(text: str) -> float | None:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _verbatim(rows: list[list[object]]) -> str:
    """Names and ids as the roster has them: an apostrophe before one would keep it from being found again."""
    return csv_text(rows, guard=False)
