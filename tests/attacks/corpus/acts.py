"""Attacks that act on the machine: what they declare alike."""

from __future__ import annotations

from tests.attacks.attack import OPEN, STOPPED, Attack

SECOND = (OPEN, STOPPED, STOPPED)
ZERO = "    return torch.zeros_like(h)\ndh = act()"


def act(name: str, title: str, lines: str, **more: object) -> Attack:
    """An attack that only the ladder's upper levels stop, unless `more` says otherwise."""
    return Attack(name, title, lines, **{"sandbox": SECOND, **more})  # type: ignore[arg-type]
