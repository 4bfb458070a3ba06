"""The report for GitHub Actions: annotations, a job summary, outputs of the step, and Classroom 50's result.json.

What a submission says goes only into the message of a workflow command that is ours, and into escaped HTML. No line
begins with its text, and its path is escaped as a property: so nothing in it is taken for a command.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from grader.base.visible import visible
from grader.report.records import Points, Report, SubmissionReport
from grader.showing.text import score_words, verdict_words, where, with_mistake

_MOST_SUMMARY = 900_000
"""GitHub drops a summary of more than 1 MiB."""


def render_github(report: Report) -> str:
    """Workflow commands, one a line: an annotation for each gradient that is not right, then the points.

    GitHub shows ten errors, ten warnings and ten notices of a step on its page; the log has all errors. So gradients
    that are not attempted share a warning for each file, and where there are too many, the last one holds the rest.
    """
    errors = [line for submission in report.submissions for line in _errors(submission)]
    errors += [
        _command("error", refusal.sentence, file=_file(refusal.path), title="Not graded")
        for refusal in report.refused
        if not refusal.by_the_way
    ]
    waiting = [(s, [v.label for v in s.verdicts if v.status == "missing"]) for s in report.submissions]
    warnings = [(s.path, f"{s.exercise}: not attempted", ", ".join(names)) for s, names in waiting if names]
    warnings += [("", f"{name}: not handed in", f"counts 0 of {points}") for name, points in report.missing.items()]
    notices = [(s.path, s.exercise, note) for s in report.submissions for note in s.notes]
    notices += [(refusal.path, "Left alone", refusal.sentence) for refusal in report.refused if refusal.by_the_way]
    points = ("", "Backprop Dojo", f"{report.grade} of {report.full_marks} points")
    lines = [*errors, *_at_most_ten("warning", warnings), *_at_most_ten("notice", [points, *notices])]
    return "\n".join([*lines, f"Points {report.grade}/{report.full_marks}"]) + "\n"


_UNSAFE = "%\r\n"
_MOST_SHOWN = 10
Told = tuple[str, str, str]
"""A path, or "" where it is about none; a title; a message."""


def _at_most_ten(kind: str, told: list[Told]) -> Iterator[str]:
    shown = told if len(told) <= _MOST_SHOWN else told[: _MOST_SHOWN - 1]
    for path, title, message in shown:
        yield _command(kind, message, file=_file(path) if path else None, title=title)
    if rest := told[len(shown) :]:
        yield _command(kind, "\n".join(f"{title}: {message}" for _, title, message in rest), title=f"{len(rest)} more")


def render_failure(sentence: str) -> str:
    """An annotation where nothing could be graded."""
    return _command("error", sentence, title="Not graded") + "\n"


def render_summary(report: Report) -> str:
    """The job summary: Markdown whose tables are HTML, in which Markdown means nothing.

    A table ends, for Markdown, at a blank line; there is none in it.
    """
    parts = [f"## Backprop Dojo: {report.grade} of {report.full_marks}\n"]
    parts += [f"<p>{name}: not handed in, counts 0 of {points}</p>\n" for name, points in report.missing.items()]
    parts += [f"<p>Not graded: {escape(_line(refusal.sentence))}</p>\n" for refusal in report.refused]
    size = 0
    for number, submission in enumerate(report.submissions):
        part = _section(submission)
        size += len(part.encode("utf-8", "replace"))
        if size > _MOST_SUMMARY:
            parts.append(f"{len(report.submissions) - number} more are not shown here; the log names them all.\n")
            break
        parts.append(part)
    return "\n".join(parts) + "\n"


def step_outputs(report: Report) -> dict[str, str]:
    """`score`, `max-score`, and `result`, which is result.json on one line and holds words of ours only."""
    result = json.dumps(_result(report))
    return {"score": str(report.grade), "max-score": str(report.full_marks), "result": result}


def render_result(report: Report) -> str:
    """result.json as Classroom 50 reads it: whole numbers only, so where there are tenths of points these count."""
    return json.dumps(_result(report), indent=2) + "\n"


def _result(report: Report) -> dict[str, Any]:
    tests = [
        (f"{s.exercise}: {v.label}", v.passed, v.points, v.max_points, "" if v.passed else verdict_words(v))
        for s in report.counted
        for v in s.verdicts
    ]
    tests += [(name, False, 0, points, "not handed in") for name, points in report.missing.items()]
    fine = _fineness([report.grade, report.full_marks])
    fine_tests = _fineness([points for _, _, score, most, _ in tests for points in (score, most)])
    return {
        "schema": "classroom50/result/v1",
        "score": math.floor(report.grade * fine + 0.5),
        "max_score": math.floor(report.full_marks * fine + 0.5),
        "tests": [
            {
                "name": name,
                "passed": passed,
                "score": math.floor(score * fine_tests + 0.5),
                "max_score": math.floor(most * fine_tests + 0.5),
                "message": message,
            }
            for name, passed, score, most, message in tests
        ],
    }


def _fineness(points: list[Points]) -> int:
    """The least power of ten by which all of these are whole, hundredths at the finest."""
    return next((power for power in (1, 10) if all(float(p * power).is_integer() for p in points)), 100)


def _errors(submission: SubmissionReport) -> Iterator[str]:
    file = _file(submission.path)
    for verdict in submission.verdicts:
        if verdict.passed or verdict.status == "missing":
            continue
        title = f"{verdict.label}: {with_mistake(verdict)}"
        if verdict.cell is None:
            yield _command("error", verdict.message, file=file, line=verdict.line, title=title)
        else:  # a line of a cell is no line of the file
            at = f"cell {verdict.cell}, line {verdict.line}: "
            yield _command("error", at + verdict.message, file=file, title=title)


def _command(name: str, message: str, **properties: str | int | None) -> str:
    """`::name key=value,...::message`, escaped as GitHub's own toolkit does it."""
    given = [f"{key}={_data(str(value), _UNSAFE + ':,')}" for key, value in properties.items() if value is not None]
    return f"::{name} {','.join(given)}::{_data(message)}"


def _data(text: str, unsafe: str = _UNSAFE) -> str:
    return visible(text).translate({ord(character): f"%{ord(character):02X}" for character in unsafe})


def _file(path: str) -> str:
    """The path from the root of the repository, which annotations count from."""
    root = os.environ.get("GITHUB_WORKSPACE")
    absolute = Path(path).absolute()
    return str(absolute.relative_to(root)) if root and absolute.is_relative_to(root) else path


def _section(submission: SubmissionReport) -> str:
    from grader.showing.page import rendered

    return rendered(
        "github.md",
        submission=submission,
        file=_file(submission.path),
        line=_line,
        place=lambda verdict: where(submission, verdict).removeprefix(visible(submission.path, keep="")).lstrip(":, "),
        score_words=score_words,
        with_mistake=with_mistake,
    )


def _line(text: str) -> str:
    """Text on one line: a blank line would end the table for Markdown."""
    return " ".join(visible(text).split())
