"""The summary as one HTML page: nothing to load, no script, and nothing of a submission unescaped."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from grader.batch.results import Results
from grader.classroom.histogram import histogram
from grader.classroom.similar import FEWEST_SUBMISSIONS, Group, SharedLine
from grader.classroom.statistics import CourseSummary, ExerciseSummary, Student, member_lines, quantile
from grader.lesson.exercise import short_id_of
from grader.showing.graph_marks import STATES
from grader.showing.page import pieces, rendered

MOST_ROWS = 400
"""Rows of the matrix: 36 gradients of 400 submissions make half a megabyte, and scroll well."""

_MOST_MISTAKES, _MOST_HERE = 30, 3
_MOST_SLOW, _MOST_REFUSED, _MOST_ERRORS = 10, 200, 50
_MOST_GROUPS = 40
_TRACEBACK = 1900
"""Characters of a traceback: its end says what happened."""


def render_page(summary: CourseSummary, results: Results, links: Mapping[str, str] | None = None) -> str:
    """The page as text. `links` lead from a submission's name to its feedback."""

    def shared_lines(group: Group) -> list[SharedLine]:
        return summary.answers.shared_lines(group, member_lines(results, summary, group).texts)

    grades = Counter(summary.grade(one).after for one in summary.students if one.status != "grader-error")
    return rendered(
        "summary.html",
        name=results.folder.absolute().name,
        summary=summary,
        refused=summary.having("refused")[:_MOST_REFUSED],
        broken=[(one, one.reason[-_TRACEBACK:]) for one in summary.having("grader-error")[:_MOST_ERRORS]],
        in_part=[one for one in summary.having("graded") if one.reason][:_MOST_REFUSED],
        counts=Counter(student.status for student in summary.students),
        mistakes=sorted(summary.mistakes.items(), key=lambda item: -item[1].count)[:_MOST_MISTAKES],
        # The refused and the lowest scores first: those who have everything are not missed.
        rows=sorted(summary.students, key=lambda student: (student.graded, student.score))[:MOST_ROWS],
        states=STATES,
        slow=sorted((s for s in summary.students if s.graded), key=lambda student: -student.seconds)[:_MOST_SLOW],
        quantiles=[quantile(summary.seconds, share) for share in (0.5, 0.95)],
        fewest=FEWEST_SUBMISSIONS,
        links=links or {},
        grades=histogram(grades, summary.full_marks) if grades and len(summary.exercises) > 1 else None,
        late=[(one, summary.grade(one)) for one in summary.students if one.late],
        changed=[one for one in summary.students if one.overrides],
        identical=_identical(summary),
        histogram=histogram,
        pieces=pieces,
        short_id_of=short_id_of,
        shared_lines=shared_lines,
        statuses=_statuses,
        common_mistakes=_common_mistakes,
        cell=_cell,
        by_hand=lambda student: any(map(student.by_hand, summary.exercises)),
    )


def _identical(summary: CourseSummary) -> list[list[Student]]:
    """Groups who handed in the same text."""
    groups: dict[str, list[Student]] = defaultdict(list)
    for student in summary.students:
        tried = any(status != "missing" for found in student.statuses.values() for status in found.values())
        if student.text and tried:  # an untouched exercise is everybody's
            groups[student.text].append(student)
    return sorted((held for held in groups.values() if len(held) > 1), key=len, reverse=True)[:_MOST_GROUPS]


def _cell(student: Student, exercise: str, name: str) -> tuple[str, str]:
    """The status of one gradient and the mark that is shown; "" where the exercise was not handed in.

    Points by hand stand in the place of a mark.
    """
    status = student.statuses.get(exercise, {}).get(name, "")
    override = student.by_hand(exercise, name)
    if override is not None:
        return "by-hand", str(override.points)
    return status, STATES[status].mark if status else ""


def _statuses(exercise: ExerciseSummary, name: str) -> list[tuple[str, int]]:
    """How many have which status at one gradient, in the order of the legend."""
    counted = exercise.statuses.get(name, Counter())
    return [(status, counted[status]) for status in STATES if counted[status]]


def _common_mistakes(summary: CourseSummary, exercise: str, name: str) -> list[tuple[str, int]]:
    """The most common mistakes at one gradient, and how many made each."""
    here = {place[2]: found.count for place, found in summary.mistakes.items() if place[:2] == (exercise, name)}
    return Counter(here).most_common(_MOST_HERE)
