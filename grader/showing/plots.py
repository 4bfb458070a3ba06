"""Pictures of a network and its training, for the lessons and for notebooks of your own.

Each function takes tensors (or NumPy arrays, or lists of numbers) and returns a Matplotlib figure whose label says
in words what there is to see. `show(figure)` puts it into a notebook, with these words as its alternative text. In a
script it prints the words; `figure.savefig("picture.png")` keeps the picture.
"""

from __future__ import annotations

import math
import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from io import BytesIO, StringIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.base.ipython import notebook_shell

if TYPE_CHECKING:  # matplotlib costs 0.3 s: only those who draw pay for it
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

POINTS = 200
"""A curve of more points is drawn as means of equal runs of steps: single losses jump too much to be read."""
SATURATED = 0.97
"""Beyond it the slope of tanh, 1 - h², is below 0.06: hardly any gradient comes back."""
HEALTHY_RATIO = 1e-3
LIVE_PAUSE = 0.4
"""Seconds between two drawings of a curve that grows."""
LIVE_SHARE = 0.1
"""At most so much of the time goes into drawing it: 0.1 s a drawing makes a second between two."""
DPI = 120
PULL, PUSH = "#d6604d", "#4393c3"
"""Red and blue of the colour map, with three times the contrast of a white page and of a black one. Readers who see no
red still tell them apart by hatching."""
DASHES = ("-", "--", "-.", ":")


_files: Iterator[Path] | None = None
"""Where the next figures go, while `kept_beside` lasts."""


def show(figure: Figure) -> None:
    """Show `figure` in a running notebook; elsewhere print what there is to see."""
    if notebook_shell() is not None:
        _display(figure)
        return
    print(figure.get_label())
    if _files is not None:
        file = next(_files)
        figure.savefig(file, dpi=DPI)
        print(f"picture: {file}")


@contextmanager
def kept_beside(picture: Path) -> Iterator[None]:
    """Keep the figures that are shown outside of a notebook: `losses_1.png` and so on, for `losses.png`."""
    global _files
    _files = (picture.with_stem(f"{picture.stem}_{number}") for number in count(1))
    try:
        yield
    finally:
        _files = None


def _display(figure: Figure, **options: Any) -> Any:
    """The handle of the picture, where `display_id` asks for one."""
    from IPython.display import display

    words = str(figure.get_label())
    image = BytesIO()
    figure.savefig(image, format="png", dpi=DPI)
    encoded = b64encode(image.getvalue()).decode()
    bundle = {"text/html": _in_page(figure, words), "image/png": encoded, "text/plain": words}
    return display(bundle, raw=True, metadata={"image/png": {"alt": words}}, **options)  # type: ignore[no-untyped-call]


def _in_page(figure: Figure, words: str) -> str:
    """The figure as a part of the page: what is black in it has the colour of the page's text, light or dark."""
    for axes in figure.axes:
        if legend := axes.get_legend():
            legend.get_frame().set_facecolor("none")
    drawn = StringIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    svg = drawn.getvalue()
    svg = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", svg[svg.index("<svg ") :], flags=re.DOTALL)
    style = "max-width:100%;height:auto;stroke-linejoin:round;stroke-linecap:butt"
    told = f'<svg role="img" aria-label="{escape(words)}" fill="currentColor" style="{style}" '
    return svg.replace("#000000", "currentColor").replace("<svg ", told, 1)


class _Live:
    """The picture of one list of losses in one run of a cell."""

    def __init__(self, losses: Sequence[float]) -> None:
        self.losses = losses
        self.shell = notebook_shell()
        self.handle: Any = None
        self.drawn = 0
        self.due = math.inf  # outside of a notebook there is nothing to draw, ever
        if self.shell is not None:
            self.due = time.perf_counter() + LIVE_PAUSE
            self.shell.events.register("post_run_cell", self.finish)

    def draw(self) -> None:
        began = time.perf_counter()
        self.drawn = len(self.losses)
        figure = loss_curve(self.losses)
        if self.handle is None:
            self.handle = _display(figure, display_id=True)
            began = time.perf_counter()  # the first time is matplotlib's import
        else:
            _display(figure, display_id=self.handle.display_id, update=True)
        now = time.perf_counter()
        self.due = now + max(LIVE_PAUSE, (now - began) / LIVE_SHARE)

    def finish(self, *_: object) -> None:
        """When the cell has run: draw what came after the last time. Another run gets a picture of its own."""
        global _live
        self.shell.events.unregister("post_run_cell", self.finish)
        if len(self.losses) > self.drawn:
            self.draw()
        if _live is self:
            _live = None


_live: _Live | None = None


def live_losses(losses: Sequence[float]) -> None:
    """In a training loop in a notebook, draw the losses so far, in one picture that changes in place.

    To be called at each step: it draws about once a second, and takes a tenth of the time at most.
    Outside of a notebook it does nothing.
    """
    global _live
    if _live is None or _live.losses is not losses:
        _live = _Live(losses)
    if time.perf_counter() >= _live.due:
        _live.draw()


def loss_curve(losses: Sequence[float], path: Path | None = None) -> Figure:
    """The losses of a training run, one number a step, averaged over equal runs of steps; to an image file too."""
    run = max(1, len(losses) // POINTS)
    starts = range(0, len(losses) - run + 1, run)
    means = [sum(losses[start : start + run]) / run for start in starts]
    figure, axes = _figure(8, 4)
    axes.plot(list(starts), means)
    axes.set_xlabel("step")
    axes.set_ylabel(f"loss, mean of {run} steps" if run > 1 else "loss")
    axes.grid(alpha=0.3)
    ends = f": from {means[0]:.3f} to {means[-1]:.3f}" if means else ""
    figure.set_label(f"Loss over {len(losses):,} steps, as means of {run}{ends}.")
    if path is not None:
        figure.savefig(path, dpi=DPI)
    return figure


def gradient_image(gradient: Any, columns: Sequence[str] | None = None, name: str = "dlogits") -> Figure:
    """A gradient (rows, columns) as an image: red pulls a number up, blue pushes it down.

    `columns` are the texts below the columns, such as the symbols of the alphabet.
    """
    values = _array(gradient)
    limit = float(abs(values).max(initial=0.0)) or 1.0
    rows, width = values.shape
    figure, axes = _figure(8, 1.5 + 6.5 * min(1.5, max(0.2, rows / max(width, 1) * 0.85)))
    image = axes.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    if columns is not None:
        axes.set_xticks(range(len(columns)), list(columns))
    axes.set_xlabel("column" if columns is None else "symbol")
    axes.set_ylabel("example")
    figure.colorbar(image, label=f"{name}: below 0 pulls up, above 0 pushes down", shrink=0.8)
    figure.set_label(
        f"{name} as an image of {rows} rows and {width} columns, from {values.min():.2g} to {values.max():.2g}. "
        f"{int((values < 0).sum())} numbers pull up, {int((values > 0).sum())} push down."
    )
    return figure


def row_bars(row: Any, columns: Sequence[str] | None = None, name: str = "one row of dlogits") -> Figure:
    """One row (columns,) of a gradient as bars of what descent does: negative ones pull up, positive push down."""
    values = _array(row)
    texts = [str(place) for place in range(len(values))] if columns is None else list(columns)
    figure, axes = _figure(8, 3.2)
    places = range(len(values))
    bars = axes.bar(places, -values, color=[PULL if value < 0 else PUSH for value in values], edgecolor="black")
    for bar, value in zip(bars, values, strict=True):
        bar.set_hatch("//" if value < 0 else "")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(places, texts)
    axes.set_xlabel("column" if columns is None else "symbol")
    axes.set_ylabel("pushed down   |   pulled up")
    pulled = ", ".join(f"{texts[place]!r} by {-values[place]:.3g}" for place in places if values[place] < 0)
    hardest = int(values.argmax()) if len(values) else 0
    pushed = f" Hardest pushed down: {texts[hardest]!r} by {values[hardest]:.3g}." if (values > 0).any() else ""
    figure.set_label(f"Forces of {name}. Pulled up: {pulled or 'none'}.{pushed} Sum: {values.sum():.1e}.")
    return figure


def histograms(tensors: Mapping[str, Any], what: str = "value", bins: int = 50) -> Figure:
    """How the numbers of each tensor, of any shape, are spread: one panel each, with mean and standard deviation."""
    figure, panels = _figure(max(4.0, 2.6 * len(tensors)), 2.8, max(1, len(tensors)))
    said = []
    for axes, (name, tensor) in zip(panels, tensors.items(), strict=False):
        values = _array(tensor).ravel()
        values = values[abs(values) < math.inf]
        axes.hist(values, bins=bins, color=PUSH)
        mean, spread = (values.mean(), values.std()) if values.size else (0.0, 0.0)
        axes.set_title(f"{name}\nmean {mean:.1e}, std {spread:.1e}", fontsize=9)
        axes.set_xlabel(what)
        axes.ticklabel_format(axis="x", scilimits=(-2, 2))
        axes.locator_params(axis="x", nbins=3)
        axes.set_yticks([])
        said.append(f"{name} has mean {mean:.1e} and standard deviation {spread:.1e}")
    panels[0].set_ylabel("how often")
    figure.set_label(f"Histograms of {what}s: {'; '.join(said)}.")
    return figure


def saturation(h: Any, limit: float = SATURATED) -> Figure:
    """Where a tanh layer's output h (examples, units) is beyond `limit`: black lets hardly any gradient through."""
    full = abs(_array(h)) > limit
    share = float(full.mean()) if full.size else 0.0
    dead = int(full.all(0).sum())
    figure, axes = _figure(8, 2.6)
    axes.imshow(full, cmap="gray_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xlabel("hidden unit")
    axes.set_ylabel("example")
    axes.set_title(f"black: |h| > {limit}, {share:.1%} of all; black from top to bottom: {dead} units", fontsize=10)
    figure.set_label(
        f"Saturation of tanh: |h| > {limit} in {share:.1%} of {full.shape[0]} examples by {full.shape[1]} units. "
        f"{dead} units are saturated for every example."
    )
    return figure


def update_ratios(ratios: Mapping[str, Sequence[float]]) -> Figure:
    """For each parameter its ratio at each step, on a log scale, with a line at the healthy 1e-3.

    The ratio is `learning_rate * gradient.std() / parameter.std()`: how much of itself a parameter moves in a step.
    """
    import numpy as np

    figure, axes = _figure(8, 4)
    said = []
    for number, (name, ratio) in enumerate(ratios.items()):
        values = _array(ratio)
        drawn = np.where(np.isfinite(values) & (values > 0), values, np.nan)  # a log scale has no place for 0
        axes.plot(drawn, label=name, linestyle=DASHES[number % len(DASHES)])
        known = drawn[~np.isnan(drawn)]
        said.append(f"{name} {np.median(known):.1e}" if known.size else f"{name} none")
    axes.axhline(HEALTHY_RATIO, color="black", linewidth=1, label="1e-3")
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("update / parameter")
    axes.legend(loc="upper right")
    figure.set_label(f"Ratio of update to parameter over the steps; about 1e-3 is healthy. Medians: {', '.join(said)}.")
    return figure


def _figure(width: float, height: float, panels: int = 0) -> tuple[Figure, Any]:
    """A figure of its own, for pyplot would keep it, and a notebook would show it twice; its axes, or its `panels`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0] if panels else figure.subplots()


def _array(values: Any) -> NDArray[np.float64]:
    import numpy as np

    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)
