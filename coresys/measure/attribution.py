"""Which source lines allocate what stays: for use on top of ``tracemalloc``, also without pytest.

``tracemalloc`` makes code 3.5 to 8 times slower with one frame, more with many: it runs only inside these functions,
which want code that is already known to leak.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

from coresys.records import Location

FRAMES = 16
_OUR_FILES = (__file__, tracemalloc.__file__)


def growing_lines(
    run: Callable[[], object],
    *,
    is_user: Callable[[str], bool],
    repetitions: int = 6,
    windows: int = 3,
    most: int = 5,
) -> list[Location]:
    """Lines whose allocations grow in every window of so many repetitions, those that grow most first.

    Each allocation is charged to the innermost frame in a file that ``is_user`` accepts, or to the innermost of all
    if there is none. The note of a location tells bytes and blocks per repetition.
    """
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start(FRAMES)
    try:
        run()  # the first traced run allocates what the untraced ones had already
        run()
        snapshots = [_snapshot()]
        for _ in range(windows):
            for _ in range(repetitions):
                run()
            snapshots.append(_snapshot())
    finally:
        if not tracing:
            tracemalloc.stop()
    # Looked at only now: what this needs would show in the snapshots as growth.
    return _steadily_grown([_by_line(snapshot, is_user) for snapshot in snapshots], repetitions, most)


Line = tuple[str, int]
Total = dict[Line, tuple[int, int]]


def _snapshot() -> tracemalloc.Snapshot:
    gc.collect()
    return tracemalloc.take_snapshot()


def _by_line(snapshot: tracemalloc.Snapshot, is_user: Callable[[str], bool]) -> Total:
    """Bytes and blocks alive at the snapshot, by the line that is to be named for them."""
    totals: Total = {}
    for trace in snapshot.traces:
        frames = list(trace.traceback)
        if frames[-1].filename in _OUR_FILES:
            continue
        frame = next((frame for frame in reversed(frames) if is_user(frame.filename)), frames[-1])
        line = (frame.filename, frame.lineno)
        size, count = totals.get(line, (0, 0))
        totals[line] = (size + trace.size, count + 1)
    return totals


def _steadily_grown(totals: list[Total], repetitions: int, most: int) -> list[Location]:
    grown: list[tuple[float, float, Line]] = []
    runs = repetitions * (len(totals) - 1)
    for line in totals[-1]:
        sizes = [total.get(line, (0, 0))[0] for total in totals]
        if all(later > earlier for earlier, later in zip(sizes, sizes[1:], strict=False)):
            blocks = totals[-1][line][1] - totals[0].get(line, (0, 0))[1]
            grown.append(((sizes[-1] - sizes[0]) / runs, blocks / runs, line))
    grown.sort(reverse=True)
    return [
        Location(path, number, note=f"+{_bytes(size)} in {blocks:.3g} blocks per run")
        for size, blocks, (path, number) in grown[:most]
    ]


def _bytes(size: float) -> str:
    from coresys.budgets.units import format_quantity

    return format_quantity(round(size), "B")
