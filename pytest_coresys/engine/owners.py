"""What fixtures of a wider scope than the test make: it is theirs, and is judged when they are torn down.

Invariant: a thing is charged once, to the fixture in whose setup it first appeared, and known by identity, so that
a number that is used again is not mistaken for what had it before.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coresys.clock import monotonic, pauses
from coresys.measure.leftovers import KINDS
from coresys.measure.system import FAILURES, System

# Seconds that threads and processes get to end, waited only where some are left. In a child, where they are made and
# left several times over, one that needs longer is shown by ending in the end: its number does not grow.
_GRACE = 1.0
_GRACE_IN_CHILD = 0.25
BYTES_WORTH_TELLING = 1024 * 1024

Identities = dict[str, set[Hashable]]  # by measure


def existing() -> Identities:
    """What exists now, by measure; a kind that can't be listed now is missing."""
    return {key: set(things) for key in KINDS if (things := _listed(key)) is not None}


def _listed(key: str) -> Mapping[Hashable, Any] | None:
    try:
        return KINDS[key].take()
    except FAILURES:  # in the middle of a fixture of the user's
        return None


def still_there(made: Identities, grace: float) -> dict[str, list[str]]:
    """By measure, what is left of the things made, described; after a grace that is waited only if something is."""
    left = _left(made)
    if grace and _may_end(left):
        for _ in pauses(monotonic() + grace, 0.02, least=12):
            left = _left(made)
            if not _may_end(left):
                break
    return left


def _may_end(left: Mapping[str, object]) -> bool:
    return "threads.leaked" in left or "processes.leaked" in left


def _left(made: Identities) -> dict[str, list[str]]:
    found = {}
    for key, identities in made.items():
        if identities:
            # Decided and described from one listing.
            listed = _listed(key) or {}
            now = {identity: thing for identity, thing in listed.items() if identity in identities}
            if now:
                found[key] = [KINDS[key].describe(identity, thing) for identity, thing in now.items()]
    return found


@dataclass(slots=True)
class LeftByFixture:
    """What a fixture left after its teardown: by measure the descriptions, and bytes seen once."""

    owner: str
    things: dict[str, list[str]]
    grown: int = 0
    made: Identities = field(default_factory=dict)

    def left_now(self) -> dict[str, int]:
        """By measure, how many of its things are there at this moment."""
        return {key: len(things) for key, things in still_there(self.made, grace=0.0).items()}


@dataclass(frozen=True, slots=True)
class Fallen:
    """What a fixture that was torn down had made, by identity, and bytes that it added."""

    owner: str
    made: Identities
    grown: int
    released: int = 0  # as ``FixtureOwners`` had counted by then


class FixtureOwners:
    """Keeps account of the fixtures that are up. Only wider ones are told of."""

    def __init__(self, read_memory: Callable[[], int | None]) -> None:
        self._read_memory = read_memory
        self._pid = System.getpid()
        self._up: dict[int, tuple[str, Identities, int]] = {}
        self._before: dict[int, tuple[Identities, int | None]] = {}
        self._falling: dict[int, int | None] = {}
        # pytest lets go of a fixture's value when its teardown is over and told of, and of a test's arguments when the
        # test is: bytes that were given back between teardowns, so far, and the reading after the last teardown.
        self._released = 0
        self._after_last: int | None = None
        # During the test that runs: bytes, then how many of each kind, in the order of the screen's counters.
        self.made_now: list[int] = [0] * (1 + len(KINDS))

    def begin(self, key: int) -> None:
        """The setup of a fixture begins."""
        self._before[key] = existing(), self._between()

    def made(self, key: int, owner: str) -> None:
        """The setup of a fixture is over, well or not."""
        before, memory = self._before.pop(key)
        now = existing()
        # What could not be listed before its setup is not made by it.
        made = {kind: now[kind] - before[kind] if kind in now and kind in before else set() for kind in KINDS}
        grown = self._growth(memory)
        self._up[key] = owner, made, grown
        for at, count in enumerate((max(grown, 0), *map(len, made.values()))):
            self.made_now[at] += count

    def falling(self, key: int) -> None:
        """The teardown of a fixture begins."""
        self._falling[key] = self._between()

    def gone(self, key: int) -> Fallen | None:
        """The teardown of a fixture is over: what it made, if anything."""
        if key not in self._up:
            return None
        owner, made, grown = self._up.pop(key)
        grown += self._growth(self._falling.pop(key, None))
        self._after_last = self._read_memory()
        if any(made.values()) or grown >= BYTES_WORTH_TELLING:
            return Fallen(owner, made, grown, self._released)
        return None

    def left_of(self, fallen: Fallen) -> LeftByFixture | None:
        """What is left of what a fixture made, if anything.

        To be asked when all fixtures have fallen that fall together: what one made may be another's to close, as an
        event loop that is first used in the setup of a fixture.
        """
        in_child = System.getpid() != self._pid
        if in_child:
            gc.collect()  # in the tests' own process, nobody asked for it
        left = still_there(fallen.made, _GRACE_IN_CHILD if in_child else _GRACE)
        self._between()
        grown = fallen.grown - max(self._released - fallen.released, 0)
        if left or grown >= BYTES_WORTH_TELLING:
            return LeftByFixture(fallen.owner, left, grown, fallen.made)
        return None

    def _between(self) -> int | None:
        """The reading now, where no teardown is going on; what was given back since the last one is counted."""
        now = self._read_memory()
        if now is not None and self._after_last is not None:
            self._released += self._after_last - now
        self._after_last = None
        return now

    def _growth(self, before: int | None) -> int:
        now = self._read_memory()
        return 0 if now is None or before is None else now - before
