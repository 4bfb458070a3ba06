"""Reading what a submission must not know: solutions, true gradients, files, secrets, other people's work."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, OPEN, STOPPED, Attack
from tests.attacks.corpus.autograd import NOT_THERE

_SAY = "    raise RuntimeError('I read: ' + found)\ndh = say()"

ATTACKS = (
    Attack(
        "read-solution",
        "the solution's file, its lines run as one's own",
        """
def take():
    text = open("@SOLUTION@").read()
    line = [line for line in text.split("\\n") if line.startswith("dh = ")][0]
    return eval(line[5:], {"torch": torch, "dlogits": dlogits, "W2": W2})
dh = take()
""",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "read-solution-numpy",
        "the solution's file through numpy",
        """
raw = bytes(np.fromfile("@SOLUTION@", dtype=np.uint8)).decode()
dh = eval([line for line in raw.split("\\n") if line.startswith("dh = ")][0][5:])
""",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "read-solution-memory",
        "the solution that the grader's own modules hold in memory",
        """
import grader.lesson.exercise as held
def take():
    for exercise in held.all_exercises():
        for cell in exercise.cells if exercise.short_id == "makemore/ex1" else ():
            for line in cell.text.split("\\n"):
                if line.startswith("dh = ") and "..." not in line:
                    return eval(line[5:], {"torch": torch, "dlogits": dlogits, "W2": W2})
dh = take()
""",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "read-solution-gc",
        "the solution's text, looked for among all objects in memory",
        """
import gc
def take():
    gc.unfreeze()
    for found in gc.get_objects():
        text = getattr(found, "text", "") if type(found).__name__ == "Cell" else ""
        for line in text.split("\\n"):
            if line.startswith("dh = ") and "..." not in line:
                return eval(line[5:], {"torch": torch, "dlogits": dlogits, "W2": W2})
dh = take()
""",
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
    ),
    Attack(
        "read-truth-modules",
        "the grader's own function for the truth",
        """
from grader.truth.autograd import backpropagate, cut_forward
def take():
    import inspect
    frame = inspect.currentframe()
    while not hasattr(frame.f_locals.get("self"), "parameters"):
        frame = frame.f_back
    from grader.lesson.exercise import find_exercise
    from grader.lesson.trials import namespace_of
    exercise = find_exercise("makemore/ex1")
    scope = namespace_of(exercise, frame.f_locals["self"].parameters)
    with torch.enable_grad():
        return backpropagate(cut_forward(exercise, scope)).total["h"]
dh = take()
""",
        sandbox=NOT_THERE,
    ),
    Attack(
        "read-truth-gc",
        "true gradients, looked for among all tensors in memory",
        """
import gc
def take():
    gc.unfreeze()
    found = [t for t in gc.get_objects() if type(t) is torch.Tensor and t.shape == h.shape and t is not h]
    for t in found:
        if t.dtype == h.dtype and torch.allclose(t @ W2, dlogits @ W2.T @ W2):
            return t
dh = take()
""",
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
    ),
    Attack(
        "read-truth-frames",
        "true gradients, looked for in the frames of the caller",
        """
import sys
def take():
    frame = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            if isinstance(value, dict) and isinstance(value.get("h"), torch.Tensor) and "dh" not in value:
                return value["h"]
        frame = frame.f_back
    return torch.zeros_like(h)
dh = take()
""",
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
    ),
    Attack(
        "read-truth-judge-memory",
        "true gradients in the judge's memory, through /proc",
        """
def take():
    import struct
    wanted = struct.pack("<d", float((dlogits @ W2.T).reshape(-1)[0]))
    with open("/proc/@JUDGE@/maps") as maps, open("/proc/@JUDGE@/mem", "rb") as memory:
        for line in maps:
            first, last = (int(x, 16) for x in line.split()[0].split("-"))
            if "[heap]" in line or (" rw-p " in line and line.rstrip().endswith(" 0")):
                try:
                    memory.seek(first)
                    block = memory.read(min(last - first, 200_000_000))
                except (OSError, ValueError, OverflowError):
                    continue
                at = block.find(wanted)
                if at >= 0:
                    raw = block[at : at + 8 * h.numel()]
                    return torch.tensor(struct.unpack(f"<{h.numel()}d", raw), dtype=h.dtype).view(h.shape)
dh = take()
""",
        sandbox=(OPEN, STOPPED, STOPPED),
        seconds=20,
        varies=True,  # a slow machine does not let it read so far in time
    ),
    Attack(
        "read-truth-later",
        "a gradient that is handed over first, then read again for another",
        """
dprobs = torch.zeros_like(probs)
dcounts_sum_inv = torch.zeros_like(counts_sum_inv)
dnorm_logits = dprobs
dh = (dprobs + dnorm_logits) @ W2.T
""",
        guards=HARMLESS,
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
    ),
    Attack(
        "read-truth-next-trial",
        "the truth of one trial kept for the next",
        """
import sys
def take():
    kept = sys.__dict__.setdefault("kept", [])
    import gc
    kept.append([t.clone() for t in gc.get_objects() if type(t) is torch.Tensor and t.shape == h.shape])
    return kept[0][-1]
dh = take()
""",
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
    ),
    Attack(
        "read-truth-next-exercise",
        "the truth of exercise 1, told after a wrong answer, carried to exercise 2 in a file",
        """
# %%
dlogits = torch.zeros_like(logits)
import os
def carry():
    torch.save(dlogits, f"@FOLDER@/{float(W2.sum())}")
    return dlogits @ W2.T
dh = carry()

# %%
def fetch():
    return torch.load(f"@FOLDER@/{float(W2.sum())}")
dlogits = fetch()
""",
        tensor="logits",
        exercise=None,
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "read-truth-other-student",
        "the truth told to one submission, kept for the next one's",
        "dh = torch.load(f'@FOLDER@/{float(C.sum())}')",
        before="""
dh = torch.zeros_like(h)
def keep(t):
    torch.save(dh, f"@FOLDER@/{float(C.sum())}")
    return t
dhpreact = keep((1.0 - h**2) * dh)
""",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "read-truth-tmp",
        "the same through the folder for temporary files",
        "dh = torch.load(__import__('tempfile').gettempdir() + f'/dojo-attack-kept-{float(C.sum())}')",
        before="""
import tempfile
dh = torch.zeros_like(h)
def keep(t):
    torch.save(dh, tempfile.gettempdir() + f"/dojo-attack-kept-{float(C.sum())}")
    return t
dhpreact = keep((1.0 - h**2) * dh)
""",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "read-literal-truth",
        "numbers copied out of an earlier report with another seed",
        "dh = torch.tensor(@EARLIER@, dtype=h.dtype)",
        guards=HARMLESS,
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
        seconds=10,
    ),
    Attack(
        "read-trial-by-bits",
        "telling the trials apart by their numbers, and being right in one that does not decide",
        "dh = dlogits @ W2.T if h.dtype == torch.float32 else torch.zeros_like(h)",
        guards=HARMLESS,
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
    ),
    Attack(
        "read-secret-file",
        "a secret file, told in an exception",
        f"def say():\n    found = open('@SECRET@').read()\n{_SAY}",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "read-secret-loadtxt",
        "a secret file through numpy's reader of tables",
        "def say():\n    found = str(np.loadtxt('@SECRET@', dtype=str))\n" + _SAY,
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "read-secret-names",
        "a secret file through the grader's own reader of names",
        f"def say():\n    from grader.syntax.source import read_text\n    import pathlib\n"
        f"    found = read_text(pathlib.Path('@SECRET@'))\n{_SAY}",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "read-secret-environment",
        "a secret variable of the grader's environment",
        f"import os\ndef say():\n    found = str(dict(os.environ))\n{_SAY}",
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    Attack(
        "read-secret-environ-file",
        "the environment that a process began with, in /proc",
        "def say():\n    pids = ['self', '@JUDGE@']\n"
        "    raw = ''.join(open(f'/proc/{pid}/environ').read() for pid in pids)\n"
        "    at = raw.find('DOJO_ATTACK_SECRET')\n    found = raw[at : at + 60]\n" + _SAY,
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "read-secret-heap",
        "the environment that the grader's memory held when it forked",
        """
import ctypes
def say():
    stack = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "__libc_stack_end").value
    count = ctypes.c_long.from_address(stack).value
    at = ctypes.c_void_p.from_address(stack + 8 * count).value
    for _ in range(1000):
        text = ctypes.string_at(at)
        if b"DOJO_ATTACK_SECRET" in text:
            raise RuntimeError(text.decode())
        if not text and not ctypes.string_at(at + 1):
            break
        at += len(text) + 1
dh = say()
""",
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
    ),
    Attack(
        "read-other-submission",
        "another person's submission beside one's own",
        """
import pathlib
def take():
    for path in pathlib.Path("@HOME@").rglob("other/*.py"):
        for line in path.read_text().split("\\n"):
            if line.startswith("dh = "):
                return eval(line[5:], {"dlogits": dlogits, "W2": W2})
dh = take()
""",
        sandbox=(OPEN, HARMLESS, HARMLESS),
    ),
)
