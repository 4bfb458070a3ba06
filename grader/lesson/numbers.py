"""What a lesson may leave as a result: a number, a list of numbers, an array or a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def as_numbers(value: Any) -> Tensor | None:
    """A number, a list of numbers, an array or a tensor, as a tensor; None where it is none of these."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return torch.from_numpy(np.array(value)) if value.dtype.kind in "fiub" else None
    if isinstance(value, (bool, int, float)):
        return torch.tensor(float(value), dtype=torch.float64)
    if isinstance(value, (list, tuple)) and value:
        found = [item.detach().double() for item in map(as_numbers, value) if item is not None]
        if len(found) == len(value) and all(item.shape == found[0].shape for item in found):
            return torch.stack(found)
    return None


def in_the_kind_of(value: Any, numbers: Tensor) -> Any:
    """`numbers` as an array where `value` is one, as a Python number where `value` is one, else as a tensor."""
    if isinstance(value, np.ndarray):
        return numbers.detach().cpu().numpy()
    if isinstance(value, (float, int)) and numbers.dim() == 0:
        return numbers.item()
    return numbers


def as_tensor_like(value: Any, own: Any) -> Any:
    """An array or a number as a tensor, in a lesson whose `own` value there is one too; else `value` as it is."""
    if value is None or isinstance(value, (Tensor, list, tuple)) or (isinstance(own, Tensor) and own.dim() > 0):
        return value
    numbers = as_numbers(value)
    if numbers is None:
        return value
    return numbers.to(own.dtype) if isinstance(own, Tensor) and numbers.is_floating_point() else numbers
