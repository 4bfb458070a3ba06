"""Runs an answer again where its text did not tell all that it does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from grader.judging.judge import InTrial, Judge
from grader.judging.verdicts import Seen, seen_in_trial
from grader.lesson.trials import Trial
from grader.reading.cautions import remade_names
from grader.reading.observed import as_observed, held_elsewhere, places_of, worth_watching
from grader.reading.plan import make_plan
from grader.reading.submission import Part


class Runs:
    """What an answer handed over in the four trials: the one that decides, the lesson's own data (`shown`), random
    gradients from above (`probe`) and other sizes. Each is compared with the truth once."""

    def __init__(self, trials: Sequence[InTrial]) -> None:
        self.decisive, self.shown, self.probe, self.sizes = trials
        self._seen: dict[str, tuple[Seen, Seen, Seen]] = {}

    def seen(self, name: str) -> tuple[Seen, Seen, Seen]:
        """The gradient of `name` where it decides, with random gradients from above, and at other sizes."""
        if name not in self._seen:
            decisive, probe = seen_in_trial(name, *self.decisive), seen_in_trial(name, *self.probe)
            self._seen[name] = decisive, probe, seen_in_trial(name, *self.sizes)
        return self._seen[name]

    def wrong(self, gradients: Collection[str]) -> list[str]:
        """Those of the `gradients` that are not right in each of these."""
        return sorted(name for name in gradients if not all(seen.right for seen in self.seen(name)))


def run_as_written(judge: Judge, part: Part, trials: tuple[Trial, Trial, Trial, Trial]) -> Runs:
    """What an answer hands over in each of the `trials`, judged as running it shows that it must be.

    The plan of the judge is then the one that it went by.
    """
    runs = Runs(judge.run_at_once(trials))
    if judge.lost:
        return runs  # to run again what hangs or kills would cost as long again
    if (observed := _follow_observed(judge, part, runs, trials[0])) is not None:
        part, runs = observed, Runs(judge.run_at_once(trials))
    wrong = runs.wrong(_gradients(judge))
    remade = frozenset(remade_names(part.analysis, judge.plan, wrong)) if wrong else frozenset[str]()
    if not remade:
        return runs
    plan, differs, shares = judge.plan, judge.forward_differs, judge.shares
    judge.follow(make_plan(part.analysis, part.exercise, plan.attempts, remade), shares=shares, unkept=remade)
    again = Runs(judge.run_at_once(trials))
    if {*again.wrong(_gradients(judge))} <= {*wrong}:
        return again
    judge.follow(plan, shares=shares)
    judge.forward_differs = differs
    return runs


def _gradients(judge: Judge) -> set[str]:
    return judge.plan.attempts.keys() - judge.plan.definitions.keys()


def _follow_observed(judge: Judge, part: Part, runs: Runs, trial: Trial) -> Part | None:
    """The part as it was seen to run, where a gradient is wrong and the text does not tell which statements make and
    change it, or what else holds it, and where a right one is changed after its last line; the judge follows that."""
    wrong = runs.wrong(_gradients(judge))
    watched = worth_watching(part, judge.plan, wrong)
    if not wrong and not watched:
        return None
    changes = {}
    if watched:
        names = {name for index in watched for name in part.analysis.effects[index].writes}
        changes = judge.observe(watched, names | places_of(part, judge.plan), trial)
    found, shares = as_observed(part, judge.plan, wrong, changes), bool(wrong) and held_elsewhere(part)
    if found is part and not shares:
        return None
    judge.follow(make_plan(found.analysis, part.exercise, found.attempts), shares=shares)
    return found
