"""What the names of modules stand for in an answer, and what `import` gives."""

from __future__ import annotations

import builtins
import collections
import dataclasses
from collections.abc import Callable, Mapping
from importlib import import_module
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from grader.admission import admitted_names as names
from grader.admission import guards, policy
from grader.admission.guards import Namespace, checked, own_classes, stand_in
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


def _no_grad(function: Any = None) -> Any:
    return GradientsOff() if function is None else function


def _inference_mode(mode: Any = True) -> Any:
    return _switched(mode is True or callable(mode), mode)


def _set_grad_enabled(mode: Any) -> Any:
    return _switched(mode is False, None)


def _switched(off: bool, decorated: Any) -> Any:
    if not off:
        raise not_a_field("set_grad_enabled")
    return decorated if callable(decorated) else GradientsOff()


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


def _no_array(*_: object, **__: object) -> Any:
    raise not_a_builtin("np.ndarray")


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


def _dataclass(kind: type | None = None, **options: Any) -> Any:
    def decorate(kind: type) -> type:
        if kind not in own_classes:
            raise not_changed(getattr(kind, "__name__", "it"))
        made: type = dataclasses.dataclass(**options)(kind)
        own_classes.add(made)
        return made

    return decorate if kind is None else decorate(kind)


_TENSOR = stand_in("Tensor", torch.Tensor, _plain_call(torch.Tensor))
_OTHERWISE: Mapping[str, Mapping[str, Any]] = {
    "torch": {
        "Tensor": _TENSOR,
        **{
            name: stand_in(name, getattr(torch, name), _plain_call(getattr(torch, name)))
            for name in ("FloatTensor", "DoubleTensor", "LongTensor", "IntTensor", "BoolTensor")
        },
        "no_grad": _no_grad,
        "inference_mode": _inference_mode,
        "set_grad_enabled": _set_grad_enabled,
    },
    "torch.nn": {"Parameter": stand_in("Parameter", nn.Parameter, _parameter)},
    "numpy": {
        "ndarray": stand_in("ndarray", np.ndarray, _no_array),
        "vectorize": lambda function: checked(np.vectorize(function), "numpy.vectorize"),
    },
    "types": {"SimpleNamespace": _simple_namespace},
    "collections": {"namedtuple": _namedtuple},
    "functools": {"wraps": _wraps},
    "operator": {"pow": guards.power},
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


def _namespaces() -> dict[str, Namespace]:
    """One for each module; longer paths are made first, for they are members of the shorter."""
    made: dict[str, Namespace] = {}
    for path in sorted(names.MODULES, key=len, reverse=True):
        module = import_module(path)
        members = {n: _member(path, n, getattr(module, n)) for n in names.MODULES[path] if hasattr(module, n)}
        members |= {inner.rpartition(".")[2]: made[inner] for inner in made if inner.rpartition(".")[0] == path}
        made[path] = Namespace(path, members)
    quiet = dict.fromkeys(names.SILENT_HERE, Silent())
    made["grader"] = Namespace("grader", {**quiet, "tqdm": ProgressStandIn})
    return made


NAMESPACES = _namespaces()


class _Tqdm(Silent):
    """The package tqdm, in which `tqdm` is a progress bar: `from tqdm.auto import tqdm`, `tqdm.tqdm(...)`."""

    tqdm = ProgressStandIn
    trange = staticmethod(ProgressStandIn.trange)


def _module_of(path: str, asked: str) -> Any:
    """What an import of `asked` binds, where `path` is the whole of it or its first name. Nothing is imported."""
    first = asked.partition(".")[0]
    if first in names.SILENT:
        return _Tqdm() if first == "tqdm" else Silent()
    if asked == "grader.plots":
        return NAMESPACES[path] if path in NAMESPACES else Silent()
    if asked not in NAMESPACES:
        raise not_a_module(asked)
    return NAMESPACES[path]


guards.BUILTINS[policy.MODULE] = _module_of


def admitted(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """A namespace of a lesson as a submission finds it: modules frozen, what belongs to the machine shut."""
    found = {name: _as_admitted(name, value) for name, value in namespace.items() if not policy.is_inner(name)}
    return found | {"__name__": "__main__", "__builtins__": guards.BUILTINS}


def _as_admitted(name: str, value: Any) -> Any:
    if isinstance(value, ModuleType):
        return NAMESPACES.get(value.__name__) or Silent()
    home = getattr(value, "__module__", None) if isinstance(value, type) or callable(value) else None
    if isinstance(value, type):
        kept = issubclass(value, (*_PLAIN_TYPES, BaseException)) or home in (builtins.__name__, "exercise")
        return guards.STAND_INS_BY_TYPE.get(value) or (value if kept else guards._shut(name))
    if isinstance(home, str) and home.partition(".")[0] in ("torch", "numpy") and not isinstance(value, nn.Module):
        return checked(value, name)
    if isinstance(value, FunctionType) and home != "exercise" and not isinstance(value, Silent):
        return guards._shut(name)
    return value
