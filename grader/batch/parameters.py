"""What everyone of a batch is graded with: drawn or chosen once, kept in the results folder, and never mixed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from grader.base.errors import DojoError
from grader.batch.person import Terms
from grader.batch.results import Results, read_parameters
from grader.lesson.data_files import data_file
from grader.report.assignment import Assignment, chosen_exercises
from grader.report.points import PointsTable
from grader.running.limits import Limits

_OPTION_NAMES = {
    "seed": "--seed",
    "exercise": "--exercise",
    "forced": "--as",
    "device": "--device",
    "isolation": "--isolation",
    "seconds": "--limit-time",
    "memory": "--limit-memory",
}
_SAME_ALWAYS = {"points": "other points", "names": "another list of names"}


@dataclass(frozen=True)
class Options:
    """What was asked for; None where nothing was, which an earlier run or a default then answers."""

    submissions: Path
    out: Path
    exercise: str | None = None
    forced: str | None = None
    assignment: Assignment | None = None
    device: str | None = None
    seed: int | None = None
    isolation: str | None = None
    require_isolation: str | None = None
    seconds: float | None = None
    memory: int | None = None
    points: PointsTable | None = None
    jobs: int = 1
    scheduler: str | None = None
    retry_errors: bool = False


def isolation_asked(options: Options) -> str:
    """The level to ask the machine for: as asked, as this folder was begun with, or the highest."""
    if options.isolation is None and (options.out / "batch.json").exists():
        return str(read_parameters(options.out)["isolation"])
    return options.isolation or "highest"


def parameters_for(options: Options, isolation: str, layout: str = "") -> dict[str, Any]:
    """What a new folder of results is begun with; `isolation` is the level that the machine gives.

    Raises:
        DojoError: there is no such device, or no list of names.
    """
    if options.device not in (None, "auto", "cpu", "cuda"):
        raise DojoError(f"device {options.device!r} is unknown; choose auto, cpu or cuda")
    default = Limits()
    return {
        "seed": secrets.randbelow(2**31) if options.seed is None else options.seed,
        "exercise": options.exercise,
        "forced": options.forced,
        "layout": layout,
        "assignment": options.assignment.as_data() if options.assignment else None,
        "device": "cuda" if options.device == "cuda" else "cpu",
        "isolation": isolation,
        "seconds": default.seconds if options.seconds is None else options.seconds,
        "memory": default.memory if options.memory is None else options.memory,
        "points": asdict(options.points or PointsTable()),
        "names": hashlib.sha256(data_file("names").read_bytes()).hexdigest(),
        **versions(),
    }


def versions() -> dict[str, str]:
    """Of this package and of torch, which is not loaded for it."""
    return {"backprop-dojo": importlib.metadata.version("backprop-dojo"), "torch": importlib.metadata.version("torch")}


def agreed_terms(options: Options, results: Results, asked: Mapping[str, Any]) -> Terms:
    """The terms that the folder was begun with. `asked` is what `parameters_for` gave.

    Raises:
        DojoError: this call asks for others.
    """
    kept = results.parameters
    explicit = asdict(options) | {key: asked[key] for key in ("device", "isolation") if getattr(options, key)}
    for key, option in _OPTION_NAMES.items():
        before = kept.get(key)
        if explicit[key] is not None and explicit[key] != before:
            raise DojoError(
                f"{options.out}: was begun with {option} {before}, not {explicit[key]}; leave {option} out to go on, "
                "or name a new folder"
            )
    for key, what in _SAME_ALWAYS.items():
        if json.loads(json.dumps(asked[key])) != kept[key]:
            raise DojoError(f"{options.out}: was begun with {what}; use the same to go on, or name a new folder")
    if kept.get("layout", asked["layout"]) != asked["layout"] and results.entries():
        raise DojoError(
            f"{options.submissions}: is in the layout {asked['layout']}, and {options.out} was begun with "
            f"{kept['layout']}: everyone would be added a second time; hand over what is in the same layout, or name a "
            "new folder"
        )
    assignment = _agreed_assignment(options, results)
    assignment, wanted, forced = chosen_exercises(assignment, kept["exercise"], kept.get("forced"))
    return Terms(
        seed=kept["seed"],
        device=kept["device"],
        isolation=kept["isolation"],
        limits=Limits(seconds=kept["seconds"], memory=kept["memory"]),
        wanted=wanted,
        forced=forced,
        assignment=assignment,
        points=PointsTable(**kept["points"]),
        names=str(data_file("names")),
    )


def _agreed_assignment(options: Options, results: Results) -> Assignment | None:
    """The assignment of the folder. What does not change a result (points, dates, the title) may be stated anew."""
    data = results.parameters.get("assignment")
    kept = Assignment.from_data(data) if data else None
    asked = options.assignment
    if asked is None or asked == kept:
        return kept
    if results.entries() and (kept is None or kept.exercises != asked.exercises):
        before = f"the exercises {', '.join(kept.exercises)}" if kept else "no stated assignment"
        raise DojoError(f"{options.out}: was begun with {before}; use the same to go on, or name a new folder")
    results.change("assignment", asked.as_data())
    return asked


def other_versions(kept: Mapping[str, Any], here: Mapping[str, Any], where: str) -> list[str]:
    """A sentence for each version that is another one at `where`."""
    return [
        f"{where} has {name} {here[name]}, this batch was begun with {kept[name]}: results may differ"
        for name in versions()
        if here[name] != kept[name]
    ]
