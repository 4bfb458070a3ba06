"""The command line. Exit 0: all right; 1: graded, not all right; 2: the input or the call is bad."""

from __future__ import annotations

import atexit
import errno
import io
import os
import sys
import threading
from importlib import import_module
from pathlib import Path

import click

import grader
from grader.base.children import BEFORE_TORCH, import_path
from grader.base.errors import DojoError

_MODULES = {
    "learn": "grade hint solution watch train init reset sync welcome data",
    "course": "batch summary feedback gradescope",
    "author": "author",
}
"""In which module of this room each command stands."""


class _Commands(click.Group):
    """Loads a command's module when the command is asked for: a hint need not wait for what `batch` is made of."""

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(" ".join(_MODULES.values()).split())

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        module = next((module for module, commands in _MODULES.items() if name in commands.split()), None)
        command = module and getattr(import_module(f"grader.cli.{module}"), name)
        return command if isinstance(command, click.Command) else None


@click.group(
    cls=_Commands,
    name="dojo",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(grader.__version__, prog_name="dojo", message="%(prog)s %(version)s")
@click.pass_context
def app(context: click.Context) -> None:
    """Learn backpropagation by hand, each gradient graded on its own.

    Without a command: the map of the lessons, and where you stand.
    """
    if context.invoked_subcommand is None:
        from grader.cli.overview import overview

        click.echo(overview())


def main(arguments: list[str] | None = None) -> None:
    """Run `dojo` and exit with its code."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115  # closed, as by `>&-`: nobody reads it
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console of code page 1252 has no tick
    os.environ.update(BEFORE_TORCH)
    try:
        sys.path[:] = import_path()
        code = _run(arguments)
        sys.stdout.flush()
    except OSError as error:
        code = _refused(error)
    sys.exit(code)


def _refused(error: OSError) -> int:
    """The exit code where the system did not do what was asked: no room, no permission, or nobody who reads on."""
    if error.filename is not None:
        return _complain(f"{error.filename}: cannot be read or written ({error.strerror})")
    if error.errno == errno.ENOENT:  # what os.getcwd() says
        return _complain("the current folder is gone; go to one that is there")
    if error.errno not in (errno.EPIPE, errno.ENOSPC):
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is still to be written
    full = error.errno == errno.ENOSPC
    return _complain("the disk is full: not all of the output is written") if full else 0


def _run(arguments: list[str] | None) -> int:
    try:
        code = app.main(arguments, prog_name="dojo", standalone_mode=False)
    except DojoError as error:
        return _complain(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 0
    except click.ClickException as error:
        return _complain(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        return 130
    return code if isinstance(code, int) else 0


def console() -> None:
    """`dojo` as a program of its own: run it, and end the process.

    Python would first take down torch, object by object, for 0.2 s in which the prompt is waited for. So it is ended
    as soon as its output is written and what asked to be called at the end was called; unless somebody else has a
    share in the end, as a thread, a debugger or coverage has.
    """
    try:
        main()
    except SystemExit as ended:
        monitoring = getattr(sys, "monitoring", None)  # from Python 3.12 on
        tools = monitoring is not None and any(map(monitoring.get_tool, range(6)))
        if tools or sys.gettrace() or sys.getprofile() or threading.active_count() > 1:
            raise
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 0)


def _complain(message: str) -> int:
    from grader.cli.learn import say

    say(" ".join(message.split("\n")))
    return 2
