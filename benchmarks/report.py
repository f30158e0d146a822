"""The HTML report beside pytest-html's: bytes, nodes, and time to the first draw, in the same headless Chromium.

Both have as many tests, of which one in a hundred fails: ours a made-up run file (tests/support/bigruns.py: ten budgets
each, all 134 criteria), pytest-html a suite of trivial tests, in one self-contained file. Times are medians of pages
opened in turn, one of each; a draw is over when two frames have been shown after the load.

    pip install --editable '.[dev]' pytest-html
    python benchmarks/report.py                          # 10,000 and 100,000 tests
    python benchmarks/report.py --tests 10000 --runs 7

Exit status 1 when a goal is missed: 3 MB and 1 s, 5,000 nodes, 8 times as fast as pytest-html with 10,000 tests; 25 MB
and 5 s with 100,000, which pytest-html is not tried on (its page has 22 nodes for each test).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

import bigruns  # noqa: E402
import browsers  # noqa: E402

from pytest_coresys.reports import htmlpage  # noqa: E402

MEGABYTE = 1024 * 1024
GOALS = {10_000: (3 * MEGABYTE, 1.0), 100_000: (25 * MEGABYTE, 5.0)}
MOST_NODES, TIMES_AS_FAST = 5_000, 8.0
DRAWN = """() => new Promise(done =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"""


@dataclass
class Row:
    """One page: what it is, and what it took; seconds are from the start of the navigation."""

    page: str
    tests: int
    size: int
    nodes: int
    drawn: float
    filtered: float | None
    made: float


def ours(tests: int, folder: Path) -> tuple[Path, float]:
    """Our page, and how long it took to make from the run's dict."""
    run = bigruns.run_of(tests, criteria=True)
    start = time.perf_counter()
    path = folder / f"coresys-{tests}.html"
    path.write_bytes(htmlpage.data(run))
    return path, time.perf_counter() - start


def theirs(tests: int, folder: Path) -> tuple[Path, float]:
    """pytest-html's page of as many tests; the time is that of the whole run."""
    (folder / "test_many.py").write_text(
        "import pytest\n"
        f"@pytest.mark.parametrize('number', range({tests}))\n"
        "def test_keeps_to_its_budget(number):\n    assert number % 100\n"
    )
    path = folder / f"pytest-html-{tests}.html"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:coresys", "--tb=line", "-n0"]
    start = time.perf_counter()
    subprocess.run(
        [*command, f"--html={path}", "--self-contained-html", "test_many.py"], cwd=folder, stdout=subprocess.DEVNULL
    )
    return path, time.perf_counter() - start


def looked_at(opened: Any, path: Path) -> tuple[float, int, float | None]:
    """Seconds to the first draw, nodes then, and seconds of one press on a filter."""
    with browsers.page_of(opened) as (page, _):
        page.set_default_timeout(180_000)
        page.goto(path.as_uri(), wait_until="load")
        drawn = page.evaluate(DRAWN) / 1000
        nodes = page.evaluate("document.querySelectorAll('*').length")
        press = "#tc [data-f=failed]" if path.name.startswith("coresys") else "input[data-test-result=passed]"
        start = page.evaluate("performance.now()")
        page.evaluate("press => document.querySelector(press)?.click()", press)
        return drawn, nodes, (page.evaluate(DRAWN) - start) / 1000


def measured(opened: Any, pages: dict[str, tuple[Path, float]], tests: int, runs: int) -> list[Row]:
    """Medians, the pages opened in turn."""
    found: dict[str, list[tuple[float, int, float | None]]] = {name: [] for name in pages}
    for _ in range(runs):
        for name, (path, _) in pages.items():
            found[name].append(looked_at(opened, path))
    return [
        Row(
            name,
            tests,
            path.stat().st_size,
            found[name][0][1],
            statistics.median(each[0] for each in found[name]),
            statistics.median(each[2] or 0.0 for each in found[name]),
            made,
        )
        for name, (path, made) in pages.items()
    ]


def missed(rows: list[Row]) -> list[str]:
    """The goals that were missed, a line each."""
    lines = []
    by_page = {(row.page, row.tests): row for row in rows}
    for row in rows:
        if row.page != "coresys":
            continue
        size, seconds = GOALS.get(row.tests, (float("inf"), float("inf")))
        lines += [f"{row.tests:,} tests: {row.size:,} bytes, goal {size:,}"] if row.size > size else []
        lines += [f"{row.tests:,} tests: drawn in {row.drawn:.2f} s, goal {seconds}"] if row.drawn > seconds else []
        lines += [f"{row.tests:,} tests: {row.nodes:,} nodes, goal {MOST_NODES:,}"] if row.nodes > MOST_NODES else []
        other = by_page.get(("pytest-html", row.tests))
        if other is not None and other.drawn < TIMES_AS_FAST * row.drawn:
            lines.append(f"{row.tests:,} tests: {other.drawn / row.drawn:.1f} times as fast, goal {TIMES_AS_FAST:g}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", default="10000,100000", help="how many tests, with commas between")
    parser.add_argument("--runs", type=int, default=5, help="how often each page is opened")
    parser.add_argument("--rival-up-to", type=int, default=10_000, help="most tests that pytest-html is tried on")
    parser.add_argument("--json", type=Path, help="write every figure there")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, browsers.browser() as opened:
        print(f"Chromium {opened.version}")
        print(f"{'page':<12} {'tests':>8} {'bytes':>12} {'nodes':>9} {'drawn':>8} {'filter':>8} {'made':>8}")
        for tests in map(int, arguments.tests.split(",")):
            pages = {"coresys": ours(tests, Path(folder))}
            if tests <= arguments.rival_up_to:
                pages["pytest-html"] = theirs(tests, Path(folder))
            for row in measured(opened, pages, tests, arguments.runs):
                rows.append(row)
                print(
                    f"{row.page:<12} {row.tests:>8,} {row.size:>12,} {row.nodes:>9,} {row.drawn:>6.2f} s"
                    f" {row.filtered or 0:>6.2f} s {row.made:>6.1f} s",
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    lines = missed(rows)
    print("\n".join(f"missed: {line}" for line in lines) or "all goals are met")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
