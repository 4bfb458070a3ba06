"""Loading large modules, such as torch and nbformat."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Load modules in this block without the garbage collector, and let it leave alone what is there at its end.

    Modules are no garbage, yet the collector looks through all that torch has loaded so far again and again: 0.2 s of
    the second and a half in which `dojo grade` loads. Later every full round would take 0.1 s, and in a process that
    is forked it would write into each page that it looks at, which copies that page.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def load_nbformat() -> None:
    """Load nbformat, which from then on can be imported for nothing, without a second of grammars.

    nbformat loads jsonschema, and that loads rfc3987_syntax where it is installed, as it is beside JupyterLab. It
    compiles 38 grammars of addresses at once, of which a notebook needs none; jsonschema does without it.
    """
    absent = "rfc3987_syntax"
    stood_in = sys.modules.setdefault(absent, None) is None  # type: ignore[arg-type]
    try:
        import nbformat  # noqa: F401
    finally:
        if stood_in:
            del sys.modules[absent]
