"""Parts from which answers are put together: the 26 standard answers, a forward pass, notebooks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent, indent

EX1, EX2, EX3 = "makemore/ex1_atoms", "makemore/ex2_cross_entropy", "makemore/ex3_batchnorm"


@dataclass(frozen=True)
class RightAnswer:
    """A submission that deserves full marks on `exercise`.

    `exercise` None: the file holds exercises 1, 2 and 3, and is recognised without being told so.
    """

    id: str
    exercise: str | None
    text: str
    suffix: str = ".py"


LINES: dict[str, str] = {
    "dlogprobs": "dlogprobs = torch.zeros_like(logprobs)\ndlogprobs[range(n), Yb] = -1.0 / n",
    "dprobs": "dprobs = dlogprobs / probs",
    "dcounts_sum_inv": "dcounts_sum_inv = (counts * dprobs).sum(1, keepdim=True)",
    "dcounts_sum": "dcounts_sum = -(counts_sum**-2) * dcounts_sum_inv",
    "dcounts": "dcounts = counts_sum_inv * dprobs\ndcounts += torch.ones_like(counts) * dcounts_sum",
    "dnorm_logits": "dnorm_logits = counts * dcounts",
    "dlogit_maxes": "dlogit_maxes = -dnorm_logits.sum(1, keepdim=True)",
    "dlogits": "dlogits = dnorm_logits.clone()\n"
    "dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes",
    "dh": "dh = dlogits @ W2.T",
    "dW2": "dW2 = h.T @ dlogits",
    "db2": "db2 = dlogits.sum(0)",
    "dhpreact": "dhpreact = (1.0 - h**2) * dh",
    "dbngain": "dbngain = (bnraw * dhpreact).sum(0, keepdim=True)",
    "dbnbias": "dbnbias = dhpreact.sum(0, keepdim=True)",
    "dbnraw": "dbnraw = bngain * dhpreact",
    "dbnvar_inv": "dbnvar_inv = (bndiff * dbnraw).sum(0, keepdim=True)",
    "dbnvar": "dbnvar = -0.5 * (bnvar + 1e-5) ** -1.5 * dbnvar_inv",
    "dbndiff2": "dbndiff2 = 1.0 / (n - 1) * torch.ones_like(bndiff2) * dbnvar",
    "dbndiff": "dbndiff = bnvar_inv * dbnraw\ndbndiff += 2 * bndiff * dbndiff2",
    "dbnmeani": "dbnmeani = -dbndiff.sum(0, keepdim=True)",
    "dhprebn": "dhprebn = dbndiff.clone()\ndhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani",
    "dembcat": "dembcat = dhprebn @ W1.T",
    "dW1": "dW1 = embcat.T @ dhprebn",
    "db1": "db1 = dhprebn.sum(0)",
    "demb": "demb = dembcat.view(emb.shape)",
    "dC": "dC = torch.zeros_like(C)\ndC.index_add_(0, Xb.view(-1), demb.view(-1, demb.shape[-1]))",
}
"""The standard answer for each gradient of exercise 1, in order."""

SOFTMAX_MINUS_ONE = "dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] -= 1\ndlogits /= n"
BATCHNORM_IN_ONE = (
    "dhprebn = bngain * bnvar_inv / n * (\n"
    "    n * dhpreact - dhpreact.sum(0) - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0)\n"
    ")"
)

FORWARD = dedent("""\
    emb = C[Xb]
    embcat = emb.view(emb.shape[0], -1)
    hprebn = embcat @ W1 + b1
    bnmeani = 1 / n * hprebn.sum(0, keepdim=True)
    bndiff = hprebn - bnmeani
    bndiff2 = bndiff**2
    bnvar = 1 / (n - 1) * (bndiff2).sum(0, keepdim=True)
    bnvar_inv = (bnvar + 1e-5) ** -0.5
    bnraw = bndiff * bnvar_inv
    hpreact = bngain * bnraw + bnbias
    h = torch.tanh(hpreact)
    logits = h @ W2 + b2
    logit_maxes = logits.max(1, keepdim=True).values
    norm_logits = logits - logit_maxes
    counts = norm_logits.exp()
    counts_sum = counts.sum(1, keepdims=True)
    counts_sum_inv = counts_sum**-1
    probs = counts * counts_sum_inv
    logprobs = probs.log()
    loss = -logprobs[range(n), Yb].mean()
    """)
"""A person's own forward pass."""

BACKWARD_CALL = dedent("""\
    for p in parameters:
        p.grad = None
    for t in [logprobs, probs, counts, counts_sum, counts_sum_inv, norm_logits, logit_maxes, logits, h, hpreact,
              bnraw, bnvar_inv, bnvar, bndiff2, bndiff, hprebn, bnmeani, embcat, emb]:
        t.retain_grad()
    loss.backward()
    loss
    """)

SETUP = dedent("""\
    import random
    import torch
    import torch.nn.functional as F
    import matplotlib.pyplot as plt

    words = open("names.txt").read().splitlines()
    chars = sorted(set("".join(words)))
    stoi = {s: i + 1 for i, s in enumerate(chars)}
    stoi["."] = 0
    itos = {i: s for s, i in stoi.items()}
    vocab_size = len(itos)
    block_size = 3


    def build_dataset(words):
        X, Y = [], []
        for w in words:
            context = [0] * block_size
            for ch in w + ".":
                ix = stoi[ch]
                X.append(context)
                Y.append(ix)
                context = context[1:] + [ix]
        return torch.tensor(X), torch.tensor(Y)


    random.seed(42)
    random.shuffle(words)
    n1 = int(0.8 * len(words))
    Xtr, Ytr = build_dataset(words[:n1])
    Xdev, Ydev = build_dataset(words[n1:])
    """)

NETWORK = dedent("""\
    n_embd = 10
    n_hidden = 64
    g = torch.Generator().manual_seed(2147483647)
    C = torch.randn((vocab_size, n_embd), generator=g)
    W1 = torch.randn((n_embd * block_size, n_hidden), generator=g) * (5 / 3) / ((n_embd * block_size) ** 0.5)
    b1 = torch.randn(n_hidden, generator=g) * 0.1
    W2 = torch.randn((n_hidden, vocab_size), generator=g) * 0.1
    b2 = torch.randn(vocab_size, generator=g) * 0.1
    bngain = torch.randn((1, n_hidden)) * 0.1 + 1.0
    bnbias = torch.randn((1, n_hidden)) * 0.1
    parameters = [C, W1, b1, W2, b2, bngain, bnbias]
    print(sum(p.nelement() for p in parameters))
    for p in parameters:
        p.requires_grad = True
    batch_size = 32
    n = batch_size
    ix = torch.randint(0, Xtr.shape[0], (batch_size,), generator=g)
    Xb, Yb = Xtr[ix], Ytr[ix]
    """)

OWN_CMP = dedent("""\
    def cmp(s, dt, t):
        ex = torch.all(dt == t.grad).item()
        app = torch.allclose(dt, t.grad)
        maxdiff = (dt - t.grad).abs().max().item()
        print(f"{s:15s} | exact: {str(ex):5s} | approximate: {str(app):5s} | maxdiff: {maxdiff}")
    """)


def cmp_line(gradient: str) -> str:
    return f'cmp("{gradient[1:]}", {gradient}, {gradient[1:]})'


def with_lines(
    replaced: Mapping[str, str] | None = None,
    *,
    cmp: str = "",
    head: str = "",
    foot: str = "",
) -> str:
    """The standard 26 answers with some gradients' lines replaced.

    `cmp` is "under" (a check under each gradient), "end" (all checks at the end) or "" (none).
    """
    lines = LINES | {name: dedent(text).strip("\n") for name, text in (replaced or {}).items()}
    assert lines.keys() == LINES.keys(), lines.keys() - LINES.keys()
    under = [text + ("\n" + cmp_line(name) if cmp == "under" else "") for name, text in lines.items()]
    checks = [cmp_line(name) for name in lines] if cmp == "end" else []
    return "\n".join([*([dedent(head)] if head else []), *under, *checks, dedent(foot)]).rstrip("\n") + "\n"


def blocks(replaced: Mapping[str, str] | None = None) -> list[str]:
    """The answers one by one, each with its check: cells of a notebook."""
    lines = LINES | {name: dedent(text).strip("\n") for name, text in (replaced or {}).items()}
    return [f"{text}\n{cmp_line(name)}" for name, text in lines.items()]


def rename(text: str, names: Mapping[str, str]) -> str:
    """Rename whole identifiers."""
    pattern = r"(?<![\w.\"'])(" + "|".join(map(re.escape, names)) + r")\b"
    return re.sub(pattern, lambda match: names[match[1]], text)


def under(header: str, text: str, footer: str = "") -> str:
    """`text` as the indented body of `header`, with `footer` as its last line."""
    return dedent(header).strip("\n") + "\n" + indent(text.rstrip("\n") + "\n" + footer, "    ").rstrip() + "\n"


def whole_file(*answers: str, own_cmp: bool = True) -> str:
    """A complete script of a person's own: data, network, forward pass, loss.backward(), answers."""
    return "\n".join([SETUP, NETWORK, OWN_CMP if own_cmp else "", FORWARD, BACKWARD_CALL, *answers])


def notebook(
    *cells: str, as_list: bool = True, outputs: bool = False, metadata: Mapping[str, object] | None = None
) -> str:
    """A notebook of format 4 as JSON. A cell that begins with `#md ` is markdown."""
    listed = []
    for number, text in enumerate(cells, start=1):
        markdown = text.startswith("#md ")
        text = text.removeprefix("#md ").rstrip("\n")
        cell: dict[str, object] = {
            "cell_type": "markdown" if markdown else "code",
            "metadata": {},
            "source": text.splitlines(keepends=True) if as_list else text,
        }
        if not markdown:
            shown = {"name": "stdout", "output_type": "stream", "text": ["dlogits = wrong\n", "exact: True\n"]}
            picture = {
                "output_type": "display_data",
                "data": {"image/png": "iVBORw0KGgo=", "text/plain": ["<Figure size 640x480>"]},
                "metadata": {},
            }
            cell["execution_count"] = number if outputs else None
            cell["outputs"] = [shown, picture] if outputs else []
        listed.append(cell)
    return json.dumps({"cells": listed, "metadata": dict(metadata or {}), "nbformat": 4, "nbformat_minor": 4})
