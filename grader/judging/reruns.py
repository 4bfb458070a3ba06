"""Runs an answer again where its text did not tell all that it does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from grader.judging.judge import InTrial, Judge
from grader.judging.verdicts import seen_in_trial
from grader.lesson.trials import Trial
from grader.reading.cautions import remade_names
from grader.reading.observed import as_observed, held_elsewhere, places_of, worth_watching
from grader.reading.plan import make_plan
from grader.reading.submission import Part


def run_as_written(judge: Judge, part: Part, trials: tuple[Trial, Trial, Trial, Trial]) -> Sequence[InTrial]:
    """What an answer hands over in each of the `trials`, judged as running it shows that it must be.

    The plan of the judge is then the one that it went by.
    """
    runs = judge.run_at_once(trials)
    if (observed := _follow_observed(judge, part, runs, trials[0])) is not None:
        part, runs = observed, judge.run_at_once(trials)
    wrong = wrong_in(runs, _gradients(judge))
    remade = frozenset(remade_names(part.analysis, judge.plan, wrong)) if wrong else frozenset[str]()
    if not remade:
        return runs
    plan, differs, shares = judge.plan, judge.forward_differs, judge.shares
    judge.follow(make_plan(part.analysis, part.exercise, plan.attempts, remade), shares=shares, unkept=remade)
    again = judge.run_at_once(trials)
    if {*wrong_in(again, _gradients(judge))} <= {*wrong}:
        return again
    judge.follow(plan, shares=shares)
    judge.forward_differs = differs
    return runs


def wrong_in(runs: Sequence[InTrial], gradients: Collection[str]) -> list[str]:
    """Those of the `gradients` that are not right in every trial."""
    return sorted(name for name in gradients if not all(seen_in_trial(name, *run).right for run in runs))


def _gradients(judge: Judge) -> set[str]:
    return judge.plan.attempts.keys() - judge.plan.definitions.keys() - judge.lost.keys()


def _follow_observed(judge: Judge, part: Part, runs: Sequence[InTrial], trial: Trial) -> Part | None:
    """The part as it was seen to run, where a gradient is wrong and the text does not tell which statements make and
    change it, or what else holds it, and where a right one is changed after its last line; the judge follows that."""
    wrong = wrong_in(runs, _gradients(judge))
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
