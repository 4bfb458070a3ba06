"""A candidate gradient against the true one: shape, dtype, device, finite, values, in that order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LIMITS = {
    # dtype: largest |yours - true| over largest |true| that still is rounding.
    # Measured noise of right answers (40 rewritings, 20 seeds): float64 8e-15, float32 6e-7 on a CPU.
    # Smallest real mistake in the tests: the 1e-5 left out of batchnorm, 2.9e-6 at the least over 200 seeds.
    torch.float64: 1e-9,
    torch.float32: 2e-6,
}
"""Relative limits by dtype. Nothing else in the project decides what counts as equal."""


@dataclass(frozen=True)
class Comparison:
    """`exact`, `approximate`, `maxdiff` as the lecture's `cmp` prints; `error` is relative to a scale."""

    candidate: Tensor
    truth: Tensor
    maxdiff: float
    error: float
    right: bool

    @property
    def exact(self) -> bool:
        """Whether every number is the same, down to the last bit."""
        return bool(torch.equal(self.candidate, self.truth))

    @property
    def approximate(self) -> bool:
        """Whether every number is the same by torch's own, absolute limits. It never decides."""
        return self.exact or bool(torch.allclose(self.candidate, self.truth))


def compare(candidate: Tensor, truth: Tensor, scale: float | None = None, tolerance: float = 0.0) -> Comparison:
    """Compare two tensors of the same shape and dtype, in float64.

    `scale` is what an error is measured against; by default the largest element of `truth`. An error is right up
    to the limit of the dtype of `truth`, or up to `tolerance` where a lesson gives a wider one.
    """
    limit = max(LIMITS[truth.dtype], tolerance)
    ours, true = candidate.detach().double(), truth.detach().double()
    if scale is None:
        scale = float(true.abs().max())
    difference = float((ours - true).abs().max()) if ours.numel() else 0.0
    error = difference / scale if scale > 0 else (0.0 if difference == 0 else float("inf"))
    return Comparison(candidate, truth, maxdiff=difference, error=error, right=bool(error <= limit))
