"""The true gradients, and the share of each path, by PyTorch's autograd."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.lesson.exercise import Atom, Exercise
from grader.truth.arrays import run_on_tensors, to_tensor

VANISHES_BELOW = 1e-9
"""A gradient this small beside the upstream gradient is zero by algebra.

float64 leaves such sums at about 1e-16 of the upstream gradient; the smallest true gradient of the lessons
is above 1e-4 of it.
"""


@dataclass(frozen=True)
class Forward:
    """A forward pass cut at every named tensor: each atom ran on detached inputs.

    `values` holds what the setup and the atoms bind, detached; `outputs` each atom's result with the graph
    of that one atom; `inputs` the leaves of that graph by name. A line with several results, such as
    `q, k, v = x.split(n, -1)`, gives an atom for each. In a lesson with `arrays` all of these are tensors too.
    `batch` is the name of the batch size.
    """

    atoms: tuple[Atom, ...]
    values: dict[str, Any]
    outputs: dict[str, Tensor]
    inputs: dict[str, dict[str, Tensor]]
    arrays: bool = False
    batch: str = "n"

    @property
    def loss(self) -> str:
        """The name of the last atom, where gradients begin."""
        return self.atoms[-1].name

    def pull_back(self, atom: str, above: Tensor) -> dict[str, Tensor]:
        """The vector-Jacobian product of one atom: upstream gradient `above` -> gradient of each input."""
        return vector_jacobian_product(self.outputs[atom], self.inputs[atom], above)

    def run(self, code: Any, replaced: Mapping[str, Any]) -> dict[str, Any]:
        """The names that are bound after running code above the forward pass, some values replaced."""
        return _run(code, self.values | dict(replaced), self.arrays)


def vector_jacobian_product(output: Tensor, leaves: Mapping[str, Tensor], above: Tensor) -> dict[str, Tensor]:
    """The gradient of sum(output * above) for each leaf that output depends on.

    It is the product with `above`, bit for bit. Passing `above` as grad_outputs makes PyTorch load sympy
    first: 0.3 s that a learner would wait for.
    """
    with torch.enable_grad():
        dotted = (output * above).sum()
    found = torch.autograd.grad(dotted, list(leaves.values()), retain_graph=True, allow_unused=True)
    return {name: share for name, share in zip(leaves, found, strict=True) if share is not None}


@dataclass(frozen=True)
class Gradients:
    """`total[x]` is the gradient of x; `shares[x][y]` the part that comes back through atom y."""

    total: dict[str, Tensor]
    upstream: dict[str, Tensor]
    shares: dict[str, dict[str, Tensor]]
    _largest: dict[str, tuple[float, float]] = field(default_factory=dict, init=False, repr=False)
    _paths: dict[str, dict[str, float]] = field(default_factory=dict, init=False, repr=False)

    def paths(self, name: str) -> dict[str, float]:
        """The atoms through which the gradient of `name` comes back, each with the largest element of its share."""
        if name not in self._paths:
            self._paths[name] = {through: float(share.abs().max()) for through, share in self.shares[name].items()}
        return dict(self._paths[name])

    def vanishes(self, name: str) -> bool:
        """True where the gradient of `name` is zero by algebra, whatever the numbers."""
        own, above = self._largest_elements(name)
        return own <= VANISHES_BELOW * above

    def scale(self, name: str) -> float:
        """The size that an error in the gradient of `name` is measured against: its largest element.

        Where the gradient vanishes there is none, so the largest upstream element takes its place.
        """
        own, above = self._largest_elements(name)
        return above if self.vanishes(name) else own

    def _largest_elements(self, name: str) -> tuple[float, float]:
        """Of the gradient itself and of the upstream gradient."""
        if name not in self._largest:
            above = (self.upstream[through] for through in self.shares[name] if through in self.upstream)
            largest = max((float(tensor.abs().max()) for tensor in above), default=0.0)
            self._largest[name] = float(self.total[name].abs().max()), largest
        return self._largest[name]


def cut_forward(exercise: Exercise, namespace: Mapping[str, Any], drawn: Mapping[str, Tensor] | None = None) -> Forward:
    """Run the forward pass atom by atom, each on detached copies of what it reads.

    `namespace` is what the setup binds. Arrays become tensors, and so do numbers whose gradient is graded.
    What `drawn` names takes the place of what its atom gives: a batch that somebody else has drawn.
    """
    values, arrays = _tensors_of(exercise, namespace)
    differentiable: list[Atom] = []
    outputs: dict[str, Tensor] = {}
    inputs: dict[str, dict[str, Tensor]] = {}
    for atom in exercise.atoms:
        leaves = {name: values[name].detach().requires_grad_() for name in atom.reads if _is_float(values.get(name))}
        scope = _run(atom.code, values | leaves, arrays)
        values |= {name: _detached(scope[name]) for name in atom.binds}
        values |= {name: drawn[name] for name in atom.binds if drawn and name in drawn}
        for name in atom.binds:
            if _is_float(scope[name]):
                differentiable.append(atom if atom.name == name else replace(atom, name=name))
                outputs[name], inputs[name] = scope[name], leaves
    return Forward(tuple(differentiable), values, outputs, inputs, arrays, exercise.grading.batch)


def _tensors_of(exercise: Exercise, namespace: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """What the setup binds, as tensors, and whether the forward pass reads arrays."""
    values = {name: _detached(value) for name, value in namespace.items()}
    read = exercise.network_names & values.keys()
    arrays = any(isinstance(values[name], np.ndarray) for name in read)
    values |= {name: to_tensor(values[name]) for name in read}
    for name in read & {*exercise.graded, *exercise.given}:
        if isinstance(values[name], (float, np.floating)):
            values[name] = torch.tensor(values[name], dtype=torch.float64)
    return values, arrays


def _run(code: Any, scope: Mapping[str, Any], arrays: bool) -> dict[str, Any]:
    with torch.enable_grad():
        if arrays:
            return run_on_tensors(code, scope)
        bound = dict(scope)
        exec(code, bound)
    return bound


def backpropagate(forward: Forward, upstream: Mapping[str, Tensor] | None = None) -> Gradients:
    """Send gradients back through the atoms, last to first, starting from a loss gradient of 1.

    With `upstream`, the tensors named there pass on that gradient instead of their own: each atom is then
    probed with a random vector-Jacobian product, while `total` still holds what arrives at each tensor.
    """
    given = upstream or {}
    loss = forward.loss
    total = {loss: torch.ones_like(forward.outputs[loss])}
    passed: dict[str, Tensor] = {}
    shares: dict[str, dict[str, Tensor]] = {loss: {}}
    for atom in reversed(forward.atoms):
        output = forward.outputs[atom.name]
        above = given.get(atom.name, total.get(atom.name))
        if above is None or not output.requires_grad:
            continue
        passed[atom.name] = above
        for name, share in forward.pull_back(atom.name, above).items():
            shares.setdefault(name, {})[atom.name] = share
            total[name] = total[name] + share if name in total else share
    return Gradients(total, passed, shares)


def whole_backward(exercise: Exercise, namespace: Mapping[str, Any], names: Iterable[str]) -> dict[str, Tensor]:
    """The gradients as `loss.backward()` on the uncut graph leaves them, bit for bit."""
    values, arrays = _tensors_of(exercise, namespace)
    scope = {name: value.requires_grad_() if _is_float(value) else value for name, value in values.items()}
    for atom in exercise.atoms:
        scope = _run(atom.code, scope, arrays)
        for result in (scope[name] for name in atom.binds):
            if isinstance(result, Tensor) and result.requires_grad:
                result.retain_grad()
    scope[exercise.forward_names[-1]].backward()
    return {name: scope[name].grad for name in names if name in scope and scope[name].grad is not None}


def random_gradients(forward: Forward, names: Iterable[str], seed: int) -> dict[str, Tensor]:
    """A standard normal tensor in the shape of each named tensor."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for name in names:
        like = forward.values[name]
        drawn[name] = torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)
    return drawn


def _is_float(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value
