"""Notebooks run from top to end, each in Jupyter's own kernel, forked from the process of `warm`.

A kernel that is started takes three seconds of a processor.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import warm
from jupyter_client.connect import write_connection_file
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient


class Started(AsyncKernelManager):
    """Of a kernel that somebody else started and ends."""

    has_kernel = True  # type: ignore[assignment]


def execute(notebook: Any, folder: Path, environment: dict[str, str], **wishes: Any) -> None:
    """Run a notebook from top to end in a kernel of its own, in `folder`; its outputs are written into it.

    What a cell prints is one output for each stream, as Jupyter shows it, however often it was flushed.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised, and `wishes` hold no `allow_errors`.
    """
    with tempfile.TemporaryDirectory() as place, Path(os.devnull).open("r+b") as silent:
        file, _ = write_connection_file(f"{place}/kernel.json")
        streams = (silent.fileno(),) * 3
        kernel = warm.Process(["-m", "ipykernel_launcher", "-f", file], folder, environment, streams)
        manager = Started(connection_file=file, owns_kernel=False)
        manager.load_connection_file()
        client = NotebookClient(notebook, km=manager, timeout=100, coalesce_streams=True, **wishes)
        try:
            client.execute()
        finally:
            kernel.kill()
            kernel.wait()
            if client.kc is not None:
                client.kc.stop_channels()
