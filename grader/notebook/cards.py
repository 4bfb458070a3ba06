"""What a notebook shows beside the lecture's line, as HTML: no script, no style sheet, nothing unescaped.

Text has the front end's own colour, so it is readable on light and dark; a mark and words say what colour says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from grader.diagnosing import shape_text
from grader.diagnosing.core import size_words
from grader.learner.hints import hints_to_come
from grader.notebook.judging import Judgement
from grader.showing.error_picture import as_svg
from grader.showing.graph_marks import STATES, State, state_of

_UNKNOWN = State("?", "not judged", "#8b949e")
_GAP = "\u2003\u2003"
_MONO = "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace)"


def one_line(judged: Judgement) -> str:
    """A right gradient in one line: a mark, the verdict, the lecture's figures, and what else is known."""
    state, name = STATES["pass"], f"d{judged.verdict.name}"
    figures = escape(judged.line.partition("| ")[2])
    notes = "".join(f' <span style="opacity:.85">| {_text(note)}</span>' for note in judged.notes)
    return _frame(
        judged,
        state,
        f"{_mark(state)} <b>{escape(name)}</b> {escape(judged.words)} "
        f'<span style="{_MONO};font-size:.92em;opacity:.85">| {figures}</span>{notes}',
    )


def card(judged: Judgement) -> str:
    """A gradient that is not right: the verdict, shapes, how far off, why, and where."""
    state = _UNKNOWN if judged.state is None else state_of(judged.state)
    verdict = judged.verdict
    kind = f' <span style="opacity:.75">[{escape(verdict.mistake)}]</span>' if verdict.mistake else ""
    parts = [f"<div>{_mark(state)} <b>{escape(f'd{verdict.name}')}</b>: {escape(judged.words)}{kind}</div>"]
    if facts := list(_facts(judged)):
        parts.append(f'<div style="{_MONO};font-size:.92em;margin:.2em 0">{"<br/>".join(map(escape, facts))}</div>')
    parts.append(f'<div style="max-width:60em">{_text(verdict.message)}</div>')
    parts += [f'<div style="max-width:60em;opacity:.85">{_text(note)}</div>' for note in judged.notes]
    parts.append(_picture(judged))
    if judged.survey is not None and verdict.name in judged.survey.exercise.graded_gradients:
        parts.append(_folded(hints_to_come(judged.survey.exercise, verdict.name), verdict.name))
    return _frame(judged, state, "".join(parts))


def _folded(hints: Sequence[tuple[int, str]], name: str) -> str:
    """The next hint, which one click opens, with the one after it folded inside."""
    if not hints:
        return ""
    number, text = hints[0]
    body = "".join(f'<p style="margin:.3em 0">{_text(part)}</p>' for part in text.split("\n\n"))
    return (
        '<details style="max-width:60em;margin-top:.3em"><summary style="cursor:pointer">'
        f"Next hint of d{escape(name)} ({number} of {number + len(hints) - 1})</summary>"
        f'<div style="padding-left:1em">{body}{_folded(hints[1:], name)}</div></details>'
    )


def _facts(judged: Judgement) -> Iterable[str]:
    details = judged.verdict.details
    if details is None:
        return
    if details.your_shape == details.shape:  # where they differ the message says both
        yield f"shape{_GAP}{shape_text(details.shape)}"
    if details.error is not None and judged.limit is not None:
        yield f"error{_GAP}{size_words(details.error)} the largest element of the true gradient"


def _picture(judged: Judgement) -> str:
    details = judged.verdict.details
    if details is None or details.picture is None or judged.state != "wrong":
        return ""
    return f'<div style="margin-top:.4em">{as_svg(details.picture, f"d{judged.verdict.name}")}</div>'


def _mark(state: State) -> str:
    return f'<span aria-hidden="true" style="color:{state.colour};font-weight:bold">{escape(state.mark)}</span>'


def _frame(judged: Judgement, state: State, inner: str) -> str:
    label = escape(f"d{judged.verdict.name}: {judged.words}")
    status = escape(judged.state or "unknown")
    return (
        f'<div class="dojo-cmp" role="group" aria-label="{label}" data-state="{status}" '
        f'style="color:inherit;border-left:3px solid {state.colour};padding:.1em 0 .1em .7em">{inner}</div>'
    )


def _text(message: str) -> str:
    """A message with what stands in backticks as code."""
    pieces = re.split(r"`([^`]*)`", message)
    return "".join(
        f'<code style="color:inherit">{escape(piece)}</code>' if number % 2 else escape(piece)
        for number, piece in enumerate(pieces)
    )
