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
# # Foundations 2: one neuron
#
# *About 25 minutes. Difficulty 1 of 5. You need the chain rule from foundations 1.*
#
# A neuron takes a number, multiplies it by a weight, adds a bias, and maps the result to a number between 0 and 1.
# Layers are made of many such lines. In this lesson you compute how the loss of one neuron changes with its weight,
# its bias and its input. Then you see that sigmoid and loss together have a gradient that is only a subtraction,
# `a - y`. Because of it libraries want the number **before** the sigmoid.
#
# ## A bug that really happens
#
# A classifier trains well for an hour. Then the loss is `inf`, one step later every weight is `nan`, and the hour is
# lost. The code computes the probability first and the loss from it, just as the formula in the book says. But in
# float32 the sigmoid of 17 is exactly 1, because it is 1 / (1 + 0.00000004), and float32 drops the 0.00000004 in the
# sum. Then the loss takes the logarithm of 0, and the backward pass multiplies infinity by 0:

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

sure = torch.tensor(17.0, requires_grad=True)
probability = torch.sigmoid(sure)
wrong_and_sure = -torch.log(1 - probability)  # the label is 0, the neuron is sure of 1
wrong_and_sure.backward()
print("probability:", probability.item(), "  loss:", wrong_and_sure.item(), "  gradient:", sure.grad.item())

# %% [markdown]
# The true gradient there is 1, a healthy number. Part 2 computes it without ever dividing by zero.
#
# <!-- dojo: foundations/ex2_neuron -->

# %% tags=["setup"]
import torch

from grader import cmp

# %% tags=["parameters"]
seed = 0
device = "cpu"
dtype = "float64"

# %% [markdown]
# ## The numbers
#
# One example with the input `x1` and the label `y`, one weight `w1` and a bias `b`. With `seed = 0` they are the
# numbers of this lesson. With another seed, which the grader takes, they are others, and the label may lie
# between 0 and 1. So write formulas, not numbers.

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def number(value, low, high):
    """`value` as a tensor; with another seed a number between `low` and `high`."""
    drawn = low + (high - low) * torch.rand((), generator=g, dtype=torch.float64).item()
    return torch.tensor(drawn if seed else value, dtype=getattr(torch, dtype), device=device)


x1 = number(1.1, 0.5, 2.0)
w1 = number(2.2, -1.5, 1.5)
b = number(0.0, -0.5, 0.5)
y = number(1.0, 0.1, 0.9)
for p in (x1, w1, b):
    p.requires_grad = True

# %% [markdown]
# ## The forward pass
#
# | name | what it is | value |
# |---|---|---|
# | `z` | the weighted input: $x_1 w_1 + b$ | 2.42 |
# | `a` | the activation: the sigmoid of `z`, $1 / (1 + e^{-z})$ | 0.9183 |
# | `loss` | the binary cross-entropy, below | 0.0852 |
#
# The activation is read as a probability: the neuron says "1" with 91.83 % confidence. The loss measures how
# surprised it is by the label. If the label is 1 the loss is $-\log a$: with $a$ near 1 it is near 0, and with
# $a$ near 0 it is large. If the label is 0 it is $-\log(1 - a)$. One line says both, because one of the two terms
# is multiplied by zero:
#
# $$\text{loss} = -\bigl(y \log a + (1 - y) \log(1 - a)\bigr)$$

# %% tags=["forward"]
z = x1 * w1 + b  # ()
a = torch.sigmoid(z)  # ()
loss = -(y * a.log() + (1 - y) * (1 - a).log())  # ()

# %%
from grader import show_graph

show_graph("foundations/ex2_neuron", globals())

# %%
for tensor in (z, a, loss):
    tensor.retain_grad()
loss.backward()

# %% [markdown]
# # Part 1: back through the neuron
#
# ## da
#
# `loss = -(y * a.log() + (1 - y) * (1 - a).log())`: () from () and ()
#
# `a` stands in two places of this line. So it has two paths to the loss, and the gradient is the sum of both.
#
# Ask yourself: what is the slope of `log(a)` for `a` (), and what is that of `log(1 - a)`? The second one has an
# inner part.
#
# ### Idea: a minus inside
#
# The slope of $\log(1 - a)$ at $a = 0.5$: at 0.51 it is $\log 0.49 = -0.7133$, at 0.5 it is $-0.6931$. It fell by
# 0.0202 for a step of 0.01. The slope is about -2, that is $-1 / (1 - a)$. The 1/(…) comes from the logarithm.
# The minus comes from inside, because $1 - a$ goes down when $a$ goes up.
#
# With the label 1 the second term is multiplied by zero, so its sign cannot be seen here. The grader also takes
# labels such as 0.3. Write both terms.

# %% tags=["backward"]
da = ...

# %%
cmp("a", da, a)

# %% [markdown]
# ## dz
#
# `a = torch.sigmoid(z)`: () from ()
#
# ### Idea: the slope of the sigmoid, from its own value
#
# The sigmoid is $a = 1 / (1 + e^{-z})$. The power rule with the exponent -1, times the inner slope $-e^{-z}$,
# gives $e^{-z} / (1 + e^{-z})^2$. The first factor in it, $1 / (1 + e^{-z})$, is $a$. The rest,
# $e^{-z} / (1 + e^{-z})$, is $1 - a$. So
#
# $$\frac{da}{dz} = a\,(1 - a)$$
#
# The forward pass has computed $a$ already, so the slope costs one multiplication. On paper: at $z = 0$ we have
# $a = 0.5$ and the slope is 0.5 · 0.5 = 0.25. Check: the sigmoid of 0.1 is 0.52498, so it moved by 0.02498 for a
# step of 0.1.
#
# No sigmoid is ever steeper than that 0.25. So four sigmoids in a row pass on at most 0.25 to the fourth, 0.0039,
# of a gradient, if the weights between them are about 1. This is why deep networks of sigmoids learned so slowly;
# foundations 6 returns to it. The picture shows the curve and its slope. At both ends it is flat: a neuron that
# is very sure hardly learns through its sigmoid.

# %%
from matplotlib.figure import Figure

from grader import plots

inputs = torch.linspace(-6, 6, 121, dtype=torch.float64)
outputs = torch.sigmoid(inputs)
figure = Figure(figsize=(8, 3.5), layout="constrained")
axes = figure.subplots()
axes.plot(inputs, outputs, label="a = sigmoid(z)")
axes.plot(inputs, outputs * (1 - outputs), linestyle="--", label="its slope, a (1 - a)")
axes.plot([z.item()], [a.item()], "o", color="black", label="this neuron")
axes.set_xlabel("z")
axes.legend()
figure.set_label(
    f"The sigmoid rises from 0 to 1; its slope is largest, {(outputs * (1 - outputs)).max().item():.2f}, at z = 0 "
    f"and near 0 at both ends. This neuron is at z = {z.item():.2f}, a = {a.item():.4f}."
)
plots.show(figure)

# %% [markdown]
# Ask yourself: which gradient is upstream of `z` (), and what is the local derivative?

# %% tags=["backward"]
dz = ...

# %%
cmp("z", dz, z)

# %% [markdown]
# ## dw1
#
# `z = x1 * w1 + b`: () from (), () and ()
#
# ### Idea: in a product the slope is the other factor
#
# Take $z = 3 \cdot w$. If $w$ goes up by 0.1, $z$ goes up by 0.3. So the slope of $z$ with respect to $w$ is 3,
# the number that $w$ is multiplied by. What is added beside the product does not matter for the slope.
#
# Ask yourself: which number is `w1` multiplied by?

# %% tags=["backward"]
dw1 = ...

# %%
cmp("w1", dw1, w1)

# %% [markdown]
# It is -0.0898. Negative: a larger weight lowers the loss. That makes sense, because the label is 1 and a larger
# weight makes the neuron surer of 1. The number is small, because the neuron is nearly right already.
#
# ## dx1
#
# `z = x1 * w1 + b`: () from (), () and ()
#
# Nobody changes the input of a network. But in a deep network `x1` is the output of the layer before, and that
# layer needs this gradient: it is its upstream.
#
# Ask yourself: which number is `x1` multiplied by?

# %% tags=["backward"]
dx1 = ...

# %%
cmp("x1", dx1, x1)

# %% [markdown]
# It is -0.1797.
#
# ## db
#
# `z = x1 * w1 + b`: () from (), () and ()
#
# If `b` goes up by 0.01, `z` goes up by 0.01.
#
# Ask yourself: what is the local derivative of a sum with respect to `b` ()?

# %% tags=["backward"]
db = ...

# %%
cmp("b", db, b)

# %% [markdown]
# It is -0.0817. A sum passes its upstream gradient on unchanged, to everything that was added. You will meet this
# rule again in every bias and in every residual connection of a transformer.

# %% [markdown]
# # Part 2: loss and sigmoid in one step
#
# Put the formulas of `da` and `dz` together and multiply out. With $da = -y/a + (1-y)/(1-a)$:
#
# $$da \cdot a(1 - a) = -y(1 - a) + (1 - y)a = -y + ya + a - ya = a - y$$
#
# All fractions are gone. The gradient is the probability minus the label: how wrong the neuron is, with a sign.
# Here it is 0.9183 - 1 = -0.0817. Nothing is divided, so nothing can become infinite. At $z = 17$ with the label
# 0 it gives 1 - 0 = 1, where the chain of atoms gave `nan`.
#
# PyTorch offers this as `binary_cross_entropy_with_logits`, which takes `z` and not `a`. The "logits" in its name
# are what you call `z`. Whenever a loss function has "with logits" in its name, leave the sigmoid out of the
# network. To apply it twice is another bug that really happens: the network still learns, only badly, so nobody
# notices.
#
# Ask yourself: which of the letters in $a - y$ is not an argument of the function, and how do you get it from `z`?
#
# Write `dz_in_one_step(z, y)`: it gets a tensor of any shape and labels of the same shape, and returns the gradient
# of the summed loss with respect to `z`. It has to be right for `z = 50` and for `z = -50` too.

# %% tags=["backward"]
def dz_in_one_step(z, y):
    """The gradient of the summed binary cross-entropy of sigmoid(z) with the labels y, with respect to z."""
    ...

# %%
outer = torch.tensor([17.0, -3.0, 0.0, 50.0])
outer_labels = torch.tensor([0.0, 1.0, 1.0, 1.0])
print("in one step:", dz_in_one_step(outer, outer_labels))

# %% [markdown]
# The second number is -0.9526: the neuron was sure of 0 and the label is 1, so it is pulled up with nearly full
# strength. The last one is 0: sure and right, nothing to learn.
#
# ## What to take along
#
# - A product passes back the upstream gradient times the other factor. A sum passes it on unchanged.
# - The slope of the sigmoid is $a(1 - a)$, at most 0.25. It is computed from the output.
# - Sigmoid and cross-entropy together have the gradient $a - y$. So compute them together, from `z`.
# - A label of exactly 1 hides half of the formula. Test with a label in between.
#
# Go on with [Foundations 3](ex3_linear_relu_mse.ipynb): a whole layer of neurons, and a batch of examples.

# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()

# %% [markdown]
# The next cell is for the grader: it says what is graded, and on which examples.

# %% [raw] tags=["grading"]
# import math
#
# targets = ["a", "z", "w1", "x1", "b", "dz_in_one_step"]
#
#
# def dz_in_one_step(z, y):
#     leaf = z.detach().clone().requires_grad_()
#     with torch.enable_grad():
#         torch.nn.functional.binary_cross_entropy_with_logits(leaf, y, reduction="sum").backward()
#     return leaf.grad
#
#
# def cases(generator):
#     def case(values, labels):
#         values = torch.tensor(values, dtype=torch.float64).round(decimals=2).tolist()
#         labels = torch.tensor(labels, dtype=torch.float64).round(decimals=2).tolist()
#         lines = [f"z = torch.tensor({values}, dtype=torch.float64)", f"y = torch.tensor({labels}, dtype=torch.float64)"]
#         return "\n".join([*lines, "result = dz_in_one_step(z, y)"])
#
#     values = torch.randn(5, generator=generator).tolist()
#     yield "labels of 0 and 1", case(values, [0.0, 1.0, 1.0, 0.0, 1.0])
#     yield "labels in between", case(values, torch.rand(5, generator=generator).tolist())
#     yield "a matrix", case([values, values[::-1]], [[0.0, 1.0, 0.0, 1.0, 0.5], [1.0, 0.0, 0.25, 1.0, 0.0]])
#     yield "very sure, z = 50 and z = -50", case([50.0, -50.0, 50.0, -50.0], [0.0, 1.0, 1.0, 0.0])

# %% [markdown] tags=["hint"]
# <details>
# <summary>da: hint 1</summary>
#
# Differentiate the two logarithms one at a time. Keep the factors y and (1 - y), and the minus before the
# bracket.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>da: hint 2</summary>
#
# The slope of log(a) is 1/a. The slope of log(1 - a) is -1/(1 - a). So the bracket has the slope y/a -
# (1-y)/(1-a), and the loss has minus that. Every number has the shape ().
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>da: hint 3</summary>
#
# At a = 0.5 with the label 0.3 the answer must be -0.6 + 1.4 = 0.8. If you get -2, both terms have the same sign.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dz: hint 1</summary>
#
# Upstream times local. The upstream gradient is da.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dz: hint 2</summary>
#
# The local derivative of the sigmoid is a times (1 - a). Use a, the output, and not z. All numbers have the shape
# ().
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dz: hint 3</summary>
#
# Where a is 0.8 and da is 2 the answer must be 2 * 0.16 = 0.32.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dw1: hint 1</summary>
#
# If w1 goes up by a little, how many times as far does z go up?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dw1: hint 2</summary>
#
# The local derivative of the product for w1 is the other factor, x1. The upstream gradient is dz. Both are ().
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dw1: hint 3</summary>
#
# With dz = -0.5 and x1 = 3 the answer must be -1.5.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx1: hint 1</summary>
#
# The same product, seen from the other factor.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx1: hint 2</summary>
#
# The local derivative of the product for x1 is w1. The upstream gradient is dz. Both are ().
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx1: hint 3</summary>
#
# With dz = -0.5 and w1 = 4 the answer must be -2.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db: hint 1</summary>
#
# What is the slope of z for b? There is no factor beside b.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db: hint 2</summary>
#
# The local derivative of a sum is 1. So the upstream gradient dz, shape (), is passed on as it is.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db: hint 3</summary>
#
# Where dz is -0.5 the answer must be -0.5, too.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dz_in_one_step: hint 1</summary>
#
# Two quantities are left in the formula. The label is given, and the activation is computed as in the forward pass.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dz_in_one_step: hint 2</summary>
#
# The gradient is a - y, place by place, and a is the sigmoid of z. It has the shape of z. Do not divide by
# anything.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dz_in_one_step: hint 3</summary>
#
# For z = 0 with the label 1 it must return -0.5, and for z = 50 with the label 0 it must return 1. If you see `nan`
# there, something is still divided.
#
# </details>
