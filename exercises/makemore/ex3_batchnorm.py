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
# *About 75 minutes. Difficulty 4 of 5. You need exercise 1, pen and paper.*
#
# In exercise 1 batch normalisation was seven atoms, from `bnmeani` to `hpreact`. Going back through them took nine
# lines, because `hprebn` reaches the output along several paths. Here you write the gradient of the whole layer as
# one expression: `dhprebn` from `dhpreact`.
#
# The work is on paper. You need the chain rule, some patience with sums, and one habit: ask of each variable along
# which paths it reaches the loss. The derivation stands below, in symbols and beside them with a column of three
# numbers, so that you can check each step. Try it yourself before you read it.
#
# ## A bug that really happens
#
# Somebody writes the layer by hand and treats mean and variance as constants, because "they are only statistics".
# Then the gradient is `bngain * bnvar_inv * dhpreact`, one path of three. No error appears, and all shapes fit. The
# inventors of batch normalisation saw in early experiments what follows: a step makes the bias before the layer
# larger, the layer subtracts it again with the mean, so the loss stays as it was. The gradient stays as it was,
# too, so the next step does the same. The bias grows without end, and the model blows up. At the end of this lesson
# a check finds this bug in one line, without knowing the true gradient.
#
# ## What you do
#
# There is one gradient to fill in: `dhprebn`. You get the true `dhpreact`, so you do not need your answers from
# exercise 1.
#
# <!-- dojo: makemore/ex3_batchnorm -->

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
# The batchnorm layer starts at `hprebn` and ends at `hpreact`. It treats each column, so each hidden unit, by
# itself: mean and variance are taken down the column, over the 32 examples. The variance divides by n - 1, not by
# n. That is Bessel's correction, and you will meet it in the answer.

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
# This is the upstream gradient of the layer. It is given: start from it.

# %% tags=["given"]
dhpreact = hpreact.grad.clone()

# %% [markdown]
# ### n or n - 1? The paper, PyTorch and this lesson
#
# The batchnorm paper (Ioffe and Szegedy, 2015, [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)) divides by n
# in training and by n - 1 at inference, where the variance estimates that of all data. `torch.nn.BatchNorm1d` does
# the same: it normalises with 1/n, and it keeps a running variance with 1/(n - 1). So in training it uses another
# variance than afterwards, by a factor of 31/32 for our batch. This lesson divides by n - 1 in both, as the
# makemore lecture does, so that training and inference agree. The next cell shows the three.

# %%
with torch.no_grad():
    running_mean, running_var = torch.zeros_like(bnmeani[0]), torch.zeros_like(bnvar[0])
    # momentum 1: the running statistics are those of this batch alone
    by_pytorch = F.batch_norm(hprebn, running_mean, running_var, bngain[0], bnbias[0], training=True, momentum=1.0)
    by_n = bngain * (hprebn - bnmeani) * ((n - 1) / n * bnvar + 1e-5) ** -0.5 + bnbias
    print(f"PyTorch's output and ours with n - 1 differ by {(by_pytorch - hpreact).abs().max():.4f}")
    print(f"PyTorch's output and ours with n differ by     {(by_pytorch - by_n).abs().max():.1e}")
    print(f"PyTorch's running variance and ours differ by  {(running_var - bnvar[0]).abs().max():.1e}")

# %% [markdown]
# ## On paper: names and an example
#
# The usual letters of the batchnorm paper are shorter to write than the names in the code:
#
# | letter | in the code | what it is |
# |---|---|---|
# | $x$ | `hprebn` | input of the layer |
# | $m$ | `bnmeani` | mean of the column |
# | $v$ | `bnvar` | variance of the column, with n - 1 |
# | $r$ | `bnvar_inv` | $1 / \sqrt{v + 10^{-5}}$ |
# | $\hat x$ | `bnraw` | normalised input, $(x - m)\,r$ |
# | $\gamma$, $\beta$ | `bngain`, `bnbias` | gain and bias, which are learned |
# | $y$ | `hpreact` | output, $\gamma \hat x + \beta$ |
#
# A $d$ in front means the gradient of the loss with respect to it: $dy$ is `dhpreact`, $dx$ is `dhprebn`.
#
# Each column stands alone, so one column is enough. The example has n = 3 and leaves the 1e-5 out, to keep the
# numbers round:
#
# | | example 0 | example 1 | example 2 | |
# |---|---|---|---|---|
# | $x$ | 1 | 3 | 5 | $m = 3$ |
# | $x - m$ | -2 | 0 | 2 | $v = (4 + 0 + 4) / (3 - 1) = 4$, $r = 1/2$ |
# | $\hat x$ | -1 | 0 | 1 | |
# | $dy$, upstream | 0.3 | -0.1 | 0.4 | $\gamma = 2$ |
#
# The derivation goes in the reverse order of the forward pass: $\hat x$, then the variance, then the mean, then
# $x$.

# %% [markdown]
# ## On paper, 1: the normalised input
#
# $y_i = \gamma \hat x_i + \beta$, element by element. The local derivative is the gain:
#
# $$d\hat x_i = \gamma\, dy_i$$
#
# **Numbers.** $d\hat x$ = [0.6, -0.2, 0.8].

# %% [markdown]
# ## On paper, 2: the variance
#
# $\hat x_i = (x_i - m)\, r$, with $r = (v + 10^{-5})^{-1/2}$. There is one $v$ for the whole column: it was
# broadcast to all n examples. So its gradient is a sum over all of them.
#
# The derivative of $r$ with respect to $v$ is $-\tfrac12 (v + 10^{-5})^{-3/2}$, which is $-\tfrac12 r^3$:
#
# $$dv = \sum_i d\hat x_i\,(x_i - m) \cdot \left(-\tfrac12\right) r^3$$
#
# **Numbers.** The sum is $0.6 \cdot (-2) + (-0.2) \cdot 0 + 0.8 \cdot 2 = 0.4$, and $r^3$ is 1/8. So
# $dv = 0.4 \cdot (-\tfrac12) \cdot \tfrac18 = -0.025$.

# %% [markdown]
# ## On paper, 3: the mean
#
# $m$ reaches the loss along two paths. It stands in each $\hat x_i$, and it stands inside the variance.
#
# **Directly.** The derivative of $(x_i - m)\, r$ with respect to $m$ is $-r$, for each $i$:
#
# $$dm_{\text{direct}} = -\sum_i d\hat x_i\, r$$
#
# **Through the variance.** $v$ is $1/(n-1)$ times the sum of $(x_i - m)^2$. Its derivative with respect to $m$ is
#
# $$\frac{\partial v}{\partial m} = \frac{1}{n-1} \sum_i 2\,(x_i - m)(-1) = -\frac{2}{n-1} \sum_i (x_i - m)$$
#
# But the distances from a mean sum to zero: the sum of $x$ is $n m$, and $n m - n m = 0$. So
# $\partial v / \partial m = 0$, and this whole path vanishes, whatever $dv$ is.
#
# **Numbers.** Direct: $-(0.6 - 0.2 + 0.8) \cdot \tfrac12 = -0.6$. Through the
# variance: $-0.025 \cdot (-1) \cdot (-2 + 0 + 2) = 0$. Together $dm = -0.6$.
#
# You can see why. The mean is the place from which the squared distances are smallest, the bottom of a valley. And
# at the bottom of a valley the slope is zero. The next cell measures it: the sum of squares around a centre that
# moves past the mean.

# %%
column = torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)
for centre in (2.9, 2.99, 3.0, 3.01, 3.1):
    squares = ((column - centre) ** 2).sum().item()
    print(f"centre {centre:4.2f}: sum of squares / (n - 1) = {squares / 2:.5f}")

# %% [markdown]
# Around 3 the value changes with the square of the step: a step of 0.01 changes it by 0.00015, a step of 0.1 by
# 0.015. The slope is zero there.

# %% [markdown]
# ## On paper, 4: the input, along three paths
#
# $x_i$ reaches the loss through $\hat x_i$, through the mean, and through the variance. Its gradient is the sum of
# the three.
#
# **Through** $\hat x$. The derivative of $(x_i - m)\, r$ with respect to $x_i$ is $r$. This brings $d\hat x_i\, r$.
#
# **Through the mean.** $m$ is $1/n$ times the sum of $x$, so each $x_i$ gets an n-th of $dm$. This brings $dm / n$.
#
# **Through the variance.** The derivative of $v$ with respect to $x_i$, with $m$ held still, is
# $2\,(x_i - m)/(n-1)$. This brings $dv \cdot 2\,(x_i - m)/(n-1)$. Why is $m$ held still? Because what passes
# through $m$ is counted on the mean's path already.
#
# $$dx_i = d\hat x_i\, r + \frac{dm}{n} + dv\, \frac{2\,(x_i - m)}{n-1}$$
#
# **Numbers.**
#
# | | example 0 | example 1 | example 2 |
# |---|---|---|---|
# | through $\hat x$: $d\hat x \cdot \tfrac12$ | 0.30 | -0.10 | 0.40 |
# | through the mean: $-0.6 / 3$ | -0.20 | -0.20 | -0.20 |
# | through the variance: $-0.025 \cdot 2\,(x - m) / 2$ | 0.05 | 0.00 | -0.05 |
# | $dx$, the sum | 0.15 | -0.30 | 0.15 |

# %% [markdown]
# The next cell draws the layer with its three paths. Follow one number from `hprebn` to `bnraw`. An arrow with two
# numbers belongs to two paths. There is one more path, through the mean into the variance: `bnmeani`, `bndiff`,
# `bndiff2`. It is the one that brings zero.

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
# Put $d\hat x$, $dm$ and $dv$ into the sum. On the third path there are two factors $x - m$, one with the index $i$
# and one inside the sum of $dv$, and there is $r^3$. Give one factor $r$ to each of the two, because $(x - m)\, r$
# is $\hat x$. One factor $r$ remains. The 2 and the $\tfrac12$ cancel:
#
# $$dv\,\frac{2\,(x_i - m)}{n-1} = -\frac{\gamma\, r}{n-1}\; \hat x_i \sum_j dy_j\, \hat x_j$$
#
# Now take the common factor $\gamma\, r / n$ out of all three:
#
# $$dx_i = \frac{\gamma\, r}{n} \left( n\, dy_i - \sum_j dy_j - \frac{n}{n-1}\, \hat x_i \sum_j dy_j\, \hat x_j \right)$$
#
# Nothing was approximated. The 1e-5 is inside $r$, and it stays there.
#
# The $n/(n-1)$ is there because the mean divides by n and the variance by n - 1. If the variance divided by n, the
# factor would be 1. That is the formula in the paper and in many texts, and it is wrong for this forward pass.
#
# **Numbers.** $\gamma\, r / n = 2 \cdot \tfrac12 / 3 = 1/3$. The sum of $dy$ is 0.6. The sum of $dy\, \hat x$ is
# $-0.3 + 0.4 = 0.1$, and $n/(n-1)$ is 1.5.
#
# | | example 0 | example 1 | example 2 |
# |---|---|---|---|
# | $n\, dy$ | 0.90 | -0.30 | 1.20 |
# | minus the sum of $dy$ | -0.60 | -0.60 | -0.60 |
# | minus $1.5 \cdot \hat x \cdot 0.1$ | 0.15 | 0.00 | -0.15 |
# | together | 0.45 | -0.90 | 0.45 |
# | times 1/3: $dx$ | 0.15 | -0.30 | 0.15 |
#
# These are the same three numbers as along the three paths. The next cell finds them once more, without any
# formula: it moves each $x$ by a millionth and measures how much the sum of $dy \cdot y$ moves.

# %%
upstream = torch.tensor([0.3, -0.1, 0.4], dtype=torch.float64)


def column_score(values):
    normalised = (values - values.mean()) * values.var() ** -0.5
    return (upstream * 2 * normalised).sum().item()


tiny = 1e-6
column_slopes = []
for place in range(3):
    nudge = torch.zeros(3, dtype=torch.float64)
    nudge[place] = tiny
    slope = (column_score(column + nudge) - column_score(column - nudge)) / (2 * tiny)
    column_slopes.append(slope)
    print(f"slope at x[{place}]: {slope:7.4f}")

# %% [markdown]
# ## On paper, 6: two checks that need no computer
#
# Batchnorm ignores two changes of its input, and the gradient has to know it.
#
# - **Shift a column.** Add one number to all of it: the mean moves along, and nothing else changes. So a column of
#   $dx$ sums to zero: 0.15 - 0.30 + 0.15 = 0.
# - **Widen a column.** Double the distances from the mean: the standard deviation doubles, and $\hat x$ stays as it
#   was. So $dx \cdot \hat x$ sums to zero: -0.15 + 0 + 0.15 = 0. (In the network the 1e-5 disturbs this a little.)
#
# The second check finds a forgotten $n/(n-1)$. With the factor 1 the third line of the table is [0.10, 0, -0.10],
# the result is [0.40, -0.90, 0.50] / 3, and times $\hat x$ it sums to 0.10 / 3 = 0.0333
# instead of zero. The first check does not notice: 0.40 - 0.90 + 0.50 = 0. And a gradient that has lost two of its
# paths fails both: [0.30, -0.10, 0.40] sums to 0.6.

# %% [markdown]
# ## dhprebn
#
# Forward, in four lines: mean and variance of `hprebn` (32, 64) over the rows, `bnraw` (32, 64), and
# `hpreact = bngain * bnraw + bnbias` (32, 64).
#
# The answer is made from `dhpreact` (32, 64), `bngain` (1, 64), `bnvar_inv` (1, 64), `bnraw` (32, 64) and `n`. It
# has the shape of `hprebn`, (32, 64). In place of the one column of the example there are 64 columns side by side,
# so each sum over $j$ runs down a column.
#
# Ask yourself: over which dimension of `dhpreact` (32, 64) does each of the two sums run, what shape does it have,
# and to which shape is it broadcast?
#
# An answer that repeats the atoms of exercise 1 is right, too, and it passes. The grader then tells you how many
# tensor operations it takes, and how many the one-line formula takes.

# %% tags=["backward"]
dhprebn = ...

# %%
cmp("hprebn", dhprebn, hprebn)

# %% [markdown]
# ## What to expect from the check
#
# In float32 a right answer differs from autograd by about 1e-9 and is rarely bit-exact, because your expression
# rounds differently. `exact: False` with such a difference is a right answer.
#
# A forgotten $n/(n-1)$ is a small error: with n = 32 and this batch 2.8 thousandths of the largest element of the
# gradient, and with six other seeds 2.4 to 6.1 thousandths. It shows as `approximate: False` here. In larger batches
# it shrinks with 1/n, and a comparison with a fixed tolerance begins to let it pass. So the grader compares relative
# to the size of the gradient, in float64.
#
# The next cell runs the two checks from "On paper, 6" on your answer.

# %%
if isinstance(dhprebn, torch.Tensor):
    size = dhprebn.detach().abs().sum(0).max().item()
    shift = dhprebn.detach().sum(0).abs().max().item()
    widening = (dhprebn.detach() * bnraw.detach()).sum(0).abs().max().item()
    print(f"largest column sum of |dhprebn|:         {size:.1e}")
    print(f"largest column sum of dhprebn:           {shift:.1e}")
    print(f"largest column sum of dhprebn * bnraw:   {widening:.1e}")
else:
    print("dhprebn is not filled in yet: there is nothing to check.")

# %% [markdown]
# The second and the third number should be at least ten thousand times smaller than the first. Without the $n/(n-1)$
# the third is only 193 times smaller.
#
# ## What to take along
#
# - Ask along which paths a variable reaches the loss, and add up what each of them brings.
# - What a layer ignores in its input, its gradient must ignore as well. That is a check which needs no truth.
# - The three paths belong together: the mean and the variance are no constants.
#
# ## What comes next
#
# Look at the two sums in the formula once more. The sum of `dhpreact` over the rows is the gradient of `bnbias`,
# and the sum of `dhpreact` times `bnraw` is the gradient of `bngain`. A training loop needs both anyway, so there
# they cost nothing. In [exercise 4](ex4_training.ipynb) you write that loop.

# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhprebn: hint 1</summary>
#
# Take the last formula of "On paper, 5" and replace its letters by names, with the table in "names and an example".
# What has the index i is a (32, 64) tensor. What becomes of the sum over j when there are 64 columns?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhprebn: hint 2</summary>
#
# Two sums over dimension 0: of `dhpreact`, and of `dhpreact` times `bnraw`. Each gives 64 numbers, of shape
# (64,) or, with `keepdim=True`, (1, 64). Both broadcast against (32, 64), and each column meets its own
# sum. `bngain` and `bnvar_inv` are (1, 64) and broadcast in the same way. A sum over dimension 1 would have
# 32 numbers, one per example; a sum without a dimension would mix all columns.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhprebn: hint 3</summary>
#
# Check it with the example: n = 3, dhpreact (0.3, -0.1, 0.4), bnraw (-1, 0, 1), bngain 2 and bnvar_inv 1/2 must
# give (0.15, -0.30, 0.15). If you get (0.133, -0.3, 0.167), the n/(n-1) is missing. If the columns of your answer
# do not sum to zero, look at the dimension of your sums and at the brackets: one factor multiplies all three terms.
#
# </details>
