"""Detectors for one path that picks elements: rows and columns sent to the wrong places."""

from __future__ import annotations

import ast
import itertools
import math

import torch
from torch import Tensor

from grader.diagnosing.core import Diagnosis, Mismatch, Path, shape_text


def overwritten_rows(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """Scattered rows overwrite each other instead of adding up."""
    index = _index_of(mismatch, path.through)
    if index is None or path.share.dim() < 1:
        return None
    above = mismatch.gradients.upstream[path.through].reshape(-1, *path.share.shape[1:])
    rows = index.reshape(-1)
    if above.shape[0] != rows.shape[0]:
        return None
    repeated = [int(row) for row in torch.unique(rows) if int((rows == row).sum()) > 1]
    for row, found in enumerate(path.found):
        fitting = above[rows == row] if row in repeated else path.share[row : row + 1]
        if not any(mismatch.same(found, one) for one in fitting):
            return None
    if not repeated:
        return None
    return Diagnosis(
        "overwritten-rows",
        f"Rows of d{mismatch.name} that are used more than once hold one contribution, not the sum. Indexed "
        "assignment, and += with an index tensor, keep only one of several writes to a row.",
    )


def _index_of(mismatch: Mismatch, atom: str) -> Tensor | None:
    """The index tensor of an atom such as `emb = C[Xb]`."""
    value = mismatch.expression(atom)
    if not (isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Name)):
        return None
    index = mismatch.forward.values.get(value.slice.id)
    return index if isinstance(index, Tensor) and not index.is_floating_point() else None


def misplaced(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """The right numbers in other places: sent along the wrong index, or reshaped in another order."""
    if mismatch.same(path.found, path.share) or path.found.numel() < 2:
        return None
    if not mismatch.same(path.found.flatten().sort().values, path.share.flatten().sort().values):
        return None
    if _selects(mismatch, path.through):
        return Diagnosis(
            "wrong-row-or-column",
            f"The right numbers in the wrong places{mismatch.on_path(path)}. {mismatch.line_of(path)} picks "
            "elements by index: the gradient goes back to exactly those.",
        )
    pairs = itertools.combinations(range(path.found.dim()), 2)
    turned = next((pair for pair in pairs if mismatch.same(path.found.transpose(*pair), path.share)), None)
    if turned is not None and (path.found.dim() == 2 or not _moves_dimensions(mismatch, path.through)):
        return Diagnosis(
            "transposed",
            f"The right numbers{mismatch.on_path(path)} with dimensions {turned[0]} and {turned[1]} exchanged. "
            f"Exchange them again, or the factors of the product: {mismatch.name} is {shape_text(path.share.shape)}.",
        )
    if _moves_dimensions(mismatch, path.through):
        return Diagnosis(
            "unmoved-dimensions",
            f"The right numbers in another order{mismatch.on_path(path)}. {mismatch.line_of(path)} exchanges "
            f"dimensions, so the way back exchanges them again; {_how_moved(mismatch, path)}",
        )
    return Diagnosis(
        "wrong-reshape",
        f"The right numbers in another order{mismatch.on_path(path)}. {mismatch.line_of(path)} does not move "
        "any element; neither should the way back.",
    )


def _how_moved(mismatch: Mismatch, path: Path) -> str:
    """The rest of a sentence about dimensions that are to be exchanged: what was done in place of that."""
    found, true = path.found, path.share
    if mismatch.same(found.flatten(), mismatch.gradients.upstream[path.through].flatten()):
        return "a view or reshape does not."
    for dimension in range(true.dim()):
        parts = true.unbind(dimension)
        if all(any(mismatch.same(part, other) for other in parts) for part in found.unbind(dimension)):
            return f"in yours what stands along dimension {dimension} of {mismatch.name} is in another order."
    return "in yours they come back in another order."


def wrong_places(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """The right values, but not at the elements that were picked."""
    if not _selects(mismatch, path.through) or float(path.found.abs().max()) == 0.0:
        return None
    values, rounded = torch.unique(path.share).tolist(), torch.unique(path.found).tolist()
    same_sums = path.share.dim() > 1 and any(
        mismatch.same(path.found.sum(dimension), summed)
        for dimension in range(path.share.dim())
        if not mismatch.same(summed := path.share.sum(dimension), torch.zeros_like(summed))
    )
    few = len(values) <= path.share.numel() // 2
    if not (
        same_sums
        or (few and all(any(math.isclose(value, v, rel_tol=mismatch.limit) for v in values) for value in rounded))
    ):
        return None
    return Diagnosis(
        "wrong-row-or-column",
        f"The right numbers in the wrong places{mismatch.on_path(path)}. {mismatch.line_of(path)} picks "
        "elements: the gradient goes back to exactly those.",
    )


def _moves_dimensions(mismatch: Mismatch, atom: str) -> bool:
    """True for an atom that exchanges dimensions, as one that splits channels into heads does."""
    moves = {"transpose", "permute", "swapaxes", "movedim", "moveaxis", "T", "mT"}
    return any(isinstance(leaf, ast.Attribute) and leaf.attr in moves for leaf in ast.walk(mismatch.expression(atom)))


def _selects(mismatch: Mismatch, atom: str) -> bool:
    """True for an atom that picks elements: indexing, or max."""
    return any(
        isinstance(leaf, ast.Subscript) or (isinstance(leaf, ast.Attribute) and leaf.attr in {"max", "min", "amax"})
        for leaf in ast.walk(mismatch.expression(atom))
    )
