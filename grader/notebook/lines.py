"""The learner's own lines for a gradient, as the notebook ran them: what the numbers alone do not tell."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from grader.admission.sentences import leads_to_autograd
from grader.diagnosing import Diagnosis, Mismatch
from grader.diagnosing.repair import mending_edit, vocabulary_of
from grader.notebook.truth import Survey
from grader.syntax.effects import statement_effects

_MOST_VARIANTS = 400
"""Each takes some 0.2 ms; the grader has time for more."""


def is_borrowed(name: str, namespace: Mapping[str, Any]) -> bool:
    """True where the lines of d`name` are known, and take it from autograd.

    A notebook runs freely, so its text is all there is to look at. A submission is guarded where it runs.
    """
    nodes = [node for line in lines_of(name, namespace, namespace) for node in ast.walk(line)]
    off = {id(leaf.func) for leaf in nodes if isinstance(leaf, ast.Call) and ast.unparse(leaf).endswith("(False)")}
    return any(leads_to_autograd(path) for leaf in nodes if id(leaf) not in off for path in _paths(leaf))


def _paths(leaf: ast.AST) -> Iterator[str]:
    """What a node asks for, as a path of names."""
    match leaf:
        case ast.Attribute(attr=name, ctx=ast.Load()):
            yield name
        case ast.keyword(arg="requires_grad", value=ast.expr() as value) if ast.unparse(value) != "False":
            yield "requires_grad"
        case ast.Call(func=ast.Name("getattr"), args=[_, ast.Constant(str() as name), *_]):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            module = getattr(leaf, "module", None)
            paths = (".".join(filter(None, (module, alias.name))) for alias in names)
            yield from (path for path in paths if path.startswith(("torch", "functorch")))


def repaired(mismatch: Mismatch, known: Survey, namespace: Mapping[str, Any], said: Diagnosis) -> Diagnosis:
    """What a one-token edit of the learner's lines that makes them right says of the mistake, else `said`.

    The lines run again on what `known` holds, in float64; nothing of the namespace changes.
    """
    there = {**known.forward.values, **{f"d{name}": value for name, value in known.above.items()}}
    there.pop(f"d{mismatch.name}", None)
    statements = lines_of(mismatch.name, namespace, there)
    lines = [ast.unparse(statement) for statement in statements]
    made = _run(lines, mismatch.name, namespace, there)
    if made is None or not mismatch.same(made, mismatch.candidate):
        return said  # these are not the lines that made it
    own = {name for statement in statements for name in statement_effects(statement).rebinds}
    words = vocabulary_of(known.exercise, known.forward, known.exercise.named_gradients)
    words = words.also({name: tuple(mismatch.truth.shape) for name in own - {f"d{mismatch.name}"}})

    def right(texts: list[tuple[str, ...]]) -> Iterator[int]:
        for number, text in enumerate(texts):
            value = _run(text, mismatch.name, namespace, there)
            if value is not None and mismatch.same(value):
                yield number

    return mending_edit(lines, words, _MOST_VARIANTS, right, said.message)[0] or said


def lines_of(name: str, namespace: Mapping[str, Any], there: Collection[str]) -> list[ast.stmt]:
    """The statements that made d`name`, and before them those that made the tensors that they read and that are not
    `there`. They come from IPython's list of the cells that ran; empty where it does not hold them.
    """
    found: list[ast.stmt] = []
    needed = {f"d{name}"}
    for text in reversed(namespace.get("In") or ()):
        for statement in reversed(_parsed(text) if any(wanted in text for wanted in needed) else []):
            effects = statement_effects(statement)
            if needed & effects.writes:
                found.insert(0, statement)
                needed -= effects.rebinds
                needed |= {read for read in effects.reads - set(there) if isinstance(namespace.get(read), Tensor)}
        if not needed:
            return found
    return []


def _parsed(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body
    except SyntaxError:
        return []


def _run(lines: Sequence[str], name: str, namespace: Mapping[str, Any], there: Mapping[str, Any]) -> Tensor | None:
    """d`name` after `lines`; None where they fail, or make no such tensor."""
    scope = {key: value for key, value in namespace.items() if not isinstance(value, Tensor)}
    scope |= {key: value.clone() if isinstance(value, Tensor) else value for key, value in there.items()}
    try:
        with torch.no_grad():
            exec("\n".join(lines), scope)
    except Exception:  # an edit need not make sense
        return None
    made = scope.get(f"d{name}")
    return made if isinstance(made, Tensor) and made.is_floating_point() else None
