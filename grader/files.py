"""Files of learners: written whole or not at all, and never lost."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write beside the file and rename, so that a full disk or Ctrl-C leaves the old file whole."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        if path.exists():
            shutil.copymode(path, temporary)
        else:
            Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def keep_copy(path: Path) -> Path:
    """Copy a file to `NAME.bak`, or to the first of `NAME.bak.2`, ... that is free."""
    copy, number = path.with_name(f"{path.name}.bak"), 1
    while copy.exists():
        number += 1
        copy = path.with_name(f"{path.name}.bak.{number}")
    shutil.copy2(path, copy)
    return copy


FileStamp = tuple[int, int, int]


def file_stamp(path: Path) -> FileStamp:
    """Time, size and inode, by which a change of a file is noticed; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
