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
)
