"""Locks and the executor beside what the standard library has, in one run: ``python benchmarks/core_threads.py``.

Prints ratios, for a machine's mood is in every figure and in both sides of a ratio. Rounds of ours and theirs take
turns, and medians over them are compared. ``--json PATH`` writes the figures too; ``--rounds N`` for longer runs.

    lock.*            one uncontended ``with``, in processor time of the thread: ours over raw (goal: at most 2.5)
    condition.*       one notify and one wait that is told at once
    pool.throughput   tiny tasks submitted and awaited: ours over ThreadPoolExecutor (goal: at least 3), wall and CPU
    pool.system       a system task behind 200 queued tasks of 1 ms: how long until it starts (goal: 1 ms at the median)
    handoff           one way of a ping-pong of two threads by a condition
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from turns import interleaved

from coresys.threads import (
    AtomicCounter,
    LockHierarchy,
    OrderedCondition,
    OrderedLock,
    OrderedRLock,
    ReadWriteLock,
    SampledLock,
    ThreadPool,
)

TURNS = 5_000
TASKS = 3_000
RANKS = LockHierarchy("bench", ["outer", "inner"])


def blocks(lock: Any) -> float:
    """Seconds of this thread for TURNS ``with`` blocks."""
    started = time.thread_time()
    for _ in range(TURNS):
        with lock:
            pass
    return time.thread_time() - started


def nested(outer: Any, inner: Any) -> float:
    started = time.thread_time()
    for _ in range(TURNS):
        with outer, inner:
            pass
    return time.thread_time() - started


def calls(function: Callable[[], object]) -> float:
    started = time.thread_time()
    for _ in range(TURNS):
        function()
    return time.thread_time() - started


def empty() -> float:
    started = time.thread_time()
    for _ in range(TURNS):
        pass
    return time.thread_time() - started


def notified(condition: Any) -> float:
    """TURNS / 10 notifications without anybody, which is what most are."""
    started = time.thread_time()
    for _ in range(TURNS // 10):
        with condition:
            condition.notify_all()
    return (time.thread_time() - started) * 10


def nothing() -> None:
    """A tiny task."""


def throughput(pool: Executor) -> tuple[float, float]:
    """Seconds of wall and processor for TASKS tiny tasks."""
    wall, cpu = time.perf_counter(), time.process_time()
    futures = [pool.submit(nothing) for _ in range(TASKS)]
    for future in futures:
        future.result()
    return time.perf_counter() - wall, time.process_time() - cpu


def handoff(condition: Any) -> float:
    """Seconds of one way of a ping-pong of two threads by a condition."""
    turns = 300
    turn = [0]

    def side(mine: int) -> None:
        for _ in range(turns):
            with condition:
                while turn[0] != mine:
                    condition.wait()
                turn[0] = 1 - mine
                condition.notify()

    thread = threading.Thread(target=side, args=(1,))
    thread.start()
    started = time.perf_counter()
    side(0)
    took = time.perf_counter() - started
    thread.join()
    return took / turns / 2


def locks(rounds: int) -> dict[str, Any]:
    raw, raw_r, raw_c = threading.Lock(), threading.RLock(), threading.Condition()
    raw_outer, raw_inner = threading.Lock(), threading.Lock()
    outer, inner = OrderedLock(RANKS["outer"]), OrderedLock(RANKS["inner"])
    reading = ReadWriteLock(RANKS["inner"])
    counter = AtomicCounter()
    condition = OrderedCondition(RANKS["outer"])
    sides: dict[str, Callable[[], float]] = {
        "empty": empty,
        "raw Lock": lambda: blocks(raw),
        "raw RLock": lambda: blocks(raw_r),
        "OrderedLock": lambda: blocks(outer),
        "OrderedRLock": lambda: blocks(_R),
        "SampledLock": lambda: blocks(_S),
        "two raw Locks": lambda: nested(raw_outer, raw_inner),
        "two OrderedLocks": lambda: nested(outer, inner),
        "reading": lambda: blocks_of(reading.reading),
        "raw Condition": lambda: notified(raw_c),
        "OrderedCondition": lambda: notified(condition),
        "AtomicCounter.add": lambda: calls(counter.add),
    }
    found = interleaved(rounds, sides)
    base = found.pop("empty")
    return {name: (value - base) / TURNS * 1e9 for name, value in found.items()}


def blocks_of(make: Callable[[], Any]) -> float:
    started = time.thread_time()
    for _ in range(TURNS):
        with make():
            pass
    return time.thread_time() - started


_R = OrderedRLock(RANKS["outer"])
_S = SampledLock(RANKS["outer"])


def pools(rounds: int, workers: int) -> dict[str, float]:
    with ThreadPoolExecutor(workers) as theirs, ThreadPool(workers, reserved=0) as ours:
        for pool in (theirs, ours):  # threads are started
            throughput(pool)
        seen: dict[str, list[tuple[float, float]]] = {"theirs": [], "ours": []}
        for _ in range(rounds):
            seen["theirs"].append(throughput(theirs))
            seen["ours"].append(throughput(ours))
    wall = {name: statistics.median(each[0] for each in values) for name, values in seen.items()}
    cpu = {name: statistics.median(each[1] for each in values) for name, values in seen.items()}
    return {
        "theirs, tasks/s": TASKS / wall["theirs"],
        "ours, tasks/s": TASKS / wall["ours"],
        "ratio, wall": wall["theirs"] / wall["ours"],
        "theirs, us CPU": cpu["theirs"] / TASKS * 1e6,
        "ours, us CPU": cpu["ours"] / TASKS * 1e6,
        "ratio, CPU": cpu["theirs"] / cpu["ours"],
    }


def system_tasks(rounds: int) -> dict[str, float]:
    late: dict[str, list[float]] = {"theirs": [], "ours": []}
    with ThreadPoolExecutor(4) as theirs, ThreadPool(4) as ours:
        ours.submit_with(nothing, priority="system").result()
        for _ in range(rounds):
            behind = [theirs.submit(time.sleep, 0.001) for _ in range(200)]
            started = time.perf_counter()
            late["theirs"].append(theirs.submit(time.perf_counter).result() - started)
            wait(behind)
            behind = [ours.submit_with(lambda: time.sleep(0.001), priority="monitoring") for _ in range(200)]
            started = time.perf_counter()
            late["ours"].append(ours.submit_with(time.perf_counter, priority="system").result() - started)
            wait(behind)
    return {f"{name}, ms to start": statistics.median(values) * 1e3 for name, values in late.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--json", type=Path)
    options.add_argument("--rounds", type=int, default=21)
    chosen = options.parse_args()
    figures: dict[str, Any] = {"python": platform.python_version()}

    lock = locks(chosen.rounds)
    ratios = {
        "lock.OrderedLock / raw Lock": lock["OrderedLock"] / lock["raw Lock"],
        "lock.OrderedRLock / raw RLock": lock["OrderedRLock"] / lock["raw RLock"],
        "lock.two nested / two raw Locks": lock["two OrderedLocks"] / lock["two raw Locks"],
        "lock.SampledLock / raw Lock": lock["SampledLock"] / lock["raw Lock"],
        "lock.reading / raw Lock": lock["reading"] / lock["raw Lock"],
        "condition.notify / raw Condition": lock["OrderedCondition"] / lock["raw Condition"],
        "atomic.add / raw Lock": lock["AtomicCounter.add"] / lock["raw Lock"],
    }
    figures["lock, ns"], figures["lock, ratios"] = lock, ratios
    print(f"Python {figures['python']}")
    for name, value in lock.items():
        print(f"  {name:<36} {value:8.0f} ns")
    for name, value in ratios.items():
        print(f"  {name:<36} {value:8.2f}")

    for workers in (4, 19):
        found = figures[f"pool of {workers}"] = pools(max(5, chosen.rounds // 2), workers)
        for name, value in found.items():
            print(f"  pool.throughput, {workers} workers: {name:<18} {value:10.2f}")

    found = figures["pool.system"] = system_tasks(max(5, chosen.rounds // 3))
    for name, value in found.items():
        print(f"  pool.system: {name:<24} {value:10.2f}")

    raw, own = threading.Condition(), OrderedCondition()
    passed = interleaved(chosen.rounds, {"raw Condition": lambda: handoff(raw), "ordered": lambda: handoff(own)})
    figures["handoff, us"] = {name: value * 1e6 for name, value in passed.items()}
    for name, value in passed.items():
        print(f"  handoff: {name:<28} {value * 1e6:10.2f} us")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
