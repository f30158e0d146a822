"""What machines share: clock, bounds, store, and who is told of their transitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Protocol

from coresys.clock import MonotonicClock, WallClock
from coresys.errors.hierarchy import StateError
from coresys.forks import call_in_children
from coresys.state.history import HISTORY_BYTES, HISTORY_COUNT
from coresys.state.store import StateStore
from coresys.system_records import PendingTimer, TransitionRecord

if TYPE_CHECKING:
    from coresys.state.machine import Machine


class TransitionSink(Protocol):
    """Who wants to see every transition: a monitoring manager, say. Called after it was made, without a lock."""

    def transition_made(self, record: TransitionRecord, *, seconds: float, seconds_in_source: float) -> None:
        """``seconds`` is what the transition took, ``seconds_in_source`` how long the state was that it left."""


class TimerSink(Protocol):
    """Who is told of timers: called under the machine's lock, so it must neither wait nor call back."""

    def armed(self, machine: Machine, timers: Sequence[PendingTimer]) -> None:
        """These timers count from now on."""


class Scope:
    """What machines share: clock, bounds of the history, store, and who is told. Made by a StateManager.

    ``plain``: nobody has to be told, and nothing stored; transitions of plain edges then take the quick way.
    """

    __slots__ = (
        "__weakref__", "clock", "failed", "history_bytes", "history_count", "lock", "manager", "on_error", "plain",
        "refused", "released", "sink", "store", "time", "timers", "watchers",
    )  # fmt: skip

    def __init__(
        self,
        *,
        clock: WallClock | None = None,
        history_count: int = HISTORY_COUNT,
        history_bytes: int = HISTORY_BYTES,
        store: StateStore | None = None,
        sink: TransitionSink | None = None,
        timers: TimerSink | None = None,
        on_error: Callable[[StateError], object] | None = None,
    ) -> None:
        self.clock: WallClock = clock if clock is not None else MonotonicClock()
        self.time = self.clock.time
        self.history_count, self.history_bytes = history_count, history_bytes
        self.store, self.sink, self.timers, self.on_error = store, sink, timers, on_error
        # Whoever keeps a machine keeps this, which sees to its lock in forked children, until it is closed.
        self.manager: object = None
        self.watchers: tuple[Callable[[TransitionRecord], object], ...] = ()
        # Of the counters below and the watchers; a leaf, which the handler of a signal may ask for again.
        self.lock = RLock()
        self.refused = self.failed = 0
        self.released = False  # the scope of machines that were released: nobody is told, and every event refused
        self.plain = True
        self.settle()

    def after_release(self) -> Scope:
        """The scope of machines that were released from this one."""
        gone = Scope(clock=self.clock, history_count=self.history_count, history_bytes=self.history_bytes)
        gone.released, gone.plain = True, False
        return gone

    def settle(self) -> None:
        """Work out anew whether somebody has to be told; after each change of the above."""
        self.plain = self.store is None and self.sink is None and not self.watchers

    def count_refused(self) -> None:
        with self.lock:
            self.refused += 1

    def count_failed(self) -> None:
        with self.lock:
            self.failed += 1

    def _after_fork(self) -> None:
        self.lock = RLock()


ALONE = Scope()
call_in_children(ALONE._after_fork)
