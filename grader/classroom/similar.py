"""Near-identical answers: lines that agree, weighed by how rare each line is.

A line counts -log2(its share) bits, where the share is taken among those who have an answer to that gradient. Of
each gradient the rarest line counts. What the lessons say, and what more than a quarter wrote, counts nothing.
"""

from __future__ import annotations

import builtins
import heapq
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any

from grader.classroom.normal_form import Line, normal_line, simple_statements
from grader.lesson.exercise import all_exercises
from grader.lesson.tracks import track_name
from grader.reading.plan import PROVIDED_MODULES

FEWEST_SUBMISSIONS = 8
"""With fewer there is no telling what is common."""

COMMON_SHARE = 0.25
LEAST_OVERLAP = 0.6
"""Of the bits of the smaller of two answers: who wrote most of it alone is not near-identical."""

MARGIN_BITS = 10.0
"""Beyond log2 of the number of pairs: were lines independent, one class in a thousand would show a pair by chance.

No two gradients reach that: a line that two share counts log2(n) - 1 bits at most.
"""

_SMALL_POSTING = 16
_ROUNDS, _BAND = 16, 3
"""Hash tables, and lines in a key: with 9 of 10 rare lines in common a pair shares no key once in 10^9."""

Gradient = tuple[str, str]
"""Exercise and name."""

Key = tuple[str, str, str]
"""Exercise, gradient and the line's normal form."""


@dataclass(frozen=True)
class SharedLine:
    """A line of a group: how many of its members have it, how many of `among` submissions, and what that counts."""

    exercise: str
    name: str
    text: str
    members: int
    everywhere: int
    among: int
    bits: float


@dataclass(frozen=True)
class Group:
    """Submissions whose answers agree where agreement is rare; `keys` and `bits` are of lines most of them share."""

    members: tuple[int, ...]
    bits: float
    keys: tuple[Key, ...]

    @property
    def gradients(self) -> int:
        """How many gradients these lines belong to."""
        return len({key[:2] for key in self.keys})


@dataclass(frozen=True)
class Lines:
    """What a submission's answers say: `texts` by normal form, the learner's own, and the gradients it `answered`."""

    texts: Mapping[Key, str]
    answered: frozenset[Gradient]


def lines_of(submissions: Sequence[Mapping[str, Any]]) -> Lines:
    """The lines of one person's answers, less those that the lessons have too; `submissions` as in a report.

    A line belongs to the gradient that it assigns to, where it is one, else to the answer that needs it.
    """
    texts: dict[Key, str] = {}
    seen: set[str] = set()
    answered = set()
    for graded in submissions:
        exercise, names = str(graded["exercise"]), [str(verdict["name"]) for verdict in graded["verdicts"]]
        known = vocabulary(track := track_name(exercise))
        seen |= _lesson_forms(track)
        answers = [_answer(verdict, known) for verdict in graded["verdicts"]]
        renamed = _own_gradients(graded["verdicts"], answers, known)
        for name, answer in zip(names, answers, strict=True):
            for text, line in answer:
                line = _renamed(text, renamed, known) or line
                gradient = line.target[1:] if line.target[1:] in names else name
                answered.add((exercise, gradient))
                if line.form not in seen:
                    seen.add(line.form)
                    texts[exercise, gradient, line.form] = text
    return Lines(texts, frozenset(answered))


def _own_gradients(
    verdicts: Sequence[Mapping[str, Any]], answers: Sequence[Sequence[tuple[str, Line]]], known: frozenset[str]
) -> dict[str, str]:
    """The learner's own names for gradients, and what the exercise calls them: what an answer writes last."""
    last = {
        answer[-1][1].target: f"d{verdict['name']}"
        for verdict, answer in zip(verdicts, answers, strict=True)
        if answer and verdict.get("label") != verdict["name"]  # as what a loop or a function gives is called
    }
    return {target: name for target, name in last.items() if target and target not in known}


def _renamed(text: str, names: Mapping[str, str], known: frozenset[str]) -> Line | None:
    """The line with the exercise's names for gradients; None where it has them already."""
    if not any(name in text for name in names):
        return None
    pattern = r"\b(" + "|".join(map(re.escape, names)) + r")\b"
    return normal_line(re.sub(pattern, lambda match: names[match[1]], text), known)


def _answer(verdict: Mapping[str, Any], known: frozenset[str]) -> list[tuple[str, Line]]:
    texts = [text for statement in verdict.get("answer") or () for text in simple_statements(str(statement))]
    return [(text, line) for text in texts if (line := normal_line(text, known)) is not None]


@lru_cache
def vocabulary(track: str) -> frozenset[str]:
    """The names that mean the same in every submission to a track."""
    exercises = [exercise for exercise in all_exercises() if exercise.track == track]
    tensors = {name for e in exercises for name in (*e.forward_names, *e.network_names, *e.setup_names)}
    return frozenset({*tensors, *(f"d{name}" for name in tensors), *dir(builtins), *PROVIDED_MODULES})


@lru_cache
def _lesson_forms(track: str) -> frozenset[str]:
    """Lines of a track's lessons, their solutions included where these are there: everyone may have them."""
    lessons = [exercise for exercise in all_exercises() if exercise.track == track]
    cells = (cell for exercise in lessons for cell in exercise.cells if cell.kind == "code")
    found = (normal_line(text, vocabulary(track)) for cell in cells for text in simple_statements(cell.text))
    return frozenset(line.form for line in found if line is not None)


class Answers:
    """Collects the lines of many submissions, and finds those that agree. Holds numbers, no text."""

    def __init__(self) -> None:
        self._ids: dict[Key, int] = {}
        self._lines: list[tuple[int, ...]] = []
        self._answered: Counter[Gradient] = Counter()
        self._answering = 0

    def add(self, lines: Lines) -> None:
        """One submission; they are counted from 0 in the order of these calls."""
        self._lines.append(tuple(self._ids.setdefault(key, len(self._ids)) for key in lines.texts))
        self._answered.update(lines.answered)
        self._answering += bool(lines.answered)

    @property
    def enough(self) -> bool:
        """Whether enough people answered to tell a rare line from a common one."""
        return self._answering >= FEWEST_SUBMISSIONS

    def groups(self) -> list[Group]:
        """Groups of two or more, the most surprising first."""
        if not self.enough:
            return []
        least = math.log2(math.comb(self._answering, 2)) + MARGIN_BITS
        return _Search(self._lines, list(self._ids), self._answered, least).groups()

    def shared_lines(self, group: Group, texts: Mapping[Key, str]) -> list[SharedLine]:
        """The lines of a group with their figures, the rarest first; `texts` are those of one member."""
        counts = Counter(number for lines in self._lines for number in lines)
        inside = Counter(number for member in group.members for number in self._lines[member])
        shown = []
        for key in group.keys:
            number, among = self._ids[key], self._answered[key[:2]]
            if key in texts:
                bits = math.log2(among / counts[number])
                shown.append(SharedLine(*key[:2], texts[key], inside[number], counts[number], among, bits))
        return sorted(shown, key=lambda line: -line.bits)


class _Search:
    """One search: rare lines only, candidates from shared lines and shared hashes, links, groups."""

    def __init__(
        self, lines: Sequence[tuple[int, ...]], keys: Sequence[Key], answered: Mapping[Gradient, int], least_bits: float
    ) -> None:
        counts = Counter(number for own in lines for number in own)
        self.keys, self.least_bits = keys, least_bits
        self.gradient = [key[:2] for key in keys]
        self.bits = {
            number: math.log2(answered[self.gradient[number]] / count)
            for number, count in counts.items()
            if count <= max(2, COMMON_SHARE * answered[self.gradient[number]])
        }
        self.rare = [frozenset(number for number in own if number in self.bits) for own in lines]
        self.weight = [self._weigh(own) for own in self.rare]
        self.able = [index for index, weight in enumerate(self.weight) if weight >= least_bits]
        self.parent = list(range(len(lines)))

    def _weigh(self, numbers: Iterable[int]) -> float:
        """Bits. Of a gradient the rarest line counts: the lines of one answer come together."""
        rarest: dict[Gradient, float] = {}
        for number in numbers:
            gradient, bits = self.gradient[number], self.bits[number]
            if bits > rarest.get(gradient, 0.0):
                rarest[gradient] = bits
        return sum(rarest.values())

    def groups(self) -> list[Group]:
        for first, second in self._candidates():
            one, other = self._root(first), self._root(second)
            if one != other and self._agree(first, second):
                self.parent[one] = other
        linked = defaultdict(list)
        for index in self.able:
            linked[self._root(index)].append(index)
        return sorted((self._group(m) for m in linked.values() if len(m) > 1), key=lambda group: -group.bits)

    def _candidates(self) -> Iterator[tuple[int, int]]:
        """Pairs to look at: all that share a very rare line, and neighbours under hashes of their rare lines.

        The second finds many copies of one answer, whose lines are no longer very rare, without looking at all pairs.
        """
        postings = defaultdict(list)
        for index in self.able:
            for number in self.rare[index]:
                postings[number].append(index)
        for members in postings.values():
            if 2 <= len(members) <= _SMALL_POSTING:
                yield from combinations(members, 2)
        shared = {number for number, members in postings.items() if len(members) > 1}
        generator = random.Random(0)  # the same results give the same groups
        for _ in range(_ROUNDS):
            order = {number: generator.random() for number in sorted(shared)}
            buckets = defaultdict(list)
            for index in self.able:
                least = heapq.nsmallest(_BAND, self.rare[index] & shared, key=order.__getitem__)
                if len(least) == _BAND:
                    buckets[tuple(least)].append(index)
            for members in buckets.values():
                yield from pairwise(members)

    def _agree(self, first: int, second: int) -> bool:
        least = max(self.least_bits, LEAST_OVERLAP * min(self.weight[first], self.weight[second]))
        return self._weigh(self.rare[first] & self.rare[second]) >= least

    def _root(self, index: int) -> int:
        while self.parent[index] != index:
            self.parent[index] = self.parent[self.parent[index]]
            index = self.parent[index]
        return index

    def _group(self, members: list[int]) -> Group:
        held = Counter(number for member in members for number in self.rare[member])
        most = [number for number, count in held.items() if count >= max(2, len(members) / 2)]
        return Group(tuple(members), self._weigh(most), tuple(self.keys[number] for number in most))
