"""Where the nodes and arrows of a computation graph stand: layers from left to right, wrapped like text.

A row of atoms has the parameters that it reads above it. An arrow between neighbours is straight. All others
leave a box at its bottom, run in the channel below its row, and reach their target from below, from above, or
through the gap at its left: so no line crosses a box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

WIDTH, HEIGHT = 116, 38
"""Of a box: `counts_sum_inv`, 14 letters of 7.3 px, fits with room at both sides."""
COLUMNS = 5
GAP = 28
LEFT, RIGHT, TOP = 24, 4, 4
PORT = 22
"""How far from the middle of a box a line that is not straight meets it."""
TRACK = 8

Point = tuple[float, float]


@dataclass
class Node:
    """A box. `reads` are the names of boxes that point to it; parameters read nothing and stand above atoms."""

    name: str
    reads: tuple[str, ...] = ()
    is_parameter: bool = False
    column: int = 0
    lane: int = 0
    y: float = 0.0

    @property
    def x(self) -> float:
        """Its left edge, in pixels."""
        return LEFT + self.column * (WIDTH + GAP)

    @property
    def middle(self) -> float:
        """The x of its middle, in pixels."""
        return self.x + WIDTH / 2


@dataclass
class Edge:
    """An arrow, as the corners of its line from `source` to `target`."""

    source: Node
    target: Node
    points: list[Point] = field(default_factory=list)


@dataclass
class Layout:
    """Where the boxes and arrows of a graph lie, and how large it is, in pixels."""

    edges: list[Edge]
    width: float
    height: float


def lay_out(nodes: Sequence[Node]) -> Layout:
    """Place `nodes`, given in the order of the forward pass, and route an arrow for each of their `reads`."""
    known = {node.name: node for node in nodes}
    edges = [Edge(known[name], node) for node in nodes for name in node.reads if name in known]
    read = {edge.source.name for edge in edges}
    atoms = _by_layer([node for node in nodes if not (node.is_parameter and node.name in read)])
    lanes = 0
    for row in _rows(atoms):
        lanes = _place_row(row, [node for node in nodes if node.is_parameter], edges, lanes)
    height = _route(nodes, edges, lanes)
    columns = max((node.column for node in nodes), default=0) + 1
    return Layout(edges, LEFT + columns * (WIDTH + GAP) - GAP + RIGHT, height)


def _by_layer(atoms: list[Node]) -> list[Node]:
    """An atom's layer is one more than that of the latest atom that it reads."""
    layer: dict[str, int] = {}
    for atom in atoms:
        layer[atom.name] = 1 + max((layer[name] for name in atom.reads if name in layer), default=0)
    return sorted(atoms, key=lambda atom: layer[atom.name])


def _rows(atoms: list[Node]) -> list[list[Node]]:
    """As few rows as possible, broken where few arrows are cut, then of lengths as equal as possible."""
    place = {atom.name: index for index, atom in enumerate(atoms)}
    cut = [0] * (len(atoms) + 1)
    for atom in atoms:
        for name in atom.reads:
            for index in range(place.get(name, place[atom.name]) + 1, place[atom.name] + 1):
                cut[index] += 1
    best: list[tuple[int, int, int, list[int]]] = [(0, 0, 0, [])]
    for end in range(1, len(atoms) + 1):
        choices = []
        for start in range(max(0, end - COLUMNS), end):
            rows, cuts, squares, starts = best[start]
            choices.append((rows + 1, cuts + cut[start], squares + (end - start) ** 2, [*starts, start]))
        best.append(min(choices))
    starts = best[-1][3]
    return [atoms[start:end] for start, end in pairwise([*starts, len(atoms)])]


def _place_row(row: list[Node], parameters: list[Node], edges: list[Edge], lane: int) -> int:
    """Give the row's atoms, and the parameters that are read here first, their cells; returns the next lane."""
    for column, atom in enumerate(row):
        atom.column = column
    names = {atom.name for atom in row}
    here: list[Node] = []
    taken: dict[int, set[int]] = defaultdict(set)
    for edge in edges:
        parameter = edge.source
        if edge.target.name not in names or parameter not in parameters or parameter.lane or parameter in here:
            continue
        wanted = edge.target.column
        above = next(above for above in range(1, len(parameters) + 1) if len(taken[above]) < COLUMNS)
        free = [column for column in range(COLUMNS) if column not in taken[above]]
        parameter.column = min(free, key=lambda column: (abs(column - wanted), column < wanted))
        parameter.lane = -above
        taken[above].add(parameter.column)
        here.append(parameter)
    # Lanes count from 1, downwards: 0 says of a parameter that no earlier row has placed it.
    for atom in row:
        atom.lane = lane + len(taken) + 1
    for parameter in here:
        parameter.lane += lane + len(taken) + 1
    return lane + len(taken) + 1


def _route(nodes: Sequence[Node], edges: list[Edge], lanes: int) -> float:
    """Find each arrow's corners and each lane's height; returns the height of all."""
    ports: dict[tuple[str, str], int] = defaultdict(int)
    spans: dict[int, dict[str, tuple[float, float]]] = defaultdict(dict)  # channel -> source -> from x to x
    drops: dict[int, dict[str, tuple[float, float]]] = defaultdict(dict)  # gap -> source -> from lane to lane
    ways: list[tuple[Edge, str, float, float]] = []
    for edge in edges:
        source, target = edge.source, edge.target
        way = _way(source, target)
        leave = source.middle if source.is_parameter else source.middle + PORT
        arrive = source.middle
        if way in ("below", "above"):
            side = -1.0 if way == "below" or source.middle < target.middle else 1.0
            arrive = target.middle + side * (PORT + 10 * ports[target.name, f"{way}{side}"])
            ports[target.name, f"{way}{side}"] += 1
        if way == "gap":
            _widen(drops[target.column], source.name, source.lane, target.lane)
            arrive = target.x - GAP / 2
        if way in ("below", "above", "gap"):
            _widen(spans[source.lane], source.name, min(leave, arrive), max(leave, arrive))
        ways.append((edge, way, leave, arrive))
    tracks = {channel: _tracks(found, 6.0) for channel, found in spans.items()}
    columns = {gap: _tracks(found, -0.5) for gap, found in drops.items()}
    bottoms = _heights(nodes, lanes, {channel: max(found.values()) + 1 for channel, found in tracks.items()})
    for edge, way, leave, arrive in ways:
        source, target = edge.source, edge.target
        if way == "straight":
            y = source.y + HEIGHT / 2
            edge.points = [(source.x + WIDTH, y), (target.x, y)]
        elif way == "down":
            edge.points = [(source.middle, source.y + HEIGHT), (source.middle, target.y)]
        else:
            channel = bottoms[source.lane] + 11 + TRACK * tracks[source.lane][source.name]
            edge.points = [(leave, source.y + HEIGHT), (leave, channel)]
            if way == "gap":
                x = target.x - 12 - 6 * min(columns[target.column][source.name], 2)
                y = target.y + HEIGHT / 4
                edge.points += [(x, channel), (x, y), (target.x, y)]
            else:
                edge.points += [(arrive, channel), (arrive, target.y + (HEIGHT if way == "below" else 0))]
    return max(bottoms.values(), default=0) + 10


def _way(source: Node, target: Node) -> str:
    if source.lane == target.lane:
        return "straight" if target.column == source.column + 1 else "below"
    if source.is_parameter and target.lane == source.lane + 1:
        return "down" if source.column == target.column else "above"
    return "gap"


def _widen(found: dict[str, tuple[float, float]], name: str, low: float, high: float) -> None:
    """Lines from one source share their track: they fork like branches of one tree."""
    before = found.get(name, (low, high))
    found[name] = (min(low, before[0]), max(high, before[1]))


def _tracks(found: dict[str, tuple[float, float]], room: float) -> dict[str, int]:
    """A track for each interval, so that no two on the same track come closer than `room`."""
    ends: list[float] = []
    tracks: dict[str, int] = {}
    for name, (low, high) in sorted(found.items(), key=lambda item: (item[1], item[0])):
        track = next((index for index, end in enumerate(ends) if end + room < low), len(ends))
        ends[track:] = [high, *ends[track + 1 :]]
        tracks[name] = track
    return tracks


def _heights(nodes: Sequence[Node], lanes: int, tracks: dict[int, int]) -> dict[int, float]:
    """Set each node's y; returns where each lane's boxes end."""
    bottoms: dict[int, float] = {}
    y = float(TOP)
    for lane in range(1, lanes + 1):
        for node in nodes:
            if node.lane == lane:
                node.y = y
        bottoms[lane] = y + HEIGHT
        y += HEIGHT + 24 + TRACK * max(0, tracks.get(lane, 0) - 1)
    return {**bottoms, lanes + 1: y - 12 if tracks.get(lanes) else y - 24}
