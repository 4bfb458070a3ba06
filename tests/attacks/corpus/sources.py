"""Files that are hard to read: no statement of theirs is hostile, the file itself is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.answers.build import LINES, notebook
from tests.attacks.attack import HARMLESS, STOPPED, Attack, Places

REFUSED = {"guards": STOPPED, "sandbox": (STOPPED, STOPPED, STOPPED)}
READ = {"guards": HARMLESS, "sandbox": (HARMLESS, HARMLESS, HARMLESS)}


def _file(name: str, title: str, content: Callable[[], bytes | str], suffix: str = ".py", **more: object) -> Attack:
    def make(folder: Path, places: Places) -> Path:
        path = folder / f"submission{suffix}"
        made = content()
        path.write_bytes(made if isinstance(made, bytes) else made.encode())
        return path

    if "sandbox" in more:
        more = {"guards": STOPPED, **more}
    return Attack(f"file-{name}", title, make=make, seconds=10, **{**READ, **more})  # type: ignore[arg-type]


def _cells(raw: object) -> Callable[[], str]:
    return lambda: json.dumps({"cells": raw, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


def _deep_notebook() -> str:
    return '{"cells": ' + "[" * 100_000 + "]" * 100_000 + ', "metadata": {}, "nbformat": 4, "nbformat_minor": 4}'


def _outputs() -> str:
    made = json.loads(notebook("dh = torch.zeros_like(h)", outputs=True))
    made["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["x" * 1000] * 15_000}]
    return json.dumps(made)


ATTACKS = (
    _file(
        "parentheses", "10,000 parentheses", lambda: "dh = " + "(" * 10_000 + "h" + ")" * 10_000, sandbox=(STOPPED,) * 3
    ),
    _file("unary", "100,000 minus signs", lambda: "dh = " + "-" * 100_000 + "h", sandbox=(STOPPED,) * 3),
    _file(
        "sum",
        "a sum of 50,000 terms, which parses and nests",
        lambda: "dh = " + "+".join(["h"] * 50_000),
        sandbox=(STOPPED,) * 3,
    ),
    _file("attributes", "50,000 attributes in a row", lambda: "dh = h" + ".T" * 50_000, sandbox=(STOPPED,) * 3),
    _file(
        "blocks",
        "90 loops inside each other",
        lambda: "".join(" " * i + f"for i{i} in [1]:\n" for i in range(90)) + " " * 90 + "dh = h * 0",
        sandbox=(STOPPED,) * 3,
    ),
    _file(
        "lambdas",
        "180 functions inside each other",
        lambda: "dh = " + "(lambda: " * 180 + "h * 0" + ")()" * 180,
        guards=STOPPED,
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _file(
        "long-line",
        "a line of 5 MB",
        lambda: "dh = [" + "0, " * 1_600_000 + "0]",
        guards=STOPPED,
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _file(
        "string",
        "a text of 15 MB",
        lambda: "dh = '" + "x" * 15_000_000 + "'",
        guards=STOPPED,
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _file(
        "many-lines",
        "300,000 lines that feed no gradient",
        lambda: "x = 1\n" * 300_000 + "dh = h * 0\n",
        guards=STOPPED,
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _file("bad-lines", "20,000 lines that do not parse", lambda: "= = (\n" * 20_000 + "dh = h * 0\n", **REFUSED),
    _file("too-large", "a script of 100 MB", lambda: b"#" * 100_000_000, **REFUSED),
    _file("null", "null bytes", lambda: b"dh = h * 0\0\ndW2 = h\0\n\0", sandbox=(STOPPED,) * 3),
    _file("bytes", "bytes that are no UTF-8", lambda: b"dh = h * 0 # \xff\xfe\x80\n", **REFUSED),
    _file("utf16", "UTF-16", lambda: "dh = h * 0\n".encode("utf-16"), **REFUSED),
    _file("coding", "a coding line that hides a command", lambda: "# -*- coding: rot13 -*-\nqu = u * 0\ndh = h * 0\n"),
    _file(
        "utf7",
        "a coding line for UTF-7, in which `+AAo-` ends a comment",
        lambda: "# -*- coding: utf-7 -*-\n# +AAo-dh = dlogits @ W2.T\ndh = h * 0\n",
    ),
    _file(
        "form-feed",
        "form feeds and line separators, which editors show as line ends",
        lambda: "dh = h * 0 # \x0c dh = 1 \u2028 dh = 2 \x85 dh = 3\n",
    ),
    _file("empty", "nothing at all", lambda: "", **REFUSED),
    _file(
        "binary",
        "a compiled program under the name of a script",
        lambda: b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 40,
        **REFUSED,
    ),
    _file(
        "notebook-large",
        "a notebook of 100 MB",
        lambda: b'{"cells": [' + b" " * 100_000_000 + b"]}",
        ".ipynb",
        **REFUSED,
    ),
    _file("notebook-deep", "a notebook nested 100,000 deep", _deep_notebook, ".ipynb", **REFUSED),
    _file("notebook-outputs", "a notebook with 15 MB of outputs", _outputs, ".ipynb"),
    _file(
        "notebook-number",
        "a notebook with a number of a million digits",
        lambda: '{"cells": [], "nbformat": ' + "9" * 1_000_000 + "}",
        ".ipynb",
        **REFUSED,
    ),
    _file(
        "notebook-types",
        "cells that are numbers, lists and nothing",
        _cells([1, None, [[]], {"cell_type": {"a": 1}, "source": 5, "metadata": 7}]),
        ".ipynb",
        **REFUSED,
    ),
    _file(
        "notebook-source",
        "cells whose source is no text",
        _cells([{"cell_type": "code", "source": [1, None, {"a": 2}, "dh = h * 0"], "metadata": {"tags": {"a": 1}}}]),
        ".ipynb",
        **REFUSED,
    ),
    _file(
        "notebook-attachments",
        "a notebook without cells",
        lambda: '{"nbformat": 4, "metadata": {"a": "' + "x" * 1_000_000 + '"}}',
        ".ipynb",
        **REFUSED,
    ),
    _file(
        "marker",
        "a marker that names a file as the exercise",
        lambda: "# %% [markdown]\n# <!-- dojo: ../../../../etc/passwd -->\n# %%\n" + LINES["dh"],
        exercise=None,
        **REFUSED,
    ),
    _file(
        "regex-mark",
        "a cell mark that a pattern reads slowly",
        lambda: "# %% tags=[" + '"a"' * 100_000 + "\n" + "dh = h * 0\n" + "# In [" + "1" * 100_000 + "\n",
    ),
    _file(
        "magics",
        "20,000 lines of shell and magics",
        lambda: "!curl http://127.0.0.1/\n%run x.py\n" * 10_000 + "dh = h * 0\n",
    ),
    _file(
        "aliases",
        "400 gradients that alias each other",
        lambda: (
            "".join(f"dh{i} = dh{i - 1} if {i} else h\n" for i in range(1, 400)) + "dh = dh399 if False else h * 0\n"
        ),
    ),
)
