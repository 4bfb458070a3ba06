"""Detectors for one path: what came back through one atom is not what should.

Each looks at what the candidate leaves for that path when all other paths are right.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

import torch
from torch import Tensor

from grader.diagnosing.core import (
    SAME_FACTOR,
    Diagnosis,
    Mismatch,
    Path,
    shape_text,
    times,
    without_small_constants,
)
from grader.diagnosing.layers import one_part_of_a_sum, wrong_gate, wrong_mask, wrong_softmax
from grader.diagnosing.picking import misplaced, overwritten_rows, wrong_places

_POWERS = (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


def missing_path(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """The truth less this path's share."""
    if len(mismatch.paths) < 2 or not mismatch.same(path.found, torch.zeros_like(path.share)):
        return None
    return Diagnosis(
        "missing-path",
        f"The path through {path.through} is missing: {mismatch.line_of(path)} reads {mismatch.name} too. "
        "A tensor that is read more than once gets the sum of what comes back from each reader.",
    )


def path_twice(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """This path's share counted twice."""
    if len(mismatch.paths) < 2 or not mismatch.same(path.found, 2 * path.share):
        return None
    return Diagnosis(
        "path-twice",
        f"The path through {path.through} is counted twice. Is it added in two lines, or did a cell with += run twice?",
    )


def path_scaled(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """This path's share times a constant."""
    if len(mismatch.paths) < 2:
        return None
    factor = mismatch.factor(path.found, path.share)
    if factor is None or mismatch.is_factor(factor, 1) or abs(factor) < SAME_FACTOR:
        return None
    return Diagnosis("path-scaled", f"The path through {path.through} {times(factor, mismatch, path.through)}")


def missing_local_derivative(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """The upstream gradient, passed on unchanged."""
    passed = _fitted(mismatch.gradients.upstream[path.through], path.share.shape)
    if passed is None or mismatch.factor(path.share, passed) is not None:
        return None
    if (factor := mismatch.factor(path.found, passed)) is None:
        return None
    how = "unchanged" if mismatch.is_factor(factor, 1) else f"times {factor:.6g} only"
    return Diagnosis(
        "missing-local-derivative",
        f"d{path.through} is passed on {how}{mismatch.on_path(path)}. The local derivative of "
        f"{mismatch.line_of(path)} is missing.",
    )


def _fitted(above: Tensor, shape: torch.Size) -> Tensor | None:
    """An upstream gradient broadcast or summed to a tensor's shape; None where it has no such form."""
    try:
        return above.expand(shape) if above.numel() < shape.numel() else above.sum_to_size(shape)
    except RuntimeError:
        return None


def missing_upstream(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """The local derivative alone."""
    above = mismatch.gradients.upstream[path.through]
    local = mismatch.pull_back(path.through, torch.ones_like(above))
    if local is None or mismatch.factor(path.share, local) is not None:
        return None
    factor = mismatch.factor(path.found, local)
    if factor is None or not mismatch.is_factor(abs(factor), 1):  # 2 * h is no local derivative of h.exp()
        return None
    minus = "minus " if factor < 0 else ""
    return Diagnosis(
        "missing-upstream",
        f"This is {minus}the local derivative of {mismatch.line_of(path)} alone{mismatch.on_path(path)}. The chain "
        f"rule multiplies it by the upstream gradient, d{path.through} {shape_text(above.shape)}.",
    )


def missing_term(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """The local derivative as it were if a tensor that the atom reads, such as a target, were all zeros."""
    text = mismatch.atoms[path.through].text
    for name, leaf in mismatch.forward.inputs[path.through].items():
        if not re.search(rf"\b{name} [-+] |[-+] {name}\b", text):
            continue  # as a factor, or in a function, it cannot be left out alone
        there = mismatch.share_with(path.through, {name: torch.zeros_like(leaf)})
        if mismatch.came_out_as(path, there):
            return Diagnosis(
                "missing-term",
                f"{name} is left out{mismatch.on_path(path)}: the local derivative of {mismatch.line_of(path)} "
                f"depends on {name} too.",
            )
    return None


def stale_upstream(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """Right if the upstream gradient is read before its last path was added."""
    shares = mismatch.gradients.shares.get(path.through, {})
    if len(shares) < 2 or path.through not in mismatch.handed or not mismatch.may_read(f"d{path.through}"):
        return None
    above = mismatch.gradients.upstream[path.through]
    for missing, share in shares.items():
        partial = mismatch.pull_back(path.through, above - share)
        if partial is None or mismatch.same(partial, path.share):
            continue
        if mismatch.same(path.found, partial):
            return Diagnosis(
                "stale-upstream",
                f"d{path.through} is read before it is finished: its path through {missing} is not in it yet. "
                f"Move this line below the last line that adds to d{path.through}.",
            )
    return None


def missing_epsilon(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """Right but for a small constant of the forward line."""
    code = without_small_constants(mismatch.atoms[path.through].text)
    without = None if code is None else mismatch.share_with(path.through, {}, code)
    if without is None or not mismatch.same(path.found, without):
        return None
    return Diagnosis(
        "missing-epsilon",
        f"Right but for the small constant that the forward line {mismatch.line_of(path)} adds.",
    )


def wrong_power(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """The share times a power of a tensor that the atom reads or writes."""
    if not _is_power(mismatch, path.through):
        return None
    above = mismatch.gradients.upstream[path.through]
    for base in _power_bases(mismatch, path):
        for power in _POWERS:
            try:
                local = base**power * above
            except RuntimeError:
                break
            if local.shape != path.share.shape or not bool(torch.isfinite(local).all()):
                continue
            if mismatch.factor(local, path.share) is None and mismatch.factor(path.found, local) is not None:
                return Diagnosis(
                    "wrong-power",
                    f"The exponent is off{mismatch.on_path(path)}. Derive {mismatch.line_of(path)} again: which "
                    "power of which tensor is its local derivative?",
                )
    return None


def _is_power(mismatch: Mismatch, atom: str) -> bool:
    """True for an atom whose local derivative is a power: one with `**`, or a logarithm."""
    written = ast.walk(mismatch.expression(atom))
    return any(isinstance(leaf, ast.Pow) for leaf in written) or _function_of(mismatch, atom) == "log"


def _power_bases(mismatch: Mismatch, path: Path) -> list[Tensor]:
    """What the atom raises to a power, with and without the constant it adds, and its result."""
    bases = [mismatch.forward.values[mismatch.name], mismatch.forward.values[path.through]]
    for leaf in ast.walk(mismatch.expression(path.through)):
        if isinstance(leaf, ast.BinOp) and isinstance(leaf.op, ast.Pow):
            value = mismatch.evaluate(leaf.left)
            if isinstance(value, Tensor):
                bases.insert(0, value)
    return bases


def wrong_forward_value(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """The local derivative taken at a neighbouring forward tensor."""
    for name, leaf in mismatch.forward.inputs[path.through].items():
        for other, value in mismatch.forward_tensors.items():
            if other == name or value.shape != leaf.shape or not (mismatch.may_read(other) or other == path.through):
                continue  # a function that is applied twice reads its own result without naming it
            if mismatch.came_out_as(path, mismatch.share_with(path.through, {name: value})):
                return _other_tensor(mismatch, path, other, name)
    return _wrong_output(mismatch, path, mismatch.gradients.upstream[path.through])


def _wrong_output(mismatch: Mismatch, path: Path, above: Tensor) -> Diagnosis | None:
    """Rules that people state by the result (tanh: 1 - h**2; exp: the result), read at another tensor."""
    rule = _RULES_BY_RESULT.get(_function_of(mismatch, path.through) or "")
    if rule is None:
        return None
    for other, value in mismatch.forward_tensors.items():
        if (
            value.shape == above.shape
            and other != path.through
            and mismatch.may_read(other)
            and mismatch.same(path.found, rule(value) * above)
        ):
            return _other_tensor(mismatch, path, other, path.through)
    result, function = mismatch.forward.values[path.through], _function_of(mismatch, path.through)
    if function == "sigmoid":
        return _part_of_sigmoid(mismatch, path, result, above)
    if function == "tanh" and any(mismatch.same(path.found, (1 - result**power) * above) for power in (1.0, 3.0, 4.0)):
        said = f"The exponent is off{mismatch.on_path(path)}. Derive {mismatch.line_of(path)} again."
        return Diagnosis("wrong-power", said)
    return None


def _part_of_sigmoid(mismatch: Mismatch, path: Path, result: Tensor, above: Tensor) -> Diagnosis | None:
    for part, missing in ((result, f"1 - {path.through}"), (1 - result, path.through)):
        if mismatch.same(path.found, part * above):
            said = f"A factor is missing{mismatch.on_path(path)}: {missing}. The slope of {mismatch.line_of(path)} is "
            return Diagnosis("missing-factor", f"{said}{path.through} * (1 - {path.through}).")
    return None


_RULES_BY_RESULT: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda value: 1 - value**2,
    "exp": lambda value: value,
    "sigmoid": lambda value: value * (1 - value),
}


def _function_of(mismatch: Mismatch, atom: str) -> str | None:
    called = mismatch.expression(atom)
    return called.func.attr if isinstance(called, ast.Call) and isinstance(called.func, ast.Attribute) else None


def _other_tensor(mismatch: Mismatch, path: Path, read: str, meant: str) -> Diagnosis:
    atom = mismatch.atoms[path.through]
    said = f"{read} is used where {meant} belongs{mismatch.on_path(path)}"
    if path.through in (read, meant) and {read, meant} <= {path.through, *atom.reads}:
        already = atom.text.split(" = ", 1)[-1]
        return Diagnosis("wrong-forward-value", f"{said}: {path.through} is {already} already.")
    return Diagnosis("wrong-forward-value", f"{said}, in the local derivative of {mismatch.line_of(path)}.")


def wrong_upstream(mismatch: Mismatch, path: Path) -> Diagnosis | None:
    """The right local derivative times another tensor than the upstream gradient."""
    above = mismatch.gradients.upstream[path.through]
    gradients = mismatch.gradients.total | mismatch.gradients.upstream
    others = {f"d{name}": value for name, value in gradients.items()} | mismatch.forward_tensors
    for name, value in others.items():
        if not mismatch.may_read(name) or name == f"d{path.through}" or not _may_stand_for(value, above):
            continue
        if mismatch.same(value := value.reshape(above.shape), above):
            continue
        there = mismatch.pull_back(path.through, value)
        if mismatch.came_out_as(path, there):
            return Diagnosis(
                "wrong-upstream",
                f"{name} is read where d{path.through} belongs, the upstream gradient{mismatch.on_path(path)}: "
                f"{mismatch.line_of(path)} passes its own gradient back.",
            )
    return None


def _may_stand_for(value: Tensor, other: Tensor) -> bool:
    """True where the shapes differ by dimensions of size 1 alone, as with an unsqueeze in between."""
    return value.squeeze().shape == other.squeeze().shape


PATH_DETECTORS: tuple[Callable[[Mismatch, Path], Diagnosis | None], ...] = (
    missing_path,
    path_twice,
    missing_epsilon,
    wrong_softmax,
    wrong_mask,
    wrong_gate,
    one_part_of_a_sum,
    missing_local_derivative,
    missing_upstream,
    stale_upstream,
    path_scaled,
    missing_term,
    wrong_power,
    wrong_forward_value,
    wrong_upstream,
    overwritten_rows,
    misplaced,
    wrong_places,
)
