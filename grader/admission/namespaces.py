"""What the names of modules stand for in an answer, and what `import` gives."""

from __future__ import annotations

import abc
import builtins
import collections
import dataclasses
import enum
import functools
from collections.abc import Callable, Mapping
from importlib import import_module
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from grader.admission import admitted_names as names
from grader.admission import guards, lesson_data, policy
from grader.admission.guards import Namespace, checked, numbers_of, own_classes, stand_in
from grader.admission.sentences import an_inner_name, not_a_builtin, not_a_field, not_a_module, not_changed
from grader.admission.silent import ProgressStandIn, Silent


class GradientsOff:
    """`torch.no_grad()` and its like where gradients are off for good: as a context and as a decorator."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        return None

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function


def _gradients_off(mode: Any = True) -> Any:
    """`torch.no_grad()` and `torch.inference_mode(mode)`; either may decorate a function without being called."""
    if callable(mode):
        return mode
    if mode is not True:
        raise not_a_field("set_grad_enabled")
    return GradientsOff()


def _autocast(*_: object, **__: object) -> GradientsOff:
    """Gradients are compared in float64, so a context that rounds is one that does nothing."""
    return GradientsOff()


# ---- What is made otherwise than in its own module ----


def _plain_call(real: Callable[..., Any]) -> Callable[..., Any]:
    """A type that is called with sizes or numbers: `torch.Tensor(3, 4)`. Its keywords are addresses."""

    def make(*given: Any, **said: Any) -> Any:
        if said:
            raise not_a_builtin(f"{real.__name__}({next(iter(said))!s}=...)")
        return real(*given)

    return make


def _parameter(data: Any = None, requires_grad: object = True) -> nn.Parameter:  # noqa: ARG001
    return nn.Parameter(data, requires_grad=False)


def _simple_namespace(*given: Mapping[str, Any], **fields: Any) -> SimpleNamespace:
    made = {name: value for known in given for name, value in known.items()} | fields
    for name in made:
        if type(name) is not str or policy.is_inner(name):
            raise an_inner_name(str(name)[:60])
    return SimpleNamespace(**made)


def _namedtuple(*given: Any, **said: Any) -> type:
    make: Any = collections.namedtuple
    made: type = make(*given, **said)
    own_classes.add(made)
    return made


def _wraps(wrapped: Any, *_: object, **__: object) -> Callable[[Any], Any]:
    def named_alike(function: Any) -> Any:
        if type(function) is not FunctionType or function.__code__.co_filename != policy.SUBMISSION:
            raise not_changed("__name__")
        function.__name__ = str(guards.load(wrapped, "__name__"))
        function.__doc__ = getattr(wrapped, "__doc__", None)
        return function

    return named_alike


def _own(kind: type) -> type:
    if kind not in own_classes:
        raise not_changed(getattr(kind, "__name__", "it"))
    return kind


def _dataclass(kind: type | None = None, **options: Any) -> Any:
    def decorate(kind: type) -> type:
        made: type = dataclasses.dataclass(**options)(_own(kind))
        own_classes.add(made)
        return made

    return decorate if kind is None else decorate(kind)


def _total_ordering(kind: type) -> type:
    return functools.total_ordering(_own(kind))


def _attrgetter(*paths: str) -> Callable[[Any], Any]:
    def get(value: Any) -> Any:
        found = [functools.reduce(guards.BUILTINS["getattr"], path.split("."), value) for path in map(str, paths)]
        return found[0] if len(found) == 1 else tuple(found)

    return get


def _methodcaller(name: str, *given: Any, **said: Any) -> Callable[[Any], Any]:
    return lambda value: guards.BUILTINS["getattr"](value, name)(*given, **said)


def _vmap(function: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, **_: object) -> Callable[..., Any]:
    """`torch.vmap` row by row: torch's own is a transform like those that differentiate."""

    def mapped(*given: Any, **said: Any) -> Any:
        dims = in_dims if isinstance(in_dims, (tuple, list)) else [in_dims] * len(given)
        places = list(zip(given, dims, strict=True))
        size = next(value.shape[dim] for value, dim in places if dim is not None)
        rows = [
            function(*(value if dim is None else value.select(dim, row) for value, dim in places), **said)
            for row in range(size)
        ]
        if not isinstance(rows[0], tuple):
            return torch.stack(rows, dim=out_dims)
        ends = out_dims if isinstance(out_dims, tuple) else [out_dims] * len(rows[0])
        return tuple(torch.stack(part, dim=dim) for part, dim in zip(zip(*rows, strict=True), ends, strict=True))

    return mapped


class _Joined:
    """`np.c_`, `np.r_` and `np.s_`, which are asked for items."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getitem__(self, key: Any) -> Any:
        numbers_of(list(key) if isinstance(key, tuple) else key)
        return numbers_of(self._real[key])


def _shut_type(real: type) -> Any:
    """A type that answers derive from, and that makes further types where it is called."""
    return stand_in(real.__name__, real, guards.shut(real.__name__), base=real)


_TENSOR = stand_in("Tensor", torch.Tensor, _plain_call(torch.Tensor))
_OTHERWISE: Mapping[str, Mapping[str, Any]] = {
    "torch": {
        "Tensor": _TENSOR,
        **{
            name: stand_in(name, getattr(torch, name), _plain_call(getattr(torch, name)))
            for name in ("FloatTensor", "DoubleTensor", "LongTensor", "IntTensor", "BoolTensor")
        },
        "vmap": _vmap,
        "autocast": _autocast,
        "no_grad": _gradients_off,
        "inference_mode": _gradients_off,
        "set_grad_enabled": lambda mode: _gradients_off(mode is False),
    },
    "torch.func": {"vmap": _vmap},
    "torch.amp": {"autocast": _autocast},
    "torch.cuda.amp": {"autocast": _autocast},
    "torch.nn": {"Parameter": stand_in("Parameter", nn.Parameter, _parameter)},
    "numpy": {
        "ndarray": stand_in("ndarray", np.ndarray, guards.shut("np.ndarray")),
        "vectorize": lambda function: checked(np.vectorize(function), "numpy.vectorize"),
        **{name: _Joined(getattr(np, name)) for name in ("c_", "r_", "s_")},
    },
    "abc": {"ABCMeta": _shut_type(abc.ABCMeta)},
    "contextlib": dict.fromkeys(("redirect_stdout", "redirect_stderr"), Silent()),
    "enum": {
        name: _shut_type(getattr(enum, name)) for name in ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "EnumMeta")
    },
    "types": {"SimpleNamespace": _simple_namespace},
    "collections": {"namedtuple": _namedtuple},
    "functools": {"wraps": _wraps, "total_ordering": _total_ordering},
    "operator": {"pow": guards.power, "attrgetter": _attrgetter, "methodcaller": _methodcaller},
    "typing": {"overload": lambda function: function},
    "dataclasses": {"dataclass": _dataclass},
}
guards.STAND_INS_BY_TYPE.update(
    {
        torch.Tensor: _TENSOR,
        nn.Parameter: _OTHERWISE["torch.nn"]["Parameter"],
        np.ndarray: _OTHERWISE["numpy"]["ndarray"],
    }
)

_PLAIN_TYPES = (np.generic, nn.Module, torch.Size, torch.device, torch.dtype, torch.Generator, torch.finfo, torch.iinfo)


def _member(path: str, name: str, real: Any) -> Any:
    """A member as an answer finds it: functions of torch and numpy look at their keywords."""
    made = _OTHERWISE.get(path, {}).get(name)
    if made is not None:
        return made
    plain = isinstance(real, type) and issubclass(real, _PLAIN_TYPES)
    of_numbers = path.partition(".")[0] in ("torch", "numpy")
    return checked(real, f"{path}.{name}") if of_numbers and callable(real) and not plain else real


_OF_VALUES = ("datetime", "decimal", "fractions")


@functools.cache
def namespace(path: str) -> Namespace | None:
    """What an answer finds as the module `path`; None where it may not have it."""
    if path == "grader":
        return Namespace(path, dict.fromkeys(names.SILENT_HERE, Silent()) | {"tqdm": ProgressStandIn})
    if path not in names.MODULES:
        return None
    module: Any = import_module(path) if names.MODULES[path] else None  # a worker may be kept from reading files
    members = {n: _member(path, n, getattr(module, n)) for n in names.MODULES[path] if hasattr(module, n)}
    members |= dict.fromkeys(names.SILENT_MEMBERS.get(path, ()), Silent()) | dict(lesson_data.MEMBERS.get(path, {}))
    inner = (longer.rpartition(".") for longer in names.MODULES)
    members |= {last: namespace(f"{path}.{last}") for within, _, last in inner if within == path}
    if hasattr(module, "__version__"):
        members["__version__"] = str(module.__version__)
    if path in _OF_VALUES:
        guards.PUBLIC.update(member for member in members.values() if isinstance(member, type))
    return Namespace(path, members)


_BARS = {"tqdm": ProgressStandIn, "trange": ProgressStandIn.trange}


def _silent(path: str) -> Silent:
    """What draws or reports, but for its progress bars and what reads data: `from tqdm.auto import tqdm`."""
    members: Mapping[str, Any] = _BARS if path.startswith("tqdm") else lesson_data.MEMBERS.get(path, {})
    kind = type("Silent", (Silent,), {name: staticmethod(member) for name, member in members.items()})
    made: Silent = kind()
    return made


def _module_of(path: str, asked: str) -> Any:
    """What an import of `asked` binds, where `path` is the whole of it or its first name. Nothing is imported."""
    first = asked.partition(".")[0]
    if first in names.SILENT:
        return _silent(path)
    within, _, last = asked.rpartition(".")
    if asked == "grader.plots" or last in names.SILENT_MEMBERS.get(within, ()):
        return namespace(path) or Silent()
    if namespace(asked) is None:
        raise not_a_module(asked)
    return namespace(path)


guards.BUILTINS |= {policy.MODULE: _module_of, "open": lesson_data.opened}
guards.PUBLIC |= {lesson_data.Text, lesson_data.DataPath}


def admitted(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """A namespace of a lesson as a submission finds it: modules frozen, what belongs to the machine shut."""
    found = {name: _as_admitted(name, value) for name, value in namespace.items() if not policy.is_inner(name)}
    return found | {"__name__": "__main__", "__builtins__": guards.BUILTINS, lesson_data.DATA: namespace}


def _as_admitted(name: str, value: Any) -> Any:
    if isinstance(value, ModuleType):
        return namespace(value.__name__) or Silent()
    home = getattr(value, "__module__", None) if isinstance(value, type) or callable(value) else None
    if isinstance(value, type):
        kept = issubclass(value, (*_PLAIN_TYPES, BaseException)) or home in (builtins.__name__, "exercise")
        return guards.STAND_INS_BY_TYPE.get(value) or (value if kept else guards.shut(name))
    if isinstance(home, str) and home.partition(".")[0] in ("torch", "numpy") and not isinstance(value, nn.Module):
        return checked(value, name)
    if isinstance(value, FunctionType) and home != "exercise" and not isinstance(value, Silent):
        return guards.shut(name)
    return value
