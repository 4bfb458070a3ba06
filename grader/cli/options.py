"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

FILE: Any = click.Path(path_type=Path)
"""A path as the learner wrote it. Whether it is there is said later, in the words of what needs it."""


def option(name: str, metavar: str, said: str, kind: Any = None, **more: Any) -> Callable[[Command], Command]:
    """An option with a value: its name, what the help calls the value, and a sentence."""
    return click.option(name, metavar=metavar, help=said, type=kind, **more)


def flag(name: str, said: str, *variable: str) -> Callable[[Command], Command]:
    """An option without a value."""
    return click.option(name, *variable, is_flag=True, help=said)


def paths_argument(command: Command) -> Command:
    """Files and folders; none stands for `exercises/`."""
    return click.argument("paths", nargs=-1, type=FILE, metavar="[PATH]...")(command)


exercise_option = option("--exercise", "ID", "Which exercise it is, such as ex1.")
names_option = option("--names", "FILE", "Use this list of names.", FILE)
device_option = option("--device", "NAME", "auto, cpu or cuda.", default="auto", show_default=True)
seed_option = option("--seed", "N", "Repeat the grading with this seed.", int)
points_option = option("--points", "FILE", "What each gradient is worth.", FILE)
required_option = option("--require-isolation", "LEVEL", "Refuse to grade below this isolation level.")


def use_names(names: Path | None) -> None:
    """Take the list of names from this file, here and in every process that this one starts.

    Raises:
        DojoError: the list cannot be read.
    """
    if names is not None:
        os.environ["DOJO_NAMES"] = str(names.resolve())
    from grader.lesson.names import load_names

    load_names()
