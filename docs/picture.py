"""Draw docs/img/grade.svg, the README's picture of a graded run: `make picture`."""

from __future__ import annotations

import io
import os
import re
import tempfile
from pathlib import Path

from rich.console import Console

from grader.exercise import find_exercise
from grader.grade import grade_parts, settings
from grader.render.terminal import draw_report
from grader.report import Report
from grader.source import read_source
from grader.submission import find_parts

PICTURE = Path(__file__).resolve().parent / "img" / "grade.svg"
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


def submission_text() -> str:
    """The solution of exercise 1 with `EDITS`, and with nothing for its last gradient, dC."""
    text = find_exercise("ex1").path.read_text(encoding="utf-8")
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


def main() -> None:
    console = Console(
        record=True,
        width=80,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    draw_report(graded_submission(), console)
    svg = console.export_svg(title=f"dojo grade {SUBMISSION}", unique_id="grade")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(with_local_font(svg), encoding="utf-8")
    print("written: docs/img/grade.svg")


if __name__ == "__main__":
    main()
