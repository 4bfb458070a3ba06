"""Decides what an answer may reach, by the object that it has in its hands when it asks.

Every object falls into one of few kinds: what the lists name for its type, a class of the submission's own and its
instances, a stand-in. What is not admitted raises `Refused`, or what Python raises where there is no such field.
"""

from __future__ import annotations

import abc
import builtins
import collections
import contextlib
import functools
import itertools
import random
import sys
import types
import typing
from _string import formatter_field_name_split  # type: ignore[import-not-found]
from collections.abc import Callable, Iterable, Mapping
from string import Formatter
from types import FunctionType, GeneratorType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.admission import admitted_names as names
from grader.admission import policy
from grader.admission.sentences import (
    Refused,
    an_inner_name,
    autograd,
    not_a_builtin,
    not_a_field,
    not_a_member,
    not_changed,
)
from grader.admission.silent import ProgressStandIn, Silent

_PUBLIC: tuple[type, ...] = (
    *(str, bytes, int, float, list, tuple, dict, set, frozenset, range, slice, collections.deque, torch.finfo),
    *(torch.iinfo, np.finfo, np.iinfo, type({}.keys()), type({}.values()), type({}.items()), collections.Counter),
    *(collections.OrderedDict, collections.defaultdict),
)
"""Kinds of which all fields without an underscore are harmless, but for `format` of text."""

_LISTED: Mapping[type, frozenset[str]] = {
    Tensor: names.TENSOR,
    torch.Generator: names.GENERATOR,
    torch.dtype: frozenset({"is_floating_point", "itemsize"}),
    torch.device: frozenset({"type", "index"}),
    np.ndarray: names.ARRAY,
    np.generic: names.ARRAY,
    np.dtype: frozenset({"name", "kind", "itemsize", "type"}),
    np.random.Generator: names.DRAWS,
    random.Random: names.MODULES["random"],
    nn.Module: names.MODULE,
    property: frozenset({"setter", "getter", "deleter"}),
    functools.partial: frozenset({"func", "args", "keywords"}),
    functools._lru_cache_wrapper: frozenset({"cache_info", "cache_clear"}),
    itertools.chain: frozenset({"from_iterable"}),
    GeneratorType: frozenset({"send", "close"}),
    BaseException: frozenset({"args", "value", "name"}),
}
_COMPLEX = "An answer may not use complex numbers: gradients are real."
_OBJECTS = "An array of an answer holds numbers or texts, and no other objects. A list can hold them."
_SAID_OF_CODE = frozenset({"__name__", "__qualname__", "__doc__"})
_INNER_OF_MODULES = frozenset(vars(nn.Module())) - {"training"}
_STORED: Mapping[type, tuple[str, ...]] = {Tensor: ("data", "grad"), nn.Parameter: ("data", "grad")}

own_classes: set[type] = set()
"""The classes that submissions made in this process."""

_fields: dict[type, dict[str, Callable[[Any], Any] | None]] = {}


class Namespace:
    """Holds what a module gives to answers. Nothing can be stored in it, and nothing leads out of it."""

    __slots__ = ("_members", "_path")
    _path: str
    _members: Mapping[str, Any]

    def __init__(self, path: str, members: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_members", members)

    def __setattr__(self, name: str, value: object) -> None:
        raise not_changed(f"{self._path}.{name}")

    def __repr__(self) -> str:
        return f"<module {self._path!r}>"


class StandIn(type):
    """The type of a class that stands for `real`: asked what is one of them, and called with what `make` takes."""

    real: type
    make: Callable[..., Any]

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        return cls.make(*arguments, **options)

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.real)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(getattr(kind, "real", kind), cls.real)


def stand_in(name: str, real: type, make: Callable[..., Any]) -> StandIn:
    """A name for a class, such as `list`: calling it calls `make`, and `isinstance` asks for `real`."""
    return StandIn(name, (), {"real": real, "make": staticmethod(make)})


# ---- Fields ----


def load(value: Any, name: str) -> Any:
    """`value.name`, where it is admitted."""
    kind = type(value)
    known = _fields.get(kind)
    if known is None:
        known = _fields_of(kind)
    if name in known:
        special = known[name]
        return getattr(value, name) if special is None else special(value)
    if policy.is_inner(name) and kind in (Namespace, *_OPEN):
        raise an_inner_name(name)
    if kind is Namespace:
        return _member(value, name)
    if isinstance(value, _OPEN) or value is ProgressStandIn:
        return getattr(value, name)
    if _is_own_field(value, kind, name) or (isinstance(value, type) and _is_of_class(value, name)):
        return getattr(value, name)
    if kind is FunctionType and value in _ufuncs and name in names.UFUNC:
        return checked(getattr(_ufuncs[value], name), name)
    if kind is super:
        return _above(value, name)
    if isinstance(value, type) and (found := _unbound(value, name)) is not None:
        return found
    if name in _SAID_OF_CODE and (isinstance(value, type) or callable(value)):
        return getattr(value, name)
    if policy.is_inner(name):
        raise an_inner_name(name)
    if isinstance(value, type) or hasattr(value, name):
        raise not_a_field(name)
    return getattr(value, name)  # it has no such field, and Python says so


def _member(module: Namespace, name: str) -> Any:
    try:
        return module._members[name]
    except KeyError:
        raise not_a_member(f"{module._path}.{name}") from None


def _fields_of(kind: type) -> dict[str, Callable[[Any], Any] | None]:
    found: dict[str, Callable[[Any], Any] | None] = {}
    for base in reversed(kind.__mro__):
        if base in _PUBLIC:
            found |= dict.fromkeys(name for name in vars(base) if not name.startswith("_"))
        found |= dict.fromkeys(_LISTED.get(base, ()))
        found |= _SPECIAL.get(base, {})
    if issubclass(kind, tuple) and kind not in own_classes:  # what torch.max gives has names for its parts
        found |= dict.fromkeys(name for name in dir(kind) if not name.startswith("_"))
    _fields[kind] = found
    return found


def _is_own_field(value: Any, kind: type, name: str) -> bool:
    """A field that the submission gave to its own instance or function, or that a layer has."""
    layer = isinstance(value, nn.Module)
    if not layer and kind not in own_classes:
        return (kind is SimpleNamespace or _is_own_function(value)) and name in vars(value)
    if (owner := _owner(kind.__mro__, name)) is not None:
        return _is_given(owner, name)
    held = (value._parameters, value._buffers, value._modules) if layer else ()
    own = name in getattr(value, "__dict__", ()) and not (layer and name in _INNER_OF_MODULES)
    return not policy.is_inner(name) and (own or any(name in each for each in held))


def _owner(classes: Iterable[type], name: str) -> type | None:
    """The class from which Python takes `name`: what a class further up has by that name excuses nothing."""
    return next((kind for kind in classes if name in vars(kind)), None)


def _is_given(owner: type, name: str) -> bool:
    """Whether `owner`, which has `name`, is the submission's own, or admits it."""
    own = owner in own_classes and (not policy.is_inner(name) or name in names.MAGIC_METHODS)
    return own or name in _fields_of(owner)


def _above(value: Any, name: str) -> Any:
    """`super().name`, where it is admitted."""
    classes = value.__self_class__.__mro__
    owner = _owner(classes[classes.index(value.__thisclass__) + 1 :], name)
    if owner is not None and not (name in names.MAGIC_METHODS or _is_given(owner, name)):
        raise an_inner_name(name) if policy.is_inner(name) else not_a_field(name)
    special = None if owner is None or owner in own_classes else _fields_of(owner).get(name)
    return getattr(value, name) if special is None else special(value.__self__)


def _is_of_class(kind: type, name: str) -> bool:
    """Whether `A.name` is a class's own, or the way to call what it derives from: `Base.__init__(self)`."""
    owner = _owner(kind.__mro__, name)
    if owner in own_classes:
        return _is_given(owner, name)
    return name == "__init__" and issubclass(kind, (nn.Module, BaseException))


def _unbound(kind: Any, name: str) -> Any:
    """`torch.Tensor.clone`, `dict.fromkeys`: what an instance may be asked for, asked of its class."""
    real = kind.real if isinstance(kind, StandIn) else kind
    known = _fields_of(real)
    if name not in known:
        return None
    special = known[name]
    return getattr(real, name) if special is None else lambda value, *given, **said: special(value)(*given, **said)


def _is_own_function(value: Any) -> bool:
    return type(value) is FunctionType and value.__code__.co_filename == policy.SUBMISSION


class _Unheard:
    """Takes what is stored to it and forgets it: `p.requires_grad = True` of a whole cell does no harm."""


def store(value: Any, name: str) -> Any:
    """The object whose field `name` is to be stored to or deleted: `value` itself, where that is admitted."""
    kind = type(value)
    if policy.is_inner(name):
        raise an_inner_name(name)
    if name in _STORED.get(kind, ()) or kind is SimpleNamespace or isinstance(value, Silent):
        return value
    if isinstance(value, nn.Module):
        if name not in _INNER_OF_MODULES:
            return value
    elif kind in own_classes:
        return value
    if _is_own_function(value) or (isinstance(value, type) and value in own_classes):
        return value
    if isinstance(value, Tensor) and name == "requires_grad":
        return _Unheard()
    raise not_changed(f".{name}")


# ---- What some fields become ----


class _Format(Formatter):
    """`str.format`, whose fields may name attributes: `"{0.shape}"`."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
        first, rest = formatter_field_name_split(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, name in rest:
            value = load(value, name) if is_attribute else value[name]
        return value, first


def _format(text: str) -> Callable[..., str]:
    return lambda *given, **said: _Format().vformat(text, given, said)


def _grad(tensor: Tensor) -> Any:
    if tensor.grad is None:
        raise not_a_field("grad")
    return tensor.grad  # what the submission stored there itself


def _requires_grad_(tensor: Tensor) -> Callable[..., Tensor]:
    def ask(asked: object = True) -> Tensor:
        if asked is not False:
            raise not_a_field("requires_grad_")
        return tensor

    return lambda requires_grad=True: ask(requires_grad)


def _type(tensor: Tensor) -> Callable[..., Any]:
    def as_type(dtype: Any = None) -> Any:
        made = tensor.type(getattr(dtype, "real", dtype))
        if isinstance(made, Tensor) and made.is_complex():
            raise Refused(_COMPLEX)
        return made

    return as_type


def _register_buffer(module: nn.Module) -> Callable[..., None]:
    def register(name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        if type(name) is not str or name.startswith("_"):
            raise not_changed(f".{name}")
        nn.Module.register_buffer(module, name, tensor, persistent)

    return register


def _checked_method(method: str) -> Callable[[Any], Any]:
    return lambda value: checked(getattr(value, method), f".{method}")


def checked(function: Callable[..., Any], path: str) -> Callable[..., Any]:
    """`function` with the keywords that are admitted, and no complex numbers out of it."""

    def call(*given: Any, **said: Any) -> Any:
        for name in said:
            if type(name) is not str or name not in names.KEYWORDS:
                _refuse_keyword(name, said[name], path)
        said.pop("requires_grad", None)
        made = function(*given, **said)
        if isinstance(made, (np.ndarray, np.generic)) and made.dtype.kind in "cOV":
            raise Refused(_COMPLEX if made.dtype.kind == "c" else _OBJECTS)
        return made

    if isinstance(function, np.ufunc):
        _ufuncs[call] = function
    return call


_ufuncs: dict[Callable[..., Any], np.ufunc] = {}


def _refuse_keyword(name: str, value: object, path: str) -> None:
    """A text of an own class can be equal to any name, so it is none."""
    if type(name) is not str or name != "requires_grad":
        raise Refused(f"An answer may not give `{name!s:.60}` to {path}.")
    if value is not False:
        raise autograd("requires_grad")


_SPECIAL: dict[type, dict[str, Callable[[Any], Any] | None]] = {
    str: {"format": _format, "format_map": lambda text: lambda known: _Format().vformat(text, (), known)},
    Tensor: {
        "grad": _grad,
        "requires_grad_": _requires_grad_,
        "type": _type,
        **{name: _checked_method(name) for name in names.TENSOR if name.startswith("new_")},
    },
    np.ndarray: {name: _checked_method(name) for name in names.ARRAY if callable(getattr(np.ndarray, name, None))},
    np.generic: {name: _checked_method(name) for name in names.ARRAY if callable(getattr(np.generic, name, None))},
    nn.Module: {"register_buffer": _register_buffer},
}
_OPEN = (Silent, ProgressStandIn)

# ---- Classes, patterns, powers ----

_VALUES = (dict, list, set, tuple, str, int, float)
_BASES = (object, *_VALUES, abc.ABC, *types.resolve_bases((typing.NamedTuple,)))


def make_class(name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
    """A class of the submission's own."""
    kind: Any = type
    for base in bases:
        layer = issubclass(base, nn.Module) and base.__module__.startswith("torch.nn.modules")
        admitted = base in own_classes or base in _BASES or layer
        if isinstance(base, StandIn) or not (admitted or issubclass(base, BaseException)):
            raise Refused(f"`{base.__name__}` cannot be a base class here. Derive from a class of your own.")
        kind = type(base) if issubclass(type(base), kind) else kind
    if any(issubclass(base, nn.Module) for base in bases) and any(issubclass(base, _VALUES) for base in bases):
        raise Refused("A layer cannot be a dictionary, a text or a number too: derive from `nn.Module` alone.")
    made: type = kind(name, bases, body)
    own_classes.add(made)
    return made


def power(base: Any, exponent: Any) -> Any:
    """`base ** exponent`, refused where it makes complex numbers."""
    return _real(base**exponent)


def power_in_place(base: Any, exponent: Any) -> Any:
    """`base **= exponent`, refused where it makes complex numbers."""
    base **= exponent
    return _real(base)


def _real(made: Any) -> Any:
    if type(made) is complex or (isinstance(made, (np.ndarray, np.generic)) and made.dtype.kind == "c"):
        raise Refused(_COMPLEX)
    return made


class _Asking(type):
    """The type of a class in a pattern that names fields: they are asked for before the pattern takes them."""

    kind: type
    fields: tuple[str, ...]

    def __instancecheck__(cls, value: object) -> bool:
        if not isinstance(value, cls.kind):
            return False
        for field in cls.fields:
            with contextlib.suppress(AttributeError):
                load(value, field)
        return True


def in_pattern(asked: Any, fields: tuple[str, ...] | None = None) -> SimpleNamespace:
    """Holds a value of a `case`, or its class, whose `fields` are asked for first."""
    matched = getattr(asked, "__match_args__", ()) if asked in own_classes else ()
    if fields is not None and (fields or matched):
        fields = (*fields, *matched)
        asked = _Asking(asked.__name__, (), {"kind": asked, "fields": fields, "__match_args__": matched})
    return SimpleNamespace(value=asked)


# ---- Python's own functions ----


def type_of(value: Any, *others: Any) -> Any:
    """`type(value)`. Only with one argument, and only for values whose class leads nowhere.

    Raises:
        Refused: for anything else.
    """
    kind = type(value)
    if others or kind in (Namespace, FunctionType, type, StandIn):
        raise not_a_builtin("type")
    if kind in STAND_INS_BY_TYPE:
        return STAND_INS_BY_TYPE[kind]
    if kind in own_classes or _fields_of(kind) or kind in (type(None), type(...), bool):
        return kind
    raise not_a_builtin("type")


def _getattr(value: Any, name: str, *default: Any) -> Any:
    if type(name) is not str:
        raise TypeError("attribute name must be string")
    try:
        return load(value, name)
    except AttributeError:
        if not default:
            raise
        return default[0]


def _hasattr(value: Any, name: str) -> bool:
    try:
        _getattr(value, name)
    except (AttributeError, Refused):
        return False
    return True


def _setattr(value: Any, name: str, new: Any) -> None:
    if type(name) is not str:
        raise TypeError("attribute name must be string")
    setattr(store(value, name), name, new)


def _delattr(value: Any, name: str) -> None:
    if type(name) is not str:
        raise TypeError("attribute name must be string")
    delattr(store(value, name), name)


def _locals() -> dict[str, Any]:
    frame = sys._getframe(1)
    if frame.f_code.co_filename != policy.SUBMISSION or frame.f_locals is frame.f_globals:
        raise not_a_builtin("locals")
    return {name: value for name, value in frame.f_locals.items() if not policy.is_inner(name)}


def _shut(name: str) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> Any:
        raise not_a_builtin(name)

    return refuse


def _power_of(base: Any, exponent: Any, mod: Any = None) -> Any:
    return _real(pow(base, exponent, mod))


_EXCEPTIONS = {
    n: kind for n, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
}
STAND_INS_BY_TYPE: dict[type, StandIn] = {}
BUILTINS: dict[str, Any] = {
    **{name: _shut(name) for name in dir(builtins) if callable(getattr(builtins, name))},
    **_EXCEPTIONS,
    **{name: getattr(builtins, name) for name in names.BUILTINS},
    "type": stand_in("type", type, type_of),
    "getattr": _getattr,
    "setattr": _setattr,
    "delattr": _delattr,
    "hasattr": _hasattr,
    "locals": _locals,
    "pow": _power_of,
    "print": Silent(),
    "display": Silent(),
    "__build_class__": builtins.__build_class__,
    "__import__": builtins.__import__,
    policy.LOAD: load,
    policy.STORE: store,
    policy.CLASS: make_class,
    policy.POWER: power,
    policy.IPOWER: power_in_place,
    policy.PATTERN: in_pattern,
}
"""What the code of a submission finds as Python's own. `namespaces` adds `__import__`."""
