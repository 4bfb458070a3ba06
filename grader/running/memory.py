"""Lays out memory beforehand: that of a process that forks many others, and what one that waits will need."""

from __future__ import annotations

import ctypes
from pathlib import Path

_LARGE_PAGE, _MADV_COLLAPSE = 1 << 21, 25
_PIECES = (*(int(100_000 * 0.8**step) for step in range(21)), *range(1000, 16, -16))
"""Bytes, from large to small. What is larger lies apart, and is given back when it is freed."""
_MOST_PIECES = 100_000
_TRIM_THRESHOLD, _MOST_MAPPED_APART, _NEVER = -1, -4, (1 << 31) - 1
"""Two parameters of glibc's `mallopt`, and a size that none has."""


def settle_memory() -> None:
    """Call it once, right before the first fork. It does nothing where there is no Linux."""
    maps = Path("/proc/self/maps")
    if maps.exists():
        use_up_free_pieces()
        _in_large_pages(maps.read_text(encoding="utf-8", errors="replace"))


def use_up_free_pieces() -> None:
    """Take what lies free between things in use, and never give it back. Else each process that is forked would put
    what it makes there, and copy a page for each piece; so it puts all in one place. It is some 300 kB."""
    system = ctypes.CDLL(None)
    system.malloc.argtypes, system.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    system.sbrk.restype = ctypes.c_void_p
    end = system.sbrk(0)
    for size in _PIECES:
        for _ in range(_MOST_PIECES):
            if (system.malloc(size) or end) >= end:  # it was not there before
                break


def have_at_hand(size: int) -> None:
    """Take `size` bytes from the system, and keep them for what is made next: of 300 MB the pages take 0.2 s, and what
    is done with them 0.05. It does nothing where the C library is not glibc."""
    system = ctypes.CDLL(None)
    if size and hasattr(system, "gnu_get_libc_version"):
        system.mallopt(_MOST_MAPPED_APART, 0)
        system.mallopt(_TRIM_THRESHOLD, _NEVER)
        system.malloc.argtypes, system.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
        system.free.argtypes = [ctypes.c_void_p]
        if (block := system.malloc(size)) is not None:
            ctypes.memset(block, 0, size)
            system.free(block)


def most_held(pid: int) -> int:
    """The most bytes that a process has held in memory so far; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def _in_large_pages(maps: str) -> None:
    """Let the memory of this process lie in large pages, where Linux has them: each fork copies 100 entries for it, and
    not 20,000, which halves what a fork costs."""
    advise = ctypes.CDLL(None).madvise
    for line in maps.splitlines():
        addresses, access, _, _, inode, *_ = line.split()
        first, last = (int(address, 16) for address in addresses.split("-"))
        first, last = -(-first // _LARGE_PAGE) * _LARGE_PAGE, last // _LARGE_PAGE * _LARGE_PAGE
        if access == "rw-p" and inode == "0" and first < last:
            advise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_COLLAPSE)
