"""Outputs for CI: each is valid by its format, and hostile text stays text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prometheus_client.openmetrics import parser

from pytest_coresys.config.errors import ConfigError
from pytest_coresys.reports import ci
from pytest_coresys.reports.outputs import Outputs, ci_outputs
from pytest_coresys.reports.reading import run_text
from pytest_coresys.reports.terminal import summary_lines

# Written down from "Code Quality report format" of docs.gitlab.com/ci/testing/code_quality: what GitLab reads.
GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "additionalProperties": False,
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32,64}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./)(?!/)"},
                    "lines": {"type": "object", "required": ["begin"], "properties": {"begin": {"minimum": 1}}},
                },
            },
        },
    },
}
# Written down from the OASIS standard "Static Analysis Results Interchange Format 2.1.0" (March 2020), sections 3.13,
# 3.14, 3.18, 3.19, 3.27 to 3.30, 3.49: what a log with one run and located results has to have, and may.
_MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
_PLACE = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "id": {"type": "integer", "minimum": -1},
        "message": _MESSAGE,
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "required": ["uri", "uriBaseId"],
                    "properties": {"uri": {"type": "string", "pattern": '^[^ \\\\<>"{}|^`]*$'}},
                },
                "region": {"type": "object", "properties": {"startLine": {"type": "integer", "minimum": 1}}},
            },
        },
    },
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "properties": {"shortDescription": _MESSAGE, "help": _MESSAGE},
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message", "ruleId", "ruleIndex"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": _MESSAGE,
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "locations": {"type": "array", "items": _PLACE, "minItems": 1},
                                "relatedLocations": {"type": "array", "items": _PLACE, "uniqueItems": True},
                                "partialFingerprints": {"additionalProperties": {"type": "string"}},
                            },
                        },
                    },
                },
            },
        },
    },
}
# Written down from the specification of ctrf.io (schema of 2025): what is required, and the names that there are.
_COUNT = {"type": "integer", "minimum": 0}
_COUNTS = ("tests", "passed", "failed", "skipped", "pending", "other", "start", "stop")
CTRF = {
    "type": "object",
    "required": ["results", "reportFormat", "specVersion"],
    "additionalProperties": False,
    "properties": {
        "reportFormat": {"const": "CTRF"},
        "specVersion": {"type": "string", "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+$"},
        "generatedBy": {"type": "string"},
        "results": {
            "type": "object",
            "required": ["tool", "summary", "tests"],
            "additionalProperties": False,
            "properties": {
                "tool": {"type": "object", "required": ["name"]},
                "summary": {
                    "required": list(_COUNTS),
                    "additionalProperties": False,
                    "properties": dict.fromkeys(_COUNTS, _COUNT),
                },
                "tests": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "status", "duration"],
                        "additionalProperties": False,
                        "properties": {
                            "name": {"type": "string", "minLength": 1},
                            "status": {"enum": ["passed", "failed", "skipped", "pending", "other"]},
                            "duration": _COUNT,
                            "start": _COUNT,
                            "stop": _COUNT,
                            "rawStatus": {"type": "string"},
                            "filePath": {"type": "string"},
                            "message": {"type": "string"},
                            "extra": {"type": "object"},
                        },
                    },
                },
                "environment": {"type": "object"},
                "extra": {"type": "object"},
            },
        },
    },
}
HOSTILE = 't.py::test_x[<script>alert(1)</script>|`@team`\n::error::x %0A "q" \u202e]'


def place(path: str, line: int, note: str = "") -> dict[str, Any]:
    return {"path": path, "line": line, "function": "put", "note": note}


def finding(key: str, level: str = "error", *places: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"key": key, "level": level, "summary": f"{key}: 2 > 0 (default)", "details": ["seen twice"],
            "locations": list(places), "holders": [], **more}  # fmt: skip


def measure(value: float, limit: float = 0.0, unit: str = "B") -> dict[str, Any]:
    return {"value": value, "limit": limit, "unit": unit, "level": "error", "verdict": "over", "origin": "default",
            "why": None, "evidence": "repeated", "resolution": 0, "series": []}  # fmt: skip


def test_of(nodeid: str, outcome: str = "failed", *findings: dict[str, Any], **measures: Any) -> dict[str, Any]:
    return {"nodeid": nodeid, "outcome": outcome, "verdict": "over", "repetitions": 3, "worker": None, "why": None,
            "measures": {key.replace("_", ".", 1): each for key, each in measures.items()},
            "findings": list(findings)}  # fmt: skip


test_of.__test__ = False  # type: ignore[attr-defined]


def whole() -> dict[str, Any]:
    leak = finding("memory.growth", "error", place("app/cache.py", 41, "+1 MiB"), place("app/x y.py", 7))
    circle = finding("locks.potential_deadlocks", "error", place("app/pool.py", 31), place("app/cache.py", 12),
                     locks=["app/locks.py:3"], lock_ids=[2])  # fmt: skip
    outside = finding("threads.leaked", "error", place("/usr/lib/python3/queue.py", 9), place("app/work.py", 5))
    nowhere = finding("descriptors.leaked", "warn")
    suspected = finding("memory.growth", "suspicion", place("app/maybe.py", 3))
    criterion = {"id": "shop.time", "verdict": "over", "value": 0.2, "limit": 0.05, "comparison": "<", "unit": "s",
                 "statistic": "p99", "samples": 100, "level": "error", "details": [], "why": None,
                 "evidence": []}  # fmt: skip
    return {
        "schema": 1,
        "run": {"id": "r", "started": "2026-01-01T00:00:00+00:00", "duration": 2.5, "python": "3.12.1", "platform": "x",
                "coresys": "0.1.0", "pytest": "9.0", "criteria": {"told": True, "file": "own.toml"}},
        "summary": {"tests": 5, "over": 3, "near": 0, "within": 1, "not_measured": 1, "compliant": False,
                    "required_unmeasured": ["memory.peak in t.py::z: off"]},
        "tests": [
            test_of("t.py::test_a", "failed", leak, memory_growth=measure(1048576.0)),
            test_of(HOSTILE, "failed", circle, nowhere, locks_contention=measure(0.5, 0.05, "ratio"),
                    time_call=measure(0.25, 1.0, "s")),
            test_of("t.py::test_c", "error", outside, outside),
            test_of("t.py::test_d", "passed", suspected),
            test_of("t.py::test_e", "xfailed"),
        ],
        "findings": [finding("threads.leaked", "error", place("app/fix.py", 9), owner="fixture pool (c.py:9)")],
        "criteria": [criterion, {**criterion, "id": "shop.audited", "unit": "bool", "value": False, "limit": True,
                                 "statistic": "check", "comparison": "=="}],
        "locks": {"nodes": [LOCK], "edges": [], "cycles": []},
    }  # fmt: skip


LOCK = {"id": 2, "name": "Pool.lock", "site": "app/locks.py:3", "kind": "lock", "scope": "class", "function": "make"}
EMPTY: dict[str, Any] = {**whole(), "tests": [], "findings": [], "criteria": []}


@pytest.mark.parametrize("run", [whole(), EMPTY], ids=["whole", "empty"])
@pytest.mark.parametrize(
    ("name", "format_schema"),
    [("gitlab-quality", GITLAB), ("sarif", SARIF), ("ctrf", CTRF)],
    ids=["gitlab", "sarif", "ctrf"],
)
def test_json_is_valid_by_its_format(run: dict[str, Any], name: str, format_schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(format_schema).validate(json.loads(ci.FORMATS[name](run)))


def test_each_format_is_the_same_for_the_same_run() -> None:
    for name, render in ci.FORMATS.items():
        assert render(whole()) == render(whole()), name
        render(whole()).encode()  # what cannot be encoded cannot be written


def test_gitlab_has_what_has_a_place_inside_with_fingerprints_that_last() -> None:
    entries = json.loads(ci.gitlab_quality(whole()))
    assert [(each["location"]["path"], each["location"]["lines"]["begin"], each["severity"]) for each in entries] == [
        ("app/cache.py", 41, "critical"),
        ("app/fix.py", 9, "critical"),
        ("app/work.py", 5, "critical"),
        ("app/work.py", 5, "critical"),
        ("app/pool.py", 31, "critical"),
        ("app/maybe.py", 3, "info"),
    ]
    assert len({each["fingerprint"] for each in entries}) == len(entries)
    moved = whole()
    moved["tests"][0]["findings"][0]["locations"][0]["line"] = 99
    moved["tests"][0]["findings"][0]["summary"] = "memory.growth: 3 > 0"
    assert json.loads(ci.gitlab_quality(moved))[0]["fingerprint"] == entries[0]["fingerprint"]


def test_sarif_names_deadlocks_and_leaks_with_their_other_places() -> None:
    (run,) = json.loads(ci.sarif(whole()))["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["memory.growth", "threads.leaked", "locks.potential_deadlocks"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    first = run["results"][0]
    assert first["message"]["text"].splitlines() == ["memory.growth: 2 > 0 (default)", "in t.py::test_a", "seen twice"]
    assert first["locations"][0]["physicalLocation"]["region"]["startLine"] == 41
    (other,) = first["relatedLocations"]
    assert other["physicalLocation"]["artifactLocation"]["uri"] == "app/x%20y.py"


def test_where_a_lock_is_made_is_one_more_place_and_the_only_one_where_all_else_is_outside() -> None:
    run = whole()
    (found,) = [each for each in ci.problems(run) if each.key == "locks.potential_deadlocks"]
    assert (found.path, found.line) == ("app/pool.py", 31)
    assert found.others[-1] == ("app/locks.py", 3, "Pool.lock is made here in make")
    for each in run["tests"][1]["findings"][0]["locations"]:
        each["path"] = f"/usr/lib/{each['path']}"
    (line,) = [line for line in ci.github_annotations(run) if "potential_deadlocks" in line]
    assert line.startswith("::error file=app/locks.py,line=3,")
    results = json.loads(ci.sarif(run))["runs"][0]["results"]
    assert "app/locks.py" in json.dumps([each for each in results if each["ruleId"] == "locks.potential_deadlocks"])
    run["locks"]["nodes"] = []
    assert not [line for line in ci.github_annotations(run) if "potential_deadlocks" in line]


def test_what_took_longest_is_named_if_that_is_long() -> None:
    run = whole()
    assert "Slowest" not in ci.github_summary(run)
    for at, seconds in enumerate((0.9, 3.0, 1.5, 61.0)):
        run["tests"][at]["duration"] = seconds
    (line,) = [line for line in ci.github_summary(run).splitlines() if line.startswith("Slowest: ")]
    assert next(word for word in line.split() if "::" in word) == "t.py::test\\_d"
    assert "t.py::test\\_a" not in line
    assert "5 tests in 2.5 s: " in ci.github_summary(run)


def test_annotations_are_ten_at_most_and_nothing_in_them_ends_the_line() -> None:
    lines = ci.github_annotations(whole())
    assert lines[0].startswith("::error file=app/cache.py,line=41,title=coresys%3A memory.growth::memory.growth: 2 > 0")
    assert all("\n" not in line and line.count("::error") + line.count("::warning") >= 1 for line in lines)
    (circle,) = [line for line in lines if "potential_deadlocks" in line]
    assert "\n" not in circle
    assert "%250A" in circle, "a percent sign of its own is escaped"
    assert lines[0].endswith("::memory.growth: 2 > 0 (default)%0Ain t.py::test_a%0Aseen twice"), "a line each"
    many = whole()
    many["tests"] = [test_of(f"t.py::{at}", "failed", finding("memory.growth", "error", place("a.py", at + 1)))
                     for at in range(40)]  # fmt: skip
    assert len(ci.github_annotations(many)) == 10


def test_the_summary_of_a_step_keeps_hostile_text_text() -> None:
    text = ci.github_summary(whole())
    assert text.startswith("### coresys: not compliant\n")
    assert "<script>" not in text
    assert "@team" not in text
    assert "2 success criteria: 0 within, 0 near, 2 over, 0 not measured." in text
    assert "required, but not measured" in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(line.replace("\\|", "").count("|") in (3, 5) for line in table)


def test_the_summary_of_a_step_counts_as_the_terminal_and_tells_what_is_excused_and_suspected() -> None:
    run = whole()
    told = "known: 2, recorded 2026-11-30 in bl.json: #7"
    known = finding("descriptors.leaked", "warn")
    warned = {**measure(2.0), "level": "warn", "reason": told}
    doubt = {**finding("memory.growth", "suspicion"), "summary": "memory.growth: suspected: seen once"}
    run["tests"] = [
        test_of("t.py::test_a", "failed", finding("memory.growth"), memory_growth=measure(8.0)),
        test_of("t.py::test_b", "passed", known, descriptors_leaked=warned),
        {**test_of("t.py::test_c", "passed", doubt), "verdict": "not_measured"},
    ]
    run["run"]["mode"] = "budget"
    run["findings"].append(finding("threads.leaked", "warn", details=[told], owner="fixture x"))
    run["findings"] = [{"tests": [], **each} for each in run["findings"]]
    run["criteria"][1].update(level="warn", details=[told])
    text = ci.github_summary(run)
    counts = "0 within, 0 near, 1 over, 0 not measured, 1 warns only, 1 suspected"
    assert f": {counts}." in text
    last = summary_lines(run)[-1].text
    beside = "1 success criterion, 1 finding of the run and 1 figure required and not measured"
    assert last.startswith(f"coresys: {counts} - failed by {beside}")
    assert f"Failed by {beside}." in text
    line = run_text(run)
    assert line.startswith(f"{counts}; not compliant; failed by {beside}; 1 finding of the run that warns only")
    assert "Over, and warns only: 1 test, 1 success criterion and 1 finding of the run." in text
    assert "Excused by the baseline: 3 excesses." in text
    assert "- t.py::test\\_b descriptors.leaked: known: 2, recorded 2026-11-30 in bl.json: \\#7" in text
    assert "Warning: 1 suspicion: nothing failed by it, and not measured." in text
    assert "success criteria: 0 within, 0 near, 2 over (1 of level warn), 0 not measured." in text


def test_a_path_in_the_summary_is_shown_as_it_is() -> None:
    run = whole()
    run["tests"][0]["findings"] = [finding("memory.growth", "error", place("tests/test_my_cache.py", 41))]
    (row,) = [line for line in ci.github_summary(run).splitlines() if "my" in line and "cache" in line]
    assert "`" not in row, "backslashes in a span of code are no escapes"
    assert "| tests/test\\_my\\_cache.py:41 |" in row


def read_metrics(text: str) -> list[Any]:
    return list(parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def test_metrics_are_read_by_prometheus() -> None:
    families = {family.name: family for family in read_metrics(ci.openmetrics(whole()))}
    tests = {sample.labels["verdict"]: sample.value for sample in families["coresys_tests"].samples}
    assert tests == {"within": 1, "near": 0, "over": 3, "not_measured": 1}
    assert families["coresys_memory_growth_bytes"].samples[0].value == 1048576
    assert families["coresys_memory_growth_bytes"].unit == "bytes"
    assert families["coresys_locks_contention_ratio"].samples[0].value == 0.5
    (sample,) = families["coresys_criterion_seconds"].samples
    assert (sample.labels["id"], sample.value) == ("shop.time", 0.2)
    assert families["coresys_criterion_holds"].samples[0].value == 0
    assert read_metrics(ci.openmetrics(EMPTY))


def test_metrics_tell_a_zero_from_what_was_not_measured() -> None:
    run = whole()
    unseen = {**measure(0.0), "value": None, "verdict": "not_measured", "why": "w"}
    for at, each in ((2, unseen), (3, unseen), (4, {**unseen, "level": "off"})):
        run["tests"][at]["measures"] = {"memory.growth": each, "loop.blocked": {**unseen, "level": "off"}}
    families = {family.name: family for family in read_metrics(ci.openmetrics(run))}
    counts = {sample.labels["key"]: sample.value for sample in families["coresys_not_measured"].samples}
    assert counts == {"memory.growth": 2, "locks.contention": 0, "time.call": 0}


def test_metrics_claim_no_zero_beside_a_finding_of_the_run() -> None:
    run = whole()
    clean = {**measure(0.0), "unit": "count"}
    run["tests"][2]["measures"] = {"locks.potential_deadlocks": clean, "threads.leaked": clean, "tasks.leaked": clean}
    circles = [finding("locks.potential_deadlocks", level, place("a.py", 1)) for level in ("error", "warn")]
    run["findings"] = [*circles, finding("threads.leaked", "error", owner="fixture pool (c.py:9)")]

    def figures() -> dict[str, float]:
        found = read_metrics(ci.openmetrics(run))
        return {family.name: family.samples[0].value for family in found if not family.samples[0].labels}

    assert figures()["coresys_locks_potential_deadlocks_count"] == 2
    assert "coresys_threads_leaked_count" not in figures(), "how many a fixture left is told in words only"
    assert figures()["coresys_tasks_leaked_count"] == 0
    run["tests"][2]["measures"]["threads.leaked"] = {**clean, "value": 3.0, "verdict": "over"}
    assert figures()["coresys_threads_leaked_count"] == 3
    run["findings"] = [finding("locks.potential_deadlocks", "suspicion", place("a.py", 1))]
    assert "coresys_locks_potential_deadlocks_count" not in figures(), "nor is it zero where one is suspected"


def test_ctrf_counts_outcomes() -> None:
    results = json.loads(ci.ctrf(whole()))["results"]
    summary = results["summary"]
    assert (summary["tests"], summary["passed"], summary["failed"], summary["other"]) == (5, 1, 3, 1)
    assert summary["stop"] - summary["start"] == 2500
    assert results["tests"][1]["duration"] == 250, "as far as its budgets tell"
    timed = whole()
    timed["tests"][1].update(duration=0.4126, started="2026-01-01T00:00:01.250000+00:00")
    told = json.loads(ci.ctrf(timed))
    test = told["results"]["tests"][1]
    assert (test["duration"], test["start"] - summary["start"], test["stop"] - test["start"]) == (413, 1250, 413)
    jsonschema.Draft202012Validator(CTRF).validate(told)
    assert results["tests"][0]["message"] == "memory.growth: 2 > 0 (default)"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["sarrif=x"], 'unknown format "sarrif"; did you mean "sarif"?'),
        (["sarif"], '"sarif": write sarif=PATH'),
        (["ctrf="], '"ctrf=": write ctrf=PATH'),
    ],
)
def test_what_is_no_output_is_refused(given: list[str], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ci_outputs(given, {})
    assert problem in str(refused.value)


def test_inside_github_actions_the_summary_is_added_to_and_lines_are_annotated(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    inside = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    outputs = ci_outputs([], inside)
    assert outputs.write(whole(), tmp_path) == []
    assert summary.read_text("utf-8").startswith("before\n### coresys: not compliant")
    assert outputs.printed(whole())
    assert ci_outputs([], {}) == Outputs()
    named = ci_outputs(["github=own.md"], inside)
    assert named.summary is None
    named.write(whole(), tmp_path)
    assert (tmp_path / "own.md").read_text("utf-8").startswith("### coresys")


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outputs = Outputs((("sarif", "file/x.sarif"), ("ctrf", "there/x.json")), str(tmp_path / "none" / "s.md"))
    told = outputs.write(whole(), tmp_path)
    assert len(told) == 2
    assert told[0].startswith("--coresys-ci sarif: file/x.sarif: cannot be written: ")
    assert (tmp_path / "there" / "x.json").exists()


def test_one_that_cannot_be_made_keeps_no_other_from_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(run: Any) -> str:
        raise KeyError("x_acme\n")

    monkeypatch.setattr(ci, "FORMATS", {**ci.FORMATS, "sarif": breaks})
    monkeypatch.setattr(ci, "github_summary", breaks)
    monkeypatch.setattr(ci, "github_annotations", breaks)
    outputs = Outputs((("sarif", "s.sarif"), ("ctrf", "c.json")), str(tmp_path / "summary.md"), annotates=True)
    assert outputs.write(whole(), tmp_path) == [
        "--coresys-ci sarif: s.sarif: cannot be made: KeyError: 'x_acme\\n'",
        f"the summary of GitHub's step: {tmp_path}/summary.md: cannot be made: KeyError: 'x_acme\\n'",
    ]
    assert json.loads((tmp_path / "c.json").read_text("utf-8"))["reportFormat"] == "CTRF"
    assert outputs.printed(whole()) == ["GitHub's annotations cannot be made: KeyError: 'x_acme\\n'"]


@pytest.mark.slow
def test_a_run_writes_them(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(test_it="KEPT = []\ndef test_leaks():\n    KEPT.append(bytearray(100_000))\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    names = {"gitlab-quality": "q.json", "openmetrics": "m.txt", "sarif": "s.sarif", "ctrf": "c.json"}
    options = [word for name, path in names.items() for word in ("--coresys-ci", f"{name}=out/{path}")]
    result = pytester.runpytest_subprocess("--coresys-budget", "-p", "no:cacheprovider", *options)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["::error file=test_it.py,line=3,title=coresys%3A memory.growth::*"])
    assert "not compliant" in (pytester.path / "summary.md").read_text("utf-8")
    for path in names.values():
        assert (pytester.path / "out" / path).stat().st_size > 100
    (entry,) = json.loads((pytester.path / "out" / "q.json").read_text("utf-8"))
    assert entry["location"] == {"path": "test_it.py", "lines": {"begin": 3}}
