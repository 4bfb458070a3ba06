"""What every HTML page of ours has in common: how it is made, and that what it shows is seen as it is."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_MAX_TEXT = 2000
"""A line or a message longer than this is cut: one wild line must not make the page unreadable."""


def visible(text: str, keep: str = "\n\t") -> str:
    """`text` without a character that is not seen: controls, marks of direction and half pairs stand as escapes."""
    if len(text) > _MAX_TEXT:
        text = text[:_MAX_TEXT] + " … (cut here)"
    return "".join(c if c in keep or not _unseen(c) else c.encode("unicode_escape").decode() for c in text)


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _finalized(value: Any) -> Any:
    """What every expression of the template goes through before it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def environment() -> Environment:
    """Templates in which every expression is made visible, then escaped."""
    return Environment(
        loader=PackageLoader("grader.render"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def pieces(message: str) -> list[tuple[str, bool]]:
    """``a `b` c`` as `[("a ", False), ("b", True), (" c", False)]`."""
    pieces = re.split(r"`([^`\n]+)`", message)
    return [(piece, index % 2 == 1) for index, piece in enumerate(pieces) if piece]
