"""`make mutants`: how many wrong answers are refused, blamed on the right gradient, and named rightly."""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from grader.lesson.exercise import find_exercise
from tests.mutation.grading import SEED, Figures, Graded, grade_all
from tests.mutation.kinds import WHY_EQUAL
from tests.mutation.mutate import ATOMS, TRAINING, double, lessons, single


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exercise", help="such as makemore/ex1; all lessons of all tracks by default")
    parser.add_argument("--limit", type=int, help="at most so many single mutants of each exercise")
    parser.add_argument("--double", type=int, default=1000, metavar="N", help="mutants with two edits (1000)")
    parser.add_argument("--seed", type=int, default=SEED, help="draws the mutants")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    start = time.monotonic()
    wanted = [find_exercise(asked.exercise).id] if asked.exercise else [*lessons(), TRAINING]
    singles: list[Graded] = []
    for exercise in wanted:
        mutants = single(exercise, random.Random(asked.seed))[: asked.limit]
        singles += (graded := grade_all(mutants, asked.processes))
        print(figures(exercise, Figures.of(graded)), flush=True)
        if exercise == ATOMS and asked.double:
            wrong = [g.mutant for g in graded if g.outcome.standing == "wrong"]
            pairs = grade_all(double(wrong, asked.double, random.Random(asked.seed)), asked.processes)
            print(pair_figures(Figures.of(pairs)), flush=True)
    if len(wanted) > 1:
        print(figures("all", Figures.of(singles)))
    print(details(Figures.of(singles)))
    if ATOMS in wanted and asked.double:
        print(listed("two edits, blamed otherwise", Figures.of(pairs).misblamed, expected))
    print(f"\n{time.monotonic() - start:.0f} s")


def figures(title: str, found: Figures) -> str:
    wrong, nameable = len(found.wrong), len(found.nameable)
    raised = sum(g.raised for g in found.wrong)
    right = f"{len(found.equal)} are right after all, {len(found.notes)} for this loss"
    return "\n".join(
        [
            f"{title}: {found.total} mutants; {right}, {len(found.either)} in another order of the cells",
            f"  refused        {wrong - len(found.accepted)} of {wrong}",
            f"  blamed exactly {found.blamed_share:.1%} ({len(found.misblamed)} not)",
            f"  named rightly  {found.named_share:.1%} of the {nameable} whose kind has an id; {raised} more raise",
            f"  named wrongly  {found.misnamed_share:.1%} ({len(found.misnamed)})",
        ]
    )


def pair_figures(found: Figures) -> str:
    wrong = len(found.wrong)
    return (
        f"two edits: {found.total} mutants\n  refused        {wrong - len(found.accepted)} of {wrong}\n"
        f"  blamed exactly {found.blamed_share:.1%} ({len(found.misblamed)} not)"
    )


def details(found: Figures) -> str:
    return "\n".join(
        [
            listed("wrong, and passed", found.accepted),
            listed("right, and refused or spoken of", found.refused_equal, every_word),
            listed("right for this loss only, and refused or passed without a note", found.refused_notes),
            listed("blamed otherwise", found.misblamed, expected),
            listed("named wrongly", found.misnamed),
            listed("not named", found.unnamed),
            listed("undefined from top to bottom, right in another order of the cells", found.either),
            equal(found.equal),
        ]
    )


def every_word(graded: Graded) -> str:
    return "; ".join(str(said) for said in graded.said if said.mistake or said.status != "pass")


def expected(graded: Graded) -> str:
    return f"expected {sorted(graded.expected)}, blamed {sorted(graded.blamed)}"


def listed(
    title: str, found: Iterable[Graded], words: Callable[[Graded], str] = lambda graded: str(graded.spoken)
) -> str:
    """Mutants by kind and by the id given, each with its edit and what was said."""
    groups: dict[tuple[str, str], list[Graded]] = defaultdict(list)
    for graded in found:
        groups[graded.mutant.kind, str(graded.spoken.mistake)].append(graded)
    lines = [f"\n== {title}: {sum(map(len, groups.values()))}"]
    for (kind, mistake), members in sorted(groups.items(), key=lambda item: -len(item[1])):
        lines.append(f"-- {kind} -> {mistake} ({len(members)})")
        for graded in members:
            lines.append(f"   {graded.mutant.exercise.split('_')[0].split('/')[1]} {graded.mutant.said}")
            lines.append(f"       {words(graded)}")
    return "\n".join(lines)


def equal(found: Iterable[Graded]) -> str:
    groups: dict[str, list[Graded]] = defaultdict(list)
    for graded in found:
        groups[graded.mutant.kind].append(graded)
    lines = [f"\n== right after all: {sum(map(len, groups.values()))}"]
    for kind, members in sorted(groups.items()):
        lines.append(f"-- {kind} ({len(members)}): {WHY_EQUAL.get(kind, 'it gives the same numbers')}")
        lines += [f"   {graded.mutant.said}" for graded in members]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
