"""Files written, changed, deleted, or made by a library on the way."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, OPEN, STOPPED, Attack

SECOND = (OPEN, STOPPED, STOPPED)
_ZERO = "    return torch.zeros_like(h)\ndh = act()"


def _act(name: str, title: str, lines: str, **more: object) -> Attack:
    return Attack(name, title, lines, **{"second": SECOND, **more})  # type: ignore[arg-type]


ATTACKS = (
    _act("write-file", "a file written", f"def act():\n    open('@CANARY@', 'w').write('was here')\n{_ZERO}"),
    _act("write-delete", "a file deleted", f"import os\ndef act():\n    os.remove('@CANARY@')\n{_ZERO}"),
    _act(
        "write-rename", "a file renamed", f"import os\ndef act():\n    os.rename('@CANARY@', '@CANARY@.old')\n{_ZERO}"
    ),
    _act(
        "write-link",
        "a link put in the place of a file",
        f"import os\ndef act():\n    os.symlink('/etc/passwd', '@FOLDER@/link')\n{_ZERO}",
    ),
    _act(
        "write-mode",
        "a file's permissions changed",
        f"import os\ndef act():\n    os.chmod('@CANARY@', 0o777)\n{_ZERO}",
        second=(OPEN, OPEN, STOPPED),
    ),
    _act("write-truncate", "a file cut to nothing", f"import os\ndef act():\n    os.truncate('@CANARY@', 0)\n{_ZERO}"),
    _act("write-folder", "a folder made", f"import os\ndef act():\n    os.makedirs('@FOLDER@/made/deep')\n{_ZERO}"),
    _act("write-tensor", "a tensor saved by torch", f"def act():\n    torch.save(h, '@FOLDER@/saved.pt')\n{_ZERO}"),
    _act(
        "write-numpy", "an array saved by numpy", f"def act():\n    np.save('@FOLDER@/saved.npy', h.numpy())\n{_ZERO}"
    ),
    _act("write-tofile", "`ndarray.tofile`", f"def act():\n    h.numpy().tofile('@CANARY@')\n{_ZERO}"),
    _act(
        "write-memmap",
        "an array that is a file",
        f"""
def act():
    np.memmap("@FOLDER@/mapped", dtype="f8", mode="w+", shape=(9,))[:] = 1
{_ZERO}
""",
    ),
    _act(
        "write-storage",
        "a tensor that is a file",
        f"""
def act():
    torch.from_file("@FOLDER@/mapped", shared=True, size=9).fill_(1)
{_ZERO}
""",
    ),
    _act(
        "write-plot",
        "a picture saved by matplotlib",
        f"""
import matplotlib.pyplot
def act():
    matplotlib.use("agg")
    matplotlib.pyplot.figure().savefig("@FOLDER@/picture.png")
{_ZERO}
""",
        first=HARMLESS,
        second=(HARMLESS, HARMLESS, HARMLESS),
    ),
    _act(
        "write-log",
        "Python's logging writes a file",
        f"import logging\ndef act():\n    logging.FileHandler('@FOLDER@/log').close()\n{_ZERO}",
    ),
    _act(
        "write-import",
        "a module written, then imported",
        f"""
import sys
def act():
    open("@FOLDER@/planted.py", "w").write("found = 1")
    sys.path.insert(0, "@FOLDER@")
    import planted
{_ZERO}
""",
    ),
)
