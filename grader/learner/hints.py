"""Hints, one level at a time, and the solution of one gradient. Needs no torch: the answer comes at once."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.base.bundle import bundled
from grader.base.errors import DojoError
from grader.learner.memory import PLACES, Progress, load_progress, save_progress
from grader.lesson.exercise import Exercise, all_exercises, find_exercise
from grader.lesson.tracks import begins_later, place_on_map
from grader.syntax.source import Cell, Statement

_WIDEST = 100


@dataclass(frozen=True)
class Open:
    """A gradient that is not known to be right. `wrong`: it has an answer, and that was graded as not right."""

    exercise: Exercise
    name: str
    path: Path
    wrong: bool


def hint(variable: str | None, asked: str | None = None, level: int | None = None, everything: bool = False) -> str:
    """The next hint of a gradient, one level of it, or all of them, as text to print.

    `variable` is `dprobs` or `probs`; without one it is the first gradient that is not right. `asked` is the
    exercise. What is shown counts as seen. Where everything is right the text says so, and what comes next.

    Raises:
        DojoError: no such gradient, exercise or level; or no name is given and nothing was graded.
    """
    if level is not None and everything:
        raise DojoError("--level and --all exclude each other")
    progress = load_progress()
    only = None if asked is None else find_exercise(asked)
    opening = ""
    if variable is None:
        found = first_not_right(progress, only)
        if found is None:
            return _ending(progress, only)
        exercise, name = found.exercise, found.name
        opening = f"{_why(found, progress)}\n\n"
    else:
        exercise, name = _find(variable, only, progress)
    hints = _hints(exercise, name)
    if level is not None and not 1 <= level <= len(hints):
        raise DojoError(f"{exercise.label(name)} has no hint {level}; choose --level 1 to {len(hints)}")
    if everything:
        levels = list(range(1, len(hints) + 1))
    else:
        levels = [_next_level(exercise, name, progress) if level is None else level]
    blocks = [_show(exercise, name, number, progress) for number in levels]
    save_progress(progress)
    return opening + "\n\n".join([*blocks, _what_next(exercise, name, levels[-1])])


def next_hint(exercise: Exercise, name: str) -> str:
    """The next hint of the gradient of `name`; it counts as seen. After the last one, the last again.

    Raises:
        DojoError: the exercise has no hint for it.
    """
    progress = load_progress()
    text = _show(exercise, name, _next_level(exercise, name, progress), progress)
    save_progress(progress)
    return text


def hints_to_come(exercise: Exercise, name: str) -> list[tuple[int, str]]:
    """The hints of a gradient that were not shown yet, each with its number; the last one where all were."""
    hints = exercise.hints.get(name, ())
    seen = load_progress().hints_seen(exercise, _owner(exercise, name))
    return list(enumerate(hints, start=1))[min(seen, len(hints) - 1) :]


def find_gradient(variable: str, here: Exercise | None = None) -> tuple[Exercise, str]:
    """The exercise and the tensor that `variable` means; `here` is the exercise to look in first.

    Raises:
        DojoError: no exercise grades it.
    """
    if here is not None and (name := _tensor(variable, here)) is not None:
        return here, name
    return _find(variable, None, load_progress())


def solution(variable: str, asked: str | None = None, anyway: bool = False) -> str:
    """The lines of the solution that compute one gradient, as text to print.

    Raises:
        DojoError: this installation has no solutions/, there is no such gradient, or it has not been right
            yet and `anyway` is not set.
    """
    from grader.reading.submission import find_parts
    from grader.syntax.source import read_source

    bundled("solutions")
    progress = load_progress()
    exercise, name = _find(variable, None if asked is None else find_exercise(asked), progress)
    gradient = exercise.label(name)
    if not anyway and not progress.has_passed(exercise, name):
        raise DojoError(
            f"no graded file has {gradient} of {exercise.short_id} right so far; run `dojo grade`, "
            f"or see it all the same: dojo solution {_with_exercise(exercise, name)} --anyway"
        )
    found: Sequence[Cell | Statement] = exercise.code_cells("training")
    if name not in exercise.after_a_step:
        (part,) = find_parts(read_source(exercise.path), exercise.id)
        found = [part.analysis.statements[index] for index in part.attempts[name].writers]
    text = "\n".join(textwrap.indent(piece.text, "    ") for piece in found)
    return f"{gradient} in {exercise.short_id}, {_shown(exercise.path)}:{found[0].line}\n\n{text}"


def first_not_right(progress: Progress, asked: Exercise | None = None) -> Open | None:
    """The first gradient that is not known to be right, without running anything; None where nothing is left.

    What was graded last comes first. Where a file was never graded, a gradient without an answer counts as not
    right, and one with an answer is left alone. A file that cannot be read is passed over for one that can.

    Raises:
        DojoError: nothing is known, or the only files that may hold such a gradient cannot be read.
    """
    first: Open | None = None
    unread: DojoError | None = None
    for path, exercise in _places(progress, asked):
        if first is not None and not _was_wrong(path, exercise, progress):
            continue  # it is not read: twenty lessons take three times as long as one
        try:
            found = _first_open_in(path, exercise, progress)
        except DojoError as problem:
            unread = unread or problem
            continue
        if found and (found.wrong or not progress.graded or progress.working == (str(path.resolve()), exercise.id)):
            return found
        first = first or found
    if first is None and unread is not None:
        raise unread
    if first is None and not progress.graded and not any(_in_folder(progress)):
        raise DojoError(
            "nothing was graded yet and there is no exercises/ folder here; name a gradient, such as dprobs"
        )
    return first


def _all() -> list[Exercise]:
    """Every exercise, those of the track where one begins first."""
    return sorted(all_exercises(), key=lambda exercise: (begins_later(exercise.id), place_on_map(exercise.id)))


def _in_folder(progress: Progress, asked: Exercise | None = None) -> Iterator[tuple[Path, Exercise]]:
    """The exercises that the folder holds, or of these the one that is asked for, each with the learner's file; an
    optional one only once it is begun or asked for.
    """
    for exercise in _all() if asked is None else [asked]:
        path = _own_file(progress, exercise)
        if path is not None and (asked or _was_graded(progress, exercise) or not exercise.grading.optional):
            yield path, exercise


def _own_file(progress: Progress, exercise: Exercise) -> Path | None:
    """Of an exercise's script and notebook the one that was graded last, else the script; None where none is there."""
    held = [path for part, end in PLACES if (path := progress.folder / part / f"{exercise.id}{end}").is_file()]
    graded = [known.path for known in progress.graded]
    return max(held, key=lambda path: graded.index(str(path)) if str(path) in graded else -1, default=None)


def _ending(progress: Progress, asked: Exercise | None) -> str:
    """What to do where no gradient is known to be wrong or missing."""
    held = [exercise for _, exercise in _in_folder(progress)]
    done = [asked] if asked else held or [e for e in all_exercises() if _was_graded(progress, e)]
    unknown = [e for e in done if not all(progress.has_passed(e, name) for name in e.graded)]
    if asked is not None and asked in unknown and not any(_places(progress, asked)):
        named = asked.label(asked.graded[0])
        raise DojoError(f"{asked.short_id} is not in this folder; name one of its gradients, such as {named}")
    if unknown:
        ungraded = " and ".join(e.short_id for e in sorted(unknown, key=lambda e: place_on_map(e.id)))
        return f"Every gradient has an answer. Now grade {ungraded}: dojo grade"
    count = sum(len(e.graded) for e in done)
    if asked and not asked.can_train:
        told = f"All {count} of {asked.short_id}" if count > 1 else f"The gradient of {asked.short_id} is"
        return f"{told} right. What comes next: dojo hint"
    train = "make train" if (progress.folder / "Makefile").is_file() else "dojo train"
    trained = any(e.can_train for e in done)
    return (f"All {count} right." if count > 1 else "Right.") + (
        f" Now run `{train}`: it runs your loop in full and shows what it learned." if trained else ""
    )


def _was_graded(progress: Progress, exercise: Exercise) -> bool:
    return any(graded.exercise == exercise.id for graded in progress.graded)


def _places(progress: Progress, asked: Exercise | None) -> Iterator[tuple[Path, Exercise]]:
    """Files to look at and their exercise, the one that is being worked on first."""
    working = _working_on(progress)
    if working is not None and asked in (None, working[1]):
        yield working
    yield from _in_folder(progress, asked)


def _working_on(progress: Progress) -> tuple[Path, Exercise] | None:
    """The file, while it is there, and the exercise that the last report named first."""
    path, working = progress.working or ("", "")
    known = next((e for e in all_exercises() if e.id == working), None)
    return None if known is None or not Path(path).is_file() else (Path(path), known)


def _was_wrong(path: Path, exercise: Exercise, progress: Progress) -> bool:
    graded = progress.find(path, exercise)
    return graded is not None and any(status not in ("pass", "missing") for status in graded.statuses.values())


def _first_open_in(path: Path, exercise: Exercise, progress: Progress) -> Open | None:
    statuses = graded.statuses if (graded := progress.find(path, exercise)) else {}
    if graded is not None and graded.is_current and statuses.keys() >= set(exercise.graded):
        stubs = [name for name in exercise.graded if statuses[name] == "missing"]
    else:
        from grader.reading.submission import find_parts
        from grader.syntax.source import read_source

        (part,) = find_parts(read_source(path), exercise.id)
        stubs = [name for name in exercise.graded if name not in part.attempts]
    # A pass counts until its answer is gone from the file, as after `dojo reset`.
    left = [n for n in exercise.graded if n in stubs or (statuses and statuses.get(n) != "pass")]
    wrong = [n for n in left if n not in stubs and statuses.get(n, "missing") != "missing"]
    if not left:
        return None
    return Open(exercise, (wrong or left)[0], path, bool(wrong))


def _find(variable: str, asked: Exercise | None, progress: Progress) -> tuple[Exercise, str]:
    """The exercise and the tensor that `variable` means.

    Raises:
        DojoError: no exercise, or not the one that was asked for, grades it.
    """
    exercises = _all() if asked is None else [asked]
    bare = variable.strip()
    likely = [e for e in exercises if e.mentions(bare) or e.mentions(bare[1:])] or exercises
    found = [(e, name) for e in likely if (name := _tensor(variable, e))]
    if not found:
        names = list(dict.fromkeys(e.label(name) for e in exercises for name in e.graded))
        import difflib

        close = difflib.get_close_matches(variable, names, 2, 0.6)
        few = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        known = f"did you mean {' or '.join(close)}?" if close else f"it grades {few}" if asked else f"there are {few}"
        where = f"{asked.short_id} does not grade" if asked else "no exercise grades"
        raise DojoError(f"{where} {variable!r}; {known}")
    if len(found) > 1:
        at_work = _exercise_at_work(progress)
        return next((pair for pair in found if pair[0] is at_work), found[0])
    return found[0]


def _tensor(variable: str, exercise: Exercise) -> str | None:
    bare = variable.strip()
    wanted = (bare, bare[1:] if bare[:1] in "dD" else bare)
    exact = next((name for name in wanted if name in exercise.graded), None)
    exact = exact or next((name for name in exercise.graded if exercise.answer_name(name) == bare), None)
    folded = [name for name in exercise.graded if name.lower() in [w.lower() for w in wanted]]
    return exact or (folded[0] if len(folded) == 1 else None)


def _exercise_at_work(progress: Progress) -> Exercise | None:
    if (working := _working_on(progress)) is not None:
        return working[1]
    try:
        found = first_not_right(progress)
    except DojoError:
        return None
    return found.exercise if found else None


def _others(exercise: Exercise, name: str) -> list[Exercise]:
    return [e for e in _all() if e is not exercise and e.mentions(name) and name in e.graded]


def _with_exercise(exercise: Exercise, name: str) -> str:
    chosen = f" --exercise {exercise.short_id}" if _others(exercise, name) else ""
    return exercise.label(name) + chosen


def _hints(exercise: Exercise, name: str) -> tuple[str, ...]:
    found = exercise.hints.get(name, ())
    if not found:
        raise DojoError(f"{exercise.short_id} has no hint for {exercise.label(name)}")
    return found


def _next_level(exercise: Exercise, name: str, progress: Progress) -> int:
    return min(progress.hints_seen(exercise, _owner(exercise, name)) + 1, len(_hints(exercise, name)))


def _owner(exercise: Exercise, name: str) -> str:
    """The name under which hints count as seen: all that one answer gives, as a loop does, share one set of hints."""
    return next(n for n in exercise.graded if exercise.answer_name(n) == exercise.answer_name(name))


def _show(exercise: Exercise, name: str, level: int, progress: Progress) -> str:
    """One hint with its heading; it counts as seen."""
    hints = _hints(exercise, name)
    progress.see(exercise, _owner(exercise, name), level)
    width = min(_WIDEST, shutil.get_terminal_size().columns) - 2
    paragraphs = [textwrap.fill(" ".join(p.split()), width) for p in hints[level - 1].split("\n\n")]
    heading = f"{exercise.label(name)} in {exercise.short_id}, hint {level} of {len(hints)}"
    return f"{heading}\n\n" + textwrap.indent("\n\n".join(paragraphs), "  ")


def _why(found: Open, progress: Progress) -> str:
    gradient, path = found.exercise.label(found.name), _shown(found.path)
    if not found.wrong:
        return f"The first gradient still to do in {path}: {gradient}"
    graded = progress.find(found.path, found.exercise)
    if graded is not None and not graded.is_current:
        return f"{path} has changed since it was graded. The first gradient that was not right: {gradient}"
    return f"The first gradient that is not right in {path}: {gradient}"


def _what_next(exercise: Exercise, name: str, level: int) -> str:
    words = _with_exercise(exercise, name)
    if level < len(_hints(exercise, name)):
        following = f"Next hint: dojo hint {words}"
    else:
        following = f"That was the last hint. All of them: dojo hint {words} --all"
    others = " or ".join(f"--exercise {e.short_id}" for e in _others(exercise, name))
    elsewhere = f"\n{exercise.label(name)} is graded elsewhere too: add {others}" if others else ""
    return following + elsewhere


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)
