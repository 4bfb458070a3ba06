"""An exercise is one file: what is read from it, and that a new one needs nothing else."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from dojo import HALF_WRITTEN, REPOSITORY
from lessons import lessons_in

from grader.base.errors import DojoError
from grader.lesson.derive import exercise_text, notebook_text
from grader.lesson.exercise import Exercise, all_exercises, exercises_called, find_exercise, marked_id, read_exercise
from grader.lesson.trials import namespace_of, sizes_drawn
from grader.syntax.source import parse_source, percent_cells

LINEAR = """\
# %% [markdown]
# # Exercise 1: a line through points
#
# <!-- dojo: linear/ex1_line -->

# %% tags=["parameters"]
seed = 7
device = "cpu"
dtype = "float32"
points = 6
features = 3

# %% tags=["setup"]
import torch

from grader import cmp

g = torch.Generator().manual_seed(seed)
x = torch.randn((points, features), generator=g, dtype=getattr(torch, dtype)).to(device)
w = torch.randn((features, 1), generator=g, dtype=getattr(torch, dtype)).to(device)
b = torch.randn(1, generator=g, dtype=getattr(torch, dtype)).to(device)

# %% tags=["forward"]
y = x @ w + b  # (6, 1)
square = y**2  # (6, 1)
loss = square.mean()  # ()

# %% [markdown] tags=["hint"]
# A nudge.

# %% [markdown] tags=["hint"]
# The rule.

# %% [markdown] tags=["hint"]
# A number.

# %% tags=["backward"]
dsquare = torch.ones_like(square) / points
unrelated = 1

# %% [markdown] tags=["hint"]
# One.

# %% [markdown] tags=["hint"]
# Two.

# %% [markdown] tags=["hint"]
# Three.

# %% tags=["backward"]
dy = 2 * y * dsquare
dw = x.T @ dy
db = dy.sum(0)
"""


@pytest.fixture
def line(tmp_path: Path) -> Exercise:
    return read_text_as_exercise(tmp_path, LINEAR)


def read_text_as_exercise(root: Path, text: str, name: str = "linear/ex1_line.py") -> Exercise:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return read_exercise(path, root)


@pytest.fixture
def root_of_two_tracks(tmp_path: Path) -> Iterator[Path]:
    """All exercises are looked for in a folder with this project's track and a new one."""
    shutil.copytree(REPOSITORY / "solutions", tmp_path / "solutions")
    read_text_as_exercise(tmp_path / "solutions", LINEAR)
    with lessons_in(tmp_path / "solutions"):
        yield tmp_path / "solutions"


# ---- What is read ----


def test_names_and_title_come_from_the_file(line: Exercise) -> None:
    assert (line.id, line.short_id) == ("linear/ex1_line", "linear/ex1")
    assert line.title == "Exercise 1: a line through points"
    assert marked_id(line.cells) == line.id


def test_the_forward_cells_give_the_atoms(line: Exercise) -> None:
    first = LINEAR.split("\n").index("y = x @ w + b  # (6, 1)") + 1
    assert [(atom.name, set(atom.reads), atom.line) for atom in line.atoms] == [
        ("y", {"x", "w", "b"}, first),
        ("square", {"y"}, first + 1),
        ("loss", {"square"}, first + 2),
    ]
    assert line.network_names == {"x", "w", "b"}
    assert line.setup_names >= {"torch", "cmp", "g", "x", "w", "b", "points", "seed"}


def test_the_backward_cells_say_what_is_graded(line: Exercise) -> None:
    assert line.graded == ("square", "y", "w", "b")
    assert line.given == ()
    assert not line.can_train


def test_hints_are_those_above_the_answer(line: Exercise) -> None:
    assert line.hints["square"] == ("A nudge.", "The rule.", "A number.")
    assert {line.hints[name] for name in ("y", "w", "b")} == {("One.", "Two.", "Three.")}


def test_folded_hints_say_themselves_which_answer_they_are_for(line: Exercise, tmp_path: Path) -> None:
    derived = tmp_path / "derived" / "linear" / "ex1_line.py"
    derived.parent.mkdir(parents=True)
    derived.write_text(exercise_text(line), encoding="utf-8")
    assert dict(read_exercise(derived, tmp_path / "derived").hints) == line.hints


def test_parameter_values_are_literals(line: Exercise) -> None:
    assert line.parameter_values == {
        "seed": 7,
        "device": "cpu",
        "dtype": "float32",
        "points": 6,
        "features": 3,
    }


def test_a_trial_replaces_parameters_and_nothing_else(line: Exercise) -> None:
    namespace = namespace_of(line, {"points": 11, "dtype": "float64"})
    assert namespace["x"].shape == (11, 3)
    assert str(namespace["x"].dtype) == "torch.float64"
    drawn = sizes_drawn(line, seed=1)
    assert drawn.keys() == {"points", "features"}
    assert len({6, 3, *drawn.values()}) == 4


def test_the_exercises_of_the_project_are_as_the_design_lists_them() -> None:
    found = {e.number: e for e in all_exercises() if e.id.startswith("makemore/")}
    assert list(found) == ["ex1", "ex2", "ex3", "ex4", "ex5"]
    assert len(found["ex1"].graded) == 26
    assert found["ex1"].graded[0] == "logprobs"
    assert found["ex1"].graded[-1] == "C"
    assert found["ex2"].graded == ("logits",)
    assert (found["ex3"].graded, found["ex3"].given) == (("hprebn",), ("hpreact",))
    assert found["ex4"].graded == ("loss", "C", "W1", "b1", "W2", "b2", "bngain", "bnbias")
    assert found["ex4"].can_train
    assert [e.number for e in found.values() if e.grading.optional] == ["ex5"]


@pytest.mark.parametrize("name", ["ex1_atoms", "makemore/ex1", "makemore/ex1_atoms"])
def test_an_exercise_is_found_by_each_of_its_names(name: str) -> None:
    assert find_exercise(name).id == "makemore/ex1_atoms"


# ---- What is refused ----


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DojoError, match=r"'ex9' is unknown; choose one of: .*makemore/ex2"):
        find_exercise("ex9")


@pytest.mark.usefixtures("root_of_two_tracks")
def test_a_name_that_two_tracks_share_is_ambiguous() -> None:
    with pytest.raises(DojoError, match=r"'ex1' is ambiguous; choose one of: .*linear/ex1, makemore/ex1"):
        find_exercise("ex1")
    assert find_exercise("makemore/ex1").id == "makemore/ex1_atoms"
    assert {"linear", "makemore"} <= {e.track for e in exercises_called("ex1")}
    assert find_exercise("ex1_line").id == "linear/ex1_line"


@pytest.mark.usefixtures("root_of_two_tracks")
def test_in_a_folder_named_as_a_track_its_own_exercise_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "makemore").mkdir()
    monkeypatch.chdir(tmp_path / "makemore")
    assert find_exercise("ex1").id == "makemore/ex1_atoms"
    assert find_exercise("linear/ex1").id == "linear/ex1_line"


def test_no_exercise_at_all_is_an_error(tmp_path: Path) -> None:
    with lessons_in(tmp_path), pytest.raises(DojoError, match="no exercise found"):
        all_exercises()


def test_a_forward_cell_holds_assignments_only(tmp_path: Path) -> None:
    broken = read_text_as_exercise(tmp_path, LINEAR.replace("square = y**2  # (6, 1)", "print(y)"))
    with pytest.raises(DojoError, match=r"ex1_line\.py:25: a forward cell holds one"):
        _ = broken.atoms


def test_a_training_exercise_without_parameters_is_refused(tmp_path: Path) -> None:
    text = LINEAR.replace('tags=["backward"]', 'tags=["training"]')
    with pytest.raises(DojoError, match="no setup cell assigns `parameters"):
        _ = read_text_as_exercise(tmp_path, text).graded


# ---- What the grading cell says ----

GRADING = """
# %% tags=["grading"]
targets = ["loss", "y", "w"]
tolerance = {"w": 1e-6}
sizes = [{"points": 4, "features": 2}, {"points": 9, "features": 5}]
batch = "points"
optimizer = torch.optim.SGD([w], lr=0.1)
"""


def test_the_grading_cell_is_read_without_running_it(tmp_path: Path) -> None:
    lesson = read_text_as_exercise(tmp_path, LINEAR + GRADING.replace("torch.optim", "no_such_module"))
    found = lesson.grading
    assert lesson.graded == ("loss", "y", "w")
    assert (found.tolerance_of("w"), found.tolerance_of("y"), found.batch) == (1e-6, 0.0, "points")
    assert {sizes_drawn(lesson, seed)["points"] for seed in range(20)} == {4, 9}
    assert found.binds == {"optimizer"}
    with pytest.raises(DojoError, match=r"ex1_line\.py:\d+: the grading cell raises NameError"):
        found.run(namespace_of(lesson, {}))


def test_the_judge_runs_the_grading_cell_above_setup(tmp_path: Path) -> None:
    lesson = read_text_as_exercise(tmp_path, LINEAR + GRADING)
    namespace = namespace_of(lesson, {})
    assert lesson.grading.run(namespace)["optimizer"].param_groups[0]["params"][0] is namespace["w"]
    assert "optimizer" not in namespace


def test_without_a_grading_cell_the_defaults_hold(line: Exercise) -> None:
    assert (line.grading.targets, line.grading.batch, line.grading.tolerance_of("y")) == ((), "n", 0.0)
    assert line.grading.run({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("line_of_cell", "said"),
    [
        ("targets = []", "targets = .* is not right; give names"),
        ("targets = [y]", "targets is to be a literal"),
        ("sizes = {'points': 3}", "sizes = .* is not right; give dicts"),
        ("tolerance = 2", "tolerance = 2 is not right"),
        ("batch = 3", "batch = 3 is not right"),
        ("optional = 1", "optional = 1 is not right; give True or False"),
        ("batch = ", "Python cannot read the grading cell"),
    ],
)
def test_a_grading_cell_that_is_not_right_is_refused_with_its_line(
    tmp_path: Path, line_of_cell: str, said: str
) -> None:
    lesson = read_text_as_exercise(tmp_path, f'{LINEAR}\n# %% tags=["grading"]\n{line_of_cell}\n')
    last = len(LINEAR.split("\n")) + 2
    with pytest.raises(DojoError, match=rf"ex1_line\.py:{last}: {said}"):
        _ = lesson.grading


def test_a_target_that_the_lesson_does_not_have_is_refused(tmp_path: Path) -> None:
    lesson = read_text_as_exercise(tmp_path, LINEAR + GRADING.replace('"y"', '"q"'))
    with pytest.raises(DojoError, match="target 'q' is no tensor of the forward pass"):
        _ = lesson.graded


DEFINITIONS = (
    LINEAR.replace("db = dy.sum(0)\n", "").replace(
        "dw = x.T @ dy",
        '''

def slope(f, x, eps=1e-4):
    """The slope of f at x.

    A central difference.
    """

    # both sides
    return (f(x + eps) - f(x - eps)) / (2 * eps)


class Value:
    """A number that knows its gradient."""

    zero = 0.0

    def __init__(self, data: float) -> None:
        # the answer
        self.data = data
        self.grad = self.zero

    def backward(self): self.grad = 1.0

    __radd__ = None''',
    )
    + """
# %% tags=["grading"]
def cases(generator):
    yield "a", "result = Value(3.0).data"


class Value:
    pass
"""
)


def test_functions_and_classes_are_graded_where_the_lesson_has_cases(tmp_path: Path) -> None:
    lesson = read_text_as_exercise(tmp_path, DEFINITIONS)
    assert lesson.graded == ("square", "y", "slope", "Value")
    assert lesson.definitions == {"slope", "Value"}
    assert [lesson.label(name) for name in lesson.graded] == ["dsquare", "dy", "slope", "Value"]
    assert "slope" in lesson.hints
    without = read_text_as_exercise(tmp_path, DEFINITIONS.replace("def cases", "def other"))
    assert without.graded == ("square", "y")


def test_learners_get_signatures_and_docstrings_and_the_grading_cell_before_the_hints(tmp_path: Path) -> None:
    lesson = read_text_as_exercise(tmp_path, DEFINITIONS)
    text = exercise_text(lesson)
    stubs = '''dy = ...


def slope(f, x, eps=1e-4):
    """The slope of f at x.

    A central difference.
    """
    ...


class Value:
    """A number that knows its gradient."""

    zero = 0.0

    def __init__(self, data: float) -> None:
        ...

    def backward(self): ...

    __radd__ = None
'''
    assert stubs in text
    assert '#\n#\n# class Value:\n#     pass\n\n# %% [markdown] tags=["hint"]\n# <details>' in text
    derived = read_text_as_exercise(tmp_path, text, "linear/derived.py")
    assert derived.grading.binds == lesson.grading.binds == {"cases", "Value"}
    assert derived.graded == lesson.graded
    learners = parse_source(Path("answer.py"), percent_cells(text))
    assert sum(isinstance(statement.node, ast.ClassDef) for statement in learners.statements) == 1
    notebook = nbformat.reads(notebook_text(text), as_version=4)
    last = notebook.cells[-1]
    assert (last.cell_type, last.metadata["jupyter"]) == ("raw", {"source_hidden": True})


# ---- A new exercise is one new file ----


def test_a_new_track_appears_by_its_file_alone(root_of_two_tracks: Path) -> None:
    ids = [exercise.id for exercise in all_exercises()]
    assert "linear/ex1_line" in ids
    assert len(ids) == len(list((REPOSITORY / "solutions").glob("*/ex*.py"))) + 1


def test_a_new_exercise_is_graded_by_the_unchanged_grader(tmp_path: Path) -> None:
    for folder in ("grader", "solutions", "data"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=HALF_WRITTEN)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    read_text_as_exercise(tmp_path / "solutions", LINEAR)
    wrong = LINEAR.replace("2 * y * dsquare", "y * dsquare").replace("db = dy.sum(0)", "db = 6 * dy.mean(0)")
    answers = tmp_path / "answers"
    answers.mkdir()
    (answers / "right.py").write_text(LINEAR)
    (answers / "wrong.py").write_text(wrong)
    ran = subprocess.run(
        [sys.executable, "-m", "grader", "grade", "answers", "--format", "json", "--seed", "5"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 1, ran.stderr
    found = json.loads(ran.stdout)["submissions"]
    assert [(s["exercise"], s["score"], s["max_score"]) for s in found] == [
        ("linear/ex1_line", 4, 4),
        ("linear/ex1_line", 3, 4),
    ]
    statuses = {v["name"]: (v["status"], v["mistake"]) for v in found[1]["verdicts"]}
    assert statuses["y"][0] == "wrong"
    assert statuses["b"] == ("pass", "hardcoded-size")


def test_the_lesson_in_contributing_is_one_file_and_all_that_it_takes(tmp_path: Path) -> None:
    page = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```python\n(# %% \[markdown\]\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    for folder in ("grader", "data"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=HALF_WRITTEN)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    read_text_as_exercise(tmp_path / "solutions", text, "lines/ex1_line.py")

    def dojo(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "grader", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)

    assert dojo("author", "build").returncode == 0
    checked = dojo("author", "check")
    assert checked.stdout.strip() == "1 exercise, 3 graded variables, 0 problems", checked.stdout + checked.stderr
    exercise = tmp_path / "exercises/lines/ex1_line.py"
    assert [part for part in ("dy = ...", "dw = ...", "db = ...") if part not in exercise.read_text()] == []
    (tmp_path / "wrong.py").write_text(text.replace("db = dy.sum(0)", "db = dy"))
    found = json.loads(dojo("grade", "wrong.py", "--format", "json").stdout)["submissions"]
    assert {v["name"]: v["mistake"] for v in found[0]["verdicts"]} == {"y": None, "w": None, "b": "missing-sum"}
