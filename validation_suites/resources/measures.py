"""What is measured of a resource manager, known by its protocol alone. Each function returns what the criterion counts:
a list of faults in words, a number, or seconds."""

from __future__ import annotations

import ctypes
import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from coresys.errors.hierarchy import LeaseLimitError, LeaseSizeError, PoolExhaustedError
from coresys.interfaces import IResourceManager
from validation_suites.conforming import departures
from validation_suites.memory import resident
from validation_suites.running import at_once, meanwhile

if TYPE_CHECKING:
    from coresys.interfaces import Lease
    from coresys.system_records import LeaseRecord

KIB, MIB = 1024, 1024 * 1024
SMALL, MEDIUM, LARGE = 4 * KIB, 64 * KIB, MIB
COUNTS = {SMALL: 500, MEDIUM: 250, LARGE: 125}
REFUSED = (PoolExhaustedError, LeaseLimitError, LeaseSizeError)
_MOST = 5000  # leases, where a tier has no end
_BREATH = 0.0002  # seconds

Now = Callable[[], float]


def taken_until_refused(manager: IResourceManager, size: int, owner: str, most: int = _MOST) -> list[Lease]:
    """Leases of one size, until there is no other."""
    leases: list[Lease] = []
    while len(leases) < most:
        try:
            leases.append(manager.lease(size, owner=owner, timeout=0.0))
        except REFUSED:
            break
    return leases


def give_back(leases: list[Lease]) -> None:
    """All of them, the latest first."""
    while leases:
        leases.pop().release()


def slots_of(manager: IResourceManager) -> dict[int, int]:
    """How many buffers of which size there are, the smallest first, as the manager says itself: others have other tiers
    than ours, and what is asked of all is asked in sizes of their own."""
    found: dict[int, int] = {}
    for tier in sorted(manager.statistics(), key=lambda tier: tier.slot):
        found[tier.slot] = found.get(tier.slot, 0) + tier.slots
    return found


def whole(manager: IResourceManager, size: int) -> int:
    """The bytes of a whole slot in which ``size`` has room; of the largest one where there is none. Who asks for these
    has taken as many by each way of counting: what was asked for, and what was lent."""
    slots = list(slots_of(manager))
    return next((slot for slot in slots if slot >= size), max(slots, default=size))


def counted_as(manager: IResourceManager) -> Callable[[LeaseRecord], int]:
    """What a lease counts for: all of its buffer, or what was asked for of it. Either is right, if it always is so."""
    lease = manager.lease(1, owner="weighed", timeout=0.0)
    record, leased = lease.record, manager.usage("weighed").leased
    lease.release()
    return _requested if leased == record.requested != record.size else _size


def _requested(record: LeaseRecord) -> int:
    return record.requested


def _size(record: LeaseRecord) -> int:
    return record.size


# -- how many there are ------------------------------------------------------------------------------------------------


def sound_buffers(manager: IResourceManager, size: int) -> tuple[int, list[str]]:
    """How many buffers of exactly that size can be held at once, each as long as it says and overlapping no other; and
    what was wrong with the rest."""
    leases: list[Lease] = []
    slot = {tier.tier: tier.slot for tier in manager.statistics()}
    try:
        while len(leases) < _MOST:
            try:
                lease = manager.lease(size, owner="count", timeout=0.0)
            except REFUSED:
                break
            leases.append(lease)
            if slot.get(lease.record.tier) != size:  # of another tier: this one has no more
                break
        own = [lease for lease in leases if slot.get(lease.record.tier) == size]
        faults = {number: fault for number, fault in enumerate(map(partial(_wrong_length, size), own)) if fault}
        faults.update(_overlapping(own))
        told = list(faults.values())
        if size not in slot.values():
            told.append(f"there is no tier of {size} bytes, but of {', '.join(map(str, slots_of(manager)))}")
        return len(own) - len(faults), told
    finally:
        give_back(leases)


def _wrong_length(size: int, lease: Lease) -> str:
    return "" if len(lease.view) == size else f"a buffer of {len(lease.view)} bytes, not {size}"


def _overlapping(leases: list[Lease]) -> dict[int, str]:
    """Those that begin before the one below them ends, by where they stand in the list."""
    places = sorted((_address(lease.view), number) for number, lease in enumerate(leases))
    found = {}
    for (below, one), (above, other) in zip(places, places[1:], strict=False):
        if above < below + len(leases[one].view):
            found[other] = f"buffers {one} and {other} have bytes in common"
    return found


def _address(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def resident_at_creation(make: Callable[[], object]) -> int:
    """Bytes of resident memory that a new manager takes before anything is lent: to be shown, for it moves by
    itself."""
    before = resident()
    made = make()
    after = resident()
    del made
    return after - before


# -- boundaries --------------------------------------------------------------------------------------------------------


def channel_faults(manager: IResourceManager, channels: int = 16, threads: int = 8, rounds: int = 400) -> list[str]:
    """Random leases for many owners from many threads: grants beyond an owner's limit, and bytes of another owner in
    what was just lent. Two threads share each pair of owners."""
    small, medium = whole(manager, SMALL), whole(manager, MEDIUM)
    sizes, limit = (min(1000, small), small, min(small + KIB, medium), medium), 4 * medium
    counted = counted_as(manager)
    names = [f"channel {number}" for number in range(channels)]
    for name in names:
        manager.limit(name, lease=limit)
    held, lock = dict.fromkeys(names, 0), threading.Lock()
    faults: list[str] = []

    def work(number: int) -> None:
        dice = random.Random(number)
        mine: list[tuple[str, Lease]] = []
        own = [(2 * number + each) % channels for each in range(4)]
        for _ in range(rounds):
            at = dice.choice(own)
            if len(mine) > 6 or (mine and dice.random() < 0.4):
                name, lease = mine.pop(dice.randrange(len(mine)))
                with lock:  # before it is given back: what is counted is never more than what is held
                    held[name] -= counted(lease.record)
                lease.release()
                continue
            try:
                lease = manager.lease(dice.choice(sizes), owner=names[at], timeout=0.0)
            except REFUSED:
                continue
            with lock:
                held[names[at]] += counted(lease.record)
                if held[names[at]] > limit:
                    faults.append(f"{names[at]} holds {held[names[at]]} bytes, of {limit}")
            mark = bytes((at + 1,))
            foreign = lease.view.tobytes().translate(None, mark + b"\0")
            if foreign:
                faults.append(f"{names[at]} got {len(foreign)} bytes of channel {foreign[0] - 1}")
            lease.view[:] = mark * len(lease.view)
            mine.append((names[at], lease))
        for name, lease in mine:
            with lock:
                held[name] -= counted(lease.record)
            lease.release()

    faults += at_once(partial(work, number) for number in range(threads))
    return faults


def over_limit_grants(manager: IResourceManager) -> list[str]:
    """Grants beyond what a tier has, and beyond the limit of an owner: at the boundary, and by one large request."""
    faults = []
    for size, count in slots_of(manager).items():
        found, wrong = sound_buffers(manager, size)
        faults += wrong
        if found > count:
            faults.append(f"{found} buffers of {size} bytes, of {count}")
    small, large = whole(manager, SMALL), whole(manager, LARGE)
    for slots in (0, 1, 3):
        owner, limit = f"with {slots}", slots * small
        manager.limit(owner, lease=limit)
        leases = taken_until_refused(manager, small, owner, most=slots + 2)
        held = sum(lease.record.size for lease in leases)
        if held > limit:
            faults.append(f"{owner!r} holds {held} bytes, of {limit}")
        if held < limit:
            faults.append(f"{owner!r} was refused at {held} bytes, of {limit}")
        give_back(leases)
        large_ones = taken_until_refused(manager, large, owner, most=1) if large > limit else []
        if large_ones:
            faults.append(f"{owner!r} got {large_ones[0].record.size} bytes at once, of {limit}")
        give_back(large_ones)
    return faults


def channel_of(manager: Any, limit: int) -> IResourceManager | None:
    """A view of it, whose owners may hold so much together; None where it has none. The protocol knows no views: what a
    stranger calls so may be anything, and is asked only if that is a manager of resources itself."""
    try:
        view: IResourceManager = manager.view("channel", lease=limit)
    except Exception:  # of whatever kind, as of whatever it is
        return None
    return view if not departures(IResourceManager, view) else None


def over_channel_grants(view: IResourceManager, limit: int) -> list[str]:
    """Grants to several owners of one channel that are more, together, than ``limit``, which is that of the channel."""
    small = whole(view, SMALL)
    leases = [lease for owner in "abc" for lease in taken_until_refused(view, small, owner, most=limit // small + 1)]
    held = sum(lease.record.size for lease in leases)
    give_back(leases)
    if held > limit:
        return [f"a channel holds {held} bytes, of {limit}"]
    return [f"a channel was refused at {held} bytes, of {limit}"] if held < limit // small * small else []


def reserve_refusals(manager: IResourceManager, reserve: int = MIB, threads: int = 4, rounds: int = 40) -> list[str]:
    """Requests of B within its reserve that were refused: while A holds all that it can get, and while it takes and
    gives back without end. A reserve that a tier has no room for is none: then it is as much as the least of them."""
    tiers = slots_of(manager)
    reserve = min(reserve, *(size * slots for size, slots in tiers.items()))
    manager.limit("b", reserve=reserve)
    faults = []
    for size in tiers:
        greedy = [lease for each in tiers for lease in taken_until_refused(manager, each, "a")]
        mine = taken_until_refused(manager, size, "b", most=reserve // size)
        if len(mine) < reserve // size:
            faults.append(
                f"b was refused after {len(mine)} of {reserve // size} buffers of {size} bytes, all of a's held"
            )
        give_back(mine)
        give_back(greedy)
    return [*faults, *_refusals_in_turmoil(manager, reserve, threads, rounds)]


def _refusals_in_turmoil(manager: IResourceManager, reserve: int, threads: int, rounds: int) -> list[str]:
    done = threading.Event()
    refused: list[str] = []
    size = max(each for each in (*slots_of(manager), 0) if each <= max(MEDIUM, min(slots_of(manager))))

    def greedy(number: int) -> None:
        while not done.is_set():
            leases = taken_until_refused(manager, size, f"a{number}")
            give_back(leases)

    def modest() -> None:
        try:
            for turn in range(rounds):
                leases: list[Lease] = []
                try:
                    for _ in range(reserve // size):
                        leases.append(manager.lease(size, owner="b", timeout=0.0))
                except REFUSED as error:
                    refused.append(f"b was refused in round {turn}, with {len(leases)} held: {error}")
                give_back(leases)
        finally:
            done.set()

    errors = at_once([modest, *(partial(greedy, number) for number in range(threads))])
    return refused + errors


# -- how long it takes -------------------------------------------------------------------------------------------------


def allocation(
    manager: IResourceManager, size: int, now: Now = perf_counter, owner: str = "timed"
) -> Callable[[], float]:
    """Seconds of one lease; its release is not timed."""

    def one_lease() -> float:
        began = now()
        lease = manager.lease(size, owner=owner)
        took = now() - began
        lease.release()
        return took

    return one_lease


def first_touches(manager: IResourceManager, now: Now = perf_counter, count: int = 32) -> list[float]:
    """Seconds of writing all of a large buffer, each of which nobody used before."""
    size, seen = whole(manager, LARGE), []
    data, leases = b"x" * size, taken_until_refused(manager, size, "first", most=count)
    for lease in leases:
        view = lease.view
        began = now()
        view[:] = data
        seen.append(now() - began)
        del view
    give_back(leases)
    return seen


def release_of_one(manager: IResourceManager, now: Now = perf_counter) -> Callable[[], float]:
    """Seconds of one release."""

    small = whole(manager, SMALL)

    def one_release() -> float:
        lease = manager.lease(small, owner="timed")
        began = now()
        lease.release()
        return now() - began

    return one_release


def release_of_all(
    manager: IResourceManager, now: Now = perf_counter, leases: int = 20, others: int = 5
) -> Callable[[], float]:
    """Seconds of taking back all that one owner holds."""

    sizes = whole(manager, SMALL), whole(manager, MEDIUM)

    def all_of_an_owner() -> float:
        held = [lease for at in range(leases) for lease in taken_until_refused(manager, sizes[at % 2], "part", most=1)]
        for number in range(others):
            manager.register(f"thing {number}", owner="part", close=bool)
        began = now()
        manager.release_owner("part")
        took = now() - began
        del held
        return took

    return all_of_an_owner


def operations(manager: IResourceManager, now: Now = perf_counter) -> dict[str, Callable[[], float]]:
    """Seconds of each kind of operation beside a lease: another size, another owner, a question, a release.

    The protocol knows no other way to a larger buffer, or one of another owner, than to lease that and copy.
    """

    small, medium = whole(manager, SMALL), whole(manager, MEDIUM)

    def moved(size: int, owner: str) -> float:
        old = manager.lease(small, owner="first")
        began = now()
        new = manager.lease(size, owner=owner)
        new.view[:small] = old.view
        old.release()
        took = now() - began
        new.release()
        return took

    def asked() -> float:
        began = now()
        manager.usage("first")
        manager.statistics()
        return now() - began

    return {
        "resize": partial(moved, medium, "first"),
        "transfer": partial(moved, small, "second"),
        "query": asked,
        "release": release_of_one(manager, now),
    }


def others_at_work(manager: IResourceManager, threads: int = 7) -> AbstractContextManager[None]:
    """So many threads that lease and give back, meanwhile, each with a breath between: without one they would measure
    how the interpreter shares itself out among eight that never wait."""

    small = whole(manager, SMALL)

    def work(owner: str) -> None:
        manager.lease(small, owner=owner).release()

    return meanwhile([partial(work, f"other {number}") for number in range(threads)], _BREATH)
