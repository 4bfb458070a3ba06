"""What stands behind `cmp`, `progress` and `hint`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, MutableMapping
from typing import Any

from torch import Tensor

from grader.base.errors import DojoError
from grader.learner import hints
from grader.lesson.exercise import Exercise, all_exercises
from grader.notebook import cards, screen
from grader.notebook.judging import Judgement, judge, unfinished
from grader.notebook.lending import ARRAYS, LENDING
from grader.notebook.shell import CELLS
from grader.notebook.tracker import TRACKER
from grader.notebook.truth import exercise_in


def show_comparison(name: str, d: Any, t: Any, namespace: MutableMapping[str, Any]) -> bool:
    """Judge `d`, show the verdict, and keep it for `progress`. True where it is right."""
    if not isinstance(name, str):
        print('the name comes first, and in quotes: cmp("logits", dlogits, logits)')
        return False
    if isinstance(d, Tensor) and d is namespace.get(name) and t is namespace.get(f"d{name}"):
        print(f"{name:15s} | the tensors are swapped: write cmp({name!r}, d{name}, {name})")
        return False
    if t is None and (name.startswith("loss") or any(e.can_train and e.losses_name == name for e in all_exercises())):
        from grader.notebook.losses import show_losses

        return show_losses(name, d, namespace)
    exercise = exercise_in(namespace, name)
    graded = exercise.graded_gradients if exercise is not None else ()
    if name not in graded and name.removeprefix("d") in graded:
        name = name.removeprefix("d")
    t = namespace.get(name) if t is None else t
    earlier = TRACKER.earlier.get(exercise.id) if exercise is not None else None
    if d is ... and namespace.get(f"d{name}") is ...:
        d = LENDING.fill(name, namespace)
    judged = judge(name, ... if LENDING.is_lent(name, d) else d, t, namespace, earlier)
    stopped = CELLS.unfinished.get(f"d{name}")
    if stopped is not None and d is namespace.get(f"d{name}"):
        judged = unfinished(judged, stopped)
    elif judged.verdict.passed and isinstance(d, (Tensor, *ARRAYS)):
        LENDING.keep(name, d)
    _show(judged)
    TRACKER.record(judged)
    return judged.verdict.passed


def show_progress(namespace: Mapping[str, Any], graph: bool) -> None:
    """Judge every gradient that the namespace holds, and show where the learner stands."""
    exercise = _exercise_here(namespace)
    if exercise is None:
        print("Nothing to show yet: run the cells of the setup and of the forward pass first.")
        return
    earlier = TRACKER.earlier.get(exercise.id)
    for name in exercise.graded_gradients:
        value = namespace.get(f"d{name}")
        if value is not None and f"d{name}" not in CELLS.unfinished:
            stub = LENDING.is_lent(name, value)
            TRACKER.record(judge(name, ... if stub else value, namespace[name], namespace, earlier))
    TRACKER.show(exercise, graph)


def show_hint(variable: Any, namespace: Mapping[str, Any]) -> None:
    """Show the next hint of `variable`, a name or the gradient itself."""
    exercise = _exercise_here(namespace)
    try:
        found, name = _wanted(_as_name(variable, exercise, namespace), exercise)
        text = hints.next_hint(found, name)
    except DojoError as problem:
        print(problem)
        return
    if not screen.in_notebook():
        print(text)
        return
    heading, _, body = text.partition("\n")
    screen.show(text, markdown=f"**{heading}**\n\n{textwrap.dedent(body).strip()}")


def _as_name(variable: Any, exercise: Exercise | None, namespace: Mapping[str, Any]) -> str | None:
    """The name of a gradient that was handed over itself, as in `hint(dprobs)`."""
    if variable is None or isinstance(variable, str):
        return variable
    names = [f"d{name}" for name in exercise.graded_gradients] if exercise is not None else []
    return next((name for name in names if namespace.get(name) is variable), None)


def _wanted(variable: str | None, exercise: Exercise | None) -> tuple[Exercise, str]:
    if variable is not None:
        return hints.find_gradient(variable, exercise)
    if exercise is None:
        raise DojoError('name a gradient, such as hint("dprobs")')
    states = TRACKER.all_states(exercise)
    left = [name for name, state in states.items() if state != "pass"]
    if not left:
        raise DojoError(f"every gradient of {exercise.short_id} is right; name the one to read about")
    return exercise, left[0]


def _exercise_here(namespace: Mapping[str, Any]) -> Exercise | None:
    """The exercise that a namespace holds; where two fit equally, the one that `cmp` was last called for."""
    return exercise_in(namespace, None, TRACKER.latest)


def _show(judged: Judgement) -> None:
    """The lecture's line. A wrong one is followed by what is wrong: a card in a notebook, its sentences in a script."""
    verdict, in_notebook = judged.verdict, screen.in_notebook()
    if verdict.passed and in_notebook:
        screen.show(judged.line, html=cards.card(judged))
        return
    print(judged.line)
    if in_notebook and verdict.status != "missing":
        screen.show(f"d{verdict.name}: {judged.words}. {verdict.message}", html=cards.card(judged))
    elif not verdict.passed and verdict.status != "missing":
        kind = f" [{verdict.mistake}]" if verdict.mistake else ""
        print(textwrap.indent(f"d{verdict.name}: {judged.words}{kind}. {verdict.message}", "  "))
