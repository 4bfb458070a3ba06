"""`cmp` in a notebook: what it says equals what the grader says, and what only a notebook can meet is said too."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from answers.build import LINES
from answers.right import RIGHT, RightAnswer
from answers.tracks import TRACKS
from answers.wrong import UNSEEN, WRONG, WrongAnswer, edited
from conftest import sampled
from plain_notebook import fresh, prepared, run, verdicts_in

from grader import cmp, hint, progress
from grader.diagnosing import UNEXPLAINED
from grader.lesson.exercise import find_exercise
from grader.notebook import cards, screen
from grader.notebook.calls import show_comparison
from grader.notebook.judging import judge
from grader.notebook.tracker import TRACKER

EX = {
    "makemore/ex1_atoms": "makemore/ex1",
    "makemore/ex2_cross_entropy": "makemore/ex2",
    "makemore/ex3_batchnorm": "makemore/ex3",
}

ONLY_RANDOM_LOSSES_TELL = {
    # With this loss the gradients from above make it a constant times the truth; random ones show the mistake.
    "counts.sum",
}
"""Wrong answers of which cmp says that they are wrong, but not by the grader's id."""

ONLY_OTHER_DATA_TELL = {"hardcoded-values"}
"""A copy of the numbers that are right in this notebook."""

ONLY_RANDOM_GRADIENTS_TELL = {"torch.zeros_like(b1)"}
"""db1 is zero by algebra, and one of its right answers cancels to the last bit."""

NAMED_BY_ITS_EDIT = "dC.index_add_(0, Xb.T.reshape(-1)"
SAMPLE = [
    answer
    for number, answer in enumerate(WRONG)
    if not answer.exercise.endswith("atoms") or number % 3 == 0 or answer.new == NAMED_BY_ITS_EDIT
]


def right_lines(namespace: dict[str, Any], last: str, replaced: dict[str, str] | None = None) -> None:
    """Run the standard answers of exercise 1 up to and with that of `last`."""
    for gradient, text in (LINES | (replaced or {})).items():
        exec(text, namespace)
        if gradient == last:
            return


def verdict_of(gradient: str, namespace: dict[str, Any]) -> Any:
    name = gradient[1:]
    return judge(name, namespace[gradient], namespace[name], namespace)


# ---- The same as the grader ----


def test_the_sample_is_large_enough() -> None:
    assert len(SAMPLE) >= 60
    assert {EX[answer.exercise] for answer in SAMPLE} == {"makemore/ex1", "makemore/ex2", "makemore/ex3"}


@pytest.mark.parametrize(
    "answer", sampled(3, SAMPLE), ids=lambda a: f"{EX[a.exercise]}-{a.variable}-{a.kind}-{a.new[:20]}"
)
def test_cmp_says_of_a_wrong_answer_what_the_grader_says(answer: WrongAnswer, grade_text: Any) -> None:
    text = edited(answer)
    (report,) = grade_text(text)
    (graded,) = [verdict for verdict in report.verdicts if verdict.name == answer.variable]
    said = verdicts_in(text, EX[answer.exercise])
    if graded.status == "error":  # the cell stops with an exception: the notebook shows that itself
        return
    found = said[answer.variable]
    if graded.mistake in ONLY_OTHER_DATA_TELL or answer.new in ONLY_RANDOM_GRADIENTS_TELL:
        assert found.passed
        return
    assert found.status == graded.status
    assert found.message
    assert answer.new in ONLY_RANDOM_LOSSES_TELL or found.mistake == graded.mistake
    for name, other in said.items():
        if name != answer.variable and not other.passed:
            assert other.mistake == "upstream", (name, other)
            assert f"d{answer.variable}" in other.message


@pytest.mark.parametrize("answer", UNSEEN, ids=lambda a: f"{a.variable}-{a.new[:20]}")
def test_what_only_other_losses_show_is_right_in_both(answer: WrongAnswer) -> None:
    assert all(verdict.passed for verdict in verdicts_in(edited(answer), EX[answer.exercise]).values())


@pytest.mark.parametrize("exercise", EX)
def test_a_solution_is_right_throughout(exercise: str) -> None:
    found = find_exercise(exercise)
    said = verdicts_in(found.path.read_text(encoding="utf-8"), EX[exercise])
    assert said.keys() == set(found.graded)
    assert {(v.status, v.mistake, v.message) for v in said.values()} == {("pass", None, "")}


def test_right_answers_are_right_in_any_clothes() -> None:
    """Each is run as one cell; those that need another namespace than this notebook's are left to the grader."""
    judged, unfit = 0, []
    for answer in RIGHT:
        if answer.exercise not in EX or answer.suffix != ".py" or answer.id in CHANGED_LATER:
            continue
        namespace = cell_run(answer)
        if namespace is None:
            unfit.append(answer.id)
            continue
        for name in find_exercise(answer.exercise).graded:
            d, t = namespace.get(f"d{name}"), namespace[name]
            if isinstance(d, torch.Tensor):
                found = judge(name, d, t, namespace).verdict
                assert found.passed, (answer.id, found)
                judged += 1
    assert judged >= 1500
    assert len(unfit) <= 30


CHANGED_LATER = {
    "ex1-aliases",  # dbndiff is changed with its alias after it was judged
    "ex1-names-overwritten-after",
    "ex1-n-as-loop-name",
    "ex1-attempt-mended-later-with-loops",
    "ex1-attempt-mended-later-with-a-shared-name",
}
"""Right when their line has run, as the grader judges; not any more at the end of the cell."""


def cell_run(answer: RightAnswer) -> dict[str, Any] | None:
    """The namespace after the answer ran as one cell; None where it does not run to its end here."""
    assert answer.exercise is not None
    namespace = prepared(EX[answer.exercise]) | {"cmp": lambda *_, **__: True}
    for name in find_exercise(answer.exercise).given:
        namespace[f"d{name}"] = namespace[name].grad.clone()
    try:
        with contextlib.redirect_stdout(io.StringIO()), torch.set_grad_enabled(True):
            exec(answer.text, namespace)
    except (Exception, SystemExit):
        return None
    return namespace


# ---- A wrong upstream ----


def test_a_right_line_below_a_wrong_one_is_not_called_wrong() -> None:
    namespace = prepared("makemore/ex1")
    right_lines(namespace, "dhpreact", {"dlogits": "dlogits = 2 * dnorm_logits"})
    assert judge("logits", namespace["dlogits"], namespace["logits"], namespace).verdict.mistake == "path-twice"
    for gradient in ("dh", "dhpreact"):
        found = verdict_of(gradient, namespace)
        assert found.words == "upstream is wrong: dlogits"
        assert "This line is right" in found.verdict.message
        assert not found.verdict.passed
        assert found.state == "upstream"


def test_a_wrong_line_below_a_wrong_one_is_named_by_its_own_mistake() -> None:
    namespace = prepared("makemore/ex1")
    right_lines(namespace, "dh", {"dlogits": "dlogits = 2 * dnorm_logits", "dh": "dh = -dlogits @ W2.T"})
    found = verdict_of("dh", namespace).verdict
    assert found.mistake == "sign"
    assert "dlogits" in found.message


def test_a_mended_gradient_asks_for_the_cells_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    namespace = prepared("makemore/ex1") | {"cmp": cmp}
    right_lines(namespace, "dh", {"dlogits": "dlogits = 3 * dnorm_logits"})
    exec('cmp("logits", dlogits, logits)', namespace)
    exec(LINES["dlogits"], namespace)
    found = judge("h", namespace["dh"], namespace["h"], namespace, TRACKER.earlier["makemore/ex1_atoms"])
    assert found.verdict.mistake == "stale-upstream"
    assert "run this cell again" in found.verdict.message


# ---- Cells run twice, or not at all ----


def test_a_cell_that_adds_a_path_twice_is_recognised() -> None:
    namespace = prepared("makemore/ex1")
    right_lines(namespace, "dcounts")
    exec("dcounts += torch.ones_like(counts) * dcounts_sum", namespace)
    found = verdict_of("dcounts", namespace).verdict
    assert found.mistake == "path-twice"
    assert "run twice" in found.message


def test_an_alias_is_said() -> None:
    namespace = prepared("makemore/ex1")
    aliased = {"dhprebn": "dhprebn = dbndiff\ndhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani"}
    right_lines(namespace, "dhprebn", aliased)
    upper, lower = verdict_of("dbndiff", namespace), verdict_of("dhprebn", namespace)
    assert upper.verdict.mistake == "alias"
    assert "dhprebn = dbndiff.clone()" in upper.verdict.message
    assert lower.verdict.passed
    assert any("dbndiff.clone()" in note for note in lower.notes)


def test_a_view_that_changes_nothing_is_no_alias() -> None:
    namespace = prepared("makemore/ex1")
    right_lines(namespace, "demb")
    for gradient in ("dembcat", "demb"):
        found = verdict_of(gradient, namespace)
        assert found.verdict.passed
        assert not found.notes


def test_autograds_own_tensor_is_no_answer() -> None:
    namespace = prepared("makemore/ex1")
    namespace["dprobs"] = namespace["probs"].grad
    found = verdict_of("dprobs", namespace).verdict
    assert (found.status, found.mistake) == ("forbidden", "autograd")


def test_without_a_true_gradient_it_says_which_cells_to_run() -> None:
    namespace = fresh("makemore/ex1")
    right_lines(namespace, "dh")
    exec("h = torch.tanh(hpreact)", namespace)  # the forward cell once more: no grad on the new tensor
    found = verdict_of("dh", namespace)
    assert found.verdict.mistake == "no-true-gradient"
    assert "retain_grad()" in found.verdict.message
    assert "loss.backward()" in found.line
    assert found.words == "not judged"
    exec("C = C.detach().clone().requires_grad_()", namespace)
    assert "loss.backward() has not run" in judge("C", torch.zeros(27, 10), namespace["C"], namespace).verdict.message


def test_backward_passes_that_added_up_are_recognised() -> None:
    namespace = fresh("makemore/ex1")
    forward = "\n".join(atom.text for atom in find_exercise("makemore/ex1").atoms)
    exec(forward, namespace)
    exec("for t in [h, logits]: t.retain_grad()\nloss.backward()", namespace)
    right_lines(namespace, "dW2")
    found = verdict_of("dW2", namespace).verdict
    assert found.mistake == "stale-gradient"
    assert "2 backward passes" in found.message
    assert verdict_of("dh", namespace).verdict.passed


def test_a_forward_pass_of_other_data_is_recognised() -> None:
    namespace = fresh("makemore/ex1")
    exec("Xb = Xtr[:n]\nYb = Ytr[:n]", namespace)  # a new batch, and none of the cells below run again
    namespace["dlogprobs"] = torch.zeros_like(namespace["logprobs"])
    found = verdict_of("dlogprobs", namespace).verdict
    assert found.mistake == "stale-forward"
    assert "emb" in found.message
    assert "loss.backward() again" in found.message


# ---- What is judged, in which order ----


@pytest.mark.parametrize(
    ("value", "status", "mistake"),
    [
        ("...", "missing", None),
        ("None", "missing", None),
        ("3.0", "wrong", "not-a-tensor"),
        ("dprobs[0]", "shape", "wrong-shape"),
        ("dprobs.T", "shape", "transposed"),
        ("dprobs.half()", "wrong", "precision"),
        ("dprobs.long()", "wrong", "precision"),
        ("dprobs.to_sparse()", "wrong", "not-dense"),
        ("dprobs.to(torch.complex64)", "wrong", "not-dense"),
        ("dprobs.double()", "pass", None),
        ("dprobs / 0", "wrong", "not-finite"),
        ("-dprobs", "wrong", "sign"),
        ("dprobs", "pass", None),
    ],
)
def test_judged_in_order(value: str, status: str, mistake: str | None) -> None:
    namespace = prepared("makemore/ex1")
    right_lines(namespace, "dprobs")
    found = judge("probs", eval(value, namespace), namespace["probs"], namespace).verdict
    assert (found.status, found.mistake) == (status, mistake)
    assert bool(found.message) == (status != "pass")


def test_cmp_understands_a_call_that_is_not_quite_the_lectures(capsys: pytest.CaptureFixture[str]) -> None:
    namespace = prepared("makemore/ex1")
    right_lines(namespace, "dprobs")
    for name, d, t in (("dprobs", "dprobs", "probs"), ("dprobs", "-dprobs", "probs"), ("probs", "dprobs", "None")):
        right = show_comparison(name, eval(d, namespace), eval(t, namespace), namespace)
        assert right == (d == "dprobs")
    assert not show_comparison(namespace["probs"], namespace["dprobs"], namespace["probs"], namespace)
    assert not show_comparison("nothing", namespace["dprobs"], None, namespace)
    assert not show_comparison("probs", namespace["dprobs"].to_sparse(), namespace["probs"], namespace)
    said = capsys.readouterr().out
    assert "ddprobs" not in said
    assert re.findall(r"^(\w+) +\|", said, re.MULTILINE) == ["probs"] * 3 + ["nothing", "probs"]
    assert 'in quotes: cmp("logits", dlogits, logits)' in said
    assert "There is no tensor nothing here." in said
    assert "| layout sparse_coo, but probs is strided" in said


def test_a_tensor_that_no_exercise_knows_is_compared_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x**2).sum().backward()
    assert cmp("x", 2 * x, x) is True
    assert cmp("x", 3 * x, x) is False
    assert cmp("x", ..., x) is False
    assert capsys.readouterr().out.splitlines() == [
        "x               | exact: True  | approximate: True  | maxdiff: 0.0",
        "x               | exact: False | approximate: False | maxdiff: 2.0",
        "  dx: wrong [wrong-values]. Off by 50% of the largest element of the true gradient.",
        "x               | not attempted",
    ]


# ---- What is shown ----


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What a notebook would be sent."""
    sent: list[dict[str, str]] = []

    class Handle:
        def update(self, bundle: dict[str, str], raw: bool) -> None:
            sent.append(bundle | {"updated": "yes"})

    def display(bundle: dict[str, str], **_: object) -> Handle:
        sent.append(bundle)
        return Handle()

    monkeypatch.setattr(screen, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(TRACKER, "states", {})
    monkeypatch.setattr(TRACKER, "earlier", {})
    monkeypatch.setattr(TRACKER, "pictures", {})
    return sent


def text_of(html: str) -> str:
    return " ".join("".join(ElementTree.fromstring(html).itertext()).split())


def test_a_wrong_gradient_gets_a_card(shown: list[dict[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    namespace = prepared("makemore/ex1") | {"cmp": cmp}
    right_lines(namespace, "dprobs", {"dprobs": "dprobs = dlogprobs"})
    capsys.readouterr()  # what the lesson's own cells print
    assert eval('cmp("probs", dprobs, probs)', namespace) is False
    assert capsys.readouterr().out.startswith("probs           | exact: False | approximate: False | maxdiff:")
    (bundle,) = shown
    html = bundle["text/html"]
    said = text_of(html)
    assert "✗ dprobs: wrong [missing-local-derivative]" in said
    assert text_of(re.sub("<details.*</details>", "", html, flags=re.DOTALL)).count("(32, 27)") == 1
    hints = find_exercise("makemore/ex1").hints["probs"]
    assert [f"Next hint of dprobs ({number} of 3)" in said for number in (1, 2, 3)] == [True] * 3
    assert " ".join(hints[0].split())[:40].replace("`", "") in " ".join(said.split())
    assert re.search(r"error.*99% of the largest element of the true gradient", said)
    assert "logprobs = probs.log()" in said
    assert html.count("<svg") == 1
    assert 'aria-label="dprobs, 32 rows and 27 columns: ' in html
    assert "<script" not in html
    assert len(html) < 60_000
    assert "missing" in bundle["text/plain"]


def test_a_right_gradient_is_one_line_and_a_stub_is_quiet(
    shown: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    namespace = prepared("makemore/ex1") | {"cmp": cmp}
    right_lines(namespace, "dprobs")
    assert eval('cmp("probs", dprobs, probs)', namespace) is True
    (bundle,) = shown
    assert bundle["text/plain"].startswith("probs           | exact:")
    assert text_of(bundle["text/html"]).startswith("✓ dprobs right")
    assert "<br" not in bundle["text/html"]
    assert capsys.readouterr().out == ""
    eval('cmp("counts", ..., counts)', namespace)
    assert len(shown) == 1
    assert capsys.readouterr().out == "counts          | not attempted\n"


def test_nothing_unescaped_reaches_a_card() -> None:
    namespace = prepared("makemore/ex1")
    evil = type("<script>alert(1)</script>", (), {})()
    judged = judge("<b>probs</b>", evil, namespace["probs"], namespace)
    html = cards.card(judged)
    assert "<script" not in html
    assert "<b>probs" not in html
    ElementTree.fromstring(html)


def test_a_script_says_what_the_card_says(capsys: pytest.CaptureFixture[str]) -> None:
    namespace = prepared("makemore/ex1") | {"cmp": cmp}
    right_lines(namespace, "dlogprobs")
    capsys.readouterr()
    exec('dprobs = dlogprobs\ncmp("probs", dprobs, probs)', namespace)
    line, said = capsys.readouterr().out.rstrip("\n").split("\n")
    assert line.startswith("probs           | exact: False")
    assert said.startswith("  dprobs: wrong [missing-local-derivative]. dlogprobs is passed on unchanged.")


def test_progress_changes_in_place(shown: list[dict[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    namespace = prepared("makemore/ex1") | {"cmp": cmp, "progress": progress}
    right_lines(namespace, "dlogprobs")
    eval("progress()", namespace)
    assert shown[-1]["text/plain"].startswith("ex1: 1 of 26 right\n  ✓ dlogprobs")
    assert "<svg" not in shown[-1]["text/html"]
    boxes = re.findall(r'aria-label="(d\w+): ([\w ]+)"', shown[-1]["text/html"])
    assert boxes[:2] == [("dlogprobs", "right"), ("dprobs", "not attempted")]
    assert len(boxes) == 26
    exec('dprobs = -dlogprobs / probs\ncmp("probs", dprobs, probs)', namespace)
    assert shown[-1]["updated"] == "yes"
    assert "✗ dprobs" in shown[-1]["text/plain"]
    before = len(shown)
    exec('cmp("counts", ..., counts)', namespace)
    assert "· dcounts " in shown[-1]["text/plain"]
    assert len(shown) == before + 1
    assert "1 of 26 right" in text_of(shown[-1]["text/html"])
    eval("progress(graph=True)", namespace)
    ElementTree.fromstring(shown[-1]["text/html"])
    assert "<svg" in shown[-1]["text/html"]


def test_progress_at_the_end_leads_to_the_next_lesson(
    shown: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TRACKER, "states", {})
    namespace = prepared("makemore/ex3") | {"progress": progress}
    eval("progress()", namespace)
    assert "Next lesson" not in shown[-1]["text/html"]
    run(find_exercise("makemore/ex3").path.read_text(encoding="utf-8"), namespace)
    eval("progress()", namespace)
    assert 'href="../makemore/ex4_training.ipynb"' in shown[-1]["text/html"]
    ElementTree.fromstring(shown[-1]["text/html"])


def test_progress_lists_what_cmp_can_compare_and_leaves_functions_to_grade(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TRACKER, "states", {})
    namespace = prepared("foundations/ex2") | {"progress": progress}
    run(find_exercise("foundations/ex2").path.read_text(encoding="utf-8"), namespace)
    capsys.readouterr()
    eval("progress()", namespace)
    said = capsys.readouterr().out
    assert said.startswith("ex2: 5 of 5 right\n")
    assert "not attempted" not in said
    assert "It also grades dz_in_one_step, which no cmp can compare." in said


def test_progress_outside_of_a_notebook_is_a_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TRACKER, "states", {})
    namespace = prepared("makemore/ex3") | {"progress": progress}
    run(find_exercise("makemore/ex3").path.read_text(encoding="utf-8"), namespace)
    eval("progress()", namespace)
    assert capsys.readouterr().out == (
        "ex3: 1 of 1 right\n  ✓ dhprebn  right\n"
        "The gradient is right. Save the notebook, then grade() tries your lines with other data and other sizes.\n"
        "Next lesson: makemore/ex4_training, Exercise 4: the training loop by hand\n"
    )
    eval("progress()", {"progress": progress})
    assert "run the cells" in capsys.readouterr().out


def test_hints_come_one_by_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shown: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("grader.learner.memory.progress_path", lambda folder: tmp_path / "progress.json")
    namespace = prepared("makemore/ex1") | {"hint": hint}
    for level in (1, 2):
        eval('hint("dprobs")', namespace)
        assert shown[-1]["text/markdown"].startswith(f"**dprobs in makemore/ex1, hint {level} of 3**\n\n")
    eval("hint()", namespace)
    assert "dlogprobs in makemore/ex1, hint 1" in shown[-1]["text/plain"]
    eval('hint("dprob")', namespace)
    assert "did you mean dprobs" in capsys.readouterr().out


# ---- In a kernel ----


def in_kernel(cells: list[str], folder: Path) -> list[list[Any]]:
    import nbformat
    from dojo import environment
    from kernels import execute

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    execute(notebook, folder, environment())
    return [cell.outputs for cell in notebook.cells]


def test_a_kernel_shows_the_card_and_the_picture_follows(tmp_path: Path) -> None:
    exercise = find_exercise("makemore/ex1")
    setup = [cell.text for cell in exercise.cells if cell.kind == "code"]
    until = next(number for number, text in enumerate(setup) if "loss.backward()" in text)
    check: Callable[[str], str] = lambda name: f'{LINES["d" + name]}\ncmp("{name}", d{name}, {name})'  # noqa: E731
    cells = [
        *setup[: until + 1],
        "from grader import hint, progress\nprogress()",
        check("logprobs"),
        'dprobs = dlogprobs\ncmp("probs", dprobs, probs)',
    ]
    cells += ['dW2 = W2.grad.clone()\ncmp("W2", dW2, W2)', "def cmp(*_):\n    return 5", "cmp(1)"]
    *_, picture, right, wrong, taken, _, own = in_kernel(cells, tmp_path)
    assert "1 of 26 right" in picture[0].data["text/html"]  # nbclient applies update_display
    assert "✗ dprobs" in picture[0].data["text/plain"]
    assert "✓" in right[0].data["text/html"]
    assert right[0].data["text/plain"].startswith("logprobs ")
    assert len(right) == 1  # no True below it
    assert wrong[0].text.startswith("probs           | exact: False")
    assert "missing-local-derivative" in wrong[1].data["text/html"]
    assert len(wrong) == 2
    assert "dW2: taken from autograd" in taken[1].data["text/plain"]
    assert own[0].data["text/plain"] == "5"  # a function of the learner's own keeps its echo


# ---- Lessons in numpy ----

IN_NUMPY = [a for a in TRACKS if a.exercise == "classifier/ex1_digits"]


def test_cmp_compares_the_arrays_of_a_lesson_in_numpy() -> None:
    lesson = find_exercise("classifier/ex1_digits")
    said = verdicts_in(lesson.path.read_text(encoding="utf-8"), lesson.id)
    assert {name for name, verdict in said.items() if verdict.passed} == {*lesson.graded}


@pytest.mark.parametrize("answer", IN_NUMPY, ids=lambda a: f"{a.variable}-{a.kind}-{a.new[:20]}")
def test_cmp_names_a_mistake_in_numpy_as_the_grader_does(answer: WrongAnswer) -> None:
    said = verdicts_in(edited(answer), answer.exercise)
    assert not said[answer.variable].passed
    if answer.kind not in UNEXPLAINED:  # there cmp looks at the line itself and may know more
        assert said[answer.variable].mistake == answer.kind


@pytest.mark.parametrize(("value", "words"), [(3, "an int"), (0.5, "a float"), ([], "a list"), (b"", "a bytes")])
def test_what_is_no_tensor_has_its_article(value: object, words: str) -> None:
    namespace = prepared("makemore/ex1")
    assert f"| {words}, not a tensor" in judge("probs", value, namespace["probs"], namespace).line
