"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from grader.base.errors import DojoError
from grader.lesson.data_files import VARIABLES
from grader.report.points import DEFAULT_FILE

Command = TypeVar("Command", bound=Callable[..., Any])

FILE: Any = click.Path(path_type=Path)
"""A path as the learner wrote it. Whether it is there is said later, in the words of what needs it."""


class _Output(click.Path):
    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        from grader.reading.submission import SUFFIXES

        path = Path(os.fsdecode(super().convert(value, parameter, context)))
        if Path(os.path.realpath(path)).suffix.lower() in SUFFIXES and path.is_file():
            raise DojoError(f"{path}: holds somebody's work, which would be lost; name another file to write to")
        return path


OUTPUT = _Output()
"""A file to write, which takes the place of whatever was there: never of a submission, nor of what the call reads."""


class _Command(click.Command):
    def invoke(self, context: click.Context) -> Any:
        """
        Raises:
            DojoError: a file that this call reads is one that it is to write.
        """
        of_type: dict[str | None, click.Parameter] = {parameter.name: parameter for parameter in self.params}
        outputs = [path for name, path in context.params.items() if isinstance(of_type[name].type, _Output) and path]
        for output in (path for path in outputs if path.is_file()):
            for what, file in _read(context.params, of_type):
                if file.is_file() and file.samefile(output):
                    raise DojoError(
                        f"{output}: is {what} of this call, and would be lost; name another file to write to"
                    )
        return super().invoke(context)


def _read(values: dict[str, Any], of_type: dict[str | None, click.Parameter]) -> Iterator[tuple[str, Path]]:
    """The files that a call names to be read, those that it reads without being told too, and what each is."""
    yield f"the {DEFAULT_FILE.name}", DEFAULT_FILE
    for variable in VARIABLES.values():  # set by an option, or before
        yield f"the {variable.removeprefix('DOJO_').lower()} file", Path(os.environ.get(variable, ""))
    for name, value in values.items():
        what = f"the {of_type[name].opts[0]}" if isinstance(of_type[name], click.Option) else "what is read"
        if not isinstance(of_type[name].type, _Output):
            for path in value if isinstance(value, tuple) else (value,):
                if isinstance(path, Path):
                    yield what, path


command = partial(click.command, cls=_Command)
"""A command that writes files, and none over what it reads."""


def course_folder() -> Path:
    """The folder that holds exercises/: the current one, or the nearest above it, as for `dojo hint`."""
    from grader.learner.memory import folder_of

    return Path(os.path.relpath(folder_of(Path.cwd())))


def option(name: str, metavar: str, said: str, kind: Any = None, **more: Any) -> Callable[[Command], Command]:
    """An option with a value: its name, what the help calls the value, and a sentence."""
    variable = ("forced",) if name == "--as" else ()  # `as` is a word of Python
    return click.option(name, *variable, metavar=metavar, help=said, type=kind, **more)


def flag(name: str, said: str, *variable: str) -> Callable[[Command], Command]:
    """An option without a value."""
    return click.option(name, *variable, is_flag=True, help=said)


def paths_argument(command: Command) -> Command:
    """Files and folders; none stands for `exercises/`."""
    return click.argument("paths", nargs=-1, type=FILE, metavar="[PATH]...")(command)


exercise_option = option("--exercise", "ID", "This exercise only, such as ex1.")
as_option = option("--as", "ID", "Read each file as this exercise, whatever it says of itself.")
assignment_option = option(
    "--assignment", "FILE", "A TOML file with [tool.dojo.assignment]; pyproject.toml here by default.", FILE
)
device_option = option("--device", "NAME", "auto, cpu or cuda.", default="auto", show_default=True)
seed_option = option("--seed", "N", "Repeat the grading with this seed.", int)
points_option = option("--points", "FILE", "What each gradient is worth.", FILE)
required_option = option("--require-isolation", "LEVEL", "Refuse to grade below this isolation level.")


def _choose(provider: str, _: click.Context, parameter: click.Parameter, file: Path | None) -> None:
    """Take data from this file, here and in every process that this one starts."""
    if file is None:
        return
    if not file.exists():
        raise DojoError(f"--{parameter.name} {file}: no such file")
    os.environ[VARIABLES[provider]] = str(file.resolve())


def data_options(command: Command) -> Command:
    """`--names`, `--data` and `--text`: other data than the project's own. `check_chosen` reads what they name."""
    for name, provider, said in (
        ("--text", "text", "Learn from this text instead of the names."),
        ("--data", "digits", "Use these images of digits: a CSV of labels and pixels."),
        ("--names", "names", "Use this list of names."),
    ):
        command = option(name, "FILE", said, FILE, expose_value=False, callback=partial(_choose, provider))(command)
    return command
