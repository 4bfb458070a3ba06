"""Right answers in which a reader of the text, not a person who runs it, may lose the thread."""

from __future__ import annotations

from answers.build import (
    BATCHNORM_IN_ONE,
    EX1,
    FORWARD,
    LINES,
    SOFTMAX_MINUS_ONE,
    RightAnswer,
    blocks,
    cmp_line,
    notebook,
    rename,
    under,
    whole_file,
    with_lines,
)

_NAMES = list(LINES)
_CHECKS = "\n".join(cmp_line(name) for name in LINES) + "\n"
_ONE = with_lines(cmp="under")
_TWO = f"{SOFTMAX_MINUS_ONE}\ncmp('logits', dlogits, logits)\n"
_THREE = f"{BATCHNORM_IN_ONE}\ncmp('hprebn', dhprebn, hprebn)\n"

# ---- Names that serve twice ----

_WITH_LOOPS = {
    "dlogprobs": "dlogprobs = torch.zeros_like(logprobs)\nfor k in range(n):\n    dlogprobs[k, Yb[k]] = -1.0 / n",
    "dW2": "dW2 = torch.zeros_like(W2)\nfor k in range(n):\n    dW2 += torch.outer(h[k], dlogits[k])",
    "dC": "dC = torch.zeros_like(C)\n"
    "for k in range(n):\n"
    "    for j in range(block_size):\n"
    "        dC[Xb[k, j]] += demb[k, j]",
}
_WITH_TMP = {
    "dcounts": "tmp = counts_sum_inv * dprobs\ndcounts = tmp + dcounts_sum",
    "dlogits": "tmp = (logits == logit_maxes) * dlogit_maxes\ndlogits = dnorm_logits + tmp",
    "dbndiff": "tmp = bnvar_inv * dbnraw\ndbndiff = tmp + 2 * bndiff * dbndiff2",
}
_TRIED_UNDER_ONE_NAME = {
    "dcounts_sum_inv": "out = (counts * dprobs).sum(1, keepdim=True)\n"
    "cmp('counts_sum_inv', out, counts_sum_inv)\n"
    "dcounts_sum_inv = out",
    "dh": "out = dlogits @ W2.T\ncmp('h', out, h)\ndh = out",
    "dbnraw": "out = bngain * dhpreact\ncmp('bnraw', out, bnraw)\ndbnraw = out",
}
_MENDED_AT_THE_END = "\n# was wrong above\n"
_MARIMO_PRIVATE = (
    "import marimo\napp = marimo.App()\n\n"
    + "\n\n".join(
        under("@app.cell\ndef _():", rename(text, {"tmp": "_tmp"}), f"return ({name},)")
        for name, text in reversed((LINES | _WITH_TMP).items())
    )
    + ("\nif __name__ == '__main__':\n    app.run()\n")
)

# ---- Functions and classes ----

_METHODS = (
    "class Backward:\n"
    + "".join(
        "    "
        + under(
            f"def part_{number}(self):", rename("\n".join(LINES[n] for n in names), {n: f"self.{n}" for n in LINES})
        )
        .replace("\n", "\n    ")
        .rstrip()
        + "\n\n"
        for number, names in enumerate([_NAMES[:8], _NAMES[8:14], _NAMES[14:]], start=1)
    )
    + ("\nnet = Backward()\nnet.part_1()\nnet.part_2()\nnet.part_3()\n")
    + "".join(f"cmp('{n[1:]}', net.{n}, {n[1:]})\n" for n in LINES)
)
_FILLED = (
    "".join(
        under(f"def part_{number}(g):", rename("\n".join(LINES[n] for n in names), {n: f"g['{n}']" for n in LINES}))
        + "\n\n"
        for number, names in enumerate([_NAMES[:8], _NAMES[8:14], _NAMES[14:]], start=1)
    )
    + ("grads = {}\npart_1(grads)\npart_2(grads)\npart_3(grads)\n")
    + "".join(f"cmp('{n[1:]}', grads['{n}'], {n[1:]})\n" for n in LINES)
)

# ---- Blocks and their layout ----

_TABS = under("with torch.no_grad():", with_lines(_WITH_LOOPS)).replace("    ", "\t")
_HANGING = under(
    "with torch.no_grad():", with_lines({"dcounts": "dcounts = (counts_sum_inv * dprobs\nHANG+ dcounts_sum)"})
)
_COMMENT_AT_THE_MARGIN = under(
    "if __name__ == '__main__':",
    with_lines(
        {
            "dW2": "dW2 = torch.zeros_like(W2)\n"
            "for k in range(n):\n"
            "HANG# dW2 += torch.outer(dlogits[k], h[k])\n"
            "    dW2 += torch.outer(h[k], dlogits[k])",
        }
    ),
)

_TEXTS: dict[str, str] = {
    "attempt-mended-later-with-loops": with_lines(_WITH_LOOPS | {"dlogprobs": "dlogprobs = torch.ones_like(logprobs)"})
    + _MENDED_AT_THE_END
    + _WITH_LOOPS["dlogprobs"]
    + "\n",
    "attempt-mended-later-with-a-shared-name": with_lines(
        _WITH_TMP | {"dcounts": "tmp = dprobs\ndcounts = tmp + dcounts_sum"}
    )
    + _MENDED_AT_THE_END
    + _WITH_TMP["dcounts"]
    + "\n",
    "tries-under-one-name": with_lines(_TRIED_UNDER_ONE_NAME),
    "truth-looked-at-first": "t = logprobs.grad\ncmp('logprobs', t, logprobs)\n"
    + with_lines(
        {
            "dC": "dC = torch.zeros_like(C)\n"
            "for b in range(n):\n"
            "    for t in range(block_size):\n"
            "        dC[Xb[b, t]] += demb[b, t]"
        }
    ),
    "loop-over-ix-for-two-gradients": with_lines(
        {
            "dW2": "dW2 = torch.zeros_like(W2)\n"
            "db2 = torch.zeros_like(b2)\n"
            "for ix in range(n):\n"
            "    dW2 += torch.outer(h[ix], dlogits[ix])\n"
            "    db2 += dlogits[ix]",
            "db2": "",
        }
    ),
    "sizes-from-shapes": with_lines(
        {
            "demb": "demb = dembcat.view(N, T, D)",
            "dlogprobs": "dloss = torch.tensor(1.0)\n"
            "dlogprobs = torch.zeros(N, V)\n"
            "dlogprobs[range(N), Yb] = -dloss / N",
        },
        head="(N, T), (V, D) = Xb.shape, C.shape",
    ),
    "batch-looked-up-again": with_lines(
        {"dC": "dC = torch.zeros_like(C)\ndC.index_add_(0, Xtr[ix].view(-1), demb.view(-1, n_embd))"}
    ),
    "whole-file-other-batch-names": whole_file(with_lines(cmp="end"))
    .replace(FORWARD, FORWARD.replace("Yb", "yb").replace("Xb", "xb"))
    .replace("Xb, Yb = Xtr[ix], Ytr[ix]", "xb, yb = Xtr[ix], Ytr[ix]")
    .replace("Yb] = -1.0", "yb] = -1.0")
    .replace("Xb.view", "xb.view"),
    "function-with-a-no-grad-block": under(
        "def backward():", under("with torch.no_grad():", with_lines()), f"return {', '.join(_NAMES)}"
    )
    + f"\n{', '.join(_NAMES)} = backward()\n"
    + _CHECKS,
    "block-that-runs-once": under("for step in range(1):", with_lines(cmp="under") + "break"),
    "function-inside-a-function": under(
        "def backward():",
        "def columns(x):\n"
        "    return x.sum(0, keepdim=True)\n\n" + with_lines({"dbnbias": "dbnbias = columns(dhpreact)"}, cmp="under"),
    )
    + "\nbackward()\n",
    "ends-with-exit": "import sys\n" + with_lines(cmp="under") + "sys.exit(0)\n",
    "function-called-several-times": under("def backward():", with_lines(), f"return {', '.join(_NAMES)}") + "\n"
    "for _ in range(3):\n"
    "    backward()\n"
    f"{', '.join(_NAMES)} = backward()\n"
    f"{_CHECKS}backward()[0].shape\n",
    "class-with-several-methods": _METHODS,
    "dict-filled-by-functions": _FILLED,
    "marimo-private-names-in-another-order": _MARIMO_PRIVATE,
    "tabs-in-a-block": _TABS,
    "hanging-line-in-a-block": _HANGING.replace("    HANG", ""),
    "comment-at-the-margin-of-a-block": _COMMENT_AT_THE_MARGIN.replace("    HANG", ""),
    "letters-of-other-alphabets": "".join(
        rename(text, {n: "δ" + n[1:] for n in LINES}) + f"  # ∂L/∂{name[1:]}\n"
        f"cmp('{name[1:]}', δ{name[1:]}, {name[1:]})\n"
        for name, text in LINES.items()
    ),
    "statements-after-other-letters": with_lines(
        {"dh": "print('∂L/∂h →'); dh = dlogits @ W2.T; '→'; dW2 = h.T \\\n    @ dlogits", "dW2": ""}
    ),
    "light-script": "".join(f"# ## {name}\n\n# +\n{cell}\n# -\n\n" for name, cell in zip(LINES, blocks(), strict=True)),
    "databricks-export": "# Databricks notebook source\n"
    + "\n# COMMAND ----------\n\n# MAGIC %md ### next\n\n".join(blocks())
    + "\n",
}

_INTRO = (
    "# In this notebook: exercise 1 (atoms), exercise 2 (cross-entropy), exercise 3 (batchnorm), exercise 4 (the loop)"
)
_MENTIONS = [
    "# Exercise 1. (Exercise 2 will do the first eight of these in one line.)\n",
    _ONE,
    "\n# Exercise 2. The answer must equal that of exercise 1.\n",
    _TWO,
    "\n# Exercise 3.\n# dhpreact is the one from exercise 1\n",
    _THREE,
]

CORNERS: list[RightAnswer] = [
    *(RightAnswer(f"ex1-{name}", EX1, text) for name, text in _TEXTS.items()),
    RightAnswer("ex1-notebook-reversed-with-loops", EX1, notebook(*reversed(blocks(_WITH_LOOPS))), ".ipynb"),
    RightAnswer("ex1-notebook-reversed-with-a-shared-name", EX1, notebook(*reversed(blocks(_WITH_TMP))), ".ipynb"),
    RightAnswer(
        "all-given-line-kept",
        None,
        f"# Exercise 1\n{_ONE}\n# Exercise 2\n{_TWO}\n# Exercise 3\ndhpreact = hpreact.grad.clone()\n{_THREE}",
    ),
    RightAnswer(
        "all-in-another-order-with-numbers", None, f"# Exercise 3\n{_THREE}\n# Exercise 2\n{_TWO}\n# Exercise 1\n{_ONE}"
    ),
    RightAnswer("all-headings-that-mention-others", None, "".join(_MENTIONS)),
    RightAnswer("all-intro-that-lists-them", None, f"{_INTRO}\n\n{_ONE}\n{_TWO}\n{_THREE}"),
    RightAnswer("all-notebook-intro-that-lists-them", None, notebook("#md " + _INTRO, _ONE, _TWO, _THREE), ".ipynb"),
]
