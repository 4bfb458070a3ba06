# %% [markdown]
# # Exercise 1: a linear layer, ReLU, and cross-entropy
#
# Its gradients have the names of other tracks' gradients, and other shapes.
#
# <!-- dojo: twin/ex1_mlp -->

# %% tags=["parameters"]
seed = 11
device = "cpu"
dtype = "float32"
n = 12
features = 6
hidden = 8
classes = 5

# %% tags=["setup"]
import torch
import torch.nn.functional as F

from grader import cmp

g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


x = draw(n, features)
y = torch.randint(0, classes, (n,), generator=g).to(device)
W1 = draw(features, hidden) * 0.5
b1 = draw(hidden) * 0.1
W2 = draw(hidden, classes) * 0.5
b2 = draw(classes) * 0.1

# %% tags=["forward"]
z = x @ W1 + b1  # (12, 8)
h = F.relu(z)  # (12, 8)
logits = h @ W2 + b2  # (12, 5)
loss = F.cross_entropy(logits, y)  # ()

# %% [markdown] tags=["hint"]
# Softmax minus something.

# %% [markdown] tags=["hint"]
# One is taken away at the label.

# %% [markdown] tags=["hint"]
# The mean divides by n.

# %% tags=["backward"]
dlogits = F.softmax(logits, 1)
dlogits[range(n), y] -= 1
dlogits /= n

# %% [markdown] tags=["hint"]
# A matrix product.

# %% [markdown] tags=["hint"]
# The shapes tell which is transposed.

# %% [markdown] tags=["hint"]
# Where z is below zero, nothing comes back.

# %% tags=["backward"]
dh = dlogits @ W2.T
dW2 = h.T @ dlogits
db2 = dlogits.sum(0)
dz = dh * (z > 0)
dW1 = x.T @ dz
db1 = dz.sum(0)
