"""Grade mutants and count: refused, blamed, named."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from grader.judging.grade import Grader, settings
from grader.lesson.exercise import find_exercise
from grader.report.records import SubmissionReport
from tests.mutation.equivalence import VANISHING, Outcome, Standing, weigh
from tests.mutation.kinds import ALSO_TRUE, NEUTRAL
from tests.mutation.mutate import TRAINING, Mutant

SEED = 20
_STANDINGS: tuple[Standing, ...] = ("wrong", "note", "equal", "either")
_FROM_THE_LOSS = ("loss", "W2", "b2", "bngain", "bnbias", "W1", "b1", "C")


@dataclass(frozen=True)
class Said:
    """What the grader said of one gradient."""

    name: str
    status: str
    mistake: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.status}, {self.mistake}: {self.message}"


@dataclass(frozen=True)
class Graded:
    """A mutant, what plain torch found, and what the grader said."""

    mutant: Mutant
    outcome: Outcome
    said: tuple[Said, ...]

    @property
    def blamed(self) -> frozenset[str]:
        return frozenset(said.name for said in self.said if said.status != "pass")

    @property
    def expected(self) -> frozenset[str]:
        """In a training loop an edit shows in every parameter that it reaches; else in its own gradient."""
        if self.mutant.exercise != TRAINING:
            return self.mutant.blamed
        unseen = VANISHING & self.blamed if len(self.outcome.wrong) > 1 else frozenset()  # plain steps do not show it
        return self.outcome.wrong | unseen

    @property
    def raised(self) -> bool:
        return bool(self.outcome.facts & {"exception", "undefined-name"})

    @property
    def spoken(self) -> Said:
        """The verdict that counts: of a training loop the one nearest to the loss."""
        refused = [said for said in self.said if said.status != "pass"] or list(self.said)
        if self.mutant.exercise == TRAINING:
            refused.sort(key=lambda said: _FROM_THE_LOSS.index(said.name))
        return next((said for said in refused if said.name in self.expected), refused[0])

    @property
    def named(self) -> bool:
        """The id given is one of those whose explanation is true of the edit."""
        plain = {"exception", "undefined-name", "not-finite", "not-a-tensor"}
        if self.mutant.exercise == TRAINING:
            plain.add("vanishing")  # such a gradient has no numbers of its own in a loop that could say more
        right = (self.mutant.ids or frozenset()) | (self.outcome.facts & plain)
        right |= {"hardcoded-values"}  # measured: right on the lesson's own data alone
        return self.spoken.mistake in right

    @property
    def misnamed(self) -> bool:
        """The id given claims a mistake that this is not."""
        mistake = self.spoken.mistake
        true = NEUTRAL | self.outcome.facts | ALSO_TRUE.get(self.mutant.kind, frozenset())
        return mistake is not None and not self.named and mistake not in true


def words(found: list[Graded]) -> str:
    """For who reads a failed test: each edit, and what was said of it."""
    return "\n".join(f"{graded.mutant.kind}: {graded.mutant.said}\n    {graded.spoken}" for graded in found)


@dataclass(frozen=True)
class Figures:
    """Counts over some mutants. Those that are right after all are not in `wrong`."""

    total: int
    wrong: list[Graded]
    notes: list[Graded]
    equal: list[Graded]
    either: list[Graded]

    @classmethod
    def of(cls, graded: Sequence[Graded]) -> Figures:
        by = {s: [g for g in graded if g.outcome.standing == s] for s in _STANDINGS}
        return cls(len(graded), *by.values())

    @property
    def accepted(self) -> list[Graded]:
        """Wrong answers that passed: there must be none."""
        return [g for g in self.wrong if not g.blamed]

    @property
    def refused_equal(self) -> list[Graded]:
        """Right answers that did not pass, or passed with a word about a mistake: there must be none."""
        return [g for g in self.equal if g.blamed or any(said.mistake for said in g.said)]

    @property
    def refused_notes(self) -> list[Graded]:
        """Right for this loss only: to pass, with a note."""
        return [g for g in self.notes if g.blamed or not any(said.mistake for said in g.said)]

    @property
    def misblamed(self) -> list[Graded]:
        return [g for g in self.wrong if g.blamed != g.expected]

    @property
    def nameable(self) -> list[Graded]:
        """Wrong answers of a kind with an id, which ran to their end: an exception names itself."""
        return [g for g in self.wrong if g.mutant.ids is not None and not g.raised]

    @property
    def unnamed(self) -> list[Graded]:
        return [g for g in self.nameable if not g.named and not g.misnamed]

    @property
    def misnamed(self) -> list[Graded]:
        return [g for g in self.wrong if g.misnamed]

    @property
    def blamed_share(self) -> float:
        return 1 - len(self.misblamed) / max(len(self.wrong), 1)

    @property
    def named_share(self) -> float:
        return sum(g.named for g in self.nameable) / max(len(self.nameable), 1)

    @property
    def misnamed_share(self) -> float:
        return len(self.misnamed) / max(len(self.wrong), 1)


def grade_one(grader: Grader, exercise: str, text: str) -> tuple[Said, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "submission.py")
        path.write_text(text, encoding="utf-8")
        reports: list[SubmissionReport] = grader.grade_file(path, exercise)
    others = find_exercise(exercise).definitions  # functions and classes are not edited here
    return tuple(Said(v.name, v.status, v.mistake, v.message) for v in reports[0].verdicts if v.name not in others)


def grade_all(mutants: Sequence[Mutant], processes: int = 2) -> list[Graded]:
    """Grade mutants in processes of their own, each with its own warm grader."""
    torch.set_num_threads(1)
    jobs = [(mutant.exercise, mutant.text) for mutant in mutants]
    with multiprocessing.get_context("spawn").Pool(processes, _start) as pool:
        said = pool.imap(_grade, jobs, chunksize=8)
        return [Graded(mutant, weigh(mutant), answer) for mutant, answer in zip(mutants, said, strict=True)]


def grade_here(mutants: Iterable[Mutant], grader: Grader) -> list[Graded]:
    return [Graded(m, weigh(m), grade_one(grader, m.exercise, m.text)) for m in mutants]


_grader: Grader | None = None


def _start() -> None:
    global _grader
    _grader = Grader(settings(seed=SEED, device="cpu"))


def _grade(job: tuple[str, str]) -> tuple[Said, ...]:
    assert _grader is not None
    return grade_one(_grader, *job)
