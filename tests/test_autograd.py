"""The true gradients: cut at each named tensor, they are those of loss.backward(); the probe is a product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from grader.base.errors import DojoError
from grader.lesson.exercise import Exercise, all_exercises, read_exercise
from grader.lesson.trials import namespace_of, other_data, other_sizes, random_upstream, sizes_drawn
from grader.truth.autograd import Forward, Gradients, backpropagate, cut_forward, random_gradients, whole_backward
from grader.truth.truths import KnownTruths, Truth

GRADIENT_EXERCISES = {e.number: e for e in all_exercises() if e.track == "makemore" and e.atoms and not e.can_train}
EX1 = GRADIENT_EXERCISES["ex1"]
VANISHING = {"ex1": {"logit_maxes", "b1"}, "ex2": set(), "ex3": set()}
TWICE_USED = {"ex1": {"counts", "logits", "bndiff", "hprebn"}, "ex2": set(), "ex3": {"hprebn"}}

SIZES = st.fixed_dictionaries(
    {
        "batch_size": st.integers(5, 12),
        "n_embd": st.integers(2, 6),
        "n_hidden": st.integers(2, 9),
        "block_size": st.integers(2, 4),
        "seed": st.integers(0, 2**31 - 1),
    }
)
few_examples = settings(derandomize=True, max_examples=8, deadline=None)


def differentiated(exercise: Exercise, parameters: dict[str, Any]) -> tuple[dict[str, Any], Forward, Gradients]:
    namespace = namespace_of(exercise, {"dtype": "float64", **parameters})
    forward = cut_forward(exercise, namespace)
    return namespace, forward, backpropagate(forward)


def largest(tensor: Tensor) -> float:
    return float(tensor.abs().max())


@pytest.mark.parametrize("name", GRADIENT_EXERCISES)
@few_examples
@given(sizes=SIZES)
def test_cut_gradients_equal_those_of_backward(name: str, sizes: dict[str, int]) -> None:
    exercise = GRADIENT_EXERCISES[name]
    namespace, _, gradients = differentiated(exercise, sizes)
    whole = whole_backward(exercise, namespace, (*exercise.graded, *exercise.given))
    assert whole.keys() >= set(exercise.graded)
    for tensor, truth in whole.items():
        assert largest(gradients.total[tensor] - truth) <= 1e-14 * gradients.scale(tensor), tensor


@pytest.mark.parametrize("name", GRADIENT_EXERCISES)
@few_examples
@given(sizes=SIZES)
def test_exactly_the_known_gradients_vanish(name: str, sizes: dict[str, int]) -> None:
    exercise = GRADIENT_EXERCISES[name]
    _, _, gradients = differentiated(exercise, sizes)
    assert {tensor for tensor in exercise.graded if gradients.vanishes(tensor)} == VANISHING[name]
    for tensor in exercise.graded:
        assert gradients.scale(tensor) > 1e-6, tensor


@pytest.mark.parametrize("name", GRADIENT_EXERCISES)
@few_examples
@given(sizes=SIZES)
def test_shares_of_the_paths_add_up_to_the_total(name: str, sizes: dict[str, int]) -> None:
    exercise = GRADIENT_EXERCISES[name]
    _, _, gradients = differentiated(exercise, sizes)
    assert {n for n in exercise.graded if len(gradients.shares[n]) > 1} == TWICE_USED[name]
    for tensor in exercise.graded:
        shares = list(gradients.shares[tensor].values())
        assert largest(sum(shares[1:], shares[0]) - gradients.total[tensor]) <= 1e-14 * gradients.scale(tensor)


def test_the_shares_carry_the_names_of_the_atoms_they_come_through() -> None:
    _, forward, gradients = differentiated(EX1, {})
    assert gradients.shares["logits"].keys() == {"logit_maxes", "norm_logits"}
    assert gradients.shares["counts"].keys() == {"counts_sum", "probs"}
    straight = forward.values["counts_sum_inv"] * gradients.total["probs"]
    assert torch.allclose(gradients.shares["counts"]["probs"], straight, rtol=1e-14, atol=0)


def test_the_forward_values_are_detached_and_those_of_a_plain_run() -> None:
    namespace, forward, _ = differentiated(EX1, {})
    scope = dict(namespace)
    for atom in EX1.atoms:
        exec(atom.code, scope)
    for name in EX1.forward_names:
        assert torch.equal(forward.values[name], scope[name]), name
        assert not forward.values[name].requires_grad


def test_in_float32_the_shown_truth_has_the_bits_of_backward() -> None:
    namespace = namespace_of(EX1, {})
    scope = {n: v.detach().requires_grad_() if n in EX1.graded else v for n, v in namespace.items()}
    for atom in EX1.atoms:
        exec(atom.code, scope)
        scope[atom.name].retain_grad()
    scope["loss"].backward()
    whole = whole_backward(EX1, namespace, EX1.graded)
    for name in EX1.graded:
        assert torch.equal(whole[name], scope[name].grad), name


# ---- The probe with random upstream gradients ----

SMALL = """\
# %% tags=["parameters"]
seed = 3
rows = 4
# %% tags=["setup"]
import torch
g = torch.Generator().manual_seed(seed)
x = torch.randn((rows, 3), generator=g, dtype=torch.float64)
w = torch.randn((3, 2), generator=g, dtype=torch.float64)
b = torch.randn(2, generator=g, dtype=torch.float64)
# %% tags=["forward"]
y = x @ w + b
cube = y**3
both = cube * y
loss = both.sum()
# %% tags=["backward"]
dboth = dcube = dy = dw = db = ...
"""


def test_the_probe_equals_products_made_by_hand(tmp_path: Path) -> None:
    (tmp_path / "track").mkdir()
    path = tmp_path / "track" / "ex1_small.py"
    path.write_text(SMALL)
    exercise = read_exercise(path, tmp_path)
    forward = cut_forward(exercise, namespace_of(exercise, {}))
    upstream = random_gradients(forward, exercise.graded, seed=11)
    found = backpropagate(forward, upstream).total
    v, u = forward.values, upstream
    by_hand = {
        "both": torch.ones_like(v["both"]),
        "cube": u["both"] * v["y"],
        "y": u["both"] * v["cube"] + u["cube"] * 3 * v["y"] ** 2,
        "w": v["x"].T @ u["y"],
        "b": u["y"].sum(0),
    }
    assert upstream.keys() == by_hand.keys()
    for name, product in by_hand.items():
        assert torch.allclose(found[name], product, rtol=1e-13, atol=1e-13), name


def test_random_gradients_follow_from_the_seed_and_have_their_tensors_shapes() -> None:
    _, forward, _ = differentiated(EX1, {})
    one, again, other = (random_gradients(forward, EX1.graded, seed) for seed in (1, 1, 2))
    for name in EX1.graded:
        assert one[name].shape == forward.values[name].shape
        assert torch.equal(one[name], again[name])
        assert not torch.equal(one[name], other[name])


def test_under_the_probe_nothing_vanishes() -> None:
    for exercise in GRADIENT_EXERCISES.values():
        gradients = KnownTruths().find(exercise, random_upstream(5, "cpu")).gradients
        assert not [name for name in exercise.graded if gradients.vanishes(name)]


# ---- Trials ----


def test_other_data_differs_and_follows_from_the_seed() -> None:
    first, again, other = (KnownTruths().find(EX1, other_data(seed, "cpu")) for seed in (5, 5, 6))
    for name in set(EX1.graded) - VANISHING["ex1"]:
        assert first.gradients.total[name].dtype is torch.float64
        assert torch.equal(first.gradients.total[name], again.gradients.total[name])
        assert not torch.equal(first.gradients.total[name], other.gradients.total[name])
    first_batch, other_batch = (namespace_of(EX1, trial.parameters)["ix"] for trial in (first.trial, other.trial))
    assert not torch.equal(first_batch, other_batch)


@pytest.mark.parametrize("seed", range(20))
def test_other_sizes_are_all_different_from_each_other_and_from_the_exercise(seed: int) -> None:
    drawn = sizes_drawn(EX1, seed)
    sizes = [len(drawn.pop("alphabet")) + 1, *drawn.values()]
    own = {"batch_size": 32, "n_embd": 10, "n_hidden": 64, "block_size": 3}
    assert drawn.keys() == own.keys()
    assert len({27, *own.values(), *sizes}) == 10
    total = KnownTruths().find(EX1, other_sizes(EX1, seed, "cpu")).gradients.total
    assert total["emb"].shape == (drawn["batch_size"], drawn["block_size"], drawn["n_embd"])
    assert total["logits"].shape == (drawn["batch_size"], sizes[0])


# ---- Any network ----


def lesson_of(tmp_path: Path, setup: str, forward: str, backward: str = "", more: str = "") -> Exercise:
    parameters = 'seed = 3\ndevice = "cpu"\ndtype = "float64"\nn = 6'
    cells = [("parameters", parameters), ("setup", setup), ("forward", forward), ("backward", backward)]
    text = "".join(f'# %% tags=["{tag}"]\n{body}\n\n' for tag, body in cells) + more
    path = tmp_path / "any" / "ex1_any.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return read_exercise(path, tmp_path)


def truth_of(lesson: Exercise) -> Truth:
    return KnownTruths().find(lesson, other_data(1, "cpu"))


DRAW = "import torch\ng = torch.Generator().manual_seed(seed)\n"


def test_a_line_with_several_results_gives_each_its_path(tmp_path: Path) -> None:
    lesson = lesson_of(
        tmp_path,
        DRAW + "x = torch.randn(n, 9, generator=g, dtype=torch.float64)",
        "q, k, v = x.split(3, dim=-1)\nvalue, place = k.max(1, keepdim=True)\ny = q * v * value\nloss = (y**2).mean()",
        "dv = 1\ndx = 1",
    )
    truth = truth_of(lesson)
    assert set(truth.gradients.shares["x"]) == {"q", "k", "v"}
    assert [atom.name for atom in truth.forward.atoms] == ["q", "k", "v", "value", "y", "loss"]
    whole = KnownTruths().of_real_backward(lesson, truth.trial).gradients.total
    for name in ("x", "v"):
        assert torch.allclose(truth.gradients.total[name], whole[name], rtol=1e-12)


def test_the_gradient_of_the_loss_is_one_and_may_be_graded(tmp_path: Path) -> None:
    lesson = lesson_of(tmp_path, "import torch\nw = torch.tensor(2.0)", "z = w**2\nloss = z * 3", "dloss = 1.0\ndw = 1")
    truth = truth_of(lesson)
    assert (float(truth.gradients.total["loss"]), float(truth.gradients.total["w"])) == (1.0, 12.0)
    assert truth.gradients.shares["loss"] == {}
    assert not truth.gradients.vanishes("loss")
    probe = KnownTruths().find(lesson, random_upstream(1, "cpu"))
    assert float(probe.put_back["loss"]) == 1.0


def test_plain_numbers_have_gradients_where_these_are_graded(tmp_path: Path) -> None:
    lesson = lesson_of(tmp_path, "x = 1.1\nw = 2.2\nscale = 0.5", "z = x * w\nloss = scale * z**2", "dw = 1\ndz = 1")
    truth = truth_of(lesson)
    assert float(truth.gradients.total["w"]) == pytest.approx(1.1**2 * 2.2)
    assert "scale" not in truth.gradients.total


NUMPY = """\
import numpy as np
rng = np.random.default_rng(seed)
X = rng.normal(size=(4, n))
W = rng.normal(size=(3, 4))
b = rng.normal(size=(3, 1))
y = rng.integers(0, 3, n)


def softmax(Z):
    E = np.exp(Z - Z.max(axis=0, keepdims=True))
    return E / E.sum(axis=0, keepdims=True)
"""


def test_numpy_lines_have_the_gradients_of_the_same_lines_in_torch(tmp_path: Path) -> None:
    lesson = lesson_of(
        tmp_path,
        NUMPY,
        "Z = np.maximum(W @ X + b, 0)\nA = softmax(Z)\nloss = -np.log(A[y, np.arange(n)]).mean()",
        "dZ = 1\ndW = 1\ndb = 1",
    )
    truth = truth_of(lesson)
    names = namespace_of(lesson, truth.trial.parameters)
    W, b = (torch.from_numpy(names[name]).requires_grad_() for name in ("W", "b"))
    Z = (W @ torch.from_numpy(names["X"]) + b).relu()
    loss = torch.nn.functional.cross_entropy(Z.T, torch.from_numpy(names["y"]))
    expected = torch.autograd.grad(loss, [Z, W, b])
    for name, gradient in zip(("Z", "W", "b"), expected, strict=True):
        assert torch.allclose(truth.gradients.total[name], gradient, rtol=1e-10)
    assert isinstance(names["W"], np.ndarray)


def test_a_loss_that_is_not_one_number_or_that_a_tensor_does_not_feed_is_refused(tmp_path: Path) -> None:
    setup = DRAW + "x = torch.randn(n, 2, generator=g)\nw = torch.randn(2, generator=g)"
    with pytest.raises(DojoError, match=r"gives loss, which is not one number"):
        truth_of(lesson_of(tmp_path, setup, "loss = x * w", "dx = 1"))
    with pytest.raises(DojoError, match=r"dw is graded or given, but loss does not depend on w"):
        truth_of(lesson_of(tmp_path, setup, "z = x * 2\nu = w * 1\nloss = z.sum()", "dw = 1"))
