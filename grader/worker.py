"""The worker: runs a learner's statements one by one, hands each gradient over, goes on with the true one."""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import CodeType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from grader.describe import SUBMISSION, describe_exception, describe_value
from grader.exercise import Exercise, find_exercise, track_of
from grader.instrument import HAND_OVER, RAISED, drop_inert_calls, hook_gradients
from grader.naming import Names
from grader.stand_ins import stand_in_for_packages, stand_ins
from grader.training_run import TrainingRun, hook_loops
from grader.wire import Channel
from grader.world import namespace_of, use_exact_arithmetic


class Float64Islands(TorchFunctionMode):
    """Reads float32 as float64: a right answer that says `.float()` must not lose its ten digits."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.float:
            return func(*args, **kwargs).double() if args[0].dtype is torch.float16 else args[0].double()
        if kwargs.get("dtype") is torch.float32:
            kwargs = {**kwargs, "dtype": torch.float64}
        if any(value is torch.float32 for value in args):
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and result.dtype is torch.float32 and func in _FROM_OUTSIDE:
            return result.double()
        return result


_FROM_OUTSIDE = frozenset({torch.from_numpy, torch.tensor, torch.as_tensor})


_made: dict[str, dict[str, Any]] = {}
"""Namespaces made before this process was forked, each for one run: what a run does to its own reaches no other."""


def _setting(exercise: str, parameters: Mapping[str, Any]) -> str:
    return f"{exercise} {json.dumps(parameters, sort_keys=True)}"


def provided(exercise: Exercise, parameters: Mapping[str, Any]) -> dict[str, Any]:
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


class Run:
    """One pass over the statements of one submission, in one world."""

    def __init__(self, channel: Channel, exercise: Exercise, request: Mapping[str, Any]) -> None:
        self.channel = channel
        self.exercise = exercise
        self.request = request
        self.device = str(request["parameters"].get("device", "cpu"))
        self.aliases: dict[str, str] = request["aliases"]
        self.places: dict[str, str] = request["places"]
        self.names = Names(
            request["by_name"], request["by_place"], frozenset(request["caches"]), frozenset(request["own_functions"])
        )
        self.done: set[str] = set()
        self.announced: int | None = None
        self.provided: Mapping[str, Tensor] = {}
        self.failures: dict[str, dict[str, Any]] = {}
        ready = _made.pop(_setting(exercise.id, request["parameters"]), None)
        self.namespace = ready or provided(exercise, request["parameters"])
        self.pristine: dict[str, tuple[Any, Any, int]] = {}
        self._protect()

    def _protect(self) -> None:
        protected = {*self.exercise.forward_names, *self.exercise.network_names}
        protected |= {*self.exercise.fixed_parameters, *stand_ins()}
        for name in protected:
            if name in self.namespace:
                self._protect_value(name, self.namespace[name])

    def _protect_value(self, name: str, value: Any) -> None:
        copy = value.clone() if isinstance(value, Tensor) else None
        self.pristine[name] = (value, copy, value._version if isinstance(value, Tensor) else 0)

    def _restore(self) -> None:
        with torch._C.DisableTorchFunction():  # Float64Islands would look at each of these reads of a counter
            for name, (value, copy, version) in self.pristine.items():
                if copy is not None and value._version != version:
                    self._protect_value(name, copy)
                    value = copy
                self.namespace[name] = value

    def run(self, truths: Mapping[str, Tensor]) -> None:
        """Run every step; each message out is answered before the next statement runs."""
        self.provided = truths
        for tensor, truth in truths.items():
            self._put_back(tensor, truth, protect=tensor in self.exercise.given)
        self.namespace[HAND_OVER] = self._hand_over_inside
        self.namespace[RAISED] = self._raised
        torch.default_generator.manual_seed(0)  # torch.manual_seed also notes for CUDA who called it: 1 ms
        steps = self.request["steps"]
        following = [*(step["index"] for step in steps[1:]), None]
        for step, then in zip(steps, following, strict=True):
            self._restore()
            if step["index"] != self.announced:
                self.channel.send({"op": "running", "step": step["index"]})
            self._run_step(step, then)
        self._restore()
        self.channel.send({"op": "done", "forward_differs": self._forward_differs()})

    def _forward_differs(self) -> list[int]:
        """Lines of the submission's own forward pass that give other numbers than the exercise's."""
        lines = []
        for check in self.request["forward_checks"]:
            scope = dict(self.namespace)
            try:
                exec(compile(check["text"], SUBMISSION, "exec"), scope)
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

    def run_variants(self, truths: Mapping[str, Tensor]) -> None:
        """Run each variant of an answer from the same true gradients, and send what each gives."""
        rewrite = partial(drop_inert_calls, own_functions=self.names.own_functions)
        for step in self.request["steps"]:
            self._restore()
            run_statement(step, self.namespace, rewrite, "variant")
        values: dict[str, Tensor] = {}
        for number, statements in enumerate(self.request["variants"]):
            self._restore()
            for name in self.request["fresh"]:
                self.namespace.pop(name, None)
            for tensor, truth in truths.items():
                self._put_back(tensor, truth)
            for text in statements:
                if run_statement({"text": text, "text_line": 1}, self.namespace, rewrite, "variant") is not None:
                    break
            else:
                with contextlib.suppress(Exception):
                    _, payload = describe_value(self._evaluate(self.request["place"]))
                    if payload is not None:
                        values[str(number)] = payload.clone()
        self.channel.send({"op": "variants"}, values)

    def _run_step(self, step: Mapping[str, Any], then: int | None) -> None:
        failure = run_statement(step, self.namespace, lambda tree: hook_gradients(tree, self.places, self.names))
        if failure is not None:
            for tensor in step["writes"]:
                self.failures.setdefault(tensor, failure)
        for tensor in self.provided.keys() & set(step["writes"]):
            self._put_back(tensor, self.provided[tensor])
        for tensor in step["hooks"]:
            if tensor not in self.done:
                self._hand_over(tensor, lambda: None, step["line"])
        due = [tensor for tensor in step["hand_over"] if tensor not in self.done]
        for tensor in due:
            place = step["hand_over"][tensor]
            self.announced = then if tensor == due[-1] else None
            truth = self._hand_over(tensor, partial(self._evaluate, place), step["line"])
            self._put_back(tensor, truth)
            self._assign(place, truth)

    def _evaluate(self, place: str) -> Any:
        return eval(compile(place, "<place>", "eval"), self.namespace)

    def _assign(self, place: str, truth: Tensor) -> None:
        try:
            exec(f"{place} = __truth__", {**self.namespace, "__truth__": truth.clone()})
            if place.isidentifier():
                self.namespace[place] = truth.clone()
        except Exception:
            return  # an expression that cannot be assigned to keeps the learner's value

    def _hand_over_inside(self, tensor: str, read: Callable[[], Any], line: int) -> Any:
        if tensor in self.done:
            return read()
        truth = self._hand_over(tensor, read, line)
        self._put_back(tensor, truth)
        return truth.clone()

    def _raised(self, tensors: tuple[str, ...], error: Exception) -> None:
        for tensor in tensors:
            self.failures.setdefault(tensor, describe_exception(error))

    def _hand_over(self, tensor: str, read: Callable[[], Any], line: int) -> Tensor:
        self.done.add(tensor)
        message: dict[str, Any] = {"op": "value", "tensor": tensor, "line": line, "then": self.announced}
        payload = None
        if tensor in self.failures:
            message["failure"] = self.failures[tensor]
        else:
            try:
                described, payload = describe_value(read())
                message["value"] = described
            except BaseException as error:
                message["failure"] = describe_exception(error)
        self.channel.send(message, None if payload is None else {"value": payload})
        _, tensors = self.channel.receive(device=self.device)
        return tensors["truth"]

    def _put_back(self, tensor: str, truth: Tensor, *, protect: bool = False) -> None:
        for name in {"d" + tensor, *(name for name, held in self.aliases.items() if held == tensor)}:
            self.namespace[name] = truth.clone()
            if protect:
                self._protect_value(name, self.namespace[name])


_codes: dict[tuple[str, int, str], CodeType] = {}
"""Statements of the one submission that this process runs, compiled once for all worlds."""


def run_statement(
    step: Mapping[str, Any], namespace: dict[str, Any], rewrite: Callable[[ast.Module], None], purpose: str = "graded"
) -> dict[str, Any] | None:
    """Run one statement as `rewrite` leaves it; whatever it raises comes back as a description.

    `purpose` tells rewritings of one text apart.
    """
    key = step["text"], step["text_line"], purpose
    try:
        if key not in _codes:
            tree = ast.increment_lineno(ast.parse(step["text"]), step["text_line"] - 1)
            rewrite(tree)
            _codes[key] = compile(tree, SUBMISSION, "exec")
        exec(_codes[key], namespace)
    except BaseException as error:
        return describe_exception(error)
    return None


def _run_training(channel: Channel, exercise: Exercise, request: Mapping[str, Any]) -> None:
    run = TrainingRun(channel, exercise, request)
    channel.send({"op": "ready"})
    run.run(
        lambda step, namespace: run_statement(
            step, namespace, lambda tree: hook_loops(tree, step["loops"], step["own_functions"])
        )
    )


def _run_gradients(channel: Channel, exercise: Exercise, request: Mapping[str, Any]) -> None:
    run = Run(channel, exercise, request)
    channel.send({"op": "ready"})
    _, truths = channel.receive(device=run.device)
    if run.device != "cpu":  # a default device costs a little on every call
        torch.set_default_device(run.device)
    if "variants" in request:
        run.run_variants(truths)
    else:
        run.run(truths)


@contextlib.contextmanager
def _arithmetic_of(parameters: Mapping[str, Any]) -> Iterator[None]:
    """The default dtype of a world, and float64 throughout where that is it."""
    dtype = getattr(torch, str(parameters.get("dtype", "float32")))
    torch.set_default_dtype(dtype)
    with Float64Islands() if dtype is torch.float64 else contextlib.nullcontext():
        yield
    torch.set_default_dtype(torch.float32)


def warm_up(worlds: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Set up each world, an exercise and its parameters, before workers are forked that find them made."""
    use_exact_arithmetic()
    torch.set_grad_enabled(False)
    for name, parameters in worlds:
        with _arithmetic_of(parameters):
            _made[_setting(name, parameters)] = provided(find_exercise(name), parameters)


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
        with _arithmetic_of(request["parameters"]):
            run(channel, find_exercise(str(request["exercise"])), request)
        torch.set_default_device(None)
