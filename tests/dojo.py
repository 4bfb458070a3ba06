"""The command line as people call it: in a process of its own, and in this one."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import grader
from grader.cli.main import main

REPOSITORY = Path(grader.__file__).resolve().parents[1]
HALF_WRITTEN = shutil.ignore_patterns("*.pyc.*")
"""For copies of grader/, which take its bytecode along: what another process is about to write there."""


def environment(**more: str) -> dict[str, str]:
    """This process's environment, where a list of names or a wish about colours and bars does not leak in."""
    mine = {"DOJO_NAMES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "PYTHONWARNINGS", "TTY_COMPATIBLE"}
    mine |= {name for name in os.environ if name.startswith("TQDM_")}
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **more}


def dojo(folder: Path, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `dojo` in `folder`, in a process of its own with `more` in its environment, which has torch loaded.

    So have those that it starts. Where `more` says how Python is to start, it starts anew.
    """
    if any(name.startswith("PYTHON") for name in more):
        return dojo_started(folder, *arguments, **more)
    import warm  # beside this file, and not there for docs.pictures, which reads it from elsewhere

    return warm.run(["-m", "grader", *arguments], folder, environment(**more), wholly=True)


def dojo_started(folder: Path, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The same in a process that starts from nothing, as people's do."""
    return subprocess.run(
        [sys.executable, "-m", "grader", *map(str, arguments)],
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def dojo_here(folder: Path, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, which has loaded all that it needs: for what is done, not for how it is started."""
    out, error, code = io.StringIO(), io.StringIO(), 0
    own = mock.patch.object(sys, "path", [*sys.path]), mock.patch.dict(os.environ, environment(**more), clear=True)
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(error)
    with own[0], own[1], streams[0], streams[1], contextlib.chdir(folder):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), error.getvalue())
