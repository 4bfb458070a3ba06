"""Right answers inside functions, dictionaries, classes, guards and marimo apps."""

from __future__ import annotations

import ast
import builtins
from textwrap import dedent

from answers.build import (
    EX1,
    EX2,
    EX3,
    FORWARD,
    LINES,
    SOFTMAX_MINUS_ONE,
    RightAnswer,
    blocks,
    cmp_line,
    rename,
    under,
    whole_file,
    with_lines,
)

_NAMES = ", ".join(LINES)
_CHECKS = "\n".join(cmp_line(name) for name in LINES) + "\n"


def _keyed(template: str, checks: str) -> str:
    """The answers with `template.format(name)` for each gradient, and a check of `checks.format(name)` each."""
    text = rename(with_lines(), {name: template.format(name[1:]) for name in LINES})
    return text + "".join(f"cmp('{name[1:]}', {checks.format(name[1:])}, {name[1:]})\n" for name in LINES)


def _marimo(cells: list[str]) -> str:
    """A marimo app of one function a cell; arguments and results as marimo writes them are not needed here."""
    head = "import marimo\n\n__generated_with = '0.13.2'\napp = marimo.App(width='medium')\n\n"
    return head + "\n\n".join(cells) + ("\n\nif __name__ == '__main__':\n    app.run()\n")


def _marimo_cell(name: str, text: str) -> str:
    loaded = (leaf.id for leaf in ast.walk(ast.parse(text)) if isinstance(leaf, ast.Name))
    read = sorted(set(loaded) - {name} - set(vars(builtins)))
    return under(f"@app.cell\ndef _({', '.join(read)}):", text, f"return ({name},)")


_MARIMO_CELLS = [
    under(
        "@app.cell\ndef _():",
        "import marimo as mo\nimport torch\nimport torch.nn.functional as F",
        "return F, mo, torch",
    ),
    under("@app.cell(hide_code=True)\ndef _(mo):", 'mo.md(r"""# By hand\n\n dlogits = wrong, at first.""")', "return"),
    *(_marimo_cell(name, text) for name, text in LINES.items()),
]

_LAYERS = dedent("""\
    class Linear:
        def __init__(self, x, weight):
            self.x, self.weight = x, weight

        def backward(self, dout):
            return dout @ self.weight.T, self.x.T @ dout, dout.sum(0)


    class Tanh:
        def __init__(self, out):
            self.out = out

        def backward(self, dout):
            return dout * (1 - self.out**2)


    output_layer = Linear(h, W2)
    hidden_layer = Linear(embcat, W1)
    """)

_CACHE = dedent("""\
    def forward(Xb, Yb):
    FORWARD
        cache = dict(probs=probs, counts=counts, counts_sum=counts_sum, counts_sum_inv=counts_sum_inv,
                     h=h, bnraw=bnraw, bndiff=bndiff, bnvar=bnvar, bnvar_inv=bnvar_inv, embcat=embcat)
        return loss, cache

    """).replace("FORWARD", FORWARD.replace("\n", "\n    ").rstrip().join(["    ", ""]))

_UNPACK = "".join(
    f"{name} = cache['{name}']\n"
    for name in "probs counts counts_sum counts_sum_inv h bnraw bndiff bnvar bnvar_inv embcat".split()
)

_SHARED_LINEAR = dedent("""\
    def linear_backward(dout, h, W):
        dh = dout @ W.T
        dW = h.T @ dout
        db = dout.sum(0)
        return dh, dW, db

    """)

_PIECES = {
    "function-returning-a-tuple": under("def calc_grads():", with_lines(), f"return {_NAMES}")
    + f"\n({_NAMES}) = calc_grads()\n"
    + _CHECKS,
    "function-returning-a-dict": under(
        "def manual_backward():", with_lines(), "return {" + ", ".join(f"'{n[1:]}': {n}" for n in LINES) + "}"
    )
    + "\n"
    "grads = manual_backward()\n" + "".join(f"cmp('{n[1:]}', grads['{n[1:]}'], {n[1:]})\n" for n in LINES),
    "function-returning-locals": under("def calc_grads():", with_lines(), "return locals()") + "\n"
    "grads = calc_grads()\n"
    "cmp('h', grads['dh'], h)\n",
    "function-with-arguments": under(
        "def tail(dlogits, h, W2, hpreact):",
        "dh = dlogits @ W2.T\ndW2 = h.T @ dlogits\ndb2 = dlogits.sum(0)\ndhpreact = (1 - torch.tanh(hpreact)**2) * dh",
        "return dh, dW2, db2, dhpreact",
    )
    + with_lines(
        {"dh": "dh, dW2, db2, dhpreact = tail(dlogits, h, W2, hpreact)", "dW2": "", "db2": "", "dhpreact": ""}
    ),
    "function-with-globals": under("def backward():", f"global {_NAMES}\n" + with_lines()) + "\nbackward()\n" + _CHECKS,
    "function-with-its-own-checks": under("def backward():", with_lines(cmp="under")) + "\nbackward()\n",
    "functions-in-a-chain": under("def head():", "\n".join(list(LINES.values())[:8]), "return dlogits")
    + under("def body(dlogits):", "\n".join(list(LINES.values())[8:]), "return dC")
    + "\ndC = body(head())\n",
    "main-function": under("def main():", with_lines(cmp="under")) + '\n\nif __name__ == "__main__":\n    main()\n',
    "main-guard": under("if __name__ == '__main__':", with_lines(cmp="under")),
    "no-grad-block": under("with torch.no_grad():", with_lines(cmp="under")),
    "no-grad-function": under("@torch.no_grad()\ndef backward():", with_lines(), f"return {_NAMES}")
    + f"\n({_NAMES}) = backward()\n",
    "inference-mode-block": under("with torch.inference_mode():", with_lines()),
    "grad-mode-off-block": under("with torch.set_grad_enabled(False):", with_lines()),
    "grad-mode-off-line": "torch.set_grad_enabled(False)\n" + with_lines(),
    "if-block": "manual = True\n" + under("if manual:", with_lines(cmp="under")),
    "dict-with-d-keys": "grads = {}\n" + _keyed("grads['d{}']", "grads['d{}']"),
    "dict-with-tensor-keys": "grads = {}\n" + _keyed("grads['{}']", "grads['{}']"),
    "dict-in-a-function": under(
        "def backward():", "g = {}\n" + rename(with_lines(), {n: f"g['{n[1:]}']" for n in LINES}), "return g"
    )
    + "\n"
    "grads = backward()\n" + "".join(f"cmp('{n[1:]}', grads['{n[1:]}'], {n[1:]})\n" for n in LINES),
    "list-of-gradients": under("def backward():", with_lines(), f"return [{_NAMES}]") + "\n"
    "grads = backward()\n" + "".join(f"cmp('{n[1:]}', grads[{i}], {n[1:]})\n" for i, n in enumerate(LINES)),
    "namespace-with-d-fields": "from types import SimpleNamespace\ngrads = SimpleNamespace()\n"
    + _keyed("grads.d{}", "grads.d{}"),
    "namespace-with-tensor-fields": "from types import SimpleNamespace\n"
    "d = SimpleNamespace()\n" + _keyed("d.{}", "d.{}"),
    "class-with-fields": under(
        "class Backward:", under("def run(self):", rename(with_lines(), {n: f"self.{n}" for n in LINES}), "return self")
    )
    + "\n\n"
    "net = Backward()\n"
    "net.run()\n" + "".join(f"cmp('{n[1:]}', net.{n}, {n[1:]})\n" for n in LINES),
    "dataclass-filled-at-the-end": "from dataclasses import dataclass\n\n"
    + under("@dataclass\nclass Grads:", "".join(f"{n}: torch.Tensor\n" for n in LINES))
    + "\n\n"
    + under("def calc_grads():", with_lines(), f"return Grads({_NAMES})")
    + "\ng = calc_grads()\n"
    + "".join(f"cmp('{n[1:]}', g.{n}, {n[1:]})\n" for n in LINES),
    "dataclass-filled-in-order": "from dataclasses import dataclass\n\n"
    + under("@dataclass\nclass Grads:", "".join(f"{n}: torch.Tensor = None\n" for n in LINES))
    + "\n\ng = Grads()\n"
    + _keyed("g.d{}", "g.d{}"),
    "cache-as-a-dict": _CACHE
    + "\n"
    + under(
        "def backward(cache):",
        _UNPACK + with_lines(),
        f"return dict(\n        {_NAMES}\n    )".replace(_NAMES, ", ".join(f"{n[1:]}={n}" for n in LINES)),
    )
    + "\n"
    "loss, cache = forward(Xb, Yb)\n"
    "grads = backward(cache)\n"
    "cmp('h', grads['h'], h)\n",
    "layers-with-backward-methods": _LAYERS
    + with_lines(
        {
            "dh": "dh, dW2, db2 = output_layer.backward(dlogits)",
            "dW2": "",
            "db2": "",
            "dhpreact": "dhpreact = Tanh(h).backward(dh)",
            "dembcat": "dembcat, dW1, db1 = hidden_layer.backward(dhprebn)",
            "dW1": "",
            "db1": "",
        }
    ),
    "one-helper-used-twice": _SHARED_LINEAR
    + with_lines(
        {
            "dh": "dh, dW2, db2 = linear_backward(dlogits, h, W2)",
            "dW2": "",
            "db2": "",
            "dembcat": "dembcat, dW1, db1 = linear_backward(dhprebn, embcat, W1)",
            "dW1": "",
            "db1": "",
        }
    ),
    "part-of-a-gradient-in-a-helper": "def through_the_variance(dbndiff2):\n"
    "    dbndiff = 2 * bndiff * dbndiff2\n"
    "    return dbndiff\n\n\n"
    + with_lines({"dbndiff": "dbndiff = through_the_variance(dbndiff2) + bnvar_inv * dbnraw"}),
    "lambdas": "dtanh = lambda dout, out: (1 - out**2) * dout\n"
    "columns = lambda x: x.sum(0, keepdim=True)\n"
    + with_lines(
        {
            "dhpreact": "dhpreact = dtanh(dh, h)",
            "dbnbias": "dbnbias = columns(dhpreact)",
            "dbngain": "dbngain = columns(bnraw * dhpreact)",
        }
    ),
    "helper-that-changes-its-argument": "def subtract_one(d, labels):\n"
    "    d[range(len(d)), labels] -= 1.0\n\n\n"
    + with_lines({"dlogprobs": "dlogprobs = torch.zeros_like(logprobs)\nsubtract_one(dlogprobs, Yb)\ndlogprobs /= n"}),
    "helper-given-its-argument-by-name": "def subtract_one(d, labels):\n"
    "    d[range(len(d)), labels] -= 1.0\n\n\n"
    + with_lines(
        {"dlogprobs": "dlogprobs = torch.zeros_like(logprobs)\nsubtract_one(d=dlogprobs, labels=Yb)\ndlogprobs /= n"}
    ),
    "marimo": _marimo(_MARIMO_CELLS),
    "marimo-in-another-order": _marimo([*_MARIMO_CELLS[:2], *reversed(_MARIMO_CELLS[2:])]),
    "try-blocks": "\n".join(
        under("try:", block) + "except Exception as error:\n    print(error)\n" for block in blocks()
    ),
    "whole-file-with-function": whole_file(
        under("def calc_grads():", with_lines(), f"return {_NAMES}"), f"({_NAMES}) = calc_grads()\n" + _CHECKS
    ),
}

CONTAINERS: list[RightAnswer] = [
    *(RightAnswer(f"ex1-{name}", EX1, text) for name, text in _PIECES.items()),
    RightAnswer(
        "ex2-function",
        EX2,
        under("def dloss(logits, Yb):", SOFTMAX_MINUS_ONE, "return dlogits") + "\n"
        "dlogits = dloss(logits, Yb)\n"
        "cmp('logits', dlogits, logits)\n",
    ),
    RightAnswer(
        "ex2-helper-with-other-names",
        EX2,
        "def cross_entropy_backward(x, labels):\n"
        "    p = F.softmax(x, 1)\n"
        "    p[range(len(x)), labels] -= 1\n"
        "    return p / len(x)\n\n\n"
        "dlogits = cross_entropy_backward(logits, Yb)\n",
    ),
    RightAnswer(
        "ex3-function",
        EX3,
        "def batchnorm_backward(dout, xhat, gain, inv):\n    m = dout.shape[0]\n"
        "    dx = m * dout - dout.sum(0) - m / (m - 1) * xhat * (dout * xhat).sum(0)\n"
        "    return gain * inv / m * dx\n\n\n"
        "dhprebn = batchnorm_backward(dhpreact, bnraw, bngain, bnvar_inv)\ncmp('hprebn', dhprebn, hprebn)\n",
    ),
]
