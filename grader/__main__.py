"""`python -m grader` is `dojo`."""

from grader.cli.main import main

main()
