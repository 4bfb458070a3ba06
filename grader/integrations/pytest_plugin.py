"""pytest plugin: `pytest --dojo PATH...` makes each exercise file a module and each gradient a test.

Every pytest of an environment loads this module, so it imports nothing but pytest, and without --dojo it does nothing.
With --dojo nothing that is graded is imported or run by pytest: no script, no conftest.py, no __init__.py. Submissions
are read; their statements run in the grader's own processes.
"""

from __future__ import annotations

import copy
import os
import shlex
import warnings

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """pytest's hook: the options `--dojo` and `--dojo-...`."""
    group = parser.getgroup("dojo", "Backprop Dojo")
    group.addoption("--dojo", action="store_true", help="grade submissions, each gradient as a test; nothing else runs")
    group.addoption("--dojo-exercise", metavar="ID", help="this exercise only, such as ex1")
    group.addoption("--dojo-as", metavar="ID", help="read each file as this exercise")
    group.addoption("--dojo-assignment", metavar="FILE", help="a TOML file with [tool.dojo.assignment]")
    group.addoption("--dojo-seed", metavar="N", type=int, help="repeat the grading with this seed")
    group.addoption("--dojo-isolation", metavar="LEVEL", default="basic", help="basic, partial, full or highest")
    group.addoption("--dojo-require-isolation", metavar="LEVEL", help="refuse to grade below this isolation level")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser) -> None:
    """pytest's hook: with `--dojo` no conftest.py and no foreign settings are read."""
    if early_config.known_args_namespace.dojo:
        if pytest.version_tuple < (8, 0):
            raise pytest.UsageError("pytest --dojo needs pytest 8.0 or newer")
        early_config.known_args_namespace.noconftest = True
        _refuse_foreign_settings(early_config, parser)


def pytest_configure(config: pytest.Config) -> None:
    """pytest's hook: with `--dojo`, collect submissions and nothing else."""
    if config.getoption("--dojo"):
        from grader.base.errors import DojoError
        from grader.integrations.pytest_nodes import Grading

        try:
            grading = Grading(config)
        except DojoError as error:
            raise pytest.UsageError(str(error)) from None
        config.pluginmanager.register(grading, "dojo-grading")


def _refuse_foreign_settings(config: pytest.Config, parser: pytest.Parser) -> None:
    """A pytest.ini beside submissions may be theirs, and its addopts could change this run or write files.

    Its addopts may name it with -c too: so only what the caller wrote counts.
    """
    called = [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *map(str, config.invocation_params.args)]
    named = parser.parse_known_args(called, namespace=copy.copy(config.option)).inifilename
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pytest 9 asks for getini(), which does not tell a default from a setting
        settings = dict(config.inicfg)
    if settings and not named:
        raise pytest.UsageError(
            f"{config.inipath}: would set up this run, and may be a submission's; if it is yours, name it with "
            f"-c {config.inipath}"
        )
