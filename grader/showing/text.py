"""Words that every view shares."""

from __future__ import annotations

from grader.report.records import SubmissionReport


def score_words(submission: SubmissionReport) -> str:
    """`21 of 26`, or `23.5 of 30 points` where the score does not count gradients."""
    unit = " points" if submission.in_points else ""
    return f"{submission.score} of {submission.max_score}{unit}"
