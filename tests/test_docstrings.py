"""Everything public in grader/ says what it does: a newcomer reads the docstrings first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

GRADER = Path(__file__).resolve().parents[1] / "grader"
Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(body: list[ast.stmt]) -> Iterator[Named]:
    """Functions and classes without a leading underscore, and the methods of such classes."""
    for node in body:
        if isinstance(node, Named) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)
        elif isinstance(node, ast.If | ast.Try):
            yield from public(node.body)


def without_docstring(path: Path) -> list[str]:
    return [
        f"{path.name}:{node.lineno}: {node.name}"
        for node in public(ast.parse(path.read_text(encoding="utf-8")).body)
        if not ast.get_docstring(node)
    ]


ROOMS = sorted(p.name for p in GRADER.iterdir() if p.is_dir() and p.name[0] != "_")
MOST_LINES = 3000


@pytest.mark.parametrize("room", ROOMS)
def test_all_that_is_public_has_a_docstring(room: str) -> None:
    silent = [found for path in sorted((GRADER / room).rglob("*.py")) for found in without_docstring(path)]
    assert not silent, "\n".join(silent)


def test_what_has_none_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('class A:\n    """A."""\n\n    def b(self): ...\n\n    def _c(self): ...\n\n\ndef d(): ...\n')
    assert without_docstring(module) == ["module.py:4: b", "module.py:9: d"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_can_be_read_in_an_evening(room: str) -> None:
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (GRADER / room).rglob("*.py"))
    assert lines <= MOST_LINES, f"{room} has {lines:,} lines: take something away, or move it to where it belongs"
