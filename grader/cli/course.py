"""The commands of those who grade other people's work."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from grader.base.errors import DojoError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(batch)
    app.command()(summary)


def batch(
    submissions: Annotated[
        Path,
        typer.Argument(
            help="A folder with a file or folder for each person; a zip from Moodle, Canvas or Gradescope, or such a "
            "zip unpacked; a CSV with a column for the name and one for the path; or nbgrader's submitted/ tree.",
            metavar="SUBMISSIONS",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder for the results.", metavar="RESULTS")],
    exercise: Annotated[str | None, typer.Option(help="Which exercise it is, such as ex1.", metavar="ID")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.", metavar="NAME")] = None,
    seed: Annotated[int | None, typer.Option(help="Draw everyone's data from this seed.", metavar="N")] = None,
    names: Annotated[Path | None, typer.Option(help="Use this list of names.", metavar="FILE")] = None,
    points: Annotated[Path | None, typer.Option(help="What each gradient is worth.", metavar="FILE")] = None,
    isolation: Annotated[
        str | None, typer.Option(help="basic, partial, full or highest (the default).", metavar="LEVEL")
    ] = None,
    require_isolation: Annotated[
        str | None, typer.Option(help="Refuse to grade below this level.", metavar="LEVEL")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Processes that grade; one for each core by default.", metavar="N", min=1)
    ] = None,
    limit_time: Annotated[
        float | None, typer.Option(help="Seconds for each exercise in each file; 60 by default.", metavar="SECONDS")
    ] = None,
    limit_memory: Annotated[
        str | None, typer.Option(help="Memory for a submission, such as 512M; 2G by default.", metavar="SIZE")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Hand the work to the Dask cluster at this address.", metavar="ADDRESS")
    ] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Grade those again that broke the grader.")
    ] = False,
) -> None:
    """Grade many submissions; run again, it goes on where it was stopped.

    Each submission runs in a confined process of its own, and everyone is judged with the same seed. RESULTS gets
    one JSON file each and index.jsonl. What changed since it was graded is graded again. Where several files of a
    person hold the same exercise, all are reported and the best one counts. Exit 0: all went through, whatever the
    scores; 1: the grader broke on some; 2: the input or the call is bad.
    """
    from rich.console import Console

    from grader.batch.parameters import Options
    from grader.batch.run import run_batch
    from grader.lesson.names import load_names
    from grader.report.points import read_points

    if names is not None:
        os.environ["DOJO_NAMES"] = str(names.resolve())
    load_names()
    if limit_time is not None and not 0 < limit_time <= 86_400:
        raise DojoError(f"--limit-time {limit_time:g}: give seconds above 0, at most 86400")
    options = Options(
        submissions,
        out,
        exercise=exercise,
        device=device,
        seed=seed,
        isolation=isolation,
        require_isolation=require_isolation,
        seconds=limit_time,
        memory=None if limit_memory is None else _bytes(limit_memory),
        points=read_points(points),
        jobs=jobs or _cores(),
        scheduler=scheduler,
        retry_errors=retry_errors,
    )
    raise typer.Exit(run_batch(options, Console(stderr=True), typer.echo))


def summary(
    results: Annotated[Path, typer.Argument(help="The folder that `dojo batch --out` wrote.", metavar="RESULTS")],
    output: Annotated[
        Path | None, typer.Option(help="The page; RESULTS/summary.html by default.", metavar="FILE")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="The table, a row for each submission; RESULTS/summary.csv by default.", metavar="FILE"),
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option(help="Also a table with a row for each submission and gradient.", metavar="FILE")
    ] = None,
    canvas: Annotated[Path | None, typer.Option(help="A gradebook for Canvas to import.", metavar="FILE")] = None,
    moodle: Annotated[Path | None, typer.Option(help="Grades for Moodle to import.", metavar="FILE")] = None,
    roster: Annotated[
        Path | None,
        typer.Option(help="The CSV that Canvas or Moodle exports: tells whose each submission is.", metavar="FILE"),
    ] = None,
    assignment: Annotated[str, typer.Option(help="What the gradebook calls it.", metavar="NAME")] = "Backprop Dojo",
    points: Annotated[
        Path | None, typer.Option(help="What each gradient is worth, in place of what it was.", metavar="FILE")
    ] = None,
    points_possible: Annotated[
        float | None, typer.Option(help="Scale the gradebook's grades to this.", metavar="N")
    ] = None,
    exercise: Annotated[
        list[str] | None, typer.Option(help="Count this exercise only, such as ex1; may be repeated.", metavar="ID")
    ] = None,
) -> None:
    """Sum up the results of a course: a page, a table, and gradebooks.

    The page shows scores, common mistakes, who has what, near-identical answers, and what was slow or refused.
    """
    from grader.classroom.write import Wishes, write_summary

    if points_possible is not None and not 0 < points_possible < 1e9:
        raise DojoError(f"--points-possible {points_possible:g}: give a number above 0")
    wishes = Wishes(
        output=output,
        table=csv,
        verdicts=verdicts,
        canvas=canvas,
        moodle=moodle,
        roster=roster,
        assignment=assignment,
        points_possible=points_possible,
        points=points,
        exercises=tuple(exercise or ()),
    )
    write_summary(results, wishes, typer.echo)


def _cores() -> int:
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available else os.cpu_count() or 1


def _bytes(size: str) -> int:
    match = re.fullmatch(r"(\d+)\s*([KMG]?)(?:i?B)?", size.strip(), re.IGNORECASE)
    if match is None or int(match[1]) == 0:
        raise DojoError(f"--limit-memory {size!r}: give a size such as 512M or 2G")
    return int(match[1]) * _UNITS[match[2].upper()]
