"""Where the exercises and the data lie: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

from grader.base.errors import DojoError

_PACKAGE = Path(__file__).resolve().parents[1]


def bundled(name: str) -> Path:
    """The folder `name` ("exercises", "data", "solutions") that belongs to this installation.

    Raises:
        DojoError: this installation has no such folder (a wheel carries no solutions).
    """
    for root in (_PACKAGE.parent, _PACKAGE / "bundle"):
        if (root / name).is_dir() and (root is not _PACKAGE.parent or (root / "pyproject.toml").is_file()):
            return root / name
    raise DojoError(f"this installation has no {name}/ folder; clone the repository to get it")
