"""Rewrites a submission's functions so that each gradient inside them is handed over after its last write."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from grader.attempts import is_open_block
from grader.naming import Names
from grader.scopes import FUNCTIONS, called_name

HAND_OVER = "__hand_over__"
RAISED = "__raised__"
_INERT_CALLS = frozenset(
    {"print", "cmp", "display", "live_losses", "backward", "retain_grad", "requires_grad_", "zero_grad", "zero_grad_"}
)


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


def drop_inert_calls(tree: ast.AST, own_functions: Collection[str]) -> None:
    """Take prints, checks and calls of autograd whose results nobody reads out of functions and loops, in place.

    `own_functions` stay: a submission's own `backward` is no autograd.
    """
    for block in ast.walk(tree):
        if isinstance(block, (*FUNCTIONS, ast.For, ast.While)):
            block.body = _without_inert_calls(block.body, own_functions)


def _without_inert_calls(body: list[ast.stmt], own_functions: Collection[str]) -> list[ast.stmt]:
    kept: list[ast.stmt] = []
    for statement in body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and called_name(call) in _INERT_CALLS - set(own_functions):
            continue
        if isinstance(statement, (ast.For, ast.With, ast.If)):
            statement.body = _without_inert_calls(statement.body, own_functions)
            otherwise = [] if isinstance(statement, ast.With) else statement.orelse
            if all(isinstance(child, ast.Pass) for child in [*statement.body, *otherwise]):
                continue
        kept.append(statement)
    return kept or [ast.copy_location(ast.Pass(), body[0])]


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
