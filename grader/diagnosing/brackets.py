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
                if isinstance(there, ast.BinOp):
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


def _bracketed(node: ast.BinOp) -> Iterator[ast.BinOp]:
    """`a * b - c` as `a * (b - c)`, `a - b * c` as `(a - b) * c`, `a + b ** c` as `(a + b) ** c`."""
    terms = _terms(node)
    first, op = _factors(terms[0][1])
    for split in range(1, len(first)):
        inner = [(terms[0][0], _product(first[split:], op[split:])), *terms[1:]]
        yield ast.BinOp(_product(first[:split], op[:split]), op[split], _sum(inner))
    last, op = _factors(node.right)
    for split in range(1, len(last)):
        inner_sum = ast.BinOp(node.left, node.op, _product(last[:split], op[:split]))
        yield _times(inner_sum, last[split:], op[split:])
    if isinstance(node.right, ast.BinOp) and isinstance(node.right.op, ast.Pow):
        yield ast.BinOp(ast.BinOp(node.left, node.op, node.right.left), ast.Pow(), node.right.right)
    power = last[0]
    if len(last) > 1 and isinstance(power, ast.BinOp) and isinstance(power.op, ast.Pow):
        raised = ast.BinOp(ast.BinOp(node.left, node.op, power.left), ast.Pow(), power.right)
        yield _times(raised, last[1:], op[1:])


def _terms(node: ast.expr) -> list[tuple[ast.operator, ast.expr]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        return [*_terms(node.left), (node.op, node.right)]
    return [(ast.Add(), node)]


def _sum(terms: list[tuple[ast.operator, ast.expr]]) -> ast.expr:
    total = terms[0][1]
    for op, term in terms[1:]:
        total = ast.BinOp(total, op, term)
    return total


def _factors(node: ast.expr) -> tuple[list[ast.expr], list[ast.operator]]:
    """The factors of a product, and before each the sign of operation that joins it; the first has `*`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div, ast.MatMult)):
        factors, operators = _factors(node.left)
        return [*factors, node.right], [*operators, node.op]
    return [node], [ast.Mult()]


def _product(factors: list[ast.expr], operators: list[ast.operator]) -> ast.expr:
    head = factors[0]
    return _times(head, factors[1:], operators[1:]) if len(factors) > 1 else head


def _times(head: ast.expr, factors: list[ast.expr], operators: list[ast.operator]) -> ast.BinOp:
    total = head
    for op, factor in zip(operators, factors, strict=True):
        total = ast.BinOp(total, op, factor)
    assert isinstance(total, ast.BinOp)
    return total


def short(text: str) -> str:
    """The first line of a text, and of a long one only its beginning."""
    line = text.strip().split("\n")[0]
    return line if len(line) <= 60 else line[:57] + "..."
