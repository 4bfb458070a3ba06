"""`dojo sync`: bring exercises/ and notebooks/ in step, for people who work without jupytext's extension."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grader.base.errors import DojoError
from grader.base.files import keep_copy, read_text, told_if_unwritable, write_atomically
from grader.base.loading import load_nbformat
from grader.learner.memory import PLACES
from grader.learner.pairs import Agreements, Pair, changed_side, content, pair_of, said
from grader.lesson.hint_cells import hints_last

if TYPE_CHECKING:
    from nbformat import NotebookNode

Say = Callable[[str], object]
_HEADER = re.compile(r"\A# ---\n(?:#.*\n)*?# ---\n\s*")


def sync(folder: Path, keep: Sequence[Path], say: Say) -> int:
    """Write the side that has not changed from the one that has, pair by pair.

    `keep` names the files that win a conflict; the loser stays beside it as .bak. Without a conflict what is
    overwritten is what both had agreed on, and the last of these stays as .sync.bak. Returns the exit code: 1 where
    both sides of a pair have changed, which changes neither.

    Raises:
        DojoError: no pair is here, or a file of `keep` is of no pair; or, once the other pairs are in step, a file
            cannot be read or written.
    """
    pairs = find_pairs(folder)
    if not pairs:
        raise DojoError(f"{folder}: no exercise in exercises/ or notebooks/ here; run `dojo init` first")
    sides = {side.resolve() for pair in pairs for side in (pair.script, pair.notebook)}
    for path in keep:
        if path.resolve() not in sides or not path.is_file():
            raise DojoError(f"{path}: no file of exercises/ or notebooks/ in {folder}")
    winners = {path.resolve() for path in keep}
    conflicts, problems = False, []
    with Agreements() as agreements:
        for pair in pairs:
            try:
                conflicts |= not _sync(pair, winners, agreements, say)
            except DojoError as problem:  # the other pairs are brought in step all the same
                problems.append(str(problem))
    if conflicts:
        say("Both files of a conflict are kept as they are. Name the one to go on with: dojo sync --keep FILE")
    if problems:
        raise DojoError("; ".join(problems))
    return 1 if conflicts else 0


def find_pairs(folder: Path) -> list[Pair]:
    """Every pair below exercises/ and notebooks/ of `folder`: two files, or one that is a known exercise."""
    from grader.lesson.exercise import all_exercises

    known = {exercise.id for exercise in all_exercises()}
    found: dict[str, Pair] = {}
    for name, suffix in PLACES:
        for path in (folder / name).rglob(f"*{suffix}"):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            pair = None if hidden else pair_of(path)
            if pair is not None and (pair.is_complete or (pair.name in known and path.is_file())):
                found[pair.name] = pair
    return [found[name] for name in sorted(found)]


def _sync(pair: Pair, winners: set[Path], agreements: Agreements, say: Say) -> bool:
    """Bring one pair in step; False for a conflict."""
    side, changed = None, "neither"
    if not pair.is_complete:
        side = pair.script if pair.script.is_file() else pair.notebook
    else:
        agreed = agreements.last(pair)
        changed = changed_side(
            content(pair.script).cells,
            content(pair.notebook).cells,
            (agreed.script.cells, agreed.notebook.cells) if agreed else (None, None),
        )
        if changed == "both":
            kept = [path for path in (pair.script, pair.notebook) if path.resolve() in winners]
            if len(kept) != 1:
                say(f"conflict: {pair.script} and {pair.notebook} have both changed, {_first_difference(pair)}")
                return False
            side = kept[0]
        elif changed != "neither":
            side = pair.script if changed == "script" else pair.notebook
    if side is None:
        say(f"in step: {pair.script} and {pair.notebook}")
    else:
        target, text = pair.other(side), _script_from(pair) if side == pair.notebook else _notebook_from(pair)
        _write(side, target, text, say, loses_work=changed == "both")
    agreements.note(pair, content(pair.script), content(pair.notebook))
    return True


def _first_difference(pair: Pair) -> str:
    script, notebook = said(pair.script), said(pair.notebook)
    same = next((i for i, (a, b) in enumerate(zip(script, notebook, strict=False)) if a != b), None)
    number = min(len(script), len(notebook)) if same is None else same
    lines = script[number].split("\n") if number < len(script) else [""]
    others = notebook[number].split("\n") if number < len(notebook) else [""]
    at = next((i for i, (a, b) in enumerate(zip(lines, others, strict=False)) if a != b), 0)
    shown = lines[min(at, len(lines) - 1)].split(": ", 1)[-1].strip()
    return f"first in cell {number + 1}" + (f" ({shown[:60]!r})" if shown else "")


def _write(source: Path, target: Path, text: str, say: Say, *, loses_work: bool) -> None:
    kept = ""
    with told_if_unwritable(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file():
            kept = f" (as it was: {(keep_copy if loses_work else _keep_last)(target).name})"
        write_atomically(target, text)
        # JupyterLab with jupytext warns of a notebook that is newer than its script.
        times = source.stat()
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    say(f"written: {target} from {source}{kept}")


def _keep_last(path: Path) -> Path:
    """Copy a file to `NAME.sync.bak`, in place of the one before."""
    return Path(shutil.copy2(path, path.with_name(f"{path.name}.sync.bak")))


def _notebook_from(pair: Pair) -> str:
    """The script's cells, with the notebook's outputs, ids and metadata where a cell is as it was."""
    load_nbformat()
    import nbformat
    from jupytext.combine import combine_inputs_with_outputs

    from grader.lesson.derive import notebook_text

    text = notebook_text(read_text(pair.script))
    if not pair.notebook.is_file():
        return text
    old = _read_notebook(pair.notebook)
    new = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    before = {cell.source.strip() for cell in old.cells}
    new = combine_inputs_with_outputs(new, old, "ipynb")
    new.metadata = old.metadata
    new.nbformat_minor = max(new.nbformat_minor, 5)
    taken: set[str] = {str(cell.id) for cell in old.cells if "id" in cell}
    for number, cell in enumerate(new.cells, start=1):
        if cell.source.strip() not in before:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            if cell.get("id") in taken:
                cell["id"] = _free_id(number, taken)
        cell["id"] = cell.get("id") or _free_id(number, taken)
        taken.add(cell["id"])
    nbformat.validate(new)
    return str(nbformat.writes(new)) + "\n"  # type: ignore[no-untyped-call]


def _free_id(number: int, taken: set[str]) -> str:
    count = number
    while f"cell-{count}" in taken:
        count += 1000
    return f"cell-{count}"


def _script_from(pair: Pair) -> str:
    """The notebook's cells below the script's own header, hints last."""
    load_nbformat()
    import jupytext

    notebook = _read_notebook(pair.notebook)
    notebook.cells = hints_last(notebook.cells, lambda cell: str(cell.source))
    # The header stays as it is; of a cell's metadata only the tags are for a script.
    filters = {"notebook_metadata_filter": "-all", "cell_metadata_filter": "tags,-all"}
    notebook.metadata = {"jupytext": filters, "language_info": {"name": "python"}}
    body = str(jupytext.writes(notebook, fmt="py:percent")).lstrip("\n")
    return _header(pair) + body


def _header(pair: Pair) -> str:
    from grader.lesson.derive import pristine_exercises

    texts = [read_text(pair.script)] if pair.script.is_file() else []
    texts += [text for _, text in pristine_exercises()]
    return next((found[0] for text in texts if (found := _HEADER.match(text))), "")


def _read_notebook(path: Path) -> NotebookNode:
    import nbformat

    notebook: NotebookNode = nbformat.reads(read_text(path), as_version=4)  # type: ignore[no-untyped-call]
    return notebook
