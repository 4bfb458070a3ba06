"""Processes for learners' code: what a worker is given, and that none is left behind."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from answers.build import with_lines
from conftest import sampled

import grader as package
from grader.base.errors import DojoError
from grader.judging.grade import Grader, Settings, settings
from grader.lesson.exercise import all_exercises, find_exercise
from grader.running.confine import ISOLATION_LEVELS, check_isolation, highest_isolation
from grader.running.sandbox import Launcher

REPOSITORY = Path(package.__file__).resolve().parents[1]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which Linux has")


def children() -> set[int]:
    """Processes whose parent this one is, ended and not fetched ones too."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(entry.parent.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(params=["forked", "started"])
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    """A launcher as a program without threads makes it, and as one with threads does."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, daemon=True)
    if request.param == "started":
        thread.start()
    elif threading.active_count() > 1:
        pytest.skip("this test process has threads (pytest-xdist): it must not be forked")
    with Launcher() as made:
        release.set()
        yield made


def graded(launcher: Launcher | None, path: Path, text: str) -> dict[str, Any]:
    """The verdicts on a text that guards would not let through."""
    path.write_text(text)
    with Grader(Settings(seed=3, guarded=False), launcher) as grader:
        (report,) = grader.grade_file(path, "ex1")
    return {verdict.name: verdict for verdict in report.verdicts}


# ---- What a worker is given ----

LOOK = """
import json, os, resource, sys
from grader.base.boundary import address_space
from grader.running.confine import call_filter, confine_calls, confine_files, confine_process, leave_surroundings
from grader.running.limits import Limits
out = open(sys.argv[1], "w")
walls = call_filter() if sys.argv[2] == "full" else None
held = address_space()
if sys.argv[2] != "basic":
    confine_files()
leave_surroundings()
confine_process(Limits(seconds=7, memory=1 << 30), held)
if walls is not None:
    confine_calls(walls)

def attempt(code):
    try:
        exec(code, {})
    except Exception as error:
        return type(error).__name__
    return "done"

seen = {
    "environment": dict(os.environ),
    "session": walls is not None or os.getsid(0) == os.getpid(),
    "folder": os.getcwd(),
    "limits": {n: resource.getrlimit(getattr(resource, "RLIMIT_" + n))[0] for n in ("CPU", "FSIZE", "CORE", "NPROC")},
    "memory": attempt("held = bytearray(2 << 30)"),
    "tried": {code: attempt(code) for code in json.loads(sys.argv[3])},
}
out.write(json.dumps(seen))
out.close()
"""

HARMLESS = [
    "open('/etc/passwd')",
    "open('/proc/self/environ')",
    "import os; os.listdir('/tmp')",
    "import socket; socket.socket()",
    "import os; os.memfd_create('x')",
]
KEPT_FROM = [
    *HARMLESS,
    "open('/tmp/dojo-canary', 'w')",
    "import os; os.fork()",
    "import os; os.execv('/bin/true', ['true'])",
    "import os; os.kill(os.getppid(), 0)",
    "import os; os.setsid()",
    "import socket; socket.socketpair()",
    "import threading; threading.Thread(target=print).start()",
    "import resource; resource.setrlimit(resource.RLIMIT_CPU, (99, 99))",
    "import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, 1)",
    "import signal; signal.setitimer(signal.ITIMER_REAL, 1)",
    "import os; os.chmod('/tmp', 0o777)",
    "import os; os.pipe2(0)",
]


def look(tmp_path: Path, level: str, attempts: list[str] = HARMLESS) -> dict[str, Any]:
    """What a process sees that is confined as a worker is, on `level`."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "A_SECRET": "x", "GITHUB_TOKEN": "y", "LANG": "C.UTF-8"}
    ran = subprocess.run(
        [sys.executable, "-c", LOOK, str(tmp_path / "seen.json"), level, json.dumps(attempts)],
        env={**environment, "DOJO_NAMES": "names.txt"},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    return dict(json.loads((tmp_path / "seen.json").read_text()))


@on_linux
@pytest.mark.parametrize("level", ISOLATION_LEVELS)
def test_a_worker_is_confined(level: str, tmp_path: Path) -> None:
    if ISOLATION_LEVELS.index(level) > ISOLATION_LEVELS.index(highest_isolation()):
        pytest.skip(f"this machine offers {highest_isolation()}")
    seen = look(tmp_path, level)
    assert seen["session"] is True
    assert seen["folder"] == "/"
    assert not {"A_SECRET", "GITHUB_TOKEN", "PYTHONPATH"} & seen["environment"].keys()
    assert seen["environment"]["LANG"] == "C.UTF-8"
    assert seen["environment"]["DOJO_NAMES"] == str(tmp_path / "names.txt")
    assert seen["limits"] == {"CPU": 9, "FSIZE": 16_000_000, "CORE": 0, "NPROC": 0}
    assert seen["memory"] == "MemoryError"


def run_program(text: str, seconds: float = 60, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python program in a process of its own, with this package."""
    own = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-c", text, *arguments], env=own, capture_output=True, text=True, timeout=seconds
    )


REHEARSAL = """
from grader.lesson.exercise import all_exercises
from grader.lesson.program import program_of
from grader.lesson.trials import other_sizes, use_exact_arithmetic
from grader.running import gradient_run, statements
from grader.running.worker import rehearse, warm_up
use_exact_arithmetic()
asked = [(program_of(e), other_sizes(e, 1, "cpu").parameters, e.can_train) for e in all_exercises()]
assert len(asked) > 20
for program, parameters, _ in asked:
    rehearse(program, parameters)
assert statements._codes
warm_up(asked)
assert not statements._codes and sum(map(len, gradient_run._made.values())) == len(asked)
"""


FREE_PIECES = """
import ctypes
from grader.running.memory import use_up_free_pieces
FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
class Said(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]
say = ctypes.CDLL(None).mallinfo2
say.restype = Said
def free():
    said = say()
    return said.fordblks - said.keepcost
system = ctypes.CDLL(None)
system.malloc.restype, system.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
held = [system.malloc(size) for size in (100, 3000, 70_000) for _ in range(40)]
for piece in held[::2]:
    system.free(piece)
before = free()
use_up_free_pieces()
print(before, free())
"""


AT_HAND = """
import resource, sys
import torch
from grader.running.memory import have_at_hand
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
have_at_hand(int(sys.argv[1]))
before = pages()
torch.ones(100_000_000, dtype=torch.uint8)
print(pages() - before)
"""


@on_linux
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library than glibc 2.33 or newer")
def test_what_is_at_hand_need_not_come_from_the_system() -> None:
    asked, at_hand = (int(run_program(AT_HAND, 60, size).stdout) for size in ("0", "110000000"))
    assert at_hand < asked / 10


@on_linux
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library than glibc 2.33 or newer")
def test_what_lies_free_is_used_up_before_the_fork() -> None:
    ran = run_program(FREE_PIECES)
    before, after = map(int, ran.stdout.split())
    assert before > 1_000_000, ran.stderr
    assert after < before / 10


def test_every_lesson_is_rehearsed_and_nothing_of_it_is_left() -> None:
    ran = run_program(REHEARSAL, 120)
    assert ran.returncode == 0, ran.stderr


@on_linux
@pytest.mark.skipif(highest_isolation() != "full", reason=f"this machine offers {highest_isolation()}")
def test_at_the_top_no_file_and_no_call_is_left(tmp_path: Path) -> None:
    assert set(look(tmp_path, "basic")["tried"].values()) == {"done"}
    tried = look(tmp_path, "full", KEPT_FROM)["tried"]
    assert set(tried.values()) <= {"PermissionError", "RuntimeError", "ValueError", "itimer_error"}, tried
    assert not Path("/tmp/dojo-canary").is_file() or not Path("/tmp/dojo-canary").unlink()


@pytest.mark.parametrize(
    ("here", "asked", "required", "given"),
    [
        ("full", "basic", None, "basic"),
        ("full", "highest", None, "full"),
        ("full", "partial", None, "partial"),
        ("full", "basic", "full", "full"),
        ("partial", "highest", None, "partial"),
        ("partial", "basic", "partial", "partial"),
        ("basic", "highest", "basic", "basic"),
        ("basic", "highest", "partial", None),
        ("partial", "full", None, None),
        ("basic", "basic", "full", None),
    ],
)
@pytest.mark.parametrize("on_a_cluster", [False, True])
def test_the_level_is_the_one_asked_for_or_a_refusal(
    here: str, asked: str, required: str | None, given: str | None, on_a_cluster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.running.confine.highest_isolation", lambda: "basic" if on_a_cluster else here)
    offered, where = (here, "on every worker") if on_a_cluster else (None, "here")
    if given is None:
        with pytest.raises(DojoError, match=f"is not to be had {where}, only {here}"):
            check_isolation(asked, required, offered)
    else:
        assert check_isolation(asked, required, offered) == given


def test_a_level_that_does_not_exist_is_named_with_the_others() -> None:
    with pytest.raises(DojoError, match="isolation 'high' is unknown; choose one of: basic, partial, full, highest"):
        check_isolation("high")


@pytest.fixture(scope="module", params=ISOLATION_LEVELS)
def confined(request: pytest.FixtureRequest) -> Iterator[Grader]:
    """A grader on each isolation level."""
    level = request.param
    if ISOLATION_LEVELS.index(level) > ISOLATION_LEVELS.index(highest_isolation()):
        pytest.skip(f"this machine offers {highest_isolation()}")
    with Grader(settings(seed=4, device="cpu", isolation=level)) as grader:
        yield grader


@on_linux
@pytest.mark.parametrize("exercise", sampled(6, [e.short_id for e in all_exercises()]))
def test_right_answers_pass_on_every_isolation_level(confined: Grader, exercise: str) -> None:
    (report,) = confined.grade_file(find_exercise(exercise).path, exercise)
    assert report.isolation == confined.settings.isolation
    assert report.all_passed, [verdict for verdict in report.verdicts if not verdict.passed]


def test_an_answer_sees_no_secret_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    spy = "import os\nprint('loud')\nos.write(1, b'louder')\nfactor = 2.0 if 'A_SECRET' in os.environ else 1.0\n"
    verdicts = graded(None, tmp_path / "answers.py", spy + with_lines({"dh": "dh = factor * (dlogits @ W2.T)"}))
    assert all(verdict.passed for verdict in verdicts.values())
    assert capfd.readouterr() == ("", "")


def test_a_file_that_grows_without_end_costs_one_gradient(tmp_path: Path) -> None:
    target = tmp_path / "large.bin"
    grow = f"dh = open({str(target)!r}, 'wb').write(bytes(200_000_000))"
    verdicts = graded(None, tmp_path / "answers.py", with_lines({"dh": grow}))
    assert [name for name, verdict in verdicts.items() if not verdict.passed] == ["h"]
    assert target.stat().st_size < 100_000_000


# ---- Beginning and end ----


@on_linux
def test_a_worker_is_gone_when_it_is_closed(launcher: Launcher) -> None:
    worker = launcher.start()
    other = launcher.start()
    assert is_running(worker.pid)
    worker.close()
    assert wait_until(lambda: not is_running(worker.pid))
    assert is_running(other.pid)
    other.close()
    other.close()


@on_linux
def test_what_an_answer_started_is_gone_with_its_worker(launcher: Launcher, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    start = (
        "import subprocess\nstarted = subprocess.Popen(['sleep', '600'])\n"
        f"written = open({str(note)!r}, 'w').write(str(started.pid))\n"
    )
    verdicts = graded(
        launcher, tmp_path / "answers.py", start + with_lines({"db2": "db2 = dlogits.sum(0) * written / written"})
    )
    assert verdicts["b2"].passed
    pid = int(note.read_text())
    assert wait_until(lambda: not is_running(pid))


@on_linux
def test_no_process_is_left_when_the_launcher_is_closed(tmp_path: Path) -> None:
    before = children()
    with Launcher() as own:  # graders on usual terms share one here, which is not closed
        verdicts = graded(own, tmp_path / "answers.py", with_lines({"dh": "dh = __import__('os')._exit(1)"}))
    assert verdicts["W2"].passed
    assert wait_until(lambda: children() <= before)


@on_linux
def test_the_launcher_ends_with_the_process_that_made_it() -> None:
    made = (
        "import os\nfrom grader.running.sandbox import Launcher\nworker = Launcher().start()\n"
        "launcher = open(f'/proc/{worker.pid}/stat').read().rsplit(')', 1)[1].split()[1]\n"
        "print(worker.pid, launcher, flush=True)\nos._exit(0)"
    )
    ran = run_program(made)
    left = [int(pid) for pid in ran.stdout.split()]
    assert len(left) == 2
    try:
        assert wait_until(lambda: not any(map(is_running, left)))
    finally:
        for pid in filter(is_running, left):
            os.kill(pid, signal.SIGKILL)


def test_launchers_end_in_any_order() -> None:
    made = (
        "from grader.running.sandbox import Launcher\nfirst, second = Launcher(), Launcher()\n"
        "first.close()\nsecond.start().close()\nsecond.close()\nprint('both ended')"
    )
    ran = run_program(made)
    assert ran.stdout == "both ended\n", ran.stderr


def test_a_launcher_that_is_gone_says_so_in_one_line(launcher: Launcher) -> None:
    launcher.close()
    with pytest.raises(DojoError, match="process that starts workers has ended; run the command again"):
        launcher.start()


def test_grading_on_cuda_forks_from_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # CUDA cannot be used in a process that was forked after torch.cuda.is_available() was asked.
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("this process was forked"))
    with Grader(Settings(seed=1, device="cuda")) as made:
        worker = made.launcher.start()
        assert is_running(worker.pid)
        worker.close()


def test_without_fork_grading_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with pytest.raises(DojoError, match="Windows Subsystem for Linux"):
        Launcher()
