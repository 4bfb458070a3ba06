"""Values and exceptions of a submission, put into words that can travel."""

from __future__ import annotations

import traceback
from typing import Any

import torch
from torch import Tensor

SUBMISSION = "<submission>"
MAX_ELEMENTS = 2_000_000
_MAX_TEXT = 300


def describe_value(value: Any) -> tuple[dict[str, Any], Tensor | None]:
    """What a candidate is, in words; and its numbers where it is a dense tensor of a sane size."""
    if not isinstance(value, Tensor):
        kind = "stub" if value is ... or value is None else "object"
        return {"kind": kind, "type": type(value).__name__[:60]}, None
    if value.is_nested:  # it has no shape to tell
        return {"kind": "tensor", "shape": [], "dtype": str(value.dtype), "layout": "nested"}, None
    words = {
        "kind": "tensor",
        "shape": list(value.shape),
        "dtype": str(value.dtype).removeprefix("torch."),
        "device": value.device.type,
        "layout": str(value.layout).removeprefix("torch."),
    }
    dense = value.layout == torch.strided and value.device.type != "meta"
    if not dense or value.numel() > MAX_ELEMENTS or value.is_complex():
        return words, None
    return words, value.detach()


def describe_exception(error: BaseException) -> dict[str, Any]:
    """Type, text and the submission's line of an exception."""
    line = None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == SUBMISSION:
            line = number
    if isinstance(error, SyntaxError) and error.filename in (SUBMISSION, "<unknown>"):
        line = error.lineno
    try:
        text = str(error)
    except Exception:
        text = ""
    name = getattr(error, "name", None) if isinstance(error, NameError) else None
    return {"type": type(error).__name__[:60], "text": text[:_MAX_TEXT], "line": line, "name": name}
