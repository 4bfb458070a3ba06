"""The data set: a list of given names, its split, and the examples that a network is trained on."""

from __future__ import annotations

import hashlib
import http.client
import random
import re
import urllib.request
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from grader.base.errors import DojoError
from grader.base.files import read_text, regular_file, write_atomically
from grader.base.words import counted
from grader.lesson.data_files import data_file

# numpy and torch are imported inside `build_dataset`: the start-up time of `dojo` is measured, and whoever
# needs only a path or a list of words from here must not wait for them.
if TYPE_CHECKING:
    from torch import Tensor

ALPHABET = "abcdefghijklmnopqrstuvwxyz"

MAKEMORE_URL = "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt"
MAKEMORE_SHA256 = "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"

_FEWEST_NAMES = 10  # from here on 80/10/10 leaves none of the three parts empty
_DOWNLOAD_LIMIT = 1_000_000  # four times the list: a wrong answer from the network cannot fill the memory
_STRANGE = re.compile(r"[^a-z]")


def load_names(path: Path | str | None = None, alphabet: str = ALPHABET) -> list[str]:
    """The names in the file at `path`, in its order; without a path those of DOJO_NAMES, else the project's own.

    A makemore list in the cache is never chosen by itself: the same command must not see other data because of a
    download some time ago. Whoever wants that list sets DOJO_NAMES or passes `cached_makemore_path()`.

    One name a line, in the letters a to z. Names with a letter outside `alphabet` are left out. The list is
    the caller's own and may be changed.

    Raises:
        DojoError: the file is missing, a folder, empty or not UTF-8; a line holds another character or,
            before the last name, nothing; or fewer than 10 names remain, too few for three non-empty parts.
    """
    path = data_file("names") if path is None else Path(path)
    status = regular_file(path)
    return list(_names_in(path, status.st_mtime_ns, status.st_size, alphabet))


# One grading run asks for the same list about eight times. The time and the size in the key notice an edit.
@lru_cache(maxsize=16)
def _names_in(path: Path, mtime_ns: int, size: int, alphabet: str) -> tuple[str, ...]:
    names = _all_names_in(path, mtime_ns, size)
    kept = names if alphabet == ALPHABET else tuple(filter(set(alphabet).issuperset, names))
    if len(kept) < _FEWEST_NAMES:
        count = counted(len(kept), "name") + ("" if kept is names else f" in the letters {alphabet!r}")
        raise DojoError(f"{path}: {count}; a split into 80/10/10 needs at least {_FEWEST_NAMES}")
    return kept


@lru_cache(maxsize=4)
def _all_names_in(path: Path, _mtime_ns: int, _size: int) -> tuple[str, ...]:
    lines = read_text(path).split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DojoError(f"{path}: the file is empty; write one name a line")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise DojoError(f"{path}:{number}: a blank line between names; remove it")
        if strange := _STRANGE.search(line):
            raise DojoError(f"{path}:{number}: {strange[0]!r} is not one of the letters a-z")
    return tuple(lines)


def split_names(words: Sequence[str], seed: int = 42) -> tuple[list[str], list[str], list[str]]:
    """`words` in an order that follows from `seed`, cut into training, validation and test: 80, 10 and 10 %.

    `words` itself keeps its order. With fewer than 10 words a part may be empty.
    """
    shuffled = [words[place] for place in _shuffled_places(len(words), seed)]
    n1, n2 = int(0.8 * len(words)), int(0.9 * len(words))
    return shuffled[:n1], shuffled[n1:n2], shuffled[n2:]


# A shuffle depends on the length and the seed alone, and is most of the cost of a split.
@lru_cache(maxsize=8)
def _shuffled_places(count: int, seed: int) -> tuple[int, ...]:
    places = list(range(count))
    random.Random(seed).shuffle(places)
    return tuple(places)


def build_dataset(words: Sequence[str], block_size: int = 3, alphabet: str = ALPHABET) -> tuple[Tensor, Tensor]:
    """Every example in `words`: X int64 (N, block_size), the contexts, and Y int64 (N,), what follows each.

    N is the number of letters plus the number of words. Index 0 is `.`, which fills the context before a name
    and ends it; index i + 1 is `alphabet[i]`. The examples stand in the order of the words. Both tensors are
    the caller's own.

    Raises:
        DojoError: a word has a letter outside `alphabet`, `alphabet` has a letter twice or a `.`, or
            `block_size` is less than 1.
    """
    import numpy as np
    import torch

    if block_size < 1:
        raise DojoError(f"block_size is {block_size}; a context needs at least 1 character")
    if len({".", *alphabet}) <= len(alphabet):
        raise DojoError(f"alphabet {alphabet!r} has a letter twice, or '.'; every letter needs its own index")

    points = _code_points("".join(words))
    letters = _code_points(alphabet)
    index_of = np.zeros(max(letters.max(initial=0), points.max(initial=0)) + 1, dtype=np.int64)
    index_of[letters] = np.arange(1, len(letters) + 1)
    indices = index_of[points]
    if not indices.all():
        stranger = chr(points[indices.argmin()])
        word = next(word for word in words if stranger in word)
        raise DojoError(f"the name {word!r} has {stranger!r}, which is not in the alphabet {alphabet!r}")

    # All words on one tape, block_size zeros before each and after the last: the first zero after a word is
    # its end, and every example is a window of block_size + 1 on this tape.
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    word_number = np.arange(len(words))
    tape = np.zeros(len(indices) + block_size * (len(words) + 1), dtype=np.int64)
    tape[np.arange(len(indices)) + block_size * (1 + np.repeat(word_number, lengths))] = indices
    starts = np.arange(len(indices) + len(words)) + (block_size - 1) * np.repeat(word_number, lengths + 1)
    contexts = tape[starts[:, None] + np.arange(block_size)]
    return torch.from_numpy(contexts), torch.from_numpy(tape[starts + block_size])


def _code_points(text: str) -> Any:
    import numpy as np

    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype=np.dtype("<u4"))


def cached_makemore_path() -> Path:
    """Where `fetch_makemore_names` keeps the makemore list: in the user's cache. It may not be there."""
    return platformdirs.user_cache_path("backprop-dojo", appauthor=False) / "makemore-names.txt"


def fetch_makemore_names(open_url: Callable[..., Any] = urllib.request.urlopen, timeout: float = 30.0) -> Path:
    """Download the list of the makemore lectures into the cache, unless a valid copy is there; its path.

    `open_url(url, timeout=seconds)` gives a context manager with `read(limit)`. Under its final name there is
    never a part of the list nor a list with another checksum that comes from here.

    Raises:
        DojoError: no network, another checksum, or a cache folder that cannot be written.
    """
    path = cached_makemore_path()
    try:
        if _is_makemore(path.read_bytes()):
            return path
    except OSError:
        pass  # no copy yet, or none that can be read: the download replaces it
    try:
        with open_url(MAKEMORE_URL, timeout=timeout) as response:
            content: bytes = response.read(_DOWNLOAD_LIMIT)
    except (OSError, http.client.HTTPException) as error:
        raise _not_fetched(f"cannot be downloaded from {MAKEMORE_URL} ({_reason(error)})") from None
    if not _is_makemore(content):
        raise _not_fetched(f"from {MAKEMORE_URL} has a wrong sha256 checksum and was not kept")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise _not_fetched(f"cannot be kept in {path.parent} ({_reason(error)})") from None
    return path


def _is_makemore(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == MAKEMORE_SHA256


def _not_fetched(problem: str) -> DojoError:
    return DojoError(f"the makemore list {problem}; the embedded list goes on serving")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
