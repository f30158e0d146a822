"""For each criterion of resources, a subject with a planted fault that its measuring function catches; and a clean
one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.criteria.judge import judge
from pytest_coresys.criteria.loading import builtin
from pytest_coresys.criteria.samples import Samples
from validation_suites import ours
from validation_suites.asking import faults_of
from validation_suites.faults import cleanup as faulty_cleanup
from validation_suites.faults import resources as faulty
from validation_suites.faults import testing as faulty_tests
from validation_suites.faults.wrapping import Clock, Passing, Slow
from validation_suites.memory import fragmentation_added_by, heap_of
from validation_suites.resources import measures, patterns, releasing
from validation_suites.resources.alarms import alarms_missed_or_false, crossed_on_purpose
from validation_suites.resources.measures import COUNTS, LARGE, MEDIUM, MIB, SMALL

CRITERIA = builtin().criteria
WATCHED = ("state", "resources", "errors", "monitoring", "threads", "components")


# -- how many there are ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manager", "size", "count", "fault"),
    [
        (partial(faulty.with_tier, "small", 499), SMALL, 499, ""),
        (partial(faulty.with_tier, "medium", 251), MEDIUM, 251, ""),
        (partial(faulty.with_tier, "large", 124), LARGE, 124, ""),
        (faulty.LentTwice, SMALL, 438, "have bytes in common"),
    ],
    ids=["one small missing", "one medium too many", "one large missing", "lent twice"],
)
def test_a_tier_of_another_size_is_seen(manager: Callable[[], Any], size: int, count: int, fault: str) -> None:
    found, faults = measures.sound_buffers(manager(), size)
    assert found == count
    assert found != COUNTS[size]
    assert fault in "".join(faults)


@pytest.mark.parametrize("size", COUNTS)
def test_our_tiers_are_as_they_say(size: int) -> None:
    manager = ours.resources()
    assert measures.sound_buffers(manager, size) == (COUNTS[size], [])
    assert manager.leases() == ()


class _Longer(Passing):
    """Buffers that are longer than was asked for."""

    def lease(self, size: int, **given: Any) -> Any:
        """One byte more."""
        return self.inner.lease(size + 1, **given)


def test_a_buffer_of_another_length_is_no_sound_one() -> None:
    found, faults = measures.sound_buffers(_Longer(ours.resources()), SMALL)
    assert (found, faults) == (0, [])  # they are of the next tier


# -- what counts faults ------------------------------------------------------------------------------------------------


def _channel() -> Any:
    return ours.resources().view("channel", lease=4 * SMALL)


CAUGHT: list[tuple[str, str, Callable[..., list[str]], tuple[Callable[[], Any], ...], str]] = [
    ("channel_violations", "no limit", measures.channel_faults, (faulty.Unlimited,), "bytes, of"),
    ("channel_violations", "another's bytes", measures.channel_faults, (faulty.never_zeroed,), "bytes of channel"),
    ("limits", "one more", measures.over_limit_grants, (faulty.OneTooMany,), "holds 12288 bytes, of 8192|holds 4096"),
    ("component_isolation_violations", "no reserve", measures.reserve_refusals, (faulty.NoReserve,), "b was refused"),
    ("cleanup_order_violations", "any order", partial(releasing.order_violations, graphs=20),
     (lambda: faulty_cleanup.InAnyOrder,), "was closed before"),
    ("cleanup_order_violations", "twice", partial(releasing.order_violations, graphs=20),
     (lambda: faulty_cleanup.RunsTwice,), "graph 0: ran"),
    ("cross_channel_cleanup_missed", "stops", releasing.channels_left_open,
     (faulty_cleanup.StopsAtTheFirst, ours.resources), "channel 15 has 2 leases"),
    ("cross_channel_cleanup_missed", "forgets", releasing.channels_left_open,
     (ours.cleanup, faulty.ForgetsOne), "has 1 leases"),
    ("cross_channel_cleanup_missed", "silent", releasing.channels_left_open,
     (faulty_cleanup.SaysAllIsWell, ours.resources), "is not told"),
    ("unreclaimed", "a lease", releasing.unreclaimed, (faulty.ForgetsOne,), "leases: lease"),
    ("unreclaimed", "descriptors", releasing.unreclaimed, (faulty.ClosesNothing,), "descriptors: "),
    ("unreclaimed", "threads", releasing.unreclaimed, (faulty.ClosesNothing,), "threads: "),
    ("unreclaimed", "not told", releasing.unreported, (faulty_tests.SaysNothingIsLeft,), "is not told"),
    ("unreclaimed", "no place", releasing.unreported, (faulty_tests.TellsNoPlace,), "no place is told"),
    *[("test_isolation_leaks", name, releasing.markers_found, (partial(faulty_tests.SharesOne, name),), "finds")
      for name in WATCHED],
    ("threshold_alarms_missed", "always", alarms_missed_or_false, (faulty.AlarmsAlways,), "a false alarm"),
    ("threshold_alarms_missed", "at the limit", alarms_missed_or_false, (faulty.AlarmsAtTheLimit,), "a false alarm"),
    ("threshold_alarms_missed", "once", alarms_missed_or_false, (faulty.AlarmsOnce,), "a missed alarm"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("measure", "subjects", "words"), [each[2:] for each in CAUGHT], ids=[f"{each[0]}, {each[1]}" for each in CAUGHT]
)
def test_a_planted_fault_is_caught(
    measure: Callable[..., list[str]], subjects: tuple[Callable[[], Any], ...], words: str
) -> None:
    found = measure(*(make() for make in subjects))
    assert any(word in fault for fault in found for word in words.split("|")), found


CLEAN: list[tuple[str, Callable[..., list[str]], tuple[Callable[[], Any], ...]]] = [
    ("channels", measures.channel_faults, (ours.resources,)),
    ("limits", measures.over_limit_grants, (ours.resources,)),
    ("limits of a channel", partial(measures.over_channel_grants, limit=4 * SMALL), (_channel,)),
    ("reserves", measures.reserve_refusals, (ours.resources,)),
    ("order", partial(releasing.order_violations, graphs=50), (lambda: ours.cleanup,)),
    ("all channels", releasing.channels_left_open, (ours.cleanup, ours.resources)),
    ("reclaimed", releasing.unreclaimed, (ours.resources,)),
    ("reported", releasing.unreported, (ours.tests,)),
    ("environments", releasing.markers_found, (ours.tests,)),
    ("alarms", alarms_missed_or_false, (ours.monitoring,)),
    ("patterns", patterns.allocation_faults, (ours.resources,)),
    ("figures", patterns.efficiency_faults, (ours.resources,)),
]


@pytest.mark.parametrize(("measure", "subjects"), [each[1:] for each in CLEAN], ids=[each[0] for each in CLEAN])
def test_a_clean_control_passes(measure: Callable[..., list[str]], subjects: tuple[Callable[[], Any], ...]) -> None:
    assert measure(*(make() for make in subjects)) == []


def test_a_channel_without_a_limit_is_caught() -> None:
    found = measures.over_channel_grants(faulty.unlimited_channel(4 * SMALL), 4 * SMALL)
    assert found == [f"a channel holds {12 * SMALL} bytes, of {4 * SMALL}"]


def test_a_channel_that_gives_too_little_is_caught() -> None:
    found = measures.over_channel_grants(ours.resources().view("channel", lease=2 * SMALL), 4 * SMALL)
    assert found == [f"a channel was refused at {2 * SMALL} bytes, of {4 * SMALL}"]


@pytest.mark.parametrize("share", ["internal", "idle", "external"])
def test_a_share_that_is_told_to_be_nothing_is_caught(share: str) -> None:
    found = patterns.efficiency_faults(faulty.WrongShares(share), patterns.EFFICIENCY_OF[share])
    assert any(share in fault or "of no use" in fault for fault in found)


def test_a_buffer_that_is_lent_twice_is_caught_by_its_bytes() -> None:
    found = patterns.run_pattern_faults(faulty.LentTwice(), "steady")
    assert any("it is lent twice" in fault for fault in found)


def test_an_error_that_the_protocol_does_not_know_is_a_fault_and_no_crash() -> None:
    (found,) = faults_of(measures.over_limit_grants, faulty.RaisesAnother())
    assert "could not go on for LookupError: planted" in found


def test_alarms_of_a_system_that_nobody_looks_at_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    with ours.system() as system:
        monkeypatch.setattr(system.coordinators.monitoring, "observe", bool)
        found = crossed_on_purpose(system)
    assert any("beyond the limit of a component" in fault for fault in found)
    with ours.system() as system:
        assert crossed_on_purpose(system) == []


# -- what has a figure -------------------------------------------------------------------------------------------------


def _verdict(identity: str, *values: float) -> str:
    samples = Samples()
    for value in values:
        samples.add(value)
    return judge(CRITERIA[identity], samples).verdict


def stranded_verdicts() -> list[str]:
    """Of memory that a load strands by itself, that a manager strands, and that ours does not."""
    identity, manager = "resources.heap_fragmentation", faulty.Strands()
    ours_loaded, strands_loaded = (partial(patterns.heap_load, each) for each in (ours.resources(), manager))
    return [
        _verdict(identity, fragmentation_added_by(faulty.strands_memory)),
        _verdict(identity, fragmentation_added_by(strands_loaded, warm=0)),
        _verdict(identity, fragmentation_added_by(ours_loaded)),
    ]


def test_memory_that_is_stranded_is_seen() -> None:
    """In a process of its own: it is a share of the bytes in use, of which a run of all tests has hundreds of MB."""
    code = f"import {__name__} as these; print(*these.stranded_verdicts())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["over", "over", "within"]


def test_a_component_that_hoards_is_seen() -> None:
    assert _verdict("resources.component_memory", heap_of(faulty.Hoarding)) == "over"
    assert _verdict("resources.component_memory", heap_of(ours.resources)) == "within"


def test_buffers_that_are_free_and_of_no_use_are_seen() -> None:
    found = patterns.run_pattern(faulty.OneLarge(), "steady", steps=200, mix=patterns.OURS)
    assert found.refused > 0
    assert _verdict("resources.pool_fragmentation", found.external) == "over"


TIMED: list[tuple[str, str, Callable[[Any, Clock], Callable[[], float]], float]] = [
    ("resources.allocation_time", "a lease", lambda slow, clock: measures.allocation(slow, SMALL, clock), 0.011),
    ("resources.cleanup_time", "one", measures.release_of_one, 0.11),
    ("resources.cleanup_time", "all of an owner", measures.release_of_all, 0.11),
    *[
        ("resources.operation_time", kind, lambda slow, clock, kind=kind: measures.operations(slow, clock)[kind], 0.011)
        for kind in ("resize", "transfer", "query", "release")
    ],
]


@pytest.mark.parametrize(
    ("identity", "make", "seconds"),
    [(each[0], each[2], each[3]) for each in TIMED],
    ids=[f"{each[0]}, {each[1]}" for each in TIMED],
)
def test_a_slow_manager_is_seen(
    identity: str, make: Callable[[Any, Clock], Callable[[], float]], seconds: float
) -> None:
    clock = Clock()
    operation = make(Slow(ours.resources(), clock, seconds), clock)
    assert _verdict(identity, *(operation() for _ in range(100))) == "over"
    clock = Clock()
    operation = make(Slow(ours.resources(), clock, 0.0), clock)
    assert _verdict(identity, *(operation() for _ in range(100))) == "within"


def _systems(clock: Clock, seconds: float) -> Callable[[], Any]:
    return lambda: Slow(ours.system(), clock, seconds)


def test_a_slow_shutdown_is_seen() -> None:
    clock = Clock()
    took = releasing.shutdown_seconds(_systems(clock, 2.5), clock)
    assert _verdict("resources.system_cleanup_time", *[took] * 20) == "over"


def test_a_shutdown_that_leaves_something_is_no_measurement() -> None:
    left = []

    class LeavesABuffer(Passing):
        def shutdown(self) -> Any:
            left.append(self.inner.resources.lease(SMALL, owner="left"))
            return self.inner.shutdown()

    with pytest.raises(AssertionError, match="the system was not taken down"):
        releasing.shutdown_seconds(lambda: LeavesABuffer(ours.system()))  # type: ignore[arg-type, return-value]


def test_reserves_are_of_the_size_that_is_asked_for() -> None:
    manager = ours.resources()
    assert measures.reserve_refusals(manager) == []
    assert manager.usage("b").lease_reserve == MIB
