"""A gradient that is not written yet must not stop the cells below: the true one is lent, and marked so.

`dojo grade` does the same: after each gradient it goes on with the true one.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from grader.notebook.guards import true_gradient
from grader.truth.compare import compare


@dataclass
class Lending:
    """What was lent in place of a stub, and the right answers that a second stub must not undo."""

    lent: dict[str, tuple[Tensor, int]] = field(default_factory=dict)
    right: dict[str, Tensor] = field(default_factory=dict)

    def is_lent(self, name: str, value: object) -> bool:
        """True where `value` is the gradient of `name` that was lent, and nobody has changed it since."""
        known = self.lent.get(name)
        return known is not None and value is known[0] and known[0]._version == known[1]

    def keep(self, name: str, value: Tensor) -> None:
        """Remember a right answer."""
        self.right[name] = value.detach().clone()

    def fill(self, name: str, namespace: MutableMapping[str, Any]) -> Any:
        """Put something in the place of the stub d`name`: the right answer from before, else the true gradient.

        An answer from before that another forward pass has made wrong is not put back.

        What stands there afterwards is returned; it is still the stub where there is no true gradient yet.
        """
        tensor = namespace.get(name)
        true = true_gradient(tensor) if isinstance(tensor, Tensor) else None
        if true is None:
            return namespace[f"d{name}"]
        before = self.right.get(name)
        if before is not None and before.shape == true.shape and compare(before, true).right:
            namespace[f"d{name}"] = before.clone()
        else:
            copy = true.clone()
            self.lent[name] = copy, copy._version
            namespace[f"d{name}"] = copy
        return namespace[f"d{name}"]

    def fill_all(self, namespace: MutableMapping[str, Any], overwritten: Mapping[str, Any]) -> None:
        """Fill every stub that a cell has left behind, and lend anew what another forward pass has changed.

        `overwritten` holds what stood in the place of a stub before its cell ran.
        """
        for name in [key[1:] for key, value in namespace.items() if value is ... and key.startswith("d")]:
            before = overwritten.get(f"d{name}")
            if isinstance(before, Tensor) and not self.is_lent(name, before):
                namespace[f"d{name}"] = before
            else:
                self.fill(name, namespace)
        for name in self.lent:
            if self.is_lent(name, namespace.get(f"d{name}")):
                self.fill(name, namespace)


LENDING = Lending()
"""That of this session."""
