"""One step of Adam or AdamW written out, right and with each of the slips that people make in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Slip:
    """One mistake in an update: its id, its sentence, the parameter after it, and at which of two running means it is
    made."""

    mistake: str
    said: str
    after: Tensor
    at: int = 0


@dataclass(frozen=True)
class AdamStep:
    """What one step of a parameter is made from: the parameter before it, its gradient, the two running means before
    it, and the settings of its group; `count` is 1 in the first step.

    The rest are the parts of the step, which a slip replaces. The second mean is one of gradients to the `power`, and
    `root` turns it into the divisor.
    """

    value: Tensor
    gradient: Tensor
    means: tuple[Tensor, Tensor]
    group: dict[str, Any]
    count: int
    kept: tuple[float, float]
    added: tuple[float, float]
    corrections: tuple[float, float]
    power: int = 2
    root: Callable[[Tensor, float], Tensor] = lambda mean, eps: mean.sqrt() + eps
    shrunk: float = 1.0

    @classmethod
    def of(cls, value: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any], count: int) -> AdamStep:
        """The right step; `state` is the optimiser's for this parameter, before the step."""
        means = (state.get("exp_avg", torch.zeros_like(value)), state.get("exp_avg_sq", torch.zeros_like(value)))
        beta1, beta2 = group["betas"]
        corrections = (1 - beta1**count, 1 - beta2**count)
        shrunk = 1 - group["lr"] * group["weight_decay"]
        added = (1 - beta1, 1 - beta2)
        return cls(value, gradient, means, group, count, (beta1, beta2), added, corrections, shrunk=shrunk)

    def after(self) -> Tensor:
        """The parameter after the step."""
        squares = (self.gradient, self.gradient**self.power)
        first, second = (
            (kept * mean + added * new) / correction
            for kept, mean, added, new, correction in zip(
                self.kept, self.means, self.added, squares, self.corrections, strict=True
            )
        )
        rate, eps = float(self.group["lr"]), float(self.group["eps"])
        return self.value * self.shrunk - rate * first / self.root(second, eps)

    def slips(self) -> Iterator[Slip]:
        """Each slip that is made in an Adam alone."""
        for at, mean in enumerate(("first running mean, m", "second running mean, v")):
            beta, right = self.kept[at], self.corrections[at]
            square = "the gradient's square" if at else "the gradient"
            power = f"1 - beta{at + 1} ** t"
            shares = (
                (f"the {mean}, gets {square} beta{at + 1} times. It gets it 1 - beta{at + 1} times.", beta),
                (f"the {mean}, gets {square} in full. It gets it 1 - beta{at + 1} times.", 1.0),
            )
            corrections = (
                (f"the {mean}, is multiplied by its bias correction, {power}. It is divided by it.", 1 / right),
                (f"the {mean}, is not corrected for its start at zero: it is divided by {power}.", 1.0),
                (f"the {mean}, is corrected with the other beta. Its own is beta{at + 1}.", self.corrections[1 - at]),
                (f"the {mean}, is divided by 1 - beta{at + 1} in each step. In step t it is {power}.", 1 - beta),
            )
            other = ((f"the {mean}, gets {square} with the share of the other beta.", 1 - self.kept[1 - at]),)
            for mistake, part, slips in (
                ("momentum", "added", shares),
                ("bias-correction", "corrections", corrections),
                ("momentum", "added", other),  # in a first step not always to be told from one of those above
            ):
                for said, value in slips:
                    pair: tuple[float, float] = getattr(self, part)
                    changed: dict[str, Any] = {part: (value, pair[1]) if at == 0 else (pair[0], value)}
                    yield Slip(mistake, said, replace(self, **changed).after(), at)
        said = "the second running mean, v, gets the gradient and not its square: a negative one has no root."
        yield Slip("momentum", said, replace(self, power=1).after(), at=1)
        both = (1 / self.corrections[0], 1 / self.corrections[1])
        said = "both running means are multiplied by their bias corrections. They are divided by them."
        yield Slip("bias-correction", said, replace(self, corrections=both).after())
        lr, decay = self.group["lr"], self.group["weight_decay"]
        if decay:
            said = "the weight decay is not multiplied by the learning rate: a parameter shrinks by lr * decay."
            yield Slip("weight-decay", said, replace(self, shrunk=1 - decay).after())
            said = "the weight decay has the wrong sign: it makes the parameter larger."
            yield Slip("weight-decay", said, replace(self, shrunk=1 + lr * decay).after())
        for said, root in (
            ("eps stands under the square root. It is added to the root.", lambda mean, eps: (mean + eps).sqrt()),
            ("the square root of the second running mean is missing in the divisor.", lambda mean, eps: mean + eps),
            (
                "the root of the second running mean divides nothing: the step is the rate times the gradient.",
                lambda mean, _: torch.ones_like(mean),
            ),
        ):
            yield Slip("update-divisor", said, replace(self, root=root).after())
        said = "it moves against its gradient alone, as in plain gradient descent."
        yield Slip("update-divisor", said, self.value - lr * self.gradient)
