"""What a notebook shows beside the lecture's line, as HTML."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from grader.diagnosing import shape_text
from grader.diagnosing.core import size_words
from grader.learner.hints import hints_to_come
from grader.notebook.judging import Judgement
from grader.showing.error_picture import as_svg
from grader.showing.graph_marks import State, state_of
from grader.showing.page import pieces, rendered

_UNKNOWN = State("?", "not judged", "#8b949e")


def card(judged: Judgement) -> str:
    """A right gradient in one line: a mark, the verdict, the lecture's figures, and what else is known. Of another the
    verdict, shapes, how far off, why, and the hints to come.
    """
    verdict, name, details = judged.verdict, f"d{judged.verdict.name}", judged.verdict.details
    drawn = details.picture if details is not None and judged.state == "wrong" else None
    exercise = judged.survey.exercise if judged.survey is not None and not verdict.passed else None
    to_come = exercise is not None and verdict.name in exercise.graded_gradients
    return rendered(
        "card.html",
        judged=judged,
        name=name,
        state=_UNKNOWN if judged.state is None else state_of(judged.state),
        facts=list(_facts(judged)),
        picture=Markup(as_svg(drawn, name)) if drawn is not None else "",
        hints=hints_to_come(exercise, verdict.name) if exercise is not None and to_come else [],
        pieces=pieces,
    )


def _facts(judged: Judgement) -> Iterator[str]:
    details = judged.verdict.details
    if details is not None and details.your_shape == details.shape:  # where they differ the message says both
        yield f"shape\u2003\u2003{shape_text(details.shape)}"
    if details is not None and details.error is not None and judged.limit is not None:
        yield f"error\u2003\u2003{size_words(details.error)} the largest element of the true gradient"
