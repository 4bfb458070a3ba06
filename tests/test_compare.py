"""What counts as equal, and in which order a candidate is judged."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from grader.judging.grade import Grader
from grader.lesson.exercise import find_exercise
from grader.lesson.trials import namespace_of, use_exact_arithmetic
from grader.truth.autograd import backpropagate, cut_forward
from grader.truth.compare import LIMITS, compare

SEEDS = range(200)


@pytest.fixture(autouse=True, scope="module")
def _exact() -> None:
    use_exact_arithmetic()


# ---- Numbers ----


def test_exact_means_every_bit_and_approximate_means_allclose() -> None:
    truth = torch.tensor([1.0, -2.0, 3.0])
    same, near, far = (
        compare(truth.clone(), truth),
        compare(truth * (1 + 2e-7), truth),
        compare(truth * 1.1, truth),
    )
    assert (same.exact, same.approximate, same.right, same.maxdiff, same.error) == (
        True,
        True,
        True,
        0.0,
        0.0,
    )
    assert (near.exact, near.approximate, near.right) == (False, True, True)
    assert (far.exact, far.approximate, far.right) == (False, False, False)
    assert far.maxdiff == pytest.approx(0.3, rel=1e-5)
    assert far.error == pytest.approx(0.1, rel=1e-5)


@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e12])
def test_the_limit_is_relative_to_the_largest_element(factor: float) -> None:
    truth = torch.tensor([1.0, 1e-6], dtype=torch.float64) * factor
    limit = LIMITS[torch.float64]
    inside = truth + torch.tensor([0.0, 0.9 * limit], dtype=torch.float64) * factor
    outside = truth + torch.tensor([0.0, 1.1 * limit], dtype=torch.float64) * factor
    assert compare(inside, truth).right
    assert not compare(outside, truth).right


def test_a_scale_takes_the_place_of_a_truth_that_vanishes() -> None:
    truth, candidate = torch.zeros(3), torch.full((3,), 1e-9)
    assert not compare(candidate, truth).right
    assert compare(candidate, truth, scale=1.0).right
    assert compare(truth, truth).right
    assert compare(truth, truth).error == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_never_right(bad: float) -> None:
    truth = torch.tensor([1.0, 2.0])
    candidate = torch.tensor([1.0, bad])
    assert not compare(candidate, truth).right
    assert not compare(candidate, truth, scale=float("inf")).right
    assert not compare(candidate, candidate).right


def test_an_empty_tensor_has_no_error() -> None:
    assert compare(torch.zeros(0), torch.zeros(0), scale=1.0).right


# ---- The limits, between the noise of right answers and the smallest real mistake ----


def _truth(exercise: str, dtype: str, seed: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    chosen = find_exercise(exercise)
    forward = cut_forward(chosen, namespace_of(chosen, {"dtype": dtype, "seed": seed}))
    return backpropagate(forward).total, forward.values


def _without_epsilon(exercise: str, dtype: str, seed: int) -> tuple[Tensor, Tensor]:
    """(what a missing 1e-5 gives, the truth)."""
    d, v = _truth(exercise, dtype, seed)
    if exercise == "makemore/ex1":
        return -0.5 * v["bnvar"] ** -1.5 * d["bnvar_inv"], d["bnvar"]
    n, up, raw = v["n"], d["hpreact"], v["bnraw"]
    column = n * up - up.sum(0) - n / (n - 1) * raw * (up * raw).sum(0)
    return v["bngain"] * v["bnvar"] ** -0.5 / n * column, d["hprebn"]


@pytest.mark.parametrize("dtype", LIMITS, ids=str)
@pytest.mark.parametrize("exercise", ["makemore/ex1", "makemore/ex3"])
def test_a_missing_epsilon_is_outside_of_each_limit(exercise: str, dtype: torch.dtype) -> None:
    for seed in SEEDS:
        candidate, truth = _without_epsilon(exercise, str(dtype).removeprefix("torch."), seed)
        found = compare(candidate, truth)
        assert not found.right, f"seed {seed}: {found.error:.1e} is within {LIMITS[dtype]:.0e}"


def _right_answers(d: dict[str, Tensor], v: dict[str, Any]) -> dict[str, Tensor]:
    """Right answers that go other ways than PyTorch does."""
    n = v["n"]
    onehot = torch.nn.functional.one_hot(v["Yb"], v["logits"].shape[1]).to(v["logits"].dtype)
    inv, raw, up = v["bnvar_inv"], v["bnraw"], d["hpreact"]
    ex3 = v["bngain"] * inv / n * (n * up - up.sum(0) - n / (n - 1) * raw * (up * raw).sum(0))
    return {
        "logits": (torch.softmax(v["logits"], 1) - onehot) / n,
        "hprebn": ex3,
        "bnvar": -0.5 * inv**3 * d["bnvar_inv"],
        "hpreact": d["h"] / torch.cosh(v["hpreact"]) ** 2,
        "W2": torch.einsum("nh,nv->hv", v["h"].flip(0), d["logits"].flip(0)),
        "C": torch.nn.functional.one_hot(v["Xb"].view(-1), v["C"].shape[0]).to(up.dtype).T
        @ d["emb"].view(-1, v["C"].shape[1]),
    }


@pytest.mark.parametrize(("dtype", "room"), [(torch.float64, 100), (torch.float32, 2)], ids=str)
def test_the_noise_of_right_answers_is_well_inside(dtype: torch.dtype, room: int) -> None:
    worst = 0.0
    for seed in SEEDS:
        d, v = _truth("makemore/ex1", str(dtype).removeprefix("torch."), seed)
        for name, candidate in _right_answers(d, v).items():
            found = compare(candidate, d[name])
            assert found.error <= LIMITS[dtype] / room, f"{name}: {found.error:.1e}"
            worst = max(worst, found.error)
    assert worst > 0


# ---- The order of judgement ----

NAN = "torch.full_like(bnbias, float('nan'))"
RIGHT = "dhpreact.sum(0, keepdim=True)"
ORDERED = [
    ("right", RIGHT, "pass", None),
    ("undefined before all else", "nothing + 1", "error", "undefined-name"),
    ("a number", "3.0", "wrong", "not-a-tensor"),
    ("an array", f"({RIGHT}).numpy()", "wrong", "not-a-tensor"),
    ("shape before dtype and nan", f"{NAN}.half().view(-1)", "shape", None),
    ("right numbers in another shape", "dhpreact.sum(0)", "shape", "missing-keepdim"),
    ("dtype before nan", f"{NAN}.half()", "wrong", "precision"),
    ("integers", "torch.zeros(bnbias.shape, dtype=torch.int64)", "wrong", "precision"),
    ("nan before values", NAN, "wrong", "not-finite"),
    ("one infinity", f"({RIGHT}).index_fill(1, torch.tensor([2]), float('inf'))", "wrong", "not-finite"),
    ("values", f"1.01 * {RIGHT}", "wrong", None),
    ("sparse", f"({RIGHT}).to_sparse()", "wrong", "not-dense"),
    ("complex", f"torch.complex({RIGHT}, {RIGHT})", "forbidden", "not-admitted"),
    ("float32 island", f"({RIGHT}).numpy().astype('float32')", "wrong", "not-a-tensor"),
    ("float32 tensor", f"torch.from_numpy(({RIGHT}).numpy().astype('float32'))", "pass", None),
    ("stride 0", "torch.zeros(1, 1).expand(bnbias.shape)", "wrong", None),
]


@pytest.mark.parametrize(("value", "status", "mistake"), [pytest.param(*row[1:], id=row[0]) for row in ORDERED])
def test_judged_in_order(
    grader: Grader,
    grade_text: Any,
    value: str,
    status: str,
    mistake: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # guards refuse what makes a sparse tensor before it is judged; a worker makes no complex one without them either
    monkeypatch.setattr(grader, "settings", dataclasses.replace(grader.settings, guarded=False))
    (report,) = grade_text(f"dbnbias = {value}\n", exercise="ex1")
    (verdict,) = [verdict for verdict in report.verdicts if verdict.name == "bnbias"]
    assert verdict.status == status
    if mistake is not None or status == "pass":
        assert verdict.mistake == mistake
    assert verdict.passed == (status == "pass")
    assert bool(verdict.message) == (status != "pass")


@pytest.mark.parametrize("stub", ["...", "None"])
def test_a_stub_is_missing_not_wrong(grade_text: Any, stub: str) -> None:
    (report,) = grade_text(f"nothing = {stub}\ndbnbias = nothing\ndb2 = dlogits.sum(0)\n", exercise="ex1")
    statuses = {verdict.name: verdict.status for verdict in report.verdicts}
    assert (statuses["bnbias"], statuses["b2"]) == ("missing", "pass")
