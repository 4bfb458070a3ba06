"""Using up the machine. Each flood is bounded: an unstopped one harms a test machine little, and shows as credit."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, OPEN, STOPPED, Attack

_RIGHT = "    return dlogits @ W2.T\ndh = flood()"


def _flood(name: str, title: str, lines: str, **more: object) -> Attack:
    return Attack(f"flood-{name}", title, lines, **more)  # type: ignore[arg-type]


ATTACKS = (
    _flood(
        "memory",
        "3 GB in one piece",
        f"def flood():\n    block = bytearray(b'x') * 3_000_000_000\n{_RIGHT}",
        guards=STOPPED,
        seconds=8,
    ),
    _flood(
        "memory-tensors",
        "3 GB in tensors of 30 MB",
        f"""
def flood():
    kept = [torch.ones(3_750_000, dtype=torch.float64) for _ in range(100)]
{_RIGHT}
""",
        seconds=8,
    ),
    _flood(
        "memory-objects",
        "a list that doubles for ever",
        """
def flood():
    grown = [0.0]
    while True:
        grown = grown + grown
dh = flood()
""",
        seconds=8,
    ),
    _flood(
        "memory-shared",
        "3 GB of shared memory, which outlives the worker",
        f"""
import mmap
def flood():
    block = mmap.mmap(-1, 3_000_000_000)
    for at in range(0, 3_000_000_000, 4096):
        block[at] = 1
{_RIGHT}
""",
        seconds=8,
    ),
    _flood(
        "threads",
        "200 threads",
        f"""
import threading, time
def flood():
    for _ in range(200):
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
{_RIGHT}
""",
        sandbox=(OPEN, STOPPED, STOPPED),
        varies=True,
    ),
    _flood(
        "torch-threads",
        "torch told to use 200 threads",
        f"""
def flood():
    torch.set_num_threads(200)
    big = torch.ones(300, 300)
    big = big @ big
    assert torch.get_num_threads() == 200
{_RIGHT}
""",
        seconds=2,
        sandbox=(OPEN, OPEN, STOPPED),
        varies=True,
    ),
    _flood(
        "forks",
        "40 processes",
        f"""
import os, time
def flood():
    for _ in range(40):
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
{_RIGHT}
""",
        sandbox=(OPEN, OPEN, STOPPED),
        varies=True,
    ),
    _flood(
        "fork-bomb",
        "a process that forks, and whose children fork, six generations deep",
        f"""
import os, time
def flood():
    me = os.getpid()
    for _ in range(6):
        os.fork()
    if os.getpid() != me:
        time.sleep(5)
        os._exit(0)
{_RIGHT}
""",
        sandbox=(OPEN, OPEN, STOPPED),
        varies=True,
    ),
    _flood(
        "output",
        "100 MB printed",
        """
def flood():
    for _ in range(100):
        print("x" * 1_000_000, flush=True)
        print("\\x1b[2J", flush=True)
    return torch.zeros_like(h)
dh = flood()
""",
        guards=HARMLESS,
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
    ),
    _flood(
        "output-descriptor",
        "100 MB written to descriptors 1 and 2",
        """
import os
def flood():
    for _ in range(100):
        os.write(1, b"x" * 1_000_000)
        os.write(2, b"x" * 1_000_000)
    return torch.zeros_like(h)
dh = flood()
""",
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
    ),
    _flood(
        "exception",
        "an exception with a text of 300 MB",
        "def flood():\n    raise ValueError('x' * 300_000_000)\ndh = flood()",
    ),
    _flood(
        "exception-tree",
        "an exception that carries a chain of 50,000",
        """
def flood():
    error = ValueError("first")
    for _ in range(50_000):
        error = ValueError("next", error)
    raise error
dh = flood()
""",
    ),
    _flood(
        "disk",
        "a file of 200 MB, of which 16 MB are written before the limit",
        f"""
def flood():
    with open("@FOLDER@/large", "wb") as file:
        for _ in range(200):
            file.write(bytes(1_000_000))
{_RIGHT}
""",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    _flood(
        "files",
        "3,000 small files",
        f"""
def flood():
    for number in range(3000):
        open(f"@FOLDER@/{{number}}", "w").close()
{_RIGHT}
""",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    _flood(
        "descriptors",
        "3,000 files held open",
        f"""
def flood():
    kept = [open("/dev/null") for _ in range(3000)]
{_RIGHT}
""",
    ),
    _flood(
        "statements",
        "20,000 statements that all feed one gradient",
        "\n".join(["dh = dlogits @ W2.T * 0", *("dh = dh + h * 0",) * 20_000]),
        guards=STOPPED,
        seconds=10,
    ),
    _flood(
        "regex",
        "a regular expression that takes for ever",
        """
import re
dh = re.match("(a+)+$", "a" * 40 + "b")
""",
        seconds=1.5,
    ),
)
