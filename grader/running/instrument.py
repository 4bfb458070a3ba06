"""Rewrites a submission's functions so that each gradient inside them is handed over after its last write."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from typing import Any

from grader.reading.attempts import is_open_block, is_stub
from grader.reading.gradient_names import Names
from grader.syntax.inert_calls import drop_inert_calls
from grader.syntax.loops import Loop, as_counted
from grader.syntax.scopes import FUNCTIONS, assigned_names, called_name, nodes_below, statements_below

HAND_OVER = "__hand_over__"
RAISED = "__raised__"
STEPS = "__steps__"
_TOGETHER = {"enumerate": "__enumerate__", "zip": "__zip__"}
"""What numbers or pairs the items of a hooked loop, by what the submission writes."""
FORWARD = "forward:"
"""Before the name of a forward tensor that is passed on as a gradient is."""


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
    for function in statements_below(tree):
        if isinstance(function, FUNCTIONS):
            function.body = _hooked_body(function.body, places, names)


def hook_loops(tree: ast.Module, lines: Collection[int], names: Names, forward: Mapping[str, str]) -> None:
    """Let the loops that begin on `lines` take their steps from the judge, and pass on each gradient of their body and
    of the functions.

    `forward` maps the submission's names for forward tensors to the lesson's: one that an inner loop uses for something
    else, such as `ix`, is passed on before.
    """
    drop_inert_calls(tree, names.own_functions)
    loops = _Loops(lines, names, forward)
    for function in statements_below(tree):
        if isinstance(function, FUNCTIONS):
            function.body = loops.passed_on(function.body)
    loops.visit(tree)


def loop_names(
    steps: Callable[..., Any],
    hand_over: Callable[..., Any],
    *,
    numbered: Callable[..., Any] = enumerate,
    paired: Callable[..., Any] = zip,
) -> dict[str, Callable[..., Any]]:
    """All the names that `hook_loops` puts into a submission, and what each calls there."""
    return {STEPS: steps, HAND_OVER: hand_over, _TOGETHER["enumerate"]: numbered, _TOGETHER["zip"]: paired}


class _Loops(ast.NodeTransformer):
    def __init__(self, lines: Collection[int], names: Names, forward: Mapping[str, str]) -> None:
        self.lines = lines
        self.names = names
        self.forward = forward

    def visit(self, node: ast.AST) -> Any:
        """No loop stands in an expression, and most nodes are those of expressions."""
        return node if isinstance(node, ast.expr) else super().visit(node)

    def _visit_loop(self, node: Loop) -> ast.AST:
        self.generic_visit(node)
        counted = as_counted(node) if node.lineno in self.lines else None
        if counted is None:
            return node
        self._number_apart(counted.iter)
        counted.iter = ast.Call(ast.Name(STEPS, ast.Load()), [counted.iter], [])
        counted.body = self.passed_on(counted.body)
        return counted

    def _number_apart(self, items: ast.expr) -> None:
        """Let `enumerate` and `zip` in the head of a loop be those of a loop whose steps the judge chooses."""
        if isinstance(items, ast.Call) and (called := called_name(items)) in {*_TOGETHER, "tqdm"}:
            for part in items.args:
                self._number_apart(part)
            if isinstance(items.func, ast.Name) and called not in self.names.own_functions:
                items.func.id = _TOGETHER.get(called, called)

    visit_For = _visit_loop
    visit_While = _visit_loop

    def passed_on(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """`body` with a line after the last write of each gradient that a statement of its own writes."""
        written = [self.names.written(nodes_below(statement)) for statement in body]
        last = {tensor: index for index, found in enumerate(written) for tensor in found}
        reused = {name for later in body if isinstance(later, ast.For) for name in assigned_names(later)}
        result: list[ast.stmt] = []
        for index, statement in enumerate(body):
            result.append(statement)
            if isinstance(statement, ast.Assign):
                shadowed = sorted(reused & assigned_names(statement) & self.forward.keys())
                result += [_hand_over(f"{FORWARD}{self.forward[name]}", name, statement) for name in shadowed]
            if isinstance(statement, ast.With):
                statement.body = self.passed_on(statement.body)
            elif len(written[index]) == 1:
                result += [_hand_over(t, place, statement) for t, place in written[index].items() if last[t] == index]
        return result


def _hook_block(block: ast.stmt, places: Mapping[str, str], names: Names) -> None:
    for part in ("body", "orelse", "finalbody"):
        body = getattr(block, part, None)
        if body:
            setattr(block, part, _hooked_body(body, places, names))


def _hooked_body(body: list[ast.stmt], places: Mapping[str, str], names: Names) -> list[ast.stmt]:
    written = [
        {}
        if isinstance(each, (*FUNCTIONS, ast.ClassDef, ast.Return)) or is_stub(each)
        else names.written(nodes_below(each))
        for each in body
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
    if not tensors or any(isinstance(leaf, leaves) for leaf in nodes_below(statement)):
        return statement
    listed = ", ".join(repr(tensor) for tensor in sorted(tensors))
    guard = ast.parse(f"try:\n    pass\nexcept Exception as __error__:\n    {RAISED}(({listed},), __error__)").body[0]
    assert isinstance(guard, ast.Try)
    for leaf in nodes_below(guard):
        if hasattr(leaf, "lineno"):
            ast.copy_location(leaf, statement)
    guard.body = [statement]
    return guard


def _hand_over(tensor: str, place: str, after: ast.stmt) -> ast.stmt:
    line = after.end_lineno or after.lineno
    above = "\n" * (line - 1)
    return ast.parse(f"{above}{place} = {HAND_OVER}({tensor!r}, lambda: {place}, {after.lineno})").body[0]
