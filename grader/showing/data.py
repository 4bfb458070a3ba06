"""The report as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from grader.report.records import Report


def render_json(report: Report) -> str:
    """The documented JSON form, as text."""
    return json.dumps(json_data(report), indent=2, allow_nan=False) + "\n"


def json_data(report: Report) -> dict[str, Any]:
    """The documented JSON form; a number that JSON cannot hold (nan, infinity) becomes null."""
    data: dict[str, Any] = _finite(report.as_data())
    return data


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return value
