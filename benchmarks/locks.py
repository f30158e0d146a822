"""What watched locks cost, beside raw ones and ddtrace's lock profiler, in one run: ``python benchmarks/locks.py``.

Four processes take turns, measure by measure: one whose watched locks have their methods in C, one in Python, and two
of ddtrace's, as it is set by default (1 % of acquisitions) and with 100 %. Each measures raw locks too, just before its
own, and is compared with those. The least of all rounds is taken, for others can only make a figure larger.

    with, acquire ...   uncontended, processor time of the thread
    called              a function that does nothing but take a lock: each call has a frame of its own
    tried               acquire(False) and release()
    created             one lock, made and let go (goal: under 1 us)
    memory              of one of 100,000 locks that were all taken once (goal: under 60 MB for all)
    pool                100 tasks on a ThreadPoolExecutor(4) made for them, which do nothing, or add 1,000 numbers
                        (goal: 1.3 times bare)
    queue               put() and get() of a Queue, by one thread
    ping-pong           two threads that hand a turn to and fro by a Condition, one way

Goals of order tracking, times raw: ``with`` at most 2.5. There is no mode that watches contention without the order.

``--json PATH`` writes the figures, ``--rounds N`` sets how many; ``--ddtrace PYTHON`` is an interpreter that has
ddtrace (``pip install ddtrace``), else a virtual environment is made for it; ``--no-ddtrace`` leaves it out. Exit
status 1 where a goal is missed by the methods in C, or by those in Python other than that of ``with``, which they are
known to miss.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import queue
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import venv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TURNS = 10_000
LOCKS = 100_000
SIDES = {
    "C": "watched, methods in C",
    "Python": "watched, methods in Python",
    "ddtrace": "ddtrace, 1 %",
    "ddtrace all": "ddtrace, 100 %",
}
PING_PONG = 300

_raw_lock, _raw_rlock = threading.Lock, threading.RLock


# ------------------------------------------------------------------------------------ what is measured, per operation


def _per(turns: int, started: float, clock: Callable[[], float] = time.thread_time) -> float:
    return (clock() - started) / turns


def with_block(make: Callable[[], Any]) -> float:
    lock = make()
    started = time.thread_time()
    for _ in range(TURNS):
        with lock:
            pass
    return _per(TURNS, started) - _empty()


def _empty() -> float:
    started = time.thread_time()
    for _ in range(TURNS):
        pass
    return _per(TURNS, started)


def acquire_release(make: Callable[[], Any]) -> float:
    lock = make()
    started = time.thread_time()
    for _ in range(TURNS):
        lock.acquire()
        lock.release()
    return _per(TURNS, started) - _empty()


def nested(make: Callable[[], Any]) -> float:
    outer, inner = make(), make()
    started = time.thread_time()
    for _ in range(TURNS):
        with outer, inner:
            pass
    return _per(TURNS, started) - _empty()


def called(make: Callable[[], Any]) -> float:
    lock = make()

    def take() -> None:
        with lock:
            pass

    started = time.thread_time()
    for _ in range(TURNS):
        take()
    return _per(TURNS, started) - _empty()


def tried(make: Callable[[], Any]) -> float:
    lock = make()
    started = time.thread_time()
    for _ in range(TURNS):
        lock.acquire(False)
        lock.release()
    return _per(TURNS, started) - _empty()


def created(make: Callable[[], Any]) -> float:
    started = time.thread_time()
    for _ in range(TURNS):
        make()
    return _per(TURNS, started) - _empty()


def memory(make: Callable[[], Any]) -> float:
    """Bytes of one lock, with the place in a list and what is kept of its having been taken."""
    with make():
        pass
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [make() for _ in range(LOCKS)]
        for lock in kept:
            with lock:
                pass
        return (tracemalloc.get_traced_memory()[0] - before) / LOCKS
    finally:
        tracemalloc.stop()


def pool_of_nothing(_: Callable[[], Any]) -> float:
    return pool(lambda: None)


def pool_of_something(_: Callable[[], Any]) -> float:
    return pool(lambda: sum(number for number in range(1_000)))


def pool(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(4) as executor:
        for future in [executor.submit(task) for _ in range(100)]:
            future.result()
    return _per(100, started, time.perf_counter)


def put_get(_: Callable[[], Any]) -> float:
    channel: queue.Queue[int] = queue.Queue()
    turns = TURNS // 10
    started = time.thread_time()
    for number in range(turns):
        channel.put(number)
        channel.get()
    return _per(turns, started)


def ping_pong(_: Callable[[], Any]) -> float:
    condition, turn = threading.Condition(), [0]

    def play(mine: int) -> None:
        for _ in range(PING_PONG):
            with condition:
                while turn[0] != mine:
                    condition.wait()
                turn[0] = 1 - mine
                condition.notify()

    players = [threading.Thread(target=play, args=(each,)) for each in (0, 1)]
    started = time.perf_counter()
    for player in players:
        player.start()
    for player in players:
        player.join()
    return _per(2 * PING_PONG, started, time.perf_counter)


# Name: what measures it, which raw lock (None: the library makes its own), and the unit in which it is printed.
MEASURES: dict[str, tuple[Callable[[Callable[[], Any]], float], str | None, str]] = {
    "with Lock": (with_block, "Lock", "ns"),
    "with RLock": (with_block, "RLock", "ns"),
    "acquire Lock": (acquire_release, "Lock", "ns"),
    "acquire RLock": (acquire_release, "RLock", "ns"),
    "two nested Locks": (nested, "Lock", "ns"),
    "two nested RLocks": (nested, "RLock", "ns"),
    "called with Lock": (called, "Lock", "ns"),
    "tried Lock": (tried, "Lock", "ns"),
    "created Lock": (created, "Lock", "ns"),
    "created RLock": (created, "RLock", "ns"),
    "memory Lock": (memory, "Lock", "bytes"),
    "memory RLock": (memory, "RLock", "bytes"),
    "pool, no work": (pool_of_nothing, None, "ns"),
    "pool, some work": (pool_of_something, None, "ns"),
    "queue put, get": (put_get, None, "ns"),
    "ping-pong, one way": (ping_pong, None, "ns"),
}
SCALE = {"ns": 1e9, "bytes": 1.0}
ONCE = {"memory Lock", "memory RLock"}  # exact

# (measure, side): at most; times raw, or seconds or bytes where it is said.
GOALS: dict[str, tuple[float, str]] = {
    "with Lock": (2.5, "times raw"),
    "with RLock": (2.5, "times raw"),
    "created Lock": (1e-6, "seconds"),
    "created RLock": (1e-6, "seconds"),
    "memory Lock": (600.0, "bytes"),
    "memory RLock": (600.0, "bytes"),
    "pool, no work": (1.3, "times raw"),
    "pool, some work": (1.3, "times raw"),
}
MISSED_IN_PYTHON = {"with Lock", "with RLock"}  # known, which is why there is C


# ---------------------------------------------------------------------------------------------- a process of one side


@contextmanager
def watched(side: str) -> Iterator[None]:
    """Within the block ``threading.Lock`` and ``RLock`` are those of this side."""
    if side.startswith("ddtrace"):
        from ddtrace.profiling.collector import threading as theirs

        collectors = [theirs.ThreadingLockCollector(), theirs.ThreadingRLockCollector()]
        for collector in collectors:
            collector.start()
        try:
            yield
        finally:
            for collector in collectors:
                collector.stop()
        return
    from coresys.threads.watching.chains import renew
    from coresys.threads.watching.install import install, uninstall

    renew()  # as at the start of each test
    install()
    try:
        yield
    finally:
        uninstall()


def serve(side: str) -> None:
    """Measure what is asked for on standard input, answer on standard output: raw, and this side's, in seconds."""
    if side.startswith("ddtrace"):
        import ddtrace
        from ddtrace.internal.datadog.profiling import ddup

        ddup.config(env="bench", service="bench", version="1", tags={})
        ddup.start()
        what = f"ddtrace {ddtrace.__version__}"
    else:
        sys.path.insert(0, str(ROOT))
        from coresys.threads.watching import speed

        import_module("coresys.threads.watching.locks")  # which offers its classes to ``speed``
        what = "C" if speed.in_use() else "Python"
    print(json.dumps(what), flush=True)
    for line in sys.stdin:
        measure, raw, _ = MEASURES[line.strip()]
        bare = measure(_raw_rlock if raw == "RLock" else _raw_lock)
        with watched(side):
            own = measure(threading.RLock if raw == "RLock" else threading.Lock)
        print(json.dumps([bare, own]), flush=True)


class Side:
    """A process that measures raw locks and its own."""

    def __init__(self, side: str, python: str) -> None:
        environment = dict(os.environ, CORESYS_PURE_LOCKS="1" if side == "Python" else "0")
        if side == "ddtrace all":
            environment["DD_PROFILING_CAPTURE_PCT"] = "100"
        self.bare = 0.0
        self._process = subprocess.Popen(
            [python, __file__, "--side", side],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.what = str(self._answer())

    def measure(self, name: str) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        self.bare, own = self._answer()
        return float(own)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"it ended with status {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self._process.communicate()


# ------------------------------------------------------------------------------------------------------- all together


def python_with_ddtrace(chosen: str | None, folder: str) -> str:
    """An interpreter that has ddtrace; RuntimeError with the reason where there is none."""
    for python in [chosen] if chosen else [sys.executable]:
        if subprocess.run([python, "-c", "import ddtrace"], capture_output=True, check=False).returncode == 0:
            return python
    if chosen:
        raise RuntimeError(f"{chosen} has no ddtrace")
    venv.create(folder, with_pip=True)
    python = str(Path(folder, "Scripts" if os.name == "nt" else "bin", "python"))
    ran = subprocess.run(
        [python, "-m", "pip", "install", "-q", "ddtrace>=4"], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise RuntimeError("pip could not install it: " + ran.stderr.strip().splitlines()[-1])
    return python


def opened(side: str, python: str) -> Side:
    found = Side(side, python)
    if side == "C" and found.what != "C":
        found.close()
        raise RuntimeError("there is no extension (coresys doctor tells why)")
    return found


def measured(rounds: int, sides: dict[str, Side]) -> dict[str, dict[str, dict[str, float]]]:
    """By measure and side: raw, own, and own over raw."""
    from turns import interleaved

    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in MEASURES:
        bare: dict[str, list[float]] = {side: [] for side in sides}

        def once(side: str, name: str = name, bare: dict[str, list[float]] = bare) -> float:
            own = sides[side].measure(name)
            bare[side].append(sides[side].bare)
            return own

        contenders = {side: (lambda side=side: once(side)) for side in sides}
        own = interleaved(1 if name in ONCE else rounds, contenders, of=min)
        found[name] = {
            side: {"raw": min(bare[side]), "own": own[side], "ratio": own[side] / min(bare[side])} for side in sides
        }
    return found


def missed(figures: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    told = []
    for name, (limit, unit) in GOALS.items():
        for side in ("C", "Python"):
            seen = figures[name].get(side)
            if seen is None or (side == "Python" and name in MISSED_IN_PYTHON):
                continue
            value = seen["ratio" if unit == "times raw" else "own"]
            if value > limit:
                told.append(f"{name}, {SIDES[side]}: {value:.3g} {unit}, the goal is {limit:.3g}")
    return told


def show(figures: dict[str, dict[str, dict[str, float]]], sides: dict[str, Side]) -> None:
    print(f"{'':<20}{'raw':>12}" + "".join(f"{SIDES[side]:>28}" for side in sides))
    for name, (_, _, unit) in MEASURES.items():
        line = f"{name:<20}{min(each['raw'] for each in figures[name].values()) * SCALE[unit]:>7.0f} {unit:<4}"
        for side in sides:
            seen = figures[name][side]
            line += f"{seen['own'] * SCALE[unit]:>15.0f} {unit:<5} {seen['ratio']:>5.2f}x"
        print(line)


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--json", type=Path)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--ddtrace", metavar="PYTHON", help="an interpreter that has ddtrace")
    options.add_argument("--no-ddtrace", action="store_true")
    options.add_argument("--side", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.side:
        serve(chosen.side)
        return 0
    sides: dict[str, Side] = {}
    reasons: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for side in SIDES:
            try:
                if not side.startswith("ddtrace"):
                    sides[side] = opened(side, sys.executable)
                elif chosen.no_ddtrace:
                    reasons[side] = "left out (--no-ddtrace)"
                else:
                    chosen.ddtrace = chosen.ddtrace or python_with_ddtrace(None, folder)
                    sides[side] = opened(side, python_with_ddtrace(chosen.ddtrace, folder))
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                reasons[side] = str(error)
        figures = measured(chosen.rounds, sides)
        for each in sides.values():
            each.close()
    versions = {side: each.what for side, each in sides.items()}
    print(
        f"CPython {platform.python_version()}, least of {chosen.rounds} rounds; {versions.get('ddtrace', 'no ddtrace')}"
    )
    show(figures, sides)
    for side, reason in reasons.items():
        print(f"{SIDES[side]}: not measured: {reason}")
    told = missed(figures)
    for line in told:
        print(f"missed: {line}")
    if chosen.json is not None:
        record = {
            "python": platform.python_version(),
            "rounds": chosen.rounds,
            "sides": versions,
            "not measured": reasons,
            "figures": figures,
            "missed": told,
        }
        chosen.json.write_text(json.dumps(record, indent=2), encoding="utf-8")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
