"""Yours, true, and the difference side by side on one labelled scale: one picture for page, notebook and terminal.

It is drawn from the levels that a report carries. A full cell is above zero and a small one below, so sign and size
can be told without colour; text and lines have the colour of what surrounds them, so it is legible on dark.
"""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape

import numpy as np
from numpy.typing import NDArray

from grader.report.records import INFINITE, LEVELS, NOT_A_NUMBER, Picture

Levels = NDArray[np.int8]

_SHADES = 8
_PLUS, _MINUS, _STRANGE = (0x2F, 0x81, 0xF7), (0xD9, 0x77, 0x06), (0x80, 0x80, 0x80)
_PLUS_STENCIL, _CROSS_STENCIL = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]), np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
_PANEL, _SMALLEST, _LARGEST = 210, 4, 22
"""Width of a panel and the sides of a cell, in units of the picture."""

_LEFT, _TOP, _GAP, _BAR, _BAR_HEIGHT = 26, 30, 34, 12, 72


def _opacity(shade: int) -> float:
    """From a quarter for the faintest, which must still be seen, to one."""
    return 0.25 + 0.75 * (abs(shade) - 1) / (_SHADES - 1) if shade else 0.0


_PALETTE = [
    (_PLUS, 0),
    *((colour, round(255 * _opacity(shade))) for colour in (_PLUS, _MINUS) for shade in range(1, _SHADES + 1)),
    (_STRANGE, 255),
]
"""Colour and opacity of each pixel: nothing, above zero, below zero, not a number."""

_GLYPHS_ABOVE, _GLYPHS_BELOW = "12345678", "abcdefgh"
_BETWEEN = "   "


def levels_of(encoded: str, picture: Picture) -> Levels:
    """The levels of one panel as an array of `picture.rows` by `picture.columns`."""
    return np.frombuffer(base64.b64decode(encoded), dtype=np.int8).reshape(picture.rows, picture.columns)


def panels(picture: Picture) -> list[tuple[str, Levels]]:
    """The three panels with their captions."""
    enlarged = f" (times {picture.enlarged:,})" if picture.enlarged > 1 else ""
    captions = ("yours", "true", f"yours minus true{enlarged}")
    encoded = (picture.yours, picture.true, picture.difference)
    return [(caption, levels_of(text, picture)) for caption, text in zip(captions, encoded, strict=True)]


def as_svg(picture: Picture, name: str) -> str:
    """The picture as one `<svg>`; `name` is the gradient's, such as `dprobs`. Its words say what it shows."""
    height = min(_LARGEST, max(_SMALLEST, 150 / picture.rows)) * picture.rows
    width = min(_PANEL, _LARGEST * picture.columns)
    drawn = []
    x = float(_LEFT)
    for caption, levels in panels(picture):
        drawn.append(_panel(levels, caption, x, width, height, picture))
        x += max(width, 7 * len(caption)) + _GAP
    drawn.append(_colour_bar(x, height, picture.scale))
    words = escape(in_words(picture, name))
    tall = max(height, _BAR_HEIGHT) + _TOP + 22
    return (
        f'<svg class="error-picture" role="img" aria-label="{words}" viewBox="0 0 {x + 74:g} {tall:g}" '
        f'width="{x + 74:g}" style="max-width:100%;height:auto;display:block" fill="currentColor" '
        f'font-family="sans-serif" font-size="12"><title>{words}</title>{"".join(drawn)}</svg>'
    )


def as_text(picture: Picture, width: int) -> list[str]:
    """The picture in characters: 1 to 8 above zero, a to h below, `n` not a number, `!` infinite.

    The panels stand side by side where `width` letters hold them, else one below the other.
    """
    drawn = [_panel_as_text(caption, levels, picture, width) for caption, levels in panels(picture)]
    side_by_side = sum(max(map(len, lines)) + len(_BETWEEN) for lines in drawn) - len(_BETWEEN) <= width
    key = f"1 to {_SHADES}: above zero, a to h: below zero, {_SHADES} and h: about {picture.scale:.3g} or more"
    if any((np.abs(levels.astype(int)) > LEVELS).any() for _, levels in panels(picture)):
        key += ", n: nan, !: infinite"
    if not side_by_side:
        return [key, *(line for lines in drawn for line in ("", *lines))]
    wide = [[line.ljust(max(map(len, lines))) for line in lines] for lines in drawn]
    return [key, "", *(_BETWEEN.join(row).rstrip() for row in zip(*wide, strict=True))]


def _panel_as_text(caption: str, levels: Levels, picture: Picture, width: int) -> list[str]:
    """One panel: its caption, its rows between bars, and the numbers of its columns."""
    places = _ticks(picture.rows, picture.shape_rows)
    margin = max(map(len, places.values()))
    levels = _narrowed(levels, width - margin - 3)
    rows = [f"{places.get(y, ''):>{margin}} |{''.join(map(_glyph, row))}|" for y, row in enumerate(levels.tolist())]
    columns = levels.shape[1]
    ruler = [" "] * (columns + 2)
    for at, tick in _ticks(columns, picture.shape_columns).items():
        start = min(at, len(ruler) - len(tick))
        ruler[start : start + len(tick)] = tick
    indent = " " * (margin + 2)
    return [indent + caption, *rows, indent + "".join(ruler).rstrip()]


def _narrowed(levels: Levels, most: int) -> Levels:
    """At most so many columns, each the level farthest from zero of those that it stands for."""
    columns = levels.shape[1]
    if columns <= most:
        return levels
    groups = np.array_split(np.arange(columns), max(1, most))
    kept = [levels[:, group] for group in groups]
    found = [part[np.arange(len(part)), np.abs(part.astype(int)).argmax(axis=1)] for part in kept]
    return np.stack(found, axis=1)


def in_words(picture: Picture, name: str) -> str:
    """What the picture shows, for those who do not see it."""
    difference = levels_of(picture.difference, picture)
    off = difference != 0
    size = f"{picture.shape_rows} rows and {picture.shape_columns} columns"
    pooled = (picture.rows, picture.columns) != (picture.shape_rows, picture.shape_columns)
    said = f"{name}, {size}" + (f", drawn as {picture.rows} by {picture.columns} cells" if pooled else "")
    strange = int((np.abs(difference.astype(int)) > LEVELS).sum())
    said += f": {int(off.sum())} of {off.size} cells differ"
    if strange:
        said += f", {strange} of them are nan or infinite"
    for axis, word, true_size in ((1, "row", picture.shape_rows), (0, "column", picture.shape_columns)):
        hit = np.flatnonzero(off.any(axis=axis))
        if len(hit) == 1 and off.shape[1 - axis] > 1:
            said += f"; only {word} {int(hit[0]) * true_size // off.shape[1 - axis]}"
    return said


def _ticks(cells: int, size: int) -> dict[int, str]:
    """Cells that get a number, and the first index that each stands for: the first, one in the middle, the last."""
    chosen = {0, cells // 2, cells - 1} if cells > 4 else set(range(cells))
    return {cell: str(size - 1 if cell == cells - 1 else cell * size // cells) for cell in sorted(chosen)}


def _glyph(level: int) -> str:
    if level == NOT_A_NUMBER:
        return "n"
    if abs(level) == INFINITE:
        return "!"
    if level == 0:
        return " "
    return (_GLYPHS_ABOVE if level > 0 else _GLYPHS_BELOW)[-(-abs(level) * _SHADES // LEVELS) - 1]


def _panel(levels: Levels, caption: str, x: float, width: float, height: float, picture: Picture) -> str:
    rows, columns = levels.shape
    across, down = width / columns, height / rows
    place = f'x="{x:g}" y="{_TOP}" width="{width:g}" height="{height:g}"'
    parts = [
        f'<text x="{x:g}" y="{_TOP - 12}" font-weight="bold">{escape(caption)}</text>',
        f'<rect {place} fill="none" stroke="currentColor" stroke-width="0.7"/>',
        f'<image {place} preserveAspectRatio="none" style="image-rendering:pixelated" href="{_image(levels)}"/>',
    ]
    for cell, tick in _ticks(columns, picture.shape_columns).items():
        at = x + (cell + 0.5) * across
        parts.append(f'<text x="{at:.4g}" y="{_TOP + height + 14:g}" text-anchor="middle" font-size="10">{tick}</text>')
    for cell, tick in _ticks(rows, picture.shape_rows).items():
        at = _TOP + (cell + 0.5) * down + 3
        parts.append(f'<text x="{x - 4:g}" y="{at:.4g}" text-anchor="end" font-size="10">{tick}</text>')
    return "".join(parts)


def _image(levels: Levels) -> str:
    """The cells as a PNG of 3 by 3 pixels each, in a data address: all of it for above zero, a plus for below."""
    shades = np.sign(levels) * -(-np.abs(levels.astype(int)) * _SHADES // LEVELS)
    strange = np.abs(levels.astype(int)) > LEVELS
    colour = np.where(shades > 0, shades, _SHADES - shades)
    colour[shades == 0] = 0
    colour[strange] = 2 * _SHADES + 1
    spread = np.kron(colour, np.ones((3, 3), dtype=int))
    rows, columns = levels.shape
    plus, cross = (np.tile(stencil, (rows, columns)) for stencil in (_PLUS_STENCIL, _CROSS_STENCIL))
    spread[(spread > _SHADES) & (spread <= 2 * _SHADES) & (plus == 0)] = 0
    spread[(spread > 2 * _SHADES) & (cross == 0)] = 0
    return "data:image/png;base64," + base64.b64encode(_png(spread.astype(np.uint8))).decode("ascii")


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of palette colours (PNG specification, third edition, section 11): pixels are indices of `_PALETTE`."""
    height, width = pixels.shape
    lines = np.pad(pixels, ((0, 0), (1, 0))).tobytes()  # each line begins with its filter: none
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(channel for rgb, _ in _PALETTE for channel in rgb)),
        (b"tRNS", bytes(alpha for _, alpha in _PALETTE)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _colour_bar(x: float, height: float, scale: float) -> str:
    """The scale that all panels share, from `scale` above zero down to `scale` below."""
    step = max(height, _BAR_HEIGHT) / (2 * _SHADES + 1)
    parts = []
    for number, shade in enumerate(range(_SHADES, -_SHADES - 1, -1)):
        y = _TOP + number * step
        colour = _PLUS if shade > 0 else _MINUS
        inset = 0 if shade >= 0 else 2
        parts.append(
            f'<rect x="{x + inset:g}" y="{y + inset / 2:.4g}" width="{_BAR - 2 * inset}" height="{step - inset:.4g}" '
            f'fill="#{bytes(colour).hex()}" fill-opacity="{_opacity(shade):.3g}"/>'
        )
    ends = {0: f"{scale:.2g}", _SHADES: "0", 2 * _SHADES: f"-{scale:.2g}"}
    parts += [
        f'<text x="{x + _BAR + 4:g}" y="{_TOP + (number + 0.5) * step + 4:.4g}" font-size="10">{tick}</text>'
        for number, tick in ends.items()
    ]
    return "".join(parts)
