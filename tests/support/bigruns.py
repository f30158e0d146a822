"""Run files of any size, made up: what reports and their benchmarks are tried on. The same for the same arguments."""

from __future__ import annotations

import random
from typing import Any

from coresys.monitoring.histogram import Histogram
from pytest_coresys.criteria.loading import builtin
from pytest_coresys.criteria.model import Criterion, Result
from pytest_coresys.criteria.records import result_to_dict
from pytest_coresys.wire import plain

HOSTILE = (
    "t.py::test_<img src=x onerror=document.title=1>",
    "t.py::test_</script><script>document.title='owned'</script>",
    "t.py::test_[\"'`$(rm -rf)&amp;]",
    "t.py::test_[\u202egnirts\u202c \u2066x\u2069]",
    "t.py::test_[\udcff\ud800]",
    "t.py::test_[\x00\x07\x1b[31m\n<!--]",
    "t.py::test_[\u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627]",
    "javascript:document.title='owned'",
)

_KEYS: tuple[tuple[str, float, str], ...] = (
    ("memory.growth", 0, "B"),
    ("memory.fragmentation", 0.05, "ratio"),
    ("threads.leaked", 0, "count"),
    ("descriptors.leaked", 0, "count"),
    ("processes.leaked", 0, "count"),
    ("tasks.leaked", 0, "count"),
    ("globals.changed", 0, "count"),
    ("locks.contention", 0.05, "ratio"),
    ("locks.deadlocks", 0, "count"),
    ("locks.potential_deadlocks", 0, "count"),
)
_AREAS = ("api", "billing", "cache", "ledger", "orders", "reports", "search", "users")


def run_of(tests: int, *, failing: float = 0.01, criteria: bool = False, seed: int = 7) -> dict[str, Any]:
    """A run of so many tests with ten budgets each, of which a share fails by what it left behind."""
    chance = random.Random(seed)
    listed = [_test(number, chance, fails=chance.random() < failing) for number in range(tests)]
    over = sum(1 for test in listed if test["verdict"] == "over")
    near = sum(1 for test in listed if test["verdict"] == "near")
    results = [result_to_dict(result) for result in _results(listed, chance)] if criteria else []
    for each in results:
        if isinstance(each["value"], float):
            each["trend"] = [each["value"] * chance.uniform(0.8, 1.1) for _ in range(20)]
    bad = over or any(each["verdict"] == "over" for each in results)
    return {
        "schema": 1,
        "run": {
            "id": "0" * 32,
            "started": "2026-11-29T08:30:00+00:00",
            "duration": tests * 0.021,
            "mode": "budget",
            "workers": 4,
            "python": "3.12.1",
            "platform": "Linux-6.1-x86_64-with-glibc2.36",
            "coresys": "0.1.0",
            "pytest": "9.2.0",
            "machine": {"cpu": "Made up", "cores": 4, "memory": 2**34, "system": "Linux 6.1"},
            "commit": "4f1c2ab" + "0" * 33,
            "noise_floor": {"memory.growth": 16},
            "profile": "ci",
            "require_measured": [],
            "effort": {
                "spent": 12.5,
                "explaining": 2.0,
                "share": 0.5,
                "floor": 3,
                "repeated": tests // 2,
                "unrepeated": tests - tests // 2,
                "notes": [],
            },
            "criteria": {"file": "criteria.toml", "told": criteria},
        },
        "tests": listed,
        "findings": [],
        "criteria": results,
        "soak": {},
        "locks": {"nodes": [], "edges": [], "cycles": []},
        "summary": {
            "tests": tests,
            "over": over,
            "near": near,
            "within": tests - over - near,
            "not_measured": 0,
            "compliant": not bad,
            "required_unmeasured": [],
        },
    }


def _test(number: int, chance: random.Random, *, fails: bool) -> dict[str, Any]:
    area = chance.choice(_AREAS)
    file = f"tests/{area}/test_{chance.choice(_AREAS)}_{number % 97}.py"
    nodeid = f"{file}::test_{area}_{chance.choice(_AREAS)}_keeps_to_its_budget[case-{number}]"
    measures = {key: _measure(0, limit, unit) for key, limit, unit in _KEYS}
    measures["memory.growth"]["resolution"] = chance.choice((16, 24, 32, 4096, 16384))
    stranded = round(chance.random() ** 6 * 0.05, 4)
    measures["memory.fragmentation"].update(value=stranded, verdict="near" if stranded >= 0.045 else "within")
    findings = []
    if fails:
        kept = round(chance.lognormvariate(8, 2), 1)
        steps = [round(kept * chance.uniform(0.9, 1.1), 1) for _ in range(12)]
        measures["memory.growth"].update(value=kept, verdict="over", evidence="repeated", series=steps)
        findings.append(_leak(kept, f"app/{area}.py", chance.randrange(10, 400)))
    verdict = "over" if fails else measures["memory.fragmentation"]["verdict"]
    return {
        "nodeid": nodeid,
        "outcome": "failed" if fails else "passed",
        "verdict": verdict,
        "repetitions": 120 if fails else number % 2 * 12,
        "worker": f"gw{number % 4}",
        "why": None,
        "measures": measures,
        "findings": findings,
    }


def _measure(value: float, limit: float, unit: str) -> dict[str, Any]:
    return {
        "value": value,
        "limit": limit,
        "unit": unit,
        "level": "error",
        "origin": "default",
        "evidence": "screened",
        "resolution": 0,
        "verdict": "within",
        "why": None,
        "series": [],
    }


def _leak(kept: float, path: str, line: int) -> dict[str, Any]:
    return {
        "key": "memory.growth",
        "level": "error",
        "summary": f"memory.growth: {kept} B per run > 0 B (default)",
        "details": ["Session: +1 object per run", "dict: +2 objects per run"],
        "locations": [{"path": path, "line": line, "function": "put", "note": f"+{kept} B in 3 blocks per run"}],
        "holders": [[f"{path}:7 global _CACHE", "dict['k']", "list[3]", "Session"]],
    }


def _results(tests: list[dict[str, Any]], chance: random.Random) -> list[Result]:
    """Something of each of the built-in criteria: mostly within, some near, over, and not measured."""
    evidence = tuple(test["nodeid"] for test in tests[:14])
    found = []
    for at, criterion in enumerate(builtin().criteria.values()):
        kind = {3: "over", 8: "near", 14: "not_measured"}.get(at % 19, "within")
        found.append(_result(criterion, kind, evidence, chance))
    return found


def _result(criterion: Criterion, kind: str, evidence: tuple[str, ...], chance: random.Random) -> Result:
    if kind == "not_measured":
        return Result(criterion, "not_measured", why="no test is evidence for it")
    if criterion.statistic == "derived":
        parts = dict.fromkeys(criterion.parts, "within")
        if kind == "over":
            parts[criterion.parts[0]] = "over"
        return Result(criterion, "over" if kind == "over" else "within", kind != "over", parts=parts)  # type: ignore[arg-type]
    if criterion.unit == "bool" or not criterion.limit:
        wrong = kind == "over"
        value = (not wrong) if criterion.unit == "bool" else float(wrong)
        details = ("thread 3 saw 7 where 8 was written",) if wrong else ()
        return Result(criterion, "over" if wrong else "within", value, 5120, evidence=evidence, details=details)
    if criterion.comparison == "==":
        return Result(criterion, "within", criterion.limit, 12, evidence=evidence)
    share = {"over": 1.23, "near": 0.94}.get(kind, chance.uniform(0.05, 0.8))
    histogram = Histogram()
    limit = float(criterion.limit)
    for _ in range(400):
        histogram.record(limit * share * min(chance.lognormvariate(-0.7, 0.4), 1.6))
    verdict: Any = kind
    return Result(criterion, verdict, limit * share, 400, tuple(histogram.distribution(()).buckets), evidence=evidence)


def hostile_run(*, raw: bool = False) -> dict[str, Any]:
    """A run whose ids, paths, places and words try to be more than text.

    Lone surrogates stand in it as escapes, as in every run file; with ``raw`` as they are.
    """
    run = run_of(12, failing=0.5)
    for number, (test, name) in enumerate(zip(run["tests"], HOSTILE * 2, strict=False)):
        test["nodeid"] = name if number < len(HOSTILE) else f"{name}{number}"
        for finding in test["findings"]:
            finding["summary"] += name
            finding["details"].append(name)
            finding["locations"][0].update(path=name, function=name, note=name)
            finding["holders"] = [[name, name]]
        for measure in test["measures"].values():
            measure.update(origin=name, reason=name)
        test["worker"] = name
    first = HOSTILE[0]
    run["locks"] = {
        "nodes": [
            {"id": at, "name": name, "site": name, "kind": "lock", "scope": "instance"}
            for at, name in enumerate(HOSTILE, 1)
        ],
        "edges": [
            {"from": at, "to": at % 3 + 1, "thread": name, "sites": [name, name], "gates": [], "tests": [first]}
            for at, name in enumerate(HOSTILE[:3], 1)
        ],
        "cycles": [{"edges": [0, 1, 2], "tests": [first]}],
    }
    run["run"]["machine"]["cpu"] = run["run"]["profile"] = first
    whole: dict[str, Any] = run if raw else plain(run)
    return whole
