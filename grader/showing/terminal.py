"""The report as a learner reads it in a terminal."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.base.visible import visible
from grader.report.records import Report, SubmissionReport, Verdict
from grader.showing.graph_marks import STATES
from grader.showing.text import score_words

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


def console_for(file: TextIO) -> Console:
    """A console that is 80 columns of plain text where no terminal listens."""
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        return Console(file=file, highlight=False, width=PLAIN_WIDTH, color_system=None)
    return console


def draw_report(report: Report, console: Console, *, everything: bool = False) -> None:
    """Tables first, then each mistake; what matters most comes last, so that it is still on the screen."""
    first = first_thing(report)
    for submission in _shown_in_full(report, everything):
        console.print(_heading(submission))
        console.print(_table(submission))
        console.print()
        for verdict in submission.verdicts:
            if not verdict.passed and verdict.status != "missing" and (submission, verdict) != first:
                draw_mistake(submission, verdict, console)
    for submission in report.submissions:
        draw_summary(submission, console)
    if first is not None:
        draw_first_thing(*first, console)


def draw_mistake(submission: SubmissionReport, verdict: Verdict, console: Console) -> None:
    """One gradient that is not right: where, the learner's line, and what is wrong with it."""
    kind = f" [{verdict.mistake}]" if verdict.mistake else ""
    label = verdict.label
    at = where(submission, verdict)
    console.print(Text.assemble((label, "bold"), f": {verdict_words(verdict)}{kind}, {at}"))
    if verdict.code:
        console.print(Padding(Text(visible(verdict.code), style="cyan"), (0, 0, 0, 4)))
    console.print(Padding(Text(visible(verdict.message)), (0, 0, 1, 2)))


def verdict_words(verdict: Verdict) -> str:
    """The verdict in a few words, the same wherever it is shown."""
    if verdict.status == "forbidden" and verdict.mistake in ("autograd", "autograd-update"):
        return "taken from autograd"
    if verdict.status != "pass":
        return STATES[verdict.status].words
    if verdict.mistake == "hardcoded-size":
        return "right (at these sizes)"
    if verdict.mistake == "vanishing":
        return "right (for this loss)"
    if verdict.message:
        return "right (see below)"
    return "right" if verdict.exact in (True, None) else "right (rounding only)"


def where(submission: SubmissionReport, verdict: Verdict) -> str:
    """`file.py:12`, or for a notebook `file.ipynb, cell 3, line 2`."""
    path = visible(submission.path, keep="")
    if verdict.line is None:
        return path
    if verdict.cell is not None:
        return f"{path}, cell {verdict.cell}, line {verdict.line}"
    return f"{path}:{verdict.line}"


def _shown_in_full(report: Report, everything: bool) -> list[SubmissionReport]:
    if everything or len(report.submissions) == 1:
        return report.submissions
    begun = [s for s in report.submissions if s.attempted and not s.all_passed]
    if begun:
        return begun
    waiting = [s for s in report.submissions if not s.all_passed]
    return waiting[:1]


def _heading(submission: SubmissionReport) -> Text:
    return Text.assemble((submission.title, "bold"), "\n", (visible(submission.path, keep=""), "dim"))


def _table(submission: SubmissionReport) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("gradient", "exact", "approximate", "maxdiff", "verdict"):
        table.add_column(column, justify="left", no_wrap=True)
    for verdict in submission.verdicts:
        style = _STYLES[verdict.status]
        table.add_row(
            verdict.label,
            "" if verdict.exact is None else str(verdict.exact),
            "" if verdict.approximate is None else str(verdict.approximate),
            "" if verdict.maxdiff is None else f"{verdict.maxdiff:.2g}",
            Text(verdict_words(verdict), style=style),
        )
    return table


def draw_summary(submission: SubmissionReport, console: Console) -> None:
    state = "" if submission.attempted else "   not started"
    count = score_words(submission)
    style = "green" if submission.all_passed else ""
    console.print(Text.assemble((f"{count:>8}", style), f"   {submission.title}", (state, "dim")))
    for note in submission.notes:
        console.print(Padding(Text(visible(note)), (0, 0, 0, 11)))
    for verdict in submission.verdicts:
        if verdict.passed and verdict.message:
            at = f", line {verdict.line}" if verdict.line is not None else ""
            said = f"{verdict.label}{at}: {verdict.message}"
            console.print(Padding(Text(visible(said)), (0, 0, 0, 11)))


def draw_first_thing(submission: SubmissionReport, verdict: Verdict, console: Console) -> None:
    label = verdict.label
    console.print()
    if verdict.status == "missing":
        console.print(Text.assemble(("Next: ", "bold"), f"{label} in {visible(submission.path, keep='')}"))
    else:
        console.print(Text("First thing to look at:", style="bold"))
        draw_mistake(submission, verdict, console)
        draw_errors(verdict, console)
    hinted = label if label.startswith("d") else "losses"
    console.print(Text.assemble(("Hint: ", "bold"), f"dojo hint {hinted}"))


def draw_errors(verdict: Verdict, console: Console) -> None:
    """The largest errors, one a row: index, yours, true."""
    if verdict.details is None or not verdict.details.largest_errors:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("index", "yours", "true"):
        table.add_column(column, justify="left" if column == "index" else "right", no_wrap=True)
    for error in verdict.details.largest_errors:
        table.add_row(Text(str(error.index)), f"{error.yours:.6g}", f"{error.true:.6g}")
    console.print(Padding(table, (0, 0, 1, 2)))


def first_thing(report: Report) -> tuple[SubmissionReport, Verdict] | None:
    """The first gradient that is wrong; failing that, the first that is not attempted."""
    open_ones = [(s, v) for s in report.submissions for v in s.verdicts if not v.passed]
    wrong = [(s, v) for s, v in open_ones if v.status != "missing"]
    begun = [(s, v) for s, v in open_ones if s.attempted]
    return next(iter(wrong or begun or open_ones), None)
