"""What a learner calls the tensors of the lesson: the two forward passes, read side by side.

People who bring a notebook of their own write `yb` for `Yb`, `X_batch` for `Xb`, `gamma` for `bngain`. No list of
spellings knows them all. But their forward lines do what the lesson's do, so a line of theirs laid on the lesson's
line shows which name stands where.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from grader.lesson.exercise import Exercise
from grader.reading.gradient_names import gradient_of, loosely
from grader.syntax.scopes import names_below, nodes_below
from grader.syntax.source import Statement

_PASSED_THROUGH = frozenset({"to", "cuda", "cpu", "float", "clone", "detach", "contiguous", "requires_grad_"})
_MAKERS = frozenset({"randn", "rand", "zeros", "ones", "empty", "full", "normal"})
_COUNTING = (ast.For, ast.comprehension)
_DRAWS = frozenset({"randint"})
_MODULES = frozenset({"torch", "F", "np", "nn", "numpy", "math"})
_ByName = Mapping[str, Sequence[ast.expr]]
_ByKind = Mapping[tuple[type, object], Sequence[tuple[str, ast.expr]]]


@dataclass(frozen=True)
class Alignment:
    """`names` are the learner's names for tensors of the lesson. Of these, `single` are assigned nothing else; and
    those `given`, which no loop counts in and no function has for itself, may be given the lesson's values."""

    names: Mapping[str, str] = field(default_factory=dict)
    single: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Fit:
    """How well two expressions agree, and which names stand in each other's place; `unsure` where it may be another."""

    same: int = 0
    other: int = 0
    pairs: tuple[tuple[str, str], ...] = ()
    unsure: tuple[tuple[str, str], ...] = ()

    def __add__(self, more: _Fit) -> _Fit:
        pairs, unsure = self.pairs + more.pairs, self.unsure + more.unsure
        return _Fit(self.same + more.same, self.other + more.other, pairs, unsure)

    @property
    def worth(self) -> int:
        return self.same - 2 * self.other


def align(statements: Sequence[Statement], exercises: Iterable[Exercise]) -> Alignment:
    """The learner's names for what the lessons of a track name otherwise."""
    body = [statement.node for statement in statements]
    exercises = tuple(exercises)
    lesson, by_kind, known, taken = _of_track(exercises)
    bound = set[str]().union(*(statement.assigned for statement in statements))
    local = {name for statement in statements for function in statement.functions for name in function.assigned}
    wanted, loose = known - bound, loosely(known)
    # A gradient's line may be a line of the lesson by mistake, and its name is nobody's for a tensor.
    strange = {name for name in (bound | local) - taken if gradient_of(name, loose) is None}
    if not wanted or not strange or any(_binds_all(e, bound) for e in exercises):
        return Alignment()
    lines = _lines(node for statement in statements for node in statement.nodes if isinstance(node, ast.Assign))
    own = [(target, value) for target, value in lines if strange & (names_below(value) | {target})]
    found: dict[str, str] = {}
    for _ in wanted:  # each round finds one at least
        before = dict(found)
        sure, unsure = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for target, value in own:
            best, more = _votes(target, value, lesson, by_kind, found)
            sure.update((*best.pairs, *more))
            unsure.update((*best.unsure, *more))
        for votes, names in ((sure, bound), (sure, local), (unsure, bound | local)):
            for (mine, theirs), _count in votes.most_common():
                if mine in strange & names and theirs in wanted and mine not in found and theirs not in found.values():
                    found[mine] = theirs
            if found != before:
                break
        if found == before:
            break
    single = {mine: theirs for mine, theirs in found.items() if _has_one_meaning(mine, theirs, body, lesson, found)}
    counts = (leaf for statement in statements for leaf in statement.nodes if isinstance(leaf, _COUNTING))
    counted = {name for leaf in counts for name in _stored(leaf.target)}
    given = {mine: theirs for mine, theirs in single.items() if mine in bound - local - counted}
    return Alignment(found, single, given)


def _binds_all(exercise: Exercise, bound: Collection[str]) -> bool:
    """True for a file with a whole lesson's network, data and forward pass under the lesson's names."""
    return bool(exercise.atoms) and {*exercise.forward_names, *exercise.network_names} <= set(bound)


@lru_cache(maxsize=16)
def _of_track(
    exercises: tuple[Exercise, ...],
) -> tuple[_ByName, _ByKind, frozenset[str], frozenset[str]]:
    """The lines of the lessons by name and by kind, the names of their tensors, and all names that have a meaning in
    them."""
    lines = tuple(_lines(node for e in exercises for node in _nodes_of(e)))
    known = {name for e in exercises for name in (*e.forward_names, *e.network_names)}
    in_lines = {name for target, value in lines for name in names_below(value) | {target}}
    known |= in_lines & {name for e in exercises for name in e.setup_names}
    taken = known.union(*(e.parameter_values.keys() for e in exercises), _MODULES)
    by_name, by_kind = defaultdict(list), defaultdict(list)
    for name, value in lines:
        by_name[name].append(value)
        by_kind[_kind(value)].append((name, value))
    return dict(by_name), dict(by_kind), frozenset(known), frozenset(taken)


def _nodes_of(exercise: Exercise) -> Iterator[ast.AST]:
    yield from ast.parse("\n".join(atom.text for atom in exercise.atoms)).body
    for cell in exercise.code_cells("setup"):
        yield from (node for node in ast.parse(cell.text).body if isinstance(node, ast.Assign))


def _lines(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    """Name and expression of each assignment; `a, b = x, y` is two, and so is `{"a": x, "b": y}`."""
    for node in nodes:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        target, value = node.targets[0], node.value
        if isinstance(value, ast.Dict):
            entries = zip(value.keys, value.values, strict=True)
            yield from ((str(key.value), part) for key, part in entries if isinstance(key, ast.Constant))
        if isinstance(target, ast.Name):
            yield target.id, value
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            pairs = zip(target.elts, value.elts, strict=True)
            yield from ((name.id, part) for name, part in pairs if isinstance(name, ast.Name))


def _votes(
    target: str, value: ast.expr, lesson: _ByName, by_kind: _ByKind, found: Mapping[str, str]
) -> tuple[_Fit, list[tuple[str, str]]]:
    """What one of the learner's lines says: its best fit among the lines of the same name, and more that is sure, or
    a perfect fit."""
    meant, more = found.get(target, target), list[tuple[str, str]]()
    fits = [_fit(value, theirs, found) for theirs in lesson.get(meant, ())]
    if fits:
        best = max(fits, key=lambda fit: fit.worth)
        return best if best.worth > 0 or not best.other else _Fit(), [*_sizes(value, lesson[meant], found)]
    if isinstance(value, (ast.Name, ast.Constant)):
        return _Fit(), more
    likely: dict[str, tuple[tuple[str, str], ...]] = {}
    for name, theirs in by_kind.get(_kind(value), ()):
        fit = _fit(value, theirs, found)
        if fit.same and not fit.other:
            if not fit.pairs and not fit.unsure:
                more.append((target, name))
            elif name not in found.values():
                likely[name] = fit.pairs
    draws = isinstance(value, ast.Call) and _call(value)[0] in _DRAWS
    rows = isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name)  # a number from a shape is none
    if len(likely) == 1 and (draws or rows):
        ((name, pairs),) = likely.items()
        more += [(target, name), *pairs]
    return _Fit(), more


def _sizes(mine: ast.expr, theirs: Iterable[ast.expr], found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The names of sizes in what makes the same tensor: `HID` of `torch.randn(V, HID)` for `n_hidden`."""
    own = _shape(mine)
    for shape in map(_shape, theirs):
        if own and len(own) == len(shape):
            fits = (_fit(one, other, found) for one, other in zip(own, shape, strict=True))
            yield from (pair for fit in fits if not fit.other for pair in fit.pairs)


def _shape(value: ast.expr) -> list[ast.expr]:
    """What the first call that makes a tensor is told of its shape; a lesson's own function is one, too."""
    for leaf in ast.walk(value):
        if isinstance(leaf, ast.Call) and (isinstance(leaf.func, ast.Name) or _call(leaf)[0] in _MAKERS):
            told = _call(leaf)[1]
            return list(told[0].elts) if told and isinstance(told[0], (ast.Tuple, ast.List)) else told
    return []


def _fit(mine: ast.expr, theirs: ast.expr, found: Mapping[str, str]) -> _Fit:
    mine, theirs = _bare(mine), _bare(theirs)
    if isinstance(mine, ast.Name) and isinstance(theirs, ast.Name):
        same = found.get(mine.id, mine.id) == theirs.id
        return _Fit(1) if same else _Fit(pairs=((mine.id, theirs.id),))
    if isinstance(mine, ast.BinOp) and isinstance(theirs, ast.BinOp):
        if type(mine.op) is not type(theirs.op):
            return _Fit(other=1)
        straight = _fit(mine.left, theirs.left, found) + _fit(mine.right, theirs.right, found)
        if not isinstance(mine.op, (ast.Add, ast.Mult)):
            return straight
        crossed = _fit(mine.left, theirs.right, found) + _fit(mine.right, theirs.left, found)
        if straight.worth == crossed.worth and straight.pairs and {*straight.pairs} != {*crossed.pairs}:
            return _Fit(straight.same, straight.other, unsure=straight.pairs)
        return max(straight, crossed, key=lambda fit: fit.worth)
    if isinstance(mine, ast.UnaryOp) and isinstance(theirs, ast.UnaryOp) and type(mine.op) is type(theirs.op):
        return _fit(mine.operand, theirs.operand, found)
    if isinstance(mine, ast.Call) and isinstance(theirs, ast.Call):
        (ours, given), (called, asked) = _call(mine), _call(theirs)
        if ours != called:
            return _Fit(other=1)
        missing = _Fit(1, other=max(0, len(asked) - len(given)))
        return sum((_fit(a, b, found) for a, b in zip(given, asked, strict=False)), missing)
    if isinstance(mine, ast.Subscript) and isinstance(theirs, ast.Subscript):
        return _fit(mine.value, theirs.value, found) + _fit(mine.slice, theirs.slice, found)
    if isinstance(mine, ast.Attribute) and isinstance(theirs, ast.Attribute) and mine.attr == theirs.attr:
        return _fit(mine.value, theirs.value, found)
    if isinstance(mine, ast.Tuple) and isinstance(theirs, ast.Tuple) and len(mine.elts) == len(theirs.elts):
        return sum((_fit(a, b, found) for a, b in zip(mine.elts, theirs.elts, strict=True)), _Fit())
    if isinstance(mine, ast.Constant) and isinstance(theirs, ast.Constant):
        return _Fit(int(mine.value == theirs.value))
    return _Fit(other=1)


def _kind(node: ast.expr) -> tuple[type, object]:
    """What an expression is on the outside: two that differ in it cannot fit."""
    node = _bare(node)
    if isinstance(node, ast.Call):
        return ast.Call, _call(node)[0]
    return type(node), type(getattr(node, "op", None))


def _bare(node: ast.expr) -> ast.expr:
    """An expression without what changes no number: `x` for `x.to(device)`, and `x.shape[0]` for `len(x)`."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _PASSED_THROUGH:
        node = node.func.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and len(node.args) == 1:
        return ast.Subscript(ast.Attribute(node.args[0], "shape", ast.Load()), ast.Constant(0), ast.Load())
    return node


def _call(node: ast.Call) -> tuple[str, list[ast.expr]]:
    """What is called, and on what: `torch.tanh(x)` and `x.tanh()` are the same."""
    if isinstance(node.func, ast.Attribute):
        root = node.func.value
        inner = root.attr if isinstance(root, ast.Attribute) else root.id if isinstance(root, ast.Name) else ""
        own = [] if inner in _MODULES | {"functional"} else [root]
        return node.func.attr, [*own, *node.args]
    return (node.func.id if isinstance(node.func, ast.Name) else ""), list(node.args)


def _has_one_meaning(
    mine: str,
    theirs: str,
    body: Sequence[ast.stmt],
    lesson: _ByName,
    found: Mapping[str, str],
) -> bool:
    """True where every assignment of the name is the one that the lesson has, or it is assigned once."""
    places = [node for statement in body for node in nodes_below(statement) if _stores(node, mine)]
    if len(places) <= 1:
        return True
    lines = [value for node in places if isinstance(node, ast.Assign) for name, value in _lines([node]) if name == mine]
    fits = [
        max(
            (_fit(value, other, found) for other in lesson.get(theirs, ())),
            key=lambda f: f.worth,
            default=_Fit(other=1),
        )
        for value in lines
    ]
    return len(lines) == len(places) and all(not fit.other for fit in fits)


def _stores(node: ast.AST, name: str) -> bool:
    """True for a statement that binds the name itself; what counts in a loop has a meaning there alone."""
    if isinstance(node, ast.Assign):
        return any(name in _stored(target) for target in node.targets)
    if isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)):
        return name in _stored(node.target)
    return isinstance(node, ast.withitem) and node.optional_vars is not None and name in _stored(node.optional_vars)


def _stored(target: ast.AST) -> set[str]:
    return {leaf.id for leaf in nodes_below(target) if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store)}
