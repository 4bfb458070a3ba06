"""The zip of the autograder that is uploaded to Gradescope: `dojo gradescope`.

It holds setup.sh, run_autograder, a wheel of this package, the versions of what it needs as they are here, and what was
asked for. The wheel carries the exercises and never the solutions. In a clone hatchling builds it; an installed package
is packed again from its files.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from grader.base.errors import DojoError
from grader.base.files import told_if_unwritable
from grader.report.assignment import read_assignment
from grader.report.points import read_points

_ROOT = Path(__file__).resolve().parents[2]
_SCRIPTS = Path(__file__).resolve().parent / "autograder"
_NAME = "backprop-dojo"
_RUN = "run_autograder"
_OF_PIP = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What pip writes beside a package that it installs."""


def write_autograder(
    target: Path,
    options: Sequence[str],
    points: Path | None = None,
    torch_index: str | None = None,
    assignment: Path | None = None,
) -> None:
    """Write the zip.

    `options` go to `dojo grade`, `points` is a TOML file with [tool.dojo.points], `assignment` one with
    [tool.dojo.assignment], and `torch_index` the address of an index of PyTorch builds for the CPU.

    Raises:
        DojoError: `points` or `assignment` is not such a file, the wheel or the zip cannot be written, or something
            else stands where the zip is to be.
    """
    if target.is_file() and not _is_autograder(target):
        raise DojoError(f"{target}: is there, and is no autograder; name another file to write to")
    given = ["--isolation", "highest", *options]
    files: dict[str, Path] = {}
    for option, path, read in (("points", points, read_points), ("assignment", assignment, read_assignment)):
        if path is not None:
            read(path)
            given += [f"--{option}", f"{option}.toml"]
            files[f"{option}.toml"] = path
    with tempfile.TemporaryDirectory() as folder:
        wheel = _wheel(Path(folder))
        files[wheel.name] = wheel
        with told_if_unwritable(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with ZipFile(target, "w", ZIP_DEFLATED) as file:
                for name, path in files.items():
                    file.write(path, name)
                file.writestr("constraints.txt", "".join(f"{name}=={here}\n" for name, here in _versions().items()))
                file.writestr("options.txt", "".join(f"{option}\n" for option in given))
                if torch_index is not None:
                    file.writestr("torch-index.txt", f"{torch_index}\n")
                for name in ("setup.sh", _RUN):
                    entry = ZipInfo(name)
                    entry.external_attr = 0o755 << 16
                    file.writestr(entry, (_SCRIPTS / name).read_bytes(), ZIP_DEFLATED)


def _is_autograder(path: Path) -> bool:
    try:
        with ZipFile(path) as file:
            return _RUN in file.namelist()
    except BadZipFile:
        return False


def _versions() -> dict[str, str]:
    """What this package needs, and what that needs, in the versions that are here; no builds of one's own."""
    found: dict[str, str] = {}
    waiting = [_NAME, "pyseccomp", "sandlock"]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        try:
            package = distribution(name) if name not in found else None
        except PackageNotFoundError:
            continue
        if package is not None:
            found[name] = package.version.partition("+")[0]  # torch 2.13.0+cpu is 2.13.0 in an index
            needed = (line for line in package.requires or () if "extra ==" not in line)
            waiting += [re.split(r"[^\w.-]", line)[0] for line in needed]
    found.pop(_NAME, None)
    return {name: version for name, version in sorted(found.items()) if "dev" not in version}


def _wheel(folder: Path) -> Path:
    """A wheel of the package that runs, made without a download."""
    installed = next(iter(distributions(name=_NAME, path=[str(_ROOT)])), None)
    if installed is not None:
        return _packed_again(installed, folder)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    ran = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    if ran.returncode:
        said = ran.stderr.strip().split("\n")[-1]
        raise DojoError(f"the wheel cannot be built ({said}); in a clone that takes hatchling: pip install hatchling")
    (wheel,) = folder.glob("*.whl")
    return wheel


def _packed_again(installed: Distribution, folder: Path) -> Path:
    """The wheel that this package was installed from: the files that pip lists as its own, but for pip's."""
    kept = [
        path
        for path in installed.files or ()
        if (path.parts[0] == "grader" and path.suffix != ".pyc")
        or (path.parts[0].endswith(".dist-info") and path.name not in _OF_PIP)
    ]
    home = next((path.parts[0] for path in kept if path.name == "WHEEL"), None)
    if home is None:
        raise DojoError(f"pip keeps no list of the files in {_ROOT}; install {_NAME} again with pip")
    wheel = folder / f"{home.removesuffix('.dist-info')}-py3-none-any.whl"
    record = []
    with ZipFile(wheel, "w", ZIP_DEFLATED) as file:
        for path in kept:
            content = path.read_binary()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{path.as_posix()},sha256={digest},{len(content)}\n")
            file.writestr(path.as_posix(), content)
        file.writestr(f"{home}/RECORD", "".join([*record, f"{home}/RECORD,,\n"]))
    return wheel
