"""exercises/X.py and notebooks/X.ipynb are one pair: `dojo sync`, and which of the two is graded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from dojo import dojo

from grader.base.errors import DojoError
from grader.learner.copies import copy_exercises, reset_exercise
from grader.learner.pairs import latest, pair_of, said
from grader.learner.sync import sync
from grader.lesson.derive import notebook_text, pristine_exercises
from grader.lesson.exercise import all_exercises
from grader.reading.submission import submission_files

NAME = "makemore/ex2_cross_entropy"
RIGHT = "dlogits = (F.softmax(logits, 1) - F.one_hot(Yb, logits.shape[1])) / n"
TEXTS = {exercise.id: text for exercise, text in pristine_exercises()}


class Course:
    """A learner's folder with one exercise, and a cache of its own. The working directory is that folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "course"
        self.cache = folder / "cache"
        self.script = self.folder / f"exercises/{NAME}.py"
        self.notebook = self.folder / f"notebooks/{NAME}.ipynb"
        for path, text in ((self.script, TEXTS[NAME]), (self.notebook, notebook_text(TEXTS[NAME]))):
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
            os.utime(path, (1000, 1000))

    def dojo(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A process of its own, in the same folder and with the same cache."""
        return dojo(self.folder, *arguments, XDG_CACHE_HOME=str(self.cache))

    def sync(self, *keep: str) -> tuple[int, list[str]]:
        """The exit code of `dojo sync`, and what it prints."""
        lines: list[str] = []
        return sync(Path(), [Path(path) for path in keep], lines.append), lines

    def chosen(self, asked: str = "exercises") -> tuple[str, str]:
        """Which file `dojo grade ASKED` grades, and what it says about the choice."""
        lines: list[str] = []
        (file,) = latest(submission_files(Path(asked)), [Path(asked)], lines.append)
        return str(file), "\n".join(lines)

    def files(self) -> list[str]:
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file() and ".dojo" not in path.parts
        )

    def state(self) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in self.files()}


SCRIPT, NOTEBOOK = f"exercises/{NAME}.py", f"notebooks/{NAME}.ipynb"
IN_STEP = (0, [f"in step: {SCRIPT} and {NOTEBOOK}"])


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    made = Course(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(made.cache))
    monkeypatch.chdir(made.folder)
    return made


def edit(path: Path, new: str, old: str = "dlogits = ...", at: int = 2000) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")
    os.utime(path, (at, at))


def cells(path: Path) -> Any:
    return nbformat.read(path, as_version=4).cells


# ---- sync ----


def test_untouched_files_are_in_step(course: Course) -> None:
    before = course.state()
    assert course.sync() == IN_STEP
    assert course.state() == before


def test_an_edit_of_the_script_reaches_the_notebook(course: Course) -> None:
    edit(course.script, RIGHT)
    before = course.notebook.read_text()
    assert course.sync() == (0, [f"written: {NOTEBOOK} from {SCRIPT} (as it was: {course.notebook.name}.sync.bak)"])
    assert RIGHT in [cell.source for cell in cells(course.notebook)]
    assert course.notebook.with_name(course.notebook.name + ".sync.bak").read_text() == before
    assert course.sync() == IN_STEP
    assert course.files() == [SCRIPT, NOTEBOOK, f"{NOTEBOOK}.sync.bak"]


def test_an_edit_of_the_notebook_reaches_the_script_to_the_letter(course: Course) -> None:
    edit(course.notebook, RIGHT)
    assert course.sync() == (0, [f"written: {SCRIPT} from {NOTEBOOK} (as it was: {course.script.name}.sync.bak)"])
    assert course.script.read_text() == TEXTS[NAME].replace("dlogits = ...", RIGHT)
    assert course.script.with_name(course.script.name + ".sync.bak").read_text() == TEXTS[NAME]
    assert course.sync() == IN_STEP


def test_edits_go_back_and_forth(course: Course) -> None:
    """After the first agreement it is no longer the exercise as handed out that decides."""
    edit(course.script, "dlogits = 1")
    course.sync()
    edit(course.script, "dlogits = 2", "dlogits = 1")
    assert course.sync()[1][0].startswith(f"written: {NOTEBOOK} ")
    edit(course.notebook, "dlogits = 3", "dlogits = 2")
    assert course.sync()[1][0].startswith(f"written: {SCRIPT} ")
    edit(course.notebook, "dlogits = ...", "dlogits = 3")
    assert course.sync()[1][0].startswith(f"written: {SCRIPT} ")
    assert course.script.read_text() == TEXTS[NAME]


def test_copies_do_not_pile_up_and_no_work_is_lost(course: Course) -> None:
    """Of what both had agreed on the last is kept; of what lost a conflict, all."""
    value, line = 0, "dlogits = ..."
    for side in (course.script, course.notebook) * 3:
        value, old = value + 1, line
        line = f"dlogits = {value}"
        edit(side, line, old)
        assert course.sync()[0] == 0
    assert course.files() == [SCRIPT, f"{SCRIPT}.sync.bak", NOTEBOOK, f"{NOTEBOOK}.sync.bak"]
    assert "dlogits = 5\n" in course.script.with_name(course.script.name + ".sync.bak").read_text()
    for lost in (7, 8):
        edit(course.script, f"dlogits = {lost}", line)
        edit(course.notebook, f"dlogits = 1{lost}", line)
        line = f"dlogits = 1{lost}"
        assert course.sync(NOTEBOOK)[0] == 0
    texts = [(course.folder / f"{SCRIPT}{end}").read_text() for end in (".bak", ".bak.2")]
    assert ["dlogits = 7\n" in texts[0], "dlogits = 8\n" in texts[1]] == [True, True]


def test_init_notes_that_both_sides_agree(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    """So an update of dojo, which hands out other texts, makes no conflict of one edit."""
    copy_exercises(Path(), force=False)
    monkeypatch.setattr("grader.learner.pairs._handed_out", lambda name: None)
    edit(course.script, RIGHT)
    said_of_it = course.sync()[1]
    assert sum(line.startswith(f"written: {NOTEBOOK} from {SCRIPT}") for line in said_of_it) == 1
    states = {exercise.id: "written" if exercise.id == NAME else "in step" for exercise in all_exercises()}
    assert [line.split(":")[0] for line in said_of_it] == list(states.values())


def test_reset_notes_that_both_sides_agree(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(course.script, "dlogits = 1")
    course.sync()
    reset_exercise(NAME, Path(), confirm=lambda _: True)
    monkeypatch.setattr("grader.learner.pairs._handed_out", lambda name: None)
    edit(course.script, RIGHT)
    assert course.sync()[1][0].startswith(f"written: {NOTEBOOK} from {SCRIPT}")


def test_outputs_and_ids_stay_where_the_code_is_unchanged(course: Course) -> None:
    notebook = nbformat.read(course.notebook, as_version=4)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"mine-{number}"
        if cell.cell_type == "code":
            cell.execution_count = number
            cell.outputs = [nbformat.v4.new_output("stream", text=f"output {number}\n")]
    notebook.metadata["kernelspec"]["display_name"] = "my kernel"
    nbformat.write(notebook, course.notebook)
    assert course.sync() == IN_STEP
    edit(course.script, f"{RIGHT}\n\n# %%\nprint(dlogits)")
    assert course.sync()[0] == 0
    written = nbformat.read(course.notebook, as_version=4)
    nbformat.validate(written)
    old = {cell.source: cell for cell in notebook.cells}
    new = [cell for cell in written.cells if cell.source not in old]
    assert [cell.source for cell in new] == [RIGHT, "print(dlogits)"]
    for cell in new:
        assert (cell.outputs, cell.execution_count) == ([], None)
    for cell in written.cells:
        if cell.source in old:
            assert cell == old[cell.source]
    ids = [cell.id for cell in written.cells]
    assert len(set(ids)) == len(ids)
    assert written.metadata == notebook.metadata


def test_running_a_notebook_is_no_change(course: Course) -> None:
    notebook = nbformat.read(course.notebook, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    notebook.metadata["widgets"] = {}
    notebook.cells.append(nbformat.v4.new_code_cell(""))
    nbformat.write(notebook, course.notebook)
    before = course.state()
    assert course.sync() == IN_STEP
    assert course.state() == before


def test_a_conflict_is_named_and_nothing_is_written(course: Course) -> None:
    edit(course.script, "dlogits = 1")
    edit(course.notebook, "dlogits = 2")
    before = course.state()
    code, (said_of_it, advice) = course.sync()
    assert code == 1
    assert said_of_it.startswith(f"conflict: {SCRIPT} and {NOTEBOOK} have both changed, first in cell ")
    assert "dlogits = 1" in said_of_it
    assert "dojo sync --keep FILE" in advice
    assert course.state() == before
    assert course.sync()[0] == 1  # it does not settle by itself


@pytest.mark.parametrize(("kept", "value"), [(SCRIPT, 1), (NOTEBOOK, 2)])
def test_a_conflict_is_settled_by_naming_the_file_to_keep(course: Course, kept: str, value: int) -> None:
    edit(course.script, "dlogits = 1")
    edit(course.notebook, "dlogits = 2")
    lost = NOTEBOOK if kept == SCRIPT else SCRIPT
    before = course.state()[lost]
    assert course.sync(kept)[0] == 0
    assert f"dlogits = {value}\n" in course.script.read_text()
    assert f"dlogits = {value}" in [cell.source for cell in cells(course.notebook)]
    assert course.state()[f"{lost}.bak"] == before
    assert course.sync() == IN_STEP


def test_the_same_edit_on_both_sides_is_no_conflict(course: Course) -> None:
    edit(course.script, RIGHT)
    edit(course.notebook, RIGHT)
    assert course.sync() == IN_STEP
    edit(course.script, "dlogits = 2", RIGHT)
    assert course.sync()[1][0].startswith(f"written: {NOTEBOOK} ")


def test_what_grading_saw_in_step_counts_as_agreed(course: Course) -> None:
    """Jupyter with jupytext's extension writes both sides; nothing else tells dojo that they agreed."""
    edit(course.script, "dlogits = 1")
    edit(course.notebook, "dlogits = 1")
    assert course.chosen() == (SCRIPT, "")
    edit(course.notebook, "dlogits = 2", "dlogits = 1")
    assert course.sync()[1][0].startswith(f"written: {SCRIPT} ")


@pytest.mark.parametrize("gone", [SCRIPT, NOTEBOOK])
def test_a_missing_side_is_made(course: Course, gone: str) -> None:
    if gone == SCRIPT:
        edit(course.notebook, RIGHT)
    else:
        edit(course.script, RIGHT)
    (course.folder / gone).unlink()
    assert course.sync()[1][0].startswith(f"written: {gone} from ")
    assert course.script.read_text() == TEXTS[NAME].replace("dlogits = ...", RIGHT)
    assert said(course.notebook) == said(course.script)
    assert course.files() == [SCRIPT, NOTEBOOK]


def test_only_exercises_and_notebooks_are_paired(course: Course) -> None:
    shutil.copytree(course.folder / "exercises", course.folder / "solutions")
    (course.folder / "exercises/helper.py").write_text("x = 1\n")
    (course.folder / "notebooks/.ipynb_checkpoints").mkdir()
    shutil.copy(course.notebook, course.folder / "notebooks/.ipynb_checkpoints/a.ipynb")
    before = course.files()
    assert course.sync() == IN_STEP
    assert course.files() == before
    assert pair_of(course.folder / f"solutions/{NAME}.py") is None
    with pytest.raises(DojoError, match="no exercise in exercises/ or notebooks/"):
        sync(Path("solutions"), [], print)


def test_a_damaged_state_file_or_none_stops_nothing(course: Course) -> None:
    edit(course.script, "dlogits = 1")
    course.sync()
    state = course.folder / ".dojo/pairs.json"
    for damage in ("", "{", "[]", '{"schema": 1, "pairs": {"a": 1}}', '{"schema": 9}'):
        state.write_text(damage)
        assert course.sync() == IN_STEP
    shutil.rmtree(state.parent)
    state.parent.write_text("no folder")
    assert course.sync() == IN_STEP


def test_a_folder_that_moves_keeps_what_both_agreed_on(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(course.script, "dlogits = 1")
    course.sync()
    moved = course.folder.rename(course.folder.with_name("moved"))
    monkeypatch.chdir(moved)
    edit(moved / NOTEBOOK, "dlogits = 2", "dlogits = 1")
    assert course.sync()[1][0].startswith(f"written: {SCRIPT} from {NOTEBOOK}")


def test_bad_files_get_one_line_and_stay(course: Course) -> None:
    for path, text, words in (
        (course.notebook, '{"cells": [', "not a readable notebook"),
        (course.notebook, "{}", "not a notebook"),
        (course.script, "x = '\xe9'\n", "not UTF-8"),
    ):
        good = path.read_bytes()
        path.write_bytes(text.encode("latin-1"))
        before = course.state()
        with pytest.raises(DojoError, match=words):
            course.sync()
        assert course.state() == before
        path.write_bytes(good)
    with pytest.raises(DojoError, match=r"exercises/none\.py"):
        course.sync("exercises/none.py")


def test_one_bad_file_does_not_keep_the_others_apart(course: Course) -> None:
    other = course.folder / "exercises/transformer/ex1_softmax.py"
    other.parent.mkdir(parents=True)
    other.write_text(TEXTS["transformer/ex1_softmax"])
    course.script.write_bytes(b"\xff")
    with pytest.raises(DojoError, match="not UTF-8"):
        course.sync()
    assert (course.folder / "notebooks/transformer/ex1_softmax.ipynb").is_file()


@pytest.mark.parametrize("name", TEXTS)
def test_both_formats_of_each_exercise_say_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(TEXTS[name], encoding="utf-8")
    (tmp_path / "a.ipynb").write_text(notebook_text(TEXTS[name]), encoding="utf-8")
    assert said(tmp_path / "a.py") == said(tmp_path / "a.ipynb")


# ---- Hints: last in a script, above the answer in a notebook ----


def with_hints_above(text: str) -> str:
    """The script as jupytext writes it from a notebook, and as exercises were handed out before."""
    notebook = nbformat.reads(notebook_text(text), as_version=4)
    return text[: text.index("# %%")] + str(jupytext.writes(notebook, fmt="py:percent")).split("# ---\n", 2)[2].lstrip()


def test_where_hints_stand_is_no_change(course: Course) -> None:
    older = with_hints_above(TEXTS[NAME])
    assert older.index("dlogits: hint 1") < older.index("dlogits = ...") < TEXTS[NAME].index("dlogits: hint 1")
    course.script.write_text(older)
    os.utime(course.script, (3000, 3000))
    before = course.state()
    assert course.sync() == IN_STEP
    assert course.state() == before


def test_a_script_from_a_notebook_has_its_hints_last_and_a_notebook_above_the_answer(course: Course) -> None:
    course.script.write_text(with_hints_above(TEXTS[NAME]))
    edit(course.notebook, RIGHT)
    course.sync()
    assert course.script.read_text() == TEXTS[NAME].replace("dlogits = ...", RIGHT)
    edit(course.script, "dlogits = logits", RIGHT)
    course.sync()
    sources = [cell.source for cell in cells(course.notebook)]
    answer = sources.index("dlogits = logits")
    assert [i - answer for i, source in enumerate(sources) if "dlogits: hint" in source] == [-3, -2, -1]


def test_a_hint_without_its_answer_stays(course: Course) -> None:
    edit(course.script, "print(1)")
    assert course.sync()[0] == 0
    assert ["dlogits: hint" in cell.source for cell in cells(course.notebook)][-3:] == [True] * 3
    assert course.sync() == IN_STEP


# ---- grade ----


def test_the_notebook_is_graded_where_the_work_is_there(course: Course) -> None:
    edit(course.notebook, RIGHT)
    line = f"{NOTEBOOK} is graded: {SCRIPT} has no later code (see `dojo sync`)"
    assert course.chosen("exercises") == (NOTEBOOK, line)
    assert course.chosen(".") == (NOTEBOOK, line)
    assert course.chosen("notebooks") == (NOTEBOOK, "")


def test_the_script_is_graded_where_the_work_is_there(course: Course) -> None:
    edit(course.script, RIGHT)
    line = f"{SCRIPT} is graded: {NOTEBOOK} has no later code (see `dojo sync`)"
    assert course.chosen("exercises") == (SCRIPT, "")
    assert course.chosen("notebooks") == (SCRIPT, line)


def test_a_notebook_that_was_only_run_does_not_hide_the_work(course: Course) -> None:
    edit(course.script, RIGHT)
    os.utime(course.notebook, (3000, 3000))
    assert course.chosen("exercises") == (
        SCRIPT,
        f"{SCRIPT} is graded: {NOTEBOOK} has no later code (see `dojo sync`)",
    )


def test_of_two_that_changed_the_newer_is_graded(course: Course) -> None:
    edit(course.script, "dlogits = 1", at=2000)
    edit(course.notebook, RIGHT, at=3000)
    line = f"{NOTEBOOK} is graded: it is newer than {SCRIPT}, which has other code (see `dojo sync`)"
    assert course.chosen("exercises") == (NOTEBOOK, line)
    assert course.chosen("notebooks") == (NOTEBOOK, line)
    os.utime(course.script, (4000, 4000))
    assert course.chosen("notebooks")[0] == SCRIPT


def test_what_was_agreed_last_decides_and_not_what_was_handed_out(course: Course) -> None:
    edit(course.script, "dlogits = 1")
    course.sync()
    edit(course.notebook, RIGHT, "dlogits = 1", at=3000)
    os.utime(course.script, (4000, 4000))
    assert course.chosen("exercises")[0] == NOTEBOOK


def test_prose_comments_and_outputs_are_no_other_code(course: Course) -> None:
    edit(course.notebook, "# Exercise two", "# Exercise 2")
    assert course.chosen("exercises") == (SCRIPT, "")


def test_a_file_that_is_named_is_graded(course: Course) -> None:
    edit(course.notebook, RIGHT)
    assert course.chosen(NOTEBOOK) == (NOTEBOOK, "")
    assert course.chosen(SCRIPT) == (
        SCRIPT,
        f"{SCRIPT} is graded, as you named it; {NOTEBOOK} has later code (see `dojo sync`)",
    )


def test_a_partner_that_cannot_be_read_is_told(course: Course) -> None:
    edit(course.script, RIGHT)
    course.notebook.write_text("{")
    path, line = course.chosen("exercises")
    assert path == SCRIPT
    assert "not a readable notebook" in line
    assert "\n" not in line


def test_a_pair_in_step_is_graded_once_and_nothing_is_said(course: Course) -> None:
    for asked, path in (("exercises", SCRIPT), ("notebooks", NOTEBOOK), (".", SCRIPT)):
        assert course.chosen(asked) == (path, "")


def test_it_does_not_matter_from_where_dojo_is_called(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(course.notebook, RIGHT)
    monkeypatch.chdir(course.folder / "exercises")
    assert course.chosen(".")[0] == f"../{NOTEBOOK}"
    assert course.chosen(str(course.folder / "exercises"))[0] == str(course.notebook)


# ---- From end to end ----


def test_the_command_line_grades_the_notebook_and_brings_the_script_in_step(course: Course) -> None:
    edit(course.notebook, RIGHT)
    ran = course.dojo("grade", "--format", "json")
    (submission,) = json.loads(ran.stdout)["submissions"]
    assert (submission["path"], submission["score"], ran.returncode) == (NOTEBOOK, 1, 0)
    assert ran.stderr == f"dojo: {NOTEBOOK} is graded: {SCRIPT} has no later code (see `dojo sync`)\n"
    ran = course.dojo("sync")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"written: {SCRIPT} from {NOTEBOOK}")
    edit(course.notebook, "dlogits = 1", RIGHT)
    edit(course.script, "dlogits = 2", RIGHT)
    ran = course.dojo("sync")
    assert (ran.returncode, ran.stderr, ran.stdout.count("\n")) == (1, "", 2)
    ran = course.dojo("sync", "--keep", NOTEBOOK)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "dlogits = 1\n" in course.script.read_text()


def test_a_folder_without_exercises_gets_one_line(tmp_path: Path) -> None:
    ran = dojo(tmp_path, "sync")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "dojo: .: no exercise in exercises/ or notebooks/ here; run `dojo init` first\n"
