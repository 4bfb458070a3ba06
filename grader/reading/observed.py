"""Where the text of an answer does not tell which statements change what, and what running it shows of that."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from grader.reading.attempts import Analysis, Attempt
from grader.reading.plan import Plan, needed_by
from grader.reading.submission import Part
from grader.syntax.inert_calls import INERT_CALLS
from grader.syntax.scopes import FUNCTIONS, called_name, changed_place, nodes_below, root_name

Changes = Mapping[int, Collection[str]]
"""By statement the names and places of which it changed the value when it ran; one that raised is not there."""


def worth_watching(part: Part, plan: Plan, wrong: Iterable[str]) -> list[int]:
    """All statements to run, in the order of the file, where some may change a `wrong` gradient, or what it is made
    from, through an object, a function or a part of it that has another name. Else none."""
    effects, exercise = part.analysis.effects, part.exercise
    made = {name for found in effects for name in found.writes} | plan.names.own_functions
    scratch = made - plan.names.by_name.keys() - {*exercise.forward_names, *exercise.network_names}
    found: set[int] = set()
    for tensor in wrong:
        if not plan.attempts[tensor].inside:
            found |= _may_change(part.analysis, plan, tensor, scratch)
    return needed_by(part.analysis, exercise, plan.attempts, found) if found else []


def as_observed(part: Part, plan: Plan, wrong: Iterable[str], changes: Changes) -> Part | None:
    """The part, with what was seen to change in its effects, and each `wrong` gradient written where it changes; None
    where the text told all of that."""
    effects = list(part.analysis.effects)
    for index, changed in changes.items():
        new = {place for place in changed if place.isidentifier()} - effects[index].writes
        if new:
            effects[index] = replace(effects[index], writes=effects[index].writes | new)
    attempts = dict(plan.attempts)
    for tensor in wrong:
        attempt = plan.attempts[tensor]
        if not attempt.inside:
            places = {attempt.place, *(name for name, held in plan.aliases.items() if held == tensor)}
            span = _until_next(part.analysis, tensor, attempt)
            seen = [index for index in range(attempt.writers[0], span) if places & {*changes.get(index, ())}]
            unclear = [index for index in attempt.writers if index not in changes]
            attempts[tensor] = replace(attempt, writers=sorted({attempt.writers[0], *seen, *unclear}))
    if effects == part.analysis.effects and attempts == plan.attempts:
        return None
    analysis = replace(part.analysis, effects=effects)
    return replace(part, analysis=analysis, attempts={**part.attempts, **attempts})


def _until_next(analysis: Analysis, tensor: str, attempt: Attempt) -> int:
    """Where the next attempt at the same gradient begins, or the file ends."""
    begins = [version.writers[0] for version in analysis.attempts.get(tensor, ())]
    return min((index for index in begins if index > attempt.writers[0]), default=len(analysis.statements))


def _may_change(analysis: Analysis, plan: Plan, tensor: str, scratch: Collection[str]) -> set[int]:
    effects, attempt = analysis.effects, plan.attempts[tensor]
    kept = plan.slices[tensor]
    reached = {name for name, held in plan.names.by_name.items() if held == tensor}
    reached |= set().union(*(effects[index].reads | effects[index].writes for index in kept)) & {*scratch}
    found = set()
    for index in range(min(kept), _until_next(analysis, tensor, attempt)):
        statement, its = analysis.statements[index], effects[index]
        if index in attempt.writers:
            if tensor not in plan.names.written(statement.nodes):
                found.add(index)
        elif index in analysis.training or not (its.reads & reached or tensor in analysis.gradients_read(index)):
            continue
        elif index not in kept and _may_change_others(statement.node, plan.names.by_name, scratch):
            found.add(index)
        reached |= its.writes
    return found


def _may_change_others(node: ast.AST, gradients: Collection[str], made: Collection[str]) -> bool:
    """Whether a statement may change what no name in it tells: it calls what the file has made, or for no result, or
    it changes in place what is no gradient by its name."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return bool(node.decorator_list)
    nodes = nodes_below(node)
    dropped = {id(leaf.value) for leaf in nodes if isinstance(leaf, ast.Expr)}
    for leaf in nodes:
        if isinstance(leaf, ast.Call) and (called_name(leaf) in made or id(leaf) in dropped):
            of_gradient = isinstance(leaf.func, ast.Attribute) and root_name(leaf.func) in gradients
            if called_name(leaf) not in INERT_CALLS and not of_gradient:
                return True
        stored = isinstance(leaf, ast.Name)
        place = leaf.target if isinstance(leaf, ast.AugAssign) else None if stored else changed_place(leaf)
        if place is not None and root_name(place) not in gradients:
            return True
    return False
