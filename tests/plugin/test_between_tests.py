"""Settings are read once a test where nothing can change them between two, and twice where something can."""

from __future__ import annotations

import json

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
    "verdict": "def pytest_coresys_verdict(item): change()",
    "budgets": "def pytest_coresys_budgets(item): change()",
    "probe": """
class Probe:
    key, unit = "some.thing", "count"
    def start(self): change()
    def stop(self): return 0.0
def pytest_coresys_probes(config): return [Probe()]
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
    assert "read 17 times" in text or "read 16 times" in text  # before and after each of 8
