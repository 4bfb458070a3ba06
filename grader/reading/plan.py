"""In which order a submission's statements run, and after which of them each gradient is judged."""

from __future__ import annotations

import ast
import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import combinations, pairwise

from grader.lesson.exercise import DTYPE, Exercise
from grader.reading.attempts import Analysis, Attempt
from grader.reading.gradient_names import Names, Spoilt
from grader.reading.slices import Slicer
from grader.syntax.scopes import FUNCTIONS, assigned_names, called_name, rebound_names
from grader.syntax.source import Statement

PROVIDED_MODULES = frozenset({"torch", "F", "nn", "np", "numpy", "math", "random", "plt", "tqdm", "trange", "cmp"})
"""What every submission finds defined, whether it imports it or not."""


MAX_ANSWER_TEXT = 8000
"""Characters of an answer that a report repeats: a literal of megabytes stays out of it."""

_PLAIN_STATEMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.For, ast.While, ast.With, ast.If)


@dataclass(frozen=True)
class Step:
    """One statement to run, and the gradients (tensor -> expression) to hand over after it.

    The loops that begin on the lines `loops` run step by step; `runs_loop` where this statement runs them.
    `spoils` are the gradients that it changes by another name: of those that were judged the true ones come back.
    """

    index: int
    statement: Statement
    writes: tuple[str, ...]
    hand_over: Mapping[str, str]
    hooks: frozenset[str]
    loops: tuple[int, ...] = ()
    runs_loop: bool = False
    spoils: tuple[str, ...] = ()


@dataclass
class Plan:
    """Everything that grading one exercise of one submission needs to know of its text."""

    exercise: Exercise
    steps: list[Step] = field(default_factory=list)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    slices: dict[str, set[int]] = field(default_factory=dict)
    reads: dict[str, frozenset[str]] = field(default_factory=dict)
    unsized_one_hot: dict[str, tuple[Statement, int]] = field(default_factory=dict)
    forward_lines: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    statements: Sequence[Statement] = ()
    definitions: dict[str, list[Step]] = field(default_factory=dict)
    spoilt: list[Spoilt] = field(default_factory=list)

    def lines_of(self, tensor: str) -> list[int]:
        """The statements that make up an answer: those that write it and what they need, less definitions and what else
        is put into the same dict or object."""
        others = {i for attempt in self.attempts.values() if not attempt.place.isidentifier() for i in attempt.writers}
        kept = self.slices[tensor] - (others - {*self.attempts[tensor].writers})
        return [s.index for s in self.steps if s.index in kept and isinstance(s.statement.node, _PLAIN_STATEMENTS)]

    def answer(self, tensor: str) -> list[str]:
        """The statements of an answer as the learner wrote them, definitions included."""
        return short_texts(self.statements[index] for index in sorted(self.slices.get(tensor, ())))

    def own_names(self, tensor: str) -> set[str]:
        """The names that an answer gives to its own intermediate results."""
        lines = [self.statements[index].node for index in self.lines_of(tensor)]
        loops = {name for node in lines if isinstance(node, ast.For) for name in assigned_names(node)}
        return loops.union(*map(rebound_names, lines)) - self.aliases.keys()

    @property
    def places_inside(self) -> dict[str, str]:
        """The expressions that hold those gradients that are judged in a function or a block."""
        return {tensor: attempt.place for tensor, attempt in self.attempts.items() if attempt.inside}

    @property
    def missing(self) -> tuple[str, ...]:
        """The graded gradients that the submission does not attempt."""
        return tuple(name for name in self.exercise.graded_gradients if name not in self.attempts)


def short_texts(statements: Iterable[Statement]) -> list[str]:
    """The statements' texts, as many as `MAX_ANSWER_TEXT` admits; one that is too long is left out."""
    texts, left = [], MAX_ANSWER_TEXT
    for statement in statements:
        if len(statement.text) <= left:
            texts.append(statement.text)
            left -= len(statement.text)
    return texts


def make_plan(
    analysis: Analysis, exercise: Exercise, attempts: Mapping[str, Attempt], unkept: Collection[str] = ()
) -> Plan:
    """Slice the submission to what feeds the graded gradients, and order it so that each is judged on truth.
    `unkept` are names of the lesson to which the submission gives values of its own.

    A statement that reads a gradient runs after that gradient was judged, except where the submission reads
    it between two of its writes: there it sees the unfinished value, as it would in a plain run.
    """
    assigned = {name: attempt for name, attempt in attempts.items() if name in exercise.assigned}
    return _Planner(analysis, exercise, assigned, unkept).plan()


def needed_by(
    analysis: Analysis, exercise: Exercise, attempts: Mapping[str, Attempt], also: Iterable[int]
) -> list[int]:
    """All statements that attempts and `also` these statements need, in the order of the file."""
    writers = (index for attempt in attempts.values() for index in attempt.writers)
    return sorted(_Planner(analysis, exercise, dict(attempts)).slicer.slice([*writers, *also]))


class _Planner:
    def __init__(
        self, analysis: Analysis, exercise: Exercise, attempts: dict[str, Attempt], unkept: Collection[str] = ()
    ) -> None:
        self.analysis = analysis
        self.exercise = exercise
        self.attempts = attempts
        self.graded = set(exercise.graded_gradients)
        given = {"d" + name for name in exercise.given}
        tensors = set(exercise.forward_names) | exercise.network_names
        self.protected = PROVIDED_MODULES | tensors | exercise.fixed_parameters | given
        self.lent = self._lent()
        self.protected = (self.protected | self.lent.keys()) - {*unkept}
        self.cut_names = {name: tensor for name, tensor in analysis.names.by_name.items() if tensor in self.graded}
        self.first_gradient = min((a.writers[0] for a in attempts.values()), default=0)
        read = (tensors | analysis.names.by_name.keys()) - PROVIDED_MODULES - {exercise.grading.batch}
        self.slicer = Slicer(
            analysis,
            self.protected | self.cut_names.keys(),
            {name: calls for name, calls in exercise.setup_calls.items() if name != DTYPE},
            self.first_gradient,
            tensors=self._computed_from(read),
        )

    def plan(self) -> Plan:
        slices = {tensor: self.slicer.slice(attempt.writers) for tensor, attempt in self.attempts.items()}
        running = set().union(*slices.values())
        forward_lines = self._own_forward_lines(running)
        apart = {name: kept for name, kept in slices.items() if name in self.exercise.definitions}
        kept = set().union(*(own for t, own in slices.items() if t not in apart))
        aliases = {
            name: tensor
            for name, tensor in self.cut_names.items()
            if name == "d" + tensor or any(name in e.writes for e in self.analysis.effects)
        }
        return Plan(
            exercise=self.exercise,
            steps=self._steps(kept, slices),
            attempts=self.attempts,
            aliases=aliases,
            names=replace(self.analysis.names, given=self.lent),
            slices=slices,
            reads={tensor: self._reads(kept) for tensor, kept in slices.items()},
            unsized_one_hot=self._unsized_one_hot(slices),
            forward_lines=forward_lines,
            statements=self.analysis.statements,
            spoilt=[found for found in self.analysis.spoilt if found.index in kept and self._is_kept(found.other)],
            definitions={
                name: [self._step(index, {}) for index in self._order(sorted(own)) or sorted(own)]
                for name, own in apart.items()
            },
        )

    def _lent(self) -> dict[str, str]:
        """The submission's names for what its own forward pass brings and makes: these have the lesson's values.

        That pass is all that its loss is made of. Any other name is an answer's own, and is what its line computes; so
        is a tensor of that pass that an answer changes.
        """
        known = {*self.exercise.forward_names, *self.exercise.setup_names}
        names = {own: theirs for own, theirs in self.analysis.names.given.items() if theirs in known}
        last, effects = self.exercise.forward_names[-1:], self.analysis.effects
        losses = {*last, *(own for own, theirs in names.items() if theirs in last)}
        slicer, inside = Slicer(self.analysis, PROVIDED_MODULES), set[int]()
        for index, statement in enumerate(self.analysis.statements if names else ()):
            if (
                effects[index].rebinds & losses or ".backward(" in statement.text
            ) and index not in self.analysis.training:
                kept = slicer.slice([index])
                lines = (each for each in kept if not self._definition(each))
                inside |= set() if any(map(self.analysis.gradients_written, lines)) else kept
        made = set[str]().union(*(effects[index].rebinds for index in inside))
        beside = {*range(len(effects))} - inside - {*self.analysis.training}
        changed = set[str]().union(*(effects[index].writes for index in beside))
        made -= {own for own in changed & names.keys() if names[own] in self.exercise.forward_names}
        return {own: theirs for own, theirs in names.items() if own in made}

    def _computed_from(self, names: set[str]) -> set[str]:
        """`names`, and those to which the submission gives what it computes from them."""
        found = set(names)
        for effects in self.analysis.effects:
            if effects.reads & found:
                found |= effects.rebinds
        return found

    def _is_kept(self, name: str) -> bool:
        """True for a tensor of the lesson or a gradient that is graded or given: nobody else's change is its own."""
        return self.cut_names.get(name) in self.attempts or name in self.protected - self.exercise.fixed_parameters

    def _reads(self, kept: Iterable[int]) -> frozenset[str]:
        indexes = list(kept)
        gradients = {f"d{tensor}" for index in indexes for tensor in self.analysis.gradients_read(index)}
        return frozenset(gradients).union(*(self.analysis.effects[index].reads for index in indexes))

    def _unsized_one_hot(self, slices: Mapping[str, set[int]]) -> dict[str, tuple[Statement, int]]:
        """The gradients that use `one_hot` without num_classes, with its line: its width then depends on the batch."""
        calls = {
            index: (statement, statement.cell.line + leaf.lineno - 1)
            for index in set().union(*slices.values())
            if "one_hot" in self.analysis.effects[index].calls
            for statement in [self.analysis.statements[index]]
            for leaf in statement.nodes
            if isinstance(leaf, ast.Call) and called_name(leaf) == "one_hot"
            if len(leaf.args) < 2 and not leaf.keywords
        }
        return {tensor: calls[index] for tensor, kept in slices.items() for index in kept if index in calls}

    def _own_forward_lines(self, kept: set[int]) -> list[tuple[int, tuple[str, ...]]]:
        """Statements above the first gradient that write a forward tensor unlike the exercise does."""
        forward = set(self.exercise.forward_names)
        forward |= {own for own, theirs in self.lent.items() if theirs in forward}
        found = []
        for index, statement in enumerate(self.analysis.statements[: self.first_gradient]):
            names = self.analysis.effects[index].rebinds & forward
            if not names or index in kept or not isinstance(statement.node, (ast.Assign, ast.AnnAssign)):
                continue
            if any(
                self.analysis.effects[later].writes & self.analysis.effects[index].reads
                for later in kept
                if later > index
            ):
                continue  # what it reads is another's by the time that all has run
            if ast.dump(ast.Module([statement.node], [])) not in self.exercise.atom_trees:
                found.append((index, tuple(sorted(names))))
        return found

    def _steps(self, kept: set[int], slices: Mapping[str, set[int]]) -> list[Step]:
        judged = {tensor: attempt for tensor, attempt in self.attempts.items() if tensor in self.graded}
        order = self._order(sorted(kept))
        if order is not None:
            return [self._step(index, judged) for index in order]
        # Scratch names are used again for other things, and no one order serves all: give each gradient its own
        # run of what it needs.
        steps = []
        for tensor in self._by_dependence(slices, judged):
            own = sorted(slices[tensor])
            for index in self._order(own, {tensor}) or own:
                steps.append(self._step(index, {tensor: judged[tensor]}))
        return steps

    def _by_dependence(self, slices: Mapping[str, set[int]], judged: Mapping[str, Attempt]) -> list[str]:
        """The gradients in an order in which each comes after those it reads."""
        waiting = sorted(judged, key=lambda tensor: judged[tensor].writers[0])
        reads = {t: set().union(*(self.analysis.gradients_read(i) for i in slices[t])) - {t} for t in waiting}
        done: list[str] = []
        while waiting:
            ready = next((t for t in waiting if not reads[t] & set(waiting)), waiting[0])
            waiting.remove(ready)
            done.append(ready)
        return done

    def _step(self, index: int, judged: Mapping[str, Attempt]) -> Step:
        last = {t: a.place for t, a in judged.items() if a.writers[-1] == index and not a.inside}
        writes = tuple(t for t, a in judged.items() if index in a.writers)
        hooks = frozenset(t for t, a in judged.items() if a.inside and index in a.writers)
        spoilt = (self.cut_names.get(s.other) for s in self.analysis.spoilt if s.index == index)
        spoils = tuple(tensor for tensor in spoilt if tensor is not None and tensor in judged)
        return Step(index, self.analysis.statements[index], writes, last, hooks, spoils=spoils)

    def _order(self, kept: list[int], tensors: Collection[str] | None = None) -> list[int] | None:
        """The statements in file order as far as what they read allows; None where there is no such order."""
        after: dict[int, set[int]] = {index: set() for index in kept}
        effects, ours = self.analysis.effects, self.protected | self.cut_names.keys()
        writes = {index: effects[index].writes - ours for index in kept}
        reads = {index: effects[index].reads - ours for index in kept}
        for early, late in combinations(kept, 2):
            conflict = writes[early] & (reads[late] | writes[late]) or reads[early] & writes[late]
            if conflict and not self.slicer.defined_later(early, late):
                after[late].add(early)
        for (reader, _), definers in self.slicer.found.items():
            if reader in after:
                after[reader] |= {index for index in definers if index in after and index > reader}
        for tensor, attempt in self.attempts.items():
            if (tensors is not None and tensor not in tensors) or tensor not in self.graded:
                continue
            writers = [index for index in attempt.writers if index in after]
            for early, late in pairwise(writers):
                after[late].add(early)
            names = {name for name, held in self.cut_names.items() if held == tensor}
            for reader in kept:
                if reader in writers or not writers or not names & effects[reader].reads:
                    continue
                if writers[0] < reader < writers[-1]:
                    after[reader] |= {index for index in writers if index < reader}
                    for index in writers:
                        if index > reader:
                            after[index].add(reader)
                elif not self._definition(reader):
                    after[reader].add(writers[-1])
        return _stable_topological_order(kept, after)

    def _definition(self, index: int) -> bool:
        return isinstance(self.analysis.statements[index].node, (*FUNCTIONS, ast.ClassDef))


def _stable_topological_order(kept: list[int], after: Mapping[int, set[int]]) -> list[int] | None:
    """`kept` as they are, but each behind those that it is `after`; None where they wait for each other in a circle."""
    sorter = TopologicalSorter({index: after[index] - {index} for index in kept})
    try:
        sorter.prepare()
    except CycleError:
        return None
    ready, order = list(sorter.get_ready()), list[int]()
    heapq.heapify(ready)
    while ready:
        order.append(heapq.heappop(ready))
        sorter.done(order[-1])
        for index in sorter.get_ready():
            heapq.heappush(ready, index)
    return order
