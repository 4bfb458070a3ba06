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
# # Classifier 4: dropout
#
# *About 30 minutes. Difficulty 2 of 5. You need classifier 1.*
#
# Dropout switches off a random part of the hidden neurons in each training step. So no neuron can rely on one
# particular other neuron, and the network has to hold what it knows in several places. The forward pass is one
# line. The backward pass is one line too, and it is easy to get wrong, because it has to remember which neurons
# were off.
#
# ## A bug that really happens
#
# A model is tested and gives a different answer each time for the same picture, and its accuracy is some percent
# lower than it was in training. The model was left in training mode, so dropout still switches neurons off. In
# PyTorch the missing line is `model.eval()`. The opposite mistake, to forget `model.train()` afterwards, is
# quieter: from then on there is no dropout at all, and nothing looks wrong.
#
# <!-- dojo: classifier/ex4_dropout -->

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

from grader import cmp, load_digits

# %% tags=["parameters"]
seed = 0
device = "cpu"
dtype = "float64"
m = 100
n_hidden = 50
p = 0.5

# %% [markdown]
# ## The network
#
# The digit reader of classifier 1 with 50 hidden neurons, one picture in each column: `X` (64, 100), labels `Y`
# (10, 100), one-hot. `p` is the probability that a neuron is switched **off**.

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)
pixels, labels = load_digits()
order = torch.randperm(len(labels), generator=g)
pictures = torch.from_numpy(pixels).T.to(getattr(torch, dtype)) / float(pixels.max())
X = pictures[:, order[:m]].to(device)
Y = torch.eye(10, dtype=X.dtype)[torch.from_numpy(labels)[order[:m]]].T.to(device)
n_features = X.shape[0]


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


W1 = draw(n_hidden, n_features) * (2 / n_features) ** 0.5
b1 = draw(n_hidden, 1) * 0.1
W2 = draw(10, n_hidden) * (1 / n_hidden) ** 0.5
b2 = draw(10, 1) * 0.1
for parameter in (W1, b1, W2, b2):
    parameter.requires_grad = True

# %% [markdown]
# ## The mask
#
# The mask has a 1 where a neuron stays on for a picture and a 0 where it is off. Each picture gets its own mask:
# it has the shape of `A1`, (50, 100). It is drawn once for each forward pass.

# %% tags=["setup"]
mask = (torch.rand((n_hidden, m), generator=g, dtype=torch.float64) >= p).to(X)

# %% [markdown]
# ## The forward pass
#
# ### Idea: why divide by 1 - p
#
# Four hidden numbers (2, 4, 6, 8) with the mean 5, and p = 0.5. With the mask (1, 0, 0, 1) we keep (2, 0, 0, 8),
# with the mean 2.5. On average over all masks half of everything is lost, so the next layer would see numbers of
# half the size. In use, with dropout off, it would suddenly see the full size. Dividing by 1 - p makes up for it:
# (4, 0, 0, 16), with the mean 5. Not each mask gives exactly 5, but their average does. So in use nothing has to
# be done at all.
#
# With p = 0 everything stays and is divided by 1: dropout does nothing. With p = 1 everything is off. Then the
# result is zero, and one must not divide by 1 - p = 0.

# %% tags=["forward"]
Z1 = W1 @ X + b1  # (50, 100)
A1 = Z1.clamp(min=0)  # (50, 100)
D1 = mask * A1 / (1 - p)  # (50, 100)
Z2 = W2 @ D1 + b2  # (10, 100)
A2 = torch.softmax(Z2, dim=0)  # (10, 100)
loss = -(Y * torch.log(A2)).sum() / m  # ()

# %%
from grader import show_graph

show_graph("classifier/ex4_dropout", globals())

# %%
for tensor in (Z1, A1, D1, Z2, A2, loss):
    tensor.retain_grad()
loss.backward()
kept = mask.mean().item()
print(f"kept: {kept:.1%}   mean before {A1.mean().item():.4f}   mean after {D1.mean().item():.4f}")

# %% [markdown]
# The mask keeps 50.7 % of the numbers. The mean of `A1` is 0.2672 and that of `D1` is 0.2761: nearly the same.
# The picture shows both for 40 pictures. What the ReLU shut out is white on both sides. On the right about half of
# the dark squares have become white too, and the others are twice as dark.

# %%
from matplotlib.figure import Figure

from grader import plots

figure = Figure(figsize=(8, 4), layout="constrained")
panels = figure.subplots(1, 2, sharey=True)
for axes, values, name in zip(panels, (A1, D1), ("A1, before dropout", "D1, after dropout"), strict=True):
    axes.imshow(values[:, :40].detach().cpu().numpy(), cmap="Blues", vmin=0, vmax=D1.max().item(), aspect="auto")
    axes.set_title(name)
    axes.set_xlabel("picture")
panels[0].set_ylabel("hidden neuron")
figure.set_label(f"Hidden numbers before and after dropout: {kept:.0%} are kept, and these are divided by {1 - p:g}.")
plots.show(figure)

# %% [markdown]
# # The backward pass
#
# `dZ2` is given: probabilities minus labels over `m`, as in classifier 1.

# %% tags=["given"]
dZ2 = Z2.grad.clone()

# %% [markdown]
# ## dD1
#
# `Z2 = W2 @ D1 + b2`: (10, 100) from (10, 50), (50, 100) and (10, 1)
#
# Ask yourself: by which rule of classifier 1 do you get the shape of `D1` (50, 100), and which tensor had its place
# there?

# %% tags=["backward"]
dD1 = ...

# %%
cmp("D1", dD1, D1)

# %% [markdown]
# ## dW2
#
# `Z2 = W2 @ D1 + b2`: (10, 100) from (10, 50), (50, 100) and (10, 1)
#
# Ask yourself: which tensor did `W2` (10, 50) multiply in this forward pass?

# %% tags=["backward"]
dW2 = ...

# %%
cmp("W2", dW2, W2)

# %% [markdown]
# ## dA1
#
# `D1 = mask * A1 / (1 - p)`: (50, 100) from (50, 100) and (50, 100)
#
# ### Idea: the way back goes through the same mask
#
# | `A1` | 2 | 4 | 6 | 8 |
# |---|---|---|---|---|
# | mask | 1 | 0 | 0 | 1 |
# | `D1`, p = 0.5 | 4 | 0 | 0 | 16 |
# | local slope | 2 | 0 | 0 | 2 |
# | upstream | 0.1 | 0.3 | -0.2 | 0.4 |
# | gradient of `A1` | 0.2 | 0 | 0 | 0.8 |
#
# A number that was switched off had no influence on the loss, so its gradient is zero. A number that stayed on
# was doubled, so its gradient is doubled. The local slope is `mask / (1 - p)`.
#
# ### Trap: a new mask
#
# If you draw a second mask for the backward pass, you switch off other numbers than the forward pass did. On
# average this even looks right, and the network learns something. But half of the gradients belong to numbers
# that were off, and half of those that count are lost. Use the mask of the forward pass. The grader takes another
# mask in every trial, so a mask that you type in will not do either.
#
# Ask yourself: which two factors stand beside `A1` (50, 100) in the forward line?

# %% tags=["backward"]
dA1 = ...

# %%
cmp("A1", dA1, A1)

# %% [markdown]
# ## dZ1
#
# `A1 = Z1.clamp(min=0)`: (50, 100) from (50, 100)
#
# Below the dropout everything is as before: the ReLU passes the upstream gradient where `Z1` is above zero.
#
# Ask yourself: which gradient is upstream of `Z1` (50, 100) now that there is a dropout above it?

# %% tags=["backward"]
dZ1 = ...

# %%
cmp("Z1", dZ1, Z1)

# %% [markdown]
# ## dW1
#
# `Z1 = W1 @ X + b1`: (50, 100) from (50, 64), (64, 100) and (50, 1)
#
# Ask yourself: which tensor did `W1` (50, 64) multiply?

# %% tags=["backward"]
dW1 = ...

# %%
cmp("W1", dW1, W1)

# %% [markdown]
# # The layer as a pair of functions
#
# In a library, dropout is a layer with a forward and a backward function, and a switch for training. Write both.
# They get the mask from outside, so that they can be tested. Both have to be right for p = 0 and for p = 1, and
# with `training` false.
#
# ## dropout
#
# Ask yourself: what becomes of `h`, in any shape, if `training` is false, and what if `p` is 1?

# %% tags=["backward"]
def dropout(h, mask, p, training):
    """What dropout makes of h, any shape; mask is 1 where a number stays, p the probability to drop it."""
    ...

# %% [markdown]
# ## dropout_backward
#
# Ask yourself: in each case of `dropout`, what is the derivative of its result with respect to `h`? The answer has the
# shape of `dout`.

# %% tags=["backward"]
def dropout_backward(dout, mask, p, training):
    """The gradient of h, given dout, the gradient of what `dropout` returned with the same mask, p and training."""
    ...

# %% [markdown]
# Test both with numbers: the forward function on (2, 4, 6, 8), the backward one on the upstream gradients of the
# table.

# %%
numbers, on = torch.tensor([2.0, 4.0, 6.0, 8.0]), torch.tensor([1.0, 0.0, 0.0, 1.0])
above = torch.tensor([0.1, 0.3, -0.2, 0.4])
for probability, switch in ((0.5, True), (0.0, True), (1.0, True), (0.5, False)):
    shown = on if 0 < probability < 1 else torch.full((4,), 1.0 - probability)
    there, back = dropout(numbers, shown, probability, switch), dropout_backward(above, shown, probability, switch)
    print(f"p {probability}, training {switch!s:5s}: {there} and back {back}")

# %% [markdown]
# ## Does it help?
#
# A network with 100 hidden neurons learns 100 digits for 1,000 steps, with the rate 0.2. These are means over three
# seeds:
#
# | p | held-out digits read correctly | loss on them |
# |---|---|---|
# | 0 | 89.2 % | 0.39 |
# | 0.5 | 89.9 % | 0.36 |
#
# That is a small gain. Dropout was made for networks that are far larger than their data, and in these it helps
# more. Large language models are often trained with little dropout or none, because they see most of their text only
# once, so there is little to learn by heart. The cell that measures the table takes half a minute. Set
# `measure = True` to run it.

# %%
from functools import cache

measure = False


@torch.enable_grad()
def train_with(p_used, run):
    """The accuracy and the loss on held-out digits after 1,000 steps on 100 digits, with this dropout and this seed."""
    chance = torch.Generator().manual_seed(run)
    shuffled = torch.randperm(len(labels), generator=chance)
    held, few = shuffled[: len(labels) // 5], shuffled[len(labels) // 5 :][:100]
    rows, answers = pictures.T, torch.from_numpy(labels)
    first = (torch.randn(n_features, 100, generator=chance) * (2 / n_features) ** 0.5).to(rows)
    second = (torch.randn(100, 10, generator=chance) * (1 / 100) ** 0.5).to(rows)
    trained = [first, torch.zeros(100).to(rows), second, torch.zeros(10).to(rows)]
    for tensor in trained:
        tensor.requires_grad = True
    optimizer = torch.optim.SGD(trained, lr=0.2)
    for _ in range(1000):
        chosen = few[torch.randint(0, 100, (32,), generator=chance)]
        hidden = (rows[chosen] @ first + trained[1]).relu()
        hidden = hidden * (torch.rand(hidden.shape, generator=chance) >= p_used) / (1 - p_used)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(hidden @ second + trained[3], answers[chosen]).backward()
        optimizer.step()
    scores = ((rows[held] @ first + trained[1]).relu() @ second + trained[3]).detach()
    accuracy = (scores.argmax(1) == answers[held]).double().mean().item()
    return accuracy, torch.nn.functional.cross_entropy(scores, answers[held]).item()


@cache
def measured_table():
    torch.set_num_threads(1)
    runs = [[train_with(p_used, run) for run in range(3)] for p_used in (0.0, 0.5)]
    return [[sum(column) / 3 for column in zip(*found, strict=True)] for found in runs]


if measure:
    for row in measured_table():
        print([round(value, 3) for value in row])

# %% [markdown]
# ## What to take along
#
# - Dropout multiplies by a mask and divides by 1 - p, so that the mean stays.
# - The backward pass uses the same mask and the same factor. Never draw a new one.
# - The gradient of a weight needs what the layer really read: `D1`, not `A1`.
# - It is off in use: `model.eval()`, and back with `model.train()`.
#
# This was the classifier. Next on the map is [the transformer](../transformer/ex1_softmax.ipynb), where you write
# every gradient of a GPT. It builds on [makemore](../makemore/ex1_atoms.ipynb), so if you have not been there, go
# there first.

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
# targets = ["D1", "W2", "A1", "Z1", "W1", "dropout", "dropout_backward"]
# batch = "m"
# sizes = [
#     {"m": 7, "n_hidden": 17, "p": 0.2},
#     {"m": 11, "n_hidden": 13, "p": 0.7},
#     {"m": 17, "n_hidden": 23, "p": 0.0},
# ]
#
#
# def dropout(h, mask, p, training):
#     return h if not training else (mask * h / (1 - p) if p < 1 else torch.zeros_like(h))
#
#
# def dropout_backward(dout, mask, p, training):
#     h = torch.ones_like(dout, requires_grad=True)
#     with torch.enable_grad():
#         (dropout(h, mask, p, training) * dout + 0 * h).sum().backward()
#     return h.grad
#
#
# def cases(generator):
#     for name in ("dropout", "dropout_backward"):
#         for chance, training, said in (
#             (0.5, True, "p = 0.5"),
#             (0.2, True, "p = 0.2"),
#             (0.0, True, "p = 0"),
#             (1.0, True, "p = 1"),
#             (0.5, False, "not training"),
#             (1.0, False, "not training, p = 1"),
#         ):
#             values = torch.randn(2, 3, generator=generator, dtype=torch.float64).round(decimals=2).tolist()
#             drawn = (torch.rand(2, 3, generator=generator) >= chance).double().tolist()
#             lines = [
#                 f"values = torch.tensor({values}, dtype=torch.float64)",
#                 f"drawn = torch.tensor({drawn}, dtype=torch.float64)",
#                 f"result = {name}(values, drawn, {chance}, {training})",
#             ]
#             yield f"{name}, {said}", "\n".join(lines)

# %% [markdown] tags=["hint"]
# <details>
# <summary>dD1: hint 1</summary>
#
# The next layer reads D1 as it read A1 before. The rule is that of a matrix product.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dD1: hint 2</summary>
#
# The transposed weights times upstream: (50, 10) @ (10, 100) is (50, 100).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dD1: hint 3</summary>
#
# One hidden number feeds two outputs with the weights 10 and 20, and upstream is 0.5 and -1: the answer is 5 - 20 =
# -15.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 1</summary>
#
# The gradient of a weight needs the input of the layer. Which tensor was that?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 2</summary>
#
# Upstream times the transposed input, and the input was D1: (10, 100) @ (100, 50) is (10, 50).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 3</summary>
#
# One output, two pictures: upstream (0.5, -1), A1 (2, 4), and D1 (4, 0), because the second was switched off. The
# answer is 2. If you get -3, you used A1.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dA1: hint 1</summary>
#
# The forward line is a product with a constant. What is the slope of such a product?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dA1: hint 2</summary>
#
# The local slope is mask / (1 - p), (50, 100). Multiply it by upstream, dD1, place by place.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dA1: hint 3</summary>
#
# In the table the answer is (0.2, 0, 0, 0.8). If you get (0.1, 0, 0, 0.4), the division is missing. If you get
# (0.2, 0.6, -0.4, 0.8), the mask is.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dZ1: hint 1</summary>
#
# A ReLU is a gate: its slope is 1 or 0. Multiply it by the gradient that you have just computed.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dZ1: hint 2</summary>
#
# The slope is 1 where Z1 > 0, else 0, times upstream, dA1. All are (50, 100).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dZ1: hint 3</summary>
#
# With Z1 (-1, 2) and dA1 (0.3, 0.7) the answer is (0, 0.7).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 1</summary>
#
# The input of this layer is X, and nothing of it was switched off.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 2</summary>
#
# Upstream times the transposed input: (50, 100) @ (100, 64) is (50, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 3</summary>
#
# One neuron, one pixel, two pictures: dZ1 (0.5, -1) and X (3, 5) give 1.5 - 5 = -3.5.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dropout: hint 1</summary>
#
# There are two cases that need no mask at all, and one in which a division by zero waits. Which are they?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dropout: hint 2</summary>
#
# If training is false, return h unchanged. If p is 1, return zeros of the shape of h. Else mask times h over (1 -
# p).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dropout: hint 3</summary>
#
# For (2, 4, 6, 8) with the mask (1, 0, 0, 1) and p = 0.5 it must return (4, 0, 0, 16); with training false, (2, 4,
# 6, 8); with p = 1, four zeros and no division by zero.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dropout_backward: hint 1</summary>
#
# The same three cases. In each of them, how does the output move when h moves?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dropout_backward: hint 2</summary>
#
# If training is false the slope is 1. If p is 1 it is 0. Else it is mask / (1 - p). Times the upstream gradient
# dout each time.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dropout_backward: hint 3</summary>
#
# For the upstream gradient (0.1, 0.3, -0.2, 0.4) with the mask (1, 0, 0, 1) and p = 0.5 it must return (0.2, 0, 0,
# 0.8); with training false, the upstream gradient itself; with p = 1, four zeros.
#
# </details>
