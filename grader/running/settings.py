"""How to grade, as data."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from grader.base.errors import DojoError
from grader.running.confine import check_isolation
from grader.running.limits import Limits


@dataclass(frozen=True)
class Settings:
    """How to grade. `seed` draws every trial's data; `strict_sizes` fails answers with sizes written in.

    `isolation` is one of `grader.running.confine.ISOLATION_LEVELS`. Where it is not `guarded`, statements may do
    all that Python can: for tests of the sandbox alone.
    """

    seed: int
    device: str = "cpu"
    strict_sizes: bool = False
    isolation: str = "basic"
    limits: Limits = field(default_factory=Limits)
    guarded: bool = True


def settings(
    seed: int | None = None,
    device: str = "auto",
    strict_sizes: bool = False,
    isolation: str = "basic",
    require_isolation: str | None = None,
    limits: Limits | None = None,
) -> Settings:
    """Settings with a fresh seed unless one is given, and what this machine has.

    Raises:
        DojoError: `device` is "cuda" and there is none, or the machine does not offer the isolation.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise DojoError(f"device {device!r} is unknown; choose auto, cpu or cuda")
    if device == "cuda":
        import torch  # what asks for no such device is told what else is wrong without waiting for it

        if not torch.cuda.is_available():
            raise DojoError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    return Settings(
        seed=secrets.randbelow(2**31) if seed is None else seed,
        device="cpu" if device == "auto" else device,
        strict_sizes=strict_sizes,
        isolation=check_isolation(isolation, require_isolation),
        limits=limits or Limits(),
    )
