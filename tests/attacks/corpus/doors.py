"""Ways around a list of forbidden names: each ends in autograd, and none writes the way there plainly."""

from __future__ import annotations

from tests.attacks.attack import Attack
from tests.attacks.corpus.autograd import INSIDE, NOT_THERE

_USE = "dh = engine.functional.vjp(lambda hidden: hidden @ W2 + b2, h, dlogits)[1]"


def _door(name: str, title: str, way: str, use: str = _USE, **more: object) -> Attack:
    return Attack(f"door-{name}", title, f"{way.strip()}\n{use}", **{"sandbox": INSIDE, **more})  # type: ignore[arg-type]


ATTACKS = (
    _door("vars", "`vars(torch)`", "engine = vars(torch)['auto' + 'grad']"),
    _door("dict", "`torch.__dict__`", "engine = torch.__dict__['auto' + 'grad']"),
    _door("import", "`__import__` and `importlib`", "engine = __import__('importlib').import_module('torch.autograd')"),
    _door("sys-modules", "`sys.modules`", "import sys\nengine = sys.modules['torch.autograd']"),
    _door(
        "attrgetter", "`operator.attrgetter`", "from operator import attrgetter\nengine = attrgetter('autograd')(torch)"
    ),
    _door(
        "reduce",
        "`functools.reduce(getattr, ...)`",
        "from functools import reduce\nengine = reduce(getattr, ['nn', 'functional', 'torch', 'autograd'], torch)",
    ),
    _door("module-chain", "a module that holds another: `F.torch`", "engine = F.torch.autograd"),
    _door("nn-chain", "`nn.modules.module.torch`", "engine = nn.modules.module.torch.autograd"),
    _door(
        "match",
        "a class pattern, which reads attributes",
        """
def find(module):
    match module:
        case object(autograd=found):
            return found
engine = find(torch)
""",
    ),
    _door("wide-letters", "full-width letters, which Python reads as plain ones", "engine = torch.ａｕｔｏｇｒａｄ"),
    _door("from-import", "`from torch import autograd as ...`", "from torch import autograd as engine"),
    _door(
        "star-import",
        "a star import",
        "from torch.autograd.functional import *",
        "dh = vjp(lambda hidden: hidden @ W2 + b2, h, dlogits)[1]",
    ),
    _door("comprehension", "a comprehension that renames torch", "engine = [module for module in [torch]][0].autograd"),
    _door("default", "a default argument", "def find(module=torch):\n    return module.autograd\nengine = find()"),
    _door("walrus", "`:=` inside a call", "engine = (module := torch).autograd"),
    _door("class-body", "the body of a class", "class Held:\n    engine = torch.autograd\nengine = Held.engine"),
    _door(
        "decorator",
        "a decorator",
        """
@(lambda f: torch.autograd)
def engine():
    pass
""",
    ),
    _door(
        "globals",
        "`globals()` of a stand-in's function",
        "engine = trange.__globals__['torch'].autograd",
        sandbox=NOT_THERE,
    ),
    _door("builtins", "`__builtins__`", "engine = __builtins__['getattr'](torch, 'autograd')"),
    _door(
        "subclasses",
        "`object.__subclasses__()`",
        """
loaders = [found for found in ().__class__.__base__.__subclasses__() if found.__name__ == 'BuiltinImporter']
engine = loaders[0].__init__.__class__ and [
    found for found in ().__class__.__base__.__subclasses__() if found.__name__ == '_ModuleLock'
][0].__init__.__globals__['sys'].modules['torch.autograd']
""",
    ),
    _door(
        "own-name",
        "a function of one's own with a forbidden name, to have the name excused",
        """
def autograd():
    return 0
def functional():
    return 0
def vjp():
    return 0
engine = torch.autograd
""",
    ),
    _door(
        "method-table",
        "a method taken from the class",
        """
def take():
    switch = torch.set_grad_enabled
    switch(True)
    hidden = torch.nn.Parameter(h.clone())
    out = hidden @ W2 + b2
    run = type(out).__dict__.get('back' + 'ward') or torch.Tensor.__dict__['back' + 'ward']
    run(out, dlogits)
    return torch.Tensor.__mro__[1].__dict__['gr' + 'ad'].__get__(hidden)
""",
        "dh = take()",
        sandbox=NOT_THERE,
    ),
    _door("property", "`__getattribute__` called by name", "engine = torch.__getattribute__('autograd')"),
    _door(
        "class-getattr",
        "a class whose `__getattr__` forwards to torch",
        """
class Forward:
    def __getattr__(self, name):
        return getattr(torch, name[::-1])
engine = Forward().dargotua
""",
    ),
    _door("lambda-map", "`map(getattr, ...)`", "engine = list(map(getattr, [torch], ['autograd']))[0]"),
    _door(
        "hook",
        "`torch.utils.checkpoint` as a way to torch",
        "import torch.utils.checkpoint as way\nengine = way.torch.autograd",
    ),
    _door("inspect", "`inspect.getattr_static`", "import inspect\nengine = inspect.getattr_static(torch, 'autograd')"),
    _door(
        "numpy-chain",
        "the modules that numpy holds",
        "engine = np.testing._private.utils.sys.modules['torch.autograd']",
    ),
    _door("random-chain", "the modules that `random` holds", "engine = random._os.sys.modules['torch.autograd']"),
    _door(
        "stdlib-chain",
        "an innocent import that holds `sys`",
        "import statistics\nengine = statistics.sys.modules['torch.autograd']",
    ),
    _door(
        "optimizer",
        "an optimizer's closure switches autograd on",
        """
def take():
    hidden = nn.Parameter(h.clone())
    def closure():
        total = ((hidden @ W2 + b2) * dlogits).sum()
        done = total.backward()
        return total
    done = torch.optim.SGD([hidden], lr=1.0).step(closure)
    return h - hidden.detach()
""",
        "dh = take()",
        varies=True,
    ),
)
