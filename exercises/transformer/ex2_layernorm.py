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
# # Transformer 2: layer normalisation
#
# *About 45 minutes. Difficulty 3 of 5. You need the makemore lessons on atoms and batch normalisation.*
#
# A transformer normalises its numbers before each of its parts, so that a deep network can be trained at all.
# Batch normalisation will not do there. It takes the mean of a column over all examples of the batch, so what
# the network says about one text would depend on the other texts of the batch, and at inference there is no
# batch. Layer normalisation takes the mean over the numbers of *one token* instead. Each token stands alone, in
# training and afterwards (Ba, Kiros and Hinton, 2016).
#
# ## A bug that really happens
#
# Somebody rewrites a published model by hand and loads its weights. They write `x.var(-1)` for the variance. The
# model runs, and its text is nearly right. But `torch.var` divides by E - 1, and layer normalisation divides by E.
# With 16 numbers a token the result is 3.2 percent too small, in each layer. With the 768 numbers of the small
# GPT-2 it is 0.07 percent. No plot shows so little, but it happens twice in each of twelve blocks. No error is
# raised, because both are variances. The cure is `unbiased=False`, and knowing why.
#
# The same is true of the gradient: forget one of its three paths, and training goes on, only worse. You will write
# it twice: first one atom at a time, because there you see each path, then the whole layer in one expression,
# because that is what a fast implementation computes.
#
# | part | what you differentiate | gradients |
# |---|---|---|
# | 1: gain and bias | `y = xhat * gain + bias` | `dy`, `dgain`, `dbias` |
# | 2: the atoms | from `xhat` down to `x`, line by line | `dxhat`, `drstd`, `dvar`, `ddiff2`, `ddiff`, `dmean`, `dx` |
# | 3: one step | from `out` to `h`, the whole layer | `dgain2`, `dbias2`, `dh` |
#
# <!-- dojo: transformer/ex2_layernorm -->

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

from grader import cmp

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
n_batch = 4
n_tokens = 8
n_embd = 16

# %% [markdown]
# ## The tensors
#
# Text comes as (B, T, E): B texts at a time, T tokens in each, E numbers for each token. Here (4, 8, 16).
#
# | name | shape | what it is |
# |---|---|---|
# | `x`, `h` | (4, 8, 16) | the inputs of two layers: `x` for parts 1 and 2, `h` for part 3 |
# | `gain`, `bias` | (16,) | of the first layer: one factor and one shift for each of the E places |
# | `gain2`, `bias2` | (16,) | of the second layer |
# | `goal` | (4, 8, 16) | what both layers should give; it makes a loss |

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


B, T, E = n_batch, n_tokens, n_embd
x = draw(B, T, E) * 1.5 + 0.5
h = draw(B, T, E) * 0.8 - 0.3
gain = draw(E) * 0.1 + 1.0
bias = draw(E) * 0.1
gain2 = draw(E) * 0.1 + 1.0
bias2 = draw(E) * 0.1
goal = draw(B, T, E)
for p in [x, h, gain, bias, gain2, bias2]:
    p.requires_grad = True
n = B

# %% [markdown]
# ## The forward pass
#
# The first layer in atoms, the second in four lines, then the loss: the mean squared distance from the goal. A
# sum over dimension -1 runs over the 16 numbers of a token, and `keepdim=True` keeps a 1 in this place, so that
# the next line can broadcast it.

# %% tags=["forward"]
mean = x.sum(-1, keepdim=True) / E  # (4, 8, 1)
diff = x - mean  # (4, 8, 16)
diff2 = diff**2  # (4, 8, 16)
var = diff2.sum(-1, keepdim=True) / E  # (4, 8, 1)
rstd = (var + 1e-5) ** -0.5  # (4, 8, 1)
xhat = diff * rstd  # (4, 8, 16)
y = xhat * gain + bias  # (4, 8, 16)
hmean = h.mean(-1, keepdim=True)  # (4, 8, 1)
hrstd = (h.var(-1, unbiased=False, keepdim=True) + 1e-5) ** -0.5  # (4, 8, 1)
hhat = (h - hmean) * hrstd  # (4, 8, 16)
out = hhat * gain2 + bias2  # (4, 8, 16)
loss = ((y - goal) ** 2).mean() + ((out - goal) ** 2).mean()  # ()

# %% [markdown]
# The first layer as a graph. Two arrows leave `x`, and two leave `diff`: there two paths come together on the way back.

# %%
from grader import show_graph

show_graph("transformer/ex2_layernorm", globals(), names="x mean diff diff2 var rstd xhat gain bias y".split())

# %% [markdown]
# Is it really PyTorch's layer? The next cell compares `y` with `F.layer_norm`, and then with a variance that
# divides by E - 1.

# %%
with torch.no_grad():
    by_pytorch = F.layer_norm(x, (E,), gain, bias, eps=1e-5)
    by_bessel = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-5).sqrt() * gain + bias
    print(f"1/E:       largest difference {(y - by_pytorch).abs().max():.1e}")
    print(f"1/(E - 1): largest difference {(by_bessel - by_pytorch).abs().max():.1e}")

# %%
for tensor in list(globals().values()):
    if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
        tensor.retain_grad()
loss.backward()

# %% [markdown]
# # Part 1: gain and bias
#
# ## dy
#
# `loss = ((y - goal) ** 2).mean() + ...`: () from (4, 8, 16)
#
# Ask yourself: how many numbers of `y` (4, 8, 16) does the mean average?

# %% tags=["backward"]
dy = ...

# %%
cmp("y", dy, y)

# %% [markdown]
# ### Idea: broadcast over two dimensions, sum over two dimensions
#
# In makemore a bias of shape (64,) was added to 32 rows, so its gradient was a sum over dimension 0. Here
# `gain` (16,) meets `xhat` (4, 8, 16): the same 16 factors serve each of the 8 tokens of each of the 4 texts.
# So they are broadcast over dimensions 0 *and* 1, and their gradient is a sum over both.
#
# Two texts of two tokens with one number each, upstream ((1, 2), (3, 4)) and xhat ((1, -1), (1, -1)). The bias
# gets 1 + 2 + 3 + 4 = 10. The gain gets 1 * 1 - 2 * 1 + 3 * 1 - 4 * 1 = -2. A sum over dimension 0 alone would
# give two numbers, (4, 6), for a bias that has one.
#
# ## dgain, dbias
#
# `y = xhat * gain + bias`: (4, 8, 16) from (4, 8, 16), (16,) and (16,)
#
# Ask yourself: for `gain` and for `bias`, both (16,), what is multiplied before it is summed, and what is only
# summed?

# %% tags=["backward"]
dgain = ...
dbias = ...

# %%
cmp("gain", dgain, gain)
cmp("bias", dbias, bias)

# %% [markdown]
# # Part 2: back through the atoms
#
# ## dxhat
#
# `y = xhat * gain + bias`: (4, 8, 16) from (4, 8, 16), (16,) and (16,)
#
# This is the other factor of the same product.
#
# Ask yourself: what is `xhat` (4, 8, 16) multiplied by, and is there anything to sum?

# %% tags=["backward"]
dxhat = ...

# %%
cmp("xhat", dxhat, xhat)

# %% [markdown]
# ## drstd
#
# `xhat = diff * rstd`: (4, 8, 16) from (4, 8, 16) and (4, 8, 1)
#
# One number `rstd` for each token, broadcast over its 16 places. Batch normalisation had one number for each
# *column*; here it is one for each row of 16, so the sum runs along another dimension.
#
# Ask yourself: over which dimension was `rstd` (4, 8, 1) broadcast?

# %% tags=["backward"]
drstd = ...

# %%
cmp("rstd", drstd, rstd)

# %% [markdown]
# ## dvar
#
# `rstd = (var + 1e-5) ** -0.5`: (4, 8, 1) from (4, 8, 1)
#
# The power rule. At var = 4, without the small constant, rstd is 0.5, and the slope is -0.5 * 4 to the power -1.5,
# which is -0.5 / 8 = -0.0625. For a token of equal numbers the variance is zero, and only the 1e-5 keeps the result
# finite.
#
# Ask yourself: what is the new exponent of the power, and what is its base? `var` (4, 8, 1) is not all of it.

# %% tags=["backward"]
dvar = ...

# %%
cmp("var", dvar, var)

# %% [markdown]
# ## ddiff2
#
# `var = diff2.sum(-1, keepdim=True) / E`: (4, 8, 1) from (4, 8, 16)
#
# A sum forward is a broadcast backward, so all 16 places of a token get the same share.
#
# Ask yourself: by how much does a number of `var` (4, 8, 1) move when one of its 16 squares goes up by 1?
#
# ### Why 1/E here and 1/(n - 1) there
#
# The batch normalisation of makemore used 1/(n - 1), Bessel's correction. It corrects the estimate of a
# variance from a sample, such as 32 examples out of many. The 16 numbers of a token are not a sample of
# anything. They are all there are, so nothing is corrected: 1/E. For the token (1, 3) the mean is 2, the
# squared distances are 1 and 1, and the variance is 2/2 = 1. The formula with E - 1 would say 2.

# %% tags=["backward"]
ddiff2 = ...

# %%
cmp("diff2", ddiff2, diff2)

# %% [markdown]
# ## ddiff
#
# `diff2 = diff**2`: (4, 8, 16) from (4, 8, 16)
#
# `xhat = diff * rstd`: (4, 8, 16) from (4, 8, 16) and (4, 8, 1)
#
# Two atoms read `diff` (4, 8, 16), so its gradient is the sum of two paths.
#
# Ask yourself: what does `diff` get from the product, and what from the square?

# %% tags=["backward"]
ddiff = ...

# %%
cmp("diff", ddiff, diff)

# %% [markdown]
# ## dmean
#
# `diff = x - mean`: (4, 8, 16) from (4, 8, 16) and (4, 8, 1)
#
# A minus, and a broadcast over the 16 places of a token.
#
# Ask yourself: if one number of `mean` (4, 8, 1) goes up by 0.01, how many numbers of `diff` move, and which way?

# %% tags=["backward"]
dmean = ...

# %%
cmp("mean", dmean, mean)

# %% [markdown]
# ## dx
#
# `mean = x.sum(-1, keepdim=True) / E`: (4, 8, 1) from (4, 8, 16)
#
# `diff = x - mean`: (4, 8, 16) from (4, 8, 16) and (4, 8, 1)
#
# Two atoms read `x` (4, 8, 16), so there are two paths again.
#
# Ask yourself: how fast does the mean of a token change with one of its 16 numbers?
#
# ### Trap: two names for one tensor
#
# `dx = ddiff` copies nothing. It gives the tensor a second name, and a `+=` afterwards changes `ddiff` as well.
# Start with `ddiff.clone()`, or write both paths as one sum.

# %% tags=["backward"]
dx = ...

# %%
cmp("x", dx, x)

# %% [markdown]
# # Part 3: the layer in one step
#
# ### On paper
#
# Let $d$ be the upstream gradient times the gain, $\hat x$ the normalised token and
# $\sigma = \sqrt{\text{var} + \epsilon}$, so that `hrstd` is $1 / \sigma$. Write $\text{mean}(\ldots)$ for the mean
# over the E numbers of a token. Collect your own lines of part 2:
#
# - through the product: $d / \sigma$;
# - through the variance: your `drstd` is the sum of $d \cdot \text{diff}$, then come the power,
#   $-\tfrac12 \sigma^{-3}$, then $1/E$, then $2\,\text{diff}$. The 2 and the $\tfrac12$ cancel, and the sum with
#   $1/E$ is a mean. Of the three factors $1/\sigma$ each $\text{diff}$ takes one, because
#   $\text{diff} / \sigma = \hat x$. What is left is $-\frac{1}{\sigma}\, \hat x \; \text{mean}(d\, \hat x)$;
# - through the mean: minus the mean of both. The mean of $\hat x$ is 0, so only
#   $-\frac{1}{\sigma}\, \text{mean}(d)$ is left.
#
# $$ dx = \frac{1}{\sigma} \Big( d - \text{mean}(d) - \hat x \; \text{mean}(d\, \hat x) \Big) $$
#
# **Numbers.** A token (1, 3) with $\epsilon = 0$: mean 2, $\sigma$ = 1, $\hat x$ = (-1, 1). Let d = (3, 5). The
# mean of d is 4. The mean of d times $\hat x$ is (-3 + 5) / 2 = 1. So dx = (3 - 4 + 1, 5 - 4 - 1) = (0, 0). This is
# no mistake. Two numbers with mean 0 and variance 1 can only be -1 and 1, so a small change of a token of two
# numbers changes nothing in the result. With three numbers something is left. The token (1, 3, 8) has $\sigma$ =
# 2.9439:
#
# | | place 1 | place 2 | place 3 | mean |
# |---|---|---|---|---|
# | token | 1 | 3 | 8 | 4 |
# | $\hat x$ | -1.0190 | -0.3397 | 1.3587 | 0 |
# | d | 3 | 0 | 0 | 1 |
# | d times $\hat x$ | -3.0571 | 0 | 0 | -1.0190 |
# | dx | 0.3266 | -0.4573 | 0.1306 | 0 |
#
# In words: layer normalisation removes two things from a token, its mean and its size. So two things are removed
# from the gradient: the part that would shift the token, and the part that would make it larger or smaller. Each
# row of dx sums to zero, and so does dx times $\hat x$, nearly (the small constant leaves a trace).

# %%
paper_token = torch.tensor([1.0, 3.0, 8.0], dtype=torch.float64, requires_grad=True)
paper_sigma = paper_token.var(unbiased=False).sqrt()
xh = (paper_token - paper_token.mean()) / paper_sigma
(paper_dx,) = torch.autograd.grad(3 * xh[0], paper_token)
print("sigma", round(paper_sigma.item(), 4), "  dx", [round(value, 4) for value in paper_dx.tolist()])

# %% [markdown]
# Compare with batch normalisation in makemore. There the means run over the batch, dimension 0, and Bessel's
# correction leaves n/(n - 1) before the last term. Here they run over the last dimension, and no such factor is
# left.
#
# You get the true `dout`.

# %% tags=["given"]
dout = 2 * (out - goal) / out.numel()  # (4, 8, 16)

# %% [markdown]
# ## dgain2, dbias2
#
# `out = hhat * gain2 + bias2`: (4, 8, 16) from (4, 8, 16), (16,) and (16,)
#
# As in part 1, with the names of this layer.
#
# Ask yourself: which tensor takes the part of `xhat` here, and over which dimensions of `out` (4, 8, 16) do you
# sum?

# %% tags=["backward"]
dgain2 = ...
dbias2 = ...

# %%
cmp("gain2", dgain2, gain2)
cmp("bias2", dbias2, bias2)

# %% [markdown]
# ## dh
#
# From `h` (4, 8, 16) to `out` (4, 8, 16), the whole layer.
#
# Write the formula above. Two means, both over the last dimension, both kept as (4, 8, 1).
#
# Ask yourself: what is $d$ here? It has the shape of `h` (4, 8, 16), but it is not `dout` yet.

# %% tags=["backward"]
dh = ...

# %%
cmp("h", dh, h)

# %% [markdown]
# ## The picture
#
# One text: a line is a token, a column one of its 16 places. In each line the red and the blue balance, because
# the numbers of a line sum to zero. The columns do not; in batch normalisation the columns would balance.

# %%
from grader import plots

if isinstance(dh, torch.Tensor):
    plots.show(plots.gradient_image(dh[0], name="dh of the first text"))
    print(f"largest sum of a line: {dh.sum(-1).abs().max():.0e}   of a column: {dh.sum((0, 1)).abs().max():.0e}")
else:
    print("dh is not filled in yet: there is nothing to draw.")

# %% [markdown]
# ## What to take along
#
# - Layer normalisation works on one token at a time, over its E numbers, by 1/E. `torch.var` needs
#   `unbiased=False` for it.
# - Gain and bias are broadcast over texts and tokens, so their gradients sum over both.
# - The input has three paths: straight through, through the mean, through the variance. In one step:
#   $\frac{1}{\sigma} (d - \text{mean}(d) - \hat x \, \text{mean}(d \hat x))$.
# - What the forward pass removes, the backward pass removes too: shift and size.
# - A fast implementation keeps `hhat` (or the mean) and `hrstd` from the forward pass, and nothing else.
#
# Grade the file with `dojo grade`. The next lesson is [attention](ex3_attention.ipynb), where tokens begin to
# look at each other.

# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()

# %% [markdown] tags=["hint"]
# <details>
# <summary>dy: hint 1</summary>
#
# The square brings a 2. The mean divides by the number of all its terms, not by the number of tokens.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dy: hint 2</summary>
#
# Each place of the (4, 8, 16) gets 2 times (y - goal) at this place, over y.numel(), which is 512 here.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dy: hint 3</summary>
#
# A number to check by: where y lies 0.5 above the goal the answer is 2 * 0.5 / 512 = 0.00195. If you get 0.03125,
# you divided by the 32 tokens.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain, dbias: hint 1</summary>
#
# Each of the 16 factors touches 32 numbers. Its gradient collects what all 32 say.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain, dbias: hint 2</summary>
#
# The slope with respect to the gain is xhat, with respect to the bias 1. Multiply by dy and sum over dimensions
# 0 and 1: from (4, 8, 16) to (16,).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain, dbias: hint 3</summary>
#
# In the example the bias must get 10 and the gain -2, one number each. `sum` takes a pair of dimensions, too:
# `(0, 1)`.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dxhat: hint 1</summary>
#
# What is the slope of a product with respect to one of its factors?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dxhat: hint 2</summary>
#
# The other factor, gain (16,), times dy (4, 8, 16). The gain broadcasts; nothing is summed, since xhat has the
# full shape already.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dxhat: hint 3</summary>
#
# For a token of two numbers with the gain (1.1, 0.9) and the upstream gradient (0.3, 0.1) the answer is (0.33,
# 0.09).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>drstd: hint 1</summary>
#
# Compare the shapes (4, 8, 16) and (4, 8, 1). Where they differ, there was a broadcast.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>drstd: hint 2</summary>
#
# The slope is diff. Multiply it by dxhat and sum over the last dimension, which is kept: (4, 8, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>drstd: hint 3</summary>
#
# For a token of two numbers, diff (-1, 1) and dxhat (0.3, 0.5), the answer is -0.3 + 0.5 = 0.2: one number for the
# token.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dvar: hint 1</summary>
#
# The exponent comes to the front and goes down by one. The base stays what it is, with its constant.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dvar: hint 2</summary>
#
# Minus one half, times (var + 1e-5) to the power -1.5, times drstd. All three are (4, 8, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dvar: hint 3</summary>
#
# At var = 4, without the small constant and with drstd = 2, the answer is -0.125. The power is also rstd cubed,
# which the forward pass has nearly computed.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ddiff2: hint 1</summary>
#
# A sum with a factor in front. What is the factor, and how does a (4, 8, 1) become a (4, 8, 16)?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ddiff2: hint 2</summary>
#
# Each square has the slope 1/E. The upstream (4, 8, 1) goes to all 16 places: the result is (4, 8, 16).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ddiff2: hint 3</summary>
#
# For tokens of two numbers, E = 2, with dvar 0.2, each of the two squares gets 0.1. To get the full shape, multiply
# by a tensor of ones like diff2.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ddiff: hint 1</summary>
#
# One path goes through the product, the other through the square. Write one term for each.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ddiff: hint 2</summary>
#
# Through the product: dxhat (4, 8, 16) times rstd (4, 8, 1). Through the square: 2 times diff times ddiff2,
# both (4, 8, 16).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ddiff: hint 3</summary>
#
# At a place with diff 3, rstd 0.5, dxhat 0.2 and ddiff2 0.1 the answer is 0.5 * 0.2 + 6 * 0.1 = 0.7. Assign the
# first path with =, add the second with += in the same cell.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dmean: hint 1</summary>
#
# The mean of a token is subtracted in 16 places. What does such a broadcast become on the way back?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dmean: hint 2</summary>
#
# The slope is -1, and the broadcast over the last dimension becomes a sum over it, kept: (4, 8, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dmean: hint 3</summary>
#
# For a token with ddiff (0.2, 0.1, -0.4) the answer is 0.1, minus the sum. One number for each token, as (4, 8, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 1</summary>
#
# Straight through the subtraction, and through the mean. What is the slope of a mean with respect to one of its
# numbers?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 2</summary>
#
# The subtraction passes ddiff (4, 8, 16) on as it is. The mean gives each of its 16 numbers dmean / E, so (4,
# 8, 1) broadcasts.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 3</summary>
#
# For a token with ddiff (0.2, 0.1, -0.4) and dmean 0.3 the answer is (0.3, 0.2, -0.3): each number gets a third of
# 0.3 on top.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain2, dbias2: hint 1</summary>
#
# Which two dimensions was the gain broadcast over?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain2, dbias2: hint 2</summary>
#
# The product of dout and hhat for the gain, dout alone for the bias, each summed over dimensions 0 and 1:
# (16,).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dgain2, dbias2: hint 3</summary>
#
# Compare with your lines for dgain and dbias: dout stands where dy stood, and hhat where xhat stood.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dh: hint 1</summary>
#
# Begin with a name for the upstream gradient after the gain. Everything else is built from it, from hhat and
# from hrstd.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dh: hint 2</summary>
#
# d is dout times gain2, (4, 8, 16). Then hrstd (4, 8, 1) times a bracket of three terms: d, minus its mean over
# the last dimension, minus hhat times the mean of d times hhat over the last dimension. Keep the dimension in
# both means.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dh: hint 3</summary>
#
# In the example the token (1, 3, 8) with the gain 1 and the upstream gradient (3, 0, 0) must give (0.3266, -0.4573,
# 0.1306). If a token of your answer does not sum to 0, look at the dimension of the means and at the brackets.
#
# </details>
