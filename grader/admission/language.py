"""The small language that answers are written in, checked before any statement of a submission runs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from typing import Any

from grader.admission.admitted_names import MAGIC_METHODS, MODULES, is_stand_in
from grader.admission.bindings import SPECIAL, is_module
from grader.admission.expressions import GRADIENT_SWITCHES, PYTHONS, Expressions
from grader.admission.sentences import Refused, not_a_field, not_a_member, not_a_module
from grader.syntax.scopes import local_names

_PLAIN = (
    *(ast.BoolOp, ast.NamedExpr, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Dict, ast.Set, ast.FormattedValue),
    *(ast.JoinedStr, ast.Constant, ast.Subscript, ast.Starred, ast.List, ast.Tuple, ast.Slice, ast.Yield),
    *(ast.YieldFrom, ast.Return, ast.Delete, ast.AugAssign, ast.For, ast.While, ast.If, ast.Raise, ast.Try),
    *(ast.Assert, ast.Pass, ast.Break, ast.Continue, ast.Module, ast.Expression, ast.comprehension),
)
"""What is admitted wherever its parts are."""

_CAUGHT = frozenset({"BaseException", "KeyboardInterrupt", "SystemExit"})
"""What may be caught, and not raised."""

_BASES = frozenset({"torch.nn.Module", "typing.NamedTuple"})
_WAYS_OFF: Mapping[str, list[list[object]]] = {
    "torch.no_grad": [[]],
    "torch.inference_mode": [[], [True]],
    "torch.set_grad_enabled": [[False]],
}
"""With what each may be called: `inference_mode(False)` would switch gradients on."""


class Language(Expressions):
    """Checks statements too. `check` raises `Refused` at the first part of a tree that is not admitted."""

    def _assign(self, node: ast.Assign) -> None:
        self._visit_all(node.targets)
        (name,) = node.targets if len(node.targets) == 1 else (None,)
        if isinstance(name, ast.Name) and not self.in_class and self._path_of(node.value) is not None:
            known = self.bindings.paths.get(name.id, set())
            if all(path in known or not (is_module(path) or path in SPECIAL) for path in self._follow(node.value)):
                return  # another name for a module, and the name is known as one
        self._visit(node.value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        self._visit(node.target)
        self._visit_as_type(node.annotation)
        self._visit_all([node.value])

    def _import(self, node: ast.Import) -> None:
        self._not_in_class(node)
        for alias in node.names:
            self._identifier(node, alias.asname or alias.name)
            if not is_module(alias.name) and not is_stand_in(alias.name):
                raise Refused(node, alias.name, not_a_module(alias.name))

    def _import_from(self, node: ast.ImportFrom) -> None:
        self._not_in_class(node)
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            self._identifier(node, alias.asname or alias.name)
        if all(is_stand_in(f"{module}.{alias.name}") for alias in node.names):
            return
        if not is_module(module):
            raise Refused(node, module, not_a_module(module))
        for alias in node.names:
            path = f"{module}.{alias.name}"
            star = alias.name == "*" and module == "math"
            if not star and not is_module(path) and alias.name not in MODULES[module]:
                raise Refused(node, path, not_a_member(path))

    def _not_in_class(self, node: ast.stmt) -> None:
        if self.in_class:  # the module would be a field, and a field may be passed on
            raise Refused(node, "import", "Import above the class, not inside it.")

    def _with(self, node: ast.With) -> None:
        for item in node.items:
            self._gradients_off(item.context_expr)
            self._visit_all([item.optional_vars])
        self._visit_all(node.body)

    def _gradients_off(self, node: ast.expr) -> None:
        """Check what stands after `with` or `@`: switching gradients off is admitted, on is not."""
        call = node if isinstance(node, ast.Call) else None
        function = call.func if call is not None else node
        if self._path_of(function) is None or not (self._follow(function) & GRADIENT_SWITCHES):
            self._visit(node)
            return
        said = [] if call is None else [*call.args, *(keyword.value for keyword in call.keywords)]
        values = [value.value if isinstance(value, ast.Constant) else None for value in said]
        for path in self._follow(function):
            if values not in _WAYS_OFF.get(path, []):
                raise Refused(node, "set_grad_enabled", not_a_field("set_grad_enabled"))

    def _expression(self, node: ast.Expr) -> None:
        call = node.value
        if (
            isinstance(call, ast.Call)
            and self._path_of(call.func) is not None
            and self._follow(call.func) & GRADIENT_SWITCHES
        ):
            self._gradients_off(call)
        else:
            self._visit(call)

    def _function(self, node: ast.FunctionDef, magic: Collection[str] = ()) -> None:
        if node.name not in magic:
            self._identifier(node, node.name)
        for decorator in node.decorator_list:
            self._gradients_off(decorator)
        self._arguments(node.args)
        self._visit_as_type(node.returns)
        self._inside(local_names(node), node.body)

    def _class(self, node: ast.ClassDef) -> None:
        self._identifier(node, node.name)
        if node.keywords:
            raise Refused(node, "metaclass", "A class of an answer takes no keywords, such as metaclass.")
        for base in node.bases:
            self._base(base)
        self._visit_all(node.decorator_list)
        before, self.functions, self.in_class = (self.functions, self.in_class), 0, True
        for child in node.body:
            if isinstance(child, ast.FunctionDef) and not getattr(child, "type_params", None):
                self._function(child, MAGIC_METHODS)
            else:
                self._visit(child)
        self.functions, self.in_class = before

    def _base(self, base: ast.expr) -> None:
        name = base.id if isinstance(base, ast.Name) and not self._is_local(base.id) else ""
        if name == "object" or (name in self.written and name not in self.bindings.paths and name not in PYTHONS):
            return
        if self._path_of(base) is None or not self._follow(base) <= _BASES:
            said = f"`{ast.unparse(base)}` cannot be a base class here. Derive from a class of your own, or from none."
            raise Refused(base, "class", said)

    def _declared(self, node: ast.Global | ast.Nonlocal) -> None:
        for name in node.names:
            self._identifier(node, name)

    def _except(self, node: ast.ExceptHandler) -> None:
        self._identifier(node, node.name)
        kinds: list[ast.expr | None] = [*node.type.elts] if isinstance(node.type, ast.Tuple) else [node.type]
        self._visit_all(kind for kind in kinds if not (isinstance(kind, ast.Name) and kind.id in _CAUGHT))
        self._visit_all(node.body)


_HANDLERS: Mapping[type[ast.AST], Callable[[Language, Any], None]] = {
    **dict.fromkeys(_PLAIN, Language._parts),
    ast.Name: Language._name,
    ast.Attribute: Language._attribute,
    ast.Call: Language._call,
    ast.keyword: Language._keyword,
    ast.Compare: Language._compare,
    ast.Assign: Language._assign,
    ast.AnnAssign: Language._annotated,
    ast.Import: Language._import,
    ast.ImportFrom: Language._import_from,
    ast.With: Language._with,
    ast.Expr: Language._expression,
    ast.FunctionDef: Language._function,
    ast.Lambda: Language._lambda,
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), Language._comprehension),
    ast.ClassDef: Language._class,
    ast.Global: Language._declared,
    ast.Nonlocal: Language._declared,
    ast.ExceptHandler: Language._except,
}

Language.handlers = _HANDLERS
