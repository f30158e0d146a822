"""The run as one plain dict, built record by record on the controller. What renders a run reads only this.

Nothing here knows pytest: records arrive as ``wire`` makes them, whether from this process or from a worker.
"""

from __future__ import annotations

import os
import platform
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Any

from coresys.records import Finding
from pytest_coresys.config.errors import ValueProblem
from pytest_coresys.config.keys import matching_keys
from pytest_coresys.criteria.model import CriteriaFile
from pytest_coresys.criteria.records import result_to_dict
from pytest_coresys.criteria.run import RunCriteria, told
from pytest_coresys.measures import GROWTH, MEASURES, OF_SOAK
from pytest_coresys.reports.orders import KEY as ORDERS
from pytest_coresys.reports.orders import Orders, with_lock_ids
from pytest_coresys.reports.reading import tests_text
from pytest_coresys.wire import NO_BUDGET, SCHEMA, WORKER_DIED, plain, plain_number, plain_text

DIED = WORKER_DIED
NOT_RUN = "not run: the session stopped before it"
NOT_JUDGED = "not judged: the session was ended before it was"

# How the plugin words a coresys_skip: such a measure was left out on purpose, and is exempt from require_measured.
SKIPPED_BY_MARKER = "skipped by marker"

_FINDING_LEVELS = ("error", "suspicion", "warn")  # worst first; a suspicion may yet be an error
_OTHERWISE_EXEMPT = frozenset({"xfailed", "error"})


class RunReport:
    """Collects the records of a run, from one process or from many, and makes the run file's dict of them.

    ``each`` is for ``--dist each``, where every worker runs every test: only then is a test whose worker died
    kept beside a later record of the same test from another worker, instead of taking that for a rerun.
    """

    def __init__(
        self,
        *,
        mode: str,
        workers: int = 0,
        profile: str = "default",
        rootpath: str | os.PathLike[str] | None = None,
        require_measured: Sequence[str] = (),
        started: datetime | None = None,
        run_id: str | None = None,
        each: bool = False,
        criteria: CriteriaFile | None = None,
    ) -> None:
        self.mode, self.workers, self.profile = mode, workers, profile
        self.rootpath, self.require_measured, self.each = rootpath, tuple(require_measured), each
        self.started = started or datetime.now(timezone.utc)
        self.run_id = run_id or uuid.uuid4().hex
        self._order: dict[str, None] = {}  # as a set that remembers: collection order, then order of arrival
        self._records: dict[str, dict[str | None, dict[str, Any]]] = {}  # by node id, then by worker
        self._crashed: dict[str, dict[str | None, dict[str, Any]]] = {}
        self._unjudged: dict[str, tuple[str, str | None]] = {}  # outcome and worker, while there is no record
        self._marked: dict[
            tuple[str, str | None], Sequence[str]
        ] = {}  # criteria of tests that run now, by their markers
        self._run_findings: dict[tuple[str, str], dict[str, Any]] = {}
        self.orders = Orders()
        self.hints: list[str] = []  # of the baseline, for whoever looks at the run
        self.excused = 0  # excesses that it knows
        self._of_criteria: Callable[[Sequence[Mapping[str, Any]]], list[dict[str, Any]]] | None = None
        self._criteria = RunCriteria(criteria or CriteriaFile("", builtin=True))

    def collected(self, nodeids: Iterable[str]) -> None:
        """Note tests that are to run; each will be listed, with a record or without. May be told twice."""
        self._order.update(dict.fromkeys(plain_text(nodeid) for nodeid in nodeids))

    def known_tests(self) -> list[str]:
        """The ids of all that was collected, or run."""
        return list(self._order)

    def add_test(self, record: dict[str, Any]) -> None:
        """Take the record of one test; of several from one worker (reruns) the last is kept."""
        nodeid, worker = record["nodeid"], record.get("worker")
        if (order := record.get("locks")) is not None:
            self.orders.add(order, nodeid, worker)
        self._criteria.add(record.get("criteria"), nodeid, worker)
        self._marked.pop((nodeid, worker), None)
        if "locks" in record or "criteria" in record:
            record = {name: value for name, value in record.items() if name not in ("locks", "criteria")}
        self._order.setdefault(nodeid)
        self._records.setdefault(nodeid, {})[worker] = record
        self._unjudged.pop(nodeid, None)
        if self.each:
            self._crashed.get(nodeid, {}).pop(worker, None)
        else:
            self._crashed.pop(nodeid, None)

    def orders_between_tests(self) -> list[Finding]:
        """Findings about locks that different tests took in different orders."""
        measures = {
            nodeid: record["measures"][ORDERS]
            for nodeid, records in self._records.items()
            for record in records.values()
            if ORDERS in record["measures"]
        }
        return self.orders.between_tests(measures)

    def record_of(self, nodeid: str, worker: str | None = None) -> dict[str, Any] | None:
        """That of a test that has been judged."""
        return self._records.get(plain_text(nodeid), {}).get(worker)

    def verdicts(self) -> str:
        """How many tests there are of each verdict so far, in words."""
        return tests_text(self._tests())

    def ran(self, nodeid: str, outcome: str, worker: str | None = None) -> None:
        """Note what pytest reports of a test whose record is still to come, and may not: the run may be ended."""
        self._unjudged.setdefault(plain_text(nodeid), (outcome, worker))

    def begun(self, nodeid: str, marked: Sequence[str], worker: str | None = None) -> None:
        """Note the criteria that a test is evidence for by its marker, should its worker die before it tells them."""
        self._marked[plain_text(nodeid), worker] = marked

    def crashed(self, nodeid: str, worker: str | None = None) -> None:
        """Note that a worker died while it ran this test, which pytest reports as failed.

        With ``each``, the worker must be told: the others' records of the test are none of its tries.
        """
        nodeid = plain_text(nodeid)
        self._order.setdefault(nodeid)
        self._criteria.add(told({}, self._marked.pop((nodeid, worker), ())), nodeid, worker)
        earlier = self._records.get(nodeid, {})  # an earlier try (a rerun); the crash came last
        if self.each:
            earlier.pop(worker, None)
        else:
            earlier.clear()
        self._crashed.setdefault(nodeid, {})[worker] = _unmeasured(nodeid, "failed", DIED, worker)

    def add_run_finding(self, finding: dict[str, Any]) -> None:
        """Take a finding of the run. Equal ones (same key and owner), as from two workers, become one."""
        owner = finding.get("owner")
        # Without an owner (a lock cycle between tests) only the words tell findings apart.
        identity = (finding["key"], f"owner {owner}" if owner is not None else f"summary {finding['summary']}")
        known = self._run_findings.get(identity)
        new = {"details": [], "locations": [], "holders": [], "owner": None, "tests": [], **finding}
        self._run_findings[identity] = new if known is None else _united(known, new)

    def run_findings(self) -> list[dict[str, Any]]:
        """Findings of the run, the worst first."""
        return sorted(self._run_findings.values(), key=_finding_order)

    def judge_anew(
        self,
        finding: Callable[[Mapping[str, Any]], dict[str, Any]],
        criteria: Callable[[Sequence[Mapping[str, Any]]], list[dict[str, Any]]],
    ) -> None:
        """Have findings of the run, and criteria when they are judged, changed by these: what is known is a warning."""
        self._run_findings = {name: finding(each) for name, each in self._run_findings.items()}
        self._of_criteria = criteria

    def finish(
        self,
        duration: float,
        *,
        workers: int | None = None,
        noise_floor: Mapping[str, float] | None = None,
        effort: Mapping[str, Any] | None = None,
        soak: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The whole run, as written to the run file.

        ``effort`` tells what was spent on repetitions: ``spent`` seconds, ``share`` of the run (None: without
        limit), ``floor`` seconds, ``unrepeated`` tests, and how many of those would have taken ``too_long``, ``notes``;
        ``repeated`` is counted unless given. ``soak`` is there in a soak: ``series`` by key, and ``facts`` of each
        process.
        """
        locks = plain(self.orders.section())
        tests = [_with_lock_ids(test, locks) for test in self._tests()]
        run: dict[str, Any] = {
            "schema": SCHEMA,
            "run": {
                "id": self.run_id,
                "started": self.started.isoformat(),
                "duration": plain_number(duration),
                "mode": self.mode,
                "workers": self.workers if workers is None else workers,
                **_versions(),
                "machine": machine(),
                "commit": None if self.rootpath is None else commit_of(Path(self.rootpath)),
                "noise_floor": plain(noise_floor or {}),
                "profile": plain_text(self.profile),
                "require_measured": [plain_text(pattern) for pattern in self.require_measured],
                "effort": _effort(effort, tests),
            },
            "tests": tests,
            "findings": with_lock_ids(self.run_findings(), locks),
            "criteria": self._criteria_of(tests),
            "soak": {} if soak is None else plain(soak["series"]),
            "locks": locks,
        }
        file = self._criteria.file
        run["run"]["criteria"] = {
            "file": plain_text(file.name),
            "told": self._criteria.has_evidence,
            "origin": plain_text(file.origin),
        }
        if soak is not None:
            run["run"]["soak"] = plain(soak["facts"])
        run["summary"] = summary_of(run, self.require_measured)
        return run

    def _criteria_of(self, tests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        found = [result_to_dict(each) for each in self._criteria.results(tests)]
        return found if self._of_criteria is None else self._of_criteria(found)

    def _tests(self) -> Iterator[dict[str, Any]]:
        for nodeid in self._order:
            found = {**self._records.get(nodeid, {}), **self._crashed.get(nodeid, {})}
            if not found and nodeid in self._unjudged:
                outcome, worker = self._unjudged[nodeid]
                yield _unmeasured(nodeid, outcome, NOT_JUDGED, worker)
            elif not found:
                yield _unmeasured(nodeid, "skipped", NOT_RUN, None)
            elif self.each:
                yield from (found[worker] for worker in sorted(found, key=_worker_order))
            else:
                yield from found.values()  # two workers ran it although nobody said "each": both are facts


def _with_lock_ids(test: dict[str, Any], locks: Mapping[str, Any]) -> dict[str, Any]:
    if not any(finding.get("locks") for finding in test["findings"]):
        return test
    return {**test, "findings": with_lock_ids(test["findings"], locks, test["nodeid"])}


def moment(text: str) -> datetime:
    """A time as run files have it; Python 3.10 reads no "Z"."""
    return datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)


def has_run(run: Mapping[str, Any]) -> bool:
    """Whether any test was run at all, unlike with ``--collect-only``."""
    return any(test["outcome"] != "skipped" or test["why"] != NOT_RUN for test in run["tests"])


def is_of_one_run(test: Mapping[str, Any]) -> bool:
    """Whether it is within on the evidence of one run alone, which shows nothing small."""
    growth = [test["measures"][key] for key in GROWTH if key in test["measures"]]
    return test["verdict"] in ("within", "near") and any(each["evidence"] == "screened" for each in growth)


def breaches(run: Mapping[str, Any], require: Sequence[str] = ()) -> list[str]:
    """What keeps the run from being compliant, a line each: errors, criteria that are over, required figures."""
    lines = [
        f"{test['nodeid']}: {finding['summary']}"
        for test in run["tests"]
        for finding in test["findings"]
        if finding["level"] == "error"
    ]
    lines += [
        f"{finding.get('owner') or 'the run'}: {finding['summary']}"
        for finding in run["findings"]
        if finding["level"] == "error"
    ]
    lines += [f"criterion {criterion['id']}: over" for criterion in criteria_over(run)]
    return lines + [f"required, but not measured: {each}" for each in required_unmeasured(run, require)]


def criteria_over(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The criteria that fail the run: over, and not of level warn."""
    return [
        criterion
        for criterion in run.get("criteria", ())
        if criterion["verdict"] == "over" and criterion.get("level") != "warn"
    ]


def required_unmeasured(run: Mapping[str, Any], patterns: Sequence[str]) -> list[str]:
    """What ``patterns`` (globs over keys) require and was not measured, as ``KEY in NODEID: why``.

    Only budgets in force count. Tests that were skipped, are expected to fail, or failed by themselves are exempt,
    and so is what a ``coresys_skip`` marker left out: it is known, and said, that nothing was measured there. A
    test that the session did not come to is not exempt: nobody decided to leave it out. Criteria that are coresys's
    own, which nothing in the run is about, are required by their id, or by a pattern that can mean nothing else.
    """
    if not patterns:
        return []
    found: list[str] = []
    for test in run["tests"] if has_run(run) else ():
        if not _is_exempt(test):
            found += _unmeasured_in(test, patterns)
    for key in OF_SOAK:
        entry = run.get("soak", {}).get(key)
        if entry and _is_open_in_a_soak(entry) and _matches(key, patterns):
            found.append(f"{key} in the soak: {entry.get('why') or 'it was not judged'}")
    of_criteria = [each for each in patterns if _may_mean_criteria(run, each)]
    for criterion in run.get("criteria", ()):
        identity = criterion["id"]
        if criterion["verdict"] == "not_measured" and (identity in patterns or _matches(identity, of_criteria)):
            found.append(f"{identity}: {criterion.get('why')}")
    return found


def _may_mean_criteria(run: Mapping[str, Any], pattern: str) -> bool:
    """Whether a pattern asks for criteria too: those that are built in have areas of the names that measures have
    (``locks.*``), and where no test recorded any, nobody who asks for the measures can mean them."""
    if run["run"].get("criteria", {}).get("told", True):
        return True
    return not any(fnmatchcase(key, pattern) for key in _known_measures(run))


def _known_measures(run: Mapping[str, Any]) -> list[str]:
    """The keys of all measures: ours, those of other plugins that tests have, and those of a soak."""
    return [*MEASURES, *(key for test in run["tests"] for key in test["measures"]), *run.get("soak", {})]


def _is_open_in_a_soak(entry: Mapping[str, Any]) -> bool:
    return entry.get("verdict", "not_measured") == "not_measured" and entry.get("level") != "off"


def unmatched(run: Mapping[str, Any], patterns: Sequence[str]) -> list[str]:
    """What ``patterns`` require of which this run has nothing at all, a line each: a typo is no requirement fulfilled.

    A measure that exists, and is off in this run or not in force in this kind of it, is no typo.
    """
    known = [*dict.fromkeys(_known_measures(run)), *(criterion["id"] for criterion in run.get("criteria", ()))]
    found = []
    for pattern in patterns:
        try:
            matching_keys(pattern, known, tuple)
        except ValueProblem as error:
            found.append(f"required: {error.problem}")
        else:
            if not has_run(run):
                found.append(f"required, but not measured: {pattern}: no test was run")
    return found


def _unmeasured_in(test: Mapping[str, Any], patterns: Sequence[str]) -> list[str]:
    nodeid, measures = test["nodeid"], test["measures"]
    if not measures and test["verdict"] == "not_measured":  # a test that was to run, and all of it unseen
        asked_for = not _is_marked(test) and test["why"] != NO_BUDGET
        return [f"{', '.join(patterns)} in {nodeid}: {test['why']}"] if asked_for else []
    return [
        f"{key} in {nodeid}: {measure['why']}"
        for key, measure in measures.items()
        if measure["verdict"] == "not_measured"
        and measure["level"] != "off"
        and not _is_marked(measure)
        and _matches(key, patterns)
    ]


def _is_exempt(test: Mapping[str, Any]) -> bool:
    if test["outcome"] == "failed":
        # Failed by itself, unless a budget may have failed it. If both, the run is not compliant anyway.
        return not any(finding["level"] == "error" for finding in test["findings"])
    if test["outcome"] == "skipped":
        return bool(test["why"] != NOT_RUN)
    return test["outcome"] in _OTHERWISE_EXEMPT


def _is_marked(entry: Mapping[str, Any]) -> bool:
    return str(entry["why"]).startswith(SKIPPED_BY_MARKER)


def _matches(key: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def summary_of(run: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    """The ``summary`` of a run whose other parts are there."""
    counts = Counter(test["verdict"] for test in run["tests"])
    return {
        "tests": len(run["tests"]),
        **{verdict: counts[verdict] for verdict in ("over", "near", "within", "not_measured")},
        "compliant": not breaches(run, patterns),
        "required_unmeasured": required_unmeasured(run, patterns),
    }


def _effort(effort: Mapping[str, Any] | None, tests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    repeated = sum(1 for test in tests if test["repetitions"] > 0)
    defaults: dict[str, Any] = {
        "spent": 0.0,
        "explaining": 0.0,
        "share": None,
        "floor": None,
        "repeated": repeated,
        "unrepeated": 0,
        "too_long": 0,
        "notes": [],
    }
    told = plain(effort or {})
    return {**defaults, **told}


def _unmeasured(nodeid: str, outcome: str, why: str, worker: str | None) -> dict[str, Any]:
    return {
        "nodeid": nodeid,
        "outcome": outcome,
        "verdict": "not_measured",
        "repetitions": 0,
        "worker": worker,
        "why": why,
        "measures": {},
        "findings": [],
    }


def _united(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    # By summary too, not by arrival, which differs from run to run under xdist.
    worse, milder = sorted((one, other), key=lambda finding: (_badness(finding), finding["summary"]))
    united = dict(worse)
    for part in ("tests", "details", "locations", "holders"):
        united[part] = worse[part] + [entry for entry in milder[part] if entry not in worse[part]]
    # The figures of another worker are kept, once.
    others = [line for line in (*united["details"], milder["summary"]) if line != worse["summary"]]
    united["details"] = list(dict.fromkeys(others))
    return united


def _finding_order(finding: Mapping[str, Any]) -> tuple[int, str, str, str]:
    return _badness(finding), finding["key"], finding["owner"] or "", finding["summary"]


def _badness(finding: Mapping[str, Any]) -> int:
    level = finding["level"]
    return _FINDING_LEVELS.index(level) if level in _FINDING_LEVELS else len(_FINDING_LEVELS)


def _worker_order(worker: str | None) -> tuple[int, str]:
    return len(worker or ""), worker or ""  # gw2 before gw10


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "coresys": _version("pytest-coresys"),
        "pytest": _version("pytest"),
    }


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"  # run from a checkout


def machine() -> dict[str, Any]:
    """What figures depend on: processor model, cores, memory in bytes, and system; None where it is not known."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory": _memory_size(),
        "system": f"{platform.system()} {platform.release()}".strip(),
    }


def _cpu_model() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, model = line.partition(":")
                if name.strip() == "model name":
                    return model.strip()
    except OSError:
        pass
    return platform.machine() or None  # not platform.processor(), which starts a process


def _memory_size() -> int | None:
    try:
        import psutil

        return int(psutil.virtual_memory().total)
    except Exception:  # as in containers that hide /proc/meminfo; a missing figure is no reason to stop
        return None


def commit_of(folder: Path) -> str | None:
    """The commit that is checked out at ``folder``, read from git's files; None if that is not to be had.

    No process is started: git may be missing, slow, or refuse the folder as somebody else's.
    """
    try:
        store = _git_folder(folder.resolve())
        return None if store is None else _resolved(store, _first_line_of(store / "HEAD"))
    except (OSError, ValueError):
        return None


def _git_folder(folder: Path) -> Path | None:
    for place in (folder, *folder.parents):
        entry = place / ".git"
        if entry.is_dir():
            return entry
        if entry.is_file():  # a worktree or a submodule: one line, "gitdir: PATH"
            return place / _first_line_of(entry).removeprefix("gitdir:").strip()
    return None


def _resolved(store: Path, head: str) -> str | None:
    if not head.startswith("ref:"):
        return _checked(head)
    ref = head.removeprefix("ref:").strip()
    common = store / "commondir"  # a worktree keeps its branches with the main checkout
    shared = store / _first_line_of(common) if common.is_file() else store
    for place in (store / ref, shared / ref):
        if place.is_file():
            return _checked(_first_line_of(place))
    return _packed(shared / "packed-refs", ref)


def _packed(path: Path, ref: str) -> str | None:
    if not path.is_file():
        return None  # no commit yet
    for line in path.read_text(encoding="utf-8").splitlines():
        commit, _, name = line.partition(" ")
        if name == ref:
            return _checked(commit)
    return None


def _checked(commit: str) -> str | None:
    return commit if len(commit) in (40, 64) and set(commit) <= set("0123456789abcdef") else None


def _first_line_of(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].strip()
