"""Other programs started, processes left behind, and code brought in from elsewhere."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, OPEN, STOPPED
from tests.attacks.corpus.acts import ZERO, act

ATTACKS = (
    act(
        "run-system",
        "a shell command",
        f"import os\ndef act():\n    os.system('echo was here > @CANARY@')\n{ZERO}",
        sandbox=(OPEN, HARMLESS, HARMLESS),
    ),
    act(
        "run-exec",
        "the worker becomes another program",
        "import os\ndh = os.execv('/bin/sh', ['sh', '-c', 'echo was here > @CANARY@'])",
    ),
    act(
        "run-spawn",
        "`multiprocessing` in its own server",
        f"""
import multiprocessing, os
def act():
    context = multiprocessing.get_context("fork")
    process = context.Process(target=os.system, args=("echo was here > @CANARY@",))
    process.start()
    process.join(3)
{ZERO}
""",
        sandbox=(OPEN, HARMLESS, STOPPED),
    ),
    act(
        "run-daemon",
        "a daemon: two forks and a session of its own",
        f"""
import os, time
def act():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(20)
        os._exit(0)
{ZERO}
""",
        seconds=3,
        sandbox=(OPEN, OPEN, STOPPED),
    ),
    act(
        "run-session",
        "a program started in a new session",
        f"""
import subprocess
def act():
    subprocess.Popen(["sleep", "20"], start_new_session=True)
{ZERO}
""",
    ),
    act(
        "run-unpickle",
        "a pickle that runs a command",
        f"""
import pickle
def act():
    pickle.loads(b"cos\\nsystem\\n(S'echo was here > @CANARY@'\\ntR.")
{ZERO}
""",
        sandbox=(OPEN, HARMLESS, HARMLESS),
    ),
    act(
        "run-torch-load",
        "the same pickle through `torch.load`",
        f"""
import io
def act():
    torch.load(io.BytesIO(b"\\x80\\x02cos\\nsystem\\n(S'echo was here > @CANARY@'\\ntR."), weights_only=False)
{ZERO}
""",
    ),
    act(
        "run-numpy-load",
        "the same pickle in an array",
        f"""
import io, pickle
class Command:
    def __reduce__(self):
        import os
        return os.system, ("echo was here > @CANARY@",)
def act():
    file = io.BytesIO()
    np.save(file, np.array([Command()], dtype=object), allow_pickle=True)
    np.load(io.BytesIO(file.getvalue()), allow_pickle=True)
{ZERO}
""",
        sandbox=(OPEN, HARMLESS, HARMLESS),
    ),
    act(
        "run-compile",
        "a C++ extension compiled by torch",
        """
import torch.utils.cpp_extension as maker
def act():
    maker.load_inline("planted", "int one() { return 1; }", functions=["one"], build_directory="@FOLDER@")
    return dlogits @ W2.T
dh = act()
""",
        seconds=4,
    ),
    act(
        "run-dynamo",
        "`torch.compile`, which starts a compiler",
        """
act = torch.compile(lambda a, b: a @ b.T)
dh = act(dlogits, W2) + dlogits @ W2.T * 0 + open("@FOLDER@/compiled", "w").write("") * 0
""",
        seconds=4,
        varies=True,
    ),
    act(
        "run-top-level",
        "a command on a line that feeds no gradient",
        """
import os
os.system("echo was here > @CANARY@")
dh = torch.zeros_like(h)
""",
        guards=HARMLESS,
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
    ),
    act(
        "run-decorated",
        "a command in a decorator, a default and an annotation",
        """
import os
def mark(f):
    os.system("echo was here > @CANARY@")
    return f
@mark
def act(t: os.system("echo was here > @CANARY@") = os.system("echo was here > @CANARY@")):
    return torch.zeros_like(h)
dh = act()
""",
        sandbox=(OPEN, HARMLESS, HARMLESS),
    ),
)
