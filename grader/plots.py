"""Pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

POINTS = 200
"""A curve of more points is drawn as means of equal runs of steps: single losses jump too much to be read."""


def loss_curve(losses: Sequence[float], path: Path) -> None:
    """Draw the losses of a training run, averaged over equal runs of steps, to an image file."""
    import matplotlib as mpl  # costs 0.3 s: only those who draw pay for it

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    run = max(1, len(losses) // POINTS)
    starts = range(0, len(losses) - run + 1, run)
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    axes.plot(list(starts), [sum(losses[start : start + run]) / run for start in starts])
    axes.set_xlabel("step")
    axes.set_ylabel(f"loss, mean of {run} steps" if run > 1 else "loss")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
