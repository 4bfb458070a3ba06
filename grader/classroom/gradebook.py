"""Gradebooks in the forms that Canvas and Moodle import, on the scale of the assignment and on no other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from grader.base.errors import DojoError
from grader.base.tables import csv_text
from grader.base.words import counted
from grader.batch.layouts import CANVAS
from grader.classroom.roster import LOGINS, Roster, Worksheet, is_number, match, number_of
from grader.classroom.statistics import CourseSummary, Student
from grader.report.records import Points

CANVAS_HEAD = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
_CANVAS_OWN = (*(name.casefold() for name in CANVAS_HEAD), "lastname", "firstname", "integration id", "root account")
_MOODLE_IDS = (
    "identifier", "user id", "id number", "username", "email address", "first name", "last name", "surname",
    "full name",
)  # fmt: skip
_LONGEST_COMMENT = 500


@dataclass(frozen=True)
class Gradebook:
    """A file's text, and what is to be said about it, a sentence each.

    Names and ids stand as the roster has them: an apostrophe before one would keep it from being found again.
    """

    text: str
    remarks: list[str]


def canvas_gradebook(summary: CourseSummary, roster: Roster | None) -> Gradebook:
    """The columns of Canvas's own export up to Section, the assignment's, and the row of points possible.

    The assignment is the one column called by its title, `NAME` or `NAME (id)`, as Canvas knows it. Without a roster
    only the results of a Canvas download have ids.

    Raises:
        DojoError: there is no roster and no id, the roster is not Canvas's, or none or several columns are called so.
    """
    if roster is None:
        return _canvas_by_names(summary)
    if roster.column("id") is None or roster.column("student", "lastname") is None:
        raise DojoError(f"{roster.path}: has no columns Student and ID; export the gradebook from Canvas")
    column = _canvas_column(summary, roster)
    own = [name for name in roster.columns if name.casefold() in _CANVAS_OWN]
    known = {name.casefold() for name in own} | ({"student"} if roster.column("lastname") else set())
    head = [*own, *(name for name in CANVAS_HEAD if name.casefold() not in known)]
    head.sort(key=lambda name: name.casefold() == "section")  # assignments stand right of it
    grades, remarks, _ = _graded(summary, roster, column)
    before = number_of(roster.possible.get(column, ""))
    if before is not None and before != summary.full_marks:
        remarks.append(f"Canvas will change the points possible of {column!r} from {before:g} to {summary.full_marks}")
    rows: list[list[object]] = [[*head, column], ["    Points Possible", *[""] * (len(head) - 1), summary.full_marks]]
    rows += [[*(roster.people[place].cells.get(n, "") for n in head), grade] for place, grade in grades.items()]
    return Gradebook(csv_text(rows, guard=False), remarks)


def _canvas_column(summary: CourseSummary, roster: Roster) -> str:
    """The heading of the one column that is this assignment's."""
    title = summary.assignment.title
    called = [c for c in roster.columns if c == title or re.fullmatch(re.escape(title) + r" \(\d+\)", c)]
    if len(called) == 1:
        return called[0]
    columns = [c for c in roster.columns if re.fullmatch(r".+ \(\d+\)", c, re.DOTALL)]
    if not columns and not called:
        return title  # a gradebook without assignments: Canvas makes a new one
    what = f"{len(called)} columns are" if called else "no column is"
    raise DojoError(
        f"{roster.path}: {what} called {title!r}; title = ... in [tool.dojo.assignment] or --title NAME names one of: "
        f"{', '.join(columns)} (a new assignment is first made in Canvas, then exported)"
    )


def _canvas_by_names(summary: CourseSummary) -> Gradebook:
    # Elsewhere a number is another system's: Moodle's participant, Gradescope's sid. Anonymous ones are nobody's.
    ours = summary.students if summary.layout == CANVAS else []
    known = [one for one in ours if one.student_id.isdigit() and one.student_id != one.submission]
    if not known:
        raise DojoError(
            "--canvas: these results have no ids of Canvas; add --roster FILE, the gradebook exported from Canvas"
        )
    title, graded = summary.assignment.title, [one for one in known if _counts(summary, one)]
    rows: list[list[object]] = [[*CANVAS_HEAD, title], ["    Points Possible", "", "", "", "", summary.full_marks]]
    rows += [[one.student, one.student_id, "", "", "", summary.grade(one).after] for one in graded]
    remarks = [f"no --roster: ids are those in the names of the submissions ({len(graded)} students)"]
    without = [one.submission for one in summary.students if one.graded and one not in known]
    remarks += _listed("has no id in its name", without)
    return Gradebook(csv_text(rows), remarks + _said(summary, known))


def moodle_gradebook(summary: CourseSummary, roster: Roster | None) -> Gradebook:
    """An assignment's grading worksheet, given back whole with grades and comments filled in; or the columns by which
    Moodle knows people, and the grade.

    Raises:
        DojoError: there is no roster, it has none of these columns, or the worksheet's scale is not the assignment's.
    """
    if roster is None:
        raise DojoError(
            "--moodle: Moodle knows people by ids that are not in the results; add --roster FILE, which is the "
            "assignment's grading worksheet (Assignment, View all submissions, Download grading worksheet)"
        )
    if roster.worksheet is not None:
        return _filled(summary, roster, roster.worksheet)
    kept = [column for column in roster.columns if column.casefold() in _MOODLE_IDS]
    if not {column.casefold() for column in kept} & {*LOGINS, "id number", "user id"}:
        raise DojoError(
            f"{roster.path}: has no column by which Moodle knows people, such as Email address or ID number; export "
            "the participants, or the assignment's grading worksheet"
        )
    grades, remarks, _ = _graded(summary, roster, "")
    rows: list[list[object]] = [[*kept, summary.assignment.title]]
    rows += [[*(roster.people[place].cells[c] for c in kept), grade] for place, grade in grades.items()]
    return Gradebook(csv_text(rows, guard=False), remarks)


def _filled(summary: CourseSummary, roster: Roster, sheet: Worksheet) -> Gradebook:
    if sheet.most not in (None, summary.full_marks) and summary.assignment.points is None:
        raise DojoError(
            f"{roster.path}: its grades go to {sheet.most:g}, and the gradients are worth {summary.full_marks}; state "
            f"points = {sheet.most:g} in [tool.dojo.assignment], or give --points-possible {sheet.most:g}"
        )
    grades, remarks, owners = _graded(summary, roster, sheet.grade)
    if sheet.most not in (None, summary.full_marks):
        remarks.append(f"Moodle's greatest grade is {sheet.most:g}, these grades go to {summary.full_marks}")
    rows: list[list[object]] = [list(roster.columns)]
    for place, row in enumerate(roster.people):
        cells = dict(row.cells)
        if place in grades:
            cells[sheet.grade] = str(grades[place]).replace(".", sheet.comma)
            if sheet.feedback and not cells.get(sheet.feedback) and place in owners:
                cells[sheet.feedback] = comment_on(summary, owners[place])
        rows.append([cells.get(column, "") for column in roster.columns])
    return Gradebook(csv_text(rows, guard=False), remarks)


def comment_on(summary: CourseSummary, student: Student) -> str:
    """What one person is told beside the grade, in a few sentences."""
    said = [f"Not graded: {student.told.removesuffix('.')}."] if student.told else []
    for name, exercise in summary.exercises.items() if student.status == "graded" else ():
        if name not in student.scores:
            said.append(f"{exercise.short_id}: {'no file could be graded as it' if student.told else 'not handed in'}.")
            continue
        statuses = student.statuses.get(name, {})
        wrong = [tensor for tensor, status in statuses.items() if status != "pass"]
        open_ones = [exercise.labels[tensor] for tensor in wrong if student.by_hand(name, tensor) is None]
        rest = f" Not right yet: {', '.join(open_ones)}." if open_ones else ""
        said.append(f"{exercise.short_id}: {student.scores[name]} of {exercise.max_score}.{rest}")
    said += [f"{student.late.words[0].upper()}{student.late.words[1:]}."] if student.late else []
    said += [override.comment for override in student.overrides if override.comment]
    text = " ".join(said)
    return text if len(text) <= _LONGEST_COMMENT else f"{text[:_LONGEST_COMMENT]} ..."


def _by_hand(student: Student) -> bool:
    return any(override.points is not None for override in student.overrides)


def _replaces(student: Student, there: str) -> bool:
    """True where this person's grade takes the place of what stands there: by hand always, by the grader a number."""
    return _by_hand(student) or (student.graded and is_number(there))


def _counts(summary: CourseSummary, student: Student) -> bool:
    """True where a grade is written: a refused file counts 0 where an assignment is stated, a grader's error never."""
    return student.graded or _by_hand(student) or (summary.assignment.stated and student.status == "refused")


def _graded(
    summary: CourseSummary, roster: Roster, column: str
) -> tuple[dict[int, Points], list[str], dict[int, Student]]:
    """The grade of each place of the roster that gets one, in its order; what is to be said; whose work it is for."""
    asked = summary.assignment
    matches = match(summary.students, roster, groups=asked.group == "everyone")
    if matches.unmatched and not matches.people:
        first = "; ".join(f"{called} ({reason})" for called, reason in matches.unmatched[:3])
        raise DojoError(f"{roster.path}: is it the roster of this course? No submission was matched with it: {first}")
    others = set(match(summary.unread, roster).absent)
    there = {place: row.cells.get(column, "").strip("- ") for place, row in enumerate(roster.people)}
    counting = {place: student for place, student in matches.people.items() if _counts(summary, student)}
    # Who has earned nothing gets 0, but what stands there (a grade, "EX") is not touched. A grade replaces a grade.
    kept = {place for place, one in counting.items() if there[place] and not _replaces(one, there[place])}
    graded = {place: summary.grade(student).after for place, student in counting.items() if place not in kept}
    absent = [place for place in matches.absent if place in others]
    missing = [place for place in absent if asked.stated and not there[place] and not summary.damaged]
    misread = [place for place in missing if roster.misread(place)]
    missing = [place for place in missing if place not in misread]
    changed = [place for place, grade in graded.items() if there[place] and (number_of(there[place]) or 0) != grade]
    unread = [f"{one.submission} ({one.reason})" for one in summary.unread]
    how = ", ".join(f"{count} by {kind}" for kind, count in matches.by.items())
    total, found = len(summary.students), len({id(student) for student in matches.people.values()})
    people = f", {len(matches.people)} people" if len(matches.people) != found else ""
    matched = f"matched {found} of {counted(total, 'submission')}{people} with the roster"
    remarks = [
        matched + (f" ({how})" if how else ""),
        *_listed("not matched", [f"{called} ({reason})" for called, reason in matches.unmatched]),
        *_listed("no result, so neither a grade nor a 0 is written", unread),
        *_listed("on the roster, and no submission was matched", [roster.called(place) for place in absent]),
        *["the results are damaged, see the notes below, so no 0 is written for them"]
        * (summary.damaged and bool(absent)),
        *_listed("their names may be misread, so no 0 is written for them", [*map(roster.called, misread)]),
        *_listed("0 is written for those of them who have no grade yet", [roster.called(place) for place in missing]),
        *_listed("kept as it stands there", [f"{roster.called(place)}: {there[place]}" for place in sorted(kept)]),
        *_listed("changed", [f"{roster.called(n)}: {graded[n]} in place of {there[n]}" for n in sorted(changed)]),
    ]
    grades: dict[int, Points] = dict.fromkeys(missing, 0) | graded
    written = [student for place, student in matches.people.items() if place not in kept]
    return dict(sorted(grades.items())), remarks + _said(summary, written), matches.people


def _said(summary: CourseSummary, written: Iterable[Student]) -> list[str]:
    """What is said of grades whoever they are for: refused, late, changed by hand, and the scale.

    `written` are those whose rows the gradebook has, or would have if they were graded.
    """
    total = summary.max_score
    if not total or not any(_counts(summary, one) for one in summary.students):
        raise DojoError("no submission was graded: there is nothing for a gradebook")
    people = {one.submission: one for one in written}.values()  # a group once
    refused = [one for one in people if not one.graded]
    counting = [one for one in refused if _counts(summary, one)]
    zero = [f"{one.submission} ({one.told or one.status})" for one in counting if not summary.grade(one).after]
    rest = [f"{one.submission} ({one.status})" for one in refused if not _counts(summary, one)]
    late = [
        f"{one.submission}: {grade.words()} ({one.late.words})"
        for one in people
        if one.late and _counts(summary, one) and (grade := summary.grade(one))
    ]
    changed = [f"{one.submission}: {summary.grade(one).after}" for one in people if one.overrides]
    parts = ", ".join(f"{exercise.short_id} {exercise.max_score}" for exercise in summary.exercises.values())
    scaled = "" if summary.full_marks == total else f", scaled to {summary.full_marks}"
    return [
        *_listed("not graded, so 0 is written", zero),
        *_listed("no grade written, look at them yourself", rest),
        *_listed("late", late),
        *_listed("changed in overrides.toml", changed),
        f"points possible: {total} ({parts}){scaled}; what was not handed in counts 0",
    ]


def _listed(what: str, names: list[str]) -> list[str]:
    return [f"{what}: {len(names)}", *(f"  {name}" for name in names)] if names else []
