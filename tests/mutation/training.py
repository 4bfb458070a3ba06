"""The training loop of exercise 4 as a program, and the edits that only a loop can have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from grader.lesson.exercise import find_exercise
from tests.mutation.program import Line, Program

TRAINING = "makemore/ex4_training"
_INDENT = " " * 8


@lru_cache
def program() -> Program:
    """The loop's body line by line; what stands above it is the head. Only gradients are edited by rule."""
    text = find_exercise(TRAINING).code_cells("training")[0].text
    loop = next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.For))
    head = "\n".join(text.split("\n")[: loop.body[0].lineno - 1]).rstrip() + "\n"
    lines = []
    for node in loop.body:
        line = ast.unparse(node)
        name = line.split(" ")[0].split(".")[0]
        gradient = name.startswith("d") and name[1:] in find_exercise(TRAINING).forward_names + PARAMETERS
        lines.append(Line(line, name[1:] if gradient else f"({name})", given=not gradient))
    return Program(TRAINING, tuple(lines), head=head, indent=_INDENT)


PARAMETERS = ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias")

_REPLACED: tuple[tuple[str, str, str], ...] = (
    # kind, what stands there, what takes its place
    ("update-sign", "p.sub_(gradient, alpha=lr)", "p.add_(gradient, alpha=lr)"),
    ("update-sign", "p.sub_(gradient, alpha=lr)", "p += lr * gradient"),
    ("update-sign", "p.sub_(gradient, alpha=lr)", "p.sub_(gradient, alpha=-lr)"),
    ("learning-rate", "p.sub_(gradient, alpha=lr)", "p.sub_(gradient)"),
    ("learning-rate", "p.sub_(gradient, alpha=lr)", "p -= lr * gradient / n"),
    ("learning-rate", "p.sub_(gradient, alpha=lr)", "p -= lr * lr * gradient"),
    ("learning-rate", "p.sub_(gradient, alpha=lr)", "p -= 0.1 * gradient"),
    ("learning-rate", "p.sub_(gradient, alpha=lr)", "p.sub_(gradient, alpha=lr)\n    p.sub_(gradient, alpha=lr)"),
    ("no-update", "p.sub_(gradient, alpha=lr)", "p = p - lr * gradient"),
    ("no-update", "p.sub_(gradient, alpha=lr)", "p.sub(gradient, alpha=lr)"),
    ("no-update", "p.sub_(gradient, alpha=lr)", "p.clone().sub_(gradient, alpha=lr)"),
    ("forward", "p.sub_(gradient, alpha=lr)", "p -= lr * gradient"),
    ("forward", "p.sub_(gradient, alpha=lr)", "p.copy_(p - lr * gradient)"),
    ("learning-rate", "learning_rates[0] if", "learning_rates[1] if"),
    ("learning-rate", "else learning_rates[1]", "else learning_rates[0]"),
    ("learning-rate", "step < max_steps / 2", "step > max_steps / 2"),
    ("learning-rate", "step < max_steps / 2", "step < max_steps"),
    ("learning-rate", "step < max_steps / 2", "step < 2"),
    ("learning-rate", "step < max_steps / 2", "step < n"),
    ("learning-rate", "else learning_rates[1]", "else learning_rates[1] / 10"),
    ("shadowed-counter", "for p, gradient in zip(", "for n, (p, gradient) in enumerate(zip("),
    ("shadowed-counter", "for p, gradient in zip(", "for g, (p, gradient) in enumerate(zip("),
    ("shadowed-counter", "for p, gradient in zip(", "for lr, (p, gradient) in enumerate(zip("),
    ("wrong-order", "dbngain, dbnbias]", "dbnbias, dbngain]"),
    ("wrong-order", "[dC, dW1, db1, dW2, db2,", "[dW1, dC, db1, dW2, db2,"),
    ("wrong-order", "[dC, dW1, db1, dW2, db2,", "[dC, dW1, dW2, db1, db2,"),
    ("wrong-order", "[dC, dW1, db1, dW2, db2, dbngain, dbnbias]", "[dC, dW1, db1, dW2, db2, db1, dbnbias]"),
    ("wrong-gradient", "dbngain, dbnbias]", "dbngain, dbngain]"),
    ("wrong-gradient", "dbngain, dbnbias]", "dbnbias, dbnbias]"),
    ("wrong-gradient", "db1, dW2, db2, dbngain", "dbngain[0], dW2, db2, dbngain"),
    ("wrong-gradient", "db1, dW2, db2, dbngain", "dbnbias[0], dW2, db2, dbngain"),
    ("stale-gradient", "gradients = [dC", "if step == 0:\n    gradients = [dC"),
    ("extra-constant", "gradients = [dC", "gradients = [2 * dC"),
    ("autograd-update", "gradients = [dC, dW1,", "gradients = [C.grad, dW1,"),
    ("forward", "(n,), generator=g)", "(n,))"),
    ("forward", "Ytr[ix].to(device)", "Xtr[ix, 0].to(device)"),
    ("forward", "Xtr[ix].to(device)", "Xtr[ix].flip(1).to(device)"),
    ("forward", "hprebn = embcat @ W1 + b1", "hprebn = embcat @ W1"),
    ("forward", "hprebn = embcat @ W1 + b1", "hprebn = embcat @ W1 - b1"),
    ("forward", "bnvar = 1 / (n - 1)", "bnvar = 1 / n"),
    ("forward", "(bnvar + 1e-05)", "bnvar"),
    ("forward", "hprebn.mean(0,", "hprebn.mean(1,"),
    ("forward", "torch.tanh(hpreact)", "torch.sigmoid(hpreact)"),
    ("forward", "bngain * bnraw + bnbias", "bngain * bnraw"),
    ("forward", "bngain * bnraw + bnbias", "bngain * bndiff + bnbias"),
    ("forward", "logits = h @ W2 + b2", "logits = hpreact @ W2 + b2"),
    ("forward", "F.cross_entropy(logits, Yb)", "F.cross_entropy(logits, Yb, reduction='sum')"),
    ("forward", "F.cross_entropy(logits, Yb)", "-F.log_softmax(logits, 1)[range(n), Yb].mean()"),
)


def changes(of: Program) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """(kind, line, new lines) of each edit of an update, a learning rate, a batch or a forward line."""
    if of.exercise != TRAINING:
        return
    for kind, old, new in _REPLACED:
        at = next(at for at, line in enumerate(of.lines) if line.given and old in line.text)
        text = of.lines[at].text.replace(old, new)
        yield kind, at, (text.replace("strict=True):", "strict=True)):") if "enumerate" in new else text,)
