"""Files of learners: read with care, written whole or not at all, and never lost."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from grader.base.errors import DojoError

MAX_BYTES = 20_000_000
"""A larger file is refused: a notebook with every picture of a lesson stays under 5 MB."""


def read_text(path: Path, content: bytes | None = None) -> str:
    """The file, or `content`, as text: UTF-8, with or without a byte-order mark, any line ends.

    Raises:
        DojoError: no such file, no regular file, larger than `MAX_BYTES`, or not UTF-8.
    """
    raw = _read_bytes(path) if content is None else content
    _refuse_large(path, len(raw))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DojoError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_bytes(path: Path) -> bytes:
    """At most one byte more than `MAX_BYTES`."""
    _refuse_large(path, regular_file(path).st_size)
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DojoError(f"{path}: cannot be read ({error.strerror})") from None


def regular_file(path: Path) -> os.stat_result:
    """What is known of a file that can be read to its end.

    Raises:
        DojoError: there is none, or it is a folder, a pipe or a device, which may never end.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DojoError(f"{path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(status.st_mode):
        what = "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no regular file"
        raise DojoError(f"{path}: cannot be read ({what})")
    return status


def refuse_link(file: Path, named: Collection[Path] = ()) -> None:
    """A link may lead to any file of the one who grades. `named` are the paths of the call, in which files are found.

    Raises:
        DojoError: the file is a link, or lies behind one in the folder that was named, or that folder is one.
    """
    roots = [path for path in named if file.is_relative_to(path)]
    within = len(roots[0].parts) if roots else len(file.parts)
    for place in (file, *file.parents):
        if len(place.parts) >= max(within, 1) and place.is_symlink():
            raise DojoError(f"{file}: is a link; hand in the file itself")


def _refuse_large(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise DojoError(
            f"{path}: {size / 1e6:.0f} MB is too large; at most {MAX_BYTES / 1e6:.0f} MB are read "
            "(clear the outputs of the notebook and save it again)"
        )


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside the file and rename, so that a full disk or Ctrl-C leaves the old file whole.

    Raises:
        OSError: it cannot be written; the error names `path`.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
        if path.exists():
            shutil.copymode(path, temporary)
        else:
            Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def told_if_unwritable(path: Path) -> Iterator[None]:
    """Write in this block.

    Raises:
        DojoError: that `path` cannot be written, and why, in place of Python's own error.
    """
    try:
        yield
    except OSError as error:
        raise DojoError(f"{path}: cannot be written ({error.strerror})") from None


def keep_copy(path: Path) -> Path:
    """Copy a file to `NAME.bak`, or to the first of `NAME.bak.2`, ... that is free."""
    copy, number = path.with_name(f"{path.name}.bak"), 1
    while copy.exists():
        number += 1
        copy = path.with_name(f"{path.name}.bak.{number}")
    try:
        shutil.copy2(path, copy)
    except BaseException:
        copy.unlink(missing_ok=True)  # a part of the file must not pass for a copy of it
        raise
    return copy


FileStamp = tuple[int, int, int]


def file_stamp(path: Path) -> FileStamp:
    """Time, size and inode, by which a change of a file is noticed; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
