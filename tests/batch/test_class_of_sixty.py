"""A class of sixty in each layout: from what the course's software hands over to the gradebook and the feedback zip."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from dojo import dojo, dojo_here
from people import NOT_EVEN_UTF_8, index
from sixty import ASSIGNMENT, COUNT, LAYOUTS, TITLE, OnceEach, Person, canvas_roster, moodle_worksheet, sixty

from grader.batch import run
from grader.classroom.feedback import page_name
from grader.judging.grade import Grader

TOLD = {
    "Moodle": "Moodle's",
    "Moodle before 4.1": "Moodle's",
    "Canvas": "Canvas's",
    "Gradescope": "Gradescope's",
    "nbgrader": "nbgrader's",
}


WHOLLY = "nbgrader"
"""Everybody in this layout is graded, by `dojo batch` in a process of its own; in the others each text once."""


@pytest.fixture(scope="module")
def once_each(grader: Grader) -> OnceEach:
    return OnceEach(grader)


@pytest.fixture(scope="module", params=LAYOUTS)
def graded(
    request: pytest.FixtureRequest, once_each: OnceEach, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, str]:
    """The layout, the folder with `out/`, and what was said."""
    folder = tmp_path_factory.mktemp("class")
    (folder / "hw3.toml").write_text(ASSIGNMENT)
    make: Callable[[Path], Path] = LAYOUTS[request.param]
    handed = make(folder).relative_to(folder)
    call = ("batch", handed, "--out", "out", "--assignment", "hw3.toml", "--isolation", "basic", "--seed", "7")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "scheduler_for", lambda options: once_each)
        ran = (dojo if request.param == WHOLLY else dojo_here)(folder, *call, "--feedback", "pages")
    assert ran.returncode == 0, ran.stderr
    return request.param, folder, ran.stdout + ran.stderr


def everyone(layout: str, *, worksheet: bool = False) -> list[Person]:
    """The work that counts for each. In Gradescope the second of a pair has the first's; Moodle's download tells no
    times, and its worksheet does.
    """
    people = sixty()
    if layout.startswith("Moodle") and not worksheet:
        people = [replace(person, late=False) for person in people]
    if layout == "Gradescope":
        people = [people[p.number - 1] if p.number % 10 == 1 else p for p in people]
    return people


def summary(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    ran = dojo_here(folder, "summary", "out", "--feedback", "pages", *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran


def test_everyone_is_found_once_and_gets_what_the_work_is_worth(graded: tuple[str, Path, str]) -> None:
    layout, folder, said = graded
    entries = index(folder / "out")
    groups = COUNT // 10 if layout == "Gradescope" else 0
    odd = 2 if layout == "Canvas" else 0
    assert len(entries) == COUNT - groups + odd
    assert f"layout: {TOLD[layout]}" in said
    people = {person.id: person for person in sixty()}
    found = 0
    for entry in entries:
        number = str(entry["student_id"])
        if number not in people:
            assert odd
            continue
        found += 1
        assert entry["status"] == ("refused" if people[number].refused else "graded"), entry
    assert found == COUNT - groups


def test_the_gradebook_of_canvas_holds_the_grade_of_each_person(graded: tuple[str, Path, str]) -> None:
    layout, folder, _ = graded
    ran = summary(folder, "--canvas", "canvas.csv", "--roster", canvas_roster(folder))
    with (folder / "canvas.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-1] == f"{TITLE} (8)"
    found = {row["ID"]: float(row[f"{TITLE} (8)"]) for row in rows if row["ID"]}
    wanted = {sixty()[place].id: person.grade for place, person in enumerate(everyone(layout))}
    assert found == wanted | {"999": 0.0}, ran.stdout
    assert "Nobody" in ran.stdout
    untold = "when 50 of 60 were handed in is not known" if layout.startswith("Moodle") else "note:"
    assert (untold in ran.stdout) == layout.startswith("Moodle")


def test_the_worksheet_of_moodle_comes_back_with_grades_and_comments(graded: tuple[str, Path, str]) -> None:
    layout, folder, _ = graded
    summary(folder, "--moodle", "moodle.csv", "--roster", moodle_worksheet(folder))
    with (folder / "moodle.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {row["Kennung"].split()[-1]: float(row["Bewertung"].replace(",", ".")) for row in rows}
    wanted = {sixty()[place].id: person.grade for place, person in enumerate(everyone(layout, worksheet=True))}
    assert found == wanted | {"999": 0.0}
    refused = {f"Teilnehmer/in {person.id}" for person in everyone(layout) if person.refused}
    for row in rows:
        if row["Kennung"] != "Teilnehmer/in 999":
            said = row["Feedback als Kommentar"]
            assert said
            person = everyone(layout)[int(row["Kennung"].split()[-1]) - 1000]
            assert "not handed in" not in said or NOT_EVEN_UTF_8 not in person.files.values()
            assert row["Kennung"] not in refused or (said.startswith("Not graded: ") and "not handed in" not in said)


def test_each_person_has_a_page_and_the_zip_has_the_names_of_the_download(graded: tuple[str, Path, str]) -> None:
    layout, folder, _ = graded
    entries = index(folder / "out")
    assert len(list((folder / "pages").glob("*.html"))) == len(entries)
    people = {sixty()[place].id: person for place, person in enumerate(everyone(layout))}
    for entry in entries:
        page = (folder / "pages" / page_name(str(entry["submission"]))).read_text(encoding="utf-8")
        if person := people.get(str(entry["student_id"])):
            assert f"<strong>{person.grade:g} of 10</strong>" in page
            assert ("Late:" in page) == person.late
            assert ("not handed in" in page) == (set(person.files) == {"ex2.py"} and not person.refused)
            assert ("no file could be graded as it" in page) == (NOT_EVEN_UTF_8 in person.files.values())
    if layout.startswith("Moodle"):
        tail = "_" if "before" in layout else ""
        with ZipFile(folder / "pages" / "feedback-for-moodle.zip") as archive:
            names = archive.namelist()
        assert len(names) == COUNT
        assert all(name.endswith(f"_assignsubmission_file{tail}/feedback.html") for name in names)
        with ZipFile(folder / "moodle.zip") as archive:
            handed = {name.split("/")[0] for name in archive.namelist()}
        assert {name.split("/")[0] for name in names} <= handed
    if layout == "Canvas":
        with ZipFile(folder / "pages" / "feedback-for-canvas.zip") as archive:
            names = archive.namelist()
        with ZipFile(folder / "canvas.zip") as archive:
            assert set(names) <= set(archive.namelist())
        assert len(names) == COUNT


def test_the_worksheet_of_moodle_tells_who_was_late_on_the_pages_too(graded: tuple[str, Path, str]) -> None:
    layout, folder, _ = graded
    if not layout.startswith("Moodle"):
        pytest.skip("this layout tells it itself")
    ran = dojo_here(folder, "feedback", "out", "--out", "in-time", "--roster", moodle_worksheet(folder))
    assert ran.returncode == 0, ran.stderr
    assert "'Zuletzt geändert (Abgabe)', and is taken as the time of UTC" in ran.stdout
    people = {person.id: person for person in sixty()}
    for entry in index(folder / "out"):
        page = (folder / "in-time" / page_name(str(entry["submission"]))).read_text(encoding="utf-8")
        person = people[str(entry["student_id"])]
        assert f"<strong>{person.grade:g} of 10</strong>" in page
        assert ("Late:" in page) == person.late
