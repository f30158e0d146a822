"""Free bytes that something alive keeps from being given back, on loads whose arithmetic is known."""

from __future__ import annotations

import json
import struct
import subprocess
import sys

import pytest

from coresys.measure import fragmentation, meters
from coresys.measure.fragmentation import LEAST_IN_USE, share, stranded

MIB = 1024 * 1024


def _measurable() -> bool:
    try:
        meters.MemoryMeter().close()
        fragmentation.resident_free()
    except (NotImplementedError, OSError):
        return False
    return True


needs_counters = pytest.mark.skipif(not _measurable(), reason="the allocators of this system can't be read")

# Each load runs in a process of its own, whose heap holds nothing but what its start has left. It prints what was
# stranded, what malloc calls free, what arithmetic expects, and what remains once all is freed.
PRELUDE = """
import ctypes, gc, json, sys, threading
from coresys.measure import fragmentation, meters

libc = ctypes.PyDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
PAGE = meters.PAGE
meter = meters.MemoryMeter()

def figure():
    gc.collect()
    return fragmentation.stranded_now(meter.read())

def chunks(size, count, every):
    '''Touch so many chunks, free all but each so-manieth: what is kept, and all addresses.'''
    all_of_them = [libc.malloc(size) for _ in range(count)]
    for chunk in all_of_them:
        ctypes.memset(chunk, 1, size)
    for number, chunk in enumerate(all_of_them):
        if number % every:
            libc.free(chunk)
    return all_of_them[::every], all_of_them

def release(kept):
    for chunk in kept:
        libc.free(chunk)

def touched_pages(kept, whole):
    '''Pages that a kept chunk, or the head of the free one behind it, lies in.'''
    return {page for chunk in kept for page in range((chunk - 16) // PAGE, (chunk + whole) // PAGE + 1)}

def report(*figures):
    print(json.dumps([int(each) for each in figures]))

figure()
figure()
"""

PINNED_POOLS = """
count, size = 100_000, 100  # of 144 bytes with the head of a bytes object, 113 to a pool of 16 KiB
objects = [None] * count
before = figure()
for number in range(count):
    objects[number] = bytes(size)
block = -(-(size + bytes.__basicsize__) // 16) * 16
in_pool = (16384 - 48) // block
pinned = objects[::in_pool]
pools = len(pinned)
del objects
after = figure()
del pinned
report(after - before, 0, pools * (in_pool - 1) * block, figure() - before)
"""

PINNED_CHUNKS = """
ballast = bytearray({ballast})
before, free_before = figure(), meter.read().chunk_free
kept, everything = chunks(1000, 16000, 4)
after, free = figure(), meter.read().chunk_free - free_before
expected = 3 * 1008 * len(kept)
release(kept)
del kept, everything  # the numbers too: a few of them pin their pools
report(after - before, free, expected, figure() - before)
"""

FAR_APART = """
before, free_before = figure(), meter.read().chunk_free
kept, everything = chunks(1000, 64000, 64)
after, free = figure(), meter.read().chunk_free - free_before
expected = len(touched_pages(kept, 1008)) * PAGE - 1008 * len(kept)
release(kept)
del kept, everything  # the numbers too: a few of them pin their pools
report(after - before, free, expected, figure() - before)
"""

IN_A_THREAD = """
kept, done, go_on = [], threading.Event(), threading.Event()

def work():
    kept.extend(chunks(1000, 16000, 4)[0])
    done.set()
    go_on.wait()

before = figure()
thread = threading.Thread(target=work)
thread.start()
done.wait()
after = figure()
expected = 3 * 1008 * len(kept)
release(kept)
go_on.set()
thread.join()
report(after - before, 0, expected, figure() - before)
"""

TEMPORARY = """
before = figure()
kept, everything = chunks(1000, 20000, 1)
objects = [bytes(100) for _ in range(50_000)]
release(kept)
del kept, everything, objects
report(figure() - before, 0, 0, figure() - before)
"""

UNTOUCHED = """
before = figure()
chunk = libc.malloc(100_000)
after = figure()
report(after - before, 0, 0, figure() - before)
"""

# Of a process that does nothing else: a thread that receives messages meanwhile has pages of its own.
TWICE = """
first = fragmentation.resident_free()
report(fragmentation.resident_free() - first, 0, 0, fragmentation.resident_free() - first)
"""


def run(load: str) -> tuple[int, int, int, int]:
    out = subprocess.run([sys.executable, "-c", PRELUDE + load], check=True, capture_output=True, text=True).stdout
    seen, free, expected, left = json.loads(out)
    return seen, free, expected, left


@needs_counters
@pytest.mark.slow
@pytest.mark.parametrize(
    "load",
    [
        PINNED_POOLS,
        PINNED_CHUNKS.format(ballast=0),
        PINNED_CHUNKS.format(ballast=50 * MIB),
        FAR_APART,
        IN_A_THREAD,
    ],
    ids=["one object a pool", "one chunk a page", "beside a large chunk", "one chunk in 16 pages", "arena of a thread"],
)
def test_what_is_stranded_is_what_arithmetic_says(load: str) -> None:
    seen, _, expected, left = run(load)
    assert expected > MIB
    assert seen == pytest.approx(expected, rel=0.2)
    assert left < 0.1 * expected


@needs_counters
@pytest.mark.slow
def test_pages_that_were_given_back_are_not_stranded_though_malloc_calls_them_free() -> None:
    seen, free, _, _ = run(FAR_APART)
    assert free > 8 * seen


@needs_counters
@pytest.mark.slow
@pytest.mark.parametrize("load", [TEMPORARY, UNTOUCHED], ids=["temporary", "in use and never touched"])
def test_nothing_is_stranded_by(load: str) -> None:
    seen, _, _, _ = run(load)
    assert abs(seen) < 0.25 * MIB, "of 20: what was free before, and is in use now, counts against it"


@needs_counters
@pytest.mark.slow
def test_reading_twice_gives_the_same_to_some_pages() -> None:
    seen, _, _, left = run(TWICE)
    assert abs(seen) < 64 * 1024
    assert abs(left) < 64 * 1024


@pytest.mark.parametrize(
    ("before", "after", "control", "expected"),
    [(0, 0, 0, 0), (100, 164, 0, 64), (100, 164, 60, 4), (100, 164, 64, 0), (100, 164, 65, 0), (164, 100, 0, 0)],
)
def test_stranded_is_over_the_control_and_never_negative(before: int, after: int, control: int, expected: int) -> None:
    assert stranded(before, after, control) == expected


@pytest.mark.parametrize(
    ("lost", "in_use", "expected"),
    [
        (0, 0, 0.0),
        (-5, 10 * MIB, 0.0),
        (MIB, 20 * MIB, 0.05),
        (LEAST_IN_USE // 2, 1, 0.5),
        (LEAST_IN_USE // 2, LEAST_IN_USE, 0.5),
        (LEAST_IN_USE // 2, LEAST_IN_USE * 2, 0.25),
    ],
)
def test_the_share_is_of_at_least_one_mebibyte_in_use(lost: int, in_use: int, expected: float) -> None:
    assert share(lost, in_use) == pytest.approx(expected)


HEAP = 0x7F00_0000_0000
FIRST = (HEAP + 0x30, 0, 0x21000, 0x21000)


@pytest.mark.parametrize(
    ("info", "size"),
    [
        (FIRST, 0x21000),
        ((HEAP - 0x4000_0000 + 0x30, HEAP - 0x4000_0000, 0x2000, 0x21000), 0x2000),
        ((HEAP + 0x30, 0, 0x21001, 0x22000), 0),
        ((HEAP + 0x30, 0, 0x22000, 0x21000), 0),
        ((HEAP + 0x30, 0, 0x8000000, 0x8000000), 0),
        ((HEAP + 0x4000_0030, 0, 0x21000, 0x21000), 0),
        ((3, 0, 0x21000, 0x21000), 0),
        ((0, 0, 0, 0), 0),
    ],
    ids=["first", "later", "no page", "more than writable", "too large", "not its own arena", "a pool", "zeros"],
)
def test_a_heap_is_known_by_its_head(info: tuple[int, int, int, int], size: int) -> None:
    assert fragmentation._heap_size(HEAP, struct.pack("@PPNN", *info)) == size
    assert fragmentation._heap_size(HEAP, b"") == 0


@pytest.mark.parametrize(
    ("line", "heap"),
    [
        (b"55d0c0a00000-55d0c0c21000 rw-p 00000000 00:00 0                          [heap]", True),
        (b"7f0000000000-7f0000021000 rw-p 00000000 00:00 0", False),
        (b"7f0000000000-7f0000021000 rw-p 00000000 00:00 0 ", False),
    ],
)
def test_mappings_that_can_hold_heaps(line: bytes, heap: bool) -> None:
    found = fragmentation._MAPPING.match(line)
    assert found is not None
    assert bool(found[3]) is heap


@pytest.mark.parametrize(
    "line",
    [
        b"7f0000021000-7f0004000000 ---p 00000000 00:00 0",
        b"7ffc1c1e0000-7ffc1c201000 rw-p 00000000 00:00 0                          [stack]",
        b"7f00c0000000-7f00c0002000 rw-p 00200000 fe:00 1234                       /usr/lib/libc.so.6",
        b"7f00c0000000-7f00c0002000 rw-s 00000000 00:01 77                         /dev/zero (deleted)",
    ],
    ids=["reserve", "stack", "file", "shared"],
)
def test_mappings_that_cannot(line: bytes) -> None:
    assert fragmentation._MAPPING.match(line) is None


def test_a_heap_that_grows_while_it_is_looked_at_is_looked_at_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looking itself takes made it grow by 132 KB, which were told as stranded in one look of four."""
    in_use, free, pad = MIB, 20_000, 132 * 1024
    looks = 0

    def grown() -> int:
        return pad if looks else 0

    class Malloc:
        def read_heaps(self) -> tuple[int, int, int]:
            return in_use, free + grown(), in_use + free + grown()

    def heaps() -> list[tuple[int, int]]:
        nonlocal looks
        listed = [(0, in_use + free + grown())]
        looks += 1
        return listed

    monkeypatch.setattr(fragmentation, "MallocMeter", Malloc)
    monkeypatch.setattr(fragmentation, "trim", lambda: None)
    monkeypatch.setattr(fragmentation, "_heaps", heaps)
    monkeypatch.setattr(fragmentation, "_resident", lambda start, end: in_use + free)  # what it grew by is untouched
    assert fragmentation.resident_free() == free
    assert looks == 2
