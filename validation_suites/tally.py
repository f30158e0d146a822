"""A monitoring manager that keeps what it was told, one by one: what is compared with what another one counted."""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import TYPE_CHECKING

from coresys.system_records import ErrorRecord, MonitoringSnapshot, TransitionRecord

if TYPE_CHECKING:
    from coresys.interfaces import IMonitoringManager


class Tally:
    """Notes every transition and every error, and passes all on to ``inner``. Appending to a list needs no lock."""

    def __init__(self, inner: IMonitoringManager | None = None) -> None:
        self._inner = inner
        self.transitions: list[tuple[str, int]] = []
        self.errors: list[ErrorRecord] = []

    def transition_made(self, record: TransitionRecord, *, seconds: float, seconds_in_source: float) -> None:
        """Noted by machine and number."""
        self.transitions.append((record.machine, record.sequence))
        if self._inner is not None:
            self._inner.transition_made(record, seconds=seconds, seconds_in_source=seconds_in_source)

    def error_seen(self, record: ErrorRecord) -> None:
        """Noted."""
        self.errors.append(record)
        if self._inner is not None:
            self._inner.error_seen(record)

    def count(self, name: str, value: float = 1, *, component: str = "") -> None:
        """Passed on."""
        if self._inner is not None:
            self._inner.count(name, value, component=component)

    def gauge(self, name: str, value: float, *, component: str = "") -> None:
        """Passed on."""
        if self._inner is not None:
            self._inner.gauge(name, value, component=component)

    def record(self, name: str, value: float, *, unit: str, component: str = "") -> None:
        """Passed on."""
        if self._inner is not None:
            self._inner.record(name, value, unit=unit, component=component)

    def snapshot(self) -> MonitoringSnapshot:
        """That of the other one."""
        return MonitoringSnapshot(time()) if self._inner is None else self._inner.snapshot()


def counted(snapshot: MonitoringSnapshot, name: str, components: Sequence[str] | None = None) -> float:
    """What a counter has come to, of all its components or of some."""
    found = ((component, value) for counter, component, value in snapshot.counters if counter == name)
    return sum(value for component, value in found if components is None or component in components)


def missed_or_doubled(what: str, told: Sequence[object], expected: Sequence[object]) -> list[str]:
    """Of what was to be told once each: what was not told, and what was told again; a line for each."""
    left = dict.fromkeys(expected, 1)
    faults = []
    for each in told:
        if left.get(each, 0) != 1:
            faults.append(f"{what} {each} was told {'again' if each in left else 'and is unknown'}")
        left[each] = 0
    return faults + [f"{what} {each} was not told" for each, missing in left.items() if missing == 1]


if TYPE_CHECKING:
    _check: type[IMonitoringManager] = Tally
