# %% [markdown]
# # Exercise 1: attention with heads
#
# One line makes three tensors, and heads divide the channels.
#
# <!-- dojo: kinds/ex1_heads -->

# %% tags=["parameters"]
seed = 5
device = "cpu"
dtype = "float32"
B = 2
T = 4
C = 6
H = 2

# %% tags=["setup"]
import torch

from grader import cmp

g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


D = C // H
x = draw(B, T, C)
W = draw(C, 3 * C) * C**-0.5
goal = draw(B, T, C)
later = torch.ones(T, T, dtype=torch.bool, device=device).triu(1)

# %% tags=["forward"]
q, k, v = (x @ W).split(C, dim=-1)  # (2, 4, 6) three times
qh = q.view(B, T, H, D).transpose(1, 2)  # (2, 2, 4, 3)
kh = k.view(B, T, H, D).transpose(1, 2)  # (2, 2, 4, 3)
vh = v.view(B, T, H, D).transpose(1, 2)  # (2, 2, 4, 3)
scores = qh @ kh.transpose(-2, -1) * D**-0.5  # (2, 2, 4, 4)
masked = scores.masked_fill(later, float("-inf"))  # (2, 2, 4, 4)
weights = torch.softmax(masked, -1)  # (2, 2, 4, 4)
out = (weights @ vh).transpose(1, 2).reshape(B, T, C)  # (2, 4, 6)
y = x + out  # (2, 4, 6)
loss = ((y - goal) ** 2).mean()  # ()

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dloss = torch.ones_like(loss)
dy = 2 * (y - goal) / y.numel() * dloss

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dout = dy.clone()
d = dout.view(B, T, H, D).transpose(1, 2)
dvh = weights.transpose(-2, -1) @ d
dweights = d @ vh.transpose(-2, -1)

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dmasked = weights * (dweights - (dweights * weights).sum(-1, keepdim=True))
dscores = dmasked.masked_fill(later, 0.0)

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dqh = dscores @ kh * D**-0.5
dkh = dscores.transpose(-2, -1) @ qh * D**-0.5

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dq = dqh.transpose(1, 2).reshape(B, T, C)
dk = dkh.transpose(1, 2).reshape(B, T, C)
dv = dvh.transpose(1, 2).reshape(B, T, C)

# %% [markdown] tags=["hint"]
# Which lines read it?

# %% [markdown] tags=["hint"]
# Compare the shapes.

# %% [markdown] tags=["hint"]
# The sum over all paths.

# %% tags=["backward"]
dx = dy + torch.cat([dq, dk, dv], -1) @ W.T
dW = x.view(-1, C).T @ torch.cat([dq, dk, dv], -1).view(-1, 3 * C)

# %% tags=["grading"]
targets = ["loss", "y", "out", "vh", "weights", "masked", "scores", "qh", "kh", "q", "k", "v", "x", "W"]
batch = "B"
sizes = [{"B": 3, "T": 5, "C": 8, "H": 2}, {"B": 5, "T": 3, "C": 12, "H": 3}]
