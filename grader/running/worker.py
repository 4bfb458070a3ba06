"""The worker: runs a learner's statements one by one, hands each gradient over, goes on with the true one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from grader.lesson.program import Program
from grader.lesson.trials import use_exact_arithmetic
from grader.running.gradient_run import CaseRun, GradientRun, VariantRun, make
from grader.running.protocol import Cases, Channel, Ready, Request, Run, Variants

_RUNS: dict[type, Callable[..., CaseRun | GradientRun | VariantRun]] = {
    Run: GradientRun,
    Variants: VariantRun,
    Cases: CaseRun,
}


def warm_up(trials: Iterable[tuple[Program, Mapping[str, Any]]]) -> None:
    """Set up each trial, a program and its parameters, before workers are forked that find them made."""
    use_exact_arithmetic()
    torch.set_grad_enabled(False)
    for program, parameters in trials:
        make(program, parameters)


def serve(channel: Channel[Request]) -> None:
    """Answer run requests until the judge closes the channel."""
    use_exact_arithmetic()
    torch.set_grad_enabled(False)
    while True:
        try:
            request, _ = channel.receive()
        except EOFError:
            return
        match request:
            case Run() | Variants() | Cases():
                run = _RUNS[type(request)](channel, request)
                channel.send(Ready())
                _, truths = channel.receive(device=run.device)
                torch.set_default_device(run.default_device)
                run.run(truths)
        torch.set_default_device(None)
