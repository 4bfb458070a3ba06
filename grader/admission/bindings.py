"""What the names of a submission stand for, as far as its text tells: modules, and what is taken from them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from grader.admission.admitted_names import GRADIENTS_OFF, MODULES, TYPES, is_stand_in
from grader.syntax.scopes import FUNCTIONS

_TYPES = {*(f"torch.{name}" for name in TYPES), "numpy.ndarray", "types.SimpleNamespace"}
_CLASSES = {"torch.nn.Module", "torch.nn.Parameter", "typing.NamedTuple"}
SPECIAL = frozenset({*_TYPES, *_CLASSES, *(f"torch.{name}" for name in GRADIENTS_OFF)})
"""What may stand in some places only: as a type, as a base class, after `with`."""

PROVIDED = {
    "torch": "torch",
    "F": "torch.nn.functional",
    "nn": "torch.nn",
    "np": "numpy",
    "numpy": "numpy",
    "math": "math",
    "random": "random",
    "plt": "matplotlib.pyplot",
    "tqdm": "tqdm.tqdm",
    "trange": "tqdm.trange",
}
"""What the names that a worker provides stand for."""

_COMPOUND = (*FUNCTIONS, ast.ClassDef, ast.For, ast.While, ast.If, ast.With, ast.Try)


def is_module(path: str) -> bool:
    return path in MODULES


def dotted(node: ast.expr) -> tuple[ast.Name, list[ast.Attribute]] | None:
    """The name that `a.b.c` begins with, and its attributes from left to right; None for other expressions."""
    attributes: list[ast.Attribute] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node)
        node = node.value
    return (node, attributes) if isinstance(node, ast.Name) else None


class Bindings:
    """For each name the dotted paths that statements which run bind it to, in whatever order they run.

    `inner` are the names that an import or an alias binds in a function, a class or a block.
    """

    def __init__(self, trees: Iterable[ast.Module]) -> None:
        self.paths: dict[str, set[str]] = {name: {path} for name, path in PROVIDED.items()}
        self.inner: set[str] = set()
        self.stored: set[str] = set()
        self.classes: set[str] = set()
        aliases: list[tuple[str, ast.expr, bool]] = []
        for tree in trees:
            for node, inside in _binders(tree):
                if isinstance(node, ast.Assign):
                    aliases += [(t.id, node.value, inside) for t in node.targets if isinstance(t, ast.Name)]
                elif isinstance(node, ast.Import):
                    for alias in node.names:
                        first = alias.name.split(".")[0]
                        self._bind(alias.asname or first, alias.name if alias.asname else first, inside)
                elif isinstance(node, ast.ImportFrom):
                    for alias in node.names:
                        self._bind(alias.asname or alias.name, f"{node.module}.{alias.name}", inside)
        for name, value, inside in aliases:
            for path in self.resolve(value):
                if is_module(path) or path in SPECIAL or is_stand_in(path):
                    self._bind(name, path, inside)

    def _bind(self, name: str, path: str, inside: bool) -> None:
        self.paths.setdefault(name, set()).add(path)
        if inside:
            self.inner.add(name)

    def resolve(self, node: ast.expr) -> set[str]:
        """The paths that an expression such as `nn.functional` stands for; none where it is no module's."""
        found = dotted(node)
        if found is None:
            return set()
        root, attributes = found
        return {".".join([path, *(a.attr for a in attributes)]) for path in self.paths.get(root.id, ())}


def _binders(tree: ast.Module) -> Iterator[tuple[ast.stmt, bool]]:
    """Imports and possible aliases, with whether they stand inside of another statement."""
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)) or _may_alias(node):
            yield node, False
        elif isinstance(node, _COMPOUND):
            for leaf in ast.walk(node):
                if isinstance(leaf, (ast.Import, ast.ImportFrom)) or _may_alias(leaf):
                    yield leaf, True  # type: ignore[misc]


def _may_alias(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.value, (ast.Name, ast.Attribute))
