"""IPython where it runs already. It is never needed, and never loaded for this."""

from __future__ import annotations

import sys
from typing import Any


def shell() -> Any:
    """The running IPython shell; None in a plain script."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def notebook_shell() -> Any:
    """The shell of a Jupyter kernel, also Colab's and VS Code's; None in IPython's terminal and in scripts."""
    running = shell()
    return running if getattr(running, "kernel", None) is not None else None
