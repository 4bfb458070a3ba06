"""Messages between judge and worker: what one sends the other gets, and a hostile other side ends in time."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from grader.running.protocol import (
    MAX_TENSOR_BYTES,
    MAX_WORDS_BYTES,
    REPLIES,
    Channel,
    Description,
    Done,
    ProtocolError,
    Ready,
    Reply,
    Said,
    Value,
)

Ends = tuple[socket.socket, Channel[Reply]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        yield theirs, Channel(ours, REPLIES)


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def frame(words: bytes, tensors: bytes = b"") -> bytes:
    return struct.pack("!II", len(words), len(tensors)) + words + tensors


NO_PLACES = (
    b'[["h", "torch.float64", [3]]]',
    b'[["h", "torch.float64", [1]]]',
    b'[["h", "torch.float64", [-2]]]',
    b'[["h", "torch.object", [2]]]',
    b'[["h", "torch.float64", [1, 4611686018427387904]]]',
    b"[]",
)
"""What does not lay out sixteen bytes."""


def test_words_and_tensors_arrive_as_they_were_sent(ends: Ends) -> None:
    theirs, ours = ends
    sent = {
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "empty": torch.empty(0, 3),
        "one": torch.tensor(1.5),
        "one of many": torch.arange(6.0).reshape(2, 3)[:1, 1],
        "one again and again": torch.ones(1).expand(2, 2),
        "small": torch.ones(3, dtype=torch.bfloat16),
        "yes or no": torch.tensor([True, False, True]),
        "counted": torch.arange(5),
    }
    value = Value("h", {0: Said(Description("tensor", shape=(2, 3)))}, line=3)
    Channel(theirs, REPLIES).send(value, sent)
    Channel(theirs, REPLIES).send(Done())
    message, tensors = ours.receive(soon())
    assert message == value
    assert tensors.keys() == sent.keys()
    assert all(torch.equal(tensors[name], value) for name, value in sent.items())
    assert ours.receive(soon()) == (Done(), {})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        frame(b"{}")[:6],
        struct.pack("!II", 900_000, 0) + b"0123456789",
        struct.pack("!II", 15, 60_000_000) + b'{"op": "ready"}' + bytes(1000),
    ],
    ids=["nothing", "half a header", "half the words", "half the tensors"],
)
def test_a_message_that_never_ends_is_given_up_at_the_deadline(raw: bytes, ends: Ends) -> None:
    theirs, ours = ends
    theirs.sendall(raw)
    deadline = soon(0.2)
    with pytest.raises(TimeoutError):
        ours.receive(deadline)
    assert time.monotonic() > deadline - 0.05


def test_a_message_that_drips_in_is_given_up_at_the_deadline(ends: Ends) -> None:
    """It would be whole after 20 seconds."""
    theirs, ours = ends
    enough = threading.Event()

    def drip() -> None:
        theirs.sendall(struct.pack("!II", 1000, 0))
        while not enough.wait(0.02):
            theirs.sendall(b" ")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        with pytest.raises(TimeoutError):
            ours.receive(soon(0.3))
    finally:
        enough.set()
        dripping.join()


@pytest.mark.parametrize(
    "raw",
    [
        frame(b"\xff\xfe{"),
        frame(b"[1, 2]"),
        frame(b"[" * 200_000),
        frame(b'{"op": "running", "step": ' + b"9" * 10_000 + b"}"),
        frame(b'{"op": "running", "step": -1}'),
        frame(b'{"op": "running", "step": true}'),
        frame(b'{"op": "running"}'),
        frame(b'{"op": "running", "step": 1} {}'),
        frame(b'{"op": "run"}'),
        frame(b"{}"),
        frame(b'{"op": "value", "tensor": "h", "trials": {}, "status": "pass"}'),
        frame(b'{"op": "value", "tensor": "' + b"h" * 1000 + b'", "trials": {}}'),
        frame(b'{"op": "value", "tensor": "h", "trials": {"zero": {}}}'),
        frame(b'{"op": "value", "tensor": "h", "trials": {"0": {"value": {"kind": "tensor", "shape": [-1]}}}}'),
        frame(b'{"op": "done", "forward_differs": ["../../etc/passwd"]}'),
        frame(b'{"op": "ready"}', b"no numbers"),
        frame(b'{"op": "ready"}', struct.pack("!Q", 1 << 60) + b"[]"),
        *(frame(b'{"op": "ready"}', struct.pack("!Q", len(places)) + places + bytes(16)) for places in NO_PLACES),
        struct.pack("!II", MAX_WORDS_BYTES + 1, 0),
        struct.pack("!II", 2, MAX_TENSOR_BYTES + 1),
    ],
    ids=[
        *("no text", "no object", "deep", "a huge number", "a negative step", "a step that is no number", "no step"),
        *("two messages", "what only a judge sends", "no kind", "a field of its own", "a long name", "a trial by name"),
        *("a negative size", "a line that is no number"),
        *("no tensors", "a huge header", "numbers too few", "numbers too many", "fewer than none"),
        *("no such kind", "a huge tensor", "numbers of nothing", "long words", "large tensors"),
    ],
)
def test_what_is_no_message_is_told_from_one(raw: bytes, ends: Ends) -> None:
    theirs, ours = ends
    theirs.sendall(raw)
    with pytest.raises(ProtocolError):
        ours.receive(soon())


def test_an_end_that_is_gone_is_told(ends: Ends) -> None:
    theirs, ours = ends
    theirs.sendall(frame(json.dumps({"op": "ready"}).encode()) + b"\0\0")
    theirs.close()
    assert ours.receive(soon()) == (Ready(), {})
    with pytest.raises(EOFError):
        ours.receive(soon())
