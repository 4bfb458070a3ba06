"""The worker: runs a learner's statements one by one, hands each gradient over, goes on with the true one."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from grader.lesson.program import Program, TrialSetup
from grader.lesson.trials import use_exact_arithmetic
from grader.running.gradient_run import CaseRun, GradientRun, VariantRun, make
from grader.running.memory import have_at_hand
from grader.running.observed_run import ObservedRun
from grader.running.protocol import (
    REPLIES,
    REQUESTS,
    Cases,
    Channel,
    Observe,
    Prepare,
    Ready,
    Request,
    Run,
    StepRequest,
    Variants,
)
from grader.running.statements import forget_statements

_RUNS: dict[type, Callable[..., CaseRun | GradientRun | ObservedRun | VariantRun]] = {
    Run: GradientRun,
    Variants: VariantRun,
    Observe: ObservedRun,
    Cases: CaseRun,
}

_REHEARSAL_SECONDS = 0.01


def warm_up(trials: Iterable[TrialSetup]) -> None:
    """Set up each trial for the runs that come then, in this process and in those that it forks."""
    use_exact_arithmetic()
    rehearsed = set()
    for program, parameters, loop in trials:
        if program not in rehearsed:
            rehearsed.add(program)
            with contextlib.suppress(Exception):  # what a rehearsal leaves undone a worker does
                rehearse(program, parameters)
        make(program, parameters, loop=loop)
    forget_statements()


def rehearse(program: Program, parameters: Mapping[str, Any]) -> None:
    """Run a lesson's forward pass as answers are run, so that what Python, numpy and torch make at a first use is there
    for all workers: each would make it anew."""
    steps = [StepRequest(0, "pass", 1, 1)]  # a lesson on classes has no forward pass
    for line in program.forward:
        steps.append(StepRequest(len(steps), line.text, 1, 1))
        for name in line.binds:
            steps.append(StepRequest(len(steps), f"d{name} = {name} * 2", 1, 1, hand_over={name: f"d{name}"}))
    judge, worker = socket.socketpair()
    with judge, worker:
        worker.settimeout(_REHEARSAL_SECONDS)  # what does not fit into the socket nobody takes out of it
        asking, answering = Channel(judge, REPLIES), Channel(worker, REQUESTS)
        asking.send(Run(program, (dict(parameters),), tuple(steps), waits=False))
        request, _ = answering.receive()
        assert isinstance(request, Run)
        GradientRun(answering, request).run({})
        asking.receive(time.monotonic() + _REHEARSAL_SECONDS)


def serve(channel: Channel[Request]) -> None:
    """Answer run requests until the judge closes the channel. This process or the one that forked it was warmed up."""
    while True:
        try:
            request, _ = channel.receive()
        except EOFError:
            return
        match request:
            case Prepare():
                warm_up(request.trials)
                have_at_hand(request.memory)
                channel.send(Ready())
            case Run() | Variants() | Observe() | Cases():
                run = _RUNS[type(request)](channel, request)
                channel.send(Ready())
                _, truths = channel.receive(device=run.device)
                torch.set_default_device(run.default_device)
                run.run(truths)
        torch.set_default_device(None)
