"""Values and exceptions of a submission, put into words that can travel."""

from __future__ import annotations

import traceback
from typing import Any

import torch
from torch import Tensor

from grader.admission.policy import SUBMISSION
from grader.admission.sentences import Refused
from grader.running.protocol import MAX_DIMENSIONS, MAX_NAME, MAX_TEXT, REFUSED, Description, Failure

MAX_ELEMENTS = 2_000_000


def describe_value(value: Any) -> tuple[Description, Tensor | None]:
    """What a candidate is, in words; and its numbers where it is a dense tensor of a sane size."""
    if not isinstance(value, Tensor):
        kind = tuple if isinstance(value, tuple) else type(value)  # torch.max gives a tuple whose type is called max
        return Description("stub" if value is ... or value is None else "object", _short(kind.__name__)), None
    if value.is_nested:  # it has no shape to tell
        return Description("tensor", dtype=str(value.dtype), layout="nested"), None
    words = Description(
        kind="tensor",
        shape=tuple(value.shape[:MAX_DIMENSIONS]),
        dtype=str(value.dtype).removeprefix("torch."),
        device=value.device.type,
        layout=str(value.layout).removeprefix("torch."),
    )
    dense = value.layout == torch.strided and value.device.type != "meta"
    if not dense or value.numel() > MAX_ELEMENTS or value.is_complex():
        return words, None
    return words, value.detach()


def describe_exception(error: BaseException) -> Failure:
    """Type, text and the submission's line of an exception."""
    line = None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == SUBMISSION:
            line = number
    try:
        text = str(error)
        if isinstance(error, SyntaxError) and error.filename in (SUBMISSION, "<unknown>"):
            line, text = error.lineno, str(error.msg)  # str() gives our name for the file too
    except Exception:
        text = ""
    if isinstance(error, Refused):
        return Failure(REFUSED, _short(text, MAX_TEXT), error.line or line, error.mistake)
    name = getattr(error, "name", None) if isinstance(error, NameError) else None
    known = _short(name, MAX_TEXT) if isinstance(name, str) else None
    return Failure(_short(type(error).__name__), _short(text, MAX_TEXT), line, known)


def _short(text: str, most: int = MAX_NAME) -> str:
    """A text that can travel: not too long, and without halves of a character."""
    return text[:most].encode(errors="replace").decode()
