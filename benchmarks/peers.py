"""Grade the same right answers with this grader, nbgrader and otter-grader, interleaved: README.md says how."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import click
import nbformat
import torch
from rich.console import Console
from rich.table import Table
from rounds import FEWEST_ROUNDS, in_turn

from grader.lesson.exercise import Exercise, find_exercise

ROOT = Path(__file__).resolve().parents[1]
ASSIGNMENT = "ps1"
PEERS = ("nbgrader", "otter-grader")
REFERENCE = """\
_names = {names!r}
_space = dict(globals())
for _name in {leaves!r}:
    _space[_name] = _space[_name].detach().clone().requires_grad_()
exec({forward!r}, _space)
for _name in _names:
    _space[_name].retain_grad()
_space["loss"].backward()
truth = {{_name: _space[_name].grad for _name in _names}}
"""
"""What an instructor's cell would do: the forward pass once more, by autograd."""
TEST = 'assert torch.allclose(d{name}, truth["{name}"], rtol=1e-4, atol=1e-6)'

Runner = Callable[[], None]


def submission(exercise: Exercise) -> nbformat.NotebookNode:
    """The solution as a notebook that any of the three can run, and autograd's gradients at its end."""
    wanted = ("parameters", "setup", "forward", "backward")
    cells = [
        nbformat.v4.new_code_cell(cell.text, metadata={"tags": list(cell.tags)})
        for cell in exercise.code_cells(*wanted)
    ]
    cells.append(nbformat.v4.new_code_cell(reference(exercise)))
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def reference(exercise: Exercise) -> str:
    made = {atom.name for atom in exercise.atoms}
    leaves = [name for name in exercise.graded if name not in made]
    forward = "\n".join(cell.text for cell in exercise.code_cells("forward"))
    return REFERENCE.format(names=list(exercise.graded), leaves=leaves, forward=forward)


# ---- The three graders, each as an instructor calls it ----


class Nbgrader:
    """`nbgrader autograde`, with a test cell for each gradient."""

    def __init__(self, python: Path, folder: Path, exercise: Exercise, students: int) -> None:
        self.command, self.folder = python.with_name("nbgrader"), folder
        notebook = submission(exercise)
        for number, cell in enumerate(notebook.cells):
            cell.metadata["nbgrader"] = marks(f"answer{number}", solution=True)
        for name in exercise.graded:
            test = nbformat.v4.new_code_cell(TEST.format(name=name))
            test.metadata["nbgrader"] = marks(f"test_{name}", points=1)
            notebook.cells.append(test)
        for place in (f"source/{ASSIGNMENT}", *(f"submitted/s{n:03}/{ASSIGNMENT}" for n in range(students))):
            (folder / place).mkdir(parents=True)
            nbformat.write(notebook, folder / place / "lesson.ipynb")
        self._run("generate_assignment", ASSIGNMENT, "--create", "--force")

    def one(self) -> None:
        self._run("autograde", ASSIGNMENT, "--student", "s000", "--force")

    def everyone(self) -> None:
        self._run("autograde", ASSIGNMENT, "--force")

    def _run(self, *arguments: str) -> None:
        called([self.command, *arguments], self.folder)

    def full_marks(self) -> bool:
        graded = json.loads((self.folder / f"autograded/s000/{ASSIGNMENT}/lesson.ipynb").read_text(encoding="utf-8"))
        outputs = [output for cell in graded["cells"] for output in cell.get("outputs", [])]
        return not any(output["output_type"] == "error" for output in outputs)


def marks(name: str, *, solution: bool = False, points: int = 0) -> dict[str, object]:
    """The metadata by which nbgrader knows a cell."""
    found: dict[str, object] = {"grade": not solution, "solution": solution, "locked": not solution}
    return found | {"grade_id": name, "schema_version": 3, "task": False} | ({} if solution else {"points": points})


class Otter:
    """`otter run` on one submission, with a test file for each gradient; it has no other way without containers."""

    def __init__(self, python: Path, folder: Path, exercise: Exercise) -> None:
        self.command, self.folder = python.with_name("otter"), folder
        (folder / "results").mkdir(parents=True)
        tests = folder / "tests"
        tests.mkdir()
        for name in exercise.graded:
            case = {"code": f">>> {TEST.format(name=name)}", "hidden": False, "locked": False}
            suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
            test = {"name": name, "points": 1, "suites": [suite]}
            (tests / f"{name}.py").write_text(f"OK_FORMAT = True\ntest = {test!r}\n", encoding="utf-8")
        nbformat.write(submission(exercise), folder / "lesson.ipynb")
        called([self.command, "generate", "-t", "tests", "-o", "autograder.zip", "--no-environment"], folder)

    def one(self) -> None:
        called([self.command, "run", "-a", "autograder.zip", "-o", "results", "--no-logo", "lesson.ipynb"], self.folder)

    def full_marks(self) -> bool:
        results = json.loads((self.folder / "results" / "results.json").read_text(encoding="utf-8"))
        tests = [test for test in results["tests"] if test.get("max_score")]
        return bool(tests) and all(test["score"] == test["max_score"] for test in tests)


class Dojo:
    """`dojo grade` and `dojo batch`, on the same notebook."""

    def __init__(self, folder: Path, exercise: Exercise, many: int) -> None:
        self.folder, self.many, self.runs = folder, many, 0
        (folder / "class").mkdir(parents=True)
        notebook = submission(exercise)
        notebook.cells.pop()  # autograd's gradients: this grader finds its own
        for number in range(many):
            nbformat.write(notebook, folder / "class" / f"s{number:03}.ipynb")

    def one(self) -> None:
        called([sys.executable, "-m", "grader", "grade", "class/s000.ipynb"], self.folder)

    def everyone(self) -> None:
        self.runs += 1
        called([sys.executable, "-m", "grader", "batch", "class", "--out", f"results{self.runs}"], self.folder)

    def full_marks(self) -> bool:
        lines = (self.folder / f"results{self.runs}" / "index.jsonl").read_text(encoding="utf-8").splitlines()
        people = [json.loads(line) for line in lines]
        return len(people) == self.many and all(p["score"] == p["max_score"] for p in people)


def called(command: list[str | Path], folder: Path) -> None:
    """Run `command`, and stop with its words where it fails."""
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # nbgrader calls alembic by its name
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": path}
    environment["PYTHONDONTWRITEBYTECODE"] = ""  # the peers are installed, so pip has compiled them
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise click.ClickException(f"{' '.join(map(str, command))}:\n{ran.stdout[-1500:]}\n{ran.stderr[-1500:]}")


def seconds(run: Runner) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def python_of(peer: str, folder: Path, *, install: bool) -> Path:
    """The peer's own environment in `folder`, made when it is asked for."""
    python = folder / peer / "bin" / "python"
    if not python.exists():
        if not install:
            raise click.UsageError(f"{python} is not there; --install makes an environment for {peer} (1 GB)")
        venv.create(folder / peer, with_pip=True)
        needs = [peer, "ipykernel", "numpy", f"torch=={torch.__version__.partition('+')[0]}"]
        called([python, "-m", "pip", "install", "-qq", "--no-input", *needs], folder)
    return python


@click.command(help=__doc__)
@click.option("--environments", type=click.Path(path_type=Path), default=ROOT / ".peers", help="Where the peers live.")
@click.option("--install", is_flag=True, help="Make the environments that are not there.")
@click.option("--rounds", default=FEWEST_ROUNDS, show_default=True, type=click.IntRange(min=1))
@click.option("--students", default=12, show_default=True, help="Submissions a round that nbgrader grades.")
@click.option("--many", default=200, show_default=True, help="Submissions a round that this grader grades.")
def main(environments: Path, install: bool, rounds: int, students: int, many: int) -> None:
    exercise = find_exercise("makemore/ex1")
    pythons = {peer: python_of(peer, environments.absolute(), install=install) for peer in PEERS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dojo = Dojo(folder / "dojo", exercise, many)
        (folder / "nbgrader").mkdir()
        nbgrader = Nbgrader(pythons["nbgrader"], folder / "nbgrader", exercise, students)
        otter = Otter(pythons["otter-grader"], folder / "otter", exercise)
        tasks: dict[str, Runner] = {
            "dojo one": dojo.one,
            "nbgrader one": nbgrader.one,
            "otter one": otter.one,
            "dojo many": dojo.everyone,
            "nbgrader many": nbgrader.everyone,
        }
        taken = in_turn({name: partial(seconds, task) for name, task in tasks.items()}, rounds)
        for grader in (dojo, nbgrader, otter):
            if not grader.full_marks():
                raise click.ClickException(f"{type(grader).__name__} did not give full marks to a right answer")
    report(taken, students, many)


def report(taken: dict[str, list[float]], students: int, many: int) -> None:
    """Print each ratio as the median of the rounds, with the smallest and the largest."""
    one, batch = taken["dojo one"], taken["dojo many"]
    rows = {
        "one, cold: dojo / nbgrader (at most 0.4)": ratios(one, taken["nbgrader one"], 1),
        "one, cold: dojo / otter (at most 0.4)": ratios(one, taken["otter one"], 1),
        "submissions a second: dojo / nbgrader (at least 80)": ratios(taken["nbgrader many"], batch, many / students),
        "submissions a second: dojo / otter": ratios(taken["otter one"], batch, many),
    }
    table = Table("ratio", "median", "smallest", "largest")
    for what, found in rows.items():
        table.add_row(what, *(f"{value:.2f}" for value in (median(found), min(found), max(found))))
    Console().print(table)


def ratios(over: list[float], under: list[float], factor: float) -> list[float]:
    return [factor * a / b for a, b in zip(over, under, strict=True)]


if __name__ == "__main__":
    main()
