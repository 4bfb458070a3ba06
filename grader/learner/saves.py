"""Notice that a file was saved, and read it once it is whole. Needs no torch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.base.errors import DojoError
from grader.base.files import FileStamp, file_stamp, read_text
from grader.reading.submission import submission_files
from grader.syntax.source import Source, read_source

QUIET_MS = 3
"""A save counts as done when no event came for this long; editors write in pieces within a millisecond."""

TICK_MS = 50
"""How often keys are read while no file changes."""

LOOK_SECONDS = 0.5
"""How often the files themselves are looked at: network folders and re-created folders send no events."""

SETTLE_SECONDS = 0.25
"""How long a text that looks half-written must stay the same before it is taken as it is."""

GONE_SECONDS = 0.6
"""How long a file may be away before it is called gone; editors delete and re-create."""


@dataclass(frozen=True)
class Reading:
    """A file as it was read: its text, and its stamp just before, by which a later change is noticed."""

    stamp: FileStamp
    text: str
    source: Source


@dataclass
class Files:
    """The files below the paths that are watched."""

    paths: Sequence[Path]
    stamps: dict[Path, FileStamp] = field(default_factory=dict)

    def changed(self) -> list[Path]:
        """Files that are new, other than before, or gone, since the last call."""
        found: dict[Path, FileStamp] = {}
        for path in self.paths:
            with contextlib.suppress(DojoError):  # gone or empty for now
                found.update((file, file_stamp(file)) for file in submission_files(path))
        for known in self.stamps:
            found.setdefault(known, file_stamp(known))
        differing = [file for file, stamp in found.items() if stamp != self.stamps.get(file)]
        self.stamps = found
        return differing

    def folders(self) -> list[Path]:
        """Folders to watch: a file itself is left behind by an editor that writes by rename."""
        return sorted({path.parent for path in self.stamps} | {path for path in self.paths if path.is_dir()})


def events(folders: Sequence[Path]) -> Iterator[bool]:
    """True for a change in one of the folders; False now and then, so that keys are read."""
    import watchfiles

    # Where the system gives no events (no watches left), the regular look at the files has to do.
    with contextlib.suppress(OSError, RuntimeError):
        for changes in watchfiles.watch(
            *folders,
            watch_filter=None,
            debounce=10 * QUIET_MS,
            step=QUIET_MS,
            rust_timeout=TICK_MS,
            yield_on_timeout=True,
            recursive=False,
        ):
            yield bool(changes)
    while True:
        time.sleep(TICK_MS / 1000)
        yield False


def read_when_whole(path: Path, before: str | None) -> Reading | None:
    """The file once it is whole; None where it is gone.

    A text that parses and still has its old end is taken at once. Any other may be half-written: it is read
    again until it stays the same for a while, and taken as it is then.

    Raises:
        DojoError: it is still unreadable then (empty, not UTF-8, not a notebook).
    """
    last: str | None = None
    since = time.monotonic()
    while True:
        stamp, now = file_stamp(path), time.monotonic()
        text, source, problem = _try_to_read(path)
        if text is not None and source is not None and _looks_whole(text, source, before):
            return Reading(stamp, text, source)
        if text != last:
            last, since = text, now
        patience = GONE_SECONDS if text is None else SETTLE_SECONDS
        if now - since >= patience:
            if text is None and not path.exists():
                return None
            if problem is not None:
                raise problem
            if text is not None and source is not None:
                return Reading(stamp, text, source)
        time.sleep(0.02)


def _try_to_read(path: Path) -> tuple[str | None, Source | None, DojoError | None]:
    try:
        text = read_text(path)
    except DojoError as error:
        return None, None, error
    try:
        return text, read_source(path), None
    except DojoError as error:
        return text, None, error


def _looks_whole(text: str, source: Source, before: str | None) -> bool:
    """False where lines do not parse, or the last line that the file had is not its last any more."""
    if source.bad_lines:
        return False
    return before is None or _last_line(text) == _last_line(before)


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2]
