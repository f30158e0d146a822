"""Settings that changed while modules were imported: a repetition, which imports none, may tell who changed them."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tests are repeated on Linux only")

SUITE = """
import functools, logging, os, signal, sys, pytest
def test_the_module_sets_it():
    import sets_a_signal
def test_the_test_sets_it():
    import sets_nothing
    signal.signal(signal.SIGUSR2, lambda *_: None)
@pytest.mark.coresys_budget(memory_growth="1 MB")
def test_both_set_something():
    import sets_a_path
    sys.path.append(f"/of-the-test/{len(sys.path)}")
def test_puts_back_what_the_module_set():
    import sets_a_level
    sets_a_level.log.setLevel("DEBUG")
    sets_a_level.log.setLevel("INFO")
@functools.cache
def install():
    import sets_nothing_at_all
    signal.signal(signal.SIGVTALRM, signal.SIG_IGN)
def test_once(): install()
LEAKED = []
def test_relies_on_what_the_module_set():
    import sets_another
    with open("pid", "x"): pass
    os.environ["MINE"] = "1"
    os.kill(os.getpid(), signal.SIGALRM)
    os.remove("pid")
    LEAKED.append(open(os.devnull))
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(
        test_it=SUITE,
        sets_a_signal="import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\n",
        sets_another="import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)\n",
        sets_a_path="import sys\nsys.path.append('/of-the-module')\n",
        sets_a_level="import logging\nlog = logging.getLogger('my app')\nlog.setLevel('INFO')\n",
        sets_nothing="",
        sets_nothing_at_all="",
    )
    return pytester


def run(pytester: pytest.Pytester, *options: str) -> dict[str, Any]:
    """The tests of the run file, by name."""
    words = ("-p", "no:randomly", "-p", "no:xdist", "--coresys-budget", "--coresys-json", "run.json", *options)
    pytester.runpytest_subprocess(*words)
    record = json.loads((pytester.path / "run.json").read_text(encoding="utf-8"))
    return {test["nodeid"].rpartition("::")[2]: test for test in record["tests"]}


def finding(test: dict[str, Any], key: str = "globals.changed") -> dict[str, Any]:
    (found,) = [each for each in test["findings"] if each["key"] == key]
    return dict(found)


@pytest.mark.slow
@pytest.mark.inner
def test_what_each_repetition_changes_is_the_tests(suite: pytest.Pytester) -> None:
    tests = run(suite)
    settings = {name: test["measures"]["globals.changed"] for name, test in tests.items()}
    assert {name: (each["verdict"], each["value"]) for name, each in settings.items()} == {
        "test_the_module_sets_it": ("not_measured", None),
        "test_the_test_sets_it": ("over", 1),
        "test_both_set_something": ("over", 1),
        "test_puts_back_what_the_module_set": ("not_measured", None),
        "test_once": ("not_measured", None),
        "test_relies_on_what_the_module_set": ("over", 1),
    }
    found = finding(tests["test_the_test_sets_it"])
    assert [(place["line"], place["note"]) for place in found["locations"]] == [(6, "signal SIGUSR2 changed here")]
    (detail,) = finding(tests["test_both_set_something"])["details"]
    assert "/of-the-test/" in detail
    assert "/of-the-module" not in detail
    assert {test["outcome"] for name, test in tests.items() if "relies" not in name} == {"passed"}


@pytest.mark.slow
@pytest.mark.inner
def test_putting_settings_back_spoils_nothing_else(suite: pytest.Pytester) -> None:
    test = run(suite, "-k", "relies")["test_relies_on_what_the_module_set"]
    assert [place["line"] for place in finding(test)["locations"]] == [24]
    assert [place["line"] for place in finding(test, "descriptors.leaked")["locations"]] == [27]
    assert not (suite.path / "pid").exists()  # no repetition was ended in its midst, by a signal that nobody handles


def test_without_repetitions_they_stay_suspicions(suite: pytest.Pytester) -> None:
    tests = run(suite, "--coresys-repeat", "0", "-k", "not relies")
    assert {test["measures"]["globals.changed"]["verdict"] for test in tests.values()} == {"not_measured"}
    assert {finding(test)["level"] for test in tests.values()} == {"suspicion"}
