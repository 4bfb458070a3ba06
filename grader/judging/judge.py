"""The judge's side of one run: ask a worker for each gradient, and give the true one in return."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from functools import lru_cache, partial

import msgspec
from torch import Tensor

from grader.base.errors import DojoError
from grader.base.visible import harmless
from grader.judging.loops import LoopTrial
from grader.judging.verdicts import Answer, seen_in_trial
from grader.lesson.exercise import Exercise
from grader.lesson.program import program_of
from grader.lesson.trials import Trial, as_written, at_other_sizes
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
    Observe,
    Observed,
    ProtocolError,
    Reply,
    Request,
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
_NOTHING_GIVEN = encode(Truths())
_harmless = lru_cache(maxsize=256)(harmless)


InTrial = tuple[dict[str, Answer], Truth]
"""What a submission hands over in one trial, by gradient, and the truth there."""


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
        self.shares, self.unkept = False, frozenset[str]()
        self.forward_differs: list[int] = []
        self.at_once_seconds = AT_ONCE_SHARE * seconds
        self.deadline = time.monotonic() + seconds

    def close(self) -> None:
        """End the worker, if one runs."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def run_at_once(self, trials: tuple[Trial, Trial, Trial, Trial]) -> list[InTrial]:
        """As `run` of `trials_of`, in a few rounds in place of one for each gradient.

        In the first no true gradient is told: a submission goes on with its own, and in the probe with the random ones
        that are no secret. Where its own are the true ones but for rounding, the verdicts are those that forcing gives.
        Else the two trials that this concerns run again, see `_after_slips`. The lesson's own data, which decide
        nothing, come second: by then each answer was handed over.
        """
        decisive, shown, probe, sizes = trials
        try:
            if self.known.find(self.plan.exercise, shown).is_large and (found := self._right_at_other_sizes(trials)):
                return found
            first, probed, resized = self._pass((decisive, probe, sizes), told={1})
            (lecture,) = self._pass((shown,), told={0})
            first, resized = self._after_slips((first, resized), (decisive, sizes))
        except StepFailed as failed:  # waiting for each shows which one is to blame
            self.close()
            if failed.index is not None:
                self._bar(failed)
            self.settled = set()
            return self.run([trial.again() for trial in trials])
        self.settled = set()
        return [first, lecture, probed, resized]

    def _right_at_other_sizes(self, trials: tuple[Trial, Trial, Trial, Trial]) -> list[InTrial] | None:
        """As `run_at_once` where all is right at other sizes, where random gradients come from above there, and on the
        lesson's own data. Else None, for somebody may have written the lesson's sizes into an answer.

        Three trials with large tensors take as many times as long as one.
        """
        _, shown, probe, sizes = trials
        found, probed = self._pass(at_other_sizes(probe, sizes), told={1})
        to_find = self.plan.attempts.keys() - self.plan.definitions.keys()
        if not all(seen_in_trial(name, *each).right for each in (found, probed) for name in to_find):
            return None
        (lecture,) = self._pass((shown,), told={0})
        right = all(seen_in_trial(name, *lecture).right for name in to_find)
        return [found, lecture, probed, found] if right else None

    def _after_slips(self, found: Sequence[InTrial], trials: Sequence[Trial]) -> list[InTrial]:
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
                waited_for = self._run_once(trials, frozenset())
                counted = [late | kept for kept, (late, _) in zip(counted, waited_for, strict=True)]
                break
            found = self._pass(trials, told=())
        return [(kept, truth) for kept, (_, truth) in zip(counted, found, strict=True)]

    def run(self, trials: Sequence[Trial], chained: frozenset[str] = frozenset()) -> list[InTrial]:
        """For each trial every gradient that the submission hands over there, and the truth."""
        while True:
            try:
                found = self._run_once(trials, chained)
            except StepFailed as failed:
                self.close()
                if self._bar(failed):
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
            self.plan.names,
            self.guarded,
        )
        words = set(_WORD.findall("\n".join([*(step.text for step in steps), *(t for text in texts for t in text)])))
        read = {held for name, held in self.plan.aliases.items() if name in words} | set(self.plan.exercise.given)
        known = {f"0:{name}": value for name, value in truth.put_back.items() if name in read - {tensor}}
        try:
            self._ask(request)
            self._set_off(encode(Truths(), known))
            _, found = self._next(STATEMENT_SECONDS, device=truth.device)
        except StepFailed:
            self.close()
            return []
        true = truth.gradients.total[tensor]
        return [
            number
            for number in range(len(texts))
            if (value := found.get(str(number))) is not None
            and (value.shape, value.dtype) == (true.shape, true.dtype)
            and truth.compare(tensor, value).right
        ]

    def observe(self, indexes: Sequence[int], places: Collection[str], trial: Trial) -> dict[int, tuple[str, ...]]:
        """Run the statements at `indexes`, in that order and with what they give: by statement those of the `places`
        that it changed. One that raised is not there."""
        statements = {index: self.plan.statements[index] for index in indexes}
        request = Observe(
            program_of(self.plan.exercise),
            dict(trial.parameters),
            tuple(StepRequest(index, each.text, each.line, each.text_line) for index, each in statements.items()),
            tuple(sorted(places)),
            self.plan.aliases,
            self.plan.names,
            self.guarded,
        )
        truth = self.known.find(self.plan.exercise, trial)
        known = {f"0:{name}": truth.put_back[name] for name in {*self.plan.exercise.given, *self.plan.missing}}
        try:
            self._ask(request)
            self._set_off(encode(Truths(), known))
            found, _ = self._next(self.at_once_seconds)
        except StepFailed:
            self.close()
            return {}
        changes = found.changes if isinstance(found, Observed) else {}
        return {index: changed for index, changed in changes.items() if index in statements and {*changed} <= {*places}}

    def follow(self, plan: Plan, *, shares: bool, unkept: frozenset[str] = frozenset()) -> None:
        """Go on with another plan for the same submission, in a worker that has run nothing yet; `shares` and `unkept`
        as in `Run`."""
        self.close()
        self.shares, self.unkept = shares, unkept
        self.plan, self.barred, self.lost, self.settled, self.forward_differs = plan, {}, {}, set(), []

    def run_loops(self, loops: Sequence[LoopTrial]) -> None:
        """Run the plan's loop in every trial; each keeps what came of its steps."""
        running: int | None = None
        try:
            self._ask(self._request([loop.trial for loop in loops]))
            self._set_off()
            while True:
                message, tensors = self._next(self.patience, running)
                match message:
                    case Running():
                        running = message.step
                    case LoopBegins() if message.trial < len(loops):
                        self._tell(loops[message.trial].begins(message.count), self.patience)
                    case LoopStep() if message.trial < len(loops):
                        self._tell(loops[message.trial].step(message, tensors), self.patience)
                    case LoopEnd() if message.trial < len(loops):
                        loops[message.trial].ends(sane(message.failure))
                    case Done():
                        return
                    case _:
                        raise StepFailed(running, "crash")
        except (StepFailed, ValueError) as failed:
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
            self.plan.names,
            self.guarded,
        )
        try:
            self._ask(request)
            self._set_off()
            while True:
                message, tensors = self._next(self.patience if waits else self.at_once_seconds)
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
        except StepFailed as failed:
            self.close()
            return found, Failure(failed.kind)

    def _run_once(self, trials: Sequence[Trial], chained: frozenset[str]) -> list[InTrial]:
        self._ask(self._request(trials))
        truths = [self.known.find(self.plan.exercise, trial, chained) for trial in trials]  # while it is set up there
        known = sorted({*self.plan.exercise.given, *self.plan.missing, *self.lost, *self.settled})
        given = {f"{at}:{name}": truth.put_back[name] for at, truth in enumerate(truths) for name in known}
        self._set_off(encode(Truths(), given))
        return list(zip(self._collect(truths), truths, strict=True))

    def _pass(self, trials: Sequence[Trial], told: Collection[int]) -> list[InTrial]:
        """A run that does not wait; in the trials `told` each gradient is replaced by that of the trial's truth."""
        self._ask(self._request(trials, waits=False))
        truths = [self.known.find(self.plan.exercise, trial) for trial in trials]
        given = {*self.plan.exercise.given, *self.plan.missing, *self.settled}
        sent = {
            f"{at}:{name}": (at, name)
            for at, truth in enumerate(truths)
            for name in (truth.put_back if at in told else given)
        }
        self._set_off(self.known.message_of(sent, dict(enumerate(truths)), partial(encode, Truths())))
        found, tensors = self._next(self.at_once_seconds, device=truths[0].device)
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

    def _collect(self, truths: Sequence[Truth]) -> list[dict[str, Answer]]:
        answers: list[dict[str, Answer]] = [{} for _ in truths]
        running: int | None = None
        while True:
            message, tensors = self._next(self.patience, running, truths[0].device)
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
                    names = {str(at): (at, message.tensor) for at in handed}
                    back = self.known.message_of(names, handed, partial(encode, Truths()))
                    self._tell(back, self.patience, running)
                case _:
                    raise StepFailed(running, "crash")

    @property
    def patience(self) -> float:
        """Seconds that the next statement may take."""
        timeouts = sum(kind == "timeout" for kind in self.barred.values())
        return max(FEWEST_SECONDS, STATEMENT_SECONDS * 0.5**timeouts)

    def _ask(self, request: Request) -> None:
        """Send what is to be run to the worker, and start one where none runs."""
        self.worker = self.worker or self.launcher.start()
        self._tell(encode(request), SETUP_SECONDS)

    def _set_off(self, given: bytes = _NOTHING_GIVEN) -> None:
        """Let the worker run what it was asked for, once its trials are set up, with the gradients that are given."""
        self._next(SETUP_SECONDS)
        self._tell(given, SETUP_SECONDS)

    def _tell(self, message: bytes, seconds: float, running: int | None = None) -> None:
        """Send the worker a message; where it does not read it, `running` is to blame."""
        assert self.worker is not None
        try:
            self.worker.channel.send_encoded(message, self._until(seconds))
        except OSError:
            raise StepFailed(running, "crash") from None

    def _next(self, seconds: float, running: int | None = None, device: str = "cpu") -> tuple[Reply, dict[str, Tensor]]:
        """The worker's next message, and its tensors on `device`; where none comes, `running` is to blame."""
        assert self.worker is not None
        try:
            return self.worker.channel.receive(self._until(seconds), device)
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
            self.plan.names,
            tuple(checks) if trials[0].decides else (),
            self.guarded,
            codes_of({step.index: step.statement for step in steps}) if self.guarded else {},
            self.shares,
            tuple(sorted(self.unkept)),
        )

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

    def _bar(self, failed: StepFailed) -> bool:
        """Leave out the statement that a worker was lost in; False where none is known or no time is left: then every
        gradient is lost. What ran is what the worker says, so it may be no statement of the plan."""
        left = {step.index for step in self.plan.steps} - self.barred.keys()
        index = failed.index if failed.index in left and time.monotonic() < self.deadline else None
        line, lost = None, set(self.plan.attempts)
        if index is not None:
            self.barred[index] = failed.kind
            line = self.plan.statements[index].line
            lost = {tensor for tensor, kept in self.plan.slices.items() if index in kept}
        for tensor in lost:
            self.lost.setdefault(tensor, Failure(failed.kind, line=line))
        return index is not None

    def _with_lost(self, answers: dict[str, Answer]) -> dict[str, Answer]:
        return answers | {tensor: Answer(failure=failure, line=failure.line) for tensor, failure in self.lost.items()}


def prove(launcher: Launcher, exercise: Exercise) -> None:
    """Let a worker run the lesson's own forward pass, so that a fault of the sandbox is not blamed on an answer.

    Raises:
        DojoError: the worker did not come to the end.
    """
    lines = [Statement(ast.parse(atom.text).body[0], Cell("code", atom.text)) for atom in exercise.atoms]
    steps = [Step(index, line, (), {}, frozenset()) for index, line in enumerate(lines)]
    with closing(Judge(launcher, Plan(exercise, steps, statements=lines), KnownTruths(), SETUP_SECONDS)) as judge:
        judge.run([as_written("cpu")])
        if judge.barred or judge.worker is None:
            raise DojoError(
                f"on this machine no answer runs with isolation {launcher.isolation}; choose --isolation basic, and "
                "see that Python, torch and pyseccomp are those that this package names"
            )


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
