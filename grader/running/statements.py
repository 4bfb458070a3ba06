"""Runs one statement of a submission, in the arithmetic of its trial."""

from __future__ import annotations

import ast
import contextlib
import marshal
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from grader.admission.policy import SUBMISSION, compile_answer
from grader.admission.sentences import NO_COMPLEX, Refused
from grader.running.describe import describe_exception
from grader.running.protocol import MAX_WORDS_BYTES, Failure
from grader.syntax.source import Statement

CASE = "<case>"
"""The file of a program that a lesson brings: its lines are none of the submission's."""


_FLOAT, _FLOAT32 = Tensor.float, torch.float32


class Float64Islands(TorchFunctionMode):
    """Reads float32 as float64: a right answer that says `.float()` must not lose its ten digits.

    Makes no complex tensor, for a step along the imaginary axis differentiates any function.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is _FLOAT:
            return func(*args, **kwargs).double() if args[0].dtype is torch.float16 else args[0].double()
        if kwargs and kwargs.get("dtype") is _FLOAT32:
            kwargs = {**kwargs, "dtype": torch.float64}
        for value in args:
            if value is _FLOAT32:
                args = tuple(torch.float64 if value is _FLOAT32 else value for value in args)
                break
        result = func(*args, **kwargs)
        if isinstance(result, Tensor):
            dtype = result.dtype
            if dtype.is_complex:
                raise Refused(NO_COMPLEX)
            if dtype is _FLOAT32 and func in _FROM_OUTSIDE:
                return result.double()
        return result


_FROM_OUTSIDE = frozenset({torch.from_numpy, torch.tensor, torch.as_tensor})


TRUTH = "__truth__"
"""What a true gradient is called while it is stored where a submission keeps its own."""


@contextlib.contextmanager
def arithmetic_of(parameters: Mapping[str, Any]) -> Iterator[None]:
    """The default dtype of a trial, and float64 throughout where that is it."""
    dtype = getattr(torch, str(parameters.get("dtype", "float32")))
    torch.set_default_dtype(dtype)
    try:
        with Float64Islands() if dtype is torch.float64 else contextlib.nullcontext():
            yield
    finally:
        torch.set_default_dtype(torch.float32)


GRADED = "graded"

_codes: dict[tuple[str, int, str], CodeType] = {}
"""Code of the one submission that this process runs, compiled once for all trials."""


def forget_statements() -> None:
    """Make ready for another submission: its statements may stand for something else."""
    _codes.clear()


_MOST_CODES, _LONGEST_CODE, _LONGEST_TOGETHER = 4096, 10_000, MAX_WORDS_BYTES // 10
"""How many statements' code a judge keeps, and bytes of one and of all that a message holds. One takes some 600."""


def code_of(statement: Statement) -> bytes:
    """What a statement compiles to that nothing is put into, in Python's own form for it; empty for others."""
    simple = isinstance(statement.node, (ast.Assign, ast.AugAssign, ast.Expr)) and statement.text_line == statement.line
    return _code(statement.text, statement.line) if simple and len(statement.text) <= _LONGEST_CODE else b""


@lru_cache(maxsize=_MOST_CODES)
def _code(text: str, line: int) -> bytes:
    try:
        code = marshal.dumps(compile_answer(text, line=line))
    except (Refused, SyntaxError, ValueError, RecursionError, MemoryError):
        return b""
    return code if len(code) <= _LONGEST_CODE else b""  # that of functions in functions grows with their square


def codes_of(statements: Mapping[int, Statement]) -> dict[int, bytes]:
    """What each of these statements compiles to, by their numbers; nothing where it is too long for a message.

    Left out are those that a worker had better compile, for they are blocks or refused. A course's submissions share
    most of their lines, so the judge compiles each once for all its workers.
    """
    codes = {index: code for index, statement in statements.items() if (code := code_of(statement))}
    return codes if sum(map(len, codes.values())) <= _LONGEST_TOGETHER else {}


def keep_code(text: str, text_line: int, code: bytes) -> None:
    """Let `run_statement` run for this statement what `code_of` gave."""
    _codes[text, text_line, GRADED] = marshal.loads(code)


def _compiled(purpose: str, text: str, line: int = 1, **how: Any) -> CodeType:
    """What `compile_answer` makes of a text on a line, made once. `purpose` tells rewritings of one text apart."""
    key = text, line, purpose
    if key not in _codes:
        _codes[key] = compile_answer(text, line=line, **how)
    return _codes[key]


def run_statement(
    text: str,
    text_line: int,
    namespace: dict[str, Any],
    rewrite: Callable[[ast.Module], None],
    purpose: str = GRADED,
    *,
    guarded: bool = True,
) -> Failure | None:
    """Run one statement as `rewrite` leaves it; whatever it raises comes back as a description.

    `purpose` is as in `_compiled`. Not `guarded`, it may do all that Python can.
    """
    filename = CASE if purpose == "case" else SUBMISSION
    try:
        exec(_compiled(purpose, text, text_line, filename=filename, rewrite=rewrite, guarded=guarded), namespace)
    except BaseException as error:
        return describe_exception(error)
    return None


def evaluate(place: str, namespace: dict[str, Any], *, guarded: bool = True) -> Any:
    """What the expression `place` of a submission holds."""
    return eval(_compiled("read", place, mode="eval", guarded=guarded), namespace)


def assign(place: str, value: Any, namespace: dict[str, Any], *, guarded: bool = True) -> None:
    """Store `value` where a submission keeps it: at a name, or in a field or an item."""
    if place.isidentifier():
        namespace[place] = value
    else:
        exec(_compiled("store", place, rewrite=_store, guarded=guarded), {**namespace, TRUTH: value})


def _store(tree: ast.Module) -> None:
    """Make `place = truth` of `place`."""
    place = ast.unparse(tree)
    tree.body = ast.parse(f"{place} = {TRUTH}").body


def run_alone(text: str, namespace: dict[str, Any], *, guarded: bool = True) -> None:
    """Run a statement as it stands, and let it raise."""
    exec(compile_answer(text, guarded=guarded), namespace)
