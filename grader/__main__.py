"""`python -m grader` is `dojo`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder, where strangers' files may lie

from grader.cli.main import console

console()
