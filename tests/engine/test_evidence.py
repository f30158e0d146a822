"""From what was seen to verdicts and findings: never better than the evidence, and what is open is a suspicion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from coresys.budgets.model import Limit, Verdict
from coresys.records import GROWS_ALONG, Finding, Reading
from pytest_coresys.engine.evidence import (
    SPENT,
    Seen,
    findings_of,
    may_be_fragmented,
    over_at_first,
    suspects,
    unmeasured_verdicts,
    verdicts_of,
    verdicts_without_a_pass,
)
from pytest_coresys.engine.plan import Plan
from pytest_coresys.engine.screen import MEMORY_RESOLUTION, Counts
from pytest_coresys.measures import GROWTH, MEASURES

KB = 1024


LRU = "kept by an lru_cache(maxsize=1024), whose bound was not reached"


def plan_of(*keys: str, level: Any = "error", skipped: Mapping[str, str] | None = None, **maxima: float) -> Plan:
    limits = {key: Limit(key, maxima.get(key.replace(".", "_"), MEASURES[key].default or 0.0), level) for key in keys}
    return Plan(limits, skipped or {})


def counts(**left: int) -> Counts:
    return Counts(**{**dict.fromkeys(Counts._fields, 0), **left})


def repeated(conclusion: str, rate: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"conclusion": conclusion, "rate": rate, "resolution": 16, "series": [rate, rate], **more}


def judged(key: str, seen: Seen, **given: Any) -> tuple[Verdict, list[Finding]]:
    verdicts = verdicts_of(plan_of(key, **given), seen, MEASURES, {})
    assert len(verdicts) == 1
    return verdicts[0], findings_of(verdicts, seen, MEASURES)


@pytest.mark.parametrize(
    ("key", "seen", "expected"),
    [
        pytest.param("memory.growth", Seen(counts()), ("within", 0.0, "screened", None), id="nothing"),
        pytest.param(
            "memory.growth",
            Seen(counts(memory=MEMORY_RESOLUTION)),
            ("within", 0.0, "screened", None),
            id="as much as any first run",
        ),
        pytest.param(
            "memory.growth",
            Seen(counts(memory=-(2**20))),
            ("within", 0.0, "screened", None),
            id="less than before",
        ),
        pytest.param(
            "memory.growth",
            Seen(counts(memory=40 * KB), why=SPENT),
            ("not_measured", None, "screened", f"suspected: 40 KiB left after one run; {SPENT}"),
            id="more, and not repeated",
        ),
        pytest.param(
            "threads.leaked",
            Seen(counts(threads=1), why="coresys_no_repeat: mine"),
            ("not_measured", None, "screened", "suspected: 1 left after one run; coresys_no_repeat: mine"),
            id="a thread, and not repeated",
        ),
        pytest.param(
            "memory.growth",
            Seen(None, why="no fork"),
            ("not_measured", None, "screened", "the counters could not be read"),
            id="no counters",
        ),
        pytest.param(
            "memory.growth",
            Seen(counts(memory=40 * KB), repeated={"memory.growth": repeated("flat")}),
            ("within", 0.0, "repeated", None),
            id="once, and not again",
        ),
        pytest.param(
            "memory.growth",
            Seen(counts(), repeated={"memory.growth": repeated("leak", 72)}),
            ("over", 72.0, "repeated", None),
            id="again and again",
        ),
        pytest.param(
            "memory.growth",
            Seen(counts(), repeated={"memory.growth": repeated("unclear", 72)}),
            (
                "not_measured",
                None,
                "repeated",
                "suspected: 72 B more with each repetition, but its part of the effort was spent before a cache that "
                "fills could be ruled out",
            ),
            id="it may be a cache",
        ),
        pytest.param(
            "memory.growth",
            Seen(
                counts(),
                repeated={"memory.growth": repeated("unclear", 72, may_end=LRU)},
            ),
            (
                "not_measured",
                None,
                "repeated",
                "suspected: 72 B more with each repetition, but kept by an lru_cache(maxsize=1024), whose bound was "
                "not reached",
            ),
            id="it has a bound",
        ),
        pytest.param(
            "memory.growth",
            Seen(counts(), repeated={"memory.growth": repeated("unclear", 0)}),
            ("not_measured", None, "repeated", "its readings went up and down by too much to tell"),
            id="it is open, and no figure can be given",
        ),
        pytest.param(
            "memory.growth",
            Seen(counts(memory=40 * KB), repeated={"memory.growth": repeated("too few")}, why=SPENT),
            ("not_measured", None, "screened", f"suspected: 40 KiB left after one run; {SPENT}"),
            id="too few repetitions",
        ),
        pytest.param(
            "memory.growth",
            Seen(counts(), repeated={"memory.growth": repeated("too few")}, why=SPENT),
            ("within", 0.0, "screened", None),
            id="too few repetitions of a quiet test",
        ),
        pytest.param(
            "time.call",
            Seen(counts(), readings={"time.call": Reading(0.25)}),
            ("over", 0.25, "screened", None),
            id="a fact of the first run",
        ),
        pytest.param(
            "memory.peak",
            Seen(counts(), readings={"memory.peak": Reading(9.0)}, why=SPENT),
            ("not_measured", None, "screened", SPENT),
            id="a figure that must be seen again, and was not",
        ),
        pytest.param(
            "memory.peak",
            Seen(counts(), readings={"memory.peak": Reading(9.0)}, repetitions=3),
            ("over", 9.0, "repeated", None),
            id="a figure that was seen again",
        ),
        pytest.param(
            "globals.changed",
            Seen(counts(), readings={"globals.changed": Reading(None, "suspected: modules were imported meanwhile")}),
            ("not_measured", None, "screened", "suspected: modules were imported meanwhile"),
            id="a probe that can't tell",
        ),
        pytest.param(
            "globals.changed",
            Seen(counts(), readings={"globals.changed": Reading(None)}),
            ("not_measured", None, "screened", "the probe had no reading"),
            id="a probe that says nothing",
        ),
        pytest.param(
            "memory.fragmentation",
            Seen(counts(stranded=100 * KB), in_use=100 * 1024 * KB),
            ("within", 0.001, "screened", None),
            id="little is stranded",
        ),
        pytest.param(
            "memory.fragmentation",
            Seen(counts(stranded=20 * 1024 * KB), in_use=100 * 1024 * KB, why=SPENT),
            ("not_measured", None, "screened", f"suspected: 20 % after one run; {SPENT}"),
            id="much is stranded, and may not stay so",
        ),
    ],
)
def test_a_verdict_is_never_better_than_its_evidence(
    key: str, seen: Seen, expected: tuple[str, float | None, str, str | None]
) -> None:
    verdict, findings = judged(key, seen)
    assert (verdict.status, verdict.value, verdict.evidence, verdict.why) == expected
    open_question = (verdict.why or "").startswith("suspected:")
    levels = ["suspicion"] if open_question else ["error"] if verdict.status == "over" else []
    assert [finding.level for finding in findings] == levels


def test_the_resolution_says_what_would_not_have_been_seen() -> None:
    assert judged("memory.growth", Seen(counts()))[0].resolution == MEMORY_RESOLUTION
    assert judged("threads.leaked", Seen(counts()))[0].resolution == 0
    seen = Seen(counts(), repeated={"memory.growth": repeated("flat")})
    assert judged("memory.growth", seen)[0].resolution == 16


def test_the_level_of_a_finding_is_that_of_its_budget() -> None:
    seen = Seen(counts(), repeated={"memory.growth": repeated("leak", 72)})
    assert [finding.level for finding in judged("memory.growth", seen, level="warn")[1]] == ["warn"]
    assert judged("memory.growth", seen, memory_growth=100)[0].status == "within"
    assert judged("memory.growth", seen, memory_growth=80)[0].status == "near"


def test_what_is_off_is_not_judged_and_what_is_skipped_or_cannot_be_measured_says_so() -> None:
    plan = plan_of("memory.growth", "threads.leaked", skipped={"memory.growth": "skipped by marker: mine"})
    verdicts = verdicts_of(plan, Seen(counts(threads=3)), MEASURES, {"threads.leaked": "no /proc"})
    assert {verdict.key: (verdict.status, verdict.why) for verdict in verdicts} == {
        "memory.growth": ("not_measured", "skipped by marker: mine"),
        "threads.leaked": ("not_measured", "no /proc"),
    }
    assert not findings_of(verdicts, Seen(counts(threads=3)), MEASURES)
    assert not verdicts_of(plan_of("memory.growth", level="off"), Seen(counts()), MEASURES, {})


def test_a_failed_test_has_nothing_measured() -> None:
    verdicts = unmeasured_verdicts(plan_of(*GROWTH), MEASURES, "the test failed")
    assert {verdict.key for verdict in verdicts} == set(GROWTH)
    assert {(verdict.status, verdict.value, verdict.why) for verdict in verdicts} == {
        ("not_measured", None, "the test failed")
    }


def test_what_is_counted_is_named_before_the_memory_that_grows_along() -> None:
    seen = Seen(
        counts(),
        repeated={"memory.growth": repeated("leak", 900), "descriptors.leaked": repeated("leak", 1)},
        explained={
            "memory.growth": {
                "details": ["socket: +1 object per run"],
                "locations": [{"path": "app.py", "line": 3, "function": "f", "note": "+900 B"}],
                "holders": [["app.py:1 global _all", "list[3]", "socket"]],
            }
        },
    )
    verdicts = verdicts_of(plan_of("memory.growth", "descriptors.leaked"), seen, MEASURES, {})
    descriptors, memory = findings_of(verdicts, seen, MEASURES)
    assert (descriptors.key, memory.key) == ("descriptors.leaked", "memory.growth")
    assert memory.details == (
        f"{GROWS_ALONG}descriptors.leaked, which may be all there is to it",
        "socket: +1 object per run",
    )
    assert [str(place) for place in memory.locations] == ["app.py:3 f +900 B"]
    assert memory.holders == (("app.py:1 global _all", "list[3]", "socket"),)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (None, False),
        (counts(), False),
        (counts(memory=MEMORY_RESOLUTION), False),
        (counts(memory=MEMORY_RESOLUTION + 1), True),
        (counts(tasks=1), True),
        (counts(stranded=10**9), False),
        (counts(descriptors=-1), False),
    ],
)
def test_what_a_first_run_left_is_looked_at_first(left: Counts | None, expected: bool) -> None:
    assert bool(suspects(plan_of(*GROWTH), Seen(left))) is expected


def test_what_a_budget_allows_or_a_marker_skips_is_looked_at_in_its_turn() -> None:
    seen = Seen(counts(memory=40 * KB, threads=1))
    assert suspects(plan_of(*GROWTH, memory_growth=64 * KB), seen)
    assert not suspects(plan_of(*GROWTH, memory_growth=64 * KB, threads_leaked=1), seen)
    assert not suspects(plan_of(*GROWTH, memory_growth=64 * KB, skipped={"threads.leaked": "mine"}), seen)


def test_what_a_budget_allows_is_within_whatever_it_comes_from() -> None:
    once = Seen(counts(memory=40 * KB), why=SPENT)
    verdict, findings = judged("memory.growth", once, memory_growth=64 * KB)
    assert (verdict.status, verdict.value, verdict.evidence, findings) == ("within", 40 * KB, "screened", [])
    assert judged("memory.growth", once, memory_growth=39 * KB)[0].status == "not_measured"
    growing = Seen(counts(), repeated={"memory.growth": repeated("unclear", 72)})
    verdict, findings = judged("memory.growth", growing, memory_growth=KB)
    assert (verdict.status, verdict.value, verdict.evidence, findings) == ("within", 72, "repeated", [])


def test_where_all_leave_garbage_one_run_shows_less() -> None:
    coarse = 8 * MEMORY_RESOLUTION
    verdict = judged("memory.growth", Seen(counts(memory=coarse), resolution=coarse))[0]
    assert (verdict.status, verdict.evidence, verdict.resolution) == ("within", "screened", coarse)
    assert not suspects(plan_of(*GROWTH), Seen(counts(memory=coarse), resolution=coarse))
    assert suspects(plan_of(*GROWTH), Seen(counts(memory=coarse + 1), resolution=coarse))


def test_fragmentation_is_looked_into_where_there_is_a_budget_and_more_than_that() -> None:
    much = Seen(counts(stranded=20 * 1024 * KB), in_use=100 * 1024 * KB)
    assert may_be_fragmented(plan_of("memory.fragmentation"), much)
    assert not may_be_fragmented(plan_of("memory.fragmentation", memory_fragmentation=0.3), much)
    assert not may_be_fragmented(plan_of("memory.growth"), much)
    assert not may_be_fragmented(plan_of("memory.fragmentation"), Seen(None))


def test_tests_of_which_nothing_was_seen_share_their_verdicts_and_others_do_not() -> None:
    plan = plan_of("memory.growth", "threads.leaked", "memory.fragmentation", "globals.changed")

    def verdicts(left: Counts, *, changed: float = 0.0, why: str | None = None) -> tuple[Verdict, ...]:
        seen = Seen(left, in_use=MEMORY_RESOLUTION, readings={"globals.changed": Reading(changed)}, why=why)
        return verdicts_of(plan, seen, MEASURES, {})

    quiet = verdicts(counts())
    assert [each.status for each in quiet] == ["within"] * 4
    assert verdicts(counts(memory=-5, descriptors=-1)) is quiet
    assert verdicts(counts(threads=1)) is not quiet
    assert verdicts(counts(threads=1))[1].status == "not_measured"
    assert verdicts(counts(memory=MEMORY_RESOLUTION + 1))[0].status == "not_measured"
    assert verdicts(counts(stranded=10 * 1024 * KB))[2].status == "not_measured"
    assert verdicts(counts(), changed=1.0)[3].status == "over"
    assert verdicts(counts()) is quiet


def test_why_a_test_was_not_repeated_is_not_taken_from_another_of_its_plan() -> None:
    plan = plan_of("memory.peak", memory_peak=1e6)
    for why in (SPENT, "--coresys-repeat 0", SPENT):
        assert verdicts_of(plan, Seen(counts(), why=why), MEASURES, {})[0].why == why


@pytest.mark.parametrize(
    ("left", "failed", "level", "expected"),
    [
        (2.0, True, "error", ("over", 2.0, "error", ["error"])),
        (2.0, False, "error", ("over", 2.0, "warn", ["warn"])),
        (2.0, True, "warn", ("over", 2.0, "warn", ["warn"])),
        (0.0, True, "error", ("within", 0.0, "error", [])),
        (None, True, "error", ("not_measured", None, "error", [])),
    ],
)
def test_of_a_test_that_did_not_pass_only_what_is_counted_exactly_is_judged(
    left: float | None, failed: bool, level: str, expected: tuple[str, float | None, str, list[str]]
) -> None:
    plan = plan_of("environment.left", "pools.component", "threads.leaked", level=level)
    readings = {"environment.left": Reading(left), "pools.component": Reading(10.0**9)}
    seen = Seen(counts(threads=1), readings=readings)
    verdicts = verdicts_without_a_pass(plan, seen, MEASURES, "the test ended so", failed=failed)
    first, *others = verdicts
    levels = [each.level for each in findings_of(verdicts, seen, MEASURES)]
    assert (first.status, first.value, first.level, levels) == expected
    assert [(each.status, each.why) for each in others] == [("not_measured", "the test ended so")] * 2


@pytest.mark.parametrize(
    ("first", "again", "expected"),
    [
        (0.0, None, ("within", 0.0, "screened", None)),
        (0.05, None, ("near", 0.05, "screened", None)),
        (0.4, None, ("not_measured", None, "screened", "suspected: 40 % in one run; no time")),
        (0.4, [0.3, 0.5], ("over", 0.3, "repeated", None)),
        (0.4, [0.06, 0.0, 0.5], ("over", 0.06, "repeated", None)),  # one of three may be less
        (0.4, [0.0, 0.0], ("within", 0.0, "repeated", None)),
        (0.4, [0.5, 0.0, 0.05], ("near", 0.05, "repeated", None)),
        (0.4, [0.5], ("over", 0.4, "repeated", None)),  # --coresys-repeat 1
    ],
)
def test_what_a_lock_costs_has_to_be_over_again(first: float, again: list[float] | None, expected: object) -> None:
    key = "locks.contention"
    seen = Seen(counts(), readings={key: Reading(first, details=("seen first",))}, why="no time")
    if again is not None:
        seen.again = {key: {"values": again, "details": ["seen then"]}}
    verdict, found = judged(key, seen)
    assert (verdict.status, verdict.value, verdict.evidence, verdict.why) == expected
    assert [finding.level for finding in found] == {"over": ["error"], "not_measured": ["suspicion"]}.get(
        verdict.status, []
    )
    if verdict.status == "over":
        assert found[0].details == ("seen first", "seen then")
    assert over_at_first(plan_of(key), seen) == ({key: 0.05} if first > 0.05 else {})


def test_what_is_skipped_or_could_not_be_read_is_not_read_again() -> None:
    key = "locks.contention"
    assert over_at_first(plan_of(key, skipped={key: "later"}), Seen(counts(), readings={key: Reading(0.4)})) == {}
    unread = Seen(counts(), readings={key: Reading(None, "locks are not watched")})
    assert over_at_first(plan_of(key), unread) == {}
    assert judged(key, unread)[0].why == "locks are not watched"
