"""Grade again each time a file is saved, with torch and the launcher of workers kept warm."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grader.base.errors import DojoError
from grader.base.files import file_stamp
from grader.base.loading import uncollected
from grader.learner.copies import reset_exercise
from grader.learner.hints import next_hint
from grader.learner.memory import remember
from grader.learner.pairs import pair_of
from grader.learner.saves import LOOK_SECONDS, Files, events, read_when_whole
from grader.lesson.exercise import exercises_called, find_exercise
from grader.reading.submission import OptionalError, select_parts, submission_files
from grader.report.records import Report, SubmissionReport, first_thing

if TYPE_CHECKING:
    from grader.judging.grade import Grader
    from grader.learner.watch_screen import Screen

Reports = dict[tuple[Path, str], SubmissionReport]
"""By file and exercise, in the order in which they were met."""

_MOST_NAMED = 3
_MOST_READINGS = 5  # a file that changes faster than it can be graded is shown all the same


class Session:
    """One run of `dojo watch`: what was graded, what is shown, and what the keys do."""

    def __init__(self, grader: Grader, screen: Screen, files: Files, asked: str | None) -> None:
        self.grader = grader
        self.screen = screen
        self.files = files
        self.asked = asked
        self.reports: Reports = {}
        self.texts: dict[Path, str] = {}
        self.graded_at: dict[Path, float] = {}
        self.focus: tuple[Path, str] | None = None
        self.changes: list[str] = []
        self.preparing: Iterator[None] = iter(())

    def begin(self) -> None:
        """Grade every file once."""
        for path in self.files.changed():
            self._grade(path)
        self._show(list(self.reports))

    def look(self) -> None:
        """Grade the files that changed, and show what was found."""
        for path in self.files.changed():
            if self._grade(path):
                self._show([key for key in self.reports if key[0] == path])

    def idle(self) -> None:
        """Use a moment without a save for a part of what the next one of the same lesson would wait for."""
        with contextlib.suppress(DojoError):  # whoever saves is told
            next(self.preparing, None)

    def press(self, key: str) -> bool:
        """Do what a key asks for; False where it ends the session.

        Raises:
            DojoError: the exercise cannot be put back.
        """
        match key:
            case "q":
                return False
            case "h":
                self._hint()
            case "l":
                self.screen.table([self.reports[key] for key in self.reports if key == self.focus])
            case "n":
                self._next_exercise()
            case "r":
                self._reset()
            case _:
                self.screen.legend()
        return True

    def _grade(self, path: Path) -> bool:
        """Grade one file; True where there is something new to show. Bad input is told and never ends the watch."""
        try:
            return self._grade_latest(path)
        except DojoError as error:
            self.screen.say(f"dojo: {error}")
            self.graded_at.pop(path, None)
            return False

    def _grade_latest(self, path: Path) -> bool:
        before, readings = self.texts.get(path), 0
        while True:
            reading = read_when_whole(path, before)
            if reading is None:
                self.screen.say(f"{path}: gone; graded again when it is back")
                self._put(path, {})
                self.graded_at.pop(path, None)
                return False
            if reading.text == before and path in self.graded_at:
                return self._unchanged(path)
            wanted = [e.id for e in exercises_called(self.asked)] if self.asked else ()
            try:
                parts = select_parts(reading.source, wanted, named=path in self.files.paths)
            except OptionalError:
                parts = []
            reports = {(path, part.exercise.id): self.grader.grade_part(part) for part in parts}
            readings += 1
            # No verdict is shown on a text that is not there any more.
            if file_stamp(path) == reading.stamp or readings == _MOST_READINGS:
                self.texts[path] = reading.text
                self.graded_at[path] = time.monotonic()
                self._put(path, reports)
                return True

    def _put(self, path: Path, reports: Reports) -> None:
        """A file keeps its place in the order; what it no longer holds goes."""
        self.changes = [said for key, report in reports.items() for said in _changes(self.reports.get(key), report)]
        kept = {key: reports.get(key, found) for key, found in self.reports.items() if key[0] != path or key in reports}
        self.reports = kept | reports

    def _unchanged(self, path: Path) -> bool:
        # Editors that write twice do so at once; a person who saves again wants to know that it was seen.
        if time.monotonic() - self.graded_at[path] > 1.0:
            self.screen.say(f"{path}: saved, the same as before")
        return False

    def _show(self, keys: Sequence[tuple[Path, str]]) -> None:
        report = Report([self.reports[key] for key in keys])
        if not report.submissions:
            return
        self.screen.verdicts(report, self.changes)
        self.changes = []
        first = first_thing(report)
        at = report.submissions.index(first[0]) if first else -1
        self.focus = keys[at]
        remember(report)
        self.preparing = self.grader.prepare(find_exercise(self.focus[1]))

    def _hint(self) -> None:
        submission = self.reports.get(self.focus) if self.focus else None
        first = first_thing(Report([submission])) if submission else None
        if submission is None or first is None:
            self.screen.say("Nothing is left to do here. n: next exercise")
            return
        self.screen.say(next_hint(find_exercise(submission.exercise), first[1].name))

    def _next_exercise(self) -> None:
        keys = list(self.reports)
        start = keys.index(self.focus) + 1 if self.focus in keys else 0
        around = keys[start:] + keys[:start]
        following = next((key for key in around if not self.reports[key].all_passed), None)
        if following is None:
            self.screen.say("Every exercise that is watched is right.")
        else:
            self._show([following])

    def _reset(self) -> None:
        if self.focus is None:
            return
        path, exercise = self.focus
        pair = pair_of(path)
        if pair is None or pair.name != exercise:
            self.screen.say(f"{path}: only a file in exercises/ or notebooks/ can be put back")
            return
        folder = Path() if pair.folder == Path.cwd() else pair.folder  # shorter to read
        reset_exercise(exercise, folder, confirm=self.screen.ask)


def watch(paths: Sequence[Path], exercise: str | None, device: str, seed: int | None) -> None:
    """Watch files until `q` or Ctrl-C.

    Raises:
        DojoError: there is no such path, exercise or device.
    """
    if exercise is not None:
        exercises_called(exercise)
    for path in paths:
        submission_files(path)
    with contextlib.suppress(KeyboardInterrupt):
        _watch(paths, exercise, device, seed)


def _watch(paths: Sequence[Path], exercise: str | None, device: str, seed: int | None) -> None:
    with uncollected():
        from grader.judging.grade import Grader, settings

    # The launcher forks in here: no thread may run and no terminal may be changed before it.
    with Grader(settings(seed, device)) as grader:
        from grader.learner.watch_screen import Screen

        with _end_as_interrupt(), Screen() as screen:
            files = Files(paths)
            session = Session(grader, screen, files, exercise)
            session.begin()
            screen.opening(len(files.stamps))
            looked = time.monotonic()
            for changed in events(files.folders()):
                for key in screen.pressed():
                    try:
                        if not session.press(key):
                            return
                    except DojoError as error:
                        screen.say(f"dojo: {error}")
                if changed or time.monotonic() - looked >= LOOK_SECONDS:
                    session.look()
                    looked = time.monotonic()
                elif not changed:
                    session.idle()


def _changes(before: SubmissionReport | None, now: SubmissionReport) -> list[str]:
    """What a save has changed, such as `+1: dh is right now`."""
    if before is None:
        return []
    passed = {verdict.name for verdict in before.verdicts if verdict.passed}
    gained = [v.label for v in now.verdicts if v.passed and v.name not in passed]
    lost = [v.label for v in now.verdicts if not v.passed and v.name in passed]
    said = []
    for sign, names, words in (("+", gained, "right now"), ("-", lost, "no longer right")):
        if names:
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            listed = ", ".join(names[:_MOST_NAMED]) + more
            said.append(f"{sign}{len(names)}: {listed} {'is' if len(names) == 1 else 'are'} {words}")
    return said


@contextlib.contextmanager
def _end_as_interrupt() -> Iterator[None]:
    """A request to end (kill, a closed terminal) becomes the interrupt of Ctrl-C, so that all is cleaned up."""
    # What is ignored stays ignored: nohup.
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
