"""Imported once in the process that judges are forked from, so that they share its memory."""

from grader.base.loading import uncollected

with uncollected():
    import nbformat  # noqa: F401

    import grader.judging.grade
    import grader.judging.loop_grade  # noqa: F401
