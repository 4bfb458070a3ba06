"""Trials: the sizes, data, dtype and device on which one set of statements runs again."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from grader.lesson.exercise import Exercise
from grader.lesson.program import TrialSetup, program_of, set_up

if TYPE_CHECKING:
    import torch

_PRIMES = (5, 7, 11, 13, 17, 19, 23)
_FEW = (2, 4, 5)
_SYMBOLS_LESS = (6, 5, 3)
_FEWEST_SYMBOLS = 10


@dataclass(frozen=True)
class Trial:
    """`parameters` replace literals of the exercise's `parameters` cell; `probe` seeds random upstreams."""

    label: str
    parameters: Mapping[str, Any]
    decides: bool = True
    probe: int | None = None

    def again(self) -> Trial:
        """The same kind of trial with other data: what a lost worker was told of this one is worth nothing there."""
        parameters = dict(self.parameters)
        if "seed" in parameters:
            parameters["seed"] = draw_seed(int(parameters["seed"]), "again")
        probe = None if self.probe is None else draw_seed(self.probe, "again")
        return Trial(self.label, parameters, self.decides, probe)

    @contextmanager
    def default_dtype(self) -> Iterator[None]:
        """What a lesson draws without naming a dtype has the trial's, as it has in a worker."""
        import torch

        before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that the trial's tensors have: float32, or float64 where a verdict hangs on it."""
        import torch  # a process that only says what a worker sets up needs none

        found = getattr(torch, str(self.parameters.get("dtype", "float32")))
        assert isinstance(found, torch.dtype)
        return found


def draw_seed(seed: int, purpose: str) -> int:
    """A 31-bit seed that follows from `seed` alone, different for each purpose."""
    return random.Random(f"{seed}:{purpose}").getrandbits(31)


def as_written(device: str) -> Trial:
    """The exercise's own sizes, seed and float32: what the learner sees in a notebook. Decides nothing."""
    return Trial("as written", {"device": device}, decides=False)


def other_data(seed: int, device: str, purpose: str = "data") -> Trial:
    """The exercise's sizes in float64, with parameters and a batch that follow from `seed`."""
    return Trial("other data", _float64(device, draw_seed(seed, purpose)))


def random_upstream(seed: int, device: str, purpose: str = "probe") -> Trial:
    """Like `other_data`, but every gradient that is graded or given is a random tensor upstream."""
    parameters = _float64(device, draw_seed(seed, purpose))
    return Trial("random upstream", parameters, decides=False, probe=draw_seed(seed, f"{purpose}:upstream"))


def other_sizes(exercise: Exercise, seed: int, device: str) -> Trial:
    """float64 with every size changed, all of them different from each other."""
    parameters = _float64(device, draw_seed(seed, "sizes"))
    parameters |= sizes_drawn(exercise, seed)
    return Trial("other sizes", parameters, decides=False)


def trials_of(exercise: Exercise, seed: int, device: str) -> tuple[Trial, Trial, Trial, Trial]:
    """The trials of every submission: the one that decides, the one that is shown, the probe, and other sizes."""
    probe = random_upstream(seed, device)
    return other_data(seed, device), as_written(device), probe, other_sizes(exercise, seed, device)


def at_other_sizes(probe: Trial, sizes: Trial) -> tuple[Trial, Trial]:
    """`sizes` as the trial that decides, and `probe` at its sizes: what large tensors would show, for little."""
    parameters = {**sizes.parameters, "seed": probe.parameters["seed"]}
    return replace(sizes, decides=True), replace(probe, parameters=parameters)


def setups_of(exercises: Iterable[Exercise], seed: int, device: str) -> list[TrialSetup]:
    """What a worker sets up for a submission of any of these lessons."""
    return [setup for exercise in exercises for setup in _setups_of(exercise, seed, device)]


def _setups_of(exercise: Exercise, seed: int, device: str) -> list[TrialSetup]:
    trials = trials_of(exercise, seed, device)
    gradients = [(trial, False) for trial in trials if exercise.graded_gradients]
    cases = [(trials[0], False)] * len(exercise.definitions)
    loops = [(trial, True) for trial in trials if exercise.can_train]
    return [TrialSetup(program_of(exercise), trial.parameters, loop) for trial, loop in (*gradients, *cases, *loops)]


def sizes_drawn(exercise: Exercise, seed: int) -> dict[str, Any]:
    """Other sizes: one of those that the lesson names; else a new value for each: distinct primes, few for a few.

    Integers of the `parameters` cell are sizes, except `seed` and those that end in `_steps`. A long text without a
    letter twice is an alphabet: it gets some letters fewer.
    """
    draw = random.Random(f"{seed}:sizes")
    if named := exercise.grading.draw_sizes(draw):
        return named
    primes = draw.sample(_PRIMES, len(_PRIMES))
    drawn: dict[str, Any] = {}
    for name, value in exercise.parameter_values.items():
        if isinstance(value, str) and len(set(value)) == len(value) >= _FEWEST_SYMBOLS:
            drawn[name] = value[: -draw.choice(_SYMBOLS_LESS)]
        elif type(value) is int and name != "seed" and not name.endswith("_steps"):
            taken = set(drawn.values()) | {value}
            pool = (*_FEW, *primes) if value < _PRIMES[0] else primes
            drawn[name] = next(size for size in pool if size not in taken)
    return drawn


def _float64(device: str, seed: int) -> dict[str, Any]:
    return {"device": device, "dtype": "float64", "seed": seed}


def namespace_of(exercise: Exercise, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Run the setup cells with `parameters` in place of the exercise's own; the names they bind."""
    return set_up(program_of(exercise), parameters)


def use_exact_arithmetic() -> None:
    """One thread, and no TF32: tiny tensors run 3 to 5 times slower on two threads than on one."""
    import torch

    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
