"""How much one submission may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the statements of one submission may use: seconds by the clock in all, and bytes.

    `memory` counts beyond what a process holds before the first statement; `file_bytes` is for any one file.
    """

    seconds: float = 60.0
    memory: int = 2 << 30
    file_bytes: int = 16_000_000
