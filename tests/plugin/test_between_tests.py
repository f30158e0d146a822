"""Settings are read once a test where nothing can change them between two, and twice where something can."""

from __future__ import annotations

import json
import re

import pytest

SUITE = """
import os, warnings, pytest
def test_first(): pass
def test_changes(): os.environ["MINE"] = "1"
def test_after_it(): pass
@pytest.mark.coresys_budget(globals_changed="off")
def test_unwatched(): os.environ["UNWATCHED"] = "1"
def test_after_that(): pass
@pytest.mark.filterwarnings("ignore:mine")
def test_filtered(): pass
def test_after_the_filter(): warnings.simplefilter("ignore", ResourceWarning)
def test_mask(): os.umask(0o077)
def test_last(): pass
"""

# Says how often the settings were read.
COUNTING = """
from coresys.measure.settings import SettingsSnapshot
taken, take = [0], SettingsSnapshot.take
def counting(*args):
    taken[0] += 1
    return take(*args)
def pytest_configure(): SettingsSnapshot.take = counting
def pytest_unconfigure(): print("read", taken[0], "times")
"""


def changed(pytester: pytest.Pytester, *options: str) -> tuple[list[str], str]:
    """Names of the tests that were found to have changed settings, and the text of the run."""
    pytester.makepyfile(test_it=SUITE)
    budget = ("--coresys-budget", "--coresys-repeat", "0", "--coresys-json", "run.json")
    text = pytester.runpytest_subprocess("-p", "no:randomly", *budget, *options).stdout.str()
    tests = json.loads((pytester.path / "run.json").read_text())["tests"]
    assert len(tests) == 9, text
    over = [test for test in tests if test["measures"].get("globals.changed", {}).get("verdict") == "over"]
    return [test["nodeid"].rpartition("::")[2] for test in over], text


def test_what_one_test_left_is_what_the_next_one_found(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(COUNTING)
    over, text = changed(pytester)
    assert over == ["test_changes", "test_mask"], text
    # One for each of 8 tests, and one before those that come first or after the one that is not watched.
    assert "read 10 times" in text


def test_filters_that_a_mark_sets_are_nobodys_change(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(COUNTING)
    over, text = changed(pytester, "-p", "no:warnings")
    assert over == ["test_changes", "test_after_the_filter", "test_mask"], text


HOOKS = {
    "finish": "def pytest_runtest_logfinish(nodeid): change()",
    "report": "def pytest_runtest_logreport(report):\n    if report.when == 'teardown': change()",
    "status": "def pytest_report_teststatus(report):\n    if report.when == 'teardown': change()",
    "verdict": "def pytest_coresys_verdict(item): change()",
    "budgets": "def pytest_coresys_budgets(item): change()",
    "probe": """
class Probe:
    key, unit = "some.thing", "count"
    def start(self): change()
    def stop(self): return 0.0
def pytest_coresys_probes(config): return [Probe()]
""",
    "late": """
import pytest
class Late:
    def pytest_runtest_logfinish(self): change()
@pytest.fixture(scope="session", autouse=True)
def late(pytestconfig): pytestconfig.pluginmanager.register(Late())
""",
    "protocol": """
import pytest
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    change()
    return (yield)
""",
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS.keys())
def test_what_a_hook_changes_between_tests_is_no_tests(pytester: pytest.Pytester, hook: str) -> None:
    change = "import os\ndef change(): os.environ['COUNT'] = str(int(os.environ.get('COUNT', '0')) + 1)\n"
    pytester.makeconftest(COUNTING + change + hook)
    over, text = changed(pytester)
    assert over == ["test_changes", "test_mask"], text
    (count,) = re.findall(r"read (\d+) times", text)
    assert int(count) >= 15  # before and after each of 8


WAITS = """
import os, threading, time, pytest
class TestServer:
    @pytest.fixture(scope="class")
    def server(self):
        stop = threading.Event()
        def serve():
            os.environ["SERVING"] = "1"
            ready.set()
            stop.wait()
            time.sleep(0.3)
            del os.environ["SERVING"]
        ready = threading.Event()
        threading.Thread(target=serve).start()
        ready.wait()
        yield
        stop.set()
    def test_asks(self, server): pass
def test_next(): pass
def test_dies_when_repeated():
    if os.getpid() != PID:
        time.sleep(0.3)
        os._exit(3)
    def late():
        time.sleep(0.1)
        os.environ["LATE"] = "1"
    threading.Thread(target=late, daemon=True).start()
def test_after(): pass
PID = os.getpid()
"""


@pytest.mark.parametrize("repeat", [(), ("--coresys-repeat", "0")], ids=["", "0"])
def test_what_threads_set_while_we_waited_is_no_tests(pytester: pytest.Pytester, repeat: tuple[str, ...]) -> None:
    pytester.makepyfile(test_it=WAITS)
    budget = ("--coresys-budget", "--coresys-json", "run.json", "-W", "ignore", *repeat)
    text = pytester.runpytest_subprocess("-p", "no:randomly", *budget).stdout.str()
    tests = json.loads((pytester.path / "run.json").read_text())["tests"]
    over = {test["nodeid"] for test in tests if test["measures"]["globals.changed"]["verdict"] == "over"}
    # Without a repetition nobody waits for what the last test but one set in motion: it may come during the last.
    assert over <= {"test_it.py::test_dies_when_repeated", *(["test_it.py::test_after"] if repeat else [])}, text
    assert len(tests) == 4, text


FAKES = """
import os, sys, unittest.mock as mock, pytest
def numbers(): return set(os.listdir("/proc/self/fd"))
before = []
@pytest.fixture(scope="class")
def broken(request):
    names = "open", "fstat", "listdir", "readlink", "getpid", "pread"  # without which pytest does
    patches = [mock.patch("os." + name, side_effect=AssertionError(name)) for name in names]
    for each in patches: each.start()
    yield
    for each in patches: each.stop()
class TestBare:
    def test_counts(self): before.append(numbers())
class TestBroken:
    @pytest.mark.parametrize("n", range(30))
    def test_passes(self, broken, n): pass
class Odd:
    get = pop = lambda self, *names: None
    __setitem__ = lambda self, name, value: None
class TestStrange:
    @pytest.fixture(scope="class")
    def strange(self):
        with mock.patch("os.environ", Odd()): yield
    def test_passes(self, strange): pass
class TestAfter:
    def test_counts(self): assert len(numbers()) == len(before[0])
"""


def test_fakes_that_stay_up_between_tests_break_nothing_of_ours(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=FAKES)
    off = ("-s", "-p", "no:randomly", "-p", "no:cacheprovider", "-W", "ignore")  # capturing needs fstat
    bare = pytester.runpytest_subprocess(*off)
    watched = pytester.runpytest_subprocess(*off, "--coresys-budget", "--coresys-repeat", "0")
    assert bare.ret == 0
    assert watched.parseoutcomes() == bare.parseoutcomes(), watched.stdout.str()
    assert watched.ret == bare.ret


def test_one_that_closes_all_descriptors_and_keeps_some_of_its_own(pytester: pytest.Pytester) -> None:
    """A stale owner closes its number again in the end: it has to be nobody's by then, or his who opened it."""
    pytester.makepyfile(
        test_it="""
        import os
        kept = []
        def test_closes(): os.closerange(3, 4096)
        def test_opens(): kept.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(8))
        def test_lowest(): assert sorted(kept) == list(range(3, 11))
        """
    )
    run = pytester.runpytest_subprocess("-s", "-p", "no:randomly", "--coresys-budget", "--coresys-repeat", "0")
    assert run.ret == 0
    run.assert_outcomes(passed=3)
