"""Settings that changed while modules were imported: a repetition, which imports none, tells who changed them."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tests are repeated on Linux only")

SUITE = """
import faulthandler, logging, signal, sys
def test_the_module_sets_it():
    import sets_a_signal
def test_the_test_sets_it():
    import sets_nothing
    signal.signal(signal.SIGUSR2, lambda *_: None)
    logging.getLogger("app").setLevel("DEBUG")
def test_both_set_something():
    import sets_another
    if "/nowhere" not in sys.path: sys.path.insert(0, "/nowhere")
def test_nobody_can_put_it_back():
    import sets_nothing_either
    faulthandler.register(signal.SIGTTIN)
def test_only_once():
    import sets_nothing_at_all
    if sys.excepthook is sys.__excepthook__ and not hasattr(sys, "was_set"):
        sys.was_set = True
        sys.excepthook = print
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(
        test_it=SUITE,
        sets_a_signal="import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\n",
        sets_another="import signal\nsignal.signal(signal.SIGTTOU, signal.SIG_IGN)\n",
        sets_nothing="",
        sets_nothing_either="",
        sets_nothing_at_all="",
    )
    return pytester


def run(pytester: pytest.Pytester, *options: str) -> dict[str, Any]:
    """The tests of the run file, by name."""
    words = ("-p", "no:randomly", "-p", "no:xdist", "--coresys-budget", "--coresys-json", "run.json", *options)
    done = pytester.runpytest_subprocess(*words)
    done.assert_outcomes(passed=5)
    record = json.loads((pytester.path / "run.json").read_text(encoding="utf-8"))
    return {test["nodeid"].rpartition("::")[2]: test for test in record["tests"]}


def finding(test: dict[str, Any]) -> dict[str, Any]:
    (found,) = [each for each in test["findings"] if each["key"] == "globals.changed"]
    return dict(found)


@pytest.mark.slow
@pytest.mark.inner
def test_what_is_changed_again_is_the_tests_and_what_is_not_the_modules(suite: pytest.Pytester) -> None:
    tests = run(suite)
    settings = {name: test["measures"]["globals.changed"] for name, test in tests.items()}
    assert {name: (each["verdict"], each["value"]) for name, each in settings.items()} == {
        "test_the_module_sets_it": ("within", 0),
        "test_the_test_sets_it": ("over", 2),
        "test_both_set_something": ("over", 1),
        "test_nobody_can_put_it_back": ("not_measured", None),
        "test_only_once": ("within", 0),
    }
    found = finding(tests["test_the_test_sets_it"])
    assert [(place["line"], place["note"]) for place in found["locations"]] == [
        (6, "signal SIGUSR2 changed here"),
        (7, "logger 'app' changed here"),
    ]
    assert [text[:14] for text in found["details"]] == ["signal SIGUSR2", "logger 'app': "]
    (detail,) = finding(tests["test_both_set_something"])["details"]
    assert detail.startswith("sys.path")
    assert "may have done it, which can not be put back" in settings["test_nobody_can_put_it_back"]["why"]


def test_without_repetitions_they_stay_suspicions(suite: pytest.Pytester) -> None:
    tests = run(suite, "--coresys-repeat", "0")
    assert {test["measures"]["globals.changed"]["verdict"] for test in tests.values()} == {"not_measured"}
    assert {finding(test)["level"] for test in tests.values()} == {"suspicion"}
