"""From the answers of several trials to one verdict for each gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from grader.diagnosing import UNEXPLAINED, Mismatch, diagnose, explain_exception, shape_text, wrong_shape
from grader.judging.details import details_of
from grader.judging.judge import Answer
from grader.reading.plan import Plan
from grader.report.records import Verdict
from grader.running.protocol import Failure
from grader.syntax.source import Source, Statement
from grader.truth.compare import Comparison
from grader.truth.truths import Truth

_PLAIN_WORDS = {
    "timeout": "It did not finish within the time limit; look for a loop that never ends.",
    "crash": "The process that ran it ended here; does it call exit()?",
}


@dataclass(frozen=True)
class Evidence:
    """One gradient in one trial: what was handed over, and the truth."""

    answer: Answer
    truth: Truth

    def compared(self, name: str) -> Comparison | None:
        """The comparison of values; None where there is no tensor of the right shape to compare."""
        value, total = self.answer.value, self.truth.gradients.total[name]
        if value is None or value.shape != total.shape or value.is_complex():
            return None
        if total.dtype is torch.float64 and _holds_float32(value):
            # A float32 island in a float64 trial is compared as what it is.
            return self.truth.compare(name, value.float())
        return self.truth.compare(name, value) if value.dtype == total.dtype else None

    def right(self, name: str) -> bool:
        found = self.compared(name)
        return found is not None and found.right


def _holds_float32(value: Tensor) -> bool:
    if value.dtype is torch.float64:
        return bool((value.float().double() == value).all())
    return value.dtype is torch.float32


def first_verdict(name: str, plan: Plan, source: Source) -> Verdict:
    """The verdict before anything ran: where the attempt stands, or that there is none."""
    verdict = Verdict(name, answer=plan.answer(name))
    if name in plan.forbidden:
        statement, refusal = plan.forbidden[name]
        place(verdict, statement, refusal.line)
        verdict.status, verdict.mistake, verdict.message = "forbidden", refusal.mistake, refusal.message
        return verdict
    attempt = plan.attempts.get(name)
    if attempt is None:
        verdict.message = "not attempted"
        for bad in source.bad_lines:
            if bad.text.strip().replace(" ", "").startswith((f"d{name}=", f"d{name}+=", f"d{name}[")):
                verdict.status, verdict.mistake = "error", "exception"
                verdict.line, verdict.cell, verdict.code = bad.line, bad.cell, bad.text.strip()
                verdict.message = f"Python cannot read this line: {bad.reason}."
        return verdict
    statement = plan.statements[attempt.writers[-1]]
    place(verdict, statement, statement.line)
    return verdict


def decide(verdict: Verdict, plan: Plan, decisive: Evidence, probe: Evidence) -> None:
    """Raise `verdict` to a pass, or say what is wrong, from the trial that decides.

    The mistake shows best with random gradients from above, where nothing cancels by algebra; `probe` has them.
    """
    name, answer = verdict.name, decisive.answer
    if answer.line is not None and name in plan.attempts:
        place(verdict, plan.statements[plan.attempts[name].writers[-1]], answer.line)
    if answer.failure is not None:
        explain_failure(verdict, plan.statements[plan.attempts[name].writers[-1]], answer.failure)
        return
    if answer.words.kind == "stub":
        verdict.status, verdict.message = "missing", "not attempted"
        return
    gradients, value = decisive.truth.gradients, answer.value
    truth, comparison = gradients.total[name], decisive.compared(name)
    verdict.details = details_of(name, gradients, value, comparison)
    if value is None:
        _explain_no_numbers(verdict, answer, list(truth.shape))
        return
    if value.shape != truth.shape:
        verdict.status = "shape"
        _explain(verdict, plan, probe, decisive)
        return
    if comparison is None:
        verdict.status, verdict.mistake = "wrong", "precision"
        kind = str(value.dtype).removeprefix("torch.")
        verdict.message = f"Its dtype is {kind}; a gradient has its tensor's dtype. Nothing here needs another one."
        return
    if not comparison.right:
        verdict.status = "wrong"
        finite = bool(torch.isfinite(value).all())
        _explain(verdict, plan, *((probe, decisive) if finite else (decisive,)))
        return
    verdict.status = "pass"
    if name in plan.unsized_one_hot:
        place(verdict, *plan.unsized_one_hot[name])
        verdict.status, verdict.mistake = "wrong", "one-hot-classes"
        verdict.message = (
            "Right on this batch by luck: without num_classes, one_hot makes as many columns as the largest index "
            "of the batch asks for. Give it the size of the dimension."
        )


def add_lecture_figures(verdict: Verdict, shown: Evidence) -> None:
    """exact, approximate and maxdiff, in float32 on the exercise's own data."""
    comparison = shown.compared(verdict.name)
    if comparison is None:
        return
    verdict.exact, verdict.approximate = comparison.exact, comparison.approximate
    verdict.maxdiff = comparison.maxdiff if comparison.maxdiff == comparison.maxdiff else None
    if verdict.status == "wrong" and comparison.right and verdict.mistake != "precision":
        verdict.mistake = "hardcoded-values"
        verdict.message = (
            "Right on the exercise's own data only; on other data of the same sizes it is wrong. " + verdict.message
        )


def add_probe(verdict: Verdict, plan: Plan, vanishes: bool, probe: Evidence, probe_right: bool) -> None:
    """What random upstream gradients say: they decide where the true gradient is zero by algebra."""
    if not verdict.passed or probe_right:
        return
    name = verdict.name
    if probe.answer.failure is not None:
        explain_failure(verdict, plan.statements[plan.attempts[name].writers[-1]], probe.answer.failure)
        return
    if vanishes:
        verdict.status = "wrong"
        _explain(verdict, plan, probe)
        if verdict.mistake not in {"zero", *UNEXPLAINED}:
            verdict.message += f" (Seen with random gradients from above: the true d{name} is zero here.)"
            return
        verdict.mistake = "vanishing"
        verdict.message = (
            f"The true gradient of {name} is zero, so any zero looks right here. With random gradients from "
            f"above yours is wrong: compute d{name} from the gradient of the tensor that {name} feeds."
        )
    else:
        verdict.mistake = "vanishing"
        verdict.message = "Right for this loss. It is a short cut: with other gradients from above it would not hold."


def add_sizes(verdict: Verdict, other: Evidence, strict: bool) -> None:
    """What other sizes say: they report, and decide only when asked to."""
    if not verdict.passed or other.right(verdict.name):
        return
    verdict.mistake = "hardcoded-size"
    verdict.message = (
        "Right, but only at these sizes: a number such as 32 or 27 is written into it. "
        f"Take it from a shape, for example {verdict.name}.shape[0], or from n."
    )
    if strict:
        verdict.status = "wrong"


def _explain(verdict: Verdict, plan: Plan, *evidence: Evidence) -> None:
    """Name the mistake from the first evidence that shows one; its last piece gives the figures."""
    handed = frozenset({*plan.exercise.graded, *plan.exercise.given})
    for piece in evidence:
        value = piece.answer.value
        if value is None or piece.right(verdict.name):
            continue
        reads = plan.reads.get(verdict.name)
        truth = piece.truth
        found = diagnose(Mismatch(verdict.name, value.double(), truth.gradients, truth.forward, handed, reads=reads))
        verdict.mistake, verdict.message = found.mistake, found.message
        if found.mistake not in UNEXPLAINED:
            return


def place(verdict: Verdict, statement: Statement, line: int) -> None:
    """Say where the learner finds it."""
    verdict.line, verdict.cell = line, statement.cell.number
    verdict.code = statement.line_text(line)


def explain_failure(verdict: Verdict, statement: Statement, failure: Failure) -> None:
    """Turn an exception, a timeout or a lost worker into the verdict's words."""
    if failure.line is not None:
        place(verdict, statement, failure.line)
    if failure.type in _PLAIN_WORDS:
        verdict.status = "timeout" if failure.type == "timeout" else "error"
        verdict.mistake = failure.type
        verdict.message = _PLAIN_WORDS[failure.type]
        return
    verdict.status = "error"
    if failure.type in ("NameError", "UnboundLocalError"):
        verdict.mistake = "undefined-name"
        known = failure.name or failure.text
        verdict.message = f"The name {known!r} is not defined at this point. Is it misspelt, or defined further down?"
    else:
        verdict.mistake = "exception"
        verdict.message = explain_exception(failure.type, failure.text)


def _explain_no_numbers(verdict: Verdict, answer: Answer, shape: list[int]) -> None:
    words = answer.words
    if words.kind != "tensor":
        verdict.status, verdict.mistake = "wrong", "not-a-tensor"
        verdict.message = f"It is a Python {words.type}; a gradient is a tensor of shape {shape_text(shape)}."
        return
    if list(words.shape) != shape:
        verdict.status, verdict.mistake = "shape", "wrong-shape"
        verdict.message = wrong_shape(verdict.name, list(words.shape), shape)
        return
    verdict.status, verdict.mistake = "wrong", "not-dense"
    verdict.message = f"A gradient is a dense tensor of real numbers; yours is {words.layout}, {words.dtype}."
