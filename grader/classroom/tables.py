"""The summary as CSV: for a spreadsheet one row for each submission, for analysis one for each verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from grader.classroom.statistics import CourseSummary, Student
from grader.report.records import Points

TABLE_HEAD = (
    "submission", "student", "student id", "status", "score", "points possible", "seconds", "near-identical group",
    "file", "handed in", "late", "grade before lateness", "grade", "full marks",
)  # fmt: skip
VERDICT_HEAD = ("submission", "exercise", "variable", "status", "points", "mistake", "line", "cell", "code", "message")


def table_rows(summary: CourseSummary) -> Iterator[list[object]]:
    """The wide table: a heading, then one row for each submission with the status of each gradient."""
    columns = [(e.id, name) for e in summary.exercises.values() for name in e.labels]
    scores = [f"{exercise.short_id} score" for exercise in summary.exercises.values()]
    named = [f"{summary.exercises[e].short_id} {summary.exercises[e].labels[name]}" for e, name in columns]
    yield [*TABLE_HEAD, *scores, *named]
    for one in summary.students:
        grade = summary.grade(one)
        yield [
            one.submission, one.student, one.student_id, one.status, one.score, summary.max_score, one.seconds,
            one.group or "", one.file, one.handed_in, one.late.words if one.late else "", grade.before, grade.after,
            summary.full_marks,
            *(one.scores.get(exercise, "") for exercise in summary.exercises),
            *(_status(one, exercise, name) for exercise, name in columns),
        ]  # fmt: skip


def _status(student: Student, exercise: str, name: str) -> str:
    status = student.statuses.get(exercise, {}).get(name, "")
    override = student.by_hand(exercise, name)
    return status if override is None else f"{status}; {override.points} by hand"


def verdict_row(student: Student, exercise: str, verdict: Mapping[str, Any], earned: Points) -> list[object]:
    """A row of the long table, with `VERDICT_HEAD` above it."""
    figures = (verdict.get(key) if verdict.get(key) is not None else "" for key in VERDICT_HEAD[5:])
    return [student.submission, exercise, verdict["name"], verdict["status"], earned, *figures]
