"""What a statement reads and writes, so that a grader can run only what feeds a gradient."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from grader.syntax.scopes import (
    FUNCTIONS,
    argument_names,
    assigned_names,
    called_name,
    changes_its_object,
    child_nodes,
    declared_global,
    field_name,
    functions_in,
    imported_names,
    local_names,
    names_below,
    nodes_below,
    rebound_names,
    root_name,
)

_MUTATING_METHODS = frozenset(
    "append appendleft extend extendleft insert update setdefault pop popleft popitem clear remove rotate sort reverse "
    "add discard subtract move_to_end apply load_state_dict close fill partition itemset".split()
)
_MODULES = frozenset({"torch", "nn", "init"})
"""What has functions that change their first argument: `nn.init.zeros_(w)`."""

_ALWAYS_MUTATING = frozenset({"send"})
_FIRST_ARGUMENT_MUTATORS = frozenset(
    "at put copyto place putmask fill_diagonal put_along_axis setattr next heapify heappush heappop insort "
    "shuffle".split()
)
_COPIES = frozenset({"clone", "copy", "deepcopy"})

_NUMPY = frozenset({"np", "numpy"})
_OF_ONE = "exp exp2 expm1 log log2 log10 log1p sqrt square tanh sinh cosh sin cos negative abs absolute sign reciprocal"
_OF_TWO = "add subtract multiply divide true_divide power maximum minimum matmul dot outer mod logaddexp"
_PLACE_OF_RESULT = dict.fromkeys(_OF_ONE.split(), 1) | dict.fromkeys(_OF_TWO.split(), 2) | {"clip": 3}
"""Which argument by position numpy writes the result to, where it is given: `np.add(a, b, total)`."""


@dataclass
class Effects:
    """Names, as sets: `rebinds` is what starts afresh, `writes` all that changes, `reads` all that is read.

    `mutates` is the part of `writes` whose memory changes, as in `x += 1`: after `y = x` this changes `y` as well,
    while a loop that says `x = x + 1` leaves `y` alone.
    `calls` are the names of what is called (`f` in `f(x)`, `step` in `net.step(x)`); `fields` the attribute
    or key names that are read or stored to (`h` in `grads["h"]`).
    """

    rebinds: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    mutates: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


SELF = "self"


@dataclass
class Changes:
    """What calls of the functions of a file change: their arguments, by position and by name, and names of the file.

    `SELF` among arguments says that a method changes the object it belongs to. `rebinds` are names that a call gives a
    new value, whatever they held before. `objects` are the names that hold instances of the file's classes, or what was
    made of them, and `own` the functions that are called as one of Python, numpy or torch that changes an argument.
    """

    arguments: dict[str, set[int | str]] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    rebinds: dict[str, set[str]] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)


class _Collector(ast.NodeVisitor):
    """Walks one statement. `hidden` holds names of inner scopes; `assigned` those that the statement itself has
    given a value by now, so that reading them needs nothing from outside, and `fresh` those to which it gave one that
    nothing else holds. `changed` are the others that it changes in place: `d = d.T` leaves alone what `d` held."""

    def __init__(self, changes: Changes) -> None:
        self.effects = Effects()
        self.mutated_arguments = changes.arguments
        self.changed_names, self.rebound_by_call = changes.names, changes.rebinds
        self.own_functions = changes.own
        called = set().union(*(changes.arguments.get(name, ()) for name in ("__call__", "forward")))
        self.changed_by_call = changes.objects if SELF in called else set()
        self.hidden: list[set[str]] = []
        self.assigned: list[set[str]] = []
        self.fresh: list[set[str]] = []
        self.changed: set[str] = set()
        self.statement_call: ast.expr | None = None

    def generic_visit(self, node: ast.AST) -> None:
        for child in child_nodes(node):
            self.visit(child)

    def _read(self, name: str) -> None:
        if not any(name in names for names in (*self.hidden, *self.assigned)):
            self.effects.reads.add(name)

    def _write(self, name: str | None) -> None:
        if name is not None and not any(name in names for names in self.hidden):
            self.effects.writes.add(name)

    def _mutate(self, name: str | None) -> None:
        self._write(name)
        if name is None or any(name in names for names in self.hidden):
            return
        if not any(name in names for names in self.fresh):
            self.changed.add(name)
        if not any(name in names for names in self.assigned):
            self.effects.mutates.add(name)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read(node.id)
        else:
            self._write(node.id)

    def visit_Expr(self, node: ast.Expr) -> None:
        self.statement_call = node.value
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        root = root_name(node.target)
        if root is not None:
            self._read(root)
        self._mutate(root)
        self.generic_visit(node)

    def visit_block(self, body: list[ast.stmt], known: set[str]) -> None:
        self.assigned.append(known)
        self.fresh.append(set())
        for child in body:
            self.visit(child)
            anew = rebound_names(child)
            known |= anew
            self.fresh[-1] |= anew | _made_anew(child)
        self.assigned.pop()
        self.fresh.pop()

    def _visit_loop(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self.visit(node.target)
        targets = names_below(node.target)
        outer, self.changed = self.changed, set()
        self.visit_block(node.body, set(targets))
        changed, self.changed = self.changed, outer | self.changed
        for target, drawn_from in _drawn(node.target, node.iter):
            if names_below(target) & changed:  # the items are parts of what is iterated over
                called = {id(leaf.func) for leaf in nodes_below(drawn_from) if isinstance(leaf, ast.Call)}
                for leaf in nodes_below(drawn_from):
                    if isinstance(leaf, ast.Name) and id(leaf) not in called:  # zip itself stays as it is
                        self._mutate(leaf.id)
        self.visit_block(node.orelse, set())

    visit_For = _visit_loop
    visit_AsyncFor = _visit_loop

    def visit_If(self, node: ast.If | ast.While) -> None:
        self.visit(node.test)
        self.visit_block(node.body, set())
        self.visit_block(node.orelse, set())

    visit_While = visit_If

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            self.visit(item)
        self.visit_block(node.body, set())

    def _visit_place(self, node: ast.Attribute | ast.Subscript) -> None:
        if (name := field_name(node)) is not None:
            self.effects.fields.add(name)
        if name == "grad" and isinstance(node.value, ast.Name):  # h.grad = ... leaves h itself alone
            grad = f"{node.value.id}.grad"
            (self._read if isinstance(node.ctx, ast.Load) else self._write)(grad)
        if not isinstance(node.ctx, ast.Load):
            root = root_name(node)
            self._mutate(root)
            if root is not None:
                self._read(root)
        self.generic_visit(node)

    visit_Attribute = _visit_place
    visit_Subscript = _visit_place

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        root = root_name(function)
        called = function.attr if isinstance(function, ast.Attribute) else root
        if called is not None:
            self.effects.calls.add(called)
        mutated: set[int | str] = set(self.mutated_arguments.get(called or "", ()))
        of_module = root in _MODULES and not any(isinstance(leaf, ast.Call) for leaf in nodes_below(function))
        changes_first = called in _FIRST_ARGUMENT_MUTATORS - self.own_functions
        if changes_first or (of_module and called is not None and called.endswith("_")):
            mutated.add(0)
        if root in _NUMPY and called in _PLACE_OF_RESULT:
            mutated.add(_PLACE_OF_RESULT[called])
        if isinstance(function, ast.Attribute) and root not in _NUMPY:
            method = function.attr
            mutates = method in _ALWAYS_MUTATING or (node is self.statement_call and method in _MUTATING_METHODS)
            if mutates or changes_its_object(method):
                self._mutate(root)
            elif SELF in mutated:  # of (a @ b).backward() both may change
                for name in [root] if root is not None else names_below(function.value):
                    self._mutate(name)
        elif isinstance(function, ast.Name) and function.id in self.changed_by_call:
            self._mutate(function.id)
        for name in self.changed_names.get(called or "", ()):
            self._mutate(name)
            self._read(name)
        for name in self.rebound_by_call.get(called or "", ()):
            self._write(name)
        for position, argument in enumerate(node.args):
            if position in mutated:
                self._mutate(root_name(argument))
        for keyword in node.keywords:
            if keyword.arg == "out" or keyword.arg in mutated:
                self._mutate(root_name(keyword.value))
        self.generic_visit(node)

    def _visit_comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        names = set[str]().union(*(names_below(generator.target) for generator in node.generators))
        outside = node.generators[0].iter
        self.visit(outside)
        self.hidden.append(names)
        for child in child_nodes(node):
            for part in child_nodes(child) if isinstance(child, ast.comprehension) else [child]:
                if part is not outside:
                    self.visit(part)
        self.hidden.pop()

    visit_ListComp = _visit_comprehension
    visit_SetComp = _visit_comprehension
    visit_DictComp = _visit_comprehension
    visit_GeneratorExp = _visit_comprehension

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.hidden.append(argument_names(node.args))
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
        self.visit_block(node.body, set())
        self.hidden.pop()

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._write(node.name)
        for part in [*node.decorator_list, *node.bases]:
            self.visit(part)
        for name in self.changed_names.get("__init_subclass__", ()) if node.bases else ():
            self._mutate(name)
        own = {child.name for child in node.body if isinstance(child, FUNCTIONS)}
        self.hidden.append(own | {leaf for child in node.body for leaf in assigned_names(child)})
        for child in node.body:
            self.visit(child)
        self.hidden.pop()

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for name in imported_names(node):
            self._write(name)

    visit_ImportFrom = visit_Import

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._write(node.name)
        self.generic_visit(node)


_Drawn = list[tuple[ast.expr, ast.expr]]


def _drawn(target: ast.expr, items: ast.expr) -> _Drawn:
    """Which target of a loop is drawn from what: in `for p, d in zip(ps, ds)` p from ps, d from ds."""
    if not isinstance(target, ast.Tuple) or any(isinstance(part, ast.Starred) for part in target.elts):
        return [(target, items)]
    if isinstance(items, ast.Call) and isinstance(items.func, ast.Name) and not items.keywords:
        among = {"zip": items.args, "enumerate": [ast.Constant(0), *items.args]}.get(items.func.id, [])
        rows: list[list[ast.expr]] = [among]
        further: Callable[[ast.expr, ast.expr], _Drawn] = _drawn
    elif isinstance(items, (ast.Tuple, ast.List)):
        rows = [row.elts if isinstance(row, (ast.Tuple, ast.List)) else [] for row in items.elts]
        further = _pair
    else:
        return [(target, items)]
    if any(len(row) != len(target.elts) or any(isinstance(part, ast.Starred) for part in row) for row in rows):
        return [(target, items)]
    return [pair for row in rows for parts in zip(target.elts, row, strict=True) for pair in further(*parts)]


def _made_anew(node: ast.stmt) -> set[str]:
    """The name to which a statement gives a new value that is made from its old one: d of `d = d * 2`."""
    if not isinstance(node, ast.Assign) or not all(isinstance(target, ast.Name) for target in node.targets):
        return set()
    copied = isinstance(node.value, ast.Call) and called_name(node.value) in _COPIES
    return assigned_names(node) if copied or isinstance(node.value, (ast.BinOp, ast.UnaryOp)) else set()


def _pair(target: ast.expr, value: ast.expr) -> _Drawn:
    return [(target, value)]


def statement_effects(node: ast.stmt, changes: Changes | None = None) -> Effects:
    """What one top-level statement reads and writes; `changes` is what the functions of the same file change."""
    collector = _Collector(changes or Changes())
    collector.visit(node)
    effects = collector.effects
    effects.rebinds = rebound_names(node)
    effects.writes |= effects.rebinds
    return effects


def _named_lambdas(body: Sequence[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Each `f = lambda x: ...` as the function that it is."""
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            for name in sorted(assigned_names(node)):
                yield ast.FunctionDef(name, node.value.args, [ast.Expr(node.value.body)], [])


def changes_of(body: Sequence[ast.stmt]) -> Changes:
    """What calls of the functions in `body` change in place."""
    found = Changes()
    for function in [*functions_in(body), *_named_lambdas(body)]:
        names = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args]]
        found.own |= {function.name} & _FIRST_ARGUMENT_MUTATORS
        collector = _Collector(Changes())
        collector.visit_block(function.body, set())
        rebound = set().union(*(rebound_names(child) for child in function.body))
        changed = collector.changed
        if names[:1] == [SELF]:
            names = names[1:]
        listed: set[int | str] = {i for i, name in enumerate(names) if name in changed}
        listed |= changed & {*names, SELF, *(argument.arg for argument in function.args.kwonlyargs)}
        if listed:
            found.arguments[function.name] = listed
        stored = collector.effects.writes & declared_global(function)
        anew = stored & rebound - collector.effects.mutates - collector.effects.reads
        if anew:
            found.rebinds[function.name] = anew
        if outside := (collector.effects.mutates | stored) - anew - local_names(function):
            found.names[function.name] = outside
    classes = {node.name for node in body if isinstance(node, ast.ClassDef)}
    for node in (leaf for statement in body if classes for leaf in nodes_below(statement)):
        if isinstance(node, (ast.Assign, ast.For)):
            source = node.value if isinstance(node, ast.Assign) else node.iter
            if not isinstance(source, ast.Attribute) and (classes | found.objects) & names_below(source):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found.objects |= set[str]().union(*map(names_below, targets))
    return found
