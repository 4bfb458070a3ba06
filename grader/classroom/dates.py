"""Times as Moodle's worksheet writes them: in words of the site's language, and without a time zone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path

_MONTHS = [line.split() for line in Path(__file__).with_name("months.txt").read_text(encoding="utf-8").splitlines()]
"""The months of a language in each line, and its days where another language calls another month the same. Languages
that count their months need none: 2026年10月14日.
"""

TIME = re.compile(r"(下午|午後|오후)?\s*(?<!\d)(\d{1,2}):(\d\d)(?::\d\d)?(?!\d)\s*(?:([ap])\.?\s?m\b)?", re.IGNORECASE)


def moments(texts: Collection[str]) -> dict[str, datetime] | None:
    """Each of these texts as a time, all read in one language; None where one cannot be, or two languages disagree."""
    read = [found for names in _MONTHS if (found := _in_language(texts, names)) is not None]
    return read[0] if read and all(found == read[0] for found in read) else None


def _in_language(texts: Collection[str], names: list[str]) -> dict[str, datetime] | None:
    found: dict[str, datetime] = {}
    for text in texts:
        clock = TIME.search(text)
        if clock is None:
            return None
        rest = TIME.sub(" ", text)
        numbers = [int(number) for number in re.findall(r"\d+", rest)]
        year = next((number for number in numbers if number > 1000), 0)
        others = [number for number in numbers if number != year]
        if len(others) == 1 and (month := _month(rest, names)):
            others = [month, others[0]]
        elif len(others) == 2 and numbers[0] != year and not _month_first(texts):
            others.reverse()
        hour = int(clock[2])
        if (clock[4] or clock[1]) is not None:
            hour = hour % 12 + 12 * ((clock[4] or "p") in "pP")
        try:
            month, day = others
            found[text] = datetime(year, month, day, hour, int(clock[3]))
        except ValueError:
            return None
        if names[12:] and names[12 + found[text].weekday()] not in _words(rest):
            return None
    return found


def _month_first(texts: Iterable[str]) -> bool:
    """True where some date in numbers, such as 10/14/2026, has a second number that is no month."""
    dates = (re.findall(r"\d+", TIME.sub(" ", text)) for text in texts)
    return any(len(date) == 3 and len(date[2]) == 4 and int(date[1]) > 12 for date in dates)


def _month(text: str, names: list[str]) -> int:
    """The month that one word of the text names, whole or shortened to three letters or more; 0 where none does."""
    words = _words(text)
    spelled = [(number, name) for number, forms in enumerate(names[:12], start=1) for name in forms.split("/")]
    same = {number for number, name in spelled if name in words}
    alike = same or {number for number, name in spelled if any(name.startswith(word) for word in words)}
    return alike.pop() if len(alike) == 1 else 0


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]{3,}", unicodedata.normalize("NFC", text).casefold())
