"""Words that every view shares."""

from __future__ import annotations

from grader.base.visible import visible
from grader.base.words import at_line
from grader.report.records import SubmissionReport, Verdict
from grader.showing.graph_marks import STATES


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


def verdict_words(verdict: Verdict) -> str:
    """The verdict in a few words, the same wherever it is shown."""
    if verdict.status == "forbidden" and verdict.mistake in ("autograd", "autograd-update"):
        return "taken from autograd"
    if verdict.status != "pass":
        return STATES[verdict.status].words
    if verdict.mistake == "hardcoded-size":
        return "right (at these sizes)"
    if verdict.mistake == "vanishing":
        return "right (for this loss)"
    if verdict.message:
        return "right (see below)"
    return "right" if verdict.exact in (True, None) else "right (rounding only)"


def with_mistake(verdict: Verdict) -> str:
    """The verdict in a few words, and the id of its mistake: `wrong [sign]`."""
    return verdict_words(verdict) + (f" [{verdict.mistake}]" if verdict.mistake else "")


def where(submission: SubmissionReport, verdict: Verdict) -> str:
    """`file.py:12`, or for a notebook `file.ipynb, cell 3, line 2`."""
    path = visible(submission.path, keep="")
    if verdict.line is None:
        return path
    return f"{path}:{verdict.line}" if verdict.cell is None else f"{path}, {at_line(verdict.line, verdict.cell)}"
