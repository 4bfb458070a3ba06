"""Words that every view shares."""

from __future__ import annotations

from grader.report.records import SubmissionReport


def score_words(submission: SubmissionReport) -> str:
    """`21 of 26`, or `23.5 of 30 points` where the score does not count gradients."""
    unit = " points" if submission.in_points else ""
    return f"{submission.score} of {submission.max_score}{unit}"


DATA_WORDS = {
    "own": "",
    "other": "These numbers come from other data of the same sizes: on the lesson's own the mistake does not show.",
    "random upstream": "These numbers come from a random upstream gradient, because the true gradient is zero here.",
}
"""Whose numbers a view shows, where they are not those of the lesson's own data."""
