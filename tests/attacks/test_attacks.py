"""Hostile submissions: each ends as its data say, whichever layer it meets; `make security` runs them all."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from grader.running.sandbox import ISOLATION_LEVELS, highest_isolation
from tests.attacks.attack import OPEN, STOPPED, Attack, fits
from tests.attacks.corpus import ATTACKS, TOPICS
from tests.attacks.harness import HARMS, Range
from tests.attacks.report import PAGE, described, deviating, page, read

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for harm in /proc, which Linux has")

LOUD = {
    "credit": "read-solution",
    "secret": "read-secret-file",
    "write": "write-file",
    "network": "net-tcp",
    "process": "run-daemon",
    "victim": "end-kill-other",
    "output": "forge-stdout",
    "grader": "end-kill-judge",
}
"""For each harm that the harness looks for, an attack that does it on the lowest level without guards."""

STOPPED_BY_GUARDS = [attack for attack in ATTACKS if attack.guards == STOPPED]
EVERY_ONE_OF = 8
"""Of those that the guards stop, CI tries so many; `make security` tries all, on every level."""


def deviations(mode: str, level: str, attacks: list[Attack]) -> list[str]:
    with Range(mode, level) as place:
        met = zip(attacks, place.meet(attacks), strict=True)
        return [described(a, mode, level, o) for a, o in met if not fits(a, mode, level, o.result)]


# ---- The corpus ----


def test_the_corpus_is_as_large_as_promised_and_names_each_attack_once() -> None:
    counted = Counter(attack.id for attack in ATTACKS)
    assert len(counted) == len(ATTACKS) >= 60
    assert all(TOPICS.values())
    assert all(bool(attack.lines) != bool(attack.make) for attack in ATTACKS)
    titles = Counter(attack.title for attack in ATTACKS)
    assert [title for title, number in titles.items() if number > 1] == []


def test_on_the_highest_level_only_the_complex_step_is_left_to_the_guards() -> None:
    left = {attack.id for attack in ATTACKS if attack.sandbox[-1] == OPEN and not attack.hole}
    assert left == {"tunnel-complex-numpy"}


def test_a_higher_level_stops_no_less() -> None:
    worse = [a.id for a in ATTACKS for low, high in zip(a.sandbox, a.sandbox[1:], strict=False) if high == OPEN != low]
    assert worse == []


def test_the_page_of_attacks_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    seen = read(text)
    assert {key[0] for key in seen} == {attack.id for attack in ATTACKS}, "run `make security`: attacks have changed"
    assert text == page(seen)
    assert deviating(seen) == []


# ---- The layers ----


def test_each_harm_is_seen_where_nothing_stops_it() -> None:
    assert LOUD.keys() == set(HARMS) - {"slow", "others", "text"}
    attacks = {attack.id: attack for attack in ATTACKS}
    with Range("free", "basic") as place:
        for harm, outcome in zip(LOUD, place.meet(attacks[loud] for loud in LOUD.values()), strict=True):
            assert any(seen.startswith(harm) for seen in outcome.harm), (harm, outcome)


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("level", sorted({"basic", highest_isolation()}))
def test_guarded_no_attack_reaches_its_goal(level: str, half: int) -> None:
    passed = [attack for attack in ATTACKS if attack.guards != STOPPED]
    tried = passed if level != "basic" else []
    assert deviations("guarded", level, (tried + STOPPED_BY_GUARDS[::EVERY_ONE_OF])[half::2]) == []


@pytest.mark.slow
@pytest.mark.parametrize("level", ISOLATION_LEVELS)
def test_the_sandbox_alone(level: str) -> None:
    if ISOLATION_LEVELS.index(level) > ISOLATION_LEVELS.index(highest_isolation()):
        pytest.skip(f"this machine offers {highest_isolation()}, not {level}")
    every = EVERY_ONE_OF if level == highest_isolation() else 4 * EVERY_ONE_OF
    assert deviations("free", level, STOPPED_BY_GUARDS[ISOLATION_LEVELS.index(level) :: every]) == []
