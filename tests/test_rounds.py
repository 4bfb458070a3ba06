"""How often judge and worker wait for each other, and what is found once for all submissions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from grader.judging.judge import Judge
from grader.judging.loops import LoopTrial
from grader.judging.verdicts import Answer
from grader.lesson.exercise import find_exercise
from grader.lesson.trials import Trial, other_data
from grader.reading.plan import make_plan
from grader.reading.submission import find_parts
from grader.report.records import SubmissionReport
from grader.running.protocol import LoopStep, Ready, Reply, Running, TellAll, encode
from grader.running.statements import _code, code_of, forget_statements, keep_code, run_statement
from grader.syntax.source import parse_source, percent_cells
from grader.truth.loop import LoopReference
from grader.truth.truths import KnownTruths, Truth

Grade = Callable[..., list[SubmissionReport]]
EX1 = find_exercise("makemore/ex1")
TEXT = EX1.path.read_text(encoding="utf-8")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many trials each run has in which every gradient is waited for."""
    found: list[int] = []
    once = Judge._run_once

    def counted(self: Judge, trials: list[object], chained: frozenset[str]) -> object:
        found.append(len(trials))
        return once(self, trials, chained)  # type: ignore[arg-type]

    monkeypatch.setattr(Judge, "_run_once", counted)
    return found


def test_no_right_answer_is_waited_for(grade_text: Grade, waits: list[int]) -> None:
    (report,) = grade_text(TEXT)
    assert report.all_passed
    assert not waits


WRONG = {
    "dprobs = dlogprobs / probs": "dprobs = 2 * dlogprobs / probs",
    "dcounts_sum = -": "dcounts_sum = ",
    "dembcat = dhprebn @ W1.T": "dembcat = 3 * dhprebn @ W1.T",
    "db2 = dlogits.sum(0)": "db2 = dlogits.mean(0)",
}


@pytest.mark.parametrize(("count", "waited"), [(1, []), (2, []), (3, [2]), (4, [2])])
def test_only_after_some_wrong_answers_each_is_waited_for(
    grade_text: Grade, waits: list[int], count: int, waited: list[int]
) -> None:
    text = TEXT
    for right, wrong in list(WRONG.items())[:count]:
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    (report,) = grade_text(text)
    assert sum(v.status != "pass" for v in report.verdicts) == count
    assert waits == waited


def test_what_is_handed_over_once_more_after_the_true_one_was_told_does_not_count(
    grade_text: Grade, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over = Judge._pass

    def repeating_what_was_told(self: Judge, *arguments: Any, **named: Any) -> list[tuple[dict[str, Answer], Truth]]:
        found = handed_over(self, *arguments, **named)
        for answers, truth in found:
            answers.update({name: Answer(value=truth.gradients.total[name].clone()) for name in self.settled})
        return found

    monkeypatch.setattr(Judge, "_pass", repeating_what_was_told)
    text = TEXT
    for right, wrong in list(WRONG.items())[:2]:
        text = text.replace(right, wrong)
    (report,) = grade_text(text)
    assert [v.name for v in report.verdicts if v.status != "pass"] == ["probs", "counts_sum"]


LARGE = find_exercise("foundations/ex3").path.read_text(encoding="utf-8")
OF_LARGE = {
    "right": ("", ""),
    "with the lesson's sizes": ("ddiff = 2 * diff / n", "ddiff = 2 * diff / 1000"),
    "with a function for it": ("db1 = dl1.sum(0)", "def db(d):\n    return d.sum(0)\n\ndb1 = db(dl1)"),
    "wrong": ("db2 = dout.sum(0)", "db2 = dout.mean(0)"),
    "wrong from the twentieth example on": ("db1 = dl1.sum(0)", "db1 = dl1[:20].sum(0)"),
    "right on this loss alone": ("ddiff = 2 * diff / n", "ddiff = 2 * (out.squeeze(-1) - y) / n"),
    "an exception where there are few examples": ("db1 = dl1.sum(0)", "dl1[20]\ndb1 = dl1.sum(0)\ndb1 += 0 * dl1[20]"),
}


@pytest.mark.parametrize("how", OF_LARGE)
def test_where_tensors_are_large_other_sizes_come_first_and_nothing_comes_out_otherwise(
    grade_text: Grade, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    at_own_sizes: list[bool] = []
    handed_over = Judge._pass

    def counted(self: Judge, trials: tuple[Trial, ...], told: Any) -> object:
        at_own_sizes.extend("n" not in trial.parameters for trial in trials)
        return handed_over(self, trials, told)

    monkeypatch.setattr(Judge, "_pass", counted)
    right, written = OF_LARGE[how]
    assert not right or LARGE.count(right) == 1
    text = LARGE.replace(right, written) if right else LARGE
    (report,) = grade_text(text)
    assert report.all_passed == ("wrong" not in how)
    if how in ("right", "with a function for it"):
        assert at_own_sizes == [False, False, True]
    monkeypatch.setattr("grader.truth.truths._LARGE", 10**9)
    (at_once,) = grade_text(text)
    assert report == at_once


class Liar:
    """A launcher, its worker and that one's channel: each worker says that a statement runs, and is gone."""

    def __init__(self, running: int) -> None:
        self.running, self.started = running, 0
        self.channel = self

    def start(self) -> Liar:
        self.started += 1
        self.replies = iter([Ready(), Running(step=self.running)])
        return self

    def close(self) -> None:
        pass

    def send_encoded(self, message: bytes, deadline: float) -> None:
        pass

    def receive(self, deadline: float, device: str) -> tuple[Reply, dict[str, torch.Tensor]]:
        for reply in self.replies:
            return reply, {}
        raise EOFError


@pytest.mark.parametrize(("is_one", "started"), [(True, 2), (False, 1)])
def test_a_worker_that_is_lost_in_a_statement_that_cannot_run_loses_every_gradient(is_one: bool, started: int) -> None:
    (part,) = find_parts(parse_source(Path("a.py"), percent_cells(TEXT)), EX1.id)
    plan = make_plan(part.analysis, EX1, part.attempts)
    launcher = Liar(plan.steps[0].index if is_one else 10**9)
    judge = Judge(launcher, plan, KnownTruths(), 60)  # type: ignore[arg-type]
    ((answers, _),) = judge.run([other_data(3, "cpu")])
    assert answers.keys() == set(EX1.graded)
    assert {answer.failure and answer.failure.type for answer in answers.values()} == {"crash"}
    assert launcher.started == started


@pytest.mark.parametrize("name", ["makemore/ex4", "classifier/ex2", "transformer/ex5"])
def test_a_step_that_is_known_is_the_step_that_would_be_made(name: str) -> None:
    exercise = find_exercise(name)
    trial = other_data(3, "cpu")
    known, positions = KnownTruths(), [0, 1, 2, 7]

    def steps(reference: LoopReference, drawn: dict[int, dict[str, torch.Tensor]]) -> list[dict[str, torch.Tensor]]:
        made = [reference.step(position, drawn.get(position, {})) for position in positions]
        state = reference.generator_state()
        assert state is not None
        return [*(step.after for step in made), {"generator": state}]

    begun = LoopReference(exercise, trial)
    draw = begun.draws[0]
    other = {draw: torch.zeros_like(begun.step(0, {}).forward.values[draw])}
    for drawn in ({}, {1: other}, {}, {2: other}, {}):
        ours, fresh = steps(known.loop(exercise, trial), drawn), steps(LoopReference(exercise, trial), drawn)
        for one, two in zip(ours, fresh, strict=True):
            assert one.keys() == two.keys()
            assert all(torch.equal(one[key], two[key]) for key in one)


def test_of_a_right_step_no_more_is_sent_than_what_decides(grade_text: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    exercise, judged, sent = find_exercise("makemore/ex4"), LoopTrial.step, set[str]()

    def noted(self: LoopTrial, message: LoopStep, handed: dict[str, torch.Tensor]) -> object:
        sent.update(handed)
        return judged(self, message, handed)

    monkeypatch.setattr(LoopTrial, "step", noted)
    (report,) = grade_text(exercise.path.read_text(encoding="utf-8"))
    assert report.all_passed
    assert sent == {*exercise.trained, "loss", "ix", "Xb", "Yb"}


def test_what_a_step_sends_first_decides_whatever_it_sends_when_asked_for_all() -> None:
    exercise, trial = find_exercise("makemore/ex4"), other_data(3, "cpu")
    right = LoopReference(exercise, trial).step(0, {}).after
    loop = LoopTrial(exercise, trial, KnownTruths())
    loop.begins(None)
    asked = loop.step(LoopStep(0, 0), right | {"b2": right["b2"] + 1})
    assert asked == encode(TellAll())
    assert not loop.steps
    with pytest.raises(ValueError, match="not the step"):
        loop.step(LoopStep(0, 0), right)
    loop.step(LoopStep(0, 0, whole=True), right)
    assert [set(step.departed) for step in loop.steps] == [{"b2"}]


def test_a_line_that_submissions_share_is_compiled_once(grade_text: Grade) -> None:
    grade_text(TEXT)
    compiled = _code.cache_info().misses
    (report,) = grade_text(TEXT.replace("db2 = dlogits.sum(0)", "db2 = dlogits.sum(dim=0)"))
    assert report.all_passed
    assert _code.cache_info().misses == compiled + 1


def test_a_worker_runs_what_the_judge_compiled() -> None:
    (statement,) = parse_source(Path("answers.py"), percent_cells("x = n + 1")).statements
    keep_code("x = 0", 1, code_of(statement))
    found = {"n": 6}
    assert run_statement("x = 0", 1, found, lambda _: None) is None
    assert found["x"] == 7
    forget_statements()


@pytest.mark.parametrize(
    "text", ["def f():\n    return 1", "for i in range(2):\n    x = i", "x = __import__('os')", "x = 1j"]
)
def test_a_block_and_what_is_refused_is_compiled_where_it_runs(text: str) -> None:
    (statement,) = parse_source(Path("answers.py"), percent_cells(text)).statements
    assert code_of(statement) == b""


NESTED = "lambda: " * 140 + "1"
LONG = {
    "many": [
        "db2 = dlogits.sum(0)",
        *["db2 = db2 + 0 * (dlogits.sum(0) + dlogits.mean(0) + dlogits.max(0).values)"] * 1500,
    ],
    "nested": [*(f"f{n} = {NESTED}" for n in range(3)), "db2 = dlogits.sum(0) + 0 * (f0 is f1 is f2)"],
}


@pytest.mark.parametrize("lines", LONG.values(), ids=LONG)
def test_an_answer_whose_code_is_long_is_graded(grade_text: Grade, lines: list[str]) -> None:
    (report,) = grade_text(TEXT.replace("db2 = dlogits.sum(0)", "\n".join(lines)))
    assert report.all_passed
