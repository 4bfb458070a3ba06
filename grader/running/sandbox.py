"""Processes for learners' code: forked from one warm process that has torch loaded and no truth in memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from grader.base.boundary import address_space
from grader.base.children import bare_environment, python_command
from grader.base.errors import DojoError
from grader.base.loading import uncollected
from grader.lesson.program import TrialSetup
from grader.running.confine import (
    ISOLATION_LEVELS,
    call_filter,
    confine_calls,
    confine_files,
    confine_process,
    highest_isolation,
    leave_surroundings,
    level_on,
    offer,
)
from grader.running.limits import Limits
from grader.running.memory import most_held, settle_memory

if TYPE_CHECKING:
    from grader.running.protocol import Channel, Reply

__all__ = ["ISOLATION_LEVELS", "Launcher", "Worker", "highest_isolation", "main"]

START_SECONDS = 120.0
"""How long the first worker may take to be there: torch is loaded before it."""

_FIRST_WORDS = 1000
_WORTH_KEEPING, _MOST_KEPT = 50_000_000, 1_000_000_000
"""Bytes. Less comes fast, and more is not taken from others while nothing is done with it."""
_LARGE_PAGES = "glibc.malloc.hugetlb=1"
"""torch brings 140 MB that every fork maps anew: in large pages that takes 4 ms in place of 7."""


@dataclass(frozen=True)
class Terms:
    """On which terms a worker runs. `files` and `calls` are the layers that its level has on this machine.

    `trials` are those that a worker finds set up.
    """

    isolation: str
    limits: Limits
    device: str
    files: bool = False
    calls: bool = False
    trials: Sequence[TrialSetup] = ()

    @property
    def cuda(self) -> bool:
        """Whether the submission works on a GPU, whose devices it then needs."""
        return self.device != "cpu"


class Worker:
    """A process that runs one submission. `channel` speaks to it. `grown_by` is how many bytes more it held at the most
    than at its start, once it is closed."""

    def __init__(self, end: socket.socket, pid: int) -> None:
        from grader.running.protocol import REPLIES, Channel  # loads torch, which who only starts a launcher needs not

        self.channel: Channel[Reply] = Channel(end, REPLIES)
        self.pid = pid
        self.grown_by = 0
        self._held = most_held(pid)

    def close(self) -> None:
        """Kill the worker and whatever it started."""
        self.grown_by = max(self.grown_by, most_held(self.pid) - self._held)
        self.channel.close()
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)


class Launcher:
    """Starts workers. Make one before any true gradient is computed, so that no worker can hold one."""

    _prepared: Worker | None = None
    _latest: Worker | None = None

    def __init__(
        self,
        isolation: str = "basic",
        limits: Limits | None = None,
        device: str = "cpu",
        trials: Sequence[TrialSetup] = (),
        *,
        forked: bool = True,
    ) -> None:
        """`isolation` is one of ISOLATION_LEVELS, and the machine must offer it (`confine.check_isolation`).

        Above `basic` workers are forked from a process started for them, for this one may hold solutions; likewise
        where this one has threads or has used CUDA. There `trials`, as in `Terms`, are set up once and not in each
        worker. `forked` is False for a process that must never be forked: a fork keeps open what this one has open.
        """
        if not hasattr(os, "fork"):
            raise DojoError("grading needs fork(): use Linux, macOS, or Windows Subsystem for Linux")
        self.isolation = level_on(isolation, device)
        above = ISOLATION_LEVELS.index(self.isolation)
        files = above > 0 and offer().files
        calls = above > files and offer().calls and device == "cpu"
        terms = Terms(self.isolation, limits or Limits(), device, files, calls, trials)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.requests = ours
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        if forked and _has_one_thread() and isolation == "basic" and device == "cpu":
            self._pid = os.fork()
            if self._pid == 0:
                ours.close()
                _serve_forks(theirs, terms)
        else:
            self._process = _started(theirs, terms)
        theirs.close()

    @classmethod
    def attached(cls, requests: socket.socket, isolation: str) -> Launcher:
        """A launcher in another process that shares the warm process of one here. Closing it ends nothing."""
        launcher = cls.__new__(cls)
        launcher.requests, launcher.isolation = requests, isolation
        launcher._process, launcher._pid = None, 0
        return launcher

    def prepare(self, trials: Sequence[TrialSetup]) -> None:
        """Fork a worker now that finds these `trials` set up, as in `Terms`, and has the memory at hand that the one
        before it needed; the next `start` gives it.

        Raises:
            DojoError: as `start`.
        """
        from grader.running.protocol import Prepare

        if self._prepared is not None:
            self._prepared.close()
        memory = 0 if self._latest is None else self._latest.grown_by
        self._prepared = worker = self._fork()
        with contextlib.suppress(OSError):
            worker.channel.send(Prepare(tuple(trials), memory if _WORTH_KEEPING < memory < _MOST_KEPT else 0))

    def start(self) -> Worker:
        """A worker that has run nothing yet: the one that was prepared, if it lives, or a new one.

        Raises:
            DojoError: the process that forks workers is gone, or cannot confine them.
        """
        from grader.running.protocol import ProtocolError

        worker, self._prepared = self._prepared, None
        if worker is not None:
            try:
                worker.channel.receive(time.monotonic() + START_SECONDS)
                if not worker.channel.ended:
                    self._latest = worker
                    return worker
            except (EOFError, ProtocolError, TimeoutError):
                pass
            worker.close()
        self._latest = self._fork()
        return self._latest

    def _fork(self) -> Worker:
        """A new worker.

        Raises:
            DojoError: the process that forks workers is gone, or cannot confine them.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.settimeout(START_SECONDS)
        try:
            # One byte a request: then processes can share this socket, and no two requests run together.
            socket.send_fds(self.requests, [b"w"], [theirs.fileno()])
            theirs.close()
            first = json.loads(ours.recv(_FIRST_WORDS))
        except (OSError, ValueError):
            first = {}
        finally:
            theirs.close()
        if "pid" in first:
            return Worker(ours, int(first["pid"]))
        ours.close()
        if "error" in first:
            raise DojoError(f"a worker could not be confined ({first['error']}); try --isolation basic")
        raise DojoError("the process that starts workers has ended; run the command again")

    def close(self) -> None:
        """End the process that forks workers. It is killed: a later launcher may hold its socket open."""
        self.requests.close()
        if self._prepared is not None:
            self._prepared.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        elif self._pid:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _started(requests: socket.socket, terms: Terms) -> subprocess.Popen[bytes]:
    """A fresh process that forks workers."""
    # A process keeps the strings that it was started with where any code in it, and in its forks, can read them.
    environment = bare_environment() | {"GLIBC_TUNABLES": _LARGE_PAGES}
    process = subprocess.Popen(
        python_command("from grader.running.sandbox import main; main()", str(requests.fileno())),
        pass_fds=[requests.fileno()],
        stdin=subprocess.PIPE,
        env=environment,
    )
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin:  # the first worker that is asked for tells of it
            process.stdin.write(msgspec.json.encode(terms))
    return process


def main() -> None:
    """Entry point of a process of its own that forks workers."""
    terms = msgspec.json.decode(sys.stdin.buffer.read(), type=Terms)
    _serve_forks(socket.socket(fileno=int(sys.argv[1])), terms)


def _serve_forks(requests: socket.socket, terms: Terms) -> None:
    try:
        with uncollected():  # all that is loaded here once is shared by every worker
            import grader.running.worker
            from grader.admission.guards import keep_layers_in
            from grader.running.no_autograd import take_out_autograd

            take_out_autograd()
            keep_layers_in()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            confinement = _Confinement(terms)
            leave_surroundings()
            grader.running.worker.warm_up(terms.trials)
            if terms.isolation != "basic":
                settle_memory()
            confinement.raise_around_all(requests.fileno())
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, 1, 1)
            if not message or not descriptors:
                break
            if os.fork() == 0:
                requests.close()
                _become_worker(socket.socket(fileno=descriptors[0]), confinement)
            os.close(descriptors[0])
    finally:
        os._exit(0)


class _Confinement:
    """What is made ready once, in the process that forks, and what each worker adds."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.held = address_space()
        self.calls = call_filter() if terms.calls else None

    def raise_around_all(self, requests: int) -> None:
        silent = os.open(os.devnull, os.O_RDWR)
        for inherited in {0, 1, 2, *(int(entry.name) for entry in Path("/dev/fd").iterdir())} - {requests, silent}:
            with contextlib.suppress(OSError):  # the folder's own descriptor is gone by now
                os.fstat(inherited)
                os.dup2(silent, inherited)
        self.held = max(self.held, address_space())  # read from /proc, which is out of reach below
        if self.terms.files:
            confine_files(cuda=self.terms.cuda)

    def raise_around_worker(self) -> None:
        confine_process(self.terms.limits, self.held, threads=self.terms.cuda)
        if self.calls is not None:
            confine_calls(self.calls)


def _become_worker(end: socket.socket, confinement: _Confinement) -> None:
    try:
        from grader.running.protocol import REQUESTS, Channel
        from grader.running.worker import serve

        try:
            confinement.raise_around_worker()
        except Exception as error:
            end.sendall(json.dumps({"error": str(error)[:200]}).encode())
            return
        end.sendall(json.dumps({"pid": os.getpid()}).encode())
        serve(Channel(end, REQUESTS))
    finally:
        os._exit(0)


def _has_one_thread() -> bool:
    """Counted by the system: numpy's own threads are none of Python's, and a fork would wait for them for ever."""
    return sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) == 1
