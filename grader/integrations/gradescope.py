"""The report as Gradescope's results.json.

Its documentation names the fields. Every text is given as "text", which Gradescope shows as it is and never as HTML.
"""

from __future__ import annotations

import json
from textwrap import indent
from typing import Any

from grader.base.visible import visible
from grader.report.records import Report, SubmissionReport, Verdict
from grader.showing.terminal import verdict_words, where
from grader.showing.text import score_words

_TEXT = {"output_format": "text", "test_output_format": "text", "test_name_format": "text"}
# What the autograder prints may hold a traceback of the grader: Gradescope shows it to instructors only.
_SEEN = {"visibility": "visible", "stdout_visibility": "hidden"}


def render_gradescope(report: Report) -> str:
    """One test for each gradient. Where several files hold an exercise, the best one is shown and counts."""
    tests = [
        _test(submission, verdict, f"{number}.{place}")
        for number, submission in enumerate(report.counted, 1)
        for place, verdict in enumerate(submission.verdicts, 1)
    ]
    results: dict[str, Any] = {"score": report.score}
    if report.seconds is not None:
        results["execution_time"] = round(report.seconds, 3)
    return _json({**results, "output": _output(report), **_TEXT, **_SEEN, "tests": tests, "extra_data": _facts(report)})


def render_failure(sentence: str) -> str:
    """Score 0 and why, where nothing could be graded."""
    return _json({"score": 0, "output": visible(sentence, keep=""), **_TEXT, **_SEEN, "tests": []})


def _test(submission: SubmissionReport, verdict: Verdict, number: str) -> dict[str, Any]:
    label = verdict.label
    said = [verdict_words(verdict) + (f" [{verdict.mistake}]" if verdict.mistake else "")]
    if verdict.line is not None and not verdict.passed:
        said[0] += f", {where(submission, verdict)}"
    if verdict.code and not verdict.passed:
        said.append(indent(verdict.code, "    "))
    if verdict.message and verdict.message != said[0]:
        said.append(verdict.message)
    return {
        "name": f"{submission.exercise.split('/')[-1]}: {label}",
        "number": number,
        "score": verdict.points,
        "max_score": verdict.max_points,
        "status": "passed" if verdict.passed else "failed",
        "output": "\n".join(map(visible, said)),
        "output_format": "text",
        "visibility": "visible",
    }


def _output(report: Report) -> str:
    counted = report.counted
    lines = [f"{s.title}: {score_words(s)}, in {visible(s.path, keep='')}" for s in counted]
    lines += [visible(note) for s in counted for note in s.notes]
    for other in report.submissions:
        if not any(other is s for s in counted):
            path = visible(other.path, keep="")
            lines.append(f"{path} holds {other.exercise} too, with {score_words(other)}, and does not count.")
    return "\n".join([*lines, *(visible(f"Not graded: {sentence}", keep="") for sentence in report.refused)])


def _facts(report: Report) -> dict[str, Any]:
    """What an instructor needs to repeat a grading."""
    return {s.exercise: {"seed": s.seed, "torch": s.torch, "isolation": s.isolation} for s in report.counted}


def _json(results: dict[str, Any]) -> str:
    return json.dumps(results, indent=2, allow_nan=False) + "\n"
