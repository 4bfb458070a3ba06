"""What `progress()` shows: every gradient of a lesson with its state, in the order in which a learner meets them.

It is small enough to stay in sight beside the lesson; no state is told by colour alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from html import escape

from grader.lesson.exercise import Exercise
from grader.lesson.tracks import next_lesson
from grader.showing.graph import graph_svg, headings
from grader.showing.graph_marks import STATES, state_of

States = Mapping[str, str]
"""For each graded gradient its state, the loss's neighbours first."""

_BOX = (
    "display:block;color:inherit;text-decoration:none;padding:0 .5em;border-radius:4px;line-height:1.6;"
    "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace);font-size:.92em;outline-offset:1px;"
)


def headline(exercise: Exercise, states: States) -> str:
    """One line for an exercise: `ex1: 14 of 26 right`."""
    right = sum(state == "pass" for state in states.values())
    return f"{exercise.number}: {right} of {len(states)} right"


def at_the_end(exercise: Exercise, states: States) -> list[str]:
    """What was achieved and what is next, once every gradient is right."""
    if any(state != "pass" for state in states.values()):
        return []
    many = "The gradient is" if len(states) == 1 else f"All {len(states)} gradients are"
    said = [f"{many} right. Save the notebook, then grade() tries your lines with other data and other sizes."]
    following = next_lesson({exercise.id})
    if exercise.definitions:
        names = ", ".join(sorted(exercise.definitions))
        said.append(f"It also grades {names}, which no cmp can compare.")
    return [*said, f"Next lesson: {following.id}, {following.title}"] if following is not None else said


def as_html(exercise: Exercise, states: States, graph: bool = False) -> str:
    """A box for each gradient, which leads to its section; with `graph` the computation graph too."""
    sections = headings(exercise)
    texts = {atom.name: atom.text for atom in exercise.atoms}
    boxes = "".join(_box(name, state, texts.get(name, ""), sections) for name, state in states.items())
    drawn = ""
    if graph:
        drawn = graph_svg(exercise, states, link=lambda name: f"#d{name}" if f"d{name}" in sections else "")
    return (
        f'<div class="dojo-progress" style="color:inherit;padding:2px"><div><b>{escape(headline(exercise, states))}</b>'
        f"\u2003{escape(_counts(states))}</div>"
        f'<ol aria-label="Gradients, from the loss back" style="display:flex;flex-wrap:wrap;gap:5px;list-style:none;'
        f'margin:.4em 0;padding:0">{boxes}</ol>{_ending(exercise, states)}{drawn}</div>'
    )


def _box(name: str, state: str, text: str, sections: Collection[str]) -> str:
    known, label = state_of(state), f"d{name}"
    style = f"{_BOX}border:1.5px {'dashed' if state == 'missing' else 'solid'} {known.colour}"
    hover = escape(f"{text or label}: {known.words}")
    facts = f'data-tensor="{escape(name)}" data-state="{escape(state)}" title="{hover}" style="{style}"'
    inner = f'<b aria-hidden="true">{escape(known.mark)}</b> {escape(label)}'
    if label in sections:
        said = escape(f"{label}: {known.words}")
        return f'<li style="margin:0"><a href="#{escape(label)}" aria-label="{said}" {facts}>{inner}</a></li>'
    return f'<li style="margin:0"><span {facts}>{inner}</span></li>'


def _counts(states: States) -> str:
    counted = Counter(states.values())
    return ", ".join(
        f"{STATES[state].words}: {counted[state]}" for state in STATES if counted[state] and state != "pass"
    )


def _ending(exercise: Exercise, states: States) -> str:
    lines = at_the_end(exercise, states)
    following = next_lesson({exercise.id}) if lines else None
    if following is None:
        return "".join(f"<div>{escape(line)}</div>" for line in lines)
    link = f'<a href="../{escape(following.id)}.ipynb">{escape(f"{following.id}, {following.title}")}</a>'
    return "".join(f"<div>{escape(line)}</div>" for line in lines[:-1]) + f"<div>Next lesson: {link}</div>"
