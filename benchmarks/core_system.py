"""The end of a whole system, in one run: ``python benchmarks/core_system.py``.

``--json PATH`` writes the figures too; ``--rounds N`` for longer runs. Rounds of all take turns; medians and worst.

    shutdown.*     of a system with every buffer of every tier touched, 20 threads started, a store open with 200
                   machines, five components and a sampler (goal: 250 ms): with nothing left to do; with all buffers
                   lent still and 20 tasks that wait to be told; and the same things closed by hand, in order
    hung.*         what a step that hangs costs beyond its deadline (goal: 10 ms), of a cleanup by itself and of a
                   component's stop in a system
"""

from __future__ import annotations

import argparse
import json
import mmap
import platform
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from coresys import build_system
from coresys.cleanup.manager import CleanupManager
from coresys.coordinators.assembly import System
from coresys.resources.tiers import DEFAULT_TIERS
from coresys.state import State, TransitionTable, on
from coresys.system_records import CleanupStep, ComponentSpec

THREADS, MACHINES = 20, 200
HUNG = 0.1  # seconds, the deadline of what hangs
ORDER = TransitionTable(
    "order", states=[State("new", initial=True), State("done")], transitions=[on("go", "new", "done")]
)


def start_threads(submit: Callable[..., Any], *reserved: Callable[..., Any]) -> None:
    """Have each of the threads do something at the same time, so that all of them are started."""
    together = threading.Barrier(THREADS + 1)
    for _ in range(THREADS - len(reserved)):
        submit(together.wait)
    for each in reserved:
        each(together.wait)
    together.wait()


def touched(folder: Path) -> System:
    """A system in which everything was used."""
    system = build_system("bench", store=folder / "states.db", workers=THREADS, sampling=10.0)
    system.__enter__()
    for number in range(5):
        needs = (f"part {number - 1}",) if number else ()
        system.coordinators.component.register(
            ComponentSpec(f"part {number}", needs=needs), start=lambda: None, stop=lambda: None
        )
    system.start()
    for number in range(MACHINES):
        system.state.add(f"order {number}", ORDER)
        system.state.fire(f"order {number}", "go")
    start_threads(system.threads.submit, lambda task: system.threads.submit_with(task, priority="system"))
    assert system.threads.statistics().workers == THREADS
    return system


def lend_all(system: System) -> list[Any]:
    """Every buffer, each page of it written to."""
    leases = []
    for tier in DEFAULT_TIERS:
        for _ in range(tier.slots):
            lease = system.resources.lease(tier.slot, owner="bench")
            lease.view[:: mmap.PAGESIZE] = bytes(len(range(0, tier.slot, mmap.PAGESIZE)))
            leases.append(lease)
    return leases


def shut_down(folder: Path) -> float:
    """Milliseconds, where everything was given back."""
    system = touched(folder)
    for lease in lend_all(system):
        lease.release()
    started = time.perf_counter()
    report = system.shutdown()
    took = time.perf_counter() - started
    assert report.complete, report
    return took * 1e3


def shut_down_in_use(folder: Path) -> float:
    """Where all is lent still, and every thread has a task that ends when it is told to, by a component's stop."""
    system = touched(folder)
    leases = lend_all(system)
    stopping = threading.Event()
    system.components.register(ComponentSpec("last"), start=lambda: None, stop=stopping.set)
    system.start()
    for _ in range(THREADS):
        system.threads.submit(stopping.wait)
    started = time.perf_counter()
    report = system.shutdown()
    took = time.perf_counter() - started
    assert len(report.left) > 0, report
    assert not report.hung, report
    assert len(leases) == sum(tier.slots for tier in DEFAULT_TIERS)
    return took * 1e3


def by_hand(folder: Path) -> float:
    """The same things, of the standard library, closed one after the other."""
    store = sqlite3.connect(folder / "hand.db", isolation_level=None)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("CREATE TABLE machine (name TEXT PRIMARY KEY, state TEXT)")
    for number in range(2 * MACHINES):
        store.execute("INSERT OR REPLACE INTO machine VALUES (?, 'new')", (f"order {number}",))
    pool = ThreadPoolExecutor(THREADS)
    start_threads(pool.submit)
    buffers = []
    for tier in DEFAULT_TIERS:
        buffer = mmap.mmap(-1, tier.slot * tier.slots, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for at in range(0, len(buffer), mmap.PAGESIZE):
            buffer[at] = 0
        buffers.append(buffer)
    started = time.perf_counter()
    pool.shutdown()
    store.close()
    for buffer in buffers:
        buffer.close()
    return (time.perf_counter() - started) * 1e3


def hung_step(folder: Path) -> float:
    """Milliseconds that a cleanup took beyond the deadline of a step that hangs; two others are beside it."""
    cleanup, end = CleanupManager(), threading.Event()
    cleanup.add(CleanupStep("before"), lambda: None)
    cleanup.add(CleanupStep("hangs", after=("before",), deadline=HUNG), end.wait)
    cleanup.add(CleanupStep("after", after=("hangs",)), lambda: None)
    started = time.perf_counter()
    report = cleanup.run()
    took = time.perf_counter() - started
    end.set()
    assert (report.done, report.hung) == (("before", "after"), ("hangs",)), report
    return (took - HUNG) * 1e3


def hung_in_a_system(folder: Path) -> float:
    """The same of a whole shutdown, of the touched system: what it takes beyond that deadline, its own work too."""
    system, end = touched(folder), threading.Event()
    system.cleanup.add(CleanupStep("hangs", phase="drain", deadline=HUNG), end.wait)
    started = time.perf_counter()
    report = system.shutdown()
    took = time.perf_counter() - started
    end.set()
    assert report.hung == ("hangs",), report
    return (took - HUNG) * 1e3


ROWS: dict[str, Callable[[Path], float]] = {
    "shutdown.nothing left": shut_down,
    "shutdown.all in use": shut_down_in_use,
    "shutdown.by hand": by_hand,
    "hung.step, beyond its deadline": hung_step,
    "hung.in a system, beyond its deadline": hung_in_a_system,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--json", type=Path)
    options.add_argument("--rounds", type=int, default=21)
    chosen = options.parse_args()
    seen: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(chosen.rounds):
        for name, measure in ROWS.items():
            with tempfile.TemporaryDirectory() as folder:
                seen[name].append(measure(Path(folder)))
    figures: dict[str, Any] = {"python": platform.python_version(), "rounds": chosen.rounds}
    print(f"Python {figures['python']}, {chosen.rounds} rounds; milliseconds: median, worst")
    for name, values in seen.items():
        figures[name] = {"median, ms": statistics.median(values), "worst, ms": max(values)}
        print(f"  {name:<40} {statistics.median(values):8.1f} {max(values):8.1f}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
