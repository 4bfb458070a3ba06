"""Writes the files of `dojo summary`; what stands where they go and is not of its own making is kept and told."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from grader.base.errors import DojoError
from grader.base.files import told_if_unwritable, write_atomically
from grader.base.tables import csv_text
from grader.batch.results import FOLDER as RESULTS
from grader.batch.results import INDEX, PARAMETERS, Results
from grader.classroom.feedback import FOLDER, begins_as, keep_foreign, page_name, write_feedback
from grader.classroom.gradebook import Gradebook, canvas_gradebook, moodle_gradebook
from grader.classroom.overrides import FILE as OVERRIDES
from grader.classroom.page import render_page
from grader.classroom.roster import Roster, read_roster, take_times
from grader.classroom.statistics import CourseSummary, Student, VerdictSink, summarise
from grader.lesson.exercise import exercises_called
from grader.report.assignment import read_assignment
from grader.report.points import PointsTable, read_points
from grader.report.records import Points

TABLE_HEAD = (
    "submission", "student", "student id", "status", "score", "points possible", "seconds", "near-identical group",
    "file", "handed in", "late", "grade before lateness", "grade", "full marks",
)  # fmt: skip
VERDICT_HEAD = ("submission", "exercise", "variable", "status", "points", "mistake", "line", "cell", "code", "message")
_MOST_NAMES = 100
"""Lines of one list that the terminal gets; a file beside the gradebook has all."""


@dataclass(frozen=True)
class Wishes:
    """What `dojo summary` was asked for; None leaves a file out, or in RESULTS for the page and the table."""

    output: Path | None = None
    table: Path | None = None
    verdicts: Path | None = None
    canvas: Path | None = None
    moodle: Path | None = None
    roster: Path | None = None
    assignment: Path | None = None
    title: str | None = None
    points_possible: float | None = None
    points: Path | None = None
    exercises: tuple[str, ...] = ()
    feedback: Path | None = None


def write_summary(folder: Path, wishes: Wishes, say: Callable[[str], None]) -> None:
    """Read the results once and write every file that is asked for.

    Raises:
        DojoError: bad input, or a file that cannot be written; nothing is written before all of it is known to be good.
    """
    files = _files(folder, wishes)
    roster = _roster(wishes)
    rows: list[list[object]] = [list(VERDICT_HEAD)]

    def keep(student: Student, exercise: str, verdict: Mapping[str, Any], earned: Points) -> None:
        figures = (verdict.get(key) if verdict.get(key) is not None else "" for key in VERDICT_HEAD[5:])
        rows.append([student.submission, exercise, verdict["name"], verdict["status"], earned, *figures])

    results, summary, _ = _summarised(folder, wishes, roster, keep if wishes.verdicts else None)
    texts = {
        "page": render_page(summary, results, _links(summary, files["page"], wishes.feedback or folder / FOLDER)),
        "table": csv_text(table_rows(summary)),
        "verdicts": csv_text(rows) if wishes.verdicts else "",
    }
    make = {"canvas": canvas_gradebook, "moodle": moodle_gradebook}
    gradebooks = {kind: make[kind](summary, roster) for kind in make if kind in files}
    texts |= {kind: gradebook.text for kind, gradebook in gradebooks.items()}
    for kind, path in files.items():
        _write(kind, path, texts[kind], say)
        if kind in gradebooks:
            _tell(gradebooks[kind], path, say)
    for problem in summary.problems:
        say(f"note: {problem}")


def write_pages(folder: Path, wishes: Wishes, say: Callable[[str], None]) -> None:
    """Write everybody's feedback: to `wishes.feedback`, or into the results.

    Raises:
        DojoError: bad input, or a file that cannot be written.
    """
    target = wishes.feedback or folder / FOLDER
    if target.exists() and not target.is_dir():
        raise DojoError(f"{target}: is a file; name a folder for the pages")
    results, summary, points = _summarised(folder, wishes, _roster(wishes))
    write_feedback(results, summary, target, say, points)
    for problem in summary.problems:
        say(f"note: {problem}")


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
    return status if override is None else f"{status or 'not graded'}; {override.points} by hand"


def _roster(wishes: Wishes) -> Roster | None:
    """The roster, which is for a gradebook, or tells when people handed in."""
    roster = read_roster(wishes.roster) if wishes.roster else None
    tells = roster is not None and roster.worksheet is not None and roster.worksheet.handed_in
    if roster is not None and not (tells or wishes.canvas or wishes.moodle):
        raise DojoError(
            f"{roster.path}: --roster is for a gradebook; add --canvas FILE or --moodle FILE. Without them "
            "it must be a grading worksheet of Moodle's that tells when people handed in"
        )
    return roster


def _summarised(
    folder: Path, wishes: Wishes, roster: Roster | None, sink: VerdictSink | None = None
) -> tuple[Results, CourseSummary, PointsTable | None]:
    ids = [exercise.id for name in wishes.exercises for exercise in exercises_called(name)]
    points = read_points(wishes.points) if wishes.points else None
    stated = read_assignment(wishes.assignment)
    results = Results(folder)
    times = partial(take_times, roster) if roster and roster.worksheet and roster.worksheet.handed_in else None
    summary = summarise(results, assignment=stated, exercises=ids, points=points, each_verdict=sink, take_times=times)
    summary.problems += [roster.guess] if roster and roster.guess else []
    asked = summary.assignment
    title, most = wishes.title or asked.title, wishes.points_possible or asked.points
    summary.assignment = replace(asked, title=title, points=most)
    return results, summary, points


def _links(summary: CourseSummary, page: Path, feedback: Path) -> dict[str, str]:
    """From each submission to its page of feedback, as the summary links to it; nothing where there are none yet."""
    if not feedback.is_dir():
        return {}
    names = {student.submission: page_name(student.submission) for student in summary.students}
    way = os.path.relpath(feedback.absolute(), page.absolute().parent)
    return {who: quote(f"{way}/{name}") for who, name in names.items() if (feedback / name).is_file()}


def _files(folder: Path, wishes: Wishes) -> dict[str, Path]:
    wanted = {
        "page": wishes.output or folder / "summary.html",
        "table": wishes.table or folder / "summary.csv",
        "verdicts": wishes.verdicts,
        "canvas": wishes.canvas,
        "moodle": wishes.moodle,
    }
    files = {kind: path for kind, path in wanted.items() if path is not None}
    taken = {(folder / name).resolve(): "a part of the results" for name in (PARAMETERS, INDEX, OVERRIDES)}
    taken |= {wishes.assignment.resolve(): "the assignment"} if wishes.assignment else {}
    for kind, path in files.items():
        if path.is_dir():
            raise DojoError(f"{path}: is a folder; name a file to write to")
        if not path.absolute().parent.is_dir() and path.absolute().parent != folder.absolute():
            raise DojoError(f"{path}: there is no folder {path.parent} to write it to")
        taken |= (
            {path.resolve(): "a part of the results"} if path.resolve().parent == (folder / RESULTS).resolve() else {}
        )
        if path.resolve() in taken:
            raise DojoError(f"{path}: is {taken[path.resolve()]} already; name another file for the {kind}")
        taken[path.resolve()] = f"the file for the {kind}"
    return files


def _write(kind: str, path: Path, text: str, say: Callable[[str], None]) -> None:
    with told_if_unwritable(path):
        keep_foreign(path, lambda: _is_ours(kind, path, text), say)
        write_atomically(path, text)
    size = len(text.encode())
    say(f"written: {path} ({size / 1e6:.2f} MB)" if size > 10_000 else f"written: {path}")


def _is_ours(kind: str, path: Path, text: str) -> bool:
    """True where the file is an earlier one of the same kind, by its beginning. A gradebook may be anyone's."""
    if kind == "page":
        return begins_as(path, text)
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        heading: Sequence[str] = next(csv.reader(file), [])
        if kind in ("table", "verdicts"):
            head = TABLE_HEAD if kind == "table" else VERDICT_HEAD
            return tuple(heading[: len(head)]) == head
        file.seek(0)
        return file.read() == text


def _tell(gradebook: Gradebook, path: Path, say: Callable[[str], None]) -> None:
    hidden = inside = 0
    for remark in gradebook.remarks:
        inside = inside + 1 if remark.startswith("  ") else 0
        hidden += inside > _MOST_NAMES
        if inside <= _MOST_NAMES:
            say(f"  {remark}")
    if hidden:
        log = path.with_name(f"{path.stem}-remarks.txt")
        _write("remarks", log, "\n".join(gradebook.remarks) + "\n", lambda line: say(f"  {line}"))
        say(f"  and {hidden} more names; all are in {log}")
