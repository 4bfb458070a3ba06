"""One file that holds exercises 1, 2 and 3, and often the loop of exercise 4, in one namespace."""

from __future__ import annotations

from textwrap import dedent

from answers.build import (
    BACKWARD_CALL,
    BATCHNORM_IN_ONE,
    FORWARD,
    LINES,
    NETWORK,
    OWN_CMP,
    SETUP,
    SOFTMAX_MINUS_ONE,
    RightAnswer,
    blocks,
    notebook,
    rename,
    under,
    whole_file,
    with_lines,
)

_ATOMS = with_lines(cmp="under")
_TWO = dedent("""\
    loss_fast = F.cross_entropy(logits, Yb)
    print(loss_fast.item(), "diff:", (loss_fast - loss).item())
    SOLUTION
    cmp("logits", dlogits, logits)
    """).replace("SOLUTION", SOFTMAX_MINUS_ONE)
_THREE = dedent("""\
    hpreact_fast = bngain * (hprebn - hprebn.mean(0, keepdim=True)) / torch.sqrt(
        hprebn.var(0, keepdim=True, unbiased=True) + 1e-5
    ) + bnbias
    print("max diff:", (hpreact_fast - hpreact).abs().max())
    SOLUTION
    cmp("hprebn", dhprebn, hprebn)
    """).replace("SOLUTION", BATCHNORM_IN_ONE)

_LOOP = dedent("""\
    n_embd = 10
    n_hidden = 200
    g = torch.Generator().manual_seed(2147483647)
    C = torch.randn((vocab_size, n_embd), generator=g)
    W1 = torch.randn((n_embd * block_size, n_hidden), generator=g) * (5 / 3) / ((n_embd * block_size) ** 0.5)
    b1 = torch.randn(n_hidden, generator=g) * 0.1
    W2 = torch.randn((n_hidden, vocab_size), generator=g) * 0.1
    b2 = torch.randn(vocab_size, generator=g) * 0.1
    bngain = torch.randn((1, n_hidden)) * 0.1 + 1.0
    bnbias = torch.randn((1, n_hidden)) * 0.1
    parameters = [C, W1, b1, W2, b2, bngain, bnbias]
    max_steps = 200000
    batch_size = 32
    n = batch_size
    lossi = []
    with torch.no_grad():
        for i in range(max_steps):
            ix = torch.randint(0, Xtr.shape[0], (batch_size,), generator=g)
            Xb, Yb = Xtr[ix], Ytr[ix]
            emb = C[Xb]
            embcat = emb.view(emb.shape[0], -1)
            hprebn = embcat @ W1 + b1
            bnmean = hprebn.mean(0, keepdim=True)
            bnvar = hprebn.var(0, keepdim=True, unbiased=True)
            bnvar_inv = (bnvar + 1e-5) ** -0.5
            bnraw = (hprebn - bnmean) * bnvar_inv
            hpreact = bngain * bnraw + bnbias
            h = torch.tanh(hpreact)
            logits = h @ W2 + b2
            loss = F.cross_entropy(logits, Yb)
            BACKWARD
            lr = 0.1 if i < 100000 else 0.01
            for p, grad in zip(parameters, grads):
                p.data += -lr * grad
            if i % 10000 == 0:
                print(f"{i:7d}/{max_steps:7d}: {loss.item():.4f}")
            lossi.append(loss.log10().item())

    with torch.no_grad():
        hprebn = C[Xtr].view(Xtr.shape[0], -1) @ W1 + b1
        bnmean = hprebn.mean(0, keepdim=True)
        bnvar = hprebn.var(0, keepdim=True, unbiased=True)


    @torch.no_grad()
    def split_loss(split):
        x, y = {"train": (Xtr, Ytr), "val": (Xdev, Ydev)}[split]
        h = torch.tanh(bngain * (C[x].view(x.shape[0], -1) @ W1 + b1 - bnmean) * (bnvar + 1e-5) ** -0.5 + bnbias)
        print(split, F.cross_entropy(h @ W2 + b2, y).item())


    split_loss("train")
    for _ in range(20):
        out, context = [], [0] * block_size
        while len(out) < 20:
            hprebn = C[torch.tensor([context])].view(1, -1) @ W1 + b1
            h = torch.tanh(bngain * (hprebn - bnmean) * (bnvar + 1e-5) ** -0.5 + bnbias)
            probs = F.softmax(h @ W2 + b2, dim=1)
            ix = torch.multinomial(probs, num_samples=1, generator=g).item()
            context = context[1:] + [ix]
            out.append(ix)
            if ix == 0:
                break
        print("".join(itos[i] for i in out))
    """)
_INLINE = "\n        ".join(
    "\n".join(
        [
            SOFTMAX_MINUS_ONE,
            *(LINES[name] for name in "dh dW2 db2 dhpreact dbngain dbnbias".split()),
            BATCHNORM_IN_ONE,
            *(LINES[name] for name in "dembcat dW1 db1 demb dC".split()),
            "grads = [dC, dW1, db1, dW2, db2, dbngain, dbnbias]",
        ]
    ).split("\n")
)
_FOUR = _LOOP.replace("BACKWARD", _INLINE)
_IN_FUNCTION = (
    under(
        "def train():",
        "global C, W1, b1, W2, b2, bngain, bnbias, parameters, n, ix, Xb, Yb, bnmean, bnvar\n"
        + _FOUR.split("\n\n\n@torch")[0],
    )
    + "\ntrain()\n"
)
_AUTOGRAD_LOOP = dedent("""\
    for i in range(200000):
        ix = torch.randint(0, Xtr.shape[0], (32,), generator=g)
        Xb, Yb = Xtr[ix], Ytr[ix]
        logits = torch.tanh(C[Xb].view(-1, n_embd * block_size) @ W1 + b1) @ W2 + b2
        loss = F.cross_entropy(logits, Yb)
        for p in [C, W1, b1, W2, b2]:
            p.grad = None
        loss.backward()
        for p in [C, W1, b1, W2, b2]:
            p.data += -0.1 * p.grad
    """)
_ONE_STEP_LOOP = _FOUR.replace("max_steps = 200000", "max_steps = 200000\nlosses = []").replace(
    "lossi.append", "losses.append"
)


def _stages(one: str, two: str, three: str, four: str = "", mark: str = "\n# Exercise {}\n\n") -> str:
    stages = [one, two, three, four] if four else [one, two, three]
    return "".join((mark.format(number) if mark else "\n") + text for number, text in enumerate(stages, start=1))


_FAST = {"dlogits": "dlogits_fast"}, {"dhprebn": "dhprebn_fast"}
_HELPERS = "def columns(x):\n    return x.sum(0, keepdim=True)\n\n\nonehot = F.one_hot(Yb, vocab_size)\n"
_WITH_HELPERS = with_lines(
    {
        "dlogprobs": _HELPERS + "dlogprobs = -onehot / n",
        "dbnbias": "dbnbias = columns(dhpreact)",
    },
    cmp="under",
)
_TWO_WITH_HELPERS = "dlogits = (F.softmax(logits, 1) - onehot) / n\n"
_THREE_WITH_HELPERS = (
    BATCHNORM_IN_ONE.replace("dhpreact.sum(0)", "columns(dhpreact)").replace(
        "(dhpreact * bnraw).sum(0)", "columns(dhpreact * bnraw)"
    )
    + "\n"
)
_PROBS = "dlogits = probs.clone()\ndlogits[range(n), Yb] -= 1\ndlogits = dlogits / n\ncmp('logits', dlogits, logits)\n"
_SUMS = (
    "dbnbias = dhpreact.sum(0, keepdim=True)\n"
    "dbngain = (bnraw * dhpreact).sum(0, keepdim=True)\n"
    "dhprebn = bngain * bnvar_inv * (dhpreact - dbnbias / n - bnraw * dbngain / (n - 1))\n"
    "cmp('hprebn', dhprebn, hprebn)\n"
)
_ATTEMPTS_AT_TWO = (
    "dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] = -1\ndlogits /= n\ncmp('logits', dlogits, logits)\n"
) + _TWO
_FUNCTIONS = "".join(
    under(f"def exercise_{number}():", text, f"return {name}") + f"\n\n{name} = exercise_{number}()\n{check}\n"
    for number, (text, name, check) in enumerate(
        [
            ("\n".join(LINES.values()), ", ".join(LINES), "\n".join(f"cmp('{n[1:]}', {n}, {n[1:]})" for n in LINES)),
            (SOFTMAX_MINUS_ONE, "dlogits", "cmp('logits', dlogits, logits)"),
            (BATCHNORM_IN_ONE, "dhprebn", "cmp('hprebn', dhprebn, hprebn)"),
        ],
        start=1,
    )
)

_NOTEBOOK = [
    "#md # Becoming a backprop ninja",
    SETUP,
    NETWORK,
    OWN_CMP,
    FORWARD + BACKWARD_CALL,
    "#md ## Exercise 1: backprop through everything",
    _ATOMS,
    "#md ## Exercise 2: backprop through cross_entropy in one go",
    _TWO,
    "plt.figure(figsize=(4, 4))\nplt.imshow(dlogits.detach(), cmap='gray')",
    "#md ## Exercise 3: backprop through batchnorm in one go",
    _THREE,
    "#md ## Exercise 4: putting it all together",
    _FOUR,
]
_SCRIPT = "".join(
    f"# %% [markdown]\n# {cell[4:]}\n\n" if cell.startswith("#md ") else f"# %%\n{cell}\n" for cell in _NOTEBOOK
)

LECTURE: list[RightAnswer] = [
    RightAnswer("all-lines-with-numbers", None, _stages(_ATOMS, _TWO, _THREE)),
    RightAnswer("all-lines-without-numbers", None, _stages(_ATOMS, _TWO, _THREE, mark="")),
    RightAnswer("all-lines-without-checks", None, "\n".join([with_lines(), SOFTMAX_MINUS_ONE, BATCHNORM_IN_ONE])),
    RightAnswer("all-lines-and-a-loop", None, _stages(_ATOMS, _TWO, _THREE, _FOUR, mark="")),
    RightAnswer("all-whole-file-with-numbers", None, whole_file(_stages(_ATOMS, _TWO, _THREE, _FOUR))),
    RightAnswer("all-whole-file-without-numbers", None, whole_file(_stages(_ATOMS, _TWO, _THREE, _FOUR, mark=""))),
    RightAnswer(
        "all-whole-file-loop-in-a-function", None, whole_file(_stages(_ATOMS, _TWO, _THREE, _IN_FUNCTION, mark=""))
    ),
    RightAnswer(
        "all-whole-file-autograd-loop-first",
        None,
        "\n".join(
            [SETUP, NETWORK, _AUTOGRAD_LOOP, OWN_CMP, FORWARD, BACKWARD_CALL, _stages(_ATOMS, _TWO, _THREE, mark="")]
        ),
    ),
    RightAnswer("all-whole-file-losses", None, whole_file(_stages(_ATOMS, _TWO, _THREE, _ONE_STEP_LOOP))),
    RightAnswer(
        "all-fast-names",
        None,
        _stages(
            _ATOMS,
            rename(_TWO, _FAST[0]).replace('cmp("logits", dlogits,', 'cmp("logits", dlogits_fast,'),
            rename(_THREE, _FAST[1]).replace('cmp("hprebn", dhprebn,', 'cmp("hprebn", dhprebn_fast,'),
            mark="",
        ),
    ),
    RightAnswer("all-with-shared-helpers", None, _stages(_WITH_HELPERS, _TWO_WITH_HELPERS, _THREE_WITH_HELPERS)),
    RightAnswer(
        "all-with-shared-helpers-without-numbers",
        None,
        _stages(_WITH_HELPERS, _TWO_WITH_HELPERS, _THREE_WITH_HELPERS, mark=""),
    ),
    RightAnswer("all-from-own-probs", None, whole_file(_stages(_ATOMS, _PROBS, _SUMS))),
    RightAnswer("all-from-own-probs-without-numbers", None, whole_file(_stages(_ATOMS, _PROBS, _SUMS, mark=""))),
    RightAnswer("all-lines-from-given-probs", None, _stages(_ATOMS, _PROBS, _SUMS)),
    RightAnswer("all-several-attempts", None, _stages(_ATOMS, _ATTEMPTS_AT_TWO, _THREE, mark="")),
    RightAnswer("all-in-functions", None, _FUNCTIONS),
    RightAnswer(
        "all-stages-as-comments-in-capitals", None, _stages(_ATOMS, _TWO, _THREE, mark="\n# ===== EXERCISE #{} =====\n")
    ),
    RightAnswer("all-notebook", None, notebook(*_NOTEBOOK, outputs=True), ".ipynb"),
    RightAnswer(
        "all-notebook-without-headings",
        None,
        notebook(*(cell for cell in _NOTEBOOK if not cell.startswith("#md ")), as_list=False),
        ".ipynb",
    ),
    RightAnswer(
        "all-notebook-small-cells", None, notebook(*_NOTEBOOK[:6], *blocks(), *_NOTEBOOK[7:], outputs=True), ".ipynb"
    ),
    RightAnswer("all-percent-script", None, _SCRIPT),
]
