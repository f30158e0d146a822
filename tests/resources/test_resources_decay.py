"""What was not used for a while gives its memory back, and is zero again."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from interrupting import NOT_TRACED, Hitting

from coresys.measure.meters import PAGE
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Tier
from coresys.testing.fakes import FakeClock

MIB = 1 << 20
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is given back by madvise of Linux")
pytestmark = LINUX


def pools(clock: FakeClock, *tiers: Tier, **given: Any) -> BufferPools:
    return BufferPools(tiers or (Tier("large", MIB, 16),), exhausted="error", now=clock.now, **{"decay": 60.0, **given})


def touch(given: BufferPools, count: int, size: int = MIB, owner: str = "a") -> None:
    """Use so many slots at once, and give them back."""
    leases = [given.lease(size, owner=owner) for _ in range(count)]
    for lease in leases:
        lease.view[:] = b"x" * size
        lease.release()


def use(given: BufferPools) -> None:
    """As often as it takes for one to look at the clock."""
    for _ in range(16):
        given.lease(1, owner="a").release()


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def idle(given: BufferPools, tier: int = 0) -> float:
    return given.statistics()[tier].idle * given.tiers[tier].slots


def test_what_nobody_used_for_the_time_gives_its_memory_back() -> None:
    clock = FakeClock()
    given = pools(clock)
    touch(given, 16)
    before = resident()
    clock.advance(60)
    assert (given.decay(), idle(given)) == (0, 16), "they were used in this time"
    clock.advance(59)
    assert (given.decay(), idle(given)) == (0, 16)
    clock.advance(1)
    assert (given.decay(), idle(given)) == (16 * MIB, 0)
    assert before - resident() > 14 * MIB
    with given.lease(MIB, owner="a") as view:
        assert not any(view), "what was given back is zero"
    assert given.decay() == 0


def test_what_is_used_stays_and_only_the_rest_goes() -> None:
    clock = FakeClock()
    given = pools(clock)
    touch(given, 10)
    clock.advance(60)
    given.decay()
    touch(given, 3)
    clock.advance(60)
    assert (given.decay(), idle(given)) == (7 * MIB, 3)
    touch(given, 3)
    clock.advance(60)
    assert (given.decay(), idle(given)) == (0, 3)


def test_releases_pay_for_it_some_at_a_time() -> None:
    clock = FakeClock()
    given = pools(clock)
    touch(given, 10)
    clock.advance(60)
    use(given)
    clock.advance(60)
    seen = []
    for _ in range(6):
        use(given)
        seen.append(idle(given))
    assert seen == [8, 6, 4, 2, 1, 1], "one stays, which is used"


def test_what_was_taken_while_others_cooled_is_not_taken_for_unused() -> None:
    clock = FakeClock()
    given = pools(clock)
    touch(given, 10)
    clock.advance(60)
    given.decay()
    clock.advance(60)
    touch(given, 10)  # the first release lets some go, of those that are free then
    assert idle(given) == 10
    clock.advance(59)
    given.decay()
    assert idle(given) == 10


def test_parts_that_are_opened_and_closed_do_not_make_it_forget_what_was_not_used() -> None:
    clock = FakeClock()
    given = pools(clock)
    touch(given, 10)
    for _ in range(6):
        clock.advance(30)
        channel = given.open_channel("t", lease=MIB)
        given.lease(1, owner="t/a").release()
        given.close_channel(channel)
        given.take_from_channel(channel)
        given.decay()
    assert idle(given) == 1


def test_small_slots_go_too_and_those_below_a_page_stay() -> None:
    clock = FakeClock()
    given = pools(clock, Tier("tiny", 64, 4), Tier("small", 4096, 4))
    touch(given, 4, 64)
    touch(given, 4, 4096)
    for _ in range(2):
        clock.advance(60)
        given.decay()
    assert (idle(given, 0), idle(given, 1)) == (4, 0)
    clock.advance(60)
    assert given.decay() == 0


def test_it_can_be_switched_off() -> None:
    clock = FakeClock()
    given = pools(clock, decay=None)
    touch(given, 4)
    for _ in range(3):
        clock.advance(1000)
        touch(given, 1)
        assert given.decay() == 0
    assert idle(given) == 4


def test_another_owner_finds_no_bytes_in_what_was_half_decayed() -> None:
    clock = FakeClock()
    given = pools(clock, Tier("large", MIB, 6))
    touch(given, 6)
    for _ in range(2):
        clock.advance(60)
        use(given)
    leases = [given.lease(MIB, owner="b") for _ in range(6)]
    assert not any(any(lease.view) for lease in leases)
    for lease in leases:
        lease.release()


@NOT_TRACED
@pytest.mark.skipif(sys.version_info < (3, 11), reason="a with statement of 3.10 may be interrupted before its block")
@pytest.mark.parametrize("what", ["cool", "decay", "release"])
def test_an_interruption_at_any_place_leaves_each_slot_in_one_place(what: str) -> None:
    files = {sys.modules[f"coresys.resources.{name}"].__file__ for name in ("pools", "lending", "slab")}
    at, there_are_more = 0, True
    while there_are_more:
        at += 1
        clock = FakeClock()
        given = pools(clock, Tier("small", 4096, 4))
        touch(given, 4, 4096)
        clock.advance(60)
        given.decay()
        clock.advance(60)
        for _ in range(11):  # the sixteenth is that which is interrupted
            given.lease(1, owner="a").release()
        lease = given.lease(1, owner="a")
        assert lease.number == 16

        work = {"cool": given.cool, "decay": given.decay, "release": lease.release}[what]
        hitting = Hitting(files, at, same_handler=True)
        there_are_more = hitting.watching(work)
        slab = given._slabs[0]
        taken = [lent.slot for lent in given._all_lent()]
        places = [*taken, *slab.warm, *slab.cold, *range(slab.fresh, slab.slots)]
        assert sorted(places) == list(range(slab.slots)), hitting.where
        assert slab.free == slab.slots - len(taken), hitting.where
        assert 0 <= slab.least <= len(slab.warm), hitting.where
        given.release_owner("a")
        leases = [given.lease(1, owner="b") for _ in range(4)]
        for each in leases:
            each.release()
    assert at > 5
