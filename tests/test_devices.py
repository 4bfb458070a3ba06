"""Every lesson, and the truth about it, on a GPU that is pretended: what lies on which device is followed anywhere."""

from __future__ import annotations

import pytest
import torch
from pretended_gpu import PretendedGPU, WrongDeviceError, on_gpu
from test_figures import names_after

from grader.lesson.exercise import Exercise, all_exercises
from grader.lesson.trials import other_data, random_upstream
from grader.truth.truths import KnownTruths

LESSONS = [exercise for exercise in all_exercises() if "device" in exercise.parameter_values]


@pytest.mark.parametrize("exercise", LESSONS, ids=lambda e: e.short_id)
def test_a_lesson_with_its_solution_runs_from_top_to_bottom(
    exercise: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.distributed.is_available", lambda: False)  # two processes would take their time
    steps = {"max_steps": 6} if "max_steps" in exercise.parameter_values else {}
    with PretendedGPU():
        names = names_after(exercise.path, device="cuda", **steps)
        gradients = [names[f"d{name}"] for name in exercise.graded_gradients if f"d{name}" in names]
        on_both = {on_gpu(gradient) for gradient in gradients if isinstance(gradient, torch.Tensor)}
    assert on_both <= {True}


@pytest.mark.parametrize("exercise", [e for e in LESSONS if not e.can_train], ids=lambda e: e.short_id)
def test_the_truth_lies_where_the_lesson_lies(exercise: Exercise) -> None:
    known = KnownTruths()
    with PretendedGPU():
        for trial in (other_data(5, "cuda"), random_upstream(5, "cuda")):
            truth = known.find(exercise, trial)
            assert truth.device == ("cpu" if truth.forward.arrays or not truth.gradients.total else "cuda")
            found = truth.gradients.total.items()
            assert all(truth.compare(name, value).right for name, value in found if name in exercise.graded)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("torch.zeros(3, device='cuda') + torch.ones(3)", "add of tensors on both devices"),
        ("torch.zeros(3, device='cuda').numpy()", r"numpy\(\) of a tensor on the GPU"),
        ("torch.randn(3, generator=torch.Generator(), device='cuda')", "generator of the processor"),
        ("torch.ones(3)[torch.zeros(2, dtype=torch.int64, device='cuda')]", "__getitem__ of tensors on both"),
        ("torch.zeros(3, device='cuda') @ torch.ones(3).to(torch.float32)", "matmul of tensors on both"),
    ],
)
def test_what_a_gpu_refuses_is_refused(line: str, what: str) -> None:
    with PretendedGPU(), pytest.raises(WrongDeviceError, match=what):
        eval(line)


def test_what_a_gpu_allows_is_allowed() -> None:
    with PretendedGPU():
        there = torch.randn(3, generator=torch.Generator()).to("cuda")
        assert on_gpu(there * 2 + torch.tensor(1.0))
        assert on_gpu(there[torch.tensor([0, 2])])
        assert on_gpu(torch.arange(3, device=there.device).to(there))
        assert not on_gpu(there.cpu())
        assert there.cpu().numpy().shape == (3,)
