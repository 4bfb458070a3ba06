"""The computation graph as SVG: complete, readable, and made without torch."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import pytest

from grader import show_graph
from grader.lesson.exercise import Exercise, all_exercises, find_exercise, read_exercise
from grader.report.records import Status, Verdict
from grader.showing.graph import alt_text, graph_svg
from grader.showing.graph_layout import HEIGHT, WIDTH, Node, lay_out
from grader.showing.graph_marks import PATH_STYLES, STATES
from grader.showing.text import verdict_words

SVG = "{http://www.w3.org/2000/svg}"
HTML = "{http://www.w3.org/1999/xhtml}"
EX1 = find_exercise("makemore/ex1")
each_exercise = pytest.mark.parametrize("exercise", all_exercises(), ids=lambda e: e.short_id)


def boxes(svg: str) -> dict[str, tuple[float, float, float, float]]:
    """For each tensor left, top, right and bottom of its box."""
    found = {}
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if name := group.get("data-tensor"):
            rect = group.find(f"{SVG}rect")
            assert rect is not None
            x, y, width, height = (float(rect.get(key, "")) for key in ("x", "y", "width", "height"))
            assert name not in found
            found[name] = (x, y, x + width, y + height)
    return found


def texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@each_exercise
def test_every_tensor_has_a_box_and_no_two_overlap(exercise: Exercise) -> None:
    svg = graph_svg(exercise)
    root = ElementTree.fromstring(svg)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    assert width <= 720
    found = boxes(svg)
    parameters = set(exercise.trained) if exercise.can_train else set()
    assert set(found) >= {atom.name for atom in exercise.atoms} | parameters
    assert set(found) <= set(texts(svg))
    for (left, top, right, bottom), (left2, top2, right2, bottom2) in combinations(found.values(), 2):
        assert right < left2 or right2 < left or bottom < top2 or bottom2 < top
    for left, top, right, bottom in found.values():
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height


def test_exercise_1_has_27_boxes_with_the_shapes_that_stand_beside_its_lines() -> None:
    svg = graph_svg(EX1)
    assert len(boxes(svg)) == 27
    assert texts(svg).count("(32, 27)") == 5
    assert "(30, 64)" in texts(graph_svg(EX1, shapes={"W1": "(30, 64)"}))


def passes_through(
    start: tuple[float, float], end: tuple[float, float], box: tuple[float, float, float, float]
) -> bool:
    (x0, x1), (y0, y1) = sorted((start[0], end[0])), sorted((start[1], end[1]))
    return x1 > box[0] + 0.5 and x0 < box[2] - 0.5 and y1 > box[1] + 0.5 and y0 < box[3] - 0.5


def laid_out(exercise: Exercise) -> list[Node]:
    trained = exercise.trained if exercise.can_train else ()
    nodes = [Node(name, is_parameter=True) for name in trained]
    own = {atom.name for atom in exercise.atoms} | set(trained)
    return nodes + [Node(atom.name, tuple(set(atom.reads) & own)) for atom in exercise.atoms]


@each_exercise
def test_each_arrow_joins_its_boxes_and_crosses_none(exercise: Exercise) -> None:
    nodes = laid_out(exercise)
    layout = lay_out(nodes)
    assert len(layout.edges) == sum(len(node.reads) for node in nodes)
    places = [(node.x, node.y, node.x + WIDTH, node.y + HEIGHT) for node in nodes]
    for edge in layout.edges:
        (x0, y0), (x1, y1) = edge.points[0], edge.points[-1]
        assert edge.source.x <= x0 <= edge.source.x + WIDTH
        assert y0 in (edge.source.y + HEIGHT, edge.source.y + HEIGHT / 2)
        assert edge.target.x <= x1 <= edge.target.x + WIDTH
        assert edge.target.y <= y1 <= edge.target.y + HEIGHT
        for start, end in zip(edge.points, edge.points[1:], strict=False):
            assert start[0] == end[0] or start[1] == end[1]
            assert all(0 <= x <= layout.width and 0 <= y <= layout.height for x, y in (start, end))
            assert not any(passes_through(start, end, place) for place in places), (edge.source.name, edge.target.name)


def test_a_wide_graph_with_many_parameters_is_laid_out_too() -> None:
    weights = [Node(f"w{number}", is_parameter=True) for number in range(13)]
    sources = tuple(weight.name for weight in weights)
    atoms = [Node("a", sources), Node("b", ("a", "w0")), Node("c", ("a",)), Node("d", ("a", "b", "c", "w12"))]
    nodes = [*weights, *atoms]
    layout = lay_out(nodes)
    assert len({(node.lane, node.column) for node in nodes}) == len(nodes)
    places = [(node.x, node.y, node.x + WIDTH, node.y + HEIGHT) for node in nodes]
    for edge in layout.edges:
        for start, end in zip(edge.points, edge.points[1:], strict=False):
            assert not any(passes_through(start, end, place) for place in places)


def test_names_choose_what_is_drawn() -> None:
    svg = graph_svg(EX1, names=["hprebn", "bnmeani", "Xb", "emb"])
    assert set(boxes(svg)) == {"hprebn", "bnmeani", "Xb", "emb"}
    assert boxes(graph_svg(EX1, names=[])) == {}
    alone = boxes(graph_svg(EX1, names=["C", "W1"]))
    assert alone["C"][2] < alone["W1"][0]


def test_it_says_in_words_what_it_shows() -> None:
    states = {"probs": "wrong", "logprobs": "pass", "h": "pass"}
    svg = graph_svg(EX1, states)
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == root.get("aria-label") == "The computation graph of makemore/ex1"
    said = root.findtext(f"{SVG}desc")
    assert said == alt_text(EX1, states)
    assert "probs from counts, counts_sum_inv" in said
    assert "hprebn from embcat, W1, b1" in said
    assert "Right: h, logprobs." in said
    assert "Wrong: probs." in said


def test_a_state_shows_by_mark_and_colour() -> None:
    names = list(boxes(graph_svg(EX1)))
    states = dict(zip(names, [*STATES, "<odd>"], strict=False))
    svg = graph_svg(EX1, states)
    groups = {group.get("data-tensor"): group for group in ElementTree.fromstring(svg).iter(f"{SVG}g")}
    for name, status in states.items():
        words = "".join(groups[name].itertext())
        assert groups[name].get("data-state") == status
        assert (STATES[status].mark if status in STATES else "?") in words
        assert status not in STATES or f'stroke="{STATES[status].colour}"' in svg
    legend = "\n".join(texts(svg)[-3:])
    for state in STATES.values():
        assert f"{state.mark} {state.words} (1)" in legend
    marks = [state.mark for state in STATES.values()]
    assert len(set(marks)) == len(marks)


@pytest.mark.parametrize("status", get_args(Status))
def test_the_legend_has_the_words_of_the_verdicts(status: Status) -> None:
    assert STATES[status].words == verdict_words(Verdict("h", status))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    "colour", [*(state.colour for state in STATES.values()), *(colour for colour, _ in PATH_STYLES)]
)
def test_colours_stand_out_on_white_and_on_a_dark_page(colour: str) -> None:
    for page in ("#ffffff", "#111111"):
        dark, light = sorted((luminance(page), luminance(colour)))
        assert (light + 0.05) / (dark + 0.05) >= 3


def test_a_link_covers_its_box_and_is_a_link_for_everyone() -> None:
    svg = graph_svg(EX1, link=lambda name: "" if name == "loss" else f"#d{name}")
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "group"  # the parts of an image are hidden from screen readers
    addresses = {anchor.get("aria-label"): anchor.get("href") for anchor in root.iter(f"{HTML}a")}
    assert addresses == {name: f"#d{name}" for name in boxes(svg) if name != "loss"}
    assert not list(root.iter(f"{SVG}a"))


def test_everything_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "track" / "ex7_odd.py"
    path.parent.mkdir()
    path.write_text(
        '# %% tags=["setup"]\nparameters = [w]\nw = 1\n\n'
        '# %% tags=["forward"]\na = w < 2 and "</title><script>&"  # (<b>)\nloss = -a\n',
        encoding="utf-8",
    )
    evil = '"><script>alert(1)</script>&'
    svg = graph_svg(
        read_exercise(path, tmp_path),
        states={"a": evil},
        link=lambda name: evil,
        shapes={"w": evil},
        paths={evil: ["w", "a"]},
    )
    root = ElementTree.fromstring(svg)
    assert "<script" not in svg
    assert {anchor.get("href") for anchor in root.iter(f"{HTML}a")} == {evil}
    assert any("(<b>)" in text for text in texts(svg))
    assert "http" not in svg.replace("http://www.w3.org/", "")


def test_routes_are_numbered_on_their_arrows_and_named_below() -> None:
    paths = {"short": ["hprebn", "bndiff"], "long": ["hprebn", "bnmeani", "bndiff"]}
    svg = graph_svg(EX1, paths=paths)
    assert texts(svg).count("1") == 1
    assert texts(svg).count("2") == 2
    assert texts(svg)[-2:] == ["1 short: hprebn → bndiff", "2 long: hprebn → bnmeani → bndiff"]
    assert "short: hprebn, bndiff." in alt_text(EX1, paths=paths)


def test_the_same_graph_is_drawn_each_time() -> None:
    again = (
        "from grader.showing.graph import *; "
        "print(graph_svg(exercises_called('makemore/ex1')[0], {'h': 'pass'}), end='')"
    )
    for hashing in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", again],
            env={"PYTHONHASHSEED": hashing, "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            check=True,
        )
        assert ran.stdout.decode("utf-8") == graph_svg(EX1, {"h": "pass"})


def test_drawing_needs_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys; from grader import show_graph; show_graph('makemore/ex1'); "
        "sys.exit(bool({'torch', 'matplotlib', 'IPython'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_notebook_gets_a_picture_with_links_and_shapes_and_a_script_gets_words() -> None:
    class Tensor:
        shape = (64,)

    picture = show_graph("makemore/ex1", {"b1": Tensor(), "n": 32})
    html = picture._repr_html_()
    assert "(64,)" in texts(html)
    root = ElementTree.fromstring(html)
    assert {anchor.get("href") for anchor in root.iter(f"{HTML}a")} == {f"#d{name}" for name in EX1.graded}
    assert repr(picture) == alt_text(EX1)
