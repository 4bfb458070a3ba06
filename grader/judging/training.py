"""Grade a training loop against the same loop run by autograd, step by step."""

from __future__ import annotations

import time

from torch import Tensor

from grader.admission.static_check import AUTOGRAD
from grader.diagnosing import UNEXPLAINED, Diagnosis, Mismatch, diagnose
from grader.judging.judge import SETUP_SECONDS, STATEMENT_SECONDS, StepFailed, next_message, sane
from grader.judging.settings import Settings
from grader.judging.training_repair import repair_line
from grader.judging.training_steps import Outcome, Reference, StepComparison, common_progress, compare_step
from grader.judging.verdicts import NOT_ATTEMPTED, Place, failed
from grader.lesson.exercise import Exercise
from grader.lesson.program import program_of
from grader.lesson.trials import Trial, as_written, other_data, other_sizes
from grader.reading.plan import short_texts
from grader.reading.submission import Part
from grader.reading.training_plan import TrainingPlan, plan_training
from grader.report.records import SubmissionReport, Verdict
from grader.running.protocol import Done, Failure, LoopStep, NameRules, Running, StepRequest, Train, Truths
from grader.running.sandbox import Launcher, Worker
from grader.syntax.loops import why_not_stepwise
from grader.syntax.source import Statement

_AS_THE_LESSON_SAYS = "Write it as `for step in tqdm(range(max_steps)):`."


def grade_training(part: Part, report: SubmissionReport, launcher: Launcher, chosen: Settings) -> None:
    """Fill `report` with a verdict for the loss and for each trained parameter."""
    exercise, seed, device = part.exercise, chosen.seed, chosen.device
    deadline = time.monotonic() + chosen.limits.seconds
    report.verdicts = [Verdict(name, message=NOT_ATTEMPTED, label=name) for name in exercise.graded]
    plan = plan_training(part.analysis, exercise)
    if plan is None:
        report.attempted = False
        return
    for verdict in report.verdicts:
        place(verdict, plan.statement, plan.loop_line())
    report.verdicts[0].answer = short_texts(plan.statements)  # the loop is one answer to all of them
    if (chosen.static_check and _is_forbidden(plan, report)) or _is_not_stepwise(plan, report):
        return
    decisive = _run(launcher, plan, other_data(seed, device), deadline)
    shown = _run(launcher, plan, as_written(device), deadline)
    sizes = _run(launcher, plan, other_sizes(exercise, seed, device), deadline)
    _repair_culprit(launcher, plan, decisive, other_data(seed, device), deadline)
    for verdict in report.verdicts:
        _decide(verdict, decisive, plan)
        if verdict.name in shown.maxdiff:
            verdict.exact, verdict.maxdiff = shown.exact[verdict.name], shown.maxdiff[verdict.name]
            verdict.approximate = shown.first(verdict.name) is None
        if verdict.passed and (sizes.failure is not None or sizes.first(verdict.name) is not None):
            verdict.mistake = "hardcoded-size"
            verdict.message = "Right, but only at these sizes: a number such as 32, 200 or 27 is written into the loop."
    _note_first_departure(report, decisive, exercise)


def _is_not_stepwise(plan: TrainingPlan, report: SubmissionReport) -> bool:
    """A loop that only a full run could judge is told at once, and not after it has used up its time."""
    for loop in (loop for loops in plan.loops.values() for loop in loops):
        if (reason := why_not_stepwise(loop, plan.exercise.forward_names)) is not None:
            for verdict in report.verdicts:
                verdict.status, verdict.mistake = "error", "no-loop"
                verdict.message = f"The loop cannot be run step by step: {reason}. {_AS_THE_LESSON_SAYS}"
            return True
    return False


def _repair_culprit(launcher: Launcher, plan: TrainingPlan, outcome: Outcome, trial: Trial, deadline: float) -> None:
    """Where no detector knows what is wrong with the first gradient that departs, try edits of its line."""
    departed = next((step for step in outcome.steps if step.departed), None)
    if departed is None or departed.culprit is None:
        return
    gradient, found = departed.culprit
    if found.mistake in UNEXPLAINED and gradient.startswith("d"):
        better = repair_line(launcher, plan, gradient, found.message, trial, deadline)
        for step in outcome.steps:
            if better is not None and step.culprit is not None and step.culprit[0] == gradient:
                step.culprit = gradient, better


def _is_forbidden(plan: TrainingPlan, report: SubmissionReport) -> bool:
    """Fill every verdict with what the static check does not admit, where there is such a statement."""
    found = plan.refusal()
    if found is None:
        return False
    statement, refusal = found
    for verdict in report.verdicts:
        place(verdict, statement, refusal.line)
        verdict.status, verdict.mistake, verdict.message = "forbidden", refusal.mistake, refusal.message
        if refusal.mistake == AUTOGRAD:
            verdict.mistake = "autograd-update"
            verdict.message = f"line {refusal.line}: the loop takes gradients from autograd ({refusal.name})."
    return True


def _run(launcher: Launcher, plan: TrainingPlan, trial: Trial, deadline: float) -> Outcome:
    worker = launcher.start()
    try:
        return _compare_steps(worker, plan, trial, deadline)
    except StepFailed as failed:
        return Outcome(failure=Failure(failed.kind))
    finally:
        worker.close()


def _compare_steps(worker: Worker, plan: TrainingPlan, trial: Trial, deadline: float) -> Outcome:
    outcome = Outcome()
    try:
        worker.channel.send(_request(plan, trial), deadline=deadline)
        reference = Reference.start(plan.exercise, trial)
        next_message(worker, min(deadline, time.monotonic() + SETUP_SECONDS))
        while True:
            message, handed = next_message(worker, min(deadline, time.monotonic() + STATEMENT_SECONDS))
            match message:
                case Running():
                    continue
                case LoopStep():
                    truth = reference.step(message.position)
                    compare_step(handed, truth, outcome)
                    known = {name: truth.after[name] for name in plan.exercise.trained}
                    known["generator"] = reference.generator.get_state()
                    worker.channel.send(Truths(), known, deadline)
                case Done():
                    outcome.failure = sane(message.failure)
                    return outcome
                case _:
                    raise StepFailed(None, "crash")
    except (OSError, KeyError, ValueError, TypeError):
        raise StepFailed(None, "crash") from None


def _request(plan: TrainingPlan, trial: Trial) -> Train:
    """The statements for a worker; only the last, which runs the loop, writes what is graded."""
    steps = tuple(
        StepRequest(
            index,
            statement.text,
            statement.line,
            statement.text_line,
            writes=plan.exercise.graded if index == plan.indexes[-1] else (),
            loops=tuple(statement.cell.line + loop.lineno - 1 for loop in plan.loops.get(index, [])),
        )
        for index, statement in zip(plan.indexes, plan.statements, strict=True)
    )
    names = NameRules(own_functions=tuple(sorted(plan.own_functions)))
    return Train(program_of(plan.exercise), dict(trial.parameters), steps, names)


def _decide(verdict: Verdict, outcome: Outcome, plan: TrainingPlan) -> None:
    departure = outcome.first(verdict.name)
    if departure is not None:
        verdict.status = "wrong"
        found = _explain(verdict.name, departure, outcome, plan)
        verdict.mistake, verdict.message = found.mistake, found.message
        written = departure.culprit[0] if departure.culprit else f"d{verdict.name}"
        if (line := plan.line_of(written)) is not None:
            place(verdict, plan.statement, line)
    elif outcome.failure is not None:
        failure = failed(outcome.failure, plan.statement)
        verdict.status, verdict.mistake, verdict.message = failure.status, failure.mistake, failure.message
        if failure.place is not None:
            verdict.line, verdict.cell, verdict.code = failure.place.line, failure.place.cell, failure.place.code
    elif outcome.steps:
        verdict.status, verdict.message = "pass", ""
    else:
        verdict.status, verdict.mistake = "error", "no-loop"
        verdict.message = f"No step of the loop ran. {_AS_THE_LESSON_SAYS}"


def place(verdict: Verdict, statement: Statement, line: int) -> None:
    """Say where the learner finds it."""
    found = Place.of(statement, line)
    verdict.line, verdict.cell, verdict.code = found.line, found.cell, found.code


def _explain(name: str, departure: StepComparison, outcome: Outcome, plan: TrainingPlan) -> Diagnosis:
    at, how = f"First departs at step {departure.step}", departure.departed[name]
    if "shape" in how:
        return Diagnosis("wrong-shape", f"{at}: {how}.")
    if departure.culprit is not None:
        begins, found = departure.culprit
        return Diagnosis(found.mistake, f"{at}, and it begins at {begins}: {found.message}")
    if name == "loss":
        said = f"{at}: off by {how} of its value. Look at the batch and at the forward pass."
        return Diagnosis("wrong-loss", said)
    slip = _update_slip(name, departure, outcome, plan)
    if slip is not None:
        return Diagnosis(slip.mistake, f"{at}: {slip.message}")
    truth = departure.truth
    implied = departure.implied[name].to(truth.before[name].device)
    if truth.before[name].dtype == implied.dtype:
        found = diagnose(Mismatch(name, implied, truth.gradients, truth.forward))
        return Diagnosis(found.mistake, f"{at}. The update implies a gradient d{name}: {found.message}")
    return Diagnosis("wrong-values", f"{at}: off by {how} of the change that the step should make.")


def _update_slip(name: str, departure: StepComparison, outcome: Outcome, plan: TrainingPlan) -> Diagnosis | None:
    """A slip in the update itself: its rate, its sign, or which gradient it takes."""
    implied, true = departure.implied[name], departure.truth.gradients.total
    if float(implied.abs().max()) == 0.0:
        return Diagnosis("no-update", f"{name} did not move. Is the update in place, and inside the loop?")
    ratio = common_progress(departure)
    if ratio is not None and abs(ratio + 1) < 1e-6:
        return Diagnosis("update-sign", "every parameter moved the wrong way. A step goes against the gradient.")
    if ratio is not None and abs(ratio - 1) > 1e-6:
        rebound = plan.rebound_counter()
        if rebound is not None:
            return Diagnosis(
                "shadowed-counter",
                f"every parameter moved {ratio:.4g} times as far as it should. {rebound} counts the steps, and the "
                "loop's body gives it another value.",
            )
        return Diagnosis(
            "learning-rate",
            f"every parameter moved {ratio:.4g} times as far as it should. Look at the learning rate there.",
        )
    before = outcome.before(departure)
    if before is not None and _same(implied, before.truth.gradients.total[name]):
        return Diagnosis("stale-gradient", f"{name} moves by the gradient of an earlier step. Compute d{name} anew.")
    for other in departure.truth.before:
        if other != name and _same(implied, true[other]):
            return Diagnosis(
                "wrong-order",
                f"{name} moves by d{other}. The gradients stand in another order than the parameters.",
            )
    return None


def _same(implied: Tensor, gradient: Tensor) -> bool:
    try:
        spread = gradient.to("cpu").double().expand(implied.shape)
    except RuntimeError:
        return False
    scale = float(spread.abs().max())
    return scale > 0 and float((implied - spread).abs().max()) <= 1e-8 * scale


def _note_first_departure(report: SubmissionReport, outcome: Outcome, exercise: Exercise) -> None:
    """Name the first step that departs, and in it the tensor nearest to the loss."""
    departed = next((step for step in outcome.steps if step.departed), None)
    if departed is None:
        return
    read_at = {name: at for at, atom in enumerate(exercise.atoms) for name in atom.reads}
    nearest = max(departed.departed, key=lambda name: (name == "loss", read_at.get(name, -1)))
    report.notes.append(f"step {departed.step} is the first that departs, and in it {nearest} is nearest to the loss.")
