"""Detectors for candidates whose shape is not the tensor's."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from grader.diagnosing.core import Diagnosis, Mismatch, named_factor, shape_text, spread_to
from grader.truth.autograd import Forward


def both_shapes(mismatch: Mismatch) -> str:
    """The candidate's shape beside the tensor's."""
    return f"yours is {shape_text(mismatch.candidate.shape)}, {mismatch.name} is {shape_text(mismatch.truth.shape)}"


def wrong_shape(name: str, ours: Sequence[int], true: Sequence[int]) -> str:
    """That the shapes differ, and what they are."""
    return f"A gradient has its tensor's shape: yours is {shape_text(ours)}, {name} is {shape_text(true)}."


def only_these_sizes(name: str, texts: Iterable[str], forward: Forward) -> str:
    """That an answer holds at the lesson's own sizes only: which number of its lines is one, and where it stands.

    `texts` are the statements of the answer; `forward` ran at the lesson's own sizes.
    """
    tensors = {held: value for held, value in forward.values.items() if isinstance(value, Tensor)}
    own = [name] if name in tensors else []
    sizes: dict[int, str] = {}
    for held in (*own, *(atom.name for atom in forward.atoms), *tensors):
        for at, size in enumerate(tensors[held].shape):
            sizes.setdefault(int(size), f"{held}.shape[{at}]")
    written = [leaf.value for text in texts for leaf in ast.walk(ast.parse(text)) if isinstance(leaf, ast.Constant)]
    number = next((value for value in written if type(value) is int and value > 2 and value in sizes), None)
    if number is None:
        return "Right, but only at these sizes: one of them is written into it. Take it from the shape of a tensor."
    return f"Right, but only at these sizes: the number {number} is written into it. Take it from {sizes[number]}."


def writes_a_size(texts: Iterable[str]) -> bool:
    """True where there is a number in the lines that may be a size: any but those of formulas, such as 0.5 and 2."""
    leaves = (leaf for text in texts for leaf in ast.walk(ast.parse(text)) if isinstance(leaf, ast.Constant))
    numbers = (leaf.value for leaf in leaves if isinstance(leaf.value, (int, float)))
    return any(number not in (0, 0.5, 1, 1.5, 2, 1e-5) for number in numbers)


def _reshaped(mismatch: Mismatch) -> Tensor | None:
    """The candidate in the truth's shape, where its numbers are right there."""
    truth, candidate = mismatch.truth, mismatch.candidate
    if candidate.numel() != truth.numel():
        return None
    flat = candidate.reshape(truth.shape)
    return flat if mismatch.same(flat) else None


def wrong_keepdim(mismatch: Mismatch) -> Diagnosis | None:
    """Right numbers, but a dimension of size 1 is gone, or there is one too much."""
    ours, true = mismatch.candidate, mismatch.truth
    if ours.dim() == true.dim() or ours.squeeze().shape != true.squeeze().shape or _reshaped(mismatch) is None:
        return None
    said = f"Right numbers in the wrong shape: {both_shapes(mismatch)}. "
    if ours.dim() < true.dim():
        return Diagnosis("missing-keepdim", said + _about_keeping(mismatch))
    kept = "keepdim" in mismatch.text or not mismatch.text
    said += "Leave keepdim out of the sum, or drop" if kept else "Sum over that dimension too, or drop"
    return Diagnosis("extra-keepdim", f"{said} the extra dimension of size 1.")


def _about_keeping(mismatch: Mismatch) -> str:
    """How the lost dimension is kept: by the sum itself, where the tensor has as many as what is summed."""
    for through in mismatch.gradients.shares[mismatch.name]:
        whole = unsummed(mismatch, through)
        if whole is not None and whole.dim() > mismatch.truth.dim():
            return f"Sum over {_listed(_broadcast_over(mismatch, whole))} of {shape_text(whole.shape)} alone."
    return f"Keep the summed dimension in the sum, or put a lost one back with .reshape({mismatch.name}.shape)."


def transposed(mismatch: Mismatch) -> Diagnosis | None:
    """The truth, transposed; where a matrix is square its shape does not tell."""
    pairs = itertools.combinations(range(mismatch.candidate.dim()), 2)
    if not any(mismatch.same(mismatch.candidate.transpose(*pair)) for pair in pairs):
        return None
    return Diagnosis(
        "transposed",
        f"Right numbers, transposed: {both_shapes(mismatch)}. Look at the order of the operands and at which of "
        "them is transposed.",
    )


def wrong_reshape(mismatch: Mismatch) -> Diagnosis | None:
    """Right numbers under another shape of the same size."""
    if _reshaped(mismatch) is None:
        return None
    return Diagnosis(
        "wrong-reshape",
        f"Right numbers in the wrong shape: {both_shapes(mismatch)}. End with .reshape({mismatch.name}.shape).",
    )


def missing_broadcast(mismatch: Mismatch) -> Diagnosis | None:
    """Right numbers before they are broadcast over the dimension that was summed forward."""
    truth, candidate = mismatch.truth, mismatch.candidate
    spread = spread_to(candidate, truth.shape)
    if spread is None or candidate.numel() >= truth.numel() or not mismatch.same(spread):
        return None
    return Diagnosis(
        "missing-broadcast",
        f"Right numbers, not broadcast: {both_shapes(mismatch)}. A sum on the way forward is a broadcast on the "
        f"way back: multiply by ones of the shape of {mismatch.name}.",
    )


def missing_sum(mismatch: Mismatch) -> Diagnosis | None:
    """Not summed over the dimensions that the forward pass broadcast."""
    candidate = mismatch.candidate
    if candidate.numel() <= mismatch.truth.numel():
        return None
    for left in _dimension_sets(candidate.dim()):
        if any(mismatch.same(candidate.sum(left, keepdim=kept)) for kept in (True, False)):
            return Diagnosis("missing-sum", _how_far_summed(mismatch, left))
    return None


def _how_far_summed(mismatch: Mismatch, left: tuple[int, ...]) -> str:
    """Over what a tensor was broadcast, and over which of it the candidate is summed; `left` are its dimensions that
    are still to be summed."""
    for through in mismatch.gradients.shares[mismatch.name]:
        if (whole := unsummed(mismatch, through)) is None:
            continue
        over = _broadcast_over(mismatch, whole)
        there = f"{mismatch.name} was broadcast over {_listed(over)} of {through} {shape_text(whole.shape)}"
        if mismatch.same(mismatch.candidate, whole):
            said = f"{there} on the way forward, so its gradient is summed over {_listed(over)} on the way back."
            return f"Not summed yet: {both_shapes(mismatch)}. {said}"
        for done in _dimension_sets(whole.dim()):
            if any(mismatch.same(mismatch.candidate, whole.sum(done, keepdim=kept)) for kept in (True, False)):
                alone = _listed(done).split(" ", 1)[1]
                return f"Not summed far enough: {both_shapes(mismatch)}. {there}; yours sums over {alone} alone."
    return f"Not summed far enough: {both_shapes(mismatch)}. The sum over {_listed(left)} of yours is still to come."


def _listed(dimensions: tuple[int, ...]) -> str:
    """`dimension 0`, `dimensions 0 and 1`."""
    return f"dimension{'s' if len(dimensions) > 1 else ''} {' and '.join(map(str, dimensions))}"


def _broadcast_over(mismatch: Mismatch, whole: Tensor) -> tuple[int, ...]:
    """The dimensions of `whole`, a gradient that is not summed yet, over which its tensor was broadcast."""
    more, true = whole.dim() - mismatch.truth.dim(), mismatch.truth.shape
    return tuple(d for d in range(whole.dim()) if d < more or true[d - more] != whole.shape[d])


def wrong_dimension(mismatch: Mismatch) -> Diagnosis | None:
    """The sum of what should be summed, taken over another dimension."""
    for through in mismatch.gradients.shares[mismatch.name]:
        whole = unsummed(mismatch, through)
        if whole is None:
            continue
        for dimensions in _dimension_sets(whole.dim()):
            for keepdim in (True, False):
                summed = whole.sum(dimensions, keepdim=keepdim)
                if len(dimensions) < whole.dim() and mismatch.same(summed, mismatch.candidate):
                    said = f"Summed over {_listed(dimensions)} of a {shape_text(whole.shape)} tensor"
                    asked = "Which dimension was broadcast on the way forward?"
                    return Diagnosis("wrong-dimension", f"{said}: {both_shapes(mismatch)}. {asked}")
        if (found := _over_everything(mismatch, whole, through)) is not None:
            return found
    return None


def _over_everything(mismatch: Mismatch, whole: Tensor, through: str) -> Diagnosis | None:
    """One sum of all numbers, or a constant with a name times that, in place of one sum for each element."""
    total, ours, true = whole.sum().expand(mismatch.candidate.shape), mismatch.candidate, mismatch.truth
    factor = mismatch.factor(ours, total)
    if mismatch.same(ours, total) and (ours.shape != true.shape or not mismatch.same(total, torch.zeros_like(total))):
        factor = 1.0  # a sum that is zero by algebra as well
    if factor is None or true.numel() == 1 or (known := named_factor(factor, mismatch)) is None:
        return None  # numbers that are all the same are some multiple of every other one
    said = "Summed over everything" if known.name == "1" else f"It is {known.name} times the sum over everything"
    said += "" if ours.shape == true.shape else f": {both_shapes(mismatch)}"
    over = f"{_listed(_broadcast_over(mismatch, whole))} alone of {through} {shape_text(whole.shape)}"
    return Diagnosis("wrong-dimension", f"{said}. Each element of {mismatch.name} gets a sum of its own, over {over}.")


def unsummed(mismatch: Mismatch, through: str) -> Tensor | None:
    """The gradient that comes through an atom before it is summed back over what was broadcast."""
    like = mismatch.forward.outputs[through]
    tensor = mismatch.forward.inputs[through][mismatch.name]
    if like.shape == tensor.shape or like.dim() < tensor.dim():
        return None
    spread = spread_to(tensor.detach(), like.shape)
    return None if spread is None else mismatch.share_with(through, {mismatch.name: spread.clone()})


def _dimension_sets(dimensions: int) -> list[tuple[int, ...]]:
    return [chosen for size in range(1, dimensions + 1) for chosen in itertools.combinations(range(dimensions), size)]


SHAPE_DETECTORS: tuple[Callable[[Mismatch], Diagnosis | None], ...] = (
    wrong_keepdim,
    transposed,
    missing_broadcast,
    missing_sum,
    wrong_dimension,
    wrong_reshape,
)
