"""Run files of the corpus as an ordinary user would, and read the verdicts.

Each run has a process and a folder of its own: an empty ``pytest.ini`` makes that folder the root, and of all plugins
only the one in question is loaded, as in an environment where nothing else is installed. What the files leave running
is ended with the run. ``run`` is for one file, ``run_together`` for many in one session, as the tests of a project
are: half of what one file costs is beginning. A file whose verdict would not be the same there says why (``ALONE``).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).resolve().parent
_ENDING = 5.0  # seconds for the interpreter to end once the verdict is written; leaked threads may keep it from that
_TIMEOUT = 300.0
_LEAKS = re.compile(r"""^LEAKS\s*=\s*["']([\w.]+)["']""", re.MULTILINE)
_ALONE = re.compile(r"""^ALONE\s*=\s*["'](.+)["']$""", re.MULTILINE)

_LIMIT_LEAKS = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.limit_leaks("1 KB"))
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One file. ``expected`` is the key that a leaky one says it leaks (``LEAKS = "..."``); None: any will do.

    ``alone`` is why it needs a session of its own (``ALONE = "..."``); empty: it does not.
    """

    path: Path
    leaky: bool
    expected: str | None = None
    alone: str = ""

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"

    def is_right(self, seen: Seen) -> bool:
        """Whether the verdict is the true one. A run without a verdict is never right."""
        if seen.problem is not None:
            return False
        if not self.leaky:
            return not seen.flagged
        return bool(seen.flagged) if self.expected is None else self.expected in seen.flagged


@dataclass(frozen=True, slots=True)
class Seen:
    """What one run said of a case, all its tests together.

    ``flagged`` and ``suspected`` are keys of findings of level error and suspicion; ``unjudged`` says why a measure
    that was to be taken was not; ``problem`` is why the run says nothing at all. ``seconds`` is what the run took,
    ``spent`` what it says that repeating took of it. ``repeated`` are the measures that repetitions judged, as they
    stand in the run file: who wonders why a case was missed sees there what was read.
    """

    flagged: frozenset[str] = frozenset()
    suspected: frozenset[str] = frozenset()
    unjudged: tuple[str, ...] = ()
    repetitions: int = 0
    seconds: float = 0.0
    spent: float = 0.0
    repeated: tuple[str, ...] = ()
    problem: str | None = None


def cases(folder: Path = CORPUS, only: str = "*") -> list[Case]:
    """The cases of a corpus, leaky ones first; ``only`` is a glob over ``leaky/test_x``, or over its last part."""
    found = [
        _case(path, leaky=kind == "leaky")
        for kind in ("leaky", "innocent")
        for path in sorted((folder / kind).glob("test_*.py"))
    ]
    return [case for case in found if fnmatch(case.name, only) or fnmatch(case.path.stem, only)]


def _case(path: Path, *, leaky: bool) -> Case:
    text = path.read_text(encoding="utf-8")
    leaks, alone = _LEAKS.search(text) if leaky else None, _ALONE.search(text)
    return Case(path, leaky, leaks[1] if leaks else None, alone[1] if alone else "")


def run(case: Case, *, profile: str = "default", options: Sequence[str] = (), python: str = sys.executable) -> Seen:
    """Run a case with ``--coresys-budget`` in a profile and tell what the run file says."""
    facts, seconds, problem = _session([case], profile, options, python)
    return Seen(seconds=seconds, problem=problem) if facts is None else _seen(facts, seconds)


def run_together(chosen: Iterable[Case], *, profile: str) -> dict[Case, Seen]:
    """Run cases in one session, in the order given, and tell what the run file says of the tests of each.

    ``seconds`` and ``spent`` are those of the session. Without a run file each of them has that problem: nothing is
    tried again, for a file that ends the session of others is wrong there.
    """
    able = list(chosen)
    facts, seconds, problem = _session(able, profile, (), sys.executable)
    if facts is None:
        return dict.fromkeys(able, Seen(seconds=seconds, problem=problem))
    return {case: _of_one(case, facts, seconds, able) for case in able}


def _session(
    chosen: list[Case], profile: str, options: Sequence[str], python: str
) -> tuple[dict[str, Any] | None, float, str]:
    """The run file of one session over these cases, its seconds, and why there is no run file, if so."""
    with _folder(chosen) as folder:
        target = folder / "run.json"
        arguments = [*_names(chosen), "-p", "coresys", "--coresys-budget", "--coresys-profile", profile, *options]
        status, seconds = _pytest(python, folder, [*arguments, "--coresys-json", str(target)], target)
        try:
            return json.loads(target.read_text(encoding="utf-8")), seconds, ""
        except (OSError, ValueError) as error:
            return None, seconds, f"{status}; no run file: {error}; {_tail(folder)}"


def _of_one(case: Case, facts: dict[str, Any], seconds: float, others: Iterable[Case]) -> Seen:
    """What the run file of many says of one: its tests, and the findings of the run that name them.

    A finding of the run that names no test at all speaks against each innocent case, and for no leaky one; one that
    shows a line of another case is charged to the wrong test.
    """

    def is_ours(nodeid: str) -> bool:
        return nodeid.partition("::")[0] == case.path.name

    tests = [test for test in facts["tests"] if is_ours(test["nodeid"])]
    of_run = [
        finding
        for finding in facts.get("findings", ())
        if any(map(is_ours, finding["tests"])) or not (finding["tests"] or case.leaky)
    ]
    seen = _seen({"run": facts["run"], "tests": tests, "findings": of_run}, seconds)
    names = {other.path.name for other in others} - {case.path.name}
    findings = [finding for part in ({"findings": of_run}, *tests) for finding in part["findings"]]
    strange = {Path(where["path"]).name for finding in findings for where in finding["locations"]} & names
    return replace(seen, problem=f"charged with lines of {', '.join(sorted(strange))}") if strange else seen


def _seen(facts: dict[str, Any], seconds: float) -> Seen:
    tests: list[dict[str, Any]] = facts["tests"]
    findings = [finding for part in (facts, *tests) for finding in part.get("findings", ())]
    unjudged = [
        f"{key}: {measure['why']}"
        for test in tests
        for key, measure in test["measures"].items()
        if measure["verdict"] == "not_measured"
    ]
    return Seen(
        flagged=_keys(findings, "error"),
        suspected=_keys(findings, "suspicion"),
        unjudged=tuple(unjudged),
        repetitions=sum(test["repetitions"] for test in tests),
        seconds=seconds,
        spent=facts["run"].get("effort", {}).get("spent", 0.0),
        repeated=tuple(
            f"{key}: {measure}"
            for test in tests
            for key, measure in test["measures"].items()
            if measure["evidence"] == "repeated" and any(measure.get("series") or ())
        ),
        problem=_problem(tests),
    )


def _keys(findings: list[dict[str, Any]], level: str) -> frozenset[str]:
    return frozenset(finding["key"] for finding in findings if finding["level"] == level)


def _problem(tests: list[dict[str, Any]]) -> str | None:
    """What keeps the run from being a verdict: nothing was collected, or a test failed by itself."""
    if not tests:
        return "no test was collected"
    for test in tests:
        by_budget = any(finding["level"] == "error" for finding in test["findings"])
        if test["outcome"] != "passed" and not (test["outcome"] == "failed" and by_budget):
            return f"{test['nodeid']}: {test['outcome']}"
    return None


def run_memray(case: Case, *, python: str = sys.executable) -> Seen:
    """Run a case with pytest-memray and ``limit_leaks("1 KB")`` on each test: the other tool for the same job.

    It measures one run and memory alone, so what it flags is called memory.growth.
    """
    with _folder([case]) as folder:
        (folder / "conftest.py").write_text(_LIMIT_LEAKS, encoding="utf-8")
        arguments = [case.path.name, "-p", "memray", "--memray", "--junitxml", "junit.xml"]
        status, seconds = _pytest(python, folder, arguments, folder / "junit.xml")
        text = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
        flagged = frozenset({"memory.growth"} if "Test was allowed to leak" in text else ())
        wrong = status not in (0, 1) or (status == 1 and not flagged)
        return Seen(flagged, seconds=seconds, problem=f"{status}; {_tail(folder)}" if wrong else None)


# -- the process ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _folder(chosen: list[Case]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="corpus-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "tmp").mkdir()
        for case in chosen:
            shutil.copy(case.path, folder)
        yield folder


def _names(chosen: list[Case]) -> list[str]:
    return [case.path.name for case in chosen]


def _pytest(python: str, folder: Path, arguments: list[str], verdict: Path) -> tuple[int | str, float]:
    """The exit status of pytest with these arguments, or how it ended, and the seconds until it ended by itself.

    Where it did not, what counts is when it had written its verdict.
    """
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
    started = time.monotonic()
    with open(folder / "output.txt", "wb") as output:
        # Into a file: a process that the case leaves behind would hold a pipe open.
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return _ended(process, verdict, started)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ended(process: subprocess.Popen[bytes], verdict: Path, started: float) -> tuple[int | str, float]:
    written: float | None = None
    while True:
        try:
            return process.wait(0.5), time.monotonic() - started
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if written is None and verdict.exists():
            written = now
        if written is not None and now - written > _ENDING:
            return "did not end by itself", written - started
        if now - started > _TIMEOUT:
            return f"not done after {_TIMEOUT:.0f} s", now - started


IN_PLACE = "CORESYS_REPEAT_IN_PLACE"  # the other way of repeating, for whoever compares the two


def _environment(folder: Path) -> dict[str, str]:
    """Ours, without what an outer pytest, its plugins or a CI service would say to an inner one."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == IN_PLACE or (not name.startswith(("PYTEST_", "COV_", "CORESYS_", "GITHUB_")) and name != "CI")
    }
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(folder / "tmp")}


def _tail(folder: Path) -> str:
    text = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    return " | ".join(text.strip().splitlines()[-3:])
