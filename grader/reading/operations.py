"""How many tensor operations an answer takes, read from its text."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable

from grader.lesson.exercise import Exercise
from grader.reading.plan import Plan
from grader.syntax.scopes import names_below, nodes_below, rebound_names


def count_operations(statements: Iterable[ast.stmt], sizes: Collection[str]) -> int:
    """Arithmetic, calls of methods and of functions such as F.softmax. Arithmetic on `sizes` alone does not count."""
    found = 0
    for statement in statements:
        for leaf in nodes_below(statement):
            if isinstance(leaf, (ast.BinOp, ast.UnaryOp)):
                found += not names_below(leaf) <= set(sizes)
            elif isinstance(leaf, ast.AugAssign) or (
                isinstance(leaf, ast.Call) and isinstance(leaf.func, ast.Attribute)
            ):
                found += 1
    return found


def sizes_of(exercise: Exercise) -> set[str]:
    """The names of the exercise's sizes, as far as its text tells."""
    return {exercise.grading.batch, *exercise.parameter_values}


def shortest(exercise: Exercise) -> int | None:
    """What the exercise's own formula takes; None where this installation has no solutions."""
    body = [node for cell in exercise.code_cells("backward") for node in ast.parse(cell.text).body]
    return count_operations(body, sizes_of(exercise)) or None


def repeated_atoms(plan: Plan, tensor: str) -> str:
    """For an exercise of one formula: that an answer went through the atoms, and what that takes; else ""."""
    exercise, known = plan.exercise, plan.exercise.named_gradients
    if len(exercise.graded_gradients) != 1:
        return ""
    lines = [plan.statements[index].node for index in plan.lines_of(tensor)]
    between = {f"d{name}" for name in exercise.forward_names if name not in known}
    if not between & {name for node in lines for name in rebound_names(node)}:
        return ""
    own, least = count_operations(lines, sizes_of(exercise)), shortest(exercise)
    said = f"Right, by way of the atoms: it takes {own} tensor operations."
    return f"{said} One formula takes {least}." if least else f"{said} One formula takes far fewer."
