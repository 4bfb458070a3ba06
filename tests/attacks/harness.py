"""Runs attacks in a process that may die of them, and looks for harm from outside."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import grader
from tests.attacks.attack import HARMLESS, OPEN, STOPPED, Attack, Result
from tests.attacks.runner import MARGIN

REPOSITORY = Path(grader.__file__).resolve().parents[1]
START_SECONDS = 60.0
CANARY = "nobody may change this\n"
HARMS = ("credit", "secret", "write", "network", "process", "victim", "output", "grader", "slow", "others", "text")
"""What is looked for after each attack; each harm that is told begins with one of these words."""


@dataclass(frozen=True)
class Outcome:
    """What became of an attack: the harm that was seen, and the words of the report."""

    id: str
    harm: tuple[str, ...]
    cut_off: bool
    said: str
    seconds: float

    @property
    def result(self) -> Result:
        return OPEN if self.harm else STOPPED if self.cut_off else HARMLESS


class Range:
    """Everything that an attack may harm, and the process that grades. A context manager.

    `mode` is `guarded`, as people's answers run, or `free`, where only the sandbox holds them.
    """

    def __init__(self, mode: str, level: str = "basic") -> None:
        self.mode, self.level = mode, level
        self.folder = Path(tempfile.mkdtemp(prefix="dojo-"))
        self.secret = f"secret!{secrets.token_hex(8)}"  # one word, and never a line of Python
        self.canaries = self.folder / "canary"
        (self.folder / "tmp").mkdir()
        self.listeners = [
            socket.create_server(("127.0.0.1", 0)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            socket.socket(socket.AF_UNIX),
        ]
        self.listeners[1].bind(("127.0.0.1", 0))
        self.listeners[2].bind(str(self.folder / "socket"))
        self.listeners[2].listen()
        if sys.platform == "linux":
            self.listeners.append(socket.socket(socket.AF_UNIX))
            self.listeners[3].bind(f"\0{self.folder.name}")
            self.listeners[3].listen()
        for other in ("one", "other"):
            (self.folder / "submissions" / other).mkdir(parents=True)
        (self.folder / "submissions" / "other" / "answers.py").write_text("dh = dlogits @ W2.T\n")
        (self.folder / "secret.txt").write_text(self.secret)
        self._lay_canary()
        self.victim = self._victim()
        self.runner: subprocess.Popen[str] | None = None

    def __enter__(self) -> Range:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end_runner()
        self.victim.kill()
        self.victim.wait()
        for listener in self.listeners:
            listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def meet(self, attacks: Iterable[Attack]) -> Iterator[Outcome]:
        """Run them one after another."""
        for attack in attacks:
            yield self._meet(attack)

    def _meet(self, attack: Attack) -> Outcome:
        runner = self.runner = self.runner or self._start()
        assert runner.stdin is not None
        self._drain()
        runner.stdin.write(f"{attack.id}\n")
        runner.stdin.flush()
        line, touched = self._answer((attack.seconds + MARGIN) * (2 if attack.before else 1) + 10)
        said: dict[str, Any] = json.loads(line) if line else {"harm": ["grader: it ended or hangs"]}
        if not line:
            self._end_runner()
        harm = [*said["harm"], *touched, *self._looked_at()]
        return Outcome(
            attack.id, tuple(harm), said.get("cut_off", False), said.get("said", ""), float(said.get("seconds", 0))
        )

    def _answer(self, seconds: float) -> tuple[str, list[str]]:
        """The runner's line, or nothing where it ended or hangs; and which listeners were touched meanwhile."""
        touched: set[str] = set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ready, _, _ = select.select([self._answers, *self.listeners], [], [], 0.2)
            touched |= self._accept([listener for listener in self.listeners if listener in ready])
            if self._answers in ready:
                line = self._answers.readline()
                ready, _, _ = select.select(self.listeners, [], [], 0)
                return line, sorted(touched | self._accept(ready))
        return "", sorted(touched)

    def _accept(self, ready: Iterable[socket.socket]) -> set[str]:
        touched = set()
        for listener in ready:
            if listener.type == socket.SOCK_DGRAM:
                listener.recv(100)
            else:
                listener.accept()[0].close()
            touched.add("network: a listening socket was reached")
        return touched

    def _looked_at(self) -> list[str]:
        harm = []
        if self._photograph() != self.photograph:
            harm.append("write: a file was changed")
            self._lay_canary()
        if self.victim.poll() is not None:
            harm.append("victim: a process that has nothing to do with it was killed")
            self.victim = self._victim()
            self._end_runner()
        if printed := self._drain():
            harm.append(f"output: {printed[:200]!r} on the grader's own streams")
        for kept in (self.folder / "tmp").glob("dojo-attack-kept-*"):
            kept.unlink()
        return harm

    def _drain(self) -> str:
        if self.runner is None or self.runner.stdout is None:
            return ""
        raw = b""
        while select.select([self.runner.stdout], [], [], 0)[0]:
            block = os.read(self.runner.stdout.fileno(), 65536)
            if not block:
                break
            raw += block
        return raw.decode(errors="replace")

    def _lay_canary(self) -> None:
        shutil.rmtree(self.canaries, ignore_errors=True)
        self.canaries.mkdir()
        (self.canaries / "canary.txt").write_text(CANARY)
        self.photograph = self._photograph()

    def _photograph(self) -> dict[str, object]:
        if not self.canaries.is_dir():
            return {}
        return {
            str(path.relative_to(self.canaries)): (
                path.lstat().st_mode,
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else "",
            )
            for path in sorted(self.canaries.rglob("*"))
        }

    def _victim(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])

    def _start(self) -> subprocess.Popen[str]:
        read, write = os.pipe()
        values = {
            "FOLDER": str(self.canaries),
            "CANARY": str(self.canaries / "canary.txt"),
            "SECRET": str(self.folder / "secret.txt"),
            "HOME": str(self.folder / "submissions"),
            "SOLUTION": str(REPOSITORY / "solutions" / "makemore" / "ex1_atoms.py"),
            "PORT": str(self.listeners[0].getsockname()[1]),
            "UDP": str(self.listeners[1].getsockname()[1]),
            "UNIX": str(self.folder / "socket"),
            "ABSTRACT": self.folder.name,
            "VICTIM": str(self.victim.pid),
        }
        asked = {
            "folder": str(self.folder),
            "secret": self.secret,
            "values": values,
            "mode": self.mode,
            "level": self.level,
            "answers": write,
        }
        runner = subprocess.Popen(
            [sys.executable, "-m", "tests.attacks.runner", json.dumps(asked)],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "DOJO_ATTACK_SECRET": self.secret,
                "TMPDIR": str(self.folder / "tmp"),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=[write],
            start_new_session=True,
        )
        os.close(write)
        self._answers = os.fdopen(read, encoding="utf-8")
        if not select.select([self._answers], [], [], START_SECONDS)[0] or self._answers.readline() != "ready\n":
            self.runner = runner
            said = self._drain()
            self._end_runner()
            raise RuntimeError(f"the process that grades attacks did not start: {said}")
        return runner

    def _end_runner(self) -> None:
        runner, self.runner = self.runner, None
        if runner is None:
            return
        for number in (signal.SIGCONT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(runner.pid, number)
        runner.wait()
        for stream in (runner.stdin, runner.stdout, self._answers):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
