"""Files of the results folder: names that cannot collide, writing that survives a power cut, one writer at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import unicodedata
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from grader.base.errors import DojoError

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_LONGEST_SLUG = 60
_locks: weakref.WeakSet[BinaryIO] = weakref.WeakSet()
# A process that is forked here would hold the lock after this one is killed.
os.register_at_fork(after_in_child=lambda: [file.close() for file in _locks])


def file_name(submission: str, version: int = 1, whole_digest: bool = False) -> str:
    """The file name for a submission, whatever it is called.

    Small letters and digits stay as they are. Everything else, capitals too (some disks do not tell them apart),
    gets a digest of the whole name after a `~`, which no plain name holds.
    """
    if _PLAIN.fullmatch(submission) and not whole_digest:
        name = submission
    else:
        ascii_only = unicodedata.normalize("NFKD", submission).encode("ascii", "ignore").decode()
        slug = re.sub(r"[^A-Za-z0-9]+", "_", ascii_only).strip("_")[:_LONGEST_SLUG]
        digest = sha256(submission.encode("utf-8", "surrogatepass"))
        name = f"{slug or 'submission'}~{digest if whole_digest else digest[:16]}"
    return f"{name}.json" if version == 1 else f"{name}~v{version}.json"


def sha256(content: bytes) -> str:
    """The checksum by which a changed submission is known, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def text_digest(files: Iterable[bytes]) -> str:
    """The same for files that say the same, whatever their names, their line ends, and what a notebook keeps beside."""
    said = sorted(sha256("\n".join(_said(content)).encode("utf-8", "surrogatepass")) for content in files)
    return sha256("".join(said).encode()) if said else ""


def _said(content: bytes) -> Iterator[str]:
    text = content.decode("utf-8", "backslashreplace")
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    for line in text.splitlines():
        if line.strip():
            yield line.rstrip()


def matches(path: Path, digest: str) -> bool:
    """True where the file is there and is what `digest` was made of."""
    try:
        return sha256(path.read_bytes()) == digest
    except OSError:
        return False


def part_of(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(f".{path.name}.part")


def write_flushed(path: Path, content: bytes) -> None:
    """Write a file down to the disk; none is left where that fails."""
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def append_flushed(path: Path, line: bytes) -> None:
    """Append a line down to the disk; the file is as it was where that fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        before = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)


def locked(folder: Path) -> BinaryIO:
    """The folder's lock file; closing it, or the end of the process, gives the lock back.

    Raises:
        DojoError: another process holds it.
    """
    file = (folder / ".lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DojoError(
            f"{folder}: another `dojo batch` is writing to it; wait for its end, or name another folder"
        ) from None
    _locks.add(file)
    return file
