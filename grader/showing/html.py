"""The report as one HTML page: nothing to load, no script, and nothing of a submission unescaped."""

from __future__ import annotations

from collections import Counter

from markupsafe import Markup

from grader.diagnosing.core import shape_text, size_words
from grader.lesson.exercise import find_exercise
from grader.report.records import Picture, Report, Status, SubmissionReport, Verdict
from grader.showing.error_picture import as_svg
from grader.showing.graph import graph_svg
from grader.showing.graph_marks import STATES
from grader.showing.page import environment, pieces
from grader.showing.terminal import first_thing
from grader.showing.text import DATA_WORDS, score_words, verdict_words


def render_html(report: Report) -> str:
    """The page as text."""
    page = environment().get_template("report.html").render(
        report=report,
        states=STATES,
        data_words=DATA_WORDS,
        score_words=score_words,
        verdict_words=verdict_words,
        shape_text=shape_text,
        size_words=size_words,
        pieces=pieces,
        counts=_counts,
        first=_first,
        graph=_graph,
        picture=_picture,
    )
    return page + "\n"


def _counts(submission: SubmissionReport) -> list[tuple[Status, int]]:
    """How many of each status; all that is right is one, whatever is said beside it."""
    return Counter(verdict.status for verdict in submission.verdicts).most_common()


def _first(submission: SubmissionReport) -> Verdict | None:
    """The gradient to look at first."""
    found = first_thing(Report([submission]))
    return None if found is None else found[1]


def _graph(submission: SubmissionReport, anchor: str) -> Markup:
    """The computation graph. Its text is the exercise's, none of it the submission's."""
    states = {verdict.name: verdict.status for verdict in submission.verdicts}
    svg = graph_svg(
        find_exercise(submission.exercise), states, lambda name: f"#{anchor}-{name}" if name in states else ""
    )
    return Markup(svg)


def _picture(drawn: Picture, label: str) -> Markup:
    return Markup(as_svg(drawn, label))
