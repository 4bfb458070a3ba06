"""Prints, checks and calls of autograd whose results nobody reads: what of a submission need not run."""

from __future__ import annotations

import ast
from collections.abc import Collection

from grader.syntax.scopes import FUNCTIONS, called_name, statements_below

INERT_CALLS = frozenset(
    {"print", "cmp", "display", "live_losses", "backward", "retain_grad", "requires_grad_", "zero_grad", "zero_grad_"}
)
"""The functions and methods of which nobody reads what they give."""


def drop_inert_calls(tree: ast.AST, own_functions: Collection[str]) -> None:
    """Take prints, checks and calls of autograd whose results nobody reads out of functions and loops, in place.

    `own_functions` stay: a submission's own `backward` is no autograd.
    """
    for block in statements_below(tree):
        if isinstance(block, (*FUNCTIONS, ast.For, ast.While)):
            block.body = _without_inert_calls(block.body, own_functions)


def _without_inert_calls(body: list[ast.stmt], own_functions: Collection[str]) -> list[ast.stmt]:
    kept: list[ast.stmt] = []
    for statement in body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and called_name(call) in INERT_CALLS - set(own_functions):
            continue
        if isinstance(statement, (ast.For, ast.With, ast.If)):
            statement.body = _without_inert_calls(statement.body, own_functions)
            otherwise = [] if isinstance(statement, ast.With) else statement.orelse
            if all(isinstance(child, ast.Pass) for child in [*statement.body, *otherwise]):
                continue
        kept.append(statement)
    return kept or [ast.copy_location(ast.Pass(), body[0])]
