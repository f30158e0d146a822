"""OpenMetrics by the letter, read back by Prometheus' own parser where that is installed; and lines of a log."""

from __future__ import annotations

import json
import logging
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coresys.monitoring import CONTENT_TYPE, Histogram, log_snapshot, openmetrics
from coresys.monitoring.export import bounds
from coresys.system_records import Distribution, MonitoringSnapshot

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
ESCAPED = r'(?:[^"\\\n]|\\["\\n])*'
NUMBER = r"(?:[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|Inf)|NaN)"
LABEL = rf'[a-zA-Z_][a-zA-Z0-9_]*="{ESCAPED}"'
LINE = re.compile(
    rf"(?:# TYPE {NAME} (?:counter|gauge|histogram)|# UNIT {NAME} [a-zA-Z0-9_:]+|# HELP {NAME} {ESCAPED}"
    rf"|{NAME}(?:\{{{LABEL}(?:,{LABEL})*\}})? {NUMBER})"
)


def distribution(*values: float, name: str = "delay", unit: str = "seconds", component: str = "") -> Distribution:
    histogram = Histogram(name, unit=unit, component=component)
    for value in values:
        histogram.record(value)
    return histogram.distribution()


def snapshot(
    counters: tuple[tuple[str, str, float], ...] = (),
    gauges: tuple[tuple[str, str, float], ...] = (),
    distributions: tuple[Distribution, ...] = (),
) -> MonitoringSnapshot:
    return MonitoringSnapshot(1000.0, counters, gauges, distributions)


def families(text: str) -> dict[str, list[str]]:
    """Lines by family; checks the form of each line, that families are whole, and that no sample is told twice."""
    assert text.endswith("# EOF\n")
    found: dict[str, list[str]] = {}
    seen = set()
    current = ""
    for line in text.split("\n")[:-2]:  # not splitlines(): other ends of lines are characters as any
        assert LINE.fullmatch(line), line
        if line.startswith("# TYPE"):
            current = line.split()[2]
            assert current not in found, f"{current} comes twice"
            found[current] = []
        elif line.startswith("#"):
            assert line.split()[2] == current
        else:
            series = line.rpartition(" ")[0]
            assert series not in seen, f"{series} comes twice"
            seen.add(series)
            assert line.startswith(current)
            found[current].append(line)
    return found


def test_a_page_of_everything() -> None:
    text = openmetrics(
        snapshot(
            (("orders.served", "", 3), ("orders.served", "web", 2.5), ("hits_total", "", 7)),
            (("queue.depth", 'a "quoted"\\ one\n', -1.5),),
            (distribution(0.5, 1.0, 1.5),),
        ),
        prefix="shop_",
    )
    assert "# TYPE shop_orders_served counter\n# HELP shop_orders_served orders.served\n" in text
    found = families(text)
    assert found["shop_orders_served"] == [
        "shop_orders_served_total 3",
        'shop_orders_served_total{component="web"} 2.5',
    ]
    assert found["shop_hits"] == ["shop_hits_total 7"]
    assert found["shop_queue_depth"] == ['shop_queue_depth{component="a \\"quoted\\"\\\\ one\\n"} -1.5']
    assert "# UNIT shop_delay_seconds seconds\n" in text
    lines = found["shop_delay_seconds"]
    assert lines[19:22] == [
        'shop_delay_seconds_bucket{le="0.5"} 1',
        'shop_delay_seconds_bucket{le="1.0"} 2',
        'shop_delay_seconds_bucket{le="2.0"} 3',
    ]
    assert lines[-3:] == [
        'shop_delay_seconds_bucket{le="+Inf"} 3',
        "shop_delay_seconds_count 3",
        "shop_delay_seconds_sum 3.0",
    ]
    assert CONTENT_TYPE.startswith("application/openmetrics-text; version=1.0.0")


def test_nothing_is_a_page_too() -> None:
    assert openmetrics(snapshot()) == "# EOF\n"


@pytest.mark.parametrize(
    ("name", "unit", "family"),
    [
        ("delay", "seconds", "delay_seconds"),
        ("delay_seconds", "seconds", "delay_seconds"),
        ("delay.seconds", "s", "delay_seconds"),
        ("seconds", "seconds", "seconds"),
        ("size", "B", "size_bytes"),
        ("share", "%", "share_percent"),
        ("speed", "MB/h", "speed_MB_h"),
        ("plain", "", "plain"),
        ("99.problems", "", "_99_problems"),
        ("über", "", "_ber"),
        ("", "", "_"),
    ],
)
def test_names_are_made_valid_and_end_with_their_unit(name: str, unit: str, family: str) -> None:
    text = openmetrics(snapshot((), (), (distribution(1.0, name=name, unit=unit),)))
    assert list(families(text)) == [family]


@pytest.mark.parametrize(
    ("counters", "gauges", "expected"),
    [
        (("a.b", "a b"), (), ["a_b", "a_b_2"]),
        (("a",), ("a",), ["a", "a_2"]),
        (("a",), ("a_total",), ["a", "a_total_2"]),
        (("a_total", "a"), (), ["a", "a_2"]),
        ((), ("d_bucket", "d_count"), ["d_bucket", "d_count", "d_2"]),
    ],
)
def test_no_two_families_have_a_name_in_common(
    counters: tuple[str, ...], gauges: tuple[str, ...], expected: list[str]
) -> None:
    distributions = (distribution(1.0, name="d", unit=""),) if "d_bucket" in gauges else ()
    text = openmetrics(
        snapshot(tuple((name, "", 1) for name in counters), tuple((name, "", 1) for name in gauges), distributions)
    )
    assert list(families(text)) == expected


def test_a_sum_that_may_fall_is_left_out_with_its_count() -> None:
    lines = families(openmetrics(snapshot((), (), (distribution(-1.0, 2.0, unit=""),))))["delay"]
    assert all("_bucket" in line for line in lines)
    assert lines[0].endswith(" 1")
    assert lines[-1] == 'delay_bucket{le="+Inf"} 2'


@pytest.mark.parametrize("unit", ["seconds", "s", "bytes", "B", "", "requests"])
def test_bounds_are_in_order_and_edges_of_buckets(unit: str) -> None:
    limits = bounds(unit)
    assert list(limits) == sorted(set(limits))
    for limit in limits:
        assert distribution(limit).buckets == ((limit, 1),)


texts = st.text(max_size=8)
figures = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def snapshots(draw: st.DrawFn) -> MonitoringSnapshot:
    # Series of a snapshot are unlike one another.
    counters = draw(st.dictionaries(st.tuples(texts, texts), st.floats(0, 1e9), max_size=5))
    gauges = draw(st.dictionaries(st.tuples(texts, texts), figures, max_size=5))
    kinds = draw(st.sets(st.tuples(texts, texts, st.sampled_from(["seconds", "", "B", "%", "a b"])), max_size=3))
    values = draw(st.lists(figures, min_size=1, max_size=9))
    return snapshot(
        tuple((name, component, value) for (name, component), value in counters.items()),
        tuple((name, component, value) for (name, component), value in gauges.items()),
        tuple(distribution(*values, name=name, component=component, unit=unit) for name, component, unit in kinds),
    )


@given(snapshots())
@settings(max_examples=200)
def test_whatever_the_names_the_page_is_valid_and_has_everything(taken: MonitoringSnapshot) -> None:
    found = families(openmetrics(taken))
    lines = [line for each in found.values() for line in each]
    plain = [line for line in lines if "_bucket{" not in line]
    counted = [each for each in taken.distributions if each.least >= 0]
    assert len(plain) == len(taken.counters) + len(taken.gauges) + 2 * len(counted)


@given(snapshots())
@settings(max_examples=100)
def test_the_parser_of_prometheus_reads_the_same_figures(taken: MonitoringSnapshot) -> None:
    parser = pytest.importorskip("prometheus_client.openmetrics.parser", reason="prometheus_client is not installed")
    read: list[Any] = list(parser.text_string_to_metric_families(openmetrics(taken)))
    values = [sample.value for family in read for sample in family.samples if family.type != "histogram"]
    assert sorted(values) == sorted(float(value) for _, _, value in (*taken.counters, *taken.gauges))
    components = [
        sample.labels.get("component", "") for family in read for sample in family.samples if family.type == "gauge"
    ]
    assert sorted(components) == sorted(component for _, component, _ in taken.gauges)
    counts = [
        sample.value
        for family in read
        for sample in family.samples
        if family.type == "histogram" and sample.labels.get("le") == "+Inf"
    ]
    assert sorted(counts) == sorted(each.count for each in taken.distributions)


def test_half_a_character_does_not_keep_the_page_from_leaving() -> None:
    text = openmetrics(snapshot((("n", "\udc80", 1),)))
    assert text.encode("utf-8")
    families(text)


def test_each_series_is_a_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    taken = MonitoringSnapshot(
        1000.0, (("n", "web", 3),), (("g", "", 0.5),), (distribution(1.0, 3.0),), not_measured=(("x", "gone"),)
    )
    logger = logging.getLogger("test.monitoring")
    with caplog.at_level(logging.INFO, "test.monitoring"):
        assert log_snapshot(taken, logger) == 4
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert lines[0] == {"time": 1000.0, "kind": "counter", "name": "n", "component": "web", "value": 3}
    assert lines[1]["value"] == 0.5
    assert {key: lines[2][key] for key in ("kind", "unit", "count", "sum", "least", "most")} == {
        "kind": "distribution", "unit": "seconds", "count": 2, "sum": 4.0, "least": 1.0, "most": 3.0,
    }  # fmt: skip
    assert lines[3] == {"time": 1000.0, "kind": "not_measured", "name": "x", "component": "", "why": "gone"}
    assert [getattr(record, "monitoring") for record in caplog.records] == lines  # noqa: B009  # not of a LogRecord's


def test_a_line_is_one_line_and_plain_json_whatever_is_in_it(caplog: pytest.LogCaptureFixture) -> None:
    odd = snapshot((("a\nb%s", '"\udc80', math.inf),), (), (Distribution("d", "", "", 1, math.inf, 1.0, 1.0),))
    with caplog.at_level(logging.INFO, "coresys.monitoring"):
        log_snapshot(odd)
    first, second = (record.getMessage() for record in caplog.records)
    assert "\n" not in first
    assert json.loads(first)["name"] == "a\nb%s"
    assert json.loads(first)["value"] is json.loads(second)["sum"] is None


def test_a_logger_that_is_off_costs_no_lines() -> None:
    logger = logging.getLogger("test.monitoring.off")
    logger.setLevel(logging.ERROR)
    assert log_snapshot(snapshot((("n", "", 1),)), logger) == 0
