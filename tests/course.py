"""A course made up from answers that were really graded: each submission draws an answer for each gradient."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answers.build import RightAnswer
from answers.right import RIGHT
from answers.wrong import SOLUTIONS, WRONG, edited

from grader.batch.results import Results
from grader.judging.grade import Grader
from grader.report.records import Report

_POPULAR = 0.55
"""The share of answers that are everybody's; the others are drawn from all ways to answer."""

_DETOUR = 0.25
_DETOURS = (
    "({}).clone()", "1.0 * ({})", "({}) + 0", "({}) - 0.0", "({}) * n / n", "-(-({}))", "({}).contiguous()",
    "2 * ({}) / 2", "({}) ** 1", "({}).squeeze()", "torch.as_tensor({})", "({}).to(torch.float32)",
)  # fmt: skip

_COPY_EVERY, _REFUSED_EVERY, _BROKEN_EVERY = 20, 37, 90
_LONGEST_ANSWER = 400
"""Longer answers to one gradient hold many: with one drawn, all of them would agree."""


@dataclass(frozen=True)
class Course:
    """What was written, and the pairs of which one was copied from the other."""

    folder: Path
    reports: dict[str, dict[str, Any]]
    copies: frozenset[frozenset[str]]


def graded_answers(grader: Grader, folder: Path) -> list[dict[str, Any]]:
    """A few dozen reports: the solutions, right answers in other forms, and one-edit mistakes."""
    right: list[RightAnswer] = [answer for answer in RIGHT if answer.exercise][::5]
    texts = [(answer.text, answer.suffix, answer.exercise) for answer in right]
    texts += [(edited(answer), ".py", None) for answer in WRONG[::12]]
    solved = sorted(SOLUTIONS.glob("makemore/ex[1-4]_*.py"))  # the optional lesson has one long answer
    texts += [(path.read_text(encoding="utf-8"), ".py", None) for path in solved]
    reports = []
    for number, (text, suffix, exercise) in enumerate(texts):
        path = folder / f"answer{number}{suffix}"
        path.write_text(text, encoding="utf-8")
        reports.append(Report(grader.grade_file(path, exercise)).as_data())
    return reports


def write_course(folder: Path, graded: Sequence[dict[str, Any]], count: int, seed: int = 2) -> Course:
    """`count` results in a results folder; every twentieth is a copy of the one before it, in other clothes.

    With this seed each who is copied has 38 bits of lines of their own. Seed 1 draws one with 22, which is less than
    two need to share: who answers as most do is not told from them.
    """
    generator, copies, reports = random.Random(seed), set(), {}
    with Results.start(folder, {"seed": seed}) as results:
        before: tuple[str, dict[str, Any]] | None = None
        for number, report in enumerate(_drawn(graded, count, generator)):
            name = f"student{number:05d}"
            if number % _REFUSED_EVERY == 5:
                report = {"schema": 1, "submissions": [], "refused": f"{name}.py: assigns no gradient"}
            elif number % _BROKEN_EVERY == 7:
                report = {"schema": 1, "submissions": [], "grader_error": "Traceback ...\nKeyError: 'loss'"}
            elif number % _COPY_EVERY == _COPY_EVERY - 1 and before is not None:
                report = _in_other_clothes(before[1])
                copies.add(frozenset({before[0], name}))
            before = (name, report) if report["submissions"] else None
            reports[name] = report
            results.add(name, report, source=f"{name}.py", seconds=generator.uniform(0.1, 0.4), student=name)
    return Course(folder, reports, frozenset(copies))


def _drawn(graded: Sequence[dict[str, Any]], count: int, generator: random.Random) -> Iterator[dict[str, Any]]:
    shells, ways = {}, {}
    for submission in (submission for report in graded for submission in report["submissions"]):
        shells.setdefault(submission["exercise"], submission)
        for verdict in submission["verdicts"]:
            text = json.dumps(verdict["answer"])
            if len(text) <= _LONGEST_ANSWER or verdict["name"] == "loss":
                ways.setdefault((submission["exercise"], verdict["name"]), {}).setdefault(text, []).append(verdict)
    popular = {place: max(found.values(), key=len)[0] for place, found in ways.items()}
    for _ in range(count):
        submissions = []
        for exercise, shell in shells.items():
            verdicts = []
            for name in (verdict["name"] for verdict in shell["verdicts"]):
                place = (exercise, name)
                alike = generator.random() < _POPULAR
                verdict = popular[place] if alike else generator.choice(list(ways[place].values()))[0]
                verdicts.append({**verdict, "answer": _own_way(verdict["answer"], generator)})
            score = sum(verdict["status"] == "pass" for verdict in verdicts)
            submissions.append({**shell, "verdicts": verdicts, "score": score, "max_score": len(verdicts)})
        yield {"schema": 1, "submissions": submissions}


def _own_way(answer: list[str], generator: random.Random) -> list[str]:
    """An answer as one of many would put it: now and then with a detour or a comment."""
    told = [_with_a_comment(text, generator) for text in answer]
    assigned = re.fullmatch(r"(d\w+) = ([^\n#]+)", answer[-1]) if answer else None
    if assigned is None or generator.random() > _DETOUR:
        return told
    return [*told[:-1], f"{assigned[1]} = {generator.choice(_DETOURS).format(assigned[2])}"]


def _with_a_comment(text: str, generator: random.Random) -> str:
    """Now and then: so that a course has as many different texts as a real one."""
    return text if generator.random() < 0.7 else f"{text}  # {generator.randrange(10**6)}"


def _in_other_clothes(report: dict[str, Any]) -> dict[str, Any]:
    """The same answers with other spaces, comments and helper names."""
    copied = copy.deepcopy(report)
    for submission in copied["submissions"]:
        for verdict in submission["verdicts"]:
            verdict["answer"] = [_dressed(line) for line in verdict["answer"]]
    return copied


def _dressed(text: str) -> str:
    plain = re.sub(r"\b(grad|rows|mask|t1|t2|out)\b", r"my_\1", text)
    return re.sub(r"(?<! )\*\*(?! )", " ** ", plain) + "\n# mine" if "\n" in plain else f"{plain}   # mine"
