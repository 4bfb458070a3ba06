"""Steps of a training loop beside the same steps by autograd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from grader.diagnosing import Diagnosis, Mismatch, diagnose, shape_text
from grader.lesson.exercise import Exercise
from grader.lesson.trials import Trial, namespace_of
from grader.running.protocol import Failure
from grader.truth.autograd import Forward, Gradients, backpropagate, cut_forward


@dataclass(frozen=True)
class StepLimit:
    """How far a tensor may be off after one step: relative to the step's change, and to its own size."""

    step: float
    parameter: float


LIMITS = {
    # Measured on right loops: float64 2e-12 of the change, float32 5e-5. The share of the parameter's own
    # size is for rounding, and for b1, whose true change is zero by algebra.
    torch.float64: StepLimit(step=1e-9, parameter=1e-14),
    torch.float32: StepLimit(step=1e-3, parameter=1e-6),
}


@dataclass(frozen=True)
class TrueStep:
    """One step by autograd: the parameters before and after it, its loss, its rate and its gradients."""

    position: int
    before: dict[str, Tensor]
    after: dict[str, Tensor]
    rate: float
    forward: Forward
    gradients: Gradients


@dataclass
class Reference:
    """The loop by autograd, which makes one step at a time."""

    exercise: Exercise
    namespace: dict[str, Any]
    generator: torch.Generator

    @classmethod
    def start(cls, exercise: Exercise, trial: Trial) -> Reference:
        namespace = namespace_of(exercise, trial.parameters)
        generators = [value for value in namespace.values() if isinstance(value, torch.Generator)]
        return cls(exercise, namespace, generators[0])

    def step(self, position: int) -> TrueStep:
        """Make the step at `position` of the loop, on the next batch of the generator."""
        before = {name: self.namespace[name].detach().clone() for name in self.exercise.trained}
        forward = cut_forward(self.exercise, self.namespace)
        gradients = backpropagate(forward)
        rates, count = self.namespace["learning_rates"], self.namespace["max_steps"]
        rate = rates[0] if position < count / 2 else rates[1]
        moved = {name: value - rate * gradients.total[name] for name, value in before.items()}
        self.namespace.update(moved)
        loss = forward.values[self.exercise.atoms[-1].name]
        return TrueStep(position, before, {"loss": loss, **moved}, rate, forward, gradients)


@dataclass
class StepComparison:
    """One step of the loop: which tensors departed and why, and how far each parameter went of its way.

    `culprit` is where it begins: the first wrong forward tensor or, failing that, the wrong gradient nearest to
    the loss, with what is wrong about it.
    """

    truth: TrueStep
    departed: dict[str, str] = field(default_factory=dict)
    progress: dict[str, float] = field(default_factory=dict)
    culprit: tuple[str, Diagnosis] | None = None
    implied: dict[str, Tensor] = field(default_factory=dict)

    @property
    def step(self) -> int:
        return self.truth.position


@dataclass
class Outcome:
    """One trial's run: the steps that were compared, and why it ended early."""

    steps: list[StepComparison] = field(default_factory=list)
    exact: dict[str, bool] = field(default_factory=dict)
    maxdiff: dict[str, float] = field(default_factory=dict)
    failure: Failure | None = None

    def first(self, name: str) -> StepComparison | None:
        """The first step after which `name` is not what it should be."""
        return next((step for step in self.steps if name in step.departed), None)

    def before(self, comparison: StepComparison) -> StepComparison | None:
        """The step that was compared before this one."""
        position = self.steps.index(comparison)
        return self.steps[position - 1] if position else None


def compare_step(handed: Mapping[str, Tensor], truth: TrueStep, outcome: Outcome) -> None:
    """Compare what a loop handed over after a step with the true step, and add it to `outcome`."""
    found = StepComparison(truth)
    outcome.steps.append(found)
    for name, expected in truth.after.items():
        true, ours = expected.to("cpu"), handed.get(name)
        if ours is None or ours.shape != true.shape:
            have = "there is none" if ours is None else f"its shape is {shape_text(ours.shape)}"
            found.departed[name] = f"{have}; it should be a tensor of shape {shape_text(true.shape)}"
            continue
        difference = float((ours.double() - true.double()).abs().max())
        change, size = float(true.abs()) if name == "loss" else 0.0, 0.0
        if name in truth.before:
            start = truth.before[name].to("cpu").double()
            should, made = true.double() - start, ours.double() - start
            change, size = float(should.abs().max()), float(true.abs().max())
            found.progress[name] = float((made * should).sum()) / max(float(should.square().sum()), 1e-300)
            found.implied[name] = -made / truth.rate
        limit = LIMITS[true.dtype]
        outcome.exact[name] = outcome.exact.get(name, True) and bool(torch.equal(ours, true))
        outcome.maxdiff[name] = max(outcome.maxdiff.get(name, 0.0), difference)
        if not difference <= limit.step * change + limit.parameter * size:
            found.departed[name] = f"{difference / change:.1e}" if change else "inf"
    if found.departed and truth.after["loss"].dtype is torch.float64:
        found.culprit = _wrong_forward(handed, truth) or _wrong_gradient(handed, truth)


def _wrong_forward(handed: Mapping[str, Tensor], truth: TrueStep) -> tuple[str, Diagnosis] | None:
    """The first tensor of the forward pass that is not what it should be."""
    for name, true in truth.forward.values.items():
        ours = handed.get(name)
        if ours is None or name in truth.before or not isinstance(true, Tensor):
            continue
        same = ours.shape == true.shape and torch.allclose(
            ours.double(), true.to("cpu").double(), rtol=1e-9, atol=1e-12
        )
        if same:
            continue
        if not true.is_floating_point():
            said = "each step makes one draw with torch.randint and generator=g, and picks its batch by it."
            return name, Diagnosis("wrong-batch", f"The batch is another one: {said}")
        said = f"the tensor {name} of the forward pass is not what the exercise's forward pass gives."
        return name, Diagnosis("wrong-forward", f"The forward pass departs: {said}")
    return None


def _wrong_gradient(handed: Mapping[str, Tensor], truth: TrueStep) -> tuple[str, Diagnosis] | None:
    """The wrong gradient nearest to the loss, among those that the loop handed over as `dX`."""
    named = frozenset(name for name in truth.gradients.total if f"d{name}" in handed)
    for name in _from_the_loss_back(truth):
        if name not in named:
            continue
        true, ours = truth.gradients.total[name], handed[f"d{name}"].to(truth.gradients.total[name].device)
        mismatch = Mismatch(name, ours.double(), truth.gradients, truth.forward, named)
        if ours.shape != true.shape or not mismatch.same(mismatch.candidate):
            return f"d{name}", diagnose(mismatch)
    return None


def _from_the_loss_back(truth: TrueStep) -> list[str]:
    """Every tensor with a gradient, those that feed the last atoms first."""
    read_at = {name: at for at, atom in enumerate(truth.forward.atoms) for name in atom.reads}
    return sorted(truth.gradients.total, key=lambda name: -read_at.get(name, -1))


def common_progress(departure: StepComparison) -> float | None:
    """How far all parameters went of the way they should, where it is one and the same share; None elsewhere.

    The parameters whose true change is zero by algebra (b1) are left out.
    """
    shares = [share for name, share in departure.progress.items() if name in departure.departed]
    if len(shares) < 2 or len(shares) < len(departure.progress) - 1:
        return None
    middle = sorted(shares)[len(shares) // 2]
    return middle if all(abs(share - middle) < 1e-6 * max(1.0, abs(middle)) for share in shares) else None
