"""A learner's loop beside the same loop by autograd: which of its steps run, and how far each is off."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor

from grader.diagnosing import Diagnosis, Mismatch, diagnose, shape_text
from grader.diagnosing.core import SAME_FACTOR, size_words, spread_to
from grader.lesson.exercise import Atom, Exercise
from grader.lesson.trials import Trial, draw_seed
from grader.running.loop_run import GENERATOR, UPSTREAM
from grader.running.protocol import Failure, LoopStep, NextStep, Record, TellAll, encode
from grader.truth.adam import Slip
from grader.truth.autograd import backpropagate, cut_forward, random_gradients
from grader.truth.loop import TrueStep
from grader.truth.truths import KnownTruths

_MOST_WRITTEN, _DRAWN = 24, 2
AT_FIRST = 3
"""So many steps run at the beginning, one after another."""
_OWN_RATES = 1e-3, 10
"""How much of the lesson's a rate of one's own may be: in far smaller steps rounding would hide what is wrong, and far
larger ones are no rate, but a factor too many."""
_SAME_LOSS = 1e-5
_TELL_ALL = encode(TellAll())


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
class Culprit:
    """Where a wrong step begins, a tensor of the forward pass or the `gradient` of one, and what is wrong there.

    `unmoved` is a parameter that no step has moved, where that is what is wrong.
    """

    tensor: str
    diagnosis: Diagnosis
    gradient: bool = False
    unmoved: str = ""

    @property
    def label(self) -> str:
        """`dlogits` for the gradient of `logits`, which is `logits` itself."""
        return f"d{self.tensor}" if self.gradient else self.tensor


@dataclass
class StepComparison:
    """One step of the loop: which tensors are wrong and how far, and how far each parameter moved of its way.

    `departed` has the largest error of each wrong tensor, and `misshapen` what is said of one of another shape.
    `culprit` is where it begins: the first wrong forward tensor or, failing that, the wrong gradient nearest to
    the loss, with what is wrong about it. `still` are the parameters that did not move, `right` those whose gradient
    was handed over and is right; `implied` the gradient that a parameter's move implies, where the optimiser takes the
    rate times the gradient and no more; `slips` the mistake in the optimiser that gives a parameter exactly.
    `wrong_parts` are the wrong places of each gradient that is as near to the loss as that of the culprit.
    """

    truth: TrueStep
    departed: dict[str, float] = field(default_factory=dict)
    misshapen: dict[str, str] = field(default_factory=dict)
    progress: dict[str, float] = field(default_factory=dict)
    culprit: Culprit | None = None
    implied: dict[str, Tensor] = field(default_factory=dict)
    still: set[str] = field(default_factory=set)
    right: set[str] = field(default_factory=set)
    slips: dict[str, Slip] = field(default_factory=dict)
    wrong_parts: Mapping[str, Tensor] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """The position in the loop."""
        return self.truth.position

    @property
    def nothing_moved(self) -> bool:
        """True where every parameter is what it was before the step."""
        return self.still == set(self.progress)

    def how_far(self, name: str) -> str:
        """How far off a wrong tensor is beside the change that the step should make: `18% of`, `twice`."""
        change, _ = self.truth.sizes(name)
        return size_words(self.departed[name] / change) if change else "many times"


class LoopTrial:
    """One loop in one trial, from the judge's side.

    Its positions are drawn when the loop begins, and the worker hears of each only when it is next.
    """

    def __init__(
        self,
        exercise: Exercise,
        trial: Trial,
        known: KnownTruths,
        written: Collection[int] = (),
        *,
        moments: Collection[int] = (),
        few: bool = False,
        in_full: bool = False,
        probed: Collection[str] = (),
        decisive: LoopTrial | None = None,
        own_rates: Collection[float] | None = None,
    ) -> None:
        """`written` are whole numbers that the loop's text holds. With `few` the first step and the last one run, with
        `in_full` every step. At `moments` the loop may do what later steps build on, such as `lr *= 0.1`: these run, as
        well.

        With `probed` one step runs, in which the gradients of these tensors are random, unless none vanishes in the
        trial that is `decisive`. A loop of a notebook of one's own has `own_rates`, numbers of its text: its rates and
        its batches are its own.
        """
        self.exercise, self.trial, self.written, self.few, self.probed = exercise, trial, written, few, probed
        self.moments, self.in_full = moments, in_full
        self.decisive = decisive
        self.own_rates = own_rates
        self.reference = known.loop(exercise, trial)
        self.steps: list[StepComparison] = []
        self.exact: dict[str, bool] = {}
        self.maxdiff: dict[str, float] = {}
        self.failure: Failure | None = None
        self.counted: int | None = None
        self.left = False
        self.broken: StepComparison | None = None
        self.mended_at: dict[str, int] = {}
        self.waiting: list[int] = []
        self.asked: tuple[TrueStep, Mapping[str, Tensor]] | None = None
        self.upstream: dict[str, Tensor] = {}

    def first(self, name: str) -> StepComparison | None:
        """The first step after which `name` is not what it should be."""
        return next((step for step in self.steps if name in step.departed), None)

    def vanishes(self, name: str) -> bool:
        """Whether the true gradient of a parameter is zero in each step, so that any zero looks right here."""
        return name != "loss" and all(step.truth.gradients.vanishes(name) for step in self.steps)

    def before(self, comparison: StepComparison) -> StepComparison | None:
        """The step that was compared before this one."""
        position = self.steps.index(comparison)
        return self.steps[position - 1] if position else None

    def begins(self, count: int | None) -> bytes:
        """The loop is about to make `count` steps: the message that says where it is to begin."""
        self.counted = count
        last = self.reference.count if count is None else min(count, self.reference.count)
        self.waiting = [position for position in self._positions() if position < last]
        return self._next({})

    def _next(self, known: dict[str, Tensor]) -> bytes:
        """The message that says which step is next, and what is `known` by now."""
        position = self.waiting[0] if self.waiting else None
        if position is not None and self.probed:
            known |= self._random_gradients()
        return self.reference.message((position, *known), lambda: encode(NextStep(position), known))

    def _random_gradients(self) -> dict[str, Tensor]:
        if not self.upstream:
            with self.reference.nothing_drawn():
                forward = cut_forward(self.exercise, self.reference.namespace)
            names = sorted(set(self.probed) & set(self.exercise.forward_names) & forward.outputs.keys())
            self.upstream = random_gradients(forward, names, draw_seed(self.trial.parameters["seed"], "upstream"))
        return {f"{UPSTREAM}{name}": value for name, value in self.upstream.items()}

    def _positions(self) -> list[int]:
        count = self.reference.count
        if self.decisive is not None:
            return [0] if any(map(self.decisive.vanishes, self.exercise.after_a_step.values())) else []
        if self.in_full:
            return list(range(count))
        ends = {*range(AT_FIRST), count - 1}
        changing = self._unsure() & {moment + off for moment in self.moments for off in (-1, 0)}
        if self.few:
            return sorted({0, count - 1} | changing)
        draw = random.Random(draw_seed(int(self.trial.parameters.get("seed", 0)), "positions"))
        changes = self.reference.changes
        near = {change + off for change in changes for off in (-2, 1)}  # the rate may change a step sooner or later
        bounds = [0, *changes, count]
        between = {draw.randrange(low, high) for low, high in pairwise(bounds) for _ in range(_DRAWN) if high > low}
        odd = sorted({number + off for number in self.written for off in (-1, 0, 1) if 2 < number + off < count})
        chosen = draw.sample(odd, min(len(odd), _MOST_WRITTEN))
        return sorted(
            p for p in {*ends, *near, *between, *chosen} - (self._unsure() - ends) | changing if 0 <= p < count
        )

    def _unsure(self) -> set[int]:
        """The positions at which the rate changes, a step sooner or later."""
        return {change + off for change in self.reference.changes for off in (-1, 0)}

    def _at_the_next_rate(self, compared: StepComparison) -> bool:
        """Whether a step is right at the rate of the step before or after it, and stands where the rate changes."""
        ratio, at, rate = common_progress(compared), compared.step, compared.truth.rate
        if ratio is None or at not in self._unsure() or "loss" in compared.departed:
            return False
        beside = [self.reference.rate(other) for other in (at - 1, at + 1)]
        return any(abs(ratio * rate - other) <= 1e-6 * abs(other) for other in beside)

    def ends(self, failure: Failure | None) -> None:
        """The loop is over. A step that an exception ended is none; what it held by then may tell why."""
        self.failure = failure
        if failure is not None and self.left:
            self.broken, self.left = self.steps.pop(), False

    def step(self, message: LoopStep, handed: Mapping[str, Tensor]) -> bytes:
        """Judge what the loop holds after a step; the message with the next position and the true parameters.

        Of a step that is right no more is asked for than what decides. Of another, all that it holds: what was sent
        first still decides.

        Raises:
            ValueError: it is not the step that was asked for.
        """
        position = message.position
        if not self.waiting or position != self.waiting[0] or self.left or (self.asked and not message.whole):
            raise ValueError("not the step that was asked for")
        early = message.left and len(self.waiting) > 1  # it ends too early, whatever this step has done by now
        truth, sent = self.asked or (self.reference.step(position, self._drawn(handed), self.upstream or None), {})
        handed = {**handed, **sent}
        earlier = self.steps[-1].truth if self.steps and not early else None
        compared = compare_step(handed, truth, earlier, probed=bool(self.probed))
        if compared.departed and not early and self._at_the_next_rate(compared):
            compared = StepComparison(truth)
        if not message.whole and (early or compared.departed):
            self.asked = truth, handed
            return _TELL_ALL
        self.asked = None
        if compared.departed and self.steps and compared.culprit is not None and not compared.culprit.gradient:
            compared.culprit = _unmoved(compared.culprit, handed, self.steps[0].truth.before, truth) or compared.culprit
        if compared.departed and truth.resized and self.own_rates is None:
            compared.culprit = Culprit(truth.resized[0], Diagnosis("wrong-batch", WRONG_BATCH))
        if early:
            self.broken = compared
            return encode(NextStep())
        self.left = message.left
        del self.waiting[0]
        if self.own_rates is not None:
            numbers = {*self.own_rates, *message.numbers.values()}
            own = _at_own_rate(compared, handed, numbers)
            compared = compare_step(handed, own, earlier, probed=bool(self.probed)) if own is not None else compared
        compared.records, compared.numbers = message.records, message.numbers
        self.steps.append(compared)
        for name, true in () if self.trial.decides else compared.truth.after.items():  # figures are the lesson's own
            ours = handed.get(name)
            if ours is not None and ours.shape == true.shape:
                self.exact[name] = self.exact.get(name, True) and bool(torch.equal(ours.to(true.dtype), true.cpu()))
                difference = float((ours.double() - true.cpu().double()).abs().max()) if true.numel() else 0.0
                self.maxdiff[name] = max(self.maxdiff.get(name, 0.0), difference)
        known = {name: truth.after[name] for name in self.exercise.trained}
        if (state := self.reference.generator_state()) is not None:
            known[GENERATOR] = state
        return self._next(known)

    def _drawn(self, handed: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The batch that the loop drew: it is taken as given, where it fits, and judged apart."""
        values = self.reference.namespace
        sizes = [len(value) for value in values.values() if isinstance(value, Tensor) and value.dim()]
        found = {}
        for name in self.exercise.forward_names if self.own_rates is not None else self.reference.draws:
            ours = handed.get(name)
            if ours is None or ours.dtype is not torch.int64 or not ours.numel():
                continue
            if int(ours.min()) >= 0 and int(ours.max()) < max(sizes, default=0):
                found[name] = ours
        return found


def _at_own_rate(compared: StepComparison, handed: Mapping[str, Tensor], numbers: Collection[float]) -> TrueStep | None:
    """The true step at the rate of a notebook of one's own; None where the parameters have none in common.

    What a parameter went whose gradient was handed over and is right shows the rate. Without one a common share is a
    rate where it is a number of the loop.
    """
    truth, total = compared.truth, compared.truth.gradients.total
    moving = {name: share for name, share in compared.progress.items() if not truth.gradients.vanishes(name)}
    right = {name for name in moving if f"d{name}" in handed and same_gradient(handed[f"d{name}"], total[name])}
    shares = [share for name, share in moving.items() if name in right or not right]
    ratio = _common(shares, len(shares) // 2 + 1)
    if ratio is None or not compared.implied or not _OWN_RATES[0] < ratio < _OWN_RATES[1] or abs(ratio - 1) < 1e-9:
        return None
    rate = ratio * truth.rate
    if not right and (compared.culprit is not None or all(abs(number - rate) > 1e-6 * rate for number in numbers)):
        return None
    after = {name: value + ratio * (truth.after[name] - value) for name, value in truth.before.items()}
    return replace(truth, after=truth.after | after, rate=rate)


def common_progress(departure: StepComparison) -> float | None:
    """How far all parameters went of the way they should, where it is one and the same share; None elsewhere.

    The parameters whose true change is zero by algebra (b1) are left out.
    """
    shares = [share for name, share in departure.progress.items() if name in departure.departed]
    return _common(shares, len(shares)) if len(shares) >= max(2, len(departure.progress) - 1) else None


def _common(shares: Sequence[float], fewest: int) -> float | None:
    """The share that at least so many of `shares` are; None where there is none."""
    middle = sorted(shares)[len(shares) // 2] if shares else 0.0
    alike = sum(abs(share - middle) < 1e-6 * max(1.0, abs(middle)) for share in shares)
    return middle if shares and alike >= fewest else None


def compare_step(
    handed: Mapping[str, Tensor], truth: TrueStep, earlier: TrueStep | None = None, *, probed: bool = False
) -> StepComparison:
    """Compare what a loop handed over after a step with the true step; `earlier` is the one that ran before it."""
    found = StepComparison(truth)
    for name, expected in truth.after.items():
        true, ours = expected.to("cpu"), handed.get(name)
        if ours is None and name == "loss":
            continue  # a loop may have no name for it: the list of losses says what it is
        if ours is None or ours.shape != true.shape:
            have = "there is none" if ours is None else f"its shape is {shape_text(ours.shape)}"
            found.departed[name] = math.nan
            found.misshapen[name] = f"{have}; it should be a tensor of shape {shape_text(true.shape)}"
            continue
        difference = _largest(ours, true, truth.noise.get(name))
        if name in truth.otherwise:
            difference = min(difference, _largest(ours, truth.otherwise[name].to("cpu"), truth.noise.get(name)))
        change, size = truth.sizes(name)
        limit = LIMITS[true.dtype]
        allowed = limit.step * change + limit.parameter * size
        if not difference <= allowed:
            found.departed[name] = difference
            for slip in truth.slips(name) if name in truth.before else ():
                if _largest(ours, slip.after.to("cpu"), truth.noise.get(name)) <= allowed:
                    found.slips[name] = slip
                    break
    for name in truth.before if found.departed else ():
        if name in handed and handed[name].shape == truth.after[name].shape:
            _note_move(found, name, handed[name], truth.after[name].to("cpu"))
    if found.departed and not probed and truth.after["loss"].dtype is torch.float64:
        found.culprit = _wrong_forward(handed, truth) or _wrong_gradient(handed, truth, earlier)
        if found.culprit is not None and found.culprit.gradient:
            found.wrong_parts = _wrong_parts(handed, truth, found.culprit.tensor)
        found.right = {name for name in truth.before if f"d{name}" in handed and found.culprit is None}
    elif found.departed and probed:
        total = truth.gradients.total
        found.right = {n for n in truth.before if f"d{n}" in handed and same_gradient(handed[f"d{n}"], total[n])}
    return found


def _note_move(found: StepComparison, name: str, ours: Tensor, true: Tensor) -> None:
    """Note how a parameter moved in a step."""
    truth = found.truth
    start = truth.before[name].to("cpu").double()
    should, made = true.double() - start, ours.double() - start
    found.progress[name] = float((made * should).sum()) / max(float(should.square().sum()), 1e-300)
    if float(made.abs().max()) == 0.0:
        found.still.add(name)
    plain = start - truth.rate * truth.gradients.total[name].to("cpu").double()
    if truth.rate and torch.allclose(plain, true.double(), rtol=1e-9, atol=1e-12):
        found.implied[name] = -made / truth.rate


def _largest(ours: Tensor, true: Tensor, noise: Tensor | None = None) -> float:
    """The largest difference, beyond what rounding makes of it; nan where there are numbers that are none."""
    if not true.numel():
        return 0.0
    apart = (ours.double() - true.double()).abs()
    if noise is None and (largest := float(apart.max())) == largest:
        return largest
    apart = apart.masked_fill(ours.isnan() & true.isnan(), 0.0)
    return float(apart.max() if noise is None else (apart - noise.to("cpu").double()).clamp(min=0.0).max())


def _wrong_forward(handed: Mapping[str, Tensor], truth: TrueStep) -> Culprit | None:
    """The first tensor of the forward pass that is not what it should be."""
    for name, true in truth.forward.values.items():
        ours = handed.get(name)
        if ours is None or name in truth.before or not isinstance(true, Tensor):
            continue
        same = ours.shape == true.shape and torch.allclose(
            ours.double(), true.to("cpu").double(), rtol=1e-9, atol=1e-12
        )
        if same or _is_slice(ours, true):
            continue
        if not true.is_floating_point():
            return Culprit(name, Diagnosis("wrong-batch", WRONG_BATCH))
        said = f"the tensor {name} of the forward pass is not what the exercise's forward pass gives."
        return Culprit(name, Diagnosis("wrong-forward", f"The forward pass is another one: {said}"))
    return None


def _unmoved(
    culprit: Culprit, handed: Mapping[str, Tensor], first: Mapping[str, Tensor], truth: TrueStep
) -> Culprit | None:
    """The first wrong forward tensor, where it comes of parameters that are still those of the `first` step: what
    moves is something else."""
    ours = handed[culprit.tensor]
    for stale in (tuple(first), *((name,) for name in first)):
        made = _forward_with(truth, {name: first[name] for name in stale}).get(culprit.tensor)
        if (
            made is not None
            and ours.shape == made.shape
            and torch.allclose(ours.double(), made.double(), rtol=1e-9, atol=1e-12)
        ):
            who = "the parameters" if len(stale) > 1 else stale[0]
            said = f"the forward pass reads {who} as before the first step. What the update moves is a copy. {IN_PLACE}"
            return replace(culprit, diagnosis=Diagnosis("no-update", said), unmoved=stale[0])
    return None


def _forward_with(truth: TrueStep, replaced: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The forward pass of a step, on its batch, with other parameters."""
    found = dict(replaced)
    for atom in truth.forward.atoms:
        if all(truth.forward.values[name].is_floating_point() for name in atom.binds):  # others draw the batch
            made = truth.forward.run(atom.code, found)
            found |= {name: made[name].detach() for name in atom.binds}
    return {name: value.cpu() for name, value in found.items()}


IN_PLACE = "Change in place what the forward pass reads."

WRONG_BATCH = (
    "The batch is another one: each step makes one draw with torch.randint and generator=g, and picks its batch by it."
)


def _wrong_gradient(handed: Mapping[str, Tensor], truth: TrueStep, earlier: TrueStep | None) -> Culprit | None:
    """The wrong gradient nearest to the loss, among those that the loop handed over as `dX`."""
    named = frozenset(name for name in truth.gradients.total if f"d{name}" in handed)
    for name in from_the_loss_back(truth):
        if name not in named:
            continue
        true, ours = truth.gradients.total[name], handed[f"d{name}"].to(truth.gradients.total[name].device)
        mismatch = Mismatch(name, ours.double(), truth.gradients, truth.forward, named)
        if _is_slice(ours, true):
            continue  # that of one example, in a loop over the batch
        if ours.shape != true.shape or not mismatch.same(mismatch.candidate):
            before = earlier.gradients.total.get(name) if earlier is not None else None
            found = _from_before(f"d{name}", ours, true, before) or _with_new_parameter(mismatch, truth)
            return Culprit(name, found or diagnose(mismatch), gradient=True)
    return None


def _is_slice(ours: Tensor, true: Tensor) -> bool:
    """Whether a tensor is a right part of the true one, such as the row of one example or a part of the batch."""
    for dimension, size in enumerate(true.shape):
        part = ours.unsqueeze(dimension) if ours.dim() == true.dim() - 1 else ours
        width = part.shape[dimension] if part.dim() == true.dim() else size
        if not 0 < width < size or part.shape != true.narrow(dimension, 0, width).shape:
            continue
        limit = 1e-9 * float(true.abs().max())
        for start in range(0, size - width + 1, width):
            there = true.narrow(dimension, start, width).to(part.device)
            if bool(((part.double() - there.double()).abs() <= limit).all()):
                return True
    return False


def _wrong_parts(handed: Mapping[str, Tensor], truth: TrueStep, culprit: str) -> dict[str, Tensor]:
    read_at = last_read_at(truth.forward.atoms)
    found = {}
    for name, true in truth.gradients.total.items():
        ours = handed.get(f"d{name}")
        if ours is not None and ours.shape == true.shape and read_at.get(name) == read_at.get(culprit):
            off = (ours.double() - true.to(ours.device).double()).abs()
            found[name] = ~(off <= SAME_FACTOR * truth.gradients.scale(name))
    return found


def _with_new_parameter(mismatch: Mismatch, truth: TrueStep) -> Diagnosis | None:
    """A gradient made with a parameter that this step has moved already."""
    for name in truth.before:
        made = _gradients_with(truth, name).get(mismatch.name)
        if made is not None and mismatch.same(mismatch.candidate, made):
            return Diagnosis(
                "early-update",
                f"d{mismatch.name} is made with {name} after its update, but the forward pass of this step read "
                f"{name} before it. Compute all gradients first, then update all parameters.",
            )
    return None


def _gradients_with(truth: TrueStep, name: str) -> dict[str, Tensor]:
    """The gradients of a step whose way back reads a parameter as it is after the step."""
    forward = truth.forward
    outputs, inputs = dict(forward.outputs), dict(forward.inputs)
    for atom in forward.atoms:
        if name in inputs.get(atom.name, {}):
            leaves = {
                n: value.detach().clone().requires_grad_(value.requires_grad) for n, value in inputs[atom.name].items()
            }
            leaves[name] = truth.after[name].detach().clone().requires_grad_(inputs[atom.name][name].requires_grad)
            outputs[atom.name], inputs[atom.name] = forward.run(atom.code, leaves)[atom.name], leaves
    return backpropagate(replace(forward, outputs=outputs, inputs=inputs)).total


def _from_before(name: str, ours: Tensor, true: Tensor, earlier: Tensor | None) -> Diagnosis | None:
    """A gradient that is the one of an earlier step, or holds it still."""
    if earlier is None or ours.shape != true.shape or earlier.shape != true.shape:
        return None
    if same_gradient(ours, earlier):
        return Diagnosis("stale-gradient", f"{name} is the gradient of an earlier step. Compute it anew in each step.")
    if same_gradient(ours, earlier + true):
        said = f"{name} still holds the gradient of the step before. Set it to zero in each step, before you add to it."
        return Diagnosis("not-zeroed", said)
    return None


def same_gradient(ours: Tensor, gradient: Tensor) -> bool:
    """Whether two gradients are the same but for rounding; one may be broadcast to the other's shape."""
    spread = spread_to(gradient.to(ours.device).double(), ours.shape)
    if spread is None:
        return False
    scale = float(spread.abs().max())
    return scale > 0 and float((ours.double() - spread).abs().max()) <= 1e-8 * scale


def last_read_at(atoms: Iterable[Atom]) -> dict[str, int]:
    """Which atom reads each tensor last, by its place in the forward pass: the higher, the nearer to the loss."""
    return {name: at for at, atom in enumerate(atoms) for name in atom.reads}


def from_the_loss_back(truth: TrueStep) -> list[str]:
    """Every tensor with a gradient, those that feed the last atoms first."""
    read_at = last_read_at(truth.forward.atoms)
    return sorted(truth.gradients.total, key=lambda name: -read_at.get(name, -1))


def wrong_record(steps: Iterable[StepComparison], name: str, count: int) -> str | None:
    """What is wrong with the list of losses, in words; None where it holds each step's loss.

    `name` is what the lesson calls it. A loop without a list of that name may call it otherwise.
    """
    steps = list(steps)
    if not steps:
        return None
    names = [name] if any(name in step.records for step in steps) else _grown(steps, count)
    said = [_wrong_in(steps, other, count) for other in names]
    nothing = f"No list holds the losses: append the loss of each step to {name}, as a number."
    if not said:
        return nothing
    if None in said:
        return None
    called = [text for other, text in zip(names, said, strict=True) if "loss" in other] or said
    return called[0] if len(called) == 1 else nothing


def _grown(steps: Sequence[StepComparison], count: int) -> list[str]:
    """The lists that get a number in each step, or that have a place for each; not a row of a parameter, for one."""
    lengths = {name: [step.records[name].length for step in steps if name in step.records] for name in steps[0].records}
    return [name for name, found in lengths.items() if found[0] in (1, count) or len({*found}) > 1]


def _wrong_in(steps: list[StepComparison], name: str, count: int) -> str | None:
    for made, step in enumerate(steps, start=1):
        loss, record = float(step.truth.after["loss"]), step.records.get(name)
        if record is None:
            return f"After step {step.step} there is no list {name} that holds the losses."
        appended = record.length == made
        kept = record.last if appended else record.at
        if not appended and record.length != count:
            return f"After {made} steps {name} has {record.length} entries: each step adds one."
        logarithm = float(torch.tensor(loss, dtype=torch.float64).log10()) if loss > 0 else loss
        if kept is None or min(abs(kept - loss), abs(kept - logarithm)) > _SAME_LOSS * max(1.0, abs(loss)):
            said = "nothing" if kept is None else f"{kept:.6g}"
            return f"In step {step.step} {name} gets {said}; the loss of its batch is {loss:.6g}."
    return None
