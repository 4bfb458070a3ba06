"""The names that people use without a definition of their own, and what a submission finds defined."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import torch
import torch.nn.functional

from grader.admission.namespaces import admitted
from grader.admission.silent import ProgressStandIn, Silent

_MODULES: dict[str, Any] = {
    "torch": torch,
    "F": torch.nn.functional,
    "nn": torch.nn,
    "np": np,
    "numpy": np,
    "math": math,
    "random": random,
}


def _quiet() -> dict[str, Any]:
    return {"plt": Silent(), "cmp": Silent(), "tqdm": ProgressStandIn, "trange": ProgressStandIn.trange}


def stand_ins() -> dict[str, Any]:
    """Names that people use without a definition of their own."""
    return _MODULES | _quiet()


def without_stand_ins(namespace: dict[str, Any]) -> dict[str, Any]:
    """A setup's names less those that a stand-in takes the place of."""
    replaced = stand_ins()
    return {name: value for name, value in namespace.items() if name not in replaced}


def provided(namespace: dict[str, Any], *, guarded: bool) -> dict[str, Any]:
    """What a submission finds: a lesson's names and the stand-ins; not `guarded`, they are Python's and torch's own."""
    found = namespace | _MODULES
    return (admitted(found) if guarded else found) | _quiet() | {"__name__": "__main__"}
