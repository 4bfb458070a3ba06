"""What every test may ask for: a warm grader, and a way to grade a text.

torch is loaded where it is needed: pytest-xdist loads this module before its workers start, and grades nothing itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import pytest
from dojo import REPOSITORY
from filelock import FileLock

from grader.base.children import BEFORE_TORCH
from grader.base.loading import load_nbformat, uncollected
from grader.batch import jobs
from grader.learner import memory
from grader.lesson.data_files import VARIABLES
from grader.running.limits import Limits
from grader.running.sandbox import Launcher

if TYPE_CHECKING:
    from course import Course

    from grader.batch.person import Terms
    from grader.judging.grade import Grader, Settings
    from grader.lesson.exercise import Exercise
    from grader.report.records import SubmissionReport

os.environ.update(BEFORE_TORCH)  # before numpy loads: a process with threads is not forked, as `dojo` is

SEED = 20

GradeText = Callable[..., "list[SubmissionReport]"]


def sampled(every: int, cases: Iterable[Any]) -> list[Any]:
    """Parameters for CI, which tries all; of so many `make test` tries one, for the others are marked slow."""
    found = []
    for number, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        found.append(pytest.param(*values, marks=pytest.mark.slow if number % every else ()))
    return found


@pytest.fixture(autouse=True)
def own_progress(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A test neither sees nor changes how far whoever runs it has come in this clone."""
    place, real = tmp_path_factory.getbasetemp() / "progress.json", memory.progress_path
    place.unlink(missing_ok=True)
    monkeypatch.setattr(memory, "progress_path", lambda folder: place if folder == REPOSITORY else real(folder))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test, and no process of one, writes what dojo remembers into the cache of whoever runs it.

    What other programs keep there, such as matplotlib its list of fonts, is shared.
    """
    theirs, ours = platformdirs.user_cache_path("backprop-dojo", appauthor=False), tmp_path_factory.mktemp("cache")
    before = kept_in(theirs)
    for other in theirs.parent.iterdir() if theirs.parent.is_dir() else ():
        if other != theirs:
            (ours / other.name).symlink_to(other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(ours))
        yield
    if new := kept_in(theirs) - before:
        folders = (Path(found) for found, _, _ in os.walk(tmp_path_factory.getbasetemp().resolve()))
        written = [str(folder) for folder in folders if memory.progress_path(folder).parent.name in new]
        assert not written, f"tests wrote into {theirs} what is remembered of {written}"


def kept_in(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} if cache.is_dir() else set()


@pytest.fixture(scope="session", autouse=True)
def one_launcher() -> Iterator[None]:
    """Graders on usual terms share the process that forks their workers: torch is loaded there once, not for each."""
    from grader.judging import grade

    made: list[Launcher] = []
    own, own_of_jobs = grade.launcher_for, jobs._launcher

    def usual(terms: Settings | Terms) -> bool:
        other_data = any(name in os.environ for name in VARIABLES.values())
        return not other_data and (terms.isolation, terms.limits, terms.device) == ("basic", Limits(), "cpu")

    def shared() -> Launcher:
        if not made:
            made.append(Launcher(forked=False))
        return Launcher.attached(made[0].requests.dup(), "basic")

    def for_grader(chosen: Settings, exercises: Collection[Exercise] | None = None) -> Launcher:
        return shared() if usual(chosen) else own(chosen, exercises)

    def for_jobs(terms: Terms) -> Launcher:
        return shared() if usual(terms) else own_of_jobs(terms)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grade, "launcher_for", for_grader)
        patch.setattr(jobs, "_launcher", for_jobs)
        yield
    for launcher in made:
        launcher.close()


@pytest.fixture(scope="session")
def grader() -> Iterator[Grader]:
    """One grader for the whole run: torch is loaded once, each submission still gets its own process."""
    from grader.judging.grade import Grader, settings

    with Grader(settings(seed=SEED, device="cpu")) as warm:
        yield warm


@pytest.fixture
def grade_text(grader: Grader, tmp_path: Path) -> GradeText:
    """Grade a submission's text: `grade_text(text, suffix=".py", exercise=None)`."""

    def grade(text: str | bytes, suffix: str = ".py", exercise: str | None = None) -> list[SubmissionReport]:
        path = tmp_path / f"submission{suffix}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return grader.grade_file(path, exercise)

    return grade


@pytest.fixture(scope="session")
def course(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The results of 120 made-up submissions, made from answers that the first worker of pytest-xdist grades."""
    from course import graded_answers, write_course

    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "graded_answers.json"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            graded = graded_answers(request.getfixturevalue("grader"), tmp_path_factory.mktemp("answers"))
            shared.write_text(json.dumps(graded), encoding="utf-8")
    graded = json.loads(shared.read_text(encoding="utf-8"))
    return write_course(tmp_path_factory.mktemp("course") / "results", graded, 120)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded to run the tests lives as long as they do: the garbage collector need not look through it."""
    with uncollected():
        load_nbformat()  # before a test loads it otherwise, which takes a second
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that may take longest first, so that none keeps one worker busy alone at the end. A module stays together:
    what its tests share is made once."""

    def most_seconds(item: pytest.Item) -> float:
        limit = item.get_closest_marker("timeout")
        return limit.args[0] if limit else 0

    items.sort(key=most_seconds, reverse=True)
