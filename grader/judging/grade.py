"""Grade a submission: find its exercises, run it in several trials, and report on each gradient."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from grader.base.boundary import FILE_MEMORY, one_file
from grader.base.errors import DojoError, NotGradedError
from grader.diagnosing import UNEXPLAINED
from grader.diagnosing.repair import mending_edit, vocabulary_of
from grader.judging.judge import Judge, prove
from grader.judging.reruns import Runs, run_as_written
from grader.judging.verdicts import (
    LASTING,
    NOT_ATTEMPTED,
    Evidence,
    Finding,
    Place,
    Seen,
    TriedCase,
    blamed,
    seen_in_trial,
    verdict_of,
)
from grader.lesson.exercise import Exercise, all_exercises
from grader.lesson.trials import (
    other_data,
    other_sizes,
    random_upstream,
    setups_of,
    trials_of,
    use_exact_arithmetic,
)
from grader.reading.cautions import about_aliases, about_early_reads, about_kept_names, place_of
from grader.reading.operations import repeated_atoms
from grader.reading.plan import Plan, make_plan
from grader.reading.submission import Part, find_parts
from grader.report.records import Refusal, Report, ShownData, SubmissionReport, Verdict
from grader.running.limits import Limits
from grader.running.sandbox import Launcher
from grader.running.settings import Settings, settings
from grader.syntax.scopes import nodes_below
from grader.syntax.source import BadLine, Source, Statement, read_source
from grader.truth.truths import KnownTruths

__all__ = ["Grader", "Settings", "grade_parts", "settings"]

MOST_REPAIRS, MOST_VARIANTS, MOST_REPAIRED_TEXT = 3, 360, 2_000
"""How many gradients of one submission, and how many edits of their lines in all, are tried for an explanation; and
how many characters such lines may have. The lecture's longest answer has 200."""

_ONE_HOT = (
    "Right on this batch by luck: without num_classes, one_hot makes as many columns as the largest index of the batch "
    "asks for. Give it the size of the dimension."
)
_LONGEST_BEGIN = 300
"""In so many characters of a line that cannot be read it is to be seen what the line would have written."""

OWN_SECONDS = 5.0
"""What judging may take beside the limit of a submission, so that it can end in verdicts."""


class Grader:
    """Grades files one after another with one warm launcher of workers. A context manager."""

    def __init__(
        self, chosen: Settings, launcher: Launcher | None = None, exercises: Collection[Exercise] | None = None
    ) -> None:
        """`exercises` are all that it will meet, where that is known: a launcher of its own sets up no more."""
        self.settings = chosen
        self._owns_launcher = launcher is None
        self.launcher = launcher or launcher_for(chosen, exercises)
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

    def prepare(self, exercise: Exercise) -> Iterator[None]:
        """Do now what the next submission of this lesson would wait for, a part of it at each step.

        A worker sets up the lesson's trials, and here their truths are found: it learns of them when it always does.
        """
        seed, device = self.settings.seed, self.settings.device
        self.launcher.prepare(setups_of([exercise], seed, device))
        trials = trials_of(exercise, seed, device)
        for trial in trials:
            yield
            if exercise.can_train:
                self.truths.loop(exercise, trial)
            if exercise.graded_gradients:
                self.truths.find(exercise, trial)
        yield
        if exercise.graded_gradients:
            self.truths.of_real_backward(exercise, trials[1])
        if exercise.definitions:
            self.truths.cases(exercise, trials[0])

    def grade_part(self, part: Part) -> SubmissionReport:
        """Grade one exercise of a submission.

        Raises:
            NotGradedError: its limits do not suffice, or the grader breaks on it.
            DojoError: no worker can be started.
        """
        source, limits = part.analysis.source, self.settings.limits
        left = replace(limits, seconds=max(0.0, limits.seconds - source.clock.used))
        source.clock.limit = limits.seconds + OWN_SECONDS
        with one_file(source.path, source.clock, FILE_MEMORY if self.settings.device == "cpu" else None):
            return self._grade_part(part, left)

    def _grade_part(self, part: Part, limits: Limits) -> SubmissionReport:
        report = SubmissionReport(
            path=str(part.analysis.source.path),
            exercise=part.exercise.id,
            title=part.exercise.title,
            seed=self.settings.seed,
            torch=str(torch.__version__),  # a plain text: what reads a report need not load torch
            device=self.settings.device,
            isolation=self.launcher.isolation,
        )
        deadline = time.monotonic() + limits.seconds
        plan = make_plan(part.analysis, part.exercise, part.attempts)
        known = self._before_running(plan, part)
        unreadable = any(e.found is not None and e.found.status == "error" for e in known.values())
        report.attempted = bool(plan.attempts) or unreadable
        verdicts: dict[str, Verdict] = {}
        if plan.steps or plan.definitions:
            seconds, guarded = limits.seconds, self.settings.guarded
            with closing(Judge(self.launcher, plan, self.truths, seconds, guarded=guarded)) as judge:
                if plan.steps:
                    trials = trials_of(part.exercise, self.settings.seed, self.settings.device)
                    runs = run_as_written(judge, part, trials)
                    if judge.plan is not plan:
                        plan = judge.plan
                        known = self._before_running(plan, part)
                    verdicts = self._run(judge, known, runs)
                    self._note_forward(judge, plan, report)
                    gradients = plan.attempts.keys() - plan.definitions.keys() if not judge.unkept else ()
                    self._note_cautions(part, plan, report, runs.wrong(gradients))
                self._run_cases(judge, known)
        for name, evidence in known.items():
            verdict = verdicts.get(name) or verdict_of(evidence)
            if not verdict.passed and (unread := _unread(evidence, part.exercise, part.analysis.source)) is not None:
                verdict = verdict_of(replace(evidence, found=unread))  # with that line it is another answer
            report.verdicts.append(verdict)
        if part.exercise.after_a_step:
            self._grade_loop(part, report, replace(limits, seconds=max(0.0, deadline - time.monotonic())))
        return report

    def _grade_loop(self, part: Part, report: SubmissionReport, limits: Limits) -> None:
        """Add a verdict for the loss and for each parameter, whose values after a step are judged."""
        from grader.judging.loop_grade import evidence_of_loop  # only one exercise of four has a loop

        known, first, begun = evidence_of_loop(part, self.launcher, self.truths, replace(self.settings, limits=limits))
        report.attempted |= begun
        if first is not None:
            step, tensor = first
            nearest = "" if tensor == "loss" else f", and in it {tensor} is nearest to the loss"
            report.notes.append(f"step {step} is the first that is wrong{nearest}.")
            if all(verdict.passed for verdict in report.verdicts):
                named = {held: name for name, held in part.exercise.after_a_step.items()}
                report.look_at = named.get(tensor)
        report.verdicts += [verdict_of(evidence) for evidence in known]

    def _before_running(self, plan: Plan, part: Part) -> dict[str, Evidence]:
        """What the text alone tells of each gradient."""
        return {name: self._read(name, plan, part.analysis.source) for name in part.exercise.assigned}

    def _read(self, name: str, plan: Plan, source: Source) -> Evidence:
        """What the text alone tells of one gradient: where the attempt stands, or that there is none."""
        exercise = plan.exercise
        evidence = Evidence(
            name,
            exercise.label(name),
            plan.answer(name),
            reads=plan.reads.get(name),
            handed=frozenset(exercise.named_gradients),
            strict_sizes=self.settings.strict_sizes,
        )
        if (attempt := plan.attempts.get(name)) is None:
            return replace(evidence, found=_unread(evidence, exercise, source) or Finding("missing", NOT_ATTEMPTED))
        luck = None
        if name in plan.unsized_one_hot:
            luck = Finding("wrong", _ONE_HOT, "one-hot-classes", Place.of(*plan.unsized_one_hot[name]))
        statement = plan.statements[attempt.writers[-1]]
        return replace(evidence, statement=statement, luck=luck, writes_at=_writes_at(statement, plan, name))

    def _run(self, judge: Judge, known: dict[str, Evidence], runs: Runs) -> dict[str, Verdict]:
        """Add to what is known of each gradient what its answer gives in every trial; the verdicts that stand."""
        plan, exercise = judge.plan, judge.plan.exercise
        answers, truth = runs.shown
        shown = answers, self.truths.of_real_backward(exercise, truth.trial)
        by_index = dict(enumerate(plan.statements))
        for name, evidence in known.items():
            if evidence.found is not None or name in plan.definitions:
                continue
            (seen, probed, resized), lecture = runs.seen(name), seen_in_trial(name, *shown)
            statement = evidence.statement and blamed(
                None if seen.right else seen.answer.failure, evidence.statement, by_index
            )
            known[name] = replace(
                evidence,
                statement=statement,
                decisive=seen,
                shown=lecture,
                probe=probed,
                probe_right=probed.right or (seen.right and self._right_from_further_up(judge, name, seen)),
                sizes=resized,
                remark=repeated_atoms(plan, name) if seen.right else "",
            )
        verdicts = self._with_lasting_figures(judge, known)
        judged = dict(known)
        wrong = [verdict for verdict in verdicts.values() if verdict.status in ("wrong", "shape")]
        for name in (verdict.name for verdict in wrong):
            answer = Place.of_answer([plan.statements[index] for index in plan.lines_of(name)])
            if answer is not None and not plan.attempts[name].inside:
                known[name] = replace(known[name], lines=answer)
        self._explain_by_repair(judge, known, wrong)
        return {name: verdict for name, verdict in verdicts.items() if known[name] is judged[name]}

    def _with_lasting_figures(self, judge: Judge, known: dict[str, Evidence]) -> dict[str, Verdict]:
        """The verdicts. A mistake that does not show on the lesson's own data is shown in trials with a seed that
        never changes, because figures that differ at each run cannot be worked with."""
        gradients = known.keys() - judge.plan.definitions.keys()
        verdicts = {name: verdict_of(evidence) for name, evidence in known.items() if name in gradients}
        found = (v.name for v in verdicts.values() if not v.passed and v.details and v.details.data != "own")
        if not (unseen := list(found)):
            return verdicts
        device = self.settings.device
        runs = judge.run([other_data(LASTING, device), random_upstream(LASTING, device)])
        kinds: tuple[ShownData, ShownData] = ("other", "random upstream")
        for name in unseen:
            seen = {kind: seen_in_trial(name, *run) for kind, run in zip(kinds, runs, strict=True)}
            lasting = {kind: s for kind, s in seen.items() if s.answer.value is not None and not s.right}
            known[name] = replace(known[name], lasting=lasting)
            verdicts[name] = verdict_of(known[name])
        return verdicts

    def _run_cases(self, judge: Judge, known: dict[str, Evidence]) -> None:
        """Add what each function and class gives in the lesson's cases."""
        for name in judge.plan.definitions:
            tried = self._try_cases(judge, name, self.settings.seed)
            if not all(case.right for case in tried):
                lasting = self._try_cases(judge, name, LASTING)
                tried = tried if all(case.right for case in lasting) else lasting
            failure = next((case.answer.failure for case in tried if case.answer.failure), None)
            first = known[name].statement
            statement = first and blamed(failure, first, dict(enumerate(judge.plan.statements)))
            known[name] = replace(known[name], cases=tried, statement=statement)

    def _try_cases(self, judge: Judge, name: str, seed: int) -> list[TriedCase]:
        exercise, trial = judge.plan.exercise, other_data(seed, self.settings.device)
        cases = self.truths.cases(exercise, trial)[name]
        answers = judge.run_cases(judge.plan.definitions[name], [case.program for case in cases], trial)
        tolerance = exercise.grading.tolerance_of(name)
        return [TriedCase.of(*pair, tolerance) for pair in zip(cases, answers, strict=False)]

    def _explain_by_repair(self, judge: Judge, known: dict[str, Evidence], wrong: Iterable[Verdict]) -> None:
        """Add what an edit of one line shows that makes the numbers right, where no detector knows them or there is no
        telling which of several lines is to blame."""
        plan = judge.plan
        outside = (verdict for verdict in wrong if not plan.attempts[verdict.name].inside)
        puzzling = [v for v in outside if v.mistake in UNEXPLAINED or known[v.name].lines is not None]
        if not puzzling:
            return
        puzzling.sort(key=lambda verdict: verdict.mistake not in UNEXPLAINED)
        # At other sizes no two are alike, the lines of large lessons run fast, and the truth is known already.
        truth = self.truths.find(plan.exercise, other_sizes(plan.exercise, self.settings.seed, self.settings.device))
        vocabulary = vocabulary_of(plan.exercise, truth.forward, plan.exercise.named_gradients)
        most = MOST_VARIANTS // min(len(puzzling), MOST_REPAIRS)
        for verdict in puzzling[:MOST_REPAIRS]:
            name = verdict.name
            statements = [plan.statements[i] for i in plan.lines_of(name)]
            lines = [statement.text for statement in statements]
            if sum(map(len, lines)) > MOST_REPAIRED_TEXT:
                continue
            own = dict.fromkeys(plan.own_names(name), tuple(truth.gradients.total[name].shape))
            right = partial(judge.right_variants, name, truth=truth)
            found, at = mending_edit(lines, vocabulary.also(own), most, right, verdict.message)
            place = known[name].lines
            if at is not None:
                place = Place.of(statements[at[0]], statements[at[0]].line + at[1])
            explained = found if verdict.mistake in UNEXPLAINED else None
            known[name] = replace(known[name], explained=explained, lines=place)

    def _right_from_further_up(self, judge: Judge, name: str, decisive: Seen) -> bool:
        """Probe again with the random gradients further up, for answers that skip named tensors.

        `-(counts * dcounts).sum(1, keepdim=True)` never reads dnorm_logits and is right all the same.
        """
        plan, seed, device = judge.plan, self.settings.seed, self.settings.device
        exercise, attempt = plan.exercise, plan.attempts[name]
        above = [atom.name for atom in exercise.atoms if name in atom.reads]
        beside = any({*plan.attempts[other].writers} & {*attempt.writers} for other in above if other in plan.attempts)
        if beside and not decisive.gradients.vanishes(name):
            return True  # what one statement makes of its own gradient no other one takes the place of
        fed = {f"d{other}" for other in above}
        if fed <= plan.reads[name] or (fed & plan.reads[name] and not decisive.gradients.vanishes(name)):
            return False
        lines = [plan.statements[index].text for index in plan.lines_of(name)]
        above = [other for other in exercise.graded_gradients if other in exercise.fed_by(name)]
        chained: frozenset[str] = frozenset()
        while len(above) > 1:  # with all of them chained nothing is random any more
            chained |= {above.pop()}
            trial = random_upstream(seed, device, f"{name}:{len(above)}")
            truth = self.truths.find(exercise, trial, chained)
            if truth.gradients.vanishes(name):
                return False
            if attempt.inside or not attempt.place.isidentifier():
                ((answers, truth),) = judge.run([trial], chained)
                right = seen_in_trial(name, answers, truth).right
            else:
                right = bool(judge.right_variants(name, [lines], truth))
            if right:
                return True
        return False

    def _note_forward(self, judge: Judge, plan: Plan, report: SubmissionReport) -> None:
        names = dict(plan.forward_lines)
        for index in judge.forward_differs:
            if index in names:
                statement = plan.statements[index]
                report.notes.append(
                    f"{place_of(statement)}: your forward pass computes {', '.join(names[index])} otherwise "
                    "than the exercise does; gradients are judged against the exercise's."
                )

    def _note_cautions(self, part: Part, plan: Plan, report: SubmissionReport, wrong: Collection[str]) -> None:
        total = self.truths.find(plan.exercise, other_data(self.settings.seed, self.settings.device)).gradients.total
        for spoilt in plan.spoilt:
            if total[plan.names.by_name[spoilt.name]].dim():  # a number is no place in memory: `x += 1` makes another
                report.notes.append(about_aliases(plan, spoilt))
        report.notes += about_early_reads(part.analysis, plan)
        report.notes += about_kept_names(part.analysis, plan, wrong)


def _writes_at(statement: Statement, plan: Plan, name: str) -> int | None:
    """The line of the one statement in a loop or a block that writes a gradient; None where there are several."""
    if isinstance(statement.node, (ast.Assign, ast.AugAssign, ast.Expr)):
        return None
    plain = [leaf for leaf in statement.nodes if isinstance(leaf, (ast.Assign, ast.AugAssign, ast.Expr))]
    found = [leaf.lineno for leaf in plain if name in plan.names.written(nodes_below(leaf))]
    return statement.cell.line + found[0] - 1 if len(found) == 1 and found[0] != statement.node.lineno else None


def launcher_for(chosen: Settings, exercises: Collection[Exercise] | None = None) -> Launcher:
    """A launcher whose workers find the trials of `chosen` set up above `basic`, those of `exercises` or of all.

    Raises:
        DojoError: workers cannot be confined so, or nothing runs in them.
    """
    if chosen.isolation == "basic":
        return Launcher(chosen.isolation, chosen.limits, chosen.device)
    proven = next(exercise for exercise in (*(exercises or ()), *all_exercises()) if exercise.assigned)
    known = dict.fromkeys((proven, *(exercises or all_exercises())))
    trials = setups_of(known, chosen.seed, chosen.device)
    launcher = Launcher(chosen.isolation, chosen.limits, chosen.device, trials)
    try:
        prove(launcher, proven)
    except DojoError:
        launcher.close()
        raise
    return launcher


def _unread(evidence: Evidence, exercise: Exercise, source: Source) -> Finding | None:
    """The last line that cannot be read and would have written this gradient, or a name that its answer reads."""
    there = {*exercise.forward_names, *exercise.network_names, *exercise.setup_names}
    there |= {f"d{name}" for name in evidence.handed}
    own = evidence.name if evidence.name in exercise.definitions else rf"d\s*{evidence.name}"
    others = "|".join(map(re.escape, (evidence.reads or set()) - there)) or "(?!)"
    # Prose may speak of a gradient, so words before its name count only where no other line is its answer.
    mark = r"[^\w=('\"#]*"
    before = mark if evidence.statement else r"[^=('\"#]*(?<![\w.])"
    writes = re.compile(
        rf"{before}(?:{own}|{others})(?!\w)[^=(]*(?<![!<>=])=(?!=)|{mark}(?:{own}|{others})\s*\["
        rf"|\s*(?:def|class)\s+(?:{own}|{others})\b|.*\b(?:import|as|for)\s+(?:\w+,\s*)*(?:{others})\b"
    )

    graded = {exercise.label(name) for name in exercise.assigned}

    def is_missed(bad: BadLine) -> bool:
        if any(writes.match(line, 0, _LONGEST_BEGIN) for line in bad.lost.split("\n")):
            return True
        around = source.around(bad)
        if around is None or not around.functions or around.assigned.isdisjoint(evidence.reads or ()):
            return False
        shared = any(not function.assigned.isdisjoint(graded) for function in around.functions)
        return not shared or bad.text.lstrip().startswith("return")  # one line of many gradients costs its own

    if lines := list(filter(is_missed, source.bad_lines)):
        return Finding.unreadable(lines[-1])
    if not any(f"d{evidence.name}" in statement.assigned for statement in source.statements):
        for statement in source.statements:
            if isinstance(statement.node, ast.Expr) and re.match(rf"d{evidence.name}\s*==[^=]*$", statement.text):
                said = "This line compares, and gives the gradient no value. Write `=` in place of `==`."
                return Finding("error", said, "exception", Place.of(statement))
    return None


def grade_parts(parts: Iterable[Part], chosen: Settings) -> Report:
    """Grade what `find_parts` found, one after another, with one launcher. What cannot be graded is refused."""
    report, parts = Report([]), list(parts)
    with Grader(chosen, exercises={part.exercise.id: part.exercise for part in parts}.values()) as grader:
        for part in parts:
            try:
                report.submissions.append(grader.grade_part(part))
            except NotGradedError as error:
                report.refused.append(Refusal(str(part.analysis.source.path), str(error)))
    report.graded_at = time.strftime("%Y-%m-%d %H:%M")
    return report
