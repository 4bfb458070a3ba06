"""`cmp` reads the cells that ran: which token of the learner's lines is wrong, and what came from autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from answers.build import LINES
from plain_notebook import prepared

from grader.notebook.judging import judge
from grader.notebook.lines import lines_of
from grader.report.records import Verdict

UPWARD = list(LINES)
RESHAPED = "dlogits @ W2.view(W2.shape[1], -1)"


def after(*cells: str, until: str) -> dict[str, Any]:
    """A namespace in which the right answers above `until` ran in a cell each, then `cells`."""
    namespace = prepared("makemore/ex1")
    namespace["In"] = ["", *(LINES[gradient] for gradient in UPWARD[: UPWARD.index(until)]), *cells]
    for text in namespace["In"]:
        exec(text, namespace)
    return namespace


def verdict_of(gradient: str, namespace: dict[str, Any]) -> Verdict:
    name = gradient[1:]
    return judge(name, namespace[gradient], namespace[name], namespace).verdict


@pytest.mark.parametrize(
    "cells",
    [
        [f"dh = {RESHAPED}"],
        [f"print(dlogits.sum())\ndh = {RESHAPED}\nassert dh is not None"],
        ["turned = W2.view(W2.shape[1], -1)", "dh = dlogits @ turned"],
        ["def turned(x):\n    return x", f"dh = turned({RESHAPED})"],
        ["dh = dlogits @ W2.T", f"dh = {RESHAPED}"],
        ["dh = torch.zeros_like(h)", "this is no Python", f"dh += {RESHAPED}"],
        ["\n".join(LINES[gradient] for gradient in UPWARD[: UPWARD.index("dh")]) + f"\ndh = {RESHAPED}"],
    ],
    ids=["plain", "with-checks", "own-tensor", "own-function", "mended", "two-cells", "all-in-one-cell"],
)
def test_the_token_is_named(cells: list[str]) -> None:
    ran = [cell for cell in cells if "no Python" not in cell]
    namespace = after(*ran, until="dh")
    namespace["In"] = [*namespace["In"][: -len(ran)], *cells]
    found = verdict_of("dh", namespace)
    assert found.mistake == "wrong-reshape"
    assert "view keeps the order" in found.message


def test_lines_that_did_not_make_it_say_nothing() -> None:
    namespace = after(f"dh = {RESHAPED} + h", until="dh")
    namespace["In"][-1] = f"dh = {RESHAPED}"  # what ran is not what the list says
    assert verdict_of("dh", namespace).mistake == "wrong-values"
    del namespace["In"]
    assert verdict_of("dh", namespace).mistake == "wrong-values"


def test_an_edit_that_adds_in_place_spoils_nothing() -> None:
    """One of the edits makes of line 1 `dcounts = dprobs`, and line 2 then adds to that."""
    namespace = after("dcounts = dprobs * counts_sum_inv\ndcounts += dcounts_sum * counts", until="dcounts")
    judged = judge("counts", namespace["dcounts"], namespace["counts"], namespace)
    assert judged.verdict.mistake == "extra-factor"
    assert judged.survey is not None
    assert torch.equal(judged.survey.above["probs"], namespace["dprobs"].double())


def test_a_name_that_begins_alike_is_another_gradient() -> None:
    namespace = after("dh = dlogits @ W2.T", "dhpreact = (1.0 - h**2) * dh", until="dh")
    (statement,) = lines_of("h", namespace, namespace)
    assert statement.lineno == 1
    assert lines_of("C", namespace, namespace) == []


@pytest.mark.parametrize("answer", ["W2.grad.clone()", "W2.grad * 1.0", "torch.autograd.grad(loss, W2)[0]"])
def test_a_gradient_from_autograd_is_no_answer(answer: str) -> None:
    namespace = after(until="dW2")
    namespace["dW2"] = namespace["W2"].grad.clone()
    namespace["In"].append(f"dW2 = {answer}")
    found = verdict_of("dW2", namespace)
    assert (found.status, found.mistake) == ("forbidden", "autograd")
    namespace["In"].append(LINES["dW2"])
    assert verdict_of("dW2", namespace).passed
