"""What SUBMISSIONS holds: which person handed in which files, in whatever order the course's software laid them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from grader.base.errors import DojoError
from grader.base.files import read_text
from grader.batch.archives import Archive
from grader.batch.folders import read_plain_file, walk
from grader.batch.items import Item, is_visible, printable
from grader.batch.layouts import Person, layout_of
from grader.reading.submission import SUFFIXES

MOST_FILES = 50
"""Files of one person that are graded."""

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_NAME_COLUMNS = ("submission", "name", "student", "id")
_PATH_COLUMNS = ("path", "file", "filename")


@dataclass(frozen=True)
class Submission:
    """What one person handed in. `problems` says in sentences what of it is not graded."""

    name: str
    source: str
    files: tuple[Item, ...] = ()
    problems: tuple[str, ...] = ()
    student: str = ""
    student_id: str = ""


@dataclass
class _Heap:
    """What came in under one name."""

    person: Person
    source: str
    files: list[Item] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def collect(path: Path) -> AbstractContextManager[list[Submission]]:
    """The submissions in a folder, a zip, a CSV of paths or nbgrader's tree, by name; a zip is open until the end.

    Raises:
        DojoError: `path` is none of them, cannot be read, or holds nothing.
    """
    if path.is_dir():
        return nullcontext(_sorted(path, _gathered(walk(path), path)))
    if not path.exists():
        raise DojoError(f"{path}: no such file or folder")
    if path.suffix.lower() == ".csv":
        return nullcontext(_sorted(path, _listed(path)))
    if path.suffix.lower() == ".zip":
        archive = Archive(path)
        try:
            return _Opened(archive, _sorted(path, _gathered(archive.items(), path)))
        except BaseException:
            archive.close()
            raise
    hint = "; for one file there is `dojo grade`" if path.suffix in SUFFIXES else ""
    raise DojoError(f"{path}: neither a folder, a .zip nor a .csv{hint}")


class _Opened(AbstractContextManager[list[Submission]]):
    def __init__(self, archive: Archive, submissions: list[Submission]) -> None:
        self.archive, self.submissions = archive, submissions

    def __enter__(self) -> list[Submission]:
        return self.submissions

    def __exit__(self, *error: object) -> None:
        self.archive.close()


def _gathered(found: Iterable[Item], root: Path) -> Iterator[Submission]:
    items = list(found)
    place_of = layout_of(items, root.name, packed=root.is_file())
    heaps: dict[str, _Heap] = {}
    for item in items:
        person = place_of(item)
        if person is None or not is_visible(item.parts[: person.depth]):
            continue
        source = "/".join([str(root), *item.parts[: person.depth]])
        _put(heaps.setdefault(person.name, _Heap(person, printable(source))), item)
    return map(_as_submission, heaps.values())


def _put(heap: _Heap, item: Item) -> None:
    if item.is_folder or not item.is_visible:
        return
    suffix = PurePosixPath(item.parts[-1]).suffix.lower()
    if item.problem:
        heap.problems.append(f"{item.label}: {item.problem}")
    elif suffix in SUFFIXES:
        heap.files.append(item)
    else:
        heap.others.append(item.parts[-1])


def _as_submission(heap: _Heap) -> Submission:
    problems = list(heap.problems)
    files = heap.files
    if len(files) > MOST_FILES:
        problems.append(f"{len(files)} files; of one person at most {MOST_FILES} are graded, so hand in fewer")
        files = []
    if not files and not problems:
        problems.append(f"no .py or .ipynb file{_told(heap.others)}")
    person = heap.person
    ordered = tuple(sorted(files, key=lambda item: item.parts))
    return Submission(
        printable(person.name),
        heap.source,
        ordered,
        tuple(problems),
        printable(person.student),
        printable(person.student_id),
    )


def _told(others: list[str]) -> str:
    if not others:
        return " was handed in"
    packed = any(PurePosixPath(name).suffix.lower() in _ARCHIVES for name in others)
    shown = ", ".join(printable(name) for name in sorted(others)[:3]) + (", ..." if len(others) > 3 else "")
    return f", only {shown}" + ("; an archive is not opened, so hand in the file itself" if packed else "")


def _listed(path: Path) -> Iterator[Submission]:
    """Submissions from a CSV with a column for the name and one for the path, which is relative to the CSV."""
    text = read_text(path)
    delimiter = ";" if text.split("\n", 1)[0].count(";") > text.split("\n", 1)[0].count(",") else ","
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DojoError(f"{path}: not a CSV file ({error})") from None
    columns = {str(name).strip().lower(): name for name in (rows[0] if rows else {})}
    name_column = next((columns[name] for name in _NAME_COLUMNS if name in columns), None)
    path_column = next((columns[name] for name in _PATH_COLUMNS if name in columns), None)
    if name_column is None or path_column is None:
        raise DojoError(
            f"{path}: its first line must name a column for the person ({', '.join(_NAME_COLUMNS)}) and one for the "
            f"file or folder ({', '.join(_PATH_COLUMNS)}), and rows must follow"
        )
    heaps: dict[str, _Heap] = {}
    for line, row in enumerate(rows, start=2):
        name, place = (row[name_column] or "").strip(), (row[path_column] or "").strip()
        if not name or not place:
            raise DojoError(f"{path}: row {line} has no {name_column if not name else path_column}")
        heap = heaps.setdefault(name, _Heap(Person(name, name, name, depth=1), printable(place)))
        _put_path(heap, path.parent / place, place)
    return map(_as_submission, heaps.values())


def _put_path(heap: _Heap, target: Path, place: str) -> None:
    label = printable(place)
    if target.is_dir():
        for item in walk(target):
            _put(heap, replace(item, label=f"{label}/{item.label}"))
    elif target.exists():
        _put(heap, Item((target.name,), label, _reader(target, label)))
    else:
        heap.problems.append(f"{label}: no such file or folder")


def _reader(target: Path, label: str) -> Callable[[], bytes]:
    return lambda: read_plain_file(target, label)


def _sorted(path: Path, submissions: Iterable[Submission]) -> list[Submission]:
    found: dict[str, Submission] = {}
    for submission in submissions:
        name, number = submission.name, 1
        while name in found:  # two names that differ only in characters that cannot be shown
            number += 1
            name = f"{submission.name} ({number})"
        found[name] = replace(submission, name=name)
    if not found:
        raise DojoError(f"{path}: holds no submission")
    return [found[name] for name in sorted(found)]
