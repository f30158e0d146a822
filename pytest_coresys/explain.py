"""``--coresys-explain``: where the value of a key comes from, for each collected test; none is run.

The key may be a measure, the id of a criterion (which tests are evidence for it, by their markers), or ``criteria``.
"""

from __future__ import annotations

import pytest

from pytest_coresys.config.errors import ConfigError
from pytest_coresys.config.resolve import Settings
from pytest_coresys.criteria.model import CriteriaFile
from pytest_coresys.engine.plan import Plan, Planner
from pytest_coresys.items import path_of, plan_of
from pytest_coresys.measures import MEASURES


class Explaining:
    """Registered in place of a measuring session. Collects in this process: workers could show nothing."""

    def __init__(
        self, config: pytest.Config, key: str, settings: Settings, planner: Planner, criteria: CriteriaFile
    ) -> None:
        self._config, self._key, self._settings, self._planner = config, key, settings, planner
        self._criteria = criteria
        if hasattr(config.option, "tx"):  # what xdist reads, after us
            config.option.dist, config.option.tx = "no", []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        if self._is_of_criteria:
            return
        try:
            more = ("criteria", *self._criteria.criteria)
            self._settings.explain(self._key, "", (), more=more)  # by now each plugin has brought its measures
        except ConfigError as error:
            raise pytest.UsageError(f"coresys: {error}") from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.ensure_newline()
            for line in self._of_criteria():
                terminal.write_line(line)
            for item in session.items:
                if not self._is_of_criteria or self._key in self._plan(item).criteria:
                    terminal.write_line(item.nodeid)
                    for line in self._told(item):
                        terminal.write_line(f"  {line}")
        return True

    @property
    def _is_of_criteria(self) -> bool:
        return self._key == "criteria" or (self._key not in MEASURES and self._key in self._criteria.criteria)

    def _of_criteria(self) -> list[str]:
        """Which file the criteria are of, and who says so, where that is asked for, or somebody chose it."""
        file = self._criteria
        if not self._is_of_criteria and file.builtin:
            return []
        # The built-in one is in a file too, of a name that many a team gives to its own.
        lines = ["criteria: the built-in set of coresys" if file.builtin else f"criteria: {file.name} ({file.origin})"]
        if (criterion := file.criteria.get(self._key)) is not None:
            place = "" if criterion.line is None else f" ({file.name}:{criterion.line})"
            limit = "" if criterion.unit == "bool" else f" {criterion.comparison} {criterion.shown_limit}"
            lines.append(f"{criterion.id}: {criterion.statistic}{limit}{place}")
        return lines

    def _plan(self, item: pytest.Item) -> Plan:
        return plan_of(item, self._planner, self._config.hook.pytest_coresys_budgets.get_hookimpls())

    def _told(self, item: pytest.Item) -> list[str]:
        plan = self._plan(item)
        if self._is_of_criteria:
            return ["evidence, by its marker"]
        if plan.problem:
            return [plan.problem]
        told = self._settings.explain(
            self._key, path_of(item), plan.mark_names, plan.marker_budgets, plan.plugin_budgets
        )
        skipped = plan.skipped.get(self._key)
        return [*told, *([f"not measured: {skipped}"] if skipped else [])]
