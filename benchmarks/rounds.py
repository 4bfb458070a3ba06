"""Rounds in which several tasks run in turn, so that none of them has the machine's better minutes to itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

FEWEST_ROUNDS = 7

Result = TypeVar("Result")


def in_turn(tasks: Mapping[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """What each task gives in each round, after one round that does not count: it warms the disk cache.

    Every other round runs the tasks in reverse, so that none of them always goes first.
    """
    found: dict[str, list[Result]] = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name in list(tasks) if number % 2 else reversed(list(tasks)):
            found[name].append(tasks[name]())
    return {name: listed[1:] for name, listed in found.items()}
