"""Processes of our own: none imports from the current folder, and numpy computes in each without threads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from answers.build import SOFTMAX_MINUS_ONE, with_lines
from conftest import sampled

import grader as package
from grader.base.children import bare_environment, import_path, python_command
from grader.running.confine import ISOLATION_LEVELS, highest_isolation

REPOSITORY = Path(package.__file__).resolve().parents[1]
NAMES = (
    "json struct socket selectors signal typing dataclasses tempfile random pickle types re enum copy queue ast "
    "logging sandlock pyseccomp nbformat numpy torch sitecustomize usercustomize distributed"
).split()

KINDS = {
    "the trial process": "from grader.running.confine import offer; offer()",
    "a launcher": """
from grader.running.sandbox import Launcher
with Launcher({level!r}, forked=False) as launcher:
    launcher.start().close()
""",
    "a judge from the fork server": """
from pathlib import Path
from grader.batch.jobs import LocalJobs
from grader.batch.person import Task, Terms
jobs = LocalJobs(1)
jobs.begin(Terms(seed=1))
answers = Path({file!r}).read_bytes()
(outcome,) = jobs.outcomes([Task("ann", (("ex2.py", answers),))])
jobs.close()
assert outcome.report["submissions"][0]["score"] == 1, outcome.report
""",
    "a judge of a Dask worker": """
import os
from pathlib import Path
from grader.batch.cluster import Judges, about_worker
from grader.batch.person import Task, Terms
from grader.lesson.data_files import data_file
assert about_worker()["level"] in ("basic", "partial", "full")
judges = Judges(Terms(seed=1), data_file("names").read_bytes())
judges.setup(None)
answers = Path({file!r}).read_bytes()
outcome = judges.grade(Task("ann", (("ex2.py", answers),)))
judges.teardown(None)
assert outcome.report["submissions"][0]["score"] == 1, outcome.report
""",
}
"""Each runs in a process that itself imports nothing from the current folder, and starts another."""


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """A folder of submissions whose modules have the names of those that the grader imports."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n")
    return tmp_path


def ran_in(folder: Path, command: list[str], **variables: str) -> str:
    """Run it there, and say which of the folder's modules ran."""
    ran = subprocess.run(
        command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return (folder / "ran").read_text() if (folder / "ran").exists() else ""


@pytest.mark.parametrize("kind", KINDS)
def test_no_process_imports_from_the_current_folder(kind: str, poisoned: Path) -> None:
    if "Dask" in kind:
        pytest.importorskip("distributed")
    file = poisoned / "answers.txt"
    file.write_text(SOFTMAX_MINUS_ONE)
    code = KINDS[kind].format(level=highest_isolation(), file=str(file))
    assert ran_in(poisoned, python_command(code), PYTHONPATH=str(REPOSITORY)) == ""


def test_the_command_imports_nothing_from_the_current_folder(poisoned: Path) -> None:
    (poisoned / "ex2.py").write_text(SOFTMAX_MINUS_ONE)
    command = [sys.executable, "-P", "-c", "from grader.cli.main import main; main()", "grade", "ex2.py"]
    assert ran_in(poisoned, [*command, "--isolation", highest_isolation()], PYTHONPATH=str(REPOSITORY)) == ""


def test_the_path_leaves_the_current_folder_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), ".", *sys.path])
    assert not {"", ".", str(tmp_path)} & set(import_path())
    assert str(REPOSITORY) in import_path()
    monkeypatch.chdir(REPOSITORY)  # a checkout is where this package lies, so it stays, below the standard library
    paths = import_path()
    assert paths.index(str(REPOSITORY)) > paths.index(str(Path(os.__file__).parent))


def test_the_environment_of_a_process_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    monkeypatch.setenv("PYTHONSTARTUP", "x")
    assert not {"GITHUB_TOKEN", "PYTHONSTARTUP"} & bare_environment().keys()


# ---- numpy and torch, where no thread may be started ----

PRODUCTS = """
import os, sys
from pathlib import Path
from grader.judging.grade import Grader
from grader.running.settings import Settings
from grader.lesson.exercise import find_exercise
for level in {levels!r}:
    with Grader(Settings(seed=4, isolation=level), exercises=[find_exercise("makemore/ex1")]) as grader:
        (report,) = grader.grade_file(Path({file!r}), "ex1")
    print(level, os.getuid(), [(v.name, v.status, v.message) for v in report.verdicts if not v.passed], flush=True)
"""
LARGE = """
import numpy as np
ours = np.ones((512, 512)); theirs = torch.ones((512, 512))
share = float((ours @ ours)[0, 0]) / float((theirs @ theirs)[0, 0])
"""
AS_NOBODY = ["--reuid=65534", "--clear-groups", "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"]
"""Not root, and with none of its rights but to read files: the tests may lie where nobody else may look."""


@pytest.mark.skipif(sys.platform != "linux", reason="isolation is Linux's")
@pytest.mark.parametrize("user", sampled(2, ["as it is", "nobody"]))
def test_large_products_of_numpy_and_torch_end_on_every_isolation_level(user: str, tmp_path: Path) -> None:
    if user == "nobody" and (os.getuid() or shutil.which("setpriv") is None):
        pytest.skip("only root can become nobody, with setpriv")
    file = tmp_path / "answers.py"
    file.write_text(LARGE + with_lines({"dh": "dh = share * (dlogits @ W2.T)"}))
    levels = ISOLATION_LEVELS[: ISOLATION_LEVELS.index(highest_isolation()) + 1]
    command = python_command(PRODUCTS.format(levels=levels, file=str(file)))
    if user == "nobody":
        command = ["setpriv", *AS_NOBODY, *command]
    # numpy has its threads in this process, as in a notebook or in pytest.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    number = 65534 if user == "nobody" else os.getuid()
    assert ran.stdout == "".join(f"{level} {number} []\n" for level in levels), ran.stderr
