"""What a statement reads and writes, so that a grader can run only what feeds a gradient."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

_MUTATING_METHODS = frozenset(
    [
        "append",
        "extend",
        "insert",
        "update",
        "setdefault",
        "pop",
        "popitem",
        "clear",
        "remove",
        "sort",
        "reverse",
        "add",
        "discard",
    ]
)
_FIRST_ARGUMENT_MUTATORS = frozenset({"at", "put", "copyto", "place", "putmask", "setattr"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass
class Effects:
    """Names, as sets: `rebinds` is what starts afresh, `writes` all that changes, `reads` all that is read.

    `calls` are the roots of what is called (`f` in `f(x)`, `net` in `net.step(x)`); `attributes` every
    attribute that is named; `fields` the attribute or key names that are stored to (`h` in `grads["h"] = x`).
    """

    rebinds: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)

    def add(self, other: Effects) -> None:
        for name, names in vars(self).items():
            names |= getattr(other, name)


def root_name(node: ast.AST) -> str | None:
    """`x` for `x`, `x[0]`, `x.data`, `x.view(-1)[k].T`; None where the root is no name."""
    while True:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        else:
            return None


def field_name(node: ast.AST) -> str | None:
    """`dh` for `self.dh` and for `grads["dh"]`; None for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value
    return None


class _Collector(ast.NodeVisitor):
    def __init__(self, mutated_arguments: dict[str, set[int]]) -> None:
        self.effects = Effects()
        self.mutated_arguments = mutated_arguments
        self.hidden: list[set[str]] = []

    def _read(self, name: str) -> None:
        if not any(name in names for names in self.hidden):
            self.effects.reads.add(name)

    def _write(self, name: str | None) -> None:
        if name is not None and not any(name in names for names in self.hidden):
            self.effects.writes.add(name)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read(node.id)
        else:
            self._write(node.id)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        root = root_name(node.target)
        if root is not None:
            self._read(root)
        self.generic_visit(node)

    def _visit_place(self, node: ast.Attribute | ast.Subscript) -> None:
        if isinstance(node, ast.Attribute):
            self.effects.attributes.add(node.attr)
        if not isinstance(node.ctx, ast.Load):
            self._write(root_name(node))
            if (name := field_name(node)) is not None:
                self.effects.fields.add(name)
        self.generic_visit(node)

    visit_Attribute = _visit_place
    visit_Subscript = _visit_place

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        root = root_name(function)
        if root is not None:
            self.effects.calls.add(root)
        mutated: Iterable[int] = ()
        if isinstance(function, ast.Attribute):
            in_place = function.attr.endswith("_") and not function.attr.startswith("_")
            if in_place or function.attr in _MUTATING_METHODS:
                self._write(root)
            if function.attr in _FIRST_ARGUMENT_MUTATORS:
                mutated = (0,)
            mutated = {*mutated, *self.mutated_arguments.get(function.attr, ())}
        elif isinstance(function, ast.Name):
            mutated = self.mutated_arguments.get(function.id, ())
            if function.id in _FIRST_ARGUMENT_MUTATORS:
                mutated = (0,)
        for position in mutated:
            if position < len(node.args):
                self._write(root_name(node.args[position]))
        for keyword in node.keywords:
            if keyword.arg == "out":
                self._write(root_name(keyword.value))
        self.generic_visit(node)

    def _visit_comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        names = {leaf.id for g in node.generators for leaf in ast.walk(g.target) if isinstance(leaf, ast.Name)}
        self.visit(node.generators[0].iter)
        self.hidden.append(names)
        self.generic_visit(node)
        self.hidden.pop()

    visit_ListComp = _visit_comprehension
    visit_SetComp = _visit_comprehension
    visit_DictComp = _visit_comprehension
    visit_GeneratorExp = _visit_comprehension

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.hidden.append(_argument_names(node.args))
        self.visit(node.body)
        self.hidden.pop()

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        self._write(node.name)
        self.hidden.append(local_names(node))
        for child in node.body:
            self.visit(child)
        self.hidden.pop()

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._write(node.name)
        for part in [*node.decorator_list, *node.bases]:
            self.visit(part)
        own = {child.name for child in node.body if isinstance(child, _FUNCTIONS)}
        self.hidden.append(own | {leaf for child in node.body for leaf in assigned_names(child)})
        for child in node.body:
            self.visit(child)
        self.hidden.pop()

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self._write(alias.asname or alias.name.split(".")[0])

    visit_ImportFrom = visit_Import

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._write(node.name)
        self.generic_visit(node)


def statement_effects(node: ast.stmt, mutated_arguments: dict[str, set[int]] | None = None) -> Effects:
    """What one top-level statement reads and writes.

    `mutated_arguments` maps functions of the same file to the positions of arguments they change in place.
    """
    collector = _Collector(mutated_arguments or {})
    collector.visit(node)
    effects = collector.effects
    effects.rebinds = rebound_names(node)
    effects.writes |= effects.rebinds
    return effects


def rebound_names(node: ast.stmt) -> set[str]:
    """Names that the statement gives a fresh value, whatever they held before."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        return {node.name}
    if isinstance(node, ast.Assign):
        targets: list[ast.expr] = list(node.targets)
        value: ast.expr | None = node.value
    elif isinstance(node, ast.AnnAssign):
        targets, value = [node.target], node.value
    else:
        return set()
    if value is None:
        return set()
    names: set[str] = set()
    while targets:
        target = targets.pop()
        if isinstance(target, (ast.Tuple, ast.List)):
            targets += target.elts
        elif isinstance(target, ast.Starred):
            targets.append(target.value)
        elif isinstance(target, ast.Name):
            names.add(target.id)
    used = {leaf.id for leaf in ast.walk(value) if isinstance(leaf, ast.Name)}
    return names - used


def assigned_names(node: ast.AST) -> set[str]:
    """Every name that is stored to anywhere below `node`, functions inside it left out."""
    names: set[str] = set()
    stack = [node]
    while stack:
        leaf = stack.pop()
        if isinstance(leaf, ast.Name) and not isinstance(leaf.ctx, ast.Load):
            names.add(leaf.id)
        elif isinstance(leaf, (*_FUNCTIONS, ast.ClassDef)):
            names.add(leaf.name)
            continue
        elif isinstance(leaf, (ast.Lambda, *_COMPREHENSIONS)):
            continue
        elif isinstance(leaf, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name.split(".")[0] for alias in leaf.names}
        stack.extend(ast.iter_child_nodes(leaf))
    return names


def local_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """A function's own names: its arguments and what it assigns, less what it declares global."""
    names = _argument_names(function.args)
    declared: set[str] = set()
    for child in function.body:
        names |= assigned_names(child)
        for leaf in ast.walk(child):
            if isinstance(leaf, (ast.Global, ast.Nonlocal)):
                declared.update(leaf.names)
    return names - declared


def _argument_names(arguments: ast.arguments) -> set[str]:
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    listed += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    return {argument.arg for argument in listed}


def mutated_argument_positions(body: Iterable[ast.stmt]) -> dict[str, set[int]]:
    """For each function in `body`, the positions of the arguments that it changes in place."""
    found: dict[str, set[int]] = {}
    for function in functions_in(body):
        positions = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args]]
        collector = _Collector({})
        for child in function.body:
            collector.visit(child)
        in_place = collector.effects.writes - set().union(*(rebound_names(child) for child in function.body))
        changed = {i for i, name in enumerate(positions) if name in in_place}
        if changed:
            offset = 1 if positions[:1] == ["self"] else 0
            found[function.name] = {i - offset for i in changed if i >= offset}
    return found


def functions_in(body: Iterable[ast.stmt]) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions and methods defined at top level of `body`."""
    found: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
    for node in body:
        if isinstance(node, _FUNCTIONS):
            found.append(node)
        elif isinstance(node, ast.ClassDef):
            found += [child for child in node.body if isinstance(child, _FUNCTIONS)]
    return found
