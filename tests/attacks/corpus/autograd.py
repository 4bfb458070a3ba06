"""Gradients taken from autograd, which is taken out of the worker."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, OPEN, STOPPED, Attack

INSIDE = (HARMLESS, HARMLESS, HARMLESS)
"""Autograd finds nothing to differentiate, and gives zeros."""

NOT_THERE = (STOPPED, STOPPED, STOPPED)
"""What would give a gradient is not there."""

TAKE = """
with torch.enable_grad():
    hidden = h.clone().requires_grad_()
    out = hidden @ W2 + b2
"""

ATTACKS = (
    Attack(
        "autograd-plain",
        "`.backward()` and `.grad`",
        """
def take():
    with torch.enable_grad():
        hidden = h.clone().requires_grad_()
        done = (hidden @ W2 + b2).backward(dlogits)
        return hidden.grad
dh = take()
""",
        sandbox=NOT_THERE,
    ),
    Attack(
        "autograd-getattr",
        "`getattr` with a name put together from pieces",
        """
def take():
    with getattr(torch, "enable_" + "grad")():
        hidden = getattr(h.clone(), "requires_" + "grad_")()
        return getattr(torch, "auto" + "grad").grad(hidden @ W2 + b2, hidden, dlogits)[0]
dh = take()
""",
        sandbox=NOT_THERE,
    ),
    Attack(
        "autograd-exec",
        "`exec` of a text that is not there as text",
        """
def take():
    found = {"torch": torch, "h": h, "W2": W2, "b2": b2, "dlogits": dlogits}
    exec(bytes(b ^ 1 for b in bytes(c ^ 1 for c in b'''
with torch.enable_grad():
    hidden = h.clone().requires_grad_()
    taken = torch.autograd.grad(hidden @ W2 + b2, hidden, dlogits)[0]
''')).decode(), found)
    return found["taken"]
dh = take()
""",
        sandbox=NOT_THERE,
    ),
    Attack(
        "autograd-eval",
        "`eval` of a text built at run time",
        """
import torch.nn.functional as F
dh = eval("torch.func.v" + "jp(lambda hidden: hidden @ W2 + b2, h)[1](dlogits)[0]")
""",
        sandbox=INSIDE,
        varies=True,
    ),
    Attack(
        "autograd-alias",
        "autograd under another name",
        """
engine = torch.autograd
def take():
    with engine.grad_mode.enable_grad():
        hidden = torch.nn.Parameter(h.clone())
        return engine.grad(hidden @ W2 + b2, hidden, dlogits)[0]
dh = take()
""",
        sandbox=NOT_THERE,
    ),
    Attack(
        "autograd-func",
        "`torch.func.vjp`",
        "from torch.func import vjp as pull\ndh = pull(lambda hidden: hidden @ W2 + b2, h)[1](dlogits)[0]",
        sandbox=INSIDE,
        varies=True,
    ),
    Attack(
        "autograd-jacobian",
        "`torch.func.jacrev` by way of an imported module",
        """
import torch.func as tools
jacobian = tools.jacrev(lambda hidden: (hidden @ W2 + b2).mul(dlogits).sum())
dh = jacobian(h)
""",
        sandbox=INSIDE,
        varies=True,
    ),
    Attack(
        "autograd-forward-mode",
        "forward-mode derivatives, one direction at a time",
        """
import torch.autograd.forward_ad as dual
def take():
    found = torch.zeros(W2.shape[0], W2.shape[1], dtype=h.dtype)
    for row in range(W2.shape[0]):
        direction = torch.zeros_like(h)
        direction[:, row] = 1
        with dual.dual_level():
            out = dual.make_dual(h, direction) @ W2 + b2
            found[row] = dual.unpack_dual(out).tangent[0]
    return dlogits @ found.T
dh = take()
""",
        sandbox=INSIDE,
        varies=True,
    ),
    Attack(
        "autograd-kernel",
        "the kernel that autograd calls for tanh",
        "dhpreact = torch.ops.aten.tanh_backward(dh, h)",
        tensor="hpreact",
        sandbox=NOT_THERE,
    ),
    Attack(
        "autograd-kernel-by-name",
        "the same kernel, found by name in `torch.ops`",
        "dhpreact = torch.ops.__getattr__('aten').__getattr__('tanh_back' + 'ward')(dh, h)",
        tensor="hpreact",
        sandbox=NOT_THERE,
    ),
    Attack(
        "autograd-c-module",
        "the C module under `torch`",
        "dhpreact = torch._C._jit_get_operation('aten::tanh_backward')[0](dh, h)",
        tensor="hpreact",
        sandbox=NOT_THERE,
    ),
    Attack(
        "autograd-child",
        "a child process that runs autograd",
        """
import subprocess, sys, json
def take():
    program = '''
import json, sys, torch
torch.set_default_dtype(torch.float64)
h, W2, b2, d = (torch.tensor(x, dtype=torch.float64) for x in json.load(sys.stdin))
h.requires_grad_()
(h @ W2 + b2).backward(d)
print(json.dumps(h.grad.tolist()))
'''
    asked = json.dumps([t.tolist() for t in (h, W2, b2, dlogits)])
    ran = subprocess.run([sys.executable, "-c", program], input=asked, capture_output=True, text=True)
    return torch.tensor(json.loads(ran.stdout), dtype=h.dtype)
dh = take()
""",
        sandbox=(OPEN, STOPPED, STOPPED),
        seconds=20,
        varies=True,  # a slow machine does not end the child in time
    ),
    Attack(
        "autograd-jit",
        "TorchScript compiles a text that calls autograd",
        """
import torch.jit as maker
def take():
    unit = maker.CompilationUnit('''
def pull(h, W, b, d):
    given = torch.jit.annotate(List[Optional[Tensor]], [d])
    found = torch.autograd.grad([torch.matmul(h, W) + b], [h], given)[0]
    assert found is not None
    return found
''')
    torch.set_grad_enabled(True)
    return unit.pull(h.clone().requires_grad_(), W2, b2, dlogits)
dh = take()
""",
        sandbox=NOT_THERE,
    ),
    Attack(
        "autograd-training",
        "autograd inside the training loop",
        """
take = getattr(torch, "auto" + "grad")
losses = []
for step in range(max_steps):
    ix = torch.randint(0, Xtr.shape[0], (n,), generator=g)
    Xb, Yb = Xtr[ix], Ytr[ix]
    with getattr(torch, "enable_" + "grad")():
        for p in parameters:
            getattr(p, "requires_" + "grad_")()
        emb = C[Xb]
        embcat = emb.view(n, -1)
        hprebn = embcat @ W1 + b1
        bnmean = hprebn.mean(0, keepdim=True)
        bndiff = hprebn - bnmean
        bnvar = 1 / (n - 1) * (bndiff**2).sum(0, keepdim=True)
        bnvar_inv = (bnvar + 1e-5) ** -0.5
        bnraw = bndiff * bnvar_inv
        hpreact = bngain * bnraw + bnbias
        h = torch.tanh(hpreact)
        logits = h @ W2 + b2
        loss = F.cross_entropy(logits, Yb)
        found = take.grad(loss, parameters)
    lr = learning_rates[0] if step < max_steps / 2 else learning_rates[1]
    for p, d in zip(parameters, found):
        p.data.sub_(d, alpha=lr)
""",
        tensor="W2",
        exercise="makemore/ex4",
        sandbox=NOT_THERE,
    ),
)
