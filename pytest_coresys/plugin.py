"""Entry point: options, markers, hooks, registration. Loaded in every run of every project: imports nothing heavy."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_coresys.fixtures import (
    buffer_pool,
    cleanup_manager,
    component_manager,
    coresys,
    coresys_criteria,
    error_manager,
    monitoring_manager,
    resource_manager,
    state_manager,
    testing_coordinator,
    thread_manager,
)
from pytest_coresys.options import INI_BUDGETS, MARKERS, add_options, joined


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_coresys import hookspecs  # names only: a conftest may implement them whether we measure or not

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before capturing begins
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    options, given = early_config.known_args_namespace, early_config.invocation_params.args
    if (options.coresys_budget or options.coresys_observe) and (better := joined(given)) != list(given):
        from pytest_coresys.restart import restart_if_root_moved

        restart_if_root_moved(early_config, better)
    if options.coresys_budget or options.coresys_observe:
        from pytest_coresys.imports import unrewritten

        with unrewritten():
            from coresys.threads.watching.install import install, uninstall

        install()  # before any conftest, and what it imports, makes a lock
        early_config.add_cleanup(uninstall)
    yield


def pytest_configure(config: pytest.Config) -> None:
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    measures = config.getoption("coresys_budget") or config.getoption("coresys_observe")
    # The others may stand in addopts. Who waits for a file, a soak, or for a gate to close, would wait in vain.
    for option, given in (
        ("json", None),
        ("report", None),
        ("soak", None),
        ("require-measured", []),
        ("update-baseline", False),
        ("ci", []),
    ):
        if config.getoption(f"coresys_{option.replace('-', '_')}") not in (None, given) and not measures:
            needed = "add --coresys-budget or --coresys-observe"
            raise pytest.UsageError(f"--coresys-{option} belongs to a measuring run: {needed}")
    if measures or config.getoption("coresys_explain") is not None:
        from pytest_coresys.imports import unrewritten

        with unrewritten():
            from pytest_coresys.session import open_session  # heavy, and only wanted now

        open_session(config)


def pytest_collection_finish(session: pytest.Session) -> None:
    # Keywords may have the name for another reason: asked first, for they are told at once.
    if any("coresys_isolated" in item.keywords for item in session.items):
        if session.config.pluginmanager.has_plugin("coresys-isolation"):
            return
        from pytest_coresys.imports import unrewritten

        with unrewritten():
            from pytest_coresys.isolation import open_isolation  # heavy, and only wanted now

        open_isolation(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {}).get("coresys_isolated")  # a crashed worker has none
    if told is not None:
        from pytest_coresys.isolation import tell_in_the_end

        tell_in_the_end(node.config, *told)


__all__ = [
    "INI_BUDGETS",
    "buffer_pool",
    "cleanup_manager",
    "component_manager",
    "coresys",
    "coresys_criteria",
    "error_manager",
    "monitoring_manager",
    "pytest_addhooks",
    "pytest_addoption",
    "pytest_collection_finish",
    "pytest_configure",
    "pytest_load_initial_conftests",
    "pytest_testnodedown",
    "resource_manager",
    "state_manager",
    "testing_coordinator",
    "thread_manager",
]
