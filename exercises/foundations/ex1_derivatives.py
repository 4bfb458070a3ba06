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
# # Foundations 1: derivatives, measured and computed
#
# *About 35 minutes. Difficulty 1 of 5. You need Python and the idea of a slope.*
#
# A network learns by asking one question again and again: if this number goes up a little, what happens to the
# loss? The answer is a derivative. In this lesson you get it in two ways. First you **measure** it: nudge the
# number and look. Then you **compute** it with the chain rule. Measuring is slow, but it needs no algebra, so it is
# how people check the gradients that they computed.
#
# ## A bug that really happens
#
# Somebody writes a layer with a gradient of its own and checks it by measuring, with a tiny nudge of 1e-8,
# because a smaller nudge must surely be better. The numbers are in float32, as everywhere in PyTorch. The
# measured slope comes out as exactly 0, so they look for the mistake in the layer. There is none. A float32
# number holds about seven digits, so 0.5 + 0.00000001 is rounded back to 0.5. Nothing moved, so nothing changed:

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

half = torch.tensor(0.5)
print("float32:", (half + 1e-8 - half).item(), "  float64:", (half.double() + 1e-8 - half.double()).item())

# %% [markdown]
# The opposite happens as well: to make such a check pass, people raise its limit until wrong gradients pass too.
# After this lesson you know which nudge to take, in which dtype, and which error to expect.
#
# ## How to work
#
# 1. Run the cells in order. A **stub** is a place for your answer: three dots, as in `dv2 = ...`, or as the body
#    of a function. Replace the dots.
# 2. Below a gradient there is a `cmp` line. It compares your number with PyTorch's. `approximate: True` is what
#    counts. `exact` says whether even the last bit agrees, and often it does not.
# 3. There are three hints for each answer: a nudge, then the rule, then a number to check your answer by.
#    `hint("v2")` in a cell or `dojo hint` in a terminal shows the next one.
# 4. `dojo grade` with this file's name grades what you have. Each answer is graded on its own.
#
# One rule: an answer uses no `.backward()`, no `.grad` and no `torch.autograd`, because you are to do their work.
#
# <!-- dojo: foundations/ex1_derivatives -->

# %% tags=["setup"]
import math

import torch

from grader import cmp

# %% tags=["parameters"]
seed = 0
device = "cpu"
dtype = "float64"

# %% [markdown]
# With `seed = 0` the input `x` is 0.5. The grader takes other seeds, and then `x` is another number. So write
# formulas with `x` in them, not numbers.

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def near(value):
    """`value` as a tensor; with another seed a number up to 0.5 above it."""
    shift = 0.5 * torch.rand((), generator=g, dtype=torch.float64).item() if seed else 0.0
    return torch.tensor(value + shift, dtype=getattr(torch, dtype), device=device)


x = near(0.5)
x.requires_grad = True

# %% [markdown]
# # Part 1: measure a slope
#
# ## The forward difference
#
# Nudge the input by a small step `eps` and look how far the output moves. The slope is the one divided by the
# other:
#
# $$f'(x) \approx \frac{f(x + \varepsilon) - f(x)}{\varepsilon}$$
#
# ### Idea: a nudge on paper
#
# Take $f(x) = x^2$ at $x = 2$ with a step of 0.1. Then $f(2.1)$ is 4.41 and $f(2)$ is 4. The output moved by
# 0.41, so the measured slope is 0.41 / 0.1 = 4.1. The true slope is $2x = 4$. The measured one is off by 0.1, as
# much as the step. With a step of 0.01 it is off by 0.01.
#
# Why? A parabola is not a straight line. It bends upward between 2 and 2.1, so the line through the two points is
# steeper than the curve is at 2. This error is called **truncation**, because one cuts off the rest of a series.
#
# Ask yourself: at which two places do you need `f`, and how far are they apart?
#
# Write `forward_difference(f, x, eps)`. It gets a function, a number and a step. It returns the measured slope.

# %% tags=["backward"]
def forward_difference(f, x, eps):
    """The slope of f at x, measured with a step of eps to the right."""
    ...

# %% [markdown]
# ## The central difference
#
# Now step to both sides and divide by the whole distance between the two points:
#
# $$f'(x) \approx \frac{f(x + \varepsilon) - f(x - \varepsilon)}{2\varepsilon}$$
#
# ### Idea: two errors that cancel
#
# The same parabola, the same step of 0.1: $f(2.1)$ is 4.41 and $f(1.9)$ is 3.61. The difference is 0.8, the
# distance is 0.2, and the slope is 4. That is the true slope. To the right the parabola is too steep by 0.1, to
# the left it is too flat by 0.1, and so the two errors cancel. For other curves a small rest remains. It shrinks
# with the square of the step: a tenth of the step gives a hundredth of the error.
#
# With eps = 1e-4 the computer says 4.000000000004. The 4 at the end is round-off; more about it below.
#
# Ask yourself: how far is it from the left place to the right one?
#
# Write `central_difference(f, x, eps)`. Watch the distance: it is not eps.

# %% tags=["backward"]
def central_difference(f, x, eps):
    """The slope of f at x, measured with a step of eps to both sides."""
    ...

# %% [markdown]
# ## Which step is best?
#
# Take the function $y = (e^{x^2})^2$ at $x = 0.5$. You will differentiate it in part 2. Its slope is
# 3.297442541400256. The next cell measures it with smaller and smaller steps and says how far off each result is.


# %%
def composed(x):
    return math.exp(x**2) ** 2


slope = 4 * 0.5 * composed(0.5)
steps = [10.0**-power for power in range(1, 13)]
errors = {"forward": [], "central": []}
if forward_difference(composed, 0.5, 0.1) is not None and central_difference(composed, 0.5, 0.1) is not None:
    print("eps      forward    central")
    for eps in steps:
        errors["forward"].append(abs(forward_difference(composed, 0.5, eps) - slope))
        errors["central"].append(abs(central_difference(composed, 0.5, eps) - slope))
        print(f"{eps:.0e}    {errors['forward'][-1]:.1e}    {errors['central'][-1]:.1e}")
else:
    print("Write both functions first: there is nothing to measure with.")

# %% [markdown]
# | eps | error of the forward difference | error of the central difference |
# |---|---|---|
# | 1e-2 | 6.7e-2 | 8.8e-4 |
# | 1e-4 | 6.6e-4 | 8.8e-8 |
# | 1e-6 | 6.6e-6 | 5.0e-11 |
# | 1e-8 | 1.3e-7 | 3.3e-8 |
#
# From 1e-2 to 1e-4 the step shrinks by 100. The forward error shrinks by 100 too, the central one by 10,000. But
# at 1e-8 the central difference is worse again, because now another error has taken over: **round-off**. A
# float64 number holds about 16 digits. The two values of $f$ agree in the first eight of them, so the subtraction
# throws these away. What is left has eight good digits at best, and dividing by a tiny step makes the last ones
# large.
#
# So there are two errors, and one grows where the other shrinks. A large step suffers from truncation, a small one
# from round-off. For the central difference in float64 a step between 1e-4 and 1e-6 is a good choice. In float32
# even the best step leaves an error in the third or fourth digit. Therefore gradients are checked in float64.
#
# The picture shows it on two logarithmic axes. From left to right the steps become larger. Both lines fall while
# round-off is the larger error, and rise as soon as truncation is.

# %%
from matplotlib.figure import Figure

from grader import plots

if errors["forward"]:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.loglog(steps, errors["forward"], marker="o", label="forward difference")
    axes.loglog(steps, errors["central"], marker="s", linestyle="--", label="central difference")
    axes.set_xlabel("eps")
    axes.set_ylabel("error of the slope")
    axes.legend()
    figure.set_label(
        f"Error of a measured slope for steps from 1e-1 to 1e-12. Least for the forward difference: "
        f"{min(errors['forward']):.0e}; for the central difference: {min(errors['central']):.0e}."
    )
    plots.show(figure)

# %% [markdown]
# # Part 2: compute a slope
#
# ## The forward pass
#
# The same function, in three short lines. Each line is an **atom**: one operation that you can differentiate on
# paper.

# %% tags=["forward"]
v1 = x**2  # ()
v2 = v1.exp()  # ()
y = v2**2  # ()

# %% [markdown]
# `()` is the shape of a single number. At $x = 0.5$ the values are:
#
# | name | formula | value |
# |---|---|---|
# | `x` | | 0.5 |
# | `v1` | $x^2$ | 0.25 |
# | `v2` | $e^{v_1}$ | 1.2840254166877414 |
# | `y` | $v_2^2$ | 1.648721270700128 |
#
# As a graph this is a chain. Values are computed from left to right, gradients from right to left.

# %%
from grader import show_graph

show_graph("foundations/ex1_derivatives", globals())

# %% [markdown]
# PyTorch computes the true gradients once, so that `cmp` can compare yours with them.

# %%
for tensor in (v1, v2, y):
    tensor.retain_grad()
y.backward()

# %% [markdown]
# ## The notation
#
# `dv2` is the derivative of `y`, the last value, with respect to `v2`. It answers: if `v2` goes up by a tiny
# amount, how many times as much does `y` go up? Likewise `dv1` and `dx`. They are always derivatives **of the
# last value**. That is why the name says only which number is nudged.
#
# ### Idea: the chain rule is a product of ratios
#
# Think of three gear wheels. When the first one turns once, the second turns 3 times, and when the second turns
# once the third turns 2 times. So when the first turns once, the third turns 3 · 2 = 6 times. Slopes behave in
# the same way, because a slope says how many times as far the output moves as the input:
#
# $$\frac{dy}{dv_1} = \frac{dy}{dv_2} \cdot \frac{dv_2}{dv_1}$$
#
# The first factor is known already when you walk back from the end. It is called the **upstream** gradient. The
# second factor belongs to one atom alone and is called the **local** derivative. Each step of backpropagation, in
# any network, is upstream times local.
#
# On paper: $u = 3x$ and $w = u^2$ at $x = 2$. Then $u = 6$ and $w = 36$. The local derivative of $w$ is
# $2u = 12$, and that of $u$ is 3, so the slope of $w$ with respect to $x$ is 12 · 3 = 36. Check by a nudge: at
# $x = 2.01$ we get $u = 6.03$ and $w = 36.3609$. It moved by 0.3609 for a step of 0.01, a slope of 36.09, which
# is close to 36.

# %% [markdown]
# ## dv2
#
# `y = v2**2`: () from ()
#
# This is the last atom, so the upstream gradient is 1: the derivative of `y` with respect to itself. Only the
# local derivative is left.
#
# Ask yourself: how steep is the square of a number at `v2` ()?

# %% tags=["backward"]
dv2 = ...

# %%
cmp("v2", dv2, v2)

# %% [markdown]
# ## dv1
#
# `v2 = v1.exp()`: () from ()
#
# The upstream gradient is `dv2`: it says what happens to `y` when `v2` moves. The local derivative says how far
# `v2` moves when `v1` does.
#
# Ask yourself: which function is its own derivative, and which name of the forward pass holds its value at `v1` ()
# already?
#
# A number for your rule: $e^{1}$ is 2.7183 and $e^{1.01}$ is 2.7456. It moved by 0.0273 for a step of 0.01, so
# the slope at 1 is about 2.73. That is the value itself, up to the truncation.

# %% tags=["backward"]
dv1 = ...

# %%
cmp("v1", dv1, v1)

# %% [markdown]
# ## dx
#
# `v1 = x**2`: () from ()
#
# The upstream gradient is `dv1`.
#
# Ask yourself: how fast does `v1` change with `x` ()?
#
# ### Trap: a factor that happens to be 1
#
# At $x = 0.5$ the local derivative $2x$ is exactly 1. So `dx` and `dv1` hold the same number here, and a
# forgotten factor cannot be seen. `cmp` compares at $x = 0.5$ only. The grader also compares at other `x`, and
# there it shows. Keep this in mind whenever you test anything: 0, 1 and 0.5 are poor test inputs, because they
# hide factors and powers.

# %% tags=["backward"]
dx = ...

# %%
cmp("x", dx, x)

# %% [markdown]
# The result is 3.297442541400256. The central difference with eps = 1e-4 gave the same up to 8.8e-8. Two ways
# that know nothing of each other agree in seven digits. This is what a gradient check is.

# %% [markdown]
# # Part 3: check the gradient of a tensor
#
# A tensor has many numbers, and a gradient has one slope for each of them. To measure it, nudge one number at a
# time and leave the others as they are.
#
# ### Idea: one nudge for each number
#
# Take $f(t) = t_0 \cdot t_1$ at $t = (3, 5)$, with steps of 0.1:
#
# | nudged | f above | f below | slope |
# |---|---|---|---|
# | $t_0$ | 3.1 · 5 = 15.5 | 2.9 · 5 = 14.5 | (15.5 - 14.5) / 0.2 = 5 |
# | $t_1$ | 3 · 5.1 = 15.3 | 3 · 4.9 = 14.7 | (15.3 - 14.7) / 0.2 = 3 |
#
# The gradient is (5, 3): for each number the other one. It has the shape of $t$.
#
# Ask yourself: how many slopes are there for a `t` of the shape (2, 3), and how do you move one number of it and
# leave the other five?
#
# Write `numerical_gradient(f, t, eps)` with central differences. `f` takes a tensor like `t`, of any shape, and
# returns a single number. Return a tensor of the shape of `t`. Leave `t` itself unchanged, because the caller still
# needs it: a check that changes the weights that it checks is a bug of its own. `t.view(-1)` shows a tensor as one
# long row. What you write into that row lands in the tensor.

# %% tags=["backward"]
def numerical_gradient(f, t, eps):
    """The gradient of f at the tensor t, measured number by number; it has the shape of t."""
    ...

# %% [markdown]
# Now use it as it is used in practice. Below are a function of a (2, 3) tensor and two gradients for it that
# somebody computed by hand. One of them has a mistake. Which one?


# %%
def energy(t):
    return (t.sin() * t).sum()


first = torch.arange(6, dtype=torch.float64).view(2, 3)
by_hand_a = first.cos() * first
by_hand_b = first.cos() * first + first.sin()

measured = numerical_gradient(energy, first, 1e-5)
if measured is not None:
    for name, by_hand in (("a", by_hand_a), ("b", by_hand_b)):
        off = (by_hand - measured).abs().max() / measured.abs().max()
        print(f"gradient {name}: off by {off.item():.0e} of the largest slope")

# %% [markdown]
# A right gradient agrees to about ten digits here; a wrong one is off in the first. There is hardly ever anything
# in between, so a limit of 1e-6 tells them apart. Note that the difference is divided by the size of the
# gradient: 0.001 is a lot for a slope of 0.002 and nothing for a slope of 5,000. And note `.abs()`, because a
# difference of -3 is not small.
#
# ## Why not always measure?
#
# Because each number costs two forward passes. The network of the last makemore lesson has 12,297 numbers, so one
# gradient would take 24,594 forward passes. The chain rule gives all of them in one walk back, for about the
# price of two or three forward passes. Measuring is for checking; backpropagation is for training.
#
# ## What to take along
#
# - A derivative says how many times as far the output moves as the input.
# - The central difference is far better than the forward difference: its error falls with the square of the step.
# - Steps can be too small: then round-off rules. In float64 take 1e-4 to 1e-6, and do not check in float32.
# - Backpropagation is upstream times local, from the end to the start.
# - Test at numbers that hide nothing: not 0, not 1, and here not 0.5.
#
# Go on with [Foundations 2](ex2_neuron.ipynb): a neuron, where two paths of numbers meet.

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
# targets = ["forward_difference", "central_difference", "v2", "v1", "x", "numerical_gradient"]
# tolerance = {"forward_difference": 1e-6, "central_difference": 1e-6, "numerical_gradient": 1e-6}
#
#
# def forward_difference(f, x, eps):
#     return (f(x + eps) - f(x)) / eps
#
#
# def central_difference(f, x, eps):
#     return (f(x + eps) - f(x - eps)) / (2 * eps)
#
#
# def numerical_gradient(f, t, _eps):
#     leaf = t.detach().clone().requires_grad_()
#     with torch.enable_grad():
#         f(leaf).backward()
#     return leaf.grad
#
#
# def cases(generator):
#     place = round(1.0 + torch.rand((), generator=generator).item(), 3)
#     for name in ("forward_difference", "central_difference"):
#         yield f"{name} of a line", f"result = {name}(lambda x: 3 * x + 1, {place}, 0.01)"
#         yield f"{name} of a square", f"result = {name}(lambda x: x**2, {place}, 0.1)"
#         yield f"{name} of a cube", f"result = {name}(lambda x: x**3, {place}, 0.25)"
#         yield f"{name} with a small step", f"result = {name}(lambda x: 1 / x, {place}, 1e-4)"
#     numbers = [round(number, 3) for number in torch.rand(6, generator=generator).tolist()]
#     begin = f"t = torch.tensor({numbers}, dtype=torch.float64)"
#     yield "t is left unchanged", f"{begin}\nnumerical_gradient(lambda t: (t**3).sum(), t, 1e-4)\nresult = t"
#     yield "a sum of squares of (6,)", f"{begin}\nresult = numerical_gradient(lambda t: (t**2).sum(), t, 1e-4)"
#     yield "numbers that meet, (6,)", f"{begin}\nresult = numerical_gradient(lambda t: t[0] * t[1] + t[2], t, 1e-4)"
#     yield "a tensor of (2, 3)", f"{begin}.view(2, 3)\nresult = numerical_gradient(lambda t: t.exp().sum(), t, 1e-4)"

# %% [markdown] tags=["hint"]
# <details>
# <summary>forward_difference: hint 1</summary>
#
# The slope is a quotient: how far the output moved, over how far the input moved.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>forward_difference: hint 2</summary>
#
# A slope is a rise over a run. The rise is f at x plus eps, minus f at x. The run is eps. All of them are single
# numbers.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>forward_difference: hint 3</summary>
#
# In the example f(x) = x**2 at x = 2 with eps = 0.1 your function must return 4.1. Python divides before it
# subtracts, so a difference that is to be divided needs brackets.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>central_difference: hint 1</summary>
#
# Again a quotient. Above the line f at the right place minus f at the left one, and below it their distance.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>central_difference: hint 2</summary>
#
# The rise is f at x plus eps, minus f at x minus eps. The run is two times eps.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>central_difference: hint 3</summary>
#
# In the example it must return 4. If you get 8, you divided by eps alone. If you get 0.04, the 2 * eps needs
# brackets.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dv2: hint 1</summary>
#
# You know the slope of x squared. Here the number that is squared is v2.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dv2: hint 2</summary>
#
# The power rule: the square of v has the slope 2v. The upstream gradient is 1. Everything has the shape ().
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dv2: hint 3</summary>
#
# Where v2 is 3 the answer must be 6.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dv1: hint 1</summary>
#
# Upstream times local. What is the derivative of the exponential function?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dv1: hint 2</summary>
#
# The derivative of exp at v1 is exp(v1). The forward pass has stored it under the name v2. Multiply it by the
# upstream gradient dv2; both are single numbers.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dv1: hint 3</summary>
#
# Where v2 is 2 and dv2 is 4 the answer must be 8. You need no exp in it.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 1</summary>
#
# Upstream times local, as before. The local derivative is that of a square again.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 2</summary>
#
# The square of x has the slope 2x. Multiply it by the upstream gradient dv1; both are single numbers.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 3</summary>
#
# At x = 3 with dv1 = 8 the answer must be 48.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>numerical_gradient: hint 1</summary>
#
# You need a loop over all numbers of t. In each round, make two tensors that differ from t in one place only.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>numerical_gradient: hint 2</summary>
#
# Begin with a tensor of zeros like t for the result. For each place i make another tensor of zeros like t, with
# eps at place i. Adding it to t gives the point above, subtracting it the point below. The slope is their
# difference in f over 2 * eps, and it belongs at place i of the result.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>numerical_gradient: hint 3</summary>
#
# For the product of the example at (3, 5) your function must return (5, 3), and t must still be (3, 5) afterwards.
# In a row made by `view(-1)` one index reaches every number of a tensor of any shape, to read it and to set it.
#
# </details>
