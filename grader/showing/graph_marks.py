"""The marks of a computation graph: boxes, arrows and links, as pieces of SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from grader.showing.graph_layout import GAP, HEIGHT, WIDTH, Edge, Node, Point

FONT = 12
LETTER = 0.61
"""The width of a letter, as a share of the font's size: monospaced fonts have 0.60 or a little more."""


@dataclass(frozen=True)
class State:
    """How a state is shown: never by colour alone."""

    mark: str
    words: str
    colour: str


STATES: Mapping[str, State] = {
    "pass": State("✓", "right", "#2da44e"),
    "wrong": State("✗", "wrong", "#e5484d"),
    "shape": State("≠", "wrong shape", "#d97706"),
    "upstream": State("↑", "upstream is wrong", "#a371f7"),
    "error": State("!", "error", "#c2410c"),
    "timeout": State("…", "out of time", "#c2410c"),
    "forbidden": State("⊘", "not accepted", "#bf4b8a"),
    "missing": State("·", "not attempted", "#8b949e"),
    "by-hand": State("✎", "by hand", "#2f81f7"),
}
"""Statuses of a verdict; `upstream`: not judged, because what it was made from is wrong; `by-hand`: an instructor gave
the points. The words are those of every view; of a single verdict `verdict_words` may say more. The colours have at
least three times the contrast of white and of Jupyter's dark background."""

_RADIUS = 5.0
"""Of an arrow's corners."""

PATH_STYLES = (("#2f81f7", ""), ("#d97706", "7 4"), ("#a371f7", "2 4"))
"""Colour and dashes of the first, second and third path."""


def state_of(status: str) -> State:
    """The mark, colour and words of a verdict's status."""
    return STATES.get(status, State("?", status, "#8b949e"))


def box(node: Node, shape: str, status: str | None, text: str | None) -> str:
    """A node as SVG, with the tensor's shape, and with the mark of its verdict where there is one."""
    state = state_of(status) if status is not None else None
    colour = f'fill="{state.colour}" fill-opacity="0.22" stroke="{state.colour}"' if state else _PLAIN
    second = " ".join(part for part in (state.mark if state else "", shape) if part)
    data = f' data-state="{escape(status)}"' if status is not None else ""
    hover = (text or node.name) + (f"\n{state.words}" if state else "")
    lines = [
        (node.name, FONT, HEIGHT / 2 + (-3 if second else 4)),
        *([(second, FONT - 1, HEIGHT - 7)] if second else []),
    ]
    return (
        f'<g data-tensor="{escape(node.name)}"{data}>'
        f"<title>{escape(hover)}</title>"
        f'<rect x="{node.x:g}" y="{node.y:g}" width="{WIDTH}" height="{HEIGHT}" '
        f'rx="{HEIGHT // 2 if node.is_parameter else 4}" stroke-width="{2 if state else 1.2:g}" {colour}/>'
        + "".join(
            f'<text x="{node.middle:g}" y="{node.y + down:g}" text-anchor="middle" '
            f'font-size="{min(size, (WIDTH - 8) / (LETTER * len(line))):.3g}">{escape(line)}</text>'
            for line, size, down in lines
        )
        + "</g>"
    )


_PLAIN = 'fill="currentColor" fill-opacity="0.06" stroke="currentColor" stroke-opacity="0.6"'


def anchor(node: Node, address: str) -> str:
    """A link over a box. It is HTML's: JupyterLab fails to show an output that holds one of SVG's own."""
    return (
        f'<foreignObject x="{node.x:g}" y="{node.y:g}" width="{WIDTH}" height="{HEIGHT}">'
        f'<a xmlns="http://www.w3.org/1999/xhtml" href="{escape(address)}" aria-label="{escape(node.name)}" '
        f'title="{escape(node.name)}" style="display:block;width:100%;height:100%"></a></foreignObject>'
    )


def arrow(edge: Edge, numbers: list[int]) -> str:
    """An edge as SVG, coloured by the path that it belongs to, and with the numbers of its paths."""
    colour, dashes = PATH_STYLES[numbers[0] % len(PATH_STYLES)] if len(numbers) == 1 else ("currentColor", "")
    width = 2.2 if numbers else 1.3
    (x0, y0), (x1, y1) = edge.points[-2:]
    along = ((x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0))
    back = (x1 - 7 * along[0], y1 - 7 * along[1])
    wings = [(back[0] + side * 3.5 * along[1], back[1] + side * 3.5 * along[0]) for side in (-1, 1)]
    head = " L".join(f"{x:g} {y:g}" for x, y in [(x1, y1), *wings])
    drawn = (
        f'<path d="{_rounded([*edge.points[:-1], back])}" fill="none" stroke="{colour}" stroke-width="{width}"'
        + (f' stroke-dasharray="{dashes}"' if dashes else "")
        + f'/><path d="M{head} Z" fill="{colour}"/>'
    )
    return drawn + "".join(_badge(edge, number, place) for place, number in enumerate(numbers))


def _badge(edge: Edge, number: int, place: int) -> str:
    """A path's number, beside its arrow: below a straight one, else on the longest piece."""
    if len(edge.points) == 2:
        (x, y), _ = edge.points
        return _disc(x + GAP / 2 - 1, y + 10 + 14 * place, number)
    (x0, y0), (x1, y1) = max(pairwise(edge.points), key=lambda ends: math.dist(*ends))
    return _disc((x0 + x1) / 2 + 14 * place, (y0 + y1) / 2, number)


def _disc(x: float, y: float, number: int) -> str:
    colour = PATH_STYLES[number % len(PATH_STYLES)][0]
    return (
        f'<circle cx="{x:g}" cy="{y:g}" r="6.5" fill="{colour}"/>'
        f'<text x="{x:g}" y="{y + 3.5:g}" text-anchor="middle" font-size="10" font-weight="bold" fill="#000">'
        f"{number + 1}</text>"
    )


def _rounded(points: Sequence[Point]) -> str:
    """A path through `points` with round corners."""
    drawn = f"M{points[0][0]:g} {points[0][1]:g}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near, far = _toward(corner, before), _toward(corner, after)
        drawn += f" L{near[0]:g} {near[1]:g} Q{corner[0]:g} {corner[1]:g} {far[0]:g} {far[1]:g}"
    return f"{drawn} L{points[-1][0]:g} {points[-1][1]:g}"


def _toward(corner: Point, other: Point) -> Point:
    length = math.dist(corner, other)
    share = min(_RADIUS, length / 2) / length if length else 0.0
    return corner[0] + share * (other[0] - corner[0]), corner[1] + share * (other[1] - corner[1])
