"""What goes wrong in a notebook and not in a file: cells in another order, run twice, or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from grader.diagnosing import Diagnosis
from grader.diagnosing.core import common_factor
from grader.notebook.truth import Survey, as_float64
from grader.truth.compare import LIMITS, compare

NOT_JUDGED = frozenset({"no-true-gradient", "stale-cell", "stale-gradient", "stale-forward"})
"""Notebook's own ids: the true gradient is not there, or is not that of the forward pass."""

AGAIN = "Run the cells from the forward pass down to loss.backward() again"
_STALE = 1e-3
"""Beyond this relative difference `t.grad` is not the gradient of this forward pass; rounding leaves 1e-6."""

_ALIKE = 0.5
_SMALL = 0.2


def true_gradient(t: Tensor) -> Tensor | None:
    """`t.grad`, without PyTorch's warning where it was not retained."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = t.grad
    return found.detach() if isinstance(found, Tensor) else None


def no_gradient(name: str, t: Tensor) -> str:
    """What to run, where PyTorch has no gradient for `t`."""
    if not t.requires_grad:
        return (
            f"{name} is not part of a graph, so PyTorch has no gradient for it. {AGAIN}; before them the setup, "
            "where the parameters get requires_grad."
        )
    if t.is_leaf:
        return f"{name}.grad is None: loss.backward() has not run since {name} was made. {AGAIN}."
    return (
        f"{name}.grad is None: the forward pass has run again, or for the first time, and after it neither "
        f"{name}.retain_grad() nor loss.backward(). {AGAIN}, the one that calls retain_grad() included."
    )


def doubt(name: str, truth: Tensor, known: Survey | None) -> Diagnosis | None:
    """Why `truth`, which PyTorch left in `t.grad`, is not the gradient of this forward pass; None where it is."""
    if known is None or known.chain.total[name].shape != truth.shape:
        return None
    chain, found = known.chain.total[name], as_float64(truth)
    if compare(found, chain, known.chain.scale(name)).error <= _STALE:
        return None
    if known.changed is not None:
        atom = next(atom for atom in known.exercise.atoms if known.changed in atom.binds)
        message = (
            f"{known.changed} is not what `{atom.text}` gives now: a cell above has run again since. "
            f"{AGAIN}, then your answers."
        )
        return Diagnosis("stale-forward", message)
    times = common_factor(found, chain, limit=_STALE)
    if times is not None and round(times) > 1 and abs(times - round(times)) < _STALE * times:
        message = (
            f"{name}.grad holds {round(times)} backward passes added up: loss.backward() ran {round(times)} times "
            f"since {name} was made. Run the setup again, then the cells down to loss.backward(), each once."
        )
        return Diagnosis("stale-gradient", message)
    message = f"{name}.grad is not the gradient of this forward pass: it is older. {AGAIN}, then your answers."
    return Diagnosis("stale-gradient", message)


def share_memory(value: Tensor, other: Tensor) -> bool:
    """True where two tensors lie in one piece of memory."""
    if value.numel() == 0 or value.layout != other.layout or value.device != other.device:
        return False
    return value.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def sharing(d: Tensor, name: str, namespace: Mapping[str, Any], known: Survey) -> list[str]:
    """The tensors whose gradients lie in the same memory as `d`, the gradient of `name`."""
    others = (other for other in known.above if other != name)
    return [other for other in others if share_memory(d, namespace[f"d{other}"])]


def changed_with(name: str, d: Tensor, namespace: Mapping[str, Any], known: Survey) -> str | None:
    """That `d` was right until another gradient, made from it without a copy, was changed in place."""
    for other in sharing(d, name, namespace, known) if name in known.above else ():
        if _is_made_from(other, name, known):
            should_be = known.gradients(other, without=(name,)).total[other]
            off = compare(known.above[other], should_be, known.chain.scale(other)).error
            if off <= LIMITS[torch.float32]:
                return (
                    f"d{name} and d{other} are one tensor under two names: what was added to d{other} in place has "
                    f"changed d{name} too. Copy it where d{other} begins, d{other} = d{name}.clone(), and run both "
                    "cells again."
                )
    return None


def spoilt(name: str, d: Tensor, namespace: Mapping[str, Any], known: Survey) -> list[str]:
    """For a right `d`: gradients that were changed with it, because it is no copy of them."""
    return [
        f"d{name} is d{other} under another name, not a copy: what was added to it in place has made d{other} wrong. "
        f"Begin with d{other}.clone()."
        for other in sharing(d, name, namespace, known)
        if other in known.wrong and _is_made_from(name, other, known)
    ]


def _is_made_from(lower: str, upper: str, known: Survey) -> bool:
    """True where the gradient of `lower` comes back through `upper`."""
    return upper in known.chain.shares.get(lower, {})


def vanishing_slip(name: str, yours: Tensor, known: Survey) -> Diagnosis | None:
    """A slip in a gradient that is zero by algebra, seen in its rounding alone.

    What the learner's upstream gradients add up to in float64 is nothing but their own rounding. A right line leaves
    nearly the same; one with the wrong sign or a factor leaves that times it. All zeros are a slip where no two paths
    meet that could cancel to the last bit.
    """
    noise, shares = known.gradients(name).total[name], known.chain.shares
    size, other = float(yours.norm()), float(noise.norm())
    if other == 0.0:
        return None
    if size == 0.0:
        if any(len(shares.get(through, ())) > 1 for through in shares[name]):
            return None
        return Diagnosis(
            "vanishing",
            f"The true gradient of {name} is zero, so any zero looks right here. Yours is exactly zero, which no sum "
            f"of rounded numbers is: compute d{name} from the gradient of the tensor that is made from {name}.",
        )
    alike = float((yours * noise).sum()) / (size * other)
    if alike < -_ALIKE:
        return Diagnosis("sign", f"Right numbers with the wrong sign. Does {name} enter with a minus?")
    if alike > _ALIKE and size < _SMALL * other:
        return Diagnosis(
            "scale",
            f"Every element is about {size / other:.2g} times the right one. Which constant does the forward line "
            "multiply by?",
        )
    return None
