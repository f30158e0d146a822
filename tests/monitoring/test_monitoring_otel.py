"""The bridge to OpenTelemetry, through its own SDK; skipped where that is not installed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk.metrics", reason="the extra 'otel' is not installed (opentelemetry-sdk)")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
)
from opentelemetry.sdk.resources import Resource

from coresys.monitoring import MonitoringManager
from coresys.monitoring.otel import OpenTelemetryExport, metrics_data, observe
from coresys.testing.fakes import FakeClock

RESOURCE = Resource.create({"service.name": "orders"})


@pytest.fixture
def monitoring() -> MonitoringManager:
    manager = MonitoringManager(clock=FakeClock(time=2000.0))
    manager.count("orders.served", 3, component="web")
    manager.count("orders.served", 2)
    manager.gauge("queue depth", 7.5)
    for value in (0.25, 0.3, 8.0):
        manager.record("delay", value, unit="seconds", component="web")
    return manager


def points(data: Any) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    return {
        metric.name: [(dict(point.attributes), point) for point in metric.data.data_points] for metric in scope.metrics
    }


def test_a_snapshot_is_the_sdks_own_data(monitoring: MonitoringManager) -> None:
    data = metrics_data(monitoring.snapshot(), began=1500.0, resource=RESOURCE)
    found = points(data)
    assert [(labels, point.value) for labels, point in found["orders.served"]] == [({}, 2), ({"component": "web"}, 3)]
    assert [point.value for _, point in found["queue_depth"]] == [7.5]
    ((labels, delay),) = found["delay"]
    assert labels == {"component": "web"}
    assert (delay.count, delay.sum, delay.min, delay.max) == (3, 8.55, 0.25, 8.0)
    assert len(delay.bucket_counts) == len(delay.explicit_bounds) + 1
    for bound, upto in ((0.25, 1), (0.5, 2), (4.0, 2), (8.0, 3)):  # upper edges are in their buckets
        assert sum(delay.bucket_counts[: delay.explicit_bounds.index(bound) + 1]) == upto
    assert (delay.start_time_unix_nano, delay.time_unix_nano) == (1500 * 10**9, 2000 * 10**9)
    units = {metric.name: metric.unit for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert units["delay"] == "s"


def test_an_exporter_of_the_sdk_writes_it_to_a_file(monitoring: MonitoringManager) -> None:
    out = io.StringIO()
    export = OpenTelemetryExport(
        monitoring.snapshot, ConsoleMetricExporter(out=out), resource=RESOURCE, clock=FakeClock(time=1500.0)
    )
    assert export.export()
    monitoring.count("orders.served", 10)
    assert export.export()
    export.close()
    export.close()
    assert not export.export()
    decoder, text, documents = json.JSONDecoder(), out.getvalue(), []
    while text.strip():
        document, end = decoder.raw_decode(text.lstrip())
        documents.append(document)
        text = text.lstrip()[end:]
    assert len(documents) == 2
    resource = documents[1]["resource_metrics"][0]
    assert resource["resource"]["attributes"]["service.name"] == "orders"
    metrics = {metric["name"]: metric for metric in resource["scope_metrics"][0]["metrics"]}
    assert [point["value"] for point in metrics["orders.served"]["data"]["data_points"]] == [12, 3]
    assert metrics["orders.served"]["data"]["is_monotonic"]


def test_readers_of_a_provider_see_figures_of_now_and_new_series_after_a_refresh(monitoring: MonitoringManager) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource=RESOURCE)
    clock = FakeClock()
    bridge = observe(provider, monitoring.snapshot, clock=clock)
    found = points(reader.get_metrics_data())
    assert sorted((tuple(labels.items()), point.value) for labels, point in found["orders.served"]) == [
        ((), 2), ((("component", "web"),), 3),
    ]  # fmt: skip
    assert [point.value for _, point in found["delay.count"]] == [3]
    assert [point.value for _, point in found["delay.sum"]] == [8.55]
    monitoring.count("orders.served", 1)
    monitoring.gauge("fresh", 1)
    clock.advance(1)
    assert bridge.refresh() == 1
    assert bridge.refresh() == 0
    found = points(reader.get_metrics_data())
    assert [point.value for labels, point in found["orders.served"] if not labels] == [3]
    assert [point.value for _, point in found["fresh"]] == [1]
    provider.shutdown()


def test_names_that_the_sdk_would_refuse_are_made_valid() -> None:
    monitoring = MonitoringManager()
    for name in ("", "9 lives", "ü", "(others)", "x" * 400, "a/b-c.d_e"):
        monitoring.count(name)
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    observe(provider, monitoring.snapshot)
    found = points(reader.get_metrics_data())
    assert "a/b-c.d_e" in found
    assert "m9_lives" in found
    assert all(name[0].isascii() and name[0].isalpha() and len(name) <= 255 for name in found)
    provider.shutdown()


class OtlpFileExporter(MetricExporter):
    """What the OTLP file exporter of the specification writes, a line of JSON for each export, by the encoder that all
    OTLP exporters of the SDK share."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        encoder = pytest.importorskip(
            "opentelemetry.exporter.otlp.proto.common.metrics_encoder",
            reason="opentelemetry-exporter-otlp-proto-common is not installed",
        )
        to_json = pytest.importorskip("google.protobuf.json_format").MessageToJson
        with self.path.open("a", encoding="utf-8") as file:
            file.write(to_json(encoder.encode_metrics(metrics_data), indent=None) + "\n")
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        pass


def test_an_otlp_file_has_every_figure(monitoring: MonitoringManager, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    export = OpenTelemetryExport(
        monitoring.snapshot, OtlpFileExporter(path), resource=RESOURCE, clock=FakeClock(time=1500.0)
    )
    assert export.export()
    monitoring.count("orders.served", 10)
    assert export.export()
    export.close()
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    (resource,) = second["resourceMetrics"]
    assert {"key": "service.name", "value": {"stringValue": "orders"}} in resource["resource"]["attributes"]
    found = {each["name"]: each for each in resource["scopeMetrics"][0]["metrics"]}
    served = found["orders.served"]["sum"]
    assert served["isMonotonic"] is True
    assert served["aggregationTemporality"] == "AGGREGATION_TEMPORALITY_CUMULATIVE"
    values = [
        (tuple(each["value"]["stringValue"] for each in point.get("attributes", ())), float(point["asInt"]))
        for point in served["dataPoints"]
    ]
    assert values == [((), 12.0), (("web",), 3.0)]
    assert [point["asDouble"] for point in found["queue_depth"]["gauge"]["dataPoints"]] == [7.5]
    (delay,) = found["delay"]["histogram"]["dataPoints"]
    assert (delay["count"], delay["sum"], delay["min"], delay["max"]) == ("3", 8.55, 0.25, 8.0)
    assert sum(map(int, delay["bucketCounts"])) == 3
    assert delay["startTimeUnixNano"] == str(1500 * 10**9)
    assert first != second
