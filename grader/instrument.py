"""Rewrites a submission's functions so that each gradient inside them is handed over after its last write."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from grader.effects import field_name, root_name

HAND_OVER = "__hand_over__"
RAISED = "__raised__"


def hook_functions(tree: ast.Module, places: Mapping[str, str], names: Mapping[str, str]) -> None:
    """Insert the hand-overs into every function below `tree`, in place.

    `places` maps each tensor that is judged inside a function to the expression that holds its gradient;
    `names` maps every gradient name to its tensor.
    """
    if not places:
        return
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            function.body = _hooked_body(function.body, places, names)
    ast.fix_missing_locations(tree)


def _hooked_body(body: list[ast.stmt], places: Mapping[str, str], names: Mapping[str, str]) -> list[ast.stmt]:
    last: dict[str, int] = {}
    written = [_gradients_written(statement, names) & places.keys() for statement in body]
    for index, tensors in enumerate(written):
        last.update(dict.fromkeys(tensors, index))
    result: list[ast.stmt] = []
    for index, statement in enumerate(body):
        result.append(_guarded(statement, written[index]) if written[index] else statement)
        for tensor, at in last.items():
            if at == index:
                result.append(_hand_over(tensor, places[tensor], statement))
    return result


def _guarded(statement: ast.stmt, tensors: set[str]) -> ast.stmt:
    if any(isinstance(leaf, (ast.Return, ast.Break, ast.Continue)) for leaf in ast.walk(statement)):
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
    for leaf in ast.walk(hook):
        if hasattr(leaf, "lineno"):
            leaf.lineno = leaf.end_lineno = line  # type: ignore[attr-defined]
    return hook


def _gradients_written(statement: ast.stmt, names: Mapping[str, str]) -> set[str]:
    """The tensors whose gradients a statement stores to or changes in place."""
    found: set[str] = set()
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.Return)):
        return found
    for leaf in ast.walk(statement):
        name: str | None = None
        if isinstance(leaf, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(leaf.ctx, ast.Store):
            name = field_name(leaf)
            if name not in names:
                name = root_name(leaf)
        elif isinstance(leaf, ast.Call) and isinstance(leaf.func, ast.Attribute):
            in_place = leaf.func.attr.endswith("_") and not leaf.func.attr.startswith("_")
            name = root_name(leaf.func) if in_place else None
        if name is not None and name in names:
            found.add(names[name])
    return found
