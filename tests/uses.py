"""Ways in which later lines use a gradient: each of them is to find the true one, whatever was handed over.

All are answers to transformer/ex3, from the loss down to `x`. `RIGHT_LINE` becomes `SLIP` for the slip.
"""

RIGHT_LINE, SLIP = "dq = dscores @ k * C**-0.5", "dq = dscores @ k"

HEAD = """dout = 2 * (out - goal) / out.numel()
dweights = dout @ v.transpose(-2, -1)
dv = weights.transpose(-2, -1) @ dout
dmasked = weights * (dweights - (dweights * weights).sum(-1, keepdim=True))
dscores = dmasked.masked_fill(later, 0.0)
dq = dscores @ k * C**-0.5
dk = dscores.transpose(-2, -1) @ q * C**-0.5
"""
INPUT = "dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T\n"
USES = {
    "dict": """grads = {"q": dq, "k": dk, "v": dv}
for name in grads:
    grads[name] = grads[name].reshape(-1, C)
dWq, dWk, dWv = (x.reshape(-1, C).T @ grads[name] for name in "qkv")
"""
    + INPUT,
    "comp": """ds = [dq, dk, dv]
ds = [d.reshape(-1, C) for d in ds]
dWq, dWk, dWv = [x.reshape(-1, C).T @ d for d in ds]
"""
    + INPUT,
    "stack pop": """todo = [dv, dk, dq]
made = []
while todo:
    d = todo.pop()
    made.append(x.reshape(-1, C).T @ d.reshape(-1, C))
dWq, dWk, dWv = made
"""
    + INPUT,
    "plus list": """made = []
for d in (dq, dk, dv):
    d = d.flatten(0, 1)
    made += [x.flatten(0, 1).T @ d]
dWq, dWk, dWv = made
"""
    + INPUT,
    "zip store": """store = {}
for name, d in zip("qkv", (dq, dk, dv)):
    d = d.flatten(0, 1)
    store[name] = x.flatten(0, 1).T @ d
dWq, dWk, dWv = store["q"], store["k"], store["v"]
"""
    + INPUT,
    "stack": """dqkv = torch.stack([dq, dk, dv])
dWq, dWk, dWv = torch.einsum("bti,sbto->sio", x, dqkv)
"""
    + INPUT,
    "cat split": """dqkv = torch.cat([dq, dk, dv], -1)
dWqkv = x.reshape(-1, C).T @ dqkv.reshape(-1, 3 * C)
dWq, dWk, dWv = dWqkv.split(C, -1)
"""
    + INPUT,
    "class": """class Acc:
    def __init__(self):
        self.dx = torch.zeros_like(x)
        self.dw = []
    def add(self, d, w):
        d = d.reshape(-1, C)
        self.dw.append(x.reshape(-1, C).T @ d)
        self.dx = self.dx + (d @ w.T).view(B, T, C)
acc = Acc()
for d, w in ((dq, Wq), (dk, Wk), (dv, Wv)):
    acc.add(d, w)
dWq, dWk, dWv = acc.dw
dx = acc.dx
""",
    "inplace dx": """dWq, dWk, dWv = (x.flatten(0, 1).T @ d.flatten(0, 1) for d in (dq, dk, dv))
dx = torch.zeros_like(x)
for d, w in zip((dq, dk, dv), (Wq, Wk, Wv)):
    dx += d @ w.T
""",
    "inplace both": """dWq, dWk, dWv = torch.zeros_like(Wq), torch.zeros_like(Wk), torch.zeros_like(Wv)
dx = torch.zeros_like(x)
for dw, d, w in ((dWq, dq, Wq), (dWk, dk, Wk), (dWv, dv, Wv)):
    dw += x.flatten(0, 1).T @ d.flatten(0, 1)
    dx += d @ w.T
""",
    "reduce": """from functools import reduce
dWq, dWk, dWv = map(lambda d: x.flatten(0, 1).T @ d.flatten(0, 1), (dq, dk, dv))
dx = reduce(lambda a, b: a + b, [dq @ Wq.T, dk @ Wk.T, dv @ Wv.T])
""",
    "accumulate fn": """def accumulate(total, d, w):
    d = d @ w.T
    total += d
dWq, dWk, dWv = (x.flatten(0, 1).T @ d.flatten(0, 1) for d in (dq, dk, dv))
dx = torch.zeros_like(x)
accumulate(dx, dq, Wq)
accumulate(dx, dk, Wk)
accumulate(dx, dv, Wv)
""",
    "fn with loop": """def through(*pairs):
    dws, total = [], 0
    for d, w in pairs:
        total = total + d @ w.T
        d = d.reshape(-1, d.shape[-1])
        dws.append(x.reshape(-1, C).T @ d)
    return (total, *dws)
dx, dWq, dWk, dWv = through((dq, Wq), (dk, Wk), (dv, Wv))
""",
    "fn clone inplace": """def scaled(d):
    d = d.clone()
    d *= 1.0
    return d
dWq, dWk, dWv = (x.flatten(0, 1).T @ scaled(d).flatten(0, 1) for d in (dq, dk, dv))
dx = scaled(dq) @ Wq.T + scaled(dk) @ Wk.T + scaled(dv) @ Wv.T
""",
    "rows names": """dq2d = dq.view(-1, C); dk2d = dk.view(-1, C); dv2d = dv.view(-1, C)
X2d = x.view(-1, C)
dWq = X2d.T @ dq2d
dWk = X2d.T @ dk2d
dWv = X2d.T @ dv2d
dx = (dq2d @ Wq.T + dk2d @ Wk.T + dv2d @ Wv.T).view_as(x)
""",
    "reuse name d": """d = dq.reshape(-1, C)
dWq = x.reshape(-1, C).T @ d
dx = (d @ Wq.T).view(B, T, C)
d = dk.reshape(-1, C)
dWk = x.reshape(-1, C).T @ d
dx += (d @ Wk.T).view(B, T, C)
d = dv.reshape(-1, C)
dWv = x.reshape(-1, C).T @ d
dx += (d @ Wv.T).view(B, T, C)
""",
    "batch loop": """dWq = torch.zeros_like(Wq)
dWk = torch.zeros_like(Wk)
dWv = torch.zeros_like(Wv)
dx = torch.zeros_like(x)
for xb, dxb, qb, kb, vb in zip(x, dx, dq, dk, dv):
    dWq += xb.T @ qb
    dWk += xb.T @ kb
    dWv += xb.T @ vb
    dxb += qb @ Wq.T + kb @ Wk.T + vb @ Wv.T
""",
    "enumerate": """dx = torch.empty_like(x)
parts = [[], [], []]
for b, (qb, kb, vb) in enumerate(zip(dq, dk, dv)):
    dx[b] = qb @ Wq.T + kb @ Wk.T + vb @ Wv.T
    for part, d in zip(parts, (qb, kb, vb)):
        part.append(x[b].T @ d)
dWq, dWk, dWv = (sum(part) for part in parts)
""",
    "try with": """try:
    with torch.no_grad():
        dWq = x.flatten(0, 1).T @ dq.flatten(0, 1)
        dWk = x.flatten(0, 1).T @ dk.flatten(0, 1)
        dWv = x.flatten(0, 1).T @ dv.flatten(0, 1)
        dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
except RuntimeError as e:
    print(e)
""",
    "walrus": """dWq = x.flatten(0, 1).T @ (d1 := dq.flatten(0, 1))
dWk = x.flatten(0, 1).T @ (d2 := dk.flatten(0, 1))
dWv = x.flatten(0, 1).T @ (d3 := dv.flatten(0, 1))
dx = (d1 @ Wq.T + d2 @ Wk.T + d3 @ Wv.T).unflatten(0, (B, T))
""",
}
