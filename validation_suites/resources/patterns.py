"""Patterns of leases: what is held rises and falls as real programs have it, or as an adversary would."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from validation_suites.resources.measures import (
    COUNTS,
    KIB,
    LARGE,
    MEDIUM,
    REFUSED,
    SMALL,
    counted_as,
    give_back,
    slots_of,
)

if TYPE_CHECKING:
    from coresys.interfaces import IResourceManager, Lease
    from coresys.system_records import LeaseRecord

ORDINARY = ("steady", "burst", "sawtooth", "full")
PATTERNS = (*ORDINARY, "adversarial")
_SIZES = (100, SMALL, 5 * KIB, MEDIUM, MEDIUM + KIB, LARGE)
_ALIKE = 1e-9
_NEVER = 1 << 30


class Shares(NamedTuple):
    """What came of a pattern: the most of each share over its steps, what was refused, and what was wrong."""

    internal: float
    idle: float
    external: float
    refused: int
    faults: tuple[str, ...]


class _Held(NamedTuple):
    lease: Lease
    mark: bytes


class Mix(NamedTuple):
    """What a pattern asks for: ordinary sizes, and those that fill all tiers at a time, by how many slots there are.

    The patterns are cut for tiers of ours; for others they are as much smaller as those are, and of their sizes.
    """

    ordinary: tuple[int, ...]
    tiers: Mapping[int, int]
    scale: float

    @classmethod
    def of(cls, manager: IResourceManager) -> Mix:
        tiers = slots_of(manager)
        if all(tiers.get(size, 0) >= slots for size, slots in COUNTS.items()):
            return OURS
        ordinary = [
            size for slot, slots in tiers.items() for size in (slot, max(slot * 3 // 4, 1)) for _ in range(slots)
        ]
        return cls(tuple(ordinary), tiers, min(sum(tiers.values()) / sum(COUNTS.values()), 1.0))

    def room(self, pattern: str, step: int) -> int:
        """How many leases there may be at once."""
        burst = 80 if step % 100 < 20 else 5
        most = {"steady": 40, "burst": burst, "sawtooth": 1 + step % 120, "adversarial": 300, "full": 2000}[pattern]
        return most if pattern in ("adversarial", "full") else max(round(most * self.scale), 1)

    def size(self, pattern: str, step: int, dice: random.Random) -> int:
        if pattern == "adversarial":  # as little of a slot as there can be
            return MEDIUM + KIB if step % 2 else SMALL + 1
        if pattern == "full":  # as many of each size as there are slots
            return dice.choices(tuple(self.tiers), tuple(self.tiers.values()))[0]
        return dice.choice(self.ordinary)


OURS = Mix(_SIZES, COUNTS, 1.0)


def run_pattern(
    manager: IResourceManager, pattern: str, steps: int = 1200, look: int = 20, mix: Mix | None = None
) -> Shares:
    """Lease and give back by a pattern. Wrong are: a buffer that is shorter than was asked for, one whose bytes
    somebody else has changed, figures that are not what is held, and buffers that are lent still when all were given
    back."""
    dice = random.Random(pattern)
    held: list[_Held] = []
    faults: list[str] = []
    refused, most = 0, [0.0, 0.0, 0.0]
    mix, counted = mix or Mix.of(manager), counted_as(manager)
    for step in range(steps):
        room = mix.room(pattern, step)
        while len(held) >= room:
            _let_go(held.pop(dice.randrange(len(held))), faults)
        size = mix.size(pattern, step, dice)
        try:
            lease = manager.lease(size, owner=f"owner {step % 7}", timeout=0.0)
        except REFUSED:
            refused += 1
            if held:
                most = _most(most, manager)
                _let_go(held.pop(dice.randrange(len(held))), faults)
            continue
        held.append(_marked(lease, size, step, faults))
        if step % look == 0:
            most = _most(most, manager)
            faults += wrong_figures(manager, [each.lease for each in held], counted)
    while held:
        _let_go(held.pop(), faults)
    left = len(manager.leases())
    if left:
        faults.append(f"{pattern}: {left} buffers are lent still, though all were given back")
    internal, idle, external = most
    return Shares(internal, idle, external, refused, tuple(faults))


def _marked(lease: Lease, size: int, step: int, faults: list[str]) -> _Held:
    mark = step.to_bytes(8, "little")
    if len(lease.view) != size or lease.record.size < size:
        faults.append(f"a buffer of {len(lease.view)} bytes where {size} were asked for")
    lease.view[:8] = lease.view[-8:] = mark
    return _Held(lease, mark)


def _let_go(held: _Held, faults: list[str]) -> None:
    try:
        view = held.lease.view
        changed = bytes(view[:8]) != held.mark or bytes(view[-8:]) != held.mark
    except ValueError:  # the memory was taken from it: another lease that had it was given back
        changed = True
    if changed:
        faults.append(f"lease {held.lease.record.number} was changed by another: it is lent twice")
    held.lease.release()


def _most(most: list[float], manager: IResourceManager) -> list[float]:
    tiers = manager.statistics()
    return [
        max(before, max(getattr(tier, share) for tier in tiers))
        for before, share in zip(most, ("internal", "idle", "external"), strict=True)
    ]


def wrong_figures(manager: IResourceManager, leases: list[Lease], counted: Callable[[LeaseRecord], int]) -> list[str]:
    """What a manager tells of its tiers and is not so, by what is held: how many are lent, and the share of them that
    nobody asked for. Nobody else has a lease of it. Where a lease counts for no more than was asked for, there may be
    none such: either is right."""
    busy: dict[str, int] = {}
    asked: dict[str, int] = {}
    lent: dict[str, int] = {}
    for lease in leases:
        record = lease.record
        busy[record.tier] = busy.get(record.tier, 0) + 1
        asked[record.tier] = asked.get(record.tier, 0) + record.requested
        lent[record.tier] = lent.get(record.tier, 0) + counted(record)
    faults = []
    for tier in manager.statistics():
        mine = busy.get(tier.tier, 0)
        if tier.busy != mine:
            faults.append(f"tier {tier.tier}: {tier.busy} lent by its figures, {mine} in fact")
        internal = 1 - asked[tier.tier] / (mine * tier.slot) if mine else 0.0
        exact = mine > 0 and lent[tier.tier] == asked[tier.tier]
        if abs(tier.internal - internal) > _ALIKE and not (exact and abs(tier.internal) <= _ALIKE):
            faults.append(
                f"tier {tier.tier}: internal share {tier.internal:.3f} by its figures, {internal:.3f} in fact"
            )
        for share in ("internal", "idle", "external"):
            if not 0 <= getattr(tier, share) <= 1:
                faults.append(f"tier {tier.tier}: the {share} share is {getattr(tier, share)!r}")
    return faults


def run_pattern_faults(manager: IResourceManager, pattern: str) -> list[str]:
    """What was wrong in a pattern, but for the figures."""
    return list(run_pattern(manager, pattern, look=_NEVER).faults)


def allocation_faults(manager: IResourceManager) -> list[str]:
    """What was wrong in any of the patterns, but for the figures."""
    return [fault for pattern in PATTERNS for fault in run_pattern_faults(manager, pattern)]


EFFICIENCY_OF = {"internal": ("steady",), "idle": ("burst",), "external": ("adversarial",)}
"""Patterns that show what a share is about."""


def efficiency_faults(manager: IResourceManager, chosen: Iterable[str] = PATTERNS, *, keeps: bool = True) -> list[str]:
    """Figures of usage that are not what is so, in some of the patterns.

    ``keeps``: it is known to have all its memory from the beginning, and to keep what was touched. Then figures are
    wrong too that say nothing: buffers lie idle after a burst, and smaller ones were free when large ones were refused.
    Of memory that is made for each lease there is none that is idle, or free.
    """
    found = {pattern: run_pattern(manager, pattern) for pattern in chosen}
    faults = [fault for each in found.values() for fault in each.faults]
    if not keeps:
        return faults
    if "burst" in found and not found["burst"].idle > 0:
        faults.append("after a burst no buffer is said to lie idle")
    if "adversarial" in found and found["adversarial"].refused and not found["adversarial"].external > 0:
        faults.append(
            "large requests were refused while smaller buffers were free, and no byte is said to be of no use"
        )
    return faults


def in_words(pattern: str, found: Shares) -> str:
    """The shares of a pattern, on a line."""
    return (
        f"{pattern}: external {found.external:.2%}, internal {found.internal:.1%}, idle {found.idle:.1%}, "
        f"{found.refused} refused"
    )


def heap_load(manager: IResourceManager, owners: int = 300) -> None:
    """Owners that come and go, each with leases and other things: what is left of it has to be of use again."""
    for turn in range(3):
        for number in range(owners):
            owner = f"owner {turn} {number}"
            manager.limit(owner, lease=1 << 24)
            leases = [manager.lease(100, owner=owner) for _ in range(number % 4)]
            manager.register("thing", owner=owner, close=bool)
            give_back(leases)
            manager.release_owner(owner)
