"""A course of people who handed something in, right and wrong, small enough to grade in no time."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from answers.build import BATCHNORM_IN_ONE, SOFTMAX_MINUS_ONE

RIGHT = SOFTMAX_MINUS_ONE + "\n"
WRONG = SOFTMAX_MINUS_ONE.replace("-= 1", "-= 2") + "\n"
BATCHNORM = BATCHNORM_IN_ONE + "\n"
NOT_EVEN_UTF_8 = b"dlogits = '\xff'"


def hand_in(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write `files`, content by path, below `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def class_of(folder: Path, count: int) -> Path:
    """`count` people, every third right, some with a file that is refused."""
    for number in range(count):
        text: str | bytes = RIGHT if number % 3 == 0 else WRONG.replace("2", str(number + 2), 1)
        hand_in(folder, {f"student{number:03}/ex2.py": NOT_EVEN_UTF_8 if number % 7 == 6 else text})
    return folder


def zipped(path: Path, files: dict[str, str | bytes]) -> Path:
    """A zip file with these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def index(results: Path) -> list[dict[str, object]]:
    """The lines of the index that are whole."""
    text = (results / "index.jsonl").read_bytes() if (results / "index.jsonl").exists() else b""
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def contents(results: Path) -> dict[str, bytes]:
    """Every result file, by name."""
    return {path.name: path.read_bytes() for path in sorted((results / "results").iterdir())}
