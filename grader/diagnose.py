"""From a mismatch to the mistake: small detectors, each of which says one thing or nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grader.autograd import Gradients
from grader.compare import compare


@dataclass(frozen=True)
class Mismatch:
    """A candidate that is not the true gradient of `name`, and what is known of that tensor."""

    name: str
    candidate: Tensor
    gradients: Gradients
    forward: dict[str, Any]

    @property
    def truth(self) -> Tensor:
        return self.gradients.total[self.name]

    def equals(self, value: Tensor, truth: Tensor | None = None) -> bool:
        """True where `value` has the truth's shape and, up to rounding, its numbers."""
        truth = self.truth if truth is None else truth
        if value.shape != truth.shape:
            return False
        return compare(value.to(truth.dtype), truth, self.gradients.scale(self.name)).right


@dataclass(frozen=True)
class Diagnosis:
    """The mistake's stable id, and a sentence or two for the learner."""

    mistake: str
    message: str


def shape_text(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def wrong_shape(name: str, ours: Sequence[int], true: Sequence[int]) -> str:
    """That the shapes differ, and what they are."""
    return f"A gradient has its tensor's shape: yours is {shape_text(ours)}, {name} is {shape_text(true)}."


def missing_keepdim(mismatch: Mismatch) -> Diagnosis | None:
    """Right numbers, but a dimension of size 1 is gone."""
    truth, candidate = mismatch.truth, mismatch.candidate
    if candidate.dim() >= truth.dim() or candidate.numel() != truth.numel():
        return None
    if not mismatch.equals(candidate.reshape(truth.shape)):
        return None
    return Diagnosis(
        "missing-keepdim",
        f"Right numbers in the wrong shape: yours is {shape_text(candidate.shape)}, {mismatch.name} is "
        f"{shape_text(truth.shape)}. Keep the summed dimension: write keepdim=True in the sum.",
    )


def extra_keepdim(mismatch: Mismatch) -> Diagnosis | None:
    """Right numbers, but a dimension of size 1 too much."""
    truth, candidate = mismatch.truth, mismatch.candidate
    if candidate.dim() <= truth.dim() or candidate.numel() != truth.numel():
        return None
    if not mismatch.equals(candidate.reshape(truth.shape)):
        return None
    return Diagnosis(
        "extra-keepdim",
        f"Right numbers in the wrong shape: yours is {shape_text(candidate.shape)}, {mismatch.name} is "
        f"{shape_text(truth.shape)}. Leave keepdim=True out of the sum, or drop the extra dimension.",
    )


def other_shape(mismatch: Mismatch) -> Diagnosis | None:
    """Right numbers under another shape of the same size, or transposed."""
    truth, candidate = mismatch.truth, mismatch.candidate
    if candidate.shape == truth.shape or candidate.numel() != truth.numel():
        return None
    ours, true = shape_text(candidate.shape), shape_text(truth.shape)
    if candidate.dim() == 2 and mismatch.equals(candidate.T):
        return Diagnosis(
            "transposed",
            f"Right numbers, transposed: yours is {ours}, {mismatch.name} is {true}. Swap and transpose the "
            "operands, or transpose the result with .T.",
        )
    if mismatch.equals(candidate.reshape(truth.shape)):
        return Diagnosis(
            "wrong-reshape",
            f"Right numbers in the wrong shape: yours is {ours}, {mismatch.name} is {true}. "
            f"End with .view({mismatch.name}.shape).",
        )
    return None


def missing_sum(mismatch: Mismatch) -> Diagnosis | None:
    """Not summed over the dimensions that the forward pass broadcast."""
    truth, candidate = mismatch.truth, mismatch.candidate
    if candidate.dim() < truth.dim() or candidate.shape == truth.shape:
        return None
    for dimensions in _dimension_sets(candidate.dim()):
        for keepdim in (True, False):
            summed = candidate.sum(dimensions, keepdim=keepdim)
            if summed.shape == truth.shape and mismatch.equals(summed):
                listed = ", ".join(map(str, dimensions))
                return Diagnosis(
                    "missing-sum",
                    f"Yours is {shape_text(candidate.shape)}, {mismatch.name} is {shape_text(truth.shape)}: "
                    f"it was broadcast over dimension {listed} on the way forward, so its gradient is summed over "
                    f"dimension {listed} on the way back.",
                )
    return None


def missing_broadcast(mismatch: Mismatch) -> Diagnosis | None:
    """Right numbers before they are spread over the dimension that was summed forward."""
    truth, candidate = mismatch.truth, mismatch.candidate
    if candidate.numel() >= truth.numel():
        return None
    try:
        spread = candidate.expand(truth.shape)
    except RuntimeError:
        return None
    if not mismatch.equals(spread):
        return None
    return Diagnosis(
        "missing-broadcast",
        f"Right numbers, not spread out: yours is {shape_text(candidate.shape)}, {mismatch.name} is "
        f"{shape_text(truth.shape)}. A sum on the way forward is a broadcast on the way back: multiply by "
        f"torch.ones_like({mismatch.name}).",
    )


SHAPE_DETECTORS: tuple[Callable[[Mismatch], Diagnosis | None], ...] = (
    missing_keepdim,
    extra_keepdim,
    other_shape,
    missing_broadcast,
    missing_sum,
)


def diagnose_shape(mismatch: Mismatch) -> Diagnosis:
    """The first detector that recognises the mistake; failing that, the two shapes."""
    for detector in SHAPE_DETECTORS:
        if (found := detector(mismatch)) is not None:
            return found
    truth, candidate = mismatch.truth, mismatch.candidate
    return Diagnosis("wrong-shape", wrong_shape(mismatch.name, candidate.shape, truth.shape))


def diagnose_values(mismatch: Mismatch, error: float) -> Diagnosis:
    """How far off, where the largest error sits, and what share of the elements is right."""
    truth, candidate = mismatch.truth.double(), mismatch.candidate.double()
    difference = (candidate - truth).abs()
    scale = mismatch.gradients.scale(mismatch.name)
    right = float((difference <= 1e-9 * scale).double().mean())
    flat = int(difference.argmax())
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat, device="cpu"), truth.shape))
    where = f"[{', '.join(map(str, index))}]" if index else ""
    return Diagnosis(
        "wrong-values",
        f"Off by {error:.1e} of the largest gradient; {right:.0%} of the elements are right. "
        f"The largest error is at d{mismatch.name}{where}: yours {float(candidate.flatten()[flat]):.6g}, "
        f"true {float(truth.flatten()[flat]):.6g}.",
    )


def _dimension_sets(dimensions: int) -> list[tuple[int, ...]]:
    return [chosen for size in (1, 2) for chosen in itertools.combinations(range(dimensions), size)]
