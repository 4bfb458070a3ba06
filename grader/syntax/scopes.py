"""Names in a syntax tree: what is bound where, and what belongs to a function alone."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
_WITH_OWN_NAMES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


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


def rebound_names(node: ast.stmt) -> set[str]:
    """Names that the statement gives a fresh value, whatever they held before."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return imported_names(node)
    if isinstance(node, _DEFINITIONS):
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
    return names - names_below(value)


def imported_names(node: ast.Import | ast.ImportFrom) -> set[str]:
    """The names that an import binds."""
    return {alias.asname or alias.name.split(".")[0] for alias in node.names}


def assigned_names(node: ast.AST) -> set[str]:
    """Every name that is stored to anywhere below `node`, functions inside it left out."""
    names: set[str] = set()
    stack = [node]
    while stack:
        leaf = stack.pop()
        if isinstance(leaf, ast.Name):
            if not isinstance(leaf.ctx, ast.Load):
                names.add(leaf.id)
            continue
        if isinstance(leaf, _DEFINITIONS):
            names.add(leaf.name)
            continue
        if isinstance(leaf, _WITH_OWN_NAMES):
            continue
        if isinstance(leaf, (ast.Import, ast.ImportFrom)):
            names |= imported_names(leaf)
        stack += child_nodes(leaf)
    return names


def local_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """A function's own names: its arguments and what it assigns, less what it declares global."""
    names = argument_names(function.args)
    for child in function.body:
        names |= assigned_names(child)
    return names - declared_global(function)


def declared_global(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names that a function takes from outside to give them a value."""
    declared = (leaf for leaf in nodes_below(function) if isinstance(leaf, (ast.Global, ast.Nonlocal)))
    return {name for leaf in declared for name in leaf.names}


def argument_names(arguments: ast.arguments) -> set[str]:
    """Every name that a function's arguments bind, `*args` and `**kwargs` included."""
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    listed += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    return {argument.arg for argument in listed}


def functions_in(body: Iterable[ast.stmt]) -> list[FunctionNode]:
    """The functions and methods defined at top level of `body`."""
    found: list[FunctionNode] = []
    for node in body:
        if isinstance(node, FUNCTIONS):
            found.append(node)
        elif isinstance(node, ast.ClassDef):
            found += [child for child in node.body if isinstance(child, FUNCTIONS)]
    return found


_NO_NODES = frozenset(
    "ctx op ops id attr arg name asname module level kind kwd_attrs rest is_async simple conversion str "
    "type_comment".split()
)
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = dict.fromkeys(
    (ast.Constant, ast.Global, ast.Nonlocal, ast.MatchSingleton), ()
)
_WITH_GAPS = frozenset({"keys", "kw_defaults"})
"""Lists in which None stands for what is not there, as in `{**more}`."""


def fields_with_nodes(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields of a kind of node in which nodes lie, operators and contexts left out."""
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(field for field in kind._fields if field not in _NO_NODES)
    return _FIELDS[kind]


def child_nodes(node: ast.AST) -> list[ast.AST]:
    """The nodes right below `node`, operators and contexts left out: fast, for all of a file is read so."""
    found: list[ast.AST] = []
    for field in fields_with_nodes(type(node)):
        value = getattr(node, field, None)
        if value.__class__ is list:
            found += filter(None, value) if field in _WITH_GAPS else value
        elif value is not None:
            found.append(value)
    return found


def nodes_below(root: ast.AST) -> list[ast.AST]:
    """`root` and every node below it in the order of `ast.walk`, operators and contexts left out."""
    nodes = [root]
    for node in nodes:
        nodes += child_nodes(node)
    return nodes


def names_below(root: ast.AST) -> set[str]:
    """The names that are read or stored to at or below `root`."""
    return {leaf.id for leaf in nodes_below(root) if isinstance(leaf, ast.Name)}


_BLOCKS: dict[type[ast.AST], tuple[str, ...]] = {
    **dict.fromkeys((ast.Module, *FUNCTIONS, ast.ClassDef, ast.With, ast.AsyncWith), ("body",)),
    **dict.fromkeys((ast.ExceptHandler, ast.match_case), ("body",)),
    **dict.fromkeys((ast.For, ast.AsyncFor, ast.While, ast.If), ("body", "orelse")),
    **dict.fromkeys((ast.Try, ast.TryStar), ("body", "handlers", "orelse", "finalbody")),
    ast.Match: ("cases",),
}


def statements_below(root: ast.AST) -> list[ast.AST]:
    """Of `nodes_below` the statements, and what holds them, in the same order: expressions hold none."""
    nodes = [root]
    for node in nodes:
        for block in _BLOCKS.get(type(node), ()):
            nodes += getattr(node, block)
    return nodes


def called_name(node: ast.Call) -> str:
    """`f` for `f(x)`, `step` for `net.step(x)`, "" where the function has no name."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else root_name(node.func) or ""


def called_names(nodes: Iterable[ast.AST]) -> tuple[str, ...]:
    """The names of what `nodes` call, each once, in order."""
    return tuple(dict.fromkeys(called_name(node) for node in nodes if isinstance(node, ast.Call)))


def changes_its_object(method: str) -> bool:
    """True for a method such as `add_`, which by torch's convention changes what it is called on."""
    return method.endswith("_") and not method.startswith("_")


def changed_place(node: ast.AST, also: Collection[str] = ()) -> ast.expr | None:
    """What a node by itself stores to, such as `x[0]` of `x[0] = 1`, or changes by a method, such as `x` of `x.add_(1)`
    or of one that is in `also`; None for others."""
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        return node if isinstance(node.ctx, ast.Store) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        method = node.func.attr
        return node.func.value if method in also or changes_its_object(method) else None
    return None


_VIEWS = frozenset(
    "view view_as reshape flatten ravel squeeze unsqueeze transpose t permute expand detach numpy narrow".split()
)
_VIEW_ATTRIBUTES = frozenset({"T", "mT", "data"})


def paired(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each target of an assignment with what it is given: of `a, b = x, y` a with x, and b with y."""
    value = node.value
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            yield from zip(target.elts, value.elts, strict=True)
        else:
            yield target, value


def viewed_name(value: ast.expr) -> str | None:
    """The name whose memory an expression shares: `dC` for `dC.view(-1)`; None for a fresh tensor."""
    while not isinstance(value, ast.Name):
        match value:
            case ast.Attribute(value=whole, attr=name) if name in _VIEW_ATTRIBUTES:
                value = whole
            case ast.Call(func=ast.Attribute(value=whole, attr=name)) if name in _VIEWS:
                value = whole
            case _:
                return None
    return value.id
