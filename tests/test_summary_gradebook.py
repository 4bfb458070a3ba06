"""Gradebooks: whose a submission is, what Canvas and Moodle read, and what is said of the others."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grader.base.errors import DojoError
from grader.classroom.dates import moments
from grader.classroom.gradebook import canvas_gradebook, moodle_gradebook
from grader.classroom.overrides import Override
from grader.classroom.roster import Matches, match, read_roster, take_times
from grader.classroom.statistics import CourseSummary, ExerciseSummary, Student
from grader.report.assignment import Assignment, Lateness, LatePolicy

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


def course_of(
    *students: Student, title: str = "Dojo", stated: bool = False, points: int | None = None
) -> CourseSummary:
    first = ExerciseSummary("makemore/ex1_atoms", "One", max_score=26, labels={"logits": "dlogits", "h": "dh"})
    second = ExerciseSummary("makemore/ex2_cross_entropy", "Two", max_score=1)
    found = {first.id: first, second.id: second}
    return CourseSummary(list(students), found, assignment=Assignment(tuple(found), title, points, stated=stated))


@pytest.fixture
def roster_file(tmp_path: Path) -> Path:
    path = tmp_path / "roster.csv"
    path.write_text(CANVAS, encoding="utf-8")
    return path


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def matched(path: Path, *students: Student) -> tuple[Matches, list[str]]:
    matches = match(students, read_roster(path))
    people = read_roster(path).people
    return matches, [people[place].cells["ID"] for place in sorted(matches.people)]


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
    assert 1 in matches.absent
    assert 0 not in matches.absent


def test_a_name_may_have_marks_and_hyphens(roster_file: Path) -> None:
    assert matched(roster_file, student("Ann Mu\u0308ller Lu\u0308denscheid"))[1] == ["103"]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (student("nobody"), "nobody on the roster"),
        (student("Ada"), "nobody on the roster"),
        (student("10"), "nobody on the roster"),
        (
            student("Anna Hall"),
            "fits several people: Hall, Anna (anna2@uni.example), Hall, Anna (anna@uni.example); neither",
        ),
        (student("x", name="Grace Hopper", number="101"), "fits several people: Hopper, Grace, Lovelace, Ada"),
        (student("999"), "nobody on the roster"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.submission} {value.student}",
)
def test_nothing_is_guessed(roster_file: Path, one: Student, reason: str) -> None:
    matches, people = matched(roster_file, one)
    assert people == []
    ((unmatched, said),) = matches.unmatched
    assert unmatched == one.submission
    assert said.startswith(reason)


def test_an_id_tells_namesakes_apart(roster_file: Path) -> None:
    assert matched(roster_file, student("hallanna_105", name="hallanna", number="105"))[1] == ["105"]


def test_two_submissions_of_one_person_are_both_left_out(roster_file: Path) -> None:
    matches, people = matched(roster_file, student("101"), student("Ada Lovelace"), student("102"))
    assert people == ["102"]
    assert {called for called, _ in matches.unmatched} == {"101", "Ada Lovelace"}
    assert all("2 submissions fit Lovelace, Ada" in reason for _, reason in matches.unmatched)


def test_canvas_gets_its_own_columns_and_is_told_the_points(roster_file: Path) -> None:
    students = (
        student("101", 27),
        student("grace@uni.example", 9),
        student("stranger"),
        student("104", status="refused"),
    )
    gradebook = canvas_gradebook(course_of(*students, title="Homework 3"), read_roster(roster_file))
    assert rows(gradebook.text) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework 3 (1234)"],
        ["    Points Possible", "", "", "", "", "27"],
        ["Lovelace, Ada", "101", "A-1", "ada@uni.example", "S1", "27"],
        ["Hopper, Grace", "102", "A-2", "grace@uni.example", "S1", "9"],
    ]
    said = "\n".join(gradebook.remarks)
    assert "matched 3 of 4 submissions with the roster (2 by id, 1 by login)" in said
    assert "not matched: 1\n  stranger (nobody on the roster" in said
    assert "on the roster, and no submission was matched: 2\n  Müller-Lüdenscheid, Ann\n  Hall, Anna" in said
    assert "no grade written, look at them yourself: 1\n  104 (refused)" in said
    assert "Canvas will change the points possible of 'Homework 3 (1234)' from 100 to 27" in said


def test_grades_are_scaled_to_the_stated_assignment_and_what_is_missing_counts_0(roster_file: Path) -> None:
    text = CANVAS.replace("A-3,ann@uni.example,S2,,", "A-3,ann@uni.example,S2,EX,")
    roster_file.write_text(text, encoding="utf-8")
    students = student("101", 27), student("102", 9), student("104", status="refused")
    summary = course_of(*students, title="Homework 3", stated=True, points=100)
    summary.students[1].late = Lateness(0.2, "2 d late")
    gradebook = canvas_gradebook(summary, read_roster(roster_file))
    assert [(row[1], row[-1]) for row in rows(gradebook.text)[1:]] == [
        ("", "100"), ("101", "100"), ("102", "26.66"), ("104", "0"), ("105", "0"),
    ]  # fmt: skip
    said = "\n".join(gradebook.remarks)
    assert "Canvas will change" not in said
    assert "0 is written for those of them who have no grade yet: 1\n  Hall, Anna" in said, "and one is excused"
    assert "late: 1\n  102: 26.66 in place of 33.33 (2 d late)" in said
    assert "not graded, so 0 is written: 1\n  104 (refused)" in said


@pytest.mark.parametrize(
    ("called", "said"),
    [
        ("Anna Hall", "fits several people: Hall, Anna (anna2@uni.example), Hall, Anna (anna@uni.example); neither"),
        ("Ada Lovelace", "Lovelace, Ada (ada@uni.example) stands there twice; neither a grade nor a 0"),
    ],
)
def test_nobody_gets_0_whom_a_submission_fits(roster_file: Path, called: str, said: str) -> None:
    roster_file.write_text(CANVAS + '"Lovelace, Ada",101,A-1,ada@uni.example,S2,,\n', encoding="utf-8")
    summary = course_of(student("102", 9), student(called), title="Homework 3", stated=True)
    gradebook = canvas_gradebook(summary, read_roster(roster_file))
    zeros = {row[1] for row in rows(gradebook.text) if row[-1] == "0"}
    assert zeros == {"101", "103", "104", "105"} - ({"104", "105"} if called == "Anna Hall" else {"101"})
    assert f"not matched: 1\n  {called} ({said}" in "\n".join(gradebook.remarks)


def test_nobody_gets_0_of_whom_something_is_known_that_is_no_result(roster_file: Path) -> None:
    group = replace(student("submission_3"), members=(("Ada Lovelace", "101"), ("Nobody", "7")))
    summary = course_of(student("102", 9), group, title="Homework 3", stated=True)
    summary.assignment = replace(summary.assignment, group="alone")
    summary.unread = [replace(student("104"), reason="results/104.json: missing")]
    gradebook = canvas_gradebook(summary, read_roster(roster_file))
    assert [row[1] for row in rows(gradebook.text)[2:]] == ["102", "103", "105"]
    said = "\n".join(gradebook.remarks)
    assert "no result, so neither a grade nor a 0 is written: 1\n  104 (results/104.json: missing)" in said
    summary.damaged = True
    gradebook = canvas_gradebook(summary, read_roster(roster_file))
    assert [row[1] for row in rows(gradebook.text)[2:]] == ["102"]
    assert "the results are damaged, see the notes below, so no 0 is written for them" in gradebook.remarks


def test_what_stands_there_is_kept_or_said(roster_file: Path) -> None:
    there = {"101": "EX", "102": "9.5", "103": "EX", "104": "7.00", "105": "EX"}
    people = "".join(f'"Student {number}",{number},{grade}\n' for number, grade in there.items())
    roster_file.write_text(f"Student,ID,Homework 3 (1)\n{people}", encoding="utf-8")
    by_hand = replace(student("105"), overrides=[Override("105", points=4)])
    students = [student("101"), student("102"), student("103", status="refused"), student("104", 7), by_hand]
    summary = course_of(*students, title="Homework 3", stated=True)
    gradebook = canvas_gradebook(summary, read_roster(roster_file))
    assert [(row[1], row[-1]) for row in rows(gradebook.text)[2:]] == [("102", "20"), ("104", "7"), ("105", "4")]
    said = "\n".join(gradebook.remarks)
    assert "kept as it stands there: 2\n  Student 101: EX\n  Student 103: EX" in said
    assert "so 0 is written" not in said
    assert "changed: 2\n  Student 102: 20 in place of 9.5\n  Student 105: 4 in place of EX" in said


def test_of_rows_that_are_not_written_nothing_is_said(roster_file: Path) -> None:
    late = replace(student("late_guy"), late=Lateness(0.2, "2 d late"), overrides=[Override("x", points=1)])
    summary = course_of(student("101"), late, student("doe", status="refused"), title="Homework 3", stated=True)
    said = "\n".join(canvas_gradebook(summary, read_roster(roster_file)).remarks)
    assert "not matched: 2\n  late_guy" in said
    assert not any(words in said for words in ("not graded, so 0", "\nlate: ", "overrides.toml"))


def test_a_roster_that_fits_nobody_makes_no_gradebook_of_zeros(roster_file: Path) -> None:
    summary = course_of(student("Bo Xu"), title="Homework 3", stated=True)
    with pytest.raises(DojoError, match=r"the roster of this course\? .*: Bo Xu \(nobody on the roster"):
        canvas_gradebook(summary, read_roster(roster_file))


def test_a_roster_of_excel_is_read_and_nobody_gets_0_whose_name_is_a_guess(roster_file: Path) -> None:
    for text, encoding in ((CANVAS, "cp1252"), (CANVAS.replace("Müller", "Wiśniewska"), "cp1250")):
        roster_file.write_bytes(text.encode(encoding))
        summary = course_of(student("Ada Lovelace"), title="Homework 3", stated=True)
        roster = read_roster(roster_file)
        assert "is read as Windows-1252" in roster.guess
        assert ("line 5: Müller-Lüdenscheid" if encoding == "cp1252" else "line 5: Wiœniewska-L") in roster.guess
        gradebook = canvas_gradebook(summary, roster)
        assert [row[1] for row in rows(gradebook.text)[2:]] == ["101", "102", "104", "105"]
        assert "their names may be misread, so no 0 is written for them: 1" in gradebook.remarks
    assert matched(roster_file, student("103"))[1] == ["103"]


HEAD = "Student,ID,SIS User ID,SIS Login ID,Section,"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("HW 1 (practice),HW 1 (practice) (7)", r"no column is called 'HW 1'.*HW 1 \(practice\) \(7\)"),
        ("HW 1 (7),HW 1 (8)", r"2 columns are called 'HW 1'.*HW 1 \(7\), HW 1 \(8\)"),
        ("HW 10 (7)", r"no column is called 'HW 1'"),
        ("hw 1 (7)", r"no column is called 'HW 1'"),
    ],
)
def test_a_column_is_matched_exactly_or_not_at_all(tmp_path: Path, columns: str, said: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(f"{HEAD}{columns}\nAda,101,,,,,\n", encoding="utf-8")
    with pytest.raises(DojoError, match=said):
        canvas_gradebook(course_of(student("101"), title="HW 1"), read_roster(path))
    path.write_text(f"{HEAD}{columns},HW 1 (9)\nAda,101,,,,,,\n".replace("HW 1 (7)", "x (7)").replace("HW 1 (8)", "x"))
    assert rows(canvas_gradebook(course_of(student("101"), title="HW 1"), read_roster(path)).text)[0][-1] == "HW 1 (9)"


def test_canvas_may_write_first_and_last_names(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(
        "\ufeffLastName,FirstName,ID,SIS User ID,SIS Login ID,Section,HW (7)\n,,,,,,Manual Posting\n"
        "    Points Possible,,,,,,27\nLovelace,Ada,101,A-1,ada,S1,\nStudent,Test,9,,x,S1,\n",
        encoding="utf-8",
    )
    gradebook = canvas_gradebook(course_of(student("Ada Lovelace", 9), title="HW", stated=True), read_roster(path))
    assert rows(gradebook.text) == [
        ["LastName", "FirstName", "ID", "SIS User ID", "SIS Login ID", "Section", "HW (7)"],
        ["    Points Possible", "", "", "", "", "", "27"],
        ["Lovelace", "Ada", "101", "A-1", "ada", "S1", "9"],
    ]
    assert not any("will change" in remark for remark in gradebook.remarks)


def test_a_gradebook_without_assignments_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text("Student,ID\nAda,101\n")
    assert rows(canvas_gradebook(course_of(student("101", 20)), read_roster(path)).text) == [
        [*HEAD.strip(",").split(",")[:2], "SIS User ID", "SIS Login ID", "Section", "Dojo"],
        ["    Points Possible", "", "", "", "", "27"],
        ["Ada", "101", "", "", "", "20"],
    ]


def test_of_a_group_everyone_gets_the_grade(roster_file: Path) -> None:
    group = student("submission_3", 9, "Ada Lovelace, Grace Hopper", "101")
    group.members = (("Ada Lovelace", "101"), ("Grace Hopper", "A-2"), ("Nobody", "7"))
    summary = course_of(group, title="Homework 3")
    gradebook = canvas_gradebook(summary, read_roster(roster_file))
    assert [(row[1], row[-1]) for row in rows(gradebook.text)[2:]] == [("101", "9"), ("102", "9")]
    assert "matched 1 of 1 submission, 2 people with the roster (2 by id)" in gradebook.remarks
    assert "  submission_3: Nobody (nobody on the roster has this id, login or name)" in gradebook.remarks
    matches = match([group], read_roster(roster_file), groups=False)
    said = "handed in by several people, and each was to work alone; neither a grade nor a 0 is written"
    assert (matches.people, matches.unmatched[0][1]) == ({}, said)


def test_canvas_without_a_roster_takes_the_ids_of_its_download() -> None:
    summary = course_of(
        student("hopper_102", 9, "hopper", "102"), student("=cmd", 9, "=cmd", "7"), student("ada", 9, "ada", "ada")
    )
    for layout in ("Gradescope's", "Moodle's", "Canvas's, anonymous", "a file or a folder for each person", ""):
        summary.layout = layout
        with pytest.raises(DojoError, match="no ids of Canvas; add --roster FILE"):
            canvas_gradebook(summary, None)
    summary.layout = "Canvas's"
    gradebook = canvas_gradebook(summary, None)
    assert [row[:2] for row in rows(gradebook.text)[2:]] == [["hopper", "102"], ["'=cmd", "7"]]
    assert "has no id in its name: 1\n  ada" in "\n".join(gradebook.remarks)
    with pytest.raises(DojoError, match="add --roster FILE"):
        canvas_gradebook(course_of(student("ada", 9, "ada", "ada")), None)


def test_moodle_gets_what_identifies_a_person_and_the_grade(tmp_path: Path) -> None:
    path = tmp_path / "participants.csv"
    path.write_text(PARTICIPANTS, encoding="utf-8")
    gradebook = moodle_gradebook(course_of(student("Hopper Grace", 9)), read_roster(path))
    assert rows(gradebook.text) == [
        ["First name", "Last name", "ID number", "Email address", "Dojo"],
        ["Grace", "Hopper", "A-2", "grace@uni.example", "9"],
    ]


GERMAN = """\
Kennung,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Bestwertung,Bewertung kann geändert werden,\
Zuletzt geändert (Abgabe),Zuletzt geändert (Bewertung),Feedback als Kommentar
Teilnehmer/in 101,Ada Lovelace,ada@uni.example,Zur Bewertung abgegeben,,"100,00",Ja,"Montag, 5. Januar 2026, 10:00",-,
Teilnehmer/in 102,Grace Hopper,grace@uni.example,Keine Abgabe,,"100,00",Ja,-,-,schon gesehen
Teilnehmer/in 103,Bo Xu,bo@uni.example,Keine Abgabe,,"100,00",Ja,-,-,
"""


@pytest.mark.parametrize("text", [WORKSHEET, GERMAN], ids=["English", "German"])
def test_a_grading_worksheet_of_any_language_comes_back_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "worksheet.csv"
    path.write_text(text, encoding="utf-8")
    one = student("Ada Lovelace_101", 26, "Ada Lovelace", "101")
    one.statuses = {"makemore/ex1_atoms": {"logits": "pass", "h": "wrong"}}
    with pytest.raises(DojoError, match="its grades go to 100, and the gradients are worth 27; state points = 100"):
        moodle_gradebook(course_of(one), read_roster(path))
    gradebook = moodle_gradebook(course_of(one, points=100), read_roster(path))
    before, after = rows(text), rows(gradebook.text)
    assert after[1][4] == ("96.3" if text is WORKSHEET else "96,3")
    before[1][4] = after[1][4]
    if text is GERMAN:
        assert after[1][-1] == "makemore/ex1: 26 of 26. Not right yet: dh. makemore/ex2: not handed in."
        before[1][-1] = after[1][-1]
    assert after == before
    stated = rows(moodle_gradebook(course_of(one, points=100, stated=True), read_roster(path)).text)
    assert stated[2][4] == "0", "she handed in nothing"


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("Wednesday, 14 October 2026, 11:58 PM", "2026-10-14 23:58"),
        ("Wednesday, October 14, 2026, 12:08 AM", "2026-10-14 00:08"),
        ("Montag, 5. Januar 2026, 10:00", "2026-01-05 10:00"),
        ("martes, 3 de marzo de 2026, 09:05", "2026-03-03 09:05"),
        ("středa, 14. června 2023, 23:58", "2023-06-14 23:58"),
        ("sobota, 14 listopada 2026, 23:58", "2026-11-14 23:58"),
        ("srijeda, 14. listopada 2026., 23:58", "2026-10-14 23:58"),
        ("2026年10月14日 星期三 23:58", "2026-10-14 23:58"),
        ("2026. október 14., szerda, 23:58", "2026-10-14 23:58"),
        ("10/14/2026, 23:58", "2026-10-14 23:58"),
        ("14 Brumaire 2026, 23:58", None),
        ("14 October 2026", None),
    ],
)
def test_a_time_of_a_worksheet_is_read_in_any_language(there: str, written: str | None) -> None:
    read = moments([there])
    assert (read[there].isoformat(" ", "minutes") if read else None) == written


def test_of_two_columns_of_times_the_first_is_that_of_the_submission(tmp_path: Path) -> None:
    path = tmp_path / "worksheet.csv"
    path.write_text(GERMAN.replace("Ja,-,-,schon", 'Ja,-,"Dienstag, 6. Januar 2026, 8:00",schon'), encoding="utf-8")
    roster = read_roster(path)
    assert roster.worksheet is not None
    assert roster.worksheet.handed_in == "Zuletzt geändert (Abgabe)"
    students = [student("Ada Lovelace_101", 26, "Ada Lovelace", "101"), student("Bo Xu_103", 26, "Bo Xu", "103")]
    due = datetime(2026, 1, 4, 23, 59, tzinfo=ZoneInfo("Europe/Berlin"))
    said = take_times(roster, students, Assignment(("makemore/ex1_atoms",), due=due))
    assert [one.handed_in for one in students] == ["2026-01-05 10:00+01:00", ""]
    where = f"{path}, 'Zuletzt geändert (Abgabe)'"
    assert said == f"when people handed in stands in {where}, and is taken as the time of Europe/Berlin"
    path.write_text(GERMAN.replace("Januar", "Floréal"), encoding="utf-8")
    said = take_times(read_roster(path), students, Assignment(("makemore/ex1_atoms",), due=due))
    assert said is not None
    assert "cannot be read, so nobody counts as late by them" in said
    alone = GERMAN.replace("Zuletzt geändert (Abgabe),", "").replace("Ja,-,-", "Ja,-")
    path.write_text(alone.replace('Januar 2026, 10:00",-', 'Januar 2026, 10:00"'), encoding="utf-8")
    without = read_roster(path).worksheet
    assert without is not None
    assert without.handed_in is None, "the only column is that of the grade"


def test_moodle_without_a_roster_is_told_what_to_export() -> None:
    with pytest.raises(DojoError, match="Download grading worksheet"):
        moodle_gradebook(course_of(student("Ada_101", 9, "Ada Lovelace", "101")), None)


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


def test_a_column_without_a_heading_is_no_ones_name(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(",Full name,Email address,\n0,Ada Lovelace,ada@uni.example,\n", encoding="utf-8")
    assert [row.name for row in read_roster(path).people] == ["Ada Lovelace"]


def test_a_roster_of_the_other_kind(tmp_path: Path, roster_file: Path) -> None:
    path = tmp_path / "participants.csv"
    path.write_text(PARTICIPANTS, encoding="utf-8")
    with pytest.raises(DojoError, match="no columns Student and ID"):
        canvas_gradebook(course_of(student("A-1")), read_roster(path))
    path.write_text("First name,Last name\nAda,Lovelace\n", encoding="utf-8")
    with pytest.raises(DojoError, match="by which Moodle knows people"):
        moodle_gradebook(course_of(student("Ada Lovelace")), read_roster(path))


def test_what_is_said_of_work_that_was_not_graded_is_true_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "worksheet.csv"
    path.write_text(WORKSHEET, encoding="utf-8")
    four, due = Override("x", points=4), Override("x", due=datetime(2026, 1, 8, tzinfo=ZoneInfo("UTC")))
    path.write_text(WORKSHEET + "Participant 103,Bo Xu,bo@uni.example,Submitted,,100.00,Yes,\n", encoding="utf-8")
    broken = replace(
        student("101", status="grader-error"), reason="Traceback (most recent call last)", overrides=[four]
    )
    refused = replace(student("102", status="refused"), reason="102/a.py: the file is empty", overrides=[four])
    waiting = replace(
        student("103", status="grader-error"), reason="Traceback (most recent call last)", overrides=[due]
    )
    book = moodle_gradebook(course_of(broken, refused, waiting, stated=True, points=100), read_roster(path))
    said = "\n".join(book.remarks)
    assert "so 0 is written" not in said, "4 points are"
    assert "no grade written, look at them yourself: 1\n  103 (grader-error)" in said
    assert "Traceback" not in said + book.text
    assert [row[4] for row in rows(book.text)[1:]] == ["4", "4", ""]


def test_without_a_grade_there_is_no_gradebook(roster_file: Path) -> None:
    with pytest.raises(DojoError, match="nothing for a gradebook"):
        canvas_gradebook(course_of(title="Homework 3"), read_roster(roster_file))


def test_a_mark_of_lateness_costs_what_the_policy_says_and_no_more() -> None:
    asked = Assignment(("makemore/ex2_cross_entropy",))
    marked = asked.lateness("", marked=True)
    assert marked is not None
    assert (marked.words, marked.taken) == ("marked late", 0)
    marked = replace(asked, late=LatePolicy(per_day=0.1)).lateness("", marked=True)
    assert marked is not None
    assert marked.words == "marked late, counted as one day, which takes 10 %"
    assert asked.lateness("", marked=False) is None


def test_what_a_late_grade_by_hand_was_before_is_not_taken_for_the_cost_of_lateness() -> None:
    late = replace(student("101", score=20), late=Lateness(0.5, "1 d late, which takes 50 %"))
    course = course_of(late)
    assert course.grade(late).words() == "10 in place of 20"
    assert course.grade(replace(late, overrides=[Override("101", points=4)])).words() == "4"
