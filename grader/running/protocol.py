"""What judge and worker say to each other, and how it travels: JSON for words, raw numbers beside it, no pickles.

A worker runs strangers' code, so nothing that it sends is believed: a message that is not exactly one of these is
refused, and so is one that is too long or not whole in time.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from grader.lesson.program import Program, TrialSetup
from grader.reading.gradient_names import Names

MAX_WORDS_BYTES = 1_000_000
MAX_TENSOR_BYTES = 64_000_000
MAX_TEXT, MAX_NAME, MAX_DIMENSIONS, MAX_RECORDS = 300, 60, 64, 20
_HEADER, _PLACES_BYTES = struct.Struct("!II"), struct.Struct("!Q")
_AT_ONCE, _SHORTEST = 1 << 14, 0.001

REFUSED = "Refused"
"""The type of a failure that admission is the cause of; its name is then the mistake's id."""

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Name = Annotated[str, Meta(max_length=MAX_NAME)]
Number = Annotated[int, Meta(ge=0, le=10**9)]
Size = Annotated[int, Meta(ge=0)]


class ProtocolError(Exception):
    """The other side sent what is no message."""


class Message(msgspec.Struct, tag_field="op", forbid_unknown_fields=True):
    """One message. Its tensors travel beside it, by name."""


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """A part of a message, such as one step. A field that it does not know is refused."""


# ---- What the judge sends ----


class StepRequest(Part):
    """A statement to run, and the gradients (tensor -> expression) to hand over after it.

    The loops that begin on the lines `loops` take their steps from the judge; `runs_loop` where they run here.
    `needed_by` are all whose answer it belongs to.
    """

    index: int
    text: str
    line: int
    text_line: int
    writes: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()
    hand_over: dict[str, str] = {}
    hooks: tuple[str, ...] = ()
    loops: tuple[int, ...] = ()
    runs_loop: bool = False
    spoils: tuple[str, ...] = ()


class ForwardCheck(Part):
    """A line of the submission's own forward pass, and what it binds."""

    index: int
    names: tuple[str, ...]
    text: str


class Run(Message, tag="run"):
    """Run the steps in every trial (the parameters of the lesson there). Answered by `Ready`; `Truths` follow.

    Where it `waits`, each gradient is handed over by itself, and its true one comes back before the next statement
    runs. Where it does not, all are handed over together in `Values`: until then each is replaced by what came for it
    with the first `Truths`, or else by what the submission has.

    `codes` is what the texts of steps compile to, by their indexes, as far as the judge knows it.

    Where a submission `shares` its gradients, a true one is also written into the tensor that was handed over: that may
    stand in a dict as well. Of the lesson's names those that are `unkept` stay as the submission leaves them.
    """

    program: Program
    trials: tuple[dict[str, Any], ...]
    steps: tuple[StepRequest, ...]
    waits: bool = True
    aliases: dict[str, str] = {}
    places: dict[str, str] = {}
    names: Names = msgspec.field(default_factory=Names)
    checks: tuple[ForwardCheck, ...] = ()
    guarded: bool = True
    codes: dict[int, bytes] = {}
    shares: bool = False
    unkept: tuple[str, ...] = ()


class Variants(Message, tag="variants"):
    """Run each variant of an answer, a list of statements, and send what `place` holds after it."""

    program: Program
    trial: dict[str, Any]
    steps: tuple[StepRequest, ...]
    variants: tuple[tuple[str, ...], ...]
    place: str
    fresh: tuple[str, ...] = ()
    aliases: dict[str, str] = {}
    names: Names = msgspec.field(default_factory=Names)
    guarded: bool = True


class Cases(Message, tag="cases"):
    """Run the steps, which define a function or a class; then each program apart, and send what `result` holds.

    Where it `waits`, each result is sent before the next program runs. Where it does not, all are sent together.
    """

    program: Program
    trial: dict[str, Any]
    steps: tuple[StepRequest, ...]
    programs: tuple[str, ...]
    waits: bool = True
    names: Names = msgspec.field(default_factory=Names)
    guarded: bool = True


class Observe(Message, tag="observe"):
    """Run the steps in their own order and with what they give, and tell which of the `places`, names and other
    expressions, each changes."""

    program: Program
    trial: dict[str, Any]
    steps: tuple[StepRequest, ...]
    places: tuple[str, ...] = ()
    aliases: dict[str, str] = {}
    names: Names = msgspec.field(default_factory=Names)
    guarded: bool = True


class Prepare(Message, tag="prepare"):
    """Set up these trials for the run that follows, and have so many bytes at hand. Answered by `Ready`."""

    trials: tuple[TrialSetup, ...]
    memory: int = 0


class Truths(Message, tag="truths"):
    """True gradients, as tensors: before the first step those that are given, later those that were handed over."""


class NextStep(Message, tag="next"):
    """The step of a loop to run next; None where it may end. As tensors the true parameters, and random gradients."""

    position: int | None = None


class TellAll(Message, tag="tell-all"):
    """Send all that the last step holds: what was sent of it is not right, or it was the last one too early."""


# ---- What the worker sends ----


class Failure(Part):
    """Why there is no value: an exception's type and text, or `timeout` or `crash` as type.

    `line` is one of a cell, `step` the index of the statement that ran.
    """

    type: Name
    text: Text = ""
    line: Number | None = None
    name: Text | None = None
    step: Number | None = None


class Description(Part):
    """What a value is: numbers travel beside it only where it is a dense tensor of a sane size."""

    kind: Name = "stub"
    type: Name = ""
    shape: Annotated[tuple[Size, ...], Meta(max_length=MAX_DIMENSIONS)] = ()
    dtype: Name = ""
    device: Name = ""
    layout: Name = ""


class Said(Part):
    """What one trial has for a gradient; with a `failure` beside a value, a statement that the answer needs stopped."""

    value: Description | None = None
    failure: Failure | None = None


class Ready(Message, tag="ready"):
    """The trials are set up."""


class Running(Message, tag="running"):
    """The statement that runs now, so that the judge knows which one hangs or kills."""

    step: Number


class Value(Message, tag="value"):
    """What each trial has for the gradient of `tensor`; its numbers travel under the trial's number.

    `then` is the statement that runs as soon as the answer is there.
    """

    tensor: Name
    trials: Annotated[dict[Number, Said], Meta(max_length=MAX_NAME)]
    line: Number | None = None
    then: Number | None = None


class Values(Message, tag="values"):
    """All that a run which does not wait has handed over, in order; numbers travel as `place:trial`.

    `forward_differs` is as in `Done`.
    """

    values: Annotated[tuple[Value, ...], Meta(max_length=10_000)]
    forward_differs: tuple[Number, ...] = ()


class Done(Message, tag="done"):
    """All statements ran. `forward_differs` lists those whose own forward pass gives other numbers."""

    forward_differs: tuple[Number, ...] = ()
    failure: Failure | None = None


class LoopBegins(Message, tag="loop"):
    """A loop is about to run: how many steps it would make, where that is known. Answered by `NextStep`."""

    trial: Number
    count: Size | None = None


class Record(Part):
    """What a list says of a step: its length, its last number, and the one at the step's position."""

    length: Size
    last: float | None = None
    at: float | None = None


class LoopStep(Message, tag="step"):
    """What a loop holds after its step at `position`, as tensors by name. Answered by `NextStep` or `TellAll`.

    First it is what decides: the parameters, the loss, and the batch as whole numbers. After `TellAll` it is the
    `whole`, with all forward tensors and gradients. `left` is True where the loop was left in this step, by a break or
    a return. `numbers` are those that it has names for, such as its learning rate.
    """

    trial: Number
    position: Number
    left: bool = False
    whole: bool = False
    records: Annotated[dict[Name, Record], Meta(max_length=MAX_RECORDS)] = {}
    numbers: Annotated[dict[Name, float], Meta(max_length=MAX_RECORDS)] = {}


class LoopEnd(Message, tag="loop-end"):
    """The statement with the loop is over."""

    trial: Number
    failure: Failure | None = None


class CaseResults(Message, tag="cases-left"):
    """What the next programs left in `result`, in order; numbers travel under each program's own number."""

    results: Annotated[tuple[Said, ...], Meta(max_length=10_000)]


class VariantValues(Message, tag="variant-values"):
    """What the variants gave, as tensors under their numbers."""


class Observed(Message, tag="observed"):
    """By statement the places that it changed; those that raised are not there."""

    changes: Annotated[dict[Number, Annotated[tuple[Text, ...], Meta(max_length=10_000)]], Meta(max_length=10_000)]


Request = Run | Variants | Cases | Observe | Prepare | Truths | NextStep | TellAll
Reply = (
    Ready | Running | Value | Values | Done | LoopBegins | LoopStep | LoopEnd | CaseResults | VariantValues | Observed
)

REQUESTS: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
"""What a worker understands."""

REPLIES: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
"""What a judge understands."""

_ENCODER = msgspec.json.Encoder()


def encode(message: Message, tensors: Mapping[str, Tensor] | None = None) -> bytes:
    """A message as it travels, with dense tensors, which travel on the CPU."""
    text = _ENCODER.encode(message)
    numbers = _laid_out(tensors) if tensors else []
    return b"".join((_HEADER.pack(len(text), sum(map(len, numbers))), text, *numbers))


Incoming = TypeVar("Incoming", Request, Reply)


class Channel(Generic[Incoming]):
    """One end of a connected socket, which understands the messages of `decoder` and no other."""

    def __init__(self, end: socket.socket, decoder: msgspec.json.Decoder[Incoming]) -> None:
        self._socket = end
        self._decoder: msgspec.json.Decoder[Incoming] = decoder
        self._block = memoryview(bytearray(_AT_ONCE))
        self._ahead = self._block[:0]
        self._readable = select.poll()
        self._readable.register(end, select.POLLIN)

    def close(self) -> None:
        """Close the socket, so that the other side reads the end of the file."""
        self._socket.close()

    @property
    def ended(self) -> bool:
        """Whether the other side has closed its end, as a process does that is killed."""
        return any(event & select.POLLHUP for _, event in self._readable.poll(0))

    def send(self, message: Message, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Send a message and its tensors. Raises as `send_encoded` does."""
        self.send_encoded(encode(message, tensors))

    def send_encoded(self, message: bytes, deadline: float | None = None) -> None:
        """Send what `encode` made.

        Raises:
            OSError: the other side is gone, or has not read it by `deadline` (as in `receive`).
        """
        if deadline is not None:  # a confined worker has none, and may not change its socket
            self._socket.settimeout(max(_SHORTEST, deadline - time.monotonic()))
        self._socket.sendall(message)

    def receive(self, deadline: float | None = None, device: str = "cpu") -> tuple[Incoming, dict[str, Tensor]]:
        """The next message, its tensors on `device`. `deadline` is in seconds of `time.monotonic`; None is never.

        Raises:
            TimeoutError: it was not there, or not whole, before `deadline`.
            EOFError: the other side is gone.
            ProtocolError: it is too long, no message that this end understands, or has other numbers than it says.
        """
        words_bytes, tensor_bytes = _HEADER.unpack(self._take(_HEADER.size, deadline))
        if words_bytes > MAX_WORDS_BYTES or tensor_bytes > MAX_TENSOR_BYTES:
            raise ProtocolError("too long")
        raw = self._take(words_bytes, deadline)
        try:
            message = self._decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(str(error)) from None
        return message, _tensors(self._take(tensor_bytes, deadline), device) if tensor_bytes else {}

    def _take(self, count: int, deadline: float | None) -> bytearray:
        taken = bytearray(count)
        rest = memoryview(taken)
        while True:
            held = min(len(rest), len(self._ahead))
            rest[:held] = self._ahead[:held]
            rest, self._ahead = rest[held:], self._ahead[held:]
            if not rest:
                return taken
            if deadline is not None and not self._readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            direct = len(rest) >= len(self._block)
            try:
                read = self._socket.recv_into(rest if direct else self._block)
            except OSError as error:
                raise EOFError(str(error)) from None
            if not read:
                raise EOFError
            if direct:
                rest = rest[read:]
            else:
                self._ahead = self._block[:read]


_KINDS = {
    str(kind): kind
    for name in (
        *("float64", "int64", "uint64", "float32", "int32", "uint32", "float16", "bfloat16", "int16", "uint16"),
        *("float8_e4m3fn", "float8_e5m2", "int8", "uint8", "bool"),
    )
    if (kind := getattr(torch, name, None)) is not None
}
"""What travels, the widest first: so that each number lies where a processor reads it at once."""

_Places = tuple[tuple[str, str, tuple[Size, ...]], ...]
"""Name, dtype and shape of each tensor of a message; tensors of one dtype lie end to end in this order."""

_PLACES: msgspec.json.Decoder[_Places] = msgspec.json.Decoder(_Places)


def _laid_out(tensors: Mapping[str, Tensor]) -> list[Any]:
    """Blocks of bytes: how long the places are, the places, and the numbers of each dtype."""
    places: list[tuple[str, str, tuple[int, ...]]] = []
    numbers: dict[str, list[Tensor]] = {kind: [] for kind in _KINDS}
    for name, tensor in tensors.items():
        kind = str(tensor.dtype)
        places.append((name, kind, tuple(tensor.shape)))
        numbers[kind].append(tensor.detach().cpu().reshape(-1))
    listed = _ENCODER.encode(places)
    listed += b" " * (-len(listed) % _PLACES_BYTES.size)
    blocks = [torch.cat(flat).view(torch.uint8).numpy() for flat in numbers.values() if flat]
    return [_PLACES_BYTES.pack(len(listed)), listed, *blocks]


def _tensors(raw: bytearray, device: str) -> dict[str, Tensor]:
    """What `_laid_out` was given, in the memory of `raw`.

    Raises:
        ProtocolError: the numbers are not exactly those that the places ask for.
    """
    try:
        (length,) = _PLACES_BYTES.unpack_from(raw)
        if length > MAX_WORDS_BYTES:
            raise ProtocolError("too long")
        begin = _PLACES_BYTES.size + length
        places = _PLACES.decode(memoryview(raw)[_PLACES_BYTES.size : begin])
        following = {}
        for kind, dtype in _KINDS.items():
            counts = [math.prod(shape) for _, of_kind, shape in places if of_kind == kind]
            flat = torch.empty(0, dtype=dtype)
            if count := sum(counts):
                flat = torch.frombuffer(raw, dtype=dtype, count=count, offset=begin)
                begin += flat.nbytes
            if counts:
                following[kind] = iter(flat.to(device).split_with_sizes(counts))
        if begin != len(raw):
            raise ProtocolError("other numbers than places")
        return {name: next(following[kind]).reshape(shape) for name, kind, shape in places}
    except Exception as error:
        raise ProtocolError(str(error)) from None
