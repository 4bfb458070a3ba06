"""The commands of those who grade other people's work."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

from grader.base.errors import DojoError
from grader.cli.options import (
    FILE,
    OUTPUT,
    as_option,
    assignment_option,
    command,
    data_options,
    exercise_option,
    flag,
    option,
    points_option,
    required_option,
)
from grader.lesson.data_files import check_chosen

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@command()
@click.argument("submissions", type=FILE)
@option("--out", "RESULTS", "The folder for the results.", FILE, required=True)
@exercise_option
@as_option
@assignment_option
@option("--device", "NAME", "auto, cpu or cuda.")
@option("--seed", "N", "Draw everyone's data from this seed.", int)
@data_options
@points_option
@option("--isolation", "LEVEL", "basic, partial, full or highest (the default).")
@required_option
@option("--jobs", "N", "Processes that grade; one for each core by default.", click.IntRange(min=1))
@option("--limit-time", "SECONDS", "Seconds for each exercise in each file; 60 by default.", float)
@option("--limit-memory", "SIZE", "Memory for a submission, such as 512M; 2G by default.")
@option("--scheduler", "ADDRESS", "Hand the work to the Dask cluster at this address.")
@flag("--retry-errors", "Grade those again that broke the grader.")
@option("--feedback", "DIR", "Then write everybody's feedback to this folder.", FILE)
@click.pass_context
def batch(
    context: click.Context,
    /,
    submissions: Path,
    out: Path,
    assignment: Path | None,
    points: Path | None,
    jobs: int | None,
    limit_time: float | None,
    limit_memory: str | None,
    feedback: Path | None,
    **asked: Any,
) -> None:
    """Grade many submissions, and go on where it was stopped.

    SUBMISSIONS is a folder with a file or folder for each person; a zip from Moodle, Canvas or Gradescope, or such a
    zip unpacked; a CSV with a column for the name and one for the path; or nbgrader's submitted/ tree.

    Each submission runs in a confined process of its own, and everyone is judged with the same seed. RESULTS gets
    one JSON file each and index.jsonl. What changed since it was graded is graded again. Where several files of a
    person hold the same exercise, all are reported and the best one counts. Exit 0: all went through, whatever the
    scores; 1: the grader broke on some; 2: the input or the call is bad.
    """
    from rich.console import Console

    from grader.batch.parameters import Options
    from grader.batch.run import refuse_unfit, run_batch
    from grader.report.assignment import read_assignment
    from grader.report.points import read_points

    check_chosen()
    if feedback is not None:
        refuse_unfit(feedback, submissions)
    if limit_time is not None and not 0 < limit_time <= 86_400:
        raise DojoError(f"--limit-time {limit_time:g}: give seconds above 0, at most 86400")
    options = Options(
        submissions,
        out,
        assignment=read_assignment(assignment),
        seconds=limit_time,
        memory=None if limit_memory is None else _bytes(limit_memory),
        points=read_points(points),
        jobs=jobs or _cores(),
        **asked,
    )
    code = run_batch(options, Console(stderr=True), click.echo)
    if feedback is not None and code != 130:
        from grader.classroom.write import Wishes, write_pages

        write_pages(out, Wishes(assignment=assignment, feedback=feedback), click.echo)
    context.exit(code)


@command()
@click.argument("results", type=FILE)
@option("--output", "FILE", "The page; RESULTS/summary.html by default.", OUTPUT)
@option("--csv", "FILE", "The table, a row for each submission; RESULTS/summary.csv by default.", OUTPUT)
@option("--verdicts", "FILE", "Also a table with a row for each submission and gradient.", OUTPUT)
@option("--canvas", "FILE", "A gradebook for Canvas to import.", OUTPUT)
@option("--moodle", "FILE", "Grades for Moodle to import.", OUTPUT)
@option("--roster", "FILE", "The CSV that Canvas or Moodle exports: whose each submission is, and when it came.", FILE)
@option("--assignment", "FILE", "A TOML file with [tool.dojo.assignment], in place of the one that was graded by.")
@option("--title", "NAME", "What the gradebook calls it; the assignment's title by default.")
@option("--points", "FILE", "What each gradient is worth, in place of what it was.", FILE)
@option("--points-possible", "N", "Scale the gradebook's grades to this.", float)
@option("--exercise", "ID", "Count this exercise only, such as ex1; may be repeated.", multiple=True)
@option("--feedback", "DIR", "Where everybody's feedback lies, to link to it; RESULTS/feedback by default.", FILE)
def summary(
    results: Path,
    csv: Path | None,
    assignment: str | None,
    title: str | None,
    points_possible: float | None,
    exercise: tuple[str, ...],
    **wished: Any,
) -> None:
    """Sum up a course: a page, a table, and gradebooks.

    RESULTS is the folder that `dojo batch --out` wrote.

    The page shows scores, common mistakes, who has what, near-identical answers, and what was slow or refused.
    """
    from grader.classroom.write import Wishes, write_summary

    if points_possible is not None and not 0 < points_possible < 1e9:
        raise DojoError(f"--points-possible {points_possible:g}: give a number above 0")
    path = None if assignment is None else Path(assignment)
    if path is not None and path.suffix != ".toml" and not path.exists():
        path, title = None, title or assignment  # a title, as it was given before there was --title
    wishes = Wishes(
        table=csv, assignment=path, title=title, points_possible=points_possible, exercises=exercise, **wished
    )
    write_summary(results, wishes, click.echo)


@command()
@click.argument("results", type=FILE)
@option("--out", "DIR", "The folder for the pages; RESULTS/feedback by default.", FILE)
@assignment_option
@points_option
@option("--roster", "FILE", "Moodle's grading worksheet, which tells when people handed in.", FILE)
def feedback(
    results: Path, out: Path | None, assignment: Path | None, points: Path | None, roster: Path | None
) -> None:
    """Write a page of feedback for each person.

    RESULTS is the folder that `dojo batch --out` wrote. Beside the pages stands a zip that Moodle or Canvas hands out.
    Changes by hand stand in RESULTS/overrides.toml.
    """
    from grader.classroom.write import Wishes, write_pages

    write_pages(results, Wishes(feedback=out, assignment=assignment, points=points, roster=roster), click.echo)


@command()
@exercise_option
@assignment_option
@points_option
@option("--seed", "N", "The same for everybody; drawn now if left out.", int)
@required_option
@flag("--strict-sizes", "Fail answers that hold for these sizes only.")
@option("--torch-index", "URL", "An index of PyTorch builds for the CPU.")
@option("--out", "FILE", "The zip.", OUTPUT, default=Path("gradescope.zip"), show_default=True)
def gradescope(
    exercise: str | None,
    assignment: Path | None,
    points: Path | None,
    seed: int | None,
    require_isolation: str | None,
    strict_sizes: bool,
    torch_index: str | None,
    out: Path,
) -> None:
    """Build the autograder that is uploaded to Gradescope. It holds no solution."""
    import secrets

    from grader.integrations.gradescope_zip import write_autograder
    from grader.lesson.exercise import find_exercise
    from grader.running.confine import ISOLATION_LEVELS

    if require_isolation not in (None, *ISOLATION_LEVELS):
        raise DojoError(f"--require-isolation {require_isolation}: choose one of: {', '.join(ISOLATION_LEVELS)}")
    options = ["--exercise", find_exercise(exercise).id] if exercise is not None else []
    options += ["--require-isolation", require_isolation] if require_isolation is not None else []
    options += ["--strict-sizes"] if strict_sizes else []
    options += ["--seed", str(secrets.randbelow(2**31) if seed is None else seed)]
    write_autograder(out, options, points, torch_index, assignment)
    click.echo(f"written: {out}")
    if torch_index is None:
        click.echo("pip's own torch may bring CUDA, some GB more: --torch-index takes the index for the CPU that")
        click.echo("PyTorch's installation page names.")


def _cores() -> int:
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available else os.cpu_count() or 1


def _bytes(size: str) -> int:
    match = re.fullmatch(r"(\d+)\s*([KMG]?)(?:i?B)?", size.strip(), re.IGNORECASE)
    if match is None or int(match[1]) == 0:
        raise DojoError(f"--limit-memory {size!r}: give a size such as 512M or 2G")
    return int(match[1]) * _UNITS[match[2].upper()]
