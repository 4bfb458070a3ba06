"""The statements of a submission that make up its loop."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from grader.lesson.exercise import Exercise, marked_id
from grader.reading.attempts import Analysis, Attempt
from grader.reading.gradient_names import Names
from grader.reading.plan import PROVIDED_MODULES, Plan, Step
from grader.reading.slices import Slicer
from grader.syntax.loops import Loop
from grader.syntax.scopes import assigned_names, called_name, names_below, nodes_below
from grader.syntax.source import Statement

STEPS = "max_steps"
_FEWEST_IN_FULL, _MOST_IN_FULL = 24, 240


@dataclass
class LoopPlan:
    """The statements to run, the last of which holds or calls the loop.

    A loop that `is_own` stands in a notebook of the learner's own, not in the lesson's file: how many steps it makes,
    at which rates and on which batches is for that notebook to say. `unmade` are the lesson's parameters that it has
    under no name.
    """

    exercise: Exercise
    indexes: list[int]
    loops: dict[int, list[Loop]]
    names: Names
    all_statements: Sequence[Statement]
    is_own: bool = False
    unmade: tuple[str, ...] = ()

    @cached_property
    def statements(self) -> list[Statement]:
        """The statements to run, in order."""
        return [self.all_statements[index] for index in self.indexes]

    @cached_property
    def all_loops(self) -> KeysView[Loop]:
        """The loops of steps, in the order of the text."""
        return dict.fromkeys(loop for loops in self.loops.values() for loop in loops).keys()

    @property
    def statement(self) -> Statement:
        """The loop itself, which is the last statement that runs."""
        return self.statements[-1]

    def plan(self) -> Plan:
        """The statements as steps of a run; the last one runs the loop."""
        steps = []
        for index, statement in zip(self.indexes, self.statements, strict=True):
            lines = tuple(statement.cell.line + loop.lineno - 1 for loop in self.loops.get(index, []))
            writes = tuple(self.exercise.after_a_step.values()) if index == self.indexes[-1] else ()
            steps.append(Step(index, statement, writes, {}, frozenset(), lines, runs_loop=bool(writes)))
        attempts = {name: Attempt(name, name, [self.indexes[-1]]) for name in self.exercise.after_a_step.values()}
        slices = {name: set(self.indexes) for name in attempts}
        return Plan(self.exercise, steps, attempts, names=self.names, slices=slices, statements=self.all_statements)

    def whole_numbers(self) -> set[int]:
        """The numbers in the statements that may be those of steps, `max_steps // 2` among them: there a loop may do
        something else. One that multiplies a size, as in `4 * E`, is none."""
        return self._steps_among(self._leaves)

    def moments(self) -> set[int]:
        """Those that a step is not only to be below or above: at such a step a loop may do something that the later
        ones build on."""
        ordered = [leaf for leaf in self._leaves if isinstance(leaf, ast.Compare) and _is_order(leaf)]
        below = {id(leaf) for each in ordered for leaf in ast.walk(each)}
        return self._steps_among(leaf for leaf in self._leaves if id(leaf) not in below)

    def _steps_among(self, leaves: Iterable[ast.AST]) -> set[int]:
        sizes = self.exercise.setup_names | self.exercise.parameter_values.keys()
        products = [leaf for leaf in self._leaves if isinstance(leaf, ast.BinOp) and isinstance(leaf.op, ast.Mult)]
        of_sizes = {id(leaf.left) for leaf in products if isinstance(leaf.right, ast.Name) and leaf.right.id in sizes}
        written = (leaf for leaf in leaves if isinstance(leaf, (ast.Constant, ast.BinOp)) and id(leaf) not in of_sizes)
        counts = self._counts
        values = (_value(leaf, counts) for leaf in written)
        return {round(value) for value in values if value is not None and math.isfinite(value)}

    def steps_in_full(self) -> int | None:
        """How many steps show all that a loop does, where each is run; None where that cannot be told, or is too many.

        Whatever its text says of larger numbers than that does not show.
        """
        reported = {id(leaf) for each in self._leaves if isinstance(each, ast.If) for leaf in _reporting(each)}
        values = [_value(leaf, {}) for leaf in self._leaves if id(leaf) not in reported]
        largest = max((abs(value) for value in values if value is not None), default=0.0)
        if STEPS not in self.exercise.parameter_values or self.is_own or largest > _MOST_IN_FULL:
            return None
        return max(_FEWEST_IN_FULL, 2 * math.ceil(largest / 2) + 2)

    @cached_property
    def _leaves(self) -> list[ast.AST]:
        return [leaf for statement in self.statements for leaf in statement.nodes]

    @property
    def _counts(self) -> dict[str, float]:
        values = self.exercise.parameter_values
        return {name: value for name, value in values.items() if name.endswith("_steps") and isinstance(value, int)}

    def numbers(self) -> set[float]:
        """The numbers in the statements: one of them may be the loop's rate."""
        leaves = (leaf for statement in self.statements for leaf in statement.nodes)
        return {leaf.value for leaf in leaves if isinstance(leaf, ast.Constant) and type(leaf.value) is float}

    def gradients_apart(self) -> frozenset[str]:
        """The tensors whose gradients the loop assigns each in a statement of its own, before another reads it."""
        found: set[str] = set()
        for loop in self.all_loops:
            read_later: set[str] = set()
            for statement in reversed(list(_unfolded(loop.body))):
                leaves = list(nodes_below(statement))
                written = self.names.written(leaves)
                if len(written) == 1 and read_later.issuperset(written.values()):
                    found |= written.keys()
                read_later |= names_below(statement)
                read_later |= {ast.unparse(leaf) for leaf in leaves if isinstance(leaf, (ast.Attribute, ast.Subscript))}
        return frozenset(found)

    def goes_another_way(self, name: str, feeds: Collection[str]) -> bool:
        """True where the loop makes the gradient of `name` from others than those of the tensors that it feeds."""
        for loop in self.all_loops:
            for statement in _unfolded(loop.body):
                if name in self.names.written(nodes_below(statement)):
                    made_from = self.names.named_by(names_below(statement) - {f"d{name}"}, set())
                    if made_from and not made_from & set(feeds):
                        return True
        return False

    @property
    def loop_statement(self) -> Statement:
        """The statement in whose text the loop stands: a function, where the last statement calls it."""
        return self.all_statements[self._loop_index]

    @property
    def loops_there(self) -> list[Loop]:
        """The loops of steps in `loop_statement`."""
        return self.loops.get(self._loop_index, [])

    @property
    def _loop_index(self) -> int:
        return next((index for index in reversed(self.indexes) if index in self.loops), self.indexes[-1])

    def loop_line(self) -> int:
        """The line on which the loop begins."""
        statement, loops = self.loop_statement, self.loops_there
        return statement.cell.line + loops[0].lineno - 1 if loops else statement.line


def _is_order(compare: ast.Compare) -> bool:
    return all(isinstance(operator, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for operator in compare.ops)


def _reporting(node: ast.If) -> Iterator[ast.AST]:
    """What stands in the test of an `if` that only prints."""
    calls = [each.value for each in node.body if isinstance(each, ast.Expr) and isinstance(each.value, ast.Call)]
    if not node.orelse and len(calls) == len(node.body) and all(called_name(call) == "print" for call in calls):
        yield from ast.walk(node)


_OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: math.pow,
}


def _value(node: ast.AST, known: Mapping[str, float]) -> float | None:
    """What a number comes to that is written out, such as `max_steps // 2` with `max_steps` known; None for others."""
    if isinstance(node, ast.Constant):
        return float(node.value) if type(node.value) is int or type(node.value) is float else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if not isinstance(node, ast.BinOp) or type(node.op) not in _OPERATIONS:
        return None
    left, right = _value(node.left, known), _value(node.right, known)
    if left is None or right is None:
        return None
    try:
        return _OPERATIONS[type(node.op)](left, right)
    except (ArithmeticError, ValueError):
        return None


def _unfolded(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.With):
            yield from _unfolded(statement.body)
        else:
            yield statement


def _is_untouched(loops: Sequence[Loop], names: Names) -> bool:
    """True for a loop in which every gradient is still None or `...`: a starter that nobody has filled in."""
    assigned = [leaf for loop in loops for leaf in nodes_below(loop) if isinstance(leaf, ast.Assign)]
    if any(names.written(nodes_below(leaf)) for leaf in assigned if not _is_open(leaf.value)):
        return False
    return any(names.written(nodes_below(leaf)) for leaf in assigned)


def _is_open(value: ast.expr) -> bool:
    if isinstance(value, (ast.Tuple, ast.List)):
        return all(map(_is_open, value.elts))
    return isinstance(value, ast.Constant) and value.value in (None, ...)


def plan_loop(analysis: Analysis, exercise: Exercise) -> LoopPlan | None:
    """The last loop of steps of the submission with what it needs; None where there is none."""
    loops = dict(analysis.loops)
    training = list(analysis.training)
    if not training:
        for index, statement in enumerate(analysis.statements):
            found: list[Loop] = [
                node
                for node in nodes_below(statement.node)
                if isinstance(node, ast.For) and len(assigned_names(node) & set(exercise.forward_names)) > 2
            ]
            if found:
                training, loops[index] = [index], found[:1]
    if not training or _is_untouched(loops.get(training[-1], []), analysis.names):
        return None
    protected = PROVIDED_MODULES | exercise.setup_names | exercise.parameter_values.keys()
    lessons = exercise.setup_names | exercise.parameter_values.keys()
    protected |= {own for own, name in analysis.names.given.items() if name in lessons}
    made = set().union(*(e.writes | e.fields for e in analysis.effects)) | _keys(analysis.statements)
    made |= {theirs for own, theirs in analysis.names.given.items() if own in made}
    makes_its_own = marked_id(analysis.source.cells) is None and bool(made & set(exercise.trained))
    listed = [] if makes_its_own else _another_list(analysis, exercise, training[-1])
    kept = sorted(Slicer(analysis, protected).slice([training[-1], *listed]))
    kept = [index for index in kept if index <= training[-1] or index in analysis.loops]
    kept.sort(key=lambda index: (index == training[-1], index))
    plan = LoopPlan(exercise, kept, loops, analysis.names, analysis.statements)
    rates = {name for name, value in exercise.parameter_values.items() if isinstance(value, (float, list))}
    asked = any(analysis.effects[index].reads & rates for index in kept)
    if makes_its_own and not asked:
        plan.is_own, plan.unmade = True, tuple(name for name in exercise.trained if name not in made)
    return plan


def _another_list(analysis: Analysis, exercise: Exercise, before: int) -> list[int]:
    """The statement before the loop that makes another list `parameters` than the lesson's: in another order, or of
    copies, which the loop then moves in place of the parameters. One at most."""
    for index in range(before - 1, -1, -1):
        node = analysis.statements[index].node
        if isinstance(node, ast.Assign) and "parameters" in assigned_names(node):
            value = node.value
            names = [ast.unparse(each) for each in value.elts] if isinstance(value, (ast.List, ast.Tuple)) else []
            return [] if names == list(exercise.trained) else [index]
    return []


def _keys(statements: Sequence[Statement]) -> set[str]:
    """The keys of the dictionaries that are written out."""
    dicts = (leaf for statement in statements for leaf in statement.nodes if isinstance(leaf, ast.Dict))
    return {str(key.value) for each in dicts for key in each.keys if isinstance(key, ast.Constant)}
