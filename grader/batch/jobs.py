"""Submissions graded side by side in processes of this machine."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import wait

from grader.base.errors import DojoError
from grader.base.words import counted
from grader.batch.judges import Died, Judging, outcome_of_dead, warm_up
from grader.batch.person import Outcome, Task, Terms, UnableError
from grader.lesson.exercise import all_exercises
from grader.lesson.trials import setups_of
from grader.running.confine import check_isolation
from grader.running.sandbox import Launcher

_TRIES = 3
_MOST_FAILURES = 3
"""So many submissions in a row for which no worker could be started, and the batch stops."""


class LocalJobs:
    """`jobs` judge processes, started as tasks come, with one launcher of workers between them.

    `where` says in words by what tasks are graded, and `notes` what people should know of it before. A Dask cluster
    is asked in the same way, see `grader.batch.cluster`.
    """

    def __init__(self, jobs: int, *, forked: bool = True) -> None:
        """`forked` is as for `Judging`."""
        self.jobs, self.forked = jobs, forked
        self.where = counted(jobs, "job")
        self.notes: Sequence[str] = ()
        self.judges: list[Judging] = []
        self._launcher: Launcher | None = None
        self._again: deque[Task] = deque()
        self._tried: Counter[str] = Counter()
        self._failures = 0

    def level(self, asked: str, required: str | None) -> str:
        """The isolation level to grade at on this machine.

        Raises:
            DojoError: it does not offer what is asked or required.
        """
        return check_isolation(asked, required)

    def begin(self, terms: Terms) -> str:
        """Start what the judges need, and say at which isolation level they grade.

        Raises:
            DojoError: it cannot grade on these terms.
        """
        self.terms = terms
        if self.forked:
            warm_up()  # while the launcher loads torch too
        self._launcher = _launcher(terms)
        return self._launcher.isolation

    def outcomes(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """What became of each task, as they end, in any order; tasks are taken only as they are needed.

        A judge that takes too long is ended and replaced.

        Raises:
            DojoError: nothing can be graded at all.
        """
        waiting = iter(tasks)
        while True:
            self._hand_out(waiting)
            busy = {judge.connection: judge for judge in self.judges if judge.task is not None}
            if not busy:
                return
            patience = min(judge.deadline for judge in busy.values()) - time.monotonic()
            outcomes = [self._receive(busy[ready]) for ready in wait(list(busy), max(0.0, patience))]  # type: ignore[index]
            outcomes += [self._give_up(judge) for judge in busy.values() if judge in self.judges and judge.overdue()]
            self._hand_out(waiting)  # before the outcomes are written down, so that no judge waits for the disk
            yield from (outcome for outcome in outcomes if outcome is not None)

    def close(self) -> None:
        """End all judges."""
        for judge in self.judges:
            judge.close()
        self.judges.clear()
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None

    def _hand_out(self, waiting: Iterator[Task]) -> None:
        while True:
            judge = next((judge for judge in self.judges if judge.task is None), None)
            if judge is None and len(self.judges) >= self.jobs:
                return
            task = self._again.popleft() if self._again else next(waiting, None)
            if task is None:
                return
            if judge is None:
                assert self._launcher is not None, "begin() comes first"
                judge = Judging(self._launcher, self.terms, forked=self.forked)
                self.judges.append(judge)
            judge.give(task)

    def _receive(self, judge: Judging) -> Outcome | None:
        try:
            outcome = judge.receive()
        except UnableError as error:
            return self._unable(judge, str(error))
        except Died as error:
            if not judge.ready:
                return self._unable(judge, f"{error} before it could grade")
            self._drop(judge)
            return outcome_of_dead(judge, str(error))
        if outcome is not None:
            self._failures = 0
        return outcome

    def _give_up(self, judge: Judging) -> Outcome:
        self._drop(judge)
        return outcome_of_dead(judge, "the judge process said nothing for too long and was killed")

    def _unable(self, judge: Judging, words: str) -> Outcome | None:
        """Try the submission again; where that goes on, it is to blame, or the machine is.

        A judge whose launcher was lost to another's submission tries again for nothing.
        """
        self._drop(judge)
        assert judge.task is not None
        lost_by_another = judge.launcher is not self._launcher
        if not lost_by_another and not _is_alive(judge.launcher):
            judge.launcher.close()
            self._launcher = _launcher(self.terms)
        self._tried[judge.task.submission] += not lost_by_another
        if self._tried[judge.task.submission] < _TRIES:
            self._again.append(judge.task)
            return None
        self._failures += 1
        if not judge.ready or self._failures >= _MOST_FAILURES:
            raise DojoError(words)
        return outcome_of_dead(judge, words)

    def _drop(self, judge: Judging) -> None:
        self.judges.remove(judge)
        judge.close()


def _is_alive(launcher: Launcher) -> bool:
    try:
        launcher.start().close()
    except DojoError:
        return False
    return True


def _launcher(terms: Terms) -> Launcher:
    """A launcher that is no fork of this process: a fork would hold the judges' pipes open when this one is killed.

    The judges show that the confined can be graded, for they have torch loaded.

    Raises:
        DojoError: this machine has no such device.
    """
    chosen = terms.settings()
    trials = setups_of(() if chosen.isolation == "basic" else all_exercises(), chosen.seed, chosen.device)
    return Launcher(chosen.isolation, chosen.limits, chosen.device, trials, forked=False)
