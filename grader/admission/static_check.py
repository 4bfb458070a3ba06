"""The static check: what of a submission is not admitted, told before anything of it runs.

What is checked is the very text that a worker is sent, less the prints and checks that a worker leaves out too.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from grader.admission.admitted_names import AUTOGRAD_DOORS
from grader.admission.bindings import Bindings
from grader.admission.forbidden import autograd_use
from grader.admission.language import Language
from grader.admission.sentences import Refused
from grader.syntax.effects import Effects
from grader.syntax.inert_calls import drop_inert_calls
from grader.syntax.scopes import functions_in
from grader.syntax.source import Statement

AUTOGRAD, NOT_ADMITTED = "autograd", "not-admitted"


@dataclass(frozen=True)
class Refusal:
    """Why a statement may not run: the mistake's id, what is to blame, its line as `Statement.line`, a sentence."""

    mistake: str
    name: str
    line: int
    message: str


class StaticCheck:
    """Checks the statements of one submission. `running` are the indexes of those that may run."""

    def __init__(
        self,
        statements: Sequence[Statement],
        effects: Sequence[Effects],
        running: Iterable[int],
        own_functions: Collection[str],
    ) -> None:
        self.statements = statements
        self.own_functions = own_functions
        self.found: dict[int, Refusal | None] = {}
        self.trees = {index: self._tree(index) for index in sorted(running)}
        written = {name for index in self.trees for name in effects[index].writes}
        self.language = Language(Bindings(self.trees.values()), lambda: self._own_fields, written)

    def refusal(self, index: int) -> Refusal | None:
        """Why statement `index`, one of `running`, may not run; None where it may."""
        if index not in self.found:
            self.found[index] = self._refusal(self.trees[index], self.statements[index])
        return self.found[index]

    def refusal_of_place(self, index: int, place: str) -> Refusal | None:
        """The same for the expression that holds the value which statement `index` writes.

        It is evaluated at the top of the file, also where it stands in a check that a worker leaves out.
        """
        if place.isidentifier():
            return None
        return self._refusal(ast.parse(place, mode="eval"), self.statements[index])

    def admits(self, text: str) -> bool:
        """Whether a statement that is not one of `running` may run as it stands, checks and prints included."""
        try:
            self.language.check(ast.parse(text))
        except (Refused, SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        return True

    def _tree(self, index: int) -> ast.Module:
        statement = self.statements[index]
        try:
            tree = ast.parse(statement.text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.found[index] = Refusal(NOT_ADMITTED, "syntax", statement.line, "Python cannot read this.")
            return ast.Module([], [])
        drop_inert_calls(tree, self.own_functions)
        return tree

    def _refusal(self, tree: ast.Module | ast.Expression, statement: Statement) -> Refusal | None:
        first = statement.text_line - 1
        try:
            self.language.check(tree)
        except RecursionError:
            return Refusal(NOT_ADMITTED, "nesting", statement.line, "This is nested too deeply.")
        except Refused as refused:
            use = autograd_use(tree, {*self.own_functions, *self._own_fields})
            if use is not None or AUTOGRAD_DOORS & set(refused.name.split(".")):
                door = refused.name if use is None else use.door
                line = getattr(refused.node, "lineno", 1) if use is None else use.line
                said = f"This takes the gradient from PyTorch's autograd ({door})."
                return Refusal(AUTOGRAD, door, first + line, f"{said} Work it out from the upstream gradient.")
            return Refusal(NOT_ADMITTED, refused.name, first + getattr(refused.node, "lineno", 1), refused.said)
        return None

    @cached_property
    def _own_fields(self) -> frozenset[str]:
        """The fields and methods that the submission defines: `out` of `self.out = x`, of `class A: out = 1`."""
        found = {function.name for s in self.statements for function in functions_in([s.node])}
        for statement in self.statements:
            for leaf in ast.walk(statement.node):
                if isinstance(leaf, ast.ClassDef):
                    found |= _fields_of(leaf)
                elif isinstance(leaf, ast.Call):
                    found |= _fields_made(leaf)
                elif isinstance(leaf, ast.Attribute) and isinstance(leaf.ctx, ast.Store):
                    found.add(leaf.attr)
        return frozenset(found) if "grad" not in found or self._stores_grad() else frozenset(found - {"grad"})

    def _stores_grad(self) -> bool:
        """True where something else than None is stored to a `.grad`, or a class has one."""
        for statement in self.statements:
            for leaf in ast.walk(statement.node):
                if isinstance(leaf, ast.ClassDef) and "grad" in _fields_of(leaf):
                    return True
                targets = leaf.targets if isinstance(leaf, ast.Assign) else [getattr(leaf, "target", None)]
                value = getattr(leaf, "value", None)
                cleared = isinstance(value, ast.Constant) and value.value is None
                fields = [part for t in targets if t is not None for part in ast.walk(t)]
                if not cleared and any(isinstance(part, ast.Attribute) and part.attr == "grad" for part in fields):
                    return True
        return False


def _fields_of(node: ast.ClassDef) -> set[str]:
    found: set[str] = set()
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            found.add(child.name)
        targets = child.targets if isinstance(child, ast.Assign) else [getattr(child, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def _fields_made(call: ast.Call) -> set[str]:
    """The fields that `SimpleNamespace(h=h)` and `namedtuple("Grads", "h W2")` give their values."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "SimpleNamespace":
        return {keyword.arg for keyword in call.keywords if keyword.arg is not None}
    if name in ("namedtuple", "NamedTuple"):
        leaves = [leaf for argument in call.args for leaf in ast.walk(argument)]
        texts = [leaf.value for leaf in leaves if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)]
        return {word for text in texts for word in text.replace(",", " ").split()}
    return set()
