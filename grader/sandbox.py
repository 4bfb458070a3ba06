"""Processes for learners' code: forked from one warm process that has torch loaded and no truth in memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

from grader.errors import DojoError

ISOLATION = "basic"
"""What a worker is given here: a process and session of its own, a bare environment, resource limits."""

_CPU_SECONDS = 120
_FILE_BYTES = 16_000_000
_KEPT_ENVIRONMENT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "DOJO_NAMES",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
)


class Worker:
    """A process that runs one submission. `connection` speaks to it."""

    def __init__(self, connection: Connection, pid: int) -> None:
        self.connection = connection
        self.pid = pid

    def close(self) -> None:
        """Kill the worker and whatever it started."""
        self.connection.close()
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)


class Launcher:
    """Starts workers. Make one before any true gradient is computed, so that no worker can hold one."""

    def __init__(self, *, own_process: bool = False) -> None:
        """`own_process` keeps this process from being forked: a process that has used CUDA must not be."""
        if not hasattr(os, "fork"):
            raise DojoError("grading needs fork(): use Linux, macOS, or Windows Subsystem for Linux")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket = ours
        forkable = threading.active_count() == 1 and sys.platform == "linux" and not own_process
        if forkable:
            self._process = None
            self._pid = _fork()
            if self._pid == 0:
                ours.close()
                _serve_forks(theirs)
        else:  # a process with threads must not be forked: start a fresh one
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from grader.sandbox import main; main({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        theirs.close()

    def start(self) -> Worker:
        """Fork one worker.

        Raises:
            DojoError: the process that forks workers is gone.
        """
        ours, theirs = multiprocessing.Pipe()
        try:
            socket.send_fds(self._socket, [b"fork"], [theirs.fileno()])
            answer = self._socket.recv(32)
        except OSError:
            answer = b""
        finally:
            theirs.close()
        if not answer:
            raise DojoError("the process that starts workers has ended; run the command again")
        return Worker(ours, int(answer))

    def close(self) -> None:
        """End the process that forks workers. It is killed: a later launcher may hold its socket open."""
        self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        else:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def main(descriptor: int) -> None:
    """Entry point of a launcher process of its own."""
    _serve_forks(socket.socket(fileno=descriptor))


def _serve_forks(requests: socket.socket) -> None:
    import grader.worker  # noqa: F401  loaded here once, so that every worker is forked with torch warm

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, 32, 1)
            if not message or not descriptors:
                break
            pid = _fork()
            if pid == 0:
                requests.close()
                _become_worker(descriptors[0])
            os.close(descriptors[0])
            requests.sendall(str(pid).encode())
    finally:
        os._exit(0)


def _become_worker(descriptor: int) -> None:
    try:
        from grader.worker import serve

        confine()
        serve(Connection(descriptor))
    finally:
        os._exit(0)


def confine() -> None:
    """Give this process an empty folder, a bare environment, no terminal, and limits."""
    import resource

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    if names := kept.get("DOJO_NAMES"):
        kept["DOJO_NAMES"] = str(Path(names).absolute())
    os.environ.clear()
    os.environ.update(kept)
    for limit, value in (
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))
    os.chdir(tempfile.gettempdir())


def _fork() -> int:
    with warnings.catch_warnings():
        # numpy's idle threads make Python 3.12 warn; they hold no lock that a worker takes.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def wait_for(connection: Connection, deadline: float) -> bool:
    """True when a message is there before `deadline` (seconds of `time.monotonic`)."""
    return connection.poll(max(0.0, deadline - time.monotonic()))
