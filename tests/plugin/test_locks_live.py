"""Deadlocks that happen in tests are broken and named, and the session goes on; those that would are found, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from innersuite import InnerSuite

pytestmark = [pytest.mark.slow, pytest.mark.inner]

SUITE = """
import queue, threading, time
from concurrent.futures import ThreadPoolExecutor

def meet(one, other, swallow):
    ready = threading.Barrier(2)
    def take(first, then):
        with first:
            ready.wait()
            try:
                with then: pass
            except RuntimeError:
                if not swallow: raise
    threads = [threading.Thread(target=take, args=pair) for pair in ((one, other), (other, one))]
    for thread in threads: thread.start()
    for thread in threads: thread.join()

def test_a_thread_dies_of_it():
    left, right = threading.Lock(), threading.Lock()
    meet(left, right, False)

def test_it_is_swallowed():
    left, right = threading.Lock(), threading.RLock()
    meet(left, right, True)

def test_it_is_the_failure():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

def test_a_pool_waits_for_itself():
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: pool.submit(int).result()).exception() is not None

def test_a_join_that_was_lucky():
    lock, over = threading.Lock(), []
    def work():
        with lock: over.append(1)
    thread = threading.Thread(target=work)
    thread.start()
    while not over: time.sleep(0.001)
    with lock: thread.join()

def test_innocent():
    lock, items = threading.Lock(), queue.Queue()
    def work():
        with lock: pass
        items.put(1)
    thread = threading.Thread(target=work)
    thread.start()
    items.get()
    thread.join()
    with lock: assert items.empty()
"""
PASSED = ["setup passed", "call passed", "teardown passed"]
HAPPENED, WOULD = {"locks.deadlocks"}, {"locks.potential_deadlocks"}


def write(inner: InnerSuite, text: str = SUITE) -> None:
    Path(inner.path, "test_it.py").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("workers", [(), pytest.param(("-n", "2"), marks=pytest.mark.long)], ids=["alone", "xdist"])
def test_each_is_told_and_the_session_goes_on(inner: InnerSuite, workers: tuple[str, ...]) -> None:
    write(inner)
    measured = inner.run("--coresys-budget", "-W", "error::pytest.PytestUnhandledThreadExceptionWarning", *workers)
    outcomes = {name.rpartition("::")[2]: words for name, words in measured.seen.items()}
    ours = ["setup passed", "call failed", "teardown passed"]
    assert outcomes == {
        "test_a_thread_dies_of_it": ours,
        "test_it_is_swallowed": ours,
        "test_it_is_the_failure": ours,
        "test_a_pool_waits_for_itself": ours,
        "test_a_join_that_was_lucky": ours,
        "test_innocent": PASSED,
    }, measured.text
    found = measured.found()
    expected = dict.fromkeys(outcomes.keys() - {"test_innocent"}, HAPPENED)
    assert found == {**expected, "test_a_join_that_was_lucky": WOULD}, measured.text
    assert measured.status == 1
    assert "Exception in thread" not in measured.text
    assert "let go of the lock before waiting for what needs it" in measured.text


def test_all_is_named_and_a_failure_keeps_its_own_traceback_first(inner: InnerSuite) -> None:
    write(inner)
    measured = inner.run("--coresys-budget", "-k", "dies or failure")
    (finding,) = [each for each in measured.test("test_a_thread_dies_of_it")["findings"] if each["key"] in HAPPENED]
    waits = [detail for detail in finding["details"] if " waits for " in detail]
    assert sorted(each.partition(" waits for ")[2].partition(",")[0] for each in waits) == ["left", "right"]
    assert all("held by Thread-" in each and "it holds" in each for each in waits)
    assert any(each.startswith("stack of Thread-") and " in take" in each for each in finding["details"])
    # Of each thread the place where it waits, and that where the other took what it waits for.
    assert [place["path"] for place in finding["locations"]] == ["test_it.py"] * 4
    assert [place["line"] for place in finding["locations"]] == [11, 8, 11, 8]
    text = measured.text
    its = text.index("test_it_is_the_failure ___")
    assert its < text.index("DeadlockError: deadlock", its) < text.index("locks.deadlocks: 1 > 0", its)
    failed = measured.test("test_it_is_the_failure")
    assert failed["measures"]["locks.deadlocks"]["verdict"] == "over"
    assert failed["measures"]["locks.contention"]["why"] == "the test failed"


def test_a_budget_that_is_off_lets_a_thread_die_as_ever(inner: InnerSuite) -> None:
    write(inner)
    measured = inner.run(
        "--coresys-budget", "--coresys-repeat", "0", "--coresys-set", "locks.deadlocks=off", "-k", "dies"
    )
    assert measured.found().keys() == set()
    assert "DeadlockError: deadlock" in measured.text


def test_a_pool_that_waits_for_itself_when_all_is_over_does_not_keep_the_process(inner: InnerSuite) -> None:
    write(
        inner,
        """
import time
from concurrent.futures import ThreadPoolExecutor
POOL = ThreadPoolExecutor(1)
def test_leaves_it():
    POOL.submit(lambda: POOL.submit(int).result())
    while not POOL._work_queue.qsize(): time.sleep(0.001)
    time.sleep(0.1)
""",
    )
    measured = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert measured.seen, measured.text
    assert measured.status in (0, 1)


def test_nothing_of_ours_grows_with_repetitions(inner: InnerSuite) -> None:
    """Also where a test before has left a lock taken, so that its thread holds it for ever."""
    write(
        inner,
        """
import gc, queue, threading
from concurrent.futures import ThreadPoolExecutor
LOCK, PERMIT, ITEMS = threading.Lock(), threading.Semaphore(1), queue.Queue()
def work():
    with LOCK: pass
class Finalized:
    def __init__(self): self.me = self
    def __del__(self):
        with PERMIT: pass
def test_before_it():
    lock = threading.Lock()
    lock.acquire()
def test_all():
    thread = threading.Thread(target=work)
    thread.start(); thread.join()
    with ThreadPoolExecutor(1) as pool: pool.submit(work).result()
    with LOCK:
        ITEMS.put(1); ITEMS.get()
        with PERMIT: pass
    Finalized()
    gc.collect()
""",
    )
    measured = inner.run("--coresys-budget")
    assert measured.status == 0, measured.text
    assert measured.test("test_all")["repetitions"] > 10


def test_without_a_flag_nothing_is_watched(inner: InnerSuite) -> None:
    write(
        inner,
        """
import queue, sys, threading
def test_raw():
    assert not [name for name in sys.modules if name.startswith("coresys.threads.watching")]
    assert not hasattr(threading.Thread.join, "__wrapped__")
    assert not hasattr(queue.Queue.get, "__wrapped__")
""",
    )
    assert inner.run(fresh=True).status == 0
