"""Folders of strangers: no link is followed out of them, and nothing but plain files is opened."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from grader.base.errors import DojoError
from grader.base.files import MAX_BYTES
from grader.base.visible import printable
from grader.batch.items import Item, too_large

DEEPEST = 20


def walk(root: Path) -> Iterator[Item]:
    """Every file and folder below `root`, in order, with what must not be opened as a problem.

    Raises:
        DojoError: `root` cannot be read.
    """
    waiting: list[tuple[Path, tuple[str, ...]]] = [(root, ())]
    while waiting:
        folder, parts = waiting.pop()
        try:
            found = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            if not parts:
                raise DojoError(f"{root}: cannot be read ({error.strerror})") from None
            yield Item(parts, _label(parts), problem=f"cannot be read ({error.strerror})")
            continue
        for entry in reversed(found):
            inner = (*parts, entry.name)
            if entry.is_dir(follow_symlinks=False):
                if len(inner) > DEEPEST:
                    yield Item(inner, _label(inner), problem=f"lies more than {DEEPEST} folders deep; not looked into")
                    continue
                yield Item(inner, _label(inner), is_folder=True)
                waiting.append((folder / entry.name, inner))
            else:
                yield _item(root, entry, inner)


def _item(root: Path, entry: os.DirEntry[str], parts: tuple[str, ...]) -> Item:
    label = _label(parts)
    if entry.is_symlink():
        with contextlib.suppress(OSError, RuntimeError):  # a circle of links, told in one way or the other
            if len(parts) > 1 and Path(entry.path).resolve(strict=True).is_relative_to((root / parts[0]).resolve()):
                return Item(parts, label, is_folder=True)  # what it leads to is found where it lies
        problem = "a link that leads out of the submission, or nowhere; hand in the file itself"
        return Item(parts, label, problem=problem)
    if not entry.is_file(follow_symlinks=False):
        return Item(parts, label, problem="not a plain file; not opened")
    return Item(parts, label, partial(read_plain_file, Path(entry.path), label))


def _label(parts: tuple[str, ...]) -> str:
    return printable("/".join(parts))


def read_plain_file(path: Path, label: str) -> bytes:
    """The content of a plain file; a pipe or a device is not opened for it would wait for ever.

    Raises:
        DojoError: not a plain file, too large, or it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DojoError(f"{label}: not a plain file; not opened")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DojoError(f"{label}: cannot be read ({error.strerror})") from None
    if len(content) > MAX_BYTES:
        raise too_large(label, MAX_BYTES)
    return content
