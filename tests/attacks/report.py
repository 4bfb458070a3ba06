"""`make security`: run every attack against each layer and each level, and write the tables of SECURITY.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

from grader.base.files import write_atomically
from grader.running.sandbox import ISOLATION_LEVELS, highest_isolation
from tests.attacks.attack import OPEN, Attack, Result, expected, fits
from tests.attacks.corpus import ATTACKS, TOPICS
from tests.attacks.harness import REPOSITORY, Outcome, Range

PAGE = REPOSITORY / "SECURITY.md"
BEGIN, END = "<!-- tables: written by make security -->", "<!-- end of tables -->"
_FIRST: dict[Result, str] = {"stopped": "stopped", "harmless": "let through", "not stopped": "**not stopped**"}
_MARKS: dict[Result, str] = {"stopped": "stopped", "harmless": "harmless", "not stopped": "**not stopped**"}


def main() -> None:
    """Run all modes that this machine offers; exit 1 where an attack does not end as its data say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("first", "second", "both"), help="one of them; all by default")
    parser.add_argument("--level", choices=ISOLATION_LEVELS, help="one level; all that the machine has by default")
    parser.add_argument("--only", default="", help="attacks whose id contains this; writes no tables")
    asked = parser.parse_args()
    chosen = [attack for attack in ATTACKS if asked.only in attack.id]
    wrong = 0
    for mode, level in configurations():
        if asked.mode in (None, mode) and asked.level in (None, level):
            wrong += run(mode, level, chosen)
    if not asked.only:
        write_atomically(PAGE, with_tables(PAGE.read_text(encoding="utf-8")))
        print(f"written: {PAGE.name}")
    sys.exit(1 if wrong else 0)


def configurations() -> list[tuple[str, str]]:
    """The layers and the levels that can be tried here."""
    levels = ISOLATION_LEVELS[: ISOLATION_LEVELS.index(highest_isolation()) + 1]
    return [("first", "basic"), *(("both", level) for level in levels), *(("second", level) for level in levels)]


def run(mode: str, level: str, attacks: list[Attack]) -> int:
    """Meet the attacks and print what is not as it must be; how many that are."""
    start, wrong, counted = time.monotonic(), 0, Counter[str]()
    words = (
        "static check alone" if mode == "first" else f"{mode} walls, {level}" if mode == "both" else f"sandbox, {level}"
    )
    with Range(mode, level) as place:
        for attack, outcome in zip(attacks, place.meet(attacks), strict=True):
            counted[outcome.result] += 1
            if not fits(attack, mode, level, outcome.result):
                wrong += 1
                print(f"  {described(attack, mode, level, outcome)}", flush=True)
    figures = ", ".join(f"{number} {result}" for result, number in sorted(counted.items()))
    print(f"{words}: {figures}; {wrong} not as expected; {time.monotonic() - start:.0f} s", flush=True)
    return wrong


def described(attack: Attack, mode: str, level: str, outcome: Outcome) -> str:
    """One line on an attack that did not end as it must."""
    wanted = (
        ("not stopped, a known hole" if attack.hole else "no harm") if mode == "both" else expected(attack, mode, level)
    )
    seen = "; ".join(outcome.harm) or outcome.said
    return f"{attack.id}: {outcome.result}, expected {wanted} ({seen[:300]!r}, {outcome.seconds} s)"


def with_tables(page: str) -> str:
    """The page with its tables written anew from the data."""
    head, rest = page.split(BEGIN)
    _, foot = rest.split(END)
    return f"{head}{BEGIN}\n\n{tables()}\n{END}{foot}"


def tables() -> str:
    """Both tables, and the counts above each."""
    return "\n".join([*_holes(), *_static_check(), "", *_sandbox(), ""])


def _holes() -> Iterator[str]:
    holes = [attack for attack in ATTACKS if attack.hole]
    if not holes:
        return
    yield f"**Known holes, {len(holes)}.** With both layers up these still reach their goal, on every level:"
    yield ""
    yield from (f"- `{attack.id}`: {attack.title} ({attack.hole})" for attack in holes)
    yield ""


def _static_check() -> Iterator[str]:
    stopped = Counter(attack.first for attack in ATTACKS)
    yield "### The static check alone"
    yield ""
    yield (
        f"Of {len(ATTACKS)} attacks it stops {stopped['stopped']}. The other {stopped['harmless']} hold nothing that "
        "an honest answer could not contain, such as a loop that never ends: it lets them through, and they must do "
        "no harm where they run."
    )
    yield ""
    yield "| attack | | static check |"
    yield "|---|---|---|"
    for topic, attacks in TOPICS.items():
        yield f"| **{topic}** | | |"
        for attack in attacks:
            yield f"| `{attack.id}` | {attack.title} | {_FIRST[attack.first]} |"


def _sandbox() -> Iterator[str]:
    yield "### The sandbox with the first switched off"
    yield ""
    for level in ISOLATION_LEVELS:
        found = Counter(expected(attack, "second", level) for attack in ATTACKS)
        yield f"- `{level}`: {found['stopped']} stopped, {found['harmless']} harmless, {found[OPEN]} not stopped"
    yield ""
    yield "| attack | basic | partial | full |"
    yield "|---|---|---|---|"
    for topic, attacks in TOPICS.items():
        yield f"| **{topic}** | | | |"
        for attack in attacks:
            yield f"| `{attack.id}` | " + " | ".join(_MARKS[result] for result in attack.second) + " |"


if __name__ == "__main__":
    main()
