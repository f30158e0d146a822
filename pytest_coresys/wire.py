"""Verdicts and findings as plain values, for the report, for other processes and for JSON.

Only dict, list, str, int, float, bool and None leave this module: an object on a report ends an xdist run, and
a NaN or a lone surrogate would make a run file that no strict reader takes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple, SupportsFloat, SupportsIndex, cast, get_args

from coresys.budgets.model import EvidenceKind, Level, Status, Verdict
from coresys.records import Finding, Location
from coresys.threads.watching.graph import Order
from pytest_coresys.memo import IdentityMemo

SCHEMA = 1

# What the why of a test begins with that has no budget at all: nothing was asked of it.
NO_BUDGET = "no budget was in force"
# The why of one that pytest reports as failed, though it never came to an end.
WORKER_DIED = "its worker died while it ran"
# And the why of one whose marker, or whose plugin, asks for what can't be.
WRONG_BUDGETS = "its own budgets are wrong"

# Beyond this a float no longer holds every whole number, and showing it as an int would claim digits it has not.
_EXACT_WHOLE = 2**53

# Readers of JSON take whole numbers of 64 bits, and Python itself refuses to print those of over 4300 digits.
_MOST_WHOLE = 2**63

_MOST_DEPTH = 64

# The worst first. A test is never better than its evidence, so what is not measured hides "near" and "within".
WORST_FIRST: tuple[Status, ...] = ("over", "not_measured", "near", "within")


def plain_text(text: str) -> str:
    """The text, with lone surrogates (undecodable bytes in paths and ids) written as backslash escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def plain_number(value: SupportsFloat | None) -> int | float | None:
    """The number as JSON and execnet can carry it: None for infinite and NaN, an int when it is whole.

    Subclasses (bool, IntEnum, NumPy's scalars) become the builtin type, for execnet looks types up exactly.
    """
    if value is None:
        return None
    if isinstance(value, int) and abs(value) < _MOST_WHOLE:
        return int(value)
    try:
        number = float(value)
    except OverflowError:  # an int, or a fraction, beyond every float
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < _EXACT_WHOLE else number


def plain(value: object, _depth: int = _MOST_DEPTH) -> Any:
    """Any value made plain, all the way down; what is not a plain value becomes its text.

    Other plugins may add to a run through a hook, so the writer falls back on this. What is nested very deeply,
    or in itself, ends in ``"..."``.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, (int, float)):
        return plain_number(value)
    if _depth <= 0:
        return "..."
    if isinstance(value, Mapping):
        return {_text_of(key): plain(item, _depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, _depth - 1) for item in value]
    return _text_of(value)


def _text_of(value: object) -> str:
    try:
        return plain_text(str(value))
    except Exception:  # a stranger's __str__, or an int of over 4300 digits
        return f"<{type(value).__name__}>"


def measure_to_dict(verdict: Verdict) -> dict[str, Any]:
    """One entry of ``measures`` in the run file. ``reason`` is there only if the author of the limit gave one."""
    verdict = _with_a_figure(verdict)
    data: dict[str, Any] = {
        "value": plain_number(verdict.value),
        "limit": plain_number(verdict.limit),
        "unit": verdict.unit,
        "level": verdict.level,
        "origin": plain_text(verdict.origin),
        "evidence": verdict.evidence,
        "resolution": plain_number(verdict.resolution),
        "verdict": verdict.status,
        "why": _why(verdict),
        "series": [plain_number(value) for value in verdict.series],
    }
    if verdict.reason is not None:
        data["reason"] = plain_text(verdict.reason)
    return data


Measures = dict[str, dict[str, Any]]


def _with_a_figure(verdict: Verdict) -> Verdict:
    """The verdict, not measured if its figure is no number: NaN is not above any limit, and yet within none."""
    if verdict.value is None or verdict.value == verdict.value:  # not isnan, which huge ints do not fit
        return verdict
    return replace(verdict, status="not_measured", value=None, why=verdict.why or "the reading was not a number")


def _why(verdict: Verdict) -> str | None:
    if verdict.why is not None:
        return plain_text(verdict.why)
    # Readers may rely on it: what has no figure always says why, even if its probe did not.
    if verdict.status == "not_measured":
        return "no reason was given"
    if verdict.value is not None and plain_number(verdict.value) is None:
        return "the reading was infinite"
    return None


def measure_from_dict(key: str, data: Mapping[str, Any]) -> Verdict:
    """The verdict that ``measure_to_dict`` wrote; a number that JSON could not carry stays None."""
    return Verdict(
        key=key,
        status=cast(Status, _one_of(data["verdict"], get_args(Status))),
        value=data["value"],
        limit=data["limit"],
        unit=data["unit"],
        level=cast(Level, _one_of(data["level"], get_args(Level))),
        origin=data["origin"],
        evidence=cast(EvidenceKind, _one_of(data["evidence"], get_args(EvidenceKind))),
        resolution=data["resolution"] or 0.0,
        why=data["why"],
        series=tuple(math.nan if value is None else value for value in data["series"]),
        reason=data.get("reason"),
    )


def _one_of(word: Any, words: tuple[str, ...]) -> str:
    if word not in words:
        raise ValueError(f"{word!r} is none of {', '.join(words)}")
    return str(word)


def finding_to_dict(finding: Finding) -> dict[str, Any]:
    """One entry of ``findings``; ``owner`` and ``tests`` are there only if set, as in findings of the run."""
    data: dict[str, Any] = {
        "key": plain_text(finding.key),
        "level": plain_text(finding.level),
        "summary": plain_text(finding.summary),
        "details": [plain_text(line) for line in finding.details],
        "locations": [_location_to_dict(location) for location in finding.locations],
        "holders": [[plain_text(link) for link in chain] for chain in finding.holders],
    }
    if finding.owner is not None or finding.tests:
        data["owner"] = None if finding.owner is None else plain_text(finding.owner)
        data["tests"] = [plain_text(nodeid) for nodeid in finding.tests]
    if finding.locks:
        data["locks"] = [plain_text(site) for site in finding.locks]
    return data


def finding_subject(finding: Mapping[str, Any]) -> str:
    """What tells a finding of the run from others of its key, in later runs too: whose it is, or its locks."""
    owner = finding.get("owner")
    return str(owner) if owner is not None else " and ".join(sorted(finding.get("locks", ()))) or finding["summary"]


def _location_to_dict(location: Location) -> dict[str, Any]:
    return {
        "path": plain_text(location.path),
        "line": _line(location.line),
        "function": plain_text(location.function),
        "note": plain_text(location.note),
    }


def _line(number: SupportsIndex | None) -> int:
    return 0 if number is None else max(int(number), 0)  # a frame may have none, between two instructions


def finding_from_dict(data: Mapping[str, Any]) -> Finding:
    """The finding that ``finding_to_dict`` wrote."""
    return Finding(
        key=data["key"],
        level=data["level"],
        summary=data["summary"],
        details=tuple(data.get("details", ())),
        locations=tuple(location_from_dict(location) for location in data.get("locations", ())),
        holders=tuple(tuple(chain) for chain in data.get("holders", ())),
        owner=data.get("owner"),
        tests=tuple(data.get("tests", ())),
        locks=tuple(data.get("locks", ())),
    )


def location_from_dict(data: Mapping[str, Any]) -> Location:
    """The place that was written into a finding, or an order of locks."""
    return Location(data["path"], data["line"], data.get("function", ""), data.get("note", ""))


def order_to_dict(order: Order, process: int) -> dict[str, Any]:
    """What a test has seen of the order of locks; ``process`` is where the numbers of instances are from."""
    return {
        "process": process,
        "nodes": [
            {
                "number": node.number,
                "kind": plain_text(node.kind),
                "name": plain_text(node.name),
                "path": plain_text(node.site.path),
                "line": _line(node.site.line),
                "function": plain_text(node.site.function),
                "scope": node.scope,
                "lasting": node.number in order.lasting,
                "permits": node.permits,
                **({} if node.origin is None else {"origin": _site(node.origin), "calls": list(node.calls)}),
            }
            for node in order.nodes
        ],
        "edges": [
            {
                "source": edge.source,
                "target": edge.target,
                "thread": plain_text(edge.thread),
                "held_at": _location_to_dict(edge.held_at),
                "taken_at": _location_to_dict(edge.taken_at),
                "gates": sorted(edge.gates | {number for number, _ in edge.permits}),
            }
            for edge in order.edges
        ],
    }


def _site(place: Location) -> str:
    return f"{plain_text(place.path)}:{_line(place.line)}"


def overall(verdicts: Iterable[Verdict]) -> Status:
    """The verdict of a test from those of its measures; measures that are off do not count.

    As for derived criteria: over if any is, else not measured if any is, else near if any is. Without any budget
    in force there is nothing that the test is within.
    """
    seen = {verdict.status for verdict in verdicts if verdict.level != "off"}
    return next((status for status in WORST_FIRST if status in seen), "not_measured")


class _Judgement(NamedTuple):
    """What the verdicts of a test come to; ``why`` is there for what is not measured."""

    verdict: Status
    measures: Measures
    why: str


def _judgement(verdicts: tuple[Verdict, ...]) -> _Judgement:
    verdicts = tuple(_with_a_figure(each) for each in verdicts)
    measures = {plain_text(each.key): measure_to_dict(each) for each in verdicts}
    return _Judgement(overall(verdicts), measures, _first_reason(verdicts))


_judgements: IdentityMemo[_Judgement] = IdentityMemo(most=200)


def test_to_dict(
    *,
    nodeid: str,
    outcome: str,
    verdicts: Iterable[Verdict] = (),
    findings: Iterable[Finding] = (),
    repetitions: int = 0,
    worker: str | None = None,
    why: str | None = None,
    verdict: Status | None = None,
    duration: float | None = None,
    started: float | None = None,
    module: str | None = None,
) -> dict[str, Any]:
    """One entry of ``tests``. The verdict is that of the measures unless given; ``duration`` in seconds, if known.

    ``started``: as ``time.time()`` tells it. ``module``: what its file is called by, where the id has no path to it.

    ``outcome`` is pytest's word, with "xfailed", "xpassed" and "error" told apart. ``why`` is for tests that were
    not measured; without one, the first measure that says why speaks for the test. ``measures`` may be shared
    between tests: copy before you change it.
    """
    verdicts = tuple(verdicts)
    # Most tests of a file come to the very same verdicts, and share one dict.
    judged = _judgement(verdicts) if repetitions else _judgements.of((verdicts,), lambda: _judgement(verdicts))
    verdict = judged.verdict if verdict is None else verdict
    if verdict == "not_measured" and why is None:
        why = judged.why
    return {
        "nodeid": plain_text(nodeid),
        **({} if module is None else {"module": plain_text(module)}),
        **({} if duration is None else {"duration": plain_number(max(duration, 0.0))}),
        **_started(started),
        "outcome": outcome,
        "verdict": verdict,
        "repetitions": int(repetitions),
        "worker": worker,
        "why": None if why is None else plain_text(why),
        "measures": judged.measures,
        "findings": [finding_to_dict(finding) for finding in findings],
    }


def _started(seconds: float | None) -> dict[str, str]:
    try:
        return {"started": datetime.fromtimestamp(seconds, timezone.utc).isoformat()} if seconds else {}
    except (OverflowError, OSError, ValueError):  # a test may have set the clock
        return {}


_texts: IdentityMemo[str] = IdentityMemo(most=1000)


def packed(record: Mapping[str, Any]) -> list[str]:
    """A test's record as two texts, for other processes: execnet takes ten times as long for all the small values.

    The measures apart, for most tests have the same.
    """
    measures = record["measures"]
    return [
        json.dumps({key: value for key, value in record.items() if key != "measures"}),
        _texts.of((measures,), lambda: json.dumps(measures)),
    ]


def unpacked(texts: Iterable[str]) -> dict[str, Any]:
    """The record that was ``packed``. Its measures may be shared between tests."""
    record, measures = texts
    return {**json.loads(record), "measures": _read_measures(measures)}


@lru_cache(maxsize=1000)
def _read_measures(text: str) -> Measures:
    measures: Measures = json.loads(text)
    return measures


def _first_reason(verdicts: tuple[Verdict, ...]) -> str:
    for each in verdicts:
        if each.level != "off" and each.status == "not_measured":
            return f"{each.key}: {_why(each)}"
    return NO_BUDGET
