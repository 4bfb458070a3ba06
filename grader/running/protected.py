"""What a submission finds again as it was, whatever its statements have done: forward tensors, sizes, stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Protected:
    """Values by name, with a copy of each tensor and array."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._tensors: dict[str, tuple[Tensor, Tensor]] = {}
        self._versions: dict[str, int] = {}
        self._arrays: dict[str, tuple[Any, Any]] = {}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def add(self, name: str, value: Any) -> None:
        """Keep `value` under `name`, as it is now."""
        for kept in (self._tensors, self._versions, self._arrays):
            kept.pop(name, None)
        self._values[name] = value
        if isinstance(value, Tensor):
            self._tensors[name] = value, value.clone()
            self._versions[name] = value._version
        elif isinstance(value, np.ndarray):
            self._arrays[name] = value, value.copy()

    def leave(self, name: str) -> None:
        """Keep what is under `name` no more."""
        for kept in (self._values, self._tensors, self._versions, self._arrays):
            kept.pop(name, None)

    def restore(self, namespace: dict[str, Any], *, counted: bool) -> None:
        """Undo in `namespace` what was done since. Where changes are `counted`, each tensor's own count tells of them;
        it says nothing of what was done through `.data`."""
        for name, copy in list(self._changed(counted)):
            self.add(name, copy)
        namespace.update(self._values)

    def _changed(self, counted: bool) -> Iterator[tuple[str, Any]]:
        for name, (array, copy) in self._arrays.items():
            if not np.array_equal(array, copy, equal_nan=array.dtype.kind == "f"):
                yield name, copy
        if counted and [tensor._version for tensor, _ in self._tensors.values()] == list(self._versions.values()):
            return  # after most statements, so this costs some microseconds for all
        for name, (tensor, copy) in self._tensors.items():
            if tensor._version != self._versions[name] if counted else not _same_numbers(tensor, copy):
                yield name, copy


def _same_numbers(value: Tensor, copy: Tensor) -> bool:
    return value.shape == copy.shape and bool(torch.equal(value, copy))
