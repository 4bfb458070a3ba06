"""`grade()`: the saved notebook through the real judge, with the report below the cell."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from grader.base.errors import DojoError
from grader.notebook import screen

_HEIGHT = 560


def grade_saved(file: str | Path | None, namespace: Mapping[str, Any]) -> None:
    """Grade `file`, by default the notebook that is running, as it was saved last, and show the report."""
    from grader.judging.grade import grade_parts, settings
    from grader.reading.submission import find_parts
    from grader.showing.html import render_html
    from grader.showing.terminal import console_for, draw_report
    from grader.syntax.source import read_source

    try:
        path = Path(file) if file is not None else _own_file(namespace)
        report = grade_parts(find_parts(read_source(path)), settings())
    except DojoError as problem:
        print(problem)
        return
    text = io.StringIO()
    draw_report(report, console_for(text))
    saved = time.strftime("%H:%M:%S", time.localtime(path.stat().st_mtime))
    plain = f"{path.name} as it was saved at {saved}; save it again to have later changes graded.\n\n{text.getvalue()}"
    if not screen.in_notebook():
        print(plain)
        return
    page = escape(render_html(report))
    screen.show(
        plain,
        html=f"<div>{escape(plain.partition(chr(10))[0])}</div>"
        f'<iframe title="Report" sandbox="" style="width:100%;height:{_HEIGHT}px;border:1px solid currentColor" '
        f'srcdoc="{page}"></iframe>',
    )


def _own_file(namespace: Mapping[str, Any]) -> Path:
    """The file of the notebook that runs: Jupyter and VS Code say which, each in its own way."""
    for said in (os.environ.get("JPY_SESSION_NAME"), namespace.get("__vsc_ipynb_file__"), namespace.get("__file__")):
        if said and Path(said).suffix in {".ipynb", ".py"} and Path(said).is_file():
            return Path(said)
    raise DojoError('this notebook does not say which file it is; name it: grade("ex1_atoms.ipynb")')
