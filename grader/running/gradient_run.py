"""The worker's side of single gradients: each statement runs in every trial before what it gave is handed over."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from grader.base.wire import Channel
from grader.lesson.exercise import Exercise, track_of
from grader.lesson.trials import namespace_of
from grader.reading.gradient_names import Names
from grader.running.describe import describe_exception, describe_value
from grader.running.instrument import HAND_OVER, RAISED, hook_gradients
from grader.running.stand_ins import stand_ins
from grader.running.statements import arithmetic_of, assign, evaluate, run_alone, run_statement
from grader.syntax.inert_calls import drop_inert_calls

_made: dict[str, dict[str, Any]] = {}
"""Namespaces made before this process was forked, each for one run: what a run does to its own reaches no other."""


def make(exercise: Exercise, parameters: Mapping[str, Any]) -> None:
    """Set up a trial, for the first run in it."""
    with arithmetic_of(parameters):
        _made[_setting(exercise, parameters)] = _provided(exercise, parameters)


def _setting(exercise: Exercise, parameters: Mapping[str, Any]) -> str:
    return f"{exercise.id} {json.dumps(parameters, sort_keys=True)}"


def _provided(exercise: Exercise, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a submission finds defined: setup, forward pass, and the stand-ins for what is not run."""
    namespace = namespace_of(exercise, parameters)
    for atom in exercise.atoms:
        exec(atom.code, namespace)
    with contextlib.suppress(Exception):  # what other lessons of the track name is a courtesy
        others = [e for e in track_of(exercise) if not e.is_training and e is not exercise]
        for atom in (atom for other in others for atom in other.atoms):
            if not namespace.keys() & set(atom.binds):
                exec(atom.code, namespace)
    namespace = {name: value.detach() if isinstance(value, Tensor) else value for name, value in namespace.items()}
    if isinstance(namespace.get("parameters"), list):
        order = [name for name in exercise.trained if name in namespace]
        namespace["parameters"] = [namespace[name] for name in order]
    return namespace | stand_ins() | {"__name__": "__main__"}


class TrialRun:
    """The statements of a submission in one trial: its namespace, and what is put right in it between statements."""

    def __init__(self, exercise: Exercise, parameters: Mapping[str, Any], aliases: Mapping[str, str]) -> None:
        self.exercise = exercise
        self.parameters = parameters
        self.aliases = aliases
        self.done: set[str] = set()
        self.failures: dict[str, dict[str, Any]] = {}
        self.given: Mapping[str, Tensor] = {}
        self.pristine: dict[str, tuple[Any, Any, int]] = {}
        if (setting := _setting(exercise, parameters)) not in _made:
            make(exercise, parameters)
        self.namespace = _made.pop(setting)
        protected = {*exercise.forward_names, *exercise.network_names, *exercise.fixed_parameters, *stand_ins()}
        for name in protected & self.namespace.keys():
            self._protect(name, self.namespace[name])

    def start(self, given: Mapping[str, Tensor]) -> None:
        """Put the true gradients in place that are known from the start."""
        self.given = given
        for tensor, truth in given.items():
            self.put_back(tensor, truth, protect=tensor in self.exercise.given)

    def restore(self) -> None:
        """Undo what a statement did to forward tensors, sizes and stand-ins."""
        for name, (value, copy, version) in self.pristine.items():
            if copy is not None and value._version != version:
                self._protect(name, copy)
                value = copy
            self.namespace[name] = value

    def execute(self, step: Mapping[str, Any], hook: Callable[[Any], None]) -> None:
        with arithmetic_of(self.parameters):
            failure = run_statement(step, self.namespace, hook)
        if failure is not None:
            for tensor in step["writes"]:
                self.failures.setdefault(tensor, failure)
        for tensor in self.given.keys() & set(step["writes"]):
            self.put_back(tensor, self.given[tensor])

    def describe(self, tensor: str, read: Callable[[], Any]) -> tuple[dict[str, Any], Tensor | None]:
        """What is handed over for `tensor`: words, and numbers where there are any."""
        self.done.add(tensor)
        if tensor in self.failures:
            return {"failure": self.failures[tensor]}, None
        try:
            words, numbers = describe_value(read())
        except BaseException as error:
            return {"failure": describe_exception(error)}, None
        return {"value": words}, numbers

    def evaluate(self, place: str) -> Any:
        with arithmetic_of(self.parameters):
            return evaluate(place, self.namespace)

    def assign(self, place: str, truth: Tensor) -> None:
        try:
            with arithmetic_of(self.parameters):
                assign(place, truth.clone(), self.namespace)
        except Exception:
            return  # an expression that cannot be assigned to keeps the learner's value

    def put_back(self, tensor: str, truth: Tensor, *, protect: bool = False) -> None:
        for name in {"d" + tensor, *(name for name, held in self.aliases.items() if held == tensor)}:
            self.namespace[name] = truth.clone()
            if protect:
                self._protect(name, self.namespace[name])

    def _protect(self, name: str, value: Any) -> None:
        copy = value.clone() if isinstance(value, Tensor) else None
        self.pristine[name] = (value, copy, value._version if isinstance(value, Tensor) else 0)

    def other_forward_lines(self, checks: Iterable[Mapping[str, Any]]) -> list[int]:
        """Which lines of the submission's own forward pass give other numbers than the exercise's."""
        lines = []
        for check in checks:
            scope = dict(self.namespace)
            try:
                with arithmetic_of(self.parameters):
                    run_alone(check["text"], scope)
                tensors = [name for name in check["names"] if isinstance(scope[name], Tensor)]
                same = all(self._same(name, scope[name]) for name in tensors)
            except BaseException:
                continue  # a forward line that does not run alone proves nothing
            if not same:
                lines.append(check["index"])
        return lines

    def _same(self, name: str, value: Tensor) -> bool:
        ours = self.pristine[name][0]
        if value.shape != ours.shape:
            return False
        return bool(torch.allclose(value.to(ours.dtype), ours, rtol=1e-6, atol=1e-9))


class GradientRun:
    """One pass over the statements of one submission, in all its trials at once.

    A true gradient comes back for each trial in which one was handed over, and for no other.
    """

    def __init__(self, channel: Channel, exercise: Exercise, request: Mapping[str, Any]) -> None:
        self.channel = channel
        self.request = request
        self.device = str(request["trials"][0].get("device", "cpu"))
        self.places: dict[str, str] = request["places"]
        self.names = Names(
            request["by_name"], request["by_place"], frozenset(request["caches"]), frozenset(request["own_functions"])
        )
        self.announced: int | None = None
        self.trials = [TrialRun(exercise, parameters, request["aliases"]) for parameters in request["trials"]]

    def run(self, truths: Mapping[str, Tensor]) -> None:
        """Run every step; each message out is answered before the next statement runs."""
        torch.default_generator.manual_seed(0)  # torch.manual_seed also notes for CUDA who called it: 1 ms
        for number, trial in enumerate(self.trials):
            trial.start(_of_trial(truths, number))
            trial.namespace[HAND_OVER] = partial(self._hand_over_inside, number)
            trial.namespace[RAISED] = partial(_note_failure, trial)
        steps = self.request["steps"]
        following = [*(step["index"] for step in steps[1:]), None]
        for step, then in zip(steps, following, strict=True):
            for trial in self.trials:
                trial.restore()
            if step["index"] != self.announced:
                self.channel.send({"op": "running", "step": step["index"]})
            self._run_step(step, then)
        for trial in self.trials:
            trial.restore()
        first, checks = self.trials[0], self.request["forward_checks"]
        self.channel.send({"op": "done", "forward_differs": first.other_forward_lines(checks)})

    def run_variants(self, truths: Mapping[str, Tensor]) -> None:
        """Run each variant of an answer from the same true gradients, and send what each gives."""
        (trial,) = self.trials
        rewrite = partial(drop_inert_calls, own_functions=self.names.own_functions)
        with arithmetic_of(trial.parameters):
            for step in self.request["steps"]:
                trial.restore()
                run_statement(step, trial.namespace, rewrite, "variant")
            values: dict[str, Tensor] = {}
            for number, statements in enumerate(self.request["variants"]):
                trial.restore()
                for name in self.request["fresh"]:
                    trial.namespace.pop(name, None)
                for tensor, truth in _of_trial(truths, 0).items():
                    trial.put_back(tensor, truth)
                for text in statements:
                    if run_statement({"text": text, "text_line": 1}, trial.namespace, rewrite, "variant") is not None:
                        break
                else:
                    with contextlib.suppress(Exception):
                        _, numbers = describe_value(trial.evaluate(self.request["place"]))
                        if numbers is not None:
                            values[str(number)] = numbers.clone()
        self.channel.send({"op": "variants"}, values)

    def _run_step(self, step: Mapping[str, Any], then: int | None) -> None:
        for trial in self.trials:
            trial.execute(step, lambda tree: hook_gradients(tree, self.places, self.names))
        for tensor in step["hooks"]:
            self._hand_over(tensor, self._without(tensor), lambda _: None, step["line"])
        due = [tensor for tensor in step["hand_over"] if self._without(tensor)]
        for tensor in due:
            place = step["hand_over"][tensor]
            self.announced = then if tensor == due[-1] else None
            waiting = self._without(tensor)
            truths = self._hand_over(tensor, waiting, partial(self._evaluate, place), step["line"])
            for number in waiting:
                self.trials[number].put_back(tensor, truths[number])
                self.trials[number].assign(place, truths[number])

    def _evaluate(self, place: str, number: int) -> Any:
        return self.trials[number].evaluate(place)

    def _without(self, tensor: str) -> list[int]:
        """The trials in which `tensor` was not handed over yet."""
        return [number for number, trial in enumerate(self.trials) if tensor not in trial.done]

    def _hand_over_inside(self, number: int, tensor: str, read: Callable[[], Any], line: int) -> Any:
        trial = self.trials[number]
        if tensor in trial.done:
            return read()
        truth = self._hand_over(tensor, [number], lambda _: read(), line)[number]
        trial.put_back(tensor, truth)
        return truth.clone()

    def _hand_over(
        self, tensor: str, waiting: Sequence[int], read: Callable[[int], Any], line: int
    ) -> dict[int, Tensor]:
        """Hand over what each waiting trial has for `tensor`; the true gradients that come back."""
        if not waiting:
            return {}
        found = {number: self.trials[number].describe(tensor, partial(read, number)) for number in waiting}
        words = {str(number): said for number, (said, _) in found.items()}
        numbers = {str(number): values for number, (_, values) in found.items() if values is not None}
        message = {"op": "value", "tensor": tensor, "line": line, "then": self.announced, "trials": words}
        self.channel.send(message, numbers)
        _, truths = self.channel.receive(device=self.device)
        return {number: truths[str(number)] for number in waiting}


def _note_failure(trial: TrialRun, tensors: tuple[str, ...], error: Exception) -> None:
    for tensor in tensors:
        trial.failures.setdefault(tensor, describe_exception(error))


def _of_trial(truths: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """The true gradients of one trial from a message that holds all: under `2:logits` that of logits in trial 2."""
    prefix = f"{number}:"
    return {name.removeprefix(prefix): truth for name, truth in truths.items() if name.startswith(prefix)}
