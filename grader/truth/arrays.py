"""Lessons in numpy: their forward lines run on tensors, so that autograd finds the true gradients."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_tensor(value: Any) -> Any:
    """An array of numbers as a tensor of its own; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(value.copy())
    return value


def run_on_tensors(code: Any, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Run code that is written for numpy on a scope of tensors; the scope afterwards.

    PyTorch has numpy's functions for tensors, made for its compiler, and gradients flow through them. It is loaded
    here only, because most lessons are written in PyTorch.
    """
    tnp: Any = import_module("torch._numpy")
    here: dict[str, Any] = {}
    for name, value in scope.items():
        if isinstance(value, Tensor):
            here[name] = tnp.ndarray(value)
        elif isinstance(value, ModuleType) and value is np:
            here[name] = tnp
        elif isinstance(value, FunctionType) and value.__globals__.get("__name__") == "exercise":
            here[name] = FunctionType(value.__code__, here, name, value.__defaults__, value.__closure__)
            here[name].__kwdefaults__ = value.__kwdefaults__
        else:
            here[name] = value
    exec(code, here)
    return {name: value.tensor if isinstance(value, tnp.ndarray) else value for name, value in here.items()}
