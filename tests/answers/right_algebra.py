"""Right answers by other algebra and other vectorisations, gradient by gradient."""

from __future__ import annotations

from answers.build import BATCHNORM_IN_ONE, EX1, EX2, EX3, LINES, RightAnswer, with_lines

_OTHER_LINES: dict[str, dict[str, str]] = {
    "fractions": {
        "dlogprobs": "dlogprobs = -F.one_hot(Yb, num_classes=logprobs.shape[1]) / n",
        "dprobs": "dprobs = (1 / probs) * dlogprobs",
        "dcounts_sum": "dcounts_sum = (-1 / counts_sum**2) * dcounts_sum_inv",
        "dcounts": "dcounts = dprobs * counts_sum_inv + dcounts_sum",
        "dhpreact": "dhpreact = dh / torch.cosh(hpreact) ** 2",
        "dbnvar": "dbnvar = -dbnvar_inv / (2 * (bnvar + 1e-5) * torch.sqrt(bnvar + 1e-5))",
        "dbndiff2": "dbndiff2 = dbnvar / (n - 1) + torch.zeros_like(bndiff2)",
        "dhprebn": "dhprebn = dbndiff + dbnmeani / n",
    },
    "powers": {
        "dlogprobs": """
            dlogprobs = torch.zeros_like(logprobs)
            dlogprobs.scatter_(1, Yb.view(-1, 1), -1.0 / n)""",
        "dprobs": "dprobs = probs**-1 * dlogprobs",
        "dcounts_sum": "dcounts_sum = -(counts_sum_inv**2) * dcounts_sum_inv",
        "dnorm_logits": "dnorm_logits = norm_logits.exp() * dcounts",
        "dlogit_maxes": "dlogit_maxes = -(counts * dcounts).sum(1, keepdim=True)",
        "dlogits": "dlogits = dnorm_logits + (logits == logit_maxes) * dlogit_maxes",
        "dhpreact": "dhpreact = (1 - h * h) * dh",
        "dbnvar": "dbnvar = -0.5 * bnvar_inv**3 * dbnvar_inv",
        "dbndiff": "dbndiff = bnvar_inv * dbnraw + 2 * bndiff * dbndiff2",
    },
    "einsum": {
        "dcounts_sum_inv": "dcounts_sum_inv = torch.einsum('ij,ij->i', counts, dprobs).unsqueeze(1)",
        "dlogit_maxes": "dlogit_maxes = -torch.einsum('ij->i', dnorm_logits)[:, None]",
        "dh": "dh = torch.einsum('ij,kj->ik', dlogits, W2)",
        "dW2": "dW2 = torch.einsum('nh,nv->hv', h, dlogits)",
        "db2": "db2 = torch.einsum('nv->v', dlogits)",
        "dbngain": "dbngain = torch.einsum('ij,ij->j', bnraw, dhpreact)[None, :]",
        "dbnvar_inv": "dbnvar_inv = torch.einsum('ij,ij->j', bndiff, dbnraw).view(1, -1)",
        "dembcat": "dembcat = torch.einsum('nh,eh->ne', dhprebn, W1)",
        "dW1": "dW1 = torch.einsum('ne,nh->eh', embcat, dhprebn)",
        "dC": """
            onehot = F.one_hot(Xb, num_classes=C.shape[0]).to(demb.dtype)
            dC = torch.einsum('btv,bte->ve', onehot, demb)""",
    },
    "matrix-functions": {
        "dcounts_sum_inv": "dcounts_sum_inv = (counts * dprobs) @ torch.ones(counts.shape[1], 1)",
        "dcounts": "dcounts = torch.addcmul(dcounts_sum.expand(-1, counts.shape[1]), dprobs, counts_sum_inv)",
        "dh": "dh = torch.mm(dlogits, W2.t())",
        "dW2": "dW2 = torch.matmul(h.transpose(0, 1), dlogits)",
        "db2": "db2 = torch.ones(n) @ dlogits",
        "dbnraw": "dbnraw = dhpreact @ torch.diag(bngain.squeeze(0))",
        "dbngain": "dbngain = torch.diagonal(bnraw.T @ dhpreact).view(bngain.shape)",
        "dbndiff2": "dbndiff2 = torch.ones(n, 1) @ dbnvar / (n - 1)",
        "dbnmeani": "dbnmeani = torch.ones(1, n) @ -dbndiff",
        "dembcat": "dembcat = F.linear(dhprebn, W1)",
        "dW1": "dW1 = torch.tensordot(embcat, dhprebn, dims=([0], [0]))",
        "dC": "dC = F.one_hot(Xb.view(-1), vocab_size).float().T @ demb.view(-1, n_embd)",
    },
    "loops-of-outer-products": {
        "dlogprobs": """
            dlogprobs = torch.zeros_like(logprobs)
            for row, label in enumerate(Yb.tolist()):
                dlogprobs[row, label] = -1 / n""",
        "dW2": """
            dW2 = torch.zeros_like(W2)
            for k in range(n):
                dW2 += torch.outer(h[k], dlogits[k])""",
        "dh": "dh = torch.stack([W2 @ row for row in dlogits])",
        "db2": """
            db2 = torch.zeros_like(b2)
            for k in range(n):
                db2 += dlogits[k]""",
        "dW1": "dW1 = sum(torch.outer(a, b) for a, b in zip(embcat, dhprebn))",
        "demb": """
            demb = torch.zeros_like(emb)
            for j in range(block_size):
                demb[:, j] = dembcat[:, j * n_embd:(j + 1) * n_embd]""",
        "dC": """
            dC = torch.zeros_like(C)
            for k in range(Xb.shape[0]):
                for j in range(Xb.shape[1]):
                    ix = Xb[k, j]
                    dC[ix] += demb[k, j]""",
    },
    "expanded-views": {
        "dcounts": "dcounts = counts_sum_inv.expand_as(dprobs) * dprobs + dcounts_sum.expand_as(dprobs)",
        "dbnraw": "dbnraw = bngain.expand(n, -1) * dhpreact",
        "dbndiff2": "dbndiff2 = (dbnvar / (n - 1)).expand_as(bndiff2)",
        "dhprebn": "dhprebn = dbndiff + (dbnmeani / n).repeat(n, 1)",
        "db1": "db1 = dhprebn.sum(dim=0, keepdim=True).squeeze(0)",
        "demb": "demb = dembcat.unflatten(1, (block_size, n_embd))",
        "dC": "dC = torch.stack([demb[Xb == c].sum(0) for c in range(vocab_size)])",
    },
    "keepdim-then-view": {
        "dcounts_sum_inv": "dcounts_sum_inv = (counts * dprobs).sum(1).view(counts_sum_inv.shape)",
        "dlogit_maxes": "dlogit_maxes = (dnorm_logits * -1).sum(dim=-1).reshape(-1, 1)",
        "db2": "db2 = dlogits.sum(0, keepdim=True).view(-1)",
        "dbngain": "dbngain = (dhpreact * bnraw).sum(axis=0).unsqueeze(0)",
        "dbnbias": "dbnbias = dhpreact.sum(0)[None]",
        "dbnmeani": "dbnmeani = dbndiff.sum(0).neg().unsqueeze(0)",
        "demb": "demb = torch.stack(dembcat.split(n_embd, dim=1), dim=1)",
        "dC": """
            dC = torch.zeros_like(C)
            rows = Xb.reshape(-1, 1).expand(-1, C.shape[1])
            dC.scatter_add_(0, rows, demb.reshape(-1, C.shape[1]))""",
    },
    "masks-and-where": {
        "dlogprobs": """
            is_label = torch.arange(vocab_size) == Yb[:, None]
            dlogprobs = -is_label.double() / n""",
        "dprobs": "dprobs = torch.where(dlogprobs == 0, dlogprobs, dlogprobs / probs)",
        "dlogits": "dlogits = torch.where(logits == logit_maxes, dnorm_logits + dlogit_maxes, dnorm_logits)",
        "dhpreact": "dhpreact = dh - dh * h.pow(2)",
        "dC": """
            dC = torch.empty_like(C)
            for c in range(len(C)):
                dC[c] = (demb * (Xb == c).unsqueeze(2)).sum((0, 1))""",
    },
    "scatters": {
        "dlogprobs": "dlogprobs = -torch.eye(logprobs.shape[1])[Yb] / n",
        "dlogits": "dlogits = dnorm_logits.scatter_add(1, logits.argmax(1, keepdim=True), dlogit_maxes)",
        "dC": """
            dC = torch.zeros_like(C)
            dC.index_put_((Xb,), demb, accumulate=True)""",
    },
    "zeros-and-an-index": {
        "dlogprobs": """
            dlogprobs = logprobs.new_zeros(logprobs.shape)
            dlogprobs[torch.arange(n), Yb] -= 1 / n""",
        "dlogits": """
            tmp = torch.zeros_like(logits)
            tmp[range(n), logits.max(1).indices] = dlogit_maxes.squeeze(1)
            dlogits = dnorm_logits + tmp""",
        "dcounts": """
            tmp = counts_sum_inv * dprobs
            dcounts = tmp + dcounts_sum""",
        "dbndiff": """
            tmp = bnvar_inv * dbnraw
            dbndiff = tmp + (2 * bndiff) * dbndiff2
            del tmp""",
        "dC": """
            dC = torch.zeros_like(C)
            for ix, row in zip(Xb.view(-1), demb.view(-1, n_embd)):
                dC[ix] += row""",
    },
    "numpy": {
        "dlogprobs": """
            dlogprobs = torch.zeros_like(logprobs)
            dlogprobs[np.arange(n), Yb] = -1.0 / n""",
        "db2": "db2 = torch.from_numpy(dlogits.numpy().sum(axis=0))",
        "dC": """
            table = np.zeros(tuple(C.shape))
            np.add.at(table, Xb.numpy(), demb.detach().cpu().numpy())
            dC = torch.tensor(table, dtype=C.dtype)""",
    },
    "numpy-into-the-tensor": {
        "dC": """
            dC = torch.zeros_like(C)
            np.add.at(dC.numpy(), Xb.numpy(), demb.numpy())""",
    },
    "dictionary-of-rows": {
        "dC": """
            from collections import defaultdict
            rows = defaultdict(lambda: torch.zeros(n_embd))
            for k in range(n):
                for j in range(block_size):
                    rows[Xb[k, j].item()] += demb[k, j]
            dC = torch.stack([rows[c] for c in range(vocab_size)])""",
    },
    "product-of-ranges": {
        "dC": """
            from itertools import product
            dC = torch.zeros_like(C)
            for i, j in product(range(n), range(block_size)):
                dC[Xb[i, j]] += demb[i, j]""",
    },
    # Each of these skips a named tensor, or holds for this loss alone, and is right all the same.
    "skips-named-tensors": {
        "dcounts_sum": "dcounts_sum = -(counts_sum_inv**2) * (counts * dprobs).sum(1, keepdim=True)",
        "dlogit_maxes": "dlogit_maxes = -(counts * (dprobs * counts_sum_inv + dcounts_sum)).sum(1, keepdim=True)",
        "dbndiff": "dbndiff = bnvar_inv * bngain * dhpreact + 2 * bndiff * dbndiff2",
        "db1": "db1 = dbndiff.sum(0) + dbnmeani.squeeze(0)",
        "dC": """
            dC = torch.zeros_like(C)
            dC.index_add_(0, Xb.view(-1), dembcat.view(-1, n_embd))""",
    },
    "fused-forms": {
        "dprobs": """
            dprobs = torch.zeros_like(probs)
            dprobs[range(n), Yb] = -1 / (n * probs[range(n), Yb])""",
        "dlogits": "dlogits = (probs - F.one_hot(Yb, vocab_size)) / n",
        "dhprebn": """
            dhprebn = bngain * bnvar_inv / n * (
                n * dhpreact - dhpreact.sum(0) - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0)
            )""",
    },
    "sigmoid-for-tanh": {
        "dhpreact": "dhpreact = 4 * torch.sigmoid(2 * hpreact) * torch.sigmoid(-2 * hpreact) * dh",
        "dbnvar": "dbnvar = dbnvar_inv * bnvar_inv * -1 / (2 * (bnvar + 1e-5))",
        "dbnmeani": "dbnmeani = (-1.0 * dbndiff).mean(0, keepdim=True) * n",
        "demb": "demb = dembcat.reshape(*Xb.shape, -1)",
    },
    "tanh-again": {
        "dhpreact": "dhpreact = dh * (1 - torch.tanh(hpreact) ** 2)",
        "dprobs": "dprobs = dlogprobs * torch.exp(-logprobs)",
        "dW2": "dW2 = (h.unsqueeze(2) * dlogits.unsqueeze(1)).sum(0)",
        "dh": "dh = (dlogits.unsqueeze(1) * W2).sum(2)",
    },
}

_EX2: dict[str, str] = {
    "two-lines": "dlogits = logits.softmax(dim=1) - F.one_hot(Yb, logits.shape[1])\ndlogits = dlogits / n",
    "one-line": "dlogits = (torch.softmax(logits, 1) - torch.eye(vocab_size)[Yb]) / batch_size",
    "log-softmax": "lp = F.log_softmax(logits, -1)\n"
    "dlogits = lp.exp()\n"
    "dlogits[torch.arange(n), Yb] -= 1.0\n"
    "dlogits *= 1 / n",
    "own-softmax": "shifted = logits - logits.max(1, keepdim=True).values\ncounts = shifted.exp()\n"
    "probs = counts / counts.sum(1, keepdim=True)\ndlogits = probs.clone()\n"
    "dlogits[range(n), Yb] -= 1\ndlogits = dlogits / n",
    "scatter": "dlogits = F.softmax(logits, 1).scatter_add(1, Yb[:, None], -torch.ones(n, 1)).div(n)",
    "softmax-jacobian": "probs = F.softmax(logits, 1)\ndprobs = torch.zeros_like(probs)\n"
    "dprobs[range(n), Yb] = -1 / (n * probs[range(n), Yb])\n"
    "dlogits = probs * (dprobs - (probs * dprobs).sum(1, keepdim=True))",
    "row-by-row": "dlogits = torch.empty_like(logits)\n"
    "for k in range(n):\n"
    "    e = (logits[k] - logits[k].max()).exp()\n"
    "    dlogits[k] = e / e.sum()\n"
    "    dlogits[k, Yb[k]] -= 1\n"
    "dlogits /= n",
    "helper-called-p": "p = F.softmax(logits, 1)\np[range(n), Yb] -= 1\ndlogits = p / n",
    "helper-called-g": "g = logits.softmax(1)\ng[torch.arange(n), Yb] -= 1\ndlogits = g / n",
    "written-under-another-name": "x = F.softmax(logits, 1)\n"
    "dlogits = x\n"
    "x[range(n), Yb] -= 1\n"
    "x /= n\n"
    "cmp('logits', dlogits, logits)",
    "softmax-into-a-buffer": "dlogits = torch.empty_like(logits)\ntorch.softmax(logits, 1, out=dlogits)\n"
    "dlogits[range(n), Yb] -= 1\ndlogits /= n",
    "rows-as-views": "dlogits = F.softmax(logits, 1)\n"
    "for row, label in zip(dlogits, Yb):\n"
    "    row[label] -= 1\n"
    "dlogits /= n",
}

_BATCHNORM_ATOMS = ("dbnraw", "dbnvar_inv", "dbnvar", "dbndiff2", "dbndiff", "dbnmeani", "dhprebn")
_SUMS = "(dhpreact - dhpreact.mean(0, keepdim=True) - bnraw * (dhpreact * bnraw).sum(0, keepdim=True) / (n - 1))"
_EX3: dict[str, str] = {
    "means": f"dhprebn = bngain * bnvar_inv * {_SUMS}",
    "with-sums-of-their-own": "dbnbias = dhpreact.sum(0, keepdim=True)\n"
    "dbngain = (bnraw * dhpreact).sum(0, keepdim=True)\n"
    "dhprebn = bngain * bnvar_inv * (dhpreact - dbnbias / n - bnraw * dbngain / (n - 1))",
    "own-statistics": "mean, var = hprebn.mean(0, keepdim=True), hprebn.var(0, keepdim=True)\n"
    "xhat = (hprebn - mean) / torch.sqrt(var + 1e-5)\ndxhat = dhpreact * bngain\n"
    "dhprebn = (n * dxhat - dxhat.sum(0) - n / (n - 1) * xhat * (dxhat * xhat).sum(0)) / (n * torch.sqrt(var + 1e-5))",
    "through-the-atoms": "dbnraw = bngain * dhpreact\n"
    "dbnvar = (dbnraw * bndiff * -0.5 * bnvar_inv**3).sum(0, keepdim=True)\n"
    "dbnmeani = (-dbnraw * bnvar_inv).sum(0, keepdim=True)\n"
    "dhprebn = dbnraw * bnvar_inv + dbnvar * 2 * bndiff / (n - 1) + dbnmeani / n",
    "all-atoms-again": "\n".join(LINES[name] for name in _BATCHNORM_ATOMS),
    "given-line-kept": f"dhpreact = hpreact.grad.clone()\n{BATCHNORM_IN_ONE}\ncmp('hprebn', dhprebn, hprebn)",
    "column-by-column": "dhprebn = torch.zeros_like(hprebn)\n"
    "for j in range(hprebn.shape[1]):\n"
    "    d, x = dhpreact[:, j], bnraw[:, j]\n"
    "    dhprebn[:, j] = bngain[0, j] * bnvar_inv[0, j] * (d - d.mean() - x * (d @ x) / (n - 1))",
    "centring-matrix": "centre = torch.eye(n) - torch.ones(n, n) / n\n"
    "dbn = centre @ dhpreact - bnraw * (dhpreact * bnraw).sum(0) / (n - 1)\n"
    "dhprebn = bngain * bnvar_inv * dbn",
}

ALGEBRA: list[RightAnswer] = [
    *(RightAnswer(f"ex1-{name}", EX1, with_lines(lines)) for name, lines in _OTHER_LINES.items()),
    *(RightAnswer(f"ex2-{name}", EX2, text + "\n") for name, text in _EX2.items()),
    *(RightAnswer(f"ex3-{name}", EX3, text + "\n") for name, text in _EX3.items()),
]
