"""Every lesson runs from top to end in a kernel: the solutions, and the exercises that nobody has touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import sampled
from dojo import environment
from kernels import execute

from grader.lesson.derive import exercise_text, notebook_text
from grader.lesson.exercise import Exercise, all_exercises

STEPS = 50
EXERCISES = all_exercises()
SAMPLED = sampled(4, [*EXERCISES[1:], EXERCISES[0]])  # loops among them, and not the last, which starts processes
each_exercise = pytest.mark.parametrize("exercise", SAMPLED, ids=lambda e: e.short_id)


def run_all(text: str, folder: Path) -> list[tuple[Any, str]]:
    """Each code cell and what it printed; an exception in a cell fails the test."""
    path = folder / "lesson.ipynb"
    path.write_text(notebook_text(text), encoding="utf-8")
    notebook = nbformat.read(path, as_version=4)
    parameters = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ())]
    if "max_steps" in notebook.cells[parameters[-1]].source:
        injected = nbformat.v4.new_code_cell(f"max_steps = {STEPS}", metadata={"tags": ["injected-parameters"]})
        notebook.cells.insert(parameters[-1] + 1, injected)
    execute(notebook, folder, environment(MPLBACKEND="agg"))
    return [(cell, printed(cell)) for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: Any) -> str:
    """What a cell says: on stdout, or as the plain text of what it displays."""
    return "".join(
        output.data.get("text/plain", "").rstrip("\n") + "\n" if output.output_type == "display_data" else output.text
        for output in cell.outputs
        if output.output_type == "display_data" or output.get("name") == "stdout"
    )


def comparisons(ran: list[tuple[Any, str]]) -> list[str]:
    """The lines that the cells of comparisons print, one for each gradient."""
    shown = [text for cell, text in ran if cell.source.startswith("cmp(")]
    return [line for text in shown for line in text.rstrip().split("\n")]


@each_exercise
def test_a_solution_runs_to_its_end_and_each_comparison_is_right(exercise: Exercise, tmp_path: Path) -> None:
    ran = run_all(exercise.path.read_text(encoding="utf-8"), tmp_path)
    shown = comparisons(ran)
    assert len(shown) >= len(exercise.graded_gradients)
    for line in shown:
        assert "| approximate: True " in line, line
    if exercise.can_train and exercise.track == "makemore":
        everything = "".join(text for _, text in ran)
        assert "mean of the last 1" in everything
        assert "train loss" in everything
        assert [text.count("\n") for _, text in ran if text][-1] == 20  # sampled names
    assert list(tmp_path.iterdir()) == [tmp_path / "lesson.ipynb"]


@each_exercise
def test_an_untouched_exercise_runs_to_its_end_and_says_what_is_open(exercise: Exercise, tmp_path: Path) -> None:
    ran = run_all(exercise_text(exercise), tmp_path)
    shown = comparisons(ran)
    assert len(shown) >= len(exercise.graded_gradients)
    for line in shown:
        assert line.rstrip().endswith("| not attempted"), line
    if exercise.can_train:
        assert any("not filled in yet" in text for _, text in ran)
