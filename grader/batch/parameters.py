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
from grader.lesson.names import names_path
from grader.report.points import PointsTable
from grader.running.limits import Limits

_OPTION_NAMES = {
    "seed": "--seed",
    "exercise": "--exercise",
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


def parameters_for(options: Options, isolation: str) -> dict[str, Any]:
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
        "device": "cuda" if options.device == "cuda" else "cpu",
        "isolation": isolation,
        "seconds": default.seconds if options.seconds is None else options.seconds,
        "memory": default.memory if options.memory is None else options.memory,
        "points": asdict(options.points or PointsTable()),
        "names": hashlib.sha256(names_path().read_bytes()).hexdigest(),
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
        if explicit[key] is not None and explicit[key] != kept[key]:
            raise DojoError(
                f"{options.out}: was begun with {option} {kept[key]}, not {explicit[key]}; leave {option} out to go "
                "on, or name a new folder"
            )
    for key, what in _SAME_ALWAYS.items():
        if json.loads(json.dumps(asked[key])) != kept[key]:
            raise DojoError(f"{options.out}: was begun with {what}; use the same to go on, or name a new folder")
    return Terms(
        seed=kept["seed"],
        device=kept["device"],
        isolation=kept["isolation"],
        limits=Limits(seconds=kept["seconds"], memory=kept["memory"]),
        exercise=kept["exercise"],
        points=PointsTable(**kept["points"]),
        names=str(names_path()),
    )


def other_versions(kept: Mapping[str, Any], here: Mapping[str, Any], where: str) -> list[str]:
    """A sentence for each version that is another one at `where`."""
    return [
        f"{where} has {name} {here[name]}, this batch was begun with {kept[name]}: results may differ"
        for name in versions()
        if here[name] != kept[name]
    ]
