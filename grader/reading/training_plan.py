"""The statements of a submission that make up its training loop."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from grader.admission.static_check import Refusal, StaticCheck
from grader.lesson.exercise import Exercise
from grader.reading.attempts import Analysis
from grader.reading.plan import PROVIDED_MODULES
from grader.reading.slices import Slicer
from grader.syntax.scopes import assigned_names
from grader.syntax.source import Statement


@dataclass
class TrainingPlan:
    """The statements to run, the last of which holds or calls the loop."""

    exercise: Exercise
    statements: list[Statement]
    indexes: list[int]
    loops: dict[int, list[ast.For | ast.While]]
    own_functions: frozenset[str]
    check: StaticCheck

    @property
    def statement(self) -> Statement:
        return self.statements[-1]

    def refusal(self) -> tuple[Statement, Refusal] | None:
        """The first statement that the static check does not admit, with the reason."""
        for index, statement in sorted(zip(self.indexes, self.statements, strict=True), key=lambda pair: pair[0]):
            if (refusal := self.check.refusal(index)) is not None:
                return statement, refusal
        return None

    def loop_line(self) -> int:
        index = next((i for i in reversed(self.indexes) if i in self.loops), self.indexes[-1])
        statement = self.statements[self.indexes.index(index)]
        loops = self.loops.get(index, [])
        return statement.cell.line + loops[0].lineno - 1 if loops else statement.line

    def line_of(self, name: str) -> int | None:
        """Where the statement with the loop last assigns `name`."""
        lines = [
            leaf.lineno
            for leaf in ast.walk(self.statement.node)
            if isinstance(leaf, ast.Name) and leaf.id == name and isinstance(leaf.ctx, ast.Store)
        ]
        return self.statement.cell.line + max(lines) - 1 if lines else None

    def rebound_counter(self) -> str | None:
        """The loop's own variable, where its body assigns to it again."""
        for loops in self.loops.values():
            for loop in loops:
                if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name):
                    inner = {name for child in loop.body for name in assigned_names(child)}
                    if loop.target.id in inner:
                        return loop.target.id
        return None


def plan_training(analysis: Analysis, exercise: Exercise) -> TrainingPlan | None:
    """The last training loop of the submission with what it needs; None where there is none."""
    loops = dict(analysis.loops)
    training = list(analysis.training)
    if not training:
        for index, statement in enumerate(analysis.statements):
            found: list[ast.For | ast.While] = [
                node
                for node in ast.walk(statement.node)
                if isinstance(node, ast.For) and len(assigned_names(node) & set(exercise.forward_names)) > 2
            ]
            if found:
                training, loops[index] = [index], found[:1]
    if not training:
        return None
    protected = PROVIDED_MODULES | exercise.setup_names | exercise.parameter_values.keys()
    kept = sorted(Slicer(analysis, protected).slice([training[-1]]))
    kept = [index for index in kept if index <= training[-1] or index in analysis.loops]
    kept.sort(key=lambda index: (index == training[-1], index))
    statements = [analysis.statements[index] for index in kept]
    own = analysis.names.own_functions
    check = StaticCheck(analysis.statements, analysis.effects, kept, own)
    return TrainingPlan(exercise, statements, kept, loops, own, check)
