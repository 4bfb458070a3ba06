"""`dojo grade` from end to end: exit codes, what is said of bad input, the reports."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import nbformat
import pytest
import torch
import warm
from answers.build import BATCHNORM_IN_ONE, SOFTMAX_MINUS_ONE, notebook, with_lines
from conftest import GradeText
from dojo import REPOSITORY, dojo, dojo_here, dojo_started, environment
from rich.console import Console

from grader.lesson.exercise import all_exercises
from grader.lesson.tracks import minutes_of
from grader.report.records import Report, Status, SubmissionReport, Verdict
from grader.showing.terminal import draw_report, draw_summary

Make = Callable[[Path], object]


def tree(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.rglob("*")}


def refused(folder: Path, *arguments: str, **more: str) -> str:
    """What one bad call says: one line, exit 2, nothing written."""
    before = tree(folder)
    ran = dojo_here(folder, *arguments, **more)
    assert ran.returncode == 2, (ran.stdout, ran.stderr)
    assert ran.stdout == ""
    assert re.fullmatch(r"dojo: [^\n]+\n", ran.stderr), ran.stderr
    assert "Traceback" not in ran.stderr
    assert tree(folder) == before
    return ran.stderr.removeprefix("dojo: ").rstrip("\n")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100_000_000)


def in_the_way(folder: Path) -> None:
    (folder / "exercises/makemore/ex1_atoms.py").mkdir(parents=True)


# ---- Bad input ----


# (what is wrong, what makes it, the call, what is said)
def linked(folder: Path) -> None:
    (folder / "a.py").write_text("dh = 1\n")
    (folder / "a.html").symlink_to("a.py")


def beside(file: str) -> Make:
    """An answer, and a file that must be as it is."""

    def make(folder: Path) -> None:
        (folder / "a.py").write_text("dh = 1\n")
        (folder / file).write_text("ada\n")

    return make


BAD: list[tuple[str, Make, str, str]] = [
    ("no such file", lambda _: None, "grade ex1.py", "ex1.py: no such file or folder"),
    ("no such folder", lambda _: None, "grade answers/", "answers: no such file or folder"),
    ("empty folder", lambda f: (f / "a").mkdir(), "grade a", "a: no .py or .ipynb file in this folder"),
    ("no exercises here", lambda _: None, "grade", "there is no exercises/ folder here"),
    ("another kind of file", lambda f: (f / "a.txt").write_text("x"), "grade a.txt", "a.txt: neither a .py file"),
    ("not a notebook", lambda f: (f / "a.ipynb").write_text("dh = 1"), "grade a.ipynb", "not a readable notebook"),
    ("other JSON", lambda f: (f / "a.ipynb").write_text("{}"), "grade a.ipynb", "a.ipynb: not a notebook"),
    (
        "truncated JSON",
        lambda f: (f / "a.ipynb").write_text(notebook("dh = 1")[:-20]),
        "grade a.ipynb",
        "not a readable notebook",
    ),
    (
        "old notebook",
        lambda f: (f / "a.ipynb").write_text('{"nbformat": 3, "nbformat_minor": 0, "worksheets": []}'),
        "grade a.ipynb",
        "notebook format 3 is too old",
    ),
    ("not UTF-8", lambda f: (f / "a.py").write_bytes(b"x = 1\nh = '\xe9'\n"), "grade a.py", "a.py:2: not UTF-8 text"),
    ("UTF-16", lambda f: (f / "a.py").write_text("dh = 1", "utf-16"), "grade a.py", "a.py:1: not UTF-8 text"),
    ("empty file", lambda f: (f / "a.py").touch(), "grade a.py", "a.py: the file is empty"),
    ("blank file", lambda f: (f / "a.py").write_bytes(b"\xef\xbb\xbf\r\n  "), "grade a.py", "a.py: the file is empty"),
    ("no Python", lambda f: (f / "ex1.py").write_text("def\n(\n"), "grade ex1.py", "ex1.py:1: not a line of it"),
    ("100 MB", lambda f: sparse(f / "a.py"), "grade a.py", "a.py: 100 MB is too large"),
    ("100 MB notebook", lambda f: sparse(f / "a.ipynb"), "grade a.ipynb", "a.ipynb: 100 MB is too large"),
    ("no gradient", lambda f: (f / "a.py").write_text("x = 1\n"), "grade a.py", "a.py: assigns no gradient"),
    (
        "unknown exercise",
        lambda f: (f / "a.py").write_text("dh = 1\n"),
        "grade a.py --exercise ex9",
        "makemore/ex1, makemore/ex2, makemore/ex3, makemore/ex4",
    ),
    ("unknown format", lambda f: (f / "a.py").write_text("dh = 1\n"), "grade a.py --format yaml", "terminal, json"),
    ("unknown device", lambda f: (f / "a.py").write_text("dh = 1\n"), "grade a.py --device tpu", "auto, cpu or cuda"),
    ("unknown option", lambda _: None, "grade --bogus", "--bogus"),
    ("unknown command", lambda _: None, "grad", "grad"),
    ("seed is no number", lambda _: None, "grade --seed x", "'--seed'"),
    ("output into nowhere", lambda f: (f / "a.py").write_text("dh = 1\n"), "grade a.py --output b/c.json", "b/c.json"),
    ("output is a folder", lambda f: (f / "a.py").write_text("dh = 1\n"), "grade a.py --output .", "."),
    ("no such names", lambda _: None, "grade --names none.txt", "none.txt"),
    ("names are a folder", lambda _: None, "grade --names .", "cannot be read"),
    ("no names", lambda f: (f / "n.txt").touch(), "grade --names n.txt", "n.txt: the file is empty"),
    (
        "names not UTF-8",
        lambda f: (f / "n.txt").write_bytes(b"ada\n\xe9va\n"),
        "grade --names n.txt",
        "n.txt:2: not UTF-8",
    ),
    (
        "names in capitals",
        lambda f: (f / "n.txt").write_text("ada\nbea\nCleo\n"),
        "grade --names n.txt",
        "n.txt:3: 'C'",
    ),
    ("few names", lambda f: (f / "n.txt").write_text("ada\nbea\n"), "grade --names n.txt", "n.txt: 2 names"),
    (
        "nothing to train",
        lambda f: (f / "a.py").write_text("dh = 1\n"),
        "train a.py",
        "a.py: holds no training loop",
    ),
    ("training file is missing", lambda _: None, "train a.py", "a.py"),
    ("reset of nothing", lambda _: None, "reset makemore/ex1 --yes", "exercises/makemore/ex1_atoms.py"),
    ("reset of the unknown", lambda _: None, "reset ex9 --yes", "'ex9' is unknown"),
    ("reset of a folder", in_the_way, "reset makemore/ex1 --yes", "ex1_atoms.py: cannot be read or written"),
    ("init over a folder", in_the_way, "init --track makemore", "ex1_atoms.py: cannot be written"),
    ("welcome into nowhere", lambda _: None, "welcome a", "a/welcome.ipynb: cannot be read or written"),
    ("a report over an answer", lambda f: (f / "a.py").write_text("dh = 1\n"), "grade a.py --output a.py", "work"),
    ("a picture over an answer", lambda f: (f / "a.py").write_text("dh = 1\n"), "train a.py --picture a.py", "work"),
    ("a zip over a notebook", lambda f: (f / "a.ipynb").touch(), "gradescope --out a.ipynb", "a.ipynb: holds somebody"),
    (
        "a zip over another",
        lambda f: (f / "a.zip").touch(),
        "gradescope --out a.zip",
        "a.zip: is there, and is no auto",
    ),
    ("a report behind a link", linked, "grade a.py --format html --output a.html", "a.html: holds somebody's work"),
    *(
        (f"a report over {file}", beside(file), f"grade a.py --format json {said} --output ./{file}", "would be lost")
        for file, said in (
            ("hw.toml", "--assignment hw.toml"),
            ("p", "--points p"),
            ("n.txt", "--names n.txt"),
            ("pyproject.toml", ""),
            ("t.txt", "--text t.txt"),
            ("b.txt", "b.txt"),
        )
    ),
    ("a zip over points", beside("p.zip"), "gradescope --out p.zip --points p.zip", "p.zip: is the --points of this"),
    ("a curve over data", beside("d.svg"), "train a.py --picture d.svg --data d.svg", "d.svg: is the data file of"),
    ("init into a file", lambda f: (f / "a").write_text("x"), "init a", "cannot be written"),
]


@pytest.mark.parametrize(("make", "call", "said"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_bad_input_gets_one_line(tmp_path: Path, make: Make, call: str, said: str) -> None:
    make(tmp_path)
    assert said in refused(tmp_path, *call.split())


def test_a_bad_list_in_the_environment_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("dh = 1\n")
    assert refused(tmp_path, "grade", "a.py", DOJO_NAMES="nowhere.txt").startswith("DOJO_NAMES=nowhere.txt: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("dh = 1\n")
    assert "finds no CUDA device" in refused(tmp_path, "grade", "a.py", "--device", "cuda")


# ---- Reports ----


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file that is all right, with a BOM and CRLF, and one with a mistake of each kind."""
    folder = tmp_path_factory.mktemp("answers")
    (folder / "ex2.py").write_bytes(b"\xef\xbb\xbf" + SOFTMAX_MINUS_ONE.replace("\n", "\r\n").encode())
    mistakes = {
        "dprobs": "dprobs = ...",
        "dh": "dh = -dlogits @ W2.T",
        "dbnmeani": "dbnmeani = -dbndiff.sum(0)",
        "dW1": "dW1 = embcat.t @ dhprebn",
        "db2": "db2 = b2.grad",
    }
    (folder / "all.ipynb").write_text(notebook(with_lines(mistakes), SOFTMAX_MINUS_ONE, BATCHNORM_IN_ONE))
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "all.ipynb").write_text("not read")
    return folder


@pytest.fixture(scope="module")
def graded(answers: Path) -> tuple[int, dict[str, Any]]:
    ran = dojo(answers, "grade", ".", "--format", "json", "--seed", "5")
    assert ran.stderr == ""
    return ran.returncode, json.loads(ran.stdout)


def test_the_exit_code_is_0_when_all_is_right(answers: Path) -> None:
    ran = dojo_started(answers, "grade", "ex2.py", "--seed", "5")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == dojo(answers, "grade", "ex2.py", "--seed", "5").stdout, "a warm process is as a fresh one"
    assert "right (rounding only)" in ran.stdout
    assert "1 of 1" in ran.stdout
    assert "First thing" not in ran.stdout


def test_json_is_as_the_design_gives_it(graded: tuple[int, dict[str, Any]]) -> None:
    code, report = graded
    assert code == 1
    assert report["schema"] == 1
    texts = ("path", "exercise", "torch", "device", "isolation")
    for submission in report["submissions"]:
        assert all(isinstance(submission[key], str) and submission[key] for key in texts)
        assert all(type(submission[key]) is int for key in ("score", "max_score", "seed"))
        assert (submission["seed"], submission["device"], submission["torch"]) == (5, "cpu", torch.__version__)
        for verdict in submission["verdicts"]:
            assert isinstance(verdict["name"], str)
            assert verdict["status"] in get_args(Status)
            assert {type(verdict[key]) for key in ("exact", "approximate")} <= {bool, type(None)}
            assert isinstance(verdict["maxdiff"], (float, type(None)))
            assert isinstance(verdict["mistake"], (str, type(None)))
            assert isinstance(verdict["message"], str)
            assert isinstance(verdict["line"], (int, type(None)))
        passed = [verdict for verdict in submission["verdicts"] if verdict["status"] == "pass"]
        assert (submission["score"], submission["max_score"]) == (len(passed), len(submission["verdicts"]))


def test_a_file_that_holds_several_exercises_gives_one_entry_each(graded: tuple[int, dict[str, Any]]) -> None:
    found = [(s["path"], s["exercise"], s["score"]) for s in graded[1]["submissions"]]
    assert found == [
        ("all.ipynb", "makemore/ex1_atoms", 21),
        ("all.ipynb", "makemore/ex2_cross_entropy", 1),
        ("all.ipynb", "makemore/ex3_batchnorm", 1),
        ("ex2.py", "makemore/ex2_cross_entropy", 1),
    ]
    verdicts = {verdict["name"]: verdict for verdict in graded[1]["submissions"][0]["verdicts"]}
    assert {name: v["status"] for name, v in verdicts.items() if v["status"] != "pass"} == {
        "probs": "missing",
        "h": "wrong",
        "bnmeani": "shape",
        "W1": "error",
        "b2": "forbidden",
    }


def test_the_same_seed_repeats_the_report(answers: Path, graded: tuple[int, dict[str, Any]], tmp_path: Path) -> None:
    ran = dojo_here(answers, "grade", ".", "--format", "json", "--seed", "5", "--output", tmp_path / "again.json")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "")
    assert json.loads((tmp_path / "again.json").read_text()) == graded[1]


def test_a_pipe_gets_plain_text_of_80_columns(answers: Path) -> None:
    ran = dojo(answers, "grade", "all.ipynb", TERM="xterm-256color")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "\x1b" not in ran.stdout
    assert max(map(len, ran.stdout.split("\n"))) <= 80
    assert "21 of 26" in ran.stdout
    for line in ("dlogprobs", "dh ", "right", "wrong shape", "not attempted", "taken from autograd", "error"):
        assert line in ran.stdout
    tail = ran.stdout[ran.stdout.index("First thing to look at") :]
    assert "dh = -dlogits @ W2.T" in tail
    assert re.search(r"cell\s+1,\s+line\s+\d+", tail)


def in_terminal(folder: Path, *arguments: str, columns: int = 80, **more: str) -> bytes:
    """What `dojo` shows in a terminal so wide, where it ends with 0."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with Path(os.devnull).open() as nothing:
        streams, own = (nothing.fileno(), theirs, 2), environment(TERM="xterm-256color", **more)
        running = warm.Process(["-m", "grader", *arguments], folder, own, streams)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # Linux: the other end is closed
        pass
    os.close(ours)
    assert running.wait(timeout=60) == 0
    return shown


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_colours_unless_told_otherwise(answers: Path, more: dict[str, str], coloured: bool) -> None:
    shown = in_terminal(answers, "grade", "ex2.py", **more)
    assert b"1 of 1" in shown
    assert bool(re.search(rb"\x1b\[(?:\d+;)*3\d", shown)) == coloured


@pytest.mark.parametrize("arguments", [(), ("hint", "dlogits", "--exercise", "makemore/ex2")])
def test_no_line_is_wider_than_a_narrow_terminal(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    lines = in_terminal(tmp_path, *arguments, columns=60, NO_COLOR="1").decode().split("\r\n")
    assert len(lines) > 5
    assert [line for line in lines if len(line) > 60] == []


def test_help_is_there_for_every_command(tmp_path: Path) -> None:
    top = dojo_started(tmp_path, "--help")
    assert top.returncode == 0
    for command in ("grade", "train", "init", "reset", "data"):
        assert command in top.stdout
    assert dojo(tmp_path, "grade", "--help").returncode == 0


# ---- The end of a command ----

AS_A_PROGRAM = """
import atexit, os, sys
from grader.cli.main import console

end = os._exit

def at_once(code):
    print("ended at once", flush=True)
    end(code)

os._exit = at_once
atexit.register(print, "called at the end")
sys.settrace({tracer})
sys.argv = ["dojo", "--version"]
console()
"""


@pytest.mark.parametrize(("tracer", "at_once"), [("None", True), ("lambda *_: None", False)])
def test_the_end_waits_for_what_asked_to_be_called_and_for_nothing_else(tracer: str, at_once: bool) -> None:
    program = [sys.executable, "-c", AS_A_PROGRAM.format(tracer=tracer)]
    ran = subprocess.run(program, env=environment(), capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "called at the end" in ran.stdout
    assert ("ended at once" in ran.stdout) == at_once, "whoever traces a process, as coverage does, ends it"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [("hint", "dprobs"), ("grade", "ex2.py")])
def test_a_full_disk_gets_one_line(answers: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "grader", *arguments]
        ran = subprocess.run(
            command, cwd=answers, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert ran.returncode == 2
    assert ran.stderr == "dojo: the disk is full: not all of the output is written\n"


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_is_no_reason_to_break(closed: int, answers: Path) -> None:
    command = f'exec "$0" -m grader grade ex2.py {closed}>&-'
    ran = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=answers, env=environment(), capture_output=True, timeout=120
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_folder_that_is_gone_gets_one_line(tmp_path: Path) -> None:
    (gone := tmp_path / "gone").mkdir()
    command = ["sh", "-c", 'rmdir "$PWD"; exec "$0" -m grader hint', sys.executable]
    ran = subprocess.run(command, cwd=gone, env=environment(), capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "dojo: the current folder is gone; go to one that is there\n"


def test_a_file_that_is_named_twice_is_graded_once(answers: Path) -> None:
    ran = dojo_here(answers, "grade", "ex2.py", "./ex2.py", "--format", "json")
    assert len(json.loads(ran.stdout)["submissions"]) == 1


# ---- What a learner sees first and last ----


def test_nothing_is_padded_and_nothing_breaks_in_a_narrow_or_old_console(tmp_path: Path) -> None:
    (tmp_path / "ex1.py").write_text(with_lines({"dprobs": "dprobs = dlogprobs"}))
    consoles = (dojo_here, {}), (dojo_here, {"COLUMNS": "60"})
    old = (dojo, {"PYTHONIOENCODING": "ascii"}), (dojo, {"PYTHONIOENCODING": "cp1252"})
    for run, more in (*consoles, *old):
        ran = run(tmp_path, "grade", "ex1.py", **more)
        assert (ran.returncode, ran.stderr) == (1, "")
        assert [line for line in ran.stdout.split("\n") if line != line.rstrip()] == []
        assert "First thing to look at" in ran.stdout


_WITH_27 = "dlogits = dnorm_logits + F.one_hot(logits.max(1).indices, 27) * dlogit_maxes"


def test_the_map_knows_how_long_each_lesson_takes() -> None:
    assert {exercise.id: minutes_of(exercise) for exercise in all_exercises() if not minutes_of(exercise)} == {}
    assert next(minutes_of(e) for e in all_exercises() if e.id == "makemore/ex1_atoms") == 120


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_leaves_out_figures_and_cuts_no_word(grade_text: GradeText, width: int) -> None:
    (report,) = grade_text(with_lines({"dlogits": _WITH_27, "dprobs": "dprobs = dlogprobs"}))
    drawn = io.StringIO()
    draw_report(Report([report]), Console(file=drawn, width=width))
    said = drawn.getvalue()
    assert "\u2026" not in said
    assert re.search(r"^dlogits .*right \(at these sizes\)$", said, re.MULTILINE)
    assert ("approximate" in said) == (width == 80)


def test_a_title_that_goes_on_stays_below_itself() -> None:
    title = "A lesson with a title that is longer than the terminal is wide"
    verdicts = [Verdict("h")]
    waiting = SubmissionReport("a.py", "makemore/ex1_atoms", title, 1, "", "cpu", "basic", verdicts, attempted=False)
    drawn = io.StringIO()
    draw_summary(waiting, Console(file=drawn, width=40))
    first, *others = drawn.getvalue().rstrip().split("\n")
    assert first.startswith("  0 of 1   A lesson")
    assert others
    assert all(line.startswith(" " * 11) for line in others)


def test_a_finished_track_says_what_it_counts() -> None:
    """A gradient may be worth nothing or much, so that all points are not all gradients."""
    about = {"title": "t", "seed": 1, "torch": "2", "device": "cpu", "isolation": "basic"}
    ids = ("foundations/ex1_derivatives", "foundations/ex2_neuron")
    right = [SubmissionReport(f"{i}.py", i, verdicts=[Verdict("w", "pass", max_points=5)], **about) for i in ids]
    text = io.StringIO()
    draw_report(Report(right), Console(file=text, width=80))
    assert text.getvalue().startswith("10 of 10 points   Foundations, 2 lessons")


def test_the_start_says_where_to_begin_and_the_end_what_comes_next(tmp_path: Path) -> None:
    assert dojo_here(tmp_path, "init", "--track", "makemore").returncode == 0
    begun = dojo_here(tmp_path, "grade", "exercises")
    assert begun.stdout.count("not attempted") == 0
    assert re.search(r"Next: dlogprobs in exercises/makemore/ex1_atoms\.py", begun.stdout)
    done = dojo_here(tmp_path, "grade", str(REPOSITORY / "solutions" / "makemore"))
    assert done.returncode == 0
    assert re.search(r"All \d+ right\.\nNow run `make train`", done.stdout)
    assert refused(tmp_path, "init", "--track", "painting").startswith("track 'painting' is unknown; choose one of:")


def test_an_optional_lesson_waits_for_nobody_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    dojo_here(tmp_path, "init", "--track", "makemore")
    folder = tmp_path / "exercises/makemore"
    for path in (REPOSITORY / "solutions/makemore").glob("ex[1-4]*.py"):
        (folder / path.name).write_text(path.read_text())
    done = dojo_here(tmp_path, "grade", "exercises")
    assert done.returncode == 0, done.stdout
    assert re.search(r"All 36 right\.", done.stdout)
    assert "optional" not in done.stdout + done.stderr
    assert "Next lesson: classifier/ex1" in done.stdout
    assert dojo_here(tmp_path, "hint").stdout.startswith("All 36 right.")
    assert re.search(r"Makemore \(4 lessons and 1 optional, .*\): all right", dojo_here(tmp_path).stdout)
    optional = folder / "ex5_cuda_graph.py"
    asked = dojo_here(tmp_path, "grade", str(optional))
    assert asked.returncode == 1
    assert "0 of 4" in asked.stdout
    optional.write_text(optional.read_text().replace("    ...\n", "    return table[0]\n", 1))
    begun = dojo_here(tmp_path, "grade", "exercises")
    assert begun.returncode == 1
    assert "row_at_counter" in begun.stdout


def test_a_folder_with_nothing_but_an_optional_lesson_says_what_to_do(tmp_path: Path) -> None:
    lesson = REPOSITORY / "exercises/makemore/ex5_cuda_graph.py"
    (tmp_path / lesson.name).write_text(lesson.read_text())
    assert refused(tmp_path, "grade", ".").endswith("is optional, and it is not begun; name the file to grade it")


def test_without_a_command_the_map_begins_with_what_the_folder_holds(tmp_path: Path) -> None:
    assert "There are no exercises in this folder yet. Begin with: dojo init" in dojo_here(tmp_path).stdout
    dojo_here(tmp_path, "init", "--track", "transformer")
    assert (
        "Begin with exercises/transformer/ex1_softmax.py, then run: dojo grade exercises" in dojo_here(tmp_path).stdout
    )


def test_without_a_command_the_map_says_where_you_stand(tmp_path: Path) -> None:
    dojo_here(tmp_path, "init", "--track", "makemore")
    path = tmp_path / "exercises/makemore/ex2_cross_entropy.py"
    path.write_text(path.read_text().replace("dlogits = ...", SOFTMAX_MINUS_ONE))
    assert "Begin with exercises/makemore/ex1_atoms.py" in dojo_here(tmp_path).stdout
    dojo_here(tmp_path, "grade", "exercises")
    said = dojo_here(tmp_path).stdout
    assert re.search(r"Makemore \(4 lessons.*\): 1 of 36 right", said)
    assert re.search(r"ex2 +all right", said)
    assert "dojo --help" in said
    assert dojo_here(tmp_path, "--version").stdout.startswith("dojo ")


def test_the_welcome_page_leads_to_every_lesson_and_says_where_you_stand(tmp_path: Path) -> None:
    dojo_here(tmp_path, "init")
    path = tmp_path / "exercises/makemore/ex2_cross_entropy.py"
    path.write_text(path.read_text().replace("dlogits = ...", SOFTMAX_MINUS_ONE))
    dojo_here(tmp_path, "grade", str(path))
    assert dojo_here(tmp_path, "welcome").stdout == "written: welcome.ipynb\n"
    page = tmp_path / "welcome.ipynb"
    before = page.read_bytes()
    nbformat.validate(nbformat.reads(before.decode(), as_version=4))
    said = "".join(json.loads(before)["cells"][0]["source"])
    links = re.findall(r"\]\((.*?)\)", said)
    assert set(links) == {f"notebooks/{exercise.id}.ipynb" for exercise in all_exercises()}
    assert all((tmp_path / link).is_file() for link in links)
    assert links[0] == "notebooks/makemore/ex1_atoms.ipynb"
    assert re.search(r"ex2_cross_entropy\.ipynb\) \| 40 minutes \| all right \|", said)
    dojo_here(tmp_path, "welcome")
    assert page.read_bytes() == before
    mine = nbformat.reads(before.decode(), as_version=4)
    mine.cells.append(nbformat.v4.new_code_cell(""))  # as JupyterLab adds one at the end
    page.write_text(nbformat.writes(mine))
    dojo_here(tmp_path, "welcome")
    assert (page.read_bytes(), list(tmp_path.glob("*.bak"))) == (before, [])
    mine.cells.append(nbformat.v4.new_markdown_cell("what I found out"))
    page.write_text(nbformat.writes(mine))
    dojo_here(tmp_path, "welcome")
    assert page.read_bytes() == before
    assert "what I found out" in (tmp_path / "welcome.ipynb.bak").read_text()


def test_a_suffix_in_capitals_is_no_reason_to_pass_a_file_over(tmp_path: Path) -> None:
    (tmp_path / "EX1.PY").write_text("dh = dlogits @ W2.T\n")
    (tmp_path / "other.IPYNB").write_text(notebook("dW2 = h.T @ dlogits"))
    done = dojo(tmp_path, "grade", ".", "--exercise", "makemore/ex1", "--format", "json")
    found = json.loads(done.stdout)["submissions"]
    passed = {(Path(s["path"]).name, v["name"]) for s in found for v in s["verdicts"] if v["status"] == "pass"}
    assert passed == {("EX1.PY", "h"), ("other.IPYNB", "W2")}
