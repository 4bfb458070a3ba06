"""What a report must not carry to the one who reads it."""

from __future__ import annotations

import contextlib
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from grader.classroom.feedback import Feedback, _chapter
from grader.classroom.statistics import Student
from grader.cli.main import _complain
from grader.integrations.nbgrader import Course
from grader.integrations.outputs import FORMATS
from grader.report.records import Report, SubmissionReport
from grader.showing.graph_marks import STATES
from grader.showing.page import environment, pieces
from grader.showing.terminal import draw_report

_CONTROLS = ("Cc",)
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_TAGS = ("<script", "<img src=x")
_COMMANDS = ("::error file=a", "::set-output")


def rendered(reports: list[SubmissionReport]) -> dict[str, str]:
    """The reports in every format that is text, and as a terminal of 80 columns shows them."""
    report = Report(reports)
    handed_in = Report([replace(r, path=f"submitted/mallory/ex1/{Path(r.path).name}") for r in reports])
    shown = {name: render(report) for name, render in FORMATS.items()} | {"nbgrader": Course(handed_in).grades()}
    file = io.StringIO()
    draw_report(report, Console(file=file, highlight=False, width=80, color_system=None), everything=True)
    return shown | {"terminal": file.getvalue(), "feedback.html": _feedback(json.loads(shown["json"])["submissions"])}


def _feedback(graded: list[dict[str, Any]]) -> str:
    """The page that a person gets back, as the classroom writes it."""
    student = Student("mallory", "mallory", "", "graded", "", 0.0)
    chapters = [_chapter(one, student, 1, None) for one in graded]
    told = Feedback("mallory", "An assignment", 0, 1, 0, "", [], [], chapters)
    return environment().get_template("feedback.html").render(told=told, states=STATES, pieces=pieces)


def complaint(text: str) -> str:
    """What the command line prints of bad input."""
    file = io.StringIO()
    with contextlib.redirect_stderr(file):
        _complain(text)
    return file.getvalue()


def faults(shown: dict[str, str], reports: Iterable[SubmissionReport]) -> Iterator[str]:
    """Why these texts are not fit to be shown, one reason at a time."""
    for name, text in shown.items():
        kinds = _CONTROLS if name in ("json", "gradescope") else _UNSEEN
        if found := _unseen(text, kinds):
            yield f"{name} carries {found}"
        if name.endswith("html") and any(tag in text for tag in _TAGS):
            yield f"{name} carries a tag of the submission"
        if name == "github" and any(line.startswith(_COMMANDS) for line in text.split("\n")):
            yield "github carries a command of the submission"
        try:
            text.encode()
        except UnicodeEncodeError:
            yield f"{name} cannot be written as UTF-8"
    for report in reports:
        for message in (*report.notes, *(verdict.message for verdict in report.verdicts)):
            if found := _unseen(message, _UNSEEN):
                yield f"a message carries {found}"
            if any(tag in message for tag in _TAGS):
                yield "a message carries a tag of the submission"


def _unseen(text: str, kinds: tuple[str, ...]) -> str:
    found = {c for c in set(text) - {"\n"} if unicodedata.category(c) in kinds}
    return ", ".join(sorted(f"U+{ord(c):04X}" for c in found))
