"""The clock of a soak and what it reads, with a clock that only the test moves."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pytest_coresys.engine.looks import LEVEL
from pytest_coresys.engine.recording import READINGS, Recording

KEYS = ("bytes", "count")


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def soak(
    recording: Recording, hand: Hand, value: Callable[[float], float], *, until: float, round_: float
) -> list[float]:
    """Rounds of so many seconds until that second of the soak; the shares at which it was looked at."""
    looked = []
    while recording.elapsed < until:
        hand.now += round_
        if recording.due():
            recording.add((value(hand.now), 2.0))
        look = recording.look()
        if look is not None:
            looked.append(look.share)
    return looked


def test_a_soak_warms_up_then_reads_and_looks_four_times() -> None:
    hand = Hand()
    recording = Recording(100.0, KEYS, clock=hand)
    recording.begin()
    assert recording.warming
    assert not recording.due()
    assert soak(recording, hand, lambda now: now, until=100.0, round_=0.5) == [0.25, 0.5, 0.75, 1.0]
    times, values = recording.readings("bytes")
    assert times[0] == 10.0  # the first tenth is the warm-up
    assert times[-1] == 100.0
    assert [value - time for time, value in zip(times, values, strict=True)] == [1000.0] * len(times)
    assert recording.over
    assert recording.grown("bytes") == 90.0


def test_however_many_rounds_there_are_no_more_is_kept() -> None:
    hand = Hand()
    recording = Recording(100.0, KEYS, clock=hand)
    recording.begin()
    soak(recording, hand, lambda now: now, until=100.0, round_=0.001)
    assert 300 < len(recording.readings("bytes")[0]) <= READINGS


def test_a_soak_goes_on_where_it_was_in_a_process_that_uses_less_memory() -> None:
    hand = Hand()
    first = Recording(100.0, KEYS, clock=hand)
    first.begin()
    soak(first, hand, lambda now: 5e6 + now, until=60.0, round_=0.5)
    saved = json.loads(json.dumps(first.saved()))

    hand.now = 5.0
    second = Recording(100.0, KEYS, clock=hand)
    second.resume(saved)
    second.begin()
    assert second.elapsed == 60.0
    hand.now += 9.0
    assert second.warming  # and no time goes by: what a process makes once is none of the growth
    assert second.elapsed == 60.0
    assert not second.due()
    assert soak(second, hand, lambda now: 3e6 + now, until=100.0, round_=0.5) == [0.75, 1.0]
    times, values = second.readings("bytes")
    assert list(times) == sorted(times)
    assert times[-1] == 100.0
    steps = [after - before for before, after in zip(values, values[1:], strict=False)]
    assert min(steps) >= 0.0  # no fall where the processes meet, nor a leap
    assert max(steps) == pytest.approx(0.5)
    assert second.readings("count")[1][-1] == 2.0


@pytest.mark.parametrize(
    "damage",
    [
        {"times": [1.0]},
        {"values": {"bytes": []}},
        {"elapsed": "soon"},
        {"elapsed": 100.0},
        {"elapsed": None},
        {"looked": []},
        {"values": {"bytes": ["x"], "count": [1]}, "times": [1.0]},
    ],
    ids=str,
)
def test_what_was_not_saved_by_a_soak_is_refused(damage: dict[str, object]) -> None:
    saved = {**Recording(100.0, KEYS, clock=Hand()).saved(), **damage}
    with pytest.raises((KeyError, TypeError, ValueError)):
        Recording(100.0, KEYS, clock=Hand()).resume(saved)


def test_the_level_is_the_recordings() -> None:
    hand = Hand()
    recording = Recording(100.0, KEYS, level=LEVEL / 4, clock=hand)
    recording.begin()
    hand.now += 100.0
    look = recording.look()
    assert look is not None
    assert look.level == pytest.approx(LEVEL / 4)
