"""A gradient that is not written yet must not stop the cells below: the true one is lent, and marked so.

`dojo grade` does the same: after each gradient it goes on with the true one.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from grader.notebook.guards import true_gradient
from grader.notebook.truth import exercise_in, numbers_of, survey
from grader.truth.compare import compare

ARRAYS = (np.ndarray, np.floating)
"""The tensors of a lesson in numpy."""


@dataclass
class Lending:
    """What was lent in place of a stub, and the right answers that a second stub must not undo."""

    lent: dict[str, tuple[Any, object]] = field(default_factory=dict)
    right: dict[str, Any] = field(default_factory=dict)

    def is_lent(self, name: str, value: object) -> bool:
        """True where `value` is the gradient of `name` that was lent, and nobody has changed it since."""
        known = self.lent.get(name)
        return known is not None and value is known[0] and _state(known[0]) == known[1]

    def keep(self, name: str, value: Any) -> None:
        """Remember a right answer."""
        self.right[name] = _copy(value.detach() if isinstance(value, Tensor) else value)

    def fill(self, name: str, namespace: MutableMapping[str, Any], truths: Mapping[str, Any] | None = None) -> Any:
        """Put something in the place of the stub d`name`: the right answer from before, else the true gradient.

        An answer from before that another forward pass has made wrong is not put back. `truths` are those of a lesson
        in numpy, where they are known already.

        What stands there afterwards is returned; it is still the stub where there is no true gradient yet.
        """
        tensor = namespace.get(name)
        if isinstance(tensor, ARRAYS):
            true = (_truths(namespace) if truths is None else truths).get(name)
        else:
            true = true_gradient(tensor) if isinstance(tensor, Tensor) else None
        if true is None:
            return namespace[f"d{name}"]
        before = self.right.get(name)
        if before is not None and before.shape == true.shape and compare(numbers_of(before), numbers_of(true)).right:
            namespace[f"d{name}"] = _copy(before)
        else:
            copy = _copy(true)
            self.lent[name] = copy, _state(copy)
            namespace[f"d{name}"] = copy
        return namespace[f"d{name}"]

    def fill_all(self, namespace: MutableMapping[str, Any], overwritten: Mapping[str, Any]) -> None:
        """Fill every stub that a cell has left behind, and lend anew what another forward pass has changed.

        `overwritten` holds what stood in the place of a stub before its cell ran.
        """
        stubs = [key[1:] for key, value in namespace.items() if value is ... and key.startswith("d")]
        again = [name for name in self.lent if self.is_lent(name, namespace.get(f"d{name}"))]
        in_numpy = any(isinstance(namespace.get(name), ARRAYS) for name in (*stubs, *again))
        truths = _truths(namespace) if in_numpy else {}
        for name in stubs:
            before = overwritten.get(f"d{name}")
            if isinstance(before, (Tensor, *ARRAYS)) and not self.is_lent(name, before):
                namespace[f"d{name}"] = before
            else:
                self.fill(name, namespace, truths)
        for name in again:
            self.fill(name, namespace, truths)


LENDING = Lending()
"""That of this session."""


def _truths(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The true gradients of a lesson in numpy, as numpy has them: there is no autograd that would have left them."""
    exercise = exercise_in(namespace)
    known = survey(exercise, namespace) if exercise is not None else None
    if known is None:
        return {}
    arrays = {name: value for name in known.chain.total if isinstance(value := namespace.get(name), ARRAYS)}
    return {name: value.dtype.type(known.chain.total[name].numpy()) for name, value in arrays.items()}


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value.copy()


def _state(value: Any) -> object:
    """What differs once somebody has written into the value."""
    return value._version if isinstance(value, Tensor) else value.tobytes()
