"""Detectors for candidates whose shape is not the tensor's."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterable, Sequence

from torch import Tensor

from grader.diagnosing.core import Diagnosis, Mismatch, shape_text
from grader.truth.autograd import Forward, vector_jacobian_product


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


def missing_keepdim(mismatch: Mismatch) -> Diagnosis | None:
    """Right numbers, but a dimension of size 1 is gone."""
    if mismatch.candidate.dim() >= mismatch.truth.dim() or _reshaped(mismatch) is None:
        return None
    if mismatch.candidate.squeeze().shape != mismatch.truth.squeeze().shape:
        return None
    return Diagnosis(
        "missing-keepdim",
        f"Right numbers in the wrong shape: {both_shapes(mismatch)}. Keep the summed dimension: write "
        "keepdim=True in the sum, or put a squeezed one back with unsqueeze.",
    )


def extra_keepdim(mismatch: Mismatch) -> Diagnosis | None:
    """Right numbers, but a dimension of size 1 too much."""
    if mismatch.candidate.dim() <= mismatch.truth.dim() or _reshaped(mismatch) is None:
        return None
    if mismatch.candidate.squeeze().shape != mismatch.truth.squeeze().shape:
        return None
    return Diagnosis(
        "extra-keepdim",
        f"Right numbers in the wrong shape: {both_shapes(mismatch)}. Leave keepdim=True out of the sum, or drop "
        "the extra dimension.",
    )


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
        f"Right numbers in the wrong shape: {both_shapes(mismatch)}. End with .view({mismatch.name}.shape).",
    )


def missing_broadcast(mismatch: Mismatch) -> Diagnosis | None:
    """Right numbers before they are broadcast over the dimension that was summed forward."""
    truth, candidate = mismatch.truth, mismatch.candidate
    if candidate.numel() >= truth.numel():
        return None
    try:
        spread = candidate.expand(truth.shape)
    except RuntimeError:
        return None
    if not mismatch.same(spread):
        return None
    return Diagnosis(
        "missing-broadcast",
        f"Right numbers, not broadcast: {both_shapes(mismatch)}. A sum on the way forward is a broadcast on the "
        f"way back: multiply by torch.ones_like({mismatch.name}).",
    )


def missing_sum(mismatch: Mismatch) -> Diagnosis | None:
    """Not summed over the dimensions that the forward pass broadcast."""
    candidate = mismatch.candidate
    if candidate.numel() <= mismatch.truth.numel():
        return None
    for dimensions in _dimension_sets(candidate.dim()):
        for keepdim in (True, False):
            if mismatch.same(candidate.sum(dimensions, keepdim=keepdim)):
                listed = " and ".join(map(str, dimensions))
                return Diagnosis(
                    "missing-sum",
                    f"Not summed yet: {both_shapes(mismatch)}. {mismatch.name} was broadcast over dimension "
                    f"{listed} on the way forward, so its gradient is summed over dimension {listed} on the "
                    "way back.",
                )
    return None


def wrong_dimension(mismatch: Mismatch) -> Diagnosis | None:
    """The sum of what should be summed, taken over another dimension."""
    for through in mismatch.gradients.shares[mismatch.name]:
        whole = unsummed(mismatch, through)
        if whole is None:
            continue
        for dimensions in _dimension_sets(whole.dim()):
            for keepdim in (True, False):
                summed = whole.sum(dimensions, keepdim=keepdim)
                if summed.shape == mismatch.candidate.shape and mismatch.same(summed, mismatch.candidate):
                    return _over_dimension(mismatch, whole, dimensions)
        if mismatch.same(whole.sum().expand(mismatch.candidate.shape), mismatch.candidate):
            return _over_dimension(mismatch, whole, tuple(range(whole.dim())))
    return None


def _over_dimension(mismatch: Mismatch, whole: Tensor, dimensions: tuple[int, ...]) -> Diagnosis:
    listed = " and ".join(map(str, dimensions))
    return Diagnosis(
        "wrong-dimension",
        f"Summed over dimension {listed} of a {shape_text(whole.shape)} tensor; that gives "
        f"{shape_text(mismatch.candidate.shape)}. {mismatch.name} is {shape_text(mismatch.truth.shape)}: which "
        "dimension was broadcast on the way forward?",
    )


def unsummed(mismatch: Mismatch, through: str) -> Tensor | None:
    """The gradient that comes through an atom before it is summed back over what was broadcast."""
    like = mismatch.forward.outputs[through]
    tensor = mismatch.forward.inputs[through][mismatch.name]
    if like.shape == tensor.shape or like.dim() < tensor.dim():
        return None
    try:
        spread = tensor.detach().expand(like.shape).clone()
        output, leaves = mismatch.forward.rerun(mismatch.atoms[through], {mismatch.name: spread})
    except RuntimeError:
        return None
    if output.shape != like.shape:
        return None
    above = mismatch.gradients.upstream[through]
    return vector_jacobian_product(output, leaves, above).get(mismatch.name)


def _dimension_sets(dimensions: int) -> list[tuple[int, ...]]:
    return [chosen for size in range(1, dimensions + 1) for chosen in itertools.combinations(range(dimensions), size)]


SHAPE_DETECTORS: tuple[Callable[[Mismatch], Diagnosis | None], ...] = (
    missing_keepdim,
    extra_keepdim,
    transposed,
    missing_broadcast,
    missing_sum,
    wrong_dimension,
    wrong_reshape,
)
