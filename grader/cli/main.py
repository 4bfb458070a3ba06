"""The command line. Exit 0: all right; 1: graded, not all right; 2: the input or the call is bad."""

from __future__ import annotations

import io
import os
import sys

import click

import grader
from grader.base.children import ONE_THREAD, import_path
from grader.base.errors import DojoError
from grader.cli import author, course, learn


@click.group(name="dojo", invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(grader.__version__, prog_name="dojo", message="%(prog)s %(version)s")
@click.pass_context
def app(context: click.Context) -> None:
    """Learn backpropagation by hand, each gradient graded on its own.

    Without a command: the map of the lessons, and where you stand.
    """
    if context.invoked_subcommand is None:
        from grader.cli.overview import overview

        click.echo(overview())


for command in (*learn.COMMANDS, *course.COMMANDS, author.author):
    app.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run `dojo` and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console of code page 1252 has no tick
    sys.path[:] = import_path()
    os.environ.update(ONE_THREAD)
    try:
        code = app.main(arguments, prog_name="dojo", standalone_mode=False)
    except DojoError as error:
        code = _complain(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        code = 0
    except click.ClickException as error:
        code = _complain(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> int:
    learn.say(" ".join(message.split("\n")))
    return 2
