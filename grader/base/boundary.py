"""One file among many: what goes wrong with it, or takes too long, costs that file and no other."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from grader.base.errors import DojoError, NotGradedError

FILE_SECONDS = 60.0
"""How long one file may take by the clock, from reading it to its last verdict, unless another limit is chosen."""

FILE_MEMORY = 4 << 30
"""Bytes that reading and judging one file may take beside what the process holds before."""

_AGAIN_SECONDS = 2.0


class _OverrunError(BaseException):
    """No Exception: whoever handles those must not handle this one."""


class Clock:
    """How long one file has been worked on, in seconds. `limit` is how long it may be."""

    def __init__(self, limit: float = FILE_SECONDS) -> None:
        self.limit = limit
        self._used = 0.0
        self._begun: float | None = None

    @property
    def used(self) -> float:
        """The seconds that have run so far, those of the part that runs now included."""
        return self._used + (0.0 if self._begun is None else time.monotonic() - self._begun)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Let the clock run while the block does, and interrupt the block where the time is used up."""
        self._begun = time.monotonic()
        try:
            with _alarm(self.limit - self._used):
                yield
        finally:
            self._used, self._begun = self.used, None


@contextlib.contextmanager
def one_file(path: Path, clock: Clock, memory: int | None = FILE_MEMORY) -> Iterator[None]:
    """Work on one file: a block that may take what `clock` has left, and `memory` bytes (None: any number).

    In a thread that is not the main one there is no limit of time, for Python interrupts no other.

    Raises:
        NotGradedError: it took too long or too much memory, or the grader broke.
        DojoError: whatever the block itself complains of.
    """
    try:
        with clock.running(), _bounded_memory(memory):
            yield
    except DojoError:
        raise
    except _OverrunError:
        raise NotGradedError(f"{path}: takes too long to grade, more than {clock.limit:.0f} s") from None
    except MemoryError:
        raise NotGradedError(f"{path}: takes too much memory to grade") from None
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        raise NotGradedError(
            f"{path}: the grader itself broke on this file ({type(error).__name__}, {Path(at.filename).name}, "
            f"line {at.lineno}); please report that, with the file"
        ) from error


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _OverrunError in the block after so many seconds. An alarm that is set already and comes first stays."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    if seconds <= 0:
        raise _OverrunError
    set_before, again = signal.getitimer(signal.ITIMER_REAL)
    if 0 < set_before <= seconds:
        yield
        return
    handler, begun = signal.signal(signal.SIGALRM, _overrun), time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        if set_before:
            signal.setitimer(signal.ITIMER_REAL, max(set_before - (time.monotonic() - begun), 0.001), again)


def _overrun(_number: int, _frame: FrameType | None) -> None:
    raise _OverrunError


@contextlib.contextmanager
def _bounded_memory(more: int | None) -> Iterator[None]:
    held = address_space()
    if more is None or not held:
        yield
        return
    import resource  # Linux has it where it can say what a process holds

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = [limit for limit in (soft, hard, held + more) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def address_space() -> int:
    """Bytes of address space that this process holds; 0 where that cannot be known."""
    if sys.platform != "linux":
        return 0
    import resource

    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
