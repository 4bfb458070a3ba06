"""From evidence to a verdict: one function, whoever asks."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from grader.admission.sentences import IS_AUTOGRAD, NOT_ADMITTED
from grader.diagnosing import (
    UNEXPLAINED,
    Diagnosis,
    Mismatch,
    diagnose,
    explain_exception,
    only_these_sizes,
    shape_text,
    writes_a_size,
    wrong_shape,
    wrong_values,
)
from grader.diagnosing.core import SAME_FACTOR, with_article
from grader.judging.details import details_of
from grader.report.records import ShownData, Status, Verdict
from grader.running.protocol import REFUSED, Description, Failure
from grader.syntax.source import BadLine, Statement
from grader.truth.autograd import Forward, Gradients
from grader.truth.cases import Case
from grader.truth.compare import LIMITS, Comparison, compare
from grader.truth.truths import Truth

_LONGEST_CASE = 180
_FIGURE = re.compile(r"\d\.\d|\[\d|\de-|\d%")
"""A number that comes from the data, or a place in it."""

NOT_ATTEMPTED = "not attempted"
LASTING = 0
"""The seed of figures that are shown and are no longer the lesson's own; what decides is drawn anew for each run."""

_PLAIN_WORDS = {
    "timeout": "It did not finish within the time limit; look for a loop that never ends.",
    "crash": "The process that ran it ended here; does it call exit()?",
}

MOST_LINES = 8
"""Lines of an answer that a verdict shows as a whole."""


@dataclass(frozen=True)
class Answer:
    """What was handed over for one gradient: numbers, or words about what it is instead."""

    words: Description = field(default_factory=Description)
    value: Tensor | None = None
    failure: Failure | None = None
    line: int | None = None

    @property
    def shape(self) -> torch.Size | None:
        """The shape of the numbers, where there are any."""
        return None if self.value is None else self.value.shape


@dataclass(frozen=True)
class Place:
    """Where the learner finds something: a line of a file, or of cell `cell` of a notebook."""

    line: int
    cell: int | None
    code: str

    @classmethod
    def of(cls, statement: Statement, line: int | None = None) -> Place:
        """A line of a statement; where none is given or it is the first, a short statement as a whole."""
        at = statement.line if line is None else line
        whole = at == statement.line and isinstance(statement.node, (ast.Assign, ast.AugAssign, ast.AnnAssign))
        short = whole and statement.text.count("\n") < MOST_LINES
        return cls(at, statement.cell.number, statement.text if short else statement.line_text(at))

    @classmethod
    def of_answer(cls, statements: Sequence[Statement]) -> Place | None:
        """An answer of several statements of one cell as a whole; None where it is long, or has one statement."""
        text = [statement.text for statement in statements]
        if len(text) < 2 or sum(t.count("\n") + 1 for t in text) > MOST_LINES:
            return None
        if len({id(statement.cell) for statement in statements}) > 1:
            return None
        return cls(statements[0].line, statements[0].cell.number, "\n".join(text))


@dataclass(frozen=True)
class Finding:
    """What a verdict says: right or not, which mistake, in which words, and where."""

    status: Status
    message: str = ""
    mistake: str | None = None
    place: Place | None = None

    @property
    def passed(self) -> bool:
        """True where it counts as right."""
        return self.status == "pass"

    @classmethod
    def unreadable(cls, bad: BadLine) -> Finding:
        """That a line cannot be read, and so nobody knows what it does."""
        place = Place(bad.line, bad.cell, bad.text.strip())
        return cls("error", f"This line cannot be read: {bad.reason}.", "exception", place)


@dataclass(frozen=True)
class Seen:
    """One gradient in one trial: what was handed over, the truth, and how far apart they are.

    There is no comparison where there are no numbers of the right shape and dtype to compare. `trial` holds what was
    handed over for the other gradients, where that is known.
    """

    answer: Answer
    gradients: Gradients
    forward: Forward | None = None
    comparison: Comparison | None = None
    trial: tuple[Mapping[str, Answer], Truth] | None = None

    @property
    def right(self) -> bool:
        """True where the numbers are those of the truth."""
        return self.comparison is not None and self.comparison.right


def seen_in_trial(name: str, answers: Mapping[str, Answer], truth: Truth) -> Seen:
    """What a worker handed over for the gradient of `name`, beside the truth of its trial."""
    answer, total = answers.get(name, Answer()), truth.gradients.total[name]
    value = answer.value
    comparison = None
    if value is not None and value.shape == total.shape and not value.is_complex():
        if value.dtype == total.dtype:
            comparison = truth.compare(name, value)
        if total.dtype is torch.float64 and not (comparison and comparison.right) and _holds_float32(value):
            # A float32 island in a float64 trial is compared as what it is.
            comparison = truth.compare(name, value.float())
    return Seen(answer, truth.gradients, truth.forward, comparison, (answers, truth))


def _holds_float32(value: Tensor) -> bool:
    if value.dtype is torch.float64:
        return bool((value.float().double() == value).all())
    return value.dtype is torch.float32


@dataclass(frozen=True)
class TriedCase:
    """A function or class in one case: what came out, and how far that is from what should."""

    case: Case
    answer: Answer
    comparison: Comparison | None = None

    @classmethod
    def of(cls, case: Case, answer: Answer, tolerance: float) -> TriedCase:
        """The case with what was handed over; `tolerance` is the lesson's."""
        value = answer.value
        if value is None or value.shape != case.expected.shape or value.is_complex():
            return cls(case, answer)
        largest = float(case.expected.abs().max()) if case.expected.numel() else 0.0
        return cls(case, answer, compare(value.double(), case.expected, largest or 1.0, tolerance))

    @property
    def right(self) -> bool:
        """True where `result` was what it should be."""
        return self.comparison is not None and self.comparison.right


@dataclass(frozen=True)
class Evidence:
    """All that is known of one gradient, so that `verdict_of` needs nothing else.

    There are four trials. `decisive` says right or wrong; `shown` has the lesson's own data in float32; `probe` has
    random upstream gradients, and `probe_right` tells whether the answer was right there; `sizes` has other sizes.
    `lasting` are trials whose seed never changes, for figures of a mistake that the lesson's own data does not show.
    `found` is what was found out without running, such as an answer that is not admitted, or a line that is no Python.
    `explained` is a mistake that an edit of the learner's line has shown; it goes before what the detectors say.
    `lines` is the line whose edit mends the answer, or the whole answer where it has several.
    `luck` says why the numbers are right only by chance, and `remark` is a note beside a right answer.
    `figures` are the lecture's, where nothing else gives them: exact, approximate, maxdiff.
    `cases` are those of a function or class, in order, up to one that never ended.
    `statement` is the last one that writes the answer, in its line `writes_at` where that is not the first; `reads` are
    the gradients that it reads, where known, and `handed` those that it could.
    """

    name: str
    label: str = ""
    text: Sequence[str] = ()
    statement: Statement | None = None
    found: Finding | None = None
    decisive: Seen | None = None
    shown: Seen | None = None
    probe: Seen | None = None
    probe_right: bool = True
    sizes: Seen | None = None
    lasting: Mapping[ShownData, Seen] = field(default_factory=dict)
    strict_sizes: bool = False
    reads: frozenset[str] | None = None
    handed: frozenset[str] = frozenset()
    luck: Finding | None = None
    remark: str = ""
    explained: Diagnosis | None = None
    lines: Place | None = None
    cases: Sequence[TriedCase] | None = None
    figures: tuple[bool, bool, float] | None = None
    writes_at: int | None = None


def verdict_of(evidence: Evidence) -> Verdict:
    """The verdict on one gradient, from all that is known of it.

    A verdict starts as not passed; only a comparison in the trial that decides raises it. Random upstream gradients
    may lower it where the true gradient is zero by algebra, and other sizes where that was asked for.
    """
    found = evidence.found or _weighed(evidence)
    place, decisive = found.place, evidence.decisive
    if place is None and found.status in ("wrong", "shape"):
        place = evidence.lines
    if place is None and evidence.statement is not None:
        line = decisive.answer.line if decisive else None
        place = Place.of(evidence.statement, line if line != evidence.statement.line else evidence.writes_at)
    verdict = Verdict(
        evidence.name,
        found.status,
        mistake=found.mistake,
        message=found.message,
        line=place.line if place else None,
        cell=place.cell if place else None,
        code=place.code if place else None,
        answer=list(evidence.text),
        label=evidence.label,
    )
    whole = decisive if decisive is not None and (decisive.right or not decisive.answer.failure) else None
    if whole is not None and whole.answer.words.kind != "stub":
        seen, data = _figures_from(evidence, whole, verdict.passed)
        verdict.details = details_of(evidence.name, seen.gradients, seen.answer.value, seen.comparison)
        verdict.details.data = data
    if evidence.shown is not None and (figures := evidence.shown.comparison) is not None:
        verdict.exact, verdict.approximate = figures.exact, figures.approximate
        verdict.maxdiff = figures.maxdiff if figures.maxdiff == figures.maxdiff else None
    if evidence.figures is not None:
        verdict.exact, verdict.approximate, verdict.maxdiff = evidence.figures
    return verdict


def _figures_from(evidence: Evidence, decisive: Seen, passed: bool) -> tuple[Seen, ShownData]:
    """The trial whose numbers are shown: the lesson's own data wherever the mistake shows there.

    They are the same at each run, and a learner can print them. Other data or random upstream gradients stand in
    where the numbers happen to be right on the lesson's own: where there is one, from a trial that is always the same.
    """
    shown, probe, lasting = evidence.shown, evidence.probe, evidence.lasting
    refused = probe is not None and probe.comparison is not None and not probe.right
    if probe is not None and refused and not passed and decisive.gradients.vanishes(evidence.name):
        return lasting.get("random upstream", probe), "random upstream"
    if shown is not None and (passed or (shown.answer.value is not None and not shown.right)):
        return shown, "own"
    return lasting.get("other", decisive), "other"


def _weighed(evidence: Evidence) -> Finding:
    if evidence.cases is not None:
        return _decided_by_cases(evidence, evidence.cases)
    if evidence.decisive is None:
        return Finding("missing", NOT_ATTEMPTED)
    found = _decided(evidence, evidence.decisive)
    by_heart = evidence.shown is not None and evidence.shown.right and not evidence.decisive.right
    if by_heart and found.status == "wrong" and found.mistake != "precision":
        said = "Right on the exercise's own data only; on other data of the same sizes it is wrong. "
        typed_in = writes_a_size(evidence.text) or not evidence.reads
        message = found.message if said in found.message else said + found.message
        return replace(found, mistake="hardcoded-values" if typed_in else found.mistake, message=message)
    if found.passed and not evidence.probe_right and evidence.probe is not None:
        found = _from_above(evidence, evidence.decisive, evidence.probe)
    if found.passed and evidence.sizes is not None and not evidence.sizes.right and evidence.decisive.forward:
        there = evidence.sizes.answer
        fits = there.failure is None and there.shape == evidence.sizes.gradients.total[evidence.name].shape
        if fits and not writes_a_size(evidence.text):
            found = _explained("wrong", evidence, evidence.sizes)
            said = "Right at the lesson's own sizes by luck; at other sizes it is wrong. "
            return replace(found, message=said + found.message)
        if not _stopped_by_another(evidence.name, evidence.sizes, evidence.decisive):
            said = only_these_sizes(evidence.name, evidence.text, evidence.decisive.forward)
            return Finding("wrong" if evidence.strict_sizes else "pass", said, "hardcoded-size")
    return replace(found, message=evidence.remark) if found.passed and evidence.remark and not found.message else found


def _stopped_by_another(name: str, sizes: Seen, decisive: Seen) -> bool:
    """Whether the exception at other sizes may be that of a wrong gradient, which the same statement gives."""
    failure = sizes.answer.failure
    if failure is None or sizes.trial is None or decisive.trial is None:
        return False
    together = [other for other, answer in sizes.trial[0].items() if answer.failure == failure and other != name]
    return not all(seen_in_trial(other, *decisive.trial).right for other in together)


def _decided(evidence: Evidence, decisive: Seen) -> Finding:
    """Right or wrong, from the trial that decides; what is wrong shows best with random upstream gradients, where
    nothing cancels by algebra."""
    answer, truth = decisive.answer, decisive.gradients.total[evidence.name]
    if answer.failure is not None and not decisive.right:
        return failed(answer.failure, evidence.statement)
    if answer.words.kind == "stub" and answer.value is None:
        return Finding("missing", NOT_ATTEMPTED)
    value = answer.value
    if value is None:
        return _no_numbers(evidence.name, answer.words, list(truth.shape))
    if value.shape != truth.shape:
        return _explained("shape", evidence, evidence.probe, decisive)
    if decisive.comparison is None:
        if not value.is_floating_point():
            found = _explained("wrong", evidence, evidence.probe, decisive)
            if found.mistake not in {None, "zero", *UNEXPLAINED}:  # zeros of integers are first of all integers
                return found
        said = f"Its dtype is {answer.words.dtype}; a gradient has its tensor's dtype. Nothing here needs another one."
        return Finding("wrong", said, "precision")
    if decisive.comparison.right:
        return evidence.luck or Finding("pass")
    finite = bool(torch.isfinite(value).all())
    return _explained("wrong", evidence, evidence.probe if finite else None, decisive)


def _decided_by_cases(evidence: Evidence, cases: Sequence[TriedCase]) -> Finding:
    """A function or class is right where every case is; else the first that is not is named."""
    wrong = next((tried for tried in cases if not tried.right), None)
    if wrong is None:
        return Finding("pass") if cases else Finding("error", "No case of it ran.", "exception")
    found = _of_case(wrong, evidence.statement)
    said = found.message if found.message.endswith((".", "?")) else f"{found.message}."
    return replace(found, message=said + _to_try(wrong.case.program))


def _of_case(wrong: TriedCase, statement: Statement | None) -> Finding:
    label, answer = _quoted(wrong.case.label), wrong.answer
    if answer.failure is not None:
        found = failed(answer.failure, statement)
        return replace(found, message=f"{label}: {found.message}")
    true = wrong.case.expected
    if answer.value is None or answer.value.shape != true.shape:
        kind = "nothing" if answer.words.type == "NoneType" else with_article(answer.words.type or answer.words.kind)
        ours = kind if answer.value is None else _numbers(answer.value)
        return Finding("wrong", f"{label} gives {ours}, not {_numbers(true)}.", "case")
    difference = (answer.value.double() - true).abs().nan_to_num(math.inf).flatten()
    at = int(difference.argmax())
    if true.dim() == 1 and len(wrong.case.parts) == true.numel():
        limit = 1e-9 * (float(true.abs().max()) or 1.0)
        at = next((i for i, off in enumerate(difference.tolist()) if off > limit), at)
        where = f"{wrong.case.parts[at]} "
    else:
        where = "" if true.dim() == 0 else f"at {list(map(int, np.unravel_index(at, tuple(true.shape))))} "
    ours, wanted = (f"{float(value.flatten()[at]):.6g}" for value in (answer.value, true))
    if ours == wanted:
        ours, wanted = (f"{float(value.flatten()[at]):.17g}" for value in (answer.value, true))
    return Finding("wrong", f"{label} gives {where}{ours}, not {wanted}.", "case")


def _numbers(value: Tensor) -> str:
    return f"numbers of shape {shape_text(value.shape)}" if value.dim() else "a number"


def _to_try(program: str) -> str:
    """A short case as a line that can be copied into a cell; nothing where it is long or holds a block."""
    lines = program.strip().splitlines()
    line = "; ".join(lines)
    return "" if len(line) > _LONGEST_CASE or any(text.startswith(" ") for text in lines) else f" Try it: `{line}`"


def _quoted(label: str) -> str:
    """A case's label: as code where it is an expression, else in quotes."""
    try:
        is_code = not isinstance(ast.parse(label, mode="eval").body, ast.Name)
    except SyntaxError:
        is_code = False
    return f"`{label}`" if is_code else f'The case "{label}"'


def _from_above(evidence: Evidence, decisive: Seen, probe: Seen) -> Finding:
    """Right numbers that random upstream gradients refuse: that decides where the true gradient is zero."""
    name = evidence.name
    if probe.answer.failure is not None:
        return failed(probe.answer.failure, evidence.statement)
    if not decisive.gradients.vanishes(name):
        return Finding("pass", _right_for_this_loss(evidence, decisive, probe), "vanishing")
    found = _explained("wrong", evidence, probe)
    if found.mistake not in {None, "zero", *UNEXPLAINED}:
        said = f" (Seen with random upstream gradients: the true d{name} is zero here.)"
        return replace(found, message=found.message + said)
    said = (
        f"The true gradient of {name} is zero, so any zero looks right here. With random upstream "
        f"gradients yours is wrong: compute d{name} from the gradient of the tensor that is made from {name}."
    )
    return Finding("wrong", said, "vanishing")


def _right_for_this_loss(evidence: Evidence, decisive: Seen, probe: Seen) -> str:
    found, paths = _explained("wrong", evidence, probe), decisive.gradients.shares.get(evidence.name, {})
    if found.mistake in ("missing-path", "path-scaled", "path-twice"):
        return f"Right for this loss, because what comes back that way is zero here. {found.message}"
    closed = [through for through in paths if through in evidence.handed and decisive.gradients.vanishes(through)]
    if closed and evidence.reads is not None and {f"d{through}" for through in paths} <= evidence.reads:
        ways = " and ".join(closed)
        return f"Right for this loss, because what comes back through {ways} is zero here. Otherwise yours is wrong."
    return "Right for this loss. It is a short cut: with other upstream gradients it would not hold."


def _explained(status: Status, evidence: Evidence, *trials: Seen | None) -> Finding:
    """Name the mistake from the first trial that shows one; the last one gives the figures."""
    if evidence.explained is not None:
        return Finding(status, evidence.explained.message, evidence.explained.mistake)
    found = Finding(status)
    for seen in trials:
        if seen is None or (mismatch := _mismatch(evidence, seen)) is None:
            continue
        said = diagnose(mismatch)
        found = Finding(status, said.message, said.mistake)
        if said.mistake not in UNEXPLAINED:
            break
    return _with_lasting_figures(evidence, found)


def _mismatch(evidence: Evidence, seen: Seen, limit: float = SAME_FACTOR) -> Mismatch | None:
    """What a detector looks at; None where nothing is wrong in this trial, or there are no numbers."""
    if seen.answer.value is None or seen.right or seen.forward is None:
        return None
    sizes = evidence.sizes
    other = _mismatch(evidence, sizes) if sizes is not None and sizes is not seen else None
    value = seen.answer.value.double()
    return Mismatch(
        evidence.name,
        value,
        seen.gradients,
        seen.forward,
        evidence.handed,
        limit,
        reads=evidence.reads,
        resized=other,
        text="\n".join(evidence.text),
    )


def _with_lasting_figures(evidence: Evidence, found: Finding) -> Finding:
    """The same words with numbers that do not change from run to run: of the lesson's own data, where they show it."""
    if not _FIGURE.search(found.message):
        return found
    for seen in (evidence.shown, *evidence.lasting.values()):
        if seen is None or seen.gradients.total[evidence.name].shape != seen.answer.shape:
            continue
        mismatch = _mismatch(evidence, seen, LIMITS[seen.gradients.total[evidence.name].dtype])
        if mismatch is not None:
            said = wrong_values(mismatch) if found.mistake == "wrong-values" else diagnose(mismatch)
            if said.mistake == found.mistake:
                return replace(found, message=said.message)
    return found


def blamed(failure: Failure | None, statement: Statement, others: Mapping[int, Statement]) -> Statement:
    """`statement`, or of the `others`, by index, the one that stopped before it or where what it needs is refused."""
    if failure is None or failure.line is None:
        return statement
    if failure.type != REFUSED:
        return statement if failure.step is None else others.get(failure.step, statement)
    holds = {at: other for at, other in others.items() if other.line <= failure.line <= other.last_line}
    return holds.get(failure.step if failure.step is not None else -1) or next(reversed(holds.values()), statement)


def failed(failure: Failure, statement: Statement | None) -> Finding:
    """An exception, a timeout or a lost worker in words."""
    place = None if failure.line is None or statement is None else Place.of(statement, failure.line)
    if failure.type in _PLAIN_WORDS:
        status: Status = "timeout" if failure.type == "timeout" else "error"
        return Finding(status, _PLAIN_WORDS[failure.type], failure.type, place)
    if failure.type == REFUSED:
        mistake = IS_AUTOGRAD if failure.name == IS_AUTOGRAD else NOT_ADMITTED
        return Finding("forbidden", failure.text, mistake, place)
    if failure.type in ("NameError", "UnboundLocalError"):
        known = failure.name or failure.text
        said = f"The name {known!r} is not defined at this point. Is it misspelt, or defined further down?"
        return Finding("error", said, "undefined-name", place)
    return Finding("error", explain_exception(failure.type, failure.text), "exception", place)


def _no_numbers(name: str, words: Description, shape: list[int]) -> Finding:
    if words.kind != "tensor":
        said = f"It is a Python {words.type}; a gradient is a tensor of shape {shape_text(shape)}."
        return Finding("wrong", said, "not-a-tensor")
    if list(words.shape) != shape:
        return Finding("shape", wrong_shape(name, list(words.shape), shape), "wrong-shape")
    said = f"A gradient is a dense tensor of real numbers; yours is {words.layout}, {words.dtype}."
    return Finding("wrong", said, "not-dense")
