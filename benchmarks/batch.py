"""Measure `dojo batch`: submissions a second, what one costs after thousands, memory of a job. README.md says how."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import click
import psutil
import torch
from rich.console import Console
from rich.table import Table
from rounds import FEWEST_ROUNDS, in_turn

from grader.batch.jobs import LocalJobs
from grader.batch.person import Task, Terms
from grader.batch.results import Results
from grader.judging.loops import LoopTrial
from grader.lesson.exercise import Exercise, all_exercises, find_exercise
from grader.lesson.trials import trials_of, use_exact_arithmetic
from grader.running.confine import check_isolation
from grader.truth.cases import cases_of
from grader.truth.truths import KnownTruths

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from answers.right import RIGHT
from answers.wrong import WRONG, edited

EXERCISE = "makemore/ex1_atoms"
SEED = 1
WARM_UP = 20
MB = 1e6


@dataclass
class Measured:
    """One run: the moment each outcome was written down, seconds each took, and what was used meanwhile."""

    began: float
    moments: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    full_marks: int = 0
    memory: list[float] = field(default_factory=list)

    def rate(self) -> float:
        return len(self.moments) / (self.moments[-1] - self.began)

    def p95(self) -> float:
        return quantiles(self.seconds, n=20)[-1]


def right_answers() -> list[tuple[str, bytes]]:
    """Every right answer to exercise 1 in the tests, from one line in another form to a notebook of its own."""
    return [(f"ex1_right{a.suffix}", a.text.encode()) for a in RIGHT if a.exercise == EXERCISE]


def mixed_answers() -> list[tuple[str, bytes]]:
    """Right ones and wrong ones in turn; a wrong one has one mistake."""
    wrong = [("ex1_wrong.py", edited(answer).encode()) for answer in WRONG if answer.exercise == EXERCISE]
    return [one for pair in zip(right_answers(), wrong, strict=False) for one in pair]


def tasks(answers: list[tuple[str, bytes]], count: int, together: bool = False) -> Iterator[Task]:
    """`count` people with one answer each, or with all of them together."""
    one_each = itertools.cycle([(answer,) for answer in answers])
    for number, held in zip(range(count), itertools.repeat(answers) if together else one_each, strict=False):
        yield Task(f"p{number:05}", tuple((f"p{number:05}/{name}", text) for name, text in held))


def solutions(exercises: Iterable[Exercise]) -> list[tuple[str, bytes]]:
    return [(exercise.path.name, exercise.path.read_bytes()) for exercise in exercises]


def run(
    scheduler: LocalJobs,
    answers: list[tuple[str, bytes]],
    count: int,
    watch_memory: bool = False,
    together: bool = False,
) -> Measured:
    """Grade `count` answers and write every result down, as `dojo batch` does."""
    with tempfile.TemporaryDirectory() as folder, Results.start(Path(folder) / "out", {}) as results:
        measured = Measured(time.perf_counter())
        for outcome in scheduler.outcomes(tasks(answers, count, together)):
            entry = results.add(outcome.submission, outcome.report, seconds=outcome.seconds)
            measured.moments.append(time.perf_counter())
            measured.seconds.append(outcome.seconds)
            measured.full_marks += entry.score == entry.max_score
            if watch_memory and len(measured.moments) % 10 == 0:
                measured.memory.append(shared_out_memory())
    return measured


def shared_out_memory(of: int | None = None) -> float:
    """PSS of a process, by default this one, and all below it, in bytes: a page that n share counts 1/n in each."""
    total = 0.0
    try:
        me = psutil.Process(of)
    except psutil.NoSuchProcess:
        return total
    for process in [me, *me.children(recursive=True)]:
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except (OSError, psutil.Error):
            continue
        total += sum(float(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def floor(exercise: Exercise, rounds: int = 20) -> float:
    """Seconds of the forward and backward passes by autograd of the same trials and steps, with what sets them up and
    the cases of functions, in this process, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    use_exact_arithmetic()
    seconds = []
    for _ in range(rounds):
        trials = trials_of(exercise, SEED, "cpu")
        began = time.perf_counter()
        if exercise.can_train:
            loops = [LoopTrial(exercise, trial, KnownTruths(), few=trial is not trials[0]) for trial in trials]
            for loop in loops:
                loop.begins(None)
                for position in loop.waiting[: 1 if loop.trial.probe else None]:
                    loop.reference.step(position, {})
        else:
            for trial in trials:
                KnownTruths().find(exercise, trial)
            if exercise.definitions:
                cases_of(exercise, trials[0])
        seconds.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    return median(seconds)


def each_lesson(scheduler: LocalJobs, count: int) -> list[tuple[str, str, str]]:
    """What a right answer to each lesson costs a job, in milliseconds, and over the lesson's floor."""
    rows = []
    for exercise in all_exercises():
        answers = solutions([exercise])
        run(scheduler, answers, 2 * scheduler.jobs)
        measured = run(scheduler, answers, count)
        spent, least = scheduler.jobs / measured.rate(), floor(exercise, 5)
        full = "" if measured.full_marks == count else f", {measured.full_marks} of {count} with full marks"
        what = f"{exercise.short_id}: a job's ms for one / floor"
        rows.append((what, f"{1000 * spent:.0f} / {1000 * least:.1f} = {spent / least:.1f}{full}", "at most 3"))
    return rows


def whole_track(scheduler: LocalJobs, count: int) -> Measured:
    """A run of people who hand in all four exercises of makemore."""
    answers = solutions(find_exercise(f"makemore/ex{number}") for number in range(1, 5))
    return run(scheduler, answers, count, together=True)


def beside_the_floor(scheduler: LocalJobs, count: int, rounds: int) -> list[tuple[str, str, str]]:
    """Right answers, mixed ones and people with four exercises, in turn with the floor."""
    exercise, jobs = find_exercise(EXERCISE), scheduler.jobs
    parts: dict[str, Callable[[], Any]] = {
        "floor": lambda: floor(exercise),
        "right": lambda: run(scheduler, right_answers(), count),
        "mixed": lambda: run(scheduler, mixed_answers(), count),
        "person": lambda: whole_track(scheduler, count // 5),
    }
    found = in_turn(parts, rounds)
    least = found["floor"]
    rows = [("the floor, ms", _spread([1000 * seconds for seconds in least]), "")]
    for what in ("right", "mixed"):
        runs = found[what]
        over = [jobs / measured.rate() / seconds for measured, seconds in zip(runs, least, strict=True)]
        slowest = median(measured.p95() for measured in runs)
        full = {measured.full_marks for measured in runs}
        rows += [
            (f"{what}: submissions a second", _spread([measured.rate() for measured in runs]), "at least 50"),
            (f"{what}: a job's time for one / the floor", _spread(over), "at most 3"),
            (f"{what}: seconds of one, median", f"{median(s for each in runs for s in each.seconds):.3f}", ""),
            (f"{what}: seconds of one, 95 of 100", f"{slowest:.3f}", "at most 0.3"),
            (f"{what}: with full marks", f"{' or '.join(map(str, sorted(full)))} of {count}", ""),
        ]
    seconds = [jobs / measured.rate() for measured in found["person"]]
    rows.append(("four of makemore: seconds of a job", _spread(seconds, 3), "at most 0.12"))
    return rows


def _spread(values: Sequence[float], digits: int = 1) -> str:
    middle, least, most = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def begun(terms: Terms, jobs: int) -> LocalJobs:
    scheduler = LocalJobs(jobs)
    scheduler.begin(terms)
    for _ in scheduler.outcomes(tasks(right_answers(), WARM_UP)):
        pass
    return scheduler


def memory_of_a_job(terms: Terms, few: int = 1, many: int = 3, count: int = 120) -> float:
    """Bytes that each job beyond the first adds while all grade."""
    used = {}
    for jobs in (few, many):
        scheduler = begun(terms, jobs)
        used[jobs] = median(run(scheduler, mixed_answers(), count, watch_memory=True).memory)
        scheduler.close()
    return (used[many] - used[few]) / (many - few)


def flatness(terms: Terms, jobs: int, count: int) -> list[tuple[str, str, str]]:
    """Cost and memory of the last 500 of `count` submissions over those of the first 500."""
    scheduler = begun(terms, jobs)
    measured = run(scheduler, mixed_answers(), count, watch_memory=True)
    scheduler.close()
    window = min(500, count // 2)
    first = measured.moments[window - 1] - measured.began
    last = measured.moments[-1] - measured.moments[-window - 1]
    tenth = len(measured.memory) // 10
    memory = median(measured.memory[-tenth:]) / median(measured.memory[tenth : 2 * tenth])
    return [
        (f"last {window} of {count:,} over the first {window}: time", f"{last / first:.2f}", "0.9 to 1.1"),
        (f"last tenth of {count:,} over the second: memory", f"{memory:.2f}", "at most 1.05"),
    ]


@click.command()
@click.option("--jobs", default=2, type=click.IntRange(min=1), help="Judge processes.")
@click.option("--count", default=200, type=click.IntRange(min=40), help="Submissions in a run.")
@click.option("--isolation", default="highest", help="The isolation level.")
@click.option("--full", is_flag=True, help="Measure the cost after thousands, too.")
@click.option("--many", default=5000, type=click.IntRange(min=200), help="How many those are.")
@click.option("--rounds", default=FEWEST_ROUNDS, type=click.IntRange(min=FEWEST_ROUNDS), help="Rounds that count.")
def main(jobs: int, count: int, isolation: str, full: bool, many: int, rounds: int) -> None:
    """Print figures and targets. Ends with 0, met or missed."""
    terms = Terms(SEED, isolation=check_isolation(isolation))
    console = Console(highlight=False)
    scheduler = begun(terms, jobs)
    rows = beside_the_floor(scheduler, count, rounds)
    rows += each_lesson(scheduler, count // 10)
    scheduler.close()
    rows.append(("memory of a further job, PSS", f"{memory_of_a_job(terms) / MB:.0f} MB", "at most 120 MB"))
    if full:
        rows += flatness(terms, jobs, many)
    drawn = Table(box=None, pad_edge=False)
    for title in ("", "measured", "target"):
        drawn.add_column(title, no_wrap=True)
    for row in rows:
        drawn.add_row(*row)
    console.print(drawn)
    console.print(f"\n{jobs} jobs, isolation {terms.isolation}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
