"""Beside pytest-html: one column more, findings in the details, and a link; whatever tests are called is text there."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.htmlcolumn import cell_of, details_of

pytestmark = [pytest.mark.inner, pytest.mark.other_plugins]

SUITE = """
import os
import pytest

def test_leaks(): os.open(os.devnull, os.O_RDONLY)
def test_fails_and_leaks():
    os.open(os.devnull, os.O_RDONLY)
    assert False, "its own"
@pytest.mark.coresys_budget("descriptors.leaked", max=0, level="warn")
def test_only_warns(): os.open(os.devnull, os.O_RDONLY)
@pytest.mark.parametrize("x", ["<img src=x onerror=alert(1)>"])
def test_is_well(x): pass
@pytest.mark.skip
def test_skipped(): pass
"""


def rows(page: Path) -> dict[str, dict[str, Any]]:
    """What pytest-html keeps of each test, by its name."""
    found = re.search(r'data-jsonblob="(.*?)"', page.read_text("utf-8"), re.S)
    assert found is not None
    tests: dict[str, list[dict[str, Any]]] = json.loads(unescape(found[1]))["tests"]
    return {nodeid.partition("::")[2].partition("[")[0]: results[-1] for nodeid, results in tests.items() if results}


def cells(row: dict[str, Any]) -> list[str]:
    return [cell for cell in row["resultsTableRow"] if "coresys" in cell]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_each_row_has_its_closest_budget_and_the_details_its_findings(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(SUITE)
    options = ("--html", "out/theirs.html", "--self-contained-html", "--coresys-report", "a b/ours.html", *workers)
    result = pytester.runpytest_subprocess("--coresys-budget", *options, "-p", "no:randomly")
    result.assert_outcomes(passed=2, failed=2, skipped=1)
    page = pytester.path / "out" / "theirs.html"
    found = rows(page)
    assert all(len(cells(row)) == 1 for row in found.values())
    assert ">999999.0</span>descriptors.leaked over</td>" in cells(found["test_leaks"])[0]
    assert found["test_leaks"]["coresys_budget"] > found["test_is_well"]["coresys_budget"]  # as texts, as it sorts
    assert "descriptors.leaked: 1 per run &gt; 0" in found["test_leaks"]["log"]
    assert found["test_leaks"]["log"].count("descriptors.leaked: 1 per run &gt; 0") == 1
    own, ours = (found["test_fails_and_leaks"]["log"].find(text) for text in ("its own", "descriptors.leaked"))
    assert own >= 0
    assert ours == -1 or own < ours
    assert "warn: descriptors.leaked: 1 per run &gt; 0" in found["test_only_warns"]["log"]
    assert "coresys" not in found["test_is_well"]["log"]
    text = page.read_text("utf-8")
    assert '<a href="../a%20b/ours.html">Compliance report</a>' in text
    assert re.search(r"<p>coresys: \d within, \d near, [12] over, \d not measured, 1 warns only; not compliant\.", text)
    assert 'data-column-type="coresys_budget"' in text


def test_an_observing_run_tells_there_what_it_fails_nobody_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    options = ("--html", "theirs.html", "--self-contained-html", "--coresys-observe")
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=3, failed=1, skipped=1)
    page = pytester.path / "theirs.html"
    assert "error: descriptors.leaked: 1 per run &gt; 0" in rows(page)["test_leaks"]["log"]
    assert "Compliance report" not in page.read_text("utf-8")


def test_rows_and_columns_that_a_conftest_takes_away_are_gone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    pytester.makeconftest(
        """
        def pytest_html_results_table_header(cells):
            cells.pop()
            cells.insert(1, "<th>Mine</th>")
        def pytest_html_results_table_row(report, cells):
            if report.skipped:
                del cells[:]
            else:
                cells.pop()
                cells.insert(1, "<td>mine</td>")
        """
    )
    pytester.runpytest_subprocess("--html", "theirs.html", "--self-contained-html", "--coresys-budget")
    found = rows(pytester.path / "theirs.html")
    assert "test_skipped" not in found
    assert all(len(row["resultsTableRow"]) == 5 for row in found.values())


@pytest.mark.parametrize(
    "options", [("--html", "theirs.html"), ("--coresys-budget",)], ids=["without us", "without it"]
)
def test_one_without_the_other_is_as_ever(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile("def test_x(): pass")
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)
    if "--html" in options:
        assert "coresys" not in rows(pytester.path / "theirs.html")["test_x"]


def test_what_a_key_or_a_finding_has_in_it_is_text() -> None:
    measure = {"level": "error", "verdict": "near", "value": 9.5, "limit": 10.0, "unit": "s"}
    cell = cell_of({"measures": {"x.<b>": measure}})
    assert cell == '<td class="col-coresys_budget"><span hidden>000095.0</span>x.&lt;b&gt; 95 %</td>'
    finding = {"level": "warn", "summary": "<script>\n\x1b[31m", "details": [], "locations": []}
    assert details_of({"findings": [finding]}, ("warn",))[1:] == ["warn: &lt;script&gt;\\n\\x1b[31m"]
    assert details_of({"findings": [finding]}, ("error",)) == []


def test_a_test_without_a_record_has_an_empty_cell() -> None:
    assert cell_of(None) == '<td class="col-coresys_budget"><span hidden>000000.0</span></td>'
