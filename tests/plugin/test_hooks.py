"""The hooks of the contract: a small probe of somebody else's gets all that a built-in measure has."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from innersuite import InnerSuite

pytestmark = [pytest.mark.slow, pytest.mark.inner]

# Counts what a program keeps in a registry of its own.
CONFTEST = """
import json, registry
from coresys import Reading

class Entries:
    key, unit, default = "registry.entries", "count", 10
    def start(self): self.before = len(registry.entries)
    def stop(self):
        added = len(registry.entries) - self.before
        if added < 0: return None
        return Reading(added, details=tuple(registry.entries[self.before:][:2]))

class Silent:
    key, unit = "registry.silent", "B"
    def start(self): pass
    def stop(self): return 5

def pytest_coresys_probes(config): return [Entries(), Silent()]

def pytest_coresys_budgets(item):
    if "generous" in item.name: return {"registry.entries": 100}

def pytest_coresys_verdict(item, verdict):
    with open("verdicts.txt", "a") as file: file.write(f"{item.name} {verdict['verdict']}\\n")
    verdict["measures"].clear()

def pytest_coresys_run_finished(run):
    with open("finished.json", "w") as file: json.dump(run, file)
    run.clear()
"""
SUITE = """
import registry, pytest
def add(count): registry.entries.extend(f"entry {number}" for number in range(count))
def test_within(): add(1)
def test_near(): add(9)
def test_over(): add(11)
def test_generous(): add(60)
@pytest.mark.coresys_budget("registry.entries", max=5, reason="#1")
def test_marked(): add(6)
@pytest.mark.coresys_budget(registry_entries=50)
def test_marked_generous(): add(60)
@pytest.mark.coresys_skip("registry.*", reason="not now")
def test_skipped(): add(99)
def test_loses(): registry.entries.clear()
"""


@pytest.fixture
def inner(inner: InnerSuite) -> InnerSuite:
    """A folder with the suite and the probe."""
    for name, text in {"test_it.py": SUITE, "conftest.py": CONFTEST, "registry.py": "entries = []\n"}.items():
        Path(inner.path, name).write_text(text)
    return inner


def test_a_strangers_probe_has_budgets_verdicts_rows_and_properties(inner: InnerSuite) -> None:
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", "--junitxml", "junit.xml")
    said = {
        test["nodeid"].rpartition("::")[2]: tuple(
            test["measures"]["registry.entries"][name] for name in ("value", "limit", "origin", "verdict")
        )
        for test in run.facts["tests"]
    }
    assert said == {
        "test_within": (1, 10, "default", "within"),
        "test_near": (9, 10, "default", "near"),
        "test_over": (11, 10, "default", "over"),
        "test_generous": (60, 100, f"plugin {inner.path / 'conftest.py'}", "within"),
        "test_marked": (6, 5, "marker (test_it.py:8)", "over"),
        "test_marked_generous": (60, 50, "marker (test_it.py:10)", "over"),
        "test_skipped": (None, 10, "default", "not_measured"),
        "test_loses": (None, 10, "default", "not_measured"),
    }
    assert run.found() == {name: {"registry.entries"} for name in ("test_over", "test_marked", "test_marked_generous")}
    # By key: memory of a first run may be suspected beside it, for nothing is repeated here.
    (finding,) = [each for each in run.test("test_over")["findings"] if each["key"] == "registry.entries"]
    assert finding["details"][:1] == ["entry 0"]
    assert run.test("test_loses")["measures"]["registry.entries"]["why"] == "the probe had no reading"
    assert "registry.silent" not in run.test("test_within")["measures"]
    assert "registry.entries: 11 > 10 (default)" in run.text
    assert "near  registry.entries" in run.text
    cases = ElementTree.parse(Path(inner.path, "junit.xml")).getroot().iter("testcase")
    values = {
        case.get("name"): each.get("value")
        for case in cases
        for each in case.iter("property")
        if each.get("name") == "coresys.registry.entries"
    }
    assert values["test_over"] == "11"
    assert values["test_skipped"] == "not measured: skipped by marker: not now"


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_other_plugins_are_told_and_can_damage_nothing(inner: InnerSuite, workers: tuple[str, ...]) -> None:
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", *workers)
    verdicts = dict(line.split() for line in Path(inner.path, "verdicts.txt").read_text().splitlines())
    assert verdicts == {test["nodeid"].rpartition("::")[2]: test["verdict"] for test in run.facts["tests"]}
    assert json.loads(Path(inner.path, "finished.json").read_text()) == run.facts
    assert all(test["measures"] for test in run.facts["tests"])


def test_options_and_configuration_reach_a_strangers_measure(inner: InnerSuite) -> None:
    Path(inner.path, "coresys.toml").write_text('[budgets]\nregistry.silent = "4 B"\n')
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", "--coresys-set", "registry.entries=1000")
    within = run.test("test_within")["measures"]
    assert (within["registry.entries"]["limit"], within["registry.entries"]["origin"]) == (1000, "--coresys-set")
    assert (within["registry.silent"]["verdict"], within["registry.silent"]["origin"]) == ("over", "coresys.toml:2")
    told = inner.run("--coresys-budget", "--coresys-explain", "registry.silent", "-k", "within")
    assert "-> coresys.toml:2: 4 B" in told.text
