"""The true gradients of an exercise in a trial, found once for all submissions that are judged there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from grader.base.errors import DojoError
from grader.lesson.exercise import Exercise
from grader.lesson.trials import Trial, namespace_of
from grader.truth.autograd import Forward, Gradients, backpropagate, cut_forward, random_gradients, whole_backward
from grader.truth.compare import Comparison, compare
from grader.truth.loop import LoopReference

_MOST_KEPT, _MOST_MESSAGES = 24, 200
"""Truths kept at a time, about a megabyte each: all trials of all exercises, and some of the probes. Messages are
some 30 kB."""


@dataclass
class Truth:
    """The true gradients in one trial, what the worker is given for each, and the forward tensors.

    It is shared between submissions: nothing writes to its tensors.
    """

    exercise: Exercise
    trial: Trial
    gradients: Gradients
    put_back: dict[str, Tensor]
    forward: Forward
    key: tuple[object, ...] = ()

    def compare(self, name: str, value: Tensor) -> Comparison:
        """A candidate for the gradient of `name` beside the true one, within what the lesson tolerates.

        `value` has the true one's shape. A float32 value is compared in float32.
        """
        total = self.gradients.total[name]
        tolerance = self.exercise.grading.tolerance_of(name)
        return compare(value, total.to(value.dtype), self.gradients.scale(name), tolerance)

    @property
    def device(self) -> str:
        """Where the gradients lie: those of a lesson with arrays on the processor, whatever was asked for."""
        return next((str(total.device) for total in self.gradients.total.values()), "cpu")


class KnownTruths:
    """Finds truths, and keeps the latest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], Truth] = OrderedDict()
        self._messages: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._loops: OrderedDict[tuple[object, ...], LoopReference] = OrderedDict()

    def find(self, exercise: Exercise, trial: Trial, chained: frozenset[str] = frozenset()) -> Truth:
        """The true gradients of `exercise` in `trial`.

        In a probing trial every graded or given tensor passes on a random gradient, except those in `chained`.
        """
        return self._keep((*_key(exercise, trial), chained), lambda: _find(exercise, trial, chained))

    def of_real_backward(self, exercise: Exercise, trial: Trial) -> Truth:
        """The same truth with the bits of `loss.backward()`, which "exact" is measured against."""
        return self._keep((*_key(exercise, trial), "real"), lambda: self._with_real_backward(exercise, trial))

    def loop(self, exercise: Exercise, trial: Trial) -> LoopReference:
        """The loop of `exercise` in `trial`, at its beginning; one at a time."""
        key = _key(exercise, trial)
        if key not in self._loops:
            self._loops[key] = LoopReference(exercise, trial)
            if len(self._loops) > _MOST_KEPT:
                self._loops.popitem(last=False)
        return self._loops[key].rewind()

    def message_of(
        self,
        names: Mapping[str, tuple[int, str]],
        truths: Mapping[int, Truth],
        encode: Callable[[Mapping[str, Tensor]], bytes],
    ) -> bytes:
        """The message that gives a worker true gradients, each, by the name that it travels under, of a trial and a
        tensor; encoded once."""
        key = tuple(names.items()), *((number, truth.key) for number, truth in truths.items())
        if key not in self._messages:
            self._messages[key] = encode({k: truths[number].put_back[name] for k, (number, name) in names.items()})
            if len(self._messages) > _MOST_MESSAGES:
                self._messages.popitem(last=False)
        return self._messages[key]

    def _with_real_backward(self, exercise: Exercise, trial: Trial) -> Truth:
        truth = self.find(exercise, trial)
        with trial.default_dtype():
            namespace = namespace_of(exercise, trial.parameters)
            total = truth.gradients.total | whole_backward(exercise, namespace, truth.put_back)
        gradients = Gradients(total, truth.gradients.upstream, truth.gradients.shares)
        return Truth(exercise, trial, gradients, truth.put_back, truth.forward)

    def _keep(self, key: tuple[object, ...], find: Callable[[], Truth]) -> Truth:
        truth = self._kept[key] if key in self._kept else find()
        truth.key = key
        self._kept[key] = truth
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return truth


def _key(exercise: Exercise, trial: Trial) -> tuple[object, ...]:
    return exercise, trial.label, repr(sorted(trial.parameters.items())), trial.probe


def _find(exercise: Exercise, trial: Trial, chained: frozenset[str]) -> Truth:
    with trial.default_dtype():
        forward = cut_forward(exercise, namespace_of(exercise, trial.parameters))
    named = exercise.named_gradients
    if not named:  # functions and classes alone
        return Truth(exercise, trial, Gradients({}, {}, {}), {}, forward)
    last = exercise.forward_names[-1]
    if not forward.atoms or forward.loss != last or forward.outputs[last].numel() != 1:
        raise DojoError(f"{exercise.path}: the last line of the forward pass gives {last}, which is not one number")
    drawn = {}
    if trial.probe is not None:
        above = [name for name in named if name not in chained and name != last and name in forward.values]
        drawn = random_gradients(forward, above, trial.probe)
    gradients = backpropagate(forward, drawn)
    for name in named:
        if name not in gradients.total:
            raise DojoError(f"{exercise.path}: d{name} is graded or given, but {last} does not depend on {name}")
    return Truth(exercise, trial, gradients, {n: drawn.get(n, gradients.total[n]) for n in named}, forward)
