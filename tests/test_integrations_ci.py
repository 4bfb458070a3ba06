"""The workflows for courses: they parse, ask for little, and hand nothing of a repository to a shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from answers.build import with_lines
from dojo import REPOSITORY, environment
from test_pytest_plugin import INSTALLED

from grader.lesson.exercise import all_exercises

GRADE = REPOSITORY / ".github" / "workflows" / "grade.yml"
CALLER = REPOSITORY / "docs" / "ci" / "github.yml"
GITLAB = REPOSITORY / "docs" / "ci" / "gitlab.yml"


def read(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


def call(workflow: dict[Any, Any]) -> dict[str, Any]:
    return dict(workflow[True]["workflow_call"])  # YAML 1.1 reads `on` as true


def test_the_workflow_is_called_and_never_runs_by_itself() -> None:
    assert read(GRADE)[True].keys() == {"workflow_call"}
    for given in call(read(GRADE))["inputs"].values():
        assert given.keys() == {"description", "type", "default"}


@pytest.mark.parametrize("path", [GRADE, CALLER], ids=lambda path: path.parent.name)
def test_it_may_only_read(path: Path) -> None:
    assert read(path)["permissions"] == {"contents": "read"}


def test_actions_are_pinned_and_leave_no_token() -> None:
    (job,) = read(GRADE)["jobs"].values()
    used = [step for step in job["steps"] if "uses" in step]
    for step in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})", step["uses"])
    assert used[0]["with"]["persist-credentials"] is False


def test_no_expression_is_written_into_a_script() -> None:
    (job,) = read(GRADE)["jobs"].values()
    for step in job["steps"]:
        assert "${{" not in step.get("run", "")
        if "run" in step:
            assert step["working-directory"] == "${{ runner.temp }}"


def test_every_input_that_a_step_reads_exists() -> None:
    asked = set(re.findall(r"inputs\.([\w-]+)", GRADE.read_text()))
    assert asked == call(read(GRADE))["inputs"].keys()
    outputs = set(re.findall(r"steps\.grade\.outputs\.([\w-]+)", GRADE.read_text()))
    assert outputs == call(read(GRADE))["outputs"].keys() == {"score", "max-score", "result"}


def test_the_example_calls_it_with_inputs_that_it_has() -> None:
    (job,) = read(CALLER)["jobs"].values()
    assert job["uses"].startswith("OWNER/backprop-dojo/.github/workflows/grade.yml@")
    assert job["with"].keys() <= call(read(GRADE))["inputs"].keys()


def test_gitlab_s_example_keeps_the_tests_as_its_report() -> None:
    (job,) = read(GITLAB).values()
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"] == {"junit": "report.xml"}
    assert "-o junit_family=xunit1 --junitxml report.xml" in job["script"][-1]


# ---- The scripts themselves ----


@pytest.fixture
def runner(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder as a runner has it: the learner's repository, the runner's own, and `dojo` and `pytest` to call."""
    for name in ("workspace", "temp", "bin"):
        (tmp_path / name).mkdir()
    plugin = "" if INSTALLED else " -p grader.integrations.pytest_plugin"
    for name, module in (("dojo", "grader"), ("pytest", f"pytest{plugin}")):
        command = tmp_path / "bin" / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m {module} "$@"\n')
        command.chmod(0o755)
    variables = environment(
        PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        GITHUB_WORKSPACE=str(tmp_path / "workspace"),
        GITHUB_OUTPUT=str(tmp_path / "outputs"),
        GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"),
    )
    return tmp_path, variables


def run_step(runner: tuple[Path, dict[str, str]], **inputs: str) -> subprocess.CompletedProcess[str]:
    (job,) = read(GRADE)["jobs"].values()
    step = next(step for step in job["steps"] if step.get("id") == "grade")
    names = {variable: re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text)[1] for variable, text in step["env"].items()}  # type: ignore[index]
    defaults = {name: str(given["default"]) for name, given in call(read(GRADE))["inputs"].items()}
    given = {variable: inputs.get(name.replace("-", "_"), defaults[name]) for variable, name in names.items()}
    folder, variables = runner
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder / "temp",
        env={**variables, **given},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_step_grades_a_repository_and_believes_nothing_in_it(runner: tuple[Path, dict[str, str]]) -> None:
    folder, _ = runner
    answers = folder / "workspace" / "exercises"
    answers.mkdir()
    (answers / "ex1 $(touch x)\n::add-mask::1.py").write_text(with_lines({"dh": "dh = -dlogits @ W2.T"}))
    (folder / "workspace" / "pyproject.toml").write_text("[tool.dojo.points]\nlogits = 1000\n")
    (folder / "workspace" / "torch.py").write_text("raise SystemExit('run')\n")
    called = {"isolation": "basic", "exercise": "makemore/ex1"}
    ran = run_step(runner, points='"makemore/ex1.W2" = 3\nshape-share = 0.5', **called)
    assert ran.returncode == 1, ran.stderr
    lines = ran.stdout.rstrip("\n").split("\n")
    token = lines[0].removeprefix("::stop-commands::")
    assert re.fullmatch(r"[0-9a-f]{32}", token)
    assert lines[1] == f"::{token}::"
    assert lines[2].startswith("::error file=exercises/ex1 $(touch x)%0A%3A%3Aadd-mask%3A%3A1.py,line=")
    assert "Points 27/28" in lines
    assert "score=27\n" in (folder / "outputs").read_text()
    assert "27 of 28" in (folder / "summary.md").read_text()
    left = sorted(path.name for path in (folder / "temp").iterdir())
    assert left == ["annotations.txt", "points.toml", "result.json"]


def test_the_step_goes_by_the_assignment_that_is_stated(runner: tuple[Path, dict[str, str]]) -> None:
    (runner[0] / "workspace" / "exercises").mkdir()
    (runner[0] / "workspace" / "exercises" / "ex1.py").write_text(with_lines({}))
    stated = 'exercises = ["makemore/ex1", "makemore/ex2"]\npoints = 10'
    ran = run_step(runner, assignment=stated, isolation="basic")
    assert "Points 9.63/10" in ran.stdout
    assert "makemore/ex2_cross_entropy%3A not handed in" in ran.stdout


def test_the_step_refuses_below_the_isolation_that_is_required(runner: tuple[Path, dict[str, str]]) -> None:
    (runner[0] / "workspace" / "exercises").mkdir()
    ran = run_step(runner, require_isolation="bomb-proof")
    assert ran.returncode == 2
    assert "::error title=Not graded::" in ran.stdout


@pytest.mark.slow
def test_gitlab_s_script_writes_its_report(runner: tuple[Path, dict[str, str]]) -> None:
    folder, variables = runner
    repository = folder / "workspace"
    shutil.copytree(REPOSITORY / "exercises", repository / "exercises")
    (repository / "conftest.py").write_text("raise SystemExit('run')\n")
    (repository / "pytest.ini").write_text("[pytest]\naddopts = -k nothing\n")
    (job,) = read(GITLAB).values()
    ran = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", job["script"][-1]],
        cwd=repository,
        env={**variables, "CI_PROJECT_DIR": str(repository)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 1, ran.stderr
    assert f"{sum(len(e.graded) for e in all_exercises() if not e.grading.optional)} failed" in ran.stdout
    assert (
        'classname="exercises.makemore.ex1_atoms" name="dlogits" file="exercises/makemore/ex1_atoms.py"'
        in (repository / "report.xml").read_text()
    )
