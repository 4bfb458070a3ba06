"""Backprop Dojo: learn backpropagation by hand, each gradient graded on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.lesson.digits import load_digits
    from grader.lesson.names import build_dataset, load_names, split_names
    from grader.lesson.text import load_text
    from grader.notebook import cmp, grade, hint, progress
    from grader.notebook.bar import tqdm
    from grader.showing import plots
    from grader.showing.graph import show_graph
    from grader.showing.plots import live_losses

__version__ = "0.1.0"
__all__ = [
    "build_dataset",
    "cmp",
    "grade",
    "hint",
    "live_losses",
    "load_digits",
    "load_names",
    "load_text",
    "plots",
    "progress",
    "show_graph",
    "split_names",
    "tqdm",
]

_HOMES = {
    "build_dataset": "grader.lesson.names",
    "cmp": "grader.notebook",
    "grade": "grader.notebook",
    "hint": "grader.notebook",
    "live_losses": "grader.showing.plots",
    "load_digits": "grader.lesson.digits",
    "load_names": "grader.lesson.names",
    "load_text": "grader.lesson.text",
    "plots": "grader.showing.plots",
    "progress": "grader.notebook",
    "show_graph": "grader.showing.graph",
    "split_names": "grader.lesson.names",
    "tqdm": "grader.notebook.bar",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: `dojo --help` must not wait for torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'grader' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_HOMES[name])
    return module if _HOMES[name].endswith(f".{name}") else getattr(module, name)
