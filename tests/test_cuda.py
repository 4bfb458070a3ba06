"""Grading on a CUDA device; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from answers.build import SOFTMAX_MINUS_ONE, with_lines

from grader.base.errors import DojoError
from grader.judging.grade import Grader, settings
from grader.lesson.exercise import Exercise, all_exercises, find_exercise
from grader.lesson.trials import namespace_of
from grader.report.records import SubmissionReport
from grader.truth.autograd import backpropagate, cut_forward

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device here"),
]


@pytest.fixture(scope="module")
def cuda() -> Iterator[Grader]:
    with Grader(settings(seed=20, device="cuda")) as grader:
        yield grader


def graded(cuda: Grader, path: Path, text: str, exercise: str) -> SubmissionReport:
    path.write_text(text)
    (report,) = cuda.grade_file(path, exercise)
    assert report.device == "cuda"
    return report


@pytest.mark.parametrize("exercise", all_exercises(), ids=lambda e: e.short_id)
def test_solutions_get_full_marks(cuda: Grader, exercise: Exercise) -> None:
    (report,) = cuda.grade_file(exercise.path)
    assert report.device == "cuda"
    assert [(v.name, v.status, v.message) for v in report.verdicts if not v.passed or v.mistake] == []
    assert all(verdict.approximate for verdict in report.verdicts)


def test_a_wrong_answer_costs_its_own_gradient(cuda: Grader, tmp_path: Path) -> None:
    text = with_lines({"dh": "dh = -dlogits @ W2.T", "dbnvar": "dbnvar = -0.5 * bnvar**-1.5 * dbnvar_inv"})
    report = graded(cuda, tmp_path / "answers.py", text, "ex1")
    refused = {verdict.name: verdict.status for verdict in report.verdicts if not verdict.passed}
    assert refused == {"h": "wrong", "bnvar": "wrong"}


def test_zeros_do_not_pass_for_gradients_that_vanish(cuda: Grader, tmp_path: Path) -> None:
    zeros = {"dlogit_maxes": "dlogit_maxes = torch.zeros_like(logit_maxes)", "db1": "db1 = torch.zeros_like(b1)"}
    report = graded(cuda, tmp_path / "answers.py", with_lines(zeros), "ex1")
    assert [verdict.name for verdict in report.verdicts if not verdict.passed] == ["logit_maxes", "b1"]


@pytest.mark.parametrize(
    "first",
    ["dlogits = F.softmax(logits, 1)", "dlogits = torch.zeros(n, 27)\ndlogits += F.softmax(logits, 1)"],
    ids=["from a forward tensor", "made without a device"],
)
def test_an_answer_need_not_name_the_device(cuda: Grader, tmp_path: Path, first: str) -> None:
    text = SOFTMAX_MINUS_ONE.replace("dlogits = F.softmax(logits, 1)", first)
    assert graded(cuda, tmp_path / "answers.py", text, "ex2").score == 1


def test_the_learner_the_truth_and_the_data_are_on_the_device(cuda: Grader, tmp_path: Path) -> None:
    where = "dlogits = F.softmax(logits, 1)\nassert logits.is_cuda and W2.is_cuda and Xb.is_cuda\n"
    text = SOFTMAX_MINUS_ONE.replace("dlogits = F.softmax(logits, 1)\n", where)
    assert graded(cuda, tmp_path / "answers.py", text, "ex2").score == 1
    ex1 = find_exercise("makemore/ex1")
    gradients = backpropagate(cut_forward(ex1, namespace_of(ex1, {"device": "cuda"})))
    assert all(gradients.total[name].is_cuda for name in ex1.graded)


@pytest.mark.usefixtures("cuda")
def test_tf32_is_off_for_judge_and_learner() -> None:
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    a = torch.randn(256, 256, generator=torch.Generator().manual_seed(1))
    product = (a.cuda() @ a.cuda()).cpu().double()
    exact = a.double() @ a.double()
    assert float((product - exact).abs().max() / exact.abs().max()) < 1e-5  # TF32 keeps 10 bits: 1e-3


def test_the_seed_draws_the_same_data_as_on_the_processor() -> None:
    ex1 = find_exercise("makemore/ex1")
    ours, theirs = (namespace_of(ex1, {"device": device, "dtype": "float64"}) for device in ("cuda", "cpu"))
    for name in ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias", "Xb", "Yb"):
        assert torch.equal(ours[name].cpu(), theirs[name])


def test_a_step_recorded_as_a_graph_does_what_the_loop_by_autograd_does() -> None:
    """`benchmarks/bench.py` has the speed of both; here their numbers are compared."""
    ex5 = find_exercise("makemore/ex5")
    names = namespace_of(ex5, {"dtype": "float64"})
    for cell in ex5.code_cells("backward"):
        exec(cell.text, names)
    with torch.enable_grad():
        _, _, by_autograd, by_graph = names["race"](names["captured_step"], steps=60)
    assert by_graph["counter"].item() == 63
    for ours, theirs in zip(by_graph["parameters"], by_autograd["parameters"], strict=True):
        assert torch.allclose(ours, theirs.detach(), rtol=1e-8)
    assert torch.allclose(by_graph["losses"], by_autograd["losses"], rtol=1e-8)


def test_auto_stays_on_the_processor_and_an_unknown_device_is_refused() -> None:
    assert settings(device="auto").device == "cpu"
    with pytest.raises(DojoError, match="choose auto, cpu or cuda"):
        settings(device="tpu")
