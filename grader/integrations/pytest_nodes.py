"""What `pytest --dojo` collects: files, the exercises in them, and a test for each gradient."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from functools import cached_property
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import pytest

from grader.base.errors import DojoError
from grader.base.files import refuse_link
from grader.base.visible import visible
from grader.lesson.exercise import find_exercise
from grader.reading.submission import SUFFIXES, HoldsNoneError, Part, select_parts
from grader.report.assignment import chosen_exercises, read_assignment
from grader.running.confine import check_isolation
from grader.showing.text import verdict_words, where, with_mistake
from grader.syntax.source import read_source

if TYPE_CHECKING:
    from grader.judging.grade import Grader
    from grader.report.records import SubmissionReport, Verdict

_SEED = "dojo_seed"


class Grading:
    """The hooks of a run with --dojo, and the grader that all files share."""

    def __init__(self, config: pytest.Config) -> None:
        """Raises:
        DojoError: an option is wrong, or the machine does not offer the isolation.
        """
        stated = read_assignment(Path(file)) if (file := config.getoption("--dojo-assignment")) else None
        selected, forced = config.getoption("--dojo-exercise"), config.getoption("--dojo-as")
        self.assignment, self.wanted, self.forced = chosen_exercises(stated, selected, forced)
        required = config.getoption("--dojo-require-isolation") or (stated.require_isolation if stated else None)
        self.isolation = check_isolation(config.getoption("--dojo-isolation"), required)
        self.config = config
        given = config.getoption("--dojo-seed")
        shared = getattr(config, "workerinput", {}).get(_SEED)  # pytest-xdist: one seed for all workers
        self.seed: int = next((s for s in (given, shared) if s is not None), secrets.randbelow(2**31))

    @cached_property
    def grader(self) -> Grader:
        """Started with the first test: `--collect-only` and a choice of nothing never load torch."""
        from grader.judging.grade import Grader, settings

        return Grader(settings(self.seed, "cpu", isolation=self.isolation))

    def pytest_report_header(self) -> str:
        """pytest's hook: the seed, at the head of the run."""
        return f"dojo: seed {self.seed}"

    def pytest_sessionfinish(self) -> None:
        """pytest's hook: end the judges."""
        if "grader" in vars(self):
            self.grader.__exit__()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector:
        """pytest's hook: a folder is a folder, whatever `__init__.py` is in it."""
        # Where there is an __init__.py, pytest's own Package would import it.
        return pytest.Dir.from_parent(parent, path=path)

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        """pytest's hook: a script or notebook is a submission, and nothing else is collected."""
        yield  # what pytest would make of the file is dropped: it would import it
        if file_path.suffix.lower() not in SUFFIXES:
            return []
        file: SubmissionFile = SubmissionFile.from_parent(parent, path=file_path, grading=self)
        return [file] if file.parts or file.refusal else []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """An exercise of the assignment that no file holds: each of its gradients fails."""
        if self.assignment is None or any("::" in argument for argument in self.config.args):
            return
        held = {item.graded.part.exercise.id for item in items if isinstance(item, GradientTest)}
        for exercise in map(find_exercise, self.assignment.exercises):
            for name in exercise.graded if exercise.id not in held else ():
                label = f"{exercise.id}: {exercise.label(name)}"
                items.append(Refused.from_parent(session, name=label, sentence=f"{exercise.id} was not handed in"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """The hook of pytest-xdist: each worker judges with the same seed."""
        node.workerinput[_SEED] = self.seed

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """The hook of pytest-xdist: the tests of one file go to one worker."""
        # Tests of one file share one grading, so they go to one worker.
        from xdist.scheduler import LoadFileScheduling

        return LoadFileScheduling(config, log)


class NotRight(Exception):
    """A gradient that is not right. Its text is all that is shown: a traceback would lead into the grader."""


class Graded:
    """One exercise of one file, graded when its first test asks."""

    def __init__(self, part: Part, grading: Grading) -> None:
        self.part = part
        self.grading = grading

    def verdict(self, name: str) -> tuple[SubmissionReport, Verdict]:
        """The report and the verdict of one gradient. The first call grades the file.

        Raises:
            DojoError: the grading failed; it is raised again for each gradient.
        """
        if isinstance(self._report, Exception):
            raise self._report
        return self._report, next(verdict for verdict in self._report.verdicts if verdict.name == name)

    @cached_property
    def _report(self) -> SubmissionReport | Exception:
        try:
            return self.grading.grader.grade_part(self.part)
        except Exception as error:  # kept, so that the other tests of the file do not grade again
            return error

    def tests(self, parent: pytest.Collector) -> Iterator[GradientTest]:
        """One test for each graded gradient."""
        exercise = self.part.exercise
        for name in exercise.graded:
            test: GradientTest = GradientTest.from_parent(parent, name=exercise.label(name), graded=self, gradient=name)
            yield test


class SubmissionFile(pytest.File):
    """A script or a notebook that holds exercises. Where it holds several, each becomes a level of its own."""

    def __init__(self, *, path: Path, grading: Grading, **more: Any) -> None:
        super().__init__(path=Path(visible(str(path), keep="")), **more)  # pytest prints paths as they are
        self.file = path
        self.grading = grading
        self.parts: list[Part] = []
        self.refusal: str | None = None
        self._read()

    def _read(self) -> None:
        here = self.config.invocation_params.dir
        path = self.file.relative_to(here) if self.file.is_relative_to(here) else self.file
        named = self.session.isinitpath(self.file)
        try:
            for folder in self.listchain()[1:-1]:
                if not self.session.isinitpath(folder.path):
                    refuse_link(folder.path)
            refuse_link(path)
            source = read_source(path)
        except DojoError as error:
            # A student's file that cannot be read is told; an empty __init__.py is nobody's answer.
            if named or self.file.lstat().st_size > 0:
                self.refusal = str(error)
            return
        try:
            self.parts = select_parts(source, self.grading.wanted, self.grading.forced, named)
        except DojoError as error:
            self.refusal = None if isinstance(error, HoldsNoneError) and not named else str(error)

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """The tests of a file; where it holds several exercises, a level for each of them."""
        if self.refusal is not None:
            yield Refused.from_parent(self, name="submission", sentence=self.refusal)
        for part in self.parts:
            graded = Graded(part, self.grading)
            if len(self.parts) == 1:
                yield from graded.tests(self)
            else:
                yield ExerciseLevel.from_parent(self, name=part.exercise.number, graded=graded)


class ExerciseLevel(pytest.Collector):
    """One of several exercises of a file."""

    def __init__(self, *, graded: Graded, **more: Any) -> None:
        super().__init__(**more)
        self.graded = graded

    def collect(self) -> Iterator[GradientTest]:
        """One test for each gradient of the exercise that this level is named after."""
        return self.graded.tests(self)


class _Sentence(pytest.Item):
    """A test that fails with a sentence."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, (NotRight, DojoError)):
            return visible(str(excinfo.value))
        return super().repr_failure(excinfo, style)


class Refused(_Sentence):
    """Stands for a file that cannot be graded: it fails, and the other files go on."""

    def __init__(self, *, sentence: str, **more: Any) -> None:
        super().__init__(**more)
        self.sentence = sentence

    def runtest(self) -> None:
        """Fail with the sentence that says why the file cannot be graded."""
        raise NotRight(self.sentence)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where pytest says that the test stands."""
        return self.path, None, self.name


class GradientTest(_Sentence):
    """One gradient. It passes where it is right; one that is not attempted fails like one that is wrong."""

    def __init__(self, *, graded: Graded, gradient: str, **more: Any) -> None:
        super().__init__(**more)
        self.graded = graded
        self.gradient = gradient

    def runtest(self) -> None:
        """Fail where the gradient is not right, with the learner's line and what is wrong."""
        report, verdict = self.graded.verdict(self.gradient)
        facts = {"status": verdict.status, "mistake": verdict.mistake, "seed": report.seed}
        facts["isolation"] = report.isolation
        self.user_properties += [(key, value) for key, value in facts.items() if value is not None]
        if verdict.passed:
            return
        lines = [f"{where(report, verdict)}: {self.name}: {with_mistake(verdict)}"]
        lines += [indent(verdict.code, "    ")] if verdict.code else []
        lines += [verdict.message] if verdict.message not in ("", verdict_words(verdict)) else []
        raise NotRight("\n".join(lines))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where pytest says that the test stands: at the learner's last line of this gradient."""
        part = self.graded.part
        attempt = part.attempts.get(self.gradient)
        if attempt is None or part.analysis.source.is_notebook:  # a line of a cell is no line of the file
            return self.path, None, self.name
        return self.path, part.analysis.statements[attempt.writers[-1]].line - 1, self.name
