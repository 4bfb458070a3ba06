"""The worker's side of a training loop: a few chosen steps of it, each begun from the true parameters."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import Tensor

from grader.lesson.program import set_up
from grader.running.protocol import Channel, Done, LoopStep, Request, Running, Train
from grader.running.stand_ins import ProgressStandIn, stand_ins, without_stand_ins
from grader.running.statements import run_statement
from grader.syntax.inert_calls import drop_inert_calls
from grader.syntax.loops import Loop, as_counted

STEPS = "__steps__"


def chosen_steps(count: int) -> list[int]:
    """Positions to run of a loop of `count`: its start, both sides of its middle, and its end.

    The middle step itself is left out: a learning rate may change right before or right after it.
    """
    wanted = {0, 1, 2, count // 2 - 2, count // 2 + 1, count - 1}
    return sorted(position for position in wanted if 0 <= position < count)


def hook_loops(tree: ast.Module, lines: Sequence[int], own_functions: Collection[str]) -> None:
    """Let the loops that begin on `lines` take their steps from `STEPS`."""
    drop_inert_calls(tree, own_functions)
    ast.fix_missing_locations(_Hook(lines).visit(tree))


class _Hook(ast.NodeTransformer):
    def __init__(self, lines: Sequence[int]) -> None:
        self.lines = lines

    def _visit_loop(self, node: Loop) -> ast.AST:
        self.generic_visit(node)
        counted = as_counted(node) if node.lineno in self.lines else None
        if counted is None:
            return node
        counted.iter = ast.Call(ast.Name(STEPS, ast.Load()), [counted.iter], [])
        return counted

    visit_For = _visit_loop
    visit_While = _visit_loop


def pick(iterable: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """The chosen positions and items of what a loop runs over."""
    while isinstance(iterable, ProgressStandIn):
        iterable = iterable.iterable
    if isinstance(iterable, Sequence):
        for position in chosen_steps(len(iterable)):
            yield position, iterable[position]
        return
    for position, item in zip(range(3), iterable, strict=False):
        yield position, item


class TrainingRun:
    """Runs a submission's statements; its loop hands loss and parameters over after each chosen step."""

    def __init__(self, channel: Channel[Request], request: Train) -> None:
        self.channel = channel
        self.program = request.program
        self.request = request
        namespace = set_up(request.program, request.trial)
        self.protected = without_stand_ins(namespace)
        self.namespace: dict[str, Any] = namespace | stand_ins() | {STEPS: self._steps, "__name__": "__main__"}
        self.generators = [value for value in namespace.values() if isinstance(value, torch.Generator)]
        self.start = [generator.get_state() for generator in self.generators]

    def run(self) -> None:
        """Run every statement; the first one that raises ends the run, for the loop stands last."""
        failure = None
        for step in self.request.steps:
            self.namespace.update(self.protected)
            self.channel.send(Running(step.index))
            hook = partial(hook_loops, lines=step.loops, own_functions=self.request.names.own_functions)
            failure = run_statement(step.text, step.text_line, self.namespace, hook)
            if failure is not None and step.writes:
                break
        self.channel.send(Done(failure=failure))

    def _steps(self, iterable: Iterable[Any]) -> Iterator[Any]:
        for generator, state in zip(self.generators, self.start, strict=True):
            generator.set_state(state)
        frame = inspect.currentframe()
        for position, item in pick(iterable):
            yield item
            loop = frame.f_back if frame is not None else None
            seen = {**self.namespace, **(loop.f_locals if loop is not None else {})}
            self._after_step(position, seen)

    def _after_step(self, position: int, seen: Mapping[str, Any]) -> None:
        found = {name: seen.get(name) for name in self.program.trained}
        handed = {name: value for name, value in found.items() if is_sendable(value)}
        loss = seen.get("loss")
        if is_sendable(loss) or isinstance(loss, float):
            handed["loss"] = torch.as_tensor(loss)
        forward = [name for line in self.program.forward for name in line.binds]
        others = {*forward, *(f"d{name}" for name in (*forward, *self.program.trained))} - handed.keys()
        handed |= {name: value for name in others if is_sendable(value := seen.get(name))}
        self.channel.send(LoopStep(position), handed)
        _, truths = self.channel.receive()
        state = truths.pop("generator")
        for generator in self.generators:
            generator.set_state(state)
        for name, truth in truths.items():
            for holder in (self.protected.get(name), found.get(name)):
                if isinstance(holder, Tensor) and holder.shape == truth.shape:
                    holder.data.copy_(truth)


def is_sendable(value: object) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.layout == torch.strided and value.numel() <= 1_000_000
