"""The monitoring manager: counters, gauges, distributions, alarms and a sampler behind one interface."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

from coresys.clock import MonotonicClock, WallClock
from coresys.monitoring.alarms import Alarms, Receive, Threshold
from coresys.monitoring.counters import OTHERS, Counters, Gauges, SeriesNames
from coresys.monitoring.growth import LIMIT
from coresys.monitoring.histogram import Histogram
from coresys.monitoring.samplers import Sampler, Source
from coresys.monitoring.series import Series
from coresys.monitoring.sources import DescriptorSource, FragmentationSource, GrowthSource, MemorySource, ProcessSource
from coresys.system_records import ErrorRecord, GrowthVerdict, MonitoringSnapshot, TransitionRecord
from coresys.threads.atomics import AtomicCounter, AtomicFlag

if TYPE_CHECKING:
    from types import TracebackType

    from coresys.interfaces import IMonitoringManager

log = logging.getLogger("coresys.monitoring")


class MonitoringManager:
    """Takes note of what happens, and samples what this process uses. What a method promises is said in
    ``IMonitoringManager``.

    >>> from coresys.monitoring import MonitoringManager, Threshold
    >>> with MonitoringManager() as monitoring:
    ...     monitoring.alarm(Threshold("queue.depth", above=100), lambda alarm: print("alarm:", alarm.value))
    ...     monitoring.count("orders.served", component="web")
    ...     monitoring.record("orders.delay", 0.25, unit="seconds", component="web")
    ...     monitoring.gauge("queue.depth", 120)
    ...     monitoring.check()
    alarm: 120
    >>> found = monitoring.snapshot()
    >>> found.counters, found.distributions[0].most
    ((('orders.served', 'web', 1),), 0.25)

    ``sources`` are read ``rate`` times a second once it is started (``start``); by default nothing is, and
    ``process_sources`` makes the usual ones. Where memory is among them, its growth is judged against ``growth_limit``
    in bytes per hour, once a minute: that is the gauge ``memory.growth_rate``, where the verdict is clear.
    ``kept`` readings of each are kept. ``names`` bounds the names of each kind (counters, gauges, distributions),
    ``components`` those of each name. ``clock`` is what samples, alarms and snapshots are dated by.
    Alarms are told by the sampler, or by ``check`` where none runs.
    """

    def __init__(
        self,
        *,
        sources: Iterable[Source] = (),
        rate: float = 10.0,
        names: int = 500,
        components: int = 100,
        growth_limit: float = LIMIT,
        kept: int = 6000,
        clock: WallClock | None = None,
    ) -> None:
        clock = MonotonicClock() if clock is None else clock
        self._now, self._time = clock.now, clock.time
        self._left_out = AtomicCounter()
        self._names = tuple(SeriesNames(names, components, self._left_out) for _ in range(3))
        self._counters, self._gauges = Counters(self._names[0]), Gauges(self._names[1])
        self._histograms: dict[tuple[str, str, str], Histogram] = {}
        self._refused = AtomicCounter()
        self._said_left_out = AtomicFlag()
        self._alarms = Alarms(clock=clock, components=components)
        self._sampler = Sampler(sources, rate=rate, kept=kept, clock=clock, seen=self._sampled, after=self.check)
        self._growth: GrowthSource | None = None
        if "memory.in_use" in self._sampler.names and "memory.growth_rate" not in self._sampler.names:
            self._growth = GrowthSource(self._sampler.series("memory.in_use"), limit=growth_limit)
            self._sampler.add(self._growth)

    # -- being told: never raises, waits, or calls back --------------------------------------------------------------

    def count(self, name: str, value: float = 1, *, component: str = "") -> None:
        """Add to a counter, which only grows."""
        self._counters.add(name, value, component)

    def gauge(self, name: str, value: float, *, component: str = "") -> None:
        """Set a figure that goes up and down. Its thresholds are looked at, and told of by the sampler."""
        try:
            number = self._gauges.set(name, value, component)
            if number is not None and self._alarms.watches(name):
                self._alarms.observe(name, number, component)
        except Exception:
            self._refused.add()

    def _sampled(self, name: str, value: float) -> None:
        """As ``gauge``, of what the sampler read."""
        self._gauges.set(name, value)
        if self._alarms.watches(name):
            self._alarms.observe(name, value)

    def record(self, name: str, value: float, *, unit: str, component: str = "") -> None:
        """Add a value to a distribution. One that is told in another unit is another one."""
        try:
            try:
                histogram = self._histograms[name, component, unit]
            except KeyError:
                histogram = self._histogram(name, component, unit)
            histogram.record(value)
        except Exception:
            self._refused.add()

    def _histogram(self, name: str, component: str, unit: str) -> Histogram:
        if not isinstance(unit, str):
            raise TypeError(f"a unit is a text, not {unit!r}")
        # The unit is of the name here, or units without end would be series without end.
        kept, component = self._names[2].admit(f"{name}\0{unit}" if isinstance(name, str) else name, component)
        name, unit = (OTHERS, "") if kept == OTHERS else (str.__str__(name), str.__str__(unit))
        return self._histograms.setdefault((name, component, unit), Histogram(name, unit=unit, component=component))

    def transition_made(self, record: TransitionRecord, *, seconds: float, seconds_in_source: float) -> None:
        """Count a transition of a table, its duration, and how long the state was that it left."""
        try:
            table = record.table
            self.count("state.transitions", component=table)
            self.record("state.transition_time", seconds, unit="seconds", component=table)
            self.record("state.time_in_state", seconds_in_source, unit="seconds", component=f"{table}.{record.source}")
        except Exception:
            self._refused.add()

    def error_seen(self, record: ErrorRecord) -> None:
        """Count an error of a component, and of its severity."""
        try:
            self.count("errors.seen", component=record.component)
            self.count("errors.by_severity", component=record.severity)
        except Exception:
            self._refused.add()

    # -- looking -----------------------------------------------------------------------------------------------------

    def histogram(self, name: str, *, unit: str, component: str = "") -> Histogram:
        """The distribution itself, for whoever records often: ``record`` of it is twice as fast. Made if it is new."""
        found = self._histograms.get((name, component, unit))
        return self._histogram(name, component, unit) if found is None else found

    def snapshot(self) -> MonitoringSnapshot:
        """Everything so far, sorted by name and component. Nothing is reset."""
        refused = self._counters.refused + self._gauges.refused + self._refused.get()
        histograms = sorted(self._histograms.copy().items())
        distributions = tuple(histogram.distribution() for _, histogram in histograms)
        return MonitoringSnapshot(
            self._time(),
            tuple((name, component, value) for (name, component), value in sorted(self._counters.values().items())),
            tuple((name, component, value) for (name, component), value in sorted(self._gauges.values().items())),
            distributions,
            refused + sum(each.refused for each in distributions),
            self._left_out.get(),
            tuple(sorted(self._sampler.not_measured.items())),
        )

    def series(self, name: str) -> Series:
        """The last readings of a figure that the sampler reads. Raises KeyError where it reads none of that name."""
        return self._sampler.series(name)

    def growth(self) -> GrowthVerdict | None:
        """Whether memory grows, as of now; None where the sampler does not read memory."""
        return None if self._growth is None else self._growth.judge(self._now())

    # -- alarms, sampling, ending ------------------------------------------------------------------------------------

    def alarm(self, threshold: Threshold, receive: Receive) -> None:
        """Call ``receive`` when a gauge crosses a threshold: once, on the sampling thread, or in ``check``."""
        self._alarms.add(threshold, receive)

    def check(self) -> None:
        """Tell of alarms that were not told, and once of series that were left out. What the sampler does after each
        sample; here on the thread that calls."""
        self._alarms.tell()
        left_out = self._left_out.get()
        if left_out and self._said_left_out.set():
            log.warning("too many series: what is told for further ones goes to %r, %d times so far", OTHERS, left_out)

    def start(self) -> None:
        """Begin to sample, on a thread of its own. Raises RuntimeError where that was done before."""
        self._sampler.start()

    def close(self) -> None:
        """End the sampler, and tell what was not told. May be called twice; counting and snapshots go on."""
        self._sampler.close()
        self.check()

    def forget(self) -> None:
        """Let go of whoever has an alarm: nobody is told of one any more. Counting and snapshots go on."""
        self._alarms.clear()

    def __enter__(self) -> MonitoringManager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        series = sum(map(len, self._names))
        return f"<MonitoringManager: {series} series, {self._sampler!r}, {self._alarms!r}>"


class _Missing:
    """Stands for a source that this system cannot give: what it would have read is not measured, and why."""

    every = 0.0

    def __init__(self, names: tuple[str, ...], why: NotImplementedError) -> None:
        self.names, self._why = names, why

    def read(self, readings: array[float], now: float) -> None:
        raise self._why

    def close(self) -> None:
        pass


def process_sources() -> list[Source]:
    """The usual sources of this process: processor and context switches with each sample, memory in use twice a second,
    descriptors and threads once, fragmentation every ten. What this system cannot give is not measured, with the
    reason."""
    found: list[Source] = []
    for make in (ProcessSource, MemorySource, DescriptorSource, FragmentationSource):
        try:
            found.append(make())
        except NotImplementedError as why:
            found.append(_Missing(make.names, why.with_traceback(None)))
    return found


if TYPE_CHECKING:
    _check: type[IMonitoringManager] = MonitoringManager

__all__ = ["MonitoringManager", "process_sources"]
