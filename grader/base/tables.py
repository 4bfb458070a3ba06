"""Tables as CSV: written so that a spreadsheet runs nothing of them, and read whatever marks their columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from grader.base.errors import DojoError
from grader.base.files import read_text
from grader.base.visible import visible

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Iterable[object]], *, guard: bool = True) -> str:
    """Rows as CSV. With `guard`, text that a spreadsheet would take for a formula gets an apostrophe before it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for row in rows:
        writer.writerow([_cell(value) if guard and isinstance(value, str) else value for value in row])
    return file.getvalue()


def _cell(text: str) -> str:
    text = text if text.isascii() and text.isprintable() else visible(text, keep="")
    return f"'{text}" if text.startswith(_FORMULA) else text


def read_table(path: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The headings and the rows of a CSV file, whose columns commas, semicolons or tabs divide.

    Raises:
        DojoError: it cannot be read as one.
    """
    text = read_text(path).lstrip("\n")
    heading = text.split("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=heading.count), restval="", strict=True)
    try:
        columns = tuple(column.strip() for column in reader.fieldnames or ())
        reader.fieldnames = list(columns)
        return columns, [
            {key: (value or "").strip() for key, value in row.items() if key is not None} for row in reader
        ]
    except csv.Error as error:
        raise DojoError(f"{path}: not a CSV file ({error})") from None
