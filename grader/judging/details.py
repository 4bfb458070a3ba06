"""The figures behind a verdict: shapes, paths, the largest errors, and where they lie."""

from __future__ import annotations

import base64
import math

import numpy as np
import torch
from torch import Tensor

from grader.report.records import INFINITE, LEVELS, NOT_A_NUMBER, Details, ElementError, Picture
from grader.truth.autograd import Gradients
from grader.truth.compare import Comparison

MAX_ERRORS, _MOST_LOOKED_AT = 3, 300
MAX_SIDE = 64
"""Rows and columns of an error picture; larger tensors are pooled."""

_FAINT = 0.05
"""A difference below this share of the scale is enlarged, or its panel would be blank."""


def details_of(name: str, gradients: Gradients, candidate: Tensor | None, comparison: Comparison | None) -> Details:
    """What is known of one gradient. `candidate` is None where no numbers were handed over."""
    truth = gradients.total[name]
    found = Details(shape=list(truth.shape), paths=gradients.paths(name))
    if candidate is None:
        return found
    found.your_shape = list(candidate.shape)
    if candidate.shape != truth.shape or candidate.numel() == 0:
        return found
    found.error = comparison.error if comparison else None
    if comparison and comparison.maxdiff == 0.0:
        return found
    difference = (candidate.double() - truth.double()).abs().nan_to_num(float("inf"))
    found.largest_errors = _largest(difference, candidate, truth)
    if found.largest_errors and not (comparison and comparison.right):
        found.picture = picture_of(candidate, truth)  # of rounding it says nothing
    return found


def _largest(difference: Tensor, candidate: Tensor, truth: Tensor) -> list[ElementError]:
    """The largest errors, each with other numbers than the one before: of a broadcast row one element says it all."""
    flat = difference.flatten()
    positions = flat.topk(min(_MOST_LOOKED_AT, flat.numel())).indices
    columns = (held.flatten()[positions].tolist() for held in (difference, candidate, truth))
    found: dict[tuple[str, str], ElementError] = {}
    for position, off, yours, theirs in zip(positions.tolist(), *columns, strict=True):
        if off == 0.0 or len(found) == MAX_ERRORS:
            break
        # torch.unravel_index loads sympy: 0.3 s that a learner would wait for.
        index = [int(i) for i in np.unravel_index(position, tuple(truth.shape))]
        found.setdefault((f"{yours:.6g}", f"{theirs:.6g}"), ElementError(index, float(yours), float(theirs)))
    return list(found.values())


def picture_of(candidate: Tensor, truth: Tensor) -> Picture | None:
    """Yours, true and their difference as cells; None for a single number."""
    if truth.dim() == 0:
        return None
    yours, true = (value.double().reshape(-1, value.shape[-1]) for value in (candidate, truth))
    finite = torch.cat([value[value.isfinite()].abs() for value in (yours, true)])
    scale = float(finite.max()) if finite.numel() else 0.0
    difference = yours - true
    known = difference[difference.isfinite()].abs()
    largest = float(known.max()) if known.numel() else 0.0
    enlarged = 10 ** math.floor(math.log10(scale / largest)) if 0 < largest < _FAINT * scale else 1
    panels = [_levels(value, scale) for value in (yours, true, difference * enlarged)]
    rows, columns = panels[0].shape
    encoded = [base64.b64encode(panel.numpy().tobytes()).decode("ascii") for panel in panels]
    height, width = true.shape
    return Picture(rows, columns, height, width, scale, enlarged, *encoded)


def _levels(plane: Tensor, scale: float) -> Tensor:
    """Each cell's level, rounded away from zero so that nothing small is drawn as nothing."""
    cells = _pooled(plane)
    share = cells / scale * LEVELS if scale else torch.zeros_like(cells)
    levels = share.nan_to_num().clamp(-LEVELS, LEVELS)
    levels = levels.sign() * levels.abs().sub(1e-9).ceil()
    levels[cells.isnan()] = NOT_A_NUMBER
    infinite = cells.isinf()
    levels[infinite] = cells[infinite].sign() * INFINITE
    return levels.to(torch.int8).cpu()


def _pooled(plane: Tensor) -> Tensor:
    """At most MAX_SIDE by MAX_SIDE cells, each the element of a block that is farthest from zero; nan wins."""
    size = min(MAX_SIDE, plane.shape[0]), min(MAX_SIDE, plane.shape[1])
    if size == tuple(plane.shape):
        return plane
    largest, smallest = (
        sign * torch.nn.functional.adaptive_max_pool2d((sign * plane).nan_to_num(-math.inf)[None], size)[0]
        for sign in (1, -1)
    )
    cells = torch.where(largest >= -smallest, largest, smallest)
    strange = torch.nn.functional.adaptive_max_pool2d(plane.isnan().double()[None], size)[0]
    return torch.where(strange > 0, math.nan, cells)
