"""A judge process that breaks on purpose, by what the name of the file asks for."""

from __future__ import annotations

import os
import signal
import socket
import time
from multiprocessing.connection import Connection

import grader.judging.grade
from grader.base.errors import DojoError
from grader.batch import judges
from grader.reading.submission import Part
from grader.report.records import SubmissionReport

_grade_part = grader.judging.grade.Grader.grade_part


def _breaking(self: grader.judging.grade.Grader, part: Part) -> SubmissionReport:
    path = str(part.analysis.source.path)
    if "raises" in path:
        raise ValueError("a defect of the grader")
    if "crashes" in path:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "starved" in path:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hangs" in path:
        time.sleep(600)
    if "unable" in path:
        raise DojoError("no worker could be started")
    return _grade_part(self, part)


def serve(connection: Connection, requests: socket.socket) -> None:
    """In the place of `judges._serve_forked`."""
    grader.judging.grade.Grader.grade_part = _breaking  # type: ignore[method-assign]
    judges._serve_and_exit(connection, requests)
