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

from grader.base.wire import MAX_TENSOR_BYTES, MAX_WORDS_BYTES, Channel, WireError


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Channel]]:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        yield theirs, Channel(ours)


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def frame(words: bytes, tensors: bytes = b"") -> bytes:
    return struct.pack("!II", len(words), len(tensors)) + words + tensors


def test_words_and_tensors_arrive_as_they_were_sent(ends: tuple[socket.socket, Channel]) -> None:
    theirs, ours = ends
    sent = {"transposed": torch.arange(6.0).reshape(2, 3).T, "empty": torch.empty(0, 3), "one": torch.tensor(1.5)}
    Channel(theirs).send({"op": "value", "line": 3}, sent)
    Channel(theirs).send({"op": "done"})
    words, tensors = ours.receive(soon())
    assert words == {"op": "value", "line": 3}
    assert tensors.keys() == sent.keys()
    assert all(torch.equal(tensors[name], value) for name, value in sent.items())
    assert ours.receive(soon()) == ({"op": "done"}, {})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        frame(b"{}")[:6],
        struct.pack("!II", 900_000, 0) + b"0123456789",
        struct.pack("!II", 2, 60_000_000) + b"{}" + bytes(1000),
    ],
    ids=["nothing", "half a header", "half the words", "half the tensors"],
)
def test_a_message_that_never_ends_is_given_up_at_the_deadline(raw: bytes, ends: tuple[socket.socket, Channel]) -> None:
    theirs, ours = ends
    theirs.sendall(raw)
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        ours.receive(soon(0.2))
    assert 0.15 < time.monotonic() - start < 2.0


def test_a_message_that_drips_in_is_given_up_at_the_deadline(ends: tuple[socket.socket, Channel]) -> None:
    theirs, ours = ends
    enough = threading.Event()

    def drip() -> None:
        theirs.sendall(struct.pack("!II", 1000, 0))
        while not enough.wait(0.02):
            theirs.sendall(b" ")

    dripping = threading.Thread(target=drip)
    dripping.start()
    start = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            ours.receive(soon(0.3))
    finally:
        enough.set()
        dripping.join()
    assert time.monotonic() - start < 2.0


@pytest.mark.parametrize(
    "raw",
    [
        frame(b"\xff\xfe{"),
        frame(b"[1, 2]"),
        frame(b"[" * 200_000),
        frame(b'{"line": ' + b"9" * 10_000 + b"}"),
        frame(b"{}", b"no safetensors"),
        frame(b"{}", struct.pack("<Q", 1 << 60) + b"{}"),
        struct.pack("!II", MAX_WORDS_BYTES + 1, 0),
        struct.pack("!II", 2, MAX_TENSOR_BYTES + 1),
    ],
    ids=["no text", "no object", "deep", "a huge number", "no tensors", "a huge header", "long words", "large tensors"],
)
def test_what_is_no_message_is_told_from_one(raw: bytes, ends: tuple[socket.socket, Channel]) -> None:
    theirs, ours = ends
    theirs.sendall(raw)
    with pytest.raises(WireError):
        ours.receive(soon())


def test_an_end_that_is_gone_is_told(ends: tuple[socket.socket, Channel]) -> None:
    theirs, ours = ends
    theirs.sendall(frame(json.dumps({"op": "ready"}).encode()) + b"\0\0")
    theirs.close()
    assert ours.receive(soon()) == ({"op": "ready"}, {})
    with pytest.raises(EOFError):
        ours.receive(soon())
