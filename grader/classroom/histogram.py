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
    in_parts = any(score != int(score) for score in (*scores, most))
    names = [_range(number * each, each, most, in_parts) for number in range(len(bars))]
    words = ", ".join(f"{name}: {count}" for name, count in zip(names, bars, strict=True) if count)
    return _svg(bars, names), words


def _range(first: int, each: int, most: Points, in_parts: bool) -> str:
    """The scores of a bar; where there are parts of points, 7.5 lies in "7 to under 8"."""
    if in_parts and first + each <= most:
        return f"{first} to under {first + each}"
    last = most if in_parts else min(first + each - 1, int(most))
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
