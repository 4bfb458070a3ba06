"""All files of one person to one report."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.base.errors import DojoError, NotGradedError
from grader.reading.submission import Part, select_parts
from grader.report.assignment import Assignment
from grader.report.points import PointsTable
from grader.report.records import SCHEMA, Report
from grader.running.limits import Limits
from grader.running.settings import Settings, settings
from grader.syntax.source import read_source

if TYPE_CHECKING:
    from grader.judging.grade import Grader

_LONGEST_TRACEBACK = 20_000


@dataclass(frozen=True)
class Terms:
    """How everyone of a batch is graded.

    `wanted` are the ids of the exercises that are graded, () for all; with `forced` each file is read as that one.
    `names` is the path of the list of names; None for the project's own.
    """

    seed: int
    device: str = "cpu"
    isolation: str = "basic"
    limits: Limits = field(default_factory=Limits)
    wanted: tuple[str, ...] = ()
    forced: str | None = None
    assignment: Assignment | None = None
    points: PointsTable = field(default_factory=PointsTable)
    names: str | None = None

    def settings(self) -> Settings:
        """The grader's settings.

        Raises:
            DojoError: this machine has no such device.
        """
        return replace(settings(self.seed, self.device, limits=self.limits), isolation=self.isolation)


@dataclass(frozen=True)
class Task:
    """What one person handed in: files as label and content, and what of it cannot be graded, in sentences."""

    submission: str
    files: tuple[tuple[str, bytes], ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a task; `report` is what `Results.add` takes."""

    submission: str
    report: dict[str, Any]
    seconds: float = 0.0


class UnableError(Exception):
    """The machinery failed and not the submission: a worker could not be started."""


def grade_person(grader: Grader, task: Task, terms: Terms, begin_part: Callable[[], None] = lambda: None) -> Outcome:
    """Grade every exercise in every file. `begin_part` is called before each.

    Raises:
        UnableError: no worker can be started.
    """
    started = time.monotonic()
    try:
        report = _report(grader, task, terms, begin_part)
    except UnableError:
        raise
    except Exception:  # a defect of the grader costs this submission and no other
        report = failed(traceback.format_exc()[-_LONGEST_TRACEBACK:])
    return Outcome(task.submission, report, time.monotonic() - started)


def _raise_if_broken(error: DojoError) -> None:
    """A defect of the grader is told as one, and never as a refusal."""
    if isinstance(error, NotGradedError) and error.__cause__ is not None:
        raise error.__cause__


def failed(words: str) -> dict[str, Any]:
    """The report of a submission that broke the grader."""
    return {"schema": SCHEMA, "submissions": [], "grader_error": words}


def _report(grader: Grader, task: Task, terms: Terms, begin_part: Callable[[], None]) -> dict[str, Any]:
    parts: list[Part] = []
    problems = list(task.problems)
    for label, content in task.files:
        try:
            source = read_source(Path(label), content, terms.limits.seconds)
            parts += select_parts(source, terms.wanted, terms.forced, named=len(task.files) == 1)
        except DojoError as error:
            _raise_if_broken(error)
            problems.append(" ".join(str(error).split()))
    report = Report([])
    for part in parts:
        begin_part()
        try:
            report.submissions.append(grader.grade_part(part))
        except NotGradedError as error:
            _raise_if_broken(error)
            problems.append(str(error))
        except DojoError as error:
            raise UnableError(str(error)) from None
    terms.points.apply(report)
    if terms.assignment is not None:
        terms.assignment.apply(report, terms.points)
    data = report.as_data()
    counted = {id(graded) for graded in report.counted}
    for graded, listed in zip(report.submissions, data["submissions"], strict=True):
        if id(graded) not in counted:
            listed["counts"] = False
    if not report.submissions:
        data["refused"] = "; ".join(problems)
    elif problems:
        data["problems"] = problems
    return data
