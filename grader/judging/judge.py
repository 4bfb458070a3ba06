"""The judge's side of one run: ask a worker for each gradient, and give the true one in return."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache, partial

import msgspec
from torch import Tensor

from grader.base.errors import DojoError
from grader.base.visible import harmless
from grader.judging.loops import LoopTrial
from grader.judging.verdicts import Answer
from grader.lesson.exercise import Exercise
from grader.lesson.program import program_of
from grader.lesson.trials import Trial, as_written
from grader.reading.plan import Plan, Step
from grader.running.protocol import (
    CaseResults,
    Cases,
    Description,
    Done,
    Failure,
    ForwardCheck,
    LoopBegins,
    LoopEnd,
    LoopStep,
    NameRules,
    ProtocolError,
    Reply,
    Run,
    Running,
    Said,
    StepRequest,
    Truths,
    Value,
    Values,
    Variants,
    encode,
)
from grader.running.sandbox import Launcher, Worker
from grader.running.statements import codes_of
from grader.syntax.source import Cell, Statement
from grader.truth.autograd import Gradients
from grader.truth.compare import LIMITS
from grader.truth.truths import KnownTruths, Truth

STATEMENT_SECONDS, FEWEST_SECONDS = 10.0, 1.0
"""How long one statement may take; the double loop over C takes 0.005. Each that took too long halves it for the
next, so that a file full of endless loops leaves time for its right answers."""

AT_ONCE_SHARE = 1 / 12
"""What share of a submission's seconds all its statements may take together before each is waited for: of 60 seconds
5. Those of most lessons take 0.01."""

AS_GOOD_AS_TRUE = 1e-3
"""What share of the limit on rounding a value may be off by, so that what is computed from it is judged the same.

Right answers in float64 are off by a hundred-thousandth of the limit.
"""

MOST_SLIPS = 2
"""After how many wrong gradients all others are handed over together once more; then each is waited for."""

SETUP_SECONDS = 120.0
_WORD = re.compile(r"\w+")
_harmless = lru_cache(maxsize=256)(harmless)


class StepFailed(Exception):
    """The worker was lost or too slow in one statement; `kind` is `timeout` or `crash`."""

    def __init__(self, index: int | None, kind: str) -> None:
        super().__init__(kind)
        self.index = index
        self.kind = kind


class Judge:
    """Runs one plan in several trials. Loses a statement, never the run, to a worker that hangs or dies."""

    def __init__(
        self, launcher: Launcher, plan: Plan, truths: KnownTruths, seconds: float, *, guarded: bool = True
    ) -> None:
        """`seconds` is what all runs of the submission may take together; `guarded` as in `Settings`."""
        self.guarded = guarded
        self.known = truths
        self.launcher = launcher
        self.plan = plan
        self.worker: Worker | None = launcher.start()
        self.barred: dict[int, str] = {}
        self.lost: dict[str, Failure] = {}
        self.settled: set[str] = set()
        self.forward_differs: list[int] = []
        self.at_once_seconds = AT_ONCE_SHARE * seconds
        self.deadline = time.monotonic() + seconds

    def close(self) -> None:
        """End the worker, if one runs."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def run_at_once(self, trials: tuple[Trial, Trial, Trial, Trial]) -> list[tuple[dict[str, Answer], Truth]]:
        """As `run` of `trials_of`, in a few rounds in place of one for each gradient.

        In the first no true gradient is told: a submission goes on with its own, and in the probe with the random ones
        that are no secret. Where its own are the true ones but for rounding, the verdicts are those that forcing gives.
        Else the two trials that this concerns run again, see `_after_slips`. The lesson's own data, which decide
        nothing, come second: by then each answer was handed over.
        """
        decisive, shown, probe, sizes = trials
        self.worker = self.worker or self.launcher.start()
        try:
            first, probed, resized = self._pass(self.worker, (decisive, probe, sizes), told={1})
            (lecture,) = self._pass(self.worker, (shown,), told={0})
            first, resized = self._after_slips(self.worker, (first, resized), (decisive, sizes))
        except StepFailed as failed:  # waiting for each shows which one is to blame
            self.close()
            if failed.index is not None:
                self._bar(failed)
            self.settled = set()
            return self.run([trial.again() for trial in trials])
        self.settled = set()
        return [first, lecture, probed, resized]

    def _after_slips(
        self, worker: Worker, found: Sequence[tuple[dict[str, Answer], Truth]], trials: Sequence[Trial]
    ) -> list[tuple[dict[str, Answer], Truth]]:
        """What was `found` in `trials`, of each gradient with the true ones in place of all that is wrong before it.

        A gradient counts as it was first handed over so; from then on the worker may be told the true one.
        """
        counted: list[dict[str, Answer]] = [{} for _ in trials]
        to_find = self.plan.attempts.keys() - self.plan.definitions.keys()
        for again in range(MOST_SLIPS + 1):
            new = set.intersection(*(_on_truth(*each, self.settled) for each in found)) - self.settled
            for kept, (answers, _) in zip(counted, found, strict=True):
                kept.update((name, answers[name]) for name in new)
            self.settled |= new
            if self.settled == to_find:
                break
            if again == MOST_SLIPS or not new:
                waited_for = self._run_once(worker, trials, frozenset())
                counted = [late | kept for kept, (late, _) in zip(counted, waited_for, strict=True)]
                break
            found = self._pass(worker, trials, told=())
        return [(kept, truth) for kept, (_, truth) in zip(counted, found, strict=True)]

    def run(
        self, trials: Sequence[Trial], chained: frozenset[str] = frozenset()
    ) -> list[tuple[dict[str, Answer], Truth]]:
        """For each trial every gradient that the submission hands over there, and the truth."""
        while True:
            if self.worker is None:
                self.worker = self.launcher.start()
            try:
                found = self._run_once(self.worker, trials, chained)
            except StepFailed as failed:
                self.close()
                self._bar(failed)
                if failed.index is not None:
                    trials = [trial.again() for trial in trials]
                    continue
                found = [({}, self.known.find(self.plan.exercise, trial, chained)) for trial in trials]
            return [(self._with_lost(answers), truth) for answers, truth in found]

    def right_variants(self, tensor: str, texts: Sequence[Sequence[str]], truth: Truth) -> list[int]:
        """Which variants of the answer for `tensor`, each a list of statements, give its true gradient."""
        attempt = self.plan.attempts[tensor]
        if not attempt.place.isidentifier():
            return []
        helpers = self.plan.slices[tensor] - set(self.plan.lines_of(tensor))
        steps = tuple(self._step(step) for step in self.plan.steps if step.index in helpers)
        request = Variants(
            program_of(self.plan.exercise),
            dict(truth.trial.parameters),
            steps,
            tuple(map(tuple, texts)),
            attempt.place,
            tuple(name for name, held in self.plan.aliases.items() if held == tensor),
            self.plan.aliases,
            self._names,
            self.guarded,
        )
        words = set(_WORD.findall("\n".join([*(step.text for step in steps), *(t for text in texts for t in text)])))
        read = {held for name, held in self.plan.aliases.items() if name in words} | set(self.plan.exercise.given)
        self.worker = self.worker or self.launcher.start()
        try:
            self.worker.channel.send(request, deadline=self._until(SETUP_SECONDS))
            self._next(self.worker, SETUP_SECONDS, None)
            known = {f"0:{name}": value for name, value in truth.put_back.items() if name in read - {tensor}}
            self.worker.channel.send(Truths(), known, self._until(STATEMENT_SECONDS))
            _, found = self._next(self.worker, STATEMENT_SECONDS, None, truth.device)
        except (StepFailed, OSError):
            self.close()
            return []
        true = truth.gradients.total[tensor]
        return sorted(
            number
            for number, value in ((number, found.get(str(number))) for number in range(len(texts)))
            if value is not None
            and value.shape == true.shape
            and value.dtype == true.dtype
            and truth.compare(tensor, value).right
        )

    def run_loops(self, loops: Sequence[LoopTrial]) -> None:
        """Run the plan's loop in every trial; each keeps what came of its steps."""
        running: int | None = None
        try:
            self.worker = self.worker or self.launcher.start()
            channel = self.worker.channel
            channel.send(self._request([loop.trial for loop in loops]), deadline=self._until(SETUP_SECONDS))
            self._next(self.worker, SETUP_SECONDS, None)
            channel.send(Truths(), deadline=self._until(SETUP_SECONDS))
            while True:
                message, tensors = self._next(self.worker, self.patience, running)
                match message:
                    case Running():
                        running = message.step
                    case LoopBegins() if message.trial < len(loops):
                        channel.send_encoded(loops[message.trial].begins(message.count), self._until(self.patience))
                    case LoopStep() if message.trial < len(loops):
                        channel.send_encoded(loops[message.trial].step(message, tensors), self._until(self.patience))
                    case LoopEnd() if message.trial < len(loops):
                        loops[message.trial].ends(sane(message.failure))
                    case Done():
                        return
                    case _:
                        raise StepFailed(running, "crash")
        except (StepFailed, OSError, ValueError) as failed:
            self.close()
            kind = failed.kind if isinstance(failed, StepFailed) else "crash"
            for loop in loops:
                loop.failure = loop.failure or Failure(kind)

    def run_cases(self, steps: Sequence[Step], programs: Sequence[str], trial: Trial) -> list[Answer]:
        """What `result` is in each program, as far as the first that ends the worker or takes too long."""
        found, lost = self._results(steps, programs, trial, waits=False)
        if lost is not None:  # waiting for each shows which one is to blame
            found, lost = self._results(steps, programs, trial, waits=True)
        return found if lost is None else [*found, Answer(failure=lost)]

    def _results(
        self, steps: Sequence[Step], programs: Sequence[str], trial: Trial, *, waits: bool
    ) -> tuple[list[Answer], Failure | None]:
        """What `result` is in each program, and why the worker was lost, where it was."""
        found: list[Answer] = []
        request = Cases(
            program_of(self.plan.exercise),
            dict(trial.parameters),
            tuple(map(self._step, steps)),
            tuple(programs),
            waits,
            self._names,
            self.guarded,
        )
        self.worker = self.worker or self.launcher.start()
        try:
            self.worker.channel.send(request, deadline=self._until(SETUP_SECONDS))
            self._next(self.worker, SETUP_SECONDS, None)
            self.worker.channel.send(Truths(), deadline=self._until(SETUP_SECONDS))
            while True:
                message, tensors = self._next(self.worker, self.patience if waits else self.at_once_seconds, None)
                match message:
                    case Running():
                        continue
                    case Done():
                        return [*found, Answer(failure=sane(message.failure))] if message.failure else found, None
                    case CaseResults() if len(found) + len(message.results) <= len(programs):
                        for said in message.results:
                            found.append(_answer(said, tensors.get(str(len(found))), None))
                    case _:
                        raise StepFailed(None, "crash")
        except (StepFailed, OSError) as failed:
            self.close()
            return found, Failure(failed.kind if isinstance(failed, StepFailed) else "crash")

    def _run_once(
        self, worker: Worker, trials: Sequence[Trial], chained: frozenset[str]
    ) -> list[tuple[dict[str, Answer], Truth]]:
        try:
            worker.channel.send(self._request(trials), deadline=self._until(SETUP_SECONDS))
            truths = [self.known.find(self.plan.exercise, trial, chained) for trial in trials]
            self._next(worker, SETUP_SECONDS, None)
            known = sorted({*self.plan.exercise.given, *self.plan.missing, *self.lost, *self.settled})
            given = {f"{at}:{name}": truth.put_back[name] for at, truth in enumerate(truths) for name in known}
            worker.channel.send(Truths(), given, self._until(SETUP_SECONDS))
            return list(zip(self._collect(worker, truths), truths, strict=True))
        except OSError:
            raise StepFailed(None, "crash") from None

    def _pass(
        self, worker: Worker, trials: Sequence[Trial], told: Collection[int]
    ) -> list[tuple[dict[str, Answer], Truth]]:
        """A run that does not wait; in the trials `told` each gradient is replaced by that of the trial's truth."""
        try:
            worker.channel.send(self._request(trials, waits=False), deadline=self._until(SETUP_SECONDS))
            truths = [self.known.find(self.plan.exercise, trial) for trial in trials]
            given = {*self.plan.exercise.given, *self.plan.missing, *self.settled}
            sent = {
                f"{at}:{name}": (at, name)
                for at, truth in enumerate(truths)
                for name in (truth.put_back if at in told else given)
            }
            self._next(worker, SETUP_SECONDS, None)
            message = self.known.message_of(sent, dict(enumerate(truths)), partial(encode, Truths()))
            worker.channel.send_encoded(message, self._until(SETUP_SECONDS))
            found, tensors = self._next(worker, self.at_once_seconds, None, truths[0].device)
        except OSError:
            raise StepFailed(None, "crash") from None
        if not isinstance(found, Values):
            raise StepFailed(None, "crash")
        if trials[0].decides:
            self.forward_differs = list(found.forward_differs)
        answers: list[dict[str, Answer]] = [{} for _ in truths]
        for place, value in enumerate(found.values):
            self._note(answers, value, tensors, f"{place}:")
        return list(zip(answers, truths, strict=True))

    def _note(
        self, answers: list[dict[str, Answer]], value: Value, tensors: Mapping[str, Tensor], prefix: str = ""
    ) -> list[int]:
        """Keep what a worker handed over for one gradient; the trials that it is for."""
        if value.tensor not in self.plan.attempts:
            raise StepFailed(None, "crash")
        handed = [at for at in value.trials if at < len(answers)]
        for at in handed:
            answers[at].setdefault(value.tensor, _answer(value.trials[at], tensors.get(f"{prefix}{at}"), value.line))
        return handed

    def _collect(self, worker: Worker, truths: Sequence[Truth]) -> list[dict[str, Answer]]:
        answers: list[dict[str, Answer]] = [{} for _ in truths]
        running: int | None = None
        while True:
            message, tensors = self._next(worker, self.patience, running, truths[0].device)
            match message:
                case Running():
                    running = message.step
                case Done():
                    if truths[0].trial.decides:
                        self.forward_differs = list(message.forward_differs)
                    return answers
                case Value():
                    handed = {at: truths[at] for at in self._note(answers, message, tensors)}
                    running = running if message.then is None else message.then
                    try:
                        names = {str(at): (at, message.tensor) for at in handed}
                        back = self.known.message_of(names, handed, partial(encode, Truths()))
                        worker.channel.send_encoded(back, self._until(self.patience))
                    except OSError:
                        raise StepFailed(running, "crash") from None
                case _:
                    raise StepFailed(running, "crash")

    @property
    def patience(self) -> float:
        """Seconds that the next statement may take."""
        timeouts = sum(kind == "timeout" for kind in self.barred.values())
        return max(FEWEST_SECONDS, STATEMENT_SECONDS * 0.5**timeouts)

    def _next(
        self, worker: Worker, seconds: float, running: int | None, device: str = "cpu"
    ) -> tuple[Reply, dict[str, Tensor]]:
        """The worker's next message, and its tensors on `device`; where none comes, `running` is to blame."""
        try:
            return worker.channel.receive(self._until(seconds), device)
        except TimeoutError:
            raise StepFailed(running, "timeout") from None
        except (EOFError, ProtocolError):
            raise StepFailed(running, "crash") from None

    def _until(self, seconds: float) -> float:
        return min(time.monotonic() + seconds, self.deadline)

    def _request(self, trials: Sequence[Trial], *, waits: bool = True) -> Run:
        checks = (
            ForwardCheck(index, names, self.plan.statements[index].text) for index, names in self.plan.forward_lines
        )
        steps = [step for step in self.plan.steps if step.index not in self.barred]
        return Run(
            program_of(self.plan.exercise),
            tuple(dict(trial.parameters) for trial in trials),
            tuple(map(self._step, steps)),
            waits,
            self.plan.aliases,
            self.plan.places_inside,
            self._names,
            tuple(checks) if trials[0].decides else (),
            self.guarded,
            codes_of({step.index: step.statement for step in steps}) if self.guarded else {},
        )

    @property
    def _names(self) -> NameRules:
        names = self.plan.names
        caches, own_functions = tuple(sorted(names.caches)), tuple(sorted(names.own_functions))
        return NameRules(names.by_name, names.by_place, caches, own_functions, dict(names.given))

    def _step(self, step: Step) -> StepRequest:
        return StepRequest(
            index=step.index,
            text=step.statement.text,
            line=step.statement.line,
            text_line=step.statement.text_line,
            writes=step.writes,
            needed_by=tuple(tensor for tensor, kept in self.plan.slices.items() if step.index in kept),
            hand_over={t: place for t, place in step.hand_over.items() if t not in self.lost},
            hooks=tuple(sorted(step.hooks - self.lost.keys())),
            loops=step.loops,
            runs_loop=step.runs_loop,
            spoils=step.spoils,
        )

    def _bar(self, failed: StepFailed) -> None:
        if failed.index is None or time.monotonic() >= self.deadline:
            blamed = set(self.plan.attempts) - self.lost.keys()
            failed.index = None
        else:
            self.barred[failed.index] = failed.kind
            blamed = {t for t, kept in self.plan.slices.items() if failed.index in kept}
        statement = None if failed.index is None else self.plan.statements[failed.index]
        for tensor in blamed:
            self.lost.setdefault(tensor, Failure(failed.kind, line=statement.line if statement else None))

    def _with_lost(self, answers: dict[str, Answer]) -> dict[str, Answer]:
        return answers | {tensor: Answer(failure=failure, line=failure.line) for tensor, failure in self.lost.items()}


def prove(launcher: Launcher, exercise: Exercise) -> None:
    """Let a worker run the lesson's own forward pass, so that a fault of the sandbox is not blamed on an answer.

    Raises:
        DojoError: the worker did not come to the end.
    """
    lines = [Statement(ast.parse(atom.text).body[0], Cell("code", atom.text)) for atom in exercise.atoms]
    steps = [Step(index, line, (), {}, frozenset()) for index, line in enumerate(lines)]
    judge = Judge(launcher, Plan(exercise, steps, statements=lines), KnownTruths(), SETUP_SECONDS)
    judge.run([as_written("cpu")])
    if judge.barred or judge.worker is None:
        raise DojoError(
            f"on this machine no answer runs with isolation {launcher.isolation}; choose --isolation basic, and see "
            "that Python, torch and pyseccomp are those that this package names"
        )
    judge.close()


def _on_truth(answers: Mapping[str, Answer], truth: Truth, told: Collection[str]) -> set[str]:
    """The gradients that were handed over while all before them were `told` or are the true ones but for rounding."""
    found = set()
    for name, answer in answers.items():
        found.add(name)
        if name not in told and not _as_good_as_true(answer.value, truth.gradients, name):
            break
    return found


def _as_good_as_true(ours: Tensor | None, gradients: Gradients, name: str) -> bool:
    true = gradients.total[name]
    if ours is None or ours.shape != true.shape or ours.dtype != true.dtype:
        return False
    most = AS_GOOD_AS_TRUE * LIMITS[true.dtype] * gradients.scale(name)
    return not ours.numel() or float((ours - true).abs().max()) <= most


def _answer(said: Said, value: Tensor | None, line: int | None) -> Answer:
    words = said.value or Description()
    clean = {key: _harmless(getattr(words, key)) for key in ("kind", "type", "dtype", "device", "layout")}
    return Answer(msgspec.structs.replace(words, **clean), value, sane(said.failure), line)


def sane(failure: Failure | None) -> Failure | None:
    """A failure as a worker words it, without the characters that could take hold of a terminal."""
    if failure is None:
        return None
    name = None if failure.name is None else harmless(failure.name)
    return Failure(harmless(failure.type), harmless(failure.text), failure.line, name, failure.step)
