# %% [markdown]
# # Loops 2: AdamW, with decay for the weights alone, and a bias whose true gradient is zero
#
# <!-- dojo: loops/ex2_adamw -->

# %% tags=["parameters"]
seed = 6
device = "cpu"
dtype = "float32"
n = 12
features = 6
hidden = 8
classes = 5
max_steps = 400
learning_rate = 0.01
beta1 = 0.9
beta2 = 0.95
eps = 1e-8
weight_decay = 0.1

# %% tags=["setup"]
import torch
import torch.nn.functional as F
from tqdm import tqdm

g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


x = draw(100, features)
y = x[:, :classes].argmax(1)
W1 = draw(features, hidden) * 0.5
b1 = draw(hidden) * 0.1
W2 = draw(hidden, classes) * 0.5
b2 = draw(classes) * 0.1
parameters = [W1, b1, W2, b2]
decays = [weight_decay, 0.0, weight_decay, 0.0]

# %% tags=["forward"]
ix = torch.randint(0, 100, (n,), generator=g)  # (12,)
xb, yb = x[ix], y[ix]  # (12, 6) and (12,)
z = xb @ W1 + b1  # (12, 8)
centred = z - z.mean(0)  # (12, 8)
h = torch.relu(centred)  # (12, 8)
logits = h @ W2 + b2  # (12, 5)
loss = F.cross_entropy(logits, yb)  # ()

# %% [markdown] tags=["hint"]
# Forward, backward, update.

# %% [markdown] tags=["hint"]
# Two running means for each parameter.

# %% [markdown] tags=["hint"]
# Both are divided by one minus their beta to the number of steps.

# %% tags=["training"]
losses = []
ms = [torch.zeros_like(p) for p in parameters]
vs = [torch.zeros_like(p) for p in parameters]
with torch.no_grad():
    for step in tqdm(range(max_steps)):
        ix = torch.randint(0, 100, (n,), generator=g)
        xb, yb = x[ix], y[ix]
        z = xb @ W1 + b1
        centred = z - z.mean(0)
        h = torch.relu(centred)
        logits = h @ W2 + b2
        loss = F.cross_entropy(logits, yb)

        dlogits = (torch.softmax(logits, 1) - F.one_hot(yb, classes)) / n
        dh = dlogits @ W2.T
        dW2 = h.T @ dlogits
        db2 = dlogits.sum(0)
        dcentred = dh * (centred > 0)
        dz = dcentred - dcentred.mean(0)
        dW1 = xb.T @ dz
        db1 = dz.sum(0)

        for p, gradient, m, v, decay in zip(parameters, [dW1, db1, dW2, db2], ms, vs, decays, strict=True):
            m.mul_(beta1).add_(gradient, alpha=1 - beta1)
            v.mul_(beta2).add_(gradient**2, alpha=1 - beta2)
            m_hat = m / (1 - beta1 ** (step + 1))
            v_hat = v / (1 - beta2 ** (step + 1))
            p.mul_(1 - learning_rate * decay)
            p.sub_(learning_rate * m_hat / (v_hat.sqrt() + eps))
        losses.append(loss.item())

# %% tags=["grading"]
optimizer = torch.optim.AdamW(
    [{"params": [p], "weight_decay": decay} for p, decay in zip(parameters, decays, strict=True)],
    lr=learning_rate,
    betas=(beta1, beta2),
    eps=eps,
)
