"""Hostile file names, and links in the place of files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.attacks.attack import HARMLESS, STOPPED, Attack, Places
from tests.attacks.corpus.shown import BIDI, ESCAPES, MARKUP

WRONG = "dh = h * 0\n"
READ = {"guards": HARMLESS, "sandbox": (HARMLESS, HARMLESS, HARMLESS)}
REFUSED = {"guards": STOPPED, "sandbox": (STOPPED, STOPPED, STOPPED)}


def _name(name: str, title: str, file: str) -> Attack:
    def make(folder: Path, places: Places) -> Path:
        path = folder / file
        path.write_text(WRONG)
        return path

    return Attack(f"name-{name}", title, make=make, **READ)  # type: ignore[arg-type]


def _link(name: str, title: str, lay: Callable[[Path, Places], None], **more: object) -> Attack:
    def make(folder: Path, places: Places) -> Path:
        path = folder / "submission.py"
        lay(path, places)
        return path

    return Attack(f"link-{name}", title, make=make, seconds=3, **{**REFUSED, **more})  # type: ignore[arg-type]


def _loop(path: Path, places: Places) -> None:
    other = path.with_name("other.py")
    other.symlink_to(path)
    path.symlink_to(other)


def _folder(path: Path, places: Places) -> None:
    path.mkdir()


ATTACKS = (
    _name("newline", "a line end in a file's name", "a\nscore: 26 of 26\n.py"),
    _name("escapes", "terminal escapes in a file's name", f"{ESCAPES}.py"),
    _name("markup", "HTML in a file's name", MARKUP.replace("/", "") + ".py"),
    _name("bidi", "characters that turn the direction of text, in a file's name", f"yp.{BIDI}.py"),
    _name("dash", "a name that reads like an option", "--output=owned.py"),
    _name("rich", "the terminal library's markup in a file's name", "[bold red]x[link=a].py"),
    _name("long", "a name of 250 characters", "x" * 247 + ".py"),
    _name("dots", "a name of dots and spaces", ".. ..py.py"),
    _name("commands", "a CI's workflow command as a file's name", "::set-output name=a::b.py"),
    _name("formula", "a spreadsheet's formula as a file's name", '=HYPERLINK("x").py'),
    _name("not-text", "a name that is no text in any encoding", os.fsdecode(b"\xff\xfe\x80.py")),
    _link(
        "passwd",
        "a link to /etc/passwd",
        lambda path, _: path.symlink_to("/etc/passwd"),
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _link(
        "secret",
        "a link to a secret file",
        lambda path, places: path.symlink_to(places.values["SECRET"]),
        sandbox=(STOPPED, STOPPED, STOPPED),
    ),
    _link("loop", "links in a circle", _loop),
    _link("dangling", "a link to nothing", lambda path, _: path.symlink_to("nothing")),
    _link("fifo", "a pipe, which never ends", lambda path, _: os.mkfifo(path)),
    _link("zero", "a link to /dev/zero, which never ends", lambda path, _: path.symlink_to("/dev/zero")),
    _link("random", "a link to /dev/random", lambda path, _: path.symlink_to("/dev/random")),
    _link("terminal", "a link to standard input", lambda path, _: path.symlink_to("/dev/stdin")),
    _link("folder", "a folder named like a script", _folder),
    _link("socket", "a socket named like a script", lambda path, places: os.link(places.values["UNIX"], path)),
    _link(
        "proc",
        "a link to the judge's own memory",
        lambda path, places: path.symlink_to(f"/proc/{places.values['JUDGE']}/mem"),
    ),
)
