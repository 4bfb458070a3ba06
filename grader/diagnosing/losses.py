"""Detectors for the gradient of cross-entropy with respect to its logits."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import torch
from torch import Tensor

from grader.diagnosing.core import Diagnosis, Mismatch


def cross_entropy(mismatch: Mismatch) -> Diagnosis | None:
    """Slips in "softmax minus one at the label", which each row's upstream gradient and the mean's 1/n multiply."""
    found = _call(mismatch)
    if found is None:
        return None
    through, logits, labels, named = found
    if mismatch.candidate.numel() != logits.numel():
        return None
    candidate, softmax = mismatch.candidate.reshape(logits.shape), logits.softmax(1)
    rows, at_labels = torch.arange(len(labels), device=labels.device), torch.zeros_like(logits)
    at_labels[rows, labels] = 1.0
    share = mismatch.gradients.shares[mismatch.name][through].reshape(logits.shape)
    weights = (share[rows, labels] / (softmax[rows, labels] - 1))[:, None]
    if mismatch.candidate.shape == mismatch.truth.shape:
        candidate = candidate - (mismatch.truth.reshape(logits.shape) - share)
    for value, diagnosis in _slips(mismatch.name, logits, at_labels):
        factor = mismatch.factor(candidate, weights * value)
        if factor is not None and factor > 0:
            return diagnosis
    return _wrong_label_term(mismatch, softmax - candidate / weights, at_labels > 0, named)


def _wrong_label_term(mismatch: Mismatch, taken: Tensor, at_labels: Tensor, named: str) -> Diagnosis | None:
    """The softmax is right; what is `taken` away from it is not one at each label."""
    elsewhere = taken[~at_labels]
    if float(elsewhere.abs().max()) <= mismatch.limit:
        return Diagnosis(
            "wrong-label-term",
            "Right but at the labels. From the softmax of each row, one is taken away at the label, once, before "
            "the row's upstream gradient and the 1/n of a mean multiply it.",
        )
    rounded = elsewhere.round()
    if float((elsewhere - rounded).abs().max()) <= mismatch.limit:
        return Diagnosis(
            "wrong-row-or-column",
            "The one is taken away at other places than the labels. Each row has one label: pair the row numbers "
            f"with {named}.",
        )
    return None


def _slips(name: str, logits: Tensor, hot: Tensor) -> Iterator[tuple[Tensor, Diagnosis]]:
    softmax = logits.softmax(1)
    said = f"This is the softmax of {name} alone: the one at each row's label is missing."
    yield softmax, Diagnosis("missing-label", said)
    yield softmax + hot, Diagnosis("missing-label", "The one at each row's label is added; it is to be taken away.")
    said = f"Only the labels come back: the softmax of {name} is missing."
    yield from ((labels, Diagnosis("missing-softmax", said)) for labels in (hot, -hot))
    said = (
        f"The softmax runs over dimension 0, the batch. Each row of {name} is one example: its probabilities "
        "sum to one along dimension 1."
    )
    yield logits.softmax(0) - hot, Diagnosis("wrong-dimension", said)
    said = "This takes the logarithm of the softmax; its derivative has the softmax itself."
    yield logits.log_softmax(1) - hot, Diagnosis("wrong-function", said)
    n = logits.shape[0]
    said = "The loss is a mean, so the whole difference, softmax minus one at the label, is divided."
    yield softmax - hot / n, Diagnosis("wrong-label-term", f"Only the one at each label is divided by n. {said}")
    yield softmax / n - hot, Diagnosis("wrong-label-term", f"Only the softmax is divided by n. {said}")
    largest = logits.max(1, keepdim=True).values
    for shifted in (logits, logits - largest):
        said = "The exponentials are not divided by their sum over the row: no softmax yet."
        yield shifted.exp() - hot, Diagnosis("missing-factor", said)
        yield shifted - hot, Diagnosis("wrong-forward-value", "The logits stand where their softmax belongs.")
    for above, below in ((logits, logits - largest), (logits - largest, logits)):
        mixed = above.exp() / below.exp().sum(1, keepdim=True)
        said = "Shifted and unshifted exponentials are mixed: numerator and denominator of the softmax need the "
        yield mixed - hot, Diagnosis("mixed-exponentials", f"{said}same shift.")


def _call(mismatch: Mismatch) -> tuple[str, Tensor, Tensor, str] | None:
    """The name of an atom such as `loss = F.cross_entropy(logits, y)` that reads this tensor, as it is or as rows
    (`logits.view(-1, V)`), with the rows of logits, their labels, and the labels' name."""
    for through in mismatch.gradients.shares.get(mismatch.name, {}):
        for leaf in ast.walk(mismatch.expression(through)):
            if not (isinstance(leaf, ast.Call) and isinstance(leaf.func, ast.Attribute) and len(leaf.args) > 1):
                continue
            if leaf.func.attr == "cross_entropy":
                logits, labels = mismatch.evaluate(leaf.args[0]), mismatch.evaluate(leaf.args[1])
                own = mismatch.forward.values[mismatch.name]
                rows = isinstance(logits, Tensor) and logits.dim() == 2 and logits.numel() == own.numel()
                if rows and torch.equal(own.reshape(logits.shape), logits) and _are_labels(labels, len(logits)):
                    return through, logits, labels, ast.unparse(leaf.args[1])
    return None


def _are_labels(labels: object, rows: int) -> bool:
    return isinstance(labels, Tensor) and not labels.is_floating_point() and labels.shape == (rows,)
