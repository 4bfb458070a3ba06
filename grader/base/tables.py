"""Tables as CSV, written so that a spreadsheet runs nothing of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

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
