"""The report as a learner reads it in a terminal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, TextIO, cast

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.base.visible import visible
from grader.lesson.exercise import find_exercise
from grader.lesson.tracks import find_track, next_lesson, track_name
from grader.report.records import Report, SubmissionReport, Verdict, first_thing, whole
from grader.showing.text import DATA_WORDS, score_words, verdict_words, where, with_mistake

PLAIN_WIDTH = 80
_GAP = 2
_FILLING = re.compile(r"[ \t]+$", re.MULTILINE)

_STYLES = {"pass": "green", "shape": "yellow", "missing": "dim", "forbidden": "magenta"}
"""The others are red."""


def console_for(file: TextIO) -> Console:
    """A console that is 80 columns of plain text where no terminal listens."""
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        trimmed = cast(TextIO, _Trimmed(file))
        return Console(file=trimmed, highlight=False, width=PLAIN_WIDTH, color_system=None)
    return console


class _Trimmed:
    """A stream without the blanks by which rich fills its lines: a file or a pipe has no use for them."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(_FILLING.sub("", text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def draw_report(report: Report, console: Console, *, everything: bool = False) -> None:
    """Tables first, then each mistake; what matters most comes last, so that it is still on the screen."""
    first = first_thing(report)
    for submission in _shown_in_full(report, everything):
        console.print(Text.assemble((submission.title, "bold"), "\n", (visible(submission.path, keep=""), "dim")))
        console.print(_table(submission, console.width))
        console.print()
        for verdict in submission.verdicts:
            if not verdict.passed and verdict.status != "missing" and (submission, verdict) != first:
                draw_mistake(submission, verdict, console)
    by_track: dict[str, list[SubmissionReport]] = {}
    for submission in report.submissions:
        by_track.setdefault(track_name(submission.exercise), []).append(submission)
    for track, submissions in by_track.items():
        if len(submissions) > 1 and not everything and _is_one_line(submissions, first):
            _draw_track(track, submissions, console)
        else:
            held = Counter(submission.exercise for submission in submissions)
            for submission in submissions:
                draw_summary(submission, console, of_file=held[submission.exercise] > 1)
    if first is not None:
        draw_first_thing(*first, console)
    elif report.all_passed:
        _draw_end(report, console)


def draw_mistake(submission: SubmissionReport, verdict: Verdict, console: Console) -> None:
    """One gradient that is not right: where, the learner's line, and what is wrong with it."""
    console.print(Text.assemble((verdict.label, "bold"), f": {with_mistake(verdict)}, {where(submission, verdict)}"))
    if verdict.code:
        console.print(Padding(Text(visible(verdict.code), style="cyan"), (0, 0, 0, 4)))
    if verdict.message != verdict_words(verdict):
        console.print(Padding(Text(visible(verdict.message)), (0, 0, 0, 2)))
    console.print()


def _shown_in_full(report: Report, everything: bool) -> list[SubmissionReport]:
    """What gets a table: what is begun and not all right. A lesson that waits to be begun has nothing to show."""
    if everything:
        return report.submissions
    begun = [s for s in report.submissions if s.attempted and not s.all_passed]
    return begun or [s for s in report.submissions if s.attempted and len(report.submissions) == 1]


def _is_one_line(submissions: Sequence[SubmissionReport], first: tuple[SubmissionReport, Verdict] | None) -> bool:
    """A finished or an untouched track takes one line, except the one to work on."""
    if first is not None and first[0] in submissions:
        return False
    return all(s.all_passed for s in submissions) or not any(s.attempted for s in submissions)


def _draw_track(track: str, submissions: Sequence[SubmissionReport], console: Console) -> None:
    right, total = (whole(sum(numbers)) for numbers in zip(*((s.score, s.max_score) for s in submissions), strict=True))
    unit = " points" if any(s.in_points for s in submissions) else ""
    done = all(s.all_passed for s in submissions)
    title = f"{find_track(track).title}, {len(submissions)} lessons"
    _draw_line(f"{right} of {total}{unit}", title, console, done, done)


def _draw_line(count: str, title: str, console: Console, done: bool, begun: bool) -> None:
    """How much is right, of what, and whether it is begun; what does not fit goes on below the title."""
    state = ("", "") if begun else ("   not started", "dim")
    row = Table.grid(padding=(0, 3, 0, 0))
    row.add_column()
    row.add_column(overflow="fold")  # the end of a long path is the file's name
    row.add_row(Text(f"{count:>8}", style="green" if done else ""), Text.assemble(title, state))
    console.print(row)


def _draw_end(report: Report, console: Console) -> None:
    """All is right: what was achieved, and what comes after it."""
    right = sum(len(submission.verdicts) for submission in report.submissions)
    console.print(Text(f"\nAll {right} right." if right > 1 else "\nRight.", style="bold green"))
    present = {submission.exercise for submission in report.submissions}
    if any(find_exercise(name).can_train for name in present):
        console.print(Text("Now run `make train` (or `dojo train`) and watch your own loop learn."))
    following = next_lesson(present)
    if following is not None:
        console.print(Text(f"Next lesson: {following.id}, {following.title}"))


def _table(submission: SubmissionReport, width: int) -> Table:
    """A row for each gradient; where the lecture's figures do not fit, the verdict stands without some of them."""
    columns = {
        "gradient": [Text(verdict.label) for verdict in submission.verdicts],
        "exact": [_figure(verdict.exact) for verdict in submission.verdicts],
        "approximate": [_figure(verdict.approximate) for verdict in submission.verdicts],
        "maxdiff": [_figure(verdict.maxdiff) for verdict in submission.verdicts],
        "verdict": [Text(verdict_words(v), style=_STYLES.get(v.status, "red")) for v in submission.verdicts],
    }
    for dispensable in ("exact", "approximate", "maxdiff"):
        needed = sum(max(len(head), *(cell.cell_len for cell in cells)) + _GAP for head, cells in columns.items())
        if needed - _GAP > width:
            del columns[dispensable]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for head in columns:
        table.add_column(head, no_wrap=True, overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def _figure(value: bool | float | None) -> Text:
    if value is None:
        return Text()
    return Text(str(value) if isinstance(value, bool) else f"{value:.2g}")


def draw_summary(submission: SubmissionReport, console: Console, *, of_file: bool = False) -> None:
    """One line for an exercise, and its notes; with `of_file` it says in which file, for another holds it too."""
    title = f"{submission.title}, {visible(submission.path, keep='')}" if of_file else submission.title
    _draw_line(score_words(submission), title, console, submission.all_passed, submission.attempted)
    for note in submission.notes:
        console.print(Padding(Text(visible(note)), (0, 0, 0, 11)))
    for verdict in submission.verdicts:
        if verdict.passed and verdict.message:
            at = f", line {verdict.line}" if verdict.line is not None else ""
            said = f"{verdict.label}{at}: {verdict.message}"
            console.print(Padding(Text(visible(said)), (0, 0, 0, 11)))


def draw_first_thing(submission: SubmissionReport, verdict: Verdict, console: Console) -> None:
    """Print where to begin: the first wrong gradient with its mistake, or the first that is not attempted."""
    label = verdict.label
    console.print()
    if verdict.status == "missing":
        at = visible(where(submission, verdict), keep="")
        if not submission.attempted:
            console.print(Text("Nothing is attempted here yet. Replace the three dots of an answer, then grade again."))
        console.print(Text.assemble(("Next: ", "bold"), f"{label} in {at}"))
    else:
        console.print(Text("First thing to look at:", style="bold"))
        draw_mistake(submission, verdict, console)
        draw_errors(verdict, console)
    console.print(Text.assemble(("Hint: ", "bold"), f"dojo hint {label}"))


def draw_errors(verdict: Verdict, console: Console) -> None:
    """The largest errors, one a row: index, yours, true. Of a single number the message says all that."""
    if verdict.details is None or not any(error.index for error in verdict.details.largest_errors):
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("index", "yours", "true"):
        table.add_column(column, justify="left" if column == "index" else "right", no_wrap=True)
    for error in verdict.details.largest_errors:
        table.add_row(Text(str(error.index)), f"{error.yours:.6g}", f"{error.true:.6g}")
    if said := DATA_WORDS[verdict.details.data]:
        console.print(Padding(Text(said, style="dim"), (0, 0, 0, 2)))
    console.print(Padding(table, (0, 0, 1, 2)))
