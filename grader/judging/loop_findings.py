"""What is said of the loss and of each parameter of a loop."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from grader.admission.sentences import IS_AUTOGRAD
from grader.diagnosing import Diagnosis, Mismatch, diagnose, only_these_sizes
from grader.judging.loops import (
    WRONG_BATCH,
    LoopTrial,
    StepComparison,
    common_progress,
    last_read_at,
    same_gradient,
    wrong_record,
)
from grader.judging.verdicts import MOST_LINES, Finding, Place, blamed, failed
from grader.lesson.exercise import Exercise
from grader.reading.loop_lines import LoopLines, Spot
from grader.reading.loop_plan import LoopPlan
from grader.running.protocol import REFUSED, Failure

AS_THE_LESSON_SAYS = "Write it as `for step in tqdm(range(max_steps)):`."


@dataclass(frozen=True)
class LoopEvidence:
    """A loop in its trials: the one that decides, one with other sizes, and one step with random gradients."""

    plan: LoopPlan
    decisive: LoopTrial
    sizes: LoopTrial
    probe: LoopTrial

    @cached_property
    def lines(self) -> LoopLines:
        """Where in the loop something is done."""
        return LoopLines(self.plan)


def findings_of(evidence: LoopEvidence, names: Sequence[str]) -> dict[str, Finding]:
    """What is found out about the loss and about each parameter. A cause that several share is told once.

    It is told at the one nearest to the loss, where a learner looks first.
    """
    found = {name: _finding_of(name, evidence) for name in names}
    of_all = next(
        (finding for name, finding in found.items() if _is_of_all(finding, evidence.decisive.first(name))), None
    )
    if of_all is not None:
        unclear = ("vanishing", "not-finite", "wrong-values")
        found = {name: of_all if finding.mistake in unclear else finding for name, finding in found.items()}
    told: dict[tuple[str | None, str], str] = {}
    for name in _from_the_loss(evidence.decisive.exercise, names):
        finding = found[name]
        cause = finding.mistake, finding.message
        if finding.passed or not finding.message:
            continue
        if cause in told:
            found[name] = replace(finding, message=f"The same as for {told[cause]}: mend that first.")
        told.setdefault(cause, name)
    return found


def _is_of_all(finding: Finding, departure: StepComparison | None) -> bool:
    """True where what is wrong with one parameter is wrong with the update of all alike."""
    if departure is None:
        return False
    of_all = len(departure.departed.keys() & departure.progress.keys()) >= len(departure.progress) - 1
    return (finding.mistake == "no-update" and departure.nothing_moved) or (of_all and finding.mistake in _OF_ALL)


def _from_the_loss(exercise: Exercise, names: Iterable[str]) -> list[str]:
    read_at = last_read_at(exercise.atoms)
    return sorted(names, key=lambda name: (name != "loss", -read_at.get(name, -1)))


def _finding_of(name: str, evidence: LoopEvidence) -> Finding:
    plan, trial = evidence.plan, evidence.decisive
    if trial.failure is not None and trial.failure.type == REFUSED:
        by_index = dict(zip(plan.indexes, plan.statements, strict=True))
        found = failed(trial.failure, blamed(trial.failure, plan.statement, by_index))
        return replace(found, mistake="autograd-update") if found.mistake == IS_AUTOGRAD else found
    if trial.first(name) is not None:
        return _departure(name, trial, evidence)
    if trial.failure is not None:
        return _stopped(trial.failure, evidence)
    if not trial.steps and trial.broken is None:
        return Finding("error", f"No step of the loop ran. {AS_THE_LESSON_SAYS}", "no-loop")
    if (not plan.is_own or not trial.steps) and (short := _length(trial)) is not None:
        return Finding("wrong", short, "loop-length", _place(evidence.lines.of_end()) if trial.waiting else None)
    if name == "loss":
        redrawn = _redrawn(trial)
        if redrawn is not None:
            said = _SAME_BATCH if plan.is_own else WRONG_BATCH
            said = f"First wrong at step {redrawn.step}. {said}"
            return Finding("wrong", said, "wrong-batch", _place(evidence.lines.of_name(redrawn.truth.redrawn[0])))
        record = plan.exercise.losses_name
        if (said_of := wrong_record(trial.steps, record, trial.reference.count)) is not None:
            return Finding("wrong", said_of, "wrong-losses", _place(evidence.lines.of_record(record)))
    probe = evidence.probe
    if trial.vanishes(name) and (probed := probe.first(name)) is not None and _is_probed(name, probe, plan):
        if (alike := _slipped_alike(evidence)) is not None:
            return _departure(alike, trial, evidence)
        said = (
            f"The true gradient of {name} is zero, so any zero looks right here. With random upstream gradients the "
            f"loop does not move {name} as it should: "
        )
        if name in probed.right:
            said += f"d{name} is right there, so look at how the update takes it."
            return Finding("wrong", said, "vanishing", _place(evidence.lines.of_pairing(name, missing=True)))
        said += f"compute d{name} and take it in the update."
        return Finding("wrong", said, "vanishing", _place(evidence.lines.of_gradient(name)))
    if any(step.departed for step in trial.steps):
        return Finding("pass")  # what is wrong stops the trial of other sizes, too
    if evidence.sizes.failure is not None or evidence.sizes.first(name) is not None:
        said_there = only_these_sizes(name, [s.text for s in plan.statements], trial.steps[0].truth.forward)
        return Finding("pass", said_there, "hardcoded-size")
    return Finding("pass")


def _slipped_alike(evidence: LoopEvidence) -> str | None:
    """The parameter nearest to the loss, where one slip in the update is that of all parameters."""
    trial = evidence.decisive
    trained = trial.exercise.trained
    first = {name: trial.first(name) for name in trained if not trial.vanishes(name)}
    if any(step is None or step.culprit is not None for step in first.values()):
        return None
    return next(iter(_from_the_loss(trial.exercise, first)), None)


def _place(spot: Spot | None) -> Place | None:
    return None if spot is None else Place.of(spot.whole, spot.line)


def _place_of_gradient(name: str, evidence: LoopEvidence) -> Place | None:
    """The statement that makes a gradient; of several the one whose edit mends it, or else all of them."""
    spots, mended_at = evidence.lines.all_of_gradient(name), evidence.decisive.mended_at
    if not spots or name in mended_at:
        return _place(spots[mended_at[name]] if spots else None)
    together = len({id(spot.whole) for spot in spots}) == 1
    if together and 1 < len(spots) <= MOST_LINES:
        code = "\n".join(ast.unparse(spot.node) for spot in spots)
        return replace(Place.of(spots[0].whole, spots[0].line), code=code)
    return _place(spots[-1])


def _stopped(failure: Failure, evidence: LoopEvidence) -> Finding:
    """An exception in the loop. Where a gradient is wrong that was finished above its line, or the batch has another
    shape, that is what to look at."""
    trial, lines = evidence.decisive, evidence.lines
    found = failed(failure, evidence.plan.statement)
    culprit = None if trial.broken is None else trial.broken.culprit
    if trial.broken is None or culprit is None or failure.line is None:
        return found
    if culprit.gradient:
        place, spots = _place_of_gradient(culprit.tensor, evidence), lines.all_of_gradient(culprit.tensor)
    else:
        spots = [spot for name in trial.broken.truth.resized if (spot := lines.of_name(name)) is not None]
        place = _place(spots[0]) if spots else None
    if place is None or any(spot.line >= failure.line for spot in spots):
        return found
    said = f"It begins at {culprit.label}: {culprit.diagnosis.message} So the loop stops at line {failure.line}."
    return Finding("wrong", said, culprit.diagnosis.mistake, place)


def _is_probed(name: str, probe: LoopTrial, plan: LoopPlan) -> bool:
    """True where every gradient that the one of `name` is made from was random, and the loop makes it from these."""
    feeds = [atom.name for atom in probe.exercise.atoms if name in atom.reads]
    return set(feeds) <= probe.upstream.keys() and not plan.goes_another_way(name, feeds)


def first_departure(evidence: LoopEvidence) -> tuple[int, str] | None:
    """The first step that is wrong, and in it the tensor nearest to the loss; None where all are right."""
    trial = evidence.decisive
    redrawn = _redrawn(trial)
    departed = next((step for step in trial.steps if step.departed or step is redrawn), None)
    if departed is None:
        return None
    nearest = "loss" if departed is redrawn else _from_the_loss(trial.exercise, departed.departed)[0]
    return departed.step, nearest


_SAME_BATCH = "It has the batch of the step before: draw a new one in each step, inside the loop."


def _redrawn(trial: LoopTrial) -> StepComparison | None:
    """The first step on a batch that it should not have: another one than the lesson's or, in a loop of one's own
    notebook, that of the step before."""
    redrawn = [step for step in trial.steps if step.truth.redrawn]
    if trial.own_rates is None:
        return next(iter(redrawn), None)
    last = trial.reference.exercise.atoms[-1].reads
    batches = [[step.truth.forward.values[name] for name in last if name in step.truth.redrawn] for step in redrawn]
    same = (all(map(torch.equal, one, two)) for one, two in pairwise(batches))
    return next((step for step, stays in zip(redrawn[1:], same, strict=True) if stays), None)


def _length(trial: LoopTrial) -> str | None:
    """That the loop makes too few steps or too many."""
    wanted = trial.reference.count
    if not trial.steps:
        return f"The loop ends in its first step; it should make {wanted:,} steps. Does a break or a return end it?"
    if trial.counted is not None and trial.counted != wanted:
        steps = "1 step" if trial.counted == 1 else f"{trial.counted:,} steps"
        return f"The loop makes {steps}; it should make {wanted:,}."
    if trial.waiting:
        return (
            f"The loop ends before step {trial.waiting[0]:,}; it should make {wanted:,} steps. Does a break or a "
            "return end it?"
        )
    return None


def _departure(name: str, trial: LoopTrial, evidence: LoopEvidence) -> Finding:
    """Why `name` is not what it should be after a step, and the line that makes it so."""
    departures = [step for step in trial.steps if name in step.departed]
    departure, lines = departures[0], evidence.lines
    at = f"First wrong at step {departure.step}"
    if name in departure.misshapen:
        return Finding("wrong", f"{at}: {departure.misshapen[name]}.", "wrong-shape", _place(lines.of_name(name)))
    if (between := _between_parts(departure, evidence)) is not None:
        return replace(between, message=f"{at}: {between.message}")
    if departure.culprit is not None:
        culprit, found = departure.culprit, departure.culprit.diagnosis
        tensor, begins = culprit.tensor, culprit.label
        place = _place_of_gradient(tensor, evidence) if culprit.gradient else _place(lines.of_name(tensor))
        if culprit.unmoved:
            return Finding("wrong", f"{at}: {found.message}", found.mistake, _place(lines.of_update(culprit.unmoved)))
        if culprit.gradient and len(departure.departed) > 1 and tensor not in trial.mended_at:
            begins += _or_before(begins, lines.unknown_sources(tensor))
        return Finding("wrong", f"{at}, and it begins at {begins}: {found.message}", found.mistake, place)
    if name == "loss":
        said = f"{at}: off by {departure.how_far(name)} its value. Look at the batch and at the forward pass."
        return Finding("wrong", said, "wrong-loss", _place(lines.of_name("loss")))
    if (slip := _update_slip(name, departures, trial, lines)) is not None:
        diagnosis, spot = slip
        return Finding("wrong", f"{at}: {diagnosis.message}", diagnosis.mistake, _place(spot))
    truth, implied = departure.truth, departure.implied.get(name)
    if implied is not None and truth.before[name].dtype == implied.dtype:
        there = implied.to(truth.before[name].device)
        found = diagnose(Mismatch(name, there, truth.gradients, truth.forward))
        if name in departure.right and found.mistake in ("transposed", "sign"):
            said = f"{at}. d{name} is right, but the update takes something else in its place: {found.message}"
            return Finding("wrong", said, found.mistake, _place(lines.of_update(name)))
    if implied is not None and truth.before[name].dtype == implied.dtype and name not in departure.right:
        said = f"{at}. The update implies a gradient d{name}: {found.message}"
        return Finding("wrong", said, found.mistake, _place(lines.of_gradient(name)))
    said = f"{at}: off by {departure.how_far(name)} the change that the step should make."
    if name in departure.right:
        said = f"{at}. d{name} is right, but {name} moves by something else: {said.removeprefix(f'{at}: ')}"
    if not math.isfinite(departure.departed[name]):
        said = f"{at}: after it {name} is nan or infinite. Is there a division by zero, or a root of a negative number?"
    return Finding("wrong", said, "wrong-values", _place(lines.of_update(name)))


def _or_before(begins: str, sources: Mapping[str, int]) -> str:
    """Other places where it may begin: what a gradient is made from, where no name says what that should be."""
    if not sources:
        return ""
    said = ", ".join(f"{name} (line {line})" for name, line in sources.items())
    return f", or at what {begins} is made from, {said}"


def _between_parts(departure: StepComparison, evidence: LoopEvidence) -> Finding | None:
    """Of gradients whose parts are written one after another, as one block of layers after another comes back: up to
    which part they are right. None where only one of them is wrong, or an edit of its lines mends it."""
    wrong = departure.wrong_parts
    if sum(bool(places.any()) for places in wrong.values()) < 2 or wrong.keys() & evidence.decisive.mended_at.keys():
        return None
    for atom in reversed(departure.truth.forward.atoms):
        shares = {name: departure.truth.gradients.shares[name].get(atom.name) for name in wrong}
        used = {int(at) for share in shares.values() if share is not None and share.dim() for at in _rows_used(share)}
        parts = evidence.lines.parts_of_gradients(wrong.keys(), used.pop()) if len(used) == 1 else []
        states = [bool(wrong[name][place].any()) for _, name, place in parts]
        if True not in states:
            continue
        first = states.index(True)
        spot, name, place = parts[first]
        label, at = f"d{name}{list(place)}", spot.line
        if not first:
            said = f"{label} is the first part that is wrong. Look at line {at} and at those above it in the loop."
            return Finding("wrong", said, "wrong-values", _place(spot))
        before, other, there = parts[first - 1]
        begin, statement = before.line + 1, spot.whole
        lines = f"line {at}" if begin == at else f"lines {begin} to {at}"
        said = f"d{other}{list(there)} is right, {label} is not. Look at {lines}, and at what is called there."
        code = [text for line in range(begin, at + 1) if (text := statement.line_text(line))]
        shown = Place(begin, statement.cell.number, "\n".join(code)) if len(code) <= MOST_LINES else None
        return Finding("wrong", said, "wrong-values", shown or _place(spot))
    return None


def _rows_used(share: Tensor) -> list[int]:
    """The rows, such as the layers of stacked weights, in which a share is not zero."""
    return [at for at, row in enumerate(share) if bool(row.any())]


_OF_ALL = frozenset({"update-sign", "learning-rate", "shadowed-counter", "bias-correction", "momentum"})
"""Slips in the update of all parameters alike."""


def _update_slip(
    name: str, departures: Sequence[StepComparison], trial: LoopTrial, lines: LoopLines
) -> tuple[Diagnosis, Spot | None] | None:
    """A slip in the update itself, such as its rate, its sign, or which gradient it takes; and where that stands."""
    departure = departures[0]
    if name in departure.still:
        who = "no parameter moved" if departure.nothing_moved else f"{name} did not move"
        spot = lines.of_update(name) if departure.nothing_moved else lines.of_pairing(name, missing=True)
        return Diagnosis("no-update", f"{who}. Is the update in place, and inside the loop?"), spot
    ratio = common_progress(departure)
    if ratio is not None and (ratio < 0 if trial.own_rates is not None else abs(ratio + 1) < 1e-6):
        said = "every parameter moved the wrong way. A step goes against the gradient."
        return Diagnosis("update-sign", said), lines.of_update(name)
    if (
        ratio is not None
        and abs(ratio - 1) > 1e-6
        and not lines.has_rate(name, departure.truth.rate, departure.numbers)
    ):
        return _wrong_rate(name, ratio, departure, lines)
    if name in departure.right and (found := _of_one(name, ratio is not None, departure)) is not None:
        return found, lines.of_update(name)
    if (slipped := next((step for step in departures if name in step.slips), None)) is not None:
        slip = slipped.slips[name]
        return Diagnosis(slip.mistake, slip.said), lines.of_slip(name, slip.mistake, slip.at)
    implied = departure.implied.get(name)
    before = trial.before(departure)
    if implied is None:
        return None
    if before is not None and same_gradient(implied, before.truth.gradients.total[name]):
        said = f"{name} moves by the gradient of an earlier step. Compute d{name} anew."
        return Diagnosis("stale-gradient", said), lines.of_pairing(name)
    for other in departure.truth.before:
        if other != name and same_gradient(implied, departure.truth.gradients.total[other]):
            said = f"{name} moves by d{other}. The gradients stand in another order than the parameters."
            return Diagnosis("wrong-order", said), lines.of_pairing(name)
    return None


def _of_one(name: str, alike: bool, departure: StepComparison) -> Diagnosis | None:
    """How a parameter was moved by its right gradient: too far, the wrong way, or by itself as well. `alike` where all
    parameters moved so."""
    implied, true, before = departure.implied.get(name), departure.truth.gradients.total[name], departure.truth.before
    if implied is None:
        return None
    true, own = true.to(implied.device), before[name].to(implied.device)
    who, share = "every parameter" if alike else name, departure.progress[name]
    if abs(share) > _LEAST_SHARE and same_gradient(implied, share * true):
        if share < 0 and abs(share + 1) < 1e-6:
            return Diagnosis("update-sign", f"{who} moved the wrong way. A step goes against the gradient.")
        far = f"{who} moved {_times(share)} as far as it should"
        right = "The gradients are" if alike else f"d{name} is"
        return Diagnosis("learning-rate", f"{far}. {right} right: look at what the update multiplies by.")
    more = implied - true
    size = float(own.double().square().sum())
    decay = float((more.double() * own.double()).sum()) / size if size else 0.0
    if not decay or not same_gradient(more, decay * own):
        return None
    if abs(decay * departure.truth.rate - 1) < 1e-6:
        return Diagnosis("update-sign", "it becomes the step itself, and its value before is lost: `=-` is no `-=`.")
    return Diagnosis("weight-decay", f"it also moves by {decay:.4g} times itself, as by weight decay. Here is none.")


_LEAST_SHARE = 1e-3
"""Beside a smaller share of the step rounding would hide what it is a share of."""


def _times(ratio: float) -> str:
    """`0.5 times`, with as many digits as tell it from 1."""
    digits = next((digits for digits in (4, 6, 8) if float(f"{ratio:.{digits}g}") != 1.0), 10)
    return f"{ratio:.{digits}g} times"


def _wrong_rate(name: str, ratio: float, departure: StepComparison, lines: LoopLines) -> tuple[Diagnosis, Spot | None]:
    far = f"every parameter moved {_times(ratio)} as far as it should"
    if (rebound := lines.of_counter()) is not None:
        counter, spot = rebound
        said = f"{far}. {counter} counts the steps, and the loop's body gives it another value."
        return Diagnosis("shadowed-counter", said), spot
    rate = lines.of_rate(name, departure.truth.rate, departure.numbers)
    return Diagnosis("learning-rate", f"{far}. Look at the learning rate there."), rate
