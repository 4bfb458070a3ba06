"""Optimisers without torch's compiler: not loaded, the same numbers to the bit, and there for whoever needs it."""

from __future__ import annotations

from pathlib import Path

import warm
from dojo import environment

ROOT = Path(__file__).resolve().parents[1]
LOADED = "any(name.startswith('torch._dynamo') for name in sys.modules)"


def run(code: str) -> None:
    done = warm.run(["-c", f"import sys\n{code}"], ROOT, environment())
    assert done.returncode == 0, done.stderr


def test_grading_a_loop_does_not_load_the_compiler() -> None:
    run(f"""
from grader.cli.main import main
try:
    main(["grade", "--seed", "1", "solutions/makemore/ex4_training.py"])
except SystemExit as end:
    assert not end.code
assert "torch" in sys.modules and not {LOADED}
""")


def test_every_optimiser_moves_to_the_same_bits() -> None:
    run(f"""
import copy
import torch
from grader.truth.no_compiler import without_compiler

def moved(kind, schedule, **settings):
    p = torch.randn(4, 3, generator=torch.Generator().manual_seed(5)).requires_grad_()
    optimizer = kind([p], lr=0.1, **settings)
    scheduler = schedule(optimizer)
    for _ in range(6):
        optimizer.zero_grad()
        (p**4).sum().backward()
        optimizer.step()
        scheduler.step()
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return p.detach()

def all_moved():
    rates = torch.optim.lr_scheduler
    return [
        moved(torch.optim.SGD, lambda o: rates.LambdaLR(o, lambda s: 0.5**s), momentum=0.9, weight_decay=0.1),
        moved(torch.optim.SGD, lambda o: rates.CosineAnnealingLR(o, 6), momentum=0.9, nesterov=True),
        moved(torch.optim.AdamW, lambda o: rates.StepLR(o, 2), weight_decay=0.2, amsgrad=True),
        moved(torch.optim.RMSprop, lambda o: rates.ExponentialLR(o, 0.9)),
    ]

with without_compiler():
    without = all_moved()
assert not {LOADED}
plain = all_moved()
assert {LOADED}
assert all(map(torch.equal, without, plain))
""")


def test_who_asks_for_more_gets_the_compiler_itself() -> None:
    run("""
import torch
from grader.truth.no_compiler import without_compiler

with without_compiler():
    optimizer = torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=1.0)
    import torch._dynamo.config
    assert torch._dynamo.__file__ and torch._dynamo.config.__file__
assert torch._dynamo is sys.modules["torch._dynamo"] and torch._dynamo.__file__
assert torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2)).tolist() == [2, 2]
""")
