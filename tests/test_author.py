"""From solutions to exercises to notebooks, and the check that proves the content."""

from __future__ import annotations

import ast
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import jupytext
import nbformat
import pytest
from dojo import HALF_WRITTEN, REPOSITORY, dojo
from lessons import lessons_in

from grader.base.errors import DojoError
from grader.learner import author_check
from grader.lesson.colab import repository, setup_cell
from grader.lesson.derive import derived_files, exercise_text, notebook_text, pristine_exercises, stubs
from grader.lesson.exercise import HINTS_PER_ANSWER, Exercise, all_exercises, find_exercise, read_exercise
from grader.lesson.tracks import minutes_of
from grader.syntax.source import Cell, percent_cells

EXERCISES = all_exercises()
FIGURE = re.compile(r"<!-- (?:slow )?= .*? -->")
each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.short_id)


def lesson_cells(text: str) -> list[Cell]:
    """The cells of an exercise's text, less those that deriving adds."""
    return without_added(percent_cells(text))


def as_exercise(text: str, tmp_path: Path) -> Exercise:
    path = tmp_path / "track" / "derived.py"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return read_exercise(path, tmp_path)


def without_added(cells: list[Cell]) -> list[Cell]:
    return [cell for cell in cells if not {"colab", "standing"} & set(cell.tags)]


# ---- Exercises ----


@each_exercise
def test_answers_become_stubs_and_nothing_else_changes(exercise: Exercise) -> None:
    derived = lesson_cells(exercise_text(exercise))
    solved = sorted(exercise.cells, key=lambda cell: ("hint" in cell.tags, "grading" in cell.tags))
    kinds = [("raw" if "grading" in cell.tags else cell.kind, cell.tags) for cell in solved]
    assert [(cell.kind, cell.tags) for cell in derived] == kinds
    left = []
    for ours, theirs in zip(solved, derived, strict=True):
        text = FIGURE.sub("", ours.text)
        if {"backward", "training"} & set(ours.tags):
            left += [name_of_stub(node) for node in ast.parse(theirs.text).body]
        elif ours is exercise.cells[0]:  # a badge may stand below its heading
            assert set(text.split("\n")) <= set(theirs.text.split("\n"))
        elif not {"hint", "grading"} & set(ours.tags):
            assert theirs.text == text
    assert set(left) == {exercise.answer_name(name) for name in exercise.graded}


def name_of_stub(node: ast.stmt) -> str:
    """What an answer's stub is for: an assignment of three dots, or a definition with three dots as each body."""
    if isinstance(node, ast.Assign):
        assert ast.unparse(node.value) == "..."
        return ast.unparse(node.targets[0])
    assert isinstance(node, (ast.FunctionDef, ast.ClassDef))
    inside = [node] if isinstance(node, ast.FunctionDef) else node.body
    for function in (child for child in inside if isinstance(child, ast.FunctionDef)):
        body = function.body[ast.get_docstring(function) is not None :]
        assert [ast.unparse(statement) for statement in body] == ["..."]
    return node.name


@each_exercise
def test_the_cell_for_colab_stands_below_the_title_and_does_nothing_elsewhere(exercise: Exercise) -> None:
    title, colab, *rest = percent_cells(exercise_text(exercise))
    assert (title.kind, colab.kind, colab.tags) == ("markdown", "code", ("colab",))
    assert not any("colab" in cell.tags for cell in rest)
    names: dict[str, object] = {}
    exec(colab.text, names)
    assert names.keys() - {"__builtins__"} == {"sys", "cmp"}
    assert colab.text.count("%pip install -q --no-deps backprop-dojo\n") == 1


@each_exercise
def test_a_lesson_begins_with_its_time_and_its_difficulty(exercise: Exercise) -> None:
    assert minutes_of(exercise)
    assert re.search(r"^\*About .*\. Difficulty [1-5] of 5\.", exercise.cells[0].text, re.MULTILINE)


@each_exercise
def test_a_lesson_says_where_the_learner_stands_if_cmp_can_tell(exercise: Exercise) -> None:
    calls = [c for c in percent_cells(exercise_text(exercise)) if "progress()" in c.text and c.kind == "code"]
    assert len(calls) == (1 if exercise.graded_gradients else 0)


@pytest.mark.parametrize(
    ("found", "said"),
    [(None, "import of grader halted"), (ModuleType("grader"), "cannot import name 'cmp' from 'grader'")],
)
def test_the_cell_for_colab_says_in_one_sentence_what_is_missing(
    found: ModuleType | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "grader", found)  # type: ignore[arg-type]
    with pytest.raises(SystemExit) as stopped:
        exec(setup_cell(), {})
    assert re.fullmatch(rf"Backprop Dojo is not here \({said}.*\)\. Run: pip install backprop-dojo", str(stopped.value))


def test_the_repository_is_what_colab_installs_where_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOJO_REPO", "ada/dojo")
    assert "%pip install -q --no-deps git+https://github.com/ada/dojo\n" in setup_cell()


def test_colab_gets_every_light_dependency_and_never_torch() -> None:
    (light,) = re.findall(r'light = "(.*)"$', setup_cell(), re.MULTILINE)
    (listed,) = re.findall(
        r"^dependencies = \[\n(.*?)^\]", (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL
    )
    names = set(re.findall(r'^ +"([\w-]+)', listed, re.MULTILINE))
    assert {"torch", "numpy", "matplotlib"} < names
    expected = names - {"torch", "numpy", "matplotlib"}
    assert {name.replace("_", "-") for name in light.split()} == expected


@each_exercise
def test_the_badge_is_there_where_the_project_has_an_address(
    exercise: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOJO_REPO", raising=False)
    plain = exercise_text(exercise)
    if repository() is None:
        assert "colab.research.google.com" not in plain
    for wish in ("ada/dojo", "https://github.com/ada/dojo", "git@github.com:ada/dojo.git"):
        monkeypatch.setenv("DOJO_REPO", wish)
        text = exercise_text(exercise)
        first, *_ = percent_cells(text)
        heading, blank, line, *_ = first.text.split("\n")
        assert heading.startswith("# ")
        assert blank == ""
        assert line.startswith("[![Open in Colab](")
        assert f"/github/ada/dojo/blob/main/notebooks/{exercise.id}.ipynb)" in line
        derived = as_exercise(text, tmp_path / wish.replace("/", "_"))
        assert derived.title == exercise.title


def test_a_repository_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for wish in ("dojo", "https://example.org/a/b", "a/b/c", 'a/b") evil'):
        monkeypatch.setenv("DOJO_REPO", wish)
        with pytest.raises(DojoError, match="owner/name"):
            repository()


@each_exercise
def test_no_line_of_an_answer_is_left(exercise: Exercise) -> None:
    text = exercise_text(exercise)
    answers = exercise.code_cells("backward", "training")
    others = [cell.text for cell in exercise.cells if cell.kind == "code" and cell not in answers]
    shown = "\n".join(others).split("\n")
    for cell in answers:
        kept = stubs(exercise, cell).split("\n")
        for line in cell.text.split("\n"):
            if line in kept or line in shown:
                continue  # the signature of a function, what is said about it, a line that the lesson shows
            if exercise.can_train and any(line.strip() == atom.text for atom in exercise.atoms):
                continue  # the loop repeats the forward pass
            if len(line.strip()) > 40:
                assert line not in text.split("\n")
    assert exercise_text(exercise) == text


@each_exercise
def test_hints_are_folded_away_at_the_end_and_can_be_read_back(exercise: Exercise, tmp_path: Path) -> None:
    text = exercise_text(exercise)
    folded = [cell.text for cell in percent_cells(text) if "hint" in cell.tags]
    assert len(folded) == sum("hint" in cell.tags for cell in exercise.cells)
    for number, hint in enumerate(folded):
        assert hint.startswith("<details>\n<summary>")
        assert f": hint {number % HINTS_PER_ANSWER + 1}</summary>" in hint
        assert hint.endswith("</details>")
    derived = as_exercise(text, tmp_path)
    for variable, hints in exercise.hints.items():
        assert derived.hints[variable] == tuple(FIGURE.sub("", hint) for hint in hints)
        assert not any(re.search(r"<[/!\w]", hint) for hint in derived.hints[variable])
    last_answer = max(text.index(f"\n{cell.text}\n") for cell in derived.code_cells("backward", "training"))
    assert last_answer < text.index("<details>")


@each_exercise
def test_an_exercise_asks_what_its_solution_asks(exercise: Exercise, tmp_path: Path) -> None:
    derived = as_exercise(exercise_text(exercise), tmp_path)
    assert derived.graded == exercise.graded
    assert derived.given == exercise.given
    assert derived.parameter_values == exercise.parameter_values
    assert [atom.text for atom in derived.atoms] == [atom.text for atom in exercise.atoms]


# ---- Notebooks ----


@each_exercise
def test_a_notebook_is_valid_and_the_same_each_time(exercise: Exercise) -> None:
    text = exercise_text(exercise)
    written = notebook_text(text)
    assert jupytext.reads(written, fmt="ipynb").cells[1].source.count("\n    %pip ") == 2
    assert written == notebook_text(text)
    notebook = nbformat.reads(written, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    ids = [cell["id"] for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    assert notebook.metadata.kernelspec.name == "python3"


@each_exercise
def test_a_notebook_holds_the_cells_of_its_exercise(exercise: Exercise) -> None:
    text = exercise_text(exercise)
    notebook = nbformat.reads(notebook_text(text), as_version=4)
    cells = percent_cells(text)

    def key(kind: str, tags: Sequence[str], source: str) -> tuple[bool, str, str]:
        return "hint" in tags, kind, source.strip().replace("# %pip", "%pip")

    expected = [key(c.kind, c.tags, c.text) for c in cells]
    assert sorted(expected) == sorted(key(c.cell_type, c.metadata.get("tags", ()), c.source) for c in notebook.cells)
    hints: list[str] = []
    answered: dict[str, list[str]] = {}
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", ())
        if "hint" in tags:
            hints.append(cell.source)
        elif {"backward", "training"} & set(tags):
            answered.setdefault(", ".join(name_of_stub(node) for node in ast.parse(cell.source).body), hints)
            hints = []
    assert hints == []
    for name, found in answered.items():
        assert [hint.split("</summary>")[0] for hint in found] == [
            f"<details>\n<summary>{name}: hint {level}" for level in (1, 2, 3)
        ]


def test_an_edit_of_one_cell_leaves_the_ids_of_the_others() -> None:
    text = exercise_text(find_exercise("makemore/ex2"))
    ids = [cell["id"] for cell in nbformat.reads(notebook_text(text), as_version=4).cells]
    edited = text.replace("# # Exercise 2", "# # Exercise two")
    assert edited != text
    assert [cell["id"] for cell in nbformat.reads(notebook_text(edited), as_version=4).cells] == ids


def test_every_exercise_gives_two_files(tmp_path: Path) -> None:
    files = derived_files(tmp_path)
    expected = {
        tmp_path / folder / f"{exercise.id}{suffix}"
        for exercise in EXERCISES
        for folder, suffix in (("exercises", ".py"), ("notebooks", ".ipynb"))
    } | {tmp_path / "exercises" / track / "track.toml" for track in {exercise.track for exercise in EXERCISES}}
    assert files.keys() == expected
    for exercise, text in pristine_exercises():
        assert files[tmp_path / "exercises" / f"{exercise.id}.py"] == text == exercise_text(exercise)


# ---- A tree of its own ----


def write_derived(root: Path) -> None:
    for path, text in derived_files(root).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what authors work on. Never the checkout itself: its exercises are the learner's."""
    for folder in ("grader", "solutions", "data"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=HALF_WRITTEN)
    for file in ("pyproject.toml", "jupytext.toml", ".jupytext.toml"):
        if (REPOSITORY / file).is_file():
            shutil.copy(REPOSITORY / file, tmp_path)
    write_derived(tmp_path)
    return tmp_path


def author(tree: Path, command: str) -> subprocess.CompletedProcess[str]:
    return dojo(tree, "author", command, PYTHONPATH=str(tree))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, old
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_build_writes_what_is_not_up_to_date_and_no_more(tree: Path) -> None:
    target = tree / "exercises/makemore/ex2_cross_entropy.py"
    before = target.read_text(encoding="utf-8")
    target.write_text("old\n")
    (tree / "notebooks/makemore/ex3_batchnorm.ipynb").unlink()
    ran = author(tree, "build")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(ran.stdout.split()) == [
        "exercises/makemore/ex2_cross_entropy.py",
        "notebooks/makemore/ex3_batchnorm.ipynb",
        "written:",
        "written:",
    ]
    assert target.read_text(encoding="utf-8") == before


@pytest.mark.slow
def test_check_finds_nothing_in_an_untouched_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_derived(tmp_path)
    monkeypatch.setattr(author_check, "bundled", lambda name: tmp_path / name)
    said: list[str] = []
    assert author_check.check(said.append) == 0
    graded = sum(len(exercise.graded) for exercise in EXERCISES)
    assert said == [f"{len(EXERCISES)} exercises, {graded} graded variables, 0 problems"]


def test_check_reports_each_problem_once(tree: Path) -> None:
    for other in {exercise.track for exercise in EXERCISES} - {"makemore"}:  # one track holds all that can be wrong
        for folder in ("solutions", "exercises", "notebooks"):
            shutil.rmtree(tree / folder / other)
    makemore = [exercise for exercise in EXERCISES if exercise.track == "makemore"]
    ex1, ex2, ex3 = (
        tree / f"solutions/makemore/{name}.py" for name in ("ex1_atoms", "ex2_cross_entropy", "ex3_batchnorm")
    )
    edit(ex1, "dh = dlogits @ W2.T", "dh = -dlogits @ W2.T")
    edit(ex1, '# %%\ncmp("b2", db2, b2)', '# %%\ndb2 = dlogits.sum(0)\ncmp("b2", db2, b2)')
    edit(ex2, '# %% [markdown] tags=["hint"]\n', "# %% [markdown]\n")
    edit(ex3, "<!-- dojo: makemore/ex3_batchnorm -->", "")
    (tree / "solutions/makemore/ex5_empty.py").write_text(
        "# %% [markdown]\n# # Exercise 5\n\n# <!-- dojo: makemore/ex5_empty -->\n"
    )
    author(tree, "build")
    edit(tree / "exercises/makemore/ex1_atoms.py", "dprobs = ...", "dprobs = 1")
    (tree / "notebooks/makemore/ex4_training.ipynb").unlink()
    (tree / "exercises/makemore/ex9_stray.py").write_text("dh = ...\n")
    ran = author(tree, "check")
    assert ran.returncode == 1
    assert ran.stderr == ""
    *problems, summary = ran.stdout.strip().split("\n")
    for said in (
        "exercises/makemore/ex1_atoms.py: differs from what solutions/ gives",
        "notebooks/makemore/ex4_training.ipynb: missing",
        "exercises/makemore/ex9_stray.py: no solution derives this file",
        "solutions/makemore/ex1_atoms.py: the stub of b2 is pass, not missing",
        ": h is wrong: ",
        "solutions/makemore/ex2_cross_entropy.py: dlogits has 2 hints, not 3",
        "solutions/makemore/ex3_batchnorm.py: its first markdown cell lacks the marker",
        "solutions/makemore/ex5_empty.py: grades no gradient",
    ):
        assert sum(said in problem for problem in problems) == 1, (said, problems)
    assert len(problems) == 8, problems
    graded = sum(len(exercise.graded) for exercise in makemore)
    assert summary == f"{len(makemore) + 1} exercises, {graded} graded variables, 8 problems"


CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
FEW_LINES = re.search(r"^### A lesson in 40 lines.*?^```python\n(.*?)^```", CONTRIBUTING, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("square = y**2", "square = = y**2", "23: Python cannot read the forward cell"),
        ("dy = 2 * y", "dy = = 2 * y", "36: Python cannot read the backward cell"),
        ("= 6, 3", "= 6, int(3)", "10: a parameters cell holds one `name = literal` a line"),
        ("= 6, 3", "= 6", "10: a parameters cell holds one `name = literal` a line"),
        ("import torch\n", "import torch\n1 / 0\n", "14: the lesson's own code raises ZeroDivisionError: "),
        # The sizes are tried in place of these, also where one line assigns two.
        ("x @ w + b", "x @ w + b.expand(6, 1)", "22: the lesson's own code raises RuntimeError: The size of tensor a"),
        ("dy = 2 * y", "dy = 3 * y", "36: y is wrong: "),
        ('cmp("w"', '# %% tags=["grading"]\nsizes = [{"pints": 4}]\n#', "the grading cell's sizes name pints, "),
    ],
)
def test_an_author_is_told_where_a_lesson_cannot_run(
    old: str, new: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FEW_LINES is not None
    path = tmp_path / "solutions/lines/ex1_line.py"
    path.parent.mkdir(parents=True)
    path.write_text(FEW_LINES[1], encoding="utf-8")
    edit(path, old, new)
    monkeypatch.setattr(author_check, "bundled", lambda name: tmp_path / name)
    monkeypatch.setattr(author_check, "_differences", lambda root: [])
    found: list[str] = []
    with lessons_in(tmp_path / "solutions"):
        try:
            assert author_check.check(found.append) == 1
        except DojoError as problem:
            found.append(str(problem))
    assert re.search(rf"solutions/lines/ex1_line\.py:?( |){re.escape(said)}", found[0]), found


def test_no_exercise_at_all_is_an_error(tree: Path) -> None:
    shutil.rmtree(tree / "solutions")
    (tree / "solutions").mkdir()
    ran = author(tree, "check")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("dojo: no exercise found")


def test_work_in_a_notebook_reaches_the_exercise_beside_it(tree: Path) -> None:
    notebook = tree / "notebooks/makemore/ex2_cross_entropy.ipynb"
    exercise = tree / "exercises/makemore/ex2_cross_entropy.py"
    edit(notebook, "dlogits = ...", "dlogits = 5")
    os.utime(exercise, (1, 1))
    ran = subprocess.run(
        [sys.executable, "-m", "jupytext", "--sync", notebook.relative_to(tree)],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert "dlogits = 5" in exercise.read_text(encoding="utf-8"), ran.stdout
    assert jupytext.read(exercise).cells[0].source == jupytext.read(notebook).cells[0].source


@each_exercise
def test_links_to_other_lessons_lead_to_their_notebooks(exercise: Exercise) -> None:
    links = re.findall(r"\]\(((?:\.\./\w+/)?ex\d[\w.]*)\)", exercise_text(exercise))
    there = {f"{other.id}.ipynb" for other in EXERCISES}
    for link in links:
        track, name = link.split("/")[1:] if link.startswith("../") else (exercise.track, link)
        assert f"{track}/{name}" in there, link


@each_exercise
def test_no_line_of_a_paragraph_looks_like_the_next_point_of_a_list(exercise: Exercise) -> None:
    """A sentence wrapped before `- 1` or `1.` is drawn as a list: nobody sees that in the script."""
    for cell in exercise.cells:
        lines = cell.text.split("\n") if cell.kind == "markdown" else []
        for before, line in itertools.pairwise(lines):
            if re.match(r"([-+*]|\d+\.) ", line):
                assert not before.strip() or re.match(r"([-+*]|\d+\.) |  ", before), f"{exercise.id}: {line}"


@each_exercise
def test_the_last_hint_before_an_answer_does_not_hold_it(exercise: Exercise) -> None:
    """`dojo solution` shows answers; a last hint gives a number to check one by."""

    def squeezed(text: str | None) -> str:
        return re.sub(r"[\s`]+", "", text or "")

    hint = ""
    for cell in exercise.cells:
        if "hint" in cell.tags:
            hint = squeezed(cell.text)
        elif {"backward", "training"} & set(cell.tags):
            for node in ast.walk(ast.parse(cell.text)):
                if isinstance(node, ast.Assign | ast.AugAssign | ast.Return) and node.value is not None:
                    answer = squeezed(ast.get_source_segment(cell.text, node.value))
                    assert len(answer) < 9 or not re.search(r"[-*/@(]", answer) or answer not in hint, answer
