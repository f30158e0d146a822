"""What this thread's malloc cache holds is free, though malloc counts it as in use."""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coresys.collector import put_off
from coresys.measure import malloccache
from coresys.measure.malloccache import CacheReader
from coresys.measure.meters import MallocMeter

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
SIZES = (24, 100, 520, 600, 1000)


@pytest.fixture
def reader() -> CacheReader:
    found = CacheReader()
    if not found.is_known:
        pytest.skip("this C library's cache cannot be told")
    return found


@pytest.fixture
def heap() -> Iterator[tuple[Callable[[int], int | None], Callable[[int], Any]]]:
    """malloc and free, while nothing else frees: a collection would."""
    malloc, free = malloccache._functions()
    assert malloc is not None
    assert free is not None
    gc.collect()
    with put_off():
        yield malloc, free


@linux
def test_it_is_known_with_this_machines_c_library() -> None:
    """glibc up to 2.41; where it is another one, the reader says so and reads nothing."""
    name, version = platform.libc_ver()
    expected = name == "glibc" and (2, 33) <= tuple(map(int, version.split(".")[:2])) <= (2, 41)
    assert CacheReader().is_known == expected
    assert CacheReader().read() >= 0


class _Cycle:
    """Garbage that fills a place of the cache when it is collected."""

    def __init__(self) -> None:
        self.me = self
        self.holds = bytearray(600)


@linux
def test_a_collection_meanwhile_does_not_hide_it(monkeypatch: pytest.MonkeyPatch, reader: CacheReader) -> None:
    malloc, free = malloccache._functions()
    assert malloc is not None
    assert free is not None
    freed: list[int] = []

    def free_amid_garbage(chunk: int) -> None:
        freed.append(chunk)
        for _ in range(20):
            _Cycle()  # with a threshold of one they are collected, where collecting is on
        free(chunk)

    malloccache.empty_cache()  # or there would be no room in it for what is collected
    monkeypatch.setattr(malloccache, "_functions", lambda: (malloc, free_amid_garbage))
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        found = CacheReader()
    finally:
        gc.set_threshold(*threshold)
    assert freed
    assert found.is_known
    assert gc.isenabled()


@linux
@pytest.mark.parametrize("size", SIZES)
def test_what_is_freed_is_in_use_no_more_and_what_is_kept_is(reader: CacheReader, heap: Any, size: int) -> None:
    malloc, free = heap
    meter = MallocMeter()
    malloccache.empty_cache()

    def in_use() -> int:
        return meter.read()[0] - reader.read()

    before = in_use()
    chunks = [malloc(size) for _ in range(5)]
    assert 5 * size <= in_use() - before <= 5 * (size + 32)
    for chunk in chunks[:4]:
        free(chunk)
    assert size <= in_use() - before <= size + 32  # malloc alone would say five
    again = malloc(size)  # out of the cache: malloc alone would not move
    assert 2 * size <= in_use() - before <= 2 * (size + 32)
    free(again)
    free(chunks[4])
    assert abs(in_use() - before) < 24


@linux
def test_of_another_thread_than_the_first_nothing_is_read(reader: CacheReader) -> None:
    known: list[bool] = []
    thread = threading.Thread(target=lambda: known.append(CacheReader().is_known))
    thread.start()
    thread.join()
    assert known == [False]


@linux
@pytest.mark.parametrize("wrong", ["size", "counters", "no heap"])
def test_counters_that_are_not_what_they_are_taken_for_are_not_read(
    monkeypatch: pytest.MonkeyPatch, reader: CacheReader, heap: Any, wrong: str
) -> None:
    malloc, free = heap
    if wrong == "no heap":
        monkeypatch.setattr(malloccache, "_heap", lambda: None)
    else:  # some other memory, that looks like the cache from outside
        chunk = malloc(4096)
        ctypes.memset(chunk, 0, 4096)
        size = malloccache._CHUNK if wrong == "counters" else 0x1001
        ctypes.c_size_t.from_address(chunk + 8).value = size
        monkeypatch.setattr(malloccache, "_heap", lambda: chunk)
    found = CacheReader()
    assert not found.is_known
    assert found.read() == 0
    if wrong != "no heap":
        free(chunk)
