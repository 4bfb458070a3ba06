"""`pytest --dojo` from end to end, in processes of its own; and that it is idle without --dojo."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import warm
from answers.build import BATCHNORM_IN_ONE, SOFTMAX_MINUS_ONE, notebook, with_lines
from dojo import environment

MISTAKES = {"dprobs": "dprobs = ...", "dh": "dh = -dlogits @ W2.T"}
CANARY = "from pathlib import Path\nPath(__file__).with_name('executed').touch()\n"
INSTALLED = any(point.name == "dojo" for point in importlib.metadata.entry_points(group="pytest11"))


PLUGIN = () if INSTALLED else ("-p", "grader.integrations.pytest_plugin")
COMMAND = ("-m", "pytest", *PLUGIN, "-p", "no:cacheprovider")
"""pytest with the plugin, as an installation has it."""
LOADED = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"
"""What pytest remarks in a warm process."""


def run_pytest(folder: Path, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """With warnings as errors."""
    return warm.run([*COMMAND, "-W", "error", "-W", LOADED, *arguments], folder, environment(**more))


def pytest_started(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The same in a process that starts from nothing."""
    command = [sys.executable, *COMMAND, "-W", "error", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120)


def counts(ran: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The last line, such as `2 failed, 24 passed`, as numbers."""
    last = ran.stdout.rstrip().split("\n")[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|deselected|error)", last)}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of one exercise, one of three, one that cannot be read, and files that are nobody's answer."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "pytest.ini").write_text("")  # so that paths begin here, whatever lies above
    answers = folder / "answers"
    (answers / "package").mkdir(parents=True)
    (answers / "ex1.py").write_text(with_lines(MISTAKES))
    (answers / "all.ipynb").write_text(notebook(with_lines({}), SOFTMAX_MINUS_ONE, BATCHNORM_IN_ONE))
    (answers / "bad.ipynb").write_text("{")
    (answers / "conftest.py").write_text(CANARY)
    (answers / "test_tools.py").write_text(CANARY + "def test_it():\n    pass\n")
    (answers / "package" / "__init__.py").write_text(CANARY)
    (answers / "package" / "test_ex2.py").write_text(CANARY + SOFTMAX_MINUS_ONE)
    return folder


def test_each_gradient_is_a_test_and_nothing_is_run_by_pytest(course: Path) -> None:
    ran = pytest_started(course, "--dojo", "answers", "--junitxml=report.xml", "--doctest-modules")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert counts(ran) == {"failed": 3, "passed": 24 + 28 + 1}
    assert not list(course.rglob("executed"))
    assert "Traceback" not in ran.stdout
    assert "grader/" not in ran.stdout
    cases = ElementTree.parse(course / "report.xml").getroot().findall(".//testcase")
    found = {(case.get("classname"), case.get("name")): case for case in cases}
    assert len(found) == 56
    wrong = found["answers.ex1", "dh"]
    (failure,) = wrong.findall("failure")
    assert failure.text is not None
    line = with_lines(MISTAKES).split("\n").index(MISTAKES["dh"]) + 1
    assert failure.text.startswith(f"answers/ex1.py:{line}: dh: wrong [sign]\n    dh = -dlogits @ W2.T\n")
    told = {p.get("name"): p.get("value") for p in wrong.iter("property")}
    assert told.keys() == {"status", "mistake", "seed", "isolation"}
    assert (told["status"], told["mistake"], told["isolation"]) == ("wrong", "sign", "basic")
    assert f"dojo: seed {told['seed']}" in ran.stdout
    assert found["answers.ex1", "dprobs"].find("failure").get("message") == "answers/ex1.py: dprobs: not attempted"
    unread = found["answers.bad.ipynb", "submission"].find("failure").get("message")
    assert unread.startswith("answers/bad.ipynb: not a readable notebook")
    assert ("answers.all.ipynb.ex2", "dlogits") in found


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (("answers", "-k", "dlogits"), {"passed": 4, "deselected": 52}),
        (("answers/ex1.py::dh",), {"failed": 1}),
        (("answers/all.ipynb::ex3",), {"passed": 1}),
        (("answers/ex1.py", "-x"), {"failed": 1, "passed": 1}),
        (("answers/all.ipynb", "--dojo-exercise", "ex2"), {"passed": 1}),
    ],
)
def test_what_is_chosen_is_graded_and_no_more(course: Path, chosen: tuple[str, ...], expected: dict[str, int]) -> None:
    ran = run_pytest(course, "--dojo", *chosen, "-q")
    assert counts(ran) == expected, ran.stdout + ran.stderr


def test_a_file_is_graded_once_and_only_when_a_test_of_it_runs(course: Path, tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(
        "from grader.judging.grade import Grader\n"
        "grade_part = Grader.grade_part\n"
        "def counted(self, part):\n"
        "    print('GRADED', part.analysis.source.path, part.exercise.number)\n"
        "    return grade_part(self, part)\n"
        "Grader.grade_part = counted\n"
    )
    path = f"{tmp_path}:{environment()['PYTHONPATH']}"
    listed = run_pytest(course, "--dojo", "answers", "-p", "counting", "-s", "--collect-only", PYTHONPATH=path)
    assert "GRADED" not in listed.stdout
    ran = run_pytest(course, "--dojo", "answers", "-p", "counting", "-s", "-k", "ex1 and not all", PYTHONPATH=path)
    assert re.findall(r"GRADED (\S+ \w+)", ran.stdout) == ["answers/ex1.py ex1"]


def test_collecting_loads_no_torch(course: Path) -> None:
    run = (
        "import sys, pytest, grader.integrations.pytest_plugin as plugin\n"
        f"installed = {INSTALLED}\n"
        "pytest.main(['--dojo', 'answers', '--collect-only', '-q'], plugins=[] if installed else [plugin])\n"
        "print('TORCH', 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", run], cwd=course, env=environment(), capture_output=True, text=True)
    assert "answers/ex1.py::dlogits" in ran.stdout
    assert "TORCH False" in ran.stdout


def test_the_same_seed_everywhere_under_xdist(course: Path) -> None:
    ran = run_pytest(course, "--dojo", "answers", "-n", "2", "-q", "--junitxml=xdist.xml")
    assert counts(ran) == {"failed": 3, "passed": 53}, ran.stdout + ran.stderr
    root = ElementTree.parse(course / "xdist.xml").getroot()
    assert len({p.get("value") for p in root.iter("property") if p.get("name") == "seed"}) == 1
    assert "answers/bad.ipynb: not a readable notebook" in ran.stdout


def test_an_untouched_exercise_fails_as_not_attempted(tmp_path: Path) -> None:
    stub = Path(environment()["PYTHONPATH"]) / "exercises" / "makemore" / "ex4_training.py"
    (tmp_path / "ex4_training.py").write_text(stub.read_text())
    ran = run_pytest(tmp_path, "--dojo", ".", "-q")
    assert counts(ran) == {"failed": 8}, ran.stdout + ran.stderr
    assert "ex4_training.py: loss: not attempted" in ran.stdout


def test_a_named_file_without_an_exercise_is_no_success(course: Path) -> None:
    ran = run_pytest(course, "--dojo", "answers/test_tools.py", "-q")
    assert ran.returncode == 1
    assert "assigns no gradient that an exercise grades" in ran.stdout
    assert not list(course.rglob("executed"))


def test_hostile_names_and_messages_are_shown_as_text(tmp_path: Path) -> None:
    answer = "dlogits = 1 / 0  # \x1b[31m \x9b2J\n"
    (tmp_path / "e\x1b[2J\n::error::x.py").write_text(
        "def f():\n    raise ValueError('\\x1b]0;x\\x07')\ndlogits = f()\n"
    )
    (tmp_path / "plain.py").write_text(answer)
    ran = run_pytest(tmp_path, "--dojo", ".", "-v", "--junitxml=report.xml")
    assert ran.returncode == 1
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", ran.stdout)
    assert not re.search(r"^::", ran.stdout, re.MULTILINE)
    assert r"e\x1b[2J\n::error::x.py" in ran.stdout
    ElementTree.parse(tmp_path / "report.xml")


def test_a_submission_does_not_set_up_the_run(course: Path, tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir()
    (tmp_path / "alice" / "ex2.py").write_text(SOFTMAX_MINUS_ONE)
    (tmp_path / "alice" / "pytest.ini").write_text("[pytest]\naddopts = --junitxml=../stolen.xml\n")
    own = tmp_path / "alice" / "pytest.ini"
    for settings in ("--junitxml=../stolen.xml", f"--dojo-seed=1 -c {own}"):
        own.write_text(f"[pytest]\naddopts = {settings}\n")
        for folder, named in ((tmp_path, "alice"), (tmp_path, "alice/ex2.py"), (tmp_path / "alice", "ex2.py")):
            ran = run_pytest(folder, "--dojo", named)
            assert ran.returncode == pytest.ExitCode.USAGE_ERROR, ran.stdout
            assert "may be a submission's" in ran.stderr
    (tmp_path / "ours.ini").write_text("[pytest]\n")
    ran = run_pytest(tmp_path, "--dojo", "alice", "-c", "ours.ini")
    assert counts(ran) == {"passed": 1}, ran.stdout + ran.stderr
    assert not (tmp_path / "stolen.xml").exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--dojo-exercise=ex9", "makemore/ex1, makemore/ex2, makemore/ex3, makemore/ex4"),
        ("--dojo-isolation=none", "choose one of: basic, partial, full"),
        ("--dojo-seed=x", "invalid int value"),
    ],
)
def test_a_wrong_option_is_told_before_anything_runs(course: Path, option: str, said: str) -> None:
    ran = run_pytest(course, "--dojo", "answers", option)
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


# ---- Without --dojo ----


def test_without_dojo_other_people_s_runs_are_as_they_were(course: Path) -> None:
    (course / "test_theirs.py").write_text(
        "import sys\n"
        "def test_nothing_of_ours_is_loaded():\n"
        "    ours = {name for name in sys.modules if name.split('.')[0] in ('grader', 'torch', 'numpy', 'rich')}\n"
        "    assert ours <= {'grader', 'grader.integrations', 'grader.integrations.pytest_plugin'}\n"
    )
    ran = pytest_started(course, "test_theirs.py", "-q")
    assert counts(ran) == {"passed": 1}, ran.stdout + ran.stderr
    exercise = pytest_started(course, "answers/package/test_ex2.py", "-q", "--collect-only")
    assert "dlogits" not in exercise.stdout.replace("d" + "logits = ", "")
    for canary in course.rglob("executed"):  # pytest itself imports what it is given
        canary.unlink()


def test_the_plugin_loads_nothing_that_pytest_has_not_loaded() -> None:
    code = "import sys, pytest; before = {*sys.modules}; import grader.integrations.pytest_plugin; "
    code += "print(*sorted(sys.modules.keys() - before))"
    ran = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["grader", "grader.integrations", "grader.integrations.pytest_plugin"]


def test_the_plugin_is_registered_for_pytest() -> None:
    text = Path(environment()["PYTHONPATH"], "pyproject.toml").read_text()
    assert re.search(r'\[project\.entry-points\.pytest11\]\ndojo = "grader\.integrations\.pytest_plugin"\n', text)
