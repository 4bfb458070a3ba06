"""The worker: runs a learner's statements one by one, hands each gradient over, goes on with the true one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from grader.base.wire import Channel
from grader.lesson.exercise import Exercise, find_exercise
from grader.lesson.trials import use_exact_arithmetic
from grader.running.gradient_run import GradientRun, make
from grader.running.stand_ins import stand_in_for_packages
from grader.running.statements import arithmetic_of, run_statement
from grader.running.training_run import TrainingRun, hook_loops


def _run_training(channel: Channel, exercise: Exercise, request: Mapping[str, Any]) -> None:
    with arithmetic_of(request["parameters"]):
        run = TrainingRun(channel, exercise, request)
        channel.send({"op": "ready"})
        run.run(
            lambda step, namespace: run_statement(
                step, namespace, lambda tree: hook_loops(tree, step["loops"], step["own_functions"])
            )
        )


def _run_gradients(channel: Channel, exercise: Exercise, request: Mapping[str, Any]) -> None:
    run = GradientRun(channel, exercise, request)
    channel.send({"op": "ready"})
    _, truths = channel.receive(device=run.device)
    if run.device != "cpu":  # a default device costs a little on every call
        torch.set_default_device(run.device)
    if "variants" in request:
        run.run_variants(truths)
    else:
        run.run(truths)


def warm_up(trials: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Set up each trial, an exercise and its parameters, before workers are forked that find them made."""
    use_exact_arithmetic()
    torch.set_grad_enabled(False)
    for name, parameters in trials:
        make(find_exercise(name), parameters)


def serve(channel: Channel) -> None:
    """Answer run requests until the judge closes the channel."""
    use_exact_arithmetic()
    torch.set_grad_enabled(False)
    stand_in_for_packages()
    while True:
        try:
            request, _ = channel.receive()
        except EOFError:
            return
        run = _run_training if request.get("training") else _run_gradients
        run(channel, find_exercise(str(request["exercise"])), request)
        torch.set_default_device(None)
