"""Edits of a learner's line that change more than one token: brackets that are missing, sums over one dimension all."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator

from grader.diagnosing.core import Diagnosis

_DIVIDED = re.compile(r"/ ([A-Za-z_]\w*) - 1\b")
_SUMS = frozenset({"sum", "mean"})
_BRACKETS = "missing-brackets"


def edits_of_several_tokens(tree: ast.Module) -> Iterator[tuple[str, Diagnosis]]:
    """The text with each such edit, and what it says about the mistake."""
    text = ast.unparse(tree)
    if found := _DIVIDED.search(text):
        size = found[1]
        said = f"`/ {size} - 1` divides by {size} and then takes 1 away. To divide by {size} - 1, write brackets."
        yield _DIVIDED.sub(r"/ (\1 - 1)", text), Diagnosis(_BRACKETS, said)
    for dimension in (0, 1, -1):
        changed = copy.deepcopy(tree)
        asked = [_over(call, dimension) for call in ast.walk(changed) if isinstance(call, ast.Call)]
        others = [old for old in asked if old is not None and old != str(dimension)]
        if len(others) > 1:
            where = "everything" if {*others} == {""} else f"dimension {', '.join(sorted({*others} - {''}))}"
            said = f"The sums run over {where}. Over which dimension was the tensor broadcast on the way forward?"
            yield ast.unparse(changed), Diagnosis("wrong-dimension", said)
    for number, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            for bracketed in _bracketed(node):
                changed = copy.deepcopy(tree)
                there = list(ast.walk(changed))[number]
                if isinstance(there, ast.BinOp) and isinstance(bracketed, ast.BinOp):
                    there.left, there.op, there.right = bracketed.left, bracketed.op, bracketed.right
                said = (
                    f"Brackets are missing in `{short(ast.unparse(node))}`: products and powers come before plus and "
                    "minus."
                )
                yield ast.unparse(changed), Diagnosis(_BRACKETS, said)


def _over(call: ast.Call, dimension: int) -> str | None:
    """Let a sum run over `dimension`, which it keeps; what it ran over before, or None for another call."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr in _SUMS):
        return None
    before = ast.unparse(call.args[0]) if call.args else ""
    call.args = [ast.Constant(dimension)]
    call.keywords = [ast.keyword("keepdim", ast.Constant(True))]
    return before


def _bracketed(node: ast.BinOp) -> Iterator[ast.expr]:
    """`a * b - c` as `a * (b - c)`, `a - b * c` as `(a - b) * c`, `a + b ** c` as `(a + b) ** c`."""
    terms, last = _chain(node, _PLUS_MINUS), _chain(node.right, _TIMES_OVER)
    first = _chain(terms[0][1], _TIMES_OVER)
    for split in range(1, len(first)):
        inner = _joined([(ast.Add(), _joined(first[split:])), *terms[1:]])
        yield ast.BinOp(_joined(first[:split]), first[split][0], inner)
    for split in range(1, len(last)):
        inner = ast.BinOp(node.left, node.op, _joined(last[:split]))
        yield _joined([(ast.Mult(), inner), *last[split:]])
    power = last[0][1]
    if isinstance(power, ast.BinOp) and isinstance(power.op, ast.Pow):
        raised = ast.BinOp(ast.BinOp(node.left, node.op, power.left), ast.Pow(), power.right)
        yield _joined([(ast.Mult(), raised), *last[1:]])


_Chain = list[tuple[ast.operator, ast.expr]]
_PLUS_MINUS = (ast.Add, ast.Sub)
_TIMES_OVER = (ast.Mult, ast.Div, ast.MatMult)


def _chain(node: ast.expr, operators: tuple[type[ast.operator], ...]) -> _Chain:
    """The terms of a sum or the factors of a product, each with the operator before it; the first has the usual one."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, operators):
        return [*_chain(node.left, operators), (node.op, node.right)]
    return [(operators[0](), node)]


def _joined(chain: _Chain) -> ast.expr:
    """A chain as one expression again."""
    (_, whole), *others = chain
    for op, operand in others:
        whole = ast.BinOp(whole, op, operand)
    return whole


def short(text: str) -> str:
    """The first line of a text, and of a long one only its beginning."""
    line = text.strip().split("\n")[0]
    return line if len(line) <= 60 else line[:57] + "..."
