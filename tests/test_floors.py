"""What pyproject.toml allows is what works: every solution is right with the lowest versions and with the newest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from dojo import environment

REPOSITORY = Path(__file__).resolve().parents[1]
LOWEST = REPOSITORY / "constraints-lowest.txt"


def declared() -> list[str]:
    """The requirements of the package itself, as pyproject.toml states them."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def test_the_file_of_lowest_versions_says_what_pyproject_allows() -> None:
    lines = LOWEST.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [need.replace(">=", "==") for need in declared()]


@pytest.mark.floors
@pytest.mark.timeout(3600)
@pytest.mark.skipif("DOJO_FLOORS" not in os.environ, reason="installs gigabytes; `make floors` sets DOJO_FLOORS=1")
@pytest.mark.parametrize("versions", ["lowest", "newest"])
def test_every_solution_is_right_with(versions: str, tmp_path: Path) -> None:
    for folder in ("grader", "solutions", "exercises", "data"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    needs = ["-r", str(LOWEST)] if versions == "lowest" else declared()
    pip = [python, "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check", *needs]
    installed = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr[-2000:]
    for command in (["grade", "solutions"], ["hint"], ["--version"]):
        ran = subprocess.run(
            [python, "-m", "grader", *command],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
        assert "Traceback" not in ran.stderr
    print(versions, subprocess.check_output([python, "-m", "pip", "freeze"], text=True), file=sys.stderr)
