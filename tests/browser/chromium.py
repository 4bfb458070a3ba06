"""The system's Chromium, headless, and axe-core where either is to be had."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("DOJO_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WIDTHS = (360, 768, 1200)
"""A telephone's, a tablet's and a laptop's window, in CSS pixels."""
CACHE = platformdirs.user_cache_path("backprop-dojo", appauthor=False)
"""Here .ci/run puts axe-core."""


def axe_core() -> Path:
    """axe-core's script: the one that DOJO_AXE names, else the one in the cache."""
    named = os.environ.get("DOJO_AXE")
    found = [Path(named)] if named else sorted(CACHE.glob("axe-core-*.js"))
    if not found or not found[-1].is_file():
        pytest.skip("there is no axe-core here; .ci/run fetches it, or DOJO_AXE names an axe.min.js")
    return found[-1]


@contextmanager
def running_chromium() -> Iterator[Any]:
    """A headless browser with an empty profile, which playwright makes and removes."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here (Debian: apt install chromium)")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield running
        finally:
            running.close()


def opened(browser: Any, file: Path, width: int, scheme: str) -> tuple[Any, list[str]]:
    """The page in a window of its own, and what it complains about or asks for."""
    page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    noise: list[str] = []
    page.on("console", lambda message: noise.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: noise.append(f"error: {error}"))
    page.on("dialog", lambda dialog: noise.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: noise.append(f"request: {request.url}"))
    page.goto(file.as_uri())
    assert noise.pop(0) == f"request: {file.as_uri()}"
    return page, noise


def serious_findings(page: Any, within: str = "html") -> list[Any]:
    """What axe-core finds serious or critical in a part of the page; skips the test where there is no axe-core."""
    page.evaluate(axe_core().read_text(encoding="utf-8"))
    run = "part => axe.run(part, {resultTypes: ['violations']}).then(found => found.violations)"
    violations = page.evaluate(run, within)
    said = [(found["impact"], found["id"], [node["target"] for node in found["nodes"]][:3]) for found in violations]
    return [found for found in said if found[0] in ("serious", "critical")]
