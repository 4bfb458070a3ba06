"""What is remembered between calls: the last verdicts of each file, and which hints were shown.

One small JSON file in the user's cache, never in the repository. It is a convenience: one that is missing,
damaged or cannot be written changes no verdict and stops no command. Needs no torch.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from grader.base.files import FileStamp, file_stamp, write_atomically
from grader.lesson.exercise import Exercise
from grader.report.records import Report, SubmissionReport

SCHEMA = 1
_MOST_FILES = 100  # whoever grades a whole class keeps the last hundred


@dataclass(frozen=True)
class Graded:
    """The last verdicts on one exercise of one file; `stamp` tells whether the file has changed since."""

    path: str
    exercise: str
    stamp: FileStamp
    statuses: dict[str, str]

    def passed(self, name: str) -> bool:
        return self.statuses.get(name) == "pass"

    @property
    def is_current(self) -> bool:
        """True where the file is still the one that was graded."""
        return file_stamp(Path(self.path)) == self.stamp


@dataclass
class Progress:
    """The state file's content. `graded` is in the order of grading, the latest last.

    `seen[exercise][name]` is how many hints were shown. `working` is the file and exercise that the last
    report named first.
    """

    seen: dict[str, dict[str, int]] = field(default_factory=dict)
    graded: list[Graded] = field(default_factory=list)
    working: tuple[str, str] | None = None

    def find(self, path: Path, exercise: Exercise) -> Graded | None:
        wanted = (_key(path), exercise.id)
        return next((g for g in self.graded if (g.path, g.exercise) == wanted), None)

    def has_passed(self, exercise: Exercise, name: str) -> bool:
        """True where any file of this exercise had this gradient right when it was last graded."""
        return any(g.exercise == exercise.id and g.passed(name) for g in self.graded)

    def hints_seen(self, exercise: Exercise, name: str) -> int:
        return self.seen.get(exercise.id, {}).get(name, 0)

    def see(self, exercise: Exercise, name: str, level: int) -> None:
        """Note that the hints up to `level` were shown."""
        shown = self.seen.setdefault(exercise.id, {})
        shown[name] = max(level, shown.get(name, 0))

    def note(self, submission: SubmissionReport) -> None:
        """Put the verdicts on one submission in the place of earlier ones."""
        path = Path(submission.path)
        key = (_key(path), submission.exercise)
        statuses = {verdict.name: str(verdict.status) for verdict in submission.verdicts}
        others = [g for g in self.graded if (g.path, g.exercise) != key]
        self.graded = [*others, Graded(*key, file_stamp(path), statuses)][-_MOST_FILES:]


def progress_path() -> Path:
    """Where the state file lies: in the user's cache."""
    return platformdirs.user_cache_path("backprop-dojo", appauthor=False) / "progress.json"


def load_progress() -> Progress:
    """What is remembered; nothing where the file is missing or damaged."""
    try:
        data = json.loads(progress_path().read_text(encoding="utf-8"))
        return _from_data(data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Progress()


def save_progress(progress: Progress) -> None:
    """Write the state file whole. A cache that cannot be written is no reason to stop."""
    path = progress_path()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"schema": SCHEMA, **asdict(progress)}))


def remember(report: Report) -> None:
    """Keep what was found out, so that `dojo hint` knows which gradient comes next."""
    if not report.submissions:
        return
    progress = load_progress()
    for submission in report.submissions:
        progress.note(submission)
    first = first_open(report)
    progress.working = (_key(Path(first.path)), first.exercise)
    save_progress(progress)


def first_open(report: Report) -> SubmissionReport:
    """The submission to work on: the first with something wrong, else the first begun, else the first open."""
    still_open = [s for s in report.submissions if not s.all_passed]
    wrong = [s for s in still_open if any(v.status not in ("pass", "missing") for v in s.verdicts)]
    begun = [s for s in still_open if s.attempted]
    return next(iter(wrong or begun or still_open or report.submissions[-1:]))


def _key(path: Path) -> str:
    return str(path.resolve())


def _from_data(data: Any) -> Progress:
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
        graded.append(
            Graded(str(entry["path"]), str(entry["exercise"]), (int(modified), int(size), int(inode)), statuses)
        )
    working = data["working"]
    if working is not None:
        path, exercise = working
        working = (str(path), str(exercise))
    return Progress(seen, graded, working)
