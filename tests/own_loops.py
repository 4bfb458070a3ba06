"""Whole training loops in notebooks of one's own, as people write them who know the lecture and not these lessons.

Each has its own data, sizes, rates, number of steps and batches; and slips, each with the line that makes it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Slip:
    """An edit of a right loop, what it is called, and how the line begins that is to blame."""

    old: str
    new: str
    mistake: str
    line: str


@dataclass(frozen=True)
class OwnLoop:
    """A right loop, as the cells of a notebook, and slips in it."""

    id: str
    cells: tuple[str, ...]
    slips: tuple[Slip, ...] = ()


_DATA = (
    """\
words = open('names.txt', 'r').read().splitlines()
""",
    """\
chars = sorted(list(set(''.join(words))))
stoi = {s:i+1 for i,s in enumerate(chars)}
stoi['.'] = 0
itos = {i:s for s,i in stoi.items()}
vocab_size = len(itos)
""",
    """\
block_size = 3
def build_dataset(words):
  X, Y = [], []
  for w in words:
    context = [0] * block_size
    for ch in w + '.':
      ix = stoi[ch]
      X.append(context)
      Y.append(ix)
      context = context[1:] + [ix]
  X = torch.tensor(X)
  Y = torch.tensor(Y)
  return X, Y
import random
random.seed(42)
random.shuffle(words)
n1 = int(0.8*len(words))
n2 = int(0.9*len(words))
Xtr,  Ytr  = build_dataset(words[:n1])
Xdev, Ydev = build_dataset(words[n1:n2])
Xte,  Yte  = build_dataset(words[n2:])
""",
)

_NETWORK = """\
n_embd = 10
n_hidden = 200
g = torch.Generator().manual_seed(2147483647)
C  = torch.randn((vocab_size, n_embd),            generator=g)
W1 = torch.randn((n_embd * block_size, n_hidden), generator=g) * (5/3)/((n_embd * block_size)**0.5)
b1 = torch.randn(n_hidden,                        generator=g) * 0.1
W2 = torch.randn((n_hidden, vocab_size),          generator=g) * 0.1
b2 = torch.randn(vocab_size,                      generator=g) * 0.1
bngain = torch.randn((1, n_hidden))*0.1 + 1.0
bnbias = torch.randn((1, n_hidden))*0.1
"""

_FORWARD = """\
    emb = C[Xb]
    embcat = emb.view(emb.shape[0], -1)
    hprebn = embcat @ W1 + b1
    bnmean = hprebn.mean(0, keepdim=True)
    bnvar = hprebn.var(0, keepdim=True, unbiased=True)
    bnvar_inv = (bnvar + 1e-5)**-0.5
    bnraw = (hprebn - bnmean) * bnvar_inv
    hpreact = bngain * bnraw + bnbias
    h = torch.tanh(hpreact)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Yb)
"""

_BACKWARD = """\
    dlogits = F.softmax(logits, 1)
    dlogits[range(n), Yb] -= 1
    dlogits /= n
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dhpreact = (1.0 - h**2) * dh
    dbngain = (bnraw * dhpreact).sum(0, keepdim=True)
    dbnbias = dhpreact.sum(0, keepdim=True)
    dhprebn = bngain*bnvar_inv/n * (n*dhpreact - dhpreact.sum(0) - n/(n-1)*bnraw*(dhpreact*bnraw).sum(0))
    dembcat = dhprebn @ W1.T
    dW1 = embcat.T @ dhprebn
    db1 = dhprebn.sum(0)
    demb = dembcat.view(emb.shape)
    dC = torch.zeros_like(C)
    for k in range(Xb.shape[0]):
        for j in range(Xb.shape[1]):
            ix = Xb[k,j]
            dC[ix] += demb[k,j]
    grads = [dC, dW1, db1, dW2, db2, dbngain, dbnbias]
"""

LOOPS: list[OwnLoop] = [
    OwnLoop(
        "video-nogen-break",
        (
            *_DATA,
            _NETWORK
            + """\
parameters = [C, W1, b1, W2, b2, bngain, bnbias]
for p in parameters:
  p.requires_grad = True
""",
            """\
max_steps = 200000
batch_size = 32
n = batch_size
lossi = []
with torch.no_grad():
  for i in range(max_steps):
    ix = torch.randint(0, Xtr.shape[0], (batch_size,))
    Xb, Yb = Xtr[ix], Ytr[ix]
"""
            + _FORWARD
            + """\
    for p in parameters:
      p.grad = None
"""
            + _BACKWARD
            + """\
    lr = 0.1 if i < 100000 else 0.01
    for p, grad in zip(parameters, grads):
      p.data += -lr * grad
    lossi.append(loss.log10().item())
    if i >= 100:
      break
""",
            """\
with torch.no_grad():
  emb = C[Xtr]
  embcat = emb.view(emb.shape[0], -1)
  hpreact = embcat @ W1 + b1
  bnmean = hpreact.mean(0, keepdim=True)
  bnvar = hpreact.var(0, keepdim=True, unbiased=True)
""",
        ),
        (
            Slip("n/(n-1)*bnraw", "bnraw", "path-scaled", "dhprebn ="),
            Slip("(1.0 - h**2) * dh", "(1.0 - hpreact**2) * dh", "wrong-forward-value", "dhpreact ="),
            Slip("p.data += -lr * grad", "p.data += lr * grad", "update-sign", "p.data += lr * grad"),
            Slip("dlogits /= n", "dlogits /= n - 1", "scale", "dlogits"),
        ),
    ),
    OwnLoop(
        "functions-cosine",
        (
            """\
import math
import random
from typing import Dict, List, Tuple
import requests
import torch
import torch.nn.functional as F
from tqdm import trange
""",
            """\
url = "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt"
names = requests.get(url).text.splitlines()
alphabet = ["."] + sorted(set("".join(names)))
char2idx = {c: i for i, c in enumerate(alphabet)}
idx2char = {i: c for c, i in char2idx.items()}
V = len(alphabet)
BLOCK = 3
def make_examples(names: List[str]) -> Tuple[torch.Tensor, torch.Tensor]:
    xs, ys = [], []
    for name in names:
        ctx = [0] * BLOCK
        for c in name + ".":
            xs.append(ctx)
            ys.append(char2idx[c])
            ctx = ctx[1:] + [char2idx[c]]
    return torch.tensor(xs), torch.tensor(ys)
random.seed(1337)
random.shuffle(names)
cut = int(len(names) * 0.9)
X_train, Y_train = make_examples(names[:cut])
X_val, Y_val = make_examples(names[cut:])
""",
            """\
EMB, HID, BATCH = 24, 128, 64
gen = torch.Generator().manual_seed(0)
C = torch.randn(V, EMB, generator=gen)
W1 = torch.randn(BLOCK * EMB, HID, generator=gen) * (5 / 3) / (BLOCK * EMB) ** 0.5
b1 = torch.randn(HID, generator=gen) * 0.1
W2 = torch.randn(HID, V, generator=gen) * 0.1
b2 = torch.randn(V, generator=gen) * 0.1
gamma = torch.ones(1, HID)
beta = torch.zeros(1, HID)
params = [C, W1, b1, W2, b2, gamma, beta]
""",
            """\
def forward(x: torch.Tensor, y: torch.Tensor):
    emb = C[x]
    embcat = emb.view(x.shape[0], -1)
    z = embcat @ W1 + b1
    mu = z.mean(0, keepdim=True)
    var = z.var(0, keepdim=True)
    inv = (var + 1e-5).rsqrt()
    zhat = (z - mu) * inv
    pre = gamma * zhat + beta
    h = torch.tanh(pre)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, y)
    return loss, (x, y, emb, embcat, inv, zhat, h, logits)
def backward(cache) -> List[torch.Tensor]:
    x, y, emb, embcat, inv, zhat, h, logits = cache
    n = x.shape[0]
    dlogits = F.softmax(logits, dim=1)
    dlogits[torch.arange(n), y] -= 1
    dlogits = dlogits / n
    dW2 = h.t() @ dlogits
    db2 = dlogits.sum(dim=0)
    dh = dlogits @ W2.t()
    dpre = dh * (1 - h * h)
    dgamma = (dpre * zhat).sum(dim=0, keepdim=True)
    dbeta = dpre.sum(dim=0, keepdim=True)
    dz = gamma * inv / n * (n * dpre - dbeta - n / (n - 1) * zhat * dgamma)
    dW1 = embcat.t() @ dz
    db1 = dz.sum(dim=0)
    demb = (dz @ W1.t()).view_as(emb)
    dC = torch.zeros_like(C).index_add_(0, x.flatten(), demb.flatten(0, 1))
    return [dC, dW1, db1, dW2, db2, dgamma, dbeta]
def get_lr(step: int, total: int, hi: float = 0.1, lo: float = 0.01) -> float:
    return lo + 0.5 * (hi - lo) * (1 + math.cos(math.pi * step / total))
""",
            """\
steps = 50_000
history = []
with torch.no_grad():
    for step in trange(steps):
        idx = torch.randint(0, len(X_train), (BATCH,), generator=gen)
        xb, yb = X_train[idx], Y_train[idx]
        loss, cache = forward(xb, yb)
        grads = backward(cache)
        lr = get_lr(step, steps)
        for p, dp in zip(params, grads):
            p -= lr * dp
        history.append(loss.item())
""",
        ),
        (
            Slip("dW2 = h.t() @ dlogits", "dW2 = h.t() @ dlogits / n", "scale", "dW2 ="),
            Slip("- n / (n - 1) * zhat * dgamma", "- zhat * dgamma", "path-scaled", "dz ="),
            Slip("dpre = dh * (1 - h * h)", "dpre = dh * (1 - h)", "wrong-power", "dpre ="),
            Slip("p -= lr * dp", "p += lr * dp", "update-sign", "p += lr * dp"),
        ),
    ),
    OwnLoop(
        "dict-params",
        (
            """\
import torch, random
import torch.nn.functional as F
import pandas as pd
from tqdm.notebook import tqdm
""",
            """\
df = pd.read_csv("names.csv")
words = df["name"].str.lower().tolist()
chars = sorted(set("".join(words)))
stoi = {c: i + 1 for i, c in enumerate(chars)}
stoi["."] = 0
itos = {i: c for c, i in stoi.items()}
vocab_size = len(stoi)
block_size = 3
def build(words):
    X, Y = [], []
    for w in words:
        context = [0] * block_size
        for ch in w + ".":
            X.append(context); Y.append(stoi[ch])
            context = context[1:] + [stoi[ch]]
    return torch.tensor(X), torch.tensor(Y)
random.shuffle(words)
split = int(0.8 * len(words))
X_train, y_train = build(words[:split])
X_test, y_test = build(words[split:])
""",
            """\
torch.manual_seed(42)
emb_dim, hidden, bs = 16, 100, 64
params = {
    "C": torch.randn(vocab_size, emb_dim),
    "W1": torch.randn(block_size * emb_dim, hidden) * 0.2,
    "b1": torch.randn(hidden) * 0.01,
    "W2": torch.randn(hidden, vocab_size) * 0.1,
    "b2": torch.randn(vocab_size) * 0.01,
    "bngain": torch.ones(1, hidden),
    "bnbias": torch.zeros(1, hidden),
}
""",
            """\
epochs = 5
losses = []
n_steps = 1000
for step in tqdm(range(n_steps)):
    ix = torch.randint(0, X_train.shape[0], (bs,))
    X_batch, y_batch = X_train[ix], y_train[ix]
    emb = params["C"][X_batch]
    embcat = emb.view(bs, -1)
    hprebn = embcat @ params["W1"] + params["b1"]
    bnmean = hprebn.mean(0, keepdim=True)
    bnvar = hprebn.var(0, keepdim=True)
    bnvar_inv = (bnvar + 1e-5) ** -0.5
    bnraw = (hprebn - bnmean) * bnvar_inv
    hpreact = params["bngain"] * bnraw + params["bnbias"]
    h = hpreact.tanh()
    logits = h @ params["W2"] + params["b2"]
    loss = F.cross_entropy(logits, y_batch)
    dlogits = (logits.softmax(1) - F.one_hot(y_batch, vocab_size)) / bs
    dh = dlogits @ params["W2"].T
    dhpreact = dh * (1 - h ** 2)
    dhprebn = params["bngain"] * bnvar_inv / bs * (
        bs * dhpreact - dhpreact.sum(0) - bs / (bs - 1) * bnraw * (dhpreact * bnraw).sum(0)
    )
    demb = (dhprebn @ params["W1"].T).view(emb.shape)
    grads = {
        "W2": h.T @ dlogits,
        "b2": dlogits.sum(0),
        "bngain": (bnraw * dhpreact).sum(0, keepdim=True),
        "bnbias": dhpreact.sum(0, keepdim=True),
        "W1": embcat.T @ dhprebn,
        "b1": dhprebn.sum(0),
        "C": torch.zeros_like(params["C"]).index_add_(0, X_batch.view(-1), demb.view(-1, emb_dim)),
    }
    lr = 0.1 if step < n_steps // 2 else 0.01
    for name in params:
        params[name] -= lr * grads[name]
    losses.append(loss.item())
""",
        ),
    ),
    OwnLoop(
        "while-running-stats",
        (
            *_DATA,
            _NETWORK
            + """\
bnmean_running = torch.zeros((1, n_hidden))
bnstd_running = torch.ones((1, n_hidden))
parameters = [C, W1, b1, W2, b2, bngain, bnbias]
""",
            """\
lr_at = lambda s: 0.1 if s < 100_000 else 0.01
step, max_steps = 0, 200_000
batch_size = n = 32
lossi = []
torch.set_grad_enabled(False)
while step < max_steps:
    ix = torch.randint(0, Xtr.shape[0], (batch_size,), generator=g)
    Xb, Yb = Xtr[ix], Ytr[ix]
    emb = C[Xb]
    embcat = emb.view(emb.shape[0], -1)
    hprebn = embcat @ W1 + b1
    bnmeani = hprebn.mean(0, keepdim=True)
    bnvari = hprebn.var(0, keepdim=True)
    bnvar_inv = (bnvari + 1e-5) ** -0.5
    bnraw = (hprebn - bnmeani) * bnvar_inv
    hpreact = bngain * bnraw + bnbias
    bnmean_running = 0.999 * bnmean_running + 0.001 * bnmeani
    bnstd_running = 0.999 * bnstd_running + 0.001 * bnvari.sqrt()
    h = torch.tanh(hpreact)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Yb)
    probs = F.softmax(logits, 1)
    dlogits = probs.clone()
    dlogits[torch.arange(n), Yb] -= 1.0
    dlogits *= 1.0 / n
    dW2, db2 = h.T @ dlogits, dlogits.sum(0)
    dh = dlogits @ W2.T
    dhpreact = (1 - torch.square(h)) * dh
    dbngain, dbnbias = (dhpreact * bnraw).sum(0, True), dhpreact.sum(0, True)
    dhprebn = bngain * bnvar_inv * (dhpreact - dhpreact.mean(0) - bnraw * (dhpreact * bnraw).sum(0) / (n - 1))
    dW1, db1 = embcat.T @ dhprebn, dhprebn.sum(0)
    demb = (dhprebn @ W1.T).view(n, block_size, n_embd)
    dC = torch.zeros_like(C)
    for i in range(n):
        for j in range(block_size):
            dC[Xb[i, j]] += demb[i, j]
    lr = lr_at(step)
    C -= lr * dC
    W1 -= lr * dW1
    b1 -= lr * db1
    W2 -= lr * dW2
    b2 -= lr * db2
    bngain -= lr * dbngain
    bnbias -= lr * dbnbias
    lossi.append(loss.log10().item())
    step += 1
""",
        ),
        (
            Slip("W1 -= lr * dW1", "W1 -= lr * dW1.abs()", "sign", "W1 -="),
            Slip("b2 -= lr * db2\n", "b2 -= lr * db1[:27]\n", "wrong-values", "b2 -="),
            Slip("dhpreact.mean(0)", "dhpreact.sum(0)", "path-scaled", "dhprebn ="),
            Slip("dlogits *= 1.0 / n\n", "", "exception", "dlogits"),
        ),
    ),
    OwnLoop(
        "drive-lr-list",
        (
            """\
from google.colab import drive
drive.mount('/content/drive')
%cd /content/drive/MyDrive/makemore
""",
            """\
import torch
import torch.nn.functional as F
import numpy as np
import matplotlib.pyplot as plt
%matplotlib inline
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
""",
            """\
with open('/content/drive/MyDrive/makemore/names.txt') as f:
    words = [line.strip() for line in f]
chars = ['.'] + sorted(list(set(''.join(words))))
s2i = {s: i for i, s in enumerate(chars)}
i2s = {i: s for s, i in s2i.items()}
vocab_size = len(chars)
block_size = 3
def build_dataset(words):
    X, Y = [], []
    for w in words:
        context = [0] * block_size
        for ch in w + '.':
            X.append(context)
            Y.append(s2i[ch])
            context = context[1:] + [s2i[ch]]
    return torch.tensor(X).to(device), torch.tensor(Y).to(device)
np.random.seed(42)
np.random.shuffle(words)
n1, n2 = int(0.8 * len(words)), int(0.9 * len(words))
Xtr, Ytr = build_dataset(words[:n1])
Xdev, Ydev = build_dataset(words[n1:n2])
Xte, Yte = build_dataset(words[n2:])
""",
            """\
n_embd = 12
n_hidden = 256
g = torch.Generator().manual_seed(2147483647)
C  = torch.randn((vocab_size, n_embd),            generator=g)
W1 = torch.randn((n_embd * block_size, n_hidden), generator=g) * (5/3)/((n_embd * block_size)**0.5)
b1 = torch.randn(n_hidden,                        generator=g) * 0.1
W2 = torch.randn((n_hidden, vocab_size),          generator=g) * 0.1
b2 = torch.randn(vocab_size,                      generator=g) * 0.1
bngain = torch.randn((1, n_hidden))*0.1 + 1.0
bnbias = torch.randn((1, n_hidden))*0.1
parameters = [p.to(device) for p in (C, W1, b1, W2, b2, bngain, bnbias)]
C, W1, b1, W2, b2, bngain, bnbias = parameters
""",
            """\
num_iters = 100000
bsz = 64
lrs = [0.1] * (num_iters // 2) + [0.01] * (num_iters // 2)
loss_hist = []
with torch.no_grad():
    for it in range(num_iters):
        ix = torch.randint(0, Xtr.shape[0], (bsz,), device=device)
        xb, yb = Xtr[ix], Ytr[ix]
        emb = C[xb]
        embcat = emb.reshape(bsz, -1)
        hprebn = embcat @ W1 + b1
        bnmean = hprebn.mean(0, keepdim=True)
        bnvar = hprebn.var(0, keepdim=True)
        bnvar_inv = 1 / torch.sqrt(bnvar + 1e-5)
        bnraw = (hprebn - bnmean) * bnvar_inv
        hpreact = bngain * bnraw + bnbias
        h = torch.tanh(hpreact)
        logits = h @ W2 + b2
        loss = F.cross_entropy(logits, yb)
        dlogits = torch.softmax(logits, dim=1)
        dlogits[range(bsz), yb] -= 1
        dlogits /= bsz
        dW2 = h.T @ dlogits
        db2 = dlogits.sum(0)
        dh = dlogits @ W2.T
        dhpreact = dh * (1 - h**2)
        dbngain = (dhpreact * bnraw).sum(0, keepdim=True)
        dbnbias = dhpreact.sum(0, keepdim=True)
        dbnraw = dhpreact * bngain
        dhprebn = bnvar_inv * (
            dbnraw - dbnraw.mean(0, keepdim=True) - bnraw * (dbnraw * bnraw).sum(0, keepdim=True) / (bsz - 1)
        )
        dW1 = embcat.T @ dhprebn
        db1 = dhprebn.sum(0)
        dembcat = dhprebn @ W1.T
        demb = dembcat.reshape(emb.shape)
        onehot = F.one_hot(xb.reshape(-1), num_classes=vocab_size).float()
        dC = onehot.T @ demb.reshape(-1, demb.shape[2])
        for p, dp in zip(parameters, [dC, dW1, db1, dW2, db2, dbngain, dbnbias]):
            p.sub_(lrs[it] * dp)
        loss_hist.append(loss.item())
""",
        ),
        (
            Slip(
                "dC = onehot.T @ demb.reshape(-1, demb.shape[2])",
                "dC = onehot.T @ demb.reshape(-1, demb.shape[2]) / bsz",
                "scale",
                "dC =",
            ),
            Slip(
                "[dC, dW1, db1, dW2, db2, dbngain, dbnbias]):",
                "[dC, dW1, db1, dW2, db2, dbnbias, dbngain]):",
                "wrong-order",
                "for p, dp in zip",
            ),
        ),
    ),
    OwnLoop(
        "net-object",
        (
            *_DATA,
            """\
class MLP:
    '''the network of the lecture, with a backward pass of its own'''
    def __init__(self, n_embd=10, n_hidden=200):
        g = torch.Generator().manual_seed(2147483647)
        self.C = torch.randn((vocab_size, n_embd), generator=g)
        self.W1 = torch.randn((n_embd * block_size, n_hidden), generator=g) * (5/3)/((n_embd * block_size)**0.5)
        self.b1 = torch.randn(n_hidden, generator=g) * 0.1
        self.W2 = torch.randn((n_hidden, vocab_size), generator=g) * 0.1
        self.b2 = torch.randn(vocab_size, generator=g) * 0.1
        self.bngain = torch.ones((1, n_hidden))
        self.bnbias = torch.zeros((1, n_hidden))
    def parameters(self):
        return [self.C, self.W1, self.b1, self.W2, self.b2, self.bngain, self.bnbias]
    def forward(self, X, Y):
        self.X, self.Y = X, Y
        self.emb = self.C[X]
        self.embcat = self.emb.view(X.shape[0], -1)
        self.hprebn = self.embcat @ self.W1 + self.b1
        self.mean = self.hprebn.mean(0, keepdim=True)
        self.var = self.hprebn.var(0, keepdim=True)
        self.inv = (self.var + 1e-5)**-0.5
        self.bnraw = (self.hprebn - self.mean) * self.inv
        self.hpreact = self.bngain * self.bnraw + self.bnbias
        self.h = torch.tanh(self.hpreact)
        self.logits = self.h @ self.W2 + self.b2
        return F.cross_entropy(self.logits, Y)
    def backward(self):
        n = self.X.shape[0]
        dlogits = F.softmax(self.logits, 1)
        dlogits[range(n), self.Y] -= 1
        dlogits /= n
        dh = dlogits @ self.W2.T
        dW2 = self.h.T @ dlogits
        db2 = dlogits.sum(0)
        dhpreact = (1 - self.h**2) * dh
        dbngain = (self.bnraw * dhpreact).sum(0, keepdim=True)
        dbnbias = dhpreact.sum(0, keepdim=True)
        dhprebn = self.bngain * self.inv / n * (n * dhpreact - dbnbias - n / (n - 1) * self.bnraw * dbngain)
        dW1 = self.embcat.T @ dhprebn
        db1 = dhprebn.sum(0)
        demb = (dhprebn @ self.W1.T).view(self.emb.shape)
        dC = torch.zeros_like(self.C)
        dC.index_add_(0, self.X.view(-1), demb.view(-1, demb.shape[-1]))
        return [dC, dW1, db1, dW2, db2, dbngain, dbnbias]
""",
            """\
model = MLP()
""",
            """\
max_iters = 30000
lossi = []
for it in range(max_iters):
    ix = torch.randint(0, Xtr.shape[0], (32,))
    Xb, Yb = Xtr[ix], Ytr[ix]
    loss = model.forward(Xb, Yb)
    grads = model.backward()
    lr = 0.1 if it < 20000 else 0.05 if it < 25000 else 0.01
    for p, grad in zip(model.parameters(), grads):
        p.data -= lr * grad
    lossi.append(loss.item())
""",
        ),
        (
            Slip("dW1 = self.embcat.T @ dhprebn", "dW1 = self.embcat.T @ dhpreact", "wrong-upstream", "dW1 ="),
            Slip("dlogits /= n", "dlogits /= n * n", "scale", "dlogits /="),
        ),
    ),
    OwnLoop(
        "train-function",
        (
            *_DATA,
            _NETWORK
            + """\
parameters = [C, W1, b1, W2, b2, bngain, bnbias]
""",
            """\
def train(n_steps=1000, batch_size=32, lr0=0.1):
    lossi = []
    for step in range(n_steps):
        ix = torch.randint(0, Xtr.shape[0], (batch_size,), generator=g)
        Xb, Yb = Xtr[ix], Ytr[ix]
        emb = C[Xb]
        embcat = emb.view(batch_size, -1)
        hprebn = embcat @ W1 + b1
        bnmean = hprebn.mean(0, keepdim=True)
        bnvar = hprebn.var(0, keepdim=True)
        bnvar_inv = (bnvar + 1e-5)**-0.5
        bnraw = (hprebn - bnmean) * bnvar_inv
        hpreact = bngain * bnraw + bnbias
        h = torch.tanh(hpreact)
        logits = h @ W2 + b2
        loss = F.cross_entropy(logits, Yb)
        dlogits = F.softmax(logits, 1)
        dlogits[range(batch_size), Yb] -= 1
        dlogits /= batch_size
        dh = dlogits @ W2.T
        dW2 = h.T @ dlogits
        db2 = dlogits.sum(0)
        dhpreact = (1.0 - h**2) * dh
        dbngain = (bnraw * dhpreact).sum(0, keepdim=True)
        dbnbias = dhpreact.sum(0, keepdim=True)
        dhprebn = bngain*bnvar_inv/batch_size * (
            batch_size*dhpreact - dhpreact.sum(0) - batch_size/(batch_size-1)*bnraw*(dhpreact*bnraw).sum(0)
        )
        dembcat = dhprebn @ W1.T
        dW1 = embcat.T @ dhprebn
        db1 = dhprebn.sum(0)
        demb = dembcat.view(emb.shape)
        dC = torch.zeros_like(C)
        dC.index_put_((Xb,), demb, accumulate=True)
        lr = lr0 * min(1.0, (step + 1) / 100) * (0.1 if step > 0.75 * n_steps else 1.0)
        for p, dp in zip(parameters, (dC, dW1, db1, dW2, db2, dbngain, dbnbias)):
            p.data.add_(dp, alpha=-lr)
        lossi.append(loss.item())
    return lossi
lossi = train(5000)
plt.plot(lossi)
""",
        ),
        (
            Slip(
                "dbnbias = dhpreact.sum(0, keepdim=True)",
                "dbnbias = dhpreact.mean(0, keepdim=True)",
                "scale",
                "dbnbias =",
            ),
            Slip("accumulate=True", "accumulate=False", "overwritten-rows", "dC.index_put_"),
            Slip("alpha=-lr", "alpha=lr", "update-sign", "p.data.add_"),
        ),
    ),
    OwnLoop(
        "epochs-randperm",
        (
            *_DATA,
            _NETWORK
            + """\
parameters = [C, W1, b1, W2, b2, bngain, bnbias]
""",
            """\
epochs = 2
batch_size = n = 32
losses = []
order = torch.randperm(Xtr.shape[0], generator=g)
for i in range(epochs * (Xtr.shape[0] // batch_size)):
    at = (i * batch_size) % (Xtr.shape[0] - batch_size)
    ix = order[at : at + batch_size]
    Xb, Yb = Xtr[ix], Ytr[ix]
"""
            + _FORWARD
            + _BACKWARD
            + """\
    for p, grad in zip(parameters, grads):
        p.data += -0.05 * grad
    losses.append(loss.item())
""",
        ),
        (Slip("p.data += -0.05 * grad", "p.data = p.data - 0.05 * grad * n", "learning-rate", "p.data ="),),
    ),
    OwnLoop(
        "fixed-batch",
        (
            *_DATA,
            _NETWORK
            + """\
parameters = [C, W1, b1, W2, b2, bngain, bnbias]
""",
            """\
max_steps = 1000
batch_size = n = 32
losses = []
with torch.no_grad():
  for i in range(max_steps):
    ix = torch.randint(0, Xtr.shape[0], (batch_size,), generator=g)
    Xb, Yb = Xtr[ix], Ytr[ix]
"""
            + _FORWARD
            + _BACKWARD
            + """\
    lr = 10 ** (-1 - i / max_steps)
    for p, grad in zip(parameters, grads):
        p.data += -lr * grad
    losses.append(loss.item())
""",
        ),
        (
            Slip(
                "ix = torch.randint(0, Xtr.shape[0], (batch_size,), generator=g)",
                "ix = torch.arange(batch_size)",
                "wrong-batch",
                "ix = torch.arange",
            ),
            Slip("losses.append(loss.item())", "losses.append(lr)", "wrong-losses", "losses.append"),
            Slip("p.data += -lr * grad", "p = p - lr * grad", "no-update", "p = p"),
            Slip(
                "dC, dW1, db1, dW2, db2, dbngain, dbnbias]", "dC, dW1, db1, dW2, db2, dbngain]", "no-update", "grads ="
            ),
        ),
    ),
    OwnLoop(
        "layers-of-tensors",
        (
            *_DATA,
            """\
class Linear:
    def __init__(self, weight, bias=None):
        self.weight, self.bias = weight, bias
    def __call__(self, x):
        self.x = x
        self.out = x @ self.weight
        if self.bias is not None:
            self.out = self.out + self.bias
        return self.out
    def backward(self, dout):
        self.dweight = self.x.T @ dout
        if self.bias is not None:
            self.dbias = dout.sum(0)
        return dout @ self.weight.T
    def parameters(self):
        return [self.weight] + ([] if self.bias is None else [self.bias])
    def grads(self):
        return [self.dweight] + ([] if self.bias is None else [self.dbias])
class BatchNorm1d:
    def __init__(self, gamma, beta, eps=1e-5, momentum=0.001):
        self.eps = eps
        self.momentum = momentum
        self.training = True
        self.gamma, self.beta = gamma, beta
        self.running_mean = torch.zeros_like(gamma)
        self.running_var = torch.ones_like(gamma)
    def __call__(self, x):
        if self.training:
            xmean = x.mean(0, keepdim=True)
            xvar = x.var(0, keepdim=True)
        else:
            xmean = self.running_mean
            xvar = self.running_var
        self.inv = (xvar + self.eps)**-0.5
        self.xhat = (x - xmean) * self.inv
        self.out = self.gamma * self.xhat + self.beta
        if self.training:
            with torch.no_grad():
                self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * xmean
                self.running_var = (1 - self.momentum) * self.running_var + self.momentum * xvar
        return self.out
    def backward(self, dout):
        n = dout.shape[0]
        self.dgamma = (dout * self.xhat).sum(0)
        self.dbeta = dout.sum(0)
        return self.gamma * self.inv / n * (
            n * dout - dout.sum(0) - n / (n - 1) * self.xhat * (dout * self.xhat).sum(0)
        )
    def parameters(self):
        return [self.gamma, self.beta]
    def grads(self):
        return [self.dgamma, self.dbeta]
class Tanh:
    def __call__(self, x):
        self.out = torch.tanh(x)
        return self.out
    def backward(self, dout):
        return (1 - self.out**2) * dout
    def parameters(self):
        return []
    def grads(self):
        return []
""",
            _NETWORK
            + """\
layers = [Linear(W1, b1), BatchNorm1d(bngain, bnbias), Tanh(), Linear(W2, b2)]
params = [C] + [p for layer in layers for p in layer.parameters()]
""",
            """\
max_steps = 20000
batch_size = 32
lossi = []
ud = []
for i in range(max_steps):
    ix = torch.randint(0, Xtr.shape[0], (batch_size,), generator=g)
    Xb, Yb = Xtr[ix], Ytr[ix]
    emb = C[Xb]
    x = emb.view(emb.shape[0], -1)
    for layer in layers:
        x = layer(x)
    loss = F.cross_entropy(x, Yb)
    dx = F.softmax(x, 1)
    dx[range(batch_size), Yb] -= 1
    dx /= batch_size
    for layer in reversed(layers):
        dx = layer.backward(dx)
    demb = dx.view(emb.shape)
    dC = torch.zeros_like(C)
    dC.index_add_(0, Xb.view(-1), demb.view(-1, n_embd))
    grads = [dC] + [d for layer in layers for d in layer.grads()]
    lr = 0.1 if i < 10000 else 0.01
    for p, d in zip(params, grads):
        p -= lr * d
    lossi.append(loss.log10().item())
""",
        ),
    ),
]
