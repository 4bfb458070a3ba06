"""What an answer may reach, from the lists in admitted_names.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

_LISTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _sets(table: str) -> dict[str, frozenset[str]]:
    return {name: frozenset(words.split()) for name, words in _LISTS[table].items()}


TORCH, _kinds, _python = _sets("torch"), _sets("kinds"), _sets("python")
_FUNCTIONS_AND_METHODS = frozenset().union(*TORCH.values())
_CHANGING = ("elementwise", "shapes", "scattering", "accumulating")
_IN_PLACE = frozenset(f"{name}_" for kind in _CHANGING for name in TORCH[kind])

TENSOR = _FUNCTIONS_AND_METHODS | _IN_PLACE | _kinds["tensor"]
GENERATOR, ARRAY, UFUNC, DRAWS, LAYER = (_kinds[kind] for kind in ("generator", "array", "ufunc", "draws", "layer"))
"""The fields and methods that may be asked for, by the kind of value."""

MODULES: Mapping[str, frozenset[str]] = {
    "torch": _FUNCTIONS_AND_METHODS.union(*_sets("torch_functions").values()),
    **_sets("modules"),
}
"""What each module gives to an answer. It may import no others."""

SILENT, SILENT_HERE = _sets("silent")["packages"], _sets("silent")["here"]
SILENT_MEMBERS: Mapping[str, frozenset[str]] = _sets("silent_members")
"""Packages, members of this package and of other modules in whose place a stand-in does nothing."""

BUILTINS, AUTOGRAD = _python["builtins"], _python["autograd"]
MAGIC_METHODS = _python["magic_methods"].union(
    f"__{side}{name}__" for name in _python["operators"] for side in ("", "r", "i")
)
