"""The worker's side of a loop: the judge says which of its steps run, one after another."""

from __future__ import annotations

import inspect
import itertools
import operator
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import torch
from torch import Tensor

from grader.admission.silent import ProgressStandIn
from grader.lesson.program import Program
from grader.reading.gradient_names import Names
from grader.running.instrument import FORWARD
from grader.running.protocol import (
    MAX_NAME,
    MAX_RECORDS,
    Channel,
    LoopBegins,
    LoopStep,
    NextStep,
    Record,
    Request,
    TellAll,
)

_MOST_ELEMENTS = 1_000_000
_PASSING_SECONDS = 1.0
_ours_alone = torch._C.DisableTorchFunction
"""A loop hands over in the middle of its statement, where `Float64Islands` would look at each of some hundred tensor
operations a step. In this context it does not, so nothing of a submission may be called there."""

GENERATOR, UPSTREAM = "generator", "upstream:"
"""Names of tensors that the judge sends beside the true parameters: the generator's state, random gradients."""


class Numbers:
    """What `enumerate` counts: as many numbers as there are items."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.start)


class Together:
    """`zip` in the head of a loop, or `enumerate`, where the first part are the numbers.

    Each part is asked for its item at a position, so that the loop need not run through the positions between.
    """

    def __init__(self, *parts: Iterable[Any], strict: bool = False) -> None:
        self.parts = parts
        self.strict = strict

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return zip(*self.parts, strict=self.strict)


def numbered(iterable: Iterable[Any], start: int = 0) -> Together:
    """`enumerate` in the head of a loop."""
    return Together(Numbers(start), iterable)


def _count(iterable: Iterable[Any]) -> int | None:
    """How many items there are; None where nobody knows yet."""
    if isinstance(iterable, ProgressStandIn):
        return _count(iterable.iterable)
    if isinstance(iterable, Together):
        return min((count for part in iterable.parts if (count := _count(part)) is not None), default=None)
    return len(iterable) if isinstance(iterable, Sequence) else None


class Holder(NamedTuple):
    """A list, a dictionary or an object in which a submission keeps parameters, by the names that lead to it, and what
    each of the lesson's is called there. With no name: the parameters under their own."""

    path: tuple[str, ...]
    places: Mapping[str, str | int]

    def held(self, name: str, seen: Mapping[str, Any]) -> Any:
        """What it holds for a parameter now; None for nothing."""
        value: Any = seen
        for inner in self.path:
            value = _fields_of(value).get(inner)
        key = self.places[name]
        if isinstance(key, int):
            return value[key] if isinstance(value, (list, tuple)) and key < len(value) else None
        return _fields_of(value).get(key)


class LoopRun:
    """One loop in one trial. After each step that runs it hands over what it holds, and gets the true parameters."""

    def __init__(
        self,
        channel: Channel[Request],
        number: int,
        program: Program,
        namespace: dict[str, Any],
        states: Sequence[Any],
        names: Names,
    ) -> None:
        """`states` are those of the generators right after the setup: there the loop begins."""
        self.channel = channel
        self.names = names
        self.number = number
        self.program = program
        self.namespace = namespace
        self.states = states
        self.upstream: dict[str, Tensor] = {}
        self.own = {name: namespace.get(name) for name in program.trained}
        self.before = set(namespace)
        self.forward = [name for line in program.forward for name in line.binds]
        self.deciding = {*program.trained, *self.forward[-1:]}
        self.wanted = self.deciding.union(self.forward, (f"d{name}" for name in (*self.forward, *program.trained)))
        self.kept: dict[str, Any] = {}
        self.made: dict[str, Any] = {}
        self.holders = [Holder((), {name: name for name in program.trained})]
        self.moved: dict[str, Holder] | None = None
        self.first: dict[str, Tensor] = {}
        self.handed: Mapping[str, Any] = {}
        self.whole = LoopStep(number, 0), dict[str, Tensor]()

    def steps(self, iterable: Iterable[Any]) -> Iterator[Any]:
        """The items of the loop at which it is to run, as the judge names them."""
        for generator, state in zip(generators_in(self.namespace), self.states, strict=False):
            generator.set_state(state)
        frame = inspect.currentframe()
        self._find_holders(self._seen(frame.f_back.f_locals if frame is not None and frame.f_back is not None else {}))
        self.channel.send(LoopBegins(self.number, _count(iterable)))
        at = self._finder(iterable)
        while (position := self._next()) is not None:
            try:
                item = at(position)
            except (IndexError, StopIteration):
                return
            left = True
            try:
                yield item
                left = False
            finally:  # a break closes this generator here, with the loop's frame still around it
                loop = frame.f_back if frame is not None else None
                seen = self._renamed(self._seen(loop.f_locals if loop is not None else {}))
                self._hand_over(position, seen, left)
                self.kept, self.made = {}, {}
                if left:
                    self._next()

    def _finder(self, iterable: Iterable[Any]) -> Callable[[int], Any]:
        """The item at a position."""
        while isinstance(iterable, ProgressStandIn):
            iterable = iterable.iterable
        if isinstance(iterable, Numbers):
            return partial(operator.add, iterable.start)
        if isinstance(iterable, Together):
            finders = [self._finder(part) for part in iterable.parts]
            return lambda position: tuple(find(position) for find in finders)
        return iterable.__getitem__ if isinstance(iterable, Sequence) else self._passing_over(iter(iterable))

    def _passing_over(self, items: Iterator[Any]) -> Callable[[int], Any]:
        """The item at a position of what has none: those between are passed over, as far as that is quick. What is
        drawn for these counts for nothing, because the judge has said where the generator stands."""
        passed, seconds_left = 0, _PASSING_SECONDS

        def find(position: int) -> Any:
            nonlocal passed, seconds_left
            generators = generators_in(self.namespace) if passed < position else []
            states = [generator.get_state() for generator in generators]
            begin = time.monotonic()
            while passed < position and time.monotonic() - begin < seconds_left:
                next(items)
                passed += 1
            seconds_left -= time.monotonic() - begin
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)
            passed += 1
            return next(items)

        return find

    def _seen(self, inside: Mapping[str, Any]) -> dict[str, Any]:
        """What the loop's lines may name: what is `inside` its function, then what the whole submission has; last the
        fields of the object whose method runs it."""
        return {**_fields_of(inside.get("self")), **self.namespace, **inside}

    def _find_holders(self, seen: Mapping[str, Any]) -> None:
        """What the submission keeps the parameters in. A dictionary or an object may have made its own: it gets the
        lesson's values."""
        called = {own: name for own, name in self.names.given.items() if name in self.program.trained}
        called |= {name: name for name in self.program.trained}
        own = {name: value for name, value in self.own.items() if isinstance(value, Tensor)}
        filled = []
        for path, value in self._containers(seen):
            if isinstance(value, (list, tuple)):
                if len(value) == len(own) and all(map(_same, value, own.values())):
                    self.holders.append(Holder(path, {name: at for at, name in enumerate(own)}))
                continue
            fields = _fields_of(value)
            places = {called[key]: key for key in fields.keys() & called.keys() if isinstance(fields[key], Tensor)}
            if all(_same(fields[key], own[name]) for name, key in places.items()):
                self.holders += [Holder(path, places)] if places else []
            elif any(bool(fields[key].any()) for key in places.values()):  # all zeros are running means, or gradients
                filled.append(Holder(path, places))
                for name, key in places.items():
                    if fields[key].shape == own[name].shape and fields[key].dtype == own[name].dtype:
                        fields[key].data.copy_(own[name])
                    else:
                        fields[key] = own[name]
        self.holders += filled
        self.first = {name: value.detach().clone() for name, value in own.items()}

    def _containers(self, seen: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Each list, dictionary and object of the submission, and the lists and dictionaries that an object holds."""
        for name, value in seen.items():
            if type(value) in (list, tuple):
                yield (name,), value
            elif name not in self.before and not isinstance(value, (type, FunctionType, Tensor)):
                yield (name,), value
                for key, inner in _fields_of(value).items() if type(value) is not dict else ():
                    if type(inner) in (list, tuple, dict):
                        yield (name, key), inner

    def replace(self, tensor: str, read: Callable[[], Any], _line: int) -> Any:
        """A gradient that the loop has just written: its own, or the random one that the judge sent for it."""
        own = read()
        if tensor.startswith(FORWARD):
            self.kept[tensor.removeprefix(FORWARD)] = own
            return own
        random = self.upstream.get(tensor)
        if random is not None and getattr(own, "shape", None) == random.shape:
            return random.clone()
        self.made[f"d{tensor}"] = own
        return own

    def _next(self) -> int | None:
        with _ours_alone():
            message, tensors = self.channel.receive()
            if isinstance(message, TellAll):
                self.channel.send(*self.whole)
                message, tensors = self.channel.receive()
            if not isinstance(message, NextStep):
                return None
            self.upstream = {k.removeprefix(UPSTREAM): v for k, v in tensors.items() if k.startswith(UPSTREAM)}
            if GENERATOR in tensors:
                for generator in generators_in(self.namespace):
                    generator.set_state(tensors[GENERATOR])
            for name, truth in tensors.items():
                # Only what the loop moves: whatever else holds parameters keeps the old ones, as in a run of its own.
                if isinstance(moved := self.handed.get(name), Tensor) and moved.shape == truth.shape:
                    moved.data.copy_(truth)
        return message.position

    def _renamed(self, seen: dict[str, Any]) -> dict[str, Any]:
        """With what the submission calls otherwise under the lesson's names too, what it had before it reused a name,
        and the gradients that its functions have made."""
        gradients = {own: f"d{tensor}" for own, tensor in self.names.by_name.items() if f"d{tensor}" not in seen}
        renamed = {name: seen[own] for own, name in {**gradients, **self.names.given}.items() if own in seen}
        seen = self.made | seen | renamed | self.kept
        if self.moved is None:
            self.moved = {name: holder for name, holder in self._moved(seen).items() if holder.path}
        return seen | {name: holder.held(name, seen) for name, holder in self.moved.items()}

    def _moved(self, seen: Mapping[str, Any]) -> dict[str, Holder]:
        """What holds each parameter that the first step has moved; one that it has not, where most have moved."""
        with _ours_alone():
            moved = [
                {name for name in holder.places if not _same(holder.held(name, seen), self.first.get(name))}
                for holder in self.holders
            ]
        ranked = sorted(zip(moved, self.holders, strict=True), key=lambda found: -len(found[0]))
        found: dict[str, Holder] = {}
        for name in self.own:
            holding = [(name in there, holder) for there, holder in ranked if name in holder.places]
            found[name] = next((holder for has_moved, holder in holding if has_moved), holding[0][1])
        return found

    def _hand_over(self, position: int, seen: Mapping[str, Any], left: bool) -> None:
        self.handed = {name: seen.get(name) for name in self.program.trained}
        with _ours_alone():
            tensors = {name: value for name in self.wanted if _is_sendable(value := seen.get(name))}
        numbers = {name: seen[name] for name in self.forward if isinstance(seen.get(name), float)}
        tensors |= {name: torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()}
        records: dict[str, Record] = {}
        known: dict[str, float] = {}
        within: dict[str, Any] = {}
        passed_over = self.before | self.wanted
        for name, value in seen.items():
            if not isinstance(name, str) or len(name) > MAX_NAME or name in passed_over:
                continue
            if len(records) < MAX_RECORDS and (record := _record(value, position)) is not None:
                records[name] = record
            elif isinstance(value, (list, dict, deque)) or hasattr(value, "__dict__"):
                within[name] = value
            elif type(value) is float and np.isfinite(value) and len(known) < MAX_RECORDS:
                known[name] = value
        for name, record in _records_within(within, position):
            if len(records) < MAX_RECORDS and len(name) <= MAX_NAME:
                records.setdefault(name, record)
        with _ours_alone():
            self.whole = LoopStep(self.number, position, left, True, records, known), tensors
            first = {n: value for n, value in tensors.items() if n in self.deciding or value.dtype is torch.int64}
            self.channel.send(LoopStep(self.number, position, left, False, records, known), first)


def generators_in(namespace: Mapping[str, Any]) -> list[torch.Generator]:
    """The torch generators that a lesson's setup has made: a loop draws its batches from them."""
    # An isinstance() of torch's runs Python code for each value that is none, and this is asked for in each step.
    return [value for value in namespace.values() if issubclass(type(value), torch.Generator)]


def _fields_of(value: Any) -> dict[str, Any]:
    """What a dictionary or an object holds under names; nothing where it is neither."""
    fields = value if type(value) is dict else getattr(value, "__dict__", None)
    return fields if isinstance(fields, dict) else {}


def _same(value: Any, own: Tensor | None) -> bool:
    """Whether a value is a tensor of the same numbers."""
    return value is own or (isinstance(value, Tensor) and own is not None and torch.equal(value, own))


def _record(value: Any, position: int) -> Record | None:
    """What a list, a dictionary by steps, or an array with a place for every step, says of the step at `position`; None
    for other things."""
    if type(value) is dict:
        if type(next(iter(value), None)) is not int:
            return None
        last, at = _number(next(reversed(value.values()))), _number(value.get(position))
        return None if last is None else Record(len(value), last, at)
    is_list = type(value) is list or (type(value) is deque and value.maxlen is None)
    if not (is_list or (isinstance(value, (Tensor, np.ndarray)) and len(value.shape) == 1)):
        return None
    last = _number(value[-1]) if len(value) else None
    at = _number(value[position]) if position < len(value) else None
    return None if last is None and len(value) else Record(len(value), last, at)


def _records_within(holders: Mapping[str, Any], position: int, deep: int = 2) -> Iterator[tuple[str, Record]]:
    """The records in dictionaries and objects, and each column of a list of rows such as `(step, loss)`. What is called
    after the loss comes first."""
    found: list[tuple[str, Any]] = []
    for name, value in holders.items() if deep else ():
        if isinstance(value, (list, deque)):
            yield from _columns(name, value, position)
        elif not isinstance(value, (type, FunctionType, ModuleType, Tensor, np.ndarray)):
            form = "{}[{!r}]" if isinstance(value, dict) else "{}.{}"
            found += [(form.format(name, key), inner) for key, inner in _fields_of(value).items()]
    for name, value in sorted(found, key=lambda each: "loss" not in each[0]):
        if (record := _record(value, position)) is not None:
            yield name, record
    yield from _records_within(dict(found), position, deep - 1) if found else ()


def _columns(name: str, rows: Any, position: int) -> Iterator[tuple[str, Record]]:
    last = rows[-1] if rows else None
    if not isinstance(last, (tuple, dict)):
        return
    here = rows[position] if position < len(rows) else None
    for key, value in last.items() if isinstance(last, dict) else enumerate(last):
        if (number := _number(value)) is not None:
            there = here.get(key) if isinstance(here, dict) else here[key] if here and key < len(here) else None
            yield f"{name}[{key!r}]", Record(len(rows), number, _number(there))


def _number(value: Any) -> float | None:
    if isinstance(value, np.generic) or (isinstance(value, Tensor) and value.dim() == 0):
        value = value.item()
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else None


def _is_sendable(value: object) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.layout == torch.strided and value.numel() <= _MOST_ELEMENTS
