"""The worker's side of single gradients: each statement runs in every trial before what it gave is handed over."""

from __future__ import annotations

import ast
import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.admission.lesson_data import DATA
from grader.lesson.numbers import as_numbers, as_tensor_like, in_the_kind_of
from grader.lesson.program import Program, compiled, set_up
from grader.running.describe import describe_exception, describe_value
from grader.running.instrument import HAND_OVER, RAISED, hook_gradients, hook_loops, loop_names
from grader.running.loop_run import LoopRun, Together, generators_in, numbered
from grader.running.protected import Protected
from grader.running.protocol import (
    REFUSED,
    CaseResults,
    Cases,
    Channel,
    Done,
    Failure,
    ForwardCheck,
    LoopEnd,
    Observe,
    Request,
    Run,
    Running,
    Said,
    StepRequest,
    Value,
    Values,
    Variants,
    VariantValues,
)
from grader.running.stand_ins import provided, stand_ins
from grader.running.statements import arithmetic_of, assign, evaluate, keep_code, run_alone, run_statement
from grader.syntax.effects import statement_effects
from grader.syntax.inert_calls import drop_inert_calls

_Found = tuple[dict[str, Any], Protected]
"""What a submission finds defined in a trial, and what of it is put right between its statements."""

_made: defaultdict[tuple[Program, str, bool], list[_Found]] = defaultdict(list)
"""Trials made beforehand, each for one run: what a run does to its own reaches no other."""


def make(program: Program, parameters: Mapping[str, Any], *, loop: bool = False) -> None:
    """Set up a trial, for one run in it. A `loop` finds the setup alone, for it runs the forward pass itself."""
    with arithmetic_of(parameters):
        namespace = (set_up if loop else _forward)(program, parameters)
    _made[_setting(program, parameters, loop)].append(_found(program, namespace, guarded=True))


def _found(program: Program, namespace: dict[str, Any], *, guarded: bool) -> _Found:
    found, protected = provided(namespace, guarded=guarded), Protected()
    for name in {*program.kept, *stand_ins()} & found.keys():
        protected.add(name, found[name])
    return found, protected


def _setting(program: Program, parameters: Mapping[str, Any], loop: bool) -> tuple[Program, str, bool]:
    return program, json.dumps(parameters, sort_keys=True), loop


def _forward(program: Program, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The names of setup and forward pass."""
    namespace = set_up(program, parameters)
    for line in program.forward:
        exec(compiled(line.text, line.line), namespace)
    with contextlib.suppress(Exception):  # what other lessons of the track name is a courtesy
        for line in program.further:
            if not namespace.keys() & set(line.binds):
                exec(compiled(line.text, line.line), namespace)
    namespace = {name: value.detach() if isinstance(value, Tensor) else value for name, value in namespace.items()}
    if isinstance(namespace.get("parameters"), list):
        namespace["parameters"] = [namespace[name] for name in program.trained if name in namespace]
    return namespace


def default_device(device: str) -> str | None:
    """Where an answer's own tensors are made if it names no device; None, which costs nothing, for the processor.

    A loop and a case have none: they draw with the processor's generators, and move to the device what they draw.
    """
    return None if device == "cpu" else device


class TrialRun:
    """The statements of a submission in one trial: its namespace, and what is put right in it between statements."""

    def __init__(
        self,
        request: Run | Variants | Observe | Cases,
        parameters: Mapping[str, Any],
        aliases: Mapping[str, str],
        *,
        loop: bool = False,
    ) -> None:
        """`aliases` are the submission's names for gradients."""
        self.program = program = request.program
        self.parameters = parameters
        self.aliases = aliases
        self.guarded = request.guarded
        self.done: set[str] = set()
        self.failures: dict[str, Failure] = {}
        self.interrupted: dict[str, Failure] = {}
        self.unmade: dict[str, Failure] = {}
        self.stopped = False
        self.given: Mapping[str, Tensor] = {}
        self.settled: dict[str, Tensor] = {}
        self.past_versions = False
        setting = _setting(program, parameters, loop)
        if not _made[setting]:
            make(program, parameters, loop=loop)
        self.namespace, self.protected = _made[setting].pop()
        if not self.guarded:
            self.namespace, self.protected = _found(program, self.namespace[DATA], guarded=False)
        renamed = {own: self.namespace[name] for own, name in request.names.given.items() if name in self.namespace}
        for own in renamed.keys() - stand_ins().keys():
            self.namespace[own] = renamed[own]
            self.protected.add(own, renamed[own])

    def start(self, given: Mapping[str, Tensor]) -> None:
        """Put the true gradients in place that are known from the start."""
        self.given = given
        for tensor, truth in given.items():
            self.put_back(tensor, truth, protect=tensor in self.program.given)

    def restore(self) -> None:
        """Undo what a statement did to forward tensors, sizes and stand-ins."""
        self.protected.restore(self.namespace, counted=not self.past_versions)

    def execute(self, step: StepRequest, hook: Callable[[Any], None]) -> Failure | None:
        """Run one statement; an exception is kept for every gradient that the statement writes.

        What admission refuses is kept for all whose answer the statement belongs to: they do not run any more.
        """
        self.past_versions = self.past_versions or ".data" in step.text
        before = [self.failures.get(tensor) for tensor in step.writes]
        if before and all(failure is not None and failure.type == REFUSED for failure in before):
            return before[0]
        with arithmetic_of(self.parameters):
            failure = run_statement(step.text, step.text_line, self.namespace, hook, guarded=self.guarded)
        if failure is not None:
            failure.step = step.index
            failure = self.unmade.get(failure.name or "", failure)  # why there is no such name says more
            for tensor in step.needed_by if failure.type == REFUSED else step.writes:
                self.failures.setdefault(tensor, failure)
            changed, anew = _changed_by(step.text)
            for name in anew - self.aliases.keys() - {*self.program.kept}:
                self.namespace.pop(name, None)  # it may be what another lesson of the track calls so
            for tensor in step.needed_by if changed & self.namespace.keys() else ():
                self.interrupted.setdefault(tensor, failure)
            self.unmade |= dict.fromkeys(changed - self.namespace.keys() - self.unmade.keys(), failure)
        for tensor in self.given.keys() & set(step.writes):
            self.put_back(tensor, self.given[tensor])
        for tensor in self.settled.keys() & set(step.spoils):
            self.put_back(tensor, self.settled[tensor])
        return failure

    def describe(self, tensor: str, read: Callable[[], Any]) -> tuple[Said, Tensor | None]:
        """What is handed over for `tensor`: words, and numbers where there are any."""
        self.done.add(tensor)
        if tensor in self.failures:
            return Said(failure=self.failures[tensor]), None
        try:
            words, numbers = describe_value(as_tensor_like(read(), self.namespace.get(tensor)))
        except BaseException as error:
            return Said(failure=describe_exception(error)), None
        return Said(words, self.interrupted.get(tensor)), numbers

    def own_numbers(self, tensor: str, handed: Tensor | None) -> Tensor:
        """What stands in for a true gradient that is not known yet: what was handed over, where it could be the true
        one. Else nothing that comes after counts, and the trial stops."""
        like = self.namespace.get(tensor)
        numbers = like if isinstance(like, Tensor) else as_numbers(like)
        if handed is not None and (numbers is None or (handed.shape, handed.dtype) == (numbers.shape, numbers.dtype)):
            return handed
        self.stopped = True
        return torch.zeros(()) if numbers is None else torch.zeros_like(numbers)

    def evaluate(self, place: str) -> Any:
        """What the expression `place` holds."""
        if place in self.namespace:
            return self.namespace[place]
        with arithmetic_of(self.parameters):
            return evaluate(place, self.namespace, guarded=self.guarded)

    def assign(self, tensor: str, place: str, truth: Tensor) -> None:
        """Put the true gradient where the submission holds its own."""
        if place in self._names_of(tensor):
            return  # there `put_back` has put it
        try:
            with arithmetic_of(self.parameters):
                kind = in_the_kind_of(self.namespace.get(tensor), truth.clone())
                assign(place, kind, self.namespace, guarded=self.guarded)
        except Exception:
            return  # an expression that cannot be assigned to keeps the learner's value

    def share(self, place: str, truth: Tensor) -> None:
        """Write the true gradient into the tensor that the submission holds, if no other gradient has its memory."""
        try:
            own = self.evaluate(place)
        except BaseException:
            return
        numbers = torch.from_numpy(own) if isinstance(own, np.ndarray) else own
        if not isinstance(numbers, Tensor) or (numbers.shape, numbers.dtype) != (truth.shape, truth.dtype):
            return
        others = (self.namespace.get(name) for name in self.aliases.keys() - {place})
        memory = {other.untyped_storage().data_ptr() for other in others if isinstance(other, Tensor)}
        if numbers.untyped_storage().data_ptr() not in memory:
            with contextlib.suppress(RuntimeError, ValueError):  # an expanded or a read-only one stays as it is
                numbers.copy_(truth)

    def put_back(self, tensor: str, truth: Tensor, *, protect: bool = False) -> None:
        """Give the true gradient every name that the submission has for it."""
        self.settled[tensor] = truth
        for name in self._names_of(tensor):
            self.namespace[name] = in_the_kind_of(self.namespace.get(tensor), truth.clone())
            if protect:
                self.protected.add(name, self.namespace[name])

    def _names_of(self, tensor: str) -> set[str]:
        return {"d" + tensor, *(name for name, held in self.aliases.items() if held == tensor)}

    def other_forward_lines(self, checks: Iterable[ForwardCheck]) -> tuple[int, ...]:
        """Which lines of the submission's own forward pass give other numbers than the exercise's."""
        lines = []
        for check in checks:
            scope = dict(self.namespace)
            try:
                with arithmetic_of(self.parameters):
                    run_alone(check.text, scope, guarded=self.guarded)
                tensors = [name for name in check.names if isinstance(scope[name], Tensor)]
                same = all(self._same(name, scope[name]) for name in tensors)
            except BaseException:
                continue  # a forward line that does not run alone proves nothing
            if not same:
                lines.append(check.index)
        return tuple(lines)

    def _same(self, name: str, value: Tensor) -> bool:
        ours = self.protected[name]
        if value.shape != ours.shape:
            return False
        return bool(torch.allclose(value.to(ours.dtype), ours, rtol=1e-6, atol=1e-9))


def _changed_by(text: str) -> tuple[set[str], set[str]]:
    """The names that a statement gives a value or changes, and those that it makes anew. One that stopped leaves those
    that were there half changed, and an answer goes on with that; an answer that needs what it would have made stops
    too."""
    try:
        (node,) = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(), set()
    found = statement_effects(node)
    return found.writes, found.rebinds


class GradientRun:
    """One pass over the statements of one submission, in all its trials at once.

    A true gradient comes back for each trial in which one was handed over, and for no other. Where it was told with
    the first truths, it takes its place without a word. A run that does not wait goes on with what it has: see `Run`.
    """

    def __init__(self, channel: Channel[Request], request: Run) -> None:
        self.channel = channel
        self.request = request
        self.device = str(request.trials[0].get("device", "cpu"))
        self.names = request.names
        self.announced: int | None = None
        self.told: list[dict[str, Tensor]] = []
        self.handed: list[tuple[Value, dict[int, Tensor]]] = []
        self.has_loop = any(step.loops for step in request.steps)
        self.default_device = None if self.has_loop else default_device(self.device)
        for step in request.steps:
            if step.index in request.codes:
                keep_code(step.text, step.text_line, request.codes[step.index])
        self.trials = [
            TrialRun(request, parameters, request.aliases, loop=self.has_loop) for parameters in request.trials
        ]

    def run(self, truths: Mapping[str, Tensor]) -> None:
        """Run every step; each message out is answered before the next statement runs."""
        torch.default_generator.manual_seed(0)  # torch.manual_seed also notes for CUDA who called it: 1 ms
        steps = self.request.steps
        asked = {tensor for step in steps for tensor in (*step.hand_over, *step.hooks)}
        for number, trial in enumerate(self.trials):
            self.told.append(of_trial(truths, number))
            trial.start({tensor: truth for tensor, truth in self.told[number].items() if tensor not in asked})
            for name in self.request.unkept:
                trial.protected.leave(name)
            trial.namespace[HAND_OVER] = partial(self._hand_over_inside, number)
            if self.has_loop:
                states = [generator.get_state() for generator in generators_in(trial.namespace)]
                loop = LoopRun(self.channel, number, self.request.program, trial.namespace, states, self.request.names)
                trial.namespace |= loop_names(loop.steps, loop.replace, numbered=numbered, paired=Together)
            trial.namespace[RAISED] = partial(_note_failure, trial)
        for step, then in zip(steps, [*(step.index for step in steps[1:]), None], strict=True):
            for trial in self.trials:
                trial.restore()
            if self.request.waits and step.index != self.announced:
                self.channel.send(Running(step.index))
            self._run_step(step, then)
        for trial in self.trials:
            trial.restore()
        forward_differs = self.trials[0].other_forward_lines(self.request.checks)
        if self.request.waits:
            self.channel.send(Done(forward_differs))
        else:
            numbers = {f"{at}:{n}": value for at, (_, found) in enumerate(self.handed) for n, value in found.items()}
            self.channel.send(Values(tuple(value for value, _ in self.handed), forward_differs), numbers)

    def _run_step(self, step: StepRequest, then: int | None) -> None:
        for number, trial in enumerate(self.trials):
            failure = None if trial.stopped else trial.execute(step, partial(self._hook, step))
            if step.runs_loop:
                self.channel.send(LoopEnd(number, failure))
        for tensor in step.hooks:
            self._hand_over(tensor, self._without(tensor), lambda _: None, step.line)
        due = [tensor for tensor in step.hand_over if self._without(tensor)]
        for tensor in due:
            place = step.hand_over[tensor]
            self.announced = then if tensor == due[-1] else None
            waiting = self._without(tensor)
            truths = self._hand_over(tensor, waiting, partial(self._evaluate, place), step.line)
            for number in waiting:
                if self.request.shares:
                    self.trials[number].share(place, truths[number])
                self.trials[number].put_back(tensor, truths[number])
                self.trials[number].assign(tensor, place, truths[number])

    def _hook(self, step: StepRequest, tree: ast.Module) -> None:
        if self.has_loop:
            forward = {name: name for line in self.request.program.forward for name in line.binds}
            hook_loops(tree, step.loops, self.names, {**forward, **self.names.given})
        else:
            hook_gradients(tree, self.request.places, self.names)

    def _evaluate(self, place: str, number: int) -> Any:
        return self.trials[number].evaluate(place)

    def _without(self, tensor: str) -> list[int]:
        """The trials in which `tensor` was not handed over yet."""
        return [at for at, trial in enumerate(self.trials) if tensor not in trial.done and not trial.stopped]

    def _hand_over_inside(self, number: int, tensor: str, read: Callable[[], Any], line: int) -> Any:
        trial = self.trials[number]
        if tensor in trial.done:
            return read()
        truth = self._hand_over(tensor, [number], lambda _: read(), line)[number]
        trial.put_back(tensor, truth)
        return in_the_kind_of(trial.namespace.get(tensor), truth.clone())

    def _hand_over(
        self, tensor: str, waiting: Sequence[int], read: Callable[[int], Any], line: int
    ) -> dict[int, Tensor]:
        """Hand over what each waiting trial has for `tensor`; the true gradients that come back."""
        if not waiting:
            return {}
        told = {number: self.told[number][tensor] for number in waiting if tensor in self.told[number]}
        if self.request.waits and len(told) == len(waiting):  # it was handed over in an earlier run
            self.announced = None
            for number in waiting:
                self.trials[number].done.add(tensor)
            return told
        found = {number: self.trials[number].describe(tensor, partial(read, number)) for number in waiting}
        words = {number: said for number, (said, _) in found.items()}
        value = Value(tensor, words, line, self.announced)
        if not self.request.waits:
            handed = {number: values.clone() for number, (_, values) in found.items() if values is not None}
            self.handed.append((value, handed))  # copies, for a later line may change what it has handed over
            return {number: self._in_its_place(number, tensor, handed.get(number)) for number in waiting}
        numbers = {str(number): values for number, (_, values) in found.items() if values is not None}
        self.channel.send(value, numbers)
        _, truths = self.channel.receive(device=self.device)
        return {number: truths[str(number)] for number in waiting}

    def _in_its_place(self, number: int, tensor: str, handed: Tensor | None) -> Tensor:
        """What a run that does not wait goes on with."""
        told = self.told[number].get(tensor)
        return self.trials[number].own_numbers(tensor, handed) if told is None else told


class CaseRun:
    """A submission's function or class, in programs that use it: each in names of its own."""

    def __init__(self, channel: Channel[Request], request: Cases) -> None:
        self.channel = channel
        self.request = request
        self.device = str(request.trial.get("device", "cpu"))
        self.default_device: str | None = None
        self.trial = TrialRun(request, request.trial, {})

    def run(self, _: Mapping[str, Tensor]) -> None:
        """Run the definitions, then each program; an exception in a definition ends the run."""
        rewrite = partial(drop_inert_calls, own_functions=self.request.names.own_functions)
        namespace = self.trial.namespace
        with arithmetic_of(self.request.trial):
            for step in self.request.steps:
                self.channel.send(Running(step.index))
                failure = run_statement(step.text, step.text_line, namespace, rewrite, guarded=self.request.guarded)
                if failure is not None:
                    self.channel.send(Done(failure=failure))
                    return
            programs = [(str(number), text) for number, text in enumerate(self.request.programs)]
            for together in [[one] for one in programs] if self.request.waits else [programs]:
                results = {number: self._result(text, dict(namespace)) for number, text in together}
                numbers = {number: values for number, (_, values) in results.items() if values is not None}
                self.channel.send(CaseResults(tuple(said for said, _ in results.values())), numbers)
        self.channel.send(Done())

    def _result(self, text: str, scope: dict[str, Any]) -> tuple[Said, Tensor | None]:
        failure = run_statement(text, 1, scope, lambda _: None, "case", guarded=self.request.guarded)
        if failure is not None:
            return Said(failure=failure), None
        try:
            value = scope.get("result")
            numbers = as_numbers(value)
            words, sent = describe_value(value if numbers is None else numbers)
        except BaseException as error:
            return Said(failure=describe_exception(error)), None
        return Said(words), None if sent is None else sent.clone()  # the next program may write into the same tensor


class VariantRun:
    """Variants of one answer, each from the same true gradients."""

    def __init__(self, channel: Channel[Request], request: Variants) -> None:
        self.channel = channel
        self.request = request
        self.device = str(request.trial.get("device", "cpu"))
        self.default_device = default_device(self.device)
        self.trial = TrialRun(request, request.trial, request.aliases)
        self.rewrite = partial(drop_inert_calls, own_functions=request.names.own_functions)

    def run(self, truths: Mapping[str, Tensor]) -> None:
        """Run each variant, and send what each gives."""
        values: dict[str, Tensor] = {}
        with arithmetic_of(self.request.trial):
            for step in self.request.steps:
                self.trial.restore()
                self._succeeds(step.text, step.text_line)
            for number, statements in enumerate(self.request.variants):
                self.trial.restore()
                for name in self.request.fresh:
                    self.trial.namespace.pop(name, None)
                for tensor, truth in of_trial(truths, 0).items():
                    self.trial.put_back(tensor, truth)
                if all(self._succeeds(text, 1) for text in statements):
                    with contextlib.suppress(Exception):
                        _, numbers = describe_value(as_numbers(self.trial.evaluate(self.request.place)))
                        if numbers is not None:
                            values[str(number)] = numbers.clone()
        self.channel.send(VariantValues(), values)

    def _succeeds(self, text: str, line: int) -> bool:
        guarded = self.request.guarded
        return run_statement(text, line, self.trial.namespace, self.rewrite, "variant", guarded=guarded) is None


def _note_failure(trial: TrialRun, tensors: tuple[str, ...], error: Exception) -> None:
    for tensor in tensors:
        trial.failures.setdefault(tensor, describe_exception(error))


def of_trial(truths: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """The true gradients of one trial from a message that holds all: under `2:logits` that of logits in trial 2."""
    prefix = f"{number}:"
    return {name.removeprefix(prefix): truth for name, truth in truths.items() if name.startswith(prefix)}
