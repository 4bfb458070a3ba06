"""Where output goes: a notebook's front end, or plain text. IPython is used where it runs already, never needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from grader.base.ipython import notebook_shell


def in_notebook() -> bool:
    """True inside a Jupyter kernel, also Colab's and VS Code's; False in IPython's terminal and in scripts."""
    return notebook_shell() is not None


def show(plain: str, *, updatable: bool = False, **rich: str) -> Any:
    """Show one output; `html` or `markdown` where the front end can, else `plain`.

    Returns the handle by which `update` can change it later, where it is to be `updatable`.
    """
    display = import_module("IPython.display").display
    return display(_bundle(plain, rich), raw=True, display_id=updatable or None)


def update(handle: Any, plain: str, **rich: str) -> None:
    """Change an output that is on the page already: its plain text, and its HTML or picture."""
    handle.update(_bundle(plain, rich), raw=True)


def _bundle(plain: str, rich: dict[str, str]) -> dict[str, str]:
    return {"text/plain": plain, **{f"text/{kind}": text for kind, text in rich.items()}}
