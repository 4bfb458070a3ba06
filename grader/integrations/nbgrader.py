"""The report as nbgrader keeps it: grades as its exporter writes them, its gradebook, and pages that it releases."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grader.base.errors import DojoError
from grader.base.tables import csv_text
from grader.base.words import counted
from grader.reading.submission import SUFFIXES, files_below
from grader.report.assignment import Assignment, Lateness, of_majority, read_time, unstated
from grader.report.points import PointsTable
from grader.report.records import Points, Refusal, Report, SubmissionReport, whole

COLUMNS = (
    "assignment duedate timestamp student_id last_name first_name email raw_score late_submission_penalty score "
    "max_score"
).split()
"""Those of `nbgrader export`, in its order; where there are reasons why something counts 0, a last column has them."""

GRADES, GRADEBOOK, NOTEBOOK = "dojo-grades.csv", "gradebook.db", "dojo"
_TIMESTAMP, _SECRET = "timestamp.txt", "submission_secret.txt"
"""What `nbgrader release_feedback` reads beside a page. `nbgrader generate_feedback` copies both as well."""
_MOST_BYTES = 4096


@dataclass(frozen=True, order=True)
class Handed:
    """Where in `submitted/STUDENT/ASSIGNMENT/` a file lies."""

    student: str
    assignment: str
    folder: Path


@dataclass
class Work:
    """What one student handed in for one assignment of nbgrader: `report` on what counts, and `everything` graded."""

    report: Report
    timestamp: str
    everything: list[SubmissionReport] = field(default_factory=list)
    late: Lateness | None = None

    @property
    def penalty(self) -> Points:
        """The points that are taken off because it was handed in late."""
        return whole(round(self.report.grade * self.late.taken, 2)) if self.late else 0

    @property
    def reason(self) -> str:
        """Why points are missing that no gradient explains, in one sentence; empty where none are."""
        said = [refusal.sentence for refusal in self.report.refused]
        said += [f"{name} counts 0" + ("" if said else ": not handed in") for name in self.report.missing]
        return "; ".join([*said, *([self.late.words] if self.late else [])])


class Course:
    """A report on `submitted/`, by student and assignment. `remarks` are for the instructor, a sentence each.

    Without a stated assignment the exercises count that most of those who handed in one of nbgrader's assignments
    have in it.

    Raises:
        DojoError: a file does not lie in submitted/STUDENT/ASSIGNMENT/.
    """

    def __init__(self, report: Report, stated: Assignment | None = None, worth: PointsTable | None = None) -> None:
        self.remarks: list[str] = []
        self.asked: dict[str, Assignment] = {}
        self.work: dict[Handed, Work] = {}
        for one in report.submissions:
            self._of(one.path).submissions.append(one)
        for refusal in report.refused:
            with contextlib.suppress(DojoError):  # a file astray is nobody's
                self._of(refusal.path).refused.append(refusal)
        worth = worth or PointsTable()
        for name in sorted({place.assignment for place in self.work}):
            works = {place: work for place, work in self.work.items() if place.assignment == name}
            self.asked[name] = stated or of_majority({s.exercise for s in w.report.submissions} for w in works.values())
            if stated is None:
                self.remarks.append(f"{name}: {unstated(self.asked[name].exercises)}")
            for place, work in works.items():
                work.everything = work.report.submissions
                self.asked[name].apply(work.report, worth)
                work.late = self.asked[name].lateness(work.timestamp, marked=False)
                if read_time(work.timestamp) is None:
                    self.remarks.append(f"{place.folder}: no time in {_TIMESTAMP}, so whether it is late is not known")
        self.work = dict(sorted(self.work.items()))

    def _of(self, path: str) -> Report:
        place = handed(path)
        if place not in self.work:
            self.work[place] = Work(Report(), (_beside(place.folder, _TIMESTAMP) or "").strip())
        return self.work[place].report

    def grades(self) -> str:
        """The grades as CSV: one row for each student and assignment. What nbgrader alone knows stays empty."""
        said = ["reason"] if any(work.reason for work in self.work.values()) else []
        rows: list[list[object]] = [[*COLUMNS, *said]]
        for place, work in self.work.items():
            due = self.asked[place.assignment].due
            grade = work.report.grade
            rows.append(
                [
                    place.assignment, due.isoformat() if due else "", work.timestamp, place.student, "", "", "", grade,
                    work.penalty, whole(grade - work.penalty), work.report.full_marks, *([work.reason] if said else []),
                ]
            )  # fmt: skip
        return csv_text(rows)

    def files(self) -> dict[Path, str]:
        """What is written to `--output FOLDER`: the grades, and `feedback/STUDENT/ASSIGNMENT/NOTEBOOK.html`."""
        from grader.showing.html import render_html

        files = {Path(GRADES): self.grades()}
        for place, work in self.work.items():
            folder = Path("feedback", place.student, place.assignment)
            paths = [*(s.path for s in work.everything), *(refusal.path for refusal in work.report.refused)]
            for stem in dict.fromkeys(Path(path).stem for path in paths if Path(path).suffix.lower() in SUFFIXES):
                here = [s for s in work.everything if Path(s.path).stem == stem]
                refused = [refusal for refusal in work.report.refused if Path(refusal.path).stem == stem]
                files[folder / f"{stem}.html"] = render_html(replace(work.report, submissions=here, refused=refused))
            for name in (_TIMESTAMP, _SECRET):
                if (text := _beside(place.folder, name)) is not None:
                    files[folder / name] = text
        return files

    def into_gradebook(self, folder: Path) -> list[str]:
        """Put the grades into the course's gradebook.db by nbgrader's own functions; what is to be said of it."""
        if not (folder / GRADEBOOK).is_file():
            return []
        try:
            from nbgrader.api import Gradebook
        except ImportError:
            return [f"{folder / GRADEBOOK}: left as it is, for nbgrader is not installed where dojo is"]
        try:
            with Gradebook(f"sqlite:///{(folder / GRADEBOOK).resolve()}") as gradebook:
                for place, work in self.work.items():
                    _enter(gradebook, place, work, self.asked[place.assignment])
        except Exception as error:  # of another version, locked, damaged: the grades are in the table too
            return [f"{folder / GRADEBOOK}: nbgrader did not take the grades ({type(error).__name__}: {error})"]
        said = f"{counted(len(self.work), 'grade')} entered, as notebook {NOTEBOOK!r} of each assignment"
        return [f"{folder / GRADEBOOK}: {said}"]


def _enter(gradebook: Any, place: Handed, work: Work, asked: Assignment) -> None:
    """One student's grade: a cell for each exercise, and what is missing or refused as 0."""
    from nbgrader.api import Grade, SubmittedNotebook

    factor, earned = work.report.factor, {one.exercise: one for one in work.report.counted}
    worth = {name: one.max_score for name, one in earned.items()} | work.report.missing
    gradebook.update_or_create_assignment(place.assignment, **({"duedate": asked.due} if asked.due else {}))
    notebook = gradebook.update_or_create_notebook(NOTEBOOK, place.assignment)
    gradebook.update_or_create_student(place.student)
    moment = read_time(work.timestamp)
    at = {"timestamp": moment} if moment else {}
    submission = gradebook.update_or_create_submission(place.assignment, place.student, **at)
    own = next((one for one in submission.notebooks if one.name == NOTEBOOK), None)
    own = own or SubmittedNotebook(notebook=notebook, assignment=submission)
    gradebook.db.add(own)  # nothing of it is saved because it belongs to what is
    own.late_submission_penalty = float(work.penalty)
    grades = {grade.cell_id: grade for grade in own.grades}
    for exercise, most in worth.items():
        cell = gradebook.update_or_create_grade_cell(
            exercise, NOTEBOOK, place.assignment, max_score=most * factor, cell_type="code"
        )
        grade = grades.get(cell.id) or Grade(cell_id=cell.id, notebook=own)
        grade.auto_score = (earned[exercise].score if exercise in earned else 0) * factor
        grade.needs_manual_grade = False
        gradebook.db.add(grade)
    gradebook.db.commit()


def placed(files: Iterable[Path], named: Iterable[Path]) -> tuple[list[Path], list[Refusal]]:
    """The files that lie where nbgrader keeps submissions; and what is said of the others, and of each
    `STUDENT/ASSIGNMENT/` in the `named` folders that holds nothing to grade: it gets a row too.

    Raises:
        DojoError: none of them lies there, and there is no such folder.
    """
    kept, astray = [], []
    for file in files:
        try:
            handed(str(file))
            kept.append(file)
        except DojoError as error:
            astray.append(Refusal(str(file), str(error)))
    empty = [refusal for path in named for refusal in _folders_without_files(path)]
    if not (kept or empty):
        nothing = "no .py or .ipynb file in submitted/STUDENT/ASSIGNMENT/, which --format nbgrader grades"
        raise DojoError(astray[0].sentence if astray else nothing)
    return kept, [*astray, *empty]


def _folders_without_files(path: Path) -> Iterator[Refusal]:
    for folder in sorted(inner for inner in (path, *path.glob("[!.]*"), *path.glob("[!.]*/[!.]*")) if inner.is_dir()):
        file = folder / "nothing"
        with contextlib.suppress(DojoError):  # another folder, or the one of all
            if handed(str(file)).folder.resolve() == folder.resolve() and not files_below(folder):
                yield Refusal(str(file), f"{folder}: no .py or .ipynb file was handed in")


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


def _beside(folder: Path, name: str) -> str | None:
    """A small file of the submission; never what a link points to, which may be any file of the instructor's."""
    path = folder / name
    try:
        found = path.lstat()
        small = stat.S_ISREG(found.st_mode) and found.st_size <= _MOST_BYTES
        return path.read_text(encoding="utf-8") if small else None
    except (OSError, UnicodeDecodeError):
        return None
