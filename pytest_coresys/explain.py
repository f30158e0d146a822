"""``--coresys-explain``: where the value of a key comes from, for each collected test; none is run."""

from __future__ import annotations

import pytest

from pytest_coresys.config.errors import ConfigError
from pytest_coresys.config.resolve import Settings
from pytest_coresys.engine.plan import Planner
from pytest_coresys.items import path_of, plan_of


class Explaining:
    """Registered in place of a measuring session. Collects in this process: workers could show nothing."""

    def __init__(self, config: pytest.Config, key: str, settings: Settings, planner: Planner) -> None:
        self._config, self._key, self._settings, self._planner = config, key, settings, planner
        if hasattr(config.option, "tx"):  # what xdist reads, after us
            config.option.dist, config.option.tx = "no", []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        try:
            self._settings.explain(self._key, "", ())  # by now each plugin has brought its measures
        except ConfigError as error:
            raise pytest.UsageError(f"coresys: {error}") from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.ensure_newline()
            for item in session.items:
                terminal.write_line(item.nodeid)
                for line in self._told(item):
                    terminal.write_line(f"  {line}")
        return True

    def _told(self, item: pytest.Item) -> list[str]:
        plan = plan_of(item, self._planner, self._config.hook.pytest_coresys_budgets.get_hookimpls())
        if plan.problem:
            return [plan.problem]
        told = self._settings.explain(
            self._key, path_of(item), plan.mark_names, plan.marker_budgets, plan.plugin_budgets
        )
        skipped = plan.skipped.get(self._key)
        return [*told, *([f"not measured: {skipped}"] if skipped else [])]
