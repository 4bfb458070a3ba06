"""What a results folder holds, in one pass; no report stays in memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from grader.base.errors import DojoError
from grader.batch.results import Entry, Results, counting
from grader.classroom.overrides import FILE as OVERRIDES
from grader.classroom.overrides import Override, outdone, read_overrides
from grader.classroom.similar import Answers, Group, Lines, lines_of
from grader.lesson.exercise import find_exercise, short_id_of
from grader.report.assignment import Assignment, Lateness, of_majority, read_time, unstated
from grader.report.points import PointsTable
from grader.report.records import Points, Verdict, whole

_BROKEN = "The grader itself broke on this. That is no mistake of yours; your instructor can tell you more."
_LONGEST_LINE = 300
_MOST_EXAMPLES = 200
"""Different lines of one mistake among which the most common is sought: hostile variety must not fill the memory."""

Place = tuple[str, str, str]
"""Exercise, gradient and mistake."""


@dataclass
class Student:
    """One submission. `statuses` are the verdicts by exercise and gradient, `scores` the points by exercise.

    `members` are name and id of each, where a group handed it in; `text` is the same for identical files;
    `overrides` the changes by hand, which are in `scores` already, and in no status. `reason` is the traceback of a
    grader error, why it was refused, or which of its files could not be graded.
    """

    submission: str
    student: str
    student_id: str
    status: str
    file: str
    seconds: float
    statuses: dict[str, dict[str, str]] = field(default_factory=dict)
    scores: dict[str, Points] = field(default_factory=dict)
    reason: str = ""
    group: int | None = None
    source: str = ""
    text: str = ""
    handed_in: str = ""
    marked_late: bool = False
    members: tuple[tuple[str, str], ...] = ()
    late: Lateness | None = None
    overrides: list[Override] = field(default_factory=list)

    @property
    def score(self) -> Points:
        """The points of all exercises together."""
        return whole(sum(self.scores.values()))

    @property
    def graded(self) -> bool:
        """Whether anything of this person was graded, and not refused."""
        return self.status == "graded"

    @property
    def told(self) -> str:
        """The `reason` as the person reads it: a traceback is for the instructor alone."""
        return _BROKEN if self.status == "grader-error" else self.reason

    def by_hand(self, exercise: str, gradient: str | None = None) -> Override | None:
        """The last override of the points of a gradient, or of a whole exercise; None where there is none."""
        found = (o for o in reversed(self.overrides) if (o.exercise, o.gradient) == (exercise, gradient))
        return next((o for o in found if o.points is not None), None)


@dataclass
class Grade:
    """A grade on the assignment's scale, `before` what being late takes and `after` it."""

    before: Points
    after: Points

    def words(self) -> str:
        """Both, where they differ."""
        return f"{self.after} in place of {self.before}" if self.after != self.before else f"{self.after}"


@dataclass
class MistakeCount:
    """One mistake at one gradient: how many made it, and the line that most of them wrote."""

    count: int = 0
    lines: Counter[str] = field(default_factory=Counter)
    message: str = ""

    @property
    def example(self) -> str:
        """The line that most people wrote when they made this mistake; empty where none is known."""
        return self.lines.most_common(1)[0][0] if self.lines else ""

    def add(self, line: str, message: str) -> None:
        """Count the mistake once more, with the line that has it and what was said about it."""
        self.count += 1
        self.message = self.message or message
        if line and (line in self.lines or len(self.lines) < _MOST_EXAMPLES):
            self.lines[line] += 1


@dataclass
class ExerciseSummary:
    """One exercise over all who handed it in. `labels` are what learners write: `dlogits` for `logits`."""

    id: str
    title: str
    max_score: Points = 0
    labels: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    scores: Counter[Points] = field(default_factory=Counter)

    @property
    def short_id(self) -> str:
        """The exercise as people call it, such as `makemore/ex1`."""
        return short_id_of(self.id)

    @property
    def count(self) -> int:
        """How many people handed it in."""
        return self.scores.total()

    @property
    def median(self) -> Points:
        """The score in the middle, or between the two in the middle; 0 where nobody handed it in."""
        return whole(median(self.scores.elements())) if self.scores else 0

    def right(self, name: str) -> int:
        """How many people have this gradient right."""
        return self.statuses.get(name, Counter())["pass"]


@dataclass
class CourseSummary:
    """Everything that the page, the tables and the gradebooks are made from.

    `unread` are people of whom there is no result that can be read, and who are not as those who handed in nothing;
    `damaged` says that there may be more of them, whose names are not known.
    """

    students: list[Student] = field(default_factory=list)
    exercises: dict[str, ExerciseSummary] = field(default_factory=dict)
    mistakes: dict[Place, MistakeCount] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    answers: Answers = field(default_factory=Answers)
    problems: list[str] = field(default_factory=list)
    assignment: Assignment = field(default_factory=lambda: of_majority([]))
    unread: list[Student] = field(default_factory=list)
    damaged: bool = False
    layout: str = ""

    @property
    def max_score(self) -> Points:
        """The points of all exercises that count."""
        return whole(sum(exercise.max_score for exercise in self.exercises.values()))

    @property
    def full_marks(self) -> Points:
        """What `max_score` is on the scale of the assignment."""
        return self.max_score if self.assignment.points is None else self.assignment.points

    def grade(self, student: Student) -> Grade:
        """The grade of one submission; the last override of the whole grade stands for it, late or not."""
        by_hand = [one.points for one in student.overrides if one.exercise is None and one.points is not None]
        if by_hand:
            return Grade(by_hand[-1], by_hand[-1])
        factor = self.full_marks / self.max_score if self.max_score else 1
        before = whole(round(student.score * factor, 2))
        after = whole(round(before * (1 - (student.late.taken if student.late else 0)), 2))
        return Grade(before, after)

    def having(self, status: str) -> list[Student]:
        """The people whose submission has this status, such as `refused`."""
        return [student for student in self.students if student.status == status]

    @property
    def seconds(self) -> list[float]:
        """How long each took, in order."""
        return sorted(student.seconds for student in self.students if student.graded)


VerdictSink = Callable[[Student, str, Mapping[str, Any], Points], None]
"""Is told each verdict with its exercise and its points as it goes by."""

TimesOf = Callable[[Sequence[Student], Assignment], str | None]
"""Gives students the time that they handed in; what it returns is told."""


def summarise(
    results: Results,
    *,
    assignment: Assignment | None = None,
    exercises: Sequence[str] = (),
    points: PointsTable | None = None,
    each_verdict: VerdictSink | None = None,
    take_times: TimesOf | None = None,
) -> CourseSummary:
    """Read every result once.

    Without an `assignment` that of the batch counts, and without one the exercises that a majority handed in.
    `exercises` (ids) leaves the others out; `points` takes the place of those graded with. `take_times` notes when
    people handed in, before lateness is counted.

    Raises:
        DojoError: the folder holds no result.
    """
    data = results.parameters.get("assignment")
    stated = assignment or (Assignment.from_data(data) if data else None)
    summary = CourseSummary(
        problems=list(results.problems),
        damaged=bool(results.problems),
        layout=str(results.parameters.get("layout", "")),
    )
    overrides = read_overrides(results.folder, stated.exercises if stated else ())
    for entry in results.entries():
        try:
            report = results.report(entry)
        except DojoError as error:
            summary.problems.append(str(error))
            summary.unread.append(_student(entry, {"problems": [str(error)]}, ()))
            continue
        student = _student(entry, report, overrides)
        graded = [one for one in counting(report) if not exercises or one["exercise"] in exercises]
        for one in graded:
            _add(summary, student, one, points, each_verdict)
        _add_by_hand(student)
        summary.students.append(student)
        summary.answers.add(lines_of(graded))
    if not summary.students:
        raise DojoError(
            f"{results.folder}: holds no result; `dojo batch SUBMISSIONS --out {results.folder}` writes some"
        )
    summary.assignment = stated or of_majority(student.scores for student in summary.students)
    if stated and exercises:
        summary.assignment = replace(stated, exercises=tuple(exercises))
    kept = results.parameters.get("points")
    _count_only(summary, points or (PointsTable(**kept) if kept else PointsTable()))
    _find_late(summary, take_times)
    summary.problems += _amiss(overrides, summary)
    known = {override.person for student in summary.students for override in student.overrides}
    summary.unread += [
        Student(name, name, "", "refused", "", 0, reason=f"no submission, but changed in {OVERRIDES}")
        for name in dict.fromkeys(override.person for override in overrides if override.points is not None)
        if name not in known
    ]
    summary.groups = summary.answers.groups()
    for number, group in enumerate(summary.groups, start=1):
        for member in group.members:
            summary.students[member].group = number
    return summary


def _student(entry: Entry, report: Mapping[str, Any], overrides: Sequence[Override]) -> Student:
    """What the index says of a submission, why not all of it is graded, and the changes by hand."""
    reason = str(report.get("grader_error") or report.get("refused") or "; ".join(report.get("problems", ())))
    called = {entry.submission, entry.student, entry.student_id, *(c for member in entry.members for c in member)}
    return Student(
        entry.submission, entry.student, entry.student_id, entry.status, entry.file, entry.seconds,
        reason=reason, source=entry.source, text=entry.text, handed_in=entry.handed_in, marked_late=entry.marked_late,
        members=entry.members, overrides=[override for override in overrides if override.person in called],
    )  # fmt: skip


def _add_by_hand(student: Student) -> None:
    """Points by hand for whole exercises, and for gradients of exercises of which nothing was graded."""
    of_gradients: dict[str, dict[str, Points]] = {}
    of_exercises: dict[str, Points] = {}
    for override in student.overrides:
        if override.exercise is None or override.points is None:
            continue
        if override.gradient is None:
            of_exercises[override.exercise] = override.points
        elif override.exercise not in student.statuses:
            of_gradients.setdefault(override.exercise, {})[override.gradient] = override.points
    student.scores |= {name: whole(sum(given.values())) for name, given in of_gradients.items()} | of_exercises
    student.statuses = {name: student.statuses.get(name, {}) for name in student.scores}


def _amiss(overrides: Sequence[Override], summary: CourseSummary) -> Iterator[str]:
    """What changes by hand do that may not be meant, a sentence each."""
    for person in dict.fromkeys(override.person for override in overrides):
        called = [one.submission for one in summary.students if person in (own.person for own in one.overrides)]
        if not called:
            yield f"{OVERRIDES}: nobody of these results is called {person!r}"
        elif len(called) > 1:
            yield f"{OVERRIDES}: {person!r} counts for each who is called so: {', '.join(called)}"
    for one in summary.students:
        for change, other in outdone(one.overrides):
            yield f"{OVERRIDES}: for {one.submission} “{other.words()}” counts, in place of “{change.words()}”"
    for exercise in sorted({o.exercise for o in overrides if o.exercise} - summary.exercises.keys()):
        yield f"{OVERRIDES}: {exercise} does not count, so its points change no grade"


def _find_late(summary: CourseSummary, take_times: TimesOf | None) -> None:
    """Say of each submission how late it is, and of how many that cannot be known."""
    if take_times is not None and (said := take_times(summary.students, summary.assignment)):
        summary.problems.append(said)
    for student in summary.students:
        due = next((override.due for override in reversed(student.overrides) if override.due), None)
        student.late = summary.assignment.lateness(student.handed_in, student.marked_late, due)
    layout = summary.layout
    untold = [one for one in summary.students if one.graded and read_time(one.handed_in) is None]
    if summary.assignment.due and untold and not layout.startswith("Canvas"):  # Canvas marks what is late
        count = f"{len(untold)} of {len(summary.students)}"
        elsewhere = take_times is not None or layout.startswith(("Gradescope", "nbgrader"))
        hint = "" if elsewhere else "; Moodle's grading worksheet tells it, with --roster"
        summary.problems.append(f"when {count} were handed in is not known, so they count as in time{hint}")


def _count_only(summary: CourseSummary, table: PointsTable) -> None:
    """Leave the exercises that count, in their order, those among them that nobody handed in too."""
    counted, found = summary.assignment, summary.exercises
    beside = [f"{name} ({exercise.count})" for name, exercise in found.items() if name not in counted.exercises]
    if not counted.stated:
        summary.problems.append(unstated(counted.exercises))
    if beside:
        summary.problems.append(f"handed in too, and not counted: {', '.join(sorted(beside))}")
    worth = counted.worth(table) if counted.stated else {}
    summary.exercises = {name: found.get(name) or _nobodys(name) for name in counted.exercises}
    for name, exercise in summary.exercises.items():
        exercise.max_score = worth.get(name, exercise.max_score)
    for student in summary.students:
        student.scores = {name: score for name, score in student.scores.items() if name in summary.exercises}
        student.statuses = {name: student.statuses[name] for name in student.scores}
    summary.mistakes = {place: made for place, made in summary.mistakes.items() if place[0] in summary.exercises}


def _nobodys(name: str) -> ExerciseSummary:
    exercise = find_exercise(name)
    labels = {name: exercise.label(name) for name in exercise.graded}
    return ExerciseSummary(exercise.id, exercise.title, labels=labels)


def member_lines(results: Results, summary: CourseSummary, group: Group) -> Lines:
    """The lines of a group as its first member wrote them."""
    submission = summary.students[group.members[0]].submission
    entry = results.entry(submission)
    assert entry is not None, submission
    return lines_of(counting(results.report(entry)))


def _add(
    summary: CourseSummary,
    student: Student,
    graded: Mapping[str, Any],
    points: PointsTable | None,
    each_verdict: VerdictSink | None,
) -> None:
    exercise = summary.exercises.setdefault(graded["exercise"], ExerciseSummary(graded["exercise"], graded["title"]))
    statuses = student.statuses[exercise.id] = {}
    score = best = 0.0
    for verdict in graded["verdicts"]:
        name, status = verdict["name"], verdict["status"]
        exercise.labels.setdefault(name, verdict["label"])
        exercise.statuses.setdefault(name, Counter())[status] += 1
        statuses[name] = status
        earned, most = worth_of(exercise.id, verdict, points)
        if (override := student.by_hand(exercise.id, name)) is not None and override.points is not None:
            earned = override.points
        score, best = score + earned, best + most
        if verdict["mistake"] and status != "pass":
            place = (exercise.id, name, verdict["mistake"])
            summary.mistakes.setdefault(place, MistakeCount()).add(_example(verdict), str(verdict["message"]))
        if each_verdict is not None:
            each_verdict(student, exercise.id, verdict, earned)
    student.scores[exercise.id] = whole(score)
    exercise.scores[whole(score)] += 1
    exercise.max_score = max(exercise.max_score, whole(best))


def _example(verdict: Mapping[str, Any]) -> str:
    """The line to look at; the whole statement where the line alone ends in the middle."""
    code = str(verdict.get("code") or "")
    if code.endswith(("(", "[", "{", ",", "\\")):
        code = next((text for text in verdict.get("answer", ()) if code in text), code)
    return code[:_LONGEST_LINE]


def worth_of(exercise: str, verdict: Mapping[str, Any], points: PointsTable | None) -> tuple[Points, Points]:
    """Points earned, and those that could be."""
    if points is None:
        return verdict["points"], verdict["max_points"]
    judged = Verdict(
        verdict["name"],
        verdict["status"],
        max_points=points.of(exercise, verdict["name"]),
        shape_share=points.shape_share,
    )
    return judged.points, judged.max_points


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of an ascending list is at or below; 0 for an empty one."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
