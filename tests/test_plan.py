"""Which statements run, in which order, after which of them a gradient is judged, and what is forbidden."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from grader.reading.plan import Plan, make_plan
from grader.reading.submission import find_parts
from grader.syntax.source import parse_source, percent_cells


def plan_of(text: str, exercise: str = "makemore/ex1") -> Plan:
    source = parse_source(Path("answers.py"), percent_cells(dedent(text)))
    (part,) = find_parts(source, exercise)
    return make_plan(part.analysis, part.exercise, part.attempts)


def lines(plan: Plan) -> list[str]:
    return [step.statement.text for step in plan.steps]


def judged_after(plan: Plan, tensor: str) -> str:
    (step,) = [step for step in plan.steps if tensor in step.hand_over or tensor in step.hooks]
    return step.statement.text


# ---- What runs ----


def test_only_what_feeds_a_gradient_runs() -> None:
    plan = plan_of("""
        import torch
        x = undefined_scratch
        logits = h @ W2
        helper = 2
        unused = helper
        print(logits)
        dprobs = dlogprobs / probs * helper
        print(dprobs.sum())
        h = 0.001
        plt.imshow(dprobs)
    """)
    assert lines(plan) == ["helper = 2", "dprobs = dlogprobs / probs * helper"]


def test_own_functions_run_with_what_they_read_in_their_turn() -> None:
    plan = plan_of("""
        factor = 1
        other = 2
        def columns(x):
            return x.sum(0, keepdim=True) * factor
        def unused(x):
            return x
        dbnbias = columns(dhpreact)
    """)
    assert [text.split("(")[0] for text in lines(plan)] == ["factor = 1", "def columns", "dbnbias = columns"]


def test_a_name_is_taken_from_its_last_definition_above() -> None:
    plan = plan_of("k = 1\nk = 2\nk += 3\ndprobs = dlogprobs * k\nk = 4\n")
    assert lines(plan) == ["k = 2", "k += 3", "dprobs = dlogprobs * k"]


def test_tensors_of_the_exercise_are_never_taken_from_the_submission() -> None:
    plan = plan_of("n = 5\nXb = 0\nW2 = 0\nlogits = 0\nh = 0.001\nF = None\ndh = dlogits @ W2.T * n + F.relu(h)\n")
    assert lines(plan) == ["dh = dlogits @ W2.T * n + F.relu(h)"]


def test_own_forward_lines_that_differ_are_listed_and_not_run() -> None:
    plan = plan_of("""
        emb = C[Xb]
        bnvar = hprebn.var(0, keepdim=True, unbiased=False)
        bnvar_inv = (bnvar + 1e-5)**-0.5
        dbnvar = bnvar * dbnvar_inv
    """)
    assert plan.forward_lines == [(1, ("bnvar",))]
    assert lines(plan) == ["dbnvar = bnvar * dbnvar_inv"]


# ---- When a gradient is judged ----


def test_a_gradient_is_judged_after_its_last_write() -> None:
    plan = plan_of("""
        dC = torch.zeros_like(C)
        for row in range(3):
            dC[row] += demb[row]
        dC.index_add_(0, Xb, demb)
        shown = dC
    """)
    assert judged_after(plan, "C") == "dC.index_add_(0, Xb, demb)"
    assert len(plan.steps) == 3


def test_a_reader_between_two_writes_sees_the_unfinished_value() -> None:
    text = """
        dcounts = counts_sum_inv * dprobs
        dnorm_logits = counts * dcounts
        dcounts += dcounts_sum
        dlogits = dnorm_logits + dcounts
    """
    plan = plan_of(text)
    assert lines(plan) == dedent(text).strip().split("\n")
    assert judged_after(plan, "counts") == "dcounts += dcounts_sum"


def test_only_the_last_attempt_runs_and_its_readers_wait_for_it() -> None:
    plan = plan_of("""
        dprobs = 1
        dprobs = dprobs * 2
        dcounts = dprobs * counts_sum_inv
        dprobs = dlogprobs
        dprobs /= probs
        dnorm_logits = dcounts
    """)
    assert lines(plan) == [
        "dprobs = dlogprobs",
        "dprobs /= probs",
        "dcounts = dprobs * counts_sum_inv",
        "dnorm_logits = dcounts",
    ]


def test_a_stub_below_an_attempt_does_not_undo_it() -> None:
    assert lines(plan_of("dprobs = dlogprobs / probs\ndprobs = ...\ndprobs = None\n"))[0].endswith("/ probs")
    assert plan_of("dprobs = ...\n").missing == plan_of("dprobs = ...\n").exercise.graded


def test_definitions_below_their_use_are_moved_up() -> None:
    plan = plan_of("""
        dh = flat(dlogits)
        dlogits = dnorm_logits.clone()
        def flat(x):
            return x @ W2.T * k
        k = 1
    """)
    order = [text.split("\n")[0] for text in lines(plan)]
    assert sorted(order) == sorted(["dlogits = dnorm_logits.clone()", "k = 1", "def flat(x):", "dh = flat(dlogits)"])
    assert order[-1] == "dh = flat(dlogits)"
    assert order.index("k = 1") < order.index("dh = flat(dlogits)")


def test_a_reader_above_the_definition_of_a_gradient_waits_for_it() -> None:
    plan = plan_of("dh = dlogits @ W2.T\ndlogits = dnorm_logits.clone()\ndlogits += 1\n")
    assert lines(plan) == ["dlogits = dnorm_logits.clone()", "dlogits += 1", "dh = dlogits @ W2.T"]


def test_answers_in_a_function_are_judged_inside_it() -> None:
    plan = plan_of("""
        def backward():
            dprobs = dlogprobs / probs
            return dprobs
        dprobs = backward()
    """)
    assert lines(plan)[-1] == "dprobs = backward()"
    assert judged_after(plan, "probs") == "dprobs = backward()"


def test_a_gradient_in_a_dictionary_or_under_another_name_is_found() -> None:
    plan = plan_of("""
        grads = {}
        grads["dh"] = dlogits @ W2.T
        dnormlogits = counts * dcounts
        dL_dlogits = dnormlogits.clone()
        mine = dlogits.sum(0)
        cmp("anything", mine, b2)
        store = {}
        store["second"] = embcat.T @ dhprebn
        cmp("W1", store["second"], W1)
    """)
    assert {t: a.place for t, a in plan.attempts.items()} == {
        "h": "grads['dh']",
        "norm_logits": "dnormlogits",
        "logits": "dL_dlogits",
        "b2": "mine",
        "W1": "store['second']",
    }


def test_circles_are_run_in_the_order_of_the_file() -> None:
    assert lines(plan_of("dh = dlogits\ndlogits = dh\n")) == ["dh = dlogits", "dlogits = dh"]


# ---- What is forbidden ----

DOORS = [
    ("dh = h.grad", ".grad"),
    ("dh = h.grad.clone() + dlogits @ W2.T", ".grad"),
    ("loss.backward(); dh = h.grad", ".grad"),
    ("dh = torch.autograd.grad(loss, h)[0]", ".grad"),
    ("import torch.autograd as ag\ndh = ag.grad(loss, h)[0]", "grad"),
    ("from torch.autograd import grad\ndh = grad(loss, h)[0]", "from torch.autograd import grad"),
    ("dh = torch.func.grad(f)(h)", "grad"),
    ("dh = torch.func.vjp(f, h)[1](dlogits)", ".vjp"),
    ("from torch.func import jacrev\ndh = jacrev(f)(h)", "jacrev"),
    ("import functorch\ndh = functorch.vjp(f, h)", "functorch"),
    ("dh = torch.ops.aten.mm_backward(dlogits, W2)", ".ops"),
    ("x = torch.zeros(3, requires_grad=True)\ndh = x * dlogits", "requires_grad"),
    ("x = h.detach().requires_grad_()\ndh = x * dlogits", ".requires_grad_"),
    ("with torch.enable_grad():\n    dh = dlogits @ W2.T", ".enable_grad"),
    ("dh = getattr(h, 'grad')", "getattr(h, 'grad')"),
    ("dh = h.grad_fn(dlogits)", ".grad_fn"),
    ("def helper():\n    return h.grad\ndh = helper()", ".grad"),
    ("y = h.grad\nz = y * 2\ndh = z", ".grad"),
    ("dh = torch._softmax_backward_data(dlogits, h, 1, h.dtype)", "_softmax_backward_data"),
    ("from torch import _C\ndh = _C._nn.gelu_backward(dlogits, h)", "_C"),
]


@pytest.mark.parametrize(("text", "door"), DOORS, ids=[text.split("\n")[-1] for text, _ in DOORS])
def test_each_door_to_autograd_is_forbidden_and_named(text: str, door: str) -> None:
    plan = plan_of(f"{text}\ndb2 = dlogits.sum(0)\n")
    assert plan.forbidden.keys() == {"h"}
    assert door in plan.forbidden["h"][1].name
    assert "b2" in {tensor for step in plan.steps for tensor in step.hand_over}
    assert not any("h" in step.hand_over for step in plan.steps)


def test_the_statement_with_the_door_is_blamed() -> None:
    plan = plan_of("y = h.grad\nz = y * 2\ndh = z\n")
    assert plan.forbidden["h"][0].line == 1


HARMLESS = [
    "loss.backward()\nprint(h.grad)",
    "for p in parameters:\n    p.grad = None",
    "h.retain_grad()\nassert h.requires_grad",
    "x = torch.zeros_like(h, requires_grad=False)",
    "class Layer:\n    def backward(self, d):\n        return d @ W2.T\nx = Layer().backward(dlogits)",
    "def backward(d):\n    return d @ W2.T\nx = backward(dlogits)",
    "cmp('h', h.grad, h)\nx = 1",
    "grad = dlogits\nx = grad * 2",
    "func = ops = 1\nx = func + ops",
    "with torch.set_grad_enabled(False):\n    x = 1",
    "def f():\n    with torch.set_grad_enabled(False):\n        return 1\nx = f()",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_no_false_alarm(text: str) -> None:
    plan = plan_of(f"{text}\ndh = dlogits @ W2.T + x\n")
    assert plan.forbidden == {}
    assert judged_after(plan, "h") == "dh = dlogits @ W2.T + x"


def test_backward_beside_the_answers_in_one_function_is_no_door() -> None:
    plan = plan_of("""
        def main():
            logits = h @ W2 + b2
            logits.retain_grad()
            loss = F.cross_entropy(logits, Yb)
            loss.backward()
            print(logits.grad)
            dlogits = F.softmax(logits, 1) / n
            cmp("logits", dlogits, logits)
        main()
    """)
    assert plan.forbidden == {}
