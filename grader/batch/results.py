"""The results folder of `dojo batch`: one JSON file for each submission, and an append-only index.

    RESULTS/batch.json         what everyone is graded with: seed, exercise, limits ...
    RESULTS/index.jsonl        one line for each result; of two for one submission the later counts
    RESULTS/results/NAME.json  the result, in the form of `dojo grade --format json`

A result is written beside its place and flushed, then its line is appended to the index and flushed, then it is
renamed. So the line decides: killed before it, there never was a result; killed after it, the next start renames.
Needs no torch.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from grader.base.errors import DojoError
from grader.base.files import keep_copy, told_if_unwritable, write_atomically
from grader.batch.disk import append_flushed, file_name, locked, matches, part_of, sha256, write_flushed
from grader.report.records import SCHEMA, Points, whole

PARAMETERS, INDEX, FOLDER = "batch.json", "index.jsonl", "results"
"""What a results folder is known by, and the folder of the results in it."""

EntryStatus = Literal["graded", "refused", "grader-error"]


@dataclass(frozen=True)
class Entry:
    """One line of the index.

    `submission` names the person or the person's folder. `content` is the sha256 of what was handed in, by which a
    resubmission is noticed. `student` and `student_id` are what the course's software calls the person, or empty.
    `members` are name and id of each of a group. `handed_in` is when, and `marked_late` that it was late, as far as
    that software says so. `text` is the same for those whose files are, but for line ends, spaces and names.
    `score` and `max_score` count each exercise once, see `counting`.
    """

    submission: str
    file: str
    sha256: str
    status: EntryStatus
    score: Points
    max_score: Points
    seconds: float
    source: str
    content: str = ""
    student: str = ""
    student_id: str = ""
    handed_in: str = ""
    marked_late: bool = False
    members: tuple[tuple[str, str], ...] = ()
    text: str = ""

    @classmethod
    def read(cls, line: bytes) -> Entry:
        """An entry from its line; fields that a later version added are passed over.

        Raises:
            ValueError: it is not a line of the index.
        """
        entry = msgspec.convert(json.loads(line), cls)
        folder, name = entry.file.split("/")
        if folder != "results" or name.startswith("."):
            raise ValueError("names a file outside the folder")
        return entry


class Results:
    """A results folder. `problems` says in sentences what was amiss when it was opened."""

    def __init__(self, folder: Path) -> None:
        """Open a folder for reading; a batch may be writing to it at the same time.

        Raises:
            DojoError: `folder` is not one that `dojo batch` made.
        """
        self.folder = folder
        self.parameters = read_parameters(folder)
        self.problems: list[str] = []
        self._latest: dict[str, Entry] = {}
        self._contents: dict[str, list[str]] = {}
        self._owners: dict[str, str] = {}
        self._lock: BinaryIO | None = None
        self._torn_bytes = self._read_index()

    @classmethod
    def start(cls, folder: Path, parameters: Mapping[str, Any]) -> Results:
        """Begin a folder, or go on with one, as the only writer until `close`.

        A folder with results keeps its own parameters: compare `.parameters` with what was asked.

        Raises:
            DojoError: another batch is writing to it, it holds other things, or it cannot be written.
        """
        with told_if_unwritable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = locked(folder)
            try:
                index = folder / INDEX
                if not (folder / PARAMETERS).exists():
                    _refuse_foreign(folder)
                if not index.exists() or index.stat().st_size == 0:  # nothing is graded: begin anew
                    (folder / FOLDER).mkdir(exist_ok=True)
                    _write_parameters(folder, {"schema": SCHEMA, **parameters})
                results = cls(folder)
                results._recover()
            except BaseException:
                lock.close()
                raise
        results._lock = lock
        return results

    def entries(self) -> list[Entry]:
        """The entry that counts for each submission, in the order of their names."""
        return [self._latest[name] for name in sorted(self._latest)]

    def entry(self, submission: str) -> Entry | None:
        """The entry that counts for this submission, where there is one."""
        return self._latest.get(submission)

    def report(self, entry: Entry) -> dict[str, Any]:
        """The result as data; `counting` picks those of its "submissions" that count.

        Raises:
            DojoError: the file is missing, or is not what the index says.
        """
        text = self._intact(entry)
        if text is None:
            raise DojoError(f"{self.folder / entry.file}: missing, or changed since; run `dojo batch` again")
        data: dict[str, Any] = json.loads(text)
        return data

    def add(
        self,
        submission: str,
        report: Mapping[str, Any],
        *,
        seconds: float = 0.0,
        source: str = "",
        content: str = "",
        **who: Any,
    ) -> Entry:
        """Write one result. What an earlier content of the same submission got stays beside it.

        `who` are further fields of its entry: `student`, `student_id`, `handed_in` and others.

        Raises:
            DojoError: it cannot be written (a full disk); what was there before is whole.
        """
        assert self._lock is not None, "only Results.start opens for writing"
        text = json.dumps(report, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace") + b"\n"
        status, score, max_score = standing(report)
        file = f"results/{self._file_for(submission, content)}"
        seconds = round(seconds, 4)
        entry = Entry(submission, file, sha256(text), status, score, max_score, seconds, source, content, **who)
        path = self.folder / file
        try:
            write_flushed(part_of(path), text)
            append_flushed(self.folder / INDEX, json.dumps(asdict(entry)).encode() + b"\n")
            part_of(path).replace(path)
        except OSError as error:
            raise DojoError(
                f"{self.folder}: cannot be written ({error.strerror}); what is there is kept, run it again to go on"
            ) from None
        self._note(entry)
        return entry

    def change(self, parameter: str, value: Any) -> None:
        """Write one of the parameters anew.

        Raises:
            DojoError: batch.json cannot be written.
        """
        self.parameters[parameter] = value
        _write_parameters(self.folder, self.parameters)

    def close(self) -> None:
        """Let other writers in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _note(self, entry: Entry) -> None:
        self._latest[entry.submission] = entry
        self._owners.setdefault(entry.file.casefold(), entry.submission)
        contents = self._contents.setdefault(entry.submission, [])
        if entry.content not in contents:
            contents.append(entry.content)

    def _file_for(self, submission: str, content: str) -> str:
        contents = self._contents.get(submission, [])
        version = 1 + (contents.index(content) if content in contents else len(contents))
        name = file_name(submission, version)
        if self._owners.get(f"results/{name}".casefold(), submission) != submission:
            name = file_name(submission, version, whole_digest=True)
        return name

    def _read_index(self) -> int:
        """Read the index; how many bytes of it are a line that was cut short."""
        path = self.folder / INDEX
        try:
            *lines, torn = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return 0
        for number, line in enumerate(lines, start=1):
            try:
                self._note(Entry.read(line))
            except (ValueError, msgspec.ValidationError):
                self.problems.append(f"{path}:{number}: not a line of the index; passed over")
        return len(torn)

    def _recover(self) -> None:
        """Finish what a killed run began, and forget what is not as the index says."""
        index, folder = self.folder / INDEX, self.folder / FOLDER
        folder.mkdir(exist_ok=True)
        if self._torn_bytes:
            os.truncate(index, index.stat().st_size - self._torn_bytes)
            self.problems.append(f"{index}: the last line was cut short; its submission is graded again")
        for entry in self.entries():
            file = self.folder / entry.file
            if matches(file, entry.sha256):
                continue
            if matches(part_of(file), entry.sha256):
                part_of(file).replace(file)
                continue
            what = "missing"
            if file.exists():
                what = f"changed since it was written; the changed one is kept as {keep_copy(file).name}"
            self.problems.append(f"{file}: {what}; its submission is graded again")
            del self._latest[entry.submission]
        for file in sorted(folder.iterdir()):
            if file.name.endswith(".part"):
                file.unlink()
            elif file.suffix == ".json" and f"results/{file.name}".casefold() not in self._owners:
                self.problems.append(
                    f"{file}: has no line in the index; kept as {keep_copy(file).name}, its submission is graded again"
                )
                file.unlink()

    def _intact(self, entry: Entry) -> bytes | None:
        file = self.folder / entry.file
        for path in (file, part_of(file), file):  # a batch that is running may be renaming it just now
            with contextlib.suppress(OSError):
                text = path.read_bytes()
                if sha256(text) == entry.sha256:
                    return text
        return None


def counting(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of a report's "submissions" that count: each exercise once.

    Where several files of a person hold one exercise, all are reported, and all but the best say
    `"counts": false`.
    """
    return [graded for graded in report["submissions"] if graded.get("counts", True)]


def standing(report: Mapping[str, Any]) -> tuple[EntryStatus, Points, Points]:
    """Status, score and greatest score of a report, for its line in the index."""
    graded = counting(report)
    score, max_score = (sum(one[key] for one in graded) for key in ("score", "max_score"))
    score, max_score = whole(score), whole(max_score + sum(report.get("missing", {}).values()))
    if "grader_error" in report:
        return "grader-error", score, max_score
    return ("refused" if "refused" in report else "graded"), score, max_score


def read_parameters(folder: Path) -> dict[str, Any]:
    """What the batch in this folder was begun with.

    Raises:
        DojoError: `folder` is not one that `dojo batch` made.
    """
    path = folder / PARAMETERS
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DojoError(
            f"{folder}: not a folder of results; `dojo batch SUBMISSIONS --out {folder}` makes one"
        ) from None
    except (OSError, ValueError):
        raise DojoError(f"{path}: cannot be read; name a new folder, or put the file back") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise DojoError(f"{path}: written by another version of dojo; name a new folder")
    return data


def _write_parameters(folder: Path, parameters: Mapping[str, Any]) -> None:
    with told_if_unwritable(folder):
        write_atomically(folder / PARAMETERS, json.dumps(parameters, indent=2) + "\n")


def _refuse_foreign(folder: Path) -> None:
    other = [path.name for path in folder.iterdir() if path.name not in (".lock", "results") or _has_files(path)]
    if [name for name in other if not name.startswith(".batch.json")]:
        raise DojoError(f"{folder}: holds other files and no batch.json; name a new folder for the results")


def _has_files(path: Path) -> bool:
    return path.is_dir() and any(path.iterdir())
