"""What is remembered between calls: the last verdicts of each file, and which hints were shown.

One small JSON file for each folder with exercises, in its `.dojo/`, which git is told to ignore: it moves with the
folder, and two clones know nothing of each other. Elsewhere it lies in the user's cache. It is a convenience: one that
is missing, damaged or cannot be written changes no verdict and stops no command. Needs no torch.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.base.files import FileStamp, file_stamp, write_atomically
from grader.lesson.exercise import Exercise, all_exercises

if TYPE_CHECKING:  # a hint needs no report
    from grader.report.records import Report, SubmissionReport

SCHEMA = 2
PLACES = (("exercises", ".py"), ("notebooks", ".ipynb"))
_MOST_FILES = 100  # whoever grades a whole class keeps the last hundred


@dataclass(frozen=True)
class Graded:
    """The last verdicts on one exercise of one file; `stamp` tells whether the file has changed since."""

    path: str
    exercise: str
    stamp: FileStamp
    statuses: dict[str, str]

    def passed(self, name: str) -> bool:
        """Whether this gradient was right when the file was last graded."""
        return self.statuses.get(name) == "pass"

    @property
    def is_current(self) -> bool:
        """True where the file is still the one that was graded."""
        return file_stamp(Path(self.path)) == self.stamp


@dataclass
class Progress:
    """What `folder` remembers. `graded` is in the order of grading, the latest last.

    `seen[exercise][name]` is how many hints were shown. `working` is the file and exercise that the last
    report named first.
    """

    folder: Path
    seen: dict[str, dict[str, int]] = field(default_factory=dict)
    graded: list[Graded] = field(default_factory=list)
    working: tuple[str, str] | None = None

    def find(self, path: Path, exercise: Exercise) -> Graded | None:
        """What was remembered of this exercise in this file; None if it was never graded here."""
        wanted = (_key(path), exercise.id)
        return next((g for g in self.graded if (g.path, g.exercise) == wanted), None)

    def has_passed(self, exercise: Exercise, name: str) -> bool:
        """True where the learner's own file had this gradient right when it was last graded.

        Their own is what lies in exercises/ or notebooks/; where none of it was graded, any other file but a
        solution. Of several that was graded last counts.
        """
        tried = [g for g in self.graded if g.exercise == exercise.id and g.statuses.get(name, "missing") != "missing"]
        tops = [(Path(g.path).relative_to(self.folder).parts[0], g) for g in tried]
        own = [g for top, g in tops if top in ("exercises", "notebooks")]
        others = [g for top, g in tops if top != "solutions"]
        return any(g.passed(name) for g in (own or others)[-1:])

    def hints_seen(self, exercise: Exercise, name: str) -> int:
        """How many of the three hints for a gradient were shown."""
        return self.seen.get(exercise.id, {}).get(name, 0)

    def see(self, exercise: Exercise, name: str, level: int) -> None:
        """Note that the hints up to `level` were shown."""
        shown = self.seen.setdefault(exercise.id, {})
        shown[name] = max(level, shown.get(name, 0))

    def forget(self, exercise: Exercise) -> None:
        """Begin this exercise anew: no verdicts on the folder's own file, and no hint seen."""
        self.seen.pop(exercise.id, None)
        self.graded = [g for g in self.graded if g.exercise != exercise.id]
        if self.working is not None and self.working[1] == exercise.id:
            self.working = None

    def note(self, submission: SubmissionReport) -> None:
        """Put the verdicts on one submission in the place of earlier ones."""
        path = Path(submission.path)
        key = (_key(path), submission.exercise)
        statuses = {verdict.name: str(verdict.status) for verdict in submission.verdicts}
        others = [g for g in self.graded if (g.path, g.exercise) != key]
        self.graded = [*others, Graded(*key, file_stamp(path), statuses)][-_MOST_FILES:]


def folder_of(path: Path) -> Path:
    """The folder that a file or a folder belongs to: the nearest above it that holds exercises, as a clone does.

    Where there is none: the current folder for what lies in it, else the folder of the file.
    """
    path = path.resolve()
    course = next((folder for folder in (path, *path.parents) if holds_exercises(folder)), None)
    if course is not None:
        return course
    here = Path.cwd().resolve()
    return here if path.is_relative_to(here) else path if path.is_dir() else path.parent


def holds_exercises(folder: Path) -> bool:
    """True for a clone, and for what `dojo init` made: one exercise at its place is enough."""
    return any((folder / part / f"{e.id}{end}").is_file() for part, end in PLACES for e in all_exercises())


def state_path(folder: Path, name: str) -> Path:
    """Where `folder` keeps a state file: in its `.dojo/`, if it holds exercises, else in the user's cache.

    A link that came with the folder leads to another folder's state, so it is not followed.
    """
    own = folder / ".dojo" / name
    if holds_exercises(folder) and not own.is_symlink() and not own.parent.is_symlink():
        return own
    import hashlib  # both take a while, and most people work in a clone

    import platformdirs

    key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return platformdirs.user_cache_path("backprop-dojo", appauthor=False) / key / name


def write_state(path: Path, data: object) -> None:
    """Write a state file whole. What cannot be written is no reason to stop."""
    with contextlib.suppress(OSError):
        if path.parent.name == ".dojo" and not path.parent.is_dir():
            path.parent.mkdir()
            (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(data))


def progress_path(folder: Path) -> Path:
    """The file that remembers where a learner stands who works in this folder."""
    return state_path(folder, "progress.json")


def load_progress(folder: Path | None = None) -> Progress:
    """What `folder`, by default the one that is worked in, remembers; nothing where the file is missing or damaged."""
    folder = folder or folder_of(Path.cwd())
    try:
        return _from_data(folder, json.loads(progress_path(folder).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Progress(folder)


def save_progress(progress: Progress) -> None:
    """Write the state file whole, with paths that stay true when the folder is moved."""
    data = asdict(progress)
    del data["folder"]
    for entry in data["graded"]:
        entry["path"] = os.path.relpath(entry["path"], progress.folder)
    if progress.working is not None:
        data["working"] = [os.path.relpath(progress.working[0], progress.folder), progress.working[1]]
    write_state(progress_path(progress.folder), {"schema": SCHEMA, **data})


def remember(report: Report) -> None:
    """Keep what was found out, each in its own folder, so that `dojo hint` there knows which gradient comes next."""
    from grader.report.records import Report, first_thing

    folders: dict[Path, list[SubmissionReport]] = {}
    for submission in report.submissions:
        folders.setdefault(folder_of(Path(submission.path)), []).append(submission)
    for folder, submissions in folders.items():
        progress = load_progress(folder)
        for submission in submissions:
            progress.note(submission)
        first = first_thing(Report(submissions))
        at_work = submissions[-1] if first is None else first[0]
        progress.working = (_key(Path(at_work.path)), at_work.exercise)
        save_progress(progress)


def _key(path: Path) -> str:
    return str(path.resolve())


def _inside(stored: object, folder: Path) -> str:
    """The path of a file of `folder`.

    Raises:
        ValueError: it lies elsewhere. A state file that came with a folder must not lead out of it.
    """
    path = (folder / str(stored)).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"{stored} is outside")
    return str(path)


def _from_data(folder: Path, data: Any) -> Progress:
    if data["schema"] != SCHEMA:
        raise ValueError("written by another version")
    seen = {
        str(exercise): {str(name): int(level) for name, level in levels.items()}
        for exercise, levels in data["seen"].items()
    }
    graded = []
    for entry in data["graded"]:
        modified, size, inode = entry["stamp"]
        statuses = {str(name): str(status) for name, status in entry["statuses"].items()}
        stamp = (int(modified), int(size), int(inode))
        graded.append(Graded(_inside(entry["path"], folder), str(entry["exercise"]), stamp, statuses))
    working = data["working"]
    if working is not None:
        path, exercise = working
        working = (_inside(path, folder), str(exercise))
    return Progress(folder, seen, graded, working)
