"""Loops in notebooks of one's own: their sizes, rates, batches and number of steps are theirs, their gradients not."""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import indent

import called_loops
import nbformat
import pytest
from answers.build import FORWARD, LINES
from conftest import sampled
from own_loops import LOOPS, OwnLoop, Slip

from grader.lesson.exercise import find_exercise
from grader.report.records import SubmissionReport

Grade = Callable[..., list[SubmissionReport]]
SLIPS = [(loop, slip) for loop in LOOPS for slip in loop.slips]


def script(loop: OwnLoop) -> str:
    return "\n\n".join(loop.cells)


def notebook(loop: OwnLoop) -> str:
    cells = [nbformat.v4.new_code_cell(cell) for cell in loop.cells]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells))


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.id)
@pytest.mark.parametrize(("written", "suffix"), [(script, ".py"), (notebook, ".ipynb")])
def test_a_right_loop_gets_full_marks(
    loop: OwnLoop, written: Callable[[OwnLoop], str], suffix: str, grade_text: Grade
) -> None:
    (report,) = grade_text(written(loop), suffix)
    assert report.exercise == "makemore/ex4_training"
    assert report.all_passed, [(v.name, v.mistake, v.line, v.message) for v in report.verdicts if not v.passed]


@pytest.mark.parametrize(
    ("loop", "slip"), sampled(3, SLIPS), ids=lambda case: getattr(case, "id", getattr(case, "new", ""))
)
def test_a_slip_is_named_at_its_line(loop: OwnLoop, slip: Slip, grade_text: Grade) -> None:
    text = script(loop)
    assert slip.old in text
    (report,) = grade_text(text.replace(slip.old, slip.new, 1))
    wrong = [verdict for verdict in report.verdicts if not verdict.passed]
    assert wrong
    assert {verdict.mistake for verdict in wrong} == {slip.mistake}
    assert all(slip.line in (verdict.code or "") for verdict in wrong), {verdict.code for verdict in wrong}


HELPERS = [
    "from helpers import build_dataset, words, stoi, itos, vocab_size, block_size\nXtr, Ytr = build_dataset(words)",
    "import utils\nfrom config import block_size, vocab_size\nXtr, Ytr = utils.load('names.txt')",
    "from utils import *\nfrom dataset import Xtr, Ytr, itos\nset_seed(42)",
]


@pytest.mark.parametrize("data", HELPERS)
def test_a_helper_file_that_gives_the_data_costs_nothing(data: str, grade_text: Grade) -> None:
    cells = next(loop.cells for loop in LOOPS if loop.id == "train-function")
    made = next(at for at, cell in enumerate(cells) if "W1 = torch.randn" in cell)
    (report,) = grade_text("\n\n".join((data, *cells[made:])))
    assert report.all_passed, [(v.name, v.mistake, v.message) for v in report.verdicts if not v.passed]


LAYERS = """\
class Linear:
    def __init__(self, fan_in, fan_out):
        self.weight = torch.randn((fan_in, fan_out)) / fan_in**0.5

    def __call__(self, x):
        self.x = x
        return x @ self.weight

    def backward(self, dout):
        self.dweight = self.x.T @ dout
        return dout @ self.weight.T

C = torch.randn((27, 10))
layers = [Linear(30, 200), Linear(200, 27)]
params = [C] + [layer.weight for layer in layers]
losses = []
for step in range(1000):
    ix = torch.randint(0, Xtr.shape[0], (32,))
    Xb, Yb = Xtr[ix], Ytr[ix]
    emb = C[Xb]
    out = emb.view(32, -1)
    for layer in layers:
        out = layer(out)
    loss = F.cross_entropy(out, Yb)
    dlogits = F.softmax(out, 1)
    dlogits[range(32), Yb] -= 1
    dlogits /= 32
    dout = dlogits
    for layer in reversed(layers):
        dout = layer.backward(dout)
    dC = torch.zeros_like(C).index_add_(0, Xb.view(-1), dout.view(-1, 10))
    for p, d in zip(params, [dC] + [layer.dweight for layer in layers]):
        p -= 0.1 * d
    losses.append(loss.item())
"""


def test_a_loop_over_another_network_is_told_so(grade_text: Grade) -> None:
    (report,) = grade_text(LAYERS)
    assert report.exercise == "makemore/ex4_training"
    assert {verdict.mistake for verdict in report.verdicts} == {"undefined-name"}
    assert "there is no W1, b1, W2, b2, bngain, bnbias to compare" in report.verdicts[0].message


def test_the_lessons_own_loop_keeps_its_rate_and_its_length(grade_text: Grade) -> None:
    loop = next(loop for loop in LOOPS if loop.id == "fixed-batch")
    marked = "# %% [markdown]\n# <!-- dojo: makemore/ex4_training -->\n\n# %%\n" + script(loop)
    (report,) = grade_text(marked)
    assert "learning-rate" in {verdict.mistake for verdict in report.verdicts}


# ---- Loops in the lesson's file that leave forward and backward to what they call ----

CALLED = [(lesson, loop) for lesson, loops in called_loops.LOOPS.items() for loop in loops]
NAMES_A_GRADIENT = re.compile(r"(?m)^    (dlogits|dZ2) =")  # in the loop, or in a function at top level
CALLED_SLIPS = [(lesson, loop, slip) for lesson, loop in CALLED for slip in loop.slips]


def in_lesson(lesson: str, loop: str) -> str:
    """The lesson's file with `loop` in the place of its own."""
    exercise = find_exercise(lesson)
    (cell,) = exercise.code_cells("training")
    return exercise.path.read_text(encoding="utf-8").replace(cell.text, loop)


@pytest.mark.parametrize(("lesson", "loop"), CALLED, ids=lambda case: getattr(case, "id", case))
def test_a_loop_that_calls_its_passes_gets_full_marks(lesson: str, loop: OwnLoop, grade_text: Grade) -> None:
    (report,) = grade_text(in_lesson(lesson, loop.cells[0]))
    assert report.exercise == find_exercise(lesson).id
    assert report.all_passed, [(v.name, v.mistake, v.line, v.message) for v in report.verdicts if not v.passed]


@pytest.mark.parametrize(
    ("lesson", "loop"),
    [(lesson, loop) for lesson, loop in CALLED if NAMES_A_GRADIENT.search(loop.cells[0])],
    ids=lambda case: getattr(case, "id", case),
)
def test_such_a_loop_is_known_where_nothing_names_its_lesson(lesson: str, loop: OwnLoop, grade_text: Grade) -> None:
    text = in_lesson(lesson, loop.cells[0])
    cells = re.split(r"(?m)^# %%", text)[1:]
    code = [cell.partition("\n") for cell in cells if "markdown" not in cell.split("\n")[0]]
    (report,) = grade_text("\n".join(body for tags, _, body in code if "grading" not in tags))
    assert report.exercise == find_exercise(lesson).id
    assert report.all_passed, [(v.name, v.mistake, v.line, v.message) for v in report.verdicts if not v.passed]


PASSES = "def passes():\n{}\n    return {}\n\n"
CALLS = ["for _ in range(3):\n    {} = passes()\n", "{} = passes()\nfor _ in range(3):\n    seen = passes()\n"]


@pytest.mark.parametrize("calls", CALLS, ids=["assigned", "timed"])
def test_a_loop_that_updates_nothing_is_no_training(calls: str, grade_text: Grade) -> None:
    names = ", ".join(LINES)
    body = indent("\n".join((FORWARD, *LINES.values())), "    ")
    (report,) = grade_text(PASSES.format(body, names) + calls.format(names))
    assert report.exercise == "makemore/ex1_atoms"
    assert report.all_passed, [(v.name, v.mistake, v.line, v.message) for v in report.verdicts if not v.passed]


@pytest.mark.parametrize(("lesson", "loop", "slip"), CALLED_SLIPS, ids=lambda case: getattr(case, "new", None))
def test_a_slip_in_what_a_loop_calls_is_named(lesson: str, loop: OwnLoop, slip: Slip, grade_text: Grade) -> None:
    (text,) = loop.cells
    assert slip.old in text
    (report,) = grade_text(in_lesson(lesson, text.replace(slip.old, slip.new, 1)))
    wrong = [verdict for verdict in report.verdicts if not verdict.passed]
    assert {verdict.mistake for verdict in wrong} == {slip.mistake}
    assert all(slip.line in (verdict.code or "") for verdict in wrong), {verdict.code for verdict in wrong}


def test_where_no_name_says_which_gradient_it_is_two_places_are_told(grade_text: Grade) -> None:
    (loop,) = (loop for _, loop in CALLED if loop.id == "class")
    (report,) = grade_text(in_lesson("makemore/ex4", loop.cells[0].replace("dgain / (n - 1)", "dgain / n")))
    found = {verdict.name: verdict for verdict in report.verdicts if not verdict.passed}
    assert found.keys() == {"C", "W1"}
    assert "begins at dC, or at what dC is made from, hp (line" in found["W1"].message
