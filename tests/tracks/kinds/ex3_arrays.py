# %% [markdown]
# # Exercise 3: arrays, one example a column
#
# No tensor anywhere: the answers are arrays.
#
# <!-- dojo: kinds/ex3_arrays -->

# %% tags=["parameters"]
seed = 5
device = "cpu"
dtype = "float32"
m = 9
features = 4
hidden = 5
classes = 3

# %% tags=["setup"]
import numpy as np

from grader import cmp

draw = np.random.default_rng(seed)
X = draw.standard_normal((features, m)).astype(dtype)
labels = draw.integers(0, classes, m)
Y = np.eye(classes, dtype=dtype)[:, labels]
W1 = draw.standard_normal((hidden, features)).astype(dtype)
b1 = draw.standard_normal((hidden, 1)).astype(dtype)
W2 = draw.standard_normal((classes, hidden)).astype(dtype)
b2 = draw.standard_normal((classes, 1)).astype(dtype)

# %% tags=["forward"]
Z1 = W1 @ X + b1  # (5, 9)
A1 = np.maximum(Z1, 0)  # (5, 9)
Z2 = W2 @ A1 + b2  # (3, 9)
E = np.exp(Z2 - Z2.max(axis=0, keepdims=True))  # (3, 9)
A2 = E / E.sum(axis=0, keepdims=True)  # (3, 9)
loss = -np.sum(Y * np.log(A2)) / m  # ()

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dZ2 = (A2 - Y) / m
dW2 = dZ2 @ A1.T
db2 = dZ2.sum(axis=1, keepdims=True)

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dA1 = W2.T @ dZ2
dZ1 = dA1 * (Z1 > 0)
dW1 = dZ1 @ X.T
db1 = dZ1.sum(axis=1, keepdims=True)

# %% tags=["grading"]
batch = "m"
