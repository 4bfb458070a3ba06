"""A map of where a gradient is off, as a small SVG. It is drawn from numbers alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from grader.report.records import Details

LEVELS = 8
"""Shades of a cell, of equal steps from nothing off to the largest error."""

_INFINITE = 1e300
"""Errors above this stand for nan or infinity."""


@dataclass(frozen=True)
class HeatMap:
    """The picture, what it says in words, and the end of its scale."""

    svg: Markup
    words: str
    largest: str
    infinite: bool


def heat_map(details: Details) -> HeatMap | None:
    """|yours - true| as shaded cells; None where no cell is off, or there was nothing to compare.

    The words say what the shades show, and stand beside the picture for those who do not see it.
    """
    cells = details.heatmap
    if not any(value != 0 for row in cells for value in row):
        return None
    finite = [value for row in cells for value in row if _is_finite(value)]
    largest = max(finite, default=0.0)
    levels = [[_level(value, largest) for value in row] for row in cells]
    words = _words(details, levels, largest)
    return HeatMap(_svg(levels), words, f"{largest:.2g}", any(level > LEVELS for row in levels for level in row))


def _is_finite(value: float) -> bool:
    return math.isfinite(value) and value < _INFINITE


def _level(value: float, largest: float) -> int:
    """0 for no error, 1 to `LEVELS` for its share of the largest, one more for nan and infinity."""
    if not _is_finite(value):
        return LEVELS + 1
    return math.ceil(value / largest * LEVELS) if value > 0 else 0


def _words(details: Details, levels: list[list[int]], largest: float) -> str:
    rows, columns = len(levels), len(levels[0])
    off = [(r, c) for r, row in enumerate(levels) for c, level in enumerate(row) if level]
    infinite = sum(levels[r][c] > LEVELS for r, c in off)
    pooled = "" if rows * columns == math.prod(details.shape) else ", each the largest of several elements"
    where = "all" if len(off) == rows * columns else f"{len(off)} of"
    said = f"|yours − true| in {rows} × {columns} cells{pooled}: {where} {rows * columns} are off"
    if infinite:
        said += f", {infinite} of them nan or infinite"
    if infinite < len(off):
        said += f", by at most {largest:.2g}"
    for axis, word, count in ((0, "row", rows), (1, "column", columns)):
        hit = sorted({place[axis] for place in off})
        if len(hit) == 1 and count > 1:
            said += f"; only {word} {hit[0] + 1}"
    return said + "."


def _svg(levels: list[list[int]]) -> Markup:
    """One path a shade, neighbours of a row in one piece: a page holds 26 of these."""
    rows, columns = len(levels), len(levels[0])
    width = columns * min(24, max(8, 480 // columns))
    height = rows * min(24, max(10, 120 // rows))
    paths = []
    for level in range(1, LEVELS + 1):
        runs = _runs(levels, level)
        if runs:
            path = "".join(f"M{start} {row}h{end - start}v1h-{end - start}z" for row, start, end in runs)
            paths.append(f'<path class="l{level}" d="{path}"/>')
    crosses = [(row, column) for row, start, end in _runs(levels, LEVELS + 1) for column in range(start, end)]
    if crosses:
        path = "".join(f"M{column} {row}l1 1M{column + 1} {row}l-1 1" for row, column in crosses)
        paths.append(f'<path class="inf" d="{path}"/>')
    return Markup(
        '<svg class="heat" role="img" aria-label="Heat map of what is off, told in words beside it" '
        f'viewBox="0 0 {columns} {rows}" '
        f'width="{width}" height="{height}" preserveAspectRatio="none">{"".join(paths)}</svg>'
    )


def _runs(levels: list[list[int]], level: int) -> list[tuple[int, int, int]]:
    """Row, start and end of each run of cells of one level."""
    runs = []
    for number, row in enumerate(levels):
        start = None
        for column, found in enumerate([*row, -1]):
            if found == level and start is None:
                start = column
            elif found != level and start is not None:
                runs.append((number, start, column))
                start = None
    return runs
