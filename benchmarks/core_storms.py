"""The long runs of the thread systems: ``python benchmarks/core_storms.py --seconds 600``.

No figure here is a ratio: each counts what must not happen, and the exit status is 1 where anything did.

    locks       8 threads take one to four ranked locks at random, some in the wrong order, for so many seconds: two at
                once in one lock, a wrong order let through, a right one refused, a thread that stands still
    circles     rings of two to four threads on locks without a rank: how long until DeadlockError names all of them
    channels    100,000 tasks in 100 channels: two at once in a channel, or out of order
    levels      a load of ordinary tasks that never ends, for a tenth of the seconds (60 at least with the default):
                how long a system task and a monitoring task wait for their turn, at worst
    workers     10,000 tasks that wait for one another in pairs: never more than 20 threads, and all of them end
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from coresys.errors.hierarchy import DeadlockError, LockOrderError, LockTimeoutError
from coresys.threads import LockHierarchy, OrderedLock, ThreadPool, acquire_all

RANKS = ["service", "registry", "channel", "session", "journal", "statistics"]
EACH = 4  # locks of a rank
THREADS = 8
STILL = 10.0  # seconds without a single lock taken, after which a thread is taken to hang

Facts = dict[str, Any]


class Inside:
    """Who is in each lock, by plain attributes: two at once are seen as one that finds the other's mark."""

    def __init__(self, lock: OrderedLock) -> None:
        self.lock, self.by, self.twice = lock, 0, 0

    def enter(self) -> None:
        self.twice += self.by != 0
        self.by = threading.get_ident()

    def leave(self) -> None:
        self.twice += self.by != threading.get_ident()
        self.by = 0


def locks(seconds: float) -> Facts:
    """Random nests of ranked locks until the time is over, watched for threads that stand still."""
    hierarchy = LockHierarchy("storm", RANKS)
    marks = [[Inside(OrderedLock(hierarchy[rank], name=f"{rank}-{n}")) for n in range(EACH)] for rank in RANKS]
    until = time.monotonic() + seconds
    taken, refused, late = [0] * THREADS, [0] * THREADS, [0] * THREADS
    wrong: list[str] = []

    def nest(chosen: list[Inside], number: int) -> None:
        if not chosen:
            return
        first, *rest = chosen
        with first.lock.within(5):
            taken[number] += 1
            first.enter()
            try:
                nest(rest, number)
            finally:
                first.leave()

    def work(number: int) -> None:
        dice = random.Random(number)
        while time.monotonic() < until and not wrong:
            at = sorted(dice.sample(range(len(RANKS)), dice.randint(1, 4)))
            chosen = [dice.choice(marks[rank]) for rank in at]
            what = dice.random()
            try:
                if what < 0.05 and len(chosen) > 1:  # the wrong way round
                    try:
                        nest(chosen[::-1], number)
                    except LockOrderError:
                        refused[number] += 1
                    else:
                        wrong.append(f"{[each.lock.name for each in chosen[::-1]]} was let through")
                elif what < 0.15:  # several of one rank
                    several = dice.sample(marks[at[0]], dice.randint(2, EACH))
                    with acquire_all(*(each.lock for each in several), timeout=5):
                        taken[number] += len(several)
                        for each in several:
                            each.enter()
                        for each in several:
                            each.leave()
                else:
                    nest(chosen, number)
            except LockTimeoutError:
                late[number] += 1
            except Exception as error:
                wrong.append(f"{[each.lock.name for each in chosen]}: {error!r}")

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    still = 0
    seen, since = list(taken), [time.monotonic()] * THREADS
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.25)
        now = time.monotonic()
        for number, count in enumerate(taken):
            if count != seen[number] or not threads[number].is_alive():
                seen[number], since[number] = count, now
        if max(now - each for each in since) > STILL:
            still = sum(now - each > STILL for each in since)
            break
    figures = [each.lock.statistics() for row in marks for each in row]
    return {
        "taken": sum(taken),
        "contended": sum(each.contended for each in figures),
        "longest wait, ms": round(1e3 * max(each.longest_wait for each in figures), 1),
        "wrong orders refused": sum(refused),
        "timeouts of 5 s": sum(late),
        "two at once": sum(each.twice for row in marks for each in row),
        "wrongly let through or refused": wrong[:3] or 0,
        "threads that stood still": still,
        "wrong": bool(wrong or still or sum(each.twice for row in marks for each in row)),
    }


def circles(times: int) -> Facts:
    """Threads that wait for one another in a ring, each time named by one of them, and how soon."""
    seconds: list[float] = []
    wrong = 0
    for turn in range(times):
        size = 2 + turn % 3
        ring = [OrderedLock(name=f"ring-{number}") for number in range(size)]
        barrier = threading.Barrier(size)
        found: list[DeadlockError] = []
        began = [0.0]

        def work(number: int, ring: list[OrderedLock], barrier: threading.Barrier, began: list[float]) -> None:
            with ring[number]:
                if barrier.wait(10) == 0:
                    began[0] = time.monotonic()
                try:
                    with ring[(number + 1) % len(ring)]:
                        pass
                except DeadlockError as error:
                    seconds.append(time.monotonic() - began[0])
                    found.append(error)  # noqa: B023  read before the next turn

        threads = [threading.Thread(target=work, args=(n, ring, barrier, began), daemon=True) for n in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        wrong += len(found) != 1 or len(found[0].cycle) != size or any(thread.is_alive() for thread in threads)
    return {
        "rings": times,
        "named after, ms, median": round(1e3 * statistics.median(seconds), 1) if seconds else None,
        "at worst": round(1e3 * max(seconds), 1) if seconds else None,
        "not named once and whole": wrong,
        "wrong": bool(wrong),
    }


def channels(tasks: int) -> Facts:
    """Tasks of 100 channels, of random lengths: their order, and that they never overlap."""
    pool = ThreadPool()
    dice = random.Random(tasks)
    running, last = [0] * 100, [-1] * 100
    overlaps, disorder = [0] * 100, [0] * 100

    def work(key: int, number: int, length: float) -> None:
        running[key] += 1
        overlaps[key] += running[key] != 1
        disorder[key] += number <= last[key]
        last[key] = number
        if length > 0.98:
            time.sleep(0.0005)
        running[key] -= 1

    began = time.monotonic()
    for number in range(tasks):
        key = dice.randrange(100)
        task = partial(work, key, number, dice.random())
        pool.submit_with(task, channel=f"c{key}", priority=dice.choice(("processing", "monitoring")))
    pool.shutdown()
    return {
        "tasks": tasks,
        "a second": round(tasks / (time.monotonic() - began)),
        "two at once": sum(overlaps),
        "out of order": sum(disorder),
        "wrong": bool(sum(overlaps) or sum(disorder)),
    }


def levels(seconds: float) -> Facts:
    """Ordinary tasks without end; a system and a monitoring task now and then."""
    pool = ThreadPool(8)
    until = time.monotonic() + seconds
    waited: dict[str, list[float]] = {"system": [], "monitoring": []}
    asked_for, starved = 0, [0]
    slots = threading.Semaphore(400)

    def ordinary() -> None:
        time.sleep(0.001)
        slots.release()

    def note(times: list[float], asked: float) -> None:
        now = time.monotonic()
        times.append(now - asked)
        starved[0] += now > until and asked < until - 1  # they waited for it to end: so would they have for ever

    def feed() -> None:
        while time.monotonic() < until:
            slots.acquire()
            pool.submit(ordinary)

    feeder = threading.Thread(target=feed)
    feeder.start()
    while time.monotonic() < until:
        for level in waited:
            asked = time.monotonic()
            pool.submit_with(partial(note, waited[level], asked), priority=level)
        asked_for += 1
        time.sleep(0.02)
    feeder.join()
    pool.shutdown()
    return {
        "seconds": seconds,
        "asked of each": asked_for,
        **{f"{level} waited, ms, median": round(1e3 * statistics.median(times), 2) for level, times in waited.items()},
        **{f"{level} at worst": round(1e3 * max(times), 1) for level, times in waited.items()},
        "had to wait for its end": starved[0],
        "wrong": bool(starved[0] or {len(times) for times in waited.values()} != {asked_for}),
    }


def workers(pairs: int) -> Facts:
    """Tasks that submit a task and wait for it: as many as there may be at once wait, and none for ever."""
    pool = ThreadPool()
    before, most = threading.active_count(), 0
    done = [pool.submit(lambda n=n: pool.submit(pow, n, 2).result(60)) for n in range(pairs)]
    for each in done:
        most = max(most, threading.active_count() - before)
        each.result(60)
    right = [each.result() for each in done] == [n * n for n in range(pairs)]
    pool.shutdown()
    return {"tasks": 2 * pairs, "threads at most": most, "wrong": most > 20 or not right}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="of the lock storm; a tenth for the levels")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args(arguments)
    runs: dict[str, Callable[[], Facts]] = {
        "locks": lambda: locks(options.seconds),
        "circles": lambda: circles(100),
        "channels": lambda: channels(100_000),
        "levels": lambda: levels(options.seconds / 10),
        "workers": lambda: workers(5_000),
    }
    facts: dict[str, Facts] = {}
    for name, run in runs.items():
        facts[name] = run()
        print(f"\n{name}", flush=True)
        for key, value in facts[name].items():
            print(f"  {key:<32}{value:,}" if isinstance(value, int) and value is not True else f"  {key:<32}{value}")
    if options.json:
        options.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return int(any(each["wrong"] for each in facts.values()))


if __name__ == "__main__":
    sys.exit(main())
