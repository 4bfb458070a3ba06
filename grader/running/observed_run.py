"""The worker's side of watching an answer: what each of its statements changes, under whatever name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from grader.running.gradient_run import TrialRun, default_device, of_trial
from grader.running.protocol import Channel, Observe, Observed, Request
from grader.running.statements import arithmetic_of, run_statement
from grader.syntax.inert_calls import drop_inert_calls

_DEEP = 4
"""How far objects in objects are looked into: a list of layers, each with a dict of arrays."""


class ObservedRun:
    """A submission's statements once, in their own order, each going on from what those before it gave."""

    def __init__(self, channel: Channel[Request], request: Observe) -> None:
        self.channel = channel
        self.request = request
        self.device = str(request.trial.get("device", "cpu"))
        self.default_device = default_device(self.device)
        self.trial = TrialRun(request, request.trial, request.aliases)
        self.trial.past_versions = any(".data" in step.text for step in request.steps)

    def run(self, truths: Mapping[str, Tensor]) -> None:
        """Run the statements, and tell what each of those that raise nothing changes."""
        rewrite = partial(drop_inert_calls, own_functions=self.request.names.own_functions)
        namespace, guarded = self.trial.namespace, self.request.guarded
        self.trial.start(of_trial(truths, 0))
        changes: dict[int, tuple[str, ...]] = {}
        with arithmetic_of(self.request.trial):
            before = self._contents()
            for step in self.request.steps:
                self.trial.restore()
                failure = run_statement(step.text, step.text_line, namespace, rewrite, "observed", guarded=guarded)
                after = self._contents()
                if failure is None:
                    changes[step.index] = tuple(place for place in after if before[place] != after[place])
                before = after
        self.channel.send(Observed(changes))

    def _contents(self) -> dict[str, Any]:
        return {place: self._content(place) for place in self.request.places}

    def _content(self, place: str) -> Any:
        try:
            return content(self.trial.evaluate(place))
        except BaseException:
            return None


def content(value: Any, deep: int = _DEEP) -> Any:
    """What a value holds, to be compared with what it holds later: numbers, and those in lists, dicts, objects and
    what functions keep."""
    if isinstance(value, Tensor):
        return value.shape, value.dtype, hash(value.detach().cpu().numpy().tobytes())
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, hash(value.tobytes())
    if deep and isinstance(value, (list, tuple)):
        return [content(item, deep - 1) for item in value]
    if deep and isinstance(value, dict):
        return [(key, content(item, deep - 1)) for key, item in value.items()]
    if isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)  # nan is not nan
    if deep and isinstance(value, FunctionType):
        return [content(cell.cell_contents, deep - 1) for cell in value.__closure__ or ()]
    if deep and hasattr(value, "__dict__") and not isinstance(value, (type, ModuleType)):
        return content(vars(value), deep - 1)
    return id(value)
