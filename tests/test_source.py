"""A file as cells and statements: what is read, what is set aside, and the line of everything."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dojo import environment

from grader.base.errors import DojoError
from grader.base.files import MAX_BYTES
from grader.reading.submission import find_parts
from grader.syntax.source import MAX_CODE, MAX_STATEMENTS, Source, parse_source, percent_cells, read_source

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(content: str | bytes, name: str = "answers.py") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def parsed(text: str) -> Source:
    """A script's text, parsed; each statement must compile on its own, as the worker compiles it."""
    source = parse_source(Path("answers.py"), percent_cells(text))
    for statement in source.statements:
        ast.parse(statement.text)
    return source


def lined(source: Source) -> list[tuple[int, str]]:
    return [(statement.line, statement.text) for statement in source.statements]


def notebook(*cells: dict[str, Any], **extra: Any) -> str:
    filled = [{"metadata": {}, **({"outputs": [], "execution_count": None} | c)} for c in cells]
    return json.dumps({"cells": filled, "metadata": {}, "nbformat": 4, "nbformat_minor": 4} | extra)


def code(source: str | list[str], **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, **more}


# ---- Scripts ----


def test_a_percent_script_has_cells_with_kind_tags_and_line() -> None:
    text = '# ---\n# jupyter: {}\n# ---\n\n# %% [markdown] tags=["hint"]\n# # Title\n#\n# prose\n\n'
    text += '# %% tags=["setup", "other"]\nx = 1\n\n# %%\ny = 2\n'
    cells = percent_cells(text)
    assert [(c.kind, c.line, c.tags) for c in cells] == [
        ("markdown", 6, ("hint",)),
        ("code", 11, ("setup", "other")),
        ("code", 14, ()),
    ]
    assert cells[0].text == "# Title\n\nprose"
    assert lined(parsed(text)) == [(11, "x = 1"), (14, "y = 2")]


def test_a_plain_script_is_one_cell() -> None:
    source = parsed("x = 1\n\ny = (\n    2\n)\n")
    assert len(source.cells) == 1
    assert lined(source) == [(1, "x = 1"), (3, "y = (\n    2\n)")]


def test_code_above_the_first_mark_is_a_cell_of_its_own() -> None:
    source = parsed("import torch\n\n# %%\nx = 1\n")
    assert lined(source) == [(1, "import torch"), (4, "x = 1")]


def test_an_export_of_nbconvert_is_split_at_its_prompts() -> None:
    text = "#!/usr/bin/env python\n# coding: utf-8\n\n# In[1]:\n\n\nx = 1\n\n\n# In[ ]:\n\n\ny = 2\n"
    text += "# <codecell>\nz = 3\n"
    source = parsed(text)
    assert len(source.cells) == 3
    assert lined(source) == [(7, "x = 1"), (13, "y = 2"), (15, "z = 3")]


def test_cells_of_a_marimo_app_are_opened_and_their_returns_dropped() -> None:
    text = (
        "import marimo\napp = marimo.App()\n\n@app.cell\ndef _(F, torch):\n    x = 1\n    return (x,)\n\n"
        "@app.cell(hide_code=True)\ndef _(x):\n    y = x\n    return\n\n\n"
        "if __name__ == '__main__':\n    app.run()\n"
    )
    assert lined(parsed(text)) == [
        (1, "import marimo"),
        (2, "app = marimo.App()"),
        (6, "x = 1"),
        (11, "y = x"),
        (16, "app.run()"),
    ]


@pytest.mark.parametrize(
    "magic",
    "%matplotlib inline|!pip install x|names = !ls|torch.sum?|?torch.sum|  %who|%%time".split("|"),
)
def test_a_magic_costs_nothing_but_itself(magic: str) -> None:
    source = parsed(f"{magic}\nx = 1\ny = 7 % 4\n")
    assert lined(source) == [(2, "x = 1"), (3, "y = 7 % 4")]
    assert source.bad_lines == ()


def test_a_statement_that_is_timed_is_read() -> None:
    assert lined(parsed("x = 1\n%time y = 2\n.shape\n")) == [(1, "x = 1"), (2, "y = 2")]


def test_a_cell_of_another_language_is_left_out() -> None:
    source = parsed("# %%\n%%bash\necho x=1\nls\n# %%\ny = 2\n")
    assert lined(source) == [(6, "y = 2")]
    assert source.bad_lines == ()


def test_each_line_that_does_not_parse_costs_one_line() -> None:
    source = parsed(".shape\nx = 1\nnow the softmax → logits\ny = 2\nprint 3\nz = 3\n")
    assert lined(source) == [(2, "x = 1"), (4, "y = 2"), (6, "z = 3")]
    assert sorted((bad.line, bad.text) for bad in source.bad_lines) == [
        (1, ".shape"),
        (3, "now the softmax → logits"),
        (5, "print 3"),
    ]
    assert all(bad.reason for bad in source.bad_lines)


def test_a_null_byte_costs_its_own_line_only() -> None:
    source = parsed('x = 1\ny = "\0"\nz = 3\n')
    assert lined(source) == [(1, "x = 1"), (3, "z = 3")]


LARGE = f"0x{'f' * 4300}"
DEEP = "-" * 400 + "y"


@pytest.mark.parametrize("number", [LARGE, f"0b{'1' * 20_000}", f"0o{'7' * 6000}", "9" * 4300])
@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("y = torch.zeros({})", 2),
        ("y = (1,\n    {})", 2),
        ("y[{}] = 3", 2),
        ("for i in range(3):\n    if i:\n        y = {}", 4),
        ("def f(a={}):\n    return a", 2),
        ("@f({})\ndef g():\n    return 1", 3),
        ("match y:\n    case {}:\n        pass", 2),
        ("y = f'{{ {} }}'", 2),
        ("y = {{ {}: 1 }}", 2),
    ],
)
def test_a_number_that_python_does_not_write_costs_its_statement_only(statement: str, line: int, number: str) -> None:
    source = parsed(f"x = 1\n{statement.format(number)}\nz = 3\n")
    last = statement.count("\n") + 3
    assert [found for found in lined(source) if found[0] in (1, last)] == [(1, "x = 1"), (last, "z = 3")]
    assert [bad.line for bad in source.bad_lines] == [line]
    assert "more than 1,000 digits; write a shorter one" in source.bad_lines[0].reason


@pytest.mark.parametrize("statement", ["y = {}", "y = f'{{ {} }}'"])
def test_a_number_that_python_does_not_read_is_told_in_the_same_words(statement: str) -> None:
    (bad,) = parsed(f"x = 1\n{statement.format('9' * 4301)}\nz = 3\n").bad_lines
    assert bad.reason == "a number in it has more than 1,000 digits; write a shorter one"


@pytest.mark.parametrize(
    "statement",
    [
        f"y = {DEEP}",
        "y = x" + " + x" * 900,
        "y = x" + ".T" * 300,
        "y" + "[0]" * 400 + " = 3",
        "y = " + "x if x else " * 400 + "x",
        "if x:\n    y = 1\n" + "\n".join(f"elif x == {i}:\n    y = {i}" for i in range(400)),
        "y = " + "-" * 50_000 + "x",  # this one Python itself does not parse
        "y = x" + " + x" * 30_000,
    ],
)
def test_a_statement_of_too_many_levels_costs_itself_only(statement: str) -> None:
    source = parsed(f"x = 1\n{statement}\nz = 3\n")
    last = statement.count("\n") + 3
    assert lined(source) == [(1, "x = 1"), (last, "z = 3")]
    (bad,) = source.bad_lines
    assert bad.reason == "it is nested more than 150 levels deep; split it into several statements"
    assert 2 <= bad.line < last


@pytest.mark.parametrize("head", ["with torch.no_grad({}):", "@app.cell({})\ndef _():", "if __name__ == {}:"])
@pytest.mark.parametrize("value", [LARGE, DEEP])
def test_a_wrapper_is_opened_whatever_its_head_says(head: str, value: str) -> None:
    assert [text for _, text in lined(parsed(f"{head.format(value)}\n    x = 1\n"))] == ["x = 1"]


@pytest.mark.parametrize("head", ["for i in y:", "if x:\n    y = 1\nelse:", "def f():", "try:\n    y = 1\nfinally:"])
def test_the_only_line_of_a_block_costs_no_line_below_it(head: str) -> None:
    source = parsed(f"x = 1\n{head}\n    print 3\nz = 3\n")
    assert lined(source)[-1] == (source.bad_lines[0].line + 1, "z = 3")
    assert [bad.text for bad in source.bad_lines] == ["    print 3"]


def test_a_bad_head_of_a_block_takes_its_block_and_no_more() -> None:
    source = parsed("x = 1\nfor i in range(3) :::\n    y = 1\nz = 2\n")
    assert lined(source) == [(1, "x = 1"), (4, "z = 2")]


@pytest.mark.parametrize("unseen", ["\u00a0", "  \u3000", "\x0b", "\u200b", "\ufeff \u00a0"])
def test_a_line_on_which_nothing_is_seen_costs_nothing(unseen: str) -> None:
    source = parsed(f"x = 1\nfor i in y:\n    z = i\n{unseen}\n    w = i\nv = 3\n")
    assert lined(source)[-1] == (6, "v = 3")
    assert source.bad_lines == ()


@pytest.mark.parametrize(
    "head",
    [
        "for i in range(3):",
        "while True:",
        "if x == {1: 2}:  # don't: not yet",
        "def f(a):",
        "class A:",
        "with open('a') as b:",
        "match x:",
        "try:",
        "@torch.no_grad()",
        "@torch.no_grad(\n    1)",
        "x = 1 \\",
    ],
)
@pytest.mark.parametrize("below", ["", "    # not yet\n", "\n# further left\n"])
def test_a_head_without_a_body_costs_its_own_line(head: str, below: str) -> None:
    if head.endswith("\\"):
        below = ""
    last = head.count("\n") + below.count("\n") + 3
    source = parsed(f"x = 1\n{head}\n{below}y = 2\nz = 3\n")
    found = lined(source)
    assert found[0] == (1, "x = 1")
    assert found[-2:] == [(last, "y = 2"), (last + 1, "z = 3")]
    assert [bad.line for bad in source.bad_lines] == [2]


def test_a_branch_without_a_body_leaves_the_others_as_they_are() -> None:
    source = parsed("if x:\n    # not yet\nelif z:\nelse:\n    y = 2\n")
    ((_, text),) = lined(source)
    namespace: dict[str, Any] = {"x": 0, "z": 0}
    exec(text, namespace)
    assert namespace["y"] == 2
    assert [bad.line for bad in source.bad_lines] == [1, 3]


@pytest.mark.parametrize(
    "end", ["", "y = 2\n", "except ValueError, e:\n    pass\ny = 2\n", "try:\n    y = 2\nfinally:\n    z = 1\n"]
)
def test_what_a_try_without_an_end_holds_is_read(end: str) -> None:
    inner = "    try:\n        w = 0\n    except ValueError:\n        w = 1\n"
    source = parsed(f"try:\n    x = 1\n{inner}{end}")
    assert lined(source)[0] == (1, f"if 1:\n    x = 1\n{inner}".rstrip())
    assert [bad.text for bad in source.bad_lines] == [end.split("\n")[0] if end.startswith("except") else "try:"]


def test_a_decorator_of_a_function_that_cannot_be_read_is_not_blamed() -> None:
    source = parsed("@first\n@second\ndef f:\n    return 1\ny = 2\n")
    assert lined(source) == [(5, "y = 2")]
    assert [bad.line for bad in source.bad_lines] == [3]


@pytest.mark.parametrize(
    "block",
    [
        "if n = 3:\n    x = 2",
        "if n = 3:\n    x = 2\nelse:\n    x = 3",
        "esle:\n\n    x = 2",
        "elif 3\n    x = 2",
        "def f(:\n    x = 2",
    ],
)
def test_a_block_of_which_the_head_cannot_be_read_joins_no_other(block: str) -> None:
    source = parsed(f"for i in y:\n    x = i\n{block}\nz = 3\n")
    assert lined(source) == [(1, "for i in y:\n    x = i"), (block.count("\n") + 4, "z = 3")]
    (bad,) = source.bad_lines
    assert (bad.line, bad.lost) == (3, block)


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("x = (a\n     / / b)", 3),
        ("x = f(a,\n      b c,\n      d)", 3),
        ("x = (\n    a\n    / / b\n)", 4),
        ("x = a \\\n    / / b", 3),
        ('x = f("""a\nb""" c)', 2),
        ('x = f("(",  # (\n      b c)', 3),
    ],
)
def test_a_statement_of_several_lines_is_set_aside_as_one(statement: str, line: int) -> None:
    source = parsed(f"w = 0\n{statement}\ny = 2\n")
    assert [text for _, text in lined(source)] == ["w = 0", "y = 2"]
    (bad,) = source.bad_lines
    assert (bad.line, bad.lost) == (line, statement)
    assert bad.reason.startswith("invalid syntax")


def test_a_bracket_that_is_not_closed_costs_no_line_below_it() -> None:
    source = parsed("x = f(a,\ny = 2\nw = (y\n     @ y)\nz = = 3\nv = 4\n")
    assert lined(source) == [(2, "y = 2"), (3, "w = (y\n     @ y)"), (6, "v = 4")]
    assert [(bad.line, bad.reason) for bad in source.bad_lines] == [(1, "'(' was never closed"), (5, "invalid syntax")]


@pytest.mark.parametrize("operator", ["* 2", "+ z", "/ 3", ".T", "@ z", "if z else 0"])
def test_a_line_that_begins_with_an_operator_is_told_to_belong_to_the_one_above(operator: str) -> None:
    (bad,) = parsed(f"y = 1\nx = y\n    {operator}\nz = 3\n").bad_lines
    assert (bad.line, bad.lost) == (3, f"x = y\n    {operator}")
    assert bad.reason == "unexpected indent; put the whole expression in parentheses"


@pytest.mark.parametrize("below", ["x = y\n    - a point of a list", "x = y *\n    - z", "x = y\n    z = 2"])
def test_other_lines_are_not_told_so(below: str) -> None:
    assert all("parentheses" not in bad.reason for bad in parsed(f"y = 1\n{below}\n").bad_lines)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x = 'a", "unterminated string literal (detected at line 4)"),
        ("x = (1,\n  2]", "closing parenthesis ']' does not match opening parenthesis '(' on line 4"),
        ("for i in y:", "expected an indented block after 'for' statement on line 4"),
        ("x = f(a b)", "invalid syntax. Perhaps you forgot a comma"),
        ("x = 1\0", "source code string cannot contain null bytes"),
    ],
)
def test_reasons_speak_of_lines_of_the_file(line: str, said: str) -> None:
    (bad,) = parsed(f"# %%\ny = 1\n# %%\n{line}\nz = 3\n").bad_lines
    assert bad.reason == said


WARNED = "'\\d'\nx = 1 if y>0else 2\nwith torch.no_grad():\n    z = 1 if y>0else 2\n"


def test_what_python_warns_of_is_read_where_warnings_are_errors() -> None:
    source = parse_source(Path("answers.py"), percent_cells(WARNED))
    assert [statement.line for statement in source.statements] == [1, 2, 4]
    assert source.bad_lines == ()


def test_python_warns_nobody_of_what_a_submission_says(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(WARNED)
    code = "from pathlib import Path; from grader.syntax.source import read_source"
    code += "; print([s.text for s in read_source(Path('a.py')).statements])"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_bad_line_does_not_reach_into_other_cells() -> None:
    source = parsed("# %%\nx = (1\n# %%\ny = 2\n")
    assert lined(source) == [(4, "y = 2")]
    assert [bad.line for bad in source.bad_lines] == [2]


def test_an_indented_cell_is_read_as_if_it_were_not() -> None:
    source = parsed("# %%\n    x = 1\n    .shape\n    y = 2\n")
    assert lined(source) == [(2, "x = 1"), (4, "y = 2")]


def test_triple_quoted_notes_are_no_statements_of_interest() -> None:
    source = parsed('"""\ndlogits = wrong\n"""\nx = 1\n')
    assert [s.line for s in source.statements] == [1, 4]


# ---- Wrappers that are opened ----


@pytest.mark.parametrize(
    "head",
    [
        'if __name__ == "__main__":',
        "with torch.no_grad():",
        "with torch.inference_mode():",
        "with torch.no_grad(), torch.inference_mode():",
        "with torch.set_grad_enabled(False):",
        "with no_grad():",
    ],
)
def test_a_wrapper_is_opened(head: str) -> None:
    source = parsed(f"{head}\n    x = 1\n    for i in y:\n        z = i\n")
    assert lined(source) == [(2, "x = 1"), (3, "for i in y:\n    z = i")]


def test_wrappers_are_opened_inside_each_other() -> None:
    text = 'if __name__ == "__main__":\n    a = 0\n    with torch.no_grad():\n        x = 1\n'
    assert lined(parsed(text)) == [(2, "a = 0"), (4, "x = 1")]


@pytest.mark.parametrize(
    "text",
    [
        "if n > 1:\n    x = 1",
        "with open('f') as f:\n    x = 1",
        "with torch.set_grad_enabled(True):\n    x = 1",
        "@app.call\ndef f():\n    x = 1",
        "if __name__ == '__main__':\n    x = 1\nelse:\n    x = 2",
    ],
)
def test_other_blocks_stay_whole(text: str) -> None:
    assert lined(parsed(text)) == [(1, text)]


@pytest.mark.parametrize(
    "inner",
    [
        "    for i in range(3):\n# a comment further left\n        x = i",
        '    x = """\nfurther left\n"""',
        "    x = (1 +\n  2)",
        "\tfor i in range(3):\n\t\tx = i",
    ],
    ids=["comment", "string", "bracket", "tabs"],
)
def test_what_stands_further_left_than_its_block_compiles(inner: str) -> None:
    (statement,) = parsed(f"with torch.no_grad():\n{inner}\n").statements
    namespace: dict[str, Any] = {}
    exec(statement.text, namespace)
    assert statement.line == 2
    assert "x" in namespace


def test_lines_inside_a_statement_of_a_block_keep_their_numbers() -> None:
    (statement,) = parsed("with torch.no_grad():\n    for i in range(3):\n# further left\n\n        x = i\n").statements
    (loop,) = (node for node in ast.walk(ast.parse(statement.text)) if isinstance(node, ast.For))
    assert (statement.line, statement.text_line + loop.body[0].lineno - 1) == (2, 5)


# ---- The text of a statement ----


def test_decorators_belong_to_the_statement() -> None:
    source = parsed("x = 1\n@first\n@torch.no_grad()\ndef f():\n    return 2\n")
    assert lined(source)[1] == (2, "@first\n@torch.no_grad()\ndef f():\n    return 2")


def test_statements_on_one_line_are_apart() -> None:
    source = parsed("a = 1; b = 2;\nc = 3; d = 4  # why\n")
    assert lined(source) == [(1, "a = 1"), (1, "b = 2"), (2, "c = 3"), (2, "d = 4")]


def test_letters_of_several_bytes_before_a_statement_cut_nothing_off() -> None:
    source = parsed("é = 'ü→'; x = (2 +\n    3); y = 'ß'\n")
    assert [line for line, _ in lined(source)] == [1, 1, 2]
    namespace: dict[str, Any] = {}
    for statement in source.statements:
        exec(statement.text, namespace)
    assert (namespace["x"], namespace["y"]) == (5, "ß")


def test_the_text_of_a_line_is_the_learners() -> None:
    (statement,) = parsed("# %%\n\nx = (1 +\n     2)  # two\n").statements
    assert statement.line_text(3) == "x = (1 +"
    assert statement.line_text(4) == "2)  # two"
    assert statement.line_text(99) == ""


# ---- Files ----


def test_a_byte_order_mark_and_any_line_ends_are_accepted(save: Save) -> None:
    for content in (b"\xef\xbb\xbfx = 1\ny = 2\n", b"x = 1\r\ny = 2\r\n", b"x = 1\ry = 2\r"):
        assert lined(read_source(save(content))) == [(1, "x = 1"), (2, "y = 2")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n\t\n", "the file is empty"),
        (b"x = 1\ny = '\xe9'\n", ":2: not UTF-8 text"),
        (b"\xef\xbb\xbfx = 1\n\xff\n", ":2: not UTF-8 text"),
    ],
)
def test_a_script_that_cannot_be_read_is_refused_in_one_line(save: Save, content: bytes, said: str) -> None:
    path = save(content)
    with pytest.raises(DojoError) as caught:
        read_source(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_too_large_is_refused_unread(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save("")
    with path.open("r+b") as file:
        file.truncate(MAX_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    with pytest.raises(DojoError, match="20 MB is too large"):
        read_source(path)


def test_no_such_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.py", tmp_path):
        with pytest.raises(DojoError, match="cannot be read"):
            read_source(path)


# ---- Notebooks ----


def test_lines_of_a_notebook_count_in_their_cell(save: Save) -> None:
    text = notebook(
        {"cell_type": "markdown", "source": "# Exercise 1"},
        code(["x = 1\n", "y = 2"], metadata={"tags": ["backward"]}),
        code("%time\n\nz = 3\r\n.shape"),
    )
    source = read_source(save(text, "answers.ipynb"))
    assert source.is_notebook
    found = [(s.cell.number, s.line, s.text, s.cell.tags) for s in source.statements]
    assert found == [(2, 1, "x = 1", ("backward",)), (2, 2, "y = 2", ("backward",)), (3, 3, "z = 3", ())]
    assert [(bad.cell, bad.line, bad.text) for bad in source.bad_lines] == [(3, 4, ".shape")]
    assert [cell.kind for cell in source.cells] == ["markdown", "code", "code"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"cells": [', "not a readable notebook"),
        ("print(1)", "not a readable notebook"),
        ("[]", "not a readable notebook"),
        ("{}", "not a notebook"),
        ("[" * 100_000, "not a readable notebook"),
        ('{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}', "format 3 is too old"),
        (notebook(cells=None), "not a readable notebook"),
        (notebook(cells={"a": 1}), "not a readable notebook"),
        (notebook(nbformat="4"), "not a readable notebook"),
        (notebook(nbformat=7), "not a readable notebook"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_line(save: Save, text: str, said: str) -> None:
    path = save(text, "answers.ipynb")
    with pytest.raises(DojoError, match=said) as caught:
        read_source(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(path))


@pytest.mark.parametrize("key", ["null", "[null]", '[{"cell_type": "code", "source": null}]'])
def test_a_strange_notebook_is_not_told_in_words_of_python(save: Save, key: str) -> None:
    path = save(f'{{"nbformat": 4, "nbformat_minor": 5, "metadata": null, "cells": {key}}}', "answers.ipynb")
    with pytest.raises(DojoError, match="not a readable notebook") as caught:
        read_source(path)
    assert "object" not in str(caught.value)


def test_a_notebook_under_the_name_of_a_script_is_told_so(save: Save) -> None:
    with pytest.raises(DojoError, match=r"is a notebook, so its name must end in \.ipynb"):
        read_source(save(notebook(code("dh = 1"))))


def test_half_a_pair_costs_at_most_its_line(save: Save) -> None:
    source = read_source(save(notebook(code("x = 1  # \ud83d\ny\ud83d = 2\nz = '\ud83d'\n")), "answers.ipynb"))
    assert [statement.line for statement in source.statements] == [1, 3]
    assert [bad.line for bad in source.bad_lines] == [2]


def test_a_notebook_without_cells_has_no_statements(save: Save) -> None:
    assert read_source(save(notebook(), "answers.ipynb")).statements == ()


# ---- Hostile files ----


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.py"
    os.mkfifo(pipe)
    endless = tmp_path / "endless.py"
    endless.symlink_to("/dev/zero")
    for path in (pipe, endless):
        with pytest.raises(DojoError, match="cannot be read \\(it is no regular file\\)"):
            read_source(path)


def test_code_without_end_is_refused(tmp_path: Path) -> None:
    for text, said in (
        ("x = 1\n" * (MAX_STATEMENTS + 1), f"more than {MAX_STATEMENTS:,} statements"),
        ("x = [" + "0, " * MAX_CODE + "]\n", f"more than {MAX_CODE:,} characters"),
    ):
        with pytest.raises(DojoError, match=said):
            read_source(tmp_path / "a.py", text.encode())
    assert len(read_source(tmp_path / "a.py", b"x = 1\n" * MAX_STATEMENTS).statements) == MAX_STATEMENTS


def test_code_nested_beyond_pythons_stack_is_refused(tmp_path: Path) -> None:
    source = read_source(tmp_path / "a.py", b"dh = " + b"-" * 600 + b"h\n")
    with pytest.raises(DojoError, match="nested more than 150 levels deep"):
        find_parts(source, "ex1")


def test_a_notebook_is_read_without_the_grammars_of_addresses(tmp_path: Path) -> None:
    """jsonschema has them compiled where it finds rfc3987_syntax, as beside JupyterLab: a second for each start."""
    (tmp_path / "rfc3987_syntax.py").write_text("print('loaded')\n")
    (tmp_path / "a.ipynb").write_text(notebook({"cell_type": "code", "source": "dh = 1"}))
    code = "from pathlib import Path; from grader.syntax.source import read_source; read_source(Path('a.ipynb'))"
    path = f"{tmp_path}{os.pathsep}{environment()['PYTHONPATH']}"
    command = [sys.executable, "-c", f"{code}; print('read'); import rfc3987_syntax"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment(PYTHONPATH=path), capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("read\nloaded\n", ""), "only where somebody asks for it"


def test_statements_that_files_share_are_read_once() -> None:
    first = parsed("# %%\nscale = 3\ndx = scale * dy\n").statements
    assert first[1].effects.writes == {"dx"}
    moved = parsed("# %% [markdown]\n# A note.\n\n# %%\nscale = 4\ndx = scale * dy\n").statements
    assert first[1].node is moved[1].node
    assert moved[1].effects is parsed("# %%\nscale = 5\ndx = scale * dy\n").statements[1].effects
    assert (first[1].line, moved[1].line) == (3, 6)
    assert (first[1].line_text(2), moved[1].line_text(5)) == ("scale = 3", "scale = 4")


@pytest.mark.parametrize("text", ["# %%\n\nscale = 3\ndx = scale * dy\n", "# %%\na = 1; dx = scale * dy\n"])
def test_statements_at_another_place_are_read_anew(text: str) -> None:
    here = parsed("# %%\nscale = 3\ndx = scale * dy\n").statements[1]
    there = parsed(text).statements[1]
    assert here.text == there.text
    assert here.node is not there.node
    assert (there.node.lineno, there.node.col_offset) != (2, 0)
    assert there.line_text(there.line) == text.strip().split("\n")[-1]
