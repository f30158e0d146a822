"""Monitoring: plain dictionaries. A counter is read, added to and stored; values are kept in lists, all of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from coresys.system_records import Distribution, ErrorRecord, MonitoringSnapshot, TransitionRecord

if TYPE_CHECKING:
    from coresys.interfaces import IMonitoringManager


class DictionaryMonitoring:
    """Figures by name and component."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str], float] = {}
        self._gauges: dict[tuple[str, str], float] = {}
        self._values: dict[tuple[str, str, str], list[float]] = {}

    def transition_made(self, record: TransitionRecord, *, seconds: float, seconds_in_source: float) -> None:
        """One more, and how long it took."""
        self.count("state.transitions", component=record.table)
        self.record("state.transition_time", seconds, unit="seconds", component=record.table)

    def error_seen(self, record: ErrorRecord) -> None:
        """One more."""
        self.count("errors.seen", component=record.component)

    def count(self, name: str, value: float = 1, *, component: str = "") -> None:
        """Read, add, store."""
        key = (name, component)
        self._counters[key] = self._counters.get(key, 0) + value

    def gauge(self, name: str, value: float, *, component: str = "") -> None:
        """Store."""
        self._gauges[name, component] = value

    def record(self, name: str, value: float, *, unit: str, component: str = "") -> None:
        """Onto a list."""
        self._values.setdefault((name, component, unit), []).append(value)

    def snapshot(self) -> MonitoringSnapshot:
        """What is there."""
        return MonitoringSnapshot(
            time.time(),
            tuple((*key, value) for key, value in list(self._counters.items())),
            tuple((*key, value) for key, value in list(self._gauges.items())),
            tuple(
                Distribution(name, component, unit, len(values), sum(values), min(values), max(values))
                for (name, component, unit), values in list(self._values.items())
            ),
        )


def make() -> DictionaryMonitoring:
    """The subject."""
    return DictionaryMonitoring()


if TYPE_CHECKING:
    _check: type[IMonitoringManager] = DictionaryMonitoring
