"""A JupyterLab of its own, and what a learner does in it."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.lesson.derive import derived_files
from tests.browser.chromium import sync_api
from tests.dojo import REPOSITORY, environment

START = 60.0
"""Seconds until the server answers; a cold start takes about 5."""
RUN = 90_000
"""Milliseconds until all cells have run; loading torch on a busy machine takes most of them."""
SETTINGS = {
    "apputils-extension/themes": {"adaptive-theme": True},  # light or dark, as the browser asks for
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}

expect = sync_api.expect
expect.set_options(timeout=30_000)  # what takes a second may take ten beside other tests


@dataclass
class Lab:
    """A server whose folder holds exercises and notebooks that nobody has touched, paired as in a clone."""

    folder: Path
    token: str
    port: int

    def url(self, notebook: str) -> str:
        return f"http://127.0.0.1:{self.port}/lab/tree/notebooks/{notebook}.ipynb?token={self.token}&reset"


@contextmanager
def running_lab(home: Path) -> Iterator[Lab]:
    """Serve `home`/course; all that Jupyter, IPython and dojo keep for a user goes to `home` too."""
    folder = home / "course"
    for path, text in derived_files(folder).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copy(REPOSITORY / "pyproject.toml", folder)  # jupytext's pairs
    for name, settings in SETTINGS.items():
        file = home / f"settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    token = secrets.token_hex(16)
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", f"--IdentityProvider.token={token}"]
    with (home / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=folder,
            env=_own_places(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Lab(folder, token, _port(process, home))
        finally:
            process.terminate()  # it ends its kernels too
            process.wait(30)


def _own_places(home: Path) -> dict[str, str]:
    jupyter = {f"JUPYTER_{name.upper()}_DIR": str(home / name) for name in ("config", "data", "runtime")}
    lab = {f"JUPYTERLAB_{name.upper()}_DIR": str(home / name) for name in ("settings", "workspaces")}
    own = {f"XDG_{name.upper()}_HOME": str(home / name) for name in ("cache", "state", "data")}
    return environment(**jupyter, **lab, **own, IPYTHONDIR=str(home / "ipython"), MPLBACKEND="agg")


def _port(process: subprocess.Popen[bytes], home: Path) -> int:
    """The port that the server has chosen, once it answers there."""

    def answering() -> int | None:
        if process.poll() is not None:
            raise RuntimeError(f"JupyterLab has ended: {(home / 'lab.log').read_text()[-2000:]}")
        for file in (home / "runtime").glob("jpserver-*.json"):
            try:
                port = int(json.loads(file.read_text())["port"])
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5):
                    return port
            except (OSError, ValueError):
                continue
        return None

    return wait_for(answering, START)


def wait_for(found: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `found` gives as soon as it is neither None nor False; for what no page tells."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.05)
    raise TimeoutError(f"nothing after {seconds:.0f} s")


@dataclass
class Notebook:
    """An open notebook, by what can be seen of it. `noise` is what the page complains about."""

    page: Any
    noise: list[str] = field(default_factory=list)

    def cell(self, text: str) -> Any:
        """The code cell whose editor holds this text and no more."""
        editors = self.page.locator(".jp-CodeCell").filter(
            has=self.page.locator(".cm-content", has_text=re.compile(rf"^\s*{re.escape(text)}\s*$"))
        )
        expect(editors).to_have_count(1)
        number = editors.get_attribute("data-windowed-list-index")
        return self.page.locator(f'.jp-Cell[data-windowed-list-index="{number}"]')

    def cell_above(self, cell: Any) -> Any:
        number = int(cell.get_attribute("data-windowed-list-index"))
        return self.page.locator(f'.jp-Cell[data-windowed-list-index="{number - 1}"]')

    def comparison(self, name: str) -> Any:
        return self.cell(f'cmp("{name}", d{name}, {name})')

    def run_all(self) -> None:
        """By the menu; returns when the kernel has nothing left to do."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        last = self.page.locator(".jp-CodeCell").last
        expect(last.locator(".jp-InputPrompt").first).to_have_text(re.compile(r"\[\d+\]:"), timeout=RUN)

    def type_into(self, cell: Any, text: str) -> None:
        """Replace what stands in a cell's editor, key by key."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def answer(self, name: str, text: str) -> Any:
        """Write an answer into the cell above its comparison and run both; the comparison's cell."""
        comparison = self.comparison(name)
        before = comparison.locator(".jp-InputPrompt").first.inner_text()
        self.type_into(self.cell_above(comparison), text)
        self.page.keyboard.press("Shift+Enter")
        self.page.keyboard.press("Shift+Enter")
        prompt = comparison.locator(".jp-InputPrompt").first
        expect(prompt).not_to_have_text(before)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"))
        return comparison

    def save(self) -> None:
        """Ctrl-S; returns when the server has written the file."""
        with self.page.expect_response(lambda answer: answer.request.method == "PUT" and "/api/contents" in answer.url):
            self.page.keyboard.press("Control+s")


def open_notebook(
    browser: Any, lab: Lab, name: str, scheme: str = "light", width: int = 1280, height: int = 900
) -> Notebook:
    """Open a notebook in a window of its own, and wait for all of its cells."""
    page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
    notebook = Notebook(page)
    page.on("console", lambda said: notebook.noise.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: notebook.noise.append(str(error)))
    page.goto(lab.url(name))
    path = lab.folder / f"notebooks/{name}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(len(cells), timeout=RUN)
    expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle", timeout=RUN)
    return notebook
