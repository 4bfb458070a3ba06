"""Measure speed as ratios within one run: `make bench`. README.md beside this file says what and how."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import select
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import torch
from rounds import FEWEST_ROUNDS, in_turn

from grader.judging.grade import Grader, settings
from grader.lesson.exercise import Exercise, all_exercises, find_exercise
from grader.lesson.trials import namespace_of, use_exact_arithmetic

ROOT = Path(__file__).resolve().parents[1]
STEPS = 1500
"""Steps of exercise 4 in a round; the loops of other lessons make a fifth of that."""

PAUSE = 1.0
"""Seconds between the verdict of one save and the next save."""

_LINE = "{:<46} {:>9} {:>16} {:>9} {:>9} {}"

AUTOGRAD_LOOP = """
losses = []
for step in range(max_steps):
{forward}
    for p in parameters:
        p.grad = None
    loss.backward()
{update}
    losses.append(loss.item())
"""
"""The loop of a lesson, with its forward cell, autograd in place of the gradients, and one of these updates."""

PLAIN = """
    lr = learning_rates[0] if step < max_steps / 2 else learning_rates[1]
    with torch.no_grad():
        for p in parameters:
            p.sub_(p.grad, alpha=lr)
"""
OPTIMIZER = "    optimizer.step()"

Task = Callable[[], object]


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and seconds of processor time (user and system)."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """One line of the table: the same figure from each round, by the clock and by processor time."""

    what: str
    wall: list[float]
    cpu: list[float]
    target: float | None = None
    at_most: bool = True
    unit: str = ""

    @classmethod
    def ratio(
        cls, what: str, over: list[Cost], under: list[Cost], target: float | None = None, at_most: bool = True
    ) -> Row:
        """The cost of one task over that of another, round by round."""
        pairs = list(zip(over, under, strict=True))
        return cls(what, [a.wall / b.wall for a, b in pairs], [a.cpu / b.cpu for a, b in pairs], target, at_most)

    @classmethod
    def seconds(cls, what: str, spent: list[Cost], target: float | None = None) -> Row:
        """What one task costs."""
        return cls(what, [cost.wall for cost in spent], [cost.cpu for cost in spent], target, unit=" s")

    def cells(self) -> tuple[str, ...]:
        middle = median(self.wall)
        digits = 3 if self.unit else 2
        known = (
            self.what,
            f"{middle:.{digits}f}{self.unit}",
            f"{min(self.wall):.{digits}f}-{max(self.wall):.{digits}f}",
            f"{median(self.cpu):.{digits}f}{self.unit}",
        )
        if self.target is None:
            return (*known, "", "")
        met = middle <= self.target if self.at_most else middle >= self.target
        return (*known, f"{'<=' if self.at_most else '>='} {self.target:g}{self.unit}", "met" if met else "missed")


def cost(task: Task) -> Cost:
    """What one call costs, with the processes that it started and waited for."""
    cpu, wall = _processor_seconds(), time.perf_counter()
    task()
    return Cost(time.perf_counter() - wall, _processor_seconds() - cpu)


def costs(tasks: Mapping[str, Task], rounds: int) -> dict[str, list[Cost]]:
    """The cost of each task in each round."""
    return in_turn({name: partial(cost, task) for name, task in tasks.items()}, rounds)


def python(*arguments: str, folder: Path = ROOT) -> None:
    """Run a fresh Python to its end, its output thrown away. The run stops here where it fails."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}  # an installation is compiled
    done = subprocess.run([sys.executable, *arguments], cwd=folder, stdout=subprocess.DEVNULL, env=environment)
    if done.returncode:
        sys.exit(f"python {' '.join(arguments)}: ended with {done.returncode}, so its time means nothing")


def start_up(rounds: int) -> list[Row]:
    """Whole commands, each in a process of its own: over the import of torch, and in seconds where none is loaded."""
    grade = partial(python, "-m", "grader", "grade", "--seed", "1")
    quick = {"hint": ["hint"], "hint of a name": ["hint", "dprobs"], "--help": ["--help"], "--version": ["--version"]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python("-m", "grader", "init", ".", folder=folder)
        found = costs(
            {
                "torch": partial(python, "-c", "import torch"),
                "ex1": partial(grade, "solutions/makemore/ex1_atoms.py"),
                "four": partial(grade, "solutions/makemore"),
                "all": partial(grade, "solutions"),
                **{what: partial(python, "-m", "grader", *words, folder=folder) for what, words in quick.items()},
            },
            rounds,
        )
    return [
        Row.ratio("grade makemore/ex1 / import torch", found["ex1"], found["torch"], 1.35),
        Row.ratio("grade all four of makemore / import torch", found["four"], found["torch"], 1.6),
        Row.ratio("grade every lesson / import torch", found["all"], found["torch"]),
        Row.seconds("import torch", found["torch"]),
        *(Row.seconds(f"dojo {what}", found[what], 0.12) for what in quick),
    ]


def warm_grading(rounds: int) -> list[Row]:
    """One warm grader: a file with every gradient wrong over one with every gradient right."""
    text = find_exercise("makemore/ex1").path.read_text(encoding="utf-8")
    wrong = re.sub(r"^(cmp\(\"\w+\", (d\w+), )", r"\2 = -\2\n\1", text, flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder, Grader(settings(seed=1, device="cpu")) as grader:
        files = {"right": Path(folder) / "right.py", "wrong": Path(folder) / "wrong.py"}
        files["right"].write_text(text, encoding="utf-8")
        files["wrong"].write_text(wrong, encoding="utf-8")
        found = costs({name: partial(grader.grade_file, path) for name, path in files.items()}, rounds)
    return [Row.ratio("grade ex1, all wrong / all right, warm", found["wrong"], found["right"], 1.3)]


def of_each_lesson(rounds: int) -> list[Row]:
    """What a submission of each lesson costs a warm grader: its solution, over that of makemore/ex1."""
    with Grader(settings(seed=1, device="cpu")) as grader:
        found = costs({e.id: partial(grader.grade_file, e.path) for e in all_exercises()}, rounds)
    one = found["makemore/ex1_atoms"]
    return [
        row
        for exercise in all_exercises()
        for spent, what in [(found[exercise.id], f"{exercise.short_id}, {len(exercise.graded)} graded, warm")]
        for row in (Row.seconds(what, spent), Row.ratio(f"{what} / makemore/ex1", spent, one))
    ]


def save_to_verdict(rounds: int) -> list[Row]:
    """Seconds from a save to the verdict that `dojo watch` prints: every lesson, in one watched folder.

    Each is saved again and again, a second apart, as somebody does who works on it. Its first save has its own row:
    another lesson was worked on before.
    """
    spent: dict[str, list[float]] = {exercise.short_id: [] for exercise in all_exercises()}
    with tempfile.TemporaryDirectory() as folder:
        texts = {}
        for exercise in all_exercises():
            path = Path(folder) / "exercises" / f"{exercise.id}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            texts[path, exercise.short_id] = exercise.path.read_text(encoding="utf-8")
            path.write_text(texts[path, exercise.short_id], encoding="utf-8")
        command = [sys.executable, "-u", "-m", "grader", "watch", folder]
        environment = os.environ | {"XDG_CACHE_HOME": folder, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, env=environment) as watching:
            assert watching.stdout is not None
            output = watching.stdout.fileno()
            _read_until_graded(output)
            for (path, name), text in texts.items():
                for number in range(rounds + 1):
                    time.sleep(PAUSE)
                    saved = time.perf_counter()
                    path.write_text(f"# saved {number}\n{text}", encoding="utf-8")
                    spent[name].append(_read_until_graded(output) - saved)
            watching.terminate()
    later = {f"watch, save to verdict: {name}": found[1:] for name, found in spent.items()}
    first = [found[0] for found in spent.values()]
    rows = [Row(what, found, found, 0.1, unit=" s") for what, found in later.items()]
    return [*rows, Row("watch, the first save of a lesson", first, first, unit=" s")]


def notebook_cmp(rounds: int) -> list[Row]:
    """Seconds of one `cmp` in a running notebook of exercise 1, over all of its gradients."""
    exercise = find_exercise("makemore/ex1")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in exercise.code_cells("parameters", "setup", "forward", "backward"):
        exec(cell.text, namespace)
    for name in exercise.graded:
        namespace[name].requires_grad_() if namespace[name].is_leaf else None
    spent = []
    with contextlib.redirect_stdout(io.StringIO()):
        for _ in range(rounds + 1):
            for name in exercise.graded:
                spent.append(cost(partial(exec, f"cmp({name!r}, d{name}, {name})", namespace)))
    return [Row.seconds("cmp, once", spent[len(exercise.graded) :], 0.03)]


def _read_until_graded(output: int) -> float:
    """Read what `dojo watch` prints up to a line that counts what is right; the moment of it, before all the rest."""
    text, seen = "", None
    while seen is None or select.select([output], [], [], 0.2)[0]:
        more = os.read(output, 1 << 16).decode(errors="replace")
        if not more:
            sys.exit("dojo watch ended before it graded")
        text += more
        if seen is None and re.search(r"\d+ of \d+", text):
            seen = time.perf_counter()
    return seen


def training_loop(exercise: Exercise, steps: int | None, autograd: bool = False) -> tuple[Task, dict[str, Any]]:
    """A loop over a lesson's network from the start, and the names that it works on. Draws no progress bar.

    Called again, it goes on from where it stands.
    """
    namespace = namespace_of(exercise, {} if steps is None else {"max_steps": steps})
    namespace["tqdm"] = iter
    (cell,) = exercise.code_cells("training")
    text = cell.text
    if autograd:
        for p in namespace["parameters"]:
            p.requires_grad_()
        optimizer = exercise.grading.run(namespace)["optimizer"]
        namespace["optimizer"] = optimizer
        forward = "\n".join(cell.text for cell in exercise.code_cells("forward"))
        update = PLAIN if isinstance(optimizer, torch.optim.SGD) else OPTIMIZER
        text = AUTOGRAD_LOOP.format(forward=textwrap.indent(forward, "    "), update=update)
    return partial(exec, compile(text, "autograd" if autograd else "by hand", "exec"), namespace), namespace


def steps_per_second(rounds: int) -> Iterator[Row]:
    """Each lesson's loop by hand against the same loop by autograd, and whether they lose the same."""
    for exercise in (exercise for exercise in all_exercises() if exercise.can_train):
        steps = STEPS if exercise.number == "ex4" else STEPS // 5
        by_hand, hand_names = training_loop(exercise, steps)
        by_autograd, autograd_names = training_loop(exercise, steps, autograd=True)
        found = costs({"hand": by_hand, "autograd": by_autograd}, rounds)
        asked = 1.5 if exercise.short_id == "makemore/ex4" else None
        what = f"{exercise.short_id}, steps/s: hand / autograd"
        yield Row.ratio(what, found["autograd"], found["hand"], asked, at_most=False)
        means = [sum(names["losses"]) / len(names["losses"]) for names in (hand_names, autograd_names)]
        click.echo(f"  its losses, mean: {means[0]:.4f} by hand, {means[1]:.4f} by autograd")


def recorded_step(rounds: int) -> list[Row]:
    """Exercise 5's step as one CUDA graph against the loop by autograd; no row where there is no GPU."""
    if not torch.cuda.is_available():
        return []
    exercise = find_exercise("makemore/ex5")
    names = namespace_of(exercise, {})
    for cell in exercise.code_cells("backward"):
        exec(cell.text, names)
    with torch.enable_grad():
        races = [names["race"](names["captured_step"])[:2] for _ in range(rounds)]
    shares = [graph / eager for eager, graph in races]
    return [Row("ex5 on a GPU, steps/s: graph / autograd", shares, shares, 5.0, at_most=False)]


def full_training(rounds: int) -> list[Row]:  # noqa: ARG001
    """The whole loop of exercise 4, once."""
    exercise = find_exercise("makemore/ex4")
    loop, names = training_loop(exercise, None)
    once = cost(loop)
    return Row(f"ex4, {names['max_steps']:,} steps, once", [once.wall], [once.cpu], 100, unit=" s")


PARTS: dict[str, Callable[[int], Iterable[Row]]] = {
    "start": start_up,
    "warm": warm_grading,
    "watch": save_to_verdict,
    "cmp": notebook_cmp,
    "loops": steps_per_second,
    "graph": recorded_step,
    "lessons": of_each_lesson,
    "full": lambda _: [full_training()],
}
"""What can be asked for by name; without a name all but the last two."""


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--rounds", default=FEWEST_ROUNDS, type=click.IntRange(min=FEWEST_ROUNDS), help="Rounds that count.")
@click.option("--full", is_flag=True, help="Run all steps of ex4 too.")
def main(parts: tuple[str, ...], rounds: int, full: bool) -> None:
    """Print each figure as it is taken: the median over interleaved rounds. Ends with 0, met or missed."""
    use_exact_arithmetic()
    load = " ".join(f"{of_last:.1f}" for of_last in os.getloadavg())
    click.echo(f"{rounds} rounds, torch {torch.__version__}, load average {load}")
    click.echo(_LINE.format("", "median", "min-max", "cpu", "target", ""))
    for part in parts or [*list(PARTS)[:-2], *(["full"] if full else [])]:
        for row in PARTS[part](rounds):
            click.echo(_LINE.format(*row.cells()))


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


if __name__ == "__main__":
    main()
