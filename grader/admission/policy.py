"""Compiles what a worker runs of a submission: statements, the places of gradients, and edits of them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import CodeType
from typing import Any, Literal


def compile_answer(
    text: str,
    filename: str,
    mode: Literal["exec", "eval"] = "exec",
    line: int = 1,
    rewrite: Callable[[ast.Module], None] | None = None,
) -> CodeType:
    """Code of `text`, whose first line is `line` of its file, as `rewrite` leaves its tree.

    Raises:
        SyntaxError: it is no Python.
    """
    tree: Any = ast.parse(text, mode=mode)
    ast.increment_lineno(tree, line - 1)
    if rewrite is not None:
        rewrite(tree)
    code: CodeType = compile(tree, filename, mode)
    return code
