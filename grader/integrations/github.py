"""The report for GitHub Actions: annotations, a job summary, and the points that GitHub Classroom reads.

What a submission says goes only into the message of a workflow command that is ours, and into escaped HTML. No line
begins with its text, and its path is escaped as a property: so nothing in it is taken for a command.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from grader.base.visible import visible
from grader.report.records import Report, SubmissionReport, Verdict
from grader.showing.terminal import verdict_words, where
from grader.showing.text import score_words

_MOST_SUMMARY = 900_000
"""GitHub drops a summary of more than 1 MiB."""


def render_github(report: Report) -> str:
    """Workflow commands, one a line: an annotation for each gradient that is not right, then the points.

    GitHub shows ten errors of a step on its page, and all of them in the log. So gradients that are not attempted
    share one warning for each file.
    """
    lines = [line for submission in report.submissions for line in _annotations(submission)]
    lines += [_command("error", sentence, title="Not graded") for sentence in report.refused]
    score, most = report.score, report.max_score
    points = json.dumps({"totalPoints": score, "maxPoints": most})
    lines += [
        f"Points {score}/{most}",
        _command("notice", f"Points {score}/{most}", title="Autograding complete"),
        _command("notice", points, title="Autograding report"),
    ]
    return "\n".join(lines) + "\n"


def render_failure(sentence: str) -> str:
    """An annotation where nothing could be graded."""
    return _command("error", sentence, title="Not graded") + "\n"


def render_summary(report: Report) -> str:
    """The job summary: Markdown whose tables are HTML, in which Markdown means nothing.

    A table ends, for Markdown, at a blank line; there is none in it.
    """
    score, most = report.score, report.max_score
    parts = [f"## Backprop Dojo: {score} of {most}\n"]
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
    """`score`, `max-score`, and `result` as GitHub Classroom's graders give it to its grading reporter.

    The reporter prints what it is given, so `result` holds words of ours only.
    """
    score, most = report.score, report.max_score
    tests = [_classroom_test(s, v) for s in report.counted for v in s.verdicts]
    status = "pass" if report.all_passed else "fail"
    result = json.dumps({"version": 1, "status": status, "max_score": most, "tests": tests})
    return {
        "score": str(score),
        "max-score": str(most),
        "result": base64.b64encode(result.encode()).decode(),
    }


def _classroom_test(submission: SubmissionReport, verdict: Verdict) -> dict[str, Any]:
    return {
        "name": f"{submission.exercise}: {verdict.label}",
        "status": "pass" if verdict.passed else "fail",
        "score": verdict.points,
        "message": "" if verdict.passed else verdict_words(verdict),
        "test_code": "",
        "filename": "",
        "line_no": verdict.line or 0,
    }


def _annotations(submission: SubmissionReport) -> Iterator[str]:
    file = _file(submission.path)
    waiting = [verdict for verdict in submission.verdicts if verdict.status == "missing"]
    for verdict in submission.verdicts:
        if verdict.passed or verdict.status == "missing":
            continue
        kind = f" [{verdict.mistake}]" if verdict.mistake else ""
        title = f"{verdict.label}: {verdict_words(verdict)}{kind}"
        if verdict.cell is None:
            yield _command("error", verdict.message, file=file, line=verdict.line, title=title)
        else:  # a line of a cell is no line of the file
            at = f"cell {verdict.cell}, line {verdict.line}: "
            yield _command("error", at + verdict.message, file=file, title=title)
    if waiting:
        names = ", ".join(verdict.label for verdict in waiting)
        yield _command("warning", names, file=file, title=f"{submission.exercise}: not attempted")
    for note in submission.notes:
        yield _command("notice", note, file=file, title=submission.exercise)


def _command(name: str, message: str, **properties: str | int | None) -> str:
    """`::name key=value,...::message`, escaped as GitHub's own toolkit does it."""
    given = [f"{key}={_property(str(value))}" for key, value in properties.items() if value is not None]
    return f"::{name} {','.join(given)}::{_data(message)}"


def _data(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _file(path: str) -> str:
    """The path from the root of the repository, which annotations count from."""
    root = os.environ.get("GITHUB_WORKSPACE")
    absolute = Path(path).absolute()
    return str(absolute.relative_to(root)) if root and absolute.is_relative_to(root) else path


def _section(submission: SubmissionReport) -> str:
    heading = f"### {submission.title}: {score_words(submission)}\n"
    open_ones = [verdict for verdict in submission.verdicts if not verdict.passed]
    lines = [f"<p>{_text(submission.path)}<br>seed {submission.seed}, isolation {submission.isolation}</p>"]
    lines += [f"<p>{_text(note)}</p>" for note in submission.notes]
    waiting = [verdict.label for verdict in open_ones if verdict.status == "missing"]
    wrong = [verdict for verdict in open_ones if verdict.status != "missing"]
    if wrong:
        rows = [_row(submission, verdict) for verdict in wrong]
        lines += ["<table>", "<tr><th>gradient</th><th>verdict</th><th>where</th><th>what is wrong</th></tr>"]
        lines += [*rows, "</table>"]
    if waiting:
        lines.append(f"<p>Not attempted: {', '.join(waiting)}</p>")
    return "\n".join([heading, *lines, ""])


def _row(submission: SubmissionReport, verdict: Verdict) -> str:
    code = f"<code>{_text(verdict.code)}</code><br>" if verdict.code else ""
    kind = f" [{verdict.mistake}]" if verdict.mistake else ""
    cells = [
        f"<code>{verdict.label}</code>",
        verdict_words(verdict) + kind,
        _text(where(submission, verdict).removeprefix(visible(submission.path, keep="")).lstrip(":, ")),
        code + _text(verdict.message),
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _text(text: str) -> str:
    """Text for HTML, on one line: a blank line would end the table for Markdown."""
    return " ".join(escape(visible(text)).split())
