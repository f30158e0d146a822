"""What owners hold on the heap: measured, or said not to be."""

from __future__ import annotations

import doctest
import gc
import sys
import threading
from typing import Any

import pytest

from coresys.errors.hierarchy import HeapLimitError
from coresys.measure.sizes import reachable_size
from coresys.resources import heap
from coresys.resources.heap import HeapAccounts

KIB = 1024
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the counters are those of glibc and Linux")


class Process:
    """Counters of a process that there is not."""

    def __init__(self) -> None:
        self.in_use, self.others, self.threads = 1000, 0.0, 1

    def accounts(self, **given: Any) -> HeapAccounts:
        return HeapAccounts(
            read=lambda: self.in_use,
            time_of_others=lambda: self.others,
            count_of_threads=lambda: self.threads,
            **given,
        )

    def take(self, size: int) -> None:
        self.in_use += size


@pytest.mark.parametrize(
    ("taken", "verdict"),
    [(0, "within"), (449_999, "within"), (450_000, "near"), (500_000, "near"), (500_001, "over")],
)
def test_what_a_block_takes_is_its_owners(taken: int, verdict: str) -> None:
    process = Process()
    accounts = process.accounts(limit=500_000)
    with accounts.block("a"):
        process.take(taken)
    process.take(1 << 20)  # nobody's
    usage = accounts.usage("a")
    assert (usage.held, usage.most, usage.verdict, usage.method, usage.why) == (taken, taken, verdict, "blocks", None)


def test_what_was_given_back_is_held_no_longer_but_was() -> None:
    process = Process()
    accounts = process.accounts(limit=100)
    for size in (90, -60, 30):
        with accounts.block("a"):
            process.take(size)
    usage = accounts.usage("a")
    assert (usage.held, usage.most, usage.verdict) == (60, 90, "near")


def test_what_is_within_an_inner_block_is_the_inner_owners_alone() -> None:
    process = Process()
    accounts = process.accounts()
    with accounts.block("a"):
        process.take(10)
        with accounts.block("b"):
            process.take(200)
            with accounts.block("a"):
                process.take(3000)
        process.take(40_000)
    assert (accounts.usage("a").held, accounts.usage("b").held) == (43_010, 200)


@pytest.mark.parametrize(("others", "threads", "held"), [(0.0, 5, 50), (9e-6, 5, 50), (1e-3, 5, None), (1e-3, 1, 50)])
def test_a_block_is_not_measured_where_other_threads_ran(others: float, threads: int, held: int | None) -> None:
    process = Process()
    process.threads = threads
    accounts = process.accounts()
    with accounts.block("a"):
        process.take(50)
        process.others += others
    usage = accounts.usage("a")
    assert usage.held == held
    if held is None:
        assert (usage.verdict, usage.why) == ("not_measured", "block 1: other threads ran for 1 ms meanwhile")


def test_what_is_known_and_too_much_is_over_whatever_is_not_known() -> None:
    process = Process()
    process.threads = 2
    accounts = process.accounts(limit=100)
    with accounts.block("a"):
        process.take(101)
    with accounts.block("b"), accounts.block("c"):
        process.others += 1.0
    with pytest.raises(HeapLimitError):
        accounts.block("a").__enter__()
    assert accounts.usage("a").verdict == "over"
    assert [accounts.usage(name).why for name in "bc"] == ["block 1: other threads ran for 1e+03 ms meanwhile"] * 2


def test_blocks_that_overlap_are_not_measured() -> None:
    process = Process()
    accounts = process.accounts()
    first, second = accounts.block("a"), accounts.block("b")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert accounts.usage("a").why == "block 1: blocks were not left in the order they were entered in"


def test_where_the_counters_are_not_there_nothing_is_measured() -> None:
    def fails() -> int:
        raise NotImplementedError("the C library has no mallinfo2")

    accounts = HeapAccounts(read=fails)
    with accounts.block("a"):
        pass
    assert accounts.usage("a").why == "block 1: the C library has no mallinfo2"
    assert accounts.usage("never").why == "nothing was measured: it has no roots, and entered no block"
    assert accounts.usage("never").verdict == "not_measured"


def test_limits_are_looked_at_before_a_block_is_entered() -> None:
    process = Process()
    accounts = process.accounts(limit=None, whole=1000)
    accounts.limit("b", None, reserve=400)
    with accounts.block("a"):
        process.take(600)
    with pytest.raises(HeapLimitError, match=r"'a' may not .* 1000 bytes are held of 1000: all together, with 400"):
        accounts.block("a").__enter__()
    with accounts.block("b"):
        process.take(300)
    with accounts.block("b"):
        process.take(200)
    with pytest.raises(HeapLimitError):
        accounts.block("b").__enter__()


@pytest.mark.parametrize(("limit", "reserve"), [(10, 11), (None, 601)])
def test_a_reserve_that_does_not_fit_changes_nothing(limit: int | None, reserve: int) -> None:
    accounts = HeapAccounts(whole=1000)
    accounts.limit("a", None, reserve=400)
    with pytest.raises(HeapLimitError, match="a reserve of"):
        accounts.limit("b", limit, reserve)
    assert accounts.usage("b").reserve == 0
    accounts.limit("a", None, reserve=1000)


def test_an_error_in_a_block_is_no_reason_not_to_charge() -> None:
    process = Process()
    accounts = process.accounts()

    def fails() -> None:
        with accounts.block("a"):
            process.take(50)
            raise ValueError("of the user's")

    with pytest.raises(ValueError, match="of the user's"):
        fails()
    assert accounts.usage("a").held == 50


# -- the real thing ---------------------------------------------------------------------------------------------------


@LINUX
def test_a_block_of_the_real_process_is_right_to_a_few_hundred_bytes() -> None:
    accounts = HeapAccounts(count_of_threads=lambda: 1)
    kept: list[Any] = [None] * 4
    for _ in range(3):
        with accounts.block("warm"):
            pass
    before = accounts.usage("warm").known
    with accounts.block("warm"):
        pass
    assert abs(accounts.usage("warm").known - before) < 1024
    with accounts.block("a"):
        kept[0] = [bytes(100 + number % 7) for number in range(1000)]
        kept[1] = bytearray(200 * KIB)
        cycle: list[Any] = [bytearray(400 * KIB)]
        cycle.append(cycle)
        del cycle
    exact = sum(sys.getsizeof(each) for each in (*kept[0], kept[0], kept[1]))
    held = accounts.usage("a").held
    assert held is not None
    assert abs(held - exact) < 0.1 * exact, "sizes are rounded by the allocators"


@LINUX
def test_threads_that_sleep_disturb_no_block_and_those_that_work_do() -> None:
    accounts, stop, work = HeapAccounts(), threading.Event(), threading.Event()
    kept: list[Any] = []

    def run() -> None:
        work.wait()
        while not stop.is_set():
            kept.append(bytes(1000))
            if len(kept) > 1000:
                kept.clear()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        accounts.usage("a")
        measured = 0
        for number in range(10):  # the system may have something to do for the other thread, now and then
            with accounts.block(f"quiet {number}"):
                kept.append(bytes(10_000))
            measured += accounts.usage(f"quiet {number}").held is not None
        assert measured >= 5
        work.set()
        with accounts.block("busy"):
            threading.Event().wait(0.05)
        assert accounts.usage("busy").held is None
        assert "other threads ran for" in str(accounts.usage("busy").why)
    finally:
        stop.set()
        work.set()
        thread.join()


def test_what_can_be_reached_is_sized_once_and_the_program_is_not() -> None:
    class Cache:
        def __init__(self) -> None:
            self.rows = {number: bytearray(1000) for number in range(10)}
            self.again = self.rows
            self.me = self
            self.method = self.size
            self.module = gc
            self.function = reachable_size

        def size(self) -> int:
            return len(self.rows)

    size = reachable_size([Cache()])
    assert 10_000 < size < 15_000
    assert reachable_size([gc, Cache, reachable_size]) == 0


def test_roots_are_asked_anew_each_time() -> None:
    kept: list[bytearray] = []
    accounts = HeapAccounts(limit=64 * KIB)
    accounts.roots("a", lambda: kept)
    before = accounts.usage("a").held
    kept.append(bytearray(63 * KIB))
    usage = accounts.usage("a")
    assert usage.held is not None
    assert before is not None
    assert 63 * KIB <= usage.held - before < 64 * KIB
    assert (usage.verdict, usage.method) == ("near", "roots")
    kept.clear()
    assert accounts.usage("a").most == usage.held
    accounts.forget("a")
    assert accounts.owners() == ()


def test_the_example_runs() -> None:
    result = doctest.testmod(heap)
    assert (result.attempted, result.failed) == (4, 0)
