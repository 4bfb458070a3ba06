"""Right answers in notebooks: magics, cells that do not parse, scratch, outputs, cells out of order."""

from __future__ import annotations

from textwrap import indent

from answers.build import (
    BACKWARD_CALL,
    BATCHNORM_IN_ONE,
    EX1,
    EX2,
    EX3,
    FORWARD,
    LINES,
    NETWORK,
    OWN_CMP,
    SETUP,
    SOFTMAX_MINUS_ONE,
    RightAnswer,
    blocks,
    notebook,
    with_lines,
)

_COLAB = {"colab": {"provenance": []}, "kernelspec": {"name": "python3", "display_name": "Python 3"}}
_UNREADABLE = [
    ".shape",
    "dlogits.shape\n.shape",
    "dlogits → (32, 27), so dh = dlogits @ W2.T fits",
    "That's why the sum is over dim 1, isn't it",
    "dh = dlogits @\n",
    "dlogits = ???",
    "(32, 27) @ (27, 64) -> (32, 64)\n64, 27 <- (64, 32) @ (32, 27)",
    "for k in range(3)\n    print(k)",
    "def unfinished(",
]
_NOTE = '"""\ndh = dlogits @ W2\nNo: shapes.\n"""'
_MAGICS = ["%matplotlib inline", "!pip install -q torch\n%load_ext autoreload\n%autoreload 2", "torch.max?", "?torch.gather",
    "!nvidia-smi", "files = !ls\n%timeit -n 10 counts * 2", "%%html\n<b>dh = 3</b>", "%%bash\ndh=3",
    "import os\nif not os.path.exists('names.txt'):\n    !wget -q https://example.org/names.txt"]  # fmt: skip
_SCRATCH = ["undefined_name + 1", "dlogits_yesterday.shape", "a = torch.tensor([[1.0, 2.0]])\nb = not_yet @ a", "dh_check.sum()"]


def _ipynb(identifier: str, *cells: str, exercise: str | None = EX1, **options: object) -> RightAnswer:
    return RightAnswer(identifier, exercise, notebook(*cells, **options), ".ipynb")  # type: ignore[arg-type]


def _between(extra: list[str]) -> list[str]:
    """The answers with an extra cell after each, in turn."""
    return [text for number, cell in enumerate(blocks()) for text in (cell, extra[number % len(extra)])]


def _helpers_last() -> list[str]:
    """Cells as they lie in a notebook that was run in another order: helpers below their use."""
    cells = blocks({
        "dlogprobs": "dlogprobs = torch.zeros_like(logprobs)\ndlogprobs[rows, Yb] = -1.0 / n",
        "dhpreact": "dhpreact = tanh_slope(h) * dh",
        "dbnbias": "dbnbias = columns(dhpreact)",
    })  # fmt: skip
    return [*cells, "rows = torch.arange(n)", "def tanh_slope(out):\n    return one - out**2\none = 1.0",
        "def columns(x):\n    return x.sum(0, keepdim=True)"]  # fmt: skip


_REVERSED = [SETUP, NETWORK, OWN_CMP, FORWARD + BACKWARD_CALL, *reversed(blocks())]

NOTEBOOKS: list[RightAnswer] = [
    _ipynb("ex1-notebook", *blocks()),
    _ipynb("ex1-notebook-one-cell-with-outputs", with_lines(cmp="under"), outputs=True, metadata=_COLAB),
    _ipynb("ex1-notebook-bare-strings", *blocks(), as_list=False),
    _ipynb("ex1-notebook-magics", *_between(_MAGICS)),
    _ipynb("ex1-notebook-time-magics", *("%%time\n" + cell for cell in blocks())),
    _ipynb("ex1-notebook-capture-magics", *("%%capture out\n" + cell for cell in blocks())),
    _ipynb("ex1-notebook-timed-line", *blocks({"dh": "%time dh = dlogits @ W2.T"})),
    _ipynb("ex1-notebook-magics-among-lines", *("%matplotlib inline\n" + cell + "\n!date\n" for cell in blocks())),
    _ipynb("ex1-notebook-unreadable-cells", *_between(_UNREADABLE)),
    _ipynb("ex1-notebook-unreadable-lines", *(
        f"{cell}\n{name}.shape → {name[1:]}.shape\nNote: that's dim {number}" for number, (name, cell) in
        enumerate(zip(LINES, blocks(), strict=True)))),
    _ipynb("ex1-notebook-unreadable-first-lines", *("-> now this one\n" + cell for cell in blocks())),
    _ipynb("ex1-notebook-semicolons", *(cell.replace("\n", ";\n") + ";" for cell in blocks() if "for " not in cell)),
    _ipynb("ex1-notebook-triple-quoted-notes", *_between([_NOTE, "'''dW2 = dlogits.T @ h'''"])),
    _ipynb("ex1-notebook-indented-cells", *(indent(cell, "    ") for cell in blocks())),
    _ipynb("ex1-notebook-scratch-raises", *_SCRATCH, *_between(_SCRATCH)),
    _ipynb("ex1-notebook-helpers-below-their-use", *_helpers_last()),
    _ipynb("ex1-notebook-cells-in-reverse", *reversed(blocks())),
    _ipynb("ex1-notebook-whole-in-reverse", *_REVERSED),
    _ipynb("ex1-notebook-copied-cells", *(text for cell in blocks() for text in (cell, cell))),
    _ipynb("ex1-notebook-headings", *(text for name, cell in zip(LINES, blocks(), strict=True)
        for text in (f"#md ### {name}\n`{name} = 0` is wrong", cell))),
    _ipynb("ex1-notebook-split-cells", *(line for name, text in LINES.items() for line in text.split("\n"))),
    _ipynb("ex1-notebook-marked-with-stubs", "#md # Exercise 1\n\n<!-- dojo: makemore/ex1_atoms -->", *(
        text for name, cell in zip(LINES, blocks(), strict=True) for text in (f"{name} = ...", cell))),
    _ipynb("ex2-notebook", "#md # Cross-entropy in one step", "%matplotlib inline", "logits.shape\n.shape", "dlogits_scratch.sum()",
        SOFTMAX_MINUS_ONE, "cmp('logits', dlogits, logits);", "plt.imshow(dlogits.detach(), cmap='gray')", exercise=EX2),
    _ipynb("ex3-notebook", "#md Batchnorm → one line", "dhprebn = bngain * bnvar_inv * dhpreact  # first idea\n.shape",
        "%%time\n" + BATCHNORM_IN_ONE, "cmp('hprebn', dhprebn, hprebn)", exercise=EX3, outputs=True),
]  # fmt: skip
