"""One file among what was handed in, wherever it lies."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from grader.base.errors import DojoError

_LEFT_BEHIND = frozenset(
    ("__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini", "timestamp.txt", "submission_metadata.yml")
)


@dataclass(frozen=True)
class Item:
    """A file, or a folder of no content of its own. `parts` is its path within what was handed over.

    `label` is what people read. `read` gives the content and raises DojoError; `problem` says why it is not read.
    """

    parts: tuple[str, ...]
    label: str
    read: Callable[[], bytes] = bytes
    problem: str = ""
    is_folder: bool = False

    @property
    def is_visible(self) -> bool:
        """False for what software leaves behind."""
        return is_visible(self.parts)

    def below(self, depth: int) -> Item:
        """The same file, its path without the first `depth` parts."""
        return replace(self, parts=self.parts[depth:])


def is_visible(parts: tuple[str, ...]) -> bool:
    """False where a part of a path is hidden, or made by software; `~$` begins the name of what Office has open."""
    return not any(re.match(r"\.(?!\.)|~\$", part) or part in _LEFT_BEHIND for part in parts)


def too_large(label: str, most: int) -> DojoError:
    """The refusal of a file above the limit of `most` bytes."""
    return DojoError(
        f"{label}: larger than {most / 1e6:.0f} MB; clear the outputs of the notebook, save it and hand it in again"
    )
