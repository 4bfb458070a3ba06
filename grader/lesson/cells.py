"""A lesson's cells of code, read as Python."""

from __future__ import annotations

import ast
from pathlib import Path

from grader.base.errors import DojoError
from grader.syntax.source import Cell


def body_of(cell: Cell, path: Path) -> list[ast.stmt]:
    """The statements of a cell of the lesson in `path`.

    Raises:
        DojoError: Python cannot read it; the file and the line are named.
    """
    try:
        return ast.parse(cell.text).body
    except SyntaxError as error:
        line = cell.line + (error.lineno or 1) - 1
        called = " ".join([*cell.tags, "cell"])
        raise DojoError(f"{path}:{line}: Python cannot read the {called} ({error.msg})") from None
