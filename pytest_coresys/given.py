"""Files that options and the configuration name, found from wherever this process runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_coresys.criteria.loading import chosen
from pytest_coresys.criteria.model import CriteriaFile, NamedFile
from pytest_coresys.measures import Measure

_OPTION = "--coresys-criteria"


def given_file(config: pytest.Config, path: str) -> Path:
    """A file that an option names. A worker on another machine has the root of the run somewhere else."""
    here = config.invocation_params.dir / path
    return config.rootpath / path if hasattr(config, "workerinput") and not here.exists() else here


def criteria_of(config: pytest.Config, configured: NamedFile | None, measures: Mapping[str, Measure]) -> CriteriaFile:
    """The criteria of this run: those of the option, else those that the configuration names, from the folder that it
    is in, else those that are built in. Raises ConfigError."""
    path = config.getoption("coresys_criteria")
    named = configured if path is None else NamedFile(path, _OPTION)
    return chosen(
        named,
        measures,
        lambda each: given_file(config, each.path) if each.origin == _OPTION else config.rootpath / each.path,
    )
