"""What a learner is told where something is not admitted: what it is, and what to write instead."""

from __future__ import annotations

import sys

from grader.admission.admitted_names import AUTOGRAD

IS_AUTOGRAD, NOT_ADMITTED = "autograd", "not-admitted"
NO_COMPLEX = "An answer may not use complex numbers: gradients are real."

_INSTEAD = {
    "eval": "Write the expression itself.",
    "exec": "Write the statements themselves.",
    "open": "An answer reads and writes no files.",
    "load_names": "The names are there already, as words.",
    "globals": "Collect the values in a dictionary of your own.",
    "locals": "Collect the values in a dictionary of your own.",
    "vars": "Collect the values in a dictionary of your own.",
    "input": "Write the value itself.",
    "type": "Write a class statement.",
    "cuda": "Write .to(device).",
    "resize_": "Write .view(...) or .reshape(...).",
    "set_grad_enabled": "Gradients stay off: write `with torch.no_grad():`.",
    "enable_grad": "Gradients stay off: write `with torch.no_grad():`.",
}
_SYNTAX = {
    "AsyncFunctionDef": ("async", "Write a plain function."),
    "AsyncFor": ("async", "Write a plain loop."),
    "AsyncWith": ("async", "Write plain statements."),
    "Await": ("await", "Write a plain call."),
    "TryStar": ("except*", "Write a plain except."),
    "TypeAlias": ("type", "Leave the type away."),
    "TypeVar": ("type parameters", "Leave them away."),
    "TemplateStr": ("a t-string", "Write an f-string."),
}


class Refused(Exception):
    """An answer asked for what it may not have: the mistake's id, and a sentence for the learner.

    `line` is where it stands, for what is refused before it runs.
    """

    def __init__(self, said: str, mistake: str = NOT_ADMITTED, line: int | None = None) -> None:
        super().__init__(said)
        self.mistake = mistake
        self.line = line


class RefusedImport(ImportError, Refused):
    """The same for a module, so that `except ImportError` sees a module that is not there."""

    def __init__(self, said: str, mistake: str = NOT_ADMITTED) -> None:
        Refused.__init__(self, said, mistake)


def leads_to_autograd(path: str) -> bool:
    """Whether one of the names of `torch.autograd.grad` or `.backward` is a way to gradients by torch."""
    return any(name in AUTOGRAD or name.endswith(("_backward", "_backward_data")) for name in path.split("."))


def autograd(door: str) -> Refused:
    """The refusal of what autograd computed; `door` is how it was reached, such as `.grad`."""
    said = f"This takes the gradient from PyTorch's autograd ({door}). Work it out from the upstream gradient."
    return Refused(said, IS_AUTOGRAD)


def not_a_builtin(name: str) -> Refused:
    """The refusal of a name, with what to use instead where there is something."""
    return Refused(f"An answer may not use `{name}`. {_INSTEAD.get(name.rpartition('.')[2], '')}".rstrip())


def not_a_field(name: str) -> Refused:
    """The refusal of an attribute of an object."""
    return autograd(f".{name}") if leads_to_autograd(name) else not_a_builtin(f".{name}")


def not_a_member(path: str) -> Refused:
    """The refusal of a module's member, such as `torch.save`."""
    return autograd(path) if leads_to_autograd(path) else not_a_builtin(path)


def not_changed(what: str) -> Refused:
    """The refusal of an assignment to something that is not the answer's own."""
    return Refused(f"An answer may not change `{what}`.")


def not_a_module(path: str) -> RefusedImport:
    """The refusal of an import."""
    if path.startswith(("torch.", "functorch")) and leads_to_autograd(path):
        return RefusedImport(str(autograd(path)), IS_AUTOGRAD)
    if path.partition(".")[0] not in sys.stdlib_module_names:
        said = f"`{path}` is not there where an answer is graded, nor is any file beside yours."
        return RefusedImport(f"{said} Copy what you need of it here.")
    return RefusedImport(f"An answer may not use the module `{path}`. torch, numpy and math have what it needs.")


def not_syntax(kind: str, line: int) -> Refused:
    """A piece of syntax, by the name of its node."""
    name, instead = _SYNTAX.get(kind, (kind, ""))
    return Refused(f"An answer may not use {name}. {instead}".strip(), line=line)


def an_inner_name(name: str, line: int | None = None) -> Refused:
    """The refusal of a name with underscores at both ends, such as `__class__`."""
    return Refused(f"`{name}` is one of Python's inner names. An answer needs none of them.", line=line)
