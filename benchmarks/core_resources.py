"""Buffers and connections beside raw primitives, in one run: ``python benchmarks/core_resources.py``.

Prints ratios, for a machine's mood is in every figure and in both sides of a ratio. Rounds of ours and theirs take
turns, and medians over them are compared. ``--json PATH`` writes the figures too; ``--rounds N`` for longer runs.

    lease.*        one lease and its release, in processor time of the thread over an empty loop, with a limit and the
                   look-out for leaks (goal: 2 us at the median; 3 times faster than ``bytearray(1 MB)``, at most 6
                   times slower than ``bytearray(4 KB)``). A bytearray is zeros; a slot is zeroed for a new owner only.
    first touch    of 1 MB: a slot that nobody used yet, and one that cooled down
    creation       resident memory that the default tiers take before they are used (goal: none)
    threads        eight at once, each lease by itself: wall time, median and 99th percentile
    connections    acquire and release beside the raw ``queue.Queue`` of a pool one would write first
    tokens         a shared lease handed over, opened by its token and given back, in one process
    fragmentation  external shares in steady, burst, sawtooth and adversarial patterns (goal: 0, but where refused)
    decay          resident memory of 64 MB touched, before and after they have not been used for the time
    cleanup        all 875 buffers touched, lent and taken back with their view
"""

from __future__ import annotations

import argparse
import json
import platform
import queue
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from turns import interleaved

from coresys.errors.hierarchy import PoolExhaustedError
from coresys.resources import BufferPools, ConnectionPool, ResourceManager, Tier

TURNS = 3_000
KIB, MIB = 1 << 10, 1 << 20
PAGE = 4096


def calls(function: Callable[..., object], *given: object) -> float:
    """Seconds of this thread for TURNS calls."""
    started = time.thread_time()
    for _ in range(TURNS):
        function(*given)
    return time.thread_time() - started


def empty() -> float:
    return calls(int)


def leases(lend: Callable[..., Any], size: int, owner: str = "a") -> float:
    started = time.thread_time()
    for _ in range(TURNS):
        lend(size, owner=owner).release()
    return time.thread_time() - started


def blocks(lend: Callable[..., Any], size: int) -> float:
    """As it is used: by ``with``."""
    started = time.thread_time()
    for _ in range(TURNS):
        with lend(size, owner="a"):
            pass
    return time.thread_time() - started


def turns_of_owners(lend: Callable[..., Any], size: int) -> float:
    """Each of them is another owner's: what was written has to be zeroed."""
    started = time.thread_time()
    for turn in range(TURNS // 10):
        with lend(size, owner="ab"[turn % 2]) as view:
            view[:4] = b"data"
    return (time.thread_time() - started) * 10


def lending(rounds: int) -> dict[str, float]:
    """Nanoseconds."""
    pools, resources = BufferPools(), ResourceManager()
    pools.limit("a", lease=4 * MIB)
    resources.limit("a", lease=4 * MIB)
    view = resources.view("orders", lease=8 * MIB)
    sides: dict[str, Callable[[], float]] = {"empty": empty}
    for name, size in (("4 KB", 4 * KIB), ("64 KB", 64 * KIB), ("1 MB", MIB)):
        sides[f"bytearray({name})"] = lambda size=size: calls(bytearray, size)  # type: ignore[misc]
        sides[f"BufferPools.lease({name})"] = lambda size=size: leases(pools.lease, size)  # type: ignore[misc]
    sides["BufferPools.lease(4 KB), no limit"] = lambda: leases(pools.lease, 4 * KIB, "free")
    sides["BufferPools.lease(4 KB), with"] = lambda: blocks(pools.lease, 4 * KIB)
    sides["BufferPools.lease(1 MB), another owner"] = lambda: turns_of_owners(pools.lease, MIB)
    sides["ResourceManager.lease(4 KB)"] = lambda: leases(resources.lease, 4 * KIB)
    sides["ResourceView.lease(4 KB)"] = lambda: leases(view.lease, 4 * KIB)
    found = interleaved(rounds, sides)
    base = found.pop("empty")
    return {name: (value - base) / TURNS * 1e9 for name, value in found.items()}


def touches() -> dict[str, float]:
    """Microseconds: writing all of 1 MB."""
    data = b"x" * MIB

    def written(pools: BufferPools) -> float:
        with pools.lease(MIB, owner="a") as view:
            started = time.thread_time()
            view[:] = data
            return (time.thread_time() - started) * 1e6

    pools = BufferPools((Tier("large", MIB, 64),), decay=None)
    fresh, held = [], []
    for _ in range(64):
        held.append(pools.lease(MIB, owner="a"))
        started = time.thread_time()
        held[-1].view[:] = data
        fresh.append((time.thread_time() - started) * 1e6)
    for lease in held:
        lease.release()
    warm = [written(pools) for _ in range(64)]
    cold = []
    for _ in range(64):
        pools.cool()
        cold.append(written(pools))
    return {name: statistics.median(each) for name, each in (("fresh", fresh), ("warm", warm), ("cooled", cold))}


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def creation() -> dict[str, float]:
    before = resident()
    pools = BufferPools()
    after = resident()
    count = {tier.name: 0 for tier in pools.tiers}
    held = []
    for tier in pools.tiers:
        for _ in range(tier.slots):
            held.append(pools.lease(tier.slot, owner="a", timeout=0))
            count[tier.name] += 1
    lent = resident()
    for lease in held:
        lease.release()
    pools.close()
    figures: dict[str, float] = {"resident, KiB": (after - before) / KIB, "all 875 lent, KiB": (lent - after) / KIB}
    return {**figures, **count}


def at_once(count: int) -> dict[str, float]:
    """Microseconds of wall time that a lease and its release take, among eight threads, with a primitive beside."""
    pools, lock = BufferPools(), threading.Lock()
    seen: dict[str, list[float]] = {"lease": [], "raw lock and list": []}
    spare: list[bytearray] = [bytearray(64 * KIB) for _ in range(8)]

    def raw() -> None:
        with lock:
            one = spare.pop()
        with lock:
            spare.append(one)

    def work(name: str, what: str, ready: threading.Barrier) -> None:
        mine = []
        ready.wait()
        for _ in range(count):
            started = time.perf_counter()
            if what == "lease":
                pools.lease(64 * KIB, owner=name).release()
            else:
                raw()
            mine.append((time.perf_counter() - started) * 1e6)
        seen[what].extend(mine)

    for what in seen:
        ready = threading.Barrier(8)
        threads = [threading.Thread(target=work, args=(str(number), what, ready)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = {}
    for what, each in seen.items():
        ordered = sorted(each)
        found[f"{what}, median"], found[f"{what}, p99"] = statistics.median(ordered), ordered[len(ordered) * 99 // 100]
    return found


def connections(rounds: int) -> dict[str, float]:
    """Nanoseconds."""
    raw: queue.Queue[object] = queue.Queue()
    simple: queue.SimpleQueue[object] = queue.SimpleQueue()
    raw.put(object())
    simple.put(object())
    pool: ConnectionPool[object] = ConnectionPool("bench", object, close=id)
    checked: ConnectionPool[object] = ConnectionPool("bench", object, close=id, healthy=bool, per_owner=2)

    def acquired(given: ConnectionPool[object]) -> float:
        started = time.thread_time()
        for _ in range(TURNS):
            given.acquire(owner="a").release()
        return time.thread_time() - started

    found = interleaved(
        rounds,
        {
            "empty": empty,
            "queue.Queue get and put": lambda: calls(lambda: raw.put(raw.get(timeout=5))),
            "queue.SimpleQueue get and put": lambda: calls(lambda: simple.put(simple.get(timeout=5))),
            "ConnectionPool.acquire and release": lambda: acquired(pool),
            "the same, checked, with a limit": lambda: acquired(checked),
        },
    )
    base = found.pop("empty")
    return {name: (value - base) / TURNS * 1e9 for name, value in found.items()}


def tokens() -> dict[str, float]:
    """Microseconds."""
    pools = BufferPools((Tier("shared", 64 * KIB, 4, shared=True),))
    seen = []
    for _ in range(300):
        started = time.thread_time()
        with pools.lease(1000, owner="a").hand_over().open():
            pass
        pools.statistics()
        seen.append((time.thread_time() - started) * 1e6)
    pools.close()
    return {"handed over, opened, given back": statistics.median(seen)}


def patterns() -> dict[str, float]:
    """The largest external share while nothing was refused, in percent; else that, and how many requests were."""
    found: dict[str, float] = {}
    for name in ("steady", "burst", "sawtooth", "adversarial"):
        pools, chosen = BufferPools(exhausted="error"), random.Random(name)
        held: list[Any] = []
        worst, when_refused, refused = 0.0, 0.0, 0
        for step in range(3_000):
            burst = 80 if step % 100 < 20 else 5
            room = {"steady": 40, "burst": burst, "sawtooth": step % 120, "adversarial": 300}[name]
            size = chosen.choice((100, 4 * KIB, 5 * KIB, 64 * KIB, 65 * KIB, MIB))
            if name == "adversarial":
                size = 65 * KIB if step % 2 else 4 * KIB + 1  # as little as there can be of a slot
            while len(held) >= room and held:
                held.pop(chosen.randrange(len(held))).release()
            try:
                held.append(pools.lease(size, owner=str(step % 7)))
            except PoolExhaustedError:
                refused += 1
                when_refused = max(when_refused, max(tier.external for tier in pools.statistics()))
                held.pop(chosen.randrange(len(held))).release()
            else:
                worst = max(worst, 0.0 if refused else max(tier.external for tier in pools.statistics()))
        found[f"{name}, external %"] = worst * 100
        if refused:
            found[f"{name}, refused"], found[f"{name}, external % when refused"] = refused, when_refused * 100
        for lease in held:
            lease.release()
        pools.close()
    return found


def decay() -> dict[str, float]:
    """MiB."""
    now = [0.0]
    pools = BufferPools((Tier("large", MIB, 64),), now=lambda: now[0], decay=60.0)
    before = resident()
    held = [pools.lease(MIB, owner="a") for _ in range(64)]
    for lease in held:
        lease.view[:] = b"x" * MIB
        lease.release()
    touched, idle = resident(), pools.statistics()[0].idle
    given, started = 0, time.thread_time()
    for _ in range(2):
        now[0] += 60
        given += pools.decay()
    took = time.thread_time() - started
    after, idle_after = resident(), pools.statistics()[0].idle
    return {
        "touched": (touched - before) / MIB,
        "after": (after - before) / MIB,
        "given back": given / MIB,
        "idle share before": idle,
        "after it": idle_after,
        "ms for all of it": took * 1e3,
    }


def cleanup() -> dict[str, float]:
    """Milliseconds."""
    found: dict[str, list[float]] = {"view.close": [], "pools.close": []}
    for _ in range(5):
        resources = ResourceManager()
        view = resources.view("all")
        for tier in resources.pools.tiers:
            for number in range(tier.slots):
                view.lease(tier.slot, owner=str(number % 10)).view[::PAGE] = b"x" * (tier.slot // PAGE)
        resources.pools.take_back_orphans()
        held = [view.lease(tier.slot, owner="a") for tier in resources.pools.tiers for _ in range(tier.slots)]
        for lease in held:
            lease.view[::PAGE] = b"x" * (len(lease) // PAGE)
        for name, close in (("view.close", view.close), ("pools.close", resources.pools.close)):
            started = time.perf_counter()
            close()
            found[name].append((time.perf_counter() - started) * 1e3)
    return {name: statistics.median(each) for name, each in found.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--json", type=Path)
    options.add_argument("--rounds", type=int, default=21)
    chosen = options.parse_args()
    figures: dict[str, Any] = {"python": platform.python_version()}
    print(f"Python {figures['python']}")
    lent = figures["lease, ns"] = lending(chosen.rounds)
    for name, value in lent.items():
        size = name.partition("(")[2].partition(")")[0]
        print(f"  lease.{name:<42} {value:9.0f} ns {value / lent[f'bytearray({size})']:8.2f} of bytearray({size})")
    asked = figures["connections, ns"] = connections(chosen.rounds)
    for name, value in asked.items():
        ratio = value / asked["queue.Queue get and put"]
        print(f"  connections.{name:<36} {value:9.0f} ns {ratio:8.2f} of queue.Queue")
    parts: dict[str, Callable[[], dict[str, float]]] = {
        "first touch, us": touches,
        "creation": creation,
        "threads, us": lambda: at_once(100 * chosen.rounds),
        "tokens, us": tokens,
        "fragmentation": patterns,
        "decay, MiB": decay,
        "cleanup, ms": cleanup,
    }
    for part, measure in parts.items():
        figures[part] = measure()
        for name, value in figures[part].items():
            print(f"  {part + '.' + name:<50} {round(value, 3):>9}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
