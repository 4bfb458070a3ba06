"""Notebooks as Google Colab runs them, and as learners download them from there."""

from __future__ import annotations

import importlib.metadata
import json
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import GradeText, sampled
from dojo import REPOSITORY
from nbclient import NotebookClient
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from grader.lesson.colab import setup_cell
from grader.lesson.derive import derived_files, exercise_text, notebook_text
from grader.lesson.exercise import Exercise, all_exercises, find_exercise
from grader.lesson.tracks import all_tracks

STEPS = 50
EXERCISES = all_exercises()
each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.short_id)


# ---- A Colab of our own ----


@dataclass
class Colab:
    """A virtual environment with torch, ipykernel and matplotlib only, where `google.colab` is loaded."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv/bin/python"

    @property
    def site(self) -> Path:
        """Where its packages lie."""
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder / "venv")}))

    @property
    def wheels(self) -> Path:
        return self.folder / "wheels"

    def installed(self) -> dict[str, str]:
        there = importlib.metadata.distributions(path=[str(self.site)])
        return {canonicalize_name(one.metadata["Name"]): one.version for one in there}

    def remove(self, names: Iterable[str]) -> None:
        """Take these packages out again."""
        run([self.python, "-m", "pip", "uninstall", "-q", "-y", *names], self.folder)

    def environment(self, home: Path) -> dict[str, str]:
        """What the kernel sees: nothing of the checkout, and no packages but those of the local folder."""
        return {
            "PATH": f"{self.python.parent}:{os.defpath}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self.folder / "stub"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
        }


def run(command: Sequence[str | Path], folder: Path, why_skip: str = "") -> str:
    """Run it and give back what it prints. Where it fails, skip with `why_skip`, else fail."""
    try:
        ran = subprocess.run(
            [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired:
        if why_skip:
            pytest.skip(f"{why_skip}: no end after 600 s")
        raise
    if ran.returncode and why_skip:
        last = (ran.stderr or ran.stdout).strip().split("\n")[-1]
        pytest.skip(f"{why_skip}: {last}")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def colab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Colab]:
    made = Colab(tmp_path_factory.mktemp("colab"))
    build_wheel(made.folder / "tree", made.wheels)
    constraints = ("-c", REPOSITORY / "constraints.txt")
    pip = (sys.executable, "-m", "pip")
    run([*pip, "--version"], made.folder, "there is no pip here")
    (light,) = re.findall(r'light = "(.*)"$', setup_cell(), re.MULTILINE)
    run(
        [*pip, "download", "-q", "-d", made.wheels, *constraints, *light.split()],
        made.folder,
        "pip cannot download the light packages",
    )
    venv = [sys.executable, "-m", "venv", "--without-pip", made.folder / "venv"]
    run(venv, made.folder, "no virtual environment can be made")
    lay_down(["pip", "torch", "ipykernel", "matplotlib"], made.site)
    write_stub(made.folder / "stub")
    kernel = made.folder / "jupyter/kernels/colab/kernel.json"
    kernel.parent.mkdir(parents=True)
    argv = [str(made.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": argv, "display_name": "Colab", "language": "python"}))
    yield made
    shutil.rmtree(made.folder / "venv")


def lay_down(names: Iterable[str], site: Path) -> None:
    """What is installed here under these names, and all that it needs, in another environment.

    Each file is a second link to the one here, so it takes no room; pip and Python replace files and write into none.
    """
    waiting, found = list(names), set[str]()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        try:
            package = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # what is not here is not needed to run here
            continue
        needed = map(Requirement, package.requires or ())
        waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
        for file in package.files or ():
            if ".." not in file.parts:
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(Path(str(package.locate_file(file))), target)


def link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except FileNotFoundError:  # listed, and not there, as compiled files may be
        return
    except OSError:  # on another disk
        shutil.copy2(path, target)


def build_wheel(tree: Path, wheels: Path) -> None:
    """The wheel of this checkout, with exercises that nobody has touched."""
    for name in ("grader", "data"):
        shutil.copytree(REPOSITORY / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, tree)
    for path, text in derived_files(tree).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels], tree)


def write_stub(folder: Path) -> None:
    """On Colab the kernel has loaded `google.colab` before the first cell runs."""
    package = folder / "google/colab"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (folder / "sitecustomize.py").write_text("import google.colab\n")


def execute(text: str, colab: Colab, home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Run a notebook from top to end in an empty folder; an exception in a cell fails the test."""
    notebook = nbformat.reads(notebook_text(text), as_version=4)
    (at,) = (i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ()))
    if "max_steps" in notebook.cells[at].source:
        injected = nbformat.v4.new_code_cell(f"max_steps = {STEPS}", metadata={"tags": ["injected-parameters"]})
        notebook.cells.insert(at + 1, injected)
    notebook.cells.append(
        nbformat.v4.new_code_cell("import sys, grader, torch\nprint(grader.__file__, torch.__file__)")
    )
    monkeypatch.setenv("JUPYTER_PATH", str(colab.folder / "jupyter"))
    client = NotebookClient(notebook, timeout=200, kernel_name="colab", resources={"metadata": {"path": str(home)}})
    client.execute(env=colab.environment(home))
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_notebooks_of_every_track_run_on_colab_and_torch_stays(
    colab: Colab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first lesson of each track, and a loop, which draws. One test for all of them: with pytest-xdist each
    worker would make an environment of 1 GB."""
    before = colab.installed()
    assert not {"backprop-dojo", "msgspec", "tqdm", "jupytext"} & before.keys()
    for exercise in [*(track.exercises[0] for track in all_tracks()), find_exercise("makemore/ex4")]:
        home = tmp_path / exercise.id
        home.mkdir(parents=True)
        cells = execute(exercise_text(exercise), colab, home, monkeypatch)
        after = colab.installed()
        new = after.keys() - before.keys()
        colab.remove(new)  # the next notebook finds a fresh runtime
        assert {name: after[name] for name in before} == before
        assert {"backprop-dojo", "jupytext", "msgspec", "tqdm"} <= new
        assert {wheel.name.split("-")[0].lower().replace("_", "-") for wheel in colab.wheels.iterdir()} >= new
        (setup,) = (cell for cell in cells if "colab" in cell.metadata.get("tags", ()))
        assert re.sub(r"Note: you may need to restart.*\n?", "", printed(setup)).strip() == ""
        for path in printed(cells[-1]).split():
            assert path.startswith(f"{colab.folder}/venv/"), path
        assert not [path for path in home.iterdir() if not path.name.startswith(".")]


# ---- What comes back ----


def solved(exercise: Exercise) -> list[Any]:
    """The cells of the exercise's notebook with the solution's answers in them."""
    answers = iter(exercise.code_cells("backward", "training"))
    notebook = nbformat.reads(notebook_text(exercise_text(exercise)), as_version=4)
    for cell in notebook.cells:
        if {"backward", "training"} & set(cell.metadata.get("tags", ())):
            cell["source"] = next(answers).text.strip()
    assert next(answers, None) is None
    return list(notebook.cells)


def moved_about(exercise: Exercise, cells: list[Any], order: random.Random) -> list[Any]:
    """The cells in another order: any at all, but what measures a trained network stays below the training."""
    if not exercise.can_train:
        return order.sample(cells, len(cells))
    (at,) = (i for i, cell in enumerate(cells) if "training" in cell.metadata.get("tags", ()))
    return [*order.sample(cells[:at], at), cells[at], *order.sample(cells[at + 1 :], len(cells) - at - 1)]


def downloaded(cells: list[Any]) -> str:
    """As Colab's "Download .ipynb" gives it, less the tags: metadata of its own, outputs, an older format."""
    written = []
    for number, cell in enumerate(cells):
        made = {"cell_type": cell.cell_type, "source": cell.source.splitlines(keepends=True)}
        made["metadata"] = {"id": f"aB{number}", "colab": {"base_uri": "https://localhost:8080/"}}
        if cell.cell_type == "code":
            outputs = [
                {"output_type": "stream", "name": "stdout", "text": ["dlogits = 0\n"]},
                {"output_type": "display_data", "metadata": {}, "data": {"image/png": "AA==", "text/plain": ["x"]}},
            ]
            made |= {"outputs": outputs, "execution_count": number}
        written.append(made)
    metadata = {"colab": {"provenance": []}, "kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 0, "metadata": metadata, "cells": written})


@pytest.mark.parametrize("seed", sampled(2, [4, 5]))
@each_exercise
def test_a_notebook_downloaded_from_colab_is_graded_all_the_same(
    exercise: Exercise, seed: int, grade_text: GradeText
) -> None:
    cells = moved_about(exercise, solved(exercise), random.Random(seed))
    (report,) = grade_text(downloaded(cells), suffix=".ipynb")
    assert report.exercise == exercise.id
    assert [(v.name, v.status, v.message) for v in report.verdicts if v.status != "pass"] == []
    assert report.max_score == len(exercise.graded)
