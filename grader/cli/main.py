"""The command line. Exit 0: all right; 1: graded, not all right; 2: the input or the call is bad."""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.base.errors import DojoError
from grader.cli import course as cli_course

if TYPE_CHECKING:
    from grader.report.records import Report

app = typer.Typer(
    name="dojo",
    help="Learn backpropagation by hand, each gradient graded on its own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="The list of names.", no_args_is_help=True)
author_app = typer.Typer(help="For authors: derive exercises and notebooks, and prove them.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(author_app, name="author")
cli_course.register(app)

NamesOption = Annotated[Path | None, typer.Option("--names", help="Use this list of names.", metavar="FILE")]
ExerciseArgument = Annotated[str, typer.Argument(help="Such as ex1.", metavar="EXERCISE")]
ExerciseOption = Annotated[str | None, typer.Option(help="Which exercise it is, such as ex1.", metavar="ID")]
GradientArgument = Annotated[str | None, typer.Argument(help="Such as dprobs.", metavar="VARIABLE")]
PathsArgument = Annotated[
    list[Path] | None, typer.Argument(help="Files or folders; exercises/ by default.", metavar="PATH...")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.", metavar="NAME")]
IsolationOption = Annotated[str, typer.Option(help="basic, partial, full or highest.", metavar="LEVEL")]
RequiredOption = Annotated[
    str | None, typer.Option(help="Refuse to grade below this isolation level.", metavar="LEVEL")
]
FormatOption = Annotated[
    str,
    typer.Option("--format", help="terminal, json, html, github, gradescope or nbgrader.", metavar="NAME"),
]
SeedOption = Annotated[int | None, typer.Option(help="Repeat the grading with this seed.", metavar="N")]


@app.command()
def grade(
    paths: PathsArgument = None,
    exercise: ExerciseOption = None,
    output_format: FormatOption = "terminal",
    output: Annotated[Path | None, typer.Option(help="Write the report here.", metavar="FILE")] = None,
    points: Annotated[Path | None, typer.Option(help="What each gradient is worth.", metavar="FILE")] = None,
    device: DeviceOption = "auto",
    seed: SeedOption = None,
    names: NamesOption = None,
    strict_sizes: Annotated[bool, typer.Option("--strict-sizes", help="Fail answers with sizes written in.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show the table of every exercise.")] = False,
    isolation: IsolationOption = "basic",
    require_isolation: RequiredOption = None,
    explain: Annotated[str | None, typer.Option(help="All that is known of one gradient.", metavar="NAME")] = None,
) -> None:
    """Grade files, each gradient on its own."""
    from grader.integrations.outputs import check_output, deliver, failure_told, parts_of
    from grader.learner.memory import remember
    from grader.learner.pairs import latest
    from grader.lesson.exercise import find_exercise
    from grader.reading.submission import submission_files
    from grader.report.points import read_points

    started = time.monotonic()
    check_output(output_format, output)
    with failure_told(output_format, output):
        if exercise is not None:
            find_exercise(exercise)
        worth = read_points(points)
        _use_names(names)
        files = [file for path in paths or [_default_path()] for file in submission_files(path)]
        files = latest(files, named=paths or [], say=_say)
        parts, left_out = parts_of(files, exercise, output_format)

        # torch takes a second to load: bad input has been told by now.
        from grader.judging.grade import grade_parts, settings

        report = grade_parts(parts, settings(seed, device, strict_sizes, isolation, require_isolation))
        worth.apply(report)
        report.refused, report.seconds = left_out, time.monotonic() - started
        remember(report)
        if output_format != "terminal":
            deliver(report, output_format, output)
        else:
            _draw(report, output, explain, everything)
    raise typer.Exit(0 if report.all_passed else 1)


@app.command()
def hint(
    variable: GradientArgument = None,
    exercise: ExerciseOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Show all hints of this gradient.")] = False,
    level: Annotated[int | None, typer.Option(help="Show this one, 1 to 3.", metavar="N")] = None,
) -> None:
    """Show the next hint of a gradient; without a name, of the first that is not right."""
    from grader.learner.hints import hint as find_hint

    typer.echo(find_hint(variable, exercise, level, everything))


@app.command()
def solution(
    variable: Annotated[str, typer.Argument(help="Such as dprobs.", metavar="VARIABLE")],
    exercise: ExerciseOption = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Even before it is right.")] = False,
) -> None:
    """Show the solution's lines of a gradient that you have right."""
    from grader.learner.hints import solution as find_solution

    typer.echo(find_solution(variable, exercise, anyway))


@app.command()
def watch(
    paths: PathsArgument = None,
    exercise: ExerciseOption = None,
    device: DeviceOption = "auto",
    seed: SeedOption = None,
    names: NamesOption = None,
) -> None:
    """Grade again each time a file is saved; q or Ctrl-C ends."""
    from grader.learner.watch import watch as watch_files

    _use_names(names)
    watch_files(paths or [_default_path()], exercise, device, seed)


@app.command()
def train(
    path: Annotated[
        Path | None,
        typer.Argument(help="Your file of exercise 4; in exercises/ by default.", metavar="FILE"),
    ] = None,
    names: NamesOption = None,
    steps: Annotated[int | None, typer.Option(help="Steps in place of max_steps.", metavar="N", min=1)] = None,
    picture: Annotated[Path, typer.Option(help="Where the loss curve goes.", metavar="FILE")] = Path("losses.png"),
) -> None:
    """Run your own training loop in full, measure it, and sample names."""
    from grader.reading.submission import find_parts
    from grader.syntax.source import read_source

    _use_names(names)
    source = read_source(path or _default_training_file())
    parts = [part for part in find_parts(source) if part.exercise.is_training]
    if not parts:
        raise DojoError(f"{source.path}: holds no training exercise; name your file of exercise 4")

    from grader.learner.train import train_in_full

    raise typer.Exit(train_in_full(parts[0], steps, picture))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to put them.", metavar="DIR")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace files that differ; each keeps a .bak.")] = False,
) -> None:
    """Copy the exercises out, for people who installed with pip."""
    from grader.learner.copies import copy_exercises

    copy_exercises(folder, force=force)


@app.command()
def reset(
    exercise: ExerciseArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    folder: Annotated[Path, typer.Option(help="The folder with exercises/.", metavar="DIR")] = Path(),
) -> None:
    """Put one exercise back as it was, keeping a copy of yours."""
    from grader.learner.copies import reset_exercise

    reset_exercise(exercise, folder, confirm=(lambda _: True) if yes else typer.confirm)


@app.command()
def sync(
    folder: Annotated[Path, typer.Argument(help="The folder with exercises/ and notebooks/.", metavar="DIR")] = Path(),
    keep: Annotated[
        list[Path] | None, typer.Option(help="Where both changed, go on with this one.", metavar="FILE")
    ] = None,
) -> None:
    """Bring exercises/ and notebooks/ in step; of two that both changed neither is touched."""
    from grader.learner.sync import sync as sync_pairs

    raise typer.Exit(sync_pairs(folder, keep or [], typer.echo))


@data_app.command("fetch")
def data_fetch() -> None:
    """Download the full makemore list into the user cache and check it."""
    from grader.lesson.names import fetch_makemore_names

    path = fetch_makemore_names()
    typer.echo(f"{path}\nUse it with: dojo grade --names {path}")


@author_app.command("build")
def author_build() -> None:
    """Derive exercises/ and notebooks/ from solutions/."""
    from grader.lesson.derive import build

    for path in build():
        typer.echo(f"written: {path}")


@author_app.command("check")
def author_check() -> None:
    """Prove the content: no diff, every stub fails, every solution passes, every gradient has its hints."""
    from grader.learner.author_check import check

    raise typer.Exit(check(typer.echo))


def _draw(report: Report, output: Path | None, explain: str | None, everything: bool) -> None:
    from grader.showing.explain import draw_explanation
    from grader.showing.terminal import console_for, draw_report

    with nullcontext(sys.stdout) if output is None else output.open("w", encoding="utf-8") as file:
        if explain is not None:
            draw_explanation(report, explain, console_for(file))
        else:
            draw_report(report, console_for(file), everything=everything)


def _use_names(names: Path | None) -> None:
    if names is not None:
        os.environ["DOJO_NAMES"] = str(names.resolve())
    from grader.lesson.names import load_names

    load_names()


def _default_path() -> Path:
    if not Path("exercises").is_dir():
        raise DojoError("there is no exercises/ folder here; name a file, or run `dojo init` first")
    return Path("exercises")


def _default_training_file() -> Path:
    from grader.lesson.exercise import all_exercises

    for exercise in all_exercises():
        path = _default_path() / f"{exercise.id}.py"
        if exercise.is_training and path.is_file():
            return path
    raise DojoError("exercises/ holds no training exercise; name your file")


def main(arguments: list[str] | None = None) -> None:
    """Run `dojo` and exit with its code."""
    try:
        code = app(arguments, standalone_mode=False)
    except DojoError as error:
        code = _complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("stopped", err=True)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except Exception as error:
        # typer's usage errors; its versions keep the class in different places
        if not hasattr(error, "format_message"):
            raise
        code = _complain(error.format_message())
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> int:
    _say(" ".join(message.split("\n")))
    return 2


def _say(line: str) -> None:
    from grader.base.visible import visible

    typer.echo(f"dojo: {visible(line, keep='')}", err=True)
