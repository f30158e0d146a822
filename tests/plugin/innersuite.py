"""Run a small suite bare and with the plugin, each in a process of its own, and tell what each showed."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytests import fresh_interpreters  # tests/support

# Sees every report in the process that shows it: phase, outcome and kind, as pytest logged them.
_RECORDER = """
import json, pytest
seen, started, finished = {}, [], []
PATH = __file__.replace("inner_recorder.py", "recorded.json")

class Recorder:
    def pytest_runtest_logstart(self, nodeid): started.append(nodeid)
    def pytest_runtest_logfinish(self, nodeid): finished.append(nodeid)
    def pytest_runtest_logreport(self, report):
        words = [report.when, report.outcome]
        if hasattr(report, "wasxfail"): words.append("xfail")
        if type(report).__name__ != "TestReport": words.append(type(report).__name__)
        seen.setdefault(report.nodeid, []).append(" ".join(words))
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus):
        with open(PATH, "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump({"seen": seen, "started": started, "finished": finished}, file)

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(), "inner-recorder")
"""

LEAK = """
import os
KEPT = []
def test_leaks(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
"""


@dataclass
class Inner:
    """One run: its exit status and text, the reports by node id, and the run file if there is one."""

    status: int
    text: str
    seen: dict[str, list[str]]
    started: list[str]
    finished: list[str]
    facts: dict[str, Any]

    def found(self, level: str = "error") -> dict[str, set[str]]:
        """Keys of the findings of a level, by the name of the test."""
        by_name: dict[str, set[str]] = {}
        for test in self.facts["tests"]:
            keys = {finding["key"] for finding in test["findings"] if finding["level"] == level}
            if keys:
                by_name[test["nodeid"].rpartition("::")[2]] = keys
        return by_name

    def test(self, name: str) -> dict[str, Any]:
        """The entry of the run file for the test of that name."""
        (found,) = (test for test in self.facts["tests"] if test["nodeid"].rpartition("::")[2] == name)
        return dict(found)


class InnerSuite:
    """A folder with a suite in it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.path = pytester.path
        pytester.makepyfile(inner_recorder=_RECORDER)
        pytester.syspathinsert()
        pytester._monkeypatch.setenv("PYTHONPATH", str(self.path))  # also where a run starts in a folder below

    def run(self, *arguments: str, stdin: bytes = b"", folder: str = ".", fresh: bool = False) -> Inner:
        """Run pytest with these arguments, there or in a folder below; ``fresh``: in an interpreter started for it."""
        recorded, target = Path(self.path, "recorded.json"), Path(self.path, "run.json")
        recorded.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        words = ["-p", "inner_recorder"]
        words += [] if "--lf" in arguments else ["-p", "no:cacheprovider"]
        words += [] if "randomly" in arguments else ["-p", "no:randomly"]
        if "--coresys-budget" in arguments or "--coresys-observe" in arguments:
            words += [] if "--coresys-json" in arguments else ["--coresys-json", str(target)]
            if not any(word.startswith(("--coresys-profile", "--coresys-repeat")) for word in arguments):
                words += ["--coresys-profile", "strict"]  # what is found must not hang on how busy the machine is
        os.chdir(Path(self.path, folder))
        with fresh_interpreters() if fresh else nullcontext():
            result = self._pytester.run(sys.executable, "-m", "pytest", *words, *arguments, stdin=stdin, timeout=120)
        facts = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
        data = json.loads(recorded.read_text(encoding="utf-8")) if recorded.exists() else {}
        return Inner(
            int(result.ret),
            "\n".join((*result.outlines, *result.errlines)),
            data.get("seen", {}),
            data.get("started", []),
            data.get("finished", []),
            facts,
        )

    def both(self, *arguments: str) -> tuple[Inner, Inner]:
        """Bare, and with a budget and no limit to the effort."""
        return self.run(*arguments), self.run(*arguments, "--coresys-budget")


def changed(bare: Inner, measured: Inner) -> dict[str, tuple[list[str] | None, list[str] | None]]:
    """Reports that differ, by the name of the test."""
    names = bare.seen.keys() | measured.seen.keys()
    return {
        name.rpartition("::")[2]: (bare.seen.get(name), measured.seen.get(name))
        for name in sorted(names)
        if bare.seen.get(name) != measured.seen.get(name)
    }


FAILED_BY_US = (
    ["setup passed", "call passed", "teardown passed"],
    ["setup passed", "call failed", "teardown passed"],
)
