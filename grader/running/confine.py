"""What a process that runs strangers' code may still do: a ladder from limits alone to no file and no call."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from grader.base.children import bare_environment, python_command
from grader.base.errors import DojoError
from grader.running.limits import Limits

ISOLATION_LEVELS = ("basic", "partial", "full")
"""`basic`: a process of its own, limits, a bare environment. `full`: beside that, no file but what Python and torch
read (Landlock), and no system call but what tensor algebra makes (seccomp): no socket, no process, no thread, no
signal. `partial`: Landlock alone, or seccomp alone where there is no Landlock."""

_OPEN_FILES, _FILE_BYTES = 64, 16_000_000
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_CUDA_READS, _CUDA_WRITES = ("/proc", "/sys"), "/dev/nvidia*"

_CALLS = """
    read readv pread64 write writev lseek close dup fcntl
    openat open stat lstat fstat newfstatat statx access faccessat faccessat2 readlink readlinkat getcwd getdents64
    mmap munmap mprotect mremap madvise brk
    futex futex_waitv sched_yield sched_getaffinity set_robust_list get_robust_list rseq membarrier
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall
    recvfrom sendto poll ppoll select pselect6 nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time
    prlimit64 getpid gettid getppid getuid geteuid getgid getegid getrandom getrusage times uname sysinfo getcpu
    exit exit_group
""".split()
"""What Python and torch call while they compute. Everything else fails with "Operation not permitted"."""

_ALL_BITS = (1 << 64) - 1
_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)
"""Duplicate, read and set flags. What makes the kernel send signals (F_SETOWN) is not among them."""

_ONLY_WHERE: Mapping[str, Sequence[tuple[int, int, int]]] = {
    "openat": [(2, _TO_WRITE, 0)],
    "open": [(1, _TO_WRITE, 0)],
    "fcntl": [(1, _ALL_BITS, command) for command in _FCNTL_COMMANDS],
    "sendto": [(4, _ALL_BITS, 0)],  # to no address: the judge alone hears a worker
    "prlimit64": [(2, _ALL_BITS, 0)],  # limits may be read, for glibc does, and never set
}
"""Calls that are let through only with certain arguments: which argument, which of its bits count, what they are."""


@dataclass(frozen=True)
class Offer:
    """What this machine has: `files` kept in by Landlock, `calls` by seccomp."""

    files: bool
    calls: bool

    @property
    def level(self) -> str:
        """The isolation level that this adds up to: `basic`, `partial` or `full`."""
        return ISOLATION_LEVELS[self.files + self.calls]


def highest_isolation() -> str:
    """The highest level that this machine offers, found out by standing on it in a process that ends at once."""
    return offer().level


@lru_cache(maxsize=1)
def offer() -> Offer:
    """What a trial process was kept from, not what the kernel promises."""
    if sys.platform != "linux":
        return Offer(files=False, calls=False)
    trial = python_command("from grader.running.confine import try_out; print(try_out())")
    ran = subprocess.run(trial, env=bare_environment(), capture_output=True, text=True, check=False)
    return Offer(files="files" in ran.stdout, calls="calls" in ran.stdout)


def try_out() -> str:
    """Confine this process for good, and tell of `files` and `calls` which it is kept from."""
    kept = []
    filtered = None
    with contextlib.suppress(Exception):
        filtered = call_filter()
    with contextlib.suppress(Exception):
        confine_files()
        if not _succeeds(lambda: next(Path("/").iterdir())):
            kept.append("files")
    with contextlib.suppress(Exception):
        confine_calls(filtered)
        if not _succeeds(lambda: os.kill(os.getpid(), 0)):
            kept.append("calls")
    return " ".join(kept)


def level_on(isolation: str, device: str) -> str:
    """The level that workers on this device stand on: CUDA needs calls that seccomp's filter refuses, so `partial`."""
    return isolation if device == "cpu" else min(isolation, "partial", key=ISOLATION_LEVELS.index)


def check_isolation(asked: str, required: str | None = None, offered: str | None = None) -> str:
    """The level to stand on: `asked`, or the highest of this machine; where others grade, the highest that all offer.

    Raises:
        DojoError: there is no such level, or the machine does not offer it or not the one that is required.
    """
    for name in (asked, required or "basic"):
        if name not in (*ISOLATION_LEVELS, "highest"):
            raise DojoError(f"isolation {name!r} is unknown; choose one of: {', '.join(ISOLATION_LEVELS)}, highest")
    if asked == "basic" and required in (None, "basic"):
        return "basic"
    here = offered or highest_isolation()
    needed = max(
        (name for name in (asked, required) if name in ISOLATION_LEVELS), key=ISOLATION_LEVELS.index, default="basic"
    )
    if ISOLATION_LEVELS.index(here) < ISOLATION_LEVELS.index(needed):
        where = "here" if offered is None else "on every worker"
        raise DojoError(
            f"isolation {needed} is not to be had {where}, only {here}: it takes Linux 6.7 or newer with Landlock, "
            "libseccomp, and pip install 'backprop-dojo[isolation]'"
        )
    return here if asked in ("highest", "basic") else asked


def leave_surroundings() -> None:
    """A bare environment and no folder of anybody, for this process and all that it forks."""
    kept = bare_environment()
    os.environ.clear()
    os.environ.update(kept)
    os.chdir("/")


def confine_process(limits: Limits, held: int, *, threads: bool = False) -> None:
    """A session of its own, and limits. `held` is what `address_space()` gave.

    `threads` leaves threads and address space unlimited: CUDA needs both.
    """
    import resource  # not there on Windows, where DojoError tells so before this runs

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    bounds = {
        resource.RLIMIT_CPU: int(limits.seconds) + 2,
        resource.RLIMIT_FSIZE: _FILE_BYTES,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if not threads:
        bounds[resource.RLIMIT_NPROC] = 0
        if held:
            bounds[resource.RLIMIT_AS] = held + limits.memory
    for limit, value in bounds.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))


def confine_files(*, cuda: bool = False) -> None:
    """Keep this process and all that it forks from every file but those that Python and torch read.

    Raises:
        ImportError: sandlock is not installed.
        sandlock.SandlockError: the kernel does not offer it.
    """
    import sandlock  # only those who ask for a layer wait for it

    readable = [path for path in _read_by_python() if Path(path).exists()]
    writable = [str(path) for path in Path("/").glob(_CUDA_WRITES[1:])] if cuda else []
    sandlock.confine(sandlock.Sandbox(fs_readable=[*readable, *(_CUDA_READS if cuda else ())], fs_writable=writable))


def confine_calls(filtered: Any) -> None:
    """Keep this process from every system call that `filtered`, a `call_filter()`, does not let through.

    Raises:
        OSError: the kernel does not offer it.
    """
    _drop_capabilities()
    filtered.load()


def call_filter() -> Any:
    """A filter that lets through what tensor algebra calls. Make it before `confine_files`: it looks for a library.

    Raises:
        ImportError, RuntimeError: pyseccomp or the system's libseccomp is not installed.
    """
    import pyseccomp

    rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(1))
    for name in _CALLS:
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) < 0:
            continue  # this machine's architecture has no such call
        if name not in _ONLY_WHERE:
            rules.add_rule(pyseccomp.ALLOW, name)
        for argument, bits, value in _ONLY_WHERE.get(name, ()):
            rules.add_rule(pyseccomp.ALLOW, name, pyseccomp.Arg(argument, pyseccomp.MASKED_EQ, bits, value))
    return rules


def _drop_capabilities() -> None:
    """Root without its powers, for a grader that runs as root in a container. Version 3 of the kernel's structure."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())


def _read_by_python() -> list[str]:
    package = Path(__file__).resolve().parents[1]
    installed = {Path(module.__file__).resolve().parents[1] for module in _loaded() if module.__file__}
    return sorted({sys.prefix, sys.base_prefix, str(package), *_SYSTEM_LIBRARIES, *map(str, installed)})


def _loaded() -> list[Any]:
    """Packages that may be installed elsewhere than in the prefix, as with `pip install --user`."""
    return [module for name in ("torch", "numpy") if (module := sys.modules.get(name)) is not None]


def _succeeds(attempt: Any) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True
