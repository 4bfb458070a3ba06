"""Gradients that an answer takes from autograd instead of deriving them: which door, on which line."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass

_AUTOGRAD = frozenset(
    {
        *("backward", "grad", "grad_fn", "requires_grad", "requires_grad_", "retain_grad", "enable_grad"),
        *("set_grad_enabled", "autograd", "func", "functorch", "ops", "vjp", "jvp", "jacrev", "jacfwd"),
    }
)
_KERNELS = ("_backward", "_backward_data")
"""How the kernels that autograd itself calls are named: `torch.ops.aten.tanh_backward`."""
_OFF = "set_grad_enabled(False)"
_AUTOGRAD_NAMES = frozenset({"autograd", "vjp", "jvp", "jacrev", "jacfwd", "functorch"})


@dataclass(frozen=True)
class AutogradUse:
    """How a statement takes gradients from autograd, as the learner wrote it, and on which line."""

    door: str
    line: int


def autograd_use(tree: ast.AST, own_names: Collection[str] = ()) -> AutogradUse | None:
    """The first way in which `tree` takes gradients from autograd; None where it does not.

    `own_names` are functions and fields that the submission defines itself: its own `backward` is no autograd.
    """
    switched_off = {
        id(leaf.func) for leaf in ast.walk(tree) if isinstance(leaf, ast.Call) and ast.unparse(leaf).endswith(_OFF)
    }
    for find in (_door, _kernel):
        for leaf in ast.walk(tree):
            door = None if id(leaf) in switched_off else find(leaf, own_names)
            if door is not None:
                return AutogradUse(door, getattr(leaf, "lineno", 1))
    return None


def _kernel(leaf: ast.AST, own_names: Collection[str]) -> str | None:
    if isinstance(leaf, ast.Attribute) and leaf.attr.endswith(_KERNELS) and leaf.attr not in own_names:
        return f".{leaf.attr}"
    return None


def _door(leaf: ast.AST, own_names: Collection[str]) -> str | None:
    if isinstance(leaf, ast.Attribute) and leaf.attr in _AUTOGRAD and isinstance(leaf.ctx, ast.Load):
        if _is_torch(leaf.value):
            return f".{leaf.attr}"
        return f".{leaf.attr}" if leaf.attr not in {"func", "ops", *own_names} else None
    if isinstance(leaf, ast.Name) and leaf.id in _AUTOGRAD_NAMES - set(own_names):
        return leaf.id
    if isinstance(leaf, ast.keyword) and leaf.arg == "requires_grad":
        off = isinstance(leaf.value, ast.Constant) and leaf.value.value is False
        return None if off else "requires_grad"
    if isinstance(leaf, ast.Call) and isinstance(leaf.func, ast.Name) and leaf.func.id == "getattr":
        asked = {argument.value for argument in leaf.args if isinstance(argument, ast.Constant)}
        return ast.unparse(leaf) if asked & _AUTOGRAD else None
    if isinstance(leaf, (ast.Import, ast.ImportFrom)):
        module = getattr(leaf, "module", "") or ""
        parts = {part for name in [module, *(a.name for a in leaf.names)] for part in name.split(".")}
        torchs = bool(parts & {"torch", "functorch"})
        return ast.unparse(leaf) if torchs and parts & {"autograd", "func", "functorch", "_C"} else None
    return None


def _is_torch(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "torch"
