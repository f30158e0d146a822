"""Peaks of known loads."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
import tracemalloc

import pytest

from coresys.measure.peak import Peak, PeakWatch

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the counters of glibc")
MIB = 1024 * 1024


def watched(act: object) -> Peak:
    watch = PeakWatch()
    watch.start()
    act()  # type: ignore[operator]
    return watch.stop()


def test_a_temporary_of_python_is_seen_exactly_however_short() -> None:
    peak = watched(lambda: bytearray(20 * MIB))
    assert 20 * MIB <= peak.memory <= 21 * MIB


def test_memory_of_c_is_sampled() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    watch = PeakWatch()
    watch.start()
    chunk = libc.malloc(20 * MIB)
    until = time.monotonic() + 5
    while watch._most - watch._base < 20 * MIB and time.monotonic() < until:
        time.sleep(0.001)  # until the sampler has seen it
    libc.free(chunk)
    assert 20 * MIB <= watch.stop().memory <= 21 * MIB


def test_threads_at_once_are_counted_with_those_before_and_not_the_sampler() -> None:
    before = threading.active_count()

    def seven() -> None:
        barrier = threading.Barrier(8)
        threads = [threading.Thread(target=barrier.wait) for _ in range(7)]
        for thread in threads:
            thread.start()
        barrier.wait()
        for thread in threads:
            thread.join()

    start = threading.Thread.start
    assert watched(seven).threads >= before + 7
    assert threading.Thread.start is start
    assert not tracemalloc.is_tracing()


def test_what_is_mapped_for_threads_is_no_memory_in_use() -> None:
    def eleven() -> None:
        barrier = threading.Barrier(12)
        threads = [threading.Thread(target=barrier.wait) for _ in range(11)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)  # for the sampler, while all of them are there
        barrier.wait()
        for thread in threads:
            thread.join()

    assert watched(eleven).memory < 4 * MIB


def test_an_idle_block_has_no_peak() -> None:
    assert watched(lambda: None).memory < 64 * 1024
