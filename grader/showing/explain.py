"""Everything that is known of one gradient, for `dojo grade --explain`."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from grader.base.errors import DojoError
from grader.base.visible import visible
from grader.diagnosing.core import shape_text
from grader.report.records import Details, Report, SubmissionReport, Verdict
from grader.showing.error_picture import as_text
from grader.showing.terminal import draw_errors, draw_mistake, verdict_words, where
from grader.showing.text import size_words


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
        _draw(submission, verdict, console)


def _draw(submission: SubmissionReport, verdict: Verdict, console: Console) -> None:
    console.print(Text(submission.title, style="bold"))
    if verdict.passed:
        said = f"{verdict.label}: {verdict_words(verdict)}, {where(submission, verdict)}"
        console.print(Text(said))
        if verdict.message:
            console.print(Padding(Text(visible(verdict.message)), (0, 0, 0, 2)))
        console.print()
    else:
        draw_mistake(submission, verdict, console)
    if verdict.details is not None:
        _draw_details(verdict, verdict.details, console)


def _draw_details(verdict: Verdict, details: Details, console: Console) -> None:
    yours = "no tensor" if details.your_shape is None else shape_text(details.your_shape)
    both = "" if yours == shape_text(details.shape) else f"yours {yours}, {verdict.name} "
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
        console.print(Padding(Text("\n".join(as_text(details.picture))), (0, 0, 1, 2)))
