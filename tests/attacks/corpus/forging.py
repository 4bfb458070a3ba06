"""Speaking to the judge in the worker's place, and writing where the report goes."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, OPEN, STOPPED, Attack

FIND = """
import json, os, stat, struct, time
def wire():
    return [n for n in range(3, 64) if os.path.exists(f"/dev/fd/{n}") and stat.S_ISSOCK(os.fstat(n).st_mode)][0]
def send(words, tensors=b""):
    text = words if type(words) is bytes else json.dumps(words).encode()
    os.write(wire(), struct.pack("!II", len(text), len(tensors)) + text + tensors)
def receive():
    words, tensors = struct.unpack("!II", read(8))
    read(words)
    return read(tensors)
def read(count):
    raw = b""
    while len(raw) < count:
        raw += os.read(wire(), count - len(raw))
    return raw
def packed(tensor, **said):
    kind = str(tensor.dtype)
    words = json.dumps([["0", said.get("kind", kind), said.get("shape", list(tensor.shape))]]).encode()
    return struct.pack("!Q", len(words)) + words + tensor.flatten().view(torch.uint8).numpy().tobytes()
def told():
    raw = receive()
    begin = 8 + struct.unpack("!Q", raw[:8])[0]
    ((_, kind, shape),) = json.loads(raw[8:begin])
    return torch.frombuffer(bytearray(raw[begin:]), dtype=getattr(torch, kind[6:])).reshape(shape)
"""
"""Speaks the protocol over the worker's own socket, found among its open descriptors."""


LOOP = """
losses = []
for step in range(max_steps):
    logits, probs, emb, h, hpreact = 1, 2, 3, 4, 5
    dlogits = 0
    loss = torch.zeros(())
    W2 = W2 - 0.1 * dlogits
"""


def _forge(name: str, title: str, body: str, *, sandbox: tuple = (STOPPED,) * 3, **more: object) -> Attack:
    lines = f"{FIND}def forge():\n" + "\n".join(f"    {line}" for line in body.strip("\n").split("\n"))
    return Attack(f"forge-{name}", title, f"{lines}\ndh = forge()", sandbox=sandbox, **more)  # type: ignore[arg-type]


def _wait(name: str, title: str, body: str, **more: object) -> Attack:
    return _forge(name, title, f"{body.strip()}\ntime.sleep(30)", seconds=1.5, **more)


ATTACKS = (
    _wait(
        "done",
        "saying that all is done before anything was handed over",
        "send({'op': 'done'})",
        sandbox=(HARMLESS,) * 3,
    ),
    _forge(
        "two-values",
        "handing over zeros, being told the truth, and handing that over",
        """
words = {"op": "value", "tensor": "h", "line": 1, "trials": {"0": {"value": {"kind": "tensor"}}}}
send(words, packed(torch.zeros_like(h)))
true = told()
send(words, packed(true))
receive()
return true
""",
        sandbox=(HARMLESS,) * 3,
    ),
    _forge(
        "other-truth",
        "asking twice for the truth of another gradient, and once for one's own",
        """
for tensor in ("b2", "b2", "h"):
    send({"op": "value", "tensor": tensor, "line": 1, "trials": {"0": {"value": {"kind": "stub"}}}})
    true = told()
return true
""",
        sandbox=(HARMLESS,) * 3,
    ),
    _wait(
        "index-lies",
        "numbers whose index tells of a shape that they do not have",
        """
words = {"op": "value", "tensor": "h", "line": 1, "trials": {"0": {"value": {"kind": "tensor"}}}}
send(words, packed(torch.zeros_like(h), shape=[2**40, 2**40, -1]))
""",
    ),
    _wait(
        "all-at-once",
        "all answers at once, though each was to be waited for, and the other way round",
        """
value = {"tensor": "h", "line": 1, "trials": {"0": {"value": {"kind": "tensor"}}}}
send({"op": "values", "values": [value]}, packed(torch.zeros_like(h)))
send({"op": "value", **value}, packed(torch.zeros_like(h)))
""",
    ),
    _forge(
        "tensor-name",
        "a value for a gradient that is not asked for",
        """
send({"op": "value", "tensor": "../../etc/passwd", "trials": {"0": {"value": {"kind": "stub"}}}})
return torch.zeros_like(h)
""",
    ),
    _wait(
        "status",
        "a message that says `pass`",
        """
send({"op": "value", "tensor": "h", "status": "pass", "passed": True, "trials": {"0": {"value": {"kind": "pass"}}}})
""",
    ),
    _wait(
        "half-frame",
        "a frame that announces 900,000 bytes and sends ten",
        """
os.write(wire(), struct.pack("!II", 900_000, 0) + b"0123456789")
""",
    ),
    _wait(
        "no-numbers",
        "a frame that announces numbers which never come",
        """
text = json.dumps({"op": "value", "tensor": "h", "trials": {"0": {"value": {"kind": "tensor"}}}}).encode()
os.write(wire(), struct.pack("!II", len(text), 900_000) + text)
""",
    ),
    _wait(
        "drip",
        "a frame that comes a byte a second",
        """
os.write(wire(), struct.pack("!II", 900_000, 0))
while True:
    os.write(wire(), b" ")
    time.sleep(0.5)
""",
    ),
    _wait(
        "huge-frame",
        "a frame that announces 8 gigabytes",
        """
os.write(wire(), struct.pack("!II", 2**32 - 1, 2**32 - 1))
""",
    ),
    _wait(
        "large-frames",
        "frames of the largest size, without end",
        """
while True:
    send(b'"' + b"x" * 999_990 + b'"')
""",
    ),
    _wait(
        "running",
        "saying for ever that a statement runs",
        """
while True:
    send({"op": "running", "step": 0})
""",
    ),
    _wait(
        "unread",
        "asking for truth for ever and never reading it",
        """
for _ in range(100_000):
    send({"op": "value", "tensor": "b2", "trials": {"0": {"value": {"kind": "stub"}}}})
""",
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _wait("bad-json", "bytes that are no JSON", "send(b'\\xff\\xfe{')"),
    _wait("deep-json", "JSON nested 100,000 deep", "send(b'[' * 100_000 + b']' * 100_000)"),
    _wait(
        "big-number",
        "a number of a million digits, slow to read",
        """
send(b'{"op": "value", "tensor": "h", "line": ' + b"9" * 900_000 + b"}")
""",
    ),
    _wait(
        "nan-json",
        "`NaN` and `Infinity` as numbers of a message",
        """
said = b'{"0": {"value": {"kind": "tensor", "shape": [Infinity, NaN]}}}'
send(b'{"op": "value", "tensor": "h", "line": NaN, "trials": ' + said + b'}')
""",
    ),
    _wait(
        "wrong-types",
        "lists where words are expected",
        """
failure = {"type": [1], "text": {"a": 1}, "line": "x", "name": 5}
send({"op": "value", "tensor": "h", "line": [1], "trials": {"0": {"failure": failure}}})
""",
    ),
    _wait(
        "bad-tensor",
        "numbers with a list of places of 2**60 bytes",
        """
words = {"op": "value", "tensor": "h", "line": 1, "trials": {"0": {"value": {"kind": "tensor"}}}}
send(words, struct.pack("!Q", 1 << 60) + b"[]")
""",
    ),
    _wait(
        "line-number",
        "a line number far outside the file",
        """
send({"op": "value", "tensor": "h", "line": -(10**12), "trials": {"0": {"value": {"kind": "stub"}}}})
""",
    ),
    _wait(
        "forward-differs",
        "line numbers of a forward pass that is not there",
        """
send({"op": "done", "forward_differs": ["x", None, [1], {"a": 2}, -5, 10**30]})
""",
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    Attack(
        "forge-all-descriptors",
        "every open descriptor written to",
        """
import os, json, struct
def forge():
    words = json.dumps({"op": "done"}).encode()
    for number in range(3, 64):
        try:
            os.write(number, struct.pack("!i", len(words)) + words)
        except OSError:
            pass
    return torch.zeros_like(h)
dh = forge()
""",
        sandbox=(STOPPED, STOPPED, STOPPED),
        seconds=2,
    ),
    Attack(
        "forge-stdout",
        "the report's own stream, written through /proc",
        """
def forge():
    with open("/proc/@JUDGE@/fd/1", "w") as report:
        report.write('{"schema": 1, "submissions": [{"score": 26, "max_score": 26}]}')
    return torch.zeros_like(h)
dh = forge()
""",
        sandbox=(OPEN, STOPPED, STOPPED),
    ),
    Attack(
        "forge-launcher",
        "the socket over which workers are asked for, looked for in memory",
        """
import gc, socket, os, struct
def forge():
    for found in gc.get_objects():
        if isinstance(found, socket.socket) and found.fileno() >= 0:
            found.sendall(b"1")
    for number in range(3, 64):
        try:
            socket.socket(fileno=os.dup(number)).sendall(b"1")
        except OSError:
            pass
    return torch.zeros_like(h)
dh = forge()
""",
        sandbox=(STOPPED, STOPPED, STOPPED),
        seconds=2,
    ),
    Attack(
        "forge-training-done",
        "a training loop that says it is done after one step without a change",
        FIND + LOOP + "    send({'op': 'done'})\n",
        exercise="makemore/ex4",
        tensor="W2",
        seconds=2,
    ),
    Attack(
        "forge-training-running",
        "a training loop that says for ever that it runs",
        FIND + LOOP + "    while True:\n        send({'op': 'running'})\n",
        exercise="makemore/ex4",
        tensor="W2",
        seconds=1.5,
    ),
    Attack(
        "forge-training-position",
        "a training loop that claims a step far beyond its end",
        FIND + LOOP + "    send({'op': 'step', 'position': 10**400})\n",
        exercise="makemore/ex4",
        tensor="W2",
        seconds=1.5,
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
)
