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
# # Foundations 3: two layers and a batch
#
# *About 50 minutes. Difficulty 2 of 5. You need foundations 2 and tensors with `@`, `sum` and broadcasting.*
#
# Now the numbers become tensors: 1,000 examples at once, a layer of 50 neurons, a ReLU, a second layer and the
# mean squared error. You write the gradients of both layers twice. First by **broadcasting and summing**,
# because there you can see each single contribution. Then by **matrix products**, because the first way needs a
# thousand times the memory.
#
# ## A bug that really happens
#
# The network returns one number for each example, with the shape (1000, 1). The targets have the shape (1000,). So
# somebody writes `((out - y) ** 2).mean()`. No error appears, a number comes out, and the loss even falls. But the
# network learns to answer the same number for every example. Look at the shape of the difference:

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

# %%
import torch

answers = torch.tensor([[1.0], [2.0], [3.0]])  # (3, 1)
targets_of_three = torch.tensor([1.0, 2.0, 3.0])  # (3,)
print("shape of the difference:", tuple((answers - targets_of_three).shape))
print("loss of perfect answers:", ((answers - targets_of_three) ** 2).mean().item())
print("with squeeze:           ", ((answers.squeeze(-1) - targets_of_three) ** 2).mean().item())

# %% [markdown]
# A (3, 1) and a (3,) are broadcast to (3, 3): each answer is compared with every target. The loss of perfect
# answers is then 1.33 instead of 0. The cure is `squeeze(-1)`, which takes away a last dimension of size 1. In
# the backward pass that dimension has to come back.
#
# <!-- dojo: foundations/ex3_linear_relu_mse -->

# %% tags=["setup"]
import torch

from grader import cmp

# %% tags=["parameters"]
seed = 42
device = "cpu"
dtype = "float64"
n = 1000
n_in = 784
n_hidden = 50

# %% [markdown]
# ## Data and parameters
#
# The sizes are those of 1,000 pictures of handwritten digits with 28 · 28 = 784 pixels, and the network is to say the
# digit as a number. For the gradients it makes no difference what the pixels show, so they are random here.
#
# | name | shape | what it is |
# |---|---|---|
# | `x` | (1000, 784) | one picture a row |
# | `y` | (1000,) | the number that belongs to each picture |
# | `w1`, `b1` | (784, 50), (50,) | weights and biases of the hidden layer |
# | `w2`, `b2` | (50, 1), (1,) | weights and bias of the output |

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


x = draw(n, n_in)
y = torch.randint(0, 10, (n,), generator=g).to(x)
w1 = draw(n_in, n_hidden) * (2 / n_in) ** 0.5
b1 = draw(n_hidden) * 0.1
w2 = draw(n_hidden, 1) * (2 / n_hidden) ** 0.5
b2 = draw(1)
for p in (x, w1, b1, w2, b2):
    p.requires_grad = True

# %% [markdown]
# ## The forward pass
#
# A ReLU keeps what is above zero and replaces the rest by zero: `clamp(min=0)`. The loss is the mean of the
# squared differences. Read the shapes beside the lines; they are half of every answer below.

# %% tags=["forward"]
l1 = x @ w1 + b1  # (1000, 50)
l2 = l1.clamp(min=0)  # (1000, 50)
out = l2 @ w2 + b2  # (1000, 1)
diff = out.squeeze(-1) - y  # (1000,)
loss = (diff**2).mean()  # ()

# %%
from grader import show_graph

show_graph("foundations/ex3_linear_relu_mse", globals())

# %%
for tensor in (l1, l2, out, diff, loss):
    tensor.retain_grad()
loss.backward()

# %% [markdown]
# ## How to compare two tensors
#
# `cmp` compares your gradient with PyTorch's. People often write such a check themselves, and often like this:

# %%


def is_same(a, b):
    return bool((a - b).max() < 1e-4)


truth = torch.tensor([1.0, 2.0, 3.0])
far_too_small = torch.tensor([-100.0, -100.0, -100.0])
print("careless check:", is_same(far_too_small, truth))
print("with abs:      ", bool((far_too_small - truth).abs().max() < 1e-4))
print("torch.allclose:", torch.allclose(far_too_small, truth))

# %% [markdown]
# The careless check says that -100 is the same as 1, because -101 is less than 0.0001. It forgot `.abs()`, so
# every answer that is too small passes. It has a second hole: if `a` is (50,) and `b` is (1, 50), it broadcasts
# and never sees that the shapes differ. `torch.allclose` has that hole too. So `cmp` looks at the shape first.
#
# # Part 1: see each contribution
#
# ## ddiff
#
# `loss = (diff**2).mean()`: () from (1000,)
#
# ### Idea: a mean gives each number its share
#
# Take the differences (3, -1). The loss is (9 + 1) / 2 = 5. Raise the 3 to 3.1: the loss is (9.61 + 1) / 2 =
# 5.305. It moved by 0.305 for a step of 0.1, a slope of about 3. The formula says $2 \cdot 3 / 2 = 3$: the square
# brings $2 \cdot 3$, and the mean divides by how many numbers were averaged.
#
# How many were averaged here? One for each example, 1,000. It is the batch that counts, and not the number of
# elements of some other tensor such as the pixels.
#
# Ask yourself: what does the square bring to a number of `diff` (1000,), and what does the mean?

# %% tags=["backward"]
ddiff = ...

# %%
cmp("diff", ddiff, diff)

# %% [markdown]
# ## dout
#
# `diff = out.squeeze(-1) - y`: (1000,) from (1000, 1) and (1000,)
#
# ### Idea: what was squeezed has to come back
#
# A squeeze computes nothing. The 1,000 numbers stay what they are, only the shape changes. So the gradient keeps
# its numbers as well and gets the shape of `out` back: from (1000,) to (1000, 1). The call for this is
# `unsqueeze(-1)`. For example, unsqueezing (7, 8) gives a column with 7 above 8.
#
# If you leave it out, the next lines combine a (1000,) with a (1000, 50). PyTorch may then broadcast along the
# wrong dimension and say nothing.
#
# Ask yourself: what is the slope of the subtraction for `out` (1000, 1), and which shape must the answer have?

# %% tags=["backward"]
dout = ...

# %%
cmp("out", dout, out)

# %% [markdown]
# ## dl2
#
# `out = l2 @ w2 + b2`: (1000, 1) from (1000, 50), (50, 1) and (1,)
#
# ### Idea: a matrix product, one number at a time
#
# Take one example with two hidden numbers, $(h_1, h_2) = (3, 4)$, and the weights $(10, 20)$. The output is
# $3 \cdot 10 + 4 \cdot 20 = 110$. If $h_1$ goes up by 1 the output goes up by 10, so the slope for $h_1$ is its
# weight. Say the upstream gradient is 0.5. Then the gradient of $(h_1, h_2)$ is
# $(0.5 \cdot 10,\ 0.5 \cdot 20) = (5, 10)$.
#
# For the whole batch: the number in row $i$ and column $j$ gets `dout` of row $i$ times the weight $j$. As a
# product with broadcasting, `dout` is (1000, 1), the weights as a row are (1, 50), and the product is (1000, 50).
# No sum is needed, because each number of `l2` is used for one output only.
#
# Ask yourself: how do you turn `w2`, a column (50, 1), into a row (1, 50)?

# %% tags=["backward"]
dl2 = ...

# %%
cmp("l2", dl2, l2)

# %% [markdown]
# ## dw2
#
# `out = l2 @ w2 + b2`: (1000, 1) from (1000, 50), (50, 1) and (1,)
#
# ### Idea: what is used for every example gets a sum over the examples
#
# Two examples with the hidden numbers (3, 4) and (5, 6), and the upstream gradients 0.5 and -1:
#
# | | for the first weight | for the second weight |
# |---|---|---|
# | example 1 | 3 · 0.5 = 1.5 | 4 · 0.5 = 2 |
# | example 2 | 5 · (-1) = -5 | 6 · (-1) = -6 |
# | gradient | -3.5 | -4 |
#
# Each weight is used once for every example, so it has one path to the loss for every example, and the paths add
# up.
#
# Ask yourself: how many times is each number of `w2` (50, 1) used in one forward pass?
#
# Write it with the contributions in sight: first all of them as a tensor (1000, 50, 1), one matrix (50, 1) for each
# example, then the sum over the examples. `l2.unsqueeze(-1)` is (1000, 50, 1), `dout.unsqueeze(1)` is (1000, 1, 1).

# %% tags=["backward"]
dw2 = ...

# %%
cmp("w2", dw2, w2)

# %% [markdown]
# ## db2
#
# `out = l2 @ w2 + b2`: (1000, 1) from (1000, 50), (50, 1) and (1,)
#
# The one number of `b2` is added in every row: it is broadcast over the batch. A broadcast forward is a sum
# backward, because each of the 1,000 uses is a path.
#
# Ask yourself: over which dimension was `b2` (1,) broadcast, and which shape must be left?

# %% tags=["backward"]
db2 = ...

# %%
cmp("b2", db2, b2)

# %% [markdown]
# ## dl1
#
# `l2 = l1.clamp(min=0)`: (1000, 50) from (1000, 50)
#
# ### Idea: a ReLU is a gate
#
# | `l1` | -2.0 | 0.5 | 3.0 |
# |---|---|---|---|
# | `l2` | 0.0 | 0.5 | 3.0 |
# | local slope | 0 | 1 | 1 |
# | upstream | 0.7 | -0.2 | 0.4 |
# | gradient of `l1` | 0.0 | -0.2 | 0.4 |
#
# Where the input is above zero the gate is open, and the upstream gradient passes unchanged. Where it is below
# zero the gate is closed and nothing passes. The local slope alone, zeros and ones, is not the answer: people
# often forget to multiply by the upstream gradient, because "the derivative of ReLU is 0 or 1" sounds like the
# whole story.
#
# A neuron whose gate is closed for every example gets no gradient at all. It is called dead, because no training
# step moves its weights any more. After the answer there is a picture of the gates.
#
# Ask yourself: which numbers of `l1` (1000, 50) changed `l2`, and by what is the slope there multiplied?

# %% tags=["backward"]
dl1 = ...

# %%
cmp("l1", dl1, l1)

# %% [markdown]
# The gates of the first 40 examples: one line an example, one column a neuron. Black is closed. A column that is
# black from top to bottom would be a dead neuron. With the first weights about half of all gates are open, 50 %.

# %%
from matplotlib.figure import Figure

from grader import plots

gates = (l1 > 0).detach()
figure = Figure(figsize=(8, 4), layout="constrained")
axes = figure.subplots()
axes.imshow(gates[:40].cpu().numpy(), cmap="gray", aspect="auto", interpolation="nearest")
axes.set_xlabel("hidden neuron")
axes.set_ylabel("example")
figure.set_label(
    f"ReLU gates of 40 examples: {gates.double().mean().item():.0%} of all gates are open, "
    f"{int((~gates).all(0).sum())} neurons are closed for every example."
)
plots.show(figure)

# %% [markdown]
# ## What the same way costs one layer below
#
# `w1` has 784 · 50 weights, and each of them is used for 1,000 examples. All contributions together are 39.2
# million numbers. In float32 that is 157 MB, only to be summed away in the next moment. A matrix product gives
# the same sums without storing the contributions. The cell below measures both, on random numbers of these sizes.

# %%
import sys
import time

try:
    import resource
except ImportError:  # Windows has no such module
    resource = None


def peak_megabytes():
    """The most memory that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6 if resource else float("nan")


rows, upstream = torch.rand(1000, 784), torch.rand(1000, 50)
rows.T @ upstream  # the first product of a process also starts the threads: not measured
for way in ("matrix product", "broadcast and sum"):
    before, start = peak_megabytes(), time.perf_counter()
    if way == "matrix product":
        summed = rows.T @ upstream
    else:
        summed = (rows.unsqueeze(-1) * upstream.unsqueeze(1)).sum(0)
    milliseconds = 1000 * (time.perf_counter() - start)
    print(f"{way:18s} {milliseconds:7.1f} ms, {peak_megabytes() - before:5.0f} MB more at the peak")

# %% [markdown]
# With two processor cores we measured about 1 ms for the matrix product, and for the other way about 120 ms and
# 157 MB more. Your figures will differ, but not which of the two wins. For a real layer, with 4,096 inputs and
# 4,096 outputs and 4,096 tokens in a batch, the contributions would be 275 GB.
#
# Write `dw1` this way once all the same, because the two dimensions of size 1 tell you what is going on. In part
# 2 you replace it.
#
# ## dw1
#
# `l1 = x @ w1 + b1`: (1000, 50) from (1000, 784), (784, 50) and (50,)
#
# Ask yourself: which number of `w1` (784, 50) connects pixel $j$ with neuron $k$? What is its slope in example $i$,
# and what is upstream of it?

# %% tags=["backward"]
dw1 = ...

# %%
cmp("w1", dw1, w1)

# %% [markdown]
# ## db1
#
# `l1 = x @ w1 + b1`: (1000, 50) from (1000, 784), (784, 50) and (50,)
#
# Ask yourself: over which dimension of `l1` (1000, 50) was `b1` (50,) broadcast?

# %% tags=["backward"]
db1 = ...

# %%
cmp("b1", db1, b1)

# %% [markdown]
# # Part 2: the same as matrix products
#
# ### Idea: the shapes leave one arrangement only
#
# A matrix product multiplies and sums in one go: $(A B)_{jk} = \sum_i A_{ji} B_{ik}$. The index that is summed
# stands in the middle, last in $A$ and first in $B$. The gradient of a weight sums over the examples $i$:
#
# $$dw_{jk} = \sum_i x_{ij} \, dl_{ik}$$
#
# For this to be a matrix product, $i$ has to be last in the first factor. So $x$ is transposed: `x.T @ dl1`. The
# shapes say the same: (784, 1000) @ (1000, 50) is (784, 50), and no other arrangement of the two gives the shape
# of `w1`.
#
# On paper, with the numbers of `dw2` above:
# $\begin{pmatrix}3 & 5\\4 & 6\end{pmatrix}\begin{pmatrix}0.5\\-1\end{pmatrix}$ has $3 \cdot 0.5 - 5 = -3.5$ above
# $4 \cdot 0.5 - 6 = -4$. It is the same sum.
#
# For a square layer two arrangements have the right shape, so do not trust shapes alone: ask which index has to
# vanish.

# %% [markdown]
# ## dx
#
# `l1 = x @ w1 + b1`: (1000, 50) from (1000, 784), (784, 50) and (50,)
#
# Nobody trains the pixels. But if another layer stood below, this would be its upstream gradient.
#
# Ask yourself: which arrangement of `dl1` (1000, 50) and `w1` (784, 50) has the shape of `x` (1000, 784)?

# %% tags=["backward"]
dx = ...

# %%
cmp("x", dx, x)

# %% [markdown]
# ## linear_backward
#
# Now write both layers once and for all. `linear_backward(x, w, dy)` is the way back through any layer
# `y = x @ w + b`. It gets the layer's input `x` (n, inputs), its weights `w` (inputs, outputs) and the upstream
# gradient `dy` (n, outputs). It returns three gradients in this order: `dx`, `dw` and `db`, the first two as matrix
# products. The bias itself is not among the arguments, because no gradient depends on it.
#
# Ask yourself: which of the three gradients sums over the examples, and which over the outputs?
#
# On paper, one example and two inputs: $x = (3, 4)$, the weights $(10, 20)$ as a column, upstream 0.5. Then `dx` is
# $(5, 10)$, `dw` is the column $(1.5, 2)$ and `db` is 0.5.

# %% tags=["backward"]
def linear_backward(x, w, dy):
    """For y = x @ w + b and the gradient dy of y: the gradients dx, dw and db."""
    ...

# %% [markdown]
# The next cell runs it on the second layer and compares the result with what you wrote in part 1. Then it goes back
# through both layers in two calls, which is all that is left of nine answers.

# %%
again = linear_backward(l2, w2, dout) if isinstance(dout, torch.Tensor) else None
if again is not None:
    for name, product, summed in zip(("dl2", "dw2", "db2"), again, (dl2, dw2, db2), strict=True):
        if isinstance(summed, torch.Tensor):
            print(f"{name}: off by {(product - summed).abs().max().item():.0e}, shape {tuple(product.shape)}")
    below = linear_backward(x, w1, again[0] * (l1 > 0))
    print("two calls:", [tuple(gradient.shape) for gradient in below])
else:
    print("linear_backward or dout is not filled in yet.")

# %% [markdown]
# ## What to take along
#
# - The gradient of a mean divides by how many numbers were averaged, and by nothing else.
# - A squeezed dimension comes back in the backward pass.
# - A ReLU passes the upstream gradient through open gates and stops it at closed ones.
# - What is used for every example, a weight or a bias, gets a sum over the examples.
# - For `y = x @ w`: `dx = dy @ w.T` and `dw = x.T @ dy`. The index that is summed away stands in the middle.
# - A check of two tensors needs `.abs()` and a look at the shapes.
#
# Go on with [Foundations 4](ex4_linear_regression.ipynb), where gradients are put to use for the first time.

# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()

# %% [markdown]
# The next cell is for the grader: it says what is graded, on which examples and at which sizes.

# %% [raw] tags=["grading"]
# targets = ["diff", "out", "l2", "w2", "b2", "l1", "w1", "b1", "x", "linear_backward"]
# sizes = [
#     {"n": 13, "n_in": 7, "n_hidden": 5},
#     {"n": 11, "n_in": 17, "n_hidden": 3},
#     {"n": 19, "n_in": 5, "n_hidden": 23},
# ]
#
#
# def linear_backward(x, w, dy):
#     x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
#     bias = torch.zeros(w.shape[1], dtype=w.dtype, requires_grad=True)
#     with torch.enable_grad():
#         return torch.autograd.grad(x @ w + bias, (x, w, bias), dy)
#
#
# def cases(generator):
#     for said, rows, inputs, outputs in (("one example", 1, 3, 2), ("five examples", 5, 3, 2), ("a square layer", 4, 4, 4)):
#         shapes = ((rows, inputs), (inputs, outputs), (rows, outputs))
#         drawn = [torch.randn(shape, generator=generator, dtype=torch.float64).round(decimals=1).tolist() for shape in shapes]
#         made = [f"{name} = torch.tensor({numbers}, dtype=torch.float64)" for name, numbers in zip(("x", "w", "dy"), drawn, strict=True)]
#         for place, name in enumerate(("dx", "dw", "db")):
#             yield f"{name} of {said}", "\n".join([*made, f"result = linear_backward(x, w, dy)[{place}]"])

# %% [markdown] tags=["hint"]
# <details>
# <summary>ddiff: hint 1</summary>
#
# Two things happen to each number of diff: it is squared, and it enters a mean. Each of them brings one factor.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ddiff: hint 2</summary>
#
# The square has the slope 2 * diff. The mean over n numbers has the slope 1/n. The upstream gradient of the loss
# is 1. The result is (1000,), like diff.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>ddiff: hint 3</summary>
#
# The differences (3, -1) with n = 2 must give (3, -1). With n = 1,000 a difference of 5 gives 0.01.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 1</summary>
#
# Subtracting y shifts every number, and a shift has the slope 1. So only the shape is left to do.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 2</summary>
#
# The numbers are those of ddiff (1000,). The shape is that of out, (1000, 1). unsqueeze adds a dimension of size
# 1.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 3</summary>
#
# A ddiff of (7, 8) must become a column, 7 above 8, with the shape (2, 1). If you have (1, 2), the dimension stands
# at the wrong end: -1 means the last place.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dl2: hint 1</summary>
#
# Each number of l2 meets exactly one weight. Lay the weights out as a row and let broadcasting do the rest.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dl2: hint 2</summary>
#
# A column (50, 1) becomes a row (1, 50) by w2.T, or by w2.squeeze(-1).unsqueeze(0). Times dout (1000, 1) it is
# broadcast to (1000, 50).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dl2: hint 3</summary>
#
# In the example the upstream gradient 0.5 and the weights (10, 20) must give (5, 10). An asterisk multiplies place
# by place and broadcasts.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dw2: hint 1</summary>
#
# For one example the contribution has the shape of w2. Stack the contributions of all examples along dimension 0,
# then add them up.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dw2: hint 2</summary>
#
# The product of l2.unsqueeze(-1), (1000, 50, 1), and dout.unsqueeze(1), (1000, 1, 1), has the shape (1000, 50,
# 1). The sum over dimension 0 leaves (50, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dw2: hint 3</summary>
#
# In the example the answer is -3.5 above -4. If your answer has three dimensions, the sum over the examples is
# still missing.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 1</summary>
#
# An addition has the slope 1. How many times is the bias used?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 2</summary>
#
# Sum the upstream gradient dout (1000, 1) over the batch, dimension 0. What is left is (1,), the shape of b2.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 3</summary>
#
# Two examples with the upstream gradients 0.5 and -1 give -0.5, one number with the shape (1,).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dl1: hint 1</summary>
#
# Look at the table: how do you get from the line of the local slope to the last line?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dl1: hint 2</summary>
#
# The local slope is 1 where l1 > 0 and 0 elsewhere. Multiply it by the upstream gradient dl2. All three are
# (1000, 50).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dl1: hint 3</summary>
#
# In the table the answer is (0, -0.2, 0.4). A comparison gives true and false, and in a product they count as 1
# and 0.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dw1: hint 1</summary>
#
# The weight (j, k) multiplies pixel j and leads to neuron k. So its contribution in example i is x[i, j] times
# dl1[i, k].
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dw1: hint 2</summary>
#
# x.unsqueeze(-1) is (1000, 784, 1) and dl1.unsqueeze(1) is (1000, 1, 50). Their product is (1000, 784, 50). The
# sum over dimension 0 leaves (784, 50).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dw1: hint 3</summary>
#
# Two examples with one pixel, 3 and 5, and two neurons, dl1 (0.5, 1) and (-1, 2): the two weights get 1.5 - 5 =
# -3.5 and 3 + 10 = 13, with the shape (1, 2).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 1</summary>
#
# The 50 biases are added in every row: they are broadcast over the batch.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 2</summary>
#
# Sum the upstream gradient dl1 (1000, 50) over dimension 0. What is left is (50,).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 3</summary>
#
# Two examples with dl1 (0.5, 1) and (-1, 2) give (-0.5, 3): two numbers, one dimension.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 1</summary>
#
# The 50 neurons have to be summed away. So they must meet in the middle of the product.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 2</summary>
#
# The upstream gradient times the transposed weights: (1000, 50) @ (50, 784) is (1000, 784).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 3</summary>
#
# One example with dl1 (0.5, -1), and one pixel whose weights to the two neurons are (10, 20): the answer is 5 - 20
# = -15.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>linear_backward: hint 1</summary>
#
# You have written all three above, for w1 or for w2. What stands in the place of l2, of w2 and of dout now?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>linear_backward: hint 2</summary>
#
# dx (n, inputs): upstream times the transposed weights. dw (inputs, outputs): the transposed input times upstream. db
# (outputs,): upstream summed over the examples, dimension 0.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>linear_backward: hint 3</summary>
#
# The example on paper must give (5, 10), the column (1.5, 2), and 0.5. A return with commas gives back several
# things, in the order in which they stand.
#
# </details>
