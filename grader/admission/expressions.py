"""Which expressions are admitted in an answer: names, attributes, calls, and what is put together from them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from string import Formatter
from typing import Any, ClassVar

from grader.admission.admitted_names import BUILTINS, DOORS, GRADIENTS_OFF, METHODS, MODULES, SHUT_BUILTINS, is_stand_in
from grader.admission.bindings import SPECIAL, Bindings, dotted, is_module
from grader.admission.sentences import Refused, not_a_builtin, not_a_field, not_a_member, not_a_module, not_syntax
from grader.syntax.scopes import argument_names

GRADIENT_SWITCHES = frozenset(f"torch.{name}" for name in GRADIENTS_OFF)

PYTHONS = frozenset(dir(builtins))
_QUIET = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
_TYPES = (ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.BinOp, ast.Constant)
"""What a type may be put together from, as in `tuple[torch.Tensor, int] | None`."""

_TYPE_ONLY = frozenset({"numpy.ndarray", "torch.nn.Module"})


class Expressions:
    """Checks expressions of one submission. `bindings` tell what its names stand for; `own` asks for the fields and
    methods that it defines itself; `written` are the names that it assigns."""

    handlers: ClassVar[Mapping[type[ast.AST], Callable[[Any, Any], None]]] = {}

    def __init__(self, bindings: Bindings, own: Callable[[], Collection[str]], written: Collection[str]) -> None:
        self.bindings = bindings
        self.own = own
        self.written = written
        self.scopes: list[set[str]] = []
        self.functions = 0
        self.in_class = False
        self.as_type = False

    def check(self, tree: ast.AST) -> None:
        """Raise `Refused` at the first part of `tree` that is not admitted."""
        self.scopes, self.functions, self.in_class, self.as_type = [], 0, False, False
        self._visit(tree)

    def _visit(self, node: ast.AST) -> None:
        handler = self.handlers.get(type(node))
        if handler is None or getattr(node, "type_params", None):
            raise Refused(node, *not_syntax(node))
        before = self.as_type
        self.as_type = before and type(node) in _TYPES
        handler(self, node)
        self.as_type = before

    def _parts(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, _QUIET):
                self._visit(child)

    def _visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self._visit(node)

    # ---- Names and attributes ----

    def _identifier(self, node: ast.AST, name: str | None) -> None:
        if name is not None and name.startswith("__") and name.strip("_"):
            raise Refused(node, name, f"`{name}` is one of Python's inner names. An answer needs none of them.")
        if name == "isinstance":  # it is given types, which no other function is
            raise Refused(node, name, "An answer may not give `isinstance` another meaning.")

    def _is_local(self, name: str) -> bool:
        return any(name in names for names in self.scopes)

    def _name(self, node: ast.Name) -> None:
        name = node.id
        if not isinstance(node.ctx, ast.Load) or (name.startswith("__") and name != "__name__"):
            self._identifier(node, name)
        if not isinstance(node.ctx, ast.Load) or self._is_local(name):
            return
        if self._path_of(node) is not None:
            self._path_as_value(node)
        elif name in SHUT_BUILTINS or (name in PYTHONS and name not in BUILTINS and name not in self.written):
            raise Refused(node, name, not_a_builtin(name))

    def _attribute(self, node: ast.Attribute) -> None:
        if self._path_of(node) is not None:
            self._path_as_value(node)
            return
        if not _is_super(node.value):
            self._visit(node.value)
        self._field(node)

    def _field(self, node: ast.Attribute) -> None:
        """Check `.field` of a value whose type the text does not tell."""
        name = node.attr
        if name in METHODS:
            return
        if name == "__init__" and _is_super(node.value):
            return
        if name.startswith("__") and name.endswith("__"):
            self._identifier(node, name)
        stored = isinstance(node.ctx, ast.Store) and name in ("grad", "requires_grad")
        if not stored and (name in DOORS or name not in self.own()):
            raise Refused(node, name, not_a_field(name))

    def _path_of(self, node: ast.expr) -> tuple[ast.Name, list[ast.Attribute]] | None:
        """A dotted expression that begins with the name of a module, or of something that a module gave."""
        found = dotted(node)
        if found is None or self._is_local(found[0].id) or found[0].id in SHUT_BUILTINS:
            return None  # an import in a function that never runs would give `eval` another meaning on paper
        return found if found[0].id in self.bindings.paths else None

    def _follow(self, node: ast.expr) -> set[str]:
        """Check each step of a dotted path; what the whole of it stands for."""
        found = self._path_of(node)
        assert found is not None
        root, attributes = found
        ends = set()
        for path in self.bindings.paths[root.id]:
            for attribute in attributes:
                path = self._step(path, attribute)
            if not is_module(path) and not is_stand_in(path) and not is_module(path.rpartition(".")[0]):
                path = ""  # a field of a value
            ends.add(path)
        if not isinstance(getattr(node, "ctx", None), ast.Load) and not all(map(is_stand_in, ends)):
            raise Refused(node, ast.unparse(node), f"An answer may not change `{ast.unparse(node)}`.")
        return ends

    def _step(self, path: str, attribute: ast.Attribute) -> str:
        longer = f"{path}.{attribute.attr}"
        if is_module(path):
            if not is_module(longer) and attribute.attr not in MODULES[path]:
                raise Refused(attribute, longer, not_a_member(longer))
        elif is_stand_in(path):
            self._identifier(attribute, attribute.attr)
            if attribute.attr in DOORS:  # the name may have been given to something else since
                raise Refused(attribute, attribute.attr, not_a_field(attribute.attr))
        elif path in SPECIAL:
            if attribute.attr not in METHODS:
                raise Refused(attribute, longer, not_a_member(longer))
            return ""
        else:
            self._field(attribute)
            return ""
        return longer

    def _path_as_value(self, node: ast.expr) -> None:
        for path in self._follow(node):
            if is_module(path):
                raise Refused(node, path, not_a_module(ast.unparse(node), alone=True))
            if path in SPECIAL and not self.as_type:
                short = ast.unparse(node)
                instead = (
                    f"Write `with {short}(...)`." if path in GRADIENT_SWITCHES else f"Call it, or write `x: {short}`."
                )
                raise Refused(node, path, f"`{short}` may not be passed on as a value. {instead}")

    # ---- Calls ----

    def _call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Name) and not self._is_local(function.id):
            if self._is_known_call(node, function.id):
                return
        elif isinstance(function, ast.Attribute) and function.attr == "format":
            self._format(function)
            self._visit_all([*node.args, *node.keywords])
            return
        if self._path_of(function) is None:
            self._visit(function)
        else:
            self._call_of_path(node, function)
        self._visit_all([*node.args, *node.keywords])

    def _is_known_call(self, node: ast.Call, name: str) -> bool:
        """Python's own functions that are admitted in one form only."""
        if name == "isinstance" and len(node.args) == 2 and not node.keywords:
            self._visit(node.args[0])
            self._visit_as_type(node.args[1])
            return True
        plain = not node.args and not node.keywords
        # An import in a function would be among its locals, and a module would come out as a value.
        return name == "locals" and plain and self.functions > 0 and not self.bindings.inner

    def _call_of_path(self, node: ast.Call, function: ast.expr) -> None:
        for path in self._follow(function):
            if path in GRADIENT_SWITCHES or path in _TYPE_ONLY or is_module(path):
                self._path_as_value(function)
            elif path == "types.SimpleNamespace" and (node.args or any(k.arg is None for k in node.keywords)):
                said = "Write the fields of a SimpleNamespace one by one, as in SimpleNamespace(h=h)."
                raise Refused(node, path, said)

    def _format(self, function: ast.Attribute) -> None:
        text = function.value.value if isinstance(function.value, ast.Constant) else None
        if not isinstance(text, str) or not _is_plain_format(text):
            raise Refused(function, "format", not_a_field("format"))

    def _keyword(self, node: ast.keyword) -> None:
        self._identifier(node, node.arg)
        off = isinstance(node.value, ast.Constant) and node.value.value is False
        if node.arg == "requires_grad" and not off:
            raise Refused(node, "requires_grad", not_a_field("requires_grad"))
        self._visit(node.value)

    def _compare(self, node: ast.Compare) -> None:
        for side in (node.left, *node.comparators):
            asks = isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id == "type"
            if asks and isinstance(side, ast.Call) and len(side.args) == 1 and not side.keywords:
                self._visit(side.args[0])
            else:
                self._visit_as_type(side)

    def _visit_as_type(self, node: ast.AST | None) -> None:
        before, self.as_type = self.as_type, True
        self._visit_all([node])
        self.as_type = before

    # ---- Scopes ----

    def _lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args)
        self._inside(argument_names(node.args), [node.body])

    def _inside(self, names: set[str], body: Sequence[ast.AST]) -> None:
        self.scopes.append(names - self.bindings.inner)
        self.functions += 1
        before, self.in_class = self.in_class, False
        self._visit_all(body)
        self.in_class = before
        self.functions -= 1
        self.scopes.pop()

    def _arguments(self, node: ast.arguments) -> None:
        self._visit_all([*node.defaults, *node.kw_defaults])
        for argument in (*node.posonlyargs, *node.args, *node.kwonlyargs, node.vararg, node.kwarg):
            if argument is not None:
                self._identifier(argument, argument.arg)
                self._visit_as_type(argument.annotation)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        leaves = [leaf for generator in node.generators for leaf in ast.walk(generator.target)]
        names = {leaf.id for leaf in leaves if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store)}
        self._visit(node.generators[0].iter)
        self.scopes.append(names - self.bindings.inner)
        for child in (g for generator in node.generators for g in ast.iter_child_nodes(generator)):
            if child is not node.generators[0].iter:
                self._visit(child)
        elements = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        self._visit_all(elements)
        self.scopes.pop()


def _is_super(node: ast.expr) -> bool:
    plain = isinstance(node, ast.Call) and not node.args and not node.keywords
    return plain and isinstance(node.func, ast.Name) and node.func.id == "super"  # type: ignore[attr-defined]


def _is_plain_format(text: str) -> bool:
    """True where the fields of a format string name no attribute and no item."""
    try:
        fields = [(name or "", spec or "") for _, name, spec, _ in Formatter().parse(text)]
    except ValueError:
        return False
    return all(not set(name) & set(".[") and ("{" not in spec or _is_plain_format(spec)) for name, spec in fields)
