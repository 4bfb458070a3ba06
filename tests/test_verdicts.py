"""From a submission's text to its verdicts: every status, what each slip costs, and what never passes."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from answers.build import BATCHNORM_IN_ONE, LINES, SOFTMAX_MINUS_ONE, notebook, under, with_lines

import grader.judging.judge
from grader.base.errors import DojoError
from grader.judging.grade import Grader, settings
from grader.judging.judge import prove
from grader.lesson.exercise import find_exercise
from grader.lesson.trials import as_written, namespace_of, other_data
from grader.report.records import Report, SubmissionReport, Verdict
from grader.running.limits import Limits
from grader.running.sandbox import Launcher, Worker
from grader.truth.truths import KnownTruths

EX1, EX2, EX3, EX4 = (find_exercise(f"makemore/ex{n}") for n in (1, 2, 3, 4))
FIRST_LABEL = int(namespace_of(EX1, {})["Yb"][0])
Verdicts = dict[str, Verdict]
Grade = Callable[..., list[SubmissionReport]]


def named(report: SubmissionReport) -> Verdicts:
    return {verdict.name: verdict for verdict in report.verdicts}


@pytest.fixture
def ex1(grade_text: Grade) -> Callable[..., Verdicts]:
    """The 26 standard answers with some replaced; the verdicts by name."""

    def grade(**replaced: str) -> Verdicts:
        (report,) = grade_text(with_lines(replaced), exercise="makemore/ex1")
        assert list(named(report)) == list(EX1.graded)
        return named(report)

    return grade


def others_pass(verdicts: Verdicts, *blamed: str) -> bool:
    return all(verdict.passed and verdict.mistake is None for n, verdict in verdicts.items() if n not in blamed)


# ---- What an answer needs and what stops before it ----

SUM = """rows = 0
for row in dlogits:
    rows = rows + row
    {stops}
"""


def test_a_loop_that_stops_is_what_is_wrong_with_what_needs_it(grade_text: Grade) -> None:
    loop, answer = SUM.format(stops="gone"), "db2 = rows"
    cells = [line for name, line in LINES.items() if name != "db2"]
    (report,) = grade_text(notebook(*cells, loop, answer), suffix=".ipynb", exercise="makemore/ex1")
    stopped = named(report)["b2"]
    assert (stopped.status, stopped.mistake, stopped.code) == ("error", "undefined-name", "gone")
    assert "'gone'" in stopped.message
    assert (stopped.cell, stopped.line) == (len(cells) + 1, 4)
    assert others_pass(named(report), "b2")


def test_what_stops_and_is_not_needed_does_not_count(ex1: Any) -> None:
    verdicts = ex1(db2=f"db2 = dlogits.sum(0)\n{SUM.format(stops='gone')}db2 = db2 + 0 * rows")
    verdict = verdicts["b2"]
    assert (verdict.status, verdict.mistake, verdict.code) == ("pass", None, "db2 = db2 + 0 * rows")
    assert verdict.details is not None
    assert others_pass(verdicts)


def test_what_stops_and_leaves_nothing_is_not_why_a_gradient_is_wrong(ex1: Any) -> None:
    verdict = ex1(db2="sums = dlogits.sum(0) + gone\ndb2 = sums if False else dlogits.sum(0) * 2")["b2"]
    assert (verdict.status, verdict.mistake) == ("wrong", "scale")


HELPER = "def backward(d, a, w):\n    return d @ a.T, d.sum(axis=1, keepdims=True), w @ d\n"


@pytest.mark.parametrize(
    "statement",
    ["dW2, db2, dA1 = dZ2 @ A1.T, dZ2.sum(axis=1, keepdims=True), W2 @ dZ2", "dW2, db2, dA1 = backward(dZ2, A1, W2)"],
)
def test_what_stops_at_other_sizes_beside_a_right_gradient_is_no_size_in_it(statement: str, grade_text: Grade) -> None:
    (report,) = grade_text(f"{HELPER}dZ2 = (A2 - Y) / m\n{statement}\n", exercise="classifier/ex1")
    assert [name for name, verdict in named(report).items() if verdict.message and verdict.passed] == []
    assert named(report)["A1"].status == "wrong"


# ---- Statuses ----

ONE_EACH = [
    ("dh", "dh = -dlogits @ W2.T", "wrong"),
    ("dbnmeani", "dbnmeani = -dbndiff.sum(0)", "shape"),
    ("dprobs", "dprobs = ...", "missing"),
    ("dprobs", "pass", "missing"),
    ("dW1", "dW1 = embcat @ dhprebn", "error"),
    ("dW1", "dW1 = embcatt.T @ dhprebn", "error"),
    ("dW1", "dW1 = (embcat.T @ dhprebn", "error"),
    ("dW1", "def f():\n    raise ValueError\ndW1 = f()", "error"),
    ("db2", "db2 = b2.grad.clone()", "forbidden"),
    ("db2", "db2 = torch.load('db2.pt')", "forbidden"),
]


@pytest.mark.parametrize(("gradient", "line", "status"), ONE_EACH, ids=[row[1] for row in ONE_EACH])
def test_each_status_costs_its_own_gradient(ex1: Any, gradient: str, line: str, status: str) -> None:
    verdicts = ex1(**{gradient: line})
    assert verdicts[gradient[1:]].status == status
    assert others_pass(verdicts, gradient[1:])


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Verdicts]]:
    """`ex1` without guards, so that what they refuse runs."""
    path = tmp_path_factory.mktemp("second-wall") / "answers.py"

    def grade(**replaced: str) -> Verdicts:
        path.write_text(with_lines(replaced), encoding="utf-8")
        (report,) = warm.grade_file(path, "makemore/ex1")
        return named(report)

    with Grader(dataclasses.replace(settings(seed=20, device="cpu"), guarded=False)) as warm:
        yield grade


@pytest.mark.parametrize("call", ["exit()", "quit()", "__import__('sys').exit(0)", "__import__('os')._exit(0)"])
def test_ending_the_process_costs_one_gradient(unguarded: Any, call: str) -> None:
    verdicts = unguarded(dbnvar=f"dbnvar = {call}")
    assert verdicts["bnvar"].status == "error"
    assert verdicts["bnvar"].line is not None
    assert others_pass(verdicts, "bnvar")


def test_an_endless_loop_costs_one_gradient(ex1: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grader.judging.judge, "STATEMENT_SECONDS", 1.0)
    monkeypatch.setattr(grader.judging.judge, "AT_ONCE_SHARE", 1 / Limits().seconds)
    with mock.patch.object(Launcher, "start", autospec=True, side_effect=Launcher.start) as workers:
        verdicts = ex1(dbnraw=f"while True:\n    pass\n{LINES['dbnraw']}", dh=f"while n:\n    {LINES['dh']}")
    assert verdicts["h"].status == "timeout"
    assert verdicts["h"].mistake == "timeout"
    assert others_pass(verdicts, "h")
    assert workers.call_count <= 3, "one is lost when all run at once, and one to the loop itself"


def test_a_wrong_forward_name_is_blamed_at_its_own_line(ex1: Any) -> None:
    verdicts = ex1(dcounts="dcounts = counts_sum_inv * dprobs\n\ndcounts += torch.ones_like(countz) * dcounts_sum")
    text = with_lines({"dcounts": "dcounts = 1\n\nHERE"})
    assert verdicts["counts"].mistake == "undefined-name"
    assert "'countz'" in verdicts["counts"].message
    assert verdicts["counts"].line == text.split("\n").index("HERE") + 1
    assert verdicts["counts"].code == "dcounts += torch.ones_like(countz) * dcounts_sum"


def test_a_door_to_autograd_in_a_function_is_blamed_at_its_own_line(grade_text: Grade) -> None:
    (report,) = grade_text(
        "def helper():\n    k = 1\n    return k * h.grad\n\n\ndh = helper()\n", exercise="makemore/ex1"
    )
    found = named(report)["h"]
    assert (found.status, found.line, found.code) == ("forbidden", 3, "return k * h.grad")


def test_a_mistake_in_a_notebook_is_placed_in_its_cell(grade_text: Grade) -> None:
    text = notebook("#md # Title", "x = 1", "\n\ndb2 = dlogits.sum(1)\n")
    (report,) = grade_text(text, ".ipynb", "makemore/ex1")
    found = named(report)["b2"]
    assert (found.status, found.cell, found.line, found.code) == ("shape", 3, 3, "db2 = dlogits.sum(1)")


# ---- Values that only look right ----


def _pasted(name: str) -> str:
    """The true gradient on the exercise's own data, as a learner may print and paste it."""
    return str(KnownTruths().find(EX1, as_written("cpu")).gradients.total[name].tolist())


@pytest.mark.parametrize("name", ["b2", "bnbias", "counts_sum"])
def test_pasted_values_are_refused(ex1: Any, name: str) -> None:
    verdicts = ex1(**{f"d{name}": f"d{name} = torch.tensor({_pasted(name)})"})
    assert (verdicts[name].status, verdicts[name].mistake) == ("wrong", "hardcoded-values")
    assert others_pass(verdicts, name)


def test_a_pasted_index_is_refused(grade_text: Grade) -> None:
    labels = KnownTruths().find(EX2, as_written("cpu")).gradients.total["logits"].argmin(1).tolist()
    (report,) = grade_text(SOFTMAX_MINUS_ONE.replace("Yb", str(labels)), exercise="ex2")
    assert named(report)["logits"].mistake == "hardcoded-values"
    assert report.score == 0


HARDCODED = {
    "dlogprobs": "dlogprobs = torch.zeros(32, 27)\ndlogprobs[range(32), Yb] = -1.0 / 32",
    "dbndiff2": "dbndiff2 = 1.0 / 31 * torch.ones(32, 64) * dbnvar",
    "demb": "demb = dembcat.view(32, 3, 10)",
}


def test_sizes_written_in_pass_with_a_note(ex1: Any) -> None:
    verdicts = ex1(**HARDCODED)
    for gradient in HARDCODED:
        assert (verdicts[gradient[1:]].status, verdicts[gradient[1:]].mistake) == ("pass", "hardcoded-size")
        assert verdicts[gradient[1:]].message
    assert others_pass(verdicts, *(gradient[1:] for gradient in HARDCODED))


def test_sizes_written_in_fail_under_strict_sizes(grader: Grader, tmp_path: Any) -> None:
    path = tmp_path / "answers.py"
    path.write_text(with_lines(HARDCODED))
    strict = Grader(settings(seed=20, device="cpu", strict_sizes=True), launcher=grader.launcher)
    (report,) = strict.grade_file(path, "makemore/ex1")
    refused = {verdict.name: verdict.mistake for verdict in report.verdicts if not verdict.passed}
    assert refused == {gradient[1:]: "hardcoded-size" for gradient in HARDCODED}


@pytest.mark.parametrize("zeros", ["torch.zeros_like({})", "0.0 * {}"])
def test_zeros_do_not_pass_for_gradients_that_vanish(ex1: Any, zeros: str) -> None:
    verdicts = ex1(dlogit_maxes=f"dlogit_maxes = {zeros}".format("logit_maxes"), db1=f"db1 = {zeros}".format("b1"))
    for name in ("logit_maxes", "b1"):
        assert (verdicts[name].status, verdicts[name].mistake) == ("wrong", "vanishing")
    assert others_pass(verdicts, "logit_maxes", "b1")


def test_a_gradient_that_vanishes_may_skip_named_tensors(ex1: Any) -> None:
    verdicts = ex1(
        dlogit_maxes="dlogit_maxes = -(counts * dcounts).sum(1, keepdim=True)",
        db1="db1 = (dbndiff + dbnmeani / n).sum(0)",
    )
    assert others_pass(verdicts)


def test_what_is_right_for_this_loss_only_passes_with_a_note(ex1: Any) -> None:
    verdicts = ex1(dlogits="dlogits = dnorm_logits.clone()")
    assert (verdicts["logits"].status, verdicts["logits"].mistake) == ("pass", "vanishing")
    assert "The path through logit_maxes is missing" in verdicts["logits"].message
    assert others_pass(verdicts, "logits")


# ---- Figures ----


def test_the_lectures_figures_are_those_on_the_exercises_own_data(ex1: Any) -> None:
    verdicts = ex1(dh="dh = dlogits @ W2.T * (1 + 1e-3)")
    exact = verdicts["probs"]
    assert (exact.exact, exact.approximate, exact.maxdiff) == (True, True, 0.0)
    wrong = verdicts["h"]
    truth = KnownTruths().find(EX1, as_written("cpu")).gradients.total["h"]
    assert (wrong.exact, wrong.approximate) == (False, False)
    assert wrong.maxdiff == pytest.approx(1e-3 * float(truth.abs().max()), rel=1e-2)


def test_what_is_not_attempted_has_no_figures(grade_text: Grade) -> None:
    (report,) = grade_text("dprobs = dlogprobs / probs\n", exercise="makemore/ex1")
    assert report.score == 1
    left = [verdict for verdict in report.verdicts if verdict.name != "probs"]
    assert {(v.status, v.exact, v.maxdiff, v.line, v.mistake) for v in left} == {("missing", None, None, None, None)}
    assert report.attempted


# ---- Fail closed ----


class DeadWorker(Worker):
    def close(self) -> None:
        self.channel.close()


class DeadLauncher:
    """Its workers are gone as soon as they start."""

    isolation = "basic"

    def start(self) -> Worker:
        ours, theirs = socket.socketpair()
        theirs.close()
        return DeadWorker(ours, 0)


@pytest.mark.parametrize("exercise", [EX1, EX2, EX3, EX4], ids=lambda e: e.short_id)
def test_a_worker_that_dies_at_once_is_never_a_pass(exercise: Any) -> None:
    dead = Grader(settings(seed=1, device="cpu"), launcher=DeadLauncher())  # type: ignore[arg-type]
    (report,) = dead.grade_file(exercise.path)
    assert report.max_score == len(exercise.graded)
    assert report.score == 0
    assert {verdict.status for verdict in report.verdicts} == {"error"}
    assert not report.all_passed


def test_a_truth_kept_from_a_run_that_crashed_is_worth_nothing(unguarded: Any, tmp_path: Any) -> None:
    kept = str(tmp_path / "kept.npy")
    verdicts = unguarded(
        dh=f"import os\ndh = torch.from_numpy(np.load({kept!r})) if os.path.exists({kept!r}) else torch.zeros_like(h)",
        dW2=f"saved = os.path.exists({kept!r}) or np.save({kept!r}, dh.numpy())\ndW2 = h.T @ dlogits + 0 * bool(saved)",
        db2="db2 = os._exit(1)",
    )
    assert verdicts["h"].status == "wrong"
    assert verdicts["b2"].status == "error"
    assert others_pass(verdicts, "h", "b2")


def test_an_empty_run_is_never_a_pass(grade_text: Grade) -> None:
    with pytest.raises(DojoError, match="assigns no gradient"):
        grade_text("x = 1\n")
    (report,) = grade_text("x = 1\n", exercise="makemore/ex1")
    assert (report.score, report.max_score, report.attempted) == (0, 26, False)


# ---- Seeds ----


def test_the_same_seed_gives_the_same_report(grader: Grader, tmp_path: Any) -> None:
    path = tmp_path / "answers.py"
    path.write_text(with_lines({"dh": "dh = torch.randn_like(h)", "dW2": "dW2 = h.T @ dlogits * 1.1"}))
    first, again, other = (
        Grader(settings(seed=seed, device="cpu"), launcher=grader.launcher).grade_file(path, "makemore/ex1")[0]
        for seed in (5, 5, 6)
    )
    assert first == again
    assert (first.seed, other.seed) == (5, 6)
    assert other_data(first.seed, "cpu") != other_data(other.seed, "cpu")
    assert settings(device="cpu").seed != settings(device="cpu").seed


# ---- Several exercises in one namespace ----


def by_exercise(reports: list[SubmissionReport]) -> dict[str, SubmissionReport]:
    return {report.exercise.split("/")[1].split("_")[0]: report for report in reports}


def test_an_undone_exercise_2_is_not_credited_with_the_dlogits_of_exercise_1(grade_text: Grade) -> None:
    found = by_exercise(grade_text(with_lines() + "\ndlogits = ...\ndhprebn = ...\n"))
    assert found["ex1"].score == 26
    assert all(found[name].score == 0 for name in ("ex2", "ex3") if name in found)


def test_each_exercise_gets_its_own_version(grade_text: Grade) -> None:
    wrong = SOFTMAX_MINUS_ONE.replace("/= n", "*= n")
    found = by_exercise(grade_text("\n".join([with_lines(), wrong, BATCHNORM_IN_ONE])))
    assert {name: report.score for name, report in found.items()} == {"ex1": 26, "ex2": 0, "ex3": 1}
    first = with_lines({"dlogits": "dlogits = 2 * dnorm_logits"})
    found = by_exercise(grade_text("\n".join([first, SOFTMAX_MINUS_ONE, BATCHNORM_IN_ONE])))
    assert {name: report.score for name, report in found.items()} == {"ex1": 25, "ex2": 1, "ex3": 1}
    assert not named(found["ex1"])["logits"].passed


@pytest.mark.parametrize("line", ["dhpreact = ...", "dhpreact = dh", "dhpreact = nothing"])
def test_exercise_3_gets_the_true_dhpreact(grade_text: Grade, line: str) -> None:
    text = with_lines({"dhpreact": line, "dlogits": "dlogits = ..."}) + "\n# Exercise 3\n\n" + BATCHNORM_IN_ONE
    found = by_exercise(grade_text(text))
    assert found["ex3"].score == 1
    assert not named(found["ex1"])["hpreact"].passed


def test_the_forward_pass_of_a_submission_is_not_believed(grade_text: Grade) -> None:
    own = "bnvar = hprebn.var(0, keepdim=True, unbiased=False)\nh = 0.001\nsum = counts = ix = t = None\n"
    (report,) = grade_text(own + with_lines(), exercise="makemore/ex1")
    assert report.score == 26
    (note,) = report.notes
    assert note.startswith("line 1: your forward pass computes bnvar otherwise")


def test_backward_beside_the_answers_in_one_function_costs_nothing(grade_text: Grade) -> None:
    body = "loss.backward()\nprint(logits.grad.abs())\n" + with_lines(cmp="under")
    (report,) = grade_text(under("def main():", body) + "\n\nmain()\n", exercise="makemore/ex1")
    assert report.score == 26


OWN_LAYER = """\
class Layer:
    def backward(self, d):
        self.dW = h.T @ d


def main():
    layer = Layer()
    layer.backward(dlogits)
    dW2 = layer.dW
    return dW2


dW2 = main()
"""


@pytest.mark.parametrize("argument", ["dlogits", ""], ids=["with a gradient", "without one"])
def test_an_own_method_called_backward_is_run(ex1: Any, argument: str) -> None:
    text = OWN_LAYER
    if not argument:
        text = text.replace("(self, d)", "(self)").replace("@ d\n", "@ dlogits\n")
    assert others_pass(ex1(dW2=text.replace("backward(dlogits)", f"backward({argument})")))


def test_a_machine_on_which_no_answer_runs_is_not_the_learners_mistake() -> None:
    with pytest.raises(DojoError, match="on this machine no answer runs with isolation basic"):
        prove(DeadLauncher(), EX1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "lines",
    [
        {"dprobs": "dprobs = dlogprobs / probs**1.1"},
        {"dW2": "dW2 = h.T @ dlogits + h.std()"},
        {"db2": "db2 = dlogits.sum(0, keepdim=True)"},
        {"db1": "db1 = dhprebn.mean(0)"},
        {"dlogit_maxes": "dlogit_maxes = -dnorm_logits.sum(1)"},
        {"dh": "dh = dlogits @ W2.T * 0.618"},
        {"dhpreact": "dhpreact = dh / (dh * (1 - h**2) ** 0.5 - dh)"},
        {"dprobs": f"dprobs = dlogprobs / probs * (1 + (Yb[0] != {FIRST_LABEL}))"},
    ],
    ids=lambda lines: next(iter(lines.values())),
)
def test_what_is_told_is_the_same_at_each_run(tmp_path: Path, lines: dict[str, str]) -> None:
    path = tmp_path / "answer.py"
    path.write_text(with_lines(lines), encoding="utf-8")
    told = []
    for seed in (5, 12345):
        with Grader(settings(seed=seed, device="cpu")) as grader:
            (report,) = grader.grade_file(path, "makemore/ex1")
        assert not report.all_passed
        report.seed = 0
        told.append(Report([report]).as_data())
    assert told[0] == told[1]


THROUGH_DATA = ["h.data = dh = dlogits @ W2.T", "for t in (h,):\n    t.data = 2 * h\n    dh = dlogits @ W2.T"]


@pytest.mark.parametrize("line", THROUGH_DATA)
def test_a_forward_tensor_changed_through_its_data_is_put_right(line: str, ex1: Any) -> None:
    assert all(verdict.passed for verdict in ex1(dh=line).values())


def test_what_is_refused_in_a_notebook_is_blamed_in_its_own_cell(grade_text: Grade) -> None:
    lines = LINES | {"dh": "dh = pull(dlogits)"}
    cells = ["import torch\nimport math\nimport numpy", "n = 32\nfrom helpers import pull\nk = 3", *lines.values()]
    (report,) = grade_text(notebook(*cells), ".ipynb", "makemore/ex1")
    blamed = named(report)["h"]
    assert (blamed.status, blamed.cell, blamed.line) == ("forbidden", 2, 2)
    assert blamed.code == "from helpers import pull"
    assert "nor is any file beside yours. Copy what you need of it here." in blamed.message


def test_a_factor_is_not_said_to_be_a_result(grade_text: Grade) -> None:
    text = find_exercise("foundations/ex2").path.read_text(encoding="utf-8").replace("dw1 = dz * x1", "dw1 = dz * w1")
    (report,) = grade_text(text)
    assert named(report)["w1"].message == "w1 is used where x1 belongs, in the local derivative of `z = x1 * w1 + b`."
