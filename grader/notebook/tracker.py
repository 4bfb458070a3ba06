"""What `cmp` has found in this session, and the picture of it that `progress()` keeps up to date."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from grader.base.ipython import shell
from grader.lesson.exercise import Exercise
from grader.notebook import overview, screen
from grader.notebook.judging import Judgement
from grader.notebook.lending import LENDING
from grader.notebook.shell import CELLS
from grader.showing.graph_marks import state_of

_KEPT = 2
"""So many wrong values of one gradient are remembered, to tell a line that has read an earlier one."""


@dataclass(frozen=True)
class Shown:
    """A picture that `progress` has put into the notebook; `graph`: the computation graph is in it."""

    handle: Any
    graph: bool


@dataclass
class Tracker:
    """States by exercise and tensor, earlier wrong values, and each exercise's picture."""

    states: dict[str, dict[str, str]] = field(default_factory=dict)
    earlier: dict[str, dict[str, list[Tensor]]] = field(default_factory=dict)
    pictures: dict[str, Shown] = field(default_factory=dict)
    latest: Exercise | None = None

    def record(self, judged: Judgement) -> None:
        """Note one judgement; a picture of its exercise follows at once."""
        if judged.survey is None:
            return
        exercise, name = judged.survey.exercise, judged.verdict.name
        self.latest = exercise
        if name not in exercise.graded_gradients:
            return
        if judged.yours is not None and not judged.verdict.passed:
            values = self.earlier.setdefault(exercise.id, {}).setdefault(name, [])
            if not any(torch.equal(value, judged.yours) for value in values):
                self.earlier[exercise.id][name] = [*values, judged.yours.clone()][-_KEPT:]
        if self._set(exercise, name, judged.state):
            self.redraw(exercise)

    def _set(self, exercise: Exercise, name: str, state: str | None) -> bool:
        states = self.states.setdefault(exercise.id, {})
        before = states.get(name)
        if state is not None:
            states[name] = state
        else:
            states.pop(name, None)
        return before != state

    def forget(self, exercise: Exercise, name: str) -> bool:
        """Take back what is known of a gradient; True where something was."""
        return self._set(exercise, name, None)

    def redraw(self, exercise: Exercise) -> None:
        """Bring the list of this exercise that `progress()` has shown up to date, if there is one."""
        if (shown := self.pictures.get(exercise.id)) is not None:
            screen.update(shown.handle, self.as_text(exercise), html=self._as_html(exercise, shown.graph))

    def show(self, exercise: Exercise, graph: bool = False) -> None:
        """The picture in a notebook, else a list."""
        self.latest = exercise
        if screen.in_notebook():
            handle = screen.show_updatable(self.as_text(exercise), html=self._as_html(exercise, graph))
            self.pictures[exercise.id] = Shown(handle, graph)
        else:
            print(self.as_text(exercise))

    def all_states(self, exercise: Exercise) -> dict[str, str]:
        """The status of every graded gradient; `missing` where no `cmp` has run yet."""
        known = self.states.get(exercise.id, {})
        return {name: known.get(name, "missing") for name in exercise.graded_gradients}

    def as_text(self, exercise: Exercise) -> str:
        """The list for a console: one gradient a line, and at the end what comes next."""
        states = self.all_states(exercise)
        width = max(len(name) for name in states) + 1
        rows = [
            f"  {state_of(state).mark} {'d' + name:{width}}  {state_of(state).words}" for name, state in states.items()
        ]
        return "\n".join([overview.headline(exercise, states), *rows, *overview.at_the_end(exercise, states)])

    def _as_html(self, exercise: Exercise, graph: bool) -> str:
        states = self.all_states(exercise)
        return overview.as_html(exercise, states, graph)


TRACKER = Tracker()
"""The one of this session."""


def _after_cell() -> None:
    """Lend what a cell left as a stub, and take back the ticks of what a failed cell should have assigned."""
    here = shell()
    if here is not None:
        LENDING.fill_all(here.user_ns, CELLS.overwritten)
    exercise = TRACKER.latest
    if exercise is not None:
        for name in exercise.graded_gradients:
            if f"d{name}" in CELLS.unfinished and TRACKER.forget(exercise, name):
                TRACKER.redraw(exercise)


CELLS.ended.append(_after_cell)
