"""A small heat map of a matrix as inline SVG: sign and size are readable without colour."""

from __future__ import annotations

from html import escape

import torch
from torch import Tensor

MAX_ROWS, MAX_COLUMNS = 32, 64
"""Larger tensors are pooled: a cell then shows the largest of the elements that it stands for."""

_SHADES = (0.25, 0.5, 0.75, 1.0)
_PLUS = "var(--dojo-plus, #2f81f7)"
_MINUS = "var(--dojo-minus, #d97706)"
_WIDTH = 240


def heat_map(value: Tensor, what: str, largest: float | None = None) -> str:
    """`value` (2-D) as an `<svg>`. A full cell is positive, a small one negative; the stronger the larger.

    `largest` is what the strongest shade stands for, by default the largest finite element.
    """
    cells = _pooled(value)
    finite = cells[torch.isfinite(cells)].abs()
    if largest is None:
        largest = float(finite.max()) if finite.numel() else 0.0
    rows, columns = cells.shape
    words = escape(f"{what}: {_in_words(value)}")
    height = max(12, min(160, round(_WIDTH * rows / columns)))
    return (
        f'<svg role="img" aria-label="{words}" viewBox="0 0 {columns} {rows}" width="{_WIDTH}" height="{height}" '
        'preserveAspectRatio="none" style="max-width:100%;border:1px solid currentColor;display:block">'
        f"<title>{words}</title>{''.join(_paths(cells, largest))}</svg>"
    )


def _pooled(value: Tensor) -> Tensor:
    """At most MAX_ROWS by MAX_COLUMNS cells, each the element of a block that is farthest from zero."""
    rows, columns = min(MAX_ROWS, value.shape[0]), min(MAX_COLUMNS, value.shape[1])
    if (rows, columns) == tuple(value.shape):
        return value
    known = value.nan_to_num(torch.inf, torch.inf, -torch.inf)
    pool = torch.nn.functional.adaptive_max_pool2d
    up, down = (pool((sign * known)[None], (rows, columns))[0] for sign in (1, -1))
    return torch.where(up >= down, up, -down)


def _paths(cells: Tensor, largest: float) -> list[str]:
    """One path for each sign and shade; cells that are nan or infinite are crossed out."""
    drawn: dict[tuple[str, float], list[str]] = {}
    crosses = []
    for y, row in enumerate(cells.tolist()):
        for x, number in enumerate(row):
            if number != number or abs(number) == float("inf"):
                crosses.append(f"M{x} {y}l1 1M{x + 1} {y}l-1 1")
            elif largest > 0 and (share := min(1.0, abs(number) / largest)) >= _SHADES[0] / 2:
                shade = _SHADES[min(int(share * len(_SHADES)), len(_SHADES) - 1)]
                cell = f"M{x} {y}h1v1h-1z" if number > 0 else f"M{x + 0.2:g} {y + 0.2:g}h.6v.6h-.6z"
                drawn.setdefault((_PLUS if number > 0 else _MINUS, shade), []).append(cell)
    paths = [
        f'<path style="fill:{colour}" fill-opacity="{shade:g}" d="{"".join(found)}"/>'
        for (colour, shade), found in drawn.items()
    ]
    if crosses:
        paths.append(f'<path fill="none" stroke="currentColor" stroke-width="0.15" d="{"".join(crosses)}"/>')
    return paths


def _in_words(value: Tensor) -> str:
    rows, columns = value.shape
    size = f"{rows} rows, {columns} columns"
    bad = int((~torch.isfinite(value)).sum())
    if bad:
        return f"{size}; {bad} elements are nan or infinite"
    flat = int(value.abs().argmax())
    extreme = float(value.flatten()[flat])
    if extreme == 0.0:
        return f"{size}; all zero"
    return f"{size}; the largest element is {extreme:.3g}, at row {flat // columns}, column {flat % columns}"
