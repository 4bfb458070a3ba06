"""What a learner calls in a notebook or a script: `cmp`, `progress`, `hint` and `grade`.

Every lesson imports these, and so does every process that grades one, where they are never called: what they
need is loaded on the first call.
"""

from __future__ import annotations

import sys
from typing import Any

from grader.notebook.shell import attach


def cmp(name: str, d: Any, t: Any = None, *_: object, **__: object) -> bool:
    """Compare `d` with the true gradient `t.grad` and print the lecture's line; in a notebook also say what is wrong.

    Of a training loop `cmp("losses", losses)` compares the first 20 losses with those of the same loop by autograd.

    Shapes are compared first, without broadcasting; a stub (`...`) is "not attempted". Returns True where
    `d` is right: equal up to rounding, measured against the largest element of the true gradient.
    """
    from grader.notebook.calls import show_comparison

    return show_comparison(name, d, t, sys._getframe(1).f_globals)


def progress(graph: bool = False) -> None:
    """The gradients of the exercise in this notebook, the loss first, each marked by its state.

    What is shown changes in place as `cmp` is called; `graph=True` adds the computation graph. Outside of a notebook
    it is a list.
    """
    from grader.notebook.calls import show_progress

    show_progress(sys._getframe(1).f_globals, graph)


def grade(file: str | None = None) -> None:
    """Grade this notebook as it was saved last, by the same judge as `dojo grade`, and show the report.

    `file` names another one, or this one where the front end does not tell which file it is.
    """
    from grader.notebook.grading import grade_saved

    grade_saved(file, sys._getframe(1).f_globals)


def hint(variable: Any = None) -> None:
    """Show the next hint of a gradient, `hint("dprobs")` or `hint(dprobs)`; without one, of the first not right."""
    from grader.notebook.calls import show_hint

    show_hint(variable, sys._getframe(1).f_globals)


attach(cmp)
