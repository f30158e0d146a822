"""The standard library's own executor tests, with our pool in the place of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from threads_helping import ROOT, interpreters, no_threads_left  # noqa: F401  # autouse

RUNNER = Path(__file__).with_name("stdlib_executor.py")
LEAST = 30  # tests that ran, of about 40 (3.10) to 70: else the runner has lost some


def _has_the_tests(python: str) -> bool:
    code = "import sys, importlib.util as u; sys.exit(u.find_spec('test.test_concurrent_futures') is None)"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, check=False, timeout=60).returncode == 0
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("version", [f"3.{minor}" for minor in range(10, 15)])
def test_the_standard_librarys_executor_tests_pass_with_our_pool(version: str, tmp_path: Path) -> None:
    python = interpreters().get(version)
    if python is None or not _has_the_tests(python):
        pytest.skip(f"no Python {version} with test.test_concurrent_futures here")
    report = tmp_path / "report.json"
    result = subprocess.run(
        [python, str(RUNNER), str(report)], capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path
    )
    assert report.exists(), result.stderr[-3000:]
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["failed"] == []
    assert found["ran"] >= LEAST


def test_the_runner_stands_beside_the_library() -> None:
    assert RUNNER.exists()
    assert (ROOT / "coresys" / "threads" / "pool.py").exists()
