"""The report as one HTML page: nothing to load, no script, and nothing of a submission unescaped."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from markupsafe import Markup

from grader.base.visible import visible
from grader.diagnosing.core import shape_text, size_words
from grader.lesson.exercise import find_exercise
from grader.report.records import Details, Report, Status, SubmissionReport, Verdict
from grader.showing.error_picture import as_svg
from grader.showing.graph import graph_svg
from grader.showing.graph_marks import STATES
from grader.showing.page import environment, pieces
from grader.showing.terminal import first_thing, verdict_words
from grader.showing.text import DATA_WORDS, score_words


@dataclass(frozen=True)
class Row:
    """One gradient as the page shows it. `message` is cut into pieces, of which those in backticks are code."""

    anchor: str
    label: str
    name: str
    status: Status
    words: str
    mistake: str | None
    figures: list[tuple[str, str]]
    place: str
    code: str | None
    message: list[tuple[str, bool]]
    details: Details | None
    picture: Markup | None

    @property
    def more(self) -> bool:
        """Whether the row has something to unfold."""
        return bool(self.message or self.details)


@dataclass(frozen=True)
class Chapter:
    """One exercise of one submission as the page shows it."""

    anchor: str
    title: str
    path: str
    score: str
    in_points: bool
    started: bool
    all_passed: bool
    facts: list[tuple[str, str]]
    notes: list[str]
    counts: list[tuple[Status, str, int]]
    graph: Markup
    rows: list[Row]
    first: Row | None


def render_html(report: Report) -> str:
    """The page as text."""
    chapters = [_chapter(submission, f"s{number}") for number, submission in enumerate(report.submissions, 1)]
    icons = {status: state.mark for status, state in STATES.items()}
    page = environment().get_template("report.html")
    besides = [f"{name} was not handed in, and counts 0 of {points}." for name, points in report.missing.items()]
    refused = [visible(refusal.sentence, keep="") for refusal in report.refused]
    facts = {"chapters": chapters, "refused": refused, "icons": icons, "graded_at": report.graded_at}
    words = {"shape_text": shape_text, "size_words": size_words, "data_words": DATA_WORDS, "besides": besides}
    return page.render(**facts, **words) + "\n"


def _chapter(submission: SubmissionReport, anchor: str) -> Chapter:
    rows = [_row(verdict, anchor) for verdict in submission.verdicts]
    first = first_thing(Report([submission]))
    path = visible(submission.path, keep="")
    return Chapter(
        anchor=anchor,
        title=visible(submission.title, keep=""),
        path=path,
        score=score_words(submission),
        in_points=submission.in_points,
        started=submission.attempted,
        all_passed=submission.all_passed,
        facts=[
            ("Exercise", submission.exercise),
            ("File", path),
            ("Seed", str(submission.seed)),
            ("PyTorch", submission.torch),
            ("Device", submission.device),
            ("Isolation", submission.isolation),
        ],
        notes=submission.notes,
        counts=_counts(submission),
        graph=_graph(submission, anchor),
        rows=rows,
        first=None if first is None else next(row for row in rows if row.name == first[1].name),
    )


def _counts(submission: SubmissionReport) -> list[tuple[Status, str, int]]:
    """How many of each status, in words; all that is right is one, whatever is said beside it."""
    counted = Counter(verdict.status for verdict in submission.verdicts)
    return [(status, STATES[status].words, number) for status, number in counted.most_common()]


def _graph(submission: SubmissionReport, anchor: str) -> Markup:
    """The computation graph. Its text is the exercise's, none of it the submission's."""
    states = {verdict.name: verdict.status for verdict in submission.verdicts}
    svg = graph_svg(
        find_exercise(submission.exercise), states, lambda name: f"#{anchor}-{name}" if name in states else ""
    )
    return Markup(svg)


def _row(verdict: Verdict, anchor: str) -> Row:
    words = verdict_words(verdict)
    wrong = not verdict.passed and verdict.details is not None
    drawn = verdict.details.picture if wrong and verdict.details is not None else None
    return Row(
        anchor=f"{anchor}-{verdict.name}",
        label=verdict.label,
        name=verdict.name,
        status=verdict.status,
        words=words,
        mistake=verdict.mistake,
        figures=[
            ("exact", "" if verdict.exact is None else str(verdict.exact)),
            ("approximate", "" if verdict.approximate is None else str(verdict.approximate)),
            ("maxdiff", "" if verdict.maxdiff is None else _number(verdict.maxdiff, 2)),
        ],
        place=_place(verdict),
        code=verdict.code,
        message=[] if verdict.message == words else pieces(verdict.message),
        details=verdict.details if wrong else None,
        picture=None if drawn is None else Markup(as_svg(drawn, verdict.label)),
    )


def _place(verdict: Verdict) -> str:
    if verdict.line is None:
        return ""
    return str(verdict.line) if verdict.cell is None else f"cell {verdict.cell}, line {verdict.line}"


def _number(value: float, digits: int = 6) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else str(value)
