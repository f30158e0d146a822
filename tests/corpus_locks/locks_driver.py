"""Run files of the corpus of locks as an ordinary user would, and tell which of them were judged rightly.

A file that is not innocent says what has to be found: ``FINDS`` (the key), ``COUNT`` (how many findings, if that is
certain), ``NEEDS`` (which part of the watch finds it), and, by a comment ``# SITE``, each line that the report has to
name. ``SINCE`` is the oldest Python that can run it. What is there, and is known not to be found, is in ``missed``:
such a file says why (``BECAUSE``), as docs/locks.md does.

Files that cannot hang are run in one session, without repetitions; those where time was lost, which one run does not
make certain, a second time with them. A session that ends without a verdict is run again file by file, so that
one that hangs costs the others nothing. ``support/early_locks.py`` is loaded before the plugin in each of them.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).resolve().parent
POTENTIAL, REAL, CONTENTION, ASYNCHRONOUS, INNOCENT = "potential", "real", "contention", "asynchronous", "innocent"
MISSED = "missed"  # known misses: each of these files says why
KINDS = (POTENTIAL, REAL, CONTENTION, ASYNCHRONOUS, INNOCENT, MISSED)

# Contention is certain when a test was over in its repetitions too, which have to be allowed whatever they take.
_ONCE = ("--coresys-repeat", "0")
_EFFORT = ("--coresys-profile", "strict", "--coresys-repeat", "3")
# Not what is asked here: what else a file leaves behind would have it repeated, and fail.
_OFF = ("memory.growth", "memory.fragmentation", "globals.changed") + tuple(
    f"{kind}.leaked" for kind in ("threads", "descriptors", "processes", "tasks")
)
ALONE = 25.0  # seconds for one file; a deadlock that happens has to be told within 5
_ENDING = 4.0  # for the interpreter to end once the verdict is written: threads that hang may keep it from that
_AT_ONCE = 4  # files or workers; those that hang wait for nothing but their end
_LOCKS = "locks."
_SECONDS = "seconds.json"
_AFTER = "::test_what_comes_after_runs"  # after a deadlock the session goes on, with the next test
_CONSTANT = re.compile(r"^(FINDS|COUNT|NEEDS|SINCE|BECAUSE)\s*=\s*(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """One file. ``finds`` is None for an innocent one; ``sites`` are the lines that the report has to name.

    ``because`` is why a known miss is not found.
    """

    path: Path
    kind: str
    finds: str | None = None
    count: int | None = None
    needs: str = ""
    since: tuple[int, ...] = (3, 10)
    sites: frozenset[int] = frozenset()
    because: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.path.stem}"

    @property
    def may_hang(self) -> bool:
        """Whether it is a real deadlock, so that a run that finds nothing never ends."""
        return self.finds == "locks.deadlocks"


@dataclass(slots=True)
class Seen:
    """What one run said of a case, all its tests together.

    ``counts`` and ``lines`` are by key: how many findings of level error, and the lines of the file that they name.
    ``suspected`` are keys; ``unjudged`` says why a measure of locks was not taken; ``problem`` why there is no verdict.
    ``seconds`` is how long its longest test took.
    """

    counts: dict[str, int] = field(default_factory=dict)
    lines: dict[str, set[int]] = field(default_factory=dict)
    suspected: set[str] = field(default_factory=set)
    unjudged: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    problem: str | None = None
    seconds: float = 0.0

    @property
    def has_lost_time(self) -> bool:
        """Whether a lock cost more than it may, in one run."""
        return any(why.startswith("locks.contention: suspected") for why in self.unjudged)


@dataclass(frozen=True, slots=True)
class Score:
    """``word`` is "found", "clean", "missed", "false", "broken" (no verdict), or "known" of a known miss that was missed.

    ``why`` is for the last four. A known miss that was found is "found", and does not belong among them.
    """

    word: str
    why: str = ""

    @property
    def right(self) -> bool:
        return self.word in ("found", "clean", "known")


def cases(only: str = "*", kinds: Sequence[str] = KINDS) -> list[Case]:
    """The cases; ``only`` is a glob over ``kind/test_x``, or over its last part."""
    found = [_case(path, kind) for kind in kinds for path in sorted((CORPUS / kind).glob("test_*.py"))]
    return [case for case in found if fnmatch(case.name, only) or fnmatch(case.path.stem, only)]


def _case(path: Path, kind: str) -> Case:
    text = path.read_text(encoding="utf-8")
    if kind == INNOCENT:
        said = {name: value for name, value in _CONSTANT.findall(text) if name == "SINCE"}
    else:
        said = dict(_CONSTANT.findall(text))
    since = tuple(int(number) for number in re.findall(r"\d+", said.get("SINCE", "3, 10")))
    sites = {number for number, line in enumerate(text.splitlines(), 1) if line.rstrip().endswith("# SITE")}
    finds, needs = said.get("FINDS"), said.get("NEEDS", "")
    count = int(said["COUNT"]) if "COUNT" in said else None
    because = said.get("BECAUSE", "").strip("\"'")
    return Case(path, kind, finds and finds.strip("\"'"), count, needs.strip("\"'"), since, frozenset(sites), because)


def score(case: Case, seen: Seen) -> Score:
    """Whether a run was right about a case."""
    found = _score(case, seen)
    return Score("known", case.because) if case.because and found.word == "missed" else found


def _score(case: Case, seen: Seen) -> Score:
    if seen.problem is not None:
        return Score("missed" if case.finds else "broken", seen.problem)
    if case.finds is None:
        return _of_innocent(seen)
    others = {key for key in seen.counts if key != case.finds and not _goes_along(case.finds, key)}
    if others:
        return Score("false", f"{', '.join(sorted(others))} as well")
    if case.finds not in seen.counts:
        return Score("missed", "; ".join(why for why in seen.unjudged if why.startswith(case.finds)))
    if case.count is not None and seen.counts[case.finds] != case.count:
        return Score("missed", f"{seen.counts[case.finds]} findings, not {case.count}")
    unnamed = sorted(case.sites - seen.lines.get(case.finds, set()))
    if unnamed:
        return Score("missed", f"lines {unnamed} are not named")
    return Score("found")


def _of_innocent(seen: Seen) -> Score:
    if seen.counts:
        return Score("false", ", ".join(sorted(seen.counts)))
    if any(outcome != "passed" for outcome in seen.outcomes):
        return Score("false", f"outcomes: {', '.join(seen.outcomes)}")
    return Score("clean", f"suspected: {', '.join(sorted(seen.suspected))}" if seen.suspected else "")


def _goes_along(found: str, key: str) -> bool:
    """Whoever meets in a deadlock has taken the locks in orders that make one, and has waited for them."""
    return found == "locks.deadlocks" and key in ("locks.potential_deadlocks", "locks.contention")


# -- running --------------------------------------------------------------------------------------------------------


def run(
    chosen: Iterable[Case], *, python: str = sys.executable, version: tuple[int, ...] | None = None
) -> dict[Case, Seen]:
    """Run cases with ``--coresys-budget`` and tell what the run files say. Those too new for the Python are left out."""
    version = version_of(python) if version is None else version
    able = [case for case in chosen if case.since <= version]
    hang = [case for case in able if case.may_hang]
    found = _together([case for case in able if not case.may_hang], python)
    found |= _together([case for case in hang if not case.because], python, workers=_AT_ONCE)
    found |= _each([case for case in hang if case.because], python)
    lost = [case for case, seen in found.items() if seen.has_lost_time]
    found |= _together(lost, python, effort=_EFFORT)
    return {case: found[case] for case in able}


def version_of(python: str) -> tuple[int, ...]:
    """Which Python it is: major and minor."""
    asked = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    return tuple(int(number) for number in asked.stdout.split())


def _together(
    chosen: list[Case], python: str, *, workers: int = 0, effort: Sequence[str] = _ONCE
) -> dict[Case, Seen]:
    if len(chosen) < 2:
        return _each(chosen, python, effort)
    seconds = 60.0 + 8.0 * len(chosen)
    facts, problem = _session(chosen, python, seconds, workers, effort)
    return _each(chosen, python, effort) if facts is None else {case: _seen(case, facts) for case in chosen}


def _each(chosen: list[Case], python: str, effort: Sequence[str] = _ONCE) -> dict[Case, Seen]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(chosen, pool.map(lambda case: _alone(case, python, effort), chosen), strict=True))


def _alone(case: Case, python: str, effort: Sequence[str]) -> Seen:
    facts, problem = _session([case], python, ALONE, 0, effort)
    return Seen(problem=problem) if facts is None else _seen(case, facts)


def _session(
    chosen: list[Case], python: str, seconds: float, workers: int, effort: Sequence[str]
) -> tuple[dict[str, Any] | None, str]:
    """The run file of one session over some cases; or None, and why there is none."""
    with _folder(chosen) as folder:
        verdict = folder / "run.json"
        command = [python, "-m", "pytest", *sorted({case.kind for case in chosen}), "--import-mode=importlib"]
        command += ["-p", "no:cacheprovider", "-p", "early_locks", "-p", "coresys", "--coresys-budget"]
        command += [*effort, "--coresys-json", str(verdict)]
        command += [word for key in _OFF for word in ("--coresys-set", f"{key}=off")]
        command += ["-p", "xdist", "-n", str(workers)] if workers else []
        problem = _pytest(command, folder, verdict, seconds)
        try:
            facts: dict[str, Any] = json.loads(verdict.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None, problem or f"no run file; {_tail(folder)}"
        with contextlib.suppress(OSError, ValueError):  # it ended before that was written
            facts["seconds"] = json.loads((folder / _SECONDS).read_text(encoding="utf-8"))
        return facts, ""


@contextlib.contextmanager
def _folder(chosen: list[Case]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="locks-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "tmp").mkdir()
        shutil.copytree(CORPUS / "support", folder / "support")
        for case in chosen:
            (folder / case.kind).mkdir(exist_ok=True)
            shutil.copy(case.path, folder / case.kind)
        yield folder


def _pytest(command: list[str], folder: Path, verdict: Path, seconds: float) -> str:
    """Run it until it has ended, or has written its verdict, or its time is up; the last is what is returned."""
    with open(folder / "output.txt", "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = time.monotonic()
    written: float | None = None
    try:
        while process.poll() is None:
            time.sleep(0.05)
            now = time.monotonic()
            if written is None and verdict.exists():
                written = now
            if written is not None and now - written > _ENDING:
                return ""
            if now - started > seconds:
                return f"not done after {seconds:.0f} s"
        return ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(folder: Path) -> dict[str, str]:
    """Ours, without what an outer pytest, its plugins or a CI service would say to an inner one."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_", "CORESYS_", "GITHUB_")) and name != "CI"
    }
    return {
        **kept,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder / "support"), kept.get("PYTHONPATH")])),
        "TMPDIR": str(folder / "tmp"),
        "LOCKS_SECONDS": str(folder / _SECONDS),
    }


def _tail(folder: Path) -> str:
    text = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    return " | ".join(text.strip().splitlines()[-3:])


# -- reading --------------------------------------------------------------------------------------------------------


def _seen(case: Case, facts: dict[str, Any]) -> Seen:
    place = f"{case.kind}/{case.path.name}"
    tests = [test for test in facts["tests"] if test["nodeid"].partition("::")[0] == place]
    if not tests:
        return Seen(problem="no test was collected")
    taken = facts.get("seconds", {})
    seen = Seen(
        outcomes=[test["outcome"] for test in tests],
        seconds=max(taken.get(test["nodeid"], 0.0) for test in tests),
    )
    for test in tests:
        for finding in test["findings"]:
            _add(seen, finding, place)
        for key, measure in test["measures"].items():
            if key.startswith(_LOCKS) and measure["verdict"] == "not_measured":
                seen.unjudged.append(f"{key}: {measure['why']}")
    for finding in facts.get("findings", ()):
        if any(node.partition("::")[0] == place for node in finding.get("tests", ())):
            _add(seen, finding, place)
    if any(test["nodeid"].endswith(_AFTER) and test["outcome"] != "passed" for test in tests):
        seen.problem = "the test after it did not pass"
    failed = [test["nodeid"] for test in tests if test["outcome"] != "passed"]
    if failed and not seen.counts and case.finds is not None:
        seen.problem = f"{failed[0]} failed by itself"
    return seen


def _add(seen: Seen, finding: dict[str, Any], place: str) -> None:
    key = finding["key"]
    if not key.startswith(_LOCKS):
        return
    if finding["level"] == "suspicion":
        seen.suspected.add(key)
    if finding["level"] != "error":
        return
    seen.counts[key] = seen.counts.get(key, 0) + 1
    lines = seen.lines.setdefault(key, set())
    lines.update(where["line"] for where in finding["locations"] if where["path"].endswith(place))
