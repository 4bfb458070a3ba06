"""Draw the README's pictures into docs/img/: `make pictures`. Those of pages need JupyterLab and a Chromium."""

from __future__ import annotations

import io
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

from grader.judging.grade import grade_parts, settings
from grader.lesson.exercise import find_exercise
from grader.reading.submission import find_parts
from grader.report.records import Report
from grader.showing.html import render_html
from grader.showing.terminal import draw_report
from grader.syntax.source import read_source
from tests.answers.build import LINES
from tests.browser.chromium import CHROMIUM, running_chromium
from tests.browser.lab import Notebook, expect, open_notebook, running_lab

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


def draw_terminal(report: Report) -> None:
    console = Console(
        record=True,
        width=80,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    draw_report(report, console)
    svg = console.export_svg(title=f"dojo grade {SUBMISSION}", unique_id="grade")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "grade.svg").write_text(with_local_font(svg), encoding="utf-8")
    print("written: docs/img/grade.svg")


def draw_html(report: Report, browser: Any, folder: Path) -> None:
    """The top of the HTML report."""
    file = folder / "report.html"
    file.write_text(render_html(report), encoding="utf-8")
    page = browser.new_context(viewport={"width": 900, "height": 1000}, color_scheme="light").new_page()
    page.goto(file.as_uri())
    keep("report.png", page.screenshot())


def draw_notebook(browser: Any, folder: Path) -> None:
    """Exercise 1 in JupyterLab: a right and a wrong answer, and `progress()` further on."""
    with running_lab(folder) as lab:
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
        expect(picture).to_contain_text("upstream is wrong (1)")
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
    draw_terminal(report)
    if CHROMIUM is None:
        print("left as they are: the pictures of pages; there is no chromium here (Debian: apt install chromium)")
        return
    with running_chromium() as browser, tempfile.TemporaryDirectory() as folder:
        draw_html(report, browser, Path(folder))
        draw_notebook(browser, Path(folder) / "lab")


if __name__ == "__main__":
    main()
