"""Proof of the authored content: what is derived is current, stubs fail, solutions pass, hints are there."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from grader.base.bundle import bundled
from grader.base.errors import NotGradedError
from grader.base.words import counted
from grader.judging.grade import Grader, settings
from grader.lesson.derive import derived_files, exercise_text
from grader.lesson.exercise import HINTS_PER_ANSWER, Exercise, all_exercises, marked_id, track_of
from grader.lesson.program import LESSON
from grader.reading.attempts import analyse
from grader.reading.submission import sole_part
from grader.report.records import SubmissionReport
from grader.syntax.source import parse_source, percent_cells


def check(say: Callable[[str], object]) -> int:
    """Check every exercise, saying each problem in a line. Returns the exit code, 0 or 1.

    Raises:
        DojoError: there is no exercise at all.
    """
    root = bundled("solutions").parent
    exercises = all_exercises()
    problems = [*_differences(root)]
    graded = 0
    with Grader(settings(device="cpu")) as grader:
        for exercise in exercises:
            problems += _problems(exercise, grader)
            graded += len(exercise.graded)
    for problem in problems:
        say(problem)
    found = ((len(exercises), "exercise"), (graded, "graded variable"), (len(problems), "problem"))
    say(", ".join(counted(number, noun) for number, noun in found))
    return 1 if problems or not graded else 0


def _differences(root: Path) -> Iterator[str]:
    expected = derived_files(root)
    for path, text in expected.items():
        name = path.relative_to(root)
        if not path.is_file():
            yield f"{name}: missing; run `make exercises`"
        elif path.read_bytes() != text.encode():
            yield f"{name}: differs from what solutions/ gives; run `make exercises`, edit solutions/ only"
    for folder, suffix in (("exercises", "*.py"), ("notebooks", "*.ipynb")):
        for path in sorted((root / folder).rglob(suffix)):
            if path not in expected and not any(part.startswith(".") for part in path.relative_to(root).parts):
                yield f"{path.relative_to(root)}: no solution derives this file"


def _problems(exercise: Exercise, grader: Grader) -> Iterator[str]:
    name = f"solutions/{exercise.id}.py"
    if marked_id(exercise.cells) != exercise.id:
        yield f"{name}: its first markdown cell lacks the marker <!-- dojo: {exercise.id} -->"
    if not exercise.graded:
        yield f"{name}: grades no gradient"
    for variable in exercise.graded:
        hints = exercise.hints.get(variable, ())
        if len(hints) != HINTS_PER_ANSWER or not all(hints):
            yield f"{name}: {exercise.label(variable)} has {len(hints)} hints, not {HINTS_PER_ANSWER}"
    unknown = {size for sizes in exercise.grading.sizes for size in sizes} - exercise.parameter_values.keys()
    if unknown:
        yield f"{name}: the grading cell's sizes name {', '.join(sorted(unknown))}, which no parameters cell assigns"
    try:
        stubs = _grade_text(exercise, exercise_text(exercise), grader)
        solution = _grade_text(exercise, exercise.text, grader)
    except NotGradedError as problem:
        yield _raised_by_the_lesson(exercise, problem)
        return
    for verdict in stubs.verdicts:
        if verdict.status != "missing":
            yield f"{name}: the stub of {verdict.name} is {verdict.status}, not missing"
    for verdict in solution.verdicts:
        if not verdict.passed or verdict.mistake:
            at = name if verdict.line is None else f"{name}:{verdict.line}"
            yield f"{at}: {verdict.name} is {verdict.status}: {verdict.message}"


def _raised_by_the_lesson(exercise: Exercise, problem: NotGradedError) -> str:
    """What the lesson's own cells raised, and at which line.

    Raises:
        NotGradedError: it was not the lesson's code.
    """
    cause = problem.__cause__
    frames = traceback.extract_tb(cause.__traceback__) if cause is not None else []
    lines = [frame.lineno for frame in frames if frame.filename in (LESSON, exercise.path.name)]
    if not lines:
        raise problem
    said = str(cause).split("\n")[0]
    return f"solutions/{exercise.id}.py:{lines[-1]}: the lesson's own code raises {type(cause).__name__}: {said}"


def _grade_text(exercise: Exercise, text: str, grader: Grader) -> SubmissionReport:
    source = parse_source(exercise.path, percent_cells(text))
    analysis = analyse(source, track_of(exercise))
    return grader.grade_part(sole_part(analysis, exercise))
