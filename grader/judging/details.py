"""The figures behind a verdict: shapes, paths, the largest errors, and where they lie."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from grader.report.records import Details, ElementError
from grader.truth.autograd import Gradients
from grader.truth.compare import Comparison

MAX_ERRORS = 6
MAP_ROWS, MAP_COLUMNS = 12, 60
"""A heat map at most this large is readable in a terminal of 80 columns; larger tensors are pooled."""


def details_of(name: str, gradients: Gradients, candidate: Tensor | None, comparison: Comparison | None) -> Details:
    """What is known of one gradient. `candidate` is None where no numbers were handed over."""
    truth = gradients.total[name]
    found = Details(
        shape=list(truth.shape),
        paths={through: float(share.abs().max()) for through, share in gradients.shares[name].items()},
    )
    if candidate is None:
        return found
    found.your_shape = list(candidate.shape)
    if candidate.shape != truth.shape or candidate.numel() == 0:
        return found
    found.error = comparison.error if comparison else None
    difference = (candidate.double() - truth.double()).abs().nan_to_num(float("inf"))
    found.largest_errors = _largest(difference, candidate, truth)
    if found.largest_errors and not (comparison and comparison.right):
        found.heatmap = _heatmap(difference)  # a map of rounding says nothing, and is most of a large report
    return found


def _largest(difference: Tensor, candidate: Tensor, truth: Tensor) -> list[ElementError]:
    flat = difference.flatten()
    rows = []
    for position in flat.topk(min(MAX_ERRORS, flat.numel())).indices:
        if float(flat[position]) == 0.0:
            break
        # torch.unravel_index loads sympy: 0.3 s that a learner would wait for.
        index = [int(i) for i in np.unravel_index(int(position), tuple(truth.shape))]
        rows.append(ElementError(index, float(candidate.flatten()[position]), float(truth.flatten()[position])))
    return rows


def _heatmap(difference: Tensor) -> list[list[float]]:
    """|yours - true| as rows and columns, each cell the largest of the elements that it stands for."""
    if difference.dim() == 0:
        return []
    plane = difference.reshape(-1, difference.shape[-1]) if difference.dim() > 1 else difference[None]
    size = min(MAP_ROWS, plane.shape[0]), min(MAP_COLUMNS, plane.shape[1])
    pooled = torch.nn.functional.adaptive_max_pool2d(plane[None].nan_to_num(posinf=1e308), size)[0]
    rows: list[list[float]] = pooled.tolist()
    return rows
