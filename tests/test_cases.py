"""Functions and classes as answers: graded on the lesson's cases, each case on its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import sampled

from grader.base.errors import DojoError
from grader.judging.grade import Grader
from grader.lesson.exercise import read_exercise
from grader.reading.attempts import analyse
from grader.reading.submission import sole_part
from grader.report.records import SubmissionReport, Verdict
from grader.syntax.source import read_source

SETUP = """\
# %% [markdown]
# # A lesson of definitions

# %% tags=["setup"]
import numpy as np
import torch

# %% tags=["parameters"]
seed = 1
device = "cpu"
dtype = "float32"
"""

ANSWERS = """\
# %% tags=["backward"]
def slope(f, x, eps):
    return (f(x + eps) - f(x - eps)) / (2 * eps)

# %% tags=["backward"]
class Total:
    def __init__(self, start):
        self.parts = [start]

    def add(self, x):
        self.parts.append(x)
        return self

    def result(self):
        return sum(self.parts)
"""

GRADING = """\
# %% tags=["grading"]
targets = ["slope", "Total"]
tolerance = {"slope": 1e-6}


def slope(f, x, eps):
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    f(leaf).backward()
    return leaf.grad


class Total:
    def __init__(self, start):
        self.sum = start

    def add(self, x):
        self.sum = self.sum + x
        return self

    def result(self):
        return self.sum


def cases(generator):
    x = torch.rand((), generator=generator).item()
    yield "x * x", f"result = slope(lambda x: x * x, {x}, 1e-4)"
    yield "a cube", f"result = slope(lambda x: x**3, {x}, 1e-5)"
    yield "one number", "t = Total(2)\\nresult = [t.result(), t.add(3).result()]"
    yield "an array", "result = Total(np.ones(3)).add(np.arange(3.0)).result()"
"""

Graded = Callable[..., dict[str, Verdict]]


@pytest.fixture
def graded(grader: Grader, tmp_path: Path) -> Graded:
    def grade(old: str = "", new: str = "", answers: str = ANSWERS, grading: str = GRADING) -> dict[str, Verdict]:
        lesson = tmp_path / "track" / "ex1_definitions.py"
        lesson.parent.mkdir(exist_ok=True)
        lesson.write_text(f"{SETUP}\n{ANSWERS}\n{grading}", encoding="utf-8")
        exercise = read_exercise(lesson, tmp_path)
        assert answers.count(old) == 1 or not old
        path = tmp_path / "answer.py"
        path.write_text(answers.replace(old, new) if old else answers, encoding="utf-8")
        part = sole_part(analyse(read_source(path), [exercise]), exercise)
        return {verdict.label: verdict for verdict in grader.grade_part(part).verdicts}

    return grade


def test_right_definitions_pass(graded: Graded) -> None:
    found = graded()
    assert {label: verdict.status for label, verdict in found.items()} == {"slope": "pass", "Total": "pass"}


@pytest.mark.parametrize(
    ("label", "old", "new", "status", "said"),
    [
        ("slope", "(2 * eps)", "eps", "wrong", "`x * x` gives "),
        ("slope", "f(x + eps) - f(x - eps)", "f(x - eps) - f(x + eps)", "wrong", "`x * x` gives -"),
        (
            "Total",
            "self.parts.append(x)",
            "self.parts.append(2 * x)",
            "wrong",
            "gives t.add(3).result() 8, not 5. Try it: `t = Total(2); result = [",
        ),
        ("Total", "return sum(self.parts)", "return sum(self.parts)[0]", "error", 'The case "one number": '),
        ("Total", "return sum(self.parts)", "return sum(self.parts)[0]", "error", "is not subscriptable. Try it: `"),
        ("slope", "    return (f", "    return [1, 2], (f", "wrong", "`x * x` gives a tuple, not a number. Try it: `"),
        ("slope", "    return (f", "    return 1, (f", "wrong", "`x * x` gives numbers of shape (2,), not a number."),
        ("Total", "return sum(self.parts)", "pass", "wrong", 'The case "one number" gives '),
        (
            "slope",
            "    return (f",
            "    while True:\n        pass\n    return (f",
            "timeout",
            "`x * x`: It did not finish",
        ),
        (
            "slope",
            "    return (f",
            "    while eps < 5e-5:\n        pass\n    return (f",
            "timeout",
            'The case "a cube": It did not finish',
        ),
    ],
    ids=[
        "factor",
        "sign",
        "doubled",
        "raises",
        "raises in a sentence",
        "pairs",
        "pair",
        "nothing",
        "endless",
        "endless later",
    ],
)
def test_the_first_case_that_fails_is_named_and_the_other_target_stands(
    graded: Graded, label: str, old: str, new: str, status: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.judging.judge.STATEMENT_SECONDS", 1.0)
    found = graded(old, new)
    assert found[label].status == status
    assert said in found[label].message
    (other,) = [verdict for name, verdict in found.items() if name != label]
    assert other.passed, other


def test_a_function_may_give_the_same_tensor_again_and_again(graded: Graded) -> None:
    kept = "held = torch.zeros(1)\n" + ANSWERS.replace("    return (f", "    held[0] = (f")
    found = graded(answers=kept.replace("(2 * eps)", "(2 * eps)\n    return held[0]"))
    assert {label: verdict.status for label, verdict in found.items()} == {"slope": "pass", "Total": "pass"}


DEPTH = "def depth(node):\n            return 1 + max(map(depth, node.parents), default=0)"
ENGINE = Path(__file__).parents[1] / "solutions/foundations/ex5_autograd_engine.py"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    sampled(
        3,
        [
            ("(k * self.data ** (k - 1),)", "(self.data ** (k - 1),)", "`a ** 3` gives a.grad"),
            ("return self + (-other)", "return self + other", "`a - b` gives out.data"),
            ("return -self + other", "return self - other", 'The case "3 - a, with a constant" gives'),
            (
                "arrived[parent] += upstream",
                "arrived[parent] = upstream",
                'The case "a + a, one number used twice" gives',
            ),
            ("node.grad += upstream", "node.grad = upstream", 'The case "backward called twice" gives a.grad'),
            (
                '    def relu(self):\n        """self where',
                '    __eq__ = lambda self, other: self is other\n\n    def relu(self):\n        """self where',
                "unhashable type: 'Value'",
            ),
            (
                "        arrived = dict.fromkeys(order, 0.0)",
                f"        {DEPTH}\n\n        depth(self)\n        arrived = dict.fromkeys(order, 0.0)",
                'The case "a chain of 5,000 steps": RecursionError',
            ),
        ],
    ),
    ids=["power", "minus", "reflected", "overwritten", "assigned", "not hashable", "recursion"],
)
def test_of_a_wrong_engine_the_operator_or_the_shape_of_the_graph_is_named(
    grade_text: Callable[..., list[SubmissionReport]],
    old: str,
    new: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("grader.judging.judge.STATEMENT_SECONDS", 1.0)  # one takes the 2 to the 40th paths one by one
    text = ENGINE.read_text(encoding="utf-8")
    assert text.count(old) == 1
    (report,) = grade_text(text.replace(old, new))
    (verdict,) = report.verdicts
    assert not verdict.passed
    assert said in verdict.message


def test_a_stub_is_not_attempted(graded: Graded) -> None:
    found = graded(answers='def slope(f, x, eps):\n    """The slope."""\n    ...\n')
    assert {verdict.message for verdict in found.values()} == {"not attempted"}


def test_a_lesson_without_a_case_for_a_target_is_told(graded: Graded) -> None:
    with pytest.raises(DojoError, match="no case that uses Total"):
        graded(grading=GRADING.replace('    yield "one number"', '    return\n    yield "one number"'))
