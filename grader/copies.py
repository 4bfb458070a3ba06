"""The learner's copies of the exercises: handed out, and put back on request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from grader.author import notebook_text, pristine_exercises
from grader.errors import DojoError
from grader.exercise import find_exercise
from grader.files import keep_copy, write_atomically


def copy_exercises(folder: Path, *, force: bool) -> None:
    """Write exercises/ and notebooks/ below `folder`. A file that differs stays, unless `force`."""
    kept = 0
    for exercise, text in pristine_exercises():
        for path, content in _copies(folder, exercise.id, text).items():
            if not path.exists():
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(path, content)
                except OSError as error:
                    raise DojoError(f"{path}: cannot be written ({error.strerror})") from None
                typer.echo(f"written: {path}")
            elif path.read_bytes() == content.encode():
                typer.echo(f"up to date: {path}")
            elif force:
                copy = keep_copy(path)
                write_atomically(path, content)
                typer.echo(f"replaced: {path} (yours is kept as {copy.name})")
            else:
                kept += 1
                typer.echo(f"kept, it differs: {path}")
    if kept:
        typer.echo("Files that differ are yours and stay. --force replaces them and keeps each as .bak.")


def reset_exercise(name: str, folder: Path, confirm: Callable[[str], bool]) -> None:
    """Put one exercise back as it was handed out, with its notebook, keeping copies.

    Raises:
        DojoError: there is no such exercise, or `folder` holds no copy of it.
    """
    exercise = find_exercise(name)
    text = next(text for found, text in pristine_exercises() if found is exercise)
    copies = {path: content for path, content in _copies(folder, exercise.id, text).items() if path.exists()}
    if not copies:
        raise DojoError(f"{folder}: holds no exercises/{exercise.id}.py to put back; run `dojo init` first")
    changed = {path: content for path, content in copies.items() if path.read_bytes() != content.encode()}
    if not changed:
        typer.echo(f"{exercise.short_id} is as it was handed out; nothing to do")
        return
    listed = " and ".join(str(path) for path in changed)
    if not confirm(f"Put {listed} back as handed out? Your work is kept as .bak."):
        typer.echo("nothing changed")
        return
    for path, content in changed.items():
        copy = keep_copy(path)
        write_atomically(path, content)
        typer.echo(f"put back: {path} (yours is kept as {copy.name})")


def _copies(folder: Path, exercise_id: str, text: str) -> dict[Path, str]:
    return {
        folder / "exercises" / f"{exercise_id}.py": text,
        folder / "notebooks" / f"{exercise_id}.ipynb": notebook_text(text),
    }
