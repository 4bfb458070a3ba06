"""Words that every view shares."""

from __future__ import annotations

import math

from grader.report.records import SubmissionReport


def score_words(submission: SubmissionReport) -> str:
    """`21 of 26`, or `23.5 of 30 points` where the score does not count gradients."""
    unit = " points" if submission.in_points else ""
    return f"{submission.score} of {submission.max_score}{unit}"


def size_words(share: float) -> str:
    """How large an error is beside the largest element of the true gradient: `18% of`, `twice`, `12 times`."""
    if not math.isfinite(share):
        return "nan or infinite, beside"
    if share >= 1.5:
        return "twice" if 1.95 <= share < 2.05 else f"{share:.2g} times"
    return f"{share:.2%} of" if share < 0.1 else f"{share:.0%} of"
