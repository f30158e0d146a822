"""Run the validation suites, and the plugin on the examples: what is planted in the leaky one fails by line, and
nothing else does.

``--with-suites`` measures every success criterion first (validation.json, validation.xml and the report,
compliance.html, in build/) and prints how many are within. Then the leaky example runs alone and with two workers, its
cured twin, and the service of orders that is built on the core systems: leaky.json, leaky-n2.json, cured.json,
cured-n2.json and orders.json in build/. Exit status 0 when no criterion is over and no suite failed, when exactly the
tests of planted.txt failed, each once, by its measure and what follows from that, with its line named in the text and
in the run file; and when the cured twin and the orders have no finding at all, of a test or of the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build"


@dataclass(frozen=True)
class Planted:
    """One of them: the measure that tells of it, the lines at fault as ``path:line``, and the test that finds it."""

    key: str
    places: tuple[str, ...]  # two, where two locks are concerned
    nodeid: str


@dataclass(frozen=True)
class Run:
    """What one run of an example printed, and its tests from the run file, by node id."""

    name: str
    text: str
    status: int
    tests: dict[str, dict[str, Any]]
    findings: list[dict[str, Any]]  # of the run, which no test owns

    @property
    def failed(self) -> set[str]:
        return {nodeid for nodeid, test in self.tests.items() if test["outcome"] in ("failed", "error")}


def suites() -> Iterator[str]:
    """Run the validation suites as a user would, with budgets on; what is wrong with them."""
    BUILD.mkdir(exist_ok=True)
    target = BUILD / "validation.json"
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--pyargs", "validation_suites", "--coresys-budget"]
    page = BUILD / "compliance.html"
    command += ["--coresys-json", str(target), "--junitxml", str(BUILD / "validation.xml")]
    command += ["--coresys-report", str(page)]
    print(f"== pytest {' '.join(command[3:])}", flush=True)
    status = subprocess.run(command, cwd=HERE.parent, check=False).returncode
    print(flush=True)
    if target.exists():
        subprocess.run([sys.executable, "-m", "validation_suites.document", str(target)], cwd=HERE.parent, check=False)
        print(f"report: {page}\n", flush=True)
    if status:
        yield f"the validation suites ended with exit status {status}"


def planted() -> list[Planted]:
    """The leaks of planted.txt."""
    lines = (HERE / "planted.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split(None, 2) for line in lines if line and not line.startswith("#"))
    return [Planted(key, tuple(places.split(",")), nodeid) for key, places, nodeid in rows]


def run(example: str, name: str, *options: str) -> Run:
    """Run an example with its own configuration, and print what it prints."""
    BUILD.mkdir(exist_ok=True)
    target = BUILD / f"{name}.json"
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "--coresys-budget", "--coresys-json", str(target), *options]
    print(f"== {example}: pytest {' '.join(command[3:])}", flush=True)
    done = subprocess.run(
        command,
        cwd=HERE / f"{example}_service",
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    print(done.stdout, flush=True)
    facts = json.loads(target.read_text(encoding="utf-8"))
    tests = {test["nodeid"]: test for test in facts["tests"]}
    return Run(name, done.stdout, done.returncode, tests, facts["findings"])


def problems_of(leaky: Run, leaks: list[Planted]) -> Iterator[str]:
    """What is missing in a run of the leaky example, or too much."""
    for leak in leaks:
        test = leaky.tests.get(leak.nodeid)
        if test is None or test["outcome"] != "failed":
            yield f"{leaky.name}: not found: {leak.nodeid} ({leak.key})"
            continue
        findings = [each for each in test["findings"] if each["key"] == leak.key and each["level"] == "error"]
        places = {f"{place['path']}:{place['line']}" for finding in findings for place in finding["locations"]}
        if not findings:
            yield f"{leaky.name}: {leak.nodeid} failed, and not for {leak.key}"
        elif not places.issuperset(leak.places):
            yield f"{leaky.name}: {leak.nodeid}: {', '.join(leak.places)} are not all among {sorted(places)}"
        # What leaks keeps memory too, a pipe with a process, a setting with a handler: at the same place, or at none.
        file = leak.places[0].rpartition(":")[0]
        for other in test["findings"]:
            files = {place["path"] for place in other["locations"]} or {file}
            if other["level"] == "error" and file not in files:
                yield f"{leaky.name}: {leak.nodeid}: not planted there: {other['summary']}"
        missing = [place for place in leak.places if place not in leaky.text]
        yield from (f"{leaky.name}: {place} is not in the text ({leak.nodeid})" for place in missing)
        if leaky.text.count(f"\nFAILED {leak.nodeid}") != 1 or f"\nERROR {leak.nodeid}" in leaky.text:
            yield f"{leaky.name}: {leak.nodeid} is not reported exactly once"
    for nodeid in sorted(leaky.failed - {leak.nodeid for leak in leaks}):
        yield f"{leaky.name}: failed though nothing is planted there: {nodeid}"
    yield from (f"{leaky.name}: {finding['summary']} ({finding['owner']})" for finding in leaky.findings)
    if leaky.status != 1:
        yield f"{leaky.name}: exit status {leaky.status}, not 1"


def problems_of_clean(clean: Run) -> Iterator[str]:
    """Whatever was found in a run in which there is nothing to find: suspicions too."""
    for nodeid, test in clean.tests.items():
        yield from (f"{clean.name}: {nodeid}: {finding['summary']}" for finding in test["findings"])
    yield from (f"{clean.name}: {finding['summary']} ({finding['owner']})" for finding in clean.findings)
    yield from (f"{clean.name}: {nodeid} failed" for nodeid in sorted(clean.failed))
    if not clean.tests or clean.status != 0:
        yield f"{clean.name}: {len(clean.tests)} tests, exit status {clean.status}"


def main() -> int:
    """Run all, and print a line for each thing that is not as planted."""
    failed = list(suites()) if "--with-suites" in sys.argv[1:] else []
    leaks = planted()
    workers = ("-n", "2")
    leaky = (run("leaky", "leaky"), run("leaky", "leaky-n2", *workers))
    cured = (run("cured", "cured"), run("cured", "cured-n2", *workers))
    wrong = failed + [line for each in leaky for line in problems_of(each, leaks)]
    wrong += [line for each in cured for line in problems_of_clean(each)]
    wrong += problems_of_clean(run("orders", "orders"))
    print(
        "\n".join(wrong)
        or f"validated: {len(leaks)} planted leaks found, nothing else; the cured twin and the orders are clean"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
