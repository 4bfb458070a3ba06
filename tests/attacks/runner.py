"""A process that grades attacks one after another, and says of each what became of it. It may die of one."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from grader.base.boundary import address_space
from grader.base.errors import DojoError, NotGradedError
from grader.batch.collect import collect
from grader.batch.person import Task, Terms, grade_person
from grader.integrations.outputs import FORMATS
from grader.judging.grade import Grader, Settings
from grader.lesson.exercise import find_exercise, track_of
from grader.lesson.trials import other_data
from grader.report.records import Report, SubmissionReport, Verdict
from grader.running.limits import Limits
from grader.truth.truths import KnownTruths
from tests.answers.build import SOFTMAX_MINUS_ONE
from tests.attacks.attack import Attack, Places
from tests.attacks.corpus import ATTACKS
from tests.attacks.looks import complaint, faults, rendered

SEED, EARLIER_SEED = 20, 21
MARGIN = 6.0
"""Seconds beyond a submission's own limit for what the judge does itself."""

MOST_MEMORY = 6_000_000_000
"""Bytes that this process may take: an attack that floods the judge must not flood the machine."""

_PR_SET_CHILD_SUBREAPER = 36
_CUT_OFF = ("forbidden", "error", "timeout")


class Slow(BaseException):
    """The grader took longer than it may."""


def main() -> None:
    """Read ids on standard input; write what became of each on the descriptor that is named."""
    asked = json.loads(sys.argv[1])
    places = Places(Path(asked["folder"]), asked["secret"], asked["values"] | {"JUDGE": str(os.getpid())})
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + MOST_MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, _too_slow)
    attacks = {attack.id: attack for attack in ATTACKS}
    range_ = Range(places, asked["mode"], asked["level"])
    with os.fdopen(asked["answers"], "w", encoding="utf-8") as answers:
        answers.write("ready\n")
        answers.flush()
        for line in sys.stdin:
            answers.write(json.dumps(range_.meet(attacks[line.strip()])) + "\n")
            answers.flush()
    range_.close()


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise Slow


class Range:
    """Where attacks run: one grader, and a control that is graded after each of them."""

    def __init__(self, places: Places, mode: str, level: str) -> None:
        exercise = find_exercise("makemore/ex1")
        earlier = KnownTruths().find(exercise, other_data(EARLIER_SEED, "cpu")).gradients.total["h"].tolist()
        self.places = dataclasses.replace(places, values=places.values | {"EARLIER": json.dumps(earlier)})
        self.mode = mode
        self.settings = Settings(seed=SEED, isolation=level, limits=Limits(seconds=30), guarded=mode == "guarded")
        self.control = places.folder / "submissions" / "control.py"
        self.control.write_text(SOFTMAX_MINUS_ONE)
        self.grader = self._open()
        self.expected = self._grade_control()
        if '"score": 1,' not in self.expected:
            raise RuntimeError(f"a right answer does not pass before any attack: {self.expected[:1000]}")

    def _open(self) -> Grader:
        return Grader(self.settings, exercises=track_of(find_exercise("makemore/ex1")))  # no attack is on another

    def close(self) -> None:
        self.grader.launcher.close()

    def meet(self, attack: Attack) -> dict[str, Any]:
        folder = self.places.folder / "submissions" / "one"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        before = descendants()
        said = self._attack(attack, folder)
        said["harm"] += self._left_over(before)
        if self._grade_control() != self.expected:
            said["harm"].append("others: the next submission is graded otherwise")
            self.close()
            self.grader = self._open()
        return said

    def _attack(self, attack: Attack, folder: Path) -> dict[str, Any]:
        reports: list[SubmissionReport] = []
        harm: list[str] = []
        shown: dict[str, str] = {}
        start = time.monotonic()
        self.grader.settings = dataclasses.replace(self.settings, limits=Limits(seconds=attack.seconds))
        verdict, refused = Verdict(attack.tensor), ""
        try:
            path = attack.write(folder, self.places)
            signal.setitimer(signal.ITIMER_REAL, (attack.seconds + MARGIN) * (2 if attack.before else 1))
            if path.suffix == ".zip" or path.name == "submissions":
                verdict, refused, shown = self._grade_course(path)
            else:
                if attack.before:
                    accomplice = folder / "accomplice.py"
                    accomplice.write_text(self.places.fill(attack.before))
                    self.grader.grade_file(accomplice, attack.exercise)
                reports = self.grader.grade_file(path, attack.exercise)
                shown = rendered(reports)
                verdict = [v for report in reports for v in report.verdicts if v.name == attack.tensor][-1]
        except DojoError as error:
            refused = complaint(str(error))
            shown = {"complaint": refused}
            if isinstance(error, NotGradedError) and error.__cause__ is not None:
                harm.append(f"grader: {error}")
            if "process that starts workers" in refused:
                harm.append("grader: the process that starts workers has ended")
        except Slow as error:
            frame = traceback.extract_tb(error.__traceback__)[-2]
            harm.append(f"slow: the limit was not kept, in {Path(frame.filename).name}, {frame.name}")
        except BaseException as error:
            harm.append(f"grader: {type(error).__name__}: {str(error)[:200]}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        harm += [f"text: {reason}" for reason in faults(shown, reports)]
        if any(self.places.secret in text for text in shown.values()):
            harm.append("secret: the report tells it")
        if verdict.passed:
            harm.append("credit: the gradient passed")
        return {
            "id": attack.id,
            "harm": harm,
            "said": (refused or f"{verdict.status}, {verdict.mistake}: {verdict.message}").strip()[:300],
            "cut_off": bool(refused) or verdict.status in _CUT_OFF,
            "seconds": round(time.monotonic() - start, 2),
        }

    def _grade_course(self, path: Path) -> tuple[Verdict, str, dict[str, str]]:
        """Grade what `dojo batch` would find: the verdict on anyone but Anna, and what is refused.

        Raises:
            RuntimeError: Anna's right answer did not pass.
        """
        terms = Terms(seed=SEED, forced="makemore/ex1_atoms")
        verdict, refused, told = Verdict("h"), "", []
        anna = False
        with collect(path) as submissions:
            for submission in submissions:
                files, problems = [], list(submission.problems)
                for item in submission.files:
                    try:
                        files.append((item.label, item.read()))
                    except DojoError as error:
                        problems.append(str(error))
                report = grade_person(self.grader, Task(submission.name, tuple(files), tuple(problems)), terms).report
                told += [submission.name, json.dumps(report, ensure_ascii=False), *problems]
                refused += "; ".join([*problems, report.get("refused", "")])
                passed = any(v["status"] == "pass" for s in report["submissions"] for v in s["verdicts"])
                if submission.name == "anna":
                    anna |= passed
                elif passed:
                    verdict.status = "pass"
        if not anna:
            raise RuntimeError("Anna's right answer did not pass")
        return verdict, refused, {"json": "\n".join(told)}

    def _left_over(self, before: set[int]) -> list[str]:
        deadline = time.monotonic() + 1.0
        while (left := descendants() - before) and time.monotonic() < deadline:
            reap()
            time.sleep(0.01)
        if not left:
            return []
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        reap()
        return [f"process: {len(left)} left"]

    def _grade_control(self) -> str:
        self.grader.settings = self.settings
        try:
            return FORMATS["json"](Report(self.grader.grade_file(self.control, "makemore/ex2")))
        except DojoError as error:
            return str(error)


def descendants() -> set[int]:
    """Processes below this one that still run; those whose parent ended are its children, for it adopts them."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            parents[int(entry.parent.name)] = int(parent)
    found: set[int] = set()
    while grown := {pid for pid, parent in parents.items() if parent in {os.getpid(), *found}} - found:
        found |= grown
    return found


def reap() -> None:
    """Fetch ended children that were adopted; the launcher's own end is fetched by its owner."""
    for entry in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        try:
            state = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[0]
            if state == "Z":
                os.waitpid(int(entry), os.WNOHANG)
        except (OSError, ChildProcessError):
            continue


if __name__ == "__main__":
    main()
