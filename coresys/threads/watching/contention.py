"""How much a lock costs: the time for which threads were kept from going on by it, and what share of theirs. Pure.

For each lock:

- *blocked*: the sum over the waits for it of what is left of each when the time is taken off for which the process was
  busy meanwhile (``busy``). While the interpreter is at work a lock costs nothing: somebody else could not have run.
- *active*, of each thread that took it: the time for which it did anything or wanted to. It waited for locks, stood in
  line for a processor, had one, or waited for the interpreter; else it was parked, in whatever: a sleep, a socket, an
  event. All but the last is known. For the interpreter it waited while others had it: at most for what they did, and
  where so many take turns, for so many times what it did itself. Nor was it active for longer than it lived, less
  what it is known to have been parked.
- *contention*: blocked over the sum of active. At most 1, whatever the number of threads; nothing of bystanders.

Waits that were over soon are too many and too short to be measured each: now and then one is, and the others are taken
to be alike. Their sum is compared, not each of them, so that what the clocks of the system tell late makes nothing up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coresys.records import Location

LEAST_LOST = 0.02  # seconds: below, a share of a short test is a few switches between threads, of 5 ms each
FEWEST_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Waits:
    """All waits for one lock. Seconds.

    ``lasted`` is what was left, busy time taken off, of those that were measured one by one; ``soon`` the sum of those
    that were over soon, of which ``samples`` were measured: ``sampled`` in all, ``busy`` of that.
    """

    count: int = 0
    waited: float = 0.0
    longest: float = 0.0
    lasted: float = 0.0
    soon: float = 0.0
    samples: int = 0
    sampled: float = 0.0
    busy: float = 0.0


@dataclass(frozen=True, slots=True)
class Contention:
    """What one lock cost. Seconds; ``share`` is blocked over active, ``wait_share`` waited over active.

    ``waiter`` is where the longest wait was, ``holder`` where the lock had been taken then, ``stack`` where its holder
    stood, the innermost first. ``holders``: where it had been taken while others waited, with how long they did.
    """

    number: int
    kind: str
    name: str
    site: Location
    waits: int
    waited: float
    blocked: float
    active: float
    longest: float
    threads: int
    waiter: Location | None = None
    waiting: str = ""
    holder: Location | None = None
    holding: str = ""
    stack: tuple[Location, ...] = ()
    holders: tuple[tuple[Location, float], ...] = ()

    @property
    def share(self) -> float:
        return share_of(self.blocked, self.active)

    @property
    def wait_share(self) -> float:
        return share_of(self.waited, self.active)

    @property
    def counts(self) -> bool:
        """Whether enough was lost for a share of it to mean anything."""
        return self.blocked >= LEAST_LOST


def idle_of(waited: float, measured: float, busy: float) -> float:
    """What is left of a wait that was measured for a part of it: the rest of it was alike, unless it is the larger."""
    if measured <= 0 or waited <= 0:
        return 0.0
    idle = max(0.0, measured - busy)
    return min(idle * waited / measured if 2 * measured >= waited else idle, waited)


def blocked_of(waits: Waits) -> float:
    """For how long threads were kept waiting by a lock while the process had nothing to do."""
    soon = 0.0
    if waits.samples >= FEWEST_SAMPLES and waits.sampled > 0:
        soon = waits.soon * min(max(0.0, 1 - waits.busy / waits.sampled), 1.0)
    return waits.lasted + soon


@dataclass(frozen=True, slots=True)
class Life:
    """Of a thread, while somebody looked: seconds.

    ``waited`` is for locks, ``queued`` for a processor; ``worked`` what it had of one (None: not known), ``process``
    what all threads had meanwhile, and ``among`` how many those were.
    """

    lived: float
    parked: float = 0.0
    waited: float = 0.0
    queued: float = 0.0
    worked: float | None = None
    process: float = 0.0
    among: int = 1


def active_of(life: Life) -> float:
    """For how long a thread was active, at most."""
    turns = life.process if life.worked is None else min(life.process, life.worked * max(life.among, 1))
    return max(0.0, min(life.lived - life.parked, life.waited + life.queued + turns))


def share_of(part: float, whole: float) -> float:
    """At most 1: what is measured at different moments may differ by some microseconds."""
    return min(part / whole, 1.0) if whole > 0 else 0.0


def worst_of(found: Iterable[Contention]) -> Sequence[Contention]:
    """Those that count, the worst first."""
    return sorted((each for each in found if each.counts), key=lambda each: (-each.share, each.number))


__all__ = [
    "LEAST_LOST",
    "Contention",
    "Life",
    "Waits",
    "active_of",
    "blocked_of",
    "idle_of",
    "share_of",
    "worst_of",
]
