"""One gradient in a live namespace -> Verdict: by the same comparison and the same detectors as `dojo grade`.

In a namespace nothing puts the true gradients back between two lines. So a line is also judged by what it makes of
the learner's own gradients: where these are wrong and the line is right, that is what the verdict says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.diagnosing import UNEXPLAINED, Diagnosis, Mismatch, diagnose, shape_text, wrong_shape
from grader.diagnosing.core import size_words, with_article
from grader.diagnosing.paths import path_scaled, path_twice
from grader.judging.verdicts import NOT_ATTEMPTED, Answer, Evidence, Finding, Seen, verdict_of
from grader.notebook import guards
from grader.notebook.lines import is_borrowed, repaired
from grader.notebook.truth import Survey, as_float64, exercise_in, is_gradient, limit_of, numbers_of, survey
from grader.report.records import Details, Verdict
from grader.running.describe import describe_value
from grader.showing.text import verdict_words
from grader.truth.autograd import Gradients
from grader.truth.compare import LIMITS, Comparison, compare

UPSTREAM = "upstream"
"""A notebook's own mistake id: the line is right, its upstream is not."""

Earlier = Mapping[str, Sequence[Tensor]]
"""For a tensor's name the wrong gradients that `cmp` has seen for it, in float64."""


@dataclass
class Judgement:
    """A verdict and what is shown with it; `yours` is float64, where it has the right shape."""

    verdict: Verdict
    line: str
    survey: Survey | None = None
    limit: float | None = None
    upstream: str | None = None
    yours: Tensor | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The verdict in words; the terminal's, except for what only a notebook can meet."""
        if self.upstream is not None:
            return f"upstream is wrong: d{self.upstream}"
        return "not judged" if self.verdict.mistake in guards.NOT_JUDGED else verdict_words(self.verdict)

    @property
    def state(self) -> str | None:
        """The status under which a graph shows it; None where nothing is known."""
        if self.upstream is not None:
            return "upstream"
        return None if self.verdict.mistake in guards.NOT_JUDGED else self.verdict.status


def judge(name: str, d: Any, t: Any, namespace: Mapping[str, Any], earlier: Earlier | None = None) -> Judgement:
    """The verdict on `d` as the gradient of `t`, the lecture's line, and what a card shows.

    A namespace gives evidence as a trial does, and `grader.judging.verdicts.verdict_of` weighs it.
    """
    exercise = exercise_in(namespace, name)
    known = survey(exercise, namespace) if exercise else None
    if exercise is not None and known is not None and isinstance(t, (np.ndarray, np.floating)):
        d, t, namespace = _in_torch(name, d, t, namespace, known)
    judged = Judgement(Verdict(name), "")
    if d is ... or d is None:
        judged.survey, evidence = known, Evidence(name)
        judged.line = f"{name:15s} | {NOT_ATTEMPTED}"
    else:
        judged.survey = known if known is not None and name in known.chain.total else None
        evidence = _evidence(judged, d, t, namespace, earlier or {})
    judged.verdict = verdict_of(evidence)
    if evidence.decisive is None and isinstance(t, Tensor) and isinstance(d, Tensor) and not judged.verdict.passed:
        judged.verdict.details = Details(list(t.shape), list(d.shape))
    return judged


def _in_torch(
    name: str, d: Any, t: Any, namespace: Mapping[str, Any], known: Survey
) -> tuple[Any, Any, Mapping[str, Any]]:
    """A lesson in numpy has no autograd: its arrays as tensors, with the true gradient of what numpy computed."""
    keys = (f"d{other}" for other in known.exercise.named_gradients)
    answers = {key: numbers_of(namespace[key]) for key in keys if key in namespace}
    tensor = numbers_of(t)
    if name in known.chain.total:
        tensor.grad = known.chain.total[name].to(tensor.dtype)
    return numbers_of(d), tensor, {**namespace, **answers}


def unfinished(judged: Judgement, exception: str) -> Judgement:
    """The judgement of a value that is older than its cell: the cell has run again, and an exception ended it."""
    name = judged.verdict.name
    message = (
        f"Your cell for d{name} raised {exception}; this is the value from before. Mend the cell and run it again."
    )
    return Judgement(Verdict(name, "error", mistake="stale-cell", message=message), judged.line, judged.survey)


def _evidence(judged: Judgement, d: Any, t: Any, namespace: Mapping[str, Any], earlier: Earlier) -> Evidence:
    """What the namespace tells of `d`; `judged` gets the lecture's line and what only a notebook shows."""
    name, truth = judged.verdict.name, guards.true_gradient(t) if isinstance(t, Tensor) else None
    if not isinstance(t, Tensor):
        judged.line = f"{name:15s} | no tensor {name} to compare with"
        other = f"{name} is a Python {type(t).__name__} here, not the tensor of the forward pass."
        told = f"There is no tensor {name} here." if t is None else other
        return Evidence(name, found=Finding("error", f"{told} {guards.AGAIN}.", "no-true-gradient"))
    words = describe_value(d)[0]
    if truth is None and isinstance(d, Tensor):
        again = "run the cells from the forward pass to loss.backward() again"
        judged.line = f"{name:15s} | no true gradient yet: {again}"
        return Evidence(name, found=Finding("error", guards.no_gradient(name, t), "no-true-gradient"))
    truth = t.detach() if truth is None else truth
    plain = Gradients({name: as_float64(truth)}, {}, {name: {}})
    if not isinstance(d, Tensor):
        judged.line = f"{name:15s} | {with_article(words.type)}, not a tensor of shape {shape_text(t.shape)}"
        return Evidence(name, decisive=Seen(Answer(words), plain))
    known = judged.survey
    if d.shape != truth.shape:
        judged.line = f"{name:15s} | shape {shape_text(d.shape)}, but {name} is {shape_text(truth.shape)}"
        said: Diagnosis | None = Diagnosis("wrong-shape", wrong_shape(name, d.shape, truth.shape))
        if known is not None and is_gradient(d) and known.chain.total[name].shape == truth.shape:
            said = _explained(judged, d, namespace, known, earlier) or said
        return Evidence(name, decisive=Seen(Answer(words, as_float64(d)), plain), explained=said)
    if not is_gradient(d) or d.dtype not in {*LIMITS, truth.dtype}:
        kind = "dtype" if d.layout is torch.strided else "layout"
        line = f"{name:15s} | {kind} {getattr(d, kind)}, but {name} is {getattr(truth, kind)}"
        judged.line = line.replace("torch.", "")
        dense = d.layout is torch.strided and not d.is_complex()
        return Evidence(name, decisive=Seen(Answer(words, d.detach() if dense else None), plain))
    return _evidence_of_values(judged, d, truth, namespace, earlier)


def _evidence_of_values(
    judged: Judgement, d: Tensor, truth: Tensor, namespace: Mapping[str, Any], earlier: Earlier
) -> Evidence:
    name = judged.verdict.name
    doubt = guards.doubt(name, truth, judged.survey)
    known = judged.survey if doubt is None else None
    found = _compared(d, truth, known.chain.scale(name) if known is not None else None)
    judged.line = (
        f"{name:15s} | exact: {found.exact!s:5s} | approximate: {found.approximate!s:5s} | maxdiff: {found.maxdiff}"
    )
    judged.yours, judged.limit = as_float64(d), limit_of(truth)
    chain = known.chain if known is not None else Gradients({name: as_float64(truth)}, {}, {name: {}})
    seen = Seen(Answer(describe_value(d)[0], judged.yours), chain, comparison=found)
    if guards.share_memory(d, truth) or (found.right and is_borrowed(name, namespace)):
        told = (
            "This is the gradient that PyTorch's autograd made. It lets you go on, and is not counted as an answer: "
            f"work d{name} out from the upstream gradient."
        )
        return Evidence(name, shown=seen, found=Finding("forbidden", told, "autograd"))
    # Where the forward tensors are not the exercise's, `t.grad` may be right for them.
    if doubt is not None and not (found.right and doubt.mistake == "stale-forward"):
        return Evidence(name, shown=seen, found=Finding("error", doubt.message, doubt.mistake))
    evidence = Evidence(name, decisive=seen, shown=seen)
    if found.right and known is not None:
        judged.notes += guards.spoilt(name, d, namespace, known)
        return replace(evidence, luck=_look_closer(judged, known))
    if known is None:
        off = f"Off by {size_words(found.error)} the largest element of the true gradient."
        return replace(evidence, explained=Diagnosis("wrong-values", off))
    said = _explained(judged, d, namespace, known, earlier)
    if said is None:  # right but for rounding that several lines have added up
        return replace(evidence, decisive=replace(seen, comparison=replace(found, right=True)))
    return replace(evidence, explained=said)


def _compared(d: Tensor, truth: Tensor, scale: float | None) -> Comparison:
    """The comparison in the coarser dtype of both: what another one leaves behind is no mistake."""
    dtype = torch.float64 if d.dtype is truth.dtype is torch.float64 else torch.float32
    return compare(d.detach().cpu().to(dtype), truth.detach().cpu().to(dtype), scale)


def _look_closer(judged: Judgement, known: Survey) -> Finding | None:
    """Where the true gradient is zero by algebra any small number looks right; some slips show all the same."""
    name, yours = judged.verdict.name, judged.yours
    if yours is None or not known.chain.vanishes(name):
        return None
    slip = guards.vanishing_slip(name, yours, known)
    if slip is None:
        judged.notes.append("zero but for rounding, so a wrong line may look right here: dojo grade looks closer")
        return None
    return Finding("wrong", slip.message, slip.mistake)


def _explained(
    judged: Judgement, d: Tensor, namespace: Mapping[str, Any], known: Survey, earlier: Earlier
) -> Diagnosis | None:
    """What is wrong: the line, or its upstream. None where nothing is."""
    name = judged.verdict.name
    wrong = known.wrong_above(name)
    broken = [other for other in wrong if other not in known.above]
    usable = is_gradient(d) and bool(torch.isfinite(d).all()) and d.shape == known.chain.total[name].shape
    if broken and (not usable or broken[0] == wrong[0]):
        said = f"d{broken[0]}, the upstream of this line, {_brokenness(broken[0], namespace)}."
        return _blame(judged, broken[0], said)
    if (aliased := guards.changed_with(name, d, namespace, known)) is not None:
        return Diagnosis("alias", aliased)
    mismatch = _mismatch(name, d, known, known.gradients(name))
    if mismatch.same(mismatch.candidate):
        # The rounding of several lines may add up to more than one line's; a gradient far up may be off by as little.
        off = wrong or [other for other in known.wrong if other in known.ways_to(name)]
        said = f"This line is right: it makes of d{off[0]} what it should. But that is wrong." if off else ""
        return _blame(judged, off[0], said) if off else None
    if (read := _read_before(mismatch, known, earlier)) is not None:
        return Diagnosis("stale-upstream", f"d{read} has changed since this line ran: run this cell again.")
    found = _detected(mismatch)
    shared = guards.sharing(d, name, namespace, known)
    if found.mistake in UNEXPLAINED and shared:
        # An in-place line may have changed what it was made from: look again with the true gradients there.
        mismatch = _mismatch(name, d, known, known.gradients(name, without=shared))
        found = _detected(mismatch)
    if found.mistake in UNEXPLAINED:
        found = repaired(mismatch, known, namespace, found)
    if wrong:
        return Diagnosis(found.mistake, f"{found.message} (Its upstream is wrong too: d{wrong[0]}.)")
    return found


def _blame(judged: Judgement, upstream: str, why: str) -> Diagnosis:
    judged.upstream = upstream
    return Diagnosis(UPSTREAM, f"{why} Mend d{upstream} first, then run its cell and the cells below it again.")


def _brokenness(name: str, namespace: Mapping[str, Any]) -> str:
    """Why a gradient cannot be computed with."""
    value, tensor = namespace[f"d{name}"], namespace.get(name)
    if isinstance(tensor, Tensor) and value.shape != tensor.shape:
        return f"has the shape {shape_text(value.shape)}, and {name} is {shape_text(tensor.shape)}"
    return "holds nan or infinity" if is_gradient(value) else f"is a tensor of {value.dtype}".replace("torch.", "")


def _read_before(mismatch: Mismatch, known: Survey, earlier: Earlier) -> str | None:
    """The gradient of which an earlier, wrong value gives this candidate."""
    for through in mismatch.gradients.shares[mismatch.name]:
        for value in earlier.get(through, ()):
            if value.shape != mismatch.gradients.upstream[through].shape:
                continue
            there = known.gradients(mismatch.name, replaced={through: value}).total[mismatch.name]
            if mismatch.same(there, mismatch.candidate):
                return through
    return None


def _mismatch(name: str, d: Tensor, known: Survey, gradients: Gradients) -> Mismatch:
    sizes = [known.chain.scale(name), float(gradients.total[name].abs().max())]
    if known.chain.vanishes(name):
        sizes += [float(gradients.upstream[through].abs().max()) for through in gradients.shares[name]]
    handed, measure = frozenset(known.exercise.named_gradients), max(sizes)
    return Mismatch(name, as_float64(d), gradients, known.forward, handed, limit=limit_of(d), measure=measure)


def _detected(mismatch: Mismatch) -> Diagnosis:
    """The detectors' word. Where all paths but one vanish, a factor is that path's: the grader sees so too."""
    large = [path for path in mismatch.paths if float(path.share.abs().max()) > mismatch.noise]
    if len(mismatch.paths) > len(large) == 1:
        for detector in (path_twice, path_scaled):
            if (found := detector(mismatch, large[0])) is not None:
                return found
    return diagnose(mismatch)
