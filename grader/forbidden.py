"""What an answer must not do: take its gradients from autograd. A courtesy in words, not the defence."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection

from grader.instrument import drop_inert_calls

_AUTOGRAD = frozenset(
    {
        *("backward", "grad", "grad_fn", "requires_grad", "requires_grad_", "retain_grad", "enable_grad"),
        *("set_grad_enabled", "autograd", "func", "functorch", "ops", "vjp", "jvp", "jacrev", "jacfwd"),
    }
)
_OFF = "set_grad_enabled(False)"
_AUTOGRAD_NAMES = frozenset({"autograd", "vjp", "jvp", "jacrev", "jacfwd", "functorch"})


def autograd_use(node: ast.AST, own_functions: Collection[str] = ()) -> str | None:
    """How `node` takes gradients from autograd, as the learner wrote it; None where it does not.

    `own_functions` are names that the submission defines itself: its own `backward` is no autograd.
    """
    node = copy.deepcopy(node)
    drop_inert_calls(node)
    switched_off = {
        id(leaf.func) for leaf in ast.walk(node) if isinstance(leaf, ast.Call) and ast.unparse(leaf).endswith(_OFF)
    }
    for leaf in ast.walk(node):
        if id(leaf) in switched_off:
            continue
        if isinstance(leaf, ast.Attribute) and leaf.attr in _AUTOGRAD and isinstance(leaf.ctx, ast.Load):
            own = leaf.attr in own_functions
            if not own and (leaf.attr not in {"func", "ops"} or _is_torch(leaf.value)):
                return f".{leaf.attr}"
        elif isinstance(leaf, ast.Name) and leaf.id in _AUTOGRAD_NAMES - set(own_functions):
            return leaf.id
        elif isinstance(leaf, ast.keyword) and leaf.arg == "requires_grad":
            if not (isinstance(leaf.value, ast.Constant) and leaf.value.value is False):
                return "requires_grad"
        elif isinstance(leaf, ast.Call) and isinstance(leaf.func, ast.Name) and leaf.func.id == "getattr":
            asked = {argument.value for argument in leaf.args if isinstance(argument, ast.Constant)}
            if asked & _AUTOGRAD:
                return ast.unparse(leaf)
        elif isinstance(leaf, (ast.Import, ast.ImportFrom)):
            module = getattr(leaf, "module", "") or ""
            parts = {part for name in [module, *(a.name for a in leaf.names)] for part in name.split(".")}
            if parts & {"autograd", "func", "functorch", "_C"}:
                return ast.unparse(leaf)
    return None


def _is_torch(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "torch"
