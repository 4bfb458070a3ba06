"""Zip files of strangers: nothing is unpacked to disk, and what is read is bounded by the bytes that come out."""

from __future__ import annotations

import contextlib
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from grader.base.errors import DojoError
from grader.base.files import MAX_BYTES
from grader.base.visible import printable
from grader.batch.items import Item, too_large

MOST_MEMBERS = 200_000
MOST_UNPACKED = 8 << 30
"""Bytes that are unpacked from one archive in all: 10,000 notebooks of 800 kB."""

_WINDOWS = 0
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


class Archive:
    """An open zip file."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            DojoError: it cannot be read as a zip file.
        """
        self.path = path
        self.unpacked = 0
        try:
            self._zip = zipfile.ZipFile(path)
        except UnicodeDecodeError:
            raise DojoError(
                f"{path}: a name in it is not UTF-8 though it says so; unpack it, and give the folder"
            ) from None
        except _BROKEN as error:
            raise DojoError(f"{path}: not a readable zip file ({error})") from None
        if len(self._zip.infolist()) > MOST_MEMBERS:
            self.close()
            raise DojoError(f"{path}: holds more than {MOST_MEMBERS:,} files; give it in parts")

    def close(self) -> None:
        """Close the file; what was read from it stays."""
        self._zip.close()

    def items(self) -> Iterator[Item]:
        """Its members; what must not be read is there with its problem."""
        members = self._zip.infolist()
        times = Counter(member.filename for member in members)
        for member in members:
            name = _name(member)
            label, outside = printable(name), _leads_out(name)
            inner = tuple(part for part in name.split("/") if part not in ("", "."))
            parts = (name,) if outside else inner or (".",)  # what has no name is nobody's
            if name.endswith("/") and not outside:
                yield Item(parts, label, is_folder=True)
            else:
                problem = _problem(member, name, times[member.filename])
                yield Item(parts, label, partial(self._read, member, label), problem)

    def _read(self, member: zipfile.ZipInfo, label: str) -> bytes:
        if self.unpacked > MOST_UNPACKED:
            raise DojoError(f"{label}: not read, for the archive unpacks to more than {MOST_UNPACKED / 1e9:.0f} GB")
        try:
            with self._zip.open(member) as file:
                content = file.read(MAX_BYTES + 1)
        except _BROKEN as error:
            raise DojoError(f"{label}: damaged in the archive ({printable(str(error))}); download it again") from None
        self.unpacked += len(content)
        if len(content) > MAX_BYTES:
            raise too_large(label, MAX_BYTES)
        return content


def _name(member: zipfile.ZipInfo) -> str:
    """The name, read as UTF-8 where it is that though the archive does not say so, as macOS packs it.

    Windows PowerShell packs with backslashes between folders.
    """
    name = member.filename
    if not member.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/") if member.create_system == _WINDOWS and "/" not in name else name


def _leads_out(name: str) -> bool:
    return name.startswith(("/", "\\")) or name[1:2] == ":" or ".." in name.replace("\\", "/").split("/")


def _problem(member: zipfile.ZipInfo, name: str, times: int) -> str:
    if _leads_out(name):
        return "a name that leads out of the archive; not read"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a link; hand in the file itself"
    if member.flag_bits & 0x1:
        return "encrypted; hand it in without a password"
    if times > 1:
        return f"stands {times} times in the archive; not read, for nobody knows which one counts"
    if member.compress_type not in _METHODS:
        return "packed in a way that is not read; pack it with an ordinary zip program"
    return ""
