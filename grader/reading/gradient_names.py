"""Which names and places of a submission hold which gradient."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from grader.syntax.effects import Effects
from grader.syntax.scopes import changed_place, field_name, root_name, viewed_name
from grader.syntax.source import Source, Statement

if TYPE_CHECKING:
    from grader.reading.alignment import Alignment

_CONVENTIONAL = re.compile(r"^(d|g_)|grad", re.IGNORECASE)


@dataclass
class Names:
    """`by_name` maps names, attributes and keys (`dlogits`) to tensors; `by_place` the fields (`['h']` of
    `grads['h']`) that `cmp` calls name, except those of `caches`, which hold forward tensors under such keys.
    `own_functions` are the functions and methods of the submission. `given` are its names for tensors of the lesson,
    which get their values.
    """

    by_name: dict[str, str] = field(default_factory=dict)
    by_place: dict[str, str] = field(default_factory=dict)
    caches: frozenset[str] = frozenset()
    own_functions: frozenset[str] = frozenset()
    given: Mapping[str, str] = field(default_factory=dict)

    def find(self, node: ast.AST) -> tuple[str, str] | None:
        """(tensor, expression) of the gradient that `node` is or is a part of, such as `dC[ix]` of `dC`."""
        while True:
            if isinstance(node, ast.Name):
                tensor = self.by_name.get(node.id)
                return None if tensor is None else (tensor, node.id)
            if isinstance(node, (ast.Attribute, ast.Subscript)):
                tensor = self.by_name.get(field_name(node) or "")
                if tensor is None and self.by_place and root_name(node) not in self.caches:
                    tensor = self.by_place.get(_without_root(node))
                if tensor is not None:
                    return tensor, ast.unparse(node)
                node = node.value
            elif isinstance(node, ast.Call):
                node = node.func
            elif isinstance(node, ast.Starred):
                node = node.value
            else:
                return None

    def named_by(self, names: Iterable[str], fields: Iterable[str]) -> set[str]:
        """The tensors whose gradients these names, attributes and keys hold."""
        found = {self.by_name[name] for name in names if name in self.by_name}
        if self.by_place:
            places = (place for name in fields for place in (f"[{name!r}]", f".{name}"))
            found |= {self.by_place[place] for place in places if place in self.by_place}
        return found

    def written(self, nodes: Iterable[ast.AST]) -> dict[str, str]:
        """tensor -> expression, for each gradient that one of `nodes` stores to or changes in place."""
        found: dict[str, str] = {}
        for leaf in nodes:
            target = changed_place(leaf)
            if target is not None and (place := self.find(target)) is not None:
                found[place[0]] = place[1]
        return found


Compared = tuple[int, ast.expr, str]
"""What a call of `cmp` compares: statement, value, tensor."""


def find_names(
    source: Source, effects: list[Effects], tensors: set[str], alignment: Alignment
) -> tuple[Names, list[Compared]]:
    """The gradient names of a submission: `dlogits`, what `cmp` calls name, what its own names for the tensors give,
    and loose spellings. With them come the calls of `cmp`."""
    own = frozenset(function.node.name for function in source.functions)
    names = Names({"d" + tensor: tensor for tensor in tensors}, caches=_caches(source), own_functions=own)
    written = {name for e in effects for name in e.writes | e.fields}
    written = written.union(*(function.assigned | function.fields for function in source.functions))
    compared = [
        (index, value, tensor)
        for index, statement in enumerate(source.statements)
        for value, tensor in _compared(statement, tensors)
    ]
    compared_with: dict[str, set[str]] = defaultdict(set)
    for _, value, tensor in compared:
        if isinstance(value, ast.Name):
            compared_with[value.id].add(tensor)
        elif field_name(value) not in {None, "grad", *names.by_name}:
            names.by_place[_without_root(value)] = tensor
    for name, meant in compared_with.items():
        if len(meant) == 1 and _CONVENTIONAL.search(name):
            names.by_name.setdefault(name, next(iter(meant)))
    for mine, theirs in alignment.single.items():
        if theirs in tensors and f"d{theirs}" not in written and f"d{mine}" in written:
            names.by_name.setdefault(f"d{mine}", theirs)
    names.given = alignment.given
    _add_loose_spellings(names.by_name, written, tensors)
    return names, compared


def _without_root(node: ast.expr) -> str:
    """`['h']` for `grads['h']`, `.h` for `self.h`; other expressions as they are."""
    if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.value, ast.Name):
        return ast.unparse(node)[len(node.value.id) :]
    return ast.unparse(node)


def _caches(source: Source) -> frozenset[str]:
    """Names of dicts and objects that hold forward tensors: those with `cache["h"] = h` somewhere."""
    found = set()
    for statement in source.statements:
        for leaf in statement.nodes:
            if isinstance(leaf, ast.Assign) and isinstance(leaf.value, ast.Name):
                found |= {root_name(t) for t in leaf.targets if field_name(t) == leaf.value.id}
    return frozenset(name for name in found if name is not None)


def _add_loose_spellings(by_name: dict[str, str], written: set[str], tensors: set[str]) -> None:
    held = {tensor for name, tensor in by_name.items() if name in written}
    loose = loosely(tensors - held)
    for name in written - by_name.keys() - tensors:
        if (tensor := gradient_of(name, loose)) is not None:
            by_name[name] = tensor


def loosely(tensors: Iterable[str]) -> dict[str, str]:
    """The tensors by what is left of their names without underscores and capitals."""
    return {tensor.replace("_", "").lower(): tensor for tensor in tensors}


def gradient_of(name: str, loose: Mapping[str, str]) -> str | None:
    """Which of `loosely` named tensors this is the gradient of, by its name alone: logits for `grad_logits`."""
    return loose.get(normalised(name)) if _CONVENTIONAL.search(name) else None


def normalised(name: str) -> str:
    """The tensor that a gradient's name speaks of: `dL_dlogits`, `grad_logits`, `delta_logits` -> `logits`."""
    bare = re.sub(r"^(dl_?d|dloss_?d|delta_|grad_|g_|d_|d)|(_grad|_gradient)$", "", name.lower())
    return bare.replace("_", "")


def _compared(statement: Statement, tensors: set[str]) -> list[tuple[ast.expr, str]]:
    found = []
    for leaf in statement.nodes:
        if isinstance(leaf, ast.Call) and isinstance(leaf.func, ast.Name) and leaf.func.id == "cmp":
            arguments = [*leaf.args, *(keyword.value for keyword in leaf.keywords)]
            if len(arguments) >= 3 and isinstance(arguments[2], ast.Name) and arguments[2].id in tensors:
                found.append((arguments[1], arguments[2].id))
    return found


def add_objects(
    body: Iterable[ast.stmt], effects: list[Effects], gradients: Mapping[str, str], objects: Collection[str]
) -> None:
    """Let what changes one object of a submission's own classes count for all that are there: they may hold each
    other, as the values of a graph do."""
    there: set[str] = set()
    for index, (node, found) in enumerate(zip(body, effects, strict=True)):
        if isinstance(node, ast.Expr) and found.mutates & there:
            effects[index] = found = replace(found, writes=found.writes | there)
        there |= {name for name in found.writes if name in objects and name not in gradients}


@dataclass(frozen=True)
class Spoilt:
    """Statement `index` changes `name` in place and `other` with it: since statement `since` they are one tensor."""

    index: int
    name: str
    other: str
    since: int


def add_aliases(body: Iterable[ast.stmt], effects: list[Effects], gradients: Mapping[str, str]) -> list[Spoilt]:
    """Let a write through one name count for the others: after `flat = dC.view(-1)`, writing `flat` writes `dC`.

    Two gradients that share memory stay apart: each is judged after its own last line. What is given back is where
    a gradient is changed so, and another tensor with it.
    """
    groups: dict[str, set[str]] = {}
    joined: dict[str, int] = {}
    spoilt = []
    for index, (node, found) in enumerate(zip(body, effects, strict=True)):
        for name in sorted(found.mutates - found.rebinds):
            for other in sorted(groups.get(name, set()) - {name}):
                if name in gradients:
                    spoilt.append(Spoilt(index, name, other, max(joined[name], joined[other])))
                if not (name in gradients and other in gradients):
                    effects[index] = found = replace(found, writes=found.writes | {other})
        targets, viewed = list[str](), None
        if isinstance(node, ast.Assign):
            targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
            viewed = viewed_name(node.value)
        for name in found.rebinds | {*targets} - {viewed}:
            groups.pop(name, set()).discard(name)
        if isinstance(node, ast.Assign) and targets and not isinstance(node.value, ast.Constant):
            viewed = viewed or targets[-1]
            group = groups.setdefault(viewed, {viewed})
            joined.setdefault(viewed, index)
            for target in {*targets} - {viewed}:
                group.add(target)
                joined[target], groups[target] = index, group
    return spoilt
