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
# # Exercise 3: batchnorm in one step
#
# In exercise 1 batchnorm was seven atoms, from `bnmeani` to `hpreact`. Going back through them took nine
# lines, because `hprebn` reaches the output by several paths. Here you write the gradient of the whole
# layer as one expression: `dhprebn` from `dhpreact`.
#
# The work is on paper. You need the chain rule, some patience with sums, and the habit of asking for every
# variable: on which paths does it reach the loss? The derivation stands below, first in symbols and beside
# them with a column of three numbers, so that you can check each step. Try it yourself before you read it.
#
# There is one gradient to fill in: `dhprebn`. You get the true `dhpreact`, so your answers from exercise 1
# are not needed.
#
# <!-- dojo: makemore/ex3_batchnorm -->

# %% tags=["setup"]
import torch
import torch.nn.functional as F

from grader import build_dataset, cmp, load_names, split_names

# %% [markdown]
# ## Sizes, data, parameters
#
# As in exercises 1 and 2: three letters of context, embeddings of 10 numbers, 64 hidden units, a batch of
# 32.

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
alphabet = "abcdefghijklmnopqrstuvwxyz"
block_size = 3
batch_size = 32
n_embd = 10
n_hidden = 64

# %% tags=["setup"]
words = load_names(alphabet=alphabet)
train_words, validation_words, test_words = split_names(words)
Xtr, Ytr = build_dataset(train_words, block_size, alphabet)
itos = dict(enumerate("." + alphabet))
stoi = {symbol: index for index, symbol in itos.items()}
vocab_size = len(itos)

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


C = draw(vocab_size, n_embd)
W1 = draw(n_embd * block_size, n_hidden) * (5 / 3) / (n_embd * block_size) ** 0.5
b1 = draw(n_hidden) * 0.1
W2 = draw(n_hidden, vocab_size) * 0.1
b2 = draw(vocab_size) * 0.1
bngain = draw(1, n_hidden) * 0.1 + 1.0
bnbias = draw(1, n_hidden) * 0.1
parameters = [C, W1, b1, W2, b2, bngain, bnbias]
for p in parameters:
    p.requires_grad = True

n = batch_size
ix = torch.randint(0, Xtr.shape[0], (n,), generator=g)
Xb, Yb = Xtr[ix].to(device), Ytr[ix].to(device)

# %% [markdown]
# ## The forward pass
#
# The batchnorm layer starts at `hprebn` and ends at `hpreact`. Every column (every hidden unit) is treated
# on its own: mean and variance are taken down the column, over the 32 examples. The variance divides by n -
# 1, not by n. That is Bessel's correction, and it leaves its mark on the answer.

# %% tags=["forward"]
emb = C[Xb]  # (32, 3, 10)
embcat = emb.view(n, -1)  # (32, 30)
hprebn = embcat @ W1 + b1  # (32, 64)
bnmeani = 1 / n * hprebn.sum(0, keepdim=True)  # (1, 64)
bndiff = hprebn - bnmeani  # (32, 64)
bndiff2 = bndiff**2  # (32, 64)
bnvar = 1 / (n - 1) * bndiff2.sum(0, keepdim=True)  # (1, 64)
bnvar_inv = (bnvar + 1e-5) ** -0.5  # (1, 64)
bnraw = bndiff * bnvar_inv  # (32, 64)
hpreact = bngain * bnraw + bnbias  # (32, 64)
h = torch.tanh(hpreact)  # (32, 64)
logits = h @ W2 + b2  # (32, 27)
loss = F.cross_entropy(logits, Yb)  # ()

# %% [markdown]
# PyTorch now computes the true gradient of every tensor above. Your answer is compared with it.

# %%
for tensor in list(globals().values()):
    if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
        tensor.retain_grad()
loss.backward()

# %% [markdown]
# This is the gradient that arrives at the layer from above. It is given: start from it.

# %% tags=["given"]
dhpreact = hpreact.grad.clone()

# %% [markdown]
# ## On paper: names and an example
#
# The usual letters of the batchnorm paper are shorter to write than the names in the code:
#
# | letter | in the code | what it is |
# |---|---|---|
# | x | `hprebn` | input of the layer |
# | m | `bnmeani` | mean of the column |
# | v | `bnvar` | variance of the column, with n - 1 |
# | r | `bnvar_inv` | 1 / sqrt(v + 1e-5) |
# | xhat | `bnraw` | normalised input, (x - m) r |
# | gain, bias | `bngain`, `bnbias` | learned scale and shift |
# | y | `hpreact` | output, gain xhat + bias |
#
# A `d` in front means the gradient of the loss with respect to it: dy is `dhpreact`, dx is `dhprebn`.
#
# Since every column stands alone, one column is enough. The example has n = 3 and leaves the 1e-5 out, so
# that the numbers stay round:
#
# | | example 0 | example 1 | example 2 | |
# |---|---|---|---|---|
# | x | 1 | 3 | 5 | m = 3 |
# | x - m | -2 | 0 | 2 | v = (4 + 0 + 4) / (3 - 1) = 4, r = 1/2 |
# | xhat | -1 | 0 | 1 | |
# | dy, from above | 0.3 | -0.1 | 0.4 | gain = 2 |
#
# The order of the derivation is the reverse of the forward pass: xhat, then the variance, then the mean,
# then x.

# %% [markdown]
# ## On paper, 1: xhat
#
# `y = gain xhat + bias`, element by element. The local derivative is the gain:
#
# ```text
# dxhat[i] = gain dy[i]
# ```
#
# **Numbers.** dxhat = [0.6, -0.2, 0.8].

# %% [markdown]
# ## On paper, 2: the variance
#
# `xhat[i] = (x[i] - m) r`, with r = (v + 1e-5)^(-1/2). One v serves the whole column: it was broadcast to
# all n examples. So its gradient is a sum over all of them.
#
# The derivative of r with respect to v is -1/2 (v + 1e-5)^(-3/2), and (v + 1e-5)^(-3/2) is r^3:
#
# ```text
# dv = sum over i of dxhat[i] (x[i] - m) * (-1/2) r^3
# ```
#
# **Numbers.** The sum is 0.6 * (-2) + (-0.2) * 0 + 0.8 * 2 = 0.4. r^3 is 1/8. dv = 0.4 * (-1/2) * 1/8 =
# -0.025.

# %% [markdown]
# ## On paper, 3: the mean
#
# m reaches the loss by two paths. It stands in the numerator of every xhat[i], and it stands inside the
# variance.
#
# **Directly.** The derivative of (x[i] - m) r with respect to m is -r, for each i:
#
# ```text
# dm, direct = - sum over i of dxhat[i] r
# ```
#
# **Through the variance.** v is 1/(n-1) times the sum of (x[i] - m)^2. Its derivative with respect to m is
#
# ```text
# dv/dm = 1/(n-1) * sum over i of 2 (x[i] - m) (-1) = -2/(n-1) * sum over i of (x[i] - m)
# ```
#
# The deviations from a mean always sum to zero: the sum of x is n m, and n m - n m = 0. So dv/dm = 0, and
# this whole path vanishes, whatever dv is.
#
# **Numbers.** Direct: -(0.6 - 0.2 + 0.8) * 1/2 = -0.6. Through the variance: dv times -2/2 times (-2 + 0 +
# 2), which is -0.025 * (-1) * 0 = 0. dm = -0.6.
#
# There is a picture behind it. The mean is the place from which the squared deviations are smallest. At the
# bottom of a valley the slope is zero. The next cell measures it: the sum of squares around a centre that
# moves past the mean.

# %%
column = torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)
for centre in (2.9, 2.99, 3.0, 3.01, 3.1):
    squares = ((column - centre) ** 2).sum().item()
    print(f"centre {centre:4.2f}: sum of squares / (n - 1) = {squares / 2:.5f}")

# %% [markdown]
# Around 3 the value changes with the square of the step: a step of 0.01 changes it by 0.00015, a step of
# 0.1 by 0.015. The slope is zero there.

# %% [markdown]
# ## On paper, 4: x, by three routes
#
# x[i] reaches the loss through xhat[i], through the mean, and through the variance. The gradient is the sum
# of the three.
#
# **Through xhat.** The derivative of (x[i] - m) r with respect to x[i] is r: `dxhat[i] r`.
#
# **Through the mean.** m is 1/n times the sum of x, so each x[i] gets 1/n of dm: `dm / n`.
#
# **Through the variance.** The derivative of v with respect to x[i], with m held still, is 2 (x[i] - m) /
# (n - 1): `dv * 2 (x[i] - m) / (n - 1)`. Here m is held still because what goes through m was counted on
# the mean's route.
#
# ```text
# dx[i] = dxhat[i] r  +  dm / n  +  dv * 2 (x[i] - m) / (n - 1)
# ```
#
# **Numbers.**
#
# | | example 0 | example 1 | example 2 |
# |---|---|---|---|
# | through xhat: dxhat * 1/2 | 0.30 | -0.10 | 0.40 |
# | through the mean: -0.6 / 3 | -0.20 | -0.20 | -0.20 |
# | through the variance: -0.025 * 2 (x - m) / 2 | 0.05 | 0.00 | -0.05 |
# | dx, the sum | 0.15 | -0.30 | 0.15 |

# %% [markdown]
# The next cell draws the layer with its three routes. Follow one number from `hprebn` to `bnraw`; an arrow with
# two numbers belongs to two routes. One more way could be walked, through the mean into the variance, by
# `bnmeani`, `bndiff` and `bndiff2`. It is the one whose contribution is zero.

# %%
from grader import show_graph

layer = "hprebn bnmeani bndiff bndiff2 bnvar bnvar_inv bnraw bngain bnbias hpreact".split()
three_paths = {
    "through xhat": ["hprebn", "bndiff", "bnraw"],
    "through the mean": ["hprebn", "bnmeani", "bndiff", "bnraw"],
    "through the variance": ["hprebn", "bndiff", "bndiff2", "bnvar", "bnvar_inv", "bnraw"],
}
show_graph("ex3", globals(), names=layer, paths=three_paths)

# %% [markdown]
# ## On paper, 5: one expression
#
# Put dxhat, dm and dv into the sum. In the third route (x[i] - m) appears twice, once with the index i and
# once inside the sum of dv, and there are three factors r. One r goes to each (x - m) and makes it an xhat.
# One r is left. The 2 cancels the 1/2:
#
# ```text
# third route = gain * (-1/2) r^3 * (sum over j of dy[j] (x[j] - m)) * 2 (x[i] - m) / (n - 1)
#             = - gain r / (n - 1) * xhat[i] * (sum over j of dy[j] xhat[j])
# ```
#
# Now take gain r / n out of all three routes:
#
# ```text
# dx[i] = gain r / n * (   n dy[i]
#                        - sum over j of dy[j]
#                        - n/(n-1) * xhat[i] * (sum over j of dy[j] xhat[j])   )
# ```
#
# Nothing was approximated. The 1e-5 is inside r, and it stays there.
#
# The n/(n-1) comes from two different counts: the mean divides by n, the variance by n - 1. With a variance
# that divides by n the factor would be 1. That is the version in many texts, and it is not right for this
# forward pass.
#
# **Numbers.** gain r / n is 2 * 1/2 / 3 = 1/3. The sum of dy is 0.6. The sum of dy times xhat is -0.3 + 0.4
# = 0.1, and n/(n-1) is 1.5.
#
# | | example 0 | example 1 | example 2 |
# |---|---|---|---|
# | n dy | 0.90 | -0.30 | 1.20 |
# | minus the sum of dy | -0.60 | -0.60 | -0.60 |
# | minus 1.5 * xhat * 0.1 | 0.15 | 0.00 | -0.15 |
# | together | 0.45 | -0.90 | 0.45 |
# | times 1/3: dx | 0.15 | -0.30 | 0.15 |
#
# The same three numbers as by the three routes. The next cell finds them a third time, without any formula:
# it moves each x by a millionth and watches the sum of dy times y.

# %%
upstream = torch.tensor([0.3, -0.1, 0.4], dtype=torch.float64)


def column_score(values):
    normalised = (values - values.mean()) * values.var() ** -0.5
    return (upstream * 2 * normalised).sum().item()


tiny = 1e-6
for place in range(3):
    nudge = torch.zeros(3, dtype=torch.float64)
    nudge[place] = tiny
    slope = (column_score(column + nudge) - column_score(column - nudge)) / (2 * tiny)
    print(f"slope at x[{place}]: {slope:7.4f}")

# %% [markdown]
# ## On paper, 6: two checks that need no computer
#
# Batchnorm ignores two things, and the gradient has to know it.
#
# - **A shift.** Adding one number to the whole column moves the mean by it and changes nothing else. So a
#   column of dx sums to zero: 0.15 - 0.30 + 0.15 = 0.
# - **A stretch.** Doubling the distances from the mean doubles the standard deviation and leaves xhat as it
#   is. So dx times xhat sums to zero: -0.15 + 0 + 0.15 = 0. (In the network the 1e-5 disturbs this a
#   little.)
#
# The second check finds a forgotten n/(n-1). With the factor 1 the middle part is [0.10, 0, -0.10], the
# result is [0.40, -0.90, 0.50] / 3, and times xhat it sums to 0.10 / 3 = 0.0333 instead of zero. The first
# check does not notice: 0.40 - 0.90 + 0.50 = 0.

# %% [markdown]
# ## dhprebn
#
# Forward, in four lines: mean and variance of `hprebn` (32, 64) over the rows, `bnraw` (32, 64), and
# `hpreact = bngain * bnraw + bnbias` (32, 64).
#
# The answer depends on `dhpreact` (32, 64), `bngain` (1, 64), `bnvar_inv` (1, 64), `bnraw` (32, 64) and
# `n`. It has the shape of `hprebn`, (32, 64). The column of the example becomes 64 columns side by side:
# each sum over j runs down a column.
#
# Ask yourself: over which dimension is each of the two sums, what shape does it have, and to what is it
# broadcast?
#
# An answer that repeats the atoms of exercise 1 is right too, and it passes. The grader then tells you how
# many tensor operations it takes, and how many the one-line formula takes.

# %% [markdown] tags=["hint"]
# Take the formula for dx[i] in "On paper, 5" and replace the letters by the names in the table above it.
# Everything with the index i is a (32, 64) tensor. What becomes of "sum over j" when there are 64 columns?

# %% [markdown] tags=["hint"]
# Two sums over dimension 0: of `dhpreact`, and of `dhpreact` times `bnraw`. Each gives 64 numbers, of shape
# (64,) or, with `keepdim=True`, (1, 64). Both broadcast against (32, 64), and each column meets its own
# sum. `bngain` and `bnvar_inv` are (1, 64) and broadcast in the same way. A sum over dimension 1 would have
# 32 numbers, one per example; a sum without a dimension would mix all columns.

# %% [markdown] tags=["hint"]
# One factor times one bracket. The factor is `bngain` times `bnvar_inv`, divided by n. The bracket has
# three terms: n times `dhpreact`; minus the column sums of `dhpreact`; minus the product of n/(n-1),
# `bnraw`, and the column sums of `dhpreact` times `bnraw`. In the last term the product with `bnraw` occurs
# twice, once inside the sum and once outside.

# %% tags=["backward"]
dhprebn = (
    bngain * bnvar_inv / n
    * (n * dhpreact - dhpreact.sum(0) - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))
)

# %%
cmp("hprebn", dhprebn, hprebn)

# %% [markdown]
# ## What to expect from the check
#
# In float32 a right answer differs from autograd by about 1e-9 and is rarely bit-exact: your expression
# rounds in other places than autograd's. `exact: False` with such a difference is a right answer.
#
# A forgotten n/(n-1) is a small error: with n = 32, between four and ten thousandths of the largest
# gradient. It shows as `approximate: False` here. In larger batches it shrinks with 1/n, and a comparison
# with a fixed tolerance begins to let it through. The grader compares relative to the size of the gradient,
# in float64.
#
# The next cell runs the two checks from "On paper, 6" on your answer.

# %%
if isinstance(dhprebn, torch.Tensor):
    size = dhprebn.detach().abs().sum(0).max().item()
    shift = dhprebn.detach().sum(0).abs().max().item()
    stretch = (dhprebn.detach() * bnraw.detach()).sum(0).abs().max().item()
    print(f"largest column sum of |dhprebn|:         {size:.1e}")
    print(f"largest column sum of dhprebn:           {shift:.1e}")
    print(f"largest column sum of dhprebn * bnraw:   {stretch:.1e}")
else:
    print("dhprebn is not filled in yet: there is nothing to check.")

# %% [markdown]
# The second and the third number should be at least ten thousand times smaller than the first. Without the
# n/(n-1) the third is only about 150 times smaller.
#
# ## What comes next
#
# Look at the two sums in the formula once more. The sum of `dhpreact` over the rows is the gradient of
# `bnbias`, and the sum of `dhpreact` times `bnraw` is the gradient of `bngain`. A training loop needs both
# anyway. In exercise 4 you write that loop.
