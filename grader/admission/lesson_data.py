"""What an answer gets where it reads the data itself: the lesson's, by whatever function it asks for a file.

`open("names.txt")`, `Path("names.txt").read_text()`, `requests.get(...).text` and their like open nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from grader.admission import policy
from grader.admission.sentences import not_a_builtin
from grader.admission.silent import Silent

DATA = "__data__"
"""The name under which a submission's namespace holds what the lesson gave it."""

_FILES = ("name", "word", "input", "data", "text", "shakespeare")
_FEWEST, _MOST = 10, 1500
"""A list of so many texts is data; an answer that reads more than so many takes long and learns nothing of them."""


def data_in(namespace: Mapping[str, Any]) -> str | None:
    """The data of a lesson, as the text of a file: its first list of texts, a line each, or its longest text."""
    for value in namespace.values():
        if isinstance(value, list) and len(value) >= _FEWEST and all(type(each) is str for each in value):
            return "\n".join(_fewer(value)) + "\n"
    texts = [value for value in namespace.values() if isinstance(value, str) and "\n" in value]
    return max(texts, key=len, default=None)


def _fewer(lines: list[str]) -> list[str]:
    """The first of them, and those that bring a letter more."""
    kept = lines[:_MOST]
    known = set("".join(kept))
    for line in lines[_MOST:]:
        if not known.issuperset(line):
            kept.append(line)
            known |= set(line)
    return kept


class Text(str):
    """The text of the data; `decode` is for those who asked for bytes."""

    __slots__ = ()

    def decode(self, *_: object, **__: object) -> Text:
        """Itself: it is text already."""
        return self


class DataFile(Silent):
    """The data as a file, an answer of a server, or a table; whatever else it is asked, it does nothing."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._lines = text.splitlines(keepends=True)
        self.text = self.content = Text(text)

    def read(self, *_: object) -> Text:
        """All of it."""
        return self.text

    read_text = read_bytes = read

    def readlines(self) -> list[str]:
        """Its lines, each with its end."""
        return list(self._lines)

    def tolist(self) -> list[str]:
        """Its lines, as those of a table's column."""
        return self.text.splitlines()

    to_list = tolist

    def __getattr__(self, name: str) -> Any:
        return self if name in ("values", "iloc", "loc", "str", "columns", "index") else super().__getattr__(name)

    def __getitem__(self, key: object) -> DataFile:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(self._lines)

    def __enter__(self) -> DataFile:
        return self


class DataPath:
    """`pathlib.Path`, of which only the last name counts."""

    def __init__(self, *parts: object) -> None:
        self._path = PurePosixPath(*map(str, parts))

    def __truediv__(self, part: object) -> DataPath:
        return DataPath(self, part)

    def __str__(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        """True, so that nothing is fetched."""
        return True

    is_file = is_dir = exists

    def mkdir(self, *_: object, **__: object) -> None:
        """Makes nothing."""

    def open(self, mode: str = "r", *_: object, **__: object) -> DataFile:
        """As `opened`."""
        return opened(self, mode)

    def read_text(self, *_: object, **__: object) -> Text:
        """All of the data."""
        return opened(self).text

    read_bytes = read_text


def opened(path: object, mode: object = "r", *_: object, **__: object) -> DataFile:
    """The data, where `path` may be its file's and it is to be read."""
    last = PurePosixPath(str(path)[:1000].partition("?")[0]).name.lower()
    if not isinstance(path, (str, DataPath)) or mode not in ("r", "rt", "rb") or not any(w in last for w in _FILES):
        raise not_a_builtin("open")
    frame: Any = sys._getframe()
    while frame is not None and frame.f_code.co_filename != policy.SUBMISSION:
        frame = frame.f_back
    text = None if frame is None else data_in(frame.f_globals.get(DATA, {}))
    if text is None:
        raise not_a_builtin("open")
    return DataFile(text)


def _array(path: object, *_: object, **__: object) -> Any:
    return np.array(opened(path).tolist())


def _asked(path: object, *_: object, **__: object) -> DataFile:
    """The data for an address, or for a table's file."""
    return opened(path)


MEMBERS: Mapping[str, Mapping[str, Any]] = {
    "numpy": {"loadtxt": _array, "genfromtxt": _array},
    "pandas": {"read_csv": _asked, "read_table": _asked},
    "pathlib": {"Path": DataPath},
    "requests": {"get": _asked},
    "urllib.request": {"urlopen": _asked, "urlretrieve": Silent()},
}
"""Members of modules that give the data."""
