"""Measure how `dojo batch`, `summary` and `feedback` grow with a course, and what Dask adds. README.md says how."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import click
from batch import mixed_answers, right_answers, shared_out_memory
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def course(folder: Path, count: int) -> Path:
    """Right and wrong answers to exercise 1 in turn, a file a person."""
    answers = mixed_answers()
    folder.mkdir()
    for number in range(count):
        name, text = answers[number % len(answers)]
        (folder / f"s{number:05}{Path(name).suffix}").write_bytes(text)
    return folder


def dojo(folder: Path, *arguments: str) -> tuple[float, float]:
    """Run a command: its seconds, and the most memory (PSS, in MB) that it and all below it had at a time."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    began, most = time.perf_counter(), 0.0
    command = [sys.executable, "-m", "grader", *arguments]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=quiet, stderr=quiet) as running:
        while running.poll() is None:
            most = max(most, shared_out_memory(running.pid) / 1e6)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.25)
    if running.returncode:
        raise click.ClickException(f"dojo {' '.join(arguments)}: ended with {running.returncode}")
    return time.perf_counter() - began, most


def grown(folder: Path, counts: list[int], jobs: int) -> Iterator[tuple[str, ...]]:
    """A row for each size: seconds and memory of each command, and milliseconds a submission."""
    for count in counts:
        submissions = course(folder / f"course{count}", count)
        results = str(folder / f"results{count}")
        commands = {
            "batch": ("batch", str(submissions), "--out", results, "--jobs", str(jobs), "--seed", "1"),
            "summary": ("summary", results),
            "feedback": ("feedback", results),
        }
        for what, arguments in commands.items():
            seconds, memory = dojo(folder, *arguments)
            yield f"{count:,}", what, f"{seconds:.1f}", f"{1000 * seconds / count:.1f}", f"{memory:.0f}"


def with_dask(folder: Path, count: int, workers: list[int], rounds: int) -> Iterator[tuple[str, ...]]:
    """Milliseconds a submission on local jobs and on as many Dask workers, and what a task costs more there."""
    submissions = folder / "right"
    submissions.mkdir()
    (name, text), *_ = right_answers()
    for number in range(count):
        (submissions / f"s{number:05}{Path(name).suffix}").write_bytes(text)
    for jobs in workers:
        command = [sys.executable, "-c", CLUSTER, str(jobs)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder) as cluster:
            assert cluster.stdin is not None
            assert cluster.stdout is not None
            address = cluster.stdout.readline().strip()
            ways = {"local": ("--jobs", str(jobs)), "dask": ("--scheduler", address)}
            taken: dict[str, list[float]] = {way: [] for way in ways}
            for number in range(rounds):
                for way, options in list(ways.items())[:: 1 if number % 2 else -1]:
                    results = folder / f"{way}-{jobs}-{number}"
                    dojo(folder, "batch", str(submissions), "--out", str(results), "--seed", "1", *options)
                    taken[way].append(1000 * pace(results))
            cluster.stdin.close()
        more = sorted(jobs * (dask - local) for local, dask in zip(taken["local"], taken["dask"], strict=True))
        yield (
            str(jobs),
            *(f"{median(taken[way]):.1f}" for way in ways),
            f"{median(more):.1f} ({more[0]:.1f} to {more[-1]:.1f})",
        )


def pace(results: Path) -> float:
    """Seconds a submission, by when results were written, after half of them: until then workers may start."""
    written = sorted(path.stat().st_mtime for path in (results / "results").glob("*.json"))
    counted = written[len(written) // 2 :]
    return (counted[-1] - counted[0]) / (len(counted) - 1)


def drawn(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table


@click.command(help=__doc__)
@click.option("--counts", default="10,100,1000", show_default=True, help="Sizes of the course.")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(min=1), help="Judge processes.")
@click.option("--workers", default="1,2,4", show_default=True, help="Dask workers; empty for none.")
@click.option("--tasks", default=240, show_default=True, help="Submissions that a cluster grades.")
@click.option("--rounds", default=7, show_default=True, help="Times that each cluster grades them.")
def main(counts: str, jobs: int, workers: str, tasks: int, rounds: int) -> None:
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as name:
        table = drawn("submissions", "command", "seconds", "ms a submission", "memory, MB")
        for row in grown(Path(name), [int(count) for count in counts.split(",")], jobs):
            table.add_row(*row)
        console.print(table)
        if workers:
            table = drawn(
                "workers", "ms a submission, local jobs", "the same, Dask", "a task costs more, ms of a worker"
            )
            for row in with_dask(Path(name), tasks, [int(number) for number in workers.split(",")], rounds):
                table.add_row(*row)
            console.print("")
            console.print(table)


if __name__ == "__main__":
    main()
