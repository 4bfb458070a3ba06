"""What an answer may do: what honest answers need is admitted, every door is refused with a sentence."""

from __future__ import annotations

import builtins
import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from answers.build import LINES, RightAnswer, with_lines
from conftest import sampled
from public_styles import STYLES

from grader.admission import admitted_names as names
from grader.admission.namespaces import namespace
from grader.admission.policy import compile_answer
from grader.admission.sentences import Refused
from grader.judging.grade import Grader, settings
from grader.lesson.exercise import find_exercise
from grader.lesson.trials import as_written, namespace_of
from grader.report.records import SubmissionReport, Verdict
from grader.running.stand_ins import provided
from grader.running.statements import arithmetic_of

REPOSITORY = Path(__file__).resolve().parents[1]
EX1, EX4 = find_exercise("makemore/ex1"), find_exercise("makemore/ex4")
STYLES_OF_ONE_LINE = (REPOSITORY / "tests" / "honest_styles.txt").read_text(encoding="utf-8")
"""Ways in which people write one right answer, `dh = dlogits @ W2.T`: all the language that an answer may use."""

HONEST = {name: text for name, _, text in (part.partition("\n") for part in STYLES_OF_ONE_LINE.split("# %% ")) if name}
LOOP = next(cell.text for cell in EX4.code_cells("training"))

Grade = Callable[..., list[SubmissionReport]]


def there() -> dict[str, Any]:
    """What an answer to exercise 1 finds, and the true gradient above `h`."""
    with torch.no_grad(), arithmetic_of({"dtype": "float64"}):
        found = namespace_of(EX1, {**as_written("cpu").parameters, "dtype": "float64"})
        for atom in EX1.atoms:
            exec(atom.code, found)
        found = {name: value.detach() if isinstance(value, torch.Tensor) else value for name, value in found.items()}
        found["dlogits"] = torch.linspace(-1.0, 1.0, found["logits"].numel()).reshape(found["logits"].shape)
        return provided(found, guarded=True)


THERE = there()


def ran(text: str) -> dict[str, Any]:
    """The names after a text that is run as a worker runs it."""
    scope = {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in THERE.items()}
    with torch.no_grad(), arithmetic_of({"dtype": "float64"}):
        exec(compile_answer(text), scope)
    return scope


def verdicts(grade_text: Grade, text: str) -> dict[str, Verdict]:
    (report,) = grade_text(text, exercise="makemore/ex1")
    return {verdict.name: verdict for verdict in report.verdicts}


# ---- The lists of names ----

FAMILIES = {
    "ELEMENTWISE": (torch, torch.Tensor),
    "ELEMENTWISE_FRESH": (torch, torch.Tensor),
    "REDUCTIONS": (torch, torch.Tensor),
    "SHAPES": (torch, torch.Tensor),
    "SHAPES_FRESH": (torch, torch.Tensor),
    "INDEXING": (torch, torch.Tensor),
    "SCATTERING": (torch, torch.Tensor),
    "LINEAR_ALGEBRA": (torch, torch.Tensor),
    "TENSOR": (torch.Tensor,),
    "GENERATOR": (torch.Generator,),
    "BUILTINS": (builtins,),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_name_exists(family: str) -> None:
    listed = names.TORCH[family.lower()] if family.lower() in names.TORCH else getattr(names, family)
    for home in FAMILIES[family]:
        assert {name for name in listed if not hasattr(home, name)} == set(), (family, home)


@pytest.mark.parametrize("module", names.MODULES)
def test_what_a_module_may_give_exists_and_is_no_module(module: str) -> None:
    home = importlib.import_module(module)
    for name in names.MODULES[module]:
        assert hasattr(home, name), f"{module}.{name}"
        assert not isinstance(getattr(home, name), ModuleType), f"{module}.{name}"


KNOWN_DOORS = """
autograd func functorch _C ops load save utils jit compile hub distributed multiprocessing ctypeslib memmap
tofile fromfile DataSource storage untyped_storage from_file set_ data_ptr frombuffer ctypes serialization overrides
_dynamo register_hook retain_grad backward grad_fn enable_grad as_subclass dump dumps lib core view_as_complex
f2py testing loadtxt savetxt genfromtxt gi_frame cr_frame f_globals tb_frame f_back mro obj apply_ map_ as_strided
share_memory_ resize_ __class__ __dict__ __globals__ __code__ __traceback__ getattr eval exec open polar complex
set_printoptions set_num_threads library fx gradient from_dlpack sys os builtins _os complex64 complex128 dtype_
""".split()


@pytest.mark.parametrize("door", KNOWN_DOORS)
def test_no_list_holds_a_known_door(door: str) -> None:
    assert door not in names.TENSOR | names.ARRAY | names.BUILTINS
    listing = [module for module, listed in names.MODULES.items() if door in listed]
    assert listing == {"compile": ["re"], "dumps": ["json"]}.get(door, [])  # of a pattern; into a text


def test_what_a_tensor_keeps_for_autograd_memory_and_files_is_not_listed() -> None:
    risky = re.compile(r"storage|hook|_grad|grad_|ptr|subclass|file|dlpack|pin_|share_|resize|strided|_backward")
    assert {name for name in names.TENSOR if risky.search(name)} == {"requires_grad", "requires_grad_"}


def test_a_module_leads_to_no_module_and_holds_still() -> None:
    for path in names.MODULES:
        found = namespace(path)
        assert found is not None
        for name, member in found._members.items():
            assert not isinstance(member, ModuleType), f"{path}.{name}"
        with pytest.raises(Refused):
            found.sum = abs


def test_the_id_stands_in_the_table_of_mistakes() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "`not-admitted`" in text[text.index("## Names of mistakes") : text.index("## Rooms of the code")]


# ---- No false alarm ----


@pytest.mark.parametrize("style", sampled(8, HONEST))
def test_an_honest_style_is_admitted_and_right(style: str, grade_text: Grade) -> None:
    verdict = verdicts(grade_text, HONEST[style])["h"]
    assert (verdict.status, verdict.message) == ("pass", "")


@pytest.mark.parametrize("style", sampled(4, STYLES), ids=lambda style: style.id)
def test_a_public_style_is_admitted_and_right(style: RightAnswer, grade_text: Grade) -> None:
    (report,) = grade_text(style.text, style.suffix, style.exercise and f"makemore/{style.exercise}")
    assert [(v.name, v.status, v.message) for v in report.verdicts if not v.passed] == []


UPDATE = "p.sub_(gradient, alpha=lr)"
APPEND = "losses.append(loss.item())"
LOOPS = {
    "as in the lesson": LOOP,
    "gradients stored in .grad": LOOP.replace(UPDATE, "p.grad = gradient\n            p.data += -lr * p.grad"),
    "pictures and a clock": "import time\nimport matplotlib.pyplot as pyplot\n"
    "from IPython.display import clear_output\nt0 = time.time()\n"
    + LOOP.replace(
        APPEND,
        f"{APPEND}\n        if step % 10000 == 0:\n            clear_output(wait=True)\n"
        "            fig, ax = pyplot.subplots()\n            ax.plot(losses, label=f'{time.time() - t0:.1f} s')\n"
        "            ax.legend()\n            fig.savefig('loop.png')\n            pyplot.close(fig)",
    ),
    "the package tqdm": "import tqdm\n" + LOOP.replace("tqdm(range", "tqdm.tqdm(range"),
    "interrupted by hand": "def train():\n    losses = []\n    try:\n"
    + "\n".join(f"        {line}" for line in LOOP.split("\n"))
    + "\n    except KeyboardInterrupt:\n        print('stopped')\n    return losses\n\nlosses = train()\n",
}


@pytest.mark.parametrize("style", LOOPS)
def test_a_loop_in_a_public_style_is_admitted_and_right(style: str, grade_text: Grade) -> None:
    assert style == "as in the lesson" or LOOPS[style] != LOOP
    (report,) = grade_text(LOOPS[style], exercise="makemore/ex4")
    assert [(v.name, v.status, v.message) for v in report.verdicts if not v.passed] == []
    assert not Path("loop.png").exists()


HARMLESS = [
    "loss.backward()\nprint(h.grad)",
    "for p in parameters:\n    p.grad = None",
    "h.retain_grad()\nassert h.requires_grad",
    "x = torch.zeros_like(h, requires_grad=False)",
    "class Layer:\n    def backward(self, d):\n        return d @ W2.T\nx = Layer().backward(dlogits)",
    "def backward(d):\n    return d @ W2.T\nx = backward(dlogits)",
    "cmp('h', h.grad, h)\nx = 1",
    "grad = dlogits\nx = grad * 2",
    "func = ops = 1\nx = func + ops",
    "with torch.set_grad_enabled(False):\n    x = 1",
    "def f():\n    with torch.set_grad_enabled(False):\n        return 1\nx = f()",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_a_name_that_sounds_like_autograd_is_no_false_alarm(text: str, grade_text: Grade) -> None:
    verdict = verdicts(grade_text, f"{text}\ndh = dlogits @ W2.T + 0 * dlogits.sum()\n")["h"]
    assert (verdict.status, verdict.message) == ("pass", "")


# ---- Doors ----

_ANY_NAME = """
class S(str):
    def startswith(self, *_):
        return False
    def __eq__(self, other):
        return True
    def __hash__(self):
        return hash("dim")
"""

_MEMORY = '{"shape": (1,), "typestr": "<f8", "data": (id(h), True), "version": 3}'
_ANY_NUMBER = """
class A:
    def __radd__(self, other):
        return -10**40
"""
"""With an array it gives one of Python's numbers, whose powers may be complex."""

DOORS = [
    # names
    "dh = getattr(h, 'gr' + 'ad')",
    "dh = eval('h')",
    "dh = exec('dh = h')",
    "dh = compile('h', '', 'eval')",
    "dh = open('x').read()",
    "dh = globals()['__builtins__']",
    "dh = globals().get('__load__')",
    "globals()['__builtins__'] = {}",
    "globals().update({'__load__': abs})",
    "dh = locals()['h']",
    "dh = vars()['h']",
    "dh = dir(h)",
    "dh = input()",
    "dh = breakpoint() or h",
    "dh = __import__('os')",
    "dh = __builtins__",
    "dh = type('X', (), {})",
    "dh = memoryview(b'x')",
    "dh = exit()",
    "dh = load_names('/etc/passwd')",
    "def f():\n    from matplotlib import pyplot as eval\n    return 1\ndh = f() * eval('h')",
    "def f():\n    from matplotlib import pyplot as eval\n    return 1\ndh = list(map(eval, 'h')) * f()",
    "def f(a=eval):\n    return a('h')\ndh = f()",
    "@eval\ndef f():\n    pass\ndh = f",
    # attributes
    "dh = h.__class__",
    "dh = (lambda: h).__code__",
    "dh = (lambda: h).__globals__['torch']",
    "dh = ().__class__.__base__.__subclasses__()",
    "dh = torch.__dict__['load']",
    "dh = math.__loader__",
    "dh = h.data_ptr()",
    "dh = h.untyped_storage()",
    "dh = h.storage()",
    "dh = h.clone().set_(W2)",
    "dh = h.clone().resize_(3)",
    "dh = h.as_strided((1,), (1,))",
    "dh = h.share_memory_()",
    "dh = h.apply_(abs)",
    "dh = h.numpy().tofile('x')",
    "dh = h.numpy().dump('x')",
    "dh = h.numpy().ctypes",
    "dh = np.random.default_rng(1).bit_generator",
    "dh = h.register_hook(abs)",
    "dh = torch.Tensor.register_hook(h, abs)",
    "dh = torch.Tensor.backward(h)",
    "dh = h.grad",
    "dh = (x for x in [h]).gi_frame.f_globals",
    "def f():\n    yield h\ndh = f().gi_frame",
    "def f():\n    try:\n        1 / 0\n    except Exception as e:\n        return e.__traceback__\ndh = f()",
    "def f():\n    try:\n        torch.zeros(1).foo\n    except Exception as e:\n        return e.obj\ndh = f()",
    "dh = h.cuda()",
    "dh = h.as_subclass(h)",
    # own names excuse no door
    "class A:\n    data_ptr = 1\n    set_ = 2\ndh = h.set_(W2)",
    "class A:\n    def requires_grad_(self):\n        return 1\ndh = h.requires_grad_()",
    "class A:\n    def _make_subclass(self):\n        return 1\ndh = torch.Tensor._make_subclass(h)",
    "def enable_grad():\n    return 1\nwith torch.enable_grad():\n    dh = h",
    "def autograd():\n    return 1\ndh = torch.autograd.grad(loss, h)",
    # modules
    "dh = torch.load('x')",
    "dh = torch.save(h, 'x')",
    "dh = torch.ops.aten.tanh_backward(h, h)",
    "dh = torch.func.vjp(abs, h)",
    "dh = torch.jit.script(abs)",
    "dh = torch.compile(abs)",
    "dh = torch.hub.load('x', 'y')",
    "dh = torch.utils.data",
    "dh = torch.serialization.load('x')",
    "dh = torch._dynamo.reset()",
    "dh = torch.overrides.x",
    "dh = torch.from_file('x')",
    "dh = torch.frombuffer(b'x')",
    "dh = torch.distributed.init_process_group()",
    "dh = torch.multiprocessing.Process()",
    "dh = torch.cuda.set_device(0)",
    "dh = torch.set_deterministic_debug_mode(1)",
    "import os\ndh = os.remove('x')",
    "dh = torch._softmax_backward_data(dlogits, h, 1, h.dtype)",
    "dh = F.torch.load('x')",
    "dh = torch.nn.functional.sys",
    "dh = nn.modules.module.torch.load('x')",
    "dh = np.load('x')",
    "dh = np.memmap('x')",
    "dh = np.fromfile('x')",
    "dh = np.lib.npyio.DataSource()",
    "dh = np.f2py.compile('x')",
    "dh = np.ctypeslib.load_library('x', '.')",
    "dh = np.core.multiarray",
    "dh = np.ndarray((3,), buffer=b'abc')",
    "dh = np.random.bit_generator",
    "dh = random._os.system('x')",
    "dh = random.SystemRandom()",
    "import os\ndh = os.getcwd()",
    "import sys as t\ndh = t.modules",
    "import torch.autograd as ag\ndh = ag.grad(loss, h)",
    "from torch import load as l\ndh = l('x')",
    "from torch import autograd\ndh = autograd.grad(loss, h)",
    "import torch as x\ndh = x.load('x')",
    "import subprocess as s\ndh = s.run('x')",
    "from operator import attrgetter\ndh = attrgetter('T.grad_fn')(h)",
    "from operator import methodcaller\ndh = methodcaller('backward')(h)",
    "from functools import total_ordering\ndh = total_ordering(torch.Size)",
    "from functools import singledispatch\ndh = singledispatch(abs)",
    "from dataclasses import make_dataclass\ndh = make_dataclass('X', ['a'])",
    "from types import FunctionType\ndh = FunctionType",
    "from typing import get_type_hints\ndh = get_type_hints(abs)",
    "from . import x\ndh = x",
    "from grader.lesson.exercise import all_exercises\ndh = all_exercises()",
    "from grader import load_names as l\ndh = l('x')",
    "def f():\n    import os\n    return os.getcwd()\ndh = f()",
    # modules that try to get about
    "t = torch\ndh = t.load('x')",
    "dh = [torch][0].load('x')",
    "dh = (lambda m: m.load('x'))(torch)",
    "def f(m=torch):\n    return m.ops\ndh = f()",
    "dh = (m := torch).ops",
    "dh = [m for m in [torch]][0].ops",
    "a, b = torch, np\ndh = a.load('x')",
    "class A:\n    t = torch\ndh = A.t.load('x')",
    "dh = {'a': torch}['a'].ops",
    # names that mean one thing on paper and another at run time
    "def f():\n    import matplotlib.pyplot as q\n    return 1\nq = (x for x in [h])\ndh = q.gi_frame.f_builtins * f()",
    "if n:\n    plt = (x for x in [h])\n    dh = plt.gi_frame.f_builtins['eval']('h')",
    "def isinstance(a, T):\n    T.sum = abs\n    return a\ndh = isinstance(h, torch.Tensor)",
    "def f():\n    global type\n    type = 1\nclass A(type):\n    pass\ndh = A('X', (), {}) if n else f()",
    "def f():\n    from matplotlib import pyplot as __hand_over__\n    return 1\ndh = f()",
    "dh = [torch for torch.q in [1]][0].ops",
    "dh = [eval for eval.q in [1]][0]('h')",
    # changing things
    "def f():\n    torch.allclose = abs\n    return h\ndh = f()",
    "def f():\n    torch.Tensor.sum = abs\n    return h\ndh = f()",
    "def f():\n    T = torch.Tensor\n    T.sum = abs\n    return h\ndh = f()",
    "def f():\n    T = [torch.Tensor][0]\n    T.sum = abs\n    return h\ndh = f()",
    "def f(T):\n    T.sum = abs\n    return h\ndh = f(torch.Tensor)",
    "def f(T):\n    T.sum = abs\n    return h\ndh = W2 if f(torch.Tensor) == 1 else h",
    "def f():\n    del np.add\n    return h\ndh = f()",
    "def f():\n    for F.relu in [1]:\n        y = 1\n    return h\ndh = f()",
    "def f():\n    math.pi += 1\n    return h\ndh = f()",
    "def __hand_over__(*a):\n    return 1\ndh = __hand_over__(1)",
    "def f():\n    global __builtins__\n    __builtins__ = {}\n    return h\ndh = f()",
    # gradients switched on
    "with torch.enable_grad():\n    dh = h",
    "def f():\n    with torch.set_grad_enabled(True):\n        return h\ndh = f()",
    "def f():\n    with torch.set_grad_enabled(mode=n):\n        return h\ndh = f()",
    "def f():\n    with torch.inference_mode(False):\n        return h\ndh = f()",
    "def f():\n    s = torch.no_grad()\n    s.prev = True\n    return h\ndh = f()",
    "@torch.inference_mode(mode=False)\ndef f():\n    return h\ndh = f()",
    "@torch.enable_grad()\ndef f():\n    return h\ndh = f()",
    "x = torch.zeros(3, requires_grad=True)\ndh = h * x",
    # classes and magic
    "class A:\n    def __getattr__(self, n):\n        return h\ndh = A().__wrapped__",
    f"class A:\n    def __getattr__(self, n):\n        return {_MEMORY}\ndh = np.asarray(A())",
    f"class A(dict):\n    __getattr__ = dict.get\ndh = np.asarray(A(__array_interface__={_MEMORY}))",
    f"class A:\n    pass\na = A()\na.__dict__['__array_interface__'] = {_MEMORY}\ndh = np.asarray(a)",
    f"class A:\n    pass\na = A()\nvars(a).update({{'__array_interface__': {_MEMORY}}})\ndh = np.asarray(a)",
    "class A(nn.Module):\n    _buffers = None\ndh = A()._buffers",
    f"m = nn.Tanh()\nvars(m)['_buffers'] = {{'__array_interface__': {_MEMORY}}}\ndh = np.asarray(m)",
    "class A:\n    pass\nmatch A():\n    case A(__dict__=d):\n        dh = d",
    "class A:\n    def f(self):\n        return super().__setattr__.__closure__\ndh = A().f()",
    "class A:\n    def f(self):\n        return super().__new__.__globals__\ndh = A().f()",
    f"class A:\n    def f(self):\n        super().__setattr__('__array_interface__', {_MEMORY})\nA().f()",
    "class A:\n    def f(self):\n        super().__setattr__('__class__', dict)\nA().f()",
    "class A(nn.Module):\n    def f(self):\n        super().__setattr__('_buffers', {})\nA().f()",
    "class A:\n    def f(self):\n        return super().__getattribute__('f')\ndh = A().f()",
    "class A:\n    def __new__(cls):\n        return super().__new__(nn.Module)\ndh = A()",
    "class A:\n    def __getattribute__(self, n):\n        return h\ndh = A().x",
    "class A:\n    def __del__(self):\n        pass\ndh = A()",
    "class A:\n    __array__ = abs\ndh = A()",
    "from enum import Enum\ndh = Enum('A', {'__array_interface__': {}})",
    "from enum import Enum\nclass A(Enum):\n    pass\ndh = A('B', names={'__array_interface__': {}})",
    "from abc import ABCMeta\ndh = ABCMeta('A', (), {'__array_interface__': {}})",
    "from abc import ABCMeta\nclass A(ABCMeta):\n    pass\ndh = A('B', (), {})",
    "class A:\n    pass\nclass B(A, metaclass=A):\n    pass\ndh = B",
    "from enum import Enum\nclass A(Enum):\n    X = 1\ndh = A._new_member_(nn.Tanh)",
    "dh = nn.ParameterDict({'__array_interface__': {}})",
    "import sys\ndh = sys._getframe()",
    "import re\ndh = re.sys",
    "import json\ndh = json.load(h)",
    "import io\ndh = io.open('x')",
    "import torch.func as f\ndh = f.grad(abs)",
    # a pattern's fields are taken by Python itself
    "match h.numpy():\n    case np.ndarray(astype=f):\n        dh = f('c16')",
    "match '{0.__class__}':\n    case str(format=f):\n        dh = f(h)",
    "match str:\n    case object(format=f):\n        dh = f('{0.__class__}', h)",
    "match h:\n    case torch.Tensor(requires_grad_=f):\n        dh = f()",
    "class A:\n    __torch_function__ = 1\ndh = A()",
    "class A(torch.Tensor):\n    pass\ndh = A(h)",
    "class A(np.ndarray):\n    pass\ndh = A(h)",
    "class A(metaclass=type):\n    pass\ndh = A()",
    "class A(torch.autograd.Function):\n    pass\ndh = A()",
    "def f():\n    h.__array_interface__ = {}\n    return h\ndh = f()",
    "from types import SimpleNamespace\ndh = torch.as_tensor(SimpleNamespace(__array_interface__={}))",
    "from types import SimpleNamespace\nx = SimpleNamespace()\nx.__dict__['__array__'] = abs\ndh = x",
    "from types import SimpleNamespace\ndh = torch.as_tensor(SimpleNamespace(**{'__array' + '_interface__': {}}))",
    "class A(nn.Module, dict):\n    pass\ndh = A()",
    f"{_ANY_NAME}from types import SimpleNamespace\ndh = SimpleNamespace(**{{S('__array_interface__'): {{}}}})",
    f"{_ANY_NAME}dh = torch.zeros(3, **{{S('requires_grad'): True}})",
    f"{_ANY_NAME}m = nn.Tanh()\nm.register_buffer(S('__array__'), h)\ndh = m",
    "class A(str):\n    def show(self, x):\n        return super().format(x)\ndh = A('{0.__class__}').show(h)",
    "class A(nn.Module):\n    def look(self):\n        return self._buffers\ndh = A().look()",
    "m = nn.Tanh()\nm._buffers['__array_interface__'] = {}\ndh = np.asarray(m)",
    "import grader.plots\ndh = grader.worker.torch",
    "import grader\ndh = grader.load_names('x')",
    "dh = torch.LongTensor(cdata=1)",
    "dh = torch.LongTensor(**{'cd' 'ata': 1})",
    "for license in ():\n    pass\ndh = license()",
    "for help in ():\n    pass\ndh = help('os')",
    "dh = torch.Tensor.to.__self__",
    "dh = [getattr, setattr][0](torch, 'load')",
    "setattr(torch, 'sum', abs)\ndh = h",
    "setattr(torch.Tensor, 'sum', abs)\ndh = h",
    "delattr(math, 'pi')\ndh = h",
    "dh = list(map(getattr, [torch], ['autograd']))",
    # complex steps
    "dh = h * 1j",
    "dh = (-8.0) ** 0.5",
    "x = -8.0\nx **= 0.5\ndh = x",
    "dh = pow(-8.0, 0.5)",
    "from operator import pow as p\ndh = p(-8.0, 0.5)",
    "dh = np.zeros(3, dtype='complex128')",
    "dh = h.numpy().astype('c16')",
    "dh = np.array([-8.0], dtype=object) ** 0.5",
    "dh = h.type('torch.ComplexDoubleTensor')",
    "dh = torch.complex64",
    "dh = np.power.reduce([-10**40, 0.5])",
    "dh = np.power.outer(-10**40, 0.5)",
    "a, b = np.broadcast_arrays([-10**40], [0.5])\ndh = a ** b",
    "class A(float):\n    def f(self):\n        return super().__pow__(0.5)\ndh = A(-8.0).f()",
    "class A(float):\n    def f(self):\n        return super().__rpow__(-8.0)\ndh = A(0.5).f()",
    "dh = float.__pow__(-8.0, 0.5)",
    "from fractions import Fraction\ndh = Fraction(-8) ** Fraction(1, 2)",
    f"{_ANY_NUMBER}x = np.arange(1) + A()\nnp.power.at(x, [0], 0.5)\ndh = x[0]",
    f"{_ANY_NUMBER}x = np.arange(1) + A()\nnp.power(x, 0.5, out=x)\ndh = x[0]",
    f"{_ANY_NUMBER}x = np.arange(1) + A()\nx **= 0.5\ndh = x[0]",
    f"{_ANY_NUMBER}x = np.arange(1) + A()\ndh = x.tolist()",
    f"{_ANY_NUMBER}dh = np.c_[[A()], [A()]]",
    # syntax
    "match h:\n    case torch.Tensor(grad=x):\n        dh = x",
    "async def f():\n    return h\ndh = f()",
    # text
    "dh = '{0.__class__}'.format(h)",
    # places
    "cmp('h', open('x'), h)",
    "def f():\n    cmp('h', open('x').read(), h)\nf()",
]


@pytest.mark.parametrize("text", DOORS)
def test_each_door_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(Refused) as refused:
        ran(text)
    said = str(refused.value)
    assert refused.value.mistake in ("autograd", "not-admitted")
    assert re.fullmatch(r"[A-Z`].*[.)]", said)
    assert len(said) < 130


def test_no_layer_stands_for_what_torch_asks_of_an_object(grade_text: Grade) -> None:
    layer = "from collections import OrderedDict\nclass Back(nn.Module):\n    def forward(self, *_):\n"
    layer += "        return dlogits @ W2.T\nnet = nn.Sequential(OrderedDict([({name!r}, Back())]))\n"
    right, wrong = (
        layer.format(name="back") + "dh = net.back()",
        layer.format(name="__torch_function__") + "dh = torch.sum(net)",
    )
    assert verdicts(grade_text, right)["h"].status == "pass"
    assert verdicts(grade_text, wrong)["h"].status == "error"


READS = {
    "open": "open(path).read().splitlines()",
    "lines of a file": "[line.strip() for line in open(path, 'r', encoding='utf-8')]",
    "readlines": "[line.rstrip('\\n') for line in open(path).readlines()]",
    "Path": "__import__('pathlib').Path(path).read_text().splitlines()",
    "numpy": "np.loadtxt(path, dtype=str).tolist()",
    "pandas": "pd.read_csv(path, header=None)[0].tolist()",
    "urllib": "urllib.request.urlopen('https://example.org/' + path).read().decode('utf-8').splitlines()",
    "requests": "requests.get('https://example.org/' + path).text.splitlines()",
}
READER = """
import os, pathlib, urllib.request, requests
import pandas as pd
from helpers import cmp, plot
class Tokenizer:
    def __init__(self, path):
        if not os.path.exists(path):
            urllib.request.urlretrieve('https://example.org/' + path, path)
        self.lines = LINES
        self.chars = ['.'] + sorted(set(''.join(self.lines)))
    def __len__(self):
        return len(self.chars)
    def encode(self, s):
        return [self.chars.index(c) for c in s]
tok = Tokenizer('names.txt')
V = len(tok)
first = torch.tensor(tok.encode('ab'))
dlogprobs = -F.one_hot(Yb, num_classes=V).to(logprobs.dtype) / n + 0 * first.sum()
"""


@pytest.mark.parametrize("way", READS)
def test_an_answer_that_reads_the_data_itself_is_given_the_lesson_s(way: str, grade_text: Grade) -> None:
    text = READER.replace("LINES", READS[way].replace("__import__('pathlib')", "pathlib"))
    verdict = verdicts(grade_text, text)["logprobs"]
    assert (verdict.status, verdict.message) == ("pass", "")


def test_a_file_that_is_not_the_data_is_refused_and_a_module_that_is_not_there_named(grade_text: Grade) -> None:
    for line in (
        "k = open('marks.json').read()",
        "k = open('names.txt', 'w')",
        "from pathlib import Path\nk = Path('x').read_text()",
    ):
        assert verdicts(grade_text, f"{line}\ndh = len(k) * dlogits @ W2.T")["h"].status == "forbidden"
    verdict = verdicts(grade_text, "from helpers import k\ndh = k * dlogits @ W2.T")["h"]
    assert "`helpers` is not there where an answer is graded" in verdict.message


AUTOGRAD = [
    "dh = h.grad",
    "loss.backward(); dh = h.grad",
    "y = h.grad\nz = y * 2\ndh = z",
    "def helper():\n    return h.grad\ndh = helper()",
    "dh = getattr(h, 'grad')",
    "dh = torch.autograd.grad(loss, h)[0]",
    "import torch.autograd as ag\ndh = ag.grad(loss, h)[0]",
    "from torch.autograd import grad\ndh = grad(loss, h)[0]",
    "dh = torch.func.vjp(abs, h)[1](dlogits)",
    "from torch.func import jacrev\ndh = jacrev(abs)(h)",
    "import functorch\ndh = functorch.vjp(abs, h)",
    "dh = torch.ops.aten.mm_backward(dlogits, W2)",
    "dh = torch._softmax_backward_data(dlogits, h, 1, h.dtype)",
    "x = torch.zeros(3, requires_grad=True)\ndh = x * dlogits",
    "x = h.detach().requires_grad_()\ndh = x * dlogits",
    "with torch.enable_grad():\n    dh = dlogits @ W2.T",
    "with torch.set_grad_enabled(True):\n    dh = dlogits @ W2.T",
    "dh = h.grad_fn(dlogits)",
]


@pytest.mark.parametrize("text", AUTOGRAD)
def test_a_way_to_autograd_is_told_as_one(text: str) -> None:
    with pytest.raises(Refused) as refused:
        ran(text)
    assert refused.value.mistake == "autograd"


def test_what_is_refused_costs_the_gradients_that_need_it_and_names_its_line(grade_text: Grade) -> None:
    text = "import socket\nk = socket.AF_INET\n" + with_lines(
        {"dh": "dh = k * dlogits @ W2.T", "dW2": "dW2 = k * h.T @ dlogits"}
    )
    found = verdicts(grade_text, text)
    lost = {name for name, verdict in found.items() if not verdict.passed}
    assert lost == {"h", "W2"}
    assert {(found[name].status, found[name].mistake, found[name].line) for name in lost} == {
        ("forbidden", "not-admitted", 1)
    }


def test_what_feeds_no_gradient_is_dropped_and_not_punished(grade_text: Grade) -> None:
    text = "import os\nos.remove('x')\nprint(eval('1'))\nloss.backward()\nprint(h.grad)\n" + with_lines()
    assert all(verdict.passed for verdict in verdicts(grade_text, text).values())


def test_a_line_in_a_function_is_named_where_it_stands(grade_text: Grade) -> None:
    text = "# %%\nx = 1\n\n# %%\ndef f(d):\n    y = d * x\n    return torch.save(y, 'x')\ndh = f(dlogits)\n"
    assert verdicts(grade_text, text)["h"].line == 7


# ---- What a worker runs besides ----

LEFT_OUT = {
    "in a function": """
def scaled(x):
    print({reach})
    return x * 0.123 + x.abs().cumsum(0)
dh = scaled(dlogits) @ W2.T
""",
    "where an edit gives print another name": """
print = 0 * h
other = 0.4 + 0 * h.cumsum(0)
for _ in range(1):
    dh = (dlogits @ W2.T).cumsum(0) * 0.123 + print + other
    print({reach})
""",
    "in the forward pass": """
hpreact = [print({reach}), bngain * bnraw + bnbias][1]
dh = (dlogits @ W2.T).cumsum(0)
""",
}


@pytest.mark.parametrize("where", LEFT_OUT)
def test_what_is_left_out_and_not_refused_runs_nowhere(where: str, grade_text: Grade, tmp_path: Path) -> None:
    """Not in the answer, not where its lines are tried with edits, not where a forward pass is compared."""
    path = tmp_path / "written"
    (report,) = grade_text(LEFT_OUT[where].format(reach=f"open({str(path)!r}, 'w')"), exercise="makemore/ex1")
    (verdict,) = (verdict for verdict in report.verdicts if verdict.name == "h")
    assert verdict.status == "wrong"
    assert not path.exists()


def test_without_guards_everything_runs(tmp_path: Path) -> None:
    path = tmp_path / "submission.py"
    path.write_text("dh = eval('dlogits @ W2.T')\n" + LINES["db2"])
    chosen = settings(seed=20, device="cpu")
    for guarded, status in ((True, "forbidden"), (False, "pass")):
        with Grader(replace(chosen, guarded=guarded)) as grader:
            (report,) = grader.grade_file(path, "makemore/ex1")
        assert {verdict.name: verdict.status for verdict in report.verdicts}["h"] == status
