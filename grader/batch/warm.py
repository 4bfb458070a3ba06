"""Imported once in the process that judges are forked from, so that they share its memory."""

from __future__ import annotations

import gc

import nbformat  # noqa: F401

import grader.judging.grade
import grader.judging.loop_grade  # noqa: F401

gc.collect()
gc.freeze()  # the collector would write into every object here, and so copy the pages
