"""The map of tracks: what comes first, how long it takes, and where to begin."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from grader.base.errors import DojoError
from grader.base.files import read_text
from grader.lesson.exercise import Exercise, all_exercises, exercise_folder

FILE = "track.toml"
LAST = 1000
"""The place on the map of what names none."""

_TIME = re.compile(r"About (\d+(?:\.\d+)?) (minute|hour)s?")


@dataclass(frozen=True)
class Track:
    """A folder of lessons, as its `track.toml` presents it. `place` is its number on the map."""

    name: str
    title: str
    about: str
    place: int
    begin_here: bool
    exercises: tuple[Exercise, ...]

    @property
    def required(self) -> tuple[Exercise, ...]:
        """The lessons that are not optional."""
        return tuple(exercise for exercise in self.exercises if not exercise.grading.optional)

    @property
    def minutes(self) -> int:
        """How long the lessons take together that are not optional, by what their first lines say."""
        return sum(minutes_of(exercise) or 0 for exercise in self.required)


def minutes_of(exercise: Exercise) -> int | None:
    """How long a lesson says that it takes, in its first cell; None where it says nothing."""
    first = next((cell.text for cell in exercise.cells if cell.kind == "markdown"), "")
    found = _TIME.search(first)
    return round(float(found[1]) * (60 if found[2] == "hour" else 1)) if found else None


def duration(minutes: int) -> str:
    """`45 minutes`, `3 hours`: to the half hour where it is long."""
    if minutes < 90:
        return f"{minutes} minutes"
    return f"{round(minutes / 30) / 2:g} hours"


def track_name(exercise_id: str) -> str:
    """`makemore` for `makemore/ex1_atoms`."""
    return exercise_id.partition("/")[0]


def place_on_map(exercise_id: str) -> int:
    """A sort key for lessons: the order of the map."""
    return next((track.place for track in all_tracks() if track.name == track_name(exercise_id)), LAST)


def begins_later(exercise_id: str) -> bool:
    """A sort key for what to begin with, where nothing else is said: False for the lessons of that track."""
    return not any(track.begin_here and track.name == track_name(exercise_id) for track in all_tracks())


@lru_cache
def all_tracks() -> tuple[Track, ...]:
    """Every track that holds a lesson, in the order of the map; one without a `track.toml` comes last.

    Raises:
        DojoError: a `track.toml` cannot be read, or lacks its title, text or place.
    """
    by_name: dict[str, list[Exercise]] = {}
    for exercise in all_exercises():
        by_name.setdefault(track_name(exercise.id), []).append(exercise)
    found = [_track(name, tuple(exercises)) for name, exercises in by_name.items()]
    return tuple(sorted(found, key=lambda track: (track.place, track.name)))


def next_lesson(done: Collection[str]) -> Exercise | None:
    """The lesson that comes on the map after all of `done`, given by their ids; None at its end. None is optional."""
    lessons = [exercise for track in all_tracks() for exercise in track.exercises]
    last = max((place for place, lesson in enumerate(lessons) if lesson.id in done), default=-1)
    return next((lesson for lesson in lessons[last + 1 :] if not lesson.grading.optional), None)


def find_track(name: str) -> Track:
    """The track of that name.

    Raises:
        DojoError: there is none.
    """
    found = next((track for track in all_tracks() if track.name == name), None)
    if found is None:
        known = ", ".join(track.name for track in all_tracks())
        raise DojoError(f"track {name!r} is unknown; choose one of: {known}")
    return found


def _track(name: str, exercises: tuple[Exercise, ...]) -> Track:
    path = exercise_folder() / name / FILE
    data: dict[str, Any] = _read(path) if path.is_file() else {"title": name.capitalize(), "about": "", "place": LAST}
    begin_here = bool(data.get("begin_here", False))
    try:
        return Track(name, str(data["title"]), str(data["about"]), int(data["place"]), begin_here, exercises)
    except (KeyError, TypeError, ValueError) as problem:
        raise DojoError(f"{path}: give title, about and place ({problem})") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as problem:
        raise DojoError(f"{path}: not readable as TOML ({problem})") from None
