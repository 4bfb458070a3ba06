"""How much one submission may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the statements of one submission may use: wall seconds in all, and bytes of memory beyond the start."""

    seconds: float = 60.0
    memory: int = 2 << 30
