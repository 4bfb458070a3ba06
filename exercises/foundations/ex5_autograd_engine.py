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
# # Foundations 5: build your own autograd
#
# *About 60 minutes. Difficulty 3 of 5. You need foundations 2 and Python classes.*
#
# So far you walked back through each formula yourself. A machine can do it, if every number remembers what it was
# made from, and how strongly it depends on each of these. Then one call, `loss.backward()`, finds all gradients.
# The whole machine fits into sixty lines. When you have written it, nothing about PyTorch's autograd is magic any
# more.
#
# ## A bug that really happens
#
# A training loop calls `loss.backward()` in every step and forgets to set the gradients back to zero. No error
# appears, because adding to a gradient is what `backward()` is made for: a number that is used twice needs the
# sum of both paths. So the gradient of step 10 holds the sum of ten steps. The loss falls at first, then it
# swings up and down, and people lower the learning rate until it looks all right. Here it is in PyTorch, with
# $x^2$ at $x = 3$, whose slope is 6:

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

leaf = torch.tensor(3.0, requires_grad=True)
seen = []
for _ in range(3):
    (leaf**2).backward()
    seen.append(leaf.grad.item())
print("gradient after each call, never set back:", seen)

# %% [markdown]
# You will build this very behaviour, so you will know where it comes from.
#
# <!-- dojo: foundations/ex5_autograd_engine -->

# %% tags=["setup"]
import math
import random

# %% tags=["parameters"]
seed = 0

# %% [markdown]
# ## What a Value is
#
# A `Value` wraps one Python number. It has
#
# | attribute | what it holds |
# |---|---|
# | `data` | the number itself |
# | `grad` | its gradient; 0.0 until somebody calls `backward()` |
# | `parents` | the Values that it was made from; an empty tuple for a number that was typed in |
# | `slopes` | for each parent the local derivative: how fast this number changes when that parent does |
#
# ### Idea: each operation writes down its local slopes
#
# Take `a = Value(2.0)`, `b = Value(5.0)` and `c = a * b`. In a product the slope is the other factor. So `c` is a
# Value with the data 10, the parents `(a, b)` and the slopes `(5.0, 2.0)`. For a sum the slopes are `(1.0, 1.0)`.
# This is all that an operation has to know. It does not know what comes after it, and it need not.
#
# | operation | data | slopes |
# |---|---|---|
# | `a + b` | $a + b$ | 1 and 1 |
# | `a * b` | $a \cdot b$ | $b$ and $a$ |
# | `a ** k`, k a plain number | $a^k$ | $k \cdot a^{k-1}$ |
# | `k ** a`, k a plain number | $k^a$ | $k^a \log k$ |
# | `a.exp()` | $e^a$ | $e^a$ |
# | `a.tanh()` | $\tanh a$ | $1 - \tanh^2 a$ |
# | `a.relu()` | $a$ above zero, else 0 | 1 above zero, else 0 |
#
# The rest can be made of these: `-a` is `a * -1`, `a - b` is `a + (-b)`, and `a / b` is `a * b**-1`. Because
# these use operations that know their slopes, they need no slopes of their own.
#
# ### Idea: constants, on either side
#
# `a + 1` calls `a.__add__(1)`, so `other` may be a plain number: wrap it in a Value first. But `1 + a` asks the
# number 1 first, which has never heard of Values. Then Python tries `a.__radd__(1)`. The r stands for reflected:
# a stands on the right. For `+` and `*` the order does not matter. For `1 - a` and `1 / a` it does: 1 - 5 is -4
# and not 4.
#
# ## How backward() works
#
# Say $c = a \cdot b$ and $d = c + a$, with $a = 2$ and $b = 5$. The slope of $d$ for itself is 1. The sum hands 1
# to $c$ and 1 to $a$. The product takes the 1 that arrived at $c$ and hands $1 \cdot 5$ to $a$ and $1 \cdot 2$ to
# $b$. Two paths lead to $a$, so its gradient is 1 + 5 = 6.
#
# | number | arrives from | gradient |
# |---|---|---|
# | `d` | the start | 1 |
# | `c` | `d`: 1 · 1 | 1 |
# | `a` | `d`: 1 · 1, and `c`: 1 · 5 | 6 |
# | `b` | `c`: 1 · 2 | 2 |
#
# So each number adds up what arrives, and then hands on to each parent: **upstream times slope**.
#
# ### Idea: nobody hands on before everything has arrived
#
# What if `a` had parents of its own and handed on after the first 1, before the 5 arrived? They would get too
# little. So the order matters: a number is processed only after all numbers that were made from it. Such an order
# is called **topological**. One gets it by putting every number into a list *after* all its parents, and walking
# through the list backwards.
#
# ### Trap: a chain of 5,000 numbers
#
# The short way to build that list is a function that calls itself for each parent. Python allows about 1,000
# calls inside each other, and then it raises `RecursionError`. A loss that is added up in a loop over 5,000
# examples is such a chain. So keep a list of what is still to do, a stack, instead of calling yourself:
#
# - Take the last entry from the stack. If it is marked as finished, put its number into the order.
# - Else, if it was not seen before: mark it as seen, put it back **marked as finished**, and put its parents on
#   top.
#
# The parents lie on top, so they are taken first, and the number itself comes into the order after them.
#
# ### Trap: calling backward twice
#
# A second call adds to `grad` once more, as in PyTorch: afterwards every gradient is twice as large. So what
# arrives during one call has to be collected apart, in a dictionary that starts empty in each call. If `grad`
# itself serves as the place where things arrive, the second call hands on the rest of the first one as well, and
# the numbers far from the end get three times their gradient, or more.
#
# ## Value
#
# Ask yourself: which numbers must an operation write down so that `backward()` never needs to know which operation
# it was?
#
# Write the class. `Value(3.0)` makes a number that was typed in; operations pass the parents and their slopes as
# well. Do not define `__eq__`: without it, Values can be keys of a dictionary and members of a set, each of them
# only equal to itself.

# %% tags=["backward"]
class Value:
    """A number that knows what it was made from, and how fast it changes with each of these."""

    def __init__(self, data, parents=(), slopes=()):
        """A number; `parents` and `slopes` are given by the operation that made it."""
        ...

    def __add__(self, other):
        """self + other; other is a Value or a plain number."""
        ...

    def __mul__(self, other):
        """self * other; other is a Value or a plain number."""
        ...

    def __pow__(self, k):
        """self ** k; k is a plain number."""
        ...

    def __rpow__(self, k):
        """k ** self; k is a plain number above zero."""
        ...

    def exp(self):
        """e to the power of self."""
        ...

    def tanh(self):
        """The hyperbolic tangent of self."""
        ...

    def relu(self):
        """self where it is above zero, else 0."""
        ...

    def __neg__(self):
        """-self"""
        ...

    def __sub__(self, other):
        """self - other"""
        ...

    def __truediv__(self, other):
        """self / other"""
        ...

    def __radd__(self, other):
        """other + self, where other is a plain number."""
        ...

    def __rmul__(self, other):
        """other * self, where other is a plain number."""
        ...

    def __rsub__(self, other):
        """other - self, where other is a plain number."""
        ...

    def __rtruediv__(self, other):
        """other / self, where other is a plain number."""
        ...

    def backward(self):
        """Add to the grad of every number that self depends on the derivative of self with respect to it."""
        ...

# %% [markdown]
# ## Try it
#
# The cell measures the slope of each operation with the central difference of foundations 1 and compares it with
# what your class says.


# %%
checks = {
    "a + a": lambda a: a + a,
    "a * a": lambda a: a * a,
    "3 + a": lambda a: 3 + a,
    "a - 3": lambda a: a - 3,
    "3 - a": lambda a: 3 - a,
    "-2 * a": lambda a: -2 * a,
    "a / 3": lambda a: a / 3,
    "3 / a": lambda a: 3 / a,
    "a ** 3": lambda a: a**3,
    "2 ** a": lambda a: 2**a,
    "exp": lambda a: a.exp(),
    "tanh": lambda a: a.tanh(),
    "relu": lambda a: a.relu(),
    "two consumers": lambda a: (a * 2) * (a * 2).tanh() + (a * 2),
}
written = hasattr(Value(1.0), "data")
if not written:
    print("Value is not written yet.")
for name, formula in checks.items():
    try:
        number = Value(0.7)
        formula(number).backward()
        slope = (formula(Value(0.7 + 1e-5)).data - formula(Value(0.7 - 1e-5)).data) / 2e-5
        print(f"{name:14s} yours {number.grad:9.6f}   measured {slope:9.6f}")
    except (AttributeError, TypeError):
        if written:
            print(f"{name:14s} does not work yet")

# %% [markdown]
# # A network out of single numbers
#
# Four points with two coordinates, and a label of -1 or 1 for each. Opposite corners have the same label. No
# straight line separates the two kinds, so a single neuron cannot learn them, and for this reason many people
# once gave neural networks up. Two layers can:
#
# | point | label |
# |---|---|
# | (-1, -1) | -1 |
# | (-1, 1) | 1 |
# | (1, -1) | 1 |
# | (1, 1) | -1 |
#
# The network has four hidden neurons with tanh and one output with tanh, which makes 17 numbers. Every one of
# them is a `Value` of yours. The loss is the sum of the four squared differences. A step calls `backward()` once
# and moves each number against its gradient. And it sets every `grad` back to zero first.


# %%
def neuron(inputs, row):
    """tanh of the weighted inputs plus a bias, which stands last in `row`."""
    total = row[-1]
    for weight, value in zip(row, inputs, strict=False):
        total = total + weight * value
    return total.tanh()


def predict(point, rows):
    """Four hidden neurons, then one output."""
    hidden = [neuron(point, row) for row in rows[:-1]]
    return neuron(hidden, rows[-1])


points = [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)]
labels = [-1.0, 1.0, 1.0, -1.0]
losses, weights = [], []
if written:
    chance = random.Random(seed)
    rows = [[Value(chance.uniform(-1, 1)) for _ in range(size)] for size in (3, 3, 3, 3, 5)]
    weights = [weight for row in rows for weight in row]
    for _ in range(100):
        loss = Value(0.0)
        for point, label in zip(points, labels, strict=True):
            loss = loss + (predict(point, rows) - label) ** 2
        for weight in weights:
            weight.grad = 0.0
        loss.backward()
        for weight in weights:
            weight.data -= 0.1 * weight.grad
        losses.append(loss.data)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
    for point, label in zip(points, labels, strict=True):
        print(point, "label", label, "answer", round(predict(point, rows).data, 2))
else:
    print("Value is not written yet: there is nothing to train.")

# %% [markdown]
# The loss falls from 4.68 to 0.03 in 100 steps. The picture shows the answer of the network for every place in
# the plane: red is 1, blue is -1, and between them the network has bent a border.

# %%
from matplotlib.figure import Figure

from grader import plots

if losses:
    ticks = [-1.5 + 3 * place / 24 for place in range(25)]
    surface = [[predict((across, up), rows).data for across in ticks] for up in ticks]
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(losses)
    left.set_xlabel("step")
    left.set_ylabel("loss")
    image = right.imshow(surface, cmap="RdBu_r", vmin=-1, vmax=1, origin="lower", extent=(-1.5, 1.5, -1.5, 1.5))
    for (across, up), label in zip(points, labels, strict=True):
        right.text(across, up, f"{label:+.0f}", ha="center", va="center", weight="bold")
    figure.colorbar(image, label="answer")
    figure.set_label(
        f"Left: the loss falls from {losses[0]:.2f} to {losses[-1]:.2f}. Right: the answer over the plane, with the "
        f"right sign at each of the four points."
    )
    plots.show(figure)

# %% [markdown]
# ## What to take along
#
# - Autograd is a graph of numbers, and each of them knows its local slopes.
# - `backward()` walks through the graph in topological order: add up what arrives, then hand on upstream times
#   slope.
# - Gradients are added to, never assigned. That is right for `a + a`, and it is why they have to be set back
#   before each step.
# - PyTorch does the same with tensors. Then a slope becomes a rule such as `dx = dy @ w.T`, as in foundations 3.
#
# Go on with [Foundations 6](ex6_gradient_flow.ipynb): what happens to a gradient on its way through many layers.

# %% [markdown]
# The next cell is for the grader: it holds the expressions on which your class is compared with PyTorch.

# %% [raw] tags=["grading"]
# import torch
#
# targets = ["Value"]
#
#
# class Value:
#     """The reference: the same operations, with gradients by PyTorch's autograd in float64."""
#
#     def __init__(self, data):
#         self.tensor = data if isinstance(data, torch.Tensor) else torch.tensor(float(data), dtype=torch.float64)
#         if not self.tensor.requires_grad:
#             self.tensor.requires_grad_()
#         self.tensor.retain_grad()
#
#     @property
#     def data(self):
#         return self.tensor.item()
#
#     @property
#     def grad(self):
#         return 0.0 if self.tensor.grad is None else self.tensor.grad.item()
#
#     def backward(self):
#         self.tensor.backward(retain_graph=True)
#
#     def _with(self, operation, other=None):
#         with torch.enable_grad():
#             if other is None:
#                 return Value(operation(self.tensor))
#             return Value(operation(self.tensor, other.tensor if isinstance(other, Value) else other))
#
#     def __add__(self, other):
#         return self._with(lambda a, b: a + b, other)
#
#     def __mul__(self, other):
#         return self._with(lambda a, b: a * b, other)
#
#     def __sub__(self, other):
#         return self._with(lambda a, b: a - b, other)
#
#     def __truediv__(self, other):
#         return self._with(lambda a, b: a / b, other)
#
#     def __pow__(self, other):
#         return self._with(lambda a, b: a**b, other)
#
#     def __neg__(self):
#         return self._with(lambda a: -a)
#
#     def __radd__(self, other):
#         return self._with(lambda a, b: b + a, other)
#
#     def __rmul__(self, other):
#         return self._with(lambda a, b: b * a, other)
#
#     def __rsub__(self, other):
#         return self._with(lambda a, b: b - a, other)
#
#     def __rtruediv__(self, other):
#         return self._with(lambda a, b: b / a, other)
#
#     def __rpow__(self, other):
#         return self._with(lambda a, b: b**a, other)
#
#     def exp(self):
#         return self._with(torch.exp)
#
#     def tanh(self):
#         return self._with(torch.tanh)
#
#     def relu(self):
#         return self._with(torch.relu)
#
#
# def cases(generator):
#     def number(low=0.4, high=1.6):
#         return round(low + (high - low) * torch.rand((), generator=generator).item(), 4)
#
#     def pick(choices):
#         return choices[int(torch.randint(len(choices), (), generator=generator))]
#
#     def case(formula, leaves="ab"):
#         made = [f"{leaf} = Value({number()})" for leaf in leaves]
#         grads = ", ".join(f"{leaf}.grad" for leaf in leaves)
#         return "\n".join([*made, formula, "out.backward()", f"result = [out.data, {grads}]"])
#
#     # What the others may be made of comes first, so that a wrong power is not told as a wrong division.
#     for formula in ("a + b", "a * b", "-a", "a ** 3", "a ** -0.5", "a - b", "a / b"):
#         yield formula, case(f"out = {formula}", "ab" if "b" in formula else "a")
#     for formula in ("a.exp()", "a.tanh()", "a.relu()", "(a - 2).relu()"):
#         yield formula, case(f"out = {formula}", "a")
#     for formula in ("a + 3", "a * 3", "a - 3", "a / 3", "3 + a", "3 * a", "3 - a", "3 / a", "2 ** a"):
#         yield f"{formula}, with a constant", case(f"out = {formula}", "a")
#     yield "a + a, one number used twice", case("out = a + a", "a")
#     yield "a * a, one number used twice", case("out = a * a", "a")
#     yield "a number with two consumers", case("c = a * b\nd = c.tanh()\ne = c + a\nout = d * e")
#     yield "a number read again far above", case("c = a * b\nd = c * c\ne = d * a\nout = e + c")
#     twice = case("out = (a * b).tanh() * a")
#     yield "backward called twice", twice.replace("out.backward()", "out.backward()\nout.backward()")
#     both = case("c = a * b\nout = c + a\nother = c * 2")
#     yield "backward of two results", both.replace("out.backward()", "out.backward()\nother.backward()")
#     middle = case("c = a * b\nd = c.exp()\nout = d + c")
#     yield "the gradients in the middle", middle.replace("[out.data, ", "[out.data, out.grad, c.grad, d.grad, ")
#     yield "a result with grad 0 before backward", f"a = Value({number()})\nb = a * 2\nresult = [a.grad, b.grad]"
#     chain = "b = Value(0.9999)\nout = a\nfor step in range(5000):\n    out = out * b"
#     yield "a chain of 5,000 steps", case(chain, "a")
#     doubled = "c = a + b\nfor step in range(40):\n    c = c + c\nout = c * 1e-12"
#     yield "forty doublings, 2 to the 40th paths", case(doubled)
#     for graph in range(1, 6):
#         names, lines = ["a", "b", "c"], []
#         for _ in range(12):
#             left, right = pick(names), pick(names)
#             made = pick(["{l} + {r}", "{l} * {r}", "{l} - {r}", "{l}.tanh()", "{l} * 0.5 + {r}", "1 - {l}", "({l}).relu()"])
#             names.append(f"v{len(lines)}")
#             lines.append(f"{names[-1]} = {made.format(l=left, r=right)}")
#         lines.append(f"out = ({' + '.join(names[3:])}).tanh() + a * b * c")
#         yield f"random graph {graph}", case("\n".join(lines), "abc")

# %% [markdown] tags=["hint"]
# <details>
# <summary>Value: hint 1</summary>
#
# Begin with `__init__`, `__add__` and `__mul__`, and try them in a cell: `(Value(2.0) * Value(5.0)).slopes`
# should be (5.0, 2.0). Then write `backward()` with a recursion-free order. The other operations follow the table
# and are one or two lines each.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>Value: hint 2</summary>
#
# An operation returns Value(number, parents, slopes). In `__add__` and `__mul__`, if other is not a Value, make
# it one: `isinstance(other, Value)` tells. backward() has two parts. First the order, with a stack that begins as
# [(self, False)]. Then a dictionary `arrived` with 0.0 for each number of the order and 1.0 for self; walk
# through the order from its end, add what arrived to `grad`, and add upstream times slope to the entry of each
# parent.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>Value: hint 3</summary>
#
# Numbers to check by, from the table above: with a = 2, b = 5, `c = a * b` and `d = c + a` the order is a and b
# (either first), then c, then d, each of them once. After `d.backward()` a.grad is 6 and b.grad is 2; after a
# second call they are 12 and 4. If a.grad is larger than 12 then, what arrives is not collected apart from grad.
# Reflected, with a = 4: `1 - a` is -3 and `1 / a` is 0.25. Each of these takes one line, made of operations that
# you have.
#
# </details>
