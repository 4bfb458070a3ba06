"""Values that are no plain gradient: the judge must compare none of them as if it were one."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, STOPPED, Attack

NO_GAIN = (HARMLESS, HARMLESS, HARMLESS)
NOT_MADE = (STOPPED, STOPPED, STOPPED)
"""A worker's torch makes no complex tensor."""

_RIGHT = "dlogits @ W2.T"


def _odd(name: str, title: str, lines: str, **more: object) -> Attack:
    return Attack(f"tensor-{name}", title, lines, **{"guards": HARMLESS, "sandbox": NO_GAIN, **more})  # type: ignore[arg-type]


ATTACKS = (
    _odd("expand", "a view of 10**12 elements", "dh = torch.zeros(1).expand(1_000_000, 1_000_000)"),
    _odd(
        "strides",
        "a view that reads beyond its memory",
        "dh = torch.as_strided(h, (10**6, 10**6), (0, 0))",
        guards=STOPPED,
    ),
    _odd("huge-shape", "a shape of 2**62", "dh = torch.empty(0).expand(2**62, 0)"),
    _odd("many-dimensions", "60 dimensions", "dh = torch.zeros([1] * 60)"),
    _odd("meta", "a tensor without numbers", "dh = h.to('meta')"),
    _odd("sparse", "a sparse tensor", f"dh = ({_RIGHT} * 0).to_sparse()", guards=STOPPED),
    _odd("csr", "a compressed sparse tensor", "dh = torch.zeros_like(h).to_sparse_csr()", guards=STOPPED),
    _odd(
        "mkldnn",
        "a tensor in another library's layout",
        "dh = torch.zeros_like(h).type(torch.FloatTensor).to_mkldnn()",
        guards=STOPPED,
    ),
    _odd(
        "complex",
        "a complex tensor whose real part is right",
        f"dh = torch.complex({_RIGHT}, torch.ones_like(h))",
        guards=STOPPED,
        sandbox=NOT_MADE,
    ),
    _odd(
        "conjugate",
        "a view with the bit for conjugation",
        "dh = torch.complex(h, h).conj().imag",
        guards=STOPPED,
        sandbox=NOT_MADE,
    ),
    _odd(
        "negative-bit",
        "a view with the bit for minus",
        f"dh = torch.complex(h, {_RIGHT}).conj().imag",
        guards=STOPPED,
        sandbox=NOT_MADE,
    ),
    _odd(
        "nested",
        "a nested tensor",
        "dh = torch.nested.nested_tensor(list(h))",
        sandbox=(HARMLESS, HARMLESS, HARMLESS),
        guards=STOPPED,
    ),
    _odd(
        "quantized",
        "a quantized tensor",
        "dh = torch.quantize_per_tensor(h.type(torch.FloatTensor), 0.1, 0, torch.qint8)",
        sandbox=(STOPPED, STOPPED, STOPPED),
        guards=STOPPED,
    ),
    _odd(
        "requires-grad", "zeros that ask for a gradient", "dh = torch.zeros_like(h, requires_grad=True)", guards=STOPPED
    ),
    _odd("zero-size", "no elements", "dh = torch.zeros(0, h.shape[1])"),
    _odd("zero-dim", "no dimensions", "dh = torch.tensor(0.0)"),
    _odd("bool", "a mask", "dh = h == h"),
    _odd("string", "a text that reads like a tensor", "dh = 'tensor(0.)'"),
    _odd("list", "the right numbers as a list", f"dh = ({_RIGHT}).tolist()"),
    _odd("nan", "not a number everywhere", "dh = torch.full_like(h, float('nan'))"),
    _odd("infinity", "infinity everywhere", "dh = torch.full_like(h, float('inf'))"),
    _odd("mixed-nan", "right but for one element that is not a number", f"dh = {_RIGHT}\ndh[0, 0] = float('nan')"),
    _odd("half", "right, in half precision", f"dh = ({_RIGHT}).half()"),
    _odd("integer", "right, rounded to whole numbers", f"dh = ({_RIGHT}).long()"),
    _odd("shape-of-ones", "right numbers of one row, to be broadcast", f"dh = ({_RIGHT})[:1]"),
    _odd(
        "freed",
        "a tensor whose memory was given back",
        "def free():\n    t = torch.zeros_like(h)\n    t.untyped_storage().resize_(0)\n    return t\ndh = free()",
        guards=STOPPED,
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _odd(
        "set-data",
        "a gradient whose memory is another tensor's",
        "def swap():\n    t = torch.zeros_like(h)\n    t.data = h\n    return t\ndh = swap()",
    ),
    _odd("alias", "the very tensor that is put back for another gradient", "dh = dlogits\ndh = dh @ W2.T * 0"),
    _odd(
        "file-tensor",
        "a tensor that reads a file",
        "dh = torch.from_file('@SECRET@', size=8, dtype=torch.uint8)",
        guards=STOPPED,
        sandbox=(HARMLESS, STOPPED, STOPPED),
    ),
)
