"""The `grading` cell of a lesson: what the engine may not guess, such as its targets and other sizes to try."""

from __future__ import annotations

import ast
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.base.errors import DojoError
from grader.lesson.cells import body_of
from grader.syntax.scopes import nodes_below
from grader.syntax.source import Cell

TAG = "grading"
_LITERALS = frozenset({"targets", "tolerance", "sizes", "batch", "optional"})


@dataclass(frozen=True, eq=False)
class Grading:
    """What a lesson says about its own grading. Every part has a default, so most lessons have no such cell.

    `targets` are the forward tensors whose gradients are graded, and functions and classes by their own names;
    empty means what the answers of the lesson assign. `tolerance` is how far a right answer may be off in
    float64, relative to the largest true element, by target (`""` stands for all). `sizes` are sets of
    parameters to try in place of the lesson's own; empty means that every integer becomes another prime.
    `batch` names the parameter that holds the batch size. An `optional` lesson counts only for those who begin it.
    `binds` are the names that the cell's code makes, such as `optimizer`, `scheduler` and `cases`.
    """

    targets: tuple[str, ...] = ()
    tolerance: Mapping[str, float] = field(default_factory=dict)
    sizes: tuple[Mapping[str, Any], ...] = ()
    batch: str = "n"
    optional: bool = False
    binds: frozenset[str] = frozenset()
    cell: Cell | None = None
    path: Path = Path()

    def tolerance_of(self, target: str) -> float:
        """The relative error that `target` may have beyond rounding: 0 where the lesson names none."""
        return self.tolerance.get(target, self.tolerance.get("", 0.0))

    def draw_sizes(self, draw: random.Random) -> dict[str, Any]:
        """One of the lesson's other sizes; empty where it names none."""
        return dict(draw.choice(self.sizes)) if self.sizes else {}

    def run(self, namespace: Mapping[str, Any]) -> dict[str, Any]:
        """Run the cell's code above setup and forward pass, and give all names that are bound then.

        Only the judge calls this, never a worker: the code may use autograd and hold a reference answer.

        Raises:
            DojoError: the code raises; the lesson's file and the line are named.
        """
        bound = dict(namespace)
        if self.cell is None:
            return bound
        code = compile("\n" * (self.cell.line - 1) + self.cell.text, str(self.path), "exec")
        try:
            exec(code, bound)
        except Exception as error:
            line = self.cell.line
            trace = error.__traceback__
            while trace is not None:
                line = trace.tb_lineno if trace.tb_frame.f_code is code else line
                trace = trace.tb_next
            raise DojoError(f"{self.path}:{line}: the grading cell raises {type(error).__name__}: {error}") from None
        return bound


def read_grading(path: Path, cells: tuple[Cell, ...]) -> Grading:
    """The lesson's `grading` cell, read without running it.

    Raises:
        DojoError: there are two such cells, one does not parse, or a literal in it is not what it should be.
    """
    found = [cell for cell in cells if TAG in cell.tags]
    if not found:
        return Grading(path=path)
    cell = found[0]
    if len(found) > 1:
        raise DojoError(f"{path}:{found[1].line}: a second cell tagged grading; a lesson has at most one")
    values: dict[str, Any] = {}
    binds = set()
    for node in body_of(cell, path):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            binds.add(node.name)
        if not isinstance(node, ast.Assign):
            continue
        names = {leaf.id for target in node.targets for leaf in nodes_below(target) if isinstance(leaf, ast.Name)}
        binds |= names
        for name in sorted(names & _LITERALS):
            where = f"{path}:{cell.line + node.lineno - 1}: {name}"
            try:
                values[name] = ast.literal_eval(node.value)
            except ValueError:
                raise DojoError(f"{where} is to be a literal, because it is read without running the cell") from None
            _check(name, values[name], where)
    tolerance = values.get("tolerance", {})
    return Grading(
        targets=tuple(values.get("targets", ())),
        tolerance=tolerance if isinstance(tolerance, dict) else {"": tolerance},
        sizes=tuple(values.get("sizes", ())),
        batch=values.get("batch", "n"),
        optional=values.get("optional", False),
        binds=frozenset(binds - _LITERALS),
        cell=cell,
        path=path,
    )


def _check(name: str, value: object, where: str) -> None:
    if name == "targets":
        right = isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, str) for item in value)
        wanted = 'names of forward tensors, functions or classes, such as ["loss", "w"]'
    elif name == "sizes":
        right = isinstance(value, (list, tuple)) and bool(value) and all(_are_parameters(item) for item in value)
        wanted = 'dicts of parameters, such as [{"B": 3, "T": 5}]'
    elif name == "batch":
        right, wanted = isinstance(value, str), 'the name of a size, such as "B"'
    elif name == "optional":
        right, wanted = isinstance(value, bool), "True or False"
    else:
        values = list(value.values()) if isinstance(value, dict) else [value]
        right = all(isinstance(item, (int, float)) and 0 <= item < 1 for item in values)
        right = right and (not isinstance(value, dict) or all(isinstance(key, str) for key in value))
        wanted = 'a relative error from 0 to 1, such as 1e-6 or {"x": 1e-6}'
    if not right:
        raise DojoError(f"{where} = {value!r} is not right; give {wanted}")


def _are_parameters(item: object) -> bool:
    return isinstance(item, dict) and bool(item) and all(isinstance(key, str) for key in item)
