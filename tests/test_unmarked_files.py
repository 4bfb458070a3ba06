"""Files that say nothing of the lesson they hold: no marker, no title, a file name that tells nothing; or little."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path
from textwrap import indent

import jupytext
import nbformat
import pytest

from grader.lesson.exercise import Exercise, all_exercises, find_exercise, track_of
from grader.reading.submission import Part, find_parts
from grader.syntax.source import read_source

LESSONS = all_exercises()
_ANSWERS = re.compile(r'"(backward|training)"')


def cells(lesson: Exercise) -> list[str]:
    """The cells of a solution as text, without its marker and its title."""
    text = re.sub(r".*<!-- dojo:.*-->\n", "", lesson.path.read_text(encoding="utf-8"))
    return re.split(r"(?m)^(?=# %%)", re.sub(r"(?m)^# # .*\n", "# # Notes\n", text, count=1))


def is_answer(cell: str) -> bool:
    return bool(_ANSWERS.search(cell.split("\n")[0]))


def parts_of(folder: Path, text: str, suffix: str = ".py") -> list[Part]:
    path = folder / f"work{suffix}"
    path.write_text(nbformat.writes(jupytext.reads(text, fmt="py:percent")) if suffix == ".ipynb" else text)
    return find_parts(read_source(path))


def ids(parts: list[Part]) -> list[str]:
    return [part.exercise.id for part in parts]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.id)
@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_a_lesson_is_known_by_what_it_says(tmp_path: Path, lesson: Exercise, suffix: str) -> None:
    assert ids(parts_of(tmp_path, "".join(cells(lesson)), suffix)) == [lesson.id]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.id)
def test_code_alone_and_answers_alone_tell(tmp_path: Path, lesson: Exercise) -> None:
    code = [cell for cell in cells(lesson) if "markdown" not in cell.split("\n")[0]]
    assert ids(parts_of(tmp_path, "".join(code))) == [lesson.id]
    assert ids(parts_of(tmp_path, "".join(cell for cell in code if is_answer(cell)))) == [lesson.id]


@pytest.mark.parametrize("lesson", [e for e in LESSONS if len(e.graded) > 1], ids=lambda lesson: lesson.id)
@pytest.mark.parametrize("left_out", [0, 1])
def test_half_of_the_answers_tell(tmp_path: Path, lesson: Exercise, left_out: int) -> None:
    found, number = [], 0
    for cell in cells(lesson):
        number += is_answer(cell)
        if not is_answer(cell) or number % 2 != left_out or lesson.can_train:
            found.append(cell)
    assert ids(parts_of(tmp_path, "".join(found))) == [lesson.id]


PAIRS = [pair for pair in permutations(LESSONS, 2) if track_of(pair[0]) == track_of(pair[1])]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda lesson: lesson.id)
def test_two_whole_lessons_are_two(tmp_path: Path, first: Exercise, second: Exercise) -> None:
    above, below = "".join(cells(first)), "".join(cells(second))
    parts = {part.exercise.id: part for part in parts_of(tmp_path, f"{above}\n{below}")}
    assert parts.keys() == {first.id, second.id}
    for lesson in (first, second):
        part = parts[lesson.id]
        if lesson.can_train:
            continue
        assert part.attempts.keys() == {*lesson.graded}
        lines = [part.analysis.statements[i].line for attempt in part.attempts.values() for i in attempt.writers]
        assert all((line <= above.count("\n")) == (lesson is first) for line in lines)


LAYERS = {
    "a function's own names": "def linear(x, W, up):\n    dW = x.transpose(-2, -1) @ up\n    return dW, up @ W.T\n"
    "spare = linear(x, Wq, dq)\n",
    "a layer's fields": "class Linear:\n    def backward(self, up):\n        self.dW = self.x.T @ up\n"
    "        self.db = up.sum(0)\nlayer = Linear()\nlayer.x = x[0]\nlayer.backward(dq[0])\n",
    "fields set from outside": "class Layer:\n    pass\nlayer = Layer()\nlayer.dW = x[0].T @ dq[0]\n",
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize("above", [True, False])
def test_what_any_layer_calls_its_gradients_makes_no_other_lesson(tmp_path: Path, layers: str, above: bool) -> None:
    attention = find_exercise("transformer/ex3")
    answers = "".join(cell for cell in cells(attention) if is_answer(cell))
    assert ids(parts_of(tmp_path, f"{layers}\n{answers}" if above else f"{answers}\n{layers}")) == [attention.id]


def test_a_whole_lesson_in_a_function_is_one_beside_another(tmp_path: Path) -> None:
    attention, parallel = find_exercise("transformer/ex3"), find_exercise("transformer/ex6")
    answers = {e: "".join(cell for cell in cells(e) if is_answer(cell)) for e in (attention, parallel)}
    inside = f"def averaged():\n{indent(answers[parallel], '    ')}\naveraged()\n"
    assert ids(parts_of(tmp_path, f"{answers[attention]}\n{inside}")) == [attention.id, parallel.id]


@pytest.mark.parametrize(
    "comment", ["# <!-- dojo: makemore/ex1_atoms -->", "x = 1  # <!-- dojo: makemore/ex1_atoms -->"]
)
def test_a_script_names_its_lesson_in_a_comment(tmp_path: Path, comment: str) -> None:
    answer = "dlogits = torch.softmax(logits, 1)\n"
    assert ids(parts_of(tmp_path, answer)) != ["makemore/ex1_atoms"]
    named = ids(parts_of(tmp_path, f"{comment}\n{answer}")) == ["makemore/ex1_atoms"]
    assert named == comment.startswith("#")  # on a line of its own, as in a lesson
