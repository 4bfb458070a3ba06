"""What strangers put into the archive or the folder that `dojo batch` takes. In each, Anna's answer is right."""

from __future__ import annotations

import io
import os
import stat
import unicodedata
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.answers.build import LINES
from tests.attacks.attack import HARMLESS, STOPPED, Attack, Places, Result
from tests.attacks.corpus.shown import BIDI, ESCAPES, MARKUP

RIGHT = LINES["dh"] + "\n"
WRONG = "dh = h * 0\n"
Lay = Callable[[zipfile.ZipFile, Places], None]


def _archive(name: str, title: str, lay: Lay, result: Result = HARMLESS, seconds: float = 5.0) -> Attack:
    def make(folder: Path, places: Places) -> Path:
        path = folder / "submissions.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("anna/ex1.py", RIGHT)
            archive.writestr("bert/ex1.py", WRONG)
            lay(archive, places)
        return path

    return Attack(f"zip-{name}", title, make=make, guards=result, sandbox=(result,) * 3, seconds=seconds)


def _folder(name: str, title: str, lay: Callable[[Path, Places], None], result: Result = HARMLESS) -> Attack:
    def make(folder: Path, places: Places) -> Path:
        path = folder / "submissions"
        for name, text in (("anna", RIGHT), ("bert", WRONG), ("mallory", "")):
            (path / name).mkdir(parents=True)
            if text:
                (path / name / "ex1.py").write_text(text)
        lay(path, places)
        return path

    return Attack(f"folder-{name}", title, make=make, guards=result, sandbox=(result,) * 3)


def _member(name: str, text: str | bytes = WRONG, *, mode: int = 0) -> Lay:
    def lay(archive: zipfile.ZipFile, places: Places) -> None:
        info = zipfile.ZipInfo(places.fill(name))
        info.external_attr = (mode or stat.S_IFREG | 0o644) << 16
        archive.writestr(info, places.fill(text) if isinstance(text, str) else text, zipfile.ZIP_DEFLATED)

    return lay


def _twice(archive: zipfile.ZipFile, places: Places) -> None:
    archive.writestr("mallory/ex1.py", WRONG)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        archive.writestr("mallory/ex1.py", RIGHT)


def _encrypted(archive: zipfile.ZipFile, places: Places) -> None:
    archive.writestr("mallory/ex1.py", WRONG)
    archive.filelist[-1].flag_bits |= 1


def _lying_size(archive: zipfile.ZipFile, places: Places) -> None:
    archive.writestr("mallory/ex1.py", "#" * 100_000_000)
    archive.filelist[-1].file_size = 10


def _nested(archive: zipfile.ZipFile, places: Places) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as within:
        within.writestr("mallory/ex1.py", "#" * 50_000_000)
    archive.writestr("mallory/more.zip", inner.getvalue())


def _same_name(archive: zipfile.ZipFile, places: Places) -> None:
    for name in ("ANNA", "anna ", unicodedata.normalize("NFKC", "ａnna") + "\u200b"):
        archive.writestr(f"{name}/ex1.py", WRONG)


def _loop(path: Path, places: Places) -> None:
    (path / "mallory" / "again").symlink_to(path)
    (path / "mallory" / "self").symlink_to("self")


ATTACKS = (
    _archive(
        "slip", "a member that climbs out of the archive", _member("../../canary/canary.txt", "was here"), STOPPED
    ),
    _archive("slip-script", "a script that climbs into another's folder", _member("mallory/../anna/ex1.py"), STOPPED),
    _archive("absolute", "a member with an absolute path", _member("@CANARY@", "was here"), STOPPED),
    _archive("drive", "a member on a Windows drive", _member("C:\\mallory\\ex1.py"), STOPPED),
    _archive("backslash", "a member that climbs with backslashes", _member("mallory\\..\\..\\ex1.py"), STOPPED),
    _archive(
        "link",
        "a link to another person's answer",
        _member("mallory/ex1.py", "../anna/ex1.py", mode=stat.S_IFLNK | 0o777),
        STOPPED,
    ),
    _archive(
        "link-secret",
        "a link to a secret file, in an archive",
        _member("mallory/ex1.py", "@SECRET@", mode=stat.S_IFLNK | 0o777),
        STOPPED,
    ),
    _archive("device", "a member that is a device", _member("mallory/ex1.py", mode=stat.S_IFCHR | 0o666)),
    _archive("twice", "one name twice, with other content", _twice, STOPPED),
    _archive("encrypted", "a member that asks for a password", _encrypted, STOPPED),
    _archive("bomb", "100 MB that come out of 100 kB", _member("mallory/ex1.py", b"#" * 100_000_000), STOPPED),
    _archive("lying-size", "a member that says it is smaller than it is", _lying_size, STOPPED),
    _archive("nested", "an archive in the archive, a bomb", _nested, STOPPED),
    _archive("same-name", "people whose names look like Anna's", _same_name),
    _archive("name-escapes", "terminal escapes in a person's name", _member(f"{ESCAPES}/ex1.py")),
    _archive("name-markup", "HTML and a line end in a person's name", _member(f"{MARKUP.replace('/', '')}\nx/ex1.py")),
    _archive("name-bidi", "a person's name that turns the direction of text", _member(f"mallory{BIDI}/ex1.py")),
    _archive("name-result", "a person's name that is a path", _member("..%2f..%2fcanary/ex1.py")),
    _archive("deep", "a thousand folders inside each other", _member("mallory/" + "a/" * 1000 + "ex1.py")),
    _folder(
        "link",
        "a link to another person's answer, in a folder",
        lambda p, _: (p / "mallory/ex1.py").symlink_to("../anna/ex1.py"),
        STOPPED,
    ),
    _folder(
        "link-folder",
        "a link to another person's folder",
        lambda p, _: (p / "mallory/work").symlink_to("../anna"),
        STOPPED,
    ),
    _folder(
        "link-secret",
        "a link to a secret file, in a folder",
        lambda p, s: (p / "mallory/ex1.py").symlink_to(s.values["SECRET"]),
        STOPPED,
    ),
    _folder("link-loop", "links that lead back into the folder", _loop, STOPPED),
    _folder("fifo", "a pipe, which never ends, in a folder", lambda p, _: os.mkfifo(p / "mallory/ex1.py"), STOPPED),
    _folder(
        "hard-link",
        "a second name for another person's file",
        lambda p, _: os.link(p / "anna/ex1.py", p / "mallory/notes.txt"),
        STOPPED,
    ),
)
