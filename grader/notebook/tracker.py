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

_KEPT = 2
"""So many wrong values of one gradient are remembered, to tell a line that has read an earlier one."""


@dataclass
class Tracker:
    """States by exercise and tensor, earlier wrong values, and the pictures of exercises that `progress` has shown: the
    handle, and whether the computation graph is in it.
    """

    states: dict[str, dict[str, str]] = field(default_factory=dict)
    earlier: dict[str, dict[str, list[Tensor]]] = field(default_factory=dict)
    pictures: dict[str, tuple[Any, bool]] = field(default_factory=dict)
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
        self.mark(exercise, name, judged.state)

    def mark(self, exercise: Exercise, name: str, state: str | None) -> None:
        """Set what is known of a gradient, or take it back; the list that `progress()` has shown follows."""
        states = self.states.setdefault(exercise.id, {})
        before = states.pop(name, None)
        if state is not None:
            states[name] = state
        if before != state and exercise.id in self.pictures:
            handle, graph = self.pictures[exercise.id]
            screen.update(handle, **self._drawn(exercise, graph))

    def show(self, exercise: Exercise, graph: bool = False) -> None:
        """The picture in a notebook, else a list."""
        self.latest = exercise
        if screen.in_notebook():
            handle = screen.show(updatable=True, **self._drawn(exercise, graph))
            self.pictures[exercise.id] = handle, graph
        else:
            print(overview.as_text(exercise, self.all_states(exercise)))

    def all_states(self, exercise: Exercise) -> dict[str, str]:
        """The status of every graded gradient; `missing` where no `cmp` has run yet."""
        known = self.states.get(exercise.id, {})
        return {name: known.get(name, "missing") for name in exercise.graded_gradients}

    def _drawn(self, exercise: Exercise, graph: bool) -> dict[str, str]:
        """The picture, and the list for a front end that shows no HTML."""
        states = self.all_states(exercise)
        return {"plain": overview.as_text(exercise, states), "html": overview.as_html(exercise, states, graph)}


TRACKER = Tracker()
"""The one of this session."""


def _after_cell() -> None:
    """Lend what a cell left as a stub, and take back the ticks of what a failed cell should have assigned."""
    here = shell()
    if here is not None:
        LENDING.fill_all(here.user_ns, CELLS.overwritten)
    if (exercise := TRACKER.latest) is not None:
        for name in exercise.graded_gradients:
            if f"d{name}" in CELLS.unfinished:
                TRACKER.mark(exercise, name, None)


CELLS.ended.append(_after_cell)
