"""The report as Gradescope's results.json.

Its documentation names the fields. Every text is given as "text", which Gradescope shows as it is and never as HTML.
"""

from __future__ import annotations

import json
from textwrap import indent
from typing import Any

from grader.base.visible import visible
from grader.report.records import Points, Report, SubmissionReport, Verdict, whole
from grader.showing.text import score_words, where, with_mistake

_TEXT = {"output_format": "text", "test_output_format": "text", "test_name_format": "text"}
# What the autograder prints may hold a traceback of the grader: Gradescope shows it to instructors only.
_SEEN = {"visibility": "visible", "stdout_visibility": "hidden"}


def render_gradescope(report: Report) -> str:
    """One test for each gradient. Where several files hold an exercise, the best one is shown and counts."""
    factor, counted = report.factor, report.counted
    tests = [
        _test(submission, verdict, f"{number}.{place}", factor)
        for number, submission in enumerate(counted, 1)
        for place, verdict in enumerate(submission.verdicts, 1)
    ]
    tests += [
        _entry(f"{name.split('/')[-1]}: not handed in", f"{number}.1", 0, points * factor, False, "not handed in")
        for number, (name, points) in enumerate(report.missing.items(), len(counted) + 1)
    ]
    results: dict[str, Any] = {"score": report.grade}
    if report.seconds is not None:
        results["execution_time"] = round(report.seconds, 3)
    # what an instructor needs to repeat a grading
    facts = {s.exercise: {"seed": s.seed, "torch": s.torch, "isolation": s.isolation} for s in counted}
    return _json({**results, "output": _output(report), **_TEXT, **_SEEN, "tests": tests, "extra_data": facts})


def render_failure(sentence: str) -> str:
    """Score 0 and why, where nothing could be graded."""
    return _json({"score": 0, "output": visible(sentence, keep=""), **_TEXT, **_SEEN, "tests": []})


def _test(submission: SubmissionReport, verdict: Verdict, number: str, factor: float) -> dict[str, Any]:
    said = [with_mistake(verdict)]
    if verdict.line is not None and not verdict.passed:
        said[0] += f", {where(submission, verdict)}"
    if verdict.code and not verdict.passed:
        said.append(indent(verdict.code, "    "))
    if verdict.message and verdict.message != said[0]:
        said.append(verdict.message)
    name = f"{submission.exercise.split('/')[-1]}: {verdict.label}"
    earned, most = verdict.points * factor, verdict.max_points * factor
    return _entry(name, number, earned, most, verdict.passed, "\n".join(map(visible, said)))


def _entry(name: str, number: str, earned: Points, most: Points, passed: bool, output: str) -> dict[str, Any]:
    return {
        "name": name,
        "number": number,
        "score": whole(round(earned, 4)),
        "max_score": whole(round(most, 4)),
        "status": "passed" if passed else "failed",
        "output": output,
        "output_format": "text",
        "visibility": "visible",
    }


def _output(report: Report) -> str:
    counted = report.counted
    lines = [f"{s.title}: {score_words(s)}, in {visible(s.path, keep='')}" for s in counted]
    lines += [f"{name}: not handed in, counts 0 of {points}" for name, points in report.missing.items()]
    if report.out_of is not None:
        in_all = f"{report.score} of {report.max_score}"
        lines.append(f"In all {in_all}, which is {report.grade} of {report.full_marks} points")
    lines += [visible(note) for s in counted for note in s.notes]
    for other in report.submissions:
        if not any(other is s for s in counted):
            path = visible(other.path, keep="")
            lines.append(f"{path} holds {other.exercise} too, with {score_words(other)}, and does not count.")
    return "\n".join([*lines, *(visible(f"Not graded: {one.sentence}", keep="") for one in report.refused)])


def _json(results: dict[str, Any]) -> str:
    return json.dumps(results, indent=2, allow_nan=False) + "\n"
