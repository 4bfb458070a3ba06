"""What an exception means in a backward pass."""

from __future__ import annotations

import re

_RULES = (
    (
        r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)",
        "The product does not fit: ({0}, {1}) @ ({2}, {3}) needs {1} = {2}.",
    ),
    (
        r"batch2 tensor to be: \[\d+, (\d+)\] but got: \[\d+, (\d+)\]",
        "The product does not fit: (..., {0}) @ (..., {1}, ...) needs {0} = {1}. Is one of them to be transposed?",
    ),
    (
        r"matmul: .*\(size (\d+) is different from (\d+)\)",
        "The product does not fit: (..., {1}) @ ({0}, ...) needs {1} = {0}. Is one of them to be transposed?",
    ),
    (
        r"operands could not be broadcast together with shapes (\(.+?\)) (\(.+?\))",
        "The shapes do not fit: {0} against {1}. Compare the shapes of both operands.",
    ),
    (
        r"Dimension out of range \(expected to be in range of \[-?\d+, (-?\d+)\], but got (-?\d+)\)",
        "There is no dimension {1}: the last one is {0}. A sum without keepdim has one dimension less.",
    ),
    (
        r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)",
        "The shapes do not fit: {0} against {1} in dimension {2}. Compare the shapes of both operands.",
    ),
    (
        r"shape '\[(.+?)\]' is invalid for input of size (\d+)",
        "{1} numbers do not fit into the shape ({0}).",
    ),
    (
        r"(?:unsupported operand type\(s\) for .*'ellipsis'|'ellipsis' object)",
        "It reads a stub that is still `...`.",
    ),
    (
        r"index (-?\d+) is out of bounds for dimension (\d+) with size (\d+)",
        "Index {0} does not exist in dimension {1}, which has {2} entries. Are rows and columns exchanged?",
    ),
    (
        r"unsupported operation: more than one element of the written-to tensor refers to a single memory location",
        "It writes into an expanded tensor, whose elements share memory. Add with + instead, or .clone() first.",
    ),
    (
        r"a leaf Variable that requires grad is being used in an in-place operation",
        "It changes a parameter in place while autograd watches. Write into a tensor of your own.",
    ),
)


def explain_exception(kind: str, text: str) -> str:
    """The exception in the words of the exercise; its own words where no rule knows it."""
    flat = " ".join(text.split())
    for pattern, words in _RULES:
        if found := re.search(pattern, flat):
            sizes = found.groups()
            turned = len(sizes) == 4 and (sizes[0] in sizes[2:] or sizes[1] == sizes[3])
            return words.format(*sizes) + (" Look at what is transposed." if turned else "")
    return f"{kind}: {flat}" if flat else kind
