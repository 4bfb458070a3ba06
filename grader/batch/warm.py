"""Imported once in the process that judges are forked from, so that they share its memory."""

from __future__ import annotations

import gc
import os

# Before torch is loaded: a judge works beside others, and a process with threads must not be forked.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"

import nbformat  # noqa: E402, F401

import grader.judging.grade  # noqa: E402
import grader.judging.training  # noqa: E402, F401

gc.collect()
gc.freeze()  # the collector would write into every object here, and so copy the pages
