"""Detectors for one path through a layer of today's networks: softmax, masks, and sums over a batch."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import torch
from torch import Tensor

from grader.diagnosing.core import SAME_FACTOR, Diagnosis, Mismatch, Path, common_factor
from grader.diagnosing.shapes import unsummed


def wrong_softmax(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """A softmax that is taken back over another dimension, or without the sum that its division brings."""
    result, above = mismatch.forward.values[path.through], mismatch.gradients.upstream[path.through]
    if "softmax" not in _called(mismatch, path.through) or above.shape != path.share.shape:
        return None
    line = mismatch.line_of(path)
    logarithm = "log_softmax" in _called(mismatch, path.through)
    weights = result.exp() if logarithm else result
    for part, diagnosis in _parts(mismatch, path, logarithm, weights, above):
        if part.shape == path.share.shape and mismatch.same(path.found, part):
            return diagnosis
    read = mismatch.forward.values[mismatch.name]
    if mismatch.text and not _SUMS.search(mismatch.text):
        return None
    for dimension in range(read.dim()):
        for s in (weights, read.softmax(dimension)):
            summed = above.sum(dimension, keepdim=True) if logarithm else (above * s).sum(dimension, keepdim=True)
            back = above - s * summed if logarithm else s * (above - summed)
            if not mismatch.same(back, path.share) and mismatch.same(path.found, back):
                return Diagnosis(
                    "wrong-dimension",
                    f"The sum in the way back of {line} runs over dimension {dimension} of {mismatch.name}. It belongs "
                    "over the dimension that the softmax runs over, because only these numbers share a sum.",
                )
    return None


_SUMS = re.compile(r"@|\b(sum|mean|einsum|matmul|dot|bmm|mm|mv)\b")


def _parts(
    mismatch: Mismatch, path: Path, logarithm: bool, weights: Tensor, above: Tensor
) -> Iterator[tuple[Tensor, Diagnosis]]:
    """What remains of a softmax's gradient when one part of it is forgotten."""
    line, name, through = mismatch.line_of(path), mismatch.name, path.through
    said = (
        f"Each number of a row of {through} depends on every number of the same row of {name}, because the row is "
        f"divided by its sum. So in {line} a sum over the row is taken away: "
    )
    first = above if logarithm else weights * above
    if not logarithm:
        yield first, Diagnosis("missing-softmax-sum", f"{said}{through} * d{through} is the first part only.")
        own = f"{said}{through} * (1 - {through}), as for a sigmoid, is the share of each number's own {name} alone."
        yield first * (1 - weights), Diagnosis("missing-softmax-sum", own)
    if logarithm:
        read = f"{through} is used where its exponential belongs, the softmax of {name}, in the way back of {line}."
        sums = (above - mismatch.forward.values[through] * above.sum(d, keepdim=True) for d in range(above.dim()))
        yield from ((value, Diagnosis("wrong-forward-value", read)) for value in sums)
    only = f"{said}this is the sum alone, and what comes straight back from d{through} is missing."
    yield path.share - first, Diagnosis("missing-path", only)
    only = f"This is the softmax of {name} alone: the upstream gradient d{through} of {line} is missing."
    yield weights, Diagnosis("missing-upstream", only)
    only = f"In the way back of {line} a sum over each row is taken away, and"
    said, kind = f"{only} d{through} is missing in that sum.", "missing-upstream"
    if not logarithm and any(bool((above.sum(dimension) == 1).all()) for dimension in range(above.dim())):
        said, kind = f"{only} a factor is missing in that sum: {through} or d{through}.", "missing-factor"
    yield above - weights if logarithm else weights * (above - 1), Diagnosis(kind, said)
    only = f"In the way back of {line} a factor is missing: the softmax of {name}."
    for dimension in range(above.dim()):
        row_sum = above.sum(dimension, keepdim=True) if logarithm else (above * weights).sum(dimension, keepdim=True)
        yield above - row_sum, Diagnosis("missing-local-derivative", only)


def wrong_mask(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """A mask of the forward pass that is left out, or one that was drawn anew."""
    for name in mismatch.atoms[path.through].reads:
        mask = mismatch.forward.values.get(name)
        if not (isinstance(mask, Tensor) and _is_mask(mask)):
            continue
        largest = 0.0 if mask.dtype is torch.bool else float(mask.max() or mask.min())
        open_everywhere = torch.full_like(mask, largest)
        without = mismatch.share_with(path.through, {name: open_everywhere})
        if without is None or mismatch.same(without, path.share):
            continue
        finite = mask.dtype is not torch.bool or bool(torch.isfinite(without).all())
        above = mismatch.gradients.upstream[path.through]
        forgotten = (without, above) if finite else (above,)
        if any(mismatch.factor(path.found, found) is not None for found in forgotten):
            return Diagnosis(
                "missing-mask",
                f"The mask {name} is missing{mismatch.on_path(path)}. Where {mismatch.line_of(path)} shut a number "
                f"out, it has no part in the loss, so its gradient is zero.",
            )
        if not finite or not _is_masked(path.found, without):
            continue
        if bool(((path.found == 0) | (path.share == 0)).all()):
            return Diagnosis(
                "wrong-mask",
                f"The mask {name} is the wrong way round{mismatch.on_path(path)}: there is a gradient exactly where "
                f"{mismatch.line_of(path)} shut the number out.",
            )
        shuts, lets = (path.found == 0) & (path.share != 0), (path.found != 0) & (path.share == 0)
        if bool((shuts | lets).any()) and common_factor(path.found, without) is None:
            return Diagnosis(
                "wrong-mask",
                f"Right but for the places of the zeros{mismatch.on_path(path)}. The way back uses the same mask as "
                f"{mismatch.line_of(path)}, {name}; {_otherwise(mismatch, name, shuts, lets)}.",
            )
    return None


def _otherwise(mismatch: Mismatch, mask: str, shuts: Tensor, lets: Tensor) -> str:
    """Which numbers an answer shuts out and lets through that the mask of the forward pass does not."""
    if bool(shuts.any()) and bool(lets.any()):
        return "yours lets other numbers through, as a mask does that is drawn anew"
    if not bool(shuts.any()):
        return f"yours lets numbers through that {mask} shuts out"
    zeros = bool((mismatch.forward.values[mismatch.name][shuts] == 0).all())
    return f"yours also shuts out {f'where {mismatch.name} is 0' if zeros else f'numbers that {mask} lets through'}"


def wrong_gate(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """A gate, such as a ReLU or a mask of zeros and ones, left out or open at other places than forward."""
    above = mismatch.gradients.upstream[path.through]
    if above.shape != path.share.shape or above.numel() == 1:
        return None
    seen = above != 0
    true, ours = path.share[seen] / above[seen], path.found[seen] / above[seen]
    open_, through = true != 0, ours.abs() > mismatch.limit
    shut = bool((true == 0).any() and ((true == 0) | (true == 1)).all())
    for name in (mismatch.name, path.through) if shut else ():
        if mismatch.same(path.found, mismatch.forward.values[name] * above):
            said = f"d{path.through} is multiplied by {name} itself{mismatch.on_path(path)}. The slope of "
            said += f"{mismatch.line_of(path)} is 1 where {mismatch.name} comes through, and 0 elsewhere."
            return Diagnosis("missing-local-derivative", said)
    if not bool((~open_).any() and open_.any() and through.any()) or _only_number(true[open_], mismatch) is None:
        return None
    straight, leak = (_only_number(ours[part], mismatch) for part in (open_, ~open_))
    if shut and straight is not None and leak and mismatch.is_factor(straight, 1) and not mismatch.is_factor(leak, 1):
        said = (
            f"Right where {mismatch.line_of(path)} lets a number through{mismatch.on_path(path)}. Where it shuts one "
        )
        return Diagnosis("wrong-mask", f"{said}out, the slope is 0; yours is {leak:.3g}.")
    if _only_number(ours[through], mismatch) is None:
        return None
    masks = [
        name
        for name, value in mismatch.forward.inputs[path.through].items()
        if name != mismatch.name and value.shape == above.shape and bool(((value == 0) | (value == 1)).all())
    ]
    if bool(through.all()):
        if not masks:
            return None
        return Diagnosis(
            "missing-mask",
            f"{masks[0]} is forgotten{mismatch.on_path(path)}: where {mismatch.line_of(path)} multiplied by 0, the "
            "gradient is 0 too.",
        )
    if bool((through == open_).all()):
        return None
    cause = f"Use {masks[0]}, the one of the forward pass." if masks else "Which tensor decided it in the forward pass?"
    return Diagnosis(
        "wrong-mask",
        f"Other elements come through than in {mismatch.line_of(path)}{mismatch.on_path(path)}. {cause}",
    )


def _only_number(values: Tensor, mismatch: Mismatch) -> float | None:
    """What all of them are, up to rounding; None where they differ."""
    first = float(values[0])
    spread = float((values - first).abs().max())
    return first if spread <= max(mismatch.limit, SAME_FACTOR) * abs(first) else None


def one_part_of_a_sum(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """One example's part in place of the sum over all that the tensor was broadcast to."""
    whole = unsummed(mismatch, path.through)
    extra = 0 if whole is None else whole.dim() - path.share.dim()
    if whole is None or extra < 1:
        return None
    if not any(mismatch.same(path.found, part) for part in whole.flatten(0, extra - 1)):
        return None
    return Diagnosis(
        "missing-sum",
        f"This is one part of {whole.shape[:extra].numel()}{mismatch.on_path(path)}. {mismatch.line_of(path)} uses "
        f"{mismatch.name} as many times, so its gradient is the sum of all of them.",
    )


def _called(mismatch: Mismatch, atom: str) -> set[str]:
    calls = (leaf for leaf in ast.walk(mismatch.expression(atom)) if isinstance(leaf, ast.Call))
    names = {leaf.func.attr for leaf in calls if isinstance(leaf.func, ast.Attribute)}
    return names | {"softmax"} if "log_softmax" in names else names


def _is_mask(value: Tensor) -> bool:
    """True for zeros and one other number, both of them there, but not for labels, one in each row or column."""
    found = torch.unique(value)
    labels = value.dim() == 2 and any(bool((value != 0).sum(dimension).eq(1).all()) for dimension in (0, 1))
    return found.numel() == 2 and bool((found == 0).any()) and not labels


def _is_masked(value: Tensor, whole: Tensor) -> bool:
    """True where some elements are those of `whole`, all times one number, and all others are zero."""
    kept = value != 0
    if value.shape != whole.shape or not bool(kept.any()) or bool(kept.all()):
        return False
    return common_factor(value[kept], whole[kept]) is not None and int(kept.sum()) > 2
