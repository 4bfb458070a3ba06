"""Gradients that a notebook takes from autograd instead of deriving them: by which name, on which line.

A notebook runs freely, so its text is all there is to look at. A submission is guarded where it runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from grader.admission.sentences import leads_to_autograd


@dataclass(frozen=True)
class AutogradUse:
    """The name that leads to autograd, as the learner wrote it, and its line."""

    door: str
    line: int


def autograd_use(tree: ast.AST) -> AutogradUse | None:
    """The first way in which `tree` takes gradients from autograd; None where it does not."""
    nodes = list(ast.walk(tree))
    off = {id(leaf.func) for leaf in nodes if isinstance(leaf, ast.Call) and ast.unparse(leaf).endswith("(False)")}
    for leaf in nodes:
        for said, path in _paths(leaf):
            if id(leaf) not in off and leads_to_autograd(path):
                return AutogradUse(said, getattr(leaf, "lineno", 1))
    return None


def _paths(leaf: ast.AST) -> Iterator[tuple[str, str]]:
    """What a node asks for: as it is written, and as a path of names."""
    match leaf:
        case ast.Attribute(attr=name, ctx=ast.Load()):
            yield f".{name}", name
        case ast.keyword(arg="requires_grad", value=ast.expr() as value) if ast.unparse(value) != "False":
            yield "requires_grad", "requires_grad"
        case ast.Call(func=ast.Name("getattr"), args=[_, ast.Constant(str() as name), *_]):
            yield ast.unparse(leaf), name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            module = getattr(leaf, "module", None)
            paths = [".".join(filter(None, (module, alias.name))) for alias in names]
            yield from ((ast.unparse(leaf), path) for path in paths if path.startswith(("torch", "functorch")))
