"""The map of tracks and where you stand: for `dojo` without arguments, and as the first page of `make lab`."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from pathlib import Path

from grader.base.errors import DojoError
from grader.base.files import keep_copy, read_text, write_atomically
from grader.base.words import counted, fitted
from grader.learner.memory import Progress, folder_of, holds_exercises, load_progress
from grader.lesson.exercise import Exercise
from grader.lesson.tracks import Track, all_tracks, begins_later, duration, minutes_of, next_lesson

WELCOME = "welcome.ipynb"
MAP = "map"
"""The id of the page's one cell."""

_ABOUT = (
    "You write the backward pass by hand, and each gradient is graded on its own. Run a notebook from the top; the "
    "`cmp` line below an answer compares it at once. `progress()` says where you stand in the notebook, `hint()` "
    "helps, and `grade()` judges the saved notebook as `make grade` does."
)


def overview() -> str:
    """The map as text: for each track what it is about, how long it takes, and how much of it is right."""
    progress = load_progress()
    lines = ["Backprop Dojo: write the backward pass by hand; each gradient is graded on its own.", ""]
    for track in all_tracks():
        lines += _track_lines(track, progress)
    lines += [_next_step(progress), "", "dojo --help lists the commands."]
    return fitted("\n".join(lines))


def standing(exercise: Exercise, progress: Progress) -> tuple[int, int]:
    """How many gradients of a lesson were right when it was last graded here, and how many there are."""
    return sum(progress.has_passed(exercise, name) for name in exercise.graded), len(exercise.graded)


def _track_lines(track: Track, progress: Progress) -> list[str]:
    counts = [standing(exercise, progress) for exercise in track.exercises]
    right, total = (sum(numbers) for numbers in zip(*(standing(e, progress) for e in track.required), strict=True))
    lessons = counted(len(track.required), "lesson")
    if optional := len(track.exercises) - len(track.required):
        lessons += f" and {optional} optional"
    time = f", about {duration(track.minutes)}" if track.minutes else ""
    heading = f"  {track.title} ({lessons}{time}): {_state(right, total)}"
    if right in (0, total):
        return [heading, *_wrapped(track.about), ""]
    width = max(len(exercise.short_id) for exercise in track.exercises)
    rows = [
        f"    {exercise.short_id:{width}}  {_state(*count):14}  {exercise.title}"
        for exercise, count in zip(track.exercises, counts, strict=True)
    ]
    return [heading, *rows, ""]


def _wrapped(text: str) -> list[str]:
    width = min(76, shutil.get_terminal_size().columns)
    return textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="    ")


def _state(right: int, total: int) -> str:
    return "not started" if right == 0 else "all right" if right == total else f"{right} of {total} right"


def _next_step(progress: Progress) -> str:
    if not holds_exercises(progress.folder):
        return "There are no exercises in this folder yet. Begin with: dojo init"
    following = _following(progress)
    if following is None:
        return "Every gradient of every track is right."
    word = "Go on with" if standing(following, progress)[0] else "Begin with"
    exercises = os.path.relpath(progress.folder / "exercises")
    return f"{word} {exercises}/{following.id}.py, then run: dojo grade {exercises}/{following.track}"


def _following(progress: Progress) -> Exercise | None:
    """The lesson to work on now: of a track that is begun, else the next on the map; None at the end. Where nothing is
    begun, of the track to begin with. Of the tracks that the folder holds, where it holds any.
    """
    held = [t for t in all_tracks() if (progress.folder / "exercises" / t.name).is_dir()] or all_tracks()
    found = [(e, *standing(e, progress)) for track in held for e in track.required]
    left = [e for e, right, total in found if right < total]
    begun = {e.track for e, right, _ in found if right}
    if not begun and left:
        return min(left, key=lambda e: begins_later(e.id))
    after = next_lesson({e.id for e, right, total in found if right == total})
    return next((e for e in [*(e for e in left if e.track in begun), after, *left] if e in left), None)


# ---- The welcome page of JupyterLab ----


def write_welcome(folder: Path) -> Path:
    """Write `folder`/welcome.ipynb: the map as a notebook whose links open the lessons beside it.

    One in which somebody has written is kept as welcome.ipynb.bak.
    """
    path = folder / WELCOME
    if path.is_file() and _has_more(path):
        keep_copy(path)
    lines = _welcome(load_progress(folder_of(folder))).splitlines(keepends=True)
    cell = {"cell_type": "markdown", "id": MAP, "metadata": {"editable": False}, "source": lines}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    page = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    write_atomically(path, json.dumps(page, indent=1, ensure_ascii=False) + "\n")
    return path


def _has_more(path: Path) -> bool:
    """True where a notebook holds something that is not the map."""
    try:
        cells = json.loads(read_text(path))["cells"]
        return any("".join(cell["source"]).strip() for cell in cells if cell["id"] != MAP)
    except (DojoError, ValueError, KeyError, TypeError):
        return True


def _welcome(progress: Progress) -> str:
    following = _following(progress)
    lines = ["# Backprop Dojo", "", _ABOUT, ""]
    if following is None:
        lines += ["**Every gradient of every track is right.**", ""]
    else:
        word = "Go on with" if standing(following, progress)[0] else "Begin here:"
        lines += [f"### {word} [{following.title}](notebooks/{following.id}.ipynb)", ""]
    for track in all_tracks():
        time = f" (about {duration(track.minutes)})" if track.minutes else ""
        lines += [f"## {track.title}{time}", "", track.about, ""]
        lines += ["| lesson | time | where you stand |", "|:--|:--|:--|"]
        for exercise in track.exercises:
            minutes = minutes_of(exercise)
            facts = duration(minutes) if minutes else "", _state(*standing(exercise, progress))
            lines.append(f"| [{exercise.title}](notebooks/{exercise.id}.ipynb) | {' | '.join(facts)} |")
        lines.append("")
    lines += ["*Where you stand is by the last grading: run `make grade`, then `make lab` again.*"]
    return "\n".join(lines)
