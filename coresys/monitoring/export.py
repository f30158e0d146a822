"""A snapshot as text for others: OpenMetrics, which Prometheus reads, and lines of JSON for a log.

OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/): names of letters, digits and underscores,
``_total`` for counters, HELP, TYPE and UNIT before the samples of a family, buckets by ``le``, ``# EOF`` at the end.
Components are a label. A name that is not allowed is made one that is; of two that come to the same, one gets a number.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator
from math import inf, isfinite, isnan
from typing import Any, TypeVar

from coresys.system_records import Distribution, MonitoringSnapshot

_K = TypeVar("_K", bound=Any)  # sortable
_V = TypeVar("_V")

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]+")
_UNITS = {"s": "seconds", "B": "bytes", "%": "percent"}
_SUFFIXES = {
    "counter": ("_total", "_created"),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
}


def bounds(unit: str) -> tuple[float, ...]:
    """The buckets' upper bounds of an export, the same each time: powers of two, which are edges of our buckets too.

    From a microsecond to 17 minutes for seconds; from 16 bytes to a tebibyte for bytes; else from a millionth to 2**40.
    """
    unit = _UNITS.get(unit, unit)
    if unit == "seconds":
        return tuple(2.0**power for power in range(-20, 11))
    if unit == "bytes":
        return tuple(2.0**power for power in range(4, 41, 2))
    return tuple(2.0**power for power in range(-20, 41, 2))


def openmetrics(snapshot: MonitoringSnapshot, *, prefix: str = "") -> str:
    """The snapshot in OpenMetrics' text format; serve it as ``CONTENT_TYPE``. ``prefix`` begins each name."""
    taken: set[str] = set()
    lines: list[str] = []
    for name, series in _by_name((name, (component, value)) for name, component, value in snapshot.counters):
        family = _family(f"{prefix}{name}", "counter", "", taken)
        lines += _head(family, "counter", "", name)
        lines += (f"{family}_total{_labels(component)} {_number(value)}" for component, value in sorted(series))
    for name, series in _by_name((name, (component, value)) for name, component, value in snapshot.gauges):
        family = _family(f"{prefix}{name}", "gauge", "", taken)
        lines += _head(family, "gauge", "", name)
        lines += (f"{family}{_labels(component)} {_number(value)}" for component, value in sorted(series))
    by_unit = _by_name(((each.name, each.unit), each) for each in snapshot.distributions)
    for (name, unit), distributions in by_unit:
        unit = _name(_UNITS.get(unit, unit)) if unit else ""
        family = _family(f"{prefix}{name}", "histogram", unit, taken)
        lines += _head(family, "histogram", unit, name)
        for each in sorted(distributions, key=lambda each: each.component):
            lines += _histogram(family, each)
    lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _by_name(series: Iterable[tuple[_K, _V]]) -> list[tuple[_K, list[_V]]]:
    found: dict[_K, list[_V]] = {}
    for key, value in series:
        found.setdefault(key, []).append(value)
    return sorted(found.items())


def _family(name: str, kind: str, unit: str, taken: set[str]) -> str:
    """A name for a family, of which no sample has the name of another's."""
    base = _name(name)
    if kind == "counter" and base.endswith("_total"):
        base = base[: -len("_total")] or "_"
    if unit and (base == unit or base.endswith(f"_{unit}")):
        base = base[: -len(unit)].rstrip("_")
    number = 1
    while True:
        parts = (base, str(number) if number > 1 else "", unit)
        family = "_".join(part for part in parts if part) or "_"
        samples = {family, *(f"{family}{suffix}" for suffix in _SUFFIXES[kind])}
        if not samples & taken:
            taken |= samples
            return family
        number += 1


def _name(text: str) -> str:
    name = _NOT_IN_A_NAME.sub("_", text)
    return f"_{name}" if not name or name[0].isdigit() else name


def _head(family: str, kind: str, unit: str, name: str) -> Iterator[str]:
    yield f"# TYPE {family} {kind}"
    if unit:
        yield f"# UNIT {family} {unit}"
    yield f"# HELP {family} {_escaped(name)}"


def _histogram(family: str, distribution: Distribution) -> Iterator[str]:
    buckets = iter(distribution.buckets)
    edge, count = next(buckets, (inf, 0))
    below = 0
    for bound in bounds(distribution.unit):
        while edge <= bound:
            below += count
            edge, count = next(buckets, (inf, 0))
        yield f"{family}_bucket{_labels(distribution.component, bound)} {below}"
    yield f"{family}_bucket{_labels(distribution.component, inf)} {distribution.count}"
    # A sum that may fall is no counter, and has to be left out; the count goes with it.
    if distribution.least >= 0 and not isnan(distribution.total):
        yield f"{family}_count{_labels(distribution.component)} {distribution.count}"
        yield f"{family}_sum{_labels(distribution.component)} {_number(distribution.total)}"


def _labels(component: str, bound: float | None = None) -> str:
    labels = []
    if component:
        labels.append(f'component="{_escaped(component)}"')
    if bound is not None:
        labels.append(f'le="{_number(bound)}"')
    return "{" + ",".join(labels) + "}" if labels else ""


def _escaped(text: str) -> str:
    # What is no text in UTF-8 (half of a surrogate pair, of a file name perhaps) would not leave the process.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(int(value))
    if isfinite(value):
        return repr(float(value))
    return "NaN" if isnan(value) else "+Inf" if value > 0 else "-Inf"


def log_snapshot(
    snapshot: MonitoringSnapshot, logger: logging.Logger | None = None, *, level: int = logging.INFO
) -> int:
    """One line of JSON for each series, through ``logging`` (``coresys.monitoring`` where no logger is given).

    Returns how many lines. Each has ``time``, ``kind``, ``name`` and ``component``; what is no number in JSON is null.
    Whatever reads logs for their structure finds the same under ``record.monitoring``.
    """
    logger = logging.getLogger("coresys.monitoring") if logger is None else logger
    if not logger.isEnabledFor(level):
        return 0
    lines = list(_entries(snapshot))
    for entry in lines:
        logger.log(level, "%s", json.dumps(entry, ensure_ascii=True, allow_nan=False), extra={"monitoring": entry})
    return len(lines)


def _entries(snapshot: MonitoringSnapshot) -> Iterator[dict[str, object]]:
    for kind, series in (("counter", snapshot.counters), ("gauge", snapshot.gauges)):
        for name, component, value in series:
            yield {**_entry(snapshot, kind, name, component), "value": _plain(value)}
    for each in snapshot.distributions:
        yield {
            **_entry(snapshot, "distribution", each.name, each.component),
            "unit": each.unit,
            "count": each.count,
            "sum": _plain(each.total),
            "least": _plain(each.least),
            "most": _plain(each.most),
            "quantiles": {str(share): _plain(value) for share, value in each.quantiles},
        }
    for name, why in snapshot.not_measured:
        yield {**_entry(snapshot, "not_measured", name, ""), "why": why}


def _entry(snapshot: MonitoringSnapshot, kind: str, name: str, component: str) -> dict[str, object]:
    return {"time": snapshot.time, "kind": kind, "name": name, "component": component}


def _plain(value: float) -> float | None:
    return value if isfinite(value) else None


__all__ = ["CONTENT_TYPE", "bounds", "log_snapshot", "openmetrics"]
