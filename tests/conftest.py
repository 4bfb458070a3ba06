"""What every test may ask for: a warm grader, and a way to grade a text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grader.base.children import ONE_THREAD

os.environ.update(ONE_THREAD)  # before numpy loads: a process with threads is not forked, as `dojo` is

from course import Course, graded_answers, write_course
from dojo import REPOSITORY

from grader.judging.grade import Grader, settings
from grader.learner import memory
from grader.report.records import SubmissionReport

SEED = 20

GradeText = Callable[..., list[SubmissionReport]]


@pytest.fixture(autouse=True)
def own_progress(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A test neither sees nor changes how far whoever runs it has come in this clone."""
    place, real = tmp_path_factory.getbasetemp() / "progress.json", memory.progress_path
    place.unlink(missing_ok=True)
    monkeypatch.setattr(memory, "progress_path", lambda folder: place if folder == REPOSITORY else real(folder))


@pytest.fixture(scope="session")
def grader() -> Iterator[Grader]:
    """One grader for the whole run: torch is loaded once, each submission still gets its own process."""
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
def course(grader: Grader, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The results of 120 made-up submissions."""
    graded = graded_answers(grader, tmp_path_factory.mktemp("answers"))
    return write_course(tmp_path_factory.mktemp("course") / "results", graded, 120)
