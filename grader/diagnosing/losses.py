"""Detectors for the gradient of cross-entropy with respect to its logits."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import torch
from torch import Tensor

from grader.diagnosing.core import Diagnosis, Mismatch


def cross_entropy(mismatch: Mismatch) -> Diagnosis | None:
    """Slips in "softmax minus one at the label, over n"."""
    labels = _labels(mismatch)
    if labels is None or mismatch.candidate.dim() != 2:
        return None
    logits = mismatch.forward.values[mismatch.name]
    for value, diagnosis in _slips(mismatch.name, logits, labels):
        factor = mismatch.factor(mismatch.candidate, value)
        if factor is not None and factor > 0:
            return diagnosis
    return _wrong_label_term(mismatch, logits.softmax(1), labels)


def _wrong_label_term(mismatch: Mismatch, softmax: Tensor, labels: Tensor) -> Diagnosis | None:
    """The softmax is right; what is taken away from it is not one at each label."""
    n = softmax.shape[0]
    taken = softmax - n * mismatch.candidate
    at_labels = torch.zeros_like(softmax, dtype=torch.bool)
    at_labels[torch.arange(n, device=labels.device), labels] = True
    elsewhere = taken[~at_labels]
    if float(elsewhere.abs().max()) <= mismatch.limit:
        return Diagnosis(
            "wrong-label-term",
            "Right but at the labels. From the softmax of each row, one is taken away at the label, once, before "
            "the division by n.",
        )
    rounded = elsewhere.round()
    if float((elsewhere - rounded).abs().max()) <= mismatch.limit:
        return Diagnosis(
            "wrong-row-or-column",
            "The one is taken away at other places than the labels. Each row has one label: pair the row numbers "
            "with Yb.",
        )
    return None


def _slips(name: str, logits: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Diagnosis]]:
    rows = torch.arange(logits.shape[0], device=logits.device)
    hot = torch.zeros_like(logits)
    hot[rows, labels] = 1.0
    softmax = logits.softmax(1)
    yield (
        softmax,
        Diagnosis("missing-label", f"This is the softmax of {name} alone: the one at each row's label is missing."),
    )
    yield (
        softmax + hot,
        Diagnosis("missing-label", "The one at each row's label is added; it is to be taken away."),
    )
    yield (
        hot,
        Diagnosis("missing-softmax", f"Only the labels come back: the softmax of {name} is missing."),
    )
    yield (
        logits.softmax(0) - hot,
        Diagnosis(
            "wrong-dimension",
            f"The softmax runs over dimension 0, the batch. Each row of {name} is one example: its probabilities "
            "sum to one along dimension 1.",
        ),
    )
    yield (
        logits.log_softmax(1) - hot,
        Diagnosis(
            "wrong-function",
            "This takes the logarithm of the softmax; its derivative has the softmax itself.",
        ),
    )
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
        yield (
            mixed - hot,
            Diagnosis(
                "mixed-exponentials",
                "Shifted and unshifted exponentials are mixed: numerator and denominator of the softmax need the "
                "same shift.",
            ),
        )


def _labels(mismatch: Mismatch) -> Tensor | None:
    """The labels of an atom such as `loss = F.cross_entropy(logits, Yb)` that reads this tensor."""
    for through in mismatch.gradients.shares.get(mismatch.name, {}):
        for leaf in ast.walk(ast.parse(mismatch.atoms[through].text)):
            if not (isinstance(leaf, ast.Call) and isinstance(leaf.func, ast.Attribute)):
                continue
            if leaf.func.attr == "cross_entropy" and isinstance(leaf.args[1], ast.Name):
                found = mismatch.forward.values.get(leaf.args[1].id)
                return found if isinstance(found, Tensor) else None
    return None
