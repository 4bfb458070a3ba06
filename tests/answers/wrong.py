"""Wrong answers: each is one edit of a solution, and exactly one gradient is to blame for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"


@dataclass(frozen=True)
class WrongAnswer:
    """`old` in the backward cells of `exercise` becomes `new`: a mistake of this kind in the gradient of `variable`."""

    exercise: str
    variable: str
    kind: str
    old: str
    new: str


def edited(answer: WrongAnswer) -> str:
    """The solution's text with this one edit; the other lines keep their numbers where `new` has one line.

    The lines of the backward cells count as one text, so `old` may run on into the next backward cell. `new`
    then stands where `old` begins.
    """
    lines = (SOLUTIONS / f"{answer.exercise}.py").read_text(encoding="utf-8").split("\n")
    places = _backward_lines(lines)
    code = "\n".join(lines[place] for place in places)
    assert code.count(answer.old) == 1, f"{code.count(answer.old)} times in the backward cells: {answer.old!r}"
    first = code.count("\n", 0, code.index(answer.old))
    touched = places[first : first + 1 + answer.old.count("\n")]
    block = "\n".join(lines[place] for place in touched)
    lines[touched[0]] = block.replace(answer.old, answer.new)
    for place in touched[1:]:
        lines[place] = ""
    return "\n".join(lines)


def _backward_lines(lines: list[str]) -> list[int]:
    """The indices of the lines with code in a cell that is tagged `backward`."""
    found, inside = [], False
    for index, line in enumerate(lines):
        if line.startswith("# %%"):
            inside = '"backward"' in line
        elif inside and line.strip():
            found.append(index)
    return found


def _table(exercise: str, *rows: tuple[str, str, str, str]) -> list[WrongAnswer]:
    return [WrongAnswer(exercise, *row) for row in rows]


_LABELS = [
    1, 0, 25, 12, 9, 9, 0, 0, 13, 25, 13, 18, 25, 14, 12, 9, 12, 15, 5, 15, 14, 0, 5, 1, 15, 25, 20, 8, 1,
    1, 15, 0,
]
"""The labels of the batch that the exercises show, as a learner may have printed and pasted them."""

_DB2 = [
    -0.11638394, -0.09454079, 0.037871286, 0.036775693, 0.033550978, -0.018181307, 0.045747526,
    0.040660698, 0.00653322, -0.060467925, 0.034167968, 0.03337336, -0.053322218, -0.024795886,
    -0.032017957, -0.086625628, 0.035761297, 0.030393509, 0.004889918, 0.045986764, 0.00891368,
    0.03111041, 0.045822755, 0.036057558, 0.036794346, -0.089281656, 0.031206334,
]
"""The gradient of b2 there."""

_ATOMS = _table(
    "makemore/ex1_atoms",
    ("logprobs", "sign", "-1.0 / n", "1.0 / n"),
    ("logprobs", "scale", "-1.0 / n", "-1.0"),
    ("logprobs", "scale", "-1.0 / n", "-1.0 / (n - 1)"),
    ("logprobs", "scale", "-1.0 / n", "-1.0 / logprobs.numel()"),
    ("logprobs", "zero", "dlogprobs[range(n), Yb] = -1.0 / n", ""),
    ("logprobs", "wrong-row-or-column", "dlogprobs[range(n), Yb]", "dlogprobs[:, Yb]"),
    ("logprobs", "wrong-row-or-column", "dlogprobs[range(n), Yb]", "dlogprobs[Yb, range(n)]"),
    ("logprobs", "wrong-row-or-column", "dlogprobs[range(n), Yb]", "dlogprobs[range(n), Xb[:, -1]]"),
    ("logprobs", "wrong-values", "torch.zeros_like(logprobs)", "torch.full_like(logprobs, -1.0 / n)"),
    ("logprobs", "hardcoded-values", "dlogprobs[range(n), Yb]", f"dlogprobs[range(n), {_LABELS}]"),
    ("probs", "sign", "dlogprobs / probs", "-dlogprobs / probs"),
    ("probs", "wrong-power", "dlogprobs / probs", "dlogprobs * probs"),
    ("probs", "wrong-power", "dlogprobs / probs", "dlogprobs / probs**2"),
    ("probs", "missing-upstream", "dlogprobs / probs", "1.0 / probs"),
    ("probs", "missing-local-derivative", "dlogprobs / probs", "dlogprobs"),
    ("probs", "wrong-forward-value", "dlogprobs / probs", "dlogprobs / logprobs"),
    ("probs", "precision", "dlogprobs / probs", "(dlogprobs / probs).half().to(probs.dtype)"),
    ("probs", "not-finite", "dlogprobs / probs", "dlogprobs**2 / (dlogprobs * probs)"),
    ("counts_sum_inv", "sign", "(counts * dprobs)", "(-counts * dprobs)"),
    ("counts_sum_inv", "scale", "dprobs).sum(1, keepdim=True)", "dprobs).mean(1, keepdim=True)"),
    ("counts_sum_inv", "wrong-dimension", "dprobs).sum(1, keepdim=True)", "dprobs).sum(0, keepdim=True)"),
    ("counts_sum_inv", "missing-keepdim", "dprobs).sum(1, keepdim=True)", "dprobs).sum(1)"),
    ("counts_sum_inv", "missing-sum", "(counts * dprobs).sum(1, keepdim=True)", "counts * dprobs"),
    ("counts_sum_inv", "missing-local-derivative", "(counts * dprobs).sum", "dprobs.sum"),
    ("counts_sum_inv", "missing-upstream", "(counts * dprobs).sum", "counts.sum"),
    ("counts_sum_inv", "wrong-forward-value", "(counts * dprobs)", "(probs * dprobs)"),
    ("counts_sum", "sign", "-(counts_sum**-2)", "counts_sum**-2"),
    ("counts_sum", "scale", "-(counts_sum**-2)", "-2 * counts_sum**-2"),
    ("counts_sum", "wrong-power", "-(counts_sum**-2)", "-(counts_sum**-1)"),
    ("counts_sum", "wrong-power", "-(counts_sum**-2)", "-(counts_sum**2)"),
    ("counts_sum", "missing-local-derivative", "-(counts_sum**-2) * dcounts_sum_inv", "dcounts_sum_inv"),
    ("counts_sum", "missing-upstream", "-(counts_sum**-2) * dcounts_sum_inv", "-(counts_sum**-2)"),
    ("counts", "missing-path", "dcounts += torch.ones_like(counts) * dcounts_sum", ""),
    ("counts", "missing-path", "dcounts += ", "dcounts = "),
    ("counts", "path-twice", "counts_sum_inv * dprobs", "counts_sum_inv * dprobs\ndcounts += counts_sum_inv * dprobs"),
    ("counts", "path-twice", "torch.ones_like(counts) * dcounts_sum", "2 * dcounts_sum"),
    ("counts", "path-scaled", "dcounts += ", "dcounts -= "),
    ("counts", "path-scaled", "torch.ones_like(counts) *", "torch.ones_like(counts) / counts.shape[1] *"),
    ("counts", "wrong-forward-value", "counts_sum_inv * dprobs", "counts_sum * dprobs"),
    ("counts", "wrong-forward-value", "torch.ones_like(counts) *", "counts *"),
    ("counts", "missing-local-derivative", "counts_sum_inv * dprobs", "dprobs.clone()"),
    ("counts", "precision", "counts_sum_inv * dprobs", "(counts_sum_inv * dprobs).bfloat16().to(counts.dtype)"),
    ("norm_logits", "sign", "counts * dcounts\n", "-counts * dcounts\n"),
    ("norm_logits", "wrong-forward-value", "dnorm_logits = counts *", "dnorm_logits = norm_logits *"),
    ("norm_logits", "wrong-forward-value", "dnorm_logits = counts *", "dnorm_logits = probs *"),
    ("norm_logits", "missing-local-derivative", "dnorm_logits = counts * dcounts", "dnorm_logits = dcounts"),
    ("norm_logits", "missing-upstream", "dnorm_logits = counts * dcounts", "dnorm_logits = counts"),
    (
        "norm_logits",
        "stale-upstream",
        "dcounts += torch.ones_like(counts) * dcounts_sum\ndnorm_logits = counts * dcounts",
        "dnorm_logits = counts * dcounts\ndcounts += torch.ones_like(counts) * dcounts_sum",
    ),
    ("logit_maxes", "sign", "-dnorm_logits.sum(1", "dnorm_logits.sum(1"),
    ("logit_maxes", "scale", "-dnorm_logits.sum(1", "-dnorm_logits.mean(1"),
    ("logit_maxes", "vanishing", "-dnorm_logits.sum(1, keepdim=True)", "torch.zeros_like(logit_maxes)"),
    ("logit_maxes", "wrong-dimension", "-dnorm_logits.sum(1, keepdim=True)", "-dnorm_logits.sum(0, keepdim=True)"),
    ("logit_maxes", "missing-keepdim", "-dnorm_logits.sum(1, keepdim=True)", "-dnorm_logits.sum(1)"),
    ("logit_maxes", "missing-sum", "-dnorm_logits.sum(1, keepdim=True)", "-dnorm_logits"),
    ("logits", "sign", "dnorm_logits.clone()", "-dnorm_logits"),
    ("logits", "missing-path", "dnorm_logits.clone()", "torch.zeros_like(logits)"),
    ("logits", "missing-path", "dlogits += ", "dlogits = "),
    ("logits", "path-twice", "dnorm_logits.clone()", "dnorm_logits.clone()\ndlogits += dnorm_logits"),
    ("logits", "path-scaled", " * dlogit_maxes", " * dnorm_logits"),
    ("logits", "missing-upstream", " * dlogit_maxes", ""),
    ("logits", "wrong-dimension", "logits.max(1).indices", "logits.max(0).indices"),
    ("logits", "wrong-dimension", "num_classes=logits.shape[1]", "num_classes=logits.shape[0]"),
    ("logits", "precision", "dnorm_logits.clone()", "dnorm_logits.half().to(logits.dtype)"),
    ("h", "scale", "dlogits @ W2.T", "dlogits @ W2.T / n"),
    ("h", "transposed", "dlogits @ W2.T", "W2 @ dlogits.T"),
    ("h", "exception", "dlogits @ W2.T", "dlogits @ W2"),
    ("h", "undefined-name", "dlogits @ W2.T", "dlogits @ w2.T"),
    ("h", "wrong-reshape", "dlogits @ W2.T", "dlogits @ W2.view(W2.shape[1], -1)"),
    ("h", "wrong-forward-value", "dlogits @ W2.T", "logits @ W2.T"),
    ("W2", "scale", "h.T @ dlogits", "h.T @ dlogits / n"),
    ("W2", "transposed", "h.T @ dlogits", "dlogits.T @ h"),
    ("W2", "exception", "h.T @ dlogits", "h @ dlogits"),
    ("W2", "wrong-reshape", "h.T @ dlogits", "h.view(h.shape[1], -1) @ dlogits"),
    ("W2", "wrong-forward-value", "h.T @ dlogits", "hpreact.T @ dlogits"),
    ("W2", "precision", "h.T @ dlogits", "(h.T.bfloat16() @ dlogits.bfloat16()).to(W2.dtype)"),
    ("W2", "autograd", "h.T @ dlogits", "W2.grad.clone()"),
    ("b2", "sign", "dlogits.sum(0)", "-dlogits.sum(0)"),
    ("b2", "scale", "dlogits.sum(0)", "dlogits.mean(0)"),
    ("b2", "wrong-dimension", "dlogits.sum(0)", "dlogits.sum(1)"),
    ("b2", "extra-keepdim", "dlogits.sum(0)", "dlogits.sum(0, keepdim=True)"),
    ("b2", "missing-sum", "dlogits.sum(0)", "dlogits"),
    ("b2", "hardcoded-values", "dlogits.sum(0)", f"torch.tensor({_DB2})"),
    ("hpreact", "sign", "(1.0 - h**2)", "(h**2 - 1.0)"),
    ("hpreact", "wrong-power", "(1.0 - h**2)", "(1.0 - h)"),
    ("hpreact", "wrong-forward-value", "(1.0 - h**2)", "(1.0 - hpreact**2)"),
    ("hpreact", "wrong-forward-value", "(1.0 - h**2)", "h * (1.0 - h)"),
    ("hpreact", "missing-local-derivative", "(1.0 - h**2) * dh", "dh"),
    ("hpreact", "missing-upstream", "(1.0 - h**2) * dh", "1.0 - h**2"),
    ("hpreact", "precision", "(1.0 - h**2) * dh", "((1.0 - h**2) * dh).bfloat16().to(h.dtype)"),
    ("bngain", "scale", "(bnraw * dhpreact).sum", "(bnraw * dhpreact).mean"),
    ("bngain", "wrong-dimension", "(bnraw * dhpreact).sum(0", "(bnraw * dhpreact).sum(1"),
    ("bngain", "missing-keepdim", "(bnraw * dhpreact).sum(0, keepdim=True)", "(bnraw * dhpreact).sum(0)"),
    ("bngain", "missing-sum", "(bnraw * dhpreact).sum(0, keepdim=True)", "bnraw * dhpreact"),
    ("bngain", "missing-local-derivative", "(bnraw * dhpreact).sum", "dhpreact.sum"),
    ("bngain", "wrong-forward-value", "(bnraw * dhpreact)", "(bndiff * dhpreact)"),
    ("bnbias", "sign", "dhpreact.sum(0, keepdim=True)", "-dhpreact.sum(0, keepdim=True)"),
    ("bnbias", "missing-keepdim", "dhpreact.sum(0, keepdim=True)", "dhpreact.sum(0)"),
    ("bnbias", "missing-sum", "dhpreact.sum(0, keepdim=True)", "dhpreact"),
    ("bnbias", "wrong-forward-value", "dhpreact.sum(0, keepdim=True)", "bnbias * dhpreact.sum(0, keepdim=True)"),
    ("bnbias", "zero", "dhpreact.sum(0, keepdim=True)", "torch.zeros_like(bnbias)"),
    ("bnraw", "missing-local-derivative", "bngain * dhpreact", "dhpreact"),
    ("bnraw", "wrong-power", "bngain * dhpreact", "dhpreact / bngain"),
    ("bnraw", "wrong-forward-value", "bngain * dhpreact", "bnbias * dhpreact"),
    ("bnraw", "transposed", "bngain * dhpreact", "(bngain * dhpreact).T"),
    ("bnvar_inv", "wrong-dimension", "(bndiff * dbnraw).sum(0", "(bndiff * dbnraw).sum(1"),
    ("bnvar_inv", "missing-keepdim", "(bndiff * dbnraw).sum(0, keepdim=True)", "(bndiff * dbnraw).sum(0)"),
    ("bnvar_inv", "missing-sum", "(bndiff * dbnraw).sum(0, keepdim=True)", "bndiff * dbnraw"),
    ("bnvar_inv", "missing-local-derivative", "(bndiff * dbnraw).sum", "dbnraw.sum"),
    ("bnvar_inv", "wrong-forward-value", "(bndiff * dbnraw)", "(bnraw * dbnraw)"),
    ("bnvar", "sign", "-0.5 * (bnvar", "0.5 * (bnvar"),
    ("bnvar", "scale", "-0.5 * (bnvar", "-1.5 * (bnvar"),
    ("bnvar", "missing-epsilon", "(bnvar + 1e-5)", "bnvar"),
    ("bnvar", "missing-epsilon", "1e-5", "1e-6"),
    ("bnvar", "wrong-power", "** -1.5", "** -0.5"),
    ("bnvar", "wrong-power", "** -1.5", "** 1.5"),
    ("bnvar", "wrong-forward-value", "(bnvar + 1e-5)", "(bnvar_inv + 1e-5)"),
    ("bnvar", "missing-upstream", " * dbnvar_inv", ""),
    ("bnvar", "not-finite", "(bnvar + 1e-5)", "(-bnvar - 1e-5)"),
    ("bndiff2", "scale", "1.0 / (n - 1) * torch.ones_like(bndiff2)", "1.0 / n * torch.ones_like(bndiff2)"),
    ("bndiff2", "scale", "1.0 / (n - 1) * torch.ones_like(bndiff2)", "torch.ones_like(bndiff2)"),
    ("bndiff2", "missing-broadcast", "1.0 / (n - 1) * torch.ones_like(bndiff2)", "1.0 / (n - 1)"),
    ("bndiff2", "wrong-forward-value", "torch.ones_like(bndiff2)", "bndiff2"),
    ("bndiff", "missing-path", "dbndiff += 2 * bndiff * dbndiff2", ""),
    ("bndiff", "missing-path", "dbndiff += ", "dbndiff = "),
    ("bndiff", "path-twice", "bnvar_inv * dbnraw", "bnvar_inv * dbnraw\ndbndiff += bnvar_inv * dbnraw"),
    ("bndiff", "path-scaled", "dbndiff += 2 * bndiff", "dbndiff += bndiff"),
    ("bndiff", "path-scaled", "dbndiff += ", "dbndiff -= "),
    ("bndiff", "wrong-power", "2 * bndiff * dbndiff2", "2 * bndiff2 * dbndiff2"),
    ("bndiff", "wrong-forward-value", "2 * bndiff * dbndiff2", "2 * bnraw * dbndiff2"),
    ("bndiff", "wrong-forward-value", "bnvar_inv * dbnraw", "bnvar * dbnraw"),
    ("bndiff", "missing-local-derivative", "bnvar_inv * dbnraw", "dbnraw.clone()"),
    ("bnmeani", "sign", "-dbndiff.sum(0", "dbndiff.sum(0"),
    ("bnmeani", "scale", "-dbndiff.sum(0", "-dbndiff.mean(0"),
    ("bnmeani", "wrong-dimension", "-dbndiff.sum(0", "-dbndiff.sum(1"),
    ("bnmeani", "missing-keepdim", "-dbndiff.sum(0, keepdim=True)", "(-dbndiff).sum(0)"),
    ("bnmeani", "missing-sum", "-dbndiff.sum(0, keepdim=True)", "-dbndiff"),
    ("hprebn", "missing-path", "dhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani", ""),
    ("hprebn", "missing-path", "dhprebn += ", "dhprebn = "),
    ("hprebn", "path-twice", "dbndiff.clone()", "2 * dbndiff"),
    ("hprebn", "path-scaled", "dhprebn += 1.0 / n * ", "dhprebn += "),
    ("hprebn", "path-scaled", "dhprebn += 1.0 / n *", "dhprebn += 1.0 / (n - 1) *"),
    (
        "hprebn",
        "stale-upstream",
        "dbndiff += 2 * bndiff * dbndiff2\ndbnmeani = -dbndiff.sum(0, keepdim=True)\ndhprebn = dbndiff.clone()",
        "dhprebn = dbndiff.clone()\ndbndiff += 2 * bndiff * dbndiff2\ndbnmeani = -dbndiff.sum(0, keepdim=True)",
    ),
    ("embcat", "transposed", "dhprebn @ W1.T", "W1 @ dhprebn.T"),
    ("embcat", "exception", "dhprebn @ W1.T", "dhprebn @ W1"),
    ("embcat", "wrong-reshape", "dhprebn @ W1.T", "dhprebn @ W1.view(W1.shape[1], -1)"),
    ("embcat", "wrong-forward-value", "dhprebn @ W1.T", "hprebn @ W1.T"),
    (
        "embcat",
        "stale-upstream",
        "dhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani\ndembcat = dhprebn @ W1.T",
        "dembcat = dhprebn @ W1.T\ndhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani",
    ),
    ("W1", "scale", "embcat.T @ dhprebn", "embcat.T @ dhprebn / n"),
    ("W1", "transposed", "embcat.T @ dhprebn", "dhprebn.T @ embcat"),
    ("W1", "wrong-reshape", "embcat.T @ dhprebn", "embcat.view(-1, n) @ dhprebn"),
    ("W1", "wrong-reshape", "embcat.T @ dhprebn", "emb.transpose(1, 2).reshape(n, -1).T @ dhprebn"),
    ("W1", "wrong-forward-value", "embcat.T @ dhprebn", "embcat.T @ hprebn"),
    ("b1", "vanishing", "dhprebn.sum(0)", "torch.zeros_like(b1)"),
    ("b1", "scale", "dhprebn.sum(0)", "dhprebn.mean(0)"),
    ("b1", "wrong-dimension", "dhprebn.sum(0)", "dhprebn.sum(1)"),
    ("b1", "extra-keepdim", "dhprebn.sum(0)", "dhprebn.sum(0, keepdim=True)"),
    ("b1", "missing-sum", "dhprebn.sum(0)", "dhprebn"),
    (
        "b1",
        "stale-upstream",
        "dhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani\n"
        "dembcat = dhprebn @ W1.T\ndW1 = embcat.T @ dhprebn\ndb1 = dhprebn.sum(0)",
        "db1 = dhprebn.sum(0)\ndhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani\n"
        "dembcat = dhprebn @ W1.T\ndW1 = embcat.T @ dhprebn",
    ),
    ("emb", "wrong-reshape", "dembcat.view(emb.shape)", "dembcat"),
    ("emb", "wrong-reshape", "dembcat.view(emb.shape)", "dembcat.view(n, -1, block_size).transpose(1, 2)"),
    ("emb", "wrong-reshape", "dembcat.view(emb.shape)", "dembcat.view(block_size, n, -1).transpose(0, 1)"),
    ("emb", "wrong-row-or-column", "dembcat.view(emb.shape)", "dembcat.view(emb.shape).flip(1)"),
    ("C", "sign", "demb.shape[-1]))", "demb.shape[-1]), alpha=-1)"),
    ("C", "path-twice", "dC = torch.zeros_like(C)\ndC.index_add_", "dC.index_add_"),
    ("C", "missing-path", "Xb.view(-1), demb.view(-1, demb.shape[-1])", "Xb[:, -1], demb[:, -1]"),
    ("C", "overwritten-rows", "dC.index_add_(0, Xb.view(-1), demb.view(-1, demb.shape[-1]))", "dC[Xb] = demb"),
    ("C", "overwritten-rows", "dC.index_add_(0, Xb.view(-1), demb.view(-1, demb.shape[-1]))", "dC[Xb] += demb"),
    ("C", "wrong-row-or-column", "dC.index_add_(0, Xb.view(-1)", "dC.index_add_(0, Xb.T.reshape(-1)"),
    ("C", "wrong-reshape", "demb.view(-1, demb.shape[-1])", "demb.transpose(0, 1).reshape(-1, demb.shape[-1])"),
    ("C", "wrong-forward-value", "demb.view(-1, demb.shape[-1])", "emb.view(-1, emb.shape[-1])"),
)

_CROSS_ENTROPY = _table(
    "makemore/ex2_cross_entropy",
    ("logits", "sign", "dlogits /= n", "dlogits /= -n"),
    ("logits", "scale", "dlogits /= n", ""),
    ("logits", "scale", "dlogits /= n", "dlogits *= n"),
    ("logits", "scale", "dlogits /= n", "dlogits /= n - 1"),
    ("logits", "scale", "dlogits /= n", "dlogits /= logits.numel()"),
    ("logits", "wrong-dimension", "F.softmax(logits, 1)", "F.softmax(logits, 0)"),
    ("logits", "wrong-forward-value", "F.softmax(logits, 1)", "F.log_softmax(logits, 1)"),
    ("logits", "wrong-forward-value", "F.softmax(logits, 1)", "logits.exp()"),
    (
        "logits",
        "wrong-forward-value",  # exponentials of shifted logits over a sum of unshifted ones
        "F.softmax(logits, 1)",
        "(logits - logits.max(1, keepdim=True).values).exp() / logits.exp().sum(1, keepdim=True)",
    ),
    ("logits", "missing-path", "F.softmax(logits, 1)", "torch.zeros_like(logits)"),
    ("logits", "missing-path", "dlogits[range(n), Yb] -= 1", ""),
    ("logits", "missing-path", "dlogits[range(n), Yb] -= 1", "dlogits[range(n), Yb] = -1"),
    ("logits", "path-twice", "dlogits[range(n), Yb] -= 1", "dlogits[range(n), Yb] -= 1\ndlogits[range(n), Yb] -= 1"),
    ("logits", "path-scaled", "dlogits[range(n), Yb] -= 1", "dlogits[range(n), Yb] += 1"),
    ("logits", "path-scaled", "dlogits[range(n), Yb] -= 1", "dlogits[range(n), Yb] -= 1 / n"),
    ("logits", "wrong-row-or-column", "dlogits[range(n), Yb] -= 1", "dlogits[:, Yb] -= 1"),
    ("logits", "wrong-row-or-column", "dlogits[range(n), Yb] -= 1", "dlogits[Yb, range(n)] -= 1"),
    ("logits", "wrong-row-or-column", "dlogits[range(n), Yb] -= 1", "dlogits[range(n), Yb - 1] -= 1"),
    ("logits", "transposed", "dlogits /= n", "dlogits = dlogits.T / n"),
    ("logits", "precision", "F.softmax(logits, 1)", "F.softmax(logits.bfloat16(), 1).to(logits.dtype)"),
    ("logits", "not-finite", "F.softmax(logits, 1)", "logits.exp() ** 999 / (logits.exp() ** 999).sum(1, keepdim=True)"),
    ("logits", "hardcoded-values", "dlogits[range(n), Yb] -= 1", f"dlogits[range(n), {_LABELS}] -= 1"),
)

_BATCHNORM = _table(
    "makemore/ex3_batchnorm",
    ("hprebn", "sign", "bngain * bnvar_inv / n", "-bngain * bnvar_inv / n"),
    ("hprebn", "scale", "bngain * bnvar_inv / n", "bngain * bnvar_inv"),
    ("hprebn", "missing-local-derivative", "bngain * bnvar_inv / n", "bnvar_inv / n"),
    ("hprebn", "missing-epsilon", "bngain * bnvar_inv / n", "bngain * bnvar**-0.5 / n"),
    ("hprebn", "wrong-power", "bngain * bnvar_inv / n", "bngain * bnvar_inv**2 / n"),
    ("hprebn", "wrong-forward-value", "bngain * bnvar_inv / n", "bngain * bnvar / n"),
    ("hprebn", "not-finite", "bngain * bnvar_inv / n", "bngain * (-bnvar - 1e-5) ** -0.5 / n"),
    ("hprebn", "wrong-forward-value", "n * dhpreact", "n * hpreact"),
    ("hprebn", "path-scaled", "n * dhpreact", "dhpreact"),
    ("hprebn", "precision", "n * dhpreact", "n * dhpreact.half()"),
    ("hprebn", "missing-path", " - dhpreact.sum(0)", ""),
    ("hprebn", "path-scaled", "- dhpreact.sum(0)", "+ dhpreact.sum(0)"),
    ("hprebn", "path-scaled", "- dhpreact.sum(0)", "- dhpreact.mean(0)"),
    ("hprebn", "wrong-dimension", "- dhpreact.sum(0)", "- dhpreact.sum(1)"),
    ("hprebn", "missing-path", " - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0)", ""),
    ("hprebn", "path-scaled", "n / (n - 1) * bnraw", "bnraw"),
    ("hprebn", "path-scaled", "n / (n - 1)", "(n - 1) / n"),
    ("hprebn", "path-scaled", "- n / (n - 1)", "+ n / (n - 1)"),
    ("hprebn", "wrong-forward-value", "* bnraw *", "* bndiff *"),
    ("hprebn", "wrong-forward-value", "(dhpreact * bnraw)", "(dhpreact * bndiff)"),
    ("hprebn", "missing-upstream", "(dhpreact * bnraw)", "bnraw"),
    ("hprebn", "missing-sum", "(dhpreact * bnraw).sum(0)", "dhpreact * bnraw"),
    ("hprebn", "transposed", "dhprebn = (", "dhprebn = torch.t("),
)

WRONG: list[WrongAnswer] = [*_ATOMS, *_CROSS_ENTROPY, *_BATCHNORM]
