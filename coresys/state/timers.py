"""Timers of state machines: which event is due when. A heap, and a thread that waits if somebody wants one.

Invariant: a timer counts while its machine has that very record armed; leaving the state takes it from the machine,
not from the heap, which forgets it when it comes up, or when most of it is of that kind.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from weakref import ref

from coresys.clock import WallClock
from coresys.system_records import PendingTimer

if TYPE_CHECKING:
    from coresys.state.machine import Machine

# Below this many, the heap is not looked through for what is no longer armed.
FEW = 64
# The longest that the thread sleeps before it looks at the clock again: the time of day may be set.
LONGEST = 60.0


class Timers:
    """The timers of all machines of a manager. ``armed`` is called under machines' locks, and only notes."""

    def __init__(self, clock: WallClock, on_error: Callable[[Machine, PendingTimer, Exception], object]) -> None:
        self._clock = clock
        self._on_error = on_error
        self._condition = threading.Condition()  # of all below; a leaf, re-entrant for a signal's handler
        self._heap: list[tuple[float, int, ref[Machine], PendingTimer]] = []
        self._number = 0
        self._threaded = False
        self._thread: threading.Thread | None = None
        self._stopped = False

    def armed(self, machine: Machine, timers: Sequence[PendingTimer]) -> None:
        with self._condition:
            for timer in timers:
                self._number += 1
                heapq.heappush(self._heap, (timer.due, self._number, ref(machine), timer))
            if len(self._heap) > self._sweep_above:
                self._sweep()
            if self._threaded and not self._stopped:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="coresys-state-timers", daemon=True)
                    self._thread.start()
                self._condition.notify()

    _sweep_above = FEW

    def _sweep(self) -> None:
        """Forget what is no longer armed. Reads machines without their locks: who is armed is one reference."""
        kept = []
        for entry in self._heap:
            machine = entry[2]()
            if machine is not None and machine._is_armed(entry[3]):
                kept.append(entry)
        heapq.heapify(kept)
        self._heap = kept
        self._sweep_above = max(FEW, 2 * len(kept))

    def next_due(self) -> float | None:
        """When the next timer is due (seconds since 1970), None if there is none."""
        with self._condition:
            while self._heap:
                due, _, machine, timer = self._heap[0]
                target = machine()
                if target is not None and target._is_armed(timer):
                    return due
                heapq.heappop(self._heap)
            return None

    def run_due(self) -> int:
        """Fire every event that is due by now, in the order of their times; returns how many were fired."""
        fired = 0
        now = self._clock.time()
        while True:
            with self._condition:
                if not self._heap or self._heap[0][0] > now:
                    return fired
                _, _, machine, timer = heapq.heappop(self._heap)
            target = machine()
            if target is None:
                continue
            try:
                fired += target._fire_due(timer)
            except Exception as error:
                fired += 1
                self._on_error(target, timer, error)

    def use_thread(self) -> None:
        """From now on a thread fires what is due; it starts with the first timer."""
        with self._condition:
            self._threaded = True

    def stop(self) -> None:
        """End the thread, and wait for it, unless it is the one that asks."""
        with self._condition:
            self._stopped = True
            thread, self._thread = self._thread, None
            self._condition.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def after_fork(self) -> None:
        """In a forked child: no thread came along, and nobody holds the lock."""
        self._condition = threading.Condition()
        self._thread = None

    def _run(self) -> None:
        while True:
            self.run_due()
            due = self.next_due()
            with self._condition:
                if self._stopped:
                    return
                if self._heap and due is None:
                    continue  # armed between the two
                if due is None:
                    self._condition.wait(LONGEST)
                elif due > (now := self._clock.time()) and self._heap and self._heap[0][0] >= due:
                    self._condition.wait(min(due - now, LONGEST))
