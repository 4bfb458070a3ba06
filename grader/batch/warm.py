"""Imported once in the process that judges are forked from, so that they share its memory."""

from grader.base.loading import load_nbformat, uncollected

with uncollected():
    load_nbformat()

    import grader.judging.grade
    import grader.judging.loop_grade  # noqa: F401
