"""Measure `dojo summary` on a made-up course: seconds, peak memory, the size of the page. See README.md.

A few dozen submissions are graded; each of the 10,000 draws its answers from theirs (tests/course.py).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from course import graded_answers, write_course  # noqa: E402

from grader.judging.grade import Grader, settings  # noqa: E402

SECONDS, MEGABYTES, PAGE = 20.0, 1000.0, 5.0

CALL = """
import resource, sys, time
started = time.monotonic()
from grader.cli.main import main
try:
    main(["summary", sys.argv[1]])
except SystemExit as end:
    assert not end.code
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
print("figures", time.monotonic() - started, time.process_time(), peak)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="submissions (10000)")
    parser.add_argument("--rounds", type=int, default=3, help="times to measure (3)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with Grader(settings(seed=20, device="cpu")) as grader:
            graded = graded_answers(grader, Path(folder))
        course = write_course(Path(folder) / "results", graded, chosen.count)
        files = sorted((course.folder / "results").iterdir())
        size = sum(file.stat().st_size for file in files)
        print(f"{len(files)} results, {size / 1e6:.0f} MB, made from {len(graded)} graded ones")
        for _ in range(chosen.rounds):
            measure(course.folder, files)
        page = (course.folder / "summary.html").stat().st_size / 1e6
        print(f"page: {page:.2f} MB ({_met(page, PAGE)} {PAGE:g} MB)")


def measure(folder: Path, files: list[Path]) -> None:
    """One round: reading all results as JSON and no more, then the summary in a fresh process."""
    started = time.monotonic()
    for file in files:
        json.loads(file.read_bytes())
    floor = time.monotonic() - started
    # A process begins with the peak of the one that forked it, and this one has torch: so a shell forks it.
    call = ["sh", "-c", '"$0" "$@" && :', sys.executable, "-c", CALL, str(folder)]
    done = subprocess.run(call, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    seconds, cpu, peak = map(float, done.stdout.split("figures ")[1].split())
    print(
        f"{seconds:.1f} s, {cpu:.1f} s of processor time ({_met(seconds, SECONDS)} {SECONDS:g} s); "
        f"peak {peak:.0f} MB ({_met(peak, MEGABYTES)} {MEGABYTES:g} MB); "
        f"{seconds / floor:.1f} times reading the JSON ({floor:.1f} s)"
    )


def _met(value: float, target: float) -> str:
    return "met: at most" if value <= target else "missed: at most"


if __name__ == "__main__":
    main()
