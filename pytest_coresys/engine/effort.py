"""How much of the run's time may go into repeating, and how much of that the next test gets. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

_SETUP_PRICE = 0.05  # seconds: forking, warming up, ending
_LIKELY_SHARE = 0.25


@dataclass(slots=True)
class EffortBook:
    """Keeps the account of one process. Seconds throughout; ``share`` None is without limit."""

    share: float | None
    min_seconds: float
    tests_left: int
    ran: float = 0.0
    spent: float = 0.0
    unrepeated: list[str] = field(default_factory=list)

    def allowance(self, duration: float, *, likely: bool) -> float | None:
        """Seconds for repeating a test that took ``duration``, or None when it is not its turn.

        Likely leaks may take a quarter of what is left; a quiet test takes its even part, and only if that is enough
        for the repetitions that show anything, so that cheap tests come before slow ones.
        """
        if self.share is None:
            return max(60.0, 50 * duration)
        left = max(self.min_seconds, self.share * self.ran) - self.spent
        if likely:
            part = max(left * _LIKELY_SHARE, left / max(self.tests_left, 1))
        else:
            part = left / max(self.tests_left, 1)
        needed = _SETUP_PRICE + (duration + 0.001) * (17 if likely else 29)
        return part if part >= needed else None
