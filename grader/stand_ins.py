"""Quiet stand-ins for what an answer may mention but a grader does not need: plots, checks, progress bars."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional


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
