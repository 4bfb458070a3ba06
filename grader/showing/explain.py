"""Everything that is known of one gradient, for `dojo grade --explain`."""

from __future__ import annotations

import re

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from grader.base.errors import DojoError
from grader.base.visible import visible
from grader.diagnosing.core import shape_text, size_words
from grader.report.records import Details, Report, SubmissionReport, Verdict
from grader.showing.error_picture import as_text
from grader.showing.terminal import draw_errors, draw_mistake
from grader.showing.text import verdict_words, where

_COLOURS = {"dim": "blue dim", "above": "bold blue", "faint": "yellow dim", "below": "bold yellow"}


def draw_explanation(report: Report, name: str, console: Console) -> None:
    """Shapes, paths and their shares, the largest errors, and a map of where they lie.

    Raises:
        DojoError: no exercise of the report grades a gradient of that name.
    """
    found = [(s, v) for s in report.submissions for v in s.verdicts if name in (v.name, f"d{v.name}")]
    if not found:
        known = ", ".join(v.label for s in report.submissions for v in s.verdicts)
        raise DojoError(f"--explain {name}: no such gradient here; there are: {known}")
    for submission, verdict in found:
        console.print(Text(submission.title, style="bold"))
        if verdict.passed:
            console.print(Text(f"{verdict.label}: {verdict_words(verdict)}, {where(submission, verdict)}"))
            if verdict.message:
                console.print(Padding(Text(visible(verdict.message)), (0, 0, 0, 2)))
            console.print()
        else:
            draw_mistake(submission, verdict, console)
        if verdict.details is not None:
            _draw_details(submission, verdict, verdict.details, console)


def _draw_details(submission: SubmissionReport, verdict: Verdict, details: Details, console: Console) -> None:
    yours = "no tensor" if details.your_shape is None else shape_text(details.your_shape)
    both = "" if yours == shape_text(details.shape) else f"yours {yours}, {verdict.name} "
    console.print(Text(f"  seed      {submission.seed} (--seed {submission.seed} repeats this grading)"))
    console.print(Text(f"  shape     {both}{shape_text(details.shape)}"))
    for through, size in details.paths.items():
        console.print(Text(f"  path      through {through}: largest element {size:.3g}"))
    if details.error is not None:
        console.print(Text(f"  error     {size_words(details.error)} the largest element of the true gradient"))
    if not details.largest_errors:
        return
    console.print()
    draw_errors(verdict, console)
    if details.picture is not None:
        console.print(Padding(_coloured(as_text(details.picture, console.width - 2)), (0, 0, 1, 2)))


def _coloured(lines: list[str]) -> Text:
    """A picture's characters in the colours of the page: blue above zero, orange below, the faint ones dim."""
    text = Text("\n".join(lines))
    for panel in re.finditer(r"\|([^|]*)\|", text.plain):
        for run in re.finditer(r"(?P<dim>[12]+)|(?P<above>[3-8]+)|(?P<faint>[ab]+)|(?P<below>[c-h]+)", panel[1]):
            start = panel.start(1)
            text.stylize(_COLOURS[str(run.lastgroup)], start + run.start(), start + run.end())
    return text
