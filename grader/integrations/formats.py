"""Renderers: plain functions from a `Report` to text. A new format is one module and one line here."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module

from grader.report.records import Report

Render = Callable[[Report], str]


def _late(module: str, function: str) -> Render:
    """A renderer whose module is loaded when it is used: only those who ask for a page wait for Jinja2."""

    def render(report: Report) -> str:
        text: str = getattr(import_module(f"grader.{module}"), function)(report)
        return text

    return render


def render_json(report: Report) -> str:
    """The documented JSON form, as text."""
    return json.dumps(report.as_data(), indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Render] = {
    "json": render_json,
    "html": _late("showing.html", "render_html"),
    "github": _late("integrations.github", "render_github"),
    "classroom50": _late("integrations.github", "render_result"),
    "gradescope": _late("integrations.gradescope", "render_gradescope"),
    "nbgrader": _late("integrations.nbgrader", "render_nbgrader"),
}
"""Formats that are text alone. `terminal` draws on a console instead, see `grader.showing.terminal`."""

FORMAT_NAMES = ("terminal", *FORMATS)
FOLDER_FORMATS = ("nbgrader",)
"""Those that write several files into `--output FOLDER`."""
