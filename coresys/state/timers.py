"""Timers of state machines: which event is due when. A heap, and a thread that waits if somebody wants one.

Invariant: a timer counts while its machine has that very record armed; leaving the state takes it from the machine,
not from the heap, which forgets it when it comes up, or when most of it is of that kind.

Nothing that waits keeps a manager alive: the heap refers to machines weakly, the thread to the heap, and while it
sleeps it has nothing but its bell, which rings when the heap is gone.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from weakref import ref

from coresys.clock import WallClock
from coresys.errors.hierarchy import StoreConflictError
from coresys.state.making import log
from coresys.system_records import PendingTimer

if TYPE_CHECKING:
    from coresys.state.machine import Machine

# Below this many, the heap is not looked through for what is no longer armed.
FEW = 64
# The longest that the thread sleeps before it looks at the clock again: the time of day may be set.
LONGEST = 60.0
# After so many seconds a timer is tried again that the store could not keep, or that something interrupted.
AGAIN = 1.0


class Bell:
    """What the thread sleeps by. ``condition`` is a leaf, re-entrant for a signal's handler."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Make it anew, in a forked child: in the place of the old one, which the end of the heap still rings."""
        self.condition = threading.Condition()
        self._rung = False

    def ring(self, _: object = None) -> None:
        """Wake the thread, or keep it from falling asleep."""
        with self.condition:
            self._rung = True
            self.condition.notify()

    def wait(self, seconds: float) -> None:
        """Sleep, but not where it was rung since the last time."""
        with self.condition:
            if not self._rung:
                self.condition.wait(seconds)
            self._rung = False


class Timers:
    """The timers of all machines of a manager. ``armed`` is called under machines' locks, and only notes.

    ``on_error`` may not refer to the manager: the thread keeps this alive while it is awake, and not more.
    """

    def __init__(self, clock: WallClock, on_error: Callable[[Machine, PendingTimer, Exception], object]) -> None:
        self._clock = clock
        self._on_error = on_error
        self._bell = Bell()
        self._condition = self._bell.condition  # of all below
        self._heap: list[tuple[float, int, ref[Machine], PendingTimer]] = []
        self._number = 0
        self._threaded = False
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._sweep_above = FEW

    def armed(self, machine: Machine, timers: Sequence[PendingTimer]) -> None:
        """Note timers that count from now on. Called under the machine's lock: never raises, never waits."""
        if not timers:
            return
        with self._condition:
            for timer in timers:
                self._push(timer.due, machine, timer)
            if len(self._heap) > self._sweep_above:
                self._sweep()
            if self._threaded and not self._stopped:
                self._wake()

    def _push(self, due: float, machine: Machine, timer: PendingTimer) -> None:
        self._number += 1
        heapq.heappush(self._heap, (due, self._number, ref(machine), timer))

    def _wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            mine = ref(self, self._bell.ring)
            thread = threading.Thread(target=_run, args=(mine, self._bell), name="coresys-state-timers", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter ends; the next one tries again
                log.error("timers are not run: no thread can be started: %s", error)
                return
            self._thread = thread
        self._bell.ring()

    def _sweep(self) -> None:
        """Forget what is no longer armed. Reads machines without their locks: who is armed is one reference."""
        heap, self._heap = self._heap, []  # a handler that comes meanwhile pushes to the new one
        kept = []
        for entry in heap:
            machine = entry[2]()
            if machine is not None and machine._is_armed(entry[3]):
                kept.append(entry)
        self._heap.extend(kept)
        heapq.heapify(self._heap)
        self._sweep_above = max(FEW, 2 * len(self._heap))

    def next_due(self) -> float | None:
        """When the next timer is due (seconds since 1970), None if there is none."""
        with self._condition:
            while self._heap:
                entry = heapq.heappop(self._heap)  # first, and back if it is wanted: handlers may push meanwhile
                machine = entry[2]()
                if machine is not None and machine._is_armed(entry[3]):
                    heapq.heappush(self._heap, entry)
                    return self._heap[0][0]
            return None

    def run_due(self) -> int:
        """Fire every event that is due by now, in the order of their times; returns how many were fired."""
        return self._fire_due(until_stopped=False)

    def _fire_due(self, *, until_stopped: bool) -> int:
        fired = 0
        now = self._clock.time()
        while True:
            with self._condition:
                if not self._heap or self._heap[0][0] > now or (until_stopped and self._stopped):
                    return fired
                entry = heapq.heappop(self._heap)
            machine, timer = entry[2](), entry[3]
            if machine is None:
                continue
            try:
                fired += machine._fire_due(timer)
            except Exception as error:
                fired += 1
                self._on_error(machine, timer, error)
                if not isinstance(error.__cause__, StoreConflictError):  # that stays, until the machine is reloaded
                    self._try_again(timer, machine, now)
            except BaseException:
                # Not at once: what raised this may do so each time (sys.exit() in a guard, say).
                self._try_again(timer, machine, now)
                raise

    def _try_again(self, timer: PendingTimer, machine: Machine, now: float) -> None:
        if machine._is_armed(timer):  # the store could not keep it, or it was interrupted
            with self._condition:
                self._push(max(timer.due, now) + AGAIN, machine, timer)

    @property
    def runs(self) -> bool:
        """Whether a thread fires what is due now: it was started with the first timer, and not ended."""
        return self._thread is not None

    def use_thread(self) -> None:
        """From now on a thread fires what is due; it starts with the first timer."""
        with self._condition:
            self._threaded = True

    def stop(self, *, wait: bool = True) -> None:
        """End the thread, and wait for it, unless it is the one that asks, or may be waiting for the one that asks."""
        with self._condition:
            self._stopped = True
            thread, self._thread = self._thread, None
            self._bell.ring()
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join()

    def after_fork(self) -> None:
        """In a forked child: no thread came along, and nobody holds the lock."""
        self._bell.renew()
        self._condition = self._bell.condition
        self._thread = None

    def _turn(self) -> float | None:
        """What the thread does when it is awake; returns how long it may sleep, in seconds, None when it is to end."""
        try:
            self._fire_due(until_stopped=True)
        except BaseException as error:  # sys.exit() in an observer, say: it ends no timer of others
            log.error("an observer of a timer raised", exc_info=error)
        due = self.next_due()
        if self._stopped:
            return None
        return LONGEST if due is None else min(max(0.0, due - self._clock.time()), LONGEST)


def _run(mine: ref[Timers], bell: Bell) -> None:
    while True:
        timers = mine()
        seconds = None if timers is None else timers._turn()
        del timers  # whoever sleeps keeps nobody
        if seconds is None:
            return
        bell.wait(seconds)
