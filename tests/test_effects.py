"""What a statement reads, writes and starts afresh."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from grader.syntax.effects import Effects, _Collector, changes_of, statement_effects
from grader.syntax.scopes import assigned_names, child_nodes, field_name, local_names, root_name


def effects(text: str) -> Effects:
    """The effects of the last statement; the functions above it are known, as they are in a file."""
    body = ast.parse(dedent(text)).body
    return statement_effects(body[-1], changes_of(body))


def words(text: str) -> set[str]:
    return set(text.split())


# (statement, reads, writes, rebinds)
PLAIN = [
    ("dh = dlogits @ W2.T", "dlogits W2", "dh", "dh"),
    ("a = b = c", "c", "a b", "a b"),
    ("a, (b, *c) = f(d)", "f d", "a b c", "a b c"),
    ("a: Tensor = b", "Tensor b", "a", "a"),
    ("dh = dh * 2", "dh", "dh", ""),
    ("dh += da", "dh da", "dh", ""),
    ("dh[i] = da", "dh i da", "dh", ""),
    ("dh[i] += da", "dh i da", "dh", ""),
    ("dh.data[0] = da", "dh da", "dh", ""),
    ("(a if b else c)[0] = d", "a b c d", "", ""),
    ("dC.index_add_(0, ix, d)", "dC ix d", "dC", ""),
    ("dC.view(-1).add_(d)", "dC d", "dC", ""),
    ("dW = torch.zeros(2).addr_(a, b)", "torch a b", "dW torch", "dW"),
    ("torch.relu_(a)", "torch a", "a torch", ""),
    ("torch.mul(a, b, out=c)", "torch a b c", "c", ""),
    ("np.add.at(dC, ix, d)", "np dC ix d", "dC", ""),
    ("np.add(a, b, c)", "np a b c", "c", ""),
    ("np.exp(a, b[0])", "np a b", "b", ""),
    ("np.allclose(a, b)", "np a b", "", ""),
    ("add(a, b, c)", "add a b c", "", ""),
    ("a.fill(0)", "a", "a", ""),
    ("b = a.fill(0)", "a", "b", "b"),
    ("np.fill_diagonal(a, b)", "np a b", "a", ""),
    ("dh = dlogits.add(da)", "dlogits da", "dh", "dh"),
    ("setattr(grads, 'h', d)", "setattr grads d", "grads", ""),
    ("listed.append(d)", "listed d", "listed", ""),
    ("del a", "", "a", ""),
    ("import torch.nn as nn, math", "", "nn math", "nn math"),
    ("from torch.nn import functional as F", "", "F", "F"),
    ("print(y := x)", "print x", "y", ""),
    ("for i in xs:\n    s += i", "xs s", "i s", ""),
    ("for p in parameters:\n    p -= q", "parameters q", "p parameters", ""),
    ("for i in xs:\n    t = i\n    s += t", "xs s", "i s t", ""),
    ("if k:\n    t = a\n    s = t", "k a", "t s", ""),
    ("with a as b:\n    c = d", "a d", "b c", ""),
    ("try:\n    a = b\nexcept E as e:\n    pass", "b E", "a e", ""),
    ("a = [x * k for x in xs if x]", "xs k", "a", "a"),
    ("a = [x for x in x]", "x", "a", "a"),
    ("a = {k: v for k, v in d.items()}", "d", "a", "a"),
    ("a = lambda x, *y, z=k, **w: x + y + z + w + q", "q", "a", "a"),
    ("def f(a, b=c):\n    d = a + e\n    return d", "c e", "f", "f"),
    ("def f():\n    global dh\n    dh = da", "da", "f dh", "f"),
    ("@deco\ndef f(x) -> T:\n    return x", "deco", "f", "f"),
    ("class A(B):\n    k = 1\n    def m(self):\n        return k2", "B k2", "A", "A"),
]


@pytest.mark.parametrize(("text", "reads", "writes", "rebinds"), PLAIN, ids=[row[0] for row in PLAIN])
def test_reads_writes_and_rebinds(text: str, reads: str, writes: str, rebinds: str) -> None:
    found = effects(text)
    assert found.rebinds == words(rebinds)
    assert found.writes == words(writes)
    assert found.reads == words(reads)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("dh += da", "dh"),
        ("dh[i] = da", "dh"),
        ("dC.index_add_(0, ix, d)", "dC"),
        ("dh = dh * 2", ""),
        ("for k in steps:\n    dh = dh @ W[k].T", ""),
        ("for k in steps:\n    dW[k] = h[k].T @ dh\n    dh = dh @ W[k].T", "dW"),
        ("for d in (dq, dk):\n    d = d.reshape(-1)\n    s = d @ w", ""),
        ("for d in (dq, dk):\n    d = d.reshape(-1)\n    d += 1", "dq dk"),
        ("for d in (dq, dk):\n    d = d.clone()\n    d += 1", ""),
        ("for d in (dq, dk):\n    d += 1\n    d = d.clone()", "dq dk"),
        ("for d in (dq, dk):\n    if k:\n        d = d * 2\n    d += 1", "dq dk"),
        ("for p, d in zip(ps, ds):\n    p = p - d", ""),
        ("for p, d in zip(ps, ds):\n    p -= d", "ps"),
        ("for i, (p, d) in enumerate(zip([a, b], ds)):\n    p[i] -= d", "a b"),
        ("for p, d in ((a, da), (b, db)):\n    p -= d", "a b"),
        ("for (p, d), k in (((a, da), 1), ((b, db), 2)):\n    p -= d * k", "a da b db"),
        ("for p, d in [(a, da), pair]:\n    p -= d", "a da pair"),
        ("for p, d in pairs.items():\n    d -= 1", "pairs"),
        ("for p, *ds in ((a, da), (b, db)):\n    p -= ds[0]", "a da b db"),
        ("for i, row in enumerate(dC, 1):\n    row += i", "dC"),
        ("for row in dC:\n    for j in k:\n        row[j] += 1", "dC"),
        ("for i in k:\n    row = dC[i] * 2\n    row += 1", ""),
        ("for i in k:\n    row = dC[i]\n    row = row.clone()\n    row += 1", ""),
        ("def put(d):\n    return d * 2\nput(dq)", ""),
        ("put(dq, 0, 1)", "dq"),
        ("add = lambda t, d: t.add_(d)\nadd(dx, dq)", "dx"),
        ("add = lambda d: dx.add_(d)\nadd(dq)", "dx"),
    ],
)
def test_only_what_is_changed_in_place_changes_for_its_other_names(text: str, changed: str) -> None:
    assert effects(text).mutates == words(changed)


def test_arguments_that_an_own_function_changes_are_written() -> None:
    found = effects("""
        def scatter(table, rows, *, scale=1):
            table[rows] += scale
        scatter(dC, ix)
    """)
    assert found.writes == {"dC"}
    assert found.calls == {"scatter"}


def test_arguments_that_an_own_method_changes_are_counted_without_self() -> None:
    found = effects("""
        class Net:
            def scatter(self, table, rows):
                table.index_add_(0, rows, self.rows)
        net.scatter(dC, ix)
    """)
    assert found.writes == {"dC"}
    assert found.calls == {"scatter"}


def test_a_method_that_changes_its_object_writes_that_object() -> None:
    found = effects("""
        class Net:
            def backward(self, d):
                self.dh = d
        net.backward(dlogits)
    """)
    assert found.writes == {"net"}


def test_arguments_by_name_are_changed_too() -> None:
    found = effects("def scatter(table, rows):\n    table[rows] += 1\nscatter(rows=ix, table=dC)")
    assert found.writes == {"dC"}


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ("t = 1", False),
        ("t = t.reshape(-1)", False),
        ("t = t * 2\n    t += 1", False),
        ("t = t.clone()\n    t[0] = 1", False),
        ("for i in k:\n        t = t @ i", False),
        ("t += 1\n    t = t * 2", True),
        ("t = t.view(-1)\n    t += 1", True),
        ("if k:\n        t = t.clone()\n    t.zero_()", True),
        ("for i in k:\n        t[i] = 0", True),
    ],
)
def test_an_argument_that_is_only_rebound_is_not_changed(body: str, changed: bool) -> None:
    assert effects(f"def half(t):\n    {body}\n    return t\na = half(dh)").writes == {"a", *(["dh"] * changed)}


def test_fields_are_known_by_name() -> None:
    assert effects("grads['h'] = x").fields == {"h"}
    assert effects("self.dh = x").fields == {"dh"}
    assert effects("grads[k] = x").fields == set()
    assert effects("print(grads['h'], self.dh)").fields == {"h", "dh"}


@pytest.mark.parametrize(
    ("text", "root", "field"),
    [
        ("x", "x", None),
        ("x[0].T", "x", "T"),
        ("x.view(-1)[k]", "x", None),
        ("grads['dh']", "grads", "dh"),
        ("(a + b)[0]", None, None),
        ("'text'", None, None),
    ],
)
def test_root_and_field_of_an_expression(text: str, root: str | None, field: str | None) -> None:
    node = ast.parse(text, mode="eval").body
    assert root_name(node) == root
    assert field_name(node) == field


def test_assigned_names_leave_out_what_functions_and_comprehensions_assign() -> None:
    (loop,) = ast.parse(
        dedent("""
        for a in xs:
            b = [c for c in xs]
            def d():
                e = 1
            import f.g
            h[0] = 1
    """)
    ).body
    assert assigned_names(loop) == {"a", "b", "d", "f"}


def test_names_of_a_function_are_its_own_unless_declared_otherwise() -> None:
    (function,) = ast.parse(
        dedent("""
        def f(a, /, b, *c, d, **e):
            global g
            g = h = 1
            for i in a:
                pass
    """)
    ).body
    assert isinstance(function, ast.FunctionDef)
    assert local_names(function) == set("abcdehi")


def test_child_nodes_are_those_of_ast_without_operators_and_contexts() -> None:
    text = """
from a import b as c, d
import e.f as g
def h(i, /, j: int = 1, *k, l, m=2, **n) -> None:
    global o
    def p():
        nonlocal i
async def q():
    async with r as s: await t
    async for u in v: yield w
class x(y, z=1): a: int
del a[1:2], b.c
if not a < b <= c or d: assert e, "f"
while True: break
try: raise a from b
except (c, d) as e: pass
finally: continue
with a as (b, *c): d += {**e, "f": 1, g: {1, 2}}
match a:
    case {"b": None, **c} | [1, *d] | e.f(g, h=1.5) as i if j: pass
f = [a async for b in c if d], {e: f for e in g}, (h for h in i), lambda j, k=1: f"{j!r:>{k}}"
l = (m := n) if o else p(*q, **r)[..., 1j]
"""
    operators = (ast.operator, ast.expr_context, ast.unaryop, ast.cmpop, ast.boolop)
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, operators):
            assert child_nodes(node) == [c for c in ast.iter_child_nodes(node) if not isinstance(c, operators)], node


def test_each_name_of_comprehensions_in_each_other_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice for each level was 2**74 times in the deepest statement that is read."""
    looked_at: list[str] = []
    read = _Collector._read
    monkeypatch.setattr(_Collector, "_read", lambda self, name: (looked_at.append(name), read(self, name)))
    found = effects("a = " + "[x for x in " * 12 + "y" + "]" * 12)
    assert (found.reads, len(looked_at)) == ({"y"}, 13)
