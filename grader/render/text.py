"""Words that every view shares, and text of strangers made fit to be shown."""

from __future__ import annotations

import unicodedata

from grader.report import SubmissionReport

_MAX_TEXT = 2000
"""A line or a message longer than this is cut: one wild line must not make a report unreadable."""


def visible(text: str, keep: str = "\n\t") -> str:
    """`text` without a character that is not seen: controls, marks of direction and half pairs stand as escapes."""
    if len(text) > _MAX_TEXT:
        text = text[:_MAX_TEXT] + " … (cut here)"
    return "".join(c if c in keep or not _unseen(c) else c.encode("unicode_escape").decode() for c in text)


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def score_words(submission: SubmissionReport) -> str:
    """`21 of 26`, or `23.5 of 30 points` where the score does not count gradients."""
    unit = " points" if submission.in_points else ""
    return f"{submission.score} of {submission.max_score}{unit}"
