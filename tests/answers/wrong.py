"""Wrong answers: each is one edit of a solution, and exactly one gradient is to blame for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"


@dataclass(frozen=True)
class WrongAnswer:
    """`old` in the backward cells of `exercise` becomes `new`; `kind` is the id of this mistake."""

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
    assert code.count(answer.old) == 1, f"{code.count(answer.old)} times in backward cells: {answer.old!r}"
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


def _moved_up(*lines: str) -> tuple[str, str]:
    """The lines of a solution, and the same with the last of them first: read before it is complete."""
    return "\n".join(lines), "\n".join([lines[-1], *lines[:-1]])


_SUM_PATH = "dcounts += torch.ones_like(counts) * dcounts_sum"
_MAX_PATH = "dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes"
_SQUARE_PATH = "dbndiff += 2 * bndiff * dbndiff2"
_MEAN_PATH = "dhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani"
_SCATTER = "dC.index_add_(0, Xb.view(-1), demb.view(-1, demb.shape[-1]))"
_MEANI = "dbnmeani = -dbndiff.sum(0, keepdim=True)"
_EMBCAT = "dembcat = dhprebn @ W1.T"
_W1 = "dW1 = embcat.T @ dhprebn"
_LABEL = "dlogits[range(n), Yb] -= 1"

_LABELS = [
    5,
    11,
    1,
    15,
    0,
    1,
    7,
    15,
    1,
    1,
    22,
    12,
    11,
    15,
    9,
    26,
    21,
    14,
    15,
    1,
    8,
    13,
    1,
    5,
    8,
    5,
    0,
    15,
    15,
    8,
    20,
    0,
]
_DB2 = [
    -0.0536658,
    -0.1561953,
    0.038004,
    0.0356398,
    0.0362607,
    -0.0535626,
    0.0409635,
    0.0086387,
    -0.0542084,
    0.0020073,
    0.0345969,
    -0.0299315,
    0.0095751,
    0.0086777,
    -0.0010056,
    -0.1477877,
    0.0315588,
    0.0331401,
    0.0363839,
    0.0427776,
    0.0121777,
    0.0019617,
    0.0110294,
    0.0383277,
    0.0392827,
    0.0360973,
    -0.0007436,
]
"""The labels of the batch that the exercises show and db2 there, as a learner may have pasted them."""

_ATOMS = _table(
    "makemore/ex1_atoms",
    ("logprobs", "sign", "-1.0 / n", "1.0 / n"),
    ("logprobs", "scale", "-1.0 / n", "-1.0"),
    ("logprobs", "scale", "-1.0 / n", "-1.0 / (n - 1)"),
    ("logprobs", "zero", "dlogprobs[range(n), Yb] = -1.0 / n", ""),
    ("logprobs", "wrong-row-or-column", "dlogprobs[range(n), Yb]", "dlogprobs[:, Yb]"),
    ("logprobs", "wrong-row-or-column", "dlogprobs[range(n), Yb]", "dlogprobs[Yb, range(n)]"),
    ("logprobs", "wrong-row-or-column", "dlogprobs[range(n), Yb]", "dlogprobs[range(n), Xb[:, -1]]"),
    ("logprobs", "wrong-values", "torch.zeros_like(logprobs)", "torch.full_like(logprobs, -1.0 / n)"),
    ("logprobs", "hardcoded-values", "dlogprobs[range(n), Yb]", f"dlogprobs[range(n), {_LABELS}]"),
    ("probs", "sign", "dlogprobs / probs", "-dlogprobs / probs"),
    ("probs", "wrong-power", "dlogprobs / probs", "dlogprobs * probs"),
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
    ("counts_sum", "wrong-power", "-(counts_sum**-2)", "-(counts_sum**-1)"),
    ("counts_sum", "wrong-power", "-(counts_sum**-2)", "-(counts_sum**2)"),
    ("counts_sum", "missing-local-derivative", "-(counts_sum**-2) * dcounts_sum_inv", "dcounts_sum_inv"),
    ("counts_sum", "missing-upstream", "-(counts_sum**-2) * dcounts_sum_inv", "-(counts_sum**-2)"),
    ("counts", "missing-path", _SUM_PATH, ""),
    ("counts", "missing-path", "dcounts += ", "dcounts = "),
    ("counts", "path-twice", "dcounts = counts_sum_inv * dprobs", "dcounts = 2 * counts_sum_inv * dprobs"),
    ("counts", "path-twice", _SUM_PATH, f"{_SUM_PATH}\n{_SUM_PATH}"),
    ("counts", "path-scaled", "dcounts += ", "dcounts -= "),
    ("counts", "wrong-forward-value", "counts_sum_inv * dprobs", "counts_sum * dprobs"),
    ("counts", "wrong-forward-value", "torch.ones_like(counts) *", "counts *"),
    ("counts", "precision", "counts_sum_inv * dprobs", "(counts_sum_inv * dprobs).bfloat16().to(h.dtype)"),
    ("norm_logits", "sign", "dnorm_logits = counts", "dnorm_logits = -counts"),
    ("norm_logits", "wrong-forward-value", "dnorm_logits = counts *", "dnorm_logits = norm_logits *"),
    ("norm_logits", "wrong-forward-value", "dnorm_logits = counts *", "dnorm_logits = probs *"),
    ("norm_logits", "missing-local-derivative", "dnorm_logits = counts * dcounts", "dnorm_logits = dcounts"),
    ("norm_logits", "stale-upstream", *_moved_up(_SUM_PATH, "dnorm_logits = counts * dcounts")),
    ("logit_maxes", "sign", "-dnorm_logits.sum(1", "dnorm_logits.sum(1"),
    ("logit_maxes", "scale", "-dnorm_logits.sum(1", "-dnorm_logits.mean(1"),
    ("logit_maxes", "vanishing", "-dnorm_logits.sum(1, keepdim=True)", "torch.zeros_like(logit_maxes)"),
    ("logit_maxes", "wrong-dimension", "-dnorm_logits.sum(1", "-dnorm_logits.sum(0"),
    ("logit_maxes", "missing-keepdim", "-dnorm_logits.sum(1, keepdim=True)", "-dnorm_logits.sum(1)"),
    ("logits", "sign", "dnorm_logits.clone()", "-dnorm_logits"),
    ("logits", "missing-path", "dnorm_logits.clone()", "torch.zeros_like(logits)"),
    ("logits", "missing-path", "dlogits += ", "dlogits = "),
    ("logits", "path-twice", "dnorm_logits.clone()", "dnorm_logits.clone()\ndlogits += dnorm_logits"),
    ("logits", "path-scaled", " * dlogit_maxes", " * dnorm_logits"),
    ("logits", "missing-upstream", " * dlogit_maxes", ""),
    ("logits", "wrong-dimension", "logits.max(1).indices", "logits.max(0).indices"),
    ("logits", "precision", "dnorm_logits.clone()", "dnorm_logits.half().to(logits.dtype)"),
    ("h", "transposed", "dlogits @ W2.T", "W2 @ dlogits.T"),
    ("h", "exception", "dlogits @ W2.T", "dlogits @ W2"),
    ("h", "undefined-name", "dlogits @ W2.T", "dlogits @ w2.T"),
    ("h", "wrong-reshape", "dlogits @ W2.T", "dlogits @ W2.view(W2.shape[1], -1)"),
    ("h", "wrong-forward-value", "dlogits @ W2.T", "logits @ W2.T"),
    ("W2", "scale", "h.T @ dlogits", "h.T @ dlogits / n"),
    ("W2", "transposed", "h.T @ dlogits", "dlogits.T @ h"),
    ("W2", "wrong-reshape", "h.T @ dlogits", "h.view(h.shape[1], -1) @ dlogits"),
    ("W2", "wrong-forward-value", "h.T @ dlogits", "hpreact.T @ dlogits"),
    ("W2", "precision", "h.T @ dlogits", "(h.T.bfloat16() @ dlogits.bfloat16()).to(W2.dtype)"),
    ("W2", "autograd", "h.T @ dlogits", "W2.grad.clone()"),
    ("b2", "sign", "dlogits.sum(0)", "-dlogits.sum(0)"),
    ("b2", "scale", "dlogits.sum(0)", "dlogits.mean(0)"),
    ("b2", "wrong-dimension", "dlogits.sum(0)", "dlogits.sum(1)"),
    ("b2", "extra-keepdim", "dlogits.sum(0)", "dlogits.sum(0, keepdim=True)"),
    ("b2", "hardcoded-values", "dlogits.sum(0)", f"torch.tensor({_DB2})"),
    ("hpreact", "sign", "(1.0 - h**2)", "(h**2 - 1.0)"),
    ("hpreact", "wrong-power", "(1.0 - h**2)", "(1.0 - h)"),
    ("hpreact", "wrong-forward-value", "(1.0 - h**2)", "(1.0 - hpreact**2)"),
    ("hpreact", "missing-local-derivative", "(1.0 - h**2) * dh", "dh"),
    ("hpreact", "missing-upstream", "(1.0 - h**2) * dh", "1.0 - h**2"),
    ("hpreact", "precision", "(1.0 - h**2) * dh", "((1.0 - h**2) * dh).bfloat16().to(h.dtype)"),
    ("bngain", "scale", "(bnraw * dhpreact).sum", "(bnraw * dhpreact).mean"),
    ("bngain", "wrong-dimension", "(bnraw * dhpreact).sum(0", "(bnraw * dhpreact).sum(1"),
    ("bngain", "missing-keepdim", "(bnraw * dhpreact).sum(0, keepdim=True)", "(bnraw * dhpreact).sum(0)"),
    ("bngain", "missing-sum", "(bnraw * dhpreact).sum(0, keepdim=True)", "bnraw * dhpreact"),
    ("bngain", "missing-local-derivative", "(bnraw * dhpreact).sum", "dhpreact.sum"),
    ("bngain", "wrong-forward-value", "(bnraw * dhpreact)", "(bndiff * dhpreact)"),
    ("bnbias", "missing-keepdim", "dhpreact.sum(0, keepdim=True)", "dhpreact.sum(0)"),
    ("bnbias", "missing-sum", "dhpreact.sum(0, keepdim=True)", "dhpreact"),
    ("bnbias", "zero", "dhpreact.sum(0, keepdim=True)", "torch.zeros_like(bnbias)"),
    ("bnraw", "missing-local-derivative", "bngain * dhpreact", "dhpreact"),
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
    ("bnvar", "wrong-power", "** -1.5", "** -0.5"),
    ("bnvar", "wrong-forward-value", "(bnvar + 1e-5)", "(bnvar_inv + 1e-5)"),
    ("bnvar", "missing-upstream", " * dbnvar_inv", ""),
    ("bnvar", "not-finite", "(bnvar + 1e-5)", "(-bnvar - 1e-5)"),
    ("bndiff2", "scale", "1.0 / (n - 1) * torch.ones_like(bndiff2)", "1.0 / n * torch.ones_like(bndiff2)"),
    ("bndiff2", "scale", "1.0 / (n - 1) * torch.ones_like(bndiff2)", "torch.ones_like(bndiff2)"),
    ("bndiff2", "missing-broadcast", "1.0 / (n - 1) * torch.ones_like(bndiff2)", "1.0 / (n - 1)"),
    ("bndiff2", "wrong-forward-value", "torch.ones_like(bndiff2)", "bndiff2"),
    ("bndiff", "missing-path", _SQUARE_PATH, ""),
    ("bndiff", "missing-path", "dbndiff += ", "dbndiff = "),
    ("bndiff", "path-twice", "bnvar_inv * dbnraw", "bnvar_inv * dbnraw\ndbndiff += bnvar_inv * dbnraw"),
    ("bndiff", "path-scaled", "dbndiff += 2 * bndiff", "dbndiff += bndiff"),
    ("bndiff", "path-scaled", "dbndiff += ", "dbndiff -= "),
    ("bndiff", "wrong-power", "2 * bndiff * dbndiff2", "2 * bndiff2 * dbndiff2"),
    ("bndiff", "wrong-forward-value", "2 * bndiff * dbndiff2", "2 * bnraw * dbndiff2"),
    ("bndiff", "wrong-forward-value", "bnvar_inv * dbnraw", "bnvar * dbnraw"),
    ("bnmeani", "sign", "-dbndiff.sum(0", "dbndiff.sum(0"),
    ("bnmeani", "scale", "-dbndiff.sum(0", "-dbndiff.mean(0"),
    ("bnmeani", "wrong-dimension", "-dbndiff.sum(0", "-dbndiff.sum(1"),
    ("bnmeani", "missing-keepdim", "-dbndiff.sum(0, keepdim=True)", "(-dbndiff).sum(0)"),
    ("hprebn", "missing-path", _MEAN_PATH, ""),
    ("hprebn", "missing-path", "dhprebn += ", "dhprebn = "),
    ("hprebn", "path-twice", "dbndiff.clone()", "2 * dbndiff"),
    ("hprebn", "path-scaled", "dhprebn += 1.0 / n * ", "dhprebn += "),
    ("hprebn", "path-scaled", "dhprebn += 1.0 / n *", "dhprebn += 1.0 / (n - 1) *"),
    ("hprebn", "stale-upstream", *_moved_up(_SQUARE_PATH, _MEANI, "dhprebn = dbndiff.clone()")),
    ("embcat", "transposed", "dhprebn @ W1.T", "W1 @ dhprebn.T"),
    ("embcat", "exception", "dhprebn @ W1.T", "dhprebn @ W1"),
    ("embcat", "wrong-reshape", "dhprebn @ W1.T", "dhprebn @ W1.view(W1.shape[1], -1)"),
    ("embcat", "wrong-forward-value", "dhprebn @ W1.T", "hprebn @ W1.T"),
    ("embcat", "stale-upstream", *_moved_up(_MEAN_PATH, _EMBCAT)),
    ("W1", "transposed", "embcat.T @ dhprebn", "dhprebn.T @ embcat"),
    ("W1", "wrong-reshape", "embcat.T @ dhprebn", "emb.transpose(1, 2).reshape(n, -1).T @ dhprebn"),
    ("W1", "wrong-forward-value", "embcat.T @ dhprebn", "embcat.T @ hprebn"),
    ("b1", "vanishing", "dhprebn.sum(0)", "torch.zeros_like(b1)"),
    ("b1", "scale", "dhprebn.sum(0)", "dhprebn.mean(0)"),
    ("b1", "wrong-dimension", "dhprebn.sum(0)", "dhprebn.sum(1)"),
    ("b1", "extra-keepdim", "dhprebn.sum(0)", "dhprebn.sum(0, keepdim=True)"),
    ("b1", "stale-upstream", *_moved_up(_MEAN_PATH, _EMBCAT, _W1, "db1 = dhprebn.sum(0)")),
    ("emb", "wrong-reshape", "dembcat.view(emb.shape)", "dembcat"),
    ("emb", "wrong-reshape", "dembcat.view(emb.shape)", "dembcat.view(n, -1, block_size).transpose(1, 2)"),
    ("emb", "wrong-reshape", "dembcat.view(emb.shape)", "dembcat.view(block_size, n, -1).transpose(0, 1)"),
    ("emb", "wrong-row-or-column", "dembcat.view(emb.shape)", "dembcat.view(emb.shape).flip(1)"),
    ("C", "path-twice", "dC = torch.zeros_like(C)\ndC.index_add_", "dC.index_add_"),
    ("C", "missing-path", "Xb.view(-1), demb.view(-1, demb.shape[-1])", "Xb[:, -1], demb[:, -1]"),
    ("C", "overwritten-rows", _SCATTER, "dC[Xb] = demb"),
    ("C", "overwritten-rows", _SCATTER, "dC[Xb] += demb"),
    ("C", "wrong-row-or-column", "dC.index_add_(0, Xb.view(-1)", "dC.index_add_(0, Xb.T.reshape(-1)"),
    ("C", "wrong-reshape", "demb.view(-1, demb", "demb.transpose(0, 1).reshape(-1, demb"),
    ("C", "wrong-forward-value", "demb.view(-1, demb.shape[-1])", "emb.view(-1, emb.shape[-1])"),
)

_CROSS_ENTROPY = _table(
    "makemore/ex2_cross_entropy",
    ("logits", "sign", "dlogits /= n", "dlogits /= -n"),
    ("logits", "scale", "dlogits /= n", ""),
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
    ("logits", "missing-path", _LABEL, ""),
    ("logits", "missing-path", _LABEL, "dlogits[range(n), Yb] = -1"),
    ("logits", "path-twice", _LABEL, f"{_LABEL}\n{_LABEL}"),
    ("logits", "path-scaled", _LABEL, "dlogits[range(n), Yb] += 1"),
    ("logits", "path-scaled", _LABEL, "dlogits[range(n), Yb] -= 1 / n"),
    ("logits", "wrong-row-or-column", _LABEL, "dlogits[:, Yb] -= 1"),
    ("logits", "wrong-row-or-column", _LABEL, "dlogits[Yb, range(n)] -= 1"),
    ("logits", "transposed", "dlogits /= n", "dlogits = dlogits.T / n"),
    ("logits", "precision", "F.softmax(logits, 1)", "F.softmax(logits.bfloat16(), 1).to(logits.dtype)"),
    ("logits", "not-finite", "F.softmax(logits, 1)", "F.softmax((1e3 * logits).exp(), 1)"),
    ("logits", "hardcoded-values", _LABEL, f"dlogits[range(n), {_LABELS}] -= 1"),
)

_BATCHNORM = _table(
    "makemore/ex3_batchnorm",
    ("hprebn", "sign", "bngain * bnvar_inv / n", "-bngain * bnvar_inv / n"),
    ("hprebn", "scale", "bngain * bnvar_inv / n", "bngain * bnvar_inv"),
    ("hprebn", "missing-local-derivative", "bngain * bnvar_inv / n", "bnvar_inv / n"),
    ("hprebn", "missing-epsilon", "bngain * bnvar_inv / n", "bngain * bnvar**-0.5 / n"),
    ("hprebn", "wrong-forward-value", "bngain * bnvar_inv / n", "bngain * bnvar / n"),
    ("hprebn", "not-finite", "bngain * bnvar_inv / n", "bngain * (-bnvar - 1e-5) ** -0.5 / n"),
    ("hprebn", "wrong-forward-value", "n * dhpreact", "n * hpreact"),
    ("hprebn", "path-scaled", "n * dhpreact", "dhpreact"),
    ("hprebn", "precision", "n * dhpreact", "n * dhpreact.half()"),
    ("hprebn", "missing-path", " - dhpreact.sum(0)", ""),
    ("hprebn", "path-scaled", "- dhpreact.sum(0)", "+ dhpreact.sum(0)"),
    ("hprebn", "wrong-dimension", "- dhpreact.sum(0)", "- dhpreact.sum(1)"),
    ("hprebn", "missing-path", " - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0)", ""),
    ("hprebn", "path-scaled", "n / (n - 1) * bnraw", "bnraw"),
    ("hprebn", "path-scaled", "n / (n - 1)", "(n - 1) / n"),
    ("hprebn", "path-scaled", "- n / (n - 1)", "+ n / (n - 1)"),
    ("hprebn", "wrong-forward-value", "* bnraw *", "* bndiff *"),
    ("hprebn", "wrong-forward-value", "(dhpreact * bnraw)", "(dhpreact * bndiff)"),
    ("hprebn", "missing-sum", "(dhpreact * bnraw).sum(0)", "dhpreact * bnraw"),
    ("hprebn", "transposed", "bnraw * (dhpreact * bnraw).sum(0))", "bnraw * (dhpreact * bnraw).sum(0)).T"),
)

WRONG: list[WrongAnswer] = [*_ATOMS, *_CROSS_ENTROPY, *_BATCHNORM]
"""Each is refused, and no other gradient with it."""

UNSEEN: list[WrongAnswer] = _table(
    "makemore/ex1_atoms",
    ("logits", "vanishing", _MAX_PATH, ""),
    ("logits", "vanishing", "dlogits += ", "dlogits -= "),
    ("logits", "vanishing", _MAX_PATH, f"{_MAX_PATH}\n{_MAX_PATH}"),
    ("logits", "vanishing", "logits.max(1).indices", "logits.min(1).indices"),
    ("logits", "vanishing", "F.one_hot(logits.max(1).indices,", "F.one_hot(Yb,"),
    ("h", "vanishing", *_moved_up(_MAX_PATH, "dh = dlogits @ W2.T")),
    ("bnmeani", "vanishing", *_moved_up(_SQUARE_PATH, _MEANI)),
)
"""Wrong too, but this loss cannot show it: the paths through the maximum and from the variance to the mean
vanish by algebra. Only the probe with random gradients tells, so each passes with a note of its kind."""
