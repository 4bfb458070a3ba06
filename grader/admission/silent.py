"""Quiet stand-ins for what an answer may mention but a grader does not need: plots, checks, progress bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

_PARTS = {"hist": 3, "hist2d": 4}
"""How many things a call gives, where it is not two as with `fig, ax = plt.subplots()`."""


class Silent:
    """Accepts every attribute, call, index, iteration and arithmetic, and does nothing."""

    def __init__(self, parts: int = 2) -> None:
        self._parts = parts

    def __getattr__(self, name: str) -> Silent:
        if name.startswith("__"):
            raise AttributeError(name)
        return Silent(_PARTS.get(name, 2))

    def __call__(self, *_: object, **__: object) -> Silent:
        return self

    def __getitem__(self, key: object) -> Silent:
        return self

    def __setitem__(self, key: object, value: object) -> None:
        return None

    def __iter__(self) -> Iterator[Silent]:
        return iter((self,) * self._parts)

    def __len__(self) -> int:
        return self._parts

    def __format__(self, spec: str) -> str:
        return ""

    def _same(self, _: object) -> Silent:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _same
    __lt__ = __le__ = __gt__ = __ge__ = _same

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
        """tqdm's `trange`: a range in a bar that is not drawn."""
        return ProgressStandIn(range(*sizes), **options)

    def __enter__(self) -> ProgressStandIn:
        return self

    def __exit__(self, *error: object) -> None:
        return None
