"""The same work on a Dask cluster. The files travel in the task and the results come back, so no disk is shared."""

from __future__ import annotations

import logging
import os
import queue
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

from grader.base.errors import DojoError
from grader.base.words import counted
from grader.batch.jobs import LocalJobs
from grader.batch.parameters import other_versions, versions
from grader.batch.person import Outcome, Task, Terms, failed
from grader.running.confine import ISOLATION_LEVELS, check_isolation, highest_isolation, level_on

try:
    from distributed import Client, Future, KilledWorker, WorkerPlugin, as_completed, get_worker
except ImportError:
    raise DojoError("--scheduler needs Dask: pip install 'backprop-dojo[cluster]'") from None

CONNECT_SECONDS = 15
WORKER_SECONDS = 120
"""How long the first worker may take to come: a job in a queue starts late, and then one tries again."""

_COUNT_SECONDS = 1.0
"""How long a count of the cluster's threads is good for: workers come and go, but counting costs a round trip."""

_AHEAD = 2
"""Tasks on their way for each thread of the cluster, so that none waits and none holds everything."""


class Judges(WorkerPlugin):  # type: ignore[misc]
    """On each worker, and on those that join later: a judge process for each thread, kept between tasks.

    A judge forks, and a Dask worker has threads: so it is a fresh process, which also leaves the worker whole when
    it dies. It sends and takes what a judge of `LocalJobs` does.
    """

    def __init__(self, terms: Terms, names: bytes) -> None:
        self.name = f"backprop-dojo-{uuid.uuid4().hex}"
        self.terms, self.names = terms, names

    def setup(self, worker: Any) -> None:  # noqa: ARG002
        """Dask calls this when a worker starts: put the list of names where the judges find it."""
        self.folder = tempfile.TemporaryDirectory(prefix="dojo-")
        path = Path(self.folder.name) / "names.txt"
        path.write_bytes(self.names)
        os.environ["DOJO_NAMES"] = str(path)
        self.terms = replace(self.terms, names=str(path))
        self.idle: queue.SimpleQueue[LocalJobs] = queue.SimpleQueue()
        self.all: list[LocalJobs] = []

    def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """Dask calls this when a worker ends: end the judges and remove their files."""
        for one in self.all:
            one.close()
        self.folder.cleanup()

    def grade(self, task: Task) -> Outcome:
        """Grade one submission with a judge that is idle, or with a new one."""
        try:
            one = self.idle.get_nowait()
        except queue.Empty:
            one = LocalJobs(1, forked=False)
            one.begin(self.terms)
            self.all.append(one)
        try:
            return next(one.outcomes([task]))
        finally:
            self.idle.put(one)


class Cluster:
    """A Dask cluster as a scheduler of submissions."""

    def __init__(self, address: str) -> None:
        """
        Raises:
            DojoError: no cluster answers there, or its workers lack this package.
        """
        logging.getLogger("distributed").setLevel(logging.ERROR)  # a lost worker is not the reader's concern
        warnings.filterwarnings("ignore", message="Sending large graph")  # a notebook travels with its pictures
        self._plugin: Judges | None = None
        self._threads, self._counted = 0, -_COUNT_SECONDS
        try:
            self.client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise DojoError(f"--scheduler {address}: no Dask scheduler answers ({_line(error)})") from None
        try:
            self.client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError:
            self.client.close()
            raise DojoError(f"--scheduler {address}: no worker came in {WORKER_SECONDS} s; start some") from None
        workers = self._ask_workers()
        self._level = min((about["level"] for about in workers.values()), key=ISOLATION_LEVELS.index)
        threads = sum(self.client.nthreads().values())
        self.where = f"{counted(len(workers), 'Dask worker')} with {counted(threads, 'thread')}"
        self.notes: Sequence[str] = [
            line
            for address, about in sorted(workers.items())
            for line in other_versions(versions(), about, f"the worker {address}")
        ]

    def level(self, asked: str, required: str | None) -> str:
        """The isolation level to grade at: at most what all workers offer.

        Raises:
            DojoError: that is below what is required.
        """
        return check_isolation(asked, required, offered=self._level)

    def begin(self, terms: Terms) -> str:
        """Send the terms to the workers, and say at which isolation level they grade."""
        assert terms.names is not None
        self._plugin = Judges(terms, Path(terms.names).read_bytes())
        self.client.register_plugin(self._plugin)
        return level_on(terms.isolation, terms.device)

    def outcomes(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """What became of each task, as they end; tasks of lost workers are given to others."""
        waiting = iter(tasks)
        running: dict[str, str] = {}
        arriving = as_completed(loop=self.client.loop)
        try:
            while True:
                while len(running) < self._most_running() and (task := next(waiting, None)) is not None:
                    future = self._submit(task)
                    running[future.key] = task.submission
                    arriving.add(future)
                if not running:
                    return
                future = next(arriving)
                outcome = _outcome(future, running.pop(future.key))
                future.release()
                yield outcome
        finally:
            for future in list(arriving.futures):
                future.cancel()

    def close(self) -> None:
        """Take the judges from the workers, and leave the cluster running."""
        try:
            if self._plugin is not None and self.client.status == "running":
                self.client.unregister_worker_plugin(self._plugin.name)
        finally:
            self.client.close()

    def _submit(self, task: Task) -> Future:
        assert self._plugin is not None, "begin() comes first"
        return self.client.submit(grade_on_worker, self._plugin.name, task, key=f"dojo-{uuid.uuid4().hex}", pure=False)

    def _most_running(self) -> int:
        if time.monotonic() - self._counted >= _COUNT_SECONDS:
            self._threads = sum(self.client.nthreads().values())
            self._counted = time.monotonic()
        return max(1, _AHEAD * self._threads)

    def _ask_workers(self) -> dict[str, dict[str, str]]:
        try:
            found = self.client.run(about_worker, on_error="return")
        except Exception as error:
            found = {"cluster": error}
        for address, about in found.items():
            if isinstance(about, Exception):
                self.client.close()
                raise DojoError(
                    f"the Dask worker {address} cannot grade ({_line(about)}); install this version of "
                    "backprop-dojo there"
                )
        return dict(found)


def about_worker() -> dict[str, str]:
    """What a client asks of each worker before it hands out work."""
    return {**versions(), "level": highest_isolation()}


def grade_on_worker(plugin: str, task: Task) -> Outcome:
    """The task that runs on a worker."""
    judges = get_worker().plugins[plugin]
    assert isinstance(judges, Judges)
    return judges.grade(task)


def _outcome(future: Future, submission: str) -> Outcome:
    """What became of a task. A worker that was lost is Dask's to replace; one task that ends several is to blame."""
    try:
        outcome = future.result()
    except KilledWorker as error:
        return Outcome(submission, failed(f"several Dask workers were lost while they graded this submission: {error}"))
    except CancelledError:
        raise DojoError("the Dask scheduler is gone; the same command goes on from here once it is back") from None
    except DojoError:
        raise
    except Exception as error:
        raise DojoError(f"the Dask cluster cannot grade: {type(error).__name__}: {_line(error)}") from None
    assert isinstance(outcome, Outcome)
    return outcome


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
