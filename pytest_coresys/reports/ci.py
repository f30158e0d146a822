"""What CI services read: from the run's dict to text in their formats. Pure; nothing is measured or judged here.

Places are those of findings, relative to the root of the run. A finding without a place is told where the format takes
one, and left out where it does not: a wrong line is worse than none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coresys.budgets.units import format_quantity
from coresys.budgets.wording import advice, printable
from coresys.records import STANDS_HERE
from pytest_coresys.measures import MEASURES
from pytest_coresys.reports.model import breaches, moment
from pytest_coresys.reports.orders import KEY as CIRCLES
from pytest_coresys.reports.reading import (
    criteria_counts,
    excuses,
    failing_beside_tests,
    largest_of,
    state_of_test,
    suspicions_of,
    tests_text,
)
from pytest_coresys.reports.terminal import criterion_text
from pytest_coresys.reports.words import OVER, VERDICTS, WARN, counted, joined, share_of, state_of

Run = Mapping[str, Any]
MOST_ANNOTATIONS = 10  # GitHub shows so many of a step, and no more
_HOME = "https://pypi.org/project/pytest-coresys/"
_LEVELS = ("error", "warn", "suspicion")


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding, and whose it is: a node id, or the owner of a finding of the run."""

    key: str
    level: str
    summary: str
    of: str
    path: str
    line: int
    others: tuple[tuple[str, int, str], ...]
    details: tuple[str, ...]
    badness: float

    @property
    def identity(self) -> str:
        """What stays the same while lines above it come and go, and figures differ from run to run."""
        return hashlib.sha256("\0".join([self.key, self.of, self.path]).encode()).hexdigest()[:32]


def problems(run: Run) -> list[Problem]:
    """All findings, the worst first: errors, the farthest over their limit, then warnings, then suspicions."""
    locks = {node["id"]: node for node in run.get("locks", {}).get("nodes", ())}
    found = [problem for test in run["tests"] for problem in _of_test(test, locks)]
    found += [_problem(finding, finding.get("owner") or "the run", 1.0, locks) for finding in run["findings"]]
    return sorted(found, key=lambda each: (_LEVELS.index(each.level), -each.badness, each.of, each.key, each.summary))


Nodes = Mapping[int, Mapping[str, Any]]  # of locks, by id


def _of_test(test: Mapping[str, Any], locks: Nodes) -> Iterator[Problem]:
    for finding in test["findings"]:
        measure = test["measures"].get(finding["key"], {})
        value, limit = measure.get("value"), measure.get("limit")
        badness = float("inf") if value and not limit else share_of(value, limit) or 0.0
        yield _problem(finding, test["nodeid"], badness, locks)


def _problem(finding: Mapping[str, Any], of: str, badness: float, locks: Nodes) -> Problem:
    places = [each for each in finding["locations"] if not str(each.get("note", "")).startswith(STANDS_HERE)]
    places += [_made(locks[number]) for number in finding.get("lock_ids", ()) if number in locks]
    inside = [each for each in places if _is_relative(each["path"]) and each["line"] > 0]
    first = inside[0] if inside else None
    return Problem(
        key=finding["key"],
        level=finding["level"] if finding["level"] in _LEVELS else "warn",
        summary=finding["summary"],
        of=of,
        path="" if first is None else first["path"],
        line=0 if first is None else first["line"],
        others=tuple((each["path"], each["line"], each.get("note", "")) for each in inside[1:]),
        details=tuple(finding["details"]),
        badness=badness,
    )


def _made(lock: Mapping[str, Any]) -> dict[str, Any]:
    """Where a lock is made: a place of last resort, where all else is outside, and one more to look at."""
    path, _, line = lock["site"].rpartition(":")
    function = lock.get("function") or ""
    inside = f" in {function}" if function and function != "<module>" else ""
    return {"path": path, "line": int(line), "note": f"{lock['name']} is made here{inside}"}


def _is_relative(path: str) -> bool:
    return bool(path) and not path.startswith(("/", "<", "..")) and re.match(r"[A-Za-z]:", path) is None


def _shown(text: str) -> str:
    return printable(text, ascii_only=False)


def _shown_lines(texts: Iterable[str]) -> str:
    """A line for each; what ends a line within one of them does not."""
    return "\n".join(map(_shown, texts))


# -- GitHub -----------------------------------------------------------------------------------------------------------


def github_annotations(run: Run) -> list[str]:
    """Workflow commands, which GitHub reads from the output: the worst ten that have a place, at the culprit line."""
    placed = [each for each in problems(run) if each.path and each.level != "suspicion"]
    return [_annotation(each) for each in placed[:MOST_ANNOTATIONS]]


def _annotation(problem: Problem) -> str:
    command = "error" if problem.level == "error" else "warning"
    told = _shown_lines([problem.summary, f"in {problem.of}", *problem.details[:3]])
    title = f"coresys: {problem.key}"
    where = f"file={_property(problem.path)},line={problem.line},title={_property(title)}"
    return f"::{command} {where}::{_data(told)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(_shown(text)).replace(":", "%3A").replace(",", "%2C")


def github_summary(run: Run) -> str:
    """Markdown for the summary of a step: the verdict, what fails the run, criteria that are not within."""
    summary, lines = run["summary"], []
    word = "compliant" if summary["compliant"] else "not compliant"
    lines.append(f"### coresys: {word}")
    lines.append("")
    took = run["run"].get("duration")
    within = f" in {format_quantity(took, 's')}" if took else ""
    lines.append(f"{summary['tests']} tests{within}: {tests_text(run['tests'])}.")
    lines += _beside_tests(run)
    lines += _slowest(run)
    told = [each for each in problems(run) if each.level == "error"]
    if told:
        lines += ["", "| measure | what | of | where |", "|---|---|---|---|"]
        for each in told[:_MOST_ROWS]:
            # No span of code: in that, what ``_cell`` escapes is shown with its backslashes.
            where = f"{_cell(each.path)}:{each.line}" if each.path else ""
            summary_text = each.summary.removeprefix(f"{each.key}: ")
            lines.append(f"| {_cell(each.key)} | {_cell(summary_text)} | {_cell(each.of)} | {where} |")
        lines += ["", f"… and {len(told) - _MOST_ROWS} more."] if len(told) > _MOST_ROWS else []
    lines += _criteria_rows(run)
    required = summary.get("required_unmeasured", [])
    lines += (
        ["", *(f"- required, but not measured: {_cell(each)}" for each in required[:_MOST_ROWS])] if required else []
    )
    return "\n".join(lines) + "\n"


_MOST_ROWS = 50
_MOST_SLOW = 3
_MOST_KNOWN = 10
_SLOW = 1.0  # seconds: nobody asks for the slowest of those that take less


def _beside_tests(run: Run) -> list[str]:
    """What else fails the run, and what fails nothing: warnings, what is known, suspicions."""
    lines = []
    failing = failing_beside_tests(run)
    if failing:
        observed = run["run"].get("mode") == "observe"
        lines += ["", f"{'Not compliant' if observed else 'Failed'} by {failing}."]
    tests = sum(1 for test in run["tests"] if state_of_test(test) is WARN)
    criteria = sum(1 for each in run["criteria"] if state_of(each) is WARN)
    findings = sum(1 for each in run["findings"] if each["level"] == "warn")
    warned = [
        *([counted(tests, "test")] if tests else []),
        *([counted(criteria, "success criterion", "success criteria")] if criteria else []),
        *([f"{counted(findings, 'finding')} of the run"] if findings else []),
    ]
    lines += ["", f"Over, and warns only: {joined(warned)}."] if warned else []
    known = excuses(run)
    if known:
        lines += ["", f"Excused by the baseline: {counted(len(known), 'excess', 'excesses')}.", ""]
        lines += [f"- {_cell(of)}: {_cell(told)}" for of, told in known[:_MOST_KNOWN]]
        lines += [f"- … and {len(known) - _MOST_KNOWN} more."] if len(known) > _MOST_KNOWN else []
    suspicions = suspicions_of(run)
    them = "it" if suspicions == 1 else "them"
    lines += (
        ["", f"Warning: {counted(suspicions, 'suspicion')}: nothing failed by {them}, and not measured."]
        if suspicions
        else []
    )
    return lines


def _slowest(run: Run) -> list[str]:
    slow = sorted(
        ((test["duration"], test["nodeid"]) for test in run["tests"] if test.get("duration", 0) >= _SLOW), reverse=True
    )
    told = [f"{_cell(nodeid)} {format_quantity(seconds, 's')}" for seconds, nodeid in slow[:_MOST_SLOW]]
    return ["", f"Slowest: {', '.join(told)}."] if told else []


def _criteria_rows(run: Run) -> list[str]:
    if not run["run"].get("criteria", {}).get("told"):
        return []
    lines = ["", f"{len(run['criteria'])} success criteria: {criteria_counts(run['criteria'])}."]
    bad = [each for each in run["criteria"] if each["verdict"] == "over"]
    if bad:
        bad.sort(key=lambda each: (state_of(each) is not OVER, each["statistic"] == "derived"))
        lines += ["", "| criterion | measured |", "|---|---|"]
        lines += [f"| {_cell(_criterion_name(each))} | {_cell(_criterion_told(each))} |" for each in bad[:_MOST_ROWS]]
        lines += ["", f"… and {len(bad) - _MOST_ROWS} more."] if len(bad) > _MOST_ROWS else []
    return lines


def _criterion_name(each: Mapping[str, Any]) -> str:
    return f"{each['id']}{' (warns only)' if state_of(each) is WARN else ''}"


def _criterion_told(each: Mapping[str, Any]) -> str:
    return str(each["why"]) if each["statistic"] == "derived" and each["why"] else criterion_text(each)


def _cell(text: str) -> str:
    """Text in a cell of Markdown that stays text, whatever is in it."""
    escaped = re.sub(r"([\\`*_{}\[\]<>|#!&~])", r"\\\1", _shown(text))
    return escaped.replace("\n", " ").replace("@", "@\u200b")  # nobody is called by the name of a test


# -- GitLab -----------------------------------------------------------------------------------------------------------


def gitlab_quality(run: Run) -> str:
    """A code quality report: an entry for each finding that has a place."""
    severities = {"error": "critical", "warn": "minor", "suspicion": "info"}
    entries, seen = [], Counter[str]()
    for each in problems(run):
        if not each.path:
            continue
        seen[each.identity] += 1
        number = seen[each.identity]  # a fingerprint that is there twice is shown once
        entries.append(
            {
                "description": _shown(f"{each.summary} (in {each.of})"),
                "check_name": f"coresys.{each.key}",
                "fingerprint": each.identity if number == 1 else hashlib.sha256(
                    f"{each.identity}{number}".encode()
                ).hexdigest()[:32],
                "severity": severities[each.level],
                "location": {"path": each.path, "lines": {"begin": each.line}},
            }
        )  # fmt: skip
    return _json(entries)


# -- OpenMetrics ------------------------------------------------------------------------------------------------------


def openmetrics(run: Run) -> str:
    """Gauges of the run: tests by verdict, findings by key, the largest figure of each measure, and criteria."""
    lines: list[str] = []

    def family(name: str, help_text: str, unit: str, samples: Sequence[tuple[Mapping[str, str], float]]) -> None:
        if samples:
            lines.append(f"# TYPE {name} gauge")
            lines.extend([f"# UNIT {name} {unit}"] if unit else [])
            lines.append(f"# HELP {name} {_escaped(help_text)}")
            lines.extend(f"{name}{_labels(labels)} {value:.17g}" for labels, value in samples)

    summary = run["summary"]
    family("coresys_compliant", "Whether the run is compliant.", "", [({}, float(summary["compliant"]))])
    family("coresys_tests", "Tests by verdict.", "", [({"verdict": name}, summary[name]) for name in VERDICTS])
    found = Counter((each.key, each.level) for each in problems(run))
    family(
        "coresys_findings",
        "Findings by measure and level.",
        "",
        [({"key": key, "level": level}, number) for (key, level), number in sorted(found.items())],
    )
    unseen = Counter(
        key
        for test in run["tests"]
        for key, measure in test["measures"].items()
        if measure["verdict"] == "not_measured" and measure["level"] != "off"
    )
    family(
        "coresys_not_measured",
        "Tests in which a budget in force was not measured: no figure of theirs is in the others.",
        "",
        [({"key": key}, unseen[key]) for key in sorted(_in_force(run))],
    )
    for key, (unit, value) in sorted(largest_of(run).items()):
        name, base = _metric(f"coresys_{key}", unit)
        meaning = MEASURES[key].help if key in MEASURES else key
        of = "any test, or of all together" if key == CIRCLES else "any test"
        family(name, f"{meaning}: the largest of {of}.", base, [] if value is None else [({}, value)])
    for unit in sorted({each["unit"] for each in run["criteria"]}):
        samples = [
            ({"id": each["id"], "statistic": each["statistic"], "verdict": each["verdict"]}, float(each["value"]))
            for each in run["criteria"]
            if each["unit"] == unit and each["value"] is not None
        ]
        name, base = _metric("coresys_criterion", unit)
        family(name, f"Success criteria, in {base or unit}.", base, samples)
    return "\n".join([*lines, "# EOF"]) + "\n"


_BASE = {"B": "bytes", "s": "seconds", "ratio": "ratio", "B/h": "bytes_per_hour"}


def _metric(name: str, unit: str) -> tuple[str, str]:
    base = _BASE.get(unit, "" if unit in ("count", "bool") else unit)
    base = re.sub(r"\W", "_", base, flags=re.ASCII)
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    return (f"{name}_{base}" if base else f"{name}_{'holds' if unit == 'bool' else 'count'}"), base


def _in_force(run: Run) -> set[str]:
    return {key for test in run["tests"] for key, measure in test["measures"].items() if measure["level"] != "off"}


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


# -- SARIF ------------------------------------------------------------------------------------------------------------


def sarif(run: Run) -> str:
    """SARIF 2.1.0: deadlocks, potential ones too, and leaks that have a place."""
    told = [each for each in problems(run) if each.path and each.level != "suspicion" and _is_static(each.key)]
    keys = list(dict.fromkeys(each.key for each in told))
    driver = {
        "name": "coresys",
        "version": run["run"]["coresys"],
        "informationUri": _HOME,
        "rules": [_rule(key) for key in keys],
    }
    result = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The root of the run."}}},
                "results": [_result(each, keys) for each in told],
            }
        ],
    }
    return _json(result)


def _is_static(key: str) -> bool:
    """Whether it is a fault of a line, rather than a figure of a run."""
    return key.startswith("locks.") or key.endswith((".leaked", ".growth"))


def _rule(key: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": key, "shortDescription": {"text": MEASURES[key].help if key in MEASURES else key}}
    told = advice(key)
    return {**rule, "help": {"text": told}} if told else rule


def _result(problem: Problem, keys: Sequence[str]) -> dict[str, Any]:
    text = _shown_lines([problem.summary, f"in {problem.of}", *problem.details])
    result: dict[str, Any] = {
        "ruleId": problem.key,
        "ruleIndex": keys.index(problem.key),
        "level": "error" if problem.level == "error" else "warning",
        "message": {"text": text},
        "locations": [_location(problem.path, problem.line)],
        "partialFingerprints": {"coresys/v1": problem.identity},
    }
    if problem.others:
        result["relatedLocations"] = [
            {**_location(path, line), "id": at, "message": {"text": _shown(note) or "also here"}}
            for at, (path, line, note) in enumerate(problem.others, 1)
        ]
    return result


def _location(path: str, line: int) -> dict[str, Any]:
    from urllib.parse import quote

    uri = {"uri": quote(path), "uriBaseId": "SRCROOT"}
    return {"physicalLocation": {"artifactLocation": uri, "region": {"startLine": line}}}


# -- CTRF -------------------------------------------------------------------------------------------------------------


def ctrf(run: Run) -> str:
    """The Common Test Report Format 1.0: every test with its outcome, and its verdict and findings beside it."""
    facts = run["run"]
    start = _milliseconds(facts["started"])
    stop = start + round((facts["duration"] or 0) * 1000)
    tests = [_ctrf_test(test) for test in run["tests"]]
    counts = {name: sum(1 for test in tests if test["status"] == name) for name in _CTRF}
    return _json(
        {
            "reportFormat": "CTRF",
            "specVersion": "0.0.0",
            "generatedBy": "coresys",
            "results": {
                "tool": {"name": "pytest", "version": str(facts["pytest"])},
                "summary": {"tests": len(tests), **counts, "start": start, "stop": stop},
                "tests": tests,
                "environment": {"extra": {"python": facts["python"], "platform": facts["platform"]}},
                "extra": {
                    "coresys": {"compliant": run["summary"]["compliant"], "breaches": breaches(run)[:_MOST_ROWS]}
                },
            },
        }
    )


_CTRF = ("passed", "failed", "skipped", "pending", "other")
_STATUS = {"passed": "passed", "xpassed": "passed", "failed": "failed", "error": "failed", "skipped": "skipped",
           "xfailed": "other"}  # fmt: skip


def _seconds(test: Mapping[str, Any]) -> float:
    """Of a test; in run files of before, what the budgets of its phases tell."""
    if "duration" in test:
        return float(test["duration"])
    phases = ("time.setup", "time.call", "time.teardown")
    return float(sum(test["measures"][key]["value"] or 0 for key in phases if key in test["measures"]))


def _when(test: Mapping[str, Any]) -> dict[str, int]:
    if "started" not in test:
        return {}
    start = _milliseconds(test["started"])
    return {"start": start, "stop": start + round(_seconds(test) * 1000)}


def _ctrf_test(test: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": test["nodeid"],
        "status": _STATUS.get(test["outcome"], "other"),
        "rawStatus": test["outcome"],
        "duration": round(_seconds(test) * 1000),
        **_when(test),
        "filePath": test["nodeid"].partition("::")[0],
        "extra": {
            "coresys": {
                "verdict": test["verdict"],
                "measures": {
                    key: format_quantity(measure["value"], measure["unit"])
                    for key, measure in test["measures"].items()
                    if measure["value"]
                },
            }
        },
    }
    errors = [finding["summary"] for finding in test["findings"] if finding["level"] == "error"]
    return {**told, "message": _shown_lines(errors)} if errors else told


def _milliseconds(started: str) -> int:
    return round(moment(started).timestamp() * 1000)


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


FORMATS: Mapping[str, Callable[[Run], str]] = {
    "github": github_summary,
    "gitlab-quality": gitlab_quality,
    "openmetrics": openmetrics,
    "sarif": sarif,
    "ctrf": ctrf,
}
"""What ``--coresys-ci FORMAT=PATH`` may be. ``github`` is the summary of a step; annotations go to the output."""
