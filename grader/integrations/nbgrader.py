"""The report as nbgrader keeps it: grades with its exporter's columns, and the page that it releases as feedback."""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.base.errors import DojoError
from grader.base.visible import visible
from grader.report.records import Points, Report, SubmissionReport, whole

COLUMNS = (
    "assignment duedate timestamp student_id last_name first_name email raw_score late_submission_penalty score "
    "max_score"
).split()
"""Those of `nbgrader export`, in its order."""

GRADES = "dojo-grades.csv"
_RELEASED_WITH = ("timestamp.txt", "submission_secret.txt")
"""What `nbgrader release_feedback` reads beside a page. `nbgrader generate_feedback` copies both as well."""
_MOST_BYTES = 4096


@dataclass(frozen=True, order=True)
class Handed:
    """Where in `submitted/STUDENT/ASSIGNMENT/` a file lies."""

    student: str
    assignment: str
    folder: Path


def render_nbgrader(report: Report) -> str:
    """The grades as CSV: one row for each student and assignment. What nbgrader alone knows stays empty.

    Raises:
        DojoError: a file does not lie in submitted/STUDENT/ASSIGNMENT/.
    """
    found = _by_student(report)
    most = {h.assignment: _most(report, h.assignment) for h in found}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for h, submissions in sorted(found.items()):
        score = Report(submissions).score
        writer.writerow(
            {
                "assignment": _cell(h.assignment),
                "timestamp": _cell((_beside(h.folder, "timestamp.txt") or "").strip()),
                "student_id": _cell(h.student),
                "raw_score": score,
                "late_submission_penalty": 0,
                "score": score,
                "max_score": most[h.assignment],
            }
        )
    return text.getvalue()


def render_folder(report: Report) -> dict[Path, str]:
    """What is written to `--output FOLDER`: the grades, and `feedback/STUDENT/ASSIGNMENT/NOTEBOOK.html`.

    Raises:
        DojoError: a file does not lie in submitted/STUDENT/ASSIGNMENT/.
    """
    from grader.showing.html import render_html

    files = {Path(GRADES): render_nbgrader(report)}
    for h, submissions in _by_student(report).items():
        folder = Path("feedback", h.student, h.assignment)
        for stem in dict.fromkeys(Path(s.path).stem for s in submissions):
            page = render_html(Report([s for s in submissions if Path(s.path).stem == stem]))
            files[folder / f"{stem}.html"] = page
        for name in _RELEASED_WITH:
            if (text := _beside(h.folder, name)) is not None:
                files[folder / name] = text
    return files


def _by_student(report: Report) -> dict[Handed, list[SubmissionReport]]:
    found: dict[Handed, list[SubmissionReport]] = {}
    for submission in report.submissions:
        found.setdefault(handed(submission.path), []).append(submission)
    return found


def handed(path: str) -> Handed:
    """Whose file it is, and of which assignment.

    Raises:
        DojoError: it does not lie in submitted/STUDENT/ASSIGNMENT/.
    """
    # The first "submitted" of the path as it was given: folders below are the student's, who may call one so too.
    given = Path(os.path.normpath(path)).parts
    here = Path.cwd().parts
    parts, at = given, given.index("submitted") if "submitted" in given else len(given)
    if "submitted" not in given and "submitted" in here:
        parts, at = here + given, len(here) - 1 - here[::-1].index("submitted")
    if len(parts) - at < 4 or os.pardir in parts[at:]:
        raise DojoError(f"{path}: --format nbgrader grades files in submitted/STUDENT/ASSIGNMENT/, and this is none")
    return Handed(parts[at + 1], parts[at + 2], Path(*parts[: at + 3]))


def _most(report: Report, assignment: str) -> Points:
    """The points of an assignment: the same for all students, also for those who left an exercise out."""
    return whole(sum(dict(_worths(report, assignment)).values()))


def _worths(report: Report, assignment: str) -> Iterator[tuple[str, Points]]:
    for submission in report.submissions:
        if handed(submission.path).assignment == assignment:
            yield submission.exercise, submission.max_score


def _beside(folder: Path, name: str) -> str | None:
    """A small file of the submission; never what a link points to, which may be any file of the instructor's."""
    path = folder / name
    try:
        found = path.lstat()
        small = stat.S_ISREG(found.st_mode) and found.st_size <= _MOST_BYTES
        return path.read_text(encoding="utf-8") if small else None
    except (OSError, UnicodeDecodeError):
        return None


def _cell(text: str) -> str:
    # A spreadsheet runs a cell that begins like this as a formula.
    text = visible(text, keep="")
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
