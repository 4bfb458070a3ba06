"""Optimisers without torch's compiler, which they load for nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"


@contextlib.contextmanager
def without_compiler() -> Iterator[None]:
    """Build and step a `torch.optim` object in this block without loading torch's compiler.

    An optimiser tells the compiler not to compile its methods, and loads it to tell it: more than a second, in a
    process that compiles nothing. Here it tells a stand-in, and its arithmetic is its own. Whoever asks the stand-in
    for more than that gets the compiler itself. Where the compiler is loaded already, nothing is changed.
    """
    if _COMPILER in sys.modules:
        yield
        return
    stand_in = _StandIn(_COMPILER)
    sys.modules[_COMPILER] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(_COMPILER) is stand_in:
            del sys.modules[_COMPILER]
        for function in stand_in.told:  # torch keeps what it was told; the compiler is to be told too, once it is there
            function.__dict__.pop("__dynamo_disable", None)


class _StandIn(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.told: list[Callable[..., Any]] = []

    def disable(self, function: Callable[..., Any], *_: object, **__: object) -> Callable[..., Any]:
        self.told.append(function)
        return function

    def graph_break(self) -> None:
        """Nothing is traced here, so nothing is broken off."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # such as __file__, which inspect asks of every module
            raise AttributeError(name)
        if sys.modules.get(_COMPILER) is self:
            del sys.modules[_COMPILER]
        return getattr(import_module(_COMPILER), name)
