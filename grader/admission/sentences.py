"""What a learner is told where a statement is not admitted: what it is, and what to write instead."""

from __future__ import annotations

import ast

_INSTEAD = {
    "getattr": "Write the attribute itself, as in x.shape.",
    "hasattr": "Write the attribute itself, as in x.shape.",
    "setattr": "Write the assignment itself, as in x.out = y.",
    "delattr": "Write the assignment itself, as in x.out = None.",
    "eval": "Write the expression itself.",
    "exec": "Write the statements themselves.",
    "open": "An answer reads and writes no files.",
    "load_names": "The names are there already, as words.",
    "globals": "Collect the values in a dictionary of your own.",
    "locals": "Collect the values in a dictionary of your own.",
    "vars": "Collect the values in a dictionary of your own.",
    "input": "Write the value itself.",
    "type": "Ask with isinstance(x, torch.Tensor).",
    "super": "Write super().name(...) in a method.",
    "format": "Write an f-string.",
    "format_map": "Write an f-string.",
    "cuda": "Write .to(device).",
    "resize_": "Write .view(...) or .reshape(...).",
    "set_grad_enabled": "Gradients stay off: write `with torch.no_grad():`.",
    "enable_grad": "Gradients stay off: write `with torch.no_grad():`.",
}
_SYNTAX = {
    "Match": ("match", "Write if and elif."),
    "AsyncFunctionDef": ("async", "Write a plain function."),
    "AsyncFor": ("async", "Write a plain loop."),
    "AsyncWith": ("async", "Write plain statements."),
    "Await": ("await", "Write a plain call."),
    "TryStar": ("except*", "Write a plain except."),
    "TypeAlias": ("type", "Leave the type away."),
    "TemplateStr": ("a t-string", "Write an f-string."),
}


class Refused(Exception):
    """A part of a tree that is not admitted: the node, what it names, and a sentence for the learner."""

    def __init__(self, node: ast.AST, name: str, said: str) -> None:
        super().__init__(said)
        self.node = node
        self.name = name
        self.said = said


def not_a_builtin(name: str) -> str:
    return _with_instead(f"An answer may not use `{name}`.", name)


def not_a_field(name: str) -> str:
    return _with_instead(f"An answer may not use `.{name}`.", name)


def not_a_member(path: str) -> str:
    return _with_instead(f"An answer may not use `{path}`.", path.rpartition(".")[2])


def not_a_module(path: str, *, alone: bool = False) -> str:
    if alone:
        return f"`{path}` is a module. Take from it what you need where you need it, as in {path}.name."
    return f"An answer may not use the module `{path}`. torch, numpy and math have what it needs."


def not_syntax(node: ast.AST) -> tuple[str, str]:
    """The name of a piece of syntax that is not admitted, and the sentence."""
    kind = type(node).__name__
    name, instead = _SYNTAX.get(kind, (kind, ""))
    if getattr(node, "type_params", None):
        name, instead = "type parameters", "Leave them away."
    return name, f"An answer may not use {name}. {instead}".strip()


def _with_instead(said: str, name: str) -> str:
    return f"{said} {_INSTEAD[name]}" if name in _INSTEAD else said
