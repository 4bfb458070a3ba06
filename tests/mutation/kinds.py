"""The kinds of mutants, and for each the mistake ids whose explanation is true of it and of use to a learner."""

from __future__ import annotations

NEUTRAL = frozenset({"wrong-values", "wrong-shape", "not-a-tensor", "exception", "undefined-name"})
"""Ids that say how far off an answer is, or what Python said, and claim no mistake."""


def _ids(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CONSTANT = "scale path-scaled wrong-constant missing-factor extra-factor"

KINDS: dict[str, frozenset[str] | None] = {
    # signs
    "sign": _ids("sign path-scaled"),
    "term-sign": _ids("sign path-scaled"),  # of one term of a formula that has several
    "inner-sign": _ids("sign path-scaled missing-label scale"),  # 1 + h**2
    # constants, and n for n-1
    "constant": _ids(_CONSTANT + " path-twice wrong-mask"),
    "constant-term": _ids("wrong-constant"),  # 2 - h**2
    "count": _ids(_CONSTANT + " path-twice"),
    "other-count": _ids(_CONSTANT + " wrong-count path-twice"),
    "sum": _ids("scale path-scaled wrong-constant"),
    "drop-constant": _ids(_CONSTANT + " path-twice"),
    "invert-constant": _ids(_CONSTANT + " wrong-power"),
    "extra-constant": _ids(_CONSTANT + " path-twice"),
    "mean": _ids("scale path-scaled wrong-constant"),
    "epsilon": _ids("missing-epsilon"),
    "epsilon-value": _ids("missing-epsilon wrong-constant sign"),
    # factors and terms
    "drop-upstream": _ids("missing-upstream missing-factor missing-path"),  # bnraw.sum(0) is 0
    "drop-local": _ids("missing-local-derivative missing-factor missing-upstream missing-mask scale path-scaled"),
    "drop-ones": _ids("missing-broadcast " + _CONSTANT),  # with the 1/n before them
    "drop-term": _ids("missing-path missing-term missing-softmax-sum missing-local-derivative missing-upstream"),
    "drop-inner-term": _ids(
        "missing-local-derivative wrong-power wrong-constant missing-path missing-term missing-softmax-sum "
        "missing-label missing-softmax scale path-scaled"
    ),
    "invert-local": _ids("wrong-power missing-factor extra-factor"),
    "invert-upstream": _ids("wrong-power"),
    "invert-ones": _ids(_CONSTANT),
    "swap-division": _ids("wrong-power not-finite"),
    "swap-power": None,
    "plus-for-times": None,
    "extra-factor": _ids("extra-factor wrong-power"),
    "exponent": _ids("wrong-power missing-factor extra-factor scale path-scaled"),
    # names
    "forward-for-forward": _ids("wrong-forward-value"),
    "forward-for-gradient": _ids("wrong-upstream wrong-forward-value"),
    "gradient-for-gradient": _ids("wrong-upstream"),
    "gradient-for-forward": _ids("wrong-forward-value"),
    "other-target": _ids("zero"),
    "unfinished-for-gradient": _ids("wrong-upstream undefined-name"),
    "unfinished-for-forward": _ids("wrong-forward-value undefined-name"),
    "misspelt": _ids("undefined-name"),
    "shape-of-another": None,
    "maximum-of-another": None,
    "ones-call": _ids("wrong-forward-value extra-factor"),
    # dimensions, shapes, order
    "dimension": _ids("wrong-dimension"),
    "dimension-alias": None,
    "fewer-dimensions": _ids("missing-sum wrong-dimension"),
    "unmoved": _ids("unmoved-dimensions wrong-reshape transposed"),
    "drop-mask": _ids("missing-mask missing-local-derivative"),
    "inverted-mask": _ids("wrong-mask"),
    "drop-keepdim": _ids("missing-keepdim"),
    "add-keepdim": _ids("extra-keepdim"),
    "drop-sum": _ids("missing-softmax-sum missing-sum"),
    "other-reduction": None,
    "minimum": _ids("wrong-row-or-column vanishing"),
    "other-function": _ids("wrong-function wrong-forward-value missing-softmax missing-factor"),
    "foreign-function": None,
    "transpose": _ids("transposed"),
    "reshape": _ids("wrong-reshape wrong-row-or-column transposed unmoved-dimensions"),
    "index": _ids("wrong-row-or-column"),
    "shape-index": _ids("wrong-constant wrong-dimension hardcoded-size"),
    "num-classes": _ids("hardcoded-size hardcoded-values one-hot-classes"),
    # statements
    "drop-first": None,  # of several: Python says that the name is not defined
    "drop-whole": None,  # the only one: the gradient is then not attempted
    "drop-path": _ids("missing-path"),
    "drop-write": _ids("zero missing-path"),
    "drop-division": _ids("scale"),
    "overwrite": _ids("missing-path"),
    "add-to-nothing": None,
    "duplicate": None,
    "twice-the-path": _ids("path-twice path-scaled scale"),
    "restart": _ids("missing-path missing-label"),  # the first write again after the last
    "restart-zeros": _ids("zero missing-path"),
    "stale": _ids("stale-upstream"),
    "too-early": _ids("missing-path zero"),  # += above the first =, which then throws it away
    "clone": None,
    "zeros": _ids("missing-path zero"),
    "wrong-start": None,
    "rows": _ids("overwritten-rows"),
    "coarse": _ids("precision"),
    # the term of the labels in cross-entropy
    "label-sign": _ids("sign path-scaled missing-label wrong-label-term"),
    "label-constant": _ids("path-scaled path-twice wrong-constant wrong-label-term"),
    "label-missing": _ids("missing-path missing-label"),
    "label-or-softmax": _ids("missing-path missing-label missing-softmax wrong-label-term"),
    "label-twice": _ids("path-twice path-scaled wrong-label-term"),
    "label-late": _ids("wrong-label-term path-scaled"),
    "label-overwrite": _ids("missing-path wrong-label-term"),
    "mixed-exponentials": _ids("mixed-exponentials"),
    # training loops
    "forward": _ids("wrong-loss wrong-forward wrong-batch"),
    "learning-rate": _ids("learning-rate"),
    "update-sign": _ids("update-sign"),
    "no-update": _ids("no-update"),
    "wrong-order": _ids("wrong-order"),
    "stale-gradient": _ids("stale-gradient"),
    "wrong-gradient": _ids("wrong-order stale-gradient"),
    "autograd-update": _ids("autograd-update"),
    "shadowed-counter": _ids("shadowed-counter learning-rate"),
}
"""None where the kind has no id of its own: then any id that claims a mistake counts as wrong."""

TYPICAL = _ids(
    "sign term-sign inner-sign constant count other-count drop-constant mean sum epsilon drop-upstream drop-local "
    "drop-term drop-inner-term exponent dimension fewer-dimensions drop-keepdim drop-sum transpose unmoved drop-mask "
    "inverted-mask drop-path overwrite zeros stale rows label-missing label-or-softmax label-sign"
)
"""What people forget or mix up: in any network."""

ALSO_TRUE: dict[str, frozenset[str]] = {
    "forward-for-forward": _ids("missing-factor extra-factor wrong-power"),  # bndiff for bnraw: bnvar_inv is missing
    "forward-for-gradient": _ids("missing-upstream"),  # probs.sum(1) is 1: the local derivative alone
    "plus-for-times": _ids("missing-local-derivative missing-upstream missing-factor"),  # bnraw.sum(0) is 0
    "other-reduction": _ids("missing-sum"),
    "extra-factor": _ids("missing-local-derivative"),  # dlogprobs / probs * probs
    "shadowed-counter": _ids("wrong-batch"),
}
"""Ids that are true of a kind and say less than its own: neither right nor wrong."""

WHY_EQUAL: dict[str, str] = {
    "clone": "the copy guards the other name, and no later line reads it",
    "add-keepdim": "the sum is broadcast against the rows again in the same line",
    "dimension-alias": "the same dimension counted from the end",
    "drop-ones": "broadcasting spreads it in the same line",
    "duplicate": "the line writes the same again",
    "shape-of-another": "only the shape is read, and it is the same",
    "maximum-of-another": "this tensor's largest element of each row stands at the same place",
    "add-to-nothing": "it adds to zeros that were written just before",
    "invert-ones": "dividing by one",
    "minimum": "softmax does not change when a row is shifted, by whichever number",
    "forward": "the loop computes the same",
    "shape-index": "the same size",
    "num-classes": "the last class is there in these seeds",
    "drop-keepdim": "it is broadcast against the parameter",
    "drop-inner-term": "softmax does not change when a row is shifted",
    "inner-sign": "softmax does not change when a row is shifted",
}
