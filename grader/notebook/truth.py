"""The true gradients of what a namespace holds: its own forward pass once more, in float64."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.lesson.exercise import Exercise, all_exercises
from grader.truth.arrays import to_tensor
from grader.truth.autograd import Forward, Gradients, backpropagate, cut_forward
from grader.truth.compare import LIMITS, compare

_SAME_FORWARD = 1e-4
"""Relative difference up to which a forward tensor is the one that the exercise's line computes."""

_ALWAYS_THERE: dict[str, Any] = {"torch": torch, "F": torch.nn.functional}


def exercise_in(
    namespace: Mapping[str, Any], name: str | None = None, preferred: Exercise | None = None
) -> Exercise | None:
    """The exercise whose forward pass a namespace holds; None where there is none.

    One that grades `name` comes first, then one whose given and graded gradients are there, then the one with
    more atoms, then the `preferred` one.
    """
    known = namespace.keys() | _ALWAYS_THERE.keys()
    found = [
        exercise
        for exercise in all_exercises()
        if exercise.graded_gradients and known >= {*exercise.forward_names, *exercise.network_names}
    ]
    return max(found, key=lambda exercise: (*_fit(exercise, namespace, name), exercise is preferred), default=None)


def _fit(exercise: Exercise, namespace: Mapping[str, Any], name: str | None) -> tuple[bool, int, int]:
    there = sum(f"d{other}" in namespace for other in exercise.named_gradients)
    return name in exercise.graded_gradients, there, len(exercise.atoms)


@dataclass(frozen=True)
class Survey:
    """What is true of a namespace, in float64 on the CPU.

    `chain` are the true gradients; `above` those that the namespace holds, as far as they are finite and of the
    right shape; `wrong` names those that are wrong, of any shape, from the loss down. `changed` is the first forward
    tensor that is not what its line computes from the namespace now.
    """

    exercise: Exercise
    forward: Forward
    chain: Gradients
    above: dict[str, Tensor]
    wrong: tuple[str, ...]
    changed: str | None

    def gradients(
        self, name: str, replaced: Mapping[str, Tensor] | None = None, without: Collection[str] = ()
    ) -> Gradients:
        """What the learner's own gradients give for `name`: those that it is made from stand for the true ones."""
        above = {other: self.above[other] for other in self.ways_to(name) if other in self.above}
        used = {other: value for other, value in above.items() if other not in without}
        return backpropagate(self.forward, used | dict(replaced or {}))

    def ways_to(self, name: str) -> set[str]:
        """The tensors by which the gradient of `name` comes back from the loss."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            through = self.chain.shares.get(waiting.pop(), {}).keys() - found
            found |= through
            waiting += through
        return found

    def wrong_above(self, name: str) -> list[str]:
        """Wrong gradients that flow into that of `name`, the first to mend first; a right one stops them."""
        found, seen, waiting = set(), set(), [name]
        while waiting:
            for through in self.chain.shares.get(waiting.pop(), {}):
                if through in seen:
                    continue
                seen.add(through)
                if through in self.wrong:
                    found.add(through)
                if through in self.wrong or through not in self.above:
                    waiting.append(through)
        return [other for other in self.wrong if other in found]


def survey(exercise: Exercise, namespace: Mapping[str, Any]) -> Survey | None:
    """Run the forward pass of `exercise` on what `namespace` holds; None where it does not run."""
    known = _ALWAYS_THERE | dict(namespace)
    setup = {name: as_float64(known[name]) for name in exercise.network_names}
    try:
        forward = cut_forward(exercise, setup)
        chain = backpropagate(forward)
    except Exception:  # the learner's names may hold anything: then there is nothing to say about them
        return None
    above, wrong = {}, []
    for name in dict.fromkeys((*exercise.given, *exercise.graded_gradients)):
        value, true = numbers_of(namespace.get(f"d{name}")), chain.total.get(name)
        if true is None or not isinstance(value, Tensor):
            continue
        usable = is_gradient(value) and value.shape == true.shape and bool(torch.isfinite(value).all())
        if usable:
            above[name] = as_float64(value)
        if not usable or not compare(above[name], true, chain.scale(name)).error <= limit_of(value):
            wrong.append(name)
    return Survey(exercise, forward, chain, above, tuple(wrong), _changed(exercise, forward, namespace))


def numbers_of(value: Any) -> Any:
    """The array or number of a lesson in numpy as a tensor; anything else as it is."""
    return to_tensor(np.asarray(value)) if isinstance(value, (np.ndarray, np.floating)) else value


def is_gradient(value: object) -> bool:
    """True for a dense tensor of real floating-point numbers."""
    return isinstance(value, Tensor) and value.layout is torch.strided and value.is_floating_point()


def limit_of(value: Tensor) -> float:
    """What counts as rounding for a gradient that was computed in this dtype."""
    return LIMITS.get(value.dtype, LIMITS[torch.float32])


def as_float64(value: Any) -> Any:
    """A tensor's numbers in float64, off its graph and device; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    value = value.detach().cpu()
    return value.double() if value.is_floating_point() else value


def _changed(exercise: Exercise, forward: Forward, namespace: Mapping[str, Any]) -> str | None:
    for name in exercise.forward_names:
        value, true = numbers_of(namespace[name]), forward.values[name]
        if isinstance(true, Tensor) and true.is_floating_point():
            same_kind = is_gradient(value) and value.shape == true.shape
            if not same_kind or not compare(as_float64(value), true).error <= _SAME_FORWARD:
                return name
    return None
