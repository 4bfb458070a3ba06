"""Files written, changed, deleted, or made by a library on the way."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, OPEN, STOPPED
from tests.attacks.corpus.acts import ZERO, act

ATTACKS = (
    act("write-file", "a file written", f"def act():\n    open('@CANARY@', 'w').write('was here')\n{ZERO}"),
    act("write-delete", "a file deleted", f"import os\ndef act():\n    os.remove('@CANARY@')\n{ZERO}"),
    act("write-rename", "a file renamed", f"import os\ndef act():\n    os.rename('@CANARY@', '@CANARY@.old')\n{ZERO}"),
    act(
        "write-link",
        "a link put in the place of a file",
        f"import os\ndef act():\n    os.symlink('/etc/passwd', '@FOLDER@/link')\n{ZERO}",
    ),
    act(
        "write-mode",
        "a file's permissions changed",
        f"import os\ndef act():\n    os.chmod('@CANARY@', 0o777)\n{ZERO}",
        sandbox=(OPEN, OPEN, STOPPED),
    ),
    act("write-truncate", "a file cut to nothing", f"import os\ndef act():\n    os.truncate('@CANARY@', 0)\n{ZERO}"),
    act("write-folder", "a folder made", f"import os\ndef act():\n    os.makedirs('@FOLDER@/made/deep')\n{ZERO}"),
    act("write-tensor", "a tensor saved by torch", f"def act():\n    torch.save(h, '@FOLDER@/saved.pt')\n{ZERO}"),
    act("write-numpy", "an array saved by numpy", f"def act():\n    np.save('@FOLDER@/saved.npy', h.numpy())\n{ZERO}"),
    act("write-tofile", "`ndarray.tofile`", f"def act():\n    h.numpy().tofile('@CANARY@')\n{ZERO}"),
    act(
        "write-memmap",
        "an array that is a file",
        f"""
def act():
    np.memmap("@FOLDER@/mapped", dtype="f8", mode="w+", shape=(9,))[:] = 1
{ZERO}
""",
    ),
    act(
        "write-storage",
        "a tensor that is a file",
        f"""
def act():
    torch.from_file("@FOLDER@/mapped", shared=True, size=9).fill_(1)
{ZERO}
""",
    ),
    act(
        "write-plot",
        "a picture saved by matplotlib",
        f"""
import matplotlib.pyplot
def act():
    matplotlib.use("agg")
    matplotlib.pyplot.figure().savefig("@FOLDER@/picture.png")
{ZERO}
""",
        guards=HARMLESS,
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    act(
        "write-log",
        "Python's logging writes a file",
        f"import logging\ndef act():\n    logging.FileHandler('@FOLDER@/log').close()\n{ZERO}",
        guards=HARMLESS,
    ),
    act(
        "write-import",
        "a module written, then imported",
        f"""
import sys
def act():
    open("@FOLDER@/planted.py", "w").write("found = 1")
    sys.path.insert(0, "@FOLDER@")
    import planted
{ZERO}
""",
    ),
)
