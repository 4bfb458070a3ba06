"""One statement as a tree: what each part of it is for, and its text with one part replaced."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_SHAPES_ONLY = {"ones_like", "zeros_like", "empty_like"}


@dataclass(frozen=True)
class Scope:
    """What a statement may name: tensors by shape, which of them are gradients, and which are finished."""

    shapes: Mapping[str, tuple[int, ...]]
    gradients: frozenset[str]
    finished: frozenset[str]
    own: frozenset[str] = frozenset()
    """Names of the learner's own that are no gradients."""
    sizes: tuple[str, ...] = ("n",)
    """Names of whole numbers that the forward pass and the answers divide by, the batch first."""


@dataclass
class Statement:
    """One parsed statement, with the way up from each node."""

    text: str
    scope: Scope
    tree: ast.stmt = field(init=False)
    up: dict[int, ast.AST] = field(init=False)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text).body[0]
        self.up = {id(c): node for node in ast.walk(self.tree) for c in ast.iter_child_nodes(node)}

    def above(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """(parent, child) from `node` to the root."""
        while (parent := self.up.get(id(node))) is not None:
            yield parent, node
            node = parent

    def in_exponent(self, node: ast.AST) -> bool:
        return any(is_operation(p, ast.Pow) and p.right is c for p, c in self.above(node))

    def in_arguments(self, node: ast.AST) -> bool:
        """Inside a call's arguments or an index: it says where or over what, and is no number of the formula."""
        return any(
            (isinstance(p, ast.Call) and p.func is not c) or (isinstance(p, ast.Subscript) and p.slice is c)
            for p, c in self.above(node)
        )

    def shape_only(self, node: ast.AST) -> bool:
        """Read for its shape and not for its numbers."""
        return any(
            (isinstance(p, ast.Attribute) and p.attr in ("shape", "numel"))
            or (isinstance(p, ast.Call) and called(p) in _SHAPES_ONLY)
            for p, _ in self.above(node)
        )

    def _counted(self, node: ast.AST) -> bool:
        """Read for the number of its elements."""
        return isinstance(parent := self.up.get(id(node)), ast.Attribute) and parent.attr in ("shape", "numel")

    def role(self, node: ast.AST) -> str:
        """What a factor is: `upstream`, `constant`, `ones`, or `local` for any other forward value."""
        names = {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name) and not self._counted(leaf)}
        if names & self.scope.gradients:
            return "upstream"
        if any(isinstance(leaf, ast.Call) and called(leaf) == "ones_like" for leaf in ast.walk(node)):
            return "ones"
        return "local" if names & (self.scope.shapes.keys() | self.scope.own) else "constant"

    def replaced(self, node: ast.AST, new: ast.AST | None) -> str:
        """The statement's text with one node replaced; None removes a keyword."""
        memo: dict[int, object] = {}
        root = ast.Module([copy.deepcopy(self.tree, memo)], [])
        target = memo[id(node)]
        for parent in ast.walk(root):
            for name, value in ast.iter_fields(parent):
                if value is target:
                    setattr(parent, name, new)
                elif isinstance(value, list) and any(item is target for item in value):
                    kept = [new if item is target else item for item in value]
                    setattr(parent, name, [item for item in kept if item is not None])
        return ast.unparse(ast.fix_missing_locations(root))


def is_operation(node: ast.AST, *operators: type[ast.operator]) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, operators)


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
