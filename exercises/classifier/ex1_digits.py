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
# # Classifier 1: the gradients of a digit reader
#
# *About 45 minutes. Difficulty 2 of 5. You need foundations 3 or the matrix product, and NumPy.*
#
# A network looks at a small picture of a handwritten digit and says which digit it is. You write all its
# gradients in plain NumPy: seven lines. In this lesson every example is a **column** and not a row, as in many
# textbooks. That turns every formula around, so you see which parts of a rule are habit and which are
# mathematics.
#
# ## A bug that really happens
#
# There is a digit reader from scratch that was copied many thousands of times. Its bias gradient is
# `np.sum(dZ2) / m`: one sum over everything, so all ten biases get the same number. And this number is zero,
# because in each column the gradient of a softmax sums to zero. So the output biases never learn anything. The
# network reaches a decent accuracy all the same, so hardly anybody noticed. At the end of the lesson you see this
# zero.
#
# <!-- dojo: classifier/ex1_digits -->

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

from grader import cmp, load_digits

# %% tags=["parameters"]
seed = 0
device = "cpu"
dtype = "float64"
m = 100
n_hidden = 10

# %% [markdown]
# ## The data
#
# 1,797 pictures of 8 · 8 pixels, written by 13 people. A pixel is a number from 0 (paper) to 16 (ink); divided by
# 16 it lies between 0 and 1. A fifth of the pictures is held out: training never sees them.
#
# `X` (64, 100) holds a batch of `m = 100` pictures, one in each column. `Y` (10, 100) holds the labels,
# **one-hot**: a column has a 1 in the row of its digit and 0 elsewhere. For example, the digit 3 is the column 0,
# 0, 0, 1, 0, 0, 0, 0, 0, 0.

# %% tags=["setup"]
g = np.random.default_rng(seed)
pixels, labels = load_digits()
order = g.permutation(len(labels))
training = order[len(labels) // 5 :]
pictures = (pixels / pixels.max()).T.astype(dtype)
X = pictures[:, training[:m]]
Y = np.eye(10, dtype=dtype)[labels[training[:m]]].T
n_features = X.shape[0]

# %%
from matplotlib.figure import Figure

from grader import plots

figure = Figure(figsize=(8, 1.6), layout="constrained")
side = int(n_features**0.5)
for axes, column in zip(figure.subplots(1, 10), range(10), strict=True):
    axes.imshow(X[:, column].reshape(side, side), cmap="gray_r")
    axes.set_title(str(Y[:, column].argmax()))
    axes.axis("off")
figure.set_label(f"The first ten pictures of the batch, with the labels {Y[:, :10].argmax(axis=0).tolist()}.")
plots.show(figure)

# %% [markdown]
# ## The parameters
#
# | name | shape | what it is |
# |---|---|---|
# | `W1`, `b1` | (10, 64), (10, 1) | ten hidden neurons: one **row** of weights for each |
# | `W2`, `b2` | (10, 10), (10, 1) | ten outputs, one for each digit |
#
# The biases are columns (10, 1), so that they can be added to every column of a (10, 100).

# %% tags=["setup"]
W1 = (g.standard_normal((n_hidden, n_features)) * (2 / n_features) ** 0.5).astype(dtype)
b1 = (g.standard_normal((n_hidden, 1)) * 0.1).astype(dtype)
W2 = (g.standard_normal((10, n_hidden)) * (1 / n_hidden) ** 0.5).astype(dtype)
b2 = (g.standard_normal((10, 1)) * 0.1).astype(dtype)

# %% [markdown]
# ## The forward pass
#
# - **Hidden layer** (`Z1`, `A1`): a matrix product, a bias, and a ReLU that replaces negative numbers by zero.
# - **Output layer** (`Z2`): a score for each digit.
# - **Softmax** (`E`, `A2`): exponentials of the scores, divided by their sum in each column. So each column of
#   `A2` holds ten probabilities that add up to 1. The largest score of the column is subtracted first, because
#   the exponential of a large number overflows. It changes nothing: all exponentials of the column are divided by
#   the same number.
# - **Loss**: the cross-entropy. Minus the logarithm of the probability that the network gave to the right digit,
#   averaged over the batch. It is a measure of surprise: with the probability 1 it is 0, with 0.1 it is 2.303.

# %% tags=["forward"]
Z1 = W1 @ X + b1  # (10, 100)
A1 = np.maximum(Z1, 0)  # (10, 100)
Z2 = W2 @ A1 + b2  # (10, 100)
E = np.exp(Z2 - Z2.max(axis=0, keepdims=True))  # (10, 100)
A2 = E / E.sum(axis=0, keepdims=True)  # (10, 100)
loss = -(Y * np.log(A2)).sum() / m  # ()

# %% [markdown]
# With ten digits to choose from, a network that knows nothing should have the loss $\log 10 = 2.303$. This one
# has 2.88, somewhat more, because its random scores differ.

# %%
from grader import show_graph

show_graph("classifier/ex1_digits", globals())

# %% [markdown]
# # The backward pass
#
# ## dZ2
#
# Three lines at once, `E`, `A2` and `loss`: () from `Z2` (10, 100)
#
# ### Idea: softmax and cross-entropy in one step
#
# For one column with the scores $z$ and the right digit $y$ the loss is $-\log(e^{z_y} / \sum_j e^{z_j})$. A
# logarithm turns a quotient into a difference:
#
# $$\text{loss} = -z_y + \log \sum_j e^{z_j}$$
#
# Differentiate with respect to one score $z_i$. The first term gives -1 where $i$ is the right digit, else 0. The
# second gives $e^{z_i} / \sum_j e^{z_j}$, which is the probability $a_i$. So the slope is $a_i - 1$ at the right
# digit and $a_i$ elsewhere. With the one-hot column that is simply $a - y$.
#
# On paper, three classes with the scores 1, 2, 3, and the first class is right:
#
# | | class 1 | class 2 | class 3 | sum |
# |---|---|---|---|---|
# | $e^z$ | 2.718 | 7.389 | 20.086 | 30.193 |
# | $a$ | 0.0900 | 0.2447 | 0.6652 | 1 |
# | $y$ | 1 | 0 | 0 | 1 |
# | $a - y$ | -0.9100 | 0.2447 | 0.6652 | 0 |
#
# The right class is pulled up by exactly as much as the others are pushed down together. So each column sums to
# zero.
#
# The loss is the mean over `m` pictures, so each column is divided by `m`: by the number of pictures, not by the
# number of elements.
#
# Ask yourself: which matrix of the shape of `Z2` (10, 100) holds all the $a_i$, and which one all the $y_i$?

# %%
three = np.exp(np.array([1.0, 2.0, 3.0]))
print("probabilities", (three / three.sum()).round(4), " gradient", (three / three.sum() - np.array([1, 0, 0])).round(4))

# %% tags=["backward"]
dZ2 = ...

# %%
cmp("Z2", dZ2, Z2)

# %% [markdown]
# ## dW2
#
# `Z2 = W2 @ A1 + b2`: (10, 100) from (10, 10), (10, 100) and (10, 1)
#
# ### Idea: columns turn the formulas around
#
# With examples in rows one writes `y = x @ w`, and the gradients are `dw = x.T @ dy` and `dx = dy @ w.T`. Here
# the weights stand on the left: `Z = W @ A`. What has to happen is the same. The gradient of a weight is summed
# over the examples, and the examples are the columns now. So the columns must meet in the middle of the product:
#
# `dW = dZ @ A.T`, in shapes (10, 100) @ (100, 10).
#
# On paper, one output, two inputs and two examples: the weights are $(w_1, w_2)$, the examples are the columns
# $(3, 4)$ and $(5, 6)$, and upstream is $(0.5, -1)$. The first weight gets $0.5 \cdot 3 - 1 \cdot 5 = -3.5$, the
# second $0.5 \cdot 4 - 1 \cdot 6 = -4$.
#
# `W2` is (10, 10), so the shapes do not help here: `A1 @ dZ2.T` has the same shape, and it is the transpose of the
# right answer. So look at the indices: row $i$ of `W2` belongs to output $i$, so row $i$ of the gradient comes from
# row $i$ of `dZ2`.
#
# Ask yourself: what has to be transposed so that the 100 columns of `dZ2` (10, 100) and of `A1` (10, 100) meet in
# the middle?

# %% tags=["backward"]
dW2 = ...

# %%
cmp("W2", dW2, W2)

# %% [markdown]
# ## db2
#
# `Z2 = W2 @ A1 + b2`: (10, 100) from (10, 10), (10, 100) and (10, 1)
#
# `b2` (10, 1) is broadcast over the 100 columns: each bias is used for 100 pictures. A broadcast forward is a sum
# backward, over the same dimension. In NumPy dimensions are called axes; columns are axis 1.
#
# ### Trap: a lost dimension
#
# `dZ2.sum(axis=1)` is (10,), and `b2` is (10, 1). The update `b2 - 0.1 * db2` then has the shape (10, 10), because
# a column and a row are broadcast against each other. No error appears. With `keepdims=True` the sum stays a
# column.
#
# Ask yourself: how many numbers must be left of `dZ2` (10, 100), and in which shape?

# %%
column, row = np.zeros((10, 1)), np.zeros(10)
print("a column minus a row:", (column - row).shape)

# %% tags=["backward"]
db2 = ...

# %%
cmp("b2", db2, b2)

# %% [markdown]
# ## dA1
#
# `Z2 = W2 @ A1 + b2`: (10, 100) from (10, 10), (10, 100) and (10, 1)
#
# Each hidden number is used for ten outputs, so ten paths lead back to it. They are summed over the outputs, the
# **rows** of `W2`.
#
# Ask yourself: what has to be transposed so that the outputs, rows of `dZ2` (10, 100), meet the outputs of `W2`
# (10, 10) in the middle?

# %% tags=["backward"]
dA1 = ...

# %%
cmp("A1", dA1, A1)

# %% [markdown]
# ## dZ1
#
# `A1 = np.maximum(Z1, 0)`: (10, 100) from (10, 100)
#
# The ReLU is a gate: where `Z1` is above zero the upstream gradient passes, elsewhere it is stopped. For example,
# with $z = (-1, 2)$ and upstream $(0.3, 0.7)$ the gradient is $(0, 0.7)$.
#
# Ask yourself: which numbers of `Z1` (10, 100) changed `A1`?

# %% tags=["backward"]
dZ1 = ...

# %%
cmp("Z1", dZ1, Z1)

# %% [markdown]
# ## dW1
#
# `Z1 = W1 @ X + b1`: (10, 100) from (10, 64), (64, 100) and (10, 1)
#
# The same rule as for `dW2`, with other shapes. There is no further division by `m`: it is in `dZ2` already, and
# every gradient below has inherited it. To divide once more in each layer is a common slip, because some books
# write the 1/m at every weight and leave it out of `dZ2`.
#
# Ask yourself: which two tensors take the parts of `dZ2` and `A1` here, so that the result has the shape of `W1`
# (10, 64)?

# %% tags=["backward"]
dW1 = ...

# %%
cmp("W1", dW1, W1)

# %% [markdown]
# ## db1
#
# `Z1 = W1 @ X + b1`: (10, 100) from (10, 64), (64, 100) and (10, 1)
#
# Ask yourself: along which axis of `Z1` (10, 100) was `b1` (10, 1) broadcast?

# %% tags=["backward"]
db1 = ...

# %%
cmp("b1", db1, b1)

# %% [markdown]
# ## The zero of the copied notebook
#
# Sum the gradient over everything, as in the bug at the top, and compare it with the ten numbers of `db2`:

# %%
if isinstance(dZ2, np.ndarray):
    print("sum over everything:", f"{dZ2.sum():.0e}")
    print("the ten right numbers:", dZ2.sum(axis=1).round(3))
else:
    print("dZ2 is not filled in yet.")

# %% [markdown]
# What does the first layer learn from this batch? The gradient of one hidden neuron's weights has 64 numbers, one
# for each pixel, so it can be shown as a picture. Red pixels would get more weight in the next step, blue ones
# less.

# %%
if isinstance(dW1, np.ndarray):
    figure = Figure(figsize=(8, 1.8), layout="constrained")
    limit = abs(dW1).max()
    for neuron, axes in enumerate(figure.subplots(1, n_hidden)):
        axes.imshow(-dW1[neuron].reshape(side, side), cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.axis("off")
    figure.set_label(f"The step that each of the {n_hidden} hidden neurons wants, as pictures of {side} by {side} weights.")
    plots.show(figure)
else:
    print("dW1 is not filled in yet: there is nothing to draw.")

# %% [markdown]
# ## What to take along
#
# - Softmax and cross-entropy together: probabilities minus labels, over the number of examples.
# - Examples in columns: `dW = dZ @ A.T`, `dA = W.T @ dZ`, biases sum over axis 1. The index that is summed meets
#   in the middle.
# - Keep the dimension of a sum, and divide by `m` once.
# - Right shapes are not enough where a matrix is square.
#
# Go on with [Classifier 2](ex2_digits_training.ipynb): you put the seven lines into a loop, and the network learns
# to read.

# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()

# %% [markdown]
# The next cell is for the grader: it says what is graded, and at which sizes.

# %% [raw] tags=["grading"]
# batch = "m"
# sizes = [{"m": 7, "n_hidden": 5}, {"m": 11, "n_hidden": 13}, {"m": 17, "n_hidden": 6}]

# %% [markdown] tags=["hint"]
# <details>
# <summary>dZ2: hint 1</summary>
#
# The slopes of one column stand in the last line of the table. Write that line for all 100 columns at once.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dZ2: hint 2</summary>
#
# Probabilities minus one-hot labels, A2 - Y, both (10, 100). The mean over the batch brings a division by m.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dZ2: hint 3</summary>
#
# In the table the first class is right, and the column (0.0900, 0.2447, 0.6652) becomes (-0.9100, 0.2447, 0.6652).
# With m = 100 every number is a hundredth of that, for example -0.0091.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 1</summary>
#
# The examples have to be summed away. Where do they stand in dZ2 and in A1, and where must they stand so that
# they meet?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 2</summary>
#
# Upstream times the transposed input: (10, 100) @ (100, 10). The rows of the result belong to the outputs, as
# those of dZ2.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 3</summary>
#
# In the example the two weights must get -3.5 and -4, side by side in one row. If they stand one above the other,
# you have the transpose.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 1</summary>
#
# How many times is each bias used? Over which axis do these uses lie?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 2</summary>
#
# Sum the upstream gradient dZ2 (10, 100) over axis 1 and keep the dimension: (10, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 3</summary>
#
# Two outputs and two pictures, with the upstream rows (0.5, -1) and (1, 2): the answer is the column -0.5 above 3,
# with the shape (2, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dA1: hint 1</summary>
#
# The outputs have to be summed away now. They are the rows of W2 and the rows of dZ2.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dA1: hint 2</summary>
#
# The transposed weights times upstream: (10, 10) @ (10, 100). The second 10 of the first factor has to be the
# outputs.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dA1: hint 3</summary>
#
# One hidden number feeds two outputs with the weights 10 and 20, and upstream is 0.5 and -1: the answer is 5 - 20 =
# -15.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dZ1: hint 1</summary>
#
# The local slope is 0 or 1. What is it multiplied by?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dZ1: hint 2</summary>
#
# The slope is 1 where Z1 > 0, else 0. Times upstream, dA1, place by place. All are (10, 100).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dZ1: hint 3</summary>
#
# In the example the answer is (0, 0.7). A comparison gives true and false, and in a product they count as 1 and 0.
# If all your numbers are 0 or 1, the upstream gradient is missing.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 1</summary>
#
# What did you do for W2? What stands in the place of A1 here?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 2</summary>
#
# Upstream times the transposed input: (10, 100) @ (100, 64) is (10, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 3</summary>
#
# Compare with your line for dW2: dZ1 stands where dZ2 stood, and X where A1 stood. If your numbers are 100 times
# too small, you divided by m once more.
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
# Sum the upstream gradient dZ1 (10, 100) over axis 1 and keep the dimension: (10, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 3</summary>
#
# Compare with your line for db2: dZ1 stands where dZ2 stood. The upstream rows (0.5, -1) and (1, 2) give the column
# -0.5 above 3.
#
# </details>
