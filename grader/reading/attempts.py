"""Which statements of a submission attempt which gradient."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from grader.lesson.exercise import Exercise
from grader.reading.alignment import align
from grader.reading.gradient_names import Compared, Names, Spoilt, add_aliases, add_objects, find_names
from grader.syntax.effects import Changes, Effects, changes_of, statement_effects
from grader.syntax.loops import Loop, LoopNames
from grader.syntax.scopes import FUNCTIONS, assigned_names, called_name, changed_place, nodes_below, root_name
from grader.syntax.source import Function, Source, Statement

_CALLS_DEEP = 3
"""How many calls within calls are followed: enough for what people write."""


@dataclass
class Attempt:
    """One version of one gradient: the statements that write it, in file order.

    `place` is the expression that holds the value. `inside` says that the value is judged in a function that
    the statement calls, or in a block, right after its last write there.
    """

    tensor: str
    place: str
    writers: list[int] = field(default_factory=list)
    inside: bool = False


@dataclass
class Analysis:
    """A submission seen through the names of one track's exercises."""

    source: Source
    effects: list[Effects]
    names: Names
    compared: list[Compared]
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    hidden: dict[str, list[Attempt]] = field(default_factory=dict)
    begun: dict[str, int] = field(default_factory=dict)
    training: list[int] = field(default_factory=list)
    loops: dict[int, list[Loop]] = field(default_factory=dict)
    spoilt: list[Spoilt] = field(default_factory=list)

    def attempt_by_loop(self, exercise: Exercise) -> dict[str, Attempt]:
        """The last training loop is one attempt at all that `exercise` grades of a loop."""
        names = exercise.after_a_step if self.training else ()
        return {name: Attempt(name, exercise.answer_name(name), self.training[-1:]) for name in names}

    @property
    def statements(self) -> Sequence[Statement]:
        """The statements of the submission, in the order of the file."""
        return self.source.statements

    def gradients_read(self, index: int) -> set[str]:
        """The tensors whose gradients the statement at this index reads."""
        found = self.effects[index]
        return self.names.named_by(found.reads | found.fields, found.fields)

    def gradients_written(self, index: int) -> set[str]:
        """The tensors whose gradients the statement at this index writes, in whole or in part."""
        found = self.effects[index]
        return self.names.named_by(found.writes | found.fields, found.fields)


def analyse(source: Source, exercises: Iterable[Exercise]) -> Analysis:
    """Find every attempt at every gradient that one of `exercises` grades."""
    exercises = list(exercises)
    tensors = {name for e in exercises for name in (*e.assigned, *e.given)}
    if not tensors:  # beside lessons on gradients, a loop's own names (`bnmean`, `ix`) would be taken for theirs
        tensors |= {name for e in exercises for name in e.forward_names[:-1]}
    tensors |= {name for e in exercises if e.after_a_step for name in e.trained}
    forward = tensors | {e.atoms[-1].name for e in exercises if e.atoms}
    body = [statement.node for statement in source.statements]
    changes = changes_of(body)
    known = [statement.effects for statement in source.statements] if changes == Changes() else []
    effects = known or [statement_effects(node, changes) for node in body]
    alignment = align(source.statements, exercises)
    names, compared = find_names(source, effects, tensors, alignment)
    own_names = {mine: theirs for mine, theirs in alignment.names.items() if theirs in forward}
    forward |= own_names.keys()
    by_lesson = _forward_of(exercises, forward, own_names)
    add_objects(body, effects, names.by_name, changes.objects)
    spoilt = add_aliases(body, effects, names.by_name)
    analysis = Analysis(source, effects, names, compared, spoilt=spoilt)
    stepped = {name for e in exercises if e.after_a_step for name in e.forward_names}
    asked = {name for e in exercises for name in e.definitions}  # what is in them is graded by the lesson's cases
    inside = _find_training(analysis, asked, partial(_runs_both, names=names, forward=by_lesson, stepped=stepped))
    for exercise in exercises:
        find_loop_that_calls(analysis, exercise, asked, alone=False)
    for index, node in enumerate(body):
        if index not in analysis.training and not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            _collect(analysis, index, source.statements[index], inside, forward - changes.objects)
    _add_generic_names(analysis)
    for tensor, versions in analysis.hidden.items():
        analysis.attempts.setdefault(tensor, versions)
    for index, value, tensor in compared:
        if tensor not in analysis.attempts and not isinstance(value, (ast.Name, ast.Constant)):
            analysis.attempts[tensor] = [Attempt(tensor, ast.unparse(value), [index])]
    for name in asked:
        _add_definition(analysis, name)
    return analysis


def find_loop_that_calls(
    analysis: Analysis, exercise: Exercise, asked: Collection[str] = (), *, alone: bool = True
) -> None:
    """Where no loop was found that runs forward and backward, look for one that leaves both to what it calls.

    A loop that tries out the functions that are `asked` for is none. What a loop calls says less of what it is for than
    its own lines: only where a file is about this lesson `alone` is a loop training that updates nothing, or that names
    no gradient.
    """
    if not exercise.after_a_step or analysis.training or not analysis.source.functions:
        return
    forward = {*exercise.forward_names}
    forward |= {mine for mine, theirs in analysis.names.given.items() if theirs in forward}
    leaves = (leaf for statement in analysis.statements for leaf in statement.nodes)
    own = [Function(leaf) for leaf in leaves if isinstance(leaf, FUNCTIONS) and leaf.name not in asked]
    made_by = _made_by_calls(own)
    carriers = _gradients_inside(analysis.source, analysis.names, asked).keys()

    def runs(loop: LoopNames, carriers: Collection[str]) -> bool:
        return _runs_both(loop.with_calls(made_by), carriers, analysis.names, [(forward, forward)], forward)

    def updates(loop: LoopNames, _: Collection[str]) -> bool:
        reached = loop.with_calls(made_by)
        return bool(reached.assigned & forward and loop.called & made_by.keys()) and _updates(reached, own, exercise)

    def both(loop: LoopNames, carriers: Collection[str]) -> bool:
        return runs(loop, carriers) and updates(loop, carriers)

    for trains in (runs, updates) if alone else (both,):
        if not analysis.training:
            _find_training(analysis, asked, trains, carriers)


def _made_by_calls(functions: Sequence[Function]) -> dict[str, frozenset[str]]:
    """What each function or method assigns, with what those assign that it calls; methods of one name together."""
    made: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for function in functions:
        made[function.node.name] |= function.assigned | function.fields
    for _ in range(_CALLS_DEEP):
        for function in functions:
            called = (made[name] for name in function.called if name in made)
            made[function.node.name] = made[function.node.name].union(*called)
    return made


_Tells = Callable[[LoopNames, Collection[str]], bool]
"""Whether a loop trains, given the names of the functions that assign gradients."""


def _find_training(
    analysis: Analysis, asked: Collection[str], trains: _Tells, carriers: Collection[str] = ()
) -> dict[str, dict[str, str]]:
    """Note the training loops, and the statements that run one; `_gradients_inside` of the other functions."""
    found = {f.node.name for f in analysis.source.functions if _outermost(f.loops, trains, carriers)}
    inside = _gradients_inside(analysis.source, analysis.names, found.union(asked))
    for index, statement in enumerate(analysis.statements):
        loops = _outermost(statement.loops, trains, inside.keys())
        if loops:
            analysis.loops[index] = loops
        is_definition = isinstance(statement.node, (*FUNCTIONS, ast.ClassDef))
        if not is_definition and (loops or analysis.effects[index].calls & found):
            analysis.training.append(index)
    return inside


def _outermost(loops: Iterable[LoopNames], trains: _Tells, carriers: Collection[str]) -> list[Loop]:
    """The outermost of `loops` and of those inside them that train."""
    found: list[Loop] = []
    for loop in loops:
        found += [loop.node] if trains(loop, carriers) else _outermost(loop.inner, trains, carriers)
    return found


def _updates(loop: LoopNames, functions: Iterable[Function], exercise: Exercise) -> bool:
    """True where a loop, or what it calls, changes one of the parameters, or each of a list of them."""
    if loop.assigned & {*exercise.trained}:
        return True
    called = [function.node for function in functions if function.node.name in loop.called]
    within = [leaf for node in (*loop.node.body, *called) for leaf in nodes_below(node) if isinstance(leaf, ast.For)]
    return any(_changes_what_it_draws(each) for each in within)


def _changes_what_it_draws(loop: ast.For) -> bool:
    """True for `for p, dp in zip(parameters, gradients): p -= lr * dp`."""
    drawn = assigned_names(loop.target)
    changed = (changed_place(leaf) for statement in loop.body for leaf in nodes_below(statement))
    return any(place is not None and root_name(place) in drawn for place in changed)


def _add_definition(analysis: Analysis, name: str) -> None:
    """The attempt at a function or class: its last definition that is no stub, and what is changed of it after."""
    writers: list[int] = []
    for index, effects in enumerate(analysis.effects):
        node = analysis.statements[index].node
        if name in effects.rebinds and isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Assign)):
            writers = [] if _is_empty(node) else [index]
        elif writers and name in effects.writes and isinstance(node, ast.Assign):
            writers.append(index)  # Value.__radd__ = ...
    analysis.attempts.pop(name, None)
    if writers:
        analysis.attempts[name] = [Attempt(name, name, writers)]


def _is_empty(node: ast.AST) -> bool:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return all(map(_is_empty, node.body))
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _called_in(statement: Statement, tensors: Collection[str]) -> set[str]:
    """The functions that a statement calls; `loss.backward()` is PyTorch's, whatever a submission's own are called."""
    calls = [leaf for leaf in statement.nodes if isinstance(leaf, ast.Call)]
    own = (leaf for leaf in calls if not (isinstance(leaf.func, ast.Attribute) and root_name(leaf.func) in tensors))
    return {called_name(leaf) for leaf in own}


def _collect(
    analysis: Analysis,
    index: int,
    statement: Statement,
    inside: dict[str, dict[str, str]],
    tensors: Collection[str],
) -> None:
    effects, names, node = analysis.effects[index], analysis.names, statement.node
    written = names.written(statement.nodes)
    deleted = {leaf.id for leaf in statement.nodes if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Del)}
    for name in sorted(effects.writes & names.by_name.keys() - deleted):  # people free memory when all is done
        written.setdefault(names.by_name[name], name)
    if is_stub(node):
        analysis.begun.update(dict.fromkeys(written, index))
        return
    called: dict[str, str] = {}
    for function in _called_in(statement, tensors) & inside.keys() if effects.calls & inside.keys() else ():
        called.update(inside[function])
    fresh = _stored_afresh(node, effects, names)
    passing = {t for t, place in written.items() if isinstance(node, ast.Assign) and fresh and t not in fresh}
    passing -= {found[0] for target in _targets(node) if (found := names.find(target)) is not None}
    blocks = len(written) > 1 and is_open_block(node)
    for tensor, place in written.items():
        if tensor in passing and (tensor in analysis.attempts or place in effects.reads):
            continue
        versions = analysis.attempts.setdefault(tensor, [])
        if tensor in called and len(written) > 1:
            versions.append(Attempt(tensor, called[tensor], [index], inside=True))
        elif tensor in fresh or not versions or versions[-1].place != place:
            begins = [analysis.begun[tensor]] if tensor in analysis.begun and place in effects.reads else []
            versions.append(Attempt(tensor, place, [*begins, index], inside=blocks))
        else:
            versions[-1].writers.append(index)
            versions[-1].inside = False
    for tensor in called.keys() - written.keys():
        analysis.hidden.setdefault(tensor, []).append(Attempt(tensor, called[tensor], [index], inside=True))


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, (ast.AugAssign, ast.AnnAssign)) else []


def _stored_afresh(node: ast.stmt, effects: Effects, names: Names) -> set[str]:
    """The gradients that a statement gives a new value, whatever they held before."""
    fresh = {names.by_name[name] for name in effects.rebinds if name in names.by_name}
    if isinstance(node, ast.Assign):
        for target in node.targets:
            place = None if isinstance(target, ast.Name) else names.find(target)
            if place is not None and place[1] == ast.unparse(target) and place[1] not in ast.unparse(node.value):
                fresh.add(place[0])
    return fresh


def is_stub(node: ast.stmt) -> bool:
    """True for `dlogits = ...`, `dlogits = None`, and a function or class in which nothing is done as yet."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return node.value is None or (isinstance(node.value, ast.Constant) and node.value.value in (..., None))
    return _is_empty(node)


def is_open_block(node: ast.AST) -> bool:
    """True for a block whose statements run once, so that each may be judged where it stands."""
    if isinstance(node, ast.For):
        return ast.unparse(node.iter) == "range(1)"
    return isinstance(node, (ast.If, ast.With, ast.Try))


def _add_generic_names(analysis: Analysis) -> None:
    """Attempts under names like `out` that a `cmp` call alone says the meaning of: those right above the call."""
    for index, value, tensor in analysis.compared:
        if not isinstance(value, ast.Name) or value.id in analysis.names.by_name:
            continue
        writers: list[int] = []
        for position in range(index - 1, -1, -1):
            found = analysis.effects[position]
            if value.id in found.writes:
                writers.insert(0, position)
                if value.id in found.rebinds:
                    break
        if writers and not is_stub(analysis.statements[writers[0]].node):
            versions = analysis.attempts.setdefault(tensor, [])
            versions.append(Attempt(tensor, value.id, writers))
            versions.sort(key=lambda attempt: attempt.writers[0])


def _gradients_inside(source: Source, names: Names, trainers: Collection[str]) -> dict[str, dict[str, str]]:
    """For each function, method or class: the gradients that calling it assigns (tensor -> expression)."""
    places = {f.node.name: _made_inside(f, names) for f in source.functions if f.node.name not in trainers}
    for _ in range(_CALLS_DEEP if any(places.values()) else 0):
        for function in source.functions:
            held = places.get(function.node.name, {})
            for called in function.called:
                held |= {t: place for t, place in places.get(called, {}).items() if t not in held}
    for statement in source.statements:
        if isinstance(statement.node, ast.ClassDef):
            own = (function.node.name for function in statement.functions)
            start = [name for name in own if name in ("__init__", "__post_init__", "__call__")]
            places[statement.node.name] = {t: place for name in start for t, place in places.get(name, {}).items()}
    return {name: held for name, held in places.items() if held}


def _made_inside(function: Function, names: Names) -> dict[str, str]:
    """The gradients that a function makes, and not those of others that it changes: `def put(i): dC[i] = 1`."""
    stored = (leaf for leaf in function.nodes if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store))
    added = {id(leaf.target) for leaf in function.nodes if isinstance(leaf, ast.AugAssign)}
    made = {leaf.id for leaf in stored if id(leaf) not in added}
    written = names.written(function.nodes)
    return {tensor: place for tensor, place in written.items() if place in made or not place.isidentifier()}


_Forward = Sequence[tuple[Collection[str], set[str]]]
"""For each lesson the tensors that it knows, and the names that its forward pass makes."""


def _forward_of(
    exercises: Iterable[Exercise], forward: Collection[str], own_names: Mapping[str, str]
) -> list[tuple[Collection[str], set[str]]]:
    """The names of `forward` by lesson, those that a submission has of its own included."""
    found: list[tuple[Collection[str], set[str]]] = []
    for exercise in exercises:
        known = {*exercise.forward_names, *exercise.assigned, *exercise.given, *exercise.trained}
        found.append((known, {name for name in forward if own_names.get(name, name) in known}))
    return found


def _runs_both(loop: LoopNames, carriers: Collection[str], names: Names, forward: _Forward, stepped: set[str]) -> bool:
    """True for a loop that runs forward and backward again: training, not an answer. What it draws, and what is a
    tensor only in a lesson that does not know its gradients, is no forward pass.

    One gradient will do where the loop makes several of the tensors `stepped`, the forward pass of a lesson's loop.
    """
    gradients = {names.by_name[name] for name in loop.assigned if name in names.by_name}
    enough = len(gradients) > 1 or loop.called & set(carriers) or (gradients and len(loop.assigned & stepped) > 2)
    if not enough:
        return False
    made = [made for known, made in forward if gradients <= {*known}] or [made for _, made in forward]
    return any((loop.assigned - loop.drawn) & each for each in made)
