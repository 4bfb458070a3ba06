"""What every HTML page of ours has in common: how it is made, and that what it shows is seen as it is."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from grader.base.visible import visible
from grader.base.words import counted


def _finalized(value: Any) -> Any:
    """What every expression of the template goes through before it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def environment() -> Environment:
    """Templates in which every expression is made visible, then escaped."""
    made = Environment(
        loader=PackageLoader("grader.showing"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        keep_trailing_newline=True,
    )
    made.globals["counted"] = counted
    made.filters["one_line"] = partial(visible, keep="")
    return made


def rendered(template: str, **values: object) -> str:
    """The page that one of the templates makes of these values."""
    return environment().get_template(template).render(**values)


def pieces(message: str) -> list[tuple[str, bool]]:
    """``a `b` c`` as `[("a ", False), ("b", True), (" c", False)]`."""
    pieces = re.split(r"`([^`\n]+)`", message)
    return [(piece, index % 2 == 1) for index, piece in enumerate(pieces) if piece]
