"""Restarting what failed, as supervisors of Erlang/OTP do: which components, and how often before giving up."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import RLock

from coresys.clock import Clock, MonotonicClock
from coresys.forks import free_lock, renew_in_children

ONE_FOR_ONE, REST_FOR_ONE = "one-for-one", "rest-for-one"


class RestartIntensity:
    """At most ``restarts`` within any ``within`` seconds, for each key; the one that is too many is refused.

    The defaults are those of OTP: 1 in 5 seconds. What is refused is not counted.

    >>> from coresys.testing.fakes import FakeClock
    >>> clock = FakeClock()
    >>> intensity = RestartIntensity(restarts=1, within=5.0, clock=clock)
    >>> intensity.allow("orders"), intensity.allow("orders"), intensity.allow("mail")
    (True, False, True)
    >>> clock.advance(5.0)
    >>> intensity.allow("orders")
    True
    """

    __slots__ = ("__weakref__", "_clock", "_lock", "_made", "restarts", "within")

    def __init__(self, restarts: int = 1, within: float = 5.0, *, clock: Clock | None = None) -> None:
        if not (restarts >= 0 and within > 0):  # so that NaN is refused
            raise ValueError("restarts is at least 0, within more than 0 seconds")
        self.restarts, self.within = restarts, within
        self._clock: Clock = clock or MonotonicClock()
        self._lock = RLock()
        renew_in_children(self, free_lock)
        self._made: dict[str, deque[float]] = {}

    def allow(self, key: str) -> bool:
        """Take one of the restarts that a key may have now, if there is one."""
        now = self._clock.now()
        with self._lock:
            made = self._made.setdefault(key, deque())
            while made and made[0] <= now - self.within:
                made.popleft()
            if len(made) >= self.restarts:
                return False
            made.append(now)
            return True


def affected(order: Sequence[str], failed: str, strategy: str) -> tuple[str, ...]:
    """The components to restart for one that failed, in the order in which they are started.

    >>> affected(("db", "orders", "mail"), "orders", "rest-for-one")
    ('orders', 'mail')

    They are stopped in the reverse order. Raises ValueError for a strategy that is none, LookupError for a component
    that is not in ``order``.
    """
    if failed not in order:
        raise LookupError(f"{failed!r} is not among the components {', '.join(order) or '(none)'}")
    if strategy == ONE_FOR_ONE:
        return (failed,)
    if strategy == REST_FOR_ONE:
        return tuple(order[order.index(failed) :])
    raise ValueError(f"a strategy is {ONE_FOR_ONE!r} or {REST_FOR_ONE!r}, not {strategy!r}")
