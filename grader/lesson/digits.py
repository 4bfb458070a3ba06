"""The data of the classifier lessons: handwritten digits as rows of pixels."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from grader.base.errors import DojoError
from grader.base.files import regular_file
from grader.lesson.data_files import data_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]
    Labels = npt.NDArray[np.int64]

CLASSES = 10
_BRIGHTEST = 255
_MOST_BYTES = 200_000_000  # MNIST's training set has 110 MB as CSV


def load_digits(path: Path | str | None = None) -> tuple[Pixels, Labels]:
    """Images of handwritten digits and the digit that each shows.

    The first array is uint8 (N, F), the pixels of one image a row, from 0 (paper) to 16 or 255 (ink); the second
    is int64 (N,), digits from 0 to 9. The project's own file holds 1,797 images of 8 x 8 pixels, so F = 64, with
    ink at 16. `path`, or the file that `--data` or DOJO_DATA names, is a CSV with the label first and then the
    pixels, such as MNIST's with F = 784; a line of titles on top and a name that ends in .gz are fine. Both
    arrays are the caller's own.

    Raises:
        DojoError: it is missing, empty or no regular file, a line has another number of columns than the first, a
            label is not from 0 to 9, or a pixel not from 0 to 255.
    """
    path = data_file("digits") if path is None else Path(path)
    status = regular_file(path)
    if status.st_size > _MOST_BYTES:
        raise DojoError(f"{path}: {status.st_size / 1e6:.0f} MB is too large; at most {_MOST_BYTES / 1e6:.0f} are read")
    pixels, labels = _digits_in(path, status.st_mtime_ns, status.st_size)
    return pixels.copy(), labels.copy()


@lru_cache(maxsize=2)
def _digits_in(path: Path, _mtime_ns: int, _size: int) -> tuple[Pixels, Labels]:
    import numpy as np

    titles = _titles(path)
    if next(islice(_lines(path), titles, None), None) is None:
        raise DojoError(f"{path}: holds no image; a line is a label and its pixels, separated by commas")
    try:
        table = np.loadtxt(path, dtype=np.int16, delimiter=",", comments=None, skiprows=titles, ndmin=2)
    except (ValueError, OSError, EOFError, zlib.error):
        table = np.empty((0, 0), dtype=np.int16)
    labels, pixels = table[:, :1], table[:, 1:]
    right = pixels.size and labels.min() >= 0 and labels.max() < CLASSES
    if not right or pixels.min() < 0 or pixels.max() > _BRIGHTEST:
        raise DojoError(_first_problem(path, titles))
    return pixels.astype(np.uint8), labels[:, 0].astype(np.int64)


def _titles(path: Path) -> int:
    """1 where the file begins with a line of titles, as Kaggle's MNIST does; else 0."""
    first = next(_lines(path), "")
    return int(first[:1].isalpha() or first[:1] == '"')


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from (line.decode("utf-8-sig", errors="replace").rstrip("\r\n") for line in file)
    except (OSError, EOFError, zlib.error) as error:
        raise DojoError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _first_problem(path: Path, titles: int) -> str:
    """A sentence on the first line that is not right."""
    columns = 0
    for number, line in enumerate(islice(_lines(path), titles, None), start=1 + titles):
        fields = line.split(",")
        columns = columns or len(fields)
        if len(fields) != columns or columns < 2:
            return f"{path}:{number}: {len(fields)} columns, not {max(columns, 2)}; a line is a label and its pixels"
        for at, field in enumerate(fields):
            most = _BRIGHTEST if at else CLASSES - 1
            if not (field.strip().isascii() and field.strip().isdigit() and int(field) <= most):
                what = f"pixel {at}" if at else "the label"
                return f"{path}:{number}: {what} is {field.strip()[:20]!r}; give a whole number from 0 to {most}"
    return f"{path}: cannot be read as a table of labels and pixels"
