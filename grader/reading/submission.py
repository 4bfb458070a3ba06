"""Which exercises a submission holds. Needs no torch, so bad input is told at once."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.base.boundary import one_file
from grader.base.errors import DojoError
from grader.lesson.exercise import Exercise, all_exercises, exercises_called, find_exercise, marked_id, track_of
from grader.reading.attempts import Analysis, Attempt, analyse, find_loop_that_calls
from grader.reading.gradient_names import normalised
from grader.reading.stages import allocate, borrowed, gradients_of, names_of
from grader.syntax.source import Source

SUFFIXES = (".py", ".ipynb")


def submission_files(path: Path) -> list[Path]:
    """The file itself, or every script and notebook in a folder.

    Raises:
        DojoError: there is no such path, or the folder holds none.
    """
    if path.is_dir():
        found = files_below(path)
        if not found:
            raise DojoError(f"{path}: no .py or .ipynb file in this folder")
        return found
    if not path.exists():
        raise DojoError(f"{path}: no such file or folder")
    if path.suffix.lower() not in SUFFIXES:
        raise DojoError(f"{path}: neither a .py file nor an .ipynb notebook")
    return [path]


def files_below(folder: Path) -> list[Path]:
    """Every script and notebook in a folder and those in it, but for what is hidden, such as Jupyter's copies."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and not file.is_dir()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


@dataclass(frozen=True)
class Part:
    """One exercise of one submission, before it is run."""

    exercise: Exercise
    analysis: Analysis
    attempts: dict[str, Attempt]


class HoldsNoneError(DojoError):
    """A file that can be read and holds no exercise, or none of those that are asked for."""


class NoGradientError(HoldsNoneError):
    """A file that is about no exercise at all, as far as it can be told from the names that it assigns."""


class OptionalError(HoldsNoneError):
    """A file that lies among others, and holds an optional exercise alone that nobody has begun."""


def select_parts(
    source: Source, wanted: Collection[str] = (), forced: str | None = None, named: bool = True
) -> list[Part]:
    """What counts of a file: its exercises among the `wanted` ids (all of them, where none is named).

    With `forced` the whole file is read as that one exercise; where it is not `named` itself, but lies among others
    and says that it is another exercise, it is left alone.

    Raises:
        HoldsNoneError: it holds no exercise, none that is wanted, or cannot be read as the one that is forced.
    """
    own = [] if forced is None else _named_exercises(source, None)
    parts = find_parts(source, forced)
    held = ", ".join(part.exercise.id for part in parts)
    if own and parts[0].exercise not in own and not named:
        raise HoldsNoneError(f"{source.path}: says that it is {own[0].id}, so it is not read as {held}")
    if forced is not None and not parts[0].attempts:
        raise HoldsNoneError(f"{source.path}: assigns no gradient of {held}, so it holds no exercise")
    chosen = [part for part in parts if not wanted or part.exercise.id in wanted]
    called = [exercise for exercise in _named_exercises(source, forced) if exercise.id in wanted]
    if not chosen and len(called) == 1 and marked_id(source.cells) is None:
        # Several tracks have an ex2; where nothing else tells of which one a file is, it is of the one asked for.
        read_so = find_parts(source, called[0].id)
        chosen = read_so if read_so[0].attempts or not any(part.attempts for part in parts) else []
    if not chosen:
        raise HoldsNoneError(f"{source.path}: holds {held}, and what is asked for is {', '.join(wanted)}")
    if not (named or wanted or forced or any(part.attempts or not part.exercise.grading.optional for part in chosen)):
        raise OptionalError(f"{source.path}: {held} is optional, and it is not begun; name the file to grade it")
    return chosen


def find_parts(source: Source, asked: str | None = None) -> list[Part]:
    """The exercises that a file holds: as asked, as it says of itself, or by the gradients it assigns.

    Raises:
        NoGradientError: it assigns no gradient that any exercise grades.
        DojoError: nothing of it is Python, or it takes too long to be read.
    """
    with one_file(source.path, source.clock):
        return _find_parts(source, asked)


def _find_parts(source: Source, asked: str | None) -> list[Part]:
    if source.bad_lines and not source.statements:
        bad = source.bad_lines[0]
        where = f"{source.path}:{bad.line}" if bad.cell is None else f"{source.path}, cell {bad.cell}, line {bad.line}"
        # It may be anything, a link to a secret for one, so none of its text is repeated.
        raise DojoError(f"{where}: not a line of it can be read: {bad.reason}")
    named = _named_exercises(source, asked)
    exercise = named[0] if len({e.id for e in named}) == 1 else None
    tracks = [track_of(exercise)] if exercise is not None else tracks_by_coverage(source, named or all_exercises())
    for track in tracks:
        if len(found := [e for e in named if e in track]) == 1:
            exercise = found[0]  # `ex1`, in the track that the file is about
        analysis = analyse(source, track)
        if exercise is not None and (marked_id(source.cells) or _only(analysis, exercise, track)):
            return [sole_part(analysis, exercise)]
        allocated = allocate(analysis, track, exercise)
        if exercise is not None:
            return [Part(exercise, analysis, allocated[exercise])]
        parts = [
            Part(candidate, analysis, attempts)
            for candidate, attempts in allocated.items()
            if any(not borrowed(analysis, attempt) for attempt in attempts.values())
        ]
        if parts:
            return parts
    said = "assigns no gradient that an exercise grades (such as dlogits), so it holds no exercise"
    raise NoGradientError(f"{source.path}: {said}")


def tracks_by_coverage(source: Source, exercises: Sequence[Exercise]) -> list[tuple[Exercise, ...]]:
    """The tracks of `exercises`, first the one that the file is most likely about.

    Several tracks have a `dlogits`. So all names count that a file and a track have in common: gradients, forward
    tensors, data and sizes. A file that reads `Yb` is about the track with a `Yb`. Where two lessons have as many,
    the smaller one is meant, because the file covers more of it. But a track of whose `exercises` the file attempts
    something goes before all others: `dlogits` in `ex2.py` is makemore's, not layer normalisation's.
    """
    tracks = list(dict.fromkeys(track_of(exercise) for exercise in exercises))
    if len(tracks) == 1:
        return tracks
    seen = [statement.effects for statement in source.statements]
    outside = {name for found in seen for name in (*found.reads, *found.writes, *(found.fields - {"T"}))}
    leaves = [leaf for statement in source.statements for leaf in statement.nodes]
    words = outside | {leaf.id for leaf in leaves if isinstance(leaf, ast.Name)}
    spoken = {word: normalised(word) for word in words}
    words |= {f"d{tensor}" for word, tensor in spoken.items() if tensor != word.lower().replace("_", "")}

    def fit(track: tuple[Exercise, ...]) -> tuple[bool, int, float]:
        asked = [e for e in exercises if e in track]
        return (any(e.label(name) in words for e in asked for name in e.graded), *_coverage(outside, words, track))

    return sorted(tracks, key=fit, reverse=True)


def _coverage(outside: set[str], words: set[str], track: Sequence[Exercise]) -> tuple[int, float]:
    """How many names a file and the lesson of a track that fits it best share, and what share of the lesson's that is.

    A function's own `x` says nothing of a tensor `x`, so forward tensors count only `outside`; gradients count
    wherever they stand. A whole track would be too much to count: a long one has a name for everything.
    """
    return max(_shared(outside, words, exercise) for exercise in track)


def _shared(outside: set[str], words: set[str], exercise: Exercise) -> tuple[int, float]:
    shared = len(outside & names_of(exercise)) + len(words & gradients_of(exercise))
    return shared, shared / max(len(names_of(exercise)), 1)


def sole_part(analysis: Analysis, exercise: Exercise) -> Part:
    """The whole file as one exercise: of each gradient the last attempt counts."""
    find_loop_that_calls(analysis, exercise)
    attempts = analysis.attempt_by_loop(exercise)
    for tensor in exercise.assigned:
        versions = analysis.attempts.get(tensor, [])
        own = [attempt for attempt in versions if not borrowed(analysis, attempt)] or versions
        if own:
            attempts[tensor] = own[-1]
    return Part(exercise, analysis, attempts)


def _named_exercises(source: Source, asked: str | None) -> list[Exercise]:
    """The exercises that the call, the file's marker, or else its name speaks of; `ex1` may be several."""
    marked = marked_id(source.cells)
    if asked is not None:
        found = exercises_called(asked)
        return [e for e in found if e.id == marked] or found
    if marked is not None:
        return [find_exercise(marked)]
    stem = source.path.stem.lower()
    named = [e for e in all_exercises() if re.search(rf"(?<![a-z0-9]){e.number}(?![0-9])", stem)]
    in_full = [e for e in named if e.id.split("/")[-1] in stem]
    there = [e for e in in_full or named if e.track in source.path.parts[:-1]]
    found = there or in_full or named
    return found if len({e.track for e in found}) == len(found) else []


def _only(analysis: Analysis, exercise: Exercise, candidates: Sequence[Exercise]) -> bool:
    """True where the file attempts nothing that another exercise alone grades."""
    others = {t for e in candidates if e is not exercise for t in e.assigned}
    return not (analysis.attempts.keys() & (others - set(exercise.graded)))
