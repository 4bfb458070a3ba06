"""How far a batch is: a bar and a histogram of scores on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from statistics import median

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from grader.batch.results import Entry
from grader.report.records import whole

LINE_SECONDS = 5.0
_BINS = 10
_WIDEST_BAR = 40


class ProgressView:
    """Counts what became of the submissions, and shows it while a batch runs. A context manager.

    `statuses` are those of all so far, `done_before` of how many an earlier run graded.
    """

    def __init__(self, console: Console, total: int) -> None:
        self.console, self.total, self.done_before = console, total, 0
        self.statuses: Counter[str] = Counter()
        self._scores: list[tuple[float, float]] = []
        self.started = self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("grading"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            console=console,
        )
        self._task = self._bar.add_task("", total=total, pace="")
        self._live = Live(self._drawn(), console=console, transient=True) if console.is_terminal else None

    def __enter__(self) -> ProgressView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def note(self, entry: Entry, *, before: bool = False) -> None:
        """Count one more; `before` is true of one that an earlier run graded."""
        self.done_before += before
        self.statuses[entry.status] += 1
        if entry.status == "graded":
            self._scores.append((float(entry.score), float(entry.max_score)))
        if self._live is not None:
            self._bar.update(self._task, completed=self._counted(), pace=self.pace())
            self._live.update(self._drawn())
        elif not before and time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            line = f"{self._counted()} of {self.total}, {self.pace()}, median score {self.median_score()}"
            self.console.print(f"dojo: {line}", soft_wrap=True, highlight=False)

    def _counted(self) -> int:
        return self.statuses.total()

    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    def rate(self) -> float:
        """Submissions a second."""
        return (self._counted() - self.done_before) / max(self.seconds(), 1e-9)

    def pace(self) -> str:
        """Rate and remaining time, in words."""
        if self._counted() == self.done_before:
            return "..."
        return f"{self.rate():.1f}/s, {_duration((self.total - self._counted()) / self.rate())} left"

    def median_score(self) -> str:
        """The median score in points where all can reach the same, else as a percentage; "-" where there is none."""
        if not (shares := self._shares()):
            return "-"
        greatest = {most for _, most in self._scores}
        if len(greatest) == 1:
            return f"{whole(median(score for score, _ in self._scores))} of {whole(greatest.pop())}"
        return f"{median(shares):.0%}"

    def _shares(self) -> list[float]:
        """The scores so far, each as a share of what could be reached, from 0 to 1."""
        return [score / most for score, most in self._scores if most]

    def _histogram(self) -> list[tuple[str, int]]:
        """How many scores lie in each tenth, 100 % by itself."""
        bins = Counter(int(share * _BINS) for share in self._shares())
        labels = [f"{100 * i // _BINS}-{100 * (i + 1) // _BINS - 1} %" for i in range(_BINS)] + ["100 %"]
        return [(label, bins[i]) for i, label in enumerate(labels)]

    def _drawn(self) -> RenderableType:
        found = self._histogram()
        most = max(count for _, count in found)
        rows = [
            Text(f"{label:>8} {'█' * -(-count * _WIDEST_BAR // max(most, _WIDEST_BAR))} {count or ''}")
            for label, count in found
        ]
        return Group(self._bar, *rows) if most else Group(self._bar)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
