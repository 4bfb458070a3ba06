"""How much one submission may use."""

from __future__ import annotations

from dataclasses import dataclass

from grader.base.boundary import FILE_SECONDS


@dataclass(frozen=True)
class Limits:
    """What the statements of one submission may use: seconds by the clock in all, and bytes.

    What reading and planning the file took is taken from the seconds; judging may take a few more.

    `memory` counts beyond what a process holds before the first statement.
    """

    seconds: float = FILE_SECONDS
    memory: int = 2 << 30
