"""The static check: what answers need is admitted, every door is refused with its line and a sentence."""

from __future__ import annotations

import ast
import builtins
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from answers.build import LINES, RightAnswer, with_lines
from answers.right import HARDCODED_SIZES, RIGHT
from answers.wrong import UNSEEN, WRONG, edited
from public_styles import STYLES

from grader.admission import admitted_names as names
from grader.lesson.exercise import all_exercises
from grader.reading.loop_plan import plan_loop
from grader.reading.plan import Plan, make_plan
from grader.reading.submission import Part, find_parts
from grader.report.records import SubmissionReport
from grader.syntax.source import parse_source, percent_cells, read_source

REPOSITORY = Path(__file__).resolve().parents[1]
EX4 = next(exercise for exercise in all_exercises() if exercise.is_training)
LOOP = next(cell.text for cell in EX4.code_cells("training"))

Grade = Callable[..., list[SubmissionReport]]


def parts_of(path: Path, exercise: str | None = None) -> list[Part]:
    return find_parts(read_source(path), exercise)


def plan_of(text: str, exercise: str = "makemore/ex1") -> Plan:
    (part,) = find_parts(parse_source(Path("answers.py"), percent_cells(text)), exercise)
    return make_plan(part.analysis, part.exercise, part.attempts)


def refused(part: Part) -> dict[str, tuple[str, int, str]]:
    """What the wall refuses of one exercise: by gradient, or under `loop`, the mistake, line and sentence."""
    if part.exercise.is_training:
        plan = plan_loop(part.analysis, part.exercise)
        found = plan.refusal() if plan is not None else None
        return {} if found is None else {"loop": (found[1].mistake, found[1].line, found[1].message)}
    plan_ = make_plan(part.analysis, part.exercise, part.attempts)
    return {tensor: (r.mistake, r.line, r.message) for tensor, (_, r) in plan_.forbidden.items()}


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
    "TENSOR_ONLY": (torch.Tensor,),
    "GENERATOR": (torch.Generator,),
    "BUILTINS": (builtins,),
    "MAGIC_METHODS": (torch.Tensor,),
}
KINDS_OF_VALUES = {
    "NDARRAY": (np.ndarray, np.ufunc, np.random.Generator, np.random.RandomState),
    "CONTAINERS": (list, dict, set, importlib.import_module("collections").deque),
    "PLAIN_VALUES": (str, int, float, range, Exception, NameError, complex),
}
MAPPINGS = ("move_to_end", "most_common", "elements", "default_factory", "_asdict", "_replace")


@pytest.mark.parametrize("family", FAMILIES)
def test_each_name_exists(family: str) -> None:
    for home in FAMILIES[family]:
        missing = {name for name in getattr(names, family) if not hasattr(home, name)}
        assert missing <= {"__call__", "__post_init__"}, (family, home)


@pytest.mark.parametrize("family", KINDS_OF_VALUES)
def test_each_method_belongs_to_a_kind_of_value(family: str) -> None:
    listed = getattr(names, family)
    assert {n for n in listed if not any(hasattr(kind, n) for kind in KINDS_OF_VALUES[family])} <= {*MAPPINGS}


@pytest.mark.parametrize("module", names.MODULES)
def test_what_a_module_may_give_exists_and_is_no_module(module: str) -> None:
    home = importlib.import_module(module)
    for name in names.MODULES[module]:
        assert hasattr(home, name), f"{module}.{name}"
        assert not isinstance(getattr(home, name), ModuleType), f"{module}.{name}"


def test_in_place_forms_exist() -> None:
    listed = {f"{n}_" for n in names.ELEMENTWISE | names.SHAPES | names.SCATTERING}
    assert [name for name in sorted(listed) if not hasattr(torch.Tensor, name)] == []


def test_no_method_shares_its_name_with_a_module() -> None:
    homes = (torch, np, torch.nn, torch.nn.functional, torch.Tensor, builtins)
    modules = {name for home in homes for name in dir(home) if isinstance(getattr(home, name, None), ModuleType)}
    assert names.METHODS & modules == {"cpu"}  # torch.cpu is a module, x.cpu() is in every notebook


KNOWN_DOORS = """
autograd func functorch _C ops load save utils jit compile hub cuda distributed multiprocessing ctypeslib memmap
tofile fromfile DataSource storage untyped_storage from_file set_ data_ptr frombuffer ctypes serialization overrides
_dynamo register_hook requires_grad_ retain_grad backward grad grad_fn enable_grad as_subclass dump dumps lib core
f2py testing loadtxt savetxt genfromtxt gi_frame cr_frame f_globals tb_frame f_back mro obj apply_ map_ as_strided
share_memory_ resize_ __class__ __dict__ __globals__ __code__ __traceback__ getattr eval exec open format_map
set_printoptions set_num_threads library fx vmap gradient from_dlpack sys os builtins _os
""".split()


@pytest.mark.parametrize("door", KNOWN_DOORS)
def test_no_list_holds_a_known_door(door: str) -> None:
    assert door not in names.METHODS | names.BUILTINS
    assert [module for module, listed in names.MODULES.items() if door in listed] == []


def test_what_a_tensor_keeps_for_autograd_memory_and_files_stays_shut_to_own_names() -> None:
    risky = re.compile(r"storage|hook|_grad|grad_|requires|ptr|subclass|file|dlpack|pin_|share_|resize|strided")
    found = {name for name in dir(torch.Tensor) if risky.search(name) and not name.startswith("__")}
    harmless = {"storage_offset", "is_shared", "is_pinned", "as_strided_scatter", "new_empty_strided"}
    harmless |= {name for name in found if name.startswith(("_nested", "_has_"))}
    assert found - names.DOORS <= harmless


def test_the_id_stands_in_the_table_of_mistakes() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "`not-admitted`" in text[text.index("## Names of mistakes") : text.index("## Rooms of the code")]


# ---- No false alarm ----


@pytest.mark.parametrize("answer", [*RIGHT, *HARDCODED_SIZES], ids=lambda answer: answer.id)
def test_a_right_answer_is_admitted(answer: RightAnswer, tmp_path: Path) -> None:
    path = tmp_path / f"submission{answer.suffix}"
    path.write_bytes(answer.text if isinstance(answer.text, bytes) else answer.text.encode())
    assert [refused(part) for part in parts_of(path, answer.exercise) if refused(part)] == []


def test_a_wrong_answer_is_admitted_too() -> None:
    for answer in [*WRONG, *UNSEEN]:
        (part,) = find_parts(parse_source(Path("answers.py"), percent_cells(edited(answer))))
        assert set(refused(part)) == ({answer.variable} if answer.kind == "autograd" else set()), answer


SHIPPED = [
    path
    for folder in ("solutions", "exercises", "notebooks")
    for path in sorted((REPOSITORY / folder).rglob("*"))
    if path.suffix in (".py", ".ipynb") and "checkpoint" not in str(path)
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_a_shipped_lesson_is_admitted(path: Path) -> None:
    assert [refused(part) for part in parts_of(path) if refused(part)] == []


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.id)
def test_a_public_style_is_admitted_and_right(style: RightAnswer, grade_text: Grade) -> None:
    (report,) = grade_text(style.text, style.suffix, style.exercise)
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
    (report,) = grade_text(LOOPS[style], exercise="ex4")
    assert [(v.name, v.status, v.message) for v in report.verdicts if not v.passed] == []
    assert not Path("loop.png").exists()


def test_a_picture_cell_above_the_loop_costs_nothing() -> None:
    """From Colab, cells come without tags and in another order: the loop below the cell that watches the layers."""
    cells = re.split(r"(?m)^(?=# %%)", EX4.path.read_text(encoding="utf-8"))
    loop = next(cell for cell in cells if '"training"' in cell.split("\n")[0])
    watching = next(cell for cell in cells if "requires_grad_()" in cell)
    cells.remove(loop)
    cells.insert(cells.index(watching) + 1, loop)
    text = re.sub(r"(?m)^(# %%.*?) tags=\[.*?\]", r"\1", "".join(cells))
    (part,) = find_parts(parse_source(Path("ex4.py"), percent_cells(text)))
    assert part.exercise.is_training
    assert refused(part) == {}


def test_reading_a_grad_that_nobody_stored_is_autograd_also_where_another_is_cleared() -> None:
    stored = plan_of("h.grad = dlogits @ W2.T\ndh = h.grad * 1\n")
    cleared = plan_of("h.grad = None\ndh = h.grad * 1\n")
    assert stored.forbidden == {}
    assert cleared.forbidden["h"][1].mistake == "autograd"


# ---- Doors ----

_ISINSTANCE_UNSEEN = """
class A:
    isinstance = 1
    def m(self):
        global isinstance
        isinstance = max
dh = isinstance(h, A)"""

DOORS = [
    # names
    "dh = getattr(h, 'gr' + 'ad')",
    "reach = getattr\ndh = reach(h, 'T')",
    "dh = list(map(getattr, [h], ['T']))[0]",
    "dh = hasattr(h, 'T') * h",
    "dh = eval('h')",
    "dh = exec('dh = h')",
    "dh = compile('h', '', 'eval')",
    "dh = open('x').read()",
    "dh = globals()['h']",
    "dh = locals()['h']",
    "dh = [locals() for _ in range(1)][0]['h']",
    "dh = vars()['h']",
    "dh = dir(h)",
    "dh = input()",
    "dh = breakpoint() or h",
    "dh = __import__('os')",
    "dh = __builtins__",
    "dh = type('X', (), {})",
    "dh = type(h)(3)",
    "dh = super",
    "dh = object()",
    "dh = memoryview(b'x')",
    "dh = exit()",
    "dh = load_names('/etc/passwd')",
    "ｇetattr = 1\ndh = ｇetattr(h, 'T')",
    "eval = dlogits\ndh = eval('h')",
    "def f():\n    from matplotlib import pyplot as eval\n    return 1\ndh = f() * eval('h')",
    "def f():\n    from matplotlib import pyplot as eval\n    return 1\ndh = list(map(eval, 'h')) * f()",
    "def f():\n    from matplotlib import pyplot as eval\n    return 1\ndh = eval.x * f()",
    "def f(a=eval):\n    return a('h')\ndh = f()",
    "def f(*, a=open):\n    return a\ndh = f()",
    "dh = (lambda a=getattr: a(h, 'T'))()",
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
    "class A:\n    mro = 1\ndh = A.mro()",
    "class A:\n    def _make_subclass(self):\n        return 1\ndh = torch.Tensor._make_subclass(h)",
    "def enable_grad():\n    return 1\nwith torch.enable_grad():\n    dh = h",
    "def autograd():\n    return 1\ndh = torch.autograd.grad(loss, h)",
    "class A:\n    pass\na = A()\na.format = 1\nf = '{0.T}'.format\ndh = f(h)",
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
    "dh = torch.cuda.synchronize()",
    "dh = torch.vmap(abs)(h)",
    "dh = torch.set_num_threads(9)",
    "dh = torch._softmax_backward_data(dlogits, h, 1, h.dtype)",
    "dh = F.torch.load('x')",
    "dh = torch.nn.functional.sys",
    "dh = torch.nn.init.zeros_(h)",
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
    "from torch import *\ndh = wherever(h)",
    "import torch as x\ndh = x.load('x')",
    "import subprocess as s\ndh = s.run('x')",
    "from operator import attrgetter\ndh = attrgetter('T')(h)",
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
    "class A:\n    import torch as t\ndh = A.t",
    "class A:\n    if True:\n        import torch as t\ndh = A.t",
    "class A:\n    if True:\n        t = torch.nn\ndh = A.t",
    "def f():\n    import torch as t\n    return locals()['t']\ndh = f()",
    "def f():\n    t = torch.nn\n    return t\ndh = f()",
    "dh = {'a': torch}['a'].ops",
    "dh = h if torch else W2",
    "dh = f'{torch}'",
    # names that mean one thing on paper and another at run time
    "def f():\n    import matplotlib.pyplot as q\n    return 1\nq = (x for x in [h])\ndh = q.gi_frame.f_builtins * f()",
    "if n:\n    plt = (x for x in [h])\n    dh = plt.gi_frame.f_builtins['eval']('h')",
    "def isinstance(a, T):\n    T.sum = abs\n    return a\ndh = isinstance(h, torch.Tensor)",
    "def f():\n    global isinstance\n    isinstance = max\nf()\ndh = isinstance(h, torch.Tensor)",
    _ISINSTANCE_UNSEEN,
    "def f():\n    global type\n    type = 1\nclass A(type):\n    pass\ndh = A('X', (), {}) if n else f()",
    "def f():\n    from matplotlib import pyplot as __hand_over__\n    return 1\ndh = f()",
    "dh = [torch for torch.q in [1]][0].ops",
    "dh = [eval for eval.q in [1]][0]('h')",
    "dh = {torch for torch[0] in [1]}",
    # changing things
    "def f():\n    torch.allclose = abs\n    return h\ndh = f()",
    "def f():\n    torch.Tensor.sum = abs\n    return h\ndh = f()",
    "def f():\n    T = torch.Tensor\n    T.sum = abs\n    return h\ndh = f()",
    "def f():\n    T = [torch.Tensor][0]\n    T.sum = abs\n    return h\ndh = f()",
    "def f(T):\n    T.sum = abs\n    return h\ndh = f(torch.Tensor)",
    "def f(T):\n    T.sum = abs\n    return h\ndh = W2 if f(torch.Tensor) == 1 else h",
    "def f(a: (T := torch.Tensor)):\n    return a\ndh = f(h)",
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
    "ng = torch.no_grad\ns = ng()\ndh = s",
    "@torch.inference_mode(mode=False)\ndef f():\n    return h\ndh = f()",
    "@torch.enable_grad()\ndef f():\n    return h\ndh = f()",
    "x = torch.zeros(3, requires_grad=True)\ndh = h * x",
    # classes and magic
    "class A:\n    def __getattr__(self, n):\n        return h\ndh = A().x",
    "class A:\n    def __eq__(self, o):\n        return True\ndh = A()",
    "class A:\n    __slots__ = ()\ndh = A()",
    "class A:\n    __torch_function__ = 1\ndh = A()",
    "class A(torch.Tensor):\n    pass\ndh = A(h)",
    "class A(np.ndarray):\n    pass\ndh = A(h)",
    "class A(dict):\n    pass\ndh = A(h=h)",
    "class A(metaclass=type):\n    pass\ndh = A()",
    "class A(torch.autograd.Function):\n    pass\ndh = A()",
    "def f():\n    h.__array_interface__ = {}\n    return h\ndh = f()",
    "from types import SimpleNamespace\ndh = torch.as_tensor(SimpleNamespace(__array_interface__={}))",
    "from types import SimpleNamespace\ndh = torch.as_tensor(SimpleNamespace(**{'__array' + '_interface__': {}}))",
    "from types import SimpleNamespace\nmake = SimpleNamespace\ndh = make({'a': 1})",
    "from types import SimpleNamespace\nfrom functools import partial\ndh = partial(SimpleNamespace)(**{'a': 1})",
    # syntax
    "match h:\n    case torch.Tensor(grad=x):\n        dh = x",
    "async def f():\n    return h\ndh = f()",
    # text
    "dh = '{0.__class__}'.format(h)",
    "dh = '{:{0.T}}'.format(h)",
    "dh = '{0[0]}'.format(h)",
    "x = '{0.T}'\ndh = x.format(h)",
    "dh = str.format('{0.T}', h)",
    "dh = '{a.T}'.format_map({'a': h})",
    # places
    "cmp('h', open('x'), h)",
    "def f():\n    cmp('h', open('x').read(), h)\nf()",
]


@pytest.mark.parametrize("text", DOORS)
def test_each_door_is_refused_with_its_line_and_a_sentence(text: str) -> None:
    plan = plan_of(f"{text}\ndb2 = dlogits.sum(0)\n")
    assert plan.forbidden.keys() == {"h"}
    statement, refusal = plan.forbidden["h"]
    assert refusal.mistake in ("autograd", "not-admitted")
    assert statement.line <= refusal.line <= text.count("\n") + 1
    assert re.fullmatch(r"[A-Z`].*[.)]", refusal.message)
    assert len(refusal.message) < 130
    assert {tensor for step in plan.steps for tensor in step.writes} == {"b2"}


def test_what_is_refused_costs_the_gradients_that_need_it_and_no_others() -> None:
    text = "import os\nk = os.getpid()\n" + with_lines(
        {"dh": "dh = k * dlogits @ W2.T", "dW2": "dW2 = k * h.T @ dlogits"}
    )
    assert plan_of(text).forbidden.keys() == {"h", "W2"}
    assert {r.line for _, r in plan_of(text).forbidden.values()} == {1}


def test_what_feeds_no_gradient_is_dropped_and_not_punished() -> None:
    text = "import os\nos.remove('x')\nprint(eval('1'))\nclass A(dict):\n    __slots__ = ()\n" + with_lines()
    plan = plan_of(text)
    assert plan.forbidden == {}
    assert not any("os" in step.statement.text.split() for step in plan.steps)


def test_a_line_in_a_function_is_named_where_it_stands() -> None:
    plan = plan_of("# %%\nx = 1\n\n# %%\ndef f(d):\n    y = d * x\n    return torch.save(y, 'x')\ndh = f(dlogits)\n")
    assert plan.forbidden["h"][1].line == 7


def test_a_lookalike_of_a_module_in_a_function_is_no_module() -> None:
    plan = plan_of("def f(F, random):\n    np = F @ random\n    return np\ndh = f(dlogits, W2.T)\n")
    assert plan.forbidden == {}


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


def test_the_check_reads_the_text_that_runs() -> None:
    """What `Statement.text` gives is parsed again, so a node that is written back otherwise hides nothing."""
    plan = plan_of(with_lines({"dh": "if n:\n\tdh = dlogits @ W2.T # a tab\n"}))
    (step,) = [step for step in plan.steps if "h" in step.writes]
    assert ast.dump(ast.parse(step.statement.text)) == ast.dump(ast.parse("if n:\n    dh = dlogits @ W2.T"))


def test_without_the_wall_everything_runs() -> None:
    (part,) = find_parts(parse_source(Path("answers.py"), percent_cells("dh = eval('h')\n" + LINES["db2"])), "ex1")
    plan = make_plan(part.analysis, part.exercise, part.attempts, static_check=False)
    assert plan.forbidden == {}
    assert {tensor for step in plan.steps for tensor in step.writes} == {"h", "b2"}
