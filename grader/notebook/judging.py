"""One gradient in a live namespace -> Verdict: by the same comparison and the same detectors as `dojo grade`.

In a namespace nothing puts the true gradients back between two lines. So a line is also judged by what it makes of
the learner's own gradients: where these are wrong and the line is right, that is what the verdict says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from grader.diagnosing import UNEXPLAINED, Diagnosis, Mismatch, diagnose, shape_text, wrong_shape
from grader.diagnosing.paths import path_scaled, path_twice
from grader.judging.details import details_of
from grader.notebook import guards
from grader.notebook.lines import borrowed_by, repaired
from grader.notebook.truth import Survey, as_float64, exercise_in, is_gradient, limit_of, survey
from grader.report.records import Details, Verdict
from grader.showing.terminal import verdict_words
from grader.truth.autograd import Gradients
from grader.truth.compare import LIMITS, Comparison, compare

UPSTREAM = "upstream"
"""A notebook's own mistake id: the line is right, its upstream is not."""

Earlier = Mapping[str, Sequence[Tensor]]
"""For a tensor's name the wrong gradients that `cmp` has seen for it, in float64."""


@dataclass
class Judgement:
    """A verdict and what is shown with it; `yours` and `true` are float64, where both have one shape."""

    verdict: Verdict
    line: str
    survey: Survey | None = None
    limit: float | None = None
    upstream: str | None = None
    yours: Tensor | None = None
    true: Tensor | None = None
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


def judge_in_namespace(name: str, d: Any, t: Any, namespace: Mapping[str, Any]) -> Verdict:
    """What `cmp(name, d, t)` says in this namespace."""
    return judge(name, d, t, namespace).verdict


def judge(name: str, d: Any, t: Any, namespace: Mapping[str, Any], earlier: Earlier | None = None) -> Judgement:
    """The verdict on `d` as the gradient of `t`, the lecture's line, and what a card shows."""
    exercise = exercise_in(namespace, name)
    if d is ... or d is None:
        found = _without_numbers(name, "not attempted", Verdict(name, message="not attempted"))
        found.survey = survey(exercise, namespace) if exercise else None
        return found
    known = survey(exercise, namespace) if exercise else None
    if known is not None and name not in known.chain.total:
        known = None
    judged = _judge_numbers(name, d, t, namespace, known, earlier or {})
    judged.survey = known
    if not judged.verdict.passed and judged.verdict.details is None and isinstance(t, Tensor):
        ours = list(d.shape) if isinstance(d, Tensor) else None
        judged.verdict.details = Details(shape=list(t.shape), your_shape=ours)
    return judged


def _without_numbers(name: str, said: str, verdict: Verdict) -> Judgement:
    return Judgement(verdict, f"{name:15s} | {said}")


def unfinished(judged: Judgement, exception: str) -> Judgement:
    """The judgement of a value that is older than its cell: the cell has run again, and an exception ended it."""
    name = judged.verdict.name
    message = (
        f"Your cell for d{name} raised {exception}; this is the value from before. Mend the cell and run it again."
    )
    return Judgement(Verdict(name, "error", mistake="stale-cell", message=message), judged.line, judged.survey)


def _judge_numbers(
    name: str, d: Any, t: Any, namespace: Mapping[str, Any], known: Survey | None, earlier: Earlier
) -> Judgement:
    if not isinstance(t, Tensor):
        verdict = Verdict(name, "error", mistake="no-true-gradient", message=guards.no_tensor(name, t))
        return _without_numbers(name, f"no tensor {name} to compare with", verdict)
    if not isinstance(d, Tensor):
        kind, shape = type(d).__name__, shape_text(t.shape)
        message = f"It is a Python {kind}; a gradient is a tensor of shape {shape}."
        verdict = Verdict(name, "wrong", mistake="not-a-tensor", message=message)
        return _without_numbers(name, f"a {kind}, not a tensor of shape {shape}", verdict)
    truth = guards.true_gradient(t)
    if truth is None:
        verdict = Verdict(name, "error", mistake="no-true-gradient", message=guards.no_gradient(name, t))
        return _without_numbers(
            name, "no true gradient yet: run the cells from the forward pass to loss.backward() again", verdict
        )
    if d.shape != truth.shape:
        said = f"shape {shape_text(d.shape)}, but {name} is {shape_text(truth.shape)}"
        judged = _without_numbers(name, said, Verdict(name, "shape", mistake="wrong-shape"))
        judged.verdict.message = wrong_shape(name, d.shape, truth.shape)
        if known is not None and is_gradient(d) and known.chain.total[name].shape == truth.shape:
            _explain(judged, d, namespace, known, earlier)
        return judged
    if not is_gradient(d) or d.dtype not in {*LIMITS, truth.dtype}:
        said = f"dtype {d.dtype}, but {name} is {truth.dtype}".replace("torch.", "")
        return _without_numbers(name, said, _judge_kind(name, d))
    return _judge_values(name, d, truth, namespace, known, earlier)


def _judge_kind(name: str, d: Tensor) -> Verdict:
    kind, layout = str(d.dtype).removeprefix("torch."), str(d.layout).removeprefix("torch.")
    if d.layout is not torch.strided or d.is_complex():
        message = f"A gradient is a dense tensor of real numbers; yours is {layout}, {kind}."
        return Verdict(name, "wrong", mistake="not-dense", message=message)
    message = f"Its dtype is {kind}; a gradient has its tensor's dtype. Nothing here needs another one."
    return Verdict(name, "wrong", mistake="precision", message=message)


def _judge_values(
    name: str,
    d: Tensor,
    truth: Tensor,
    namespace: Mapping[str, Any],
    known: Survey | None,
    earlier: Earlier,
) -> Judgement:
    trust = guards.trust(name, truth, known)
    scale = known.chain.scale(name) if known is not None and trust.message is None else None
    found = _compared(d, truth, scale)
    figures = f"exact: {found.exact!s:5s} | approximate: {found.approximate!s:5s} | maxdiff: {found.maxdiff}"
    judged = Judgement(Verdict(name, "wrong"), f"{name:15s} | {figures}", limit=limit_of(truth))
    judged.yours, judged.true = as_float64(d), as_float64(truth)
    verdict = judged.verdict
    verdict.exact, verdict.approximate = found.exact, found.approximate
    verdict.maxdiff = found.maxdiff if found.maxdiff == found.maxdiff else None
    if guards.share_memory(d, truth) or (found.right and borrowed_by(name, namespace)):
        verdict.status, verdict.mistake, verdict.message = "forbidden", "autograd", guards.borrowed(name)
        return judged
    if trust.message is not None and not (found.right and trust.own_forward):
        verdict.status, verdict.mistake, verdict.message = "error", trust.mistake, trust.message
        return judged
    usable = known if trust.message is None else None
    if found.right:
        verdict.status = "pass"
        if usable is not None:
            _look_closer(judged, usable)
            judged.notes += guards.spoilt(name, d, namespace, usable)
    elif usable is None:
        verdict.mistake = "wrong-values"
        verdict.message = f"Off by {found.error:.1e} of the largest element of the true gradient."
    else:
        _explain(judged, d, namespace, usable, earlier)
    if not verdict.passed:
        details_from = usable.chain if usable is not None else Gradients({name: judged.true}, {}, {name: {}})
        verdict.details = details_of(name, details_from, judged.yours, found)
    return judged


def _compared(d: Tensor, truth: Tensor, scale: float | None) -> Comparison:
    """The comparison in the coarser dtype of both: what another one leaves behind is no mistake."""
    dtype = torch.float64 if d.dtype is truth.dtype is torch.float64 else torch.float32
    return compare(d.detach().cpu().to(dtype), truth.detach().cpu().to(dtype), scale)


def _look_closer(judged: Judgement, known: Survey) -> None:
    """Where the true gradient is zero by algebra any small number looks right; some slips show all the same."""
    verdict, yours = judged.verdict, judged.yours
    if yours is None or not known.chain.vanishes(verdict.name):
        return
    slip = guards.vanishing_slip(verdict.name, yours, known)
    if slip is None:
        judged.notes.append("zero but for rounding, so a wrong line may look right here: dojo grade looks closer")
        return
    verdict.status, verdict.mistake, verdict.message = "wrong", slip.mistake, slip.message


def _explain(judged: Judgement, d: Tensor, namespace: Mapping[str, Any], known: Survey, earlier: Earlier) -> None:
    """Name what is wrong: the line, or its upstream."""
    verdict, name = judged.verdict, judged.verdict.name
    wrong = known.wrong_above(name)
    broken = [other for other in wrong if other not in known.above]
    finite = is_gradient(d) and bool(torch.isfinite(d).all())
    if broken and (judged.verdict.status == "shape" or not finite or broken[0] == wrong[0]):
        _blame(judged, broken[0], f"d{broken[0]}, the upstream of this line, {_brokenness(broken[0], namespace)}.")
        return
    aliased = guards.changed_with(name, d, namespace, known)
    if aliased is not None:
        verdict.mistake, verdict.message = "alias", aliased
        return
    mismatch = _mismatch(name, d, known, known.gradients(name))
    if mismatch.same(mismatch.candidate):
        # The rounding of several lines may add up to more than one line's; a gradient far up may be off by as little.
        off = wrong or [other for other in known.wrong if other in known.ways_to(name)]
        if off:
            _blame(judged, off[0], f"This line is right: it makes of d{off[0]} what it should. But that is wrong.")
        else:
            verdict.status = "pass"
        return
    if (read := _read_before(mismatch, known, earlier)) is not None:
        verdict.mistake = "stale-upstream"
        verdict.message = f"d{read} has changed since this line ran: run this cell again."
        return
    said = _explained(mismatch)
    shared = guards.sharing(d, name, namespace, known)
    if said.mistake in UNEXPLAINED and shared:
        # An in-place line may have changed what it was made from: look again with the true gradients there.
        mismatch = _mismatch(name, d, known, known.gradients(name, without=shared))
        said = _explained(mismatch)
    if said.mistake in UNEXPLAINED:
        said = repaired(mismatch, known, namespace, said)
    verdict.mistake, verdict.message = said.mistake, said.message
    if wrong:
        verdict.message += f" (Its upstream is wrong too: d{wrong[0]}.)"


def _blame(judged: Judgement, upstream: str, why: str) -> None:
    judged.upstream, judged.verdict.mistake = upstream, UPSTREAM
    judged.verdict.message = f"{why} Mend d{upstream} first, then run its cell and the cells below it again."


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
    measure = max(sizes)
    return Mismatch(name, as_float64(d), gradients, known.forward, known.handed, limit=limit_of(d), measure=measure)


def _explained(mismatch: Mismatch) -> Diagnosis:
    """The detectors' word. Where all paths but one vanish, a factor is that path's: the grader sees so too."""
    large = [path for path in mismatch.paths if float(path.share.abs().max()) > mismatch.noise]
    if len(mismatch.paths) > len(large) == 1:
        for detector in (path_twice, path_scaled):
            if (found := detector(mismatch, large[0])) is not None:
                return found
    return diagnose(mismatch)
