"""When a series is called a leak: the rule as a table, with what else a series may be."""

from __future__ import annotations

import functools
import os
import random
from collections import Counter
from collections.abc import Callable
from itertools import accumulate

import pytest

from coresys.measure.series import judge_series, without_rare_steps
from pytest_coresys.engine import repeat
from pytest_coresys.engine.repeat import COUNTED, FEW, MEMORY, Structure, conclude

Series = Callable[[int], float]

UNKNOWN = Structure()
KEYED = Structure(releases=False)
LIST = Structure(only_grows=True, releases=False)
GUESSED = Structure(may_end="no holder was found, and catalogue, which is still up, may be it", unseen=True)
LRU = Structure(may_end="kept by functools.lru_cache(maxsize=1024), whose bound was not reached")


def leak(n: int) -> float:
    return 72.0 * n


def rare(n: int) -> float:
    return 300.0 * (n // 10)


def cache(size: int) -> Series:
    return lambda n: 400.0 * min(n, size)


@functools.cache
def random_keys(size: int) -> Series:
    """A cache with one random key of so many in each repetition."""
    seen: set[int] = set()
    chosen = random.Random(size)
    values = []
    for _ in range(2000):
        seen.add(chosen.randrange(size))
        values.append(400.0 * len(seen))
    return lambda n: values[n]


def sawtooth(period: int) -> Series:
    return lambda n: 100.0 * (n % period)


def rows(n: int) -> float:
    """Rows of 25 bytes in pages of 4 KiB, below the dead cursors that the database module drops by the hundred."""
    return 176.0 * (n % 100) + 4096.0 * (25 * n // 4096)


def lifted_sawtooth(n: int) -> float:
    """A module's cache that is emptied at the hundredth, while something in the C library fills for a while.

    As it was read on a machine with far more to do than processors, where it was taken for a leak.
    """
    lows = (-5600, -5600, -5536, -5504, -5472, -2544, 928, 2464, 3360, 4368)
    return 45.0 * ((n + 23) % 100) + lows[min((n + 23) // 100, 9)]


def ragged_sawtooth(n: int) -> float:
    """A buffer written out when it is full, which leaves something different behind each time."""
    return 100.0 * (n % 37) + random.Random(n // 37).uniform(0, 700)


def one_in_twenty(n: int) -> float:
    return 5000.0 * ((n + 6) // 20)


def buffer(n: int) -> float:
    """One growing string: from half a KiB on it is malloc's, where at first it takes a piece that was freed before."""
    return 14.0 * n if n < 30 else 14.0 * max(n - 30, 4)


# As read of a string of 14 more bytes each time: where it took pieces of malloc's that had been freed before.
_TAKEN = {30: 576.0, 31: 576.0, 38: 672.0, 41: 720.0, 44: 768.0, 58: 960.0, 63: 32.0, 65: 1056.0}


def buffer_in_used_heap(n: int) -> float:
    if n < 29:
        return 16.0 * (n - n // 8)
    taken = sum(size for at, size in _TAKEN.items() if at <= n)
    return -100.0 + taken + 16.0 * max(n - 65 - (n - 65) // 8, 0)


def pool_of_sawteeth() -> Series:
    """A pool that fills at random, of connections that each drop their dead cursors by the two hundred."""
    chosen, uses, values = random.Random(1), [0], [0.0]
    for _ in range(2000):
        if len(uses) < 10 and chosen.random() < 0.1:
            uses.append(0)
        uses[-1] += 1
        values.append(values[-1] + 88.0 - 88.0 * 200 * (uses[-1] % 201 == 0))
        values[-1] += 14_000.0 * (uses[-1] == 1)
    return lambda n: values[n]


def wearing_off(n: int) -> float:
    """What a thread's allocator cache does: a little less with each repetition, for a long time."""
    return 30_000.0 * (1 - 0.995**n)


def by_chance(share: float, seed: int, each: float) -> Series:
    """So much more in that share of the repetitions."""
    chosen = random.Random(seed)
    values = list(accumulate(each * (chosen.random() < share) for _ in range(2000)))
    return lambda n: values[n]


def seldom(size: int, share: float, seed: int, each: float = 1.0) -> Series:
    """A pool of so many, one of which, by chance, that share of the repetitions is in need of."""
    chosen = random.Random(seed)
    known: set[int] = set()
    values: list[float] = []
    for _ in range(1100):
        if chosen.random() < share:
            known.add(chosen.randrange(size))
        values.append(each * len(known))
    return values.__getitem__


def coming_and_going(opens: float, closes: float, seed: int) -> Series:
    """Some are opened, and each that is open is closed, in that share of the repetitions: it settles at the ratio."""
    chosen = random.Random(seed)
    number = round(opens / closes)
    values: list[float] = []
    for _ in range(1100):
        number += (chosen.random() < opens) - sum(chosen.random() < closes for _ in range(number))
        values.append(float(number))
    return values.__getitem__


def judged(
    series: Series, structure: Structure | None, *, most: int = 2000, rule: repeat.Rule = MEMORY, others: int = 0
) -> tuple[str, int]:
    """Play the checkpoints of a confirmation: the conclusion, and after how many repetitions it was reached.

    ``others``: how long other measures go on, for which what seems flat is looked at again.
    """
    count = repeat.SCREEN
    while True:
        spent = count >= most
        conclusion = conclude([series(n) for n in range(count)], rule, spent=spent, structure=structure)
        if conclusion != "more" and (spent or conclusion != "flat" or count >= others):
            return conclusion, count
        count = min(count + max(12, count // 3), most)


@pytest.mark.parametrize(
    ("series", "structure", "expected"),
    [
        (leak, UNKNOWN, "leak"),
        (leak, KEYED, "leak"),
        (leak, LIST, "leak"),
        (rare, UNKNOWN, "leak"),
        (rare, LIST, "leak"),
        (leak, LRU, "unclear"),
        (leak, GUESSED, "unclear"),
        (rows, GUESSED, "unclear"),
        (cache(300), GUESSED, "flat"),
        (sawtooth(100), LRU, "unclear"),
        (sawtooth(100), GUESSED, "flat"),
        (one_in_twenty, LIST, "leak"),
        (lambda n: 9000.0 * (n > 12), UNKNOWN, "flat"),
        (buffer, UNKNOWN, "leak"),
        (buffer_in_used_heap, UNKNOWN, "leak"),
        (cache(3), UNKNOWN, "flat"),
        (cache(30), LIST, "flat"),
        (cache(300), UNKNOWN, "flat"),
        (cache(300), KEYED, "flat"),
        (cache(512), UNKNOWN, "flat"),
        (random_keys(50), KEYED, "flat"),
        (random_keys(300), KEYED, "flat"),
        (random_keys(300), UNKNOWN, "flat"),
        (sawtooth(20), UNKNOWN, "flat"),
        (sawtooth(120), UNKNOWN, "flat"),
        (ragged_sawtooth, UNKNOWN, "flat"),
        (lambda n: sawtooth(50)(n) + cache(300)(n), KEYED, "flat"),
        (lambda n: sawtooth(50)(n) + random_keys(300)(n), KEYED, "flat"),
        (pool_of_sawteeth(), UNKNOWN, "flat"),
        (rows, UNKNOWN, "leak"),
        (lambda n: sawtooth(100)(n) + 16.0 * n, UNKNOWN, "leak"),
        (lambda n: sawtooth(20)(n) + 0.02 * n * n, UNKNOWN, "leak"),
        (lambda n: sawtooth(20)(n) + 3000.0 * (n // 7), UNKNOWN, "leak"),
        (lambda n: 0.0, UNKNOWN, "flat"),
        (wearing_off, UNKNOWN, "flat"),
    ],
)
def test_a_leak_is_told_from_what_ends(series: Series, structure: Structure, expected: str) -> None:
    assert judged(series, structure)[0] == expected


@pytest.mark.parametrize("most", [60, 100, 200, 300])
@pytest.mark.parametrize(
    "series", [cache(300), cache(250), random_keys(300), leak], ids=["300", "250", "random", "leak"]
)
def test_with_too_little_effort_a_keyed_cache_is_no_leak_whatever_it_looks_like(series: Series, most: int) -> None:
    assert judged(series, KEYED, most=most)[0] in ("unclear", "flat")


def test_what_is_seen_never_to_let_go_needs_fewer_repetitions() -> None:
    needed = [judged(leak, structure)[1] for structure in (LIST, KEYED, UNKNOWN)]
    assert needed == sorted(needed)
    assert needed[0] < 100 < needed[1] < 600 <= needed[2]


def test_memory_without_a_known_structure_asks_for_it_before_it_is_called_a_leak() -> None:
    assert conclude([leak(n) for n in range(60)], MEMORY, spent=False) == "ask"
    assert conclude([leak(n) for n in range(59)], MEMORY, spent=True) == "unclear"


@pytest.mark.parametrize(
    ("count", "spent", "expected"),
    [(99, False, "more"), (100, False, "leak"), (36, True, "leak"), (35, True, "unclear"), (8, True, "too few")],
)
def test_counted_things_need_as_many_repetitions_as_their_pools_are_large(
    count: int, spent: bool, expected: str
) -> None:
    assert conclude(list(map(float, range(count))), COUNTED, spent=spent) == expected


def test_a_pool_that_fills_up_to_thirty_is_no_leak() -> None:
    for spent_at in range(12, 120):
        values = [float(min(n, 30)) for n in range(spent_at)]
        assert conclude(values, COUNTED, spent=True) != "leak"


@pytest.mark.parametrize(("rule", "each"), [(MEMORY, 200.0), (COUNTED, 1.0)], ids=["memory", "counted"])
def test_a_leak_in_one_of_ten_runs_by_chance_is_found_by_nearly_all(rule: repeat.Rule, each: float) -> None:
    """One in twelve shows nothing at all in the first 24."""
    said = Counter(judged(by_chance(0.1, seed, each), LIST, rule=rule)[0] for seed in range(40))
    assert set(said) <= {"leak", "flat"}
    assert said["leak"] >= 34


@pytest.mark.parametrize("size", [8, 20, 40])
def test_a_pool_that_fills_by_chance_is_no_leak(size: int) -> None:
    for seed in range(20):
        chosen = random.Random(seed)
        known: set[int] = set()
        values = [float(len(known)) for _ in range(700) if not known.add(chosen.randrange(size))]  # type: ignore[func-returns-value]
        assert judged(values.__getitem__, None, most=633, rule=COUNTED)[0] != "leak", seed


@pytest.mark.parametrize("rule", [COUNTED, FEW], ids=["counted", "few"])
@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("share", [0.1, 0.03, 0.01])
def test_a_pool_that_is_needed_seldom_is_no_leak_however_often_it_is_looked_at(
    rule: repeat.Rule, size: int, share: float
) -> None:
    for seed in range(20):
        assert judged(seldom(size, share, seed), None, rule=rule, most=1000, others=600)[0] != "leak", seed


@pytest.mark.parametrize(("opens", "closes"), [(0.03, 0.01), (0.02, 0.001), (0.1, 0.01)])
def test_what_comes_and_goes_by_chance_is_no_leak(opens: float, closes: float) -> None:
    for seed in range(40):
        series = coming_and_going(opens, closes, seed)
        assert judged(series, None, rule=COUNTED, most=1000, others=600)[0] != "leak", seed


@pytest.mark.parametrize("structure", [LIST, KEYED, UNKNOWN], ids=["list", "keyed", "unknown"])
@pytest.mark.parametrize(("size", "share"), [(8, 0.03), (3, 0.03), (8, 0.3)])
def test_a_handful_that_comes_seldom_is_no_leak_of_memory(structure: Structure, size: int, share: float) -> None:
    for seed in range(20):
        assert judged(seldom(size, share, seed, 400.0), structure, most=1000)[0] != "leak", seed


@pytest.mark.parametrize(("rule", "each"), [(MEMORY, 2000.0), (COUNTED, 1.0)], ids=["memory", "counted"])
@pytest.mark.parametrize("most", [85, 113, 300])
def test_what_was_made_once_and_kept_is_flat_wherever_it_was_made(rule: repeat.Rule, each: float, most: int) -> None:
    for made in range(1, most):
        assert judged(lambda n, at=made: each * (n >= at), None, rule=rule, most=most, others=most)[0] == "flat", made  # type: ignore[misc]


def test_a_pool_that_is_closed_and_opened_again_is_flat_and_what_grows_since_it_was_closed_is_open() -> None:
    def again(n: int) -> float:
        return 5.0 * (n // 40 % 2)

    def since(n: int) -> float:
        return 40.0 if n < 100 else (n - 100) / 2

    for most in range(60, 200):
        assert conclude([again(n) for n in range(most)], COUNTED, spent=True) == "flat", most
    assert judged(since, None, rule=COUNTED, most=150, others=150)[0] == "unclear"
    assert judged(since, None, rule=COUNTED, most=600)[0] == "flat"
    assert judged(since, None, rule=COUNTED, most=600, others=600)[0] == "leak"


@pytest.mark.parametrize("taken_off", [0.1, 0.4])
def test_what_an_empty_test_adds_does_not_hide_a_rare_leak(taken_off: float) -> None:
    """It comes whole, a byte now and then, and is taken off evenly: between two events the series goes down."""

    def left(series: Series) -> Series:
        return lambda n: series(n) + round(taken_off * n) - taken_off * n

    said = Counter(judged(left(by_chance(0.1, seed, 200.0)), LIST)[0] for seed in range(40))
    assert said["leak"] >= 34


@pytest.mark.parametrize("size", [20, 64, 128, 256, 512])
@pytest.mark.parametrize("structure", [UNKNOWN, KEYED], ids=["unknown", "keyed"])
def test_a_small_leak_beside_a_cache_that_fills_first_is_seen_once_it_is_full(size: int, structure: Structure) -> None:
    assert judged(lambda n: 1000.0 * min(n, size) + 100.0 * n, structure)[0] == "leak"
    if size < 450:  # so many are enough for what is seen never to let go of anything
        assert judged(lambda n: 1000.0 * min(n, size), structure)[0] == "flat"


def test_a_descriptor_in_each_run_beside_a_pool_that_fills_first() -> None:
    assert judged(lambda n: 5.0 * min(n, 20) + n, None, most=633, rule=COUNTED)[0] == "leak"
    assert judged(lambda n: 5.0 * min(n, 20), None, most=633, rule=COUNTED)[0] == "flat"


@pytest.mark.parametrize("asked_at", [451, 600])
def test_a_list_that_moves_in_long_steps_is_a_leak(asked_at: int) -> None:
    """A text buffer: a pointer with each write, room for an eighth more when it is full; asking took 1,100 writes."""
    room, hidden, series = 0, 0, []
    for n in range(2000):
        count = n + 40 + (1100 if n >= asked_at else 0)
        before = room
        if count > room:
            room = (count + (count >> 3) + 6) & ~3
        hidden += room - before if n == asked_at else 0
        series.append(8.0 * (room - hidden))
    assert conclude(series, MEMORY, spent=True, structure=UNKNOWN) == "leak"
    full = [*series[:1200], *([series[1200]] * 800)]
    assert conclude(full, MEMORY, spent=True, structure=UNKNOWN) != "leak"


def test_few_are_those_of_which_no_pool_is_larger_than_the_machine() -> None:
    assert FEW.least > (os.cpu_count() or 1)


def test_a_small_leak_in_every_run_stands_out_among_rare_steps_of_the_interpreter() -> None:
    """On 3.10 an empty test wanders by kilobytes in a few steps; 16 bytes in every run are none of them."""
    chosen = random.Random(3)
    noise, values = 0.0, []
    for n in range(160):
        noise += chosen.choice((300.0, 6000.0, -500.0)) if chosen.random() < 0.06 else 0.0
        values.append(16.0 * n + noise)
    quiet = [value - 16.0 * n for n, value in enumerate(values)]
    assert conclude(values[:24], MEMORY, spent=False, floor=1000) == "more"
    assert conclude(values, MEMORY, spent=False, floor=1000, structure=LIST) == "leak"
    assert conclude(quiet[:24], MEMORY, spent=False, floor=10_000) == "flat"
    assert without_rare_steps(quiet) is None
    assert without_rare_steps([]) is None
    assert without_rare_steps([5.0, 7.0, 9.0, 100.0] + [102.0 + 2 * n for n in range(20)]) == [
        0.0, 2.0, 4.0, 8.0, *(10.0 + 2 * n for n in range(20))
    ]  # fmt: skip


def test_a_cache_that_filled_is_still_flat_in_time() -> None:
    for size in (3, 30, 300):
        assert judged(cache(size), UNKNOWN)[0] == "flat"


def test_what_goes_up_and_down_is_a_leak_only_when_whole_periods_have_grown() -> None:
    """Of a sawtooth some teeth may look like growth: pages of a table that is trimmed, say."""

    def teeth(n: int) -> float:
        return 100.0 * n + 200.0 * (n % 150)

    def said(count: int) -> str:
        return conclude([teeth(n) for n in range(count)], MEMORY, spent=False, structure=KEYED)

    assert said(600) == "more"
    assert said(2400) == "leak"


@pytest.mark.parametrize("noise", [0.0, 80.0, 720.0])
def test_a_buffer_that_is_written_out_now_and_then_is_no_leak_above_any_noise(noise: float) -> None:
    """Nearly every repetition adds something, so it looks like a leak to whoever leaves rare steps out."""
    for period in (50, 150, 300):
        for shift in (0, 20, 40):
            for count in (64, 113, 200, 353, 471, 838):
                values = [800.0 * ((n + shift) % period) for n in range(count)]
                if count > period + 20:
                    assert conclude(values, MEMORY, spent=False, floor=noise, structure=KEYED) != "leak"


def test_a_window_that_goes_on_growing_for_a_while_after_it_was_full() -> None:
    """What comes is larger than what goes: the numbers up to 256, which are no objects of their own, go first."""

    def window(count: int) -> list[float]:
        def size(n: int) -> float:
            return 8.0 + 32.0 * (n > 256)

        total, values = 0.0, []
        for n in range(count):
            total += size(n)
            if n >= 370 and n % 10 == 0:
                total -= sum(map(size, range(n - 370, n - 360)))
            values.append(total)
        return values

    for count in (400, 500, 601, 626, 700):
        assert conclude(window(count), MEMORY, spent=False, structure=UNKNOWN) != "leak", count
    leak = [value + 60.0 * n for n, value in enumerate(window(1600))]
    assert conclude(leak, MEMORY, spent=False, structure=UNKNOWN) == "leak"


def test_a_container_that_moves_late_does_not_make_a_cache_that_has_filled_a_leak() -> None:
    filled = [20_000.0 * (1 - 0.99**n) for n in range(620)]
    moved = [value + 14_000.0 * (n > 550) for n, value in enumerate(filled)]
    assert judge_series(moved).trend == "growing"
    assert conclude(moved, MEMORY, spent=False, structure=KEYED) != "leak"


def test_lows_that_something_lifted_once_are_no_leak() -> None:
    assert judged(lifted_sawtooth, UNKNOWN, most=996)[0] == "unclear"


@pytest.mark.parametrize(("bound", "said"), [(700, "leak"), (700, "flat"), (1024, "flat"), (None, "leak")])
def test_where_there_is_time_a_bound_of_a_thousand_is_waited_for(bound: int | None, said: str) -> None:
    values = [100.0 * (at if bound is None else min(at, bound)) for at in range(1169)]
    patient = said == "flat" or bound is None
    structure = Structure(patient=patient)
    looks = [conclude(values[:count], MEMORY, spent=False, structure=structure) for count in (657, 876, 1168)]
    assert ("leak" in looks) == (said == "leak")
    if bound == 700 and patient:
        assert conclude(values, MEMORY, spent=True, structure=structure) == "flat"
    assert Structure(only_grows=True, patient=True).is_seen_through(60)
    assert not Structure(patient=True).is_seen_through(1049)
    assert Structure(patient=True).is_seen_through(1050)
    assert Structure().is_seen_through(1)


def test_of_a_long_series_a_half_that_is_even_is_enough_where_all_of_it_is_long_enough() -> None:
    values = [0.0] * 20 + [3000.0 * at for at in range(1, 60)] + [180_000 + 50.0 * at for at in range(1, 1100)]
    assert len(values) > 1050 > len(values) // 2
    found = conclude(values, MEMORY, spent=False, structure=Structure(patient=True))
    assert found == conclude(values, MEMORY, spent=False, structure=Structure())
