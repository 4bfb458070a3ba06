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
# # Transformer 1: the gradient of softmax
#
# *About 30 minutes. Difficulty 2 of 5. You need the makemore lessons, or the chain rule and matrix products.*
#
# In the makemore lessons softmax always stood just before the loss. There the two together had one short gradient,
# softmax minus one at the label. In a transformer softmax also stands in the middle of the network: attention uses
# it to turn scores into weights, and more layers follow. So there is no label to help, and you need the gradient of
# softmax alone.
#
# It is worth doing once by hand, because a mistake in a softmax seldom stops a program. Three bugs that really
# happen:
#
# - **The wrong dimension.** Scores of shape (8, 16, 16), query by key, go through `softmax(scores, dim=1)`. The
#   weights are positive and the loss falls. But now they sum to 1 over the queries and not over the keys. So the
#   weight of one token depends on later tokens, through the sum, and the model sees what it should predict. The
#   loss is good, the samples are bad.
# - **Overflow.** In float16 the largest number is 65,504, and exp(12) is 162,755. In a softmax written by hand one
#   score of 12 makes `inf`, then `inf / inf` makes `nan`, and one step later every weight of the model is `nan`.
# - **A softmax that no longer learns.** The scores are too large, so each row is almost a one and zeros, and hardly
#   any gradient comes back through such a row. The layers below stand still.
#
# You will write the full matrix of derivatives of one row first, because it shows what happens. Then you write
# the gradient without this matrix, because that is what every library computes.
#
# | part | the line that you differentiate | gradients |
# |---|---|---|
# | 1: the whole matrix | `P = torch.softmax(A, -1)` | `dA` |
# | 2: without the matrix | `s = torch.softmax(o, -1)`, and the mixture `out = s @ v` after it | `dout`, `ds`, `dv`, `do` |
# | 3: with the logarithm | `logp = torch.log_softmax(z, -1)` | `dlogp`, `dz` |
#
# There are seven gradients in three parts. `dX` is the gradient of the loss with respect to `X`. The **upstream**
# gradient is the gradient that you have already, of the tensor that a forward line makes. You look at the line and
# write what it sends to the tensors on its right-hand side.
#
# <!-- dojo: transformer/ex1_softmax -->

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

from grader import cmp

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
n_rows = 4
n_classes = 5
n_values = 3

# %% [markdown]
# ## The tensors
#
# | name | shape | what it is |
# |---|---|---|
# | `a` | (5,) | one row of scores, for part 1 |
# | `o` | (4, 5) | four rows of scores, for part 2 |
# | `v` | (5, 3) | what the weights mix: five rows of three numbers, as the values of attention |
# | `target` | (4, 3) | what the mixtures should be |
# | `z` | (4, 5) | four more rows of scores, for part 3 |
# | `q` | (4, 5) | in each row five probabilities that the scores `z` should lead to |

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


a = draw(n_classes)
o = draw(n_rows, n_classes)
v = draw(n_classes, n_values)
target = draw(n_rows, n_values)
z = draw(n_rows, n_classes)
q = torch.softmax(draw(n_rows, n_classes), -1)
for p in [a, o, v, z]:
    p.requires_grad = True
n = n_rows

# %% [markdown]
# ## The forward pass
#
# `torch.softmax(o, -1)` works on each row by itself: it exponentiates the row and divides it by its sum. The -1
# means the last dimension, so it stays right when dimensions are added in front.
#
# The first two lines look odd. They put the same row `a` five times into a matrix, and `trace` takes one number
# out of each row of the result. Part 1 says why.

# %% tags=["forward"]
A = a.expand(n_classes, n_classes)  # (5, 5)
P = torch.softmax(A, -1)  # (5, 5)
trace = P.diagonal().sum()  # ()
s = torch.softmax(o, -1)  # (4, 5)
out = s @ v  # (4, 3)
mse = ((out - target) ** 2).mean()  # ()
logp = torch.log_softmax(z, -1)  # (4, 5)
nll = -(q * logp).sum(-1).mean()  # ()
loss = trace + mse + nll  # ()

# %%
from grader import show_graph

show_graph("transformer/ex1_softmax", globals())

# %% [markdown]
# PyTorch computes the true gradients, so that `cmp` has something to compare with.

# %%
for tensor in list(globals().values()):
    if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
        tensor.retain_grad()
loss.backward()

# %% [markdown]
# # Part 1: the Jacobian of one row
#
# ### Idea: every score moves every probability
#
# `tanh` works number by number, so its derivative is one number for each. Softmax is different. The
# probabilities share a sum, so if one score goes up, its own probability goes up and all the others go down.
# For a row of three there are nine derivatives: how does each of the three probabilities move with each of the
# three scores? A table of all of them is called the **Jacobian**, $J_{ij} = \partial s_i / \partial o_j$.
#
# Let the scores be 1, 2, 3. Their exponentials are 2.7183, 7.3891 and 20.0855, with the sum 30.1929.
#
# | | score 1 | score 2 | score 3 |
# |---|---|---|---|
# | $s$ | 0.0900 | 0.2447 | 0.6652 |
#
# **The quotient rule.** $s_i = e^{o_i} / S$ with $S = \sum_k e^{o_k}$. A score $o_j$ stands in $S$ always, and
# in the numerator only if $j = i$.
#
# - Through the sum: the derivative of $1/S$ is $-1/S^2$, and that of $S$ is $e^{o_j}$. Together
#   $-e^{o_i} e^{o_j} / S^2 = -s_i s_j$.
# - Through the numerator, for $j = i$ only: $e^{o_i} / S = s_i$.
#
# So on the diagonal $J_{ii} = s_i - s_i^2$, and elsewhere $J_{ij} = -s_i s_j$. For example, how does the first
# probability move with its own score? 0.0900 - 0.0900 * 0.0900 = 0.0819. And with the second score? -0.0900 *
# 0.2447 = -0.0220. The next cell lets PyTorch work out all nine.

# %%
paper_o = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
paper_s = torch.softmax(paper_o, 0)
paper_J = torch.autograd.functional.jacobian(lambda row: torch.softmax(row, 0), paper_o)
for row in paper_J.tolist():
    print("   ".join(f"{value:7.4f}" for value in row))

# %% [markdown]
# | | score 1 | score 2 | score 3 |
# |---|---|---|---|
# | $s_1$ | 0.0819 | -0.0220 | -0.0599 |
# | $s_2$ | -0.0220 | 0.1848 | -0.1628 |
# | $s_3$ | -0.0599 | -0.1628 | 0.2227 |
#
# Three things to see:
#
# - The table is symmetric, because $s_i s_j = s_j s_i$.
# - Each row sums to 0. If all scores go up by the same amount, no probability changes. That is also why you may
#   subtract the maximum of the row before you exponentiate: it changes nothing, and nothing overflows.
# - Every number is small where $s$ is near 0 or near 1. Multiply the scores by ten, and $s$ becomes almost 0,
#   0, 1: the largest number of the table falls from 0.2227 to 0.000045. Such a row
#   hardly learns. Attention divides its scores by a root for this reason, as you will see in lesson 3.

# %%
steep_J = torch.autograd.functional.jacobian(lambda row: torch.softmax(row, 0), 10 * paper_o)
print(f"largest derivative at 10, 20, 30: {steep_J.max():.6f}")

# %% [markdown]
# ## dA
#
# `A = a.expand(n_classes, n_classes)`: (5, 5), five times the same row
#
# `P = torch.softmax(A, -1)`: (5, 5) from (5, 5)
#
# `trace = P.diagonal().sum()`: () from (5, 5)
#
# Backpropagation differentiates one number at a time, the loss. The Jacobian asks for the derivatives of five
# numbers. So the row is written down five times. Row 0 of `P` gives only its number 0 to `trace`, row 1 only its
# number 1, and so on. Then row $i$ of `dA` answers one question: how does $s_i$ change with each of the five
# scores? So `dA` (5, 5) is the whole Jacobian of the row `a`. (PyTorch's own `jacobian` above goes the same way.)
#
# Ask yourself: which matrix has the $s_i$ on its diagonal and zeros elsewhere, and which matrix has $s_i s_j$
# at row i, column j? All rows of `P` are equal, so `P[0]` is $s$.

# %% tags=["backward"]
dA = ...

# %%
cmp("A", dA, A)

# %% [markdown]
# The Jacobian as a picture. Red is negative, blue is positive: each score pushes its own probability up and
# pulls the others down.

# %%
from grader import plots

if isinstance(dA, torch.Tensor):
    plots.show(plots.gradient_image(dA, [f"score {place}" for place in range(n_classes)], name="the Jacobian"))
else:
    print("dA is not filled in yet: there is nothing to draw.")

# %% [markdown]
# # Part 2: the gradient without the Jacobian
#
# A language model with 50,257 symbols has rows of 50,257 scores. The Jacobian of one row would hold 2.5 billion
# numbers, 10 GB in float32. Nobody builds it, because nobody needs it: what you need is the upstream gradient
# *times* the Jacobian, and that has the size of the row.
#
# ## dout
#
# `mse = ((out - target) ** 2).mean()`: () from (4, 3)
#
# A mean over 12 numbers of squares. You know both rules from makemore.
#
# Ask yourself: how many numbers of `out` (4, 3) does the mean divide by, 4 or 12?

# %% tags=["backward"]
dout = ...

# %%
cmp("out", dout, out)

# %% [markdown]
# ## ds and dv
#
# `out = s @ v`: (4, 3) from (4, 5) and (5, 3)
#
# Each row of `out` is a mixture of the five rows of `v`, and `s` says how much of each. The last step of attention
# is the same, only larger.
#
# Ask yourself: which product of `dout` (4, 3) and `v` (5, 3) has the shape (4, 5)? And which one of `s` and
# `dout` has the shape (5, 3)?

# %% tags=["backward"]
ds = ...
dv = ...

# %%
cmp("s", ds, s)
cmp("v", dv, v)

# %% [markdown]
# ### Idea: upstream minus its weighted mean
#
# Take one row. The score $o_j$ reaches the loss on as many paths as there are probabilities, so its gradient is
# a sum over all of them:
#
# $$ do_j = \sum_i ds_i \, J_{ij} = \sum_i ds_i (-s_i s_j) + ds_j s_j = s_j \Big( ds_j - \sum_i ds_i s_i \Big) $$
#
# The Jacobian is gone. What is left is one sum for each row, a weighted mean of the upstream gradient: weighted
# with the probabilities themselves. Subtract it from the upstream gradient and multiply by $s$.
#
# With numbers: $s$ = (0.2, 0.3, 0.5) and upstream (1, 2, 4). The weighted mean is 0.2 + 0.6 + 2.0 = 2.8. What
# is left of the upstream gradient is (-1.8, -0.8, 1.2). Times $s$: (-0.36, -0.24, 0.60). The sum is 0, as it
# must be, because shifting all scores of a row changes nothing.
#
# In words: only what differs from the average counts. If the upstream gradient is the same for all places of a row,
# nothing comes back at all.
#
# ## do
#
# `s = torch.softmax(o, -1)`: (4, 5) from (4, 5)
#
# Each row has its own sum, so each row has its own weighted mean: (4, 1).
#
# ### Trap: the sum over the wrong dimension
#
# If you sum over dimension 0, you mix rows that have nothing to do with each other. The result has the right shape,
# and it is wrong everywhere. A sum over the last dimension without `keepdim=True` has the shape (4,), which does
# not fit (4, 5), so it stops with an error. With as many rows as columns it would not stop: it would broadcast
# along the wrong dimension. Attention has such square matrices in every layer.
#
# Ask yourself: along which dimension of `s` (4, 5) do the numbers sum to 1?

# %% tags=["backward"]
do = ...

# %%
cmp("o", do, o)

# %% [markdown]
# # Part 3: the logarithm of softmax
#
# A loss wants the logarithm of a probability. Taking softmax first and the logarithm after it loses digits: for
# the scores 0 and 200 the first probability rounds to 0 in float32, and its logarithm is minus infinity. The
# true value is -200. So libraries compute both in one step, $\log s_i = o_i - \log \sum_k e^{o_k}$.
#
# `q` holds a whole distribution for each row in place of a single label. This is how a small model learns from
# a large one (distillation), and how labels are smoothed.
#
# ## dlogp
#
# `nll = -(q * logp).sum(-1).mean()`: () from (4, 5)
#
# The sum runs over the five places of a row, the mean over the four rows.
#
# Ask yourself: by how many does the mean divide here? `logp` is (4, 5), but what is averaged is no longer (4, 5).

# %% tags=["backward"]
dlogp = ...

# %%
cmp("logp", dlogp, logp)

# %% [markdown]
# ## dz
#
# `logp = torch.log_softmax(z, -1)`: (4, 5) from (4, 5)
#
# In a row, $\log s_i = z_i - \log S$. The score $z_j$ has two kinds of path. Directly, to its own place only,
# with slope 1. And through $\log S$, to *every* place, with the slope $-s_j$ (the derivative of $\log S$ with
# respect to $z_j$ is $e^{z_j} / S$, which is the softmax). So
#
# $$ dz_j = dlogp_j - s_j \sum_i dlogp_i $$
#
# With numbers: softmax (0.2, 0.3, 0.5) and upstream (0, -1, 0), a single label in the middle. The sum of the
# upstream is -1. The result is (0, -1, 0) + (0.2, 0.3, 0.5) = (0.2, -0.7, 0.5): softmax minus one at the label.
# The short formula of makemore is this rule with a particular upstream gradient.
#
# Compare with `do`: there the sum was weighted with $s$, here it is the plain sum, because the logarithm has
# divided by $s$.
#
# Ask yourself: where do you get the softmax of `z` (4, 5) from? The forward pass has not kept it.

# %% tags=["backward"]
dz = ...

# %%
cmp("z", dz, z)

# %% [markdown]
# ## What to take along
#
# - Softmax ties the numbers of a row together, so its derivative is a matrix: $J = \mathrm{diag}(s) - s s^T$.
# - Nobody builds the matrix. The gradient is `s * (ds - (ds * s).sum(-1, keepdim=True))`: the upstream
#   gradient, minus its weighted mean, times the weight.
# - Each row of the result sums to 0. If yours does not, look at the dimension of your sum first.
# - Subtracting the maximum changes nothing and prevents overflow.
# - A row that is almost a one and zeros passes almost no gradient back.
# - With the logarithm the sum loses its weights, and with one label it becomes softmax minus one-hot.
#
# Grade the file with `dojo grade`. The next lesson is [layer normalisation](ex2_layernorm.ipynb), where the
# numbers of a row are tied together by their mean and their variance.

# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()

# %% [markdown] tags=["hint"]
# <details>
# <summary>dA: hint 1</summary>
#
# The table above was made from two cases: one for the diagonal, one for the rest. Is there a part that every
# place gets, so that only the diagonal needs something more?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dA: hint 2</summary>
#
# Every place gets minus s_i s_j: the outer product of the row with itself, (5, 5) from two times (5,). The
# diagonal gets s_i in addition: a matrix with the row on its diagonal, (5, 5) from (5,).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dA: hint 3</summary>
#
# For the scores 1, 2, 3 your rule must give the table above: 0.0819 at the top left, and -0.0220 beside it.
# `torch.diag` makes a matrix out of a diagonal, `torch.outer` makes all products of two rows.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 1</summary>
#
# The square has the slope two times what is squared. The mean shares the upstream gradient, which is 1 here,
# among all the numbers that it adds up.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 2</summary>
#
# The result is (4, 3). Each place gets 2 times (out - target) at this place, divided by the number of places of
# `out`, which is `out.numel()`.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 3</summary>
#
# A number to check by: where out lies 0.5 above the target the answer is 2 * 0.5 / 12 = 0.0833. If you get 0.25,
# you divided by the rows.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ds, dv: hint 1</summary>
#
# The matrix product, as for dh and dW2 in makemore. Which size must meet in the middle?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ds, dv: hint 2</summary>
#
# For the left factor: upstream times the transposed right factor, (4, 3) @ (3, 5). For the right factor: the
# transposed left factor times upstream, (5, 4) @ (4, 3).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ds, dv: hint 3</summary>
#
# Check by one row with the weights (0.2, 0.8), the values 3 and 5, and the upstream gradient 10: ds must be (30,
# 50), and dv 2 and 8.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>do: hint 1</summary>
#
# Write the formula above for a row, then let it run over all four rows at once. What must happen to the
# weighted mean of a row so that it can be subtracted from each of its five numbers?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>do: hint 2</summary>
#
# The weighted mean is the sum of ds times s over the last dimension, kept: (4, 1). It is subtracted from ds,
# (4, 5), and the difference is multiplied by s, (4, 5).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>do: hint 3</summary>
#
# In the example the row (0.2, 0.3, 0.5) with the upstream gradient (1, 2, 4) must give (-0.36, -0.24, 0.60). If
# your rows do not sum to 0, look at the brackets: the weight multiplies the whole difference.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogp: hint 1</summary>
#
# A minus, a product, a sum and a mean. The sum passes the upstream gradient on to every place. How many rows
# share the mean?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogp: hint 2</summary>
#
# Each place of the (4, 5) has the slope minus q at this place, over the number of rows n.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogp: hint 3</summary>
#
# A number to check by: where q is 0.2 the answer is -0.2 / 4 = -0.05. If you get -0.01, you divided by all 20
# numbers.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dz: hint 1</summary>
#
# Two paths: one place straight through, and one sum that goes to all places of the row. `torch.softmax(z, -1)`,
# or the exponential of `logp`, gives you the softmax.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dz: hint 2</summary>
#
# The sum of dlogp over the last dimension, kept, is (4, 1). Times the softmax of z it is (4, 5). Subtract that
# from dlogp (4, 5).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dz: hint 3</summary>
#
# In the example the softmax (0.2, 0.3, 0.5) and the upstream gradient (0, -1, 0) must give (0.2, -0.7, 0.5). Each
# row of your answer must sum to 0.
#
# </details>
