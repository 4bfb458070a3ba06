"""Gradebooks: whose a submission is, what Canvas and Moodle read, and what is said of the others."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from grader.base.errors import DojoError
from grader.classroom.gradebook import canvas_gradebook, moodle_gradebook
from grader.classroom.roster import Matches, match, read_roster
from grader.classroom.statistics import CourseSummary, ExerciseSummary, Student

CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Homework 3 (1234),Final Score
    Points Possible,,,,,100,(read only)
"Lovelace, Ada",101,A-1,ada@uni.example,S1,,
"Hopper, Grace",102,A-2,grace@uni.example,S1,,
"Müller-Lüdenscheid, Ann",103,A-3,ann@uni.example,S2,,
"Hall, Anna",104,A-4,anna@uni.example,S2,,
"Hall, Anna",105,A-5,anna2@uni.example,S2,,
"Student, Test",999,,x,S1,,
"""
PARTICIPANTS = """\
\ufeffFirst name;Last name;ID number;Email address;Department
Ada;Lovelace;A-1;ada@uni.example;CS
Grace;Hopper;A-2;grace@uni.example;CS
"""
WORKSHEET = """\
Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Feedback comments
Participant 101,Ada Lovelace,ada@uni.example,Submitted for grading,,100.00,Yes,"<b>=1+1</b>"
Participant 102,Grace Hopper,grace@uni.example,No submission,,100.00,Yes,
"""


def student(submission: str, score: int = 20, name: str = "", number: str = "", status: str = "graded") -> Student:
    scores = {"makemore/ex1_atoms": score} if status == "graded" else {}
    return Student(submission, name, number, status, "results/x.json", 0.2, scores=scores)


def course_of(*students: Student) -> CourseSummary:
    first = ExerciseSummary("makemore/ex1_atoms", "One", max_score=26)
    second = ExerciseSummary("makemore/ex2_cross_entropy", "Two", max_score=1)
    return CourseSummary(students=list(students), exercises={first.id: first, second.id: second})


@pytest.fixture
def roster_file(tmp_path: Path) -> Path:
    path = tmp_path / "roster.csv"
    path.write_text(CANVAS, encoding="utf-8")
    return path


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def matched(path: Path, *students: Student) -> tuple[Matches, list[str]]:
    matches = match(students, read_roster(path))
    return matches, [person.row["ID"] for _, person in sorted(matches.people.items())]


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (student("lovelaceada_101", name="lovelaceada", number="101"), "id"),
        (student("A-1"), "id"),
        (student("ADA@uni.example"), "login"),
        (student("Ada Lovelace"), "name"),
        (student("lovelace_ada"), "name"),
        (student("Lovelace, Ada"), "name"),
        (student("folder7", name="Ada Lovelace"), "name"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.submission,
)
def test_a_person_is_known_by_id_login_or_name(roster_file: Path, one: Student, kind: str) -> None:
    matches, people = matched(roster_file, one)
    assert people == ["101"]
    assert matches.by == {kind: 1}
    assert "Hopper, Grace" in [person.name for person in matches.absent]
    assert "Lovelace, Ada" not in [person.name for person in matches.absent]


def test_a_name_may_have_marks_and_hyphens(roster_file: Path) -> None:
    assert matched(roster_file, student("Ann Mu\u0308ller Lu\u0308denscheid"))[1] == ["103"]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (student("nobody"), "nobody on the roster"),
        (student("Ada"), "nobody on the roster"),
        (student("10"), "nobody on the roster"),
        (student("Anna Hall"), "fits several people: Hall, Anna, Hall, Anna"),
        (student("x", name="Grace Hopper", number="101"), "fits several people: Hopper, Grace, Lovelace, Ada"),
        (student("999"), "nobody on the roster"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.submission} {value.student}",
)
def test_nothing_is_guessed(roster_file: Path, one: Student, reason: str) -> None:
    matches, people = matched(roster_file, one)
    assert people == []
    ((unmatched, said),) = matches.unmatched
    assert unmatched is one
    assert said.startswith(reason)


def test_an_id_tells_namesakes_apart(roster_file: Path) -> None:
    assert matched(roster_file, student("hallanna_105", name="hallanna", number="105"))[1] == ["105"]


def test_two_submissions_of_one_person_are_both_left_out(roster_file: Path) -> None:
    matches, people = matched(roster_file, student("101"), student("Ada Lovelace"), student("102"))
    assert people == ["102"]
    assert {one.submission for one, _ in matches.unmatched} == {"101", "Ada Lovelace"}
    assert all("2 submissions fit Lovelace, Ada" in reason for _, reason in matches.unmatched)


def test_canvas_gets_its_own_columns_and_scale(roster_file: Path) -> None:
    summary = course_of(
        student("101", 27), student("grace@uni.example", 9), student("stranger"), student("104", status="refused")
    )
    gradebook = canvas_gradebook(summary, "Homework 3", read_roster(roster_file), None)
    assert rows(gradebook.text) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework 3 (1234)"],
        ["    Points Possible", "", "", "", "", "100"],
        ["Lovelace, Ada", "101", "A-1", "ada@uni.example", "S1", "100"],
        ["Hopper, Grace", "102", "A-2", "grace@uni.example", "S1", "33.33"],
    ]
    said = "\n".join(gradebook.remarks)
    assert "matched 3 of 4 submissions with the roster (2 by id, 1 by login)" in said
    assert "not matched: 1\n  stranger (nobody on the roster" in said
    assert "on the roster without a submission: 2\n  Müller-Lüdenscheid, Ann\n  Hall, Anna" in said
    assert "no grade written, look at them yourself: 1\n  104 (refused)" in said
    assert "points possible: 27 (makemore/ex1 26, makemore/ex2 1), scaled to 100" in said


def test_a_new_assignment_counts_points(roster_file: Path) -> None:
    gradebook = canvas_gradebook(course_of(student("101", 20)), "Dojo", read_roster(roster_file), None)
    assert [row[-1] for row in rows(gradebook.text)] == ["Dojo", "27", "20"]
    scaled = canvas_gradebook(course_of(student("101", 20)), "Dojo", read_roster(roster_file), 10)
    assert [row[-1] for row in rows(scaled.text)] == ["Dojo", "10", "7.41"]


def test_canvas_without_a_roster_takes_the_ids_of_its_download() -> None:
    summary = course_of(
        student("hopper_102", 9, "hopper", "102"), student("=cmd", 9, "=cmd", "7"), student("ada", 9, "ada", "ada")
    )
    gradebook = canvas_gradebook(summary, "Dojo", None, None)
    assert [row[:2] for row in rows(gradebook.text)[2:]] == [["hopper", "102"], ["'=cmd", "7"]]
    assert "has no id in its name: 1\n  ada" in "\n".join(gradebook.remarks)
    with pytest.raises(DojoError, match="add --roster FILE"):
        canvas_gradebook(course_of(student("ada", 9, "ada", "ada")), "Dojo", None, None)


def test_moodle_gets_what_identifies_a_person_and_the_grade(tmp_path: Path) -> None:
    path = tmp_path / "participants.csv"
    path.write_text(PARTICIPANTS, encoding="utf-8")
    gradebook = moodle_gradebook(course_of(student("Hopper Grace", 9)), "Dojo", read_roster(path), None)
    assert rows(gradebook.text) == [
        ["First name", "Last name", "ID number", "Email address", "Dojo"],
        ["Grace", "Hopper", "A-2", "grace@uni.example", "9"],
    ]


def test_a_grading_worksheet_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "worksheet.csv"
    path.write_text(WORKSHEET, encoding="utf-8")
    summary = course_of(student("Ada Lovelace_101", 27, "Ada Lovelace", "101"))
    gradebook = moodle_gradebook(summary, "Dojo", read_roster(path), None)
    before, after = rows(WORKSHEET), rows(gradebook.text)
    before[1][4] = "100"
    assert after == before
    assert "scaled to 100" in gradebook.remarks[-1]


def test_moodle_without_a_roster_says_what_stands_there() -> None:
    gradebook = moodle_gradebook(course_of(student("Ada_101", 9, "Ada Lovelace", "101")), "Dojo", None, None)
    assert rows(gradebook.text) == [["Identifier", "Full name", "Dojo"], ["101", "Ada Lovelace", "9"]]
    assert gradebook.remarks[0].startswith("no --roster: Identifier is what the submissions are called")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no column says who is who"),
        ("", "no column says who is who"),
        ("Student,ID\n" + "x" * 200_000 + ",1\n", "not a CSV file"),
    ],
)
def test_a_file_that_is_no_roster(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DojoError, match=words):
        read_roster(path)


def test_a_roster_of_the_other_kind(tmp_path: Path, roster_file: Path) -> None:
    path = tmp_path / "participants.csv"
    path.write_text(PARTICIPANTS, encoding="utf-8")
    with pytest.raises(DojoError, match="no columns Student and ID"):
        canvas_gradebook(course_of(student("A-1")), "Dojo", read_roster(path), None)
    path.write_text("First name,Last name\nAda,Lovelace\n", encoding="utf-8")
    with pytest.raises(DojoError, match="by which Moodle knows people"):
        moodle_gradebook(course_of(student("Ada Lovelace")), "Dojo", read_roster(path), None)


def test_without_a_grade_there_is_no_gradebook(roster_file: Path) -> None:
    with pytest.raises(DojoError, match="nothing for a gradebook"):
        canvas_gradebook(CourseSummary(), "Dojo", read_roster(roster_file), None)
