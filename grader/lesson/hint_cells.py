"""Where hints stand: at the end of a script, out of sight; in a notebook, folded, above the answer they are for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from nbformat import NotebookNode

_FOLDED = re.compile(r"\A\s*<details>\s*<summary>(?P<names>[^<]+): hint \d+</summary>")

Item = TypeVar("Item")


def fold(text: str, names: str, level: int) -> str:
    """A hint as learners get it. Its summary says which answer it belongs to, wherever the cell stands."""
    return f"<details>\n<summary>{names}: hint {level}</summary>\n\n{text}\n\n</details>"


def hint_for(text: str) -> list[str]:
    """The names of the answers that a folded hint is for; empty for any other text."""
    found = _FOLDED.match(text)
    return found["names"].split(", ") if found else []


def hints_last(items: Iterable[Item], text: Callable[[Item], str]) -> list[Item]:
    """`items`, each a cell with this `text`, with hints moved to the end and all else in its order."""
    kept: list[Item] = []
    hints: list[Item] = []
    for item in items:
        (hints if hint_for(text(item)) else kept).append(item)
    return [*kept, *hints]


def hints_above_answers(cells: Sequence[NotebookNode]) -> list[NotebookNode]:
    """The cells of a notebook with each hint above the first cell that assigns what it is for.

    Where no cell does, as in a notebook whose learner deleted the stub, the hint stays at the end.
    """
    ordered = hints_last(cells, lambda cell: str(cell.source))
    kept = [cell for cell in ordered if not hint_for(cell.source)]
    above: dict[int, list[NotebookNode]] = {}
    for cell in ordered[len(kept) :]:
        above.setdefault(_answer(kept, hint_for(cell.source)), []).append(cell)
    placed: list[NotebookNode] = []
    for index, cell in enumerate(kept):
        placed += [*above.get(index, ()), cell]
    return placed + above.get(len(kept), [])


def _answer(cells: Sequence[NotebookNode], names: Sequence[str]) -> int:
    """The position of the cell that answers `names`: one that is tagged so before any other."""
    binds = re.compile(rf"^\s*(?:{'|'.join(map(re.escape, names))})\b[^=\n]*=(?!=)|^(?:def|class) {names[0]}\b", re.M)
    found = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and binds.search(cell.source)]
    tagged = [i for i in found if {"backward", "training"} & set(cells[i].metadata.get("tags", ()))]
    return next(iter(tagged or found), len(cells))
