"""The loop of a lesson by autograd: its own forward cell, loss.backward(), and the optimiser that it declares."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from grader.base.errors import DojoError
from grader.lesson.exercise import Exercise
from grader.lesson.program import compiled
from grader.lesson.trials import Trial, namespace_of
from grader.truth.adam import AdamStep, Slip
from grader.truth.autograd import Forward, Gradients, backpropagate, cut_forward
from grader.truth.no_compiler import without_compiler

_GRID, _MOST_CHANGES = 64, 4
_MOST_KEPT = 32
"""Steps of a trial that are kept for other submissions: a loop is judged by some ten, and one takes a megabyte."""


@dataclass(frozen=True)
class TrueStep:
    """One step by autograd: the parameters before and after it, its rate, its forward pass and its gradients.

    `after` also holds the loss. `otherwise` are the parameters for a loop that counts only the steps that it makes:
    some optimisers correct for the number of steps so far. `noise` is how far rounding of its gradient can move each
    element of a parameter: an optimiser that divides by a gradient's own size makes much of very little.
    `faults` are the parameters after the step of an optimiser with one mistake; `adam` is each parameter's step of an
    Adam, which knows some more. `redrawn` names the tensors whose draw was taken as given, `resized` those that were
    drawn in another shape than the lesson's, whether the forward pass runs with them or not.
    """

    position: int
    before: dict[str, Tensor]
    after: dict[str, Tensor]
    rate: float
    forward: Forward
    gradients: Gradients
    otherwise: Mapping[str, Tensor]
    noise: Mapping[str, Tensor]
    faults: Callable[[], Sequence[tuple[_Fault, Mapping[str, Tensor]]]]
    adam: Mapping[str, AdamStep]
    redrawn: tuple[str, ...] = ()
    resized: tuple[str, ...] = ()
    _sizes: dict[str, tuple[float, float]] = field(default_factory=dict, init=False, repr=False)

    def slips(self, name: str) -> Iterator[Slip]:
        """What mistakes in the optimiser make of a parameter in this step."""
        for fault, after in self.faults():
            yield Slip(fault.mistake, fault.said, after[name])
        if name in self.adam:
            yield from self.adam[name].slips()

    def sizes(self, name: str) -> tuple[float, float]:
        """How far a parameter moves in this step at most, and how large it is then; of the loss, itself and nothing."""
        if name not in self._sizes:
            true = self.after[name].double()
            if name in self.before:
                moved = (true - self.before[name].double()).abs().max()
                self._sizes[name] = float(moved), float(true.abs().max())
            else:
                self._sizes[name] = float(true.abs()) if true.dim() == 0 else 0.0, 0.0
        return self._sizes[name]


@dataclass(frozen=True)
class _Fault:
    """One mistake in an optimiser: settings of its groups, how far off the number of steps is that it corrects for, and
    whether its running means start anew."""

    mistake: str = ""
    said: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    counted: int = 0
    forgets: bool = False


_COUNTS = "the bias correction is that of another step. In the first step it divides by 1 - beta ** 1."
_FAULTS = (
    _Fault("bias-correction", "the running means are not corrected for their start at zero.", counted=10**9),
    _Fault("bias-correction", _COUNTS, counted=-1),
    _Fault("bias-correction", _COUNTS, counted=1),
    _Fault("momentum", "the two betas are swapped.", {"betas": lambda group: group["betas"][::-1]}),
    _Fault("momentum", "the running means start anew in each step: make them once, before the loop.", forgets=True),
    _Fault("momentum", "it moves by its gradient alone, without the momentum.", {"momentum": 0.0}),
    _Fault(
        "momentum",
        "its gradient is taken 1 - momentum times: here it is added in full.",
        {"dampening": lambda group: group["momentum"]},
    ),
    _Fault("weight-decay", "the weight decay is left out.", {"weight_decay": 0.0}),
    _Fault(
        "weight-decay",
        "the weight decay enters at another place. AdamW takes it off the parameter, Adam adds it to the gradient.",
        {"decoupled_weight_decay": lambda group: not group["decoupled_weight_decay"]},
    ),
    _Fault(
        "weight-decay",
        "it decays, but it should not.",
        {"weight_decay": lambda group: group["weight_decay"] or group["largest decay"]},
    ),
)
_RIGHT = _Fault()
_NO_DECAY = _Fault(settings={"weight_decay": 0.0})
_UPHILL = _Fault("update-sign", "it moved the wrong way. A step goes against the gradient.")
_NO_GRADIENT = _Fault("no-update", "its gradient does not enter: it moves by its decay and by earlier steps alone.")


@dataclass(frozen=True)
class _State:
    """What a step changes."""

    parameters: dict[str, Tensor]
    generators: list[Tensor]
    optimizer: dict[str, Any]
    made: int


class LoopReference:
    """Makes one step at a time, at any position.

    `count` is how many steps the loop has. `draws` are the names of the forward pass that come from a generator.
    Loops that make the same steps on the lesson's own batches get the same truth, so each is found once for all
    submissions: `rewind` begins anew. Nothing writes to its tensors.
    """

    @without_compiler()
    def __init__(self, exercise: Exercise, trial: Trial) -> None:
        """Set the lesson up in `trial`.

        Raises:
            DojoError: the grading cell declares no optimiser, or not how many steps the loop makes.
        """
        self.exercise = exercise
        self.namespace = namespace_of(exercise, trial.parameters)
        self.generators = [value for value in self.namespace.values() if isinstance(value, torch.Generator)]
        scope = dict(self.namespace)
        self._behind = False
        with torch.no_grad(), self.nothing_drawn():
            for atom in exercise.atoms:
                exec(compiled(atom.text, atom.line), scope)
        declared = exercise.grading.run(scope)
        optimizer, scheduler = declared.get("optimizer"), declared.get("scheduler")
        steps = declared.get("steps", declared.get("max_steps"))
        if not isinstance(optimizer, torch.optim.Optimizer) or not isinstance(steps, int):
            raise DojoError(
                f"{exercise.path}: a lesson with a loop has a grading cell that sets `optimizer` to an object of "
                "torch.optim, and `steps` to how many steps the loop makes where that is not `max_steps`"
            )
        if isinstance(optimizer, torch.optim.LBFGS) or isinstance(
            scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau
        ):
            raise DojoError(
                f"{exercise.path}: the grading cell's optimizer takes one step from one gradient, and its scheduler "
                "knows the rate of a step from its number alone"
            )
        self.optimizer = optimizer
        self.count: int = steps
        self.is_plain = isinstance(optimizer, torch.optim.SGD) and not any(
            group["momentum"] or group["weight_decay"] for group in optimizer.param_groups
        )
        self._rates = _rates_of(scheduler, self.count) if scheduler is not None else None
        self.made = 0
        self.draws = self._draws()
        self.changes = self._changes()
        self._start = self._now = self._state()
        self._known: dict[tuple[object, ...], tuple[TrueStep, _State]] = {}
        self._history: tuple[object, ...] | None = ()
        self._messages: dict[tuple[object, ...], bytes] = {}

    def rewind(self) -> LoopReference:
        """Back to the beginning."""
        self._now, self._history, self._behind = self._start, (), True
        return self

    def message(self, following: tuple[object, ...], encode: Callable[[], bytes]) -> bytes:
        """What a worker is told after the steps so far, where `following` says what comes next; encoded once."""
        if self._history is None:
            return encode()
        key = (*self._history, None, *following)
        if key not in self._messages:
            message = encode()
            if len(self._messages) >= _MOST_KEPT:
                return message
            self._messages[key] = message
        return self._messages[key]

    def generator_state(self) -> Tensor | None:
        """That of the first generator, after the steps so far."""
        return self._now.generators[0] if self.generators else None

    def _state(self) -> _State:
        return _State(
            {name: self.namespace[name].detach().clone() for name in self.exercise.trained},
            [generator.get_state() for generator in self.generators],
            copy.deepcopy(self.optimizer.state_dict()),
            self.made,
        )

    @without_compiler()
    def _catch_up(self) -> None:
        """Steps that were known already are not made again; before one that is not, the state becomes theirs."""
        if not self._behind:
            return
        for name, value in self._now.parameters.items():
            self.namespace[name].data.copy_(value)
        for generator, state in zip(self.generators, self._now.generators, strict=True):
            generator.set_state(state)
        self.optimizer.load_state_dict(copy.deepcopy(self._now.optimizer))
        self.made, self._behind = self._now.made, False

    @contextlib.contextmanager
    def nothing_drawn(self) -> Iterator[None]:
        """Leave the generators afterwards as they were."""
        self._catch_up()
        states = [generator.get_state() for generator in self.generators]
        try:
            yield
        finally:
            for generator, state in zip(self.generators, states, strict=True):
                generator.set_state(state)

    def _draws(self) -> tuple[str, ...]:
        sources = {name for name, value in self.namespace.items() if isinstance(value, torch.Generator)}
        return tuple(name for atom in self.exercise.atoms if sources & set(atom.reads) for name in atom.binds)

    def rate(self, position: int) -> float:
        """The learning rate of the step at `position`."""
        groups = self.optimizer.param_groups
        if self._rates is not None:
            for group, rate in zip(groups, self._rates(position), strict=True):
                group["lr"] = rate
        return float(groups[0]["lr"])

    def _changes(self) -> list[int]:
        """The positions at which the rate jumps: few, or none where it changes all the time."""
        grid = sorted({round(place * (self.count - 1) / _GRID) for place in range(_GRID + 1)})
        spans = [(a, b) for a, b in pairwise(grid) if self.rate(a) != self.rate(b)]
        found = []
        for low, high in spans if len(spans) <= _MOST_CHANGES else ():
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if self.rate(middle) == self.rate(low) else (low, middle)
            found.append(high)
        return found

    @without_compiler()
    def step(
        self, position: int, drawn: Mapping[str, Tensor], upstream: Mapping[str, Tensor] | None = None
    ) -> TrueStep:
        """Make the step at `position`, on its own next batch, or on what `drawn` gives in its place, if that fits.

        With `upstream`, the tensors named there pass on that gradient instead of their own; they follow from the trial.
        """
        key = None if self._history is None else (*self._history, position, *sorted(upstream or ()))
        if key in self._known:
            truth, after = self._known[key]
            if all(_same(value, truth.forward.values.get(name)) for name, value in drawn.items()):
                self._now, self._history, self._behind = after, key, True
                return truth
        self._catch_up()
        truth = self._make(position, drawn, upstream)
        self._now = self._state()
        self._history = None if truth.redrawn or truth.resized else key
        if self._history is not None and len(self._known) < _MOST_KEPT:
            self._known[self._history] = truth, self._now
        return truth

    def _make(self, position: int, drawn: Mapping[str, Tensor], upstream: Mapping[str, Tensor] | None) -> TrueStep:
        trained = self.exercise.trained
        before = {name: self.namespace[name].detach().clone() for name in trained}
        there = self.namespace | before  # the optimiser changes the parameters themselves
        own = cut_forward(self.exercise, there)
        redrawn = tuple(name for name, value in drawn.items() if not _same(value, own.values.get(name)))
        resized = tuple(name for name in redrawn if not _fits(drawn[name], own.values.get(name)))
        other = self._with_draw(there, drawn, own, upstream or {}) if redrawn else None
        if other is None:
            redrawn = ()
        forward, gradients = other or (own, backpropagate(own, upstream))
        rate = self.rate(position)
        held = self.optimizer.state_dict()
        adam = {name: self._adam_step(name, before[name], gradients, position) for name in trained if self._is_adam}

        def moved(true: Mapping[str, Tensor], count: int, fault: _Fault = _RIGHT) -> dict[str, Tensor]:
            for name, value in before.items():
                self.namespace[name].data.copy_(value)
            self.optimizer.load_state_dict(copy.deepcopy(held))
            return self._move(true, count, fault)

        total = gradients.total
        otherwise = moved(total, self.made) if self._counts_steps() and position != self.made else {}
        noise: dict[str, Tensor] = {}
        if not self.is_plain:
            up, down = (moved(_rounded(gradients, sign, before), position) for sign in (1, -1))
            noise = {name: (up[name] - down[name]).abs() for name in before}

        @cache
        @without_compiler()
        def faults() -> list[tuple[_Fault, Mapping[str, Tensor]]]:
            if self.is_plain:
                return []
            found: list[tuple[_Fault, Mapping[str, Tensor]]] = []
            self._behind = True  # this takes the optimiser back to here, and leaves it with wrong settings
            for fault in _FAULTS:
                if any(key in self.optimizer.param_groups[0] for key in fault.settings) or self._counts_steps():
                    with contextlib.suppress(ArithmeticError):  # such as 1 / (1 - beta ** 0)
                        found.append((fault, moved(total, position, fault)))
            # Uphill goes the gradient alone, while the decay is as it should be.
            right, bare = moved(total, position), moved(total, position, _NO_DECAY)
            uphill = {name: right[name] - 2 * (bare[name] - before[name]) for name in before}
            still = moved({name: torch.zeros_like(value) for name, value in before.items()}, position)
            return [*found, (_UPHILL, uphill), (_NO_GRADIENT, still)]

        after = moved(total, position) if not self.is_plain else self._move(total, position)
        self.made += 1
        loss = forward.values[self.exercise.atoms[-1].name]
        return TrueStep(
            position,
            before,
            {"loss": loss, **after},
            rate,
            forward,
            gradients,
            otherwise,
            noise,
            faults,
            adam,
            redrawn,
            resized,
        )

    def _with_draw(
        self, there: Mapping[str, Any], drawn: Mapping[str, Tensor], own: Forward, upstream: Mapping[str, Tensor]
    ) -> tuple[Forward, Gradients] | None:
        """The forward pass on this batch, which may be a larger one, and its gradients; None where it does not run
        with it."""
        pairs = [(value, own.values[name]) for name, value in drawn.items()]
        if any(value.dim() != true.dim() or value.shape[1:] != true.shape[1:] for value, true in pairs):
            return None
        sizes = [len(value) for value in drawn.values() if value.dim()]
        size = {self.exercise.grading.batch: sizes[0]} if sizes else {}
        try:
            with self.nothing_drawn():
                forward = cut_forward(self.exercise, {**there, **size}, drawn)
            # The loop, too, keeps its own gradient where the random one is of another size.
            fitting = {name: value for name, value in upstream.items() if _fits(value, forward.values.get(name))}
            return forward, backpropagate(forward, fitting)
        except (ArithmeticError, IndexError, MemoryError, RuntimeError, ValueError):
            return None  # such as 1 / (n - 1) for a batch of one, or a batch of all data, too large for memory

    @property
    def _is_adam(self) -> bool:
        groups = self.optimizer.param_groups
        return isinstance(self.optimizer, torch.optim.AdamW) and not any(g["amsgrad"] or g["maximize"] for g in groups)

    def _adam_step(self, name: str, before: Tensor, gradients: Gradients, position: int) -> AdamStep:
        parameter = self.namespace[name]
        group = next(g for g in self.optimizer.param_groups if any(p is parameter for p in g["params"]))
        state = {key: torch.as_tensor(value).clone() for key, value in self.optimizer.state.get(parameter, {}).items()}
        return AdamStep.of(before, gradients.total[name].detach(), state, dict(group), position + 1)

    def _counts_steps(self) -> bool:
        return any("step" in state for state in self.optimizer.state.values())

    def _move(self, gradients: Mapping[str, Tensor], count: int, fault: _Fault = _RIGHT) -> dict[str, Tensor]:
        """Make the step at `count` of the optimiser, which keeps what is wrong with it; the parameters after it."""
        for name in self.exercise.trained:
            self.namespace[name].grad = gradients[name].detach().clone() if name in gradients else None
        groups = self.optimizer.param_groups
        largest = max(group.get("weight_decay", 0.0) for group in groups)
        for group in groups:
            for key, setting in fault.settings.items():
                if key in group:
                    group[key] = setting({**group, "largest decay": largest}) if callable(setting) else setting
        for state in self.optimizer.state.values():
            for key in state.keys() - {"step"} if fault.forgets else ():
                state[key] = torch.zeros_like(state[key])
            if "step" in state:
                step = torch.as_tensor(state["step"], dtype=torch.float32)
                state["step"] = torch.full_like(step, count + fault.counted)
        self.optimizer.step()
        return {name: self.namespace[name].detach().clone() for name in self.exercise.trained}


def _rounded(gradients: Gradients, sign: int, trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gradients with an error such as another order of the same sums makes."""
    return {
        name: true + sign * (1e-13 if true.dtype is torch.float64 else 1e-5) * gradients.scale(name)
        for name, true in gradients.total.items()
        if name in trained
    }


def _rates_of(scheduler: Any, count: int) -> Callable[[int], Sequence[float]]:
    """The rates of a schedule at any position, one for each group of parameters."""
    closed = getattr(scheduler, "_get_closed_form_lr", None)
    if closed is None and isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR):
        closed = scheduler.get_lr
    if closed is None:
        return _stepped(copy.deepcopy(scheduler), count).__getitem__

    def rates(position: int) -> Sequence[float]:
        with warnings.catch_warnings(action="ignore"):
            scheduler.last_epoch = position
            found: Sequence[float] = closed()
            return found

    return rates


def _stepped(scheduler: Any, count: int) -> list[list[float]]:
    """The rates of a schedule that knows each only from the one before."""
    found = []
    with warnings.catch_warnings(action="ignore"):
        for _ in range(count):
            found.append([group["lr"] for group in scheduler.optimizer.param_groups])
            scheduler.step()
    return found


def _fits(value: Tensor, own: Any) -> bool:
    return isinstance(own, Tensor) and value.shape == own.shape


def _same(ours: Tensor, own: Any) -> bool:
    return isinstance(own, Tensor) and ours.shape == own.shape and bool((ours.to(own.device) == own).all())
