"""Grade a submission: find its exercises, run it in several trials, and report on each gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from grader.base.errors import DojoError
from grader.diagnosing import UNEXPLAINED, combined
from grader.diagnosing.repair import variants, vocabulary_of
from grader.judging.judge import Answer, Judge, prove
from grader.judging.settings import Settings, settings
from grader.judging.verdicts import Evidence, add_lecture_figures, add_probe, add_sizes, decide, first_verdict
from grader.lesson.exercise import all_exercises
from grader.lesson.program import program_of
from grader.lesson.trials import other_data, random_upstream, trials_of, use_exact_arithmetic
from grader.reading.operations import repeated_atoms
from grader.reading.plan import Plan, make_plan
from grader.reading.submission import Part, find_parts
from grader.report.records import Report, SubmissionReport, Verdict
from grader.running.sandbox import Launcher
from grader.syntax.source import read_source, refusing_depth
from grader.truth.truths import KnownTruths, Truth

__all__ = ["Grader", "Settings", "grade_parts", "settings"]

MOST_REPAIRS, MOST_VARIANTS, MOST_REPAIRED_TEXT = 3, 360, 2_000
"""How many gradients of one submission, and how many edits of their lines in all, are tried for an explanation; and
how many characters such lines may have. The lecture's longest answer has 200."""


class Grader:
    """Grades files one after another with one warm launcher of workers. A context manager."""

    def __init__(self, chosen: Settings, launcher: Launcher | None = None) -> None:
        self.settings = chosen
        self._owns_launcher = launcher is None
        self.launcher = launcher or launcher_for(chosen)
        self.truths = KnownTruths()
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
        """Grade one exercise of a submission.

        Raises:
            DojoError: its code is nested too deeply, or no worker can be started.
        """
        with refusing_depth(part.analysis.source.path):
            return self._grade_part(part)

    def _grade_part(self, part: Part) -> SubmissionReport:
        report = SubmissionReport(
            path=str(part.analysis.source.path),
            exercise=part.exercise.id,
            title=part.exercise.title,
            seed=self.settings.seed,
            torch=torch.__version__,
            device=self.settings.device,
            isolation=self.launcher.isolation,
        )
        if part.exercise.is_training:
            from grader.judging.training import grade_training  # only one exercise of four has a loop

            grade_training(part, report, self.launcher, self.settings)
            return report
        plan = make_plan(part.analysis, part.exercise, part.attempts, self.settings.static_check)
        report.verdicts = [first_verdict(name, plan, part.analysis.source) for name in part.exercise.graded]
        report.attempted = bool(plan.attempts)
        if plan.steps:
            self._run(plan, report)
        return report

    def _run(self, plan: Plan, report: SubmissionReport) -> None:
        exercise = plan.exercise
        judge = Judge(self.launcher, plan, self.truths, self.settings.limits.seconds)
        try:
            trials = trials_of(exercise, self.settings.seed, self.settings.device)
            decisive, (answers, truth), probe, sizes = judge.run(trials)
            shown = answers, self.truths.of_real_backward(exercise, truth.trial)
            for verdict in report.verdicts:
                if verdict.name not in plan.attempts or verdict.status == "forbidden":
                    continue
                evidence, probed = _evidence(verdict, *decisive), _evidence(verdict, *probe)
                decide(verdict, plan, evidence, probed)
                add_lecture_figures(verdict, _evidence(verdict, *shown))
                vanishes = evidence.truth.gradients.vanishes(verdict.name)
                right = probed.right(verdict.name)
                if vanishes and verdict.passed and not right:
                    right = self._right_from_further_up(judge, verdict)
                add_probe(verdict, plan, vanishes, probed, right)
                add_sizes(verdict, _evidence(verdict, *sizes), self.settings.strict_sizes)
                if verdict.passed and not verdict.message:
                    verdict.message = repeated_atoms(plan, verdict.name)
            puzzling = [v for v in report.verdicts if v.mistake in UNEXPLAINED and not plan.attempts[v.name].inside]
            if puzzling:
                self._explain_by_repair(judge, puzzling)
            self._note_forward(judge, plan, report)
        finally:
            judge.close()

    def _explain_by_repair(self, judge: Judge, verdicts: Sequence[Verdict]) -> None:
        """Where no detector knows the numbers: is there a one-token edit of the lines that makes them right?"""
        plan = judge.plan
        truth = self.truths.find(plan.exercise, other_data(self.settings.seed, self.settings.device, "repair"))
        vocabulary = vocabulary_of(plan.exercise, truth.forward, {*plan.exercise.graded, *plan.exercise.given})
        for verdict in verdicts[:MOST_REPAIRS]:
            lines = [plan.statements[i].text for i in plan.lines_of(verdict.name)]
            if sum(map(len, lines)) > MOST_REPAIRED_TEXT:
                continue
            shape = truth.gradients.total[verdict.name].shape
            own = {name: tuple(shape) for name in plan.own_names(verdict.name)}
            tried = variants(lines, vocabulary.also(own), MOST_VARIANTS // min(len(verdicts), MOST_REPAIRS))
            right = judge.right_variants(verdict.name, [variant.statements for variant in tried], truth)
            found = combined([tried[number].diagnosis for number in right], verdict.message)
            if found is not None:
                verdict.mistake, verdict.message = found.mistake, found.message

    def _right_from_further_up(self, judge: Judge, verdict: Verdict) -> bool:
        """Probe again with the random gradients further up, for answers that skip named tensors.

        `-(counts * dcounts).sum(1, keepdim=True)` never reads dnorm_logits and is right all the same.
        """
        plan, seed, device = judge.plan, self.settings.seed, self.settings.device
        exercise, attempt = plan.exercise, plan.attempts[verdict.name]
        fed = {f"d{atom.name}" for atom in exercise.atoms if verdict.name in atom.reads}
        if fed <= plan.reads[verdict.name]:
            return False
        lines = [plan.statements[index].text for index in plan.lines_of(verdict.name)]
        above = [name for name in exercise.graded if name in exercise.fed_by(verdict.name)]
        chained: frozenset[str] = frozenset()
        while above:
            chained |= {above.pop()}
            trial = random_upstream(seed, device, f"{verdict.name}:{len(above)}")
            truth = self.truths.find(exercise, trial, chained)
            if truth.gradients.vanishes(verdict.name):
                return False
            if attempt.inside or not attempt.place.isidentifier():
                ((answers, truth),) = judge.run([trial], chained)
                right = _evidence(verdict, answers, truth).right(verdict.name)
            else:
                right = bool(judge.right_variants(verdict.name, [lines], truth))
            if right:
                return True
        return False

    def _note_forward(self, judge: Judge, plan: Plan, report: SubmissionReport) -> None:
        names = dict(plan.forward_lines)
        for index in judge.forward_differs:
            if index in names:
                statement = plan.statements[index]
                report.notes.append(
                    f"line {statement.line}: your forward pass computes {', '.join(names[index])} otherwise "
                    "than the exercise does; gradients are judged against the exercise's."
                )


def launcher_for(chosen: Settings, *, forked: bool = True) -> Launcher:
    """A launcher whose workers find the trials of `chosen` set up above `basic`. `forked` is as for `Launcher`.

    Raises:
        DojoError: workers cannot be confined so, or nothing runs in them.
    """
    if chosen.isolation == "basic":
        return Launcher(chosen.isolation, chosen.limits, chosen.device, forked=forked)
    gradients = [exercise for exercise in all_exercises() if not exercise.is_training]
    trials = [(program_of(e), t.parameters) for e in gradients for t in trials_of(e, chosen.seed, chosen.device)]
    launcher = Launcher(chosen.isolation, chosen.limits, chosen.device, trials)
    try:
        prove(launcher, gradients[0])
    except DojoError:
        launcher.close()
        raise
    return launcher


def _evidence(verdict: Verdict, answers: dict[str, Answer], truth: Truth) -> Evidence:
    return Evidence(answers.get(verdict.name, Answer()), truth)


def grade_parts(parts: Iterable[Part], chosen: Settings) -> Report:
    """Grade what `find_parts` found, one after another, with one launcher."""
    with Grader(chosen) as grader:
        return Report([grader.grade_part(part) for part in parts])
