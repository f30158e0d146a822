"""Run a small suite bare and with the plugin, each in a process of its own, and tell what each showed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Sees every report in the process that shows it: phase, outcome and kind, as pytest logged them.
_RECORDER = """
import json, pytest
seen, started, finished = {}, [], []

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
        with open("recorded.json", "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump({"seen": seen, "started": started, "finished": finished}, file)

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(), "inner-recorder")
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

    def run(self, *arguments: str, stdin: bytes | None = None, plugins: Sequence[str] = ()) -> Inner:
        """Run pytest there with these arguments."""
        recorded, target = Path(self.path, "recorded.json"), Path(self.path, "run.json")
        recorded.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        words = (
            ["-p", "inner_recorder", "-p", "no:cacheprovider"] if "--lf" not in arguments else ["-p", "inner_recorder"]
        )
        if not any(word in plugins for word in ("randomly",)):
            words += ["-p", "no:randomly"]
        measuring = any(word in ("--coresys-budget", "--coresys-observe") for word in arguments)
        given = any(word.startswith("--coresys-json") for word in arguments)
        words += ["--coresys-json", "run.json"] if measuring and not given else []
        if measuring and not any(word.startswith(("--coresys-profile", "--coresys-repeat")) for word in arguments):
            words += ["--coresys-profile", "strict"]  # what is found must not hang on how busy the machine is
        python = self._pytester._getpytestargs() if hasattr(self._pytester, "_getpytestargs") else ()
        result = self._pytester.run(*python, *words, *arguments, stdin=stdin or b"", timeout=120)
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

    def both(self, *arguments: str, **options: Any) -> tuple[Inner, Inner]:
        """Bare, and with a budget and no limit to the effort."""
        return self.run(*arguments, **options), self.run(*arguments, "--coresys-budget", **options)


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
