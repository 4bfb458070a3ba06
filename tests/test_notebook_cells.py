"""Cells of a notebook that fail, are not written yet, or come twice: in a real kernel, by IPython's own events."""

from __future__ import annotations

import contextlib
import io
import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from answers.build import LINES
from dojo import environment
from kernels import execute
from plain_notebook import prepared

from grader import cmp, grade, hint, tqdm
from grader.lesson.exercise import find_exercise
from grader.notebook.lending import LENDING

STATES = """from grader.notebook import overview
from grader.notebook.tracker import TRACKER
print(overview.as_text(TRACKER.latest, TRACKER.all_states(TRACKER.latest)))"""


def run(cells: list[str], folder: Path, lesson: str = "makemore/ex1") -> list[str]:
    """Run a lesson down to its first answer, then `cells`; what each of these shows, as text."""
    code = list(takewhile(lambda cell: "backward" not in cell.tags, find_exercise(lesson).cells))
    code = [cell.text for cell in code if cell.kind == "code"]
    until = len(code)
    texts = [*code[:until], "from grader import progress", *cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in texts])
    execute(notebook, folder, environment(), allow_errors=True)
    return ["\n".join(map(_text, cell.outputs)) for cell in notebook.cells[until + 1 :]]


def _text(output: Any) -> str:
    if output.output_type == "error":
        return str(output.ename)
    return str(output.text if output.output_type == "stream" else output.data["text/plain"])


@pytest.fixture(autouse=True)
def fresh_session() -> None:
    """What a notebook's session has lent, and the right answers that it keeps, are not another test's."""
    LENDING.lent.clear()
    LENDING.right.clear()


def test_cells_that_fail_are_stubs_or_come_twice(tmp_path: Path) -> None:
    check = 'cmp("probs", dprobs, probs)'
    shown = run(
        [
            "progress()",
            LINES["dlogprobs"],
            f"{LINES['dprobs']}\n{check}",
            "dprobs = no_such_name",  # 3
            check,
            f"{LINES['dprobs']}",
            check,
            "dprobs = (",  # 7
            check,
            LINES["dprobs"],
            "dprobs = ...",  # 10: a second stub does not undo what is right
            check,
            "dcounts_sum_inv = ...",  # 12: lent, so the line below runs and is judged
            'cmp("counts_sum_inv", dcounts_sum_inv, counts_sum_inv)',
            f"{LINES['dcounts_sum']}\ncmp('counts_sum', dcounts_sum, counts_sum)",
            "progress()",
            STATES,
            f"dcounts_sum = no_such_name\n{STATES}",
            STATES,
        ],
        tmp_path,
    )
    assert "exact" in shown[2]
    assert shown[3] == "NameError"
    assert "raised NameError; this is the value from before" in shown[4]
    assert "value from before" not in shown[6]
    assert "exact" in shown[6]
    assert shown[7] == "SyntaxError"
    assert "raised SyntaxError; this is the value from before" in shown[8]
    assert shown[11].startswith("probs           | exact:")
    assert "not attempted" in shown[13]
    assert shown[14].startswith("counts_sum      | exact:")
    before, after = shown[-3], shown[-1]
    assert before.startswith("ex1: 3 of 26 right")
    assert "✓ dprobs " in before
    assert "· dcounts_sum_inv " in before
    assert "✓ dcounts_sum " in before
    assert "✓ dcounts_sum " not in after


def test_a_stub_of_a_lesson_in_numpy_is_lent_too(tmp_path: Path) -> None:
    right = "dZ2 = (A2 - Y) / m"
    shown = run(
        [
            "dZ2 = ...",
            'cmp("Z2", dZ2, Z2)',
            'dW2 = dZ2 @ A1.T\ncmp("W2", dW2, W2)',
            "dZ2 += 0",
            'cmp("Z2", dZ2, Z2)',
            f'{right}\ncmp("Z2", dZ2, Z2)',
            "dZ2 = ...",
            'cmp("Z2", dZ2, Z2)',
            "print(type(dZ2).__name__, dZ2.dtype == Z2.dtype)",
        ],
        tmp_path,
        "classifier/ex1",
    )
    assert "not attempted" in shown[1]
    assert shown[2].startswith("W2              | exact:")
    assert "approximate: True" in shown[2]
    assert "approximate: True" in shown[5]
    assert "approximate: True" in shown[7], "a second stub does not undo what is right"
    assert shown[8] == "ndarray True\n"


def test_a_loop_has_one_bar_and_nothing_is_red(tmp_path: Path) -> None:
    loop = "from grader import tqdm\nfor _ in (bar := tqdm(range(30), desc='loop')):\n    bar.set_postfix(loss=2)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(loop)])
    execute(notebook, tmp_path, environment())
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    assert 'value="30" max="30"' in output.data["text/html"]
    assert output.data["text/plain"].startswith("loop: 100% 30 of 30, 00:0")
    assert "loss=2" in output.data["text/plain"]
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert list(tqdm(range(3))) == [0, 1, 2]
    assert "3/3" in said.getvalue()


@pytest.mark.parametrize("lesson", ["makemore/ex4", "classifier/ex2"])
def test_a_loop_gets_a_short_check(lesson: str, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in find_exercise(lesson).cells:
        if cell.kind == "code":
            exec(cell.text, namespace)
            namespace |= {"max_steps": 25} if "parameters" in cell.tags else {}
        if "training" in cell.tags:
            break
    capsys.readouterr()
    namespace |= {"cmp": cmp}
    assert eval('cmp("losses", losses)', namespace) is True
    line = capsys.readouterr().out
    assert re.match(r"losses +\| exact: \w+ +\| approximate: True  \| .* the first 20 steps\n$", line)
    namespace["losses"][7] += 0.01
    assert eval('cmp("losses", losses)', namespace) is False
    assert "Step 7 is the first that is wrong" in capsys.readouterr().out
    assert eval('cmp("losses", ...)', namespace) is False
    assert capsys.readouterr().out == "losses          | not attempted\n"


def test_in_a_script_a_stub_is_lent_at_its_check() -> None:
    namespace = prepared("makemore/ex1") | {"cmp": cmp}
    exec(LINES["dlogprobs"], namespace)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec('dprobs = ...\ncmp("probs", dprobs, probs)', namespace)
        exec(f"{LINES['dcounts_sum_inv']}\nok = cmp('counts_sum_inv', dcounts_sum_inv, counts_sum_inv)", namespace)
    assert "probs           | not attempted" in said.getvalue()
    assert namespace["ok"] is True
    assert torch.equal(namespace["dprobs"], namespace["probs"].grad)
    namespace["dprobs"] += 1.0
    assert not LENDING.is_lent("probs", namespace["dprobs"])


def test_swapped_tensors_are_named_and_a_hint_needs_no_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # hints are counted for a folder
    namespace = prepared("makemore/ex1") | {"cmp": cmp, "hint": hint}
    exec(LINES["dlogprobs"], namespace)
    exec(LINES["dprobs"], namespace)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert eval('cmp("probs", probs, dprobs)', namespace) is False
        eval("hint(dprobs)", namespace)
    assert "swapped: write cmp('probs', dprobs, probs)" in said.getvalue()
    assert "dprobs in makemore/ex1, hint 1" in said.getvalue()


def test_a_saved_notebook_is_graded_by_the_real_judge(tmp_path: Path) -> None:
    path = tmp_path / "mine.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(LINES["dprobs"])]), path)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        grade(str(path))
        eval("grade()", {"grade": grade})
    assert "mine.ipynb as it was saved at" in said.getvalue()
    assert "1 of 26" in said.getvalue()
    assert 'name it: grade("ex1_atoms.ipynb")' in said.getvalue()


def test_a_right_answer_to_another_forward_pass_is_not_put_back() -> None:
    x = torch.ones(3, requires_grad=True)
    x.grad = torch.full((3,), 2.0)
    LENDING.keep("x", torch.full((3,), 2.0))
    assert not LENDING.is_lent("x", LENDING.fill("x", {"x": x, "dx": ...})), "the learner's own answer"
    x.grad = torch.full((3,), 5.0)
    assert torch.equal(LENDING.fill("x", {"x": x, "dx": ...}), x.grad)
