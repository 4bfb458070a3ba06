"""Messages between judge and worker: JSON for words, safetensors for numbers, never pickles."""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

import safetensors.torch
from torch import Tensor

MAX_WORDS_BYTES = 1_000_000
MAX_TENSOR_BYTES = 64_000_000
_HEADER = struct.Struct("!II")
_AT_ONCE, _SHORTEST = 1 << 16, 0.001


class WireError(Exception):
    """The other side sent what is no message."""


class Channel:
    """One end of a connected socket. A message is words, a JSON object, and tensors by name."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._read = bytearray()
        self._block = memoryview(bytearray(_AT_ONCE))
        self._readable = select.poll()
        self._readable.register(end, select.POLLIN)

    def close(self) -> None:
        self._socket.close()

    def send(
        self,
        words: Mapping[str, Any],
        tensors: Mapping[str, Tensor] | None = None,
        deadline: float | None = None,
    ) -> None:
        """Send words, and dense tensors, which travel on the CPU.

        Raises:
            OSError: the other side is gone, or has not read it by `deadline` (as in `receive`).
        """
        self.send_encoded(encode(words, tensors), deadline)

    def send_encoded(self, message: bytes, deadline: float | None = None) -> None:
        """Send what `encode` made. Raises as `send` does."""
        if deadline is not None:  # a confined worker has none, and may not change its socket
            self._socket.settimeout(max(_SHORTEST, deadline - time.monotonic()))
        self._socket.sendall(message)

    def receive(self, deadline: float | None = None, device: str = "cpu") -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The next message, its tensors on `device`. `deadline` is in seconds of `time.monotonic`; None is never.

        Raises:
            TimeoutError: it was not there, or not whole, before `deadline`.
            EOFError: the other side is gone.
            WireError: it is too long, or its parts are no JSON object and no safetensors file.
        """
        words_bytes, tensor_bytes = _HEADER.unpack(self._take(_HEADER.size, deadline))
        if words_bytes > MAX_WORDS_BYTES or tensor_bytes > MAX_TENSOR_BYTES:
            raise WireError("too long")
        words = _words(self._take(words_bytes, deadline))
        tensors = _tensors(self._take(tensor_bytes, deadline), device) if tensor_bytes else {}
        return words, tensors

    def _take(self, count: int, deadline: float | None) -> bytes:
        while len(self._read) < count:
            if deadline is not None and not self._readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            try:
                count_read = self._socket.recv_into(self._block)
            except OSError as error:
                raise EOFError(str(error)) from None
            if not count_read:
                raise EOFError
            self._read += self._block[:count_read]
        taken = bytes(memoryview(self._read)[:count])
        del self._read[:count]
        return taken


def encode(words: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None) -> bytes:
    """A message as it travels."""
    text = json.dumps(words).encode()
    numbers = safetensors.torch.save({name: _plain(value) for name, value in tensors.items()}) if tensors else b""
    return b"".join((_HEADER.pack(len(text), len(numbers)), text, numbers))


def _words(raw: bytes) -> dict[str, Any]:
    try:
        words = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise WireError(str(error)) from None
    if not isinstance(words, dict):
        raise WireError("not an object")
    return words


def _tensors(raw: bytes, device: str) -> dict[str, Tensor]:
    try:
        tensors = safetensors.torch.load(raw)
    except Exception as error:
        raise WireError(str(error)) from None
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous().clone()
