"""Renderers: plain functions from a `Report` to text. A new format is one module and one line here."""

from __future__ import annotations

from collections.abc import Callable

from grader.render.data import render_json
from grader.report import Report


def _render_html(report: Report) -> str:
    from grader.render.html import render_html  # Jinja2: only those who ask for a page wait for it

    return render_html(report)


FORMATS: dict[str, Callable[[Report], str]] = {"json": render_json, "html": _render_html}
"""Formats that are text alone. `terminal` draws on a console instead, see `grader.render.terminal`."""

FORMAT_NAMES = ("terminal", *FORMATS)
