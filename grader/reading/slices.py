"""Which statements of a submission a gradient needs."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from grader.reading.attempts import Analysis


class Slicer:
    """Finds what a statement needs to run: the statements that give its names their values, and so on.

    Names in `protected` are provided and never looked up. `setup_calls` maps the names of the exercise's setup
    to what it calls to make them: above statement `floor`, a definition that calls the same and reads none of
    `tensors` repeats the setup and is left out.
    """

    def __init__(
        self,
        analysis: Analysis,
        protected: Collection[str],
        setup_calls: Mapping[str, Collection[str]] = MappingProxyType({}),
        floor: int = 0,
        tensors: Collection[str] = (),
    ) -> None:
        self.analysis = analysis
        self.protected = protected
        self.setup_calls = {name: set(calls) for name, calls in setup_calls.items()}
        self.floor = floor
        self.tensors = set(tensors)
        self.found: dict[tuple[int, str], list[int]] = {}

    def slice(self, indexes: Iterable[int]) -> set[int]:
        """`indexes` and every statement that they need."""
        kept: set[int] = set()
        work = list(indexes)
        while work:
            index = work.pop()
            if index in kept:
                continue
            kept.add(index)
            for name in self.analysis.effects[index].reads:
                if name not in self.protected:
                    work += self.definers(index, name)
        return kept

    def _repeats_setup(self, index: int, name: str) -> bool:
        """True for a statement that makes `name` as the exercise's own setup does, not as a helper."""
        found = self.analysis.effects[index]
        value = getattr(self.analysis.statements[index].node, "value", None)
        empty = isinstance(value, (ast.Dict, ast.List)) and not list(ast.iter_child_nodes(value))[1:]
        if index >= self.floor or found.reads & self.tensors or (empty and self.setup_calls[name]):
            return False
        return not found.calls or bool(found.calls & self.setup_calls[name])

    def definers(self, reader: int, name: str) -> list[int]:
        """The statements that give `name` the value that `reader` sees."""
        key = (reader, name)
        if key not in self.found:
            self.found[key] = self._find_definers(reader, name)
        return self.found[key]

    def _find_definers(self, reader: int, name: str) -> list[int]:
        found: list[int] = []
        effects = self.analysis.effects
        is_setup = name in self.setup_calls
        for index in range(reader - 1, -1, -1):
            if name in effects[index].writes and index not in self.analysis.training:
                if is_setup and self._repeats_setup(index, name):
                    break
                found.append(index)
                if name in effects[index].rebinds:
                    break
        if not found and not is_setup:  # cells may have been reordered: look further down
            later = range(reader + 1, len(effects))
            found = [i for i in later if name in effects[i].rebinds and i not in self.analysis.training][:1]
        return found or [i for i, e in enumerate(effects[:reader]) if "*" in e.rebinds]

    def defined_later(self, reader: int, definer: int) -> bool:
        """True where `reader` needs a name whose only definition stands further down, at `definer`."""
        return definer > reader and any(definer in found for (index, _), found in self.found.items() if index == reader)
