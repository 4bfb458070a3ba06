"""Run a learner's loop beside the lesson's, and gather the evidence on its loss and its parameters."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace

from grader.diagnosing import UNEXPLAINED
from grader.judging.judge import Judge
from grader.judging.loop_findings import AS_THE_LESSON_SAYS, LoopEvidence, findings_of, first_departure
from grader.judging.loop_repair import repair_lines
from grader.judging.loops import AT_FIRST, LoopTrial, wrong_record
from grader.judging.verdicts import LASTING, Evidence, Finding, Place
from grader.lesson.trials import as_written, other_data, other_sizes
from grader.reading.loop_lines import LoopLines
from grader.reading.loop_plan import STEPS, LoopPlan, plan_loop
from grader.reading.plan import short_texts
from grader.reading.submission import Part
from grader.running.sandbox import Launcher
from grader.running.settings import Settings
from grader.syntax.loops import why_not_stepwise
from grader.truth.truths import KnownTruths


def evidence_of_loop(
    part: Part, launcher: Launcher, known: KnownTruths, chosen: Settings
) -> tuple[list[Evidence], tuple[int, str] | None, bool]:
    """What is known of the loss and of each parameter, which step is wrong first, and whether there is a loop."""
    exercise, seed, device = part.exercise, chosen.seed, chosen.device
    plan = plan_loop(part.analysis, exercise)
    if plan is None:
        return [Evidence(name, exercise.label(name)) for name in exercise.after_a_step], None, False
    at = Place.of(plan.loop_statement, plan.loop_line())
    refused = _unreadable(part, plan) or _not_stepwise(plan, at) or _other_network(plan, at)
    if refused is not None:
        return [_evidence(name, plan, refused) for name in exercise.after_a_step], None, True
    written, moments, apart = plan.whole_numbers(), plan.moments(), plan.gradients_apart()
    own = plan.numbers() if plan.is_own else None
    with closing(Judge(launcher, plan.plan(), known, chosen.limits.seconds, guarded=chosen.guarded)) as judge:
        decisive = LoopTrial(exercise, other_data(seed, device), known, written, moments=moments, own_rates=own)
        shown = LoopTrial(exercise, as_written(device), known, moments=moments, few=True, own_rates=own)
        resized = other_sizes(exercise, seed, device)
        sizes = LoopTrial(exercise, resized, known, moments=moments, few=True, own_rates=own)
        probing = other_data(seed, device, "probe")
        probe = LoopTrial(exercise, probing, known, probed=apart, decisive=decisive, own_rates=own)
        judge.run_loops([decisive, shown, sizes, probe])
        decisive, shown, sizes = _in_full(judge, plan, (decisive, shown, sizes))
        decisive = _lasting(judge, decisive)
    _repair_culprit(launcher, plan, decisive, judge.deadline)
    found = LoopEvidence(plan, decisive, sizes, probe)
    findings = findings_of(found, tuple(exercise.after_a_step.values()))
    evidence = [
        _with_figures(_evidence(name, plan, replace(findings[tensor], place=findings[tensor].place or at)), shown)
        for name, tensor in exercise.after_a_step.items()
    ]
    return evidence, first_departure(found), True


def _in_full(judge: Judge, plan: LoopPlan, drawn: tuple[LoopTrial, ...]) -> tuple[LoopTrial, ...]:
    """Trials of fewer steps, each of which runs, where the loop is right in these and went wrong only after some that
    were passed over: a rate or a count that it keeps from step to step went wrong by that."""
    departed = next((step for step in drawn[0].steps if step.departed), None)
    if not _is_wrong(drawn[0]) or (departed is not None and departed.step < AT_FIRST):
        return drawn
    if (count := plan.steps_in_full()) is None:
        return drawn
    trials = [replace(trial.trial, parameters={**trial.trial.parameters, STEPS: count}) for trial in drawn]
    full = [LoopTrial(plan.exercise, trial, judge.known, in_full=True) for trial in trials]
    judge.run_loops(full[:1])
    if _is_wrong(full[0]):
        return drawn
    judge.run_loops(full[1:])
    return tuple(full)


def _is_wrong(trial: LoopTrial) -> bool:
    """Whether the loop is not right in each step."""
    count = trial.reference.count
    if trial.failure is not None or trial.waiting or trial.counted != count or not trial.steps:
        return True
    wrong = any(step.departed or step.truth.redrawn for step in trial.steps)
    return wrong or wrong_record(trial.steps, trial.exercise.losses_name, count) is not None


def _lasting(judge: Judge, drawn: LoopTrial) -> LoopTrial:
    """A trial with the same departures as the one that was `drawn`, and figures that are the same at each run."""
    if drawn.failure is None and not any(step.departed for step in drawn.steps):
        return drawn
    trial = other_data(LASTING, str(drawn.trial.parameters["device"]))
    lasting = LoopTrial(
        drawn.exercise, trial, judge.known, drawn.written, moments=drawn.moments, own_rates=drawn.own_rates
    )
    judge.run_loops([lasting])
    tensors = drawn.exercise.after_a_step.values()
    alike = all((drawn.first(name) is None) == (lasting.first(name) is None) for name in tensors)
    return lasting if alike and (drawn.failure is None) == (lasting.failure is None) else drawn


def _evidence(name: str, plan: LoopPlan, found: Finding) -> Evidence:
    first = next(iter(plan.exercise.after_a_step))
    text = short_texts(plan.statements) if name == first else []  # one loop answers to all
    return Evidence(name, plan.exercise.label(name), text, plan.statement, found)


def _with_figures(evidence: Evidence, shown: LoopTrial) -> Evidence:
    name = shown.exercise.after_a_step[evidence.name]
    if name not in shown.maxdiff:
        return evidence
    largest = shown.maxdiff[name]
    figures = shown.exact[name], shown.first(name) is None, largest if math.isfinite(largest) else 0.0
    return replace(evidence, figures=figures)


def _unreadable(part: Part, plan: LoopPlan) -> Finding | None:
    """A line in the loop that cannot be read, where there is one: without it this is another loop."""
    statement = plan.loop_statement
    for bad in part.analysis.source.bad_lines:
        for loop in plan.loops_there:
            first, last = (statement.cell.line + line - 1 for line in (loop.lineno, loop.end_lineno or loop.lineno))
            if bad.cell == statement.cell.number and first <= bad.line <= last + 1:
                return Finding.unreadable(bad)
    return None


def _not_stepwise(plan: LoopPlan, at: Place) -> Finding | None:
    """A loop that only a full run could judge is told at once, and not after it has used up its time."""
    for loop in plan.all_loops:
        if (reason := why_not_stepwise(loop, plan.exercise.forward_names, plan.exercise.trained)) is not None:
            said = f"The loop cannot be run step by step: {reason}. {AS_THE_LESSON_SAYS}"
            return Finding("error", said, "no-loop", at)
    return None


def _other_network(plan: LoopPlan, at: Place) -> Finding | None:
    """A loop over parameters that lie elsewhere than under the lesson's names: nothing of it can be compared."""
    if 2 * len(plan.unmade) <= len(plan.exercise.trained):
        return None
    said = (
        f"The parameters of this loop have other names: there is no {', '.join(plan.unmade)} to compare after a step. "
        f"Give them the lesson's names, or make your layers of tensors with these names: Linear({plan.unmade[0]}, ...)."
    )
    return Finding("error", said, "undefined-name", at)


def _repair_culprit(launcher: Launcher, plan: LoopPlan, trial: LoopTrial, deadline: float) -> None:
    """Where no detector knows what is wrong with the first wrong gradient, or which of its lines is to blame,
    try edits of these lines."""
    departed = next((step for step in trial.steps if step.departed), trial.broken)
    culprit = None if departed is None else departed.culprit
    if departed is None or culprit is None or not culprit.gradient:
        return
    spots = LoopLines(plan).all_of_gradient(culprit.tensor)
    unexplained = culprit.diagnosis.mistake in UNEXPLAINED
    if not unexplained and len(spots) < 2:
        return
    told = culprit.diagnosis.message
    better, place = repair_lines(launcher, plan, culprit.tensor, spots, told, trial.trial, deadline)
    if place is not None:
        trial.mended_at[culprit.tensor] = place
    for step in [*trial.steps, departed]:
        if unexplained and better is not None and step.culprit is not None and step.culprit.label == culprit.label:
            step.culprit = replace(culprit, diagnosis=better)
