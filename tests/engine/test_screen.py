"""The counters of the first run: what a thread reserves is not in use, what is kept is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from coresys.measure import meters
from pytest_coresys.engine.screen import Screen

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the counters are those of Linux"),
]

# In a process of its own, that has started no thread yet. Prints what each step added, in bytes.
PROGRAM = """
import threading
from pytest_coresys.engine.screen import Screen

screen = Screen()
screen.read()
before = screen.read()

def added():
    global before
    now = screen.read()
    step, before = now.since(before), now
    return step.memory

def work():
    kept.extend(bytes(1000) for _ in range(SIZE))

kept, SIZE = [], 0
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(added())
SIZE = 1000
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(added())
large = bytearray(20_000_000)
print(added())
del large
print(added())
"""


def test_what_threads_reserve_is_not_taken_for_growth_and_what_they_keep_is() -> None:
    out = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
    threads, kept, large, freed = map(int, out.split())
    assert abs(threads) < 256 * 1024
    assert 900_000 < kept < 1_400_000
    assert 19_900_000 < large < 20_200_000
    assert -20_200_000 < freed < -19_900_000


# Readings of repetitions: how much each step added, in bytes. An arena that is not the main one takes pages from its
# reserve, which are malloc's from then on.
READINGS = """
import ctypes, threading
from pytest_coresys.engine.confirm import Readings

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
readings = Readings(100)

def run(work, threads=1):
    gate = threading.Barrier(threads)
    started = [threading.Thread(target=lambda: (gate.wait(), work())) for _ in range(threads)]
    for thread in started: thread.start()
    for thread in started: thread.join()
    readings.take()

def added():
    series = readings.series("memory.growth")
    return int(series[-1] - series[0])

run(int)
run(int)
readings.count = 0
for threads in [1, 3, 1, 2, 4, 1]: run(int, threads)
print(added())
readings.count = 0
for _ in range(60): run(lambda: [libc.malloc(1000) for _ in range(2)])
print(added())
"""


def test_readings_between_repetitions_miss_nothing_that_a_thread_keeps_and_take_no_stack_for_growth() -> None:
    out = subprocess.run([sys.executable, "-c", READINGS], check=True, capture_output=True, text=True).stdout
    stacks, kept = map(int, out.split())
    assert abs(stacks) < 256 * 1024
    assert abs(kept - 59 * 2 * 1000) < 16 * 1024


@pytest.mark.parametrize(("listed", "read"), [([2, 2, 2, 1], 1), ([2, 1], 1), ([1], 1)])
def test_a_thread_that_was_joined_gets_the_moment_that_the_system_needs(
    monkeypatch: pytest.MonkeyPatch, listed: list[int], read: int
) -> None:
    """The kernel lists it a few times more; Python has seen its end."""
    screen = Screen()
    before = screen.read()
    assert before is not None
    alive = threading.active_count()
    counts = iter(listed)
    monkeypatch.setattr(meters.ProcCounts, "threads", lambda self: alive - 1 + next(counts))
    after = screen.read_after(before._replace(threads=alive))
    assert after is not None
    assert after.threads == alive - 1 + read
    assert next(counts, None) is None  # nobody waited longer than that


def test_a_thread_that_is_alive_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    before = screen.read()
    assert before is not None
    alive = threading.active_count()
    counts = iter([alive])  # asked once
    monkeypatch.setattr(meters.ProcCounts, "threads", lambda self: next(counts))
    after = screen.read_after(before._replace(threads=alive - 1))
    assert after is not None
    assert after.threads == alive


def test_descriptors_that_a_test_closed_are_opened_anew_for_the_next() -> None:
    """A daemon closes all that it does not know, and opens its own files under the numbers that are free then."""
    before_any = meters.descriptors()
    screen = Screen()
    before = screen.read()
    ours = meters.descriptors() - before_any
    assert len(ours) >= 3
    theirs = os.open(os.devnull, os.O_RDONLY)
    for number in ours:
        os.dup2(theirs, number)
    assert screen.read_after(before) is None  # never their file for ours
    assert all(os.fstat(number).st_rdev == os.fstat(theirs).st_rdev for number in ours)  # left alone
    for number in (theirs, *ours):
        os.close(number)
    again = screen.read()
    assert again is not None
    assert before is not None
    assert again.descriptors == before.descriptors
    screen.close()
    assert meters.descriptors() == before_any
