"""Messages between judge and worker: JSON for words, safetensors for numbers, never pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import safetensors.torch
from torch import Tensor

MAX_MESSAGE_BYTES = 1_000_000
MAX_TENSOR_BYTES = 64_000_000


class WireError(Exception):
    """The other side sent what is no message."""


def send_message(connection: Connection, message: Mapping[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


def receive_message(connection: Connection) -> dict[str, Any]:
    """The next JSON message.

    Raises:
        EOFError: the other side is gone.
        WireError: it is too long, or not a JSON object.
    """
    try:
        message = json.loads(connection.recv_bytes(MAX_MESSAGE_BYTES))
    except (ValueError, RecursionError) as error:
        raise WireError(str(error)) from None
    except OSError as error:
        raise EOFError(str(error)) from None
    if not isinstance(message, dict):
        raise WireError("not an object")
    return message


def send_tensors(connection: Connection, tensors: Mapping[str, Tensor]) -> None:
    """Send dense tensors by name; they travel on the CPU."""
    connection.send_bytes(safetensors.torch.save({name: _plain(tensor) for name, tensor in tensors.items()}))


def receive_tensors(connection: Connection, device: str = "cpu") -> dict[str, Tensor]:
    """The next message of tensors, on `device`.

    Raises:
        EOFError: the other side is gone.
        WireError: the bytes are no safetensors file.
    """
    try:
        raw = connection.recv_bytes(MAX_TENSOR_BYTES)
    except OSError as error:
        raise EOFError(str(error)) from None
    try:
        tensors = safetensors.torch.load(raw)
    except Exception as error:
        raise WireError(str(error)) from None
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous().clone()
