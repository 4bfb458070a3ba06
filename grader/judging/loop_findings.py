"""What is said of the loss and of each parameter of a loop."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from grader.diagnosing import Diagnosis, Mismatch, diagnose
from grader.judging.loops import WRONG_BATCH, LoopTrial, StepComparison, wrong_record
from grader.judging.verdicts import Finding, Place, failed
from grader.reading.loop_plan import LoopPlan

AS_THE_LESSON_SAYS = "Write it as `for step in tqdm(range(max_steps)):`."


@dataclass(frozen=True)
class LoopEvidence:
    """A loop in its trials: the one that decides, one with other sizes, and one step with random gradients."""

    plan: LoopPlan
    decisive: LoopTrial
    sizes: LoopTrial
    probe: LoopTrial | None
    record: str


def finding_of(name: str, evidence: LoopEvidence) -> Finding:
    """What is found out about the loss or a parameter called `name`."""
    plan, trial = evidence.plan, evidence.decisive
    if (departure := trial.first(name)) is not None:
        said = _explain(name, departure, trial, plan)
        line = plan.line_of(departure.culprit[0] if departure.culprit else f"d{name}")
        place = None if line is None else Place.of(plan.statement, line)
        return Finding("wrong", said.message, said.mistake, place)
    if trial.failure is not None:
        return failed(trial.failure, plan.statement)
    if not trial.steps:
        return Finding("error", f"No step of the loop ran. {AS_THE_LESSON_SAYS}", "no-loop")
    if (short := _length(trial)) is not None:
        return Finding("wrong", short, "loop-length")
    if name == "loss":
        redrawn = next((step for step in trial.steps if step.truth.redrawn), None)
        if redrawn is not None:
            return Finding("wrong", f"First departs at step {redrawn.step}. {WRONG_BATCH}", "wrong-batch")
        if (said_of := wrong_record(trial.steps, evidence.record, trial.reference.count)) is not None:
            return Finding("wrong", said_of, "wrong-losses")
    probe = evidence.probe
    vanishes = name != "loss" and all(step.truth.gradients.vanishes(name) for step in trial.steps)
    if vanishes and probe is not None and probe.first(name) is not None and _is_probed(name, probe, plan):
        said_here = (
            f"The true gradient of {name} is zero, so any zero looks right here. With random gradients from above the "
            f"loop does not move {name} as it should: compute d{name} and take it in the update."
        )
        return Finding("wrong", said_here, "vanishing")
    if evidence.sizes.failure is not None or evidence.sizes.first(name) is not None:
        said_there = "Right, but only at these sizes: a number such as 32, 200 or 27 is written into the loop."
        return Finding("pass", said_there, "hardcoded-size")
    return Finding("pass")


def _is_probed(name: str, probe: LoopTrial, plan: LoopPlan) -> bool:
    """True where every gradient that the one of `name` is made from was random, and the loop makes it from these."""
    feeds = [atom.name for atom in probe.exercise.atoms if name in atom.reads]
    return set(feeds) <= probe.upstream.keys() and not plan.goes_another_way(name, feeds)


def note_of(evidence: LoopEvidence) -> str | None:
    """The first step that departs, and in it the tensor nearest to the loss."""
    trial = evidence.decisive
    departed = next((step for step in trial.steps if step.departed or step.truth.redrawn), None)
    if departed is None:
        return None
    names = list(departed.departed) or ["loss"]
    read_at = {name: at for at, atom in enumerate(trial.exercise.atoms) for name in atom.reads}
    nearest = max(names, key=lambda name: (name == "loss", read_at.get(name, -1)))
    if departed.truth.redrawn:
        nearest = "loss"
    return f"step {departed.step} is the first that departs, and in it {nearest} is nearest to the loss."


def _length(trial: LoopTrial) -> str | None:
    """That the loop makes too few steps or too many."""
    wanted = trial.reference.count
    if trial.counted is not None and trial.counted != wanted:
        steps = "1 step" if trial.counted == 1 else f"{trial.counted:,} steps"
        return f"The loop makes {steps}; it should make {wanted:,}."
    if trial.waiting:
        return (
            f"The loop ends before step {trial.waiting[0]:,}; it should make {wanted:,} steps. Does a break or a "
            "return end it?"
        )
    return None


def _explain(name: str, departure: StepComparison, trial: LoopTrial, plan: LoopPlan) -> Diagnosis:
    at, how = f"First departs at step {departure.step}", departure.departed[name]
    if "shape" in how:
        return Diagnosis("wrong-shape", f"{at}: {how}.")
    if departure.culprit is not None:
        begins, found = departure.culprit
        return Diagnosis(found.mistake, f"{at}, and it begins at {begins}: {found.message}")
    if name == "loss":
        said = f"{at}: off by {how} of its value. Look at the batch and at the forward pass."
        return Diagnosis("wrong-loss", said)
    slip = _update_slip(name, departure, trial, plan)
    if slip is not None:
        return Diagnosis(slip.mistake, f"{at}: {slip.message}")
    truth, implied = departure.truth, departure.implied.get(name)
    if implied is not None and truth.before[name].dtype == implied.dtype:
        there = implied.to(truth.before[name].device)
        found = diagnose(Mismatch(name, there, truth.gradients, truth.forward))
        return Diagnosis(found.mistake, f"{at}. The update implies a gradient d{name}: {found.message}")
    return Diagnosis("wrong-values", f"{at}: off by {how} of the change that the step should make.")


def _update_slip(name: str, departure: StepComparison, trial: LoopTrial, plan: LoopPlan) -> Diagnosis | None:
    """A slip in the update itself: its rate, its sign, or which gradient it takes."""
    implied, true = departure.implied.get(name), departure.truth.gradients.total
    if name in departure.still:
        return Diagnosis("no-update", f"{name} did not move. Is the update in place, and inside the loop?")
    ratio = _common_progress(departure)
    if ratio is not None and abs(ratio + 1) < 1e-6:
        return Diagnosis("update-sign", "every parameter moved the wrong way. A step goes against the gradient.")
    if ratio is not None and abs(ratio - 1) > 1e-6:
        rebound = plan.rebound_counter()
        if rebound is not None:
            return Diagnosis(
                "shadowed-counter",
                f"every parameter moved {ratio:.4g} times as far as it should. {rebound} counts the steps, and the "
                "loop's body gives it another value.",
            )
        return Diagnosis(
            "learning-rate",
            f"every parameter moved {ratio:.4g} times as far as it should. Look at the learning rate there.",
        )
    if implied is None:
        return None
    before = trial.before(departure)
    if before is not None and _same(implied, before.truth.gradients.total[name]):
        return Diagnosis("stale-gradient", f"{name} moves by the gradient of an earlier step. Compute d{name} anew.")
    for other in departure.truth.before:
        if other != name and _same(implied, true[other]):
            return Diagnosis(
                "wrong-order",
                f"{name} moves by d{other}. The gradients stand in another order than the parameters.",
            )
    return None


def _same(implied: Tensor, gradient: Tensor) -> bool:
    try:
        spread = gradient.to("cpu").double().expand(implied.shape)
    except RuntimeError:
        return False
    scale = float(spread.abs().max())
    return scale > 0 and float((implied - spread).abs().max()) <= 1e-8 * scale


def _common_progress(departure: StepComparison) -> float | None:
    """How far all parameters went of the way they should, where it is one and the same share; None elsewhere.

    The parameters whose true change is zero by algebra (b1) are left out.
    """
    shares = [share for name, share in departure.progress.items() if name in departure.departed]
    if len(shares) < 2 or len(shares) < len(departure.progress) - 1:
        return None
    middle = sorted(shares)[len(shares) // 2]
    return middle if all(abs(share - middle) < 1e-6 * max(1.0, abs(middle)) for share in shares) else None
