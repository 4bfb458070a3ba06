"""Ending the worker, or never ending."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, OPEN, STOPPED, Attack

CUT = (STOPPED, STOPPED, STOPPED)


def _end(name: str, title: str, lines: str, **more: object) -> Attack:
    return Attack(f"end-{name}", title, lines, **{"sandbox": CUT, **more})  # type: ignore[arg-type]


ATTACKS = (
    _end("sys-exit", "`sys.exit()`", "import sys\ndh = sys.exit(0)"),
    _end("exit", "`exit()` as people type it", "dh = exit()"),
    _end("os-exit", "`os._exit(0)`", "import os\ndh = os._exit(0)"),
    _end("system-exit", "`raise SystemExit`", "def end():\n    raise SystemExit(0)\ndh = end()"),
    _end(
        "interrupt", "`raise KeyboardInterrupt`", "def end():\n    raise KeyboardInterrupt\ndh = end()", guards=STOPPED
    ),
    _end(
        "base-exception",
        "an exception outside `Exception`, whose text raises again",
        """
class Bad(BaseException):
    def __str__(self):
        raise Bad
    __repr__ = __str__
def end():
    raise Bad
dh = end()
""",
    ),
    _end("abort", "`os.abort()`", "import os\ndh = os.abort()"),
    _end("segfault", "a null pointer read through ctypes", "import ctypes\ndh = ctypes.string_at(0)"),
    _end("recursion", "recursion without end", "def down(n):\n    return down(n + 1) + 1\ndh = down(0)"),
    _end(
        "recursion-limit",
        "the same with Python's limit lifted: the stack runs over",
        """
import sys
sys.setrecursionlimit(10**9)
def down(t):
    return sorted([t], key=lambda x: down(x))
def end():
    sys.setrecursionlimit(10**9)
    return down(1)
dh = end()
""",
        seconds=10,
    ),
    _end(
        "loop",
        "a loop without end",
        """
def spin():
    t = h
    while True:
        t = t + 0
    return t
dh = spin()
""",
        seconds=1.5,
    ),
    _end(
        "loop-swallows",
        "a loop without end that swallows every exception",
        """
def spin():
    while True:
        try:
            while True:
                h + 0
        except BaseException:
            pass
dh = spin()
""",
        seconds=1.5,
    ),
    _end("sleep", "sleeping, which uses no processor time", "import time\ndh = time.sleep(60)", seconds=1.5),
    _end("slow-call", "one call into C that takes minutes", "dh = pow(7, 10**9)", seconds=1.5),
    _end(
        "slow-tensor",
        "one call into torch that takes minutes",
        """
def slow():
    t = torch.ones(4000, 4000)
    for _ in range(1000):
        t = torch.matrix_exp(t * 0.001)
    return t
dh = slow()
""",
        guards=STOPPED,
        seconds=1.5,
    ),
    _end(
        "slow-compile",
        "a constant that takes Python minutes to fold",
        "dh = 7 ** 7 ** 7 ** 7",
        seconds=1.5,
    ),
    _end(
        "many-slow",
        "thirty gradients' worth of lines, each just under the limit of one",
        """
import time
def wait(t):
    for _ in range(10):
        time.sleep(0.5)
    return t
dh = wait(torch.zeros_like(h))
dembcat = wait(torch.zeros_like(embcat))
demb = wait(torch.zeros_like(emb))
""",
        seconds=2,
    ),
    _end(
        "signals-ignored",
        "every signal ignored, then a loop without end",
        """
import signal
def spin():
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while True:
        pass
dh = spin()
""",
        seconds=1.5,
    ),
    _end(
        "at-exit",
        "`atexit` and `__del__` that go on when the worker ends",
        """
import atexit, time
class Late:
    def __del__(self):
        open("@CANARY@", "a").write("late")
def last():
    atexit.register(open, "@FOLDER@/late", "w")
    globals()["kept"] = Late()
    return torch.zeros_like(h)
dh = last()
""",
        sandbox=(OPEN, HARMLESS, HARMLESS),
        varies=True,
    ),
    _end(
        "kill-parent",
        "killing the process that starts workers",
        "import os\ndh = os.kill(os.getppid(), 9)",
        sandbox=(OPEN, OPEN, STOPPED),
        varies=True,
    ),
    _end("kill-judge", "killing the judge", "import os\ndh = os.kill(@JUDGE@, 15)", sandbox=(OPEN, STOPPED, STOPPED)),
    _end(
        "kill-other",
        "killing a process that has nothing to do with it",
        "import os\ndh = os.kill(@VICTIM@, 9)",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    _end(
        "stop-judge",
        "stopping the judge, so that no limit is kept",
        "import os\ndh = os.kill(@JUDGE@, 19)",
        sandbox=(OPEN, STOPPED, STOPPED),
        seconds=2,
    ),
    _end("stop-self", "stopping itself, which is not ending", "import os\ndh = os.kill(os.getpid(), 19)", seconds=1.5),
    _end(
        "nice",
        "taking priority over everything else",
        """
import os
def take():
    os.setpriority(os.PRIO_PROCESS, 0, -19)
    return dlogits @ W2.T
dh = take()
""",
        sandbox=(OPEN, OPEN, STOPPED),
        varies=True,
    ),
    _end(
        "lift-limits",
        "lifting the limits that were set",
        """
import resource
def lift():
    for name in ("CPU", "FSIZE", "CORE", "AS", "NPROC", "NOFILE"):
        kind = getattr(resource, "RLIMIT_" + name)
        before = resource.getrlimit(kind)
        if before[1] != resource.RLIM_INFINITY:
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return dlogits @ W2.T
dh = lift()
""",
        sandbox=(OPEN, STOPPED, STOPPED),
        varies=True,
    ),
)
