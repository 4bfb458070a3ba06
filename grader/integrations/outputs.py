"""Where a report goes: the console, a file, a folder, and what an integration keeps beside the text."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.base.errors import DojoError
from grader.base.files import refuse_link, told_if_unwritable, write_atomically
from grader.reading.submission import (
    HoldsNoneError,
    NoGradientError,
    OptionalError,
    Part,
    select_parts,
    submission_files,
)
from grader.report.records import Refusal, Report
from grader.syntax.source import read_source

if TYPE_CHECKING:
    from grader.report.assignment import Assignment
    from grader.report.points import PointsTable
    from grader.report.records import SubmissionReport


def _late(module: str, function: str) -> Callable[..., str]:
    """A function whose module is loaded when it is called: only those who ask for a page wait for Jinja2."""
    return lambda *given: getattr(import_module(f"grader.{module}"), function)(*given)


def render_json(report: Report) -> str:
    """The documented JSON form, as text."""
    return json.dumps(report.as_data(), indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Report], str]] = {
    "json": render_json,
    "html": _late("showing.html", "render_html"),
    "github": _late("integrations.github", "render_github"),
    "classroom50": _late("integrations.github", "render_result"),
    "gradescope": _late("integrations.gradescope", "render_gradescope"),
}
"""Formats that are one text. `terminal` draws on a console, see `grader.showing.terminal`; `nbgrader` is a folder."""

FORMAT_NAMES = ("terminal", *FORMATS, "nbgrader")

_FAILURES: dict[str, Callable[[str], str]] = {
    name: _late(f"integrations.{name}", "render_failure") for name in ("gradescope", "github")
}
BROKEN = "The grader itself broke here. That is no mistake of yours; please tell your instructor."
OF_STRANGERS = ("github", "classroom50", "gradescope", "nbgrader")
"""Formats of integrations: what they grade was handed in by somebody else, and a result is always written."""


def check_output(output_format: str, output: Path | None) -> None:
    """Refuse what could not be written before anything is graded.

    Raises:
        DojoError: the format is unknown, or `output` cannot take it.
    """
    if output_format not in FORMAT_NAMES:
        raise DojoError(f"format {output_format!r} is unknown; choose one of: {', '.join(FORMAT_NAMES)}")
    if output is None:
        return
    if output_format == "nbgrader":
        if not output.is_dir():
            raise DojoError(f"{output}: is no folder; --format nbgrader writes several files into one")
    elif output.is_dir():
        raise DojoError(f"{output}: is a folder; name a file to write to")
    elif not output.absolute().parent.is_dir():
        raise DojoError(f"{output}: there is no folder {output.parent} to write it to")


def files_handed_in(paths: Iterable[Path], output_format: str) -> tuple[list[Path], list[Refusal]]:
    """The scripts and notebooks at these paths, each once; and the folders without any, where an integration waits for
    a result all the same.

    Raises:
        DojoError: there is no such path, or nobody waits and a folder holds none.
    """
    found: dict[Path, None] = {}
    empty = []
    for path in paths:
        try:
            found |= dict.fromkeys(submission_files(path))
        except DojoError as error:
            if output_format not in OF_STRANGERS or not path.is_dir():
                raise
            empty.append(Refusal(str(path), str(error)))
    return list(found), empty


def parts_of(
    files: Iterable[Path],
    output_format: str = "terminal",
    *,
    wanted: Collection[str] = (),
    forced: str | None = None,
    named: Collection[Path] = (),
    empty: Iterable[Refusal] = (),
) -> tuple[list[Part], list[Refusal]]:
    """The exercises that the files hold, and which files are not graded and why. `named` are the paths of the call, and
    `empty` says which of them hold nothing.

    A file that holds no exercise is mentioned by the way where it was found in a folder beside others. `wanted` and
    `forced` are as for `select_parts`.

    Raises:
        DojoError: there is nothing to grade, and no integration waits for a result; or none of the files lies where
            its integration keeps them.
    """
    parts: list[Part] = []
    refused: list[Refusal] = list(empty)
    unasked: list[Refusal] = []
    if output_format == "nbgrader":
        from grader.integrations.nbgrader import placed

        files, elsewhere = placed(files, named)
        refused += elsewhere
    for file in files:
        try:
            if output_format != "terminal":  # a learner's own link is a learner's own affair
                refuse_link(file, named)
            parts += select_parts(read_source(file), wanted, forced, named=file in named)
        except DojoError as error:
            beside = isinstance(error, HoldsNoneError) and file not in named
            own = isinstance(error, NoGradientError) and output_format not in OF_STRANGERS
            said = f"{error}; --as ID reads it as the exercise ID all the same" if own else str(error)
            (unasked if isinstance(error, OptionalError) else refused).append(Refusal(str(file), said, beside))
    refused += [] if parts else unasked
    if not parts and (output_format not in OF_STRANGERS or not refused):
        raise DojoError("; ".join(refusal.sentence for refusal in refused))
    return parts, refused


@contextmanager
def failure_told(output_format: str, output: Path | None) -> Iterator[None]:
    """Where grading fails, write it in the form that the integration reads, and go on failing."""
    try:
        yield
    except Exception as error:
        sentence = str(error) if isinstance(error, DojoError) else BROKEN
        if output_format in _FAILURES:
            write(_FAILURES[output_format](sentence), output)
        raise


def whole_or_without(report: Report, render: Callable[[Report], Any]) -> Any:
    """What `render` makes of the report, or of what is left where it breaks on some submissions: those are refused."""
    try:
        return render(report)
    except DojoError:
        raise
    except Exception as error:
        broken = [submission for submission in report.submissions if _breaks(render, submission)]
        if not broken:
            raise
        report.submissions = [submission for submission in report.submissions if submission not in broken]
        said = f"the report cannot be written ({type(error).__name__})"
        report.refused += [Refusal(one.path, f"{one.path}: {said}") for one in broken]
        return render(report)


def _breaks(render: Callable[[Report], object], submission: SubmissionReport) -> bool:
    try:
        render(Report([submission]))
    except Exception:
        return True
    return False


def deliver(
    report: Report, output_format: str, output: Path | None, stated: Assignment | None, worth: PointsTable
) -> list[str]:
    """Write the report in one of FORMATS, or as nbgrader keeps it; what the instructor should know, a sentence each.

    Raises:
        DojoError: `output` cannot be written.
    """
    if output_format == "nbgrader":
        return _deliver_course(report, output, stated, worth)
    if stated is not None:
        stated.apply(report, worth)
    write(whole_or_without(report, FORMATS[output_format]), output)
    if output_format == "github":
        _tell_github(report, output)
    if output_format == "gradescope" and output is not None:
        facts = {f"seed {s.seed}, isolation {s.isolation}, torch {s.torch}" for s in report.submissions}
        print("\n".join(sorted(facts)))
    return []


def _deliver_course(report: Report, output: Path | None, stated: Assignment | None, worth: PointsTable) -> list[str]:
    from grader.integrations.nbgrader import Course

    def of_course(some: Report) -> tuple[Course, dict[Path, str]]:
        course = Course(some, stated, worth)
        return course, course.files() if output is not None else {Path(): course.grades()}

    course, files = whole_or_without(report, of_course)
    for path, text in files.items():
        write(text, output and output / path)
    return [*course.remarks, *(course.into_gradebook(output) if output is not None else [])]


def write(text: str, output: Path | None) -> None:
    """Write text to a file, or to standard output where none is given.

    Raises:
        DojoError: `output` cannot be written.
    """
    if output is None:
        sys.stdout.write(text)
        return
    with told_if_unwritable(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists() and not output.is_file():
            output.write_text(text, encoding="utf-8")  # /dev/stdout, a pipe
        else:
            write_atomically(output.resolve(), text)


def _tell_github(report: Report, output: Path | None) -> None:
    """Append the job summary and the outputs of the step, where a job asks for them; result.json beside `output`."""
    from grader.integrations.github import render_result, render_summary, step_outputs

    if output is not None and output.is_file():
        write(render_result(report), output.with_name("result.json"))
    outputs = "".join(f"{name}={value}\n" for name, value in step_outputs(report).items())
    for variable, text in (("GITHUB_STEP_SUMMARY", render_summary(report)), ("GITHUB_OUTPUT", outputs)):
        if path := os.environ.get(variable):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(text)
