"""Training loops as people write them: which are counted, and so can be run at a few chosen steps."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from grader.syntax.scopes import (
    assigned_names,
    called_names,
    changed_place,
    child_nodes,
    names_below,
    nodes_below,
    root_name,
)

Loop = ast.For | ast.While

_PARAMETERS = "parameters"
_FEWEST_FORWARD_NAMES = 3
"""A loop that assigns so many tensors of the forward pass runs it."""


@dataclass(frozen=True, eq=False)
class LoopNames:
    """A loop, the names that it assigns and those of what it calls, and the loops inside it.

    `drawn` are those of the names that it and the loops inside it draw, such as `b` of `for b in range(B)`.
    """

    node: Loop
    assigned: frozenset[str]
    drawn: frozenset[str]
    called: frozenset[str]
    inner: tuple[LoopNames, ...]

    def with_calls(self, made_by: Mapping[str, frozenset[str]]) -> LoopNames:
        """The same loop with what the functions that it calls assign (`made_by`) as its own."""
        assigned = self.assigned.union(*(made_by[name] for name in self.called if name in made_by))
        inner = tuple(loop.with_calls(made_by) for loop in self.inner)
        return LoopNames(self.node, assigned, self.drawn, self.called, inner)


def loops_below(node: ast.AST) -> tuple[LoopNames, ...]:
    """The outermost loops at or below `node`, each with those inside it."""
    inner = tuple(loop for child in child_nodes(node) for loop in loops_below(child))
    if not isinstance(node, Loop):
        return inner
    called = frozenset(called_names(nodes_below(node)))
    drawn = assigned_names(node.target) if isinstance(node, ast.For) else set[str]()
    drawn = drawn.union(*(loop.drawn for loop in inner))
    return (LoopNames(node, frozenset(assigned_names(node)), frozenset(drawn), called, inner),)


def as_counted(loop: Loop) -> ast.For | None:
    """The loop as a `for` over what it counts: `while step < max_steps:` is `for step in range(step, max_steps):`.

    Its own `step += 1` stays in the body and does no harm. None where it cannot be told what a `while` counts.
    """
    if isinstance(loop, ast.For):
        return loop
    test = loop.test
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.left, ast.Name)):
        return None
    if test.left.id not in {name for child in loop.body for name in assigned_names(child)}:
        return None
    end = ast.unparse(test.comparators[0])
    match test.ops[0]:
        case ast.Lt() | ast.NotEq():
            counted = f"range({test.left.id}, {end})"
        case ast.LtE():
            counted = f"range({test.left.id}, {end} + 1)"
        case _:
            return None
    target = ast.Name(test.left.id, ast.Store())
    items = ast.parse(counted, mode="eval").body
    return ast.copy_location(ast.For(target, items, loop.body, loop.orelse), loop)


def why_not_stepwise(loop: Loop, forward: Collection[str], trained: Collection[str]) -> str | None:
    """What keeps a training loop from being run step by step, in words; None where nothing does.

    A loop inside it may run the forward pass on parts of the batch, where the update stands below that.
    """
    if isinstance(loop, ast.While) and as_counted(loop) is None:
        return f"how many steps `while {ast.unparse(loop.test)}:` makes is not to be seen"
    for leaf in (
        leaf for child in loop.body if not _updates_after(child, loop, trained) for leaf in nodes_below(child)
    ):
        if isinstance(leaf, Loop) and len(assigned_names(leaf) & set(forward)) >= _FEWEST_FORWARD_NAMES:
            return "it has a loop of steps inside another loop"
    return None


def _updates_after(child: ast.stmt, loop: Loop, trained: Collection[str]) -> bool:
    """Whether the parameters are updated in the body of a loop below one of its statements."""
    below = loop.body[loop.body.index(child) + 1 :]
    leaves = [leaf for statement in below for leaf in nodes_below(statement)]
    places = (changed_place(leaf) for leaf in leaves)
    changed = {root_name(place) for place in places if place is not None}
    drawn = {
        name
        for leaf in leaves
        if isinstance(leaf, ast.For) and _PARAMETERS in names_below(leaf.iter)
        for name in assigned_names(leaf.target)
    }
    return bool(changed & {*trained, _PARAMETERS, *drawn})
