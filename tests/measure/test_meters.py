"""The counters against what is known to have been allocated, and what they say where they can't be read."""

from __future__ import annotations

import os
import re
import sys
import tracemalloc
from pathlib import Path

import pytest

from coresys.measure import meters


def test_the_allocators_statistics_are_read_to_the_byte() -> None:
    meter = meters.PymallocMeter()
    meter.read()
    before = meter.read()[0]
    kept = [bytes(67) for _ in range(1000)]  # 33 bytes of header, and a null: blocks of 112
    grown = meter.read()[0] - before
    del kept
    assert 112_000 <= grown < 112_000 + 16 * 1024
    assert meter.read()[0] - before < 16 * 1024


def test_the_sums_alone_are_those_of_the_whole_text() -> None:
    meter = meters.PymallocMeter()
    whole, sums = meter.text(), meter.sums()
    assert b"blocks in use" in whole
    assert re.search(rb"^ +0 +16 +", whole, re.MULTILINE)
    assert not re.search(rb"^ +0 +16 +", sums, re.MULTILINE)  # else this C library prints them, and time is lost
    assert meter._has_sums


def test_where_the_sums_can_not_be_had_alone_the_whole_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters.PymallocMeter, "sums", lambda self: self.text()[:300])
    meter = meters.PymallocMeter()
    assert not meter._has_sums
    assert meter.read()[0] > 100_000


def test_figures_in_a_form_that_is_not_known_are_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters.PymallocMeter, "text", lambda self: b"Heaps: 5 in use")
    monkeypatch.setattr(meters.PymallocMeter, "sums", lambda self: b"Heaps: 5 in use")
    meter = meters.PymallocMeter()
    with pytest.raises(NotImplementedError, match="in a form unknown here"):
        meter.read()


def test_no_statistics_at_all_are_those_of_another_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters.PymallocMeter, "text", lambda self: b"")  # as under PYTHONMALLOC=malloc
    monkeypatch.setattr(meters.PymallocMeter, "sums", lambda self: b"\n")
    meter = meters.PymallocMeter()
    assert meter.read() == (0, 0, 0)


def test_an_arena_that_is_mapped_in_the_midst_of_a_reading_is_not_counted_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The arenas' size is printed, the text of it takes the last free block, and the address space grows."""
    meter = meters.MemoryMeter()
    arenas, grows = 0, [False, True, False, False]

    def read(pymalloc: meters.PymallocMeter) -> tuple[int, int, int]:
        nonlocal arenas
        printed = arenas
        arenas += 2**20 * grows.pop(0)
        return 1000, 0, printed

    monkeypatch.setattr(meters.PymallocMeter, "read", read)
    monkeypatch.setattr(meters.MallocMeter, "read", lambda self: (0, 0, 0))
    monkeypatch.setattr(meters.MemoryMeter, "_address_space", lambda self: 5_000 + arenas)
    assert [meter.read().mapped for _ in range(2)] == [5_000, 5_000]
    assert not grows[1:]
    meter.close()


def test_what_is_read_again_is_not_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are objects too: those of a reading that is thrown away must be gone before the next is made."""
    meter = meters.MemoryMeter()
    sizes, alive = iter([1, 2, 2]), [0]

    class Number(int):
        def __new__(cls, value: int) -> Number:
            alive[0] += 1
            return super().__new__(cls, value)

        def __del__(self) -> None:
            alive[0] -= 1

    def read(pymalloc: meters.PymallocMeter) -> tuple[int, int, int]:
        assert alive == [0]
        return Number(1000), Number(0), Number(0)

    monkeypatch.setattr(meters.PymallocMeter, "read", read)
    monkeypatch.setattr(meters.MallocMeter, "read", lambda self: (0, 0, 0))
    monkeypatch.setattr(meters.MemoryMeter, "_address_space", lambda self: next(sizes))
    assert meter.read().mapped == 2
    assert next(sizes, None) is None
    meter.close()


def test_while_memory_is_traced_the_allocator_tells_nothing() -> None:
    meter = meters.PymallocMeter()
    tracemalloc.start()
    try:
        assert meter.read() == (0, 0, 0)  # its figures go through the tracer's hooks
    finally:
        tracemalloc.stop()
    assert meter.read()[0] > 100_000


def test_a_closed_meter_leaves_a_number_alone_that_is_somebody_elses(tmp_path: Path) -> None:
    status = meters.ProcFile("/proc/self/status")
    with (tmp_path / "theirs").open("w") as file:
        os.dup2(file.fileno(), status.fd)
    status.close()
    os.fstat(status.fd)
    os.close(status.fd)
    status.close()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before 3.11 it would cost more than it tells")
def test_names_that_were_made_for_lookups_are_let_go_of() -> None:
    class Handler:
        def do_get(self) -> None: ...

    names = ["".join(("do_", "get")) for _ in range(2000)]
    for name in names:
        getattr(Handler, name)
    del name
    meters.collect()
    kept = [name for name in names if sys.getrefcount(name) > 3]  # the list's, the loop's, the call's
    assert kept == []
