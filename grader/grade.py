"""Grade a submission: find its exercises, run it in several worlds, and report on each gradient."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from grader.attempts import Analysis, Attempt, allocate, analyse
from grader.autograd import Gradients, whole_backward
from grader.errors import DojoError
from grader.exercise import Exercise, all_exercises, find_exercise, marked_id
from grader.judge import Answer, Judge, Truth, find_truth
from grader.plan import Plan, make_plan
from grader.report import Report, SubmissionReport, Verdict
from grader.sandbox import ISOLATION, Launcher
from grader.source import Source, read_source
from grader.verdicts import Evidence, add_lecture_figures, add_probe, add_sizes, decide, first_verdict
from grader.world import World, as_written, namespace_of, other_data, other_sizes, random_upstream, use_exact_arithmetic

SUFFIXES = (".py", ".ipynb")


@dataclass(frozen=True)
class Settings:
    """How to grade. `seed` draws the data of every world; `strict_sizes` fails answers with sizes written in."""

    seed: int
    device: str = "cpu"
    strict_sizes: bool = False


def settings(seed: int | None = None, device: str = "auto", strict_sizes: bool = False) -> Settings:
    """Settings with a fresh seed unless one is given, and the device that is there.

    Raises:
        DojoError: `device` is "cuda" and there is none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise DojoError(f"device {device!r} is unknown; choose auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise DojoError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    chosen = "cpu" if device == "auto" else device
    return Settings(secrets.randbelow(2**31) if seed is None else seed, chosen, strict_sizes)


def submission_files(path: Path) -> list[Path]:
    """The file itself, or every script and notebook in a folder.

    Raises:
        DojoError: there is no such path, or the folder holds none.
    """
    if path.is_dir():
        found = sorted(
            file
            for file in path.rglob("*")
            if file.suffix in SUFFIXES and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
        if not found:
            raise DojoError(f"{path}: no .py or .ipynb file in this folder")
        return found
    if not path.exists():
        raise DojoError(f"{path}: no such file or folder")
    if path.suffix not in SUFFIXES:
        raise DojoError(f"{path}: neither a .py file nor an .ipynb notebook")
    return [path]


@dataclass(frozen=True)
class Part:
    """One exercise of one submission, before it is run."""

    exercise: Exercise
    analysis: Analysis
    attempts: dict[str, Attempt]


def find_parts(source: Source, asked: str | None = None) -> list[Part]:
    """The exercises that a file holds: as asked, as it says of itself, or by the gradients it assigns.

    Raises:
        DojoError: it assigns no gradient that any exercise grades.
    """
    exercise = _named_exercise(source, asked)
    candidates = all_exercises()
    if exercise is not None:
        candidates = tuple(e for e in candidates if e.id.split("/")[0] == exercise.id.split("/")[0])
    analysis = analyse(source, candidates)
    if exercise is not None and (marked_id(source.cells) or _only(analysis, exercise, candidates)):
        attempts = {t: versions[-1] for t, versions in analysis.attempts.items() if t in exercise.graded}
        return [Part(exercise, analysis, attempts)]
    allocated = allocate(analysis, candidates)
    if exercise is not None:
        return [Part(exercise, analysis, allocated[exercise])]
    parts = [
        Part(candidate, analysis, attempts)
        for candidate, attempts in allocated.items()
        if attempts or (candidate.is_training and analysis.training)
    ]
    if not parts:
        raise DojoError(
            f"{source.path}: assigns no gradient that an exercise grades (such as dlogits); "
            "say which exercise it is with --exercise"
        )
    return parts


def _named_exercise(source: Source, asked: str | None) -> Exercise | None:
    if asked is not None:
        return find_exercise(asked)
    marked = marked_id(source.cells)
    if marked is not None:
        return find_exercise(marked)
    stem = source.path.stem.lower()
    named = [e for e in all_exercises() if re.search(rf"(?<![a-z0-9]){e.short_id}(?![0-9])", stem)]
    return named[0] if len(named) == 1 else None


def _only(analysis: Analysis, exercise: Exercise, candidates: Sequence[Exercise]) -> bool:
    """True where the file attempts nothing that another exercise alone grades."""
    others = {t for e in candidates if e is not exercise and not e.is_training for t in e.graded}
    return not (analysis.attempts.keys() & (others - set(exercise.graded)))


class Grader:
    """Grades files one after another with one warm launcher of workers. A context manager."""

    def __init__(self, chosen: Settings, launcher: Launcher | None = None) -> None:
        self.settings = chosen
        self._owns_launcher = launcher is None
        self.launcher = launcher or Launcher()
        use_exact_arithmetic()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *error: object) -> None:
        if self._owns_launcher:
            self.launcher.close()

    def grade_file(self, path: Path, exercise: str | None = None) -> list[SubmissionReport]:
        """Grade every exercise that the file holds.

        Raises:
            DojoError: the file cannot be read or holds no exercise.
        """
        source = read_source(path)
        return [self.grade_part(part) for part in find_parts(source, exercise)]

    def grade_part(self, part: Part) -> SubmissionReport:
        report = SubmissionReport(
            path=str(part.analysis.source.path),
            exercise=part.exercise.id,
            title=part.exercise.title,
            seed=self.settings.seed,
            torch=torch.__version__,
            device=self.settings.device,
            isolation=ISOLATION,
        )
        if part.exercise.is_training:
            from grader.training import grade_training  # only the one exercise with a loop needs it

            grade_training(part, report, self.launcher, self.settings.seed, self.settings.device)
            return report
        plan = make_plan(part.analysis, part.exercise, part.attempts)
        report.verdicts = [first_verdict(name, plan, part.analysis.source) for name in part.exercise.graded]
        report.attempted = bool(plan.attempts)
        if plan.steps:
            self._run(plan, report)
        return report

    def _run(self, plan: Plan, report: SubmissionReport) -> None:
        seed, device, exercise = self.settings.seed, self.settings.device, plan.exercise
        judge = Judge(self.launcher, plan)
        try:
            decisive = judge.run(other_data(seed, device))
            shown = self._with_real_backward(plan, *judge.run(as_written(device)))
            probe = judge.run(random_upstream(seed, device))
            sizes = judge.run(other_sizes(exercise, seed, device))
            for verdict in report.verdicts:
                if verdict.name not in plan.attempts or verdict.status == "forbidden":
                    continue
                evidence = _evidence(verdict, *decisive)
                decide(verdict, plan, evidence)
                add_lecture_figures(verdict, _evidence(verdict, *shown))
                vanishes = evidence.truth.gradients.vanishes(verdict.name)
                right = _evidence(verdict, *probe).right(verdict.name)
                if vanishes and verdict.passed and not right:
                    right = self._right_from_further_up(judge, verdict)
                add_probe(verdict, vanishes, right)
                add_sizes(verdict, _evidence(verdict, *sizes), self.settings.strict_sizes)
            self._note_forward(judge, plan, report)
        finally:
            judge.close()

    def _right_from_further_up(self, judge: Judge, verdict: Verdict) -> bool:
        """Probe again with the random gradients further up, for answers that skip named tensors.

        `-(counts * dcounts).sum(1, keepdim=True)` never reads dnorm_logits and is right all the same.
        """
        exercise, seed, device = judge.plan.exercise, self.settings.seed, self.settings.device
        above = list(exercise.graded[: exercise.graded.index(verdict.name)])
        chained: frozenset[str] = frozenset()
        while above:
            chained |= {above.pop()}
            world = random_upstream(seed, device, f"{verdict.name}:{len(above)}")
            if find_truth(exercise, world, chained).gradients.vanishes(verdict.name):
                return False
            answers, truth = judge.run(world, chained)
            if _evidence(verdict, answers, truth).right(verdict.name):
                return True
        return False

    def _with_real_backward(
        self, plan: Plan, answers: dict[str, Answer], truth: Truth
    ) -> tuple[dict[str, Answer], Truth]:
        """The same truth with the bits of `loss.backward()`, which "exact" is measured against."""
        namespace = namespace_of(plan.exercise, truth.world.parameters)
        total = truth.gradients.total | whole_backward(plan.exercise, namespace, plan.exercise.graded)
        gradients = Gradients(total, truth.gradients.upstream, truth.gradients.shares)
        return answers, Truth(truth.world, gradients, truth.put_back, truth.forward)

    def _note_forward(self, judge: Judge, plan: Plan, report: SubmissionReport) -> None:
        names = dict(plan.forward_lines)
        for index in judge.forward_differs:
            if index in names:
                statement = plan.statements[index]
                report.notes.append(
                    f"line {statement.line}: your forward pass computes {', '.join(names[index])} otherwise than the "
                    "exercise does; gradients are judged against the exercise's."
                )


def _evidence(verdict: Verdict, answers: dict[str, Answer], truth: Truth) -> Evidence:
    return Evidence(answers.get(verdict.name, Answer({"kind": "stub"})), truth)


def grade_paths(paths: Sequence[Path], chosen: Settings, exercise: str | None = None) -> Report:
    """Grade files and folders.

    Raises:
        DojoError: a path is bad or holds no exercise; nothing is graded then.
    """
    files = [file for path in paths for file in submission_files(path)]
    parts = [part for file in files for part in find_parts(read_source(file), exercise)]
    with Grader(chosen) as grader:
        return Report([grader.grade_part(part) for part in parts])


__all__ = ["Grader", "Report", "Settings", "World", "grade_paths", "settings"]
