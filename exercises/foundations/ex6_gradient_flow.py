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
# # Foundations 6: how gradients survive many layers
#
# *About 45 minutes. Difficulty 2 of 5. You need foundations 3.*
#
# A gradient that walks back through twenty layers is multiplied twenty times. If each layer makes it a little
# smaller, nothing is left at the bottom. If each makes it a little larger, it becomes enormous. In this lesson you
# compute a gradient back through twenty layers of tanh, measure its size at each of them, and find the scale of the
# first weights that keeps this size. This is what initialisation is about.
#
# ## A bug that really happens
#
# A character model starts training. It has 27 symbols to choose from, and the first loss is 27. After a thousand
# steps it is at 3 and people are pleased: "it learns fast". It does not. A network that knows nothing should say
# 1/27 for each symbol, and that has the loss $\log 27 = 3.2958$. A loss of 27 means that it is sure and wrong,
# because its first weights are too large. So the first thousand steps only undid the bad start. Look at both
# starts:

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
import torch.nn.functional as F

chance = torch.Generator().manual_seed(2)
inputs, symbols = torch.randn(32, 30, generator=chance), torch.randint(0, 27, (32,), generator=chance)
hidden_weights = torch.randn(30, 200, generator=chance)
output_weights = torch.randn(200, 27, generator=chance)
hidden = torch.tanh(inputs @ hidden_weights)
bad_start = F.cross_entropy(hidden @ output_weights, symbols)
good_start = F.cross_entropy(hidden @ (0.01 * output_weights), symbols)
full = (hidden.abs() > 0.97).double().mean()
print(f"bad start {bad_start:.2f}   good start {good_start:.2f}   log 27 {torch.tensor(27.0).log():.4f}")
print(f"hidden numbers at the flat ends of tanh: {full:.0%}")

# %% [markdown]
# So before training, compute what the first loss should be, and look whether it is. The cure for the output layer
# was to make its weights a hundred times smaller. The second printed line shows another problem: 69 % of the hidden
# numbers are beyond ±0.97. There tanh is flat. Its slope, $1 - h^2$, is below 0.06, so hardly any gradient passes.
#
# <!-- dojo: foundations/ex6_gradient_flow -->

# %% tags=["setup"]
import torch

from grader import cmp

# %% tags=["parameters"]
seed = 0
device = "cpu"
dtype = "float64"
n = 64
width = 100
depth = 20

# %% [markdown]
# ## The chain of layers
#
# Twenty layers, each with 100 inputs and 100 outputs. All weights lie in one tensor `W` (20, 100, 100): `W[0]`
# belongs to the lowest layer. A layer computes $h_{k+1} = \tanh(h_k W_k)$. All results lie in one tensor too:
# `hs` (21, 64, 100), where `hs[0]` is the input and `hs[20]` the output of the last layer. So layer `k` reads
# `hs[k]` and makes `hs[k + 1]`.

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


def chain(h0, W):
    """h0 and the results of all layers: (depth + 1, n, width)."""
    hs = [h0]
    for weights in W:
        hs.append(torch.tanh(hs[-1] @ weights))
    return torch.stack(hs)


h0 = draw(n, width)
W = draw(depth, width, width) * (5 / 3) / width**0.5
target = draw(n, width)
for p in (h0, W):
    p.requires_grad = True

# %% tags=["forward"]
hs = chain(h0, W)  # (21, 64, 100)
out = hs[-1]  # (64, 100)
loss = ((out - target) ** 2).sum() / n  # ()

# %%
from grader import show_graph

show_graph("foundations/ex6_gradient_flow", globals())

# %%
for tensor in (hs, out, loss):
    tensor.retain_grad()
loss.backward()

# %% [markdown]
# # Part 1: back through all layers
#
# ## dout
#
# `loss = ((out - target) ** 2).sum() / n`: () from (64, 100) and (64, 100)
#
# The squared differences are summed over the 100 numbers of an example and averaged over the 64 examples.
#
# Ask yourself: what does the square bring to a number of `out` (64, 100), and by which number does the line divide?

# %% tags=["backward"]
dout = ...

# %%
cmp("out", dout, out)

# %% [markdown]
# ## dW and dh0
#
# `hs = chain(h0, W)`: (21, 64, 100) from (64, 100) and (20, 100, 100)
#
# ### Idea: one layer back, then the same again
#
# One layer is two atoms, the product `pre = h @ weights` and `tanh(pre)`. You know both:
#
# | step | rule | shape |
# |---|---|---|
# | through tanh | `dpre = (1 - h_next**2) * dh` | (64, 100) |
# | to the weights | `h.T @ dpre` | (100, 100) |
# | to the layer below | `dpre @ weights.T` | (64, 100) |
#
# The last line gives the upstream gradient of the layer below. So put the three lines into a loop that starts
# with `dout` and runs over the layers from 19 down to 0. After the loop, what is left is the gradient of `h0`.
#
# ### Idea: the slope of tanh, from its output
#
# For `h = tanh(pre)` the slope is $1 - h^2$. On paper: tanh(0.5) is 0.4621 and tanh(0.51) is 0.4699. It rose by
# 0.0078 for a step of 0.01, a slope of 0.78. And $1 - 0.4621^2$ is 0.786. Mind which number is squared: the
# **output** of the layer, `hs[k + 1]`, and not its input.
#
# Ask yourself: which row of `hs` (21, 64, 100) is `h`, and which is `h_next`, for the matrix `W[k]` of `W` (20,
# 100, 100)?

# %% tags=["backward"]
dW = ...
dh0 = ...

# %%
cmp("W", dW, W)
cmp("h0", dh0, h0)

# %% [markdown]
# # Part 2: how large is the gradient at each depth?
#
# ### Idea: many factors make tiny or huge products
#
# 1.1 to the 20th power is 6.7, and 0.9 to the 20th is 0.12. With matrices it is the same: multiply a hundred
# random 4 · 4 matrices, and the largest number of the product is about 1e25. No single matrix holds a number
# above 5.

# %%
chance = torch.Generator().manual_seed(0)
product = torch.randn(4, 4, generator=chance)
for _ in range(99):
    product = product @ torch.randn(4, 4, generator=chance)
print(f"largest number after 100 matrices: {product.abs().max():.1e}")

# %% [markdown]
# ## gradient_sizes
#
# Write `gradient_sizes(hs, W, dout)`. It returns a list with `depth + 1` Python floats: at place `k` the standard
# deviation of the gradient of `hs[k]`. So the last entry is that of `dout`, and the first is that of `dh0`. It has
# to work for any number of layers: take it from `W`.
#
# Ask yourself: at which moment of your loop above does `dh` (64, 100) hold the gradient of `hs[k]`?

# %% tags=["backward"]
def gradient_sizes(hs, W, dout):
    """The standard deviation of the gradient of hs[0], hs[1], ... hs[depth], as a list of floats."""
    ...

# %% [markdown]
# ## Three ways to start
#
# The weights are drawn with the standard deviation gain / √100. The division by the root of the number of inputs
# is the first half of the art: a sum of 100 random products is about √100 = 10 times as large as one of them, so
# the weights have to be 10 times smaller. The gain is the second half. The cell tries three: 0.5, 5/3 and 5.

# %%
gains = {"0.5": 0.5, "5/3": 5 / 3, "5": 5.0}
flows, chains = {}, {}
with torch.no_grad():
    for name, gain in gains.items():
        weights = W * (gain / (5 / 3))
        layers = chain(h0, weights)
        chains[name] = layers
        flows[name] = gradient_sizes(layers, weights, 2 * (layers[-1] - target) / n)
if flows["5/3"] is None:
    print("gradient_sizes is not written yet.")
else:
    for name, sizes in flows.items():
        print(f"gain {name:4s} gradient at the top {sizes[-1]:.1e}   at the bottom {sizes[0]:.1e}")

# %% [markdown]
# | gain | gradient at the top | in the middle | at the bottom | what happens |
# |---|---|---|---|---|
# | 0.5 | 3.1e-2 | 3.0e-5 | 2.3e-8 | it vanishes |
# | 5/3 | 3.7e-2 | 8.7e-2 | 1.6e-1 | it keeps its size, nearly |
# | 5 | 4.2e-2 | 7.5 | 1.9e3 | it explodes |
#
# With the gain 0.5 the lowest layer gets a gradient a million times smaller than the top layer, so it does not
# learn at all. With the gain 5 the lowest layer jumps wildly. The picture shows the sizes at every depth.

# %%
from matplotlib.figure import Figure

from grader import plots

if flows["5/3"] is not None:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for (name, sizes), style in zip(flows.items(), ("-", "--", ":"), strict=True):
        axes.semilogy(sizes, style, marker="o", markersize=3, label=f"gain {name}")
    axes.set_xlabel("layer (0 is the input)")
    axes.set_ylabel("standard deviation of the gradient")
    axes.legend()
    said = "; ".join(f"gain {name}: {sizes[-1]:.1e} at the top, {sizes[0]:.1e} at the bottom" for name, sizes in flows.items())
    figure.set_label(f"Size of the gradient in each of the layers. {said}.")
    plots.show(figure)

# %% [markdown]
# Why 5/3? Tanh squeezes: what goes in with the standard deviation 1 comes out with 0.63. So each layer has to
# make up for it, and a little more than 1 / 0.63 does. With the gain 5/3 the numbers keep a standard deviation of
# 0.65 through all layers. With 0.5 they fade to 7e-7, and with 5 they sit at the flat ends of tanh. Histograms of
# the activations show it at a glance. First the gain 0.5, then 5/3, then 5:

# %%
squeezed = torch.tanh(torch.randn(1_000_000, generator=chance)).std().item()
for name in gains:
    shown = {f"layer {k}, gain {name}": chains[name][k] for k in (1, depth // 2, depth)}
    plots.show(plots.histograms(shown, "activation"))

# %% [markdown]
# And the gradients of the weights, with the gain 5/3, from the lowest layer to the highest. Look at the standard
# deviations: they stay within a factor of ten.

# %%
if isinstance(dW, torch.Tensor):
    plots.show(plots.histograms({f"dW[{k}]": dW[k] for k in (0, depth // 2, depth - 1)}, "gradient"))
else:
    print("dW is not filled in yet: there is nothing to draw.")

# %% [markdown]
# ## Rules for other layers
#
# | activation | standard deviation of the first weights | name |
# |---|---|---|
# | none | 1 / √(inputs) | LeCun |
# | tanh | (5/3) / √(inputs) | |
# | ReLU | √2 / √(inputs) | Kaiming or He: half of the numbers are cut off, so the rest has to be larger |
# | tanh or none | √(2 / (inputs + outputs)) | Xavier or Glorot: a compromise between the forward and the backward pass |
#
# For example, ReLU with 784 inputs: √(2/784) = 0.0505. The first layer of foundations 3 was drawn with it.
#
# ## A number to watch in training
#
# How far does a step move a weight, compared with the weight itself? That is learning rate times the size of the
# gradient, over the size of the weight. About 1e-3 is healthy: a thousandth at each step. Much less and the layer
# hardly learns, much more and it forgets what it knew. With the learning rate 0.01, here are the ratios of three
# layers:

# %%
if isinstance(dW, torch.Tensor):
    ratios = [(0.01 * dW[k].std() / W[k].std()).item() for k in range(depth)]
    for k in (0, depth // 2, depth - 1):
        print(f"layer {k:2d}: {ratios[k]:.1e}")

# %% [markdown]
# They are 4.3e-2, 1.7e-2 and 7.6e-3: too large, so the learning rate should be ten times smaller here. The ratio
# tells you before the loss does.
#
# ## What to take along
#
# - A layer back is three lines: through the activation, to the weights, to the layer below. A deep network
#   repeats them.
# - Products of many factors vanish or explode. The scale of the first weights decides which.
# - Know the first loss before you train: $\log$ of the number of classes.
# - Look at histograms of activations and gradients, and at the ratio of update to weight. A loss curve does not
#   show a dead layer.
#
# These were the foundations. Next on the map is [makemore](../makemore/ex1_atoms.ipynb): a network that makes up
# names, and every one of its gradients is yours to find. If you would rather see pictures first, [the
# classifier](../classifier/ex1_digits.ipynb) reads handwritten digits.

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
# targets = ["out", "W", "h0", "gradient_sizes"]
# sizes = [{"n": 5, "width": 7, "depth": 3}, {"n": 7, "width": 11, "depth": 2}, {"n": 3, "width": 13, "depth": 5}]
#
#
# def gradient_sizes(hs, W, dout):
#     with torch.enable_grad():
#         h = hs[0].detach().requires_grad_()
#         layers = [h]
#         for weights in W:
#             layers.append(torch.tanh(layers[-1] @ weights))
#         (layers[-1] * dout).sum().backward(inputs=layers[:-1])
#     return [layer.grad.std().item() for layer in layers[:-1]] + [dout.std().item()]
#
#
# def cases(generator):
#     for layers, count, columns in ((1, 4, 3), (2, 3, 5), (6, 5, 4)):
#         first = torch.randn(count, columns, generator=generator).tolist()
#         weights = torch.randn(layers, columns, columns, generator=generator).tolist()
#         above = torch.randn(count, columns, generator=generator).tolist()
#         lines = [
#             f"weights = torch.tensor({weights}, dtype=torch.float64)",
#             f"layers = chain(torch.tensor({first}, dtype=torch.float64), weights)",
#             f"result = gradient_sizes(layers, weights, torch.tensor({above}, dtype=torch.float64))",
#         ]
#         yield f"{layers} layers of {columns}", "\n".join(lines)

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 1</summary>
#
# A square and a sum that is divided by n. Look closely: is it a mean over all elements?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 2</summary>
#
# The square has the slope 2 * (out - target), (64, 100). The sum passes its upstream gradient, 1/n, to every
# element.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 3</summary>
#
# A number to check by: where out lies 0.5 above the target the answer is 2 * 0.5 / 64 = 0.0156. If your numbers are
# 100 times smaller, you divided by all elements.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW, dh0: hint 1</summary>
#
# Write the three lines for the top layer alone: it reads hs[depth - 1] and makes hs[depth]. Then see what changes
# for the layer below.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW, dh0: hint 2</summary>
#
# dW starts as zeros like W, (20, 100, 100). dh starts as dout. For k from depth - 1 down to 0: dpre (64, 100) is
# 1 - hs[k + 1]**2 times dh; dW[k] is hs[k].T @ dpre; dh becomes dpre @ W[k].T. After the loop dh0 is dh.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW, dh0: hint 3</summary>
#
# One layer with one neuron: h 0.5, weight 2, h_next = tanh(1) = 0.7616, dh 1. Then dpre is 0.4200, dW is 0.2100,
# and the layer below gets 0.8399. The next round starts from that number, under the name dh.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>gradient_sizes: hint 1</summary>
#
# It is your loop from above without dW. In each round you know the gradient of one more hs[k].
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>gradient_sizes: hint 2</summary>
#
# Begin with dh = dout and a list that holds dh.std().item(). In each round compute the next dh (64, 100) and
# append its standard deviation. The list grows from the top layer to the bottom, so turn it round at the end.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>gradient_sizes: hint 3</summary>
#
# The list has one number more than W has layers. Its last number must be dout.std(), and its first that of your dh0
# from above. If it is the other way round, turn the list.
#
# </details>
