"""How scores are distributed, as a small SVG and in words. It is drawn from numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from grader.report import Points

_MOST_BARS = 40
_STEP, _WIDTH, _HEIGHT, _ROOM = 18, 15, 90, 16
"""Pixels from bar to bar, of a bar, of the tallest one, and of the numbers above and below."""


def histogram(scores: Mapping[Points, int], most: Points) -> tuple[Markup, str]:
    """A bar for each score from 0 to `most` (for a range of scores where there are many), and the same in words."""
    each = max(1, math.ceil((most + 1) / _MOST_BARS))
    bars = [0] * (int(most) // each + 1)
    for score, count in scores.items():
        bars[min(int(score) // each, len(bars) - 1)] += count
    words = ", ".join(f"{_range(number, each, most)}: {count}" for number, count in enumerate(bars) if count)
    return _svg(bars, [_range(number, each, most) for number in range(len(bars))]), words


def _range(number: int, each: int, most: Points) -> str:
    first, last = number * each, min(number * each + each - 1, int(most))
    return str(first) if first == last else f"{first} to {last}"


def _svg(bars: Sequence[int], names: Sequence[str]) -> Markup:
    tallest, width = max(bars), max(len(bars) * _STEP, 60)
    drawn = []
    for number, (count, name) in enumerate(zip(bars, names, strict=True)):
        height = max(1.0, count / tallest * _HEIGHT) if count else 0.0
        x, middle = number * _STEP + (_STEP - _WIDTH) / 2, number * _STEP + _STEP / 2
        if count:
            drawn.append(f'<rect x="{x:g}" y="{_ROOM + _HEIGHT - height:.1f}" width="{_WIDTH}" height="{height:.1f}"/>')
            size = 9 if count < 1000 else 7
            drawn.append(
                f'<text x="{middle:g}" y="{_ROOM + _HEIGHT - height - 3:.1f}" font-size="{size}">{count}</text>'
            )
        if len(bars) <= 10 or number % 5 == 0 or number == len(bars) - 1:
            drawn.append(f'<text x="{middle:g}" y="{_HEIGHT + 2 * _ROOM - 4}" font-size="9">{name.split()[0]}</text>')
    height = _HEIGHT + 2 * _ROOM
    return Markup(
        f'<svg class="histogram" role="img" aria-label="Distribution of scores, told in words below it" '
        f'viewBox="0 0 {width} {height}" width="{width * 1.2:g}" height="{height * 1.2:g}">{"".join(drawn)}</svg>'
    )
