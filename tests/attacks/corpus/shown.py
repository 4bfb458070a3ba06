"""What reaches a teacher's eyes: exceptions, names, lines and file names that carry escapes or markup."""

from __future__ import annotations

import json
from pathlib import Path

from tests.answers.build import notebook
from tests.attacks.attack import Attack, Places

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\x08\r"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>"
COMMANDS = "::error file=a::owned"
BIDI = "\u202e\u2066\u200b\u2028"


def _text(name: str, title: str, lines: str, **more: object) -> Attack:
    return Attack(f"shown-{name}", title, lines, **more)  # type: ignore[arg-type]


def _raise(text: str) -> str:
    return f"def act():\n    raise ValueError({text!r})\ndh = act()"


def _notebook(folder: Path, places: Places) -> Path:
    path = folder / "submission.ipynb"
    cells = json.loads(notebook(f"# {MARKUP}\ndh = 1 / 0  # {MARKUP}{ESCAPES}", "#md " + MARKUP + ESCAPES))
    cells["metadata"] = {"title": MARKUP, "kernelspec": {"name": ESCAPES, "display_name": MARKUP}}
    cells["cells"][0]["metadata"] = {"tags": [MARKUP, ESCAPES]}
    path.write_text(json.dumps(cells), encoding="utf-8")
    return path


ATTACKS = (
    _text("escapes", "terminal escapes in an exception", _raise(ESCAPES)),
    _text("markup", "HTML in an exception", _raise(MARKUP)),
    _text(
        "commands", "a CI's workflow commands in an exception", _raise("\n" + COMMANDS + "\n%0A::set-output name=a::b")
    ),
    _text("bidi", "characters that turn the direction of text", _raise(BIDI)),
    _text(
        "surrogates",
        "half pairs, which no encoding can write",
        "def act():\n    raise ValueError(chr(0xD800) + chr(0xDFFF))\ndh = act()",
    ),
    _text(
        "rich",
        "the markup of the library that draws the terminal",
        _raise("[bold red]owned[/] [link=http://x]y[/link]"),
    ),
    _text("jinja", "the markup of the library that makes the page", _raise("{{ 7 * 7 }} {% for x in y %} {# #}")),
    _text(
        "markdown", "Markdown in an exception", _raise("[a](javascript:alert(1)) `x` | ![](http://127.0.0.1:@PORT@/)")
    ),
    _text(
        "name-error",
        "a name that carries markup",
        "def act():\n    raise NameError(" + repr(MARKUP) + ", name=" + repr(ESCAPES + MARKUP) + ")\ndh = act()",
    ),
    _text(
        "exception-type",
        "an exception class with such a name",
        f"def act():\n    raise type({(ESCAPES + MARKUP)!r}, (Exception,), {{}})('x')\ndh = act()",
    ),
    _text("syntax-error", "a line that does not parse", f"dh = = '{MARKUP}{BIDI}\x1b[2J'"),
    _text(
        "code-line",
        "the learner's own line, which the report quotes",
        f"dh = 1 / 0  # {MARKUP} \x1b[2J {BIDI} {COMMANDS}",
    ),
    _text("long-line", "a line of 400,000 characters, which the report quotes", "dh = 1 / 0  # " + "x" * 400_000),
    _text("long-name", "a name of 100,000 characters", "dh = " + "x" * 100_000),
    _text(
        "forward-note",
        "a note on one's own forward pass",
        f"hpreact = bngain * bnraw  # {MARKUP}\x1b[2J\nloss = 1\ndh = 1 / 0",
    ),
    Attack("shown-notebook", "cells, tags and metadata of a notebook", make=_notebook),
)
