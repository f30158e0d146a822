"""Thresholds that call somebody when a figure has crossed them: once, and only then.

Invariants:

- *Where a threshold stands is one reference*, stored at once: whether it is armed, and what was crossed and not told
  yet. Two threads that cross it together, or a finalizer that crosses it while a thread does, make one alarm.
- *Observing decides, telling calls.* ``observe`` calls nothing of a user's, so that whoever sets a gauge is not called
  back; ``tell`` takes each alarm out of its threshold first, and calls with no lock held, so that each is told once,
  whoever tells.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import NamedTuple

from coresys.clock import MonotonicClock, WallClock
from coresys.forks import renew_in_children
from coresys.system_records import AlarmRecord
from coresys.threads.atomics import AtomicCounter, AtomicFlag, AtomicReference

log = logging.getLogger("coresys.monitoring")

Receive = Callable[[AlarmRecord], object]
_MOST_UNTOLD = 1000


@dataclass(frozen=True, slots=True)
class Threshold:
    """Fires when the figure ``name`` of ``component`` is above ``above``, after having been at or below it.

    It fires again only when the figure has been below ``rearm`` meanwhile (``above`` itself, if that is None): a figure
    that trembles around its limit is one alarm. ``component`` None: that of any, each by itself. A first figure that
    is above has crossed it too. Raises ValueError where ``rearm`` is above ``above``, or one of them is no number.
    """

    name: str
    above: float
    rearm: float | None = None
    component: str | None = ""
    alarm: str = ""  # what it is called; empty: as its figure

    def __post_init__(self) -> None:
        if not isfinite(self.above) or not isfinite(self.lower) or self.lower > self.above:
            raise ValueError(f"{self.name}: fires above {self.above!r}, armed again below {self.lower!r}")

    @property
    def lower(self) -> float:
        """Below this it is armed again."""
        return self.above if self.rearm is None else self.rearm


class _Stand(NamedTuple):
    armed: bool = True
    number: int = 0
    untold: tuple[AlarmRecord, ...] = ()


class _Watch:
    """A threshold, whom to call, and where it stands for each component."""

    __slots__ = ("_most", "failed", "receive", "stands", "threshold")

    def __init__(self, threshold: Threshold, receive: Receive, most: int) -> None:
        self.threshold, self.receive, self._most = threshold, receive, most
        self.stands: dict[str, AtomicReference[_Stand]] = {}
        self.failed = AtomicFlag()

    def stand(self, component: str) -> AtomicReference[_Stand] | None:
        """None where there are too many components: no alarm can be kept for another one."""
        found = self.stands.get(component)
        if found is None and len(self.stands) < self._most:
            found = self.stands.setdefault(component, AtomicReference(_Stand()))
        return found


class Alarms:
    """Thresholds over figures. Any thread may call any method, a signal's handler and a finalizer too.

    >>> alarms = Alarms()
    >>> alarms.add(Threshold("queue.depth", above=100, rearm=80), lambda alarm: print(alarm.number, alarm.value))
    >>> for depth in (90, 101, 120, 99, 101, 79, 130):
    ...     alarms.observe("queue.depth", depth)
    >>> alarms.tell()
    1 101
    2 130
    2

    ``clock`` gives the time of day of alarms. A callback that raises is logged the first time, and counted in
    ``failed``; its alarm is told all the same, and not again. ``components`` bounds those that a threshold for any of
    them keeps apart. Of what nobody tells the last 1,000 are kept. In a forked child thresholds stand as they did, and
    what was not told is the parent's to tell.
    """

    def __init__(self, *, clock: WallClock | None = None, components: int = 100) -> None:
        self._time = MonotonicClock.time if clock is None else clock.time
        self._components = components
        self._by_name: AtomicReference[Mapping[str, tuple[_Watch, ...]]] = AtomicReference({})
        self._failed = AtomicCounter()
        self._missed = AtomicCounter()
        renew_in_children(self, Alarms._after_fork)

    def add(self, threshold: Threshold, receive: Receive) -> None:
        """Call ``receive`` with each crossing of ``threshold``, from whatever thread calls ``tell``."""
        watch = _Watch(threshold, receive, self._components)

        def added(old: Mapping[str, tuple[_Watch, ...]]) -> Mapping[str, tuple[_Watch, ...]]:
            return {**old, threshold.name: (*old.get(threshold.name, ()), watch)}

        self._by_name.update(added)

    def clear(self) -> None:
        """Take all thresholds away; what was not told is told to nobody."""
        self._by_name.update(lambda old: {})

    def watches(self, name: str) -> bool:
        """Whether there is a threshold for a figure of that name."""
        return name in self._by_name.get()

    def observe(self, name: str, value: float, component: str = "") -> None:
        """Compare a figure with its thresholds. Nobody is called: see ``tell``. NaN is none, and changes nothing."""
        for watch in self._by_name.get().get(name, ()):
            if watch.threshold.component is None or watch.threshold.component == component:
                stand = watch.stand(component)
                if stand is None:
                    self._missed.add()
                else:
                    stand.update(partial(_next, watch.threshold, component, value, self._time()))

    def tell(self) -> int:
        """Call whom each alarm is for that was not told yet; returns how many that were."""
        told = 0
        for watches in self._by_name.get().values():
            for watch in watches:
                for stand in tuple(watch.stands.values()):
                    while (alarm := _take(stand)) is not None:
                        told += 1
                        self._call(watch, alarm)
        return told

    def _call(self, watch: _Watch, alarm: AlarmRecord) -> None:
        try:
            watch.receive(alarm)
        except Exception as error:
            self._failed.add()
            if watch.failed.set():
                log.error("whoever is to hear of alarm %r raised", alarm.alarm, exc_info=error)

    @property
    def failed(self) -> int:
        """How many calls raised."""
        return self._failed.get()

    @property
    def missed(self) -> int:
        """How many figures were not looked at, because of their thresholds kept apart too many components."""
        return self._missed.get()

    def _after_fork(self) -> None:
        for watches in self._by_name.get().values():
            for watch in watches:
                # New ones, for the lock of an old one may be held by a thread that is not here.
                watch.stands = {
                    component: AtomicReference(stand.get()._replace(untold=()))
                    for component, stand in watch.stands.items()
                }

    def __repr__(self) -> str:
        watches = [watch for each in self._by_name.get().values() for watch in each]
        fired = sum(not stand.get().armed for watch in watches for stand in tuple(watch.stands.values()))
        return f"<Alarms: {len(watches)} thresholds, {fired} fired and not armed again>"


def _next(threshold: Threshold, component: str, value: float, time: float, old: _Stand) -> _Stand:
    """Where a threshold stands after a figure; the same object where nothing has changed."""
    if old.armed:
        if value > threshold.above:
            name = threshold.alarm or threshold.name
            number = old.number + 1
            alarm = AlarmRecord(name, threshold.name, component, value, threshold.above, time, number)
            return _Stand(False, number, (*old.untold, alarm)[-_MOST_UNTOLD:])
        return old
    return old._replace(armed=True) if value < threshold.lower else old


def _take(stand: AtomicReference[_Stand]) -> AlarmRecord | None:
    """The oldest alarm that was not told; whoever gets it has to tell it."""
    while (old := stand.get()).untold:
        if stand.compare_and_set(old, old._replace(untold=old.untold[1:])):
            return old.untold[0]
    return None


__all__ = ["Alarms", "Threshold"]
