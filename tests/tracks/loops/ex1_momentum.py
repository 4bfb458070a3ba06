# %% [markdown]
# # Loops 1: momentum, weight decay, and a rate that falls along a cosine
#
# <!-- dojo: loops/ex1_momentum -->

# %% tags=["parameters"]
seed = 5
device = "cpu"
dtype = "float32"
n = 12
features = 6
hidden = 8
max_steps = 300
top_rate = 0.2
momentum = 0.9
weight_decay = 0.01

# %% tags=["setup"]
import math

import torch
from tqdm import tqdm

g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


x = draw(100, features)
y = (x[:, :1] * x[:, 1:2]).tanh()
W1 = draw(features, hidden) * 0.5
b1 = draw(hidden) * 0.1
W2 = draw(hidden, 1) * 0.5
b2 = draw(1) * 0.1
parameters = [W1, b1, W2, b2]

# %% tags=["forward"]
ix = torch.randint(0, 100, (n,), generator=g)  # (12,)
xb, yb = x[ix], y[ix]  # (12, 6) and (12, 1)
z = xb @ W1 + b1  # (12, 8)
h = torch.tanh(z)  # (12, 8)
out = h @ W2 + b2  # (12, 1)
loss = ((out - yb) ** 2).mean()  # ()

# %% [markdown] tags=["hint"]
# Forward, backward, update.

# %% [markdown] tags=["hint"]
# The velocity is kept from step to step.

# %% [markdown] tags=["hint"]
# v = momentum * v + gradient + weight_decay * p; p -= rate * v.

# %% tags=["training"]
losses = []
velocities = [torch.zeros_like(p) for p in parameters]
for step in tqdm(range(max_steps)):
    ix = torch.randint(0, 100, (n,), generator=g)
    xb, yb = x[ix], y[ix]
    z = xb @ W1 + b1
    h = torch.tanh(z)
    out = h @ W2 + b2
    loss = ((out - yb) ** 2).mean()

    dout = 2 * (out - yb) / n
    dh = dout @ W2.T
    dW2 = h.T @ dout
    db2 = dout.sum(0)
    dz = dh * (1 - h**2)
    dW1 = xb.T @ dz
    db1 = dz.sum(0)

    lr = top_rate * (1 + math.cos(math.pi * step / max_steps)) / 2
    for p, gradient, v in zip(parameters, [dW1, db1, dW2, db2], velocities, strict=True):
        v *= momentum
        v += gradient + weight_decay * p
        p -= lr * v
    losses.append(loss.item())

# %% tags=["grading"]
optimizer = torch.optim.SGD(parameters, lr=top_rate, momentum=momentum, weight_decay=weight_decay)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max_steps)
