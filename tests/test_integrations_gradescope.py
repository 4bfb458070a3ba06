"""The autograder for Gradescope: built, laid out as Gradescope lays it out, and run on good and bad submissions."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from answers.build import SOFTMAX_MINUS_ONE, notebook, with_lines
from dojo import dojo, dojo_here, environment

pytest.importorskip("hatchling", reason="hatchling is not installed")

KEYS = {"score", "output", "output_format", "visibility", "stdout_visibility", "tests"}


def checked(text: str) -> dict[str, Any]:
    """results.json as Gradescope documents it."""
    results: dict[str, Any] = json.loads(text)
    assert results.keys() >= KEYS
    assert results.keys() - KEYS <= {"execution_time", "test_output_format", "test_name_format", "extra_data"}
    assert isinstance(results["score"], (int, float))
    assert results["output"]
    assert results["output_format"] == "text"
    assert (results["visibility"], results["stdout_visibility"]) == ("visible", "hidden")
    for test in results["tests"]:
        assert test.keys() == {
            "name", "number", "score", "max_score", "status", "output", "output_format", "visibility"
        }  # fmt: skip
        assert 0 <= test["score"] <= test["max_score"]
        assert test["status"] in ("passed", "failed")
        assert test["output_format"] == "text"
        assert all(isinstance(test[key], str) for key in ("name", "number", "output"))
    return results


# ---- The zip ----


@pytest.fixture(scope="module")
def autograder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that Gradescope calls /autograder, with the zip unpacked and the package in place of setup.sh's."""
    folder = tmp_path_factory.mktemp("gradescope")
    (folder / "points.toml").write_text("[tool.dojo.points]\nW2 = 3\nshape-share = 0.5\n")
    target = folder / "autograder.zip"
    ran = dojo(folder, "gradescope", "--out", target, "--points", folder / "points.toml")
    assert ran.returncode == 0, ran.stderr
    root = folder / "autograder"
    # Python's zipfile drops the mode; unzip, as Gradescope has it, keeps it.
    with ZipFile(target) as file:
        file.extractall(root / "source")
        for entry in file.infolist():
            if mode := entry.external_attr >> 16:
                (root / "source" / entry.filename).chmod(mode)
    (wheel,) = (root / "source").glob("*.whl")
    with ZipFile(wheel) as file:
        file.extractall(root / "site")
    command = root / "venv" / "bin" / "dojo"
    command.parent.mkdir(parents=True)
    site, python = shlex.quote(str(root / "site")), shlex.quote(sys.executable)
    command.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {python} -P -m grader "$@"\n')
    command.chmod(0o755)
    return root


def run_autograder(autograder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """As Gradescope does it: a copy of the script at the root, an environment that is nearly empty, another folder."""
    script = autograder / "run_autograder"
    shutil.copy(autograder / "source" / "run_autograder", script)
    shutil.rmtree(autograder / "results", ignore_errors=True)
    variables = {"PATH": os.environ["PATH"], "HOME": str(autograder), "AUTOGRADER_ROOT": str(autograder), **more}
    return subprocess.run(
        [script], cwd="/", env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


def hand_in(autograder: Path, files: dict[str, str | bytes]) -> None:
    folder = autograder / "submission"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (autograder / "submission_metadata.json").write_text(json.dumps({"id": 1, "users": [{"name": "Ada"}]}))


def graded(autograder: Path, files: dict[str, str | bytes]) -> dict[str, Any]:
    hand_in(autograder, files)
    ran = run_autograder(autograder)
    assert ran.returncode == 0, ran.stderr
    assert not (autograder / "site" / "solutions").exists()
    return checked((autograder / "results" / "results.json").read_text())


def test_the_zip_holds_what_gradescope_runs_and_never_the_solutions(autograder: Path) -> None:
    source = autograder / "source"
    (wheel,) = source.glob("*.whl")
    names = {path.name for path in source.iterdir()}
    assert names == {"setup.sh", "run_autograder", "constraints.txt", "options.txt", "points.toml", wheel.name}
    for name in ("setup.sh", "run_autograder"):
        assert (source / name).stat().st_mode & stat.S_IXUSR
        assert subprocess.run(["bash", "-n", source / name]).returncode == 0
    options = (source / "options.txt").read_text()
    assert re.fullmatch(r"--isolation\nhighest\n--seed\n\d+\n--points\npoints.toml\n", options), options
    with ZipFile(wheel) as file:
        assert not [name for name in file.namelist() if "solution" in name]
        assert "grader/bundle/exercises/makemore/ex1_atoms.py" in file.namelist()
        assert "grader/report/report.schema.json" in file.namelist()
        assert (
            "[pytest11]\ndojo = grader.integrations.pytest_plugin"
            in file.read(next(name for name in file.namelist() if name.endswith("entry_points.txt"))).decode()
        )


def test_a_submission_is_graded_with_the_points_of_the_course(autograder: Path) -> None:
    mistakes = {"dh": "dh = -dlogits @ W2.T", "dbnmeani": "dbnmeani = -dbndiff.sum(0)", "dprobs": "dprobs = ..."}
    files: dict[str, str | bytes] = {
        "work.ipynb": notebook(with_lines(mistakes), SOFTMAX_MINUS_ONE),
        "notes.py": "x = 1\n",
        "broken.ipynb": "{",
        "pyproject.toml": "[tool.dojo.points]\nlogits = 1000\n",
    }
    results = graded(autograder, files)
    assert (results["score"], sum(test["max_score"] for test in results["tests"])) == (26.5, 29)
    assert sum(test["score"] for test in results["tests"]) == results["score"]
    assert 0 < results["execution_time"] < 120
    tests = {test["name"]: test for test in results["tests"]}
    assert len(tests) == 27
    assert tests["ex1_atoms: dW2"]["max_score"] == 3
    assert (tests["ex1_atoms: dbnmeani"]["score"], tests["ex1_atoms: dbnmeani"]["status"]) == (0.5, "failed")
    assert "dh = -dlogits @ W2.T" in tests["ex1_atoms: dh"]["output"]
    assert tests["ex1_atoms: dprobs"]["output"] == "not attempted"
    assert tests["ex2_cross_entropy: dlogits"]["number"] == "2.1"
    assert results["extra_data"]["makemore/ex1_atoms"].keys() == {"seed", "torch", "isolation"}
    for name in ("notes.py: assigns no gradient", "broken.ipynb: not a readable notebook"):
        assert name in results["output"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no .py or .ipynb file in this folder"),
        ({"a.txt": "x"}, "no .py or .ipynb file in this folder"),
        ({"a.py": "x = 1\n"}, "assigns no gradient that an exercise grades"),
        ({"a.ipynb": "{"}, "not a readable notebook"),
        ({"a.py": b"\xff\xfe"}, "not UTF-8 text"),
        ({"a.py": ""}, "the file is empty"),
        ({"a.py": "x = 1\n", "b\x1b[31m\n.py": ""}, r"b\x1b[31m\n.py: the file is empty"),
    ],
)
def test_what_cannot_be_graded_is_score_0_and_a_sentence(
    autograder: Path, files: dict[str, str | bytes], said: str
) -> None:
    if len(files) == 1:  # what the script does where nothing can be graded, it does for the others
        hand_in(autograder, files)
        ran = dojo_here(autograder, "grade", "submission", "--format", "gradescope", "--isolation", "basic")
        results = checked(ran.stdout)
    else:
        results = graded(autograder, files)
    assert (results["score"], results["tests"]) == (0, [])
    assert said in results["output"]


def test_a_link_is_not_followed(autograder: Path) -> None:
    hand_in(autograder, {})
    (autograder / "secret").write_text(SOFTMAX_MINUS_ONE)
    (autograder / "submission" / "ex2.py").symlink_to(autograder / "secret")
    run_autograder(autograder)
    results = checked((autograder / "results" / "results.json").read_text())
    assert (results["score"], results["tests"]) == (0, [])
    assert "is a link" in results["output"]


def test_a_grader_that_breaks_or_dies_leaves_results_too(autograder: Path) -> None:
    hand_in(autograder, {"ex2.py": SOFTMAX_MINUS_ONE})
    verdicts = autograder / "site" / "grader" / "judging" / "verdicts.py"
    text = verdicts.read_text()
    for spoilt, said in (
        ("raise RuntimeError('secret of the grader')\n", "The grader itself broke here."),
        ("import os\nos.kill(os.getpid(), 9)\n", "Grading ended before there was a result."),
    ):
        verdicts.write_text(spoilt)
        try:
            ran = run_autograder(autograder)
        finally:
            verdicts.write_text(text)
        results = checked((autograder / "results" / "results.json").read_text())
        assert ran.returncode == 0
        assert (results["score"], results["tests"]) == (0, [])
        assert results["output"].startswith(said)
        assert "secret" not in json.dumps(results)


def test_the_command_gives_the_same_without_the_zip(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{")
    ran = dojo(tmp_path, "grade", "a.ipynb", "--format", "gradescope")
    assert ran.returncode == 2
    assert checked(ran.stdout)["score"] == 0
    assert ran.stderr.startswith("dojo: a.ipynb: not a readable notebook")
    (tmp_path / "ex2.py").write_text(SOFTMAX_MINUS_ONE)
    ran = dojo(tmp_path, "grade", "ex2.py", "--format", "gradescope", "--output", "results.json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.fullmatch(r"seed \d+, isolation \w+, torch \S+\n", ran.stdout)
    assert checked((tmp_path / "results.json").read_text())["score"] == 1


# ---- What is asked for when it is built ----


def test_what_is_asked_for_is_in_the_zip(tmp_path: Path) -> None:
    index = "https://example.org/cpu"
    (tmp_path / "hw.toml").write_text('[tool.dojo.assignment]\nexercises = ["makemore/ex2"]\n')
    asked = ("--exercise", "makemore/ex2", "--require-isolation", "full", "--torch-index", index)
    asked += ("--seed", "11", "--assignment", str(tmp_path / "hw.toml"))
    ran = dojo(tmp_path, "gradescope", "--out", tmp_path / "a.zip", *asked)
    assert (ran.returncode, ran.stdout) == (0, f"written: {tmp_path / 'a.zip'}\n")
    with ZipFile(tmp_path / "a.zip") as file:
        options = file.read("options.txt").decode().split("\n")
        asked = ["--exercise", "makemore/ex2_cross_entropy", "--require-isolation", "full", "--seed", "11"]
        assert options[2:-1] == [*asked, "--assignment", "assignment.toml"]
        assert file.read("assignment.toml") == (tmp_path / "hw.toml").read_bytes()
        assert file.read("torch-index.txt").decode() == f"{index}\n"


@pytest.mark.parametrize(
    ("option", "value"), [("--exercise", "ex9"), ("--points", "none.toml"), ("--require-isolation", "much")]
)
def test_a_wrong_wish_is_told_and_nothing_is_written(tmp_path: Path, option: str, value: str) -> None:
    ran = dojo(tmp_path, "gradescope", "--out", tmp_path / "a.zip", option, value)
    assert ran.returncode == 2
    assert ran.stderr.startswith("dojo: ")
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "a.zip").exists()


def contents(path: Path) -> dict[str, bytes]:
    with ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.mark.slow
def test_an_installed_package_builds_the_same_zip_as_a_clone(autograder: Path, tmp_path: Path) -> None:
    (wheel,) = (autograder / "source").glob("*.whl")
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q", "--target", site, wheel]
    subprocess.run(pip, check=True, timeout=120)
    command = [sys.executable, "-P", "-m", "grader", "gradescope", "--points", autograder.parent / "points.toml"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment(PYTHONPATH=str(site)), capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    clones, ours = contents(autograder.parent / "autograder.zip"), contents(tmp_path / "gradescope.zip")
    assert clones.keys() == ours.keys()
    differing = {name for name in ours if ours[name] != clones[name]}
    assert differing <= {"options.txt", "constraints.txt", wheel.name}  # the seed is drawn, the versions are read there
    for versions in (clones["constraints.txt"], ours["constraints.txt"]):
        assert re.search(rb"^torch==[\d.]+$", versions, re.MULTILINE)
    (tmp_path / wheel.name).write_bytes(ours[wheel.name])
    clones, ours = contents(wheel), contents(tmp_path / wheel.name)
    assert clones.keys() == ours.keys()
    assert [name for name in ours if ours[name] != clones[name] and not name.endswith("/RECORD")] == []
    again = tmp_path / "again"  # pip checks the hashes in RECORD
    subprocess.run([*pip[:-2], again, tmp_path / wheel.name], check=True, timeout=120)
    assert (again / "grader/bundle/exercises/makemore/ex1_atoms.py").is_file()


@pytest.mark.parametrize("index", [None, "https://example.org/cpu"])
def test_setup_installs_torch_first_then_the_wheel(autograder: Path, tmp_path: Path, index: str | None) -> None:
    """With a Python that only writes down what it is called with."""
    root = tmp_path / "autograder"
    shutil.copytree(autograder / "source", root / "source")
    if index:
        (root / "source" / "torch-index.txt").write_text(f"{index}\n")
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(
        '#!/bin/sh\necho "$@" >>"$CALLS"\n'
        'if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi\n'
    )
    python.chmod(0o755)
    calls = tmp_path / "calls"
    variables = {"PATH": f"{python.parent}:{os.environ['PATH']}", "AUTOGRADER_ROOT": str(root), "CALLS": str(calls)}
    subprocess.run([root / "source" / "setup.sh"], env=variables, check=True, timeout=60)
    (wheel,) = (root / "source").glob("*.whl")
    pip = f"-m pip install --no-cache-dir --disable-pip-version-check -c {root}/source/constraints.txt"
    assert calls.read_text().split("\n")[1:-1] == [
        f"-m venv {root}/venv",
        f"{pip} --index-url {index} torch" if index else f"{pip} torch",
        f"{pip} {wheel}[isolation]",
    ]
