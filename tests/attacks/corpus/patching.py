"""Changing torch, Python or the grader inside the worker, and objects that lie about what they are."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, STOPPED, Attack

NO_GAIN = (HARMLESS, HARMLESS, HARMLESS)


def _patch(name: str, title: str, lines: str, **more: object) -> Attack:
    sandbox = more.pop("sandbox", NO_GAIN)
    return Attack(f"patch-{name}", title, lines, sandbox=sandbox, **more)  # type: ignore[arg-type]


_ZERO = "    return torch.zeros_like(h)\ndh = patch()"

ATTACKS = (
    _patch(
        "allclose",
        "`torch.allclose` always true",
        f"""
def patch():
    torch.allclose = lambda *a, **k: True
    torch.equal = torch.allclose
    torch.isfinite = torch.allclose
{_ZERO}
""",
    ),
    _patch(
        "eq",
        "`Tensor.__eq__` always true",
        f"""
def patch():
    torch.Tensor.__eq__ = lambda a, b: torch.ones(a.shape, dtype=torch.bool)
    torch.Tensor.__sub__ = lambda a, b: torch.zeros_like(a)
{_ZERO}
""",
    ),
    _patch(
        "builtins",
        "`len`, `isinstance` and `abs` of Python replaced",
        f"""
import builtins
def patch():
    builtins.len = lambda _: 0
    builtins.isinstance = lambda *_: True
    builtins.abs = lambda _: 0
{_ZERO}
""",
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _patch(
        "json",
        "`json.dumps` says `done`",
        f"""
import json
def patch():
    json.dumps = lambda *a, **k: '{{"op": "done", "forward_differs": []}}'
{_ZERO}
""",
    ),
    _patch(
        "describe",
        "the worker's own function that describes a value",
        f"""
import grader.running.gradient_run
def patch():
    grader.running.gradient_run.describe_value = lambda value: ({{"kind": "pass"}}, None)
    grader.running.gradient_run.describe_exception = lambda error: {{"type": "pass", "text": ""}}
{_ZERO}
""",
    ),
    _patch(
        "serve",
        "the worker's loop, so that the next trial is answered otherwise",
        f"""
import grader.running.gradient_run
def patch():
    grader.running.gradient_run.GradientRun.run = lambda self, truths: None
{_ZERO}
""",
        seconds=2,
    ),
    _patch(
        "compare",
        "the grader's comparison",
        f"""
import grader.truth.compare, grader.judging.verdicts
def patch():
    grader.truth.compare.compare = lambda *a: grader.truth.compare.Comparison(True, 0.0)
    grader.judging.verdicts.verdict_of = lambda evidence: grader.report.records.Verdict(evidence.name, "pass")
{_ZERO}
""",
    ),
    _patch(
        "modules",
        "a false `torch` in `sys.modules`",
        f"""
import sys, types
def patch():
    sys.modules["torch"] = types.ModuleType("torch")
    sys.modules["grader.judging.judge"] = sys.modules["torch"]
{_ZERO}
""",
        sandbox=(STOPPED,) * 3,
    ),
    _patch(
        "save",
        "what lays out numbers for the judge sends the truth that came last",
        """
import grader.running.protocol as protocol
def patch():
    honest, load, told = protocol._laid_out, protocol._tensors, []
    def listen(*a):
        told.append(load(*a))
        return told[-1]
    def save(tensors):
        return honest({at: told[-1].get(at, h) for at in tensors} if told and "0" in tensors else tensors)
    protocol._laid_out, protocol._tensors = save, listen
    return torch.zeros_like(h)
dh = patch()
""",
    ),
    _patch(
        "clone",
        "`Tensor.clone` keeps the truth that is put back",
        """
import sys
def patch():
    kept = sys.__dict__.setdefault("kept_clones", [])
    honest = torch.Tensor.clone
    if not kept:
        def clone(tensor, *a, **k):
            kept.append(honest(tensor))
            return honest(tensor, *a, **k)
        torch.Tensor.clone = clone
    same = [t for t in kept if t.shape == h.shape]
    return same[-1] if same else torch.zeros_like(h)
dh = patch()
""",
    ),
    _patch(
        "subclass",
        "a Tensor subclass whose `__torch_function__` says yes to everything",
        """
class Yes(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True
dh = torch.zeros_like(h).as_subclass(Yes)
""",
        sandbox=NO_GAIN,
    ),
    _patch(
        "subclass-detach",
        "a Tensor subclass that detaches into something else",
        """
class Other(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if "detach" in str(function):
            return "not a tensor"
        return super().__torch_function__(function, types, args, kwargs)
dh = torch.zeros_like(h).as_subclass(Other)
""",
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _patch(
        "class-lies",
        "an object whose `__class__` says Tensor",
        """
class Liar:
    @property
    def __class__(self):
        return torch.Tensor
    shape, dtype, device, layout, is_nested = h.shape, h.dtype, h.device, h.layout, False
    def numel(self):
        return 1
    def is_complex(self):
        return False
    def detach(self):
        return torch.zeros_like(h)
    def __eq__(self, other):
        return True
    __hash__ = None
dh = Liar()
""",
    ),
    _patch(
        "array",
        "an ndarray subclass that equals everything",
        """
class Yes(np.ndarray):
    def __array_ufunc__(self, *a, **k):
        return True
    def __eq__(self, other):
        return True
dh = np.zeros(tuple(h.shape)).view(Yes)
""",
    ),
    _patch(
        "type-name",
        "a class whose name is a terminal escape and HTML",
        """
dh = type("\\x1b[2J<script>alert(1)</script>", (), {})()
""",
    ),
    _patch(
        "mode",
        "a torch function mode that replaces results",
        """
from torch.overrides import TorchFunctionMode
class Yes(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        return True
def patch():
    Yes().__enter__()
    return h
dh = patch()
""",
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _patch(
        "namespace",
        "the forward tensors themselves overwritten in place",
        """
def patch():
    h.zero_()
    W2.zero_()
    dlogits.zero_()
    return torch.zeros_like(h)
dh = patch()
""",
        guards=HARMLESS,
    ),
    _patch(
        "trace",
        "`sys.settrace`, to see what the worker does next",
        """
import sys
def patch():
    kept = sys.__dict__.setdefault("seen_truth", [])
    def look(frame, event, value):
        truth = frame.f_locals.get("truth")
        if isinstance(truth, torch.Tensor) and truth.shape == h.shape:
            kept.append(truth)
        return look
    sys.settrace(look)
    return kept[-1] if kept else torch.zeros_like(h)
dh = patch()
""",
    ),
)
