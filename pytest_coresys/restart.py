"""A value of ours that is a path is no path of tests: pytest, which knows our options too late, may take it for one.

pytest chooses its root and its configuration before it loads plugins, by the arguments that name something that exists.
The value of ``--coresys-json run.json`` is one of them from the second run on, and the run would be that of another
project: with other ids, without the budgets of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import pytest

from pytest_coresys.engine.runner import root_for


def restart_if_root_moved(config: pytest.Config, better: Sequence[str]) -> None:
    """Start pytest again with ``better`` arguments, our options as ``--option=value``, if that changes root or ini.

    Nothing has been run yet, nor any conftest loaded; the process stays the same. Only where it is a program of its
    own: who calls ``pytest.main()`` gets what pytest makes of the arguments.
    """
    given = list(config.invocation_params.args)
    if sys.argv[1:] != given or os.name != "posix":
        return
    if root_for(config) in (None, (config.rootpath, config.inipath)):
        return
    command = _command(better, len(given))
    if command is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, command)


def _command(arguments: Sequence[str], given: int) -> list[str] | None:
    """The command of this process with these arguments in the place of those that were given."""
    head = sys.orig_argv[: len(sys.orig_argv) - given]
    if not sys.executable or not head or sys.orig_argv[len(head) :] != sys.argv[1:]:
        return None
    return [sys.executable, *head[1:], *arguments]
