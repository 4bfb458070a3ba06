"""IPython writes the value of a cell's last line below it; below what `cmp` shows, that would be a stray True."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any


class _WithoutEcho(ast.NodeTransformer):
    """Turns a last line that is a bare call of `function` into a statement, which has no value to write."""

    def __init__(self, function: Callable[..., bool], namespace: dict[str, Any]) -> None:
        self.function = function
        self.namespace = namespace

    def visit_Module(self, tree: ast.Module) -> ast.Module:
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and self._is_meant(last.value.func):
            quiet = ast.If(test=last.value, body=[ast.Pass()], orelse=[])
            tree.body[-1] = ast.fix_missing_locations(ast.copy_location(quiet, last))
        return tree

    def _is_meant(self, called: ast.expr) -> bool:
        # By identity: a function of the learner's own that has the same name keeps its echo.
        return isinstance(called, ast.Name) and self.namespace.get(called.id) is self.function


def without_echo(function: Callable[..., bool]) -> None:
    """In IPython, let cells that end in a bare call of `function` write no value; elsewhere nothing is needed."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        shell.ast_transformers.append(_WithoutEcho(function, shell.user_ns))
