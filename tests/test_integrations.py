"""What GitHub, Gradescope and nbgrader are given: their form, and that no text of a submission gets out of it."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from answers.build import SOFTMAX_MINUS_ONE, notebook, with_lines
from dojo import dojo, dojo_here, environment
from markdown_it import MarkdownIt
from rich.console import Console

from grader.base.errors import DojoError
from grader.integrations.github import render_summary, step_outputs
from grader.integrations.nbgrader import COLUMNS, GRADES, Course, placed
from grader.integrations.outputs import FORMAT_NAMES, FORMATS, parts_of
from grader.report.records import Refusal, Report, SubmissionReport, Verdict
from grader.showing.terminal import draw_report

HOSTILE = (
    "::error file=x::y\r\n::add-mask::1\n##[add-mask]2 %0A100% a:b,c\n\n# heading\n\n<img src=x onerror=alert(1)>"
    "</td></table><script>`${{ secrets.X }}` [l](http://x) | ![i](http://x) *b* \x1b[31m\x9b2J\u202e\udce9\u2028"
)
COMMAND = re.compile(r"::(?:error|warning|notice) [^\x00-\x1f]*|Points [\d.]+/[\d.]+")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028\ud800-\udfff]")


def submission(path: str = "ex1.py", exercise: str = "makemore/ex1_atoms", **statuses: str) -> SubmissionReport:
    """A report with a verdict of each status asked for, by name; at line 3."""
    verdicts = [
        Verdict(name, status=status, message=f"said of {name}", line=3, code=f"d{name} = 1")  # type: ignore[arg-type]
        for name, status in (statuses or {"logits": "wrong", "h": "pass"}).items()
    ]
    return SubmissionReport(path, exercise, "Exercise 1: atoms", 7, "2.13.0", "cpu", "full", verdicts)


@pytest.fixture
def hostile() -> Report:
    found = submission(path=f"a/{HOSTILE}.py", logits="wrong", probs="missing", h="error", W2="forbidden")
    for verdict in found.verdicts:
        verdict.message = verdict.code = HOSTILE
    found.notes = [HOSTILE]
    return Report([found], refused=[Refusal(f"a/{HOSTILE}.py", HOSTILE)])


@pytest.mark.parametrize("name", [name for name in FORMAT_NAMES if name not in ("terminal", "nbgrader", "classroom50")])
def test_no_control_character_of_a_submission_is_in_any_text(hostile: Report, name: str) -> None:
    text = FORMATS[name](hostile)
    assert not CONTROL.search(text)
    assert "said" in FORMATS[name](Report([submission()]))


def test_the_terminal_gets_no_control_character_of_a_submission(hostile: Report, tmp_path: Path) -> None:
    with (tmp_path / "shown").open("w") as file:
        draw_report(hostile, Console(file=file, force_terminal=True, color_system=None, width=80))
    assert not CONTROL.search((tmp_path / "shown").read_text())
    assert r"\x1b[31m" in (tmp_path / "shown").read_text()


# ---- GitHub ----


def test_annotations_are_as_github_documents_them() -> None:
    text = FORMATS["github"](Report([submission(logits="wrong", probs="missing", W2="missing", h="pass")]))
    assert text.split("\n") == [
        "::error file=ex1.py,line=3,title=dlogits%3A wrong::said of logits",
        "::warning file=ex1.py,title=makemore/ex1_atoms%3A not attempted::dprobs, dW2",
        "::notice title=Backprop Dojo::1 of 4 points",
        "Points 1/4",
        "",
    ]


def test_a_submission_injects_no_workflow_command(hostile: Report) -> None:
    lines = FORMATS["github"](hostile).rstrip("\n").split("\n")
    assert all(COMMAND.fullmatch(line) for line in lines)
    assert len(lines) == 3 + 1 + 1 + 2 + 1  # wrong ones, a refused file, not attempted, notices, points
    for line in lines[:-1]:
        properties, message = line.removeprefix("::").split("::", 1)
        assert re.fullmatch(r"\w+ (file=[^:,]+(,line=3)?,)?title=[^:,]+", properties)
        assert not re.search(r"%(?!25|0A|0D|3A|2C)", properties + message)
    assert lines[0].endswith("\\x1b[31m\\x9b2J\\u202e\\udce9\\u2028")
    assert "%2525" not in lines[0]
    assert "%250A100%25" in lines[0]


def test_a_line_of_a_cell_is_no_line_of_the_file() -> None:
    found = submission("a.ipynb", logits="wrong")
    found.verdicts[0].cell = 4
    line = FORMATS["github"](Report([found])).split("\n")[0]
    assert line == "::error file=a.ipynb,title=dlogits%3A wrong::cell 4, line 3: said of logits"


def test_paths_count_from_the_root_of_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path.parent)
    for path in (tmp_path / "answers" / "ex1.py", Path(tmp_path.name, "answers", "ex1.py")):
        assert "file=answers/ex1.py," in FORMATS["github"](Report([submission(str(path))]))
    assert "file=/elsewhere/ex1.py," in FORMATS["github"](Report([submission("/elsewhere/ex1.py")]))


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_the_summary_shows_hostile_text_as_text(hostile: Report) -> None:
    page = Tags(MarkdownIt("commonmark", {"html": True}).enable("table").render(render_summary(hostile)))
    assert set(page.tags) == {"h2", "h3", "p", "br", "table", "tr", "th", "td", "code"}
    assert page.tags.count("h2") == page.tags.count("h3") == page.tags.count("table") == 1
    assert page.tags.count("tr") == 4
    assert page.attributes == []
    assert "<img src=x onerror=alert(1)>" in " ".join(page.said)
    assert "Not attempted: dprobs" in " ".join(page.said)
    assert not CONTROL.search(render_summary(hostile))


def test_a_summary_stays_below_github_s_limit() -> None:
    many = []
    for number in range(200):
        found = submission(f"s{number}.py", f"makemore/ex{number}_x", **{f"t{i}": "wrong" for i in range(26)})
        for verdict in found.verdicts:
            verdict.message = "<" * 2000
        many.append(found)
    text = render_summary(Report(many))
    assert 500_000 < len(text.encode()) < 1_000_000
    assert "more are not shown here" in text


def test_the_summary_and_the_outputs_are_appended_where_the_job_asks(tmp_path: Path) -> None:
    (tmp_path / "ex1.py").write_text(with_lines({"dh": "dh = -dlogits @ W2.T"}))
    for name in ("summary.md", "outputs"):
        (tmp_path / name).write_text("before\n")
    places = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "GITHUB_OUTPUT": str(tmp_path / "outputs")}
    ran = dojo(tmp_path, "grade", "ex1.py", "--format", "github", **places)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "Points 25/26\n" in ran.stdout
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("before\n## Backprop Dojo: 25 of 26\n")
    assert "<code>dh = -dlogits @ W2.T</code>" in summary
    outputs = dict(line.split("=", 1) for line in (tmp_path / "outputs").read_text().split("\n")[1:-1])
    assert (outputs["score"], outputs["max-score"]) == ("25", "26")
    result = json.loads(outputs["result"])
    assert (result["schema"], result["score"], result["max_score"]) == ("classroom50/result/v1", 25, 26)
    assert sum(test["score"] for test in result["tests"]) == 25


def test_the_classroom_s_result_holds_no_word_of_the_submission(hostile: Report) -> None:
    result = json.loads(step_outputs(hostile)["result"])
    assert {test["message"] for test in result["tests"]} == {"wrong", "not attempted", "error", "not accepted"}
    assert "::" not in json.dumps(result)


def test_what_cannot_be_graded_is_an_annotation_too(tmp_path: Path) -> None:
    name = "::error::%0A\n::x.py"
    (tmp_path / name).write_text("x = 1\n")
    ran = dojo_here(tmp_path, "grade", name, "--format", "github")
    assert ran.returncode == 2
    assert re.match(r"::error file=[^\n:]+,title=Not graded::[^\n]+assigns no gradient[^\n]+\n::notice ", ran.stdout)
    assert re.fullmatch(r"dojo: [^\n]+\n", ran.stderr)


@pytest.mark.parametrize("kind", ["github", "classroom50", "gradescope"])
def test_an_empty_folder_is_a_result_too(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.toml").write_text('[tool.dojo.assignment]\nexercises = ["makemore/ex2"]\n')
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    ran = dojo_here(tmp_path, "grade", "empty", "--format", kind, "--assignment", "a.toml", "--isolation", "basic")
    assert (ran.returncode, ran.stderr) == (2, "dojo: empty: no .py or .ipynb file in this folder\n")
    if kind == "github":
        assert "Points 0/1\n" in ran.stdout
        assert "score=0\nmax-score=1\n" in (tmp_path / "outputs").read_text()
    else:
        assert json.loads(ran.stdout)["tests"][0]["max_score"] == 1


# ---- nbgrader ----


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course of nbgrader with three students."""
    course = tmp_path_factory.mktemp("course")
    for student, text in (
        ("alice", notebook(with_lines({"dh": "dh = -dlogits @ W2.T"}), SOFTMAX_MINUS_ONE)),
        ("bob", notebook(SOFTMAX_MINUS_ONE)),
        ("=cmd()", notebook(SOFTMAX_MINUS_ONE)),
    ):
        folder = course / "submitted" / student / "ps1"
        folder.mkdir(parents=True)
        (folder / "problem1.ipynb").write_text(text)
        (folder / "timestamp.txt").write_text("2026-02-03 10:00:00.000000 UTC\n")
        (folder / "submission_secret.txt").write_text(f"secret of {student}")
    secret = course / "submitted" / "bob" / "ps1" / "submission_secret.txt"
    secret.unlink()
    (course / "private").write_text("of the instructor")
    secret.symlink_to(course / "private")
    return course


def test_nbgrader_finds_its_feedback_and_its_grades(handed_in: Path) -> None:
    ran = dojo(handed_in, "grade", "submitted", "--format", "nbgrader", "--output", ".")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("dojo: ps1: no assignment is stated, so these exercises count, which most handed in: ")
    feedback = handed_in / "feedback"
    found = sorted(path.relative_to(feedback).as_posix() for path in feedback.rglob("*") if path.is_file())
    assert found == [
        "=cmd()/ps1/problem1.html",
        "=cmd()/ps1/submission_secret.txt",
        "=cmd()/ps1/timestamp.txt",
        "alice/ps1/problem1.html",
        "alice/ps1/submission_secret.txt",
        "alice/ps1/timestamp.txt",
        "bob/ps1/problem1.html",
        "bob/ps1/timestamp.txt",
    ]
    page = (feedback / "alice" / "ps1" / "problem1.html").read_text()
    assert "dh = -dlogits @ W2.T" in page
    assert "25 of 26" in page
    assert "1 of 1" in page
    with (handed_in / GRADES).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["student_id"], row["assignment"], row["score"], row["max_score"]) for row in rows] == [
        ("'=cmd()", "ps1", "1", "1"),
        ("alice", "ps1", "1", "1"),
        ("bob", "ps1", "1", "1"),
    ]
    assert rows[1]["timestamp"] == "2026-02-03 10:00:00.000000 UTC"
    (handed_in / "a.toml").write_text('[tool.dojo.assignment]\nexercises = ["makemore/ex1", "makemore/ex2"]\n')
    call = ("grade", "submitted", "--format", "nbgrader", "--output", ".", "--assignment", "a.toml")
    ran = dojo_here(handed_in, *call, "--isolation", "basic")
    assert (ran.returncode, ran.stderr) == (1, "")
    with (handed_in / GRADES).open(newline="") as file:
        stated = [(row["student_id"], row["score"], row["max_score"]) for row in csv.DictReader(file)]
    assert stated == [("'=cmd()", "1", "27"), ("alice", "26", "27"), ("bob", "1", "27")]


def with_nbgrader() -> str:
    """A Python that has nbgrader beside what dojo needs."""
    named = os.environ.get("DOJO_NBGRADER_PYTHON")
    if named is None and importlib.util.find_spec("nbgrader") is None:
        pytest.skip("nbgrader is not installed, and DOJO_NBGRADER_PYTHON names no Python that has it")
    return named or sys.executable


@pytest.mark.slow
def test_grades_are_in_nbgrader_s_own_gradebook_and_its_export(tmp_path: Path) -> None:
    python = with_nbgrader()
    for student, text, day in (
        ("alice", notebook(with_lines({"dh": "dh = -dlogits @ W2.T"}), SOFTMAX_MINUS_ONE), 3),
        ("bob", notebook(SOFTMAX_MINUS_ONE), 4),
        ("eve", "{", 3),
    ):
        folder = tmp_path / "submitted" / student / "ps1"
        folder.mkdir(parents=True)
        (folder / "problem1.ipynb").write_text(text)
        (folder / "timestamp.txt").write_text(f"2026-02-0{day} 10:00:00.000000 UTC\n")
    stated = 'exercises = ["makemore/ex1", "makemore/ex2"]\npoints = 54\ndue = 2026-02-03T12:00:00Z\n'
    (tmp_path / "hw.toml").write_text(f"[tool.dojo.assignment]\n{stated}late.per-day = 0.5\n")

    def run(*arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
        path = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"  # nbgrader calls alembic
        variables = environment(PATH=path)
        ran = subprocess.run([python, *arguments], cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert ran.returncode in allowed, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    make = "from nbgrader.api import Gradebook; Gradebook('sqlite:///gradebook.db').add_assignment('ps0')"
    run("-c", make)
    for _ in range(2):  # graded again, the grades are the same and there is one of each
        grade = ("grade", "submitted", "--format", "nbgrader", "--output", ".", "--assignment", "hw.toml")
        said = run("-m", "grader", *grade, allowed=(2,))
        assert "gradebook.db: 3 grades entered, as notebook 'dojo' of each assignment" in said
        run("-m", "nbgrader", "export", "--to", "exported.csv")
        tables = []
        for name in ("exported.csv", GRADES):
            with (tmp_path / name).open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["assignment"] == "ps1"]
            tables.append(
                {
                    row["student_id"]: [
                        float(row[key]) for key in ("raw_score", "late_submission_penalty", "score", "max_score")
                    ]
                    for row in rows
                }
            )
        assert tables[0] == tables[1] == {"alice": [52, 0, 52, 54], "bob": [2, 1, 1, 54], "eve": [0, 0, 0, 54]}


def test_a_place_that_cannot_be_written_is_told_in_one_line(handed_in: Path, tmp_path: Path) -> None:
    (tmp_path / "feedback").write_text("no folder")
    ran = dojo_here(handed_in, *"grade submitted/bob --isolation basic --format nbgrader --output".split(), tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert re.fullmatch(r"dojo: \S+/feedback/bob/ps1/problem1.html: cannot be written \([\w ]+\)\n", ran.stderr)


@pytest.mark.parametrize(
    ("path", "student"),
    [
        ("submitted/alice/ps1/p.ipynb", "alice"),
        ("submitted/alice/ps1/submitted/bob/ps1/p.ipynb", "alice"),
        ("submitted/bob/../alice/ps1/p.ipynb", "alice"),
        ("/course/submitted/alice/ps1/p.ipynb", "alice"),
    ],
)
def test_whose_work_it_is_shows_in_the_path_and_in_nothing_a_student_can_make(path: str, student: str) -> None:
    course = Course(Report([submission(path)]))
    (row,) = csv.DictReader(course.grades().split("\n"))
    assert row["student_id"] == student
    assert set(course.files()) == {Path(GRADES), Path(f"feedback/{student}/ps1/p.html")}


@pytest.mark.parametrize("path", ["ex1.ipynb", "submitted/alice/p.ipynb", "submitted/../alice/ps1/x/p.ipynb"])
def test_a_file_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(DojoError, match="submitted/STUDENT/ASSIGNMENT/"):
        Course(Report([submission(path)]))


def test_a_folder_is_empty_where_nothing_in_it_would_be_graded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    capitals = Path("submitted/ann/ps1/EX2.IPYNB")
    for file in (capitals, Path("submitted/bo/ps1/.ipynb_checkpoints/ex2.ipynb")):
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    files, refused = placed([capitals], [Path("submitted")])
    assert (files, [refusal.path for refusal in refused]) == ([capitals], ["submitted/bo/ps1/nothing"])
    assert Path("feedback/ann/ps1/EX2.html") in Course(Report([submission(str(capitals))])).files()


def test_a_stray_file_and_an_empty_folder_stop_nobody(tmp_path: Path) -> None:
    for student in ("ann", "bo"):
        (tmp_path / "submitted" / student / "ps1").mkdir(parents=True)
    (tmp_path / "submitted/ann/ps1/ex2.py").write_text(SOFTMAX_MINUS_ONE)
    (tmp_path / "submitted/ann/stray.py").write_text(SOFTMAX_MINUS_ONE)
    call = ("grade", "submitted/ann", "submitted/bo", "--format", "nbgrader", "--output", ".", "--isolation", "basic")
    ran = dojo_here(tmp_path, *call)
    assert ran.returncode == 2
    assert "submitted/ann/stray.py: --format nbgrader grades files in submitted/STUDENT/ASSIGNMENT/" in ran.stderr
    with (tmp_path / GRADES).open(newline="") as file:
        assert [(row["student_id"], row["score"]) for row in csv.DictReader(file)] == [("ann", "1"), ("bo", "0")]


def test_grades_are_not_written_over_where_there_is_no_work_of_anybody(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / GRADES).write_text("mine")
    ran = dojo_here(tmp_path, "grade", "empty", "--format", "nbgrader", "--output", ".")
    assert ran.returncode == 2
    assert ran.stderr.startswith("dojo: no .py or .ipynb file in submitted/STUDENT/ASSIGNMENT/")
    assert (tmp_path / GRADES).read_text() == "mine"


def test_a_path_within_submitted_counts_from_there(monkeypatch: pytest.MonkeyPatch, handed_in: Path) -> None:
    monkeypatch.chdir(handed_in / "submitted")
    (row,) = csv.DictReader(Course(Report([submission("alice/ps1/problem1.ipynb")])).grades().split("\n"))
    assert (row["student_id"], row["timestamp"][:10]) == ("alice", "2026-02-03")


def test_what_nbgrader_s_form_cannot_take_is_told_before_grading(tmp_path: Path) -> None:
    (tmp_path / "ex2.py").write_text(SOFTMAX_MINUS_ONE)
    (tmp_path / "notes").touch()
    for arguments, said in (
        (("--output", "notes"), "is no folder"),
        (("--output", "ex2.py"), "somebody's work"),
        ((), "submitted/STUDENT/ASSIGNMENT/"),
    ):
        ran = dojo_here(tmp_path, "grade", "ex2.py", "--format", "nbgrader", *arguments)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert said in ran.stderr
    with pytest.raises(DojoError, match="submitted/STUDENT/ASSIGNMENT/"):
        parts_of([tmp_path / "ex2.py"], "nbgrader")


# ---- An exercise that several files hold ----


def test_of_several_files_with_one_exercise_the_best_counts_everywhere() -> None:
    low, high = submission("a.py", logits="wrong", h="wrong"), submission("b.py", logits="pass", h="wrong")
    report = Report([low, high, submission("c.py", "makemore/ex2_cross_entropy", logits="pass")])
    assert (report.score, report.max_score) == (2, 3)
    assert "Points 2/3\n" in FORMATS["github"](report)
    results = json.loads(FORMATS["gradescope"](report))
    assert (results["score"], sum(test["max_score"] for test in results["tests"])) == (2, 3)
    assert "a.py holds makemore/ex1_atoms too, with 0 of 2, and does not count." in results["output"]
