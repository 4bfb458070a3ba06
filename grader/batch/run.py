"""`dojo batch`: from SUBMISSIONS to RESULTS, going on where an earlier run ended."""

from __future__ import annotations

import contextlib
import hashlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from grader.base.errors import DojoError
from grader.base.words import counted
from grader.batch.collect import Collected, Submission, collect
from grader.batch.disk import text_digest
from grader.batch.jobs import LocalJobs
from grader.batch.parameters import Options, agreed_terms, isolation_asked, other_versions, parameters_for, versions
from grader.batch.person import Task, Terms
from grader.batch.progress import ProgressView
from grader.batch.results import Results
from grader.report.assignment import chosen_exercises

if TYPE_CHECKING:
    from grader.batch.cluster import Cluster

    Scheduler = LocalJobs | Cluster
    """What grades tasks, here or elsewhere; both are asked in the same way."""

_MOST_GONE = 20
_CANNOT = {
    "basic": "a submission can read your files and use the network",
    "partial": "a submission is kept from your files or from system calls, not from both",
}


@contextlib.contextmanager
def interrupt_held_back() -> Iterator[None]:
    """Let a Ctrl-C wait until the block has ended, so that no result is written by half."""
    pending: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    with contextlib.suppress(ValueError):  # only the main thread has signals
        signal.signal(signal.SIGINT, lambda number, _: pending.append(number))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, before)
    if pending:
        raise KeyboardInterrupt


def refuse_unfit(folder: Path, submissions: Path) -> None:
    """Refuse a folder for results or pages before anything is graded.

    Raises:
        DojoError: it is a file, or the next run would take what lies in it for a submission.
    """
    if folder.exists() and not folder.is_dir():
        raise DojoError(f"{folder}: is a file; name a folder")
    if submissions.is_dir() and folder.resolve().is_relative_to(submissions.resolve()):
        raise DojoError(f"{folder}: lies among the submissions; name a folder outside {submissions}")


def run_batch(options: Options, say: Console, report: Callable[[str], None]) -> int:
    """Grade what is not graded yet. 0: all went through; 1: some broke the grader; 130: Ctrl-C.

    `say` shows how it goes, `report` takes the lines at the end.

    Raises:
        DojoError: bad input, or nothing can be graded.
    """
    chosen_exercises(options.assignment, options.exercise, options.forced)
    refuse_unfit(options.out, options.submissions)
    with contextlib.ExitStack() as stack:
        submissions = stack.enter_context(collect(options.submissions))
        try:
            scheduler = stack.enter_context(contextlib.closing(scheduler_for(options)))
            stated = options.assignment.require_isolation if options.assignment else None
            required = options.require_isolation or stated
            level = scheduler.level(isolation_asked(options), required)
            asked = parameters_for(options, level, submissions.layout)
            results = stack.enter_context(Results.start(options.out, asked))
            terms = agreed_terms(options, results, asked)
            isolation = scheduler.begin(terms)
            told = other_versions(results.parameters, versions(), "this machine")
            gone = _gone(results, submissions)
            for line in [*results.problems, *submissions.notes, *gone, *told, *scheduler.notes]:
                _warn(say, line)
            _say_how(submissions, terms, scheduler, isolation, say)
            with ProgressView(say, len(submissions)) as view:
                _grade(options, submissions, results, scheduler, view)
        except KeyboardInterrupt:
            report(f"stopped; what was graded is kept in {options.out}, and the same command goes on from there")
            return 130
    return _ended(options, view, report)


def _grade(
    options: Options, submissions: Collected, results: Results, scheduler: Scheduler, view: ProgressView
) -> None:
    found = {submission.name: submission for submission in submissions}
    digests: dict[str, tuple[str, str]] = {}

    def tasks() -> Iterator[Task]:
        for submission in submissions:
            task, content = _read(submission)
            entry = results.entry(submission.name)
            again = entry is not None and options.retry_errors and entry.status == "grader-error"
            if entry is not None and entry.content == content and not again:
                view.note(entry, before=True)
                continue
            digests[submission.name] = content, text_digest(file for _, file in task.files)
            yield task

    for outcome in scheduler.outcomes(tasks()):
        of = found[outcome.submission]
        content, text = digests.pop(of.name)
        with interrupt_held_back():
            entry = results.add(
                of.name,
                outcome.report,
                seconds=outcome.seconds,
                source=of.source,
                content=content,
                text=text,
                **of.person.about(),
            )
        view.note(entry)


def scheduler_for(options: Options) -> Scheduler:
    """The processes of this machine, or a Dask cluster.

    Raises:
        DojoError: there is no cluster at that address, or Dask is not installed.
    """
    if options.scheduler is None:
        return LocalJobs(options.jobs)
    from grader.batch.cluster import Cluster  # only this needs Dask

    return Cluster(options.scheduler)


def _read(submission: Submission) -> tuple[Task, str]:
    """The task, and a digest of all that its result depends on."""
    files, problems = [], list(submission.problems)
    digest = hashlib.sha256()
    for item in submission.files:
        try:
            content = item.read()
        except DojoError as error:
            problems.append(str(error))
            continue
        files.append((item.label, content))
        digest.update(f"{item.label}\0{len(content)}\0".encode() + content)
    person = submission.person
    said = [*problems, *([person.handed_in] if person.handed_in else []), *(["late"] if person.marked_late else [])]
    digest.update("\0".join(said).encode())
    return Task(submission.name, tuple(files), tuple(problems)), digest.hexdigest()


def _gone(results: Results, submissions: Collected) -> list[str]:
    """Those who were there in an earlier run."""
    here = {submission.name for submission in submissions}
    gone = [entry.submission for entry in results.entries() if entry.submission not in here]
    listed = ", ".join(gone[:_MOST_GONE]) + (", ..." if len(gone) > _MOST_GONE else "")
    count = counted(len(gone), "submission")
    return [f"{count} of an earlier run not handed over any more; the results stay and count: {listed}"] if gone else []


def _say_how(submissions: Collected, terms: Terms, scheduler: Scheduler, isolation: str, say: Console) -> None:
    found = f"{counted(len(submissions), 'submission')}, layout: {submissions.layout}"
    line = f"{found}; {scheduler.where}, isolation {isolation}, seed {terms.seed}"
    say.print(f"dojo: {line}", markup=False, highlight=False, soft_wrap=True)
    if isolation in _CANNOT:
        _warn(say, f"ISOLATION IS ONLY {isolation.upper()}: {_CANNOT[isolation]}")


def _warn(say: Console, line: str) -> None:
    say.print(f"dojo: {line}", style="bold yellow", markup=False, highlight=False, soft_wrap=True)


def _ended(options: Options, view: ProgressView, report: Callable[[str], None]) -> int:
    statuses, errors = view.statuses, view.statuses["grader-error"]
    before = f", {view.done_before} of them before" if view.done_before else ""
    report(
        f"{statuses['graded']} graded{before}, {statuses['refused']} refused, {counted(errors, 'grader error')}; "
        f"median score {view.median_score()}; {view.seconds():.1f} s, {view.rate():.1f}/s"
    )
    report(f"results: {options.out}; `dojo summary {options.out}` shows them, and why something was refused")
    if errors:
        report("a grader error is no score: its traceback is in the result; --retry-errors grades these again")
    return 1 if errors else 0
