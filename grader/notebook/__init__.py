"""What a learner calls in a notebook or a script: `cmp`, `progress` and `hint`."""

from __future__ import annotations

from grader.notebook.calls import cmp, hint, progress
from grader.notebook.judging import judge_in_namespace

__all__ = ["cmp", "hint", "judge_in_namespace", "progress"]
