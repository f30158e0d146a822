"""Each measure is a property of its test in JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.reports.junit import properties


def record(**measures: dict[str, Any]) -> dict[str, Any]:
    return {"measures": {key.replace("__", "."): measure for key, measure in measures.items()}}


def measure(
    value: float | None, verdict: str = "within", level: str = "error", why: str | None = None
) -> dict[str, Any]:
    return {"value": value, "verdict": verdict, "level": level, "why": why}


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (measure(0), "0"),
        (measure(1048608, "over"), "1048608"),
        (measure(0.05), "0.05"),
        (measure(2.1e-06), "2.1e-06"),
        (measure(None, "not_measured", why="suspected: seen once"), "not measured: suspected: seen once"),
        (measure(None, "over", why="the reading was infinite"), "over: the reading was infinite"),
        (measure(None, "not_measured", why="a\nb\x00\x1b[31m"), r"not measured: a\nb\x00\x1b[31m"),
        (measure(None, "not_measured", why="\udcff\ufffe\u202e"), r"not measured: \udcff\ufffe\u202e"),
        (measure(None, "not_measured", why='<b> & "Zoë" \']]>'), 'not measured: <b> & "Zoë" \']]>'),
        (measure(3, level="off"), "3"),
    ],
)
def test_a_property_is_the_figure_in_base_units_or_why_there_is_none(entry: dict[str, Any], text: str) -> None:
    assert properties(record(memory__growth=entry)) == [("coresys.memory.growth", text)]


def test_what_is_off_and_was_not_measured_has_no_property() -> None:
    assert properties(record(memory__peak=measure(None, "not_measured", "off", "off"))) == []


def test_a_strangers_key_cannot_break_the_file() -> None:
    [(name, _)] = properties({"measures": {"a.\x01\udcff": measure(1)}})
    assert name == r"coresys.a.\x01\udcff"


def test_the_order_is_that_of_the_measures() -> None:
    names = [name for name, _ in properties(record(threads__leaked=measure(0), memory__growth=measure(0)))]
    assert names == ["coresys.threads.leaked", "coresys.memory.growth"]


SUITE = r"""
import pytest
KEPT = []
def test_clean(): pass
def test_leak(): KEPT.append(bytearray(100_000))
@pytest.mark.coresys_skip("memory.*", reason='<b> & "\x00\x1b"')
def test_left_out(): pass
def test_failed(): assert 0
@pytest.mark.parametrize("value", [1], ids=['<a href="x">'])
def test_hostile(value): pass
"""


@pytest.mark.slow
@pytest.mark.inner
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "n2"])
def test_the_file_is_well_formed_and_has_every_measure_of_every_test(
    pytester: pytest.Pytester, workers: list[str]
) -> None:
    pytester.makepyfile(SUITE)
    args = (
        "-p",
        "no:randomly",
        "-W",
        "ignore",
        "--coresys-budget",
        "--coresys-profile",
        "strict",
        "--junitxml",
        "j.xml",
    )
    pytester.runpytest_subprocess(*args, *workers)
    cases = {
        case.get("name"): {each.get("name"): each.get("value") or "" for each in case.iter("property")}
        for case in ElementTree.parse(Path(pytester.path, "j.xml")).getroot().iter("testcase")
    }
    assert set(cases) == {"test_clean", "test_leak", "test_left_out", "test_failed", 'test_hostile[<a href="x">]'}
    assert all("coresys.memory.growth" in found and "coresys.threads.leaked" in found for found in cases.values())
    assert cases["test_clean"]["coresys.threads.leaked"] == "0"
    assert float(cases["test_leak"]["coresys.memory.growth"]) >= 100_000
    assert cases["test_left_out"]["coresys.memory.growth"].startswith("not measured: skipped by marker: <b> & ")
    assert cases["test_failed"]["coresys.memory.growth"].startswith("not measured: ")
