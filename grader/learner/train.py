"""Run a learner's own training loop in full, then measure what it learned with the exercise's own cells."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor
from tqdm import tqdm

from grader.admission.silent import ProgressStandIn
from grader.base.errors import DojoError
from grader.base.words import counted
from grader.lesson.trials import namespace_of, use_exact_arithmetic
from grader.reading.loop_plan import plan_loop
from grader.reading.submission import Part
from grader.running.instrument import hook_loops, loop_names
from grader.running.stand_ins import stand_ins, without_stand_ins
from grader.running.statements import run_statement
from grader.showing.plots import kept_beside, loss_curve


class LossBar:
    """Takes the place of the loop's own progress bar: shows the loss and keeps every loss that was seen."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.steps = 0

    def __call__(self, iterable: Iterable[Any]) -> Iterator[Any]:
        while isinstance(iterable, ProgressStandIn):
            iterable = iterable.iterable
        frame = inspect.currentframe()
        shown = time.monotonic()
        with tqdm(iterable, unit="step", unit_scale=False, smoothing=0.05) as bar:
            for item in bar:
                yield item
                self.steps += 1
                loop = frame.f_back if frame is not None else None
                loss = loop.f_locals.get("loss") if loop is not None else None
                if isinstance(loss, float) or (isinstance(loss, Tensor) and loss.numel() == 1):
                    self.losses.append(float(loss))
                    if time.monotonic() - shown > 0.5:
                        shown = time.monotonic()
                        recent = self.losses[-1000:]
                        bar.set_postfix_str(f"loss {sum(recent) / len(recent):.3f}", refresh=False)


def check_picture(picture: Path) -> None:
    """Refuse, before a long training, a file that the loss curve cannot be drawn to.

    Raises:
        DojoError: there is no such folder, or the file's suffix is that of no picture.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    if not picture.absolute().parent.is_dir():
        raise DojoError(f"--picture {picture}: there is no folder {picture.parent} to write it to")
    if picture.suffix.lower()[1:] not in FigureCanvasBase.get_supported_filetypes():
        raise DojoError(f"--picture {picture}: is no picture by its name; give one such as losses.png")


def train_in_full(part: Part, steps: int | None, picture: Path) -> int:
    """Train, draw the losses to `picture`, then evaluate, and draw what that shows beside it.

    Ctrl-C ends training and keeps what there is.

    Returns the exit code: 0, or 1 where the submission has no loop, or its loop or what it learned cannot be run.
    """
    plan = plan_loop(part.analysis, part.exercise)
    if plan is None:
        click.echo(f"{part.analysis.source.path}: the training loop is not written yet", err=True)
        return 1
    use_exact_arithmetic()
    torch.set_grad_enabled(False)
    namespace = namespace_of(part.exercise, {} if steps is None else {"max_steps": steps})
    protected = without_stand_ins(namespace)
    bar = LossBar()
    namespace |= stand_ins() | loop_names(bar, lambda _tensor, read, _line: read())
    for index, statement in zip(plan.indexes, plan.statements, strict=True):
        namespace.update(protected)
        lines = [statement.cell.line + loop.lineno - 1 for loop in plan.loops.get(index, [])]
        hook = partial(hook_loops, lines=lines, names=plan.names, forward={})
        failure = run_statement(statement.text, statement.text_line, namespace, hook, guarded=False)
        if failure is not None and failure.type == "KeyboardInterrupt":
            click.echo(f"stopped after {counted(bar.steps, 'step')}; what there is is kept", err=True)
            break
        if failure is not None and statement is plan.statement:
            where = f"{part.analysis.source.path}:{failure.line}"
            click.echo(f"{where}: {failure.type}: {failure.text}", err=True)
            return 1
    namespace.update({name: namespace.get(name, value) for name, value in protected.items()})
    if bar.losses:
        loss_curve(bar.losses, picture)
        click.echo(f"loss curve: {picture}")
    else:
        click.echo("no loss curve: no number called loss was seen in the loop", err=True)
    try:
        with kept_beside(picture):
            for cell in part.exercise.code_cells("evaluation"):
                exec(compile(cell.text, part.exercise.path.name, "exec"), namespace)
    except Exception as error:  # of what the loop has left behind: nan, other shapes, other names
        click.echo(f"what it learned cannot be shown: {type(error).__name__}: {error}", err=True)
        return 1
    return 0
