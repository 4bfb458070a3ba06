"""What SUBMISSIONS holds: which person handed in which files, in whatever order the course's software laid them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from grader.base.errors import DojoError
from grader.base.visible import printable
from grader.batch.archives import Archive
from grader.batch.folders import read_plain_file, walk
from grader.batch.items import Item, is_visible
from grader.batch.layouts import Found, Person, layout_of
from grader.batch.tables import Table, read_table
from grader.reading.submission import SUFFIXES

MOST_FILES = 50
"""Files of one person that are graded."""

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_NAME_COLUMNS = ("submission", "name", "student", "id")
_PATH_COLUMNS = ("path", "file", "filename")
_MOST_ODD = 5


@dataclass(frozen=True)
class Submission:
    """What one person handed in. `problems` says in sentences what of it is not graded."""

    name: str
    source: str
    person: Person
    files: tuple[Item, ...] = ()
    problems: tuple[str, ...] = ()


class Collected(list[Submission]):
    """Submissions by name, and the `layout` they were found in; `notes` are for the instructor, a sentence each."""

    def __init__(self, submissions: Iterable[Submission], layout: str, notes: Iterable[str]) -> None:
        super().__init__(submissions)
        self.layout, self.notes = layout, tuple(notes)


@dataclass
class _Heap:
    """What came in under one name. `folders` are those at the top that it lay in, "" where a file lay there itself."""

    person: Person
    source: str
    files: list[Item] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)


@contextmanager
def collect(path: Path) -> Iterator[Collected]:
    """The submissions in a folder, a zip, a CSV of paths or nbgrader's tree, by name; a zip is open while they are.

    Raises:
        DojoError: `path` is none of them, cannot be read, or holds nothing.
    """
    kind = path.suffix.lower()
    if path.is_dir():
        yield _gathered(walk(path), path)
    elif not path.exists():
        raise DojoError(f"{path}: no such file or folder")
    elif kind == ".csv":
        table = read_table(path)
        notes = [table.guess] if table.guess else []
        yield _collected(path, _listed(path, table), Found("a CSV of paths", lambda _: None), notes)
    elif kind == ".zip":
        with closing(Archive(path)) as archive:
            yield _gathered(archive.items(), path)
    else:
        hint = "; for one file there is `dojo grade`" if kind in SUFFIXES else ""
        hint = "; unpack it, and give the folder" if kind in _ARCHIVES else hint
        raise DojoError(f"{path}: neither a folder, a .zip nor a .csv{hint}")


def _gathered(found: Iterable[Item], root: Path) -> Collected:
    items = list(found)
    layout = layout_of(items, root.name, packed=root.is_file())
    heaps: dict[str, _Heap] = {}
    for item in items:
        person = layout.place_of(item)
        if person is None or not is_visible(item.parts[: person.depth]):
            continue
        source = printable("/".join([str(root), *item.parts[: person.depth]]))
        heap = heaps.setdefault(person.name, _Heap(person, source))
        if heap.person.extra and not person.extra:
            heap.person, heap.source = person, source  # what is graded, not what was typed in beside it
        heap.person = replace(heap.person, marked_late=heap.person.marked_late or person.marked_late)
        if not person.extra:
            if len(item.parts) > person.depth or item.is_folder:
                heap.folders.add(item.parts[person.depth - 1])
            elif _suffix(item) in SUFFIXES:
                heap.folders.add("")
        _put(heap, item)
    _refuse_doubles(heaps.values())
    return _collected(root, heaps.values(), layout)


def _refuse_doubles(heaps: Iterable[_Heap]) -> None:
    """Work of one person in two folders, or under two names: nobody knows which one counts, so none is graded."""
    owners: dict[str, list[_Heap]] = defaultdict(list)
    for heap in heaps:
        person = heap.person
        who = {number for _, number in person.members if number} or {person.student_id or person.name}
        for number in who:
            # A student of nbgrader has several assignments: STUDENT/ASSIGNMENT is what is handed in once.
            owners[person.name if "/" in person.name else number].append(heap)
    for number, held in owners.items():
        places = [place for heap in held for place in heap.folders]
        if len(held) > 1 or len(places) > 1:
            names = sorted({place or heap.person.name for heap in held for place in heap.folders or {heap.person.name}})
            for heap in held:
                heap.files.clear()
                listed = " and ".join(map(printable, names[:4]))
                told = f"{listed} are of one person, {printable(number)}"
                heap.problems.append(f"{told}: nobody knows which one counts, so none is graded")


def _put(heap: _Heap, item: Item) -> None:
    if item.is_folder or not item.is_visible:
        return
    if item.problem:
        heap.problems.append(f"{item.label}: {item.problem}")
    elif _suffix(item) in SUFFIXES:
        heap.files.append(item)
    else:
        heap.others.append(item.parts[-1])


def _suffix(item: Item) -> str:
    return PurePosixPath(item.parts[-1]).suffix.lower()


def _as_submission(heap: _Heap) -> Submission:
    problems = list(heap.problems)
    files = heap.files
    if len(files) > MOST_FILES:
        problems.append(f"{len(files)} files; of one person at most {MOST_FILES} are graded, so hand in fewer")
        files = []
    if not files and not problems:
        problems.append(f"no .py or .ipynb file{_told(heap.others)}")
    ordered = tuple(sorted(files, key=lambda item: item.parts))
    return Submission(printable(heap.person.name), heap.source, heap.person, ordered, tuple(problems))


def _told(others: list[str]) -> str:
    if not others:
        return " was handed in"
    packed = any(PurePosixPath(name).suffix.lower() in _ARCHIVES for name in others)
    shown = ", ".join(printable(name) for name in sorted(others)[:3]) + (", ..." if len(others) > 3 else "")
    return f", only {shown}" + ("; an archive is not opened, so hand in the file itself" if packed else "")


def _listed(path: Path, table: Table) -> Iterable[_Heap]:
    """Submissions from a CSV with a column for the name and one for the path, which is relative to the CSV."""
    rows = table.rows
    columns = {name.lower(): name for name in table.columns if rows}
    name_column = next((columns[name] for name in _NAME_COLUMNS if name in columns), None)
    path_column = next((columns[name] for name in _PATH_COLUMNS if name in columns), None)
    if name_column is None or path_column is None:
        raise DojoError(
            f"{path}: its first line must name a column for the person ({', '.join(_NAME_COLUMNS)}) and one for the "
            f"file or folder ({', '.join(_PATH_COLUMNS)}), and rows must follow"
        )
    heaps: dict[str, _Heap] = {}
    for row in rows:
        name, place = row[name_column], row[path_column]
        if not name and not place:
            continue  # spreadsheets end a table with rows of commas
        if not name or not place:
            missing = path_column if name else name_column
            raise DojoError(f"{path}: the row of {printable(name or place)} has no {missing}; fill it in")
        heap = heaps.setdefault(name, _Heap(Person(name, name, name), printable(place)))
        _put_path(heap, path.parent / place, place)
    return heaps.values()


def _put_path(heap: _Heap, target: Path, place: str) -> None:
    label = printable(place)
    if target.is_dir():
        for item in walk(target):
            _put(heap, replace(item, label=f"{label}/{item.label}"))
    elif target.exists():
        _put(heap, Item((target.name,), label, partial(read_plain_file, target, label)))
    else:
        heap.problems.append(f"{label}: no such file or folder")


def _collected(path: Path, heaps: Iterable[_Heap], layout: Found, notes: Iterable[str] = ()) -> Collected:
    found: dict[str, Submission] = {}
    for submission in map(_as_submission, heaps):
        name, number = submission.name, 1
        while name in found:  # two names that differ only in characters that cannot be shown
            number += 1
            name = f"{submission.name} ({number})"
        found[name] = replace(submission, name=name)
    if not found:
        raise DojoError(f"{path}: holds no submission")
    notes = list(notes)
    if layout.odd:
        listed = ", ".join(map(printable, layout.odd[:_MOST_ODD])) + (", ..." if len(layout.odd) > _MOST_ODD else "")
        notes.append(f"the layout is {layout.name}; not in its form, so taken as they are: {listed}")
    return Collected((found[name] for name in sorted(found)), layout.name, notes)
