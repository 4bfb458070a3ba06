"""Written by someone who has read how answers are checked: each tries to get round."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, OPEN, STOPPED, Attack, Result
from tests.attacks.corpus.autograd import INSIDE, NOT_THERE

_TAKE = """
    engine = importlib.import_module("torch.autograd.functional")
    return engine.jacobian(lambda hidden: ((hidden @ W2 + b2) * dlogits).sum(), h)
dh = take()
"""
_UNLOCK = """
class Unlock:
    import_module = 1
    jacobian = 1
def host():
    return 0
"""
"""A field of one's own may be read of every value; a function's globals are those of the submission."""

_MEMORY = '{"shape": (1,), "typestr": "<f8", "data": (id(h), True), "version": 3}'
"""What numpy takes for an array at an address of this process's memory."""


_BY_COMPLEX_STEP = """
found = torch.tanh(hpreact + 1e-20 * unit).tolist()
slope = torch.tensor([[float(str(z).strip("()j").rsplit("+", 1)[1]) for z in row] for row in found])
dhpreact = slope / 1e-20 * dh
"""


def _tunnel(
    name: str,
    title: str,
    lines: str,
    sandbox: tuple[Result, Result, Result] = INSIDE,
    *,
    guards: Result = STOPPED,
    tensor: str = "h",
    varies: bool = False,
) -> Attack:
    return Attack(f"tunnel-{name}", title, lines, guards=guards, sandbox=sandbox, tensor=tensor, varies=varies)


def _step(name: str, title: str, unit: str) -> Attack:
    """The complex step, which differentiates without autograd, with an imaginary unit that `unit` comes by."""
    lines = f"{unit}{_BY_COMPLEX_STEP}"
    return Attack(f"tunnel-{name}", title, lines, tensor="hpreact")


ATTACKS = (
    _tunnel(
        "wraps",
        "`functools.wraps` copies another module's globals into one's own",
        f"""
from functools import wraps
{_UNLOCK}
def take():
    wraps(F.softmax, assigned=(), updated=("__globals__",))(host)
{_TAKE}
""",
    ),
    _tunnel(
        "wraps-partial",
        "the same through `functools.partial`",
        f"""
from functools import partial, wraps
{_UNLOCK}
def take():
    partial(wraps, **{{"assigned": (), "updated": ("__globals__",)}})(F.softmax)(host)
{_TAKE}
""",
    ),
    _tunnel(
        "format",
        "`str.format` as a value, which reads attributes by name",
        """
class Unlock:
    format = 1
show = str.format
def act():
    raise ValueError(show("{0.__globals__}", F.softmax))
dh = act()
""",
        (STOPPED, STOPPED, STOPPED),
    ),
    _tunnel(
        "global",
        "a name that is local outside and global inside",
        """
class Unlock:
    ops = 1
    aten = 1
    tanh_backward = 1
def outer(torch):
    def inner():
        global torch
        return torch.ops.aten.tanh_backward(dh, h)
    return inner()
dhpreact = outer(1)
""",
        sandbox=NOT_THERE,
        tensor="hpreact",
    ),
    _tunnel(
        "thread",
        "a new thread, in which autograd is switched on",
        """
class Unlock:
    threading = 1
    Thread = 1
    start = 1
    backward = 1
found = []
def work():
    hidden = nn.Parameter(h.clone())
    done = (hidden @ W2 + b2).backward(dlogits)
    found.append(hidden.grad)
def take():
    worker = torch.threading.Thread(target=work)
    done = worker.start()
    done = worker.join()
    return found[-1]
dh = take()
""",
        (OPEN, OPEN, STOPPED),
    ),
    _tunnel(
        "stand-in",
        "the modules that a drawing library holds",
        """
import matplotlib as drawing
def act():
    drawing.os.system("echo was here > @CANARY@")
    return torch.zeros_like(h)
dh = act()
""",
        (OPEN, HARMLESS, HARMLESS),
        guards=HARMLESS,
        varies=True,
    ),
    _tunnel(
        "forward-line",
        "a command in a line of one's own forward pass, which is run to be compared",
        """
def act():
    __import__("os").system("echo was here > @CANARY@")
    return 0
hpreact = bngain * bnraw + bnbias + act()
dh = torch.zeros_like(h)
""",
        (HARMLESS, HARMLESS, HARMLESS),
        guards=HARMLESS,
    ),
    _tunnel(
        "place",
        "autograd in the argument of `cmp`, where the judge looks for the gradient",
        'found = h\ncmp("h", (lambda: torch.autograd.functional.vjp(lambda q: q @ W2 + b2, h, dlogits)[1])(), h)',
    ),
    _tunnel(
        "annotation",
        "a command as a field's type, for whoever evaluates it",
        """
from dataclasses import dataclass
@dataclass
class Held:
    field: "__import__('os').system('echo was here > @CANARY@')" = 1
dh = Held().field
""",
        (HARMLESS, HARMLESS, HARMLESS),
        guards=HARMLESS,
    ),
    _tunnel(
        "submodule",
        "`get_submodule`, which walks attributes by name",
        """
class Net(nn.Module):
    def forward(self):
        return 1
class Unlock:
    get_submodule = 1
dh = Net().get_submodule("__init__.__globals__")
""",
        (STOPPED, STOPPED, STOPPED),
    ),
    _tunnel(
        "real-package",
        "the grader's own package behind a stand-in",
        f"import grader.plots\nimportlib = grader.running.worker.importlib\ndef take():{_TAKE}",
        NOT_THERE,
    ),
    _tunnel(
        "address",
        "a tensor made at an address of memory, by a legacy constructor's keyword",
        "dh = torch.LongTensor(**{'cd' + 'ata': id(h)})",
        NOT_THERE,
    ),
    _tunnel(
        "interface",
        "a field that numpy trusts, stored among a layer's buffers",
        f"""
m = nn.Tanh()
m._buffers["__array_interface__"] = {_MEMORY}
dh = torch.from_numpy(np.array(np.asarray(m))).expand(h.shape)
""",
        NOT_THERE,
    ),
    _tunnel(
        "interface-by-text",
        "the same in a namespace, under a text that says it begins with something else",
        f"""
from types import SimpleNamespace
class Text(str):
    def startswith(self, *_):
        return False
held = SimpleNamespace(**{{Text("__array_interface__"): {_MEMORY}}})
dh = torch.from_numpy(np.array(np.asarray(held))).expand(h.shape)
""",
        (HARMLESS, HARMLESS, HARMLESS),
    ),
    _tunnel(
        "layer-and-dictionary",
        "a layer that is a dictionary too, as a field of another layer",
        f"""
from collections import OrderedDict
class Both(nn.Module, dict):
    pass
both = Both()
both.update({_MEMORY})
dh = torch.from_numpy(np.array(np.asarray(nn.Sequential(OrderedDict([("__array_interface__", both)]))))).expand(h.shape)
""",
        NOT_THERE,
    ),
    _tunnel(
        "equal-to-any",
        "a keyword whose text is equal to any other",
        """
class Text(str):
    def __eq__(self, other):
        return True
    def __hash__(self):
        return hash("dim")
hidden = torch.zeros(h.shape, **{Text("requires_grad"): True}) + h
out = hidden @ W2 + b2
dh = out.grad_fn(dlogits)[0]
""",
        NOT_THERE,
    ),
    _tunnel(
        "super-format",
        "`super().format`, which reads attributes by name",
        """
class Text(str):
    def show(self, *given):
        return super().format(*given)
def act():
    raise ValueError(Text("{0.__globals__}").show(F.softmax))
dh = act()
""",
        NOT_THERE,
    ),
    _tunnel(
        "rebound-builtin",
        "a builtin that the file seems to bind itself",
        """
for help in ():
    pass
def act():
    help("os")
    return __import__("os").system("echo was here > @CANARY@")
dh = act()
""",
        (OPEN, HARMLESS, HARMLESS),
    ),
    _step("complex-step", "the complex step, which differentiates without autograd", "unit = 1j"),
    _tunnel(
        "complex-numpy",
        "the complex step in numpy",
        "dhpreact = torch.from_numpy(np.tanh(hpreact.numpy() + 1e-20j).imag) / 1e-20 * dh",
        (OPEN, OPEN, OPEN),
        tensor="hpreact",
    ),
    _step(
        "complex-power",
        "an imaginary unit out of a power of a negative number",
        "unit = (np.array([-1.0], dtype=object) ** 0.5).item()",
    ),
    _step(
        "complex-reduce",
        "one out of a power that numpy reduces, of a number larger than its own",
        "unit = np.power.reduce([-(10**40), 0.5]) / 1e20",
    ),
    _step(
        "complex-super",
        "one out of a power that `super()` has",
        "class Root(float):\n    def root(self):\n        return super().__pow__(0.5)\nunit = Root(-1.0).root()",
    ),
    _step(
        "complex-in-place",
        "one out of a power in place, in an array of Python's numbers",
        """
class Any:
    def __radd__(self, other):
        return -(10**40)
root = np.arange(1) + Any()
try:
    np.power(root, 0.5, out=root)
except Exception:
    pass
unit = root[0] / 1e20
""",
    ),
    _step(
        "complex-pattern",
        "one out of an array's method, which a pattern takes by itself",
        """
match h.numpy():
    case np.ndarray(astype=cast):
        root = torch.from_numpy(cast("c16"))
unit = torch.sqrt(-root / root).tolist()[0][0]
""",
    ),
    _tunnel(
        "pattern-format",
        "`str.format`, which reads attributes by name, taken by a pattern",
        """
def act():
    match "{0.__globals__}":
        case str(format=show):
            raise ValueError(show(F.softmax))
dh = act()
""",
        NOT_THERE,
    ),
    _tunnel(
        "layer-and-class",
        "a layer's own buffers, by a field of the same name in its class",
        f"""
class Layer(nn.Module):
    _buffers = None
layer = Layer()
layer._buffers["__array_interface__"] = {_MEMORY}
dh = torch.from_numpy(np.array(np.asarray(layer))).expand(h.shape)
""",
        NOT_THERE,
    ),
)
