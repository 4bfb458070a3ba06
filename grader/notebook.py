"""`cmp`: the lecture's check, for notebooks and scripts."""

from __future__ import annotations

from typing import Any

import torch

from grader.compare import compare
from grader.diagnose import shape_text


def cmp(name: str, d: Any, t: torch.Tensor, *_: object, **__: object) -> bool:
    """Compare `d` with the true gradient `t.grad` and print the lecture's line.

    Shapes are compared first, without broadcasting; a stub (`...`) is "not attempted". Returns True where
    `d` is right: equal up to rounding, measured against the largest element of the true gradient.
    """
    line, right = _line(name, d, t)
    print(line)
    return right


def _line(name: str, d: Any, t: torch.Tensor) -> tuple[str, bool]:
    label = f"{name:15s} |"
    if d is ... or d is None:
        return f"{label} not attempted", False
    if not isinstance(d, torch.Tensor):
        return f"{label} a {type(d).__name__}, not a tensor of shape {shape_text(t.shape)}", False
    truth = t.grad
    if truth is None:
        return (
            f"{label} no true gradient yet: run the cells from the forward pass to loss.backward() again",
            False,
        )
    if d.shape != truth.shape:
        return f"{label} shape {shape_text(d.shape)}, but {name} is {shape_text(truth.shape)}", False
    if d.dtype != truth.dtype:
        return f"{label} dtype {d.dtype}, but {name} is {truth.dtype}".replace("torch.", ""), False
    found = compare(d.to(truth.device), truth)
    figures = f"exact: {found.exact!s:5s} | approximate: {found.approximate!s:5s} | maxdiff: {found.maxdiff}"
    return f"{label} {figures}", found.right
