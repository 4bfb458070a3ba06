"""Text of strangers made fit to be shown."""

from __future__ import annotations

import re
import unicodedata

_MAX_TEXT = 2000
"""A line or a message longer than this is cut: one wild line must not make a report unreadable."""

_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def visible(text: str, keep: str = "\n\t") -> str:
    """`text` without a character that is not seen: controls, marks of direction and half pairs stand as escapes."""
    if len(text) > _MAX_TEXT:
        text = text[:_MAX_TEXT] + " … (cut here)"
    if text.isprintable():  # most texts are, and a report has hundreds
        return text
    return "".join(c if c in keep or not _unseen(c) else c.encode("unicode_escape").decode() for c in text)


def harmless(text: str) -> str:
    """What a worker says, before it becomes part of a message: visible, on one line, and without markup."""
    return _TAG.sub("‹", visible(text, keep=""))


def _unseen(character: str) -> bool:
    nobodys = ord(character) & 0xFFFE == 0xFFFE  # U+FFFE and its kin are no characters, and XML refuses them
    return nobodys or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def printable(name: str) -> str:
    """The name of a file without what a terminal or a page could take for more than text; what is not UTF-8 in hex."""
    return visible(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), keep="")
