"""Which mutants are right after all: their lines run in plain torch, in float64, beside the solution's lines.

No autograd and nothing of the judge takes part: the solution's own lines give the truth. After the last line that
writes a gradient it is compared and replaced by the truth, or by the same random tensor in both runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from grader.lesson.exercise import find_exercise
from tests.mutation.mutate import TRAINING, Mutant
from tests.mutation.program import Edited, Program, copied, forward_values, is_numbers, joined, ordered

SEEDS = (11, 12, 13)
SAME = 1e-12
_STEPS = 200_000
_POSITIONS = (0, 1, _STEPS // 2 - 2, _STEPS // 2 + 1, _STEPS - 1)
"""The step in the middle is left out, as the grader leaves it out: the rate may change before or after it."""

Standing = Literal["equal", "note", "either", "wrong"]


@dataclass
class Outcome:
    """`equal`: right everywhere. `note`: right for this loss, wrong with random gradients from above.
    `either`: undefined from top to bottom, and right if the cells stood in another order.

    `wrong` are the tensors that differ; `facts` the ids that plainly hold of what ran: an exception, nan, zeros.
    """

    standing: Standing
    wrong: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()


@dataclass
class _Found:
    wrong: set[str] = field(default_factory=set)
    facts: set[str] = field(default_factory=set)


def weigh(mutant: Mutant) -> Outcome:
    """Compare a mutant with the right answer in all seeds, with true and with random gradients from above."""
    edited = [(change.at, change.lines, change.before) for change in mutant.changes]
    if mutant.exercise == TRAINING:
        found = _weigh_loop(mutant.program, joined(mutant.program, edited))
        return _weigh_line(mutant.program, *edited[0]) if found.standing == "equal" and len(edited) == 1 else found
    edited = [(c.at, () if c.kind == "too-early" else c.lines, c.before) for c in mutant.changes]
    found = _weigh(mutant.program, edited)
    if len(edited) == 1 and "undefined-name" in found.facts and mutant.kind in READS_LATER:
        at, lines, _ = edited[0]
        for place in range(at + 1, len(mutant.program.lines)):
            if _weigh(mutant.program, [(at, lines, place)]).standing == "equal":
                return Outcome("either")
    return found


READS_LATER = ("unfinished-for-gradient", "unfinished-for-forward", "shape-of-another")
"""Kinds of lines that read a gradient which is begun further down: right if the cells stood in another order."""


def _weigh(program: Program, edited: list[Edited]) -> Outcome:
    for probed in (False, True):
        for seed in SEEDS:
            found = _run(program, edited, seed, probed)
            if found.wrong:
                vanishing = probed and found.wrong & _vanishing(program, seed)
                facts = found.facts | ({"vanishing"} if vanishing else set())
                standing: Standing = "note" if probed and not vanishing else "wrong"
                return Outcome(standing, frozenset(found.wrong), frozenset(facts))
    return Outcome("equal")


@lru_cache(maxsize=2000)
def _compiled(text: str) -> CodeType:
    return compile(text, "<line>", "exec")


@lru_cache
def _drawn(program: Program, seed: int) -> Mapping[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    values = forward_values(program.exercise, seed)
    names = sorted(program.gradients)
    drawn = {g: torch.randn(np.shape(values[g[1:]]), generator=generator, dtype=torch.float64) for g in names}
    return {g: value if isinstance(values[g[1:]], Tensor) else value.numpy() for g, value in drawn.items()}


def _scope(program: Program, seed: int) -> dict[str, Any]:
    """What the lines find: the forward pass, in copies that they may spoil, and the gradients that are given."""
    values = forward_values(program.exercise, seed)
    scope = {name: copied(value) for name, value in values.items()}
    return scope | {gradient: copied(_drawn(program, seed)[gradient]) for gradient in program.given}


@lru_cache
def _truth(program: Program, seed: int, probed: bool) -> Mapping[str, Any]:
    """What the solution's lines give, each gradient from the true or from the random ones above."""
    scope, drawn = _scope(program, seed), _drawn(program, seed)
    found: dict[str, Any] = {}
    for at, line in enumerate(program.lines):
        exec(_compiled(line.text), scope)
        if at == program.writers(line.tensor)[-1]:
            gradient = "d" + line.tensor
            found[gradient] = copied(scope[gradient])
            scope[gradient] = copied(drawn[gradient] if probed else found[gradient])
    return found


@lru_cache
def _vanishing(program: Program, seed: int) -> frozenset[str]:
    """The tensors whose gradient is zero by algebra, and not with random gradients from above."""
    true, random = _truth(program, seed, False), _truth(program, seed, True)
    return frozenset(g[1:] for g in true if _largest(true[g]) < SAME * _largest(random[g]))


def _run(program: Program, edited: list[Edited], seed: int, probed: bool) -> _Found:
    truth, drawn = _truth(program, seed, probed), _drawn(program, seed)
    largest = max(map(_largest, truth.values()))
    scope = _scope(program, seed)
    statements = ordered(program, edited)
    last = {tensor: at for at, (tensor, _) in enumerate(statements)}
    found = _Found({g[1:] for g in truth} - last.keys())
    scope |= {"d" + name: copied((drawn if probed else truth)["d" + name]) for name in found.wrong}
    for at, (tensor, text) in enumerate(statements):
        gradient = "d" + tensor
        try:
            exec(_compiled(text), scope)
        except Exception as error:
            found.wrong.add(tensor)
            found.facts.add("undefined-name" if isinstance(error, NameError) else "exception")
        if at != last[tensor]:
            continue
        value, true = scope.get(gradient), truth[gradient]
        scope[gradient] = copied(drawn[gradient] if probed else true)
        scale = _largest(true)
        scale = largest if tensor in _vanishing(program, seed) else scale
        if not _same(value, true, scale):
            found.wrong.add(tensor)
            if isinstance(value, Tensor) and not bool(torch.isfinite(value).all()):
                found.facts.add("not-finite")
            if isinstance(value, Tensor) and not bool(value.any()):
                found.facts.add("zero")
            if value is not None and isinstance(true, Tensor) and not isinstance(value, Tensor):
                found.facts.add("not-a-tensor")
    return found


def _largest(value: Any) -> float:
    return float(abs(value).max()) if np.size(value) else 0.0


def _same(value: Any, true: Any, scale: float) -> bool:
    if not isinstance(true, Tensor):
        alike = is_numbers(value) and not isinstance(value, Tensor) and np.shape(value) == np.shape(true)
        return alike and bool(np.max(abs(value - true)) <= SAME * scale)
    if not isinstance(value, Tensor) or value.shape != true.shape or value.dtype != true.dtype:
        return False
    return bool((value - true).abs().max() <= SAME * scale)


# ---- training loops ----


def _weigh_loop(program: Program, text: str) -> Outcome:
    for seed in SEEDS:
        found = _compare_loop(program, text, seed)
        if found.wrong:
            return Outcome("wrong", frozenset(found.wrong), frozenset(found.facts))
    return Outcome("equal")


def _weigh_line(program: Program, at: int, lines: tuple[str, ...], _: int | None) -> Outcome:
    """The line of a gradient that is zero by algebra, with random gradients from above: no step shows what it does."""
    name = program.lines[at].tensor
    if name not in VANISHING:
        return Outcome("equal")
    values = forward_values(program.exercise, SEEDS[0])
    generator = torch.Generator().manual_seed(SEEDS[0])
    drawn = {
        f"d{other}": torch.randn(value.shape, generator=generator, dtype=torch.float64)
        for other, value in values.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    true, ours = {**values, **drawn}, {**values, **drawn}
    exec(_compiled(program.lines[at].text), true)
    exec(_compiled("\n".join(lines)), ours)
    right = _same(ours[f"d{name}"], true[f"d{name}"], float(true[f"d{name}"].abs().max()))
    return Outcome("equal") if right else Outcome("wrong", frozenset({name}), frozenset({"vanishing"}))


VANISHING = frozenset({"b1"})
"""The bias before the batch normalisation: its mean is taken away again."""

Snapshot = dict[str, Tensor]


@lru_cache
def _loop_truth(program: Program, seed: int) -> tuple[Snapshot, list[tuple[Snapshot, Tensor]]]:
    """The parameters at the start; after each step the parameters with the loss, and the generator's state."""
    seen: list[tuple[Snapshot, Tensor]] = []
    scope = _loop_scope(program, seed)
    start = _snapshot(scope)

    def steps(_: object) -> Iterator[int]:
        for position in _POSITIONS:
            yield position
            seen.append((_snapshot(scope), scope["g"].get_state()))

    _run_loop(joined(program, []), scope, steps)
    return start, seen


def _compare_loop(program: Program, text: str, seed: int) -> _Found:
    before, truth = _loop_truth(program, seed)
    scope = _loop_scope(program, seed)
    held = {name: scope[name] for name in scope["trained"]}
    found = _Found()

    def steps(_: object) -> Iterator[int]:
        earlier = before
        for position, (true, state) in zip(_POSITIONS, truth, strict=True):
            yield position
            ours = _snapshot(scope)
            for name, value in true.items():
                change = value - earlier[name] if name in held else value
                scale = float(change.abs().max()) + 1e-2 * float(value.abs().max())
                if name not in ours or not _same(ours[name], value, scale):
                    found.wrong.add(name)
                if name in ours and not bool(torch.isfinite(ours[name]).all()):
                    found.facts.add("not-finite")
            for name, holder in held.items():
                holder.data.copy_(true[name])
                scope[name] = holder
            scope["g"].set_state(state)
            earlier = true

    try:
        _run_loop(text, scope, steps)
    except Exception as error:
        found.wrong |= truth[0][0].keys()
        found.facts.add("undefined-name" if isinstance(error, NameError) else "exception")
    return found


def _loop_scope(program: Program, seed: int) -> dict[str, Any]:
    exercise = find_exercise(program.exercise)
    values = _scope(program, seed)
    values["parameters"] = [values[name] for name in exercise.trained]
    values["g"] = torch.Generator().manual_seed(seed)
    return values | {"trained": exercise.trained, "max_steps": _STEPS}


def _snapshot(scope: Mapping[str, Any]) -> Snapshot:
    names = (*scope["trained"], "loss")
    return {n: scope[n].detach().clone() for n in names if n != "loss" or isinstance(scope[n], Tensor)}


def _run_loop(text: str, scope: dict[str, Any], steps: Any) -> None:
    scope["tqdm"] = steps
    exec(_compiled(text), scope)
