"""What `progress()` shows: every gradient of a lesson with its state, in the order in which a learner meets them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from markupsafe import Markup

from grader.lesson.exercise import Exercise
from grader.lesson.tracks import next_lesson
from grader.showing.graph import graph_svg, headings
from grader.showing.graph_marks import STATES, state_of
from grader.showing.page import rendered

States = Mapping[str, str]
"""For each graded gradient its state, the loss's neighbours first."""


def as_text(exercise: Exercise, states: States) -> str:
    """The list for a console: one gradient a line, and at the end what comes next."""
    width = max(len(name) for name in states) + 1
    rows = [f"  {state_of(state).mark} {'d' + name:{width}}  {state_of(state).words}" for name, state in states.items()]
    said, following = _at_the_end(exercise, states)
    said += [f"Next lesson: {following.id}, {following.title}"] if following is not None else []
    return "\n".join([_headline(exercise, states), *rows, *said])


def as_html(exercise: Exercise, states: States, graph: bool = False) -> str:
    """A box for each gradient, which leads to its section; with `graph` the computation graph too."""
    sections, counted = headings(exercise), Counter(states.values())
    said, following = _at_the_end(exercise, states)
    drawn = graph_svg(exercise, states, lambda name: f"#d{name}" if f"d{name}" in sections else "") if graph else ""
    return rendered(
        "progress.html",
        headline=_headline(exercise, states),
        counts=", ".join(f"{STATES[s].words}: {counted[s]}" for s in STATES if counted[s] and s != "pass"),
        states=states,
        state_of=state_of,
        sections=sections,
        texts={atom.name: atom.text for atom in exercise.atoms},
        said=said,
        following=following,
        graph=Markup(drawn),
    )


def _headline(exercise: Exercise, states: States) -> str:
    return f"{exercise.number}: {sum(state == 'pass' for state in states.values())} of {len(states)} right"


def _at_the_end(exercise: Exercise, states: States) -> tuple[list[str], Exercise | None]:
    """What was achieved and the next lesson, once every gradient is right."""
    if any(state != "pass" for state in states.values()):
        return [], None
    many = "The gradient is" if len(states) == 1 else f"All {len(states)} gradients are"
    said = [f"{many} right. Save the notebook, then grade() tries your lines with other data and other sizes."]
    if exercise.definitions:
        said.append(f"It also grades {', '.join(sorted(exercise.definitions))}, which no cmp can compare.")
    return said, next_lesson({exercise.id})
