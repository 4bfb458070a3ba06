"""Takes autograd out of a worker: what an answer would get from torch by differentiation is not there.

This holds below the guards, for code that got past them. It is no wall against code that puts torch together anew.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import torch

_SWITCHES = (
    *("_dispatch_tls_set_dispatch_key_excluded", "_dispatch_tls_set_dispatch_key_included", "_ForceDispatchKeyGuard"),
    *("_IncludeDispatchKeyGuard", "_ExcludeDispatchKeyGuard", "_AutoDispatchBelowAutograd", "_ImperativeEngine"),
)
_TRANSFORMS = ("_grad_increment_nesting", "_jvp_increment_nesting")
_KERNELS = ("_backward", "_backward_data")


def take_out_autograd() -> None:
    """Let every operation of this thread run below autograd, and shut the doors that lead back above it."""
    torch.set_grad_enabled(False)
    for key in (name for name in dir(torch._C.DispatchKey) if name.startswith("Autograd")):
        with contextlib.suppress(RuntimeError):  # a key that this build of torch does not have
            torch._C._dispatch_tls_set_dispatch_key_excluded(key, True)
    modules = [module for name, module in sys.modules.items() if name.startswith(("torch._C", "torch._functorch"))]
    for module in modules:
        for name in (*_SWITCHES, *_TRANSFORMS):
            if hasattr(module, name):
                setattr(module, name, _gone)
    kinds: Any = torch._ops._OpNamespace
    spaces = [space for space in vars(torch.ops).values() if isinstance(space, kinds)]
    for holder in (torch, torch._C._nn, *spaces):
        for name in [name for name in vars(holder) if name.endswith(_KERNELS)]:
            delattr(holder, name)
    kinds.__getattr__ = _for_torch_alone(kinds.__getattr__)
    torch._C._jit_get_operation = _for_torch_alone(torch._C._jit_get_operation)


def _for_torch_alone(find: Callable[..., Any]) -> Callable[..., Any]:
    """`find` for all but the kernels that autograd calls, which torch's own modules name when they are loaded."""

    def ask(*asked: Any) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if str(asked[-1]).endswith(_KERNELS) and not caller.startswith("torch."):
            _gone()
        return find(*asked)

    return ask


def _gone(*_: object, **__: object) -> Any:
    raise RuntimeError("autograd is not there: gradients are worked out by hand")
