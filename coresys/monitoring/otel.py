"""To OpenTelemetry, by its own SDK: the extra ``otel``. Nothing else in coresys imports this module.

Two ways. ``OpenTelemetryExport`` hands whole snapshots to any exporter of the SDK (OTLP, console), distributions as
histograms, as often as it is asked to. ``observe`` registers the series with a meter provider, so that its readers ask
for them when they collect; an instrument that is observed cannot be a histogram, so there a distribution is its count
and its sum.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import isfinite
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from coresys.clock import MonotonicClock, WallClock
from coresys.monitoring.export import bounds
from coresys.system_records import Distribution, MonitoringSnapshot

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, MeterProvider

SCOPE = "coresys.monitoring"
_NOT_IN_A_NAME = re.compile(r"[^-_./a-zA-Z0-9]+")
_LONGEST_NAME = 255
_UNITS = {"seconds": "s", "bytes": "By", "percent": "%"}  # of UCUM, which OpenTelemetry asks for
_SAME_COLLECTION = 0.1  # seconds: instruments of one collection are asked one by one, and answer from one snapshot


def metrics_data(snapshot: MonitoringSnapshot, *, began: float, resource: Resource | None = None) -> MetricsData:
    """A snapshot as the SDK's own data, all sums cumulative; ``began`` is when counting did (seconds since 1970)."""
    start, now = _nanoseconds(began), _nanoseconds(snapshot.time)
    metrics: dict[tuple[str, str, str], list[Any]] = {}
    for kind, series in (("counter", snapshot.counters), ("gauge", snapshot.gauges)):
        for name, component, value in series:
            point = NumberDataPoint(_attributes(component), start, now, value)
            metrics.setdefault((kind, name, ""), []).append(point)
    for each in snapshot.distributions:
        metrics.setdefault(("histogram", each.name, each.unit), []).append(_histogram(each, start, now))
    found = [
        Metric(_name(name), f"{name} of coresys", _UNITS.get(unit, unit), _data(kind, points))
        for (kind, name, unit), points in metrics.items()
    ]
    scope = ScopeMetrics(InstrumentationScope(SCOPE), found, "")
    return MetricsData([ResourceMetrics(resource or Resource.create(), [scope], "")])


class OpenTelemetryExport:
    """Hands snapshots to an exporter of the SDK: each time that ``export`` is called, by a sampler or a timer, say.

    Once closed it exports no more. ``clock`` dates the beginning.
    """

    def __init__(
        self,
        snapshot: Callable[[], MonitoringSnapshot],
        exporter: MetricExporter,
        *,
        resource: Resource | None = None,
        clock: WallClock | None = None,
    ) -> None:
        self._snapshot, self._exporter, self._resource = snapshot, exporter, resource
        self._began = (MonotonicClock() if clock is None else clock).time()
        self._closed = False

    def export(self) -> bool:
        """Export everything so far; whether the exporter took it."""
        if self._closed:
            return False
        data = metrics_data(self._snapshot(), began=self._began, resource=self._resource)
        return bool(self._exporter.export(data) is MetricExportResult.SUCCESS)

    def close(self) -> None:
        """Shut the exporter down. May be called twice."""
        if not self._closed:
            self._closed = True
            self._exporter.shutdown()


class Observed:
    """The instruments that ``observe`` registered. ``refresh`` registers those of series that are new since."""

    def __init__(
        self, provider: MeterProvider, snapshot: Callable[[], MonitoringSnapshot], clock: WallClock | None = None
    ) -> None:
        self._meter = provider.get_meter(SCOPE)
        self._snapshot = snapshot
        self._now = MonotonicClock.now if clock is None else clock.now
        self._last: tuple[float, MonitoringSnapshot] | None = None
        self._known: set[tuple[str, str, str]] = set()
        self.refresh()

    def refresh(self) -> int:
        """Register what is new; returns how many instruments that made. Call it from one thread at a time."""
        snapshot = self._snapshot()
        wanted = [
            *(("counter", name, "") for name, _, _ in snapshot.counters),
            *(("gauge", name, "") for name, _, _ in snapshot.gauges),
            *((kind, each.name, each.unit) for each in snapshot.distributions for kind in ("count", "sum")),
        ]
        new = [key for key in dict.fromkeys(wanted) if key not in self._known]
        for key in new:
            self._known.add(key)
            self._register(*key)
        return len(new)

    def _register(self, kind: str, name: str, unit: str) -> None:
        described = f"{name} of coresys"

        def ask(options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, _attributes(component)) for component, value in self._figures(kind, name, unit)]

        if kind == "gauge":
            self._meter.create_observable_gauge(_name(name), [ask], "", described)
        elif kind == "counter":
            self._meter.create_observable_counter(_name(name), [ask], "", described)
        else:
            # A sum of values that may be negative is no counter.
            self._meter.create_observable_up_down_counter(
                _name(f"{name}.{kind}"), [ask], _UNITS.get(unit, unit) if kind == "sum" else "", described
            )

    def _figures(self, kind: str, name: str, unit: str) -> list[tuple[str, float]]:
        snapshot = self._now_or_just_now()
        if kind in ("counter", "gauge"):
            series = snapshot.counters if kind == "counter" else snapshot.gauges
            return [(component, value) for each, component, value in series if each == name]
        return [
            (each.component, each.count if kind == "count" else each.total)
            for each in snapshot.distributions
            if (each.name, each.unit) == (name, unit)
        ]

    def _now_or_just_now(self) -> MonitoringSnapshot:
        now, last = self._now(), self._last
        if last is None or not 0 <= now - last[0] < _SAME_COLLECTION:
            last = self._last = (now, self._snapshot())
        return last[1]


def observe(
    provider: MeterProvider, snapshot: Callable[[], MonitoringSnapshot], *, clock: WallClock | None = None
) -> Observed:
    """Register every series with a meter provider; what it returns registers new ones (``refresh``)."""
    return Observed(provider, snapshot, clock)


def _histogram(distribution: Distribution, start: int, now: int) -> HistogramDataPoint:
    limits = bounds(distribution.unit)
    counts = [0] * (len(limits) + 1)
    at = 0
    for edge, count in distribution.buckets:
        while at < len(limits) and edge > limits[at]:
            at += 1
        counts[at] += count
    return HistogramDataPoint(
        attributes=_attributes(distribution.component),
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=distribution.count,
        sum=distribution.total,
        bucket_counts=counts,
        explicit_bounds=limits,
        min=distribution.least,
        max=distribution.most,
    )


def _data(kind: str, points: list[Any]) -> Any:
    if kind == "gauge":
        return Gauge(points)
    if kind == "counter":
        return Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return Histogram(points, AggregationTemporality.CUMULATIVE)


def _attributes(component: str) -> dict[str, str]:
    return {"component": component} if component else {}


def _name(text: str) -> str:
    name = _NOT_IN_A_NAME.sub("_", text)
    return (name if name[:1].isalpha() else f"m{name}")[:_LONGEST_NAME]


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9) if isfinite(seconds) else 0


__all__ = ["Observed", "OpenTelemetryExport", "metrics_data", "observe"]
