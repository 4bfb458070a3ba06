"""Exercise 4: a loop against autograd's, step by step; the first step and tensor that are wrong are named."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent, indent

import pytest
from conftest import sampled

from grader.lesson.exercise import find_exercise
from grader.report.records import SubmissionReport, Verdict

EX4 = find_exercise("makemore/ex4")
(LOOP,) = (cell.text.rstrip() + "\n" for cell in EX4.code_cells("training"))
PARAMETERS = ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias")
MIDDLE = 100_001
UPDATE = "p.sub_(gradient, alpha=lr)"
RATE = "lr = learning_rates[0] if step < max_steps / 2 else learning_rates[1]"
APPEND = "losses.append(loss.item())"
DRAW = "ix = torch.randint(0, Xtr.shape[0], (n,), generator=g)"

Grade = Callable[..., list[SubmissionReport]]


def edited(old: str, new: str) -> str:
    assert LOOP.count(old) == 1, old
    return LOOP.replace(old, new)


@pytest.fixture
def grade(grade_text: Grade) -> Callable[[str], SubmissionReport]:
    def graded(text: str) -> SubmissionReport:
        (report,) = grade_text(text, exercise="makemore/ex4")
        assert tuple(verdict.name for verdict in report.verdicts) == ("loss", *PARAMETERS)
        return report

    return graded


def refused(report: SubmissionReport) -> dict[str, Verdict]:
    return {verdict.name: verdict for verdict in report.verdicts if not verdict.passed}


def passes_fully(report: SubmissionReport) -> bool:
    return report.all_passed and not report.notes and not any(v.mistake for v in report.verdicts)


# ---- Right loops ----


def test_the_solution_gets_full_marks(grade_text: Grade) -> None:
    (report,) = grade_text(EX4.path.read_text(encoding="utf-8"))
    assert report.exercise == "makemore/ex4_training"
    assert passes_fully(report)
    assert all(verdict.approximate for verdict in report.verdicts)
    assert report.verdicts[0].code == "for step in tqdm(range(max_steps)):"


BY_NAME = "\n        ".join(f"{name} -= lr * d{name}" for name in PARAMETERS)
REBOUND = "\n        ".join(f"{name} = {name} - lr * d{name}" for name in PARAMETERS)
LOOP_OF_UPDATES = "for p, gradient in zip(parameters, gradients, strict=True):\n            " + UPDATE
RIGHT = {
    "without tqdm": edited("tqdm(range(max_steps))", "range(max_steps)"),
    "tqdm with a description": edited("tqdm(range(max_steps))", 'tqdm(range(max_steps), desc="train", leave=False)'),
    "trange": edited("tqdm(range(max_steps))", "trange(max_steps)"),
    "a bar of its own": "bar = tqdm(range(max_steps))\n"
    + edited("tqdm(range(max_steps))", "bar").replace("losses.append", "bar.set_description('x'); losses.append"),
    "a live curve": "from grader import plots\n" + edited(APPEND, f"{APPEND}\n        plots.live_losses(losses)"),
    "a live curve, by the name that the set-up gives": edited(APPEND, f"{APPEND}\n        live_losses(losses)"),
    "counted from 1": edited("range(max_steps)", "range(1, max_steps + 1)").replace("step < max", "step <= max"),
    "literals": edited(RATE, "lr = 0.1 if step < 100000 else 0.01").replace("range(max_steps)", "range(200000)"),
    "the rate steps down one step later": edited("step < max_steps / 2", "step <= max_steps / 2"),
    "data": edited(UPDATE, "p.data += -lr * gradient"),
    "in place": edited(UPDATE, "p -= lr * gradient"),
    "each by its name": edited(LOOP_OF_UPDATES, BY_NAME),
    "each bound afresh": edited(LOOP_OF_UPDATES, REBOUND),
    "own list of parameters": "parameters = [C, W1, b1, W2, b2, bngain, bnbias]\n" + LOOP,
    "loss as a number": edited("F.cross_entropy(logits, Yb)", "F.cross_entropy(logits, Yb).item()").replace(
        "loss.item()", "loss"
    ),
    "a break at the end": edited(APPEND, f"{APPEND}\n        if step == max_steps - 1:\n            break"),
    "inside a function": "def train(steps):\n"
    + indent(LOOP.replace("max_steps", "steps"), "    ")
    + "    return losses\n\n\nlosses = train(max_steps)\n",
    "a draw before the loop": "def train():\n    "
    + DRAW
    + "\n"
    + indent(LOOP, "    ")
    + "    return losses\n\n\nlosses = train()\n",
    "backward left in to compare with": edited(
        "        dlogits =",
        "        for p in parameters:\n            p.grad = None\n        loss.backward()\n        dlogits =",
    ).replace(APPEND, f"{APPEND}\n        if step == 0:\n            print(C.grad.sum())\n            cmp('C', dC, C)"),
    "with a helper": dedent("""\
        def columns(x):
            return x.sum(0, keepdim=True)


        """)
    + edited("dbnbias = dhpreact.sum(0, keepdim=True)", "dbnbias = columns(dhpreact)"),
}  # fmt: skip


@pytest.mark.parametrize("text", sampled(3, RIGHT.values()), ids=list(RIGHT))
def test_right_loops_pass_fully(grade: Callable[[str], SubmissionReport], text: str) -> None:
    report = grade(text)
    assert passes_fully(report), [(v.name, v.status, v.mistake, v.message) for v in report.verdicts]


# ---- Wrong loops: (what is wrong, old, new, what departs, first step, nearest to the loss, mistake) ----

SCATTER = "dC.index_add_(0, Xb.view(-1), demb.view(-1, demb.shape[-1]))"
ALL = " ".join(PARAMETERS)
BEFORE_BATCHNORM = "C W1"
WRONG = [
    ("sign of the update", "p.sub_(", "p.add_(", ALL, 0, "W2", "update-sign"),
    ("rate never steps down", RATE, "lr = learning_rates[0]", ALL, MIDDLE, "W2", "learning-rate"),
    ("rate steps down too early", "max_steps / 2", "max_steps / 4", ALL, None, "W2", "learning-rate"),
    ("rates swapped", "step < max_steps", "step > max_steps", ALL, 0, "W2", "learning-rate"),
    ("rate without a step", "alpha=lr", "alpha=1.0", ALL, 0, "W2", "learning-rate"),
    ("order of gradients", "dbngain, dbnbias]", "dbnbias, dbngain]", "bngain bnbias", 0, "bngain", "wrong-order"),
    ("lost 1/n", "one_hot[Yb]) / n", "one_hot[Yb])", ALL, 0, "W2", None),
    ("n for n - 1 backward", "dbngain / (n - 1)", "dbngain / n", BEFORE_BATCHNORM, 0, "W1", None),
    ("n for n - 1 forward", "bnvar = 1 / (n - 1)", "bnvar = 1 / n", None, 0, "loss", "wrong-forward"),
    ("missing 1e-5", "(bnvar + 1e-5)", "bnvar", None, 0, "loss", "wrong-forward"),
    ("rows of dC overwritten", SCATTER, "dC[Xb] = demb", "C", 0, "C", "overwritten-rows"),
    ("no update of b2", "db2, dbngain", "torch.zeros_like(b2), dbngain", "b2", 0, "b2", "no-update"),
    ("second draw from g", DRAW, f"{DRAW}\n        {DRAW}", None, 0, "loss", "wrong-batch"),
    ("update of a copy", UPDATE, "p = p - lr * gradient", ALL, 0, "W2", "no-update"),
    ("update outside the loop", "        for p, gradient in", "    for p, gradient in", None, 0, "W2", "no-update"),
    ("stale gradient", "db2 = dlogits.sum(0)", "db2 = dlogits.sum(0) if step == 0 else db2", "b2", 1, "b2", None),
    ("no slope of tanh", "(1.0 - h**2) * dh", "dh", "C W1 bngain bnbias", 0, "bngain", None),
    ("no gain in dhprebn", "dhprebn = bngain * bnvar_inv", "dhprebn = bnvar_inv", BEFORE_BATCHNORM, 0, "W1", None),
    ("labels of the wrong rows", "one_hot[Yb]", "one_hot[Yb.flip(0)]", None, 0, "W2", None),
    ("sum of losses", "(logits, Yb)", "(logits, Yb, reduction='sum')", "loss", 0, "loss", "wrong-forward"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "departs", "step", "nearest", "mistake"),
    [pytest.param(*row[1:], id=row[0]) for row in WRONG],
)
def test_wrong_loops_are_refused_and_the_first_departure_is_named(
    grade: Callable[[str], SubmissionReport],
    old: str,
    new: str,
    departs: str | None,
    step: int | None,
    nearest: str,
    mistake: str | None,
) -> None:
    text = edited(old, new)
    if "    for p, gradient in" in new:
        text = text.replace("            p.sub_(", "        p.sub_(").replace(
            "        losses.append", "    losses.append"
        )
    report = grade(text)
    found = refused(report)
    (note,) = report.notes
    if step is None:  # between a quarter and half of all steps: which ones run is drawn anew
        step = int(note.split()[1])
        assert 50_000 <= step < 100_000
    where = "" if nearest == "loss" else f", and in it {nearest} is nearest to the loss"
    assert note == f"step {step} is the first that is wrong{where}."
    assert nearest in found
    if departs is not None:
        assert set(found) - {"b1"} == set(departs.split()) - {"b1"}
    assert {verdict.status for verdict in found.values()} == {"wrong"}
    assert f"step {step}" in found[nearest].message
    if mistake is not None:
        assert found[nearest].mistake == mistake


GUILTY = {
    "wrong-dimension": (
        "dlogits = (F.softmax(logits, 1) - one_hot[Yb]) / n",
        "dlogits = F.softmax(logits, 0)\n        dlogits[range(n), Yb] -= 1\n        dlogits /= n",
        "dlogits = F.softmax(logits, 0)",
    ),
    "overwritten-rows": (SCATTER, "dC[Xb] = demb", "dC = torch.zeros_like(C)\ndC[Xb] = demb"),
    "extra-keepdim": ("= dlogits.sum(0)", "= dlogits.sum(0, keepdim=True)", "db2 = dlogits.sum(0, keepdim=True)"),
    "transposed": ("dW2 = h.T @ dlogits", "dW2 = dlogits.T @ h", "dW2 = dlogits.T @ h"),
    "early-update": (
        "        dh = dlogits @ W2.T\n        dW2 = h.T @ dlogits",
        "        dW2 = h.T @ dlogits\n        W2 -= 0.1 * dW2\n        dh = dlogits @ W2.T",
        "dh = dlogits @ W2.T",
    ),
    "exception": ("h = torch.tanh(hpreact)", "h = torch.tanh(hpreact", "h = torch.tanh(hpreact"),
}


@pytest.mark.parametrize(("mistake", "old", "new", "code"), [(mistake, *row) for mistake, row in GUILTY.items()])
def test_the_line_of_the_gradient_to_mend_is_shown(
    grade: Callable[[str], SubmissionReport], mistake: str, old: str, new: str, code: str
) -> None:
    report = grade(edited(old, new))
    assert {(verdict.mistake, verdict.code) for verdict in refused(report).values()} == {(mistake, code)}


def test_a_loop_without_a_list_of_losses_is_told_so(grade: Callable[[str], SubmissionReport]) -> None:
    (loss,) = refused(grade(edited(APPEND, "pass"))).values()
    assert loss.message == "No list holds the losses: append the loss of each step to losses, as a number."


# ---- Loops that are no pass and no departure ----


def test_a_loop_that_raises_is_placed_at_its_line(grade: Callable[[str], SubmissionReport]) -> None:
    report = grade(edited("h = torch.tanh(hpreact)", "h = torch.tanh(hpreactt)"))
    assert report.score == 0
    for verdict in report.verdicts:
        assert (verdict.status, verdict.mistake) == ("error", "undefined-name")
        assert verdict.code == "h = torch.tanh(hpreactt)"


def test_a_loop_that_raises_after_right_steps_is_no_pass(grade: Callable[[str], SubmissionReport]) -> None:
    report = grade(edited(RATE, f"{RATE}\n        assert step < max_steps - 1"))
    assert report.score == 0
    assert {verdict.status for verdict in report.verdicts} == {"error"}


AUTOGRAD_LOOP = """\
for p in parameters:
    p.requires_grad = True
for step in tqdm(range(max_steps)):
    ix = torch.randint(0, Xtr.shape[0], (n,), generator=g)
    Xb, Yb = Xtr[ix], Ytr[ix]
    hprebn = C[Xb].view(n, -1) @ W1 + b1
    hpreact = bngain * (hprebn - hprebn.mean(0)) * (hprebn.var(0) + 1e-5) ** -0.5 + bnbias
    logits = torch.tanh(hpreact) @ W2 + b2
    loss = F.cross_entropy(logits, Yb)
    for p in parameters:
        p.grad = None
    loss.backward()
    for p in parameters:
        p.data -= 0.1 * p.grad
"""


@pytest.mark.parametrize("line", ["loss.backward()", "grads = torch.autograd.grad(loss, parameters)"])
def test_a_loop_by_autograd_is_forbidden(grade: Callable[[str], SubmissionReport], line: str) -> None:
    text = AUTOGRAD_LOOP.replace("loss.backward()", line).replace(
        "p.data -= 0.1 * p.grad", "p.data -= 0.1 * p.grad" if "backward" in line else "p.data -= 0.1 * grads[0].sum()"
    )
    report = grade(text)
    assert {(v.status, v.mistake) for v in report.verdicts} == {("forbidden", "autograd-update")}
    assert all(verdict.message for verdict in report.verdicts)


@pytest.mark.parametrize("text", ["losses = ...\n", "losses = []\nfor step in range(3):\n    pass\n"])
def test_an_unfilled_loop_is_not_attempted(grade: Callable[[str], SubmissionReport], text: str) -> None:
    report = grade(text)
    assert not report.attempted
    assert {(v.status, v.message) for v in report.verdicts} == {("missing", "not attempted")}


def test_a_loop_of_no_steps_is_no_pass(grade: Callable[[str], SubmissionReport]) -> None:
    report = grade(edited("range(max_steps)", "range(0)"))
    assert report.score == 0
    assert {(v.status, v.mistake) for v in report.verdicts} == {("error", "no-loop")}


def as_while(start: str, test: str, count: str, *, first: bool = False) -> str:
    """The solution's loop with a counter of its own, which `count` moves on at the body's end or at its start."""
    head, body = LOOP.split("    for step in tqdm(range(max_steps)):\n")
    count = f"        {count}\n"
    return f"{head}    {start}\n    while {test}:\n" + (count + body if first else body + count)


@pytest.mark.parametrize(
    "loop",
    [
        as_while("step = 0", "step < max_steps", "step += 1"),
        as_while("step = 0", "step != max_steps", "step = step + 1"),
        as_while("step = 0", "step <= max_steps - 1", "step += 1"),
        as_while("step = -1", "step < max_steps - 1", "step += 1", first=True),
    ],
    ids=["<", "!=", "<=", "counted first"],
)
def test_a_right_loop_may_be_a_while(grade: Callable[[str], SubmissionReport], loop: str) -> None:
    report = grade(loop)
    assert report.all_passed, report.verdicts[0]


EPOCHS = (
    LOOP.split("    for step")[0]
    + "    for epoch in range(2):\n"
    + indent("    for step" + LOOP.split("    for step")[1], "    ")
)


@pytest.mark.parametrize(
    ("loop", "said"),
    [
        (as_while("step = 0", "True", "step += 1"), "how many steps `while True:` makes"),
        (as_while("step = 0", "len(losses) < max_steps", "step += 1"), "`while len(losses) < max_steps:`"),
        (EPOCHS, "a loop of steps inside another loop"),
    ],
    ids=["while True", "no counter", "epochs"],
)
def test_a_loop_that_only_a_full_run_could_judge_is_told_at_once(
    grade: Callable[[str], SubmissionReport], loop: str, said: str
) -> None:
    report = grade(loop)
    assert {(v.status, v.mistake) for v in report.verdicts} == {("error", "no-loop")}
    assert said in report.verdicts[0].message


def test_a_hardcoded_size_in_the_loop_passes_with_a_note(grade: Callable[[str], SubmissionReport]) -> None:
    report = grade(edited("one_hot[Yb]) / n", "one_hot[Yb]) / 32"))
    assert report.all_passed
    found = {verdict.name: verdict.mistake for verdict in report.verdicts}
    assert found.pop("loss") is None
    found.pop("b1")
    assert set(found.values()) == {"hardcoded-size"}


# ---- Loops that only look right: all of these once had full marks ----

BREAK = f"{APPEND}\n        if step > 150000:\n            break"
ONLY_LOOK_RIGHT = [
    ("one step", "range(max_steps)", "range(1)", "all", "loop-length"),
    ("a step too few", "range(max_steps)", "range(max_steps - 1)", "all", "loop-length"),
    ("a step too many", "range(max_steps)", "range(max_steps + 1)", "all", "loop-length"),
    ("a break after step 1", APPEND, f"{APPEND}\n        if step == 1:\n            break", "all", "loop-length"),
    ("a break far on", APPEND, BREAK, "all", "loop-length"),
    ("a break at one odd step", APPEND, BREAK.replace("> 150000", "== 77777"), "all", "loop-length"),
    ("wrong at three steps", "dC.index_add_", "dC += step in (7, 8, 9)\n        dC.index_add_", "C", None),
    ("wrong in the middle", "dW2 = h.T", "dW2 = (2 if 30000 < step < 70000 else 1) * h.T", "W2", None),
    ("no gradient of b1", "db1 = dhprebn.sum(0)", "db1 = torch.zeros_like(b1)", "b1", "vanishing"),
    ("nothing of dhprebn in b1", "db1 = dhprebn.sum(0)", "db1 = 0 * dhprebn.sum(0)", "b1", "vanishing"),
    ("b1 left out", "[dC, dW1, db1,", "[dC, dW1, torch.zeros_like(b1),", "b1", "vanishing"),
    ("no loss kept", APPEND, "pass", "loss", "wrong-losses"),
    ("zeros kept", APPEND, "losses.append(0.0)", "loss", "wrong-losses"),
    ("every loss kept twice", APPEND, f"{APPEND}\n        {APPEND}", "loss", "wrong-losses"),
    ("one loss kept", APPEND, f"if step == 0:\n            {APPEND}", "loss", "wrong-losses"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "wrong", "mistake"), [pytest.param(*r[1:], id=r[0]) for r in ONLY_LOOK_RIGHT])
def test_loops_that_only_look_right_are_refused(
    grade: Callable[[str], SubmissionReport], old: str, new: str, wrong: str, mistake: str | None
) -> None:
    found = refused(grade(edited(old, new)))
    assert set(found) == ({"loss", *PARAMETERS} if wrong == "all" else {wrong})
    if mistake is not None:
        assert {verdict.mistake for verdict in found.values()} == {mistake}


KEPT = {
    "in an array": LOOP.replace("losses = []", "losses = torch.zeros(max_steps)").replace(
        APPEND, "losses[step] = loss.item()"
    ),
    "under another name": LOOP.replace("losses", "lossi"),
    "as logarithms": LOOP.replace("losses", "lossi").replace("loss.item()", "loss.log10().item()"),
    "counted by enumerate": edited("for step in tqdm(range(max_steps))", "for step, _ in enumerate(range(max_steps))"),
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_losses_may_be_kept_otherwise(grade: Callable[[str], SubmissionReport], text: str) -> None:
    report = grade(text)
    assert passes_fully(report), [(v.name, v.status, v.mistake, v.message) for v in report.verdicts]


def test_a_batch_of_ones_own_is_judged_apart(grade: Callable[[str], SubmissionReport]) -> None:
    report = grade(edited("(n,), generator=g)", "(n,))"))
    assert {name: verdict.mistake for name, verdict in refused(report).items()} == {"loss": "wrong-batch"}
