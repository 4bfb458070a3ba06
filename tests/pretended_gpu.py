"""A GPU that is not there: tensors keep their numbers, and know on which device they would lie.

It refuses what CUDA refuses: operations on tensors of both devices, numpy on a GPU's tensor, a generator of the other
device. So a lesson's assumptions about the device show on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

GPU = torch.device("cuda")
_LIKE_THE_FIRST = {"to", "type_as", "copy_", "view_as", "reshape_as", "expand_as"}
_INDEXED = {"__getitem__", "__setitem__", "index_put", "index_put_"}  # the indices may lie on the processor


class WrongDeviceError(Exception):
    """What raises a RuntimeError on a machine with a GPU; no code of a lesson catches it."""


def is_gpu(device: object) -> bool:
    return isinstance(device, (str, torch.device)) and str(device).startswith("cuda")


def on_gpu(tensor: object) -> bool:
    return getattr(tensor, "pretended", False) is True


def tensors_in(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors_in(part)


class PretendedGPU(TorchFunctionMode):
    """While it is entered, `device="cuda"` works, and each tensor is followed."""

    def __torch_function__(
        self,
        called: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name, options = getattr(called, "__name__", ""), dict(kwargs or {})
        read = [tensor for tensor in tensors_in([*args, *options.values()]) if isinstance(tensor, Tensor)]
        above = any(map(on_gpu, read))
        if called == Tensor.device.__get__:
            return GPU if above else torch.device("cpu")
        if called == Tensor.is_cuda.__get__:
            return above
        if name in ("numpy", "__array__") and above:
            raise WrongDeviceError(f"{name}() of a tensor on the GPU: it needs .cpu() before")
        devices = [value for value in (*args, *options.values()) if is_gpu(value)]
        if name == "to":
            above = (
                on_gpu(args[0]) if not _names_a_device(args, options) else bool(devices) or any(map(on_gpu, args[1:]))
            )
        elif name == "cpu":
            above = False
        else:
            self._check(name, args, read)
            above = above or bool(devices)
            if above and isinstance(options.get("generator"), torch.Generator):
                raise WrongDeviceError(f"{name} on the GPU with a generator of the processor")
        arguments = tuple(torch.device("cpu") if is_gpu(value) else value for value in args)
        options = {key: torch.device("cpu") if is_gpu(value) else value for key, value in options.items()}
        output = called(*arguments, **options)
        for tensor in tensors_in(output):
            tensor.pretended = above  # type: ignore[attr-defined]
        return output

    def _check(self, name: str, args: tuple[Any, ...], read: list[Tensor]) -> None:
        if name in _LIKE_THE_FIRST:
            return
        counted = read[:1] + read[-1:] * (name == "__setitem__") if name in _INDEXED and on_gpu(read[0]) else read
        sides = {on_gpu(tensor) for tensor in counted if tensor.dim() > 0 or on_gpu(tensor)}
        if len(sides) > 1:
            where = ", ".join(f"{tuple(t.shape)} on the {'GPU' if on_gpu(t) else 'processor'}" for t in counted)
            raise WrongDeviceError(f"{name} of tensors on both devices: {where}")


def _names_a_device(args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    given = [*args[1:], *options.values()]
    return "device" in options or any(isinstance(value, (str, torch.device, Tensor)) for value in given)
