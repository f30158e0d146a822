"""What leaves a process is plain, and comes back as it was."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, get_args

import pytest

from coresys.budgets.model import EvidenceKind, Level, Status, Verdict
from coresys.records import Finding, Location
from pytest_coresys import wire

HOSTILE = "\udcff\x1b[31m\n\"<b>'\u202e\0"


def verdict(**changes: Any) -> Verdict:
    fields: dict[str, Any] = {
        "key": "memory.growth",
        "status": "within",
        "value": 0.0,
        "limit": 0.0,
        "unit": "B",
        "level": "error",
        "origin": "default",
        "evidence": "repeated",
        "resolution": 16.0,
        "why": None,
        "series": (0.0, 8.5),
        "reason": None,
    }
    return Verdict(**{**fields, **changes})


def through_json(data: Mapping[str, Any]) -> dict[str, Any]:
    back: dict[str, Any] = json.loads(json.dumps(data, allow_nan=False, ensure_ascii=False).encode())
    return back


@pytest.mark.parametrize("status", get_args(Status))
@pytest.mark.parametrize("level", get_args(Level))
@pytest.mark.parametrize("evidence", get_args(EvidenceKind))
@pytest.mark.parametrize("reason", [None, "#412"])
def test_a_verdict_comes_back_as_it_was(
    status: Status, level: Level, evidence: EvidenceKind, reason: str | None
) -> None:
    sent = verdict(
        status=status,
        level=level,
        limit=None if level == "off" else 4096.0,
        evidence=evidence,
        value=None if status == "not_measured" else 5000.25,
        why="suspected: seen once" if status == "not_measured" else None,
        reason=reason,
    )
    assert wire.measure_from_dict(sent.key, through_json(wire.measure_to_dict(sent))) == sent


@pytest.mark.parametrize("level", ["error", "warn", "suspicion"])
@pytest.mark.parametrize(
    "of_run",
    [{}, {"owner": "fixture pool (tests/conftest.py:9)", "tests": ("a", "b")}, {"tests": ("a",)}],
    ids=["test", "run", "tests only"],
)
def test_a_finding_comes_back_as_it_was(level: str, of_run: dict[str, Any]) -> None:
    sent = Finding(
        key="threads.leaked",
        level=level,
        summary="threads.leaked: 1 per run > 0 (default)",
        details=("poller", "alive"),
        locations=(Location("app/pool.py", 31, "start", "+1"), Location("x.py", 1)),
        holders=(("app/cache.py:12 global _CACHE", "dict['k']"), ("frame",)),
        **of_run,
    )
    assert wire.finding_from_dict(through_json(wire.finding_to_dict(sent))) == sent


def test_hostile_names_are_carried_readably_and_encode_strictly() -> None:
    finding = Finding(
        HOSTILE, "error", HOSTILE, (HOSTILE,), (Location(HOSTILE, 3, HOSTILE, HOSTILE),), ((HOSTILE,),), HOSTILE, ("a",)
    )
    record = wire.test_to_dict(
        nodeid=HOSTILE,
        outcome="passed",
        verdicts=[verdict(key=HOSTILE, why=HOSTILE, origin=HOSTILE, reason=HOSTILE)],
        findings=[finding],
        why=HOSTILE,
    )
    back = through_json(record)
    assert back == record
    assert back["nodeid"] == HOSTILE.replace("\udcff", "\\udcff")
    assert list(back["measures"]) == [HOSTILE.replace("\udcff", "\\udcff")]
    assert back["findings"][0]["owner"].startswith("\\udcff\x1b")


class Colour(enum.IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("number", "carried"),
    [
        (None, None),
        (0.0, 0),
        (-0.0, 0),
        (0.05, 0.05),
        (1048608.0, 1048608),
        (2.0**53, 2.0**53),
        (2**53 + 1, 2**53 + 1),
        (2**63, float(2**63)),
        (-(2**80), -float(2**80)),
        (10**400, None),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (1e308, 1e308),
        (5e-324, 5e-324),
        (True, 1),
        (Colour.RED, 3),
        (Fraction(1, 4), 0.25),
        (Fraction(10**400), None),
    ],
)
def test_a_number_is_carried_as_json_can(number: Any, carried: float | None) -> None:
    sent = wire.plain_number(number)
    assert sent == carried
    assert type(sent) in (int, float, type(None))
    json.dumps(sent, allow_nan=False)


@pytest.mark.parametrize(
    ("status", "value", "carried"),
    [
        ("within", math.nan, ("not_measured", None, "the reading was not a number")),
        ("over", math.inf, ("over", None, "the reading was infinite")),
        pytest.param("over", 10**400, ("over", None, "the reading was infinite"), id="beyond every float"),
        ("not_measured", None, ("not_measured", None, "no reason was given")),
        ("over", 5.0, ("over", 5, None)),
    ],
)
def test_what_has_no_figure_says_why_and_is_within_nothing(
    status: Status, value: float | None, carried: tuple[str, float | None, str | None]
) -> None:
    data = wire.measure_to_dict(verdict(status=status, value=value))
    assert (data["verdict"], data["value"], data["why"]) == carried


def test_a_test_with_a_reading_that_is_no_number_is_not_measured() -> None:
    record = wire.test_to_dict(nodeid="a", outcome="passed", verdicts=[verdict(value=math.nan)])
    assert (record["verdict"], record["why"]) == ("not_measured", "memory.growth: the reading was not a number")


def test_a_series_keeps_its_length_where_a_reading_is_no_number() -> None:
    data = through_json(wire.measure_to_dict(verdict(series=(1.0, math.nan, math.inf))))
    assert data["series"] == [1, None, None]
    back = wire.measure_from_dict("memory.growth", data)
    assert back.series[0] == 1.0
    assert [math.isnan(value) for value in back.series] == [False, True, True]


@pytest.mark.parametrize(("field", "word"), [("verdict", "fine"), ("level", "fatal"), ("evidence", None)])
def test_a_word_that_is_unknown_is_refused(field: str, word: str | None) -> None:
    with pytest.raises(ValueError, match="is none of"):
        wire.measure_from_dict("memory.growth", {**wire.measure_to_dict(verdict()), field: word})


@pytest.mark.parametrize(
    ("statuses", "whole"),
    [
        ([], "not_measured"),
        (["within"], "within"),
        (["within", "near"], "near"),
        (["near", "not_measured"], "not_measured"),
        (["not_measured", "over", "near", "within"], "over"),
    ],
)
def test_a_test_is_never_better_than_its_evidence(statuses: list[Status], whole: str) -> None:
    assert wire.overall(verdict(status=status) for status in statuses) == whole
    assert (
        wire.overall([*(verdict(status=status) for status in statuses), verdict(status="over", level="off")]) == whole
    )


@pytest.mark.parametrize(("line", "carried"), [(3, 3), (None, 0), (-1, 0)])
def test_a_place_without_a_line_is_carried(line: Any, carried: int) -> None:
    data = wire.finding_to_dict(Finding("k.k", "error", "s", locations=(Location("a.py", line),)))
    assert data["locations"][0]["line"] == carried


class Rude:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_anything_is_made_plain_and_what_contains_itself_ends() -> None:
    loop: dict[Any, Any] = {"number": math.inf, 3: {"set": {1}}, "rude": Rude(), "huge": 10**5000, "text": "\udcff"}
    loop["self"] = loop
    data = wire.plain(loop)
    assert (data["number"], data["3"], data["rude"], data["text"]) == (None, {"set": [1]}, "<Rude>", "\\udcff")
    assert data["huge"] is None
    assert data["self"]["self"]["rude"] == "<Rude>"
    json.dumps(data, allow_nan=False)


def test_a_record_packed_for_another_process_comes_back_as_it_was() -> None:
    finding = Finding("a.b", "error", HOSTILE, (HOSTILE,), (Location("a.py", 3, "f"),), (("x", "y"),))
    shown = [verdict(value=value, status="within", why=HOSTILE) for value in (0.0, 1.5)]
    for verdicts, repetitions in (((shown[0],), 0), ((shown[0],), 0), ((shown[1],), 40)):
        record = wire.test_to_dict(
            nodeid=HOSTILE, outcome="passed", verdicts=verdicts, findings=[finding], repetitions=repetitions
        )
        packed = wire.packed(record)
        assert all(type(text) is str and text.isascii() for text in packed)
        assert wire.unpacked(packed) == record


@pytest.mark.parametrize(
    ("started", "told"),
    [(None, {}), (0, {}), (1767225600.5, {"started": "2026-01-01T00:00:00.500000+00:00"}), (1e300, {}), (math.nan, {})],
)
def test_a_test_tells_when_it_began_if_the_clock_was_right(started: float | None, told: dict[str, str]) -> None:
    record = wire.test_to_dict(nodeid="t.py::a", outcome="passed", started=started, duration=1.5)
    assert {name: value for name, value in record.items() if name == "started"} == told
    assert record["duration"] == 1.5
