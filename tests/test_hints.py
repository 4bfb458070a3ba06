"""Hints one at a time, what is remembered of them, and the solution of a gradient that is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader.base.errors import DojoError
from grader.cli import main as cli
from grader.learner.copies import reset_exercise
from grader.learner.hints import hint, solution
from grader.learner.memory import folder_of, load_progress, progress_path, remember
from grader.lesson.exercise import all_exercises, find_exercise
from grader.lesson.tracks import place_on_map
from grader.report.records import Report, SubmissionReport, Verdict, first_thing

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "exercises"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))  # where macOS keeps its caches
    monkeypatch.setenv("COLUMNS", "200")  # hints on few lines, so that a test can look for their words
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def exercises(tmp_path: Path) -> Path:
    """A copy of exercises/ in the folder where the test works."""
    for exercise in all_exercises():
        target = tmp_path / "exercises" / f"{exercise.id}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((SHIPPED / f"{exercise.id}.py").read_text())
    return tmp_path / "exercises" / "makemore"


def reported(path: Path, exercise: str, **statuses: str) -> SubmissionReport:
    """A report on one exercise: as in `statuses`, and all else not attempted."""
    found = find_exercise(exercise)
    verdicts = [Verdict(name, statuses.get(name, "missing")) for name in found.graded]  # type: ignore[arg-type]
    attempted = any(v.status != "missing" for v in verdicts)
    return SubmissionReport(str(path), found.id, found.title, 1, "2", "cpu", "basic", verdicts, attempted=attempted)


def all_right(path: Path, exercise: str) -> SubmissionReport:
    return reported(path, exercise, **dict.fromkeys(find_exercise(exercise).graded, "pass"))


def state() -> Path:
    """The state file of the folder where the test works."""
    return progress_path(folder_of(Path.cwd()))


def heading(text: str) -> str:
    return next(line for line in text.split("\n") if ", hint " in line)


def hint_words(exercise: str, name: str, level: int) -> str:
    """The first words of a hint, as they stand in the exercise."""
    return " ".join(find_exercise(exercise).hints[name][level - 1].split()[:5])


# ---- One gradient ----


def test_hints_come_one_after_the_other_and_the_last_stays() -> None:
    shown = [hint("dprobs") for _ in range(4)]
    assert [heading(text) for text in shown] == [
        "dprobs in makemore/ex1, hint 1 of 3",
        "dprobs in makemore/ex1, hint 2 of 3",
        "dprobs in makemore/ex1, hint 3 of 3",
        "dprobs in makemore/ex1, hint 3 of 3",
    ]
    for level, text in enumerate(shown[:3], start=1):
        assert hint_words("makemore/ex1", "probs", level) in text
    assert "Next hint: dojo hint dprobs" in shown[1]
    assert "last hint" in shown[2]


def test_each_gradient_has_its_own_place() -> None:
    hint("dprobs")
    assert heading(hint("dh")) == "dh in makemore/ex1, hint 1 of 3"
    assert heading(hint("dprobs")) == "dprobs in makemore/ex1, hint 2 of 3"


@pytest.mark.parametrize("name", ["dprobs", "probs", " dprobs", "DPROBS"])
def test_a_gradient_is_found_with_and_without_its_d(name: str) -> None:
    assert heading(hint(name)) == "dprobs in makemore/ex1, hint 1 of 3"


def test_every_graded_gradient_has_hints_under_both_names() -> None:
    for exercise in all_exercises():
        for name in exercise.graded:
            for written in (name, f"d{name}"):
                text = hint(written, exercise.short_id, level=3)
                assert hint_words(exercise.short_id, name, 3) in text


def test_a_level_and_all_levels() -> None:
    assert heading(hint("dprobs", level=2)) == "dprobs in makemore/ex1, hint 2 of 3"
    assert heading(hint("dprobs")) == "dprobs in makemore/ex1, hint 3 of 3", "what --level showed counts as seen"
    assert heading(hint("dprobs", level=1)) == "dprobs in makemore/ex1, hint 1 of 3"
    assert heading(hint("dprobs")) == "dprobs in makemore/ex1, hint 3 of 3", "an earlier one does not start anew"
    everything = hint("dh", everything=True)
    assert all(hint_words("makemore/ex1", "h", level) in everything for level in (1, 2, 3))


def test_the_training_loop_has_one_set_of_hints() -> None:
    assert heading(hint("losses")) == "loss in makemore/ex4, hint 1 of 3"
    assert heading(hint("W2", "makemore/ex4")) == "W2 in makemore/ex4, hint 2 of 3"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dprob"], "did you mean dprobs"),
        (["nonsense"], "no exercise grades 'nonsense'"),
        (["dprobs", "--exercise", "makemore/ex2"], "makemore/ex2 does not grade 'dprobs'; it grades dlogits"),
        (["dprobs", "--exercise", "ex9"], "ex9"),
        (["dprobs", "--level", "4"], "--level 1 to 3"),
        (["dprobs", "--level", "0"], "--level 1 to 3"),
        (["dprobs", "--level", "1", "--all"], "exclude each other"),
        ([], "no exercises/ folder here"),
    ],
)
def test_bad_calls_give_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["hint", *arguments])
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert words in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


# ---- Names that two exercises grade ----


def test_the_exercise_at_work_is_taken_and_named(exercises: Path) -> None:
    assert heading(hint("dlogits")).startswith("dlogits in makemore/ex1")
    remember(Report([reported(exercises / "ex2_cross_entropy.py", "makemore/ex2", logits="wrong")]))
    text = hint("dlogits")
    assert heading(text).startswith("dlogits in makemore/ex2")
    assert "--exercise makemore/ex1" in text
    assert heading(hint("dlogits", "makemore/ex1")).startswith("dlogits in makemore/ex1")


def test_the_exercise_that_is_begun_is_at_work(exercises: Path) -> None:
    path = exercises / "ex3_batchnorm.py"
    path.write_text(path.read_text().replace("dhprebn = ...", "dhprebn = dhpreact"))
    path = exercises / "ex2_cross_entropy.py"
    assert "dlogits = ..." in path.read_text()
    assert heading(hint("dhprebn")).startswith("dhprebn in makemore/ex1"), "ex3 has all its answers"
    (exercises / "ex1_atoms.py").unlink()
    assert heading(hint("dlogits")).startswith("dlogits in makemore/ex2")


# ---- Without a name ----


def test_the_first_stub_is_found_without_any_grading(exercises: Path) -> None:
    path = exercises / "ex1_atoms.py"
    assert "still to do in exercises/makemore/ex1_atoms.py: dlogprobs" in hint(None)
    path.write_text(path.read_text().replace("dlogprobs = ...", "dlogprobs = torch.zeros_like(logprobs)"))
    text = hint(None)
    assert "still to do in exercises/makemore/ex1_atoms.py: dprobs" in text
    assert heading(text) == "dprobs in makemore/ex1, hint 1 of 3"


def test_what_was_graded_last_decides(exercises: Path) -> None:
    path = exercises / "ex1_atoms.py"
    text = path.read_text()
    for name in ("logprobs", "probs", "counts_sum_inv"):
        text = text.replace(f"d{name} = ...", f"d{name} = {name}")
    path.write_text(text)
    remember(Report([reported(path, "makemore/ex1", logprobs="pass", probs="wrong", counts_sum_inv="pass")]))
    assert "not right in exercises/makemore/ex1_atoms.py: dprobs" in hint(None)
    path.write_text(text + "\n# changed\n")
    assert "has changed since it was graded" in hint(None)
    remember(Report([reported(path, "makemore/ex1", logprobs="pass", probs="pass", counts_sum_inv="pass")]))
    assert "still to do in exercises/makemore/ex1_atoms.py: dcounts_sum" in hint(None)


def test_a_wrong_gradient_comes_before_one_that_is_missing(exercises: Path) -> None:
    path = exercises / "ex1_atoms.py"
    path.write_text(path.read_text().replace("dh = ...", "dh = h"))
    remember(Report([reported(path, "makemore/ex1", h="shape")]))
    assert heading(hint(None)) == "dh in makemore/ex1, hint 1 of 3"


def test_a_pass_ends_when_the_exercise_is_put_back(exercises: Path) -> None:
    path = exercises / "ex1_atoms.py"
    stubs = path.read_text()
    path.write_text((ROOT / "solutions/makemore/ex1_atoms.py").read_text())
    remember(Report([all_right(path, "makemore/ex1")]))
    path.write_text(stubs)
    assert "still to do in exercises/makemore/ex1_atoms.py: dlogprobs" in hint(None)


def test_the_first_thing_of_the_last_report_is_at_work(exercises: Path) -> None:
    solved = exercises / "ex1_atoms.py"
    solved.write_text((ROOT / "solutions/makemore/ex1_atoms.py").read_text())
    begun = exercises / "ex3_batchnorm.py"
    begun.write_text(begun.read_text().replace("dhprebn = ...", "dhprebn = dhpreact"))
    remember(Report([all_right(solved, "makemore/ex1"), reported(begun, "makemore/ex3", hprebn="wrong")]))
    assert heading(hint(None)).startswith("dhprebn in makemore/ex3")
    assert heading(hint(None, "makemore/ex2")).startswith("dlogits in makemore/ex2")
    assert hint(None, "makemore/ex1").startswith("All 26 of makemore/ex1 right.")


@pytest.mark.parametrize("last", ["pass", "wrong", "missing"])
@pytest.mark.parametrize("middle", ["pass", "wrong", "missing"])
@pytest.mark.parametrize("first", ["pass", "wrong", "missing"])
def test_a_hint_is_for_what_the_report_names_first(first: str, middle: str, last: str, exercises: Path) -> None:
    report = Report(
        [
            reported(exercises / "ex2_cross_entropy.py", "makemore/ex2", logits=first),
            reported(exercises / "ex1_atoms.py", "makemore/ex1", probs=middle, h="pass"),
            reported(exercises / "ex3_batchnorm.py", "makemore/ex3", hprebn=last),
        ]
    )
    for submission in report.submissions:  # each has the answers that were graded
        path, text = Path(submission.path), Path(submission.path).read_text()
        for verdict in submission.verdicts:
            if verdict.status != "missing":
                text = text.replace(f"d{verdict.name} = ...", f"d{verdict.name} = {verdict.name}")
        path.write_text(text)
    remember(report)
    named = first_thing(report)
    assert named is not None
    assert heading(hint(None)).startswith(f"d{named[1].name} in {find_exercise(named[0].exercise).short_id},")


def test_after_the_last_report_what_was_wrong_earlier_comes_before_stubs(exercises: Path) -> None:
    begun = exercises / "ex3_batchnorm.py"
    begun.write_text(begun.read_text().replace("dhprebn = ...", "dhprebn = dhpreact"))
    remember(Report([reported(begun, "makemore/ex3", hprebn="wrong")]))
    solved = exercises / "ex1_atoms.py"
    solved.write_text((ROOT / "solutions/makemore/ex1_atoms.py").read_text())
    remember(Report([all_right(solved, "makemore/ex1")]))
    assert heading(hint(None)).startswith("dhprebn in makemore/ex3")


def test_a_graded_file_that_is_gone_is_forgotten(exercises: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "mine.py"
    elsewhere.write_text("dlogits = logits\n")
    remember(Report([reported(elsewhere, "makemore/ex2", logits="wrong")]))
    assert "mine.py: dlogits" in hint(None)
    assert heading(hint("dlogits")).startswith("dlogits in makemore/ex2")
    elsewhere.unlink()
    assert heading(hint("dlogits")).startswith("dlogits in makemore/ex1")
    assert heading(hint(None)).startswith("dlogprobs in makemore/ex1")


def test_what_is_right_in_the_notebook_is_not_still_to_do_in_the_script(exercises: Path, tmp_path: Path) -> None:
    notebook = tmp_path / "notebooks/makemore/ex1_atoms.ipynb"
    notebook.parent.mkdir(parents=True)
    notebook.write_text((ROOT / "notebooks/makemore/ex1_atoms.ipynb").read_text())
    remember(Report([all_right(notebook, "makemore/ex1")]))
    assert heading(hint(None)).startswith("dlogits in makemore/ex2")
    assert hint(None, "makemore/ex1").startswith("All 26 of makemore/ex1 right.")
    remember(Report([reported(exercises / "ex1_atoms.py", "makemore/ex1")]))  # the side that was graded last
    assert "still to do in exercises/makemore/ex1_atoms.py: dlogprobs" in hint(None)


def test_what_cannot_be_read_is_named_and_not_taken_for_an_answer(exercises: Path) -> None:
    """A file that cannot be read has no answer, so "every gradient has an answer" would be false."""
    path = exercises / "ex3_batchnorm.py"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DojoError, match=r"ex3_batchnorm\.py:1: not UTF-8 text"):
        hint(None, "makemore/ex3")
    assert heading(hint(None)).startswith("dlogprobs in makemore/ex1")  # one that can be read comes first


def test_an_exercise_that_is_asked_for_need_not_be_begun(exercises: Path) -> None:
    optional = find_exercise("makemore/ex5")
    assert optional.grading.optional
    assert heading(hint(None, "makemore/ex5")) == f"{optional.graded[0]} in makemore/ex5, hint 1 of 3"
    (exercises / "ex2_cross_entropy.py").unlink()
    with pytest.raises(DojoError, match=r"makemore/ex2 is not in this folder; name .* such as dlogits"):
        hint(None, "makemore/ex2")


# ---- The state file ----


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "null", '{"schema": 99}', '{"schema": 1, "seen": [], "graded": [], "working": null}', "\xff\x00"],
)
def test_a_damaged_state_file_is_ignored_and_written_anew(damage: str) -> None:
    hint("dprobs")
    assert state().is_file()
    state().write_bytes(damage.encode("latin-1"))
    assert heading(hint("dprobs")) == "dprobs in makemore/ex1, hint 1 of 3"
    assert heading(hint("dprobs")) == "dprobs in makemore/ex1, hint 2 of 3"


@pytest.mark.parametrize("key", ["seen", "graded", "working"])
@pytest.mark.parametrize("value", [7, "x", [7], {"a": 7}, [[1, 2, 3]], {"a": {"b": "c"}}])
def test_a_state_file_of_another_shape_is_ignored(key: str, value: object) -> None:
    hint("dprobs")
    data = json.loads(state().read_text())
    state().write_text(json.dumps({**data, key: value}))
    assert heading(hint("dprobs")).startswith("dprobs in makemore/ex1")


def test_the_state_lies_with_the_exercises_and_git_does_not_see_it(exercises: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "add", "."], check=True)
    hint(None)
    seen = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    assert [line for line in seen.split("\n") if line and line[0] != "A"] == []
    assert {path.name for path in tmp_path.iterdir()} == {".git", ".dojo", "exercises"}
    assert {path.name for path in (tmp_path / ".dojo").iterdir()} == {".gitignore", "progress.json"}


def test_without_exercises_the_state_lies_in_the_cache(tmp_path: Path) -> None:
    hint("dprobs")
    assert tmp_path / "cache" in state().parents or sys.platform == "darwin"
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "Library"}


def clone(folder: Path) -> Path:
    """A folder with exercises of its own; it is the current one from then on."""
    for exercise in all_exercises():
        target = folder / "exercises" / f"{exercise.id}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((SHIPPED / f"{exercise.id}.py").read_text())
    return folder / "exercises" / "makemore"


def answer(path: Path, name: str) -> None:
    path.write_text(path.read_text().replace(f"d{name} = ...", f"d{name} = {name}"))


def test_two_clones_know_nothing_of_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = clone(tmp_path / "first"), clone(tmp_path / "second")
    answer(first / "ex1_atoms.py", "h")
    remember(Report([reported(first / "ex1_atoms.py", "makemore/ex1", h="wrong", probs="pass")]))
    monkeypatch.chdir(tmp_path / "first")
    assert "not right in exercises/makemore/ex1_atoms.py: dh" in hint(None)
    assert "dprobs = dlogprobs" in solution("dprobs")
    monkeypatch.chdir(second)  # also from a folder within
    assert "still to do in ex1_atoms.py: dlogprobs" in hint(None)
    assert heading(hint("dh")) == "dh in makemore/ex1, hint 1 of 3"
    with pytest.raises(DojoError, match="--anyway"):
        solution("dprobs")


def test_a_folder_that_moves_keeps_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clone(tmp_path / "old") / "ex1_atoms.py"
    answer(path, "h")
    remember(Report([reported(path, "makemore/ex1", h="wrong", probs="pass")]))
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    assert "not right in exercises/makemore/ex1_atoms.py: dh" in hint(None)
    assert "dprobs = dlogprobs" in solution("dprobs")


def test_a_state_file_leads_to_no_other_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = clone(tmp_path / "first"), clone(tmp_path / "second")
    answer(first / "ex1_atoms.py", "h")
    remember(Report([reported(first / "ex1_atoms.py", "makemore/ex1", h="wrong")]))
    told = (tmp_path / "first/.dojo/progress.json").read_text()
    for elsewhere in ("../first/exercises", str(first.parent)):
        (tmp_path / "second/.dojo").mkdir(exist_ok=True)
        state = tmp_path / "second/.dojo/progress.json"
        state.write_text(told.replace('"exercises', f'"{elsewhere}'))
        assert state.read_text() != told
        monkeypatch.chdir(second.parents[1])
        assert "still to do in exercises/makemore/ex1_atoms.py: dlogprobs" in hint(None)


@pytest.mark.parametrize("linked", [".dojo", ".dojo/progress.json"])
def test_a_linked_state_is_another_folders(linked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (clone(tmp_path / name).parents[1] for name in ("first", "second"))
    monkeypatch.chdir(first)
    remember(Report([reported(first / "exercises/makemore/ex1_atoms.py", "makemore/ex1_atoms", logprobs="pass")]))
    before = (first / ".dojo/progress.json").read_text(encoding="utf-8")
    (second / linked).parent.mkdir(exist_ok=True)
    (second / linked).symlink_to(first / linked)
    assert load_progress(second).graded == []
    monkeypatch.chdir(second)
    remember(Report([reported(second / "exercises/makemore/ex1_atoms.py", "makemore/ex1_atoms", logprobs="wrong")]))
    assert (first / ".dojo/progress.json").read_text(encoding="utf-8") == before


def test_a_reset_begins_anew(exercises: Path, tmp_path: Path) -> None:
    path = exercises / "ex1_atoms.py"
    answer(path, "probs")
    remember(Report([reported(path, "makemore/ex1", probs="pass")]))
    hint("dprobs")
    hint("dlogits", "makemore/ex2")
    assert solution("dprobs")
    reset_exercise("makemore/ex1", tmp_path, confirm=lambda _: True)
    assert heading(hint("dprobs")) == "dprobs in makemore/ex1, hint 1 of 3"
    assert heading(hint("dlogits", "makemore/ex2")) == "dlogits in makemore/ex2, hint 2 of 3", (
        "the other exercise keeps its own"
    )
    with pytest.raises(DojoError, match="--anyway"):
        solution("dprobs")


def test_what_comes_next_when_all_is_right(exercises: Path, tmp_path: Path) -> None:
    reports = []
    for exercise in all_exercises():
        path = tmp_path / "exercises" / f"{exercise.id}.py"
        path.write_text((ROOT / "solutions" / f"{exercise.id}.py").read_text())
        reports.append(all_right(path, exercise.id))
    count = sum(len(exercise.graded) for exercise in all_exercises())
    asked_for = [exercise for exercise in all_exercises() if not exercise.grading.optional]
    ids = " and ".join(exercise.short_id for exercise in sorted(asked_for, key=lambda e: place_on_map(e.id)))
    assert hint(None) == f"Every gradient has an answer. Now grade {ids}: dojo grade"
    remember(Report([report for report in reports if report.exercise == "makemore/ex1_atoms"]))
    assert hint(None, "makemore/ex1") == "All 26 of makemore/ex1 right. What comes next: dojo hint"
    remember(Report(reports))
    assert hint(None).startswith(f"All {count} right. Now run `dojo train`: ")
    (tmp_path / "Makefile").touch()
    assert hint(None).startswith(f"All {count} right. Now run `make train`: ")


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("grader.learner.memory.progress_path", lambda folder: tmp_path / "file" / "progress.json")
    assert heading(hint("dprobs")) == "dprobs in makemore/ex1, hint 1 of 3"
    assert heading(hint("dprobs")) == "dprobs in makemore/ex1, hint 1 of 3"


def test_the_state_stays_small(tmp_path: Path) -> None:
    for start in range(0, 300, 50):
        remember(Report([reported(tmp_path / f"{start + i}.py", "makemore/ex2", logits="wrong") for i in range(50)]))
    graded = load_progress().graded
    assert len(graded) == 100
    assert graded[-1].path.endswith("299.py")


# ---- Solutions ----


def test_a_solution_is_shown_after_a_pass_only(tmp_path: Path) -> None:
    with pytest.raises(DojoError, match="--anyway"):
        solution("dprobs")
    remember(Report([reported(tmp_path / "mine.py", "makemore/ex1", probs="wrong", logprobs="pass")]))
    with pytest.raises(DojoError, match="--anyway"):
        solution("dprobs")
    assert "dlogprobs[range(n), Yb] = -1.0 / n" in solution("dlogprobs")
    remember(Report([reported(tmp_path / "mine.py", "makemore/ex1", probs="pass")]))
    assert "    dprobs = dlogprobs / probs" in solution("probs").split("\n")


def test_a_solution_stays_closed_while_mine_is_wrong(exercises: Path, tmp_path: Path) -> None:
    mine, notebook = exercises / "ex1_atoms.py", tmp_path / "notebooks/makemore/ex1_atoms.ipynb"
    solved, friends = tmp_path / "solutions/makemore/ex1_atoms.py", tmp_path / "friends.py"
    remember(Report([all_right(solved, "makemore/ex1")]))
    with pytest.raises(DojoError, match="--anyway"):
        solution("dC")
    remember(Report([reported(mine, "makemore/ex1", C="wrong")]))
    remember(Report([all_right(solved, "makemore/ex1"), all_right(friends, "makemore/ex1")]))
    with pytest.raises(DojoError, match="--anyway"):
        solution("dC")
    remember(Report([reported(notebook, "makemore/ex1", C="pass")]))  # where I went on
    assert "index_add_" in solution("dC")
    remember(Report([reported(mine, "makemore/ex1", C="wrong")]))
    with pytest.raises(DojoError, match="--anyway"):
        solution("dC")


def test_a_solution_is_shown_on_request_with_all_its_lines() -> None:
    text = solution("dcounts", anyway=True)
    assert "dcounts = counts_sum_inv * dprobs" in text
    assert "dcounts += torch.ones_like(counts) * dcounts_sum" in text
    assert "dnorm_logits" not in text
    assert "dlogits /= n" in solution("dlogits", "makemore/ex2", anyway=True)
    assert "for step in" in solution("losses", anyway=True)


def test_every_gradient_has_a_solution() -> None:
    for exercise in all_exercises():
        for name in exercise.graded:
            written = name if name in exercise.definitions else f"d{name}"
            assert written in solution(name, exercise.short_id, anyway=True) or name == "loss"


def test_an_installation_without_solutions_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_here(name: str) -> Path:
        raise DojoError(f"this installation has no {name}/ folder")

    monkeypatch.setattr("grader.learner.hints.bundled", none_here)
    with pytest.raises(DojoError, match="no solutions/ folder"):
        solution("dprobs", anyway=True)


# ---- The command ----


def dojo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What it says, and on standard error the packages that it loads."""
    code = (
        "import sys\nbefore = {*sys.modules}\nfrom grader.cli import main as cli\ntry:\n    cli.main(sys.argv[1:])\n"
        "finally:\n    loaded = {name.partition('.')[0] for name in sys.modules.keys() - before}\n"
        "    print(*sorted(loaded - sys.stdlib_module_names), file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("arguments", [["hint"], ["hint", "dprobs", "--all"], ["solution", "dprobs", "--anyway"]])
def test_a_hint_loads_nothing_but_what_reads_the_command(arguments: list[str], exercises: Path) -> None:
    """So it is there in a tenth of a second. torch takes more than one, numpy and rich as long as all of this."""
    done = dojo(*arguments)
    assert done.returncode == 0, done.stderr
    assert "probs" in done.stdout
    assert set(done.stderr.split()) <= {"click", "grader"}


@pytest.mark.parametrize("exercise", all_exercises(), ids=lambda e: e.short_id)
def test_no_hint_shows_what_is_for_authors(exercise) -> None:
    assert not [hint for hints in exercise.hints.values() for hint in hints if "<!--" in hint]
