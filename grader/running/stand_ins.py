"""Quiet stand-ins for what an answer may mention but a grader does not need: plots, checks, progress bars."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterable, Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

import numpy as np
import torch
import torch.nn.functional

from grader.admission.admitted_names import is_stand_in


class Silent:
    """Accepts every attribute, call, index and iteration, and does nothing."""

    def __getattr__(self, name: str) -> Silent:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: object, **__: object) -> Silent:
        return self

    def __getitem__(self, key: object) -> Silent:
        return self

    def __setitem__(self, key: object, value: object) -> None:
        return None

    def __iter__(self) -> Iterator[Silent]:
        return iter((self, self))

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def __bool__(self) -> bool:
        return True


class ProgressStandIn:
    """Iterates like tqdm and draws nothing."""

    def __init__(self, iterable: Iterable[Any] = (), *_: object, **__: object) -> None:
        self.iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        return iter(self.iterable)

    def __getattr__(self, name: str) -> Silent:
        return Silent()

    @staticmethod
    def tqdm(*given: Any, **options: Any) -> ProgressStandIn:
        """`tqdm.tqdm(...)`, for those who import the package."""
        return ProgressStandIn(*given, **options)

    @staticmethod
    def trange(*sizes: int, **options: Any) -> ProgressStandIn:
        return ProgressStandIn(range(*sizes), **options)

    def __enter__(self) -> ProgressStandIn:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def stand_ins() -> dict[str, Any]:
    """Names that people use without a definition of their own."""
    return {
        "torch": torch,
        "F": torch.nn.functional,
        "nn": torch.nn,
        "np": np,
        "numpy": np,
        "math": math,
        "random": random,
        "plt": Silent(),
        "cmp": Silent(),
        "tqdm": ProgressStandIn,
        "trange": lambda *sizes, **_: range(*sizes),
    }


def without_stand_ins(namespace: dict[str, Any]) -> dict[str, Any]:
    """A setup's names less those that a stand-in takes the place of."""
    replaced = stand_ins()
    return {name: value for name, value in namespace.items() if name not in replaced}


class _Packages(MetaPathFinder, Loader):
    """Imports a stand-in for each package that draws or reports, and for whatever module of it is asked for."""

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if is_stand_in(fullname) else None

    def create_module(self, spec: ModuleSpec) -> Any:
        module = Silent()
        if spec.name.split(".")[0] == "tqdm":
            vars(module).update(tqdm=ProgressStandIn, trange=ProgressStandIn.trange)
        return module

    def exec_module(self, _: object) -> None:
        return None


def stand_in_for_packages() -> None:
    """Let this process import stand-ins in place of `STAND_INS`, also where it has imported them before."""
    for name in [name for name in sys.modules if is_stand_in(name)]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Packages())
    package = vars(sys.modules["grader"])
    package.update({name: Silent() for name in package["__all__"] if is_stand_in(f"grader.{name}")})
    package.pop("plots", None)
