"""Which exercises a submission holds. Needs no torch, so bad input is told at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.base.errors import DojoError
from grader.lesson.exercise import Exercise, all_exercises, find_exercise, marked_id, track_of
from grader.reading.attempts import Analysis, Attempt, analyse
from grader.reading.stages import allocate, borrowed
from grader.syntax.source import Source, refusing_depth

SUFFIXES = (".py", ".ipynb")


def submission_files(path: Path) -> list[Path]:
    """The file itself, or every script and notebook in a folder.

    Raises:
        DojoError: there is no such path, or the folder holds none.
    """
    if path.is_dir():
        found = sorted(
            file
            for file in path.rglob("*")
            if file.suffix in SUFFIXES and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
        if not found:
            raise DojoError(f"{path}: no .py or .ipynb file in this folder")
        return found
    if not path.exists():
        raise DojoError(f"{path}: no such file or folder")
    if path.suffix not in SUFFIXES:
        raise DojoError(f"{path}: neither a .py file nor an .ipynb notebook")
    return [path]


@dataclass(frozen=True)
class Part:
    """One exercise of one submission, before it is run."""

    exercise: Exercise
    analysis: Analysis
    attempts: dict[str, Attempt]


def find_parts(source: Source, asked: str | None = None) -> list[Part]:
    """The exercises that a file holds: as asked, as it says of itself, or by the gradients it assigns.

    Raises:
        DojoError: it assigns no gradient that any exercise grades.
    """
    with refusing_depth(source.path):
        return _find_parts(source, asked)


def _find_parts(source: Source, asked: str | None) -> list[Part]:
    exercise = _named_exercise(source, asked)
    candidates = all_exercises()
    if exercise is not None:
        candidates = track_of(exercise)
    analysis = analyse(source, candidates)
    if exercise is not None and (marked_id(source.cells) or _only(analysis, exercise, candidates)):
        return [sole_part(analysis, exercise)]
    allocated = allocate(analysis, candidates, exercise)
    if exercise is not None:
        return [Part(exercise, analysis, allocated[exercise])]
    parts = [
        Part(candidate, analysis, attempts)
        for candidate, attempts in allocated.items()
        if any(not borrowed(analysis, attempt) for attempt in attempts.values())
        or (candidate.is_training and analysis.training)
    ]
    if not parts:
        raise DojoError(
            f"{source.path}: assigns no gradient that an exercise grades (such as dlogits); "
            "say which exercise it is with --exercise"
        )
    return parts


def sole_part(analysis: Analysis, exercise: Exercise) -> Part:
    """The whole file as one exercise: of each gradient the last attempt counts."""
    attempts = {}
    for tensor in exercise.graded:
        versions = analysis.attempts.get(tensor, [])
        own = [attempt for attempt in versions if not borrowed(analysis, attempt)] or versions
        if own:
            attempts[tensor] = own[-1]
    return Part(exercise, analysis, attempts)


def _named_exercise(source: Source, asked: str | None) -> Exercise | None:
    if asked is not None:
        return find_exercise(asked)
    marked = marked_id(source.cells)
    if marked is not None:
        return find_exercise(marked)
    stem = source.path.stem.lower()
    named = [e for e in all_exercises() if re.search(rf"(?<![a-z0-9]){e.short_id}(?![0-9])", stem)]
    return named[0] if len(named) == 1 else None


def _only(analysis: Analysis, exercise: Exercise, candidates: Sequence[Exercise]) -> bool:
    """True where the file attempts nothing that another exercise alone grades."""
    others = {t for e in candidates if e is not exercise and not e.is_training for t in e.graded}
    return not (analysis.attempts.keys() & (others - set(exercise.graded)))
