"""The learner's copies of the exercises: handed out, and put back on request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from grader.base.errors import DojoError
from grader.base.files import keep_copy, told_if_unwritable, write_atomically
from grader.learner.memory import folder_of, load_progress, save_progress
from grader.learner.pairs import Agreements, content, pair_of
from grader.lesson.derive import notebook_text, pristine_exercises
from grader.lesson.exercise import all_exercises, find_exercise
from grader.lesson.tracks import find_track


def copy_exercises(folder: Path, track: str | None = None, *, force: bool) -> None:
    """Write exercises/ and notebooks/ below `folder`, all or those of one track.

    A file that differs stays, unless `force`. What was done with each is told at the end: a reader who leaves early, as
    `head` does, would end the command with half of the files.

    Raises:
        DojoError: there is no such track, or a file cannot be written.
    """
    wanted_ids = {e.id for e in (find_track(track).exercises if track is not None else all_exercises())}
    told: list[str] = []
    kept = False
    try:
        with Agreements() as agreements:
            for exercise, text in pristine_exercises():
                if exercise.id not in wanted_ids:
                    continue
                copies = _copies(folder, exercise.id, text)
                stayed = [p for p, wanted in copies.items() if not _hand_out(p, wanted, told.append, force=force)]
                kept |= bool(stayed)
                if not stayed:
                    _note(copies, agreements)
    finally:
        for line in told:
            click.echo(line)
    if kept:
        click.echo("Files that differ are yours and stay. --force replaces them and keeps each as .bak.")


def _hand_out(path: Path, wanted: str, say: Callable[[str], object], *, force: bool) -> bool:
    """True where the file is then as it is handed out."""
    with told_if_unwritable(path):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, wanted)
            say(f"written: {path}")
        elif path.read_bytes() == wanted.encode():
            say(f"up to date: {path}")
        elif force:
            copy = keep_copy(path)
            write_atomically(path, wanted)
            say(f"replaced: {path} (yours is kept as {copy.name})")
        else:
            say(f"kept, it differs: {path}")
            return False
    return True


def reset_exercise(name: str, folder: Path, confirm: Callable[[str], bool]) -> None:
    """Put one exercise back as it was handed out, with its notebook, keeping copies; hints begin anew, too.

    Raises:
        DojoError: there is no such exercise, or `folder` holds no copy of it.
    """
    exercise = find_exercise(name)
    text = next(text for found, text in pristine_exercises() if found is exercise)
    copies = {path: wanted for path, wanted in _copies(folder, exercise.id, text).items() if path.exists()}
    if not copies:
        raise DojoError(f"{folder}: holds no exercises/{exercise.id}.py to put back; run `dojo init` first")
    changed = {path: wanted for path, wanted in copies.items() if path.read_bytes() != wanted.encode()}
    if not changed:
        click.echo(f"{exercise.short_id} is as it was handed out; nothing to do")
        return
    listed = " and ".join(str(path) for path in changed)
    if not confirm(f"Put {listed} back as handed out? Your work is kept as .bak."):
        click.echo("nothing changed")
        return
    for path, wanted in changed.items():
        with told_if_unwritable(path):
            copy = keep_copy(path)
            write_atomically(path, wanted)
        click.echo(f"put back: {path} (yours is kept as {copy.name})")
    with Agreements() as agreements:
        _note(copies, agreements)
    progress = load_progress(folder_of(folder))
    progress.forget(exercise)
    save_progress(progress)


def _note(copies: dict[Path, str], agreements: Agreements) -> None:
    """Notebook and script say the same now: `dojo sync` counts later edits from here, also after an update of dojo."""
    pair = pair_of(next(iter(copies)))
    if pair is not None and pair.is_complete:
        agreements.note(pair, content(pair.script), content(pair.notebook))


def _copies(folder: Path, exercise_id: str, text: str) -> dict[Path, str]:
    return {
        folder / "exercises" / f"{exercise_id}.py": text,
        folder / "notebooks" / f"{exercise_id}.ipynb": notebook_text(text),
    }
