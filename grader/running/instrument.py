"""Rewrites a submission's functions so that each gradient inside them is handed over after its last write."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from grader.reading.attempts import is_open_block
from grader.reading.gradient_names import Names
from grader.syntax.inert_calls import drop_inert_calls
from grader.syntax.scopes import FUNCTIONS

HAND_OVER = "__hand_over__"
RAISED = "__raised__"


def hook_gradients(tree: ast.Module, places: Mapping[str, str], names: Names) -> None:
    """Insert the hand-overs into every function and open block below `tree`, in place.

    `places` maps each tensor that is judged inside to the expression that holds its gradient.
    """
    drop_inert_calls(tree, names.own_functions)
    if not places:
        return
    for statement in tree.body:
        if is_open_block(statement):
            _hook_block(statement, places, names)
    for function in ast.walk(tree):
        if isinstance(function, FUNCTIONS):
            function.body = _hooked_body(function.body, places, names)
    ast.fix_missing_locations(tree)


def _hook_block(block: ast.stmt, places: Mapping[str, str], names: Names) -> None:
    for part in ("body", "orelse", "finalbody"):
        body = getattr(block, part, None)
        if body:
            setattr(block, part, _hooked_body(body, places, names))


def _hooked_body(body: list[ast.stmt], places: Mapping[str, str], names: Names) -> list[ast.stmt]:
    written = [
        {} if isinstance(statement, (*FUNCTIONS, ast.ClassDef, ast.Return)) else names.written(ast.walk(statement))
        for statement in body
    ]
    last = {tensor: index for index, found in enumerate(written) for tensor in found if tensor in places}
    result: list[ast.stmt] = []
    for index, statement in enumerate(body):
        ending = [tensor for tensor, at in last.items() if at == index]
        if is_open_block(statement):
            _hook_block(statement, {tensor: places[tensor] for tensor in ending}, names)
            result.append(statement)
        else:
            result.append(_guarded(statement, written[index].keys() & places.keys()))
        result += [_hand_over(tensor, written[index][tensor], statement) for tensor in ending]
    return result


def _guarded(statement: ast.stmt, tensors: set[str]) -> ast.stmt:
    leaves = (ast.Return, ast.Break, ast.Continue)
    if not tensors or any(isinstance(leaf, leaves) for leaf in ast.walk(statement)):
        return statement
    listed = ", ".join(repr(tensor) for tensor in sorted(tensors))
    guard = ast.parse(f"try:\n    pass\nexcept Exception as __error__:\n    {RAISED}(({listed},), __error__)").body[0]
    assert isinstance(guard, ast.Try)
    for leaf in ast.walk(guard):
        if hasattr(leaf, "lineno"):
            ast.copy_location(leaf, statement)
    guard.body = [statement]
    return guard


def _hand_over(tensor: str, place: str, after: ast.stmt) -> ast.stmt:
    line = after.end_lineno or after.lineno
    hook = ast.parse(f"{place} = {HAND_OVER}({tensor!r}, lambda: {place}, {after.lineno})").body[0]
    return ast.increment_lineno(hook, line - 1)
