"""Decides what an answer may reach, by the object that it has in its hands when it asks.

Every object falls into one of few kinds: what the lists name for its type, a class of the submission's own and its
instances, a stand-in. What is not admitted raises `Refused`, or what Python raises where there is no such field.
"""

from __future__ import annotations

import abc
import builtins
import collections
import collections.abc
import contextlib
import dataclasses
import enum
import functools
import io
import itertools
import random
import re
import sys
import types
import typing
from _string import formatter_field_name_split  # type: ignore[import-not-found]
from collections.abc import Callable, Iterable, Iterator, Mapping
from string import Formatter
from types import FunctionType, GeneratorType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.admission import admitted_names as names
from grader.admission import policy
from grader.admission.sentences import (
    NO_COMPLEX,
    Refused,
    an_inner_name,
    autograd,
    not_a_builtin,
    not_a_field,
    not_a_member,
    not_changed,
)
from grader.admission.silent import ProgressStandIn, Silent

PUBLIC: set[type] = {
    *(str, bytes, int, float, list, tuple, dict, set, frozenset, range, slice, collections.deque, torch.finfo),
    *(torch.iinfo, np.finfo, np.iinfo, type({}.keys()), type({}.values()), type({}.items()), collections.Counter),
    *(collections.OrderedDict, collections.defaultdict, collections.ChainMap, collections.UserDict),
    *(collections.abc.Mapping, collections.abc.MutableMapping, collections.abc.Sequence),
    *(io.StringIO, re.Pattern, re.Match, *contextlib.ExitStack.__mro__[:-1]),
}
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
    np.random.RandomState: names.DRAWS,
    random.Random: names.MODULES["random"],
    nn.Module: names.LAYER,
    property: frozenset({"setter", "getter", "deleter"}),
    functools.partial: frozenset({"func", "args", "keywords"}),
    functools._lru_cache_wrapper: frozenset({"cache_info", "cache_clear"}),
    itertools.chain: frozenset({"from_iterable"}),
    GeneratorType: frozenset({"send", "close"}),
    BaseException: frozenset({"args", "value", "name"}),
    enum.Enum: frozenset({"name", "value"}),
    dataclasses.Field: frozenset({"name", "type", "default"}),
}
_OBJECTS = "An array of an answer holds numbers or texts, and no other objects. A list can hold them."
_SAID_OF_CODE = frozenset({"__name__", "__qualname__", "__doc__", "__module__"})
_INNER_OF_MODULES = frozenset(vars(nn.Module())) - {"training"}
_STORED: Mapping[type, tuple[str, ...]] = {Tensor: ("data", "grad"), nn.Parameter: ("data", "grad")}

own_classes: set[type] = set()
"""The classes that submissions made in this process."""

_fields: dict[type, dict[str, Callable[[Any], Any] | None]] = {}

_plain: set[type] = set()
"""Of `own_classes` those that derive from no other: all fields of an instance but Python's inner ones are its own."""


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


class Fields(collections.abc.MutableMapping[str, Any]):
    """A dictionary of names without Python's inner ones: what `vars(x)`, `x.__dict__` and `globals()` give."""

    __slots__ = ("_closed", "_held")

    def __init__(self, held: dict[str, Any], closed: frozenset[str] = frozenset()) -> None:
        self._held = held
        self._closed = closed

    def _asked(self, name: str) -> str:
        if type(name) is not str or policy.is_inner(name) or name in self._closed:
            raise an_inner_name(str(name)[:60])
        return name

    def __getitem__(self, name: str) -> Any:
        return self._held[self._asked(name)]

    def __setitem__(self, name: str, value: Any) -> None:
        self._held[self._asked(name)] = value

    def __delitem__(self, name: str) -> None:
        del self._held[self._asked(name)]

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in self._held if not policy.is_inner(name) and name not in self._closed])

    def __len__(self) -> int:
        return sum(1 for _ in self)


class StandIn(type):
    """The type of a class that stands for `real`: asked what is one of them, and called with what `make` takes.

    `base` is what a class of the submission's own derives from that names it, if it may.
    """

    real: type
    make: Callable[..., Any]
    base: type | None

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        return cls.make(*arguments, **options)

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.real)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(getattr(kind, "real", kind), cls.real)


def stand_in(name: str, real: type, make: Callable[..., Any], base: type | None = None) -> StandIn:
    """A name for a class, such as `list`: calling it calls `make`, and `isinstance` asks for `real`."""
    return StandIn(name, (), {"real": real, "make": staticmethod(make), "base": base})


# ---- Fields ----


def load(value: Any, name: str) -> Any:
    """`value.name`, where it is admitted."""
    kind = type(value)
    if kind in _plain and not name.startswith("__"):
        return getattr(value, name)
    known = _fields.get(kind)
    if known is None:
        known = _fields_of(kind)
    if name in known:
        special = known[name]
        return getattr(value, name) if special is None else special(value)
    if kind is Namespace:
        return _member(value, name)
    if policy.is_inner(name) and kind in _OPEN:
        raise an_inner_name(name)
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
    if name == "__class__" and (kind in own_classes or isinstance(value, BaseException)):
        return kind
    if name == "__dict__":
        return fields_of(value)
    if policy.is_inner(name):
        raise an_inner_name(name)
    if isinstance(value, type) or hasattr(value, name):
        raise not_a_field(name)
    return getattr(value, name)  # it has no such field, and Python says so


def _member(module: Namespace, name: str) -> Any:
    try:
        return module._members[name]
    except KeyError:
        raise (an_inner_name(name) if policy.is_inner(name) else not_a_member(f"{module._path}.{name}")) from None


def fields_of(value: Any) -> Fields:
    """What `vars(value)` gives, of an object of the submission's own."""
    kind = type(value)
    if (kind not in own_classes and kind is not SimpleNamespace) or not hasattr(value, "__dict__"):
        raise an_inner_name("__dict__")
    return Fields(value.__dict__, _INNER_OF_MODULES if isinstance(value, nn.Module) else frozenset())


def _fields_of(kind: type) -> dict[str, Callable[[Any], Any] | None]:
    found: dict[str, Callable[[Any], Any] | None] = {}
    for base in reversed(kind.__mro__):
        if base in PUBLIC:
            found |= dict.fromkeys(name for name in vars(base) if not name.startswith("_"))
        found |= dict.fromkeys(_LISTED.get(base, ()))
        found |= _SPECIAL.get(base, {})
    if issubclass(kind, tuple) and kind not in own_classes:  # what torch.max gives has names for its parts
        found |= dict.fromkeys(name for name in dir(kind) if not name.startswith("_"))
    if not found and own_classes.issuperset(kind.__mro__[:-1]) and _owner(kind.__mro__, "__getattribute__") is object:
        _plain.add(kind)
    _fields[kind] = found
    return found


def _is_own_field(value: Any, kind: type, name: str) -> bool:
    """A field that the submission gave to its own instance or function, or that a layer has."""
    layer = isinstance(value, nn.Module)
    if not layer and kind not in own_classes:
        return (kind is SimpleNamespace or _is_own_function(value)) and name in vars(value)
    if layer and name in _INNER_OF_MODULES:
        return False  # Python takes it from the layer, whatever the class has by that name
    if (owner := _owner(kind.__mro__, name)) is not None:
        return _is_given(owner, name)
    held = (value._parameters, value._buffers, value._modules) if layer else ()
    asks = _owner(kind.__mro__, "__getattr__") in own_classes  # Python's last resort where nothing has the name
    given = asks or any(name in each for each in (getattr(value, "__dict__", ()), *held))
    return given and not policy.is_inner(name)


def _owner(classes: Iterable[type], name: str) -> type | None:
    """The class from which Python takes `name`: what a class further up has by that name excuses nothing."""
    return next((kind for kind in classes if name in vars(kind)), None)


def _is_given(owner: type, name: str) -> bool:
    """Whether `owner`, which has `name`, is the submission's own, or admits it."""
    of_enums = issubclass(type(owner), enum.EnumMeta) and name.startswith("_") and name.endswith("_")
    own = owner in own_classes and (not policy.is_inner(name) or name in names.MAGIC_METHODS)
    return (own and not of_enums) or name in _fields_of(owner)


def _above(value: Any, name: str) -> Any:
    """`super().name`, where it is admitted."""
    classes = value.__self_class__.__mro__
    owner = _owner(classes[classes.index(value.__thisclass__) + 1 :], name)
    if owner is not None and not (name in names.MAGIC_METHODS or _is_given(owner, name)):
        raise an_inner_name(name) if policy.is_inner(name) else not_a_field(name)
    if owner is None or owner in own_classes:
        return getattr(value, name)
    if name in ("__setattr__", "__delattr__"):
        return lambda field, *new: _change_above(value, name, field, *new)
    if name == "__new__":
        return lambda kind, *given, **said: _new(value, kind, *given, **said)
    if name in ("__pow__", "__rpow__"):
        return lambda other: numbers_of(getattr(value, name)(other))
    special = _fields_of(owner).get(name)
    return getattr(value, name) if special is None else special(value.__self__)


def _change_above(value: Any, method: str, field: Any, *new: Any) -> None:
    _of_text(field)
    store(value.__self__, field)
    getattr(value, method)(field, *new)


def _new(value: Any, kind: type, *given: Any, **said: Any) -> Any:
    if kind not in own_classes:
        raise an_inner_name("__new__")
    return value.__new__(kind, *given, **said)


def _is_of_class(kind: type, name: str) -> bool:
    """Whether `A.name` is a class's own, or the way to call what it derives from: `Base.__init__(self)`."""
    owner = _owner(kind.__mro__, name)
    if owner in own_classes:
        return _is_given(owner, name)
    return name == "__init__" and issubclass(kind, (nn.Module, BaseException))


def _unbound(kind: Any, name: str) -> Any:
    """`torch.Tensor.clone`, `dict.fromkeys`: what an instance may be asked for, asked of its class."""
    real = kind.real if isinstance(kind, StandIn) else kind
    if real in _VALUES and name in _OF_CONTAINERS:
        return getattr(real, name)
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
    if kind in _plain and not name.startswith("__"):
        return value
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


def _grad(tensor: Tensor) -> Any:
    if tensor.grad is None:
        raise not_a_field("grad")
    return tensor.grad  # what the submission stored there itself


def _requires_grad_(tensor: Tensor) -> Callable[..., Tensor]:
    def ask(requires_grad: object = True) -> Tensor:
        if requires_grad is not False:
            raise not_a_field("requires_grad_")
        return tensor

    return ask


def _type(tensor: Tensor) -> Callable[..., Any]:
    def as_type(dtype: Any = None) -> Any:
        made = tensor.type(getattr(dtype, "real", dtype))
        if isinstance(made, Tensor) and made.is_complex():
            raise Refused(NO_COMPLEX)
        return made

    return as_type


def _register_buffer(module: nn.Module) -> Callable[..., None]:
    def register(name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        if type(name) is not str or name.startswith("_"):
            raise not_changed(f".{name}")
        nn.Module.register_buffer(module, name, tensor, persistent)

    return register


def _checked_method(method: str) -> Callable[[Any], Any]:
    return lambda value: checked(getattr(numbers_of(value), method), f".{method}")


def checked(function: Callable[..., Any], path: str) -> Callable[..., Any]:
    """`function` without the keywords that lead past tensor algebra; no complex numbers into it or out of it."""

    def call(*given: Any, **said: Any) -> Any:
        for name in said:  # a text of an own class can be equal to any name or to none
            if type(name) is not str or name in _CLOSED_KEYWORDS:
                raise Refused(f"An answer may not give `{name!s:.60}` to {path}.")
        if said.pop("requires_grad", False) is not False:
            raise autograd("requires_grad")
        numbers_of(given)
        if "out" in said:
            numbers_of(said["out"])
        return numbers_of(function(*given, **said))

    if isinstance(function, np.ufunc):
        _ufuncs[call] = function
    return call


_CLOSED_KEYWORDS = frozenset({"cdata", "buffer", "like", "pin_memory"})
_ufuncs: dict[Callable[..., Any], np.ufunc] = {}


def numbers_of(value: Any) -> Any:
    """`value`, where neither it nor a part of it is a complex number or an array of other things than numbers."""
    kind = type(value)
    if kind is complex:
        raise Refused(NO_COMPLEX)
    if issubclass(kind, (np.ndarray, np.generic)):
        if value.dtype.kind in "cOV":
            raise Refused(NO_COMPLEX if value.dtype.kind == "c" else _OBJECTS)
    elif kind is tuple or kind is list:
        for part in value:
            if type(part) not in _NUMBERS:
                numbers_of(part)
    return value


_NUMBERS = (float, int, Tensor)


_SPECIAL: dict[type, dict[str, Callable[[Any], Any] | None]] = {
    str: {
        "format": lambda text: lambda *given, **said: _Format().vformat(text, given, said),
        "format_map": lambda text: lambda known: _Format().vformat(text, (), known),
    },
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


def _layer_getattr(layer: nn.Module, name: str, found: Callable[[nn.Module, str], Any] = nn.Module.__getattr__) -> Any:
    """A layer's own layers by name, but none for a name that torch and numpy trust, such as `__torch_function__`."""
    if policy.is_inner(name):
        raise AttributeError(name)
    return found(layer, name)


def keep_layers_in() -> None:
    """Let no layer of this process stand for what libraries ask of an object."""
    nn.Module.__getattr__ = _layer_getattr  # type: ignore[method-assign]


# ---- Classes, patterns, powers ----

_VALUES = (dict, list, set, tuple, str, int, float)
_BASES = (
    *(object, *_VALUES, abc.ABC, typing.Generic, typing.Protocol, collections.UserDict, collections.OrderedDict),
    *types.resolve_bases((typing.NamedTuple, typing.TypedDict)),
    *(enum.Enum, enum.IntEnum, enum.StrEnum, enum.Flag, enum.IntFlag),
    *(getattr(collections.abc, name) for name in names.MODULES["collections.abc"]),
)
_OF_CONTAINERS = frozenset(
    "__init__ __len__ __contains__ __iter__ __getitem__ __setitem__ __delitem__ __eq__ __hash__ __repr__".split()
)
"""What `dict.__setitem__(self, name, value)` and its like may ask of a type of Python's own."""


class _Enums(enum.EnumMeta):
    """The type of a submission's enumerations: called with a value, they make no further class."""

    def __call__(cls, value: Any, *more: Any, **said: Any) -> Any:
        if more or said:
            raise Refused("An enumeration of an answer is a class statement.")
        return super().__call__(value)


def make_class(name: str, bases: tuple[type, ...], body: dict[str, Any], **said: Any) -> type:
    """A class of the submission's own. `said` are its keywords."""
    bases = tuple((isinstance(base, StandIn) and base.base) or base for base in bases)
    meta = said.pop(policy.METACLASS, None)
    kind: Any = getattr(meta, "base", None) if isinstance(meta, StandIn) else None if meta else type
    if kind is None or not issubclass(kind, type) or any(type(key) is not str or key.startswith("_") for key in said):
        raise Refused("A class of an answer takes no metaclass but `ABCMeta`.")
    for base in bases:
        layer = issubclass(base, nn.Module) and base.__module__.startswith("torch.nn.modules")
        admitted = base in own_classes or base in _BASES or layer
        if isinstance(base, StandIn) or not (admitted or issubclass(base, BaseException)):
            raise Refused(f"`{base.__name__}` cannot be a base class here. Derive from a class of your own.")
        kind = type(base) if issubclass(type(base), kind) else kind
    if any(issubclass(base, nn.Module) for base in bases) and any(issubclass(base, _VALUES) for base in bases):
        raise Refused("A layer cannot be a dictionary, a text or a number too: derive from `nn.Module` alone.")
    if "__getattr__" in body:
        body["__getattr__"] = _asked_by_name(body["__getattr__"])
    if issubclass(kind, enum.EnumMeta):
        kind, fields = _Enums, enum.EnumMeta.__prepare__(name, bases)
        for field, value in body.items():
            fields[field] = value
        body = fields
    made: type = kind(name, bases, body, **said)
    own_classes.add(made)
    return made


def _asked_by_name(own: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """A class's `__getattr__`, which libraries ask too: for `__array_interface__`, whose answer numpy trusts."""

    def ask(self: Any, name: str) -> Any:
        if policy.is_inner(name):
            raise AttributeError(name)
        return own(self, name)

    return ask


def power(base: Any, exponent: Any, mod: Any = None) -> Any:
    """`base ** exponent`, or Python's `pow`, refused where it makes complex numbers."""
    return numbers_of(pow(base, exponent, mod))


def power_in_place(base: Any, exponent: Any) -> Any:
    """`base **= exponent`, refused where it makes complex numbers."""
    numbers_of(base)
    base **= exponent
    return numbers_of(base)


class _Asking(type):
    """The type of a class in a pattern that names fields: they are asked for before the pattern takes them."""

    kind: type
    fields: tuple[str, ...]

    def __instancecheck__(cls, value: object) -> bool:
        if not isinstance(value, cls.kind):
            return False
        for field in cls.fields:
            if not _is_as_python_has_it(value, field) and hasattr(value, field):
                raise an_inner_name(field) if policy.is_inner(field) else not_a_field(field)
        return True


def _is_as_python_has_it(value: Any, field: str) -> bool:
    """Whether `load` gives for a field what Python itself, which fills a pattern, finds there."""
    kind = type(value)
    known = _fields_of(kind)
    return (field in known and known[field] is None) or _is_own_field(value, kind, field) or isinstance(value, _OPEN)


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
    if others or kind in (Namespace, FunctionType, type, StandIn, Fields):
        raise not_a_builtin("type")
    if kind in STAND_INS_BY_TYPE:
        return STAND_INS_BY_TYPE[kind]
    if kind in own_classes or _fields_of(kind) or kind in (type(None), type(...), bool):
        return kind
    raise not_a_builtin("type")


def _getattr(value: Any, name: str, *default: Any) -> Any:
    try:
        return load(value, _of_text(name))
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
    setattr(store(value, _of_text(name)), name, new)


def _delattr(value: Any, name: str) -> None:
    delattr(store(value, _of_text(name)), name)


def _of_text(name: Any) -> Any:
    """`name`, a text: one of an own class could be one name to a guard and another to Python."""
    if type(name) is not str:
        raise TypeError("attribute name must be string")
    return name


def _locals() -> dict[str, Any]:
    frame = sys._getframe(1)
    if frame.f_code.co_filename != policy.SUBMISSION or frame.f_locals is frame.f_globals:
        raise not_a_builtin("locals")
    return {name: value for name, value in frame.f_locals.items() if not policy.is_inner(name)}


def _globals() -> Fields:
    frame = sys._getframe(1)
    if frame.f_code.co_filename != policy.SUBMISSION:
        raise not_a_builtin("globals")
    return Fields(frame.f_globals)


def shut(name: str) -> Callable[..., Any]:
    """A builtin that a submission may name and not call: it refuses, and says its name."""

    def refuse(*_: object, **__: object) -> Any:
        raise not_a_builtin(name)

    return refuse


_EXCEPTIONS = {
    n: kind for n, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
}
STAND_INS_BY_TYPE: dict[type, StandIn] = {}
BUILTINS: dict[str, Any] = {
    **{name: shut(name) for name in dir(builtins) if callable(getattr(builtins, name))},
    **_EXCEPTIONS,
    **{name: getattr(builtins, name) for name in names.BUILTINS},
    "type": stand_in("type", type, type_of),
    "getattr": _getattr,
    "setattr": _setattr,
    "delattr": _delattr,
    "hasattr": _hasattr,
    "locals": _locals,
    "globals": _globals,
    "vars": lambda *given: fields_of(*given) if given else shut("vars")(),
    "pow": power,
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
