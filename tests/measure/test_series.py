"""The rule that tells a leak from a cache, as tables."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import accumulate

import pytest

from coresys.measure.series import (
    Trend,
    beneath_stairs,
    event_share,
    fades,
    first_fall,
    highs,
    increments,
    is_even,
    judge_series,
    settled,
    without_fall,
    without_jump,
    without_spikes,
)

LEAK = [56.0 * n for n in range(200)]
RARE = [56.0 * (n // 10) for n in range(200)]
CACHE_30 = [56.0 * min(n, 30) for n in range(200)]
CACHE_150 = [56.0 * min(n, 150) for n in range(400)]
SAWTOOTH = [56.0 * (n % 20) for n in range(200)]
FLAT = [1000.0] * 24
WANDER = [1000.0 + (n * 7919) % 64 for n in range(200)]


@pytest.mark.parametrize(
    ("values", "trend"),
    [
        (LEAK, "growing"),
        (RARE, "growing"),
        (CACHE_30, "flat"),
        (CACHE_150, "fading"),
        (SAWTOOTH, "flat"),
        (FLAT, "flat"),
        (WANDER, "flat"),
        ([], "flat"),
    ],
    ids=["leak", "one run in ten", "cache of 30", "cache of 150", "sawtooth", "flat", "wander", "empty"],
)
def test_only_growth_that_goes_on_is_growing(values: list[float], trend: Trend) -> None:
    assert judge_series(values).trend == trend


def test_one_reading_far_from_both_its_neighbours_is_put_between_them() -> None:
    spike = [value + 1e6 * (at in (0, 7, 23)) for at, value in enumerate(LEAK)]
    assert without_spikes(spike)[1:23] == pytest.approx(LEAK[1:23])
    assert without_spikes(SAWTOOTH) == SAWTOOTH
    assert without_spikes(WANDER) == WANDER
    assert without_spikes([]) == []
    alternating = [10.0 * n + 400.0 * (n % 2) for n in range(50)]
    assert without_spikes(alternating) == alternating
    assert without_spikes([0.0] * 5 + [9.0] + [0.0] * 5, least=4096) == [0.0] * 5 + [9.0] + [0.0] * 5
    step = [0.0] * 5 + [5000.0] + [4000.0] * 5  # there is more than before, from then on
    assert without_spikes(step) == step


def test_a_high_is_more_than_ever_before() -> None:
    assert highs(LEAK) == len(LEAK) - 1
    assert highs([3.0, 1.0, 3.0, 4.0, 2.0, 4.0, 5.0]) == 2
    assert highs([]) == highs([1.0]) == 0


def test_the_rate_is_per_repetition() -> None:
    assert judge_series(LEAK).rate == pytest.approx(56)
    assert increments(LEAK, 4) == pytest.approx([56, 56, 56, 56])


def test_growth_up_to_the_floor_is_noise() -> None:
    values = [float(n) for n in range(24)]
    assert judge_series(values, floor=100).trend == "flat"


def test_the_share_of_events_tells_how_often_it_leaks() -> None:
    assert event_share(RARE) == pytest.approx(0.1, abs=0.02)


def test_a_half_that_grows_evenly_is_seen_without_the_half_before_it() -> None:
    values = [40.0 * n for n in range(40)] + [9000.0] * 40 + [9000.0 + 16 * n for n in range(100)]
    assert settled(values) == values[90:]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([16.0 * n for n in range(100)], id="the whole grows"),
        pytest.param([0.0] * 100, id="nothing grows"),
        pytest.param([0.0] * 50 + [30_000 * (1 - 0.9**n) for n in range(50)], id="the half fades"),
    ],
)
def test_else_the_series_stays_whole(values: list[float]) -> None:
    assert settled(values) == values


def test_one_fall_is_forgiven() -> None:
    assert without_fall([0.0, 16.0, 32.0, -480.0, -464.0]) == [0.0, 16.0, 32.0, 32.0, 48.0]
    assert without_fall([5.0]) == [5.0]


@pytest.mark.parametrize(
    ("steps", "even"),
    [
        ([10.0] * 800, True),
        ([8.0 * at for at in range(1, 801)], True),  # gathers speed: each event is kept by every listener there is
        ([20.0] * 100 + [4.0] * 700, True),  # a container moved at the beginning
        ([10.0 * 0.997**at for at in range(800)], False),  # keys at random out of a few hundred
        ([10.0] * 700 + [4.0] * 100, False),  # fills, and is nearly full
        ([10.0] * 700 + [0.0] * 100, False),
        # Of a server's threads on a busy machine, in twelve parts: in bursts, and less and less.
        (
            [step for step in (114.3, 68.6, 48.2, 22.6, 21, 19, 20.6, 29.3, 52.1, 31.5, 20.4, 13.7) for _ in range(52)],
            False,
        ),
        ([], False),
    ],
)
def test_even_growth_does_not_fall_off(steps: list[float], even: bool) -> None:
    assert is_even(list(accumulate(steps, initial=0.0))) is even


def test_only_a_jump_that_stands_out_is_taken_away() -> None:
    even = [56.0 * at for at in range(50)]
    assert list(without_jump(even)) == even
    assert list(without_jump(RARE)) == RARE
    buffer = [float(1000 * 2 ** (at // 10)) for at in range(50)]  # moves to twice the size each time
    assert list(without_jump(buffer)) == buffer
    moved = [value + 4096.0 * (at >= 40) for at, value in enumerate(even)]
    assert list(without_jump(moved))[40:42] == [even[39], even[39] + 56.0]


def test_the_first_fall_of_a_window_that_moves_on() -> None:
    """Nothing falls until it is full; a single fall, or what is no more than noise, is none."""
    window = [56.0 * at - 560.0 * max(0, (at - 200) // 10) for at in range(400)]
    assert first_fall(window) == 210
    assert first_fall([56.0 * at for at in range(400)]) == 0
    assert first_fall([56.0 * at - 500.0 * (at > 300) for at in range(400)]) == 0


def list_of(entries: Iterable[int]) -> list[float]:
    """Bytes of a list that holds so many at each reading, as CPython makes room ahead of need."""
    room, readings = 0, []
    for count in entries:
        if count > room:
            room = (count + (count >> 3) + 6) & ~3
        readings.append(8.0 * room)
    return readings


def test_what_is_in_a_list_is_told_from_the_room_that_it_takes() -> None:
    readings = list_of(range(500, 1500))
    content = beneath_stairs(readings)
    assert content is not None
    steps = [after - before for before, after in zip(content, content[1:], strict=False)]
    assert min(steps) == pytest.approx(8.0, rel=0.02)
    assert max(steps) == pytest.approx(8.0, rel=0.02)
    assert not is_even(readings), "of the readings themselves nothing can be said"
    moved = readings.index(readings[600])  # when something else was kept, once
    other = beneath_stairs([value + (900.0 if at >= moved else 0.0) for at, value in enumerate(readings)])
    assert other is not None
    assert other[-1] == pytest.approx(content[-1], rel=0.05)


@pytest.mark.parametrize(
    "readings",
    [
        [],
        [1.0],
        [0.0] * 100,
        [8.0 * n for n in range(1000)][:3],
        list_of([*range(500, 1000), *([1000] * 500)]),  # full half way
        [n // 333 * 4096.0 for n in range(1000)],  # too few steps
        [float(sum(512.0 for at in (100, 420, 450, 640, 950) if at <= n)) for n in range(1000)],  # at random
        [n // 100 * 800.0 + 8.0 * n for n in range(1000)],  # steps are half of the growth only
        [n // 100 * 800.0 - (900.0 if n > 850 else 0.0) for n in range(1000)],  # something was let go of
    ],
    ids=["none", "one", "flat", "three", "full", "few", "random", "beside others", "falls"],
)
def test_where_no_container_is_to_be_seen_nothing_is_made_of_it(readings: list[float]) -> None:
    assert beneath_stairs(readings) is None


def _keys(count: int, repetitions: int, seed: int) -> list[float]:
    """Bytes after each repetition that asks a cache for one key out of so many, at random; it moves now and then."""
    chosen, known, values, room = random.Random(seed), set[int](), [0.0], 8
    for _ in range(repetitions):
        key, added = chosen.randrange(count), 0
        if key not in known:
            known.add(key)
            added = 110
        if len(known) > room:
            room *= 2
            added += room * 30
        values.append(values[-1] + added)
    return values


@pytest.mark.parametrize(("count", "repetitions"), [(676, 650), (1000, 650), (2000, 1500)])
def test_keys_at_random_are_seen_to_fade_in_spite_of_a_table_that_moves(count: int, repetitions: int) -> None:
    assert sum(fades(_keys(count, repetitions, seed)) for seed in range(20)) >= 14


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
def test_a_leak_does_not_fade_also_beside_a_cache_that_has_filled(share: float) -> None:
    chosen = random.Random(1)
    for filling in (0, 100, 300):
        seen = 0
        for _ in range(20):
            values = [0.0]
            for at in range(800):
                values.append(values[-1] + (60 if chosen.random() < share else 0) + (100 if at < filling else 0))
            seen += fades(values)
        # Where the cache fills for longer than a quarter the later half alone tells: by chance, at times a little less.
        assert seen <= (0 if share == 1.0 else 2 if filling < 200 else 14), filling


def test_too_few_repetitions_show_no_fading() -> None:
    assert not fades(_keys(20, 60, 1))
    assert not fades([])
    assert not fades([5.0] * 300)
