"""Notes on what costs no mark in the grader and stops Python, or changes another gradient there."""

from __future__ import annotations

import pytest
from answers.build import LINES, with_lines

PASS_ON = "dhprebn += 1.0 / n * torch.ones_like(hprebn) * dbnmeani"


def answer(**changed: str) -> str:
    return with_lines(changed)


def notes(grade_text, text: str, exercise: str | None = "makemore/ex1") -> list[str]:
    (report,) = grade_text(text, exercise=exercise)
    assert report.all_passed, [v for v in report.verdicts if not v.passed]
    return list(report.notes)


@pytest.mark.parametrize(
    ("begins", "spoilt"),
    [
        ("dhprebn = dbndiff", "dbndiff"),
        ("dhprebn = dbndiff.view(hprebn.shape)", "dbndiff"),
        ("dhprebn = dbndiff.detach()", "dbndiff"),
        ("kept = dbndiff\ndhprebn = kept", "dbndiff"),
    ],
)
def test_a_change_of_two_gradients_through_one_name_is_told(grade_text, begins: str, spoilt: str) -> None:
    text = answer(dhprebn=f"{begins}\n{PASS_ON}")
    (note,) = notes(grade_text, text)
    lines = text.split("\n")
    line = lines.index(PASS_ON) + 1
    assert note.startswith(f"line {line}: `{PASS_ON}` changes {spoilt} too")
    assert f"`{begins.splitlines()[-1]}` (line {line - 1})" in note
    assert f"{spoilt}.clone()" in note


def test_what_is_read_after_such_a_change_is_the_true_gradient(grade_text) -> None:
    """Python would read a dbndiff there that is none any more."""
    again = "dhprebn = dbndiff\ndhprebn += -dbndiff.mean(0)\n" + LINES["dbnmeani"]
    (note,) = notes(grade_text, answer(dbnmeani=again, dhprebn=""))
    assert "changes dbndiff too" in note


def test_a_forward_tensor_that_is_changed_through_a_gradient_is_told(grade_text) -> None:
    text = "dlogits = logits\ndlogits.copy_(F.softmax(logits, 1) / n)\ndlogits[range(n), Yb] -= 1.0 / n"
    assert "changes logits too" in notes(grade_text, text, "makemore/ex2")[0]


@pytest.mark.parametrize(
    "begins",
    [
        "dhprebn = dbndiff.clone()",
        "dhprebn = dbndiff + 0",
        "dhprebn = 1.0 * dbndiff",
        "dhprebn = dbndiff\ndhprebn = dhprebn.clone()",
        "other = dbndiff\ndhprebn = dbndiff.clone()",
    ],
)
def test_a_copy_is_none(grade_text, begins: str) -> None:
    assert notes(grade_text, answer(dhprebn=f"{begins}\n{PASS_ON}")) == []


def test_an_alias_that_nothing_changes_is_none(grade_text) -> None:
    text = "dhprebn = dbndiff\ndhprebn = dhprebn + 1.0 / n * torch.ones_like(hprebn) * dbnmeani"
    assert notes(grade_text, answer(dhprebn=text)) == []


def test_numbers_of_numpy_share_nothing(grade_text) -> None:
    text = "db = (2 * diff).mean()\ndW = db\ndW *= 0\ndW += (2 * diff * x).mean()"
    (report,) = grade_text(text, exercise="foundations/ex4")
    assert report.notes == []


def test_a_gradient_that_is_read_above_its_line_is_told(grade_text) -> None:
    early = {"dlogprobs": LINES["dprobs"] + "\n" + LINES["dlogprobs"], "dprobs": ""}
    text = with_lines(early)
    (note,) = notes(grade_text, text)
    line = text.split("\n").index(LINES["dprobs"]) + 1
    assert note.startswith(f"line {line}: it reads dlogprobs, which line {line + 1} defines")


def test_of_many_lines_the_first_is_told(grade_text) -> None:
    (note,) = notes(grade_text, "\n".join(reversed([LINES[name] for name in LINES])))
    assert "it reads demb," in note
    assert "more lines read what stands below" in note


@pytest.mark.parametrize(
    "changed",
    [
        {"dprobs": "def back():\n    return dlogprobs / later\nlater = probs\ndprobs = back()"},
        {"dprobs": "back = lambda: dlogprobs / later\nlater = probs\ndprobs = back()"},
        {"dprobs": "dprobs = torch.stack([row for row in dlogprobs / probs])\nrow = 1"},
        {"dprobs": "for i in range(n):\n    part = dlogprobs[i] / probs[i]\n" + LINES["dprobs"] + "\npart = i = 0"},
        {"dprobs": LINES["dprobs"], "dC": "n = 32\n" + LINES["dC"]},
    ],
)
def test_what_is_read_when_it_is_called_or_provided_is_none(grade_text, changed: dict[str, str]) -> None:
    assert notes(grade_text, with_lines(changed)) == []


def test_a_stub_above_defines_nothing(grade_text) -> None:
    text = "dlogprobs = ...\n" + with_lines({"dlogprobs": "", "dprobs": LINES["dprobs"] + "\n" + LINES["dlogprobs"]})
    assert "it reads dlogprobs" in notes(grade_text, text)[0]
