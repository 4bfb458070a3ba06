"""A learner's or an author's file as cells and statements.

Reads percent scripts, plain scripts, exports of notebooks, marimo apps and notebooks. What does not
parse is set aside line by line, so that one bad line costs one line.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Hashable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from grader.base.boundary import FILE_SECONDS, Clock, one_file
from grader.base.errors import DojoError
from grader.base.files import read_text
from grader.base.loading import load_nbformat
from grader.syntax.effects import Effects, statement_effects
from grader.syntax.loops import Loop, LoopNames, loops_below
from grader.syntax.scopes import (
    FunctionNode,
    assigned_names,
    called_name,
    called_names,
    child_nodes,
    field_name,
    functions_in,
    nodes_below,
    root_name,
    statements_below,
)

# Texts of learners are parsed in many places, and a warning would tell of a file that is called so.
warnings.filterwarnings("ignore", category=SyntaxWarning, module="<unknown>")

_CELL_MARK = re.compile(r"^#\s*(?:%%(?P<percent>.*)|In\s?\[[\d ]*\]:?.*|<codecell>.*)$")
_MARKS = ("%%", "In", "<codecell>")
_TAGS = re.compile(r"tags=\[([^\]]*)\]")
_COMMENT = re.compile(r"^# ?", re.MULTILINE)
_WRAPPER = "if 1:"
_TIMED = re.compile(r"^(\s*)%time\s+(?=\S)")
_FOREIGN_CELL = re.compile(r"^%%(?!time|timeit|capture|prun)\w+")
_MAGIC_LINE = re.compile(r"^\s*(?:[%!?].*|\w[\w, ]*=\s*[%!].*|[\w.]+\?{1,2})$")
_UNSEEN_LINE = re.compile(r"^[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+$")
_MAX_BAD_LINES = 400

_PIECE = re.compile(
    r"""(?P<three>\'{3}|"{3})(?:\\.|.)*?(?:(?P=three)|\Z)|'(?:\\.|[^'\\\n])*'?|"(?:\\.|[^"\\\n])*"?"""
    r"""|\#[^\n]*|\\\n|[()\[\]{}\n]""",
    re.DOTALL,
)
"""What tells where a statement ends: strings, comments, brackets, and the ends of lines."""

_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}

_CLAUSE = re.compile(r"^\s*(?:else|elif|elseif|elsif|except|finally)\b")
_HEAD = re.compile(rf"{_CLAUSE.pattern}|^\s*(?:async|for|while|if|try|with|def|class|match|case)\b|^.*:\s*(?:#.*)?$")
_EMPTY_HEAD = re.compile(r"^((?!\s*while\b).*?:)\s*(?:#.*)?$")  # `while True: pass` has no end
_HEAD_ABOVE = re.compile(r"^expected an indented block after .* on line (\d+)$")
_NO_EXCEPT = "expected 'except' or 'finally'"
_TRY = re.compile(r"^(\s*)(try|except|finally)\b")
_DECORATED = re.compile(r"^\s*(?:@|(?:async|def|class)\b)")
_OPERATOR = re.compile(r"^\s*(?:[-+*/@%&|^.<>]|(?:and|or|if|else)\b)")
_LINE_NUMBER = re.compile(r"(?<=\bline )\d+")
_LONGEST_KEPT, _MOST_KEPT = 8_000, 200_000
"""Characters of a cell or a statement, and of all of either, that are kept as they were read, in some 30 MB together.
All of makemore has 35,000."""

_DEEPEST, _MOST_DIGITS = 150, 1_000
"""A statement with more levels of syntax, or a number of more digits, is set aside as if it did not parse. From some
240 levels on Python's own walks through syntax trees fail, and from 4,300 digits on Python writes no number down."""
_LARGEST = 10**_MOST_DIGITS
_TOO_DEEP = f"it is nested more than {_DEEPEST} levels deep; split it into several statements"
_TOO_LARGE = f"a number in it has more than {_MOST_DIGITS:,} digits; write a shorter one"

MAX_STATEMENTS, MAX_CODE = 2_000, 500_000
"""More statements, or characters of code, are refused. A course's longest notebooks have some 500 statements in
40,000 characters; what reading costs grows with the square of the first."""


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be read: where it stands, its text, and the reason, which is Python's own where it does not
    parse. `lost` is all that cannot be read because of it: its statement, and the block of which it is the head."""

    line: int
    cell: int | None
    text: str
    reason: str
    lost: str


@dataclass(frozen=True)
class Cell:
    """One cell, of kind `code`, `markdown` or `raw`. `line` is the file's line (scripts) or 1 (notebooks) at which
    `text` begins."""

    kind: str
    text: str
    line: int = 1
    number: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Function:
    """A function or method of a file."""

    node: FunctionNode

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        """The function and everything below it."""
        return nodes_below(self.node)

    @cached_property
    def loops(self) -> tuple[LoopNames, ...]:
        """Its outermost loops."""
        return _loops_among(self.nodes)

    @cached_property
    def assigned(self) -> frozenset[str]:
        """Every name that its body stores to."""
        return frozenset(name for child in self.node.body for name in assigned_names(child))

    @cached_property
    def fields(self) -> frozenset[str]:
        """The attributes and keys that it names."""
        return frozenset(name for leaf in self.nodes if (name := field_name(leaf)) is not None)

    @cached_property
    def called(self) -> tuple[str, ...]:
        """The names of what it calls, each once, in order."""
        return called_names(self.nodes)


def _loops_among(nodes: Sequence[ast.AST]) -> tuple[LoopNames, ...]:
    return loops_below(nodes[0]) if any(isinstance(leaf, Loop) for leaf in nodes) else ()


@dataclass(frozen=True, eq=False)
class Statement:
    """One statement that runs by itself, with the place where the learner reads it."""

    node: ast.stmt
    cell: Cell

    @property
    def line(self) -> int:
        """Line number in the file (scripts) or in the cell (notebooks)."""
        return self._first_line + self.cell.line - 1

    @property
    def last_line(self) -> int:
        """Where it ends, counted as `line` is."""
        return (self.node.end_lineno or self.node.lineno) + self.cell.line - 1

    @cached_property
    def _first_line(self) -> int:
        decorators = getattr(self.node, "decorator_list", [])
        return min((self.node.lineno, *(int(d.lineno) for d in decorators)))

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        """The statement and everything below it, walked once for all who look through it."""
        return nodes_below(self.node)

    @cached_property
    def assigned(self) -> frozenset[str]:
        """Every name that it stores to, inside its functions left out."""
        return frozenset(assigned_names(self.node))

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """The function that it defines, or the methods of its class."""
        return tuple(map(Function, functions_in([self.node])))

    @cached_property
    def loops(self) -> tuple[LoopNames, ...]:
        """Its outermost loops."""
        return _loops_among(self.nodes)

    @cached_property
    def effects(self) -> Effects:
        """What it reads and writes where the functions of its file change nothing."""
        return statement_effects(self.node)

    @cached_property
    def text(self) -> str:
        """Source that compiles on its own; its first line is `text_line`."""
        if self.node.col_offset == 0:
            return self._lines
        for text in (textwrap.dedent(self._lines), f"{_WRAPPER}\n{self._lines}"):
            try:
                (node,) = ast.parse(text).body
            except (SyntaxError, ValueError):
                continue  # tabs, hanging lines or comments at the margin: indentation alone cannot be undone
            wrapped = text.startswith(_WRAPPER) and isinstance(node, ast.If)
            if ast.dump(node.body[0] if wrapped else node) == ast.dump(self.node):  # type: ignore[attr-defined]
                return text
        return ast.unparse(self.node)

    @property
    def text_line(self) -> int:
        """The line number of the first line of `text`."""
        return self.line - 1 if self.text.startswith(_WRAPPER) else self.line

    @cached_property
    def _lines(self) -> str:
        """The statement's lines as they stand, less what is before and after it on its first and last line."""
        lines = self.cell.text.split("\n")[self._first_line - 1 : self.node.end_lineno]
        lines[-1] = lines[-1].encode()[: self.node.end_col_offset].decode()
        if self._first_line == self.node.lineno and self.node.col_offset:
            indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
            lines[0] = indent + lines[0].encode()[self.node.col_offset :].decode()
        return "\n".join(lines)

    def in_cell(self, cell: Cell) -> Statement:
        """The same text at the same place of another cell, with all that was found out about it."""
        other = copy(self)
        vars(other)["cell"] = cell  # a new statement as yet, which nobody else has
        return other

    def line_text(self, line: int) -> str:
        """The learner's text at `line`, stripped."""
        lines = self.cell.text.split("\n")
        index = line - self.cell.line
        return lines[index].strip() if 0 <= index < len(lines) else ""


@dataclass(frozen=True, eq=False)
class Source:
    """A file that was read: its cells, its statements in order, and the lines that do not parse."""

    path: Path
    cells: tuple[Cell, ...]
    statements: tuple[Statement, ...]
    bad_lines: tuple[BadLine, ...]
    clock: Clock = field(default_factory=Clock)

    @cached_property
    def functions(self) -> list[Function]:
        """The functions and methods of the file, in order."""
        return [function for statement in self.statements for function in statement.functions]

    def around(self, bad: BadLine) -> Statement | None:
        """The statement in which a line stands that cannot be read, such as a function; None where there is none."""
        inside = (s for s in self.statements if s.cell.number == bad.cell and s.line <= bad.line <= s.last_line)
        return next(inside, None)

    @property
    def is_notebook(self) -> bool:
        """Whether it is an .ipynb file, whose lines are counted by cells."""
        return self.path.suffix.lower() == ".ipynb"


def read_source(path: Path, content: bytes | None = None, seconds: float = FILE_SECONDS) -> Source:
    """Read a script or a notebook. With `content`, the file's bytes, `path` only names it.

    `seconds` is what the file may cost in all: what it takes from here to its last verdict counts.

    Raises:
        DojoError: no such file, too large, empty, not UTF-8, not a readable notebook, or it takes too long to read.
    """
    clock = Clock(seconds)
    with one_file(path, clock):
        text = read_text(path, content)
        if not text.strip():
            raise DojoError(f"{path}: the file is empty")
        is_notebook = path.suffix.lower() == ".ipynb"
        if not is_notebook and text.lstrip().startswith("{") and '"nbformat"' in text:
            raise DojoError(f"{path}: is a notebook, so its name must end in .ipynb")
        cells = _notebook_cells(path, text) if is_notebook else percent_cells(text)
        return replace(parse_source(path, cells), clock=clock)


def parse_source(path: Path, cells: list[Cell]) -> Source:
    """Parse each cell on its own; a markdown cell, and what is the grader's own, is kept as it is."""
    statements: list[Statement] = []
    bad_lines: list[BadLine] = []
    cleaned: list[Cell] = []
    if sum(len(cell.text) for cell in cells if cell.kind == "code") > MAX_CODE:
        raise DojoError(f"{path}: holds more than {MAX_CODE:,} characters of code; no answer needs so many")
    with warnings.catch_warnings(action="ignore"):  # where others make errors of warnings, as pytest may
        for cell in cells:
            if cell.kind != "code" or "grading" in cell.tags:
                cleaned.append(cell)
                continue
            parsable, held, bad = _read_cell(cell)
            bad_lines += bad
            cleaned.append(parsable)
            statements += held
            if len(statements) > MAX_STATEMENTS:
                raise DojoError(f"{path}: holds more than {MAX_STATEMENTS:,} statements; no answer needs so many")
    return Source(path, tuple(cleaned), tuple(statements), tuple(bad_lines))


_Read = tuple[Cell, tuple[Statement, ...], tuple[BadLine, ...]]


Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")


class _Latest(dict[Key, Kept]):
    """What was read of texts, as long as all of them are not too long together. Nothing writes to what it holds."""

    characters = 0

    def keep(self, key: Key, kept: Kept, characters: int) -> None:
        if characters > _LONGEST_KEPT:
            return
        if self.characters > _MOST_KEPT:
            self.clear()
            self.characters = 0
        self[key] = kept
        self.characters += characters


_CELLS: _Latest[Cell, _Read] = _Latest()
"""Most of a course's cells are the lesson's own, byte for byte and at the same place."""

_STATEMENTS: _Latest[tuple[str, int, int, int | None], Statement] = _Latest()
"""In the others most statements are those of other submissions."""


def _read_cell(cell: Cell) -> _Read:
    """The cell as it can be parsed, its statements, and the lines that do not parse."""
    if (found := _CELLS.get(cell)) is None:
        tree, parsable, bad = _parse_cell(cell)
        lines = parsable.text.split("\n")
        read = [_read_statement(node, parsable, lines) for node in _lift(tree.body)]
        bad += [line for line in read if isinstance(line, BadLine)]
        bad.sort(key=lambda line: line.line)
        found = parsable, tuple(statement for statement in read if isinstance(statement, Statement)), tuple(bad)
        _CELLS.keep(cell, found, len(cell.text))
    return found


def _read_statement(node: ast.stmt, cell: Cell, lines: Sequence[str]) -> Statement | BadLine:
    statement = Statement(node, cell)
    first = statement.line - cell.line
    text = "\n".join(lines[first : node.end_lineno])
    key = text, first, node.col_offset, node.end_col_offset
    if (known := _STATEMENTS.get(key)) is not None:
        return known.in_cell(cell)
    if len(text) > _DEEPEST and (why := _why_unreadable(statement)) is not None:  # a shorter one has room for neither
        line, reason = why
        return BadLine(cell.line + line - 1, cell.number, lines[line - 1], reason, text)
    _STATEMENTS.keep(key, statement, len(text))
    return statement


def _why_unreadable(statement: Statement) -> tuple[int, str] | None:
    """The line of its cell, and the reason, for which a statement that Python parses is set aside all the same."""
    for node in statement.nodes:
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value >= _LARGEST:
            return _line_around(node, statement), _TOO_LARGE
    if len(statement.nodes) <= _DEEPEST:
        return None
    level: list[ast.AST] = [statement.node]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in child_nodes(node)]
    return (_line_around(level[0], statement), _TOO_DEEP) if level else None


def _line_around(node: ast.AST, statement: Statement) -> int:
    """The line on which the innermost statement with `node` begins."""
    begins = [inner.lineno for inner in statements_below(statement.node) if isinstance(inner, ast.stmt)]
    return max((line for line in begins if line <= getattr(node, "lineno", 0)), default=statement.node.lineno)


def percent_cells(text: str) -> list[Cell]:
    """Split a script at its cell marks. jupytext reads more, but costs a fifth of torch's import time."""
    cells: list[Cell] = []
    lines = text.split("\n")
    hashed = [i for i, line in enumerate(lines) if line.startswith("#")]
    starts = [i for i in hashed if lines[i][1:].lstrip().startswith(_MARKS) and _CELL_MARK.match(lines[i])]
    ends = [*starts[1:], len(lines)][: len(starts)]
    head = lines[: starts[0]] if starts else lines
    if any(line.strip() and not line.startswith("#") for line in head):
        cells.append(Cell("code", "\n".join(head), 1))
    for start, end in zip(starts, ends, strict=True):
        mark = _CELL_MARK.match(lines[start])
        options = (mark and mark["percent"]) or ""
        found = _TAGS.search(options)
        tags = tuple(re.findall(r"[\"']([^\"']+)[\"']", found[1])) if found else ()
        body = lines[start + 1 : end]
        if "[markdown]" in options or "[md]" in options or "[raw]" in options:
            text = _COMMENT.sub("", "\n".join(body))
            kind, text = ("raw", text.rstrip("\n")) if "[raw]" in options else ("markdown", text.strip("\n"))
            cells.append(Cell(kind, text, start + 2, tags=tags))
        else:
            cells.append(Cell("code", "\n".join(body).rstrip("\n"), start + 2, tags=tags))
    return cells


def _notebook_cells(path: Path, text: str) -> list[Cell]:
    load_nbformat()  # costs 80 ms: only notebooks pay for it
    import nbformat

    try:
        raw: Any = nbformat.reader.reads(text)  # type: ignore[no-untyped-call]
        major = raw.get("nbformat")
        too_old, without_cells = major is not None and major < 4, "cells" not in raw
    except Exception as error:
        told = isinstance(error, (ValueError, nbformat.ValidationError)) and str(error).strip()
        # nbformat repeats the file, or what Python said of it, between quotes.
        reason = told.splitlines()[0].split(": '")[0][:120] if told else "its JSON is not that of a notebook"
        raise DojoError(f"{path}: not a readable notebook ({reason})") from None
    if too_old:
        raise DojoError(f"{path}: notebook format {major} is too old; open it in Jupyter and save it again (format 4)")
    if major is None or without_cells:
        raise DojoError(f"{path}: not a notebook (it has no cells)")
    cells = []
    for number, cell in enumerate(raw["cells"], start=1):
        if not isinstance(cell, dict):
            raise DojoError(f"{path}: cell {number} is not a notebook cell")
        body = cell.get("source", "")
        body = "".join(map(str, body)) if isinstance(body, list) else str(body)
        metadata = cell.get("metadata") or {}
        tags = metadata.get("tags") if isinstance(metadata, dict) else ()
        names = tuple(str(tag) for tag in tags) if isinstance(tags, list) else ()
        kind = str(cell.get("cell_type")) if cell.get("cell_type") in ("code", "raw") else "markdown"
        cells.append(Cell(kind, body.replace("\r\n", "\n"), 1, number, names))
    return cells


def _parse_cell(cell: Cell) -> tuple[ast.Module, Cell, list[BadLine]]:
    text, bad = cell.text.replace("\r\n", "\n").replace("\r", "\n"), []  # as Python counts its lines
    if _FOREIGN_CELL.match(text.lstrip()):
        text = "\n" * text.count("\n")
    lines, replaced = text.split("\n"), set[int]()
    for attempt in range(_MAX_BAD_LINES):
        text = "\n".join(lines)
        try:
            tree = ast.parse(text)
            break
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if attempt == 0 and (repaired := _without_magics(lines)) != lines:
                lines = repaired
                continue
            if isinstance(error, IndentationError) and (flat := textwrap.dedent(text).split("\n")) != lines:
                lines = flat
                continue
            if (line := _set_aside(error, lines, replaced, cell)) is not None:
                bad.append(line)
    else:
        text, tree = "", ast.Module(body=[], type_ignores=[])
    return tree, Cell(cell.kind, text, cell.line, cell.number, cell.tags), bad


def _set_aside(error: Exception, lines: list[str], replaced: set[int], cell: Cell) -> BadLine | None:
    """Take a line that cannot be read, and what is lost with it, out of `lines`; None where that is known of it."""
    reason = _reason(error)
    at = _bad_line_index(error, reason, lines)
    first, last = _statement_around(at, lines)
    instead = "" if first in replaced else _instead(lines[first], reason)
    if instead.strip() in ("", "pass"):
        last = _end_of_block(first, last, lines)
    begins = reason.startswith(_NO_EXCEPT) or lines[first].lstrip().startswith("@")
    known = first in replaced or (begins and max(replaced, default=0) > first)  # its `except` is what is set aside
    found = None
    if not known:
        begin, said = first, _LINE_NUMBER.sub(lambda n: f"{int(n[0]) + cell.line - 1}", reason)
        if reason == "unexpected indent" and (above := _goes_on_from(at, lines, replaced)) is not None:
            begin, said = above, f"{said}; put the whole expression in parentheses"
        found = BadLine(cell.line + at, cell.number, lines[at], said, "\n".join(lines[begin : last + 1]))
    lines[first : last + 1] = [instead, *[""] * (last - first)]
    replaced.add(first)
    return found


def _reason(error: Exception) -> str:
    """Why Python does not parse a cell, in its own words where they help."""
    if isinstance(error, (RecursionError, MemoryError)):
        return _TOO_DEEP
    said = str(getattr(error, "msg", None) or error)
    return _TOO_LARGE if "Exceeds the limit" in said else said.removesuffix("?")  # that of digits


def _bad_line_index(error: Exception, reason: str, lines: list[str]) -> int:
    """The line that is wrong. Where what it begins has no body or no end, Python names the innocent one below it."""
    null = next((index for index, line in enumerate(lines) if "\0" in line), None)
    if null is not None:
        return null
    if isinstance(error, (RecursionError, MemoryError)):  # they name no line
        return max(range(len(lines)), key=lambda index: len(lines[index]))
    if head := _HEAD_ABOVE.match(reason):
        return int(head[1]) - 1
    index = min(max((getattr(error, "lineno", None) or 1) - 1, 0), len(lines) - 1)
    if reason.startswith(_NO_EXCEPT):
        return _open_try(index, lines)
    if not lines[index].strip():
        index = _code_above(index, lines)
    above = _code_above(index, lines)
    if above == index - 1 and lines[above].endswith("\\") and not _is_deeper(lines[index], lines[above]):
        return above
    first, _ = _statement_around(above, lines)
    if lines[first].lstrip().startswith("@") and not _DECORATED.match(lines[index]):
        return first
    if not lines[index].strip():
        index = next((i for i, line in enumerate(lines) if line.strip()), index)
    return index


def _code_above(index: int, lines: list[str]) -> int:
    """The nearest line above that is neither blank nor a comment; the first line where there is none."""
    above = (i for i in range(index - 1, -1, -1) if lines[i].strip() and not lines[i].lstrip().startswith("#"))
    return next(above, 0)


def _open_try(index: int, lines: list[str]) -> int:
    """The nearest `try` above that no `except` or `finally` ends."""
    ended = set[str]()
    for above in range(index - 1, -1, -1):
        if (found := _TRY.match(lines[above])) is None:
            continue
        indent, word = found.groups()
        if word != "try":
            ended.add(indent)
        elif indent not in ended:
            return above
        else:
            ended.remove(indent)
    return index


def _statement_around(at: int, lines: list[str]) -> tuple[int, int]:
    """The lines of the statement with line `at`, as its brackets and strings tell; `at` alone where they have no end.

    A line that stands no deeper than the first, and not in a string, is no part of it, whatever the brackets tell.
    """
    first = row = depth = 0
    quoted = set[int]()
    for piece in _PIECE.finditer("\n".join(lines) + "\n"):
        what = piece[0]
        if what == "\n" and depth == 0:
            if row >= at:
                break
            first = row = row + 1
        elif what in _BRACKETS:
            depth = max(depth + _BRACKETS[what], 0)
        else:
            below = row + what.count("\n")
            quoted |= {*range(row + 1, below + 1)} if what[0] in "'\"" else set()
            row = below
    else:
        return at, at
    inner = [line for line in range(first + 1, row + 1) if lines[line].strip() and line not in quoted]
    whole = all(_is_deeper(lines[line], lines[first]) or lines[line].lstrip()[0] in ")]}" for line in inner)
    return (first, row) if whole else (at, at)


def _goes_on_from(at: int, lines: list[str], replaced: set[int]) -> int | None:
    """The first line of the statement above with which line `at` means to go on, as `* x` does; None where it has
    none."""
    above = _code_above(at, lines)
    if not _OPERATOR.match(lines[at]) or not replaced.isdisjoint(range(above + 1, at)):
        return None
    first, last = _statement_around(above, lines)
    try:
        ast.parse(textwrap.dedent("\n".join([*lines[first:last], f"{lines[last]} {lines[at].lstrip()}"])))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # a list in prose, or a comment above
    return first


def _end_of_block(first: int, last: int, lines: list[str]) -> int:
    """The last line of the block whose head are the lines from `first` to `last`, and of each `else` that goes with it;
    `last` where they are no head."""
    head = lines[first]
    if not _HEAD.match(head):
        return last
    for line in range(last + 1, len(lines)):
        text = lines[line]
        goes_on = _is_deeper(text, head) or (_CLAUSE.match(text) and not _is_deeper(head, text))
        if text.strip() and not goes_on:
            break
        last = line if text.strip() else last
    return last


def _is_deeper(line: str, head: str) -> bool:
    return len(line) - len(line.lstrip()) > len(head) - len(head.lstrip())


def _instead(line: str, reason: str) -> str:
    """What stands for a line that is set aside, so that what is around it can be read."""
    indent = line[: len(line) - len(line.lstrip())]
    if reason.startswith(_NO_EXCEPT):
        return _TRY.sub(r"\1if 1", line)
    if _HEAD_ABOVE.match(reason) and (head := _EMPTY_HEAD.match(line)):
        return f"{head[1]} pass"  # an `else` below it stays one
    return f"{indent}pass" if indent else ""  # it may be all that its block has


def _without_magics(lines: list[str]) -> list[str]:
    """The lines without what notebooks admit beside Python, what nobody sees, and half pairs, which have no bytes."""
    timed: list[str] = []
    for line in lines:
        above = next((text for text in reversed(timed) if text.strip()), "")
        in_block = above.rstrip().endswith(":") or above[:1].isspace()
        timed.append(_TIMED.sub(r"\1" if in_block else "", line))
    seen = ["" if _MAGIC_LINE.match(line) or _UNSEEN_LINE.match(line) else line for line in timed]
    return [line.encode("utf-8", "replace").decode() for line in seen]


def _lift(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of `body`, with blocks that only wrap others (`if __name__`, `no_grad`) opened."""
    for node in body:
        if _is_main_guard(node) or _is_no_grad(node) or _is_marimo_cell(node):
            inner = [child for child in node.body if not isinstance(child, ast.Return)]  # type: ignore[attr-defined]
            yield from _lift(inner)
        elif not isinstance(node, ast.Pass):
            yield node


def _is_main_guard(node: ast.stmt) -> bool:
    if not (isinstance(node, ast.If) and not node.orelse and isinstance(node.test, ast.Compare)):
        return False
    return isinstance(node.test.left, ast.Name) and node.test.left.id == "__name__"


def _is_no_grad(node: ast.stmt) -> bool:
    return isinstance(node, ast.With) and all(
        item.optional_vars is None and any(map(_turns_gradients_off, nodes_below(item.context_expr)))
        for item in node.items
    )


def _turns_gradients_off(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and called_name(node) == "set_grad_enabled":
        return len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and node.args[0].value is False
    return getattr(node, "id", getattr(node, "attr", None)) in ("no_grad", "inference_mode")


def _is_marimo_cell(node: ast.stmt) -> bool:
    called = [getattr(each, "func", each) for each in getattr(node, "decorator_list", ())]
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(each, ast.Attribute) and each.attr == "cell" and root_name(each) == "app" for each in called
    )
