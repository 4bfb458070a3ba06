"""A class of sixty as each course's software hands it over, and the rosters that belong to it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from people import BATCHNORM, NOT_EVEN_UTF_8, RIGHT, WRONG, hand_in, zipped

from grader.batch.person import Outcome, Task, Terms, grade_person
from grader.judging.grade import Grader

COUNT = 60
FIRST = "Ada Bo Cy Dee Eve Fay Gus Hal Ida Joé".split()
LAST = "Lee Xu Day O'Hara van_der_Berg Müller".split()
TITLE = "Homework 3"
ASSIGNMENT = f"""[tool.dojo.assignment]
title = "{TITLE}"
exercises = ["makemore/ex2", "makemore/ex3"]
points = 10
due = 2026-01-05T12:00:00
time-zone = "UTC"

[tool.dojo.assignment.late]
per-day = 0.1
"""


@dataclass(frozen=True)
class Person:
    """One of the class, what was handed in, and the grade of 10 that this is worth; None for nobody's work."""

    number: int
    files: dict[str, str | bytes]
    late: bool
    points: float
    refused: bool = False

    @property
    def first(self) -> str:
        return FIRST[self.number % len(FIRST)]

    @property
    def last(self) -> str:
        return LAST[self.number // len(FIRST)]

    @property
    def id(self) -> str:
        return str(1000 + self.number)

    @property
    def grade(self) -> float:
        return round(self.points * (0.9 if self.late else 1), 2)


def sixty() -> list[Person]:
    """Both right, one right, the other, one missing, a broken file beside a good one, nothing that can be read."""
    kinds: list[tuple[dict[str, str | bytes], float, bool]] = [
        ({"ex2.py": RIGHT, "ex3.py": BATCHNORM}, 10, False),
        ({"ex2.py": WRONG, "ex3.py": BATCHNORM}, 5, False),
        ({"ex2.py": RIGHT}, 5, False),
        ({"ex3.py": BATCHNORM, "ex2.py": NOT_EVEN_UTF_8}, 5, False),
        ({"ex2.py": NOT_EVEN_UTF_8}, 0, True),
        ({"ex2.py": WRONG}, 0, False),
    ]
    people = []
    for number in range(COUNT):
        files, points, refused = kinds[number % len(kinds)]
        people.append(Person(number, files, number % 5 == 4, points, refused))
    return people


def moodle(folder: Path, tail: str = "") -> Path:
    files: dict[str, str | bytes] = {}
    for one in sixty():
        top = f"{one.first} {one.last.replace('_', ' ')}_{one.id}_assignsubmission"
        files |= {f"{top}_file{tail}/{name}": content for name, content in one.files.items()}
        if one.number % 7 == 0:
            files[f"{top}_onlinetext{tail}/onlinetext.html"] = "<p>see my files</p>"
    return zipped(folder / "moodle.zip", files)


def moodle_before_4_1(folder: Path) -> Path:
    return moodle(folder, "_")


def canvas(folder: Path) -> Path:
    files: dict[str, str | bytes] = {"17_text.html": "odd", "by_mail.py": RIGHT}
    for one in sixty():
        who = f"{one.last}{one.first}".lower().replace("'", "") + ("_LATE" if one.late else "")
        for place, (name, content) in enumerate(one.files.items()):
            files[f"{who}_{one.id}_{50000 + 10 * one.number + place}_{name}"] = content
        if one.number % 7 == 0:
            files[f"{who}_{one.id}_text.html"] = "<p>see my files</p>"
        if one.number % 11 == 0:
            files[f"{who}_{one.id}_link.html"] = "<a>there</a>"
    return zipped(folder / "canvas.zip", files)


def gradescope(folder: Path) -> Path:
    """One submission each; whose number divides by 10 is in a group with the next."""
    files: dict[str, str | bytes] = {}
    people, lines = sixty(), ["---"]
    for one in people:
        if one.number % 10 == 1:
            continue
        group = [one, people[one.number + 1]] if one.number % 10 == 0 else [one]
        lines += [f"submission_{one.id}:", "  :submitters:"]
        for member in group:
            lines += [f"  - :name: {member.first} {member.last}", f"    :sid: '{member.id}'"]
            lines.append("    :email: x@example.org")
        lines.append(f"  :created_at: 2026-01-0{5 if one.late else 4} 18:00:00.000000000 Z")
        files |= {f"assignment_9_export/submission_{one.id}/{name}": content for name, content in one.files.items()}
    files["assignment_9_export/submission_metadata.yml"] = "\n".join(lines) + "\n"
    return zipped(folder / "gradescope.zip", files)


def nbgrader(folder: Path) -> Path:
    files: dict[str, str | bytes] = {}
    for one in sixty():
        top = f"submitted/{one.id}/ps1"
        files |= {f"{top}/{name}": content for name, content in one.files.items()}
        files[f"{top}/timestamp.txt"] = f"2026-01-0{5 if one.late else 4} 18:00:00.000000 UTC"
    return hand_in(folder / "course", files)


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "Moodle": moodle, "Moodle before 4.1": moodle_before_4_1, "Canvas": canvas, "Gradescope": gradescope,
    "nbgrader": nbgrader,
}  # fmt: skip


def canvas_roster(folder: Path) -> Path:
    """As Canvas exports it, with another assignment whose name begins alike, and one who handed in nothing."""
    rows = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", f"{TITLE} (practice) (7)", f"{TITLE} (8)"],
        ["    Points Possible", "", "", "", "", "5", "10"],
        *([f"{p.last}, {p.first}", p.id, f"A-{p.id}", f"u{p.id}", "S1", "", ""] for p in sixty()),
        ["Nobody, Here", "999", "A-999", "u999", "S1", "", ""],
    ]
    return _written(folder / "gradebook.csv", rows)


def moodle_worksheet(folder: Path) -> Path:
    """As a German Moodle exports it."""
    rows = [
        "Kennung,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Bestwertung,Bewertung kann geändert werden,"
        "Zuletzt geändert (Abgabe),Zuletzt geändert (Bewertung),Feedback als Kommentar".split(","),
        *(
            [f"Teilnehmer/in {p.id}", f"{p.first} {p.last}", "", "x", "", "10,00", "Ja", _on(4 + p.late), "-", ""]
            for p in sixty()
        ),
        ["Teilnehmer/in 999", "Nobody Here", "", "x", "", "10,00", "Ja", "-", "-", ""],
    ]
    return _written(folder / "worksheet.csv", rows)


def _on(day: int) -> str:
    return f"{('Sonntag', 'Montag')[day - 4]}, {day}. Januar 2026, 18:00"


def _written(path: Path, rows: list[list[str]]) -> Path:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path.write_text("\ufeff" + text.getvalue(), encoding="utf-8")
    return path


# ---- Grading, where many hand in the same ----


@dataclass
class OnceEach:
    """In the place of the processes that grade: of those who handed in the same files, the first is graded."""

    grader: Grader
    where: str = "this process"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.known: dict[tuple[tuple[str, bytes], ...], tuple[Task, str]] = {}

    def level(self, asked: str, required: str | None) -> str:
        return "basic"

    def begin(self, terms: Terms) -> str:
        self.terms = terms
        return "basic"

    def outcomes(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        for task in tasks:
            content = tuple((label[-6:], content) for label, content in task.files)  # of each label the name, ex2.py
            if task.problems:
                yield grade_person(self.grader, task, self.terms)
                continue
            if content not in self.known:
                self.known[content] = task, json.dumps(grade_person(self.grader, task, self.terms).report)
            first, text = self.known[content]
            for (theirs, _), (ours, _) in zip(first.files, task.files, strict=True):
                text = text.replace(json.dumps(theirs)[1:-1], json.dumps(ours)[1:-1])
            yield Outcome(task.submission, json.loads(text))

    def close(self) -> None:
        pass
