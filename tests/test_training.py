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


@pytest.mark.parametrize("text", sampled(3, KEPT.values()), ids=list(KEPT))
def test_losses_may_be_kept_otherwise(grade: Callable[[str], SubmissionReport], text: str) -> None:
    report = grade(text)
    assert passes_fully(report), [(v.name, v.status, v.mistake, v.message) for v in report.verdicts]


def test_a_batch_of_ones_own_is_judged_apart(grade: Callable[[str], SubmissionReport]) -> None:
    report = grade(edited("(n,), generator=g)", "(n,))"))
    assert {name: verdict.mistake for name, verdict in refused(report).items()} == {"loss": "wrong-batch"}


# ---- What a loop keeps from step to step, though not every step runs ----

AT_HALF = "if step == max_steps // 2:\n            lr = learning_rates[1]"
ONCE = "lr = learning_rates[0]\n"
SCHEDULE = "schedule = {0: learning_rates[0], max_steps // 2: learning_rates[1]}\n"
COUNTED = f"{APPEND}\n        i += 1\n        if i % 10_000 == 0:\n            print(i)"
RATES = """\
def rates():
    for i in range(max_steps):
        yield learning_rates[0] if i < max_steps / 2 else learning_rates[1]


rate = rates()
"""
KEPT_RATES = {
    "set once": ONCE + edited(RATE, AT_HALF),
    "times a tenth": ONCE + edited(RATE, AT_HALF.replace("= learning_rates[1]", "*= 0.1")),
    "from a dictionary": ONCE + SCHEDULE + edited(RATE, "lr = schedule.get(step, lr)"),
    "by a literal": ONCE + edited(RATE, AT_HALF.replace("max_steps // 2", "100_000")),
    "by a count of its own": "i = 0\n" + edited(RATE, RATE.replace("step <", "i <")).replace(APPEND, COUNTED),
    "by how many losses there are": edited(RATE, RATE.replace("step <", "len(losses) <")),
    "from a generator": RATES + edited(RATE, "lr = next(rate)"),
}


@pytest.mark.parametrize("text", sampled(3, KEPT_RATES.values()), ids=list(KEPT_RATES))
def test_a_rate_may_be_kept_from_step_to_step(grade: Callable[[str], SubmissionReport], text: str) -> None:
    report = grade(text)
    assert passes_fully(report), [(v.name, v.status, v.mistake, v.message) for v in report.verdicts]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (ONCE + edited(RATE, AT_HALF.replace("// 2", "// 4")), ALL),
        (ONCE + edited(RATE, AT_HALF.replace("// 2", "// 1")), ALL),
        (ONCE + edited(RATE, AT_HALF.replace("= learning_rates[1]", "*= 0.5")), ALL),
        ("i = 0\n" + edited(RATE, RATE.replace("step <", "2 * i <")).replace(APPEND, COUNTED), ALL),
        (edited(APPEND, f"{APPEND}\n        if step == max_steps // 3:\n            W2.zero_()"), "W2"),
        (edited(APPEND, f"{APPEND}\n        if step == max_steps // 2:\n            W2.zero_()"), "W2"),
        (edited(APPEND, f"{APPEND}\n        if len(losses) > 3 and step > 150_000:\n            W2.zero_()"), "W2"),
    ],
)
def test_a_slip_at_one_step_or_kept_from_one_is_seen(
    grade: Callable[[str], SubmissionReport], text: str, wrong: str
) -> None:
    assert set(refused(grade(text))) - {"b1"} == set(wrong.split()) - {"b1"}


# ---- Where the parameters are, and whether the forward pass reads what moves ----

NAMES = ", ".join(PARAMETERS)
IN_A_DICT = "params = {" + ", ".join(f"'{name}': {name}.clone()" for name in PARAMETERS) + "}\n"
BY_KEY = "for key, gradient in zip(params, gradients):\n            params[key] = params[key] - lr * gradient"
ITS_OWN = ", ".join(f"net.{name}" for name in PARAMETERS)
NET = f"class Net:\n    pass\n\n\nnet = Net()\n{ITS_OWN} = (p.clone() for p in parameters)\n"
ON_NET = "\n        ".join(f"net.{name} = net.{name} - lr * d{name}" for name in PARAMETERS)
BY_PLACE = "for i in range(len(parameters)):\n            parameters[i] = parameters[i] - lr * gradients[i]"
ANEW = "parameters = [p - lr * gradient for p, gradient in zip(parameters, gradients)]"


def reading(taken: str, text: str) -> str:
    """The loop with a line at the start of its body that gives the parameters their names."""
    return text.replace(DRAW, f"{taken}\n        {DRAW}")


MOVED_ELSEWHERE = {
    "a list of copies": ("parameters = [p.clone() for p in parameters]\n" + LOOP, f"{NAMES} = parameters"),
    "a new list": (edited(LOOP_OF_UPDATES, ANEW), f"{NAMES} = parameters"),
    "item by item": (
        edited(LOOP_OF_UPDATES, BY_PLACE),
        f"{NAMES} = parameters",
    ),
    "a dictionary": (IN_A_DICT + edited(LOOP_OF_UPDATES, BY_KEY), f"{NAMES} = params.values()"),
    "a new dictionary": (
        IN_A_DICT
        + edited(LOOP_OF_UPDATES, "params = {key: params[key] - lr * d for key, d in zip(params, gradients)}"),
        f"{NAMES} = params.values()",
    ),
    "an object": (NET + edited(LOOP_OF_UPDATES, ON_NET), f"{NAMES} = {ITS_OWN}"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "taken"), sampled(3, MOVED_ELSEWHERE.values()), ids=list(MOVED_ELSEWHERE))
def test_parameters_may_be_kept_elsewhere_where_the_forward_pass_reads_them(
    grade: Callable[[str], SubmissionReport], text: str, taken: str
) -> None:
    report = grade(reading(taken, text))
    assert passes_fully(report), [(v.name, v.status, v.mistake, v.message) for v in report.verdicts]


@pytest.mark.parametrize(("text", "taken"), sampled(3, MOVED_ELSEWHERE.values()), ids=list(MOVED_ELSEWHERE))
def test_an_update_of_copies_that_the_forward_pass_does_not_read_is_none(
    grade: Callable[[str], SubmissionReport], text: str, taken: str
) -> None:
    found = refused(grade(text))
    assert set(found) - {"b1"} == {"loss", *PARAMETERS} - {"b1"}
    assert {verdict.mistake for verdict in found.values()} == {"no-update"}
    assert found["loss"].message.startswith("First wrong at step 1: the forward pass reads the parameters as before")


# ---- Losses kept elsewhere than in a list of numbers ----

LOG = "class Log:\n    def __init__(self):\n        self.values = []\n\n\nlog = Log()\n"
KEPT_ELSEWHERE = {
    "in a dictionary of lists": ("history = {'rate': [], 'loss': []}\n", "history['loss'].append({0})"),
    "in rows": ("log = []\n", "log.append((step, {0}))"),
    "in rows with names": ("log = []\n", "log.append({{'step': step, 'loss': {0}}})"),
    "by step": ("losses = {}\n", "losses[step] = {0}"),
    "in a deque": ("from collections import deque\nlosses = deque()\n", "losses.append({0})"),
    "in an object": (LOG, "log.values.append({0})"),
    "in an object's dictionary": (LOG.replace("[]", "{'loss': []}"), "log.values['loss'].append({0})"),
}


@pytest.mark.parametrize(("before", "kept"), sampled(3, KEPT_ELSEWHERE.values()), ids=list(KEPT_ELSEWHERE))
def test_losses_may_be_kept_elsewhere(grade: Callable[[str], SubmissionReport], before: str, kept: str) -> None:
    text = edited("losses = []\n", before)
    report = grade(text.replace(APPEND, kept.format("loss.item()")))
    assert passes_fully(report), [(v.name, v.status, v.mistake, v.message) for v in report.verdicts]
    wrong = refused(grade(text.replace(APPEND, kept.format("2 * loss.item()"))))
    assert {name: verdict.mistake for name, verdict in wrong.items()} == {"loss": "wrong-losses"}


# ---- Batches of another size ----


@pytest.mark.parametrize(
    "text",
    [
        edited("(n,), generator", "(1,), generator"),
        edited("(n,), generator", "(), generator"),
        edited("(n,), generator", "(2 * n,), generator"),
        edited("(n,), generator", "(n - 1,), generator"),
        edited(DRAW, f"n = 64\n        {DRAW}"),
        edited(APPEND, f"{APPEND}\n        n = 1"),
        edited(APPEND, f"{APPEND}\n        n = len(losses)"),
    ],
)
def test_a_batch_of_another_size_is_a_wrong_batch(grade: Callable[[str], SubmissionReport], text: str) -> None:
    found = refused(grade(text))
    assert {(verdict.mistake, verdict.code) for verdict in found.values()} <= {
        ("wrong-batch", line.strip()) for line in text.splitlines() if line.strip().startswith("ix = ")
    }
    assert "loss" in found


# ---- Slips in the update alone ----

UPDATES = [
    ("p.sub_(gradient, alpha=lr / 2)", "learning-rate", "moved 0.5 times as far as it should. The gradients are right"),
    ("p -= lr * lr * gradient", "learning-rate", "moved 0.1 times as far as it should"),
    ("p.sub_(gradient / n, alpha=lr)", "learning-rate", "moved 0.03125 times as far as it should"),
    ("p -= lr * (gradient + 0.1 * p)", "weight-decay", "it also moves by 0.1 times itself"),
    ("p.copy_(-lr * gradient)", "update-sign", "it becomes the step itself"),
    ("p.sub(gradient, alpha=lr)", "no-update", "no parameter moved"),
    ("p - lr * gradient", "no-update", "no parameter moved"),
]


@pytest.mark.parametrize(("new", "mistake", "said"), UPDATES)
def test_a_slip_in_the_update_of_all_is_told_once_at_its_line(
    grade: Callable[[str], SubmissionReport], new: str, mistake: str, said: str
) -> None:
    found = refused(grade(edited(UPDATE, new)))
    assert set(found) == set(PARAMETERS)
    assert {(verdict.mistake, verdict.code) for verdict in found.values()} == {(mistake, new)}
    assert [name for name, verdict in found.items() if said in verdict.message] == ["W2"]


@pytest.mark.parametrize(
    ("new", "mistake", "said"),
    [
        ("b2 -= db2", "learning-rate", "b2 moved 10 times as far as it should. db2 is right"),
        ("b2 += lr * db2", "update-sign", "b2 moved the wrong way"),
        ("b2 =- lr * db2", "update-sign", "it becomes the step itself"),
        ("b2 -= lr * (db2 + 0.1 * b2)", "weight-decay", "it also moves by 0.1 times itself"),
        ("b2 -= lr * db2.clamp(-0.001, 0.001)", "wrong-values", "db2 is right, but b2 moves by something else"),
        ("b2 - lr * db2", "no-update", "b2 did not move"),
    ],
)
def test_a_slip_in_the_update_of_one_is_not_said_of_its_derivative(
    grade: Callable[[str], SubmissionReport], new: str, mistake: str, said: str
) -> None:
    (wrong,) = refused(grade(edited(LOOP_OF_UPDATES, BY_NAME.replace("b2 -= lr * db2", new)))).values()
    assert (wrong.name, wrong.mistake, wrong.code) == ("b2", mistake, new)
    assert said in wrong.message


def test_the_update_of_a_vanishing_gradient_is_told_apart_from_the_gradient(
    grade: Callable[[str], SubmissionReport],
) -> None:
    (wrong,) = refused(grade(edited("[dC, dW1, db1,", "[dC, dW1, torch.zeros_like(b1),"))).values()
    assert (wrong.name, wrong.mistake) == ("b1", "vanishing")
    assert "db1 is right there" in wrong.message
    assert wrong.code is not None
    assert wrong.code.startswith("gradients = [dC, dW1, torch.zeros_like(b1)")


def test_a_share_of_a_rate_near_1_is_not_said_to_be_1(grade: Callable[[str], SubmissionReport]) -> None:
    found = refused(grade(edited(RATE, "lr = learning_rates[0] * (1 - step / max_steps)")))
    assert "every parameter moved 0.999995 times as far" in found["W2"].message


# ---- The lesson in digits: matrices that are square, and a loop over the examples of a batch ----

DIGITS = find_exercise("classifier/ex2")
(OF_DIGITS,) = (cell.text.rstrip() + "\n" for cell in DIGITS.code_cells("training"))


@pytest.mark.parametrize(
    ("edits", "wrong", "mistake", "code"),
    [
        ({"dW2 = dZ2 @ A1.T": "dW2 = A1 @ dZ2.T"}, "W2", "transposed", "dW2 = A1 @ dZ2.T"),
        (
            {
                "dA1 = W2.T @ dZ2\n        dZ1 = dA1": "W2 -= 0.2 * dW2\n        dZ1 = (W2.T @ dZ2)",
                "        dW1": "        W2 += 0.2 * dW2\n        dW1",
            },
            "W1 b1",
            "early-update",
            "dZ1 = (W2.T @ dZ2) * (Z1 > 0)",
        ),
    ],
)
def test_a_slip_is_neither_taken_for_a_size_nor_for_values(
    grade_text: Grade, edits: dict[str, str], wrong: str, mistake: str, code: str
) -> None:
    text = OF_DIGITS
    for old, new in edits.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (report,) = grade_text(text, exercise="classifier/ex2")
    found = refused(report)
    assert set(found) == set(wrong.split())
    assert {(verdict.mistake, verdict.code) for verdict in found.values()} == {(mistake, code)}
    assert not any(verdict.mistake for verdict in report.verdicts if verdict.passed)


EACH = """\
        dW1, db1, dW2, db2 = [torch.zeros_like(p) for p in parameters]
        for k in range(m):
            dz2 = (A2[:, [k]] - Yb[:, [k]]) / m
            dW2 += dz2 @ A1[:, [k]].T
            db2 += dz2
            dz1 = (W2.T @ dz2) * (Z1[:, [k]] > 0)
            dW1 += dz1 @ Xb[:, [k]].T
            db1 += dz1
"""
BY_EXAMPLE = OF_DIGITS.split("        dZ2 =")[0] + EACH + "\n        lr =" + OF_DIGITS.split("        lr =")[1]


@pytest.mark.parametrize(
    ("old", "new", "wrong"), [("db1 += dz1", "db1 = dz1", "b1"), ("Xb[:, [k]].T", "Xb[:, [0]].T", "W1"), ("k", "k", "")]
)
def test_a_slip_beside_gradients_of_one_example_is_not_blamed_on_their_shape(
    grade_text: Grade, old: str, new: str, wrong: str
) -> None:
    (report,) = grade_text(BY_EXAMPLE.replace(old, new), exercise="classifier/ex2")
    found = refused(report)
    assert set(found) == set(wrong.split())
    assert all(new in (verdict.code or "") and "shape" not in verdict.message for verdict in found.values())


IN_PARTS = """\
        total = 0.0
        dW1, db1, dW2, db2 = [torch.zeros_like(p) for p in parameters]
        for X, Y in zip(Xb.chunk(2, 1), Yb.chunk(2, 1)):
            Z1 = W1 @ X + b1
            A1 = Z1.relu()
            A2 = torch.softmax(W2 @ A1 + b2, 0)
            total += -(Y * torch.log(A2)).sum().item() / m
            dZ2 = (A2 - Y) / m
            dZ1 = (W2.T @ dZ2) * (Z1 > 0)
            dW2 += dZ2 @ A1.T
            db2 += dZ2.sum(1, keepdim=True)
            dW1 += dZ1 @ X.T
            db1 += dZ1.sum(1, keepdim=True)
"""
BY_PARTS = (
    OF_DIGITS.split("        Z1 =")[0] + IN_PARTS + "\n        lr =" + OF_DIGITS.split("        lr =")[1]
).replace("loss.item()", "total")


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [("dW2 +=", "dW2 =", {"W2"}), ("log(A2)).sum()", "log(A2)).mean()", {"loss"}), ("k", "k", set())],
)
def test_a_batch_may_be_worked_through_in_parts_before_one_update(
    grade_text: Grade, old: str, new: str, wrong: set[str]
) -> None:
    (report,) = grade_text(BY_PARTS.replace(old, new), exercise="classifier/ex2")
    found = refused(report)
    assert set(found) == wrong
    assert not any(verdict.mistake in ("no-loop", "wrong-shape", "wrong-forward") for verdict in found.values())


def test_all_parameters_may_be_moved_at_once(grade: Callable[[str], SubmissionReport]) -> None:
    report = grade(edited(LOOP_OF_UPDATES, "torch._foreach_sub_(parameters, gradients, alpha=lr)"))
    assert passes_fully(report), [(v.name, v.status, v.mistake, v.message) for v in report.verdicts]
