"""Kernels for notebooks, each a fork of one process that has loaded what a kernel and the lessons load.

A kernel of its own takes three seconds of a processor to start. What runs in it is Jupyter's own kernel all the same.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from jupyter_client.connect import write_connection_file
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient


class Started(AsyncKernelManager):
    """Of a kernel that somebody else started and ends."""

    has_kernel = True  # type: ignore[assignment]


def execute(notebook: Any, folder: Path, environment: dict[str, str], **wishes: Any) -> None:
    """Run a notebook from top to end in a kernel of its own, in `folder`; its outputs are written into it.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised, and `wishes` hold no `allow_errors`.
    """
    with tempfile.TemporaryDirectory() as place:
        file, _ = write_connection_file(f"{place}/kernel.json")
        asked = {"file": file, "folder": str(folder), "environment": environment}
        warm = _warm_process()
        assert warm.stdin is not None
        assert warm.stdout is not None
        print(json.dumps(asked), file=warm.stdin, flush=True)
        kernel = int(warm.stdout.readline())
        manager = Started(connection_file=file, owns_kernel=False)
        manager.load_connection_file()
        client = NotebookClient(notebook, km=manager, timeout=100, **wishes)
        try:
            client.execute()
        finally:
            os.kill(kernel, signal.SIGKILL)
            if client.kc is not None:
                client.kc.stop_channels()


@lru_cache
def _warm_process() -> subprocess.Popen[str]:
    """Started once; it ends when its input does, and so with this process."""
    return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def main() -> None:
    """Read which kernels are wanted, a line each; fork them, and write their ids."""
    import ipykernel.kernelapp
    import torch  # noqa: F401  # and no matplotlib, which reads the environment when it loads

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        asked = json.loads(line)
        if (kernel := os.fork()) == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(0, 1)
            os.chdir(asked["folder"])
            os.environ.clear()
            os.environ.update(asked["environment"])
            sys.path[0] = asked["folder"]  # in the place of this file's, as `python -m` has it
            ipykernel.kernelapp.launch_new_instance(argv=["-f", asked["file"]])
            os._exit(0)
        print(kernel, flush=True)


if __name__ == "__main__":
    main()
