"""The command line as people call it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import grader

REPOSITORY = Path(grader.__file__).resolve().parents[1]


def environment(**more: str) -> dict[str, str]:
    """This process's environment, where a list of names or a wish about colours and bars does not leak in."""
    mine = {"DOJO_NAMES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "PYTHONWARNINGS", "TTY_COMPATIBLE"}
    mine |= {name for name in os.environ if name.startswith("TQDM_")}
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **more}


def dojo(folder: Path, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `dojo` in `folder`, with `more` in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "grader", *map(str, arguments)],
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
