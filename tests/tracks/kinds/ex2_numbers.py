# %% [markdown]
# # Exercise 2: single numbers
#
# Every tensor is one number, and one of them has two paths.
#
# <!-- dojo: kinds/ex2_numbers -->

# %% tags=["parameters"]
seed = 5
device = "cpu"
dtype = "float32"


# %% tags=["setup"]
import torch

from grader import cmp

g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


x = draw() + 2
w = draw()
b = draw()
label = 1.0

# %% tags=["forward"]
z = x * w + b  # ()
a = torch.sigmoid(z)  # ()
penalty = 0.5 * w**2  # ()
loss = (a - label) ** 2 + penalty  # ()

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dloss = torch.ones_like(loss)
dpenalty = dloss.clone()
da = 2 * (a - label) * dloss

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dz = a * (1 - a) * da
dx = w * dz
dw = x * dz + w * dpenalty
db = dz.clone()

# %% tags=["grading"]
targets = ["loss", "penalty", "a", "z", "x", "w", "b"]
