"""Under xdist: the same verdicts in every mode, plain data across processes, and a dead worker costs only its test."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from innersuite import InnerSuite

execnet = pytest.importorskip("execnet")
pytest.importorskip("xdist")
pytestmark = [pytest.mark.slow, pytest.mark.inner]

SUITE = """
import os, threading, pytest
KEPT = []
def test_clean(): pass
def test_object(): KEPT.append(object())
@pytest.mark.xdist_group("one")
def test_descriptor(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
def test_thread():
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
@pytest.mark.parametrize("number", range(4))
def test_many(number): assert number >= 0
def test_fails(): assert 0
@pytest.mark.skip
def test_skips(): pass
@pytest.mark.xfail
def test_xfails(): assert 0
"""
FOUND = {
    "test_object": {"memory.growth"},
    "test_descriptor": {"descriptors.leaked"},
    "test_thread": {"threads.leaked"},
}


@pytest.fixture
def inner(inner: InnerSuite) -> InnerSuite:
    """A folder with the suite, to be run in processes of its own."""
    Path(inner.path, "test_it.py").write_text(SUITE)
    return inner


@pytest.mark.parametrize(
    "mode",
    [
        "-n 2",
        "-n 4",
        "-n 2 --dist loadscope",
        "-n 2 --dist loadfile",
        "-n 2 --dist loadgroup",
        "-n 2 --dist worksteal",
    ],
)
def test_verdicts_are_the_same_in_every_mode(inner: InnerSuite, mode: str) -> None:
    run = inner.run("--coresys-budget", "--coresys-profile", "strict", *mode.split())
    assert run.status == 1
    found = {name: keys & {"memory.growth"} if name == "test_object" else keys for name, keys in run.found().items()}
    assert {name: keys & FOUND[name] for name, keys in found.items()} == FOUND, run.text
    outcomes = {
        test["nodeid"].rpartition("::")[2].rpartition("@")[0] or test["nodeid"].rpartition("::")[2]: test
        for test in run.facts["tests"]
    }
    assert len(run.facts["tests"]) == 11
    assert outcomes["test_clean"]["verdict"] == "within"
    assert outcomes["test_skips"]["outcome"] == "skipped"
    assert outcomes["test_xfails"]["outcome"] == "xfailed"
    assert outcomes["test_fails"]["outcome"] == "failed"
    count = int(mode.split()[1])
    assert run.facts["run"]["workers"] == count
    workers = {test["worker"] for test in run.facts["tests"]}
    assert workers <= {f"gw{number}" for number in range(count)}
    assert "INTERNALERROR" not in run.text


def test_each_worker_that_ran_a_test_has_its_own_entry(inner: InnerSuite) -> None:
    run = inner.run("--coresys-budget", "--coresys-profile", "strict", "--dist", "each", "--tx", "2*popen")
    by_name: dict[str, set[str]] = {}
    for test in run.facts["tests"]:
        by_name.setdefault(test["nodeid"].rpartition("::")[2], set()).add(test["worker"])
    assert set(map(len, by_name.values())) == {2}
    for name, keys in FOUND.items():
        entries = [test for test in run.facts["tests"] if test["nodeid"].endswith("::" + name)]
        assert all(keys <= {finding["key"] for finding in entry["findings"]} for entry in entries)


def test_the_first_failure_stops_the_workers(inner: InnerSuite) -> None:
    run = inner.run("--coresys-budget", "-x", "-n", "1")
    assert run.status in (1, 2)
    not_run = [test for test in run.facts["tests"] if not test["measures"]]
    assert not_run
    assert all(test["verdict"] == "not_measured" and test["why"] for test in not_run)


def test_a_dead_worker_costs_only_the_test_that_it_ran(inner: InnerSuite) -> None:
    Path(inner.path, "test_it.py").write_text(
        """
import os, signal, pytest
KEPT = []
def test_first(): pass
def test_dies(): os.kill(os.getpid(), signal.SIGKILL)
def test_leaks(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
@pytest.mark.parametrize("number", range(6))
def test_many(number): pass
"""
    )
    bare, run = inner.run("-n", "2"), inner.run("--coresys-budget", "-n", "2")
    assert run.status == bare.status == 1
    assert len(run.facts["tests"]) == 9
    died = run.test("test_dies")
    assert (died["outcome"], died["verdict"]) == ("failed", "not_measured")
    assert died["why"] == "its worker died while it ran"
    assert run.found().keys() == {"test_leaks"}
    others = [test for test in run.facts["tests"] if "many" in test["nodeid"] or "first" in test["nodeid"]]
    assert {test["verdict"] for test in others} == {"within"}


def test_only_plain_data_crosses_between_processes(inner: InnerSuite) -> None:
    Path(inner.path, "conftest.py").write_text(
        """
import pytest
@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    import execnet, json, os
    if hasattr(report, "coresys"):
        execnet.dumps(report.coresys), execnet.dumps(report.coresys_run), execnet.dumps(list(report.user_properties))
        with open(f"crossed-{os.getpid()}.jsonl", "a") as file: file.write(json.dumps(report.coresys) + "\\n")
"""
    )
    run = inner.run("--coresys-budget", "-n", "2")
    files = list(inner.path.glob("crossed-*.jsonl"))
    crossed = [json.loads(line)["nodeid"] for file in files for line in file.read_text().splitlines()]
    assert set(crossed) == {test["nodeid"] for test in run.facts["tests"]}
    assert "DumpError" not in run.text


def test_junit_tells_the_measures_of_tests_that_workers_ran_once_each(inner: InnerSuite) -> None:
    inner.run("--coresys-budget", "-n", "2", "--junitxml", "junit.xml")
    cases = list(ElementTree.parse(inner.path / "junit.xml").getroot().iter("testcase"))
    assert cases
    for case in cases:
        names = [each.get("name") for each in case.iter("property")]
        assert names.count("coresys.descriptors.leaked") == 1
