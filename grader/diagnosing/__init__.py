"""From a mismatch to the mistake: small detectors, each of which says one thing or nothing.

They are tried from the most specific to the least; the order of the tuples settles ties. A new detector is one
function, one entry in a tuple, and one test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from grader.diagnosing.core import Diagnosis, Mismatch, shape_text, spread_to
from grader.diagnosing.exceptions import explain_exception
from grader.diagnosing.losses import cross_entropy
from grader.diagnosing.paths import PATH_DETECTORS, missing_local_derivative, missing_path, missing_upstream
from grader.diagnosing.shapes import SHAPE_DETECTORS, both_shapes, only_these_sizes, writes_a_size, wrong_shape
from grader.diagnosing.values import FIRST_DETECTORS, LAST_DETECTORS, wrong_values

__all__ = [
    "UNEXPLAINED",
    "Diagnosis",
    "Mismatch",
    "diagnose",
    "explain_exception",
    "only_these_sizes",
    "shape_text",
    "writes_a_size",
    "wrong_shape",
    "wrong_values",
]


UNEXPLAINED = frozenset({"wrong-values", "wrong-shape"})
"""What `diagnose` says where no detector recognises the mistake."""


def diagnose(mismatch: Mismatch) -> Diagnosis:
    """The most specific explanation that fits; where none does, how far off the candidate is."""
    if (found := next(filter(None, _explanations(mismatch)), None)) is not None:
        return found
    if mismatch.candidate.shape != mismatch.truth.shape:
        words = wrong_shape(mismatch.name, mismatch.candidate.shape, mismatch.truth.shape)
        return Diagnosis("wrong-shape", words)
    return wrong_values(mismatch)


def _explanations(mismatch: Mismatch) -> Iterator[Diagnosis | None]:
    """What each detector says, the most specific first."""
    if mismatch.candidate.shape != mismatch.truth.shape:
        yield from (detector(mismatch) for detector in SHAPE_DETECTORS)
        yield from _of_spread(mismatch)
        return
    yield from (detector(mismatch) for detector in FIRST_DETECTORS)
    yield cross_entropy(mismatch)
    yield from (detector(mismatch, path) for detector in PATH_DETECTORS for path in mismatch.paths)
    yield from (detector(mismatch) for detector in LAST_DETECTORS)


def _of_spread(mismatch: Mismatch) -> Iterator[Diagnosis]:
    """What is wrong beside the shape with a candidate that is to be broadcast to the tensor."""
    candidate = spread_to(mismatch.candidate, mismatch.truth.shape)
    if candidate is None or mismatch.candidate.numel() == 1:  # a single number is a multiple of every other one
        return
    spread = replace(mismatch, candidate=candidate)
    for detector in (missing_path, missing_local_derivative, missing_upstream):
        for path in spread.paths:
            if (found := detector(spread, path)) is not None:
                yield Diagnosis(found.mistake, f"{found.message} And it is not broadcast: {both_shapes(mismatch)}.")
