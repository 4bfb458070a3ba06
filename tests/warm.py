"""Python processes forked from one that has loaded torch and the grader, which takes two seconds of a processor.

What runs in them is what `python -m` or `python -c` runs, with its own folder, environment and streams. What only a
fresh process shows (what it imports and when, how it reads its environment at the start) is asked of a fresh one.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import itertools
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import IO, Any

import grader
from grader.base.children import BEFORE_TORCH, bare_environment

_MOST = 1 << 20


class Process:
    """One of them, as `subprocess.Popen` has it. `arguments` are what would stand behind `python`: -m or -c first."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str],
        streams: tuple[int, int, int],
        *,
        session: bool = False,
        heeds_interrupts: bool = False,
        wholly: bool = False,
    ) -> None:
        """`streams` are descriptors; with `session` it leads a session, whose terminal standard input is if it is one.

        Ctrl-C is ignored in what a shell has started in the background, and so in what is started from there, unless
        it `heeds_interrupts`. With `wholly` the process that a batch starts its workers from, and the one that it
        forks its judges from, are forks as well, of it.
        """
        self.args, self.returncode = arguments, None
        self._ended, theirs = socket.socketpair()
        asked = {
            "arguments": [*map(str, arguments)],
            "folder": str(folder),
            "environment": dict(environment),
            "session": session,
            "heeds_interrupts": heeds_interrupts,
            "wholly": wholly,
        }
        with theirs:
            message = json.dumps(asked).encode()
            assert len(message) < _MOST
            socket.send_fds(_warm_process()[0], [message], [theirs.fileno(), *streams])
        self.pid = int(self._ended.recv(20))

    returncode: int | None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, minus the signal that ended it.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.args), timeout or 0)
        return code

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._ended.settimeout(timeout)
            try:
                self.returncode = os.waitstatus_to_exitcode(int(self._ended.recv(20)))
            except (TimeoutError, BlockingIOError):
                return None
            self._ended.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it where it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """End it by SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.send_signal(signal.SIGKILL)


def run(
    arguments: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    timeout: float = 120,
    said: str = "",
    **wishes: bool,
) -> subprocess.CompletedProcess[str]:
    """Run one to its end, with `said` as its standard input; `wishes` are those of a `Process`."""
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        told.write(said.encode())
        told.seek(0)
        streams = told.fileno(), out.fileno(), error.fileno()
        process = Process(arguments, folder, environment, streams, **wishes)
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            raise
        return subprocess.CompletedProcess(list(arguments), code, _text(out), _text(error))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@lru_cache
def _warm_process() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Where it takes requests, and it. Started once; it ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST)
    own = {**os.environ, **BEFORE_TORCH, "PYTHONPATH": str(Path(grader.__file__).resolve().parents[1])}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=own
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours, process


# ---- In the warm process ----


def main() -> list[str]:
    """Fork what is asked for, and tell of each its id and how it ended. A fork returns, with what it is to run."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    del sys.path[0]  # the folder of this file
    _load()
    running: dict[int, socket.socket] = {}
    interrupts = signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([requests, ended], [], [])
        if ended in ready:
            os.read(ended, 1000)
            while running and (found := os.waitpid(-1, os.WNOHANG))[0]:
                with running.pop(found[0]) as end:
                    _tell(end, found[1])
        if requests in ready:
            message, descriptors, _, _ = socket.recv_fds(requests, _MOST, 4)
            if not message:
                os._exit(0)
            asked, (end, *streams) = json.loads(message), descriptors
            if (pid := os.fork()) == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler if asked["heeds_interrupts"] else interrupts)
                for other in (requests, *running.values()):
                    other.close()
                for descriptor in (end, ended, woken):
                    os.close(descriptor)
                _become(asked, streams)
                return list(asked["arguments"])
            running[pid] = socket.socket(fileno=end)
            _tell(running[pid], pid)
            for descriptor in streams:
                os.close(descriptor)


def _tell(end: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # nobody waits for it any more
        end.send(str(number).encode())


def _become(asked: dict[str, Any], streams: Sequence[int]) -> None:
    """Be as a process that was just started with these streams, this folder and environment."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if asked["session"]:
        os.setsid()
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if asked["wholly"]:
        _fork_what_is_started()
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    text, told = sys.stdout.encoding, sys.stdout.errors
    sys.stdin = sys.__stdin__ = TextIOWrapper(BufferedReader(FileIO(0, closefd=False)), text, told)
    out, error = (BufferedWriter(FileIO(number, "w", closefd=False)) for number in (1, 2))
    sys.stdout = sys.__stdout__ = TextIOWrapper(out, text, told, line_buffering=os.isatty(1))
    sys.stderr = sys.__stderr__ = TextIOWrapper(error, text, "backslashreplace", line_buffering=True)
    sys.path[:0] = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in sys.path]


def _fork_what_is_started() -> None:
    from multiprocessing import util

    from grader.running import sandbox

    def launcher(requests: socket.socket, terms: sandbox.Terms) -> SimpleNamespace:
        def serve() -> None:
            own = bare_environment()
            os.environ.clear()
            os.environ.update(own)
            sandbox._serve_forks(requests, terms)

        pid = _forked([requests.fileno()], serve)
        return SimpleNamespace(kill=lambda: os.kill(pid, signal.SIGKILL), wait=lambda: os.waitpid(pid, 0))

    def spawned(path: str, command: Sequence[str], kept: Sequence[int]) -> int:
        return _forked(kept, lambda: exec(command[-1], {"__name__": "__main__"}))

    sandbox._started = launcher  # type: ignore[assignment]
    util.spawnv_passfds = spawned  # type: ignore[attr-defined]


def _forked(kept: Sequence[int], run: Callable[[], object]) -> int:
    """A fork that keeps these descriptors open, and its streams, and no more."""
    if pid := os.fork():
        return pid
    try:
        gc.disable()  # what is no longer used here holds numbers of descriptors that are used anew
        bounds = sorted({2, *kept, os.sysconf("SC_OPEN_MAX")} - {0, 1})
        for before, after in itertools.pairwise(bounds):
            if after > before + 1:
                os.closerange(before + 1, after)
        run()
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)


def _run(what: str, name: str, *arguments: str) -> None:
    if what == "-m":
        sys.path.insert(0, str(Path.cwd()))
        sys.argv = [name, *arguments]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, "")
        sys.argv = ["-c", *arguments]
        sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(name, "<string>", "exec"), vars(sys.modules["__main__"]))


def _load() -> None:
    """No matplotlib, which reads the environment when it loads, and no plugin, whose assertions pytest rewrites."""
    import ipykernel.kernelapp  # noqa: F401
    import pytest  # noqa: F401

    import grader.cli.main
    import grader.judging.loop_grade
    import grader.running.worker
    import grader.showing.html  # noqa: F401
    from grader.base.loading import load_nbformat
    from grader.lesson.exercise import all_exercises

    load_nbformat()
    all_exercises()
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _run(*main())
