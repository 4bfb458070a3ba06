"""Each detector names its own mistake, in words that name this answer's tensors; right answers get none."""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path
from typing import get_args

import pytest
from answers.build import BATCHNORM_IN_ONE, SOFTMAX_MINUS_ONE, with_lines
from dojo import REPOSITORY

from grader.diagnosing import explain_exception, repair
from grader.diagnosing.repair import Vocabulary, mending_edit, variants
from grader.judging.grade import Grader
from grader.lesson.exercise import find_exercise, read_exercise
from grader.reading.attempts import analyse
from grader.reading.submission import sole_part
from grader.report.records import Status, Verdict
from grader.syntax.source import read_source

ATOMS = [
    ("sign", "dh", "dh = -dlogits @ W2.T", "wrong sign"),
    ("scale", "dbnmeani", "dbnmeani = -dbndiff.mean(0, keepdim=True)", "1/n times"),
    ("scale", "dbndiff2", "dbndiff2 = 1.0 / n * torch.ones_like(bndiff2) * dbnvar", "n-1"),
    ("missing-keepdim", "dbnmeani", "dbnmeani = -dbndiff.sum(0)", "(64,), bnmeani is (1, 64)"),
    ("extra-keepdim", "db2", "db2 = dlogits.sum(0, keepdim=True)", "(1, 27), b2 is (27,)"),
    ("missing-sum", "dbngain", "dbngain = bnraw * dhpreact", "summed over dimension 0"),
    ("wrong-dimension", "dcounts_sum_inv", "dcounts_sum_inv = (counts * dprobs).sum(0, keepdim=True)", "dimension 0"),
    ("missing-broadcast", "dbndiff2", "dbndiff2 = 1.0 / (n - 1) * dbnvar", "(1, 64), bndiff2 is (32, 64)"),
    ("transposed", "dW2", "dW2 = dlogits.T @ h", "(27, 64), W2 is (64, 27)"),
    ("wrong-reshape", "demb", "demb = dembcat", "(32, 30), emb is (32, 3, 10)"),
    ("missing-path", "dcounts", "dcounts = counts_sum_inv * dprobs", "through counts_sum is missing"),
    (
        "path-twice",
        "dhprebn",
        "dhprebn = dbndiff.clone()\ndhprebn += dbndiff\ndhprebn += dbnmeani / n",
        "bndiff is counted",
    ),
    ("path-scaled", "dhprebn", "dhprebn = dbndiff.clone()\ndhprebn += dbnmeani", "through bnmeani"),
    ("missing-local-derivative", "dbnraw", "dbnraw = dhpreact.clone()", "dhpreact is passed on unchanged"),
    ("missing-upstream", "dhpreact", "dhpreact = 1.0 - h**2", "dh (32, 64)"),
    ("stale-upstream", "dembcat", None, "dhprebn is read before it is finished"),
    ("missing-epsilon", "dbnvar", "dbnvar = -0.5 * bnvar**-1.5 * dbnvar_inv", "small constant"),
    ("wrong-power", "dbnvar", "dbnvar = -0.5 * (bnvar + 1e-5) ** -0.5 * dbnvar_inv", "power"),
    (
        "wrong-forward-value",
        "dhpreact",
        "dhpreact = (1.0 - hpreact**2) * dh",
        "hpreact is used where h belongs: h is torch.tanh(hpreact) already",
    ),
    ("wrong-upstream", "dprobs", "dprobs = logprobs / probs", "logprobs is read where dlogprobs"),
    (
        "overwritten-rows",
        "dC",
        "dC = torch.zeros_like(C)\ndC[Xb.view(-1)] += demb.view(-1, demb.shape[-1])",
        "more than once",
    ),
    (
        "wrong-row-or-column",
        "dlogprobs",
        "dlogprobs = torch.zeros_like(logprobs)\ndlogprobs[:, Yb] = -1.0 / n",
        "wrong places",
    ),
    ("not-finite", "dlogits", "dlogits = dnorm_logits / 0.0", "nan or infinite"),
    ("precision", "dh", "dh = (dlogits.half() @ W2.T.half()).to(W2.dtype)", "rounding"),
    ("zero", "dh", "dh = torch.zeros_like(h)", "all zeros"),
    ("vanishing", "db1", "db1 = torch.zeros_like(b1)", "true gradient of b1 is zero"),
    ("sign", "dlogit_maxes", "dlogit_maxes = dnorm_logits.sum(1, keepdim=True)", "wrong sign"),
    ("autograd", "dh", "dh = h.grad", ".grad"),
    ("undefined-name", "dh", "dh = dlogits @ W3.T", "'W3'"),
    ("exception", "dh", "dh = dlogits @ W2", "(32, 27) @ (64, 27) needs 27 = 64"),
    ("not-a-tensor", "dh", "dh = (dlogits @ W2.T).tolist()", "list"),
]


def test_every_id_stands_in_the_table_of_names() -> None:
    root = Path(__file__).resolve().parents[1]
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("## Names of mistakes") : text.index("## Rooms of the code")]
    listed = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", table))
    said: set[str] = set()
    for path in (root / "grader").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            given = {"Diagnosis": node.args[:1], "Finding": node.args[2:3]}.get(called, []) if called else []
            given += [word.value for word in node.keywords if word.arg == "mistake"] if called else []
            said |= {leaf.value for value in given for leaf in ast.walk(value) if isinstance(leaf, ast.Constant)}
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("verdict.mistake)"):
                said |= {leaf.value for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant)}
    ids = {word for word in said if isinstance(word, str) and re.fullmatch(r"[a-z]+(-[a-z]+)*", word)}
    assert len(ids) > 30
    assert ids - set(get_args(Status)) <= listed


def blamed(reports) -> Verdict:
    (report,) = reports
    (verdict,) = (verdict for verdict in report.verdicts if not verdict.passed)
    return verdict


@pytest.mark.parametrize(("mistake", "name", "lines", "words"), ATOMS, ids=lambda value: None)
def test_each_mistake_has_its_name(mistake: str, name: str, lines: str | None, words: str, grade_text) -> None:
    if lines is None:  # dembcat is read before the last line of dhprebn
        replaced = {
            "dhprebn": "dhprebn = dbndiff.clone()\ndembcat = dhprebn @ W1.T\ndhprebn += 1.0 / n * dbnmeani",
            "dembcat": "pass",
        }
    else:
        replaced = {name: lines}
    verdict = blamed(grade_text(with_lines(replaced), exercise="ex1"))
    assert (f"d{verdict.name}", verdict.mistake) == (name, mistake)
    assert words in verdict.message


def test_numbers_near_the_largest_that_there_are_get_a_verdict(grade_text) -> None:
    line = "dbndiff2 = 1.0 / (n - 1) * torch.ones_like(bndiff2) * dbnvar * 1e300 * 1e9"
    assert blamed(grade_text(with_lines({"dbndiff2": line}), exercise="ex1")).status == "wrong"


def test_no_place_is_told_in_a_gradient_that_is_one_number(grade_text) -> None:
    text, right = find_exercise("foundations/ex1").path.read_text(encoding="utf-8"), "dv1 = dv2 * v2\n"
    assert text.count(right) == 1
    verdict = blamed(grade_text(text.replace(right, "dv1 = dv2 * v2 * float('inf')\n")))
    assert verdict.mistake == "not-finite"
    assert re.match(r"dv1 is -?inf\. Look for", verdict.message)


@pytest.mark.parametrize(
    ("mistake", "old", "new"),
    [
        ("wrong-dimension", "F.softmax(logits, 1)", "F.softmax(logits, 0)"),
        ("scale", "dlogits /= n", "pass"),
        ("missing-label", "dlogits[range(n), Yb] -= 1", "pass"),
        ("wrong-label-term", "-= 1", "= -1"),
        ("wrong-row-or-column", "dlogits[range(n), Yb] -= 1", "dlogits[:, Yb] -= 1"),
        ("missing-factor", "F.softmax(logits, 1)", "logits.exp()"),
        (
            "mixed-exponentials",
            "F.softmax(logits, 1)",
            "logits.exp() / (logits - logits.max(1, keepdim=True).values).exp().sum(1, keepdim=True)",
        ),
        ("exception", "-= 1", "-= F.one_hot(Yb)[:, :3]"),
    ],
)
def test_slips_of_cross_entropy(mistake: str, old: str, new: str, grade_text) -> None:
    verdict = blamed(grade_text(SOFTMAX_MINUS_ONE.replace(old, new, 1), exercise="ex2"))
    assert verdict.mistake == mistake


@pytest.mark.parametrize(
    ("mistake", "old", "new", "words"),
    [
        ("path-scaled", "n / (n - 1)", "1", "n and n-1 are mixed up"),
        ("missing-path", "- dhpreact.sum(0) ", "", "through bnmeani"),
        ("missing-path", "- n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0)", "", "through bndiff2"),
        ("missing-factor", "bngain * ", "", "bngain"),
        ("wrong-forward-value", "bnvar_inv / n", "bnvar / n", "bnvar"),
        ("missing-epsilon", "bnvar_inv / n", "bnvar**-0.5 / n", "small constant"),
    ],
)
def test_slips_of_batchnorm(mistake: str, old: str, new: str, words: str, grade_text) -> None:
    assert old in BATCHNORM_IN_ONE
    verdict = blamed(grade_text(BATCHNORM_IN_ONE.replace(old, new, 1), exercise="ex3"))
    assert verdict.mistake == mistake
    assert words in verdict.message


def test_hpreact_for_dhpreact(grade_text) -> None:
    verdict = blamed(grade_text(BATCHNORM_IN_ONE.replace("dhpreact", "hpreact"), exercise="ex3"))
    assert verdict.mistake == "wrong-upstream"
    assert "hpreact is read where the gradient dhpreact belongs" in verdict.message


def test_where_nothing_fits_the_figures_are_given(grade_text) -> None:
    verdict = blamed(grade_text(with_lines({"dh": "dh = torch.sin(dlogits @ W2.T * 7) + 0.1"}), exercise="ex1"))
    assert verdict.mistake == "wrong-values"
    assert "of the largest gradient" in verdict.message or "times the largest gradient" in verdict.message
    assert verdict.details is not None
    errors = verdict.details.largest_errors
    assert 1 <= len(errors) <= 6
    assert abs(errors[0].yours - errors[0].true) >= abs(errors[-1].yours - errors[-1].true)


def test_an_edit_of_one_token_explains_what_no_detector_knows(grade_text) -> None:
    wrong = BATCHNORM_IN_ONE.replace("n * dhpreact -", "n * hpreact -")
    verdict = blamed(grade_text(wrong, exercise="ex3"))
    assert verdict.mistake == "wrong-upstream"
    assert "hpreact is read where another gradient of the same shape belongs" in verdict.message


# ---- What is said holds for this answer: (lesson, old, new, mistake, said, not said, line) ----

SLOPE = "(2 / math.pi) ** 0.5 * (1 + 3 * 0.044715 * u**2)"
GELU = "dact2 * (0.5 * (1 + t) + 0.5 * u"
SPOKEN = [
    ("transformer/ex2_layernorm", "dgain = (dy * xhat).sum((0, 1))", "dgain = (dy * xhat).sum(0)", "missing-sum",
     "over dimensions 0 and 1 of y (4, 8, 16); yours sums over 0 alone", "Not summed yet"),
    ("transformer/ex4_block", "dbo = datt.sum((0, 1))", "dbo = datt", "missing-sum", "Not summed yet", "alone"),
    ("classifier/ex1_digits", "db2 = dZ2.sum(axis=1, keepdims=True)", "db2 = dZ2.sum() * np.ones((10, 1))",
     "wrong-dimension", "Summed over everything. Each element of b2 gets a sum of its own, over dimension 1 alone",
     "local derivative"),
    ("classifier/ex1_digits", "db2 = dZ2.sum(axis=1, keepdims=True)", "db2 = np.sum(dZ2) / 100",
     "wrong-dimension", "1/m times the sum over everything", "broadcast on the way"),
    ("classifier/ex1_digits", "db2 = dZ2.sum(axis=1, keepdims=True)", "db2 = dZ2.sum(axis=1)",
     "missing-keepdim", ".reshape(b2.shape)", "unsqueeze"),
    ("classifier/ex1_digits", "dA1 = W2.T @ dZ2", "dA1 = W2 @ dZ2", "transposed", "Which index", "Compare the shapes"),
    ("foundations/ex3_linear_relu_mse", "db2 = dout.sum(0)", "db2 = dout.sum()", "missing-keepdim",
     "Sum over dimension 0 of (1000, 1) alone", "reshape"),
    ("foundations/ex3_linear_relu_mse", "dl1 = (l1 > 0) * dl2", "dl1 = l2 * dl2", "missing-local-derivative",
     "multiplied by l2 itself", "too many"),
    ("foundations/ex4_linear_regression", "dW = (2 * diff * x).mean()\n\n", "dW = (2 * diff * x).mean(0)\n\n",
     "extra-keepdim", "Sum over that dimension too", "keepdim"),
    ("foundations/ex4_linear_regression", "db = (2 * diff).mean()\n\n", "db = (2 * diff * b).mean()\n\n", "zero",
     "read b, which is 0 here", "Nothing was ever"),
    ("foundations/ex4_linear_regression", "db = (2 * diff).mean()\n\n", "db = np.zeros_like(b)\n\n", "zero",
     "Nothing was ever written", "read b"),
    ("foundations/ex2_neuron", "-y / a + (1 - y)", "-y / a - (1 - y)", "sign", "The sign before", "hardcoded"),
    ("transformer/ex1_softmax", "torch.diag(P[0]) - torch.outer(P[0], P[0])", "torch.diag(P[0]) - P * P",
     "wrong-values", "largest error", "The sum in"),
    ("classifier/ex4_dropout", "dA1 = dD1 * mask / (1 - p)", "dA1 = dD1 * (D1 > 0) / (1 - p)", "wrong-mask",
     "also shuts out where A1 is 0", "drawn anew"),
    ("classifier/ex4_dropout", "dA1 = dD1 * mask / (1 - p)", "dA1 = dD1 * (torch.rand_like(A1) > p) / (1 - p)",
     "wrong-mask", "drawn anew", "A1 is 0"),
    ("foundations/ex1_derivatives", "dv1 = dv2 * v2", "dv1 = 2 * v2", "missing-local-derivative",
     "dv2 is passed on unchanged", "alone"),
    ("foundations/ex3_linear_relu_mse", "dl1 = (l1 > 0) * dl2", "dl1 = torch.where(l1 > 0, dl2, 0.01 * dl2)",
     "wrong-mask", "Where it shuts one out, the slope is 0; yours is 0.01.", "rounding"),
    ("foundations/ex3_linear_relu_mse", "dl1 = (l1 > 0) * dl2",
     "dl1 = torch.where(l1 > 0, dl2, 0.01 * l1.exp() * dl2)", "wrong-constant", "The constant 0.01", "rounding"),
    ("foundations/ex3_linear_relu_mse", "dl2 = dout * w2.T", "dl2 = diff.unsqueeze(-1) * w2.T", "wrong-upstream",
     "diff is read where dout belongs", "500"),
    ("classifier/ex1_digits", "dW2 = dZ2 @ A1.T", "dW2 = np.full_like(W2, (dZ2 @ A1.T).mean())", "wrong-dimension",
     "Each element of W2 has a number of its own", "a mean of means"),
    ("transformer/ex1_softmax", "dA = torch.diag(P[0]) - torch.outer(P[0], P[0])",
     "D = torch.eye(n_classes)\ndA = P * D - P * D.sum(1, keepdim=True)", "missing-factor", "P or dP", "dP is missing"),
    ("transformer/ex3_attention", "djoined.view(B, T, H, D).transpose(1, 2)", "djoined.view(B, H, T, D)",
     "unmoved-dimensions", "a view or reshape does not", "in yours"),
    ("transformer/ex3_attention", "djoined.view(B, T, H, D).transpose(1, 2)",
     "torch.stack(djoined.split(D, -1)[::-1], 1)", "unmoved-dimensions", "along dimension 1 of oh", "a view"),
    ("transformer/ex3_attention", "djoined.view(B, T, H, D).transpose(1, 2)",
     "djoined.view(B, T, D, H).permute(0, 3, 1, 2)", "unmoved-dimensions", "they come back in another order", "a view"),
    ("transformer/ex4_block", f"slope = {SLOPE}\ndu = {GELU} * (1 - t**2) * slope)",
     f"du = {GELU} * (1 - inner**2) * {SLOPE})", "wrong-forward-value", "a tensor of your own lines", "forward pass"),
    ("transformer/ex4_block", "dx1 = dx2 + rstd2", "dx1 = rstd2", "missing-path", "through x2 is missing", "3 times"),
    ("transformer/ex6_data_parallel", "db = dcopies_b.sum(0)", "db = dcopies_b[0]", "missing-sum",
     "one part of 3", "example"),
]  # fmt: skip


@pytest.mark.parametrize(("lesson", "old", "new", "mistake", "said", "unsaid"), SPOKEN)
def test_the_reason_given_is_that_of_this_answer(lesson, old, new, mistake, said, unsaid, grade_text) -> None:
    text = (REPOSITORY / "solutions" / f"{lesson}.py").read_text(encoding="utf-8")
    assert text.count(old) == 1
    verdict = blamed(grade_text(text.replace(old, new)))
    assert verdict.mistake == mistake
    assert said in verdict.message
    assert unsaid not in verdict.message


LAYERNORM = "d = dout * gain2\ndh = hrstd * (d - d.mean(-1, keepdim=True) - hhat * (d * hhat).mean(-1, keepdim=True))"
STEPS = """\
dhhat = dout * gain2
dhc = hrstd * (dhhat - hhat * (dhhat * hhat).mean(-1, keepdim=True))
dhmean = -dhc.sum(-1, keepdim=True)
dh = dhc + dhmean"""
SOFTMAX_SUM = "dlogp.sum(-1, keepdim=True)"


HELPED = """\
def layernorm_backward(dz, zhat, rstd, gain):
    d = dz
    return rstd * (d - d.mean(-1, keepdim=True) - zhat * (d * zhat).mean(-1, keepdim=True)), (dz * zhat).sum((0, 1))
dh, dgain2 = layernorm_backward(dout, hhat, hrstd, gain2)
"""


def test_what_is_handed_to_a_function_is_not_blamed_alone(grade_text) -> None:
    (report,) = grade_text(HELPED, exercise="transformer/ex2")
    (verdict,) = (verdict for verdict in report.verdicts if verdict.status == "wrong")
    assert verdict.name == "h"
    assert "Or it is layernorm_backward that is wrong" in verdict.message


@pytest.mark.parametrize(
    ("lesson", "old", "new", "code"),
    [
        ("transformer/ex1_softmax", f"dz = dlogp - logp.exp() * {SOFTMAX_SUM}",
         f"p = logp.exp()\ndz = dlogp + p * {SOFTMAX_SUM}", f"dz = dlogp + p * {SOFTMAX_SUM}"),
        ("transformer/ex2_layernorm", LAYERNORM, STEPS, STEPS),
    ],
)  # fmt: skip
def test_no_line_is_blamed_alone_that_may_be_right(lesson, old, new, code, grade_text) -> None:
    text = (REPOSITORY / "solutions" / f"{lesson}.py").read_text(encoding="utf-8")
    assert text.count(old) == 1
    verdict = blamed(grade_text(text.replace(old, new)))
    assert verdict.code == code
    assert "This line" not in verdict.message


def test_a_line_of_a_loop_is_shown_and_not_its_head(grade_text) -> None:
    text = (REPOSITORY / "solutions/foundations/ex6_gradient_flow.py").read_text(encoding="utf-8")
    (report,) = grade_text(text.replace("dpre = (1 - hs[k + 1] ** 2)", "dpre = (1 - hs[k] ** 2)", 1))
    wrong = [verdict for verdict in report.verdicts if not verdict.passed]
    assert {verdict.code for verdict in wrong} == {"dpre = (1 - hs[k] ** 2) * dh"}
    assert {text.splitlines()[verdict.line - 1].strip() for verdict in wrong} == {"dpre = (1 - hs[k + 1] ** 2) * dh"}


@pytest.mark.parametrize(("shapes", "turned"), [("1x240 and 30x200", False), ("32x27 and 64x27", True)])
def test_a_product_is_to_be_transposed_only_where_that_could_fit(shapes: str, turned: bool) -> None:
    said = explain_exception("RuntimeError", f"mat1 and mat2 shapes cannot be multiplied ({shapes})")
    assert ("Look at what is transposed." in said) == turned


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "The size of tensor a (27) must match the size of tensor b (64) at non-singleton dimension 1",
            "27 against 64",
        ),
        ("shape '[32, 5]' is invalid for input of size 960", "960 numbers"),
        ("unsupported operand type(s) for *: 'Tensor' and 'ellipsis'", "still `...`"),
        ("something new\nin two lines", "RuntimeError: something new in two lines"),
    ],
)
def test_exceptions_in_the_words_of_the_exercise(text: str, words: str) -> None:
    assert words in explain_exception("RuntimeError", text)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("F.softmax(logits, 1)", "F.softmax(logits, 0)", "dlogits = F.softmax(logits, 0)"),
        ("range(n), Yb] -= 1", "range(n), Yb] += 1", "dlogits[range(n), Yb] += 1"),
        ("/= n", "/= 2 * n", "dlogits /= 2 * n"),
        ("range(n), Yb] -= 1", ":, Yb] -= 1", "dlogits = F.softmax(logits, 1)\ndlogits[:, Yb] -= 1\ndlogits /= n"),
    ],
)
def test_the_line_whose_edit_mends_an_answer_is_shown_or_the_whole_answer(old, new, code, grade_text) -> None:
    answer = "dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] -= 1\ndlogits /= n\n"
    assert answer.count(old) == 1
    assert blamed(grade_text(answer.replace(old, new), exercise="makemore/ex2")).code == code


def test_an_answer_of_one_statement_is_shown_with_all_its_lines(grade_text) -> None:
    answer = "dlogits = (\n    F.softmax(logits, 1)\n    - 1\n)"
    assert blamed(grade_text(answer + "\n", exercise="makemore/ex2")).code == answer


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("dbndiff", "dbndiff = bnvar_inv * dbnraw\ndbndiff += bndiff * dbndiff2", "1/2 of what it should be. A factor"),
        ("dhprebn", "dhprebn = dbndiff + dbnmeani", "bnmeani is n times what it should be. The mean's 1/n is missing."),
        ("dbnvar", "dbnvar = (bnvar + 1e-5) ** -1.5 * dbnvar_inv", "The exponent -0.5 of `bnvar_inv"),
    ],
)  # fmt: skip
def test_a_constant_too_much_or_too_few_is_told_by_its_cause(name, line, words, grade_text) -> None:
    assert words in blamed(grade_text(with_lines({name: line}), exercise="makemore/ex1")).message


SUMS = "dhpreact.sum({}) - n / (n - 1) * bnraw * (dhpreact * bnraw).sum({})"
UNBRACKETED = SUMS.replace("{}", "0").replace("(n - 1)", "n - 1")


@pytest.mark.parametrize(
    ("mistake", "answer", "words"),
    [
        ("wrong-dimension", f"/ n * (n * dhpreact - {SUMS.replace('{}', '1, keepdim=True')})", "over dimension 1"),
        ("wrong-dimension", f"/ n * (n * dhpreact - {SUMS.replace('{}', '')})", "The sums run over everything"),
        ("missing-path", "* dhpreact", "through bnmeani and through bndiff2"),
        ("missing-brackets", f"/ n * n * dhpreact - {SUMS.replace('{}', '0')}", "Brackets are missing"),
        ("missing-brackets", f"/ n * (n * dhpreact - {UNBRACKETED})", "/ n - 1"),
    ],
)  # fmt: skip
def test_the_likeliest_slips_of_batchnorm_have_a_name(mistake, answer, words, grade_text) -> None:
    verdict = blamed(grade_text(f"dhprebn = bngain * bnvar_inv {answer}\n", exercise="makemore/ex3"))
    assert verdict.mistake == mistake
    assert words in verdict.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] -= 1 / n\n", "Only the one at each label is divided"),
        ("dlogits = F.softmax(logits, 1) / n\ndlogits[range(n), Yb] -= 1\n", "Only the softmax is divided by n"),
    ],
)  # fmt: skip
def test_what_is_divided_by_n_is_named(text, words, grade_text) -> None:
    verdict = blamed(grade_text(text, exercise="makemore/ex2"))
    assert (verdict.mistake, words in verdict.message) == ("wrong-label-term", True)


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("dh", "dh = -dlogits @ W2.T", "h enters `logits = h @ W2 + b2` without a minus"),
        ("dbnmeani", "dbnmeani = dbndiff.sum(0, keepdim=True)", "`bndiff = hprebn - bnmeani` with a minus"),
        ("dcounts_sum", "dcounts_sum = counts_sum**-2 * dcounts_sum_inv", "comes down as a factor with its minus"),
        ("dlogits", "dlogits = -dnorm_logits", "the sign of every path"),
    ],
)
def test_a_wrong_sign_is_explained_by_the_forward_line(name, line, words, grade_text) -> None:
    verdict = blamed(grade_text(with_lines({name: line}), exercise="makemore/ex1"))
    assert verdict.mistake == "sign"
    assert words in verdict.message


def test_figures_in_words_are_those_of_the_table(grade_text) -> None:
    lines = {"dh": "dh = torch.sin(dlogits @ W2.T * 7) + 0.1"}
    verdict = blamed(grade_text(with_lines(lines), exercise="makemore/ex1"))
    assert verdict.details is not None
    error = verdict.details.largest_errors[0]
    assert verdict.details.data == "own"
    assert f"at dh{error.index}: yours {error.yours:.6g}, true {error.true:.6g}" in verdict.message


MAX_PATH = "dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dlogits = dnorm_logits.clone()", "The path through logit_maxes is missing"),
        (f"dlogits = dnorm_logits.clone()\n{MAX_PATH.replace('+=', '-=')}", "through logit_maxes has the wrong sign"),
        (f"dlogits = dnorm_logits.clone()\n{MAX_PATH.replace('max(1)', 'min(1)')}", "through logit_maxes is zero here"),
        ("dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] -= 1\ndlogits /= n", "It is a short cut"),
    ],
)
def test_what_is_right_for_this_loss_only_is_told_why(line, words, grade_text) -> None:
    (report,) = grade_text(with_lines({"dlogits": line}), exercise="makemore/ex1")
    (noted,) = (verdict for verdict in report.verdicts if verdict.message)
    assert (noted.name, noted.passed, noted.mistake) == ("logits", True, "vanishing")
    assert words in noted.message


def test_a_gradient_under_another_name_is_no_short_cut(grade_text) -> None:
    under_x = f"x = dnorm_logits.clone()\n{MAX_PATH.replace('dlogits +=', 'x +=')}\ndlogits = x"
    lines = {"dlogits": under_x, "dh": "dh = x @ W2.T"}
    (report,) = grade_text(with_lines(lines), exercise="makemore/ex1")
    assert not [verdict.message for verdict in report.verdicts if verdict.message]


def test_an_answer_that_python_cannot_read_is_begun(grade_text) -> None:
    text = "x = 1\ndlogits = F.softmax(logits, 1\n"
    (report,) = grade_text(text, exercise="makemore/ex2")
    assert report.attempted
    assert "This line cannot be read" in report.verdicts[0].message


@pytest.mark.parametrize("last", ["dlogits /= n)", "dlogits = dlogits / n)", f"dlogits = torch.zeros(0x{'f' * 4300})"])
def test_an_answer_that_misses_a_line_which_cannot_be_read_is_told_so(grade_text, last: str) -> None:
    text = f"dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] -= 1\n{last}\n"
    (report,) = grade_text(text, exercise="makemore/ex2")
    (verdict,) = report.verdicts
    assert (verdict.status, verdict.line) == ("error", 3)
    assert verdict.message.startswith("This line cannot be read: ")


@pytest.mark.parametrize("name", ["helper", "probs"])  # the second is lent from another lesson
def test_an_answer_that_misses_a_name_is_told_of_the_line_that_cannot_be_read(grade_text, name: str) -> None:
    text = f"{name} = F.softmax(logits, 1\ndlogits = {name} / n\n"
    (report,) = grade_text(text, exercise="makemore/ex2")
    (verdict,) = report.verdicts
    assert (verdict.status, verdict.line, verdict.code) == ("error", 1, f"{name} = F.softmax(logits, 1")
    assert verdict.message.startswith("This line cannot be read: ")


SOFTMAX = "dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] -= 1\n"
UNREAD = {  # the line of the fault, and what stands there in place of the last line of a right answer
    "a character that is not seen": (3, "\u200bdlogits = dlogits / n"),
    "one after the name": (3, "dlogits\u200b = dlogits / n"),
    "a walrus": (3, "dlogits := dlogits / n"),
    "a prompt": (3, ">>> dlogits = dlogits / n"),
    "a line broken before an operator": (4, "dlogits = dlogits\n    / n"),
    "a statement of two lines": (4, "dlogits = (dlogits\n    / / n)"),
    "a head": (3, "with torch.no_grad()\n    dlogits /= n"),
    "a loop without a body": (3, "for i in range(n):\ndlogits[i] /= n"),
    "a function without a body": (3, "def f(x):\n    # x / n\ndlogits = f(dlogits)"),
    "a function's own line": (4, "def f(x):\n    return x / / n\ndlogits = f(dlogits)"),
    "a line that a function needs": (4, "def f(x):\n    y = x / / n\n    return y\ndlogits = f(dlogits)"),
}


@pytest.mark.parametrize("how", UNREAD)
def test_a_wrong_answer_is_told_of_its_line_that_cannot_be_read(grade_text, how: str) -> None:
    line, text = UNREAD[how]
    (report,) = grade_text(f"{SOFTMAX}{text}\n", exercise="makemore/ex2")
    (verdict,) = report.verdicts
    assert (verdict.status, verdict.line) == ("error", line)
    assert verdict.message.startswith("This line cannot be read: ")


@pytest.mark.parametrize(
    "line",
    [
        "let dlogits = h",
        "12  dlogits = h",
        "- dlogits = h",
        "d logits = h",
        "dlogits, dh = f(h",
        "dlogits == h",
        "Here dlogits = h, as",
    ],
)
def test_the_only_line_of_an_answer_is_told_where_it_gives_no_value(grade_text, line: str) -> None:
    (report,) = grade_text(f"x = 1\n{line}\n", exercise="makemore/ex2")
    (verdict,) = report.verdicts
    assert (verdict.status, verdict.line, verdict.code) == ("error", 2, line)


@pytest.mark.parametrize(
    "line",
    [
        "print 'dlogits = ', h",
        "assert dlogits[0] = h",
        "So dlogits = h / n",
        "f(dlogits, dim=1",
        "if dlogits == 1",
        "    - a point",
    ],
)
def test_a_line_that_only_speaks_of_a_gradient_hides_no_mistake(grade_text, line: str) -> None:
    (report,) = grade_text(f"{SOFTMAX}dlogits = -dlogits / n\n{line}\n", exercise="makemore/ex2")
    (verdict,) = report.verdicts
    assert (verdict.status, verdict.mistake) == ("wrong", "sign")


def test_a_check_below_a_stub_is_no_answer(grade_text) -> None:
    (report,) = grade_text("dlogits = ...\ndlogits == h\n", exercise="makemore/ex2")
    assert [verdict.status for verdict in report.verdicts] == ["missing"]


def test_what_max_gives_is_called_a_tuple(grade_text) -> None:
    (report,) = grade_text("dlogits = logits.max(1)\n", exercise="makemore/ex2")
    assert report.verdicts[0].message.startswith("It is a Python tuple; ")


def test_a_statement_that_python_does_not_compile_is_told_without_our_file_names(grade_text) -> None:
    (report,) = grade_text("x = 1\ndlogits = yield h\n", exercise="makemore/ex2")
    assert (report.verdicts[0].message, report.verdicts[0].line) == ("SyntaxError: 'yield' outside function", 2)


def test_a_line_that_cannot_be_read_takes_nothing_from_a_right_answer(grade_text) -> None:
    text = f"dlogits = {'-' * 900}h\ndlogits = (\n{SOFTMAX_MINUS_ONE}"
    (report,) = grade_text(text, exercise="makemore/ex2")
    assert report.all_passed


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "statements",
    [
        ["dx = (dy * z).sum(0)"],
        ["dx = dy * z", "dx += (dy * w).sum(1, keepdim=True)"],
        ["dx = dy * z", "for k in range(3):\n    dx = dx + dy\n    dx = dx * w"],
    ],
)
def test_edits_tried_in_turns_say_what_all_at_once_would(statements, seed, monkeypatch) -> None:
    words = Vocabulary(dict.fromkeys(("x", "z", "w", "dx", "dy", "dw"), (4, 5)), frozenset({"dx", "dy", "dw"}))
    tried = [variant.statements for variant in variants(statements, words, 200)]
    right = set(random.Random(seed).sample(tried, 1 + seed))
    asked, said = [0], []
    for at_once in (len(tried), 60, 7):
        monkeypatch.setattr(repair, "_AT_ONCE", at_once)
        asked.append(0)

        def mended(texts):
            asked[-1] += len(texts)
            return [number for number, text in enumerate(texts) if text in right]

        said.append(mending_edit(statements, words, 200, mended, "Off by 3%."))
    assert said[0][0] is not None
    assert said[1:] == said[:1] * 2
    assert asked[3] <= asked[2] <= asked[1]
    assert asked[3] < asked[1]


def test_no_edit_explains_lines_that_are_right_as_they_are() -> None:
    words = Vocabulary({"dy": (3, 4), "x": (3, 4)}, frozenset({"dy"}))
    found = mending_edit(["dx = dy * x"], words, 50, lambda texts: range(len(texts)), "Off by 3%.")
    assert found == (None, None)


SHUT = """\
# %% [markdown]
# # A gate that lets nothing through

# %% tags=["parameters"]
seed, device, dtype = 7, "cpu", "float32"
points, features = 6, 3

# %% tags=["setup"]
import torch

g = torch.Generator().manual_seed(seed)
x = torch.randn((points, features), generator=g, dtype=getattr(torch, dtype)).to(device)
w = torch.randn((features, 4), generator=g, dtype=getattr(torch, dtype)).to(device)

# %% tags=["forward"]
y = x @ w
q = -y * y
z = torch.relu(q)
loss = (z**2).sum()

# %% tags=["backward"]
dz = 2 * z
dq = dz * (q > 0)
dy = -2 * y * dq
dw = x.T @ dy
"""


@pytest.mark.parametrize("line", ["dy = torch.ones_like(y)", "dw = w.clone()", "dw = w.exp()", "dy = y.sum(0)"])
def test_a_wrong_gradient_below_one_that_is_zero_gets_a_verdict(grader: Grader, tmp_path: Path, line: str) -> None:
    lesson, path = tmp_path / "solutions" / "shut" / "ex1_shut.py", tmp_path / "answer.py"
    lesson.parent.mkdir(parents=True)
    lesson.write_text(SHUT)
    path.write_text(f"{SHUT}{line}\n")
    exercise = read_exercise(lesson, lesson.parents[1])
    report = grader.grade_part(sole_part(analyse(read_source(path), [exercise]), exercise))
    assert [verdict.label for verdict in report.verdicts if not verdict.passed] == [line[:2]]
    assert all(verdict.message for verdict in report.verdicts if not verdict.passed)


SLOW_MAXES = """\
dlogits = dnorm_logits.clone()
for row in range(logits.shape[0]):
    column = 0
    while column < logits.shape[1]:
        if logits[row, column] == logit_maxes[row, 0]:
            dlogits[row, column] = dlogit_maxes[row, 0]
            break
        column += 1
"""


def test_what_stores_over_an_answer_is_not_said_to_add_to_it(grade_text) -> None:
    (report,) = grade_text(with_lines({"dlogits": SLOW_MAXES}))
    (wrong,) = (verdict for verdict in report.verdicts if not verdict.passed)
    assert (wrong.name, wrong.mistake) == ("logits", "missing-path")
    assert "throws away what was there" in wrong.message
