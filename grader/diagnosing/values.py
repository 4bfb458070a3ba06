"""Detectors for a candidate as a whole: right shape, wrong numbers."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from grader.diagnosing.core import (
    SAME_FACTOR,
    WRONG_COUNT,
    Diagnosis,
    Mismatch,
    common_factor,
    named_factor,
    size_words,
    spread_to,
    times,
    without_small_constants,
)
from grader.diagnosing.shapes import transposed, wrong_dimension

Numbers = npt.NDArray[np.float64]

_POWERS = (-1.0, 1.0, -2.0, 2.0, -0.5, 0.5)
_HALF_PRECISION = 2.0**-6
"""A few roundings of bfloat16, the coarsest dtype that people use."""
_ENOUGH_NOISE = 20
_BALANCED = 0.3
_MOST_PATHS = 6


def not_finite(mismatch: Mismatch) -> Diagnosis | None:
    """nan or inf, and where the first one stands."""
    bad = ~torch.isfinite(mismatch.candidate)
    if not bool(bad.any()):
        return None
    first = tuple(int(i) for i in bad.nonzero()[0])
    said = f"d{mismatch.name} is {float(mismatch.candidate[first])}."
    if first:
        many = f"{int(bad.sum())} of {bad.numel()} elements are nan or infinite"
        said = f"{many}; the first is {float(mismatch.candidate[first])} at d{mismatch.name}{list(first)}."
    cause = "Look for a division by zero, a log or a power of zero, or a fill with inf."
    return Diagnosis("not-finite", f"{said} {cause}")


def zero(mismatch: Mismatch) -> Diagnosis | None:
    """Zeros everywhere, as a gradient has that was begun and never written."""
    if float(mismatch.candidate.abs().max()) > 0.0:
        return None
    return Diagnosis("zero", f"d{mismatch.name} is all zeros.{_why_zero(mismatch)}")


_ONLY_SHAPES = re.compile(r"\b(?:zeros|ones|empty)_like\(\w+\)|\b\w+\.(?:shape|dtype|device|size\(.*?\))")


def _why_zero(mismatch: Mismatch) -> str:
    """That nothing was written, or which tensor is zero that the lines read; "" where neither can be seen."""
    words = set(re.findall(r"\w+", _ONLY_SHAPES.sub("", mismatch.text)))
    read = words & {*mismatch.forward_tensors, *(f"d{name}" for name in mismatch.handed - {mismatch.name})}
    if mismatch.text and not read:
        return " Nothing was ever written or added to it."
    zeros = (name for name in sorted(read) if name in mismatch.forward_tensors)
    none = next((name for name in zeros if not bool(mismatch.forward.values[name].any())), None)
    return f" Your lines read {none}, which is 0 here: as a factor it makes everything 0." if none else ""


def sign(mismatch: Mismatch) -> Diagnosis | None:
    """Minus the truth."""
    if not mismatch.same(-mismatch.candidate):
        return None
    return Diagnosis("sign", f"Right numbers with the wrong sign. {_about_signs(mismatch)}")


def some_signs(mismatch: Mismatch) -> Diagnosis | None:
    """The sizes of the truth with other signs, as `abs` leaves them."""
    if mismatch.truth.numel() == 1 or not mismatch.same(mismatch.candidate.abs(), mismatch.truth.abs()):
        return None
    wrong = (mismatch.candidate - mismatch.truth).abs() > mismatch.limit * mismatch.scale
    said = f"Right sizes, but {int(wrong.sum()):,} of {wrong.numel():,} elements have the wrong sign."
    why = " None is negative: is it `abs`, or the root of a square?" if float(mismatch.candidate.min()) >= 0 else ""
    return Diagnosis("sign", f"{said}{why}")


def _about_signs(mismatch: Mismatch) -> str:
    """Whether the tensor enters its forward line with a minus, where one line alone reads it and that can be seen."""
    name = mismatch.name
    lines = [mismatch.atoms[through].text for through in mismatch.gradients.shares.get(name, {})]
    if len(lines) != 1:
        return "Look at the sign of every path."
    said, signs = f"{name} enters `{lines[0]}` with", _signs(ast.parse(lines[0]), name)
    if signs == {_FALLING}:
        return f"The exponent in `{lines[0]}` is negative, and it comes down as a factor with its minus."
    if signs == {1}:
        return f"{said}out a minus, so none belongs here."
    if signs == {-1}:
        return f"{said} a minus, so its gradient has one."
    return f"Derive `{lines[0]}` by {name} again."


_FALLING = -2
_GROWING = frozenset("sum mean max min amax exp log tanh sigmoid sqrt view reshape flatten expand transpose".split())


def _signs(node: ast.AST, name: str) -> set[int]:
    """1 where `name` enters an expression without a minus, -1 with one; 0 where that is not to be seen.

    `_FALLING` stands for a power with a negative exponent, such as that of a variance or of a sum.
    """
    match node:
        case ast.Name():
            return {1} if node.id == name else set()
        case ast.UnaryOp(op=ast.USub()):
            return {-sign if abs(sign) == 1 else 0 for sign in _signs(node.operand, name)}
        case ast.BinOp(op=ast.Sub()):
            return _signs(node.left, name) | {-sign if abs(sign) == 1 else 0 for sign in _signs(node.right, name)}
        case ast.BinOp(op=ast.Pow(), right=ast.UnaryOp(op=ast.USub(), operand=ast.Constant())):
            return {_FALLING if sign == 1 else 0 for sign in _signs(node.left, name)}
        case ast.BinOp(op=ast.Pow(), right=ast.Constant()):
            return _signs(node.left, name)
        case ast.BinOp(op=ast.Add() | ast.Mult() | ast.MatMult()):
            return _signs(node.left, name) | _signs(node.right, name)
        case ast.BinOp(op=ast.Div()) if not _signs(node.right, name):
            return _signs(node.left, name)
        case ast.Call():
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            below = {sign for child in ast.iter_child_nodes(node) for sign in _signs(child, name)}
            return below if called in _GROWING else {0 for _ in below}
        case ast.Attribute() | ast.Subscript():
            return _signs(node.value, name)
        case ast.Module() | ast.Assign() | ast.expr():
            below = {sign for child in ast.iter_child_nodes(node) for sign in _signs(child, name)}
            return below if isinstance(node, (ast.Module, ast.Assign)) else {0 for _ in below}
    return set()


def scale(mismatch: Mismatch) -> Diagnosis | None:
    """A constant times the truth."""
    factor = mismatch.factor(mismatch.candidate, mismatch.truth)
    if factor is None or abs(factor) < SAME_FACTOR or mismatch.is_factor(factor, 1):
        return None
    known = named_factor(factor, mismatch, "")
    cause = _lost_exponent(factor, mismatch) or (known.cause if known else "")
    cause = cause or "Which constant does the forward line multiply by?"
    minus = " and with the wrong sign" if factor < 0 else ""
    subject = "Every element is" if mismatch.truth.numel() > 1 else "It is"
    said = f"{subject} {known.name if known else f'{abs(factor):.6g}'} times the true one{minus}. {cause}"
    here = named_factor(factor, mismatch)  # the id goes by these sizes alone: a notebook knows no others
    counted = here is not None and here.cause.startswith(WRONG_COUNT) and not _lost_exponent(factor, mismatch)
    return Diagnosis("wrong-count" if counted else "scale", said)


def _lost_exponent(factor: float, mismatch: Mismatch) -> str:
    """Where the factor is one over an exponent of the forward line: that this is what is missing."""
    for through in mismatch.gradients.shares.get(mismatch.name, {}):
        for leaf in ast.walk(mismatch.expression(through)):
            if isinstance(leaf, ast.BinOp) and isinstance(leaf.op, ast.Pow):
                power = ast.unparse(leaf.right)
                number = power.lstrip("-").replace(".", "", 1).isdigit()
                if number and float(power) and mismatch.is_factor(factor, 1 / float(power)):
                    return f"The exponent {power} of `{mismatch.atoms[through].text}` is missing as a factor."
    return ""


def precision(mismatch: Mismatch) -> Diagnosis | None:
    """Right but for the rounding of a coarser dtype: small errors, as often up as down."""
    difference = mismatch.candidate - mismatch.truth
    size = difference.abs() / mismatch.scale
    if bool((size[mismatch.truth == 0] > mismatch.limit).any()):  # what a mask makes 0 is 0 in every dtype
        return None
    noisy = size[size > 0]
    if noisy.numel() < _ENOUGH_NOISE or float(size.max()) > _HALF_PRECISION:
        return None
    away = torch.sign(difference * mismatch.truth)
    balance = abs(float(away.sum())) / max(float(away.abs().sum()), 1.0)
    if balance > _BALANCED:
        return None
    return Diagnosis(
        "precision",
        "Right but for rounding: somewhere the numbers pass through a coarser dtype (half, bfloat16 or "
        "float32). Leave the dtype as it is.",
    )


def other_factor(mismatch: Mismatch) -> Diagnosis | None:
    """The truth times or over a forward tensor: a factor too many, too few, or another one."""
    factors = dict(_factors(mismatch))
    for name, without in _without_small_constants(mismatch, factors):
        if mismatch.same(mismatch.candidate, mismatch.truth * without / factors[name]):
            atom = mismatch.atoms[name]
            return Diagnosis("missing-epsilon", f"Right but for the small constant that `{atom.text}` adds.")
    sample = _Sample(mismatch)
    for name, value in factors.items():
        for power in _POWERS:
            if not sample.constant_over(value, power):
                continue
            if mismatch.factor(mismatch.candidate, mismatch.truth * value**power) is None:
                continue
            if power < 0:
                said = f"A factor {_raised(name, -power)} is missing, or it is divided by that once too often."
                return Diagnosis("missing-factor", said)
            if not mismatch.may_read(name):
                continue
            whole = bool((value != 0).all())  # else what is left without it need not be the truth
            said = "There is a factor too many:" if whole else "It is the true gradient times"
            return Diagnosis("extra-factor", f"{said} {_raised(name, power)}.")
    for meant, read in sample.replacements(factors):
        if not mismatch.may_read(read):
            continue
        if mismatch.same(mismatch.candidate, mismatch.truth * factors[read] / factors[meant]):
            return Diagnosis("wrong-forward-value", f"{read} stands as a factor where {meant} belongs.")
    return None


class _Sample:
    """Three elements of a mismatch, to rule a factor out before all elements are looked at."""

    def __init__(self, mismatch: Mismatch) -> None:
        true = mismatch.truth.flatten()
        self.positions = true.abs().topk(min(3, true.numel())).indices
        with np.errstate(all="ignore"):
            self.ratios = self._picked(mismatch.candidate) / self._picked(mismatch.truth)
        self.limit = max(1e-6, 100 * mismatch.noise / mismatch.scale)

    def _picked(self, value: Tensor) -> Numbers:
        picked: Numbers = value.flatten()[self.positions].double().cpu().numpy()
        return picked

    def constant_over(self, value: Tensor, power: float) -> bool:
        """True where candidate / (truth * value**power) is one number at the sampled elements."""
        with np.errstate(all="ignore"):
            found = self.ratios / self._picked(value) ** power
        return bool(np.isfinite(found).all()) and bool(np.ptp(found) <= self.limit * abs(found[0]))

    def replacements(self, factors: Mapping[str, Tensor]) -> list[tuple[str, str]]:
        """Pairs (meant, read) with candidate = truth * read / meant at the sampled elements."""
        if len(factors) < 2:
            return []
        names, picked = list(factors), np.stack([self._picked(value) for value in factors.values()])
        with np.errstate(all="ignore"):
            off = abs(self.ratios * picked[:, None] - picked[None])
            equal = np.all(off <= self.limit * abs(picked[None]), axis=2)
        return [(names[i], names[j]) for i, j in zip(*np.nonzero(equal), strict=True) if i != j]


def _without_small_constants(mismatch: Mismatch, factors: Collection[str]) -> Iterator[tuple[str, Tensor]]:
    """What each of `factors` had been without the small constant (such as 1e-5) of its forward line."""
    for atom in mismatch.forward.atoms:
        if atom.name in factors and (code := without_small_constants(atom.text)) is not None:
            scope = mismatch.forward.run(code, {})
            yield atom.name, scope[atom.name].expand(mismatch.truth.shape)


def _factors(mismatch: Mismatch) -> Iterator[tuple[str, Tensor]]:
    """Forward tensors that are not constant and broadcast to this tensor's shape."""
    for name, value in mismatch.forward_tensors.items():
        spread = spread_to(value, mismatch.truth.shape)
        if spread is not None and (spread.numel() == 1 or common_factor(spread, torch.ones_like(spread)) is None):
            yield name, spread


def unfinished_path(mismatch: Mismatch) -> Diagnosis | None:
    """For a formula that spans several atoms: what comes back through one tensor on the way is wrong."""
    for through, share in _spans(mismatch):
        found = mismatch.candidate - (mismatch.truth - share)
        if mismatch.same(found, torch.zeros_like(share)):
            return Diagnosis(
                "missing-path",
                f"The term that comes back through {through} is missing: "
                f"`{mismatch.atoms[through].text}` depends on {mismatch.name} too.",
            )
        factor = mismatch.factor(found, share)
        if factor is None or mismatch.is_factor(factor, 1):
            continue
        return Diagnosis("path-scaled", f"The term that comes back through {through} {times(factor, mismatch)}")
    return None


def _spans(mismatch: Mismatch) -> Iterator[tuple[str, Tensor]]:
    """What comes back through each tensor that lies between this one and the nearest gradient that is known."""
    between, _ = _on_the_way(mismatch)
    for through in between:
        found = mismatch.carry_back({through: mismatch.gradients.upstream[through]}, between)
        if found is None or mismatch.same(found) or float(found.abs().max()) <= mismatch.limit * mismatch.scale:
            continue
        yield through, found


def _on_the_way(mismatch: Mismatch) -> tuple[list[str], list[str]]:
    """The tensors between this one and the nearest gradients that are known, and these, the loss among them."""
    reached, between, starts = {mismatch.name}, list[str](), list[str]()
    for atom in mismatch.forward.atoms:
        if reached & set(atom.reads) and atom.name in mismatch.gradients.upstream:
            known = atom.name in mismatch.handed or atom.name == mismatch.forward.loss
            (starts if known else between).append(atom.name)
            reached |= set() if known else {atom.name}
    return between, starts


def farther_upstream(mismatch: Mismatch) -> Diagnosis | None:
    """For a formula that spans several atoms: right, but begun from another tensor than the gradient given."""
    if mismatch.gradients.shares[mismatch.name].keys() <= mismatch.handed:
        return None
    for start in mismatch.handed - {mismatch.name}:
        above = mismatch.gradients.upstream.get(start)
        for other, value in mismatch.forward_tensors.items():
            if above is None or value.shape != above.shape or not mismatch.may_read(other):
                continue
            found = mismatch.carry_back({start: value}, mismatch.atoms)
            if found is not None and mismatch.same(found, mismatch.candidate):
                return Diagnosis("wrong-upstream", f"{other} is read where the gradient d{start} belongs.")
    return None


def decayed(mismatch: Mismatch) -> Diagnosis | None:
    """Some multiple of the tensor itself too much, as weight decay adds it."""
    value = mismatch.forward.values[mismatch.name]
    if value.numel() == 1 or mismatch.factor(mismatch.candidate - mismatch.truth, value) is None:
        return None
    return Diagnosis(
        "decayed-bias",
        f"A multiple of {mismatch.name} itself is too much, as weight decay adds it. The loss has no penalty on "
        f"{mismatch.name}: only weights are decayed, not biases.",
    )


def _raised(name: str, power: float) -> str:
    return name if power == 1 else f"{name}**{power:g}"


_MOST_BETWEEN = 14


def missing_terms(mismatch: Mismatch) -> Diagnosis | None:
    """For a formula that spans several atoms: two terms are missing."""
    between, starts = _on_the_way(mismatch)
    if len(between) > _MOST_BETWEEN:
        return None
    above = {name: mismatch.gradients.upstream[name] for name in starts}
    for one, other in itertools.combinations(between, 2):
        found = mismatch.carry_back(above, {*starts, *between} - {one, other})
        if found is not None and not mismatch.same(found) and mismatch.same(found, mismatch.candidate):
            return Diagnosis(
                "missing-path",
                f"Two terms are missing, those that come back through {one} and through {other}: "
                f"`{mismatch.atoms[one].text}` and `{mismatch.atoms[other].text}` depend on {mismatch.name} too.",
            )
    return None


def only_some_paths(mismatch: Mismatch) -> Diagnosis | None:
    """Three or more paths left out, such as all through a line that gives several tensors."""
    paths = mismatch.paths
    for kept in range(1, len(paths) - 2) if len(paths) <= _MOST_PATHS else ():
        for some in itertools.combinations(paths, kept):
            if mismatch.same(mismatch.candidate, sum((path.share for path in some[1:]), some[0].share)):
                lost = [path.through for path in paths if path not in some]
                listed = ", ".join(lost[:-1]) + f" and {lost[-1]}"
                said = f"The paths through {listed} are missing: {mismatch.name} is read for {len(paths)} tensors."
                return Diagnosis("missing-path", f"{said} It gets the sum of {len(paths)} gradients.")
    return None


def wrong_values(mismatch: Mismatch) -> Diagnosis:
    """How far off, where the largest error sits, and what share of the elements is right."""
    truth, candidate = mismatch.truth.double(), mismatch.candidate
    if truth.numel() == 1:
        words = f"d{mismatch.name} is {float(candidate):.6g} here; the true one is {float(truth):.6g}."
        return Diagnosis("wrong-values", words)
    difference = (candidate - truth).abs()
    right = float((difference <= mismatch.limit * mismatch.scale).double().mean())
    flat = int(difference.argmax())
    index = np.unravel_index(flat, tuple(truth.shape))  # torch's own loads sympy: 0.3 s
    where = f"[{', '.join(str(int(i)) for i in index)}]" if index else ""
    far = f"Off by {size_words(float(difference.max()) / mismatch.scale)} the largest gradient"
    if not bool(truth.any()):
        far = "The true gradient is zero here"
    return Diagnosis(
        "wrong-values",
        f"{far}{f'; {right:.0%} of the elements are right' if right else ''}. The largest error is at "
        f"d{mismatch.name}{where}: "
        f"yours {float(candidate.flatten()[flat]):.6g}, true {float(truth.flatten()[flat]):.6g}.",
    )


def mean_of_means(mismatch: Mismatch) -> Diagnosis | None:
    """One number everywhere, the mean of the true ones: where these are weights, parts were counted alike."""
    truth, said = mismatch.truth, "All numbers are the same, the mean of the true ones."
    mean = truth.mean().expand(truth.shape)
    if not mismatch.same(mismatch.candidate, mean) or mismatch.same(torch.zeros_like(mean), mean):
        return None
    if bool((truth < 0).any()) or not mismatch.is_factor(float(truth.sum()), 1):
        return Diagnosis("wrong-dimension", f"{said} Each element of {mismatch.name} has a number of its own.")
    said += f" But each part counts by a weight of its own in d{mismatch.name}: a mean of means is right only where "
    return Diagnosis("wrong-count", f"{said}all parts have the same size.")


FIRST_DETECTORS: tuple[Callable[[Mismatch], Diagnosis | None], ...] = (
    not_finite,
    zero,
    sign,
    scale,
    transposed,
    mean_of_means,
    some_signs,
)
LAST_DETECTORS: tuple[Callable[[Mismatch], Diagnosis | None], ...] = (
    wrong_dimension,
    unfinished_path,
    missing_terms,
    only_some_paths,
    farther_upstream,
    other_factor,
    decayed,
    precision,
)
