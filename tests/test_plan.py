"""Which statements run, in which order, and after which of them a gradient is judged."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

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
