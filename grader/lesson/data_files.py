"""Which file a data provider reads: the one that comes with the project, or the one that a user chose."""

from __future__ import annotations

import os
from pathlib import Path

from grader.base.bundle import bundled
from grader.base.errors import DojoError

VARIABLES = {"names": "DOJO_NAMES", "digits": "DOJO_DATA", "text": "DOJO_TEXT"}
"""For each provider the environment variable that names another file than the project's own."""

_OWN = {"names": "names.txt", "digits": "digits.csv.gz", "text": "names.txt"}


def chosen(provider: str) -> Path | None:
    """The file that the provider's variable names; None where it is not set.

    Raises:
        DojoError: the variable names nothing that exists.
    """
    variable = VARIABLES[provider]
    value = os.environ.get(variable)
    if not value:
        return None
    try:
        Path(value).stat()
    except OSError as error:
        raise DojoError(f"{variable}={value}: {error.strerror}; correct it or unset it") from None
    return Path(value)


def data_file(provider: str) -> Path:
    """The file that `provider` ("names", "digits" or "text") reads.

    Raises:
        DojoError: as `chosen`, or this installation has no data.
    """
    return chosen(provider) or bundled("data") / _OWN[provider]


def check_chosen() -> None:
    """Read every file that the user chose, so that a bad one is told before any grading.

    Raises:
        DojoError: a file cannot be read as what it is chosen for.
    """
    if chosen("names"):
        from grader.lesson.names import load_names

        load_names()
    if chosen("digits"):
        from grader.lesson.digits import load_digits

        load_digits()
    if chosen("text"):
        from grader.lesson.text import load_text

        load_text()
