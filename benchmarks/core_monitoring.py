"""Monitoring beside raw primitives and others' libraries, in one run: ``python benchmarks/core_monitoring.py``.

Prints ratios, for a machine's mood is in every figure and in both sides of a ratio. Rounds of ours and theirs take
turns, and medians over them are compared. prometheus_client and opentelemetry-sdk are measured where they are
installed. ``--json PATH`` writes the figures too; ``--rounds N`` for longer runs.

    record.*      one value or count, in processor time of the thread over an empty loop (goal: a distribution at most
                  0.5 us; prometheus_client at least 3 times that, OpenTelemetry at least 10). prometheus_client looks
                  for the bucket from the first on, so what it takes depends on the values: all get the same ones,
                  log-uniform from the first of its default buckets to the last (5 ms to 10 s). In rows with
                  "best bucket" all get one value that is in its first, which is the best that it can do
    snapshot      of 60 series while 20 threads record: median and 99th percentile (goal: 2 ms)
    sampler       at 10 Hz beside 20 idle threads: share of one core (goal: 0.2 %), and memory of the process with the
                  sampler as its only load (goal: 0.05 MB/h), over ``--soak`` seconds
    growth        ``--growth N`` processes of a minute each, with nothing, 0.2 and 2 MiB/h planted: verdicts (goal: all)
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from turns import interleaved

from coresys.monitoring import Histogram, MonitoringManager, ThreadSource, judge_growth, process_sources
from coresys.threads import thread_records

TURNS = 5_000
SPREAD = [math.exp(random.Random(at).uniform(math.log(0.005), math.log(10))) for at in range(TURNS)]
ONE = [0.00123] * TURNS
BEST = ", best bucket"
PLANTED = (0.0, 0.2, 2.0)
AT_ONCE = 25


def calls(function: Callable[..., object], *given: object, **named: object) -> float:
    """Seconds of this thread for TURNS calls."""
    started = time.thread_time()
    for _ in range(TURNS):
        function(*given, **named)
    return time.thread_time() - started


def empty() -> float:
    started = time.thread_time()
    for _ in range(TURNS):
        pass
    return time.thread_time() - started


def recording(record: Callable[[float], object], values: list[float]) -> float:
    """As a caller writes it: no unpacking of arguments."""
    started = time.thread_time()
    for value in values:
        record(value)
    return time.thread_time() - started


def telling(manager: MonitoringManager, what: str) -> float:
    count, gauge, record = manager.count, manager.gauge, manager.record
    started = time.thread_time()
    if what == "count":
        for _ in range(TURNS):
            count("orders.served", component="web")
    elif what == "gauge":
        for _ in range(TURNS):
            gauge("queue.depth", 5.0, component="web")
    else:
        for _ in range(TURNS):
            record("orders.delay", 0.00123, unit="seconds", component="web")
    return time.thread_time() - started


def locked_count() -> Callable[[float], object]:
    """What one would write first: a dictionary, and a lock."""
    lock, counts = threading.Lock(), {"a": 0}

    def record(value: float) -> None:
        with lock:
            counts["a"] += 1

    return record


def each_way(name: str, record: Callable[[float], object]) -> dict[str, Callable[[], float]]:
    """With values that are spread, and with one."""
    return {name: lambda: recording(record, SPREAD), name + BEST: lambda: recording(record, ONE)}


def others() -> dict[str, Callable[[], float]]:
    """Libraries of others, where they are installed."""
    found: dict[str, Callable[[], float]] = {}
    try:
        import prometheus_client
    except ImportError:
        pass
    else:
        registry = prometheus_client.CollectorRegistry()
        histogram = prometheus_client.Histogram("delay", "d", registry=registry)
        counter = prometheus_client.Counter("served", "s", ["component"], registry=registry)
        found |= each_way("prometheus Histogram.observe", histogram.observe)
        found["prometheus labels().inc"] = lambda: recording(lambda value: counter.labels("web").inc(), ONE)
    try:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    except ImportError:
        pass
    else:
        meter = MeterProvider([InMemoryMetricReader()]).get_meter("bench")
        recorded = meter.create_histogram("delay")
        found |= each_way("OpenTelemetry Histogram.record", recorded.record)
    return found


def records(rounds: int) -> dict[str, float]:
    """Nanoseconds over the empty loop."""
    histogram, manager = Histogram(), MonitoringManager()
    queue: deque[float] = deque(maxlen=1000)
    locked = locked_count()
    sides: dict[str, Callable[[], float]] = {
        "empty": empty,
        "deque.append": lambda: recording(queue.append, ONE),
        "lock and dictionary": lambda: recording(locked, ONE),
        **each_way("Histogram.record", histogram.record),
        "manager.record": lambda: telling(manager, "record"),
        "manager.count": lambda: telling(manager, "count"),
        "manager.gauge": lambda: telling(manager, "gauge"),
        **others(),
    }
    found = interleaved(rounds, sides)
    base = found.pop("empty")
    return {name: (value - base) / TURNS * 1e9 for name, value in found.items()}


def snapshots(count: int) -> dict[str, float]:
    """Milliseconds of a snapshot of 60 series while 20 threads record, mostly asleep as threads of services are."""
    manager, stop = MonitoringManager(), threading.Event()

    def work(number: int) -> None:
        at = 0
        while not stop.wait(0.005):
            for _ in range(20):
                at += 1
                manager.count(f"served.{at % 20}", component="web")
                manager.gauge(f"depth.{at % 20}", at)
                manager.record(f"delay.{at % 20}", (at * 37 + number) % 1000 / 1e6, unit="seconds")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    took = []
    for _ in range(count):
        started = time.perf_counter()
        manager.snapshot()
        took.append(time.perf_counter() - started)
        time.sleep(0.002)
    stop.set()
    for thread in threads:
        thread.join()
    centiles = statistics.quantiles(took, n=100)
    return {"median, ms": statistics.median(took) * 1e3, "99th percentile, ms": centiles[98] * 1e3}


def sampler(seconds: float) -> dict[str, Any]:
    stop = threading.Event()
    idle = [threading.Thread(target=stop.wait) for _ in range(20)]
    for thread in idle:
        thread.start()
    manager = MonitoringManager(sources=[*process_sources(), ThreadSource()], kept=int(seconds * 10) + 100)
    manager.start()
    time.sleep(3)  # what is made once is made

    def used() -> float:
        return sum(each.cpu_seconds or 0.0 for each in thread_records() if each.name == "coresys-sampler")

    before, then = used(), time.monotonic()
    time.sleep(seconds)
    share = (used() - before) / (time.monotonic() - then)
    times, sizes = manager.series("memory.in_use").readings(since=then)
    verdict = judge_growth(times, sizes)
    manager.close()
    stop.set()
    for thread in idle:
        thread.join()
    return {
        "share of a core, %": share * 100,
        "growth, MiB/h": verdict.rate / 2**20,
        "from": verdict.low / 2**20,
        "to": verdict.high / 2**20,
        "verdict": verdict.verdict,
    }


def growing(rate: float, seconds: float = 60.0) -> None:
    """A process with a steady load, and ``rate`` MiB/h that it keeps; prints its verdict."""
    manager = MonitoringManager(sources=[source for source in process_sources() if "memory.in_use" in source.names])
    manager.start()
    kept: list[bytes] = [b""] * 100_000  # room, so that it does not move
    each = 0.02  # seconds
    at, owed = 0, 0.0
    began = time.monotonic()
    recent: deque[dict[str, int]] = deque(maxlen=100)
    while time.monotonic() < began + seconds + 5:
        recent.append({str(number): number for number in range(20)})
        if time.monotonic() > began + 5:
            owed = rate * 2**20 * (time.monotonic() - began - 5) / 3600
            while sum_of[0] < owed:
                kept[at] = bytes(67)  # with its head, 100 bytes: 112 of the allocator
                at += 1
                sum_of[0] += 112
        time.sleep(each)
    times, sizes = manager.series("memory.in_use").readings(since=began + 5)
    verdict = judge_growth(times, sizes)
    manager.close()
    print(verdict.verdict, round(verdict.rate / 2**20, 2), verdict.why, sep="\t")


sum_of = [0.0]


def growths(count: int) -> dict[str, Any]:
    """Verdicts of so many processes for each rate, some at a time."""
    found: dict[str, Any] = {}
    waiting = [rate for rate in PLANTED for _ in range(count)]
    lines: dict[float, list[list[str]]] = {rate: [] for rate in PLANTED}
    while waiting:
        now, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        command = [sys.executable, __file__, "--planted"]
        children = [(rate, subprocess.Popen([*command, str(rate)], stdout=subprocess.PIPE, text=True)) for rate in now]
        for rate, child in children:
            lines[rate].append(child.communicate()[0].rstrip("\n").split("\t"))
    for rate, verdicts in lines.items():
        rates = [float(each[1]) for each in verdicts]
        found[f"planted {rate} MiB/h"] = {
            **Counter(each[0] for each in verdicts),
            "rates from": min(rates),
            "to": max(rates),
            "why": dict(Counter(each[2] for each in verdicts if each[0] == "unclear")),
        }
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--json", type=Path)
    options.add_argument("--rounds", type=int, default=21)
    options.add_argument("--soak", type=float, default=60.0)
    options.add_argument("--growth", type=int, default=0)
    options.add_argument("--planted", type=float, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.planted is not None:
        growing(chosen.planted)
        return
    figures: dict[str, Any] = {"python": platform.python_version()}
    print(f"Python {figures['python']}")
    recorded = figures["record, ns"] = records(chosen.rounds)
    for name, value in recorded.items():
        ours = recorded["Histogram.record" + (BEST if name.endswith(BEST) else "")]
        print(f"  record.{name:<44} {value:8.0f} ns {value / ours:8.2f} of Histogram.record")
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "snapshot": lambda: snapshots(50 * chosen.rounds),
        "sampler": lambda: sampler(chosen.soak),
        "growth": lambda: growths(chosen.growth),
    }
    for part, measure in parts.items():
        if part == "growth" and not chosen.growth:
            continue
        figures[part] = measure()
        for name, value in figures[part].items():
            print(f"  {part}.{name:<30} {value if not isinstance(value, float) else round(value, 3)}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
