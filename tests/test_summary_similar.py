"""Near-identical answers: what makes two lines one, and which agreements are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from answers.build import LINES, with_lines
from course import Course

from grader.classroom.normal_form import normal_line, simple_statements
from grader.classroom.similar import FEWEST_SUBMISSIONS, Answers, lines_of, vocabulary
from grader.reading.plan import MAX_ANSWER_TEXT

ALIKE = [
    ("dlogits /= n", "dlogits   =  dlogits/n   # mean"),
    ("t = h.T @ dlogits", "u = torch.matmul(h.t(), dlogits)"),
    ("db2 = dlogits.sum(0, keepdims=True)", "db2 = torch.sum(dlogits, axis=0, keepdim=True)"),
    ("dprobs = dlogprobs * a + b", "dprobs = b + a * dlogprobs"),
    ("dh: torch.Tensor = dlogits @ W2.T", "dh = (dlogits @ W2.T)"),
    ("dlogprobs[range(n), Yb] = -1.0 / n", "dlogprobs[range(n),Yb]=-1/n"),
]
APART = [
    ("dh = dlogits @ W2.T", "dh = W2.T @ dlogits"),
    ("dprobs = a * b", "dprobs = a * a"),
    ("dprobs = a - b", "dprobs = b - dlogprobs"),
    ("db2 = dlogits.sum(0)", "db2 = dlogits.sum(1)"),
    ("db2 = dlogits.sum(0)", "db2 = dlogits.sum(0, keepdim=True)"),
    ("dlogits = probs", "dlogits = -probs"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_lines_that_say_the_same_have_one_form(one: str, other: str) -> None:
    first, second = normal_line(one, vocabulary("makemore")), normal_line(other, vocabulary("makemore"))
    assert first is not None
    assert second is not None
    assert first.form == second.form


@pytest.mark.parametrize(("one", "other"), APART)
def test_lines_that_say_something_else_have_another(one: str, other: str) -> None:
    first, second = normal_line(one, vocabulary("makemore")), normal_line(other, vocabulary("makemore"))
    assert first is not None
    assert second is not None
    assert first.form != second.form


@pytest.mark.parametrize(
    "text", ["dlogits = ...", "'words'", "x: int", "def", "a" + ".b" * 500, "-" * 9000 + "1", "\0"]
)
def test_what_says_nothing_has_no_form(text: str) -> None:
    assert normal_line(text, vocabulary("makemore")) is None


def test_a_function_and_a_loop_are_read_line_by_line() -> None:
    text = "def f(x):\n    for i in x:\n        é = i * 2; y = (é +\n            1)\n    return y"
    assert simple_statements(text) == ("é = i * 2", "y = (é +\n            1)", "return y")


def submission(lines: dict[str, str], status: str = "pass") -> list[dict[str, Any]]:
    verdicts = [{"name": name[1:], "status": status, "answer": text.split("\n")} for name, text in lines.items()]
    return [{"exercise": "makemore/ex1_atoms", "verdicts": verdicts}]


def test_a_gradient_may_have_any_name() -> None:
    plain = {"dprobs": "dprobs = dlogprobs * 2 / probs", "dcounts": "dcounts = counts_sum_inv * dprobs * 7"}
    renamed = {"dprobs": "g_p = dlogprobs * 2 / probs", "dcounts": "g_c = counts_sum_inv * g_p * 7"}
    assert lines_of(submission(plain)).texts.keys() == lines_of(submission(renamed)).texts.keys() != set()


def test_what_the_lessons_say_is_no_line_of_ones_own() -> None:
    solution = {"dh": "dh = dlogits @ W2.T", "db2": "db2 = dlogits.sum(0)  # over the batch"}
    lines = lines_of(submission(solution))
    assert lines.texts == {}
    assert len(lines.answered) == 2


def odd(number: int) -> dict[str, str]:
    """The standard answers with lines that nobody else has."""
    return {name: f"{text} + {number * 100 + place} * 0" for place, (name, text) in enumerate(LINES.items())}


def groups_of(everyone: list[dict[str, str]]) -> list[tuple[int, ...]]:
    answers = Answers()
    for lines in everyone:
        answers.add(lines_of(submission(lines)))
    return [group.members for group in answers.groups()]


def test_those_who_agree_in_rare_lines_are_a_group() -> None:
    everyone = [odd(number) for number in range(20)]
    assert groups_of(everyone) == []
    everyone[13] = {name: f"{text}  # mine" for name, text in odd(4).items()}
    assert groups_of(everyone) == [(4, 13)]


def test_those_who_agree_with_everyone_are_none() -> None:
    assert groups_of([dict.fromkeys(LINES, "q = probs * 3") | odd(0) for _ in range(30)]) == []


def test_many_lines_of_few_answers_are_none() -> None:
    """The lines of one answer come together: they are one agreement, from a page that both read or from chance."""
    everyone = [dict(LINES) for _ in range(20)]
    for number in (3, 9):
        for name in ("dC", "dprobs", "dcounts"):
            everyone[number][name] = "\n".join(f"{name} = probs * {place}" for place in range(50))
    assert groups_of(everyone) == []


def test_habits_of_a_course_are_none() -> None:
    habits = [{name: f"{text} + {habit} * 0" for name, text in LINES.items()} for habit in (5, 7, 9)]
    assert groups_of([habits[number % 3] for number in range(30)]) == []


def test_those_who_wrote_most_of_it_alone_are_none() -> None:
    everyone = [odd(number) for number in range(20)]
    shared = list(LINES)[:10]
    everyone[13] |= {name: everyone[4][name] for name in shared}
    assert groups_of(everyone) == []
    everyone[13] |= {name: everyone[4][name] for name in list(LINES)[:20]}
    assert groups_of(everyone) == [(4, 13)]


def test_few_submissions_tell_nothing() -> None:
    assert groups_of([odd(1)] * (FEWEST_SUBMISSIONS - 1)) == []
    assert groups_of([odd(1), *(odd(number) for number in range(1, FEWEST_SUBMISSIONS))]) != []


def test_many_copies_of_one_answer_are_one_group() -> None:
    everyone = [odd(number) for number in range(400)]
    for number in range(100, 160):
        everyone[number] = odd(100) | {"dh": f"dh = {number}", "dW2": f"dW2 = {number + 1}"}
    assert groups_of(everyone) == [tuple(range(100, 160))]


def test_the_figures_of_a_line() -> None:
    answers, texts = Answers(), []
    for number in range(16):
        lines = lines_of(submission(odd(3 if number == 5 else number)))
        answers.add(lines)
        texts.append(lines.texts)
    (group,) = answers.groups()
    shared = answers.shared_lines(group, texts[3])
    assert len({line.name for line in shared}) == len(LINES)
    assert {(line.members, line.everywhere, line.among, line.bits) for line in shared} == {(2, 2, 16, 3.0)}
    assert group.bits == 3.0 * len(LINES)


def test_copies_in_a_course_are_found_and_nobody_else(course: Course) -> None:
    answers, names = Answers(), list(course.reports)
    for report in course.reports.values():
        answers.add(lines_of(report["submissions"]))
    found = {frozenset(names[member] for member in group.members) for group in answers.groups()}
    assert found == course.copies
    assert len(found) >= 5


def test_a_report_holds_all_lines_of_each_answer(grade_text) -> None:
    huge = f"huge = {list(range(MAX_ANSWER_TEXT))}"
    (report,) = grade_text(with_lines({"dprobs": "dprobs = ...", "dh": f"{huge}\ndh = dlogits @ W2.T + 0 * huge[0]"}))
    answers = {verdict.name: verdict.answer for verdict in report.verdicts}
    assert answers["counts"] == LINES["dcounts"].split("\n")
    assert answers["logprobs"] == LINES["dlogprobs"].split("\n")
    assert answers["h"] == ["dh = dlogits @ W2.T + 0 * huge[0]"]


def test_a_report_holds_the_loop_once(grade_text) -> None:
    solution = (Path(__file__).resolve().parents[1] / "solutions/makemore/ex4_training.py").read_text(encoding="utf-8")
    (report,) = grade_text(solution)
    first, *others = (verdict.answer for verdict in report.verdicts)
    assert any("p.sub_(gradient, alpha=lr)" in text for text in first)
    assert others == [[]] * 7
