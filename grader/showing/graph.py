"""The computation graph of an exercise's forward pass, as SVG: made from its atoms, without any library."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from grader.lesson.exercise import Atom, Exercise, exercises_called
from grader.showing.graph_layout import Node, lay_out
from grader.showing.graph_marks import FONT, STATES, anchor, arrow, box, state_of

LEGEND = 90
"""Letters in a line of the legend."""


def graph_svg(
    exercise: Exercise,
    states: Mapping[str, str] | None = None,
    link: Callable[[str], str] | None = None,
    names: Collection[str] | None = None,
    shapes: Mapping[str, str] | None = None,
    paths: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The graph of the forward pass as one `<svg>` element, about 720 px wide at most.

    Args:
        states: for a tensor's name its verdict's status, a key of STATES.
        link: gives the address that a click on a tensor's box leads to; empty for none.
        names: the tensors to draw; by default all of the forward pass and the parameters.
        shapes: texts such as `(32, 27)`; those beside the lines of the forward pass are known.
        paths: for a text the tensors along one way through the graph; drawn in colour and numbered.
    """
    chosen = _nodes(exercise, names)
    layout = lay_out(chosen)
    known = {**shapes_in_comments(exercise), **(shapes or {})}
    states = states or {}
    texts = {atom.name: atom.text for atom in exercise.atoms}
    ways = list((paths or {}).items())
    lines = []
    for edge in layout.edges:
        step = (edge.source.name, edge.target.name)
        lines.append(([number for number, (_, way) in enumerate(ways) if step in pairwise(way)], edge))
    # One opacity for the group: lines that share a track do not get darker there.
    parts = ['<g opacity="0.7">', *(arrow(edge, found) for found, edge in lines if not found), "</g>"]
    parts += [arrow(edge, found) for found, edge in lines if found]
    parts += [box(node, known.get(node.name, ""), states.get(node.name), texts.get(node.name)) for node in chosen]
    links = [anchor(node, address) for node in chosen if link and (address := link(node.name))]
    height = layout.height
    legend = [
        f'<tspan font-weight="bold">{number}</tspan> {escape(text)}: {escape(" → ".join(way))}'
        for number, (text, way) in enumerate(ways, start=1)
    ]
    for text in [*legend, *_state_legend([states[n.name] for n in chosen if n.name in states])]:
        parts.append(f'<text x="8" y="{height + 13:g}">{text}</text>')
        height += 20
    title = f"The computation graph of {exercise.short_id}"
    # An image has no parts for a screen reader, so one with links is a group.
    role = "group" if links else "img"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="{role}" aria-label="{escape(title)}" '
        f'viewBox="0 0 {layout.width:g} {height:g}" width="{layout.width:g}" height="{height:g}" '
        f'style="max-width:100%;height:auto" font-family="ui-monospace,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" '
        f'font-size="{FONT}" fill="currentColor">'
        f"<title>{escape(title)}</title><desc>{escape(alt_text(exercise, states, names, paths))}</desc>"
        f"{''.join(parts)}{''.join(links)}</svg>"
    )


def alt_text(
    exercise: Exercise,
    states: Mapping[str, str] | None = None,
    names: Collection[str] | None = None,
    paths: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """What the graph shows, in words."""
    chosen = _nodes(exercise, names)
    drawn = {node.name for node in chosen}
    sources = {node.name: ", ".join(name for name in node.reads if name in drawn) for node in chosen}
    made = [f"{name} from {those}" for name, those in sources.items() if those]
    said = [f"Forward pass of {len(chosen)} tensors: {'; '.join(made)}."]
    said += [f"{text}: {', '.join(way)}." for text, way in (paths or {}).items()]
    for status in dict.fromkeys((states or {}).values()):
        those = [node.name for node in chosen if (states or {}).get(node.name) == status]
        if those:
            said.append(f"{state_of(status).words.capitalize()}: {', '.join(those)}.")
    return " ".join(said)


def shapes_in_comments(exercise: Exercise) -> dict[str, str]:
    """For each tensor of the forward pass the shape that stands beside its line."""
    shapes = {}
    for cell in exercise.code_cells("forward"):
        lines = cell.text.split("\n")
        for atom in exercise.atoms:
            row = atom.line - cell.line + atom.text.count("\n")
            found = re.search(r"#\s*(\(.*\))", lines[row]) if 0 <= row < len(lines) else None
            if found:
                shapes[atom.name] = found[1]
    return shapes


@dataclass(frozen=True)
class Drawing:
    """An SVG that a notebook shows and a script does not."""

    svg: str
    words: str

    def _repr_html_(self) -> str:
        # As HTML and not as image/svg+xml, which JupyterLab puts into an <img>: no links, no theme's colours.
        return self.svg

    def __repr__(self) -> str:
        return self.words


def show_graph(
    exercise: str,
    tensors: Mapping[str, Any] | None = None,
    names: Collection[str] | None = None,
    paths: Mapping[str, Sequence[str]] | None = None,
) -> Drawing:
    """The computation graph of `"ex1"`, or `"makemore/ex1"`: in a notebook its boxes lead to their sections.

    `tensors`, such as `globals()`, gives the shapes of what is drawn; for `names` and `paths` see `graph_svg`.
    """
    called = exercises_called(exercise)
    found = max(called, key=lambda e: len((tensors or {}).keys() & set(e.forward_names)))
    sections = headings(found)
    with_shape = {name: getattr(value, "shape", None) for name, value in (tensors or {}).items()}
    shapes = {name: str(tuple(shape)) for name, shape in with_shape.items() if isinstance(shape, tuple)}
    svg = graph_svg(found, None, lambda name: f"#d{name}" if f"d{name}" in sections else "", names, shapes, paths)
    return Drawing(svg, alt_text(found, names=names, paths=paths))


def _nodes(exercise: Exercise, names: Collection[str] | None) -> list[Node]:
    """The boxes, parameters first, each with the names of the boxes that it reads."""
    home = {name: atom.name for atom in exercise.atoms for name in atom.binds}
    read = dict.fromkeys(
        name for atom in exercise.atoms for name in _as_written(atom) if name in exercise.network_names
    )
    parameters = exercise.trained or [name for name in exercise.graded if name in exercise.network_names]
    parameters = [name for name in read if name in parameters or name in (names or ())]
    nodes = [Node(name, is_parameter=True) for name in parameters]
    for atom in exercise.atoms:
        reads = dict.fromkeys(home.get(name, name) for name in _as_written(atom) if name in home or name in read)
        nodes.append(Node(atom.name, tuple(reads)))
    return [node for node in nodes if names is None or set(node.name.split(", ")) & set(names)]


def _as_written(atom: Atom) -> list[str]:
    """What the atom reads, from left to right."""
    first = {name: re.search(rf"\b{name}\b", atom.text) for name in atom.reads}
    return sorted(atom.reads, key=lambda name: found.start() if (found := first[name]) else 0)


def headings(exercise: Exercise) -> set[str]:
    """The texts of the lesson's headings: JupyterLab makes an anchor of each."""
    text = "\n".join(cell.text for cell in exercise.cells if cell.kind == "markdown")
    return set(re.findall(r"^#+ +(\S+)\s*$", text, flags=re.MULTILINE))


def _state_legend(found: list[str]) -> list[str]:
    if not found:
        return []
    order = [*STATES, *found]
    lines = [""]
    for status in sorted(set(found), key=order.index):
        entry = f"{state_of(status).mark} {state_of(status).words} ({found.count(status)})"
        if len(lines[-1]) + len(entry) > LEGEND:
            lines.append("")
        lines[-1] += f"\u2003\u2003{entry}" if lines[-1] else entry
    return [escape(line) for line in lines]
