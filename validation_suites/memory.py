"""What a program keeps: readings of the allocators' own counters, after garbage was collected. Never resident memory,
which moves by itself."""

from __future__ import annotations

import gc
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from coresys.measure import fragmentation, meters

PAGE = meters.PAGE


def heap_in_use(meter: meters.MemoryMeter) -> int:
    """Bytes that both allocators have in use, mappings of others not counted."""
    memory = meter.read()
    return memory.pymalloc + memory.malloc


def resident() -> int:
    """Bytes of this process that are in memory: to be shown, not to be judged by."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


@contextmanager
def quick_collections() -> Iterator[None]:
    """What is there already is garbage to no collection: each looks at what is new, and takes a hundredth of the time.

    What somebody else has put aside before stays there, and then so does all that is: collections take their time.
    """
    meters.collect()
    mine = not gc.get_freeze_count()
    if mine:
        gc.freeze()
    try:
        yield
    finally:
        if mine:
            gc.unfreeze()


def heap_of(make: Callable[[], object], *, times: int = 2) -> int:
    """Bytes of the heap that what ``make`` makes holds: of several times the least, for the first fills caches too."""
    meter = meters.MemoryMeter()
    seen = []
    try:
        with quick_collections():
            for _ in range(times + 1):
                meters.collect()
                before = heap_in_use(meter)
                made = make()
                meters.collect()
                seen.append(heap_in_use(meter) - before)
                end = getattr(made, "close", None) or getattr(made, "shutdown", None)
                if end is not None:
                    end()
                del made, end
    finally:
        meter.close()
    return max(min(seen[1:]), 0)


def kept_by(cycle: Callable[[], object], *, cycles: int = 120, warm: int = 60, series: int = 6) -> int:
    """Bytes that ``cycle`` keeps each time that it is called, by both allocators and by mappings.

    Each of the three is looked at by itself, for malloc's own caches go to and fro by kilobytes. A leak is what shows
    in two ways: in the median of the slopes between all pairs of readings, which one step does not move; and in that
    the least of the last third is above the most of the first, which what goes to and fro is not. The lesser of both is
    told. Where there is any, further series are made, and the least of all counts: what fills comes to an end."""
    least = _kept_in_a_series(cycle, cycles, warm)
    for _ in range(series - 1):
        if not least:
            break
        least = min(least, _kept_in_a_series(cycle, cycles, 0))
    return least


def _kept_in_a_series(cycle: Callable[[], object], cycles: int, warm: int) -> int:
    meter = meters.MemoryMeter()
    readings = [array("q", bytes(8 * cycles)) for _ in range(3)]  # made before, and not of objects: they must not grow
    try:
        for _ in range(warm):
            cycle()
        with quick_collections():
            for at in range(cycles):
                cycle()
                meters.collect()
                memory = meter.read()
                readings[0][at], readings[1][at], readings[2][at] = memory.pymalloc, memory.malloc, memory.mapped
    finally:
        meter.close()
    return sum(_kept(each) for each in readings)


def _kept(readings: Sequence[int]) -> int:
    """Bytes for each reading, of one allocator."""
    third = len(readings) // 3
    more = (min(readings[-third:]) - max(readings[:third])) / (len(readings) - 2 * third + 1)
    slope = median(
        (readings[later] - readings[at]) / (later - at) for later in range(1, len(readings)) for at in range(later)
    )
    return max(round(min(more, slope)), 0)


def fragmentation_added_by(load: Callable[[], object], *, warm: int = 1) -> float:
    """The share of stranded bytes that a load adds to the heap, as the measure ``memory.fragmentation`` counts it.

    What an empty run strands is taken off. ``load`` may return what is to be alive while it is measured. Mappings are
    not counted among the bytes in use: pools of buffers map all that they may ever lend."""
    for _ in range(warm):
        load()
    meter = meters.MemoryMeter()
    try:
        control = _stranded_by(meter, _nothing)
        added = _stranded_by(meter, load)
        return fragmentation.share(max(added - max(control, 0), 0), heap_in_use(meter))
    finally:
        meter.close()


def _stranded_by(meter: meters.MemoryMeter, load: Callable[[], object]) -> int:
    gc.collect()
    before = fragmentation.stranded_now(meter.read())
    kept = load()
    gc.collect()
    after = fragmentation.stranded_now(meter.read())
    del kept
    return after - before


def _nothing() -> None:
    """The load of the control."""


def is_running(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
