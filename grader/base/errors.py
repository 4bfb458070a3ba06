"""The exceptions that carry a message for people."""

from __future__ import annotations


class DojoError(Exception):
    """Bad input or a bad call.

    Its text says in one line what is wrong, where, and what to do. The command
    line prints that line and exits with 2; a traceback is never shown for it.
    """


class NotGradedError(DojoError):
    """One file cannot be graded, and others can. Where the grader itself broke on it, that is the cause."""
