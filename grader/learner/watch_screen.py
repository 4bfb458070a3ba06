"""What `dojo watch` shows, and the keys that it reads: none without a terminal."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.text import Text

from grader.base.words import counted
from grader.report.records import Report, SubmissionReport, first_thing
from grader.showing.terminal import console_for, draw_first_thing, draw_report, draw_summary

_BAR = 40
LEGEND = "h hint   l list   n next exercise   r reset   q quit"

_ESCAPE = re.compile(r"\x1b(?:[\[O][0-9;]*.?|.)?", re.DOTALL)
"""Arrow and function keys, and keys pressed with Alt: their letters are no commands."""


class Screen:
    """Draws on standard output. As a context manager it reads single keys, and restores the terminal at the end."""

    def __init__(self) -> None:
        self.console: Console = console_for(sys.stdout)
        self._saved: list[Any] | None = None
        self._input = -1
        self._typed = ""

    def __enter__(self) -> Screen:
        if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
            self._input = sys.stdin.fileno()
            if self._in_foreground():
                self._saved = termios.tcgetattr(self._input)
                self._take_single_keys()
                signal.signal(signal.SIGCONT, lambda *_: self._take_single_keys())  # back from Ctrl-Z
        return self

    def _in_foreground(self) -> bool:
        """In the background, a process that reads or changes its terminal is stopped."""
        try:
            return os.tcgetpgrp(self._input) == os.getpgrp()
        except OSError:
            return True  # not the controlling terminal, so nothing is stopped

    def _take_single_keys(self) -> None:
        if self._in_foreground():
            with contextlib.suppress(termios.error):
                tty.setcbreak(self._input, termios.TCSANOW)

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            signal.signal(signal.SIGCONT, signal.SIG_DFL)
            with contextlib.suppress(termios.error):  # the terminal may be gone
                termios.tcsetattr(self._input, termios.TCSADRAIN, self._saved)
            self._saved = None

    @property
    def has_keys(self) -> bool:
        """Whether single keys are read; they are not where the input is a file or a pipe."""
        return self._saved is not None

    def pressed(self) -> Iterator[str]:
        """The letters that were pressed since the last call. A terminal that is gone gives `q`."""
        while self.has_keys and (self._typed or self._something_typed()):
            if key := self._next_key():
                yield key

    def _something_typed(self) -> bool:
        return self._in_foreground() and bool(select.select([self._input], [], [], 0)[0])

    def ask(self, question: str) -> bool:
        """Ask, and wait for one key: True for y."""
        self.console.print(Text(f"\n{question} [y/N] "), end="")
        while not (key := self._next_key()):
            pass
        self.console.print("yes" if key == "y" else "no")
        return key == "y"

    def _next_key(self) -> str:
        """The next letter; waits for one where none is there. Empty for an arrow or another key without a letter."""
        if not self._typed:
            try:
                typed = os.read(self._input, 1024)
            except OSError:
                typed = b""
            self._typed = _ESCAPE.sub("", typed.decode(errors="replace")).lower() if typed else "q"
        key, self._typed = self._typed[:1], self._typed[1:]
        return key

    def say(self, text: str) -> None:
        """Print a line below the rest, with a blank one before it."""
        self.console.print(Text(f"\n{text}"))

    def opening(self, files: int) -> None:
        """Told once, after the first verdicts."""
        end = "q" if self.has_keys else "Ctrl-C"
        said = f"\nWatching {counted(files, 'file')}. Each is graded again when it is saved; {end} ends."
        self.console.print(Text(said, style="dim"))

    def legend(self) -> None:
        """Print what the keys do, where there are keys."""
        if self.has_keys:
            self.console.print(Text(f"\n{LEGEND}", style="dim"))

    def verdicts(self, report: Report, changes: Sequence[str] = ()) -> None:
        """A line for each exercise with a bar, what has changed, the first thing to look at, and the keys.

        Where keys are read the screen is cleared first, so that what is on it is what is so now.
        """
        if self.has_keys:
            self.console.clear()
        paths = list(dict.fromkeys(submission.path for submission in report.submissions))
        graded = paths[0] if len(paths) == 1 else f"{len(paths)} files"
        self.console.print(Text(f"\n{time.strftime('%H:%M:%S')}  {graded}", style="dim"))
        for submission in report.submissions:
            if self.has_keys and submission.attempted:
                right = sum(verdict.passed for verdict in submission.verdicts)
                self.console.print(ProgressBar(total=len(submission.verdicts), completed=right, width=_BAR))
                self.console.print()
            draw_summary(submission, self.console)
        for change in changes:
            self.console.print(Text(change, style="green" if change.startswith("+") else "red"))
        first = first_thing(report)
        if first is not None:
            draw_first_thing(*first, self.console)
        else:
            self.console.print(Text("All right."))
        self.legend()

    def table(self, submissions: Sequence[SubmissionReport]) -> None:
        """Print the whole table of verdicts, as `dojo grade --all` does."""
        self.console.print()
        draw_report(Report(list(submissions)), self.console, everything=True)
