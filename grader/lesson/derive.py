"""From a solution to its exercise to its notebook, in one direction only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from grader.base.bundle import bundled
from grader.base.errors import DojoError
from grader.base.files import write_atomically
from grader.base.loading import load_nbformat
from grader.lesson import grading
from grader.lesson.cells import body_of
from grader.lesson.colab import badge, setup_cell
from grader.lesson.exercise import (
    ANSWER_TAGS,
    FIGURE_MARK,
    Exercise,
    all_exercises,
    exercise_folder,
)
from grader.lesson.hint_cells import fold, hints_above_answers
from grader.lesson.tracks import FILE as TRACK_FILE
from grader.syntax.source import Cell, percent_cells

_MARK = re.compile(r"^# %%.*$", re.MULTILINE)
_STANDING = """
# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()
"""
_CHECK = """
# %% tags=["standing"]
cmp("{losses}", {losses})

"""
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def exercise_text(exercise: Exercise) -> str:
    """The solution's file with stubs for answers and what Colab needs, where one stands, and its hints last; all else
    to the letter.

    The grading cell goes to the end as a raw cell, which neither a script nor a notebook runs: it may hold a
    reference under the name of the learner's own class. Folded hints come after it.
    """
    text = FIGURE_MARK.sub("", exercise.text)
    starts = [found.start() for found in _MARK.finditer(text)]
    if not starts:
        raise DojoError(f"{exercise.path}: holds no cell; a cell begins with `# %%`")
    parts = [text[: starts[0]]]
    hints: list[str] = []
    level = 0
    last = ""
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part = text[start:end]
        (cell,) = percent_cells(part)
        cell = replace(cell, line=cell.line + text.count("\n", 0, start))
        if "hint" in cell.tags:
            level += 1
            hints.append(_folded(part, cell, _answer_below(exercise, text, end), level))
            continue
        if grading.TAG in cell.tags:
            introduction = parts.pop() if parts[-1].startswith("# %% [markdown]") and "\n# #" not in parts[-1] else ""
            last = f'\n{introduction}# %% [raw] tags=["{grading.TAG}"]\n' + _commented(cell.text) + "\n"
            continue
        if set(cell.tags) & ANSWER_TAGS:
            level = 0
            part = part.split("\n", 1)[0] + "\n" + stubs(exercise, cell) + "\n"
        parts.append(part)
        if "training" in cell.tags:
            parts.append(_CHECK.format(losses=exercise.losses_name))
    first = 1 + parts[1].startswith("# %% [markdown]")
    if first == 2:
        parts[1] = _with_badge(parts[1], badge(exercise.id))
    parts[first - 1] = parts[first - 1].rstrip("\n") + "\n\n"
    shown = not exercise.graded_gradients or "\nprogress(" in text
    standing = "" if shown else _STANDING
    parts[-1] = parts[-1].rstrip("\n") + "\n" + standing + (last or "\n")
    return "".join([*parts[:first], setup_cell(), "\n", *parts[first:], *hints]).rstrip("\n") + "\n"


def stub_names(exercise: Exercise, cell: Cell) -> list[str]:
    """What the learner writes in an answer cell: gradients, functions and classes; of a loop the list of its losses."""
    return list(dict.fromkeys(map(exercise.answer_name, exercise.answers_in(cell))))


def stubs(exercise: Exercise, cell: Cell) -> str:
    """An answer cell as learners get it: `dX = ...`; of a function or class all but the bodies."""
    body = body_of(cell, exercise.path)
    defined = {node.name: node for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names = stub_names(exercise, cell)
    parts = [_emptied(cell.text, defined[name]) if name in defined else f"{name} = ...\n" for name in names]
    return ("\n\n" if defined.keys() & set(names) else "").join(parts)


def _emptied(text: str, node: ast.FunctionDef | ast.ClassDef) -> str:
    """A definition with its signatures and docstrings, and `...` in place of each body."""
    lines = text.encode().split(b"\n")[: node.end_lineno]
    members = node.body if isinstance(node, ast.ClassDef) else [node]
    for function in reversed([child for child in members if isinstance(child, ast.FunctionDef)]):
        documented = ast.get_docstring(function) is not None
        body = function.body[documented:]
        if not body:
            continue
        above = function.body[0].end_lineno or 0 if documented else function.lineno
        start, column = body[0].lineno - 1, body[0].col_offset
        head = lines[start][:column]
        while start > above and lines[start - 1].strip()[:1] in (b"", b"#"):
            start -= 1  # what a comment above the first line says may be half the answer
        lines[start : function.end_lineno] = [head + b"..."]
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return b"\n".join(lines[first - 1 :]).decode() + "\n"


def _commented(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.split("\n"))


def notebook_text(text: str) -> str:
    """The notebook of an exercise's text: stable cell ids, no outputs, each hint above its answer."""
    load_nbformat()
    import jupytext  # it costs 0.2 s, and `dojo grade` needs only the texts
    import nbformat

    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA)  # type: ignore[no-untyped-call]
    notebook.cells = hints_above_answers(notebook.cells)
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number}"
        if grading.TAG in cell.metadata.get("tags", ()):
            cell.metadata["jupyter"] = {"source_hidden": True}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook)) + "\n"  # type: ignore[no-untyped-call]


def derived_files(root: Path) -> dict[Path, str]:
    """Every file that the solutions decide, with its text: exercises and notebooks below `root`."""
    files: dict[Path, str] = {}
    for exercise, text in pristine_exercises():
        files[root / "exercises" / f"{exercise.id}.py"] = text
        files[root / "notebooks" / f"{exercise.id}.ipynb"] = notebook_text(text)
    for path in exercise_folder().glob(f"*/{TRACK_FILE}"):
        if any(exercise.path.parent == path.parent for exercise in all_exercises()):
            files[root / "exercises" / path.parent.name / TRACK_FILE] = path.read_text(encoding="utf-8")
    return files


def pristine_exercises() -> Iterator[tuple[Exercise, str]]:
    """Each exercise with the text that a learner starts from."""
    derived = exercise_folder().name != "solutions"
    for exercise in all_exercises():
        yield exercise, exercise.text if derived else exercise_text(exercise)


def build() -> list[Path]:
    """Write every derived file that is not up to date.

    Raises:
        DojoError: this installation has no solutions.
    """
    root = bundled("solutions").parent
    written = []
    for path, text in derived_files(root).items():
        if not path.is_file() or path.read_bytes() != text.encode():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text)
            written.append(path.relative_to(root))
    return written


def _with_badge(part: str, line: str | None) -> str:
    """The first cell with the badge below its heading."""
    if line is None:
        return part
    mark, heading, rest = part.split("\n", 2)
    return f"{mark}\n{heading}\n#\n# {line}\n{rest}"


def _folded(part: str, cell: Cell, name: str, level: int) -> str:
    return part.split("\n", 1)[0] + "\n" + _commented(fold(cell.text, name, level)) + "\n"


def _answer_below(exercise: Exercise, text: str, position: int) -> str:
    for cell in percent_cells(text[position:]):
        if set(cell.tags) & ANSWER_TAGS:
            return ", ".join(stub_names(exercise, cell))
    return exercise.title
