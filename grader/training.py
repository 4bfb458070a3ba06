"""Grade a training loop against the same loop run by autograd, step by step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from grader.diagnose import shape_text
from grader.exercise import Exercise
from grader.forbidden import autograd_use
from grader.judge import SETUP_SECONDS, STATEMENT_SECONDS, Failure, StepFailed, next_message
from grader.report import SubmissionReport, Verdict
from grader.sandbox import Launcher, Worker
from grader.submission import Part
from grader.training_plan import TrainingPlan, plan_training
from grader.verdicts import explain_failure, place
from grader.wire import WireError, receive_tensors, send_message, send_tensors
from grader.world import World, as_written, namespace_of, other_data, other_sizes


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


@dataclass
class Reference:
    """The loop by autograd. `step` makes one and returns the loss and the parameters after it."""

    exercise: Exercise
    namespace: dict[str, Any]
    generator: torch.Generator

    @classmethod
    def start(cls, exercise: Exercise, world: World) -> Reference:
        namespace = namespace_of(exercise, world.parameters)
        generators = [value for value in namespace.values() if isinstance(value, torch.Generator)]
        return cls(exercise, namespace, generators[0])

    def step(self, position: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """(parameters before, loss and parameters after) the step at `position` of the loop."""
        before = {name: self.namespace[name].detach().clone() for name in self.exercise.trained}
        leaves = {name: value.clone().requires_grad_() for name, value in before.items()}
        scope = {**self.namespace, **leaves}
        with torch.enable_grad():
            for atom in self.exercise.atoms:
                exec(atom.code, scope)
            loss = scope[self.exercise.atoms[-1].name]
            gradients = torch.autograd.grad(loss, list(leaves.values()))
        rates, count = self.namespace["learning_rates"], self.namespace["max_steps"]
        rate = rates[0] if position < count / 2 else rates[1]
        after = {name: before[name] - rate * g for name, g in zip(before, gradients, strict=True)}
        self.namespace.update(after)
        return before, {"loss": loss.detach(), **after}


@dataclass
class StepComparison:
    """One step of the loop: which tensors departed, and how far each parameter went of the way it should."""

    step: int
    departed: dict[str, str] = field(default_factory=dict)
    progress: dict[str, float] = field(default_factory=dict)


@dataclass
class Outcome:
    """One world's run: the steps that were compared, and why it ended early."""

    steps: list[StepComparison] = field(default_factory=list)
    exact: dict[str, bool] = field(default_factory=dict)
    maxdiff: dict[str, float] = field(default_factory=dict)
    failure: Failure | None = None

    def first(self, name: str) -> StepComparison | None:
        """The first step after which `name` is not what it should be."""
        return next((step for step in self.steps if name in step.departed), None)


def grade_training(part: Part, report: SubmissionReport, launcher: Launcher, seed: int, device: str) -> None:
    """Fill `report` with a verdict for the loss and for each trained parameter."""
    exercise = part.exercise
    report.verdicts = [Verdict(name, message="not attempted") for name in exercise.graded]
    plan = plan_training(part.analysis, exercise)
    if plan is None:
        report.attempted = False
        return
    loop_line = plan.loop_line()
    for verdict in report.verdicts:
        place(verdict, plan.statement, loop_line)
    for statement in plan.statements:
        if (door := autograd_use(statement.node)) is not None:
            for verdict in report.verdicts:
                verdict.status, verdict.mistake = "forbidden", "autograd-update"
                verdict.message = f"line {statement.line}: the loop takes gradients from autograd ({door})."
            return
    decisive = _run(launcher, plan, other_data(seed, device))
    shown = _run(launcher, plan, as_written(device))
    sizes = _run(launcher, plan, other_sizes(exercise, seed, device))
    for verdict in report.verdicts:
        _decide(verdict, decisive, plan)
        if verdict.name in shown.maxdiff:
            verdict.exact, verdict.maxdiff = shown.exact[verdict.name], shown.maxdiff[verdict.name]
            verdict.approximate = shown.first(verdict.name) is None
        if verdict.passed and (sizes.failure is not None or sizes.first(verdict.name) is not None):
            verdict.mistake = "hardcoded-size"
            verdict.message = (
                "Right, but only at these sizes: a number such as 32, 200 or 27 is written into the loop."
            )
    _note_first_departure(report, decisive, exercise)


def _run(launcher: Launcher, plan: TrainingPlan, world: World) -> Outcome:
    worker = launcher.start()
    try:
        return _compare_steps(worker, plan, world)
    except StepFailed as failed:
        return Outcome(failure=Failure(failed.kind))
    finally:
        worker.close()


def _compare_steps(worker: Worker, plan: TrainingPlan, world: World) -> Outcome:
    outcome = Outcome()
    try:
        send_message(worker.connection, plan.request(world))
        reference = Reference.start(plan.exercise, world)
        next_message(worker, time.monotonic() + SETUP_SECONDS)
        while True:
            message = next_message(worker, time.monotonic() + STATEMENT_SECONDS)
            match message.get("op"):
                case "running":
                    continue
                case "step":
                    handed = receive_tensors(worker.connection)
                    before, truth = reference.step(int(message["position"]))
                    _compare_step(int(message["position"]), handed, before, truth, outcome)
                    state = {"generator": reference.generator.get_state()}
                    send_tensors(worker.connection, {n: truth[n] for n in plan.exercise.trained} | state)
                case "done":
                    outcome.failure = Failure.read(message.get("failure"))
                    return outcome
                case _:
                    raise StepFailed(None, "crash")
    except (OSError, EOFError, WireError, KeyError, ValueError, TypeError):
        raise StepFailed(None, "crash") from None


def _compare_step(
    step: int,
    handed: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
    truth: Mapping[str, Tensor],
    outcome: Outcome,
) -> None:
    found = StepComparison(step)
    outcome.steps.append(found)
    for name, true in truth.items():
        true, ours = true.to("cpu"), handed.get(name)
        if ours is None or ours.shape != true.shape:
            have = "there is none" if ours is None else f"its shape is {shape_text(ours.shape)}"
            found.departed[name] = f"{have}; it should be a tensor of shape {shape_text(true.shape)}"
            continue
        difference = float((ours.double() - true.double()).abs().max())
        if name in before:
            start = before[name].to("cpu").double()
            should = true.double() - start
            change, size = float(should.abs().max()), float(true.abs().max())
            made = float(((ours.double() - start) * should).sum())
            found.progress[name] = made / max(float(should.square().sum()), 1e-300)
        else:
            change, size = float(true.abs()), 0.0
        limit = LIMITS[true.dtype]
        outcome.exact[name] = outcome.exact.get(name, True) and bool(torch.equal(ours, true))
        outcome.maxdiff[name] = max(outcome.maxdiff.get(name, 0.0), difference)
        if not difference <= limit.step * change + limit.parameter * size:
            found.departed[name] = f"{difference / change:.1e}" if change else "inf"


def _decide(verdict: Verdict, outcome: Outcome, plan: TrainingPlan) -> None:
    departure = outcome.first(verdict.name)
    if departure is not None:
        verdict.status = "wrong"
        verdict.mistake, verdict.message = _explain(verdict.name, departure)
    elif outcome.failure is not None:
        explain_failure(verdict, plan.statement, outcome.failure)
    elif outcome.steps:
        verdict.status, verdict.message = "pass", ""
    else:
        verdict.status, verdict.mistake = "error", "no-loop"
        verdict.message = "No step of the loop ran. Write it as `for step in tqdm(range(max_steps)):`."


def _explain(name: str, departure: StepComparison) -> tuple[str, str]:
    at, how = f"First departs at step {departure.step}", departure.departed[name]
    if "shape" in how:
        return "wrong-shape", f"{at}: {how}."
    if name == "loss":
        return "wrong-loss", f"{at}: off by {how} of its value. Look at the batch and at the forward pass."
    ratio = common_progress(departure)
    if ratio is None or abs(ratio - 1) < 1e-6:
        return "wrong-values", (
            f"{at}: after the update it is off by {how} of the change that the step should make. "
            f"Look at d{name} and at what flows into it."
        )
    if abs(ratio) < 1e-9:
        return "no-update", f"{at}: no parameter moved. Is the update in place, and inside the loop?"
    if abs(ratio + 1) < 1e-6:
        return "update-sign", f"{at}: every parameter moved the wrong way. A step goes against the gradient."
    return "learning-rate", (
        f"{at}: every parameter moved {ratio:.4g} times as far as it should. Look at the learning rate there."
    )


def common_progress(departure: StepComparison) -> float | None:
    """How far all parameters went of the way they should, where it is one and the same share; None elsewhere.

    The parameters whose true change is zero by algebra (b1) are left out.
    """
    shares = [share for name, share in departure.progress.items() if name in departure.departed]
    if len(shares) < 2 or len(shares) < len(departure.progress) - 1:
        return None
    middle = sorted(shares)[len(shares) // 2]
    return middle if all(abs(share - middle) < 1e-6 * max(1.0, abs(middle)) for share in shares) else None


def _note_first_departure(report: SubmissionReport, outcome: Outcome, exercise: Exercise) -> None:
    """Name the first step that departs, and in it the tensor nearest to the loss."""
    departed = next((step for step in outcome.steps if step.departed), None)
    if departed is None:
        return
    read_at = {name: at for at, atom in enumerate(exercise.atoms) for name in atom.reads}
    nearest = max(departed.departed, key=lambda name: (name == "loss", read_at.get(name, -1)))
    report.notes.append(
        f"step {departed.step} is the first that departs, and in it {nearest} is nearest to the loss."
    )
