"""The loop of a lesson by autograd: its own forward cell, loss.backward(), and the optimiser that it declares."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from grader.base.errors import DojoError
from grader.lesson.exercise import Exercise
from grader.lesson.program import compiled
from grader.lesson.trials import Trial, namespace_of
from grader.truth.autograd import Forward, Gradients, backpropagate, cut_forward

_GRID, _MOST_CHANGES = 64, 4


@dataclass(frozen=True)
class TrueStep:
    """One step by autograd: the parameters before and after it, its rate, its forward pass and its gradients.

    `after` also holds the loss. `otherwise` are the parameters for a loop that counts only the steps that it makes:
    some optimisers correct for the number of steps so far. `redrawn` names the tensors whose draw was taken as given.
    """

    position: int
    before: dict[str, Tensor]
    after: dict[str, Tensor]
    rate: float
    forward: Forward
    gradients: Gradients
    otherwise: Mapping[str, Tensor]
    redrawn: tuple[str, ...] = ()


class LoopReference:
    """Makes one step at a time, at any position.

    `count` is how many steps the loop has. `draws` are the names of the forward pass that come from a generator.
    """

    def __init__(self, exercise: Exercise, trial: Trial) -> None:
        """Set the lesson up in `trial`.

        Raises:
            DojoError: the grading cell declares no optimiser, or not how many steps the loop makes.
        """
        self.exercise = exercise
        self.namespace = namespace_of(exercise, trial.parameters)
        self.generators = [value for value in self.namespace.values() if isinstance(value, torch.Generator)]
        self.states = [generator.get_state() for generator in self.generators]
        scope = dict(self.namespace)
        with torch.no_grad():
            for atom in exercise.atoms:
                exec(compiled(atom.text, atom.line), scope)
        declared = exercise.grading.run(scope)
        optimizer, self.scheduler = declared.get("optimizer"), declared.get("scheduler")
        steps = declared.get("steps", declared.get("max_steps"))
        if not isinstance(optimizer, torch.optim.Optimizer) or not isinstance(steps, int):
            raise DojoError(
                f"{exercise.path}: a lesson with a loop has a grading cell that sets `optimizer` to an object of "
                "torch.optim, and `steps` to how many steps the loop makes where that is not `max_steps`"
            )
        self.optimizer = optimizer
        self.count: int = steps
        self.made = 0
        self.draws = self._draws()
        for generator, state in zip(self.generators, self.states, strict=True):
            generator.set_state(state)

    def _draws(self) -> tuple[str, ...]:
        sources = {name for name, value in self.namespace.items() if isinstance(value, torch.Generator)}
        return tuple(name for atom in self.exercise.atoms if sources & set(atom.reads) for name in atom.binds)

    def rate(self, position: int) -> float:
        """The learning rate of the step at `position`."""
        groups = self.optimizer.param_groups
        if self.scheduler is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.scheduler.last_epoch = position
                rates = getattr(self.scheduler, "_get_closed_form_lr", self.scheduler.get_lr)()
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate
        return float(groups[0]["lr"])

    def changes(self) -> list[int]:
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

    def step(
        self, position: int, drawn: Mapping[str, Tensor], upstream: Mapping[str, Tensor] | None = None
    ) -> TrueStep:
        """Make the step at `position`, on its own next batch, or on what `drawn` gives in its place.

        With `upstream`, the tensors named there pass on that gradient instead of their own.
        """
        trained = self.exercise.trained
        before = {name: self.namespace[name].detach().clone() for name in trained}
        there = self.namespace | before  # the optimiser changes the parameters themselves
        forward = cut_forward(self.exercise, there)
        redrawn = tuple(name for name, value in drawn.items() if not _same(value, forward.values.get(name)))
        if redrawn:
            states = [generator.get_state() for generator in self.generators]
            forward = cut_forward(self.exercise, there, drawn)
            for generator, state in zip(self.generators, states, strict=True):
                generator.set_state(state)
        gradients = backpropagate(forward, upstream)
        rate = self.rate(position)
        held = copy.deepcopy(self.optimizer.state_dict()) if self._counts_steps() else {}
        otherwise: dict[str, Tensor] = {}
        if self._counts_steps() and position != self.made:
            self._move(gradients)
            otherwise = {name: self.namespace[name].detach().clone() for name in trained}
            for name, value in before.items():
                self.namespace[name].data.copy_(value)
            self.optimizer.load_state_dict(held)
            for state in self.optimizer.state.values():
                state["step"] = torch.full_like(torch.as_tensor(state["step"], dtype=torch.float32), float(position))
        self._move(gradients)
        self.made += 1
        after = {name: self.namespace[name].detach().clone() for name in trained}
        loss = forward.values[self.exercise.atoms[-1].name]
        return TrueStep(position, before, {"loss": loss, **after}, rate, forward, gradients, otherwise, redrawn)

    def _counts_steps(self) -> bool:
        return any("step" in state for state in self.optimizer.state.values())

    def _move(self, gradients: Gradients) -> None:
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        for name in self.exercise.trained:
            parameter = self.namespace[name]
            parameter.grad = gradients.total[name].detach().clone() if name in gradients.total else None
        self.optimizer.step()
        for name in self.exercise.trained:
            self.namespace[name].grad = None


def _same(ours: Tensor, own: Any) -> bool:
    return isinstance(own, Tensor) and ours.shape == own.shape and bool((ours.to(own.device) == own).all())
