"""A lesson that asks for gradients and then for their loop: each answer is judged as where it is alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from lessons import lessons_in

from grader.judging.grade import Grader, settings
from grader.learner.hints import hint, solution
from grader.lesson.derive import exercise_text
from grader.lesson.exercise import Exercise, all_exercises
from grader.report.records import SubmissionReport

LESSON = """# %% [markdown]
# # Lines 1: a line, and its training
#
# <!-- dojo: lines/ex1_line -->

# %% tags=["parameters"]
seed, device, dtype = 7, "cpu", "float32"
points, features, n = 40, 3, 8
max_steps = 30
rate = 0.05

# %% tags=["setup"]
import torch
from tqdm import tqdm

from grader import cmp

g = torch.Generator().manual_seed(seed)
x, w, b = (torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)
           for shape in ((points, features), (features, 1), (1,)))
y = x.sum(1, keepdim=True)
parameters = [w, b]

# %% tags=["forward"]
ix = torch.randint(0, points, (n,), generator=g)  # (8,)
xb, yb = x[ix], y[ix]  # (8, 3) and (8, 1)
guess = xb @ w + b  # (8, 1)
miss = guess - yb  # (8, 1)
loss = (miss**2).mean()  # ()

# %% [markdown] tags=["hint"]
# Gradient one.

# %% [markdown] tags=["hint"]
# Gradient two.

# %% [markdown] tags=["hint"]
# Gradient three.

# %% tags=["backward"]
dmiss = 2 * miss / n
dguess = 1 * dmiss
dw = xb.T @ dguess
db = dguess.sum(0)

# %% [markdown] tags=["hint"]
# Loop one.

# %% [markdown] tags=["hint"]
# Loop two.

# %% [markdown] tags=["hint"]
# Loop three.

# %% tags=["training"]
losses = []
for step in tqdm(range(max_steps)):
    ix = torch.randint(0, points, (n,), generator=g)
    xb, yb = x[ix], y[ix]
    guess = xb @ w + b
    miss = guess - yb
    loss = (miss**2).mean()
    dguess = 2 * miss / n
    for p, gradient in zip(parameters, [xb.T @ dguess, dguess.sum(0)], strict=True):
        p -= rate * gradient
    losses.append(loss.item())

# %% tags=["grading"]
optimizer = torch.optim.SGD(parameters, lr=rate)
"""
GRADIENTS = {"miss": "dmiss", "guess": "dguess", "w": "dw", "b": "db"}
LOOP = {"loss": "loss", "w_after_a_step": "w", "b_after_a_step": "b"}

Judge = Callable[[str], SubmissionReport]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """Grade a text where this lesson is the only one."""
    root = tmp_path_factory.mktemp("lessons") / "solutions"
    (root / "lines").mkdir(parents=True)
    (root / "lines" / "ex1_line.py").write_text(LESSON)
    with lessons_in(root), Grader(settings(seed=41, device="cpu")) as grader:

        def judge(text: str) -> SubmissionReport:
            (root.parent / "mine.py").write_text(text)
            (report,) = grader.grade_file(root.parent / "mine.py")
            return report

        yield judge


@pytest.fixture
def lesson(judged: Judge) -> Exercise:
    (only,) = all_exercises()
    return only


def states(report: SubmissionReport) -> Mapping[str, str | None]:
    return {verdict.name: verdict.mistake or verdict.status for verdict in report.verdicts}


def right(**but: str) -> Mapping[str, str]:
    return dict.fromkeys([*GRADIENTS, *LOOP], "pass") | but


def test_each_answer_has_its_name_and_its_hints(lesson: Exercise) -> None:
    assert {name: lesson.label(name) for name in lesson.graded} == GRADIENTS | LOOP
    assert {lesson.hints[name] for name in GRADIENTS} == {("Gradient one.", "Gradient two.", "Gradient three.")}
    assert {lesson.hints[name] for name in LOOP} == {("Loop one.", "Loop two.", "Loop three.")}
    stubs = re.findall(r"^(\w+) = \.\.\.$", exercise_text(lesson), re.MULTILINE)
    assert stubs == [*GRADIENTS.values(), "losses"]


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
def test_right_and_untouched(judged: Judge, lesson: Exercise, marked: bool) -> None:
    marker = "<!-- dojo: lines/ex1_line -->"
    assert states(judged(LESSON if marked else LESSON.replace(marker, ""))) == right()
    untouched = judged(exercise_text(lesson))
    assert set(states(untouched).values()) == {"missing"}
    assert not untouched.attempted


@pytest.mark.parametrize(
    ("old", "new", "wrong", "look_at"),
    [
        ("dw = xb.T @ dguess", "dw = -xb.T @ dguess", {"w": "sign"}, None),
        ("dw = xb.T @ dguess", "dw = ...", {"w": "missing"}, None),
        (
            "rate * gradient",
            "2 * rate * gradient",
            {"w_after_a_step": "learning-rate", "b_after_a_step": "learning-rate"},
            "w_after_a_step",
        ),
        ("append(loss.item())", "append(0.0)", {"loss": "wrong-losses"}, None),
    ],
)
def test_a_slip_costs_only_the_answer_that_makes_it(
    judged: Judge, old: str, new: str, wrong: dict[str, str], look_at: str | None
) -> None:
    assert LESSON.count(old) == 1
    report = judged(LESSON.replace(old, new))
    assert states(report) == right(**wrong)
    assert report.look_at == look_at


def test_one_part_alone_leaves_the_other_to_be_done(judged: Judge) -> None:
    above, loop = LESSON.split('# %% tags=["training"]')
    assert states(judged(above)) == right(**dict.fromkeys(LOOP, "missing"))
    gradients = re.compile(r"^d\w+ = .*\n", re.MULTILINE)
    assert states(judged(gradients.sub("", above) + "# %%" + loop)) == right(**dict.fromkeys(GRADIENTS, "missing"))


def test_hints_and_solutions_are_those_of_the_answer(
    lesson: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("grader.learner.hints.bundled", lambda name: tmp_path)
    assert "Gradient one." in hint("dw", level=1)
    assert "Loop one." in hint("losses", level=1)
    assert "xb.T @ dguess" in solution("dw", anyway=True)
    assert solution("losses", anyway=True).count("\n    ") > 8
