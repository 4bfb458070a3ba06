"""The report as a learner reads it in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.report import Report, SubmissionReport, Verdict

PLAIN_WIDTH = 80

_STYLES = {
    "pass": "green",
    "wrong": "red",
    "shape": "yellow",
    "missing": "dim",
    "error": "red",
    "timeout": "red",
    "forbidden": "magenta",
}
_WORDS = {
    "wrong": "wrong",
    "shape": "wrong shape",
    "missing": "not attempted",
    "error": "error",
    "timeout": "out of time",
    "forbidden": "taken from autograd",
}


def console_for(file: object = None) -> Console:
    """A console that is 80 columns of plain text where no terminal listens."""
    console = Console(file=file, highlight=False)  # type: ignore[arg-type]
    if not console.is_terminal:
        return Console(file=file, highlight=False, width=PLAIN_WIDTH, color_system=None)  # type: ignore[arg-type]
    return console


def draw_report(report: Report, console: Console, *, everything: bool = False) -> None:
    """Tables first; what matters last, so that it is still on the screen."""
    for submission in _shown_in_full(report, everything):
        console.print(_heading(submission))
        console.print(_table(submission))
        console.print()
    for submission in report.submissions:
        _draw_summary(submission, console)
    _draw_first_thing(report, console)


def verdict_words(verdict: Verdict) -> str:
    """The verdict in a few words, the same wherever it is shown."""
    if verdict.status != "pass":
        return _WORDS[verdict.status]
    if verdict.mistake == "hardcoded-size":
        return "right (at these sizes)"
    if verdict.mistake == "vanishing":
        return "right (for this loss)"
    if verdict.message:
        return "right (see below)"
    return "right" if verdict.exact in (True, None) else "right (rounding only)"


def where(submission: SubmissionReport, verdict: Verdict) -> str:
    """`file.py:12`, or for a notebook `file.ipynb, cell 3, line 2`."""
    if verdict.line is None:
        return submission.path
    if verdict.cell is not None:
        return f"{submission.path}, cell {verdict.cell}, line {verdict.line}"
    return f"{submission.path}:{verdict.line}"


def _shown_in_full(report: Report, everything: bool) -> list[SubmissionReport]:
    if everything or len(report.submissions) == 1:
        return report.submissions
    begun = [s for s in report.submissions if s.attempted and not s.all_passed]
    if begun:
        return begun
    waiting = [s for s in report.submissions if not s.all_passed]
    return waiting[:1]


def _heading(submission: SubmissionReport) -> Text:
    return Text.assemble((submission.title, "bold"), "\n", (submission.path, "dim"))


def _table(submission: SubmissionReport) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("gradient", "exact", "approximate", "maxdiff", "verdict"):
        table.add_column(column, justify="left", no_wrap=True)
    prefix = "" if any(v.name == "loss" for v in submission.verdicts) else "d"
    for verdict in submission.verdicts:
        style = _STYLES[verdict.status]
        table.add_row(
            prefix + verdict.name,
            "" if verdict.exact is None else str(verdict.exact),
            "" if verdict.approximate is None else str(verdict.approximate),
            "" if verdict.maxdiff is None else f"{verdict.maxdiff:.2g}",
            Text(verdict_words(verdict), style=style),
        )
    return table


def _draw_summary(submission: SubmissionReport, console: Console) -> None:
    state = "" if submission.attempted else "   not started"
    count = f"{submission.score} of {submission.max_score}"
    style = "green" if submission.all_passed else ""
    console.print(Text.assemble((f"{count:>8}", style), f"   {submission.title}", (state, "dim")))
    for note in submission.notes:
        console.print(Padding(Text(note), (0, 0, 0, 11)))
    for verdict in submission.verdicts:
        if verdict.passed and verdict.message:
            at = f", line {verdict.line}" if verdict.line is not None else ""
            console.print(Padding(Text(f"{_gradient(verdict)}{at}: {verdict.message}"), (0, 0, 0, 11)))


def _draw_first_thing(report: Report, console: Console) -> None:
    first = _first_thing(report)
    if first is None:
        return
    submission, verdict = first
    console.print()
    if verdict.status == "missing":
        console.print(f"[bold]Next:[/bold] {escape(_gradient(verdict))} in {escape(submission.path)}")
        return
    console.print(
        f"[bold]First thing to look at:[/bold] {escape(_gradient(verdict))}, {verdict_words(verdict)}, "
        f"{escape(where(submission, verdict))}"
    )
    if verdict.code:
        console.print(Padding(Text(verdict.code, style="cyan"), (0, 0, 0, 4)))
    console.print(Padding(Text(verdict.message), (0, 0, 0, 2)))


def _first_thing(report: Report) -> tuple[SubmissionReport, Verdict] | None:
    """The first gradient that is wrong; failing that, the first that is not attempted."""
    open_ones = [(s, v) for s in report.submissions for v in s.verdicts if not v.passed]
    wrong = [(s, v) for s, v in open_ones if v.status != "missing"]
    begun = [(s, v) for s, v in open_ones if s.attempted]
    return next(iter(wrong or begun or open_ones), None)


def _gradient(verdict: Verdict) -> str:
    return verdict.name if verdict.name == "loss" else f"d{verdict.name}"
