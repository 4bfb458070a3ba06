"""The true gradients of an exercise in a trial, found once for all submissions that are judged there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from torch import Tensor

from grader.base.errors import DojoError
from grader.lesson.exercise import Exercise
from grader.lesson.trials import Trial, namespace_of
from grader.truth.autograd import Forward, Gradients, backpropagate, cut_forward, random_gradients, whole_backward
from grader.truth.cases import Case, cases_of
from grader.truth.compare import Comparison, compare
from grader.truth.loop import LoopReference

_Key = tuple[object, ...]
_Found = TypeVar("_Found")

_MOST_KEPT, _MOST_MESSAGES = 24, 200
"""Truths kept at a time, about a megabyte each: all trials of all exercises, and some of the probes. Messages are
some 30 kB."""

_LARGE = 100_000
"""Elements. The largest tensor of makemore has 10,000, that of foundations/ex3 784,000."""


@dataclass(frozen=True)
class Truth:
    """The true gradients in one trial, what the worker is given for each, and the forward tensors.

    It is shared between submissions: nothing writes to its tensors.
    """

    exercise: Exercise
    trial: Trial
    gradients: Gradients
    put_back: dict[str, Tensor]
    forward: Forward
    key: _Key = ()

    def compare(self, name: str, value: Tensor) -> Comparison:
        """A candidate for the gradient of `name` beside the true one, within what the lesson tolerates.

        `value` has the true one's shape. A float32 value is compared in float32.
        """
        total = self.gradients.total[name]
        tolerance = self.exercise.grading.tolerance_of(name)
        return compare(value, total.to(value.dtype), self.gradients.scale(name), tolerance)

    @property
    def is_large(self) -> bool:
        """Whether a tensor of the forward pass is so large that to run an answer takes longer than all around it."""
        return any(total.numel() > _LARGE for total in self.gradients.total.values())

    @property
    def device(self) -> str:
        """Where the gradients lie: those of a lesson with arrays on the processor, whatever was asked for."""
        return next((str(total.device) for total in self.gradients.total.values()), "cpu")


class KnownTruths:
    """Finds truths, and keeps the latest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, Truth] = OrderedDict()
        self._messages: OrderedDict[_Key, bytes] = OrderedDict()
        self._loops: OrderedDict[_Key, LoopReference] = OrderedDict()
        self._cases: OrderedDict[_Key, Mapping[str, tuple[Case, ...]]] = OrderedDict()

    def find(self, exercise: Exercise, trial: Trial, chained: frozenset[str] = frozenset()) -> Truth:
        """The true gradients of `exercise` in `trial`.

        In a probing trial every graded or given tensor passes on a random gradient, except those in `chained`.
        """
        key = (*_key(exercise, trial), chained)
        return _latest(self._kept, key, lambda: _find(exercise, trial, chained, key))

    def of_real_backward(self, exercise: Exercise, trial: Trial) -> Truth:
        """The same truth with the bits of `loss.backward()`, which "exact" is measured against."""
        key = (*_key(exercise, trial), "real")
        return _latest(self._kept, key, lambda: _with_real_backward(self.find(exercise, trial)))

    def loop(self, exercise: Exercise, trial: Trial) -> LoopReference:
        """The loop of `exercise` in `trial`, at its beginning; one at a time."""
        return _latest(self._loops, _key(exercise, trial), lambda: LoopReference(exercise, trial)).rewind()

    def cases(self, exercise: Exercise, trial: Trial) -> Mapping[str, tuple[Case, ...]]:
        """The cases of each function and class that `exercise` grades, with what its reference gives in `trial`."""
        return _latest(self._cases, _key(exercise, trial), lambda: cases_of(exercise, trial))

    def message_of(
        self,
        names: Mapping[str, tuple[int, str]],
        truths: Mapping[int, Truth],
        encode: Callable[[Mapping[str, Tensor]], bytes],
    ) -> bytes:
        """The message that gives a worker true gradients, each, by the name that it travels under, of a trial and a
        tensor; encoded once."""
        key = tuple(names.items()), *((number, truth.key) for number, truth in truths.items())
        return _latest(
            self._messages,
            key,
            lambda: encode({k: truths[number].put_back[name] for k, (number, name) in names.items()}),
            _MOST_MESSAGES,
        )


def _latest(kept: OrderedDict[_Key, _Found], key: _Key, find: Callable[[], _Found], most: int = _MOST_KEPT) -> _Found:
    """What is kept under `key`, or else what `find` gives, which is kept then; of all the latest `most` are."""
    found = kept[key] if key in kept else find()
    kept[key] = found
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
    return found


def _key(exercise: Exercise, trial: Trial) -> _Key:
    return exercise, trial.label, repr(sorted(trial.parameters.items())), trial.probe


def _with_real_backward(truth: Truth) -> Truth:
    with truth.trial.default_dtype():
        namespace = namespace_of(truth.exercise, truth.trial.parameters)
        total = truth.gradients.total | whole_backward(truth.exercise, namespace, truth.put_back)
    return replace(truth, gradients=replace(truth.gradients, total=total))


def _find(exercise: Exercise, trial: Trial, chained: frozenset[str], key: _Key) -> Truth:
    with trial.default_dtype():
        forward = cut_forward(exercise, namespace_of(exercise, trial.parameters))
    named = exercise.named_gradients
    if not named:  # functions and classes alone
        return Truth(exercise, trial, Gradients({}, {}, {}), {}, forward, key)
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
    put_back = {name: drawn.get(name, gradients.total[name]) for name in named}
    return Truth(exercise, trial, gradients, put_back, forward, key)
