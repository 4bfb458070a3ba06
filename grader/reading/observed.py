"""Where the text of an answer does not tell which statements change a gradient, and what running it shows of that."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from grader.reading.attempts import Analysis, Attempt
from grader.syntax.inert_calls import INERT_CALLS
from grader.syntax.scopes import FUNCTIONS, called_name, changed_place, nodes_below, root_name

Changes = Mapping[int, Collection[str]]
"""By statement the tensors whose gradients it changed when it ran; one that raised is not there."""


def worth_watching(analysis: Analysis, attempts: Mapping[str, Attempt], wrong: Iterable[str]) -> set[int]:
    """The statements that may change a `wrong` gradient through an object, a function or a part of it that has another
    name, and those that are taken to do so."""
    found: set[int] = set()
    for tensor in wrong:
        attempt = attempts[tensor]
        if not attempt.inside:
            found |= _may_change(analysis, tensor, attempt)
    return found


def as_observed(
    analysis: Analysis, attempts: Mapping[str, Attempt], wrong: Iterable[str], changes: Changes
) -> dict[str, Attempt]:
    """The attempts, those at `wrong` gradients with the statements that were seen to change them."""
    found = dict(attempts)
    for tensor in wrong:
        attempt = attempts[tensor]
        if not attempt.inside:
            seen = [index for index in _span(analysis, tensor, attempt) if tensor in changes.get(index, ())]
            unclear = [index for index in attempt.writers if index not in changes]
            found[tensor] = replace(attempt, writers=sorted({attempt.writers[0], *seen, *unclear}))
    return found


def _span(analysis: Analysis, tensor: str, attempt: Attempt) -> range:
    """The statements from the first one of an attempt to where the next attempt at the same gradient begins."""
    begins = attempt.writers[0]
    others = (version.writers[0] for version in analysis.attempts.get(tensor, ()))
    return range(begins, min((index for index in others if index > begins), default=len(analysis.statements)))


def _may_change(analysis: Analysis, tensor: str, attempt: Attempt) -> set[int]:
    effects, names = analysis.effects, analysis.names
    own = {name for name, held in names.by_name.items() if held == tensor}
    made = {name for found in effects for name in found.writes} | names.own_functions
    made_from = set().union(*(effects[index].reads for index in attempt.writers)) & made - names.by_name.keys()
    reached, found = own | made_from, set()
    for index in _span(analysis, tensor, attempt):
        statement, its = analysis.statements[index], effects[index]
        if index in analysis.training:
            continue
        if index in attempt.writers:
            if tensor not in names.written(statement.nodes):
                found.add(index)
        elif its.reads & reached or (its.fields and tensor in analysis.gradients_read(index)):
            if _may_change_others(statement.node, names.by_name, made):
                found.add(index)
        else:
            continue
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
