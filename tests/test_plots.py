"""Each picture is drawn from small tensors, labelled, and said in words."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from dojo import environment
from kernels import execute
from matplotlib.figure import Figure

from grader.showing import plots
from grader.syntax.inert_calls import drop_inert_calls

ROW = torch.tensor([0.6590, -0.7576, 0.0986], requires_grad=True)
DRAWN: dict[str, Callable[[], Figure]] = {
    "loss_curve": lambda: plots.loss_curve([3.0, 2.5, 2.0]),
    "gradient_image": lambda: plots.gradient_image(torch.stack([ROW, -ROW]), ["a", "b", "."]),
    "row_bars": lambda: plots.row_bars(ROW, ["a", "b", "."]),
    "histograms": lambda: plots.histograms({"h": torch.randn(4, 3), "loss": torch.tensor(2.0)}, "activation"),
    "saturation": lambda: plots.saturation(torch.tensor([[0.99, 0.1], [-0.98, 0.98]])),
    "update_ratios": lambda: plots.update_ratios({"W1": [1e-3, 2e-3], "b1": [0.0, 0.0]}),
}
each_picture = pytest.mark.parametrize("name", DRAWN)


@each_picture
def test_a_picture_has_labelled_axes_and_words(name: str, tmp_path: Path) -> None:
    figure = DRAWN[name]()
    assert isinstance(figure, Figure)
    assert all(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes)
    assert len(figure.get_label()) > 30
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loss_curve", "Loss over 3 steps, as means of 1: from 3.000 to 2.000."),
        ("gradient_image", "2 rows and 3 columns, from -0.76 to 0.76. 3 numbers pull up, 3 push down."),
        ("row_bars", "Pulled up: 'b' by 0.758. Hardest pushed down: 'a' by 0.659."),
        ("histograms", "loss has mean 2.0e+00 and standard deviation 0.0e+00"),
        ("saturation", "|h| > 0.97 in 75.0% of 2 examples by 2 units. 1 units are saturated for every example."),
        ("update_ratios", "Medians: W1 1.5e-03, b1 none."),
    ],
)
def test_the_words_say_what_there_is_to_see(name: str, said: str) -> None:
    assert said in DRAWN[name]().get_label()


def test_odd_values_are_drawn_all_the_same(tmp_path: Path) -> None:
    for number, figure in enumerate(
        [
            plots.loss_curve([]),
            plots.loss_curve([float("nan"), float("inf"), 1.0]),
            plots.gradient_image(torch.zeros(2, 3, dtype=torch.bfloat16)),
            plots.row_bars([1.0, 2.0]),
            plots.histograms({}),
            plots.histograms({"h": torch.tensor([float("nan"), 1.0])}),
            plots.saturation(np.zeros((2, 2))),
            plots.update_ratios({}),
            plots.update_ratios({"W": [float("nan"), float("inf")]}),
        ]
    ):
        figure.savefig(tmp_path / f"{number}.png")


def test_a_long_curve_is_drawn_as_means_and_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "losses.png"
    figure = plots.loss_curve([float(step % 2) for step in range(2000)], path)
    (line,) = figure.axes[0].lines
    assert set(np.asarray(line.get_ydata())) == {0.5}
    assert list(np.asarray(line.get_xdata()))[:2] == [0, 10]
    assert figure.axes[0].get_ylabel() == "loss, mean of 10 steps"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_bars_point_where_descent_moves_the_logits() -> None:
    bars = DRAWN["row_bars"]().axes[0].patches
    assert [round(bar.get_height(), 4) for bar in bars] == [-0.6590, 0.7576, -0.0986]
    assert [bool(bar.get_hatch()) for bar in bars] == [False, True, False]


def test_importing_it_costs_no_matplotlib() -> None:
    code = "import sys, grader.showing.plots; sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_script_prints_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    plots.show(DRAWN["row_bars"]())
    assert capsys.readouterr().out.startswith("Forces of one row of dlogits. Pulled up: 'b'")


def in_kernel(*cells: str) -> list[list[Any]]:
    """The outputs of each cell; nbclient applies updates of a picture as a front end does."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    execute(notebook, Path(__file__).parents[1], environment())
    return [cell.outputs for cell in notebook.cells]


def test_a_notebook_shows_the_picture_once_with_its_words(tmp_path: Path) -> None:
    source = "from grader import plots\nplots.show(plots.row_bars([0.5, -0.5], ['<', '\"']))"
    ((output,),) = in_kernel(source)
    assert output.data["image/png"].startswith("iVBOR")
    page = output.data["text/html"]
    assert "&lt;" in page
    assert "currentColor" in page  # the ink is the theme's, and so is the ground
    assert not re.search("#000000|#ffffff|<style|<metadata|<!DOCTYPE", page)
    assert output.metadata["image/png"]["alt"] == output.data["text/plain"]
    assert output.data["text/plain"].startswith("Forces of one row")


# ---- The losses while they come ----


def test_a_live_curve_is_one_picture_that_ends_with_the_last_loss() -> None:
    setup = """
        from grader.showing import plots
        drawn, curve = [], plots.loss_curve
        plots.loss_curve = lambda losses: drawn.append(len(losses)) or curve(losses)
        plots.LIVE_PAUSE, plots.LIVE_SHARE = 0.0, 1e9
        """
    loop = "losses = []\nfor step in range(3):\n    losses.append(3.0 - step)\n    plots.live_losses(losses)"
    paused = "plots.LIVE_PAUSE, losses = 3600, []\n" + loop.partition("\n")[2]
    *_, first, second, seen, left = in_kernel(dedent(setup), loop, paused, "print(drawn)", "print(plots._live)")
    for outputs in (first, second):
        (picture,) = outputs
        assert picture.data["text/plain"] == "Loss over 3 steps, as means of 1: from 3.000 to 1.000."
        assert picture.data["image/png"].startswith("iVBOR")
    assert seen[0].text == "[1, 2, 3, 3]\n"
    assert left[0].text == "None\n"


def test_a_live_curve_costs_a_script_next_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    losses, called = [1.0], Counter[str]()
    plots.live_losses(losses)
    sys.setprofile(lambda frame, event, function: called.update([event]))
    try:
        for _ in range(1000):
            plots.live_losses(losses)
    finally:
        sys.setprofile(None)
    assert called["call"] < 1010, "nothing of ours but the function itself"
    assert called["c_call"] < 1010, "and the clock"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("call", ["live_losses(losses)", "plots.live_losses(losses)"])
def test_the_grader_passes_a_live_curve_over(call: str) -> None:
    tree = ast.parse(f"for step in steps:\n    losses.append(1.0)\n    {call}")
    drop_inert_calls(tree, ())
    assert ast.unparse(tree) == "for step in steps:\n    losses.append(1.0)"
