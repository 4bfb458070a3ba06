"""Compiles what a worker runs of a submission, so that each attribute, class and import is asked for when it runs.

What may be had is decided there, by the object (`guards`): what a text will do cannot be told from the text.
Items, calls and loops stay Python's own, for no object that an answer can hold does harm by them.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from types import CodeType
from typing import Any, Literal

from RestrictedPython.transformer import RestrictingNodeTransformer

from grader.admission.admitted_names import MAGIC_METHODS, MODULES
from grader.admission.sentences import NO_COMPLEX, Refused, an_inner_name, not_syntax
from grader.syntax.scopes import child_nodes, fields_with_nodes, nodes_below

SUBMISSION = "<submission>"
"""The file name of all code of a submission."""

LOAD, STORE, CLASS, MODULE = "__load__", "__store__", "__class_of__", "__module_of__"
POWER, IPOWER, PATTERN, METACLASS = "__power__", "__power_in_place__", "__case__", "__metaclass__"
"""What compiled code calls. A learner can spell no such name, so none can be given another meaning."""


def compile_answer(
    text: str,
    filename: str = SUBMISSION,
    mode: Literal["exec", "eval"] = "exec",
    line: int = 1,
    rewrite: Callable[[ast.Module], None] | None = None,
    *,
    guarded: bool = True,
) -> CodeType:
    """Code of `text`, whose first line is `line` of its file, as `rewrite` leaves its tree. It runs where
    `guards.BUILTINS` are its builtins; not `guarded` it is plain Python.

    Raises:
        Refused: it has syntax or names that are not admitted.
        SyntaxError: it is no Python.
    """
    with warnings.catch_warnings(action="ignore"):  # as `x is 1` gives: it runs all the same
        return _compile(text, filename, mode, line, rewrite, guarded)


def _compile(
    text: str,
    filename: str,
    mode: Literal["exec", "eval"],
    line: int,
    rewrite: Callable[[ast.Module], None] | None,
    guarded: bool,
) -> CodeType:
    tree: Any = ast.parse("\n" * (line - 1) + text, mode=mode)
    if line < 1:
        ast.increment_lineno(tree, line - 1)
    if guarded:
        _refuse_inner_names(tree)
    if rewrite is not None:
        rewrite(tree)
    if guarded:
        tree = _Policy().visit(tree)
    if guarded or rewrite is not None:
        _locate(tree)
    code: CodeType = compile(tree, filename, mode)
    return code


def _locate(tree: ast.AST) -> None:
    """As `ast.fix_missing_locations`, in a third of its time."""
    waiting = [(tree, tree)]
    while waiting:
        node, above = waiting.pop()
        if node._attributes:
            if not hasattr(node, "lineno"):
                ast.copy_location(node, above)
            above = node
        waiting += [(child, above) for child in child_nodes(node)]


def is_inner(name: str) -> bool:
    """Python's own names, such as `__class__`; `__x` is one too where it is not a field of a class."""
    return name.startswith("__") and name.strip("_") != ""


def _refuse_inner_names(tree: ast.AST) -> None:
    """Looks at the names that a node binds, reads or passes on; fields are asked for when it runs."""
    for node in nodes_below(tree):
        for said in (getattr(node, attribute) for attribute in _NAMES.get(type(node), ())):
            for name in said if isinstance(said, list) else [said or ""]:
                if is_inner(name) and (name not in _SPELLED or isinstance(node, ast.keyword)):
                    raise an_inner_name(name, getattr(node, "lineno", None))


_SPELLED = MAGIC_METHODS | {"__name__", "__slots__", "__match_args__"}
"""The inner names that an answer may write: `def __add__(...)`, `__radd__ = __add__`."""

_NAMES: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Name: ("id",),
    ast.arg: ("arg",),
    ast.keyword: ("arg",),
    ast.alias: ("name", "asname"),
    ast.MatchMapping: ("rest",),
    **dict.fromkeys((ast.FunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar), ("name",)),
    **dict.fromkeys((ast.Global, ast.Nonlocal), ("names",)),
}


class _Policy(RestrictingNodeTransformer):
    """What RestrictedPython knows as syntax is admitted, what it does not know is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.classes: list[str] = []
        self.patterns = 0

    def error(self, node: ast.AST, info: str) -> None:  # noqa: ARG002
        raise not_syntax(type(node).__name__, getattr(node, "lineno", 1))

    def check_name(self, *_: object, **__: object) -> None:
        """Names were checked before hooks were put in."""

    def node_contents_visit(self, node: Any) -> Any:
        """As RestrictedPython's own, in half its time. Names and operators have nothing inside."""
        for field in fields_with_nodes(type(node)):
            value = getattr(node, field, None)
            if value.__class__ is list:
                value[:] = [new for part in value for new in self._visited(part)]
            elif value is not None and value.__class__ is not ast.Name:
                setattr(node, field, self.visit(value))
        return node

    def _visited(self, part: Any) -> list[Any]:
        if part is None or part.__class__ is ast.Name:
            return [part]
        new = self.visit(part)
        return new if isinstance(new, list) else [new]

    def _parts(self, node: ast.AST) -> ast.AST:
        if getattr(node, "type_params", None):
            raise not_syntax("TypeVar", getattr(node, "lineno", 1))
        result: ast.AST = self.node_contents_visit(node)
        return result

    visit_Name = visit_Subscript = visit_Call = visit_For = visit_comprehension = visit_Assign = _parts
    visit_AnnAssign = visit_With = visit_ExceptHandler = visit_FunctionDef = visit_Lambda = visit_Module = _parts
    visit_Nonlocal = visit_match_case = _parts
    visit_MatchSingleton = visit_MatchSequence = visit_MatchMapping = visit_MatchStar = visit_MatchAs = _parts
    visit_MatchOr = _parts

    def visit_TemplateStr(self, node: ast.AST) -> None:
        self.not_allowed(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, complex):
            raise Refused(NO_COMPLEX, line=node.lineno)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        value, name = self.visit(node.value), self._mangled(node.attr)
        if isinstance(node.ctx, ast.Load):
            return _call(node, LOAD, value, ast.Constant(name))
        holder = _call(node, STORE, value, ast.Constant(name))
        return ast.copy_location(ast.Attribute(holder, name, node.ctx), node)

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        """Python's own `__import__` is left to libraries, which call it from C in the frame of an answer."""
        return [
            _bind(node, alias.asname or first, _module(node, alias.name if alias.asname else first, alias.name))
            for alias in node.names
            for first in [alias.name.partition(".")[0]]
        ]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.stmt]:
        path = "." * node.level + (node.module or "")
        module = _module(node, path, path)
        taken = [(alias.name, alias.asname or alias.name) for alias in node.names if alias.name != "*"]
        if not taken:
            taken = [(name, name) for name in sorted(MODULES.get(path, ()))]
        return [_bind(node, bound, _call(node, LOAD, module, ast.Constant(name))) for name, bound in taken]

    def _mangled(self, name: str) -> str:
        """`self.__x` in class A is `self._A__x`."""
        private = self.classes and name.startswith("__") and not name.endswith("__")
        return f"_{self.classes[-1].lstrip('_')}{name}" if private else name

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self._parts(node)
        return _call(node, POWER, node.left, node.right) if isinstance(node.op, ast.Pow) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if isinstance(node.op, ast.Pow):
            now = ast.parse(ast.unparse(node.target), mode="eval").body
            power = _call(node, IPOWER, now, node.value)
            return self._parts(ast.copy_location(ast.Assign([node.target], power), node))
        return self._parts(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.classes.append(node.name)
        self._parts(node)
        self.classes.pop()
        for keyword in node.keywords:
            keyword.arg = METACLASS if keyword.arg == "metaclass" else keyword.arg
        node.keywords.append(ast.keyword("metaclass", ast.Name(CLASS, ast.Load())))
        return node

    def visit_Match(self, node: ast.Match) -> list[ast.stmt]:
        """A pattern asks for fields on its own, so its classes and values are made ready before."""
        ready: list[ast.stmt] = []
        for case in node.cases:
            for pattern in nodes_below(case.pattern):
                if isinstance(pattern, (ast.MatchClass, ast.MatchValue)):
                    self._make_ready(pattern, ready)
        self._parts(node)
        return [*ready, node]

    def _make_ready(self, pattern: ast.MatchClass | ast.MatchValue, ready: list[ast.stmt]) -> None:
        of_class = isinstance(pattern, ast.MatchClass)
        asked = pattern.cls if isinstance(pattern, ast.MatchClass) else pattern.value
        if not of_class and not isinstance(asked, ast.Attribute):
            return  # a number or a text
        self.patterns += 1
        name = f"__case_{self.patterns}__"
        fields = ast.Tuple([ast.Constant(field) for field in getattr(pattern, "kwd_attrs", ())], ast.Load())
        made = _call(asked, PATTERN, self.visit(asked), *([fields] if of_class else []))
        ready.append(ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], made), asked))
        held = ast.copy_location(ast.Attribute(ast.Name(name, ast.Load()), "value", ast.Load()), asked)
        setattr(pattern, "cls" if of_class else "value", held)

    def visit_MatchClass(self, node: ast.MatchClass) -> ast.AST:
        for pattern in (*node.patterns, *node.kwd_patterns):
            self.visit(pattern)
        return node

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.AST:
        if not isinstance(node.value, ast.Attribute):
            self.visit(node.value)
        return node


def _module(node: ast.AST, path: str, asked: str) -> ast.Call:
    return _call(node, MODULE, ast.Constant(path), ast.Constant(asked))


def _bind(node: ast.AST, name: str, value: ast.expr) -> ast.stmt:
    return ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], value), node)


def _call(node: ast.AST, function: str, *arguments: ast.expr) -> ast.Call:
    return ast.copy_location(ast.Call(ast.Name(function, ast.Load()), list(arguments), []), node)
