"""The progress bar of a loop: one that the front end draws in a notebook, tqdm's own line in a terminal.

tqdm's bar for notebooks needs ipywidgets and warns where it is not there; its line for terminals goes to stderr, which
notebooks paint red.
"""

from __future__ import annotations

from html import escape
from io import StringIO
from typing import Any

from tqdm import tqdm as line

from grader.notebook import screen

_FORMAT = "{desc}{percentage:3.0f}% {n_fmt} of {total_fmt}, {elapsed} so far, {remaining} to go, {rate_fmt}{postfix}"


class Drawn(line):  # type: ignore[misc]  # tqdm comes without types
    """tqdm, whose line is one output of the cell, which changes in place."""

    def __init__(self, *given: Any, **options: Any) -> None:
        self.handle: Any = None
        super().__init__(*given, **{"file": StringIO(), **options})

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:  # noqa: ARG002  # tqdm's own
        """Called by tqdm whenever there is something new to show; with an empty text to take it away."""
        shown = self.format_dict
        shown["prefix"] = f"{shown['prefix'].rstrip(': ')}: " if shown["prefix"] else ""
        text = self.format_meter(**{**shown, "bar_format": _FORMAT if shown["total"] else None})
        done = f'value="{shown["n"]}" max="{shown["total"]}"' if shown["total"] else ""
        bar = f'<progress aria-label="progress of the loop" {done} style="width:16em;vertical-align:middle"></progress>'
        html = "" if msg == "" else f'<div class="dojo-bar">{bar} <span>{escape(text)}</span></div>'
        if self.handle is None:
            self.handle = screen.show(text, updatable=True, html=html)
        else:
            screen.update(self.handle, text, html=html)
        return True


def tqdm(*given: Any, **options: Any) -> Any:
    """tqdm's own bar, `for step in tqdm(range(1000))`, with all its options, drawn where this runs."""
    return (Drawn if screen.in_notebook() else line)(*given, **options)
