"""The summary as CSV: for a spreadsheet one row for each submission, for analysis one for each verdict."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from grader.base.visible import visible
from grader.classroom.statistics import CourseSummary, Student
from grader.report.records import Points

TABLE_HEAD = (
    "submission", "student", "student id", "status", "score", "points possible", "seconds", "near-identical group",
    "file",
)  # fmt: skip
VERDICT_HEAD = ("submission", "exercise", "variable", "status", "points", "mistake", "line", "cell", "code", "message")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table_rows(summary: CourseSummary) -> Iterator[list[object]]:
    """The wide table: a heading, then one row for each submission with the status of each gradient."""
    columns = [(e.id, name) for e in summary.exercises.values() for name in e.labels]
    scores = [f"{exercise.short_id} score" for exercise in summary.exercises.values()]
    named = [f"{summary.exercises[e].short_id} {summary.exercises[e].labels[name]}" for e, name in columns]
    yield [*TABLE_HEAD, *scores, *named]
    for one in summary.students:
        yield [
            one.submission, one.student, one.student_id, one.status, one.score, summary.max_score, one.seconds,
            one.group or "", one.file,
            *(one.scores.get(exercise, "") for exercise in summary.exercises),
            *(one.statuses.get(exercise, {}).get(name, "") for exercise, name in columns),
        ]  # fmt: skip


def verdict_row(student: Student, exercise: str, verdict: Mapping[str, Any], earned: Points) -> list[object]:
    """A row of the long table, with `VERDICT_HEAD` above it."""
    figures = (verdict.get(key) if verdict.get(key) is not None else "" for key in VERDICT_HEAD[5:])
    return [student.submission, exercise, verdict["name"], verdict["status"], earned, *figures]


def csv_text(rows: Iterable[Iterable[object]], *, guard: bool = True) -> str:
    """Rows as CSV. With `guard`, text that a spreadsheet would take for a formula gets an apostrophe before it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for row in rows:
        writer.writerow([_cell(value) if guard and isinstance(value, str) else value for value in row])
    return file.getvalue()


def _cell(text: str) -> str:
    text = text if text.isascii() and text.isprintable() else visible(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
