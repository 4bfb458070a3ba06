"""Where the text of an answer does not tell which statements change what, and what running it shows of that."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import replace

from grader.reading.attempts import Analysis, Attempt
from grader.reading.plan import Plan, needed_by
from grader.reading.submission import Part
from grader.syntax.inert_calls import INERT_CALLS
from grader.syntax.scopes import FUNCTIONS, called_name, changed_place, nodes_below, paired, root_name
from grader.syntax.source import Statement

_PLACES = (ast.Name, ast.Attribute, ast.Subscript)
_LOAD = ast.Load()

Changes = Mapping[int, Collection[str]]
"""By statement the names and places of which it changed the value when it ran; one that raised is not there."""


def worth_watching(part: Part, plan: Plan, wrong: Collection[str]) -> list[int]:
    """All statements to run, in the order of the file, where some may change a gradient, or what a `wrong` one is made
    from, through an object, a function or a part of it that has another name. Else none.

    What no answer needs may change a right one too, after the line that it was judged at.
    """
    effects, exercise = part.analysis.effects, part.exercise
    judged = {tensor: attempt for tensor, attempt in plan.attempts.items() if not attempt.inside}
    made = {name for found in effects for name in found.writes} | plan.names.own_functions
    scratch = made - plan.names.by_name.keys() - {*exercise.forward_names, *exercise.network_names}
    unneeded = _unneeded(part.analysis, plan, scratch)
    found: set[int] = set()
    for tensor in judged if unneeded else judged.keys() & wrong:
        seen = _may_change(part.analysis, plan, tensor, scratch)
        found |= seen if tensor in wrong else {*seen} & {*unneeded}
    return needed_by(part.analysis, exercise, plan.attempts, found) if found else []


def _unneeded(analysis: Analysis, plan: Plan, made: Collection[str]) -> list[int]:
    """The statements below the first gradient that no answer needs and that may change one for all that."""
    needed = set().union(*plan.slices.values(), analysis.training)
    begins = min((attempt.writers[0] for attempt in plan.attempts.values()), default=len(analysis.statements))
    others = [index for index in range(begins, len(analysis.statements)) if index not in needed]
    return [index for index in others if _may_change_others(analysis.statements[index].node, plan.names.by_name, made)]


def as_observed(part: Part, plan: Plan, wrong: Collection[str], changes: Changes) -> Part:
    """The part with what was seen to change in its effects, and each `wrong` gradient where it is made and changed; the
    part itself where the text told all of that."""
    effects = list(part.analysis.effects)
    for index, changed in changes.items():
        new = {place for place in changed if place.isidentifier()} - effects[index].writes
        if new:
            effects[index] = replace(effects[index], writes=effects[index].writes | new)
    needed = set().union(*plan.slices.values())
    late = {index: changed for index, changed in changes.items() if index not in needed}
    seen = {t: _as_seen(part.analysis, plan, t, changes if t in wrong else late) for t in plan.attempts}
    attempts = {t: _where_made(part, attempt, changes) if wrong else attempt for t, attempt in seen.items()}
    if effects == part.analysis.effects and attempts == plan.attempts:
        return part
    return replace(part, analysis=replace(part.analysis, effects=effects), attempts=part.attempts | attempts)


def held_elsewhere(part: Part) -> bool:
    """Whether the value of a gradient may stand elsewhere too, under another name, in a list or in an object."""
    places = {attempt.place for attempt in part.attempts.values() if not attempt.inside}
    return any(_holds(leaf, places) for statement in part.analysis.statements for leaf in statement.nodes)


def _holds(node: ast.AST, places: Collection[str]) -> bool:
    match node:
        case ast.Assign(targets=targets, value=value):
            given = [
                target for whole in targets for target in (whole.elts if isinstance(whole, ast.Tuple) else [whole])
            ]
            chained = len(targets) > 1 or isinstance(value, _PLACES)
            return _is_one_of(value, places) or (chained and any(_is_one_of(target, places) for target in given))
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Dict(values=items):
            return isinstance(getattr(node, "ctx", _LOAD), ast.Load) and any(_is_one_of(item, places) for item in items)
    return False


def _is_one_of(node: ast.AST, places: Collection[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in places
    return isinstance(node, _PLACES) and ast.unparse(node) in places


def _as_seen(analysis: Analysis, plan: Plan, tensor: str, changes: Changes) -> Attempt:
    attempt = plan.attempts[tensor]
    if attempt.inside:
        return attempt
    places = {attempt.place, *(name for name, held in plan.aliases.items() if held == tensor)}
    span = range(attempt.writers[0], _until_next(analysis, tensor, attempt))
    seen = [index for index in span if places & {*changes.get(index, ())}]
    unclear = [index for index in attempt.writers if index not in changes]
    return replace(attempt, writers=sorted({attempt.writers[0], *seen, *unclear}))


def places_of(part: Part, plan: Plan) -> set[str]:
    """Where gradients are held, those included from which one has its value: `grads["h"]` of `dh = grads["h"]`."""
    attempts = [attempt for attempt in plan.attempts.values() if not attempt.inside]
    taken = (_taken_from(part, attempt) for attempt in attempts)
    return {ast.unparse(place) for place in taken if place is not None}.union(attempt.place for attempt in attempts)


def _taken_from(part: Part, attempt: Attempt) -> ast.expr | None:
    """The place from which a gradient has its value, where an attempt does no more than give it its name. A tensor of
    the lesson is none, for it was made to be something else."""
    node, exercise = part.analysis.statements[attempt.writers[-1]].node, part.exercise
    if len(attempt.writers) > 1 or not isinstance(node, ast.Assign):
        return None
    given = [value for target, value in paired(node) if ast.unparse(target) == attempt.place]
    named = {*part.analysis.names.by_name, *exercise.forward_names, *exercise.network_names, *exercise.setup_names}
    return given[0] if given and isinstance(given[0], _PLACES) and root_name(given[0]) not in named else None


def _where_made(part: Part, attempt: Attempt, changes: Changes) -> Attempt:
    """The same gradient where it is made, if an attempt does no more than give it its name."""
    analysis = part.analysis
    if (taken := _taken_from(part, attempt)) is None:
        return attempt
    place, root = ast.unparse(taken), root_name(taken)
    writers: list[int] = []
    for index in range(attempt.writers[0] - 1, -1, -1):
        stored = _stored(analysis.statements[index])
        if place in stored or place in changes.get(index, ()):
            writers.insert(0, index)
        if stored.get(place) or root in analysis.effects[index].rebinds:
            if writers:
                return replace(attempt, place=place, writers=sorted({index, *writers}))
            inside = [hidden for hidden in analysis.hidden.get(attempt.tensor, ()) if hidden.writers == [index]]
            return inside[0] if inside else attempt
    return attempt


def _stored(statement: Statement) -> dict[str, bool]:
    """The places that a statement stores to or changes, in whole or in part, and whether it gives each a new value."""
    found: dict[str, bool] = {}
    for leaf in statement.nodes:
        place = leaf.target if isinstance(leaf, ast.AugAssign) else changed_place(leaf)
        anew = isinstance(statement.node, ast.Assign) and not isinstance(leaf, ast.Call)
        while place is not None:
            text = ast.unparse(place)
            found[text] = found.get(text, False) or anew
            place, anew = place.value if isinstance(place, (ast.Attribute, ast.Subscript)) else None, False
    return found


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
    """Whether a statement may change what no name in it tells: it calls what the file has `made`, or for no result, or
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
