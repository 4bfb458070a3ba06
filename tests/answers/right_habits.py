"""Right answers with people's habits: names, checks, attempts, overwritten names, aliases, own forward passes."""

from __future__ import annotations

from answers.build import (
    BATCHNORM_IN_ONE,
    EX1,
    EX2,
    EX3,
    FORWARD,
    LINES,
    SOFTMAX_MINUS_ONE,
    RightAnswer,
    cmp_line,
    rename,
    whole_file,
    with_lines,
)

_DL_NAMES = {name: f"dL_{name}" for name in LINES}
_OTHER_NAMES = {"dlogit_maxes": "dlogits_maxes", "dnorm_logits": "dnormlogits", "dbnmeani": "dbnmean", "dC": "dC_slow"}

_ATTEMPTS = with_lines(
    {  # a wrong attempt first, others go on from it, then the right one
        "dlogprobs": "\n".join([LINES["dlogprobs"], "dprobs = dlogprobs * probs", "dcounts = counts_sum_inv * dprobs"]),
        "dprobs": "cmp('probs', dprobs, probs)\n# again\n" + LINES["dprobs"],
        "dcounts_sum_inv": "dcounts_sum_inv = (counts * dprobs).sum(0, keepdim=True)\n"
        "cmp('counts_sum_inv', dcounts_sum_inv, counts_sum_inv)\n# dcounts_sum_inv = (counts * dprobs).sum(1)\n"
        + LINES["dcounts_sum_inv"],
        "dbnmeani": "dbnmeani = (-dbndiff).sum(0)\ndbnmeani = dbnmeani.view(bnmeani.shape)",
        "dC": "dC = torch.zeros_like(C)\ndC[Xb] += demb\ncmp('C', dC, C)\n" + LINES["dC"],
    },
    cmp="under",
)

_FROM_VARIANCE = ("dbnvar", "dbndiff2", "dbndiff", "dbnmeani", "dhprebn", "dembcat", "dW1", "db1")
_STALE = with_lines(
    {  # the second attempt comes after others have read the first
        "dcounts_sum": "dcounts_sum = counts_sum**-2 * dcounts_sum_inv  # sign?",
        "dnorm_logits": "\n".join(LINES[n] for n in ("dnorm_logits", "dcounts_sum", "dcounts", "dnorm_logits")),
        "dbnvar": "dbnvar = -0.5 * (bnvar) ** -1.5 * dbnvar_inv",
        "db1": "\n".join([LINES["db1"], *(LINES[n] for n in _FROM_VARIANCE)]),
    }
)

_ISLANDS = {
    "dlogprobs": "dlogprobs = torch.zeros((n, vocab_size), dtype=torch.float32)\ndlogprobs[range(n), Yb] = -1.0 / n",
    "dcounts": "dcounts = counts_sum_inv * dprobs + torch.ones(counts.shape, dtype=torch.float) * dcounts_sum",
    "dlogits": "dlogits = dnorm_logits + F.one_hot(logits.argmax(1), vocab_size).float() * dlogit_maxes",
    "dbndiff2": "dbndiff2 = torch.ones(n, n_hidden) / (n - 1) * dbnvar",
    "dC": "onehot = F.one_hot(Xb.view(-1), num_classes=vocab_size).to(torch.float32)\n"
    "dC = onehot.T @ demb.view(-1, n_embd)",
}
_NUMPY_ISLAND = {
    "dC": "table = np.zeros(tuple(C.shape), dtype=np.float32)\nnp.add.at(table, Xb.numpy(), demb.numpy())\n"
    "dC = torch.tensor(table)",
}
_IN_PLACE = {
    "dlogprobs": "dlogprobs = torch.zeros_like(logprobs)\n"
    "dlogprobs.index_put_((torch.arange(n), Yb), torch.tensor(-1.0 / n))",
    "dcounts": "dcounts = dprobs.clone()\ndcounts.mul_(counts_sum_inv)\ndcounts.add_(dcounts_sum)",
    "dlogits": "dlogits = dnorm_logits.clone()\ndlogits.scatter_add_(1, logits.argmax(1, keepdim=True), dlogit_maxes)",
    "dW2": "dW2 = torch.empty_like(W2)\ntorch.mm(h.T, dlogits, out=dW2)",
    "dhpreact": "dhpreact = torch.empty_like(hpreact)\ndhpreact[:] = 1 - h**2\ndhpreact *= dh",
    "dbndiff": "dbndiff = bnvar_inv * dbnraw\ndbndiff.addcmul_(bndiff, dbndiff2, value=2)",
    "dhprebn": "dhprebn = dbndiff.clone()\ndhprebn[:, :] += dbnmeani / n",
    "demb": "demb = torch.zeros_like(emb)\ndemb.view(n, -1).copy_(dembcat)",
    "dC": "dC = torch.zeros_like(C)\ndC.view(-1, n_embd).index_add_(0, Xb.flatten(), demb.flatten(0, 1))",
}
_ALIASES = {
    "dcounts": "dcounts = counts_sum_inv * dprobs\ndcounts = dcounts + dcounts_sum",
    "dlogits": "cmp('norm_logits', dnorm_logits, norm_logits)\ndlogits = dnorm_logits\n"
    "dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes",
    "dhprebn": "cmp('bndiff', dbndiff, bndiff)\n"
    "dhprebn = dbndiff\n"
    "dhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani",
}
_VIEW_UNDER_ANOTHER_NAME = {
    "dlogprobs": "dlogprobs = torch.zeros_like(logprobs)\nflat = dlogprobs.view(-1)\n"
    "flat[torch.arange(n) * vocab_size + Yb] = -1.0 / n",
    "dC": "dC = torch.zeros_like(C)\ndC_np = dC.numpy()\nnp.add.at(dC_np, Xb.numpy(), demb.numpy())",
}

_OVERWRITTEN_AFTER = "h = 0.001\ncounts = 5\nsum = 0.0\nt = 3\nix = 7\ni = 2\nn = 99\nlogits = None\nmax = counts\n"
_LOOP_NAMES = {
    "dlogprobs": "dlogprobs = torch.zeros_like(logprobs)\nfor i in range(n):\n    dlogprobs[i, Yb[i]] = -1.0 / n",
    "dC": "dC = torch.zeros_like(C)\n"
    "for b in range(len(Xb)):\n"
    "    for t in range(block_size):\n"
    "        dC[Xb[b, t]] += demb[b, t]",
}
_SCRATCH = """
    print(logits.grad)
    print(dlogits[0] * n, logits.shape)
    print((dlogits - logits.grad).abs().max())
    grad_of_probs = probs.grad
    for t in [probs, counts]:
        print(t.grad.shape, t.requires_grad)
    loss.backward(retain_graph=True)
    plt.figure(figsize=(8, 8))
    plt.imshow(dlogits.detach(), cmap="gray")
    plt.show()
    logits.grad.zero_()
    """

_CHECKS = {
    "multi-line": "".join(
        f"{text}\ncmp(\n    '{name[1:]}',\n    {name},\n    {name[1:]},\n)\n" for name, text in LINES.items()
    ),
    "commented-out": "".join(f"{text}\n# {cmp_line(name)}\n" for name, text in LINES.items()),
    "with-more-arguments": "".join(
        f"{text}\ncmp('{name[1:]}', {name}, {name[1:]}, True, tol=1e-6)\n" for name, text in LINES.items()
    ),
    "as-a-value": "results = []\n"
    + "".join(
        f"{text}\nresults.append({cmp_line(name)})\nok = {cmp_line(name)} and all(results)\n"
        for name, text in LINES.items()
    ),
    "by-keyword": "".join(f"{text}\ncmp(s='{name[1:]}', dt={name}, t={name[1:]})\n" for name, text in LINES.items()),
    "of-expressions": with_lines() + "".join(f"cmp('{n[1:]}', {n}.detach().clone(), {n[1:]})\n" for n in LINES),
    "in-a-loop": with_lines() + f"for s, d, t in [{', '.join(f'({n[1:]!r}, {n}, {n[1:]})' for n in LINES)}]:\n"
    "    cmp(s, d, t)\n",
    "with-copied-labels": "".join(f"{text}\ncmp('logprobs', {name}, {name[1:]})\n" for name, text in LINES.items()),
    "one-of-the-wrong-tensor": with_lines(
        {"dbndiff2": LINES["dbndiff2"] + "\ncmp('bndiff', dbndiff2, bndiff)"}, cmp="under"
    ),
}

_OTHER_FORWARD = (
    FORWARD.replace("logit_maxes =", "logit_maxes, top =")
    .replace("logits.max(1, keepdim=True).values", "logits.max(1, keepdim=True)")
    .replace("bnvar = 1 / (n - 1) * (bndiff2)", "eps = 1e-5\nbnvar = 1 / (n - 1) * 1.0 * bndiff2")
    .replace("bnvar + 1e-5", "bnvar + eps")
)
_FROM_OWN_FORWARD = {
    "dlogits": "dlogits = dnorm_logits.clone()\ndlogits.scatter_add_(1, top, dlogit_maxes)",
    "dbnvar": "dbnvar = -0.5 * (bnvar + eps) ** -1.5 * dbnvar_inv",
}
_LOOKS = _SCRATCH.split("loss.")[0]
_NUMERIC_CHECK = "h = 0.001\ncounts = 5\nsum = 3\ndef f(x):\n    return x**2\nprint((f(2 + h) - f(2)) / h)\ndel sum\n"
_LOOP_AFTER_RETAIN = {
    "dC": "dC = torch.zeros_like(C)\n"
    "for p in range(Xb.shape[0]):\n"
    "    for t in range(Xb.shape[1]):\n"
    "        i = Xb[p, t]\n        dC[i] += demb[p, t]",
}
_STUBS = "".join(f"{name} = ...\n" for name in LINES)

_TEXTS: dict[str, str] = {
    "dL-names-with-checks": "".join(
        rename(f"{text}\n", _DL_NAMES) + f"cmp('{name[1:]}', dL_{name}, {name[1:]})\n" for name, text in LINES.items()
    ),
    "dL-names-without-checks": rename(with_lines(), _DL_NAMES),
    "names-with-underscores": rename(with_lines(cmp="under"), {name: f"d_{name[1:]}" for name in LINES}),
    "names-that-end-in-grad": rename(with_lines(cmp="end"), {name: f"{name[1:]}_grad" for name in LINES}),
    "a-few-names-differ": rename(with_lines(cmp="under"), _OTHER_NAMES),
    "several-attempts": _ATTEMPTS,
    "attempts-mended-later": _STALE,
    "stubs-then-answers": _STUBS + with_lines(cmp="under"),
    "float32-islands": with_lines(_ISLANDS),
    "float32-numpy": with_lines(_NUMPY_ISLAND),
    "in-place": with_lines(_IN_PLACE),
    "aliases": with_lines(_ALIASES),
    "view-under-another-name": with_lines(_VIEW_UNDER_ANOTHER_NAME),
    "names-overwritten-after": with_lines(cmp="under", foot=_OVERWRITTEN_AFTER),
    "names-overwritten-before": with_lines(cmp="under", head="h = 0.001\ncounts = 5\ni = 2\nix = 7\nt = 3"),
    "loop-names": with_lines(_LOOP_NAMES, head="i, b, t = 1, 2, 3"),
    "n-as-loop-name": with_lines(
        {
            "dC": "dC = torch.zeros_like(C)\n"
            "for n in range(len(Xb)):\n"
            "    for k in range(block_size):\n"
            "        dC[Xb[n, k]] += demb[n, k]"
        }
    ),
    "rows-called-p": with_lines(
        {"dlogprobs": "dlogprobs = torch.zeros_like(logprobs)\ndlogprobs[p, Yb] = -1.0 / n"}, head="p = torch.arange(n)"
    ),
    "rows-called-ix": with_lines(
        {"dlogprobs": "dlogprobs = torch.zeros_like(logprobs)\ndlogprobs[ix, Yb] = -1.0 / n"}, head="ix = range(n)"
    ),
    "dtype-of-their-own": with_lines(
        {"dlogprobs": "dlogprobs = torch.zeros(n, vocab_size, dtype=dtype)\ndlogprobs[range(n), Yb] = -1.0 / n"},
        head="dtype = logits.dtype",
    ),
    "scratch-with-autograd": with_lines(cmp="under", foot=_SCRATCH),
    "other-imports": "import pandas as pd\n"
    "import torch as th\n"
    "from torch import einsum, zeros_like\n"
    "from torch.nn.functional import one_hot\n"
    + with_lines(
        {
            "dlogprobs": "dlogprobs = zeros_like(logprobs)\ndlogprobs[th.arange(n), Yb] = -1.0 / n",
            "dh": "dh = einsum('ij,kj->ik', dlogits, W2)",
            "dlogits": "dlogits = dnorm_logits + one_hot(th.argmax(logits, 1), vocab_size) * dlogit_maxes",
        }
    ),
    "tuples-annotations-semicolons": with_lines(
        {
            "dh": "dh, dW2, db2 = dlogits @ W2.T, h.T @ dlogits, dlogits.sum(0)",
            "dW2": "",
            "db2": "",
            "dbngain": "dbngain: torch.Tensor = (bnraw * dhpreact).sum(0)[None]; dbnbias = dhpreact.sum(0)[None];",
            "dbnbias": "",
            "dhprebn": "dhprebn = full = dbndiff + dbnmeani / n",
        }
    ),
    "walrus": with_lines(
        {"dcounts_sum_inv": "dcounts_sum_inv = (product := counts * dprobs).sum(1, keepdim=True)\nproduct.shape"}
    ),
    "whole-file": whole_file(with_lines(cmp="under")),
    "whole-file-loops-named-as-before": whole_file(with_lines(_LOOP_NAMES | _LOOP_AFTER_RETAIN)),
    "whole-file-other-forward": whole_file(with_lines(_FROM_OWN_FORWARD)).replace(FORWARD, _OTHER_FORWARD),
    "whole-file-numeric-check-first": _NUMERIC_CHECK + whole_file(with_lines(cmp="under", foot=_LOOKS)),
    **{f"checks-{name}": text for name, text in _CHECKS.items()},
}

HABITS: list[RightAnswer] = [
    *(RightAnswer(f"ex1-{name}", EX1, text) for name, text in _TEXTS.items()),
    RightAnswer(
        "ex2-fast-name",
        EX2,
        rename(SOFTMAX_MINUS_ONE, {"dlogits": "dlogits_fast"}) + "\ncmp('logits', dlogits_fast, logits)\n",
    ),
    RightAnswer(
        "ex2-compares-a-copy",
        EX2,
        rename(SOFTMAX_MINUS_ONE, {"dlogits": "fast"}) + "\ncmp('logits', fast.clone(), logits)\n",
    ),
    RightAnswer(
        "ex2-several-attempts",
        EX2,
        "dlogits = F.softmax(logits, 1)\n"
        "dlogits[range(n), Yb] = -1\n"
        "cmp('logits', dlogits, logits)\n" + SOFTMAX_MINUS_ONE + "\n"
        "cmp('logits', dlogits, logits)\n\n"
        "plt.imshow(dlogits.detach(), cmap='gray')\n"
        "print(dlogits[0].sum())\n",
    ),
    RightAnswer(
        "ex2-whole-file",
        EX2,
        whole_file(
            "# Exercise 2\n"
            "loss_fast = F.cross_entropy(logits, Yb)\n"
            "print(loss_fast.item() - loss.item())\n"
            "dlogits = probs.clone()\n"
            "dlogits[range(n), Yb] -= 1\n"
            "dlogits /= n\n"
            "cmp('logits', dlogits, logits)\n"
        ),
    ),
    RightAnswer(
        "ex3-fast-name",
        EX3,
        rename(BATCHNORM_IN_ONE, {"dhprebn": "dhprebn_fast"}) + "\ncmp('hprebn', dhprebn_fast, hprebn)\n",
    ),
    RightAnswer("ex3-dL-name", EX3, rename(BATCHNORM_IN_ONE, {"dhprebn": "dL_dhprebn"}) + "\n"),
    RightAnswer(
        "ex3-several-attempts",
        EX3,
        "dhprebn = bngain * bnvar_inv * dhpreact\n"
        "cmp('hprebn', dhprebn, hprebn)\n" + BATCHNORM_IN_ONE + "\ncmp('hprebn', dhprebn, hprebn)\n",
    ),
]
