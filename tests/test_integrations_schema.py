"""The report's JSON Schema, against real reports of every status and against what `dojo batch` writes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from answers.build import LINES, with_lines
from jsonschema import Draft202012Validator, ValidationError

import grader as package
from grader.integrations.outputs import render_json
from grader.judging.grade import Grader, settings
from grader.lesson.exercise import find_exercise
from grader.report.records import Report, Status, SubmissionReport
from grader.running.limits import Limits

SCHEMA: dict[str, Any] = json.loads(Path(package.__file__).parent.joinpath("report", "report.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)

ANSWERS = {
    "dprobs": "dprobs = ...",
    "dcounts_sum_inv": "dcounts_sum_inv = (counts * dprobs).sum(1)",
    "dlogits": "dlogits = dnorm_logits * float('inf')",
    "dh": "dh = -dlogits @ W2.T",
    "db2": "db2 = b2.grad",
    "dW1": "dW1 = embcat.t @ dhprebn",
}
ENDLESS = "while True:\n    dlogits = torch.zeros_like(logits)"


@pytest.fixture(scope="module")
def reports(grader: Grader, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A script with an answer of each kind, one that never ends, and a training exercise, as their JSON."""
    folder = tmp_path_factory.mktemp("schema")
    (folder / "ex1.py").write_text(with_lines(ANSWERS))
    (folder / "ex2.py").write_text(ENDLESS)
    (folder / "ex4_training.py").write_text(find_exercise("makemore/ex4").path.read_text())
    found = grader.grade_file(folder / "ex1.py") + grader.grade_file(folder / "ex4_training.py")
    with Grader(settings(seed=3, device="cpu", limits=Limits(seconds=2))) as hasty:
        found += hasty.grade_file(folder / "ex2.py")
    return dict(json.loads(render_json(Report(found))))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_real_reports_of_every_status_are_valid(reports: dict[str, Any]) -> None:
    VALIDATOR.validate(reports)
    statuses = {verdict["status"] for one in reports["submissions"] for verdict in one["verdicts"]}
    assert statuses == set(get_args(Status))
    assert reports["submissions"][1]["exercise"] == "makemore/ex4_training"


def fields(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, bool]]:
    """Each field of `value`, and whether the schema describes it."""
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            schema = choice
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, list):
        for entry in value:
            yield from fields(entry, schema["items"], f"{path}[]")
    elif isinstance(value, dict):
        for key, inner in value.items():
            known = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            yield f"{path}.{key}", known is not None
            if known is not None:
                yield from fields(inner, known, f"{path}.{key}")


def test_every_field_is_described(reports: dict[str, Any]) -> None:
    found = set(fields(reports, SCHEMA))
    assert {path for path, known in found if not known} == set()
    for path in (".submissions[].verdicts[].details.largest_errors[].yours", ".submissions[].verdicts[].points"):
        assert (path, True) in found


@pytest.mark.parametrize(
    "more",
    [
        {"submissions": [], "refused": "a.ipynb: the file is empty"},
        {"submissions": [], "grader_error": "Traceback (most recent call last): ..."},
        {"problems": ["b.ipynb: the file is empty"]},
    ],
)
def test_what_batch_writes_is_valid(reports: dict[str, Any], more: dict[str, Any]) -> None:
    VALIDATOR.validate({**reports, **more})


def _of_verdict(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda report: report["submissions"][0]["verdicts"][0].update(changes)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda report: report.update(schema=2),
        lambda report: report.pop("submissions"),
        lambda report: report.update(refused="both refused and graded"),
        lambda report: report.update(grader_error="both broken and graded"),
        lambda report: report["submissions"][0].update(verdicts=[]),
        lambda report: report["submissions"][0].update(isolation="none"),
        lambda report: report["submissions"][0].update(score="26"),
        lambda report: report["submissions"][0].pop("seed"),
        lambda report: report["submissions"][0]["verdicts"][0].pop("points"),
        _of_verdict(status="passed"),
        _of_verdict(line=0),
        _of_verdict(mistake="Not An Id"),
        _of_verdict(points=-1),
        _of_verdict(message=None),
        _of_verdict(details={}),
    ],
)
def test_what_is_no_report_is_not_valid(reports: dict[str, Any], spoil: Callable[[dict[str, Any]], object]) -> None:
    spoilt = copy.deepcopy(reports)
    spoil(spoilt)
    with pytest.raises(ValidationError):
        VALIDATOR.validate(spoilt)


def test_a_number_that_json_does_not_have_is_null(grade_text: Callable[..., list[SubmissionReport]]) -> None:
    (report,) = grade_text(with_lines({"dh": LINES["dh"] + " * float('nan')"}))
    data = json.loads(render_json(Report([report])), parse_constant=lambda name: pytest.fail(name))
    VALIDATOR.validate(data)
    (verdict,) = [one for one in data["submissions"][0]["verdicts"] if one["name"] == "h"]
    assert verdict["maxdiff"] is None
    assert verdict["details"]["largest_errors"][0]["yours"] is None
