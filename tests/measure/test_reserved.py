"""Address space that nothing is kept in: what of pools was not used yet, to the byte, and nothing else."""

from __future__ import annotations

import mmap
import os

import pytest

from coresys.measure.meters import MemoryMeter
from coresys.measure.reserved import Reserve, reserved_bytes, untouched_bytes
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Tier

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="the system does not list mappings")

MIB = 1024 * 1024
SMALL, LARGE = Tier("small", 4096, 512), Tier("large", MIB, 16)
WHOLE = 4096 * 512 + MIB * 16
ZEROS = 4096 + MIB  # a slot of each tier that is never written


def test_what_pools_have_mapped_is_in_use_slot_by_slot_as_it_is_lent() -> None:
    before = untouched_bytes()
    pools = BufferPools([SMALL, LARGE])
    assert untouched_bytes() - before == WHOLE + ZEROS
    first, second = pools.lease(MIB, owner="web"), pools.lease(10, owner="web")
    assert untouched_bytes() - before == WHOLE + ZEROS - MIB - 4096
    first.release()
    second.release()
    assert untouched_bytes() - before == WHOLE + ZEROS - MIB - 4096  # used once, and there still
    pools.cool()
    assert untouched_bytes() - before == WHOLE + ZEROS
    pools.close()
    assert untouched_bytes() == before


def test_pools_that_nobody_closed_are_counted_no_longer_than_they_are_mapped() -> None:
    before = untouched_bytes()
    pools = BufferPools([LARGE])
    assert untouched_bytes() > before
    del pools
    assert untouched_bytes() == before


@pytest.mark.skipif(not hasattr(mmap, "MADV_REMOVE"), reason="there are no shared tiers")
def test_shared_tiers_are_told_too() -> None:
    before = untouched_bytes()
    pools = BufferPools([Tier("shared", MIB, 4, shared=True)])
    with pools.lease(MIB, owner="web"):
        assert untouched_bytes() - before == 4 * MIB
    pools.close()
    assert untouched_bytes() == before


def test_a_reading_sees_what_is_used_of_pools_and_what_others_have_mapped() -> None:
    meter, reserve = MemoryMeter(), Reserve(step=4096)

    def mapped() -> int:
        memory = meter.read()
        return memory.mapped - reserve.at(memory.mapped)

    mapped()
    start, listed = mapped(), reserved_bytes()
    pools = BufferPools([SMALL, LARGE])
    made = mapped() - start
    assert abs(made) < MIB, made
    assert listed is not None
    assert (reserved_bytes() or 0) - listed > 16 * MIB
    leases = [pools.lease(MIB, owner="web") for _ in range(8)]
    assert abs(mapped() - start - made - 8 * MIB) < MIB
    others = mmap.mmap(-1, 64 * MIB)
    assert abs(mapped() - start - made - 72 * MIB) < MIB
    others.close()
    for lease in leases:
        lease.release()
    pools.close()
    assert abs(mapped() - start) < MIB
    meter.close()
