"""The data of the language-model lessons: one long text."""

from __future__ import annotations

import random
import re
from pathlib import Path

from grader.base.errors import DojoError
from grader.base.files import read_text
from grader.lesson.data_files import chosen
from grader.lesson.names import load_names

_FEWEST_CHARACTERS = 1000  # a block, a batch and a part held out need at least so many
_NO_SYMBOL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def load_text(path: Path | str | None = None, alphabet: str | None = None) -> str:
    """A text to learn from: the names, shuffled, one a line, or the file that `--text` or DOJO_TEXT names.

    Its symbols are `sorted(set(text))`: 27 for the names, the letters and the line break. With `alphabet`, the text
    may hold no symbol outside it.

    Raises:
        DojoError: the file is missing, not UTF-8, holds fewer than 1,000 characters, a control character, or a
            symbol outside `alphabet`; the line is named.
    """
    path = chosen("text") if path is None else Path(path)
    text = _names_as_text() if path is None else read_text(path)
    where = "the list of names" if path is None else str(path)
    if len(text) < _FEWEST_CHARACTERS:
        count = f"{len(text)} characters" if text.strip() else "the file is empty"
        raise DojoError(f"{where}: {count}; a text to learn from has at least {_FEWEST_CHARACTERS:,}")
    unknown = _NO_SYMBOL if alphabet is None else re.compile(f"[^{re.escape(alphabet)}]")
    if strange := unknown.search(text):
        line = text.count("\n", 0, strange.start()) + 1
        of = "a symbol of a text" if alphabet is None else f"in the alphabet {alphabet!r}"
        raise DojoError(f"{where}:{line}: {strange[0]!r} is not {of}")
    return text


def _names_as_text() -> str:
    names = list(load_names())
    random.Random(42).shuffle(names)  # the list is sorted: its last tenth would be other names, and its order a pattern
    return "\n".join([*names, ""])
