"""A notebook of one's own: other names for the lesson's tensors are found by the learner's own forward lines."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import sampled

from grader.lesson.exercise import Exercise, all_exercises, find_exercise, track_of
from grader.reading.alignment import align
from grader.report.records import SubmissionReport
from grader.syntax.source import parse_source, percent_cells

EX1, EX4 = find_exercise("makemore/ex1"), find_exercise("makemore/ex4")
Grade = Callable[..., list[SubmissionReport]]

SETUP = """\
import torch
import torch.nn.functional as F

words = open("names.txt", "r").read().splitlines()
Xtr, Ytr = build(words[: int(0.8 * len(words))])
g = torch.Generator().manual_seed(2147483647)
C = torch.randn((27, 10), generator=g)
W1 = torch.randn((30, n_hidden), generator=g) * 0.3
b1 = torch.randn(n_hidden, generator=g) * 0.1
W2 = torch.randn((n_hidden, 27), generator=g) * 0.1
b2 = torch.randn(27, generator=g) * 0.1
bngain = torch.randn((1, n_hidden)) * 0.1 + 1.0
bnbias = torch.randn((1, n_hidden)) * 0.1
parameters = [C, W1, b1, W2, b2, bngain, bnbias]
for p in parameters:
    p.requires_grad = True
n = 32
"""
BATCH = "ix = torch.randint(0, Xtr.shape[0], (n,), generator=g)\nXb, Yb = Xtr[ix], Ytr[ix]\n"


def cells(exercise: Exercise, tag: str) -> str:
    return "\n".join(cell.text for cell in exercise.code_cells(tag))


def notebook(exercise: Exercise, renamed: Mapping[str, str]) -> str:
    """A script with a data set and a network of its own, and the lesson's answers, under other names."""
    if exercise.can_train:
        text = SETUP + cells(exercise, "training").replace(".to(device)", "").replace("vocab_size", "27")
    else:
        text = SETUP + BATCH + cells(exercise, "forward") + "\n" + cells(exercise, "backward")
    for name, other in renamed.items():
        text = re.sub(rf"(?<![\w.])(d?){name}\b", rf"\g<1>{other}", text)
    return text


WHOLE = {
    "emb": "e0",
    "embcat": "x0",
    "hprebn": "z1",
    "bnmeani": "mu",
    "bndiff": "xc",
    "bndiff2": "xc2",
    "bnvar": "v",
    "bnvar_inv": "r",
    "bnraw": "xhat",
    "hpreact": "y1",
    "h": "a1",
    "logits": "z2",
    "logit_maxes": "top",
    "norm_logits": "low",
    "counts": "e",
    "counts_sum": "s",
    "counts_sum_inv": "one_by_s",
    "probs": "q",
    "logprobs": "logq",
    "loss": "cost",
    "Xb": "xb",
    "Yb": "yb",
}
RENAMED = {
    "the batch": {"Xb": "xb", "Yb": "yb"},
    "batch and data": {"Xb": "X_batch", "Yb": "Y_batch", "Xtr": "X_train", "Ytr": "Y_train"},
    "gain and bias": {"bngain": "gamma", "bnbias": "beta"},
    "forward tensors": {"hprebn": "z1", "h": "a1", "logits": "z2", "loss": "cost"},
    "a name that a loop uses too": {"bnraw": "p"},
    "nearly all": {
        "Xb": "inputs",
        "Yb": "targets",
        "Xtr": "Xs",
        "Ytr": "Ys",
        "C": "table",
        "W1": "first",
        "W2": "second",
        "bngain": "gamma",
        "hpreact": "pre",
    },
    "the whole forward pass": WHOLE,
}


@pytest.mark.parametrize("renamed", RENAMED.values(), ids=RENAMED)
@pytest.mark.parametrize("exercise", [EX1, EX4], ids=lambda e: e.number)
def test_right_answers_under_other_names_are_right(
    exercise: Exercise, renamed: Mapping[str, str], grade_text: Grade
) -> None:
    (report,) = grade_text(notebook(exercise, renamed), exercise=exercise.id)
    assert report.all_passed, [(v.name, v.mistake, v.message) for v in report.verdicts if not v.passed]


def test_a_wrong_answer_under_other_names_is_wrong(grade_text: Grade) -> None:
    text = notebook(EX1, RENAMED["nearly all"])
    assert text.count("dfirst = embcat.T @ dhprebn") == 1
    (report,) = grade_text(text.replace("dfirst = embcat.T", "dfirst = -embcat.T"), exercise=EX1.id)
    (wrong,) = (verdict for verdict in report.verdicts if not verdict.passed)
    assert (wrong.name, wrong.mistake, wrong.code) == ("W1", "sign", "dfirst = -embcat.T @ dhprebn")


# ---- An answer's own names: each is what its line computes ----

SUM_OF_BATCH = """\
counts = (logits - logits.max(1, keepdim=True).values).exp()
total = counts.sum(0, keepdim=True)
dlogits = (counts / total - F.one_hot(Yb, logits.shape[1])) / n
"""
MEAN_OF_ROW = """\
mu = 1 / n * hprebn.sum(1, keepdim=True)
xhat = (hprebn - mu) * bnvar_inv
dhprebn = bngain * bnvar_inv * (dhpreact - dhpreact.mean(0) - xhat * (dhpreact * xhat).sum(0) / (n - 1))
"""
OWN_GAIN = """\
gamma = torch.ones(1, hprebn.shape[1])
hpreact = gamma * bnraw + bnbias
dhprebn = gamma * bnvar_inv / n * (
    n * dhpreact - dhpreact.sum(0) - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))
"""
OWN_NUMBER = """\
m = 64
bnvar = 1 / (m - 1) * bndiff2.sum(0, keepdim=True)
dhprebn = bngain * bnvar_inv / m * (
    m * dhpreact - dhpreact.sum(0) - m / (m - 1) * bnraw * (dhpreact * bnraw).sum(0))
"""
OTHER_MAXIMUM = """\
top = logits.max(0, keepdim=True).values
e = (logits - top).exp()
dnorm_logits = e * dcounts
"""
UNBIASED = """\
r = (h.var(-1, keepdim=True) + 1e-5) ** -0.5
d = dout * gain2
dh = r * (d - d.mean(-1, keepdim=True) - hhat * (d * hhat).mean(-1, keepdim=True))
"""
SCALED = """\
sc = q @ k.transpose(-2, -1) * D**-0.5
w = torch.softmax(sc.masked_fill(later, float("-inf")), -1)
dv = w.transpose(-2, -1) @ dout
"""
WRONG = {
    "a sum over the batch": ("makemore/ex2", SUM_OF_BATCH, "total = counts.sum(0, keepdim=True)"),
    "a mean over the row": ("makemore/ex3", MEAN_OF_ROW, "mu = 1 / n * hprebn.sum(1, keepdim=True)"),
    "a gain of ones": ("makemore/ex3", OWN_GAIN, None),
    "a number for n": ("makemore/ex3", OWN_NUMBER, "m = 64"),
    "another power": (
        "makemore/ex1",
        "r = (bnvar + 1e-5) ** -1.5\ndbndiff = r * dbnraw + 2 * bndiff * dbndiff2\n",
        "r = (bnvar + 1e-5) ** -1.5",
    ),
    "another sum": (
        "makemore/ex1",
        "s = counts.sum(0, keepdim=True)\ndcounts_sum = -(s**-2) * dcounts_sum_inv\n",
        "s = counts.sum(0, keepdim=True)",
    ),
    "another maximum": ("makemore/ex1", OTHER_MAXIMUM, "top = logits.max(0, keepdim=True).values"),
    "another mean": (
        "makemore/ex1",
        "m = hprebn.mean(1, keepdim=True)\nxc = hprebn - m\ndbnvar_inv = (xc * dbnraw).sum(0, keepdim=True)\n",
        "m = hprebn.mean(1, keepdim=True)",
    ),
    "another variance": ("transformer/ex2", UNBIASED, None),
    "another scale": ("transformer/ex3", SCALED, "sc = q @ k.transpose(-2, -1) * D**-0.5"),
    "another layer": (
        "foundations/ex6",
        "top = hs[-2]\ndout = 2 * (top - target) / n\n",
        "top = hs[-2]",
    ),
}


@pytest.mark.parametrize(("exercise", "answer", "line"), WRONG.values(), ids=WRONG)
def test_a_slip_in_an_answers_own_forward_line_is_wrong(
    exercise: str, answer: str, line: str | None, grade_text: Grade
) -> None:
    (report,) = grade_text(answer, exercise=find_exercise(exercise).id)
    (verdict,) = (verdict for verdict in report.verdicts if verdict.status != "missing")
    assert not verdict.passed
    assert line is None or verdict.code == line


BATCH_SIZE = """\
N = logits.shape[0]
dlogits = F.softmax(logits, 1)
dlogits[range(N), Yb] -= 1
dlogits /= N
"""
FOUR_STEPS = """\
e = logits.exp()
s = e.sum(1, keepdim=True)
sinv = s**-1
p = e * sinv
dlogits = (p - F.one_hot(Yb, logits.shape[1])) / n
"""
IN_PLACE = """\
shifted = logits - logits.max(1, keepdim=True).values
e = shifted.exp()
s = e.sum(1, keepdim=True)
p = e * s**-1
p[range(n), Yb] -= 1
dlogits = p / n
"""
NAMES_OF_THE_SETUP = """\
h2 = logits.exp()
r = h2.sum(1, keepdim=True)
g = h2 / r
dlogits = (g - F.one_hot(Yb, num_classes=g.shape[1])) / g.shape[0]
"""
LABELS = """\
N = Yb.shape[0]
p = (logits - logits.logsumexp(1, keepdim=True)).exp()
dlogits = (p - F.one_hot(Yb, logits.shape[1])) / N
"""
THREE_PATHS = """\
m = hprebn.shape[0]
dxhat = bngain * dhpreact
dvar = (dxhat * bndiff).sum(0, keepdim=True) * -0.5 * bnvar_inv**3
dmu = -(dxhat * bnvar_inv).sum(0, keepdim=True)
dhprebn = dxhat * bnvar_inv + dvar * 2 * bndiff / (m - 1) + dmu / m
"""
OF_THE_SHAPE = """\
N, V = logits.shape
dlogprobs = torch.zeros(N, V)
dlogprobs[range(N), Yb] = -1.0 / N
m = hprebn.shape[0]
dbndiff2 = 1.0 / (m - 1) * torch.ones_like(bndiff2) * dbnvar
"""
OWN_SOFTMAX = """\
e = o.exp()
t = e.sum(-1, keepdim=True)
p = e / t
dout = 2 * (p @ v - target) / out.numel()
dv = p.T @ dout
"""
RIGHT = {
    "a batch size": ("makemore/ex2", BATCH_SIZE),
    "four steps": ("makemore/ex2", FOUR_STEPS),
    "in place": ("makemore/ex2", IN_PLACE),
    "names of the setup": ("makemore/ex2", NAMES_OF_THE_SETUP),
    "labels": ("makemore/ex2", LABELS),
    "three paths": ("makemore/ex3", THREE_PATHS),
    "sizes of shapes": ("makemore/ex1", OF_THE_SHAPE),
    "its own softmax": ("transformer/ex1", OWN_SOFTMAX),
}


def not_passed(report: SubmissionReport) -> list[tuple[str, str | None, str]]:
    found = (verdict for verdict in report.verdicts if verdict.status != "missing" and not verdict.passed)
    return [(verdict.name, verdict.mistake, verdict.message) for verdict in found]


@pytest.mark.parametrize(("exercise", "answer"), RIGHT.values(), ids=RIGHT)
def test_an_answers_own_names_cost_nothing(exercise: str, answer: str, grade_text: Grade) -> None:
    (report,) = grade_text(answer, exercise=find_exercise(exercise).id)
    assert any(verdict.passed for verdict in report.verdicts)
    assert not not_passed(report)


@pytest.mark.parametrize("right", [True, False])
def test_below_a_forward_pass_under_other_names_an_answers_own_names_are_its_own_too(
    right: bool, grade_text: Grade
) -> None:
    exercise = find_exercise("makemore/ex2")
    text = SETUP + BATCH + cells(exercise, "forward") + "\nloss.backward()\n" + (FOUR_STEPS if right else SUM_OF_BATCH)
    text = re.sub(r"\b([XY])b\b", lambda found: found[1].lower() + "b", text)
    (report,) = grade_text(text, exercise=exercise.id)
    assert report.all_passed is right


def test_a_slip_in_a_forward_pass_of_ones_own_costs_nothing_and_is_told_under_its_own_name(grade_text: Grade) -> None:
    text = notebook(EX1, WHOLE)
    assert text.count("s = e.sum(1, keepdim=True)") == 1
    (report,) = grade_text(text.replace("s = e.sum(1, keepdim=True)", "s = e.sum(0, keepdim=True)"), exercise=EX1.id)
    assert report.all_passed
    assert any("your forward pass computes s otherwise" in note for note in report.notes)


@pytest.mark.parametrize("probs", ["q", "p"])
def test_a_tensor_of_ones_own_forward_pass_may_be_changed_into_a_gradient(probs: str, grade_text: Grade) -> None:
    text = SETUP + BATCH + cells(EX1, "forward") + "\nprobs[range(n), Yb] -= 1\ndlogits = probs / n\n"
    for name, other in {"Xb": "xb", "Yb": "yb", "probs": probs}.items():
        text = re.sub(rf"(?<![\w.]){name}\b", other, text)
    (report,) = grade_text(text, exercise=EX1.id)
    assert not not_passed(report)
    assert not report.notes


def test_a_number_from_a_shape_is_no_size_of_the_lesson() -> None:
    assert not aligned("N = logits.shape[0]\nM = Xb.shape[0]\n").names


def aligned(text: str) -> Any:
    return align(parse_source(Path("answers.py"), percent_cells(text)).statements, track_of(EX1))


# ---- A line of the forward pass where a gradient belongs ----


def of_the_forward_pass(exercise: Exercise) -> list[str]:
    return [atom.text.partition(" = ")[2] for atom in exercise.atoms]


@pytest.mark.parametrize("exercise", all_exercises(), ids=lambda e: e.short_id)
def test_a_gradient_is_no_tensor_of_the_lesson_though_its_line_is_one(exercise: Exercise) -> None:
    spelt = [f"{before}{name}" for name in exercise.graded_gradients for before in ("d", "grad_", "delta_", "dL_d")]
    for name in spelt:
        for line in of_the_forward_pass(exercise):
            found = align(parse_source(Path("a.py"), percent_cells(f"{name} = {line}")).statements, track_of(exercise))
            assert name not in found.names, line


@pytest.mark.parametrize("name", sampled(4, [name for name in EX1.graded if name != "C"]))
def test_a_line_of_the_forward_pass_costs_the_gradient_that_it_stands_for_and_no_other(
    name: str, grade_text: Grade
) -> None:
    line = random.Random(name).choice(of_the_forward_pass(EX1))
    writes = [row for row in cells(EX1, "backward").splitlines() if row.startswith(f"d{name}")]
    first, *more = [row for row in writes if re.match(rf"d{name}\b", row)]
    text = cells(EX1, "backward").replace(first, f"d{name} = {line}")
    for row in more:
        text = text.replace(row, "")
    (report,) = grade_text(text, exercise=EX1.id)
    assert [verdict.name for verdict in report.verdicts if not verdict.passed] == [name]


def test_the_lessons_own_names_keep_their_meaning() -> None:
    assert not aligned(notebook(EX1, {})).given
    assert not aligned("emb = C[Yb]\n").names


def test_a_notebook_that_keeps_all_names_of_a_lesson_needs_no_alignment() -> None:
    assert not aligned(notebook(EX1, {}) + "\nyb = Ytr[ix]\nloss = -logprobs[range(n), yb].mean()\n").names


def test_a_name_with_two_meanings_is_given_no_value() -> None:
    found = aligned("yb = Ytr[ix]\nloss = -logprobs[range(n), yb].mean()\nyb = 3\n")
    assert (found.names, found.given) == ({"yb": "Yb"}, {})


def test_a_line_that_fits_badly_says_nothing() -> None:
    assert not aligned("other = embcat @ V + c\nhprebn = torch.relu(other - 1)\n").names


@pytest.mark.parametrize("made", ["dict()", "{}", "dict(h=dh)", "dict(zip('ab', (1, 2)))"])
def test_a_dictionary_of_ones_own_is_none_of_the_lesson(made: str) -> None:
    assert not aligned(f"d = {made}\nd['h'] = dlogits @ W2.T\n").names


def test_sizes_are_told_by_the_shapes_that_they_make() -> None:
    text = "C = torch.randn(V, EMB)\nW1 = torch.randn(BLOCK * EMB, HID) * 0.2\nV, BLOCK, EMB, HID = 27, 3, 24, 128\n"
    wanted = {"V": "vocab_size", "EMB": "n_embd", "HID": "n_hidden", "BLOCK": "block_size"}
    assert aligned(text).given == wanted


def test_what_a_function_calls_its_own_tensors_is_found_and_given_to_nobody() -> None:
    text = "def forward(x):\n    z = embcat @ W1 + b1\n    a = torch.tanh(z)\n    return a\n"
    found = aligned(text)
    assert found.names["z"] == "hprebn"
    assert not found.given


STARTER = """\
for i in range(max_steps):
    ix = torch.randint(0, Xtr.shape[0], (n,), generator=g)
    Xb, Yb = Xtr[ix], Ytr[ix]
    emb = C[Xb]
    hprebn = emb.view(n, -1) @ W1 + b1
    h = torch.tanh(hprebn)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Yb)
    loss.backward()
    dC, dW1, db1, dW2, db2, dbngain, dbnbias = None, None, None, None, None, None, None
    grads = [dC, dW1, db1, dW2, db2, dbngain, dbnbias]
    for p, grad in zip(parameters, grads):
        p.data += -0.1 * {}
"""


@pytest.mark.parametrize("update", ["p.grad", "grad"])
def test_a_starter_loop_that_nobody_has_filled_in_is_not_attempted(update: str, grade_text: Grade) -> None:
    (report,) = grade_text(SETUP + STARTER.format(update), exercise=EX4.id)
    assert {(verdict.status, verdict.message) for verdict in report.verdicts} == {("missing", "not attempted")}
    assert not report.attempted
