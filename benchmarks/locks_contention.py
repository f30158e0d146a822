"""What is told of contention: cases that have it and cases that have not, idle or beside four that compute.

    python benchmarks/locks_contention.py [--runs 20] [--busy] [NAME ...]

For each case how many runs were over 5 %, and in how many of three in a row all were, which is what fails a test (of
four, one may be less). Exit status 1 when a clean case was over in three in a row, or a contended one in none.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import queue
import sys
import threading
import time
from collections.abc import Callable

from coresys.threads.watching import chains
from coresys.threads.watching.contention import worst_of
from coresys.threads.watching.install import install, uninstall
from coresys.threads.watching.ledger import close_ledger, open_ledger

LIMIT = 0.05


def together(*functions: Callable[[], object]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def hot_lock_with_sleep_inside() -> None:
    lock = threading.Lock()

    def work() -> None:
        for _ in range(20):
            with lock:
                time.sleep(0.005)
            time.sleep(0.001)

    together(*[work] * 4)


def convoy() -> None:
    lock = threading.Lock()

    def hold() -> None:
        with lock:
            time.sleep(0.2)

    def other() -> None:
        time.sleep(0.02)
        with lock:
            pass

    together(hold, *[other] * 3)


def two_hot_among_thirty_idle() -> None:
    lock, stop = threading.Lock(), threading.Event()

    def idle() -> None:
        with lock:
            pass
        stop.wait()

    def work() -> None:
        for _ in range(30):
            with lock:
                time.sleep(0.003)

    idlers = [threading.Thread(target=idle) for _ in range(30)]
    for thread in idlers:
        thread.start()
    together(work, work)
    stop.set()
    for thread in idlers:
        thread.join()


def one_long_wait_at_startup() -> None:
    lock = threading.Lock()
    made: list[int] = []

    def work() -> None:
        with lock:
            if not made:
                time.sleep(0.1)
                made.append(1)
        for _ in range(20):
            time.sleep(0.005)

    together(*[work] * 4)


def many_short_waits() -> None:
    lock = threading.Lock()

    def work() -> None:
        for _ in range(150):
            with lock:
                time.sleep(0.0007)

    together(work, work)


def held_for_a_fiftieth_by_threads_that_compute() -> None:
    lock = threading.Lock()

    def work() -> None:
        for _ in range(150):
            with lock:
                sum(range(600))
            sum(range(30_000))

    together(*[work] * 4)


def hashing_under_a_lock() -> None:
    lock, data = threading.Lock(), b"x" * 4_000_000

    def work() -> None:
        for _ in range(10):
            with lock:
                hashlib.sha256(data).digest()

    together(work, work)


def short_test() -> None:
    lock = threading.Lock()

    def work() -> None:
        for _ in range(3):
            with lock:
                pass

    together(*[work] * 4)


def condition_with_many_notified() -> None:
    condition = threading.Condition()

    def work() -> None:
        for _ in range(200):
            with condition:
                condition.notify_all()
            with condition:
                condition.wait(0.0005)

    together(*[work] * 4)


def queue_of_four() -> None:
    waiting: queue.Queue[int] = queue.Queue(10)

    def put() -> None:
        for number in range(2000):
            waiting.put(number)

    def get() -> None:
        for _ in range(2000):
            waiting.get()

    together(put, put, get, get)


CONTENDED = (
    hot_lock_with_sleep_inside,
    convoy,
    two_hot_among_thirty_idle,
    one_long_wait_at_startup,
    many_short_waits,
)
CLEAN = (
    held_for_a_fiftieth_by_threads_that_compute,
    hashing_under_a_lock,
    short_test,
    condition_with_many_notified,
    queue_of_four,
)


def measure(case: Callable[[], None]) -> float:
    """The share of one run, 0 where too little was lost."""
    chains.renew()
    ledger = open_ledger()
    case()
    close_ledger(ledger)
    worst = worst_of(ledger.read())
    return worst[0].share if worst else 0.0


def burn() -> None:
    while True:
        pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="cases, by a part of their names; all")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--busy", action="store_true", help="beside four processes that compute")
    given = parser.parse_args()
    others = [multiprocessing.Process(target=burn, daemon=True) for _ in range(4 if given.busy else 0)]
    for other in others:
        other.start()
    install()
    wrong = False
    print(f"{'case':<45} {'':<9} {'over':>7} {'thrice':>7}  share")
    for case in (*CONTENDED, *CLEAN):
        if given.names and not any(name in case.__name__ for name in given.names):
            continue
        shares = [measure(case) for _ in range(given.runs)]
        over = [share > LIMIT for share in shares]
        rows = [all(over[at : at + 3]) for at in range(len(over) - 2)]
        wrong |= any(rows) != (case in CONTENDED)
        kind = "contended" if case in CONTENDED else "clean"
        print(
            f"{case.__name__:<45} {kind:<9} {sum(over):>3}/{len(over):<3} {sum(rows):>3}/{len(rows):<3}  "
            f"{min(shares):.1%} to {max(shares):.1%}",
            flush=True,
        )
    uninstall()
    for other in others:
        other.terminate()
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
