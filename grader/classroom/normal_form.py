"""One form for lines that differ in spaces, comments, spelling and the learner's own names only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_SPELLED = {"mm": "matmul", "t": "T", "keepdims": "keepdim", "axis": "dim", "divide": "div", "multiply": "mul"}
_OPERATORS: dict[str, type[ast.operator]] = {
    "matmul": ast.MatMult, "mul": ast.Mult, "div": ast.Div, "add": ast.Add, "sub": ast.Sub, "pow": ast.Pow,
}  # fmt: skip
_MODULES = frozenset({"torch", "F", "nn", "np", "numpy", "math"})
_REDUCTIONS = frozenset("sum mean max min amax amin prod var std softmax log_softmax logsumexp cumsum".split())
_QUOTES = re.compile("[\"']")
_DEEPEST = 60
_CACHED = 200_000

Tree = tuple[str, tuple["Tree | str", ...]]
"""A node's kind and its parts; a name that is not the exercise's is `("own", (name,))`."""


@dataclass(frozen=True)
class Line:
    """One simple statement: its `form`, with a number for each name of the learner's own; and what it writes, or ""."""

    form: str
    target: str


@lru_cache(maxsize=_CACHED // 10)
def simple_statements(text: str) -> tuple[str, ...]:
    """The texts of the statements that hold no others, in order; none where `text` is not Python."""
    if "\n" not in text:
        # Comments are what differs most: without them a line that was seen need not be read again.
        return (text if _QUOTES.search(text) else text.split("#")[0].rstrip(),)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    lines = [line.encode() for line in text.split("\n")]
    return tuple(_cut(lines, node).decode() for node in _leaves(tree.body))


def _cut(lines: list[bytes], node: ast.stmt) -> bytes:
    """Its source; `ast.get_source_segment` splits the whole text anew for each."""
    end, stop = node.end_lineno or node.lineno, node.end_col_offset
    if end == node.lineno:
        return lines[end - 1][node.col_offset : stop]
    return b"\n".join([lines[node.lineno - 1][node.col_offset :], *lines[node.lineno : end - 1], lines[end - 1][:stop]])


def _leaves(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        blocks = [getattr(node, name, None) for name in ("body", "orelse", "finalbody")]
        inner = [child for block in blocks if isinstance(block, list) for child in block]
        if inner:
            yield from _leaves(inner)
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return)):
            yield node


@lru_cache(maxsize=_CACHED)
def normal_line(text: str, known: frozenset[str]) -> Line | None:
    """The normal form of one simple statement; None for stubs, strings and what has no form.

    `known` are the names that the exercise gives: they stay as they are.
    """
    try:
        (node,) = ast.parse(text).body
        tree = _Normal(known).statement(node)
        return None if tree is None else Line(_written(tree, {}), _target(node))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _target(node: ast.stmt) -> str:
    target: ast.AST | None = None
    if isinstance(node, ast.Assign):
        target = node.targets[0]
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        target = node.target
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        target = node.value.func  # `dC.index_add_(...)` writes dC
    while isinstance(target, (ast.Subscript, ast.Attribute)):
        target = target.value
    return target.id if isinstance(target, ast.Name) else ""


def _written(tree: Tree | str, names: dict[str, int] | None = None) -> str:
    """The tree as text, own names numbered as they come; without `names` all alike, as the order of a sum goes by."""
    if isinstance(tree, str):
        return tree
    kind, parts = tree
    if kind == "own":
        return "$" if names is None else f"${names.setdefault(str(parts[0]), len(names))}"
    return f"{kind}({','.join(_written(part, names) for part in parts)})" if parts else kind


class _Normal:
    """Builds the tree of one statement."""

    def __init__(self, known: frozenset[str]) -> None:
        self.known = known
        self.depth = 0

    def statement(self, node: ast.stmt) -> Tree | None:
        if isinstance(node, ast.AugAssign):
            return ("=", (self.tree(node.target), self._operation(node.op, [node.target, node.value])))
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            if isinstance(node.value, ast.Constant) and node.value.value is ...:
                return None
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return ("=", (*map(self.tree, targets), self.tree(node.value)))
        if isinstance(node, (ast.Expr, ast.Return)) and node.value and not isinstance(node.value, ast.Constant):
            return ("do", (self.tree(node.value),))
        return None

    def tree(self, node: ast.AST) -> Tree:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise RecursionError
        try:
            return self._tree(node)
        finally:
            self.depth -= 1

    def _tree(self, node: ast.AST) -> Tree:
        if isinstance(node, ast.Name):
            return (node.id, ()) if node.id in self.known else ("own", (node.id,))
        if isinstance(node, ast.Constant):
            value = node.value
            return (repr(int(value) if isinstance(value, float) and value.is_integer() else value), ())
        if isinstance(node, ast.BinOp):
            return self._operation(node.op, [node.left, node.right])
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Attribute):
            return (f".{_SPELLED.get(node.attr, node.attr)}", (self.tree(node.value),))
        if isinstance(node, ast.keyword):
            return (f"{_SPELLED.get(node.arg or '**', node.arg or '**')}=", (self.tree(node.value),))
        return (type(node).__name__, tuple(self._fields(node)))

    def _fields(self, node: ast.AST) -> Iterator[Tree | str]:
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "kind", "type_comment"):
                continue
            for child in value if isinstance(value, list) else [value]:
                yield self.tree(child) if isinstance(child, ast.AST) else repr(child)

    def _operation(self, op: ast.operator, operands: list[ast.expr]) -> Tree:
        kind = type(op).__name__
        if not isinstance(op, (ast.Add, ast.Mult)):
            return (kind, tuple(self.tree(operand) for operand in operands))
        parts: list[Tree | str] = []
        for operand in operands:
            tree = self.tree(operand)
            parts += tree[1] if tree[0] == kind else (tree,)
        return (kind, tuple(sorted(parts, key=_written)))

    def _call(self, node: ast.Call) -> Tree:
        """`torch.sum(x, 0)`, `x.sum(0)` and `x.sum(axis=0)` alike."""
        arguments = list(node.args)
        if isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, node.func.value
            if not (isinstance(owner, ast.Name) and owner.id in _MODULES):
                arguments.insert(0, owner)
        elif isinstance(node.func, ast.Name) and node.func.id in self.known:
            name = node.func.id
        else:
            return ("call", (self.tree(node.func), *map(self.tree, [*node.args, *node.keywords])))
        name = _SPELLED.get(name, name)
        if name in _OPERATORS and len(arguments) == 2 and not node.keywords:
            return self._operation(_OPERATORS[name](), arguments)
        if name == "T" and len(arguments) == 1:
            return (".T", (self.tree(arguments[0]),))
        keywords = {_SPELLED.get(k.arg or "**", k.arg or "**"): k.value for k in node.keywords}
        if name in _REDUCTIONS:
            for place, keyword in enumerate(("dim", "keepdim"), start=1):
                if keyword in keywords and len(arguments) == place:
                    arguments.append(keywords.pop(keyword))
        named = [(f"{key}=", (self.tree(value),)) for key, value in sorted(keywords.items())]
        return (f"call {name}", (*map(self.tree, arguments), *named))
