"""Draw the README's pictures into docs/img/ from what the commands really show: `make pictures`.

Those of pages need JupyterLab and a Chromium.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import random
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from PIL import Image
from rich.console import Console
from rich.text import Text

from grader.judging.grade import grade_parts, settings
from grader.lesson.exercise import find_exercise
from grader.reading.submission import find_parts
from grader.report.records import Report
from grader.showing.html import render_html
from grader.showing.terminal import draw_report
from grader.syntax.source import read_source
from tests.answers.build import LINES, SOFTMAX_MINUS_ONE
from tests.browser.chromium import CHROMIUM, running_chromium
from tests.browser.lab import Notebook, expect, open_notebook, running_lab
from tests.dojo import dojo_started, environment

FOLDER = Path(__file__).resolve().parent / "img"
SUBMISSION = Path("exercises/makemore/ex1_atoms.py")
SEED = 2026

EDITS = {
    # of the solution -> of somebody who is on the way
    "F.one_hot(logits.max(1).indices, num_classes=logits.shape[1])": "F.one_hot(logits.max(1).indices, 27)",
    "dbnmeani = -dbndiff.sum(0, keepdim=True)": "dbnmeani = -dbndiff.sum(0)",
    "\ndhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani": "",
    "dW1 = embcat.T @ dhprebn": "dW1 = W1.grad.clone()",
    "demb = dembcat.view(emb.shape)": "demb = ...",
}
RIGHT_SO_FAR = list(LINES)[: list(LINES).index("dbnraw")]
WRONG = "dbnraw = dhpreact"
ASSIGNMENT = """[tool.dojo.assignment]
title = "Homework 1"
exercises = ["makemore/ex1", "makemore/ex2"]
points = 10
late.per-day = 0.1
"""
OVERRIDE = """[[override]]
person = "1003"
gradient = "makemore/ex1.dW1"
points = 1
comment = "The line above it is right; .grad was left in by mistake."
"""


def submission_text() -> str:
    """The solution of exercise 1 with `EDITS`, and with nothing for its last gradient, dC."""
    text = find_exercise("makemore/ex1").path.read_text(encoding="utf-8")
    for old, new in EDITS.items():
        if text.count(old) != 1:
            raise ValueError(f"{text.count(old)} times in the solution of ex1, not once: {old!r}")
        text = text.replace(old, new)
    return text[: text.index("dC = torch.zeros_like(C)")] + "dC = ...\n"


def graded_submission() -> Report:
    """Grade the submission in a folder of its own, so that the picture shows a relative path."""
    back = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            SUBMISSION.parent.mkdir(parents=True)
            SUBMISSION.write_text(submission_text(), encoding="utf-8")
            return grade_parts(find_parts(read_source(SUBMISSION)), settings(SEED, "cpu"))
        finally:
            os.chdir(back)


def with_local_font(svg: str) -> str:
    """The SVG without rich's web font, which a picture in a page may not load."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


def terminal() -> Console:
    return Console(
        record=True,
        width=80,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )


def keep_terminal(console: Console, name: str, title: str) -> None:
    svg = console.export_svg(title=title, unique_id=name)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(with_local_font(svg), encoding="utf-8")
    print(f"written: docs/img/{name}.svg")


def draw_grade(report: Report) -> None:
    console = terminal()
    draw_report(report, console)
    keep_terminal(console, "grade", f"dojo grade {SUBMISSION}")


def draw_watch() -> None:
    """`dojo watch` in a terminal of its own, right after a save that mends one gradient."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / SUBMISSION
        file.parent.mkdir(parents=True)
        file.write_text(submission_text(), encoding="utf-8")
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        command = [sys.executable, "-m", "grader", "watch", str(SUBMISSION), "--seed", str(SEED)]
        surroundings = environment(TERM="xterm-256color", XDG_CACHE_HOME=folder, COLUMNS="80")
        with subprocess.Popen(command, cwd=folder, env=surroundings, stdin=theirs, stdout=theirs) as running:
            os.close(theirs)
            read_until(ours, "Watching 1 file")
            mended = submission_text().replace("dbnmeani = -dbndiff.sum(0)", "dbnmeani = -dbndiff.sum(0, keepdim=True)")
            file.write_text(mended, encoding="utf-8")
            shown = read_until(ours, "q quit")
            os.write(ours, b"q")
            running.wait(timeout=60)
        os.close(ours)
    console = terminal()
    console.print(Text.from_ansi(shown.rpartition("\x1b[2J")[2].removeprefix("\x1b[H").replace("\r\n", "\n").strip()))
    keep_terminal(console, "watch", "dojo watch")


def read_until(terminal: int, words: str, seconds: float = 120.0) -> str:
    """What a terminal shows, until `words` are among it."""
    shown, deadline = b"", time.monotonic() + seconds
    while words.encode() not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"{words!r} was not shown: {shown!r}")
        shown += os.read(terminal, 65536)
    return shown.decode(errors="replace")


def draw_losses() -> None:
    """The curve that `dojo train` draws, of the first 20,000 steps of the solution's loop."""
    from grader.learner.train import train_in_full

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "losses.png"
        (part,) = find_parts(read_source(find_exercise("makemore/ex4").path))
        train_in_full(part, 20_000, picture)
        keep("losses.png", picture.read_bytes())


def draw_html(report: Report, browser: Any, folder: Path) -> None:
    """The top of the HTML report."""
    file = folder / "report.html"
    file.write_text(render_html(report), encoding="utf-8")
    page = browser.new_context(viewport={"width": 900, "height": 1000}, color_scheme="light").new_page()
    page.goto(file.as_uri())
    keep("report.png", page.screenshot())


def draw_summary(browser: Any, folder: Path) -> None:
    """What `dojo summary` makes of a class of forty: who has what."""
    chance = random.Random(SEED)
    solution = find_exercise("makemore/ex1").path.read_text(encoding="utf-8")
    folder.mkdir()
    (folder / "hw1.toml").write_text(ASSIGNMENT, encoding="utf-8")
    with ZipFile(folder / "submissions.zip", "w") as archive:
        for number in range(40):
            text = solution
            for old, new in EDITS.items():
                text = text.replace(old, new if chance.random() < 0.35 else old)
            late = "_LATE" if number % 9 == 4 else ""
            archive.writestr(f"student{number:02}{late}_{1000 + number}_{7000 + number}_ex1.py", text)
            if chance.random() < 0.8:
                answer = SOFTMAX_MINUS_ONE if chance.random() < 0.7 else SOFTMAX_MINUS_ONE.replace("/= n", "/= 1")
                archive.writestr(f"student{number:02}{late}_{1000 + number}_{8000 + number}_ex2.py", answer)
    call = ("batch", "submissions.zip", "--out", "results", "--assignment", "hw1.toml", "--isolation", "basic")
    print(dojo_started(folder, *call, "--seed", str(SEED), "--jobs", "1").stdout)
    (folder / "results" / "overrides.toml").write_text(OVERRIDE, encoding="utf-8")
    print(dojo_started(folder, "summary", "results").stdout)
    page = browser.new_context(viewport={"width": 1000, "height": 900}, color_scheme="light").new_page()
    page.goto((folder / "results" / "summary.html").as_uri())
    keep("summary.png", page.locator("#matrix").screenshot())


def draw_notebook(browser: Any, folder: Path) -> None:
    """JupyterLab: the welcome page; in exercise 1 a right and a wrong answer, and `progress()` further on."""
    with running_lab(folder) as lab:
        dojo_started(lab.folder, "welcome")
        page = browser.new_context(viewport={"width": 1000, "height": 700}, color_scheme="light").new_page()
        page.goto(lab.url("welcome").replace("/notebooks/", "/"))
        expect(page.locator(".jp-RenderedMarkdown h1")).to_be_visible()
        page.keyboard.press("Control+b")
        page.wait_for_timeout(1000)  # the panel slides away
        keep("welcome.png", page.screenshot())
        notebook = open_notebook(browser, lab, "makemore/ex1_atoms", width=1000, height=890)
        notebook.page.keyboard.press("Control+b")  # folds the list of files away
        notebook.run_all()
        for gradient in RIGHT_SO_FAR:
            notebook.answer(gradient[1:], LINES[gradient])
        notebook.answer("bnraw", WRONG)
        place(notebook, notebook.cell_above(notebook.comparison("bnbias")))
        keep("notebook.png", notebook.page.screenshot())
        notebook.answer("bnvar_inv", LINES["dbnvar_inv"])
        picture = notebook.page.locator(".dojo-progress")
        expect(picture).to_contain_text("upstream is wrong: 1")
        place(notebook, picture)
        keep("progress.png", picture.screenshot())


def place(notebook: Notebook, cell: Any) -> None:
    """Scroll until `cell` stands at the top, with the focus out of the editors."""
    notebook.page.keyboard.press("Escape")
    cell.evaluate("cell => cell.scrollIntoView({block: 'start'})")


def keep(name: str, png: bytes) -> None:
    """Write a screenshot with 256 colours of its own: a third of the size, and no difference to the eye."""
    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(FOLDER / name, optimize=True)
    print(f"written: docs/img/{name}")


def main() -> None:
    report = graded_submission()
    draw_grade(report)
    draw_watch()
    draw_losses()
    if CHROMIUM is None:
        print("left as they are: the pictures of pages; there is no chromium here (Debian: apt install chromium)")
        return
    with running_chromium() as browser, tempfile.TemporaryDirectory() as folder:
        draw_html(report, browser, Path(folder))
        draw_summary(browser, Path(folder) / "class")
        draw_notebook(browser, Path(folder) / "lab")


if __name__ == "__main__":
    main()
