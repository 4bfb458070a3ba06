"""What each person is told: a page of one's own, and the zips by which Moodle and Canvas hand something out.

Made from the results alone, so it is fast and needs no torch. A page says what is right and what is wrong with the
person's own lines. It holds no line of a solution, for nothing of one is in a result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from grader.base.files import keep_copy, told_if_unwritable, write_atomically
from grader.base.words import at_line, counted
from grader.batch.disk import file_name
from grader.batch.results import Results, counting
from grader.classroom.overrides import Override
from grader.classroom.statistics import CourseSummary, Student, worth_of
from grader.report.points import PointsTable
from grader.report.records import Points
from grader.showing.graph_marks import STATES
from grader.showing.page import pieces, rendered

FOLDER = "feedback"
"""Where the pages lie in RESULTS, unless another folder is named."""

MOODLE_ZIP, CANVAS_ZIP = "feedback-for-moodle.zip", "feedback-for-canvas.zip"
_ZIP_COMMENT = b"dojo feedback"
"""By this an earlier zip of one's own is known."""

_MOODLE_FOLDER = re.compile(r"(.+?_\d+_assignsubmission_)(?:file|onlinetext)(_?)", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """One gradient: what was found, and how many points it got."""

    label: str
    status: str
    mistake: str | None
    points: str
    place: str
    code: str
    message: str


@dataclass(frozen=True)
class Chapter:
    """One exercise: `rows` are empty where it was not handed in."""

    title: str
    score: Points
    most: Points
    path: str
    right: int
    by_hand: int
    rows: list[Row]


@dataclass(frozen=True)
class Feedback:
    """All that one person is told. `changes` were made by hand; `notes` tell what was not graded, and why."""

    name: str
    title: str
    grade: Points
    full_marks: Points
    before: Points
    late: str
    changes: list[str]
    notes: list[str]
    chapters: list[Chapter]


def page_name(submission: str) -> str:
    """The file name of one person's page."""
    return file_name(submission).removesuffix(".json") + ".html"


def write_feedback(
    results: Results,
    summary: CourseSummary,
    folder: Path,
    say: Callable[[str], None],
    points: PointsTable | None = None,
) -> None:
    """Write a page for each submission, and the zip that the course's software takes.

    Raises:
        DojoError: a file cannot be written.
    """
    kind = next((kind for kind in ("Moodle", "Canvas") if summary.layout.startswith(kind)), None)
    packed: dict[str, str] = {}
    unsent: list[str] = []
    with told_if_unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for student in summary.students:
            entry = results.entry(student.submission)
            assert entry is not None, student.submission
            told = feedback_for(summary, student, results.report(entry), points)
            page = rendered("feedback.html", told=told, states=STATES, pieces=pieces)
            target = folder / page_name(student.submission)
            keep_foreign(target, partial(begins_as, target, page), say)
            write_atomically(target, page)
            if kind is not None:
                place = _in_moodle(student.source, page) if kind == "Moodle" else _in_canvas(student, told)
                packed.update([place] if place else [])
                unsent += [] if place else [student.submission]
        say(f"written: {counted(len(summary.students), 'page')} in {folder}")
        if packed:
            target = folder / (MOODLE_ZIP if kind == "Moodle" else CANVAS_ZIP)
            keep_foreign(target, partial(_is_our_zip, target), say)
            content = BytesIO()
            with ZipFile(content, "w", ZIP_DEFLATED) as archive:
                archive.comment = _ZIP_COMMENT
                for name, text in packed.items():
                    archive.writestr(name, text)
            write_atomically(target, content.getvalue())
            say(f"written: {target}, to be uploaded in {kind} ({counted(len(packed), 'person', 'people')})")
    if unsent:
        say(f"  not in the zip, for {kind} takes no page in place of what they handed in: {', '.join(unsent)}")


def keep_foreign(path: Path, is_ours: Callable[[], bool], say: Callable[[str], None]) -> None:
    """Copy the file that is to be written over, and say so, unless it is of our own making."""
    if path.exists() and not is_ours():
        say(f"kept: {path} was there, and is now {keep_copy(path)}")


def begins_as(path: Path, page: str) -> bool:
    """True where the file is an earlier page of the same kind, by all that comes before its title."""
    head = page[: page.index("<title>")]
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return file.read(len(head)) == head


def _is_our_zip(path: Path) -> bool:
    try:
        with ZipFile(path) as archive:
            return archive.comment == _ZIP_COMMENT
    except (BadZipFile, OSError):
        return False


def feedback_for(
    summary: CourseSummary, student: Student, report: Mapping[str, Any], points: PointsTable | None = None
) -> Feedback:
    """What one person is told, from the result."""
    graded = {one["exercise"]: one for one in counting(report)}
    grade = summary.grade(student)
    notes = [student.told] if student.told else []
    notes += [
        f"“{one['title']}” was handed in too, and does not count."
        for name, one in graded.items()
        if name not in summary.exercises
    ]
    missing = "no file could be graded as it" if student.told else "it was not handed in"
    notes += [
        f"“{exercise.title}” counts 0 of {exercise.max_score}, because {missing}."
        for name, exercise in summary.exercises.items()
        if name not in student.scores
    ]
    if student.scores and summary.full_marks != summary.max_score:
        scaled = f"{student.score} of {counted(summary.max_score, 'point')}"
        notes.append(f"The exercises give {scaled}, and this is scaled to {summary.full_marks}.")
    return Feedback(
        name=student.student or student.submission,
        title=summary.assignment.title,
        grade=grade.after,
        full_marks=summary.full_marks,
        before=grade.before,
        late=student.late.words if student.late else "",
        changes=[override.words() for override in student.overrides],
        notes=notes,
        chapters=[
            _chapter(graded[name], student, exercise.max_score, points)
            for name, exercise in summary.exercises.items()
            if name in graded
        ],
    )


def _chapter(graded: Mapping[str, Any], student: Student, most: Points, points: PointsTable | None) -> Chapter:
    name = graded["exercise"]
    rows = [_row(name, verdict, points, student.by_hand(name, verdict["name"])) for verdict in graded["verdicts"]]
    right, by_hand = (sum(row.status == status for row in rows) for status in ("pass", "by-hand"))
    return Chapter(graded["title"], student.scores.get(name, 0), most, graded["path"], right, by_hand, rows)


def _row(exercise: str, verdict: Mapping[str, Any], points: PointsTable | None, override: Override | None) -> Row:
    earned, most = worth_of(exercise, verdict, points)
    status, message = verdict["status"], str(verdict.get("message") or "")
    if override is not None and override.points is not None:
        before = f"Before that: {STATES[status].words}. {message}".rstrip()
        earned, status, message = override.points, "by-hand", f"{override.comment}\n{before}".lstrip()
    return Row(
        label=verdict["label"],
        status=status,
        mistake=verdict.get("mistake"),
        points=f"{earned} of {most}",
        place="" if verdict.get("line") is None else at_line(verdict["line"], verdict.get("cell")),
        code=str(verdict.get("code") or ""),
        message=message,
    )


def as_text(told: Feedback) -> str:
    """The same as text, for where a page cannot go."""
    return rendered("feedback.txt", told=told, states=STATES).removesuffix("\n")


def _in_moodle(source: str, page: str) -> tuple[str, str] | None:
    """The folder's name as Moodle's upload of feedback files knows it: that of the download."""
    match = _MOODLE_FOLDER.match(source.rsplit("/", 1)[-1])
    return (f"{match[1]}file{match[2]}/feedback.html", page) if match else None


def _in_canvas(student: Student, told: Feedback) -> tuple[str, str] | None:
    """A file of the name that was handed in: Canvas takes it back by its name, and only with the same ending.

    Where the name is not one of Canvas's there is nobody to give it back to.
    """
    name = student.source.rsplit("/", 1)[-1]
    if not student.student_id:
        return None
    if name.lower().endswith(".py"):
        return name, "".join(f"# {line}".rstrip() + "\n" for line in as_text(told).split("\n"))
    if name.lower().endswith(".ipynb"):
        cell = {"cell_type": "raw", "metadata": {}, "source": as_text(told)}
        return name, json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}) + "\n"
    return None
