"""`dojo summary`: what a results folder becomes, and that nothing hostile in it is more than text."""

from __future__ import annotations

import copy
import csv
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from course import Course, write_course
from dojo import REPOSITORY, dojo, dojo_here, environment
from test_html import HOSTILE, UNSEEN, Page

from grader.base.errors import DojoError
from grader.base.tables import csv_text
from grader.batch.results import Results
from grader.classroom import page
from grader.classroom.feedback import as_text, feedback_for
from grader.classroom.gradebook import comment_on
from grader.classroom.histogram import histogram
from grader.classroom.page import render_page
from grader.classroom.statistics import CourseSummary, quantile, summarise
from grader.classroom.write import Wishes, table_rows, write_pages
from grader.report.assignment import Assignment
from grader.report.points import PointsTable

EX1 = "makemore/ex1_atoms"


@pytest.fixture
def own_course(course: Course, tmp_path: Path) -> Path:
    """A results folder to write into."""
    return Path(shutil.copytree(course.folder, tmp_path / "results"))


def verdicts(reports: Any, exercise: str = EX1) -> Iterator[dict[str, Any]]:
    for report in reports:
        for submission in report["submissions"]:
            if submission["exercise"] == exercise:
                yield from submission["verdicts"]


def page_of(folder: Path) -> str:
    results = Results(folder)
    return render_page(summarise(results), results)


def write(folder: Path, reports: dict[str, dict[str, Any]]) -> Path:
    with Results.start(folder, {"seed": 1}) as results:
        for name, report in reports.items():
            results.add(name, report, student=name)
    return folder


def test_the_figures_are_those_of_the_reports(course: Course) -> None:
    summary = summarise(Results(course.folder))
    everything = list(course.reports.values())
    assert [student.submission for student in summary.students] == sorted(course.reports)
    assert len(summary.having("refused")) == sum("refused" in report for report in everything)
    assert len(summary.having("grader-error")) == sum("grader_error" in report for report in everything)
    exercise = summary.exercises[EX1]
    wanted = Counter((verdict["name"], verdict["status"]) for verdict in verdicts(everything))
    assert {(n, s): count for n, found in exercise.statuses.items() for s, count in found.items()} == wanted
    scores = Counter(s["score"] for report in everything for s in report["submissions"] if s["exercise"] == EX1)
    assert exercise.scores == scores
    made = Counter((v["name"], v["mistake"]) for v in verdicts(everything) if v["status"] != "pass" and v["mistake"])
    assert {place[1:]: found.count for place, found in summary.mistakes.items() if place[0] == EX1} == made
    assert exercise.labels["logits"] == "dlogits"
    assert summary.exercises["makemore/ex4_training"].labels["loss"] == "loss"
    assert summary.max_score == 36


def test_of_two_files_with_one_exercise_the_better_counts(course: Course, tmp_path: Path) -> None:
    report = copy.deepcopy(course.reports["student00000"])
    first = report["submissions"][0]
    second = copy.deepcopy(first) | {"counts": False}
    for verdict in second["verdicts"]:
        verdict["status"] = "timeout"
    report["submissions"].append(second)
    summary = summarise(Results(write(tmp_path / "r", {"ann": report})))
    assert summary.exercises[first["exercise"]].count == 1
    assert summary.students[0].scores[first["exercise"]] == first["score"]


def test_points_may_be_given_anew(course: Course) -> None:
    results = Results(course.folder)
    table = PointsTable({"makemore/ex1.logits": 5}, shape_share=0.5)
    plain, weighed = summarise(results), summarise(results, points=table)
    assert weighed.max_score == plain.max_score + 4
    for before, after in zip(plain.students, weighed.students, strict=True):
        if before.graded:
            statuses = before.statuses[EX1]
            shapes = sum(status == "shape" for found in before.statuses.values() for status in found.values())
            more = {"pass": 4, "shape": 2}.get(statuses["logits"], 0)
            assert after.score == before.score + more + shapes * 0.5


def test_an_exercise_may_be_taken_alone(course: Course) -> None:
    summary = summarise(Results(course.folder), exercises=["makemore/ex2_cross_entropy"])
    assert summary.max_score == 1
    assert list(summary.exercises) == ["makemore/ex2_cross_entropy"]


def test_a_changed_result_is_told_and_the_rest_counts(own_course: Path) -> None:
    (own_course / "results" / "student00003.json").write_text("{}")
    summary = summarise(Results(own_course))
    assert len(summary.students) == 119
    assert "student00003.json" in summary.problems[0]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DojoError, match="holds no result"):
        summarise(Results(write(tmp_path / "r", {})))


def hostile(course: Course) -> dict[str, dict[str, Any]]:
    """The course's first results, with hostile text wherever a submission or its files have a say."""
    reports = {}
    for number, (name, report) in enumerate(list(course.reports.items())[:24]):
        report = copy.deepcopy(report)
        for submission in report["submissions"]:
            submission["path"] = HOSTILE
            for verdict in submission["verdicts"]:
                verdict["code"] = verdict["message"] = f"{HOSTILE}{UNSEEN[:-1]} `{HOSTILE}`"
                verdict["answer"] = [f"{text}  # {HOSTILE}" for text in verdict["answer"]]
        if number == 2:
            report = {"schema": 1, "submissions": [], "refused": HOSTILE}
        if number == 3:
            report = {"schema": 1, "submissions": [], "grader_error": f"{'x' * 30_000}\n{HOSTILE}"}
        if number == 4:
            report["problems"] = [HOSTILE]
        reports[f"{name}{HOSTILE}{UNSEEN[:-1]}".replace("\x00", "")] = report
    reports["plain"] = reports[next(iter(reports))]
    return reports


def test_nothing_of_a_submission_is_markup(course: Course, tmp_path: Path) -> None:
    reports = hostile(course)
    tame = json.loads(re.sub(r"[<>]|\{\{|\{%", "", json.dumps(list(reports.values()))))
    found = Page(page_of(write(tmp_path / "hostile", reports)))
    plain = Page(page_of(write(tmp_path / "tame", {f"s{i:02d}": report for i, report in enumerate(tame)})))
    assert found.kinds() == plain.kinds()
    assert not {"script", "img", "iframe", "object", "form"} & {tag for tag, _ in found.tags}
    assert found.text.count("<script>alert(1)</script>") > 40
    assert "{{ 7 * 7 }}" in found.text
    assert not set(page_of(tmp_path / "hostile")) & (set(UNSEEN) - set("[31m"))


def test_the_page_loads_nothing(course: Course) -> None:
    text = page_of(course.folder)
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|<script|@import|url\(", text)
    found = Page(text)
    assert all(link["href"].startswith(("#", "data:")) for link in found.all("a") + found.all("link"))
    anchors = {attributes["id"] for _, attributes in found.tags if "id" in attributes}
    assert {link["href"][1:] for link in found.all("a")} <= anchors


def test_the_page_says_what_is_so(course: Course) -> None:
    text = Page(page_of(course.folder)).text
    assert "120 submissions" in text
    assert "reason to look and no proof" in text
    summary = summarise(Results(course.folder))
    assert f"{len(summary.having('graded'))} graded" in text
    for group in summary.groups:
        assert all(summary.students[member].submission in text for member in group.members)
    (most,) = Counter({place: found.count for place, found in summary.mistakes.items()}).most_common(1)
    assert f"{most[1]} (" in text
    assert summary.mistakes[most[0]].example in text


def test_a_row_of_the_matrix_is_a_submission(course: Course) -> None:
    text = page_of(course.folder)
    name, report = next((n, r) for n, r in course.reports.items() if r["submissions"])
    (row,) = re.findall(rf'<tr><th scope="row">{name}</th>(.*?)</tr>', text)
    classes = [found.split()[0] for found in re.findall(r'<td class="([^"]+)">', row)[1:]]
    by_exercise = sorted(report["submissions"], key=lambda submission: submission["exercise"])
    assert classes == [verdict["status"] for submission in by_exercise for verdict in submission["verdicts"]]


def test_of_many_rows_the_lowest_are_shown_and_that_is_said(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MOST_ROWS", 20)
    report = next(report for report in course.reports.values() if report["submissions"])
    best, worst = copy.deepcopy(report), copy.deepcopy(report)
    for made, status in ((best, "pass"), (worst, "wrong")):
        for submission in made["submissions"]:
            for verdict in submission["verdicts"]:
                verdict.update(status=status, points=int(status == "pass"))
    reports = {f"best{number:03d}": best for number in range(20)} | {"worst": worst}
    text = page_of(write(tmp_path / "r", reports))
    shown = re.findall(r'<tr><th scope="row">(\w+)</th><td', text)
    assert len(shown) == 20
    assert shown[0] == "worst"
    assert "20 of 21 are shown" in Page(text).text


def test_a_histogram_counts_every_score() -> None:
    svg, words = histogram({0: 3, 2: 1, 5: 250}, 5)
    assert words == "0: 3, 2: 1, 5: 250"
    assert svg.count("<rect") == 3
    assert histogram({0: 1, 99: 2, 100: 4}, 100)[1] == "0 to 3: 1, 96 to 99: 2, 100: 4"
    assert histogram({0: 1, 99.5: 2, 100: 4}, 100)[1] == "0 to under 4: 1, 96 to under 100: 2, 100: 4"
    assert histogram({0.5: 1, 7: 2, 7.65: 3}, 7.75)[1] == "0 to under 1: 1, 7 to 7.75: 5"


def test_quantiles() -> None:
    assert [quantile([1, 2, 3, 4], share) for share in (0.5, 0.75, 0.95, 1.0)] == [2, 3, 4, 4]
    assert quantile([], 0.5) == 0


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_a_spreadsheet_takes_no_text_for_a_formula(text: str) -> None:
    (cell,) = next(csv.reader([csv_text([[text]])]))
    assert cell[0] == "'" or cell[0] == "\\"
    assert csv_text([[-1.5, text]]).startswith("-1.5,")


def test_the_command_writes_a_page_and_a_table(own_course: Path) -> None:
    done = dojo(own_course.parent, "summary", "results", "--verdicts", "all.csv")
    assert done.returncode == 0, done.stderr
    assert "written: results/summary.html (0." in done.stdout
    table = list(csv.DictReader((own_course / "summary.csv").read_text(encoding="utf-8").splitlines()))
    assert len(table) == 120
    one = next(row for row in table if row["status"] == "graded")
    assert len([key for key in one if key.startswith("makemore/ex1 d")]) == 26
    assert one["points possible"] == "36"
    groups = {row["near-identical group"] for row in table}
    assert groups == {"", *map(str, range(1, len(groups)))}
    assert len(groups) > 5
    everything = list(csv.DictReader((own_course.parent / "all.csv").read_text(encoding="utf-8").splitlines()))
    assert len(everything) == 36 * sum(row["status"] == "graded" for row in table)
    assert {row["status"] for row in everything} >= {"pass", "wrong", "shape"}
    again = dojo_here(own_course.parent, "summary", "results", "--verdicts", "all.csv")
    assert "kept" not in again.stdout


def test_what_is_not_its_own_is_kept(own_course: Path) -> None:
    (own_course / "summary.html").write_text("my notes")
    (own_course / "summary.csv").write_text("a,b\n")
    done = dojo_here(own_course.parent, "summary", "results")
    assert done.stdout.count("kept: ") == 2
    assert (own_course / "summary.html.bak").read_text() == "my notes"
    assert (own_course / "summary.csv.bak").read_text() == "a,b\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "not a folder of results"),
        (["results", "--output", "results"], "is a folder"),
        (["results", "--csv", "none/x.csv"], "there is no folder none"),
        (["results", "--canvas", "roster.csv", "--roster", "roster.csv"], "is the --roster of this call"),
        (["results", "--canvas", "p.toml", "--assignment", "p.toml"], "p.toml: is the assignment already"),
        (["results", "--csv", "roster.csv", "--points", "./roster.csv"], "is the --points of this call"),
        (["results", "--csv", "results/index.jsonl"], "is a part of the results already"),
        (["results", "--verdicts", "results/overrides.toml"], "is a part of the results already"),
        (["results", "--output", "results/results/../results/x.json"], "is a part of the results already"),
        (["results", "--canvas", "x.csv", "--moodle", "x.csv"], "is the file for the canvas already"),
        (["results", "--roster", "roster.csv"], "add --canvas FILE or --moodle FILE"),
        (["results", "--exercise", "ex9"], "'ex9' is unknown"),
        (["results", "--points-possible", "0"], "give a number above 0"),
        (["results", "--canvas", "x.csv"], "add --roster FILE"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_bad_call_is_one_line_and_writes_nothing(own_course: Path, arguments: list[str], words: str) -> None:
    (own_course.parent / "roster.csv").write_text("Student,ID\nA,1\n")
    done = dojo_here(own_course.parent, "summary", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("dojo: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert not (own_course / "summary.html").exists()


def test_gradebooks_come_with_the_names_that_were_not_matched(own_course: Path) -> None:
    (own_course.parent / "roster.csv").write_text("Student,ID\nOne,student00000\nTwo,zwei\n")
    done = dojo_here(own_course.parent, "summary", "results", "--canvas", "c.csv", "--roster", "roster.csv")
    assert done.returncode == 0, done.stderr
    assert (own_course.parent / "c.csv").read_text().splitlines()[2].startswith("One,student00000,")
    assert "not matched: 119" in done.stdout
    assert "and 19 more names; all are in c-remarks.txt" in done.stdout
    assert "student00118" in (own_course.parent / "c-remarks.txt").read_text()


_MEASURE = """
import resource, sys, time
from grader.cli.main import main
seconds = []
for folder in sys.argv[1:]:
    started = time.process_time()
    try:
        main(["summary", folder])
    except SystemExit as end:
        assert end.code == 0
    seconds.append(time.process_time() - started)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
assert "torch" not in sys.modules
print("figures", seconds[2] / seconds[1], peak)
"""


def test_ten_times_the_results_take_ten_times_as_long_and_little_memory(course: Course, tmp_path: Path) -> None:
    """Not a hundred times: nothing compares each with each. benchmarks/summary.py measures seconds, of 10,000.

    A shell stands between: a process begins with the peak of the one that forked it, and this one has torch.
    """
    graded = [report for report in course.reports.values() if report["submissions"]]
    small, big = write_course(tmp_path / "small", graded, 50), write_course(tmp_path / "big", graded, 500)
    folders = small.folder, small.folder, big.folder  # the first loads what all need
    call = ["sh", "-c", '"$0" "$@" && :', sys.executable, "-c", _MEASURE, *folders]
    done = subprocess.run(call, cwd=REPOSITORY, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ratio, peak = map(float, done.stdout.split("figures ")[1].split())
    assert ratio < 30  # 12
    assert peak < 150
    assert (big.folder / "summary.html").stat().st_size < 1_000_000


# ---- What a person is told ----


def test_work_that_does_not_count_and_the_scale_are_told_to_their_author(own_course: Path) -> None:
    results = Results(own_course)
    summary = summarise(results, assignment=Assignment(("makemore/ex2_cross_entropy", EX1), points=100))
    for asked, said in (
        (("makemore/ex2_cross_entropy", EX1), ["The exercises give ", "and this is scaled to 100."]),
        (("makemore/ex2_cross_entropy",), ["one atom at a time” was handed in too, and does not count."]),
    ):
        summary = summarise(results, assignment=Assignment(asked, points=100))
        student = next(one for one in summary.students if one.graded)
        entry = results.entry(student.submission)
        assert entry is not None
        notes = " ".join(feedback_for(summary, student, results.report(entry)).notes)
        assert all(words in notes for words in said), notes


# ---- Changes by hand ----


def changed(folder: Path, entry: str, asked: tuple[str, ...] = (EX1,)) -> CourseSummary:
    (folder / "overrides.toml").write_text(f"[[override]]\n{entry}\n", encoding="utf-8")
    return summarise(Results(folder), assignment=Assignment(asked) if asked else None)


def test_points_by_hand_take_the_place_of_the_cross_everywhere(own_course: Path) -> None:
    results = Results(own_course)
    before = summarise(results, assignment=Assignment(("makemore/ex1_atoms",)))
    one = next(s for s in before.students if "wrong" in s.statuses.get("makemore/ex1_atoms", {}).values())
    name = next(name for name, status in one.statuses["makemore/ex1_atoms"].items() if status == "wrong")
    entry = f'person = "{one.submission}"\ngradient = "ex1.{name}"\npoints = 0.5\ncomment = "Read <b>it</b>."'
    after = changed(own_course, entry)
    student = next(s for s in after.students if s.submission == one.submission)
    assert student.score == one.score + 0.5
    row = re.search(rf'<tr><th scope="row">{one.submission}</th>.*', render_page(after, results))
    assert row is not None
    assert row[0].count('<td class="by-hand') == 1
    assert ">0.5</td>" in row[0]
    kept = results.entry(one.submission)
    assert kept is not None
    told = feedback_for(after, student, results.report(kept))
    assert told.changes == [f"d{name} of makemore/ex1: 0.5 points by hand. Read <b>it</b>."]
    (chapter,) = told.chapters
    (by_hand,) = [found for found in chapter.rows if found.status == "by-hand"]
    assert (by_hand.label, by_hand.points, chapter.by_hand) == (f"d{name}", "0.5 of 1", 1)
    assert by_hand.message.startswith("Read <b>it</b>.\nBefore that: wrong.")
    assert f"d{name}: by hand, 0.5 of 1" in as_text(told)
    assert "\n    Read <b>it</b>.\n    Before that: wrong." in as_text(told)
    (table,) = [line for line in table_rows(after) if line[0] == one.submission]
    assert "wrong; 0.5 by hand" in table
    assert f"d{name}" not in re.findall(r"\w+", comment_on(after, student))


def test_an_exercise_is_that_of_the_assignment_or_the_candidates_are_listed(own_course: Path) -> None:
    entry = 'person = "student00000"\nexercise = "ex1"\npoints = 3'
    after = changed(own_course, entry)
    assert after.students[0].scores["makemore/ex1_atoms"] == 3
    for asked in ((), ("makemore/ex2_cross_entropy",)):
        with pytest.raises(DojoError, match=r"1: exercise 'ex1' may be any of (?=.*foundations/ex1)(?=.*makemore/ex1)"):
            changed(own_course, entry, asked)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('person = ""\npoints = 1', "person must be there"),
        ("points = 1", "person must be there"),
        ('person = "ann"', "give points, 0 or more, or a due date"),
        ('person = "ann"\npoints = true', "give points, 0 or more, or a due date"),
        ('person = "ann"\ndue = 2026-01-05T12:00:00', "a time with its offset"),
        ('person = "ann"\npoints = 1\nweight = 2', "unknown key 'weight'"),
        ('person = "ann"\npoints = 1\ngradient = "logits"', "of which exercise"),
        ('person = "ann"\npoints = 1\ngradient = "makemore/ex1.tensor"', "grades no 'tensor'"),
        ("[", "not a TOML file"),
    ],
)
def test_a_change_that_cannot_be_meant_is_refused_in_a_sentence(own_course: Path, entry: str, said: str) -> None:
    with pytest.raises(DojoError, match=said):
        changed(own_course, entry)


@pytest.mark.parametrize("text", ["[[overrides]]\nperson = 'ann'\npoints = 1\n", "note = 'x'\n"])
def test_nothing_in_the_file_of_changes_is_passed_over(own_course: Path, text: str) -> None:
    (own_course / "overrides.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DojoError, match=r"toml: '(overrides|note)' is unknown there; write each change as a table"):
        summarise(Results(own_course))


def test_of_two_changes_that_say_the_same_it_is_told_which_counts(course: Course, tmp_path: Path) -> None:
    with Results.start(tmp_path / "r", {}) as results:
        results.add("leeann_1001", course.reports["student00000"], student="Ann Lee", student_id="1001")
    after = changed(
        tmp_path / "r",
        'person = "1001"\npoints = 3\n[[override]]\nperson = "Ann Lee"\npoints = 4\ncomment = "No"\n'
        '[[override]]\nperson = "1001"\nexercise = "makemore/ex1"\npoints = 5\n'
        '[[override]]\nperson = "1001"\ndue = 2026-10-21T23:59:00+02:00',
    )
    assert after.grade(after.students[0]).after == 4
    told = [problem for problem in after.problems if "in place of" in problem]
    winner = "overrides.toml: for leeann_1001 “the grade: 4 points by hand. No” counts, in place of"
    assert told[0] == f"{winner} “the grade: 3 points by hand”"
    assert told[1:] == [f"{winner} “makemore/ex1: 5 points by hand”"]


def test_a_change_for_a_name_that_two_people_have_is_told(course: Course, tmp_path: Path) -> None:
    report = course.reports["student00000"]
    with Results.start(tmp_path / "r", {}) as results:
        for number in ("1001", "1002"):
            results.add(f"Ann Lee_{number}", report, student="Ann Lee", student_id=number)
    after = changed(tmp_path / "r", 'person = "Ann Lee"\npoints = 3')
    assert [after.grade(student).after for student in after.students] == [3, 3]
    told = "overrides.toml: 'Ann Lee' counts for each who is called so: Ann Lee_1001, Ann Lee_1002"
    assert told in after.problems


def test_points_by_hand_count_where_nothing_was_graded_and_are_told_where_they_do_not_count(own_course: Path) -> None:
    refused = next(one for one in summarise(Results(own_course)).students if one.status == "refused")
    entry = f'person = "{refused.submission}"\ngradient = "makemore/ex1.{{}}"\npoints = {{}}\n'
    changes = "[[override]]\n".join(entry.format(*change) for change in (("logits", 0.5), ("h", 1), ("logits", 0.25)))
    after = changed(own_course, changes)
    (student,) = [one for one in after.students if one.submission == refused.submission]
    assert after.grade(student).after == 1.25, "of two for one gradient the last counts"
    (table,) = [line for line in table_rows(after) if line[0] == refused.submission]
    assert "not graded; 0.25 by hand" in table
    elsewhere = changed(own_course, changes, ("makemore/ex2_cross_entropy",))
    assert "overrides.toml: makemore/ex1_atoms does not count, so its points change no grade" in elsewhere.problems


def test_of_whom_no_result_can_be_read_is_still_known(own_course: Path) -> None:
    lost = Results(own_course).entries()[3]
    (own_course / lost.file).unlink()
    (own_course / "overrides.toml").write_text('[[override]]\nperson = "Zoe Zu"\npoints = 3\n', encoding="utf-8")
    summary = summarise(Results(own_course))
    assert [one.submission for one in summary.unread] == [lost.submission, "Zoe Zu"]
    assert "missing, or changed since" in summary.unread[0].reason
    assert summary.unread[1].reason == "no submission, but changed in overrides.toml"
    assert not summary.damaged
    index = own_course / "index.jsonl"
    index.write_text(index.read_text(encoding="utf-8") + "nonsense\n", encoding="utf-8")
    assert summarise(Results(own_course)).damaged


def test_feedback_keeps_what_is_not_its_own(own_course: Path) -> None:
    folder = own_course.parent / "pages"
    said: list[str] = []
    write_pages(own_course, Wishes(feedback=folder), said.append)
    page = next(folder.glob("*.html"))
    page.write_text("what I found out", encoding="utf-8")
    for kept in (1, 0):
        said.clear()
        write_pages(own_course, Wishes(feedback=folder), said.append)
        assert sum(line.startswith("kept: ") for line in said) == kept
    assert page.with_name(f"{page.name}.bak").read_text(encoding="utf-8") == "what I found out"
