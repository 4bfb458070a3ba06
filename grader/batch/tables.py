"""Tables of people as spreadsheets save them: columns divided by whatever mark, letters in whatever encoding."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from grader.base.errors import DojoError
from grader.base.files import read_text, regular_file
from grader.base.visible import printable
from grader.batch.folders import read_plain_file

_GUESS = "cp1252"
_SEPARATOR = re.compile(r'\n*"?sep=(.)"?\n', re.IGNORECASE)
"""The first line by which Excel is told what divides the columns."""

_MOST_WORDS = 12


@dataclass(frozen=True)
class Table:
    """`rows` by heading. `guess` says how letters were read that may be others, a sentence; empty where none may be."""

    columns: tuple[str, ...]
    rows: list[dict[str, str]]
    guess: str = ""


def read_table(path: Path) -> Table:
    """The headings and the rows of a CSV file, whose columns commas, semicolons or tabs divide.

    Raises:
        DojoError: it cannot be read as one, or a row has more cells than there are headings.
    """
    regular_file(path)
    content, guessed = _in_utf8(path, read_plain_file(path, str(path)))
    text = read_text(path, content)
    said = _SEPARATOR.match(text)
    start = said.end() if said else len(text) - len(text.lstrip("\n"))
    above, text = text[:start].count("\n"), text[start:]
    heading = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=said[1] if said else max(",;\t", key=heading.count), strict=True)
    columns: tuple[str, ...] = ()
    rows: list[dict[str, str]] = []
    line = above + 1
    try:
        columns = tuple(cell.strip() for cell in next(reader, ()))
        line = above + reader.line_num + 1
        for cells in reader:
            begun, line = line, above + reader.line_num + 1
            texts = [cell.strip() for cell in cells]
            if any(texts[len(columns) :]):
                raise DojoError(
                    f"{path}:{begun}: has {len(texts)} cells, and the first line {len(columns)}; a cell with "
                    f"{'a comma' if reader.dialect.delimiter == ',' else 'the mark between columns'} in it stands in "
                    "quotation marks"
                )
            if texts:
                rows.append(dict.fromkeys(columns, "") | dict(zip(columns, texts, strict=False)))
    except csv.Error as error:
        raise DojoError(f"{path}:{line}: from here on not a CSV file ({error}); look at its quotation marks") from None
    return Table(columns, rows, _told(path, text, above) if guessed else "")


def _in_utf8(path: Path, content: bytes) -> tuple[bytes, bool]:
    """The content in UTF-8, and whether its encoding is a guess; as it is where nothing can be guessed."""
    if content.startswith(b"PK\3\4"):
        raise DojoError(f"{path}: is a workbook, not a table as text; save it as CSV UTF-8")
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # what Excel calls Unicode text
    for encoding in ("utf-16",) if marked else ("utf-8", _GUESS) if b"\0" not in content else ():
        with contextlib.suppress(UnicodeDecodeError):
            return content.decode(encoding).encode(), encoding == _GUESS
    return content, False


def _told(path: Path, text: str, above: int) -> str:
    """Which words a guess may have made wrong: whoever knows these people sees it, and nobody else can."""
    lines = enumerate(text.split("\n"), start=above + 1)
    words = [f"line {n}: {word}" for n, line in lines for word in re.findall(r"[^\s,;\"]*[^\x00-\x7f][^\s,;\"]*", line)]
    listed = ", ".join(map(printable, words[:_MOST_WORDS])) + (", ..." if len(words) > _MOST_WORDS else "")
    return (
        f"{path}: is not UTF-8, so it is read as Windows-1252, as Excel on Windows saves it; look whether these are "
        f"right: {listed}. If not, save it as CSV UTF-8"
    )
