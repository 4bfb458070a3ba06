"""What one attack is: a hostile submission as data, and what must become of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.answers.build import LINES

Result = Literal["stopped", "harmless", "not stopped"]
"""`stopped`: refused, cut off or failed. `harmless`: it ran to its end and gained nothing. `not stopped`: it reached
its goal."""

STOPPED: Result = "stopped"
HARMLESS: Result = "harmless"
OPEN: Result = "not stopped"
RANKS = (OPEN, HARMLESS, STOPPED)


@dataclass(frozen=True)
class Places:
    """What is laid out for attacks to harm, and where; the values stand in for `@NAME@` in an attack's text."""

    folder: Path
    secret: str
    values: Mapping[str, str]

    def fill(self, text: str) -> str:
        for name, value in self.values.items():
            text = text.replace(f"@{name}@", value)
        return text


@dataclass(frozen=True)
class Attack:
    """A hostile submission, and what must become of it.

    Either `lines`, Python that takes the place of the answer for the gradient of `tensor`, or `make`, which writes
    a hostile file and returns its path. Where nothing else would show that an attack reached its goal, it then
    hands over the right gradient, so that credit shows it. `before` is graded first, by the same grader: an
    accomplice. `seconds` is the submission's limit; `exercise` None leaves it to the file.

    `guards` is what becomes of it where its statements run guarded, on every level. `sandbox` is what the sandbox
    does where they do not, on each level: basic, partial, full. Guarded, nothing may be `not stopped`.

    `varies` says that a machine may stop more than is written here (a user without root's powers, a library that
    needs a temporary folder). `hole` says in a sentence what is still to be mended; until then the attack ends
    as the data say and no better.
    """

    id: str
    title: str
    lines: str = ""
    guards: Result = STOPPED
    sandbox: tuple[Result, Result, Result] = (STOPPED, STOPPED, STOPPED)
    tensor: str = "h"
    exercise: str | None = "makemore/ex1"
    before: str = ""
    make: Callable[[Path, Places], Path] | None = None
    seconds: float = 5.0
    varies: bool = False
    hole: str = ""

    def write(self, folder: Path, places: Places) -> Path:
        """Lay the submission out in `folder`; the path to grade."""
        if self.make is not None:
            return self.make(folder, places)
        path = folder / "submission.py"
        # one honest answer beside the hostile one, where the exercise has room for it
        honest = f"\n{LINES['db2']}\n" if self.exercise == "makemore/ex1" else "\n"
        path.write_text(places.fill(self.lines.strip("\n") + honest), encoding="utf-8")
        return path


def fits(attack: Attack, mode: str, level: str, result: Result) -> bool:
    """Is this what must become of the attack? `mode` is `guarded`, or `free` where only the sandbox holds it."""
    wanted = expected(attack, mode, level)
    return result == wanted or (attack.varies and RANKS.index(result) > RANKS.index(wanted))


def expected(attack: Attack, mode: str, level: str) -> Result:
    """What the data say of the attack on one level."""
    if mode == "guarded":
        return OPEN if attack.hole else attack.guards
    return attack.sandbox[("basic", "partial", "full").index(level)]
