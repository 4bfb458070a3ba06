"""The commands of those who solve exercises."""

from __future__ import annotations

import sys
import time
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.base.errors import DojoError
from grader.base.loading import uncollected
from grader.base.words import fitted
from grader.cli.options import (
    FILE,
    OUTPUT,
    as_option,
    assignment_option,
    command,
    course_folder,
    data_options,
    device_option,
    exercise_option,
    flag,
    option,
    paths_argument,
    points_option,
    required_option,
    seed_option,
)
from grader.lesson.data_files import check_chosen

if TYPE_CHECKING:
    from grader.report.records import Report


@command()
@paths_argument
@exercise_option
@as_option
@assignment_option
@option("--format", "NAME", "terminal, json, html, github, classroom50, gradescope or nbgrader.", default="terminal")
@option("--output", "FILE", "Write the report here.", OUTPUT)
@points_option
@device_option
@seed_option
@data_options
@flag("--strict-sizes", "Fail answers that hold for these sizes only.")
@flag("--all", "Show the table of every exercise.", "everything")
@option("--isolation", "LEVEL", "basic, partial, full or highest; basic by default, highest for an integration.")
@required_option
@option("--explain", "NAME", "Tell all that is known of this one gradient.")
@click.pass_context
def grade(
    context: click.Context,
    paths: tuple[Path, ...],
    exercise: str | None,
    forced: str | None,
    assignment: Path | None,
    format: str,  # noqa: A002  # the option's name
    output: Path | None,
    points: Path | None,
    device: str,
    seed: int | None,
    strict_sizes: bool,
    everything: bool,
    isolation: str | None,
    require_isolation: str | None,
    explain: str | None,
) -> None:
    """Grade files, each gradient on its own.

    PATH is a file or a folder; exercises/ by default.
    """
    from grader.integrations.outputs import (
        OF_STRANGERS,
        check_output,
        deliver,
        failure_told,
        files_handed_in,
        parts_of,
    )
    from grader.learner.memory import remember
    from grader.learner.pairs import latest
    from grader.lesson.tracks import place_on_map
    from grader.report.assignment import chosen_exercises, read_assignment
    from grader.report.points import read_points

    started = time.monotonic()
    check_output(format, output)
    with failure_told(format, output):
        of_strangers = format in OF_STRANGERS
        stated = read_assignment(assignment) if assignment is not None or of_strangers else None
        stated, wanted, forced = chosen_exercises(stated, exercise, forced)
        worth = read_points(points)
        check_chosen()
        found, empty = files_handed_in(paths or [_default_path()], format)
        files = latest(found, named=list(paths), say=say)
        parts, refused = parts_of(files, format, wanted=wanted, forced=forced, named=paths, empty=empty)
        parts.sort(key=lambda part: place_on_map(part.exercise.id))

        with uncollected():  # torch takes a second to load: bad input has been told by now
            from grader.judging.grade import grade_parts, settings

        level = isolation or ("highest" if of_strangers else "basic")
        required = require_isolation or (stated.require_isolation if stated else None)
        report = grade_parts(parts, settings(seed, device, strict_sizes, level, required))
        worth.apply(report)
        report.refused, report.seconds = [*refused, *report.refused], time.monotonic() - started
        if not report.submissions and not of_strangers:
            raise DojoError("; ".join(refusal.sentence for refusal in report.refused))
        remember(report)
        if format != "terminal":
            for remark in deliver(report, format, output, stated, worth):
                say(remark)
        else:
            if stated is not None:
                stated.apply(report, worth)
            _draw(report, output, explain, everything)
        for refusal in report.refused:
            say(refusal.sentence + (": left alone" if refusal.by_the_way else ""))
    if not report.submissions or any(not refusal.by_the_way for refusal in report.refused):
        context.exit(2)
    context.exit(0 if report.all_passed else 1)


@click.command()
@click.argument("variable", required=False)
@exercise_option
@flag("--all", "Show all hints of this gradient.", "everything")
@option("--level", "N", "Show this one, 1 to 3.", int)
def hint(variable: str | None, exercise: str | None, everything: bool, level: int | None) -> None:
    """Show the next of three hints for a gradient.

    VARIABLE is a gradient such as dprobs; without it, the first that is not right yet.
    """
    with uncollected():  # what a hint reads it needs to its end: the collector would take a tenth of the time
        from grader.learner.hints import hint as find_hint

        click.echo(fitted(find_hint(variable, exercise, level, everything)))


@click.command()
@click.argument("variable")
@exercise_option
@flag("--anyway", "Show them even before yours is right.")
def solution(variable: str, exercise: str | None, anyway: bool) -> None:
    """Show the solution's lines of a gradient once yours is right.

    VARIABLE is a gradient such as dprobs.
    """
    from grader.learner.hints import solution as find_solution

    click.echo(find_solution(variable, exercise, anyway))


@click.command()
@paths_argument
@exercise_option
@device_option
@seed_option
@data_options
def watch(paths: tuple[Path, ...], exercise: str | None, device: str, seed: int | None) -> None:
    """Grade again each time a file is saved; q or Ctrl-C ends."""
    from grader.learner.watch import watch as watch_files

    check_chosen()
    watch_files(list(paths) or [_default_path()], exercise, device, seed)


@command()
@click.argument("path", required=False, type=FILE, metavar="[FILE]")
@data_options
@option("--steps", "N", "Steps in place of max_steps.", click.IntRange(min=1))
@option("--picture", "FILE", "Where the loss curve goes.", OUTPUT, default=Path("losses.png"), show_default=True)
@click.pass_context
def train(context: click.Context, path: Path | None, steps: int | None, picture: Path) -> None:
    """Run your own training loop in full, and show what it learned.

    FILE holds the loop; the first one in exercises/ by default. The losses are drawn to a picture.
    """
    from grader.reading.submission import find_parts
    from grader.syntax.source import read_source

    check_chosen()
    source = read_source(path or _default_training_file())
    parts = [part for part in find_parts(source) if part.exercise.can_train]
    if not parts:
        raise DojoError(f"{source.path}: holds no training loop; name one that does, such as makemore/ex4_training.py")

    with uncollected():
        from grader.learner.train import check_picture, train_in_full

    check_picture(picture)
    context.exit(train_in_full(parts[0], steps, picture))


@click.command()
@click.argument("folder", required=False, type=FILE, default=Path(), metavar="[DIR]")
@option("--track", "NAME", "Only this track, such as makemore.")
@flag("--force", "Replace files that differ; each keeps a .bak.")
def init(folder: Path, track: str | None, force: bool) -> None:
    """Copy the exercises into a folder, for people who use pip."""
    from grader.learner.copies import copy_exercises

    copy_exercises(folder, track, force=force)


@click.command()
@click.argument("exercise")
@flag("--yes", "Do not ask.")
@option("--folder", "DIR", "The folder with exercises/.", FILE, default=course_folder)
def reset(exercise: str, yes: bool, folder: Path) -> None:
    """Put an exercise back as it was, and keep a copy of yours.

    EXERCISE is one such as ex1.
    """
    from grader.learner.copies import reset_exercise

    reset_exercise(exercise, folder, confirm=(lambda _: True) if yes else click.confirm)


@click.command()
@click.argument("folder", required=False, type=FILE, default=course_folder, metavar="[DIR]")
@option("--keep", "FILE", "Where both changed, go on with this one.", FILE, multiple=True)
@click.pass_context
def sync(context: click.Context, folder: Path, keep: tuple[Path, ...]) -> None:
    """Bring exercises/ and notebooks/ in step.

    Where a script and its notebook have both changed, neither is touched, and both are named.
    """
    from grader.learner.sync import sync as sync_pairs

    context.exit(sync_pairs(folder, list(keep), click.echo))


@click.command()
@click.argument("folder", required=False, type=FILE, default=Path(), metavar="[DIR]")
def welcome(folder: Path) -> None:
    """Write welcome.ipynb, the map of the lessons and your marks."""
    from grader.cli.overview import write_welcome

    click.echo(f"written: {write_welcome(folder)}")


@click.group(no_args_is_help=True)
def data() -> None:
    """Fetch data that does not come with the project."""


@data.command()
def fetch() -> None:
    """Download the full list of makemore's names into the user's cache, and check it."""
    from grader.lesson.names import fetch_makemore_names

    path = fetch_makemore_names()
    click.echo(f"{path}\nUse it with: dojo grade --names {path}")


def say(line: str) -> None:
    """A line to people beside what the command prints, safe to show whatever is in it."""
    from grader.base.visible import visible

    click.echo(f"dojo: {visible(line, keep='')}", err=True)


def _draw(report: Report, output: Path | None, explain: str | None, everything: bool) -> None:
    from grader.integrations.outputs import whole_or_without, write
    from grader.showing.explain import draw_explanation
    from grader.showing.terminal import console_for, draw_report

    def drawn(some: Report) -> str:
        with console.capture() as text:
            if explain is not None:
                draw_explanation(some, explain, console)
            else:
                draw_report(some, console, everything=everything)
        return text.get()

    file = sys.stdout if output is None else StringIO()
    console = console_for(file)
    console.file.write(whole_or_without(report, drawn))
    if isinstance(file, StringIO):
        write(file.getvalue(), output)


def _default_path() -> Path:
    exercises = course_folder() / "exercises"
    if not exercises.is_dir():
        raise DojoError("there is no exercises/ folder here; name a file, or run `dojo init` first")
    return exercises


def _default_training_file() -> Path:
    from grader.lesson.exercise import all_exercises

    for exercise in all_exercises():
        path = _default_path() / f"{exercise.id}.py"
        if exercise.can_train and path.is_file():
            return path
    raise DojoError("exercises/ holds no training exercise; name your file")
