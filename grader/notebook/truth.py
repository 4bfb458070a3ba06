"""The true gradients of what a namespace holds: its own forward pass once more, in float64."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grader.autograd import Forward, Gradients, backpropagate, cut_forward
from grader.compare import LIMITS, compare
from grader.exercise import Exercise, all_exercises

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
        if not exercise.is_training and known >= {*exercise.forward_names, *exercise.network_names}
    ]
    return max(found, key=lambda exercise: (*_fit(exercise, namespace, name), exercise is preferred), default=None)


def _fit(exercise: Exercise, namespace: Mapping[str, Any], name: str | None) -> tuple[bool, int, int]:
    given = sum(f"d{other}" in namespace for other in exercise.given)
    graded = sum(f"d{other}" in namespace for other in exercise.graded)
    return name in exercise.graded, given + graded, len(exercise.atoms)


@dataclass(frozen=True)
class Survey:
    """What is true of a namespace, in float64 on the CPU.

    `chain` are the true gradients; `above` the gradients that the namespace holds for other tensors, as far as
    they are tensors of the right shape; `wrong` those of them that are wrong, from the loss down. `changed` is the
    first forward tensor that is not what its line computes from the namespace now.
    """

    exercise: Exercise
    forward: Forward
    chain: Gradients
    above: dict[str, Tensor]
    wrong: tuple[str, ...]
    changed: str | None

    @property
    def handed(self) -> frozenset[str]:
        return frozenset({*self.exercise.graded, *self.exercise.given})

    def gradients(self, replaced: Mapping[str, Tensor] | None = None, without: Collection[str] = ()) -> Gradients:
        """What the learner's own gradients give, each for the lines below it."""
        above = {name: value for name, value in self.above.items() if name not in without}
        return backpropagate(self.forward, above | dict(replaced or {}))

    def wrong_above(self, name: str) -> list[str]:
        """Wrong gradients by which that of `name` is made, the first to mend first."""
        readers = {name}
        for atom in self.forward.atoms:
            if readers & set(atom.reads):
                readers.add(atom.name)
        return [other for other in self.wrong if other in readers - {name}]


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
    for name in dict.fromkeys((*exercise.given, *exercise.graded)):
        value, true = namespace.get(f"d{name}"), chain.total.get(name)
        if true is None or not isinstance(value, Tensor) or not is_gradient(value) or value.shape != true.shape:
            continue
        above[name] = as_float64(value)
        if not compare(above[name], true, chain.scale(name)).error <= limit_of(value):
            wrong.append(name)
    usable = {name: value for name, value in above.items() if bool(torch.isfinite(value).all())}
    return Survey(exercise, forward, chain, usable, tuple(wrong), _changed(exercise, forward, namespace))


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
        value, true = namespace[name], forward.values[name]
        if not isinstance(true, Tensor) or not true.is_floating_point():
            continue
        if not is_gradient(value) or value.shape != true.shape:
            return name
        if not compare(as_float64(value), true).error <= _SAME_FORWARD:
            return name
    return None
