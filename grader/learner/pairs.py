"""exercises/X.py and notebooks/X.ipynb are one exercise: what changed in which, and which one to grade.

What decides is what changed since both last agreed, never the time alone: opening a notebook saves it too.
The last agreement is kept with the folder; where none is known, the exercise as it was handed out counts.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from grader.base.boundary import Clock, one_file
from grader.base.errors import DojoError
from grader.base.files import FileStamp, file_stamp, read_text
from grader.learner.memory import state_path, write_state
from grader.lesson.hint_cells import hints_last
from grader.syntax.source import Source, parse_source, percent_cells, read_source

Changed = Literal["neither", "script", "notebook", "both"]
SCHEMA = 2
_MOST_PAIRS = 200
_FOLDERS = {".py": ("exercises", "notebooks", ".ipynb"), ".ipynb": ("notebooks", "exercises", ".py")}
_BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)\n*")
_MAGIC_IN_A_COMMENT = re.compile(r"^(\s*)# (?=[%!])")


@dataclass(frozen=True)
class Pair:
    """The two files of one exercise; either may not be there yet."""

    script: Path
    notebook: Path

    @cached_property
    def name(self) -> str:
        """`makemore/ex1_atoms`: the path below exercises/."""
        parts = self.script.absolute().with_suffix("").parts
        return "/".join(parts[_last(parts, "exercises") + 1 :])

    @cached_property
    def folder(self) -> Path:
        """What holds exercises/ and notebooks/."""
        parts = self.script.absolute().parts
        return Path(*parts[: _last(parts, "exercises")])

    @property
    def is_complete(self) -> bool:
        """Whether both the script and the notebook are there."""
        return self.script.is_file() and self.notebook.is_file()

    def other(self, side: Path) -> Path:
        """The notebook of the script, or the script of the notebook."""
        return self.notebook if side == self.script else self.script


@dataclass(frozen=True)
class Content:
    """Digests of what a file says and of what it computes. Outputs and metadata are in neither."""

    cells: str
    code: str


@dataclass(frozen=True)
class Agreement:
    """What both sides held when they last said the same."""

    script: Content
    notebook: Content
    stamps: tuple[FileStamp, FileStamp] | None = None


def pair_of(path: Path) -> Pair | None:
    """The pair that a file belongs to by its place: below exercises/ or notebooks/, and nowhere else."""
    if path.suffix not in _FOLDERS:
        return None
    mine, theirs, suffix = _FOLDERS[path.suffix]
    parts = path.absolute().parts
    at = _last(parts[:-1], mine)
    if at < 0:
        return None
    other = Path(*parts[:at], theirs, *parts[at + 1 :]).with_suffix(suffix)
    if not path.is_absolute():
        other = Path(os.path.relpath(other))
    return Pair(path, other) if suffix == ".ipynb" else Pair(other, path)


# ---- Grading: one file of each pair ----


def latest(files: Iterable[Path], named: Iterable[Path], say: Callable[[str], object]) -> list[Path]:
    """`files` with one side of each pair: the learner's latest, told in a line where that is not plain.

    A file that is `named` itself is graded all the same, and told where its partner has later code.
    """
    asked_for = list(named)
    chosen: list[Path] = []
    with Agreements() as agreements:
        for file in files:
            pair = pair_of(file)
            if pair is None or not pair.is_complete:
                chosen.append(file)
            elif file in asked_for:
                chosen.append(file)
                side, _ = _latest(pair, file, agreements)
                if side != file:
                    say(f"{file} is graded, as you named it; {side} has later code (see `dojo sync`)")
            elif pair.script not in chosen and pair.notebook not in chosen:
                side, why = _latest(pair, file, agreements)
                chosen.append(side)
                if why:
                    say(f"{side} is graded: {why}")
    return chosen


def _latest(pair: Pair, asked: Path, agreements: Agreements) -> tuple[Path, str]:
    """The side with the learner's latest code, and why that is worth telling."""
    other = pair.other(asked)
    if agreements.hold(pair):
        return asked, ""
    try:
        script, notebook = content(pair.script), content(pair.notebook)
    except DojoError as error:
        # What is wrong with the side that was asked for is told by the grader.
        return asked, str(error) if str(error).startswith(f"{other}:") else ""
    if script.cells == notebook.cells:
        agreements.note(pair, script, notebook)
        return asked, ""
    agreed = agreements.last(pair)
    codes = (agreed.script.code, agreed.notebook.code) if agreed else (None, None)
    changed = changed_side(script.code, notebook.code, codes)
    if changed == "neither":
        return asked, ""
    newer = max((asked, other), key=lambda side: side.stat().st_mtime_ns)
    if changed == "both":
        return newer, f"it is newer than {pair.other(newer)}, which has other code (see `dojo sync`)"
    side = pair.script if changed == "script" else pair.notebook
    told = side == other or newer == other
    return side, f"{pair.other(side)} has no later code (see `dojo sync`)" if told else ""


def changed_side(script: str, notebook: str, agreed: tuple[str | None, str | None]) -> Changed:
    """Which side is no longer what it was when both agreed."""
    if script == notebook or (script, notebook) == agreed:
        return "neither"
    if script == agreed[0]:
        return "notebook"
    return "script" if notebook == agreed[1] else "both"


# ---- What a file holds ----


def content(path: Path) -> Content:
    """Digests of one file.

    Raises:
        DojoError: it cannot be read.
    """
    with one_file(path, Clock()):
        return Content(_digest(said(path)), _code(read_source(path)))


def said(path: Path) -> list[str]:
    """Kind and text of each cell, hints last, without the badge and what the two formats do not share.

    Raises:
        DojoError: it cannot be read.
    """
    text = read_text(path)
    if path.suffix == ".py":
        return _said((cell.kind, cell.text) for cell in percent_cells(text))
    read_source(path)  # refuses what is no notebook
    raw = ((cell.get("cell_type"), cell.get("source", "")) for cell in json.loads(text)["cells"])
    return _said((kind if kind in ("code", "raw") else "markdown", "".join(source)) for kind, source in raw)


def _said(cells: Iterable[tuple[str, str]]) -> list[str]:
    found = []
    for kind, text in hints_last(cells, lambda cell: cell[1]):
        lines = _BADGE.sub("", text.replace("\r\n", "\n")).strip("\n").split("\n")
        if kind == "code":
            lines = [_MAGIC_IN_A_COMMENT.sub(r"\1", line) for line in lines]
        if plain := "\n".join(line.rstrip() for line in lines).strip("\n"):
            found.append(f"{kind}: {plain}")
    return found


def _code(source: Source) -> str:
    """The statements, without prose, comments and magics."""
    return _digest([*(ast.dump(s.node) for s in source.statements), *(bad.lost.strip() for bad in source.bad_lines)])


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _last(parts: Sequence[str], name: str) -> int:
    return max((i for i, part in enumerate(parts) if part == name), default=-1)


# ---- What both last agreed on ----


class Agreements:
    """The last agreement of each pair: read once for each folder, and written back at the end where something is new.

    A state file that is missing, damaged or cannot be written stops no command.
    """

    def __init__(self) -> None:
        self._known: dict[Path, dict[str, Agreement]] = {}
        self._new: set[Path] = set()

    def __enter__(self) -> Agreements:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._new:
            kept = {name: asdict(agreement) for name, agreement in list(self._known[folder].items())[-_MOST_PAIRS:]}
            write_state(state_path(folder, "pairs.json"), {"schema": SCHEMA, "pairs": kept})

    def last(self, pair: Pair) -> Agreement | None:
        """What is known of a pair, else the exercise as it was handed out."""
        return self._of(pair).get(pair.name) or _handed_out(pair.name)

    def hold(self, pair: Pair) -> bool:
        """True where neither file was touched since they agreed; nothing is read for it."""
        known = self._of(pair).get(pair.name)
        return known is not None and known.stamps == _stamps(pair)

    def note(self, pair: Pair, script: Content, notebook: Content) -> None:
        """Both sides say the same now."""
        known = self._of(pair)
        known.pop(pair.name, None)
        known[pair.name] = Agreement(script, notebook, _stamps(pair))
        self._new.add(pair.folder)

    def _of(self, pair: Pair) -> dict[str, Agreement]:
        if pair.folder not in self._known:
            self._known[pair.folder] = _load(pair.folder)
        return self._known[pair.folder]


class _State(msgspec.Struct):
    """What the state file holds."""

    schema: int
    pairs: dict[str, Agreement]


def _load(folder: Path) -> dict[str, Agreement]:
    try:
        state = msgspec.json.decode(state_path(folder, "pairs.json").read_bytes(), type=_State)
    except (OSError, msgspec.DecodeError, RecursionError):
        return {}
    return state.pairs if state.schema == SCHEMA else {}


def _stamps(pair: Pair) -> tuple[FileStamp, FileStamp]:
    return file_stamp(pair.script), file_stamp(pair.notebook)


@lru_cache
def _handed_out(name: str) -> Agreement | None:
    from grader.lesson.derive import pristine_exercises

    for exercise, text in pristine_exercises():
        if exercise.id == name:
            cells = percent_cells(text)
            plain = _digest(_said((cell.kind, cell.text) for cell in cells))
            both = Content(plain, _code(parse_source(exercise.path, cells)))
            return Agreement(both, both)
    return None
