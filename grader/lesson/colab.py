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

_GITHUB = re.compile(r"(?:https?://(?:www\.)?github\.com/|git@github\.com:)([\w.-]+/[\w.-]+?)(?:\.git)?/?")
_SHORT = re.compile(r"[\w.-]+/[\w.-]+")

_SETUP = """\
# %% tags=["colab"]
import sys

if "google.colab" in sys.modules:  # Colab brings torch; elsewhere nothing is installed here
    light = "{light}"
    # %pip install -q {{light}}
    # %pip install -q --no-deps {package}
try:
    from grader import cmp
except ImportError as problem:  # not installed, or another package has this name
    raise SystemExit(f"Backprop Dojo is not here ({{problem}}). Run: pip install {package}") from None
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

    What the dojo needs is installed with all that it needs itself, and the dojo with --no-deps: pip would otherwise see
    to what torch asks for, gigabytes of it. Until there is a release, the repository is what is installed.
    """
    names = {re.split(r"[^\w.-]", line)[0].lower().replace("-", "_") for line in _project()["dependencies"]}
    found = repository()
    package = PACKAGE if found is None else f"git+https://github.com/{found}"
    return _SETUP.format(light=" ".join(sorted(names - KEPT)), package=package)


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
