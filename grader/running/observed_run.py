"""The worker's side of watching an answer: which statement changes which gradient, under whatever name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from grader.lesson.numbers import as_numbers
from grader.running.gradient_run import TrialRun, default_device, of_trial
from grader.running.protocol import Channel, Observe, Observed, Request
from grader.running.statements import arithmetic_of, run_statement
from grader.syntax.inert_calls import drop_inert_calls

_Kept = tuple[int, Tensor] | None
"""How often a value was changed in place, as far as that is counted, and a copy of it; None where there is none."""


class ObservedRun:
    """A submission's statements once, in their own order, each going on from what those before it gave."""

    def __init__(self, channel: Channel[Request], request: Observe) -> None:
        self.channel = channel
        self.request = request
        self.device = str(request.trial.get("device", "cpu"))
        self.default_device = default_device(self.device)
        self.trial = TrialRun(request, request.trial, request.aliases)
        self.trial.past_versions = any(".data" in step.text for step in request.steps)
        self.held_in = {(tensor, name) for name, tensor in request.aliases.items()} | set(request.places.items())

    def run(self, truths: Mapping[str, Tensor]) -> None:
        """Run the statements, and tell what each of those that raise nothing changes."""
        rewrite = partial(drop_inert_calls, own_functions=self.request.names.own_functions)
        namespace, guarded = self.trial.namespace, self.request.guarded
        self.trial.start(of_trial(truths, 0))
        changes: dict[int, tuple[str, ...]] = {}
        with arithmetic_of(self.request.trial):
            before = {held: self._kept(held[1]) for held in self.held_in}
            for step in self.request.steps:
                self.trial.restore()
                failure = run_statement(step.text, step.text_line, namespace, rewrite, "observed", guarded=guarded)
                after = {held: self._kept(held[1]) for held in self.held_in}
                if failure is None:
                    changed = {held[0] for held in self.held_in if not _same(before[held], after[held])}
                    changes[step.index] = tuple(sorted(changed))
                before = after
        self.channel.send(Observed(changes))

    def _kept(self, place: str) -> _Kept:
        try:
            value: Any = self.trial.evaluate(place)
            numbers = as_numbers(value)
            if numbers is None:
                return None
            return value._version if isinstance(value, Tensor) else 0, numbers.detach().clone()
        except BaseException:
            return None


def _same(before: _Kept, after: _Kept) -> bool:
    if before is None or after is None:
        return before is after
    (version, old), (later, new) = before, after
    if version != later or old.shape != new.shape or old.dtype != new.dtype:
        return False
    return torch.equal(old, new) or bool(((old == new) | ((old != old) & (new != new))).all())
