"""At which line of the user's something changed that no object tells of: native memory, settings of the process.

A sample is taken after each line of the user's code that runs in this thread, and what differs from the one before
is charged to that line, with all that it called. That makes the code slower by an order of magnitude: it is for code
that is already known to do it. Usable without pytest.
"""

from __future__ import annotations

import re
import sys
import tracemalloc
from collections.abc import Callable, Collection
from itertools import chain
from statistics import median
from typing import Any, Generic, TypeVar

from coresys.budgets.units import format_quantity
from coresys.clock import monotonic
from coresys.measure.malloccache import MallocCache
from coresys.measure.meters import MemoryMeter
from coresys.measure.reserved import Reserve
from coresys.measure.settings import RUNNER_VARIABLES, SettingsSnapshot
from coresys.records import Location

Line = tuple[str, int, str]
NOBODY: Line = ("", 0, "")
"""Stands for what happens while no code of the user's is on the stack."""
Sample = TypeVar("Sample")
_RESERVED_FROM = 64 * 1024  # bytes that are mapped at once, from which on it may be such
_EACH = 5  # repetitions, of which the median counts
_MOST_FILLS = 1000  # times half a millisecond; beyond, the cache is as it is
_MOST_OF_IT = 0.75
_BLOCK = 32  # bytes, the least that malloc gives


def native_lines(
    run: Callable[[], object],
    *,
    is_user: Callable[[str], bool],
    grown: float,
    seconds: float = 5.0,
    now: Callable[[], float] = monotonic,
) -> list[Location]:
    """Lines during which memory grows that Python has not asked for itself, in the median of a few repetitions.

    That is what all allocators have in use, less what ``tracemalloc`` knows of and needs, exact to some bytes a block.
    Lines with less than a quarter of ``grown`` (bytes per run) or more than twice as much are left out, and those of
    which another line gives back as much; of the others those that come nearest to it, as many as account for most of
    it. ``run`` may return a text, a problem: then nothing is told. Empty where memory can't be read.
    """
    try:
        meter = MemoryMeter()
    except NotImplementedError:
        return []

    # What a thread reserves for its stack and its arena is not in use.
    reserve = Reserve(step=_RESERVED_FROM)
    # A chunk that comes out of the thread's cache moves no counter, and the line at which the cache is filled again
    # would be charged for it.
    cache = MallocCache()

    def outside() -> int:
        if fills[0] > 0:
            fills[0] -= 1
            cache.fill()
        # Read first: its own storage is then known of.
        memory = meter.read()
        in_use = memory.in_use - reserve.at(memory.mapped)
        return in_use - tracemalloc.get_traced_memory()[0] - tracemalloc.get_tracemalloc_memory()

    fills = [0]
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    until = now() + seconds
    rounds: list[dict[Line, float]] = []
    try:
        for _ in range(_EACH + 1):
            steps: dict[Line, list[int]] = {}
            fills[0] = _MOST_FILLS

            def add(line: Line, before: int, after: int, steps: dict[Line, list[int]] = steps) -> None:
                steps.setdefault(line, []).append(after - before)

            if isinstance(watch_lines(run, outside, add, is_user=is_user, always=True), str):
                return []
            # Each sample costs the same by itself, which is what most steps come to.
            own = median(chain.from_iterable(steps.values()))
            rounds.append({line: sum(each) - own * len(each) for line, each in steps.items()})
            if now() > until:
                break
    finally:
        meter.close()
        if not tracing:
            tracemalloc.stop()
    lines = {line: median(each.get(line, 0) for each in rounds[1:]) for each in rounds[1:] for line in each}
    told: list[Location] = []
    known = 0.0
    for line, size in sorted(_without_returned(lines), key=lambda each: abs(each[1] - grown)):
        if known < _MOST_OF_IT * grown and max(grown / 4, 1) <= size <= 2 * max(grown, _BLOCK):
            known += size
            told.append(
                Location(*line, note=f"+{format_quantity(round(size), 'B')} of native memory while this line runs")
            )
    return told


def _without_returned(lines: dict[Line, float]) -> list[tuple[Line, float]]:
    """Growing lines, largest first, without those whose bytes are given back at another, or when the user's code ends.

    The most alike are taken for pairs.
    """
    grown = {line: size for line, size in lines.items() if size > 0}
    returned = {line: -size for line, size in lines.items() if size < 0}
    pairs = sorted((abs(size - back), line, other) for line, size in grown.items() for other, back in returned.items())
    for difference, line, other in pairs:
        if line in grown and other in returned and difference <= 0.1 * grown[line]:
            del grown[line], returned[other]
    return [(line, size) for line, size in sorted(grown.items(), key=lambda each: -each[1]) if line != NOBODY]


def settings_lines(
    run: Callable[[], object],
    before: SettingsSnapshot,
    *,
    is_user: Callable[[str], bool],
    ignore_env: Collection[str] = RUNNER_VARIABLES,
) -> list[Location]:
    """Put the settings of the process back as they were ``before``, run, and tell which lines change them for good.

    The settings are left as ``run`` leaves them. Returns nothing if ``run`` returns a text, a problem.
    """
    before.restore()
    start = SettingsSnapshot.take()
    latest: dict[str, Line] = {}

    def note(line: Line, was: SettingsSnapshot, now: SettingsSnapshot) -> None:
        for change in now.changes_since(was, ignore_env=ignore_env):
            latest[subject(change)] = line

    if isinstance(watch_lines(run, SettingsSnapshot.take, note, is_user=is_user), str):
        return []
    lasting = dict.fromkeys(map(subject, SettingsSnapshot.take().changes_since(start, ignore_env=ignore_env)))
    return [
        Location(*latest[about], note=f"{about.rstrip(':')} changed here")
        for about in lasting
        if latest.get(about, NOBODY) != NOBODY
    ]


_SUBJECT = re.compile(r"os\.environ\[.*?'\](?= )|logger '.*?'(?=:)|(?:signal|working|warning) \S+|\S+")


def subject(change: str) -> str:
    """What a line of `SettingsSnapshot.changes_since` is about: a variable, a signal, a logger."""
    found = _SUBJECT.match(change)
    return found[0] if found else change


def watch_lines(
    run: Callable[[], object],
    sample: Callable[[], Sample],
    on_change: Callable[[Line, Sample, Sample], None],
    *,
    is_user: Callable[[str], bool],
    always: bool = False,
) -> object:
    """Run, and call ``on_change(line, before, after)`` for each line of the user's after which the sample differs.

    ``always``: also where it does not. What happens while no code of the user's is on the stack is charged to
    ``NOBODY``. Returns what ``run`` returns.
    """
    own = sys.gettrace()
    trace = _Trace(sample, on_change, is_user, always)
    sys.settrace(trace.called)
    try:
        return run()
    finally:
        sys.settrace(own)
        trace.end()


class _Trace(Generic[Sample]):
    """The trace functions: one for calls, one for what happens in frames of the user's."""

    def __init__(
        self,
        sample: Callable[[], Sample],
        on_change: Callable[[Line, Sample, Sample], None],
        is_user: Callable[[str], bool],
        always: bool,
    ) -> None:
        self._sample, self._on_change, self._is_user, self._always = sample, on_change, is_user, always
        self._users: dict[str, bool] = {}
        self._running = NOBODY
        self._last = sample()

    def called(self, frame: Any, event: str, argument: Any) -> Any:
        if not self._of_user(frame):
            return None
        self._step(_line_of(frame))
        return self._in_frame

    def _in_frame(self, frame: Any, event: str, argument: Any) -> Any:
        if event == "line":
            self._step(_line_of(frame))
        elif event == "return":
            outer = frame.f_back
            while outer is not None and not self._of_user(outer):
                outer = outer.f_back
            self._step(NOBODY if outer is None else _line_of(outer))
        return self._in_frame

    def _of_user(self, frame: Any) -> bool:
        path = frame.f_code.co_filename
        known = self._users.get(path)
        if known is None:
            known = self._users[path] = self._is_user(path)
        return known

    def end(self) -> None:
        """Charge what happened since the last line."""
        self._step(NOBODY)

    def _step(self, line: Line) -> None:
        """What ran until now is over; from here on it is ``line`` that runs."""
        now = self._sample()
        if self._always or now != self._last:
            self._on_change(self._running, self._last, now)
            now = self._sample()  # what was just done is nobody's
        self._last, self._running = now, line


def _line_of(frame: Any) -> Line:
    code = frame.f_code
    return code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_name
