"""`dojo init`, `dojo reset` and `dojo train` from end to end: the files of a learner."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import warm
from dojo import dojo, dojo_here, dojo_started, environment

from grader.base import files as base_files
from grader.base.files import write_atomically
from grader.lesson.exercise import find_exercise

EX4 = find_exercise("makemore/ex4")
FILES = sorted(
    f"{folder}/makemore/{name}{suffix}"
    for folder, suffix in (("exercises", ".py"), ("notebooks", ".ipynb"))
    for name in ("ex1_atoms", "ex2_cross_entropy", "ex3_batchnorm", "ex4_training", "ex5_cuda_graph")
)


def files(folder: Path) -> list[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if ".dojo" not in path.parts)  # what init remembers of a track


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    ran = dojo(folder, "init", "course", "--track", "makemore")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(re.findall(r"^written: ", ran.stdout, re.MULTILINE)) == len(FILES)
    return folder / "course"


@pytest.fixture
def course(handed_out: Path, tmp_path: Path) -> Path:
    """A learner's own copy of what init writes."""
    return Path(shutil.copytree(handed_out, tmp_path / "course"))


# ---- init ----


def test_init_writes_every_exercise_and_its_notebook_and_no_answer(handed_out: Path) -> None:
    assert files(handed_out) == FILES
    for path in handed_out.rglob("*.py"):
        text = path.read_text()
        assert re.search(r"^( *|.* = )\.\.\.$", text, re.MULTILINE)
        assert "F.softmax(logits, 1)\n" not in text
    assert {path.name for path in handed_out.rglob(".*")} <= {".dojo", ".gitignore"}


def test_init_is_complete_where_nobody_reads_to_the_end(tmp_path: Path) -> None:
    command = '"$0" -m grader init --track makemore | head -1'
    subprocess.run(["sh", "-c", command, sys.executable], cwd=tmp_path, env=environment(), timeout=120, check=True)
    assert files(tmp_path) == FILES


def test_a_course_is_found_from_within_it(course: Path) -> None:
    """`dojo init` in a folder of the course, which would be said there else, makes a second course in the first."""
    within = course / "exercises/makemore"
    stub = within / "ex2_cross_entropy.py"
    stub.write_text(stub.read_text().replace("dlogits = ...", "dlogits = logits"))
    assert "0 of 1   Exercise 2" in dojo_here(within, "grade").stdout
    begin = "Begin with ../makemore/ex1_atoms.py, then run: dojo grade ../makemore"
    assert begin in dojo_here(within).stdout
    reset = dojo_here(within, "reset", "ex2", "--yes")
    assert (reset.returncode, "put back: " in reset.stdout) == (0, True)
    assert dojo_here(within, "sync").stdout.count("in step: ") == len(FILES) // 2


def test_init_keeps_what_differs_and_fills_in_what_is_gone(course: Path) -> None:
    mine = course / "exercises/makemore/ex1_atoms.py"
    mine.write_text("my work\n")
    (course / "exercises/makemore/ex2_cross_entropy.py").unlink()
    ran = dojo_here(course, "init", "--track", "makemore")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "kept, it differs: exercises/makemore/ex1_atoms.py" in ran.stdout
    assert "written: exercises/makemore/ex2_cross_entropy.py" in ran.stdout
    assert "--force" in ran.stdout
    assert ran.stdout.count("up to date: ") == len(FILES) - 2
    assert mine.read_text() == "my work\n"
    assert files(course) == FILES


def test_init_with_force_keeps_a_copy_of_each_version(course: Path, handed_out: Path) -> None:
    mine = course / "exercises/makemore/ex1_atoms.py"
    for work in ("first", "second"):
        mine.write_text(work)
        ran = dojo_here(course, "init", "--track", "makemore", "--force")
        assert ran.returncode == 0
        assert "replaced: exercises/makemore/ex1_atoms.py" in ran.stdout
        assert mine.read_text() == (handed_out / "exercises/makemore/ex1_atoms.py").read_text()
    assert mine.with_name("ex1_atoms.py.bak").read_text() == "first"
    assert mine.with_name("ex1_atoms.py.bak.2").read_text() == "second"
    assert len(files(course)) == len(FILES) + 2


# ---- reset ----


def test_reset_puts_one_exercise_back_and_keeps_a_copy(course: Path, handed_out: Path) -> None:
    mine, other = (course / f"exercises/makemore/{name}.py" for name in ("ex1_atoms", "ex3_batchnorm"))
    mine.write_text("my work\n")
    other.write_text("other work\n")
    ran = dojo_here(course, "reset", "makemore/ex1", "--yes")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert mine.read_text() == (handed_out / "exercises/makemore/ex1_atoms.py").read_text()
    assert mine.with_name("ex1_atoms.py.bak").read_text() == "my work\n"
    assert other.read_text() == "other work\n"
    again = dojo_here(course, "reset", "makemore/ex1", "--yes")
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True)
    assert len(files(course)) == len(FILES) + 1


def test_a_part_of_a_file_is_no_copy_of_it(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full while a copy is made leaves the file as it is, and no .bak with half of it."""

    def fills(source: Path, copy: Path) -> None:
        copy.write_bytes(source.read_bytes()[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(base_files.shutil, "copy2", fills)
    before = files(course)
    with pytest.raises(OSError, match="No space left"):
        base_files.keep_copy(course / "exercises/makemore/ex1_atoms.py")
    assert files(course) == before


def test_reset_asks_and_without_a_yes_changes_nothing(course: Path) -> None:
    mine = course / "exercises/makemore/ex1_atoms.py"
    mine.write_text("my work\n")
    for said in ("n\n", ""):
        ran = warm.run(["-m", "grader", "reset", "makemore/ex1"], course, environment(), said=said)
        assert "ex1_atoms.py" in ran.stdout
        assert "Traceback" not in ran.stderr
        assert mine.read_text() == "my work\n"
    assert files(course) == FILES


def test_what_init_hands_out_is_graded_as_not_attempted(course: Path) -> None:
    ran = dojo_here(course, "grade", "--format", "json")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert '"status": "missing"' in ran.stdout
    assert set(re.findall(r'"status": "(\w+)"', ran.stdout)) == {"missing"}
    assert len(re.findall(r'"path": ', ran.stdout)) == 4
    shown = dojo_here(course, "grade")
    assert shown.returncode == 1
    assert "0 of 26" in shown.stdout
    assert "dlogprobs" in shown.stdout


# ---- train ----


def test_train_runs_the_loop_measures_it_and_samples_names(tmp_path: Path) -> None:
    ran = dojo_started(tmp_path, "train", EX4.path, "--steps", "50")
    assert ran.returncode == 0, ran.stderr
    train, validation = map(float, re.findall(r"(?:train|validation) loss (\d\.\d+)", ran.stdout))
    assert 2.0 < train < 4.0
    assert 2.0 < validation < 4.0
    assert "50/50" in ran.stderr
    picture = tmp_path / "losses.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert files(tmp_path) == ["losses.png"]
    sampled = [line for line in ran.stdout.split("\n") if re.fullmatch(r"[a-z]*", line)]
    assert len(sampled) >= 20


def test_training_keeps_the_pictures_of_the_evaluation(tmp_path: Path) -> None:
    lesson = find_exercise("classifier/ex2")
    ran = dojo(tmp_path, "train", lesson.path, "--steps", "20", "--picture", "curve.png")
    assert (ran.returncode, "of the held-out ones" in ran.stdout) == (0, True)
    assert {path.name for path in tmp_path.iterdir()} == {"curve.png", "curve_1.png"}
    assert "picture: curve_1.png" in ran.stdout


def test_train_says_that_the_loop_is_not_written_yet(course: Path) -> None:
    ran = dojo(course, "train")
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert "the training loop is not written yet" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert files(course) == FILES


def test_train_places_an_exception_of_the_loop(tmp_path: Path) -> None:
    text = EX4.path.read_text(encoding="utf-8").replace(
        "h = torch.tanh(hpreact)\n        logits", "h = nothing\n        logits"
    )
    path = tmp_path / "ex4.py"
    path.write_text(text)
    line = text[: text.index("h = nothing")].count("\n") + 1
    ran = dojo(tmp_path, "train", path.name, "--steps", "3")
    assert ran.returncode == 1
    assert f"ex4.py:{line}: NameError: name 'nothing' is not defined" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert files(tmp_path) == ["ex4.py"]


@pytest.mark.parametrize(("picture", "said"), [("a/b.png", "there is no folder a"), ("curve", "is no picture")])
def test_a_picture_that_cannot_be_drawn_is_told_before_the_training(picture: str, said: str, tmp_path: Path) -> None:
    ran = dojo(tmp_path, "train", EX4.path, "--steps", "3", "--picture", picture)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"dojo: --picture {picture}: {said}")
    assert ran.stderr.count("\n") == 1


def test_what_cannot_be_evaluated_costs_no_loss_curve(tmp_path: Path) -> None:
    path = tmp_path / "ex4.py"
    turned = "losses.append(loss.item())\n        W2 = W2 if step < 2 else W2.T"
    path.write_text(EX4.path.read_text(encoding="utf-8").replace("losses.append(loss.item())", turned))
    ran = dojo(tmp_path, "train", path.name, "--steps", "3")
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "what it learned cannot be shown: RuntimeError: " in ran.stderr
    assert ran.stdout.startswith("loss curve: losses.png\n")
    assert files(tmp_path) == ["ex4.py", "losses.png"]


def test_a_loop_without_a_loss_has_no_curve_and_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "ex4.py"
    begin, loop, rest = EX4.path.read_text(encoding="utf-8").partition("    for step in tqdm(range(max_steps)):\n")
    path.write_text(begin + loop + re.sub(r"\bloss\b(?= = |\.item)", "cost", rest))
    ran = dojo(tmp_path, "train", path.name, "--steps", "3")
    assert ran.returncode == 0, ran.stderr
    assert "no loss curve: no number called loss was seen in the loop" in ran.stderr
    assert files(tmp_path) == ["ex4.py"]


@pytest.mark.parametrize(
    "head",
    ["enumerate(tqdm([0] * max_steps))", "tqdm(enumerate([0] * max_steps))", "zip(range(max_steps), [0] * 9)"],
)
def test_train_runs_a_loop_whose_steps_are_numbered_or_paired(tmp_path: Path, head: str) -> None:
    loop = "    for step in tqdm(range(max_steps)):\n"
    text = EX4.path.read_text(encoding="utf-8")
    assert text.count(loop) == 1
    path = tmp_path / "ex4_training.py"
    path.write_text(text.replace(loop, f"    for step, _ in {head}:\n"))
    ran = dojo(tmp_path, "train", path.name, "--steps", "3")
    assert ran.returncode == 0, ran.stderr
    assert "loss curve: losses.png" in ran.stdout


def test_control_c_keeps_what_there_is(tmp_path: Path) -> None:
    text = EX4.path.read_text(encoding="utf-8")
    stop = "losses.append(loss.item())\n        if step == 30:\n            import os; os.kill(os.getpid(), 2)"
    path = tmp_path / "ex4.py"
    path.write_text(text.replace("losses.append(loss.item())", stop))
    ran = warm.run(["-m", "grader", "train", path.name], tmp_path, environment(), heeds_interrupts=True)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"stopped after 3\d steps", ran.stderr)
    assert "validation loss" in ran.stdout
    assert files(tmp_path) == ["ex4.py", "losses.png"]


def test_half_an_emoji_of_a_notebook_is_written_as_a_question_mark(tmp_path: Path) -> None:
    """JSON may hold it, and it has no bytes: `dojo sync` ended in a traceback."""
    write_atomically(tmp_path / "a.py", "# thanks \ud83d\n")
    assert (tmp_path / "a.py").read_bytes() == b"# thanks ?\n"
