"""What Google Colab needs in a notebook: a badge that opens it there, and a cell that installs the dojo."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Any

from grader.base.bundle import bundled
from grader.base.errors import DojoError

PACKAGE = "backprop-dojo"
BRANCH = "main"
KEPT = frozenset({"torch", "numpy", "matplotlib"})
"""Colab's own builds of these are never touched."""

_NEEDED_BY_JUPYTEXT = "mdit_py_plugins"  # all else that jupytext needs is on Colab
_GITHUB = re.compile(r"(?:https?://(?:www\.)?github\.com/|git@github\.com:)([\w.-]+/[\w.-]+?)(?:\.git)?/?")
_SHORT = re.compile(r"[\w.-]+/[\w.-]+")

_SETUP = """\
# %% tags=["colab"]
import sys

if "google.colab" in sys.modules:  # only on Google Colab, which brings torch
    from importlib.util import find_spec

    light = "{light}".split()
    missing = " ".join(name for name in light if find_spec(name) is None)
    # %pip install -q --no-deps {package} {{missing}}
"""


def badge(exercise_id: str) -> str | None:
    """The markdown of "Open in Colab" for one notebook; None where the project has no address on GitHub.

    Raises:
        DojoError: DOJO_REPO is set, and is neither `owner/name` nor an address on GitHub.
    """
    found = repository()
    if found is None:
        return None
    address = f"https://colab.research.google.com/github/{found}/blob/{BRANCH}/notebooks/{exercise_id}.ipynb"
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"


def setup_cell() -> str:
    """The set-up cell as it stands in a script, where jupytext keeps `%pip` in a comment.

    pip gets --no-deps: it would otherwise see to what torch itself asks for, gigabytes of it.
    """
    names = {re.split(r"[^\w.-]", line)[0].lower().replace("-", "_") for line in _project()["dependencies"]}
    light = sorted((names - KEPT) | {_NEEDED_BY_JUPYTEXT})
    return _SETUP.format(light=" ".join(light), package=PACKAGE)


def repository() -> str | None:
    """`owner/name` on GitHub: DOJO_REPO where that is set, else `Repository` in pyproject.toml.

    Raises:
        DojoError: DOJO_REPO is set to something else.
    """
    wish = os.environ.get("DOJO_REPO", "").strip()
    if wish:
        if _SHORT.fullmatch(wish):
            return wish
        if found := _GITHUB.fullmatch(wish):
            return found[1]
        raise DojoError(f"DOJO_REPO={wish}: write it as owner/name")
    # An address elsewhere is a good address, but Colab opens notebooks from GitHub only.
    found = _GITHUB.fullmatch(_project().get("urls", {}).get("Repository", ""))
    return found[1] if found else None


def _project() -> dict[str, Any]:
    path = bundled("solutions").parent / "pyproject.toml"
    project: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return project
