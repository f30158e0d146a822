"""Repeat one test and read the counters after each repetition, until every measure is settled or time is up."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coresys.measure import meters
from coresys.measure.series import increments, judge_series
from pytest_coresys.engine import repeat

KEYS = ("memory.growth", "threads.leaked", "descriptors.leaked", "processes.leaked", "tasks.leaked")
_GRACE = 1.0  # seconds that threads and processes get to end, waited only where some are left
_BYTES_CAP = 256 * 1024 * 1024


@dataclass(slots=True)
class Confirmed:
    """What the repetitions showed: for each key its conclusion, rate, resolution and series."""

    repetitions: int = 0
    problem: str | None = None
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)


class Readings:
    """Counters of this process, one array for each key, made before the first repetition."""

    def __init__(self, capacity: int) -> None:
        self._memory = meters.MemoryMeter()
        self.values = {key: array("q", bytes(8 * capacity)) for key in KEYS}
        self.count = 0

    def take(self) -> None:
        """Collect garbage, then read. A cycle is no leak."""
        gc.collect()
        memory = self._memory.read()
        row = (
            memory.in_use,
            len(meters.native_threads()),
            meters.descriptor_count(),
            len(meters.children()),
            len(meters.pending_tasks()),
        )
        for key, value in zip(KEYS, row, strict=True):
            self.values[key][self.count] = value
        self.count += 1

    def series(self, key: str) -> list[int]:
        return list(self.values[key][: self.count])


def confirm(run_once: Callable[[], str | None], *, most: int, seconds: float) -> Confirmed:
    """Repeat until settled. ``run_once`` returns None, or why the repetition did not go as the first run did."""
    result = Confirmed()
    deadline = time.monotonic() + seconds
    gc.collect()
    gc.freeze()  # we are a process of our own: nobody else looks at the collector's generations
    for _ in range(min(repeat.WARM_UP, most)):
        result.problem = run_once()
        if result.problem:
            return result
    readings = Readings(most + 2)
    readings.take()
    conclusions = dict.fromkeys(KEYS, "more")
    checkpoints = _checkpoints()
    check_at = next(checkpoints)
    while "more" in conclusions.values() and readings.count <= most:
        spent = time.monotonic() > deadline or readings.count >= most or _too_much(readings)
        if readings.count >= check_at or spent:
            for key in KEYS:
                if conclusions[key] == "more":
                    conclusions[key] = _conclude(readings, key, spent)
            check_at = next(checkpoints)
            continue
        result.problem = run_once()
        if result.problem:
            return result
        readings.take()
    result.repetitions = readings.count - 1 + repeat.WARM_UP
    _let_them_end(readings, conclusions)
    result.keys = {key: _result(readings, key, conclusions[key]) for key in KEYS}
    return result


def _checkpoints() -> Any:
    at = repeat.SCREEN
    while True:
        yield at
        at += max(12, at // 3)


def _rule(key: str) -> repeat.Rule:
    return repeat.MEMORY if key == "memory.growth" else repeat.COUNTED


def _conclude(readings: Readings, key: str, spent: bool) -> str:
    return repeat.conclude(readings.series(key), _rule(key), spent=spent)


def _too_much(readings: Readings) -> bool:
    threads = readings.values["threads.leaked"]
    if readings.count < 2 or threads[readings.count - 1] > threads[0]:
        return False  # a thread reserves tens of megabytes of addresses, and uses next to none of them
    values = readings.values["memory.growth"]
    return readings.count > 1 and values[readings.count - 1] - values[0] > _BYTES_CAP


def _let_them_end(readings: Readings, conclusions: dict[str, str]) -> None:
    """Threads and children that end by themselves after a moment are none left behind."""
    readers: dict[str, Callable[[], set[int]]] = {
        "threads.leaked": meters.native_threads,
        "processes.leaked": meters.children,
    }
    for key, read in readers.items():
        if conclusions[key] != "leak":
            continue
        values = readings.values[key]
        enough = values[0] + (values[readings.count - 1] - values[0]) // 2
        until = time.monotonic() + _GRACE
        while len(read()) > enough and time.monotonic() < until:
            time.sleep(0.01)
        if len(read()) <= enough:
            conclusions[key] = "flat"


def _result(readings: Readings, key: str, conclusion: str) -> dict[str, Any]:
    series = readings.series(key)
    judged = judge_series(series)
    rate = judged.rate if conclusion == "leak" else 0.0
    if key != "memory.growth" and rate:
        rate = max(1.0, float(round(rate)))  # they come whole
    return {
        "conclusion": conclusion,
        "rate": round(rate, 1),
        "resolution": judged.resolution,
        "series": [round(step, 1) for step in increments(series, 12)],
    }
