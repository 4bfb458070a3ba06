"""Which statements of a submission attempt which gradient, and for which exercise."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from grader.effects import (
    Effects,
    assigned_names,
    field_name,
    functions_in,
    mutated_argument_positions,
    root_name,
    statement_effects,
)
from grader.exercise import Exercise
from grader.source import Source, Statement

_STAGE = re.compile(r"\b(?:exercise|ex|stage)[\s.:#_-]*(\d)\b", re.IGNORECASE)


@dataclass
class Attempt:
    """One version of one gradient: the statements that write it, in file order.

    `place` is the expression that holds the value. `in_function` says that a function which the last
    writer calls assigns it, so that it is judged inside the function.
    """

    tensor: str
    place: str
    writers: list[int] = field(default_factory=list)
    in_function: bool = False


@dataclass
class Analysis:
    """A submission seen through the names of one track's exercises."""

    source: Source
    effects: list[Effects]
    gradient_names: dict[str, str]
    attempts: dict[str, list[Attempt]]
    stubs: dict[str, int]
    training: list[int]
    loops: dict[int, list[ast.For | ast.While]] = field(default_factory=dict)

    @property
    def statements(self) -> Sequence[Statement]:
        return self.source.statements

    def gradients_read(self, index: int) -> set[str]:
        names = self.effects[index].reads
        return {self.gradient_names[name] for name in names if name in self.gradient_names}


def analyse(source: Source, exercises: Iterable[Exercise]) -> Analysis:
    """Find every attempt at every gradient that one of `exercises` grades."""
    exercises = list(exercises)
    gradients = [e for e in exercises if not e.is_training]
    tensors = {name for e in gradients for name in (*e.graded, *e.given)}
    forward = {name for e in exercises for name in e.forward_names} | tensors
    body = [statement.node for statement in source.statements]
    mutated = mutated_argument_positions(body)
    effects = [statement_effects(node, mutated) for node in body]
    names, places = _gradient_names(source, effects, tensors)
    carriers = _carriers(body, names, forward)
    training = [
        index
        for index, node in enumerate(body)
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and (training_loops(node, names, forward, carriers) or effects[index].calls & _trainers(body, names, forward))
    ]
    loops = {index: training_loops(node, names, forward, carriers) for index, node in enumerate(body)}
    analysis = Analysis(source, effects, names, {}, {}, training, {i: found for i, found in loops.items() if found})
    for index, node in enumerate(body):
        if index not in training:
            _collect(analysis, index, node, carriers)
    for tensor, (place, index) in places.items():
        if tensor not in analysis.attempts:
            analysis.attempts[tensor] = [Attempt(tensor, place, [index])]
    return analysis


def _collect(analysis: Analysis, index: int, node: ast.stmt, carriers: dict[str, dict[str, str]]) -> None:
    effects = analysis.effects[index]
    definition = isinstance(node, (ast.FunctionDef, ast.ClassDef))
    inside: dict[str, str] = {}
    if not definition:
        for called in effects.calls & carriers.keys():
            inside.update(carriers[called])
    for tensor, place in inside.items():
        analysis.attempts.setdefault(tensor, []).append(Attempt(tensor, place, [index], in_function=True))
    for name in sorted(effects.writes & analysis.gradient_names.keys()):
        tensor = analysis.gradient_names[name]
        versions = analysis.attempts.setdefault(tensor, [])
        if tensor in inside or name in _mutated_in_passing(node, effects, analysis.gradient_names):
            continue
        if _is_stub(node):
            analysis.stubs.setdefault(tensor, index)
        elif name in effects.rebinds or not versions or versions[-1].place != name:
            versions.append(Attempt(tensor, name, [index]))
        else:
            versions[-1].writers.append(index)
    if not definition and isinstance(node, (ast.Assign, ast.AugAssign)):
        _collect_fields(analysis, index, node)
    analysis.attempts = {tensor: found for tensor, found in analysis.attempts.items() if found}


def _mutated_in_passing(node: ast.stmt, effects: Effects, gradients: Collection[str]) -> set[str]:
    """Gradients that a line changes in place while it computes another: `dprobs = dlogprobs.div_(probs)`."""
    if not isinstance(node, ast.Assign) or not effects.rebinds & set(gradients):
        return set()
    stored = {root_name(leaf) for target in node.targets for leaf in ast.walk(target)}
    return effects.writes - effects.rebinds - {name for name in stored if name}


def _collect_fields(analysis: Analysis, index: int, node: ast.Assign | ast.AugAssign) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        tensor = analysis.gradient_names.get(field_name(target) or "")
        if tensor is None or _is_stub(node):
            continue
        place = ast.unparse(target)
        versions = analysis.attempts.setdefault(tensor, [])
        if isinstance(node, ast.Assign) or not versions or versions[-1].place != place:
            versions.append(Attempt(tensor, place, [index]))
        else:
            versions[-1].writers.append(index)


def _is_stub(node: ast.stmt) -> bool:
    value = getattr(node, "value", None)
    return isinstance(node, (ast.Assign, ast.AnnAssign)) and (
        value is None or (isinstance(value, ast.Constant) and value.value in (..., None))
    )


def normalised(name: str) -> str:
    """The tensor that a gradient's name speaks of: `dL_dlogits`, `grad_logits`, `d_logits` -> `logits`."""
    bare = re.sub(r"^(dl_?d|dloss_?d|grad_|g_|d_|d)|(_grad|_gradient)$", "", name.lower())
    return bare.replace("_", "")


def _gradient_names(
    source: Source, effects: list[Effects], tensors: set[str]
) -> tuple[dict[str, str], dict[str, tuple[str, int]]]:
    """Names that hold gradients, and for tensors that only a `cmp` call names the expression it compares."""
    written = {name for e in effects for name in e.writes | e.fields}
    for function in functions_in(statement.node for statement in source.statements):
        written |= {name for child in function.body for name in assigned_names(child)}
        written |= {
            name
            for leaf in ast.walk(function)
            if isinstance(leaf, (ast.Attribute, ast.Subscript)) and (name := field_name(leaf))
        }
    names = {"d" + tensor: tensor for tensor in tensors}
    places: dict[str, tuple[str, int]] = {}
    for index, statement in enumerate(source.statements):
        for value, tensor in _compared(statement.node, tensors):
            if isinstance(value, ast.Name):
                names.setdefault(value.id, tensor)
            elif field_name(value) != "grad":
                places[tensor] = (ast.unparse(value), index)
    held = {tensor for name, tensor in names.items() if name in written}
    loose = {tensor.replace("_", "").lower(): tensor for tensor in tensors - held}
    for name in written - names.keys() - tensors:
        if name[:1].lower() in "dg" or "grad" in name:
            tensor_name = loose.get(normalised(name))
            if tensor_name is not None:
                names[name] = tensor_name
    return names, places


def _compared(node: ast.AST, tensors: set[str]) -> list[tuple[ast.expr, str]]:
    found = []
    for leaf in ast.walk(node):
        if isinstance(leaf, ast.Call) and isinstance(leaf.func, ast.Name) and leaf.func.id == "cmp":
            arguments = [*leaf.args, *(keyword.value for keyword in leaf.keywords)]
            if len(arguments) >= 3 and (tensor := root_name(arguments[2])) in tensors:
                assert tensor is not None
                found.append((arguments[1], tensor))
    return found


def _carriers(body: list[ast.stmt], names: dict[str, str], forward: set[str]) -> dict[str, dict[str, str]]:
    """For each function or class (and instance of it): the gradients that its body assigns, and where."""
    carriers: dict[str, dict[str, str]] = {}
    for node in body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        held: dict[str, str] = {}
        for function in functions_in([node]):
            if not training_loops(function, names, forward, ()):
                held.update(gradient_places(function, names))
        if held:
            carriers[node.name] = held
    for _ in range(2):
        for node in body:
            used = carriers.keys() & {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)}
            if isinstance(node, ast.FunctionDef) and not training_loops(node, names, forward, carriers):
                targets = {node.name}
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                classes = {n.name for n in body if isinstance(n, ast.ClassDef)}
                used = used & classes & {root_name(node.value) or ""}
                targets = {t.id for t in node.targets if isinstance(t, ast.Name)}
            else:
                continue
            for name in used:
                for target in targets - {name}:
                    carriers.setdefault(target, {}).update(carriers[name])
    return carriers


def gradient_places(function: ast.AST, names: dict[str, str]) -> dict[str, str]:
    """Where a function's own body puts gradients: tensor -> expression."""
    places: dict[str, str] = {}
    for leaf in ast.walk(function):
        if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store) and leaf.id in names:
            places[names[leaf.id]] = leaf.id
        elif isinstance(leaf, (ast.Attribute, ast.Subscript)) and isinstance(leaf.ctx, ast.Store):
            tensor = names.get(field_name(leaf) or "")
            if tensor is not None:
                places[tensor] = ast.unparse(leaf)
    return places


def training_loops(
    node: ast.AST, names: dict[str, str], forward: set[str], carriers: Collection[str]
) -> list[ast.For | ast.While]:
    """The outermost loops below `node` that run forward and backward again: training, not an answer."""
    if isinstance(node, (ast.For, ast.While)):
        assigned = assigned_names(node)
        called = {root_name(leaf.func) for leaf in ast.walk(node) if isinstance(leaf, ast.Call)}
        gradients = {names[name] for name in assigned if name in names}
        if (len(gradients) > 1 or called & set(carriers)) and assigned & forward:
            return [node]
    return [loop for child in ast.iter_child_nodes(node) for loop in training_loops(child, names, forward, carriers)]


def _trainers(body: list[ast.stmt], names: dict[str, str], forward: set[str]) -> set[str]:
    return {
        node.name for node in body if isinstance(node, ast.FunctionDef) and training_loops(node, names, forward, ())
    }


def stage_number(statement: Statement) -> int | None:
    """The number in the nearest heading or comment above, such as "Exercise 2"."""
    above = "\n".join(statement.cell.text.split("\n")[: statement.line - statement.cell.line + 1])
    found = _STAGE.findall(f"{statement.context}\n{above}")
    return int(found[-1]) if found else None


def allocate(analysis: Analysis, exercises: Sequence[Exercise]) -> dict[Exercise, dict[str, Attempt]]:
    """Give each attempt to the exercise that it belongs to; the last one of each gradient counts.

    A notebook of the lecture solves several exercises in one namespace and defines `dlogits` and `dhprebn`
    again. A heading decides; without one, the way an attempt is written and whether others go on from it.
    """
    allocated: dict[Exercise, dict[str, Attempt]] = {exercise: {} for exercise in exercises}
    for tensor, versions in analysis.attempts.items():
        graders = [e for e in exercises if tensor in e.graded and not e.is_training]
        for position, attempt in enumerate(versions):
            owner = _owner(analysis, attempt, versions[position + 1 :], graders, exercises)
            if owner is not None:
                allocated[owner][tensor] = attempt
    return allocated


def _owner(
    analysis: Analysis,
    attempt: Attempt,
    later: Sequence[Attempt],
    graders: Sequence[Exercise],
    exercises: Sequence[Exercise],
) -> Exercise | None:
    if len(graders) <= 1:
        return graders[0] if graders else None
    number = stage_number(analysis.statements[attempt.writers[0]])
    if number is not None:
        named = [e for e in exercises if e.short_id == f"ex{number}"]
        if named:
            return named[0] if named[0] in graders else (None if named[0].is_training else graders[0])
    chain = max(graders, key=lambda e: len(e.graded))
    single = next(e for e in graders if e is not chain)
    until = later[0].writers[0] if later else len(analysis.statements)
    consumed = any(
        attempt.tensor in analysis.gradients_read(index)
        for index in range(attempt.writers[-1] + 1, until)
        if index not in analysis.training and analysis.effects[index].writes & analysis.gradient_names.keys()
    )
    if consumed:
        return chain
    upstream = set().union(*(analysis.gradients_read(i) for i in attempt.writers)) - {attempt.tensor}
    direct = upstream <= set(single.given) and not attempt.in_function
    earlier = analysis.attempts[attempt.tensor][0] is not attempt
    return single if direct or (earlier and _continued(analysis, attempt)) else chain


def _continued(analysis: Analysis, attempt: Attempt) -> bool:
    """True where others went on from an earlier version of this gradient before `attempt` began."""
    first = analysis.attempts[attempt.tensor][0].writers[-1]
    return any(
        attempt.tensor in analysis.gradients_read(index)
        and analysis.effects[index].writes & analysis.gradient_names.keys()
        for index in range(first + 1, attempt.writers[0])
        if index not in analysis.training
    )
