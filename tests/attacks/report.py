"""`make security`: run every attack guarded and free, on each isolation level, and write docs/attacks.md."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from grader.base.files import write_atomically
from grader.running.sandbox import ISOLATION_LEVELS, highest_isolation
from tests.attacks.attack import HARMLESS, OPEN, STOPPED, Attack, Result, expected, fits
from tests.attacks.corpus import ATTACKS, TOPICS
from tests.attacks.harness import REPOSITORY, Outcome, Range

PAGE = REPOSITORY / "docs" / "attacks.md"
MODES = ("guarded", "free")
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
goal. The run was on Linux, by a grader that runs as root, the worst case; `partial` is Landlock alone.
"""


Seen = dict[tuple[str, str, str], Result]
"""What became of each attack, by its id, the mode and the isolation level."""


def main() -> None:
    """Run all modes that this machine offers; exit 1 where an attack does not end as its data say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=MODES, help="one of them; all by default")
    parser.add_argument("--level", choices=ISOLATION_LEVELS, help="one level; all that the machine has by default")
    parser.add_argument("--only", default="", help="attacks whose id contains this; writes no tables")
    asked = parser.parse_args()
    chosen = [attack for attack in ATTACKS if asked.only in attack.id]
    here = ISOLATION_LEVELS[: ISOLATION_LEVELS.index(highest_isolation()) + 1]
    modes = MODES if asked.mode is None else (asked.mode,)
    ways = [(mode, level) for mode in modes for level in (here if asked.level is None else (asked.level,))]
    seen: Seen = {}
    with ThreadPoolExecutor(len(ways)) as pool:  # most of their time they wait
        for found in pool.map(lambda way: run(*way, chosen), ways):
            seen |= found
    if len(seen) == len(ATTACKS) * len(MODES) * len(ISOLATION_LEVELS):
        write_atomically(PAGE, page(seen))
        print(f"written: {PAGE.name}")
    sys.exit(1 if deviating(seen) else 0)


def run(mode: str, level: str, attacks: list[Attack]) -> Seen:
    """Meet the attacks, print what is not as it must be and how many ended how; what became of each."""
    start = time.monotonic()
    seen: Seen = {}
    with Range(mode, level) as place:
        for attack, outcome in zip(attacks, place.meet(attacks), strict=True):
            seen[attack.id, mode, level] = outcome.result
            if not fits(attack, mode, level, outcome.result):
                print(f"  {mode}, {level}: {described(attack, mode, level, outcome)}", flush=True)
    told = f"{mode}, {level}: {_figures(seen, mode, level)}; {len(deviating(seen))} not as expected"
    print(f"{told}; {time.monotonic() - start:.0f} s", flush=True)
    return seen


def deviating(seen: Seen) -> list[tuple[str, str, str]]:
    """What did not end as the attacks' data say."""
    attacks = {attack.id: attack for attack in ATTACKS}
    return [key for key, result in seen.items() if not fits(attacks[key[0]], key[1], key[2], result)]


def described(attack: Attack, mode: str, level: str, outcome: Outcome) -> str:
    """One line on an attack that did not end as it must."""
    wanted = expected(attack, mode, level)
    seen = "; ".join(outcome.harm) or outcome.said
    return f"{attack.id}: {outcome.result}, expected {wanted} ({seen[:300]!r}, {outcome.seconds} s)"


def page(seen: Seen) -> str:
    """The whole of docs/attacks.md, made from what one run saw."""
    return "\n".join([*_head(seen), *_holes(), *_table(seen), ""])


def read(text: str) -> Seen:
    """What the table of such a page says."""
    results = {mark: result for result, mark in _MARKS.items()}
    seen: Seen = {}
    for row in re.findall(r"^\| `([^`]+)` \| .* \| (.*) \| (.*) \| (.*) \| (.*) \|$", text, re.MULTILINE):
        guarded = row[1].split(" / ")
        marks = [*(guarded if len(guarded) > 1 else guarded * len(ISOLATION_LEVELS)), *row[2:]]
        keys = [(row[0], mode, level) for mode in MODES for level in ISOLATION_LEVELS]
        seen |= {key: results[mark] for key, mark in zip(keys, marks, strict=True)}
    return seen


def _head(seen: Seen) -> Iterator[str]:
    yield _INTRODUCTION
    yield f"{len(ATTACKS)} attacks, and what the run that wrote this page saw:"
    yield ""
    for mode, words in zip(MODES, ("Guarded", "The sandbox alone"), strict=True):
        yield from (f"- {words} on `{level}`: {_figures(seen, mode, level)}." for level in ISOLATION_LEVELS)
    yield ""


def _figures(seen: Seen, mode: str, level: str) -> str:
    found = Counter(result for (_, *where), result in seen.items() if where == [mode, level])
    return ", ".join(f"{found[result]} {result}" for result in (STOPPED, HARMLESS, OPEN))


def _holes() -> Iterator[str]:
    holes = [attack for attack in ATTACKS if attack.hole]
    if not holes:
        return
    yield f"**Known holes, {len(holes)}.** Guarded, these still reach their goal:"
    yield ""
    yield from (f"- `{attack.id}`: {attack.title} ({attack.hole})" for attack in holes)
    yield ""


def _table(seen: Seen) -> Iterator[str]:
    yield "| attack | | guarded | free: basic | partial | full |"
    yield "|---|---|---|---|---|---|"
    for topic, attacks in TOPICS.items():
        yield f"| **{topic}** | | | | | |"
        for attack in attacks:
            guarded, free = ([_MARKS[seen[attack.id, mode, level]] for level in ISOLATION_LEVELS] for mode in MODES)
            marks = (guarded[0] if len(set(guarded)) == 1 else " / ".join(guarded), *free)
            yield f"| `{attack.id}` | {attack.title} | " + " | ".join(marks) + " |"


if __name__ == "__main__":
    main()
