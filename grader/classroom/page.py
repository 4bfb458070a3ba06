"""The summary as one HTML page: nothing to load, no script, and nothing of a submission unescaped."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from grader.batch.results import Results
from grader.classroom.histogram import histogram
from grader.classroom.similar import FEWEST_SUBMISSIONS, SharedLine
from grader.classroom.statistics import CourseSummary, ExerciseSummary, MistakeCount, Student, member_lines, quantile
from grader.lesson.exercise import short_id_of
from grader.report.records import Points
from grader.showing.graph_marks import STATES
from grader.showing.page import environment, pieces

MOST_ROWS = 400
"""Rows of the matrix: 36 gradients of 400 submissions make half a megabyte, and scroll well."""

_MOST_MISTAKES, _MOST_HERE = 30, 3
_MOST_SLOW, _MOST_REFUSED, _MOST_ERRORS = 10, 200, 50
_MOST_GROUPS, _MOST_MEMBERS, _MOST_LINES = 40, 30, 12
_TRACEBACK = 1900
"""Characters of a traceback: its end says what happened."""


@dataclass(frozen=True)
class VariableRow:
    """One gradient over everyone: how many have which status, and its most common mistakes."""

    label: str
    right: int
    bar: list[tuple[str, str, float]]
    counts: list[tuple[str, int]]
    mistakes: list[tuple[str, int]]


@dataclass(frozen=True)
class ExerciseChapter:
    """One exercise: its distribution of scores and its gradients."""

    short_id: str
    title: str
    count: int
    max_score: Points
    all_right: int
    median: float
    histogram: Markup
    words: str
    rows: list[VariableRow]


@dataclass(frozen=True)
class MistakeRow:
    """A row of the table of mistakes: which mistake, at which gradient, how often, and one line that shows it."""

    where: str
    mistake: str
    count: int
    share: float
    example: str
    message: list[tuple[str, bool]]


@dataclass(frozen=True)
class GroupRow:
    """One group of near-identical answers; `more_members` and `more_lines` are left out."""

    number: int
    members: list[Student]
    more_members: int
    bits: float
    gradients: int
    lines: list[tuple[str, SharedLine]]
    more_lines: int


@dataclass(frozen=True)
class MatrixRow:
    """One submission and each gradient's status, by exercise, with the mark that is shown; "" where the exercise was
    not handed in. Points by hand stand in the place of a mark.
    """

    student: Student
    by_hand: bool
    cells: list[list[tuple[str, str]]]


def render_page(summary: CourseSummary, results: Results, links: Mapping[str, str] | None = None) -> str:
    """The page as text. `links` lead from a submission's name to its feedback."""
    shown = _worth_showing(summary)
    return environment().get_template("summary.html").render(
        name=results.folder.absolute().name,
        summary=summary,
        graded=summary.having("graded"),
        refused=summary.having("refused")[:_MOST_REFUSED],
        broken=[(one, one.reason[-_TRACEBACK:]) for one in summary.having("grader-error")[:_MOST_ERRORS]],
        in_part=[one for one in summary.having("graded") if one.reason][:_MOST_REFUSED],
        counts=Counter(student.status for student in summary.students),
        chapters=[_chapter(summary, exercise) for exercise in summary.exercises.values()],
        mistakes=_mistakes(summary),
        rows=[_matrix_row(summary, student) for student in shown],
        states=STATES,
        slow=_slow(summary),
        quantiles=[(share, quantile(summary.seconds, share)) for share in (0.5, 0.95, 1.0)],
        groups=_groups(summary, results),
        fewest=FEWEST_SUBMISSIONS,
        links=links or {},
        grades=_grades(summary),
        late=[(one, summary.grade(one)) for one in summary.students if one.late],
        changed=[one for one in summary.students if one.overrides],
        identical=_identical(summary),
    )  # fmt: skip


def _worth_showing(summary: CourseSummary) -> list[Student]:
    """The rows of the matrix, the refused and the lowest scores first: those who have everything are not missed."""
    return sorted(summary.students, key=lambda student: (student.graded, student.score))[:MOST_ROWS]


def _grades(summary: CourseSummary) -> tuple[Markup, str] | None:
    """How grades are distributed over all who handed in, as they go to the gradebook."""
    counts = Counter(summary.grade(one).after for one in summary.students if one.status != "grader-error")
    return histogram(counts, summary.full_marks) if counts and len(summary.exercises) > 1 else None


def _identical(summary: CourseSummary) -> list[list[Student]]:
    """Groups who handed in the same text."""
    groups: dict[str, list[Student]] = defaultdict(list)
    for student in summary.students:
        tried = any(status != "missing" for found in student.statuses.values() for status in found.values())
        if student.text and tried:  # an untouched exercise is everybody's
            groups[student.text].append(student)
    return sorted((held for held in groups.values() if len(held) > 1), key=len, reverse=True)[:_MOST_GROUPS]


def _matrix_row(summary: CourseSummary, student: Student) -> MatrixRow:
    def cell(exercise: str, name: str) -> tuple[str, str]:
        status = student.statuses.get(exercise, {}).get(name, "")
        override = student.by_hand(exercise, name)
        if override is not None:
            return "by-hand", str(override.points)
        return status, STATES[status].mark if status else ""

    cells = [[cell(exercise.id, name) for name in exercise.labels] for exercise in summary.exercises.values()]
    return MatrixRow(student, any(student.by_hand(exercise) for exercise in summary.exercises), cells)


def _chapter(summary: CourseSummary, exercise: ExerciseSummary) -> ExerciseChapter:
    ordered = sorted(exercise.scores.elements())
    drawn = len(exercise.labels) > 1 and exercise.count
    svg, words = histogram(exercise.scores, exercise.max_score) if drawn else (Markup(), "")
    return ExerciseChapter(
        short_id=exercise.short_id,
        title=exercise.title,
        count=exercise.count,
        max_score=exercise.max_score,
        all_right=exercise.scores[exercise.max_score],
        median=quantile(ordered, 0.5),
        histogram=svg,
        words=words,
        rows=[_variable_row(summary, exercise, name) for name in exercise.labels],
    )


def _variable_row(summary: CourseSummary, exercise: ExerciseSummary, name: str) -> VariableRow:
    statuses = exercise.statuses.get(name, Counter())
    total = statuses.total()
    ordered = [status for status in STATES if statuses[status]]
    here = {place[2]: found.count for place, found in summary.mistakes.items() if place[:2] == (exercise.id, name)}
    return VariableRow(
        label=exercise.labels[name],
        right=exercise.right(name),
        bar=[(status, STATES[status].words, 100 * statuses[status] / total) for status in ordered],
        counts=[(STATES[status].words, statuses[status]) for status in ordered if status != "pass"],
        mistakes=Counter(here).most_common(_MOST_HERE),
    )


def _mistakes(summary: CourseSummary) -> list[MistakeRow]:
    def row(place: tuple[str, str, str], found: MistakeCount) -> MistakeRow:
        exercise = summary.exercises[place[0]]
        where = f"{exercise.short_id} {exercise.labels[place[1]]}"
        share = found.count / exercise.statuses[place[1]].total()
        return MistakeRow(where, place[2], found.count, share, found.example, pieces(found.message))

    ordered = sorted(summary.mistakes.items(), key=lambda item: -item[1].count)
    return [row(place, found) for place, found in ordered[:_MOST_MISTAKES]]


def _slow(summary: CourseSummary) -> list[Student]:
    return sorted((s for s in summary.students if s.graded), key=lambda student: -student.seconds)[:_MOST_SLOW]


def _groups(summary: CourseSummary, results: Results) -> list[GroupRow]:
    rows = []
    for number, group in enumerate(summary.groups[:_MOST_GROUPS], start=1):
        lines = summary.answers.shared_lines(group, member_lines(results, summary, group).texts)
        members = [summary.students[member] for member in group.members]
        rows.append(
            GroupRow(
                number,
                members[:_MOST_MEMBERS],
                max(0, len(members) - _MOST_MEMBERS),
                group.bits,
                len({key[:2] for key in group.keys}),
                [(_label(summary, line), line) for line in lines[:_MOST_LINES]],
                max(0, len(lines) - _MOST_LINES),
            )
        )
    return rows


def _label(summary: CourseSummary, line: SharedLine) -> str:
    counted = summary.exercises.get(line.exercise)  # answers are alike in what does not count, too
    return f"{short_id_of(line.exercise)} {counted.labels[line.name] if counted else line.name}"
