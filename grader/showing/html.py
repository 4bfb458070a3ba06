"""The report as one HTML page: nothing to load, no script, and nothing of a submission unescaped."""

from __future__ import annotations

from collections import Counter

from markupsafe import Markup

from grader.diagnosing.core import shape_text, size_words
from grader.lesson.exercise import find_exercise
from grader.report.records import Report, SubmissionReport, first_thing
from grader.showing.error_picture import as_svg
from grader.showing.graph import graph_svg
from grader.showing.graph_marks import STATES
from grader.showing.page import pieces, rendered
from grader.showing.text import DATA_WORDS, score_words, verdict_words


def render_html(report: Report) -> str:
    """The page as text."""
    return rendered(
        "report.html",
        report=report,
        states=STATES,
        data_words=DATA_WORDS,
        score_words=score_words,
        verdict_words=verdict_words,
        shape_text=shape_text,
        size_words=size_words,
        pieces=pieces,
        counts=lambda submission: Counter(verdict.status for verdict in submission.verdicts).most_common(),
        first=lambda submission: (first_thing(Report([submission])) or (None, None))[1],
        graph=_graph,
        picture=lambda drawn, label: Markup(as_svg(drawn, label)),
    )


def _graph(submission: SubmissionReport, anchor: str) -> Markup:
    """The computation graph. Its text is the exercise's, none of it the submission's."""
    states = {verdict.name: verdict.status for verdict in submission.verdicts}
    exercise = find_exercise(submission.exercise)
    return Markup(graph_svg(exercise, states, lambda name: f"#{anchor}-{name}" if name in states else ""))
