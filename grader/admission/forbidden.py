"""Whether a notebook takes gradients from autograd instead of deriving them.

A notebook runs freely, so its text is all there is to look at. A submission is guarded where it runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from grader.admission.sentences import leads_to_autograd


def takes_from_autograd(tree: ast.AST) -> bool:
    """True where something in `tree` leads to gradients by autograd."""
    nodes = list(ast.walk(tree))
    off = {id(leaf.func) for leaf in nodes if isinstance(leaf, ast.Call) and ast.unparse(leaf).endswith("(False)")}
    return any(leads_to_autograd(path) for leaf in nodes if id(leaf) not in off for path in _paths(leaf))


def _paths(leaf: ast.AST) -> Iterator[str]:
    """What a node asks for, as a path of names."""
    match leaf:
        case ast.Attribute(attr=name, ctx=ast.Load()):
            yield name
        case ast.keyword(arg="requires_grad", value=ast.expr() as value) if ast.unparse(value) != "False":
            yield "requires_grad"
        case ast.Call(func=ast.Name("getattr"), args=[_, ast.Constant(str() as name), *_]):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            module = getattr(leaf, "module", None)
            paths = (".".join(filter(None, (module, alias.name))) for alias in names)
            yield from (path for path in paths if path.startswith(("torch", "functorch")))
