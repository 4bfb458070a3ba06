"""Python processes of our own: what they import, and what of this process's environment they see.

The current folder may hold strangers' files, so nothing is imported from it: there a `json.py` would run with the
rights of the grader.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_INSTALLED = ("site-packages", "dist-packages")
_FILES = ("DOJO_NAMES", "DOJO_DATA", "DOJO_TEXT")
_KEPT = (*_FILES, "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
_THREADS = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"
_LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
BEFORE_TORCH = dict.fromkeys((*_THREADS, _LARGE_PAGES), "1")
"""Set before numpy and torch load. Where no thread may be started, OpenBLAS would wait for its own for ever. In large
pages a tensor of 300 MB, as a sum over all contributions to a gradient makes, is there in a quarter of the time."""


def import_path() -> list[str]:
    """`sys.path` without the current folder: the standard library, this package, and what is installed."""
    here, standard = Path.cwd(), Path(os.__file__).resolve().parent
    found = [Path(entry).absolute() for entry in sys.path if entry]
    ours = [path for path in found if path.resolve() != _ROOT and (path.resolve() != here or path.name in _INSTALLED)]
    library = [path for path in ours if path.resolve() in (standard, standard / "lib-dynload")]
    return list(dict.fromkeys(map(str, [*library, _ROOT, *ours])))


def python_command(code: str, *arguments: str) -> list[str]:
    """The command that runs `code` in a Python of its own, which reads no variable PYTHON... of the environment."""
    return [sys.executable, "-I", "-c", f"import sys; sys.path[:] = {import_path()!r}; {code}", *arguments]


def bare_environment() -> dict[str, str]:
    """What of this process's environment another may know: no token, no address, no name of anybody."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    for name in _FILES:
        if name in kept:
            kept[name] = str(Path(kept[name]).absolute())
    return kept | BEFORE_TORCH
