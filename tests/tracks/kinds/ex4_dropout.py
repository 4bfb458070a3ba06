# %% [markdown]
# # Exercise 4: dropout
#
# The mask is drawn in the forward pass, anew in each trial.
#
# <!-- dojo: kinds/ex4_dropout -->

# %% tags=["parameters"]
seed = 5
device = "cpu"
dtype = "float32"
n = 7
features = 5
hidden = 6
p = 0.4

# %% tags=["setup"]
import torch

from grader import cmp

g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


x = draw(n, features)
W = draw(features, hidden)
u = draw(hidden)

# %% tags=["forward"]
pre = x @ W  # (7, 6)
h = torch.relu(pre)  # (7, 6)
mask = (torch.rand(h.shape, generator=g) > p).to(h)  # (7, 6)
kept = h * mask / (1 - p)  # (7, 6)
out = kept @ u  # (7,)
loss = (out**2).mean()  # ()

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dout = 2 * out / n
dkept = dout[:, None] * u
du = kept.T @ dout

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dh = dkept * mask / (1 - p)
dpre = dh * (pre > 0)
dW = x.T @ dpre

# %% tags=["grading"]
targets = ["out", "kept", "u", "h", "pre", "W"]
sizes = [{"n": 5, "features": 3, "hidden": 11, "p": 0.25}, {"n": 13, "features": 7, "hidden": 2, "p": 0.5}]
