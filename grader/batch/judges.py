"""Judge processes: each holds one warm grader for many submissions, and its death costs one of them."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any

from grader.base.children import bare_environment, import_path, python_command
from grader.base.errors import DojoError
from grader.batch.person import Outcome, Task, Terms, UnableError, failed, grade_person
from grader.lesson.exercise import all_exercises
from grader.running.sandbox import Launcher

START_SECONDS = 300.0
HANG_SECONDS, HANG_TIMES = 60.0, 4
"""A judge that says nothing for so many times the limit of a submission, and so long beside that, is killed."""

_STOP_SECONDS = 3.0
_PR_SET_PDEATHSIG = 1


class Died(Exception):
    """The judge process is gone; its text says how, for the instructor."""


class Judging:
    """A judge process, seen from the one that hands it submissions. `task` is the one that it works on."""

    def __init__(self, launcher: Launcher, terms: Terms, *, forked: bool) -> None:
        """It uses the workers of `launcher`.

        A judge that is `forked` comes from multiprocessing's fork server and shares torch's pages with the others.
        That is not to be had in a process that is itself a child of multiprocessing, as a Dask worker is.
        """
        self.launcher = launcher
        self.terms = replace(terms, isolation=launcher.isolation)
        self.task: Task | None = None
        self.ready = False
        self.deadline = 0.0
        self.connection, theirs = multiprocessing.Pipe()
        start = _forked if forked else _started
        self._stop, self._exit_code = start(theirs, launcher.requests)
        theirs.close()
        self._send(self.terms)

    def give(self, task: Task) -> None:
        """Hand over a submission. It must have none."""
        self.task = task
        self._send(task)

    def receive(self) -> Outcome | None:
        """The outcome, or None where only a sign of life came. Blocks where there is nothing.

        Raises:
            Died: the process is gone.
            UnableError: it cannot start workers, and has ended.
        """
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            raise Died(self._how_it_ended()) from None
        self._extend()
        if kind == "outcome":
            self.task = None
            assert isinstance(content, Outcome)
            return content
        if kind == "unable":
            raise UnableError(content)
        self.ready = True
        return None

    def overdue(self) -> bool:
        """Whether the judge has had more time than its task may take."""
        return self.task is not None and time.monotonic() > self.deadline

    def close(self) -> None:
        """End the process, and with it the worker that it has."""
        self.connection.close()
        self._stop()

    def _send(self, message: object) -> None:
        self._extend()
        with contextlib.suppress(OSError):  # receive() will say so
            self.connection.send(message)

    def _extend(self) -> None:
        patience = HANG_SECONDS + HANG_TIMES * self.terms.limits.seconds
        self.deadline = time.monotonic() + (patience if self.ready else max(patience, START_SECONDS))

    def _how_it_ended(self) -> str:
        code = self._exit_code()
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in list(signal.Signals) else "unknown"
            killed = "; the system may have run out of memory" if -code == signal.SIGKILL else ""
            return f"the judge process was ended by signal {-code} ({name}){killed}"
        return f"the judge process ended with code {code}"


def outcome_of_dead(judging: Judging, words: str) -> Outcome:
    """What is recorded for the submission that a judge held."""
    assert judging.task is not None
    return Outcome(judging.task.submission, failed(f"{words} while it graded this submission"))


Stop = Callable[[], None]
ExitCode = Callable[[], "int | None"]


def warm_up() -> None:
    """Begin to load torch in the process that judges are forked from."""
    forkserver.set_forkserver_preload(["grader.batch.warm"])
    ours = dict(os.environ)
    try:
        # multiprocessing starts it with the environment of this process, whatever that is.
        _set_environment(bare_environment() | {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(import_path())})
        forkserver.ensure_running()
    finally:
        _set_environment(ours)


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _forked(theirs: Connection, requests: socket.socket) -> tuple[Stop, ExitCode]:
    warm_up()
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_serve_forked, args=(theirs, requests), daemon=True)
    process.start()

    def stop() -> None:
        process.terminate()
        process.join(_STOP_SECONDS)
        process.kill()
        process.join()
        process.close()

    def exit_code() -> int | None:
        process.join(_STOP_SECONDS)
        return process.exitcode

    return stop, exit_code


def _started(theirs: Connection, requests: socket.socket) -> tuple[Stop, ExitCode]:
    descriptors = (theirs.fileno(), requests.fileno())
    process = subprocess.Popen(
        python_command("from grader.batch.judges import main; main({}, {})".format(*descriptors)),
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        env=bare_environment(),
    )

    def exit_code() -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        return process.returncode

    def stop() -> None:
        process.terminate()
        exit_code()
        process.kill()
        process.wait()

    return stop, exit_code


def _serve_forked(connection: Connection, requests: socket.socket) -> None:
    """Entry point of a judge from the fork server, which ends when the batch does: then the judge goes too."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _serve_and_exit(connection, requests)


def main(connection: int, requests: int) -> None:
    """Entry point of a judge in a fresh process."""
    import grader.batch.warm  # noqa: F401

    _serve_and_exit(Connection(connection), socket.socket(fileno=requests))


def _serve_and_exit(connection: Connection, requests: socket.socket) -> None:
    try:
        _serve(connection, requests)
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)  # what the interpreter does at its end takes longer, and SIGTERM may come in the middle of it


def _serve(connection: Connection, requests: socket.socket) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the batch decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    import torch

    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the batch is gone
        terms = connection.recv()
        try:
            _serve_terms(connection, requests, terms)
        except (DojoError, UnableError) as error:
            connection.send(("unable", str(error)))


def _serve_terms(connection: Connection, requests: socket.socket, terms: Terms) -> None:
    from grader.judging.grade import Grader
    from grader.judging.judge import prove

    if terms.names is not None:
        os.environ["DOJO_NAMES"] = terms.names
    launcher = Launcher.attached(requests, terms.isolation)
    if terms.isolation != "basic":
        prove(launcher, next(exercise for exercise in all_exercises() if exercise.assigned))

    def say(kind: str, content: Any = None) -> None:
        connection.send((kind, content))

    with Grader(terms.settings(), launcher) as grader:
        say("ready")
        while True:
            task = connection.recv()
            say("outcome", grade_person(grader, task, terms, lambda: say("part")))
