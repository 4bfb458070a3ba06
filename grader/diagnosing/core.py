"""What a detector looks at, and what it says."""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import CodeType
from typing import Any

import torch
from torch import Tensor

from grader.lesson.exercise import Atom
from grader.truth.autograd import Forward, Gradients, vector_jacobian_product
from grader.truth.compare import compare

SAME_FACTOR = 1e-9
"""Relative spread within which numbers count as one constant; float64 leaves 1e-15."""

_LOOSE = 50
"""A factor found in float32 is that much less exact than one element: it may be that of a small share."""


@dataclass(frozen=True)
class Diagnosis:
    """The mistake's stable id, and a sentence or two for the learner."""

    mistake: str
    message: str


@dataclass(frozen=True)
class Path:
    """One way by which a gradient comes back: through atom `through`.

    `share` is what should come back that way; `found` is what the candidate leaves for it when all other
    paths are right.
    """

    through: str
    share: Tensor
    found: Tensor


@dataclass(frozen=True)
class Mismatch:
    """A candidate that is not the true gradient of `name`, and what is known of that tensor. All float64.

    `limit` is what counts as rounding. A candidate that was computed in float32 needs a wider one; its noise is
    then measured against its own largest element too. `measure` takes the place of the truth's own scale.
    `reads` are the names that the learner's lines read, and `text` is these lines, where they are known. `resized` is
    the same answer at other sizes, where no two are alike: a factor's name holds there too.
    """

    name: str
    candidate: Tensor
    gradients: Gradients
    forward: Forward
    handed: frozenset[str] = frozenset()
    limit: float = SAME_FACTOR
    measure: float | None = None
    reads: frozenset[str] | None = None
    resized: Mismatch | None = None
    text: str = ""

    @property
    def truth(self) -> Tensor:
        """The true gradient. It has the tensor's shape."""
        return self.gradients.total[self.name]

    @cached_property
    def scale(self) -> float:
        """What errors are measured by: the largest element of the true gradient, or `measure` where that is given.

        Where a gradient and all that arrives above it are zero, as below a ReLU that lets nothing through, it is 1.
        """
        return (self.gradients.scale(self.name) if self.measure is None else self.measure) or 1.0

    @cached_property
    def noise(self) -> float:
        """How far off an element may be by rounding alone, where the limit is wider than float64's; else 0."""
        if self.limit <= SAME_FACTOR:
            return 0.0
        return self.limit * max(self.scale, float(self.candidate.abs().max()) if self.candidate.numel() else 0.0)

    @cached_property
    def atoms(self) -> dict[str, Atom]:
        """The lines of the forward pass, by the tensor that each of them makes."""
        return {atom.name: atom for atom in self.forward.atoms}

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """Every path, each with the candidate less all the others. Empty where the shapes differ."""
        if self.candidate.shape != self.truth.shape:
            return ()
        shares = self.gradients.shares.get(self.name, {})
        return tuple(Path(through, share, self.candidate - (self.truth - share)) for through, share in shares.items())

    @cached_property
    def forward_tensors(self) -> dict[str, Tensor]:
        """Every named tensor of the forward pass that holds real numbers."""
        return {
            name: value
            for name, value in self.forward.values.items()
            if isinstance(value, Tensor) and value.is_floating_point() and not name.startswith("_")
        }

    @cached_property
    def sizes(self) -> dict[int, str]:
        """The lesson's sizes from 2 up, and what each is called: the batch first, then what the forward lines read,
        then counts of elements such as `h.numel()`, then bare numbers."""
        values, named = self.forward.values, dict[int, str]()
        read = (self.forward.batch, *(name for atom in self.forward.atoms for name in atom.reads))
        for name in dict.fromkeys((*read, *values)):
            if type(values.get(name)) is int and 1 < values[name] <= _LARGEST_SIZE:
                named.setdefault(values[name], name)
        tensors = [(name, value) for name, value in self.forward_tensors.items() if value.dim()]
        tensors.sort(key=lambda named: (named[0] != self.name, named[0] not in self.atoms))
        for name, value in tensors:
            for at, size in enumerate(value.shape):
                if size > 1:
                    named.setdefault(int(size), f"{name}.shape[{at}]")
        for name, value in tensors:
            if value.numel() > 1:
                named.setdefault(value.numel(), f"{name}.numel()")
        return named

    def may_read(self, name: str) -> bool:
        """False where it is known that the learner's lines do not read `name`."""
        return self.reads is None or name in self.reads

    def came_out_as(self, path: Path, there: Tensor | None) -> bool:
        """True where the learner's share of `path` is `there`, and `there` is not the true share."""
        return there is not None and not self.same(there, path.share) and self.same(path.found, there)

    def on_path(self, path: Path) -> str:
        """ "" for a tensor with one path, else " on the path through Y"."""
        return f" on the path through {path.through}" if len(self.paths) > 1 else ""

    def line_of(self, path: Path) -> str:
        """The forward line of a path's atom, as code."""
        return f"`{self.atoms[path.through].text}`"

    def same(self, value: Tensor, other: Tensor | None = None) -> bool:
        """True where two tensors have one shape and, up to rounding at the truth's scale, one set of numbers."""
        other = self.truth if other is None else other
        if value.shape != other.shape or not bool(torch.isfinite(value).all()):
            return False
        found = compare(value.to(other.dtype), other, self.scale)
        return found.error <= self.limit or found.maxdiff <= self.noise

    def factor(self, value: Tensor, other: Tensor) -> float | None:
        """k where `value`, which was made from the candidate, is k * other up to rounding; else None.

        A single number is some multiple of every other one. There k says something only if it is 1, or a constant
        that has a name in this network.
        """
        factor = common_factor(value, other, self.limit, self.noise)
        if factor is None or value.numel() > 1 or self.is_factor(factor, 1):
            return factor
        return factor if named_factor(factor, self) is not None else None

    def is_factor(self, factor: float, value: float) -> bool:
        """True where a factor that was found is `value` up to rounding."""
        limit = self.limit if self.limit <= SAME_FACTOR else _LOOSE * self.limit
        return abs(factor - value) <= limit * abs(value)

    def expression(self, atom: str) -> ast.expr:
        """What a forward line assigns, as Python reads it."""
        line = ast.parse(self.atoms[atom].text).body[0]
        assert isinstance(line, ast.Assign)
        return line.value

    def evaluate(self, expression: ast.expr) -> Any:
        """What an expression of a forward line gives."""
        line = ast.Module([ast.Assign([ast.Name("_", ast.Store())], expression)], [])
        return self.forward.run(compile(ast.fix_missing_locations(line), "<atom>", "exec"), {})["_"]

    def pull_back(self, atom: str, above: Tensor) -> Tensor | None:
        """What an upstream gradient `above` of `atom` gives for this tensor."""
        return self.forward.pull_back(atom, above).get(self.name)

    def share_with(self, atom: str, replaced: Mapping[str, Tensor], code: CodeType | None = None) -> Tensor | None:
        """What would come back through an atom that reads other tensors, or that runs other code.

        None where it does not run so, or gives another shape.
        """
        inputs = self.forward.inputs[atom] | dict(replaced)
        leaves = {n: value.detach().requires_grad_() for n, value in inputs.items() if value.is_floating_point()}
        try:
            output = self.forward.run(code or self.atoms[atom].code, {**replaced, **leaves})[atom]
        except (RuntimeError, TypeError):
            return None
        above = self.gradients.upstream[atom]
        if output.shape != above.shape or not output.requires_grad:
            return None
        return vector_jacobian_product(output, leaves, above).get(self.name)

    def carry_back(self, start: dict[str, Tensor], through: Collection[str]) -> Tensor | None:
        """What the gradients in `start` give for this tensor when they come back through these atoms alone."""
        passed = dict(start)
        for atom in reversed(self.forward.atoms):
            if atom.name in passed and atom.name in through and atom.name != self.name:
                for name, share in self.forward.pull_back(atom.name, passed[atom.name]).items():
                    passed[name] = passed[name] + share if name in passed else share
        return passed.get(self.name)


def shape_text(shape: Sequence[int]) -> str:
    """A shape as Python writes it: `(32, 27)`, `(27,)`, `()`."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def with_article(noun: str) -> str:
    """`an int`, `a list`."""
    return f"{'an' if noun[:1].lower() in 'aeio' else 'a'} {noun}"


def size_words(share: float) -> str:
    """How large an error is beside the largest element of the true gradient: `18% of`, `twice`, `12 times`."""
    if not math.isfinite(share):
        return "nan or infinite, beside"
    if share >= 1.5:
        if share >= 1e6:
            return "over a million times"
        return "twice" if 1.95 <= share < 2.05 else f"{share:.2g} times" if share < 100 else f"{share:,.0f} times"
    if share < 5e-5:
        return "less than 0.01% of"
    return f"{share:.2%} of" if share < 0.1 else f"{share:.0%} of"


def without_small_constants(text: str) -> CodeType | None:
    """What runs a forward line with constants such as 1e-5 set to zero; None where it has none."""
    tree = ast.parse(text)
    small = [
        leaf
        for leaf in ast.walk(tree)
        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, float) and 0 < abs(leaf.value) < 1e-3
    ]
    for leaf in small:
        leaf.value = 0.0
    return compile(tree, "<atom>", "exec") if small else None


def spread_to(value: Tensor, shape: Sequence[int]) -> Tensor | None:
    """A tensor broadcast to a shape; None where the shapes do not allow it."""
    try:
        return value.expand(shape)
    except RuntimeError:
        return None


_LARGEST_SIZE = 1_000_000  # a seed is larger


def common_factor(value: Tensor, other: Tensor, limit: float = SAME_FACTOR, noise: float = 0.0) -> float | None:
    """k where value = k * other up to rounding; None where there is no such k or `other` is zero.

    With `noise`, an element of `value` may be that far off, and a `value` that is nothing else has no factor.
    """
    square = float((other * other).sum())
    if value.shape != other.shape or square == 0.0:
        return None
    factor = float((value * other).sum()) / square
    spread = float((value - factor * other).abs().max())
    largest = float(value.abs().max())
    if noise and largest <= noise:
        return None
    return factor if spread <= max(limit * largest, noise) else None


@dataclass(frozen=True)
class NamedFactor:
    """A constant in the names of the lesson, such as `1/n`, and what probably went wrong; "" where that is open."""

    name: str
    cause: str = ""


def named_factor(factor: float, mismatch: Mismatch, through: str | None = None) -> NamedFactor | None:
    """What a constant is in this network: `n`, `1/n`, `(n-1)/n`, `2`, `E/(E-1)`, a ratio of two counts; or None.

    Where it is known to be that of the path `through` an atom, or with "" that of the whole gradient, its name has to
    hold at other sizes too.
    """
    there = None if mismatch.resized is None or through is None else _factor_of(mismatch.resized, through)
    for known, value in _known_factors(mismatch):
        if (mismatch.is_factor(factor, value) or mismatch.is_factor(-factor, value)) and (
            mismatch.resized is None or there is None or _is_called(known.name, there, mismatch.resized)
        ):
            return known
    return None


def _factor_of(mismatch: Mismatch, through: str) -> float | None:
    if not through:
        return common_factor(mismatch.candidate, mismatch.truth, mismatch.limit, mismatch.noise)
    paths = (path for path in mismatch.paths if path.through == through)
    return next((common_factor(path.found, path.share, mismatch.limit) for path in paths), None)


def _is_called(name: str, factor: float, mismatch: Mismatch) -> bool:
    """True where a factor may have this name."""
    found = (value for known, value in _known_factors(mismatch) if known.name == name)
    return any(mismatch.is_factor(abs(factor), value) for value in found)


def _known_factors(mismatch: Mismatch) -> Iterator[tuple[NamedFactor, float]]:
    yield from _own_constants(mismatch)
    squared = any("**" in atom.text for atom in mismatch.forward.atoms if mismatch.name in atom.reads)
    for name, value, cause in (
        ("2", 2.0, "Is it counted twice?"),
        ("1/2", 0.5, "A factor 2 is missing: the derivative of a square has one." if squared else ""),
        ("3", 3.0, ""),
        ("1/3", 1 / 3, ""),
        ("1", 1.0, ""),
        ("4", 4.0, ""),
        ("1/4", 0.25, ""),
    ):
        yield NamedFactor(name, cause), value
    sizes = mismatch.sizes
    for value, n in sizes.items():
        lines = [atom.text for atom in mismatch.forward.atoms if mismatch.name in atom.reads]
        averaged = n == mismatch.forward.batch or any("mean(" in line or f"/ {n}" in line for line in lines)
        yield NamedFactor(n, ("The mean's" if averaged else "A factor") + f" 1/{n} is missing."), float(value)
        yield NamedFactor(f"1/{n}", f"It is divided by {n} once too often."), 1 / value
    for value, n in sizes.items():
        if value > 2:
            mixed = f"{n} and {n}-1 are mixed up: is it the mean, or a variance that divides by {n}-1?"
            yield NamedFactor(f"({n}-1)/{n}", mixed), (value - 1) / value
            yield NamedFactor(f"{n}/({n}-1)", mixed), value / (value - 1)
            yield NamedFactor(f"{n}-1", f"A 1/({n}-1) is missing."), value - 1.0
            yield NamedFactor(f"1/({n}-1)", f"It is divided by {n}-1 once too often."), 1 / (value - 1)
            yield NamedFactor(f"{n}*{n}"), float(value * value)
            yield NamedFactor(f"2/{n}"), 2 / value
            yield NamedFactor(f"({n}-1)/2"), (value - 1) / 2
    for one, first in sizes.items():
        for other, second in sizes.items():
            if one != other:
                yield (
                    NamedFactor(f"{first}/{second}", f"{WRONG_COUNT}: {first} and {second} are mixed up."),
                    one / other,
                )
    for value, n in sizes.items():
        yield NamedFactor(f"sqrt({n})", f"A factor {n}**-0.5 is missing."), value**0.5
        yield NamedFactor(f"1/sqrt({n})", f"{n}**-0.5 is in it once too often."), value**-0.5
        yield NamedFactor(f"{n}*sqrt({n})"), value**1.5


def _own_constants(mismatch: Mismatch) -> Iterator[tuple[NamedFactor, float]]:
    """The numbers by name, such as a rate or a share that is kept, in the lines that read this tensor."""
    for atom in mismatch.forward.atoms:
        for c in atom.reads if mismatch.name in atom.reads else ():
            value = mismatch.forward.values.get(c)
            if type(value) is not float or value in (0.0, 1.0):
                continue
            known = {c: value} if f"1 - {c}" not in atom.text else {f"(1-{c})": 1 - value}
            for name, number in known.items():
                divides = f"/ {c}" in atom.text or f"/ (1 - {c})" in atom.text
                less, more = f"{name} is in it once too often.", f"The factor {name} is missing."
                if divides:
                    less, more = f"The division by {name} is missing.", f"It is divided by {name} once too often."
                yield NamedFactor(name, less), number
                if divides:
                    yield NamedFactor(f"{name}**2", f"It is multiplied by {name}; the line divides by it."), number**2
                if (bare := 1 - value) != value and name != c:
                    yield NamedFactor(f"{name}/{c}", f"{c} stands where {name} belongs."), bare / value
                yield NamedFactor(f"1/{name}", more), 1 / number


def times(factor: float, mismatch: Mismatch, through: str | None = None) -> str:
    """The rest of a sentence about something that comes back with a factor, the path `through` an atom for one."""
    known = named_factor(factor, mismatch, through)
    if known is not None and known.name == "1":
        return "has the wrong sign."
    size = f"{'-' if factor < 0 else ''}{known.name}" if known else f"{factor:.6g}"
    how = f"{size} of" if "/" in size else f"{size} times"
    return f"is {how} what it should be. {known.cause if known else ''}".strip()


WRONG_COUNT = "It is a mean over the wrong count"


def combined(found: Sequence[Diagnosis], figures: str) -> Diagnosis | None:
    """One diagnosis from several that fit: the first two of its kind are told, before the figures; None for none."""
    if not found:
        return None
    alike = dict.fromkeys(diagnosis.message for diagnosis in found if diagnosis.mistake == found[0].mistake)
    return Diagnosis(found[0].mistake, f"{' Or: '.join([*alike][:2])} {figures}")
