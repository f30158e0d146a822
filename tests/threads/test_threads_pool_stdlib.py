"""The standard library's own executor tests, with our pool in the place of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


def _with_the_tests() -> dict[str, str]:
    found = {version: python for version, python in interpreters().items() if _has_the_tests(python)}
    own = f"3.{sys.version_info[1]}"
    # Half a minute each: one, the one that runs this if it has them, where nobody asks for all.
    chosen = sorted(found, key=lambda version: (version != own, len(version), version))
    return {version: found[version] for version in (chosen if os.environ.get("CORESYS_ALL_PYTHONS") else chosen[:1])}


@pytest.mark.slow
def test_the_standard_librarys_executor_tests_pass_with_our_pool(tmp_path: Path) -> None:
    pythons = _with_the_tests()
    if not pythons:
        pytest.skip("no Python with test.test_concurrent_futures here")
    for version, python in pythons.items():
        executor_tests_pass(python, tmp_path / version)


def executor_tests_pass(python: str, tmp_path: Path) -> None:
    tmp_path.mkdir()
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
