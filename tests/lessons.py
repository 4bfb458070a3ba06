"""Lessons that lie elsewhere than the project's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from dojo import REPOSITORY

from grader.lesson import exercise, tracks

TRACKS = Path(__file__).parent / "tracks"
"""The tests' own lessons, one folder for each track."""


@contextmanager
def lessons_in(root: Path) -> Iterator[None]:
    """Within this block all lessons are those below `root`, in this process."""

    def forget() -> None:
        exercise.all_exercises.cache_clear()
        tracks.all_tracks.cache_clear()

    with mock.patch.object(exercise, "exercise_folder", return_value=root):
        forget()
        try:
            yield
        finally:
            forget()


def all_lessons(root: Path) -> Path:
    """A copy of the project's lessons in `root`, and of the tests' own beside them."""
    shutil.copytree(REPOSITORY / "solutions", root)
    return shutil.copytree(TRACKS, root, dirs_exist_ok=True)
