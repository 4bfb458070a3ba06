"""Right answers in other clothes: each must get full marks."""

from __future__ import annotations

from answers.build import RightAnswer
from answers.right_algebra import ALGEBRA
from answers.right_containers import CONTAINERS
from answers.right_corners import CORNERS
from answers.right_habits import HABITS
from answers.right_lecture import LECTURE
from answers.right_notebooks import NOTEBOOKS
from answers.right_sizes import HARDCODED_SIZES

RIGHT: list[RightAnswer] = [*ALGEBRA, *CONTAINERS, *HABITS, *NOTEBOOKS, *LECTURE, *CORNERS]

__all__ = ["HARDCODED_SIZES", "RIGHT", "RightAnswer"]
