"""pytest plugin: `pytest --dojo PATH...` makes each exercise file a module and each gradient a test.

Every pytest of an environment loads this module, so it imports nothing but pytest, and without --dojo it does nothing.
With --dojo nothing that is graded is imported or run by pytest: no script, no conftest.py, no __init__.py. Submissions
are read; their statements run in the grader's own processes.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("dojo", "Backprop Dojo")
    group.addoption("--dojo", action="store_true", help="grade submissions, each gradient as a test; nothing else runs")
    group.addoption("--dojo-exercise", metavar="ID", help="which exercise it is, such as ex1")
    group.addoption("--dojo-seed", metavar="N", type=int, help="repeat the grading with this seed")
    group.addoption("--dojo-isolation", metavar="LEVEL", default="basic", help="basic, partial, full or highest")
    group.addoption("--dojo-require-isolation", metavar="LEVEL", help="refuse to grade below this isolation level")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    if early_config.known_args_namespace.dojo:
        if pytest.version_tuple < (8, 0):
            raise pytest.UsageError("pytest --dojo needs pytest 8.0 or newer")
        early_config.known_args_namespace.noconftest = True
        _refuse_foreign_settings(early_config)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--dojo"):
        from grader.base.errors import DojoError
        from grader.integrations.pytest_nodes import Grading

        try:
            grading = Grading(config)
        except DojoError as error:
            raise pytest.UsageError(str(error)) from None
        config.pluginmanager.register(grading, "dojo-grading")


def _refuse_foreign_settings(config: pytest.Config) -> None:
    """A submission may hold a pytest.ini, whose addopts could change this run, or write files."""
    if config.inipath is None or config.known_args_namespace.inifilename:
        return
    here = config.invocation_params.dir
    folders = [here / argument.split("::")[0] for argument in config.known_args_namespace.file_or_dir]
    if config.inipath.parent != here and any(config.inipath.is_relative_to(f.resolve()) for f in folders):
        raise pytest.UsageError(f"{config.inipath}: lies among the submissions and would set up this run; use -c FILE")
