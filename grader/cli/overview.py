"""`dojo` without arguments: the map of tracks, and where you stand."""

from __future__ import annotations

import click

from grader.learner.memory import Progress, load_progress
from grader.lesson.exercise import Exercise
from grader.lesson.tracks import Track, all_tracks, duration


def overview() -> str:
    """The map as text: for each track what it is about, how long it takes, and how much of it is right."""
    progress = load_progress()
    lines = ["Backprop Dojo: write the backward pass by hand; each gradient is graded on its own.", ""]
    for track in all_tracks():
        lines += _track_lines(track, progress)
    lines += [_next_step(progress), "", "dojo --help lists the commands."]
    return "\n".join(lines)


def standing(exercise: Exercise, progress: Progress) -> tuple[int, int]:
    """How many gradients of a lesson were right when it was last graded here, and how many there are."""
    return sum(progress.has_passed(exercise, name) for name in exercise.graded), len(exercise.graded)


def _track_lines(track: Track, progress: Progress) -> list[str]:
    counts = [standing(exercise, progress) for exercise in track.exercises]
    right, total = (sum(numbers) for numbers in zip(*counts, strict=True))
    lessons = f"{len(track.exercises)} lesson{'' if len(track.exercises) == 1 else 's'}"
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
    return click.wrap_text(text, 76, "    ", "    ").splitlines() if text else []


def _state(right: int, total: int) -> str:
    return "not started" if right == 0 else "all right" if right == total else f"{right} of {total} right"


def _next_step(progress: Progress) -> str:
    tracks = sorted(all_tracks(), key=lambda track: not track.begin_here)
    begun = [t for t in tracks if any(standing(e, progress)[0] for e in t.exercises)]
    for track in [*begun, *tracks]:
        for exercise in track.exercises:
            right, total = standing(exercise, progress)
            if right < total:
                word = "Go on with" if right else "Begin with"
                return f"{word} exercises/{exercise.id}.py, then run: dojo grade exercises/{track.name}"
    return "Every gradient of every track is right."
