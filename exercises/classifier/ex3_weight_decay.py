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
# # Classifier 3: weight decay
#
# *About 35 minutes. Difficulty 2 of 5. You need classifier 1; classifier 2 helps.*
#
# A network with many weights and few examples learns the examples by heart. One cure is to make large weights
# expensive: the loss gets a second part that grows with the squares of the weights. You write the gradients of
# this new loss. Then you see that for plain gradient descent it is the same as letting the weights shrink a
# little in each step, and that for Adam it is **not** the same.
#
# ## A bug that really happens
#
# Somebody writes `torch.optim.Adam(model.parameters(), weight_decay=0.01)` and concludes that weight decay does
# not help. Two things are wrong with this line. First, it decays everything it is given, the biases as well,
# although a bias does not make a network learn by heart. Second, Adam adds the decay to the gradient and then
# divides by the usual size of the gradient. So a weight with large gradients hardly decays at all, and one with
# tiny gradients decays at full speed. The optimiser that does what was meant is called `AdamW`. At the end you
# see both side by side.
#
# <!-- dojo: classifier/ex3_weight_decay -->

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
n_hidden = 10
decay = 0.1

# %% [markdown]
# ## The network
#
# The digit reader of classifier 1, with one picture in each column: `X` (64, 100), labels `Y` (10, 100), one-hot.
# `decay` is the strength of the weight decay, often written $\lambda$. Because 0.1 is unusually strong, its part
# of each gradient is easy to see here; 0.001 to 0.01 is usual.

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
for p in (W1, b1, W2, b2):
    p.requires_grad = True

# %% [markdown]
# ## The forward pass
#
# Up to `L` it is the network that you know. `penalty` is half of `decay` times the sum of the squares of all
# weights, and not of the biases. `J` is what training makes small now.

# %% tags=["forward"]
Z1 = W1 @ X + b1  # (10, 100)
A1 = Z1.clamp(min=0)  # (10, 100)
Z2 = W2 @ A1 + b2  # (10, 100)
A2 = torch.softmax(Z2, dim=0)  # (10, 100)
L = -(Y * torch.log(A2)).sum() / m  # ()
penalty = decay / 2 * ((W1**2).sum() + (W2**2).sum())  # ()
J = L + penalty  # ()

# %%
from grader import show_graph

show_graph("classifier/ex3_weight_decay", globals())

# %%
for tensor in (Z1, A1, Z2, A2, L, penalty, J):
    tensor.retain_grad()
J.backward()
print(f"L {L.item():.3f}   penalty {penalty.item():.3f}   J {J.item():.3f}")

# %% [markdown]
# # Part 1: the gradients of J
#
# You know the way back from `L` to the two layers from classifier 1, so `dZ2` and `dZ1` are given. Start from
# them.

# %% tags=["given"]
dZ2 = Z2.grad.clone()
dZ1 = Z1.grad.clone()

# %% [markdown]
# ## dW2
#
# `Z2 = W2 @ A1 + b2`: (10, 100) from (10, 10), (10, 100) and (10, 1)
#
# `penalty = decay / 2 * ((W1**2).sum() + (W2**2).sum())`: () from (10, 64) and (10, 10)
#
# Two atoms read `W2` (10, 10), so it gets the sum of two paths.
#
# ### Idea: a penalty pulls every weight toward zero
#
# Three weights (3, -1, 0.5) and the decay 0.1. The penalty is 0.05 · (9 + 1 + 0.25) = 0.5125. Raise the 3 to 3.1:
# it becomes 0.05 · (9.61 + 1 + 0.25) = 0.543. It rose by 0.0305 for a step of 0.1, a slope of about 0.3. The
# formula says decay times weight, 0.1 · 3 = 0.3: the 2 of the square and the half before the sum cancel. That is
# what the half is for.
#
# | weight | 3 | -1 | 0.5 |
# |---|---|---|---|
# | slope of the penalty | 0.3 | -0.1 | 0.05 |
#
# A step against this slope makes each weight smaller by the same share. The sign takes care of itself: a negative
# weight is raised. The batch does not matter here, so there is no `m`.
#
# Ask yourself: what does `W2` (10, 10) get through the product, and what through the penalty?

# %% tags=["backward"]
dW2 = ...

# %%
cmp("W2", dW2, W2)

# %% [markdown]
# ## db2
#
# `Z2 = W2 @ A1 + b2`: (10, 100) from (10, 10), (10, 100) and (10, 1)
#
# ### Idea: why biases are not decayed
#
# A large weight makes a network sensitive: a small change of a pixel becomes a large change of a score. This is
# how it can bend around single examples. A large bias only shifts. For example, if one digit is rare in the data,
# its bias should be low, and pulling it toward zero would be a mistake in every prediction. So the penalty leaves
# the biases out. The same is true of the gains of a normalisation layer.
#
# Ask yourself: how many paths lead back to `b2` (10, 1)?

# %% tags=["backward"]
db2 = ...

# %%
cmp("b2", db2, b2)

# %% [markdown]
# ## dW1
#
# `Z1 = W1 @ X + b1`: (10, 100) from (10, 64), (64, 100) and (10, 1)
#
# `penalty = decay / 2 * ((W1**2).sum() + (W2**2).sum())`: () from (10, 64) and (10, 10)
#
# Ask yourself: which two lines read `W1` (10, 64), and what does each of them bring?

# %% tags=["backward"]
dW1 = ...

# %%
cmp("W1", dW1, W1)

# %% [markdown]
# ## db1
#
# `Z1 = W1 @ X + b1`: (10, 100) from (10, 64), (64, 100) and (10, 1)
#
# Ask yourself: does `b1` (10, 1) stand in the penalty?

# %% tags=["backward"]
db1 = ...

# %%
cmp("b1", db1, b1)

# %% [markdown]
# # Part 2: the same as a shrinking factor
#
# One step of gradient descent on `J` with the rate $\eta$ is
#
# $$W \leftarrow W - \eta\,(dW_L + \lambda W) = (1 - \eta\lambda)\,W - \eta\,dW_L$$
#
# where $dW_L$ is the gradient of `L` alone. On the left the decay is part of the gradient. On the right the weight
# first shrinks by a factor, and then comes the usual step of the loss. Both give the same number.
#
# ### Idea: numbers
#
# A weight of 3, the gradient 2 of the loss, the rate 0.5 and the decay 0.1. On the left: 3 - 0.5 · (2 + 0.3) =
# 1.85. On the right: the factor is 1 - 0.05 = 0.95, and 0.95 · 3 - 0.5 · 2 = 2.85 - 1 = 1.85. Note that the
# factor holds rate times decay. People often shrink by $1 - \lambda$ and then wonder why the network forgets
# everything: with a rate of 0.01 that is a hundred times too much.
#
# Write the loop both ways. Each function gets weights `W`, biases `b`, a function `gradients(W, b)` that returns
# the gradients `dW` and `db` of the loss **without** penalty, the number of steps, the rate and the decay. It
# returns `W` and `b` after these steps. It does not change the tensors that it was given.
#
# Ask yourself: to which of the two gradients does the decay add something, `dW` in the shape of `W` or `db` in the
# shape of `b`?
#
# ## descend_with_penalty

# %% tags=["backward"]
def descend_with_penalty(W, b, gradients, steps, rate, decay):
    """Gradient descent on the loss plus decay / 2 times the sum of squares of W; gives W and b."""
    ...

# %% [markdown]
# ## descend_with_shrinking
#
# Ask yourself: by which factor does `W` shrink in one step, and does `b` shrink, too?

# %% tags=["backward"]
def descend_with_shrinking(W, b, gradients, steps, rate, decay):
    """The same, with a factor that shrinks W in each step before the step of the loss; gives W and b."""
    ...

# %% [markdown]
# Run both on a small problem and compare. The loss pulls the weights to (1, 4) and the bias to 2.

# %%


def pull(W, b):
    return W - torch.tensor([1.0, 4.0], dtype=torch.float64), b - 2


begin = torch.tensor([3.0, -1.0], dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
ways = [descend(*begin, pull, 50, 0.1, 0.5) for descend in (descend_with_penalty, descend_with_shrinking)]
if None not in ways:
    for name, (weights, bias) in zip(("penalty  ", "shrinking"), ways, strict=True):
        print(name, weights.numpy().round(6), round(bias.item(), 6))

# %% [markdown]
# Both end at the same numbers. The weights stay below (1, 4), at 0.667 and 2.666: a balance between the loss and
# the penalty. The bias goes to 1.99, nearly all the way.

# %% [markdown]
# # Part 3: where the two differ
#
# Adam divides each gradient by its own usual size before the step. If the decay is inside the gradient, it is
# divided as well. So two weights of the same size decay at different speeds. For example, take two weights that
# both have the value 1 at the start. The gradients of their loss are random with mean zero, one of size 10 and one
# of size 0.1. So the loss pulls in no direction, and only the decay should matter. After 2,000 steps:

# %%
sizes_of_gradients = torch.tensor([10.0, 0.1])
final = {}
with torch.enable_grad():
    for kind in (torch.optim.Adam, torch.optim.AdamW):
        noise = torch.Generator().manual_seed(1)
        pair = torch.ones(2, requires_grad=True)
        optimizer = kind([pair], lr=1e-3, weight_decay=0.1)
        history = []
        for _ in range(2000):
            pair.grad = sizes_of_gradients * torch.randn(2, generator=noise)
            optimizer.step()
            history.append(pair.detach().clone())
        final[kind.__name__] = torch.stack(history)
        print(f"{kind.__name__:6s} weights after 2,000 steps: {pair.detach().numpy().round(2)}")

# %%
from matplotlib.figure import Figure

from grader import plots

figure = Figure(figsize=(8, 3.5), layout="constrained")
for axes, (name, history) in zip(figure.subplots(1, 2, sharey=True), final.items(), strict=True):
    axes.plot(history[:, 0].numpy(), label="gradient of size 10")
    axes.plot(history[:, 1].numpy(), "--", label="gradient of size 0.1")
    axes.set_title(name)
    axes.set_xlabel("step")
    axes.legend()
figure.set_label("Two weights under Adam and AdamW: " + "; ".join(
    f"{name} ends at {history[-1, 0]:.2f} and {history[-1, 1]:.2f}" for name, history in final.items()) + ".")
plots.show(figure)

# %% [markdown]
# With Adam the first weight ends at 1.00 and the second at 0.18, although both have the same decay. With AdamW
# both shrink by the factor $(1 - 0.0001)^{2000} = 0.82$, apart from the noise of the gradients. This is what
# "decoupled" means: the decay does not pass through Adam's averages.
#
# ## Does it help?
#
# A network with 50 hidden neurons learns 100 digits for 1,000 steps, with the rate 0.2. These are means over
# three seeds:
#
# | decay | loss on the 100 | loss on held-out digits | typical size of a weight in W1 |
# |---|---|---|---|
# | 0 | 0.007 | 0.393 | 0.224 |
# | 0.003 | 0.036 | 0.365 | 0.153 |
# | 0.1 | 1.190 | 1.452 | 0.046 |
#
# A little decay makes the network worse on what it has seen and slightly better on what it has not. Too much makes
# it bad at both. The gain is small here, and more data would help more. The cell that measures the table takes a
# few seconds. Set `measure = True` to run it.

# %%
from functools import cache

measure = False


@torch.enable_grad()
def train_with(decay_used, run):
    """Losses on the training digits and on held-out ones, and the typical size of W1, after 1,000 steps."""
    chance = torch.Generator().manual_seed(run)
    shuffled = torch.randperm(len(labels), generator=chance)
    held, few = shuffled[: len(labels) // 5], shuffled[len(labels) // 5 :][:100]
    rows, answers = pictures.T, torch.from_numpy(labels)
    first = (torch.randn(n_features, 50, generator=chance) * (2 / n_features) ** 0.5).to(rows)
    second = (torch.randn(50, 10, generator=chance) * (1 / 50) ** 0.5).to(rows)
    weights, biases = [first, second], [torch.zeros(50).to(rows), torch.zeros(10).to(rows)]
    for tensor in weights + biases:
        tensor.requires_grad = True
    groups = [{"params": weights, "weight_decay": decay_used}, {"params": biases}]
    optimizer = torch.optim.SGD(groups, lr=0.2)

    def loss_of(chosen):
        scores = (rows[chosen] @ first + biases[0]).relu() @ second + biases[1]
        return torch.nn.functional.cross_entropy(scores, answers[chosen])

    for _ in range(1000):
        optimizer.zero_grad()
        loss_of(few[torch.randint(0, 100, (32,), generator=chance)]).backward()
        optimizer.step()
    return loss_of(few).item(), loss_of(held).item(), first.pow(2).mean().sqrt().item()


@cache
def measured_table():
    torch.set_num_threads(1)
    runs = {value: [train_with(value, run) for run in range(3)] for value in (0.0, 0.003, 0.1)}
    return [[sum(column) / 3 for column in zip(*found, strict=True)] for found in runs.values()]


if measure:
    for row in measured_table():
        print([round(value, 3) for value in row])

# %% [markdown]
# ## What to take along
#
# - The penalty `decay / 2 * (W**2).sum()` adds `decay * W` to the gradient. Weights have two paths, biases one.
# - For plain gradient descent this is a shrinking factor of `1 - rate * decay`.
# - For Adam it is not. Use AdamW, where the shrinking stands outside of the averages.
# - Leave biases and the gains of normalisation layers out.
#
# Go on with [Classifier 4](ex4_dropout.ipynb): another cure, one that switches off half of the network in each
# step.

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
# targets = ["W2", "b2", "W1", "b1", "descend_with_penalty", "descend_with_shrinking"]
# batch = "m"
# sizes = [
#     {"m": 7, "n_hidden": 5, "decay": 0.3},
#     {"m": 11, "n_hidden": 13, "decay": 0.7},
#     {"m": 17, "n_hidden": 6, "decay": 0.05},
# ]
#
#
# def descend_with_penalty(W, b, gradients, steps, rate, decay):
#     weights, biases = torch.nn.Parameter(W.clone()), torch.nn.Parameter(b.clone())
#     groups = [{"params": [weights], "weight_decay": decay}, {"params": [biases]}]
#     optimizer = torch.optim.SGD(groups, lr=rate)
#     for _ in range(steps):
#         weights.grad, biases.grad = gradients(weights.detach().clone(), biases.detach().clone())
#         optimizer.step()
#     return weights.detach(), biases.detach()
#
#
# descend_with_shrinking = descend_with_penalty
#
#
# def cases(generator):
#     for name in ("descend_with_penalty", "descend_with_shrinking"):
#         for label, steps in (("one step", 1), ("three steps", 3), ("twenty steps", 20), ("W and b stay as they were", 2)):
#             W, target = torch.randn(2, 2, generator=generator, dtype=torch.float64).round(decimals=2).tolist()
#             b = torch.randn(2, generator=generator, dtype=torch.float64).round(decimals=2).tolist()
#             decay = round(0.2 + torch.rand((), generator=generator).item(), 2)
#             lines = [
#                 f"W, b = torch.tensor({W}, dtype=torch.float64), torch.tensor({b}, dtype=torch.float64)",
#                 f"goal = torch.tensor({target}, dtype=torch.float64)",
#                 ("" if "stay" in label else "W, b = ")
#                 + f"{name}(W, b, lambda W, b: (W - goal + b.sum(), b - W.sum()), {steps}, 0.05, {decay})",
#                 "result = torch.cat([W, b])",
#             ]
#             yield f"{name}, {label}", "\n".join(lines)

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 1</summary>
#
# Two forward lines have W2 on their right-hand side. The first path is that of classifier 1.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 2</summary>
#
# Through the product: dZ2 @ A1.T, (10, 100) @ (100, 10). Through the penalty: decay times W2, (10, 10). The
# gradient is their sum.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 3</summary>
#
# A weight of 3 that gets 0.2 through the product must get 0.5 in all, with the decay 0.1. If it gets 0.8, the half
# in the penalty was forgotten.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 1</summary>
#
# Look for b2 in the forward cell. Does it stand in the penalty?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 2</summary>
#
# There is one path, through the product: sum dZ2 (10, 100) over dim 1 and keep the dimension, (10, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 3</summary>
#
# A row of dZ2 with (0.5, -1) gives -0.5, whatever the decay and the bias are. All rows together are a column.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 1</summary>
#
# The same two paths as for W2, one layer below.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 2</summary>
#
# dZ1 @ X.T, (10, 100) @ (100, 64), plus decay times W1, (10, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 3</summary>
#
# Compare with your line for dW2: dZ1 stands where dZ2 stood, X where A1 stood, and W1 where W2 stood.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 1</summary>
#
# What did you do for b2?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 2</summary>
#
# Sum dZ1 (10, 100) over dim 1 and keep the dimension: (10, 1). There is no second path.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 3</summary>
#
# Compare with your line for db2: dZ1 stands where dZ2 stood.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>descend_with_penalty: hint 1</summary>
#
# In each step, ask for both gradients once. Which of the two gets something added?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>descend_with_penalty: hint 2</summary>
#
# The gradient of J for W is dW + decay * W, of the shape of W. For b it is db. Then take a step with each: the
# old value minus rate times its gradient.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>descend_with_penalty: hint 3</summary>
#
# One step from a weight of 3 with the gradient 2, the rate 0.5 and the decay 0.1 must give 1.85. A bias of 1 with
# the gradient 2 must become 0. If it becomes -0.05, it was decayed.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>descend_with_shrinking: hint 1</summary>
#
# Look at the right-hand side of the formula. What is W multiplied by?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>descend_with_shrinking: hint 2</summary>
#
# W becomes (1 - rate * decay) * W - rate * dW. b gets the plain step. Ask for both gradients before you change W.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>descend_with_shrinking: hint 3</summary>
#
# The numbers of the other function must come out again: 1.85 for the weight, 0 for the bias. If the weight is 1.7,
# the factor lacks the rate.
#
# </details>
