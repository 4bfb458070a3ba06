"""The figures in the lessons' texts are those that a learner gets: each marked one is computed again.

A figure is marked in the solution by a comment behind it, such as `1.65<!-- = y -->`: the expression is evaluated in
the lesson's own names after its solution ran. What is derived for learners has no such marks. `<!-- slow = ... -->`
marks a figure that takes long, and figures of a lesson that trains are slow as a whole.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
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


def figures_of(text: str) -> list[tuple[int, str, bool, str]]:
    """The line, the printed figure, whether it is slow, and the expression of every marked figure of a lesson."""
    found = []
    for cell in percent_cells(text):
        if cell.kind == "markdown":
            for number, line in enumerate(cell.text.split("\n")):
                for match in FIGURE.finditer(line):
                    found.append((cell.line + number, match[1], bool(match[2]), match[3]))
    return found


def agrees(printed: str, value: float) -> bool:
    """Whether `value`, rounded to the digits of `printed`, is what stands there."""
    figure = Decimal(printed.replace(",", "").replace("\u2212", "-"))
    step = Decimal(1).scaleb(int(figure.as_tuple().exponent))
    return abs(Decimal(value) - figure) <= step / 2 * (1 + Decimal("1e-9"))


def names_after(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the lesson's cells bind when they run from top to bottom; the last one, for grading, is the judge's."""
    monkeypatch.setattr("sys.argv", [str(path)])
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    for cell in percent_cells(path.read_text(encoding="utf-8")):
        if cell.kind == "code" and "grading" not in cell.tags:
            exec(compile("\n" * (cell.line - 1) + cell.text, str(path), "exec"), names)
    return names


def lessons() -> Iterator[Any]:
    for path in sorted(SOLUTIONS.glob("*/*.py")):
        text = path.read_text(encoding="utf-8")
        found = figures_of(text)
        trains = any("training" in cell.tags for cell in percent_cells(text))
        for slow in (False, True):
            if any((trains or is_slow) is slow for _, _, is_slow, _ in found):
                marks = [pytest.mark.slow] if slow else []
                name = f"{path.parent.name}/{path.stem}" + ("-slow" if slow else "")
                yield pytest.param(path, slow, trains, id=name, marks=marks)


@pytest.mark.parametrize(("path", "slow", "trains"), list(lessons()))
def test_every_marked_figure_is_the_one_that_the_lesson_gives(
    path: Path, slow: bool, trains: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = names_after(path, monkeypatch)
    wrong = []
    for line, printed, is_slow, expression in figures_of(path.read_text(encoding="utf-8")):
        if (trains or is_slow) is not slow:
            continue
        with torch.no_grad():
            value = float(eval(expression, {"math": math, "torch": torch} | names))
        if not agrees(printed, value):
            wrong.append(f"{path}:{line}: {printed} stands there, {expression} is {value!r}")
    assert not wrong, "\n".join(wrong)


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
