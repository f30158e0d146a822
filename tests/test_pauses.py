"""A grace is time that somebody had, not time that went by."""

from __future__ import annotations

import pytest

from coresys import clock


@pytest.mark.parametrize(
    ("times", "until", "slept"),
    [
        ([0, 1, 2, 3, 4, 5], 3.0, 4),  # two, and as long as it takes
        ([0, 100, 100, 100], 3.0, 2),  # the machine stood still in the first pause: the second one counts
        ([9, 9, 9, 9], 3.0, 2),  # it is over before it begins
    ],
)
def test_a_machine_that_stood_still_gave_nobody_any_time(
    monkeypatch: pytest.MonkeyPatch, times: list[float], until: float, slept: int
) -> None:
    now, pauses = iter(times[1:]), list[float]()
    monkeypatch.setattr(clock, "monotonic", lambda: next(now))
    monkeypatch.setattr(clock, "sleep", pauses.append)
    count = sum(1 for _ in clock.pauses(until, 0.5, least=2))
    assert count == slept
    assert pauses == [0.5] * slept
