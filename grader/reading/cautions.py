"""What Python would do otherwise than the grader, which judges each gradient apart: told in a note, at no cost."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection

from grader.base.words import at_line
from grader.lesson.exercise import Exercise
from grader.reading.attempts import Analysis, is_stub
from grader.reading.gradient_names import Spoilt
from grader.reading.plan import Plan
from grader.syntax.scopes import FUNCTIONS, assigned_names, names_below
from grader.syntax.source import Statement


def place_of(statement: Statement) -> str:
    """Where a statement begins, in words."""
    return at_line(statement.line, statement.cell.number)


def about_aliases(plan: Plan, spoilt: Spoilt) -> str:
    """That one line changes two tensors, because they are one tensor under two names."""
    changes, begins = plan.statements[spoilt.index], plan.statements[spoilt.since]
    copy = "clone()" if "torch" in plan.exercise.setup_names else "copy()"
    return (
        f"{place_of(changes)}: `{_first_line(changes)}` changes {spoilt.other} too, because "
        f"`{_first_line(begins)}` ({place_of(begins)}) gives one tensor two names. Begin with a copy there, "
        f"`{spoilt.other}.{copy}`. It costs nothing here: the grader goes on with the true {spoilt.other}."
    )


def about_early_reads(analysis: Analysis, plan: Plan) -> list[str]:
    """That a line reads a name which the file defines only further down: the first such line, where Python stops."""
    if any("marimo.App(" in cell.text for cell in analysis.source.cells):
        return []  # marimo runs its cells in the order that they need
    provided = _provided(plan.exercise) | analysis.names.given.keys() | set(dir(builtins))
    found = [
        (statement, name, analysis.statements[defined])
        for index in sorted(set().union(*plan.slices.values()))
        for statement in [plan.statements[index]]
        for name in sorted(_read_at_once(statement) & analysis.effects[index].reads - provided)
        if (defined := _defined_only_below(analysis, index, name)) is not None
    ]
    if not found:
        return []
    reader, name, definer = found[0]
    said = (
        f"{place_of(reader)}: it reads {name}, which {place_of(definer)} defines further down. Run from top to bottom, "
        f"Python stops here, so move it below {place_of(definer)}."
    )
    lines = len({id(statement) for statement, *_ in found}) - 1
    more = f" {lines} more line{'s read' if lines > 1 else ' reads'} what stands below." if lines else ""
    return [f"{said}{more} It costs nothing here: the grader runs each line when what it reads is there."]


def about_kept_names(analysis: Analysis, plan: Plan, wrong: Collection[str]) -> list[str]:
    """That a line gives a name of the lesson another value, which a wrong answer below reads in vain."""
    return [
        f"{place_of(statement)}: `{_first_line(statement)}` gives {name} another value. The grader keeps the lesson's "
        f"{name} for all answers, so a line below does not see yours: give it a name of its own."
        for name, statement in remade_names(analysis, plan, wrong).items()
    ]


def remade_names(analysis: Analysis, plan: Plan, wrong: Collection[str]) -> dict[str, Statement]:
    """The names of the lesson that a statement gives another value made from their own, as `Yb = Yb.view(-1)` does,
    and that a wrong answer below reads, with that statement."""
    graded = {name for name, tensor in plan.names.by_name.items() if tensor in plan.attempts}
    kept = _provided(plan.exercise) - graded
    found: dict[str, Statement] = {}
    for index, statement in enumerate(plan.statements):
        if isinstance(statement.node, (ast.Assign, ast.AugAssign)) and index not in analysis.training:
            own = assigned_names(statement.node)
            remade = kept & (own & names_below(statement.node.value) if isinstance(statement.node, ast.Assign) else own)
            read = set().union(*(analysis.effects[at].reads for t in wrong for at in plan.slices[t] if at > index))
            found |= dict.fromkeys(remade & read, statement)
    return found


def _provided(exercise: Exercise) -> set[str]:
    given = {f"d{name}" for name in exercise.given}
    return {*exercise.forward_names, *exercise.setup_names, *given} - {f"d{name}" for name in exercise.graded}


def _read_at_once(statement: Statement) -> set[str]:
    """The names that a statement reads when it runs, and not when something that it defines is called."""
    node = statement.node
    if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Try)):
        return set()
    later = {
        id(leaf) for inner in statement.nodes if isinstance(inner, (ast.Lambda, *FUNCTIONS)) for leaf in ast.walk(inner)
    }
    found = {leaf.id for leaf in statement.nodes if isinstance(leaf, ast.Name) and id(leaf) not in later}
    return found - assigned_names(node) if isinstance(node, (ast.For, ast.While, ast.If, ast.With)) else found


def _defined_only_below(analysis: Analysis, reader: int, name: str) -> int | None:
    """The first statement that defines `name`, where it stands below `reader`; stubs define nothing."""
    for index, effects in enumerate(analysis.effects):
        starts = {name, "*"} & effects.writes if index < reader else {name} & effects.rebinds
        if starts and index != reader and not is_stub(analysis.statements[index].node):
            return index if index > reader else None
    return None


def _first_line(statement: Statement) -> str:
    return statement.text.strip().split("\n")[0].split("  #")[0]
