"""Words that depend on a number, and lines that depend on the terminal's width."""

from __future__ import annotations

import shutil
import sys
import textwrap


def counted(number: float, noun: str, many: str = "") -> str:
    """`1 lesson`, `2 lessons`, `1,000 lessons`; `many` is the plural where it is not made with an s."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def at_line(line: int, cell: int | None) -> str:
    """`line 12`, or in cell 3 of a notebook `cell 3, line 2`."""
    return f"line {line}" if cell is None else f"cell {cell}, line {line}"


def fitted(text: str) -> str:
    """The text with each line that is wider than the terminal broken between words; as it is where none listens."""
    if sys.stdout is None or not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    lines = []
    for line in text.split("\n"):
        inset = " " * (len(line) - len(line.lstrip()))
        whole = len(line) <= width
        broken = textwrap.wrap(line, width, subsequent_indent=inset, break_long_words=False, break_on_hyphens=False)
        lines += [line] if whole else broken
    return "\n".join(lines)
