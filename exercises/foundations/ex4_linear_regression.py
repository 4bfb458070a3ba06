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
# # Foundations 4: a line through points, by gradient descent
#
# *About 35 minutes. Difficulty 1 of 5. You need foundations 1 and a little NumPy.*
#
# A gradient says in which direction the loss rises. So a small step in the opposite direction lowers it. Many
# small steps are what people call training. In this lesson you write the two gradients of a straight line and
# then the loop that uses them. It is the loop of every network, only with two numbers instead of billions. There
# is no PyTorch in your answers, only NumPy, because nothing else is needed.
#
# ## A bug that really happens
#
# Somebody updates the weight first and then computes the gradient of the bias with the new weight. The loss still
# falls, the line still fits, and so the mistake stays in the code for years. But it is another algorithm: the two
# gradients belong to two different lines. In a deep network it is worse, because the lower layers then get
# gradients through weights that never made this forward pass. The cure is an order: all gradients first, then all
# updates.
#
# <!-- dojo: foundations/ex4_linear_regression -->

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
import numpy as np

from grader import cmp

# %% tags=["parameters"]
seed = 0
n = 100
device = "cpu"
dtype = "float64"

# %% [markdown]
# ## The points
#
# A hundred points around the line $y = 5 + 2x$. To each a random number between 0 and 1 is added, as noise. Its
# mean is 0.5, so the line that fits best lies near $5.5 + 2x$.

# %% tags=["setup"]
np.random.seed(seed)
x = np.random.rand(n, 1)
y = 5 + 2 * x + np.random.rand(n, 1)
W = np.zeros(())
b = np.zeros(())

# %% [markdown]
# ## The forward pass
#
# `W` and `b` are single numbers and start at zero. `pred` holds what the line says at each point. The loss is the
# mean of the squared distances, measured straight up or down.

# %% tags=["forward"]
pred = W * x + b  # (100, 1)
diff = pred - y  # (100, 1)
loss = (diff**2).mean()  # ()

# %% [markdown]
# At the start the line lies flat at 0 and the points lie around 6.5, so the loss is large: 42.3.
#
# # Part 1: the two gradients
#
# ## dW
#
# `pred = W * x + b`: (100, 1) from (), (100, 1) and ()
#
# `W` is one number () that is used for all 100 points.
#
# ### Idea: one number, many points
#
# Two points, $x = (1, 3)$, with the differences $(-2, 4)$. The loss is (4 + 16) / 2 = 10. Now raise `W` by 0.01.
# The first prediction rises by 0.01 · 1, the second by 0.01 · 3, so the differences become (-1.99, 4.03) and the
# loss (3.9601 + 16.2409) / 2 = 10.1005. It rose by 0.1005 for a step of 0.01, so the slope is about 10.
#
# By the formula: each point brings $2 \cdot \text{diff} \cdot x$, which is $2 \cdot (-2) \cdot 1 = -4$ and
# $2 \cdot 4 \cdot 3 = 24$. The mean of the two is 10.
#
# Ask yourself: what does one point bring to the gradient of `W` (), and what does the mean do?

# %% tags=["backward"]
dW = ...

# %%
cmp("W", dW, W)

# %% [markdown]
# It is -6.4. Negative, so a larger `W` lowers the loss.
#
# ## db
#
# `pred = W * x + b`: (100, 1) from (), (100, 1) and ()
#
# With the two points above: raise `b` by 0.01 and both differences rise by 0.01.
#
# Ask yourself: the line multiplies `W` by `x` (100, 1). What does it multiply `b` () by?

# %% tags=["backward"]
db = ...

# %%
cmp("b", db, b)

# %% [markdown]
# # Part 2: walk downhill
#
# ### Idea: one step of gradient descent
#
# Take $f(x) = x^2 - 4x + 1$, a parabola with its lowest point at $x = 2$. Its slope is $2x - 4$. Start at 9 and
# always go 0.1 times the slope downhill. The factor 0.1 is called the **learning rate**.
#
# | step | x | slope | next x |
# |---|---|---|---|
# | 0 | 9 | 14 | 9 - 0.1 · 14 = 7.6 |
# | 1 | 7.6 | 11.2 | 6.48 |
# | 2 | 6.48 | 8.96 | 5.584 |
#
# The steps become shorter by themselves, because the slope becomes smaller toward the bottom. With the rate 1 the
# first step would go to 9 - 14 = -5, as far on the other side, and the next one back to 9, forever. With a larger
# rate still it would fly off. If a loss grows without end, the rate is the first thing to look at.

# %%
path = [9.0]
for _ in range(30):
    path.append(path[-1] - 0.1 * (2 * path[-1] - 4))
print([round(place, 3) for place in path[:4]], "...", round(path[-1], 3))

# %% [markdown]
# ### Idea: a slope of zero is not always a bottom
#
# Gradient descent stops wherever the slope is zero. Take $f(x) = x^4 - 2x^3 + 2$, with the slope $4x^3 - 6x^2$.
# It is zero at $x = 1.5$, the lowest point, where $f$ is 0.3125. It is zero at $x = 0$ as well, though the curve
# comes down from the left there and goes on down to the right. Such a place is called a **saddle**. Started at 0,
# the walk never moves. Started at -0.5, it creeps toward 0 and after 1,000 steps it is still at -0.0016. Started
# at 0.5, it finds 1.5. The picture shows all of it.

# %%
from matplotlib.figure import Figure

from grader import plots


def walk(start, steps, rate):
    places = [start]
    for _ in range(steps):
        here = places[-1]
        places.append(here - rate * (4 * here**3 - 6 * here**2))
    return places


saddle, valley = walk(-0.5, 1000, 0.1), walk(0.5, 1000, 0.1)
curve = np.linspace(-0.8, 2.0, 141)
figure = Figure(figsize=(8, 3.5), layout="constrained")
axes = figure.subplots()
axes.plot(curve, curve**4 - 2 * curve**3 + 2, color="black")
for places, marker, name in ((saddle, "o", "from -0.5"), (valley, "s", "from 0.5")):
    shown = np.array(places[:60])
    axes.plot(shown, shown**4 - 2 * shown**3 + 2, marker, markersize=4, alpha=0.6, label=name)
axes.set_xlabel("x")
axes.set_ylabel("f(x)")
axes.legend()
figure.set_label(
    f"Two walks down the curve x^4 - 2x^3 + 2. The one from -0.5 is stuck near the saddle at 0 "
    f"({saddle[-1]:.4f} after 1,000 steps), the one from 0.5 reaches the lowest point at {valley[-1]:.2f}."
)
plots.show(figure)

# %% [markdown]
# ## descend
#
# Write the loop as a function, `descend(x, y, W, b, steps, rate)`. It gets the points, a first `W` and `b`, the
# number of steps and the learning rate. In each step it
#
# 1. computes `pred`, `diff` and the loss, and keeps the loss in a list, before anything changes;
# 2. computes `dW` and `db`, both from the same `diff`;
# 3. moves `W` and `b` against their gradients.
#
# Ask yourself: which of these lines must not see the changed `W`?
#
# It returns `W`, `b` and the list of losses. Write `W = W - ...` and not `W -= ...`: the second form would change
# the caller's own array.

# %% tags=["backward"]
def descend(x, y, W, b, steps, rate):
    """Fit the line W * x + b to the points: W and b after `steps` steps, and the loss before each step."""
    ...

# %%
found = descend(x, y, W, b, 100, 0.1)
if found is not None:
    fitted_W, fitted_b, losses = found
    print(f"W {float(fitted_W):.4f}   b {float(fitted_b):.4f}   loss {losses[0]:.3f} -> {losses[-1]:.4f}")
    plots.show(plots.loss_curve(losses))
else:
    print("descend is not written yet.")

# %% [markdown]
# After 100 steps `W` is 2.118073690511974 and `b` is 5.466089050922982. The last loss is 0.0791. It cannot fall
# to zero, because the noise is no line: the best line of all has the loss 0.0762, with W = 1.9366 and b = 5.5581.
# For a straight line it can be computed in one go. For a network it cannot, so there one walks.

# %%
best, *_ = np.linalg.lstsq(np.hstack([x, np.ones_like(x)]), y, rcond=None)
best = best[:, 0]
best_loss = float(((best[0] * x + best[1] - y) ** 2).mean())
print(f"best line: W {best[0]:.4f}   b {best[1]:.4f}   loss {best_loss:.4f}")

# %% [markdown]
# ## What to take along
#
# - A parameter that is used for all examples gets the mean (or the sum) of what the examples bring.
# - One step of gradient descent: all gradients first, then parameter minus learning rate times gradient.
# - The learning rate decides: too small is slow, too large flies off.
# - A gradient of zero can be a bottom or a saddle.
#
# Go on with [Foundations 5](ex5_autograd_engine.ipynb): you build the machine that finds all these gradients by
# itself.

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
# targets = ["W", "b", "descend"]
#
#
# def descend(x, y, W, b, steps, rate):
#     import torch
#
#     points, values = torch.tensor(x), torch.tensor(y)
#     weight = torch.tensor(float(W), dtype=torch.float64, requires_grad=True)
#     bias = torch.tensor(float(b), dtype=torch.float64, requires_grad=True)
#     optimizer = torch.optim.SGD([weight, bias], lr=rate)
#     losses = []
#     for _ in range(steps):
#         with torch.enable_grad():
#             loss = ((weight * points + bias - values) ** 2).mean()
#         optimizer.zero_grad()
#         loss.backward()
#         optimizer.step()
#         losses.append(loss.item())
#     return weight.item(), bias.item(), losses
#
#
# def cases(generator):
#     import torch
#
#     def case(count, start, steps, rate, result):
#         points = torch.rand(count, 1, generator=generator, dtype=torch.float64).round(decimals=2)
#         values = (3 * points - 1 + torch.rand(count, 1, generator=generator)).round(decimals=2)
#         return "\n".join(
#             [
#                 f"x = np.array({points.tolist()})",
#                 f"y = np.array({values.tolist()})",
#                 f"W, b, losses = descend(x, y, np.array({start[0]}), np.array({start[1]}), {steps}, {rate})",
#                 f"result = {result}",
#             ]
#         )
#
#     yield "one step from zero", case(5, (0.0, 0.0), 1, 0.1, "[float(W), float(b)]")
#     yield "one step from another line", case(7, (1.5, -2.0), 1, 0.05, "[float(W), float(b)]")
#     yield "two steps", case(4, (1.5, -2.0), 2, 0.2, "[float(W), float(b)]")
#     yield "the losses of four steps", case(6, (0.5, 0.25), 4, 0.1, "[float(loss) for loss in losses]")
#     yield "a hundred steps", case(9, (0.0, 0.0), 100, 0.1, "[float(W), float(b), len(losses)]")
#     keep = case(3, (1.0, 2.0), 3, 0.1, "0").replace("np.array(1.0), np.array(2.0)", "begin, begin")
#     yield "the caller's array is left alone", "begin = np.array(1.0)\n" + keep.replace("result = 0", "result = float(begin)")

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW: hint 1</summary>
#
# Take one point. How does its squared difference change when W goes up by a little? Then think of all points.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW: hint 2</summary>
#
# The square brings 2 * diff, the product W * x brings x. Both are (100, 1). The mean over the points makes one
# number of them, with the shape ().
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW: hint 3</summary>
#
# The two points of the example must give 10. If you get 20, you took the sum and not the mean. If you get 2, the x
# is missing.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db: hint 1</summary>
#
# The same as for W, but b is not multiplied by anything.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db: hint 2</summary>
#
# Each point brings 2 * diff, (100, 1), times 1. The mean makes one number of them.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db: hint 3</summary>
#
# The two points of the example, with the differences (-2, 4), must give (-4 + 8) / 2 = 2.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>descend: hint 1</summary>
#
# Copy the three forward lines and your two gradients into a loop over range(steps). The updates come last.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>descend: hint 2</summary>
#
# In each round: pred, diff (100, 1), then append the mean square of diff, then both gradients, then both updates.
# An update is the old number minus rate times its gradient; W, b and the gradients have the shape ().
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>descend: hint 3</summary>
#
# One step with the points x = (1, 3) and y = (2, -4), from W = 0 and b = 0 with the rate 0.1: the differences are
# those of the example, so the loss is 10, dW is 10 and db is 2. It must return W = -1, b = -0.2 and the losses
# [10]. If b comes out as 0.2, its gradient has seen the changed W.
#
# </details>
