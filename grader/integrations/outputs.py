"""Where a report goes: the console, a file, a folder, and what a integration keeps beside the text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.base.errors import DojoError
from grader.base.files import refuse_link, write_atomically
from grader.integrations.formats import FOLDER_FORMATS, FORMAT_NAMES, FORMATS
from grader.reading.submission import Part, find_parts
from grader.report.records import Report
from grader.syntax.source import read_source

if TYPE_CHECKING:
    from grader.report.records import SubmissionReport

BROKEN = "The grader itself broke here. That is no mistake of yours; please tell your instructor."


def check_output(output_format: str, output: Path | None) -> None:
    """Refuse what could not be written before anything is graded.

    Raises:
        DojoError: the format is unknown, or `output` cannot take it.
    """
    if output_format not in FORMAT_NAMES:
        raise DojoError(f"format {output_format!r} is unknown; choose one of: {', '.join(FORMAT_NAMES)}")
    if output is None:
        return
    if output_format in FOLDER_FORMATS:
        if not output.is_dir():
            raise DojoError(f"{output}: is no folder; --format {output_format} writes several files into one")
    elif output.is_dir():
        raise DojoError(f"{output}: is a folder; name a file to write to")
    elif not output.absolute().parent.is_dir():
        raise DojoError(f"{output}: there is no folder {output.parent} to write it to")


def parts_of(files: Iterable[Path], exercise: str | None, output_format: str) -> tuple[list[Part], list[str]]:
    """The exercises that the files hold, and what is said of those that cannot be graded.

    Only a learner at the terminal may name a link: elsewhere it may point to any file of the instructor's.

    Raises:
        DojoError: no file can be graded, or one lies where its integration keeps none.
    """
    if output_format == "nbgrader":
        from grader.integrations.nbgrader import handed

        for file in (files := list(files)):
            handed(str(file))
    parts: list[Part] = []
    refused: list[str] = []
    for file in files:
        try:
            if output_format != "terminal":
                refuse_link(file)
            parts += find_parts(read_source(file), exercise)
        except DojoError as error:
            refused.append(str(error))
    if not parts:
        raise DojoError("; ".join(refused))
    return parts, refused


@contextmanager
def failure_told(output_format: str, output: Path | None) -> Iterator[None]:
    """Where grading fails, write it in the form that the integration reads, and go on failing."""
    try:
        yield
    except Exception as error:
        sentence = str(error) if isinstance(error, DojoError) else BROKEN
        if failure := _failure(output_format):
            _write(failure(sentence), output)
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
        report.refused += [f"{one.path}: the report cannot be written ({type(error).__name__})" for one in broken]
        return render(report)


def _breaks(render: Callable[[Report], object], submission: SubmissionReport) -> bool:
    try:
        render(Report([submission]))
    except Exception:
        return True
    return False


def deliver(report: Report, output_format: str, output: Path | None) -> None:
    """Write the report in one of FORMATS.

    Raises:
        DojoError: `output` cannot be written.
    """
    if output is not None and output_format in FOLDER_FORMATS:
        from grader.integrations.nbgrader import render_folder

        for path, text in whole_or_without(report, render_folder).items():
            _write(text, output / path)
        return
    _write(whole_or_without(report, FORMATS[output_format]), output)
    if output_format == "github":
        _tell_github(report)


def _failure(output_format: str) -> Callable[[str], str] | None:
    if output_format == "gradescope":
        from grader.integrations.gradescope import render_failure

        return render_failure
    if output_format == "github":
        from grader.integrations.github import render_failure as annotate

        return annotate
    return None


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists() and not output.is_file():
            output.write_text(text, encoding="utf-8")  # /dev/stdout, a pipe
        else:
            write_atomically(output.resolve(), text)
    except OSError as error:
        raise DojoError(f"{output}: cannot be written ({error.strerror})") from None


def _tell_github(report: Report) -> None:
    """Append the job summary and the outputs of the step, where a job of GitHub Actions asks for them."""
    from grader.integrations.github import render_summary, step_outputs

    outputs = "".join(f"{name}={value}\n" for name, value in step_outputs(report).items())
    for variable, text in (("GITHUB_STEP_SUMMARY", render_summary(report)), ("GITHUB_OUTPUT", outputs)):
        if path := os.environ.get(variable):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(text)
