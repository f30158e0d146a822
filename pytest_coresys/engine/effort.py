"""How much of the run's time may go into repeating, and how much of that the next test gets. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_SETUP_PRICE = 0.05  # seconds: forking, ending
_PYTEST_PRICE = 0.001  # seconds of each repetition that are not the test's
_LIKELY_SHARE = 0.25
# What is kept for tests that left something that can be counted, until the last test: they are few, and seldom wrong.
_COUNTED_SHARE = 0.2
# Repetitions, warm-up included, below which repeating can show nothing: a leak, or that there is none.
_TO_CONVICT = 42
_TO_CLEAR = 29
_TO_TRY = 3  # after which a child knows what a repetition takes
_NOTHING = 0.1  # seconds: with less, nobody gets any further


@dataclass(frozen=True, slots=True)
class Allowance:
    """Seconds for repeating a test: at first, and in all if it grows; what is left for everybody, to ask why.

    It need not do: a child that sees that it takes too long gives up (``confirm``).
    """

    seconds: float
    if_growing: float
    left: float


@dataclass(slots=True)
class EffortBook:
    """Keeps the account of one process. Seconds throughout; ``share`` None is without limit.

    ``ran``: the tests themselves; ``spent``: repeating them; ``watched``: reading counters and judging, which has to
    be paid for as well, so that what we cost where nothing leaks is the share. ``explaining``: looking for the places
    of what was convicted, which has a share of its own, as large: a leak must not keep the next test from its turn.
    ``by_the_wall``: how long repeating and explaining took, with what others had of the processor meanwhile.
    Fixtures that left something are repeated from it too: they fall late, when tests have spent the other.
    ``counted``: repeating tests that left something that can be counted: a part is theirs, whatever others took.
    """

    share: float | None
    min_seconds: float
    tests_left: int
    ran: float = 0.0
    spent: float = 0.0
    watched: float = 0.0
    explaining: float = 0.0
    by_the_wall: float = 0.0
    counted: float = 0.0
    tests: int = 0
    _for_counted: bool = False  # the allowance that was given last
    _needs: float = 0.0  # seconds, of all tests that asked, to be judged in full
    _asked: int = 0
    unrepeated: list[str] = field(default_factory=list)
    too_long: int = 0  # of the unrepeated, those for which too little was left, while there was some

    def open(self, tests: int, workers: int) -> None:
        """Begin a run of so many tests, of which this process is one of so many workers.

        The least is meant for the run, so workers share it; but with less than half of it each would convict nobody.
        """
        self.tests_left = -(-tests // workers)
        self.min_seconds = max(self.min_seconds / workers, self.min_seconds / 2)

    def allowance(self, duration: float, *, likely: bool, counted: int | None = None) -> Allowance | None:
        """Seconds for repeating a test that took ``duration``, or None when it is not its turn.

        One that left something that can be counted, which so many repetitions (``counted``) would convict, may take
        all that is left. Likely leaks may take a quarter of it, or up to half where less would show nothing. A quiet
        test takes its even part where that is enough for the repetitions that show anything; else what has been saved
        up so far, so that cheap tests come before slow ones and the effort lasts until the end. One that turns out to
        grow is then a likely leak.

        A small suite, for which the least is more than the share, is judged in full where that can be: a test gets all
        that it needs if there is as much for each of those that follow. And what seems to take too long is tried there,
        for a first run is no measure of a repetition: it imports, and makes what is made once.
        """
        if self.share is None:
            seconds = max(60.0, 50 * duration)
            return Allowance(seconds, seconds, seconds)
        self._for_counted = counted is not None
        needed = _price(duration, counted or (_TO_CONVICT if likely else _TO_CLEAR))
        enough_for_all = not counted and self._is_enough_for_all(needed)
        given = self._for_what_is_counted(needed) if counted else self._part(needed, likely=likely)
        if needed <= given.seconds:
            return given
        if not self._is_small():
            return None
        if enough_for_all:
            return Allowance(needed, max(needed, given.if_growing), self.left())
        return given if _price(duration, _TO_TRY) <= given.seconds else None

    def _for_what_is_counted(self, needed: float) -> Allowance:
        left = max(self.left(), _COUNTED_SHARE * self._granted() - self.counted)
        part = max(needed if needed <= left else 0.0, left * _LIKELY_SHARE, left / max(self.tests_left, 1))
        return Allowance(part, part, left)

    def _part(self, needed: float, *, likely: bool) -> Allowance:
        left = self.left() - self._kept_for_counted()
        even = left / max(self.tests_left, 1)
        if_growing = max(left * _LIKELY_SHARE, even)
        if likely:
            part = max(if_growing, needed if needed <= left / 2 else 0.0)
        else:
            part = min(left, max(even, self._saved()))
        return Allowance(part, max(part, if_growing), left)

    def _is_enough_for_all(self, needed: float) -> bool:
        """Whether this test, and as many as are to come, can have what tests need, by those that have asked so far."""
        self._asked, self._needs = self._asked + 1, self._needs + needed
        return max(needed, self._needs / self._asked * self.tests_left) <= self.left()

    def _is_small(self) -> bool:
        assert self.share is not None
        return self.share * self.ran < self.min_seconds

    def _kept_for_counted(self) -> float:
        return _COUNTED_SHARE * self._granted() if self.tests_left > 1 else 0.0

    def is_spent(self) -> bool:
        """Whether there is nothing left for a test that left nothing that can be counted."""
        return self.share is not None and self.left() - self._kept_for_counted() < _NOTHING

    def put_off(self, nodeid: str, *, too_long: bool) -> None:
        """A test is not repeated, ``too_long``: though something is left."""
        self.unrepeated.append(nodeid)
        self.too_long += too_long

    def is_beyond(self, duration: float) -> bool:
        """Whether a test takes so long that nothing could be said of it if it had all that the run is granted."""
        return self._granted() < _price(duration, _TO_CLEAR)

    def left(self) -> float:
        """Seconds that are left for everybody; infinite without limit."""
        return self._granted() - self.spent - self.watched

    def left_for_convicted(self) -> float:
        """Seconds that are left for explaining, and for fixtures that were seen to leave something."""
        return self._granted() - self.explaining

    def pay(self, seconds: float, *, explaining: float) -> None:
        """Charge repeating a test, ``explaining`` of it for what it was convicted of."""
        own = min(explaining, max(self.left_for_convicted(), 0.0))
        self.explaining += own
        self.spent += seconds - own
        if self._for_counted:
            self.counted += seconds - own
        self._for_counted = False

    def _granted(self) -> float:
        return math.inf if self.share is None else max(self.min_seconds, self.share * self.ran)

    def _saved(self) -> float:
        """What quiet tests may have of the effort that has come in so far; the rest waits for likely leaks."""
        self.tests = max(self.tests, self.tests_left)
        done = 1 - self.tests_left / self.tests if self.tests else 1.0
        assert self.share is not None
        kept_back = _LIKELY_SHARE * (1 - done)  # for nobody, once there are no more tests
        come_in = max(self.min_seconds * done, self.share * self.ran)
        return (1 - kept_back) * come_in - self.spent - self.watched


def _price(duration: float, repetitions: int) -> float:
    return _SETUP_PRICE + (duration + _PYTEST_PRICE) * repetitions
