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


def _tunnel(
    name: str,
    title: str,
    lines: str,
    sandbox: tuple[Result, Result, Result] = INSIDE,
    *,
    guards: Result = STOPPED,
    tensor: str = "h",
) -> Attack:
    return Attack(f"tunnel-{name}", title, lines, guards=guards, sandbox=sandbox, tensor=tensor)


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
        (HARMLESS, HARMLESS, HARMLESS),
        guards=HARMLESS,
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
        (HARMLESS, HARMLESS, HARMLESS),
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
        (HARMLESS, HARMLESS, HARMLESS),
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
    _tunnel(
        "complex-step",
        "the complex step, which differentiates without autograd",
        """
dhpreact = torch.tanh(hpreact + 1e-20j).imag / 1e-20 * dh
""",
        (OPEN, OPEN, OPEN),
        tensor="hpreact",
    ),
    _tunnel(
        "complex-power",
        "the same, with an imaginary unit out of a power of a negative number",
        """
unit = np.array([-1.0], dtype=object) ** 0.5
dhpreact = torch.tanh(hpreact + 1e-20 * unit.item()).imag / 1e-20 * dh
""",
        (OPEN, OPEN, OPEN),
        tensor="hpreact",
    ),
)
