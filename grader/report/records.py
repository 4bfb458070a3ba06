"""Verdicts and reports, as data. Every view is made from these."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from grader.lesson.tracks import begins_later

Status = Literal["pass", "wrong", "shape", "missing", "error", "timeout", "forbidden"]
ShownData = Literal["own", "other", "random upstream"]
Points = int | float
SCHEMA = 1


@dataclass
class ElementError:
    """One element of a gradient: where it stands, yours, and the true one."""

    index: list[int]
    yours: float
    true: float


LEVELS = 64
"""The strongest level of a cell of a `Picture`: plus or minus the scale."""

NOT_A_NUMBER, INFINITE = 127, 126
"""The levels of nan, and of plus (or, negated, minus) infinity."""


@dataclass
class Picture:
    """A candidate beside the true gradient, as cells: what an error picture is drawn from.

    The tensor counts as a matrix of `shape_rows` by `shape_columns`, its last dimension across; above 64 by 64 it is
    pooled, and a cell stands for the element farthest from zero. Each panel is base64 of one signed byte a cell, row
    by row: a level from -`LEVELS` to `LEVELS`, where `LEVELS` is the number `scale`. The difference is drawn
    `enlarged` times as large.
    """

    rows: int
    columns: int
    shape_rows: int
    shape_columns: int
    scale: float
    enlarged: int
    yours: str
    true: str
    difference: str


@dataclass
class Details:
    """The figures behind a verdict.

    They are those of the lesson's own data wherever the mistake shows there; `data` says so, or that they come from
    `other` data of the same sizes, or from a `random upstream` gradient where the true one is zero.

    `paths` gives the largest element of what comes back through each atom; `error` is relative to the largest
    element of the true gradient; there is no `picture` where the answer is right, or has no numbers of its shape.
    """

    shape: list[int]
    your_shape: list[int] | None = None
    paths: dict[str, float] = field(default_factory=dict)
    error: float | None = None
    largest_errors: list[ElementError] = field(default_factory=list)
    picture: Picture | None = None
    data: ShownData = "own"


@dataclass
class Verdict:
    """What was found out about one gradient; `name` is the tensor's (`logits`), `label` the learner's (`dlogits`).

    `exact`, `approximate` and `maxdiff` are those of the lecture's `cmp`, in float32 on the exercise's own
    data; None where there was nothing to compare. `line` counts in the file, or in cell `cell` of a notebook.
    `answer` holds the statements that make it up, as the learner wrote them; `code` is the line to look at.
    A verdict starts as not passed; only a comparison raises it. `shape_share` is the part of `max_points` that a
    gradient of the wrong shape earns; `grader.report.points` sets both.
    """

    name: str
    status: Status = "missing"
    exact: bool | None = None
    approximate: bool | None = None
    maxdiff: float | None = None
    mistake: str | None = None
    message: str = ""
    line: int | None = None
    cell: int | None = None
    code: str | None = None
    answer: list[str] = field(default_factory=list)
    details: Details | None = None
    max_points: Points = 1
    shape_share: float = 0.0
    label: str = ""

    def __post_init__(self) -> None:
        self.label = self.label or f"d{self.name}"

    @property
    def passed(self) -> bool:
        """Whether it counts as right."""
        return self.status == "pass"

    @property
    def points(self) -> Points:
        """What it earns: all, nothing, or a share where only the shape is wrong."""
        share = self.shape_share if self.status == "shape" else 0.0
        return self.max_points if self.passed else whole(self.max_points * share)


@dataclass
class SubmissionReport:
    """One exercise of one submission; `look_at` names the gradient to look at first, where that is not the first."""

    path: str
    exercise: str
    title: str
    seed: int
    torch: str
    device: str
    isolation: str
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    attempted: bool = True
    look_at: str | None = None

    @property
    def score(self) -> Points:
        """The points earned."""
        return whole(sum(verdict.points for verdict in self.verdicts))

    @property
    def max_score(self) -> Points:
        """The points that can be earned."""
        return whole(sum(verdict.max_points for verdict in self.verdicts))

    @property
    def in_points(self) -> bool:
        """True where the score is not the number of gradients that are right."""
        return any(verdict.max_points != 1 or verdict.shape_share for verdict in self.verdicts)

    @property
    def all_passed(self) -> bool:
        """True where every gradient is right, whatever it is worth."""
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)


@dataclass(frozen=True)
class Refusal:
    """A file that is not graded, and why in a sentence. `by_the_way`: it lay beside others and holds no exercise."""

    path: str
    sentence: str
    by_the_way: bool = False


@dataclass
class Report:
    """Everything that one call of the grader found out about what one person, or several, handed in.

    `refused` are the files that could not be graded; `seconds` is how long it took, and `graded_at` the local date and
    time. A stated assignment sets `missing`, the points of each exercise that was not handed in, and `out_of`, its full
    marks.
    """

    submissions: list[SubmissionReport] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    seconds: float | None = None
    graded_at: str | None = None
    missing: dict[str, Points] = field(default_factory=dict)
    out_of: Points | None = None

    @property
    def all_passed(self) -> bool:
        """Whether there is something graded, nothing missing, and every verdict right."""
        return bool(self.submissions) and not self.missing and all(s.all_passed for s in self.submissions)

    @property
    def counted(self) -> list[SubmissionReport]:
        """Each exercise once: where several files hold it, the one with the most points counts."""
        best: dict[str, SubmissionReport] = {}
        for submission in self.submissions:
            held = best.get(submission.exercise)
            if held is None or submission.score > held.score:
                best[submission.exercise] = submission
        return list(best.values())

    @property
    def score(self) -> Points:
        """The points of the submissions that count."""
        return whole(sum(submission.score for submission in self.counted))

    @property
    def max_score(self) -> Points:
        """The points that could be earned, those of exercises that were not handed in included."""
        return whole(sum(s.max_score for s in self.counted) + sum(self.missing.values()))

    @property
    def factor(self) -> float:
        """What a point of a gradient counts in the grade."""
        return 1 if self.out_of is None or not self.max_score else self.out_of / self.max_score

    @property
    def grade(self) -> Points:
        """The score on the scale of the assignment, to a hundredth where that is another one."""
        return self.score if self.factor == 1 else whole(round(self.score * self.factor, 2))

    @property
    def full_marks(self) -> Points:
        """What the assignment is worth; `max_score` where it does not say."""
        return self.max_score if self.out_of is None else self.out_of

    def as_data(self) -> dict[str, Any]:
        """The report in the documented JSON form; a number that JSON cannot hold (nan, infinity) becomes None."""
        listed = []
        for submission in self.submissions:
            data = _plain(submission)
            del data["attempted"], data["look_at"]
            for verdict, of_verdict in zip(submission.verdicts, data["verdicts"], strict=True):
                of_verdict.pop("shape_share")
                of_verdict["points"] = verdict.points
            listed.append({**data, "score": submission.score, "max_score": submission.max_score})
        problems = {"problems": [refusal.sentence for refusal in self.refused]} if self.refused else {}
        missing = {"missing": self.missing} if self.missing else {}
        return {"schema": SCHEMA, "submissions": listed, **problems, **missing}


def first_thing(report: Report) -> tuple[SubmissionReport, Verdict] | None:
    """What to look at first: the first gradient that is wrong; failing that, the first that is not attempted."""
    ordered = sorted(report.submissions, key=lambda submission: begins_later(submission.exercise))
    open_ones = [(s, v) for s in ordered for v in s.verdicts if not v.passed]
    wrong = [(s, v) for s, v in open_ones if v.status != "missing"]
    begun = [(s, v) for s, v in open_ones if s.attempted]
    first = next(iter(wrong or begun or open_ones), None)
    meant = ((s, v) for s, v in wrong if first is not None and s is first[0] and s.look_at == v.name)
    return next(meant, first)


def _plain(value: Any) -> Any:
    """As `dataclasses.asdict`, without its copies of numbers and texts, for a report has a thousand; a number that JSON
    cannot hold (nan, infinity) becomes None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (str, int)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(held) for held in value]
    held = value if isinstance(value, dict) else vars(value)
    return {name: _plain(inner) for name, inner in held.items()}


def whole(points: Points) -> Points:
    """`points` without the noise of adding tenths, as an int where it is whole."""
    rounded = round(points, 6)
    return int(rounded) if rounded == int(rounded) else rounded
