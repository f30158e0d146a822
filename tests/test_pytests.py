"""A pytest that is forked is as one whose interpreter was started for it."""

from __future__ import annotations

import json
import os
import signal
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


def test_an_interrupted_wait_leaves_no_answer_to_the_next_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="import time\ndef test_it(): time.sleep(0.5)", test_other="def test_other(): assert 0")

    def interrupt(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(InterruptedError):
            pytester.run(sys.executable, "-m", "pytest", "test_it.py")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert pytester.run(sys.executable, "-m", "pytest", "test_other.py").ret == 1


def test_where_the_server_has_died_there_is_a_new_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="import os, signal\ndef test_it(): os.kill(os.getppid(), signal.SIGKILL)")
    with pytest.raises(RuntimeError, match="died"):
        pytester.run(sys.executable, "-m", "pytest", "test_it.py")
    pytester.makepyfile(test_it="def test_it(): pass")
    assert pytester.run(sys.executable, "-m", "pytest", "test_it.py").ret == 0


def test_what_is_read_when_our_modules_are_imported_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("CORESYS_TEST_FRESH", None)
    assert pytests.can_be_forked(environment)
    assert not pytests.can_be_forked({**environment, "CORESYS_PURE_LOCKS": "1"})


def test_a_path_that_the_server_was_given_comes_first_in_each_run(tmp_path: Path) -> None:
    """Or who runs these tests on another checkout by PYTHONPATH would be told of the installed one."""
    (tmp_path / "support").mkdir()
    shadow = tmp_path / "execnet.py"  # which the server imports
    shadow.write_text("SHADOW = True", encoding="utf-8")
    (tmp_path / "test_it.py").write_text("import execnet\ndef test_it(): assert execnet.SHADOW", encoding="utf-8")
    code = f"""
import os, sys
sys.path.insert(0, {os.path.dirname(pytests.__file__)!r})
import pytests
os.chdir({str(tmp_path)!r})
environment = {{**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}}
streams = [open(os.devnull, "rb"), open("out", "wb"), open("errors", "wb")]
sys.exit(pytests.Server.running().run(["-p", "no:xdist", "test_it.py"], environment, streams, timeout=60))
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr + (tmp_path / "out").read_bytes()
