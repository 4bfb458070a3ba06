"""The figures in the lessons' texts are those that a learner gets: each marked one is computed again.

A figure is marked in the solution by a comment behind it, such as `1.65<!-- = y -->`: the expression is evaluated in
the lesson's own names after its solution ran. What is derived for learners has no such marks. `<!-- slow = ... -->`
marks a figure that takes long, and figures of a lesson that trains are slow as a whole. Three more names are known:
`mean(numbers)`; `seeds("x")`, what x is with each of the seeds 0 to 5; and `losses_with(old, new, max_steps=9)`, the
losses of the lesson's loop with other text and other parameters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from grader.lesson.derive import exercise_text
from grader.lesson.exercise import read_exercise
from grader.syntax.source import percent_cells

SOLUTIONS = Path(__file__).resolve().parents[1] / "solutions"
FIGURE = re.compile(r"([-\u2212]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)(?:\s*%|\$)?<!-- (slow )?= (.+?) -->")
MARK = re.compile(r"<!-- (?:slow )?= ")
_NUMBER = r"-?\d(?:,?\d)*(?:\.\d+)?"
_SIGN = r"\s*[-+*/·]\s*"
ON_PAPER = re.compile(
    rf"(?<![*/+·=-]\s)(?<![\w.`√(-])(\(*{_NUMBER}\)*(?:{_SIGN}\(*{_NUMBER}\)*)+)\s=\s({_NUMBER})(?!\d|{_SIGN})"
)
"""A sum that is worked out in the text, such as `3 * 0.5 + 5 = 6.5`."""
SHAPE = re.compile(r"`(\w+)(?: = [^`]*)?`:? \(((?:\d+,[\d, ]*)?)\)")
"""`W1` (30, 200), and `h = torch.tanh(pre)`: (32, 200) above an answer."""


def figures_of(text: str) -> list[tuple[int, str, bool, str]]:
    """The line, the printed figure, whether it is slow, and the expression of every marked figure of a lesson."""
    found = []
    for cell in percent_cells(text):
        if cell.kind == "markdown":
            for number, line in enumerate(cell.text.split("\n")):
                for match in FIGURE.finditer(line):
                    found.append((cell.line + number, match[1], bool(match[2]), match[3]))
    return found


def sums_on_paper(text: str) -> Iterator[tuple[str, str, float]]:
    """Every sum that a lesson works out: as it stands there, the result that is printed, and the result."""
    for cell in percent_cells(text):
        plain = re.sub(r"(?:\s%)?<!-- .*? -->|\$", "", cell.text).replace("\\cdot", "*").replace("\n", " ")
        for match in ON_PAPER.finditer(plain) if cell.kind == "markdown" else ():
            if match[1].count("(") == match[1].count(")"):
                yield match[0], match[2], float(eval(match[1].replace("·", "*").replace(",", "")))


def shapes_of(text: str) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    """The line, name and shape of every tensor that a lesson gives a shape to, in its text and in its forward pass."""
    for cell in percent_cells(text):
        pattern = SHAPE if cell.kind == "markdown" else re.compile(r"^(\w+) = .*#.*?\(([\d, ]*)\)")
        for number, line in enumerate(cell.text.split("\n")):
            for match in pattern.finditer(line) if cell.kind == "markdown" or "forward" in cell.tags else ():
                yield cell.line + number, match[1], tuple(map(int, match[2].replace(",", " ").split()))


def agrees(printed: str, value: float, steps: float = 0.5) -> bool:
    """Whether `value`, rounded to the digits of `printed`, is what stands there, or `steps` of its last digit off."""
    figure = Decimal(printed.replace(",", "").replace("\u2212", "-"))
    step = Decimal(1).scaleb(int(figure.as_tuple().exponent))
    return abs(Decimal(value) - figure) <= step * Decimal(steps) * (1 + Decimal("1e-9"))


def names_after(path: Path, text: str | None = None, last: str = "", **parameters: object) -> dict[str, Any]:
    """What the lesson's cells bind when they run from top to bottom; the one for grading is the judge's.

    `text` stands in for the lesson's own, `last` is the tag of the last cells to run, `parameters` are other sizes.
    """
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    cells = [c for c in percent_cells(text or path.read_text(encoding="utf-8")) if c.kind == "code"]
    end = max((i for i, cell in enumerate(cells) if last in cell.tags), default=len(cells) - 1)
    with torch.enable_grad():
        for cell in cells[: end + 1]:
            if "grading" not in cell.tags:
                exec(compile("\n" * (cell.line - 1) + cell.text, str(path), "exec"), names)
            if "parameters" in cell.tags:
                assert parameters.keys() <= names.keys()
                names |= parameters
    return names


def helpers(path: Path) -> dict[str, Any]:
    """What an expression may use besides the lesson's own names."""

    def seeds(expression: str) -> list[float]:
        last = "evaluation" if 'tags=["evaluation"]' in path.read_text(encoding="utf-8") else "backward"
        return [float(eval(expression, names_after(path, last=last, seed=seed))) for seed in range(6)]

    def losses_with(old: str = "", new: str = "", **parameters: object) -> list[float]:
        text = re.sub(rf"{MARK.pattern}.*? -->", "", path.read_text(encoding="utf-8"))
        assert not old or text.count(old) == 1, old
        return list(names_after(path, text.replace(old, new) if old else text, "training", **parameters)["losses"])

    def mean(numbers: Sequence[float]) -> float:
        return sum(numbers) / len(numbers)

    return {"math": math, "torch": torch, "seeds": cache(seeds), "losses_with": cache(losses_with), "mean": mean}


def lessons() -> Iterator[Any]:
    for path in sorted(SOLUTIONS.glob("*/*.py")):
        text = path.read_text(encoding="utf-8")
        found = figures_of(text)
        trains = any("training" in cell.tags for cell in percent_cells(text))
        for slow in (False, True):
            if any((trains or is_slow) is slow for _, _, is_slow, _ in found):
                marks = [pytest.mark.slow, pytest.mark.timeout(900)] if slow else []
                name = f"{path.parent.name}/{path.stem}" + ("-slow" if slow else "")
                yield pytest.param(path, slow, trains, id=name, marks=marks)


@pytest.mark.parametrize(("path", "slow", "trains"), list(lessons()))
def test_every_marked_figure_is_the_one_that_the_lesson_gives(
    path: Path, slow: bool, trains: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [str(path)])
    names = helpers(path) | names_after(path)
    wrong = []
    for line, printed, is_slow, expression in figures_of(path.read_text(encoding="utf-8")):
        if (trains or is_slow) is not slow:
            continue
        with torch.no_grad():
            value = float(eval(expression, names))
        if not agrees(printed, value):
            wrong.append(f"{path}:{line}: {printed} stands there, {expression} is {value!r}")
    for line, name, shape in shapes_of(path.read_text(encoding="utf-8")):
        found = names.get(name, names.get(name.removeprefix("d")))
        if hasattr(found, "shape") and tuple(found.shape) != shape:
            wrong.append(f"{path}:{line}: {name} is {tuple(found.shape)}, not {shape}")
    assert not wrong, "\n".join(wrong)


def test_every_sum_that_is_worked_out_on_paper_is_right() -> None:
    found = [
        (f"{path.parent.name}/{path.stem}: {said}", printed, value)
        for path in sorted(SOLUTIONS.glob("*/*.py"))
        for said, printed, value in sums_on_paper(path.read_text(encoding="utf-8"))
    ]
    assert len(found) > 90
    # Factors are printed rounded, so the last digit may be off by one.
    assert [(said, value) for said, printed, value in found if not agrees(printed, value, steps=1)] == []


def test_sums_and_shapes_are_found_in_the_text() -> None:
    text = (
        "# %% [markdown]\n# So 3 · 0.5 + (1 - 5) = 7, and `W` (2, 3) and `h = x @ W`: (4, 3) from `x` (4, 2), `n` ().\n"
    )
    assert list(sums_on_paper(text)) == [("3 · 0.5 + (1 - 5) = 7", "7", -2.5)]
    assert list(shapes_of(text)) == [(2, "W", (2, 3)), (2, "h", (4, 3)), (2, "x", (4, 2)), (2, "n", ())]


@pytest.mark.parametrize("path", sorted(SOLUTIONS.glob("*/*.py")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_mark_stands_behind_a_figure_and_none_reaches_a_learner(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(MARK.findall(text)) == len(figures_of(text))
    assert not MARK.search(exercise_text(read_exercise(path, SOLUTIONS)))


@pytest.mark.parametrize(
    ("printed", "value", "right"),
    [
        ("1.6487", 1.648721270700128, True),
        ("1.6488", 1.648721270700128, False),
        ("6.6e-4", 0.0006595764521635239, True),
        ("6.7e-4", 0.0006595764521635239, False),
        ("-0.0898", -0.08984, True),
        ("12,297", 12297, True),
        ("4.000000000004", 4.000000000004, True),
        ("0", 0.4, True),
        ("0", 0.6, False),
    ],
)
def test_a_figure_is_rounded_to_the_digits_that_are_printed(printed: str, value: float, right: bool) -> None:
    assert agrees(printed, value) is right


@pytest.mark.parametrize(
    ("lesson", "words"),
    [
        ("ex1_atoms", "a maxdiff between (1e-11) and (1e-8)"),
        ("ex2_cross_entropy", "by about (2e-9) or less"),
        ("ex3_batchnorm", "from autograd by about (1e-9)"),
    ],
)
def test_a_right_answer_differs_from_autograd_by_as_much_as_its_lesson_says(lesson: str, words: str) -> None:
    """These figures depend on the processor, so it is their limits that must hold."""
    path = SOLUTIONS / f"makemore/{lesson}.py"
    text = " ".join(line.lstrip("# ") for line in path.read_text(encoding="utf-8").split("\n"))
    (found,) = re.finditer(words, text)
    limits = [float(limit) for limit in found.groups()]
    graded = read_exercise(path, SOLUTIONS).graded
    for seed in range(3):
        names = names_after(path, last="backward", seed=seed)
        differences = [float((names[f"d{name}"] - names[name].grad).abs().max().detach()) for name in graded]
        left = [difference for difference in differences if difference]
        assert max(left, default=0) <= limits[-1]
        assert min(left, default=1) >= (limits[0] if len(limits) > 1 else 0)
