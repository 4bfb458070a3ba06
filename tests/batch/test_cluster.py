"""`dojo batch --scheduler`: the same results from a Dask cluster, and from one that loses a worker."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import warm
from dojo import environment
from people import class_of, contents, hand_in, index

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'backprop-dojo[cluster]'")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
COUNT = 30
TERMS = ("--seed", "3", "--isolation", "basic")


@pytest.fixture
def cluster() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A cluster in a process of its own, and its address."""
    script = Path(__file__).with_name("local_cluster.py")
    process = subprocess.Popen(
        [sys.executable, str(script)], env=environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address, process.communicate()[1]
    yield process, address
    process.communicate(timeout=60)


def children(pid: int) -> list[int]:
    """Whatever any of its threads has started."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid, *(inner for child in children(pid) for inner in tree(child))]


def workers(cluster: int) -> list[int]:
    """The processes of a cluster that have started judges."""
    return [pid for pid in tree(cluster) if any(_is_judge(child) for child in children(pid))]


def _is_judge(pid: int) -> bool:
    try:
        return b"grader.batch.judges" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_a_cluster_gives_the_same_though_a_worker_is_killed(
    tmp_path: Path, cluster: tuple[subprocess.Popen[str], str]
) -> None:
    process, address = cluster
    class_of(tmp_path / "all", COUNT)
    here = ["-m", "grader", "batch", "all", "--out", "here", *TERMS]
    assert warm.run(here, tmp_path, environment(), wholly=True).returncode == 0
    batch = subprocess.Popen(
        [sys.executable, "-m", "grader", "batch", "all", "--out", "there", *TERMS, "--scheduler", address],
        cwd=tmp_path, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(index(tmp_path / "there")) < 5 or len(workers(process.pid)) < 2:
        assert batch.poll() is None, batch.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    victim = workers(process.pid)[0]
    below = tree(victim)[1:]
    os.kill(victim, signal.SIGKILL)
    _, told = batch.communicate(timeout=200)
    assert batch.returncode == 0, told
    assert "2 Dask workers with 2 threads" in told
    assert "Traceback" not in told
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    names = [line["submission"] for line in index(tmp_path / "there")]
    assert len(names) == len(set(names)) == COUNT, "nothing lost, nothing repeated"
    assert all(is_gone(pid) for pid in below), "the lost worker's judges are gone too"


def test_no_cluster_there(tmp_path: Path) -> None:
    hand_in(tmp_path, {"all/ann.py": "dlogits = 1\n"})
    soon = "import grader.batch.cluster as cluster, grader.cli.main as cli; cluster.CONNECT_SECONDS = 1; cli.main()"
    call = ["-c", soon, "batch", "all", "--out", "out", "--scheduler", "tcp://127.0.0.1:9"]
    ran = warm.run(call, tmp_path, environment())
    assert ran.returncode == 2
    assert ran.stderr.startswith("dojo: --scheduler tcp://127.0.0.1:9: no Dask scheduler answers")
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_versions_that_differ_are_told() -> None:
    from grader.batch.parameters import other_versions

    here = {"backprop-dojo": "1", "torch": "2.13.0"}
    assert other_versions(here, here, "the worker w") == []
    (told,) = other_versions(here, here | {"torch": "2.9.0"}, "the worker w")
    assert "the worker w has torch 2.9.0" in told
    assert "2.13.0" in told
