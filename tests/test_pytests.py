"""A pytest that is forked is as one whose interpreter was started for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import pytests  # tests/support

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there each interpreter is started")

TELLS = """
import atexit, json, os, sys
def test_tells():
    told = {
        "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "folder": os.getcwd(),
        "main": __import__("__main__").__file__,
        "environment": {key: value for key, value in os.environ.items() if key != "CORESYS_TEST_FRESH"},
        "stdin": sys.__stdin__.read(), "descriptors": sorted(os.listdir("/proc/self/fd"))[:3],
    }
    with open("told.json", "w", encoding="utf-8") as file:
        json.dump(told, file)
    atexit.register(lambda: open("ended", "w").close())
"""


def test_it_is_told_the_same_and_ends_as_ever(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(test_it=TELLS)
    monkeypatch.setenv("OF_THE_TEST", "1")
    told, lines = [], []
    for fresh in (True, False):
        with monkeypatch.context() as patched:
            if fresh:
                patched.setenv("CORESYS_TEST_FRESH", "1")
            result = pytester.run(sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", stdin=b"one\n")
        assert result.ret == 0
        told.append(json.loads(Path("told.json").read_text(encoding="utf-8")))
        lines.append([line for line in result.outlines if "passed" not in line])
        Path("ended").unlink()
    assert told[0] == told[1]
    assert told[0]["stdin"] == "one\n"
    assert lines[0] == lines[1]


@pytest.mark.parametrize(("ends", "status"), [("os.abort()", -6), ("os._exit(7)", 7), ("assert 0", 1)])
def test_how_it_ends_is_told(pytester: pytest.Pytester, ends: str, status: int) -> None:
    pytester.makepyfile(test_it=f"import os\ndef test_ends(): {ends}")
    assert pytester.runpytest_subprocess("-p", "no:faulthandler").ret == status


def test_one_that_hangs_is_ended_and_the_next_one_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="import threading\ndef test_hangs(): threading.Event().wait()", test_other="def test_it(): pass"
    )
    with pytest.raises(pytester.TimeoutExpired):
        pytester.run(sys.executable, "-m", "pytest", "test_it.py", timeout=1.5)
    assert pytester.runpytest_subprocess("test_other.py").ret == 0


def test_what_the_interpreter_reads_when_it_starts_is_read(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert not pytests.can_be_forked(
        {**pytests._AT_START, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "7"}
    )
    asked = [sys.executable, "-c", "print(hash('a'))"]
    expected = int(subprocess.run(asked, capture_output=True, check=True, text=True).stdout)
    pytester.makepyfile(f"def test_it(): assert hash('a') == {expected}")
    assert pytester.runpytest_subprocess().ret == 0
