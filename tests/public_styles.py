"""Notebooks and scripts as people publish them: other habits than the lessons', and nothing that is forbidden."""

from __future__ import annotations

from answers.build import BACKWARD_CALL, FORWARD, NETWORK, SETUP, RightAnswer, blocks, notebook, under, with_lines

_MANY_IMPORTS = """\
import os, sys, json, time
import pandas as pd
import numpy as np
import torch, torch.nn as nn
import torch.nn.functional as F
import matplotlib.pyplot as plt
from tqdm.auto import tqdm
from pathlib import Path
from IPython.display import clear_output
os.environ["CUDA_LAUNCH_BLOCKING"] = "1"
sys.setrecursionlimit(5000)
df = pd.read_csv(Path("names.csv"))
plt.style.use("ggplot")
torch.set_printoptions(precision=4, sci_mode=False)
"""

_MAGIC_CELLS = [
    "%matplotlib inline\n!pip install -q torch\n%config InlineBackend.figure_format = 'retina'",
    "from google.colab import drive\ndrive.mount('/content/drive')",
    "!wget -q https://example.org/names.txt\nwords = open('names.txt').read().splitlines()\nlen(words)",
    "%%time\n" + FORWARD,
    *("%%timeit -n1 -r1\n" + text if number == 3 else text for number, text in enumerate(blocks())),
    "%load_ext autoreload\n%autoreload 2\n!nvidia-smi",
]

_LAYERS = {
    "dembcat": """\
        class Linear:
            \"\"\"x @ W + b, as in the lectures.\"\"\"

            def __init__(self, weight, bias=None):
                self.weight = weight
                self.bias = bias
                self._cache = None

            def forward(self, x):
                self._cache = x
                self.out = x @ self.weight + (self.bias if self.bias is not None else 0)
                return self.out

            def __call__(self, x):
                return self.forward(x)

            def backward(self, dout):
                self.dweight = self._cache.T @ dout
                self.dbias = dout.sum(0)
                return dout @ self.weight.T

            def parameters(self):
                return [self.weight] + ([] if self.bias is None else [self.bias])

        class Hidden(Linear):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.name = "hidden"

        layer = Hidden(W1, b1)
        layer.forward(embcat)
        dembcat = layer.backward(dhprebn)
        """,
    "dW1": "dW1 = layer.dweight",
    "db1": "db1 = layer.dbias",
}

_MODULES = {
    "dh": """\
        class Output(nn.Module):
            def __init__(self, weight):
                super().__init__()
                self.weight = nn.Parameter(weight)

            @torch.no_grad()
            def pull(self, upstream: torch.Tensor) -> torch.Tensor:
                return upstream @ self.weight.T

        dh = Output(W2).pull(dlogits)
        """,
    "dhpreact": "dhpreact = (1 - nn.Tanh()(hpreact).pow(2)) * dh",
}

_TYPED = {
    "dprobs": """\
        from typing import Dict, List, Optional, Tuple, Union
        from collections.abc import Callable

        def divide(upstream: torch.Tensor, x: "torch.Tensor", eps: Optional[float] = None) -> Tuple[torch.Tensor, int]:
            assert isinstance(x, torch.Tensor) and x.shape == upstream.shape, f"shapes differ: {x.shape}"
            assert type(x) is torch.Tensor
            if eps is not None:
                raise ValueError("no epsilon here")
            return upstream / x, x.ndim

        dprobs: torch.Tensor = divide(dlogprobs, probs)[0]
        """,
}

_DATACLASS = {
    "dhpreact": """\
        from dataclasses import dataclass, field

        @dataclass
        class Slope:
            value: torch.Tensor
            upstream: torch.Tensor | None = None
            notes: list = field(default_factory=list)

            @property
            def total(self) -> torch.Tensor:
                return self.value * self.upstream

        slope = Slope(value=1 - h**2, upstream=dh)
        slope.notes.append("tanh")
        dhpreact = slope.total
        """,
}

_NAMED_TUPLES = {
    "dW2": """\
        from collections import namedtuple
        from typing import NamedTuple
        Pair = namedtuple("Pair", "left right")

        class Both(NamedTuple):
            dleft: torch.Tensor
            dright: torch.Tensor

        def matmul_backward(pair, upstream):
            return Both(upstream @ pair.right.T, pair.left.T @ upstream)

        dW2 = matmul_backward(Pair(h, W2), dlogits).dright
        """,
}

_EINSUM = {
    "dh": "dh = torch.einsum('bv,hv->bh', dlogits, W2)",
    "dW2": "dW2 = torch.einsum('bh, bv -> hv', h, dlogits)",
    "dW1": "dW1 = np.einsum('ij,ik->jk', embcat.numpy(), dhprebn.numpy())\ndW1 = torch.from_numpy(dW1)",
    "dbngain": "dbngain = torch.einsum('ij,ij->j', bnraw, dhpreact).unsqueeze(0)",
    "demb": "demb = dembcat.unflatten(1, (Xb.shape[1], -1))",
}

_NUMPY = {
    "dlogprobs": "d = np.zeros_like(logprobs.detach().cpu().numpy())\n"
    "d[np.arange(len(Yb)), Yb.numpy()] -= 1.0 / len(Yb)\ndlogprobs = torch.tensor(d)",
    "db2": "db2 = torch.as_tensor(np.sum(np.asarray(dlogits), axis=0))",
    "dC": "table = np.zeros(tuple(C.shape))\n"
    "np.add.at(table, Xb.numpy().ravel(), demb.numpy().reshape(-1, table.shape[1]))\ndC = torch.from_numpy(table)",
    "dlogit_maxes": "dlogit_maxes = torch.from_numpy(-np.sum(dnorm_logits.numpy(), 1, keepdims=True))",
}

_ONE_LINERS = {
    "dcounts_sum_inv": "dcounts_sum_inv = sum((counts * dprobs)[:, [j]] for j in range(counts.shape[1]))",
    "dC": "dC = torch.stack([demb.view(-1, demb.shape[-1])[Xb.view(-1) == k].sum(0) for k in range(C.shape[0])])",
    "db2": "db2 = (lambda d: d.sum(dim=0))(dlogits)",
    "dbnbias": "*_, dbnbias = (None, dhpreact.sum(0, keepdim=True))",
    "dbnmeani": "dbnmeani = functools.reduce(operator.add, [-row for row in dbndiff]).view(1, -1)",
}

_GENERATOR = {
    "dC": """\
        def places(xb, grads):
            for i in range(xb.shape[0]):
                for j in range(xb.shape[1]):
                    yield xb[i, j].item(), grads[i, j]

        dC = torch.zeros_like(C)
        for row, (k, g_) in enumerate(places(Xb, demb)):
            while False:
                continue
            dC[k] += g_
        """,
}

_WALRUS = {
    "dcounts_sum": "if (m := counts_sum.shape[0]) > 0:\n    dcounts_sum = -dcounts_sum_inv / (sq := counts_sum**2)",
    "dhpreact": "dhpreact = dh * (1 - (t := torch.tanh(hpreact)) * t)",
}

_CHECKED = {
    name: f"try:\n    {line}\n    cmp('{name[1:]}', {name}, {name[1:]})\nexcept Exception as e:\n    print('failed', e)"
    for name, line in {
        "dprobs": "dprobs = dlogprobs / probs",
        "dh": "dh = dlogits @ W2.T",
        "demb": "demb = dembcat.view(emb.shape)",
    }.items()
}

_PLOTTED = {
    "dlogits": """\
        def watched(d, title="dlogits"):
            fig, ax = plt.subplots(figsize=(4, 4))
            im = ax.imshow(d.detach().cpu().numpy(), cmap="gray")
            ax.set_title(f"{title}: {d.abs().max():.3f}")
            plt.colorbar(im, ax=ax)
            plt.savefig("dlogits.png")
            plt.show()
            return d

        dlogits = dnorm_logits.clone()
        dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes
        dlogits = watched(dlogits)
        """,
}

_PICKY_DEVICE = """\
dev = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
dev = torch.device(dev)
"""

_TIMED = {
    "dnorm_logits": """\
        import time
        t0 = time.time()
        dnorm_logits = counts * dcounts + 0 * (time.time() - t0 > 1e9)
        print('{:.2f} s, {}'.format(time.time() - t0, type(dnorm_logits)), "%d" % n)
        """,
}

_FORMATTED = {
    "dbnraw": "texts = ['{:>8}'.format(k) for k in ('a', 'b')]\nkey = f'{texts[0].strip()!r:>5}'\n"
    "found = {key: bngain * dhpreact}\ndbnraw = found.get(key, None)",
}

_CONTEXTS = (
    "with torch.no_grad():\n    dlogprobs = torch.zeros_like(logprobs)\n    dlogprobs[range(n), Yb] = -1.0 / n\n"
    "    with torch.inference_mode():\n        dprobs = dlogprobs / probs\n"
)

_PARTIAL = {
    "dbngain": "from functools import partial\nfrom itertools import product, chain\n"
    "keep = partial(torch.sum, dim=0, keepdim=True)\ndbngain = keep(bnraw * dhpreact)",
    "dbnvar_inv": "rows = list(map(torch.Tensor.clone, bndiff * dbnraw))\n"
    "dbnvar_inv = torch.stack(rows).sum(0, keepdim=True)",
}

_SPACES = {
    "dhprebn": "from types import SimpleNamespace\nbn = SimpleNamespace(x=hprebn, dx=None)\n"
    "bn.dx = dbndiff.clone()\nbn.dx += torch.full_like(bn.x, 1 / n) * dbnmeani\ndhprebn = bn.dx",
}

_IMPORTS_INSIDE = {
    "dh": "def pull(d):\n    import numpy as np\n    import torch.nn.functional as nnf\n    from math import sqrt\n"
    "    return nnf.linear(d, W2) * np.float64(sqrt(1.0)).item()\n\ndh = pull(dlogits)",
}

_MANUAL_GRAD = {
    "dW2": "class Value:\n    def __init__(self, data):\n        self.data = data\n        self.grad = 0.0\n\n"
    "    def backward(self, upstream, other):\n        self.grad += other.T @ upstream\n\n"
    "w = Value(W2)\nw.backward(dlogits, h)\ndW2 = w.grad",
}

_PREFIX = "import functools\nimport operator\n"
_ex1 = {
    "many-imports": _MANY_IMPORTS + with_lines(cmp="under"),
    "layers": with_lines(_LAYERS, cmp="end"),
    "modules": "import torch.nn as nn\n" + with_lines(_MODULES),
    "type-hints": with_lines(_TYPED),
    "dataclass": with_lines(_DATACLASS),
    "named-tuples": with_lines(_NAMED_TUPLES),
    "einsum": with_lines(_EINSUM),
    "numpy-round-trips": with_lines(_NUMPY),
    "one-liners": _PREFIX + with_lines(_ONE_LINERS),
    "generator": with_lines(_GENERATOR),
    "walrus": with_lines(_WALRUS),
    "try-around-cmp": with_lines(_CHECKED),
    "pictures-inside": with_lines(_PLOTTED),
    "picky-about-devices": _PICKY_DEVICE
    + with_lines(
        {"dlogprobs": "dlogprobs = torch.zeros(logprobs.shape, device=dev)\ndlogprobs[range(n), Yb] = -1.0/n"}
    ),
    "timed": with_lines(_TIMED),
    "formatted-keys": with_lines(_FORMATTED),
    "no-grad-blocks": _CONTEXTS + "\n".join(with_lines().split("\n")[2:]),
    "no-grad-decorator": under("@torch.no_grad()\ndef backward():", with_lines(), "return dC") + "dC = backward()\n",
    "partial-and-map": with_lines(_PARTIAL),
    "simple-namespace": with_lines(_SPACES),
    "imports-inside": with_lines(_IMPORTS_INSIDE),
    "gradients-by-hand-in-a-grad-field": with_lines(_MANUAL_GRAD),
    "functional-under-another-name": "nnf = torch.nn.functional\nrelu, T = nnf.relu, torch.Tensor\n"
    + with_lines({"dh": "def pull(d: T) -> T:\n    return nnf.linear(d, W2)\n\ndh = pull(dlogits)"}),
    "asserts-and-globals": under(
        "def run():",
        "global dlogprobs, dprobs\n" + "\n".join(with_lines().split("\n")[:3]),
    )
    + "run()\nassert dprobs.shape == probs.shape\n"
    + "\n".join(with_lines().split("\n")[3:]),
}

STYLES: list[RightAnswer] = [
    *(RightAnswer(name, "ex1", text) for name, text in _ex1.items()),
    RightAnswer("magic-cells", "ex1", notebook(*_MAGIC_CELLS, outputs=True), ".ipynb"),
    RightAnswer(
        "whole-notebook",
        "ex1",
        notebook(
            _MANY_IMPORTS, SETUP, NETWORK, FORWARD, BACKWARD_CALL, *blocks(), "plt.hist(dh.view(-1).tolist(), 50);"
        ),
        ".ipynb",
    ),
]
