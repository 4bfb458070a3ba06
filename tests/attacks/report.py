"""`make security`: run every attack guarded and free, on each isolation level, and write docs/attacks.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

from grader.base.files import write_atomically
from grader.running.sandbox import ISOLATION_LEVELS, highest_isolation
from tests.attacks.attack import HARMLESS, OPEN, STOPPED, Attack, Result, expected, fits
from tests.attacks.corpus import ATTACKS, TOPICS
from tests.attacks.harness import REPOSITORY, Outcome, Range

PAGE = REPOSITORY / "docs" / "attacks.md"
_MARKS: dict[Result, str] = {"stopped": "stopped", "harmless": "harmless", "not stopped": "**not stopped**"}

_INTRODUCTION = """\
# Attacks

Written by `make security` from `tests/attacks/corpus/`, never by hand. [SECURITY.md](../SECURITY.md) says what the
layers are; this page says what became of every attack that was tried.

Each attack is graded as a submission, once guarded, as people's answers run, and once with the guards taken away, so
that the sandbox has to hold it alone. Afterwards it is looked up whether a gradient passed that was not derived,
whether a secret stands in the report, a file was changed, a listening socket was reached, a process was left or another
one killed, whether the limit was kept, whether the report carries control characters or markup, and whether the next
submission gets the same report as ever, byte for byte.

*stopped*: refused, cut off or failed. *harmless*: it ran to its end and gained nothing. *not stopped*: it reached its
goal. The table is for Linux and a grader that runs as root, the worst case; `partial` is Landlock alone.
"""


def main() -> None:
    """Run all modes that this machine offers; exit 1 where an attack does not end as its data say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("guarded", "free"), help="one of them; all by default")
    parser.add_argument("--level", choices=ISOLATION_LEVELS, help="one level; all that the machine has by default")
    parser.add_argument("--only", default="", help="attacks whose id contains this; writes no tables")
    asked = parser.parse_args()
    chosen = [attack for attack in ATTACKS if asked.only in attack.id]
    wrong = 0
    for mode, level in configurations():
        if asked.mode in (None, mode) and asked.level in (None, level):
            wrong += run(mode, level, chosen)
    if not asked.only:
        write_atomically(PAGE, page())
        print(f"written: {PAGE.name}")
    sys.exit(1 if wrong else 0)


def configurations() -> list[tuple[str, str]]:
    """The ways and the levels that can be tried here."""
    levels = ISOLATION_LEVELS[: ISOLATION_LEVELS.index(highest_isolation()) + 1]
    return [(mode, level) for mode in ("guarded", "free") for level in levels]


def run(mode: str, level: str, attacks: list[Attack]) -> int:
    """Meet the attacks and print what is not as it must be; how many that are."""
    start, wrong, counted = time.monotonic(), 0, Counter[str]()
    words = f"{mode}, {level}"
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
    wanted = expected(attack, mode, level)
    seen = "; ".join(outcome.harm) or outcome.said
    return f"{attack.id}: {outcome.result}, expected {wanted} ({seen[:300]!r}, {outcome.seconds} s)"


def page() -> str:
    """The whole of docs/attacks.md, made from the corpus."""
    return "\n".join([*_head(), *_holes(), *_table(), ""])


def _head() -> Iterator[str]:
    yield _INTRODUCTION
    yield f"- {len(ATTACKS)} attacks, guarded: {_figures('guarded', 'basic')}."
    yield from (f"- The sandbox alone on `{level}`: {_figures('free', level)}." for level in ISOLATION_LEVELS)
    yield ""


def _figures(mode: str, level: str) -> str:
    found = Counter(expected(attack, mode, level) for attack in ATTACKS)
    return ", ".join(f"{found[result]} {result}" for result in (STOPPED, HARMLESS, OPEN))


def _holes() -> Iterator[str]:
    holes = [attack for attack in ATTACKS if attack.hole]
    if not holes:
        return
    yield f"**Known holes, {len(holes)}.** Guarded, these still reach their goal:"
    yield ""
    yield from (f"- `{attack.id}`: {attack.title} ({attack.hole})" for attack in holes)
    yield ""


def _table() -> Iterator[str]:
    yield "| attack | | guarded | free: basic | partial | full |"
    yield "|---|---|---|---|---|---|"
    for topic, attacks in TOPICS.items():
        yield f"| **{topic}** | | | | | |"
        for attack in attacks:
            marks = (_MARKS[expected(attack, "guarded", "basic")], *(_MARKS[result] for result in attack.sandbox))
            yield f"| `{attack.id}` | {attack.title} | " + " | ".join(marks) + " |"


if __name__ == "__main__":
    main()
