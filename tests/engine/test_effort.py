"""Who is repeated next, within the share of the run's time: a table, and two runs played through."""

from __future__ import annotations

import math

import pytest

from pytest_coresys.engine.effort import EffortBook


@pytest.mark.parametrize(
    ("tests_left", "duration", "likely", "granted"),
    [
        (1, 0.001, False, True),
        (1, 0.05, False, True),
        (1, 1.0, False, False),
        (100, 0.001, False, False),
        (100, 0.001, True, True),
        (100, 0.05, True, True),
        (100, 0.2, True, False),
        (2, 0.0, False, True),
    ],
    ids=[
        "a cheap one alone",
        "a slower one alone",
        "29 seconds do not fit",
        "a quiet one of many waits",
        "a likely leak of many does not",
        "a slow likely one is tried, within its quarter",
        "not where trying takes more than that",
        "one of two",
    ],
)
def test_what_a_fresh_run_grants(tests_left: int, duration: float, likely: bool, granted: bool) -> None:
    book = EffortBook(share=0.2, min_seconds=3.0, tests_left=tests_left)
    assert (book.allowance(duration, likely=likely) is not None) is granted


@pytest.mark.parametrize(
    ("spent", "duration", "counted", "granted"),
    [
        (2.3, 0.03, 18, True),
        (2.3, 0.03, None, False),
        (2.3, 0.03, 42, True),
        (2.3, 0.3, 42, False),
        (2.3, 0.01, 42, True),
        (0.0, 0.06, 42, True),
    ],
)
def test_what_was_seen_to_leave_a_thread_or_a_process_gets_what_is_kept_for_such(
    spent: float, duration: float, counted: int | None, granted: bool
) -> None:
    """Late in a run, when tests that came first have had the rest; and more than half of all, where it takes that."""
    book = EffortBook(share=0.2, min_seconds=3.0, tests_left=5, spent=spent)
    assert (book.allowance(duration, likely=True, counted=counted) is not None) is granted


@pytest.mark.parametrize(
    ("durations", "likely"),
    [([0.03] * 3, False), ([0.005] * 13, False), ([0.09], False), ([0.02] * 3, True), ([0.002] * 14, True)],
)
def test_a_small_suite_is_judged_in_full_where_the_least_is_enough_for_all(
    durations: list[float], likely: bool
) -> None:
    """Each needs more than its even part of what is not kept for others; all need less than three seconds."""
    book = EffortBook(share=0.2, min_seconds=3.0, tests_left=len(durations))
    for duration in durations:
        needed = 0.05 + (42 if likely else 29) * (duration + 0.001)
        given = book.allowance(duration, likely=likely)
        assert given is not None
        assert given.seconds >= needed
        book.spent += needed
        book.tests_left -= 1


def test_one_whose_first_run_took_long_is_tried_in_a_small_suite_and_not_in_a_large_one() -> None:
    """It imported asyncio: 0.3 s, and a repetition takes 0.01 s, which nobody knows yet."""
    small = EffortBook(share=0.2, min_seconds=3.0, tests_left=1, ran=0.3)
    given = small.allowance(0.3, likely=False)
    assert given is not None
    assert given.seconds == 3.0
    assert EffortBook(share=0.2, min_seconds=3.0, tests_left=1, ran=16.0).allowance(0.3, likely=False) is None


def test_what_is_tried_of_the_counted_leaves_most_to_those_that_follow() -> None:
    """Its first run would take more than there is, 42 times over."""
    given = [
        EffortBook(share=0.2, min_seconds=3.0, tests_left=left).allowance(0.2, likely=True, counted=42)
        for left in (1, 10)
    ]
    assert [each.seconds for each in given if each is not None] == [3.0, 0.75]


@pytest.mark.parametrize(("spent", "tests_left", "is_spent"), [(2.0, 5, False), (2.35, 5, True), (2.35, 1, False)])
def test_it_is_spent_when_nothing_is_left_but_what_is_kept(spent: float, tests_left: int, is_spent: bool) -> None:
    assert EffortBook(share=0.2, min_seconds=3.0, tests_left=tests_left, spent=spent).is_spent() is is_spent


def test_those_are_counted_for_which_too_little_was_left() -> None:
    book = EffortBook(share=0.2, min_seconds=3.0, tests_left=2)
    book.put_off("t.py::slow", too_long=True)
    book.put_off("t.py::late", too_long=False)
    assert (book.unrepeated, book.too_long) == (["t.py::slow", "t.py::late"], 1)


def test_quiet_and_likely_tests_leave_something_for_the_counted_until_the_last() -> None:
    book = EffortBook(share=0.2, min_seconds=3.0, tests_left=100)
    while (allowance := book.allowance(0.001, likely=True)) is not None:
        book.spent += allowance.seconds
    assert 0.5 < book.left() < 0.9
    book.tests_left = 1
    assert book.allowance(0.001, likely=True) is not None


def test_without_limit_everybody_has_a_turn() -> None:
    book = EffortBook(share=None, min_seconds=3.0, tests_left=10_000)
    allowance = book.allowance(30.0, likely=False)
    assert allowance is not None
    assert allowance.seconds == 1500.0


def play(durations: list[float], *, share: float, price: float) -> tuple[EffortBook, list[int]]:
    """A run of quiet tests, each of which costs as much to repeat as ``price`` times its duration."""
    book = EffortBook(share=share, min_seconds=3.0, tests_left=len(durations))
    repeated = []
    for number, duration in enumerate(durations):
        book.ran += duration
        if book.allowance(duration, likely=False) is not None:
            repeated.append(number)
            book.spent += 0.05 + price * (duration + 0.001)
        book.tests_left -= 1
    return book, repeated


def test_the_effort_stays_within_its_share_and_lasts_until_the_end() -> None:
    book, repeated = play([0.02] * 5000, share=0.2, price=29)
    assert book.spent <= 0.2 * book.ran
    assert book.spent >= 0.1 * book.ran, "effort that nobody may have is of no use"
    assert repeated[0] < 1000
    assert repeated[-1] > 4500


def test_cheap_tests_come_before_slow_ones() -> None:
    _book, repeated = play([0.2, 0.002] * 500, share=0.2, price=29)
    assert sum(1 for number in repeated if number % 2) > 3 * sum(1 for number in repeated if not number % 2)


@pytest.mark.parametrize(("ran", "left"), [(100.0, 19.0), (30.0, 5.0), (0.0, 2.0)])
def test_watching_is_paid_for_too(ran: float, left: float) -> None:
    book = EffortBook(share=0.2, min_seconds=3.0, tests_left=1, ran=ran, watched=1.0)
    allowance = book.allowance(0.001, likely=True)
    assert allowance is not None
    assert allowance.left == left


@pytest.mark.parametrize(("workers", "tests_left", "least"), [(1, 10, 3.0), (2, 5, 1.5), (4, 3, 1.5)])
def test_workers_share_the_tests_and_the_least(workers: int, tests_left: int, least: float) -> None:
    book = EffortBook(share=0.2, min_seconds=3.0, tests_left=0)
    book.open(10, workers)
    assert (book.tests_left, book.min_seconds) == (tests_left, least)


def test_what_is_left_is_bounded_by_the_share_and_never_less_than_the_least() -> None:
    book = EffortBook(share=0.2, min_seconds=3.0, tests_left=0, ran=100.0, spent=15.0, watched=1.0)
    assert book.left() == pytest.approx(4.0)
    assert EffortBook(share=0.2, min_seconds=3.0, tests_left=0, ran=1.0).left() == 3.0
    assert EffortBook(share=None, min_seconds=3.0, tests_left=0, spent=1e6).left() == math.inf


def test_explaining_has_a_share_of_its_own_and_what_is_beyond_it_is_charged() -> None:
    book = EffortBook(share=0.2, min_seconds=3.0, tests_left=0, ran=5.0)
    book.pay(2.0, explaining=1.5)
    assert (book.left(), book.explaining) == (2.5, 1.5)
    assert book.left_for_convicted() == 1.5
    book.pay(2.5, explaining=2.5)
    assert (book.left(), book.explaining) == (1.5, 3.0)


@pytest.mark.parametrize(("duration", "beyond"), [(0.1, False), (0.11, True), (2.0, True)])
def test_a_test_that_takes_longer_than_all_there_is_never_had_a_turn(duration: float, beyond: bool) -> None:
    assert EffortBook(share=0.2, min_seconds=3.0, tests_left=1, ran=10.0).is_beyond(duration) is beyond
    assert not EffortBook(share=None, min_seconds=3.0, tests_left=1).is_beyond(duration)


def test_what_is_kept_for_the_counted_is_theirs_whatever_others_have_overspent() -> None:
    book = EffortBook(share=0.2, min_seconds=3.0, tests_left=50)
    book.allowance(0.001, likely=True)
    book.pay(4.0, explaining=0.0)  # one that took longer than it was granted, and all there was
    assert book.allowance(0.001, likely=True) is None
    first = book.allowance(0.02, likely=True, counted=12)
    assert first is not None
    book.pay(0.5, explaining=0.0)
    assert book.allowance(0.02, likely=True, counted=12) is None  # a fifth of it is theirs, and no more
