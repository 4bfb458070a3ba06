"""Build the autograder that is uploaded to Gradescope: `make gradescope`.

The zip holds setup.sh, run_autograder, a wheel of this package, constraints.txt, and what was asked for here. The wheel
carries the exercises and never the solutions.
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from grader.base.errors import DojoError
from grader.lesson.exercise import find_exercise
from grader.report.assignment import read_assignment
from grader.report.points import read_points
from grader.running.confine import ISOLATION_LEVELS

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
SCRIPTS = ("setup.sh", "run_autograder")


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout, built without a download.

    Raises:
        DojoError: it cannot be built.
    """
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if ran.returncode:
        raise DojoError(f"the wheel cannot be built: {ran.stderr.strip()}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def write_zip(
    target: Path,
    options: Sequence[str],
    points: Path | None,
    torch_index: str | None,
    assignment: Path | None = None,
) -> None:
    """Write the autograder.

    `options` go to `dojo grade`, `points` is a TOML file with [tool.dojo.points], `assignment` one with
    [tool.dojo.assignment], and `torch_index` the address of an index of PyTorch builds for the CPU.

    Raises:
        DojoError: `points` or `assignment` is not such a file, or the wheel cannot be built.
    """
    given = ["--isolation", "highest", *options]
    if points is not None:
        read_points(points)
        given += ["--points", "points.toml"]
    if assignment is not None:
        read_assignment(assignment)
        given += ["--assignment", "assignment.toml"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, ZipFile(target, "w", ZIP_DEFLATED) as file:
        wheel = build_wheel(Path(folder))
        file.write(wheel, wheel.name)
        file.write(REPOSITORY / "constraints.txt", "constraints.txt")
        file.writestr("options.txt", "".join(f"{option}\n" for option in given))
        if points is not None:
            file.write(points, "points.toml")
        if assignment is not None:
            file.write(assignment, "assignment.toml")
        if torch_index is not None:
            file.writestr("torch-index.txt", f"{torch_index}\n")
        for name in SCRIPTS:
            entry = ZipInfo(name)
            entry.external_attr = 0o755 << 16
            file.writestr(entry, (HERE / name).read_bytes(), ZIP_DEFLATED)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make gradescope", description="Build the zip of the autograder.")
    parser.add_argument("--exercise", metavar="ID", help="grade this one only; left out, each file tells")
    parser.add_argument("--assignment", type=Path, metavar="FILE", help="a TOML file with [tool.dojo.assignment]")
    parser.add_argument("--seed", type=int, metavar="N", help="the same for everybody; drawn now if left out")
    parser.add_argument("--points", type=Path, metavar="FILE", help="a TOML file with [tool.dojo.points]")
    parser.add_argument(
        "--require-isolation", choices=ISOLATION_LEVELS, metavar="LEVEL", help=" or ".join(ISOLATION_LEVELS)
    )
    parser.add_argument("--strict-sizes", action="store_true", help="fail answers with sizes written in")
    parser.add_argument("--torch-index", metavar="URL", help="an index of PyTorch builds for the CPU")
    parser.add_argument("--out", type=Path, metavar="FILE", default=REPOSITORY / "dist" / "gradescope.zip")
    asked = parser.parse_args(arguments)
    options: list[str] = []
    try:
        if asked.exercise is not None:
            options += ["--exercise", find_exercise(asked.exercise).id]
        if asked.require_isolation is not None:
            options += ["--require-isolation", asked.require_isolation]
        if asked.strict_sizes:
            options.append("--strict-sizes")
        seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
        write_zip(asked.out, [*options, "--seed", str(seed)], asked.points, asked.torch_index, asked.assignment)
    except DojoError as error:
        print(f"make gradescope: {error}", file=sys.stderr)
        return 2
    print(f"written: {asked.out}")
    if asked.torch_index is None:
        print("pip's own torch may bring CUDA, some GB more: --torch-index takes the index for the CPU that")
        print("PyTorch's installation page names.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
