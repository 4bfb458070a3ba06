"""How scores are distributed, as a small SVG and in words. It is drawn from numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from grader.report.records import Points

_MOST_BARS = 28
_STEP, _WIDTH, _HEIGHT = 12, 10, 90
_ABOVE, _BELOW = 34, 14
"""Pixels from bar to bar, of a bar, of the tallest one; of the numbers above and below. 27 bars fit a telephone."""


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
    tallest, width, base = max(bars), max(len(bars) * _STEP, 60), _ABOVE + _HEIGHT
    drawn = []
    for number, (count, name) in enumerate(zip(bars, names, strict=True)):
        x, middle = number * _STEP + (_STEP - _WIDTH) / 2, number * _STEP + _STEP / 2
        if count:
            height = max(1.0, count / tallest * _HEIGHT)
            drawn.append(f'<rect x="{x:g}" y="{base - height:.1f}" width="{_WIDTH}" height="{height:.1f}"/>')
            drawn.append(_count(count, middle, base - height - 3))
        if len(bars) <= 10 or number % 5 == 0:
            drawn.append(f'<text x="{middle:g}" y="{base + _BELOW - 4}">{name.split()[0]}</text>')
    return Markup(
        '<svg class="histogram" role="img" aria-label="Distribution of scores, told in words below it" '
        f'viewBox="0 0 {width} {base + _BELOW}" width="{width * 1.4:g}" height="{(base + _BELOW) * 1.4:g}">'
        f"{''.join(drawn)}</svg>"
    )


def _count(count: int, x: float, y: float) -> str:
    """The number over a bar; upright where it is wider than the bar."""
    if count < 100:
        return f'<text x="{x:g}" y="{y:.1f}">{count}</text>'
    return f'<text class="tall" transform="translate({x + 3:g} {y:.1f}) rotate(-90)">{count}</text>'
