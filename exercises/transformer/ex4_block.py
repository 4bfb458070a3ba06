# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Transformer 4: a block, from the loss to the embeddings
#
# *About 90 minutes. Difficulty 4 of 5. You need lessons 1 to 3 of this track.*
#
# You have softmax, layer normalisation and attention. Two parts are missing for a GPT: a small network for each
# token (the MLP), and the **residual** path that carries a token past each part. This lesson puts all of it
# together, with embeddings below and a loss on top, and you walk from `dlogits` down to both embedding tables.
# After it there is no line of a GPT whose gradient you have not written.
#
# ## A bug that really happens
#
# Somebody refactors a model and writes `x = attention(norm(x))` where `x = x + attention(norm(x))` stood. With one
# block the loss still falls, so the tests pass. With twelve blocks it hardly moves. The residual path is what lets
# the gradient reach the first layers, because a sum passes the upstream gradient on unchanged, however deep it is.
# The last cell of this lesson measures it. In a backward pass by hand the same slip, one of two paths lost, is
# among the most common of all.
#
# ```text
# wte --> tok --+
#               +--> x0 --+---------------------------> x1 --+------------------------> x2 --> logits --> loss
# wpe --> pos --+         |                             ^    |                          ^
#                         +--> ln1 --> attention --> att     +--> ln2 --> MLP --> mlp --+
# ```
#
# <!-- dojo: transformer/ex4_block -->

# %% tags=["colab"]
import sys

if "google.colab" in sys.modules:  # Colab brings torch; elsewhere nothing is installed here
    light = "click jinja2 jupytext msgspec nbformat platformdirs pyyaml restrictedpython rich tqdm watchfiles"
    # %pip install -q {light}
    # %pip install -q --no-deps backprop-dojo
try:
    from grader import cmp
except ImportError as problem:  # not installed, or another package has this name
    raise SystemExit(f"Backprop Dojo is not here ({problem}). Run: pip install backprop-dojo") from None

# %% tags=["setup"]
import math

import torch
import torch.nn.functional as F

from grader import cmp, load_text

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
n_batch = 4
n_tokens = 6
n_context = 8
n_embd = 10
n_heads = 2

# %% [markdown]
# ## The data
#
# A text is one long row of symbols. By default it is the list of names with a line break after each, so there
# are 27 symbols: the break and 26 letters. A batch is B pieces of T symbols from random places. The label of
# each symbol is the one that follows it, so each piece holds T examples at once: this is why the mask matters.

# %% tags=["setup"]
text = load_text()
symbols = sorted(set(text))
stoi = {symbol: index for index, symbol in enumerate(symbols)}
data = torch.tensor([stoi[symbol] for symbol in text])
V = len(symbols)

# %% [markdown]
# ## The parameters
#
# B = 4 texts, T = 6 tokens, E = 10 numbers a token, H = 2 heads of D = 5, V = 27 symbols. The MLP is four times
# as wide as a token, 40. The model could read 8 tokens at a time, so its position table has 8 rows; this batch
# uses 6 of them.
#
# | name | shape | what it is |
# |---|---|---|
# | `wte`, `wpe` | (27, 10), (8, 10) | a row for each symbol, a row for each position |
# | `gain1`, `bias1`, `gain2`, `bias2` | (10,) | of the two layer normalisations |
# | `Wq`, `Wk`, `Wv`, `Wo`, `bo` | (10, 10), `bo` (10,) | attention and its projection |
# | `W1`, `b1`, `W2`, `b2` | (10, 40), (40,), (40, 10), (10,) | the MLP |
# | `Wout`, `bout` | (10, 27), (27,) | from a token to the scores of the next symbol |
# | `u`, `up` | (4, 6, 10) | for part 5 alone: the input of another activation, and its upstream gradient |

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


B, T, E, H = n_batch, n_tokens, n_embd, n_heads
D = E // H
wte = draw(V, E)
wpe = draw(n_context, E)
gain1 = draw(E) * 0.1 + 1.0
bias1 = draw(E) * 0.1
Wq = draw(E, E) * E**-0.5
Wk = draw(E, E) * E**-0.5
Wv = draw(E, E) * E**-0.5
Wo = draw(E, E) * E**-0.5
bo = draw(E) * 0.1
gain2 = draw(E) * 0.1 + 1.0
bias2 = draw(E) * 0.1
W1 = draw(E, 4 * E) * E**-0.5
b1 = draw(4 * E) * 0.1
W2 = draw(4 * E, E) * (4 * E) ** -0.5
b2 = draw(E) * 0.1
Wout = draw(E, V) * 0.1
bout = draw(V) * 0.1
u = draw(B, T, E)
parameters = [wte, wpe, gain1, bias1, Wq, Wk, Wv, Wo, bo, gain2, bias2, W1, b1, W2, b2, Wout, bout, u]
for p in parameters:
    p.requires_grad = True
up = draw(B, T, E)
later = torch.ones(T, T, dtype=torch.bool, device=device).triu(1)

starts = torch.randint(0, len(data) - T, (B,), generator=g)
places = starts[:, None] + torch.arange(T)
Xb, Yb = data[places].to(device), data[places + 1].to(device)
n = B * T

# %% [markdown]
# ## The forward pass
#
# Read it from top to bottom with the picture beside it. Layer normalisation comes *before* each part here, as
# in GPT-2, so that the residual path from `x0` to `x2` has nothing on it but two sums.

# %% tags=["forward"]
tok = wte[Xb]  # (4, 6, 10)
pos = wpe[:T]  # (6, 10)
x0 = tok + pos  # (4, 6, 10)
rstd1 = (x0.var(-1, unbiased=False, keepdim=True) + 1e-5) ** -0.5  # (4, 6, 1)
hat1 = (x0 - x0.mean(-1, keepdim=True)) * rstd1  # (4, 6, 10)
ln1 = hat1 * gain1 + bias1  # (4, 6, 10)
q = (ln1 @ Wq).view(B, T, H, D).transpose(1, 2)  # (4, 2, 6, 5)
k = (ln1 @ Wk).view(B, T, H, D).transpose(1, 2)  # (4, 2, 6, 5)
v = (ln1 @ Wv).view(B, T, H, D).transpose(1, 2)  # (4, 2, 6, 5)
scores = q @ k.transpose(-2, -1) * D**-0.5  # (4, 2, 6, 6)
weights = torch.softmax(scores.masked_fill(later, float("-inf")), -1)  # (4, 2, 6, 6)
heads = weights @ v  # (4, 2, 6, 5)
joined = heads.transpose(1, 2).reshape(B, T, E)  # (4, 6, 10)
att = joined @ Wo + bo  # (4, 6, 10)
x1 = x0 + att  # (4, 6, 10)
rstd2 = (x1.var(-1, unbiased=False, keepdim=True) + 1e-5) ** -0.5  # (4, 6, 1)
hat2 = (x1 - x1.mean(-1, keepdim=True)) * rstd2  # (4, 6, 10)
ln2 = hat2 * gain2 + bias2  # (4, 6, 10)
pre = ln2 @ W1 + b1  # (4, 6, 40)
act = torch.relu(pre)  # (4, 6, 40)
mlp = act @ W2 + b2  # (4, 6, 10)
x2 = x1 + mlp  # (4, 6, 10)
logits = x2 @ Wout + bout  # (4, 6, 27)
ce = F.cross_entropy(logits.view(-1, V), Yb.view(-1))  # ()
inner = (2 / math.pi) ** 0.5 * (u + 0.044715 * u**3)  # (4, 6, 10)
act2 = 0.5 * u * (1 + torch.tanh(inner))  # (4, 6, 10)
loss = ce + (act2 * up).sum()  # ()

# %%
print(f"cross-entropy {ce.item():.4f}   log of {V} symbols {math.log(V):.4f}")
for tensor in list(globals().values()):
    if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
        tensor.retain_grad()
loss.backward()

# %% [markdown]
# The cross-entropy is 3.41. A model that knows nothing gives each of the 27 symbols the same probability, and its
# loss is log 27 = 3.2958. If yours starts far above this number, its last layer was drawn too large.
#
# # Part 1: the loss and the output layer
#
# ### Idea: one example is one token
#
# In makemore a row was an example, and the mean divided by the number of rows. Here a batch of 4 texts of 6
# tokens holds 24 examples, because each token predicts the one after it. `F.cross_entropy` sees a (24, 27), so
# the mean divides by 24.
#
# If you divide by 4 instead, every gradient is 6 times too large, and it grows with the length of the text.
# Nothing breaks: training only behaves as if the learning rate were 6 times as high.
#
# ## dlogits
#
# `ce = F.cross_entropy(logits.view(-1, V), Yb.view(-1))`: () from (4, 6, 27), with the labels `Yb` (4, 6)
#
# Ask yourself: which dimension of `logits` (4, 6, 27) holds the scores of one token, and how many examples are
# there?

# %% tags=["backward"]
dlogits = ...

# %%
cmp("logits", dlogits, logits)

# %% [markdown]
# ## dWout, dbout, dx2
#
# `logits = x2 @ Wout + bout`: (4, 6, 27) from (4, 6, 10), (10, 27) and (27,)
#
# Ask yourself: over which dimensions of `logits` (4, 6, 27) was `bout` (27,) broadcast?

# %% tags=["backward"]
dWout = ...
dbout = ...
dx2 = ...

# %%
cmp("Wout", dWout, Wout)
cmp("bout", dbout, bout)
cmp("x2", dx2, x2)

# %% [markdown]
# # Part 2: the MLP and its residual

# %%
from grader import show_graph

show_graph("transformer/ex4_block", globals(), names="x1 rstd2 hat2 ln2 W1 b1 pre act W2 b2 mlp x2 logits".split())

# %% [markdown]
# ### Idea: a residual passes the gradient to both sides
#
# `x2 = x1 + mlp`. If a number of `x1` goes up by 0.01, the same number of `x2` goes up by 0.01; the same is true of
# `mlp`. So the upstream gradient goes to both unchanged. But `x1` feeds `mlp` too, through the normalisation and
# the MLP, so later a second path comes back to it. With numbers: let `y = x + branch` with `branch = 3x`. An
# upstream gradient of 0.5 brings 0.5 directly and 0.5 * 3 = 1.5 through the branch, together 2.0. If you forget the
# direct path you get 1.5; if you forget the branch, 0.5. Both train, but badly.
#
# ## dmlp, dW2, db2, dact
#
# `x2 = x1 + mlp`: (4, 6, 10) from (4, 6, 10) and (4, 6, 10)
#
# `mlp = act @ W2 + b2`: (4, 6, 10) from (4, 6, 40), (40, 10) and (10,)
#
# Ask yourself: what does a sum send to `mlp` (4, 6, 10)? And which three rules of part 1 follow?

# %% tags=["backward"]
dmlp = ...
dW2 = ...
db2 = ...
dact = ...

# %%
cmp("mlp", dmlp, mlp)
cmp("W2", dW2, W2)
cmp("b2", db2, b2)
cmp("act", dact, act)

# %% [markdown]
# ### Idea: relu is a gate
#
# `relu` passes a positive number on and replaces a negative one by 0. So the gate is open, with the slope 1, where
# `pre` was positive, and closed, with the slope 0, where it was not. For pre = (2, -3, 0.5) and upstream (0.1, 0.2,
# 0.3) the gradient is (0.1, 0, 0.3). A unit that is negative for every token of every batch never gets a gradient
# again. It is called dead.
#
# ## dpre, dW1, db1, dln2
#
# `act = torch.relu(pre)`: (4, 6, 40) from (4, 6, 40)
#
# `pre = ln2 @ W1 + b1`: (4, 6, 40) from (4, 6, 10), (10, 40) and (40,)
#
# Ask yourself: which numbers of `pre` (4, 6, 40) changed `act`, and what is the slope there multiplied by?

# %% tags=["backward"]
dpre = ...
dW1 = ...
db1 = ...
dln2 = ...

# %%
cmp("pre", dpre, pre)
cmp("W1", dW1, W1)
cmp("b1", db1, b1)
cmp("ln2", dln2, ln2)

# %% [markdown]
# ## dgain2, dbias2, dx1
#
# `ln2 = hat2 * gain2 + bias2`: (4, 6, 10) from (4, 6, 10), (10,) and (10,); `hat2` is `x1`, normalised, as in lesson 2
#
# `x2 = x1 + mlp`: (4, 6, 10) from (4, 6, 10) and (4, 6, 10), the residual
#
# `x1` (4, 6, 10) reaches the loss on two paths: past the MLP, and through it. Their gradients add up.
#
# Ask yourself: which gradient arrives past the MLP? And what is $d$ in the formula of lesson 2?

# %% tags=["backward"]
dgain2 = ...
dbias2 = ...
dx1 = ...

# %%
cmp("gain2", dgain2, gain2)
cmp("bias2", dbias2, bias2)
cmp("x1", dx1, x1)

# %% [markdown]
# # Part 3: attention and its residual

# %%
inner_names = "x0 rstd1 hat1 ln1 Wq Wk Wv q k v scores weights heads joined Wo bo att x1".split()
show_graph("transformer/ex4_block", globals(), names=inner_names)

# %% [markdown]
# ## datt, dWo, dbo, djoined
#
# `x1 = x0 + att`: (4, 6, 10) from (4, 6, 10) and (4, 6, 10)
#
# `att = joined @ Wo + bo`: (4, 6, 10) from (4, 6, 10), (10, 10) and (10,)
#
# Ask yourself: which four lines of part 2 have the same form, and which tensor here takes the part of `act`
# (4, 6, 40)?

# %% tags=["backward"]
datt = ...
dWo = ...
dbo = ...
djoined = ...

# %%
cmp("att", datt, att)
cmp("Wo", dWo, Wo)
cmp("bo", dbo, bo)
cmp("joined", djoined, joined)

# %% [markdown]
# ## dheads, dweights, dv
#
# `joined = heads.transpose(1, 2).reshape(B, T, E)`: (4, 6, 10) from (4, 2, 6, 5)
#
# `heads = weights @ v`: (4, 2, 6, 5) from (4, 2, 6, 6) and (4, 2, 6, 5)
#
# Ask yourself: in which order are the two steps of `joined` (4, 6, 10) undone, and which shape is in between?

# %% tags=["backward"]
dheads = ...
dweights = ...
dv = ...

# %%
cmp("heads", dheads, heads)
cmp("weights", dweights, weights)
cmp("v", dv, v)

# %% [markdown]
# ## dscores, dq, dk
#
# `weights = torch.softmax(scores.masked_fill(later, float("-inf")), -1)`: (4, 2, 6, 6) from (4, 2, 6, 6)
#
# `scores = q @ k.transpose(-2, -1) * D**-0.5`: (4, 2, 6, 6) from (4, 2, 6, 5) twice
#
# Ask yourself: along which dimension of `weights` (4, 2, 6, 6) do the numbers sum to 1? And for which of `q` and
# `k` is dscores transposed?

# %% tags=["backward"]
dscores = ...
dq = ...
dk = ...

# %%
cmp("scores", dscores, scores)
cmp("q", dq, q)
cmp("k", dk, k)

# %% [markdown]
# ## dWq, dWk, dWv, dln1
#
# `q = (ln1 @ Wq).view(B, T, H, D).transpose(1, 2)`: (4, 2, 6, 5) from (4, 6, 10) and (10, 10)
#
# Product, view and transpose are one line here. Undo them from the right: transpose, reshape, then the product.
# The rows of a (24, 10) are the tokens, so name the three joined gradients first, and use each twice.
#
# Ask yourself: how many lines read `ln1` (4, 6, 10), and so how many paths lead back to it?

# %% tags=["backward"]
dWq = ...
dWk = ...
dWv = ...
dln1 = ...

# %%
cmp("Wq", dWq, Wq)
cmp("Wk", dWk, Wk)
cmp("Wv", dWv, Wv)
cmp("ln1", dln1, ln1)

# %% [markdown]
# ## dgain1, dbias1, dx0
#
# `ln1 = hat1 * gain1 + bias1`: (4, 6, 10) from (4, 6, 10), (10,) and (10,); `hat1` is `x0`, normalised
#
# `x1 = x0 + att`: (4, 6, 10) from (4, 6, 10) and (4, 6, 10), the residual
#
# Ask yourself: which two paths lead back to `x0` (4, 6, 10), and which of them needs no work?

# %% tags=["backward"]
dgain1 = ...
dbias1 = ...
dx0 = ...

# %%
cmp("gain1", dgain1, gain1)
cmp("bias1", dbias1, bias1)
cmp("x0", dx0, x0)

# %% [markdown]
# # Part 4: the two embedding tables
#
# ### Idea: one position serves all texts
#
# `tok` (4, 6, 10) holds a row for each token. `pos` (6, 10) holds a row for each position, and the same six
# rows are added to all four texts: a broadcast over dimension 0. So its gradient is a sum over dimension 0.
#
# Two texts of two tokens with one number each, upstream ((1, 2), (3, 4)): position 0 gets 1 + 3 = 4, position 1
# gets 2 + 4 = 6. A slip that is easy to make is a mean over the texts, (2, 3). It looks harmless, because the
# position table still learns, only B times too slowly.
#
# ## dtok, dpos
#
# `x0 = tok + pos`: (4, 6, 10) from (4, 6, 10) and (6, 10)
#
# Ask yourself: which of `tok` (4, 6, 10) and `pos` (6, 10) was broadcast, and over which dimension?

# %% tags=["backward"]
dtok = ...
dpos = ...

# %%
cmp("tok", dtok, tok)
cmp("pos", dpos, pos)

# %% [markdown]
# ## dwpe
#
# `pos = wpe[:T]`: (6, 10) from (8, 10)
#
# A slice takes the first six rows. The other two were not used.
#
# Ask yourself: which shape must the gradient of `wpe` have, and what stands in its last two rows?

# %% tags=["backward"]
dwpe = ...

# %%
cmp("wpe", dwpe, wpe)

# %% [markdown]
# ## dwte
#
# `tok = wte[Xb]`: (4, 6, 10) from (27, 10), with the indices `Xb` (4, 6)
#
# This is `dC` of makemore: a lookup scatters, and rows that were used more than once add up. Among 24 letters of
# names some are the same, for example several a.
#
# Ask yourself: to which row of `dwte` (27, 10) does each of the 24 rows of `dtok` go?

# %% tags=["backward"]
dwte = ...

# %%
cmp("wte", dwte, wte)

# %% [markdown]
# The gradient of the position table as a picture. A line is a position; the last two are empty, because no text
# of this batch is that long.

# %%
from grader import plots

if isinstance(dwpe, torch.Tensor):
    plots.show(plots.gradient_image(dwpe, name="dwpe"))
else:
    print("dwpe is not filled in yet: there is nothing to draw.")

# %% [markdown]
# # Part 5: GELU, a softer gate
#
# GPT-2 uses another activation than relu. GELU multiplies a number by the probability that a number drawn from the
# normal distribution is smaller: $u \, \Phi(u)$. Large numbers pass, very negative ones become 0, and near zero the
# change is smooth. So a unit that is a little negative still gets a gradient. GPT-2 computes it with tanh
# (Hendrycks and Gimpel, 2016):
#
# $$ inner = \sqrt{2 / \pi} \, (u + 0.044715 \, u^3) \qquad act_2 = \tfrac12 u \, (1 + \tanh(inner)) $$
#
# The number u stands in two places of the second formula, so there are two paths:
#
# - directly, as a factor: $\tfrac12 (1 + \tanh(inner))$;
# - through the tanh: $\tfrac12 u \, (1 - \tanh^2(inner))$, times the slope of `inner`, which is
#   $\sqrt{2 / \pi} \, (1 + 3 \cdot 0.044715 \, u^2)$.
#
# At u = 1: inner is 0.8336, its tanh 0.6824, the value 0.8412. Directly 0.8412. Through the tanh 0.5 * (1 - 0.4657) *
# 0.9049 = 0.2418. Together 1.0830: steeper than relu.

# %%
paper_u = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
paper_inner = ((2 / math.pi) ** 0.5 * (paper_u + 0.044715 * paper_u**3)).item()
(paper_slope,) = torch.autograd.grad(F.gelu(paper_u, approximate="tanh"), paper_u)
print(f"value {F.gelu(paper_u, approximate='tanh').item():.4f}   slope {paper_slope.item():.4f}")

# %% [markdown]
# You get the true upstream gradient.

# %% tags=["given"]
dact2 = up.clone()  # (4, 6, 10)

# %% [markdown]
# ## du
#
# `inner = (2 / math.pi) ** 0.5 * (u + 0.044715 * u**3)`: (4, 6, 10) from (4, 6, 10)
#
# `act2 = 0.5 * u * (1 + torch.tanh(inner))`: (4, 6, 10) from (4, 6, 10) and (4, 6, 10)
#
# Ask yourself: in how many places does `u` (4, 6, 10) stand, and what does each path bring?

# %% tags=["backward"]
du = ...

# %%
cmp("u", du, u)

# %% [markdown]
# # What the residual is good for
#
# The next cell stacks twelve MLPs with small random weights, once with the residual and once without. At the
# top every number has the gradient 1. How much of it arrives at the bottom?

# %%
watcher = torch.Generator().manual_seed(seed)
stack = [torch.randn((2, E, E), generator=watcher, dtype=x0.dtype) * 0.5 * E**-0.5 for _ in range(12)]
at_bottom = {}
for residual in (True, False):
    bottom = torch.randn((24, E), generator=torch.Generator().manual_seed(seed), dtype=x0.dtype).requires_grad_()
    top = bottom
    for first, second in stack:
        branch = torch.relu(top @ first) @ second
        top = top + branch if residual else branch
    (reached,) = torch.autograd.grad(top.sum(), bottom)
    at_bottom[residual] = reached.abs().mean().item()
    print(f"{'with' if residual else 'without':8} the residual: mean size at the bottom {at_bottom[residual]:.1e}")

# %% [markdown]
# With the residual the mean size at the bottom is 1.1, without it
# 4.1e-11: such a layer does not learn. A normalisation in each block softens the
# fall; only the residual takes it away.
#
# ## What to take along
#
# - One example is one token: the mean of the loss divides by B * T.
# - A residual adds the upstream gradient to what comes back through the branch. Forget one of the two, and
#   training goes on, only worse.
# - Biases and gains sum over texts and tokens, the position table over texts, the token table by lookup.
# - relu is a gate: the slope is 1 or 0. GELU has two paths, because u stands in its formula twice.
# - Everything between `dlogits` and `dwte` was lesson 1, 2 or 3 again, or makemore.
#
# Grade the file with `dojo grade`. In [the next lesson](ex5_gpt_training.ipynb) two such blocks learn to write.

# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()

# %% [raw] tags=["grading"]
# batch = "n_batch"
# sizes = [
#     {"n_batch": 3, "n_tokens": 5, "n_context": 7, "n_embd": 8, "n_heads": 2},
#     {"n_batch": 2, "n_tokens": 4, "n_context": 5, "n_embd": 9, "n_heads": 3},
#     {"n_batch": 5, "n_tokens": 3, "n_context": 6, "n_embd": 14, "n_heads": 2},
# ]

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 1</summary>
#
# Exercise 2 of makemore: softmax minus one at the label, over the number of examples. One example is one token.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 2</summary>
#
# Softmax over the last dimension, (4, 6, 27). Minus a one-hot tensor of the same shape, from Yb (4, 6) and V
# classes. Divided by B * T, which is n here.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 3</summary>
#
# A number to check by: at a label with the probability 0.05 the answer is (0.05 - 1) / 24 = -0.0396. If you get
# -0.2375, you divided by the 4 texts.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dWout, dbout, dx2: hint 1</summary>
#
# A weight and a bias serve every token of every text. What does that mean for their gradients?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dWout, dbout, dx2: hint 2</summary>
#
# dWout (10, 27): x2 as (24, 10), transposed, times dlogits as (24, 27). dbout (27,): the sum of dlogits over the
# two dimensions 0 and 1. dx2 (4, 6, 10): dlogits times Wout transposed.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dWout, dbout, dx2: hint 3</summary>
#
# Check by two tokens of one number and one symbol: x2 2 and 3, Wout 4, upstream 10 and 100. dWout must be 320,
# dbout 110, and dx2 40 and 400.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dmlp, dW2, db2, dact: hint 1</summary>
#
# A sum passes the upstream gradient on unchanged. After that it is a weight, a bias and an input again.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dmlp, dW2, db2, dact: hint 2</summary>
#
# dmlp is dx2. dW2 (40, 10): act as (24, 40), transposed, times dmlp as (24, 10). db2 (10,): sum over dimensions
# 0 and 1. dact (4, 6, 40): dmlp times W2 transposed.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dmlp, dW2, db2, dact: hint 3</summary>
#
# dmlp has the numbers of dx2, but let it be a tensor of its own, with `clone()`. Then compare with dWout, dbout and
# dx2: act stands where x2 stood, W2 where Wout stood, and dmlp where dlogits stood.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dpre, dW1, db1, dln2: hint 1</summary>
#
# First the gate: where was it open? Then weight, bias and input, as for the other layer of the MLP.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dpre, dW1, db1, dln2: hint 2</summary>
#
# dpre (4, 6, 40) is dact where pre > 0, and 0 elsewhere: multiply by the comparison. dW1 (10, 40): ln2 as (24,
# 10), transposed, times dpre as (24, 40). db1 (40,): sum over dimensions 0 and 1. dln2 (4, 6, 10): dpre times
# W1 transposed.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dpre, dW1, db1, dln2: hint 3</summary>
#
# In the example pre = (2, -3, 0.5) with dact (0.1, 0.2, 0.3) must give (0.1, 0, 0.3). In a product true counts as 1
# and false as 0. Then compare with your lines for dW2, db2 and dact.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain2, dbias2, dx1: hint 1</summary>
#
# Lesson 2, part 3, gives the path through the normalisation. The residual gives the other one, without any
# work.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain2, dbias2, dx1: hint 2</summary>
#
# dgain2 (10,) and dbias2 (10,): sums over dimensions 0 and 1, with hat2 and without. With d = dln2 * gain2, the
# path through the normalisation is rstd2 (4, 6, 1) times (d - mean of d - hat2 * mean of d * hat2), means over
# the last dimension, kept. Add dx2 (4, 6, 10).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain2, dbias2, dx1: hint 3</summary>
#
# Check the path through the normalisation by the token (1, 3, 8) of lesson 2: d = (3, 0, 0) gives (0.3266, -0.4573,
# 0.1306). If dx2 is 1 at its three places, dx1 is then (1.3266, 0.5427, 1.1306).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>datt, dWo, dbo, djoined: hint 1</summary>
#
# A residual, then a layer with weight and bias. You have written the same four lines for the MLP.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>datt, dWo, dbo, djoined: hint 2</summary>
#
# datt is dx1. dWo (10, 10): joined as (24, 10), transposed, times datt as (24, 10). dbo (10,): sum over
# dimensions 0 and 1. djoined (4, 6, 10): datt times Wo transposed.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>datt, dWo, dbo, djoined: hint 3</summary>
#
# Compare with your lines for dmlp, dW2, db2 and dact: dx1 stands where dx2 stood, joined where act stood, and Wo
# where W2 stood. Let datt be a clone, so that dx1 stays as it is.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dheads, dweights, dv: hint 1</summary>
#
# Lesson 3, part 2. First cut the channels of djoined into heads again, in the right order.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dheads, dweights, dv: hint 2</summary>
#
# dheads: djoined viewed as (4, 6, 2, 5), dimensions 1 and 2 exchanged. dweights: dheads (4, 2, 6, 5) times v
# transposed in its last two dimensions. dv: weights transposed in its last two dimensions times dheads.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dheads, dweights, dv: hint 3</summary>
#
# With the numbers of lesson 3: the tokens (1, 2, 3, 4) and (5, 6, 7, 8) of djoined become head 0 with (1, 2) and
# (5, 6). Then compare with dwh and dvh of that lesson.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dscores, dq, dk: hint 1</summary>
#
# Softmax: upstream minus its weighted mean, times the weight. Then a query sums along its row, and a key along
# its column.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dscores, dq, dk: hint 2</summary>
#
# dscores: weights times (dweights minus the sum of dweights times weights over the last dimension, kept). dq:
# dscores (4, 2, 6, 6) @ k (4, 2, 6, 5). dk: dscores transposed in its last two dimensions @ q. Both times D to
# the power -0.5.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dscores, dq, dk: hint 3</summary>
#
# A row with the weights (0.25, 0.75) and dweights (2, 6) must give (-0.75, 0.75). And with the queries 1, 2, the
# keys 3, 4 and dscores ((0.1, 0.2), (0.3, 0.4)), dq is 1.1 and 2.5 and dk is 0.7 and 1.0, before the factor.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dWq, dWk, dWv, dln1: hint 1</summary>
#
# Put the heads of one token side by side again before you multiply. Then three weights, and an input with three
# paths.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dWq, dWk, dWv, dln1: hint 2</summary>
#
# dq joined: dimensions 1 and 2 exchanged, then reshape to (24, 10). dWq (10, 10): ln1 as (24, 10), transposed,
# times it. dln1: the sum over q, k and v of the joined gradient times the transposed weight, (24, 10), viewed
# as (4, 6, 10).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dWq, dWk, dWv, dln1: hint 3</summary>
#
# With the numbers of lesson 3: head 0 with (1, 2) and (5, 6), head 1 with (3, 4) and (7, 8) must become the rows
# (1, 2, 3, 4) and (5, 6, 7, 8). If a row is (1, 2, 5, 6), the transpose is missing. Then compare with dWq and dx of
# that lesson.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain1, dbias1, dx0: hint 1</summary>
#
# The same as dgain2, dbias2 and dx1, one part further down.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain1, dbias1, dx0: hint 2</summary>
#
# dgain1 (10,) and dbias1 (10,): sums over dimensions 0 and 1. With d = dln1 * gain1, the path through the
# normalisation is rstd1 times (d - mean of d - hat1 * mean of d * hat1). Add dx1 for the residual, (4, 6, 10).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain1, dbias1, dx0: hint 3</summary>
#
# Compare with your lines for dgain2, dbias2 and dx1: dx1 stands where dx2 stood, and each 2 in the other names
# becomes a 1.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dtok, dpos: hint 1</summary>
#
# A sum passes the gradient on to both. But one of the two has a dimension less than the upstream gradient.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dtok, dpos: hint 2</summary>
#
# dtok (4, 6, 10) is dx0 as it is. dpos (6, 10) is dx0 summed over dimension 0, which is not kept.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dtok, dpos: hint 3</summary>
#
# In the example position 0 gets 4 and position 1 gets 6. If yours are 2 and 3, you took a mean. dtok has the
# numbers of dx0; let it be a clone.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dwpe: hint 1</summary>
#
# A row that was not used cannot change the loss.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dwpe: hint 2</summary>
#
# Zeros like wpe (8, 10), and dpos (6, 10) in its first T rows.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dwpe: hint 3</summary>
#
# With a table of three rows of which two are used, and dpos 4 and 6, the answer is 4, 6 and 0. You can assign to a
# slice as well as read it.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dwte: hint 1</summary>
#
# Each row of dtok goes back to the row of wte from which it was copied. What happens when two go to the same row?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dwte: hint 2</summary>
#
# Zeros like wte (27, 10). `index_add_` along dimension 0 takes a flat list of 24 row numbers and 24 rows of 10
# numbers.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dwte: hint 3</summary>
#
# A table of three rows of one number, the symbols 0, 2, 0 and the upstream gradients 1, 3, 10: the answer is 11,
# 0, 3. If row 0 is 10, the second lookup has overwritten the first.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>du: hint 1</summary>
#
# There is one path for each line that reads u. The path through the tanh has three factors.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>du: hint 2</summary>
#
# Name t = tanh(inner). The direct path: 0.5 * (1 + t). The other: 0.5 * u * (1 - t squared) times the slope of
# inner, root of 2 / pi times (1 + 3 * 0.044715 * u squared). Their sum times dact2, all (4, 6, 10).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>du: hint 3</summary>
#
# At u = 1 with dact2 = 1 the answer is 1.0830. If you get 0.8412, the path through the tanh is missing. If you get
# 0.2418, the direct one is.
#
# </details>
