"""Ways in which later lines use a gradient: each of them is to find the true one, whatever was handed over.

`USES` are answers to transformer/ex3, from the loss down to `x`. `RIGHT_LINE` becomes `SLIP` for the slip.
"""

from grader.lesson.exercise import find_exercise

RIGHT_LINE, SLIP = "dq = dscores @ k * C**-0.5", "dq = dscores @ k"

HEAD = """dout = 2 * (out - goal) / out.numel()
dweights = dout @ v.transpose(-2, -1)
dv = weights.transpose(-2, -1) @ dout
dmasked = weights * (dweights - (dweights * weights).sum(-1, keepdim=True))
dscores = dmasked.masked_fill(later, 0.0)
dq = dscores @ k * C**-0.5
dk = dscores.transpose(-2, -1) @ q * C**-0.5
"""
WEIGHTS = 'dWq, dWk, dWv = (torch.einsum("bti,bto->io", x, d) for d in (dq, dk, dv))\n'
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
    "namedtuple": """from collections import namedtuple
Grads = namedtuple("Grads", "q k v")
g_all = Grads(dq, dk, dv)
dWq = x.flatten(0, 1).T @ g_all.q.flatten(0, 1)
dWk = x.flatten(0, 1).T @ g_all.k.flatten(0, 1)
dWv = x.flatten(0, 1).T @ g_all.v.flatten(0, 1)
dx = g_all.q @ Wq.T + g_all.k @ Wk.T + g_all.v @ Wv.T
""",
    "dataclass": """from dataclasses import dataclass
@dataclass
class Flow:
    d: torch.Tensor
    w: torch.Tensor
    def weight(self):
        return x.flatten(0, 1).T @ self.d.flatten(0, 1)
    def below(self):
        return self.d @ self.w.T
flows = [Flow(dq, Wq), Flow(dk, Wk), Flow(dv, Wv)]
dWq, dWk, dWv = (f.weight() for f in flows)
dx = sum(f.below() for f in flows)
""",
    "namespace": """from types import SimpleNamespace
s = SimpleNamespace(q=dq, k=dk)
s.v = dv
dWq, dWk, dWv = (torch.einsum("bti,bto->io", x, d) for d in vars(s).values())
dx = s.q @ Wq.T + s.k @ Wk.T + s.v @ Wv.T
""",
    "update dict": """grads = dict(q=dq)
grads.update(k=dk, v=dv)
weights_of = dict(q=Wq, k=Wk, v=Wv)
made = {n: torch.einsum("bti,bto->io", x, d) for n, d in grads.items()}
dWq, dWk, dWv = made.values()
dx = sum(grads[n] @ weights_of[n].T for n in grads)
""",
    "closure": """def make_backward(inp):
    def backward(d, w):
        d2 = d.flatten(0, 1)
        return inp.flatten(0, 1).T @ d2, d @ w.T
    return backward
backward_x = make_backward(x)
dWq, a = backward_x(dq, Wq)
dWk, b = backward_x(dk, Wk)
dWv, c = backward_x(dv, Wv)
dx = a + b + c
""",
    "globals in fn": """def weight_grads():
    flat = x.reshape(B * T, C)
    return [flat.T @ d.reshape(B * T, C) for d in (dq, dk, dv)]
def input_grad():
    return dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
dWq, dWk, dWv = weight_grads()
dx = input_grad()
""",
    "generator fn": """def weight_grads(ds):
    for d in ds:
        d = d.reshape(-1, C)
        yield x.reshape(-1, C).T @ d
dWq, dWk, dWv = weight_grads([dq, dk, dv])
"""
    + INPUT,
    "out arg": """dWq, dWk, dWv = (torch.empty(C, C) for _ in range(3))
xf = x.flatten(0, 1)
torch.mm(xf.T, dq.flatten(0, 1), out=dWq)
torch.mm(xf.T, dk.flatten(0, 1), out=dWk)
torch.mm(xf.T, dv.flatten(0, 1), out=dWv)
dx = torch.empty_like(x)
torch.matmul(dq, Wq.T, out=dx)
dx.add_(dk @ Wk.T).add_(dv @ Wv.T)
""",
    "addmm": """xf = x.flatten(0, 1)
dWq = torch.zeros(C, C).addmm_(xf.T, dq.flatten(0, 1))
dWk = torch.addmm(torch.zeros(C, C), xf.T, dk.flatten(0, 1))
dWv = torch.zeros(C, C)
dWv.addmm_(xf.T, dv.flatten(0, 1))
dx = torch.baddbmm(dk @ Wk.T, dq, Wq.T.expand(B, C, C)) + dv @ Wv.T
""",
    "index write": """dW = torch.zeros(3, C, C)
for i, d in enumerate((dq, dk, dv)):
    dW[i] = x.flatten(0, 1).T @ d.flatten(0, 1)
dWq, dWk, dWv = dW
dx = torch.zeros(B, T, C)
for b in range(B):
    dx[b] += dq[b] @ Wq.T
    dx[b] += dk[b] @ Wk.T
    dx[b] += dv[b] @ Wv.T
""",
    "while index": """ds, ws = [dq, dk, dv], [Wq, Wk, Wv]
i, dx, dws = 0, 0, []
while i < 3:
    d, w = ds[i], ws[i]
    dx = dx + d @ w.T
    d = d.reshape(-1, C)
    dws.append(x.reshape(-1, C).T @ d)
    i += 1
dWq, dWk, dWv = dws
""",
    "if main": """if True:
    dWq = torch.einsum("bti,bto->io", x, dq)
    dWk = torch.einsum("bti,bto->io", x, dk)
    dWv = torch.einsum("bti,bto->io", x, dv)
    dx = dq @ Wq.T
    dx = dx + dk @ Wk.T
    dx = dx + dv @ Wv.T
""",
    "method self rebinding": """class Linear:
    def __init__(self, w):
        self.w = w
        self.grad = None
    def backward(self, inp, d):
        below = d @ self.w.T
        d = d.reshape(-1, d.size(-1))
        inp = inp.reshape(-1, inp.size(-1))
        self.grad = inp.T @ d
        return below
lq, lk, lv = Linear(Wq), Linear(Wk), Linear(Wv)
dx = lq.backward(x, dq) + lk.backward(x, dk) + lv.backward(x, dv)
dWq, dWk, dWv = lq.grad, lk.grad, lv.grad
""",
    "layers list": """class Linear:
    def __init__(self, w):
        self.w = w
    def backward(self, inp, d):
        self.dw = inp.flatten(0, 1).T @ d.flatten(0, 1)
        return d @ self.w.T
layers = [Linear(w) for w in (Wq, Wk, Wv)]
dx = torch.zeros_like(x)
for layer, d in zip(layers, (dq, dk, dv)):
    dx += layer.backward(x, d)
dWq, dWk, dWv = [layer.dw for layer in layers]
""",
    "dict of lists": """paths = {"q": [dq, Wq], "k": [dk, Wk], "v": [dv, Wv]}
dx = torch.zeros_like(x)
found = {}
for name, (d, w) in paths.items():
    dx += d @ w.T
    found[name] = x.flatten(0, 1).T @ d.flatten(0, 1)
dWq, dWk, dWv = found["q"], found["k"], found["v"]
""",
    "swap after": """a, b = dq, dk
a, b = b, a
dWq = x.flatten(0, 1).T @ b.flatten(0, 1)
dWk = x.flatten(0, 1).T @ a.flatten(0, 1)
dWv = x.flatten(0, 1).T @ dv.flatten(0, 1)
dx = b @ Wq.T + a @ Wk.T + dv @ Wv.T
""",
    "scaled in place later": """dWq = x.flatten(0, 1).T @ dq.flatten(0, 1)
dWk = x.flatten(0, 1).T @ dk.flatten(0, 1)
dWv = x.flatten(0, 1).T @ dv.flatten(0, 1)
parts = [dq.clone(), dk.clone(), dv.clone()]
for i, w in enumerate([Wq, Wk, Wv]):
    parts[i] = parts[i] @ w.T
dx = parts[0]
for part in parts[1:]:
    dx += part
""",
    "numpyish": """import numpy as np
xn = x.numpy().reshape(-1, C)
dWq = torch.from_numpy(xn.T @ dq.numpy().reshape(-1, C))
dWk = torch.from_numpy(xn.T @ dk.numpy().reshape(-1, C))
dWv = torch.from_numpy(xn.T @ dv.numpy().reshape(-1, C))
through_q, through_k = np.matmul(dq.numpy(), Wq.numpy().T), np.matmul(dk.numpy(), Wk.numpy().T)
dx = torch.from_numpy(np.add(through_q, through_k) + dv.numpy() @ Wv.numpy().T)
""",
    "alias in fn": WEIGHTS
    + """def accumulate(total, d, w):
    rows = total.view(-1, C)
    rows += (d @ w.T).view(-1, C)
dx = torch.zeros_like(x)
accumulate(dx, dq, Wq)
accumulate(dx, dk, Wk)
accumulate(dx, dv, Wv)
""",
    "alias name in fn": WEIGHTS
    + """def accumulate(total, d, w):
    t = total
    t += d @ w.T
dx = torch.zeros_like(x)
accumulate(dx, dq, Wq)
accumulate(dx, dk, Wk)
accumulate(dx, dv, Wv)
""",
    "fn index alias": WEIGHTS
    + """def accumulate(total, d, w):
    for b in range(B):
        row = total[b]
        row += d[b] @ w.T
dx = torch.zeros_like(x)
accumulate(dx, dq, Wq)
accumulate(dx, dk, Wk)
accumulate(dx, dv, Wv)
""",
    "loop alias": WEIGHTS
    + """dx = torch.zeros_like(x)
for b in range(B):
    row = dx[b]
    row += dq[b] @ Wq.T
    row += dk[b] @ Wk.T
    row += dv[b] @ Wv.T
""",
    "loop view alias": WEIGHTS
    + """dx = torch.zeros_like(x)
for d, w in ((dq, Wq), (dk, Wk), (dv, Wv)):
    flat = dx.view(-1, C)
    flat += (d @ w.T).view(-1, C)
""",
    "loop item alias": WEIGHTS
    + """dx = torch.zeros_like(x)
for part, qb, kb, vb in zip(dx, dq, dk, dv):
    p = part
    p += qb @ Wq.T
    p += kb @ Wk.T
    p += vb @ Wv.T
""",
    "list of outputs": """outs = [torch.zeros(C, C) for _ in range(3)]
for o, d in zip(outs, (dq, dk, dv)):
    o += torch.einsum("bti,bto->io", x, d)
dWq, dWk, dWv = outs
"""
    + INPUT,
    "list of outputs named before": """dWq, dWk, dWv = outs = [torch.zeros(C, C) for _ in range(3)]
for o, d in zip(outs, (dq, dk, dv)):
    o += torch.einsum("bti,bto->io", x, d)
"""
    + INPUT,
    "outputs listed after names": """dWq, dWk, dWv = torch.zeros(C, C), torch.zeros(C, C), torch.zeros(C, C)
outs = [dWq, dWk, dWv]
for o, d in zip(outs, (dq, dk, dv)):
    o += torch.einsum("bti,bto->io", x, d)
"""
    + INPUT,
    "outs by index": """dWq, dWk, dWv = torch.zeros(C, C), torch.zeros(C, C), torch.zeros(C, C)
outs = [dWq, dWk, dWv]
ds = [dq, dk, dv]
for i in range(3):
    outs[i] += torch.einsum("bti,bto->io", x, ds[i])
"""
    + INPUT,
    "outs dict": """dWq, dWk, dWv = torch.zeros(C, C), torch.zeros(C, C), torch.zeros(C, C)
outs = {"q": dWq, "k": dWk, "v": dWv}
ds = {"q": dq, "k": dk, "v": dv}
for name, out_w in outs.items():
    out_w.add_(torch.einsum("bti,bto->io", x, ds[name]))
"""
    + INPUT,
    "while row": WEIGHTS
    + """dx = torch.zeros_like(x)
b = 0
while b < B:
    row = dx[b]
    row.copy_(dq[b] @ Wq.T + dk[b] @ Wk.T + dv[b] @ Wv.T)
    b += 1
""",
    "two parts": WEIGHTS
    + """dx = torch.zeros_like(x)
top, rest = dx[:1], dx[1:]
first = dx[:, :1]
top += dq[:1] @ Wq.T + dk[:1] @ Wk.T + dv[:1] @ Wv.T
rest += dq[1:] @ Wq.T + dk[1:] @ Wk.T + dv[1:] @ Wv.T
first *= 1
""",
    "lambda inplace": WEIGHTS
    + """dx = torch.zeros_like(x)
put = lambda d, w: dx.add_(d @ w.T)
put(dq, Wq)
put(dk, Wk)
put(dv, Wv)
""",
    "map inplace": WEIGHTS
    + """dx = torch.zeros_like(x)
[dx.add_(d @ w.T) for d, w in ((dq, Wq), (dk, Wk), (dv, Wv))]
""",
    "nested fn": WEIGHTS
    + """def back():
    total = torch.zeros_like(x)
    def put(d, w):
        nonlocal total
        total = total + d @ w.T
    put(dq, Wq)
    put(dk, Wk)
    put(dv, Wv)
    return total
dx = back()
""",
    "returned same": WEIGHTS
    + """def put(total, d, w):
    total += d @ w.T
    return total
dx = torch.zeros_like(x)
dx = put(dx, dq, Wq)
dx = put(dx, dk, Wk)
dx = put(dx, dv, Wv)
""",
    "setattr obj": WEIGHTS
    + """class G: pass
g_ = G()
g_.x = torch.zeros_like(x)
for d, w in ((dq, Wq), (dk, Wk), (dv, Wv)):
    g_.x += d @ w.T
dx = g_.x
""",
    "view before": WEIGHTS
    + """dx = torch.zeros_like(x)
dx_rows = dx.view(-1, C)
dx_rows += dq.view(-1, C) @ Wq.T
dx_rows += dk.view(-1, C) @ Wk.T
dx_rows += dv.view(-1, C) @ Wv.T
""",
    "unbind": WEIGHTS
    + """dx = torch.zeros_like(x)
for b, row in enumerate(dx.unbind(0)):
    row += dq[b] @ Wq.T + dk[b] @ Wk.T + dv[b] @ Wv.T
""",
}


MAKEMORE_SLIPS = {
    "bnraw": ("dbnraw = bngain * dhpreact", "dbnraw = dhpreact.clone()"),
    "probs": ("dprobs = dlogprobs / probs", "dprobs = 2 * dlogprobs / probs"),
}
MAKEMORE = {
    "zip rows": (
        "C",
        """dC = torch.zeros_like(C)
for d_row, ix_row in zip(demb, Xb):
    for d, i in zip(d_row, ix_row):
        dC[i] += d
""",
    ),
    "alias in loop": (
        "C",
        """dC = torch.zeros_like(C)
for ex in range(n):
    for pos in range(Xb.shape[1]):
        row = dC[Xb[ex, pos]]
        row += demb[ex, pos]
""",
    ),
    "numpy view": (
        "C",
        """import numpy as np
dC = torch.zeros_like(C)
dCn = dC.numpy()
np.add.at(dCn, Xb.numpy(), demb.numpy())
""",
    ),
    "list of rows": (
        "C",
        """rows = [torch.zeros(C.shape[1]) for _ in range(C.shape[0])]
for i, d in zip(Xb.flatten().tolist(), demb.flatten(0, 1)):
    rows[i] += d
dC = torch.stack(rows)
""",
    ),
    "rows unbound": (
        "C",
        """dC = torch.zeros_like(C)
rows = dC.unbind(0)
for i, d in zip(Xb.flatten().tolist(), demb.flatten(0, 1)):
    rows[i].add_(d)
""",
    ),
    "rows listed": (
        "C",
        """dC = torch.zeros_like(C)
rows = list(dC)
for i, d in zip(Xb.flatten().tolist(), demb.flatten(0, 1)):
    rows[i] += d
""",
    ),
    "rows comp": (
        "C",
        """dC = torch.zeros_like(C)
rows = [dC[i] for i in range(len(C))]
for i, d in zip(Xb.flatten().tolist(), demb.flatten(0, 1)):
    rows[i] += d
""",
    ),
    "fn scatter": (
        "C",
        """def scatter(table, index, values):
    flat = index.view(-1)
    values = values.view(-1, values.shape[-1])
    for i, v in zip(flat, values):
        row = table[i]
        row += v
dC = torch.zeros_like(C)
scatter(dC, Xb, demb)
""",
    ),
    "add_into": (
        "bndiff",
        """def add_into(total, part):
    total += part
dbndiff = bnvar_inv * dbnraw
add_into(dbndiff, 2 * bndiff * dbndiff2)
""",
    ),
    "parts": (
        "bndiff",
        """parts = [bnvar_inv * dbnraw]
parts.append(2 * bndiff * dbndiff2)
dbndiff = sum(parts)
""",
    ),
    "default dict": (
        "bndiff",
        """from collections import defaultdict
acc = defaultdict(float)
acc["bndiff"] += bnvar_inv * dbnraw
acc["bndiff"] += 2 * bndiff * dbndiff2
dbndiff = acc["bndiff"]
""",
    ),
    "two names": (
        "bndiff",
        """total = dbndiff = bnvar_inv * dbnraw
total += 2 * bndiff * dbndiff2
""",
    ),
    "for parts": (
        "bndiff",
        """dbndiff = torch.zeros_like(bndiff)
for part in (bnvar_inv * dbnraw, 2 * bndiff * dbndiff2):
    dbndiff += part
""",
    ),
    "columns": (
        "bndiff",
        """dbndiff = torch.empty_like(bndiff)
for j in range(dbndiff.shape[1]):
    column = dbndiff[:, j]
    column[:] = bnvar_inv[0, j] * dbnraw[:, j]
    column += 2 * bndiff[:, j] * dbndiff2[:, j]
""",
    ),
    "out list": (
        "bndiff",
        """dbndiff = torch.zeros_like(bndiff)
outs = [dbndiff]
outs[0] += bnvar_inv * dbnraw
outs[-1] += 2 * bndiff * dbndiff2
""",
    ),
    "dict out": (
        "bndiff",
        """dbndiff = torch.zeros_like(bndiff)
g_of = {"bndiff": dbndiff}
g_of["bndiff"] += bnvar_inv * dbnraw
g_of["bndiff"] += 2 * bndiff * dbndiff2
""",
    ),
    "row alias": (
        "logprobs",
        """dlogprobs = torch.zeros_like(logprobs)
for i, y in enumerate(Yb):
    row = dlogprobs[i]
    row[y] = -1.0 / n
""",
    ),
    "chained": (
        "logprobs",
        """d = dlogprobs = torch.zeros_like(logprobs)
d[torch.arange(n), Yb] = -1.0 / n
""",
    ),
    "max by loop": (
        "logits",
        """dlogits = dnorm_logits.clone()
for i, j in enumerate(logits.argmax(1)):
    one = dlogits[i]
    one[j] += dlogit_maxes[i, 0]
""",
    ),
    "enumerate rows": (
        "logits",
        """dlogits = dnorm_logits.clone()
for row, best, d in zip(dlogits, logits.max(1).indices, dlogit_maxes):
    row[best] += d.item()
""",
    ),
    "fn plus": (
        "counts",
        """def plus(a, b):
    a = a.clone()
    a += b
    return a
dcounts = plus(counts_sum_inv * dprobs, dcounts_sum.expand_as(counts))
""",
    ),
    "class acc": (
        "hprebn",
        """class Sum:
    def __init__(self, like):
        self.total = torch.zeros_like(like)
    def add(self, part):
        self.total += part
        return self
dhprebn = Sum(hprebn).add(dbndiff).add(dbnmeani.expand_as(hprebn) / n).total
""",
    ),
    "while parts": (
        "hprebn",
        """dhprebn = torch.zeros_like(hprebn)
todo = [dbndiff, dbnmeani / n]
while todo:
    part = todo.pop()
    dhprebn += part
""",
    ),
    "rows of hprebn": (
        "hprebn",
        """dhprebn = dbndiff.clone()
for r in dhprebn:
    r += dbnmeani[0] / n
""",
    ),
}
"""A gradient, and the lines that take the place of its own."""

OTHER_NAMES = {
    "a function that calls a function": """def put(into, value):
    into += value
def accumulate(d, value):
    put(d, value)
dW1 = torch.zeros_like(W1)
accumulate(dW1, VALUE)
""",
    "functions below those that call them": """def accumulate(d, value):
    middle(value, d)
def middle(value, d):
    put(d, value)
def put(into, value):
    into += value
dW1 = torch.zeros_like(W1)
accumulate(dW1, VALUE)
""",
    "partial": """from functools import partial
def put(into, value):
    into += value
dW1 = torch.zeros_like(W1)
add = partial(put, dW1)
add(VALUE)
""",
    "partial with a keyword": """import functools
def put(value, into):
    into += value
dW1 = torch.zeros_like(W1)
add = functools.partial(put, into=dW1)
add(VALUE)
""",
    "bound method": """dW1 = torch.zeros_like(W1)
add = dW1.add_
add(VALUE)
""",
    "function under another name": """def put(into, value):
    into += value
add = put
dW1 = torch.zeros_like(W1)
add(dW1, VALUE)
""",
    "operator": """import operator
dW1 = torch.zeros_like(W1)
operator.iadd(dW1, VALUE)
""",
    "function in a function": """def backward(into):
    def put(v):
        into.add_(v)
    put(VALUE)
dW1 = torch.zeros_like(W1)
backward(dW1)
""",
    "closure": """def adder(into):
    def add(v):
        into.add_(v)
    return add
dW1 = torch.zeros_like(W1)
add = adder(dW1)
add(VALUE)
""",
    "star arguments": """def put(*args):
    into, value = args
    into += value
dW1 = torch.zeros_like(W1)
put(dW1, VALUE)
""",
    "star call": """def put(into, value):
    into += value
dW1 = torch.zeros_like(W1)
args = (dW1, VALUE)
put(*args)
""",
    "keyword arguments": """def put(**kw):
    kw["into"] += kw["value"]
dW1 = torch.zeros_like(W1)
put(into=dW1, value=VALUE)
""",
    "recursion": """def rec(into, i):
    if i == W1.shape[0]:
        return
    into[i] = (VALUE)[i]
    rec(into, i + 1)
dW1 = torch.zeros_like(W1)
rec(dW1, 0)
""",
    "object": """class Acc:
    def __init__(self, t):
        self.t = t
    def add(self, v):
        self.t += v
dW1 = torch.zeros_like(W1)
acc = Acc(dW1)
acc.add(VALUE)
""",
    "object with operator": """class Acc:
    def __init__(self, t):
        self.t = t
    def __iadd__(self, v):
        self.t += v
        return self
dW1 = torch.zeros_like(W1)
acc = Acc(dW1)
acc += VALUE
""",
    "map": """dW1 = torch.zeros_like(W1)
v = VALUE
list(map(lambda a, b: a.copy_(b), dW1, v))
""",
    "comprehension by index": """dW1 = torch.zeros_like(W1)
v = VALUE
[dW1[i].copy_(v[i]) for i in range(W1.shape[0])]
""",
    "comprehension": """dW1 = torch.zeros_like(W1)
v = VALUE
[row.copy_(one) for row, one in zip(dW1, v)]
""",
    "iterator": """dW1 = torch.zeros_like(W1)
v = VALUE
rows = iter(dW1)
for one in v:
    next(rows).copy_(one)
""",
    "decorator": """def into(buffer):
    def wrap(f):
        buffer.copy_(f())
        return f
    return wrap
dW1 = torch.zeros_like(W1)
@into(dW1)
def compute():
    return VALUE
""",
    "default argument": """dW1 = torch.zeros_like(W1)
def add(v, into=dW1):
    into += v
add(VALUE)
""",
    "one of two": """dW1 = torch.zeros_like(W1)
other = torch.zeros_like(W1)
target = dW1 if n > 1 else other
target += VALUE
""",
    "view from a function": """def rows_of(t):
    return t.view(-1)
dW1 = torch.zeros_like(W1)
flat = rows_of(dW1)
flat += (VALUE).view(-1)
""",
    "context": """import contextlib
@contextlib.contextmanager
def collecting(t):
    yield t
dW1 = torch.zeros_like(W1)
with collecting(dW1) as d:
    d += VALUE
""",
    "match": """dW1 = torch.zeros_like(W1)
match dW1:
    case d:
        d += VALUE
""",
    "asarray": """dW1 = torch.zeros_like(W1)
import numpy as np
a = np.asarray(dW1)
a += (VALUE).numpy()
""",
    "namespace": """from types import SimpleNamespace
dW1 = torch.zeros_like(W1)
g = SimpleNamespace(d=dW1)
g.d += VALUE
""",
    "dict call": """dW1 = torch.zeros_like(W1)
g = dict(d=dW1)
g["d"] += VALUE
""",
    "torch.split": """dW1 = torch.zeros_like(W1)
v = VALUE
left, right = torch.split(dW1, W1.shape[1]//2, dim=1) if W1.shape[1] % 2 == 0 else (dW1, None)
if right is None:
    left += v
else:
    left += v[:, :W1.shape[1]//2]
    right += v[:, W1.shape[1]//2:]
""",
    "torch.flatten": """dW1 = torch.zeros_like(W1)
flat = torch.flatten(dW1)
flat += (VALUE).flatten()
""",
    "torch.transpose": """dW1 = torch.zeros_like(W1)
tr = torch.transpose(dW1, 0, 1)
tr += (VALUE).T
""",
}
"""Ways to write `VALUE` into `dW1` through what has another name."""
VALUE = "embcat.T @ dhprebn"
MAKEMORE |= {how: ("W1", lines.replace("VALUE", VALUE)) for how, lines in OTHER_NAMES.items()}

CLASSIFIER_SLIPS = {
    "Z2": ("dZ2 = (A2 - Y) / m", "dZ2 = A2 - Y"),
    "A1": ("dA1 = W2.T @ dZ2", "dA1 = -W2.T @ dZ2"),
}
CLASSIFIER = {
    "fill then add": (
        "W2",
        """dW2 = np.empty_like(W2)
dW2.fill(0)
for j in range(m):
    dW2 += np.outer(dZ2[:, j], A1[:, j])
""",
    ),
    "only fill": (
        "b1",
        """db1 = np.empty_like(b1)
for i in range(len(db1)):
    row = db1[i]
    row.fill(dZ1[i].sum())
""",
    ),
    "matmul out": (
        "W2",
        """dW2 = np.empty_like(W2)
np.matmul(dZ2, A1.T, out=dW2)
""",
    ),
    "dot out pos": (
        "W2",
        """dW2 = np.empty_like(W2)
np.dot(dZ2, A1.T, dW2)
""",
    ),
    "add out pos": (
        "Z2",
        """dZ2 = np.empty_like(Z2)
np.subtract(A2, Y, dZ2)
np.divide(dZ2, m, dZ2)
""",
    ),
    "sum out": (
        "b2",
        """db2 = np.zeros_like(b2)
np.sum(dZ2, axis=1, keepdims=True, out=db2)
""",
    ),
    "copyto": (
        "A1",
        """dA1 = np.empty_like(A1)
np.copyto(dA1, W2.T @ dZ2)
""",
    ),
    "nditer-like": (
        "Z1",
        """dZ1 = np.zeros_like(Z1)
for index, value in np.ndenumerate(dA1):
    if Z1[index] > 0:
        dZ1[index] = value
""",
    ),
    "flat": (
        "Z1",
        """dZ1 = dA1.copy()
dZ1.flat[Z1.flat <= 0] = 0
""",
    ),
    "ravel": (
        "Z1",
        """dZ1 = dA1.copy()
flat = dZ1.ravel()
flat[Z1.ravel() <= 0] = 0
""",
    ),
    "putmask": (
        "Z1",
        """dZ1 = dA1.copy()
np.putmask(dZ1, Z1 <= 0, 0)
""",
    ),
    "place": (
        "Z1",
        """dZ1 = dA1.copy()
np.place(dZ1, Z1 <= 0, 0)
""",
    ),
    "multiply out": (
        "Z1",
        """dZ1 = np.multiply(dA1, Z1 > 0, out=np.empty_like(dA1))
""",
    ),
    "columns": (
        "A1",
        """dA1 = np.zeros_like(A1)
for j, d in enumerate(dZ2.T):
    column = dA1[:, j]
    column += W2.T @ d
""",
    ),
    "T rows": (
        "A1",
        """dA1 = np.zeros_like(A1)
for row, d in zip(dA1.T, dZ2.T):
    row += W2.T @ d
""",
    ),
    "T alias": (
        "A1",
        """dA1 = np.zeros_like(A1)
rows = dA1.T
for j in range(m):
    rows[j] = W2.T @ dZ2[:, j]
""",
    ),
    "ix_": (
        "W1",
        """dW1 = np.zeros_like(W1)
for k in range(W1.shape[0]):
    dW1[k] = (dZ1[k] * X).sum(axis=1)
""",
    ),
    "add.at": (
        "W1",
        """dW1 = np.zeros_like(W1)
for j in range(m):
    np.add.at(dW1, slice(None), dZ1[:, [j]] * X[:, j])
""",
    ),
    "list append": (
        "b1",
        """sums = []
for row in dZ1:
    sums.append([row.sum()])
db1 = np.array(sums)
""",
    ),
    "dict params": (
        "W1",
        """grads = {}
grads["dW1"] = np.zeros_like(W1)
g1 = grads["dW1"]
g1 += dZ1 @ X.T
dW1 = grads["dW1"]
""",
    ),
    "vsplit": (
        "W1",
        """dW1 = np.zeros_like(W1)
for part, d in zip(np.split(dW1, W1.shape[0]), dZ1):
    part += d @ X.T
""",
    ),
    "inplace method chain": (
        "Z1",
        """dZ1 = dA1.copy()
dZ1[Z1 <= 0] *= 0
""",
    ),
}

WRITTEN = {"makemore/ex1": (MAKEMORE, MAKEMORE_SLIPS), "classifier/ex1": (CLASSIFIER, CLASSIFIER_SLIPS)}


def answers(lesson: str, tensor: str, lines: str) -> str:
    """The answers of a lesson with `lines` for the gradient of `tensor`."""
    cells = [cell.text for cell in find_exercise(lesson).code_cells("backward")]
    own = [cell for cell in cells if cell.startswith(f"d{tensor} = ")]
    return "\n".join(lines if cell == own[-1] else cell for cell in cells if cell == own[-1] or cell not in own)
